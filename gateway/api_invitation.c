#include "gateway/handlers.h"

#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/object_json.h"
#include "gateway/request.h"

#include <string.h>

#define LIST_MAX 40
#define LIST_OF_ORG 30 /* unless the caller says otherwise */
#define LIST_OF_USER 25

/* Both shapes that clients know: the invitation's own, and the organization's internal one. */
static json_t *
invitation_json(const struct gw_org_row *i)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", i->id, "user_ref",
	    i->user.id, "organization_id", i->org.id, "organization_name", i->org.name, "user_id",
	    i->user.id, "role", i->role, "creationTime", i->created, "updateTime", i->created);
}

static int
list(struct gw_req *rq, struct db *db, const char *org_id, const char *user_id, unsigned limit,
    struct err **err)
{
	const char *text = gw_req_query(rq, "limit", 0);
	struct gw_org_list l;

	if (text && *text) {
		if (gw_page_limit(&limit, text, err) < 0)
			return ERR_INVALID;
		limit = limit ? limit : LIST_MAX;
	}
	if (gw_store_invitation_list(&l, db, org_id, user_id, limit, err) < 0)
		return (*err)->code;
	rq->reply = json_array();
	for (size_t i = 0; i < l.n; i++)
		json_array_append_new(rq->reply, invitation_json(&l.rows[i]));
	gw_org_list_fini(&l);
	return 0;
}

int
gw_api_invitation_of_user(struct gw_req *rq, struct db *db, struct err **err)
{
	return list(rq, db, NULL, rq->who.user.id, LIST_OF_USER, err);
}

int
gw_api_invitation_list(struct gw_req *rq, struct db *db, struct err **err)
{
	return list(rq, db, rq->org.id, NULL, LIST_OF_ORG, err);
}

int
gw_api_invitation_action(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *action = json_text(rq->body, "action_type");
	const char *user = rq->who.user.id;

	if (action && strcmp(action, "accept") == 0)
		return gw_store_invitation_accept(db, rq->org.id, user, err);
	if (action && strcmp(action, "reject") == 0)
		return gw_store_invitation_delete(db, rq->org.id, user, err);
	return err_set(err, ERR_INVALID, "action_type: must be accept or reject");
}

int
gw_api_invitation_create(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *ref = json_text(rq->body, "user_ref");
	const char *role = json_text(rq->body, "role");
	struct gw_org_row row = { .org = rq->org };

	if (!gw_config_invites(rq->gw->cfg))
		return err_set_slug(err, ERR_INVALID, "cannotCreateInvitation",
		    "members of an organization are added directly on this server");
	if (!role || gw_member_of(role) == GW_MEMBER_NONE)
		return err_set_slug(
		    err, ERR_INVALID, "invalidRole", "role: must be owner or member");
	if (gw_store_user_by_ref(&row.user, db, ref ? ref : "", err) < 0 ||
	    gw_store_invitation_create(row.id, db, rq->org.id, row.user.id, role, err) < 0 ||
	    gw_store_invitation_get(&row, db, rq->org.id, row.user.id, err) < 0)
		return (*err)->code;
	rq->status = 201;
	rq->reply = invitation_json(&row);
	return 0;
}

int
gw_api_invitation_get(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_org_row row;

	if (gw_store_invitation_get(&row, db, rq->org.id, rq->target.id, err) < 0)
		return (*err)->code;
	rq->reply = invitation_json(&row);
	return 0;
}

int
gw_api_invitation_delete(struct gw_req *rq, struct db *db, struct err **err)
{
	if (gw_store_invitation_delete(db, rq->org.id, rq->target.id, err) < 0)
		return (*err)->code;
	rq->status = 204;
	return 0;
}
