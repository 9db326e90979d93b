/*
 * object_json.h - users, organizations, groups, projects and git hosts as the REST API shows them.
 * Pure.
 */
#ifndef GATEWAY_OBJECT_JSON_H
#define GATEWAY_OBJECT_JSON_H

#include "common/json.h"
#include "gateway/store_org.h"
#include "gateway/store_project.h"
#include "gateway/store_remote.h"

json_t *gw_user_json(const struct gw_user *u);
json_t *gw_private_user_json(const struct gw_user *u, const struct gw_user_more *more);
json_t *gw_org_json(const struct gw_org *o);
json_t *gw_group_json(const struct gw_group *g);
json_t *gw_project_json(const struct gw_project *p);
json_t *gw_remote_json(const struct gw_remote *r);
json_t *gw_account_json(const struct gw_account *a);
const char *gw_visibility(bool is_private);

#endif
