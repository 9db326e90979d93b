/*
 * definition.h - a run definition of the local tree, as "config check" and "config show" have it.
 *
 * A Jsonnet definition is evaluated as the gateway does it; its imports come from the directory
 * that holds .agola. Both commands have the options CLI_DEFINITION_OPTS.
 */
#ifndef CLI_DEFINITION_H
#define CLI_DEFINITION_H

#include "cli.h"

#include "rundef/rundef.h"

#define CLI_DEFINITION_OPTS                                                                        \
	{ "context", 'c', CLI_LIST, false, NULL,                                                   \
		"what it is for: branch=NAME, tag=NAME, pull_request_id=ID, ref=REF, "             \
		"commit_sha=HASH; without it branch=master" },                                     \
	{                                                                                          \
		"format", 0, CLI_TEXT, false, NULL,                                                \
		    "yaml (JSON too) or jsonnet, whatever the file's name says"                    \
	}

/* What a run would be for; never NULL after parsing, "" when it does not apply. */
struct cli_context {
	const char *ref_type; /* branch | tag | pull_request */
	char *ref, *branch, *tag, *pull_request_id, *commit_sha;
};
int cli_context_parse(struct cli_context *out, const struct cli *c, struct err **err) MUSTCHECK;
void cli_context_fini(struct cli_context *x);
struct rundef_ref cli_context_ref(const struct cli_context *x); /* borrows */

struct cli_definition {
	char *name;      /* of the file, for the user */
	char *file;      /* what places are of: the same, or its output */
	struct buf text; /* what was parsed */
	char *problem;   /* the evaluation's, or NULL */
	bool valid;
	struct rundef *def; /* when valid */
	struct rundef_diags diags;
};
/* given: the file, "-" for standard input, or NULL for the first of eval_files. A definition that
 * is wrong is no error. Free also after an error. */
int cli_definition_load(struct cli_definition *d, const struct cli *c, const char *given,
    const struct cli_context *x, struct err **err) MUSTCHECK;
void cli_definition_complain(const struct cli_definition *d); /* all problems, on stderr */
void cli_definition_fini(struct cli_definition *d);

#endif
