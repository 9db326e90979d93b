#include "gateway/store_group.h"

#include "common/mem.h"
#include "gateway/store_int.h"

#include <stdio.h>
#include <string.h>

const struct db_stmt gw_store_group_stmts[GW_STORE_GROUP_NSTMTS] = {
	{ "group_get",
	    "select " GW_GROUP_COLUMNS " from group_info($1::uuid) i " GW_GROUP_ROLE "$2::uuid",
	    2 },
	/* As far as the names lead; no row: there is no such owner. */
	{ "group_walk",
	    "with recursive walk as ("
	    "select g.id, 0 as level from project_groups g where "
	    "(not $1::boolean and g.user_id = (select id from users where name = $2)) or "
	    "($1::boolean and g.org_id = (select id from organizations where name = $2)) "
	    "union all "
	    "select g.id, w.level + 1 from walk w join project_groups g on g.parent_id = w.id "
	    "and g.name = (string_to_array($3, '/'))[w.level + 1]) "
	    "select id, level from walk order by level desc limit 1",
	    3 },
	{ "group_children",
	    "select " GW_GROUP_COLUMNS " from project_groups g "
	    "cross join lateral group_info(g.id) i " GW_GROUP_ROLE "$2::uuid "
	    "where g.parent_id = $1::uuid order by g.name collate \"C\"",
	    2 },
	{ "group_create",
	    "insert into project_groups (id, name, parent_id, visibility) "
	    "select $1::uuid, $3, id, $4 from project_groups where id = $2::uuid "
	    "on conflict (parent_id, name) do nothing",
	    4 },
	{ "group_lock_tree", "select pg_advisory_xact_lock(hashtext('millrace group moves'))", 0 },
	{ "group_above",
	    "with recursive up as (select id, parent_id from project_groups where id = $1::uuid "
	    "union all select p.id, p.parent_id from up join project_groups p "
	    "on p.id = up.parent_id) select 1 from up where id = $2::uuid",
	    2 },
	{ "group_chain",
	    "with recursive up as (select id, parent_id, 0 as level from project_groups "
	    "where id = $1::uuid union all select p.id, p.parent_id, up.level + 1 from up "
	    "join project_groups p on p.id = up.parent_id) select id from up order by level",
	    1 },
	{ "group_namesake",
	    "select 1 from project_groups g where g.parent_id = coalesce($2::uuid, "
	    "(select parent_id from project_groups where id = $1::uuid)) and g.name = "
	    "coalesce($3, (select name from project_groups where id = $1::uuid)) "
	    "and g.id <> $1::uuid",
	    3 },
	{ "group_update",
	    "update project_groups set name = coalesce($2, name), "
	    "parent_id = coalesce($3::uuid, parent_id), visibility = coalesce($4, visibility) "
	    "where id = $1::uuid",
	    4 },
	{ "group_delete",
	    "delete from project_groups where id = $1::uuid and parent_id is not null", 1 },
};

void
gw_group_fini(struct gw_group *g)
{
	free(g->path);
	free(g->parent_path);
	*g = (struct gw_group){ 0 };
}

void
gw_group_list_fini(struct gw_group_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		gw_group_fini(&l->rows[i]);
	free(l->rows);
	*l = (struct gw_group_list){ 0 };
}

void
gw_store_group_of_row(struct gw_group *out, const struct db_result *r, size_t row)
{
	const char *org = db_text(r, row, "owner_org");
	const char *role = db_text(r, row, "role");

	*out = (struct gw_group){ 0 };
	snprintf(out->id, sizeof(out->id), "%s", db_text(r, row, "group_id"));
	snprintf(out->name, sizeof(out->name), "%s", db_text(r, row, "group_name"));
	out->path = xstrdup(db_text(r, row, "group_path"));
	out->parent_path = xstrdup(db_text(r, row, "group_parent"));
	out->is_private = db_bool(r, row, "group_private");
	out->hidden = db_bool(r, row, "group_hidden");
	out->depth = (unsigned)db_i64(r, row, "group_depth");
	out->org = org != NULL;
	snprintf(
	    out->owner_id, sizeof(out->owner_id), "%s", org ? org : db_text(r, row, "owner_user"));
	snprintf(out->role, sizeof(out->role), "%s", role ? role : "");
}

static int
no_group(struct err **err)
{
	return err_set_slug(
	    err, ERR_NOTFOUND, "projectGroupDoesNotExist", "there is no such project group");
}

static int
group_by_id(
    struct gw_group *out, struct db *db, const char *id, const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "group_get", DB_TEXT(id), DB_TEXT(user_id));

	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return no_group(err);
	gw_store_group_of_row(out, r, 0);
	return 0;
}

