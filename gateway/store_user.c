#include "gateway/store_user.h"

#include "common/mem.h"
#include "gateway/store_int.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_NAMES                                                                                \
	"(select coalesce(json_agg(t.name order by t.name collate \"C\"), '[]')::text "            \
	"from user_tokens t where t.user_id = u.id) as tokens"

const struct db_stmt gw_store_user_stmts[GW_STORE_USER_NSTMTS] = {
	{ "user_by_token",
	    "select u.id, u.name, u.admin from users u join user_tokens t on t.user_id = u.id "
	    "where t.hash = $1",
	    1 },
	{ "user_by_id", "select id, name, admin from users where id = $1::uuid", 1 },
	{ "user_by_name", "select id, name, admin from users where name = $1", 1 },
	{ "user_create",
	    "insert into users (id, name) values ($1::uuid, $2) on conflict (name) do nothing", 2 },
	{ "user_delete", "delete from users where id = $1::uuid", 1 },
	{ "user_list_asc",
	    "select u.id, u.name, u.admin, " TOKEN_NAMES " from users u "
	    "where $1 = '' or u.name collate \"C\" > $1 order by u.name collate \"C\" "
	    "limit nullif($2::bigint, 0)",
	    2 },
	{ "user_list_desc",
	    "select u.id, u.name, u.admin, " TOKEN_NAMES " from users u "
	    "where $1 = '' or u.name collate \"C\" < $1 order by u.name collate \"C\" desc "
	    "limit nullif($2::bigint, 0)",
	    2 },
	{ "token_names", "select " TOKEN_NAMES " from users u where u.id = $1::uuid", 1 },
	{ "token_create",
	    "insert into user_tokens (user_id, name, hash) "
	    "select id, $2, $3 from users where id = $1::uuid "
	    "on conflict (user_id, name) do nothing",
	    3 },
	{ "token_delete", "delete from user_tokens where user_id = $1::uuid and name = $2", 2 },
};

static void
user_of_row(struct gw_user *out, const struct db_result *r, size_t row)
{
	snprintf(out->id, sizeof(out->id), "%s", db_text(r, row, "id"));
	snprintf(out->name, sizeof(out->name), "%s", db_text(r, row, "name"));
	out->admin = db_bool(r, row, "admin");
}

void
gw_user_list_fini(struct gw_user_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->rows[i].tokens);
	free(l->rows);
	*l = (struct gw_user_list){ 0 };
}

int
gw_store_user_by_token(
    struct gw_user *out, struct db *db, const uint8_t hash[GW_TOKEN_HASH_LEN], struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "user_by_token", DB_BYTES(hash, GW_TOKEN_HASH_LEN));

	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND, "no user has this token");
	user_of_row(out, r, 0);
	return 0;
}

int
gw_store_user_by_ref(struct gw_user *out, struct db *db, const char *ref, struct err **err)
{
	auto_result *r = NULL;
	struct id id;
	int rc;

	if (gw_name_uuid(&id, ref))
		rc = db_query(&r, db, err, "user_by_id", DB_TEXT(id.s));
	else if (gw_name_is_valid(ref))
		rc = db_query(&r, db, err, "user_by_name", DB_TEXT(ref));
	else
		return err_set_slug(
		    err, ERR_NOTFOUND, "userDoesNotExist", "there is no user with this name or id");
	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set_slug(
		    err, ERR_NOTFOUND, "userDoesNotExist", "there is no user %s", ref);
	user_of_row(out, r, 0);
	return 0;
}

int
gw_store_user_create(struct gw_user *out, struct db *db, const char *name, struct err **err)
{
	struct id id = id_new();
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "user_create", DB_TEXT(id.s), DB_TEXT(name));

	if (rc < 0)
		return rc;
	if (db_affected(r) == 0)
		return err_set_slug(err, ERR_INVALID, "userAlreadyExists",
		    "a user %s exists already; choose another name", name);
	*out = (struct gw_user){ 0 };
	snprintf(out->id, sizeof(out->id), "%s", id.s);
	snprintf(out->name, sizeof(out->name), "%s", name);
	return 0;
}

int
gw_store_user_delete(struct db *db, const char *id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "user_delete", DB_TEXT(id));

	if (rc < 0)
		return rc;
	if (db_affected(r) == 0)
		return err_set_slug(
		    err, ERR_NOTFOUND, "userDoesNotExist", "there is no user %s", id);
	return 0;
}

int
gw_store_user_list(struct gw_user_list *out, struct db *db, const char *after, bool ascending,
    unsigned limit, struct err **err)
{
	auto_result *r = NULL;
	/* One more than asked for tells whether there is a next page. */
	int64_t fetch = limit ? (int64_t)limit + 1 : 0;
	int rc = db_query(&r, db, err, ascending ? "user_list_asc" : "user_list_desc",
	    DB_TEXT(after), DB_I64(fetch));

	*out = (struct gw_user_list){ 0 };
	if (rc < 0)
		return rc;
	out->n = db_rows(r);
	if (limit && out->n > limit) {
		out->n = limit;
		out->more = true;
	}
	out->rows = xcalloc(out->n + 1, sizeof(out->rows[0]));
	for (size_t i = 0; i < out->n; i++) {
		user_of_row(&out->rows[i].user, r, i);
		out->rows[i].tokens = xstrdup(db_text(r, i, "tokens"));
	}
	return 0;
}

int
gw_store_token_names(char **out, struct db *db, const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "token_names", DB_TEXT(user_id));

	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set_slug(
		    err, ERR_NOTFOUND, "userDoesNotExist", "there is no user %s", user_id);
	*out = xstrdup(db_text(r, 0, "tokens"));
	return 0;
}

int
gw_store_token_create(struct db *db, const char *user_id, const char *name,
    const uint8_t hash[GW_TOKEN_HASH_LEN], struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "token_create", DB_TEXT(user_id), DB_TEXT(name),
	    DB_BYTES(hash, GW_TOKEN_HASH_LEN));

	if (rc < 0)
		return rc;
	if (db_affected(r) == 0)
		return err_set_slug(err, ERR_INVALID, "userTokenAlreadyExists",
		    "the user has a token of this name already; delete it or choose another name");
	return 0;
}

int
gw_store_token_delete(struct db *db, const char *user_id, const char *name, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "token_delete", DB_TEXT(user_id), DB_TEXT(name));

	if (rc < 0)
		return rc;
	if (db_affected(r) == 0)
		return err_set_slug(err, ERR_NOTFOUND, "userTokenDoesNotExist",
		    "the user has no token of this name");
	return 0;
}
