#include "runservice/store_int.h"

#include "common/mem.h"

/* clang-format off */
const struct db_stmt rs_stmts_outbox[] = {
	{ "request_get", "select answer from requests where id = $1", 1 },
	{ "prune_requests", "delete from requests where at < now() - interval '1 day'", 0 },
	{ "prune_events", "delete from events where at < now() - interval '30 days'", 0 },
	{ "prune_attempts",
	  "delete from attempts where closed_at < now() - interval '1 day'", 0 },
};
/* clang-format on */
const size_t rs_stmts_outbox_len = ARRAY_LEN(rs_stmts_outbox);

int
rs_store_request_get(void **answer, size_t *len, struct db *db, const char *id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "request_get", DB_TEXT(id));
	if (rc != 0)
		return rc;
	*answer = db_rows(r) > 0 ? db_bytes(len, r, 0, "answer") : NULL;
	return 0;
}

int
rs_store_prune(struct db *db, struct err **err)
{
	int rc = db_query(NULL, db, err, "prune_requests");
	if (rc == 0)
		rc = db_query(NULL, db, err, "prune_events");
	if (rc == 0)
		rc = db_query(NULL, db, err, "prune_attempts");
	return rc;
}
