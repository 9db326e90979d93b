/* "config check" and "config show" as a user has them: exit status, file:line:col: message, --json,
 * --strict, --context, Jsonnet with imports. */
#include "cli/cli.h"
#include "common/config.h"
#include "common/mem.h"
#include "evaluate/evaluate.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/test_cli.XXXXXX";
static char *out, *errors;

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	static const char *const files[] = { "a.yml", "out", "err", ".agola/config.yml",
		".agola/config.yaml", ".agola/config.json", ".agola/config.jsonnet",
		".agola/config.star", ".agola/link.libsonnet", "shared/a.libsonnet", "linked",
		"other.jsonnet" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlink(files[i]);
	rmdir(".agola");
	rmdir("shared");
	free(out);
	free(errors);
	return rmdir(dir);
}

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

/* fd goes to a file from here on; returns what it was. */
static int
redirect(int fd, const char *path)
{
	int saved = dup(fd);
	auto_close int to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(saved >= 0 && to >= 0 && dup2(to, fd) == fd);
	return saved;
}

static void
restore(int fd, int saved)
{
	assert_int_equal(dup2(saved, fd), fd);
	close(saved);
}

/* Runs it with these words, NULL at the end; fills out and errors; the exit status. */
static int
run_words(const struct cli_command *command, const char *const *words)
{
	char *argv[8];
	int argc = 0;
	struct cli c;
	bool help;
	size_t n;

	for (; words[argc]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	assert_int_equal(cli_opt_parse(&c, command, argc, argv, &help, NULL), 0);
	fflush(stdout);
	int old_out = redirect(STDOUT_FILENO, "out"), old_err = redirect(STDERR_FILENO, "err");
	int status = command->run(&c);
	fflush(stdout);
	restore(STDOUT_FILENO, old_out);
	restore(STDERR_FILENO, old_err);
	cli_opt_fini(&c);
	free(steal(&out));
	free(steal(&errors));
	assert_int_equal(config_read_file(&out, &n, "out", 1 << 20, NULL), 0);
	assert_int_equal(config_read_file(&errors, &n, "err", 1 << 20, NULL), 0);
	return status;
}
#define SHOW(...) run_words(&cli_config_show, (const char *const[]){ __VA_ARGS__, NULL })

static int
check(const char *word1, const char *word2)
{
	return run_words(&cli_config_check, (const char *const[]){ word1, word2, NULL });
}

#define WARNED "colour: red\nruns:\n- name: r\n  tasks: []\n"
#define BAD "runs:\n- name: r\n  tasks:\n  - name: t\n    runtim: {}\n    steps:\n    - rum: a\n"

static void
test_valid(void **state)
{
	(void)state;
	put("a.yml", "runs: [{name: r, tasks: [{name: t, runtime: {containers: [{image: i}]}}]}]");
	assert_int_equal(check("a.yml", NULL), 0);
	assert_string_equal(out, "a.yml: valid\n");
	assert_string_equal(errors, "");
	assert_int_equal(check("--strict", "a.yml"), 0);
}

static void
test_errors(void **state)
{
	(void)state;
	put("a.yml", BAD);
	assert_int_equal(check("a.yml", NULL), 1);
	assert_string_equal(out, "");
	/* In the order of the file, each on its line, with its place in front. */
	const char *first = strstr(errors, "a.yml:4:5: task \"t\": runtime is not defined");
	const char *second =
	    strstr(errors, "\na.yml:5:5: warning: task \"t\": unknown key \"runtim\"");
	const char *third = strstr(errors, "\na.yml:7:7: task \"t\": unknown step type \"rum\"");
	if (!first || !second || !third)
		fail_msg("%s", errors);
	assert_ptr_equal(first, errors);
	assert_true(second < third);
	assert_non_null(strstr(second, "(did you mean runtime?)"));
	assert_non_null(strstr(third, "(did you mean run?) [runs[0].tasks[0].steps[0].rum]\n"));
}

static void
test_syntax_error(void **state)
{
	(void)state;
	put("a.yml", "runs:\n  - name: x\n    tasks: []\n   bad: indent\n");
	assert_int_equal(check("a.yml", NULL), 1);
	assert_int_equal(strncmp(errors, "a.yml:4:4: ", 11), 0);
	put("a.yml", "");
	assert_int_equal(check("a.yml", NULL), 1);
	assert_non_null(strstr(errors, "a.yml:1:1: no runs defined"));
}

static void
test_warnings(void **state)
{
	(void)state;
	put("a.yml", WARNED);
	assert_int_equal(check("a.yml", NULL), 0);
	assert_string_equal(out, "a.yml: valid\n");
	assert_int_equal(strncmp(errors, "a.yml:1:1: warning: unknown key \"colour\"", 40), 0);
	assert_int_equal(check("a.yml", "--strict"), 1);
	assert_string_equal(out, "");
	assert_non_null(strstr(errors, "warning: "));
}

static json_t *
checked_json(int want)
{
	json_t *j = NULL;

	assert_int_equal(check("a.yml", "--json"), want);
	assert_string_equal(errors, "");
	assert_int_equal(json_parse(&j, out, strlen(out), NULL), 0);
	assert_string_equal(json_text(j, "file"), "a.yml");
	assert_int_equal(json_flag(j, "valid", want), !want);
	return j;
}

static void
test_json(void **state)
{
	(void)state;
	put("a.yml", BAD);
	auto_json *bad = checked_json(1);
	const json_t *list = json_member(bad, "diagnostics");
	const json_t *last = json_array_get(list, 2);
	assert_int_equal(json_int(bad, "errors", -1), 2);
	assert_int_equal(json_int(bad, "dropped", -1), 0);
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(json_text(json_array_get(list, 1), "severity"), "warning");
	assert_string_equal(json_text(last, "severity"), "error");
	assert_int_equal(json_int(last, "line", 0), 7);
	assert_int_equal(json_int(last, "column", 0), 7);
	assert_string_equal(json_text(last, "path"), "runs[0].tasks[0].steps[0].rum");
	assert_string_equal(json_text(last, "hint"), "run");
	put("a.yml", WARNED);
	auto_json *warned = checked_json(0);
	assert_int_equal(json_int(warned, "errors", -1), 0);
	assert_int_equal(json_array_size(json_member(warned, "diagnostics")), 2);
}

/* Names are cut for messages: never in the middle of a character, or the message could not be
 * said in JSON. */
static void
test_long_names(void **state)
{
	(void)state;
	for (size_t before = 55; before < 62; before++) {
		auto_buf b = BUF_INIT;
		for (size_t i = 0; i < before; i++)
			buf_putc(&b, 'k');
		for (int i = 0; i < 10; i++)
			buf_puts(&b, "\xe2\x82\xac");
		buf_puts(&b, ": 1\nruns: [{name: ");
		for (size_t i = 0; i < before; i++)
			buf_putc(&b, 'n');
		buf_puts(&b, "\xe2\x82\xac\xe2\x82\xac, tasks: []}]\n");
		put("a.yml", buf_str(&b));
		auto_json *j = checked_json(0);
		assert_int_equal(json_array_size(json_member(j, "diagnostics")), 2);
	}
}

static void
test_default_files(void **state)
{
	(void)state;
	assert_int_equal(check(NULL, NULL), 1);
	assert_non_null(
	    strstr(errors, "millrace: there is no .agola/config.jsonnet, .json, .yml or"));
	assert_int_equal(mkdir(".agola", 0700), 0);
	/* In the order of the gateway: what comes later does not count. */
	put(".agola/config.yaml", "runs: 5");
	assert_int_equal(check(NULL, NULL), 1);
	assert_int_equal(strncmp(errors, ".agola/config.yaml:1:7: ", 24), 0);
	put(".agola/config.yml", "runs: 5");
	assert_int_equal(check(NULL, NULL), 1);
	assert_int_equal(strncmp(errors, ".agola/config.yml:1:7: ", 23), 0);
	put(".agola/config.json", "{\"runs\": [{\"name\": \"r\"}]}");
	assert_int_equal(check(NULL, NULL), 0);
	assert_string_equal(out, ".agola/config.json: valid\n");
	put(".agola/config.jsonnet", "{runs: [{name: 'r'}]}");
	assert_int_equal(check(NULL, NULL), 0);
	assert_string_equal(out, ".agola/config.jsonnet: valid\n");
	put(".agola/config.star", "def main(ctx): pass");
	assert_int_equal(check(NULL, NULL), 1);
	assert_non_null(strstr(errors, ".agola/config.star: Starlark is not supported; "));
	assert_int_equal(unlink(".agola/config.star"), 0);
}

static void
test_unreadable(void **state)
{
	(void)state;
	assert_int_equal(check("none.yml", NULL), 1);
	assert_non_null(strstr(errors, "millrace: open none.yml: "));
	assert_int_equal(check(".", NULL), 1);
	assert_int_equal(strncmp(errors, "millrace: ", 10), 0);
	assert_int_equal(check("a.star", NULL), 1);
	assert_non_null(strstr(errors, "a.star: Starlark is not supported"));
	assert_int_equal(check("a.jsonnet", NULL), 1);
	assert_non_null(strstr(errors, "millrace: open a.jsonnet: "));
	assert_int_equal(check("a.yml", "--format=xml"), 1);
	assert_non_null(strstr(errors, "--format takes yaml or jsonnet"));
}

static void
test_several_files(void **state)
{
	static const char *const all[] = { "a.yml", "none.yml", "other.jsonnet", NULL };
	static const char *const json[] = { "--json", "a.yml", "other.jsonnet", NULL };
	auto_json *j = NULL;

	(void)state;
	put("a.yml", BAD);
	put("other.jsonnet", "{runs: [{name: 'r'}]}");
	assert_int_equal(run_words(&cli_config_check, all), 1);
	assert_non_null(strstr(errors, "a.yml:4:5: "));
	assert_non_null(strstr(errors, "millrace: open none.yml: "));
	assert_string_equal(out, "other.jsonnet: valid\n");
	assert_int_equal(run_words(&cli_config_check, json), 1);
	assert_int_equal(json_parse(&j, out, strlen(out), NULL), 0);
	assert_int_equal(json_array_size(j), 2);
	assert_false(json_flag(json_array_get(j, 0), "valid", true));
	assert_true(json_flag(json_array_get(j, 1), "valid", false));
	assert_int_equal(run_words(&cli_config_check, json + 2), 0);
}

static void
test_jsonnet(void **state)
{
	(void)state;
	(void)mkdir(".agola", 0700);
	assert_int_equal(mkdir("shared", 0700), 0);
	put("shared/a.libsonnet", "{ name: 'r', tasks: [] }");
	put(".agola/config.jsonnet", "local a = import '../shared/a.libsonnet';\nfunction(ctx) { "
	                             "runs: [a { name+: ctx.tag }] }");
	assert_int_equal(check(".agola/config.jsonnet", "--context=tag=v1"), 0);
	assert_string_equal(out, ".agola/config.jsonnet: valid\n");
	assert_non_null(strstr(errors, ".agola/config.jsonnet (output):"));
	assert_non_null(strstr(errors, "run \"rv1\""));
	/* An evaluation that fails. */
	put(".agola/config.jsonnet", "{\n  runs: [error 'no good'] }");
	assert_int_equal(check(".agola/config.jsonnet", NULL), 1);
	assert_int_equal(strncmp(errors, ".agola/config.jsonnet:2:10: Jsonnet: no good\n", 44), 0);
	assert_int_equal(check(".agola/config.jsonnet", "--json"), 1);
	auto_json *j = NULL;
	assert_int_equal(json_parse(&j, out, strlen(out), NULL), 0);
	assert_int_equal(json_int(j, "errors", 0), 1);
	const json_t *d = json_array_get(json_member(j, "diagnostics"), 0);
	assert_string_equal(json_text(d, "file"), ".agola/config.jsonnet");
	assert_int_equal(json_int(d, "line", 0), 2);
	assert_int_equal(json_int(d, "column", 0), 10);
	assert_int_equal(strncmp(json_text(d, "message"), "Jsonnet: no good", 16), 0);
	/* By its format rather than its name; outside of .agola its own directory is the root. */
	put("a.yml", "{runs: [{name: importstr 'shared/a.libsonnet'}]}");
	assert_int_equal(check("a.yml", "--format=jsonnet"), 0);
}

/* Nothing outside of the tree is read, and no link in it is followed. */
static void
test_imports_stay_inside(void **state)
{
	static const struct {
		const char *path, *why;
	} cases[] = {
		{ "/etc/hostname", "it is absolute" },
		{ "../../../../../../etc/hostname", "it leads out of the repository" },
		{ "link.libsonnet", "link.libsonnet is a symbolic link, which is not followed" },
		{ "../linked/a.libsonnet", "linked is a symbolic link, which is not followed" },
		{ "../.git/config", "it leads into .git" },
		{ "../shared", "it is no file" },
		{ "../shared/none", "there is no such file" },
		{ "../a.yml/x", "there is no such file" },
	};

	(void)state;
	put("a.yml", "1");
	assert_int_equal(symlink("../shared/a.libsonnet", ".agola/link.libsonnet"), 0);
	assert_int_equal(symlink("shared", "linked"), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *text = xasprintf("importstr '%s'", cases[i].path);
		auto_free char *want =
		    xasprintf(".agola/config.jsonnet:1:1: Jsonnet: couldn't open import \"%s\": "
		              "%s: %s",
		        cases[i].path, cases[i].path, cases[i].why);

		put(".agola/config.jsonnet", text);
		assert_int_equal(check(".agola/config.jsonnet", NULL), 1);
		if (strncmp(errors, want, strlen(want)) != 0)
			fail_msg("%s: %s", cases[i].path, errors);
	}
}

#define GRAPH                                                                                      \
	"runs:\n- name: one\n  tasks:\n"                                                           \
	"  - {name: c, runtime: {containers: [{image: i}]}, depends: [b: [on_failure, "            \
	"on_skipped]], "                                                                           \
	"approval: true, ignore_failure: true}\n"                                                  \
	"  - {name: b, runtime: {containers: [{image: i}]}, depends: [a], when: {tag: v1}}\n"      \
	"  - {name: a, runtime: {containers: [{image: 'i:1'}]}, steps: [run: x]}\n"                \
	"- name: 't\"wo'\n  when: {branch: master}\n  tasks:\n"                                    \
	"  - {name: d, runtime: {containers: [{image: i}]}}\n"

static void
test_show(void **state)
{
	(void)state;
	put("a.yml", GRAPH);
	assert_int_equal(SHOW("a.yml"), 0);
	assert_string_equal(out, "a.yml for refs/heads/master\n"
	                         "run one\n"
	                         "  a  i:1  1 step\n"
	                         "    b  [skipped: its when does not match]  i  0 steps  after a\n"
	                         "      c  [waits for approval]  [may fail]  i  0 steps  after b "
	                         "(on_failure, on_skipped)\n"
	                         "run t\"wo\n"
	                         "  d  i  0 steps\n");
	assert_int_equal(SHOW("a.yml", "-c", "tag=v1"), 0);
	assert_non_null(strstr(out, "a.yml for refs/tags/v1\n"));
	assert_non_null(strstr(out, "    b  i  0 steps  after a\n"));
	assert_non_null(strstr(out, "run t\"wo  [not created: its when does not match]\n"));
	assert_int_equal(SHOW("a.yml", "--dot", "--context=tag=v2"), 0);
	assert_string_equal(out, "digraph definition {\n  rankdir=LR;\n  node [shape=box];\n"
	                         "  subgraph cluster_0 {\n    label=\"one\";\n"
	                         "    r0t0 [label=\"c\"];\n"
	                         "    r0t1 [label=\"b\", style=dashed];\n"
	                         "    r0t2 [label=\"a\"];\n"
	                         "    r0t1 -> r0t0 [label=\"on_failure, on_skipped\"];\n"
	                         "    r0t2 -> r0t1;\n  }\n"
	                         "  subgraph cluster_1 {\n    label=\"t\\\"wo\";\n"
	                         "    style=dashed;\n"
	                         "    r1t0 [label=\"d\", style=dashed];\n  }\n}\n");
	put("a.yml", BAD);
	assert_int_equal(SHOW("a.yml"), 1);
	assert_string_equal(out, "");
	assert_int_equal(strncmp(errors, "a.yml:4:5: task \"t\": runtime is not defined", 43), 0);
}

static void
test_show_json(void **state)
{
	auto_json *j = NULL;

	(void)state;
	put("a.yml", GRAPH);
	assert_int_equal(SHOW("a.yml", "--json", "-c", "tag=v1", "--context", "commit_sha=abc"), 0);
	assert_int_equal(json_parse(&j, out, strlen(out), NULL), 0);
	const json_t *x = json_member(j, "context");
	assert_string_equal(json_text(x, "ref_type"), "tag");
	assert_string_equal(json_text(x, "ref"), "refs/tags/v1");
	assert_string_equal(json_text(x, "tag"), "v1");
	assert_string_equal(json_text(x, "branch"), "");
	assert_string_equal(json_text(x, "commit_sha"), "abc");
	const json_t *one = json_array_get(json_member(j, "runs"), 0);
	const json_t *two = json_array_get(json_member(j, "runs"), 1);
	assert_true(json_flag(one, "created", false));
	assert_false(json_flag(two, "created", true));
	const json_t *c = json_array_get(json_member(one, "tasks"), 0);
	assert_string_equal(json_text(c, "name"), "c");
	assert_int_equal(json_int(c, "level", -1), 2);
	assert_true(json_flag(c, "approval", false));
	assert_false(json_flag(c, "skipped", true));
	const json_t *dep = json_array_get(json_member(c, "depends"), 0);
	assert_string_equal(json_text(dep, "task"), "b");
	assert_int_equal(json_array_size(json_member(dep, "conditions")), 2);
	/* All that the definition says, as its own printer has it: what is false is left out. */
	const json_t *a = json_array_get(json_member(one, "tasks"), 2);
	assert_null(json_member(a, "approval"));
	assert_string_equal(json_text(a, "working_dir"), "~/project");
	const json_t *step = json_array_get(json_member(a, "steps"), 0);
	assert_string_equal(json_text(json_member(step, "run"), "command"), "x");
	assert_string_equal(json_text(j, "version"), "v0");
	/* The tasks of a matrix, one by one. */
	put("a.yml", "version: v1\nruns:\n- name: r\n  tasks:\n  - name: t\n    matrix: {A: "
	             "[x, y]}\n    runtime: {containers: [{image: i}]}\n");
	json_decref(j);
	assert_int_equal(SHOW("a.yml", "--json"), 0);
	assert_int_equal(json_parse(&j, out, strlen(out), NULL), 0);
	assert_string_equal(json_text(j, "version"), "v1");
	one = json_array_get(json_member(j, "runs"), 0);
	assert_int_equal(json_array_size(json_member(one, "tasks")), 2);
	a = json_array_get(json_member(one, "tasks"), 1);
	assert_string_equal(json_text(json_member(a, "environment"), "A"), "y");
}

static void
test_show_context(void **state)
{
	static const struct {
		const char *word, *generated;
	} cases[] = {
		{ "branch=f/x", "\"branch f/x refs/heads/f/x\"\n" },
		{ "tag=v1", "\"tag v1 refs/tags/v1\"\n" },
		{ "pull_request_id=7", "\"pull_request 7 refs/pull/7/head\"\n" },
		{ "ref=refs/heads/a/b", "\"branch a/b refs/heads/a/b\"\n" },
		{ "ref=refs/tags/t", "\"tag t refs/tags/t\"\n" },
		{ "ref=refs/merge-requests/9/head",
		    "\"pull_request 9 refs/merge-requests/9/head\"\n" },
	};
	static const char *const bad[] = { "branch", "branch=", "colour=red", "ref=x", "=", "" };

	(void)state;
	put("other.jsonnet", "function(ctx) '%s %s%s%s %s' % [ctx.ref_type, ctx.branch, ctx.tag, "
	                     "ctx.pull_request_id, ctx.ref]");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(
		    SHOW("other.jsonnet", "--generated", "--context", cases[i].word), 0);
		assert_string_equal(out, cases[i].generated);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(SHOW("other.jsonnet", "--context", bad[i]), 1);
		assert_int_equal(strncmp(errors, "millrace: --context", 19), 0);
	}
	assert_int_equal(SHOW("other.jsonnet", "-c", "tag=a", "-c", "branch=b"), 1);
	assert_non_null(strstr(errors, "give one of branch, tag and pull_request_id"));
	assert_int_equal(SHOW("other.jsonnet", "-c", "tag=a", "-c", "tag=b"), 1);
	assert_non_null(strstr(errors, "is given twice"));
	/* Nothing of a failed evaluation is printed. */
	put("other.jsonnet", "error 'x'");
	assert_int_equal(SHOW("other.jsonnet", "--generated"), 1);
	assert_string_equal(out, "");
	assert_non_null(strstr(errors, "other.jsonnet:1:1: Jsonnet: x\n"));
}

static void
test_too_large(void **state)
{
	auto_free char *text = xcalloc(1, (1u << 20) + 1);

	(void)state;
	memset(text, '#', 1u << 20);
	text[(1u << 20) - 1] = '\0';
	put("a.yml", text);
	assert_int_equal(check("a.yml", NULL), 1);
	assert_non_null(strstr(errors, "no runs defined")); /* read, and nothing in it */
	text[(1u << 20) - 1] = '#';
	put("a.yml", text);
	assert_int_equal(check("a.yml", NULL), 1);
	assert_non_null(strstr(errors, "no runs defined"));
	auto_free char *more = xasprintf("%s#", text);
	put("a.yml", more);
	assert_int_equal(check("a.yml", NULL), 1);
	assert_non_null(strstr(errors, "large"));
}

int
main(int argc, char **argv)
{
	if (eval_is_child(argc, argv))
		return eval_child();

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_syntax_error),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_default_files),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_several_files),
		cmocka_unit_test(test_jsonnet),
		cmocka_unit_test(test_imports_stay_inside),
		cmocka_unit_test(test_show),
		cmocka_unit_test(test_show_json),
		cmocka_unit_test(test_show_context),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
