/*
 * engine_json.h - bodies of engine requests, and what we read from its answers. Pure.
 *
 * Everything an engine says is checked: types, counts, lengths.
 */
#ifndef EXECUTOR_ENGINE_JSON_H
#define EXECUTOR_ENGINE_JSON_H

#include "common/json.h"
#include "executor/config.h"

#include "run.pb-c.h"

#define EX_MOUNT_BIN "/mnt/millrace/bin"
#define EX_MOUNT_RUN "/mnt/millrace/run"
#define EX_TOOLBOX_PATH EX_MOUNT_BIN "/millrace-toolbox"
#define EX_RUN_TMPFS_BYTES (64u << 20)
#define EX_IMAGE_LIST_MAX 4096 /* environment, command words, volumes of one image */
#define EX_COVERED_MAX 64

/* What an image says about itself. */
struct ex_image_info {
	char *id;     /* sha256:... */
	char *digest; /* repo@sha256:... it is known by, or NULL */
	char **env, **entrypoint, **cmd, **volumes;
	size_t nenv, nentrypoint, ncmd, nvolumes;
	char *user, *working_dir;
};
/* repo: the repository it was asked for in, whose digest is preferred when several have the image;
 * NULL allowed. */
int ex_json_image(
    struct ex_image_info *out, json_t *answer, const char *repo, struct err **err) MUSTCHECK;
void ex_image_info_fini(struct ex_image_info *info);

#define EX_LABEL_WARM "millrace.warm"

/* Who a container, volume or network belongs to; NULL members are left out. */
struct ex_owner {
	const char *executor, *run, *task, *role;
	uint64_t fence;
	const char *warm; /* name of a container that is started ahead */
};
json_t *ex_json_labels(const struct ex_owner *o);
/* The task (borrowed) and fence in the labels of a listed object; false when they are not there. */
bool ex_json_owner(const json_t *labels, const char **task, uint64_t *fence);
/* {"label":["millrace.executor=<id>", ...]} as text for ?filters=, percent-encoded; malloc'ed. */
char *ex_json_filters(const struct ex_owner *o);

/* Hexadecimal digits, at most 128: what may be put into a path as it is. */
bool ex_json_is_id(const char *text);

struct ex_container_plan {
	const struct ex_owner *owner;
	const struct ex_image_info *image;
	const Millrace__Container *def;
	unsigned index;   /* 0 = main */
	const char *name; /* of the container; its volumes are named after it */
	const char *toolbox_volume;
	const char *network; /* main: network name; service: container:ID */
	int64_t pids_limit;
	int64_t cpu_max, memory_max; /* of what says nothing itself; 0 = no bound */
	bool cover;
	bool auto_remove; /* the engine removes it when its process 1 ends */
};
json_t *ex_json_container(const struct ex_container_plan *p);
/* The container that is never started, through which the toolbox volume is filled. */
json_t *ex_json_helper(const struct ex_owner *o, const char *image, const char *toolbox_volume);
json_t *ex_json_network(const struct ex_owner *o, const char *name);

#endif
