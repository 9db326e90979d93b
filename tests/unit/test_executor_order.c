/* Which step is next: by `if`, after failures, a stop and the timeout; and how a task ends. */
#include "common/mem.h"
#include "executor/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX 8

/* A task as letters, one for each step: s, f, a = on_success, on_failure, always; capitals are of
 * post. */
struct task {
	Millrace__Step steps[STEPS_MAX];
	Millrace__Step *list[STEPS_MAX];
	Millrace__TaskSpec spec;
	struct ex_state *st;
};

static void
task_make(struct task *t, const char *letters)
{
	static char success[] = "on_success", failure[] = "on_failure", always[] = "always";
	size_t n = strlen(letters);

	assert_true(n <= STEPS_MAX);
	millrace__task_spec__init(&t->spec);
	for (size_t i = 0; i < n; i++) {
		millrace__step__init(&t->steps[i]);
		t->steps[i].post = letters[i] < 'a';
		t->steps[i].run_if = strchr("sS", letters[i])   ? success
		                     : strchr("fF", letters[i]) ? failure
		                                                : always;
		t->list[i] = &t->steps[i];
	}
	if (n > 0 && letters[0] == 's')
		t->steps[0].run_if = NULL; /* the same */
	t->spec.steps = t->list;
	t->spec.n_steps = n;
	t->st = ex_state_new("run", "task", 1, (unsigned)n);
}

/* Plays the task: letters as above; of the steps that start each ends as the next letter of ends
 * says: s, f = success, failure; S, T = a stop, the timeout meanwhile; then the step is ended. A
 * bar before such a letter: between two steps. Gives what became of each step: s, f, x (stopped),
 * . (not started); then the task's status. */
static void
play(char *out, const char *letters, const char *ends)
{
	struct task t;
	int next;

	task_make(&t, letters);
	for (;;) {
		while (*ends == '|') {
			t.st->stop |= ends[1] == 'S';
			t.st->timedout |= ends[1] == 'T';
			ex_order_cut(t.st);
			ends += 2;
		}
		next = ex_order_next(t.st, &t.spec);
		if (next == EX_ORDER_END)
			break;
		if (*ends == '\0')
			fail_msg("%s: step %d starts and nothing is said of it", letters, next);
		t.st->steps[next].phase = EX_RUNNING;
		assert_int_equal(ex_order_next(t.st, &t.spec), next);
		if (*ends == 'S' || *ends == 'T') {
			t.st->stop |= *ends == 'S';
			t.st->timedout |= *ends == 'T';
			ex_order_cut(t.st);
			if (!ex_order_is_cut(t.st, next))
				fail_msg("%s: step %d, cut %d", letters, next, t.st->cut);
			t.st->steps[next].phase = t.st->stop ? EX_STOPPED : EX_FAILED;
		} else {
			if (ex_order_is_cut(t.st, next))
				fail_msg("%s: step %d is cut", letters, next);
			t.st->steps[next].phase = *ends == 's' ? EX_SUCCESS : EX_FAILED;
		}
		ends++;
	}
	if (*ends != '\0')
		fail_msg("%s: nothing starts for \"%s\"", letters, ends);
	for (unsigned i = 0; i < t.st->nsteps; i++)
		*out++ = ".?sfx"[t.st->steps[i].phase - EX_NOTSTARTED];
	snprintf(out, 16, " %s", ex_phase_word(ex_order_status(t.st)));
	ex_state_free(t.st);
}

