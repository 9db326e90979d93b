/*
 * scopes.h - secrets and variables of projects and project groups, as the gateway manages them.
 * Values come in and are sealed; they never go out this way. Loop thread; each request is one
 * transaction on a worker, writing ones are idempotent by request id.
 */
#ifndef RUNSERVICE_SCOPES_H
#define RUNSERVICE_SCOPES_H

#include "common/rpc.h"

#define RS_SCOPED_MAX 1000      /* secrets, and variables, of one scope */
#define RS_SECRET_KEYS_MAX 1000 /* of one secret's data */
#define RS_SECRET_VALUE_MAX (512u << 10)
#define RS_SCOPED_NAME_MAX 255 /* bytes of a name or key */
#define RS_VARIABLE_VALUES_MAX 100
#define RS_VARIABLE_BYTES_MAX (64u << 10) /* of all of a variable */

extern const struct rpc_method rs_rpc_scopes[];
extern const size_t rs_rpc_scopes_len;

#endif
