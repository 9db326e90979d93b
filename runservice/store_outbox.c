#include "runservice/store_int.h"

#include "common/mem.h"

/* clang-format off */
const struct db_stmt rs_stmts_outbox[] = {
	{ "request_get", "select answer from requests where id = $1", 1 },
	{ "request_put", "insert into requests (id, answer) values ($1, $2)", 2 },
	{ "event_put",
	  "with e as (insert into events (run_id, owner, number, phase, result) "
	  "values ($1, $2, $3, $4, $5) returning sequence) "
	  "select pg_notify('runservice_events', sequence::text) from e", 5 },
	{ "prune_requests", "delete from requests where at < now() - interval '1 day'", 0 },
	{ "prune_events", "delete from events where at < now() - interval '30 days'", 0 },
	{ "prune_attempts",
	  "delete from attempts where state = 'closed' and closed_at < now() - interval '1 day'", 0 },
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
rs_store_request_put(
    struct db *db, const char *id, const void *answer, size_t len, struct err **err)
{
	return db_query(NULL, db, err, "request_put", DB_TEXT(id), DB_BYTES(answer, len));
}

int
rs_store_event_put(struct db *db, const struct rs_run *run, struct err **err)
{
	return db_query(NULL, db, err, "event_put", DB_TEXT(run->id), DB_TEXT(run->owner),
	    DB_I64((int64_t)run->number), DB_TEXT(rs_phase_name(run->phase)),
	    DB_TEXT(rs_result_name(run->result)));
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
