/* Followers: each read is answered from memory, from a segment, or held until something comes. */
#include "runservice/logs_int.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "runservice/state.h"
#include "runservice/store.h"

#include <string.h>
#include <zstd.h>

#define ANSWER_MARGIN_MS 200
#define OBJECT_MAX (2u << 20) /* a compressed segment */

struct rs_reader {
	struct rs_job job; /* of the lookup under way */
	struct rs_tail *tail;
	struct rpc_call *call;
	char *owner;
	uint64_t number, offset, gen;
	struct rs_log_id id;
	bool newest;         /* whose tries the lookup has to find */
	int64_t deadline_ms; /* monotonic; 0 = do not wait */
	struct loop_timer *timer;
	struct rs_reader *next;
	/* found by the lookup */
	bool task_final, started, step_final, deleted;
	uint64_t end;
	struct rs_segment seg;
	uint8_t *data;
	size_t len;
};

static void lookup(struct rs_reader *r);

static void
free_reader(struct rs_reader *r)
{
	loop_timer_free(r->timer);
	err_clear(&r->job.err);
	free(r->seg.key);
	free(r->data);
	free(r->owner);
	free(r);
}

static void
answer(struct rs_reader *r, const void *data, size_t len, bool end)
{
	Millrace__LogReadReply m = MILLRACE__LOG_READ_REPLY__INIT;
	m.data.data = (uint8_t *)(uintptr_t)data;
	m.data.len = len;
	m.end = end;
	m.has_attempt = true;
	m.attempt = r->id.tries + 1;
	rs_reply_pb(r->call, &m);
	free_reader(r);
}

static void
not_there(struct rs_reader *r, const char *why)
{
	rs_fail(r->call, ERR_NOTFOUND, why);
	free_reader(r);
}

static void
detach(struct rs_reader *r)
{
	for (struct rs_reader **at = &r->tail->readers; *at; at = &(*at)->next) {
		if (*at == r) {
			*at = r->next;
			break;
		}
	}
	r->next = NULL;
	loop_timer_stop(r->timer);
}

static void
on_wait_over(void *arg)
{
	struct rs_reader *r = arg;
	struct rs_tail *t = r->tail;
	detach(r);
	answer(r, NULL, 0, false);
	rs_logs_release(t);
}

static void
hold(struct rs_reader *r)
{
	int64_t left = r->deadline_ms - clock_mono_ms();
	if (r->deadline_ms == 0 || left <= 0) {
		answer(r, NULL, 0, false);
		return;
	}
	r->next = r->tail->readers;
	r->tail->readers = r;
	loop_timer_start(r->timer, left);
}

static void
answer_from_memory(struct rs_reader *r, struct rs_tail *t)
{
	size_t at = (size_t)(r->offset - t->stored);
	size_t n = t->mem.len - at;
	if (n > RS_LOG_READ_MAX)
		n = RS_LOG_READ_MAX;
	answer(r, t->mem.data + at, n, t->step_final && at + n == t->mem.len);
}

/* True when the tail alone could decide. */
static bool
serve_live(struct rs_reader *r, struct rs_tail *t)
{
	if (!t->loaded || !t->owner || strcmp(t->owner, r->owner) != 0 || t->number != r->number ||
	    r->offset < t->stored)
		return false;
	if (r->offset < t->received)
		answer_from_memory(r, t);
	else if (t->step_final)
		answer(r, NULL, 0, true);
	else
		hold(r);
	return true;
}

static void
serve(struct rs_reader *r)
{
	if (!serve_live(r, r->tail))
		lookup(r);
}

void
rs_logs_wake(struct rs_tail *t)
{
	struct rs_reader *list = steal(&t->readers);
	t->lookups++; /* keeps the tail */
	while (list) {
		struct rs_reader *r = list;
		list = r->next;
		r->next = NULL;
		loop_timer_stop(r->timer);
		serve(r);
	}
	t->lookups--;
	rs_logs_release(t);
}

void
rs_logs_drop_readers(struct rs_tail *t)
{
	while (t->readers) {
		struct rs_reader *r = t->readers;
		t->readers = r->next;
		rs_fail(r->call, ERR_UNAVAILABLE, "not the leader");
		free_reader(r);
	}
}

/* --- the database's view --- */

static int
find_step(struct rs_reader *r, const struct rs_run *run, struct err **err)
{
	size_t i = rs_run_find_task(run, r->id.task_id);
	if (i == RS_NO_TASK)
		return err_set(err, ERR_NOTFOUND, "task %s doesn't exist", r->id.task_id);
	const struct rs_task *t = &run->tasks[i];
	if (r->id.step < -1 || r->id.step >= (int64_t)t->nsteps)
		return err_set(
		    err, ERR_NOTFOUND, "task %s has no step %d", r->id.task_id, r->id.step);
	if (r->newest)
		r->id.tries = t->tries;
	if (r->id.tries > t->tries)
		return err_set(err, ERR_NOTFOUND, "task %s has no attempt %u yet", r->id.task_id,
		    r->id.tries + 1);
	const struct rs_try *past = r->id.tries < t->tries ? &t->past[r->id.tries] : NULL;
	const struct rs_step *setup = past ? &past->setup : &t->setup;
	const struct rs_step *s =
	    r->id.step < 0 ? setup : &(past ? past->steps : t->steps)[r->id.step];
	r->task_final = past || rs_status_final(t->status);
	r->started = s->phase != RS_NOTSTARTED;
	r->step_final = rs_status_final(s->phase) || r->task_final;
	return 0;
}

