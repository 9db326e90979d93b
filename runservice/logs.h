/*
 * logs.h - step logs: live tails in memory, segments in the object store, followers.
 *
 * A log is a run of bytes numbered from 0, of one (task, try, step); step -1 is the setup. Bytes
 * arrive in order (a gap is refused, an overlap is dropped), go to followers at once and are kept
 * in memory until a segment with them is in the object store, fsynced, and named by a committed
 * row: then they are *stored*. At most RS_LOG_TASK_MAX bytes of a task are in memory; beyond that
 * appends are answered ERR_UNAVAILABLE, which is the back-pressure.
 *
 * Loop thread; compression, files and SQL on workers.
 */
#ifndef RUNSERVICE_LOGS_H
#define RUNSERVICE_LOGS_H

#include "common/json.h"
#include "executor.pb-c.h"
#include "gateway.pb-c.h"
#include "runservice/executors.h"
#include "runservice/run.h"
#include "runservice/runservice.h"

#define RS_LOG_APPEND_MAX (256u << 10)
#define RS_LOG_READ_MAX (256u << 10)
#define RS_LOG_SEGMENT_MAX (1u << 20)
#define RS_LOG_SEGMENT_MS 1000
#define RS_LOG_TASK_MAX (4u << 20)
#define RS_LOG_TOTAL_MAX (512u << 20)
#define RS_LOG_WAIT_MAX_MS 30000

struct rs_logs *rs_logs_new(struct rs *rs);
void rs_logs_free(struct rs_logs *l);
void rs_logs_clear(struct rs_logs *l);

/* attempt is held by the caller (checked). Answers call, now or later. */
void rs_logs_append(struct rs_logs *l, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__LogAppendRequest *req);
void rs_logs_read(struct rs_logs *l, struct rpc_call *call, const Millrace__LogReadRequest *req);
void rs_logs_delete(
    struct rs_logs *l, struct rpc_call *call, const Millrace__LogDeleteRequest *req);
/* The task's present try is handed out again: its logs begin at 0 again, whatever was written. */
void rs_logs_reset(struct rs_logs *l, const struct rs_task *task);
/* The tries before the present one are over: nothing more comes of their logs. */
void rs_logs_retried(struct rs_logs *l, const struct rs_task *task);
/* Adds "logs". */
void rs_logs_dump(json_t *out, const struct rs_logs *l);
/* Steps may have started or ended. */
void rs_logs_run_changed(struct rs_logs *l, const struct rs_run *run);

#endif
