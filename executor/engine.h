/*
 * engine.h - calls of the Docker Engine API (1.41) over its unix socket. Loop thread only.
 *
 * A call never calls back from inside its start. While the engine does not answer at all (it is
 * being restarted) a call is repeated with back-off until its timeout; every call made here may be
 * repeated. Answers are bounded by EX_ENGINE_ANSWER_MAX.
 *
 * Error codes: ERR_NOTFOUND 404, ERR_CONFLICT 409, ERR_INVALID 400 or an answer that is no JSON,
 * ERR_DENIED 401 and 403, ERR_UNAVAILABLE the engine did not answer, ERR_INTERNAL other refusals.
 */
#ifndef EXECUTOR_ENGINE_H
#define EXECUTOR_ENGINE_H

#include "common/httpc.h"
#include "common/json.h"
#include "common/loop.h"

#define EX_ENGINE_ANSWER_MAX (4u << 20)
#define EX_ENGINE_TIMEOUT_MS 60000
#define EX_ENGINE_CREATE_TIMEOUT_MS                                                                \
	300000 /* copying the content of an image's volumes included                               \
	        */

struct ex_engine;
struct ex_call;

/* url is unix:///path (checked by the configuration). */
struct ex_engine *ex_engine_new(struct loop *loop, struct httpc *http, const char *url);
void ex_engine_free(struct ex_engine *e);
struct httpc *ex_engine_http(struct ex_engine *e);
const char *ex_engine_socket(const struct ex_engine *e);
/* How often a call has found the engine away, or was cut off by its end: when the number moved
 * while a call was under way, what that call came back with may be the engine's death, not its
 * judgement. */
uint64_t ex_engine_outages(const struct ex_engine *e);
/* http://engine/v1.41<path>, malloc'ed. */
char *ex_engine_url(const char *path);

/* answer is borrowed, NULL when there was no body; err as above, cleared by us if the callback
 * leaves it. */
typedef void (*ex_call_fn)(json_t *answer, struct err **err, void *arg);

struct ex_call_options {
	const char *method;
	const char *path;   /* encoded, from "/containers..." on */
	const json_t *json; /* body; NULL = none */
	const void *raw;    /* or these bytes, application/x-tar */
	size_t raw_len;
	const char *auth;   /* X-Registry-Auth, NULL = none */
	int64_t timeout_ms; /* over all repetitions; 0: EX_ENGINE_TIMEOUT_MS */
	bool no_repeat;
	/* A 409 says that the engine is still at an earlier call of the same: repeated, too. */
	bool conflict_passes;
	/* The body goes here instead of into answer; non-zero aborts with ERR_CANCELED. */
	int (*on_data)(const void *p, size_t n, void *arg);
	ex_call_fn done;
	void *arg;
};
struct ex_call *ex_engine_call(struct ex_engine *e, const struct ex_call_options *opt);
/* NULL allowed; done is not called. The engine may do what was asked all the same. */
void ex_call_cancel(struct ex_call *call);
/* Another one waits for the answer from now on. */
void ex_call_hand_over(struct ex_call *call, ex_call_fn done, void *arg);

#endif
