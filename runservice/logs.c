#include "runservice/logs_int.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "runservice/dump.h"
#include "runservice/store.h"

#include <stdio.h>
#include <string.h>
#include <zstd.h>

#define PENDING_MAX 16 /* appends that wait for one tail to load, or for its bytes to be stored */

static void on_timer(void *arg);
static void store(struct rs_tail *t);

struct rs_logs *
rs_logs_new(struct rs *rs)
{
	struct rs_logs *l = xcalloc(1, sizeof(*l));
	l->rs = rs;
	l->bytes = metrics_counter("millrace_log_bytes_total", "", "Log bytes received.");
	l->held = metrics_gauge("millrace_log_memory_bytes", "", "Log bytes not stored yet.");
	return l;
}

/* --- memory accounts --- */

static size_t
task_mem(const struct rs_logs *l, const char *task_id)
{
	const size_t *n = rs_map_get(&l->mem_of_task, task_id);
	return n ? *n : 0;
}

static void
account(struct rs_logs *l, const char *task_id, size_t add, size_t sub)
{
	size_t *n = rs_map_get(&l->mem_of_task, task_id);
	if (!n) {
		n = xcalloc(1, sizeof(*n));
		rs_map_put(&l->mem_of_task, task_id, n);
	}
	*n = *n + add - sub;
	l->mem = l->mem + add - sub;
	if (*n == 0)
		free(rs_map_remove(&l->mem_of_task, task_id));
	metrics_set(l->held, (int64_t)l->mem);
}

/* --- tails --- */

struct rs_tail *
rs_logs_tail(struct rs_logs *l, const struct rs_log_id *id, bool create)
{
	char key[RS_LOG_KEY_MAX];
	snprintf(key, sizeof(key), "%s/%u/%d", id->task_id, id->tries, id->step);
	struct rs_tail *t = rs_map_get(&l->tails, key);
	if (t || !create)
		return t;
	t = xcalloc(1, sizeof(*t));
	t->l = l;
	t->life = ++l->lives;
	memcpy(t->key, key, sizeof(key));
	t->id = *id;
	t->timer = loop_timer_new(l->rs->loop, "log-segment", on_timer, t);
	rs_map_put(&l->tails, key, t);
	return t;
}

static void
free_appends(struct rs_append **list, enum err_code code, const char *msg)
{
	while (*list) {
		struct rs_append *a = *list;
		*list = a->next;
		rs_fail(a->call, code, msg);
		free(a->data);
		free(a);
	}
}

static void
free_tail(struct rs_tail *t)
{
	rs_logs_drop_readers(t);
	free_appends(&t->pending, ERR_UNAVAILABLE, "not the leader");
	free_appends(&t->flushing, ERR_UNAVAILABLE, "not the leader");
	loop_timer_free(t->timer);
	buf_free(&t->mem);
	free(t->owner);
	free(t);
}

void
rs_logs_release(struct rs_tail *t)
{
	if (t->loading || t->storing || t->lookups || t->pending || t->flushing || t->readers ||
	    t->mem.len > 0)
		return;
	if (t->loaded && !t->task_final)
		return;
	rs_map_remove(&t->l->tails, t->key);
	free_tail(t);
}

void
rs_logs_clear(struct rs_logs *l)
{
	struct rs_tail *t;
	void *n;
	for (size_t i = 0; (t = rs_map_next(&l->tails, &i)) != NULL;)
		free_tail(t);
	rs_map_fini(&l->tails);
	for (size_t i = 0; (n = rs_map_next(&l->mem_of_task, &i)) != NULL;)
		free(n);
	rs_map_fini(&l->mem_of_task);
	l->mem = 0;
	metrics_set(l->held, 0);
}

void
rs_logs_free(struct rs_logs *l)
{
	if (!l)
		return;
	rs_logs_clear(l);
	free(l);
}

