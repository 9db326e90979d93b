#include "executor/engine_json.h"

#include "common/buf.h"
#include "common/http_server.h"
#include "common/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define NANO_PER_MILLI 1000000 /* the engine's processors are in 10^-9 */

static void
list_free(char **list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void
ex_image_info_fini(struct ex_image_info *info)
{
	free(info->id);
	free(info->digest);
	list_free(info->env, info->nenv);
	list_free(info->entrypoint, info->nentrypoint);
	list_free(info->cmd, info->ncmd);
	list_free(info->volumes, info->nvolumes);
	free(info->user);
	free(info->working_dir);
	*info = (struct ex_image_info){ 0 };
}

static int
text_list(char ***out, size_t *n, const json_t *list, const char *what, struct err **err)
{
	size_t i, count = json_array_size(list);

	if (list == NULL)
		return 0;
	if (!json_is_array(list) || count > EX_IMAGE_LIST_MAX)
		return err_set(err, ERR_INVALID, "the image's %s is no list of at most %d texts",
		    what, EX_IMAGE_LIST_MAX);
	*out = xcalloc(count + 1, sizeof(**out));
	for (i = 0; i < count; i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (s == NULL)
			return err_set(err, ERR_INVALID,
			    "the image's %s holds something else than texts", what);
		(*out)[(*n)++] = xstrdup(s);
	}
	return 0;
}

static int
volume_list(struct ex_image_info *info, json_t *volumes, struct err **err)
{
	const char *path;
	json_t *ignored;

	if (volumes == NULL)
		return 0;
	if (!json_is_object(volumes) || json_object_size(volumes) > EX_COVERED_MAX)
		return err_set(
		    err, ERR_INVALID, "the image declares more than %d volumes", EX_COVERED_MAX);
	info->volumes = xcalloc(json_object_size(volumes) + 1, sizeof(*info->volumes));
	json_object_foreach(volumes, path, ignored)
	{
		if (path[0] == '/' && path[1] != '\0')
			info->volumes[info->nvolumes++] = xstrdup(path);
	}
	return 0;
}

static char *
text_or_empty(const json_t *obj, const char *name)
{
	const char *s = obj != NULL ? json_text(obj, name) : NULL;

	return xstrdup(s != NULL ? s : "");
}

/* The one of repo's, else the first; NULL when there is none. */
static const char *
digest_of(json_t *digests, const char *repo)
{
	size_t n = repo != NULL ? strlen(repo) : 0, i;
	json_t *item;

	json_array_foreach(digests, i, item)
	{
		const char *digest = json_string_value(item);

		if (n > 0 && digest != NULL && strncmp(digest, repo, n) == 0 && digest[n] == '@')
			return digest;
	}
	return json_string_value(json_array_get(digests, 0));
}

int
ex_json_image(struct ex_image_info *out, json_t *answer, const char *repo, struct err **err)
{
	struct ex_image_info info = { 0 };
	const char *id = json_text(answer, "Id");
	json_t *config = json_member(answer, "Config");
	const char *digest = digest_of(json_member(answer, "RepoDigests"), repo);
	int rc;

	if (id == NULL || strlen(id) > 128)
		return err_set(err, ERR_INVALID, "the engine's answer about the image has no Id");
	info.id = xstrdup(id);
	info.digest = digest != NULL ? xstrdup(digest) : NULL;
	info.user = text_or_empty(config, "User");
	info.working_dir = text_or_empty(config, "WorkingDir");
	rc = text_list(&info.env, &info.nenv, json_member(config, "Env"), "environment", err);
	if (rc == 0)
		rc = text_list(&info.entrypoint, &info.nentrypoint,
		    json_member(config, "Entrypoint"), "entrypoint", err);
	if (rc == 0)
		rc = text_list(&info.cmd, &info.ncmd, json_member(config, "Cmd"), "command", err);
	if (rc == 0)
		rc = volume_list(&info, json_member(config, "Volumes"), err);
	if (rc != 0) {
		ex_image_info_fini(&info);
		return rc;
	}
	*out = info;
	return 0;
}

json_t *
ex_json_labels(const struct ex_owner *o)
{
	json_t *l = json_object();
	char fence[24];

	snprintf(fence, sizeof(fence), "%" PRIu64, o->fence);
	json_object_set_new(l, "millrace", json_string("1"));
	if (o->executor != NULL)
		json_object_set_new(l, "millrace.executor", json_string(o->executor));
	if (o->run != NULL)
		json_object_set_new(l, "millrace.run", json_string(o->run));
	if (o->task != NULL) {
		json_object_set_new(l, "millrace.task", json_string(o->task));
		json_object_set_new(l, "millrace.fence", json_string(fence));
	}
	if (o->role != NULL)
		json_object_set_new(l, "millrace.role", json_string(o->role));
	if (o->warm != NULL)
		json_object_set_new(l, EX_LABEL_WARM, json_string(o->warm));
	return l;
}

bool
ex_json_owner(const json_t *labels, const char **task, uint64_t *fence)
{
	const char *t = json_string_value(json_object_get(labels, "millrace.task"));
	const char *f = json_string_value(json_object_get(labels, "millrace.fence"));
	char *end;

	if (t == NULL || f == NULL || *f < '0' || *f > '9')
		return false;
	*task = t;
	errno = 0;
	*fence = strtoull(f, &end, 10);
	return *end == '\0' && errno == 0;
}

char *
ex_json_filters(const struct ex_owner *o)
{
	auto_json *labels = ex_json_labels(o), *filter = json_object();
	json_t *list = json_array(), *value;
	const char *key;
	auto_free char *text = NULL;

	json_object_foreach(labels, key, value)
	{
		auto_free char *one = xasprintf("%s=%s", key, json_string_value(value));

		json_array_append_new(list, json_string(one));
	}
	json_object_set_new(filter, "label", list);
	text = json_print(filter);
	return http_encode(text);
}

bool
ex_json_is_id(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && n <= 128 && strspn(text, "0123456789abcdef") == n;
}

static void
add_tmpfs(json_t *mounts, const char *path, uint64_t size)
{
	json_t *m = json_pack("{s:s, s:s}", "Type", "tmpfs", "Target", path);

	if (m == NULL)
		return;
	if (size > 0 && size <= INT64_MAX)
		json_object_set_new(
		    m, "TmpfsOptions", json_pack("{s:I}", "SizeBytes", (json_int_t)size));
	json_array_append_new(mounts, m);
}

static void
add_volume(json_t *mounts, const char *name, const char *path, bool read_only, json_t *labels)
{
	json_array_append_new(mounts,
	    json_pack("{s:s, s:s, s:s, s:b, s:{s:o}}", "Type", "volume", "Source", name, "Target",
	        path, "ReadOnly", (int)read_only, "VolumeOptions", "Labels", labels));
}

static bool
given_by_definition(const Millrace__Container *def, const char *path)
{
	size_t i;

	for (i = 0; i < def->n_volumes; i++)
		if (strcmp(def->volumes[i]->path, path) == 0)
			return true;
	return false;
}

/* An empty named volume is filled by the engine with the image's content at its path, so covering
 * changes nothing for the task. */
static void
add_covers(json_t *mounts, const struct ex_container_plan *p)
{
	struct ex_owner owner = *p->owner;
	size_t i;

	owner.role = "volume";
	for (i = 0; p->cover && i < p->image->nvolumes; i++) {
		const char *path = p->image->volumes[i];
		auto_free char *name = xasprintf("%s-v%zu", p->name, i);

		if (given_by_definition(p->def, path) || strncmp(path, "/mnt/millrace", 13) == 0)
			continue;
		add_volume(mounts, name, path, false, ex_json_labels(&owner));
	}
}

static json_t *
toolbox_labels(const struct ex_owner *o)
{
	struct ex_owner owner = { .executor = o->executor, .role = "toolbox" };

	return ex_json_labels(&owner);
}

static json_t *
mounts_of(const struct ex_container_plan *p)
{
	json_t *mounts = json_array();
	size_t i;

	add_volume(mounts, p->toolbox_volume, EX_MOUNT_BIN, true, toolbox_labels(p->owner));
	add_tmpfs(mounts, EX_MOUNT_RUN, EX_RUN_TMPFS_BYTES);
	for (i = 0; i < p->def->n_volumes; i++)
		add_tmpfs(mounts, p->def->volumes[i]->path, p->def->volumes[i]->tmpfs_size);
	add_covers(mounts, p);
	return mounts;
}

/* What the definition asks for, else what the executor allows; 0 = as much as there is. */
static int64_t
limit(uint64_t asked, int64_t max)
{
	return asked > 0 && asked <= INT64_MAX ? (int64_t)asked : max;
}

static void
add_limits(json_t *host, const struct ex_container_plan *p)
{
	int64_t cpu = limit(p->def->cpu_milli, p->cpu_max);
	int64_t memory = limit(p->def->memory, p->memory_max);

	if (cpu > 0 && cpu <= INT64_MAX / NANO_PER_MILLI)
		json_object_set_new(host, "NanoCpus", json_integer(cpu * NANO_PER_MILLI));
	if (memory > 0) {
		json_object_set_new(host, "Memory", json_integer(memory));
		json_object_set_new(host, "MemorySwap", json_integer(memory)); /* no swap */
	}
}

json_t *
ex_json_container(const struct ex_container_plan *p)
{
	bool privileged = p->def->has_privileged && p->def->privileged;
	json_t *host = json_pack("{s:s, s:o, s:{s:s}, s:b, s:I, s:b, s:b}", "NetworkMode",
	    p->network, "Mounts", mounts_of(p), "LogConfig", "Type", "none", "Init", 0, "PidsLimit",
	    (json_int_t)p->pids_limit, "Privileged", (int)privileged, "AutoRemove",
	    (int)p->auto_remove);

	if (host != NULL)
		add_limits(host, p);
	return json_pack(
	    "{s:s, s:s, s:[s], s:[s], s:b, s:b, s:b, s:b, s:b, s:b, s:o, s:{s:[s]}, s:o}", "Image",
	    p->image->id, "User", "0:0", "Entrypoint", EX_TOOLBOX_PATH, "Cmd",
	    p->index == 0 ? "init" : "service", "Tty", 0, "OpenStdin", 1, "StdinOnce", 0,
	    "AttachStdin", 1, "AttachStdout", 1, "AttachStderr", 1, "Labels",
	    ex_json_labels(p->owner), "Healthcheck", "Test", "NONE", "HostConfig", host);
}

json_t *
ex_json_helper(const struct ex_owner *o, const char *image, const char *toolbox_volume)
{
	struct ex_owner owner = { .executor = o->executor, .role = "helper" };
	json_t *mounts = json_array();
	json_t *host;

	add_volume(mounts, toolbox_volume, EX_MOUNT_BIN, false, toolbox_labels(o));
	host = json_pack("{s:s, s:o, s:{s:s}}", "NetworkMode", "none", "Mounts", mounts,
	    "LogConfig", "Type", "none");
	return json_pack("{s:s, s:s, s:[s], s:[s], s:o, s:o}", "Image", image, "User", "0:0",
	    "Entrypoint", EX_TOOLBOX_PATH, "Cmd", "version", "Labels", ex_json_labels(&owner),
	    "HostConfig", host);
}

json_t *
ex_json_network(const struct ex_owner *o, const char *name)
{
	struct ex_owner owner = { .executor = o->executor, .role = "network" };

	return json_pack("{s:s, s:s, s:b, s:{s:s}, s:o}", "Name", name, "Driver", "bridge",
	    "CheckDuplicate", 1, "Options", "com.docker.network.bridge.enable_icc", "false",
	    "Labels", ex_json_labels(&owner));
}
