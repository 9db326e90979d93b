#include "gateway/request.h"

#include "common/clock.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/work.h"
#include "gateway/auth.h"
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

static void
db_done(void *arg)
{
	gw_req_back(arg);
	answer(arg);
}

static void
db_run(void *thread_state, void *arg)
{
	struct gw_req *rq = arg;
	struct db *db = thread_state;
	struct err *body_err = steal(&rq->err);

	/* A connection that broke while it was idle shows at its first use: looking up is asked
	 * once more, on a fresh one. */
	if (gw_auth_lookup(rq, db, &rq->err) == ERR_UNAVAILABLE) {
		err_clear(&rq->err);
		(void)!gw_auth_lookup(rq, db, &rq->err);
	}
	if (!rq->err && !rq->denied)
		gw_auth_decide(rq);
	/* Who may not call learns nothing about the body: its error comes last. */
	if (rq->err || rq->denied)
		err_free(body_err);
	else if (body_err)
		rq->err = body_err;
	else if (rq->route->work && rq->route->work(rq, db, &rq->err) < 0)
		MUST(rq->err);
}

static int
parse_body(struct gw_req *rq, struct err **err)
{
	size_t n;
	const void *p = http_req_body(rq->http, &n);

	if (json_parse(&rq->body, p, n, err) < 0)
		return err_wrap(err, "request body");
	if (!json_is_object(rq->body))
		return err_set(err, ERR_INVALID, "request body: must be a JSON object");
	return 0;
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
	return route->body_max;
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
		gw_reply_no_route(http);
		return;
	}
	rq = req_new(gw, http, route, &params);
	(void)http_req_body(http, &body_len);
	if (body_len > route->body_max) {
		gw_reply_text(rq, 417, "request too large");
		return;
	}
	gw_auth_begin(rq);
	if (!gw_auth_needs_db(rq))
		gw_auth_decide(rq);
	if (route->json && !rq->denied)
		rq->body_bad = parse_body(rq, &rq->err) < 0;
	if (rq->denied || (!gw_auth_needs_db(rq) && (!route->work || rq->body_bad))) {
		answer(rq);
		return;
	}
	if (!gw_req_submit(rq, gw->db_pool, "request", db_run, db_done, rq)) {
		log_warn("too many requests wait for the database");
		gw_reply_denied(rq, 503);
	}
}