static struct rs_tail *
tail_of_job(const struct rs_job *job, const char *key)
{
	struct rs *rs = job->rs;
	/* Another term of leadership has other tails. */
	return job->epoch == rs->epoch ? rs_map_get(&rs->logs->tails, key) : NULL;
}

/* --- storing segments --- */

struct segment_job {
	struct rs_job job;
	char key[RS_LOG_KEY_MAX];
	struct rs_log_id id;
	uint64_t life, fence, start, end;
	uint8_t *data;
	size_t len;
	char *object;
	uint64_t stored; /* result */
};

static void
free_segment(struct segment_job *s)
{
	err_clear(&s->job.err);
	free(s->data);
	free(s->object);
	free(s);
}

static void
answer_append(struct rs_tail *t, struct rpc_call *call)
{
	Millrace__LogAppendReply m = MILLRACE__LOG_APPEND_REPLY__INIT;
	m.received = t->received;
	m.stored = t->stored;
	rs_reply_pb(call, &m);
}

static void
answer_flushed(struct rs_tail *t)
{
	struct rs_append **at = &t->flushing;
	while (*at) {
		struct rs_append *a = *at;
		if (a->upto > t->stored) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		answer_append(t, a->call);
		free(a);
	}
}

static void
store_failed(struct rs_tail *t, struct err **err)
{
	log_err(LOG_WARN, "log segment not stored, trying again", err,
	    LOG_STR("task", t->id.task_id), LOG_I64("attempt", t->id.tries + 1),
	    LOG_I64("step", t->id.step));
	free_appends(&t->flushing, ERR_UNAVAILABLE, "the log could not be stored yet");
	loop_timer_start(t->timer, RS_LOG_SEGMENT_MS);
}

static int
row_tx(struct db *db, void *arg, struct err **err)
{
	struct segment_job *s = arg;
	const struct rs_segment seg = { .start = s->start, .end = s->end, .key = s->object };
	struct rs_attempt_row a;
	int rc = rs_store_assert_epoch(db, s->job.epoch, err);
	if (rc == 0)
		rc = rs_store_attempt_lock(&a, db, s->id.task_id, s->fence, err);
	if (rc == 0)
		rc = rs_store_log_end(&s->stored, db, &s->id, err);
	if (rc != 0)
		return rc;
	/* It was handed out again, and this log is written anew. */
	if (a.place == RS_FREE && strcmp(a.outcome, rs_status_name(RS_NOTSTARTED)) == 0)
		return rs_store_garbage_add(db, s->object, err);
	/* An earlier try was committed although its answer got lost. */
	if (s->stored > s->start)
		return rs_store_garbage_add(db, s->object, err);
	s->stored = s->end;
	return rs_store_log_add(db, &s->id, s->fence, &seg, err);
}

static int
row_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_tx_run(db, row_tx, job, err);
}

static void
row_done(struct rs_job *job)
{
	struct segment_job *s = (struct segment_job *)job;
	struct rs_tail *t = tail_of_job(job, s->key);
	if (t && t->life == s->life) {
		t->storing = false;
		if (job->rc != 0) {
			store_failed(t, &job->err);
		} else if (s->stored > t->stored) {
			uint64_t n = s->stored - t->stored;
			if (n > t->mem.len)
				n = t->mem.len;
			buf_consume(&t->mem, (size_t)n);
			account(t->l, t->id.task_id, 0, (size_t)n);
			t->stored = s->stored;
			if (t->received < t->stored)
				t->received = t->stored;
			answer_flushed(t);
		}
		if (job->rc == 0 && (t->mem.len >= RS_LOG_SEGMENT_MAX || t->flushing))
			store(t);
		else if (t->mem.len > 0 && !loop_timer_armed(t->timer))
			loop_timer_start(t->timer, RS_LOG_SEGMENT_MS);
		rs_logs_release(t);
	}
	free_segment(s);
}

