/*
 * cli_peer.h - the program millrace, run by a test against the gateway of gw_peer.h; and a proxy
 * between the two that breaks connections.
 */
#ifndef TESTS_LIB_CLI_PEER_H
#define TESTS_LIB_CLI_PEER_H

#include "tests/lib/gw_peer.h"

#define CLP_WAIT_MS 60000
#define CLP_PROXIED_MAX 32

/* Connections to the gateway that end after so many bytes of answers; turned by the test. */
struct clp_proxy {
	int listener, port;
	unsigned seed;
	size_t least, most; /* bytes until one is cut, random between */
	unsigned cuts;
	struct clp_pair {
		int client, server; /* -1: free */
		size_t left;
	} pairs[CLP_PROXIED_MAX];
};
void clp_proxy_start(struct clp_proxy *x, unsigned seed, size_t least, size_t most);
/* Moves what can be moved, to the port of the gateway. */
void clp_proxy_turn(struct clp_proxy *x, int port);
void clp_proxy_stop(struct clp_proxy *x);

struct clp {
	struct gwp *gw;
	const char *program;     /* NULL: millrace; else a path to it */
	const char *token;       /* MILLRACE_TOKEN, may be NULL */
	const char *input;       /* of standard input, may be NULL */
	int port;                /* of MILLRACE_URL; 0: the gateway's; -1: none is set */
	void (*turn)(void *arg); /* called again and again while it runs; may be NULL */
	void *arg;
	/* What came of it; valid until the next one. */
	int status;
	struct buf out, err;
};
/* Runs it to its end while the gateway's loop turns; args end with NULL. Returns the status. */
int clp_run(struct clp *x, const char *const *args);
#define CLP(x, ...) clp_run((x), (const char *const[]){ __VA_ARGS__, NULL })
/* Fails the test unless the status is this one and these are in the output and the errors. */
void clp_expect(const struct clp *x, int status, const char *out, const char *err);
/* Path of the program as it was built, malloc'ed. */
char *clp_program(void);
void clp_fini(struct clp *x);

#endif
