#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "gateway/intake.h"
#include "gateway/page.h"

#include <stdio.h>
#include <string.h>

#define SHA "0123456789abcdef0123456789abcdef01234567"
#define USER "11111111-2222-4333-8444-555555555555"
#define REPO "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define GITHUB "refs/pull/(\\d+)/head"
#define GITLAB "refs/merge-requests/(\\d+)/head"

/* A request with one ref field; both default expressions. */
static json_t *
body_with(const char *field, const char *value)
{
	json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:[s, s]}", "repo_uuid", REPO,
	    "repo_path", USER "/" REPO, "commit_sha", SHA, "message", "agola direct run", field,
	    value, "pull_request_ref_regexes", GITHUB, GITLAB);

	assert_non_null(body);
	return body;
}

static int
classify(struct gw_ref *out, const char *field, const char *value)
{
	json_t *body = body_with(field, value);
	struct gw_intake in;
	auto_err err = NULL;
	int rc = gw_intake_parse(&in, body, &err);

	if (rc == 0)
		rc = gw_ref_classify(out, &in, &err);
	json_decref(body);
	return rc;
}

static void
refs_are_classified(void **state)
{
	static const struct {
		const char *field, *value, *type, *ref, *name;
	} cases[] = {
		{ "branch", "master", "branch", "refs/heads/master", "master" },
		{ "branch", "feature/x-1", "branch", "refs/heads/feature/x-1", "feature/x-1" },
		{ "branch", "refs/pull/1/head", "branch", "refs/heads/refs/pull/1/head",
		    "refs/pull/1/head" },
		{ "tag", "v0.1.0", "tag", "refs/tags/v0.1.0", "v0.1.0" },
		{ "ref", "refs/pull/1/head", "pull_request", "refs/pull/1/head", "1" },
		{ "ref", "refs/merge-requests/42/head", "pull_request",
		    "refs/merge-requests/42/head", "42" },
		{ "ref", "refs/heads/develop", "branch", "refs/heads/develop", "develop" },
		{ "ref", "refs/tags/v2", "tag", "refs/tags/v2", "v2" },
		{ "BRANCH", "master", "branch", "refs/heads/master", "master" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gw_ref r;

		if (classify(&r, cases[i].field, cases[i].value) != 0)
			fail_msg("%s refused", cases[i].value);
		assert_string_equal(r.type, cases[i].type);
		assert_string_equal(r.ref, cases[i].ref);
		assert_string_equal(gw_ref_name(&r), cases[i].name);
		gw_ref_fini(&r);
	}
}

static void
bad_refs_are_refused(void **state)
{
	static const char *const refs[] = { "refs/other/x", "master", "refs/heads/", "refs/tags/",
		"refs/pull/x/head", "--upload-pack=x", "refs/heads/a b", "refs/heads/a..b",
		"refs/heads/../x", "refs/heads/a\nb", "refs/heads/.a", "refs/heads/a.lock",
		"refs/heads/a//b", "refs/heads/a~1", "refs/heads/a@{1}", "refs/heads/a:b",
		"refs/heads/a." };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
		struct gw_ref r = { 0 };

		if (classify(&r, "ref", refs[i]) != ERR_INVALID)
			fail_msg("%s accepted", refs[i]);
	}
}

static int
parse_changed(const char *field, json_t *value)
{
	json_t *body = body_with("branch", "master");
	struct gw_intake in;
	struct gw_ref r = { 0 };
	auto_err err = NULL;
	char *owner = NULL, *repo = NULL;
	int rc;

	json_object_set_new(body, field, value);
	rc = gw_intake_parse(&in, body, &err);
	if (rc == 0)
		rc = gw_intake_repo(&owner, &repo, &in, &err);
	if (rc == 0)
		rc = gw_ref_classify(&r, &in, &err);
	gw_ref_fini(&r);
	free(owner);
	free(repo);
	json_decref(body);
	return rc;
}

static void
bad_requests_are_refused(void **state)
{
	(void)state;
	assert_int_equal(parse_changed("message", json_string("hello")), 0);
	assert_int_equal(parse_changed("repo_uuid", json_string("")), ERR_INVALID);
	assert_int_equal(parse_changed("repo_path", json_string(USER)), ERR_INVALID);
	assert_int_equal(parse_changed("repo_path", json_string(USER "/" REPO "/x")), ERR_INVALID);
	assert_int_equal(parse_changed("repo_path", json_string(USER "/other")), ERR_INVALID);
	assert_int_equal(parse_changed("repo_path", json_string("/" REPO)), ERR_INVALID);
	assert_int_equal(parse_changed("tag", json_string("v1")), ERR_INVALID);
	assert_int_equal(parse_changed("branch", json_string("")), ERR_INVALID);
	assert_int_equal(parse_changed("branch", json_null()), ERR_INVALID);
	assert_int_equal(parse_changed("branch", json_integer(1)), ERR_INVALID);
	assert_int_equal(parse_changed("commit_sha", json_string("")), ERR_INVALID);
	assert_int_equal(parse_changed("commit_sha", json_string("HEAD")), ERR_INVALID);
	assert_int_equal(parse_changed("message", json_string("")), ERR_INVALID);
	assert_int_equal(parse_changed("variables", json_string("x")), ERR_INVALID);
	assert_int_equal(parse_changed("variables", json_pack("{s:i}", "a", 1)), ERR_INVALID);
	assert_int_equal(parse_changed("variables", json_pack("{s:s}", "a", "")), 0);
	assert_int_equal(
	    parse_changed("pull_request_ref_regexes", json_pack("[i]", 1)), ERR_INVALID);
}

