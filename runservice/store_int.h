/*
 * store_int.h - shared by the store_*.c files only: their statement tables and small helpers.
 */
#ifndef RUNSERVICE_STORE_INT_H
#define RUNSERVICE_STORE_INT_H

#include "runservice/store.h"

extern const struct db_stmt rs_stmts_leader[], rs_stmts_run[], rs_stmts_attempt[],
    rs_stmts_secret[], rs_stmts_scope[], rs_stmts_log[], rs_stmts_archive[], rs_stmts_outbox[],
    rs_stmts_write[];
extern const size_t rs_stmts_leader_len, rs_stmts_run_len, rs_stmts_attempt_len,
    rs_stmts_secret_len, rs_stmts_scope_len, rs_stmts_log_len, rs_stmts_archive_len,
    rs_stmts_outbox_len, rs_stmts_write_len;

extern const struct db_stmt rs_stmts_cache[], rs_stmts_retention[];
extern const size_t rs_stmts_cache_len, rs_stmts_retention_len;

/* Copies a uuid column. */
void rs_store_copy_id(char out[ID_LEN + 1], const struct db_result *r, size_t row, const char *col);
/* Malloc'ed array of a uuid column. */
struct id *rs_store_ids(size_t *n, const struct db_result *r, const char *col);

#endif
