/*
 * run.h - what a run and its tasks may do next. Decides; performs nothing.
 *
 * A run is a graph of tasks. This module holds the transition rules as one table: no SQL, no RPC,
 * no clock (callers pass now_ms). rs_run_apply() applies one event whole, or refuses it with
 * ERR_CONFLICT and changes nothing; then it follows the graph until nothing more changes. What the
 * world has to be told is left in run->effects, for actor.c to store in the same transaction.
 *
 *   QUEUED --start--> RUNNING --every task final and no attempt held--> FINISHED
 *      +---cancel--> CANCELLED
 *
 * A task has a status (what people see) and a place (where its current attempt is):
 *
 *   notstarted/FREE --assign--> notstarted/OFFERED --accept--> notstarted/HELD --> running/HELD
 *        ^---------- expire --------+                                      +--> final/FREE
 *        ^---------- lapse (not begun) ------------+---------------+
 *        ^---------- again (failed or lost, attempts are left) ----+
 *
 * An attempt of a task, as people count them, is a try here: it goes from fresh containers to an
 * outcome. A failure with retries left begins the next try: what became of the one before moves to
 * task->past. Within one try a task may be handed out more than once (expire, lapse); each time is
 * an attempt by the executors' protocol and has a fence of its own.
 *
 * Invariants, explored by tests/prop/prop_run.c (rs_run_check()): final states have no way out; a
 * task is never placed before all its parents are final and its conditions hold; a final task has
 * no attempt; fences only grow; a task has at most 1 + retries tries.
 */
#ifndef RUNSERVICE_RUN_H
#define RUNSERVICE_RUN_H

#include "common/err.h"
#include "common/id.h"
#include "runservice/graph.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rs_phase {
	RS_SETUPERROR = 1,
	RS_QUEUED,
	RS_RUN_CANCELLED,
	RS_RUN_RUNNING,
	RS_FINISHED,
};
enum rs_result {
	RS_RESULT_UNKNOWN = 1,
	RS_RESULT_STOPPED,
	RS_RESULT_SUCCESS,
	RS_RESULT_FAILED,
};
/* Of a task, and of a step (which is never skipped). */
enum rs_status {
	RS_NOTSTARTED = 1,
	RS_SKIPPED,
	RS_CANCELLED,
	RS_RUNNING,
	RS_STOPPED,
	RS_SUCCESS,
	RS_FAILED,
};
enum rs_place {
	RS_FREE = 1, /* no attempt, or a closed one */
	RS_OFFERED,  /* an executor was chosen; it may still be withdrawn */
	RS_HELD,     /* an executor has it and its lease runs */
};

/* Words of the REST API; *_parse return 0 for an unknown word. */
const char *rs_phase_name(enum rs_phase p);
const char *rs_result_name(enum rs_result r);
const char *rs_status_name(enum rs_status s);
const char *rs_place_name(enum rs_place p);
enum rs_phase rs_phase_parse(const char *s);
enum rs_result rs_result_parse(const char *s);
enum rs_status rs_status_parse(const char *s);
enum rs_place rs_place_parse(const char *s);
bool rs_status_final(enum rs_status s);

#define RS_ON_SUCCESS 1u
#define RS_ON_FAILURE 2u
#define RS_ON_SKIPPED 4u
/* 0 for an unknown word. */
unsigned rs_condition_parse(const char *s);

struct rs_dep {
	size_t parent; /* index in run->tasks */
	unsigned conditions;
};

struct rs_step {
	enum rs_status phase;
	bool has_exit, log_stored;
	int32_t exit_status;
	int64_t start_ms, end_ms; /* 0 = not yet */
	char *error;
	bool changed; /* to be stored */
};

/* A try that failed and was followed by another one. */
struct rs_try {
	struct rs_step setup, *steps; /* as many as its task has */
	char *executor;
	bool timedout;
	int64_t start_ms, end_ms;
	bool changed; /* to be stored */
};
#define RS_RETRIES_MAX 10

