#include "runservice/actor.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "runservice/dispatch.h"
#include "runservice/executors.h"
#include "runservice/logs.h"
#include "runservice/plan.h"
#include "runservice/report.h"
#include "runservice/state.h"
#include "runservice/store.h"

#include <string.h>

void
rs_outcome_fini(struct rs_outcome *out)
{
	for (size_t i = 0; i < out->n; i++)
		rs_run_fini(&out->runs[i]);
	free(out->runs);
	*out = (struct rs_outcome){ 0 };
}

int
rs_tx_begin(struct rs_tx *tx, struct err **err)
{
	rs_outcome_fini(&tx->out);
	free(tx->left);
	tx->left = tx->nseen ? xmemdup(tx->seen, tx->nseen * sizeof(*tx->seen)) : NULL;
	tx->now_ms = clock_wall_ms();
	return rs_store_assert_epoch(tx->db, tx->epoch, err);
}

void
rs_tx_fini(struct rs_tx *tx)
{
	rs_outcome_fini(&tx->out);
	free(tx->left);
	tx->left = NULL;
}

/* --- storing --- */

static int
assign_ready(struct rs_tx *tx, struct rs_run *run, struct err **err)
{
	for (size_t i = 0; i < run->ntasks; i++) {
		if (!rs_run_task_ready(run, i))
			continue;
		struct rs_task *t = &run->tasks[i];
		size_t c = rs_scheduler_choose(tx->left, tx->nseen, t->arch, t->privileged);
		if (c == RS_NO_CANDIDATE)
			continue;
		MUST(tx->left != NULL && c < tx->nseen);
		int rc = rs_run_apply(run, RS_EV_ASSIGN, i, tx->now_ms, NULL, err);
		if (rc != 0)
			return rc;
		tx->left[c].free--;
		free(t->executor);
		t->executor = xstrdup(tx->left[c].id);
	}
	return 0;
}

static int
store_effect(
    struct rs_tx *tx, const struct rs_run *run, const struct rs_effect *e, struct err **err)
{
	const struct rs_task *t = e->task == RS_NO_TASK ? NULL : &run->tasks[e->task];
	int rc = 0;
	if (e->fx & RS_FX_EVENT)
		rc = rs_store_event_put(tx->db, run, err);
	if (rc == 0 && t && (e->fx & RS_FX_OFFER))
		rc = rs_store_attempt_offer(tx->db, run->id, t, err);
	if (rc == 0 && t && (e->fx & RS_FX_LEASE))
		rc = rs_store_attempt_hold(tx->db, t->id, e->fence, tx->session ? tx->session : "",
		    tx->rs->cfg->lease_ms, err);
	if (rc == 0 && t && (e->fx & RS_FX_CLOSE))
		rc =
		    rs_store_attempt_close(tx->db, t->id, e->fence, rs_status_name(t->status), err);
	if (rc == 0 && t && (e->fx & RS_FX_RESET))
		rc = rs_store_log_reset(tx->db, t->id, err);
	return rc;
}

static int
finish_run(struct rs_tx *tx, const struct rs_run *run, struct err **err)
{
	void *packed = NULL;
	size_t len = 0;
	int rc = rs_store_definition_get(&packed, &len, tx->db, run->id, err);
	if (rc != 0)
		return rc;
	Millrace__RunSpec *spec = millrace__run_spec__unpack(NULL, len, packed);
	free(packed);
	if (!spec)
		return err_set(
		    err, ERR_INTERNAL, "stored definition of run %s is damaged", run->id);
	Millrace__RunState *state = rs_state_of_run(run, spec, NULL, 0);
	auto_free void *bytes = rs_pack(&len, state);
	millrace__run_state__free_unpacked(state, NULL);
	millrace__run_spec__free_unpacked(spec, NULL);
	return rs_store_run_finish(tx->db, run, bytes, len, err);
}

