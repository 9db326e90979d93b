#include "gateway/store_project.h"

#include "common/mem.h"
#include "gateway/store_int.h"

#include <stdio.h>
#include <string.h>

#define PROJECT                                                                                    \
	"select p.id, p.name, p.visibility = 'private' as is_private, "                            \
	"p.visibility = 'private' or i.is_private as hidden, p.pass_vars_to_forked_pr, "           \
	"p.members_can_perform_run_actions, p.skip_ssh_host_key_check, p.remote_source_id, "       \
	"p.linked_account_id, p.default_branch, p.repository_id, p.repository_path, "              \
	"p.clone_url, p.html_url, " GW_GROUP_COLUMNS                                               \
	" from projects p cross join lateral group_info(p.parent_id) i " GW_GROUP_ROLE

const struct db_stmt gw_store_project_stmts[GW_STORE_PROJECT_NSTMTS] = {
	{ "project_by_id", PROJECT "$2::uuid where p.id = $1::uuid", 2 },
	{ "project_by_name", PROJECT "$2::uuid where p.parent_id = $1::uuid and p.name = $3", 3 },
	{ "project_children",
	    PROJECT "$2::uuid where p.parent_id = $1::uuid order by p.name collate \"C\"", 2 },
	{ "project_create",
	    "insert into projects (id, name, parent_id, visibility, remote_source_id, "
	    "linked_account_id, repository_id, repository_path, clone_url, html_url, "
	    "default_branch, ssh_private_key, webhook_secret, skip_ssh_host_key_check, "
	    "pass_vars_to_forked_pr, members_can_perform_run_actions) values ($1::uuid, $2, "
	    "$3::uuid, $4, $5::uuid, $6::uuid, $7, $8, $9, $10, $11, $12, $13, $14::boolean, "
	    "$15::boolean, $16::boolean) on conflict (parent_id, name) do nothing",
	    16 },
	{ "project_update",
	    "update projects set name = coalesce($2, name), "
	    "parent_id = coalesce($3::uuid, parent_id), visibility = coalesce($4, visibility), "
	    "pass_vars_to_forked_pr = $5::boolean, "
	    "members_can_perform_run_actions = $6::boolean where id = $1::uuid",
	    6 },
	{ "project_set_repo",
	    "update projects set linked_account_id = coalesce($2::uuid, linked_account_id), "
	    "repository_path = coalesce($3, repository_path), "
	    "default_branch = coalesce($4, default_branch), "
	    "clone_url = coalesce($5, clone_url), html_url = coalesce($6, html_url) "
	    "where id = $1::uuid",
	    6 },
	{ "project_delete", "delete from projects where id = $1::uuid", 1 },
};

void
gw_project_fini(struct gw_project *p)
{
	free(p->default_branch);
	free(p->repository_id);
	free(p->repository_path);
	free(p->clone_url);
	free(p->html_url);
	gw_group_fini(&p->parent);
	*p = (struct gw_project){ 0 };
}

void
gw_project_list_fini(struct gw_project_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		gw_project_fini(&l->rows[i]);
	free(l->rows);
	*l = (struct gw_project_list){ 0 };
}

char *
gw_project_place(const char *id, const char *field)
{
	return xasprintf("project %s %s", id, field);
}

static void
optional_id(char out[ID_LEN + 1], const struct db_result *r, size_t row, const char *column)
{
	const char *id = db_text(r, row, column);

	snprintf(out, ID_LEN + 1, "%s", id ? id : "");
}

static void
project_of_row(struct gw_project *out, const struct db_result *r, size_t row)
{
	*out = (struct gw_project){
		.is_private = db_bool(r, row, "is_private"),
		.hidden = db_bool(r, row, "hidden"),
		.pass_vars_to_forked_pr = db_bool(r, row, "pass_vars_to_forked_pr"),
		.members_can_perform_run_actions =
		    db_bool(r, row, "members_can_perform_run_actions"),
		.skip_ssh_host_key_check = db_bool(r, row, "skip_ssh_host_key_check"),
		.default_branch = xstrdup(db_text(r, row, "default_branch")),
		.repository_id = xstrdup(db_text(r, row, "repository_id")),
		.repository_path = xstrdup(db_text(r, row, "repository_path")),
		.clone_url = xstrdup(db_text(r, row, "clone_url")),
		.html_url = xstrdup(db_text(r, row, "html_url")),
	};
	snprintf(out->id, sizeof(out->id), "%s", db_text(r, row, "id"));
	snprintf(out->name, sizeof(out->name), "%s", db_text(r, row, "name"));
	optional_id(out->remote_source_id, r, row, "remote_source_id");
	optional_id(out->linked_account_id, r, row, "linked_account_id");
	gw_store_group_of_row(&out->parent, r, row);
}