static int
put_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct segment_job *s = (struct segment_job *)job;
	(void)db;
	size_t bound = ZSTD_compressBound(s->len);
	auto_free uint8_t *out = xmalloc(bound);
	size_t n = ZSTD_compress(out, bound, s->data, s->len, 3);
	if (ZSTD_isError(n))
		return err_set(err, ERR_INTERNAL, "compress a log: %s", ZSTD_getErrorName(n));
	return job->rs->objects->ops->put(job->rs->objects, s->object, out, n, err);
}

static void
put_done(struct rs_job *job)
{
	struct segment_job *s = (struct segment_job *)job;
	struct rs_tail *t = tail_of_job(job, s->key);
	if (job->rc == 0 && t && t->life == s->life) {
		job->work = row_work;
		job->done = row_done;
		rs_db_submit(job->rs, "log-row", work_key(s->key), job);
		return;
	}
	if (t && t->life == s->life) {
		t->storing = false;
		store_failed(t, &job->err);
		rs_logs_release(t);
	}
	free_segment(s);
}

static void
store(struct rs_tail *t)
{
	if (t->storing || t->mem.len == 0)
		return;
	struct segment_job *s = xcalloc(1, sizeof(*s));
	loop_timer_stop(t->timer);
	t->storing = true;
	s->job.rs = t->l->rs;
	s->job.work = put_work;
	s->job.done = put_done;
	memcpy(s->key, t->key, sizeof(s->key));
	s->id = t->id;
	s->life = t->life;
	s->fence = t->fence;
	s->start = t->stored;
	s->len = t->mem.len < RS_LOG_SEGMENT_MAX ? t->mem.len : RS_LOG_SEGMENT_MAX;
	s->end = s->start + s->len;
	s->data = xmemdup(t->mem.data, s->len);
	/* A fresh name each time: an object may be left over from a put that was not recorded. The
	 * fence tells the tries of the task apart, too. */
	char step[16] = "setup";
	if (t->id.step >= 0)
		snprintf(step, sizeof(step), "%d", t->id.step);
	s->object = xasprintf("logs/%s/%llu/%s/%llu-%.8s", t->id.task_id,
	    (unsigned long long)t->fence, step, (unsigned long long)s->start, id_new().s);
	rs_io_submit(s->job.rs, "log-put", 0, &s->job);
}

static void
on_timer(void *arg)
{
	store(arg);
}

/* --- appending --- */

static void
take_bytes(struct rs_tail *t, const struct rs_append *a)
{
	if (a->len == 0 || a->offset > t->received || a->offset + a->len <= t->received)
		return;
	size_t skip = (size_t)(t->received - a->offset);
	buf_append(&t->mem, a->data + skip, a->len - skip);
	account(t->l, t->id.task_id, a->len - skip, 0);
	metrics_add(t->l->bytes, (int64_t)(a->len - skip));
	t->received += a->len - skip;
	t->gen++;
}

static size_t
count_appends(const struct rs_append *a)
{
	size_t n = 0;
	for (; a; a = a->next)
		n++;
	return n;
}

static void
process(struct rs_tail *t, struct rs_append *a)
{
	uint64_t before = t->received;
	bool full = task_mem(t->l, t->id.task_id) + a->len > RS_LOG_TASK_MAX ||
	            t->l->mem + a->len > RS_LOG_TOTAL_MAX;
	if ((full && a->len > 0 && a->offset + a->len > t->received) ||
	    (a->flush && count_appends(t->flushing) >= PENDING_MAX)) {
		store(t);
		rs_fail(a->call, ERR_UNAVAILABLE, "too much of this log is not stored yet");
		free(a->data);
		free(a);
		return;
	}
	take_bytes(t, a);
	free(a->data);
	a->data = NULL;
	if (a->flush && t->received > t->stored) {
		a->upto = t->received;
		a->next = t->flushing;
		t->flushing = a;
		store(t);
	} else {
		answer_append(t, a->call);
		free(a);
	}
	if (t->mem.len >= RS_LOG_SEGMENT_MAX)
		store(t);
	else if (t->mem.len > 0 && !t->storing && !loop_timer_armed(t->timer))
		loop_timer_start(t->timer, RS_LOG_SEGMENT_MS);
	if (t->received != before)
		rs_logs_wake(t);
}

