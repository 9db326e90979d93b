/* Files of secrets and variables: what is sent of them, and how wrong ones are refused. */
#include "cli/cli.h"
#include "cli/rest.h"
#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The body that a command makes of a file with this text; the code of the refusal. */
static int
body_of(json_t **body, const char *kind, const char *verb, const char *text, const char *new_name,
    struct err **err)
{
	const char *words[] = { "project", kind, verb };
	const struct cli_command *k = cli_command_find(words, 3);
	char path[] = "/tmp/millrace-values-XXXXXX";
	int fd = mkstemp(path);
	struct cli c;
	bool help;

	assert_non_null(k);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	auto_free char *file = xasprintf("--file=%s", path);
	auto_free char *name = new_name ? xasprintf("--new-name=%s", new_name) : NULL;
	static char project[] = "--project=p", named[] = "--name=n";
	char *argv[] = { project, named, file, name };
	assert_int_equal(cli_opt_parse(&c, k, name ? 4 : 3, argv, &help, NULL), 0);
	*body = json_object();
	int rc = k->rest->fill(&c, *body, err);
	cli_opt_fini(&c);
	unlink(path);
	return rc;
}

static void
becomes(const char *kind, const char *text, const char *want)
{
	auto_json *body = NULL;
	auto_err err = NULL;

	if (body_of(&body, kind, "create", text, NULL, &err))
		fail_msg("%s: %s", text, err_msg(err));
	auto_free char *got = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
	if (strcmp(got, want) != 0)
		fail_msg("%s\n  is  %s\n  not %s", text, got, want);
}

static void
refused(const char *kind, const char *text, const char *part)
{
	auto_json *body = NULL;
	auto_err err = NULL;

	if (body_of(&body, kind, "create", text, NULL, &err) != ERR_INVALID)
		fail_msg("accepted: %s", text);
	if (!strstr(err_msg(err), part))
		fail_msg("%s: %s", text, err_msg(err));
	/* An error is printed: it never holds a value. */
	assert_null(strstr(err_msg(err), "s3cret"));
}

static void
secrets(void **state)
{
	(void)state;
	becomes("secret", "user: me\npassword: 0123\n",
	    "{\"data\":{\"password\":\"0123\",\"user\":\"me\"},\"type\":\"internal\"}");
	becomes("secret", "{\"a\": \"x\\ny\", \"b\": true, \"c\": \"\"}",
	    "{\"data\":{\"a\":\"x\\ny\",\"b\":\"true\",\"c\":\"\"},\"type\":\"internal\"}");
	refused("secret", "", "at least one");
	refused("secret", "{}", "at least one");
	refused("secret", "- s3cret", "expected a mapping");
	refused("secret", "s3cret", "expected a mapping");
	refused("secret", "a: [s3cret]", ":1:4: the value of a must be text");
	refused("secret", "a: 1\nb: {x: s3cret}", ":2:4: the value of b must be text");
	refused("secret", "a:", "the value of a must be text");
	refused("secret", "a: s3cret: x", ":1:");
}

#define VALUE "secret_name: s\n  secret_var: v\n"
#define SENT(when) "{\"values\":[{\"secret_name\":\"s\",\"secret_var\":\"v\"" when "}]}"
#define SIMPLE(x) "{\"match\":\"" x "\",\"type\":\"simple\"}"
#define REGEXP(x) "{\"match\":\"" x "\",\"type\":\"regexp\"}"

static void
variables(void **state)
{
	(void)state;
	becomes("variable", "- " VALUE, SENT(""));
	becomes("variable", "- " VALUE "  when:\n", SENT(""));
	becomes("variable", "- " VALUE "  when: {branch: master}",
	    SENT(",\"when\":{\"branch\":{\"include\":[" SIMPLE("master") "]}}"));
	becomes("variable", "- " VALUE "  when: {branch: [master, /^v1/], tag: '#.*#', ref: null}",
	    SENT(",\"when\":{\"branch\":{\"include\":[" SIMPLE("master") "," REGEXP(
	        "^v1") "]},\"tag\":{\"include\":[" REGEXP(".*") "]}}"));
	becomes("variable", "- " VALUE "  when: {ref: {include: a, exclude: [b, '//', '/x#']}}",
	    SENT(",\"when\":{\"ref\":{\"exclude\":[" SIMPLE("b") "," SIMPLE("//") "," SIMPLE(
	        "/x#") "],\"include\":[" SIMPLE("a") "]}}"));
	becomes("variable",
	    "[{\"secret_name\": \"s\", \"secret_var\": \"v\"}, {\"secret_var\": \"w\", "
	    "\"secret_name\": \"t\", \"when\": {}}]",
	    "{\"values\":[{\"secret_name\":\"s\",\"secret_var\":\"v\"},"
	    "{\"secret_name\":\"t\",\"secret_var\":\"w\",\"when\":{}}]}");
	refused("variable", "", "expected a list");
	refused("variable", "[]", "expected a list");
	refused("variable", "a: b", "expected a list");
	refused("variable", "- x", ":1:3: a value must be a mapping");
	refused("variable", "- secret_name: s", ":1:3: secret_name and secret_var are both needed");
	refused("variable", "- " VALUE "  value: s3cret", ":3:3: unknown key");
	refused("variable", "- secret_name: [s]\n  secret_var: v", "secret_name must be text");
	refused("variable", "- " VALUE "  when: master", "when must be a mapping");
	refused("variable", "- " VALUE "  when: {branches: x}", "branch, tag and ref only");
	refused(
	    "variable", "- " VALUE "  when: {branch: {only: x}}", "expected include or exclude");
	refused("variable", "- " VALUE "  when: {branch: [[x]]}", "a text or a list of texts");
	refused("variable", "- " VALUE "  when: {branch: {include: {a: b}}}", "a text or a list");
}

/* An update sends a whole object: the old name, or the new one. */
static void
updates(void **state)
{
	static const char *const texts[][2] = { { "secret", "a: b" }, { "variable", "- " VALUE } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		auto_json *kept = NULL, *renamed = NULL;

		assert_int_equal(body_of(&kept, texts[i][0], "update", texts[i][1], NULL, NULL), 0);
		assert_string_equal(json_text(kept, "name"), "n");
		assert_int_equal(
		    body_of(&renamed, texts[i][0], "update", texts[i][1], "m", NULL), 0);
		assert_string_equal(json_text(renamed, "name"), "m");
		assert_non_null(json_object_get(renamed, i ? "values" : "data"));
	}
}

static void
no_file(void **state)
{
	static char project[] = "--project=p", named[] = "--name=n", file[] = "--file=/none/x";
	const char *words[] = { "project", "secret", "create" };
	const struct cli_command *k = cli_command_find(words, 3);
	char *argv[] = { project, named, file };
	auto_json *body = json_object();
	auto_err err = NULL;
	struct cli c;
	bool help;

	(void)state;
	assert_int_equal(cli_opt_parse(&c, k, 3, argv, &help, NULL), 0);
	assert_int_not_equal(k->rest->fill(&c, body, &err), 0);
	assert_non_null(strstr(err_msg(err), "open /none/x"));
	cli_opt_fini(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets),
		cmocka_unit_test(variables),
		cmocka_unit_test(updates),
		cmocka_unit_test(no_file),
	};

	return cmocka_run_group_tests_name("cli_values", tests, NULL, NULL);
}
