/*
 * route.h - the one route table: what exists, who may call it, how large its body may be.
 *
 * Matching is done on the still-encoded path, split at literal '/', segments decoded afterwards.
 * Authorisation is decided here and nowhere else: handlers run only for callers the row admits.
 */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include "common/err.h"
#include "common/http_server.h"
#include "gateway/access.h"
#include "gateway/body.h"

#include <stdbool.h>
#include <stddef.h>

#define GW_API "/api/v1alpha"
#define GW_API_BODY_MAX (1u << 20)
#define GW_IMPORT_BODY_MAX (512u << 20)
#define GW_ROUTE_PARAMS_MAX 5

struct gw_req;
struct db;

/* Is an identity looked at? */
enum gw_auth {
	GW_AUTH_NONE = 1, /* no: the header is not even read */
	GW_AUTH_OPT,      /* honoured when present; anonymous allowed */
	GW_AUTH_FORCED,   /* without one: 401 */
};

struct gw_route {
	enum http_method method;
	/* Literal segments, {name} for one segment, a last {name*} for the rest (undecoded
	 * slashes). The object that a parameter names is looked up before the handler runs: {u} a
	 * user, {o} an organization, {pg} a project group, {p} a project. */
	const char *pattern;
	enum gw_auth auth;
	enum gw_role role; /* to {p}, {pg} or {o}, else to {u} (access.h) */
	int denied;        /* status when the role is not met */
	int nouser;        /* status when it wants a real user; 0 = denied */
	size_t body_max;   /* 0 = GW_API_BODY_MAX */
	const struct gw_body
	    *body;    /* the body must be JSON of this shape; NULL = it is not looked at */
	bool runs;    /* needs the runservice */
	bool outside; /* works while a service is in maintenance */
	bool drops;   /* may delete projects or project groups */
	bool audited; /* goes into the audit log although it is a GET, or has no identity */
	/* Exactly one of the two. work runs on a database thread and fills rq->status and
	 * rq->reply; handle runs on the loop and answers itself, now or later. */
	int (*work)(struct gw_req *rq, struct db *db, struct err **err);
	void (*handle)(struct gw_req *rq);
	const char *query; /* names of query parameters, separated by blanks; NULL = none */
	const char *help;  /* one sentence; the OpenAPI document is made of these */
};
size_t gw_route_body_max(const struct gw_route *r);
/* Does a request of it change something? */
bool gw_route_is_unsafe(const struct gw_route *r);
/* Is it part of the REST API (the git server and the health pages are not)? */
bool gw_route_is_api(const struct gw_route *r);

struct gw_param {
	const char *name; /* points into the pattern, name_len bytes */
	size_t name_len;
	char *value; /* decoded, malloc'ed */
};
struct gw_params {
	struct gw_param list[GW_ROUTE_PARAMS_MAX];
	size_t n;
};
void gw_params_fini(struct gw_params *p);
/* Value of a parameter that the route's pattern has. */
const char *gw_params_get(const struct gw_params *p, const char *name);

extern const struct gw_route gw_routes[];
extern const size_t gw_nroutes;

/* Row of a request, NULL when there is none. params is filled only on a match. */
const struct gw_route *gw_route_find(
    struct gw_params *params, enum http_method method, const char *path);
/* The same on any table; for tests. */
const struct gw_route *gw_route_find_in(const struct gw_route *table, size_t n,
    struct gw_params *params, enum http_method method, const char *path);
bool gw_route_has_param(const struct gw_route *route, const char *name);

#endif
