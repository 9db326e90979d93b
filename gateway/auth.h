/*
 * auth.h - who calls, and may they? Decided from the route's row, never inside handlers.
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct gw_req;
struct db;

/* Token of an Authorization header "token X" (any case), NULL for none, another scheme or an empty
 * one. Borrowed from header. */
const char *gw_auth_token(const char *header);
/* Loop thread: reads the header. Afterwards the caller is known (administrator, anonymous) or
 * rq->has_token says that a token is to be looked up. */
void gw_auth_begin(struct gw_req *rq);
/* Is a database thread needed before gw_auth_decide()? */
bool gw_auth_needs_db(const struct gw_req *rq);
/* Database thread: looks token and {u} up. 0 with rq->denied set for a refusal. */
int gw_auth_lookup(struct gw_req *rq, struct db *db, struct err **err);
/* Any thread, after the lookups: sets rq->denied when the row does not admit the caller. */
void gw_auth_decide(struct gw_req *rq);

#endif
