/*
 * The whole runservice over real NNG, HTTP and PostgreSQL, while what it stands on fails: the
 * database, itself, its leadership, an executor's memory, what is stored.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/mem.h"
#include "runservice/runservice.h"
#include "tests/lib/rs_peer.h"

#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT(s_) (s_), (sizeof(s_) - 1)

static void
postgres_restarts_in_a_task(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number, received = 0, stored = 0;
	struct rs_offer o = rs_ex_take_one(p, &number);
	int code;
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "running", "sr"), 0);
	for (int i = 0; i < 3; i++) {
		uint64_t at = received;
		do {
			code =
			    rs_ex_log(ex, &o, 0, at, TEXT("0123456789"), true, &received, &stored);
			/* A new term: the log is what was stored. */
			if (code == 0 && received < at)
				at = received;
			if (code == 0 && stored == at + 10)
				break;
			assert_true(code == 0 || code == ERR_UNAVAILABLE || code == ERR_CONFLICT);
			rs_peer_turn(p, 20);
			assert_true(rs_ex_register(ex, &o, 1) == 0);
		} while (1);
		rs_peer_restart_pg();
	}
	assert_true(rs_ex_register(ex, &o, 1) == 0);
	assert_int_equal(rs_ex_report(ex, &o, 2, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished success");
	auto_free char *log = rs_peer_log(p, number, o.task_id, 0, &code);
	assert_string_equal(log, "012345678901234567890123456789");
}

/* Runs are made while PostgreSQL dies again and again: each request makes one run, each run is
 * offered and ends. */
static void
postgres_dies_in_transactions(void **state)
{
	enum { RUNS = 60 };
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	bool seen[RUNS + 1] = { false };
	char sh[] = "sh", c[] = "-c",
	     script[] = "for i in 1 2 3 4 5; do $MILLRACE_TEST_PG || exit; done";
	char *const argv[] = { sh, c, script, NULL };
	pid_t child;
	assert_int_equal(posix_spawnp(&child, sh, NULL, NULL, argv, environ), 0);
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	for (int i = 1; i <= RUNS; i++) {
		char branch[16];
		snprintf(branch, sizeof(branch), "b%d", i);
		uint64_t number = rs_peer_run(p, branch, rs_peer_one_task, 1, NULL);
		assert_in_range(number, 1, RUNS);
		assert_false(seen[number]);
		seen[number] = true;
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(rs_ex_register(ex, NULL, 0) >= 0);
	for (int i = 1; i <= RUNS; i++) {
		struct rs_offer o = rs_ex_offer(ex);
		rs_ex_do(ex, &o, 1);
	}
	for (int i = 1; i <= RUNS; i++)
		assert_string_equal(rs_peer_state(p, (uint64_t)i), "finished success");
	auto_free char *open =
	    rs_peer_sql(p, "select count(*) from attempts where state <> 'closed'");
	assert_string_equal(open, "0");
}

/* As an executor does that is told to wait. */
static int
until_answered(struct rs_executor *ex, const struct rs_offer *o, int what)
{
	for (int64_t end = clock_mono_ms() + RS_PEER_WAIT_MS; clock_mono_ms() < end;) {
		int code = what == 0   ? rs_ex_accept(ex, o, NULL)
		           : what == 1 ? rs_ex_begin(ex, o)
		                       : rs_ex_report(ex, o, 1, "success", "ss");
		/* In a new term nobody knows the attempt before everything is read again. */
		if (code != ERR_UNAVAILABLE)
			return code;
		assert_true(rs_ex_register(ex, o, what > 0) >= 0);
	}
	return ERR_UNAVAILABLE;
}

/* Commits take effect and are never answered: what is in memory still becomes what the rows say. */
static void
commits_without_an_answer(void **state)
{
	enum { RUNS = 40 };
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	*p->proxy.every = 5;
	for (int i = 1; i <= RUNS; i++) {
		char branch[16];
		snprintf(branch, sizeof(branch), "b%d", i % 4);
		assert_int_equal(rs_peer_run(p, branch, rs_peer_one_task, 1, NULL), i);
		struct rs_offer o = rs_ex_offer(ex);
		while (until_answered(ex, &o, 0) == ERR_CONFLICT)
			o = rs_ex_offer(ex); /* its offer had run out */
		assert_int_equal(until_answered(ex, &o, 1), 0);
		assert_int_equal(until_answered(ex, &o, 2), 0);
		assert_string_equal(rs_peer_state(p, (uint64_t)i), "finished success");
	}
	assert_true(*p->proxy.lost >= RUNS / 2);
	*p->proxy.every = 0;
	auto_free char *bad =
	    rs_peer_sql(p, "select count(*) from attempts where state <> 'closed'");
	assert_string_equal(bad, "0");
}

static void
the_runservice_restarts_in_a_task(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number, received = 0, stored = 0;
	struct rs_offer o = rs_ex_take_one(p, &number);
	Millrace__AcceptReply *plan = NULL;
	int code;
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "running", "sr"), 0);
	assert_int_equal(rs_ex_log(ex, &o, 0, 0, TEXT("stored "), true, &received, &stored), 0);
	assert_int_equal(stored, 7);
	assert_int_equal(rs_ex_log(ex, &o, 0, 7, TEXT("maybe"), false, &received, &stored), 0);
	assert_int_equal(received, 12);
	rs_peer_stop(p);
	rs_peer_start(p);
	/* Before it registered again it is told to wait, never that the task is another's. */
	code = rs_ex_accept(ex, &o, NULL);
	assert_int_equal(code, ERR_UNAVAILABLE);
	assert_int_equal(rs_ex_register(ex, &o, 1), 0);
	assert_int_equal(rs_ex_accept(ex, &o, &plan), 0);
	assert_string_equal(plan->state->status, "running");
	assert_string_equal(plan->state->steps[0]->phase, "running");
	millrace__accept_reply__free_unpacked(plan, NULL);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_log(ex, &o, 0, 12, TEXT("!"), false, &received, &stored), 0);
	assert_in_range(received, 7, 12);
	assert_int_equal(rs_ex_log(ex, &o, 0, 7, TEXT("maybe!"), true, &received, &stored), 0);
	assert_int_equal(stored, 13);
	assert_int_equal(rs_ex_report(ex, &o, 2, "success", "ss"), 0);
	rs_peer_stop(p);
	rs_peer_start(p);
	assert_int_equal(rs_ex_report(ex, &o, 2, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished success");
	auto_free char *log = rs_peer_log(p, number, o.task_id, 0, &code);
	assert_string_equal(log, "stored maybe!");
}

/* An executor that lost its disk: what began has failed. */
static void
an_executor_that_forgets_fails_its_task(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number;
	struct rs_offer o = rs_ex_take_one(p, &number);
	struct id session = id_new();
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	char old[ID_LEN + 1];
	memcpy(old, ex->session, sizeof(old));
	memcpy(ex->session, session.s, sizeof(ex->session));
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	int64_t end = clock_mono_ms() + RS_PEER_LEASE_MS / 2; /* at once, not by the lease */
	while (strcmp(rs_peer_state(p, number), "finished failed") != 0) {
		assert_true(clock_mono_ms() < end);
		rs_peer_turn(p, 10);
	}
	/* The old process is void. */
	memcpy(ex->session, old, sizeof(old));
	assert_int_equal(rs_ex_renew(ex, &o, 1), ERR_CONFLICT);
}

/* Somebody else leads: nothing of ours is written any more. */
static void
another_epoch_voids_writes(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number;
	struct rs_offer o = rs_ex_take_one(p, &number);
	struct rs_call c = { 0 };
	Millrace__BeginRequest begin = MILLRACE__BEGIN_REQUEST__INIT;
	Millrace__Attempt a = MILLRACE__ATTEMPT__INIT;
	const struct rs *rs = p->rs;
	int64_t epoch = rs->epoch;
	/* As a second replica would that does not answer. */
	auto_free char *sql = rs_peer_sql(p, "select epoch from leader");
	assert_int_equal(strtoll(sql, NULL, 10), epoch);
	rs_peer_exec(p, "update leader set epoch = epoch + 1, holder = 'other'");
	a.task_id = o.task_id;
	a.fence = o.fence;
	begin.attempt = &a;
	rs_call_start(&c, p, ex->client, "task.begin", &begin);
	assert_int_equal(rs_call_wait(&c), ERR_UNAVAILABLE);
	rs_call_clear(&c);
	auto_free char *begun = rs_peer_sql(p, "select count(*) from attempts where begun");
	assert_string_equal(begun, "0");
	assert_true(rs->epoch == epoch || rs->epoch == 0);
	int64_t end = clock_mono_ms() + 15000;
	while (rs->epoch <= epoch) {
		assert_true(clock_mono_ms() < end);
		rs_peer_turn(p, 50);
	}
	rs_peer_until(p, &rs->serving, "serving again");
	assert_int_equal(rs_ex_register(ex, &o, 1), 0);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished success");
}

/* Stopped with hundreds of requests under way: each is answered or dropped, nothing is touched
 * after it is gone. */
static void
stops_while_busy(void **state)
{
	enum { CALLS = 600, BUSY = 16 };
	struct rs_peer *p = *state;
	static struct rs_call calls[CALLS];
	uint64_t number;
	struct rs_offer o = rs_ex_take_one(p, &number);
	char owner[] = RS_PEER_OWNER;
	Millrace__RunGetRequest get = MILLRACE__RUN_GET_REQUEST__INIT;
	get.owner = owner;
	get.number = number;
	for (size_t i = 0; i < CALLS; i++)
		rs_call_start(&calls[i], p, p->gateway, "run.get", &get);
	/* In the middle of them, unless all were answered within one turn. */
	while (((struct rs *)p->rs)->jobs < BUSY && !calls[CALLS - 1].done)
		loop_run_once(p->loop, 20);
	rs_peer_stop(p);
	for (size_t i = 0; i < CALLS; i++)
		rs_call_clear(&calls[i]);
	rs_peer_start(p);
	assert_true(rs_ex_register(&p->ex[0], &o, 1) == 0);
	rs_ex_do(&p->ex[0], &o, 1);
	assert_string_equal(rs_peer_state(p, number), "finished success");
}

/* A stored value that does not open: the task fails and says why, at once. */
static void
a_plan_that_cannot_be_made_fails(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "task", .nsteps = 1, .variable = "password" }
	};
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	uint64_t number = rs_peer_run(p, "main", tasks, 1, NULL);
	struct rs_offer o = rs_ex_offer(ex);
	rs_peer_exec(p,
	    "update secret_versions set sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1) "
	    "where run_id is not null");
	assert_int_equal(rs_ex_accept(ex, &o, NULL), ERR_CONFLICT);
	assert_string_equal(rs_peer_state(p, number), "finished failed");
	Millrace__RunState *run = rs_peer_get(p, number);
	assert_non_null(
	    strstr(run->tasks[0]->setup->error, "open variable password: it is damaged"));
	millrace__run_state__free_unpacked(run, NULL);
}

int
main(void)
{
#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, rs_peer_setup, rs_peer_teardown)
	/* These on S3, too: see rs_peer.h. */
	const struct CMUnitTest with_objects[] = {
		TEST(the_runservice_restarts_in_a_task),
		TEST(stops_while_busy),
	};
	const struct CMUnitTest tests[] = {
		TEST(postgres_restarts_in_a_task),
		TEST(postgres_dies_in_transactions),
		cmocka_unit_test_setup_teardown(
		    commits_without_an_answer, rs_peer_setup_proxy, rs_peer_teardown),
		TEST(an_executor_that_forgets_fails_its_task),
		TEST(another_epoch_voids_writes),
		TEST(a_plan_that_cannot_be_made_fails),
	};
	int failed = cmocka_run_group_tests_name("faults_objects", with_objects, NULL, NULL);
	if (getenv("MILLRACE_TEST_S3")) /* NOLINT(concurrency-mt-unsafe): before any thread */
		return failed;
	return failed + cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
