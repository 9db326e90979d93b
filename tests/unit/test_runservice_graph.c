/* Levels, ancestors and graph checks: the tables of config-and-runs.md 2.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "runservice/graph.h"

#include <string.h>

#define NODES_MAX 6

/* Tasks are named 1, 2, ...; edges are "21" = task2 depends on task1. */
struct fixture {
	struct rs_node nodes[NODES_MAX];
	size_t parents[NODES_MAX][NODES_MAX];
	struct rs_graph g;
};

static void
build(struct fixture *f, size_t n, const char *edges)
{
	static const char *const names[] = { "task1", "task2", "task3", "task4", "task5", "task6" };
	memset(f, 0, sizeof(*f));
	for (size_t i = 0; i < n; i++)
		f->nodes[i] = (struct rs_node){ .name = names[i], .parents = f->parents[i] };
	for (; *edges; edges += edges[2] ? 3 : 2) {
		struct rs_node *t = &f->nodes[edges[0] - '1'];
		f->parents[edges[0] - '1'][t->nparents++] = (size_t)(edges[1] - '1');
	}
	f->g = (struct rs_graph){ .nodes = f->nodes, .n = n };
}

static void
levels(void **state)
{
	static const struct {
		size_t n;
		const char *edges;
		unsigned want[NODES_MAX];
		bool cycle;
	} table[] = {
		{ 1, "", { 0 }, false },
		{ 2, "", { 0, 0 }, false },
		{ 2, "21", { 0, 1 }, false },
		{ 4, "21 32 43", { 0, 1, 2, 3 }, false },
		{ 3, "31 32 21", { 0, 1, 2 }, false },
		{ 2, "12 21", { 0 }, true },
		{ 3, "12 23 31", { 0 }, true },
		{ 3, "12 23 32", { 0 }, true },
		{ 1, "11", { 0 }, true },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct fixture f;
		unsigned got[NODES_MAX];
		auto_err err = NULL;
		build(&f, table[i].n, table[i].edges);
		int rc = rs_graph_levels(got, &f.g, &err);
		assert_int_equal(rc, table[i].cycle ? ERR_INVALID : 0);
		if (table[i].cycle)
			assert_string_equal(err_msg(err), "circular dependency detected");
		for (size_t j = 0; rc == 0 && j < table[i].n; j++)
			assert_int_equal(got[j], table[i].want[j]);
	}
}

static void
ancestors(void **state)
{
	static const struct {
		size_t n;
		const char *edges;
		const char *want[NODES_MAX]; /* per task: its ancestors' digits */
	} table[] = {
		{ 1, "", { "" } },
		{ 2, "", { "", "" } },
		{ 1, "11", { "1" } },
		{ 2, "21", { "", "1" } },
		{ 5, "12 13 24 35", { "2345", "4", "5", "", "" } },
		{ 2, "12 21", { "12", "12" } },
		{ 3, "12 23 31", { "123", "123", "123" } },
		{ 3, "12 23 32", { "23", "23", "23" } },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct fixture f;
		build(&f, table[i].n, table[i].edges);
		for (size_t j = 0; j < table[i].n; j++) {
			bool got[NODES_MAX];
			char text[NODES_MAX + 1] = "";
			rs_graph_ancestors(got, &f.g, j);
			for (size_t k = 0; k < table[i].n; k++) {
				if (got[k])
					strncat(text, &"1\0002\0003\0004\0005\0006"[2 * k], 1);
			}
			assert_string_equal(text, table[i].want[j]);
		}
	}
}

#define CYCLE(a_, b_) "circular dependency between task \"task" a_ "\" and task \"task" b_ "\""
#define BOTH(t_, p_, x_)                                                                           \
	"task \"task" t_ "\" and its parent \"task" p_                                             \
	"\" have both a dependency on task \"task" x_ "\""

static void
checks(void **state)
{
	static const struct {
		size_t n;
		const char *edges, *want; /* NULL = good */
	} table[] = {
		{ 1, "", NULL },
		{ 2, "", NULL },
		{ 2, "21", NULL },
		{ 4, "21 31 42 43", NULL },
		{ 2, "12 21", CYCLE("1", "2") ", " CYCLE("2", "1") },
		{ 3, "12 23 31", CYCLE("1", "3") ", " CYCLE("2", "1") ", " CYCLE("3", "2") },
		{ 3, "12 23 32", CYCLE("2", "3") ", " CYCLE("3", "2") },
		{ 3, "32 31 21", BOTH("3", "2", "1") },
		{ 4, "43 41 32 21", BOTH("4", "3", "1") },
		{ 2, "21 21", "duplicate task dependency: task \"task2\"" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct fixture f;
		auto_err err = NULL;
		build(&f, table[i].n, table[i].edges);
		int rc = rs_graph_check(&f.g, &err);
		assert_int_equal(rc, table[i].want ? ERR_INVALID : 0);
		if (table[i].want)
			assert_string_equal(err_msg(err), table[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels),
		cmocka_unit_test(ancestors),
		cmocka_unit_test(checks),
	};
	return cmocka_run_group_tests_name("runservice_graph", tests, NULL, NULL);
}