static void
test_order(void **state)
{
	static const struct {
		const char *steps, *ends, *expected;
	} cases[] = {
		{ "", "", " success" },
		{ "sss", "sss", "sss success" },
		{ "sss", "sf", "sf. failed" },
		/* after a failure */
		{ "sfa", "ss", "s.s success" },
		{ "sfa", "fss", "fss failed" },
		{ "fsa", "ss", ".ss success" },
		{ "sfsf", "fff", "ff.f failed" },
		{ "sas", "ff", "ff. failed" },
		/* post */
		{ "sA", "ss", "ss success" },
		{ "ssA", "fs", "f.s failed" },
		{ "sAF", "sfs", "sfs failed" },
		{ "sSAF", "sss", "sss. success" },
		{ "sSF", "ff", "f.f failed" },
		/* a stop: nothing but always, of post */
		{ "sas", "S", "x.. stopped" },
		{ "sfaAFS", "Ss", "x..s.. stopped" },
		{ "sAAA", "sSss", "sxss stopped" },
		{ "sAA", "|Sss", ".ss stopped" },
		{ "sAA", "s|Sss", "sss stopped" },
		{ "sAA", "fSs", "fxs stopped" },
		/* the timeout: a failure */
		{ "sasAFS", "Tss", "f..ss. failed" },
		{ "sAF", "sTs", "sfs failed" },
		{ "sFA", "sT", "s.f failed" }, /* what was passed over stays so */
		{ "sA", "|Ts", ".s failed" },
		{ "ss", "|T", ".. failed" },
		{ "sAA", "TSs", "fxs stopped" },
		{ "sFA", "T|Ss", "f.s stopped" },
		{ "sFAA", "ss|Ts", "s.ss failed" },
		{ "sF", "|Ts", ".s failed" },
	};
	char got[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		play(got, cases[i].steps, cases[i].ends);
		if (strcmp(got, cases[i].expected) != 0)
			fail_msg("%s, %s: %s in place of %s", cases[i].steps, cases[i].ends, got,
			    cases[i].expected);
	}
}

/* One task with every way its steps may end; ends as for play(), one for each step that starts. */
static void
check_one(const char *letters, const char *ends)
{
	struct task t;
	int last = -1, next;
	bool failed = false, cut = false;

	task_make(&t, letters);
	while ((next = ex_order_next(t.st, &t.spec)) != EX_ORDER_END) {
		const char how = ends[next], what = letters[next];

		assert_true(next > last);
		assert_false(cut && what >= 'a');
		assert_false((what == 's' || what == 'S') && (failed || cut));
		assert_false((what == 'f' || what == 'F') && ((!failed && !cut) || t.st->stop));
		last = next;
		t.st->steps[next].phase = EX_RUNNING;
		if (how == 'S' || how == 'T') {
			t.st->stop |= how == 'S';
			t.st->timedout |= how == 'T';
			ex_order_cut(t.st);
			assert_true(ex_order_is_cut(t.st, next));
			cut = true;
		}
		failed |= how != 's';
		t.st->steps[next].phase = how == 's'   ? EX_SUCCESS
		                          : how == 'S' ? EX_STOPPED
		                                       : EX_FAILED;
	}
	for (unsigned i = 0; i < t.st->nsteps; i++)
		assert_false(letters[i] == 'A' && t.st->steps[i].phase == EX_NOTSTARTED);
	assert_int_equal(ex_order_status(t.st), t.st->stop      ? EX_STOPPED
	                                        : failed || cut ? EX_FAILED
	                                                        : EX_SUCCESS);
	ex_state_free(t.st);
}

/* All tasks of two ordinary steps and three of post, and all that may happen to them. */
static void
test_all(void **state)
{
	static const char kinds[2][4] = { "sfa", "SFA" }, outcomes[] = "sfST";
	unsigned ntasks = 3 * 3 * 3 * 3 * 3, nends = 4 * 4 * 4 * 4 * 4;

	(void)state;
	for (unsigned task = 0; task < ntasks; task++) {
		char letters[6] = "", ends[6] = "";
		unsigned left = task;

		for (unsigned i = 0; i < 5; i++, left /= 3)
			letters[i] = kinds[i >= 2][left % 3];
		for (unsigned e = 0; e < nends; e++) {
			left = e;
			for (unsigned i = 0; i < 5; i++, left /= 4)
				ends[i] = outcomes[left % 4];
			check_one(letters, ends);
		}
	}
}

/* Of a failed attempt: as long as there are retries, and never of what was ended. */
static void
test_again(void **state)
{
	struct task t;

	(void)state;
	task_make(&t, "sA");
	t.steps[0].retries = 2;
	t.st->steps[0].phase = EX_RUNNING;
	assert_true(ex_order_again(t.st, &t.spec, 0));
	t.st->tries = 1;
	assert_true(ex_order_again(t.st, &t.spec, 0));
	t.st->tries = 2;
	assert_false(ex_order_again(t.st, &t.spec, 0));
	t.st->tries = 0;
	t.st->timedout = true;
	ex_order_cut(t.st);
	assert_false(ex_order_again(t.st, &t.spec, 0));
	t.steps[1].retries = 1;
	assert_true(ex_order_again(t.st, &t.spec, 1)); /* of post, afterwards */
	ex_state_free(t.st);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