/* Why a ref is not classified with this expression; NULL when it is. */
static char *
capture_with(const char *regex)
{
	json_t *body = body_with("ref", "refs/pull/7/head");
	struct gw_intake in;
	struct gw_ref r = { 0 };
	auto_err err = NULL;
	int rc;

	json_object_set_new(body, "pull_request_ref_regexes", json_pack("[s]", regex));
	rc = gw_intake_parse(&in, body, &err);
	if (rc == 0)
		rc = gw_ref_classify(&r, &in, &err);
	gw_ref_fini(&r);
	json_decref(body);
	if (rc == 0)
		return NULL;
	assert_int_equal(rc, ERR_INVALID);
	return xstrdup(err_msg(err));
}

static void
expressions_are_checked(void **state)
{
	static const struct {
		const char *regex, *why;
	} cases[] = {
		{ "pull/([0-9]+", "pull_request_ref_regexes[0]: missing )" },
		{ "pull/[0-9]+/head", "pull_request_ref_regexes[0]: it has no group" },
		{ "pull/(x?)", "pull_request_ref_regexes[0]: matches without an id" },
		{ "pull/(x)?", "pull_request_ref_regexes[0]: matches without an id" },
		{ "((((a{1000}){1000}){1000}))", "pull_request_ref_regexes[0]: " },
	};

	(void)state;
	assert_null(capture_with("pull/([0-9]+)/"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *why = capture_with(cases[i].regex);

		assert_non_null(why);
		if (strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("%s: %s", cases[i].regex, why);
	}
}

static void
origin(struct gw_origin *o, struct gw_ref *ref, json_t **body, const char *field, const char *value,
    const char *url)
{
	struct gw_intake in;
	auto_err err = NULL;

	*body = body_with(field, value);
	assert_int_equal(gw_intake_parse(&in, *body, &err), 0);
	assert_int_equal(gw_ref_classify(ref, &in, &err), 0);
	assert_string_equal(ref->event, "direct");
	gw_origin_init(o, &in, ref, USER, url);
}

static void
runs_carry_their_origin(void **state)
{
	struct gw_origin o;
	struct gw_ref ref;
	json_t *body;

	(void)state;
	origin(&o, &ref, &body, "branch", "feature/x", "http://ci.example.org:8000");
	assert_string_equal(o.group, "/user/" USER "/branch/feature%2Fx");
	assert_string_equal(o.cache_group, USER "-" REPO);
	assert_string_equal(gw_pairs_get(&o.environment, "CI"), "true");
	/* What a run clones with is its own secret, and the repository's id nobody's. */
	assert_null(gw_pairs_get(&o.environment, "AGOLA_REPOSITORY_URL"));
	for (size_t i = 0; i < o.environment.n; i++)
		assert_null(strstr(o.environment.list[i].value, REPO));
	for (size_t i = 0; i < o.annotations.n; i++)
		assert_null(strstr(o.annotations.list[i].value, REPO));
	assert_string_equal(gw_pairs_get(&o.environment, "AGOLA_GIT_HOST"), "ci.example.org");
	assert_string_equal(gw_pairs_get(&o.environment, "AGOLA_GIT_PORT"), "8000");
	assert_string_equal(gw_pairs_get(&o.environment, "AGOLA_GIT_REF_TYPE"), "branch");
	assert_string_equal(gw_pairs_get(&o.environment, "AGOLA_GIT_BRANCH"), "feature/x");
	assert_string_equal(gw_pairs_get(&o.environment, "AGOLA_GIT_TAG"), "");
	assert_string_equal(gw_pairs_get(&o.environment, "AGOLA_GIT_COMMITSHA"), SHA);
	assert_string_equal(gw_pairs_get(&o.environment, "AGOLA_SSHPRIVKEY"), "");
	assert_null(gw_pairs_get(&o.environment, "AGOLA_RUN_COUNTER")); /* the runservice's */
	assert_string_equal(gw_pairs_get(&o.annotations, "run_type"), "user");
	assert_string_equal(gw_pairs_get(&o.annotations, "userid"), USER);
	assert_string_equal(gw_pairs_get(&o.annotations, "branch"), "feature/x");
	assert_string_equal(gw_pairs_get(&o.annotations, "message"), "agola direct run");
	assert_string_equal(gw_pairs_get(&o.annotations, "run_creation_trigger"), "manual");
	assert_null(gw_pairs_get(&o.annotations, "tag"));
	assert_null(gw_pairs_get(&o.annotations, "pull_request_id"));
	gw_origin_fini(&o);
	gw_ref_fini(&ref);
	json_decref(body);

	origin(&o, &ref, &body, "ref", "refs/pull/1/head", "https://[::1]");
	assert_string_equal(o.group, "/user/" USER "/pr/1");
	assert_string_equal(gw_pairs_get(&o.environment, "AGOLA_GIT_HOST"), "[::1]");
	assert_string_equal(gw_pairs_get(&o.environment, "AGOLA_GIT_PORT"), "22");
	assert_string_equal(gw_pairs_get(&o.annotations, "ref_type"), "pull_request");
	assert_string_equal(gw_pairs_get(&o.annotations, "pull_request_id"), "1");
	gw_origin_fini(&o);
	gw_ref_fini(&ref);
	json_decref(body);
}

static void
subgroups_stay_below_the_owner(void **state)
{
	static const struct {
		const char *subgroup, *group;
	} cases[] = {
		{ NULL, "/user/x" },
		{ "", "/user/x" },
		{ "branch", "/user/x/branch" },
		{ "/branch//", "/user/x/branch" },
		{ "branch/feature%2Fx", "/user/x/branch/feature%2Fx" },
		{ "branch/a%41", "/user/x/branch/aA" },
		{ "branch/100%25", "/user/x/branch/100%25" },
		{ "..", NULL },
		{ "branch/../../y", NULL },
		{ "%2e%2E", NULL },
		{ "branch/.", NULL },
		{ "branch/%zz", NULL },
		{ "branch/%00", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *group = NULL;
		auto_err err = NULL;
		int rc = gw_group_below(&group, "/user/x", cases[i].subgroup, &err);

		if (cases[i].group) {
			assert_int_equal(rc, 0);
			assert_string_equal(group, cases[i].group);
		} else {
			assert_int_equal(rc, ERR_INVALID);
		}
	}
}

static void
skip_words(void **state)
{
	(void)state;
	assert_true(gw_intake_skipped("fix [ci skip]"));
	assert_true(gw_intake_skipped("subject\n\nbody [skip ci] more"));
	assert_false(gw_intake_skipped("fix [CI SKIP]"));
	assert_false(gw_intake_skipped("ci skip"));
}

static void
limits(void **state)
{
	auto_err err = NULL;
	unsigned limit;

	(void)state;
	assert_int_equal(gw_page_limit(&limit, NULL, &err), 0);
	assert_int_equal(limit, 30);
	assert_int_equal(gw_page_limit(&limit, "7", &err), 0);
	assert_int_equal(limit, 7);
	assert_int_equal(gw_page_limit(&limit, "0", &err), 0);
	assert_int_equal(limit, 0);
	assert_int_equal(gw_page_limit(&limit, "31", &err), 0);
	assert_int_equal(limit, 30);
	assert_int_equal(gw_page_limit(&limit, "99999999999999999999999999", &err), 0);
	assert_int_equal(limit, 30);
	assert_int_equal(gw_page_limit(&limit, "-1", &err), ERR_INVALID);
	assert_string_equal(err->slug, "invalidLimit");
	err_clear(&err);
	assert_int_equal(gw_page_limit(&limit, "x", &err), ERR_INVALID);
}

static void
directions(void **state)
{
	auto_err err = NULL;
	bool asc;

	(void)state;
	assert_int_equal(gw_page_direction(&asc, NULL, true, &err), 0);
	assert_true(asc);
	assert_int_equal(gw_page_direction(&asc, NULL, false, &err), 0);
	assert_false(asc);
	assert_int_equal(gw_page_direction(&asc, "asc", false, &err), 0);
	assert_true(asc);
	assert_int_equal(gw_page_direction(&asc, "desc", true, &err), 0);
	assert_false(asc);
	assert_int_equal(gw_page_direction(&asc, "ASC", true, &err), ERR_INVALID);
	assert_string_equal(err->slug, "invalidSortDirection");
}

static void
cursors(void **state)
{
	json_t *fields = json_pack("{s:i, s:b, s:s}", "start", 12, "asc", 1, "subgroup", "a/\"b");
	auto_free char *text = gw_cursor_encode(fields);
	json_t *back = NULL;
	auto_err err = NULL;

	(void)state;
	assert_int_equal(gw_cursor_decode(&back, text, &err), 0);
	assert_true(json_equal(fields, back));
	json_decref(fields);
	json_decref(back);
	/* Safe in a query without escaping. */
	assert_int_equal(strspn(text, "0123456789abcdef"), strlen(text));
	for (const char *const *bad = (const char *const[]){ "", "0", "zz", "00", "5b5d", "31",
	         "7b22", "\xff\xff", NULL };
	     *bad; bad++) {
		back = NULL;
		if (gw_cursor_decode(&back, *bad, &err) != ERR_INVALID)
			fail_msg("%s accepted", *bad);
		assert_null(back);
		err_clear(&err);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refs_are_classified),
		cmocka_unit_test(bad_refs_are_refused),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(expressions_are_checked),
		cmocka_unit_test(runs_carry_their_origin),
		cmocka_unit_test(subgroups_stay_below_the_owner),
		cmocka_unit_test(skip_words),
		cmocka_unit_test(limits),
		cmocka_unit_test(directions),
		cmocka_unit_test(cursors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
