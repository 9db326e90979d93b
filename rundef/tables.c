/* The tables of everything but steps. */
#include "rundef_int.h"

#include "common/mem.h"

#include <stddef.h>
#include <string.h>

/* A name for messages; the table reads the real one. */
static char *
name_of(const struct yaml_node *map)
{
	const struct yaml_node *name = yaml_get(map, "name");

	return name && name->text && name->type != YAML_NULL && name->text_len
	           ? xstrndup(name->text, name->text_len < 60 ? name->text_len : 60)
	           : NULL;
}

static struct yaml_pos
name_place(const struct yaml_node *map)
{
	const struct yaml_node *name = yaml_get(map, "name");

	return name ? name->pos : map->pos;
}

static void
name_check(struct rd *r, const struct yaml_node *map, const char *name, const char *noun)
{
	const struct yaml_node *node = yaml_get(map, "name");
	size_t mark = rundef_enter_key(r, "name");

	if (name && strlen(name) > RUNDEF_NAME_MAX)
		rundef_error(r, node ? node->pos : map->pos,
		    "%s name is too long: %zu bytes, at most %d are allowed", noun, strlen(name),
		    RUNDEF_NAME_MAX);
	if (name && node && node->type == YAML_BOOL)
		rundef_warn(r, node->pos,
		    "%s is a boolean in YAML 1.1, so the name is \"%s\": write it in quotes",
		    node->text, name);
	rundef_leave(r, mark);
}

/* --- auth --- */

#define AT(member) offsetof(struct rundef_auth, member)
static const char *const auth_types[] = { "basic", "encodedauth", NULL };
static const struct rd_field auth_fields[] = {
	{ .name = "type",
	    .kind = RD_TEXT,
	    .at = AT(type),
	    .preset = "basic",
	    .words = auth_types,
	    .words_warn = true,
	    .words_what = "unknown registry auth type",
	    .doc = "basic or encodedauth" },
	{ .name = "username",
	    .kind = RD_CUSTOM,
	    .at = AT(username),
	    .read = rundef_read_value,
	    .shape = "value",
	    .doc = "for basic" },
	{ .name = "password",
	    .kind = RD_CUSTOM,
	    .at = AT(password),
	    .read = rundef_read_value,
	    .shape = "value",
	    .doc = "for basic" },
	{ .name = "auth",
	    .kind = RD_CUSTOM,
	    .at = AT(auth),
	    .read = rundef_read_value,
	    .shape = "value",
	    .doc = "for encodedauth: base64 of user:password" },
	{ 0 },
};
const struct rd_object rundef_auth_object = {
	.noun = "docker registry auth",
	.fields = auth_fields,
	.size = sizeof(struct rundef_auth),
};
#undef AT

/* --- container --- */

static const struct rd_field tmpfs_fields[] = {
	{ .name = "size",
	    .kind = RD_CUSTOM,
	    .at = offsetof(struct rundef_volume, tmpfs_size),
	    .read = rundef_read_quantity,
	    .shape = "quantity",
	    .doc = "such as 1Gi, default no limit" },
	{ 0 },
};
static const struct rd_object tmpfs_object = {
	.noun = "tmpfs",
	.fields = tmpfs_fields,
	.size = sizeof(struct rundef_volume),
};
/* A tmpfs fills its volume. */
static const struct rd_field volume_fields[] = {
	{ .name = "path",
	    .kind = RD_TEXT,
	    .at = offsetof(struct rundef_volume, path),
	    .preset = "",
	    .doc = "where it is mounted" },
	{ .name = "tmpfs",
	    .kind = RD_OBJECT,
	    .at = 0,
	    .object = &tmpfs_object,
	    .required = true,
	    .missing = "no volume config: a volume needs tmpfs, for example tmpfs: {size: 1Gi}",
	    .doc = "a file system in memory" },
	{ 0 },
};
static void
volume_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	const struct rundef_volume *v = obj;

	const struct yaml_node *path = yaml_get(map, "path");
	size_t mark = rundef_enter_key(r, "path");
	if (v->path && v->path[0] != '/')
		rundef_warn(r, path ? path->pos : map->pos,
		    "a volume's path should be absolute, found \"%.60s\"", v->path);
	rundef_leave(r, mark);
}
static const struct rd_object volume_object = {
	.noun = "volume",
	.fields = volume_fields,
	.size = sizeof(struct rundef_volume),
	.check = volume_check,
};

/* Split on single spaces, no quoting, as shells and entrypoints always are here. */
static void
entrypoint_read(struct rd *r, const struct yaml_node *n, void *at)
{
	struct rundef_container *c = (struct rundef_container *)at;
	auto_free char *text = rundef_read_text(r, n, false);
	size_t words = 1;

	if (!text || !*text)
		return;
	for (const char *p = text; *p; p++)
		words += *p == ' ';
	c->entrypoint = rundef_array(r, n->pos, words, sizeof(*c->entrypoint));
	for (char *p = text; c->entrypoint && p;)
		c->entrypoint[c->nentrypoint++] = xstrdup(strsep(&p, " "));
}

