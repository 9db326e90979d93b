/*
 * cli.h - the command line: parsed options, blocking API calls, output.
 *
 * One thread, one command per process. Data goes to stdout, everything else to stderr; a command
 * returns its exit status.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CLI_LIST_MAX 1000         /* values of one repeated option */
#define CLI_REPLY_MAX (32u << 20) /* bytes of one API reply; larger ones are an error */
#define CLI_LINE_MAX 16384        /* bytes of a log line that are held back for its end */
#define CLI_COLUMNS_MAX 8         /* of a table */
#define CLI_ANSWER_MAX 1024       /* bytes typed at a question; more is an error */

/* Exit statuses. */
#define CLI_OK 0
#define CLI_FAILED 1  /* the command, or the run that it followed */
#define CLI_UNKNOWN 3 /* the followed run's result is not known: the gateway was lost */
#define CLI_INTERRUPTED 130

enum cli_opt_kind { CLI_TEXT = 1, CLI_FLAG, CLI_LIST };
struct cli_opt {
	const char *name; /* without "--"; NULL ends a table */
	char letter;      /* short form or 0 */
	enum cli_opt_kind kind;
	bool required;
	const char *preset; /* NULL = none; flags: "true" or "false" */
	const char *help;
};

struct cli;
struct cli_command {
	const char *words[3]; /* "user", "token", "create" */
	const char *args;     /* positional ones in the usage line: "[FILE]" */
	size_t min_args, max_args;
	const struct cli_opt *opts;  /* or NULL */
	int (*run)(struct cli *c);   /* exit status */
	const struct cli_rest *rest; /* what cli_rest_run() does (rest.h), or NULL */
	bool offline; /* no profile is applied: it asks no gateway, or picks itself */
	const char *summary, *example;
};

struct cli_value {
	const struct cli_opt *opt;
	const char **list;
	size_t n;
};
struct cli {
	const struct cli_command *command;
	const char *url, *token;
	bool url_given, token_given; /* by an option or the environment */
	bool json, debug;
	bool agola;       /* called by that name: lists look as Agola prints them */
	json_t *profiles; /* url and token may point into it */
	const char **args;
	size_t nargs;
	struct cli_value *values;
	size_t nvalues;
	struct cli_api *api;
};

/* --- commands (commands.c) --- */

/* The i-th command, those with the same first words together; NULL past the last. */
const struct cli_command *cli_command_at(size_t i);
/* "run list" into name. */
#define CLI_NAME_MAX 64
void cli_command_name(char name[CLI_NAME_MAX], const struct cli_command *command);
/* What to use instead of a command that only agola has, or NULL. */
const char *cli_command_elsewhere(const char *word);
size_t cli_command_words(const struct cli_command *command);
/* The command whose words these begin with, or NULL. */
const struct cli_command *cli_command_find(const char *const *words, size_t n);

/* --- completion (complete.c) --- */

/* The hidden command that the shells' scripts call. */
#define CLI_COMPLETE "__complete"
/* words: what was typed after the program's name; the last one, perhaps empty, is being typed.
 * Prints what it may become, a line each: word, tab, explanation. Nothing: a file, or a word of the
 * user's own. */
void cli_complete(FILE *out, const char *const *words, size_t n);

/* --- options (opt.c) --- */

extern const struct cli_opt cli_global_opts[];
/* Fills c from argv (which must live as long); unknown or missing options are an error that names
 * them. *help is set when --help was given; nothing is checked then. */
int cli_opt_parse(struct cli *c, const struct cli_command *command, int argc, char **argv,
    bool *help, struct err **err) MUSTCHECK;
void cli_opt_fini(struct cli *c);
const char *cli_get(const struct cli *c, const char *name); /* NULL when not given, no preset */
bool cli_flag(const struct cli *c, const char *name);
enum cli_opt_kind cli_opt_kind_of(const struct cli *c, const char *name);
bool cli_given(const struct cli *c, const char *name);
const char *const *cli_list(const struct cli *c, const char *name, size_t *n);
/* ERR_INVALID for what must not stand in a header. */
int cli_token_check(const char *token, struct err **err) MUSTCHECK;
void cli_usage(FILE *out, const struct cli_command *k);
/* A run number and the like: decimal, at least min. */
int cli_number(
    uint64_t *out, const char *text, uint64_t min, const char *what, struct err **err) MUSTCHECK;

/* --- API (api.c) --- */

/* path follows /api/v1alpha. body may be NULL and is not consumed. *out (may be NULL) is the
 * reply's JSON or NULL when it had no body. Statuses other than 2xx become errors that say what to
 * do. */
int cli_api_call(struct cli *c, const char *method, const char *path, const json_t *body,
    json_t **out, struct err **err) MUSTCHECK;
/* All pages of a list, at most limit entries (0 = all). path may hold a query. */
int cli_api_list(
    struct cli *c, const char *path, size_t limit, json_t **out, struct err **err) MUSTCHECK;
/* The same for lists that are a member of each page's answer. */
int cli_api_list_of(struct cli *c, const char *path, const char *member, size_t limit, json_t **out,
    struct err **err) MUSTCHECK;
/* Sends bytes as they are; the answer may take long. */
int cli_api_send(struct cli *c, const char *method, const char *path, const void *body, size_t len,
    json_t **out, struct err **err) MUSTCHECK;
char *cli_api_escape(const char *segment); /* one path segment or query value */
void cli_api_free(struct cli_api *api);
/* fn is called from inside cli_streams_wait(), which it ends. */
void cli_on_signal(struct cli *c, int signum, void (*fn)(int signum, void *arg), void *arg);

/* Streams that run at the same time. Callbacks come from cli_streams_wait() only; the stream is
 * gone when on_end returns. status 0: no answer; error NULL: the body was complete. */
