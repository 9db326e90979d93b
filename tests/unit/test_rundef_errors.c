/*
 * Files with very many errors, each found at its exact place; the largest definition there can be;
 * and texts that are made to be expensive. Run from the top of the tree.
 */
#include "common/config.h"
#include "common/mem.h"
#include "tests/lib/definition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define FOLDER "tests/data/definitions/"

static char *
file_text(const char *name, size_t *n)
{
	auto_free char *path = xasprintf(FOLDER "%s", name);
	char *text = NULL;

	if (config_read_file(&text, n, path, 1 << 20, NULL) != 0)
		fail_msg("%s cannot be read: run from the top of the tree", path);
	return text;
}

/* Compares line by line, so that a difference is seen. */
static void
check_file(const char *name, const char *expected_name, size_t errors_min)
{
	size_t n, nexpected;
	auto_free char *text = file_text(name, &n);
	auto_free char *expected = file_text(expected_name, &nexpected);
	auto_buf got = BUF_INIT;
	struct parsed p = def_parse(text, n);
	char *rest = expected;

	assert_null(p.def);
	assert_true(p.diags.errors >= errors_min);
	for (size_t i = 0; i < p.diags.n; i++) {
		struct rundef_diags one = { .list = &p.diags.list[i], .n = 1 };
		const char *line = strsep(&rest, "\n");

		buf_clear(&got);
		rundef_diags_print(&got, &one, name);
		got.data[got.len - 1] = '\0';
		assert_string_equal(got.data, line ? line : "");
	}
	assert_string_equal(rest ? rest : "", "");
	def_drop(&p);
}

static void
test_many_errors(void **state)
{
	(void)state;
	check_file("many_errors.yml", "many_errors.yml.txt", 30);
	check_file("many_errors.json", "many_errors.json.txt", 10);
}

