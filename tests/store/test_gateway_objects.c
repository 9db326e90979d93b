/*
 * Organizations, project groups, projects and git hosts through the REST API: what each route does
 * and what it refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "tests/lib/gw_world.h"

#include <signal.h>
#include <string.h>

#define RUN1 "/runs/1"
#define LOG1 RUN1 "/tasks/" GWP_TASK "/logs?step=0"
#define STOP "{\"action_type\":\"stop\"}"
#define APPROVE "{\"action_type\":\"approve\"}"

/* Names of a list, joined. */
static char *
names_of(struct gwp *f, const char *path, const char *token)
{
	auto_json *list = gwp_json(f, "GET", path, token, NULL, 200);
	auto_buf out = BUF_INIT;

	for (size_t i = 0; i < json_array_size(list); i++)
		buf_printf(&out, "%s ", json_text(json_array_get(list, i), "name"));
	return xstrdup(buf_str(&out));
}

static void
expect_names(struct gwp *f, const char *path, const char *token, const char *want)
{
	auto_free char *got = names_of(f, path, token);

	if (strcmp(got, want) != 0)
		fail_msg("%s: %s", path, got);
}

static void
organizations(void **state)
{
	struct gwp *f = *state;
	auto_json *org = NULL, *members = NULL, *mine = NULL;
	auto_free char *by_id = NULL;

	gwp_make_bob(f);
	gwp_expect(f, "POST", "/orgs", f->token, "{\"name\":\"-\",\"visibility\":\"public\"}", 400,
	    GWP_ERR("invalidOrganizationName"));
	gwp_expect(f, "POST", "/orgs", f->token, "{\"name\":\"o\",\"visibility\":\"x\"}", 400,
	    GWP_ERR("invalidVisibility"));
	org = gwp_json(
	    f, "POST", "/orgs", f->token, "{\"name\":\"o\",\"visibility\":\"private\"}", 201);
	assert_string_equal(json_text(org, "visibility"), "private");
	gwp_expect(f, "POST", "/orgs", GWP_ADMIN, "{\"name\":\"o\",\"visibility\":\"public\"}", 400,
	    GWP_ERR("organizationAlreadyExists"));
	by_id = xasprintf("/orgs/%s", json_text(org, "id"));
	gwp_expect(f, "GET", by_id, f->token, NULL, 200, NULL);
	gwp_expect(
	    f, "GET", "/orgs/none", f->token, NULL, 404, GWP_ERR("organizationDoesNotExist"));
	members = gwp_json(f, "GET", "/orgs/o/members", f->token, NULL, 200);
	assert_string_equal(
	    json_text(json_array_get(json_object_get(members, "members"), 0), "role"), "owner");
	mine = gwp_json(f, "GET", "/user/orgs", f->token, NULL, 200);
	assert_string_equal(json_text(json_array_get(mine, 0), "Role"), "owner");
	assert_string_equal(
	    json_text(json_object_get(json_array_get(mine, 0), "Organization"), "name"), "o");
	/* One made with the bare token has no members. */
	gwp_expect(
	    f, "POST", "/orgs", GWP_ADMIN, "{\"name\":\"p\",\"visibility\":\"public\"}", 201, NULL);
	json_decref(members);
	members = gwp_json(f, "GET", "/orgs/p/members", f->token, NULL, 200);
	assert_int_equal(json_array_size(json_object_get(members, "members")), 0);
	json_decref(org);
	org = gwp_json(f, "PUT", "/orgs/o", f->token, "{\"visibility\":\"public\"}", 200);
	assert_string_equal(json_text(org, "visibility"), "public");
	gwp_expect(f, "PUT", "/orgs/o", f->token, "{}", 200, NULL);
	gwp_expect(f, "DELETE", "/orgs/o", f->token, NULL, 204, "");
	gwp_expect(f, "GET", "/orgs/o", f->token, NULL, 404, GWP_ERR("organizationDoesNotExist"));
	gwp_expect(f, "GET", "/projectgroups/org%2Fo", f->token, NULL, 404,
	    GWP_ERR("organizationDoesNotExist"));
}

