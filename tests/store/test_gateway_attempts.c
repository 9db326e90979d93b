/*
 * Attempts of tasks in the REST API, over the whole gateway with a runservice that the test plays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"
#include "tests/lib/gw_peer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TASK "/users/bob/runs/1/tasks/" GWP_TASK
#define LOGS TASK "/logs"

static void
tasks_tell_their_attempts(void **state)
{
	struct gwp *f = *state;
	auto_json *once = NULL, *task = NULL, *run = NULL;

	gwp_make_bob(f);
	once = gwp_json(f, "GET", TASK, f->token, NULL, 200);
	assert_int_equal(json_int(once, "attempt", 0), 1);
	assert_int_equal(json_int(once, "attempts_max", 0), 1);
	assert_int_equal(json_array_size(json_member(once, "attempts")), 0);
	f->rs.attempts = 3;
	task = gwp_json(f, "GET", TASK, f->token, NULL, 200);
	assert_int_equal(json_int(task, "attempt", 0), 3);
	assert_int_equal(json_int(task, "attempts_max", 0), 3);
	json_t *past = json_member(task, "attempts");
	assert_int_equal(json_array_size(past), 2);
	const json_t *second = json_array_get(past, 1);
	assert_int_equal(json_int(second, "attempt", 0), 2);
	assert_string_equal(json_text(second, "executor"), "build");
	assert_string_equal(json_text(second, "end_time"), "1970-01-01T00:00:02.000Z");
	assert_string_equal(json_text(json_member(second, "setup_step"), "phase"), "success");
	/* Steps of the past are named as those of the present. */
	const json_t *step = json_array_get(json_member(second, "steps"), 0);
	assert_string_equal(json_text(step, "command"), "make");
	assert_int_equal(json_int(step, "exit_status", -1), 0);
	run = gwp_json(f, "GET", "/users/bob/runs/1", f->token, NULL, 200);
	const json_t *summary = json_object_get(json_member(run, "tasks"), GWP_TASK);
	assert_int_equal(json_int(summary, "attempt", 0), 3);
	assert_int_equal(json_int(summary, "attempts_max", 0), 3);
	assert_null(json_object_get(summary, "attempts"));
}

static void
assert_attempt(struct gwp *f, const char *path, const char *want)
{
	struct gwp_answer a = gwp_call(f, "GET", path, f->token, NULL);
	auto_free char *attempt = gwp_header(&a, "X-Millrace-Attempt");

	assert_int_equal(a.status, 200);
	assert_string_equal(attempt, want);
	assert_string_equal(buf_str(&a.body), f->rs.log_text);
	gwp_answer_fini(&a);
}

static void
logs_are_of_one_attempt(void **state)
{
	struct gwp *f = *state;

	gwp_make_bob(f);
	f->rs.attempts = 2;
	f->rs.log_text = "some text";
	f->rs.log_ended = true;
	assert_attempt(f, LOGS "?step=0&attempt=1", "1");
	assert_int_equal(f->rs.log->attempt, 1);
	assert_attempt(f, LOGS "?setup&attempt=2&offset=0", "2");
	/* Without one it is the newest, and stays that when there is a newer one meanwhile. */
	f->rs.log_step = 4;
	assert_attempt(f, LOGS "?step=0&follow", "2");
	assert_int_equal(f->rs.log->offset, 8);
	assert_true(f->rs.log->has_attempt && f->rs.log->attempt == 2);
	for (const char *const *p = (const char *const[]){ "attempt=0", "attempt=", "attempt=x",
	         "attempt=-1", "attempt=1x", "attempt=4294967296", "attempt", NULL };
	     *p; p++) {
		auto_free char *path = xasprintf(LOGS "?step=0&%s", *p);

		gwp_expect(f, "GET", path, f->token, NULL, 400, "[]");
		gwp_expect(f, "DELETE", path, f->token, NULL, 400, "[]");
	}
	gwp_expect(f, "DELETE", LOGS "?step=0&attempt=2", f->token, NULL, 204, "");
	assert_int_equal(f->rs.deleted, 2);
	gwp_expect(f, "DELETE", LOGS "?step=0", f->token, NULL, 204, "");
	assert_int_equal(f->rs.deleted, 0);
}

/* Turns the loop until a read other than this one is held. */
static struct rpc_call *
next_held(struct gwp *f, const struct rpc_call *but)
{
	for (int64_t end = clock_mono_ms() + GWP_WAIT_MS; clock_mono_ms() < end;) {
		if (f->rs.held && f->rs.held != but)
			return f->rs.held;
		loop_run_once(f->loop, 5);
	}
	fail_msg("no read is held");
	return NULL;
}

/* Who follows another attempt reads by itself. */
static void
followers_of_two_attempts(void **state)
{
	struct gwp *f = *state;
	auto_buf a = BUF_INIT, b = BUF_INIT;

	gwp_make_bob(f);
	f->rs.attempts = 2;
	f->rs.log_text = "";
	int one = gwp_open(
	    f, "GET", "/api/v1alpha" LOGS "?step=0&attempt=1&follow", f->token, NULL, NULL);
	struct rpc_call *first = next_held(f, NULL);
	int two = gwp_open(
	    f, "GET", "/api/v1alpha" LOGS "?step=0&attempt=2&follow", f->token, NULL, NULL);
	struct rpc_call *second = next_held(f, first);
	f->rs.held = NULL;
	f->rs.log_ended = true;
	f->rs.log_text = "of the second";
	gwp_answer_log(&f->rs, second);
	f->rs.log_text = "of the first";
	gwp_answer_log(&f->rs, first);
	gwp_read_until(f, one, &a, NULL);
	gwp_read_until(f, two, &b, NULL);
	assert_non_null(strstr(buf_str(&a), "of the first"));
	assert_non_null(strstr(buf_str(&b), "of the second"));
	close(one);
	close(two);
}

int
main(void)
{
#define T(fn_) cmocka_unit_test_setup_teardown(fn_, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(tasks_tell_their_attempts),
		T(logs_are_of_one_attempt),
		T(followers_of_two_attempts),
	};

	return cmocka_run_group_tests_name("gateway_attempts", tests, NULL, NULL);
}
