/*
 * config.h - executor.yml as a struct. One instance per process, read-only after start.
 */
#ifndef EXECUTOR_CONFIG_H
#define EXECUTOR_CONFIG_H

#include "common/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EX_IMAGE_RULES_MAX 256

struct ex_image_rule {
	char *from, *to;           /* prefixes of normalised references */
	char *username, *password; /* for the registry of `to`; NULL = none */
};
struct ex_image_rules {
	struct ex_image_rule *items;
	size_t n;
};

enum ex_pull { EX_PULL_IF_ABSENT = 1, EX_PULL_ALWAYS, EX_PULL_NEVER };

struct ex_config {
	char *id;
	char *key_file;
	char *runservice;
	char *tls_ca;
	char *tls_server_name;
	char *objects_ca;
	char *http_listen;
	char *engine;
	char *toolbox;
	char *spool_dir;
	char *network;
	int64_t tasks;
	int64_t replicas;
	struct ex_image_rules images;
	enum ex_pull pull;
	bool allow_privileged;
	bool volume_cover;
	int64_t workspace_size_max;
	int64_t workspace_entries_max;
	int64_t log_size_max;
	int64_t pids_limit;
	int64_t pull_timeout_ms;
	int64_t warm_containers;
	int64_t warm_age_ms;
	int64_t warm_free_memory;
};

extern const struct config_key ex_config_keys[];
extern const size_t ex_config_nkeys;
/* Checks beyond single keys. */
int ex_config_check(void *cfg, struct err **err) MUSTCHECK;

#endif
