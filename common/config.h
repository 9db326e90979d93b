/*
 * config.h - a daemon's YAML configuration, read through one table of keys.
 *
 * The table drives parsing, defaults, limits, --print-config and docs. Unknown keys, wrong types
 * and values out of range are errors as "file:line:col: message", all of them collected, not the
 * first only. Lists of mappings are handed to a callback.
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include "common/err.h"
#include "common/yaml_doc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_TEXT = 1,    /* char *: owned by the struct, config_free() frees */
	CONFIG_INT,         /* int64_t, min..max */
	CONFIG_BOOL,        /* bool */
	CONFIG_DURATION,    /* int64_t ms; text such as 30s, 5m, 1h30m, 250ms */
	CONFIG_SECRET_FILE, /* char *: the named file's content without trailing newline; mode
	                       checked: not readable by others */
	CONFIG_CUSTOM,      /* parse(node, at, err) */
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset; /* of the field in the daemon's struct */
	bool required;
	const char *text_default; /* TEXT; parsed like a written value for INT, BOOL, DURATION */
	int64_t min, max;         /* INT and DURATION (ms); both 0 = no limit */
	int (*parse)(void *at, const struct yaml_node *node, struct err **err); /* CUSTOM */
	void (*free)(void *at); /* CUSTOM, optional */
	const char *help;       /* one sentence; docs/config.md is made of these */
};

/* Reads file into cfg (zeroed by the caller). On error err holds every problem, one per line. */
int config_load(void *cfg, const struct config_key *keys, size_t nkeys, const char *file,
    struct err **err) MUSTCHECK;
void config_free(void *cfg, const struct config_key *keys, size_t nkeys);
/* Markdown table of the keys to stdout (for docs and --help-config). */
void config_print_keys(const struct config_key *keys, size_t nkeys);
/* Reads a small file (<= max bytes) whole; out is NUL-terminated and owned by the caller. */
int config_read_file(
    char **out, size_t *len, const char *path, size_t max, struct err **err) MUSTCHECK;
/* "1h30m", "15s", "250ms" ... (Go's notation) to nanoseconds; ERR_INVALID names what is wrong. */
int config_parse_duration_ns(int64_t *ns, const char *text, struct err **err) MUSTCHECK;

#endif
