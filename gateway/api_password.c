#include "gateway/handlers.h"

#include "common/clock.h"
#include "common/crypto.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/audit.h"
#include "gateway/gateway.h"
#include "gateway/login_limit.h"
#include "gateway/password.h"
#include "gateway/reply.h"
#include "gateway/request.h"

#include <string.h>

#define LINK_BYTES 32
#define LINK_MS INT64_C(86400000)

/* --- a one-time link --- */

int
gw_api_password_link(struct gw_req *rq, struct db *db, struct err **err)
{
	const struct gw_config *cfg = rq->gw->cfg;
	char token[2 * LINK_BYTES + 1], until[CLOCK_RFC3339_LEN];
	uint8_t hash[GW_TOKEN_HASH_LEN];
	const char *url;

	id_random_hex(token, LINK_BYTES);
	crypto_sha256(hash, token, sizeof(token) - 1);
	if (gw_store_password_link(db, rq->target.id, hash, LINK_MS, err) < 0)
		return (*err)->code;
	clock_rfc3339(clock_wall_ms() + LINK_MS, until);
	/* Behind '#', so that no server's log ever holds it. */
	url = gw_req_printf(
	    rq, "%s/setpassword#%s", cfg->web_url ? cfg->web_url : cfg->public_url, token);
	log_info("password link made", LOG_STR("user", rq->target.id));
	rq->status = 201;
	rq->reply = json_pack("{s:s, s:s, s:s}", "token", token, "url", url, "expires_at", until);
	return 0;
}

static int
set_by_link(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *token = json_text(rq->body, "token");
	char password[CRYPTO_PASSWORD_LEN];
	uint8_t hash[GW_TOKEN_HASH_LEN];
	struct gw_user user;
	int rc;

	if (!token || !*token)
		return err_set(err, ERR_INVALID, "token: is missing");
	rc = gw_password_hash(password, json_text(rq->body, "password"), err);
	if (rc < 0)
		return rc;
	crypto_sha256(hash, token, strlen(token));
	rc = gw_store_password_by_link(&user, db, hash, password, err);
	if (rc == ERR_NOTFOUND) {
		gw_audit_login(rq, db, NULL, "", "refused");
		return (*err)->code = ERR_INVALID;
	}
	if (rc < 0)
		return rc;
	gw_audit_login(rq, db, user.id, user.name, "done");
	rq->status = 204;
	return 0;
}

static void
link_used(struct gw_req *rq)
{
	gw_login_forgive(rq, NULL);
	gw_reply_json(rq, rq->status, NULL);
}

void
gw_api_password_set(struct gw_req *rq)
{
	if (gw_login_try(rq, NULL))
		gw_req_step(rq, rq->gw->login_pool, set_by_link, link_used);
}

/* --- one's own --- */

static int
change(struct gw_req *rq, struct db *db, struct err **err)
{
	char hash[CRYPTO_PASSWORD_LEN];
	struct gw_user user;

	if (gw_password_check(
	        &user, db, rq->who.user.name, json_text(rq->body, "current_password"), err) < 0 ||
	    gw_password_hash(hash, json_text(rq->body, "password"), err) < 0 ||
	    gw_store_password_set(&rq->who.user, db, user.id, hash, err) < 0)
		return (*err)->code;
	/* The session that did it goes on; all others are over. */
	rq->login = rq->has_session;
	rq->status = 204;
	return 0;
}

static void
changed(struct gw_req *rq)
{
	gw_login_forgive(rq, rq->who.user.name);
	gw_reply_json(rq, rq->status, NULL);
}

void
gw_api_password_change(struct gw_req *rq)
{
	if (gw_login_try(rq, rq->who.user.name))
		gw_req_step(rq, rq->gw->login_pool, change, changed);
}
