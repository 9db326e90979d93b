/* Why a task waits, as "millrace run explain" tells it. */
#include "common/mem.h"
#include "runservice/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FIRST, SECOND };

static void
make(struct rs_run *run)
{
	rs_run_init(run);
	rs_run_add_task(run, "a", "first", 1, false);
	rs_run_add_task(run, "b", "second", 1, false);
	for (size_t i = 0; i < 2; i++) {
		run->tasks[i].status = RS_NOTSTARTED;
		run->tasks[i].place = RS_FREE;
	}
	rs_run_add_dep(run, SECOND, FIRST, RS_ON_SUCCESS);
	run->phase = RS_RUN_RUNNING;
}

static void
executors(void **state)
{
	static const struct rs_candidate amd = { "e", "amd64", false, true, 2, 1, "" },
	                                 full = { "e", "amd64", true, true, 3, 0, "" },
	                                 quiet = { "e", "amd64", false, false, 2, 1, "" },
	                                 marked = { "e", "amd64", false, true, 2, 1,
		                                 "disk=fast\nzone=a" };
	static const struct {
		const struct rs_candidate *c;
		struct rs_needs need;
		const char *want;
	} table[] = {
		{ &amd, { "arm64", "", false }, "has the architecture amd64, not arm64" },
		{ &amd, { "arm64", "zone=a", true }, "has the architecture amd64, not arm64" },
		{ &amd, { "amd64", "zone=a", true }, "does not have the labels zone=a" },
		{ &marked, { "", "zone=b\ndisk=fast\nsize=big", true },
		    "does not have the labels zone=b, size=big" },
		{ &marked, { "", "zone=a", true }, "does not allow privileged containers" },
		{ &marked, { "amd64", "zone=a\ndisk=fast", false }, "is being asked to take it" },
		{ &amd, { "amd64", "", true }, "does not allow privileged containers" },
		{ &amd, { "", "", true }, "does not allow privileged containers" },
		{ &full, { "", "", true }, "has no free slot (of 3)" },
		{ &quiet, { "", "", false },
		    "has a free slot, but does not ask for work at this moment" },
		{ &amd, { "amd64", "", false }, "is being asked to take it" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		auto_free char *got = rs_explain_executor(table[i].c, &table[i].need);
		assert_string_equal(got, table[i].want);
		/* Chosen, or a reason why not: the scheduler says the same. */
		size_t chosen = rs_scheduler_choose(table[i].c, 1, &table[i].need);
		assert_int_equal(chosen == 0, strncmp(got, "is being asked", 14) == 0);
	}
}

static void
tasks(void **state)
{
	static const struct rs_candidate two[] = { { "ex1", "arm64", true, true, 2, 2, "" },
		{ "ex2", "amd64", false, true, 4, 0, "" } };
	static const struct rs_explain_group none = { 0, 0 }, held = { 12, 0 }, line = { 12, 2 };
	static const struct {
		enum rs_phase phase;
		enum rs_status status; /* of the first task */
		size_t task, n;
		const struct rs_explain_group *group;
		const char *want; /* NULL: does not wait */
	} table[] = {
		{ RS_RUN_RUNNING, RS_NOTSTARTED, FIRST, 2, &none,
		    "all slots of the executors that could run it are taken: ex1 has the "
		    "architecture arm64, not amd64; ex2 has no free slot (of 4)" },
		{ RS_RUN_RUNNING, RS_NOTSTARTED, FIRST, 1, &none,
		    "no connected executor has the architecture amd64: ex1 has the architecture "
		    "arm64, not amd64" },
		{ RS_RUN_RUNNING, RS_NOTSTARTED, FIRST, 0, &none, "no executor is connected" },
		{ RS_RUN_RUNNING, RS_NOTSTARTED, SECOND, 2, &none,
		    "it waits for task \"first\" to finish" },
		{ RS_RUN_RUNNING, RS_RUNNING, FIRST, 2, &none, NULL },
		{ RS_QUEUED, RS_NOTSTARTED, FIRST, 2, &held,
		    "its run waits for run 12 of the same group to finish" },
		{ RS_QUEUED, RS_NOTSTARTED, SECOND, 2, &line,
		    "its run waits for run 12 of the same group to finish, and then for 2 more of "
		    "the group before it" },
		{ RS_QUEUED, RS_NOTSTARTED, FIRST, 2, &none,
		    "its run waits for an earlier run of the same group to finish" },
		{ RS_RUN_CANCELLED, RS_NOTSTARTED, FIRST, 2, &none, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct rs_run run;
		make(&run);
		run.phase = table[i].phase;
		run.tasks[FIRST].status = table[i].status;
		run.tasks[FIRST].place = table[i].status == RS_RUNNING ? RS_HELD : RS_FREE;
		free(run.tasks[FIRST].arch);
		run.tasks[FIRST].arch = xstrdup("amd64");
		auto_free char *got =
		    rs_explain_task(&run, table[i].task, two, table[i].n, table[i].group);
		if (!table[i].want)
			assert_null(got);
		else if (!got || strcmp(got, table[i].want) != 0)
			fail_msg("row %zu: %s", i, got ? got : "nothing");
		rs_run_fini(&run);
	}
}

/* Executors are told only where they decide. */
static void
wants(void **state)
{
	struct rs_run run;

	(void)state;
	make(&run);
	assert_true(rs_explain_wants_executor(&run, FIRST));
	assert_false(rs_explain_wants_executor(&run, SECOND));
	run.tasks[FIRST].needs_approval = true;
	assert_false(rs_explain_wants_executor(&run, FIRST));
	run.tasks[FIRST].approved = true;
	assert_true(rs_explain_wants_executor(&run, FIRST));
	run.tasks[FIRST].place = RS_OFFERED;
	assert_false(rs_explain_wants_executor(&run, FIRST));
	rs_run_fini(&run);
}

/* A sentence stays one, however many there are. */
static void
many(void **state)
{
	struct rs_candidate list[RS_EXPLAIN_NAMED + 3];
	static const struct rs_explain_group none;
	struct rs_run run;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		list[i] = (struct rs_candidate){ "e", "amd64", false, true, 1, 0, "" };
	make(&run);
	auto_free char *got = rs_explain_task(&run, FIRST, list, ARRAY_LEN(list), &none);
	size_t named = 0;
	for (const char *p = got; (p = strstr(p, " e has no free slot (of 1)")); p++)
		named++;
	assert_int_equal(named, RS_EXPLAIN_NAMED);
	assert_non_null(strstr(got, "; and 3 more"));
	rs_run_fini(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(executors),
		cmocka_unit_test(tasks),
		cmocka_unit_test(wants),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests_name("runservice_explain", tests, NULL, NULL);
}
