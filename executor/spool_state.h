/*
 * spool_state.h - the state file of a task's directory: the newest of two slots that are written in
 * turn.
 *
 * The file is made whole (zeros, fsynced, renamed into place), then only overwritten: a state is
 * durable after one fdatasync that has no metadata to commit. A write that a crash cuts short
 * spoils the slot with the older state; the newer one stands in the other slot. A state that does
 * not fit gets a new file. A file that begins with '{' is a bare state, as earlier versions wrote
 * it. Blocking; one thread at a time.
 */
#ifndef EXECUTOR_SPOOL_STATE_H
#define EXECUTOR_SPOOL_STATE_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

#define SPOOL_STATE_MAX (8u << 20)

struct ex_spool_state {
	int fd;        /* -1: the next write makes a new file */
	uint32_t room; /* bytes of text that fit in a slot */
	uint64_t seq;  /* of the newest state in the file */
};
#define EX_SPOOL_STATE_INIT                                                                        \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Durable when it returns 0; otherwise the state before is still there. n <= SPOOL_STATE_MAX. */
int ex_spool_state_write(
    struct ex_spool_state *f, const char *dir, const void *p, size_t n, struct err **err) MUSTCHECK;
void ex_spool_state_close(struct ex_spool_state *f);
/* Names of files that were made in dir are durable. */
int ex_spool_sync_dir(const char *dir, struct err **err) MUSTCHECK;
/* ERR_NOTFOUND when there is none. out is NUL-terminated. */
int ex_spool_state_read(char **out, size_t *n, const char *dir, struct err **err) MUSTCHECK;

#endif
