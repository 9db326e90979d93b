/*
 * What a run does next, who gets a task, what a restart makes anew: the tables of
 * config-and-runs.md 2.5 and 4.1 to 4.8, case by case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "runservice/run.h"
#include "runservice/scheduler.h"

#include <string.h>

#define NOW 1000

/* t2 depends on t1, t5 on t3 and t4. A run of them that runs; one letter per task:
 * n notstarted, k skipped, c cancelled, r running (and held), x stopped, s success, f failed. */
static const char letters[] = "?nkcrxsf";
enum { T1, T2, T3, T4, T5, NTASKS };

static void
make(struct rs_run *run, const char *state)
{
	static const char *const names[] = { "t1", "t2", "t3", "t4", "t5" };
	rs_run_init(run);
	for (size_t i = 0; i < NTASKS; i++) {
		struct rs_task *t = rs_run_add_task(run, names[i], names[i], 1, false);
		t->status = (enum rs_status)(strchr(letters, state[i]) - letters);
		t->place = t->status == RS_RUNNING ? RS_HELD : RS_FREE;
	}
	rs_run_add_dep(run, T2, T1, RS_ON_SUCCESS);
	rs_run_add_dep(run, T5, T3, RS_ON_SUCCESS);
	rs_run_add_dep(run, T5, T4, RS_ON_SUCCESS);
	run->phase = RS_RUN_RUNNING;
}

/* All passes until nothing moves. */
static void
follow(struct rs_run *run)
{
	while (rs_run_pass(run, NOW))
		;
	assert_null(rs_run_check(run));
}

static void
assert_state(const struct rs_run *run, const char *want)
{
	char got[NTASKS + 1] = "";
	for (size_t i = 0; i < NTASKS; i++)
		got[i] = letters[run->tasks[i].status];
	assert_string_equal(got, want);
}

static void
assert_ready(const struct rs_run *run, const char *want)
{
	char got[NTASKS + 1] = "";
	for (size_t i = 0; i < NTASKS; i++)
		got[i] = rs_run_task_ready(run, i) ? 'y' : '-';
	assert_string_equal(got, want);
}

/* --- 2.5, the scheduler --- */

static void
graph_decides(void **state)
{
	static const struct {
		const char *what, *before, *after, *ready;
		unsigned t3; /* conditions of t5 on t3, 0 = on_success */
	} table[] = {
		{ "nothing done", "nnnnn", "nnnnn", "y-yy-", 0 },
		{ "t1 skipped", "knnnn", "kknnn", "--yy-", 0 },
		{ "t3, t4 skipped", "nnkkn", "nnkkk", "y----", 0 },
		{ "t3 skipped, t4 success", "nnksn", "nnksk", "y----", 0 },
		{ "the same, wants on_failure", "nnksn", "nnksk", "y----", RS_ON_FAILURE },
		{ "the same, wants on_skipped", "nnksn", "nnksn", "y---y", RS_ON_SKIPPED },
		{ "one of several conditions", "nnksn", "nnksn", "y---y",
		    RS_ON_SUCCESS | RS_ON_SKIPPED },
		{ "a parent runs", "nnrsn", "nnrsn", "y----", 0 },
		{ "cancelled matches nothing", "nncsn", "nncsk", "y----",
		    RS_ON_SUCCESS | RS_ON_FAILURE | RS_ON_SKIPPED },
		{ "stopped matches nothing", "nnxsn", "nnxsk", "y----",
		    RS_ON_SUCCESS | RS_ON_FAILURE | RS_ON_SKIPPED },
		{ "all done", "sskss", "sskss", "-----", RS_ON_SKIPPED },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct rs_run run;
		make(&run, table[i].before);
		if (table[i].t3)
			run.tasks[T5].deps[0].conditions = table[i].t3;
		follow(&run);
		assert_state(&run, table[i].after);
		assert_ready(&run, table[i].ready);
		rs_run_fini(&run);
	}
}

