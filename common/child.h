/*
 * child.h - a program as a child process: own process group, scrubbed environment, no descriptors
 * but 0, 1 and 2.
 */
#ifndef COMMON_CHILD_H
#define COMMON_CHILD_H

#include "common/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Our ends of the child's pipes; non-blocking, close on exec; -1 when there is none. */
struct child {
	pid_t pid;
	int pidfd; /* readable when the child has ended */
	int in, out, err;
};
struct child_options {
	const char *program; /* a path, or a name that is looked for in PATH */
	const char *const *argv;
	char *const *envp; /* all that it gets */
	bool in, err;      /* pipes are wanted; without one it is /dev/null */
};

int child_spawn(struct child *out, const struct child_options *opt, struct err **err) MUSTCHECK;
void child_kill(const struct child *c); /* SIGKILL to the whole group */
void child_close(struct child *c);      /* our ends of the pipes */
/* Waits for the end of the child and closes everything. Exit status, or 128 + signal. */
int child_reap(struct child *c);

#endif