static void
members(void **state)
{
	struct gwp *f = *state;
	auto_json *list = NULL, *put = NULL;

	gwp_make_bob(f);
	gwp_make_user(f, "eve", NULL, NULL);
	gww_org(f, f->token, "o", "public");
	put = gwp_json(f, "PUT", "/orgs/o/members/eve", f->token, "{\"role\":\"member\"}", 200);
	assert_string_equal(json_text(put, "role"), "member");
	assert_string_equal(json_text(json_object_get(put, "user"), "username"), "eve");
	/* Once more changes the role: there is one entry. */
	gwp_expect(f, "PUT", "/orgs/o/members/eve", f->token, "{\"role\":\"owner\"}", 200, NULL);
	list = gwp_json(f, "GET", "/orgs/o/members", f->token, NULL, 200);
	assert_int_equal(json_array_size(json_object_get(list, "members")), 2);
	gwp_expect(f, "PUT", "/orgs/o/members/eve", f->token, "{\"role\":\"boss\"}", 400,
	    GWP_ERR("invalidRole"));
	gwp_expect(f, "PUT", "/orgs/o/members/none", f->token, "{\"role\":\"owner\"}", 404,
	    GWP_ERR("userDoesNotExist"));
	gwp_expect(f, "PUT", "/orgs/none/members/eve", f->token, "{\"role\":\"owner\"}", 404,
	    GWP_ERR("organizationDoesNotExist"));
	gwp_expect(f, "DELETE", "/orgs/o/members/eve", f->token, NULL, 204, "");
	gwp_expect(f, "DELETE", "/orgs/o/members/eve", f->token, NULL, 404,
	    GWP_ERR("orgMemberDoesNotExist"));
}

#define INVITE "{\"user_ref\":\"eve\",\"role\":\"member\"}"

static size_t
count(struct gwp *f, const char *path, const char *token)
{
	auto_json *list = gwp_json(f, "GET", path, token, NULL, 200);

	return json_array_size(list);
}

static void
invitations(void **state)
{
	struct gwp *f = *state;
	auto_free char *eve = NULL, *mode = NULL, *eve_id = NULL;
	auto_json *made = NULL, *mine = NULL;

	gwp_make_bob(f);
	gwp_make_user(f, "eve", &eve_id, &eve);
	gww_org(f, f->token, "o", "private");
	gwp_expect(f, "POST", "/orgs/o/invitations", f->token, INVITE, 400,
	    GWP_ERR("cannotCreateInvitation"));
	mode = f->cfg.organization_member_adding_mode = xstrdup("invitation");
	made = gwp_json(f, "POST", "/orgs/o/invitations", f->token, INVITE, 201);
	assert_string_equal(json_text(made, "user_ref"), eve_id);
	assert_string_equal(json_text(made, "organization_name"), "o");
	gwp_expect(f, "POST", "/orgs/o/invitations", f->token, INVITE, 400,
	    GWP_ERR("invitationAlreadyExists"));
	gwp_expect(f, "POST", "/orgs/o/invitations", f->token,
	    "{\"user_ref\":\"none\",\"role\":\"member\"}", 404, GWP_ERR("userDoesNotExist"));
	gwp_expect(f, "POST", "/orgs/o/invitations", f->token,
	    "{\"user_ref\":\"eve\",\"role\":\"x\"}", 400, GWP_ERR("invalidRole"));
	gwp_expect(f, "POST", "/orgs/o/invitations", f->token,
	    "{\"user_ref\":\"bob\",\"role\":\"member\"}", 500, "[]");
	gwp_expect(f, "PUT", "/orgs/o/members/eve", f->token, "{\"role\":\"member\"}", 400,
	    GWP_ERR("cannotAddUserToOrganization"));
	mine = gwp_json(f, "GET", "/user/org_invitations", eve, NULL, 200);
	assert_int_equal(json_array_size(mine), 1);
	assert_int_equal(count(f, "/orgs/o/invitations", f->token), 1);
	gwp_expect(f, "GET", "/orgs/o/invitations/eve", f->token, NULL, 200, NULL);
	gwp_expect(
	    f, "PUT", "/user/org_invitations/o/actions", eve, "{\"action_type\":\"x\"}", 400, "[]");
	gwp_expect(f, "PUT", "/user/org_invitations/none/actions", eve,
	    "{\"action_type\":\"accept\"}", 404, GWP_ERR("organizationDoesNotExist"));
	gwp_expect(f, "PUT", "/user/org_invitations/o/actions", eve, "{\"action_type\":\"reject\"}",
	    200, "");
	gwp_expect(f, "GET", "/orgs/o", eve, NULL, 404, NULL);
	gwp_expect(f, "PUT", "/user/org_invitations/o/actions", eve, "{\"action_type\":\"accept\"}",
	    404, GWP_ERR("invitationDoesNotExist"));
	gwp_expect(f, "POST", "/orgs/o/invitations", f->token, INVITE, 201, NULL);
	gwp_expect(f, "DELETE", "/orgs/o/invitations/eve", f->token, NULL, 204, "");
	gwp_expect(f, "DELETE", "/orgs/o/invitations/eve", f->token, NULL, 404,
	    GWP_ERR("invitationDoesNotExist"));
	gwp_expect(f, "POST", "/orgs/o/invitations", f->token, INVITE, 201, NULL);
	/* Accepting works in either mode. */
	f->cfg.organization_member_adding_mode = NULL;
	gwp_expect(f, "PUT", "/user/org_invitations/o/actions", eve, "{\"action_type\":\"accept\"}",
	    200, "");
	gwp_expect(f, "GET", "/orgs/o", eve, NULL, 200, NULL);
	assert_int_equal(count(f, "/orgs/o/invitations", f->token), 0);
	/* An administrator adds directly, and the invitation goes; so it does with its user. */
	f->cfg.organization_member_adding_mode = mode;
	gwp_expect(f, "DELETE", "/orgs/o/members/eve", f->token, NULL, 204, "");
	gwp_expect(f, "POST", "/orgs/o/invitations", f->token, INVITE, 201, NULL);
	gwp_expect(f, "PUT", "/orgs/o/members/eve", GWP_ADMIN, "{\"role\":\"member\"}", 200, NULL);
	assert_int_equal(count(f, "/orgs/o/invitations", f->token), 0);
	gwp_expect(f, "DELETE", "/orgs/o/members/eve", f->token, NULL, 204, "");
	gwp_expect(f, "POST", "/orgs/o/invitations", f->token, INVITE, 201, NULL);
	gwp_expect(f, "DELETE", "/users/eve", GWP_ADMIN, NULL, 204, "");
	assert_int_equal(count(f, "/orgs/o/invitations", f->token), 0);
	f->cfg.organization_member_adding_mode = NULL;
}

