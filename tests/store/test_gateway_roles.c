/*
 * Who may call what on what: every route of what has an owner, by every kind of caller, on every
 * visibility; and ids of others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "tests/lib/gw_world.h"

#include <signal.h>
#include <string.h>

/* Callers in the order of the tables below. */
enum { ANON, WRONG, TOKEN, ROOT, OWNER, MEMBER, STRANGER, NCALLERS };
struct world {
	char *tokens[NCALLERS];
};

static void
make_world(struct gwp *f, struct world *w)
{
	*w = (struct world){ 0 };
	w->tokens[WRONG] = xstrdup("0123456789012345678901234567890123456789");
	w->tokens[TOKEN] = xstrdup(GWP_ADMIN);
	gwp_make_user(f, "root", NULL, &w->tokens[ROOT]);
	gww_sql("update users set admin = true where name = 'root'");
	gwp_make_user(f, "own", NULL, &w->tokens[OWNER]);
	gwp_make_user(f, "mem", NULL, &w->tokens[MEMBER]);
	gwp_make_user(f, "eve", NULL, &w->tokens[STRANGER]);
	gww_use_host(f);
	gww_link(f, "own", w->tokens[OWNER]);
	for (const char *const *p = (const char *const[]){ "public", "private", NULL }; *p; p++) {
		auto_free char *org = xasprintf("%sorg", *p);
		auto_free char *member = xasprintf("/orgs/%s/members/mem", org);
		auto_free char *root = xasprintf("org/%s", org);

		gww_org(f, w->tokens[OWNER], org, *p);
		gwp_expect(f, "PUT", member, w->tokens[OWNER], "{\"role\":\"member\"}", 200, NULL);
		gww_group(f, w->tokens[OWNER], "pub", root, "public");
		gww_group(f, w->tokens[OWNER], "priv", root, "private");
		for (const char *const *g = (const char *const[]){ "pub", "priv", NULL }; *g; g++) {
			auto_free char *group = xasprintf("%s/%s", root, *g);

			gww_project(f, w->tokens[OWNER], "shown", group, "public");
			gww_project(f, w->tokens[OWNER], "kept", group, "private");
		}
	}
	gww_project(f, w->tokens[OWNER], "shown", "user/own", "public");
	gww_project(f, w->tokens[OWNER], "kept", "user/own", "private");
}

static void
end_world(struct world *w)
{
	for (size_t i = 0; i < NCALLERS; i++)
		free(w->tokens[i]);
}

struct row {
	const char *method, *path, *body;
	int want[NCALLERS];
};

static void
check_rows(struct gwp *f, const struct world *w, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t c = 0; c < NCALLERS; c++) {
			struct gwp_answer a =
			    gwp_call(f, rows[i].method, rows[i].path, w->tokens[c], rows[i].body);

			if (a.status != rows[i].want[c])
				fail_msg("%s %s by caller %zu: %d %s, not %d", rows[i].method,
				    rows[i].path, c, a.status, buf_str(&a.body), rows[i].want[c]);
			if (a.status == 404 && strstr(rows[i].path, "private") && c == STRANGER)
				assert_string_equal(
				    buf_str(&a.body), GWP_ERR("organizationDoesNotExist"));
			gwp_answer_fini(&a);
		}
	}
}

#define RUN1 "/runs/1"
#define LOG1 RUN1 "/tasks/" GWP_TASK "/logs?step=0"
#define P(org, group, name) "/projects/org%2F" org "%2F" group "%2F" name
#define STOP "{\"action_type\":\"stop\"}"
#define APPROVE "{\"action_type\":\"approve\"}"

