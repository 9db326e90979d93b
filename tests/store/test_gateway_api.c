/*
 * The whole gateway in this process, against a real PostgreSQL (MILLRACE_TEST_DB) and the real git,
 * with a runservice whose answers the test decides.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/rpc.h"
#include "gateway.pb-c.h"
#include "gateway/gateway.h"
#include "tests/lib/gw_peer.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void
users_and_tokens(void **state)
{
	struct gwp *f = *state;
	auto_free char *want = NULL;

	gwp_make_bob(f);
	want = xasprintf("{\"id\":\"%s\",\"username\":\"bob\"}", f->user_id);
	gwp_expect(f, "GET", "/users/bob", f->token, NULL, 200, want);
	gwp_expect(f, "GET", "/users/bob", GWP_ADMIN, NULL, 200, want);
	free(want);
	want = xasprintf("{\"id\":\"%s\",\"username\":\"bob\",\"tokens\":[\"t\"],"
	                 "\"linked_accounts\":[]}",
	    f->user_id);
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, want);
	gwp_expect(f, "POST", "/users", GWP_ADMIN, "{\"username\":\"bob\"}", 400,
	    GWP_ERR("userAlreadyExists"));
	gwp_expect(f, "POST", "/users", GWP_ADMIN, "{\"username\":\"b b\"}", 400,
	    GWP_ERR("invalidUserName"));
	gwp_expect(f, "POST", "/users", GWP_ADMIN, "{\"UserName\":\"carol\"} trailing", 201, NULL);
	gwp_expect(f, "GET", "/users/nobody", GWP_ADMIN, NULL, 404, GWP_ERR("userDoesNotExist"));
	gwp_expect(f, "POST", "/users/bob/tokens", f->token, "{\"token_name\":\"t\"}", 400,
	    GWP_ERR("userTokenAlreadyExists"));
	gwp_expect(f, "POST", "/users/bob/tokens", f->token, "{\"token_name\":\"\"}", 400, "[]");
	gwp_expect(f, "DELETE", "/users/bob/tokens/no", f->token, NULL, 404,
	    GWP_ERR("userTokenDoesNotExist"));
	gwp_expect(f, "DELETE", "/users/bob/tokens/%ff", f->token, NULL, 404,
	    GWP_ERR("userTokenDoesNotExist"));
	gwp_expect(f, "DELETE", "/users/bob/tokens/t", f->token, NULL, 204, "");
	gwp_expect(f, "GET", "/user", f->token, NULL, 401, "[]");
	gwp_expect(f, "DELETE", "/users/bob", GWP_ADMIN, NULL, 204, "");
	gwp_expect(f, "GET", "/users/bob", GWP_ADMIN, NULL, 404, GWP_ERR("userDoesNotExist"));
}

static void
who_may_what(void **state)
{
	struct gwp *f = *state;
	static const struct {
		const char *method, *path, *body;
		int none, wrong, admin, self, other;
	} cases[] = {
		{ "GET", "/user", NULL, 401, 401, 403, 200, 200 },
		{ "GET", "/users/bob", NULL, 401, 401, 200, 200, 200 },
		{ "GET", "/users", NULL, 401, 401, 200, 401, 401 },
		{ "POST", "/users", "{", 401, 401, 400, 403, 403 },
		{ "DELETE", "/users/nobody", NULL, 401, 401, 404, 403, 403 },
		{ "POST", "/users/bob/tokens", "{}", 401, 401, 400, 400, 400 },
		{ "DELETE", "/users/bob/tokens/x", NULL, 401, 401, 404, 404, 400 },
		{ "POST", "/user/createrun", "{}", 401, 401, 403, 400, 400 },
		{ "GET", "/users/bob/runs", NULL, 401, 401, 200, 200, 403 },
		{ "GET", "/users/bob/runs/1", NULL, 403, 401, 200, 200, 403 },
		{ "PUT", "/users/bob/runs/1/actions", "{\"action_type\":\"stop\"}", 401, 401, 200,
		    200, 403 },
		{ "GET", "/users/bob/runs/1/tasks/" GWP_TASK, NULL, 403, 401, 200, 200, 403 },
		{ "PUT", "/users/bob/runs/1/tasks/" GWP_TASK "/actions",
		    "{\"action_type\":\"approve\"}", 401, 401, 403, 200, 403 },
		{ "GET", "/users/bob/runs/1/tasks/" GWP_TASK "/logs?step=0", NULL, 403, 401, 200,
		    200, 403 },
		{ "DELETE", "/users/bob/runs/1/tasks/" GWP_TASK "/logs?step=0", NULL, 401, 401, 204,
		    204, 403 },
		{ "GET", "/version", NULL, 200, 200, 200, 200, 200 },
	};
	auto_json *token = NULL;
	const char *other;

	gwp_make_bob(f);
	f->rs.log_ended = true;
	json_decref(gwp_json(f, "POST", "/users", GWP_ADMIN, "{\"username\":\"eve\"}", 201));
	token = gwp_json(f, "POST", "/users/eve/tokens", GWP_ADMIN, "{\"token_name\":\"t\"}", 201);
	other = json_text(token, "token");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *m = cases[i].method, *p = cases[i].path, *b = cases[i].body;

		gwp_expect(f, m, p, NULL, b, cases[i].none, NULL);
		gwp_expect(f, m, p, "", b, cases[i].none, NULL); /* an empty token is none */
		gwp_expect(
		    f, m, p, "0123456789012345678901234567890123456789", b, cases[i].wrong, NULL);
		gwp_expect(f, m, p, GWP_ADMIN, b, cases[i].admin, NULL);
		gwp_expect(f, m, p, f->token, b, cases[i].self, NULL);
		gwp_expect(f, m, p, other, b, cases[i].other, NULL);
	}
}

