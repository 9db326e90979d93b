/* The tables of the language's reference, case by case, and the probes made of Agola's parser. */
#include "common/mem.h"
#include "rundef/rundef_int.h"
#include "tests/lib/definition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define C "containers: [{image: i}]"

/* --- Agola's parser tests --- */

static void
test_parser(void **state)
{
	static const struct {
		const char *text;
		unsigned line, col;
		const char *part; /* NULL: accepted */
	} cases[] = {
		{ "", 1, 1, "no runs defined" },
		{ "runs:", 1, 1, "no runs defined" },
		{ "runs:\n  -\n", 2, 4, "run at index 0 is empty" },
		{ "runs:\n  - name: run01\n    tasks:\n      - ~\n", 4, 9,
		    "run \"run01\": task at index 0 is empty" },
		{ "runs: [{name: run01, tasks: [{name: task01, runtime: {type: pod, " C "}}]}]", 0,
		    0, NULL },
		{ "runs: [{name: run01, tasks: [{name: task01, runtime: {type: pod, arch: "
		  "invalidarch, " C "}}]}]",
		    1, 72, "task \"task01\": invalid arch \"invalidarch\"" },
		{ TASKS("  - {name: task01, " RT ", depends: [task02]}\n"), 0, 0,
		    "task \"task02\" needed by task \"task01\" doesn't exist" },
		{ TASKS("  - {name: task01, " RT ", depends: [task02]}\n"
		        "  - {name: task02, " RT ", depends: [task01]}\n"),
		    0, 0, "circular dependency between task \"task01\" and \"task02\"" },
		{ TASKS("  - {name: task01, " RT "}\n  - {name: task02, " RT
		        ", depends: [task01]}\n  - {name: task03, " RT
		        ", depends: [task02, task01]}\n"),
		    0, 0,
		    "task \"task03\" and its dependency \"task02\" both depend on \"task01\"" },
		{ TASKS("  - {name: task01, " RT "}\n  - {name: task02, " RT
		        ", depends: [task01]}\n  - {name: task03, " RT
		        ", depends: [task02]}\n  - {name: task04, " RT
		        ", depends: [task03, task01]}\n"),
		    0, 0,
		    "task \"task04\" and its dependency \"task03\" both depend on \"task01\"" },
		{ "docker_registries_auth:\n  index.docker.io:\nruns: [{name: run01, tasks: []}]",
		    2, 3, "docker registries auth \"index.docker.io\" is empty" },
		{ "runs: [{name: run01, docker_registries_auth: {index.docker.io: }, tasks: []}]",
		    1, 47, "run \"run01\": docker registries auth \"index.docker.io\" is empty" },
		{ "runs: [{name: run01, tasks: [{name: task01, docker_registries_auth: "
		  "{index.docker.io: }, " RT "}]}]",
		    1, 70, "task \"task01\": docker registries auth \"index.docker.io\" is empty" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (cases[i].part)
			REFUSED(cases[i].text, cases[i].line, cases[i].col, cases[i].part);
		else
			def_check_accepted(cases[i].text, false);
	}
}

static const char all_options[] =
    "version: v0\n"
    "docker_registries_auth:\n"
    "  index.docker.io:\n"
    "    username: username\n"
    "    password: {from_variable: password}\n"
    "runs:\n"
    "  - name: run01\n"
    "    docker_registries_auth:\n"
    "      index.docker.io: {username: yourregistryusername, password: {from_variable: "
    "password}}\n"
    "    tasks:\n"
    "      - name: task01\n"
    "        docker_registries_auth:\n"
    "          index.docker.io: {username: taskuser, password: {from_variable: password2}}\n"
    "        runtime:\n"
    "          type: pod\n"
    "          containers:\n"
    "            - image: image01\n"
    "              auth: {username: u, password: {from_variable: p}}\n"
    "              environment:\n"
    "                ENV01: ENV01\n"
    "                ENVFROMVARIABLE01: {from_variable: variable01}\n"
    "              volumes:\n"
    "                - {path: /mnt/vol01, tmpfs: {size: 1Gi}}\n"
    "                - {path: /mnt/vol02, tmpfs: {}}\n"
    "        environment:\n"
    "          ENV01: ENV01\n"
    "          ENVFROMVARIABLE01: {from_variable: variable01}\n"
    "        steps:\n"
    "          - type: clone\n"
    "          - clone:\n"
    "          - type: run\n"
    "            command: command01\n"
    "          - type: run\n"
    "            name: name different than command\n"
    "            command: command02\n"
    "          - type: run\n"
    "            command: command03\n"
    "            environment:\n"
    "              ENV01: ENV01\n"
    "              ENVFROMVARIABLE01: {from_variable: variable01}\n"
    "          - type: save_cache\n"
    "            key: cache-{{ arch }}\n"
    "            contents: [{source_dir: /go/pkg/mod/cache}]\n"
    "          - run: command01\n"
    "          - run: {name: name different than command, command: command02}\n"
    "          - run: {command: command03, environment: {ENV01: ENV01}}\n"
    "          - save_cache:\n"
    "              key: cache-{{ arch }}\n"
    "              contents: [{source_dir: /go/pkg/mod/cache}]\n"
    "          - run: {command: c, tty: true}\n"
    "          - run: {command: c, tty: false}\n"
    "        when:\n"
    "          branch: master\n"
    "          tag: [v1.x, v2.x]\n"
    "          ref: {include: master, exclude: [/branch01/, branch02]}\n"
    "        depends:\n"
    "          - {task: task02, conditions: [on_success, on_failure]}\n"
    "          - task03\n"
    "          - task04: [on_success]\n"
    "      - {name: task02, runtime: {type: pod, " C "}}\n"
    "      - {name: task03, runtime: {type: pod, " C "}}\n"
    "      - {name: task04, runtime: {type: pod, " C "}}\n";

static void
check_steps(const struct rundef_task *t)
{
	static const struct {
		enum rundef_step_type type;
		const char *name, *command;
		bool tty;
	} steps[] = {
		{ RUNDEF_CLONE, "Clone repository and checkout code", "", true },
		{ RUNDEF_CLONE, "Clone repository and checkout code", "", true },
		{ RUNDEF_RUN, "command01", "command01", true },
		{ RUNDEF_RUN, "name different than command", "command02", true },
		{ RUNDEF_RUN, "command03", "command03", true },
		{ RUNDEF_SAVE_CACHE, "save cache", "", true },
		{ RUNDEF_RUN, "command01", "command01", true },
		{ RUNDEF_RUN, "name different than command", "command02", true },
		{ RUNDEF_RUN, "command03", "command03", true },
		{ RUNDEF_SAVE_CACHE, "save cache", "", true },
		{ RUNDEF_RUN, "c", "c", true },
		{ RUNDEF_RUN, "c", "c", false },
	};

	assert_int_equal(t->nsteps, ARRAY_LEN(steps));
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		assert_int_equal(t->steps[i].type, steps[i].type);
		assert_string_equal(t->steps[i].name, steps[i].name);
		assert_string_equal(t->steps[i].command, steps[i].command);
		assert_int_equal(t->steps[i].tty, steps[i].tty);
		assert_int_equal(t->steps[i].depth, 0);
	}
	assert_int_equal(t->steps[4].environment.n, 2);
	assert_string_equal(t->steps[5].key, "cache-{{ arch }}");
	assert_string_equal(t->steps[5].contents[0].source_dir, "/go/pkg/mod/cache");
	assert_string_equal(t->steps[5].contents[0].paths[0], "**");
}

