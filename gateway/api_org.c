#include "gateway/handlers.h"

#include "common/log.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/object_json.h"
#include "gateway/request.h"

#include <string.h>

static const char *
last_org(const struct gw_org_list *l)
{
	return l->n ? l->rows[l->n - 1].org.name : "";
}

int
gw_api_org_of_user(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_page page;
	struct gw_org_list list;

	if (gw_req_page(&page, rq, gw_name_is_valid, err) < 0 ||
	    gw_store_org_of_user(&list, db, &page, rq->who.user.id, err) < 0)
		return (*err)->code;
	rq->reply = json_array();
	for (size_t i = 0; i < list.n; i++)
		json_array_append_new(
		    rq->reply, json_pack("{s:o, s:s}", "Organization",
		                   gw_org_json(&list.rows[i].org), "Role", list.rows[i].role));
	gw_req_next_page(rq, &page, list.more, last_org(&list));
	gw_org_list_fini(&list);
	return 0;
}

int
gw_api_org_list(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_page page;
	struct gw_org_list list;

	if (gw_req_page(&page, rq, gw_name_is_valid, err) < 0 ||
	    gw_store_org_list(&list, db, &page, rq->who.admin, err) < 0)
		return (*err)->code;
	rq->reply = json_array();
	for (size_t i = 0; i < list.n; i++)
		json_array_append_new(rq->reply, gw_org_json(&list.rows[i].org));
	gw_req_next_page(rq, &page, list.more, last_org(&list));
	gw_org_list_fini(&list);
	return 0;
}

static int
parse_visibility(bool *is_private, const json_t *body, struct err **err)
{
	if (gw_visibility_parse(is_private, json_text(body, "visibility")))
		return 0;
	return err_set_slug(
	    err, ERR_INVALID, "invalidVisibility", "visibility: must be public or private");
}

int
gw_api_org_create(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *name = json_text(rq->body, "name");
	struct gw_org org;
	bool is_private;

	if (gw_name_check(name, "name", "invalidOrganizationName", err) < 0 ||
	    parse_visibility(&is_private, rq->body, err) < 0)
		return ERR_INVALID;
	if (gw_store_org_create(&org, db, name, is_private, gw_req_user_id(rq), err) < 0)
		return (*err)->code;
	log_info("organization created", LOG_STR("org", org.id), LOG_STR("name", org.name));
	rq->status = 201;
	rq->reply = gw_org_json(&org);
	return 0;
}

int
gw_api_org_get(struct gw_req *rq, struct db *db, struct err **err)
{
	(void)db;
	(void)err;
	rq->reply = gw_org_json(&rq->org);
	return 0;
}

int
gw_api_org_update(struct gw_req *rq, struct db *db, struct err **err)
{
	if (json_member(rq->body, "visibility")) {
		if (parse_visibility(&rq->org.is_private, rq->body, err) < 0)
			return ERR_INVALID;
		if (gw_store_org_update(db, rq->org.id, rq->org.is_private, err) < 0)
			return (*err)->code;
	}
	rq->reply = gw_org_json(&rq->org);
	return 0;
}

int
gw_api_org_delete(struct gw_req *rq, struct db *db, struct err **err)
{
	if (gw_store_org_delete(db, rq->org.id, err) < 0)
		return (*err)->code;
	log_info("organization deleted", LOG_STR("org", rq->org.id), LOG_STR("name", rq->org.name));
	rq->status = 204;
	return 0;
}

/* --- members --- */

int
gw_api_member_list(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_page page;
	struct gw_org_list list;
	json_t *members;

	if (gw_req_page(&page, rq, gw_name_is_valid, err) < 0 ||
	    gw_store_member_list(&list, db, &page, rq->org.id, err) < 0)
		return (*err)->code;
	members = json_array();
	for (size_t i = 0; i < list.n; i++)
		json_array_append_new(
		    members, json_pack("{s:o, s:s}", "user", gw_user_json(&list.rows[i].user),
		                 "role", list.rows[i].role));
	rq->reply =
	    json_pack("{s:o, s:o}", "organization", gw_org_json(&rq->org), "members", members);
	gw_req_next_page(rq, &page, list.more, list.n ? list.rows[list.n - 1].user.name : "");
	gw_org_list_fini(&list);
	return 0;
}

int
gw_api_member_put(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *role = json_text(rq->body, "role");

	if (gw_config_invites(rq->gw->cfg) && !rq->who.admin)
		return err_set_slug(err, ERR_INVALID, "cannotAddUserToOrganization",
		    "members of an organization are invited on this server");
	if (!role || gw_member_of(role) == GW_MEMBER_NONE)
		return err_set_slug(
		    err, ERR_INVALID, "invalidRole", "role: must be owner or member");
	if (gw_store_member_put(db, rq->org.id, rq->target.id, role, err) < 0)
		return (*err)->code;
	rq->reply = json_pack("{s:o, s:o, s:s}", "organization", gw_org_json(&rq->org), "user",
	    gw_user_json(&rq->target), "role", role);
	return 0;
}

int
gw_api_member_delete(struct gw_req *rq, struct db *db, struct err **err)
{
	if (gw_store_member_delete(db, rq->org.id, rq->target.id, err) < 0)
		return (*err)->code;
	rq->status = 204;
	return 0;
}
