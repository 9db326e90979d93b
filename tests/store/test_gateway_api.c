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
#include "evaluate/evaluate.h"
#include "gateway.pb-c.h"
#include "gateway/gateway.h"
#include "tests/lib/gw_peer.h"
#include "tests/lib/gw_repo.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUIET_MS 200 /* so long without a call: it waits for the reader */

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

static void
stored_logs(void **state)
{
	struct gwp *f = *state;
	struct gwp_answer a;

	gwp_make_bob(f);
	f->rs.log_text = "one\r\n\x1b[31mtwo\x1b[0m\n";
	f->rs.log_ended = true;
	f->rs.log_step = 5;
	a = gwp_call(f, "GET", LOGS "?step=0", f->token, NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(buf_str(&a.body), f->rs.log_text);
	assert_non_null(strcasestr(buf_str(&a.head), "Content-Type: text/plain;charset=UTF-8"));
	assert_non_null(strcasestr(buf_str(&a.head), "Cache-Control: no-cache"));
	gwp_answer_fini(&a);
	gwp_expect(f, "GET", LOGS "?setup&offset=5", f->token, NULL, 200, f->rs.log_text + 5);
	assert_int_equal(f->rs.log->step, -1);
	f->rs.log_ended = false; /* so far, then the end */
	gwp_expect(f, "GET", LOGS "?step=2", f->token, NULL, 200, f->rs.log_text);
	for (const char *const *p = (const char *const[]){ LOGS, LOGS "?setup&step=1",
	         LOGS "?step=0&offset=x", LOGS "?step=0&offset=-1", NULL };
	     *p; p++)
		gwp_expect(f, "GET", *p, f->token, NULL, 400, "[]");
	for (const char *const *p = (const char *const[]){ LOGS "?step=x", LOGS "?step=-1",
	         LOGS "?step=", LOGS "?step=99999999999", NULL };
	     *p; p++)
		gwp_expect(f, "GET", *p, f->token, NULL, 400, GWP_ERR("invalidRunTaskStepNumber"));
	gwp_expect(f, "DELETE", LOGS "?step=1", f->token, NULL, 204, "");
	f->rs.code = ERR_NOTFOUND;
	f->rs.slug = "runTaskStepDoesNotExist";
	gwp_expect(f, "GET", LOGS "?step=9", f->token, NULL, 404, "[]");
	gwp_expect(f, "DELETE", LOGS "?step=9", f->token, NULL, 404, "[]");
	f->rs.slug = "runDoesNotExist";
	gwp_expect(f, "GET", LOGS "?setup", f->token, NULL, 404, GWP_ERR("runDoesNotExist"));
	f->rs.code = ERR_INVALID;
	f->rs.slug = NULL;
	gwp_expect(f, "DELETE", LOGS "?step=1", f->token, NULL, 400, "[]");
}

static void
wait_held(struct gwp *f)
{
	int64_t deadline = clock_mono_ms() + GWP_WAIT_MS;

	while (!f->rs.held && clock_mono_ms() < deadline)
		loop_run_once(f->loop, 5);
	assert_non_null(f->rs.held);
}

/* More of the log, or its end, becomes known. */
static void
grow_log(struct gwp *f, const char *text, bool ended)
{
	struct rpc_call *held = f->rs.held;

	f->rs.log_text = text;
	f->rs.log_ended = ended;
	f->rs.held = NULL;
	gwp_answer_log(&f->rs, held);
}

static void
followed_logs(void **state)
{
	struct gwp *f = *state;
	auto_buf raw = BUF_INIT;
	struct gwp_answer a;
	unsigned calls;
	bool whole;
	int fd;

	gwp_make_bob(f);
	f->rs.log_text = "";
	fd = gwp_open(f, "GET", "/api/v1alpha" LOGS "?step=0&follow", f->token, NULL, NULL);
	/* The header is there before any byte of the log. */
	assert_true(gwp_read_until(f, fd, &raw, "\r\n\r\n"));
	wait_held(f);
	calls = f->rs.calls;
	grow_log(f, "first\n", false);
	assert_true(gwp_read_until(f, fd, &raw, "first\n"));
	wait_held(f);
	/* One held call per piece: nobody asks again and again. */
	assert_int_equal(f->rs.calls, calls + 1);
	assert_int_equal(f->rs.log->offset, 6);
	grow_log(f, "first\nlast\n", true);
	assert_true(gwp_read_until(f, fd, &raw, NULL));
	close(fd);
	a = gwp_parse(&raw, &whole);
	assert_true(whole);
	assert_string_equal(buf_str(&a.body), "first\nlast\n");
	gwp_answer_fini(&a);
}

static void
a_failed_log_is_broken_off(void **state)
{
	struct gwp *f = *state;
	auto_buf raw = BUF_INIT;
	struct gwp_answer a;
	struct err *err = NULL;
	bool whole;
	int fd;

	gwp_make_bob(f);
	f->rs.log_text = "some";
	fd = gwp_open(f, "GET", "/api/v1alpha" LOGS "?step=0&follow", f->token, NULL, NULL);
	assert_true(gwp_read_until(f, fd, &raw, "some"));
	wait_held(f);
	err_set(&err, ERR_INTERNAL, "object damaged");
	rpc_fail(f->rs.held, &err);
	f->rs.held = NULL;
	gwp_read_until(f, fd, &raw, NULL);
	close(fd);
	a = gwp_parse(&raw, &whole);
	assert_int_equal(a.status, 200);
	assert_false(whole);
	gwp_answer_fini(&a);
}

static void
turn_until_no_requests(struct gwp *f)
{
	struct gateway *gw = f->gw;
	int64_t deadline = clock_mono_ms() + GWP_WAIT_MS;

	while (gw->requests && clock_mono_ms() < deadline)
		loop_run_once(f->loop, 5);
	assert_null(gw->requests);
}

static void
a_follower_that_leaves_is_forgotten(void **state)
{
	struct gwp *f = *state;
	struct gateway *gw = f->gw;
	auto_buf raw = BUF_INIT;
	int fd;

	gwp_make_bob(f);
	fd = gwp_open(f, "GET", "/api/v1alpha" LOGS "?step=0&follow", f->token, NULL, NULL);
	assert_true(gwp_read_until(f, fd, &raw, "\r\n\r\n"));
	wait_held(f);
	assert_int_equal(gw->followers, 1);
	close(fd);
	turn_until_no_requests(f);
	assert_int_equal(gw->followers, 0);
	/* The held call's late answer hurts nobody. */
	grow_log(f, "late", true);
	gwp_expect(f, "GET", "/version", NULL, NULL, 200, NULL);
}

/* A reader that reads nothing holds at most about a megabyte of ours; then all arrives. */
static void
a_slow_reader_stops_the_reads(void **state)
{
	struct gwp *f = *state;
	size_t size = 32 << 20;
	auto_free char *text = xmalloc(size + 1);
	auto_buf raw = BUF_INIT;
	struct gwp_answer a;
	int64_t deadline = clock_mono_ms() + GWP_WAIT_MS, last_call_ms = 0;
	unsigned calls;
	bool whole;
	int fd;

	gwp_make_bob(f);
	memset(text, 'x', size);
	text[size] = '\0';
	f->rs.log_text = text;
	f->rs.log_ended = true;
	fd = gwp_open(f, "GET", "/api/v1alpha" LOGS "?step=0", f->token, NULL, NULL);
	/* Until a first call, and then none for QUIET_MS. */
	calls = f->rs.calls;
	while (clock_mono_ms() < (last_call_ms ? last_call_ms + QUIET_MS : deadline)) {
		loop_run_once(f->loop, 5);
		if (f->rs.calls != calls)
			last_call_ms = clock_mono_ms();
		calls = f->rs.calls;
	}
	/* Kernel buffers of both ends, ours, and one call on its way; far from the whole. */
	assert_in_range(f->rs.log->offset, 1, size / 2);
	gwp_read_until(f, fd, &raw, NULL);
	close(fd);
	a = gwp_parse(&raw, &whole);
	assert_true(whole);
	assert_int_equal(a.body.len, size);
	gwp_answer_fini(&a);
	f->rs.log_text = "";
}

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

/* --- direct runs --- */

static void
direct_run(void **state)
{
	struct gwp *f = *state;
	auto_free char *body = NULL;
	auto_json *j = NULL;
	const Millrace__RunSpec *spec;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	body = gwp_createrun_body(f, "branch", "master", "agola direct run");
	j = gwp_json(f, "POST", "/user/createrun", f->token, body, 201);
	assert_int_equal(json_array_size(json_object_get(j, "runs")), 1);
	assert_int_equal(json_int(json_array_get(json_object_get(j, "runs"), 0), "number", 0), 1);
	assert_string_equal(
	    json_text(json_array_get(json_object_get(j, "runs"), 0), "name"), "one");
	assert_int_equal(json_array_size(json_object_get(j, "warnings")), 1); /* two */
	assert_int_equal(f->rs.create->n_runs, 1);
	spec = f->rs.create->runs[0];
	assert_int_equal(spec->n_setup_errors, 0);
	assert_int_equal(spec->tasks[0]->n_steps, 2);
	assert_int_equal(f->rs.create->n_variables, 1);
	assert_string_equal(f->rs.create->variables[0]->value, "c2VjcmV0");
	/* The tree can be cloned and fetched again by hash, as the clone step does. */
	gwp_must(f,
	    "git clone -q $URL/" GWP_REPO ".git c && cd c && git fetch -q origin refs/heads/master "
	    "&& git checkout -q $(cat ../sha) && cmp x ../w/x");
	gwp_must(f,
	    "git -c protocol.version=0 clone -q --depth 1 $URL/" GWP_REPO ".git d && cmp d/x w/x");
}

static void
direct_run_kinds(void **state)
{
	struct gwp *f = *state;
	static const struct {
		const char *field, *value, *ref, *group;
		int nruns;
	} cases[] = {
		{ "tag", "v1", "refs/tags/v1", "tag/v1", 2 },
		{ "ref", "refs/pull/1/head", "refs/pull/1/head", "pr/1", 1 },
		{ "branch", "feature/x", "refs/heads/feature/x", "branch/feature%2Fx", 1 },
	};

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yaml", GWP_DEFINITION);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *push =
		    xasprintf("cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:%s", cases[i].ref);
		auto_free char *body =
		    gwp_createrun_body(f, cases[i].field, cases[i].value, "message");
		auto_free char *group = xasprintf("/user/%s/%s", f->user_id, cases[i].group);

		gwp_must(f, push);
		gwp_expect(f, "POST", "/user/createrun", f->token, body, 201, NULL);
		assert_int_equal(f->rs.create->n_runs, cases[i].nruns);
		assert_string_equal(f->rs.create->runs[0]->group, group);
	}
}