static int
load_state(struct rs_run *run, struct db *db, const char *owner, uint64_t number, bool *active,
    struct err **err)
{
	char id[ID_LEN + 1];
	void *state = NULL;
	size_t len = 0;
	int rc = rs_store_run_find(id, &state, &len, db, owner, number, err);
	if (rc != 0)
		return rc;
	*active = state == NULL;
	if (!state)
		return rs_store_run_load(run, db, id, err);
	Millrace__RunState *m = millrace__run_state__unpack(NULL, len, state);
	free(state);
	if (!m)
		return err_set(err, ERR_INTERNAL, "stored state of run %s is damaged", id);
	rs_state_to_run(run, m);
	millrace__run_state__free_unpacked(m, NULL);
	return 0;
}

static int
lookup_tx(struct db *db, void *arg, struct err **err)
{
	struct rs_reader *r = arg;
	struct rs_run run;
	bool active;
	int rc = load_state(&run, db, r->owner, r->number, &active, err);
	if (rc != 0)
		return rc;
	rc = find_step(r, &run, err);
	rs_run_fini(&run);
	if (rc != 0)
		return rc;
	free(r->seg.key);
	r->seg.key = NULL;
	return rs_store_log_find(&r->seg, &r->end, &r->deleted, db, &r->id, r->offset, err);
}

static int
lookup_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_snapshot_run(db, lookup_tx, job, err);
}

static int
read_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct rs_reader *r = (struct rs_reader *)job;
	auto_free uint8_t *packed = NULL;
	size_t n = 0, size = (size_t)(r->seg.end - r->seg.start);
	uint64_t total = 0;
	(void)db;
	int rc = job->rs->objects->ops->get(
	    &packed, &n, &total, job->rs->objects, r->seg.key, 0, OBJECT_MAX, err);
	if (rc != 0)
		return err_wrap(err, "log segment %s", r->seg.key);
	if (size == 0 || size > RS_LOG_SEGMENT_MAX)
		return err_set(err, ERR_INTERNAL, "log segment %s has a wrong size", r->seg.key);
	auto_free uint8_t *plain = xmalloc(size);
	size_t got = ZSTD_decompress(plain, size, packed, n);
	if (ZSTD_isError(got) || got != size)
		return err_set(err, ERR_INTERNAL, "log segment %s is damaged", r->seg.key);
	size_t at = (size_t)(r->offset - r->seg.start);
	r->len = size - at < RS_LOG_READ_MAX ? size - at : RS_LOG_READ_MAX;
	r->data = xmemdup(plain + at, r->len);
	return 0;
}

/* The tail a reader belongs to, or NULL (and the reader answered) when our term is over. */
static struct rs_tail *
back(struct rs_reader *r)
{
	if (r->job.epoch == r->job.rs->epoch) {
		r->tail->lookups--;
		return r->tail;
	}
	rs_fail(r->call, ERR_UNAVAILABLE, "not the leader");
	free_reader(r);
	return NULL;
}

static void
read_done(struct rs_job *job)
{
	struct rs_reader *r = (struct rs_reader *)job;
	struct rs_tail *t = back(r);
	if (!t)
		return;
	if (job->rc != 0) {
		rpc_fail(steal(&r->call), &job->err);
		free_reader(r);
	} else {
		uint64_t stop = r->offset + r->len;
		bool more = t->loaded && t->received > stop;
		answer(r, r->data, r->len, r->step_final && stop >= r->end && !more);
	}
	rs_logs_release(t);
}

static void
decide(struct rs_reader *r, struct rs_tail *t)
{
	bool changed = r->gen != t->gen;
	if (r->deleted) {
		not_there(r, "this log was deleted");
	} else if (r->seg.key) {
		t->lookups++;
		r->job.work = read_work;
		r->job.done = read_done;
		rs_io_submit(r->job.rs, "log-read", 0, &r->job);
	} else if (t->loaded && r->offset >= t->stored && r->offset < t->received) {
		answer_from_memory(r, t);
	} else if (t->loaded && r->offset < t->stored && r->offset >= r->end) {
		lookup(r); /* stored while we looked */
	} else if (r->step_final && r->started) {
		answer(r, NULL, 0, true);
	} else if (r->task_final || (!r->started && r->deadline_ms == 0 && !t->loaded)) {
		not_there(r, "this step did not start");
	} else if (changed) {
		serve(r);
	} else {
		hold(r);
	}
}