static void
groups(void **state)
{
	struct gwp *f = *state;
	auto_json *root = NULL, *g = NULL;
	auto_free char *by_id = NULL;

	gwp_make_bob(f);
	root = gwp_json(f, "GET", "/projectgroups/user%2Fbob", f->token, NULL, 200);
	assert_string_equal(json_text(root, "name"), "");
	assert_string_equal(json_text(root, "path"), "user/bob");
	assert_string_equal(json_text(root, "parent_path"), "user/bob");
	gwp_expect(f, "POST", "/projectgroups", f->token, "{\"name\":\"-\"}", 400,
	    GWP_ERR("invalidProjectName"));
	gwp_expect(f, "POST", "/projectgroups", f->token,
	    "{\"name\":\"a\",\"parent_ref\":\"user/bob/none\",\"visibility\":\"public\"}", 404,
	    GWP_ERR("parentProjectGroupDoesNotExist"));
	gwp_expect(f, "POST", "/projectgroups", f->token,
	    "{\"name\":\"a\",\"parent_ref\":\"bob\",\"visibility\":\"public\"}", 400,
	    GWP_ERR("invalidPath"));
	gwp_expect(f, "POST", "/projectgroups", f->token,
	    "{\"name\":\"a\",\"parent_ref\":\"user/bob\"}", 400, GWP_ERR("invalidVisibility"));
	/* Without a parent: the caller's root. */
	g = gwp_json(f, "POST", "/projectgroups", f->token,
	    "{\"name\":\"a\",\"visibility\":\"private\"}", 201);
	assert_string_equal(json_text(g, "path"), "user/bob/a");
	assert_string_equal(json_text(g, "parent_path"), "user/bob");
	gww_group(f, f->token, "b", "user/bob/a", "public");
	gwp_expect(f, "POST", "/projectgroups", f->token,
	    "{\"name\":\"b\",\"parent_ref\":\"user/bob/a\",\"visibility\":\"public\"}", 400,
	    GWP_ERR("projectGroupAlreadyExists"));
	json_decref(g);
	g = gwp_json(f, "GET", "/projectgroups/user%2Fbob%2Fa%2Fb", f->token, NULL, 200);
	assert_string_equal(json_text(g, "parent_path"), "user/bob/a");
	assert_string_equal(json_text(g, "visibility"), "public");
	assert_string_equal(json_text(g, "global_visibility"), "private");
	by_id = xasprintf("/projectgroups/%s", json_text(g, "id"));
	gwp_expect(f, "GET", by_id, f->token, NULL, 200, NULL);
	gwp_expect(f, "GET", "/projectgroups/user%2Fbob%2Fb", f->token, NULL, 404,
	    GWP_ERR("projectGroupDoesNotExist"));
	gwp_expect(f, "GET", "/projectgroups/user%2Fnone%2Fb", f->token, NULL, 404,
	    GWP_ERR("userDoesNotExist"));
	gwp_expect(f, "GET", "/projectgroups/bob", f->token, NULL, 400, GWP_ERR("invalidPath"));
	/* A path is not a pattern. */
	gwp_expect(f, "GET", "/projectgroups/user%2Fbob%2F%25", f->token, NULL, 404, NULL);
	gwp_expect(f, "GET", "/projectgroups/user%2Fbob%2F..", f->token, NULL, 404, NULL);
}

