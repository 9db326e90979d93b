/*
 * rest.h - commands that are one call to the gateway, described instead of programmed.
 *
 * In templates {x} stands for the value of option x, {0} for the first argument, {.x} for a member
 * of the answer. Everything here is checked against the option tables by the unit tests.
 */
#ifndef CLI_REST_H
#define CLI_REST_H

#include "cli/cli.h"

struct cli_rest {
	const char *method;
	const char *path; /* template, values escaped */
	/* Fields of the body, separated by blanks: "name parent_ref=parent" (key=option). Flags are
	 * sent as booleans, lists as arrays; what has no value is left out. NULL: no body. */
	const char *body;
	/* Adds to the body what a table cannot say; may be NULL. */
	int (*fill)(struct cli *c, json_t *body, struct err **err);
	bool pages;        /* the answer is a list in pages: all of them are fetched */
	const char *said;  /* template for stderr when it is done; NULL: nothing */
	const char *print; /* member of the answer that goes alone to stdout; NULL: none */
	const char
	    *columns;      /* of a list's table, or of an object's lines: "NAME=name USER=u.name" */
	const char *agola; /* template of a list's entry when called as agola; "{}": its JSON */
};

int cli_rest_run(struct cli *c);
/* Path of the command's call, malloc'ed; values of options escaped. */
char *cli_rest_path(struct cli *c, const char *tmpl);
/* A list or an object as its columns say, or as JSON; exit status. */
int cli_rest_show(struct cli *c, const struct cli_rest *r, const json_t *answer);
/* Text at "a.b" of an object: numbers, booleans (yes, no) and lists as text; malloc'ed. */
char *cli_rest_text(const json_t *o, const char *path);

#endif
