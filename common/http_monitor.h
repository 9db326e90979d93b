/*
 * http_monitor.h - what every daemon answers to whoever watches it: /healthz, /readyz, /metrics and
 * /debug/state. Loop thread.
 */
#ifndef COMMON_HTTP_MONITOR_H
#define COMMON_HTTP_MONITOR_H

#include "common/http_server.h"

struct http_monitor {
	const char *not_ready;     /* why, in one line; NULL: ready */
	void (*sample)(void *arg); /* sets gauges before they are printed; optional */
	char *(*dump)(void *arg);  /* JSON, malloc'ed: who waits for what */
	void *arg;
};

/* Answers when the path is one of these; false: it is not, nothing was done. */
bool http_monitor_handle(struct http_req *req, const struct http_monitor *m);
/* The answers by themselves. */
void http_monitor_metrics(struct http_req *req);
void http_monitor_state(struct http_req *req, const char *json);

#endif