/* Where user/bob/a/b/c is after a change. */
static void
moves(void **state)
{
	struct gwp *f = *state;
	auto_free char *eve = NULL;
	auto_json *g = NULL;

	gwp_make_bob(f);
	gwp_make_user(f, "eve", NULL, &eve);
	gww_group(f, f->token, "a", "user/bob", "public");
	gww_group(f, f->token, "b", "user/bob/a", "public");
	gww_group(f, f->token, "c", "user/bob/a/b", "public");
	gww_group(f, f->token, "d", "user/bob", "public");
	/* Into itself, or below. */
	for (const char *const *p =
	         (const char *const[]){ "user/bob/a", "user/bob/a/b", "user/bob/a/b/c", NULL };
	     *p; p++) {
		auto_free char *body = xasprintf("{\"parent_ref\":\"%s\"}", *p);

		gwp_expect(f, "PUT", "/projectgroups/user%2Fbob%2Fa", f->token, body, 400, "[]");
	}
	gwp_expect(f, "PUT", "/projectgroups/user%2Fbob%2Fa", f->token,
	    "{\"parent_ref\":\"user/bob/none\"}", 404, GWP_ERR("parentProjectGroupDoesNotExist"));
	/* Into what is another's. */
	gwp_expect(f, "PUT", "/projectgroups/user%2Fbob%2Fa", f->token,
	    "{\"parent_ref\":\"user/eve\"}", 403, "[]");
	g = gwp_json(f, "PUT", "/projectgroups/user%2Fbob%2Fa%2Fb", f->token,
	    "{\"parent_ref\":\"user/bob/d\",\"name\":\"bb\",\"visibility\":\"private\"}", 201);
	assert_string_equal(json_text(g, "path"), "user/bob/d/bb");
	assert_string_equal(json_text(g, "visibility"), "private");
	gwp_expect(f, "GET", "/projectgroups/user%2Fbob%2Fd%2Fbb%2Fc", f->token, NULL, 200, NULL);
	gwp_expect(f, "GET", "/projectgroups/user%2Fbob%2Fa%2Fb", f->token, NULL, 404, NULL);
	gwp_expect(f, "PUT", "/projectgroups/user%2Fbob%2Fd", f->token, "{\"name\":\"a\"}", 400,
	    GWP_ERR("projectGroupAlreadyExists"));
	gwp_expect(
	    f, "PUT", "/projectgroups/user%2Fbob%2Fd", f->token, "{\"name\":\"d\"}", 201, NULL);
	gwp_expect(f, "PUT", "/projectgroups/user%2Fbob%2Fd", f->token, "{\"name\":\"_\"}", 400,
	    GWP_ERR("invalidProjectGroupName"));
	/* A root keeps name and place. */
	gwp_expect(f, "PUT", "/projectgroups/user%2Fbob", f->token, "{\"name\":\"x\"}", 400,
	    GWP_ERR("invalidProjectGroupName"));
	gwp_expect(f, "PUT", "/projectgroups/user%2Fbob", f->token,
	    "{\"parent_ref\":\"user/bob/a\"}", 400, "[]");
	gwp_expect(f, "PUT", "/projectgroups/user%2Fbob", f->token,
	    "{\"name\":\"\",\"parent_ref\":\"user/bob\",\"visibility\":\"private\"}", 201, NULL);
	gwp_expect(f, "GET", "/projectgroups/user%2Fbob%2Fa", eve, NULL, 403, "[]");
	gwp_expect(f, "DELETE", "/projectgroups/user%2Fbob", f->token, NULL, 400, "[]");
	gwp_expect(f, "DELETE", "/projectgroups/user%2Fbob%2Fd", f->token, NULL, 204, "");
	gwp_expect(f, "GET", "/projectgroups/user%2Fbob%2Fd%2Fbb%2Fc", f->token, NULL, 404,
	    GWP_ERR("projectGroupDoesNotExist"));
}

static void
depth_is_bounded(void **state)
{
	struct gwp *f = *state;
	auto_buf path = BUF_INIT;
	auto_free char *body = NULL;

	gwp_make_bob(f);
	buf_puts(&path, "user/bob");
	for (int i = 0; i < 20; i++) {
		gww_group(f, f->token, "g", buf_str(&path), "public");
		buf_puts(&path, "/g");
	}
	body = xasprintf(
	    "{\"name\":\"g\",\"parent_ref\":\"%s\",\"visibility\":\"public\"}", buf_str(&path));
	gwp_expect(f, "POST", "/projectgroups", f->token, body, 400, "[]");
}

