#include "cli.h"

#include "common/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct cli_opt cli_global_opts[] = {
	{ "gateway-url", 'u', CLI_TEXT, false, NULL,
	    "address of the gateway (or MILLRACE_URL; default http://localhost:8000)" },
	{ "token", 0, CLI_TEXT, false, NULL,
	    "token of a user or of the administrator (or MILLRACE_TOKEN)" },
	{ "profile", 0, CLI_TEXT, false, NULL,
	    "profile of a login (or MILLRACE_PROFILE; default the one of \"profile use\")" },
	{ "debug", 'd', CLI_FLAG, false, "false", "tell each request on standard error" },
	{ "detailed-errors", 0, CLI_FLAG, false, "false",
	    "as Agola's; errors are told in detail anyway" },
	{ "json", 0, CLI_FLAG, false, "false", "print JSON instead of text" },
	{ "help", 'h', CLI_FLAG, false, "false", "say what the command does" },
	{ 0 },
};

static const struct cli_opt *
table_find(const struct cli_opt *table, const char *name, size_t n)
{
	for (; table && table->name; table++)
		if ((strlen(table->name) == n && strncmp(table->name, name, n) == 0) ||
		    (n == 1 && table->letter && table->letter == name[0]))
			return table;
	return NULL;
}

static struct cli_value *
value_of(struct cli *c, const struct cli_opt *opt)
{
	for (size_t i = 0; i < c->nvalues; i++)
		if (c->values[i].opt == opt)
			return &c->values[i];
	c->values = xreallocarray(c->values, c->nvalues + 1, sizeof(*c->values));
	c->values[c->nvalues] = (struct cli_value){ .opt = opt };
	return &c->values[c->nvalues++];
}

