/*
 * dispatch.h - ready tasks that found no executor in their own transaction.
 *
 * Loop thread. Holds, per run, what the newest transaction left ready; when an executor polls, the
 * oldest run's tasks that fit are assigned in a transaction of their own (actor.c).
 */
#ifndef RUNSERVICE_DISPATCH_H
#define RUNSERVICE_DISPATCH_H

#include "common/json.h"
#include "runservice/run.h"
#include "runservice/runservice.h"

struct rs_dispatch *rs_dispatch_new(struct rs *rs);
void rs_dispatch_free(struct rs_dispatch *d);
void rs_dispatch_clear(struct rs_dispatch *d);
/* Takes over which tasks of the run are ready. Transactions come in their order. */
void rs_dispatch_run_changed(struct rs_dispatch *d, const struct rs_run *run);
/* Sends what can be sent, then looks for work for every executor that waits. */
void rs_dispatch_kick(struct rs_dispatch *d);
/* Adds "waiting": ready tasks without an executor, each with the reason. */
void rs_dispatch_dump(json_t *out, const struct rs_dispatch *d);
size_t rs_dispatch_waiting(const struct rs_dispatch *d);

#endif
