/*
 * store_project.h - projects. Database threads only.
 */
#ifndef GATEWAY_STORE_PROJECT_H
#define GATEWAY_STORE_PROJECT_H

#include "common/err.h"
#include "gateway/keys.h"
#include "gateway/store_group.h"

struct gw_project {
	char id[ID_LEN + 1];
	char name[GW_NAME_MAX + 1];
	bool is_private, hidden; /* of its own; with all that is above it */
	bool pass_vars_to_forked_pr, members_can_perform_run_actions, skip_ssh_host_key_check;
	char remote_source_id[ID_LEN + 1]; /* "" = it is gone */
	char linked_account_id[ID_LEN + 1];
	/* malloc'ed, never NULL */
	char *default_branch, *repository_id, *repository_path, *clone_url, *html_url;
	struct gw_group parent;
};
void gw_project_fini(struct gw_project *p);
struct gw_project_list {
	struct gw_project *rows;
	size_t n;
};
void gw_project_list_fini(struct gw_project_list *l);

/* user_id: who asks, NULL for nobody. ERR_INVALID invalidPath; ERR_NOTFOUND userDoesNotExist,
 * organizationDoesNotExist, projectDoesNotExist. */
int gw_store_project_by_ref(struct gw_project *out, struct db *db, const char *ref,
    const char *user_id, struct err **err) MUSTCHECK;
/* Directly in a group, by name. */
int gw_store_project_children(struct gw_project_list *out, struct db *db, const char *group_id,
    const char *user_id, struct err **err) MUSTCHECK;

struct gw_project_new {
	char id[ID_LEN + 1];
	const char *name, *parent_id, *remote_source_id, *linked_account_id;
	const char *repository_id, *repository_path, *clone_url, *html_url, *default_branch;
	struct gw_sealed ssh_private_key, webhook_secret; /* at gw_project_place() */
	bool is_private, skip_ssh_host_key_check, pass_vars_to_forked_pr,
	    members_can_perform_run_actions;
};
/* ERR_INVALID projectAlreadyExists. */
int gw_store_project_check_name(
    struct db *db, const char *parent_id, const char *name, struct err **err) MUSTCHECK;
char *gw_project_place(const char *id, const char *field); /* malloc'ed */
/* ERR_INVALID projectAlreadyExists. */
int gw_store_project_create(
    struct db *db, const struct gw_project_new *p, struct err **err) MUSTCHECK;

struct gw_project_change {
	const char *id;
	const char *name, *parent_id, *visibility; /* NULL = unchanged */
	bool pass_vars_to_forked_pr, members_can_perform_run_actions;
};
/* ERR_INVALID projectAlreadyExists. */
int gw_store_project_update(
    struct db *db, const struct gw_project_change *c, struct err **err) MUSTCHECK;
/* What the git host says of the repository now, and through whose account; NULL = unchanged. */
int gw_store_project_set_repo(struct db *db, const char *id, const char *linked_account_id,
    const char *repository_path, const char *default_branch, const char *clone_url,
    const char *html_url, struct err **err) MUSTCHECK;
/* ERR_NOTFOUND projectDoesNotExist. */
int gw_store_project_delete(struct db *db, const char *id, struct err **err) MUSTCHECK;

#endif