static void
approval_waits(void **state)
{
	struct rs_run run;
	auto_err err = NULL;
	(void)state;
	/* It will be skipped: it never waits. */
	make(&run, "nnksn");
	run.tasks[T5].needs_approval = true;
	follow(&run);
	assert_state(&run, "nnksk");
	assert_false(run.tasks[T5].waiting_approval);
	rs_run_fini(&run);
	/* It matches: it waits. */
	make(&run, "nnssn");
	run.tasks[T5].needs_approval = true;
	follow(&run);
	assert_true(run.tasks[T5].waiting_approval);
	assert_ready(&run, "y----");
	assert_int_equal(rs_run_apply(&run, RS_EV_APPROVE, T5, NOW, NULL, &err), 0);
	assert_false(run.tasks[T5].waiting_approval);
	assert_ready(&run, "y---y");
	assert_int_equal(rs_run_apply(&run, RS_EV_APPROVE, T5, NOW, NULL, &err), ERR_CONFLICT);
	rs_run_fini(&run);
	/* Roots too; and before it waits, in a queued run. */
	make(&run, "nnnnn");
	run.phase = RS_QUEUED;
	run.tasks[T1].needs_approval = run.tasks[T3].needs_approval = true;
	err_clear(&err);
	assert_int_equal(rs_run_apply(&run, RS_EV_APPROVE, T1, NOW, NULL, &err), 0);
	assert_int_equal(rs_run_apply(&run, RS_EV_START, RS_NO_TASK, NOW, NULL, &err), 0);
	assert_ready(&run, "y--y-");
	assert_true(run.tasks[T3].waiting_approval);
	assert_false(run.tasks[T1].waiting_approval);
	/* A stop ends the waiting. */
	assert_int_equal(rs_run_apply(&run, RS_EV_STOP, RS_NO_TASK, NOW, NULL, &err), 0);
	assert_false(run.tasks[T3].waiting_approval);
	assert_state(&run, "kkkkk");
	assert_int_equal(run.phase, RS_FINISHED);
	assert_int_equal(run.result, RS_RESULT_STOPPED);
	rs_run_fini(&run);
	/* So does another task's failure, for a root. */
	make(&run, "nnnfn");
	run.tasks[T1].needs_approval = true;
	run.tasks[T1].waiting_approval = true;
	follow(&run);
	assert_false(run.tasks[T1].waiting_approval);
	assert_state(&run, "ckcfk");
	rs_run_fini(&run);
}

static void
a_result_ends_the_roots(void **state)
{
	struct rs_run run;
	(void)state;
	make(&run, "nnnsn");
	run.result = RS_RESULT_FAILED;
	assert_true(rs_run_pass_tasks(&run, NOW));
	assert_int_equal(run.tasks[T1].status, RS_CANCELLED);
	assert_int_equal(run.tasks[T3].status, RS_CANCELLED);
	follow(&run);
	assert_state(&run, "ckcsk");
	rs_run_fini(&run);
	/* t1 is with an executor: it goes on, and what depends on it. */
	make(&run, "nnnsn");
	run.result = RS_RESULT_FAILED;
	run.tasks[T1].place = RS_HELD;
	follow(&run);
	assert_state(&run, "nncsk");
	run.tasks[T1].place = RS_FREE;
	run.tasks[T1].status = RS_SUCCESS;
	follow(&run);
	assert_ready(&run, "-y---");
	rs_run_fini(&run);
	/* An offer nobody took yet is no start: it is withdrawn. */
	make(&run, "nnnsn");
	run.result = RS_RESULT_FAILED;
	run.tasks[T1].place = RS_OFFERED;
	run.tasks[T1].fence = 3;
	follow(&run);
	assert_state(&run, "ckcsk");
	assert_int_equal(run.tasks[T1].fence, 4);
	rs_run_fini(&run);
	/* That is how on_failure tasks run. */
	make(&run, "fnssn");
	run.tasks[T2].deps[0].conditions = RS_ON_FAILURE;
	follow(&run);
	assert_int_equal(run.result, RS_RESULT_FAILED);
	assert_ready(&run, "-y--y");
	rs_run_fini(&run);
}

static void
stop_ends_what_waits(void **state)
{
	struct rs_run run;
	auto_err err = NULL;
	(void)state;
	make(&run, "rncsn");
	run.stop = true;
	follow(&run);
	assert_state(&run, "rkcsk");
	assert_true(run.tasks[T1].stop_told);
	assert_int_equal(run.result, RS_RESULT_STOPPED);
	assert_int_equal(run.phase, RS_RUN_RUNNING);
	assert_int_equal(rs_run_apply(&run, RS_EV_REPORT_STOPPED, T1, NOW, NULL, &err), 0);
	assert_int_equal(run.phase, RS_FINISHED);
	rs_run_fini(&run);
	/* A result that is there stays. */
	make(&run, "rnfsn");
	follow(&run);
	assert_int_equal(run.result, RS_RESULT_FAILED);
	assert_int_equal(rs_run_apply(&run, RS_EV_STOP, RS_NO_TASK, NOW, NULL, &err), 0);
	assert_int_equal(rs_run_apply(&run, RS_EV_REPORT_STOPPED, T1, NOW, NULL, &err), 0);
	assert_int_equal(run.phase, RS_FINISHED);
	assert_int_equal(run.result, RS_RESULT_FAILED);
	rs_run_fini(&run);
}