static void
projects(void **state)
{
	struct gwp *f = *state;
	auto_free char *body = NULL, *by_id = NULL, *eve = NULL;
	auto_json *p = NULL, *same = NULL;

	gwp_make_bob(f);
	gwp_make_user(f, "eve", NULL, &eve);
	gww_use_host(f);
	body = gww_project_body("p", "user/bob", "public");
	gwp_expect(
	    f, "POST", "/projects", f->token, body, 404, GWP_ERR("linkedAccountDoesNotExist"));
	gww_link(f, "bob", f->token);
	for (size_t i = 0; i < 8; i++) {
		static const struct {
			const char *body;
			int status;
			const char *want;
		} bad[] = {
			{ "{}", 400, GWP_ERR("invalidProjectName") },
			{ "{\"name\":\"p\"}", 400, GWP_ERR("invalidRemoteSourceName") },
			{ "{\"name\":\"p\",\"remote_source_name\":\"host\"}", 400,
			    GWP_ERR("invalidRepoPath") },
			{ "{\"name\":\"p\",\"remote_source_name\":\"host\",\"repo_path\":\"o/r\"}",
			    400, "[]" },
			{ "{\"name\":\"p\",\"remote_source_name\":\"none\",\"repo_path\":\"o/r\","
			  "\"visibility\":\"public\"}",
			    404, GWP_ERR("remoteSourceDoesNotExist") },
			{ "{\"name\":\"p\",\"parent_ref\":\"user/bob/none\"}", 404,
			    GWP_ERR("parentProjectGroupDoesNotExist") },
			{ "{\"name\":\"p\",\"remote_source_name\":\"host\",\"repo_path\":\"o/r\","
			  "\"visibility\":\"public\",\"members_can_perform_run_actions\":true}",
			    400, GWP_ERR("cannotSetMembersCanPerformRunActionsOnUserProject") },
			{ "{\"name\":\"p\",\"remote_source_name\":\"host\","
			  "\"repo_path\":\"o/missing\",\"visibility\":\"public\"}",
			    404, "[]" },
		};

		gwp_expect(
		    f, "POST", "/projects", f->token, bad[i].body, bad[i].status, bad[i].want);
	}
	p = gwp_json(f, "POST", "/projects", f->token, body, 201);
	assert_string_equal(json_text(p, "path"), "user/bob/p");
	assert_string_equal(json_text(p, "parent_path"), "user/bob");
	assert_string_equal(json_text(p, "default_branch"), "main");
	assert_string_equal(json_text(p, "global_visibility"), "public");
	gwp_expect(f, "POST", "/projects", f->token, body, 400, GWP_ERR("projectAlreadyExists"));
	by_id = xasprintf("/projects/%s", json_text(p, "id"));
	same = gwp_json(f, "GET", by_id, f->token, NULL, 200);
	assert_true(json_equal(p, same));
	/* A group of the same name may live beside it. */
	gww_group(f, f->token, "p", "user/bob", "public");
	gwp_expect(f, "GET", "/projects/user%2Fbob%2Fnone", f->token, NULL, 404,
	    GWP_ERR("projectDoesNotExist"));
	gwp_expect(f, "GET", "/projects/user%2Fbob%2Fnone%2Fp", f->token, NULL, 404,
	    GWP_ERR("projectDoesNotExist"));
	gwp_expect(f, "GET", "/projects/user%2Fnone%2Fp", f->token, NULL, 404,
	    GWP_ERR("userDoesNotExist"));
	gwp_expect(f, "GET", "/projects/p", f->token, NULL, 400, GWP_ERR("invalidPath"));
	/* The git host's data anew: what it answers and what is found later are the same. */
	gww_default_branch = "trunk";
	json_decref(p);
	auto_free char *refresh = xasprintf("%s/refreshremoterepo", by_id);
	p = gwp_json(f, "POST", refresh, f->token, NULL, 200);
	gww_default_branch = "main";
	json_decref(same);
	same = gwp_json(f, "GET", by_id, f->token, NULL, 200);
	assert_true(json_equal(p, same));
	assert_string_equal(json_text(p, "default_branch"), "trunk");
	gwp_expect(f, "DELETE", by_id, f->token, NULL, 204, "");
	gwp_expect(f, "GET", by_id, f->token, NULL, 404, GWP_ERR("projectDoesNotExist"));
}

