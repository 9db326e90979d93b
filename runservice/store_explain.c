#include "runservice/store_int.h"

#include "common/mem.h"

/* clang-format off */
const struct db_stmt rs_stmts_explain[] = {
	{ "explain_group",
	  "select coalesce(max(number) filter (where phase = 'running'), 0)::bigint as holder, "
	  "count(*) filter (where phase = 'queued' and sequence < $2) as ahead "
	  "from runs where grp = $1", 2 },
};
/* clang-format on */
const size_t rs_stmts_explain_len = ARRAY_LEN(rs_stmts_explain);

int
rs_store_explain_group(uint64_t *holder, uint64_t *ahead, struct db *db, const char *group,
    uint64_t sequence, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "explain_group", DB_TEXT(group), DB_I64((int64_t)sequence));

	if (rc != 0)
		return rc;
	*holder = (uint64_t)db_i64(r, 0, "holder");
	*ahead = (uint64_t)db_i64(r, 0, "ahead");
	return 0;
}
