#include "gateway/store_remote.h"

#include "common/mem.h"
#include "gateway/store_int.h"

#include <stdio.h>
#include <string.h>

#define REMOTE                                                                                     \
	"select id, name, apiurl, type, auth_type, skip_verify, client_id, client_secret, "        \
	"ssh_host_key, skip_ssh_host_key_check, registration_enabled, login_enabled "              \
	"from remote_sources "
#define ACCOUNT                                                                                    \
	"select id, user_id, remote_source_id, remote_user_id, remote_username, "                  \
	"remote_user_avatar_url, access_token, oauth2_access_token, oauth2_refresh_token, "        \
	"(extract(epoch from oauth2_expires_at) * 1000)::bigint as expires_ms "                    \
	"from linked_accounts "

const struct db_stmt gw_store_remote_stmts[GW_STORE_REMOTE_NSTMTS] = {
	{ "remote_by_id", REMOTE "where id = $1::uuid", 1 },
	{ "remote_by_name", REMOTE "where name = $1", 1 },
	STORE_PAGED("remote_list", REMOTE "where true", "name", 2),
	{ "remote_create",
	    "insert into remote_sources (id, name, apiurl, type, auth_type, skip_verify, "
	    "client_id, client_secret, ssh_host_key, skip_ssh_host_key_check, "
	    "registration_enabled, login_enabled) values ($1::uuid, $2, $3, $4, $5, "
	    "$6::boolean, $7, $8, $9, $10::boolean, $11::boolean, $12::boolean) "
	    "on conflict (name) do nothing",
	    12 },
	{ "remote_update",
	    "update remote_sources set name = $2, apiurl = $3, skip_verify = $4::boolean, "
	    "client_id = $5, client_secret = $6, ssh_host_key = $7, "
	    "skip_ssh_host_key_check = $8::boolean, registration_enabled = $9::boolean, "
	    "login_enabled = $10::boolean where id = $1::uuid",
	    10 },
	{ "remote_delete", "delete from remote_sources where id = $1::uuid", 1 },
	{ "account_create",
	    "insert into linked_accounts (id, user_id, remote_source_id, remote_user_id, "
	    "remote_username, remote_user_avatar_url, access_token, oauth2_access_token, "
	    "oauth2_refresh_token, oauth2_expires_at) values ($1::uuid, $2::uuid, $3::uuid, $4, "
	    "$5, $6, $7, $8, $9, to_timestamp(nullif($10::bigint, 0) / 1000.0)) "
	    "on conflict do nothing",
	    10 },
	{ "account_update",
	    "update linked_accounts set remote_username = $2, remote_user_avatar_url = $3, "
	    "access_token = $4, oauth2_access_token = $5, oauth2_refresh_token = $6, "
	    "oauth2_expires_at = to_timestamp(nullif($7::bigint, 0) / 1000.0) "
	    "where id = $1::uuid",
	    7 },
	{ "account_of_user", ACCOUNT "where user_id = $1::uuid and remote_source_id = $2::uuid",
	    2 },
	{ "account_by_remote", ACCOUNT "where remote_source_id = $1::uuid and remote_user_id = $2",
	    2 },
	{ "account_delete",
	    "delete from linked_accounts where user_id = $1::uuid and id = $2::uuid", 2 },
};

void
gw_remote_fini(struct gw_remote *r)
{
	free(r->apiurl);
	free(r->type);
	free(r->auth_type);
	free(r->client_id);
	free(r->ssh_host_key);
	gw_sealed_fini(&r->client_secret);
	*r = (struct gw_remote){ 0 };
}

char *
gw_remote_place(const char *id)
{
	return xasprintf("remote source %s client_secret", id);
}

void
gw_remote_list_fini(struct gw_remote_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		gw_remote_fini(&l->rows[i]);
	free(l->rows);
	*l = (struct gw_remote_list){ 0 };
}

static struct gw_sealed
sealed_of_row(const struct db_result *r, size_t row, const char *column)
{
	struct gw_sealed s = { 0 };

	s.p = db_bytes(&s.n, r, row, column);
	return s;
}

static struct db_param
sealed_param(const struct gw_sealed *s)
{
	return s->p ? DB_BYTES(s->p, s->n) : DB_NULL;
}

