/*
 * The run definition: any text, from YAML to the checked model.
 * covers: common/yaml_doc.c rundef/rundef.c rundef/fields.c rundef/tables.c rundef/step.c
 * covers: rundef/when.c rundef/graph.c rundef/depend.c rundef/duration.c rundef/quantity.c
 * covers: rundef/value.c rundef/defaults.c rundef/diag.c
 */
#include "fuzz.h"

#include "common/buf.h"
#include "common/mem.h"
#include "rundef/rundef.h"

static void
look_at(const struct rundef *def)
{
	static const struct rundef_ref refs[] = {
		{ "branch", "master", "", "refs/heads/master" },
		{ "tag", "", "v1.0", "refs/tags/v1.0" },
		{ "pull_request", "", "", "refs/pull/1/head" },
	};

	for (size_t i = 0; i < def->nruns; i++)
		for (size_t k = 0; k < ARRAY_LEN(refs); k++)
			(void)rundef_when_matches(&def->runs[i].when, &refs[k]);
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
