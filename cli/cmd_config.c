/* config check: the run definition language without a server. */
#include "definition.h"

#include "common/mem.h"

#include <string.h>

/* The number behind the last colon before *n, which *n becomes. */
static int
last_number(const char *text, size_t *n)
{
	while (*n > 0 && text[*n - 1] != ':')
		(*n)--;
	int number = (int)strtol(text + *n, NULL, 10);
	*n -= *n > 0;
	return number;
}

/* "FILE:LINE:COL: Jsonnet: ..." as a diagnostic. */
static json_t *
problem_json(const char *problem)
{
	const char *end = strstr(problem, ": Jsonnet: ");

	MUST(end);
	size_t n = (size_t)(end - problem);
	int column = last_number(problem, &n);
	int line = last_number(problem, &n);
	return json_pack("{s:s,s:s%,s:i,s:i,s:s,s:s}", "severity", "error", "file", problem, n,
	    "line", line, "column", column, "path", "", "message", end + 2);
}

static json_t *
diags_json(const struct cli_definition *def, bool valid)
{
	const struct rundef_diags *d = &def->diags;
	json_t *list = json_array();

	if (def->problem)
		json_array_append_new(list, problem_json(def->problem));
	for (size_t i = 0; i < d->n; i++) {
		const struct rundef_diag *x = &d->list[i];
		json_t *o = json_pack("{s:s,s:i,s:i,s:s,s:s}", "severity",
		    x->severity == RUNDEF_ERROR ? "error" : "warning", "line", (int)x->pos.line,
		    "column", (int)x->pos.col, "path", x->path, "message", x->message);

		if (o && x->hint)
			json_object_set_new(o, "hint", json_string(x->hint));
		if (o)
			json_array_append_new(list, o);
	}
	return json_pack("{s:s,s:b,s:I,s:I,s:o}", "file", def->file, "valid", valid, "errors",
	    (json_int_t)d->errors + (def->problem ? 1 : 0), "dropped", (json_int_t)d->dropped,
	    "diagnostics", list);
}

static int
report(const struct cli *c, const struct cli_definition *d, json_t *list)
{
	bool strict = cli_flag(c, "strict") && (d->diags.n || d->diags.dropped);
	bool valid = d->valid && !strict;

	if (c->json) {
		json_array_append_new(list, diags_json(d, valid));
	} else {
		cli_definition_complain(d);
		if (valid)
			printf("%s: valid\n", d->name);
	}
	return valid ? 0 : 1;
}

static int
check_file(const struct cli *c, const char *file, const struct cli_context *x, json_t *list)
{
	struct cli_definition d = { 0 };
	struct err *err = NULL;
	int rc = cli_definition_load(&d, c, file, x, &err);

	rc = rc < 0 ? cli_fail(err) : report(c, &d, list);
	cli_definition_fini(&d);
	return rc;
}

/* All files are checked, whatever is wrong with the first ones. */
static int
config_check(struct cli *c)
{
	auto_json *list = json_array();
	struct cli_context x;
	struct err *err = NULL;
	int worst;

	if (cli_context_parse(&x, c, &err) < 0)
		return cli_fail(err);
	worst = check_file(c, c->nargs ? c->args[0] : NULL, &x, list);
	for (size_t i = 1; i < c->nargs; i++)
		worst |= check_file(c, c->args[i], &x, list);
	/* Of one file alone it is no list. */
	if (c->json && (c->nargs > 1 || json_array_size(list)))
		cli_print_json(c->nargs > 1 ? list : json_array_get(list, 0));
	cli_context_fini(&x);
	return worst;
}

static const struct cli_opt check_opts[] = {
	CLI_DEFINITION_OPTS,
	{ "strict", 0, CLI_FLAG, false, "false", "warnings fail as errors do" },
	{ 0 },
};
const struct cli_command cli_config_check = {
	.words = { "config", "check" },
	.args = "[FILE...]",
	.max_args = SIZE_MAX,
	.opts = check_opts,
	.run = config_check,
	.summary = "check run definitions without a server; FILE \"-\" reads standard input",
	.example = "millrace config check .agola/config.yml",
};
