#include "gateway/run_spec.h"

#include "common/id.h"
#include "common/mem.h"

#include <string.h>

/* Messages are built as the unpacker would build them: every part malloc'ed on its own, absent
 * texts NULL. One generated function then frees the whole. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type and a list in braces */
#define NEW(type, init)                                                                            \
	({                                                                                         \
		type *new_ = xmalloc(sizeof(*new_));                                               \
		*new_ = (type)init;                                                                \
		new_;                                                                              \
	})
/* NOLINTEND(bugprone-macro-parentheses) */

#define NS_PER_MS 1000000

/* Absent when empty. */
static char *
optional(const char *s)
{
	return s && *s ? xstrdup(s) : NULL;
}

static char *
required(const char *s)
{
	return xstrdup(s ? s : "");
}

static char **
texts(char *const *list, size_t n)
{
	char **out = n ? xcalloc(n, sizeof(*out)) : NULL;

	for (size_t i = 0; i < n; i++)
		out[i] = xstrdup(list[i]);
	return out;
}

/* Non-empty lines of text. */
static char **
lines(size_t *n, const char *text)
{
	char **out = NULL;

	*n = 0;
	while (text && *text) {
		size_t len = strcspn(text, "\n");

		if (len) {
			out = xreallocarray(out, *n + 1, sizeof(*out));
			out[(*n)++] = xstrndup(text, len);
		}
		text += len;
		text += *text == '\n';
	}
	return out;
}

static Millrace__Pair *
pair(const char *name, const char *value)
{
	Millrace__Pair *out = NEW(Millrace__Pair, MILLRACE__PAIR__INIT);

	out->name = xstrdup(name);
	out->value = xstrdup(value);
	return out;
}

static Millrace__Pair **
label_pairs(const struct rundef_pairs *p)
{
	Millrace__Pair **out = p->n ? xcalloc(p->n, sizeof(*out)) : NULL;

	for (size_t i = 0; i < p->n; i++)
		out[i] = pair(p->list[i].name, p->list[i].value);
	return out;
}

static Millrace__Pair **
pairs(const struct gw_pairs *p)
{
	Millrace__Pair **out = p->n ? xcalloc(p->n, sizeof(*out)) : NULL;

	for (size_t i = 0; i < p->n; i++)
		out[i] = pair(p->list[i].name, p->list[i].value);
	return out;
}

static Millrace__Value *
value(const struct rundef_value *v)
{
	Millrace__Value *out = NEW(Millrace__Value, MILLRACE__VALUE__INIT);

	if (v->variable)
		out->variable = xstrdup(v->variable);
	else if (v->literal)
		out->literal = xstrdup(v->literal);
	return out;
}

static bool
value_given(const struct rundef_value *v)
{
	return v->variable || v->literal;
}

static Millrace__EnvVar **
environment(const struct rundef_envs *e)
{
	Millrace__EnvVar **out = e->n ? xcalloc(e->n, sizeof(*out)) : NULL;

	for (size_t i = 0; i < e->n; i++) {
		out[i] = NEW(Millrace__EnvVar, MILLRACE__ENV_VAR__INIT);
		out[i]->name = xstrdup(e->list[i].name);
		out[i]->value = value(&e->list[i].value);
	}
	return out;
}

static Millrace__Volume *
volume(const struct rundef_volume *v)
{
	Millrace__Volume *out = NEW(Millrace__Volume, MILLRACE__VOLUME__INIT);

	out->path = required(v->path);
	out->has_tmpfs_size = true;
	out->tmpfs_size = v->tmpfs_size;
	return out;
}

static Millrace__Container *
container(const struct rundef_container *c)
{
	Millrace__Container *out = NEW(Millrace__Container, MILLRACE__CONTAINER__INIT);

	out->image = required(c->image);
	out->n_environment = c->environment.n;
	out->environment = environment(&c->environment);
	out->user = optional(c->user);
	out->has_privileged = true;
	out->privileged = c->privileged;
	out->n_entrypoint = c->nentrypoint;
	out->entrypoint = texts(c->entrypoint, c->nentrypoint);
	out->n_volumes = c->nvolumes;
	out->volumes = c->nvolumes ? xcalloc(c->nvolumes, sizeof(*out->volumes)) : NULL;
	for (size_t i = 0; i < c->nvolumes; i++)
		out->volumes[i] = volume(&c->volumes[i]);
	out->has_cpu_milli = c->cpu_milli > 0;
	out->cpu_milli = c->cpu_milli;
	out->has_memory = c->memory > 0;
	out->memory = c->memory;
	return out;
}

static Millrace__Content *
content(const struct rundef_content *c)
{
	Millrace__Content *out = NEW(Millrace__Content, MILLRACE__CONTENT__INIT);

	out->source_dir = required(c->source_dir);
	out->dest_dir = optional(c->dest_dir);
	out->n_paths = c->npaths;
	out->paths = texts(c->paths, c->npaths);
	return out;
}

