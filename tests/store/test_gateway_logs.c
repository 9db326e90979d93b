/*
 * Logs through the REST API: stored, followed, by one and by many.
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
#include "gateway/rs_client.h"
#include "tests/lib/gw_peer.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define LOGS "/users/bob/runs/1/tasks/" GWP_TASK "/logs"
#define QUIET_MS 200 /* so long without a call: it waits for the reader */

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

/* Until no follower has a call of its own under way but the held one. */
static void
turn_until_calls_end(struct gwp *f)
{
	struct gateway *gw = f->gw;

	while (gw_rs_pending(gw->rs) > 1)
		loop_run_once(f->loop, 5);
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

/* Twenty followers of one log that have its end wait with one read, and get the same bytes. */
static void
many_followers_one_read(void **state)
{
	struct gwp *f = *state;
	struct gateway *gw = f->gw;
	struct buf raw[20] = { BUF_INIT };
	unsigned calls;
	int fds[ARRAY_LEN(raw)];

	gwp_make_bob(f);
	f->rs.log_text = "";
	for (size_t i = 0; i < ARRAY_LEN(raw); i++) {
		fds[i] =
		    gwp_open(f, "GET", "/api/v1alpha" LOGS "?step=0&follow", f->token, NULL, NULL);
		assert_true(gwp_read_until(f, fds[i], &raw[i], "\r\n\r\n"));
	}
	wait_held(f);
	turn_until_calls_end(f);
	calls = f->rs.calls;
	/* Another log, and another offset of this one, are reads of their own. */
	{
		auto_buf other = BUF_INIT;
		int fd =
		    gwp_open(f, "GET", "/api/v1alpha" LOGS "?step=1&follow", f->token, NULL, NULL);
		struct rpc_call *held = f->rs.held;
		Millrace__LogReadRequest *log = f->rs.log;

		f->rs.held = NULL;
		f->rs.log = NULL;
		assert_true(gwp_read_until(f, fd, &other, "\r\n\r\n"));
		wait_held(f);
		assert_int_equal(f->rs.log->step, 1);
		assert_int_equal(f->rs.calls, calls + 2); /* the first one waits for nothing */
		close(fd);
		while (gw->followers > ARRAY_LEN(raw))
			loop_run_once(f->loop, 5);
		millrace__log_read_request__free_unpacked(f->rs.log, NULL);
		f->rs.held = held;
		f->rs.log = log;
	}
	calls = f->rs.calls;
	/* One that leaves takes nothing from the others. */
	close(fds[0]);
	while (gw->followers > ARRAY_LEN(raw) - 1)
		loop_run_once(f->loop, 5);
	grow_log(f, "first\n", false);
	for (size_t i = 1; i < ARRAY_LEN(raw); i++)
		assert_true(gwp_read_until(f, fds[i], &raw[i], "first\n"));
	wait_held(f);
	turn_until_calls_end(f);
	assert_int_equal(f->rs.calls, calls + 1);
	grow_log(f, "first\nlast\n", true);
	for (size_t i = 1; i < ARRAY_LEN(raw); i++) {
		struct gwp_answer a;
		bool whole;

		assert_true(gwp_read_until(f, fds[i], &raw[i], NULL));
		close(fds[i]);
		a = gwp_parse(&raw[i], &whole);
		assert_true(whole);
		assert_string_equal(buf_str(&a.body), "first\nlast\n");
		gwp_answer_fini(&a);
	}
	assert_int_equal(f->rs.calls, calls + 1);
	for (size_t i = 0; i < ARRAY_LEN(raw); i++)
		buf_free(&raw[i]);
}

/* All of them are told why it ends. */
static void
a_failure_reaches_all(void **state)
{
	struct gwp *f = *state;
	struct buf raw[3] = { BUF_INIT };
	struct err *err = NULL;
	int fds[ARRAY_LEN(raw)];

	gwp_make_bob(f);
	f->rs.log_text = "some";
	for (size_t i = 0; i < ARRAY_LEN(raw); i++) {
		fds[i] =
		    gwp_open(f, "GET", "/api/v1alpha" LOGS "?step=0&follow", f->token, NULL, NULL);
		assert_true(gwp_read_until(f, fds[i], &raw[i], "some"));
	}
	wait_held(f);
	turn_until_calls_end(f);
	err_set(&err, ERR_INTERNAL, "object damaged");
	rpc_fail(f->rs.held, &err);
	f->rs.held = NULL;
	for (size_t i = 0; i < ARRAY_LEN(raw); i++) {
		struct gwp_answer a;
		bool whole;

		gwp_read_until(f, fds[i], &raw[i], NULL);
		close(fds[i]);
		a = gwp_parse(&raw[i], &whole);
		assert_false(whole);
		gwp_answer_fini(&a);
		buf_free(&raw[i]);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(stored_logs),
		T(followed_logs),
		T(a_failed_log_is_broken_off),
		T(a_follower_that_leaves_is_forgotten),
		T(a_slow_reader_stops_the_reads),
		T(many_followers_one_read),
		T(a_failure_reaches_all),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
