/*
 * rundef.h - the run definition language: text in, checked model and diagnostics out.
 *
 * Pure: no I/O, no clock. Used by the gateway (intake) and the command line (config check). The
 * language is that of Agola's .agola/config files, a strict superset; every deviation is in
 * docs/run-definition.md. All problems are reported at once, each with position and document path.
 *
 *   text --rundef_parse()--> struct rundef (model, defaults applied) + struct rundef_diags
 *   struct rundef --rundef_print_json(), print.h--> text of the same meaning
 *   struct rundef_run + struct rundef_ref --rundef_when_matches()--> created at all?
 */
#ifndef RUNDEF_RUNDEF_H
#define RUNDEF_RUNDEF_H

#include "common/buf.h"
#include "common/err.h"
#include "common/yaml_doc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUNDEF_SIZE_MAX (1u << 20) /* bytes of text; exactly this many are accepted */
#define RUNDEF_NAME_MAX 100        /* bytes of a run's or task's name */
#define RUNDEF_DIAGS_MAX 200       /* further ones are counted, not kept */

enum rundef_severity { RUNDEF_ERROR = 1, RUNDEF_WARNING };

struct rundef_diag {
	enum rundef_severity severity;
	struct yaml_pos pos;
	char *path;    /* place in the document: runs[0].tasks[1].steps[2].command */
	char *message; /* one sentence, lower case, says what and where to go */
	char *hint;    /* what was probably meant ("working_dir"), or NULL */
};
struct rundef_diags {
	struct rundef_diag *list; /* in source order */
	size_t n, errors, dropped;
};
void rundef_diags_fini(struct rundef_diags *d);
/* "file:line:col: message (did you mean X?) [path]\n" each; warnings are marked "warning: ". */
void rundef_diags_print(struct buf *out, const struct rundef_diags *d, const char *file);

struct rundef_value { /* a literal or the name of a variable */
	char *literal;
	char *variable;
};
struct rundef_env {
	char *name;
	struct rundef_value value;
};
struct rundef_envs {
	struct rundef_env *list;
	size_t n;
};

struct rundef_pair {
	char *name, *value;
};
struct rundef_pairs {
	struct rundef_pair *list;
	size_t n;
};

enum rundef_cond_kind {
	RUNDEF_COND_LITERAL, /* exact equality */
	RUNDEF_COND_REGEX,   /* RE2, unanchored search */
	RUNDEF_COND_GLOB,    /* the whole of a file's path */
};
struct rundef_cond { /* one entry of a clause of when */
	enum rundef_cond_kind kind;
	char *text;     /* without the delimiters of an expression */
	void *compiled; /* unless it is literal */
};
struct rundef_conds {
	bool present;
	struct rundef_cond *include, *exclude;
	size_t ninclude, nexclude;
};
struct rundef_when {
	bool present; /* absent matches always; present and empty never */
	struct rundef_conds branch, tag, ref;
	struct rundef_conds event, paths; /* narrow what the three above let through */
};

struct rundef_auth {
	char *registry, *type; /* basic | encodedauth; default basic */
	struct rundef_value username, password, auth;
};
struct rundef_auths {
	struct rundef_auth *list;
	size_t n;
};

struct rundef_volume {
	char *path;
	uint64_t tmpfs_size; /* bytes; 0 = no limit */
};
struct rundef_container {
	char *image, *user;
	struct rundef_envs environment;
	bool privileged;
	char **entrypoint; /* split on single spaces */
	size_t nentrypoint;
	struct rundef_volume *volumes;
	size_t nvolumes;
	uint64_t cpu_milli; /* thousandths of a processor; 0 = not said */
	uint64_t memory;    /* bytes; 0 = not said */
};

struct rundef_content {
	char *source_dir, *dest_dir;
	char **paths;
	size_t npaths;
};

enum rundef_step_type {
	RUNDEF_CLONE = 1,
	RUNDEF_RUN,
	RUNDEF_SAVE_TO_WORKSPACE,
	RUNDEF_RESTORE_WORKSPACE,
	RUNDEF_SAVE_CACHE,
	RUNDEF_RESTORE_CACHE,
};
enum rundef_run_if { /* how the steps before it ended */
	RUNDEF_IF_SUCCESS,
	RUNDEF_IF_FAILURE,
	RUNDEF_IF_ALWAYS,
};
struct rundef_step {
	enum rundef_step_type type;
	struct yaml_pos pos;
	enum rundef_run_if run_if;
	bool post;          /* of the task's post list: runs also after a timeout or a stop */
	int64_t retries;    /* further attempts after a failure */
	int64_t timeout_ns; /* 0 = none but the task's */
	char *name; /* never NULL: given, or the default of its type (config-and-runs.md 1.17) */
	/* clone */
	int64_t depth; /* 0 = full */
	bool recurse_submodules;
	/* run */
	char *command, *working_dir, *shell, *user; /* "" = the task's */
	struct rundef_envs environment;
	bool tty;
	/* save_*, restore_* */
	struct rundef_content *contents;
	size_t ncontents;
	char *dest_dir;
	char *key;
	char **keys;
	size_t nkeys;
};

struct rundef_depend {
	char *task;
	size_t index;      /* of that task in its run */
	char **conditions; /* never empty: default on_success */
	size_t nconditions;
};

struct rundef_task {
	char *name;
	struct yaml_pos pos;
	unsigned level; /* 0 = no dependencies */
	char *arch;     /* "" = any */
	struct rundef_container *containers;
	size_t ncontainers;
	struct rundef_envs environment;
	char *working_dir, *shell, *user;
	struct rundef_step *steps; /* those of post are the last ones */
	size_t nsteps;
	struct rundef_depend *depends; /* on single tasks: those on a whole matrix are filled in */
	size_t ndepends;
	bool ignore_failure, approval;
	struct rundef_when when;
	struct rundef_auths auths;  /* inherited ones merged in */
	int64_t timeout_ns;         /* inherited; 0 = none */
	int64_t retries;            /* further attempts after a failure */
	struct rundef_pairs labels; /* an executor must have them all */
	char *matrix_name;          /* of the task it was made from, NULL without a matrix */
	struct rundef_pairs matrix; /* its combination */
};
struct rundef_run {
	char *name;
	struct yaml_pos pos;
	struct rundef_when when;
	struct rundef_task *tasks; /* after expansion of matrices */
	size_t ntasks;
	bool cancel_previous; /* a new run of the same group ends an older one */
};
struct rundef {
	bool v1; /* the file says version: v1 */
	struct rundef_run *runs;
	size_t nruns;
};

/* Always fills diags. 0 with *out set when there is no error (warnings may be there); ERR_INVALID
 * otherwise, *out NULL. JSON is read by the same parser. */
int rundef_parse(
    struct rundef **out, struct rundef_diags *diags, const char *text, size_t len) MUSTCHECK;
void rundef_free(struct rundef *d);

struct rundef_ref {
	const char *ref_type;           /* branch | tag | pull_request */
	const char *branch, *tag, *ref; /* "" when not applicable */
	/* What when.event and when.paths look at; where it is not known they hold. */
	const char *event; /* push | tag | pull_request | manual | direct; NULL = not known */
	const char *const *paths; /* files that changed; NULL = not known */
	size_t npaths;
};
bool rundef_when_matches(const struct rundef_when *when, const struct rundef_ref *ref);

/* The fixed script of a clone step (config-and-runs.md 5.7), malloc'ed. */
char *rundef_clone_script(const struct rundef_step *step);

#endif
