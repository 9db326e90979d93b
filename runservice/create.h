/*
 * create.h - new runs: from definitions, or as restarts of finished ones. Loop thread; the work is
 * a part of a batch on a worker, idempotent by request id.
 */
#ifndef RUNSERVICE_CREATE_H
#define RUNSERVICE_CREATE_H

#include "gateway.pb-c.h"
#include "runservice/runservice.h"

#define RS_CREATE_RUNS_MAX 1000

/* Takes req over. */
void rs_create(struct rs *rs, struct rpc_call *call, Millrace__RunCreateRequest *req);
/* Answers with the RunState of the new run. */
void rs_restart(
    struct rs *rs, struct rpc_call *call, const Millrace__RunActionRequest *req, bool from_failed);

#endif