/* --- tries --- */

static void
apply(struct rs_run *run, enum rs_event event, size_t task)
{
	auto_err err = NULL;
	if (rs_run_apply(run, event, task, NOW, "lost", &err) != 0)
		fail_msg("%s", err_msg(err));
	assert_null(rs_run_check(run));
}

static void
refused(struct rs_run *run, enum rs_event event, size_t task)
{
	auto_err err = NULL;
	assert_int_equal(rs_run_apply(run, event, task, NOW, NULL, &err), ERR_CONFLICT);
}

static void
held(struct rs_run *run, size_t task)
{
	apply(run, RS_EV_ASSIGN, task);
	apply(run, RS_EV_ACCEPT, task);
	apply(run, RS_EV_REPORT_RUNNING, task);
}

static void
whether_there_is_another_try(void **state)
{
	static const struct {
		const char *what;
		enum rs_phase phase;
		bool stop;
		enum rs_place place;
		unsigned retries, tries, left;
		bool may;
	} table[] = {
		{ "none are asked for", RS_RUN_RUNNING, false, RS_HELD, 0, 0, 0, false },
		{ "the first of one", RS_RUN_RUNNING, false, RS_HELD, 1, 0, 1, true },
		{ "there was one", RS_RUN_RUNNING, false, RS_HELD, 1, 1, 0, false },
		{ "the last of ten", RS_RUN_RUNNING, false, RS_HELD, 10, 9, 1, true },
		{ "after ten", RS_RUN_RUNNING, false, RS_HELD, 10, 10, 0, false },
		{ "the run stops", RS_RUN_RUNNING, true, RS_HELD, 2, 0, 2, false },
		{ "nobody holds it", RS_RUN_RUNNING, false, RS_FREE, 2, 0, 2, false },
		{ "it is only offered", RS_RUN_RUNNING, false, RS_OFFERED, 2, 0, 2, false },
		{ "the run waits", RS_QUEUED, false, RS_HELD, 2, 0, 2, false },
		{ "the run is over", RS_FINISHED, false, RS_HELD, 2, 0, 2, false },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct rs_run run;
		make(&run, "rnnnn");
		run.phase = table[i].phase;
		run.stop = table[i].stop;
		run.tasks[T1].place = table[i].place;
		run.tasks[T1].retries = table[i].retries;
		for (unsigned n = 0; n < table[i].tries; n++)
			rs_run_add_try(&run.tasks[T1]);
		if (rs_run_may_retry(&run, T1) != table[i].may ||
		    rs_run_tries_left(&run.tasks[T1]) != table[i].left)
			fail_msg("%s", table[i].what);
		rs_run_fini(&run);
	}
}

