/*
 * git_child.h - git as a child process: scrubbed environment, own process group, no descriptors but
 * 0, 1 and 2. Used with foreign repositories: nothing of theirs is executed or believed as
 * configuration.
 */
#ifndef GATEWAY_GIT_CHILD_H
#define GATEWAY_GIT_CHILD_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GW_GIT_PUSH_MAX_TEXT "536870912" /* bytes of one push's pack: receive.maxInputSize */
#define GW_GIT_STDERR_MAX 4096           /* bytes kept of what git says; the rest is dropped */

/* Our ends of the child's pipes; non-blocking, close on exec; -1 when there is none. */
struct gw_git_child {
	pid_t pid;
	int pidfd; /* readable when the child has ended */
	int in, out, err;
};

/* How a client is served; NULL and zeroes: like any. */
struct gw_git_access {
	const char *protocol; /* value of GIT_PROTOCOL */
	const char *space;    /* it sees the refs of this namespace alone, and what they reach */
	uint64_t input_max;   /* bytes of a push's pack; 0 = GW_GIT_PUSH_MAX_TEXT */
};
/* argv[0] is "git". Without want_in the child reads /dev/null. access may be NULL. */
int gw_git_spawn(struct gw_git_child *out, const char *const *argv, bool want_in,
    const struct gw_git_access *access, struct err **err) MUSTCHECK;
void gw_git_kill(const struct gw_git_child *c); /* SIGKILL to the whole group */
void gw_git_close(struct gw_git_child *c);      /* our ends of the pipes */
/* Waits for the end of the child and closes everything. Exit status, or 128 + signal. */
int gw_git_reap(struct gw_git_child *c);

/* Blocking: runs git with input, collects at most max bytes of its output. ERR_UNAVAILABLE after
 * timeout_ms, ERR_INVALID when there is more output. *status gets the exit status. Worker threads
 * only. */
int gw_git_run(struct buf *out, int *status, const char *const *argv, const char *input, size_t max,
    int64_t timeout_ms, struct err **err) MUSTCHECK;

#endif
