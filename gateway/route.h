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

#include <stdbool.h>
#include <stddef.h>

#define GW_API "/api/v1alpha"
#define GW_API_BODY_MAX (1u << 20)
#define GW_ROUTE_PARAMS_MAX 5

struct gw_req;
struct db;

/* Is an identity looked at? */
enum gw_auth {
	GW_AUTH_NONE = 1, /* no: the header is not even read */
	GW_AUTH_OPT,      /* honoured when present; anonymous allowed */
	GW_AUTH_FORCED,   /* without one: 401 */
};

/* What the identity must be. */
enum gw_role {
	GW_ROLE_ANY = 1,
	GW_ROLE_USER,      /* a real user, not the bare administrator token */
	GW_ROLE_ADMIN,     /* administrator */
	GW_ROLE_SELF,      /* administrator or the user {u} */
	GW_ROLE_SELF_USER, /* as SELF, and a real user */
};

struct gw_route {
	enum http_method method;
	/* Literal segments, {name} for one segment, a last {name*} for the rest (undecoded
	 * slashes). A parameter {u} is resolved to a user before the handler runs. */
	const char *pattern;
	enum gw_auth auth;
	enum gw_role role;
	int denied; /* status when the role is not met */
	size_t body_max;
	bool json; /* the body must be one JSON object */
	/* Exactly one of the two. work runs on a database thread and fills rq->status and
	 * rq->reply; handle runs on the loop and answers itself, now or later. */
	int (*work)(struct gw_req *rq, struct db *db, struct err **err);
	void (*handle)(struct gw_req *rq);
	const char *help; /* one sentence; the OpenAPI document is made of these */
};

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
