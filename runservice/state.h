/*
 * state.h - the run model as the protocol's messages. Pure. Messages are malloc'ed as a whole:
 * free them with millrace__*__free_unpacked(msg, NULL).
 */
#ifndef RUNSERVICE_STATE_H
#define RUNSERVICE_STATE_H

#include "run.pb-c.h"
#include "runservice/run.h"
#include "runservice/scheduler.h"

/* spec gives annotations, warnings and setup errors; list (may be NULL) the wait reasons. */
Millrace__RunState *rs_state_of_run(const struct rs_run *run, const Millrace__RunSpec *spec,
    const struct rs_candidate *list, size_t n);
Millrace__TaskState *rs_state_of_task(
    const struct rs_run *run, size_t task, const struct rs_candidate *list, size_t n);
/* Adds step_specs without values, images and shell. */
void rs_state_add_spec(Millrace__TaskState *m, const Millrace__TaskSpec *spec);
/* Leaves the tries before the present one out. */
void rs_state_drop_attempts(Millrace__TaskState *m);
/* A past try for its row, malloc'ed, and back; in t there is room for it. */
void *rs_state_pack_try(size_t *len, const struct rs_task *t, unsigned n);
int rs_state_unpack_try(
    struct rs_task *t, const void *state, size_t len, struct err **err) MUSTCHECK;
/* Leaves what a list needs of each task. */
void rs_state_trim(Millrace__RunState *state);
/* Model of a run from its stored state (for restarts); initialises *run. */
void rs_state_to_run(struct rs_run *run, const Millrace__RunState *m);

#endif
