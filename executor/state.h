/*
 * state.h - how one attempt of a task stands: what is spooled and reported. Pure.
 *
 * Holds ids, positions and outcomes; never a value of an environment or a secret.
 */
#ifndef EXECUTOR_STATE_H
#define EXECUTOR_STATE_H

#include "common/err.h"
#include "common/id.h"

#include "executor.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

#define EX_STEPS_MAX 10000
#define EX_CONTAINERS_MAX 64

enum ex_phase {
	EX_NOTSTARTED = 1,
	EX_RUNNING,
	EX_SUCCESS,
	EX_FAILED,
	EX_STOPPED,
	EX_CANCELLED,
};
const char *ex_phase_word(enum ex_phase p);
bool ex_phase_final(enum ex_phase p);

struct ex_step_state {
	enum ex_phase phase;
	bool has_exit;
	int32_t exit_status;
	int64_t start_ms, end_ms; /* Unix ms, 0 = unset */
	bool log_stored;
	char *error; /* masked; NULL = none */
};

struct ex_state {
	char *run_id, *task_id;
	uint64_t fence, revision;
	enum ex_phase status;
	bool timedout;
	bool begun;      /* task.begin was acknowledged */
	bool setup_done; /* containers run and the working directory exists */
	int64_t start_ms, end_ms;
	int64_t steps_start_ms;   /* when the timeout's clock started */
	uint32_t epochs;          /* attach epochs below this one may have been used */
	bool stop;                /* it is being stopped */
	int cut;                  /* by the stop or the timeout, see order.h */
	int64_t cut_ms;           /* when that was first; 0 = not yet */
	uint32_t attempt;         /* of the current step, as the toolbox counts */
	uint32_t tries;           /* of the current step that have failed */
	int64_t try_ms;           /* when the one under way began */
	uint32_t archives;        /* restore: archives of the current step already unpacked */
	char archive[ID_LEN + 1]; /* restore_cache: the archive that was chosen, or "" */
	char *containers[EX_CONTAINERS_MAX];
	unsigned ncontainers;
	unsigned nsteps;
	struct ex_step_state setup, *steps;
};

struct ex_state *ex_state_new(
    const char *run_id, const char *task_id, uint64_t fence, unsigned nsteps);
void ex_state_free(struct ex_state *s); /* NULL allowed */
/* step -1 = setup. */
struct ex_step_state *ex_state_step(struct ex_state *s, int step);

/* JSON text, malloc'ed. */
char *ex_state_print(const struct ex_state *s);
int ex_state_parse(struct ex_state **out, const char *text, size_t n, struct err **err) MUSTCHECK;

/* The packed task.report; malloc'ed. A step's final phase is shown only once its log is stored. */
void *ex_state_report(const struct ex_state *s, size_t *len);

#endif