static void
unknown_paths(void **state)
{
	struct gwp *f = *state;
	struct gwp_answer a = gwp_call(f, "GET", "/nothing", GWP_ADMIN, NULL);

	assert_int_equal(a.status, 404);
	assert_string_equal(buf_str(&a.body), "");
	assert_non_null(strcasestr(buf_str(&a.head), "Content-Type: text/plain"));
	gwp_answer_fini(&a);
	gwp_expect(f, "PUT", "/user", GWP_ADMIN, "{}", 404, "");
	gwp_expect(f, "GET", "/projects", GWP_ADMIN, NULL, 404, "");
	gwp_expect(f, "GET", "!/healthz", NULL, NULL, 200, "ok\n");
	gwp_expect(f, "GET", "!/metrics", NULL, NULL, 200, NULL);
}

static void
bad_bodies(void **state)
{
	struct gwp *f = *state;
	auto_free char *large = xmalloc((1 << 20) + 2);

	for (const char *const *p = (const char *const[]){ "", "{", "[]", "3", "null", "\xff",
	         "{\"username\":3}", "{\"username\":null}", "{\"username\":\"a\\u0000b\"}", NULL };
	     *p; p++)
		gwp_expect(f, "POST", "/users", GWP_ADMIN, *p, 400, NULL);
	memset(large, ' ', (1 << 20) + 1);
	large[(1 << 20) + 1] = '\0';
	gwp_expect(f, "POST", "/users", GWP_ADMIN, large, 417, NULL);
	memcpy(large, "{\"username\":\"bob\"}", 18);
	large[1 << 20] = '\0'; /* exactly the limit */
	gwp_expect(f, "POST", "/users", GWP_ADMIN, large, 201, NULL);
}

/* Walks all pages; returns their number, checks the count of items. */
static unsigned
walk(struct gwp *f, const char *path, const char *token, size_t items)
{
	auto_free char *cursor = xstrdup("");
	unsigned pages = 0;
	size_t seen = 0;

	do {
		auto_free char *full = *cursor ? xasprintf("%s?cursor=%s&limit=4", path, cursor)
		                               : xasprintf("%s%climit=4&sortdirection=asc", path,
		                                     strchr(path, '?') ? '&' : '?');
		struct gwp_answer a = gwp_call(f, "GET", full, token, NULL);
		auto_json *j = NULL;

		assert_int_equal(a.status, 200);
		assert_int_equal(json_parse(&j, buf_str(&a.body), a.body.len, NULL), 0);
		free(cursor);
		cursor = gwp_header(&a, "X-Agola-Cursor");
		assert_non_null(cursor);
		seen += json_array_size(j);
		pages++;
		gwp_answer_fini(&a);
	} while (*cursor);
	assert_int_equal(seen, items);
	return pages;
}

