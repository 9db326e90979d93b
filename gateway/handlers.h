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
int gw_api_user_get(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_user_list(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_user_create(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_user_delete(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_token_create(struct gw_req *rq, struct db *db, struct err **err);
int gw_api_token_delete(struct gw_req *rq, struct db *db, struct err **err);

/* api_createrun.c */
void gw_api_createrun(struct gw_req *rq);

/* api_run.c */
void gw_api_run_list(struct gw_req *rq);
void gw_api_run_get(struct gw_req *rq);
void gw_api_run_action(struct gw_req *rq);
void gw_api_task_get(struct gw_req *rq);
void gw_api_task_action(struct gw_req *rq);

/* api_log.c */
void gw_api_log_get(struct gw_req *rq);
void gw_api_log_delete(struct gw_req *rq);

/* api_misc.c */
void gw_api_version(struct gw_req *rq);
void gw_api_healthz(struct gw_req *rq);
int gw_api_readyz(struct gw_req *rq, struct db *db, struct err **err);
void gw_api_metrics(struct gw_req *rq);
void gw_api_state(struct gw_req *rq);

/* git_server.c */
void gw_git_info_refs(struct gw_req *rq);
void gw_git_rpc(struct gw_req *rq);
void gw_git_raw(struct gw_req *rq);

#endif
