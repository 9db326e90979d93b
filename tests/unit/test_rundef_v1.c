/* What "version: v1" adds: read and checked with it, an unknown key without it. */
#include "common/mem.h"
#include "rundef/print.h"
#include "tests/lib/definition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define V1 "version: v1\n"
/* A task's further fields begin at line 6, column 5. */
#define V1_TASK(fields) V1 TASK(fields)
#define V1_STEPS(steps) V1 STEPS(steps)

static void
test_only_with_v1(void **state)
{
	static const struct {
		const char *key, *v0, *v1;
	} cases[] = {
		{ "retries", TASK("retries: 1"), V1_TASK("retries: 1") },
		{ "timeout", TASK("timeout: 1m"), V1_TASK("timeout: 1m") },
		{ "post", TASK("post: [{run: a}]"), V1_TASK("post: [{run: a}]") },
		{ "matrix", TASK("matrix: {A: [1]}"), V1_TASK("matrix: {A: [1]}") },
		{ "event", TASK("when: {branch: b, event: push}"),
		    V1_TASK("when: {branch: b, event: push}") },
		{ "paths", TASK("when: {branch: b, paths: a}"),
		    V1_TASK("when: {branch: b, paths: a}") },
		{ "if", STEPS("    - run: {command: c, if: always}"),
		    V1_STEPS("    - run: {command: c, if: always}") },
		{ "retries", STEPS("    - clone: {retries: 1}"),
		    V1_STEPS("    - clone: {retries: 1}") },
		{ "timeout", STEPS("    - {type: run, command: c, timeout: 1m}"),
		    V1_STEPS("    - {type: run, command: c, timeout: 1m}") },
		{ "labels",
		    "runs: [{name: r, tasks: [{name: t, runtime: {labels: {a: b}, containers: "
		    "[{image: i}]}}]}]",
		    V1 "runs: [{name: r, tasks: [{name: t, runtime: {labels: {a: b}, containers: "
		       "[{image: i}]}}]}]" },
		{ "resources",
		    "runs: [{name: r, tasks: [{name: t, runtime: {containers: [{image: i, "
		    "resources: "
		    "{cpu: 1}}]}}]}]",
		    V1 "runs: [{name: r, tasks: [{name: t, runtime: {containers: [{image: i, "
		       "resources: {cpu: 1}}]}}]}]" },
		{ "cancel_previous",
		    "runs: [{name: r, cancel_previous: true, tasks: [{name: t, " RT "}]}]",
		    V1 "runs: [{name: r, cancel_previous: true, tasks: [{name: t, " RT "}]}]" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *unknown = xasprintf("unknown key \"%s\"", cases[i].key);
		struct parsed p = def_accepted(cases[i].v1);

		WARNED(cases[i].v0, 0, 0, unknown);
		WARNED(cases[i].v0, 0, 0, "it needs \"version: v1\"");
		for (size_t k = 0; k < p.diags.n; k++)
			assert_null(strstr(p.diags.list[k].message, "unknown"));
		assert_true(p.def->v1);
		def_drop(&p);
	}
	/* Without it nothing of it counts. */
	struct parsed p =
	    def_accepted(TASK("retries: 3\n    timeout: 1m\n    matrix: {A: [1, 2]}"));
	assert_int_equal(p.def->runs[0].ntasks, 1);
	assert_int_equal(def_first_task(&p)->retries, 0);
	assert_int_equal(def_first_task(&p)->timeout_ns, 0);
	assert_false(p.def->v1);
	def_drop(&p);
	WARNED("version: 1\nruns: [{name: r, tasks: []}]", 1, 10, "unknown version");
	WARNED("version: v2\nruns: [{name: r, tasks: []}]", 1, 10, "unknown version");
}

static void
test_tasks_and_steps(void **state)
{
	struct parsed p = def_accepted(
	    V1 "task_timeout_interval: 1h\nruns:\n- name: r\n  cancel_previous: on\n  tasks:\n"
	       "  - name: t\n"
	       "    retries: 2\n"
	       "    timeout: 90s\n"
	       "    runtime: {labels: {gpu: 'yes', zone: eu}, containers: [{image: i, resources: "
	       "{cpu: 1.5, memory: 512Mi}}, {image: j, resources: {cpu: 500m}}]}\n"
	       "    steps:\n"
	       "    - run: {command: a, retries: 3, timeout: 10s, if: on_failure}\n"
	       "    - {type: clone, if: always}\n"
	       "    - run: b\n"
	       "    post:\n"
	       "    - run: c\n"
	       "    - run: {command: d, if: on_success}\n");
	const struct rundef_task *t = def_first_task(&p);

	(void)state;
	assert_int_equal(p.diags.n, 0);
	assert_true(p.def->runs[0].cancel_previous);
	assert_int_equal(t->retries, 2);
	assert_int_equal(t->timeout_ns, 90000000000);
	assert_int_equal(t->labels.n, 2);
	assert_string_equal(t->labels.list[0].name, "gpu");
	assert_string_equal(t->labels.list[0].value, "yes");
	assert_int_equal(t->containers[0].cpu_milli, 1500);
	assert_int_equal(t->containers[0].memory, 512 << 20);
	assert_int_equal(t->containers[1].cpu_milli, 500);
	assert_int_equal(t->containers[1].memory, 0);
	assert_int_equal(t->nsteps, 5);
	assert_int_equal(t->steps[0].retries, 3);
	assert_int_equal(t->steps[0].timeout_ns, 10000000000);
	assert_int_equal(t->steps[0].run_if, RUNDEF_IF_FAILURE);
	assert_int_equal(t->steps[1].run_if, RUNDEF_IF_ALWAYS);
	assert_int_equal(t->steps[2].run_if, RUNDEF_IF_SUCCESS);
	assert_false(t->steps[2].post);
	assert_true(t->steps[3].post);
	assert_int_equal(t->steps[3].run_if, RUNDEF_IF_ALWAYS);
	assert_int_equal(t->steps[4].run_if, RUNDEF_IF_SUCCESS);
	def_drop(&p);
}

static void
test_refused(void **state)
{
	(void)state;
	REFUSED(V1_TASK("retries: 11"), 6, 14, "retries must be between 0 and 10, found 11");
	REFUSED(V1_TASK("retries: -1"), 6, 14, "retries must be between");
	REFUSED(V1_TASK("retries: '1'"), 6, 14, "expected a whole number");
	REFUSED(V1_TASK("timeout: 10"), 6, 14, "a timeout needs a unit: write for example \"10s\"");
	REFUSED(V1_TASK("timeout: -1s"), 6, 14, "negative");
	REFUSED(V1_TASK("timeout: 1s\n    task_timeout_interval: 1s"), 6, 14, "give one of them");
	REFUSED(V1_TASK("post: {run: a}"), 6, 11, "steps must be a list");
	REFUSED(V1_TASK("post: [{run: ''}]"), 6, 18, "a run step needs a command");
	REFUSED(
	    V1_STEPS("    - run: {command: c, if: sometimes}"), 7, 29, "wrong if \"sometimes\"");
	REFUSED(V1_STEPS("    - run: {command: c, if: yes}"), 7, 29, "expected text");
	REFUSED(V1_STEPS("    - run: {command: c, retries: 99}"), 7, 34, "between 0 and 10");
	REFUSED(V1_TASK("when: {event: pull}"), 6, 19, "unknown event \"pull\"");
	REFUSED(V1_TASK("when: {paths: '{a'}"), 6, 19, "wrong pattern {a");
	REFUSED(V1 "runs: [{name: r, tasks: [{name: t, runtime: {labels: [a], "
	           "containers: [{}]}}]}]",
	    2, 54, "labels must be a mapping");
	REFUSED(V1 "runs: [{name: r, tasks: [{name: t, runtime: {labels: {a: 1}, "
	           "containers: [{}]}}]}]",
	    2, 58, "expected text, found a number");
	REFUSED(V1 "runs: [{name: r, tasks: [{name: t, runtime: {labels: {'a=b': c}, "
	           "containers: [{}]}}]}]",
	    2, 55, "a name without \"=\"");
	REFUSED(V1 "runs: [{name: r, tasks: [{name: t, runtime: {labels: {a: \"b\\nc\"}, "
	           "containers: [{}]}}]}]",
	    2, 55, "both of one line");
	REFUSED(V1 "runs: [{name: r, tasks: [{name: t, runtime: {labels: {\"a\\tb\": c}, "
	           "containers: [{}]}}]}]",
	    2, 55, "both of one line");
#define RESOURCES(fields)                                                                          \
	V1 "runs: [{name: r, tasks: [{name: t, runtime: {containers: [{image: i, resources: "      \
	   "{" fields "}}]}}]}]"
	REFUSED(RESOURCES("cpu: 0"), 2, 87, "at least 10m and at most 1000");
	REFUSED(RESOURCES("cpu: 9m"), 2, 87, "at least 10m");
	REFUSED(RESOURCES("cpu: 0.009"), 2, 87, "at least 10m");
	def_check_accepted(RESOURCES("cpu: 0.01"), false);
	REFUSED(RESOURCES("cpu: 1001"), 2, 87, "at most 1000");
	REFUSED(RESOURCES("cpu: much"), 2, 87, "invalid cpu \"much\"");
	REFUSED(RESOURCES("cpu: -1"), 2, 87, "negative");
	REFUSED(RESOURCES("memory: 512"), 2, 90, "at least 6Mi of memory, found 512 bytes");
	REFUSED(RESOURCES("memory: []"), 2, 90, "expected a number or text such as 1Gi");
	WARNED(RESOURCES("cpus: 1"), 2, 82, "unknown key \"cpus\"");
}

/* --- when --- */

static bool
matches(const char *when, const char *event, const char *const *paths, size_t npaths)
{
	auto_free char *text =
	    xasprintf(V1 "runs: [{name: r, when: {%s}, tasks: [{name: t, " RT "}]}]", when);
	struct parsed p = def_accepted(text);
	struct rundef_ref ref = { .ref_type = "branch",
		.branch = "master",
		.tag = "",
		.ref = "refs/heads/master",
		.event = event,
		.paths = paths,
		.npaths = npaths };
	bool match = rundef_when_matches(&p.def->runs[0].when, &ref);

	def_drop(&p);
	return match;
}

static void
test_events(void **state)
{
	static const struct {
		const char *when, *event;
		bool match;
	} cases[] = {
		{ "event: push", "push", true },
		{ "event: push", "manual", false },
		{ "event: [push, manual]", "manual", true },
		{ "event: {exclude: direct}", "direct", false },
		{ "event: {exclude: direct}", "push", true },
		{ "event: push", NULL, true }, /* not known */
		{ "branch: master, event: push", "push", true },
		{ "branch: other, event: push", "push", false },
		{ "branch: master, event: push", "tag", false },
		{ "branch: {exclude: x}, event: push", "push", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (matches(cases[i].when, cases[i].event, NULL, 0) != cases[i].match)
			fail_msg("%s", cases[i].when);
}

static void
test_paths(void **state)
{
	static const struct {
		const char *when, *file;
		bool match;
	} cases[] = {
		{ "paths: README.md", "README.md", true },
		{ "paths: README.md", "docs/README.md", false },
		{ "paths: '*.md'", "README.md", true },
		{ "paths: '*.md'", "docs/README.md", false },
		{ "paths: '**/*.md'", "README.md", true },
		{ "paths: '**/*.md'", "docs/a/README.md", true },
		{ "paths: 'src/**'", "src/a/b.c", true },
		{ "paths: 'src/**'", "source/a", false },
		{ "paths: 'src/**/test.c'", "src/test.c", true },
		{ "paths: 'src/**/test.c'", "src/a/b/test.c", true },
		{ "paths: 'a?c'", "abc", true },
		{ "paths: 'a?c'", "a/c", false },
		{ "paths: '*.{c,h}'", "x.h", true },
		{ "paths: '*.{c,h}'", "x.o", false },
		{ "paths: '[a-c].c'", "b.c", true },
		{ "paths: '[!a-c].c'", "b.c", false },
		{ "paths: '[!a-c].c'", "d.c", true },
		{ "paths: 'a+(b).c'", "a+(b).c", true },
		{ "paths: '\\*'", "*", true },
		{ "paths: '\\*'", "a", false },
		{ "paths: '/\\.c$/'", "src/a.c", true },
		{ "paths: {exclude: 'docs/**'}", "docs/a", false },
		{ "paths: {exclude: 'docs/**'}", "src/a", true },
		{ "paths: {include: '**', exclude: 'docs/**'}", "docs/a", false },
		{ "branch: master, paths: 'a'", "a", true },
		{ "branch: other, paths: 'a'", "a", false },
	};
	static const char *const two[] = { "docs/a", "src/a" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (matches(cases[i].when, NULL, &cases[i].file, 1) != cases[i].match)
			fail_msg("%s %s", cases[i].when, cases[i].file);
	assert_true(matches("paths: {exclude: 'docs/**'}", NULL, two, 2)); /* some file is enough */
	assert_false(matches("paths: '*.md'", NULL, two, 2));
	assert_true(matches("paths: '*.md'", NULL, NULL, 0)); /* not known */
	assert_false(matches("paths: '**'", NULL, two, 0));   /* known: none */
}

/* --- matrix --- */

/* Names of the tasks, "; " between them. */
static void
check_names(const char *tasks, const char *expected)
{
	auto_free char *text = xasprintf(V1 "runs:\n- name: r\n  tasks:\n%s", tasks);
	struct parsed p = def_accepted(text);
	auto_buf names = BUF_INIT;

	for (size_t i = 0; i < p.def->runs[0].ntasks; i++)
		buf_printf(&names, "%s%s", i ? "; " : "", p.def->runs[0].tasks[i].name);
	assert_string_equal(buf_str(&names), expected);
	def_drop(&p);
}
#define M(matrix) "  - {name: t, matrix: {" matrix "}, " RT "}\n"

static void
test_matrix_expansion(void **state)
{
	(void)state;
	check_names(M("A: [1, 2]"), "t (1); t (2)");
	check_names(M("A: [1, 2], B: [x, y]"), "t (1, x); t (1, y); t (2, x); t (2, y)");
	check_names(M("A: [1.10, yes, 0x1, text]"), "t (1.10); t (yes); t (0x1); t (text)");
	check_names(
	    M("A: [1, 2], B: [x, y], exclude: [{A: 2, B: x}]"), "t (1, x); t (1, y); t (2, y)");
	check_names(M("A: [1, 2], B: [x, y], exclude: [{A: 2}]"), "t (1, x); t (1, y)");
	check_names(M("A: [1, 2], include: [{A: 3}]"), "t (1); t (2); t (3)");
	check_names(M("A: [1, 2], include: [{A: 2, X: y}]"), "t (1); t (2)");
	check_names(M("A: [1], include: [{A: 2, X: y}]"), "t (1); t (2)");
	check_names(M("include: [{A: 1, B: 2}, {A: 3, B: 4}]"), "t (1, 2); t (3, 4)");
	check_names("  - {name: 't-${{ matrix.A }}', matrix: {A: [1, 2]}, " RT "}\n", "t-1; t-2");
}

static void
test_matrix_values(void **state)
{
	struct parsed p = def_accepted(
	    V1 "runs:\n- name: r\n  tasks:\n  - name: t\n"
	       "    matrix: {go: ['1.20', '1.21'], arch: [amd64, arm64], include: [{go: '1.21', X: "
	       "extra}]}\n"
	       "    runtime: {arch: '${{ matrix.arch }}', containers: [{image: "
	       "'golang:${{matrix.go}}', resources: {memory: '${{ matrix.go }}Gi'}}]}\n"
	       "    environment: {OWN: \"v${{\tmatrix.go }}${{ matrix.arch}}\"}\n"
	       "    when: {branch: '/${{ matrix.arch }}$/'}\n"
	       "    steps:\n"
	       "    - run: make ${{ matrix.go }} ${{ other }} $${{ matrix.arch }} ${x}\n"
	       "    - save_cache: {key: 'c-{{ arch }}-${{ matrix.go }}', contents: [{source_dir: "
	       "a}]}\n");
	const struct rundef_task *t = &p.def->runs[0].tasks[2]; /* 1.21, amd64 */

	(void)state;
	assert_int_equal(p.def->runs[0].ntasks, 4);
	assert_string_equal(t->name, "t (1.21, amd64)");
	assert_string_equal(t->matrix_name, "t");
	assert_int_equal(t->matrix.n, 3);
	assert_string_equal(t->matrix.list[0].name, "go");
	assert_string_equal(t->matrix.list[0].value, "1.21");
	assert_string_equal(t->arch, "amd64");
	assert_string_equal(t->containers[0].image, "golang:1.21");
	assert_int_equal(t->containers[0].memory, 1299227608); /* 1.21Gi, rounded up */
	assert_int_equal(t->environment.n, 4);
	assert_string_equal(t->environment.list[0].name, "go");
	assert_string_equal(t->environment.list[1].value.literal, "amd64");
	assert_string_equal(t->environment.list[2].name, "X");
	assert_string_equal(t->environment.list[3].value.literal, "v1.21amd64");
	assert_string_equal(t->when.branch.include[0].text, "amd64$");
	assert_string_equal(t->steps[0].command, "make 1.21 ${{ other }} $amd64 ${x}");
	assert_string_equal(t->steps[1].key, "c-{{ arch }}-1.21");
	assert_int_equal(p.def->runs[0].tasks[0].environment.n, 3);
	def_drop(&p);
	/* Outside of a matrix such a text is text. */
	p = def_accepted(V1_STEPS("    - run: echo ${{ matrix.A }}"));
	assert_string_equal(def_first_task(&p)->steps[0].command, "echo ${{ matrix.A }}");
	def_drop(&p);
}

static void
test_matrix_depends(void **state)
{
	struct parsed p = def_accepted(
	    V1 "runs:\n- name: r\n  tasks:\n"
	       "  - {name: a, matrix: {V: [1, 2]}, " RT "}\n"
	       "  - {name: b, matrix: {V: [1, 2]}, " RT ", depends: ['a (${{ matrix.V }})']}\n"
	       "  - {name: all, " RT ", depends: [{b: [on_failure, on_success]}]}\n"
	       "  - {name: one, " RT ", depends: ['b (2)']}\n");
	const struct rundef_task *t = p.def->runs[0].tasks;

	(void)state;
	assert_int_equal(p.def->runs[0].ntasks, 6);
	assert_string_equal(t[2].depends[0].task, "a (1)");
	assert_int_equal(t[3].depends[0].index, 1);
	assert_int_equal(t[4].ndepends, 2);
	assert_string_equal(t[4].depends[0].task, "b (1)");
	assert_string_equal(t[4].depends[1].task, "b (2)");
	assert_int_equal(t[4].depends[1].nconditions, 2);
	assert_string_equal(t[4].depends[1].conditions[0], "on_failure");
	assert_int_equal(t[4].level, 2);
	assert_int_equal(t[5].ndepends, 1);
	assert_int_equal(t[5].depends[0].index, 3);
	def_drop(&p);
	REFUSED(V1 TASKS("  - {name: a, matrix: {V: [1, 2]}, " RT "}\n  - {name: b, " RT
	                 ", depends: ['a (3)']}\n"),
	    6, 62, "task \"a (3)\" needed by task \"b\" doesn't exist");
	REFUSED(V1 TASKS("  - {name: a, matrix: {V: [1, 2]}, depends: [a], " RT "}\n"), 5, 46,
	    "circular dependency");
	REFUSED(V1 TASKS("  - {name: a, matrix: {V: [1, 2]}, " RT "}\n  - {name: b, " RT
	                 ", depends: [a, 'a (1)']}\n"),
	    0, 0, "duplicate task dependency");
}

static void
test_matrix_refused(void **state)
{
	(void)state;
	REFUSED(V1 TASKS(M("")), 5, 23, "the matrix has no combination");
	REFUSED(V1_TASK("matrix: [a]"), 6, 13, "matrix must be a mapping");
	REFUSED(V1_TASK("matrix: {A: 1}"), 6, 17, "expected a list of values, found integer");
	REFUSED(V1_TASK("matrix: {A: []}"), 6, 17, "found an empty one");
	REFUSED(V1_TASK("matrix: {A: [1, ~]}"), 6, 21, "must be text, found null");
	REFUSED(V1_TASK("matrix: {A: [1, [2]]}"), 6, 21, "must be text, found list");
	REFUSED(V1_TASK("matrix: {A: [1, 1]}"), 6, 21, "\"1\" is given twice");
	REFUSED(V1_TASK("matrix: {A-B: [1]}"), 6, 14, "cannot be a name in a matrix");
	REFUSED(V1_TASK("matrix: {1A: [1]}"), 6, 14, "cannot be a name in a matrix");
	REFUSED(V1_TASK("matrix: {A: [1], exclude: {A: 1}}"), 6, 31, "expected a list");
	REFUSED(V1_TASK("matrix: {A: [1], exclude: [{B: 1}]}"), 6, 33, "has no axis \"B\"");
	REFUSED(V1_TASK("matrix: {A: [1], exclude: [{}]}"), 6, 32, "an empty one");
	REFUSED(V1_TASK("matrix: {A: [1], exclude: [{A: 1}]}"), 6, 13, "has no combination");
	REFUSED(V1_TASK("matrix: {A: [1], include: [5]}"), 6, 32, "found integer");
	WARNED(V1_TASK("matrix: {A: [1], exclude: [{A: 2}]}"), 6, 32, "no combination is excluded");
	REFUSED(V1_TASK("matrix: {A: [1]}\n    user: ${{ matrix.AB }}"), 7, 11,
	    "the matrix has no \"AB\" in the combination (1)");
	REFUSED(
	    V1_TASK("matrix: {A: [1], include: [{A: 1, B: x}, {A: 2}]}\n    user: ${{ matrix.B }}"),
	    7, 11, "no \"B\" in the combination (2)");
	REFUSED(V1_TASK("matrix: {A: [1]}\n    environment: {A: x}"), 7, 18,
	    "\"A\" is in the environment already");
	REFUSED(
	    V1 TASKS(M("A: [1, 2]") "  - {name: t, " RT "}\n"), 6, 12, "duplicate task name \"t\"");
	REFUSED(V1 TASKS(M("A: [1, 2]") "  - {name: 't (1)', " RT "}\n"), 6, 12,
	    "duplicate task name \"t (1)\"");
	/* Said once, although each combination has it. */
	struct parsed p = def_parse(V1_TASK("matrix: {A: [1, 2, 3]}\n    approval: 5"),
	    strlen(V1_TASK("matrix: {A: [1, 2, 3]}\n    approval: 5")));
	assert_int_equal(p.diags.errors, 1);
	def_drop(&p);
}

static void
test_matrix_bounds(void **state)
{
	auto_buf most = BUF_INIT, more = BUF_INIT, axes = BUF_INIT, names = BUF_INIT,
	         bomb = BUF_INIT;

	(void)state;
	for (int i = 0; i < 16; i++)
		buf_printf(&most, "%s%d", i ? ", " : "", i);
	auto_free char *fits = xasprintf(V1
	    "runs: [{name: r, tasks: [{name: t, matrix: {A: [%s], B: [%s]}, " RT "}]}]",
	    buf_str(&most), buf_str(&most));
	struct parsed p = def_accepted(fits);
	assert_int_equal(p.def->runs[0].ntasks, 256);
	def_drop(&p);
	buf_printf(&more,
	    V1 "runs: [{name: r, tasks: [{name: t, matrix: {A: [%s], B: [%s, 16]}, " RT "}]}]",
	    buf_str(&most), buf_str(&most));
	REFUSED(buf_str(&more), 0, 0, "more than 256 combinations");
	buf_puts(&axes, V1 "runs: [{name: r, tasks: [{name: t, matrix: {");
	for (int i = 0; i < 11; i++)
		buf_printf(&axes, "A%d: [x], ", i);
	buf_puts(&axes, "}, " RT "}]}]");
	REFUSED(buf_str(&axes), 0, 0, "10 axes at most");
	buf_puts(&names, V1 "runs: [{name: r, tasks: [{name: t, matrix: {A: [");
	for (int i = 0; i < 100; i++)
		buf_putc(&names, 'x');
	buf_puts(&names, "]}, " RT "}]}]");
	REFUSED(buf_str(&names), 0, 0, "too long with the values of the matrix: 104 bytes");
	/* A value of 100 kB in ten thousand places. */
	buf_puts(&bomb, V1 "runs: [{name: r, tasks: [{name: n, matrix: {A: [\"");
	for (int i = 0; i < 100000; i++)
		buf_putc(&bomb, 'x');
	buf_puts(&bomb, "\"]}, user: \"");
	for (int i = 0; i < 10000; i++)
		buf_puts(&bomb, "${{matrix.A}}");
	buf_puts(&bomb, "\", " RT "}]}]");
	REFUSED(buf_str(&bomb), 0, 0, "the definition is too large");
}

/* Printed, a matrix is its tasks; read again they are the same. */
static void
test_printed(void **state)
{
	struct parsed p = def_accepted(V1
	    "runs:\n- name: r\n  cancel_previous: true\n  when: {event: push, paths: ['a/**', "
	    "/x/]}\n  tasks:\n"
	    "  - name: t\n    matrix: {V: [1, 2]}\n    retries: 1\n    timeout: 1500ms\n"
	    "    runtime: {labels: {a: b}, containers: [{image: i, resources: {cpu: 1.5, memory: "
	    "1Gi}}]}\n"
	    "    steps: [{run: {command: a, if: always, retries: 2, timeout: 1h}}]\n"
	    "    post: [{run: b}, {run: {command: c, if: on_failure}}]\n"
	    "  - {name: u, depends: [t], " RT "}\n");
	auto_buf first = BUF_INIT;
	auto_buf second = BUF_INIT;
	static const char *const parts[] = { "\"version\": \"v1\"", "\"t (1)\"", "\"t (2)\"",
		"\"cancel_previous\": true", "\"retries\": 2", "\"timeout\": \"1h\"",
		"\"if\": \"always\"", "\"cpu\": \"1500m\"", "\"memory\": 1073741824",
		"\"task_timeout_interval\": \"1500ms\"", "\"post\": [", "\"a/**\"", "\"/x/\"",
		"\"labels\": {", "\"V\": \"1\"" };

	(void)state;
	rundef_print_json(&first, p.def);
	def_drop(&p);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (!strstr(buf_str(&first), parts[i]))
			fail_msg("no %s in\n%s", parts[i], buf_str(&first));
	p = def_accepted(buf_str(&first));
	rundef_print_json(&second, p.def);
	assert_string_equal(buf_str(&first), buf_str(&second));
	def_drop(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_with_v1),
		cmocka_unit_test(test_tasks_and_steps),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_matrix_expansion),
		cmocka_unit_test(test_matrix_values),
		cmocka_unit_test(test_matrix_depends),
		cmocka_unit_test(test_matrix_refused),
		cmocka_unit_test(test_matrix_bounds),
		cmocka_unit_test(test_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
