#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "gateway/auth.h"
#include "gateway/git_server.h"
#include "gateway/name.h"
#include "gateway/reply.h"
#include "gateway/route.h"

#include <string.h>

static const struct gw_route *
find(struct gw_params *params, enum http_method method, const char *path)
{
	memset(params, 0, sizeof(*params));
	return gw_route_find(params, method, path);
}

static void
table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < gw_nroutes; i++) {
		const struct gw_route *r = &gw_routes[i];

		assert_true(r->pattern[0] == '/');
		assert_true(!!r->work != !!r->handle);
		assert_true(r->auth && r->role && r->denied && r->help);
		/* A role without an identity could never be met. */
		if (r->auth == GW_AUTH_NONE)
			assert_int_equal(r->role, GW_ROLE_ANY);
		if (r->role == GW_ROLE_SELF || r->role == GW_ROLE_SELF_USER ||
		    r->role == GW_ROLE_HIMSELF)
			assert_true(gw_route_has_param(r, "u") && !gw_route_has_param(r, "o"));
		if (r->role == GW_ROLE_SEE || r->role == GW_ROLE_OWNER ||
		    r->role == GW_ROLE_OWNER_USER || r->role == GW_ROLE_RUN)
			assert_true(gw_route_has_param(r, "p") || gw_route_has_param(r, "pg") ||
			            gw_route_has_param(r, "o"));
		/* What changes something wants somebody, but for logging in. */
		if (gw_route_is_api(r) && gw_route_is_unsafe(r))
			assert_true(r->auth == GW_AUTH_FORCED ||
			            strncmp(r->pattern, GW_API "/auth/", 18) == 0);
		for (size_t k = 0; k < i; k++)
			assert_false(gw_routes[k].method == r->method &&
			             strcmp(gw_routes[k].pattern, r->pattern) == 0);
	}
}

static void
finds_rows(void **state)
{
	struct gw_params p;
	const struct gw_route *r;

	(void)state;
	r = find(&p, HTTP_GET, "/api/v1alpha/users/bob/runs/12/tasks/t1/logs");
	assert_non_null(r);
	assert_string_equal(r->pattern, "/api/v1alpha/users/{u}/runs/{n}/tasks/{t}/logs");
	assert_string_equal(gw_params_get(&p, "u"), "bob");
	assert_string_equal(gw_params_get(&p, "n"), "12");
	assert_string_equal(gw_params_get(&p, "t"), "t1");
	gw_params_fini(&p);

	r = find(&p, HTTP_POST, "/api/v1alpha/user/createrun");
	assert_non_null(r);
	assert_int_equal(p.n, 0);
}

static void
segments_are_decoded_after_the_split(void **state)
{
	struct gw_params p;

	(void)state;
	assert_non_null(find(&p, HTTP_DELETE, "/api/v1alpha/users/bob/tokens/a%2Fb%20c"));
	assert_string_equal(gw_params_get(&p, "name"), "a/b c");
	gw_params_fini(&p);
	/* The same with a literal slash is another path. */
	assert_null(find(&p, HTTP_DELETE, "/api/v1alpha/users/bob/tokens/a/b"));
	/* An encoded literal is not the literal's segment split. */
	assert_null(find(&p, HTTP_GET, "/api/v1alpha%2Fuser"));
}

