#include "runservice/store_int.h"

#include "common/mem.h"

#include <string.h>

#define ROW "s.id, s.wrapped_key, s.sealed, s.master_key"

/* clang-format off */
const struct db_stmt rs_stmts_secret[] = {
	{ "secret_put",
	  "insert into secret_versions (id, run_id, master_key, wrapped_key, sealed) "
	  "values ($1, $2, $3, $4, $5)", 5 },
	{ "variable_put",
	  "insert into run_variables (run_id, name, version) values ($1, $2, $3)", 3 },
	{ "variables_copy",
	  "insert into run_variables (run_id, name, version) "
	  "select $2::uuid, name, version from run_variables where run_id = $1::uuid", 2 },
	{ "secret_get",
	  "select " ROW " from run_variables v "
	  "join secret_versions s on s.id = v.version where v.run_id = $1 and v.name = $2", 2 },
	{ "secret_unkeyed", "select " ROW " from secret_versions s where master_key is null limit 1", 0 },
	{ "own_key_get",
	  "select " ROW " from own_keys k "
	  "join secret_versions s on s.id = k.version where k.name = $1", 1 },
	{ "own_key_put", "insert into own_keys (name, version) values ($1, $2)", 2 },
	{ "own_keys_drop",
	  "with gone as (delete from own_keys returning version) "
	  "delete from secret_versions s using gone where s.id = gone.version", 0 },
	{ "master_current", "select id from master_keys order by serial desc limit 1 for key share", 0 },
	{ "master_list", "select id from master_keys order by serial", 0 },
	{ "master_add", "insert into master_keys (id) values ($1)", 1 },
	{ "master_adopt", "update secret_versions set master_key = $1 where master_key is null", 1 },
	{ "master_drop", "delete from master_keys where id = $1", 1 },
	{ "secrets_under",
	  "select " ROW " from secret_versions s where master_key = $1 order by id limit $2 "
	  "for no key update", 2 },
	{ "secret_rewrap",
	  "update secret_versions set master_key = $2, wrapped_key = $3 where id = $1", 3 },
};
/* clang-format on */
const size_t rs_stmts_secret_len = ARRAY_LEN(rs_stmts_secret);

int
rs_store_secret_put(struct db *db, const char *id, const char *run_id, const char *master,
    const struct rs_sealed *row, struct err **err)
{
	return db_query(NULL, db, err, "secret_put", DB_TEXT(id), DB_TEXT(run_id), DB_TEXT(master),
	    DB_BYTES(row->wrapped, row->wrapped_len), DB_BYTES(row->sealed, row->sealed_len));
}

int
rs_store_variable_put(
    struct db *db, const char *run_id, const char *name, const char *version, struct err **err)
{
	return db_query(
	    NULL, db, err, "variable_put", DB_TEXT(run_id), DB_TEXT(name), DB_TEXT(version));
}

int
rs_store_variables_copy(struct db *db, const char *from_run, const char *to_run, struct err **err)
{
	return db_query(NULL, db, err, "variables_copy", DB_TEXT(from_run), DB_TEXT(to_run));
}

void
rs_sealed_fini(struct rs_sealed *row)
{
	free(steal(&row->wrapped));
	free(steal(&row->sealed));
}

static void
fill(struct rs_sealed *row, const struct db_result *r, size_t i)
{
	const char *master = db_text(r, i, "master_key");
	memset(row, 0, sizeof(*row));
	rs_store_copy_id(row->version, r, i, "id");
	if (master)
		memcpy(row->master, master, strnlen(master, sizeof(row->master) - 1));
	row->wrapped = db_bytes(&row->wrapped_len, r, i, "wrapped_key");
	row->sealed = db_bytes(&row->sealed_len, r, i, "sealed");
}

int
rs_store_secret_get(
    struct rs_sealed *row, struct db *db, const char *run_id, const char *name, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "secret_get", DB_TEXT(run_id), DB_TEXT(name));
	if (rc != 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND, "no variable %s", name);
	fill(row, r, 0);
	return 0;
}

/* --- master keys, our own keys --- */

static int
one_or_none(
    struct rs_sealed *row, struct db *db, const char *stmt, const char *arg, struct err **err)
{
	auto_result *r = NULL;
	const struct db_param p = DB_TEXT(arg);
	int rc = db_exec(&r, db, stmt, &p, arg ? 1 : 0, err);
	if (rc != 0)
		return rc;
	memset(row, 0, sizeof(*row));
	if (db_rows(r) > 0)
		fill(row, r, 0);
	return 0;
}

int
rs_store_secret_unkeyed(struct rs_sealed *row, struct db *db, struct err **err)
{
	return one_or_none(row, db, "secret_unkeyed", NULL, err);
}

int
rs_store_own_key_get(struct rs_sealed *row, struct db *db, const char *name, struct err **err)
{
	return one_or_none(row, db, "own_key_get", name, err);
}

int
rs_store_own_key_put(struct db *db, const char *name, const char *version, struct err **err)
{
	return db_query(NULL, db, err, "own_key_put", DB_TEXT(name), DB_TEXT(version));
}

int
rs_store_own_keys_drop(struct db *db, struct err **err)
{
	return db_query(NULL, db, err, "own_keys_drop");
}

static void
copy_key_id(struct rs_key_id *out, const struct db_result *r, size_t row)
{
	const char *s = db_text(r, row, "id");
	MUST(s && strlen(s) == RS_KEY_ID_LEN);
	memcpy(out->s, s, sizeof(out->s));
}

int
rs_store_master_current(struct rs_key_id *id, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "master_current");
	if (rc != 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_INTERNAL, "the database knows no master key");
	copy_key_id(id, r, 0);
	return 0;
}

int
rs_store_master_list(struct rs_key_id **ids, size_t *n, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "master_list");
	if (rc != 0)
		return rc;
	*n = db_rows(r);
	*ids = xcalloc(*n + 1, sizeof(**ids));
	for (size_t i = 0; i < *n; i++)
		copy_key_id(&(*ids)[i], r, i);
	return 0;
}

int
rs_store_master_add(struct db *db, const char *id, struct err **err)
{
	int rc = db_query(NULL, db, err, "master_add", DB_TEXT(id));
	return rc == 0 ? db_query(NULL, db, err, "master_adopt", DB_TEXT(id)) : rc;
}

int
rs_store_master_drop(struct db *db, const char *id, struct err **err)
{
	return db_query(NULL, db, err, "master_drop", DB_TEXT(id));
}

int
rs_store_secrets_under(struct rs_sealed **rows, size_t *n, struct db *db, const char *master,
    size_t max, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "secrets_under", DB_TEXT(master), DB_I64((int64_t)max));
	if (rc != 0)
		return rc;
	*n = db_rows(r);
	*rows = xcalloc(*n + 1, sizeof(**rows));
	for (size_t i = 0; i < *n; i++)
		fill(&(*rows)[i], r, i);
	return 0;
}

int
rs_store_secret_rewrap(struct db *db, const struct rs_sealed *row, const char *master,
    const void *wrapped, size_t len, struct err **err)
{
	return db_query(NULL, db, err, "secret_rewrap", DB_TEXT(row->version), DB_TEXT(master),
	    DB_BYTES(wrapped, len));
}
