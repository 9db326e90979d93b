/* The one door to the gateway. */
#include "cli.h"

#include "common/http_server.h"
#include "common/httpc.h"
#include "common/loop.h"
#include "common/mem.h"

#include <string.h>

#define CALL_TIMEOUT_MS 60000
#define SEND_TIMEOUT_MS 3600000
#define READ_TRIES 3

struct line {
	struct loop *loop;
	struct httpc *http;
};
struct cli_api {
	struct line calls, streams; /* apart, so that no stream's callback comes from a call */
	char *auth;                 /* header, or NULL */
};

static void
line_init(struct line *l)
{
	l->loop = loop_new();
	l->http = httpc_new(l->loop);
}

static void
line_fini(struct line *l)
{
	httpc_free(l->http);
	loop_free(l->loop);
}

static struct cli_api *
api_get(struct cli *c)
{
	if (c->api)
		return c->api;
	struct cli_api *a = c->api = xcalloc(1, sizeof(*a));
	line_init(&a->calls);
	line_init(&a->streams);
	if (*c->token)
		a->auth = xasprintf("Authorization: token %s", c->token);
	return a;
}

void
cli_api_free(struct cli_api *a)
{
	if (!a)
		return;
	line_fini(&a->calls);
	line_fini(&a->streams);
	free(a->auth);
	free(a);
}

void
cli_on_signal(struct cli *c, int signum, void (*fn)(int signum, void *arg), void *arg)
{
	loop_on_signal(api_get(c)->streams.loop, signum, fn, arg);
}

static char *
url_of(const struct cli *c, const char *path)
{
	size_t n = strlen(c->url);

	if (n && c->url[n - 1] == '/')
		n--;
	return xasprintf("%.*s/api/v1alpha%s", (int)n, c->url, path);
}

char *
cli_api_escape(const char *segment)
{
	return http_encode(segment);
}

static const struct {
	long status;
	enum err_code code;
	const char *what;
} answers[] = {
	{ 400, ERR_INVALID, "the gateway refused the request" },
	{ 401, ERR_DENIED,
	    "not logged in: use \"millrace login\", or give a valid token with --token or in "
	    "MILLRACE_TOKEN" },
	{ 403, ERR_DENIED,
	    "not allowed with this token: some commands need the administrator's, direct runs need "
	    "a "
	    "user's" },
	{ 404, ERR_NOTFOUND, "it does not exist" },
	{ 409, ERR_CONFLICT, "it was changed by somebody else: look and try again" },
	{ 429, ERR_UNAVAILABLE, "too many failed logins: wait some minutes and try again" },
	{ 503, ERR_UNAVAILABLE, "the gateway is not ready: try again in a moment" },
};

/* [{"code":..,"details":..}] as text, "" when there is none. */
static void
codes_of(const struct buf *body, struct buf *out)
{
	auto_json *j = NULL;
	size_t i;
	json_t *e;

	if (json_parse(&j, buf_str(body), body->len, NULL) || !json_is_array(j))
		return;
	json_array_foreach(j, i, e)
	{
		const char *code = json_text(e, "code");
		json_t *details = json_member(e, "details");

		if (code && *code && out->len < 500) {
			auto_free char *clean = cli_clean(code);
			buf_printf(out, "%s%.100s", out->len ? ", " : " (", clean);
		}
		if (json_is_string(details) && out->len < 500) {
			auto_free char *clean = cli_clean(json_string_value(details));
			buf_printf(out, "%s%.300s", out->len ? ": " : " (", clean);
		}
	}
	if (out->len)
		buf_putc(out, ')');
}

static int
status_error(
    const struct cli *c, long status, const struct buf *body, const char *reason, struct err **err)
{
	auto_buf codes = BUF_INIT;

	codes_of(body, &codes);
	if (reason != NULL && codes.len == 0) {
		auto_free char *clean = cli_clean(reason);
		buf_printf(&codes, ": %.500s", clean);
	}
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		if (answers[i].status == status)
			return err_set(
			    err, answers[i].code, "%s%s", answers[i].what, buf_str(&codes));
	return err_set(err, status >= 500 ? ERR_UNAVAILABLE : ERR_INTERNAL,
	    "%s answered with status %ld%s: %s", c->url, status, buf_str(&codes),
	    status >= 500 ? "see the gateway's log" : "is this a Millrace gateway?");
}

