/* Options of the command line: both spellings, repeats, and each way to get them wrong. */
#include "cli/cli.h"
#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int
never(struct cli *c)
{
	(void)c;
	return 0;
}

static const struct cli_opt opts[] = {
	{ "name", 'n', CLI_TEXT, true, NULL, "a name" },
	{ "var", 0, CLI_LIST, false, NULL, "variables" },
	{ "force", 'f', CLI_FLAG, false, "false", "a flag" },
	{ "tty", 0, CLI_FLAG, false, "true", "a flag that is on" },
	{ "limit", 0, CLI_TEXT, false, "25", "a preset" },
	{ 0 },
};
static const struct cli_command command = {
	.words = { "thing", "do" },
	.args = "NUMBER [MORE]",
	.min_args = 1,
	.max_args = 2,
	.opts = opts,
	.run = never,
	.summary = "does it",
	.example = "millrace thing do 1",
};

#define ARGV_MAX 8

static int
parse(struct cli *c, const char *const *words, bool *help, struct err **err)
{
	static char *argv[ARGV_MAX];
	int argc = 0;

	for (; words[argc]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	return cli_opt_parse(c, &command, argc, argv, help, err);
}

static void
check_refused(const char *const *words, const char *part)
{
	struct cli c;
	bool help;
	auto_err err = NULL;

	if (parse(&c, words, &help, &err) != ERR_INVALID)
		fail_msg("accepted where \"%s\" was expected", part);
	if (!strstr(err_msg(err), part))
		fail_msg("\"%s\" is not in \"%s\"", part, err_msg(err));
	cli_opt_fini(&c);
}
#define WORDS(...)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static void
test_values(void **state)
{
	struct cli c;
	bool help = true;
	size_t n;

	(void)state;
	assert_int_equal(
	    parse(&c, WORDS("7", "--name=a=b", "--var", "X=1", "-f", "--var=Y"), &help, NULL), 0);
	assert_false(help);
	assert_int_equal(c.nargs, 1);
	assert_string_equal(c.args[0], "7");
	assert_string_equal(cli_get(&c, "name"), "a=b");
	assert_true(cli_flag(&c, "force"));
	assert_true(cli_flag(&c, "tty"));
	assert_false(cli_given(&c, "tty"));
	assert_string_equal(cli_get(&c, "limit"), "25");
	const char *const *list = cli_list(&c, "var", &n);
	assert_int_equal(n, 2);
	assert_string_equal(list[0], "X=1");
	assert_string_equal(list[1], "Y");
	cli_opt_fini(&c);

	assert_int_equal(
	    parse(&c, WORDS("-n", "-x", "--tty=false", "1", "-n=last", "2"), &help, NULL), 0);
	assert_string_equal(cli_get(&c, "name"), "last");
	assert_false(cli_flag(&c, "tty"));
	assert_int_equal(c.nargs, 2);
	assert_null(cli_list(&c, "var", &n));
	assert_int_equal(n, 0);
	cli_opt_fini(&c);
	/* "-" is an argument, and so is all after "--". */
	assert_int_equal(parse(&c, WORDS("-n", "x", "-", "--", "--force"), &help, NULL), 0);
	assert_string_equal(c.args[0], "-");
	assert_string_equal(c.args[1], "--force");
	assert_false(cli_flag(&c, "force"));
	cli_opt_fini(&c);
}

static void
test_refused(void **state)
{
	(void)state;
	check_refused(WORDS("1", "--name", "x", "--nope"), "unknown option --nope");
	check_refused(WORDS("1", "--name", "x", "--nope=1"), "unknown option --nope=1");
	check_refused(WORDS("1", "--name", "x", "-q"), "unknown option -q");
	check_refused(WORDS("1", "-name", "x"), "unknown option -name"); /* one dash, one letter */
	check_refused(WORDS("1", "--n", "x"), "unknown option --n");
	check_refused(WORDS("1", "--nam", "x"), "unknown option --nam"); /* no short spellings */
	check_refused(WORDS("1", "--name"), "--name needs a value");
	check_refused(WORDS("1", "-n"), "--name needs a value");
	check_refused(WORDS("1"), "--name is missing");
	check_refused(WORDS("1", "--name="), "--name is missing");
	check_refused(WORDS("--name", "x"), "an argument is missing: NUMBER [MORE]");
	check_refused(WORDS("1", "2", "3", "--name", "x"), "unexpected argument \"3\"");
	check_refused(WORDS("1", "--name", "x", "--force=yes"), "--force takes true or false");
	check_refused(WORDS("1", "--name", "x", "--token", "a b"), "token contains blanks");
	check_refused(WORDS("1", "--name", "x", "--token=a\r\nX: y"), "token contains");
}

static void
test_help(void **state)
{
	struct cli c;
	bool help = false;

	(void)state;
	/* What is missing does not matter then. */
	assert_int_equal(parse(&c, WORDS("--help"), &help, NULL), 0);
	assert_true(help);
	cli_opt_fini(&c);
	assert_int_equal(parse(&c, WORDS("1", "2", "3", "-h"), &help, NULL), 0);
	assert_true(help);
	cli_opt_fini(&c);
}

/* An option goes before the environment, that before what is built in; empty ones count as none. */
static void
test_precedence(void **state)
{
	struct cli c;
	bool help;

	(void)state;
	unsetenv("MILLRACE_URL");
	unsetenv("MILLRACE_TOKEN");
	assert_int_equal(parse(&c, WORDS("1", "-n", "x"), &help, NULL), 0);
	assert_string_equal(c.url, "http://localhost:8000");
	assert_string_equal(c.token, "");
	cli_opt_fini(&c);
	setenv("MILLRACE_URL", "http://env:1", 1);
	setenv("MILLRACE_TOKEN", "envtoken", 1);
	assert_int_equal(parse(&c, WORDS("1", "-n", "x", "--token="), &help, NULL), 0);
	assert_string_equal(c.url, "http://env:1");
	assert_string_equal(c.token, "envtoken");
	cli_opt_fini(&c);
	assert_int_equal(
	    parse(&c, WORDS("1", "-n", "x", "-u", "http://opt:2", "--token=t"), &help, NULL), 0);
	assert_string_equal(c.url, "http://opt:2");
	assert_string_equal(c.token, "t");
	cli_opt_fini(&c);
	setenv("MILLRACE_TOKEN", "two\nlines", 1);
	check_refused(WORDS("1", "-n", "x"), "token contains");
	unsetenv("MILLRACE_URL");
	unsetenv("MILLRACE_TOKEN");
}

static void
test_too_many(void **state)
{
	size_t n = (CLI_LIST_MAX + 1) * 2 + 2;
	auto_free char **argv = xcalloc(n + 1, sizeof(*argv));
	static char number[] = "1", name[] = "--name=x", var[] = "--var", value[] = "A=b";
	struct cli c;
	bool help;
	auto_err err = NULL;

	(void)state;
	argv[0] = number;
	argv[1] = name;
	for (size_t i = 2; i < n; i += 2) {
		argv[i] = var;
		argv[i + 1] = value;
	}
	assert_int_equal(cli_opt_parse(&c, &command, (int)n - 2, argv, &help, NULL), 0);
	cli_opt_fini(&c);
	assert_int_equal(cli_opt_parse(&c, &command, (int)n, argv, &help, &err), ERR_INVALID);
	assert_non_null(strstr(err_msg(err), "more than 1000 times"));
	cli_opt_fini(&c);
}

static void
test_numbers(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "1x", "x", "0x1", "1.5", "0",
		"18446744073709551616", "\t1", "\n1" };
	uint64_t v = 0;

	(void)state;
	assert_int_equal(cli_number(&v, "18446744073709551615", 1, "the run", NULL), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(cli_number(&v, "0", 0, "the step", NULL), 0);
	assert_int_equal(v, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_err err = NULL;
		if (cli_number(&v, bad[i], 1, "the run", &err) != ERR_INVALID)
			fail_msg("accepted: \"%s\"", bad[i]);
		assert_non_null(strstr(err_msg(err), "the run must be a number"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
