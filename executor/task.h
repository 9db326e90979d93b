/*
 * task.h - one attempt of one task, from the offer until nothing of it is left here.
 *
 *   ACCEPT  the offer is accepted, or a restarted executor asks again for what it holds
 *   SETUP   images, containers, streams, the working directory (setup.c)
 *   BEGIN   task.begin is on its way
 *   STEPS   one step after another (step.c, save.c, restore.c)
 *   END     containers go, the rest of the logs is sent, then the final report
 *   DROP    no longer ours: killed and cleaned up without a word
 *
 * Loop thread only. A task frees itself, and never inside one of these calls.
 */
#ifndef EXECUTOR_TASK_H
#define EXECUTOR_TASK_H

#include "executor/executor.h"

void ex_task_offered(struct ex *ex, const char *task_id, uint64_t fence, const char *run_id);
/* What a former life left in this directory; before the loop runs. */
void ex_task_recover(struct ex *ex, const char *dir);
/* Everything but its containers and its directory is let go: the daemon stops. */
void ex_task_free(struct ex_task *t);

const char *ex_task_id(const struct ex_task *t);
uint64_t ex_task_fence(const struct ex_task *t);
/* Named to the runservice as ours; not while it is being dropped. */
bool ex_task_held(const struct ex_task *t);
/* Uses containers, so it counts against the limit. */
bool ex_task_busy(const struct ex_task *t);
bool ex_task_stopping(const struct ex_task *t);
/* Its first step has not begun yet. */
bool ex_task_setting_up(const struct ex_task *t);
/* Id of its main container when that one was started ahead and bears another name; else NULL. */
const char *ex_task_adopted(const struct ex_task *t);

/* The executor is registered (again). */
void ex_task_registered(struct ex_task *t);
void ex_task_stop(struct ex_task *t);
void ex_task_drop(struct ex_task *t, const char *why);
/* The task is part of the renewal that goes out now; its answer came. */
void ex_task_renewing(struct ex_task *t);
void ex_task_renewed(struct ex_task *t, int64_t sent_ms, int64_t lease_ms);

#endif