struct rs_task {
	char id[ID_LEN + 1];
	char *name;
	unsigned level;
	enum rs_status status;
	enum rs_place place;
	uint64_t fence;     /* of the newest attempt; 0 = never offered */
	char *executor;     /* of the newest attempt, or NULL */
	bool begun, marked; /* the newest attempt's; marked: to be stored */
	uint64_t reported;  /* newest revision of its reports */
	bool skip, ignore_failure, needs_approval;
	bool approved, waiting_approval, timedout, stop_told;
	char **approvers;
	size_t napprovers;
	char *arch;   /* "" = any */
	char *labels; /* that an executor must have, see labels.h; "" = none */
	bool privileged;
	int64_t timeout_ms, start_ms, end_ms;
	struct rs_dep *deps;
	size_t ndeps;
	struct rs_step setup, *steps; /* of the present try, as are the times and timedout */
	size_t nsteps;
	unsigned retries;    /* tries that may follow the first */
	unsigned tries;      /* that failed and were followed by another one */
	struct rs_try *past; /* these, oldest first */
	bool changed;        /* to be stored */
};

/* What has to follow an applied rule. */
#define RS_FX_EVENT 0x001u     /* phase or result changed: tell the consumers of run events */
#define RS_FX_NEXT 0x002u      /* the group is free for its next run */
#define RS_FX_START 0x004u     /* remember when it started */
#define RS_FX_END 0x008u       /* remember when it ended */
#define RS_FX_FENCE 0x010u     /* a new fencing number: older attempts are void */
#define RS_FX_OFFER 0x020u     /* open an attempt and offer it */
#define RS_FX_LEASE 0x040u     /* the attempt's lease starts */
#define RS_FX_CLOSE 0x080u     /* the attempt is over */
#define RS_FX_TELL_STOP 0x100u /* the executor has to stop it */
#define RS_FX_WAIT 0x200u      /* waits for an approval */
#define RS_FX_APPROVE 0x400u   /* approved */
#define RS_FX_STOPPING 0x800u  /* the run's stop flag */
#define RS_FX_LOSE 0x1000u     /* steps that run are failed, the reason is written on them */
#define RS_FX_RESET 0x2000u    /* as if this try had never begun: steps, times, logs */
#define RS_FX_RETRY 0x4000u    /* the try is over and kept as it was, the next one waits */

struct rs_effect {
	enum rs_phase phase; /* RS_FX_EVENT: what the run was then */
	enum rs_result result;
	unsigned fx;
	size_t task;    /* RS_NO_TASK: of the run */
	uint64_t fence; /* the attempt an RS_FX_CLOSE, _OFFER, _LEASE or _TELL_STOP is about */
	enum rs_status outcome; /* of that attempt, for RS_FX_CLOSE; notstarted: as if never made */
};
#define RS_NO_TASK SIZE_MAX

enum rs_scope { RS_SCOPE_RUN = 1, RS_SCOPE_RESULT, RS_SCOPE_TASK };

enum rs_event {
	/* asked for, of the run */
	RS_EV_START = 1,
	RS_EV_CANCEL,
	RS_EV_STOP,
	/* asked for or reported, of a task */
	RS_EV_APPROVE,
	RS_EV_ASSIGN,
	RS_EV_EXPIRE,
	RS_EV_ACCEPT,
	RS_EV_REPORT_RUNNING,
	RS_EV_REPORT_STOPPED,
	RS_EV_REPORT_SUCCESS,
	RS_EV_REPORT_FAILED,
	RS_EV_REPORT_CANCELLED,
	RS_EV_LOST,  /* it may have had effects */
	RS_EV_LAPSE, /* lost before it began: it is handed out again */
	RS_EV_UNFIT, /* it cannot be run, and no further try would heal that */
	/* follow from the graph; never applied from outside */
	RS_EV_TASK_FAILED,
	RS_EV_ALL_FINAL,
	RS_EV_STOP_SEEN,
	RS_EV_SETTLED,
	RS_EV_SKIP,
	RS_EV_DROP,
	RS_EV_WAIT,
	RS_EV_TELL_STOP,
	RS_EV_GIVE_UP,    /* stopped between two tries */
	RS_EV_AGAIN,      /* a failure that was reported, and tries are left */
	RS_EV_AGAIN_LOST, /* the same of a lost attempt */
};

