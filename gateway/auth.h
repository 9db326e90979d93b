/*
 * auth.h - who calls, and may they? Decided from the route's row, never inside handlers.
 *
 * Order: token, else the pair of session cookies; then CSRF (cookies only); then what the path
 * names; then the row's role through access.h.
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include "common/err.h"
#include "gateway/access.h"

#include <stdbool.h>

struct gw_req;
struct gw_group;
struct db;

/* Token of an Authorization header "token X" (any case), NULL for none, another scheme or an empty
 * one. Borrowed from header. */
const char *gw_auth_token(const char *header);
/* Loop thread: reads the headers. Afterwards the caller is known (administrator, anonymous), or
 * rq->has_token or rq->has_session says what is to be looked up. */
void gw_auth_begin(struct gw_req *rq);
/* Is a database thread needed to decide? */
bool gw_auth_needs_db(const struct gw_req *rq);
/* Database thread: looks up the caller and what the path names, and decides. 0 with rq->denied set
 * for a refusal. */
int gw_auth_lookup(struct gw_req *rq, struct db *db, struct err **err);
/* The same when no database thread was needed. */
void gw_auth_decide(struct gw_req *rq);
/* Facts of the caller about a group and what is in it: for handlers that meet a second object. */
struct gw_facts gw_auth_group_facts(const struct gw_req *rq, const struct gw_group *g);

#endif
