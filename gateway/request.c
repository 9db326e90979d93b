#include "gateway/request.h"

#include "common/clock.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/work.h"
#include "gateway/audit.h"
#include "gateway/auth.h"
#include "gateway/dropped.h"
#include "gateway/gateway.h"
#include "gateway/reply.h"

#include <stdio.h>
#include <string.h>

/* One allocation of the arena; each its own malloc so that sanitizers see overruns. */
struct gw_mem {
	struct gw_mem *next;
	void *p;
};

static void *
keep(struct gw_req *rq, void *p)
{
	struct gw_mem *m = xmalloc(sizeof(*m));

	m->p = p;
	m->next = rq->mem;
	rq->mem = m;
	return p;
}

void *
gw_req_alloc(struct gw_req *rq, size_t n)
{
	return keep(rq, xcalloc(1, n));
}

char *
gw_req_strdup(struct gw_req *rq, const char *s)
{
	return keep(rq, xstrdup(s));
}

char *
gw_req_printf(struct gw_req *rq, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return keep(rq, s);
}

char *
gw_req_own(struct gw_req *rq, char *malloced)
{
	return malloced ? keep(rq, malloced) : NULL;
}

const char *
gw_req_param(const struct gw_req *rq, const char *name)
{
	return gw_params_get(&rq->params, name);
}

const char *
gw_req_query(struct gw_req *rq, const char *name, unsigned nth)
{
	return gw_req_own(rq, http_query_get(rq->query, name, nth));
}

bool
gw_req_query_has(const struct gw_req *rq, const char *name)
{
	return http_query_has(rq->query, name);
}

void
gw_req_free(struct gw_req *rq)
{
	*rq->link = rq->next;
	if (rq->next)
		rq->next->link = rq->link;
	gw_params_fini(&rq->params);
	gw_group_fini(&rq->group);
	gw_project_fini(&rq->project);
	json_decref(rq->body);
	json_decref(rq->reply);
	err_clear(&rq->err);
	while (rq->mem) {
		struct gw_mem *m = rq->mem;

		rq->mem = m->next;
		free(m->p);
		free(m);
	}
	free(rq);
}

/* Loop: the caller is known and admitted or refused, the work (if any) is done. */
static void
answer(struct gw_req *rq)
{
	if (rq->err) {
		struct err *err = steal(&rq->err);

		gw_reply_err(rq, &err);
	} else if (rq->csrf_refused) {
		gw_reply_text(
		    rq, rq->denied, gw_req_printf(rq, "Forbidden - %s", rq->csrf_problem));
	} else if (rq->denied) {
		gw_reply_denied(rq, rq->denied);
	} else if (rq->route->work) {
		gw_reply_json(rq, rq->status, steal(&rq->reply));
	} else if (rq->gw->stopping) {
		gw_reply_denied(rq, 503);
	} else {
		rq->route->handle(rq);
	}
}

bool
gw_req_submit(struct gw_req *rq, struct work_pool *pool, const char *name,
    void (*run)(void *thread_state, void *arg), void (*done)(void *arg), void *arg)
{
	rq->busy = true;
	if (!work_submit(pool, name, 0, run, done, arg))
		rq->busy = false;
	return rq->busy;
}

void
gw_req_back(struct gw_req *rq)
{
	rq->busy = false;
}

/* What was read of the maintenance flags holds for the next requests too. */
static void
keep_maintenance(struct gw_req *rq)
{
	if (!rq->maintenance_read)
		return;
	rq->gw->maintenance = rq->maintenance;
	rq->gw->maintenance_read_ms = clock_mono_ms();
}

static void
db_done(void *arg)
{
	const struct gw_req *rq = arg;

	gw_req_back(arg);
	keep_maintenance(arg);
	if (rq->route->drops && !rq->err && !rq->denied)
		gw_dropped_look(rq->gw->dropped);
	answer(arg);
}

/* Admitted, and its body is good. */
static void
do_work(struct gw_req *rq, struct db *db)
{
	bool audited = gw_req_is_audited(rq);

	if (!rq->route->work) {
		/* What cannot be written down is not begun. */
		if (audited)
			(void)!gw_audit(rq, db, "asked", &rq->err);
		return;
	}
	if (rq->route->work(rq, db, &rq->err) < 0) {
		MUST(rq->err);
	} else if (audited && !rq->denied) {
		gw_audit_after(rq, db, "done");
	}
}

static void
db_run(void *thread_state, void *arg)
{
	struct gw_req *rq = arg;
	struct db *db = thread_state;
	struct err *body_err = steal(&rq->err);

	/* A connection that broke while it was idle shows at its first use: looking up is asked
	 * once more, on a fresh one. */
	if (gw_auth_lookup(rq, db, &rq->err) == ERR_UNAVAILABLE && !rq->maintenance) {
		err_clear(&rq->err);
		(void)!gw_auth_lookup(rq, db, &rq->err);
	}
	/* Who may not call learns nothing about the body: its error comes last. */
	if (rq->err || rq->denied)
		err_free(body_err);
	else if (body_err)
		rq->err = body_err;
	else
		do_work(rq, db);
}

/* --- steps of handlers --- */

static void
step_run(void *thread_state, void *arg)
{
	struct gw_req *rq = arg;

	if (rq->step(rq, thread_state, &rq->err) < 0)
		MUST(rq->err);
}

