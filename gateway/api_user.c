#include "gateway/handlers.h"

#include "common/config.h"
#include "common/crypto.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/git_repo.h"
#include "gateway/object_json.h"
#include "gateway/request.h"

#include <string.h>

#define TOKEN_BYTES 20 /* 40 hex digits */

int
gw_api_user_self(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_user_more more;

	if (gw_store_user_more(&more, db, rq->who.user.id, err) < 0)
		return (*err)->code;
	rq->reply = gw_private_user_json(&rq->who.user, &more);
	gw_user_more_fini(&more);
	return 0;
}

int
gw_api_user_get(struct gw_req *rq, struct db *db, struct err **err)
{
	(void)db;
	(void)err;
	rq->reply = gw_user_json(&rq->target);
	return 0;
}

/* The one user who has an account at a git host, as a list. */
static int
by_remote_user(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *source = gw_req_query(rq, "remotesourceref", 0);
	const char *id = gw_req_query(rq, "remoteuserid", 0);
	struct gw_remote remote;
	struct gw_user_more more;
	struct gw_user user;
	int rc;

	if (!source || !*source || !id || !*id)
		return err_set(err, ERR_INVALID,
		    "query_type=byremoteuser: give remotesourceref and remoteuserid");
	if (gw_store_remote_by_ref(&remote, db, source, err) < 0)
		return (*err)->code;
	rc = gw_store_user_by_remote(&user, db, remote.id, id, err);
	gw_remote_fini(&remote);
	if (rc == 0)
		rc = gw_store_user_more(&more, db, user.id, err);
	if (rc < 0)
		return rc;
	rq->reply = json_pack("[o]", gw_private_user_json(&user, &more));
	rq->cursor = gw_req_strdup(rq, "");
	gw_user_more_fini(&more);
	return 0;
}

int
gw_api_user_list(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *query_type = gw_req_query(rq, "query_type", 0);
	struct gw_page page;
	struct gw_user_list list;

	if (query_type && strcmp(query_type, "byremoteuser") == 0)
		return by_remote_user(rq, db, err);
	if (query_type && *query_type)
		return err_set(err, ERR_INVALID, "query_type: %s is not known", query_type);
	if (gw_req_page(&page, rq, gw_name_is_valid, err) < 0 ||
	    gw_store_user_list(&list, db, &page, err) < 0)
		return (*err)->code;
	rq->reply = json_array();
	for (size_t i = 0; i < list.n; i++)
		json_array_append_new(
		    rq->reply, gw_private_user_json(&list.rows[i].user, &list.rows[i].more));
	gw_req_next_page(rq, &page, list.more, list.n ? list.rows[list.n - 1].user.name : "");
	gw_user_list_fini(&list);
	return 0;
}

int
gw_api_user_create(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *name = json_text(rq->body, "username");
	struct gw_user user;

	if (gw_name_check(name, "username", "invalidUserName", err) < 0)
		return ERR_INVALID;
	if (gw_store_user_create(&user, db, name, json_flag(rq->body, "admin", false), err) < 0)
		return (*err)->code;
	log_info("user created", LOG_STR("user", user.id), LOG_STR("name", user.name));
	rq->status = 201;
	rq->reply = gw_user_json(&user);
	return 0;
}

int
gw_api_user_delete(struct gw_req *rq, struct db *db, struct err **err)
{
	if (gw_store_user_delete(db, rq->target.id, err) < 0)
		return (*err)->code;
	gw_repo_remove_owner(rq->gw->cfg->repository_dir, rq->target.id);
	log_info("user deleted", LOG_STR("user", rq->target.id), LOG_STR("name", rq->target.name));
	rq->status = 204;
	return 0;
}

int
gw_api_token_list(struct gw_req *rq, struct db *db, struct err **err)
{
	auto_free char *text = NULL;

	if (gw_store_token_list(&text, db, rq->target.id, err) < 0)
		return (*err)->code;
	rq->reply = json_loads(text, 0, NULL);
	MUST(rq->reply);
	return 0;
}

/* Scope and life. */
static int
parse_token(struct gw_token_new *t, const json_t *body, struct err **err)
{
	const char *scope = json_text(body, "scope");
	const char *life = json_text(body, "expires_in");
	int64_t ns;

	t->name = json_text(body, "token_name");
	if (!t->name || !*t->name || strlen(t->name) > GW_TOKEN_NAME_MAX)
		return err_set(
		    err, ERR_INVALID, "token_name: must have 1 to %d bytes", GW_TOKEN_NAME_MAX);
	t->read_only = scope && strcmp(scope, "read") == 0;
	if (scope && *scope && !t->read_only && strcmp(scope, "full") != 0)
		return err_set(err, ERR_INVALID, "scope: must be full or read");
	if (!life || !*life)
		return 0;
	if (config_parse_duration_ns(&ns, life, err) < 0)
		return err_wrap(err, "expires_in");
	t->expires_ms = ns / 1000000;
	if (t->expires_ms < 1)
		return err_set(err, ERR_INVALID, "expires_in: must be longer than nothing");
	return 0;
}

int
gw_token_issue(struct gw_req *rq, struct db *db, const char *user_id, struct err **err)
{
	struct gw_token_new t = { .user_id = user_id };
	char token[2 * TOKEN_BYTES + 1];

	if (parse_token(&t, rq->body, err) < 0)
		return ERR_INVALID;
	id_random_hex(token, TOKEN_BYTES);
	crypto_sha256(t.hash, token, sizeof(token) - 1);
	if (gw_store_token_create(db, &t, err) < 0)
		return (*err)->code;
	log_info("token created", LOG_STR("user", user_id), LOG_STR("token", t.name));
	rq->status = 201;
	rq->reply = json_pack("{s:s}", "token", token);
	return 0;
}

int
gw_api_token_create(struct gw_req *rq, struct db *db, struct err **err)
{
	return gw_token_issue(rq, db, rq->target.id, err);
}

static bool
is_utf8(const char *s)
{
	auto_json *j = json_string(s); /* NULL when it is not */

	return j != NULL;
}

int
gw_api_token_delete(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *name = gw_req_param(rq, "name");

	if (!is_utf8(name))
		return err_set_slug(err, ERR_NOTFOUND, "userTokenDoesNotExist",
		    "the user has no token of this name");
	if (gw_store_token_delete(db, rq->target.id, name, err) < 0)
		return (*err)->code;
	log_info("token deleted", LOG_STR("user", rq->target.id), LOG_STR("token", name));
	rq->status = 204;
	return 0;
}
