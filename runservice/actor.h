/*
 * actor.h - one event of one run, as a part of a batch's transaction.
 *
 * On a worker thread: take the run (kept.h), apply the event (run.h), choose executors for what
 * became ready, collect the new state and its effects; the batch writes and commits (batch.h). Back
 * on the loop the outcome is handed to dispatch, executors and logs in the same turn, then the
 * caller's done runs. A run that finished starts the next one of its group in the same transaction.
 */
#ifndef RUNSERVICE_ACTOR_H
#define RUNSERVICE_ACTOR_H

#include "executor.pb-c.h"
#include "runservice/batch.h"
#include "runservice/run.h"
#include "runservice/runservice.h"

/* So often a task that did not begin is tried anew; then it counts as lost. */
#define RS_TRIES_MAX 3

/* Assigns ready tasks to executors of list (what is left of them is left there), collects what is
 * to be written, follows up in the group. */
int rs_tx_store(struct rs_tx *tx, struct rs_kept_run *kept, struct rs_candidate *list, size_t n,
    const char *session, struct err **err) MUSTCHECK;
/* Sends what was collected so far, for who reads rows. */
int rs_tx_flush(struct rs_tx *tx, struct err **err) MUSTCHECK;

struct rs_act {
	struct rs_job job;
	char run_id[ID_LEN + 1], task_id[ID_LEN + 1]; /* task_id "" = the run itself */
	enum rs_event event;                          /* 0: nothing but to assign what is ready */
	bool begin;                                   /* no event: the attempt begins */
	bool ready_only;                              /* nothing ready is no change: do not store */
	bool check;      /* the attempt must be (task, fence) held or offered by executor */
	bool lease_over; /* only when the lease has really run out (RS_EV_LOST) */
	uint64_t fence;
	char executor[65], session[65];
	const char *reason; /* literal */
	char user[65];      /* who approves */
	Millrace__ReportRequest *report;
	char request_id[ID_LEN + 1]; /* "" = none; makes a gateway's request idempotent */
	struct rs_candidate *seen;   /* dispatch's: what it promised; NULL: who is free then */
	size_t nseen;
	/* results */
	void *reply;
	size_t reply_len;
	bool repeated;                    /* the request had been answered before */
	bool stored;                      /* it changed the run */
	void (*done)(struct rs_act *act); /* loop; after the outcome was applied; may be NULL */
	void *arg;
};

struct rs_act *rs_act_new(struct rs *rs, const char *run_id, const char *task_id);
/* Takes act over; it is freed after done. */
void rs_act_submit(struct rs_act *act);
/* Hands what a transaction touched to everyone who needs it. Loop. */
void rs_apply_outcome(struct rs *rs, const struct rs_kept *kept);

#endif
