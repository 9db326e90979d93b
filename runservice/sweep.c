#include "runservice/sweep.h"

#include "common/log.h"
#include "common/mem.h"
#include "runservice/actor.h"
#include "runservice/dispatch.h"
#include "runservice/executors.h"
#include "runservice/logs.h"
#include "runservice/store.h"

#include <stdio.h>
#include <string.h>

#define RETRY_MS 300
#define LOST_REASON "executor lost: it did not renew its lease in time"

struct rs_sweep {
	struct rs *rs;
	struct loop_timer *timer, *load_timer, *lease_timer;
	bool leases_busy, removing;
};

struct sweep_job {
	struct rs_job job;
	struct rs_attempt_row *rows;
	size_t nrows;
	struct id *ids; /* runs that should move */
	size_t nids;
	struct rs_run *runs;
	size_t nruns;
	char **garbage; /* keys of objects to remove, the first nremoved of them gone */
	size_t ngarbage, nremoved;
};

static void
free_job(struct sweep_job *j)
{
	for (size_t i = 0; i < j->nruns; i++)
		rs_run_fini(&j->runs[i]);
	free(j->runs);
	rs_attempt_rows_free(j->rows, j->nrows);
	free(j->ids);
	for (size_t i = 0; i < j->ngarbage; i++)
		free(j->garbage[i]);
	free(j->garbage);
	err_clear(&j->job.err);
	free(j);
}

static struct sweep_job *
new_job(struct rs_sweep *s, int (*work)(struct db *, struct rs_job *, struct err **),
    void (*done)(struct rs_job *))
{
	struct sweep_job *j = xcalloc(1, sizeof(*j));
	j->job.rs = s->rs;
	j->job.work = work;
	j->job.done = done;
	j->job.quiet = true;
	return j;
}

/* --- leases --- */

static int
leases_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct sweep_job *j = (struct sweep_job *)job;
	return rs_store_attempts_expired(&j->rows, &j->nrows, db, err);
}

static void
leases_done(struct rs_job *job)
{
	struct sweep_job *j = (struct sweep_job *)job;
	struct rs *rs = job->rs;
	if (rs->sweep)
		rs->sweep->leases_busy = false;
	if (job->rc != 0) {
		log_err(LOG_WARN, "looking for expired leases failed, trying again", &job->err);
		if (rs->sweep)
			loop_timer_start(rs->sweep->lease_timer, RETRY_MS);
	}
	for (size_t i = 0; job->epoch == rs->epoch && i < j->nrows; i++) {
		struct rs_act *act = rs_act_new(rs, j->rows[i].run_id, j->rows[i].task_id);
		act->event = RS_EV_LOST;
		act->check = act->lease_over = true;
		act->fence = j->rows[i].fence;
		act->reason = LOST_REASON;
		snprintf(act->executor, sizeof(act->executor), "%s", j->rows[i].executor);
		log_warn("executor lost", LOG_STR("executor", act->executor),
		    LOG_STR("run", act->run_id), LOG_STR("task", act->task_id));
		rs_act_submit(act);
	}
	free_job(j);
}

static void
on_leases(void *arg)
{
	rs_sweep_leases(arg);
}

void
rs_sweep_leases(struct rs_sweep *s)
{
	if (s->leases_busy || !s->rs->serving)
		return;
	s->leases_busy = true;
	rs_db_submit(s->rs, "leases", 0, &new_job(s, leases_work, leases_done)->job);
}

/* --- loading --- */

static int
load_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct sweep_job *j = (struct sweep_job *)job;
	int rc = rs_store_attempts_open(&j->rows, &j->nrows, db, NULL, err);
	if (rc == 0)
		rc = rs_store_run_active(&j->ids, &j->nids, db, err);
	if (rc != 0)
		return rc;
	j->runs = xcalloc(j->nids + 1, sizeof(*j->runs));
	for (size_t i = 0; i < j->nids; i++) {
		rc = rs_store_run_load(&j->runs[j->nruns], db, j->ids[i].s, err);
		if (rc == 0)
			j->nruns++;
		else
			return rc;
	}
	return 0;
}

static void
load_done(struct rs_job *job)
{
	struct sweep_job *j = (struct sweep_job *)job;
	struct rs *rs = job->rs;
	if (job->epoch != rs->epoch || rs->epoch == 0) {
		free_job(j);
		return;
	}
	if (job->rc != 0) {
		log_err(LOG_WARN, "loading active runs failed, trying again", &job->err);
		loop_timer_start(rs->sweep->load_timer, RETRY_MS);
	} else {
		rs_executors_load(rs->executors, j->rows, j->nrows);
		for (size_t i = 0; i < j->nruns; i++)
			rs_dispatch_run_changed(rs->dispatch, &j->runs[i]);
		rs->serving = true;
		log_info("serving", LOG_I64("runs", (int64_t)j->nruns),
		    LOG_I64("attempts", (int64_t)j->nrows));
		rs_dispatch_kick(rs->dispatch);
	}
	free_job(j);
}