static void
project_changes(void **state)
{
	struct gwp *f = *state;
	auto_free char *eve = NULL;
	auto_json *p = NULL;

	gwp_make_bob(f);
	gwp_make_user(f, "eve", NULL, &eve);
	gww_use_host(f);
	gww_link(f, "bob", f->token);
	gww_org(f, f->token, "o", "public");
	gww_project(f, f->token, "p", "org/o", "public");
	gww_project(f, f->token, "q", "org/o", "public");
#define PROJECT "/projects/org%2Fo%2Fp"
	p = gwp_json(f, "PUT", PROJECT, f->token,
	    "{\"name\":\"p\",\"pass_vars_to_forked_pr\":true,"
	    "\"members_can_perform_run_actions\":true}",
	    201);
	assert_true(json_flag(p, "pass_vars_to_forked_pr", false));
	assert_true(json_flag(p, "members_can_perform_run_actions", false));
	/* What is not given stays. */
	json_decref(p);
	p = gwp_json(f, "PUT", PROJECT, f->token, "{\"visibility\":\"private\"}", 201);
	assert_true(json_flag(p, "pass_vars_to_forked_pr", false));
	assert_true(json_flag(p, "members_can_perform_run_actions", false));
	assert_string_equal(json_text(p, "visibility"), "private");
	gwp_expect(f, "PUT", PROJECT, f->token, "{\"visibility\":\"x\"}", 400, "[]");
	gwp_expect(
	    f, "PUT", PROJECT, f->token, "{\"name\":\"1x\"}", 400, GWP_ERR("invalidProjectName"));
	gwp_expect(
	    f, "PUT", PROJECT, f->token, "{\"name\":\"q\"}", 400, GWP_ERR("projectAlreadyExists"));
	gwp_expect(f, "PUT", PROJECT, f->token, "{\"parent_ref\":\"org/none\"}", 404,
	    GWP_ERR("parentProjectGroupDoesNotExist"));
	gwp_expect(f, "PUT", PROJECT, f->token, "{\"parent_ref\":\"user/eve\"}", 403, "[]");
	/* To a user: nobody is a member there. */
	gwp_expect(f, "PUT", PROJECT, f->token,
	    "{\"parent_ref\":\"user/bob\",\"members_can_perform_run_actions\":true}", 400,
	    GWP_ERR("cannotSetMembersCanPerformRunActionsOnUserProject"));
	json_decref(p);
	p = gwp_json(f, "PUT", PROJECT, f->token, "{\"parent_ref\":\"user/bob\"}", 201);
	assert_string_equal(json_text(p, "path"), "user/bob/p");
	assert_false(json_flag(p, "members_can_perform_run_actions", true));
	gwp_expect(f, "PUT", "/projects/user%2Fbob%2Fp", f->token,
	    "{\"members_can_perform_run_actions\":false}", 201, NULL);
	gwp_expect(f, "GET", PROJECT, f->token, NULL, 404, NULL);
	/* Its git host gone, it is still there. */
	gwp_expect(f, "DELETE", "/remotesources/host", GWP_ADMIN, NULL, 204, "");
	gwp_expect(f, "GET", "/projects/user%2Fbob%2Fp", f->token, NULL, 200, NULL);
	gwp_expect(f, "POST", "/projects/user%2Fbob%2Fp/refreshremoterepo", f->token, NULL, 404,
	    GWP_ERR("remoteSourceDoesNotExist"));
}

/* A project's runs are asked for below the project, by the same code as a user's. */
static void
runs_of_projects(void **state)
{
	struct gwp *f = *state;
	auto_free char *owner = NULL, *group = NULL;
	auto_json *p = NULL;
	auto_free char *body = NULL;

	gwp_make_bob(f);
	gww_use_host(f);
	gww_link(f, "bob", f->token);
	body = gww_project_body("p", "user/bob", "public");
	p = gwp_json(f, "POST", "/projects", f->token, body, 201);
	owner = xasprintf("/project/%s", json_text(p, "id"));
	group = xasprintf("%s/branch/main", owner);
	f->rs.nruns = 2;
	f->rs.log_ended = true;
#define BOBS "/projects/user%2Fbob%2Fp"
	gwp_expect(f, "GET", BOBS "/runs", f->token, NULL, 200, NULL);
	assert_string_equal(f->rs.list->group, owner);
	gwp_expect(f, "GET", BOBS "/runs?subgroup=branch/main", f->token, NULL, 200, NULL);
	assert_string_equal(f->rs.list->group, group);
	gwp_expect(f, "GET", BOBS "/runs?subgroup=..%2F..%2Fuser", f->token, NULL, 400,
	    GWP_ERR("invalidRunGroup"));
	for (const char *const *q =
	         (const char *const[]){ BOBS RUN1, BOBS RUN1 "/tasks/" GWP_TASK, BOBS LOG1, NULL };
	     *q; q++) {
		f->rs.owner[0] = '\0';
		gwp_expect(f, "GET", *q, f->token, NULL, 200, NULL);
		assert_string_equal(f->rs.owner, owner);
	}
	gwp_expect(f, "PUT", BOBS RUN1 "/actions", f->token, STOP, 200, NULL);
	gwp_expect(f, "DELETE", BOBS LOG1, f->token, NULL, 204, "");
	f->rs.owner[0] = '\0';
	gwp_expect(f, "PUT", BOBS RUN1 "/tasks/" GWP_TASK "/actions", f->token, APPROVE, 200, "");
	assert_string_equal(f->rs.owner, owner);
	assert_string_equal(f->rs.user, f->user_id);
	f->rs.code = ERR_NOTFOUND;
	f->rs.slug = "runDoesNotExist";
	gwp_expect(f, "GET", BOBS "/runs/999", f->token, NULL, 404, GWP_ERR("runDoesNotExist"));
	f->rs.code = 0;
	gwp_expect(
	    f, "POST", BOBS "/createrun", f->token, "{\"branch\":\"a\",\"tag\":\"b\"}", 400, "[]");
	gwp_expect(f, "POST", BOBS "/createrun", f->token, "{\"branch\":\"a\"}", 400, "[]");
}

