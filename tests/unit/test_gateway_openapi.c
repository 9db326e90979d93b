/*
 * Every route that clients know is in the table, the document says what the table says; and the
 * small pure parts: bodies, paths, badges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "gateway/badge.h"
#include "gateway/body.h"
#include "gateway/githost.h"
#include "gateway/openapi.h"
#include "gateway/path.h"
#include "gateway/route.h"

#include <string.h>

/* The routes of the REST API that existing clients call, below /api/v1alpha. */
static const struct {
	enum http_method method;
	const char *path;
} known[] = {
	/* project groups */
	{ HTTP_GET, "/projectgroups/x" },
	{ HTTP_GET, "/projectgroups/x/subgroups" },
	{ HTTP_GET, "/projectgroups/x/projects" },
	{ HTTP_POST, "/projectgroups" },
	{ HTTP_PUT, "/projectgroups/x" },
	{ HTTP_DELETE, "/projectgroups/x" },
	/* projects */
	{ HTTP_GET, "/projects/x" },
	{ HTTP_POST, "/projects" },
	{ HTTP_PUT, "/projects/x" },
	{ HTTP_DELETE, "/projects/x" },
	{ HTTP_PUT, "/projects/x/reconfig" },
	{ HTTP_PUT, "/projects/x/updaterepolinkedaccount" },
	{ HTTP_POST, "/projects/x/refreshremoterepo" },
	{ HTTP_POST, "/projects/x/createrun" },
	{ HTTP_GET, "/projects/x/runs" },
	{ HTTP_GET, "/projects/x/runs/1" },
	{ HTTP_PUT, "/projects/x/runs/1/actions" },
	{ HTTP_GET, "/projects/x/runs/1/tasks/t" },
	{ HTTP_PUT, "/projects/x/runs/1/tasks/t/actions" },
	{ HTTP_GET, "/projects/x/runs/1/tasks/t/logs" },
	{ HTTP_DELETE, "/projects/x/runs/1/tasks/t/logs" },
	/* users */
	{ HTTP_GET, "/user" },
	{ HTTP_GET, "/users/x" },
	{ HTTP_GET, "/users" },
	{ HTTP_POST, "/users" },
	{ HTTP_DELETE, "/users/x" },
	{ HTTP_POST, "/user/createrun" },
	{ HTTP_GET, "/user/orgs" },
	{ HTTP_GET, "/user/org_invitations" },
	{ HTTP_PUT, "/user/org_invitations/x/actions" },
	{ HTTP_GET, "/user/remoterepos/x" },
	{ HTTP_GET, "/users/x/runs" },
	{ HTTP_GET, "/users/x/runs/1" },
	{ HTTP_PUT, "/users/x/runs/1/actions" },
	{ HTTP_GET, "/users/x/runs/1/tasks/t" },
	{ HTTP_PUT, "/users/x/runs/1/tasks/t/actions" },
	{ HTTP_GET, "/users/x/runs/1/tasks/t/logs" },
	{ HTTP_DELETE, "/users/x/runs/1/tasks/t/logs" },
	{ HTTP_POST, "/users/x/linkedaccounts" },
	{ HTTP_DELETE, "/users/x/linkedaccounts/l" },
	{ HTTP_POST, "/users/x/tokens" },
	{ HTTP_DELETE, "/users/x/tokens/t" },
	/* git hosts */
	{ HTTP_GET, "/remotesources" },
	{ HTTP_GET, "/remotesources/x" },
	{ HTTP_POST, "/remotesources" },
	{ HTTP_PUT, "/remotesources/x" },
	{ HTTP_DELETE, "/remotesources/x" },
	/* organizations */
	{ HTTP_GET, "/orgs/x" },
	{ HTTP_GET, "/orgs" },
	{ HTTP_POST, "/orgs" },
	{ HTTP_PUT, "/orgs/x" },
	{ HTTP_DELETE, "/orgs/x" },
	{ HTTP_GET, "/orgs/x/members" },
	{ HTTP_PUT, "/orgs/x/members/u" },
	{ HTTP_DELETE, "/orgs/x/members/u" },
	{ HTTP_GET, "/orgs/x/invitations" },
	{ HTTP_POST, "/orgs/x/invitations" },
	{ HTTP_GET, "/orgs/x/invitations/u" },
	{ HTTP_DELETE, "/orgs/x/invitations/u" },
	/* logging in, misc, maintenance */
	{ HTTP_POST, "/auth/login" },
	{ HTTP_POST, "/auth/authorize" },
	{ HTTP_POST, "/auth/register" },
	{ HTTP_GET, "/auth/oauth2/callback" },
	{ HTTP_GET, "/version" },
	{ HTTP_GET, "/badges/x" },
	{ HTTP_GET, "/maintenance/s" },
	{ HTTP_PUT, "/maintenance/s" },
	{ HTTP_DELETE, "/maintenance/s" },
	{ HTTP_GET, "/export/s" },
	{ HTTP_POST, "/import/s" },
	/* secrets and variables */
	{ HTTP_GET, "/projects/x/secrets" },
	{ HTTP_POST, "/projects/x/secrets" },
	{ HTTP_PUT, "/projects/x/secrets/n" },
	{ HTTP_DELETE, "/projects/x/secrets/n" },
	{ HTTP_GET, "/projects/x/variables" },
	{ HTTP_POST, "/projects/x/variables" },
	{ HTTP_PUT, "/projects/x/variables/n" },
	{ HTTP_DELETE, "/projects/x/variables/n" },
	{ HTTP_GET, "/projectgroups/x/secrets" },
	{ HTTP_POST, "/projectgroups/x/secrets" },
	{ HTTP_PUT, "/projectgroups/x/secrets/n" },
	{ HTTP_DELETE, "/projectgroups/x/secrets/n" },
	{ HTTP_GET, "/projectgroups/x/variables" },
	{ HTTP_POST, "/projectgroups/x/variables" },
	{ HTTP_PUT, "/projectgroups/x/variables/n" },
	{ HTTP_DELETE, "/projectgroups/x/variables/n" },
};

