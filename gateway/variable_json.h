/*
 * variable_json.h - secrets and variables as the REST API shows and takes them. Pure.
 */
#ifndef GATEWAY_VARIABLE_JSON_H
#define GATEWAY_VARIABLE_JSON_H

#include "common/err.h"
#include "common/json.h"
#include "gateway.pb-c.h"
#include "gateway/scope.h"

json_t *gw_secret_json(const Millrace__Secret *s, const struct gw_scopes *scopes);
json_t *gw_variable_json(const Millrace__Variable *v, const struct gw_scopes *scopes);
/* Values of a body into q, malloc'ed part by part: gw_variable_values_fini(). ERR_INVALID
 * invalidVariableValues says which and why. */
int gw_variable_values(
    Millrace__VariablePutRequest *q, const json_t *values, struct err **err) MUSTCHECK;
void gw_variable_values_fini(Millrace__VariablePutRequest *q);

#endif
