#include "executor/engine.h"

#include "common/clock.h"
#include "common/mem.h"

#include <string.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 2000

struct ex_engine {
	struct loop *loop;
	struct httpc *http;
	char *socket;
	uint64_t outages;
};

struct ex_call {
	struct ex_engine *engine;
	struct httpc_req *req;
	struct loop_timer *again;
	char *method, *url, *auth;
	void *body;
	size_t body_len;
	const char *content_type;
	int64_t deadline_ms, backoff_ms;
	bool no_repeat, conflict_passes;
	int (*on_data)(const void *, size_t, void *);
	ex_call_fn done;
	void *arg;
};

static void attempt(void *arg);

struct ex_engine *
ex_engine_new(struct loop *loop, struct httpc *http, const char *url)
{
	struct ex_engine *e = xcalloc(1, sizeof(*e));

	e->loop = loop;
	e->http = http;
	e->socket = xstrdup(url + strlen("unix://"));
	return e;
}

void
ex_engine_free(struct ex_engine *e)
{
	if (e == NULL)
		return;
	free(e->socket);
	free(e);
}

struct httpc *
ex_engine_http(struct ex_engine *e)
{
	return e->http;
}

const char *
ex_engine_socket(const struct ex_engine *e)
{
	return e->socket;
}

uint64_t
ex_engine_outages(const struct ex_engine *e)
{
	return e->outages;
}

char *
ex_engine_url(const char *path)
{
	return xasprintf("http://engine/v1.41%s", path);
}

static void
call_free(struct ex_call *c)
{
	loop_timer_free(c->again);
	free(c->method);
	free(c->url);
	xfree_secret(c->auth, c->auth != NULL ? strlen(c->auth) : 0);
	free(c->body);
	free(c);
}

void
ex_call_cancel(struct ex_call *c)
{
	if (c == NULL)
		return;
	if (c->req != NULL)
		httpc_cancel(c->req);
	call_free(c);
}

void
ex_call_hand_over(struct ex_call *c, ex_call_fn done, void *arg)
{
	MUST(c->on_data == NULL);
	c->done = done;
	c->arg = arg;
}

static enum err_code
code_of(long status)
{
	switch (status) {
	case 400:
		return ERR_INVALID;
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_NOTFOUND;
	case 409:
		return ERR_CONFLICT;
	case 503:
		return ERR_UNAVAILABLE;
	default:
		return ERR_INTERNAL;
	}
}

/* The engine's own words, cut and without control characters. */
static int
refused(const struct httpc_response *resp, struct err **err)
{
	auto_json *j = NULL;
	const char *msg = NULL;
	char text[1024];
	size_t i;

	if (resp->body.len > 0 && json_parse(&j, resp->body.data, resp->body.len, NULL) == 0)
		msg = json_text(j, "message");
	snprintf(text, sizeof(text), "%s", msg != NULL ? msg : "no reason given");
	for (i = 0; text[i] != '\0'; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			text[i] = ' ';
	return err_set(
	    err, code_of(resp->status), "the engine answered %ld: %s", resp->status, text);
}

static void
finish(struct ex_call *c, json_t *answer, struct err **err)
{
	ex_call_fn done = c->done;
	void *arg = c->arg;

	call_free(c);
	done(answer, err, arg);
}

/* Begins the call again after a while, if that may change its outcome and there is time. */
static bool
repeated(struct ex_call *c, bool passing)
{
	if (!passing || c->no_repeat || clock_mono_ms() + c->backoff_ms >= c->deadline_ms)
		return false;
	loop_timer_start(c->again, c->backoff_ms);
	c->backoff_ms = c->backoff_ms * 2 < BACKOFF_MAX_MS ? c->backoff_ms * 2 : BACKOFF_MAX_MS;
	return true;
}

static void
on_done(struct httpc_response *resp, struct err **err, void *arg)
{
	struct ex_call *c = arg;
	auto_json *answer = NULL;
	auto_err e = NULL;

	c->req = NULL;
	if (*err != NULL) {
		bool away = (*err)->code == ERR_UNAVAILABLE;

		c->engine->outages += away;
		if (repeated(c, away))
			return;
		e = steal(err);
		err_wrap(&e, "container engine at %s", c->engine->socket);
	} else if (resp->status >= 400) {
		if (repeated(c, c->conflict_passes && code_of(resp->status) == ERR_CONFLICT))
			return;
		refused(resp, &e);
	} else if (c->on_data == NULL && resp->body.len > 0 &&
	           strcmp(buf_str(&resp->body), "OK") != 0) {
		if (json_parse(&answer, resp->body.data, resp->body.len, &e) != 0)
			err_wrap(&e, "the engine's answer");
	}
	finish(c, answer, &e);
}

static int
on_data(const void *p, size_t n, void *arg)
{
	struct ex_call *c = arg;

	return c->on_data(p, n, c->arg);
}

static void
attempt(void *arg)
{
	struct ex_call *c = arg;
	auto_free char *auth = c->auth != NULL ? xasprintf("X-Registry-Auth: %s", c->auth) : NULL;
	auto_free char *type = xasprintf("Content-Type: %s", c->content_type);
	const char *headers[4] = { "Expect:", type, auth, NULL };
	int64_t left = c->deadline_ms - clock_mono_ms();
	struct httpc_options opt = {
		.method = c->method,
		.url = c->url,
		.unix_socket = c->engine->socket,
		.headers = headers,
		.body = c->body,
		.body_len = c->body_len,
		.max_body = EX_ENGINE_ANSWER_MAX,
		.timeout_ms = left > 1 ? left : 1,
		.on_data = c->on_data != NULL ? on_data : NULL,
		.done = on_done,
		.arg = c,
	};

	c->req = httpc_start(c->engine->http, &opt);
	if (auth != NULL)
		explicit_bzero(auth, strlen(auth));
}

struct ex_call *
ex_engine_call(struct ex_engine *e, const struct ex_call_options *opt)
{
	struct ex_call *c = xcalloc(1, sizeof(*c));

	c->engine = e;
	c->method = xstrdup(opt->method);
	c->url = ex_engine_url(opt->path);
	c->auth = opt->auth != NULL ? xstrdup(opt->auth) : NULL;
	c->content_type = opt->raw != NULL ? "application/x-tar" : "application/json";
	if (opt->json != NULL) {
		c->body = json_print(opt->json);
		c->body_len = strlen(c->body);
	} else if (opt->raw != NULL) {
		c->body = xmemdup(opt->raw, opt->raw_len);
		c->body_len = opt->raw_len;
	}
	c->deadline_ms =
	    clock_mono_ms() + (opt->timeout_ms > 0 ? opt->timeout_ms : EX_ENGINE_TIMEOUT_MS);
	c->backoff_ms = BACKOFF_MIN_MS;
	c->no_repeat = opt->no_repeat;
	c->conflict_passes = opt->conflict_passes;
	c->on_data = opt->on_data;
	c->done = opt->done;
	c->arg = opt->arg;
	c->again = loop_timer_new(e->loop, "engine call again", attempt, c);
	attempt(c);
	return c;
}
