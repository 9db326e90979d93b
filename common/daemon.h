/*
 * daemon.h - what every daemon's main() has in common: arguments, signals, ordered start and stop.
 *
 * Arguments: --config FILE, --check-config, --print-config-keys, --version, --debug, --help, and
 * the command that a daemon may have.
 * SIGTERM and SIGINT stop in order (listeners, then clients, then workers); SIGPIPE is ignored.
 * Exit status: 0 after an asked-for stop, 1 on a failed start (one clear line on stderr), 2 on
 * usage.
 */
#ifndef COMMON_DAEMON_H
#define COMMON_DAEMON_H

#include "common/config.h"
#include "common/loop.h"

/* Something else than running that the binary does with its configuration, then it exits. */
struct daemon_command {
	const char *option, *arg, *help; /* "rotate-master-key", "FILE", one line */
	/* Prints what it did on stdout; an error is printed on stderr: exit status 1. */
	int (*run)(void *cfg, const char *arg, struct err **err);
};

struct daemon_spec {
	const char *name; /* "millrace-gateway" */
	size_t config_size;
	const struct config_key *keys;
	size_t nkeys;
	/* Checks beyond single keys; optional. Also run by --check-config. */
	int (*check)(void *cfg, struct err **err);
	/* Builds the object graph; *state is handed to stop. May return an error after partly
	 * starting: then stop is called with what *state holds (may be NULL). */
	int (*start)(void **state, struct loop *loop, void *cfg, struct err **err);
	void (*stop)(void *state); /* stops and frees everything; runs on the loop thread */
	const struct daemon_command *command; /* optional */
	/* Who waits for what, as one line of JSON, malloc'ed and bounded; optional. SIGUSR1 writes
	 * it to stderr. */
	char *(*dump)(void *state);
};

/* Call as the whole body of main(). */
int daemon_main(int argc, char **argv, const struct daemon_spec *spec);
const char *daemon_version(void); /* from git describe at build time */

#endif