static void
broken_definitions(void **state)
{
	struct gwp *f = *state;
	static const struct {
		const char *file, *text, *error;
	} cases[] = {
		{ ".agola/config.yml", "runs:\\n- nam: x\\n", ".agola/config.yml:2:" },
		{ ".agola/config.jsonnet", "{}", ".agola/config.jsonnet (output):1:1: " },
		{ ".agola/config.jsonnet", "{\\n  runs: error \"no\" }",
		    ".agola/config.jsonnet:2:9: Jsonnet: no" },
		{ ".agola/config.jsonnet", "import \"/etc/passwd\"",
		    ".agola/config.jsonnet:1:1: Jsonnet: couldn" },
		{ ".agola/config.star", "def main(ctx): pass", "Starlark is not supported" },
		{ ".agola/other.yml", "runs: []", "config.yml" },
	};

	gwp_make_bob(f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *body = NULL;

		gwp_commit_definition(f, cases[i].file, cases[i].text);
		gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
		body = gwp_createrun_body(f, "branch", "master", "m");
		gwp_expect(f, "POST", "/user/createrun", f->token, body, 201, NULL);
		assert_int_equal(f->rs.create->n_runs, 1);
		assert_string_equal(f->rs.create->runs[0]->name, "Setup Error");
		assert_true(f->rs.create->runs[0]->n_setup_errors >= 1);
		assert_non_null(strstr(f->rs.create->runs[0]->setup_errors[0], cases[i].error));
	}
}