static void
a_failure_is_tried_again(void **state)
{
	struct rs_run run;
	(void)state;
	make(&run, "nnsss");
	struct rs_task *t = &run.tasks[T1];
	t->retries = 2;
	run.tasks[T2].deps[0].conditions = RS_ON_FAILURE;
	held(&run, T1);
	t->steps[0].phase = RS_FAILED;
	t->steps[0].error = xstrdup("why");
	t->timedout = true;
	t->executor = xstrdup("ex1");
	uint64_t fence = t->fence;
	apply(&run, RS_EV_REPORT_FAILED, T1);
	/* As if it had not begun; nobody is told of a failure, and the old attempt is void. */
	assert_state(&run, "nnsss");
	assert_int_equal(run.result, RS_RESULT_UNKNOWN);
	assert_ready(&run, "y----");
	assert_true(t->fence > fence);
	assert_int_equal(t->tries, 1);
	assert_true(t->start_ms == 0 && t->end_ms == 0 && !t->timedout);
	assert_int_equal(t->steps[0].phase, RS_NOTSTARTED);
	assert_null(t->steps[0].error);
	assert_string_equal(t->past[0].steps[0].error, "why");
	assert_string_equal(t->past[0].executor, "ex1");
	assert_true(t->past[0].timedout && t->past[0].end_ms == NOW);
	refused(&run, RS_EV_REPORT_FAILED, T1);
	refused(&run, RS_EV_REPORT_SUCCESS, T1);
	refused(&run, RS_EV_LOST, T1);
	/* Lost is a failure, too; the reason is with what is lost. */
	held(&run, T1);
	apply(&run, RS_EV_LOST, T1);
	assert_state(&run, "nnsss");
	assert_string_equal(t->past[1].setup.error, "lost");
	assert_null(t->setup.error);
	/* The last try decides. */
	held(&run, T1);
	apply(&run, RS_EV_REPORT_FAILED, T1);
	assert_int_equal(t->tries, 2);
	assert_state(&run, "fnsss");
	assert_int_equal(run.result, RS_RESULT_FAILED);
	assert_ready(&run, "-y---");
	rs_run_fini(&run);
}

static void
what_is_no_failure_is_not_tried_again(void **state)
{
	static const struct {
		enum rs_event event;
		char status;
	} table[] = {
		{ RS_EV_REPORT_SUCCESS, 's' },
		{ RS_EV_REPORT_STOPPED, 'x' },
		{ RS_EV_UNFIT, 'f' },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct rs_run run;
		make(&run, "nksss");
		run.tasks[T1].retries = 2;
		held(&run, T1);
		apply(&run, table[i].event, T1);
		assert_int_equal(letters[run.tasks[T1].status], table[i].status);
		assert_int_equal(run.tasks[T1].tries, 0);
		assert_int_equal(run.phase, RS_FINISHED);
		rs_run_fini(&run);
	}
}

static void
a_stop_ends_the_trying(void **state)
{
	static const enum rs_place places[] = { RS_FREE, RS_OFFERED, RS_HELD };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct rs_run run;
		make(&run, "nksss");
		run.tasks[T1].retries = 2;
		held(&run, T1);
		apply(&run, RS_EV_REPORT_FAILED, T1);
		if (places[i] != RS_FREE)
			apply(&run, RS_EV_ASSIGN, T1);
		if (places[i] == RS_HELD)
			apply(&run, RS_EV_ACCEPT, T1);
		uint64_t fence = run.tasks[T1].fence;
		apply(&run, RS_EV_STOP, RS_NO_TASK);
		if (places[i] == RS_HELD) {
			assert_true(run.tasks[T1].stop_told);
			apply(&run, RS_EV_REPORT_FAILED, T1);
			assert_state(&run, "fksss");
		} else {
			assert_state(&run, "xksss");
			assert_true(places[i] == RS_FREE || run.tasks[T1].fence > fence);
		}
		assert_int_equal(run.tasks[T1].tries, 1);
		assert_int_equal(run.phase, RS_FINISHED);
		assert_int_equal(run.result, RS_RESULT_STOPPED);
		rs_run_fini(&run);
	}
}

/* Another task's failure keeps further roots from starting; one between two tries has started. */
static void
a_failed_run_goes_on_trying(void **state)
{
	struct rs_run run;
	(void)state;
	make(&run, "nnnrn");
	run.tasks[T1].retries = 1;
	held(&run, T1);
	apply(&run, RS_EV_REPORT_FAILED, T1);
	apply(&run, RS_EV_REPORT_FAILED, T4);
	assert_state(&run, "nncfk");
	assert_ready(&run, "y----");
	held(&run, T1);
	apply(&run, RS_EV_REPORT_SUCCESS, T1);
	assert_state(&run, "sncfk");
	assert_ready(&run, "-y---");
	rs_run_fini(&run);
}

