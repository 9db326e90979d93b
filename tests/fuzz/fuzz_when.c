/*
 * Conditions: any condition against any reference gives the same answer twice, an exclude never
 * turns a "no" into a "yes", and one that narrows never lets more through.
 * covers: rundef/when.c
 */
#include "fuzz.h"

#include "common/mem.h"
#include "rundef/rundef.h"

static struct rundef *
parse(const char *when, size_t n, const char *more)
{
	auto_buf b = BUF_INIT;
	struct rundef_diags diags;
	struct rundef *d = NULL;

	buf_puts(&b, "version: v1\nruns: [{name: r, when: {");
	buf_append(&b, when, n);
	buf_printf(&b, "%s\n}, tasks: [{name: t, runtime: {containers: [{image: i}]}}]}]\n", more);
	if (rundef_parse(&d, &diags, b.data, b.len) != 0)
		FUZZ_MUST(diags.errors > 0);
	rundef_diags_fini(&diags);
	return d;
}

/* The first line is a name, the rest a condition. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const uint8_t *cut = memchr(p, '\n', n);
	if (cut == NULL || n > 4000)
		return 0;
	auto_free char *name = xstrndup((const char *)p, (size_t)(cut - p));
	auto_free char *full = xmalloc(strlen(name) + 12);
	size_t len = n - (size_t)(cut + 1 - p);
	const char *when = (const char *)cut + 1;
	const char *const paths[] = { "README.md", name };
	memcpy(full, "refs/heads/", 11);
	memcpy(full + 11, name, strlen(name) + 1);
	struct rundef_ref refs[] = {
		{ .ref_type = "branch", .branch = name, .tag = "", .ref = full },
		{ .ref_type = "tag", .branch = "", .tag = name, .ref = full, .event = "tag" },
		{ .ref_type = "pull_request",
		    .branch = "",
		    .tag = "",
		    .ref = name,
		    .event = "push",
		    .paths = paths,
		    .npaths = 2 },
	};
	struct rundef *d = parse(when, len, "");
	struct rundef *narrow = parse(when, len, ", paths: {exclude: '*'}");
	struct rundef *vetoed = parse(when, len, ", ref: {exclude: /.?/}");

	for (size_t i = 0; i < ARRAY_LEN(refs) && d != NULL && d->nruns == 1; i++) {
		bool match = rundef_when_matches(&d->runs[0].when, &refs[i]);

		FUZZ_MUST(match == rundef_when_matches(&d->runs[0].when, &refs[i]));
		/* A narrower one may replace another "paths", so only where there was none. */
		if (narrow && narrow->nruns == 1 && !d->runs[0].when.paths.present && !match &&
		    (d->runs[0].when.branch.present || d->runs[0].when.tag.present ||
		        d->runs[0].when.ref.present || d->runs[0].when.event.present))
			FUZZ_MUST(!rundef_when_matches(&narrow->runs[0].when, &refs[i]));
		if (vetoed && vetoed->nruns == 1 && vetoed->runs[0].when.ref.nexclude == 1 &&
		    !vetoed->runs[0].when.ref.ninclude)
			FUZZ_MUST(!rundef_when_matches(&vetoed->runs[0].when, &refs[i]));
	}
	rundef_free(d);
	rundef_free(narrow);
	rundef_free(vetoed);
	return 0;
}
