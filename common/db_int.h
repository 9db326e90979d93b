/*
 * db_int.h - what db.c, db_result.c, db_migrate.c and db_listen.c share: connection parameters and
 * errors.
 */
#ifndef COMMON_DB_INT_H
#define COMMON_DB_INT_H

#include "common/db.h"

#include <libpq-fe.h>

struct db_result {
	PGresult *res;
};

/* conninfo with our time limits and keepalive added; for PQconnectdbParams with expand_dbname. */
#define DB_CONN_PARAMS 10
struct db_conn_params {
	const char *keys[DB_CONN_PARAMS + 1];
	const char *values[DB_CONN_PARAMS + 1];
	char options[512];
};
/* schema NULL: no search_path; settings NULL: none more. ERR_INVALID when conninfo cannot be
 * parsed; never quotes it. */
int db_conn_params(struct db_conn_params *out, const char *conninfo, const char *schema,
    const char *settings, struct err **err) MUSTCHECK;

/* [a-z_][a-z0-9_]*, so that it needs no quoting anywhere. */
bool db_name_ok(const char *s);

/* Sets *err from a failed result (NULL allowed: connection trouble) of what. */
int db_error(struct err **err, const PGconn *conn, const PGresult *res, const char *what);
/* First line of libpq's message, without newline; out holds n. */
void db_conn_message(char *out, size_t n, const PGconn *conn);

/* Connects if needed, without preparing statements. */
int db_connect_raw(struct db *db, struct err **err) MUSTCHECK;
/* As db_tx_run, for a database whose tables do not exist yet: db_exec_sql() only. */
int db_tx_run_raw(struct db *db, db_tx_fn fn, void *arg, struct err **err) MUSTCHECK;

#endif
