/*
 * Logging in, registering and linking accounts, at this server or at a git host. A git host says
 * who somebody is either at once (password) or through the browser (OAuth2), which comes back to
 * the call-back with a state that we signed.
 *
 *   begin -> find_source -> password: host -> act -> answer
 *                        -> oauth2:   answer with the redirect ... call-back -> host -> act ->
 * answer
 */
#include "gateway/handlers.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/audit.h"
#include "gateway/gateway.h"
#include "gateway/githost.h"
#include "gateway/host_access.h"
#include "gateway/login_limit.h"
#include "gateway/object_json.h"
#include "gateway/password.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/signed.h"

#include <stdio.h>
#include <string.h>

#define STATE_SECONDS 3600

struct login;
/* One kind of request. act runs on a database thread when the host has said who it is. */
struct kind {
	const char *name;
	int (*act)(struct gw_req *rq, struct db *db, struct login *l, struct err **err);
	/* The answer; done: act has run. */
	json_t *(*answer)(const struct login *l, const char *redirect);
};

/* State of one handler, in the request's arena. */
struct login {
	const struct kind *kind;
	const char *source;          /* remote source, name or id */
	const char *name, *password; /* at the host */
	const char *username;        /* to register */
	const char *user_id;         /* to link for */
	const char *code;            /* of the call-back */
	bool oauth2;
	char remote_id[ID_LEN + 1];
	char remote_name[GW_NAME_MAX + 1];
	struct gw_githost host;
	struct gw_githost_identity who; /* arena */
	bool known;                     /* who is filled */
	const json_t *result;           /* what act found; rq->reply owns it */
};

static struct login *
login_of(struct gw_req *rq)
{
	return rq->op;
}

static const char *
keep(struct gw_req *rq, const char *text)
{
	return text ? gw_req_strdup(rq, text) : NULL;
}

static const char *
text_or_empty(const char *text)
{
	return text ? text : "";
}

/* --- what is done with an identity --- */

static struct gw_sealed
seal_token(struct gw_req *rq, const char *id, const char *field, const char *text)
{
	auto_free char *place = gw_account_place(id, field);

	return gw_seal(&rq->gw->keys, text, place);
}

/* Names and tokens as the host gave them. */
static void
fill_account(struct gw_account *a, struct gw_req *rq, const struct login *l)
{
	const struct gw_githost_identity *who = &l->who;

	free(a->remote_username);
	free(a->avatar_url);
	gw_sealed_fini(&a->access_token);
	gw_sealed_fini(&a->oauth2_access_token);
	gw_sealed_fini(&a->oauth2_refresh_token);
	a->remote_username = xstrdup(text_or_empty(who->login));
	a->avatar_url = xstrdup(text_or_empty(who->avatar_url));
	a->access_token = seal_token(rq, a->id, "access_token", who->access_token);
	a->oauth2_access_token =
	    seal_token(rq, a->id, "oauth2_access_token", who->oauth2_access_token);
	a->oauth2_refresh_token =
	    seal_token(rq, a->id, "oauth2_refresh_token", who->oauth2_refresh_token);
	a->oauth2_expires_ms = who->oauth2_expires_ms;
}

static void
new_account(struct gw_account *a, struct gw_req *rq, const struct login *l)
{
	struct id id = id_new();

	*a = (struct gw_account){ .remote_user_id = xstrdup(text_or_empty(l->who.id)) };
	snprintf(a->id, sizeof(a->id), "%s", id.s);
	snprintf(a->user_id, sizeof(a->user_id), "%s", text_or_empty(l->user_id));
	snprintf(a->remote_source_id, sizeof(a->remote_source_id), "%s", l->remote_id);
	fill_account(a, rq, l);
}

static int
act_login(struct gw_req *rq, struct db *db, struct login *l, struct err **err)
{
	struct gw_account a;
	int rc = gw_store_account_by_remote(&a, db, l->remote_id, l->who.id, err);

	if (rc == ERR_NOTFOUND)
		gw_audit_login(rq, db, NULL, text_or_empty(l->who.login), "refused");
	if (rc < 0)
		return rc;
	fill_account(&a, rq, l);
	rc = gw_store_account_update(db, &a, err);
	if (rc == 0)
		rc = gw_store_user_by_ref(&rq->who.user, db, a.user_id, err);
	gw_account_fini(&a);
	if (rc < 0)
		return rc;
	rq->login = true;
	l->result = rq->reply = gw_user_json(&rq->who.user);
	gw_audit_login(rq, db, rq->who.user.id, rq->who.user.name, "done");
	return 0;
}

