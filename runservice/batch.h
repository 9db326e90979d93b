/*
 * batch.h - events of many runs, each a job, in one transaction: group commit.
 *
 * While one batch is being worked on and committed, jobs gather; then they are the next batch, at
 * most RS_BATCH_MAX of them. So a lone event waits for nothing, and under load a commit serves
 * hundreds. One batch is under way at a time: the runs stay in memory between them (kept.h). A job
 * that is refused does not disturb the others; when one makes the whole transaction fail, none
 * took effect and each is tried again alone. More than RS_BATCH_QUEUE_MAX waiting jobs: the next is
 * refused with ERR_UNAVAILABLE. Loop thread, but for the jobs' apply().
 */
#ifndef RUNSERVICE_BATCH_H
#define RUNSERVICE_BATCH_H

#include "common/db.h"
#include "runservice/kept.h"
#include "runservice/runservice.h"
#include "runservice/scheduler.h"
#include "runservice/store_write.h"

#define RS_BATCH_MAX 512
#define RS_BATCH_QUEUE_MAX 20000
/* Rows that are collected before they are sent, in bytes. */
#define RS_BATCH_BYTES_MAX (4u << 20)

/* What apply() of a job works with. */
struct rs_tx {
	const struct rs *rs; /* constants only */
	struct db *db;
	int64_t epoch, now_ms;
	struct rs_kept *kept;
	struct rs_writes *writes;
	struct rs_candidate *left; /* what is left of the executors in this try */
	size_t nleft;
	bool careful; /* alone, after its batch failed: look for what may be the cause */
	bool spoiled; /* set by a job that fails after it changed something: nothing is committed */
};

struct rs_batches *rs_batches_new(struct rs *rs);
void rs_batches_free(struct rs_batches *bs); /* NULL allowed; nothing may be under way */
/* Jobs that wait for the next batch. */
size_t rs_batches_waiting(const struct rs_batches *bs);
/* job->apply and ->done are set, key and ->work are not used. */
void rs_batch_submit(struct rs *rs, struct rs_job *job);
/* Jobs of the worker pool with this key run between batches, never beside one. */
#define RS_BATCH_KEY 1

#endif
