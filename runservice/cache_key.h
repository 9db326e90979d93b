/*
 * cache_key.h - whose a cache is, who may see it, and the form in which its key is kept. Pure.
 *
 * A cache belongs to a scope: the project, or for a direct run the user with one repository. Inside
 * it, it carries the trust of the run that saved it, and is seen by runs of the same or a lower
 * trust only: what a pull request saves never reaches a branch. Runs of a fork's pull request share
 * with nobody but runs of that same pull request (their zone); they see what branches and pull
 * requests of the repository itself saved.
 *
 * Keys are kept escaped, plain ASCII and one to one (nothing is hashed), so prefixes of a key are
 * prefixes of its escaped form, and no key can leave its scope.
 */
#ifndef RUNSERVICE_CACHE_KEY_H
#define RUNSERVICE_CACHE_KEY_H

#include "common/err.h"
#include "run.pb-c.h"

#define RS_CACHE_KEY_MAX 200 /* bytes of prefix, "-" and key, escaped */

struct rs_cache_place {
	char *scope;  /* owner and cache group; compared whole */
	char *prefix; /* what users know as the keys' prefix: counts for the length only */
	char *zone;   /* "" but for forks */
	int trust;    /* Millrace__Trust */
};
/* ERR_INVALID for a group that names no owner. On error nothing is to be freed. */
int rs_cache_place_of(
    struct rs_cache_place *out, const Millrace__RunSpec *spec, struct err **err) MUSTCHECK;
void rs_cache_place_fini(struct rs_cache_place *p);

/* Everything but letters, digits and -_.~$&+:=@ as %XX; malloc'ed. */
char *rs_cache_escape(const char *key);
/* The same, with the bound checked: ERR_INVALID "cache key too long". */
int rs_cache_key(
    char **out, const struct rs_cache_place *p, const char *key, struct err **err) MUSTCHECK;

#endif
