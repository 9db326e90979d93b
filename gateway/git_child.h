/*
 * git_child.h - git as a child process (common/child.h) with an environment that outranks the
 * repository's configuration. Used with foreign repositories: nothing of theirs is executed or
 * believed as configuration.
 */
#ifndef GATEWAY_GIT_CHILD_H
#define GATEWAY_GIT_CHILD_H

#include "common/buf.h"
#include "common/child.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_GIT_PUSH_MAX_TEXT "536870912" /* bytes of one push's pack: receive.maxInputSize */
#define GW_GIT_STDERR_MAX 4096           /* bytes kept of what git says; the rest is dropped */

/* How a client is served; NULL and zeroes: like any. */
struct gw_git_access {
	const char *protocol; /* value of GIT_PROTOCOL */
	const char *space;    /* it sees the refs of this namespace alone, and what they reach */
	uint64_t input_max;   /* bytes of a push's pack; 0 = GW_GIT_PUSH_MAX_TEXT */
};
/* argv[0] is "git". Without want_in the child reads /dev/null. access may be NULL. */
int gw_git_spawn(struct child *out, const char *const *argv, bool want_in,
    const struct gw_git_access *access, struct err **err) MUSTCHECK;

/* Blocking: runs git with input, collects at most max bytes of its output. ERR_UNAVAILABLE after
 * timeout_ms, ERR_INVALID when there is more output. *status gets the exit status. Worker threads
 * only. */
int gw_git_run(struct buf *out, int *status, const char *const *argv, const char *input, size_t max,
    int64_t timeout_ms, struct err **err) MUSTCHECK;

#endif
