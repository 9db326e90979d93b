#include "gateway/store.h"

#include "common/db.h"
#include "common/mem.h"
#include "gateway/store_int.h"

extern const struct db_migration gateway_schema[];
extern const size_t gateway_schema_len;

static const struct db_stmt store_stmts[] = {
	{ "ping", "select 1", 0 },
};

static const struct db_stmt *const tables[] = { store_stmts, gw_store_user_stmts, NULL };
static const size_t lengths[] = { ARRAY_LEN(store_stmts), GW_STORE_USER_NSTMTS };

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