struct load_job {
	struct rs_job job;
	char key[RS_LOG_KEY_MAX];
	struct rs_log_id id;
	uint64_t life, end;
};

static int
load_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct load_job *j = (struct load_job *)job;
	return rs_store_log_end(&j->end, db, &j->id, err);
}

static void
load_done(struct rs_job *job)
{
	struct load_job *j = (struct load_job *)job;
	struct rs_tail *t = tail_of_job(job, j->key);
	if (t && t->life == j->life) {
		t->loading = false;
		if (job->rc == 0) {
			t->loaded = true;
			t->received = t->stored = j->end;
			struct rs_append *list = steal(&t->pending);
			while (list) {
				struct rs_append *a = list;
				list = a->next;
				a->next = NULL;
				process(t, a);
			}
		} else {
			free_appends(&t->pending, ERR_UNAVAILABLE, err_msg(job->err));
		}
		rs_logs_release(t);
	}
	err_clear(&job->err);
	free(j);
}

static void
load(struct rs_tail *t)
{
	struct load_job *j = xcalloc(1, sizeof(*j));
	t->loading = true;
	j->job.rs = t->l->rs;
	j->job.work = load_work;
	j->job.done = load_done;
	memcpy(j->key, t->key, sizeof(j->key));
	j->id = t->id;
	j->life = t->life;
	rs_db_submit(t->l->rs, "log-load", work_key(t->key), &j->job);
}

static int
unpack_data(struct rs_append *a, const Millrace__LogAppendRequest *req, struct err **err)
{
	if (!req->zstd || req->data.len == 0) {
		if (req->data.len > RS_LOG_APPEND_MAX)
			return err_set(err, ERR_INVALID, "more than %u log bytes in one request",
			    RS_LOG_APPEND_MAX);
		a->len = req->data.len;
		a->data = xmemdup(req->data.data, a->len);
		return 0;
	}
	a->data = xmalloc(RS_LOG_APPEND_MAX);
	a->len = ZSTD_decompress(a->data, RS_LOG_APPEND_MAX, req->data.data, req->data.len);
	if (ZSTD_isError(a->len))
		return err_set(err, ERR_INVALID, "log bytes cannot be decompressed: %s",
		    ZSTD_getErrorName(a->len));
	return 0;
}

void
rs_logs_append(struct rs_logs *l, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__LogAppendRequest *req)
{
	struct err *err = NULL;
	struct rs_append *a = xcalloc(1, sizeof(*a));
	if (req->step < -1 || req->step >= (int64_t)attempt->nsteps)
		err_set(&err, ERR_INVALID, "task has no step %d", req->step);
	else if (req->offset > INT64_MAX / 2)
		err_set(&err, ERR_INVALID, "log offset out of range");
	else
		(void)!unpack_data(a, req, &err);
	if (err) {
		rpc_fail(call, &err);
		free(a->data);
		free(a);
		return;
	}
	a->call = call;
	a->offset = req->offset;
	a->flush = req->flush || req->end;
	struct rs_log_id id = { .tries = attempt->tries, .step = req->step };
	memcpy(id.task_id, attempt->task_id, sizeof(id.task_id));
	struct rs_tail *t = rs_logs_tail(l, &id, true);
	if (!t->owner)
		t->owner = xstrdup(attempt->owner);
	t->number = attempt->number;
	t->fence = attempt->fence;
	if (t->loaded) {
		process(t, a);
		return;
	}
	struct rs_append **at = &t->pending;
	while (*at)
		at = &(*at)->next;
	if (count_appends(t->pending) >= PENDING_MAX) {
		rs_fail(call, ERR_UNAVAILABLE, "this log is still being opened");
		free(a->data);
		free(a);
		return;
	}
	*at = a;
	if (!t->loading)
		load(t);
}

