#include "runservice/store_int.h"

#include "common/buf.h"
#include "common/mem.h"

#include <string.h>

/* Chains come as array literals, nearest scope first; depth is the place in it from 0. */
#define CHAIN "unnest($1::uuid[]) with ordinality as c (scope, place)"

/* clang-format off */
const struct db_stmt rs_stmts_scope[] = {
	{ "scopes_lock", "select pg_advisory_xact_lock(hashtext('millrace scopes'))", 0 },
	{ "scopes_share", "select pg_advisory_xact_lock_shared(hashtext('millrace scopes'))", 0 },
	{ "variables_named",
	  "select c.place - 1 as depth, v.spec from " CHAIN " join variables v on v.scope = c.scope "
	  "where v.name = any ($2::text[])", 2 },
	{ "variables_all",
	  "select c.place - 1 as depth, v.spec from " CHAIN " join variables v on v.scope = c.scope", 1 },
	{ "secret_keys_named",
	  "select c.place - 1 as depth, s.name, d.key, d.version from " CHAIN " "
	  "join secrets s on s.scope = c.scope join secret_data d on d.secret_id = s.id "
	  "where s.name = any ($2::text[])", 2 },
	{ "secrets_all",
	  "select s.id, s.scope, s.name, s.type, c.place - 1 as depth from " CHAIN " "
	  "join secrets s on s.scope = c.scope order by c.place, s.name", 1 },
	{ "run_variables_put",
	  "insert into run_variables (run_id, name, version) "
	  "select $1::uuid, t.name, t.version "
	  "from unnest($2::text[], $3::uuid[]) as t (name, version)", 3 },
	{ "secrets_count", "select count(*) as n from secrets where scope = $1", 1 },
	{ "variables_count", "select count(*) as n from variables where scope = $1", 1 },
	{ "secret_id", "select id from secrets where scope = $1 and name = $2", 2 },
	{ "secret_add", "insert into secrets (id, scope, name, type) values ($1, $2, $3, $4)", 4 },
	{ "secret_rename", "update secrets set name = $2, type = $3 where id = $1", 3 },
	{ "secret_remove", "delete from secrets where id = $1", 1 },
	{ "secret_data_add",
	  "insert into secret_data (secret_id, key, version) values ($1, $2, $3)", 3 },
	/* What runs refer to stays for their restarts. */
	{ "secret_data_drop",
	  "with gone as (delete from secret_data where secret_id = $1 returning version) "
	  "delete from secret_versions s using gone where s.id = gone.version "
	  "and not exists (select from run_variables r where r.version = s.id)", 1 },
	{ "variable_id", "select id from variables where scope = $1 and name = $2", 2 },
	{ "variable_add", "insert into variables (id, scope, name, spec) values ($1, $2, $3, $4)", 4 },
	{ "variable_change", "update variables set name = $2, spec = $3 where id = $1", 3 },
	{ "variable_remove", "delete from variables where id = $1", 1 },
	{ "scopes_secret_data_drop",
	  "with gone as (delete from secret_data d using secrets s "
	  "where s.id = d.secret_id and s.scope = any ($1::uuid[]) returning d.version) "
	  "delete from secret_versions v using gone where v.id = gone.version "
	  "and not exists (select from run_variables r where r.version = v.id)", 1 },
	{ "scopes_secrets_drop", "delete from secrets where scope = any ($1::uuid[])", 1 },
	{ "scopes_variables_drop", "delete from variables where scope = any ($1::uuid[])", 1 },
};
/* clang-format on */
const size_t rs_stmts_scope_len = ARRAY_LEN(rs_stmts_scope);

/* An array literal of any texts. */
static char *
array_of(const char *const *list, size_t n)
{
	struct buf b = BUF_INIT;
	buf_putc(&b, '{');
	for (size_t i = 0; i < n; i++) {
		buf_puts(&b, i ? ",\"" : "\"");
		for (const char *s = list[i]; *s; s++) {
			if (*s == '"' || *s == '\\')
				buf_putc(&b, '\\');
			buf_putc(&b, *s);
		}
		buf_putc(&b, '"');
	}
	buf_putc(&b, '}');
	return buf_take(&b);
}

