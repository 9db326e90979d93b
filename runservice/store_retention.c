#include "runservice/store_int.h"

#include "common/mem.h"

#define MS(p_) "(" p_ "::bigint * interval '1 millisecond')"

/* clang-format off */
const struct db_stmt rs_stmts_retention[] = {
	{ "retention_begin",
	  "select set_config('enable_seqscan', 'on', true), set_config('enable_hashjoin', 'on', true), "
	  "set_config('enable_mergejoin', 'on', true)", 0 },
	{ "caches_retire",
	  "update caches set retired = now() where retired is null and created < now() - " MS("$1"), 1 },
	/* What no row makes readable: never completed, or thrown away because another save was first. */
	{ "archives_unnamed",
	  "select id, run_id, task_id, fence, urls from archives a where not done "
	  "and urls_at < now() - " MS("$1") " and not exists (select from attempts t "
	  "where t.task_id = a.task_id and t.fence = a.fence and t.state <> 'closed') limit $2", 2 },
	{ "archives_retired",
	  "select a.id, a.run_id, a.task_id, a.fence, a.urls from caches c "
	  "join archives a on a.id = c.archive_id where c.retired < now() - " MS("$1") " limit $2", 2 },
	/* Workspaces; a restarted run that goes on may have taken its tasks from an older one. */
	{ "archives_old",
	  "select id, run_id, task_id, fence, urls from archives a where done "
	  "and created < now() - " MS("$1")
	  " and not exists (select from caches c where c.archive_id = a.id) "
	  "and not exists (select from tasks t where t.id = a.task_id) limit $2", 2 },
	{ "archive_delete", "delete from archives where id = $1", 1 },
	{ "logs_old",
	  "with gone as (delete from log_segments l where ctid in (select s.ctid from log_segments s "
	  "where s.created < now() - " MS("$1") " and not exists (select from tasks t "
	  "where t.id = s.task_id) limit $2) returning l.task_id, l.step, l.try, l.key), "
	  "mark as (insert into deleted_logs (task_id, step, try) "
	  "select distinct task_id, step, try from gone "
	  "on conflict do nothing) "
	  "insert into garbage (key) select key from gone on conflict do nothing", 2 },
};
/* clang-format on */
const size_t rs_stmts_retention_len = ARRAY_LEN(rs_stmts_retention);

int
rs_store_retention_begin(struct db *db, int64_t epoch, struct err **err)
{
	int rc = rs_store_assert_epoch(db, epoch, err);
	return rc == 0 ? db_query(NULL, db, err, "retention_begin") : rc;
}

int
rs_store_caches_retire(uint64_t *n, struct db *db, int64_t older_ms, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "caches_retire", DB_I64(older_ms));
	if (rc == 0)
		*n = db_affected(r);
	return rc;
}

int
rs_store_archives_dead(struct rs_dead_archive **list, size_t *n, struct db *db,
    enum rs_dead_kind kind, int64_t older_ms, uint32_t max, struct err **err)
{
	static const char *const stmts[] = { "archives_unnamed", "archives_retired",
		"archives_old" };
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, stmts[kind], DB_I64(older_ms), DB_I64(max));
	if (rc != 0)
		return rc;
	*n = db_rows(r);
	*list = xcalloc(*n + 1, sizeof(**list));
	for (size_t i = 0; i < *n; i++) {
		rs_store_copy_id((*list)[i].id, r, i, "id");
		rs_store_copy_id((*list)[i].row.run_id, r, i, "run_id");
		rs_store_copy_id((*list)[i].row.task_id, r, i, "task_id");
		(*list)[i].row.fence = (uint64_t)db_i64(r, i, "fence");
		(*list)[i].urls = (uint32_t)db_i64(r, i, "urls");
	}
	return 0;
}

int
rs_store_archive_delete(struct db *db, const char *id, struct err **err)
{
	return db_query(NULL, db, err, "archive_delete", DB_TEXT(id));
}

int
rs_store_logs_old(uint64_t *n, struct db *db, int64_t older_ms, uint32_t max, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "logs_old", DB_I64(older_ms), DB_I64(max));
	if (rc == 0)
		*n = db_affected(r);
	return rc;
}