#define AT(member) offsetof(struct rundef_container, member)
static const struct rd_field resources_fields[] = {
	{ .name = "cpu",
	    .kind = RD_CUSTOM,
	    .at = AT(cpu_milli),
	    .read = rundef_read_cpu,
	    .shape = "quantity",
	    .doc = "processors: 2, 1.5, 500m" },
	{ .name = "memory",
	    .kind = RD_CUSTOM,
	    .at = AT(memory),
	    .read = rundef_read_memory,
	    .shape = "quantity",
	    .doc = "bytes: 512Mi, 4Gi" },
	{ 0 },
};
/* They fill their container. */
static const struct rd_object resources_object = {
	.noun = "resources",
	.fields = resources_fields,
	.size = sizeof(struct rundef_container),
};
static const struct rd_field container_fields[] = {
	{ .name = "image",
	    .kind = RD_TEXT,
	    .at = AT(image),
	    .preset = "",
	    .doc = "image reference" },
	{ .name = "environment",
	    .kind = RD_CUSTOM,
	    .at = AT(environment),
	    .read = rundef_read_envs,
	    .shape = "environment",
	    .doc = "of the container's processes" },
	{ .name = "user",
	    .kind = RD_TEXT,
	    .at = AT(user),
	    .preset = "",
	    .doc = "of the steps, default the image's" },
	{ .name = "privileged", .kind = RD_BOOL, .at = AT(privileged), .doc = "default false" },
	{ .name = "entrypoint",
	    .kind = RD_CUSTOM,
	    .at = 0,
	    .read = entrypoint_read,
	    .shape = "text",
	    .doc = "one text, split on single spaces" },
	{ .name = "volumes",
	    .kind = RD_OBJECTS,
	    .at = AT(volumes),
	    .count_at = AT(nvolumes),
	    .object = &volume_object,
	    .doc = "mounts" },
	{ .name = "resources",
	    .kind = RD_OBJECT,
	    .at = 0,
	    .object = &resources_object,
	    .v1 = true,
	    .doc = "what it needs and may use at most" },
	{ 0 },
};
#undef AT
static void
container_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	const struct rundef_container *c = obj;

	size_t mark = rundef_enter_key(r, "image");
	if (c->image && !*c->image)
		rundef_warn(
		    r, map->pos, "a container without an image fails when the task is set up");
	rundef_leave(r, mark);
}
static const struct rd_object container_object = {
	.noun = "container",
	.fields = container_fields,
	.size = sizeof(struct rundef_container),
	.check = container_check,
};

/* --- runtime --- */

#define AT(member) offsetof(struct src_runtime, member)
static const char *const runtime_types[] = { "pod", NULL };
static const char *const arch_words[] = { "386", "amd64", "arm", "arm64", NULL };
static const struct rd_field runtime_fields[] = {
	{ .name = "type",
	    .kind = RD_TEXT,
	    .at = AT(type),
	    .preset = "pod",
	    .words = runtime_types,
	    .words_what = "wrong type",
	    .doc = "only pod" },
	{ .name = "arch",
	    .kind = RD_TEXT,
	    .at = AT(arch),
	    .preset = "",
	    .words = arch_words,
	    .words_what = "invalid arch",
	    .doc = "default any" },
	{ .name = "containers",
	    .kind = RD_OBJECTS,
	    .at = AT(containers),
	    .count_at = AT(ncontainers),
	    .object = &container_object,
	    .max = RUNDEF_CONTAINERS_MAX,
	    .required = true,
	    .missing = "the runtime needs at least one container",
	    .doc = "the first runs the steps" },
	{ .name = "labels",
	    .kind = RD_CUSTOM,
	    .at = AT(labels),
	    .read = rundef_read_labels,
	    .shape = "labels",
	    .v1 = true,
	    .doc = "an executor must have them all" },
	{ 0 },
};
#undef AT
static void
runtime_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	struct src_task *t =
	    (struct src_task *)(void *)((char *)obj - offsetof(struct src_task, runtime));

	(void)r;
	(void)map;
	t->has_runtime = true;
}
static const struct rd_object runtime_object = {
	.noun = "runtime",
	.fields = runtime_fields,
	.size = sizeof(struct src_runtime),
	.check = runtime_check,
};

/* --- task --- */

