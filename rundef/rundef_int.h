/*
 * rundef_int.h - inside rundef/: the reader, its field tables and the source model.
 *
 * A table row says how one key of one kind of mapping is read. fields.c walks a document along
 * these tables; everything that can be said in a row (kind, default, allowed words, requirement) is
 * said there, so that a schema and the reference documentation can be generated from the same rows.
 *
 *   document --fields.c + tables.c, matrix.c--> struct src_top --graph.c, defaults.c--> struct
 * rundef tables.c, step.c, when.c --schema.c--> JSON Schema
 *
 * The source model keeps what the final model drops: positions, indexes, entries that were wrong.
 */
#ifndef RUNDEF_RUNDEF_INT_H
#define RUNDEF_RUNDEF_INT_H

#include "rundef.h"

#define RUNDEF_MODEL_MAX (64u << 20) /* bytes of the model: aliases can multiply a small text */
/* What the runservice and the executors take at most. */
#define RUNDEF_RUNS_MAX 1000      /* of one file */
#define RUNDEF_TASKS_MAX 10000    /* of one run */
#define RUNDEF_STEPS_MAX 1000     /* of one task, with those of post */
#define RUNDEF_CONTAINERS_MAX 64  /* of one task */
#define RUNDEF_CACHE_KEYS_MAX 100 /* of one restore_cache */
#define RUNDEF_LABELS_MAX 1023    /* bytes of the labels of one task, with a byte more for each */
#define RUNDEF_MESSAGE_MAX 600    /* bytes of one message, the rest is cut */
#define RUNDEF_RETRIES_MAX 10
#define RUNDEF_CPU_MIN 10            /* thousandths; the kernel knows no smaller share */
#define RUNDEF_CPU_MAX 1000000       /* thousandths of a processor */
#define RUNDEF_MEMORY_MIN (6u << 20) /* bytes: an engine starts no container in less */
#define RUNDEF_MATRIX_AXES_MAX 10
#define RUNDEF_MATRIX_MAX 256 /* combinations of one task */

/* --- the reader: diagnostics with their place, and the memory budget --- */

/* One combination of a task's matrix. */
struct rundef_combo {
	struct rundef_pairs pairs;
	char *label; /* "1.21, bookworm" */
};

struct rd {
	struct rundef_diags *diags;
	struct buf path;    /* where we are */
	char *run, *task;   /* names for messages, NULL outside of one */
	size_t budget;      /* bytes of model still allowed */
	bool exhausted;     /* reported once; everything further reads as empty */
	bool strict_text;   /* inside a mapping whose scalars are not coerced */
	size_t steps_index; /* of the step being read */
	size_t refused;     /* errors met, those said before included */
	bool v1;            /* the file says version: v1 */
	bool post;          /* inside a task's post list */
	bool repeat;        /* a mapping that was read before: what was said is not said again */
	const struct rundef_combo *combo; /* what ${{ matrix.NAME }} stands for, or NULL */
};
void rundef_rd_init(struct rd *r, struct rundef_diags *diags);
void rundef_rd_fini(struct rd *r);

void rundef_error(struct rd *r, struct yaml_pos pos, const char *fmt, ...) PRINTF(3, 4);
void rundef_warn(struct rd *r, struct yaml_pos pos, const char *fmt, ...) PRINTF(3, 4);
/* hint may be NULL: what was probably meant. */
void rundef_report(struct rd *r, enum rundef_severity severity, struct yaml_pos pos,
    const char *hint, const char *fmt, ...) PRINTF(5, 6);
/* Source order; to be called once at the end. */
/* No room: a further warning is only counted. */
bool rundef_diags_full(const struct rundef_diags *d);
void rundef_diags_sort(struct rundef_diags *d);
/* The word nearest to given, NULL when none is near. words ends with NULL. */
const char *rundef_nearest(const char *given, const char *const *words);

/* Extend the path; the result is for rundef_leave(). */
size_t rundef_enter_key(struct rd *r, const char *key);
size_t rundef_enter_index(struct rd *r, size_t index);
void rundef_leave(struct rd *r, size_t mark);

/* False, after one error, when the model would become too large. */
bool rundef_charge(struct rd *r, struct yaml_pos pos, size_t bytes);
/* Zeroed array; n may be 0 (NULL). NULL as well when the budget is used up. */
void *rundef_array(struct rd *r, struct yaml_pos pos, size_t n, size_t size);
/* Copy of a scalar's text, the matrix filled in; NULL after an error. */
char *rundef_dup(struct rd *r, const struct yaml_node *n);
char *rundef_dup_text(struct rd *r, struct yaml_pos pos, const char *s);

/* --- tables --- */

