/* The tables of commands: each one has help, completion and a manual page, says what exists, and
 * every command and flag of Agola's command line is there. */
#include "cli/cli.h"
#include "cli/man.h"
#include "cli/rest.h"
#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a function prints, malloc'ed. */
#define PRINTED(name, call)                                                                        \
	char *name = NULL;                                                                         \
	size_t name##_len = 0;                                                                     \
	FILE *out = open_memstream(&(name), &name##_len);                                          \
	assert_non_null(out);                                                                      \
	call;                                                                                      \
	assert_int_equal(fclose(out), 0)

static const struct cli_opt *
opt_find(const struct cli_command *k, const char *name, size_t n)
{
	for (const struct cli_opt *o = k->opts; o && o->name; o++)
		if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
			return o;
	return NULL;
}

/* --- each command --- */

static void
is_described(const struct cli_command *k, const char *name)
{
	auto_free char *begin = xasprintf("millrace %s", name);

	PRINTED(help, cli_usage(out, k));
	assert_non_null(k->run);
	assert_true(k->max_args >= k->min_args && (k->max_args == 0) == (k->args == NULL));
	if (!k->summary || !*k->summary || strlen(k->summary) > 80)
		fail_msg("%s: the summary is missing or longer than 80 characters", name);
	if (!strstr(k->example, begin))
		fail_msg("%s: the example is one of something else: %s", name, k->example);
	assert_non_null(strstr(help, k->summary));
	assert_non_null(strstr(help, k->example));
	for (const struct cli_opt *o = k->opts; o && o->name; o++) {
		auto_free char *option = xasprintf("  --%s", o->name);
		if (!strstr(help, option) || !o->help || !*o->help)
			fail_msg("%s: --%s is not explained", name, o->name);
		/* A preset that nobody can see past, and one that is no truth value. */
		assert_false(o->required && o->preset);
		assert_true(o->kind != CLI_FLAG || !o->preset || strcmp(o->preset, "true") == 0 ||
		            strcmp(o->preset, "false") == 0);
	}
	free(help);
}

static void
options_are_distinct(const struct cli_command *k, const char *name)
{
	for (const struct cli_opt *o = k->opts; o && o->name; o++) {
		for (const struct cli_opt *x = o + 1; x->name; x++)
			if (strcmp(o->name, x->name) == 0 || (o->letter && o->letter == x->letter))
				fail_msg("%s: --%s and --%s are the same", name, o->name, x->name);
		for (const struct cli_opt *x = cli_global_opts; x->name; x++)
			if (strcmp(o->name, x->name) == 0 || (o->letter && o->letter == x->letter))
				fail_msg("%s: --%s is one of every command", name, o->name);
	}
}

/* Every word of it is offered, then every option. */
static void
is_completed(const struct cli_command *k, const char *name)
{
	const char *words[5] = { 0 };
	size_t n = cli_command_words(k);

	for (size_t i = 0; i < n; i++) {
		words[i] = "";
		PRINTED(offered, cli_complete(out, words, i + 1));
		auto_free char *all = xasprintf("\n%s", offered);
		auto_free char *with = xasprintf("\n%s\t", k->words[i]);
		auto_free char *plain = xasprintf("\n%s\n", k->words[i]);
		if (!strstr(all, with) && !strstr(all, plain))
			fail_msg("%s: \"%s\" is not completed", name, k->words[i]);
		free(offered);
		words[i] = k->words[i];
	}
	words[n] = "--";
	PRINTED(offered, cli_complete(out, words, n + 1));
	auto_free char *all = xasprintf("\n%s", offered);
	for (const struct cli_opt *o = k->opts; o && o->name; o++) {
		auto_free char *option = xasprintf("\n--%s\t", o->name);
		if (!strstr(all, option))
			fail_msg("%s: --%s is not completed", name, o->name);
	}
	assert_non_null(strstr(all, "\n--gateway-url\t"));
	free(offered);
}

/* No line of roff begins like a request that we did not mean. */
static void
is_roff(const struct buf *page, const char *name)
{
	static const char *const known[] = { ".TH ", ".SH ", ".TP\n", ".B ", ".nf\n", ".fi\n" };

	for (const char *p = buf_str(page); p && *p; p = strchr(p, '\n'), p = p ? p + 1 : p) {
		bool request = *p == '.' || *p == '\'', good = false;
		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			good |= strncmp(p, known[i], strlen(known[i])) == 0;
		if (request && !good)
			fail_msg("%s: \"%.*s\" begins like a request", name, 20, p);
	}
}

static void
has_manual(const struct cli_command *k, const char *name)
{
	auto_buf page = BUF_INIT, all = BUF_INIT;
	auto_free char *listed = xasprintf("\n.B %s\n", name);

	cli_man_command(&page, k);
	cli_man_program(&all);
	is_roff(&page, name);
	is_roff(&all, "millrace");
	if (!strstr(buf_str(&all), listed))
		fail_msg("%s: is not in the program's manual page", name);
	for (const struct cli_opt *o = k->opts; o && o->name; o++) {
		auto_buf option = BUF_INIT;
		buf_puts(&option, "\\fB");
		if (o->letter)
			buf_printf(&option, "\\-%c\\fR, \\fB", o->letter);
		buf_puts(&option, "\\-\\-");
		for (const char *p = o->name; *p; p++)
			buf_printf(&option, *p == '-' ? "\\-" : "%c", *p);
		buf_puts(&option, "\\fR");
		if (!strstr(buf_str(&page), buf_str(&option)))
			fail_msg("%s: --%s is not in its manual page", name, o->name);
	}
	static const char *const parts[] = { ".SH NAME\n", ".SH SYNOPSIS\n", ".SH OPTIONS\n",
		".SH EXAMPLE\n", ".SH EXIT STATUS\n", ".SH ENVIRONMENT\n" };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		assert_non_null(strstr(buf_str(&page), parts[i]));
}

/* --- what is described rather than programmed --- */

/* {x} of a template is an option, {0} an argument. */
static void
template_holds(const struct cli_command *k, const char *name, const char *tmpl)
{
	for (const char *p = strchr(tmpl ? tmpl : "", '{'); p; p = strchr(p + 1, '{')) {
		size_t n = strcspn(p + 1, "}");
		if (p[1] == '.' || p[1] == '}' || (p[1] >= '0' && p[1] <= '9'))
			continue;
		if (!opt_find(k, p + 1, n))
			fail_msg("%s: no option {%.*s}", name, (int)n, p + 1);
	}
}

static void
body_holds(const struct cli_command *k, const char *name, const char *body)
{
	while (*body) {
		size_t n = strcspn(body, " "), eq = strcspn(body, "= ");
		size_t from = eq < n ? eq + 1 : 0;
		if (!opt_find(k, body + from, n - from))
			fail_msg("%s: no option for %.*s", name, (int)n, body);
		body += n + strspn(body + n, " ");
	}
}

static void
columns_hold(const char *name, const char *columns)
{
	size_t n = 0;

	while (*columns) {
		size_t word = strcspn(columns, " "), eq = strcspn(columns, "= ");
		if (eq == 0 || eq + 1 >= word || ++n > CLI_COLUMNS_MAX)
			fail_msg("%s: column %.*s", name, (int)word, columns);
		columns += word + (columns[word] == ' ');
	}
}

static void
rest_holds(const struct cli_command *k, const char *name)
{
	const struct cli_rest *r = k->rest;

	assert_true((r != NULL) == (k->run == cli_rest_run));
	if (!r)
		return;
	assert_non_null(r->method);
	assert_int_equal(r->path[0], '/');
	template_holds(k, name, r->path);
	template_holds(k, name, r->said);
	if (r->body)
		body_holds(k, name, r->body);
	if (r->columns)
		columns_hold(name, r->columns);
	/* Somebody hears of it. */
	assert_true(r->said || r->columns || r->print);
	assert_true(!r->pages || (r->columns && strcmp(r->method, "GET") == 0));
	assert_true(strcmp(r->method, "GET") != 0 || !r->body);
}

static void
every_command(void **state)
{
	const struct cli_command *k;
	size_t n = 0;

	(void)state;
	for (; (k = cli_command_at(n)); n++) {
		char name[CLI_NAME_MAX];

		cli_command_name(name, k);
		assert_ptr_equal(cli_command_find(k->words, cli_command_words(k)), k);
		is_described(k, name);
		options_are_distinct(k, name);
		is_completed(k, name);
		has_manual(k, name);
		rest_holds(k, name);
	}
	assert_in_range(n, 60, 200);
	assert_null(cli_command_at(n + 5));
}

/* "Commands with the same first words stand together": no word is offered twice. */
static void
no_word_twice(void **state)
{
	static const char *const nouns[] = { "", "project", "user", "run", "org", "projectgroup" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(nouns); i++) {
		const char *words[2] = { nouns[i], "" };
		PRINTED(
		    offered, cli_complete(out, *nouns[i] ? words : words + 1, *nouns[i] ? 2 : 1));
		auto_free char *all = xasprintf("\n%s", offered);
		for (char *p = all + 1, *end; (end = strchr(p, '\n')); p = end + 1) {
			auto_free char *line = xasprintf("\n%.*s", (int)strcspn(p, "\t\n"), p);
			size_t seen = 0;
			for (char *at = all; (at = strstr(at, line)); at++) {
				char after = at[strlen(line)];
				seen += after == '\t' || after == '\n';
			}
			if (seen != 1)
				fail_msg("%s is offered %zu times", line + 1, seen);
		}
		free(offered);
	}
}

/* --- Agola's --- */

/* Command, then its flags; '*': required. */
static const char *const agola[][2] = {
	{ "version", "" },
	{ "completion", "" },
	{ "directrun start",
	    "untracked ignored branch tag ref pull-request-ref-regexes var var-file" },
	{ "export", "service* out" },
	{ "import", "service* in" },
	{ "maintenance enable", "service*" },
	{ "maintenance disable", "service*" },
	{ "log get", "project username runnumber* taskname taskid step setup follow output" },
	{ "log delete", "project username runnumber* taskname taskid step setup" },
	{ "org create", "name/n* visibility" },
	{ "org delete", "name/n*" },
	{ "org member add", "orgname/n* username* role/r" },
	{ "org member list", "orgname/n*" },
	{ "org member remove", "orgname/n* username*" },
	{ "project create",
	    "name/n* parent* repo-path* remote-source* skip-ssh-host-key-check/s visibility "
	    "pass-vars-to-forked-pr" },
	{ "project delete", "ref*" },
	{ "project list", "parent*" },
	{ "project reconfig", "name/n*" },
	{ "project update", "ref* name/n parent visibility pass-vars-to-forked-pr" },
	{ "project secret create", "project* name/n* file/f*" },
	{ "project secret update", "project* name/n* new-name file/f*" },
	{ "project secret delete", "project* name/n*" },
	{ "project secret list", "project*" },
	{ "project variable create", "project* name/n* file/f*" },
	{ "project variable update", "project* name/n* new-name file/f*" },
	{ "project variable delete", "project* name/n*" },
	{ "project variable list", "project*" },
	{ "projectgroup create", "name/n* parent* visibility" },
	{ "projectgroup delete", "ref*" },
	{ "projectgroup update", "ref* name/n parent visibility" },
	{ "projectgroup secret create", "projectgroup* name/n* file/f*" },
	{ "projectgroup secret update", "projectgroup* name/n* new-name file/f*" },
	{ "projectgroup secret delete", "projectgroup* name/n*" },
	{ "projectgroup secret list", "projectgroup*" },
	{ "projectgroup variable create", "projectgroup* name/n* file/f*" },
	{ "projectgroup variable update", "projectgroup* name/n* new-name file/f*" },
	{ "projectgroup variable delete", "projectgroup* name/n*" },
	{ "projectgroup variable list", "projectgroup*" },
	{ "remotesource create",
	    "name/n* type* auth-type* api-url skip-verify clientid secret ssh-host-key "
	    "skip-ssh-host-key-check/s registration-enabled login-enabled" },
	{ "remotesource list", "" },
	{ "remotesource update", "ref* new-name api-url skip-verify clientid secret ssh-host-key "
	                         "skip-ssh-host-key-check/s registration-enabled login-enabled" },
	{ "run create", "project* branch tag ref commit-sha" },
	{ "run list", "project username phase/s limit start" },
	{ "user create", "username/n*" },
	{ "user delete", "username/n*" },
	{ "user list", "" },
	{ "user token create", "username/n* tokenname/t*" },
	{ "user token delete", "username/n* tokenname/t*" },
	{ "user linkedaccount create", "username/n* remote-source/r* remote-name remote-password" },
	{ "user linkedaccount delete", "username/n* laid*" },
};

static void
flag_exists(const struct cli_command *k, const char *name, const char *flag)
{
	size_t n = strcspn(flag, "/*");
	const struct cli_opt *o = opt_find(k, flag, n);

	if (!o)
		fail_msg("%s: --%.*s is missing", name, (int)n, flag);
	assert_int_equal(o->letter, flag[n] == '/' ? flag[n + 1] : 0);
	assert_int_equal(o->required, strchr(flag, '*') != NULL);
}

/* Its scripts find what they use, and nothing more is demanded of them. */
static void
all_of_agola(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(agola); i++) {
		auto_free char *words = xstrdup(agola[i][0]), *flags = xstrdup(agola[i][1]);
		const char *list[4] = { 0 };
		size_t n = 0;

		for (char *p = words, *word; (word = strsep(&p, " "));)
			list[n++] = word;
		const struct cli_command *k = cli_command_find(list, n);
		if (!k || cli_command_words(k) != n)
			fail_msg("there is no %s", agola[i][0]);
		for (char *p = flags, *flag; (flag = strsep(&p, " "));)
			if (*flag)
				flag_exists(k, agola[i][0], flag);
		for (const struct cli_opt *o = k->opts; o && o->name; o++) {
			auto_free char *given = xasprintf(" %s", agola[i][1]);
			auto_free char *name = xasprintf(" %s", o->name);
			if (o->required && !strstr(given, name))
				fail_msg("%s demands --%s", agola[i][0], o->name);
		}
	}
	assert_non_null(cli_command_elsewhere("serve"));
	assert_non_null(cli_command_elsewhere("migrate"));
	assert_null(cli_command_elsewhere("version"));
}

