/* The language case by case: what is accepted with which meaning, what is refused and where. */
#include "common/mem.h"
#include "tests/lib/definition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
test_top(void **state)
{
	(void)state;
	REFUSED("", 1, 1, "no runs defined");
	REFUSED("~", 1, 1, "no runs defined");
	REFUSED("runs:", 1, 1, "no runs defined");
	REFUSED("runs: []", 1, 7, "no runs defined");
	REFUSED("- a", 1, 1, "must be a mapping");
	REFUSED("text", 1, 1, "must be a mapping");
	REFUSED("runs: {a: b}", 1, 7, "expected a list");
	REFUSED("runs: [a\n", 2, 1, "");
	REFUSED("runs:\n- \n", 0, 0, "run at index 0 is empty");
	REFUSED("runs:\n- {}\n", 2, 3, "empty name");
	REFUSED("runs:\n- {name: ''}\n", 2, 10, "empty name");
	REFUSED("runs: [{name: a, tasks: [~]}]", 0, 0, "run \"a\": task at index 0 is empty");
	REFUSED("runs: [{name: a}, {name: b}, {name: a}]", 1, 37, "duplicate run name \"a\"");
	REFUSED(TASKS("  - {name: t, " RT "}\n  - {name: t, " RT "}\n"), 5, 12,
	    "duplicate task name \"t\"");
	def_check_accepted("version: v0\nRUNS:\n- Name: r\n  TASKS: [{name: t, " RT "}]\n", false);
	def_check_accepted("runs: [{name: a, tasks: [{name: t, " RT
	                   "}]}, {name: b, tasks: [{name: t, " RT "}]}]",
	    false);
	def_check_accepted("runs: [{name: a}]", true);
	def_check_accepted("{\"runs\": [{\"name\": \"a\", \"tasks\": []}]} # comment", true);
	def_check_accepted("runs: [{name: a}]\n---\nruns: 5\n", true);
	WARNED("runs: [{name: a}]\nrunz: 5\n", 2, 1, "unknown key \"runz\"");
	WARNED("runs: [{name: a}]\nruns: [{name: b}]\n", 2, 1, "given twice");
}

static char *
repeat(const char *part, size_t n)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		buf_puts(&b, part);
	return buf_take(&b);
}

static void
check_name(const char *name, bool ok)
{
	auto_free char *run = xasprintf("runs: [{name: \"%s\", tasks: [{name: t, " RT "}]}]", name);
	auto_free char *task =
	    xasprintf("runs: [{name: r, tasks: [{name: \"%s\", " RT "}]}]", name);

	if (ok) {
		def_check_accepted(run, false);
		def_check_accepted(task, false);
	} else {
		REFUSED(run, 1, 15, "too long");
		REFUSED(task, 1, 33, "too long");
	}
}

static void
test_names(void **state)
{
	(void)state;
	auto_free char *a100 = repeat("a", 100), *a101 = repeat("a", 101);
	auto_free char *two50 = repeat("\xc3\xa9", 50), *two51 = repeat("\xc3\xa9", 51);

	check_name(a100, true);
	check_name(a101, false);
	check_name(two50, true);
	check_name(two51, false);
	check_name("with space/slash \xe2\x82\xac", true);
}

static void
check_task_name(const char *given, const char *read)
{
	auto_free char *text = xasprintf("runs: [{name: r, tasks: [{name: %s, " RT "}]}]", given);
	struct parsed p = def_accepted(text);

	assert_string_equal(def_first_task(&p)->name, read);
	def_drop(&p);
}