static int
act_authorize(struct gw_req *rq, struct db *db, struct login *l, struct err **err)
{
	(void)db;
	(void)err;
	l->result = rq->reply = json_pack("{s:s, s:s, s:s}", "ID", text_or_empty(l->who.id),
	    "LoginName", text_or_empty(l->who.login), "Email", text_or_empty(l->who.email));
	return 0;
}

static int
act_register(struct gw_req *rq, struct db *db, struct login *l, struct err **err)
{
	struct gw_account a;
	struct gw_user user;
	int rc;

	new_account(&a, rq, l);
	rc = gw_store_account_register(&user, db, l->username, &a, err);
	gw_account_fini(&a);
	if (rc < 0)
		return rc;
	log_info("user registered", LOG_STR("user", user.id), LOG_STR("name", user.name));
	gw_audit_login(rq, db, user.id, user.name, "done");
	return 0;
}

static int
act_link(struct gw_req *rq, struct db *db, struct login *l, struct err **err)
{
	struct gw_account a;
	struct gw_user user;
	int rc = gw_store_user_by_ref(&user, db, l->user_id, err);

	if (rc < 0)
		return rc;
	new_account(&a, rq, l);
	rc = gw_store_account_create(db, &a, err);
	if (rc == 0)
		l->result = rq->reply = gw_account_json(&a);
	gw_account_fini(&a);
	if (rc == 0 && rq->route->auth == GW_AUTH_NONE)
		gw_audit_login(rq, db, user.id, user.name, "done");
	return rc;
}

static json_t *
result_or_null(const struct login *l)
{
	/* Counting references changes nothing that anybody reads. */
	return l->result ? json_incref((json_t *)(uintptr_t)l->result) : json_null();
}

static json_t *
answer_login(const struct login *l, const char *redirect)
{
	return json_pack("{s:s, s:o}", "oauth2_redirect", redirect, "user", result_or_null(l));
}

static json_t *
answer_authorize(const struct login *l, const char *redirect)
{
	return json_pack("{s:s, s:o, s:s}", "oauth2_redirect", redirect, "remote_user_info",
	    result_or_null(l), "remote_source_name", l->known ? l->remote_name : "");
}

static json_t *
answer_register(const struct login *l, const char *redirect)
{
	(void)l;
	return json_pack("{s:s}", "oauth2_redirect", redirect);
}

static json_t *
answer_link(const struct login *l, const char *redirect)
{
	return json_pack(
	    "{s:o, s:s}", "linked_account", result_or_null(l), "oauth2_redirect", redirect);
}

enum { KIND_LOGIN, KIND_AUTHORIZE, KIND_REGISTER, KIND_LINK };
static const struct kind kinds[] = {
	[KIND_LOGIN] = { "loginuser", act_login, answer_login },
	[KIND_AUTHORIZE] = { "authorize", act_authorize, answer_authorize },
	[KIND_REGISTER] = { "registeruser", act_register, answer_register },
	[KIND_LINK] = { "createuserla", act_link, answer_link },
};

/* --- the state that goes through the browser --- */

static char *
make_state(const struct gw_req *rq, const struct login *l)
{
	json_int_t until = clock_wall_ms() / 1000 + STATE_SECONDS;
	auto_json *fields = json_pack("{s:s, s:s, s:s, s:s, s:I}", "type", l->kind->name, "source",
	    l->remote_id, "username", text_or_empty(l->username), "user", text_or_empty(l->user_id),
	    "until", until);
	auto_free char *text = json_print(fields);

	return gw_signed(text, rq->gw->keys.state);
}

