#include "gateway/handlers.h"

#include "common/log.h"
#include "common/mem.h"
#include "gateway/host_access.h"
#include "gateway/object_json.h"
#include "gateway/parent.h"
#include "gateway/project.h"
#include "gateway/request.h"

#include <string.h>

int
gw_project_reply(struct gw_req *rq, struct db *db, const char *id, int status, struct err **err)
{
	struct gw_project p;

	if (gw_store_project_by_ref(&p, db, id, gw_req_user_id(rq), err) < 0)
		return (*err)->code;
	rq->status = status;
	rq->reply = gw_project_json(&p);
	gw_project_fini(&p);
	return 0;
}

int
gw_project_check_members_run(const struct gw_group *parent, bool members_run, struct err **err)
{
	if (!members_run || parent->org)
		return 0;
	return err_set_slug(err, ERR_INVALID, "cannotSetMembersCanPerformRunActionsOnUserProject",
	    "members_can_perform_run_actions: only projects of organizations have members");
}

int
gw_api_project_get(struct gw_req *rq, struct db *db, struct err **err)
{
	(void)db;
	(void)err;
	rq->reply = gw_project_json(&rq->project);
	return 0;
}

static int
check_change(const struct gw_project_change *c, struct err **err)
{
	bool is_private;

	if (c->name && gw_name_check(c->name, "name", "invalidProjectName", err) < 0)
		return ERR_INVALID;
	if (c->visibility && !gw_visibility_parse(&is_private, c->visibility))
		return err_set(err, ERR_INVALID, "visibility: must be public or private");
	return 0;
}

int
gw_api_project_update(struct gw_req *rq, struct db *db, struct err **err)
{
	const struct gw_project *p = &rq->project;
	const char *parent_ref = json_text(rq->body, "parent_ref");
	struct gw_project_change c = { .id = p->id,
		.name = json_text(rq->body, "name"),
		.visibility = json_text(rq->body, "visibility"),
		.pass_vars_to_forked_pr =
		    json_flag(rq->body, "pass_vars_to_forked_pr", p->pass_vars_to_forked_pr) };
	struct gw_group moved = { 0 };
	const struct gw_group *parent = &p->parent;
	int rc = check_change(&c, err);

	if (rc == 0 && parent_ref && *parent_ref) {
		rc = gw_parent_find(&moved, rq, db, parent_ref, err);
		parent = &moved;
		c.parent_id = moved.id;
	}
	if (rc == 0) {
		/* Where it means nothing, what was set before goes silently. */
		c.members_can_perform_run_actions =
		    json_flag(rq->body, "members_can_perform_run_actions",
		        parent->org && p->members_can_perform_run_actions);
		rc = gw_project_check_members_run(parent, c.members_can_perform_run_actions, err);
	}
	if (rc == 0)
		rc = gw_store_project_update(db, &c, err);
	gw_group_fini(&moved);
	return rc < 0 ? rc : gw_project_reply(rq, db, p->id, 201, err);
}

int
gw_api_project_delete(struct gw_req *rq, struct db *db, struct err **err)
{
	if (gw_store_project_delete(db, rq->project.id, err) < 0)
		return (*err)->code;
	log_info("project deleted", LOG_STR("project", rq->project.id),
	    LOG_STR("name", rq->project.name));
	rq->status = 204;
	return 0;
}

int
gw_api_project_relink(struct gw_req *rq, struct db *db, struct err **err)
{
	char remote[ID_LEN + 1], account[ID_LEN + 1];
	struct gw_githost host;

	if (gw_host_open_as(&host, remote, account, rq, db, rq->project.remote_source_id,
	        rq->who.user.id, err) < 0 ||
	    gw_store_project_set_repo(db, rq->project.id, account, NULL, NULL, NULL, NULL, err) < 0)
		return (*err)->code;
	return gw_project_reply(rq, db, rq->project.id, 200, err);
}
