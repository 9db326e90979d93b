/*
 * run_json.h - runs and tasks as the REST API shows them. Pure.
 */
#ifndef GATEWAY_RUN_JSON_H
#define GATEWAY_RUN_JSON_H

#include "common/json.h"
#include "gateway.pb-c.h"
#include "run.pb-c.h"

json_t *gw_run_item_json(const Millrace__RunState *run); /* RunsItem, of a list */
json_t *gw_run_json(const Millrace__RunState *run);      /* Run */
json_t *gw_explain_json(const Millrace__RunExplainReply *m);
json_t *gw_task_json(const Millrace__TaskState *task); /* RunTask; wants step_specs */

#endif
