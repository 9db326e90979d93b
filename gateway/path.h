/*
 * path.h - references to projects and project groups: an id, or user/<name>/… or org/<name>/….
 * Pure.
 */
#ifndef GATEWAY_PATH_H
#define GATEWAY_PATH_H

#include "common/err.h"
#include "common/id.h"

#include <stdbool.h>

#define GW_PATH_MAX 2048 /* bytes of a reference */

struct gw_path {
	bool is_id;
	struct id id; /* is_id, canonical */
	/* otherwise, malloc'ed: */
	bool org; /* the owner is an organization, else a user */
	char *owner;
	char *groups; /* below the owner's root, "" or "a/b" */
	char *name;   /* of a project; NULL for a group */
};
void gw_path_fini(struct gw_path *p);
/* ERR_INVALID invalidPath for what is neither: another first element, too few elements, an empty
 * one. */
int gw_path_parse(struct gw_path *out, const char *ref, bool project, struct err **err) MUSTCHECK;
/* Number of groups in "a/b". */
unsigned gw_path_depth(const char *groups);

#endif