static void
unknown_is_no_row(void **state)
{
	static const struct {
		enum http_method method;
		const char *path;
	} cases[] = {
		{ HTTP_GET, "/" },
		{ HTTP_GET, "" },
		{ HTTP_GET, "/api/v1alpha" },
		{ HTTP_GET, "/api/v1alpha/" },
		{ HTTP_GET, "/api/v1alpha/user/" },
		{ HTTP_GET, "/api/v1alpha/users/" },
		{ HTTP_GET, "/api/v1alpha/users//runs" },
		{ HTTP_PUT, "/api/v1alpha/user" },
		{ HTTP_OTHER, "/api/v1alpha/user" },
		{ HTTP_HEAD, "/api/v1alpha/user" },
		{ HTTP_GET, "/api/v1alpha/user/createrun" },
		{ HTTP_GET, "/api/v1alpha/projects" },
		{ HTTP_GET, "/api/v1alpha/users/%zz" },
		{ HTTP_GET, "/api/v1alpha/users/%00" },
		{ HTTP_GET, "/api/v1alpha/users/bob%" },
		{ HTTP_GET, "/repos/u/r.git/raw/master/" },
		{ HTTP_GET, "/repos/u/r.git/HEAD" },
		{ HTTP_GET, "/repos/u/../r.git/info/refs" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gw_params p;

		if (find(&p, cases[i].method, cases[i].path))
			fail_msg("%s has a route", cases[i].path);
		assert_int_equal(p.n, 0);
	}
}

static void
rest_parameter_keeps_slashes(void **state)
{
	struct gw_params p;

	(void)state;
	assert_non_null(find(&p, HTTP_GET, "/repos/u/r.git/raw/master/a/b%20c/d"));
	assert_string_equal(gw_params_get(&p, "ref"), "master");
	assert_string_equal(gw_params_get(&p, "path"), "a/b c/d");
	gw_params_fini(&p);
}

static void
body_limits(void **state)
{
	struct gw_params p;
	const struct gw_route *r = find(&p, HTTP_POST, "/api/v1alpha/users");

	(void)state;
	assert_int_equal(gw_route_body_max(r), 1 << 20);
	r = find(&p, HTTP_POST, "/repos/a/b.git/git-receive-pack");
	assert_int_equal(gw_route_body_max(r), GW_GIT_PUSH_BODY_MAX);
	gw_params_fini(&p);
}

static void
authorization_header(void **state)
{
	(void)state;
	assert_string_equal(gw_auth_token("token abc"), "abc");
	assert_string_equal(gw_auth_token("Token abc"), "abc");
	assert_string_equal(gw_auth_token("TOKEN  abc"), "abc");
	assert_null(gw_auth_token(NULL));
	assert_null(gw_auth_token(""));
	assert_null(gw_auth_token("token "));
	assert_null(gw_auth_token("token"));
	assert_null(gw_auth_token("Bearer abc"));
	assert_null(gw_auth_token("tokenabc"));
}

static void
names(void **state)
{
	static const char *const good[] = { "0", "a", "Z", "bar", "foo-bar", "foo-1-bar",
		"f12oo-bar33", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"a1bb8cee-2a60-4feb-9c54-2ad0ca32fb3" };
	static const char *const bad[] = { "", "-", "1foobar", "foo--bar", "foo.bar", "foo_bar",
		"foo bar", "-bar", "bar-", "b\xc3\xa9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"a1bb8cee-2a60-4feb-9c54-2ad0ca32fb31", "A1BB8CEE2A604FEB9C542AD0CA32FB31", "a/b",
		"a'b", "a\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (!gw_name_is_valid(good[i]))
			fail_msg("%s refused", good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (gw_name_is_valid(bad[i]))
			fail_msg("%s accepted", bad[i]);
	}
}

static void
uuid_shapes(void **state)
{
	static const char *const same[] = { "a1bb8cee-2a60-4feb-9c54-2ad0ca32fb31",
		"A1BB8CEE-2A60-4FEB-9C54-2AD0CA32FB31", "{a1bb8cee-2a60-4feb-9c54-2ad0ca32fb31}",
		"urn:uuid:a1bb8cee-2a60-4feb-9c54-2ad0ca32fb31",
		"a1bb8cee2a604feb9c542ad0ca32fb31" };
	struct id id;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		assert_true(gw_name_uuid(&id, same[i]));
		assert_string_equal(id.s, same[0]);
	}
	assert_false(gw_name_uuid(&id, ""));
	assert_false(gw_name_uuid(&id, "a1bb8cee-2a60-4feb-9c54-2ad0ca32fb3"));
	assert_false(gw_name_uuid(&id, "a1bb8cee-2a60-4feb-9c54+2ad0ca32fb31"));
	assert_false(gw_name_uuid(&id, "{a1bb8cee-2a60-4feb-9c54-2ad0ca32fb31)"));
	assert_false(gw_name_uuid(&id, "g1bb8cee2a604feb9c542ad0ca32fb31"));
}

static void
error_replies(void **state)
{
	char *body = gw_reply_error_body("userDoesNotExist");

	(void)state;
	assert_string_equal(body, "[{\"code\":\"userDoesNotExist\",\"details\":null}]");
	free(body);
	body = gw_reply_error_body(NULL);
	assert_string_equal(body, "[]");
	free(body);
	assert_int_equal(gw_reply_status(ERR_INVALID), 400);
	assert_int_equal(gw_reply_status(ERR_CONFLICT), 400);
	assert_int_equal(gw_reply_status(ERR_DENIED), 403);
	assert_int_equal(gw_reply_status(ERR_NOTFOUND), 404);
	assert_int_equal(gw_reply_status(ERR_UNAVAILABLE), 503);
	assert_int_equal(gw_reply_status(ERR_INTERNAL), 500);
	assert_int_equal(gw_reply_status(-99), 500);
}

static void
git_words(void **state)
{
	char packet[64];

	(void)state;
	assert_string_equal(gw_git_service("git-upload-pack"), "upload-pack");
	assert_string_equal(gw_git_service("git-receive-pack"), "receive-pack");
	assert_null(gw_git_service("git-shell"));
	assert_null(gw_git_service("upload-pack"));
	assert_null(gw_git_protocol(NULL));
	assert_null(gw_git_protocol("version=2:side=x"));
	assert_string_equal(gw_git_protocol("version=2"), "version=2");
	gw_git_service_packet(packet, "upload-pack");
	assert_string_equal(packet, "001e# service=git-upload-pack\n0000");
	gw_git_service_packet(packet, "receive-pack");
	assert_string_equal(packet, "001f# service=git-receive-pack\n0000");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_sound),
		cmocka_unit_test(finds_rows),
		cmocka_unit_test(segments_are_decoded_after_the_split),
		cmocka_unit_test(unknown_is_no_row),
		cmocka_unit_test(rest_parameter_keeps_slashes),
		cmocka_unit_test(body_limits),
		cmocka_unit_test(authorization_header),
		cmocka_unit_test(names),
		cmocka_unit_test(uuid_shapes),
		cmocka_unit_test(error_replies),
		cmocka_unit_test(git_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