static void
refused_by_the_runservice(void **state)
{
	struct gwp *f = *state;
	auto_free char *body = NULL;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	body = gwp_createrun_body(f, "branch", "master", "m");
	f->rs.code = ERR_INVALID;
	gwp_expect(f, "POST", "/user/createrun", f->token, body, 400, "[]");
	/* The second try was a visible run with the reason. */
	assert_int_equal(f->rs.calls, 2);
	assert_string_equal(f->rs.create->runs[0]->name, "Setup Error");
	assert_non_null(strstr(f->rs.create->runs[0]->setup_errors[0], "as the test wants"));
}

static void
bad_createruns(void **state)
{
	struct gwp *f = *state;
	auto_json *j = NULL;
	auto_free char *body = NULL;
	auto_free char *other = NULL;
	auto_free char *missing = NULL;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	body = gwp_createrun_body(f, "branch", "master", "m");
	/* Nothing was pushed. */
	gwp_expect(f, "POST", "/user/createrun", f->token, body, 400, "[]");
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	assert_int_equal(json_parse(&j, body, strlen(body), NULL), 0);
	json_object_set_new(
	    j, "commit_sha", json_string("0123456789012345678901234567890123456789"));
	missing = json_print(j);
	gwp_expect(f, "POST", "/user/createrun", f->token, missing, 400, "[]");
	json_object_set_new(
	    j, "repo_path", json_string("11111111-2222-4333-8444-555555555555/" GWP_REPO));
	other = json_print(j);
	gwp_expect(f, "POST", "/user/createrun", f->token, other, 401, "[]");
	assert_int_equal(f->rs.calls, 0);
}

