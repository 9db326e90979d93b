/*
 * work.h - worker threads for what blocks: SQL, files, hashing, child processes.
 *
 * A job carries copies in and a result out, never pointers into loop state. run() is called on a
 * worker thread, done() afterwards on the loop thread; arg is the job's own and freed by done().
 * Jobs with the same key run one after another in submit order; key 0 means no order.
 * The queue is bounded: a full one refuses (returns false, caller still owns arg), it never waits.
 *
 * Each thread has one state object made by thread_init on that thread (a database connection, say).
 */
#ifndef COMMON_WORK_H
#define COMMON_WORK_H

#include "common/loop.h"

#include <stddef.h>
#include <stdint.h>

struct work_pool;

struct work_options {
	const char *name; /* thread name, at most 15 bytes; borrowed for ever */
	unsigned threads;
	size_t queue_max;
	void *(*thread_init)(void *arg);             /* optional */
	void (*thread_fini)(void *state, void *arg); /* optional */
	void *arg;
};

typedef void (*work_run_fn)(void *thread_state, void *arg);
typedef void (*work_done_fn)(void *arg);

struct work_pool *work_new(struct loop *loop, const struct work_options *opt);
/* Loop thread. done may be NULL. name is borrowed for ever. */
bool work_submit(struct work_pool *pool, const char *name, uint64_t key, work_run_fn run,
    work_done_fn done, void *arg);
/* Jobs queued or running. */
size_t work_pending(const struct work_pool *pool);
/* Stable non-zero key of a text (e.g. a run id). */
uint64_t work_key(const char *s);
/* Refuses new jobs, runs the queued ones, joins the threads; done() of finished jobs has been
 * posted to the loop (run the loop once more before freeing what they touch). */
void work_stop(struct work_pool *pool);
void work_free(struct work_pool *pool); /* after work_stop */

#endif