static void
remote_of_row(struct gw_remote *out, const struct db_result *r, size_t row)
{
	*out = (struct gw_remote){
		.apiurl = xstrdup(db_text(r, row, "apiurl")),
		.type = xstrdup(db_text(r, row, "type")),
		.auth_type = xstrdup(db_text(r, row, "auth_type")),
		.client_id = xstrdup(db_text(r, row, "client_id")),
		.ssh_host_key = xstrdup(db_text(r, row, "ssh_host_key")),
		.client_secret = sealed_of_row(r, row, "client_secret"),
		.skip_verify = db_bool(r, row, "skip_verify"),
		.skip_ssh_host_key_check = db_bool(r, row, "skip_ssh_host_key_check"),
		.registration_enabled = db_bool(r, row, "registration_enabled"),
		.login_enabled = db_bool(r, row, "login_enabled"),
	};
	snprintf(out->id, sizeof(out->id), "%s", db_text(r, row, "id"));
	snprintf(out->name, sizeof(out->name), "%s", db_text(r, row, "name"));
}

static int
no_remote(struct err **err)
{
	return err_set_slug(
	    err, ERR_NOTFOUND, "remoteSourceDoesNotExist", "there is no such remote source");
}

int
gw_store_remote_by_ref(struct gw_remote *out, struct db *db, const char *ref, struct err **err)
{
	auto_result *r = NULL;
	struct id id;
	int rc;

	if (gw_name_uuid(&id, ref))
		rc = db_query(&r, db, err, "remote_by_id", DB_TEXT(id.s));
	else if (gw_name_is_valid(ref))
		rc = db_query(&r, db, err, "remote_by_name", DB_TEXT(ref));
	else
		return no_remote(err);
	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return no_remote(err);
	remote_of_row(out, r, 0);
	return 0;
}

int
gw_store_remote_list(
    struct gw_remote_list *out, struct db *db, const struct gw_page *page, struct err **err)
{
	auto_result *r = NULL;
	int rc;

	*out = (struct gw_remote_list){ 0 };
	rc = gw_store_paged(&r, &out->n, &out->more, db, "remote_list", page, NULL, 0, err);
	if (rc < 0)
		return rc;
	out->rows = xcalloc(out->n + 1, sizeof(out->rows[0]));
	for (size_t i = 0; i < out->n; i++)
		remote_of_row(&out->rows[i], r, i);
	return 0;
}

static int
remote_exists(struct err **err)
{
	return err_set_slug(err, ERR_INVALID, "remoteSourceAlreadyExists",
	    "a remote source of this name exists already; choose another name");
}

int
gw_store_remote_create(struct db *db, const struct gw_remote *n, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "remote_create", DB_TEXT(n->id), DB_TEXT(n->name),
	    DB_TEXT(n->apiurl), DB_TEXT(n->type), DB_TEXT(n->auth_type), DB_BOOL(n->skip_verify),
	    DB_TEXT(n->client_id), sealed_param(&n->client_secret), DB_TEXT(n->ssh_host_key),
	    DB_BOOL(n->skip_ssh_host_key_check), DB_BOOL(n->registration_enabled),
	    DB_BOOL(n->login_enabled));

	if (rc == 0 && db_affected(r) == 0)
		return remote_exists(err);
	return rc;
}

int
gw_store_remote_update(struct db *db, const struct gw_remote *n, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "remote_update", DB_TEXT(n->id), DB_TEXT(n->name),
	    DB_TEXT(n->apiurl), DB_BOOL(n->skip_verify), DB_TEXT(n->client_id),
	    sealed_param(&n->client_secret), DB_TEXT(n->ssh_host_key),
	    DB_BOOL(n->skip_ssh_host_key_check), DB_BOOL(n->registration_enabled),
	    DB_BOOL(n->login_enabled));

	if (rc == ERR_CONFLICT) {
		err_clear(err);
		return remote_exists(err);
	}
	if (rc == 0 && db_affected(r) == 0)
		return no_remote(err);
	return rc;
}

int
gw_store_remote_delete(struct db *db, const char *id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "remote_delete", DB_TEXT(id));

	if (rc == 0 && db_affected(r) == 0)
		return no_remote(err);
	return rc;
}

/* --- linked accounts --- */

void
gw_account_fini(struct gw_account *a)
{
	free(a->remote_user_id);
	free(a->remote_username);
	free(a->avatar_url);
	gw_sealed_fini(&a->access_token);
	gw_sealed_fini(&a->oauth2_access_token);
	gw_sealed_fini(&a->oauth2_refresh_token);
	*a = (struct gw_account){ 0 };
}

char *
gw_account_place(const char *id, const char *field)
{
	return xasprintf("linked account %s %s", id, field);
}

