/* "config check" as a user has it: exit status, file:line:col: message, --json, --strict. */
#include "cli/cli.h"
#include "common/config.h"
#include "common/mem.h"

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
		".agola/config.yaml", ".agola/config.json" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlink(files[i]);
	rmdir(".agola");
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

/* Runs it with these words; fills out and errors; the exit status. */
static int
check(const char *word1, const char *word2)
{
	char *argv[] = { (char *)(uintptr_t)word1, (char *)(uintptr_t)word2 };
	struct cli c;
	bool help;
	size_t n;

	assert_int_equal(cli_opt_parse(&c, &cli_config_check,
	                     word2   ? 2
	                     : word1 ? 1
	                             : 0,
	                     argv, &help, NULL),
	    0);
	fflush(stdout);
	int old_out = redirect(STDOUT_FILENO, "out"), old_err = redirect(STDERR_FILENO, "err");
	int status = cli_config_check.run(&c);
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
	assert_non_null(strstr(errors, "millrace: there is no .agola/config.yml"));
	assert_int_equal(mkdir(".agola", 0700), 0);
	put(".agola/config.json", "{\"runs\": [{\"name\": \"r\"}]}");
	assert_int_equal(check(NULL, NULL), 0);
	assert_string_equal(out, ".agola/config.json: valid\n");
	put(".agola/config.yml", "runs: 5");
	assert_int_equal(check(NULL, NULL), 1);
	assert_int_equal(strncmp(errors, ".agola/config.yml:1:7: ", 23), 0);
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
	assert_non_null(strstr(errors, "a.star: only .yml, .yaml and .json"));
	assert_int_equal(check("a.jsonnet", NULL), 1);
	assert_non_null(strstr(errors, "config check -"));
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
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_syntax_error),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_default_files),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
