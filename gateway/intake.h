/*
 * intake.h - from "run this commit" to everything a run carries besides its definition. Pure.
 *
 * Holds for direct runs now and for webhooks later: what differs is who fills struct gw_intake.
 */
#ifndef GATEWAY_INTAKE_H
#define GATEWAY_INTAKE_H

#include "common/err.h"
#include "common/json.h"

#include <stdbool.h>
#include <stddef.h>

#define GW_REF_REGEXES_MAX 16
#define GW_REF_REGEX_MAX 1000 /* bytes */
#define GW_REF_MAX 250        /* bytes of a ref */
#define GW_MESSAGE_MAX 16384  /* bytes of a commit message */
#define GW_VARIABLES_MAX 1000
#define GW_OWN_VARIABLES "millrace." /* names that no user can give a variable */
#define GW_SETUP_ERROR_NAME "Setup Error"

/* Name and value pairs; both malloc'ed. */
struct gw_pair {
	char *name, *value;
};
struct gw_pairs {
	struct gw_pair *list;
	size_t n;
};
void gw_pairs_add(struct gw_pairs *p, const char *name, const char *value);
const char *gw_pairs_get(const struct gw_pairs *p, const char *name); /* NULL when absent */
void gw_pairs_fini(struct gw_pairs *p);

/* A direct run as asked for; the texts are borrowed from the JSON body. */
struct gw_intake {
	const char *repo_uuid, *repo_path, *branch, *tag, *ref, *commit_sha, *message;
	const char *regexes[GW_REF_REGEXES_MAX];
	size_t nregexes;
	json_t *variables; /* NULL or an object of texts; borrowed */
};
/* ERR_INVALID says which field is wrong. */
int gw_intake_parse(struct gw_intake *out, const json_t *body, struct err **err) MUSTCHECK;
/* repo_path must be <owner>/<repo>: malloc'ed parts. ERR_INVALID otherwise. */
int gw_intake_repo(
    char **owner, char **repo, const struct gw_intake *in, struct err **err) MUSTCHECK;

/* What kind of ref it is. Texts malloc'ed, "" when not applicable. */
struct gw_ref {
	const char *type;  /* branch | tag | pull_request */
	const char *event; /* what asks for the run, as when.event has it; NULL = not known */
	char *ref, *branch, *tag, *pull_request_id;
};
void gw_ref_fini(struct gw_ref *r);
int gw_ref_classify(struct gw_ref *out, const struct gw_intake *in, struct err **err) MUSTCHECK;
/* Name of the ref inside its kind: branch, tag or pull request id. */
const char *gw_ref_name(const struct gw_ref *r);

/* What a run's code is worth; caches never flow upwards (run.proto has the same numbers). */
enum gw_trust { GW_TRUST_FORK = 1, GW_TRUST_PULL_REQUEST, GW_TRUST_BRANCH };

/* All that a run of this intake carries. */
struct gw_origin {
	enum gw_trust trust; /* 0 counts as the lowest */
	char *group;         /* /user/<id>/<branch|tag|pr>/<escaped name> */
	char *cache_group;   /* <user id>-<repo uuid> */
	struct gw_pairs annotations;
	struct gw_pairs environment; /* the static one of every task; without what to clone from */
};
void gw_origin_init(struct gw_origin *o, const struct gw_intake *in, const struct gw_ref *ref,
    const char *user_id, const char *public_url);
void gw_origin_fini(struct gw_origin *o);

/* Does the message ask for no run ([ci skip] or [skip ci], anywhere in it)? */
bool gw_intake_skipped(const char *message);
/* One element of a group: percent-encoded, so that it has no slash. malloc'ed. */
char *gw_group_escape(const char *name);
/* A run list's subgroup (branch, tag, pr, branch/<escaped name>) below owner, normalised;
 * malloc'ed. ERR_INVALID for "." and ".." and malformed escapes. NULL and "" give owner. */
int gw_group_below(char **out, const char *owner, const char *subgroup, struct err **err) MUSTCHECK;

#endif