static void
git_doors(void **state)
{
	struct gwp *f = *state;
	auto_free char *base = NULL;
	auto_free char *path = NULL;

	gwp_make_bob(f);
	base = xasprintf("!/repos/%s/" GWP_REPO ".git", f->user_id);
	path = xasprintf("%s/info/refs?service=git-shell", base);
	gwp_expect(f, "GET", path, NULL, NULL, 400, NULL);
	for (const char *const *p =
	         (const char *const[]){ "!/repos/bob/" GWP_REPO
	                                ".git/info/refs?service=git-receive-pack",
	             "!/repos/" GWP_REPO "/" GWP_REPO ".git/info/refs?service=git-receive-pack",
	             "!/repos/%2e%2e/" GWP_REPO ".git/info/refs?service=git-receive-pack", NULL };
	     *p; p++)
		gwp_expect(f, "GET", *p, NULL, NULL, 404, NULL);
	for (const char *const *p =
	         (const char *const[]){ "x.git", "..%2fx.git", GWP_REPO, "%2e%2e.git", NULL };
	     *p; p++) {
		auto_free char *bad =
		    xasprintf("!/repos/%s/%s/info/refs?service=git-receive-pack", f->user_id, *p);
		struct gwp_answer a = gwp_call(f, "GET", bad, NULL, NULL);

		assert_in_range(a.status, 400, 404);
		gwp_answer_fini(&a);
	}
	free(path);
	path = xasprintf("%s/git-upload-pack", base);
	gwp_expect(f, "POST", path, NULL, "0000", 404, NULL); /* does not exist yet */
	free(path);
	path = xasprintf("%s/info/refs", base);
	gwp_expect(f, "GET", path, NULL, NULL, 400, NULL);
	free(path);
	/* Nothing of all that made a directory outside data/repos/<user>. */
	assert_int_equal(gwp_script(f, "test ! -e data/repos || test -z \"$(ls data/repos)\""), 0);
	path = xasprintf("%s/info/refs?service=git-receive-pack", base);
	gwp_expect(f, "GET", path, NULL, NULL, 200, NULL);
	free(path);
	path = xasprintf("%s/raw/master/nothing", base);
	gwp_expect(f, "GET", path, NULL, NULL, 404, NULL);
	free(path);
	path = xasprintf("%s/git-receive-pack", base);
	gwp_expect(f, "POST", path, NULL, "00zzgarbage", 500, NULL);
}

static void
raw_files(void **state)
{
	struct gwp *f = *state;
	auto_free char *path = NULL;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", "runs: []");
	gwp_must(f, "cd w && git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	path = xasprintf("!/repos/%s/" GWP_REPO ".git/raw/master/.agola/config.yml", f->user_id);
	gwp_expect(f, "GET", path, NULL, NULL, 200, "runs: []");
	free(path);
	path = xasprintf("!/repos/%s/" GWP_REPO ".git/raw/--help/x", f->user_id);
	gwp_expect(f, "GET", path, NULL, NULL, 404, NULL);
}

/* Broken objects are refused, and forced pushes, many files and compressed requests work. */
static void
pushes(void **state)
{
	struct gwp *f = *state;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", "runs: []");
	gwp_must(f, "cd w && git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	/* A large push goes in chunks, a fetch with many "have" lines is compressed. */
	gwp_must(f,
	    "cd w && head -c 3000000 /dev/urandom >big && git add big && git commit -qm big && "
	    "git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	gwp_must(f, "git clone -q $URL/" GWP_REPO ".git c && cmp w/big c/big && cd c && "
	            "for i in 1 2 3 4 5 6; do for j in 1 2 3 4 5 6 7 8 9 0; do git commit -q "
	            "--allow-empty -m $i$j || exit 1; done; done; "
	            "cd ../w && echo y >y && git add y && git commit -qm y && "
	            "git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master && cd ../c && "
	            "git fetch -q && git -c protocol.version=0 fetch -q && "
	            "git cat-file -e origin/master:y");
	gwp_must(f, "cd w && git commit -q --amend -m other && "
	            "git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	/* A tree with an entry named .git. */
	gwp_must(f, "cd w && b=$(git hash-object -w x) && "
	            "t=$(printf '100644 blob %s\\t.git\\n' $b | git mktree) && "
	            "c=$(git commit-tree -m evil $t) && "
	            "! git push -q -f $URL/" GWP_REPO ".git $c:refs/heads/evil");
}

int
main(int argc, char **argv)
{
	if (eval_is_child(argc, argv))
		return eval_child();
#define T(f) cmocka_unit_test_setup_teardown(f, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(users_and_tokens),
		T(who_may_what),
		T(unknown_paths),
		T(bad_bodies),
		T(user_pages),
		T(run_pages),
		T(runs_and_tasks),
		T(stored_logs),
		T(followed_logs),
		T(a_failed_log_is_broken_off),
		T(a_follower_that_leaves_is_forgotten),
		T(a_slow_reader_stops_the_reads),
		T(runservice_away),
		T(database_away),
		T(direct_run),
		T(direct_run_kinds),
		T(broken_definitions),
		T(refused_by_the_runservice),
		T(bad_createruns),
		T(git_doors),
		T(raw_files),
		T(pushes),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
