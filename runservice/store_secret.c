#include "runservice/store_int.h"

#include "common/mem.h"

/* clang-format off */
const struct db_stmt rs_stmts_secret[] = {
	{ "secret_put",
	  "insert into secret_versions (id, run_id, wrapped_key, sealed) values ($1, $2, $3, $4)", 4 },
	{ "variable_put",
	  "insert into run_variables (run_id, name, version) values ($1, $2, $3)", 3 },
	{ "variables_copy",
	  "insert into run_variables (run_id, name, version) "
	  "select $2::uuid, name, version from run_variables where run_id = $1::uuid", 2 },
	{ "secret_get",
	  "select s.id, s.wrapped_key, s.sealed from run_variables v "
	  "join secret_versions s on s.id = v.version where v.run_id = $1 and v.name = $2", 2 },
};
/* clang-format on */
const size_t rs_stmts_secret_len = ARRAY_LEN(rs_stmts_secret);

int
rs_store_secret_put(struct db *db, const char *id, const char *run_id, const void *wrapped,
    size_t wrapped_len, const void *sealed, size_t sealed_len, struct err **err)
{
	return db_query(NULL, db, err, "secret_put", DB_TEXT(id), DB_TEXT(run_id),
	    DB_BYTES(wrapped, wrapped_len), DB_BYTES(sealed, sealed_len));
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

int
rs_store_secret_get(char version[ID_LEN + 1], void **wrapped, size_t *wrapped_len, void **sealed,
    size_t *sealed_len, struct db *db, const char *run_id, const char *name, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "secret_get", DB_TEXT(run_id), DB_TEXT(name));
	if (rc != 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND, "no variable %s", name);
	rs_store_copy_id(version, r, 0, "id");
	*wrapped = db_bytes(wrapped_len, r, 0, "wrapped_key");
	*sealed = db_bytes(sealed_len, r, 0, "sealed");
	return 0;
}
