#include "gateway/handlers.h"

#include "common/log.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/object_json.h"
#include "gateway/origin.h"
#include "gateway/request.h"

#include <stdio.h>
#include <string.h>

#define URL_MAX 500
#define HOST_KEY_MAX 20000 /* bytes of known_hosts lines */

int
gw_api_remote_list(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_page page;
	struct gw_remote_list l;

	if (gw_req_page(&page, rq, gw_name_is_valid, err) < 0 ||
	    gw_store_remote_list(&l, db, &page, err) < 0)
		return (*err)->code;
	rq->reply = json_array();
	for (size_t i = 0; i < l.n; i++)
		json_array_append_new(rq->reply, gw_remote_json(&l.rows[i]));
	gw_req_next_page(rq, &page, l.more, l.n ? l.rows[l.n - 1].name : "");
	gw_remote_list_fini(&l);
	return 0;
}

/* Which hosts there are, and how somebody may prove there who he is. */
static const struct {
	const char *type;
	bool password;
} types[] = { { "gitea", true }, { "github", false }, { "gitlab", false } };

static int
check_type(const struct gw_remote *r, struct err **err)
{
	bool password = strcmp(r->auth_type, "password") == 0;
	size_t i = 0;

	while (i < ARRAY_LEN(types) && strcmp(types[i].type, r->type) != 0)
		i++;
	if (i == ARRAY_LEN(types))
		return err_set_slug(err, ERR_INVALID, "invalidRemoteSourceType",
		    "type: must be gitea, github or gitlab");
	if (strcmp(r->auth_type, "oauth2") != 0 && !(password && types[i].password))
		return err_set_slug(err, ERR_INVALID, "invalidRemoteSourceAuthType",
		    "auth_type: must be oauth2%s", types[i].password ? " or password" : "");
	return 0;
}

/* Everything but type and auth_type, which never change. */
static int
check(const struct gw_remote *r, struct err **err)
{
	char normal[GW_ORIGIN_MAX];

	if (gw_name_check(r->name, "name", "invalidRemoteSourceName", err) < 0)
		return ERR_INVALID;
	if (strlen(r->apiurl) > URL_MAX || !gw_origin_normal(normal, r->apiurl))
		return err_set_slug(err, ERR_INVALID, "invalidRemoteSourceAPIURL",
		    "apiurl: must be a URL such as https://gitea.example.org");
	if (strlen(r->ssh_host_key) > HOST_KEY_MAX)
		return err_set(err, ERR_INVALID, "ssh_host_key: at most %d bytes", HOST_KEY_MAX);
	if (strcmp(r->auth_type, "oauth2") != 0)
		return 0;
	if (!*r->client_id)
		return err_set_slug(
		    err, ERR_INVALID, "invalidOauth2ClientID", "oauth_2_client_id: is missing");
	if (!r->client_secret.p)
		return err_set_slug(err, ERR_INVALID, "invalidOauth2ClientSecret",
		    "oauth_2_client_secret: is missing");
	return 0;
}

static void
set_text(char **at, const json_t *body, const char *field)
{
	const char *text = json_text(body, field);

	if (!text && *at)
		return;
	free(*at);
	*at = xstrdup(text ? text : "");
}

/* Given fields replace what r holds. */
static void
apply(struct gw_remote *r, struct gw_req *rq)
{
	const char *name = json_text(rq->body, "name");
	const char *secret = json_text(rq->body, "oauth_2_client_secret");

	/* One that is too long is kept too long, to be refused. */
	if (name)
		snprintf(r->name, sizeof(r->name), "%s", strlen(name) <= GW_NAME_MAX ? name : "");
	set_text(&r->apiurl, rq->body, "apiurl");
	set_text(&r->client_id, rq->body, "oauth_2_client_id");
	set_text(&r->ssh_host_key, rq->body, "ssh_host_key");
	if (secret) {
		auto_free char *place = gw_remote_place(r->id);

		gw_sealed_fini(&r->client_secret);
		r->client_secret = gw_seal(&rq->gw->keys, secret, place);
	}
	r->skip_verify = json_flag(rq->body, "skip_verify", r->skip_verify);
	r->skip_ssh_host_key_check =
	    json_flag(rq->body, "skip_ssh_host_key_check", r->skip_ssh_host_key_check);
	r->registration_enabled =
	    json_flag(rq->body, "registration_enabled", r->registration_enabled);
	r->login_enabled = json_flag(rq->body, "login_enabled", r->login_enabled);
}

int
gw_api_remote_create(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_remote r = { .registration_enabled = true, .login_enabled = true };
	struct id id = id_new();
	int rc;

	snprintf(r.id, sizeof(r.id), "%s", id.s);
	set_text(&r.type, rq->body, "type");
	set_text(&r.auth_type, rq->body, "auth_type");
	apply(&r, rq);
	rc = gw_name_check(r.name, "name", "invalidRemoteSourceName", err);
	if (rc == 0)
		rc = check_type(&r, err);
	if (rc == 0)
		rc = check(&r, err);
	if (rc == 0)
		rc = gw_store_remote_create(db, &r, err);
	if (rc == 0) {
		log_info("git host added", LOG_STR("name", r.name), LOG_STR("type", r.type));
		rq->status = 201;
		rq->reply = gw_remote_json(&r);
	}
	gw_remote_fini(&r);
	return rc;
}

int
gw_api_remote_get(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_remote r;

	if (gw_store_remote_by_ref(&r, db, gw_req_param(rq, "rs"), err) < 0)
		return (*err)->code;
	rq->reply = gw_remote_json(&r);
	gw_remote_fini(&r);
	return 0;
}

int
gw_api_remote_update(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_remote r;
	int rc = gw_store_remote_by_ref(&r, db, gw_req_param(rq, "rs"), err);

	if (rc < 0)
		return rc;
	apply(&r, rq);
	rc = check(&r, err);
	if (rc == 0)
		rc = gw_store_remote_update(db, &r, err);
	if (rc == 0) {
		rq->status = 201;
		rq->reply = gw_remote_json(&r);
	}
	gw_remote_fini(&r);
	return rc;
}

int
gw_api_remote_delete(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_remote r;
	int rc = gw_store_remote_by_ref(&r, db, gw_req_param(rq, "rs"), err);

	if (rc < 0)
		return rc;
	rc = gw_store_remote_delete(db, r.id, err);
	if (rc == 0)
		log_info("git host removed", LOG_STR("name", r.name));
	gw_remote_fini(&r);
	rq->status = 204;
	return rc;
}