static void
test_all_options(void **state)
{
	struct parsed p = def_accepted(all_options);
	const struct rundef_task *t = def_first_task(&p);

	(void)state;
	assert_int_equal(p.diags.n, 1); /* the container's auth */
	assert_int_equal(t->auths.n, 1);
	assert_string_equal(t->auths.list[0].type, "basic");
	assert_string_equal(t->auths.list[0].username.literal, "taskuser");
	assert_string_equal(t->auths.list[0].password.variable, "password2");
	const struct rundef_auths *second = &p.def->runs[0].tasks[1].auths;
	assert_string_equal(second->list[0].username.literal, "yourregistryusername");
	assert_string_equal(t->containers[0].environment.list[0].value.literal, "ENV01");
	assert_string_equal(t->containers[0].environment.list[1].value.variable, "variable01");
	assert_string_equal(t->environment.list[1].value.variable, "variable01");
	assert_int_equal(t->containers[0].volumes[0].tmpfs_size, 1073741824);
	assert_int_equal(t->containers[0].volumes[1].tmpfs_size, 0);
	check_steps(t);
	assert_string_equal(t->when.branch.include[0].text, "master");
	assert_int_equal(t->when.branch.include[0].kind, RUNDEF_COND_LITERAL);
	assert_int_equal(t->when.tag.ninclude, 2);
	assert_string_equal(t->when.tag.include[1].text, "v2.x");
	assert_string_equal(t->when.ref.include[0].text, "master");
	assert_int_equal(t->when.ref.exclude[0].kind, RUNDEF_COND_REGEX);
	assert_string_equal(t->when.ref.exclude[0].text, "branch01");
	assert_int_equal(t->when.ref.exclude[1].kind, RUNDEF_COND_LITERAL);
	assert_int_equal(t->ndepends, 3);
	assert_int_equal(t->depends[0].nconditions, 2);
	assert_string_equal(t->depends[1].conditions[0], "on_success");
	assert_string_equal(t->depends[2].task, "task04");
	assert_int_equal(t->depends[2].index, 3);
	const struct rundef_task *plain = &p.def->runs[0].tasks[3];
	assert_string_equal(plain->working_dir, "~/project");
	assert_string_equal(plain->user, "");
	assert_string_equal(plain->arch, "");
	assert_string_equal(plain->shell, "/bin/sh -e");
	assert_int_equal(plain->nsteps + plain->ndepends, 0);
	assert_false(plain->when.present);
	def_drop(&p);
}