/* --- what the run tells --- */

static void
reset_tail(struct rs_tail *t)
{
	free_appends(&t->pending, ERR_CONFLICT, "the attempt is over");
	free_appends(&t->flushing, ERR_CONFLICT, "the attempt is over");
	if (t->mem.len > 0)
		account(t->l, t->id.task_id, 0, t->mem.len);
	buf_free(&t->mem);
	loop_timer_stop(t->timer);
	t->received = t->stored = 0;
	t->loading = t->loaded = t->storing = t->step_final = t->task_final = false;
	t->life = ++t->l->lives;
	t->gen++;
}

/* Calls fn for every log of a try that is in memory. */
static void
each_tail(
    struct rs_logs *l, const struct rs_task *task, unsigned tries, void (*fn)(struct rs_tail *t))
{
	struct rs_log_id id = { .tries = tries };
	memcpy(id.task_id, task->id, sizeof(id.task_id));
	for (id.step = -1; id.step < (int)task->nsteps; id.step++) {
		struct rs_tail *t = rs_logs_tail(l, &id, false);
		if (!t)
			continue;
		fn(t);
		rs_logs_wake(t);
	}
}

void
rs_logs_reset(struct rs_logs *l, const struct rs_task *task)
{
	each_tail(l, task, task->tries, reset_tail);
}

static void
end_tail(struct rs_tail *t)
{
	t->task_final = t->step_final = true;
	t->gen++;
}

void
rs_logs_retried(struct rs_logs *l, const struct rs_task *task)
{
	for (unsigned i = 0; i < task->tries; i++)
		each_tail(l, task, i, end_tail);
}

static void
step_changed(struct rs_logs *l, const struct rs_task *task, int step, const struct rs_step *s)
{
	struct rs_log_id id = { .tries = task->tries, .step = step };
	memcpy(id.task_id, task->id, sizeof(id.task_id));
	struct rs_tail *t = rs_logs_tail(l, &id, false);
	if (!t)
		return;
	t->task_final = rs_status_final(task->status);
	t->step_final = t->task_final || rs_status_final(s->phase);
	t->gen++;
	rs_logs_wake(t);
}

void
rs_logs_run_changed(struct rs_logs *l, const struct rs_run *run)
{
	if (l->tails.n == 0)
		return;
	for (size_t i = 0; i < run->ntasks; i++) {
		const struct rs_task *task = &run->tasks[i];
		step_changed(l, task, -1, &task->setup);
		for (size_t j = 0; j < task->nsteps; j++)
			step_changed(l, task, (int)j, &task->steps[j]);
	}
}

void
rs_logs_dump(json_t *out, const struct rs_logs *l)
{
	json_t *list = json_array();
	const struct rs_tail *t;
	size_t all_flushing = 0;
	for (size_t i = 0; (t = rs_map_next(&l->tails, &i)) != NULL;) {
		size_t flushing = count_appends(t->flushing);
		all_flushing += flushing;
		if (t->mem.len == 0 && flushing == 0 && !t->readers)
			continue;
		json_append_max(list, RS_DUMP_MAX,
		    json_pack("{s:s, s:i, s:i, s:I, s:I, s:I, s:b, s:b}", "task", t->id.task_id,
		        "attempt", (int)t->id.tries + 1, "step", t->id.step, "received",
		        (json_int_t)t->received, "stored", (json_int_t)t->stored, "flushes_waiting",
		        (json_int_t)flushing, "storing", t->storing, "followed",
		        t->readers != NULL));
	}
	json_object_set_new(out, "logs",
	    json_pack("{s:I, s:I, s:I, s:I, s:o}", "tails", (json_int_t)l->tails.n, "memory_bytes",
	        (json_int_t)l->mem, "memory_max", (json_int_t)RS_LOG_TOTAL_MAX, "flushes_waiting",
	        (json_int_t)all_flushing, "list", list));
}
