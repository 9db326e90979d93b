#include "gateway/store_dropped.h"

#include "common/mem.h"
#include "gateway/store_int.h"

#include <stdio.h>

const struct db_stmt gw_store_dropped_stmts[GW_STORE_DROPPED_NSTMTS] = {
	{ "dropped_list", "select id from dropped_scopes order by id limit $1::bigint", 1 },
	{ "dropped_forget", "delete from dropped_scopes where id = $1::uuid", 1 },
};

int
gw_store_dropped_list(struct id *ids, size_t *n, size_t max, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "dropped_list", DB_I64((int64_t)max));

	if (rc < 0)
		return rc;
	*n = db_rows(r);
	for (size_t i = 0; i < *n; i++)
		snprintf(ids[i].s, sizeof(ids[i].s), "%s", db_text(r, i, "id"));
	return 0;
}

int
gw_store_dropped_forget(struct db *db, const struct id *ids, size_t n, struct err **err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = db_query(NULL, db, err, "dropped_forget", DB_TEXT(ids[i].s));
	return rc;
}
