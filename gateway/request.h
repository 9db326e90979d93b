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
#include "gateway/page.h"
#include "gateway/route.h"
#include "gateway/session.h"
#include "gateway/store_org.h"
#include "gateway/store_project.h"

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
	const char *query;                /* encoded */
	const char *path, *peer, *method; /* as of http, for workers; arena */
	json_t *body;                     /* of the route's shape when it has one */
	uint8_t token_hash[GW_TOKEN_HASH_LEN];
	bool has_token;   /* token_hash is to be looked up */
	bool token_reads; /* the token's scope allows no change */
	bool has_session; /* the cookies are good; the user is to be looked up */
	struct gw_session session;
	/* A browser's: the value of its CSRF cookie, why its request would be refused (or NULL),
	 * and whether it was. */
	uint8_t csrf_value[GW_CSRF_LEN];
	bool csrf_known, csrf_refused;
	const char *csrf_problem;
	struct gw_identity who;
	/* What the path names; only what the pattern has is filled. */
	struct gw_user target;                  /* {u} */
	struct gw_org org;                      /* {o} */
	struct gw_group group;                  /* {pg} */
	struct gw_project project;              /* {p} */
	struct gw_facts facts;                  /* of the caller and that object */
	unsigned maintenance;                   /* services in it, as this request saw them */
	bool maintenance_old, maintenance_read; /* to be read again; was read by this request */

	/* outcome of a worker job */
	struct err *err;
	int denied;    /* status to refuse with, 0 = admitted */
	int status;    /* success status */
	json_t *reply; /* NULL: empty body */
	char *cursor;  /* X-Agola-Cursor, NULL: not a paginated route; arena */
	bool login;    /* who.user logged in: the answer carries the session's cookies */

	/* the step that runs, see gw_req_step() */
	int (*step)(struct gw_req *rq, struct db *db, struct err **err);
	void (*then)(struct gw_req *rq);

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
/* One step of a handler on the loop: work on a thread of pool (whose state must be a struct db),
 * then back on the loop: its error is answered; else then runs, or (NULL) rq->status and rq->reply
 * are the answer. A full queue is answered with 503. */
void gw_req_step(struct gw_req *rq, struct work_pool *pool,
    int (*work)(struct gw_req *rq, struct db *db, struct err **err),
    void (*then)(struct gw_req *rq));
/* The page a list is asked for. key_ok: what may be in a cursor. */
int gw_req_page(struct gw_page *out, struct gw_req *rq, bool (*key_ok)(const char *key),
    struct err **err) MUSTCHECK;
/* Sets rq->cursor: last is the key of the page's last row. */
void gw_req_next_page(struct gw_req *rq, const struct gw_page *page, bool more, const char *last);
/* Does it leave a line in the audit log? */
bool gw_req_is_audited(const struct gw_req *rq);
/* Id of the caller, NULL when it is no user. */
const char *gw_req_user_id(const struct gw_req *rq);
/* Owner of the path's runs: /project/<id> or /user/<id>; arena. */
char *gw_req_run_owner(struct gw_req *rq);

const char *gw_req_param(const struct gw_req *rq, const char *name);
/* Query parameter decoded, in the arena, NULL when absent. */
const char *gw_req_query(struct gw_req *rq, const char *name, unsigned nth);
bool gw_req_query_has(const struct gw_req *rq, const char *name);

#endif
