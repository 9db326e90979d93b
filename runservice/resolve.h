/*
 * resolve.h - which version of which secret a variable stands for, and whether conditions are well
 * formed. Pure.
 *
 * Scopes are a chain: 0 is the project, then its project group, up to the root. Of equal names the
 * nearest variable counts, alone, whether or not a value of it matches. In it the first value whose
 * `when` matches counts, alone. Its secret is the nearest of that name in the variable's own scope
 * or further up; the version is that of the value's key in its data. What is missing leaves the
 * variable undefined: nothing else is tried.
 */
#ifndef RUNSERVICE_RESOLVE_H
#define RUNSERVICE_RESOLVE_H

#include "common/err.h"
#include "common/when.h"
#include "gateway.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

#define RS_CONDITIONS_MAX 100 /* of one when */
#define RS_CONDITION_MAX 1000 /* bytes */

struct rs_scoped_variable {
	size_t depth; /* index of its scope in the chain */
	Millrace__Variable *spec;
};
/* One row for each key of a secret's data. */
struct rs_scoped_secret {
	size_t depth;
	char *name, *key;
	char *version;
};
struct rs_definitions { /* as rs_definitions_sort() leaves them: by name, then depth, then key */
	struct rs_scoped_variable *variables;
	struct rs_scoped_secret *secrets;
	size_t nvariables, nsecrets;
};

void rs_definitions_sort(struct rs_definitions *d);
/* NULL for an undefined one; else borrowed from d. */
const char *rs_resolve(
    const struct rs_definitions *d, const char *name, const struct when_ref *ref);
/* False when there is none from depth up. */
bool rs_resolve_secret(
    size_t *found, const struct rs_definitions *d, const char *name, size_t depth);
/* when may be NULL. One that rs_when_check() refuses never matches. */
bool rs_when_matches(const Millrace__When *when, const struct when_ref *ref);
/* ERR_INVALID: an unknown type, a wrong expression, too many or too long. */
int rs_when_check(const Millrace__When *when, struct err **err) MUSTCHECK;

#endif