static int
open_state(struct login *l, struct gw_req *rq, const char *state, struct err **err)
{
	auto_free char *text = state ? gw_signed_open(state, rq->gw->keys.state) : NULL;
	auto_json *fields = NULL;
	const char *type;

	if (!text || json_parse(&fields, text, strlen(text), NULL) < 0 ||
	    json_int(fields, "until", 0) < clock_wall_ms() / 1000)
		return err_set(err, ERR_INVALID, "state: not one of ours, or too old");
	type = text_or_empty(json_text(fields, "type"));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, type) == 0)
			l->kind = &kinds[i];
	}
	if (!l->kind)
		return err_set(err, ERR_INVALID, "state: not one of ours");
	l->source = keep(rq, json_text(fields, "source"));
	l->username = keep(rq, json_text(fields, "username"));
	l->user_id = keep(rq, json_text(fields, "user"));
	return 0;
}

/* --- the chain --- */

static char *
redirect_uri(struct gw_req *rq)
{
	const struct gw_config *cfg = rq->gw->cfg;

	return gw_req_printf(
	    rq, "%s/oauth2/callback", cfg->web_url ? cfg->web_url : cfg->public_url);
}

static int
find_source(struct gw_req *rq, struct db *db, struct err **err)
{
	struct login *l = login_of(rq);
	struct gw_remote r;
	int rc = gw_store_remote_by_ref(&r, db, text_or_empty(l->source), err);

	if (rc < 0)
		return rc;
	if (l->kind == &kinds[KIND_LOGIN] && !r.login_enabled)
		rc = err_set(err, ERR_INVALID, "nobody may log in through this git host");
	else if (l->kind == &kinds[KIND_REGISTER] && !r.registration_enabled)
		rc = err_set(err, ERR_INVALID, "nobody may register through this git host");
	else
		rc = gw_host_open(&l->host, rq, &r, err);
	l->oauth2 = strcmp(r.auth_type, "oauth2") == 0;
	snprintf(l->remote_id, sizeof(l->remote_id), "%s", r.id);
	snprintf(l->remote_name, sizeof(l->remote_name), "%s", r.name);
	gw_remote_fini(&r);
	return rc;
}

static int
act(struct gw_req *rq, struct db *db, struct err **err)
{
	struct login *l = login_of(rq);

	return l->kind->act(rq, db, l, err);
}

static void
acted(struct gw_req *rq)
{
	struct login *l = login_of(rq);
	json_t *answer = l->kind->answer(l, "");

	if (l->code)
		answer = json_pack("{s:s, s:o}", "request_type", l->kind->name, "response", answer);
	else
		gw_login_forgive(rq, l->name);
	gw_reply_json(rq, l->code ? 200 : 201, answer);
}

static void
identified(const struct gw_githost_identity *who, struct err **err, void *arg)
{
	struct gw_req *rq = arg;
	struct login *l = login_of(rq);

	if (!who || !who->id || !*who->id) {
		/* A wrong password, most often; never this server's failure. */
		if (*err && (*err)->code != ERR_UNAVAILABLE)
			(*err)->code = ERR_INVALID;
		gw_reply_err(rq, err);
		return;
	}
	l->who = (struct gw_githost_identity){ .id = keep(rq, who->id),
		.login = keep(rq, who->login),
		.email = keep(rq, who->email),
		.avatar_url = keep(rq, who->avatar_url),
		.access_token = keep(rq, who->access_token),
		.oauth2_access_token = keep(rq, who->oauth2_access_token),
		.oauth2_refresh_token = keep(rq, who->oauth2_refresh_token),
		.oauth2_expires_ms = who->oauth2_expires_ms };
	l->known = true;
	gw_req_step(rq, rq->gw->db_pool, act, acted);
}

static void
ask_host(struct gw_req *rq)
{
	struct login *l = login_of(rq);
	auto_free char *state = NULL;
	auto_free char *url = NULL;

	if (l->code) {
		gw_githost_login_code(rq->gw, &l->host, l->code, redirect_uri(rq), identified, rq);
	} else if (!l->oauth2) {
		gw_githost_login_password(rq->gw, &l->host, text_or_empty(l->name),
		    text_or_empty(l->password), identified, rq);
	} else {
		gw_login_forgive(rq, l->name);
		state = make_state(rq, l);
		url = gw_githost_authorize_url(&l->host, redirect_uri(rq), state);
		gw_reply_json(rq, 201, l->kind->answer(l, url));
	}
}

