/*
 * explain.h - why the tasks of a run wait, for people: what the scheduler weighed. Pure.
 */
#ifndef RUNSERVICE_EXPLAIN_H
#define RUNSERVICE_EXPLAIN_H

#include "runservice/run.h"
#include "runservice/scheduler.h"

#define RS_EXPLAIN_NAMED 5 /* executors in a sentence; of more only the number is told */

/* Where a queued run stands among those of its group. */
struct rs_explain_group {
	uint64_t holder; /* number of the run that holds the group; 0 = not known */
	uint64_t ahead;  /* queued ones that come before it */
};

/* True when the task is ready and only wants for an executor. */
bool rs_explain_wants_executor(const struct rs_run *run, size_t task);
/* Why this executor does not have it: what comes after its name, malloc'ed. */
char *rs_explain_executor(const struct rs_candidate *c, const struct rs_needs *need);
/* The scheduler's sentence and what it weighed, malloc'ed; NULL for a task that is running or
 * over. */
char *rs_explain_task(const struct rs_run *run, size_t task, const struct rs_candidate *list,
    size_t n, const struct rs_explain_group *group);

#endif
