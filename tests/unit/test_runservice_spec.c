/* A run's definition as it comes over the wire: checked, made into the model, renamed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "runservice/spec.h"

#include <string.h>

#define TASKS_MAX 4
#define A "00000000-0000-4000-8000-00000000000a"
#define B "00000000-0000-4000-8000-00000000000b"
#define C "00000000-0000-4000-8000-00000000000c"
#define UNCONST(s) ((char *)(uintptr_t)(s))

/* Up to four tasks, each with at most one parent and one condition. */
struct fixture {
	Millrace__RunSpec spec;
	Millrace__TaskSpec tasks[TASKS_MAX], *list[TASKS_MAX];
	Millrace__Container container, *containers[1];
	Millrace__Depend depends[TASKS_MAX], *depend_lists[TASKS_MAX];
	char *conditions[TASKS_MAX];
};

struct task {
	const char *id, *name, *parent, *condition;
};

static void
build(struct fixture *f, const struct task *tasks, size_t n)
{
	millrace__run_spec__init(&f->spec);
	millrace__container__init(&f->container);
	f->containers[0] = &f->container;
	f->container.image = UNCONST("i");
	f->spec.name = UNCONST("run");
	f->spec.group = UNCONST("/user/u/branch/master");
	f->spec.tasks = f->list;
	f->spec.n_tasks = n;
	for (size_t i = 0; i < n; i++) {
		Millrace__TaskSpec *t = f->list[i] = &f->tasks[i];

		millrace__task_spec__init(t);
		t->id = UNCONST(tasks[i].id);
		t->name = UNCONST(tasks[i].name);
		t->containers = f->containers;
		t->n_containers = 1;
		if (!tasks[i].parent)
			continue;
		millrace__depend__init(&f->depends[i]);
		f->depends[i].task_id = UNCONST(tasks[i].parent);
		f->conditions[i] = UNCONST(tasks[i].condition);
		f->depends[i].conditions = &f->conditions[i];
		f->depends[i].n_conditions = tasks[i].condition != NULL;
		f->depend_lists[i] = &f->depends[i];
		t->depends = &f->depend_lists[i];
		t->n_depends = 1;
	}
}

static void
conditions(void **state)
{
	static const struct {
		const char *word;
		unsigned mask;
	} cases[] = {
		{ NULL, RS_ON_SUCCESS },
		{ "on_success", RS_ON_SUCCESS },
		{ "on_failure", RS_ON_FAILURE },
		{ "on_skipped", RS_ON_SKIPPED },
		{ "on_succes", 0 }, /* it never holds */
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct task tasks[] = { { B, "b", A, cases[i].word },
			{ A, "a", NULL, NULL } };
		struct fixture f;
		struct rs_run run;
		char *graph_error = NULL;
		auto_err err = NULL;

		build(&f, tasks, 2);
		assert_int_equal(rs_spec_to_run(&run, &graph_error, &f.spec, &err), 0);
		assert_null(graph_error);
		assert_string_equal(run.owner, "/user/u");
		assert_int_equal(run.tasks[0].deps[0].parent, 1);
		assert_int_equal(run.tasks[0].deps[0].conditions, cases[i].mask);
		assert_int_equal(run.tasks[0].level, 1);
		rs_run_fini(&run);
	}
}

/* 3.4: a graph that is wrong makes a run that says so. */
static void
graphs(void **state)
{
	static const struct task ring[] = { { A, "a", B, NULL }, { B, "b", C, NULL },
		{ C, "c", A, NULL } };
	struct fixture f;
	struct rs_run run;
	char *graph_error = NULL;
	auto_err err = NULL;

	(void)state;
	build(&f, ring, 3);
	assert_int_equal(rs_spec_to_run(&run, &graph_error, &f.spec, &err), 0);
	assert_non_null(graph_error);
	assert_non_null(strstr(graph_error, "circular dependency"));
	assert_int_equal(run.ntasks, 0);
	assert_string_equal(run.name, "run");
	free(graph_error);
	rs_run_fini(&run);
}

static void
refused(void **state)
{
	static const struct {
		struct task tasks[2];
		const char *why;
	} cases[] = {
		{ { { A, "a", NULL, NULL }, { A, "b", NULL, NULL } }, "is used twice" },
		{ { { A, "a", C, NULL }, { B, "b", NULL, NULL } }, "which doesn't exist" },
		{ { { "x", "a", NULL, NULL }, { B, "b", NULL, NULL } }, "is not a UUID" },
		{ { { A, "", NULL, NULL }, { B, "b", NULL, NULL } }, "name is empty" },
	};
	static const char *const groups[] = { "", "user/u/branch/x", "/user", "/other/u/branch/x" };
	struct fixture f;
	struct rs_run run;
	char *graph_error = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_err err = NULL;

		build(&f, cases[i].tasks, 2);
		assert_int_equal(rs_spec_to_run(&run, &graph_error, &f.spec, &err), ERR_INVALID);
		if (!strstr(err_msg(err), cases[i].why))
			fail_msg("%s", err_msg(err));
	}
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		auto_err err = NULL;

		build(&f, cases[0].tasks, 1);
		f.spec.group = UNCONST(groups[i]);
		assert_int_equal(rs_spec_to_run(&run, &graph_error, &f.spec, &err), ERR_INVALID);
	}
	auto_err err = NULL;
	build(&f, cases[0].tasks, 1);
	f.tasks[0].n_containers = 0;
	assert_int_equal(rs_spec_to_run(&run, &graph_error, &f.spec, &err), ERR_INVALID);
}

/* A restart: those in the map, and what depends on them. */
static void
renamed(void **state)
{
	static const struct task tasks[] = { { A, "a", NULL, NULL }, { B, "b", A, NULL } };
	struct fixture f;
	struct rs_map ids = { 0 };
	char fresh[] = C;

	(void)state;
	build(&f, tasks, 2);
	f.tasks[0].id = xstrdup(A);
	f.depends[1].task_id = xstrdup(A);
	rs_map_put(&ids, A, fresh);
	rs_spec_rename(&f.spec, &ids);
	rs_map_fini(&ids);
	assert_string_equal(f.tasks[0].id, C);
	assert_string_equal(f.depends[1].task_id, C);
	assert_string_equal(f.tasks[1].id, B);
	free(f.tasks[0].id);
	free(f.depends[1].task_id);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions),
		cmocka_unit_test(graphs),
		cmocka_unit_test(refused),
		cmocka_unit_test(renamed),
	};
	return cmocka_run_group_tests_name("runservice_spec", tests, NULL, NULL);
}
