/*
 * removal.h - removes containers and labelled volumes, repeated until the engine has none left.
 *
 * Containers go with their anonymous volumes (v=1). What is being removed already or is gone is no
 * error. Loop thread only.
 */
#ifndef EXECUTOR_REMOVAL_H
#define EXECUTOR_REMOVAL_H

#include "executor/engine_json.h"
#include "executor/executor.h"

struct ex_removal;

struct ex_removal_options {
	struct ex *ex;
	const char *executor;
	const char
	    *task; /* one attempt's; NULL: of the whole executor, those that keep() spares left */
	uint64_t fence;
	const char *container; /* goes too, whatever its labels; NULL = none */
	/* With task NULL: whether an object stays. name is the id for containers. */
	bool (*keep)(const json_t *labels, const char *name, void *arg);
	/* A call under way that may still make something (taken over): begin when it has ended.
	 * NULL = none. */
	struct ex_call *after;
	void (*done)(void *arg);
	void *arg;
};
struct ex_removal *ex_removal_start(const struct ex_removal_options *opt);
void ex_removal_cancel(struct ex_removal *r); /* NULL allowed; done is not called */

#endif
