/*
 * parent.h - the group in which something is created, or to which it is moved. Database threads.
 */
#ifndef GATEWAY_PARENT_H
#define GATEWAY_PARENT_H

#include "common/err.h"
#include "gateway/store_group.h"

struct gw_req;

/* ref NULL or "": the caller's root group. ERR_NOTFOUND parentProjectGroupDoesNotExist; ERR_DENIED
 * unless the caller owns it. */
int gw_parent_find(struct gw_group *out, struct gw_req *rq, struct db *db, const char *ref,
    struct err **err) MUSTCHECK;

#endif