static void
task_enter(struct rd *r, const struct yaml_node *map, void *obj)
{
	struct src_task *t = obj;

	t->pos = map->pos;
	t->name_pos = name_place(map);
	free(r->task);
	r->task = name_of(map);
}
static void
task_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	struct src_task *t = obj;

	name_check(r, map, t->name, "task");
	if (t->steps.n + t->post.n > RUNDEF_STEPS_MAX)
		rundef_error(r, map->pos, "too many steps: %zu, at most %d are possible",
		    t->steps.n + t->post.n, RUNDEF_STEPS_MAX);
	/* Empty ones become the default as absent ones do. */
	if (t->working_dir && !*t->working_dir) {
		free(t->working_dir);
		t->working_dir = rundef_dup_text(r, map->pos, "~/project");
	}
	if (t->shell && !*t->shell) {
		free(t->shell);
		t->shell = rundef_dup_text(r, map->pos, "/bin/sh -e");
	}
	if (t->own_timeout.present && t->timeout.present) {
		const struct yaml_node *timeout = yaml_get(map, "timeout");
		size_t mark = rundef_enter_key(r, "timeout");
		rundef_error(r, timeout ? timeout->pos : map->pos,
		    "timeout and task_timeout_interval are the same: give one of them");
		rundef_leave(r, mark);
	}
	if (t->own_timeout.present)
		t->timeout = t->own_timeout;
	if (r->combo)
		rundef_combo_apply(r, map, t);
}
static void
task_leave(struct rd *r)
{
	free(r->task);
	r->task = NULL;
}

#define AT(member) offsetof(struct src_task, member)
static const struct rd_field task_fields[] = {
	{ .name = "name",
	    .kind = RD_TEXT,
	    .at = AT(name),
	    .required = true,
	    .missing = "empty name: a task needs one",
	    .doc = "unique in its run" },
	{ .name = "runtime",
	    .kind = RD_OBJECT,
	    .at = AT(runtime),
	    .required = true,
	    .missing = "runtime is not defined: a task needs one",
	    .object = &runtime_object,
	    .doc = "where it runs" },
	{ .name = "environment",
	    .kind = RD_CUSTOM,
	    .at = AT(environment),
	    .read = rundef_read_envs,
	    .shape = "environment",
	    .doc = "of all steps" },
	{ .name = "working_dir",
	    .kind = RD_TEXT,
	    .at = AT(working_dir),
	    .preset = "~/project",
	    .doc = "of all steps" },
	{ .name = "shell",
	    .kind = RD_TEXT,
	    .at = AT(shell),
	    .preset = "/bin/sh -e",
	    .doc = "split on single spaces" },
	{ .name = "user", .kind = RD_TEXT, .at = AT(user), .preset = "", .doc = "of all steps" },
	{ .name = "steps",
	    .kind = RD_CUSTOM,
	    .at = AT(steps),
	    .read = rundef_read_steps,
	    .shape = "steps",
	    .doc = "in order" },
	{ .name = "post",
	    .kind = RD_CUSTOM,
	    .at = AT(post),
	    .read = rundef_read_post,
	    .shape = "steps",
	    .v1 = true,
	    .doc = "steps that run at the end, whatever happened" },
	{ .name = "depends",
	    .kind = RD_CUSTOM,
	    .at = AT(depends),
	    .read = rundef_read_depends,
	    .shape = "depends",
	    .doc = "tasks of the same run" },
	{ .name = "ignore_failure",
	    .kind = RD_BOOL,
	    .at = AT(ignore_failure),
	    .doc = "its failure does not fail the run" },
	{ .name = "approval", .kind = RD_BOOL, .at = AT(approval), .doc = "waits to be approved" },
	{ .name = "when",
	    .kind = RD_CUSTOM,
	    .at = AT(when),
	    .read = rundef_read_when,
	    .shape = "when",
	    .doc = "skipped where it does not match" },
	{ .name = "docker_registries_auth",
	    .kind = RD_CUSTOM,
	    .at = AT(auths),
	    .read = rundef_read_auths,
	    .shape = "credentials",
	    .doc = "over the run's" },
	{ .name = "task_timeout_interval",
	    .kind = RD_DURATION,
	    .at = AT(timeout),
	    .doc = "over the run's" },
	{ .name = "timeout",
	    .kind = RD_CUSTOM,
	    .at = AT(own_timeout),
	    .read = rundef_read_timeout,
	    .shape = "duration",
	    .v1 = true,
	    .doc = "task_timeout_interval, with a unit" },
	{ .name = "retries",
	    .kind = RD_INTEGER,
	    .at = AT(retries),
	    .max = RUNDEF_RETRIES_MAX,
	    .v1 = true,
	    .doc = "further attempts after a failure" },
	{ .name = "matrix",
	    .kind = RD_NOTED, /* by rundef_read_tasks() */
	    .shape = "matrix",
	    .v1 = true,
	    .doc = "makes one task of each combination" },
	{ 0 },
};
#undef AT
const struct rd_object rundef_task_object = {
	.noun = "task",
	.fields = task_fields,
	.size = sizeof(struct src_task),
	.enter = task_enter,
	.check = task_check,
	.leave = task_leave,
};