struct answer {
	bool done;
	long status;
	struct buf body;
	char *header;
	struct err *err;
};

static void
on_answer(struct httpc_response *resp, struct err **err, void *arg)
{
	struct answer *a = arg;

	a->done = true;
	a->status = resp->status;
	a->body = resp->body;
	a->header = steal(&resp->header);
	a->err = steal(err);
	resp->body = (struct buf)BUF_INIT;
}

static void
answer_fini(struct answer *a)
{
	buf_free(&a->body);
	free(a->header);
	err_free(a->err);
}

static int
answer_check(const struct cli *c, const struct answer *a, const char *url, const char *reason,
    json_t **out, struct err **err)
{
	if (a->err && a->err->code == ERR_INVALID)
		return err_set(err, ERR_INTERNAL, "%s", err_msg(a->err));
	if (a->err)
		return err_set(err, ERR_UNAVAILABLE,
		    "cannot reach the gateway at %s: %s; is it running, and is its address right "
		    "(--gateway-url or MILLRACE_URL)?",
		    c->url, err_msg(a->err));
	if (a->status < 200 || a->status > 299)
		return status_error(c, a->status, &a->body, reason, err);
	if (!out)
		return 0;
	*out = NULL;
	if (a->body.len == 0)
		return 0;
	int rc = json_parse(out, buf_str(&a->body), a->body.len, err);
	return rc ? err_wrap(err, "the answer of %s is no JSON", url) : 0;
}

/* One request: what is sent, and what is wanted of the answer. */
struct request {
	const char *method, *path;
	const void *body;
	size_t len;
	int64_t timeout_ms;
	char **cursor; /* NULL: not of interest */
};

static void
debug_line(const struct cli *c, const struct request *r, const struct answer *a)
{
	if (c->debug)
		fprintf(stderr, "%s %s: %ld%s%s\n", r->method, r->path, a->status,
		    a->err ? ", " : "", a->err ? err_msg(a->err) : "");
}

/* *broken: no whole answer came. */
static int
request_once(bool *broken, struct cli *c, const struct request *r, json_t **out, struct err **err)
{
	struct cli_api *a = api_get(c);
	auto_free char *url = url_of(c, r->path);
	char **cursor = r->cursor;
	const char *headers[] = { "Content-Type: application/json", a->auth, NULL };
	__attribute__((cleanup(answer_fini))) struct answer answer = { 0 };
	const struct httpc_options opt = {
		.method = r->method,
		.url = url,
		.headers = headers,
		.body = r->body,
		.body_len = r->len,
		.max_body = CLI_REPLY_MAX,
		.timeout_ms = r->timeout_ms,
		.want_header = cursor ? "X-Agola-Cursor" : "X-Millrace-Error",
		.done = on_answer,
		.arg = &answer,
	};

	httpc_start(a->calls.http, &opt);
	while (!answer.done)
		loop_run_once(a->calls.loop, -1);
	debug_line(c, r, &answer);
	*broken = answer.err != NULL && answer.err->code != ERR_INVALID;
	if (cursor && answer.header)
		*cursor = steal(&answer.header);
	return answer_check(c, &answer, url, cursor ? NULL : answer.header, out, err);
}

/* What only reads is asked again when the connection broke: proxies drop idle ones. */
static int
call(struct cli *c, const char *method, const char *path, const json_t *body, json_t **out,
    char **cursor, struct err **err)
{
	auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const struct request r = { .method = method,
		.path = path,
		.body = text,
		.len = text ? strlen(text) : 0,
		.timeout_ms = CALL_TIMEOUT_MS,
		.cursor = cursor };
	unsigned tries = strcmp(method, "GET") == 0 ? READ_TRIES : 1;

	for (;;) {
		bool broken = false;
		int rc = request_once(&broken, c, &r, out, err);

		if (!broken || --tries == 0) {
			if (text)
				explicit_bzero(text, strlen(text)); /* it may hold a secret */
			return rc;
		}
		if (err)
			err_clear(err);
	}
}