/* What was lost before it began is handed out again within the same try. Approvals hold. */
static void
tries_and_other_beginnings(void **state)
{
	struct rs_run run;
	(void)state;
	make(&run, "nksss");
	run.tasks[T1].retries = 1;
	run.tasks[T1].needs_approval = true;
	follow(&run);
	apply(&run, RS_EV_APPROVE, T1);
	held(&run, T1);
	apply(&run, RS_EV_LAPSE, T1);
	assert_int_equal(run.tasks[T1].tries, 0);
	held(&run, T1);
	apply(&run, RS_EV_REPORT_FAILED, T1);
	assert_int_equal(run.tasks[T1].tries, 1);
	assert_true(run.tasks[T1].approved && !run.tasks[T1].waiting_approval);
	held(&run, T1);
	apply(&run, RS_EV_LAPSE, T1);
	assert_int_equal(run.tasks[T1].tries, 1);
	held(&run, T1);
	apply(&run, RS_EV_REPORT_SUCCESS, T1);
	assert_state(&run, "sksss");
	assert_int_equal(run.result, RS_RESULT_SUCCESS);
	rs_run_fini(&run);
}

static void
results(void **state)
{
	static const struct {
		const char *tasks;
		int ignored; /* task whose failure is, or -1 */
		enum rs_result result;
		enum rs_phase phase;
	} table[] = {
		{ "sssss", -1, RS_RESULT_SUCCESS, RS_FINISHED },
		{ "kkkkk", -1, RS_RESULT_SUCCESS, RS_FINISHED },
		{ "ccxsk", -1, RS_RESULT_SUCCESS, RS_FINISHED },
		{ "fksss", T1, RS_RESULT_SUCCESS, RS_FINISHED },
		{ "fksss", -1, RS_RESULT_FAILED, RS_FINISHED },
		{ "fkrss", -1, RS_RESULT_FAILED, RS_RUN_RUNNING },
		{ "skrss", -1, RS_RESULT_UNKNOWN, RS_RUN_RUNNING },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct rs_run run;
		make(&run, table[i].tasks);
		run.tasks[T5].deps[0].conditions = RS_ON_FAILURE | RS_ON_SKIPPED | RS_ON_SUCCESS;
		if (table[i].ignored >= 0)
			run.tasks[table[i].ignored].ignore_failure = true;
		follow(&run);
		assert_int_equal(run.result, table[i].result);
		assert_int_equal(run.phase, table[i].phase);
		rs_run_fini(&run);
	}
	/* An ignored failure is still one to its children. */
	struct rs_run run;
	make(&run, "fnsss");
	run.tasks[T1].ignore_failure = true;
	follow(&run);
	assert_state(&run, "fksss");
	rs_run_fini(&run);
	/* A run without tasks succeeds when it starts. */
	auto_err err = NULL;
	rs_run_init(&run);
	assert_int_equal(rs_run_apply(&run, RS_EV_START, RS_NO_TASK, NOW, NULL, &err), 0);
	assert_int_equal(run.phase, RS_FINISHED);
	assert_int_equal(run.result, RS_RESULT_SUCCESS);
	assert_int_equal(run.start_ms, NOW);
	assert_int_equal(run.end_ms, NOW);
	rs_run_fini(&run);
}

/* --- 4.1: what may be asked of a run --- */

