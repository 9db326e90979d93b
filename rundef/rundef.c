#include "rundef_int.h"

#include "common/mem.h"

#include <string.h>

void
rundef_texts_free(char **list, size_t n)
{
	for (size_t i = 0; list && i < n; i++)
		free(list[i]);
	free(list);
}

void
rundef_container_fini(struct rundef_container *c)
{
	free(c->image);
	free(c->user);
	rundef_envs_fini(&c->environment);
	rundef_texts_free(c->entrypoint, c->nentrypoint);
	for (size_t i = 0; i < c->nvolumes; i++)
		free(c->volumes[i].path);
	free(c->volumes);
}

static void
src_task_fini(struct src_task *t)
{
	free(t->name);
	free(t->matrix_name);
	rundef_pairs_fini(&t->matrix);
	free(t->working_dir);
	free(t->shell);
	free(t->user);
	rundef_pairs_fini(&t->runtime.labels);
	free(t->runtime.type);
	free(t->runtime.arch);
	for (size_t i = 0; i < t->runtime.ncontainers; i++)
		rundef_container_fini(&t->runtime.containers[i]);
	free(t->runtime.containers);
	rundef_envs_fini(&t->environment);
	for (size_t i = 0; i < t->steps.n; i++)
		rundef_step_fini(&t->steps.list[i]);
	free(t->steps.list);
	for (size_t i = 0; i < t->post.n; i++)
		rundef_step_fini(&t->post.list[i]);
	free(t->post.list);
	for (size_t i = 0; i < t->depends.n; i++)
		rundef_depend_fini(&t->depends.list[i].d);
	free(t->depends.list);
	rundef_when_fini(&t->when);
	rundef_auths_fini(&t->auths);
}

void
rundef_src_fini(struct src_top *top)
{
	for (size_t i = 0; i < top->nruns; i++) {
		struct src_run *run = &top->runs[i];

		for (size_t k = 0; k < run->tasks.n; k++)
			src_task_fini(&run->tasks.list[k]);
		free(run->tasks.list);
		free(run->name);
		rundef_when_fini(&run->when);
		rundef_auths_fini(&run->auths);
	}
	free(top->runs);
	rundef_auths_fini(&top->auths);
}

static void
task_fini(struct rundef_task *t)
{
	free(t->name);
	free(t->arch);
	free(t->matrix_name);
	rundef_pairs_fini(&t->matrix);
	rundef_pairs_fini(&t->labels);
	for (size_t i = 0; i < t->ncontainers; i++)
		rundef_container_fini(&t->containers[i]);
	free(t->containers);
	rundef_envs_fini(&t->environment);
	free(t->working_dir);
	free(t->shell);
	free(t->user);
	for (size_t i = 0; i < t->nsteps; i++)
		rundef_step_fini(&t->steps[i]);
	free(t->steps);
	for (size_t i = 0; i < t->ndepends; i++)
		rundef_depend_fini(&t->depends[i]);
	free(t->depends);
	rundef_when_fini(&t->when);
	rundef_auths_fini(&t->auths);
}

void
rundef_free(struct rundef *d)
{
	for (size_t i = 0; d && i < d->nruns; i++) {
		for (size_t k = 0; k < d->runs[i].ntasks; k++)
			task_fini(&d->runs[i].tasks[k]);
		free(d->runs[i].tasks);
		free(d->runs[i].name);
		rundef_when_fini(&d->runs[i].when);
	}
	if (d)
		free(d->runs);
	free(d);
}

static void
root_read(struct rd *r, const struct yaml_node *root, struct src_top *top)
{
	if (root->type == YAML_NULL)
		rundef_error(r, root->pos, "no runs defined: the file is empty");
	else if (root->type != YAML_MAP)
		rundef_error(r, root->pos, "the file must be a mapping with runs, found %s",
		    yaml_type_name(root->type));
	else
		rundef_read_object(r, &rundef_top_object, root, top, NULL);
}

/* NULL after errors, which are in r. */
static struct rundef *
read_all(struct rd *r, const char *text, size_t len)
{
	auto_yaml *doc = NULL;
	auto_err err = NULL;
	struct yaml_pos pos = { 1, 1 };
	struct src_top top = { 0 };
	struct rundef *d = NULL;

	if (len > RUNDEF_SIZE_MAX) {
		rundef_error(r, pos,
		    "the definition is too large: %zu bytes, at most %u are allowed", len,
		    RUNDEF_SIZE_MAX);
		return NULL;
	}
	if (yaml_doc_parse(&doc, text, len, &pos, &err)) {
		rundef_error(r, pos, "%s", err_msg(err));
		return NULL;
	}
	root_read(r, yaml_doc_root(doc), &top);
	rundef_names_check(r, &top);
	rundef_matrix_depends(r, &top);
	rundef_graph_check(r, &top);
	if (r->diags->errors == 0)
		d = rundef_finish(r, &top);
	rundef_src_fini(&top);
	if (r->diags->errors) {
		rundef_free(d);
		return NULL;
	}
	return d;
}

int
rundef_parse(struct rundef **out, struct rundef_diags *diags, const char *text, size_t len)
{
	struct rd r;

	*diags = (struct rundef_diags){ 0 };
	rundef_rd_init(&r, diags);
	*out = read_all(&r, text, len);
	rundef_rd_fini(&r);
	rundef_diags_sort(diags);
	return *out ? 0 : ERR_INVALID;
}
