/*
 * rs_client.h - typed calls to the runservice. Loop thread only.
 *
 * Every call ends in exactly one callback, never from inside the call, unless it was canceled. On
 * success reply points to the message named beside the function, valid during the callback;
 * otherwise reply is NULL and *err is set (the callback may take it).
 */
#ifndef GATEWAY_RS_CLIENT_H
#define GATEWAY_RS_CLIENT_H

#include "gateway/config.h"
#include "common/err.h"
#include "common/loop.h"
#include "gateway.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

#define GW_RS_LOG_WAIT_MS 30000 /* a log read is held that long by the runservice */

struct gw_rs;
struct gw_rs_call;

typedef void (*gw_rs_fn)(const void *reply, struct err **err, void *arg);

int gw_rs_new(
    struct gw_rs **out, struct loop *loop, const struct gw_config *cfg, struct err **err) MUSTCHECK;
void gw_rs_free(struct gw_rs *rs); /* pending calls are dropped without a callback */
bool gw_rs_connected(const struct gw_rs *rs);
/* Calls that are not answered yet. */
size_t gw_rs_pending(const struct gw_rs *rs);
/* The callback of a pending call will not come. */
void gw_rs_cancel(struct gw_rs_call *call);

/* Packed RunCreateRequest -> Millrace__RunCreateReply. Sent again with the same request id while
 * the runservice is away, up to GW_RS_CREATE_MS. */
#define GW_RS_CREATE_MS 10000
struct gw_rs_call *gw_rs_run_create(
    struct gw_rs *rs, const void *packed, size_t len, gw_rs_fn fn, void *arg);
/* -> Millrace__RunListReply */
struct gw_rs_call *gw_rs_run_list(
    struct gw_rs *rs, const Millrace__RunListRequest *q, gw_rs_fn fn, void *arg);
/* -> Millrace__RunState; task_id may be NULL */
struct gw_rs_call *gw_rs_run_get(struct gw_rs *rs, const char *owner, uint64_t number,
    const char *task_id, gw_rs_fn fn, void *arg);
/* -> Millrace__RunExplainReply */
struct gw_rs_call *gw_rs_run_explain(
    struct gw_rs *rs, const char *owner, uint64_t number, gw_rs_fn fn, void *arg);
/* -> Millrace__RunState: the new run of a restart, else the run before the change */
struct gw_rs_call *gw_rs_run_action(struct gw_rs *rs, const char *owner, uint64_t number,
    const char *action, gw_rs_fn fn, void *arg);
/* -> Millrace__Empty */
struct gw_rs_call *gw_rs_task_approve(struct gw_rs *rs, const char *owner, uint64_t number,
    const char *task_id, const char *user_id, gw_rs_fn fn, void *arg);
/* -> Millrace__LogReadReply; step -1 = setup */
struct gw_rs_call *gw_rs_log_read(
    struct gw_rs *rs, const Millrace__LogReadRequest *q, gw_rs_fn fn, void *arg);
/* -> Millrace__Empty */
struct gw_rs_call *gw_rs_log_delete(
    struct gw_rs *rs, const Millrace__LogDeleteRequest *q, gw_rs_fn fn, void *arg);
/* -> Millrace__DumpReadReply; id NULL begins an export */
struct gw_rs_call *gw_rs_dump_read(
    struct gw_rs *rs, const char *id, uint64_t offset, gw_rs_fn fn, void *arg);
/* -> Millrace__Empty, both */
struct gw_rs_call *gw_rs_load_write(struct gw_rs *rs, const char *id, uint64_t offset,
    const void *p, size_t n, gw_rs_fn fn, void *arg);
struct gw_rs_call *gw_rs_load_commit(struct gw_rs *rs, const char *id, gw_rs_fn fn, void *arg);
/* Secrets and variables. -> SecretListReply, Secret, Empty; VariableListReply, Variable, Empty */
struct gw_rs_call *gw_rs_secret_list(
    struct gw_rs *rs, const Millrace__ScopeListRequest *q, gw_rs_fn fn, void *arg);
struct gw_rs_call *gw_rs_secret_put(
    struct gw_rs *rs, const Millrace__SecretPutRequest *q, gw_rs_fn fn, void *arg);
struct gw_rs_call *gw_rs_secret_delete(
    struct gw_rs *rs, const Millrace__ScopeDeleteRequest *q, gw_rs_fn fn, void *arg);
struct gw_rs_call *gw_rs_variable_list(
    struct gw_rs *rs, const Millrace__ScopeListRequest *q, gw_rs_fn fn, void *arg);
struct gw_rs_call *gw_rs_variable_put(
    struct gw_rs *rs, const Millrace__VariablePutRequest *q, gw_rs_fn fn, void *arg);
struct gw_rs_call *gw_rs_variable_delete(
    struct gw_rs *rs, const Millrace__ScopeDeleteRequest *q, gw_rs_fn fn, void *arg);
/* All of these projects and groups, which are gone. -> Millrace__Empty */
struct gw_rs_call *gw_rs_scope_delete(
    struct gw_rs *rs, const Millrace__ScopeDropRequest *q, gw_rs_fn fn, void *arg);

#endif
