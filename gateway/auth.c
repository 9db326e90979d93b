#include "gateway/auth.h"

#include "common/crypto.h"
#include "common/http_server.h"
#include "gateway/gateway.h"
#include "gateway/request.h"

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

void
gw_auth_begin(struct gw_req *rq)
{
	const char *token;

	rq->who.kind = GW_WHO_ANONYMOUS;
	if (rq->route->auth == GW_AUTH_NONE)
		return;
	token = gw_auth_token(http_req_header(rq->http, "Authorization"));
	if (!token)
		return;
	crypto_sha256(rq->token_hash, token, strlen(token));
	if (is_admin_token(rq->gw, rq->token_hash)) {
		rq->who.kind = GW_WHO_ADMIN;
		rq->who.admin = true;
		return;
	}
	rq->has_token = true;
}

static bool
names_user(const struct gw_req *rq)
{
	return gw_route_has_param(rq->route, "u");
}

/* What is decided without knowing {u}. */
static int
refused_early(const struct gw_req *rq)
{
	if (rq->route->auth == GW_AUTH_FORCED && rq->who.kind == GW_WHO_ANONYMOUS)
		return 401;
	if (rq->route->role == GW_ROLE_ADMIN && !rq->who.admin)
		return rq->route->denied;
	return 0;
}

bool
gw_auth_needs_db(const struct gw_req *rq)
{
	if (rq->has_token)
		return true;
	return names_user(rq) && !refused_early(rq);
}

int
gw_auth_lookup(struct gw_req *rq, struct db *db, struct err **err)
{
	if (rq->has_token) {
		struct err *lookup = NULL;
		int rc = gw_store_user_by_token(&rq->who.user, db, rq->token_hash, &lookup);

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
	}
	rq->denied = refused_early(rq);
	if (rq->denied || !names_user(rq))
		return 0;
	return gw_store_user_by_ref(&rq->target, db, gw_req_param(rq, "u"), err);
}

static bool
admitted(const struct gw_req *rq)
{
	bool user = rq->who.kind == GW_WHO_USER;
	bool self = rq->who.admin || (user && strcmp(rq->who.user.id, rq->target.id) == 0);

	switch (rq->route->role) {
	case GW_ROLE_ANY:
		return true;
	case GW_ROLE_USER:
		return user;
	case GW_ROLE_ADMIN:
		return rq->who.admin;
	case GW_ROLE_SELF:
		return self;
	case GW_ROLE_SELF_USER:
		return self && user;
	}
	return false;
}

void
gw_auth_decide(struct gw_req *rq)
{
	rq->denied = refused_early(rq);
	if (!rq->denied && !admitted(rq))
		rq->denied = rq->route->denied;
}