static int
no_project(struct err **err)
{
	return err_set_slug(err, ERR_NOTFOUND, "projectDoesNotExist", "there is no such project");
}

static int
project_by_path(struct gw_project *out, struct db *db, const struct gw_path *path,
    const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	struct gw_group parent = { 0 };
	int rc;

	if (path->is_id) {
		rc = db_query(&r, db, err, "project_by_id", DB_TEXT(path->id.s), DB_TEXT(user_id));
	} else {
		rc = gw_store_group_by_path(&parent, db, path, user_id, err);
		/* The project is what was asked for. */
		if (rc == ERR_NOTFOUND && strcmp((*err)->slug, "projectGroupDoesNotExist") == 0) {
			err_clear(err);
			rc = no_project(err);
		}
		if (rc == 0)
			rc = db_query(&r, db, err, "project_by_name", DB_TEXT(parent.id),
			    DB_TEXT(user_id), DB_TEXT(path->name));
		gw_group_fini(&parent);
	}
	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return no_project(err);
	project_of_row(out, r, 0);
	return 0;
}

int
gw_store_project_by_ref(
    struct gw_project *out, struct db *db, const char *ref, const char *user_id, struct err **err)
{
	struct gw_path path;
	int rc = gw_path_parse(&path, ref, true, err);

	if (rc == 0)
		rc = project_by_path(out, db, &path, user_id, err);
	gw_path_fini(&path);
	return rc;
}

int
gw_store_project_children(struct gw_project_list *out, struct db *db, const char *group_id,
    const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "project_children", DB_TEXT(group_id), DB_TEXT(user_id));

	*out = (struct gw_project_list){ 0 };
	if (rc < 0)
		return rc;
	out->n = db_rows(r);
	out->rows = xcalloc(out->n + 1, sizeof(out->rows[0]));
	for (size_t i = 0; i < out->n; i++)
		project_of_row(&out->rows[i], r, i);
	return 0;
}

static int
exists(struct err **err)
{
	return err_set_slug(err, ERR_INVALID, "projectAlreadyExists",
	    "a project of this name exists there already");
}

int
gw_store_project_check_name(
    struct db *db, const char *parent_id, const char *name, struct err **err)
{
	auto_result *r = NULL;
	int rc =
	    db_query(&r, db, err, "project_by_name", DB_TEXT(parent_id), DB_NULL, DB_TEXT(name));

	if (rc == 0 && db_rows(r) > 0)
		return exists(err);
	return rc;
}

int
gw_store_project_create(struct db *db, const struct gw_project_new *p, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "project_create", DB_TEXT(p->id), DB_TEXT(p->name),
	    DB_TEXT(p->parent_id), DB_TEXT(p->is_private ? "private" : "public"),
	    DB_TEXT(p->remote_source_id), DB_TEXT(p->linked_account_id), DB_TEXT(p->repository_id),
	    DB_TEXT(p->repository_path), DB_TEXT(p->clone_url), DB_TEXT(p->html_url),
	    DB_TEXT(p->default_branch),
	    p->ssh_private_key.p ? DB_BYTES(p->ssh_private_key.p, p->ssh_private_key.n) : DB_NULL,
	    DB_BYTES(p->webhook_secret.p, p->webhook_secret.n), DB_BOOL(p->skip_ssh_host_key_check),
	    DB_BOOL(p->pass_vars_to_forked_pr), DB_BOOL(p->members_can_perform_run_actions));

	if (rc == 0 && db_affected(r) == 0)
		return exists(err);
	return rc;
}

int
gw_store_project_update(struct db *db, const struct gw_project_change *c, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "project_update", DB_TEXT(c->id), DB_TEXT(c->name),
	    DB_TEXT(c->parent_id), DB_TEXT(c->visibility), DB_BOOL(c->pass_vars_to_forked_pr),
	    DB_BOOL(c->members_can_perform_run_actions));

	if (rc == ERR_CONFLICT) {
		err_clear(err);
		return exists(err);
	}
	if (rc == 0 && db_affected(r) == 0)
		return no_project(err);
	return rc;
}

int
gw_store_project_set_repo(struct db *db, const char *id, const char *linked_account_id,
    const char *repository_path, const char *default_branch, const char *clone_url,
    const char *html_url, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "project_set_repo", DB_TEXT(id), DB_TEXT(linked_account_id),
	    DB_TEXT(repository_path), DB_TEXT(default_branch), DB_TEXT(clone_url),
	    DB_TEXT(html_url));

	if (rc == 0 && db_affected(r) == 0)
		return no_project(err);
	return rc;
}

int
gw_store_project_delete(struct db *db, const char *id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "project_delete", DB_TEXT(id));

	if (rc == 0 && db_affected(r) == 0)
		return no_project(err);
	return rc;
}