/* --- durations and sizes --- */

static void
test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns; /* -1: refused */
	} cases[] = {
		{ "\"10s\"", 10000000000 },
		{ "20000000000", 20000000000 },
		{ "10", 10 },
		{ "15000000000", 15000000000 },
		{ "1h30m", 5400000000000 },
		{ "1.5h", 5400000000000 },
		{ ".5s", 500000000 },
		{ "1.s", 1000000000 },
		{ "'0'", 0 },
		{ "0", 0 },
		{ "0s", 0 },
		{ "+5s", 5000000000 },
		{ "1ns", 1 },
		{ "1us", 1000 },
		{ "1\xc2\xb5s", 1000 },
		{ "1\xce\xbcs", 1000 },
		{ "1ms", 1000000 },
		{ "1m1m", 120000000000 },
		{ "1h0m0.000000001s", 3600000000001 },
		{ "~", 0 },
		{ "2562047h", 9223369200000000000 },
		{ "'10'", -1 },
		{ "''", -1 },
		{ "yes", -1 },
		{ "[5s]", -1 },
		{ "{a: b}", -1 },
		{ "-5s", -1 },
		{ "-1", -1 },
		{ "5", 5 },
		{ "5S", -1 },
		{ "5 s", -1 },
		{ ".s", -1 },
		{ "s", -1 },
		{ "1h30", -1 },
		{ "1d", -1 },
		{ "9999999h", -1 },
		{ "'+'", -1 },
		{ "1.2.3s", -1 },
		{ "1e3s", -1 },
		{ "0x5s", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *text = xasprintf(
		    "task_timeout_interval: %s\nruns: [{name: r, tasks: [{name: t, " RT "}]}]",
		    cases[i].text);
		struct parsed p = def_parse(text, strlen(text));

		if ((p.def != NULL) != (cases[i].ns >= 0) ||
		    (p.def && def_first_task(&p)->timeout_ns != cases[i].ns))
			fail_msg("%s reads as %lld", cases[i].text,
			    p.def ? (long long)def_first_task(&p)->timeout_ns : -1);
		def_drop(&p);
	}
}