static void
badges(void **state)
{
	struct gwp *f = *state;
	struct gwp_answer a;
	auto_free char *group = NULL, *type = NULL;
	auto_json *p = NULL;
	auto_free char *body = NULL;

	gwp_make_bob(f);
	gww_use_host(f);
	gww_link(f, "bob", f->token);
	body = gww_project_body("p", "user/bob", "private");
	p = gwp_json(f, "POST", "/projects", f->token, body, 201);
	f->rs.nruns = 3;
	f->rs.phase = "finished";
	f->rs.result = "success";
	a = gwp_call(f, "GET", "/badges/user%2Fbob%2Fp?branch=a%2Fb", NULL, NULL);
	assert_int_equal(a.status, 200);
	type = gwp_header(&a, "Content-Type");
	assert_string_equal(type, "image/svg+xml");
	assert_non_null(strstr(buf_str(&a.body), "success"));
	gwp_answer_fini(&a);
	group = xasprintf("/project/%s/branch/a%%2Fb", json_text(p, "id"));
	assert_string_equal(f->rs.list->group, group);
	assert_false(f->rs.list->ascending);
	gwp_expect(
	    f, "GET", "/badges/user%2Fbob%2Fnone", NULL, NULL, 404, GWP_ERR("projectDoesNotExist"));
}

static void
remote_sources(void **state)
{
	struct gwp *f = *state;
	static const struct {
		const char *body, *want;
	} bad[] = {
		{ "{}", GWP_ERR("invalidRemoteSourceName") },
		{ "{\"name\":\"h\"}", GWP_ERR("invalidRemoteSourceType") },
		{ "{\"name\":\"h\",\"type\":\"svn\"}", GWP_ERR("invalidRemoteSourceType") },
		{ "{\"name\":\"h\",\"type\":\"github\",\"auth_type\":\"password\"}",
		    GWP_ERR("invalidRemoteSourceAuthType") },
		{ "{\"name\":\"h\",\"type\":\"gitea\",\"auth_type\":\"x\"}",
		    GWP_ERR("invalidRemoteSourceAuthType") },
		{ "{\"name\":\"h\",\"type\":\"gitea\",\"auth_type\":\"oauth2\",\"apiurl\":\"x\"}",
		    GWP_ERR("invalidRemoteSourceAPIURL") },
		{ "{\"name\":\"h\",\"type\":\"gitea\",\"auth_type\":\"oauth2\","
		  "\"apiurl\":\"http://x\"}",
		    GWP_ERR("invalidOauth2ClientID") },
		{ "{\"name\":\"h\",\"type\":\"gitea\",\"auth_type\":\"oauth2\","
		  "\"apiurl\":\"http://x\",\"oauth_2_client_id\":\"i\"}",
		    GWP_ERR("invalidOauth2ClientSecret") },
	};
	auto_json *r = NULL;
	auto_free char *by_id = NULL;

	gwp_make_bob(f);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		gwp_expect(f, "POST", "/remotesources", GWP_ADMIN, bad[i].body, 400, bad[i].want);
	r = gwp_json(f, "POST", "/remotesources", GWP_ADMIN,
	    "{\"name\":\"h\",\"type\":\"gitlab\",\"auth_type\":\"oauth2\",\"apiURL\":\"https://g\","
	    "\"oauth_2_client_id\":\"i\",\"oauth_2_client_secret\":\"verysecret\"}",
	    201);
	/* Nothing that nobody needs to know. */
	assert_int_equal(json_object_size(r), 5);
	assert_true(json_flag(r, "login_enabled", false));
	gwp_expect(f, "POST", "/remotesources", GWP_ADMIN, GWW_HOST, 201, NULL);
	gwp_expect(f, "POST", "/remotesources", GWP_ADMIN, GWW_HOST, 400,
	    GWP_ERR("remoteSourceAlreadyExists"));
	by_id = xasprintf("/remotesources/%s", json_text(r, "id"));
	json_decref(r);
	r = gwp_json(f, "PUT", by_id, GWP_ADMIN, "{\"login_enabled\":false,\"name\":\"hh\"}", 201);
	assert_string_equal(json_text(r, "name"), "hh");
	assert_false(json_flag(r, "login_enabled", true));
	gwp_expect(f, "PUT", by_id, GWP_ADMIN, "{\"name\":\"host\"}", 400,
	    GWP_ERR("remoteSourceAlreadyExists"));
	gwp_expect(f, "PUT", by_id, GWP_ADMIN, "{\"oauth_2_client_id\":\"\"}", 400,
	    GWP_ERR("invalidOauth2ClientID"));
	gwp_expect(f, "PUT", by_id, GWP_ADMIN, "{\"apiurl\":\"\"}", 400,
	    GWP_ERR("invalidRemoteSourceAPIURL"));
	gwp_expect(
	    f, "GET", "/remotesources/h", f->token, NULL, 404, GWP_ERR("remoteSourceDoesNotExist"));
	expect_names(f, "/remotesources", NULL, "hh host ");
	gwp_expect(f, "DELETE", by_id, GWP_ADMIN, NULL, 204, "");
	gwp_expect(f, "GET", by_id, f->token, NULL, 404, GWP_ERR("remoteSourceDoesNotExist"));
	/* The secret is sealed: its text is nowhere in the table. */
	gww_sql("do $$ begin if exists (select 1 from remote_sources r where r::text like "
	        "'%verysecret%' or encode(client_secret, 'escape') like '%verysecret%') "
	        "then raise exception 'found'; end if; end $$");
}

