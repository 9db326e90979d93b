/*
 * when.h - whether a condition on a git reference holds. Pure.
 *
 * The one rule for `when` of runs and tasks (rundef reads it from definitions, and adds filters on
 * event and paths) and of a variable's values (the runservice stores them). It begins with "no";
 * then, in this order, branch (of branches only), tag (of tags only) and ref (always) are asked,
 * each only about a text that is not empty (ref: any): one include that matches turns the answer to
 * "yes", then one exclude that matches turns it to "no".
 */
#ifndef COMMON_WHEN_H
#define COMMON_WHEN_H

#include <stdbool.h>
#include <stddef.h>

/* One clause: arrays of conditions, whatever they are made of. */
struct when_clause {
	const void *include, *exclude;
	size_t ninclude, nexclude;
	size_t size; /* of one condition */
	bool (*matches)(const void *cond, const char *text);
};

struct when_ref {
	const char *ref_type;           /* branch | tag | pull_request */
	const char *branch, *tag, *ref; /* "" when not applicable */
};

bool when_matches(const struct when_clause *branch, const struct when_clause *tag,
    const struct when_clause *ref, const struct when_ref *of);
/* before, turned on by any include and then off by any exclude. */
bool when_clause_matches(const struct when_clause *c, const char *text, bool before);
/* Exact equality with text, or, when re is given, a search by re.h. */
bool when_text_matches(const char *text, const void *re, const char *subject);

#endif
