#include "runservice/rpc_executor.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "executor.pb-c.h"
#include "runservice/actor.h"
#include "runservice/archives.h"
#include "runservice/caches.h"
#include "runservice/executors.h"
#include "runservice/logs.h"
#include "runservice/rpc_gateway.h"
#include "runservice/store.h"

#include <stdio.h>
#include <string.h>

#define VERSION_MAX 100 /* bytes */
#define GONE_REASON "executor lost: it came back without this task"

static void *
decode(struct rpc_call *call, const ProtobufCMessageDescriptor *type, const uint8_t *body,
    size_t len, struct rs *rs)
{
	if (strcmp(rpc_call_peer(call), RS_PEER_GATEWAY) == 0) {
		rs_fail(call, ERR_DENIED, "only an executor may ask this");
		return NULL;
	}
	if (!rs_serving(rs, call))
		return NULL;
	ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, len, body);
	if (!m)
		rs_fail(call, ERR_INVALID, "malformed request");
	return m;
}

/* --- lists of attempts --- */

struct held_job {
	struct rs_job job;
	char executor[65];
	char *tasks, *fences; /* array literals of what was named */
	Millrace__RegisterRequest *reg;
	Millrace__RenewRequest *renew;
	struct rs_renewed *renewed;
	size_t nrenewed;
	struct rs_attempt_row *rows; /* what the rows say this executor has */
	size_t nrows;
	int64_t sent_ms;
};

static int
list_attempts(struct held_job *j, Millrace__Attempt *const *list, size_t n, struct err **err)
{
	auto_buf tasks = BUF_INIT, fences = BUF_INIT;
	if (n > RS_ATTEMPTS_MAX)
		return err_set(err, ERR_INVALID, "more than %d attempts", RS_ATTEMPTS_MAX);
	buf_putc(&tasks, '{');
	buf_putc(&fences, '{');
	for (size_t i = 0; i < n; i++) {
		if (!id_is_valid(list[i]->task_id) || list[i]->fence > INT64_MAX)
			return err_set(err, ERR_INVALID, "malformed attempt");
		buf_printf(&tasks, "%s%s", i ? "," : "", list[i]->task_id);
		buf_printf(&fences, "%s%llu", i ? "," : "", (unsigned long long)list[i]->fence);
	}
	buf_putc(&tasks, '}');
	buf_putc(&fences, '}');
	j->tasks = buf_take(&tasks);
	j->fences = buf_take(&fences);
	return 0;
}

static struct held_job *
new_held(struct rs *rs, struct rpc_call *call,
    int (*work)(struct db *, struct rs_job *, struct err **), void (*done)(struct rs_job *))
{
	struct held_job *j = xcalloc(1, sizeof(*j));
	j->job.rs = rs;
	j->job.call = call;
	j->job.work = work;
	j->job.done = done;
	snprintf(j->executor, sizeof(j->executor), "%s", rpc_call_peer(call));
	j->sent_ms = clock_mono_ms();
	return j;
}

static void
free_held(struct held_job *j)
{
	if (j->reg)
		millrace__register_request__free_unpacked(j->reg, NULL);
	if (j->renew)
		millrace__renew_request__free_unpacked(j->renew, NULL);
	rs_attempt_rows_free(j->rows, j->nrows);
	free(j->renewed);
	free(j->tasks);
	free(j->fences);
	free(j);
}

/* --- register --- */

static int
register_tx(struct db *db, void *arg, struct err **err)
{
	struct held_job *j = arg;
	rs_attempt_rows_free(j->rows, j->nrows);
	j->rows = NULL;
	j->nrows = 0;
	int rc = rs_store_assert_epoch(db, j->job.epoch, err);
	if (rc == 0)
		rc = rs_store_attempts_adopt(
		    db, j->executor, j->reg->session, j->tasks, j->fences, err);
	if (rc == 0)
		rc = rs_store_attempts_open(&j->rows, &j->nrows, db, j->executor, err);
	return rc;
}

static int
register_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_tx_run(db, register_tx, job, err);
}

static bool
named(const Millrace__RegisterRequest *m, const struct rs_attempt_row *row)
{
	for (size_t i = 0; i < m->n_attempts; i++) {
		if (strcmp(m->attempts[i]->task_id, row->task_id) == 0 &&
		    m->attempts[i]->fence == row->fence)
			return true;
	}
	return false;
}

