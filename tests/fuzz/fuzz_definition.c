/*
 * The run definition: any text, from YAML to the checked model.
 * covers: common/yaml_doc.c rundef/rundef.c rundef/fields.c rundef/tables.c rundef/step.c
 * covers: rundef/when.c rundef/graph.c rundef/depend.c rundef/duration.c rundef/quantity.c
 * covers: rundef/value.c rundef/defaults.c rundef/diag.c rundef/print.c rundef/json_out.c
 * covers: rundef/matrix.c rundef/names.c
 */
#include "fuzz.h"

#include "common/buf.h"
#include "common/json.h"
#include "common/mem.h"
#include "rundef/print.h"

/* Such a key is read, but cannot be written as JSON that the YAML parser takes. */
static bool
envs_long(const struct rundef_envs *e)
{
	for (size_t i = 0; i < e->n; i++)
		if (strlen(e->list[i].name) > 150)
			return true;
	return false;
}

static bool
has_long_key(const struct rundef *def)
{
	for (size_t i = 0; i < def->nruns; i++)
		for (size_t k = 0; k < def->runs[i].ntasks; k++) {
			const struct rundef_task *t = &def->runs[i].tasks[k];

			if (envs_long(&t->environment))
				return true;
			for (size_t m = 0; m < t->ncontainers; m++)
				if (envs_long(&t->containers[m].environment))
					return true;
			for (size_t m = 0; m < t->nsteps; m++)
				if (envs_long(&t->steps[m].environment))
					return true;
			for (size_t m = 0; m < t->auths.n; m++)
				if (strlen(t->auths.list[m].registry) > 150)
					return true;
			for (size_t m = 0; m < t->labels.n; m++)
				if (strlen(t->labels.list[m].name) > 150)
					return true;
		}
	return false;
}

static void
look_at(const struct rundef *def)
{
	static const struct rundef_ref refs[] = {
		{ .ref_type = "branch", .branch = "master", .tag = "", .ref = "refs/heads/master" },
		{ .ref_type = "tag", .branch = "", .tag = "v1.0", .ref = "refs/tags/v1.0" },
		{ .ref_type = "pull_request", .branch = "", .tag = "", .ref = "refs/pull/1/head" },
	};

	auto_buf first = BUF_INIT;
	auto_buf second = BUF_INIT;
	struct rundef_diags diags = { 0 };
	struct rundef *again = NULL;
	auto_json *json = NULL;

	for (size_t i = 0; i < def->nruns; i++)
		for (size_t k = 0; k < ARRAY_LEN(refs); k++)
			(void)rundef_when_matches(&def->runs[i].when, &refs[k]);
	/* What is printed is JSON to others too, however large it is. */
	rundef_print_json(&first, def);
	FUZZ_MUST(json_parse(&json, first.data, first.len, NULL) == 0);
	/* Printed and parsed again it is the same; what is printed may be larger than a file. */
	if (first.len > RUNDEF_SIZE_MAX || has_long_key(def))
		return;
	FUZZ_MUST(rundef_parse(&again, &diags, first.data, first.len) == 0);
	rundef_print_json(&second, again);
	FUZZ_MUST(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	rundef_diags_fini(&diags);
	rundef_free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct rundef_diags diags = { 0 }, again = { 0 };
	struct rundef *def = NULL, *twice = NULL;
	auto_buf text = BUF_INIT;
	auto_buf same = BUF_INIT;
	int rc = rundef_parse(&def, &diags, (const char *)p, n);
	int rc2 = rundef_parse(&twice, &again, (const char *)p, n);

	/* Refused exactly when there is an error, and errors have a place and a text. */
	FUZZ_MUST((rc != 0) == (diags.errors > 0));
	FUZZ_MUST(diags.n <= RUNDEF_DIAGS_MAX);
	for (size_t i = 0; i < diags.n; i++)
		FUZZ_MUST(diags.list[i].pos.line > 0 && diags.list[i].message[0] != '\0');
	if (def != NULL)
		look_at(def);
	rundef_diags_print(&text, &diags, "file");
	rundef_diags_print(&same, &again, "file");
	FUZZ_MUST(rc == rc2 && text.len == same.len);
	FUZZ_MUST(text.len == 0 || memcmp(text.data, same.data, text.len) == 0);
	rundef_diags_fini(&diags);
	rundef_diags_fini(&again);
	rundef_free(def);
	rundef_free(twice);
	return 0;
}