static void
test_quantities(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes; /* -1: refused */
	} cases[] = {
		{ "1Gi", 1073741824 },
		{ "1Ki", 1024 },
		{ "1Mi", 1048576 },
		{ "1Ti", 1099511627776 },
		{ "1Pi", 1125899906842624 },
		{ "7Ei", 8070450532247928832 },
		{ "8070450532247928833", 8070450532247928833 },
		{ "1k", 1000 },
		{ "1M", 1000000 },
		{ "1G", 1000000000 },
		{ "1T", 1000000000000 },
		{ "1P", 1000000000000000 },
		{ "9E", 9000000000000000000 },
		{ "1", 1 },
		{ "1.5", 2 },
		{ ".5", 1 },
		{ "1.", 1 },
		{ "1.5Ki", 1536 },
		{ "1n", 1 },
		{ "1u", 1 },
		{ "1m", 1 },
		{ "1500m", 2 },
		{ "1e3", 1000 },
		{ "1E3", 1000 },
		{ "1e+3", 1000 },
		{ "1e-3", 1 },
		{ "12e6", 12000000 },
		{ "+1Ki", 1024 },
		{ "0", 0 },
		{ "-0", 0 },
		{ "'1024'", 1024 },
		{ "0.1Ki", 103 },
		{ "000001", 1 },
		{ "1024", 1024 },
		{ "1073741824", 1073741824 },
		{ "-1", -1 },
		{ "-1Ki", -1 },
		{ "1K", -1 },
		{ "1ki", -1 },
		{ "1Q", -1 },
		{ "'1 Gi'", -1 },
		{ "''", -1 },
		{ "Gi", -1 },
		{ ".", -1 },
		{ "1..5", -1 },
		{ "1e", -1 },
		{ "1Eii", -1 },
		{ "9Ei", -1 },
		{ "1e30", -1 },
		{ "yes", -1 },
		{ "[1]", -1 },
		{ "0x1g", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *text = xasprintf(
		    "runs: [{name: r, tasks: [{name: t, runtime: {containers: [{image: i, volumes: "
		    "[{path: /a, tmpfs: {size: %s}}]}]}}]}]",
		    cases[i].text);
		struct parsed p = def_parse(text, strlen(text));
		int64_t got =
		    p.def ? (int64_t)def_first_task(&p)->containers[0].volumes[0].tmpfs_size : -1;

		if (got != cases[i].bytes)
			fail_msg("%s reads as %lld", cases[i].text, (long long)got);
		def_drop(&p);
	}
}

/* --- when --- */

static bool
matches(const char *when, const char *type, const char *branch, const char *tag, const char *full)
{
	auto_free char *text = xasprintf("runs: [{name: r, %s, tasks: [{name: t, " RT "}]}]", when);
	struct parsed p = def_accepted(text);
	struct rundef_ref ref = { .ref_type = type, .branch = branch, .tag = tag, .ref = full };
	bool match = rundef_when_matches(&p.def->runs[0].when, &ref);

	def_drop(&p);
	return match;
}