static void
test_coercion(void **state)
{
	(void)state;
	check_task_name("5", "5");
	check_task_name("yes", "true");
	check_task_name("n", "false");
	check_task_name("Off", "false");
	check_task_name("1.10", "1.1");
	check_task_name("0777", "511");
	check_task_name("0o17", "15");
	check_task_name("0x10", "16");
	check_task_name("1_000", "1000");
	check_task_name("1e3", "1000");
	check_task_name(".5", "0.5");
	check_task_name("1e7", "1e+07");
	check_task_name("\"1.10\"", "1.10");
	check_task_name("'yes'", "yes");
	check_task_name("2001-01-01", "2001-01-01");
	check_task_name("-7", "-7");
	def_check_accepted(TASK("user: 1000"), false);
	def_check_accepted(TASK("shell: true"), false);
	def_check_accepted(TASK("approval: yes\n    ignore_failure: on"), false);
	def_check_accepted(
	    "runs: [{name: r, tasks: [{name: t, runtime: {arch: 386, containers: [{image: "
	    "1.10}]}}]}]",
	    false);
	/* Not where decoding is custom. */
	REFUSED(STEPS("    - run: {command: 12}"), 6, 22, "expected text, found a number");
	REFUSED(STEPS("    - run: {command: a, name: 1}"), 6, 31, "expected text");
	REFUSED(STEPS("    - run: {command: a, name: n}"), 6, 31, "found a boolean");
	REFUSED(STEPS("    - run: {command: a, user: 1000}"), 6, 31, "expected text");
	REFUSED(STEPS("    - run: 5"), 6, 12, "must be a mapping or text");
	REFUSED(STEPS("    - run: {command: a, tty: 'yes'}"), 6, 30, "without quotes");
	REFUSED(TASK("ignore_failure: 'true'"), 5, 21, "expected true or false");
	REFUSED(TASK("approval: 1"), 5, 15, "expected true or false");
	REFUSED(TASK("working_dir: [a]"), 5, 18, "expected text, found list");
	REFUSED(TASK("user: {a: b}"), 5, 11, "expected text, found mapping");
	/* Null is as absent. */
	def_check_accepted(
	    TASK("approval:\n    steps:\n    user: ~\n    environment:\n    when:"), false);
}

static void
test_task(void **state)
{
	struct parsed p = def_accepted(TASK("working_dir: ''\n    shell: ''"));
	const struct rundef_task *t = def_first_task(&p);

	(void)state;
	assert_string_equal(t->working_dir, "~/project");
	assert_string_equal(t->shell, "/bin/sh -e");
	assert_string_equal(t->user, "");
	assert_string_equal(t->arch, "");
	assert_int_equal(t->timeout_ns, 0);
	assert_int_equal(t->pos.line, 4);
	assert_int_equal(t->pos.col, 5);
	def_drop(&p);

	REFUSED("runs: [{name: r, tasks: [{name: t}]}]", 1, 26, "runtime is not defined");
	REFUSED(
	    "runs: [{name: r, tasks: [{name: t, runtime: ~}]}]", 1, 26, "runtime is not defined");
	REFUSED(
	    "runs: [{name: r, tasks: [{name: t, runtime: {}}]}]", 1, 45, "at least one container");
	REFUSED("runs: [{name: r, tasks: [{name: t, runtime: {containers: [~]}}]}]", 0, 0,
	    "container at index 0 is empty");
	REFUSED("runs: [{name: r, tasks: [{name: t, runtime: {type: vm, containers: [{}]}}]}]", 1,
	    52, "wrong type \"vm\"");
	REFUSED(
	    "runs: [{name: r, tasks: [{name: t, runtime: {arch: invalidarch, containers: [{}]}}]}]",
	    1, 52, "task \"t\": invalid arch \"invalidarch\"");
	def_check_accepted(
	    "runs: [{name: r, tasks: [{name: t, runtime: {type: pod, containers: [{image: "
	    "i}]}}]}]",
	    false);
	def_check_accepted(
	    "runs: [{name: r, tasks: [{name: t, runtime: {containers: [{auth: {a: b}, "
	    "image: i}]}}]}]",
	    true);
	def_check_accepted(
	    "runs: [{name: r, tasks: [{name: t, runtime: {containers: [{}]}}]}]", true);
	WARNED(TASK("workin_dir: a"), 5, 5, "unknown key \"workin_dir\"");
}

#define CONTAINER(fields)                                                                          \
	"runs: [{name: r, tasks: [{name: t, runtime: {containers: [{image: i, " fields "}]}}]}]"