struct cli_streams;
struct cli_stream;
struct cli_stream_ops {
	void (*on_data)(void *arg, const char *p, size_t n);
	void (*on_end)(void *arg, long status, const char *error);
};
struct cli_streams *cli_streams_new(struct cli *c);
void cli_streams_free(struct cli_streams *s); /* without on_end for those still open */
struct cli_stream *cli_stream_open(
    struct cli_streams *s, const char *path, const struct cli_stream_ops *ops, void *arg);
/* Waits until something arrived, a stream ended, a signal of cli_on_signal() came or the time is
 * over. */
void cli_streams_wait(struct cli_streams *s, int timeout_ms);

/* --- output (out.c, lines.c) --- */

struct cli_table {
	size_t columns;
	char **cells;
	size_t n; /* cells, row by row */
};
/* Cells are columns strings; NULL reads as "". Control characters are shown as '?'. */
void cli_table_add(struct cli_table *t, const char *const *cells);
/* Columns aligned by characters, two spaces between, no blanks at line ends. */
void cli_table_print(const struct cli_table *t, struct buf *out);
void cli_table_fini(struct cli_table *t);
int cli_print_json(const json_t *j); /* indented, to stdout; exit status */
int cli_fail(struct err *err);       /* "millrace: message" on stderr; 1 */
int cli_fail_hint(struct err *err, const char *hint);
/* Control characters replaced, for names that come from elsewhere. */
char *cli_clean(const char *s);

/* Splits a byte stream into lines without holding more than CLI_LINE_MAX of one back. */
struct cli_lines {
	struct buf rest;
	bool open; /* the last piece did not end its line */
	void (*on_line)(void *arg, const char *p, size_t n, bool begins, bool ends);
	void *arg;
};
/* Pieces come without their newline; a line longer than CLI_LINE_MAX comes in several. */
void cli_lines_feed(struct cli_lines *l, const char *p, size_t n);
void cli_lines_flush(struct cli_lines *l); /* what is held back, without ending the line */
void cli_lines_end(struct cli_lines *l);   /* an unfinished line comes as if it had ended */
void cli_lines_fini(struct cli_lines *l);

/* --- pieces of commands --- */

struct cli_snapshot {
	char *repo_uuid, *commit, *ref; /* ref: the local one that holds the commit */
	char *top;                      /* of the work tree */
};
/* Commits the work tree of the current directory without touching its index or branches. */
int cli_gitsave(struct cli_snapshot *out, bool untracked, bool ignored, const char *message,
    struct err **err) MUSTCHECK;
int cli_gitsave_push(
    const struct cli_snapshot *s, const char *url, const char *ref, struct err **err) MUSTCHECK;
void cli_snapshot_fini(struct cli_snapshot *s);

/* Path of an owner's runs: "/users/<u>/runs" or "/projects/<p>/runs"; default the own user. */
int cli_runs_path(struct cli *c, char **out, struct err **err) MUSTCHECK;
#define CLI_OWNER_OPTS                                                                             \
	{ "username", 0, CLI_TEXT, false, NULL, "direct runs of this user (default: yourself)" },  \
	{                                                                                          \
		"project", 0, CLI_TEXT, false, NULL, "runs of this project"                        \
	}
/* Path of the run that the first argument names; the run too. */
int cli_run_path(struct cli *c, char **out, struct err **err) MUSTCHECK;
int cli_run_get(struct cli *c, char **path, json_t **run, struct err **err) MUSTCHECK;
struct cli_row {
	int64_t level;
	const char *name, *id; /* borrowed from the run */
	const json_t *summary;
};
/* A run's tasks by level, then name; malloc'ed. */
struct cli_row *cli_task_rows(const json_t *run, size_t *n);
/* A list of runs as agola prints it (agola.c); exit status. */
int cli_agola_runs(struct cli *c, const char *runs_path, const json_t *list);
/* One line, typed without echo or read from standard input; malloc'ed, to be wiped. */
int cli_password_read(char **out, const char *prompt, struct err **err) MUSTCHECK;
int cli_line_read(char **out, const char *prompt, const char *what, struct err **err) MUSTCHECK;
/* Milliseconds of the monotonic clock. */
int64_t cli_now_ms(void);
/* Copies one log to out from its first byte; a lost connection is resumed where it broke. path has
 * a query. ERR_NOTFOUND when there is no such log. */
int cli_log_copy(struct cli *c, const char *path, FILE *out, struct err **err) MUSTCHECK;
/* Logs and state changes of these runs until all are final; exit status 0 when all succeeded. */
int cli_follow(struct cli *c, const char *runs_path, const uint64_t *numbers, size_t n);
/* Task id by id or name. */
int cli_task_find(const json_t *run, const char *name, const char **id, struct err **err) MUSTCHECK;
/* What holds setup_step and steps of a task's attempt (from 1): the task itself for its newest one.
 * NULL when it has had no such attempt. */
const json_t *cli_task_attempt(const json_t *task, int64_t attempt);

/* --- commands --- */

extern const struct cli_command cli_directrun_start, cli_run_list, cli_run_show, cli_run_log,
    cli_run_stop, cli_run_cancel, cli_run_restart, cli_run_approve, cli_run_follow, cli_log_get,
    cli_log_delete, cli_config_check, cli_config_show, cli_config_schema, cli_completion,
    cli_version, cli_man;
/* Each ends with one without words. */
extern const struct cli_command cli_user_commands[], cli_linkedaccount_commands[],
    cli_org_commands[], cli_project_commands[], cli_project_scope_commands[],
    cli_projectgroup_commands[], cli_projectgroup_scope_commands[], cli_remotesource_commands[],
    cli_run_more_commands[], cli_login_commands[], cli_admin_commands[];

#endif