static int
value_add(struct cli *c, const struct cli_opt *opt, const char *text, struct err **err)
{
	struct cli_value *v = value_of(c, opt);

	if (opt->kind == CLI_FLAG && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return err_set(
		    err, ERR_INVALID, "--%s takes true or false, not \"%s\"", opt->name, text);
	if (v->n >= CLI_LIST_MAX)
		return err_set(
		    err, ERR_INVALID, "--%s is given more than %d times", opt->name, CLI_LIST_MAX);
	if (opt->kind != CLI_LIST)
		v->n = 0;
	v->list = xreallocarray(v->list, v->n + 1, sizeof(*v->list));
	v->list[v->n++] = text;
	return 0;
}

/* One option and its value; *i advances over what was used. */
static int
option_parse(
    struct cli *c, const struct cli_opt *opts, int argc, char **argv, int *i, struct err **err)
{
	const char *word = argv[*i];
	const char *name = word + (word[1] == '-' ? 2 : 1);
	const char *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const struct cli_opt *opt = NULL;

	if ((word[1] == '-') == (n > 1)) {
		opt = table_find(opts, name, n);
		if (!opt)
			opt = table_find(cli_global_opts, name, n);
	}
	if (!opt)
		return err_set(err, ERR_INVALID, "unknown option %s: see --help", word);
	if (equals)
		return value_add(c, opt, equals + 1, err);
	if (opt->kind == CLI_FLAG)
		return value_add(c, opt, "true", err);
	if (*i + 1 >= argc)
		return err_set(err, ERR_INVALID, "--%s needs a value", opt->name);
	return value_add(c, opt, argv[++*i], err);
}

static const char *
first_of(const char *a, const char *b, const char *c)
{
	return a && *a ? a : b && *b ? b : c;
}

int
cli_token_check(const char *token, struct err **err)
{
	for (const char *p = token; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(err, ERR_INVALID,
			    "the token contains blanks or control characters: copy it again");
	return 0;
}

static int
check_all(struct cli *c, struct err **err)
{
	const struct cli_command *k = c->command;

	for (const struct cli_opt *o = k->opts; o && o->name; o++)
		if (o->required && !first_of(cli_get(c, o->name), NULL, NULL))
			return err_set(err, ERR_INVALID, "--%s is missing: see --help", o->name);
	if (c->nargs < k->min_args)
		return err_set(err, ERR_INVALID, "an argument is missing: %s: see --help", k->args);
	if (c->nargs > k->max_args)
		return err_set(err, ERR_INVALID, "unexpected argument \"%s\": see --help",
		    c->args[k->max_args]);
	return cli_token_check(c->token, err);
}

int
cli_opt_parse(struct cli *c, const struct cli_command *command, int argc, char **argv, bool *help,
    struct err **err)
{
	bool only_args = false;

	*c = (struct cli){ .command = command };
	c->args = xcalloc((size_t)argc + 1, sizeof(*c->args));
	for (int i = 0; i < argc; i++) {
		if (only_args || argv[i][0] != '-' || argv[i][1] == '\0') {
			c->args[c->nargs++] = argv[i];
		} else if (strcmp(argv[i], "--") == 0) {
			only_args = true;
		} else {
			int rc = option_parse(c, command->opts, argc, argv, &i, err);
			if (rc)
				return rc;
		}
	}
	c->url =
	    first_of(cli_get(c, "gateway-url"), getenv("MILLRACE_URL"), "http://localhost:8000");
	c->token = first_of(cli_get(c, "token"), getenv("MILLRACE_TOKEN"), "");
	c->url_given = first_of(cli_get(c, "gateway-url"), getenv("MILLRACE_URL"), NULL) != NULL;
	c->token_given = *c->token != '\0';
	c->debug = cli_flag(c, "debug");
	c->json = cli_flag(c, "json");
	*help = cli_flag(c, "help");
	return *help ? 0 : check_all(c, err);
}

void
cli_opt_fini(struct cli *c)
{
	for (size_t i = 0; i < c->nvalues; i++)
		free(c->values[i].list);
	free(c->values);
	free(c->args);
	json_decref(c->profiles);
}

static const struct cli_value *
value_find(const struct cli *c, const char *name)
{
	for (size_t i = 0; i < c->nvalues; i++)
		if (strcmp(c->values[i].opt->name, name) == 0)
			return &c->values[i];
	return NULL;
}

static const struct cli_opt *
opt_named(const struct cli *c, const char *name)
{
	const struct cli_opt *opt = table_find(c->command->opts, name, strlen(name));

	if (!opt)
		opt = table_find(cli_global_opts, name, strlen(name));
	MUST(opt);
	return opt;
}

const char *
cli_get(const struct cli *c, const char *name)
{
	const struct cli_value *v = value_find(c, name);

	return v ? v->list[v->n - 1] : opt_named(c, name)->preset;
}

enum cli_opt_kind
cli_opt_kind_of(const struct cli *c, const char *name)
{
	return opt_named(c, name)->kind;
}

bool
cli_flag(const struct cli *c, const char *name)
{
	const char *v = cli_get(c, name);

	return v && strcmp(v, "true") == 0;
}

bool
cli_given(const struct cli *c, const char *name)
{
	return value_find(c, name) != NULL;
}

const char *const *
cli_list(const struct cli *c, const char *name, size_t *n)
{
	const struct cli_value *v = value_find(c, name);

	*n = v ? v->n : 0;
	return v ? v->list : NULL;
}

static void
opt_help(FILE *out, const struct cli_opt *o)
{
	char name[64];

	snprintf(name, sizeof(name), "--%s%s%c%s", o->name, o->letter ? ", -" : "",
	    o->letter ? o->letter : ' ', o->kind == CLI_FLAG ? "" : " X");
	fprintf(out, "  %-28s %s%s", name, o->help, o->required ? " (required)" : "");
	if (o->kind == CLI_LIST)
		fprintf(out, " (may be repeated)");
	if (o->preset && (o->kind != CLI_FLAG || strcmp(o->preset, "true") == 0))
		fprintf(out, " (default %s)", o->preset);
	fputc('\n', out);
}

void
cli_usage(FILE *out, const struct cli_command *k)
{
	fprintf(out, "usage: millrace");
	for (size_t i = 0; i < 3 && k->words[i]; i++)
		fprintf(out, " %s", k->words[i]);
	fprintf(out, "%s%s [OPTIONS]\n\n%s\n\n", k->args ? " " : "", k->args ? k->args : "",
	    k->summary);
	for (const struct cli_opt *o = k->opts; o && o->name; o++)
		opt_help(out, o);
	for (const struct cli_opt *o = cli_global_opts; o->name; o++)
		opt_help(out, o);
	fprintf(out, "\nexample:\n  %s\n", k->example);
}

int
cli_number(uint64_t *out, const char *text, uint64_t min, const char *what, struct err **err)
{
	char *end = NULL;

	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] < '0' || text[0] > '9' || v < min)
		return err_set(err, ERR_INVALID, "%s must be a number, not \"%s\"", what, text);
	*out = v;
	return 0;
}