/* What was meant, where it can be guessed. */
static void
test_hints(void **state)
{
	static const struct {
		const char *text, *hint; /* of the first message that has one; NULL: none has */
	} cases[] = {
		{ TASK("working_dirs: a"), "working_dir" },
		{ TASK("Working-Dir: a"), "working_dir" },
		{ TASK("stpes: []"), "steps" },
		{ TASK("env: {A: b}"), "environment" },
		{ TASK("depend: [t]"), "depends" },
		{ TASK("interval: 5s"), "task_timeout_interval" },
		{ TASK("script: make"), NULL },
		{ TASK("x: y"), NULL },
		{ TASK("when: {brnch: a}"), "branch" },
		{ TASK("when: {branch: {includes: a}}"), "include" },
		{ TASK("when: {branch: {in: a}}"), NULL },
		{ TASK("depends: [{t: on_failure}]"), "{t: [on_failure]}" },
		{ TASK("depends: [{tsak: t}]"), "task" },
		{ TASK("depends: [{t: [on_sucess]}]"), "on_success" },
		{ TASKS("  - {name: build, " RT "}\n  - {name: t, depends: [biuld], " RT "}\n"),
		    "build" },
		{ STEPS("    - rn: make"), "run" },
		{ STEPS("    - {type: save_to_workspce}"), "save_to_workspace" },
		{ STEPS("    - workspace: {}"), NULL }, /* two have it */
		{ STEPS("    - Clone:"), "clone" },
		{ "runs: [{name: r, tasks: [{name: t, runtime: {arch: AMD64, containers: [{image: "
		  "i}]}}]}]",
		    "amd64" },
		{ "runs: [{name: r, tasks: [{name: t, runtime: {container: [{image: i}]}}]}]",
		    "containers" },
		{ "docker_registries_auth: {a: {type: encoded}}\nruns: [{name: r}]",
		    "encodedauth" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct parsed p = def_parse(cases[i].text, strlen(cases[i].text));
		const char *hint = NULL;

		for (size_t k = 0; k < p.diags.n && !hint; k++)
			hint = p.diags.list[k].hint;
		if (strcmp(hint ? hint : "", cases[i].hint ? cases[i].hint : "") != 0)
			fail_msg("%s: %s", cases[i].text, hint ? hint : "no hint");
		def_drop(&p);
	}
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Shown, never judged. */
static struct parsed
timed(const char *what, const struct buf *text)
{
	double start = seconds();
	struct parsed p = def_parse(text->data, text->len);

	print_message("# %s: %zu bytes in %.0f ms\n", what, text->len, (seconds() - start) * 1000);
	return p;
}

static void
tasks_text(struct buf *b, size_t n, bool chain)
{
	buf_clear(b);
	buf_puts(b, "runs:\n- name: r\n  tasks:\n");
	for (size_t i = 0; i < n; i++) {
		buf_printf(b,
		    "  - {name: t%05zu, runtime: {containers: [{image: a}]}, steps: [{run: make}]",
		    i);
		if (i > 0 && chain)
			buf_printf(b, ", depends: [t%05zu]", i - 1);
		buf_puts(b, "}\n");
	}
}

static void
test_largest(void **state)
{
	auto_buf text = BUF_INIT;

	(void)state;
	tasks_text(&text, 10000, true);
	while (text.len + 100 < RUNDEF_SIZE_MAX)
		buf_puts(&text,
		    "# as large as a definition can be ...................................\n");
	struct parsed p = timed("a chain of 10000 tasks", &text);
	assert_non_null(p.def);
	assert_int_equal(p.def->runs[0].tasks[9999].level, 9999);
	def_drop(&p);
	tasks_text(&text, 10001, true);
	p = timed("10001 tasks", &text);
	assert_int_equal(p.diags.errors, 1);
	assert_non_null(strstr(p.diags.list[0].message, "too many tasks"));
	def_drop(&p);
}

/* Every task waits for the same four hundred, by one alias. */
static void
test_wide(void **state)
{
	auto_buf text = BUF_INIT, list = BUF_INIT;

	(void)state;
	buf_puts(&list, "x-first: &first [");
	for (int i = 0; i < 400; i++)
		buf_printf(&list, "t%05d, ", i);
	buf_puts(&list, "]\n");
	tasks_text(&text, 400, false);
	buf_append(&list, text.data, text.len);
	for (int i = 400; i < 1400; i++)
		buf_printf(&list,
		    "  - {name: t%05d, runtime: {containers: [{image: a}]}, depends: *first}\n", i);
	struct parsed p = timed("400000 edges by aliases", &list);
	assert_non_null(p.def);
	assert_int_equal(p.def->runs[0].tasks[1399].ndepends, 400);
	def_drop(&p);
}

static void
test_hostile(void **state)
{
	auto_buf text = BUF_INIT;
	struct parsed p;

	(void)state;
	/* One ring of ten thousand tasks. */
	tasks_text(&text, 10000, true);
	char *first = strstr(text.data, "steps: [{run: make}]}");
	assert_non_null(first);
	memcpy(first, "depends: [t09999]   }", 21);
	p = timed("a ring of 10000 tasks", &text);
	assert_true(p.diags.errors > 200);
	assert_non_null(strstr(p.diags.list[0].message, "circular dependency"));
	def_drop(&p);
	/* Billion laughs. */
	buf_clear(&text);
	buf_puts(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 10; i++)
		buf_printf(&text,
		    "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
		    i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	buf_puts(&text, "runs: *a9\n");
	p = timed("a billion laughs", &text);
	assert_int_equal(p.diags.errors, 1);
	assert_non_null(strstr(p.diags.list[0].message, "too many nodes"));
	def_drop(&p);
	/* The largest matrix of the largest task that fits. */
	buf_clear(&text);
	buf_puts(&text, "version: v1\nx-s: &s [");
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "run: make %d, ", i);
	buf_puts(&text, "]\nx-m: &m {A: [");
	for (int i = 0; i < 256; i++)
		buf_printf(&text, "%d, ", i);
	buf_puts(&text, "]}\nruns:\n- name: r\n  tasks:\n");
	for (int i = 0; i < 40; i++)
		buf_printf(&text,
		    "  - {name: t%d, matrix: *m, steps: *s, runtime: {containers: [{image: i}]}}\n",
		    i);
	p = timed("10240 tasks of 1000 steps", &text);
	assert_null(p.def);
	assert_int_equal(p.diags.errors, 1);
	assert_non_null(strstr(p.diags.list[0].message, "too large"));
	def_drop(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_errors),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_wide),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