static void
on_load(void *arg)
{
	struct rs_sweep *s = arg;
	if (s->rs->epoch != 0 && !s->rs->serving)
		rs_db_submit(s->rs, "load", 0, &new_job(s, load_work, load_done)->job);
}

void
rs_sweep_load(struct rs_sweep *s)
{
	on_load(s);
	rs_sweep_wake(s);
}

/* --- the slow net --- */

static int
prune_tx(struct db *db, void *arg, struct err **err)
{
	const struct rs_job *job = arg;
	int rc = rs_store_assert_epoch(db, job->epoch, err);
	return rc == 0 ? rs_store_prune(db, err) : rc;
}

static int
net_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct sweep_job *j = (struct sweep_job *)job;
	int rc = rs_store_run_stuck(&j->ids, &j->nids, db, err);
	if (rc == 0)
		rc = db_tx_run(db, prune_tx, job, err);
	if (rc == 0)
		rc = rs_store_garbage_list(&j->garbage, &j->ngarbage, db, err);
	return rc;
}

/* On the io pool: a store may be slow. What could not be removed stays for the next sweep. */
static int
remove_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct sweep_job *j = (struct sweep_job *)job;
	struct objstore *objects = job->rs->objects;
	int rc = 0;
	(void)db;
	while (j->nremoved < j->ngarbage &&
	       (rc = objects->ops->del(objects, j->garbage[j->nremoved], err)) == 0)
		j->nremoved++;
	return rc;
}

static int
forget_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct sweep_job *j = (struct sweep_job *)job;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < j->nremoved; i++)
		rc = rs_store_garbage_forget(db, j->garbage[i], err);
	return rc;
}

/* There may be more: it comes in bounded portions. */
static void
forget_done(struct rs_job *job)
{
	struct rs_sweep *s = job->rs->sweep;
	if (job->rc != 0)
		log_err(LOG_WARN, "removed objects are not forgotten yet", &job->err);
	if (s) {
		s->removing = false;
		rs_sweep_wake(s);
	}
	free_job((struct sweep_job *)job);
}

static void
remove_done(struct rs_job *job)
{
	if (job->rc != 0)
		log_err(LOG_WARN, "objects are not removed yet", &job->err);
	job->work = forget_work;
	job->done = forget_done;
	rs_db_submit(job->rs, "forget", 0, job);
}

static void
net_done(struct rs_job *job)
{
	struct sweep_job *j = (struct sweep_job *)job;
	struct rs *rs = job->rs;
	if (job->rc != 0)
		log_err(LOG_WARN, "safety sweep failed", &job->err);
	if (job->rc != 0 && rs->sweep)
		rs_sweep_wake(rs->sweep);
	for (size_t i = 0; job->epoch == rs->epoch && i < j->nids; i++) {
		struct rs_act *act = rs_act_new(rs, j->ids[i].s, "");
		log_warn("a queued run was left behind; starting it", LOG_STR("run", act->run_id));
		act->event = RS_EV_START;
		rs_act_submit(act);
	}
	if (job->rc != 0 || j->ngarbage == 0 || !rs->sweep || rs->sweep->removing) {
		free_job(j);
		return;
	}
	rs->sweep->removing = true;
	job->work = remove_work;
	job->done = remove_done;
	rs_io_submit(rs, "remove", 0, job);
}

static void
on_timer(void *arg)
{
	struct rs_sweep *s = arg;
	if (s->rs->epoch == 0)
		return;
	if (!s->rs->serving) {
		rs_sweep_wake(s);
		return;
	}
	rs_db_submit(s->rs, "sweep", 0, &new_job(s, net_work, net_done)->job);
	rs_sweep_leases(s);
	rs_dispatch_kick(s->rs->dispatch);
}

void
rs_sweep_wake(struct rs_sweep *s)
{
	if (s->rs->cfg->sweep_ms > 0 && !loop_timer_armed(s->timer))
		loop_timer_start(s->timer, s->rs->cfg->sweep_ms);
}

struct rs_sweep *
rs_sweep_new(struct rs *rs)
{
	struct rs_sweep *s = xcalloc(1, sizeof(*s));
	s->rs = rs;
	s->timer = loop_timer_new(rs->loop, "sweep", on_timer, s);
	s->load_timer = loop_timer_new(rs->loop, "load", on_load, s);
	s->lease_timer = loop_timer_new(rs->loop, "leases", on_leases, s);
	return s;
}

void
rs_sweep_free(struct rs_sweep *s)
{
	if (!s)
		return;
	loop_timer_free(s->timer);
	loop_timer_free(s->load_timer);
	loop_timer_free(s->lease_timer);
	free(s);
}
