#include "executor/logship.h"

#include "common/log.h"
#include "common/mem.h"
#include "executor.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define RETRY_MS 1000
#define ZSTD_LEVEL 1
#define ZSTD_FROM 512 /* bytes; shorter pieces are sent as they are */

struct ex_logship {
	struct ex_logship_options o;
	char *task_id, *path;
	struct loop_timer *again;
	struct ex_rs_call *call;
	struct read_job *job;
	struct ex_spool_pos at; /* where reading goes on */
	uint64_t sent, stored, flushed;
	bool end, finished, failed;
};

/* Owned by the worker pool while it runs; ship is NULL once the ship is gone. */
struct read_job {
	struct ex_logship *ship;
	char *path;
	struct ex_spool_pos at;
	uint64_t offset;
	size_t max;
	struct buf data, packed;
	struct err *err;
};

static void pump(struct ex_logship *l);

static void
again(void *arg)
{
	pump(arg);
}

struct ex_logship *
ex_logship_new(const struct ex_logship_options *opt)
{
	struct ex_logship *l = xcalloc(1, sizeof(*l));

	l->o = *opt;
	l->task_id = xstrdup(opt->task_id);
	l->path = ex_spool_file_log_path(ex_spool_dir(opt->spool), opt->step);
	l->again = loop_timer_new(opt->loop, "log ship again", again, l);
	return l;
}

void
ex_logship_free(struct ex_logship *l)
{
	if (l == NULL)
		return;
	if (l->job != NULL)
		l->job->ship = NULL;
	ex_rs_cancel(l->call);
	loop_timer_free(l->again);
	free(l->task_id);
	free(l->path);
	free(l);
}

static void
job_free(struct read_job *j)
{
	free(j->path);
	buf_free(&j->data);
	buf_free(&j->packed);
	err_clear(&j->err);
	free(j);
}

/* Runs on a worker. */
static void
read_run(void *state, void *arg)
{
	struct read_job *j = arg;
	auto_close int fd = open(j->path, O_RDONLY | O_CLOEXEC);
	size_t bound, n;

	(void)state;
	if (fd < 0) {
		err_set_errno(&j->err, errno, "open %s", j->path);
		return;
	}
	if (ex_spool_file_read(fd, &j->at, j->offset, j->max, &j->data, &j->err) != 0)
		return;
	if (j->data.len < ZSTD_FROM)
		return;
	bound = ZSTD_compressBound(j->data.len);
	n = ZSTD_compress(
	    buf_reserve(&j->packed, bound), bound, j->data.data, j->data.len, ZSTD_LEVEL);
	if (!ZSTD_isError(n) && n < j->data.len)
		j->packed.len = n;
}

static void
refused(struct ex_logship *l, struct err **err)
{
	l->failed = true;
	l->o.on_progress(err, l->o.arg);
}

static void
on_append(ProtobufCMessage *msg, struct err **err, void *arg)
{
	struct ex_logship *l = arg;
	const Millrace__LogAppendReply *reply = (const Millrace__LogAppendReply *)msg;
	uint64_t durable = ex_spool_durable(l->o.spool, l->o.step).masked;

	l->call = NULL;
	if (*err != NULL) {
		refused(l, err);
		return;
	}
	if (reply->received > durable || reply->stored > reply->received) {
		err_set(err, ERR_CONFLICT,
		    "log.append: the runservice has %llu bytes of a log of %llu",
		    (unsigned long long)reply->received, (unsigned long long)durable);
		refused(l, err);
		return;
	}
	l->sent = reply->received;
	l->stored = reply->stored;
	if (l->end && l->flushed == durable && l->stored == durable)
		l->finished = true;
	pump(l);
	l->o.on_progress(err, l->o.arg);
}

static void
append(struct ex_logship *l, const struct buf *data, bool zstd, bool flush, bool end)
{
	Millrace__LogAppendRequest req = MILLRACE__LOG_APPEND_REQUEST__INIT;
	Millrace__Attempt attempt = MILLRACE__ATTEMPT__INIT;
	const struct ex_rs_options opt = { .method = "log.append",
		.request = &req.base,
		.reply = &millrace__log_append_reply__descriptor,
		.done = on_append,
		.arg = l };

	attempt.task_id = l->task_id;
	attempt.fence = l->o.fence;
	req.attempt = &attempt;
	req.step = l->o.step;
	req.offset = l->sent;
	if (data != NULL)
		req.data = (ProtobufCBinaryData){ data->len, (uint8_t *)data->data };
	req.has_zstd = true;
	req.zstd = zstd;
	req.has_flush = true;
	req.flush = flush;
	req.has_end = true;
	req.end = end;
	l->call = ex_rs_call(l->o.rs, &opt);
}

static void
read_done(void *arg)
{
	struct read_job *j = arg;
	struct ex_logship *l = j->ship;
	bool zstd = j->packed.len > 0;

	if (l == NULL) {
		job_free(j);
		return;
	}
	l->job = NULL;
	l->at = j->at;
	if (j->err != NULL || j->data.len == 0) {
		if (j->err != NULL)
			log_err(LOG_WARN, "a spooled log cannot be read, trying again", &j->err,
			    LOG_STR("task", l->task_id));
		l->at = (struct ex_spool_pos){ 0, 0, 0 };
		loop_timer_start(l->again, RETRY_MS);
	} else {
		bool flush = l->sent + j->data.len - l->stored >= EX_LOG_FLUSH_BYTES;

		append(l, zstd ? &j->packed : &j->data, zstd, flush, false);
	}
	job_free(j);
}

static void
read_more(struct ex_logship *l, uint64_t durable)
{
	struct read_job *j = xcalloc(1, sizeof(*j));
	uint64_t left = durable - l->sent;

	j->ship = l;
	j->path = xstrdup(l->path);
	j->at = l->at;
	j->offset = l->sent;
	j->max = left < EX_LOG_PIECE_MAX ? (size_t)left : EX_LOG_PIECE_MAX;
	l->job = j;
	if (!work_submit(l->o.pool, "log read", work_key(l->path), read_run, read_done, j)) {
		l->job = NULL;
		job_free(j);
		loop_timer_start(l->again, RETRY_MS);
	}
}

static void
pump(struct ex_logship *l)
{
	uint64_t durable = ex_spool_durable(l->o.spool, l->o.step).masked;

	if (l->call != NULL || l->job != NULL || l->failed || l->finished ||
	    loop_timer_armed(l->again))
		return;
	if (l->sent < durable) {
		read_more(l, durable);
	} else if (l->end && ex_spool_settled(l->o.spool, l->o.step)) {
		l->flushed = durable;
		append(l, NULL, false, true, true);
	}
}

void
ex_logship_kick(struct ex_logship *l)
{
	pump(l);
}

void
ex_logship_end(struct ex_logship *l)
{
	l->end = true;
	pump(l);
}

uint64_t
ex_logship_stored(const struct ex_logship *l)
{
	return l->stored;
}

bool
ex_logship_finished(const struct ex_logship *l)
{
	return l->finished;
}
