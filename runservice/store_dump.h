/*
 * store_dump.h - all rows of the runservice but who leads, out and in. Worker threads.
 */
#ifndef RUNSERVICE_STORE_DUMP_H
#define RUNSERVICE_STORE_DUMP_H

#include "common/db.h"

/* A nameless file in dir. */
int rs_store_dump(
    int *fd, uint64_t *size, struct db *db, const char *dir, struct err **err) MUSTCHECK;
/* Replaces everything, in a transaction of its own. */
int rs_store_load(
    struct db *db, int64_t epoch, const char *text, size_t len, struct err **err) MUSTCHECK;

#endif
