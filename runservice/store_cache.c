#include "runservice/store_int.h"

#include "common/mem.h"

#define VISIBLE "(trust > $2 or (trust = $2 and zone = $3))"

/* clang-format off */
const struct db_stmt rs_stmts_cache[] = {
	{ "cache_has",
	  "select exists (select from caches where scope = $1 and key = $4 and retired is null and "
	  VISIBLE ") as found", 4 },
	{ "cache_upload",
	  "insert into cache_uploads (archive_id, scope, trust, zone, key) "
	  "values ($1, $2, $3, $4, $5)", 5 },
	{ "cache_commit",
	  "with up as (select archive_id, scope, trust, zone, key from cache_uploads "
	  "where archive_id = $1), "
	  "put as (insert into caches (archive_id, scope, trust, zone, key) select * from up "
	  "on conflict (scope, key, trust, zone) where retired is null do nothing returning 1) "
	  "select (select count(*) from up) as uploads, (select count(*) from put) as stored", 1 },
	/* No character of an escaped key is above ~. */
	{ "cache_find",
	  "select archive_id, key from caches where scope = $1 and retired is null and " VISIBLE
	  " and key >= $4 and key < $4 || E'\\x7f' "
	  "order by key = $4 desc, created desc, trust desc limit 1", 4 },
	/* A retired one as well: who found it may still be reading. */
	{ "cache_readable",
	  "select exists (select from caches where archive_id = $4 and scope = $1 and " VISIBLE
	  ") as found", 4 },
};
/* clang-format on */
const size_t rs_stmts_cache_len = ARRAY_LEN(rs_stmts_cache);

static int
asked(bool *found, struct db *db, const char *stmt, const struct rs_cache_place *p,
    const char *what, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, stmt, DB_TEXT(p->scope), DB_I64(p->trust), DB_TEXT(p->zone),
	    DB_TEXT(what));
	if (rc == 0)
		*found = db_bool(r, 0, "found");
	return rc;
}

int
rs_store_cache_has(
    bool *has, struct db *db, const struct rs_cache_place *p, const char *key, struct err **err)
{
	return asked(has, db, "cache_has", p, key, err);
}

int
rs_store_cache_readable(bool *readable, struct db *db, const struct rs_cache_place *p,
    const char *archive_id, struct err **err)
{
	return asked(readable, db, "cache_readable", p, archive_id, err);
}

int
rs_store_cache_upload(struct db *db, const char *archive_id, const struct rs_cache_place *p,
    const char *key, struct err **err)
{
	return db_query(NULL, db, err, "cache_upload", DB_TEXT(archive_id), DB_TEXT(p->scope),
	    DB_I64(p->trust), DB_TEXT(p->zone), DB_TEXT(key));
}

int
rs_store_cache_commit(bool *lost, struct db *db, const char *archive_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "cache_commit", DB_TEXT(archive_id));
	if (rc == 0)
		*lost = db_i64(r, 0, "uploads") > 0 && db_i64(r, 0, "stored") == 0;
	return rc;
}

int
rs_store_cache_find(char id[ID_LEN + 1], char **key, struct db *db, const struct rs_cache_place *p,
    const char *asked_for, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "cache_find", DB_TEXT(p->scope), DB_I64(p->trust),
	    DB_TEXT(p->zone), DB_TEXT(asked_for));
	if (rc != 0)
		return rc;
	id[0] = '\0';
	*key = NULL;
	if (db_rows(r) > 0) {
		rs_store_copy_id(id, r, 0, "archive_id");
		*key = xstrdup(db_text(r, 0, "key"));
	}
	return 0;
}
