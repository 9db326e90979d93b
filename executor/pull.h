/*
 * pull.h - one image of a task, present in the engine as the configuration's policy says.
 * Loop thread only.
 */
#ifndef EXECUTOR_PULL_H
#define EXECUTOR_PULL_H

#include "executor/engine_json.h"
#include "executor/executor.h"

struct ex_pulling;

struct ex_pulling_options {
	struct ex *ex;
	const char *image;                   /* as the definition names it */
	Millrace__RegistryAuth *const *auth; /* of the definition; borrowed until done */
	size_t nauth;
	/* Lines for the setup log, each ending in a line end. */
	void (*say)(const char *lines, size_t n, void *arg);
	/* Once. info is the receiver's from then on (NULL with an error). */
	void (*done)(struct ex_image_info *info, struct err **err, void *arg);
	void *arg;
};
/* Never calls back from inside. Also errors come through done. */
struct ex_pulling *ex_pulling_start(const struct ex_pulling_options *opt);
void ex_pulling_cancel(struct ex_pulling *p); /* NULL allowed; done is not called */

#endif