static int
start_next(struct rs_tx *tx, const char *group, struct err **err)
{
	char id[ID_LEN + 1];
	struct rs_run run;
	int rc = rs_store_group_next(id, tx->db, group, err);
	if (rc != 0)
		return rc;
	rc = rs_store_group_running(tx->db, group, *id ? id : NULL, err);
	if (rc != 0 || *id == '\0')
		return rc;
	rc = rs_store_run_load(&run, tx->db, id, err);
	if (rc != 0)
		return rc;
	rc = rs_run_apply(&run, RS_EV_START, RS_NO_TASK, tx->now_ms, NULL, err);
	if (rc != 0) {
		rs_run_fini(&run);
		return rc;
	}
	return rs_tx_store(tx, &run, err);
}

int
rs_tx_store(struct rs_tx *tx, struct rs_run *run, struct err **err)
{
	bool next = false;
	int rc = assign_ready(tx, run, err);
	for (size_t i = 0; rc == 0 && i < run->neffects; i++) {
		rc = store_effect(tx, run, &run->effects[i], err);
		next |= (run->effects[i].fx & RS_FX_NEXT) != 0;
	}
	if (rc == 0 && (run->phase == RS_FINISHED || run->phase == RS_RUN_CANCELLED))
		rc = finish_run(tx, run, err);
	else if (rc == 0)
		rc = rs_store_run_save(tx->db, run, err);
	auto_free char *group = xstrdup(run->group);
	tx->out.runs = xreallocarray(tx->out.runs, tx->out.n + 1, sizeof(*tx->out.runs));
	tx->out.runs[tx->out.n++] = *run;
	memset(run, 0, sizeof(*run));
	if (rc == 0 && next)
		rc = start_next(tx, group, err);
	return rc;
}

/* --- one event --- */

static int
check_attempt(const struct rs_act *act, const struct rs_run *run, size_t task, struct err **err)
{
	if (task == RS_NO_TASK)
		return err_set(err, ERR_CONFLICT, "no such task in its run");
	const struct rs_task *t = &run->tasks[task];
	if (t->fence != act->fence || !t->executor || strcmp(t->executor, act->executor) != 0)
		return err_set(err, ERR_CONFLICT,
		    "task %s is not this executor's any more (attempt %llu, now %llu)", t->id,
		    (unsigned long long)act->fence, (unsigned long long)t->fence);
	return 0;
}

/* What a lost attempt means: failure, or another try when no step can have started. The row stays
 * locked, so that it cannot begin or be renewed after all. */
static int
lost_event(enum rs_event *event, const struct rs_act *act, struct db *db, struct err **err)
{
	struct rs_attempt_row a;
	uint64_t tried = 0;
	int rc = rs_store_attempt_lock(&a, db, act->task_id, act->fence, err);
	if (rc == 0 && act->lease_over && !a.expired)
		return err_set(err, ERR_CONFLICT, "the lease was renewed meanwhile");
	if (rc == 0)
		rc = rs_store_attempts_tried(&tried, db, act->task_id, err);
	if (rc == 0 && !a.begun && tried < RS_TRIES_MAX)
		*event = RS_EV_LAPSE;
	return rc;
}

static int
add_approver(struct rs_task *t, const char *user, struct err **err)
{
	for (size_t i = 0; i < t->napprovers; i++) {
		if (strcmp(t->approvers[i], user) == 0)
			return err_set(
			    err, ERR_CONFLICT, "user %s already approved task %s", user, t->name);
	}
	t->approvers = xreallocarray(t->approvers, t->napprovers + 1, sizeof(*t->approvers));
	t->approvers[t->napprovers++] = xstrdup(user);
	return 0;
}

/* The group's row is locked. */
static int
take_group(const struct rs_run *run, struct db *db, struct err **err)
{
	bool busy = true;
	int rc = rs_store_group_lock(&busy, db, run->group, err);
	if (rc == 0 && busy)
		return err_set(err, ERR_CONFLICT, "another run of the group runs");
	return rc == 0 ? rs_store_group_running(db, run->group, run->id, err) : rc;
}

