/*
 * executors.h - who is connected, what each one holds, and the requests kept open for them.
 *
 * Loop thread. Nothing here is the truth: sessions are rebuilt by executors registering again,
 * attempts from the rows. Leases and offers are watched by one timer armed for the next deadline.
 */
#ifndef RUNSERVICE_EXECUTORS_H
#define RUNSERVICE_EXECUTORS_H

#include "common/json.h"
#include "executor.pb-c.h"
#include "runservice/run.h"
#include "runservice/runservice.h"
#include "runservice/scheduler.h"
#include "runservice/store.h"

#define RS_EXECUTORS_MAX 10000
#define RS_SLOTS_MAX 1000
#define RS_LABEL_SETS_MAX 4096 /* different ones since the start */
#define RS_POLL_MS 30000

struct rs_attempt {
	char task_id[ID_LEN + 1], run_id[ID_LEN + 1];
	char executor[65];
	char *owner;
	uint64_t number, fence;
	unsigned tries; /* of the task before this one */
	size_t nsteps;
	enum rs_place place; /* RS_OFFERED or RS_HELD */
	bool stop;           /* to be stopped */
	bool delivered;      /* the offer went out */
	bool closing;        /* its end was asked for */
	int64_t deadline_ms; /* monotonic: of the offer, or of the lease */
	int64_t offered_ms;  /* monotonic; 0 = by an earlier leader */
};

struct rs_executors *rs_executors_new(struct rs *rs);
void rs_executors_free(struct rs_executors *ex);
/* Forgets everything; open requests are answered ERR_UNAVAILABLE. */
void rs_executors_clear(struct rs_executors *ex);
/* Attempts as the rows have them, at the start of our leadership. */
void rs_executors_load(struct rs_executors *ex, const struct rs_attempt_row *rows, size_t n);

/* malloc'ed snapshot for the scheduler. */
struct rs_candidate *rs_executors_candidates(size_t *n, const struct rs_executors *ex);
/* A promise of slots while a dispatch job is under way; delta may be negative. */
void rs_executors_reserve(struct rs_executors *ex, const char *id, int delta);
/* Answers the parked polls that have something to hear. */
void rs_executors_flush(struct rs_executors *ex);

/* What a transaction did (actor.c). */
void rs_executors_offered(
    struct rs_executors *ex, const struct rs_run *run, const struct rs_task *t);
void rs_executors_held(struct rs_executors *ex, const struct rs_run *run, const struct rs_task *t);
void rs_executors_tell_stop(struct rs_executors *ex, const char *task_id, uint64_t fence);
void rs_executors_closed(struct rs_executors *ex, const char *task_id, uint64_t fence);
void rs_executors_renewed(
    struct rs_executors *ex, const char *task_id, uint64_t fence, int64_t sent_ms);

/* NULL when the task has no open attempt. */
const struct rs_attempt *rs_executors_attempt(const struct rs_executors *ex, const char *task_id);
/* The attempt when peer holds exactly it, else NULL with ERR_CONFLICT. */
const struct rs_attempt *rs_executors_check(const struct rs_executors *ex, const char *peer,
    const Millrace__Attempt *attempt, struct err **err);
/* ERR_CONFLICT unless this is the executor's newest session; says to register otherwise. */
int rs_executors_check_session(const struct rs_executors *ex, const char *peer, const char *session,
    struct err **err) MUSTCHECK;

/* A registered session; replaces an older one of the same executor. ERR_UNAVAILABLE when full. */
int rs_executors_register(struct rs_executors *ex, const char *id,
    const Millrace__RegisterRequest *req, struct err **err) MUSTCHECK;
void rs_executors_poll(
    struct rs_executors *ex, struct rpc_call *call, const Millrace__PollRequest *req);
void rs_executors_control(
    struct rs_executors *ex, struct rpc_call *call, const Millrace__ControlRequest *req);
/* For metrics and dumps. */
struct rs_executors_load {
	size_t polls, offers, leases;
};
struct rs_executors_load rs_executors_load_now(const struct rs_executors *ex);
/* Adds "executors" and "attempts". */
void rs_executors_dump(json_t *out, const struct rs_executors *ex);
size_t rs_executors_count(const struct rs_executors *ex);

#endif
