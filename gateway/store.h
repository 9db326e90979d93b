/*
 * store.h - the gateway's database: connections for worker threads, migrations.
 */
#ifndef GATEWAY_STORE_H
#define GATEWAY_STORE_H

#include "common/err.h"

struct db;

#define GW_SCHEMA "gateway"

/* Does not connect yet; conninfo is borrowed. */
struct db *gw_store_open(const char *conninfo);
void gw_store_close(struct db *db);
/* Brings the schema up to date. */
int gw_store_migrate(const char *conninfo, struct err **err) MUSTCHECK;
/* Does PostgreSQL answer? */
int gw_store_ping(struct db *db, struct err **err) MUSTCHECK;

#endif
