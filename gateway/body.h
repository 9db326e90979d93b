/*
 * body.h - what request bodies hold, as data: checked before a handler runs, and described by the
 * OpenAPI document. Pure.
 */
#ifndef GATEWAY_BODY_H
#define GATEWAY_BODY_H

#include "common/err.h"
#include "common/json.h"

#define GW_BODY_FIELDS_MAX 14

enum gw_field_type { GW_TEXT = 1, GW_BOOL, GW_TEXTS, GW_TEXT_MAP, GW_OBJECTS };

struct gw_field {
	const char *name; /* NULL ends the list */
	enum gw_field_type type;
	const char *help;
};

struct gw_body {
	const char *name;
	struct gw_field fields[GW_BODY_FIELDS_MAX + 1];
};

/* Every given field has its type; unknown ones are ignored, null is the same as absent.
 * ERR_INVALID names the field. */
int gw_body_check(const struct gw_body *b, const json_t *body, struct err **err) MUSTCHECK;
/* JSON Schema of it. */
json_t *gw_body_schema(const struct gw_body *b);

extern const struct gw_body gw_body_user_create, gw_body_token_create, gw_body_account_create,
    gw_body_login, gw_body_register, gw_body_password_link, gw_body_password_change,
    gw_body_org_create, gw_body_org_update, gw_body_member_put, gw_body_invitation_create,
    gw_body_action, gw_body_run_action, gw_body_group_create, gw_body_group_update,
    gw_body_project_create, gw_body_project_update, gw_body_project_run, gw_body_user_run,
    gw_body_remote_create, gw_body_remote_update, gw_body_secret, gw_body_variable;

#endif
