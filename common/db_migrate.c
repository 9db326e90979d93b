#include "common/db_int.h"

#include "common/log.h"
#include "common/mem.h"

#include <string.h>

struct step {
	const char *schema;
	const struct db_migration *list;
	size_t n;
	const struct db_migration *applied; /* out: what this transaction applied; NULL = nothing */
};

static int
run_sql(struct db *db, char *sql, struct err **err)
{
	int rc = db_exec_sql(NULL, db, sql, err);
	free(sql);
	return rc;
}

/* Until the transaction ends. Migrations may wait for each other and may take long. */
static int
lock_schema(struct db *db, const char *schema, struct err **err)
{
	return run_sql(db,
	    xasprintf("set local statement_timeout = 0; set local lock_timeout = '60s'; "
	              "select pg_advisory_xact_lock(hashtext('millrace schema %s'))",
	        schema),
	    err);
}

static int
create_schema(struct db *db, void *arg, struct err **err)
{
	const char *schema = arg;
	auto_result *r = NULL;
	int rc = lock_schema(db, schema, err);
	if (rc != 0)
		return rc;
	auto_free char *look = xasprintf("select 1 from pg_namespace where nspname = '%s'", schema);
	if ((rc = db_exec_sql(&r, db, look, err)) != 0)
		return rc;
	if (db_rows(r) == 0 && (rc = run_sql(db, xasprintf("create schema %s", schema), err)) != 0)
		return rc;
	return run_sql(db,
	    xasprintf("create table if not exists %s.schema_migration (version integer primary key,"
	              " name text not null, applied_at timestamptz not null default now())",
	        schema),
	    err);
}

/* The applied ones must be a prefix of our list. */
static int
check_applied(const struct step *s, const struct db_result *r, struct err **err)
{
	size_t rows = db_rows(r);
	for (size_t i = 0; i < rows; i++) {
		int64_t version = db_i64(r, i, "version");
		if (i >= s->n)
			return err_set(err, ERR_INVALID,
			    "the database schema %s is at version %lld, newer than this program, "
			    "which knows %d: run the newer release, or restore the backup made "
			    "before the upgrade",
			    s->schema, (long long)version, s->n ? s->list[s->n - 1].version : 0);
		if (version != s->list[i].version ||
		    strcmp(db_text(r, i, "name"), s->list[i].name) != 0)
			return err_set(err, ERR_INVALID,
			    "the database schema %s has migration %lld %s where this program has "
			    "%d %s: it was made by another line of releases",
			    s->schema, (long long)version, db_text(r, i, "name"),
			    s->list[i].version, s->list[i].name);
	}
	return 0;
}

static int
apply_next(struct db *db, void *arg, struct err **err)
{
	struct step *s = arg;
	auto_result *r = NULL;
	s->applied = NULL;
	int rc = lock_schema(db, s->schema, err);
	if (rc != 0)
		return rc;
	auto_free char *look =
	    xasprintf("select version, name from %s.schema_migration order by version", s->schema);
	if ((rc = db_exec_sql(&r, db, look, err)) != 0 || (rc = check_applied(s, r, err)) != 0)
		return rc;
	if (db_rows(r) >= s->n)
		return 0;
	const struct db_migration *m = &s->list[db_rows(r)];
	if ((rc = db_exec_sql(NULL, db, m->sql, err)) != 0)
		return err_wrap(err, "migration %s", m->name), rc;
	if ((rc = run_sql(db,
	         xasprintf("insert into %s.schema_migration (version, name) values (%d, '%s')",
	             s->schema, m->version, m->name),
	         err)) != 0)
		return rc;
	s->applied = m;
	return 0;
}

static void
check_list(const struct db_migration *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		MUST(i == 0 || list[i].version > list[i - 1].version);
		MUST(strpbrk(list[i].name, "'\\") == NULL);
	}
}

int
db_migrate(
    struct db *db, const char *schema, const struct db_migration *list, size_t n, struct err **err)
{
	MUST(db_name_ok(schema));
	check_list(list, n);
	auto_free char *copy = xstrdup(schema);
	int rc = db_tx_run_raw(db, create_schema, copy, err);
	if (rc != 0)
		return err_wrap(err, "prepare schema %s", schema), rc;
	struct step s = { .schema = schema, .list = list, .n = n };
	do {
		if ((rc = db_tx_run_raw(db, apply_next, &s, err)) != 0)
			return err_wrap(err, "migrate schema %s", schema), rc;
		if (s.applied != NULL)
			log_info("database migrated", LOG_STR("schema", schema),
			    LOG_STR("migration", s.applied->name));
	} while (s.applied != NULL);
	return 0;
}