static void
test_container(void **state)
{
	struct parsed p =
	    def_accepted(CONTAINER("privileged: yes, entrypoint: 'a  b', user: 5, volumes: "
	                           "[{path: /a, tmpfs: {}}, {path: /b, tmpfs: {size: 1Gi}}]"));
	const struct rundef_container *c = def_first_task(&p)->containers;

	(void)state;
	assert_true(c->privileged);
	assert_int_equal(c->nentrypoint, 3); /* single spaces: the text between two is empty */
	assert_string_equal(c->entrypoint[0], "a");
	assert_string_equal(c->entrypoint[1], "");
	assert_string_equal(c->entrypoint[2], "b");
	assert_string_equal(c->user, "5");
	assert_int_equal(c->nvolumes, 2);
	assert_int_equal(c->volumes[0].tmpfs_size, 0);
	assert_int_equal(c->volumes[1].tmpfs_size, 1073741824);
	def_drop(&p);
	REFUSED(CONTAINER("entrypoint: [a]"), 1, 82, "expected text, found list");
	REFUSED(CONTAINER("privileged: 'true'"), 1, 82, "expected true or false");
	REFUSED(CONTAINER("volumes: [{path: /a}]"), 1, 80, "no volume config");
	REFUSED(CONTAINER("volumes: [{path: /a, tmpfs: }]"), 1, 80, "no volume config");
	REFUSED(CONTAINER("volumes: [~]"), 0, 0, "volume at index 0 is empty");
	REFUSED(CONTAINER("volumes: [{path: /a, tmpfs: {size: 1Q}}]"), 1, 105, "invalid size");
	REFUSED(CONTAINER("volumes: [{path: /a, tmpfs: {size: -1}}]"), 1, 105, "negative");
	def_check_accepted(CONTAINER("volumes: [{path: '', tmpfs: {size: 1024}}]"), true);
}

static void
test_values(void **state)
{
	struct parsed p = def_accepted(
	    TASK("environment: {A: text, B: {from_variable: v}, C: '', D: {foo: bar}}"));
	const struct rundef_envs *e = &def_first_task(&p)->environment;

	(void)state;
	assert_int_equal(e->n, 4);
	assert_string_equal(e->list[0].value.literal, "text");
	assert_null(e->list[0].value.variable);
	assert_string_equal(e->list[1].value.variable, "v");
	assert_null(e->list[1].value.literal);
	assert_string_equal(e->list[2].value.literal, "");
	assert_string_equal(e->list[3].value.literal, "");
	assert_int_equal(p.diags.n, 1);
	def_drop(&p);
	REFUSED(TASK("environment: {FOO: 1}"), 5, 24, "unknown value format");
	REFUSED(TASK("environment: {FOO: yes}"), 5, 24, "unknown value format");
	REFUSED(TASK("environment: {FOO: }"), 0, 0, "unknown value format");
	REFUSED(TASK("environment: {FOO: [a]}"), 5, 24, "unknown value format");
	REFUSED(TASK("environment: {FOO: {from_variable: 5}}"), 5, 40, "unknown value format");
	REFUSED(TASK("environment: [A]"), 5, 18, "environment must be a mapping");
	REFUSED(TASK("environment: {A: \"x\\0y\"}"), 5, 22, "NUL");
	WARNED(TASK("environment: {A: {from_variable: v, x: y}}"), 5, 41, "is ignored");
	WARNED(TASK("environment: {y: a}"), 5, 19, "boolean in YAML 1.1");
}