static struct login *
login_new(struct gw_req *rq, const struct kind *kind)
{
	struct login *l = gw_req_alloc(rq, sizeof(*l));

	rq->op = l;
	l->kind = kind;
	return l;
}

static void
begin(struct gw_req *rq)
{
	if (gw_login_try(rq, login_of(rq)->name))
		gw_req_step(rq, rq->gw->db_pool, find_source, ask_host);
}

/* --- users of this server --- */

static int
local_login(struct gw_req *rq, struct db *db, struct err **err)
{
	const struct login *l = login_of(rq);
	const char *token_name = json_text(rq->body, "token_name");
	int rc = gw_password_check(&rq->who.user, db, l->name, l->password, err);

	if (rc == ERR_INVALID)
		gw_audit_login(rq, db, NULL, text_or_empty(l->name), "refused");
	if (rc < 0)
		return rc;
	/* A program asks for a token; a browser gets cookies. */
	if (token_name && *token_name) {
		rc = gw_token_issue(rq, db, rq->who.user.id, err);
		if (rc < 0)
			return rc;
	} else {
		rq->login = true;
		rq->status = 201;
		rq->reply = json_object();
	}
	json_object_set_new(rq->reply, "oauth2_redirect", json_string(""));
	json_object_set_new(rq->reply, "user", gw_user_json(&rq->who.user));
	gw_audit_login(rq, db, rq->who.user.id, rq->who.user.name, "done");
	return 0;
}

static void
local_logged_in(struct gw_req *rq)
{
	gw_login_forgive(rq, login_of(rq)->name);
	gw_reply_json(rq, rq->status, steal(&rq->reply));
}

/* --- routes --- */

/* Web pages send the name as username. */
static void
take_name(struct login *l, const json_t *body)
{
	const char *name = json_text(body, "login_name");

	l->name = name && *name ? name : json_text(body, "username");
	l->password = json_text(body, "password");
	l->source = json_text(body, "remote_source_name");
}

void
gw_api_login(struct gw_req *rq)
{
	struct login *l = login_new(rq, &kinds[KIND_LOGIN]);

	take_name(l, rq->body);
	if (l->source && *l->source)
		begin(rq);
	else if (gw_login_try(rq, l->name))
		gw_req_step(rq, rq->gw->login_pool, local_login, local_logged_in);
}

void
gw_api_authorize(struct gw_req *rq)
{
	take_name(login_new(rq, &kinds[KIND_AUTHORIZE]), rq->body);
	begin(rq);
}

void
gw_api_register(struct gw_req *rq)
{
	struct login *l = login_new(rq, &kinds[KIND_REGISTER]);
	struct err *err = NULL;

	l->source = json_text(rq->body, "remote_source_name");
	l->name = json_text(rq->body, "remote_source_login_name");
	l->password = json_text(rq->body, "remote_source_login_password");
	l->username = json_text(rq->body, "username");
	if (gw_name_check(l->username, "username", "invalidUserName", &err) < 0)
		gw_reply_err(rq, &err);
	else
		begin(rq);
}

void
gw_api_account_create(struct gw_req *rq)
{
	struct login *l = login_new(rq, &kinds[KIND_LINK]);

	l->source = json_text(rq->body, "remote_source_name");
	l->name = json_text(rq->body, "remote_source_login_name");
	l->password = json_text(rq->body, "remote_source_login_password");
	l->user_id = rq->target.id;
	begin(rq);
}

int
gw_api_account_delete(struct gw_req *rq, struct db *db, struct err **err)
{
	if (gw_store_account_delete(db, rq->target.id, gw_req_param(rq, "laid"), err) < 0)
		return (*err)->code;
	rq->status = 204;
	return 0;
}

void
gw_api_oauth2_callback(struct gw_req *rq)
{
	struct login *l = login_new(rq, NULL);
	struct err *err = NULL;

	l->code = gw_req_query(rq, "code", 0);
	if (!l->code || !*l->code)
		err_set(&err, ERR_INVALID, "code: is missing");
	else
		(void)!open_state(l, rq, gw_req_query(rq, "state", 0), &err);
	if (err)
		gw_reply_err(rq, &err);
	else
		gw_req_step(rq, rq->gw->db_pool, find_source, ask_host);
}