int
cli_api_send(struct cli *c, const char *method, const char *path, const void *body, size_t len,
    json_t **out, struct err **err)
{
	const struct request r = { .method = method,
		.path = path,
		.body = body,
		.len = len,
		.timeout_ms = SEND_TIMEOUT_MS };

	bool broken;

	return request_once(&broken, c, &r, out, err);
}

int
cli_api_call(struct cli *c, const char *method, const char *path, const json_t *body, json_t **out,
    struct err **err)
{
	return call(c, method, path, body, out, NULL, err);
}

int
cli_api_list(struct cli *c, const char *path, size_t limit, json_t **out, struct err **err)
{
	return cli_api_list_of(c, path, NULL, limit, out, err);
}

int
cli_api_list_of(struct cli *c, const char *path, const char *member, size_t limit, json_t **out,
    struct err **err)
{
	auto_json *all = json_array();
	auto_free char *cursor = NULL;

	do {
		auto_json *page = NULL;
		auto_free char *escaped = cursor ? cli_api_escape(cursor) : NULL;
		size_t left = limit ? limit - json_array_size(all) : 30;
		/* A page that comes by cursor carries its filters inside the cursor. */
		int base = cursor ? (int)strcspn(path, "?") : (int)strlen(path);
		auto_free char *full = xasprintf("%.*s%slimit=%zu%s%s", base, path,
		    !cursor && strchr(path, '?') ? "&" : "?", left < 30 ? left : 30,
		    cursor ? "&cursor=" : "", escaped ? escaped : "");

		free(steal(&cursor));
		int rc = call(c, "GET", full, NULL, &page, &cursor, err);
		if (rc)
			return rc;
		json_t *list = member ? json_member(page, member) : page;
		if (!json_is_array(list))
			return err_set(err, ERR_INTERNAL, "the gateway's answer is no list");
		if (json_array_size(list) == 0)
			break;
		json_array_extend(all, list);
	} while (cursor && *cursor && (!limit || json_array_size(all) < limit));
	*out = steal(&all);
	return 0;
}

/* --- streams --- */

struct cli_stream {
	struct cli_streams *set;
	struct httpc_req *req;
	const struct cli_stream_ops *ops;
	void *arg;
	struct cli_stream *next;
};
struct cli_streams {
	struct cli *c;
	struct cli_stream *list;
};

struct cli_streams *
cli_streams_new(struct cli *c)
{
	struct cli_streams *s = xcalloc(1, sizeof(*s));

	api_get(c);
	s->c = c;
	return s;
}

static void
stream_free(struct cli_stream *st)
{
	for (struct cli_stream **p = &st->set->list; *p; p = &(*p)->next)
		if (*p == st) {
			*p = st->next;
			break;
		}
	if (st->req)
		httpc_cancel(st->req);
	free(st);
}

void
cli_streams_free(struct cli_streams *s)
{
	while (s->list)
		stream_free(s->list);
	free(s);
}

static int
on_stream(const void *p, size_t n, void *arg)
{
	struct cli_stream *st = arg;

	st->ops->on_data(st->arg, p, n);
	return 0;
}

static void
on_stream_end(struct httpc_response *resp, struct err **err, void *arg)
{
	struct cli_stream *st = arg;
	const struct cli_stream_ops *ops = st->ops;
	void *ops_arg = st->arg;

	st->req = NULL;
	stream_free(st);
	ops->on_end(ops_arg, resp->status, *err ? err_msg(*err) : NULL);
}

struct cli_stream *
cli_stream_open(
    struct cli_streams *s, const char *path, const struct cli_stream_ops *ops, void *arg)
{
	struct cli_stream *st = xcalloc(1, sizeof(*st));
	auto_free char *url = url_of(s->c, path);
	const char *headers[] = { s->c->api->auth, NULL };
	const struct httpc_options opt = {
		.method = "GET",
		.url = url,
		.headers = headers,
		.on_data = on_stream,
		.done = on_stream_end,
		.arg = st,
	};

	st->set = s;
	st->ops = ops;
	st->arg = arg;
	st->next = s->list;
	s->list = st;
	st->req = httpc_start(s->c->api->streams.http, &opt);
	return st;
}

void
cli_streams_wait(struct cli_streams *s, int timeout_ms)
{
	loop_run_once(s->c->api->streams.loop, timeout_ms);
}