static void
test_auth(void **state)
{
	struct parsed p = def_accepted(
	    "docker_registries_auth: {A: {username: top, password: p}, B: {username: top}}\n"
	    "runs:\n- name: r\n"
	    "  docker_registries_auth: {B: {username: run}, C: {username: run}}\n"
	    "  tasks:\n  - name: t\n"
	    "    docker_registries_auth: {C: {type: encodedauth, auth: {from_variable: v}}, D: "
	    "{}}\n"
	    "    " RT "\n"
	    "  - {name: u, " RT "}\n");
	const struct rundef_auths *a = &def_first_task(&p)->auths;
	size_t seen = 0;

	(void)state;
	assert_int_equal(a->n, 4);
	for (size_t i = 0; i < a->n; i++) {
		const struct rundef_auth *x = &a->list[i];
		switch (x->registry[0]) {
		case 'A':
			assert_string_equal(x->username.literal, "top");
			assert_string_equal(x->password.literal, "p");
			assert_string_equal(x->type, "basic");
			break;
		case 'B':
			assert_string_equal(x->username.literal, "run");
			assert_null(x->password.literal); /* whole entries, no merging */
			break;
		case 'C':
			assert_string_equal(x->type, "encodedauth");
			assert_string_equal(x->auth.variable, "v");
			assert_null(x->username.literal);
			break;
		default:
			assert_string_equal(x->registry, "D");
			break;
		}
		seen |= 1u << (x->registry[0] - 'A');
	}
	assert_int_equal(seen, 15);
	assert_int_equal(p.def->runs[0].tasks[1].auths.n, 3);
	def_drop(&p);
	REFUSED("docker_registries_auth: {index.docker.io: }\nruns: [{name: r}]", 1, 26,
	    "\"index.docker.io\" is empty");
	REFUSED("runs: [{name: run01, docker_registries_auth: {x: ~}}]", 1, 47,
	    "run \"run01\": docker registries auth \"x\" is empty");
	REFUSED(TASK("docker_registries_auth: {x: ~}"), 5, 30,
	    "task \"t\": docker registries auth \"x\" is empty");
	REFUSED(TASK("docker_registries_auth: {x: {username: 5}}"), 5, 44, "unknown value format");
	REFUSED(TASK("docker_registries_auth: {x: {password: ~}}"), 5, 44, "unknown value format");
	REFUSED(TASK("docker_registries_auth: {x: {auth: [a]}}"), 5, 40, "unknown value format");
	WARNED(TASK("docker_registries_auth: {x: {type: foo}}"), 5, 40,
	    "unknown registry auth type \"foo\"");
}

static void
check_timeout(const char *top, const char *run, const char *task, int64_t seconds)
{
	auto_free char *text = xasprintf("%s%s\nruns:\n- name: r\n%s%s\n  tasks:\n  - name: t\n"
	                                 "    " RT "\n%s%s\n",
	    *top ? "task_timeout_interval: " : "", top, *run ? "  task_timeout_interval: " : "",
	    run, *task ? "    task_timeout_interval: " : "", task);
	struct parsed p = def_accepted(text);

	assert_int_equal(def_first_task(&p)->timeout_ns, seconds * 1000000000);
	def_drop(&p);
}

static void
test_timeout(void **state)
{
	(void)state;
	check_timeout("", "", "", 0);
	check_timeout("10s", "", "", 10);
	check_timeout("10s", "15s", "", 15);
	check_timeout("10s", "15s", "20s", 20);
	check_timeout("10s", "15s", "0", 0);
	check_timeout("10s", "~", "~", 10);
	check_timeout("", "15000000000", "", 15);
	REFUSED(TASK("task_timeout_interval: '10'"), 5, 28, "a unit is missing");
	REFUSED(TASK("task_timeout_interval: yes"), 5, 28, "invalid duration");
	REFUSED(TASK("task_timeout_interval: -5s"), 5, 28, "negative");
	REFUSED(TASK("task_timeout_interval: [5s]"), 5, 28, "invalid duration");
	WARNED(TASK("task_timeout_interval: 10"), 5, 28, "nanoseconds");
}