/* Everything that a project, a group or an organization has, by every caller. */
static void
who_may_what(void **state)
{
	static const struct row rows[] = {
		/*                                                       anon wrong token root own
		   mem eve */
		{ "GET", "/orgs/publicorg", NULL, { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", "/orgs/privateorg", NULL, { 401, 401, 200, 200, 200, 200, 404 } },
		{ "GET", "/orgs/publicorg/members", NULL, { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", "/orgs/privateorg/members", NULL, { 401, 401, 200, 200, 200, 200, 404 } },
		{ "PUT", "/orgs/publicorg", "{\"visibility\":\"x\"}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "PUT", "/orgs/publicorg/members/eve", "{\"role\":\"x\"}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "DELETE", "/orgs/publicorg/members/eve", NULL,
		    { 401, 401, 404, 404, 404, 403, 403 } },
		{ "GET", "/orgs/publicorg/invitations", NULL,
		    { 401, 401, 403, 200, 200, 403, 403 } },
		{ "POST", "/orgs/publicorg/invitations", "{}",
		    { 401, 401, 403, 400, 400, 403, 403 } },
		{ "GET", "/orgs/publicorg/invitations/eve", NULL,
		    { 401, 401, 404, 404, 404, 404, 404 } },
		{ "DELETE", "/orgs/publicorg/invitations/eve", NULL,
		    { 401, 401, 403, 404, 404, 403, 403 } },
		{ "GET", "/projectgroups/org%2Fpublicorg%2Fpub", NULL,
		    { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", "/projectgroups/org%2Fpublicorg%2Fpriv", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "GET", "/projectgroups/org%2Fprivateorg%2Fpub", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "GET", "/projectgroups/org%2Fprivateorg%2Fpub/subgroups", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "GET", "/projectgroups/org%2Fprivateorg%2Fpub/projects", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "PUT", "/projectgroups/org%2Fpublicorg%2Fpub", "{\"visibility\":\"x\"}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "DELETE", "/projectgroups/org%2Fpublicorg", NULL,
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "POST", "/projectgroups",
		    "{\"name\":\"x\",\"parent_ref\":\"org/publicorg\",\"visibility\":\"x\"}",
		    { 401, 401, 403, 400, 400, 403, 403 } },
		{ "POST", "/projects", "{\"name\":\"x\",\"parent_ref\":\"org/publicorg\"}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "GET", P("publicorg", "pub", "shown"), NULL,
		    { 200, 401, 200, 200, 200, 200, 200 } },
		{ "GET", P("publicorg", "pub", "kept"), NULL,
		    { 403, 401, 200, 200, 200, 200, 404 } },
		{ "GET", P("publicorg", "priv", "shown"), NULL,
		    { 403, 401, 200, 200, 200, 200, 404 } },
		{ "GET", P("privateorg", "pub", "shown"), NULL,
		    { 403, 401, 200, 200, 200, 200, 404 } },
		{ "GET", P("privateorg", "priv", "kept"), NULL,
		    { 403, 401, 200, 200, 200, 200, 404 } },
		{ "GET", "/projects/user%2Fown%2Fshown", NULL,
		    { 200, 401, 200, 200, 200, 200, 200 } },
		{ "GET", "/projects/user%2Fown%2Fkept", NULL,
		    { 403, 401, 200, 200, 200, 403, 403 } },
		{ "PUT", P("publicorg", "pub", "shown"), "{\"name\":\"-\"}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "PUT", "/projects/user%2Fown%2Fshown", "{\"name\":\"-\"}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "PUT", P("publicorg", "pub", "shown") "/reconfig", NULL,
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "PUT", P("publicorg", "pub", "shown") "/updaterepolinkedaccount", NULL,
		    { 401, 401, 400, 404, 200, 403, 403 } },
		{ "POST", P("publicorg", "pub", "shown") "/refreshremoterepo", NULL,
		    { 401, 401, 403, 404, 200, 403, 403 } },
		{ "POST", P("publicorg", "pub", "shown") "/createrun", "{}",
		    { 401, 401, 403, 400, 400, 403, 403 } },
		{ "GET", P("publicorg", "pub", "shown") "/secrets", NULL,
		    { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", P("publicorg", "pub", "kept") "/secrets", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "GET", P("privateorg", "priv", "kept") "/secrets?tree", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "GET", "/projects/user%2Fown%2Fshown/secrets", NULL,
		    { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", "/projects/user%2Fown%2Fkept/secrets", NULL,
		    { 401, 401, 200, 200, 200, 403, 403 } },
		{ "POST", P("publicorg", "pub", "shown") "/secrets", "{}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "PUT", P("publicorg", "pub", "shown") "/secrets/x", "{}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "DELETE", P("publicorg", "pub", "shown") "/secrets/x", NULL,
		    { 401, 401, 204, 204, 204, 403, 403 } },
		{ "DELETE", P("privateorg", "pub", "shown") "/secrets/x", NULL,
		    { 401, 401, 204, 204, 204, 403, 403 } },
		{ "GET", "/projectgroups/org%2Fpublicorg%2Fpub/secrets", NULL,
		    { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", "/projectgroups/org%2Fpublicorg%2Fpriv/secrets", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "POST", "/projectgroups/org%2Fpublicorg/secrets", "{}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "PUT", "/projectgroups/org%2Fpublicorg/secrets/x", "{}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "DELETE", "/projectgroups/org%2Fpublicorg/secrets/x", NULL,
		    { 401, 401, 204, 204, 204, 403, 403 } },
		{ "GET", P("publicorg", "pub", "shown") "/variables", NULL,
		    { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", P("publicorg", "pub", "kept") "/variables", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "GET", P("privateorg", "priv", "kept") "/variables?tree", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "GET", "/projects/user%2Fown%2Fshown/variables", NULL,
		    { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", "/projects/user%2Fown%2Fkept/variables", NULL,
		    { 401, 401, 200, 200, 200, 403, 403 } },
		{ "POST", P("publicorg", "pub", "shown") "/variables", "{}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "PUT", P("publicorg", "pub", "shown") "/variables/x", "{}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "DELETE", P("publicorg", "pub", "shown") "/variables/x", NULL,
		    { 401, 401, 204, 204, 204, 403, 403 } },
		{ "DELETE", P("privateorg", "pub", "shown") "/variables/x", NULL,
		    { 401, 401, 204, 204, 204, 403, 403 } },
		{ "GET", "/projectgroups/org%2Fpublicorg%2Fpub/variables", NULL,
		    { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", "/projectgroups/org%2Fpublicorg%2Fpriv/variables", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "POST", "/projectgroups/org%2Fpublicorg/variables", "{}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "PUT", "/projectgroups/org%2Fpublicorg/variables/x", "{}",
		    { 401, 401, 400, 400, 400, 403, 403 } },
		{ "DELETE", "/projectgroups/org%2Fpublicorg/variables/x", NULL,
		    { 401, 401, 204, 204, 204, 403, 403 } },
		{ "GET", P("publicorg", "pub", "shown") "/runs", NULL,
		    { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", P("publicorg", "pub", "kept") "/runs", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "GET", P("publicorg", "pub", "shown") RUN1, NULL,
		    { 200, 401, 200, 200, 200, 200, 200 } },
		{ "GET", P("privateorg", "pub", "shown") RUN1, NULL,
		    { 403, 401, 200, 200, 200, 200, 404 } },
		{ "GET", P("publicorg", "pub", "shown") RUN1 "/explain", NULL,
		    { 401, 401, 200, 200, 200, 200, 200 } },
		{ "GET", P("privateorg", "pub", "shown") RUN1 "/explain", NULL,
		    { 401, 401, 200, 200, 200, 200, 404 } },
		{ "PUT", P("publicorg", "pub", "shown") RUN1 "/actions", STOP,
		    { 401, 401, 200, 200, 200, 403, 403 } },
		{ "GET", P("publicorg", "pub", "shown") RUN1 "/tasks/" GWP_TASK, NULL,
		    { 200, 401, 200, 200, 200, 200, 200 } },
		{ "GET", P("publicorg", "pub", "kept") RUN1 "/tasks/" GWP_TASK, NULL,
		    { 403, 401, 200, 200, 200, 200, 404 } },
		{ "PUT", P("publicorg", "pub", "shown") RUN1 "/tasks/" GWP_TASK "/actions", APPROVE,
		    { 401, 401, 403, 200, 200, 403, 403 } },
		{ "GET", P("publicorg", "pub", "shown") LOG1, NULL,
		    { 200, 401, 200, 200, 200, 200, 200 } },
		{ "GET", P("privateorg", "priv", "kept") LOG1, NULL,
		    { 403, 401, 200, 200, 200, 200, 404 } },
		{ "DELETE", P("publicorg", "pub", "shown") LOG1, NULL,
		    { 401, 401, 204, 204, 204, 403, 403 } },
		{ "GET", "/badges/org%2Fprivateorg%2Fpriv%2Fkept", NULL,
		    { 200, 200, 200, 200, 200, 200, 200 } },
		{ "GET", "/remotesources", NULL, { 200, 200, 200, 200, 200, 200, 200 } },
		{ "GET", "/remotesources/host", NULL, { 401, 401, 200, 200, 200, 200, 200 } },
		{ "POST", "/remotesources", "{}", { 401, 401, 400, 400, 403, 403, 403 } },
		{ "PUT", "/remotesources/host", "{\"name\":\"-\"}",
		    { 401, 401, 400, 400, 403, 403, 403 } },
		{ "DELETE", "/remotesources/none", NULL, { 401, 401, 404, 404, 403, 403, 403 } },
		{ "GET", "/audit", NULL, { 401, 401, 200, 200, 403, 403, 403 } },
		{ "GET", "/maintenance/configstore", NULL, { 401, 401, 200, 200, 401, 401, 401 } },
		{ "PUT", "/maintenance/none", NULL, { 401, 401, 400, 400, 401, 401, 401 } },
		{ "DELETE", "/maintenance/configstore", NULL,
		    { 401, 401, 400, 400, 401, 401, 401 } },
		{ "GET", "/export/none", NULL, { 401, 401, 400, 400, 401, 401, 401 } },
		{ "POST", "/import/none", "x", { 401, 401, 400, 400, 401, 401, 401 } },
		{ "GET", "/user/orgs", NULL, { 401, 401, 403, 200, 200, 200, 200 } },
		{ "GET", "/user/org_invitations", NULL, { 401, 401, 403, 200, 200, 200, 200 } },
		{ "PUT", "/user/org_invitations/publicorg/actions", "{\"action_type\":\"accept\"}",
		    { 401, 401, 400, 404, 404, 404, 404 } },
		{ "GET", "/user/remoterepos/host", NULL, { 401, 401, 403, 404, 200, 404, 404 } },
		{ "POST", "/users/own/linkedaccounts", "{}",
		    { 401, 401, 403, 400, 404, 400, 400 } },
		{ "DELETE", "/users/own/linkedaccounts/x", NULL,
		    { 401, 401, 404, 404, 404, 400, 400 } },
		{ "GET", "/users/own/tokens", NULL, { 401, 401, 200, 200, 200, 403, 403 } },
		{ "POST", "/users/own/passwordlink", NULL, { 401, 401, 201, 201, 403, 403, 403 } },
		{ "POST", "/orgs", "{}", { 401, 401, 400, 400, 400, 400, 400 } },
		{ "GET", "/orgs", NULL, { 401, 401, 200, 200, 200, 200, 200 } },
	};
	static const struct row flag[] = {
		{ "PUT", P("privateorg", "pub", "shown") RUN1 "/actions", STOP,
		    { 401, 401, 200, 200, 200, 200, 403 } },
		{ "DELETE", P("privateorg", "pub", "shown") LOG1, NULL,
		    { 401, 401, 204, 204, 204, 403, 403 } },
	};
	struct gwp *f = *state;
	struct world w;

	make_world(f, &w);
	f->rs.log_ended = true;
	f->rs.nruns = 3;
	check_rows(f, &w, rows, ARRAY_LEN(rows));
	/* Members act on runs where the project lets them. */
	gwp_expect(f, "PUT", P("privateorg", "pub", "shown"), w.tokens[OWNER],
	    "{\"members_can_perform_run_actions\":true}", 201, NULL);
	check_rows(f, &w, flag, ARRAY_LEN(flag));
	end_world(&w);
}

/* What may not be seen is not in lists either. */
static void
lists_hide(void **state)
{
	struct gwp *f = *state;
	struct world w;

	make_world(f, &w);
	gwp_expect_names(f, "/orgs", w.tokens[OWNER], "publicorg ");
	gwp_expect_names(f, "/orgs", w.tokens[ROOT], "privateorg publicorg ");
	gwp_expect_names(
	    f, "/projectgroups/org%2Fpublicorg/subgroups", w.tokens[MEMBER], "priv pub ");
	gwp_expect_names(f, "/projectgroups/org%2Fpublicorg/subgroups", w.tokens[STRANGER], "pub ");
	gwp_expect_names(
	    f, "/projectgroups/org%2Fpublicorg%2Fpub/projects", w.tokens[MEMBER], "kept shown ");
	gwp_expect_names(
	    f, "/projectgroups/org%2Fpublicorg%2Fpub/projects", w.tokens[STRANGER], "shown ");
	gwp_expect_names(f, "/projectgroups/user%2Fown/projects", w.tokens[STRANGER], "shown ");
	gwp_expect_names(f, "/projectgroups/user%2Fown/projects", w.tokens[OWNER], "kept shown ");
	end_world(&w);
}

/* Ids of one owner's things under another's path lead nowhere. */
static void
foreign_ids(void **state)
{
	struct gwp *f = *state;
	auto_free char *eve = NULL, *group = NULL, *project = NULL, *body = NULL;
	auto_json *g = NULL, *p = NULL;

	gwp_make_bob(f);
	gwp_make_user(f, "eve", NULL, &eve);
	gww_use_host(f);
	gww_link(f, "bob", f->token);
	g = gwp_json(f, "POST", "/projectgroups", f->token,
	    "{\"name\":\"g\",\"visibility\":\"private\"}", 201);
	group = xasprintf("/projectgroups/%s", json_text(g, "id"));
	body = gww_project_body("p", json_text(g, "id"), "public");
	p = gwp_json(f, "POST", "/projects", f->token, body, 201);
	assert_string_equal(json_text(p, "path"), "user/bob/g/p");
	project = xasprintf("/projects/%s", json_text(p, "id"));
	for (const char *const *m = (const char *const[]){ "GET", "PUT", "DELETE", NULL }; *m;
	     m++) {
		gwp_expect(f, *m, group, eve, "{}", 403, "[]");
		gwp_expect(f, *m, project, eve, "{}", 403, "[]");
	}
	for (const char *const *s = (const char *const[]){ "/runs", RUN1, RUN1 "/tasks/" GWP_TASK,
	         LOG1, "/secrets", "/variables?tree", NULL };
	     *s; s++) {
		auto_free char *path = xasprintf("%s%s", project, *s);

		gwp_expect(f, "GET", path, eve, NULL, 403, "[]");
	}
	assert_int_equal(f->rs.calls, 0);
	/* A project's id is no group's, nor an organization's. */
	free(group);
	group = xasprintf("/projectgroups/%s", json_text(p, "id"));
	gwp_expect(f, "GET", group, f->token, NULL, 404, GWP_ERR("projectGroupDoesNotExist"));
	free(group);
	group = xasprintf("/orgs/%s", json_text(g, "id"));
	gwp_expect(f, "GET", group, f->token, NULL, 404, GWP_ERR("organizationDoesNotExist"));
	free(group);
	group = xasprintf(
	    "{\"name\":\"x\",\"parent_ref\":\"%s\",\"visibility\":\"public\"}", json_text(g, "id"));
	gwp_expect(f, "POST", "/projectgroups", eve, group, 403, "[]");
	gwp_expect(f, "POST", "/projects", eve, group, 403, "[]");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(who_may_what),
		T(lists_hide),
		T(foreign_ids),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