/* Another life of the executor held this and the present one does not know it. */
static void
lose_forgotten(struct held_job *j)
{
	for (size_t i = 0; i < j->nrows; i++) {
		const struct rs_attempt_row *row = &j->rows[i];
		if (row->place != RS_HELD || named(j->reg, row) ||
		    strcmp(row->session, j->reg->session) == 0)
			continue;
		struct rs_act *act = rs_act_new(j->job.rs, row->run_id, row->task_id);
		act->event = RS_EV_LOST;
		act->check = true;
		act->fence = row->fence;
		act->reason = GONE_REASON;
		memcpy(act->executor, j->executor, sizeof(act->executor));
		log_warn("executor forgot a task", LOG_STR("executor", j->executor),
		    LOG_STR("run", row->run_id), LOG_STR("task", row->task_id));
		rs_act_submit(act);
	}
}

static bool
still_held(const struct held_job *j, const Millrace__Attempt *a)
{
	for (size_t i = 0; i < j->nrows; i++) {
		if (strcmp(j->rows[i].task_id, a->task_id) == 0 && j->rows[i].fence == a->fence &&
		    j->rows[i].place == RS_HELD)
			return true;
	}
	return false;
}

static void
register_done(struct rs_job *job)
{
	struct held_job *j = (struct held_job *)job;
	struct err *err = NULL;
	Millrace__RegisterReply m = MILLRACE__REGISTER_REPLY__INIT;
	if (rs_job_failed(job)) {
		free_held(j);
		return;
	}
	if (job->epoch != job->rs->epoch) {
		rs_fail(job->call, ERR_UNAVAILABLE, "not the leader");
	} else if (rs_executors_register(job->rs->executors, j->executor, j->reg, &err) != 0) {
		rpc_fail(job->call, &err);
	} else {
		m.lease_ms = job->rs->cfg->lease_ms;
		m.drop = xcalloc(j->reg->n_attempts + 1, sizeof(*m.drop));
		for (size_t i = 0; i < j->reg->n_attempts; i++) {
			if (!still_held(j, j->reg->attempts[i]))
				m.drop[m.n_drop++] = j->reg->attempts[i];
		}
		rs_reply_pb(job->call, &m);
		free(m.drop);
		lose_forgotten(j);
	}
	free_held(j);
}

static void
on_register(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	struct err *err = NULL;
	Millrace__RegisterRequest *m =
	    decode(call, &millrace__register_request__descriptor, body, len, rs);
	if (!m)
		return;
	struct held_job *j = new_held(rs, call, register_work, register_done);
	j->reg = m;
	int rc = list_attempts(j, m->attempts, m->n_attempts, &err);
	if (rc == 0 &&
	    (!id_is_valid(m->session) || strlen(m->arch) > 15 || strlen(m->version) > VERSION_MAX))
		rc = err_set(&err, ERR_INVALID, "malformed session, architecture or version");
	if (rc != 0) {
		rpc_fail(call, &err);
		free_held(j);
		return;
	}
	/* Of those who hold nothing a thousand may come at once; they write nothing. */
	rs_db_submit(
	    rs, "register", m->n_attempts > 0 ? RS_BATCH_KEY : work_key(j->executor), &j->job);
}

/* --- poll, control --- */

static void
on_poll(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	Millrace__PollRequest *m = decode(call, &millrace__poll_request__descriptor, body, len, rs);
	if (!m)
		return;
	rs_executors_poll(rs->executors, call, m);
	millrace__poll_request__free_unpacked(m, NULL);
}

static void
on_control(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	Millrace__ControlRequest *m =
	    decode(call, &millrace__control_request__descriptor, body, len, rs);
	if (!m)
		return;
	if (m->n_stopping > RS_ATTEMPTS_MAX)
		rs_fail(call, ERR_INVALID, "too many attempts");
	else
		rs_executors_control(rs->executors, call, m);
	millrace__control_request__free_unpacked(m, NULL);
}

/* --- renew --- */

static int
renew_tx(struct db *db, void *arg, struct err **err)
{
	struct held_job *j = arg;
	free(j->renewed);
	j->renewed = NULL;
	int rc = rs_store_assert_epoch(db, j->job.epoch, err);
	if (rc == 0)
		rc = rs_store_attempts_renew(&j->renewed, &j->nrenewed, db, j->executor, j->tasks,
		    j->fences, j->job.rs->cfg->lease_ms, err);
	return rc;
}

static int
renew_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_tx_run(db, renew_tx, job, err);
}

static bool
was_renewed(const struct held_job *j, const Millrace__Attempt *a)
{
	for (size_t i = 0; i < j->nrenewed; i++) {
		if (j->renewed[i].fence == a->fence &&
		    strcmp(j->renewed[i].task_id, a->task_id) == 0)
			return true;
	}
	return false;
}