static Millrace__StepType
step_type(enum rundef_step_type type)
{
	switch (type) {
	case RUNDEF_CLONE:
	case RUNDEF_RUN:
		return MILLRACE__STEP_TYPE__STEP_RUN;
	case RUNDEF_SAVE_TO_WORKSPACE:
		return MILLRACE__STEP_TYPE__STEP_SAVE_TO_WORKSPACE;
	case RUNDEF_RESTORE_WORKSPACE:
		return MILLRACE__STEP_TYPE__STEP_RESTORE_WORKSPACE;
	case RUNDEF_SAVE_CACHE:
		return MILLRACE__STEP_TYPE__STEP_SAVE_CACHE;
	case RUNDEF_RESTORE_CACHE:
		return MILLRACE__STEP_TYPE__STEP_RESTORE_CACHE;
	}
	MUST(!"step type");
	return MILLRACE__STEP_TYPE__STEP_RUN;
}

/* Rounded up: a timeout that was given never becomes none. */
static int64_t
ms_of(int64_t ns)
{
	return ns / NS_PER_MS + (ns % NS_PER_MS > 0);
}

/* NULL: only after success, as every step by itself. */
static const char *
run_if(enum rundef_run_if when)
{
	switch (when) {
	case RUNDEF_IF_SUCCESS:
		return NULL;
	case RUNDEF_IF_FAILURE:
		return "on_failure";
	case RUNDEF_IF_ALWAYS:
		return "always";
	}
	return NULL;
}

static Millrace__Step *
step(const struct rundef_step *s)
{
	Millrace__Step *out = NEW(Millrace__Step, MILLRACE__STEP__INIT);
	bool clone = s->type == RUNDEF_CLONE;

	out->type = step_type(s->type);
	out->name = required(s->name);
	/* A clone is a run step with a script of ours. */
	out->command = clone ? rundef_clone_script(s) : optional(s->command);
	out->has_tty = true;
	out->tty = clone || s->tty;
	out->n_environment = s->environment.n;
	out->environment = environment(&s->environment);
	out->working_dir = optional(s->working_dir);
	out->shell = optional(s->shell);
	out->user = optional(s->user);
	out->n_contents = s->ncontents;
	out->contents = s->ncontents ? xcalloc(s->ncontents, sizeof(*out->contents)) : NULL;
	for (size_t i = 0; i < s->ncontents; i++)
		out->contents[i] = content(&s->contents[i]);
	out->dest_dir = optional(s->dest_dir);
	out->cache_key = optional(s->key);
	out->n_cache_keys = s->nkeys;
	out->cache_keys = texts(s->keys, s->nkeys);
	out->run_if = optional(run_if(s->run_if));
	out->has_post = s->post;
	out->post = s->post;
	out->has_retries = s->retries > 0;
	out->retries = (uint32_t)s->retries;
	out->has_timeout_ms = s->timeout_ns > 0;
	out->timeout_ms = ms_of(s->timeout_ns);
	return out;
}

static Millrace__RegistryAuth *
registry_auth(const struct rundef_auth *a)
{
	Millrace__RegistryAuth *out = NEW(Millrace__RegistryAuth, MILLRACE__REGISTRY_AUTH__INIT);

	out->registry = required(a->registry);
	out->type = required(a->type && *a->type ? a->type : "basic");
	out->username = value_given(&a->username) ? value(&a->username) : NULL;
	out->password = value_given(&a->password) ? value(&a->password) : NULL;
	out->auth = value_given(&a->auth) ? value(&a->auth) : NULL;
	return out;
}

static Millrace__Depend *
depend(const struct rundef_depend *d, const struct id *ids)
{
	Millrace__Depend *out = NEW(Millrace__Depend, MILLRACE__DEPEND__INIT);

	out->task_id = xstrdup(ids[d->index].s);
	out->n_conditions = d->nconditions;
	out->conditions = texts(d->conditions, d->nconditions);
	return out;
}

static void
task_lists(Millrace__TaskSpec *out, const struct rundef_task *t, const struct id *ids)
{
	out->n_depends = t->ndepends;
	out->depends = t->ndepends ? xcalloc(t->ndepends, sizeof(*out->depends)) : NULL;
	for (size_t i = 0; i < t->ndepends; i++)
		out->depends[i] = depend(&t->depends[i], ids);
	out->n_containers = t->ncontainers;
	out->containers = t->ncontainers ? xcalloc(t->ncontainers, sizeof(*out->containers)) : NULL;
	for (size_t i = 0; i < t->ncontainers; i++)
		out->containers[i] = container(&t->containers[i]);
	out->n_steps = t->nsteps;
	out->steps = t->nsteps ? xcalloc(t->nsteps, sizeof(*out->steps)) : NULL;
	for (size_t i = 0; i < t->nsteps; i++)
		out->steps[i] = step(&t->steps[i]);
	out->n_registry_auth = t->auths.n;
	out->registry_auth = t->auths.n ? xcalloc(t->auths.n, sizeof(*out->registry_auth)) : NULL;
	for (size_t i = 0; i < t->auths.n; i++)
		out->registry_auth[i] = registry_auth(&t->auths.list[i]);
}

