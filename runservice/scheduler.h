/*
 * scheduler.h - which executor gets a task, and why a task has none. Pure.
 */
#ifndef RUNSERVICE_SCHEDULER_H
#define RUNSERVICE_SCHEDULER_H

#include "runservice/labels.h"
#include "runservice/run.h"

#include <stdbool.h>
#include <stddef.h>

/* One executor as the loop saw it. */
struct rs_candidate {
	char id[65];
	char arch[16];
	bool privileged;    /* allowed */
	bool waiting;       /* a poll of it is parked: it can be told at once */
	unsigned slots;     /* in all */
	unsigned free;      /* of them, not promised to any task */
	const char *labels; /* labels.h; lives as long as the executors' registry */
};

/* What an executor must be able to for a task; borrowed texts. */
struct rs_needs {
	const char *arch;   /* "" = any */
	const char *labels; /* labels.h */
	bool privileged;
};
struct rs_needs rs_scheduler_needs(const struct rs_task *t);

#define RS_NO_CANDIDATE SIZE_MAX

/* The first that stands between an executor and a task, in this order. */
enum rs_lack {
	RS_LACKS_ARCH,
	RS_LACKS_LABELS,
	RS_LACKS_PRIVILEGE,
	RS_LACKS_SLOT,
	RS_LACKS_POLL, /* it does not ask for work at this moment */
	RS_LACKS_NOTHING
};
enum rs_lack rs_scheduler_lack(const struct rs_candidate *c, const struct rs_needs *need);
/* The least loaded one that waits, fits and has a free slot; first of equals. */
size_t rs_scheduler_choose(const struct rs_candidate *list, size_t n, const struct rs_needs *need);
/* Why no executor takes a task that is ready; one sentence, malloc'ed. */
char *rs_scheduler_no_executor(
    const struct rs_needs *need, const struct rs_candidate *list, size_t n);
/* One sentence, malloc'ed; NULL for a task that is running or over. */
char *rs_scheduler_wait_reason(
    const struct rs_run *run, size_t task, const struct rs_candidate *list, size_t n);

#endif
