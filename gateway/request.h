/*
 * request.h - one API request from its arrival to its answer.
 *
 * Owned by the loop. While a worker job runs for it (one at a time), the worker alone touches it;
 * it never touches http. Memory from gw_req_alloc() lives until the answer. Exactly one of the
 * functions of reply.h ends it, or gw_req_free() after a stream has ended or taken over http.
 */
#ifndef GATEWAY_REQUEST_H
#define GATEWAY_REQUEST_H

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "gateway/route.h"
#include "gateway/store_user.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct http_req;

enum gw_who {
	GW_WHO_ANONYMOUS = 1,
	GW_WHO_ADMIN, /* the administrator token: no user */
	GW_WHO_USER,
};

struct gw_identity {
	enum gw_who kind;
	bool admin;
	struct gw_user user; /* kind USER */
};

struct gw_req {
	struct gateway *gw;
	struct http_req *http;
	const struct gw_route *route;
	struct gw_params params;
	const char *query; /* encoded */
	json_t *body;      /* an object when the route wants JSON */
	bool body_bad;     /* it was to be JSON and is not: err says why */
	uint8_t token_hash[GW_TOKEN_HASH_LEN];
	bool has_token; /* token_hash is to be looked up */
	struct gw_identity who;
	struct gw_user target; /* the user {u} names */

	/* outcome of a worker job */
	struct err *err;
	int denied;    /* status to refuse with, 0 = admitted */
	int status;    /* success status */
	json_t *reply; /* NULL: empty body */
	char *cursor;  /* X-Agola-Cursor, NULL: not a paginated route; arena */

	bool busy; /* a worker has it: set by gw_req_submit(), cleared before done */
	/* Called at shutdown and must end the request; NULL: a 503 is sent. */
	void (*abandon)(struct gw_req *rq);
	void *op; /* state of the handler that owns abandon */

	struct gw_mem *mem;
	int64_t started_us;
	struct gw_req *next, **link;
};

/* http_server's handler: arg is struct gateway. */
void gw_req_start(struct http_req *http, void *arg);
/* http_server's body_limit: the route's. */
size_t gw_req_body_limit(enum http_method method, const char *path, void *arg);
/* Unlinks and frees; http was answered or is owned by someone else now. */
void gw_req_free(struct gw_req *rq);

void *gw_req_alloc(struct gw_req *rq, size_t n); /* zeroed */
char *gw_req_strdup(struct gw_req *rq, const char *s);
char *gw_req_printf(struct gw_req *rq, const char *fmt, ...) PRINTF(2, 3);
/* Takes over a malloc'ed text (NULL allowed) and returns it. */
char *gw_req_own(struct gw_req *rq, char *malloced);

/* Runs a job of this request on a worker. False when the pool's queue is full. done must begin with
 * gw_req_back(). */
struct work_pool;
bool gw_req_submit(struct gw_req *rq, struct work_pool *pool, const char *name,
    void (*run)(void *thread_state, void *arg), void (*done)(void *arg), void *arg);
void gw_req_back(struct gw_req *rq);

const char *gw_req_param(const struct gw_req *rq, const char *name);
/* Query parameter decoded, in the arena, NULL when absent. */
const char *gw_req_query(struct gw_req *rq, const char *name, unsigned nth);
bool gw_req_query_has(const struct gw_req *rq, const char *name);

#endif