static int
apply(struct rs_act *act, struct db *db, struct rs_run *run, struct err **err)
{
	size_t task = *act->task_id ? rs_run_find_task(run, act->task_id) : RS_NO_TASK;
	enum rs_event event = act->event;
	int rc = 0;
	if (*act->task_id && task == RS_NO_TASK && !act->check)
		return err_set(err, ERR_NOTFOUND, "task %s doesn't exist", act->task_id);
	if (act->check)
		rc = check_attempt(act, run, task, err);
	if (rc == 0 && event == RS_EV_LOST)
		rc = lost_event(&event, act, db, err);
	if (rc == 0 && act->report)
		return rs_report_apply(run, task, act->report, db, act->tx.now_ms, err);
	if (rc == 0 && *act->user)
		rc = add_approver(&run->tasks[task], act->user, err);
	/* Asking twice for what is done is no error. */
	if (rc == 0 && event == RS_EV_STOP && run->stop)
		return 0;
	if (rc == 0 && event == RS_EV_START)
		rc = take_group(run, db, err);
	if (rc == 0 && event)
		rc = rs_run_apply(run, event, task, act->tx.now_ms, act->reason, err);
	return rc;
}

static bool
anything_to_do(const struct rs_act *act, const struct rs_run *run)
{
	if (!act->ready_only)
		return true;
	for (size_t i = 0; i < run->ntasks; i++) {
		if (rs_run_task_ready(run, i))
			return true;
	}
	return false;
}

/* The run is no longer active: a final report said again is still answered well. */
static int
late(struct rs_act *act, struct db *db, int rc, struct err **err)
{
	struct rs_attempt_row a;
	if (rc != ERR_NOTFOUND || !act->check)
		return rc;
	err_clear(err);
	rc = rs_store_attempt_get(&a, db, act->task_id, act->fence, err);
	if (rc == 0 && act->report && strcmp(a.executor, act->executor) == 0 &&
	    a.place == RS_FREE && strcmp(a.outcome, act->report->status) == 0)
		return 0;
	/* Only what is known to be so is said: the executor forgets the attempt then. */
	if (rc != 0 && rc != ERR_NOTFOUND)
		return rc;
	err_clear(err);
	return err_set(err, ERR_CONFLICT, "the run of task %s is over", act->task_id);
}

static int
seen_request(struct rs_act *act, struct db *db, struct err **err)
{
	if (*act->request_id == '\0')
		return 0;
	free(act->reply);
	int rc = rs_store_request_get(&act->reply, &act->reply_len, db, act->request_id, err);
	act->repeated = rc == 0 && act->reply != NULL;
	if (rc != 0 || act->repeated)
		return rc;
	return rs_store_request_put(db, act->request_id, "", 0, err);
}

/* The answer to an accept. A plan that cannot be made now cannot be made later either: the task
 * fails and says why, instead of being offered for ever. */
static int
make_plan(struct rs_act *act, struct db *db, struct rs_run *run, struct err **err)
{
	size_t task = rs_run_find_task(run, act->task_id);
	auto_err why = NULL;
	xfree_secret(act->reply, act->reply_len);
	act->reply = NULL;
	int rc = rs_plan_make(&act->reply, &act->reply_len, db, run, task, act->tx.rs->keys,
	    act->tx.rs->cfg->lease_ms, &why);
	if (rc == 0)
		return 0;
	if (rc != ERR_INTERNAL && rc != ERR_INVALID) {
		if (err)
			*err = steal(&why);
		return rc;
	}
	return rs_run_apply(run, RS_EV_LOST, task, act->tx.now_ms, err_msg(why), err);
}

