/* Profiles: what is chosen, who may read the file, and which token goes to whom. */
#include "cli/profile.h"
#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/millrace-profile-XXXXXX";
static char *file;

static int
never(struct cli *c)
{
	(void)c;
	return 1;
}
static const struct cli_command command = {
	.words = { "thing" }, .run = never, .summary = "does it", .example = "millrace thing"
};

static int
setup(void **state)
{
	(void)state;
	if (!file) {
		assert_non_null(mkdtemp(dir));
		file = xasprintf("%s/a/b/profiles.json", dir);
	}
	setenv("MILLRACE_CONFIG", file, 1);
	unsetenv("MILLRACE_URL");
	unsetenv("MILLRACE_TOKEN");
	unsetenv("MILLRACE_PROFILE");
	(void)unlink(file);
	return 0;
}

static void
save(const char *json)
{
	auto_json *j = NULL;
	auto_err err = NULL;

	assert_int_equal(json_parse(&j, json, strlen(json), NULL), 0);
	if (cli_profile_save(j, &err))
		fail_msg("%s", err_msg(err));
}

static void
write_text(const char *text, mode_t mode)
{
	save("{\"profiles\":{}}");
	FILE *f = fopen(file, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(file, mode), 0);
}

#define TWO                                                                                        \
	"{\"current\":\"home\",\"profiles\":{"                                                     \
	"\"home\":{\"url\":\"http://home:1/\",\"token\":\"th\",\"user\":\"h\"},"                   \
	"\"work\":{\"url\":\"http://work:2\",\"token\":\"tw\",\"user\":\"w\"}}}"

