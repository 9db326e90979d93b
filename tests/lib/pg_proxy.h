/*
 * pg_proxy.h - a child process between libpq and PostgreSQL that can lose the answer to a commit.
 *
 * The server has committed then, and the client cannot know.
 */
#ifndef TESTS_LIB_PG_PROXY_H
#define TESTS_LIB_PG_PROXY_H

#include <sys/types.h>

struct pg_proxy {
	pid_t pid;
	char dir[64]; /* holds its socket */
	/* Shared with the child: every so many commits one loses its answer; 0 = none. */
	volatile unsigned *every;
	volatile unsigned *lost; /* how many did */
};

/* server_dir: directory of the server's socket. */
void pg_proxy_start(struct pg_proxy *x, const char *server_dir);
void pg_proxy_stop(struct pg_proxy *x);

#endif
