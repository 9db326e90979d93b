#include "runservice/store_int.h"

#include "common/mem.h"

/* clang-format off */
const struct db_stmt rs_stmts_log[] = {
	{ "log_end",
	  "select coalesce(max(end_off), 0) as stop, exists (select from deleted_logs "
	  "where task_id = $1 and step = $2 and try = $3) as deleted "
	  "from log_segments where task_id = $1 and step = $2 and try = $3", 3 },
	{ "log_find",
	  "select start_off, end_off, key from log_segments "
	  "where task_id = $1 and step = $2 and try = $3 and start_off <= $4::bigint "
	  "and end_off > $4::bigint order by start_off desc limit 1", 4 },
	{ "log_add",
	  "insert into log_segments (task_id, step, try, fence, start_off, end_off, key) "
	  "values ($1, $2, $3, $4, $5, $6, $7)", 7 },
	{ "log_delete",
	  "with gone as (delete from log_segments where task_id = $1 and step = $2 and try = $3 "
	  "returning key), mark as (insert into deleted_logs (task_id, step, try) values ($1, $2, $3) "
	  "on conflict do nothing) "
	  "insert into garbage (key) select key from gone on conflict do nothing", 3 },
	{ "log_reset",
	  "with gone as (delete from log_segments where task_id = $1 and try = $2 returning key) "
	  "insert into garbage (key) select key from gone on conflict do nothing", 2 },
	{ "garbage_add", "insert into garbage (key) values ($1) on conflict do nothing", 1 },
	{ "garbage_list", "select key from garbage order by at limit 200", 0 },
	{ "garbage_forget", "delete from garbage where key = $1", 1 },
};
/* clang-format on */
const size_t rs_stmts_log_len = ARRAY_LEN(rs_stmts_log);

int
rs_store_log_end(uint64_t *end, struct db *db, const struct rs_log_id *id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(
	    &r, db, err, "log_end", DB_TEXT(id->task_id), DB_I64(id->step), DB_I64(id->tries));
	if (rc == 0)
		*end = (uint64_t)db_i64(r, 0, "stop");
	return rc;
}

int
rs_store_log_find(struct rs_segment *seg, uint64_t *end, bool *deleted, struct db *db,
    const struct rs_log_id *id, uint64_t offset, struct err **err)
{
	auto_result *r = NULL, *f = NULL;
	int rc = db_query(
	    &r, db, err, "log_end", DB_TEXT(id->task_id), DB_I64(id->step), DB_I64(id->tries));
	if (rc == 0)
		rc = db_query(&f, db, err, "log_find", DB_TEXT(id->task_id), DB_I64(id->step),
		    DB_I64(id->tries), DB_I64((int64_t)offset));
	if (rc != 0)
		return rc;
	*end = (uint64_t)db_i64(r, 0, "stop");
	*deleted = db_bool(r, 0, "deleted");
	*seg = (struct rs_segment){ 0 };
	if (db_rows(f) > 0)
		*seg = (struct rs_segment){ .start = (uint64_t)db_i64(f, 0, "start_off"),
			.end = (uint64_t)db_i64(f, 0, "end_off"),
			.key = xstrdup(db_text(f, 0, "key")) };
	return 0;
}

int
rs_store_log_add(struct db *db, const struct rs_log_id *id, uint64_t fence,
    const struct rs_segment *seg, struct err **err)
{
	return db_query(NULL, db, err, "log_add", DB_TEXT(id->task_id), DB_I64(id->step),
	    DB_I64(id->tries), DB_I64((int64_t)fence), DB_I64((int64_t)seg->start),
	    DB_I64((int64_t)seg->end), DB_TEXT(seg->key));
}

int
rs_store_log_delete(struct db *db, const struct rs_log_id *id, struct err **err)
{
	return db_query(
	    NULL, db, err, "log_delete", DB_TEXT(id->task_id), DB_I64(id->step), DB_I64(id->tries));
}

int
rs_store_log_reset(struct db *db, const char *task_id, unsigned tries, struct err **err)
{
	return db_query(NULL, db, err, "log_reset", DB_TEXT(task_id), DB_I64(tries));
}

int
rs_store_garbage_add(struct db *db, const char *key, struct err **err)
{
	return db_query(NULL, db, err, "garbage_add", DB_TEXT(key));
}

int
rs_store_garbage_list(char ***keys, size_t *n, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "garbage_list");
	if (rc != 0)
		return rc;
	*n = db_rows(r);
	*keys = xcalloc(*n + 1, sizeof(**keys));
	for (size_t i = 0; i < *n; i++)
		(*keys)[i] = xstrdup(db_text(r, i, "key"));
	return 0;
}

int
rs_store_garbage_forget(struct db *db, const char *key, struct err **err)
{
	return db_query(NULL, db, err, "garbage_forget", DB_TEXT(key));
}
