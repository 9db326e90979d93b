/*
 * actor.h - one event of one run, as one transaction.
 *
 * On a worker thread: assert our leadership, lock and load the run, apply the event (run.h), choose
 * executors for what became ready, store the new state and its effects, commit. Back on the loop
 * the outcome is handed to dispatch, executors and logs in the same turn, then the caller's done
 * runs. A run that finished starts the next one of its group in the same transaction.
 */
#ifndef RUNSERVICE_ACTOR_H
#define RUNSERVICE_ACTOR_H

#include "common/db.h"
#include "executor.pb-c.h"
#include "runservice/run.h"
#include "runservice/runservice.h"
#include "runservice/scheduler.h"

/* So often a task that did not begin is tried anew; then it counts as lost. */
#define RS_TRIES_MAX 3

/* The runs a transaction touched, as they were at its end. */
struct rs_outcome {
	struct rs_run *runs;
	size_t n;
};
void rs_outcome_fini(struct rs_outcome *out);

/* What every writing transaction about runs carries. */
struct rs_tx {
	const struct rs *rs; /* constants only */
	struct db *db;
	int64_t epoch, now_ms;
	const struct rs_candidate *seen; /* executors when the job was submitted */
	size_t nseen;
	struct rs_candidate *left; /* what is left of them in this try */
	const char *session;       /* of the executor that accepts */
	struct rs_outcome out;
};
/* At the start of each try. */
int rs_tx_begin(struct rs_tx *tx, struct err **err) MUSTCHECK;
void rs_tx_fini(struct rs_tx *tx);
/* Assigns ready tasks, stores run and effects, follows up in the group. Takes *run over. */
int rs_tx_store(struct rs_tx *tx, struct rs_run *run, struct err **err) MUSTCHECK;

struct rs_act {
	struct rs_job job;
	char run_id[ID_LEN + 1], task_id[ID_LEN + 1]; /* task_id "" = the run itself */
	enum rs_event event;                          /* 0: nothing but to assign what is ready */
	bool ready_only;                              /* nothing ready is no change: do not store */
	bool check;      /* the attempt must be (task, fence) held or offered by executor */
	bool lease_over; /* only when the lease has really run out (RS_EV_LOST) */
	uint64_t fence;
	char executor[65], session[65];
	const char *reason; /* literal */
	char user[65];      /* who approves */
	Millrace__ReportRequest *report;
	char request_id[ID_LEN + 1]; /* "" = none; makes a gateway's request idempotent */
	struct rs_candidate *seen;
	size_t nseen;
	size_t reserved; /* dispatch's: how many of seen it promised */
	/* results */
	void *reply;
	size_t reply_len;
	bool repeated; /* the request had been answered before */
	struct rs_tx tx;
	void (*done)(struct rs_act *act); /* loop; after the outcome was applied; may be NULL */
	void *arg;
};

struct rs_act *rs_act_new(struct rs *rs, const char *run_id, const char *task_id);
/* Takes act over; it is freed after done. */
void rs_act_submit(struct rs_act *act, const char *name);
/* Hands an outcome to everyone who needs it. Loop. */
void rs_apply_outcome(struct rs *rs, const struct rs_outcome *out);

#endif
