/* config check: the run definition language without a server. */
#include "cli.h"

#include "common/mem.h"
#include "rundef/rundef.h"

#include <errno.h>
#include <string.h>

static const char *const default_files[] = { ".agola/config.yml", ".agola/config.yaml",
	".agola/config.json" };

/* At most one byte more than the language allows, so that it can say so itself. */
static int
file_read(struct buf *out, const char *name, struct err **err)
{
	FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");

	if (!f)
		return err_set_errno(err, errno, "open %s", name);
	while (out->len <= RUNDEF_SIZE_MAX) {
		char *at = buf_reserve(out, 65536);
		size_t n = fread(at, 1, 65536, f);

		out->len += n;
		if (n == 0)
			break;
	}
	int failed = ferror(f) ? errno : 0;
	if (f != stdin)
		fclose(f);
	return failed ? err_set_errno(err, failed, "read %s", name) : 0;
}

static const char *
default_file(void)
{
	for (size_t i = 0; i < ARRAY_LEN(default_files); i++) {
		FILE *f = fopen(default_files[i], "re");
		if (!f)
			continue;
		fclose(f);
		return default_files[i];
	}
	return NULL;
}

static json_t *
diags_json(const char *file, const struct rundef_diags *d, bool valid)
{
	json_t *list = json_array();

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
	return json_pack("{s:s,s:b,s:I,s:I,s:o}", "file", file, "valid", valid, "errors",
	    (json_int_t)d->errors, "dropped", (json_int_t)d->dropped, "diagnostics", list);
}

static int
config_check(struct cli *c)
{
	struct err *err = NULL;
	const char *file = c->nargs ? c->args[0] : default_file();
	const char *shown = file && strcmp(file, "-") == 0 ? "<stdin>" : file;
	auto_buf text = BUF_INIT;
	struct rundef *def = NULL;
	struct rundef_diags diags = { 0 };

	if (!file) {
		err_set(&err, ERR_NOTFOUND,
		    "there is no .agola/config.yml, .yaml or .json here: name a file");
		return cli_fail(err);
	}
	size_t n = strlen(file);
	if ((n > 8 && strcmp(file + n - 8, ".jsonnet") == 0) ||
	    (n > 5 && strcmp(file + n - 5, ".star") == 0)) {
		err_set(&err, ERR_INVALID,
		    "%s: only .yml, .yaml and .json can be checked; pass the generated output to "
		    "\"config check -\"",
		    file);
		return cli_fail(err);
	}
	if (file_read(&text, file, &err))
		return cli_fail(err);
	bool valid = rundef_parse(&def, &diags, buf_str(&text), text.len) == 0;
	if (cli_flag(c, "strict") && (diags.n || diags.dropped))
		valid = false;
	if (c->json) {
		auto_json *j = diags_json(shown, &diags, valid);
		cli_print_json(j);
	} else {
		auto_buf out = BUF_INIT;
		rundef_diags_print(&out, &diags, shown);
		fputs(buf_str(&out), stderr);
		if (valid)
			printf("%s: valid\n", shown);
	}
	rundef_free(def);
	rundef_diags_fini(&diags);
	return valid ? 0 : 1;
}

static const struct cli_opt check_opts[] = {
	{ "strict", 0, CLI_FLAG, false, "false", "warnings fail as errors do" },
	{ 0 },
};
const struct cli_command cli_config_check = {
	.words = { "config", "check" },
	.args = "[FILE]",
	.max_args = 1,
	.opts = check_opts,
	.run = config_check,
	.offline = true,
	.summary = "check a run definition without a server; FILE \"-\" reads standard input",
	.example = "millrace config check .agola/config.yml",
};