int
gw_store_group_by_path(struct gw_group *out, struct db *db, const struct gw_path *path,
    const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc;

	if (path->is_id)
		return group_by_id(out, db, path->id.s, user_id, err);
	rc = db_query(&r, db, err, "group_walk", DB_BOOL(path->org), DB_TEXT(path->owner),
	    DB_TEXT(path->groups));
	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return path->org ? err_set_slug(err, ERR_NOTFOUND, "organizationDoesNotExist",
		                       "there is no organization %.100s", path->owner)
		                 : err_set_slug(err, ERR_NOTFOUND, "userDoesNotExist",
		                       "there is no user %.100s", path->owner);
	if (db_i64(r, 0, "level") != (int64_t)gw_path_depth(path->groups))
		return no_group(err);
	return group_by_id(out, db, db_text(r, 0, "id"), user_id, err);
}

int
gw_store_group_by_ref(
    struct gw_group *out, struct db *db, const char *ref, const char *user_id, struct err **err)
{
	struct gw_path path;
	int rc = gw_path_parse(&path, ref, false, err);

	if (rc == 0)
		rc = gw_store_group_by_path(out, db, &path, user_id, err);
	gw_path_fini(&path);
	return rc;
}

int
gw_store_group_children(
    struct gw_group_list *out, struct db *db, const char *id, const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "group_children", DB_TEXT(id), DB_TEXT(user_id));

	*out = (struct gw_group_list){ 0 };
	if (rc < 0)
		return rc;
	out->n = db_rows(r);
	out->rows = xcalloc(out->n + 1, sizeof(out->rows[0]));
	for (size_t i = 0; i < out->n; i++)
		gw_store_group_of_row(&out->rows[i], r, i);
	return 0;
}

static int
exists(struct err **err)
{
	return err_set_slug(err, ERR_INVALID, "projectGroupAlreadyExists",
	    "a project group of this name exists there already");
}

int
gw_store_group_create(char id[ID_LEN + 1], struct db *db, const char *parent_id, const char *name,
    bool is_private, struct err **err)
{
	struct id fresh = id_new();
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "group_create", DB_TEXT(fresh.s), DB_TEXT(parent_id),
	    DB_TEXT(name), DB_TEXT(is_private ? "private" : "public"));

	if (rc < 0)
		return rc;
	if (db_affected(r) == 0)
		return exists(err);
	snprintf(id, ID_LEN + 1, "%s", fresh.s);
	return 0;
}

/* One move at a time: two that put groups below each other would leave the tree. */
static int
check_move(struct db *db, const struct gw_group_change *c, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(NULL, db, err, "group_lock_tree");

	if (rc == 0)
		rc = db_query(&r, db, err, "group_above", DB_TEXT(c->parent_id), DB_TEXT(c->id));
	if (rc == 0 && db_rows(r) > 0)
		return err_set(err, ERR_INVALID,
		    "parent_ref: a project group cannot be moved into itself or below itself");
	return rc;
}

static int
update(struct db *db, void *arg, struct err **err)
{
	const struct gw_group_change *c = arg;
	auto_result *same = NULL;
	auto_result *r = NULL;
	int rc = c->parent_id ? check_move(db, c, err) : 0;

	if (rc == 0)
		rc = db_query(&same, db, err, "group_namesake", DB_TEXT(c->id),
		    DB_TEXT(c->parent_id), DB_TEXT(c->name));
	if (rc == 0 && db_rows(same) > 0)
		return exists(err);
	if (rc == 0)
		rc = db_query(&r, db, err, "group_update", DB_TEXT(c->id), DB_TEXT(c->name),
		    DB_TEXT(c->parent_id), DB_TEXT(c->visibility));
	if (rc == 0 && db_affected(r) == 0)
		return no_group(err);
	return rc;
}

int
gw_store_group_update(struct db *db, const struct gw_group_change *c, struct err **err)
{
	/* update() changes nothing of it. */
	return db_tx_run(db, update, (void *)(uintptr_t)c, err);
}

int
gw_store_group_delete(struct db *db, const char *id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "group_delete", DB_TEXT(id));

	if (rc == 0 && db_affected(r) == 0)
		return no_group(err);
	return rc;
}

int
gw_store_group_chain(struct id **ids, size_t *n, struct db *db, const char *id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "group_chain", DB_TEXT(id));

	if (rc < 0)
		return rc;
	*n = db_rows(r);
	*ids = xcalloc(*n + 1, sizeof(**ids));
	for (size_t i = 0; i < *n; i++)
		snprintf((*ids)[i].s, sizeof((*ids)[i].s), "%s", db_text(r, i, "id"));
	return 0;
}
