#include "runservice/spec.h"

#include "common/mem.h"
#include "runservice/graph.h"
#include "runservice/labels.h"

#include <string.h>

int
rs_spec_owner(char **owner, const char *group, struct err **err)
{
	size_t n = strlen(group);
	bool known = strncmp(group, "/user/", 6) == 0 || strncmp(group, "/project/", 9) == 0;
	if (!known || n > RS_SPEC_GROUP_MAX)
		return err_set(err, ERR_INVALID,
		    "run group must start with /user/<id> or /project/<id> and be at most %d "
		    "bytes",
		    RS_SPEC_GROUP_MAX);
	const char *id = strchr(group + 1, '/') + 1;
	size_t len = strcspn(id, "/");
	if (len == 0)
		return err_set(err, ERR_INVALID, "run group names no user or project");
	*owner = xstrndup(group, (size_t)(id - group) + len);
	return 0;
}

const Millrace__TaskSpec *
rs_spec_task(const Millrace__RunSpec *spec, const char *id)
{
	for (size_t i = 0; i < spec->n_tasks; i++) {
		if (strcmp(spec->tasks[i]->id, id) == 0)
			return spec->tasks[i];
	}
	return NULL;
}

typedef int (*value_fn)(Millrace__Value *v, void *arg, struct err **err);

static int
each_of(Millrace__EnvVar **list, size_t n, value_fn fn, void *arg, struct err **err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = fn(list[i]->value, arg, err);
	return rc;
}

int
rs_spec_each_value(Millrace__TaskSpec *t, value_fn fn, void *arg, struct err **err)
{
	int rc = each_of(t->environment, t->n_environment, fn, arg, err);
	for (size_t i = 0; rc == 0 && i < t->n_containers; i++)
		rc = each_of(
		    t->containers[i]->environment, t->containers[i]->n_environment, fn, arg, err);
	for (size_t i = 0; rc == 0 && i < t->n_steps; i++)
		rc = each_of(t->steps[i]->environment, t->steps[i]->n_environment, fn, arg, err);
	for (size_t i = 0; rc == 0 && i < t->n_registry_auth; i++) {
		const Millrace__RegistryAuth *a = t->registry_auth[i];
		Millrace__Value *values[] = { a->username, a->password, a->auth };
		for (size_t j = 0; rc == 0 && j < ARRAY_LEN(values); j++)
			rc = values[j] ? fn(values[j], arg, err) : 0;
	}
	return rc;
}

static void
replace(char **id, const struct rs_map *ids)
{
	const char *to = rs_map_get(ids, *id);

	if (to) {
		free(*id);
		*id = xstrdup(to);
	}
}

void
rs_spec_rename(Millrace__RunSpec *spec, const struct rs_map *ids)
{
	for (size_t i = 0; i < spec->n_tasks; i++) {
		replace(&spec->tasks[i]->id, ids);
		for (size_t j = 0; j < spec->tasks[i]->n_depends; j++)
			replace(&spec->tasks[i]->depends[j]->task_id, ids);
	}
}

/* known: tasks by id, of those before it. */
static int
add_task(struct rs_run *run, struct rs_map *known, const Millrace__TaskSpec *s, struct err **err)
{
	if (!id_is_valid(s->id))
		return err_set(err, ERR_INVALID, "task \"%s\": id is not a UUID", s->name);
	if (rs_map_put(known, s->id, (void *)(uintptr_t)(run->ntasks + 1)) != NULL)
		return err_set(err, ERR_INVALID, "task id %s is used twice", s->id);
	if (*s->name == '\0' || strlen(s->name) > 255)
		return err_set(err, ERR_INVALID, "task %s: name is empty or too long", s->id);
	if (s->n_steps > RS_SPEC_STEPS_MAX)
		return err_set(err, ERR_INVALID, "task \"%s\" has more than %d steps", s->name,
		    RS_SPEC_STEPS_MAX);
	if (s->n_containers == 0)
		return err_set(err, ERR_INVALID, "task \"%s\" has no container", s->name);
	if (s->arch && strlen(s->arch) > 15)
		return err_set(err, ERR_INVALID, "task \"%s\": bad architecture", s->name);
	if (s->retries > RS_RETRIES_MAX)
		return err_set(err, ERR_INVALID, "task \"%s\" has more than %d retries", s->name,
		    RS_RETRIES_MAX);
	auto_free char *labels = NULL;
	if (rs_labels_text(&labels, s->labels, s->n_labels, err) != 0)
		return err_wrap(err, "task \"%s\"", s->name);
	struct rs_task *t = rs_run_add_task(run, s->id, s->name, s->n_steps, s->skip);
	free(t->labels);
	t->labels = steal(&labels);
	if (s->arch) {
		free(t->arch);
		t->arch = xstrdup(s->arch);
	}
	for (size_t i = 0; i < s->n_containers; i++)
		t->privileged |= s->containers[i]->privileged;
	t->ignore_failure = s->ignore_failure;
	t->needs_approval = s->needs_approval;
	t->timeout_ms = s->timeout_ms;
	t->retries = s->retries;
	return 0;
}

