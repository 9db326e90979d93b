#include "gateway/handlers.h"

#include "common/crypto.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/git_repo.h"
#include "gateway/page.h"
#include "gateway/request.h"

#include <string.h>

#define TOKEN_BYTES 20 /* 40 hex digits */

static json_t *
user_json(const struct gw_user *u)
{
	return json_pack("{s:s, s:s}", "id", u->id, "username", u->name);
}

/* tokens: a JSON array as text, from the database. */
static json_t *
private_user_json(const struct gw_user *u, const char *tokens)
{
	json_t *names = json_loads(tokens, 0, NULL);

	MUST(names);
	return json_pack("{s:s, s:s, s:o, s:[]}", "id", u->id, "username", u->name, "tokens", names,
	    "linked_accounts");
}

int
gw_api_user_self(struct gw_req *rq, struct db *db, struct err **err)
{
	auto_free char *tokens = NULL;

	if (gw_store_token_names(&tokens, db, rq->who.user.id, err) < 0)
		return (*err)->code;
	rq->reply = private_user_json(&rq->who.user, tokens);
	return 0;
}

int
gw_api_user_get(struct gw_req *rq, struct db *db, struct err **err)
{
	(void)db;
	(void)err;
	rq->reply = user_json(&rq->target);
	return 0;
}

struct user_page {
	char *after;
	bool ascending;
	unsigned limit;
};

static int
user_page_parse(struct user_page *page, struct gw_req *rq, struct err **err)
{
	const char *cursor = gw_req_query(rq, "cursor", 0);
	const char *direction = gw_req_query(rq, "sortdirection", 0);
	auto_json *fields = NULL;
	const char *after;

	page->after = gw_req_strdup(rq, "");
	if (gw_page_limit(&page->limit, gw_req_query(rq, "limit", 0), err) < 0)
		return (*err)->code;
	if (!cursor || !*cursor)
		return gw_page_direction(&page->ascending, direction, true, err);
	if (direction)
		return err_set(err, ERR_INVALID, "cursor and sortdirection: give one of them");
	if (gw_cursor_decode(&fields, cursor, err) < 0)
		return (*err)->code;
	after = json_text(fields, "after");
	if (!after || !gw_name_is_valid(after))
		return err_set(err, ERR_INVALID, "cursor: not one of ours");
	page->after = gw_req_strdup(rq, after);
	page->ascending = json_flag(fields, "asc", true);
	return 0;
}

int
gw_api_user_list(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *query_type = gw_req_query(rq, "query_type", 0);
	struct user_page page;
	struct gw_user_list list;

	if (query_type && *query_type)
		return err_set(err, ERR_INVALID, "query_type: %s is not known", query_type);
	if (user_page_parse(&page, rq, err) < 0 ||
	    gw_store_user_list(&list, db, page.after, page.ascending, page.limit, err) < 0)
		return (*err)->code;
	rq->reply = json_array();
	for (size_t i = 0; i < list.n; i++)
		json_array_append_new(
		    rq->reply, private_user_json(&list.rows[i].user, list.rows[i].tokens));
	rq->cursor = gw_req_strdup(rq, "");
	if (list.more) {
		auto_json *fields = json_pack("{s:s, s:b}", "after",
		    list.rows[list.n - 1].user.name, "asc", (int)page.ascending);

		rq->cursor = gw_req_own(rq, gw_cursor_encode(fields));
	}
	gw_user_list_fini(&list);
	return 0;
}

int
gw_api_user_create(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *name = json_text(rq->body, "username");
	struct gw_user user;

	if (!name || !gw_name_is_valid(name))
		return err_set_slug(err, ERR_INVALID, "invalidUserName",
		    "username: must be a letter followed by letters, digits and single hyphens, at "
		    "most %d of them",
		    GW_NAME_MAX);
	if (gw_store_user_create(&user, db, name, err) < 0)
		return (*err)->code;
	log_info("user created", LOG_STR("user", user.id), LOG_STR("name", user.name));
	rq->status = 201;
	rq->reply = user_json(&user);
	return 0;
}

int
gw_api_user_delete(struct gw_req *rq, struct db *db, struct err **err)
{
	if (gw_store_user_delete(db, rq->target.id, err) < 0)
		return (*err)->code;
	gw_repo_remove_owner(rq->gw->cfg->data_dir, rq->target.id);
	log_info("user deleted", LOG_STR("user", rq->target.id), LOG_STR("name", rq->target.name));
	rq->status = 204;
	return 0;
}

int
gw_api_token_create(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *name = json_text(rq->body, "token_name");
	char token[2 * TOKEN_BYTES + 1];
	uint8_t hash[GW_TOKEN_HASH_LEN];

	if (!name || !*name || strlen(name) > GW_TOKEN_NAME_MAX)
		return err_set(
		    err, ERR_INVALID, "token_name: must have 1 to %d bytes", GW_TOKEN_NAME_MAX);
	id_random_hex(token, TOKEN_BYTES);
	crypto_sha256(hash, token, sizeof(token) - 1);
	if (gw_store_token_create(db, rq->target.id, name, hash, err) < 0)
		return (*err)->code;
	log_info("token created", LOG_STR("user", rq->target.id), LOG_STR("token", name));
	rq->status = 201;
	rq->reply = json_pack("{s:s}", "token", token);
	return 0;
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