static void
user_pages(void **state)
{
	struct gwp *f = *state;

	for (int i = 0; i < 8; i++) {
		auto_free char *body = xasprintf("{\"username\":\"user%d\"}", i);

		gwp_expect(f, "POST", "/users", GWP_ADMIN, body, 201, NULL);
	}
	assert_int_equal(walk(f, "/users", GWP_ADMIN, 8), 2);
	gwp_expect(f, "GET", "/users?limit=-1", GWP_ADMIN, NULL, 400, GWP_ERR("invalidLimit"));
	gwp_expect(f, "GET", "/users?sortdirection=up", GWP_ADMIN, NULL, 400,
	    GWP_ERR("invalidSortDirection"));
	gwp_expect(f, "GET", "/users?cursor=zz", GWP_ADMIN, NULL, 400, "[]");
	gwp_expect(f, "GET", "/users?cursor=7b7d&sortdirection=asc", GWP_ADMIN, NULL, 400, "[]");
	gwp_expect(f, "GET", "/users?query_type=x", GWP_ADMIN, NULL, 400, "[]");
}

static void
run_pages(void **state)
{
	struct gwp *f = *state;
	struct gwp_answer a;
	auto_free char *cursor = NULL;
	auto_free char *path = NULL;
	auto_free char *group = NULL;

	gwp_make_bob(f);
	f->rs.nruns = 9;
	assert_int_equal(walk(f, "/users/bob/runs", f->token, 9), 3);
	a = gwp_call(f, "GET",
	    "/users/bob/runs?limit=2&phase=running&phase=queued&result=unknown&"
	    "subgroup=branch/a%252Fb",
	    f->token, NULL);
	group = xasprintf("/user/%s/branch/a%%2Fb", f->user_id);
	assert_string_equal(f->rs.list->group, group);
	assert_false(f->rs.list->ascending);
	cursor = gwp_header(&a, "X-Agola-Cursor");
	gwp_answer_fini(&a);
	/* The cursor keeps filters and direction. */
	path = xasprintf("/users/bob/runs?limit=3&cursor=%s", cursor);
	gwp_expect(f, "GET", path, f->token, NULL, 200, NULL);
	assert_string_equal(f->rs.list->group, group);
	assert_int_equal(f->rs.list->n_phases, 2);
	assert_string_equal(f->rs.list->results[0], "unknown");
	assert_int_equal(f->rs.list->start, 8);
	assert_int_equal(f->rs.list->limit, 3);
	for (const char *const *p = (const char *const[]){ "start=1", "subgroup=x", "phase=x",
	         "result=x", "sortdirection=asc", NULL };
	     *p; p++) {
		auto_free char *both = xasprintf("%s&%s", path, *p);

		gwp_expect(f, "GET", both, f->token, NULL, 400, "[]");
	}
	gwp_expect(
	    f, "GET", "/users/bob/runs?start=x", f->token, NULL, 400, GWP_ERR("invalidRunNumber"));
	gwp_expect(f, "GET", "/users/bob/runs?subgroup=..", f->token, NULL, 400,
	    GWP_ERR("invalidRunGroup"));
	/* No limit: everything, no cursor. */
	f->rs.nruns = 250;
	a = gwp_call(f, "GET", "/users/bob/runs?limit=0", f->token, NULL);
	free(cursor);
	cursor = gwp_header(&a, "X-Agola-Cursor");
	assert_string_equal(cursor, "");
	assert_non_null(strstr(buf_str(&a.body), "\"number\":1,"));
	gwp_answer_fini(&a);
}

