#include "runservice/store_int.h"

#include "common/mem.h"

#include <pthread.h>
#include <string.h>

/* clang-format off */
const struct db_stmt rs_stmts_leader[] = {
	{ "leader_assert", "select assert_leader($1)", 1 },
	{ "leader_take",
	  "with taken as (update leader set epoch = epoch + 1, holder = $1, challenged = null "
	  "where holder in ($1, '') or "
	  "challenged < clock_timestamp() - $2::bigint * interval '1 millisecond' returning epoch) "
	  "select epoch, pg_notify('runservice_leader', 'taken') from taken", 2 },
	{ "leader_challenge",
	  "with asked as (update leader set challenged = coalesce(challenged, clock_timestamp()) "
	  "where holder not in ($1, '') returning 1) "
	  "select pg_notify('runservice_leader', 'challenge') from asked", 1 },
	{ "leader_confirm", "update leader set challenged = null where epoch = $1", 1 },
	{ "leader_release",
	  "with gone as (update leader set holder = '' where epoch = $1 returning 1) "
	  "select pg_notify('runservice_leader', 'released') from gone", 1 },
};
/* clang-format on */
const size_t rs_stmts_leader_len = ARRAY_LEN(rs_stmts_leader);

/* Statements look few rows up by a key: they are planned once, by their indexes, however small the
 * tables were then. Those of store_retention.c are not like that. */
static const char settings[] =
    "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off "
    "-c enable_mergejoin=off -c jit=off";

static const struct db_stmt *const tables[] = { rs_stmts_leader, rs_stmts_run, rs_stmts_attempt,
	rs_stmts_secret, rs_stmts_scope, rs_stmts_log, rs_stmts_archive, rs_stmts_outbox,
	rs_stmts_cache, rs_stmts_retention, rs_stmts_write, NULL };
static size_t table_len[ARRAY_LEN(tables)];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

extern const struct db_migration runservice_schema[];
extern const size_t runservice_schema_len;

static void
fill_lengths(void)
{
	const size_t len[] = { rs_stmts_leader_len, rs_stmts_run_len, rs_stmts_attempt_len,
		rs_stmts_secret_len, rs_stmts_scope_len, rs_stmts_log_len, rs_stmts_archive_len,
		rs_stmts_outbox_len, rs_stmts_cache_len, rs_stmts_retention_len, rs_stmts_write_len,
		0 };
	memcpy(table_len, len, sizeof(table_len));
}

struct db *
rs_store_open(const char *conninfo, const char *schema)
{
	pthread_once(&table_once, fill_lengths);
	const struct db_options opt = { .conninfo = conninfo,
		.schema = schema ? schema : "runservice",
		.settings = settings,
		.tables = tables,
		.table_len = table_len };
	return db_new(&opt);
}

int
rs_store_migrate(const char *conninfo, const char *schema, struct err **err)
{
	/* Without statements: they could not be prepared before the tables exist. */
	static const struct db_stmt *const none[] = { NULL };
	static const size_t zero[] = { 0 };
	const char *name = schema ? schema : "runservice";
	struct db *db = db_new(&(struct db_options){
	    .conninfo = conninfo, .schema = name, .tables = none, .table_len = zero });
	int rc = db_migrate(db, name, runservice_schema, runservice_schema_len, err);
	db_free(db);
	return rc;
}

void
rs_store_copy_id(char out[ID_LEN + 1], const struct db_result *r, size_t row, const char *col)
{
	const char *s = db_text(r, row, col);
	MUST(s && strlen(s) == ID_LEN);
	memcpy(out, s, ID_LEN + 1);
}

struct id *
rs_store_ids(size_t *n, const struct db_result *r, const char *col)
{
	*n = db_rows(r);
	struct id *ids = xcalloc(*n + 1, sizeof(*ids));
	for (size_t i = 0; i < *n; i++)
		rs_store_copy_id(ids[i].s, r, i, col);
	return ids;
}

int
rs_store_assert_epoch(struct db *db, int64_t epoch, struct err **err)
{
	return db_query(NULL, db, err, "leader_assert", DB_I64(epoch));
}

int
rs_store_leader_take(
    int64_t *epoch, struct db *db, const char *holder, int64_t patience_ms, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "leader_take", DB_TEXT(holder), DB_I64(patience_ms));
	if (rc != 0)
		return rc;
	*epoch = db_rows(r) > 0 ? db_i64(r, 0, "epoch") : 0;
	return *epoch > 0 ? 0 : db_query(NULL, db, err, "leader_challenge", DB_TEXT(holder));
}

int
rs_store_leader_confirm(struct db *db, int64_t epoch, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "leader_confirm", DB_I64(epoch));
	if (rc == 0 && db_affected(r) == 0)
		return err_set(err, ERR_CONFLICT, "another runservice leads");
	return rc;
}

int
rs_store_leader_release(struct db *db, int64_t epoch, struct err **err)
{
	return db_query(NULL, db, err, "leader_release", DB_I64(epoch));
}
