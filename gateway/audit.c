#include "gateway/audit.h"

#include "common/log.h"
#include "common/mem.h"
#include "gateway/request.h"
#include "gateway/store_audit.h"

/* Text that PostgreSQL takes, at most max bytes: what is no UTF-8 is left out. */
static char *
clean(const char *text, size_t max)
{
	char *out = xstrndup(text, max);
	size_t n = 0;

	for (const char *p = out; *p; p++) {
		if ((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f)
			out[n++] = *p;
	}
	out[n] = '\0';
	return out;
}

static int
add(const struct gw_req *rq, struct db *db, const char *who, const char *user_id,
    const char *username, const char *outcome, struct err **err)
{
	auto_free char *path = clean(rq->path, GW_AUDIT_PATH_MAX);
	auto_free char *name = clean(username, GW_NAME_MAX);
	const struct gw_audit a = { .who = who,
		.user_id = user_id,
		.username = name,
		.address = rq->peer,
		.method = rq->method,
		.path = path,
		.outcome = outcome };

	if (gw_store_audit_add(db, &a, err) < 0)
		return err_wrap(err, "audit log");
	return 0;
}

int
gw_audit(const struct gw_req *rq, struct db *db, const char *outcome, struct err **err)
{
	static const char *const kinds[] = { "anonymous", "anonymous", "admin", "user" };

	return add(
	    rq, db, kinds[rq->who.kind], gw_req_user_id(rq), rq->who.user.name, outcome, err);
}

static void
lost(const struct gw_req *rq, const char *username, const char *outcome, const struct err *err)
{
	log_error("audit line lost", LOG_STR("method", rq->method), LOG_STR("path", rq->path),
	    LOG_STR("user", username), LOG_STR("address", rq->peer), LOG_STR("outcome", outcome),
	    LOG_STR("error", err_msg(err)));
}

void
gw_audit_after(const struct gw_req *rq, struct db *db, const char *outcome)
{
	auto_err err = NULL;

	if (gw_audit(rq, db, outcome, &err) < 0)
		lost(rq, rq->who.user.name, outcome, err);
}

void
gw_audit_login(const struct gw_req *rq, struct db *db, const char *user_id, const char *username,
    const char *outcome)
{
	auto_err err = NULL;

	if (add(rq, db, user_id ? "user" : "anonymous", user_id, username, outcome, &err) < 0)
		lost(rq, username, outcome, err);
}
