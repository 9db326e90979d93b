#include "gateway/store.h"

#include "common/db.h"
#include "common/mem.h"
#include "gateway/store_int.h"

#include <stdio.h>
#include <string.h>

extern const struct db_migration gateway_schema[];
extern const size_t gateway_schema_len;

static const struct db_stmt store_stmts[] = {
	{ "ping", "select 1", 0 },
};

static const struct db_stmt *const tables[] = { store_stmts, gw_store_user_stmts,
	gw_store_org_stmts, gw_store_group_stmts, gw_store_project_stmts, gw_store_remote_stmts,
	gw_store_audit_stmts, gw_store_dropped_stmts, NULL };
static const size_t lengths[] = { ARRAY_LEN(store_stmts), GW_STORE_USER_NSTMTS, GW_STORE_ORG_NSTMTS,
	GW_STORE_GROUP_NSTMTS, GW_STORE_PROJECT_NSTMTS, GW_STORE_REMOTE_NSTMTS,
	GW_STORE_AUDIT_NSTMTS, GW_STORE_DROPPED_NSTMTS };

struct db *
gw_store_open(const char *conninfo)
{
	struct db_options opt = {
		.conninfo = conninfo, .schema = GW_SCHEMA, .tables = tables, .table_len = lengths
	};

	return db_new(&opt);
}

void
gw_store_close(struct db *db)
{
	db_free(db);
}

int
gw_store_migrate(const char *conninfo, struct err **err)
{
	struct db_options opt = { .conninfo = conninfo, .schema = GW_SCHEMA };
	struct db *db = db_new(&opt);
	int rc = db_migrate(db, GW_SCHEMA, gateway_schema, gateway_schema_len, err);

	db_free(db);
	return rc;
}

int
gw_store_ping(struct db *db, struct err **err)
{
	return db_query(NULL, db, err, "ping");
}

int
gw_store_paged(struct db_result **out, size_t *n, bool *more, struct db *db, const char *list,
    const struct gw_page *page, const struct db_param *extra, size_t nextra, struct err **err)
{
	struct db_param params[2 + STORE_EXTRA_MAX];
	char name[64];
	int rc;

	MUST(nextra <= STORE_EXTRA_MAX);
	params[0] = DB_TEXT(page->after);
	/* One more than asked for tells whether there is a next page. */
	params[1] = DB_I64(page->limit ? (int64_t)page->limit + 1 : 0);
	if (nextra)
		memcpy(params + 2, extra, nextra * sizeof(*extra));
	snprintf(name, sizeof(name), "%s_%s", list, page->ascending ? "asc" : "desc");
	rc = db_exec(out, db, name, params, 2 + nextra, err);
	if (rc < 0)
		return rc;
	*n = db_rows(*out);
	*more = page->limit && *n > page->limit;
	if (*more)
		*n = page->limit;
	return 0;
}