static void
test_when_matching(void **state)
{
	static const struct {
		const char *when, *type, *branch, *tag, *ref;
		bool match;
	} cases[] = {
		{ "x-none: 1", "branch", "any", "", "refs/heads/any", true },
		{ "when: ", "branch", "any", "", "", true },
		{ "when: {branch: ''}", "branch", "master", "", "", false },
		{ "when: {branch: /.?/}", "branch", "master", "", "", true },
		{ "when: {branch: ''}", "branch", "", "", "", false },
		{ "when: {branch: /.?/}", "branch", "", "", "", false },
		{ "when: {branch: master}", "branch", "master", "", "", true },
		{ "when: {branch: master}", "branch", "branch01", "", "", false },
		{ "when: {tag: master, ref: master}", "branch", "branch01", "", "", false },
		{ "when: {branch: /master/}", "branch", "master", "", "", true },
		{ "when: {branch: /master/}", "branch", "branch01", "", "", false },
		{ "when: {branch: /m.*/}", "branch", "master", "", "", true },
		{ "when: {branch: /m.*/}", "branch", "branch01", "", "", false },
		{ "when: {branch: {include: /m.*/, exclude: maste}}", "branch", "master", "", "",
		    true },
		{ "when: {branch: {include: /m.*/, exclude: master}}", "branch", "master", "", "",
		    false },
		{ "when: {branch: {include: /m.*/, exclude: /mb.*/}}", "branch", "master", "", "",
		    true },
		{ "when: {branch: {include: /m.*/, exclude: /ma.*/}}", "branch", "master", "", "",
		    false },
		{ "when: {branch: {include: [/m.*/, /b.*/], exclude: [/b.*/, /c.*/]}}", "branch",
		    "master", "", "", true },
		{ "when: {branch: {include: [/m.*/, /b.*/], exclude: [/b.*/, /ma.*/]}}", "branch",
		    "master", "", "", false },
		{ "when: {branch: master}", "tag", "master", "master", "", false },
		{ "when: {tag: master}", "branch", "master", "master", "", false },
		/* what follows from the algorithm */
		{ "when: {branch: {include: master, exclude: master}, ref: /heads/}", "branch",
		    "master", "", "refs/heads/master", true },
		{ "when: {branch: master, ref: {exclude: /heads/}}", "branch", "master", "",
		    "refs/heads/master", false },
		{ "when: {branch: {exclude: other}}", "branch", "master", "", "", false },
		{ "when: {ref: '#^refs/pull/#'}", "pull_request", "", "", "refs/pull/1/head",
		    true },
		{ "when: {branch: /.*/, tag: /.*/}", "pull_request", "", "", "refs/pull/1/head",
		    false },
		{ "when: {}", "branch", "master", "", "", false },
		{ "when: {colour: red}", "branch", "master", "", "", false },
		/* forms */
		{ "when: {branch: release/*}", "branch", "release/1", "", "", false },
		{ "when: {branch: /master/}", "branch", "my-master-2", "", "", true },
		{ "when: {branch: //}", "branch", "//", "", "", true },
		{ "when: {branch: ///}", "branch", "a/b", "", "", true },
		{ "when: {branch: '/x#'}", "branch", "/x#", "", "", true },
		{ "when: {branch: '##'}", "branch", "##", "", "", true },
		{ "when: {branch: '/(?i)MASTER$/'}", "branch", "a-master", "", "", true },
		{ "when: {branch: '/^\\d+\\pL$/'}", "branch", "12\xc3\xa9", "", "", true },
		{ "when: {branch: {include: 5}}", "branch", "5", "", "", false },
		{ "when: {branch: {include: , exclude: }, ref: /./}", "branch", "b", "", "r",
		    true },
		{ "when: {branch: ~, tag: v1}", "tag", "", "v1", "", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (matches(cases[i].when, cases[i].type, cases[i].branch, cases[i].tag,
		        cases[i].ref) != cases[i].match)
			fail_msg("case %zu: %s", i, cases[i].when);
}

static void
test_when_refused(void **state)
{
	(void)state;
	REFUSED(TASK("when: master"), 5, 11, "when must be a mapping");
	REFUSED(TASK("when: [master]"), 5, 11, "when must be a mapping");
	REFUSED(TASK("when: {branch: 5}"), 5, 20, "wrong when format");
	REFUSED(TASK("when: {branch: yes}"), 5, 20, "wrong when format");
	REFUSED(TASK("when: {branch: [a, 5]}"), 5, 24, "expected text");
	REFUSED(TASK("when: {branch: {includes: a}}"), 5, 21, "found the key \"includes\"");
	REFUSED(TASK("when: {branch: '/a(/'}"), 5, 20, "wrong regular expression /a(/: missing )");
	REFUSED(TASK("when: {branch: '/(?=a)/'}"), 5, 20, "wrong regular expression");
	REFUSED(TASK("when: {branch: '/(a)\\1/'}"), 5, 20, "wrong regular expression");
	WARNED(TASK("when: {branch: {include: 5}}"), 5, 30, "it matches nothing");
	WARNED(TASK("when: {branch: {include: {a: b}}}"), 5, 30, "it matches nothing");
	WARNED(TASK("when: {}"), 5, 11, "never matches");
	WARNED(TASK("when: {brnch: a}"), 5, 12, "unknown key \"brnch\" in when");
}

/* --- the graph --- */

struct node {
	const char *name, *depends;
};

static char *
graph_text(const struct node *nodes, size_t n)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "runs:\n- name: r\n  tasks:\n");
	for (size_t i = 0; i < n && nodes[i].name; i++)
		buf_printf(&b, "  - {name: \"%s\", depends: [%s], " RT "}\n", nodes[i].name,
		    nodes[i].depends);
	return buf_take(&b);
}