int
rs_store_scopes_lock(struct db *db, bool alone, struct err **err)
{
	return db_query(NULL, db, err, alone ? "scopes_lock" : "scopes_share");
}

void
rs_definitions_fini(struct rs_definitions *d)
{
	for (size_t i = 0; i < d->nvariables; i++)
		millrace__variable__free_unpacked(d->variables[i].spec, NULL);
	for (size_t i = 0; i < d->nsecrets; i++) {
		free(d->secrets[i].name);
		free(d->secrets[i].key);
		free(d->secrets[i].version);
	}
	free(d->variables);
	free(d->secrets);
	memset(d, 0, sizeof(*d));
}

static int
take_variables(struct rs_definitions *d, const struct db_result *r, struct err **err)
{
	size_t n = db_rows(r);
	d->variables = xcalloc(n + 1, sizeof(*d->variables));
	for (size_t i = 0; i < n; i++) {
		size_t len = 0;
		auto_free void *packed = db_bytes(&len, r, i, "spec");
		Millrace__Variable *spec = millrace__variable__unpack(NULL, len, packed);
		if (!spec)
			return err_set(err, ERR_INTERNAL, "a stored variable is damaged");
		d->variables[d->nvariables++] =
		    (struct rs_scoped_variable){ .depth = (size_t)db_i64(r, i, "depth"),
			    .spec = spec };
	}
	return 0;
}

static int
load_secrets(struct rs_definitions *d, struct db *db, const char *chain, struct err **err)
{
	auto_result *r = NULL;
	auto_free const char **names = NULL;
	size_t n = 0;
	for (size_t i = 0; i < d->nvariables; i++) {
		const Millrace__Variable *v = d->variables[i].spec;
		names = xreallocarray(names, n + v->n_values + 1, sizeof(*names));
		for (size_t j = 0; j < v->n_values; j++)
			names[n++] = v->values[j]->secret_name;
	}
	if (n == 0)
		return 0;
	auto_free char *wanted = array_of(names, n);
	int rc = db_query(&r, db, err, "secret_keys_named", DB_TEXT(chain), DB_TEXT(wanted));
	if (rc != 0)
		return rc;
	d->secrets = xcalloc(db_rows(r) + 1, sizeof(*d->secrets));
	for (; d->nsecrets < db_rows(r); d->nsecrets++) {
		size_t i = d->nsecrets;
		d->secrets[i] = (struct rs_scoped_secret){ .depth = (size_t)db_i64(r, i, "depth"),
			.name = xstrdup(db_text(r, i, "name")),
			.key = xstrdup(db_text(r, i, "key")),
			.version = xstrdup(db_text(r, i, "version")) };
	}
	return 0;
}

int
rs_store_definitions(struct rs_definitions *d, struct db *db, const char *const *scopes,
    size_t nscopes, const char *const *names, size_t nnames, struct err **err)
{
	auto_free char *chain = array_of(scopes, nscopes);
	auto_free char *wanted = names ? array_of(names, nnames) : NULL;
	auto_result *r = NULL;
	memset(d, 0, sizeof(*d));
	int rc = wanted ? db_query(&r, db, err, "variables_named", DB_TEXT(chain), DB_TEXT(wanted))
	                : db_query(&r, db, err, "variables_all", DB_TEXT(chain));
	if (rc == 0)
		rc = take_variables(d, r, err);
	if (rc == 0)
		rc = load_secrets(d, db, chain, err);
	if (rc == 0)
		rs_definitions_sort(d);
	else
		rs_definitions_fini(d);
	return rc;
}

int
rs_store_run_variables_put(struct db *db, const char *run_id, const char *const *names,
    const char *const *versions, size_t n, struct err **err)
{
	auto_free char *a = array_of(names, n), *b = array_of(versions, n);
	return db_query(
	    NULL, db, err, "run_variables_put", DB_TEXT(run_id), DB_TEXT(a), DB_TEXT(b));
}

