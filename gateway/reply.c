#include "gateway/reply.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "gateway/request.h"

#include <stdio.h>
#include <string.h>

#define MESSAGE_HEADER_MAX 500
#define RETRY_AFTER_SECONDS "2"

int
gw_reply_status(int err_code)
{
	switch ((enum err_code)err_code) {
	case ERR_INVALID:
	case ERR_CONFLICT:
		return 400;
	case ERR_DENIED:
		return 403;
	case ERR_NOTFOUND:
		return 404;
	case ERR_UNAVAILABLE:
	case ERR_CANCELED:
		return 503;
	case ERR_INTERNAL:
		break;
	}
	return 500;
}

char *
gw_reply_error_body(const char *slug)
{
	auto_json *list = json_array();

	if (slug)
		json_array_append_new(list, json_pack("{s:s, s:n}", "code", slug, "details"));
	return json_print(list);
}

static struct metric *classes[6], *seconds;

void
gw_reply_meter_init(void)
{
	static const char *const labels[6] = { "class=\"other\"", "class=\"1xx\"", "class=\"2xx\"",
		"class=\"3xx\"", "class=\"4xx\"", "class=\"5xx\"" };

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		classes[i] = metrics_counter("millrace_gateway_http_requests_total", labels[i],
		    "Requests answered, by class of the status.");
	seconds = metrics_histogram("millrace_gateway_http_request_seconds", "",
	    "From a request's arrival to its answer, streams excluded.");
}

static void
count(const struct gw_req *rq, int status)
{
	metrics_add(classes[status >= 100 && status < 600 ? status / 100 : 0], 1);
	metrics_observe_ms(seconds, (clock_mono_us() - rq->started_us) / 1000);
}

static void
finish(struct gw_req *rq, int status, const char *type, const void *p, size_t n)
{
	count(rq, status);
	if (rq->cursor)
		http_reply_header(rq->http, "X-Agola-Cursor", rq->cursor);
	http_reply(rq->http, status, type, p, n);
	gw_req_free(rq);
}

/* Printable ASCII only: the header must not be split by foreign bytes. */
static void
message_header(struct gw_req *rq, const char *msg)
{
	char text[MESSAGE_HEADER_MAX + 1];
	size_t n = 0;

	for (; *msg && n < MESSAGE_HEADER_MAX; msg++)
		text[n++] = (char)(*msg >= 0x20 && *msg < 0x7f ? *msg : '?');
	text[n] = '\0';
	http_reply_header(rq->http, "X-Millrace-Error", text);
}

static void
error_body(struct gw_req *rq, int status, const char *slug)
{
	auto_free char *body = gw_reply_error_body(slug);

	if (status == 503)
		http_reply_header(rq->http, "Retry-After", RETRY_AFTER_SECONDS);
	rq->cursor = NULL;
	finish(rq, status, "application/json", body, strlen(body));
}

void
gw_reply_err(struct gw_req *rq, struct err **err)
{
	int status = gw_reply_status(*err ? (int)(*err)->code : ERR_INTERNAL);
	auto_free char *slug = *err && (*err)->slug ? xstrdup((*err)->slug) : NULL;

	if (status != 500)
		message_header(rq, err_msg(*err));
	log_write(status >= 500 ? LOG_WARN : LOG_DEBUG, "request failed",
	    (const struct log_field[]){ LOG_STR("route", rq->route->pattern),
	        LOG_I64("status", status), LOG_STR("error", err_msg(*err)) },
	    3);
	err_clear(err);
	error_body(rq, status, slug);
}

void
gw_reply_denied(struct gw_req *rq, int status)
{
	error_body(rq, status, NULL);
}

void
gw_reply_json(struct gw_req *rq, int status, json_t *body)
{
	auto_json *owned = body;
	auto_free char *text = NULL;

	if (!body) {
		finish(rq, status, NULL, NULL, 0);
		return;
	}
	text = json_print(owned);
	finish(rq, status, "application/json", text, strlen(text));
}

void
gw_reply_text(struct gw_req *rq, int status, const char *text)
{
	finish(rq, status, "text/plain;charset=UTF-8", text, strlen(text));
}

void
gw_reply_bytes(struct gw_req *rq, int status, const char *content_type, const void *p, size_t n)
{
	finish(rq, status, content_type, p, n);
}

void
gw_reply_no_route(struct http_req *http)
{
	http_reply(http, 404, "text/plain", "", 0);
}