static void
test_depends(void **state)
{
	struct parsed p = def_accepted(
	    TASKS("  - {name: a, " RT "}\n  - {name: b, " RT "}\n  - {name: c, " RT "}\n"
	          "  - {name: d, " RT ", depends: [a, {b: [on_skipped]}, "
	          "{task: c, conditions: [on_success, on_failure]}]}\n"
	          "  - {name: e, " RT ", depends: [{d: []}]}\n"));
	const struct rundef_task *d = &p.def->runs[0].tasks[3];

	(void)state;
	assert_int_equal(d->ndepends, 3);
	assert_string_equal(d->depends[0].task, "a");
	assert_int_equal(d->depends[0].nconditions, 1);
	assert_string_equal(d->depends[0].conditions[0], "on_success");
	assert_string_equal(d->depends[1].task, "b");
	assert_string_equal(d->depends[1].conditions[0], "on_skipped");
	assert_string_equal(d->depends[2].task, "c");
	assert_int_equal(d->depends[2].nconditions, 2);
	assert_string_equal(d->depends[2].conditions[1], "on_failure");
	assert_int_equal(d->level, 1);
	assert_string_equal(p.def->runs[0].tasks[4].depends[0].conditions[0], "on_success");
	assert_int_equal(p.def->runs[0].tasks[4].level, 2);
	def_drop(&p);
	REFUSED(TASK("depends: a"), 5, 14, "depends must be a list");
	REFUSED(TASK("depends: {a: b}"), 5, 14, "depends must be a list");
	REFUSED(TASK("depends: [5]"), 5, 15, "unsupported depend entry");
	REFUSED(TASK("depends: [~]"), 0, 0, "unsupported depend entry");
	REFUSED(TASK("depends: [yes]"), 5, 15, "unsupported depend entry");
	REFUSED(TASK("depends: [{a: }]"), 5, 15, "unsupported depend entry");
	REFUSED(TASK("depends: [{}]"), 5, 15, "names no task");
	REFUSED(TASK("depends: [{a: on_success}]"), 5, 15, "names no task");
	REFUSED(TASK("depends: [{task: a, conditions: on_success}]"), 5, 37, "expected a list");
	REFUSED(
	    TASK("depends: [task02]"), 5, 15, "task \"task02\" needed by task \"t\" doesn't exist");
	def_check_accepted(
	    TASKS("  - {name: task, " RT "}\n  - {name: conditions, " RT "}\n"
	          "  - {name: c, " RT ", depends: [{task: [on_success]}, {conditions: []}]}\n"),
	    false);
	def_check_accepted(
	    TASKS("  - {name: a, " RT "}\n  - {name: c, " RT ", depends: [{task: a}]}\n"), false);
	WARNED(TASKS("  - {name: a, " RT "}\n  - {name: c, " RT ", depends: [{a: [on_succes]}]}\n"),
	    0, 0, "unknown condition \"on_succes\"");
}

#define T(name, depends) "  - {name: " name ", depends: [" depends "], " RT "}\n"

static size_t
count_errors(const char *text, const char *part)
{
	struct parsed p = def_parse(text, strlen(text));
	size_t n = 0;

	for (size_t i = 0; i < p.diags.n; i++)
		n += p.diags.list[i].severity == RUNDEF_ERROR &&
		     strstr(p.diags.list[i].message, part);
	def_drop(&p);
	return n;
}

static void
test_graph(void **state)
{
	static const char two[] = TASKS(T("task01", "task02") T("task02", "task01"));
	static const char three[] =
	    TASKS(T("task1", "task2") T("task2", "task3") T("task3", "task1"));
	static const char beside[] =
	    TASKS(T("task1", "task2") T("task2", "task3") T("task3", "task2"));

	(void)state;
	REFUSED(two, 4, 30, "circular dependency between task \"task01\" and \"task02\"");
	REFUSED(two, 5, 30, "circular dependency between task \"task02\" and \"task01\"");
	assert_int_equal(count_errors(two, ""), 2);
	REFUSED(three, 0, 0, "task \"task1\" and \"task3\"");
	REFUSED(three, 0, 0, "task \"task2\" and \"task1\"");
	REFUSED(three, 0, 0, "task \"task3\" and \"task2\"");
	assert_int_equal(count_errors(three, "circular"), 3);
	REFUSED(beside, 0, 0, "task \"task2\" and \"task3\"");
	REFUSED(beside, 0, 0, "task \"task3\" and \"task2\"");
	assert_int_equal(count_errors(beside, ""), 2);
	REFUSED(TASKS(T("a", "a")), 0, 0, "circular dependency between task \"a\" and \"a\"");

	REFUSED(TASKS(T("task01", "") T("task02", "task01") T("task03", "task02, task01")), 6, 38,
	    "task \"task03\" and its dependency \"task02\" both depend on \"task01\"");
	REFUSED(TASKS(T("task01", "") T("task02", "task01") T("task03", "task02")
	                T("task04", "task03, task01")),
	    7, 38, "task \"task04\" and its dependency \"task03\" both depend on \"task01\"");
	REFUSED(TASKS(T("a", "") T("b", "a, a")), 5, 28, "duplicate task dependency");
	def_check_accepted(TASKS(T("a", "") T("b", "a") T("c", "a") T("d", "b, c")), false);
	/* Dependencies do not reach into another run. */
	REFUSED("runs: [{name: r, tasks: [{name: a, " RT "}]}, {name: s, tasks: [{name: b, " RT
	        ", depends: [a]}]}]",
	    0, 0, "doesn't exist in this run");
}

