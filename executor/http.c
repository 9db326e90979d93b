#include "executor/executor.h"

#include "common/http_monitor.h"
#include "executor/dump.h"
#include "executor/meter.h"
#include "executor/session.h"

void
ex_http_handle(struct http_req *req, void *arg)
{
	const struct ex *ex = arg;
	const struct http_monitor monitor = { .not_ready =
		                                  ex_session_registered(ex->session)
		                                      ? NULL
		                                      : "not registered with the runservice",
		.sample = ex_meter_sample,
		.dump = ex_dump,
		.arg = arg };

	if (!http_monitor_handle(req, &monitor))
		http_reply(req, 404, "text/plain; charset=utf-8", "no such page\n", 13);
}
