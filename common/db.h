/*
 * db.h - PostgreSQL: one blocking connection per worker thread, prepared statements, transactions.
 *
 * SQL is in store_*.c files only; others at most run a transaction of theirs. A store module lists
 * its SQL in one table of struct db_stmt; every statement is prepared when a connection is made, so
 * a typo is found by connecting (tests do so for all tables). Parameters are always bound.
 *
 * A lost connection is re-made by the next db_begin()/db_exec() of that thread (at most once per
 * call; then ERR_UNAVAILABLE). Connections carry connect_timeout, statement_timeout, lock_timeout
 * and tcp_user_timeout. SQLSTATE to code: 23505 and 40001/40P01 CONFLICT, 23503 and 22021 INVALID,
 * 57*, 08*, 25006 UNAVAILABLE, everything else INTERNAL.
 *
 * Thread: a struct db and its results belong to the thread that opened it.
 */
#ifndef COMMON_DB_H
#define COMMON_DB_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DB_PARAMS_MAX 40

struct db;
struct db_result;

struct db_stmt {
	const char *name; /* unique within the daemon */
	const char *sql;
	int nparams;
};

/* A bound value. Text form unless bytes. */
struct db_param {
	const char *text; /* NULL with is_bytes false = SQL NULL */
	const void *bytes;
	size_t len;
	bool is_bytes;
	bool is_int;
	int64_t num;
};
#define DB_TEXT(s) ((struct db_param){ .text = (s) })
#define DB_I64(v) ((struct db_param){ .is_int = true, .num = (v) })
#define DB_BOOL(v) ((struct db_param){ .text = (v) ? "t" : "f" })
#define DB_BYTES(p, n) ((struct db_param){ .bytes = (p), .len = (n), .is_bytes = true })
#define DB_NULL ((struct db_param){ 0 })

struct db_options {
	const char *conninfo;
	const char *schema;                  /* search_path */
	const char *settings;                /* "-c name=value ...", or NULL */
	const struct db_stmt *const *tables; /* statement tables, NULL-terminated list */
	const size_t *table_len;
};

/* Does not connect yet. opt's strings and tables are borrowed for the db's life. */
struct db *db_new(const struct db_options *opt);
void db_free(struct db *db); /* NULL allowed */

/* Executes a prepared statement by name. *out may be NULL when no rows are wanted. Outside
 * db_tx_run() each call is its own transaction. Inside, one whose rows are not wanted is only sent
 * (pipelined): the next one that waits for rows, or the commit, reads its answer and returns its
 * failure. So a transaction costs as many round trips as it asks for rows, and one. */
int db_exec(struct db_result **out, struct db *db, const char *stmt, const struct db_param *params,
    size_t nparams, struct err **err) MUSTCHECK;
#define db_query(out, db, err, stmt, ...)                                                          \
	db_exec(out, db, stmt, (const struct db_param[]){ { 0 }, ##__VA_ARGS__ } + 1,              \
	    sizeof((const struct db_param[]){ { 0 }, ##__VA_ARGS__ }) / sizeof(struct db_param) -  \
	        1,                                                                                 \
	    err)
/* Free SQL text, for migrations and tests only. */
int db_exec_sql(struct db_result **out, struct db *db, const char *sql, struct err **err) MUSTCHECK;

/* Runs fn inside one transaction: commit when it returns 0, roll back otherwise. Retries up to
 * DB_TX_TRIES times on serialization failures and deadlocks, so fn has no effect but SQL and its
 * own arg, which it must be able to fill again. A connection lost during COMMIT gives
 * ERR_UNAVAILABLE: the outcome is unknown, callers are idempotent. */
#define DB_TX_TRIES 5
typedef int (*db_tx_fn)(struct db *db, void *arg, struct err **err);
int db_tx_run(struct db *db, db_tx_fn fn, void *arg, struct err **err) MUSTCHECK;
/* Inside a transaction: it can no longer commit. */
bool db_tx_failed(const struct db *db);
/* Runs fn, which only reads, on one snapshot of all rows: without it each statement sees what was
 * committed before it. Inside db_tx_run() fn is simply called. Retries like db_tx_run(). */
int db_snapshot_run(struct db *db, db_tx_fn fn, void *arg, struct err **err) MUSTCHECK;
/* True once after a db_tx_run() whose outcome is unknown: who keeps a picture of the rows in memory
 * reads them again. */
bool db_take_doubt(struct db *db);

/* Rows, by column name. A missing column or a NULL where none is allowed is a bug: aborts. */
size_t db_rows(const struct db_result *r);
size_t db_affected(const struct db_result *r);
const char *db_text(
    const struct db_result *r, size_t row, const char *col); /* borrowed; NULL for SQL NULL */
int64_t db_i64(const struct db_result *r, size_t row, const char *col);
int64_t db_i64_or(const struct db_result *r, size_t row, const char *col, int64_t if_null);
bool db_bool(const struct db_result *r, size_t row, const char *col);
bool db_is_null(const struct db_result *r, size_t row, const char *col);
/* bytea column, decoded into malloc'ed memory owned by the caller; NULL for SQL NULL. */
void *db_bytes(size_t *len, const struct db_result *r, size_t row, const char *col);
void db_result_free(struct db_result *r); /* NULL allowed */

static inline void
db_auto_result(struct db_result **r)
{
	db_result_free(*r);
}
#define auto_result __attribute__((cleanup(db_auto_result))) struct db_result

/* Numbered forward-only migrations, compiled in (see Makefile: schema/NNNN_name.sql). Runs those
 * not yet applied, each in its own transaction, under an advisory lock; a database newer than this
 * binary is an error that says so. */
struct db_migration {
	int version;
	const char *name;
	const char *sql;
};
int db_migrate(struct db *db, const char *schema, const struct db_migration *list, size_t n,
    struct err **err) MUSTCHECK;

/* LISTEN on the loop: fn is called for each notification, and once (payload NULL) after each
 * (re)connect, since notifications may have been lost. Reconnects with back-off up to 5 s. */
struct db_listen;
struct loop;
typedef void (*db_notify_fn)(const char *channel, const char *payload, void *arg);
struct db_listen *db_listen_new(struct loop *loop, const char *conninfo,
    const char *const *channels, size_t n, db_notify_fn fn, void *arg);
void db_listen_free(struct db_listen *l);

#endif
