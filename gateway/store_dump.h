/*
 * store_dump.h - all that this gateway's schema holds but the audit log and the maintenance flags,
 * out and in. Database threads only.
 */
#ifndef GATEWAY_STORE_DUMP_H
#define GATEWAY_STORE_DUMP_H

#include "common/db.h"

/* A nameless file in dir. */
int gw_store_dump(
    int *fd, uint64_t *size, struct db *db, const char *dir, struct err **err) MUSTCHECK;
/* Replaces everything, in one transaction. */
int gw_store_load(struct db *db, const char *text, size_t len, struct err **err) MUSTCHECK;

#endif