static void
test_steps(void **state)
{
	static const char text[] =
	    STEPS("    - clone:\n"
	          "    - type: clone\n"
	          "      depth: 3\n"
	          "      recurse_submodules: yes\n"
	          "    - run: command01\n"
	          "    - {type: run, command: command02, name: n2, tty: false, shell: sh, user: u, "
	          "working_dir: d}\n"
	          "    - run: {command: c3, tty: true, environment: {A: {from_variable: v}}}\n"
	          "    - save_to_workspace: {contents: [{source_dir: ., dest_dir: /x, paths: ['*', "
	          "b]}]}\n"
	          "    - restore_workspace: {dest_dir: .}\n"
	          "    - save_cache: {key: 'cache-{{ arch }}', contents: [{source_dir: /go}]}\n"
	          "    - restore_cache: {keys: [a, b], dest_dir: /go}\n"
	          "    - restore_workspace:\n");
	struct parsed p = def_accepted(text);
	const struct rundef_task *t = def_first_task(&p);
	const struct rundef_step *s = t->steps;

	(void)state;
	assert_int_equal(t->nsteps, 10);
	assert_int_equal(s[0].type, RUNDEF_CLONE);
	assert_int_equal(s[0].depth, 0);
	assert_string_equal(s[0].name, "Clone repository and checkout code");
	assert_int_equal(s[1].type, RUNDEF_CLONE);
	assert_int_equal(s[1].depth, 3);
	assert_true(s[1].recurse_submodules);
	assert_int_equal(s[2].type, RUNDEF_RUN);
	assert_string_equal(s[2].command, "command01");
	assert_string_equal(s[2].name, "command01");
	assert_true(s[2].tty);
	assert_string_equal(s[3].name, "n2");
	assert_string_equal(s[3].shell, "sh");
	assert_string_equal(s[3].user, "u");
	assert_string_equal(s[4].user, "");
	assert_string_equal(s[3].working_dir, "d");
	assert_false(s[3].tty);
	assert_true(s[4].tty);
	assert_string_equal(s[4].environment.list[0].value.variable, "v");
	assert_string_equal(s[4].shell, "");
	assert_string_equal(s[5].contents[0].dest_dir, "/x");
	assert_int_equal(s[5].contents[0].npaths, 2);
	assert_string_equal(s[6].dest_dir, ".");
	assert_string_equal(s[7].key, "cache-{{ arch }}");
	assert_int_equal(s[7].contents[0].npaths, 1);
	assert_string_equal(s[7].contents[0].paths[0], "**");
	assert_int_equal(s[8].nkeys, 2);
	assert_string_equal(s[8].dest_dir, "/go");
	assert_string_equal(s[9].dest_dir, "");
	assert_int_equal(s[9].pos.line, 17);
	def_drop(&p);
}

