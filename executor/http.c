#include "executor/executor.h"

#include "common/buf.h"
#include "common/metrics.h"
#include "executor/session.h"

#include <string.h>

static void
answer(struct http_req *req, int status, const char *text)
{
	http_reply(req, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void
metrics(struct http_req *req)
{
	auto_buf out = BUF_INIT;

	metrics_print(&out);
	http_reply(req, 200, "text/plain; version=0.0.4", buf_str(&out), out.len);
}

void
ex_http_handle(struct http_req *req, void *arg)
{
	const struct ex *ex = arg;
	const char *path = http_req_path(req);
	bool ready = ex_session_registered(ex->session);

	if (strcmp(path, "/healthz") == 0)
		answer(req, 200, "ok\n");
	else if (strcmp(path, "/readyz") == 0)
		answer(req, ready ? 200 : 503,
		    ready ? "ok\n" : "not registered with the runservice\n");
	else if (strcmp(path, "/metrics") == 0)
		metrics(req);
	else
		answer(req, 404, "no such page\n");
}
