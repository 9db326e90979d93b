/*
 * scope.h - where secrets and variables belong: the project or project group of a path, and what is
 * above it. The runservice keeps them by these ids and knows no paths.
 */
#ifndef GATEWAY_SCOPE_H
#define GATEWAY_SCOPE_H

#include "common/err.h"
#include "gateway.pb-c.h"

#include <stddef.h>

struct db;
struct gw_req;

/* Nearest first, up to the root group; all in the request's arena. */
struct gw_scopes {
	size_t n;
	char **ids, **paths;
};

/* Of the path's {p} or {pg}, into rq->op. Database thread. */
int gw_scopes_find(struct gw_req *rq, struct db *db, struct err **err) MUSTCHECK;
struct gw_scopes *gw_scopes_of(const struct gw_req *rq); /* what gw_scopes_find() found */
/* "" for NULL and for an id that is not among them. */
const char *gw_scopes_path(const struct gw_scopes *s, const char *id);
/* The scope itself and {name}, under a new request id, which lives as long as the request. */
Millrace__ScopeDeleteRequest gw_scopes_delete(struct gw_req *rq);
/* Callback of that: answers. */
void gw_scopes_deleted(const void *reply, struct err **err, void *rq);
/* Status of what was put: created or replaced. */
int gw_scopes_put_status(const struct gw_req *rq);
/* What {name} is to be replaced, NULL for something new. Borrowed, as texts of messages are that
 * are packed before they go. */
char *gw_scopes_old_name(const struct gw_req *rq);
char *gw_scopes_text(const char *borrowed);
/* The list that the query asks for: tree, removeoverridden. Points into s. */
Millrace__ScopeListRequest gw_scopes_list(const struct gw_req *rq);

#endif