static void
test_levels(void **state)
{
	static const struct {
		struct node nodes[6];
		unsigned levels[6];
	} cases[] = {
		{ { { "1", "" } }, { 0 } },
		{ { { "1", "" }, { "2", "" } }, { 0, 0 } },
		{ { { "1", "" }, { "2", "\"1\"" } }, { 0, 1 } },
		{ { { "2", "\"1\"" }, { "1", "" } }, { 1, 0 } },
		{ { { "1", "\"2\", \"3\"" }, { "2", "\"4\"" }, { "3", "\"5\"" }, { "4", "" },
		      { "5", "" } },
		    { 2, 1, 1, 0, 0 } },
		{ { { "a", "" }, { "b", "a" }, { "c", "b" }, { "d", "" }, { "e", "c, d" } },
		    { 0, 1, 2, 0, 3 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *text = graph_text(cases[i].nodes, 6);
		struct parsed p = def_accepted(text);
		for (size_t t = 0; t < p.def->runs[0].ntasks; t++)
			assert_int_equal(p.def->runs[0].tasks[t].level, cases[i].levels[t]);
		def_drop(&p);
	}
}

/* Exactly these errors, in whatever order. */
static void
check_errors(const struct node *nodes, const char *const *messages)
{
	auto_free char *text = graph_text(nodes, 6);
	struct parsed p = def_parse(text, strlen(text));
	size_t n = 0;

	for (; messages[n]; n++) {
		bool found = false;
		for (size_t i = 0; i < p.diags.n; i++)
			found |= strstr(p.diags.list[i].message, messages[n]) != NULL;
		if (!found)
			fail_msg("no \"%s\" for\n%s", messages[n], text);
	}
	if (p.diags.errors != n)
		fail_msg("%zu errors, not %zu for\n%s", p.diags.errors, n, text);
	def_drop(&p);
}

static void
test_graph_errors(void **state)
{
	static const struct {
		struct node nodes[6];
		const char *messages[5];
	} cases[] = {
		{ { { "t1", "t2" }, { "t2", "t1" } },
		    { "circular dependency between task \"t1\" and \"t2\"",
		        "circular dependency between task \"t2\" and \"t1\"" } },
		{ { { "t1", "t2" }, { "t2", "t3" }, { "t3", "t1" } },
		    { "task \"t1\" and \"t3\"", "task \"t2\" and \"t1\"",
		        "task \"t3\" and \"t2\"" } },
		{ { { "t1", "t2" }, { "t2", "t3" }, { "t3", "t2" } },
		    { "task \"t2\" and \"t3\"", "task \"t3\" and \"t2\"" } },
		{ { { "t1", "t1" } }, { "circular dependency between task \"t1\" and \"t1\"" } },
		{ { { "t1", "" }, { "t2", "t1" }, { "t3", "t2, t1" } },
		    { "task \"t3\" and its dependency \"t2\" both depend on \"t1\"" } },
		{ { { "t1", "" }, { "t2", "t1" }, { "t3", "t2" }, { "t4", "t3, t1" } },
		    { "task \"t4\" and its dependency \"t3\" both depend on \"t1\"" } },
		{ { { "t1", "" }, { "t2", "t1, t1" } },
		    { "duplicate task dependency: task \"t2\" depends on \"t1\"" } },
		/* two cycles that meet in one task */
		{ { { "a", "b, c" }, { "b", "a" }, { "c", "a" } },
		    { "task \"a\" and \"b\", \"c\"", "task \"b\" and \"a\"",
		        "task \"c\" and \"a\"" } },
		{ { { "a", "" }, { "b", "a" } }, { NULL } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_errors(cases[i].nodes, cases[i].messages);
}

/* Credentials: which entry a task has for each registry. */
static void
test_credentials(void **state)
{
	static const struct {
		const char *top, *run, *task, *expected;
	} cases[] = {
		{ "", "", "", "" },
		{ "", "A: {username: run}", "", "A=run " },
		{ "", "A: {username: run}", "A: {username: task}", "A=task " },
		{ "", "A: {username: run}, B: {username: run}",
		    "A: {username: task}, C: {username: task}", "A=task B=run C=task " },
		{ "A: {type: encodedauth, auth: top}", "A: {type: encodedauth, auth: run}",
		    "A: {type: encodedauth, auth: task}", "A=task " },
		{ "A: {type: encodedauth, auth: top}", "A: {type: encodedauth, auth: run}", "",
		    "A=run " },
		{ "A: {type: encodedauth, auth: top}", "", "", "A=top " },
		{ "https://A: {username: top}", "A: {username: run}", "", "A=run https://A=top " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *text = xasprintf("docker_registries_auth: {%s}\nruns:\n- name: r\n"
		                                 "  docker_registries_auth: {%s}\n  tasks:\n"
		                                 "  - name: t\n    docker_registries_auth: {%s}\n"
		                                 "    " RT "\n",
		    cases[i].top, cases[i].run, cases[i].task);
		struct parsed p = def_accepted(text);
		const struct rundef_auths *a = &def_first_task(&p)->auths;
		static const char *const registries[] = { "A", "B", "C", "https://A" };
		auto_buf got = BUF_INIT;

		for (size_t k = 0; k < ARRAY_LEN(registries); k++)
			for (size_t m = 0; m < a->n; m++)
				if (strcmp(a->list[m].registry, registries[k]) == 0)
					buf_printf(&got, "%s=%s ", registries[k],
					    a->list[m].auth.literal ? a->list[m].auth.literal
					                            : a->list[m].username.literal);
		assert_string_equal(buf_str(&got), cases[i].expected);
		def_drop(&p);
	}
}

/* --- what was probed of Agola, and the YAML layer --- */

static void
test_accepted(void **state)
{
	static const char *const quiet[] = {
		"version: v0\nruns: [{name: r, tasks: [{name: t, " RT "}]}]",
		"RUNS: [{NAME: r, Tasks: [{nAME: t, Runtime: {Containers: [{Image: i}]}}]}]",
		"runs: [{name: r, tasks: [{name: t, " RT "}]}]\n---\n[broken",
		"--- {runs: [{name: r, tasks: [{name: t, " RT "}]}]}",
		"%YAML 1.1\n---\nruns: [{name: r, tasks: [{name: t, " RT "}]}]",
		"x-c: &c {image: i}\nruns: [{name: r, tasks: [{name: t, runtime: {containers: "
		"[*c, {<<: *c, user: u}]}}]}]",
		"{\"runs\": [{\"name\": \"r\", \"tasks\": [{\"name\": \"t\", \"runtime\": "
		"{\"containers\": [{\"image\": \"i\"}]}}]}]} # a comment",
		"{\n\t\"runs\": [\n\t\t{\"name\": \"r\", \"tasks\": [{\"name\":\"t\",\"runtime\":{"
		"\"containers\":[{\"image\":\"i\"}]}}]}]}",
		TASK("user: 1000\n    shell: true\n    working_dir: 1.10"),
		TASK("environment: {A: 'yes', B: \"1\"}\n    approval: on"),
		STEPS("    - run: |-\n        one line\n"),
		STEPS("    - run: >-\n        one\n        two\n"),
		STEPS("    - clone:\n    - clone: {}\n    - restore_workspace:\n"),
		TASK("depends:\n    steps:\n    when:\n    environment:\n    approval: ~"),
		TASK("task_timeout_interval:"),
		"runs: [{name: 'a b/c \xc3\xa9', tasks: [{name: '\"#!\xe2\x82\xac', " RT "}]}]",
	};
	static const char *const warned[] = {
		"runs: [{name: r, tasks: []}]",
		"runs: [{name: r}]",
		"runs: [{name: r, tasks: [{name: t, " RT "}]}]\ncolour: red",
		"runs: [{name: r, name: s, tasks: [{name: t, " RT "}]}]",
		"runs: [{name: n, tasks: [{name: t, " RT "}]}]",
		"version: v7\nruns: [{name: r, tasks: [{name: t, " RT "}]}]",
		TASK("environment: {A: {foo: bar}}"),
		TASK("environment: {A: {}}"),
		TASK("environment: {A: {from_variable: v, x: y}}"),
		TASK("docker_registries_auth: {x: {type: nonsense}}"),
		TASK("when: {}"),
		STEPS("    - run: |\n        one line\n"),
		STEPS("    - run: {command: c, when: {branch: b}}"),
		"x-b: &b {user: a}\nruns: [{name: r, tasks: [{name: t, user: b, <<: *b, " RT "}]}]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
		def_check_accepted(quiet[i], false);
	for (size_t i = 0; i < ARRAY_LEN(warned); i++)
		def_check_accepted(warned[i], true);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ "- a", "must be a mapping" },
		{ "a", "must be a mapping" },
		{ "~", "no runs defined" },
		{ TASK("environment: {FOO: 1}"), "unknown value format" },
		{ TASK("environment: {FOO: }"), "unknown value format" },
		{ TASK("environment: {FOO: {from_variable: 1}}"), "unknown value format" },
		{ TASK("depends: [{t: }]"), "unsupported depend entry" },
		{ TASK("depends: t"), "depends must be a list" },
		{ TASK("depends: [{t: on_success}]"), "names no task" },
		{ TASK("depends: [{}]"), "names no task" },
		{ TASK("depends: [{task: [on_success]}]"), "\"task\" needed by" },
		{ TASK("depends: [{conditions: [on_success]}]"), "\"conditions\" needed by" },
		{ TASK("privileged: 'true'\n    approval: 'true'"), "expected true or false" },
		{ TASK("ignore_failure: 'true'"), "expected true or false" },
		{ STEPS("    - run: {command: c, tty: 'yes'}"), "expected true or false" },
		{ STEPS("    - run: {command: 12}"), "expected text" },
		{ STEPS("    - run: {command: c, name: 1}"), "expected text" },
		{ STEPS("    - run: {command: c, name: n}"), "expected text" },
		{ STEPS("    - clone: {depth: 0}"), "clone depth must be at least 1" },
		{ STEPS("    - clone: {depth: '1'}"), "expected a whole number" },
		{ STEPS("    - clone: {depth: 1.5}"), "expected a whole number" },
		{ STEPS("    - clone"), "must be a mapping" },
		{ STEPS("    - "), "step at index 0 is empty" },
		{ STEPS("    - {}"), "step at index 0 is empty" },
		{ STEPS("    - {type: 1}"), "its type must be text" },
		{ STEPS("    - {a: b, c: d}"), "more than one step name" },
		{ STEPS("    - fly: {}"), "unknown step type \"fly\"" },
		{ STEPS("    - {type: fly}"), "unknown step type \"fly\"" },
		{ STEPS("    - run: \"a\\nb\""), "missing step name" },
		{ STEPS("    - run: \"\\na\""), "missing step name" },
		{ STEPS("    - run: ''"), "needs a command" },
		{ STEPS("    - restore_cache: {keys: k}"), "expected a list" },
		{ STEPS("    - save_cache: {contents: []}"), "needs a key" },
		{ STEPS("    - save_to_workspace: {contents: [~]}"),
		    "content at index 0 is empty" },
		{ STEPS("    - save_to_workspace: {contents: [{source_dir: a, paths: '**'}]}"),
		    "expected a list" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		REFUSED(cases[i].text, 0, 0, cases[i].part);
}

/* Keys that read alike, duplicates, merges: which value counts. */
static void
test_which_counts(void **state)
{
	static const struct {
		const char *fields, *value;
	} cases[] = {
		{ "user: a\n    user: b", "b" },
		{ "User: a\n    user: b", "b" },
		{ "user: b\n    User: a", "b" },
		{ "USER: a\n    User: b", "b" },
		{ "User: b\n    USER: a", "b" },
		{ "<<: {user: b}", "b" },
		{ "<<: {user: a}\n    user: b", "b" },
		{ "<<: [{user: b}, {user: a}]", "b" },
		{ "<<: {user: a}\n    <<: {user: b}", "b" },
		{ "user: a\n    <<: {user: b}", "b" },
		{ "user: !!str 1", "1" },
		{ "user: 18446744073709551615", "18446744073709551615" },
		{ "user: 18446744073709551616", "1.8446744e+19" },
		{ "user: -9223372036854775808", "-9223372036854775808" },
		{ "user: 1.0", "1" },
		{ "user: 3.14", "3.14" },
		{ "user: 1e6", "1e+06" },
		{ "user: 123456.7", "123456.7" },
		{ "user: 1e-5", "1e-05" },
		{ "user: .inf", "+Inf" },
		{ "user: 1:30", "1:30" },
		{ "user: 0b101", "5" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *text =
		    xasprintf("runs:\n- name: r\n  tasks:\n  - name: t\n    %s\n    " RT "\n",
		        cases[i].fields);
		struct parsed p = def_accepted(text);
		if (strcmp(def_first_task(&p)->user, cases[i].value) != 0)
			fail_msg("%s: %s", cases[i].fields, def_first_task(&p)->user);
		def_drop(&p);
	}
	struct parsed p = def_accepted(TASK("environment: {yes: a, \"true\": b, on: c, A: d}"));
	assert_int_equal(def_first_task(&p)->environment.n, 2);
	assert_string_equal(def_first_task(&p)->environment.list[0].value.literal, "c");
	def_drop(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parser),
		cmocka_unit_test(test_all_options),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_quantities),
		cmocka_unit_test(test_when_matching),
		cmocka_unit_test(test_when_refused),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_graph_errors),
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_which_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
