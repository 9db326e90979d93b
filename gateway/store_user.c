#include "gateway/store_user.h"

#include "common/mem.h"
#include "gateway/store_int.h"

#include <stdio.h>
#include <string.h>

#define MORE                                                                                       \
	"(select coalesce(json_agg(t.name order by t.name collate \"C\"), '[]')::text "            \
	"from user_tokens t where t.user_id = u.id) as tokens, "                                   \
	"(select coalesce(json_agg(json_build_object('id', a.id, 'remote_source_id', "             \
	"a.remote_source_id, 'remote_user_name', a.remote_username, 'remote_user_avatar_url', "    \
	"a.remote_user_avatar_url) order by a.created_at, a.id), '[]')::text "                     \
	"from linked_accounts a where a.user_id = u.id) as accounts"

const struct db_stmt gw_store_user_stmts[GW_STORE_USER_NSTMTS] = {
	{ "user_by_token",
	    "select u.id, u.name, u.admin, u.session_epoch, t.scope = 'read' as read_only from "
	    "users u "
	    "join user_tokens t on t.user_id = u.id "
	    "where t.hash = $1 and (t.expires_at is null or t.expires_at > now())",
	    1 },
	{ "user_by_session",
	    "select id, name, admin, session_epoch from users where id = $1::uuid and "
	    "session_epoch = $2",
	    2 },
	{ "user_by_id", "select id, name, admin, session_epoch from users where id = $1::uuid", 1 },
	{ "user_by_name", "select id, name, admin, session_epoch from users where name = $1", 1 },
	{ "user_by_remote",
	    "select u.id, u.name, u.admin, u.session_epoch from users u join linked_accounts a on "
	    "a.user_id = u.id "
	    "where a.remote_source_id = $1::uuid and a.remote_user_id = $2",
	    2 },
	{ "user_create",
	    "with u as (insert into users (id, name, admin) values ($1::uuid, $2, $4::boolean) "
	    "on conflict (name) do nothing returning id) "
	    "insert into project_groups (id, name, user_id, visibility) "
	    "select $3::uuid, '', id, 'public' from u",
	    4 },
	{ "user_delete", "delete from users where id = $1::uuid", 1 },
	STORE_PAGED("user_list",
	    "select u.id, u.name, u.admin, u.session_epoch, " MORE " from users u where true",
	    "u.name", 2),
	{ "user_more", "select " MORE " from users u where u.id = $1::uuid", 1 },
	{ "token_list",
	    "select coalesce(json_agg(json_build_object('name', name, 'scope', scope, "
	    "'expires_at', to_char(expires_at at time zone 'UTC', "
	    "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) "
	    "order by name collate \"C\"), '[]')::text as tokens "
	    "from user_tokens where user_id = $1::uuid",
	    1 },
	{ "token_create",
	    "insert into user_tokens (user_id, name, hash, scope, expires_at) "
	    "select id, $2, $3, $4, now() + nullif($5::bigint, 0) * interval '1 millisecond' "
	    "from users where id = $1::uuid on conflict (user_id, name) do nothing",
	    5 },
	{ "token_delete", "delete from user_tokens where user_id = $1::uuid and name = $2", 2 },
	{ "password_get",
	    "select id, name, admin, password, session_epoch from users where name = $1", 1 },
	{ "password_set",
	    "update users set password = $2, session_epoch = session_epoch + 1 "
	    "where id = $1::uuid returning id, name, admin, session_epoch",
	    2 },
	{ "password_link",
	    "insert into password_links (user_id, hash, expires_at) "
	    "select id, $2, now() + $3::bigint * interval '1 millisecond' from users "
	    "where id = $1::uuid on conflict (user_id) do update "
	    "set hash = excluded.hash, expires_at = excluded.expires_at",
	    3 },
	{ "password_by_link",
	    "with l as (delete from password_links where hash = $1 "
	    "returning user_id, expires_at > now() as valid) "
	    "update users u set password = $2, session_epoch = session_epoch + 1 from l "
	    "where u.id = l.user_id and l.valid returning u.id, u.name, u.admin, u.session_epoch",
	    2 },
};

static void
user_of_row(struct gw_user *out, const struct db_result *r, size_t row)
{
	snprintf(out->id, sizeof(out->id), "%s", db_text(r, row, "id"));
	snprintf(out->name, sizeof(out->name), "%s", db_text(r, row, "name"));
	out->admin = db_bool(r, row, "admin");
	out->epoch = db_i64(r, row, "session_epoch");
}

void
gw_user_more_fini(struct gw_user_more *m)
{
	free(m->tokens);
	free(m->accounts);
	*m = (struct gw_user_more){ 0 };
}

void
gw_user_list_fini(struct gw_user_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		gw_user_more_fini(&l->rows[i].more);
	free(l->rows);
	*l = (struct gw_user_list){ 0 };
}

static void
more_of_row(struct gw_user_more *out, const struct db_result *r, size_t row)
{
	out->tokens = xstrdup(db_text(r, row, "tokens"));
	out->accounts = xstrdup(db_text(r, row, "accounts"));
}

