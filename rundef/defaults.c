/* Inheritance and defaults: the source model becomes the final one. */
#include "rundef_int.h"

#include "common/mem.h"

#include <string.h>

static void
value_copy(
    struct rd *r, struct rundef_value *out, const struct rundef_value *in, struct yaml_pos pos)
{
	out->literal = in->literal ? rundef_dup_text(r, pos, in->literal) : NULL;
	out->variable = in->variable ? rundef_dup_text(r, pos, in->variable) : NULL;
}

static void
auth_copy(struct rd *r, struct rundef_auth *out, const struct rundef_auth *in, struct yaml_pos pos)
{
	out->registry = rundef_dup_text(r, pos, in->registry);
	out->type = rundef_dup_text(r, pos, in->type);
	value_copy(r, &out->username, &in->username, pos);
	value_copy(r, &out->password, &in->password, pos);
	value_copy(r, &out->auth, &in->auth, pos);
}

static bool
auths_have(const struct rundef_auths *a, const char *registry)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->list[i].registry, registry) == 0)
			return true;
	return false;
}

/* Adds copies of the outer entries whose registry is not there yet: whole entries, no merging. */
static void
auths_inherit(
    struct rd *r, struct rundef_auths *own, const struct rundef_auths *outer, struct yaml_pos pos)
{
	if (outer->n == 0 || !rundef_charge(r, pos, outer->n * sizeof(*outer->list)))
		return;
	own->list = xreallocarray(own->list, own->n + outer->n, sizeof(*own->list));
	size_t given = own->n;
	for (size_t i = 0; i < outer->n && !r->exhausted; i++) {
		struct rundef_auths before = { own->list, given };

		if (auths_have(&before, outer->list[i].registry))
			continue;
		own->list[own->n] = (struct rundef_auth){ 0 };
		auth_copy(r, &own->list[own->n++], &outer->list[i], pos);
	}
}

/* No text of the final model is NULL. */
static void
fill(char **text)
{
	if (!*text)
		*text = xstrdup("");
}

static void
step_fill(struct rundef_step *s)
{
	char **texts[] = { &s->name, &s->command, &s->working_dir, &s->shell, &s->user,
		&s->dest_dir, &s->key };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		fill(texts[i]);
	for (size_t i = 0; i < s->ncontents; i++) {
		fill(&s->contents[i].source_dir);
		fill(&s->contents[i].dest_dir);
	}
}

static void
depends_move(struct rd *r, struct rundef_task *t, struct src_depends *src)
{
	t->depends = rundef_array(r, t->pos, src->n, sizeof(*t->depends));
	for (size_t i = 0; t->depends && i < src->n; i++) {
		struct rundef_depend *d = &t->depends[t->ndepends++];

		*d = src->list[i].d;
		src->list[i].d = (struct rundef_depend){ 0 };
		if (d->nconditions)
			continue;
		free(d->conditions);
		d->conditions = xcalloc(1, sizeof(*d->conditions));
		d->conditions[d->nconditions++] = xstrdup("on_success");
	}
}

static const struct src_duration *
innermost(
    const struct src_duration *task, const struct src_duration *run, const struct src_duration *top)
{
	return task->present ? task : run->present ? run : top;
}

/* What moved is zeroed in the source, which is freed as a whole afterwards. */
#define MOVE(to, from)                                                                             \
	do {                                                                                       \
		(to) = (from);                                                                     \
		memset(&(from), 0, sizeof(from));                                                  \
	} while (0)

/* Those of post are the last ones. */
static void
steps_move(struct rundef_task *t, struct src_steps *steps, struct src_steps *post)
{
	MOVE(t->steps, steps->list);
	MOVE(t->nsteps, steps->n);
	if (post->n == 0)
		return;
	t->steps = xreallocarray(t->steps, t->nsteps + post->n, sizeof(*t->steps));
	memcpy(t->steps + t->nsteps, post->list, post->n * sizeof(*t->steps));
	t->nsteps += post->n;
	post->n = 0; /* its list goes with the source */
}

static void
task_move(struct rd *r, struct rundef_task *t, struct src_task *src, const struct src_run *run,
    const struct src_top *top)
{
	t->pos = src->pos;
	t->level = src->level;
	t->ignore_failure = src->ignore_failure;
	t->approval = src->approval;
	t->timeout_ns = innermost(&src->timeout, &run->timeout, &top->timeout)->ns;
	MOVE(t->name, src->name);
	MOVE(t->arch, src->runtime.arch);
	MOVE(t->containers, src->runtime.containers);
	MOVE(t->ncontainers, src->runtime.ncontainers);
	MOVE(t->environment, src->environment);
	MOVE(t->working_dir, src->working_dir);
	MOVE(t->shell, src->shell);
	MOVE(t->user, src->user);
	t->retries = src->retries;
	steps_move(t, &src->steps, &src->post);
	MOVE(t->labels, src->runtime.labels);
	MOVE(t->matrix_name, src->matrix_name);
	MOVE(t->matrix, src->matrix);
	MOVE(t->when, src->when);
	MOVE(t->auths, src->auths);
	depends_move(r, t, &src->depends);
	auths_inherit(r, &t->auths, &run->auths, t->pos);
	auths_inherit(r, &t->auths, &top->auths, t->pos);
	char **texts[] = { &t->name, &t->arch, &t->working_dir, &t->shell, &t->user };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		fill(texts[i]);
	for (size_t i = 0; i < t->ncontainers; i++) {
		fill(&t->containers[i].image);
		fill(&t->containers[i].user);
		for (size_t k = 0; k < t->containers[i].nvolumes; k++)
			fill(&t->containers[i].volumes[k].path);
	}
	for (size_t i = 0; i < t->nsteps; i++)
		step_fill(&t->steps[i]);
}

struct rundef *
rundef_finish(struct rd *r, struct src_top *top)
{
	struct rundef *d = xcalloc(1, sizeof(*d));

	d->v1 = r->v1;
	d->runs = rundef_array(r, (struct yaml_pos){ 1, 1 }, top->nruns, sizeof(*d->runs));
	for (size_t i = 0; d->runs && i < top->nruns; i++) {
		struct src_run *src = &top->runs[i];
		struct rundef_run *run = &d->runs[d->nruns++];

		run->pos = src->pos;
		MOVE(run->name, src->name);
		fill(&run->name);
		MOVE(run->when, src->when);
		run->cancel_previous = src->cancel_previous;
		run->tasks = rundef_array(r, src->pos, src->tasks.n, sizeof(*run->tasks));
		for (size_t k = 0; run->tasks && k < src->tasks.n; k++)
			task_move(r, &run->tasks[run->ntasks++], &src->tasks.list[k], src, top);
	}
	return d;
}