/* --- run --- */

static void
run_enter(struct rd *r, const struct yaml_node *map, void *obj)
{
	struct src_run *run = obj;

	run->pos = map->pos;
	run->name_pos = name_place(map);
	free(r->run);
	r->run = name_of(map);
}
static void
run_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	struct src_run *run = obj;

	name_check(r, map, run->name, "run");
	size_t mark = rundef_enter_key(r, "tasks");
	if (run->tasks.n > RUNDEF_TASKS_MAX)
		rundef_error(r, map->pos, "too many tasks: more than %d", RUNDEF_TASKS_MAX);
	const struct yaml_node *tasks = yaml_get(map, "tasks");
	if (!tasks || tasks->type == YAML_NULL || (tasks->type == YAML_LIST && tasks->n == 0))
		rundef_warn(r, map->pos, "this run has no tasks: it ends at once with success");
	rundef_leave(r, mark);
}
static void
run_leave(struct rd *r)
{
	free(r->run);
	r->run = NULL;
}

#define AT(member) offsetof(struct src_run, member)
static const struct rd_field run_fields[] = {
	{ .name = "name",
	    .kind = RD_TEXT,
	    .at = AT(name),
	    .required = true,
	    .missing = "empty name: a run needs one",
	    .doc = "unique in the file" },
	{ .name = "tasks",
	    .kind = RD_CUSTOM,
	    .at = AT(tasks),
	    .read = rundef_read_tasks,
	    .shape = "tasks",
	    .doc = "the work" },
	{ .name = "when",
	    .kind = RD_CUSTOM,
	    .at = AT(when),
	    .read = rundef_read_when,
	    .shape = "when",
	    .doc = "not created where it does not match" },
	{ .name = "docker_registries_auth",
	    .kind = RD_CUSTOM,
	    .at = AT(auths),
	    .read = rundef_read_auths,
	    .shape = "credentials",
	    .doc = "over the file's" },
	{ .name = "task_timeout_interval",
	    .kind = RD_DURATION,
	    .at = AT(timeout),
	    .doc = "over the file's" },
	{ .name = "cancel_previous",
	    .kind = RD_BOOL,
	    .at = AT(cancel_previous),
	    .v1 = true,
	    .doc = "ends older runs of this name of the same branch, tag or pull request" },
	{ 0 },
};
#undef AT
static const struct rd_object run_object = {
	.noun = "run",
	.fields = run_fields,
	.size = sizeof(struct src_run),
	.enter = run_enter,
	.check = run_check,
	.leave = run_leave,
};

/* --- the file --- */

#define AT(member) offsetof(struct src_top, member)
static const struct rd_field top_fields[] = {
	{ .name = "runs",
	    .kind = RD_OBJECTS,
	    .at = AT(runs),
	    .count_at = AT(nruns),
	    .required = true,
	    .missing = "no runs defined",
	    .object = &run_object,
	    .max = RUNDEF_RUNS_MAX,
	    .doc = "what to run" },
	{ .name = "docker_registries_auth",
	    .kind = RD_CUSTOM,
	    .at = AT(auths),
	    .read = rundef_read_auths,
	    .shape = "credentials",
	    .doc = "credentials by registry" },
	{ .name = "task_timeout_interval",
	    .kind = RD_DURATION,
	    .at = AT(timeout),
	    .doc = "default none" },
	{ .name = "version",
	    .kind = RD_NOTED, /* by top_enter() */
	    .shape = "version",
	    .doc = "v1 switches on what is marked so" },
	{ 0 },
};
#undef AT
/* First of all: it decides which keys there are. */
static void
top_enter(struct rd *r, const struct yaml_node *map, void *obj)
{
	const struct yaml_node *version = yaml_get(map, "version");

	(void)obj;
	if (!version || version->type == YAML_NULL)
		return;
	r->v1 = version->type == YAML_STRING && strcmp(version->text, "v1") == 0;
	if (r->v1 || (version->type == YAML_STRING && strcmp(version->text, "v0") == 0))
		return;
	size_t mark = rundef_enter_key(r, "version");
	rundef_report(r, RUNDEF_WARNING, version->pos,
	    version->text && strchr(version->text, '1') ? "v1" : NULL,
	    "unknown version: it is read as v0");
	rundef_leave(r, mark);
}
const struct rd_object rundef_top_object = {
	.noun = "run definition",
	.fields = top_fields,
	.size = sizeof(struct src_top),
	.enter = top_enter,
};
