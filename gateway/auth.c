#include "gateway/auth.h"

#include "common/clock.h"
#include "common/crypto.h"
#include "common/http_server.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/request.h"
#include "gateway/store_audit.h"

#include <string.h>
#include <strings.h>

const char *
gw_auth_token(const char *header)
{
	if (!header || strncasecmp(header, "token ", 6) != 0)
		return NULL;
	header += 6;
	while (*header == ' ')
		header++;
	return *header ? header : NULL;
}

static bool
is_admin_token(const struct gateway *gw, const uint8_t hash[GW_TOKEN_HASH_LEN])
{
	const char *admin = gw->cfg->admin_token;
	uint8_t want[CRYPTO_SHA256_LEN];

	if (!admin || !*admin)
		return false;
	/* Hashes have one length: the comparison tells nothing about the token's. */
	crypto_sha256(want, admin, strlen(admin));
	return crypto_equal(want, hash, sizeof(want));
}

/* NULL when a browser's unsafe request is known to come from our own pages. */
static const char *
csrf_problem(const struct gw_req *rq, bool have_value)
{
	const struct gw_config *cfg = rq->gw->cfg;
	bool http_ok =
	    !cfg->cert_file || !*cfg->cert_file || strncmp(cfg->public_url, "http://", 7) == 0;
	const char *token = http_req_header(rq->http, "X-Csrf-Token");

	if (!gw_route_is_unsafe(rq->route))
		return NULL;
	if (!gw_origin_ok(http_req_header(rq->http, "Origin"), http_req_header(rq->http, "Referer"),
	        http_req_header(rq->http, "Host"), http_ok, &cfg->allowed_origins))
		return "origin invalid";
	if (!have_value)
		return "CSRF cookie not found";
	return token && gw_csrf_token_ok(rq->csrf_value, token) ? NULL : "CSRF token invalid";
}

static void
read_cookies(struct gw_req *rq)
{
	bool unsecure = rq->gw->cfg->unsecure_cookies;
	const char *header = http_req_header(rq->http, "Cookie");
	auto_free char *primary = gw_cookie_get(header, gw_cookie_primary_name(unsecure));
	auto_free char *secondary = gw_cookie_get(header, GW_COOKIE_SECONDARY);
	auto_free char *csrf = gw_cookie_get(header, gw_cookie_csrf_name(unsecure));

	rq->has_session = gw_session_open(
	    &rq->session, primary, secondary, rq->gw->keys.session, clock_wall_ms() / 1000);
	rq->csrf_known = gw_csrf_cookie_open(rq->csrf_value, csrf, rq->gw->keys.csrf);
	rq->csrf_problem = csrf_problem(rq, rq->csrf_known);
}

void
gw_auth_begin(struct gw_req *rq)
{
	const char *token;

	rq->who.kind = GW_WHO_ANONYMOUS;
	if (rq->route->auth == GW_AUTH_NONE)
		return;
	token = gw_auth_token(http_req_header(rq->http, "Authorization"));
	if (!token) {
		read_cookies(rq);
		return;
	}
	crypto_sha256(rq->token_hash, token, strlen(token));
	if (is_admin_token(rq->gw, rq->token_hash)) {
		rq->who.kind = GW_WHO_ADMIN;
		rq->who.admin = true;
		return;
	}
	rq->has_token = true;
}

static bool
has_param(const struct gw_req *rq, const char *name)
{
	return gw_route_has_param(rq->route, name);
}

static bool
names_object(const struct gw_req *rq)
{
	return has_param(rq, "p") || has_param(rq, "pg") || has_param(rq, "o") ||
	       has_param(rq, "u");
}

/* What is decided without knowing the object. */
static int
refused_early(const struct gw_req *rq)
{
	const struct gw_route *r = rq->route;

	if (r->auth == GW_AUTH_FORCED && rq->who.kind == GW_WHO_ANONYMOUS)
		return 401;
	if (r->role == GW_ROLE_ADMIN && !rq->who.admin)
		return r->denied;
	return 0;
}

bool
gw_auth_needs_db(const struct gw_req *rq)
{
	if (rq->has_token || rq->has_session)
		return true;
	if (refused_early(rq))
		return false;
	return names_object(rq) || (rq->maintenance_old && !rq->route->outside) ||
	       gw_req_is_audited(rq);
}

/* 0, or with rq->denied set. */
static int
find_caller(struct gw_req *rq, struct db *db, struct err **err)
{
	struct err *lookup = NULL;
	int rc;

	if (!rq->has_token && !rq->has_session)
		return 0;
	if (rq->has_token)
		rc = gw_store_user_by_token(
		    &rq->who.user, &rq->token_reads, db, rq->token_hash, &lookup);
	else
		rc = gw_store_user_by_session(
		    &rq->who.user, db, rq->session.user_id, rq->session.epoch, &lookup);
	if (rc == ERR_NOTFOUND) {
		err_clear(&lookup);
		rq->denied = 401;
		return 0;
	}
	if (rc < 0) {
		*err = lookup;
		return rc;
	}
	rq->who.kind = GW_WHO_USER;
	rq->who.admin = rq->who.user.admin;
	if (rq->token_reads && gw_route_is_unsafe(rq->route))
		rq->denied = 403;
	return 0;
}

