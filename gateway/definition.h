/*
 * definition.h - from a commit's definition file to the message that creates its runs.
 *
 * gw_definition_expand() is pure; gw_definition_read() reads the repository,
 * gw_definition_evaluate() also waits for a child (worker threads only).
 */
#ifndef GATEWAY_DEFINITION_H
#define GATEWAY_DEFINITION_H

#include "common/buf.h"
#include "common/err.h"
#include "gateway.pb-c.h"
#include "gateway/intake.h"

#include <stdatomic.h>

struct gw_definition {
	const char *file; /* NULL: none of the names exists */
	struct buf text;
	char *problem; /* why the file could not be taken (its size), or NULL; malloc'ed */
	/* of a program (Jsonnet), after gw_definition_evaluate() */
	bool evaluated;     /* text is its output */
	char *eval_problem; /* what is wrong with it, lines with places, or NULL; malloc'ed */
};
void gw_definition_fini(struct gw_definition *d);
/* A missing file is not an error here: file stays NULL. ERR_NOTFOUND: no such commit. */
int gw_definition_read(
    struct gw_definition *out, const char *repo_path, const char *sha, struct err **err) MUSTCHECK;

/* The text is a program: it has to be evaluated before it is expanded. */
bool gw_definition_is_program(const struct gw_definition *d);
/* Replaces the text by what it evaluates to for this ref; takes as long as EVAL_WALL_MS. A program
 * that is wrong is not an error here. ERR_CANCELED: *stop was set. */
int gw_definition_evaluate(struct gw_definition *d, const char *repo_path, const char *sha,
    const struct gw_ref *ref, const atomic_bool *stop, struct err **err) MUSTCHECK;

/* What is to be created, and what the user is told when something is not. */
struct gw_expansion {
	Millrace__RunSpec **runs; /* in file order */
	size_t nruns;
	char **warnings;
	size_t nwarnings;
};
void gw_expansion_fini(struct gw_expansion *x);
/* A missing, unsupported or broken definition gives one run named GW_SETUP_ERROR_NAME. */
void gw_definition_expand(struct gw_expansion *out, const struct gw_definition *d,
    const struct gw_origin *origin, const struct gw_ref *ref, const char *message);
/* Replaces all runs by one setup error run. */
void gw_expansion_fail(struct gw_expansion *x, const struct gw_origin *origin, const char *errors);

#endif