enum rd_kind {
	RD_TEXT = 1,
	RD_BOOL,
	RD_INTEGER,
	RD_DURATION, /* struct src_duration */
	RD_TEXTS,    /* char ** and size_t */
	RD_OBJECT,   /* nested in place */
	RD_OBJECTS,  /* array and size_t */
	RD_CUSTOM,   /* read() */
	RD_NOTED,    /* known, read elsewhere or without effect */
};

struct rd_object;
struct rd_field {
	const char *name;
	enum rd_kind kind;
	size_t at;           /* offset of the value in its struct */
	size_t count_at;     /* RD_TEXTS, RD_OBJECTS: offset of the count */
	bool v1;             /* only under version: v1, an unknown key otherwise */
	bool required;       /* present, not null, not empty */
	const char *missing; /* message when a required one is not given; NULL: a general one */
	const char *preset;  /* text put where none was given, NULL = none */
	const char *const *words; /* RD_TEXT: the allowed ones, NULL = any */
	bool words_warn;          /* another word is a warning only */
	const char *words_what;   /* "arch" in "invalid arch" */
	int64_t min, max;         /* RD_INTEGER; both 0 = any. RD_TEXTS, RD_OBJECTS: max entries */
	const struct rd_object *object;
	const char *shape; /* RD_CUSTOM, RD_NOTED: a definition of schema.c; NULL: by words */
	void (*read)(struct rd *r, const struct yaml_node *n, void *at);
	const char *doc; /* one line for people */
};
struct rd_object {
	const char *noun;              /* "task" in messages */
	const struct rd_field *fields; /* ends with name NULL */
	size_t size;
	bool strict_text; /* scalars of another type are not coerced to text (custom decoders) */
	void (*enter)(struct rd *r, const struct yaml_node *map, void *obj); /* before its fields */
	void (*check)(struct rd *r, const struct yaml_node *map, void *obj); /* after them */
	void (*leave)(struct rd *r);
};
/* In one row of a table less than this. */
#define RD_FIELDS_MAX 32
/* The row for a key, exact before ASCII case-insensitive; NULL when there is none. */
const struct rd_field *rundef_field_find(const struct rd_object *type, const char *key);
/* Warns of a key that nothing reads; where: "beside from_variable". */
void rundef_warn_unknown(struct rd *r, const struct yaml_node *key, const char *where);
/* Warns of a key that is given twice and of one that stands before a "<<" which brings it too. */
void rundef_warn_keys(struct rd *r, const struct yaml_node *map);

/* n is known to be present and not null. skip: a key that the caller consumed, or NULL. */
void rundef_read_object(struct rd *r, const struct rd_object *type, const struct yaml_node *n,
    void *obj, const char *skip);
/* Text after the coercions of the language; NULL after an error. */
char *rundef_read_text(struct rd *r, const struct yaml_node *n, bool strict);
/* Key of a mapping as text, coerced the way values are. */
char *rundef_key_text(struct rd *r, const struct yaml_node *key);
bool rundef_read_texts(struct rd *r, const struct yaml_node *n, bool strict, const char *noun,
    char ***list, size_t *count);
/* Shortest decimal text of a number as the language prints it. */
char *rundef_number_text(const struct yaml_node *n);

/* --- values of their own --- */

struct src_duration {
	bool present;
	int64_t ns;
};
/* Both: 0, or ERR_INVALID with a message without position. */
int rundef_duration_parse(int64_t *ns, const char *text, struct err **err) MUSTCHECK;
int rundef_quantity_parse(uint64_t *bytes, const char *text, struct err **err) MUSTCHECK;
/* Processors in thousandths: 2, 1.5, 500m. */
int rundef_cpu_parse(uint64_t *milli, const char *text, struct err **err) MUSTCHECK;
void rundef_read_duration(struct rd *r, const struct yaml_node *n, void *at);
void rundef_read_timeout(struct rd *r, const struct yaml_node *n, void *at); /* needs a unit */
void rundef_read_quantity(struct rd *r, const struct yaml_node *n, void *at);
void rundef_read_memory(struct rd *r, const struct yaml_node *n, void *at);
void rundef_read_cpu(struct rd *r, const struct yaml_node *n, void *at);
void rundef_read_labels(struct rd *r, const struct yaml_node *n, void *at);  /* rundef_pairs */
void rundef_read_value(struct rd *r, const struct yaml_node *n, void *at);   /* rundef_value */
void rundef_read_envs(struct rd *r, const struct yaml_node *n, void *at);    /* rundef_envs */
void rundef_read_auths(struct rd *r, const struct yaml_node *n, void *at);   /* rundef_auths */
void rundef_read_when(struct rd *r, const struct yaml_node *n, void *at);    /* rundef_when */
void rundef_read_depends(struct rd *r, const struct yaml_node *n, void *at); /* src_depends */
void rundef_read_steps(struct rd *r, const struct yaml_node *n, void *at);   /* src_steps */
void rundef_read_post(struct rd *r, const struct yaml_node *n, void *at);    /* src_steps */
void rundef_read_tasks(struct rd *r, const struct yaml_node *n, void *at);   /* src_tasks */

