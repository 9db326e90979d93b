#include "runservice/store_int.h"

#include "common/mem.h"

#include <stdio.h>
#include <string.h>

#define ATTEMPT_COLUMNS                                                                            \
	"a.task_id, a.fence, a.run_id, a.try, a.executor, a.session, a.state, a.begun, "           \
	"a.revision, "                                                                             \
	"coalesce(a.outcome, '') as outcome, "                                                     \
	"coalesce((extract(epoch from a.lease_expires - clock_timestamp()) * 1000)::bigint, 0) "   \
	"as left_ms "

/* clang-format off */
const struct db_stmt rs_stmts_attempt[] = {
	{ "attempt_get",
	  "select " ATTEMPT_COLUMNS "from attempts a where task_id = $1 and fence = $2", 2 },
	{ "attempt_lock",
	  "select " ATTEMPT_COLUMNS "from attempts a where task_id = $1 and fence = $2 for update", 2 },
	{ "attempts_tried",
	  "select count(*) as n from attempts where task_id = $1 and try = $2 "
	  "and lease_expires is not null", 2 },
	{ "attempts_renew",
	  "update attempts a set lease_expires = "
	  "clock_timestamp() + $4::bigint * interval '1 millisecond' "
	  "from unnest($2::uuid[], $3::bigint[]) as w (task_id, fence) "
	  "where a.task_id = w.task_id and a.fence = w.fence and a.executor = $1 "
	  "and a.state = 'held' returning a.task_id, a.fence", 4 },
	{ "attempts_adopt",
	  "update attempts a set session = $2 "
	  "from unnest($3::uuid[], $4::bigint[]) as w (task_id, fence) "
	  "where a.task_id = w.task_id and a.fence = w.fence and a.executor = $1 "
	  "and a.state = 'held'", 4 },
	{ "attempts_open",
	  "select " ATTEMPT_COLUMNS ", r.owner, r.number, r.stopping, t.nsteps from attempts a "
	  "join runs r on r.id = a.run_id join tasks t on t.run_id = a.run_id and t.id = a.task_id "
	  "where a.closed_at is null and ($1::text is null or a.executor = $1)", 1 },
	{ "attempts_expired",
	  "select " ATTEMPT_COLUMNS "from attempts a where a.closed_at is null and a.state = 'held' "
	  "and a.lease_expires < clock_timestamp()", 0 },
};
/* clang-format on */
const size_t rs_stmts_attempt_len = ARRAY_LEN(rs_stmts_attempt);

static void
copy_text(char *out, size_t size, const char *s)
{
	snprintf(out, size, "%s", s ? s : "");
}

static void
read_row(struct rs_attempt_row *a, const struct db_result *r, size_t i)
{
	const char *state = db_text(r, i, "state");
	rs_store_copy_id(a->task_id, r, i, "task_id");
	rs_store_copy_id(a->run_id, r, i, "run_id");
	a->fence = (uint64_t)db_i64(r, i, "fence");
	a->revision = (uint64_t)db_i64(r, i, "revision");
	a->tries = (unsigned)db_i64(r, i, "try");
	copy_text(a->executor, sizeof(a->executor), db_text(r, i, "executor"));
	copy_text(a->session, sizeof(a->session), db_text(r, i, "session"));
	copy_text(a->outcome, sizeof(a->outcome), db_text(r, i, "outcome"));
	a->place = strcmp(state, "closed") == 0 ? RS_FREE : rs_place_parse(state);
	a->begun = db_bool(r, i, "begun");
	a->left_ms = db_i64(r, i, "left_ms");
	a->expired = a->place == RS_HELD && a->left_ms < 0;
}

void
rs_attempt_rows_free(struct rs_attempt_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(rows[i].owner);
	free(rows);
}

static int
get_one(struct rs_attempt_row *out, struct db *db, const char *stmt, const char *task_id,
    uint64_t fence, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, stmt, DB_TEXT(task_id), DB_I64((int64_t)fence));
	if (rc != 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND, "no such attempt");
	memset(out, 0, sizeof(*out));
	read_row(out, r, 0);
	return 0;
}

int
rs_store_attempt_get(struct rs_attempt_row *out, struct db *db, const char *task_id, uint64_t fence,
    struct err **err)
{
	return get_one(out, db, "attempt_get", task_id, fence, err);
}

int
rs_store_attempt_lock(struct rs_attempt_row *out, struct db *db, const char *task_id,
    uint64_t fence, struct err **err)
{
	return get_one(out, db, "attempt_lock", task_id, fence, err);
}

int
rs_store_attempts_tried(
    uint64_t *n, struct db *db, const char *task_id, unsigned tries, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "attempts_tried", DB_TEXT(task_id), DB_I64(tries));
	if (rc == 0)
		*n = (uint64_t)db_i64(r, 0, "n");
	return rc;
}

int
rs_store_attempts_renew(struct rs_renewed **renewed, size_t *n, struct db *db, const char *executor,
    const char *tasks, const char *fences, int64_t lease_ms, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "attempts_renew", DB_TEXT(executor), DB_TEXT(tasks),
	    DB_TEXT(fences), DB_I64(lease_ms));
	if (rc != 0)
		return rc;
	*n = db_rows(r);
	*renewed = xcalloc(*n + 1, sizeof(**renewed));
	for (size_t i = 0; i < *n; i++) {
		rs_store_copy_id((*renewed)[i].task_id, r, i, "task_id");
		(*renewed)[i].fence = (uint64_t)db_i64(r, i, "fence");
	}
	return 0;
}

int
rs_store_attempts_adopt(struct db *db, const char *executor, const char *session, const char *tasks,
    const char *fences, struct err **err)
{
	return db_query(NULL, db, err, "attempts_adopt", DB_TEXT(executor), DB_TEXT(session),
	    DB_TEXT(tasks), DB_TEXT(fences));
}

int
rs_store_attempts_open(
    struct rs_attempt_row **rows, size_t *n, struct db *db, const char *executor, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "attempts_open", DB_TEXT(executor));
	if (rc != 0)
		return rc;
	*n = db_rows(r);
	*rows = xcalloc(*n + 1, sizeof(**rows));
	for (size_t i = 0; i < *n; i++) {
		struct rs_attempt_row *a = &(*rows)[i];
		read_row(a, r, i);
		a->owner = xstrdup(db_text(r, i, "owner"));
		a->number = (uint64_t)db_i64(r, i, "number");
		a->stopping = db_bool(r, i, "stopping");
		a->nsteps = (uint32_t)db_i64(r, i, "nsteps");
	}
	return 0;
}

int
rs_store_attempts_expired(struct rs_attempt_row **rows, size_t *n, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "attempts_expired");
	if (rc != 0)
		return rc;
	*n = db_rows(r);
	*rows = xcalloc(*n + 1, sizeof(**rows));
	for (size_t i = 0; i < *n; i++)
		read_row(&(*rows)[i], r, i);
	return 0;
}