static bool
refuse(struct gw_req *rq)
{
	if (!rq->denied)
		rq->denied = refused_early(rq);
	if (!rq->denied && rq->has_session && rq->csrf_problem) {
		rq->denied = 403;
		rq->csrf_refused = true;
	}
	return rq->denied != 0;
}

static void
own_facts(struct gw_req *rq)
{
	rq->facts = (struct gw_facts){
		.admin = rq->who.admin, .user = rq->who.kind == GW_WHO_USER, .hidden = true
	};
}

static bool
is_caller(const struct gw_req *rq, const char *user_id)
{
	return rq->who.kind == GW_WHO_USER && strcmp(rq->who.user.id, user_id) == 0;
}

struct gw_facts
gw_auth_group_facts(const struct gw_req *rq, const struct gw_group *g)
{
	return (struct gw_facts){ .admin = rq->who.admin,
		.user = rq->who.kind == GW_WHO_USER,
		.org = g->org,
		.self = !g->org && is_caller(rq, g->owner_id),
		.member = gw_member_of(g->role),
		.hidden = g->hidden };
}

/* The object whose owner decides, and the facts about it. */
static int
find_object(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *caller = gw_req_user_id(rq);
	char role[8];
	int rc = 0;

	if (has_param(rq, "p")) {
		rc = gw_store_project_by_ref(&rq->project, db, gw_req_param(rq, "p"), caller, err);
		if (rc < 0)
			return rc;
		rq->facts = gw_auth_group_facts(rq, &rq->project.parent);
		rq->facts.hidden = rq->project.hidden;
		rq->facts.members_run = rq->project.members_can_perform_run_actions;
	} else if (has_param(rq, "pg")) {
		rc = gw_store_group_by_ref(&rq->group, db, gw_req_param(rq, "pg"), caller, err);
		if (rc < 0)
			return rc;
		rq->facts = gw_auth_group_facts(rq, &rq->group);
	} else if (has_param(rq, "o")) {
		rc = gw_store_org_by_ref(&rq->org, role, db, gw_req_param(rq, "o"), caller, err);
		if (rc < 0)
			return rc;
		rq->facts.org = true;
		rq->facts.member = gw_member_of(role);
		rq->facts.hidden = rq->org.is_private;
	} else if (has_param(rq, "u")) {
		rc = gw_store_user_by_ref(&rq->target, db, gw_req_param(rq, "u"), err);
		if (rc == 0)
			rq->facts.self = is_caller(rq, rq->target.id);
	}
	return rc;
}

static int
decide(struct gw_req *rq, struct err **err)
{
	const struct gw_route *r = rq->route;

	switch (gw_access(r->role, &rq->facts)) {
	case GW_ALLOW:
		break;
	case GW_REFUSE:
		rq->denied = r->denied;
		break;
	case GW_REFUSE_USER:
		rq->denied = r->nouser ? r->nouser : r->denied;
		break;
	case GW_HIDE:
		return err_set_slug(
		    err, ERR_NOTFOUND, "organizationDoesNotExist", "there is no such organization");
	}
	return 0;
}

static int
check_maintenance(struct gw_req *rq, struct db *db, struct err **err)
{
	unsigned needs = GW_SERVICE_CONFIG | (rq->route->runs ? GW_SERVICE_RUNS : 0);

	if (rq->route->outside)
		return 0;
	if (rq->maintenance_old) {
		if (gw_store_maintenance_get(&rq->maintenance, db, err) < 0)
			return (*err)->code;
		rq->maintenance_read = true;
	}
	if (rq->maintenance & needs)
		return err_set(err, ERR_UNAVAILABLE, "the server is in maintenance; try later");
	return 0;
}

int
gw_auth_lookup(struct gw_req *rq, struct db *db, struct err **err)
{
	int rc;

	/* It may have been asked before. */
	rq->denied = 0;
	gw_group_fini(&rq->group);
	gw_project_fini(&rq->project);
	rc = check_maintenance(rq, db, err);
	if (rc == 0)
		rc = find_caller(rq, db, err);
	if (rc < 0 || refuse(rq))
		return rc;
	own_facts(rq);
	rc = find_object(rq, db, err);
	if (rc == 0)
		rc = decide(rq, err);
	if (rc == 0 && !rq->denied && has_param(rq, "u") && !*rq->target.id)
		rc = gw_store_user_by_ref(&rq->target, db, gw_req_param(rq, "u"), err);
	return rc;
}

void
gw_auth_decide(struct gw_req *rq)
{
	own_facts(rq);
	if (!refuse(rq))
		(void)decide(rq, &rq->err);
}
