#include "common/http_monitor.h"

#include "common/buf.h"
#include "common/mem.h"
#include "common/metrics.h"

#include <string.h>

static void
text(struct http_req *req, int status, const char *s)
{
	http_reply(req, status, "text/plain; charset=utf-8", s, strlen(s));
}

void
http_monitor_metrics(struct http_req *req)
{
	auto_buf out = BUF_INIT;

	metrics_print(&out);
	http_reply(req, 200, "text/plain; version=0.0.4", buf_str(&out), out.len);
}

void
http_monitor_state(struct http_req *req, const char *json)
{
	http_reply(req, 200, "application/json", json, strlen(json));
}

bool
http_monitor_handle(struct http_req *req, const struct http_monitor *m)
{
	const char *path = http_req_path(req);

	if (strcmp(path, "/healthz") == 0) {
		text(req, 200, "ok\n");
	} else if (strcmp(path, "/readyz") == 0) {
		auto_free char *why = m->not_ready ? xasprintf("%s\n", m->not_ready) : NULL;

		text(req, why ? 503 : 200, why ? why : "ok\n");
	} else if (strcmp(path, "/metrics") == 0) {
		if (m->sample != NULL)
			m->sample(m->arg);
		http_monitor_metrics(req);
	} else if (strcmp(path, "/debug/state") == 0) {
		auto_free char *json = m->dump(m->arg);

		http_monitor_state(req, json);
	} else {
		return false;
	}
	return true;
}