static void
linked_accounts(void **state)
{
	struct gwp *f = *state;
	auto_free char *eve = NULL, *path = NULL, *foreign = NULL;
	auto_json *made = NULL, *user = NULL, *found = NULL;
	auto_free char *body = xasprintf(GWW_LINK, "bobby");

	gwp_make_bob(f);
	gwp_make_user(f, "eve", NULL, &eve);
	gwp_expect(f, "POST", "/users/bob/linkedaccounts", f->token, body, 404,
	    GWP_ERR("remoteSourceDoesNotExist"));
	gwp_expect(f, "POST", "/remotesources", GWP_ADMIN, GWW_HOST, 201, NULL);
	/* No git host can be asked yet. */
	gwp_expect(f, "POST", "/users/bob/linkedaccounts", f->token, body, 400, "[]");
	((struct gateway *)f->gw)->githost = &gww_host;
	made = gwp_json(f, "POST", "/users/bob/linkedaccounts", f->token, body, 201);
	assert_string_equal(json_text(made, "oauth2_redirect"), "");
	assert_string_equal(
	    json_text(json_object_get(made, "linked_account"), "remote_username"), "bobby");
	gwp_expect(f, "POST", "/users/bob/linkedaccounts", f->token, body, 400,
	    GWP_ERR("linkedAccountAlreadyExists"));
	gwp_expect(f, "POST", "/users/eve/linkedaccounts", eve, body, 400,
	    GWP_ERR("linkedAccountAlreadyExists"));
	user = gwp_json(f, "GET", "/user", f->token, NULL, 200);
	assert_int_equal(json_array_size(json_object_get(user, "linked_accounts")), 1);
	assert_string_equal(json_text(json_array_get(json_object_get(user, "linked_accounts"), 0),
	                        "remote_user_name"),
	    "bobby");
	found = gwp_json(f, "GET",
	    "/users?query_type=byremoteuser&remoteuserid=bobby&remotesourceref=host", GWP_ADMIN,
	    NULL, 200);
	assert_string_equal(json_text(json_array_get(found, 0), "username"), "bob");
	gwp_expect(f, "GET",
	    "/users?query_type=byremoteuser&remoteuserid=none&remotesourceref=host", GWP_ADMIN,
	    NULL, 404, GWP_ERR("userDoesNotExist"));
	gwp_expect(f, "GET", "/users?query_type=byremoteuser", GWP_ADMIN, NULL, 400, "[]");
	gwp_expect(f, "GET", "/user/remoterepos/host", f->token, NULL, 200,
	    "[{\"id\":\"7\",\"path\":\"o/x\"},{\"id\":\"8\",\"path\":\"o/y\"}]");
	/* Another user's account under one's own name. */
	foreign = xasprintf("/users/eve/linkedaccounts/%s",
	    json_text(json_object_get(made, "linked_account"), "id"));
	gwp_expect(f, "DELETE", foreign, eve, NULL, 404, GWP_ERR("linkedAccountDoesNotExist"));
	path = xasprintf("/users/bob/linkedaccounts/%s",
	    json_text(json_object_get(made, "linked_account"), "id"));
	gwp_expect(f, "DELETE", path, f->token, NULL, 204, "");
	gwp_expect(f, "DELETE", path, f->token, NULL, 404, GWP_ERR("linkedAccountDoesNotExist"));
	gwp_expect(f, "GET", "/user/remoterepos/host", f->token, NULL, 404,
	    GWP_ERR("linkedAccountDoesNotExist"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(organizations),
		T(members),
		T(invitations),
		T(groups),
		T(moves),
		T(depth_is_bounded),
		T(projects),
		T(project_changes),
		T(runs_of_projects),
		T(badges),
		T(remote_sources),
		T(linked_accounts),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
