/*
 * store_group.h - the tree of project groups. Database threads only.
 */
#ifndef GATEWAY_STORE_GROUP_H
#define GATEWAY_STORE_GROUP_H

#include "common/err.h"
#include "common/id.h"
#include "gateway/name.h"
#include "gateway/path.h"

#include <stdbool.h>
#include <stddef.h>

#define GW_GROUP_DEPTH_MAX 20 /* groups below each other where one is created or moved to */

struct db;
struct db_result;

/* What the tree says of a group, and so of everything directly in it. */
struct gw_group {
	char id[ID_LEN + 1];
	char name[GW_NAME_MAX + 1]; /* "" of a root */
	char *path, *parent_path;   /* malloc'ed */
	bool is_private;            /* of its own */
	bool hidden;                /* private by itself, an ancestor or the owner */
	bool org;                   /* owned by an organization, else by a user */
	char owner_id[ID_LEN + 1];
	char role[8]; /* of the asking user in the owning organization, "" = none */
	unsigned depth;
};
void gw_group_fini(struct gw_group *g);
struct gw_group_list {
	struct gw_group *rows;
	size_t n;
};
void gw_group_list_fini(struct gw_group_list *l);

/* user_id: who asks, NULL for nobody. ERR_INVALID invalidPath; ERR_NOTFOUND
 * userDoesNotExist, organizationDoesNotExist, projectGroupDoesNotExist. */
int gw_store_group_by_ref(struct gw_group *out, struct db *db, const char *ref, const char *user_id,
    struct err **err) MUSTCHECK;
int gw_store_group_by_path(struct gw_group *out, struct db *db, const struct gw_path *path,
    const char *user_id, struct err **err) MUSTCHECK;
/* Directly below, by name. */
int gw_store_group_children(struct gw_group_list *out, struct db *db, const char *id,
    const char *user_id, struct err **err) MUSTCHECK;
/* ERR_INVALID projectGroupAlreadyExists. */
int gw_store_group_create(char id[ID_LEN + 1], struct db *db, const char *parent_id,
    const char *name, bool is_private, struct err **err) MUSTCHECK;

struct gw_group_change {
	const char *id;
	const char *name;       /* NULL = unchanged */
	const char *parent_id;  /* NULL = unchanged */
	const char *visibility; /* NULL = unchanged */
};
/* ERR_INVALID projectGroupAlreadyExists, or without code into itself or below itself. */
int gw_store_group_update(
    struct db *db, const struct gw_group_change *c, struct err **err) MUSTCHECK;
/* With everything in it. Never a root. */
int gw_store_group_delete(struct db *db, const char *id, struct err **err) MUSTCHECK;

/* The group and those above it, nearest first, malloc'ed; none when it is gone. */
int gw_store_group_chain(
    struct id **ids, size_t *n, struct db *db, const char *id, struct err **err) MUSTCHECK;

/* For store_project.c: the columns of group_info() and role, at a row. */
#define GW_GROUP_COLUMNS                                                                           \
	"i.id as group_id, i.name as group_name, i.path as group_path, "                           \
	"i.parent_path as group_parent, i.visibility = 'private' as group_private, "               \
	"i.is_private as group_hidden, i.depth as group_depth, i.user_id as owner_user, "          \
	"i.org_id as owner_org, m.role"
#define GW_GROUP_ROLE "left join org_members m on m.org_id = i.org_id and m.user_id = "
void gw_store_group_of_row(struct gw_group *out, const struct db_result *r, size_t row);

#endif