static void
runs_and_tasks(void **state)
{
	struct gwp *f = *state;
	auto_json *task = NULL;
	const json_t *step;

	gwp_make_bob(f);
	gwp_expect(f, "GET", "/users/bob/runs/x", f->token, NULL, 400, GWP_ERR("invalidRunNumber"));
	gwp_expect(
	    f, "PUT", "/users/bob/runs/1/actions", f->token, "{\"action_type\":\"x\"}", 400, "[]");
	gwp_expect(f, "PUT", "/users/bob/runs/1/actions", f->token,
	    "{\"action_type\":\"restart\",\"from_start\":false}", 200, NULL);
	assert_string_equal(f->rs.action, "restart_failed");
	gwp_expect(f, "PUT", "/users/bob/runs/1/actions", f->token,
	    "{\"action_type\":\"restart\",\"from_start\":true}", 200, NULL);
	assert_string_equal(f->rs.action, "restart");
	task = gwp_json(f, "GET", "/users/bob/runs/1/tasks/" GWP_TASK, f->token, NULL, 200);
	step = json_array_get(json_object_get(task, "steps"), 0);
	assert_string_equal(json_text(step, "type"), "run");
	assert_string_equal(json_text(step, "command"), "make");
	assert_string_equal(json_text(step, "shell"), "/bin/sh");
	assert_int_equal(json_int(step, "exit_status", -1), 0);
	gwp_expect(f, "GET", "/users/bob/runs/1/tasks/" GWP_TASK "0", f->token, NULL, 404, "[]");
	gwp_expect(f, "GET", "/users/bob/runs/1/tasks/22222222-3333-4444-8555-000000000000",
	    f->token, NULL, 404, "[]");
	gwp_expect(f, "PUT", "/users/bob/runs/1/tasks/" GWP_TASK "/actions", f->token,
	    "{\"action_type\":\"approve\"}", 200, "");
	assert_string_equal(f->rs.user, f->user_id);
	f->rs.code = ERR_NOTFOUND;
	f->rs.slug = "runDoesNotExist";
	gwp_expect(f, "GET", "/users/bob/runs/1", f->token, NULL, 404, GWP_ERR("runDoesNotExist"));
	f->rs.slug = "runTaskDoesNotExist";
	gwp_expect(f, "GET", "/users/bob/runs/1/tasks/" GWP_TASK, f->token, NULL, 404, "[]");
	f->rs.code = ERR_CONFLICT;
	f->rs.slug = "runTaskAlreadyApproved";
	gwp_expect(f, "PUT", "/users/bob/runs/1/tasks/" GWP_TASK "/actions", f->token,
	    "{\"action_type\":\"approve\"}", 400, GWP_ERR("runTaskAlreadyApproved"));
	f->rs.slug = "runCannotBeRestarted";
	gwp_expect(f, "PUT", "/users/bob/runs/1/actions", f->token, "{\"action_type\":\"restart\"}",
	    400, GWP_ERR("runCannotBeRestarted"));
	f->rs.code = ERR_INTERNAL;
	f->rs.slug = NULL;
	gwp_expect(f, "GET", "/users/bob/runs/1", f->token, NULL, 500, "[]");
}

/* --- logs --- */

#define LOGS "/users/bob/runs/1/tasks/" GWP_TASK "/logs"

/* --- the runservice or the database away --- */

static void
runservice_away(void **state)
{
	struct gwp *f = *state;
	struct gwp_answer a;
	auto_free char *after = NULL;

	gwp_make_bob(f);
	rpc_server_free(f->rs.server);
	f->rs.server = NULL;
	a = gwp_call(f, "GET", "/users/bob/runs/1", f->token, NULL);
	assert_int_equal(a.status, 503);
	assert_string_equal(buf_str(&a.body), "[]");
	after = gwp_header(&a, "Retry-After");
	assert_non_null(after);
	gwp_answer_fini(&a);
	gwp_expect(f, "GET", LOGS "?step=0", f->token, NULL, 503, "[]");
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, NULL);
	gwp_fake_start(f);
	gwp_expect(f, "GET", "/users/bob/runs/1", f->token, NULL, 200, NULL);
	gwp_expect(f, "GET", "!/readyz", NULL, NULL, 200, NULL);
}

/* tests/lib/pg.sh with another word than restart. */
static void
database(const char *word)
{
	const char *restart = getenv("MILLRACE_TEST_PG"); /* NOLINT(concurrency-mt-unsafe) */
	const char *mid = restart ? strstr(restart, " restart ") : NULL;
	auto_free char *cmd = NULL;

	if (!mid)
		fail_msg("MILLRACE_TEST_PG is not set; use tests/lib/pg.sh run");
	cmd = xasprintf("%.*s %s %s", (int)(mid - restart), restart, word, mid + 9);
	assert_int_equal(system(cmd), 0); /* NOLINT(cert-env33-c): a test */
}

static void
database_away(void **state)
{
	struct gwp *f = *state;

	gwp_make_bob(f);
	database("down");
	gwp_expect(f, "GET", "/user", f->token, NULL, 503, "[]");
	gwp_expect(f, "POST", "/users", GWP_ADMIN, "{\"username\":\"x\"}", 503, "[]");
	gwp_expect(f, "GET", "!/readyz", NULL, NULL, 503, NULL);
	gwp_expect(f, "GET", "!/healthz", NULL, NULL, 200, "ok\n");
	gwp_expect(f, "GET", "/version", NULL, NULL, 200, NULL);
	database("up");
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, NULL);
	/* Broken connections are not the caller's trouble. */
	database("restart");
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, NULL);
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, NULL);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(users_and_tokens),
		T(who_may_what),
		T(unknown_paths),
		T(bad_bodies),
		T(user_pages),
		T(run_pages),
		T(runs_and_tasks),
		T(runservice_away),
		T(database_away),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