static void
test_steps_refused(void **state)
{
	(void)state;
	REFUSED(TASK("steps: {a: b}"), 5, 12, "steps must be a list");
	REFUSED(STEPS("    - clone"), 6, 7, "a colon is missing");
	REFUSED(STEPS("    - ~"), 6, 7, "step at index 0 is empty");
	REFUSED(STEPS("    - {}"), 6, 7, "step at index 0 is empty");
	REFUSED(STEPS("    - {type: 5}"), 6, 14, "its type must be text");
	REFUSED(STEPS("    - {type: rum}"), 6, 14, "unknown step type \"rum\"");
	REFUSED(STEPS("    - rum: x"), 6, 7, "unknown step type \"rum\"");
	REFUSED(STEPS("    - run:\n      name: x"), 6, 7, "more than one step name");
	REFUSED(STEPS("    - run:"), 0, 0, "a run step needs a command");
	REFUSED(STEPS("    - run: ''"), 6, 12, "a run step needs a command");
	REFUSED(STEPS("    - run: {name: x}"), 6, 12, "a run step needs a command");
	REFUSED(STEPS("    - run: {name: x, command: ''}"), 6, 31, "a run step needs a command");
	REFUSED(STEPS("    - run: |\n        one\n        two\n"), 6, 12, "missing step name");
	WARNED(STEPS("    - run: |\n        one\n"), 6, 12, "Agola wants a name here");
	WARNED(STEPS("    - run: {command: \"one\\n\\n\"}\n"), 6, 22, "Agola wants a name");
	REFUSED(STEPS("    - run: \"\\na\"\n"), 6, 12, "missing step name");
	REFUSED(STEPS("    - run:\n        command: |\n          one\n          two\n"), 7, 18,
	    "missing step name");
	def_check_accepted(STEPS("    - run: |-\n        one\n"), false);
	def_check_accepted(STEPS("    - run: >-\n        one\n        two\n"), false);
	def_check_accepted(
	    STEPS("    - run:\n        name: nn\n        command: |\n          one\n"), false);
	REFUSED(STEPS("    - clone: {depth: 0}"), 6, 22, "clone depth");
	REFUSED(STEPS("    - clone: {depth: -1}"), 6, 22, "clone depth");
	REFUSED(STEPS("    - clone: {depth: '1'}"), 6, 22, "expected a whole number");
	REFUSED(STEPS("    - clone: {depth: 1.5}"), 6, 22, "expected a whole number");
	REFUSED(STEPS("    - save_cache: {contents: []}"), 6, 19, "needs a key");
	REFUSED(STEPS("    - restore_cache: {keys: a}"), 6, 29, "expected a list");
	REFUSED(STEPS("    - restore_cache: {keys: []}"), 6, 29, "needs keys");
	REFUSED(STEPS("    - restore_cache:"), 0, 0, "needs keys");
	REFUSED(STEPS("    - save_cache: {key: a, contents: [~]}"), 0, 0,
	    "content at index 0 is empty");
	REFUSED(STEPS("    - save_cache: {key: a, contents: [{source_dir: a, paths: b}]}"), 6, 62,
	    "expected a list");
	REFUSED(STEPS("    - save_to_workspace: {contents: {source_dir: a}}"), 6, 37,
	    "expected a list");
	WARNED(STEPS("    - save_to_workspace: {contents: [{source_dir: a}]}"), 6, 38,
	    "without paths saves nothing");
	WARNED(STEPS("    - run: {command: a, when: {branch: b}}"), 6, 31, "no effect on a step");
	WARNED(STEPS("    - run: {command: a, comand: b}"), 6, 25, "unknown key \"comand\"");
	def_check_accepted(STEPS("    - save_to_workspace:"), false);
}

static void
test_default_names(void **state)
{
	auto_free char *long_command = repeat("c", 150);
	auto_free char *wide = repeat("\xe2\x82\xac", 50);
	auto_free char *text =
	    xasprintf(STEPS("    - run: %s\n    - run: x%s"), long_command, wide);
	struct parsed p = def_accepted(text);
	const struct rundef_step *s = def_first_task(&p)->steps;

	(void)state;
	assert_int_equal(strlen(s[0].name), 100);
	assert_int_equal(strlen(s[1].name), 100); /* 1 + 33 * 3: no character is cut */
	def_drop(&p);
	auto_free char *cut = xasprintf(STEPS("    - run: %s"), wide);
	p = def_accepted(cut);
	assert_int_equal(strlen(def_first_task(&p)->steps[0].name), 99);
	def_drop(&p);
}

static void
test_limits(void **state)
{
	static const char head[] = "runs: [{name: r, tasks: [{name: t, " RT "}]}]\n#";
	char *text = xmalloc(RUNDEF_SIZE_MAX + 1);

	(void)state;
	memset(text, 'x', RUNDEF_SIZE_MAX + 1);
	memcpy(text, head, sizeof(head) - 1);
	struct parsed p = def_parse(text, RUNDEF_SIZE_MAX);
	assert_non_null(p.def);
	def_drop(&p);
	p = def_parse(text, RUNDEF_SIZE_MAX + 1);
	assert_null(p.def);
	assert_non_null(
	    strstr(p.diags.list[0].message, "too large: 1048577 bytes, at most 1048576"));
	def_drop(&p);
	memset(text, '[', RUNDEF_SIZE_MAX);
	p = def_parse(text, RUNDEF_SIZE_MAX);
	assert_null(p.def);
	assert_int_equal(p.diags.errors, 1);
	def_drop(&p);
	free(text);

	/* Aliases that would fill the memory. */
	struct buf b = BUF_INIT;
	buf_puts(&b, "a: &a \"");
	for (size_t i = 0; i < 200000; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "\"\nruns:\n- name: r\n  tasks:\n  - name: t\n    " RT "\n    environment:\n");
	for (size_t i = 0; i < 2000; i++)
		buf_printf(&b, "      V%zu: *a\n", i);
	p = def_parse(buf_str(&b), b.len);
	assert_null(p.def);
	assert_non_null(strstr(p.diags.list[p.diags.n - 1].message, "too large"));
	def_drop(&p);
	buf_free(&b);

	/* More messages than are kept; errors win over warnings. */
	buf_puts(&b, "runs:\n");
	for (size_t i = 0; i < 300; i++)
		buf_printf(&b, "- {name: r%zu}\n", i);
	for (size_t i = 0; i < 300; i++)
		buf_puts(&b, "- {}\n");
	p = def_parse(buf_str(&b), b.len);
	assert_int_equal(p.diags.n, RUNDEF_DIAGS_MAX);
	assert_int_equal(p.diags.errors, 300);
	assert_int_equal(p.diags.list[RUNDEF_DIAGS_MAX - 1].severity, RUNDEF_ERROR);
	assert_int_equal(p.diags.dropped + p.diags.n, 300 + 600);
	def_drop(&p);
	buf_free(&b);
}