/* Those that this version does not have; whoever adds one moves it up. */
static const struct {
	enum http_method method;
	const char *path;
} missing[] = {
	/* deliveries: there are no notifications yet */
	{ HTTP_GET, "/projects/x/runwebhookdeliveries" },
	{ HTTP_PUT, "/projects/x/runwebhookdeliveries/i/redelivery" },
	{ HTTP_GET, "/projects/x/commitstatusdeliveries" },
	{ HTTP_PUT, "/projects/x/commitstatusdeliveries/i/redelivery" },
};

static const struct gw_route *
find(enum http_method method, const char *path)
{
	auto_free char *full = xasprintf(GW_API "%s", path);
	struct gw_params params;
	const struct gw_route *r = gw_route_find(&params, method, full);

	gw_params_fini(&params);
	return r;
}

static void
no_known_route_is_missing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!find(known[i].method, known[i].path))
			fail_msg("%d %s has no row", known[i].method, known[i].path);
	}
	for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
		if (find(missing[i].method, missing[i].path))
			fail_msg("%d %s has a row: move it up", missing[i].method, missing[i].path);
	}
}

static const json_t *
operation(const json_t *doc, const char *path, const char *method)
{
	return json_object_get(json_object_get(json_object_get(doc, "paths"), path), method);
}

static void
the_document_is_the_table(void **state)
{
	static const char *const names[] = { "", "get", "head", "post", "put", "delete" };
	auto_json *doc = gw_openapi("http://h", "1");
	const json_t *schemas = json_object_get(json_object_get(doc, "components"), "schemas");
	const json_t *op;

	(void)state;
	assert_non_null(doc);
	for (size_t i = 0; i < gw_nroutes; i++) {
		const struct gw_route *r = &gw_routes[i];

		if (!gw_route_is_api(r))
			continue;
		op = operation(doc, r->pattern, names[r->method]);
		assert_string_equal(json_text(op, "summary"), r->help);
		assert_non_null(json_text(op, "x-role"));
		if (r->body)
			assert_non_null(json_object_get(schemas, r->body->name));
	}
	op = operation(doc, GW_API "/orgs/{o}/members/{u}", "put");
	assert_int_equal(json_array_size(json_object_get(op, "parameters")), 2);
	op = operation(doc, GW_API "/orgs", "get");
	assert_int_equal(json_array_size(json_object_get(op, "parameters")), 3);
	assert_int_equal(json_array_size(json_object_get(op, "security")), 2);
	op = operation(doc, GW_API "/version", "get");
	assert_int_equal(json_array_size(json_object_get(op, "security")), 1);
}

