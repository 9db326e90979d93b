#include "runservice/batch.h"

#include "common/clock.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "runservice/actor.h"
#include "runservice/executors.h"
#include "runservice/store.h"
#include "runservice/sweep.h"

#include <string.h>

struct list {
	struct rs_job *head, **tail;
	size_t n;
};

struct rs_batches {
	struct rs *rs;
	struct rs_kept *kept;
	struct rs_writes *writes;
	struct list waiting;
	size_t alone; /* so many of the first are to be tried one by one */
	bool busy;
	struct metric *batches, *events, *again;
};

struct batch {
	struct rs_job job;
	struct rs_batches *bs;
	struct list jobs;
	struct rs_tx tx;
	struct rs_candidate *seen; /* executors when it was submitted */
	size_t nseen;
};

static void
list_init(struct list *l)
{
	*l = (struct list){ .tail = &l->head };
}

static void
list_add(struct list *l, struct rs_job *job)
{
	job->next = NULL;
	*l->tail = job;
	l->tail = &job->next;
	l->n++;
}

static struct rs_job *
list_take(struct list *l)
{
	struct rs_job *job = l->head;
	l->head = job->next;
	if (--l->n == 0)
		l->tail = &l->head;
	return job;
}

struct rs_batches *
rs_batches_new(struct rs *rs)
{
	struct rs_batches *bs = xcalloc(1, sizeof(*bs));
	bs->rs = rs;
	bs->kept = rs_kept_new();
	bs->writes = rs_writes_new();
	list_init(&bs->waiting);
	bs->batches = metrics_counter(
	    "millrace_batches_total", "", "Transactions that stored events of runs.");
	bs->events = metrics_counter(
	    "millrace_batch_events_total", "", "Events of runs handled by those transactions.");
	bs->again = metrics_counter("millrace_batch_events_alone_total", "",
	    "Events tried again alone because their batch failed.");
	return bs;
}

void
rs_batches_free(struct rs_batches *bs)
{
	if (!bs)
		return;
	MUST(!bs->busy && bs->waiting.n == 0);
	rs_kept_free(bs->kept);
	rs_writes_free(bs->writes);
	free(bs);
}

size_t
rs_batches_waiting(const struct rs_batches *bs)
{
	return bs->waiting.n;
}

/* --- on the worker --- */

static int
apply_job(struct rs_tx *tx, struct rs_job *job, struct err **err)
{
	err_clear(&job->err);
	tx->spoiled = false;
	job->rc = job->apply(tx, job, &job->err);
	if (job->rc != 0 && (tx->spoiled || db_tx_failed(tx->db))) {
		*err = steal(&job->err);
		return job->rc;
	}
	if (rs_writes_bytes(tx->writes) > RS_BATCH_BYTES_MAX)
		return rs_tx_flush(tx, err);
	return 0;
}

static int
batch_tx(struct db *db, void *arg, struct err **err)
{
	struct batch *b = arg;
	struct rs_tx *tx = &b->tx;
	tx->db = db;
	tx->now_ms = clock_wall_ms();
	rs_kept_begin(tx->kept, tx->epoch);
	rs_writes_clear(tx->writes);
	if (b->nseen > 0)
		memcpy(tx->left, b->seen, b->nseen * sizeof(*b->seen));
	int rc = rs_store_assert_epoch(db, tx->epoch, err);
	for (struct rs_job *job = b->jobs.head; rc == 0 && job; job = job->next)
		rc = apply_job(tx, job, err);
	return rc == 0 ? rs_tx_flush(tx, err) : rc;
}

static int
batch_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_tx_run(db, batch_tx, job, err);
}

/* --- on the loop --- */

static void start(struct rs_batches *bs);