static int
act_tx(struct db *db, void *arg, struct err **err)
{
	struct rs_act *act = arg;
	struct rs_run run;
	int rc = rs_tx_begin(&act->tx, err);
	if (rc == 0)
		rc = seen_request(act, db, err);
	if (rc != 0 || act->repeated)
		return rc;
	rc = rs_store_run_lock(db, act->run_id, err);
	if (rc == 0)
		rc = rs_store_run_load(&run, db, act->run_id, err);
	if (rc != 0)
		return late(act, db, rc, err);
	rc = apply(act, db, &run, err);
	if (rc == 0 && act->event == RS_EV_ACCEPT)
		rc = make_plan(act, db, &run, err);
	if (rc == 0 && anything_to_do(act, &run))
		return rs_tx_store(&act->tx, &run, err);
	rs_run_fini(&run);
	return rc;
}

static int
act_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct rs_act *act = (struct rs_act *)job;
	act->tx.db = db;
	return db_tx_run(db, act_tx, act, err);
}

static void
act_done(struct rs_job *job)
{
	struct rs_act *act = (struct rs_act *)job;
	/* Also of a lost leadership: what was committed is true. */
	if (job->rc == 0 && job->epoch == job->rs->epoch)
		rs_apply_outcome(job->rs, &act->tx.out);
	if (act->done)
		act->done(act);
	else if (job->rc != 0 && job->rc != ERR_CONFLICT && job->rc != ERR_NOTFOUND)
		log_err(LOG_WARN, "event of a run failed", &job->err, LOG_STR("run", act->run_id),
		    LOG_STR("task", act->task_id));
	rs_tx_fini(&act->tx);
	if (act->report)
		millrace__report_request__free_unpacked(act->report, NULL);
	err_clear(&job->err);
	xfree_secret(act->reply, act->reply_len);
	free(act->seen);
	free(act);
}

struct rs_act *
rs_act_new(struct rs *rs, const char *run_id, const char *task_id)
{
	struct rs_act *act = xcalloc(1, sizeof(*act));
	act->job.rs = rs;
	memcpy(act->run_id, run_id, strnlen(run_id, ID_LEN));
	memcpy(act->task_id, task_id, strnlen(task_id, ID_LEN));
	return act;
}

void
rs_act_submit(struct rs_act *act, const char *name)
{
	struct rs *rs = act->job.rs;
	if (!act->seen)
		act->seen = rs_executors_candidates(&act->nseen, rs->executors);
	act->tx.rs = rs;
	act->tx.epoch = rs->epoch;
	act->tx.seen = act->seen;
	act->tx.nseen = act->nseen;
	act->tx.session = act->session;
	act->job.work = act_work;
	act->job.done = act_done;
	rs_db_submit(rs, name, work_key(act->run_id), &act->job);
}

/* --- back on the loop --- */

static void
apply_effect(struct rs *rs, const struct rs_run *run, const struct rs_effect *e)
{
	if (e->task == RS_NO_TASK)
		return;
	const struct rs_task *t = &run->tasks[e->task];
	if (e->fx & RS_FX_OFFER)
		rs_executors_offered(rs->executors, run, t);
	if (e->fx & RS_FX_LEASE)
		rs_executors_held(rs->executors, run, t);
	if (e->fx & RS_FX_TELL_STOP)
		rs_executors_tell_stop(rs->executors, t->id, e->fence);
	if (e->fx & RS_FX_CLOSE)
		rs_executors_closed(rs->executors, t->id, e->fence);
	if (e->fx & RS_FX_RESET)
		rs_logs_reset(rs->logs, t);
}

void
rs_apply_outcome(struct rs *rs, const struct rs_outcome *out)
{
	for (size_t i = 0; i < out->n; i++) {
		const struct rs_run *run = &out->runs[i];
		for (size_t j = 0; j < run->neffects; j++) {
			apply_effect(rs, run, &run->effects[j]);
			if (run->effects[j].fx & RS_FX_EVENT)
				log_info("run", LOG_STR("run", run->id),
				    LOG_STR("phase", rs_phase_name(run->phase)),
				    LOG_STR("result", rs_result_name(run->result)));
		}
		rs_logs_run_changed(rs->logs, run);
		rs_dispatch_run_changed(rs->dispatch, run);
	}
	rs_dispatch_kick(rs->dispatch);
}