static void
bodies(void **state)
{
	static const struct {
		const struct gw_body *body;
		const char *text;
		bool good;
	} cases[] = {
		{ &gw_body_org_create, "{}", true },
		{ &gw_body_org_create, "{\"name\":\"x\",\"other\":[3]}", true },
		{ &gw_body_org_create, "{\"NAME\":\"x\",\"visibility\":null}", true },
		{ &gw_body_org_create, "{\"name\":3}", false },
		{ &gw_body_org_create, "{\"Name\":{}}", false },
		{ &gw_body_org_create, "[]", false },
		{ &gw_body_run_action, "{\"from_start\":true}", true },
		{ &gw_body_run_action, "{\"from_start\":\"true\"}", false },
		{ &gw_body_user_run, "{\"pull_request_ref_regexes\":[\"x\"]}", true },
		{ &gw_body_user_run, "{\"pull_request_ref_regexes\":[1]}", false },
		{ &gw_body_user_run, "{\"pull_request_ref_regexes\":\"x\"}", false },
		{ &gw_body_user_run, "{\"variables\":{\"a\":\"b\"}}", true },
		{ &gw_body_user_run, "{\"variables\":{\"a\":1}}", false },
		{ &gw_body_user_run, "{\"variables\":[]}", false },
		{ &gw_body_variable, "{\"values\":[{}]}", true },
		{ &gw_body_variable, "{\"values\":[1]}", false },
		{ &gw_body_remote_create, "{\"apiURL\":\"u\"}", true },
		{ &gw_body_remote_create, "{\"apiURL\":1}", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_json *j = json_loads(cases[i].text, JSON_DECODE_ANY, NULL);
		auto_err err = NULL;

		assert_non_null(j);
		if ((gw_body_check(cases[i].body, j, &err) == 0) != cases[i].good)
			fail_msg("%s: %s", cases[i].text, err_msg(err));
		assert_true(cases[i].good || !err->slug);
	}
}

static void
paths(void **state)
{
	static const struct {
		const char *text;
		bool project, org;
		const char *owner, *groups, *name; /* owner NULL: invalid */
	} cases[] = {
		{ "user/bob", false, false, "bob", "", NULL },
		{ "org/o/a/b", false, true, "o", "a/b", NULL },
		{ "user/bob/p", true, false, "bob", "", "p" },
		{ "org/o/a/b/p", true, true, "o", "a/b", "p" },
		{ "user/bob", true, false, NULL, NULL, NULL },
		{ "org", false, false, NULL, NULL, NULL },
		{ "org/", false, false, NULL, NULL, NULL },
		{ "/user/bob", false, false, NULL, NULL, NULL },
		{ "user/bob/", false, false, NULL, NULL, NULL },
		{ "user//p", true, false, NULL, NULL, NULL },
		{ "users/bob", false, false, NULL, NULL, NULL },
		{ "", false, false, NULL, NULL, NULL },
	};
	struct gw_path p;
	auto_err err = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int rc = gw_path_parse(&p, cases[i].text, cases[i].project, &err);

		if ((rc == 0) != (cases[i].owner != NULL))
			fail_msg("%s: %d", cases[i].text, rc);
		if (rc < 0) {
			assert_string_equal(err->slug, "invalidPath");
			err_clear(&err);
			continue;
		}
		assert_false(p.is_id);
		assert_int_equal(p.org, cases[i].org);
		assert_string_equal(p.owner, cases[i].owner);
		assert_string_equal(p.groups, cases[i].groups);
		if (cases[i].name)
			assert_string_equal(p.name, cases[i].name);
		gw_path_fini(&p);
	}
	assert_int_equal(
	    gw_path_parse(&p, "{A1BB8CEE-2A60-4FEB-9C54-2AD0CA32FB31}", true, NULL), 0);
	assert_true(p.is_id);
	assert_string_equal(p.id.s, "a1bb8cee-2a60-4feb-9c54-2ad0ca32fb31");
	assert_int_equal(gw_path_depth(""), 0);
	assert_int_equal(gw_path_depth("a"), 1);
	assert_int_equal(gw_path_depth("a/b/c"), 3);
}

static void
badges(void **state)
{
	static const struct {
		const char *phase, *result, *text;
	} cases[] = {
		{ NULL, NULL, "unknown" },
		{ "finished", "success", "success" },
		{ "finished", "failed", "failed" },
		{ "finished", "stopped", "failed" },
		{ "cancelled", "unknown", "failed" },
		{ "queued", "unknown", "inprogress" },
		{ "running", "unknown", "inprogress" },
		{ "running", "failed", "failed" },
		{ "setuperror", "unknown", "error" },
		{ "new", "new", "unknown" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct gw_badge *b = gw_badge_of(cases[i].phase, cases[i].result);
		auto_free char *svg = gw_badge_svg(b);

		assert_string_equal(b->text, cases[i].text);
		assert_true(strncmp(svg, "<svg ", 5) == 0);
		assert_non_null(strstr(svg, cases[i].text));
	}
}

static void
login_pages(void **state)
{
	static const struct {
		const char *type, *apiurl, *want;
	} cases[] = {
		{ "gitea", "https://g/",
		    "https://g/login/oauth/authorize?client_id=i%26d&redirect_uri="
		    "https%3A%2F%2Fw%2Fcb&response_type=code&state=s%2B" },
		{ "github", "https://api.github.com",
		    "https://github.com/login/oauth/authorize?client_id=i%26d&redirect_uri="
		    "https%3A%2F%2Fw%2Fcb&response_type=code&state=s%2B&scope=repo" },
		{ "github", "https://ghe.example.org",
		    "https://ghe.example.org/login/oauth/authorize?client_id=i%26d&redirect_uri="
		    "https%3A%2F%2Fw%2Fcb&response_type=code&state=s%2B&scope=repo" },
		{ "gitlab", "https://gl",
		    "https://gl/oauth/authorize?client_id=i%26d&redirect_uri="
		    "https%3A%2F%2Fw%2Fcb&response_type=code&state=s%2B&scope=api" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct gw_githost host = {
			.type = cases[i].type, .apiurl = cases[i].apiurl, .client_id = "i&d"
		};
		auto_free char *url = gw_githost_authorize_url(&host, "https://w/cb", "s+");

		assert_string_equal(url, cases[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_known_route_is_missing),
		cmocka_unit_test(the_document_is_the_table),
		cmocka_unit_test(bodies),
		cmocka_unit_test(paths),
		cmocka_unit_test(badges),
		cmocka_unit_test(login_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