/* None of it took effect. */
static void
try_alone(struct rs_batches *bs, struct batch *b)
{
	bs->alone += b->jobs.n;
	metrics_add(bs->again, (int64_t)b->jobs.n);
	*b->jobs.tail = bs->waiting.head;
	if (bs->waiting.n == 0)
		bs->waiting.tail = b->jobs.tail;
	bs->waiting.head = b->jobs.head;
	bs->waiting.n += b->jobs.n;
	for (struct rs_job *j = b->jobs.head; j != *b->jobs.tail; j = j->next)
		err_clear(&j->err);
	list_init(&b->jobs);
}

static void
finish_jobs(struct batch *b)
{
	struct rs_job *job = &b->job;
	while (b->jobs.n > 0) {
		struct rs_job *j = list_take(&b->jobs);
		if (job->rc != 0) {
			err_clear(&j->err);
			j->rc = job->rc;
			if (b->jobs.n == 0)
				j->err = steal(&job->err);
			else
				(void)!err_set(
				    &j->err, (enum err_code)job->rc, "%s", err_msg(job->err));
		}
		job->rs->jobs--;
		j->done(j);
	}
}

static void
batch_done(struct rs_job *job)
{
	struct batch *b = (struct batch *)job;
	struct rs_batches *bs = b->bs;
	if (job->rc == 0) {
		metrics_add(bs->batches, 1);
		metrics_add(bs->events, (int64_t)b->jobs.n);
		if (job->epoch == job->rs->epoch)
			rs_apply_outcome(job->rs, bs->kept);
		rs_kept_end(bs->kept);
	} else if (!b->tx.careful && job->rc != ERR_UNAVAILABLE) {
		try_alone(bs, b);
	}
	/* While the answers are sent the next ones are worked on. */
	bs->busy = false;
	start(bs);
	finish_jobs(b);
	err_clear(&job->err);
	free(b->seen);
	free(b->tx.left);
	free(b);
}

static void
start(struct rs_batches *bs)
{
	struct rs *rs = bs->rs;
	if (bs->busy || bs->waiting.n == 0)
		return;
	struct batch *b = xcalloc(1, sizeof(*b));
	size_t max = bs->alone > 0 ? 1 : RS_BATCH_MAX;
	int64_t epoch = bs->waiting.head->epoch;
	list_init(&b->jobs);
	while (bs->waiting.n > 0 && b->jobs.n < max && bs->waiting.head->epoch == epoch)
		list_add(&b->jobs, list_take(&bs->waiting));
	b->tx.careful = bs->alone > 0;
	bs->alone -= bs->alone > 0 ? 1 : 0;
	b->bs = bs;
	b->seen = rs_executors_candidates(&b->nseen, rs->executors);
	b->tx.rs = rs;
	b->tx.epoch = epoch;
	b->tx.kept = bs->kept;
	b->tx.writes = bs->writes;
	b->tx.nleft = b->nseen;
	b->tx.left = xcalloc(b->nseen + 1, sizeof(*b->tx.left));
	b->job.quiet = true;
	b->job.work = batch_work;
	b->job.done = batch_done;
	bs->busy = true;
	rs_db_submit(rs, "batch", RS_BATCH_KEY, &b->job);
	b->job.epoch = epoch;
}

static void
refused(void *arg)
{
	struct rs_job *job = arg;
	job->rs->jobs--;
	job->done(job);
}

void
rs_batch_submit(struct rs *rs, struct rs_job *job)
{
	struct rs_batches *bs = rs->batches;
	job->rs = rs;
	job->epoch = rs->epoch;
	job->rc = 0;
	rs->jobs++;
	if (!job->quiet && rs->sweep)
		rs_sweep_wake(rs->sweep);
	if (rs->stopping || bs->waiting.n >= RS_BATCH_QUEUE_MAX) {
		job->rc = err_set(&job->err, ERR_UNAVAILABLE,
		    rs->stopping ? "runservice is stopping" : "runservice is overloaded");
		loop_defer(rs->loop, refused, job);
		return;
	}
	list_add(&bs->waiting, job);
	start(bs);
}
