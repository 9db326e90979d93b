/*
 * handlers.h - the functions the route table names, one group per file.
 */
#ifndef GATEWAY_HANDLERS_H
#define GATEWAY_HANDLERS_H

#include "common/err.h"

struct gw_req;
struct db;

/* api_user.c */
int gw_api_user_self(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_user_list(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_user_create(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_user_get(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_user_delete(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_token_list(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_token_create(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_token_delete(struct gw_req *rq, struct db *db, struct err **err);
/* A new token of the user, as the body says (token_name, scope, expires_in): status and reply. */
int gw_token_issue(struct gw_req *rq, struct db *db, const char *user_id, struct err **err);

/* api_password.c */
void gw_api_password_change(struct gw_req *rq);
int gw_api_password_link(struct gw_req *rq, struct db *db, struct err **err);
void gw_api_password_set(struct gw_req *rq);

/* api_org.c */
int gw_api_org_of_user(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_org_list(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_org_create(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_org_get(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_org_update(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_org_delete(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_member_list(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_member_put(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_member_delete(struct gw_req *rq, struct db *db, struct err **err);

/* api_invitation.c */
int gw_api_invitation_of_user(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_invitation_action(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_invitation_list(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_invitation_create(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_invitation_get(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_invitation_delete(struct gw_req *rq, struct db *db, struct err **err);

/* api_group.c */
int gw_api_group_create(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_group_get(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_group_update(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_group_delete(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_group_subgroups(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_group_projects(struct gw_req *rq, struct db *db, struct err **err);

/* api_project.c */
int gw_api_project_get(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_project_update(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_project_delete(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_project_relink(struct gw_req *rq, struct db *db, struct err **err);

/* api_project_host.c */
void gw_api_project_create(struct gw_req *rq);
void gw_api_project_refresh(struct gw_req *rq);
void gw_api_project_reconfig(struct gw_req *rq);
void gw_api_project_createrun(struct gw_req *rq);
void gw_api_remote_repos(struct gw_req *rq);

/* api_secret.c */
void gw_api_secret_list(struct gw_req *rq);
void gw_api_secret_put(struct gw_req *rq);
void gw_api_secret_delete(struct gw_req *rq);

/* api_variable.c */
void gw_api_variable_list(struct gw_req *rq);
void gw_api_variable_put(struct gw_req *rq);
void gw_api_variable_delete(struct gw_req *rq);

/* api_remotesource.c */
int gw_api_remote_list(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_remote_create(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_remote_get(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_remote_update(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_remote_delete(struct gw_req *rq, struct db *db, struct err **err);

/* api_login.c */
void gw_api_login(struct gw_req *rq);
void gw_api_authorize(struct gw_req *rq);
void gw_api_register(struct gw_req *rq);
void gw_api_oauth2_callback(struct gw_req *rq);
void gw_api_account_create(struct gw_req *rq);
int gw_api_account_delete(struct gw_req *rq, struct db *db, struct err **err);

/* api_createrun.c */
void gw_api_createrun(struct gw_req *rq);

/* api_run.c */
void gw_api_run_list(struct gw_req *rq);
void gw_api_run_get(struct gw_req *rq);
void gw_api_run_explain(struct gw_req *rq);
void gw_api_run_action(struct gw_req *rq);
void gw_api_task_get(struct gw_req *rq);
void gw_api_task_action(struct gw_req *rq);

/* api_log.c */
void gw_api_log_get(struct gw_req *rq);
void gw_api_log_delete(struct gw_req *rq);

/* api_admin.c */
int gw_api_audit_list(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_maintenance_get(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_maintenance_on(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_maintenance_off(struct gw_req *rq, struct db *db, struct err **err);

/* api_transfer.c */
void gw_api_export(struct gw_req *rq);
void gw_api_import(struct gw_req *rq);

/* api_badge.c */
void gw_api_badge(struct gw_req *rq);

/* api_openapi.c */
void gw_api_openapi(struct gw_req *rq);

/* api_misc.c */
void gw_api_version(struct gw_req *rq);
void gw_api_config_js(struct gw_req *rq);
void gw_api_healthz(struct gw_req *rq);
int gw_api_readyz(struct gw_req *rq, struct db *db, struct err **err);
void gw_api_metrics(struct gw_req *rq);
void gw_api_state(struct gw_req *rq);

/* git_server.c */
void gw_git_info_refs(struct gw_req *rq);
void gw_git_rpc(struct gw_req *rq);
void gw_git_raw(struct gw_req *rq);

#endif