int
rs_store_secret_list(struct rs_secret_row **rows, size_t *n, struct db *db,
    const char *const *scopes, size_t nscopes, struct err **err)
{
	auto_free char *chain = array_of(scopes, nscopes);
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "secrets_all", DB_TEXT(chain));
	if (rc != 0)
		return rc;
	*n = db_rows(r);
	*rows = xcalloc(*n + 1, sizeof(**rows));
	for (size_t i = 0; i < *n; i++) {
		struct rs_secret_row *row = &(*rows)[i];
		rs_store_copy_id(row->id, r, i, "id");
		rs_store_copy_id(row->scope, r, i, "scope");
		row->name = xstrdup(db_text(r, i, "name"));
		row->type = xstrdup(db_text(r, i, "type"));
	}
	return 0;
}

void
rs_secret_rows_free(struct rs_secret_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(rows[i].name);
		free(rows[i].type);
	}
	free(rows);
}

/* --- writing --- */

static const struct {
	const char *id, *count, *remove;
} of_kind[] = {
	[RS_SCOPED_SECRET] = { "secret_id", "secrets_count", "secret_remove" },
	[RS_SCOPED_VARIABLE] = { "variable_id", "variables_count", "variable_remove" },
};

int
rs_store_scoped_id(char id[ID_LEN + 1], struct db *db, enum rs_scoped kind, const char *scope,
    const char *name, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, of_kind[kind].id, DB_TEXT(scope), DB_TEXT(name));
	if (rc != 0)
		return rc;
	*id = '\0';
	if (db_rows(r) > 0)
		rs_store_copy_id(id, r, 0, "id");
	return 0;
}

int
rs_store_scoped_count(
    size_t *n, struct db *db, enum rs_scoped kind, const char *scope, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, of_kind[kind].count, DB_TEXT(scope));
	if (rc == 0)
		*n = (size_t)db_i64(r, 0, "n");
	return rc;
}

int
rs_store_scoped_remove(struct db *db, enum rs_scoped kind, const char *id, struct err **err)
{
	int rc = kind == RS_SCOPED_SECRET ? rs_store_secret_data_drop(db, id, err) : 0;
	return rc == 0 ? db_query(NULL, db, err, of_kind[kind].remove, DB_TEXT(id)) : rc;
}

int
rs_store_secret_add(struct db *db, const struct rs_secret_row *s, bool exists, struct err **err)
{
	if (exists)
		return db_query(NULL, db, err, "secret_rename", DB_TEXT(s->id), DB_TEXT(s->name),
		    DB_TEXT(s->type));
	return db_query(NULL, db, err, "secret_add", DB_TEXT(s->id), DB_TEXT(s->scope),
	    DB_TEXT(s->name), DB_TEXT(s->type));
}

int
rs_store_secret_data_add(
    struct db *db, const char *id, const char *key, const char *version, struct err **err)
{
	return db_query(
	    NULL, db, err, "secret_data_add", DB_TEXT(id), DB_TEXT(key), DB_TEXT(version));
}

int
rs_store_secret_data_drop(struct db *db, const char *id, struct err **err)
{
	return db_query(NULL, db, err, "secret_data_drop", DB_TEXT(id));
}

int
rs_store_variable_add(struct db *db, const char *id, const char *scope, const char *name,
    const void *spec, size_t len, bool exists, struct err **err)
{
	if (exists)
		return db_query(NULL, db, err, "variable_change", DB_TEXT(id), DB_TEXT(name),
		    DB_BYTES(spec, len));
	return db_query(NULL, db, err, "variable_add", DB_TEXT(id), DB_TEXT(scope), DB_TEXT(name),
	    DB_BYTES(spec, len));
}

int
rs_store_scopes_drop(struct db *db, const char *const *scopes, size_t n, struct err **err)
{
	auto_free char *list = array_of(scopes, n);
	int rc = db_query(NULL, db, err, "scopes_secret_data_drop", DB_TEXT(list));
	if (rc == 0)
		rc = db_query(NULL, db, err, "scopes_secrets_drop", DB_TEXT(list));
	return rc == 0 ? db_query(NULL, db, err, "scopes_variables_drop", DB_TEXT(list)) : rc;
}