static Millrace__TaskSpec *
task(const struct rundef_run *run, size_t index, const struct id *ids, const struct rundef_ref *ref)
{
	const struct rundef_task *t = &run->tasks[index];
	Millrace__TaskSpec *out = NEW(Millrace__TaskSpec, MILLRACE__TASK_SPEC__INIT);

	out->id = xstrdup(ids[index].s);
	out->name = required(t->name);
	out->level = t->level;
	out->arch = optional(t->arch);
	out->n_environment = t->environment.n;
	out->environment = environment(&t->environment);
	out->working_dir = required(t->working_dir);
	out->shell = required(t->shell);
	out->user = optional(t->user);
	out->has_ignore_failure = true;
	out->ignore_failure = t->ignore_failure;
	out->has_needs_approval = true;
	out->needs_approval = t->approval;
	out->has_skip = true;
	out->skip = !rundef_when_matches(&t->when, ref);
	out->has_timeout_ms = true;
	out->timeout_ms = ms_of(t->timeout_ns);
	out->has_retries = t->retries > 0;
	out->retries = (uint32_t)t->retries;
	out->n_labels = t->labels.n;
	out->labels = label_pairs(&t->labels);
	out->matrix_name = optional(t->matrix_name);
	out->n_matrix = t->matrix.n;
	out->matrix = label_pairs(&t->matrix);
	task_lists(out, t, ids);
	return out;
}

_Static_assert(GW_TRUST_FORK == (int)MILLRACE__TRUST__TRUST_FORK &&
                   GW_TRUST_PULL_REQUEST == (int)MILLRACE__TRUST__TRUST_PULL_REQUEST &&
                   GW_TRUST_BRANCH == (int)MILLRACE__TRUST__TRUST_BRANCH,
    "one scale");

static Millrace__RunSpec *
base(const char *name, const struct gw_origin *origin)
{
	Millrace__RunSpec *spec = NEW(Millrace__RunSpec, MILLRACE__RUN_SPEC__INIT);

	spec->name = xstrdup(name);
	spec->group = xstrdup(origin->group);
	spec->cache_group = optional(origin->cache_group);
	spec->has_trust = origin->trust != 0;
	spec->trust = (Millrace__Trust)origin->trust;
	spec->n_annotations = origin->annotations.n;
	spec->annotations = pairs(&origin->annotations);
	spec->n_static_environment = origin->environment.n;
	spec->static_environment = pairs(&origin->environment);
	return spec;
}

Millrace__RunSpec *
gw_run_spec_new(const struct rundef_run *run, const struct gw_origin *origin,
    const struct rundef_ref *ref, const char *warnings)
{
	Millrace__RunSpec *spec = base(run->name, origin);
	auto_free struct id *ids = xcalloc(run->ntasks + 1, sizeof(*ids));

	for (size_t i = 0; i < run->ntasks; i++)
		ids[i] = id_new();
	spec->warnings = lines(&spec->n_warnings, warnings);
	spec->has_cancel_previous = run->cancel_previous;
	spec->cancel_previous = run->cancel_previous;
	spec->n_tasks = run->ntasks;
	spec->tasks = run->ntasks ? xcalloc(run->ntasks, sizeof(*spec->tasks)) : NULL;
	for (size_t i = 0; i < run->ntasks; i++)
		spec->tasks[i] = task(run, i, ids, ref);
	return spec;
}

Millrace__RunSpec *
gw_run_spec_setup_error(const struct gw_origin *origin, const char *errors)
{
	Millrace__RunSpec *spec = base(GW_SETUP_ERROR_NAME, origin);

	spec->setup_errors = lines(&spec->n_setup_errors, errors);
	return spec;
}

void
gw_run_spec_add_environment(Millrace__RunSpec *spec, const char *name, const char *variable)
{
	for (size_t i = 0; i < spec->n_tasks; i++) {
		Millrace__TaskSpec *t = spec->tasks[i];
		Millrace__EnvVar *e = NEW(Millrace__EnvVar, MILLRACE__ENV_VAR__INIT);

		e->name = xstrdup(name);
		e->value = NEW(Millrace__Value, MILLRACE__VALUE__INIT);
		e->value->variable = xstrdup(variable);
		t->environment =
		    xreallocarray(t->environment, t->n_environment + 1, sizeof(*t->environment));
		t->environment[t->n_environment++] = e;
	}
}
