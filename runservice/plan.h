/*
 * plan.h - what an executor needs to run a task: the answer to task.accept. Worker thread, inside
 * the accepting transaction. The only place where a run's variables are opened, and only those
 * that this task names.
 */
#ifndef RUNSERVICE_PLAN_H
#define RUNSERVICE_PLAN_H

#include "common/db.h"
#include "common/rpc.h"
#include "runservice/keyring.h"
#include "runservice/run.h"

#define RS_PLAN_MAX (RPC_MESSAGE_MAX - 65536u) /* an answer's bytes */

/* reply (malloc'ed, free with xfree_secret): a packed AcceptReply. definition: packed, or NULL:
 * read it. ERR_INVALID, ERR_INTERNAL: it can never be made. */
int rs_plan_make(void **reply, size_t *len, struct db *db, const struct rs_run *run, size_t task,
    const void *definition, size_t definition_len, struct rs_keyring *keys, int64_t lease_ms,
    struct err **err) MUSTCHECK;

#endif