static void
renew_done(struct rs_job *job)
{
	struct held_job *j = (struct held_job *)job;
	Millrace__RenewReply m = MILLRACE__RENEW_REPLY__INIT;
	if (!rs_job_failed(job)) {
		m.lost = xcalloc(j->renew->n_attempts + 1, sizeof(*m.lost));
		for (size_t i = 0; i < j->renew->n_attempts; i++) {
			Millrace__Attempt *a = j->renew->attempts[i];
			if (!was_renewed(j, a))
				m.lost[m.n_lost++] = a;
			else
				rs_executors_renewed(
				    job->rs->executors, a->task_id, a->fence, j->sent_ms);
		}
		rs_reply_pb(job->call, &m);
		free(m.lost);
	}
	free_held(j);
}

static void
on_renew(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	struct err *err = NULL;
	Millrace__RenewRequest *m =
	    decode(call, &millrace__renew_request__descriptor, body, len, rs);
	if (!m)
		return;
	struct held_job *j = new_held(rs, call, renew_work, renew_done);
	j->renew = m;
	int rc = rs_executors_check_session(rs->executors, rpc_call_peer(call), m->session, &err);
	if (rc == 0)
		rc = list_attempts(j, m->attempts, m->n_attempts, &err);
	if (rc != 0) {
		rpc_fail(call, &err);
		free_held(j);
		return;
	}
	rs_db_submit(rs, "renew", RS_BATCH_KEY, &j->job);
}

/* --- one attempt: accept, begin, report --- */

/* The actor's event for a named attempt; NULL when the call was answered. */
static struct rs_act *
act_on_attempt(struct rs *rs, struct rpc_call *call, const Millrace__Attempt *attempt)
{
	const struct rs_attempt *a = rs_executors_attempt(rs->executors, attempt->task_id);
	if (!a || a->fence != attempt->fence || strcmp(a->executor, rpc_call_peer(call)) != 0) {
		rs_fail(call, ERR_CONFLICT, "not this executor's attempt (any more)");
		return NULL;
	}
	struct rs_act *act = rs_act_new(rs, a->run_id, a->task_id);
	act->check = true;
	act->fence = attempt->fence;
	snprintf(act->executor, sizeof(act->executor), "%s", a->executor);
	act->arg = call;
	return act;
}

static void
accept_done(struct rs_act *act)
{
	if (act->job.rc == ERR_NOTFOUND)
		act->job.err->code = ERR_CONFLICT;
	if (act->job.rc != 0)
		rpc_fail(act->arg, &act->job.err);
	else if (!act->reply)
		rs_fail(act->arg, ERR_CONFLICT, "the task could not be prepared and has failed");
	else
		rpc_reply(act->arg, act->reply, act->reply_len);
}

static void
on_accept(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	struct err *err = NULL;
	Millrace__AcceptRequest *m =
	    decode(call, &millrace__accept_request__descriptor, body, len, rs);
	if (!m)
		return;
	if (rs_executors_check_session(rs->executors, rpc_call_peer(call), m->session, &err) != 0) {
		/* We were restarted: the executor registers again, and then this will do. */
		if (err->code == ERR_NOTFOUND)
			err->code = ERR_UNAVAILABLE;
		rpc_fail(call, &err);
	} else {
		struct rs_act *act = act_on_attempt(rs, call, m->attempt);
		if (act) {
			act->event = RS_EV_ACCEPT;
			act->done = accept_done;
			snprintf(act->session, sizeof(act->session), "%s", m->session);
			rs_act_submit(act);
		}
	}
	millrace__accept_request__free_unpacked(m, NULL);
}

static void
empty_done(struct rs_act *act)
{
	if (act->job.rc == ERR_NOTFOUND)
		act->job.err->code = ERR_CONFLICT;
	if (act->job.rc != 0)
		rpc_fail(act->arg, &act->job.err);
	else
		rpc_reply(act->arg, NULL, 0);
}

static void
on_begin(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	struct err *err = NULL;
	Millrace__BeginRequest *m =
	    decode(call, &millrace__begin_request__descriptor, body, len, rs);
	if (!m)
		return;
	if (!rs_executors_check(rs->executors, rpc_call_peer(call), m->attempt, &err)) {
		rpc_fail(call, &err);
	} else {
		struct rs_act *act = act_on_attempt(rs, call, m->attempt);
		if (act) {
			act->begin = true;
			act->done = empty_done;
			rs_act_submit(act);
		}
	}
	millrace__begin_request__free_unpacked(m, NULL);
}

/* A final report said again: the attempt is closed and known to its row only. */
struct late_job {
	struct rs_job job;
	char executor[65], status[16];
	char task_id[ID_LEN + 1];
	uint64_t fence;
};

static int
late_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct late_job *j = (struct late_job *)job;
	struct rs_attempt_row a;
	int rc = rs_store_attempt_get(&a, db, j->task_id, j->fence, err);
	if (rc == 0 && strcmp(a.executor, j->executor) == 0 && a.place == RS_FREE &&
	    strcmp(a.outcome, j->status) == 0)
		return 0;
	if (rc != 0 && rc != ERR_NOTFOUND)
		return rc;
	err_clear(err);
	return err_set(err, ERR_CONFLICT, "not this executor's attempt (any more)");
}

