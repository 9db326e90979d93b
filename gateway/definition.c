#include "gateway/definition.h"

#include "common/mem.h"
#include "evaluate/evaluate.h"
#include "gateway/git_repo.h"
#include "gateway/run_spec.h"
#include "rundef/rundef.h"

#include <string.h>

void
gw_definition_fini(struct gw_definition *d)
{
	buf_free(&d->text);
	free(d->problem);
	free(d->eval_problem);
	*d = (struct gw_definition){ 0 };
}

int
gw_definition_read(
    struct gw_definition *out, const char *repo_path, const char *sha, struct err **err)
{
	auto_err why = NULL;
	size_t index = eval_nfiles;
	int rc = gw_repo_check_commit(repo_path, sha, err);

	*out = (struct gw_definition){ 0 };
	if (rc < 0)
		return rc;
	rc = gw_repo_read_first(
	    &out->text, &index, repo_path, sha, eval_files, eval_nfiles, RUNDEF_SIZE_MAX, &why);
	if (index < eval_nfiles)
		out->file = eval_files[index];
	if (rc == ERR_INVALID && out->file) {
		out->problem = xstrdup(err_msg(why));
		return 0;
	}
	if (rc < 0 && rc != ERR_NOTFOUND) {
		gw_definition_fini(out);
		return err_set(err, why->code, "read the run definition: %s", err_msg(why));
	}
	return 0;
}

bool
gw_definition_is_program(const struct gw_definition *d)
{
	return d->file && !d->problem && !d->evaluated && eval_is_program(d->file);
}

struct commit {
	const char *repo_path, *sha;
};

static int
read_import(struct buf *out, void *arg, const char *path, size_t max, struct err **err)
{
	const struct commit *c = arg;

	return gw_repo_read_file(out, c->repo_path, c->sha, path, max, err);
}

int
gw_definition_evaluate(struct gw_definition *d, const char *repo_path, const char *sha,
    const struct gw_ref *ref, const atomic_bool *stop, struct err **err)
{
	struct commit commit = { repo_path, sha };
	struct eval_source s = { .file = d->file,
		.text = buf_str(&d->text),
		.len = d->text.len,
		.ctx = { .ref_type = ref->type,
		    .ref = ref->ref,
		    .branch = ref->branch,
		    .tag = ref->tag,
		    .pull_request_id = ref->pull_request_id,
		    .commit_sha = sha },
		.read = read_import,
		.arg = &commit,
		.stop = stop };
	struct buf out = BUF_INIT;
	int rc = eval_run(&out, &d->eval_problem, &s, err);

	buf_free(&d->text);
	d->text = out;
	d->evaluated = true;
	return rc;
}

void
gw_expansion_fini(struct gw_expansion *x)
{
	for (size_t i = 0; i < x->nruns; i++)
		millrace__run_spec__free_unpacked(x->runs[i], NULL);
	free(x->runs);
	for (size_t i = 0; i < x->nwarnings; i++)
		free(x->warnings[i]);
	free(x->warnings);
	*x = (struct gw_expansion){ 0 };
}

static void
add_run(struct gw_expansion *x, Millrace__RunSpec *run)
{
	x->runs = xreallocarray(x->runs, x->nruns + 1, sizeof(*x->runs));
	x->runs[x->nruns++] = run;
}

static void PRINTF(2, 3) add_warning(struct gw_expansion *x, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	x->warnings = xreallocarray(x->warnings, x->nwarnings + 1, sizeof(*x->warnings));
	x->warnings[x->nwarnings++] = xvasprintf(fmt, ap);
	va_end(ap);
}

void
gw_expansion_fail(struct gw_expansion *x, const struct gw_origin *origin, const char *errors)
{
	for (size_t i = 0; i < x->nruns; i++)
		millrace__run_spec__free_unpacked(x->runs[i], NULL);
	x->nruns = 0;
	add_run(x, gw_run_spec_setup_error(origin, errors));
}

/* What is wrong with the file before it is parsed, malloc'ed, or NULL. */
static char *
unusable(const struct gw_definition *d)
{
	if (!d->file)
		return xstrdup("the commit has no run definition: none of .agola/config.star, "
		               "config.jsonnet, config.json, config.yml or config.yaml exists; "
		               "add .agola/config.yml");
	if (d->problem)
		return xasprintf("%s:1:1: %s", d->file, d->problem);
	if (eval_unsupported(d->file))
		return xasprintf("%s:1:1: %s", d->file, eval_unsupported(d->file));
	if (d->eval_problem)
		return xstrdup(d->eval_problem);
	MUST(!gw_definition_is_program(d));
	return NULL;
}

static void
print_severity(struct buf *out, const struct rundef_diags *all, const char *file, bool errors)
{
	for (size_t i = 0; i < all->n; i++) {
		struct rundef_diags one = { .list = &all->list[i], .n = 1 };

		if ((all->list[i].severity == RUNDEF_ERROR) == errors)
			rundef_diags_print(out, &one, file);
	}
}

/* Runs whose "when" matches; for the others the user is told. */
static void
expand_runs(struct gw_expansion *x, const struct rundef *def, const struct gw_origin *origin,
    const struct gw_ref *ref, const char *warnings)
{
	struct rundef_ref r = {
		.ref_type = ref->type, .branch = ref->branch, .tag = ref->tag, .ref = ref->ref
	};

	for (size_t i = 0; i < def->nruns; i++) {
		const struct rundef_run *run = &def->runs[i];

		if (rundef_when_matches(&run->when, &r))
			add_run(x, gw_run_spec_new(run, origin, &r, warnings));
		else
			add_warning(x, "run \"%s\" was not created: its \"when\" does not match %s",
			    run->name, ref->ref);
	}
}

void
gw_definition_expand(struct gw_expansion *out, const struct gw_definition *d,
    const struct gw_origin *origin, const struct gw_ref *ref, const char *message)
{
	auto_free char *problem = unusable(d);
	auto_free char *shown =
	    xasprintf("%s%s", d->file ? d->file : "", d->evaluated ? " (output)" : "");
	auto_buf errors = BUF_INIT;
	auto_buf warnings = BUF_INIT;
	struct rundef_diags diags = { 0 };
	struct rundef *def = NULL;
	int rc;

	*out = (struct gw_expansion){ 0 };
	if (problem) {
		gw_expansion_fail(out, origin, problem);
		return;
	}
	rc = rundef_parse(&def, &diags, buf_str(&d->text), d->text.len);
	print_severity(&errors, &diags, shown, true);
	print_severity(&warnings, &diags, shown, false);
	if (rc < 0) {
		if (diags.dropped)
			buf_printf(
			    &errors, "%s:1:1: and %zu further problems\n", shown, diags.dropped);
		gw_expansion_fail(out, origin, buf_str(&errors));
	} else if (gw_intake_skipped(message)) {
		add_warning(out, "nothing was created: the commit message asks for no run "
		                 "([ci skip])");
	} else if (def->nruns == 0) {
		add_warning(out, "nothing was created: %s defines no run", d->file);
	} else {
		expand_runs(out, def, origin, ref, buf_str(&warnings));
	}
	rundef_free(def);
	rundef_diags_fini(&diags);
}
