#include "gateway/object_json.h"

#include "common/mem.h"

const char *
gw_visibility(bool is_private)
{
	return is_private ? "private" : "public";
}

json_t *
gw_user_json(const struct gw_user *u)
{
	return json_pack("{s:s, s:s}", "id", u->id, "username", u->name);
}

/* From the database, so it is JSON. */
static json_t *
array_of(const char *text)
{
	json_t *out = json_loads(text, 0, NULL);

	MUST(out);
	return out;
}

json_t *
gw_private_user_json(const struct gw_user *u, const struct gw_user_more *more)
{
	return json_pack("{s:s, s:s, s:o, s:o}", "id", u->id, "username", u->name, "tokens",
	    array_of(more->tokens), "linked_accounts", array_of(more->accounts));
}

json_t *
gw_org_json(const struct gw_org *o)
{
	return json_pack("{s:s, s:s, s:s}", "id", o->id, "name", o->name, "visibility",
	    gw_visibility(o->is_private));
}

json_t *
gw_group_json(const struct gw_group *g)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", g->id, "name", g->name, "path",
	    g->path, "parent_path", g->parent_path, "visibility", gw_visibility(g->is_private),
	    "global_visibility", gw_visibility(g->hidden));
}

json_t *
gw_project_json(const struct gw_project *p)
{
	auto_free char *path = xasprintf("%s/%s", p->parent.path, p->name);

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:b}", "id", p->id, "name",
	    p->name, "path", path, "parent_path", p->parent.path, "visibility",
	    gw_visibility(p->is_private), "global_visibility", gw_visibility(p->hidden),
	    "pass_vars_to_forked_pr", (int)p->pass_vars_to_forked_pr, "default_branch",
	    p->default_branch, "members_can_perform_run_actions",
	    (int)p->members_can_perform_run_actions);
}

json_t *
gw_remote_json(const struct gw_remote *r)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:b}", "id", r->id, "name", r->name, "auth_type",
	    r->auth_type, "registration_enabled", (int)r->registration_enabled, "login_enabled",
	    (int)r->login_enabled);
}

json_t *
gw_account_json(const struct gw_account *a)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", a->id, "remote_user_id",
	    a->remote_user_id, "remote_username", a->remote_username, "remote_user_avatar_url",
	    a->avatar_url, "remote_source_id", a->remote_source_id);
}