static void
late_done(struct rs_job *job)
{
	if (!rs_job_failed(job))
		rpc_reply(job->call, NULL, 0);
	free(job);
}

static void
late_report(struct rs *rs, struct rpc_call *call, const Millrace__ReportRequest *m)
{
	if (!id_is_valid(m->attempt->task_id) || m->attempt->fence > INT64_MAX) {
		rs_fail(call, ERR_CONFLICT, "no such attempt");
		return;
	}
	struct late_job *j = xcalloc(1, sizeof(*j));
	j->job.rs = rs;
	j->job.call = call;
	j->job.work = late_work;
	j->job.done = late_done;
	snprintf(j->executor, sizeof(j->executor), "%s", rpc_call_peer(call));
	snprintf(j->status, sizeof(j->status), "%s", m->status);
	memcpy(j->task_id, m->attempt->task_id, ID_LEN + 1);
	j->fence = m->attempt->fence;
	rs_db_submit(rs, "late-report", 0, &j->job);
}

static void
on_report(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	Millrace__ReportRequest *m =
	    decode(call, &millrace__report_request__descriptor, body, len, rs);
	if (!m)
		return;
	const struct rs_attempt *a = rs_executors_attempt(rs->executors, m->attempt->task_id);
	if (!a || a->fence != m->attempt->fence) {
		late_report(rs, call, m);
		millrace__report_request__free_unpacked(m, NULL);
		return;
	}
	struct rs_act *act = act_on_attempt(rs, call, m->attempt);
	if (!act) {
		millrace__report_request__free_unpacked(m, NULL);
		return;
	}
	act->report = m;
	act->done = empty_done;
	rs_act_submit(act);
}

/* --- logs and archives: the attempt must be held --- */

/* NOLINTBEGIN(bugprone-macro-parentheses): names and a call */
#define WITH_ATTEMPT(type_, lower_, call_fn_)                                                      \
	struct rs *rs = arg;                                                                       \
	struct err *err = NULL;                                                                    \
	Millrace__##type_ *m = decode(call, &millrace__##lower_##__descriptor, body, len, rs);     \
	if (!m)                                                                                    \
		return;                                                                            \
	const struct rs_attempt *a =                                                               \
	    rs_executors_check(rs->executors, rpc_call_peer(call), m->attempt, &err);              \
	if (!a)                                                                                    \
		rpc_fail(call, &err);                                                              \
	else                                                                                       \
		call_fn_;                                                                          \
	millrace__##lower_##__free_unpacked(m, NULL)
/* NOLINTEND(bugprone-macro-parentheses) */

static void
on_log_append(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	WITH_ATTEMPT(LogAppendRequest, log_append_request, rs_logs_append(rs->logs, call, a, m));
}

static void
on_archive_begin(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	WITH_ATTEMPT(ArchiveBeginRequest, archive_begin_request, rs_archives_begin(rs, call, a, m));
}

static void
on_archive_urls(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	WITH_ATTEMPT(ArchiveUrlsRequest, archive_urls_request, rs_archives_urls(rs, call, a, m));
}

static void
on_archive_complete(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	WITH_ATTEMPT(
	    ArchiveCompleteRequest, archive_complete_request, rs_archives_complete(rs, call, a, m));
}

static void
on_archive_get(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	WITH_ATTEMPT(ArchiveGetRequest, archive_get_request, rs_archives_get(rs, call, a, m));
}

static void
on_cache_find(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	WITH_ATTEMPT(CacheFindRequest, cache_find_request, rs_caches_find(rs, call, a, m));
}

const struct rpc_method rs_rpc_executor[] = {
	{ "executor.register", on_register, 256 << 10 },
	{ "executor.poll", on_poll, 4 << 10 },
	{ "executor.control", on_control, 256 << 10 },
	{ "executor.renew", on_renew, 256 << 10 },
	{ "task.accept", on_accept, 4 << 10 },
	{ "task.begin", on_begin, 4 << 10 },
	{ "task.report", on_report, 1 << 20 },
	{ "log.append", on_log_append, 512 << 10 },
	{ "archive.begin", on_archive_begin, 16 << 10 },
	{ "archive.urls", on_archive_urls, 4 << 10 },
	{ "archive.complete", on_archive_complete, 2 << 20 },
	{ "archive.get", on_archive_get, 4 << 10 },
	{ "cache.find", on_cache_find, 1 << 20 },
};
const size_t rs_rpc_executor_len = ARRAY_LEN(rs_rpc_executor);