static void
lookup_done(struct rs_job *job)
{
	struct rs_reader *r = (struct rs_reader *)job;
	struct rs_tail *t = back(r);
	if (!t)
		return;
	if (job->rc != 0) {
		rpc_fail(steal(&r->call), &job->err);
		free_reader(r);
	} else if (r->newest && r->id.tries != t->id.tries) {
		/* It waited at the log of another try. */
		r->newest = false;
		r->tail = rs_logs_tail(t->l, &r->id, true);
		serve(r);
	} else {
		r->newest = false;
		decide(r, t);
	}
	rs_logs_release(t);
}

static void
lookup(struct rs_reader *r)
{
	r->tail->lookups++;
	r->gen = r->tail->gen;
	r->job.work = lookup_work;
	r->job.done = lookup_done;
	rs_db_submit(r->job.rs, "log-lookup", 0, &r->job);
}

void
rs_logs_read(struct rs_logs *l, struct rpc_call *call, const Millrace__LogReadRequest *req)
{
	bool attempt_ok =
	    !req->has_attempt || (req->attempt > 0 && req->attempt <= RS_RETRIES_MAX + 1);
	if (!id_is_valid(req->task_id) || req->offset > INT64_MAX / 2 || !attempt_ok) {
		rs_fail(call, ERR_NOTFOUND, "no such task, attempt or offset");
		return;
	}
	const struct rs_attempt *open = rs_executors_attempt(l->rs->executors, req->task_id);
	int64_t wait = req->wait_ms, left = rpc_call_remaining_ms(call) - ANSWER_MARGIN_MS;
	struct rs_reader *r = xcalloc(1, sizeof(*r));
	r->job.rs = l->rs;
	r->call = call;
	r->owner = xstrdup(req->owner);
	r->number = req->number;
	r->offset = req->offset;
	memcpy(r->id.task_id, req->task_id, ID_LEN + 1);
	r->id.step = req->step;
	r->id.tries = req->has_attempt ? req->attempt - 1 : open ? open->tries : 0;
	r->newest = !req->has_attempt && !open;
	if (wait > RS_LOG_WAIT_MAX_MS)
		wait = RS_LOG_WAIT_MAX_MS;
	if (wait > left)
		wait = left;
	r->deadline_ms = wait > 0 ? clock_mono_ms() + wait : 0;
	r->timer = loop_timer_new(l->rs->loop, "log-hold", on_wait_over, r);
	r->tail = rs_logs_tail(l, &r->id, true);
	if (r->newest)
		lookup(r);
	else
		serve(r);
}

/* --- deleting --- */

struct delete_job {
	struct rs_job job;
	char *owner;
	uint64_t number;
	char task_id[ID_LEN + 1];
	int step;
	unsigned attempt; /* 0 = all */
};

static int
delete_tx(struct db *db, void *arg, struct err **err)
{
	struct delete_job *d = arg;
	struct rs_run run;
	bool active;
	int rc = rs_store_assert_epoch(db, d->job.epoch, err);
	if (rc == 0)
		rc = load_state(&run, db, d->owner, d->number, &active, err);
	if (rc != 0)
		return rc;
	size_t i = rs_run_find_task(&run, d->task_id);
	bool known = i != RS_NO_TASK && d->step >= -1 && d->step < (int64_t)run.tasks[i].nsteps;
	unsigned attempts = known ? run.tasks[i].tries + 1 : 0;
	known &= d->attempt <= attempts;
	rs_run_fini(&run);
	if (!known)
		return err_set(err, ERR_NOTFOUND, "no such log");
	if (active)
		return err_set(err, ERR_CONFLICT, "the run is not finished");
	struct rs_log_id id = { .step = d->step };
	memcpy(id.task_id, d->task_id, sizeof(id.task_id));
	for (; rc == 0 && id.tries < attempts; id.tries++) {
		if (d->attempt == 0 || d->attempt == id.tries + 1)
			rc = rs_store_log_delete(db, &id, err);
	}
	return rc;
}

static int
delete_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_tx_run(db, delete_tx, job, err);
}

static void
delete_done(struct rs_job *job)
{
	struct delete_job *d = (struct delete_job *)job;
	Millrace__Empty m = MILLRACE__EMPTY__INIT;
	if (!rs_job_failed(job))
		rs_reply_pb(job->call, &m);
	free(d->owner);
	free(d);
}

void
rs_logs_delete(struct rs_logs *l, struct rpc_call *call, const Millrace__LogDeleteRequest *req)
{
	if (!id_is_valid(req->task_id)) {
		rs_fail(call, ERR_NOTFOUND, "no such task");
		return;
	}
	struct delete_job *d = xcalloc(1, sizeof(*d));
	d->job.rs = l->rs;
	d->job.call = call;
	d->job.work = delete_work;
	d->job.done = delete_done;
	d->owner = xstrdup(req->owner);
	d->number = req->number;
	memcpy(d->task_id, req->task_id, ID_LEN + 1);
	d->step = req->step;
	d->attempt = req->has_attempt ? req->attempt : 0;
	rs_db_submit(l->rs, "log-delete", work_key(req->task_id), &d->job);
}
