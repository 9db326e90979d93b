/*
 * store_dropped.h - projects and project groups that are gone (the database notes them) and whose
 * secrets and variables the runservice may still have. Database threads only.
 */
#ifndef GATEWAY_STORE_DROPPED_H
#define GATEWAY_STORE_DROPPED_H

#include "common/err.h"
#include "common/id.h"

#include <stddef.h>

struct db;

/* At most max of them. */
int gw_store_dropped_list(
    struct id *ids, size_t *n, size_t max, struct db *db, struct err **err) MUSTCHECK;
int gw_store_dropped_forget(
    struct db *db, const struct id *ids, size_t n, struct err **err) MUSTCHECK;

#endif