/* Only its owner may read it, and its directories; it is whole or not there. */
static void
is_private(void **state)
{
	auto_json *j = NULL;
	struct stat st;

	(void)state;
	umask(0);
	save(TWO);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	auto_free char *parent = xasprintf("%s/a", dir);
	assert_int_equal(stat(parent, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(cli_profile_load(&j, NULL), 0);
	assert_string_equal(json_text(cli_profile_get(j, "work"), "token"), "tw");
	assert_null(cli_profile_get(j, "none"));
}

static void
refuses(const char *text, mode_t mode, int code, const char *part)
{
	auto_json *j = NULL;
	auto_err err = NULL;

	write_text(text, mode);
	assert_int_equal(cli_profile_load(&j, &err), code);
	assert_null(j);
	if (!strstr(err_msg(err), part) || !strstr(err_msg(err), file))
		fail_msg("%s", err_msg(err));
}

static void
bad_files(void **state)
{
	auto_free char *large = xmalloc(CLI_PROFILES_MAX + 2);

	(void)state;
	memset(large, ' ', CLI_PROFILES_MAX + 1);
	large[CLI_PROFILES_MAX + 1] = '\0';
	refuses(TWO, 0644, ERR_DENIED, "chmod 600");
	refuses(TWO, 0620, ERR_DENIED, "chmod 600");
	refuses("{", 0600, ERR_INVALID, "log in again");
	refuses("[]", 0600, ERR_INVALID, "\"profiles\"");
	refuses("{\"profiles\":[]}", 0600, ERR_INVALID, "\"profiles\"");
	refuses(large, 0600, ERR_INVALID, "larger than");
}

static void
no_file(void **state)
{
	auto_json *j = NULL;

	(void)state;
	assert_int_equal(cli_profile_load(&j, NULL), 0);
	assert_int_equal(json_object_size(json_object_get(j, "profiles")), 0);
}

/* Options, each behind the other, then MILLRACE_URL, _TOKEN and _PROFILE: what comes of them. */
static void
chosen(void **state)
{
	static const struct {
		const char *args[5], *env_url, *env_token, *env_profile, *url, *token;
		int code;
	} table[] = {
		{ { 0 }, NULL, NULL, NULL, "http://home:1/", "th", 0 },
		{ { "--profile=work" }, NULL, NULL, NULL, "http://work:2", "tw", 0 },
		{ { 0 }, NULL, NULL, "work", "http://work:2", "tw", 0 },
		{ { "--profile", "home" }, NULL, NULL, "work", "http://home:1/", "th", 0 },
		/* Options and the environment go before it. */
		{ { "--token=x" }, NULL, NULL, NULL, "http://home:1/", "x", 0 },
		{ { 0 }, NULL, "e", NULL, "http://home:1/", "e", 0 },
		{ { "--profile=work" }, NULL, "e", NULL, "http://work:2", "e", 0 },
		/* Its token is for its own gateway. */
		{ { "-u", "http://evil:1" }, NULL, NULL, NULL, "http://evil:1", "", 0 },
		{ { "-u", "http://home:1" }, NULL, NULL, NULL, "http://home:1", "th", 0 },
		{ { "-u", "http://home:11" }, NULL, NULL, NULL, "http://home:11", "", 0 },
		{ { "-u", "http://home:1/x" }, NULL, NULL, NULL, "http://home:1/x", "", 0 },
		{ { 0 }, "http://evil:1", NULL, NULL, "http://evil:1", "", 0 },
		{ { "--profile=work" }, "http://home:1", NULL, NULL, "http://home:1", "", 0 },
		{ { "--profile=none" }, NULL, NULL, NULL, NULL, NULL, ERR_NOTFOUND },
		{ { 0 }, NULL, NULL, "none", NULL, NULL, ERR_NOTFOUND },
	};

	(void)state;
	save(TWO);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char *argv[5];
		int argc = 0;
		struct cli c;
		bool help;

		for (; table[i].args[argc]; argc++)
			argv[argc] = (char *)(uintptr_t)table[i].args[argc];
		unsetenv("MILLRACE_URL");
		unsetenv("MILLRACE_TOKEN");
		unsetenv("MILLRACE_PROFILE");
		if (table[i].env_url)
			setenv("MILLRACE_URL", table[i].env_url, 1);
		if (table[i].env_token)
			setenv("MILLRACE_TOKEN", table[i].env_token, 1);
		if (table[i].env_profile)
			setenv("MILLRACE_PROFILE", table[i].env_profile, 1);
		assert_int_equal(cli_opt_parse(&c, &command, argc, argv, &help, NULL), 0);
		if (cli_profile_apply(&c, NULL) != table[i].code)
			fail_msg("row %zu", i);
		if (!table[i].code &&
		    (strcmp(c.url, table[i].url) != 0 || strcmp(c.token, table[i].token) != 0))
			fail_msg("row %zu: %s %s", i, c.url, c.token);
		cli_opt_fini(&c);
	}
}

/* Who says everything needs no file, not even a good one. */
static void
not_looked_at(void **state)
{
	static char url[] = "--gateway-url=http://x:1", token[] = "--token=t";
	char *argv[] = { url, token };
	struct cli c;
	bool help;

	(void)state;
	write_text("{", 0644);
	assert_int_equal(cli_opt_parse(&c, &command, 2, argv, &help, NULL), 0);
	assert_int_equal(cli_profile_apply(&c, NULL), 0);
	cli_opt_fini(&c);
	assert_int_equal(cli_opt_parse(&c, &command, 1, argv, &help, NULL), 0);
	assert_int_equal(cli_profile_apply(&c, NULL), ERR_DENIED);
	cli_opt_fini(&c);
}

/* What would become another header is refused. */
static void
token_is_checked(void **state)
{
	struct cli c;
	bool help;

	(void)state;
	save("{\"current\":\"a\",\"profiles\":{\"a\":{\"url\":\"http://a\","
	     "\"token\":\"x\\r\\nHost: y\"}}}");
	assert_int_equal(cli_opt_parse(&c, &command, 0, NULL, &help, NULL), 0);
	assert_int_equal(cli_profile_apply(&c, NULL), ERR_INVALID);
	cli_opt_fini(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(is_private, setup),
		cmocka_unit_test_setup(bad_files, setup),
		cmocka_unit_test_setup(no_file, setup),
		cmocka_unit_test_setup(chosen, setup),
		cmocka_unit_test_setup(not_looked_at, setup),
		cmocka_unit_test_setup(token_is_checked, setup),
	};
	int failed = cmocka_run_group_tests_name("cli_profile", tests, NULL, NULL);
	auto_free char *inner = xasprintf("%s/a/b", dir), *outer = xasprintf("%s/a", dir);

	(void)unlink(file);
	(void)rmdir(inner);
	(void)rmdir(outer);
	(void)rmdir(dir);
	free(file);
	return failed;
}