static int
add_deps(struct rs_run *run, const struct rs_map *known, const Millrace__TaskSpec *s, size_t task,
    struct err **err)
{
	for (size_t j = 0; j < s->n_depends; j++) {
		const Millrace__Depend *d = s->depends[j];
		uintptr_t parent = (uintptr_t)rs_map_get(known, d->task_id);
		unsigned conditions = d->n_conditions == 0 ? RS_ON_SUCCESS : 0;
		if (parent == 0)
			return err_set(err, ERR_INVALID,
			    "task \"%s\" depends on task %s, which doesn't exist", s->name,
			    d->task_id);
		/* A word that nobody knows never holds; the definition's author was warned. */
		for (size_t k = 0; k < d->n_conditions; k++)
			conditions |= rs_condition_parse(d->conditions[k]);
		rs_run_add_dep(run, task, parent - 1, conditions);
	}
	return 0;
}

static void
check_graph(struct rs_run *run, char **graph_error)
{
	auto_err e = NULL;
	auto_free struct rs_node *nodes = xcalloc(run->ntasks + 1, sizeof(*nodes));
	auto_free unsigned *levels = xcalloc(run->ntasks + 1, sizeof(*levels));
	size_t total = 0, at = 0;
	for (size_t i = 0; i < run->ntasks; i++)
		total += run->tasks[i].ndeps;
	auto_free size_t *parents = xcalloc(total + 1, sizeof(*parents));
	for (size_t i = 0; i < run->ntasks; i++) {
		const struct rs_task *t = &run->tasks[i];
		nodes[i] = (struct rs_node){
			.name = t->name, .parents = parents + at, .nparents = t->ndeps
		};
		for (size_t j = 0; j < t->ndeps; j++)
			parents[at++] = t->deps[j].parent;
	}
	const struct rs_graph g = { .nodes = nodes, .n = run->ntasks };
	if (rs_graph_check(&g, &e) != 0 || rs_graph_levels(levels, &g, &e) != 0) {
		*graph_error = xstrdup(err_msg(e));
		return;
	}
	for (size_t i = 0; i < run->ntasks; i++)
		run->tasks[i].level = levels[i];
}

int
rs_spec_to_run(
    struct rs_run *run, char **graph_error, const Millrace__RunSpec *spec, struct err **err)
{
	auto_free char *owner = NULL;
	int rc = rs_spec_owner(&owner, spec->group, err);
	*graph_error = NULL;
	if (rc != 0)
		return rc;
	if (*spec->name == '\0' || strlen(spec->name) > 255)
		return err_set(err, ERR_INVALID, "run name is empty or too long");
	if (spec->n_tasks > RS_SPEC_TASKS_MAX)
		return err_set(err, ERR_INVALID, "run \"%s\" has more than %d tasks", spec->name,
		    RS_SPEC_TASKS_MAX);
	struct rs_map known = { 0 };
	rs_run_init(run);
	if (spec->n_setup_errors == 0) {
		for (size_t i = 0; rc == 0 && i < spec->n_tasks; i++)
			rc = add_task(run, &known, spec->tasks[i], err);
		for (size_t i = 0; rc == 0 && i < spec->n_tasks; i++)
			rc = add_deps(run, &known, spec->tasks[i], i, err);
	}
	rs_map_fini(&known);
	if (rc == 0)
		check_graph(run, graph_error);
	if (rc != 0 || *graph_error)
		rs_run_fini(run);
	if (rc != 0)
		return err_wrap(err, "run \"%s\"", spec->name);
	if (*graph_error)
		rs_run_init(run);
	run->owner = steal(&owner);
	run->name = xstrdup(spec->name);
	run->group = xstrdup(spec->group);
	return 0;
}
