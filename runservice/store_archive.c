#include "runservice/store_int.h"

#include "common/mem.h"

#include <string.h>

/* clang-format off */
const struct db_stmt rs_stmts_archive[] = {
	{ "archive_begin",
	  "insert into archives (id, run_id, task_id, fence, try, step) "
	  "values ($1, $2, $3, $4, $5, $6)", 6 },
	{ "archive_urls",
	  "update archives set urls = greatest(urls, $2), urls_at = now() where id = $1", 2 },
	{ "archive_get",
	  "select run_id, task_id, fence, try, step, done from archives where id = $1", 1 },
	{ "archive_part",
	  "insert into archive_parts (archive_id, part, size, sha256) values ($1, $2, $3, $4)", 4 },
	{ "archive_done", "update archives set done = true where id = $1 and not done", 1 },
	{ "archive_of_step",
	  "select id from archives where task_id = $1 and step = $2 and try = $3 and done "
	  "order by fence desc, created desc limit 1", 3 },
	{ "archives_undo",
	  "update archives a set done = false where task_id = $1 and try < $2 and done "
	  "and not exists (select from caches c where c.archive_id = a.id)", 2 },
	{ "archive_parts",
	  "select size, sha256, count(*) over () as total from archive_parts "
	  "where archive_id = $1 order by part", 1 },
};
/* clang-format on */
const size_t rs_stmts_archive_len = ARRAY_LEN(rs_stmts_archive);

int
rs_store_archive_begin(
    struct db *db, const char *id, const struct rs_archive_row *row, struct err **err)
{
	return db_query(NULL, db, err, "archive_begin", DB_TEXT(id), DB_TEXT(row->run_id),
	    DB_TEXT(row->task_id), DB_I64((int64_t)row->fence), DB_I64(row->tries),
	    DB_I64(row->step));
}

int
rs_store_archive_urls(struct db *db, const char *id, uint32_t upto, struct err **err)
{
	return db_query(NULL, db, err, "archive_urls", DB_TEXT(id), DB_I64(upto));
}

int
rs_store_archive_get(struct rs_archive_row *out, struct db *db, const char *id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "archive_get", DB_TEXT(id));
	if (rc != 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND, "no archive %s", id);
	rs_store_copy_id(out->run_id, r, 0, "run_id");
	rs_store_copy_id(out->task_id, r, 0, "task_id");
	out->fence = (uint64_t)db_i64(r, 0, "fence");
	out->tries = (unsigned)db_i64(r, 0, "try");
	out->step = (uint32_t)db_i64(r, 0, "step");
	out->done = db_bool(r, 0, "done");
	return 0;
}

int
rs_store_archive_part(struct db *db, const char *id, uint32_t part, uint64_t size,
    const void *sha256, struct err **err)
{
	return db_query(NULL, db, err, "archive_part", DB_TEXT(id), DB_I64(part),
	    DB_I64((int64_t)size), DB_BYTES(sha256, 32));
}

int
rs_store_archive_done(struct db *db, const char *id, struct err **err)
{
	return db_query(NULL, db, err, "archive_done", DB_TEXT(id));
}

int
rs_store_archive_of_step(char id[ID_LEN + 1], struct db *db, const char *task_id, unsigned tries,
    uint32_t step, struct err **err)
{
	auto_result *r = NULL;
	int rc =
	    db_query(&r, db, err, "archive_of_step", DB_TEXT(task_id), DB_I64(step), DB_I64(tries));
	if (rc != 0)
		return rc;
	id[0] = '\0';
	if (db_rows(r) > 0)
		rs_store_copy_id(id, r, 0, "id");
	return 0;
}

int
rs_store_archives_undo(struct db *db, const char *task_id, unsigned tries, struct err **err)
{
	return db_query(NULL, db, err, "archives_undo", DB_TEXT(task_id), DB_I64(tries));
}

int
rs_store_archive_parts(struct rs_part_row **parts, size_t *n, uint32_t *total, struct db *db,
    const char *id, uint32_t first, uint32_t max, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "archive_parts", DB_TEXT(id));
	if (rc != 0)
		return rc;
	size_t rows = db_rows(r);
	*total = (uint32_t)rows;
	*n = first >= rows ? 0 : rows - first < max ? rows - first : max;
	*parts = xcalloc(*n + 1, sizeof(**parts));
	for (size_t i = 0; i < *n; i++) {
		size_t len;
		auto_free void *sha = db_bytes(&len, r, first + i, "sha256");
		MUST(sha && len == 32);
		(*parts)[i].size = (uint64_t)db_i64(r, first + i, "size");
		memcpy((*parts)[i].sha256, sha, 32);
	}
	return 0;
}