/* --- pieces --- */

static void
texts_of_json(void **state)
{
	static const struct {
		const char *json, *path, *want;
	} table[] = {
		{ "{\"a\":\"x\"}", "a", "x" },
		{ "{\"a\":{\"b\":{\"c\":7}}}", "a.b.c", "7" },
		{ "{\"a\":true,\"b\":false}", "a", "yes" },
		{ "{\"a\":true,\"b\":false}", "b", "no" },
		{ "{\"a\":[\"x\",\"y\",3]}", "a", "x, y" },
		{ "{\"a\":null}", "a", "" },
		{ "{\"a\":\"x\"}", "a.b", "" },
		{ "{}", "a.b", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		auto_json *j = NULL;
		assert_int_equal(json_parse(&j, table[i].json, strlen(table[i].json), NULL), 0);
		auto_free char *got = cli_rest_text(j, table[i].path);
		assert_string_equal(got, table[i].want);
	}
}

static int
never(struct cli *c)
{
	(void)c;
	return 1;
}

/* What an option's text holds is text in roff, too. */
static void
roff_is_escaped(void **state)
{
	static const struct cli_opt opts[] = {
		{ "odd", 0, CLI_TEXT, false, "\\n", ".so /etc/passwd" },
		{ "odder", 0, CLI_TEXT, false, NULL, "'ex\n.ex" },
		{ 0 },
	};
	static const struct cli_command k = { .words = { "odd" },
		.opts = opts,
		.run = never,
		.summary = "back\\slash - dash",
		.example = ".millrace odd" };
	auto_buf page = BUF_INIT;

	(void)state;
	cli_man_command(&page, &k);
	is_roff(&page, "odd");
	assert_non_null(strstr(buf_str(&page), "back\\eslash \\- dash"));
	assert_non_null(strstr(buf_str(&page), "\n\\&.so /etc/passwd (default \\en)\n"));
	assert_non_null(strstr(buf_str(&page), "\n\\&'ex .ex\n"));
	assert_non_null(strstr(buf_str(&page), "\n\\&.millrace odd\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command),
		cmocka_unit_test(no_word_twice),
		cmocka_unit_test(all_of_agola),
		cmocka_unit_test(texts_of_json),
		cmocka_unit_test(roff_is_escaped),
	};

	return cmocka_run_group_tests_name("cli_tables", tests, NULL, NULL);
}
