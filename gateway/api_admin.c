#include "gateway/handlers.h"

#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/request.h"
#include "gateway/store_audit.h"

#include <string.h>

static bool
is_row_id(const char *key)
{
	size_t n = strlen(key);

	return n > 0 && n <= 18 && strspn(key, "0123456789") == n;
}

int
gw_api_audit_list(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *username = gw_req_query(rq, "username", 0);
	char last[GW_PAGE_KEY_MAX + 1];
	struct gw_page page;
	bool more;

	if (gw_page_parse(&page, gw_req_query(rq, "limit", 0), gw_req_query(rq, "sortdirection", 0),
	        gw_req_query(rq, "cursor", 0), false, is_row_id, err) < 0 ||
	    gw_store_audit_list(&rq->reply, &more, last, db, &page, username ? username : "", err) <
	        0)
		return (*err)->code;
	gw_req_next_page(rq, &page, more, last);
	return 0;
}

static int
service_of(unsigned *service, struct gw_req *rq, struct err **err)
{
	*service = gw_service_by_name(gw_req_param(rq, "svc"));
	if (*service)
		return 0;
	return err_set(
	    err, ERR_INVALID, "there is no such service; it is configstore or runservice");
}

int
gw_api_maintenance_get(struct gw_req *rq, struct db *db, struct err **err)
{
	unsigned service, requested, seen = rq->maintenance;

	if (service_of(&service, rq, err) < 0 || gw_store_maintenance_get(&requested, db, err) < 0)
		return (*err)->code;
	rq->reply = json_pack("{s:b, s:b}", "RequestedStatus", (requested & service) != 0,
	    "CurrentStatus", (seen & service) != 0);
	rq->maintenance = requested;
	rq->maintenance_read = true;
	return 0;
}

static int
set(struct gw_req *rq, struct db *db, bool on, struct err **err)
{
	unsigned service;

	if (service_of(&service, rq, err) < 0)
		return ERR_INVALID;
	return gw_store_maintenance_set(db, service, on, err);
}

int
gw_api_maintenance_on(struct gw_req *rq, struct db *db, struct err **err)
{
	return set(rq, db, true, err);
}

int
gw_api_maintenance_off(struct gw_req *rq, struct db *db, struct err **err)
{
	return set(rq, db, false, err);
}