int
gw_store_user_by_token(struct gw_user *out, bool *read_only, struct db *db,
    const uint8_t hash[GW_TOKEN_HASH_LEN], struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "user_by_token", DB_BYTES(hash, GW_TOKEN_HASH_LEN));

	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND, "no user has this token");
	user_of_row(out, r, 0);
	*read_only = db_bool(r, 0, "read_only");
	return 0;
}

int
gw_store_user_by_session(
    struct gw_user *out, struct db *db, const char *id, int64_t epoch, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "user_by_session", DB_TEXT(id), DB_I64(epoch));

	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND, "the session is over");
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
gw_store_user_create(
    struct gw_user *out, struct db *db, const char *name, bool admin, struct err **err)
{
	struct id id = id_new(), root = id_new();
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "user_create", DB_TEXT(id.s), DB_TEXT(name), DB_TEXT(root.s),
	    DB_BOOL(admin));

	if (rc < 0)
		return rc;
	if (db_affected(r) == 0)
		return err_set_slug(err, ERR_INVALID, "userAlreadyExists",
		    "a user %s exists already; choose another name", name);
	*out = (struct gw_user){ 0 };
	snprintf(out->id, sizeof(out->id), "%s", id.s);
	snprintf(out->name, sizeof(out->name), "%s", name);
	out->admin = admin;
	out->epoch = 1;
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
gw_store_user_list(
    struct gw_user_list *out, struct db *db, const struct gw_page *page, struct err **err)
{
	auto_result *r = NULL;
	int rc;

	*out = (struct gw_user_list){ 0 };
	rc = gw_store_paged(&r, &out->n, &out->more, db, "user_list", page, NULL, 0, err);
	if (rc < 0)
		return rc;
	out->rows = xcalloc(out->n + 1, sizeof(out->rows[0]));
	for (size_t i = 0; i < out->n; i++) {
		user_of_row(&out->rows[i].user, r, i);
		more_of_row(&out->rows[i].more, r, i);
	}
	return 0;
}

int
gw_store_user_more(struct gw_user_more *out, struct db *db, const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "user_more", DB_TEXT(user_id));

	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set_slug(
		    err, ERR_NOTFOUND, "userDoesNotExist", "there is no user %s", user_id);
	more_of_row(out, r, 0);
	return 0;
}

int
gw_store_user_by_remote(struct gw_user *out, struct db *db, const char *remote_source_id,
    const char *remote_user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(
	    &r, db, err, "user_by_remote", DB_TEXT(remote_source_id), DB_TEXT(remote_user_id));

	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set_slug(err, ERR_NOTFOUND, "userDoesNotExist",
		    "no user has this account at the git host");
	user_of_row(out, r, 0);
	return 0;
}

int
gw_store_token_create(struct db *db, const struct gw_token_new *t, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "token_create", DB_TEXT(t->user_id), DB_TEXT(t->name),
	    DB_BYTES(t->hash, GW_TOKEN_HASH_LEN), DB_TEXT(t->read_only ? "read" : "full"),
	    DB_I64(t->expires_ms));

	if (rc < 0)
		return rc;
	if (db_affected(r) == 0)
		return err_set_slug(err, ERR_INVALID, "userTokenAlreadyExists",
		    "the user has a token of this name already; delete it or choose another name");
	return 0;
}

int
gw_store_token_list(char **out, struct db *db, const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "token_list", DB_TEXT(user_id));

	if (rc < 0)
		return rc;
	*out = xstrdup(db_text(r, 0, "tokens"));
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

int
gw_store_password_get(
    char **hash, struct gw_user *user, struct db *db, const char *name, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "password_get", DB_TEXT(name));

	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set_slug(
		    err, ERR_NOTFOUND, "userDoesNotExist", "there is no user %s", name);
	user_of_row(user, r, 0);
	*hash = db_is_null(r, 0, "password") ? NULL : xstrdup(db_text(r, 0, "password"));
	return 0;
}

int
gw_store_password_set(
    struct gw_user *user, struct db *db, const char *user_id, const char *hash, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "password_set", DB_TEXT(user_id), DB_TEXT(hash));

	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set_slug(
		    err, ERR_NOTFOUND, "userDoesNotExist", "there is no user %s", user_id);
	user_of_row(user, r, 0);
	return 0;
}

int
gw_store_password_link(struct db *db, const char *user_id, const uint8_t hash[GW_TOKEN_HASH_LEN],
    int64_t expires_ms, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "password_link", DB_TEXT(user_id),
	    DB_BYTES(hash, GW_TOKEN_HASH_LEN), DB_I64(expires_ms));

	if (rc < 0)
		return rc;
	if (db_affected(r) == 0)
		return err_set_slug(
		    err, ERR_NOTFOUND, "userDoesNotExist", "there is no user %s", user_id);
	return 0;
}

int
gw_store_password_by_link(struct gw_user *user, struct db *db,
    const uint8_t hash[GW_TOKEN_HASH_LEN], const char *password, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(
	    &r, db, err, "password_by_link", DB_BYTES(hash, GW_TOKEN_HASH_LEN), DB_TEXT(password));

	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND,
		    "the link has been used or has expired; ask an administrator for a new one");
	user_of_row(user, r, 0);
	return 0;
}