static void
step_done(void *arg)
{
	struct gw_req *rq = arg;

	gw_req_back(rq);
	if (rq->err) {
		struct err *err = steal(&rq->err);

		gw_reply_err(rq, &err);
	} else if (rq->denied) {
		gw_reply_denied(rq, rq->denied);
	} else if (rq->then && rq->gw->stopping) {
		gw_reply_denied(rq, 503);
	} else if (rq->then) {
		rq->then(rq);
	} else {
		gw_reply_json(rq, rq->status, steal(&rq->reply));
	}
}

void
gw_req_step(struct gw_req *rq, struct work_pool *pool,
    int (*work)(struct gw_req *rq, struct db *db, struct err **err),
    void (*then)(struct gw_req *rq))
{
	rq->step = work;
	rq->then = then;
	if (!gw_req_submit(rq, pool, "step", step_run, step_done, rq)) {
		log_warn("too many requests wait for a worker");
		gw_reply_denied(rq, 503);
	}
}

int
gw_req_page(
    struct gw_page *out, struct gw_req *rq, bool (*key_ok)(const char *key), struct err **err)
{
	return gw_page_parse(out, gw_req_query(rq, "limit", 0),
	    gw_req_query(rq, "sortdirection", 0), gw_req_query(rq, "cursor", 0), true, key_ok, err);
}

void
gw_req_next_page(struct gw_req *rq, const struct gw_page *page, bool more, const char *last)
{
	rq->cursor = more ? gw_req_own(rq, gw_page_cursor(page, last)) : gw_req_strdup(rq, "");
}

bool
gw_req_is_audited(const struct gw_req *rq)
{
	const struct gw_route *r = rq->route;

	return r->audited ||
	       (gw_route_is_api(r) && gw_route_is_unsafe(r) && r->auth != GW_AUTH_NONE);
}

const char *
gw_req_user_id(const struct gw_req *rq)
{
	return rq->who.kind == GW_WHO_USER ? rq->who.user.id : NULL;
}

char *
gw_req_run_owner(struct gw_req *rq)
{
	return *rq->project.id ? gw_req_printf(rq, "/project/%s", rq->project.id)
	                       : gw_req_printf(rq, "/user/%s", rq->target.id);
}

static int
parse_body(struct gw_req *rq, struct err **err)
{
	size_t n;
	const void *p = http_req_body(rq->http, &n);

	if (json_parse(&rq->body, p, n, err) < 0)
		return err_wrap(err, "request body");
	return gw_body_check(rq->route->body, rq->body, err);
}

static struct gw_req *
req_new(struct gateway *gw, struct http_req *http, const struct gw_route *route,
    const struct gw_params *params)
{
	struct gw_req *rq = xcalloc(1, sizeof(*rq));

	rq->gw = gw;
	rq->http = http;
	rq->route = route;
	rq->params = *params;
	rq->query = http_req_query(http);
	rq->path = gw_req_strdup(rq, http_req_path(http));
	rq->peer = gw_req_strdup(rq, http_req_peer(http));
	rq->method = http_req_method_name(http);
	rq->maintenance = gw->maintenance;
	rq->maintenance_old = !gw->maintenance_read_ms ||
	                      clock_mono_ms() - gw->maintenance_read_ms > GW_MAINTENANCE_MS;
	rq->who.kind = GW_WHO_ANONYMOUS;
	rq->status = 200;
	rq->started_us = clock_mono_us();
	rq->next = gw->requests;
	rq->link = &gw->requests;
	if (rq->next)
		rq->next->link = &rq->next;
	gw->requests = rq;
	return rq;
}

size_t
gw_req_body_limit(enum http_method method, const char *path, void *arg)
{
	struct gw_params params;
	const struct gw_route *route = gw_route_find(&params, method, path);

	(void)arg;
	if (!route)
		return GW_API_BODY_MAX;
	gw_params_fini(&params);
	return gw_route_body_max(route);
}

/* Asked by browsers before a request from another origin, without credentials. */
static bool
answer_preflight(struct gateway *gw, struct http_req *http)
{
	if (http_req_method(http) != HTTP_OPTIONS || gw->cfg->allowed_origins.n == 0 ||
	    strncmp(http_req_path(http), GW_API "/", strlen(GW_API "/")) != 0)
		return false;
	gw_reply_preflight(gw, http);
	return true;
}

void
gw_req_start(struct http_req *http, void *arg)
{
	struct gateway *gw = arg;
	struct gw_params params;
	const struct gw_route *route =
	    gw_route_find(&params, http_req_method(http), http_req_path(http));
	struct gw_req *rq;
	size_t body_len;

	if (!route) {
		if (!answer_preflight(gw, http))
			gw_reply_no_route(http);
		return;
	}
	rq = req_new(gw, http, route, &params);
	(void)http_req_body(http, &body_len);
	if (body_len > gw_route_body_max(route)) {
		gw_reply_text(rq, 417, "request too large");
		return;
	}
	gw_auth_begin(rq);
	if (!gw_auth_needs_db(rq))
		gw_auth_decide(rq);
	if (route->body && !rq->denied)
		(void)!parse_body(rq, &rq->err);
	if (rq->denied || (!gw_auth_needs_db(rq) && (rq->err || !route->work))) {
		answer(rq);
		return;
	}
	if (!gw_req_submit(rq, gw->db_pool, "request", db_run, db_done, rq)) {
		log_warn("too many requests wait for the database");
		gw_reply_denied(rq, 503);
	}
}