static void
account_of_row(struct gw_account *out, const struct db_result *r)
{
	*out = (struct gw_account){
		.remote_user_id = xstrdup(db_text(r, 0, "remote_user_id")),
		.remote_username = xstrdup(db_text(r, 0, "remote_username")),
		.avatar_url = xstrdup(db_text(r, 0, "remote_user_avatar_url")),
		.access_token = sealed_of_row(r, 0, "access_token"),
		.oauth2_access_token = sealed_of_row(r, 0, "oauth2_access_token"),
		.oauth2_refresh_token = sealed_of_row(r, 0, "oauth2_refresh_token"),
		.oauth2_expires_ms = db_i64_or(r, 0, "expires_ms", 0),
	};
	snprintf(out->id, sizeof(out->id), "%s", db_text(r, 0, "id"));
	snprintf(out->user_id, sizeof(out->user_id), "%s", db_text(r, 0, "user_id"));
	snprintf(out->remote_source_id, sizeof(out->remote_source_id), "%s",
	    db_text(r, 0, "remote_source_id"));
}

static int
account_exists(struct err **err)
{
	return err_set_slug(err, ERR_INVALID, "linkedAccountAlreadyExists",
	    "the user has an account at this git host linked already, or another user has "
	    "linked this one");
}

static int
no_account(struct err **err)
{
	return err_set_slug(err, ERR_NOTFOUND, "linkedAccountDoesNotExist",
	    "there is no such linked account; link an account of the git host first");
}

int
gw_store_account_create(struct db *db, const struct gw_account *a, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "account_create", DB_TEXT(a->id), DB_TEXT(a->user_id),
	    DB_TEXT(a->remote_source_id), DB_TEXT(a->remote_user_id), DB_TEXT(a->remote_username),
	    DB_TEXT(a->avatar_url), sealed_param(&a->access_token),
	    sealed_param(&a->oauth2_access_token), sealed_param(&a->oauth2_refresh_token),
	    DB_I64(a->oauth2_expires_ms));

	if (rc == 0 && db_affected(r) == 0)
		return account_exists(err);
	return rc;
}

struct registration {
	struct gw_user user;
	const char *username;
	struct gw_account *account;
};

static int
register_one(struct db *db, void *arg, struct err **err)
{
	struct registration *reg = arg;
	auto_result *taken = NULL;
	int rc = db_query(&taken, db, err, "account_by_remote",
	    DB_TEXT(reg->account->remote_source_id), DB_TEXT(reg->account->remote_user_id));

	if (rc == 0 && db_rows(taken) > 0)
		return account_exists(err);
	if (rc == 0)
		rc = gw_store_user_create(&reg->user, db, reg->username, false, err);
	if (rc < 0)
		return rc;
	snprintf(reg->account->user_id, sizeof(reg->account->user_id), "%s", reg->user.id);
	return gw_store_account_create(db, reg->account, err);
}

int
gw_store_account_register(struct gw_user *out, struct db *db, const char *username,
    struct gw_account *a, struct err **err)
{
	struct registration reg = { .username = username, .account = a };
	int rc = db_tx_run(db, register_one, &reg, err);

	*out = reg.user;
	return rc;
}

int
gw_store_account_update(struct db *db, const struct gw_account *a, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "account_update", DB_TEXT(a->id),
	    DB_TEXT(a->remote_username), DB_TEXT(a->avatar_url), sealed_param(&a->access_token),
	    sealed_param(&a->oauth2_access_token), sealed_param(&a->oauth2_refresh_token),
	    DB_I64(a->oauth2_expires_ms));

	if (rc == 0 && db_affected(r) == 0)
		return no_account(err);
	return rc;
}

static int
one_account(struct gw_account *out, struct db_result *r, struct err **err)
{
	auto_result *owned = r;

	if (db_rows(owned) == 0)
		return no_account(err);
	account_of_row(out, owned);
	return 0;
}

int
gw_store_account_of_user(struct gw_account *out, struct db *db, const char *user_id,
    const char *remote_source_id, struct err **err)
{
	struct db_result *r = NULL;
	int rc =
	    db_query(&r, db, err, "account_of_user", DB_TEXT(user_id), DB_TEXT(remote_source_id));

	return rc < 0 ? rc : one_account(out, r, err);
}

int
gw_store_account_by_remote(struct gw_account *out, struct db *db, const char *remote_source_id,
    const char *remote_user_id, struct err **err)
{
	struct db_result *r = NULL;
	int rc = db_query(
	    &r, db, err, "account_by_remote", DB_TEXT(remote_source_id), DB_TEXT(remote_user_id));

	return rc < 0 ? rc : one_account(out, r, err);
}

int
gw_store_account_delete(struct db *db, const char *user_id, const char *id, struct err **err)
{
	auto_result *r = NULL;
	int rc;

	if (!id_is_valid(id))
		return no_account(err);
	rc = db_query(&r, db, err, "account_delete", DB_TEXT(user_id), DB_TEXT(id));
	if (rc == 0 && db_affected(r) == 0)
		return no_account(err);
	return rc;
}
