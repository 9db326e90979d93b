/*
 * query.h - runs as the gateway sees them. Loop thread; SQL on workers.
 */
#ifndef RUNSERVICE_QUERY_H
#define RUNSERVICE_QUERY_H

#include "gateway.pb-c.h"
#include "runservice/runservice.h"

#define RS_LIST_MAX 100

/* Answers call with the RunState; task_id may be NULL. */
void rs_query_get(
    struct rs *rs, struct rpc_call *call, const char *owner, uint64_t number, const char *task_id);
void rs_query_list(struct rs *rs, struct rpc_call *call, const Millrace__RunListRequest *req);
/* Answers call with the RunExplainReply. */
void rs_query_explain(struct rs *rs, struct rpc_call *call, const char *owner, uint64_t number);
/* Finds an active run: fn gets its id, or NULL when call was answered with an error, or "" when the
 * run is over and this request (id, "" = none) had been served before. */
void rs_query_active(struct rs *rs, struct rpc_call *call, const char *owner, uint64_t number,
    const char *request_id,
    void (*fn)(struct rs *rs, struct rpc_call *call, const char *run_id, void *arg), void *arg);

#endif