/* head, n times part, tail. */
static char *
many(const char *head, const char *part, size_t n, const char *tail)
{
	auto_free char *parts = repeat(part, n);

	return xasprintf("%s%s%s", head, parts, tail);
}

/* What the other parts of the system would refuse is refused here, with its place. */
static void
test_counts(void **state)
{
	static const struct {
		const char *head, *part, *tail, *message;
		size_t most;
		unsigned line, col;
	} cases[] = {
		{ "runs: [{name: r, tasks: [{name: t, runtime: {containers: [", "{image: i}, ",
		    "]}}]}]", "too many containers: 65, at most 64", 64, 1, 58 },
		{ "runs: [{name: r, tasks: [{name: t, " RT ", steps: [", "run: a, ", "]}]}]",
		    "too many steps: 1001, at most 1000", 1000, 1, 26 },
		{ "version: v1\nruns: [{name: r, tasks: [{name: t, post: [run: b], " RT
		  ", steps: [",
		    "run: a, ", "]}]}]", "too many steps: 1001, at most 1000", 999, 2, 26 },
		{ "runs: [{name: r, tasks: [{name: t, " RT ", steps: [restore_cache: {keys: [",
		    "k, ", "]}]}]}]", "too many keys: 101, at most 100", 100, 1, 103 },
		{ "version: v1\nruns: [{name: r, tasks: [{name: t, runtime: {containers: [{image: "
		  "i}], labels: {b: bc",
		    "a", "}}}]}]", "labels of 1024 bytes, at most 1023", 1018, 2, 80 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *most =
		    many(cases[i].head, cases[i].part, cases[i].most, cases[i].tail);
		auto_free char *more =
		    many(cases[i].head, cases[i].part, cases[i].most + 1, cases[i].tail);

		def_check_accepted(most, false);
		REFUSED(more, cases[i].line, cases[i].col, cases[i].message);
	}
	auto_buf runs = BUF_INIT;
	buf_puts(&runs, "runs: [");
	for (int i = 0; i < 1000; i++)
		buf_printf(&runs, "{name: r%d}, ", i);
	auto_free char *most = xasprintf("%s]", buf_str(&runs));
	auto_free char *more = xasprintf("%s{name: one}]", buf_str(&runs));
	def_check_accepted(most, true);
	REFUSED(more, 1, 7, "too many runs: 1001, at most 1000");
}

/* Texts that come from the file cannot break a message into lines. */
static void
test_hostile_text(void **state)
{
	static const char text[] = "runs: [{name: \"a\\nb\\e[31m\", tasks: [~]}]\n\"x\\ny\": 1\n";
	struct parsed p = def_parse(text, sizeof(text) - 1);

	(void)state;
	for (size_t i = 0; i < p.diags.n; i++)
		for (const char *s = p.diags.list[i].message; *s; s++)
			assert_true((unsigned char)*s >= 0x20);
	def_drop(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_coercion),
		cmocka_unit_test(test_task),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_depends),
		cmocka_unit_test(test_graph),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_steps_refused),
		cmocka_unit_test(test_default_names),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_hostile_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
