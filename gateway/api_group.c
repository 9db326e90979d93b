#include "gateway/handlers.h"

#include "common/log.h"
#include "common/mem.h"
#include "gateway/auth.h"
#include "gateway/object_json.h"
#include "gateway/parent.h"
#include "gateway/request.h"

#include <string.h>

static int
bad_visibility(struct err **err)
{
	return err_set_slug(
	    err, ERR_INVALID, "invalidVisibility", "visibility: must be public or private");
}

static int
check_depth(const struct gw_group *parent, struct err **err)
{
	if (parent->depth < GW_GROUP_DEPTH_MAX)
		return 0;
	return err_set(err, ERR_INVALID, "parent_ref: project groups nest at most %d deep",
	    GW_GROUP_DEPTH_MAX);
}

/* The group as it is now. */
static int
reply_group(struct gw_req *rq, struct db *db, const char *id, int status, struct err **err)
{
	struct gw_group g;

	if (gw_store_group_by_ref(&g, db, id, gw_req_user_id(rq), err) < 0)
		return (*err)->code;
	rq->status = status;
	rq->reply = gw_group_json(&g);
	gw_group_fini(&g);
	return 0;
}

int
gw_api_group_create(struct gw_req *rq, struct db *db, struct err **err)
{
	const char *name = json_text(rq->body, "name");
	char id[ID_LEN + 1];
	struct gw_group parent;
	bool is_private;
	int rc;

	/* Clients know the code of a project's name here. */
	if (gw_name_check(name, "name", "invalidProjectName", err) < 0)
		return ERR_INVALID;
	if (gw_parent_find(&parent, rq, db, json_text(rq->body, "parent_ref"), err) < 0)
		return (*err)->code;
	if (!gw_visibility_parse(&is_private, json_text(rq->body, "visibility")))
		rc = bad_visibility(err);
	else
		rc = check_depth(&parent, err);
	if (rc == 0)
		rc = gw_store_group_create(id, db, parent.id, name, is_private, err);
	gw_group_fini(&parent);
	return rc < 0 ? rc : reply_group(rq, db, id, 201, err);
}

int
gw_api_group_get(struct gw_req *rq, struct db *db, struct err **err)
{
	(void)db;
	(void)err;
	rq->reply = gw_group_json(&rq->group);
	return 0;
}

/* A root group keeps its name and its place. */
static int
check_root(
    const struct gw_group *g, const struct gw_group_change *c, const char *parent, struct err **err)
{
	if (*g->name)
		return 0;
	if (c->name && *c->name)
		return err_set_slug(err, ERR_INVALID, "invalidProjectGroupName",
		    "name: a root project group has none");
	if (parent && strcmp(parent, g->path) != 0 && strcmp(parent, g->id) != 0)
		return err_set(
		    err, ERR_INVALID, "parent_ref: a root project group cannot be moved");
	return 0;
}

int
gw_api_group_update(struct gw_req *rq, struct db *db, struct err **err)
{
	const struct gw_group *g = &rq->group;
	const char *parent_ref = json_text(rq->body, "parent_ref");
	struct gw_group_change c = { .id = g->id,
		.name = json_text(rq->body, "name"),
		.visibility = json_text(rq->body, "visibility") };
	struct gw_group parent = { 0 };
	bool is_private;
	int rc = check_root(g, &c, parent_ref, err);

	if (rc < 0)
		return rc;
	if (!*g->name)
		c.name = parent_ref = NULL;
	if (c.name && gw_name_check(c.name, "name", "invalidProjectGroupName", err) < 0)
		return ERR_INVALID;
	if (c.visibility && !gw_visibility_parse(&is_private, c.visibility))
		return bad_visibility(err);
	if (parent_ref && *parent_ref) {
		rc = gw_parent_find(&parent, rq, db, parent_ref, err);
		if (rc == 0)
			rc = check_depth(&parent, err);
		c.parent_id = parent.id;
	}
	if (rc == 0)
		rc = gw_store_group_update(db, &c, err);
	gw_group_fini(&parent);
	return rc < 0 ? rc : reply_group(rq, db, g->id, 201, err);
}

int
gw_api_group_delete(struct gw_req *rq, struct db *db, struct err **err)
{
	if (!*rq->group.name)
		return err_set(err, ERR_INVALID,
		    "a root project group goes with its user or organization only");
	if (gw_store_group_delete(db, rq->group.id, err) < 0)
		return (*err)->code;
	log_info("project group deleted", LOG_STR("group", rq->group.id),
	    LOG_STR("path", rq->group.path));
	rq->status = 204;
	return 0;
}

/* May the caller see this child of the group? */
static bool
sees(const struct gw_req *rq, const struct gw_group *parent, bool hidden)
{
	struct gw_facts facts = gw_auth_group_facts(rq, parent);

	facts.hidden = hidden;
	return gw_access(GW_ROLE_SEE, &facts) == GW_ALLOW;
}

int
gw_api_group_subgroups(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_group_list l;

	if (gw_store_group_children(&l, db, rq->group.id, gw_req_user_id(rq), err) < 0)
		return (*err)->code;
	rq->reply = json_array();
	for (size_t i = 0; i < l.n; i++) {
		if (sees(rq, &rq->group, l.rows[i].hidden))
			json_array_append_new(rq->reply, gw_group_json(&l.rows[i]));
	}
	gw_group_list_fini(&l);
	return 0;
}

int
gw_api_group_projects(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_project_list l;

	if (gw_store_project_children(&l, db, rq->group.id, gw_req_user_id(rq), err) < 0)
		return (*err)->code;
	rq->reply = json_array();
	for (size_t i = 0; i < l.n; i++) {
		if (sees(rq, &rq->group, l.rows[i].hidden))
			json_array_append_new(rq->reply, gw_project_json(&l.rows[i]));
	}
	gw_project_list_fini(&l);
	return 0;
}