struct rs_rule {
	enum rs_scope scope;
	int from;            /* rs_phase, rs_result or rs_status by scope */
	enum rs_place place; /* TASK only */
	enum rs_event event;
	int to;
	enum rs_place to_place; /* TASK only */
	unsigned fx;
};
extern const struct rs_rule rs_run_rules[];
extern const size_t rs_run_nrules;

struct rs_run {
	char id[ID_LEN + 1];
	char *owner, *name, *group;
	uint64_t number, sequence, revision;
	enum rs_phase phase;
	enum rs_result result;
	bool stop;
	int64_t enqueue_ms, start_ms, end_ms;
	struct rs_task *tasks;
	size_t ntasks;
	bool changed;

	const struct rs_rule *rules; /* rs_run_rules but in tests */
	size_t nrules;
	struct rs_effect *effects; /* in the order they arose */
	size_t neffects;
};

/* Zeroes *run and gives it the rules. */
void rs_run_init(struct rs_run *run);
void rs_run_fini(struct rs_run *run);
/* Appends a task (notstarted, or skipped when skip) and returns it; valid until the next add. */
struct rs_task *rs_run_add_task(
    struct rs_run *run, const char *id, const char *name, size_t nsteps, bool skip);
void rs_run_add_dep(struct rs_run *run, size_t task, size_t parent, unsigned conditions);
/* Appends a past try of which nothing is known yet (for who loads runs). */
struct rs_try *rs_run_add_try(struct rs_task *t);
/* RS_NO_TASK when there is none. */
size_t rs_run_find_task(const struct rs_run *run, const char *id);

/* Applies one event. task is RS_NO_TASK for events of the run. reason is written on lost steps
 * (RS_EV_LOST, RS_EV_UNFIT), else NULL. ERR_CONFLICT: refused, nothing changed. */
int rs_run_apply(struct rs_run *run, enum rs_event event, size_t task, int64_t now_ms,
    const char *reason, struct err **err) MUSTCHECK;
/* One pass over result, phase and tasks (config-and-runs.md 4.4 A to C); true when something
 * changed. rs_run_apply() repeats it until nothing does. */
bool rs_run_pass(struct rs_run *run, int64_t now_ms);
/* Part C of a pass alone. */
bool rs_run_pass_tasks(struct rs_run *run, int64_t now_ms);
/* May be given to an executor now. */
bool rs_run_task_ready(const struct rs_run *run, size_t task);
/* Every parent final; *match: and every condition met. */
bool rs_run_parents_final(const struct rs_run *run, size_t task, bool *match);
bool rs_run_has_held(const struct rs_run *run);
/* A failure of the task now would be followed by another try. */
bool rs_run_may_retry(const struct rs_run *run, size_t task);
/* How many tries may follow the present one. */
unsigned rs_run_tries_left(const struct rs_task *t);

/* Restart rules (4.7). */
bool rs_run_can_restart(const struct rs_run *run, bool from_failed);
/* recreate[i]: task i starts anew; the others keep id and state. */
void rs_run_restart_plan(bool *recreate, const struct rs_run *run, bool from_failed);

/* Ancestors of a task (holds ntasks). */
void rs_run_ancestors(bool *out, const struct rs_run *run, size_t task);
/* Broken invariant as text (borrowed), or NULL. For tests. */
const char *rs_run_check(const struct rs_run *run);

#endif
