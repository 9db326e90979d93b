#include "gateway/reply.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "gateway/gateway.h"
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
set_cookie(struct gw_req *rq, const struct gw_cookie *c)
{
	auto_free char *text = gw_cookie_format(c);

	http_reply_header(rq->http, "Set-Cookie", text);
}

static void
session_cookies(struct gw_req *rq, const struct gw_session *s, int64_t life_s)
{
	bool unsecure = rq->gw->cfg->unsecure_cookies;
	auto_free char *primary = gw_session_primary(s, rq->gw->keys.session);
	auto_free char *secondary = gw_session_secondary(s, rq->gw->keys.session);

	set_cookie(rq, &(struct gw_cookie){ .name = gw_cookie_primary_name(unsecure),
	                   .value = primary,
	                   .secure = !unsecure,
	                   .http_only = true,
	                   .max_age_s = life_s });
	set_cookie(rq, &(struct gw_cookie){ .name = GW_COOKIE_SECONDARY,
	                   .value = secondary,
	                   .secure = !unsecure,
	                   .max_age_s = life_s });
}

/* A login begins a session; one that is used goes on: its cookies are renewed when more than half
 * of their life is over, with the same token, so that answers may come in any order. */
static void
session_headers(struct gw_req *rq)
{
	int64_t life = rq->gw->cfg->session_ms / 1000, now = clock_wall_ms() / 1000;
	struct gw_session s = rq->session;

	if (rq->login) {
		gw_session_init(&s, rq->who.user.id, rq->who.user.epoch, now + life);
	} else if (rq->has_session && rq->who.kind == GW_WHO_USER && s.expires_s - now < life / 2) {
		s.expires_s = now + life;
	} else {
		return;
	}
	session_cookies(rq, &s, life);
}

static void
csrf_headers(struct gw_req *rq)
{
	bool unsecure = rq->gw->cfg->unsecure_cookies;
	auto_free char *token = NULL;

	http_reply_header(rq->http, "Vary", "Cookie");
	if (!rq->csrf_known) {
		auto_free char *value = gw_csrf_cookie_new(rq->csrf_value, rq->gw->keys.csrf);

		set_cookie(rq, &(struct gw_cookie){ .name = gw_cookie_csrf_name(unsecure),
		                   .value = value,
		                   .secure = !unsecure,
		                   .http_only = true,
		                   .lax = true });
	}
	token = gw_csrf_token(rq->csrf_value);
	http_reply_header(rq->http, "X-Csrf-Token", token);
}

static bool
cors_headers(const struct gateway *gw, struct http_req *http)
{
	const char *origin = http_req_header(http, "Origin");

	if (gw->cfg->allowed_origins.n == 0)
		return false;
	http_reply_header(http, "Vary", "Origin");
	if (!origin || !gw_origin_listed(&gw->cfg->allowed_origins, origin))
		return false;
	http_reply_header(http, "Access-Control-Allow-Origin", origin);
	http_reply_header(http, "Access-Control-Allow-Credentials", "true");
	return true;
}

void
gw_reply_headers(struct gw_req *rq, int status)
{
	bool token = rq->has_token || rq->who.kind == GW_WHO_ADMIN;

	if (rq->cursor)
		http_reply_header(rq->http, "X-Agola-Cursor", rq->cursor);
	if (!gw_route_is_api(rq->route))
		return;
	if (cors_headers(rq->gw, rq->http))
		http_reply_header(
		    rq->http, "Access-Control-Expose-Headers", "X-Csrf-Token, X-Agola-Cursor");
	/* A 401 comes before all this: it tells browsers nothing. */
	if (rq->route->auth != GW_AUTH_NONE && !token && status != 401)
		csrf_headers(rq);
	if (status != 401)
		session_headers(rq);
}

void
gw_reply_preflight(struct gateway *gw, struct http_req *http)
{
	if (cors_headers(gw, http)) {
		http_reply_header(
		    http, "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE");
		http_reply_header(http, "Access-Control-Allow-Headers",
		    "Accept, Accept-Encoding, Content-Length, Content-Type, Content-Range, "
		    "X-Csrf-Token, X-Agola-Cursor, Authorization");
		http_reply_header(http, "Access-Control-Max-Age", "600");
	}
	http_reply(http, 200, NULL, NULL, 0);
}

static void
finish(struct gw_req *rq, int status, const char *type, const void *p, size_t n)
{
	count(rq, status);
	gw_reply_headers(rq, status);
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