/* --- source model --- */

struct src_depend {
	struct rundef_depend d; /* d.task NULL: the entry was wrong and is reported */
	struct yaml_pos pos;
	size_t index; /* in the document: those on one matrix share it */
};
struct src_depends {
	struct src_depend *list;
	size_t n;
};
struct src_steps {
	struct rundef_step *list; /* type 0: the entry was wrong and is reported */
	size_t n;
};
struct src_runtime {
	char *type, *arch;
	struct rundef_container *containers;
	size_t ncontainers;
	struct rundef_pairs labels;
};
struct src_task {
	struct yaml_pos pos, name_pos; /* line 0: a null entry; no name */
	size_t index;                  /* in the document: tasks of one matrix share it */
	char *matrix_name;             /* its name as written when it is of a matrix, else NULL */
	struct rundef_pairs matrix;
	char *name, *working_dir, *shell, *user;
	bool has_runtime;
	struct src_runtime runtime;
	struct rundef_envs environment;
	struct src_steps steps, post;
	struct src_depends depends;
	bool ignore_failure, approval;
	struct rundef_when when;
	struct rundef_auths auths;
	struct src_duration timeout, own_timeout;
	int64_t retries;
	unsigned level;
};
struct src_tasks {
	struct src_task *list;
	size_t n, cap;
};
struct src_run {
	struct yaml_pos pos, name_pos; /* line 0: a null entry; no name */
	char *name;
	struct src_tasks tasks;
	bool cancel_previous;
	struct rundef_when when;
	struct rundef_auths auths;
	struct src_duration timeout;
};
struct src_top {
	struct src_run *runs;
	size_t nruns;
	struct rundef_auths auths;
	struct src_duration timeout;
};
extern const struct rd_object rundef_top_object;
extern const struct rd_object rundef_auth_object;
extern const struct rd_object rundef_task_object;
/* Words of conditions and of events, each list ending with NULL. */
extern const char *const rundef_condition_words[], *const rundef_event_words[];
/* The i-th key of when, NULL past the last. */
const char *rundef_when_clause(size_t i, bool *v1);
/* The i-th kind of step, NULL past the last. */
const struct rd_object *rundef_step_object(size_t i, const char **word);
const struct rd_object *rundef_content_object(void);
void rundef_src_fini(struct src_top *top);

/* --- matrices (matrix.c) --- */

/* text with ${{ matrix.NAME }} filled in, malloc'ed; NULL after an error. */
char *rundef_fill_in(struct rd *r, struct yaml_pos pos, const char *text);
/* Name and environment of a task that was read with r->combo. */
void rundef_combo_apply(struct rd *r, const struct yaml_node *map, struct src_task *t);
/* Dependencies on a whole matrix become dependencies on each of its tasks. */
void rundef_matrix_depends(struct rd *r, struct src_top *top);

/* --- names (names.c) --- */

struct rundef_name {
	const char *text;
	size_t index;
};
/* Sorted by text, then by index; what has no name is left out. */
struct rundef_names {
	struct rundef_name *list;
	size_t n;
};
void rundef_names_init(struct rundef_names *s, size_t most);
void rundef_names_add(struct rundef_names *s, const char *text, size_t index);
void rundef_names_sort(struct rundef_names *s);
/* Place in the list of the first one with this name, n when there is none. */
size_t rundef_names_find(const struct rundef_names *s, const char *text);
void rundef_names_fini(struct rundef_names *s);

/* Path and names of a task for messages; to be left by rundef_leave_task(). */
void rundef_enter_task(struct rd *r, const struct src_top *top, size_t irun, size_t itask);
void rundef_leave_task(struct rd *r);

/* Unique names of runs, and of tasks within their run. */
void rundef_names_check(struct rd *r, const struct src_top *top);
/* Dependencies: existence, cycles, redundant and duplicate edges; fills level. */
void rundef_graph_check(struct rd *r, struct src_top *top);
/* Moves everything into the final model; only when there was no error. */
struct rundef *rundef_finish(struct rd *r, struct src_top *top);

void rundef_envs_fini(struct rundef_envs *e);
void rundef_auths_fini(struct rundef_auths *a);
void rundef_when_fini(struct rundef_when *w);
void rundef_step_fini(struct rundef_step *s);
void rundef_depend_fini(struct rundef_depend *d);
void rundef_container_fini(struct rundef_container *c);
void rundef_pairs_fini(struct rundef_pairs *p);
void rundef_texts_free(char **list, size_t n);

#endif