static void
phases(void **state)
{
	static const struct {
		enum rs_phase from;
		enum rs_event event;
		int to; /* 0: refused */
	} table[] = {
		{ RS_QUEUED, RS_EV_START, RS_RUN_RUNNING },
		{ RS_QUEUED, RS_EV_CANCEL, RS_RUN_CANCELLED },
		{ RS_QUEUED, RS_EV_STOP, 0 },
		{ RS_RUN_RUNNING, RS_EV_START, 0 },
		{ RS_RUN_RUNNING, RS_EV_CANCEL, 0 },
		{ RS_RUN_RUNNING, RS_EV_STOP, RS_RUN_RUNNING },
		{ RS_FINISHED, RS_EV_START, 0 },
		{ RS_FINISHED, RS_EV_CANCEL, 0 },
		{ RS_FINISHED, RS_EV_STOP, 0 },
		{ RS_RUN_CANCELLED, RS_EV_START, 0 },
		{ RS_RUN_CANCELLED, RS_EV_CANCEL, 0 },
		{ RS_RUN_CANCELLED, RS_EV_STOP, 0 },
		{ RS_SETUPERROR, RS_EV_START, 0 },
		{ RS_SETUPERROR, RS_EV_CANCEL, 0 },
		{ RS_SETUPERROR, RS_EV_STOP, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct rs_run run;
		auto_err err = NULL;
		make(&run, "rnnnn");
		run.phase = table[i].from;
		if (run.phase == RS_QUEUED)
			run.tasks[T1].status = RS_NOTSTARTED, run.tasks[T1].place = RS_FREE;
		int rc = rs_run_apply(&run, table[i].event, RS_NO_TASK, NOW, NULL, &err);
		assert_int_equal(rc, table[i].to ? 0 : ERR_CONFLICT);
		assert_int_equal(run.phase, table[i].to ? table[i].to : (int)table[i].from);
		if (rc != 0)
			assert_non_null(strstr(err_msg(err), rs_phase_name(table[i].from)));
		if (run.phase == RS_RUN_CANCELLED && rc == 0) {
			assert_int_equal(run.result, RS_RESULT_UNKNOWN);
			assert_int_equal(run.end_ms, NOW);
		}
		rs_run_fini(&run);
	}
}

/* --- 4.3: which report counts in which state --- */

static void
reports(void **state)
{
	static const struct {
		enum rs_event event;
		const char *from; /* states of a held task, and of one that is over, that take it */
	} table[] = {
		{ RS_EV_REPORT_CANCELLED, "nc" },
		{ RS_EV_REPORT_RUNNING, "nr" },
		{ RS_EV_REPORT_STOPPED, "nrx" },
		{ RS_EV_REPORT_SUCCESS, "nrs" },
		{ RS_EV_REPORT_FAILED, "nrf" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		for (const char *from = "nrkcxsf"; *from; from++) {
			struct rs_run run;
			auto_err err = NULL;
			char tasks[] = "nnrnn"; /* t3 keeps the run running */
			tasks[T1] = *from;
			make(&run, tasks);
			if (*from == 'n')
				run.tasks[T1].place = RS_HELD;
			int rc = rs_run_apply(&run, table[i].event, T1, NOW, NULL, &err);
			assert_int_equal(rc, strchr(table[i].from, *from) ? 0 : ERR_CONFLICT);
			if (rc != 0)
				assert_int_equal(letters[run.tasks[T1].status], *from);
			rs_run_fini(&run);
		}
	}
}

/* --- 2.5, restart --- */

static void
restarts(void **state)
{
	static const struct {
		enum rs_phase phase;
		enum rs_result result;
		bool scratch, failed;
	} may[] = {
		{ RS_FINISHED, RS_RESULT_FAILED, true, true },
		{ RS_FINISHED, RS_RESULT_STOPPED, true, true },
		{ RS_FINISHED, RS_RESULT_SUCCESS, true, false },
		{ RS_RUN_CANCELLED, RS_RESULT_UNKNOWN, true, true },
		{ RS_SETUPERROR, RS_RESULT_UNKNOWN, false, false },
		{ RS_QUEUED, RS_RESULT_UNKNOWN, false, false },
		{ RS_RUN_RUNNING, RS_RESULT_UNKNOWN, false, false },
		{ RS_RUN_RUNNING, RS_RESULT_FAILED, false, false },
	};
	static const struct {
		const char *tasks;
		bool failed;
		const char *anew;
	} plan[] = {
		{ "sssss", false, "yyyyy" },
		{ "fkscx", false, "yyyyy" },
		{ "ffkcx", true, "yyyyy" },
		{ "fssss", true, "yy---" },
		{ "sskss", true, "--y-y" }, /* a skipped one, and what came after it */
		{ "sfsss", true, "-y---" },
		{ "sssxs", true, "---yy" },
	};
	struct rs_run run;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(may); i++) {
		make(&run, "sssss");
		run.phase = may[i].phase;
		run.result = may[i].result;
		assert_int_equal(rs_run_can_restart(&run, false), may[i].scratch);
		assert_int_equal(rs_run_can_restart(&run, true), may[i].failed);
		rs_run_fini(&run);
	}
	for (size_t i = 0; i < ARRAY_LEN(plan); i++) {
		bool anew[NTASKS];
		char got[NTASKS + 1] = "";
		make(&run, plan[i].tasks);
		rs_run_restart_plan(anew, &run, plan[i].failed);
		for (size_t j = 0; j < NTASKS; j++)
			got[j] = anew[j] ? 'y' : '-';
		assert_string_equal(got, plan[i].anew);
		rs_run_fini(&run);
	}
}

/* --- 2.5, executors --- */

static size_t
choose(const struct rs_candidate *list, size_t n, const char *arch, bool privileged)
{
	const struct rs_needs need = { arch, "", privileged };
	return rs_scheduler_choose(list, n, &need);
}

static void
choices(void **state)
{
	static const struct {
		const char *what;
		struct rs_candidate c;
		const char *arch;
		bool privileged, chosen;
		const char *labels;
	} table[] = {
		{ "alive, arch ok, 0 of 2", { "e", "amd64", false, true, 2, 2, "" }, "amd64", false,
		    true, "" },
		{ "any arch", { "e", "arm64", false, true, 2, 1, "" }, "", false, true, "" },
		{ "2 of 2 used", { "e", "amd64", false, true, 2, 0, "" }, "amd64", false, false,
		    "" },
		{ "silent", { "e", "amd64", false, false, 2, 2, "" }, "amd64", false, false, "" },
		{ "other arch", { "e", "arm64", false, true, 2, 2, "" }, "amd64", false, false,
		    "" },
		{ "arch that begins so", { "e", "arm64", false, true, 2, 2, "" }, "arm", false,
		    false, "" },
		{ "privileged refused", { "e", "amd64", false, true, 2, 2, "" }, "", true, false,
		    "" },
		{ "privileged allowed", { "e", "amd64", true, true, 2, 2, "" }, "", true, true,
		    "" },
		{ "not needed", { "e", "amd64", true, true, 2, 2, "" }, "", false, true, "" },
		{ "no label is needed", { "e", "amd64", true, true, 2, 2, "a=b" }, "", false, true,
		    "" },
		{ "a label", { "e", "amd64", true, true, 2, 2, "a=b\nc=d" }, "", false, true,
		    "c=d" },
		{ "all", { "e", "amd64", true, true, 2, 2, "a=b\nc=d" }, "", false, true,
		    "c=d\na=b" },
		{ "not all", { "e", "amd64", true, true, 2, 2, "a=b\nc=d" }, "", false, false,
		    "a=b\nc=e" },
		{ "no labels", { "e", "amd64", true, true, 2, 2, "" }, "", false, false, "a=b" },
		{ "one that begins so", { "e", "amd64", true, true, 2, 2, "a=bc" }, "", false,
		    false, "a=b" },
		{ "one that it begins with", { "e", "amd64", true, true, 2, 2, "a=b" }, "", false,
		    false, "a=bc" },
	};
	static const struct rs_candidate several[] = {
		{ "busy", "amd64", true, true, 4, 1, "" },
		{ "arm", "arm64", true, true, 4, 4, "" },
		{ "half", "amd64", false, true, 4, 2, "" },
		{ "half again", "amd64", false, true, 2, 1, "" },
		{ "silent", "amd64", true, false, 4, 4, "" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct rs_needs need = { table[i].arch, table[i].labels,
			table[i].privileged };
		if (rs_scheduler_choose(&table[i].c, 1, &need) !=
		    (table[i].chosen ? 0 : RS_NO_CANDIDATE))
			fail_msg("%s", table[i].what);
	}
	assert_int_equal(choose(several, 5, "amd64", false), 2);
	assert_int_equal(choose(several, 5, "amd64", true), 0);
	assert_int_equal(choose(several, 5, "", false), 1);
	assert_int_equal(choose(several, 0, "", false), RS_NO_CANDIDATE);
}

/* Why a task does not run, in one sentence. */
static void
wait_reasons(void **state)
{
	static const struct rs_candidate amd = { "e", "amd64", false, true, 2, 2, "" };
	static const struct rs_candidate full = { "e", "amd64", false, true, 2, 0, "" };
	static const struct rs_candidate both[] = { { "e", "amd64", false, true, 2, 2, "" },
		{ "f", "arm64", true, true, 2, 2, "" } };
	static const struct rs_candidate marked[] = { { "e", "amd64", false, true, 2, 2, "a=b" },
		{ "f", "arm64", true, true, 2, 2, "a=b\nc=d" } };
	static const struct {
		const char *tasks, *arch;
		bool privileged, approval;
		enum rs_phase phase;
		enum rs_place place;
		size_t task;
		const struct rs_candidate *list;
		size_t n;
		const char *want; /* NULL: none */
		const char *labels;
	} table[] = {
		{ "nnnnn", "", 0, 0, RS_RUN_RUNNING, RS_FREE, T1, NULL, 0,
		    "no executor is connected", "" },
		{ "nnnnn", "arm64", 0, 0, RS_RUN_RUNNING, RS_FREE, T1, &amd, 1,
		    "architecture arm64", "" },
		{ "nnnnn", "", 1, 0, RS_RUN_RUNNING, RS_FREE, T1, &amd, 1, "allows privileged",
		    "" },
		{ "nnnnn", "amd64", 1, 0, RS_RUN_RUNNING, RS_FREE, T1, both, 2,
		    "architecture amd64 allows privileged", "" },
		{ "nnnnn", "", 0, 0, RS_RUN_RUNNING, RS_FREE, T1, &full, 1, "all slots", "" },
		{ "nnnnn", "", 0, 0, RS_RUN_RUNNING, RS_FREE, T1, &amd, 1, "is being asked", "" },
		{ "nnnnn", "", 0, 0, RS_RUN_RUNNING, RS_FREE, T2, &amd, 1, "waits for task \"t1\"",
		    "" },
		{ "nnnnn", "", 0, 1, RS_RUN_RUNNING, RS_FREE, T1, &amd, 1, "waits for an approval",
		    "" },
		{ "nnnnn", "", 0, 0, RS_QUEUED, RS_FREE, T1, &amd, 1,
		    "an earlier run of the same group", "" },
		{ "nnnnn", "", 0, 0, RS_RUN_RUNNING, RS_OFFERED, T1, &amd, 1,
		    "offered to executor ex", "" },
		{ "nnnnn", "", 0, 0, RS_RUN_RUNNING, RS_HELD, T1, &amd, 1,
		    "executor ex is preparing", "" },
		{ "nnnnn", "", 0, 0, RS_RUN_RUNNING, RS_FREE, T1, marked, 2,
		    "no connected executor has the labels a=b, x=y", "a=b\nx=y" },
		{ "nnnnn", "amd64", 0, 0, RS_RUN_RUNNING, RS_FREE, T1, marked, 2,
		    "no connected executor of architecture amd64 has the labels c=d", "c=d" },
		{ "nnnnn", "amd64", 1, 0, RS_RUN_RUNNING, RS_FREE, T1, marked, 2,
		    "no connected executor of architecture amd64 with the labels a=b allows "
		    "privileged",
		    "a=b" },
		{ "nnnnn", "", 1, 0, RS_RUN_RUNNING, RS_FREE, T1, marked, 2, "is being asked",
		    "a=b" },
		{ "rnnnn", "", 0, 0, RS_RUN_RUNNING, RS_HELD, T1, &amd, 1, NULL, "" },
		{ "snnnn", "", 0, 0, RS_RUN_RUNNING, RS_FREE, T1, &amd, 1, NULL, "" },
		{ "nnnnn", "", 0, 0, RS_RUN_CANCELLED, RS_FREE, T1, &amd, 1, NULL, "" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct rs_run run;
		make(&run, table[i].tasks);
		struct rs_task *t = &run.tasks[table[i].task];
		free(t->arch);
		t->arch = xstrdup(table[i].arch);
		free(t->labels);
		t->labels = xstrdup(table[i].labels);
		t->executor = xstrdup("ex");
		t->privileged = table[i].privileged;
		t->needs_approval = table[i].approval;
		t->place = table[i].place;
		run.phase = table[i].phase;
		auto_free char *got =
		    rs_scheduler_wait_reason(&run, table[i].task, table[i].list, table[i].n);
		if (!table[i].want)
			assert_null(got);
		else if (!got || !strstr(got, table[i].want))
			fail_msg("case %zu: %s, not %s", i, got ? got : "none", table[i].want);
		rs_run_fini(&run);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(graph_decides),
		cmocka_unit_test(approval_waits),
		cmocka_unit_test(a_result_ends_the_roots),
		cmocka_unit_test(whether_there_is_another_try),
		cmocka_unit_test(a_failure_is_tried_again),
		cmocka_unit_test(what_is_no_failure_is_not_tried_again),
		cmocka_unit_test(a_stop_ends_the_trying),
		cmocka_unit_test(a_failed_run_goes_on_trying),
		cmocka_unit_test(tries_and_other_beginnings),
		cmocka_unit_test(stop_ends_what_waits),
		cmocka_unit_test(results),
		cmocka_unit_test(phases),
		cmocka_unit_test(reports),
		cmocka_unit_test(restarts),
		cmocka_unit_test(choices),
		cmocka_unit_test(wait_reasons),
	};
	return cmocka_run_group_tests_name("runservice_run", tests, NULL, NULL);
}
