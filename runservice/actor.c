#include "runservice/actor.h"

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

/* --- storing --- */

static int
assign_ready(
    struct rs_tx *tx, struct rs_run *run, struct rs_candidate *list, size_t n, struct err **err)
{
	for (size_t i = 0; i < run->ntasks; i++) {
		if (!rs_run_task_ready(run, i))
			continue;
		struct rs_task *t = &run->tasks[i];
		const struct rs_needs need = rs_scheduler_needs(t);
		size_t c = rs_scheduler_choose(list, n, &need);
		if (c == RS_NO_CANDIDATE)
			continue;
		MUST(list != NULL && c < n);
		int rc = rs_run_apply(run, RS_EV_ASSIGN, i, tx->now_ms, NULL, err);
		if (rc != 0)
			return rc;
		list[c].free--;
		free(t->executor);
		t->executor = xstrdup(list[c].id);
		t->begun = t->marked = false;
		t->reported = 0;
	}
	return 0;
}

static int
store_effect(struct rs_tx *tx, const struct rs_run *run, const struct rs_effect *e,
    const char *session, struct err **err)
{
	struct rs_task *t = e->task == RS_NO_TASK ? NULL : &run->tasks[e->task];
	if (e->fx & RS_FX_EVENT)
		rs_write_event(tx->writes, run, e->phase, e->result);
	if (t && (e->fx & RS_FX_OFFER))
		rs_write_attempt_offer(tx->writes, run->id, t);
	if (t && (e->fx & RS_FX_LEASE))
		rs_write_attempt_hold(
		    tx->writes, t->id, e->fence, session ? session : "", tx->rs->cfg->lease_ms);
	if (t && (e->fx & RS_FX_CLOSE))
		rs_write_attempt_close(tx->writes, t, e->fence, rs_status_name(e->outcome));
	if (t && (e->fx & RS_FX_RETRY))
		return rs_store_archives_undo(tx->db, t->id, t->tries, err);
	return t && (e->fx & RS_FX_RESET) ? rs_store_log_reset(tx->db, t->id, t->tries, err) : 0;
}

static int
store_effects(
    bool *next, struct rs_tx *tx, struct rs_kept_run *kept, const char *session, struct err **err)
{
	const struct rs_run *run = &kept->run;
	int rc = 0;
	for (; rc == 0 && kept->neffects < run->neffects; kept->neffects++) {
		const struct rs_effect *e = &run->effects[kept->neffects];
		*next |= (e->fx & RS_FX_NEXT) != 0;
		rc = store_effect(tx, run, e, session, err);
	}
	return rc;
}

/* The state that goes to history. */
static int
end_run(struct rs_tx *tx, struct rs_kept_run *kept, struct err **err)
{
	void *packed = NULL;
	size_t len = kept->spec_len;
	int rc = 0;
	kept->over = true;
	/* The definition may be among what is collected. */
	if (!kept->spec)
		rc = rs_writes_flush(tx->writes, tx->db, err);
	if (rc == 0 && !kept->spec)
		rc = rs_store_definition_get(&packed, &len, tx->db, kept->run.id, err);
	if (rc != 0)
		return rc;
	Millrace__RunSpec *spec =
	    millrace__run_spec__unpack(NULL, len, kept->spec ? kept->spec : packed);
	free(packed);
	if (!spec)
		return err_set(
		    err, ERR_INTERNAL, "stored definition of run %s is damaged", kept->run.id);
	Millrace__RunState *state = rs_state_of_run(&kept->run, spec, NULL, 0);
	free(kept->state);
	kept->state = rs_pack(&kept->state_len, state);
	millrace__run_state__free_unpacked(state, NULL);
	millrace__run_spec__free_unpacked(spec, NULL);
	return 0;
}

static int
start_next(struct rs_tx *tx, struct rs_kept_group *g, struct rs_candidate *list, size_t n,
    struct err **err)
{
	struct rs_kept_run *kept;
	g->running[0] = '\0';
	if (g->nqueued == 0)
		return 0;
	struct id id = g->queued[0];
	int rc = rs_kept_run(&kept, tx->kept, tx->db, id.s, err);
	if (rc == 0)
		rc = rs_run_apply(&kept->run, RS_EV_START, RS_NO_TASK, tx->now_ms, NULL, err);
	if (rc != 0)
		return rc;
	rs_kept_group_remove(g, id.s);
	memcpy(g->running, id.s, sizeof(g->running));
	return rs_tx_store(tx, kept, list, n, NULL, err);
}

int
rs_tx_store(struct rs_tx *tx, struct rs_kept_run *kept, struct rs_candidate *list, size_t n,
    const char *session, struct err **err)
{
	struct rs_kept_group *g = NULL;
	struct rs_run *run = &kept->run;
	bool next = false;
	int rc = store_effects(&next, tx, kept, session, err);
	if (rc == 0)
		rc = assign_ready(tx, run, list, n, err);
	if (rc == 0)
		rc = store_effects(&next, tx, kept, session, err);
	kept->dirty = kept->changed = true;
	if (rc != 0 || (run->phase != RS_FINISHED && run->phase != RS_RUN_CANCELLED))
		return rc;
	rc = rs_kept_group(&g, tx->kept, tx->db, run->group, err);
	if (rc == 0)
		rc = end_run(tx, kept, err);
	if (rc == 0)
		rs_kept_group_remove(g, run->id);
	if (rc == 0 && next)
		rc = start_next(tx, g, list, n, err);
	return rc;
}

static void
write_counter(const char *owner, int64_t last, void *writes)
{
	rs_write_counter(writes, owner, last);
}

static void
write_run(struct rs_writes *w, struct rs_kept_run *kept)
{
	struct rs_run *run = &kept->run;
	for (size_t i = 0; i < run->ntasks; i++) {
		if (run->tasks[i].marked)
			rs_write_attempt_mark(w, &run->tasks[i]);
	}
	if (kept->state)
		rs_write_run_over(w, run, kept->state, kept->state_len);
	else if (kept->fresh)
		rs_write_run_new(w, run);
	else
		rs_write_run(w, run);
	kept->dirty = kept->fresh = false;
}

int
rs_tx_flush(struct rs_tx *tx, struct err **err)
{
	struct rs_kept_run *kept;
	for (size_t i = 0; (kept = rs_kept_touched(tx->kept, &i)) != NULL;) {
		if (kept->dirty)
			write_run(tx->writes, kept);
	}
	rs_kept_counters(tx->kept, write_counter, tx->writes);
	return rs_writes_flush(tx->writes, tx->db, err);
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
lost_event(enum rs_event *event, const struct rs_act *act, struct rs_tx *tx, struct err **err)
{
	struct rs_attempt_row a = { 0 };
	uint64_t tried = 0;
	int rc = rs_tx_flush(tx, err);
	if (rc == 0)
		rc = rs_store_attempt_lock(&a, tx->db, act->task_id, act->fence, err);
	if (rc == 0 && act->lease_over && !a.expired)
		return err_set(err, ERR_CONFLICT, "the lease was renewed meanwhile");
	if (rc == 0)
		rc = rs_store_attempts_tried(&tried, tx->db, act->task_id, a.tries, err);
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

static int
take_group(const struct rs_run *run, struct rs_tx *tx, struct err **err)
{
	struct rs_kept_group *g;
	int rc = rs_kept_group(&g, tx->kept, tx->db, run->group, err);
	if (rc != 0)
		return rc;
	if (*g->running)
		return err_set(err, ERR_CONFLICT, "another run of the group runs");
	rs_kept_group_remove(g, run->id);
	memcpy(g->running, run->id, sizeof(g->running));
	return 0;
}

static int
begin(struct rs_kept_run *kept, size_t task, struct err **err)
{
	struct rs_task *t = &kept->run.tasks[task];
	if (t->place != RS_HELD)
		return err_set(err, ERR_CONFLICT, "the attempt is not held");
	kept->dirty |= !t->begun;
	t->marked |= !t->begun;
	t->begun = true;
	return 0;
}

/* The attempt is over, as *err says: the final report of it, said again, is still answered well. */
static int
said_again(const struct rs_act *act, struct rs_tx *tx, int rc, struct err **err)
{
	struct rs_attempt_row a = { 0 };
	auto_err none = NULL;
	int found = rs_tx_flush(tx, &none);
	if (found == 0)
		found = rs_store_attempt_get(&a, tx->db, act->task_id, act->fence, &none);
	bool same = found == 0 && act->report && strcmp(a.executor, act->executor) == 0 &&
	            a.place == RS_FREE && strcmp(a.outcome, act->report->status) == 0;
	/* Only what is known to be so is said: the executor forgets the attempt then. */
	if (same || (found != 0 && found != ERR_NOTFOUND)) {
		err_clear(err);
		if (!same && err)
			*err = steal(&none);
		return same ? 0 : found;
	}
	return rc;
}

/* Fails without a change, or spoils the batch. */
static int
apply(struct rs_act *act, struct rs_tx *tx, struct rs_kept_run *kept, struct err **err)
{
	struct rs_run *run = &kept->run;
	size_t task = *act->task_id ? rs_run_find_task(run, act->task_id) : RS_NO_TASK;
	enum rs_event event = act->event;
	int rc = 0;
	if (*act->task_id && task == RS_NO_TASK && !act->check)
		return err_set(err, ERR_NOTFOUND, "task %s doesn't exist", act->task_id);
	if (act->check)
		rc = check_attempt(act, run, task, err);
	if (rc == ERR_CONFLICT && act->report)
		return said_again(act, tx, rc, err);
	if (rc == 0 && event == RS_EV_LOST)
		rc = lost_event(&event, act, tx, err);
	if (rc != 0)
		return rc;
	if (act->begin)
		return begin(kept, task, err);
	/* Asking twice for what is done is no error. */
	if (event == RS_EV_STOP && run->stop)
		return 0;
	tx->spoiled = act->report || *act->user || event == RS_EV_START;
	if (act->report)
		return rs_report_apply(run, task, act->report, tx->now_ms, err);
	if (*act->user)
		rc = add_approver(&run->tasks[task], act->user, err);
	if (rc == 0 && event == RS_EV_START)
		rc = take_group(run, tx, err);
	if (rc == 0 && event)
		rc = rs_run_apply(run, event, task, tx->now_ms, act->reason, err);
	return rc;
}

static bool
anything_to_do(const struct rs_act *act, const struct rs_run *run)
{
	if (act->begin)
		return false;
	if (!act->ready_only)
		return true;
	for (size_t i = 0; i < run->ntasks; i++) {
		if (rs_run_task_ready(run, i))
			return true;
	}
	return false;
}

/* The run is no longer active. */
static int
late(struct rs_act *act, struct rs_tx *tx, int rc, struct err **err)
{
	if (rc != ERR_NOTFOUND || !act->check)
		return rc;
	err_clear(err);
	err_set(err, ERR_CONFLICT, "the run of task %s is over", act->task_id);
	return said_again(act, tx, ERR_CONFLICT, err);
}

static int
seen_request(struct rs_act *act, struct rs_tx *tx, struct err **err)
{
	if (*act->request_id == '\0')
		return 0;
	free(act->reply);
	int rc = rs_store_request_get(&act->reply, &act->reply_len, tx->db, act->request_id, err);
	act->repeated = rc == 0 && act->reply != NULL;
	return rc;
}

/* The answer to an accept. A plan that cannot be made now cannot be made later either: the task
 * fails and says why, instead of being offered for ever. */
static int
make_plan(struct rs_act *act, struct rs_tx *tx, struct rs_kept_run *kept, struct err **err)
{
	struct rs_run *run = &kept->run;
	size_t task = rs_run_find_task(run, act->task_id);
	auto_err why = NULL;
	xfree_secret(act->reply, act->reply_len);
	act->reply = NULL;
	int rc = rs_plan_make(&act->reply, &act->reply_len, tx->db, run, task, kept->spec,
	    kept->spec_len, tx->rs->keys, tx->rs->cfg->lease_ms, &why);
	if (rc == 0)
		return 0;
	if (rc != ERR_INTERNAL && rc != ERR_INVALID) {
		if (err)
			*err = steal(&why);
		return rc;
	}
	return rs_run_apply(run, RS_EV_UNFIT, task, tx->now_ms, err_msg(why), err);
}

static int
store(struct rs_act *act, struct rs_tx *tx, struct rs_kept_run *kept, struct err **err)
{
	auto_free struct rs_candidate *promised =
	    act->seen ? xmemdup(act->seen, (act->nseen + 1) * sizeof(*act->seen)) : NULL;
	act->stored = true;
	if (*act->request_id)
		rs_write_request(tx->writes, act->request_id, "", 0);
	return rs_tx_store(tx, kept, promised ? promised : tx->left,
	    promised ? act->nseen : tx->nleft, act->session, err);
}

static int
act_apply(struct rs_tx *tx, struct rs_job *job, struct err **err)
{
	struct rs_act *act = (struct rs_act *)job;
	struct rs_kept_run *kept;
	act->stored = false;
	int rc = seen_request(act, tx, err);
	if (rc != 0 || act->repeated)
		return rc;
	rc = rs_kept_run(&kept, tx->kept, tx->db, act->run_id, err);
	if (rc != 0)
		return late(act, tx, rc, err);
	rc = apply(act, tx, kept, err);
	if (rc != 0)
		return rc;
	tx->spoiled = true;
	if (act->event == RS_EV_ACCEPT)
		rc = make_plan(act, tx, kept, err);
	if (rc == 0 && anything_to_do(act, &kept->run))
		rc = store(act, tx, kept, err);
	return rc;
}

static void
act_done(struct rs_job *job)
{
	struct rs_act *act = (struct rs_act *)job;
	if (act->done)
		act->done(act);
	else if (job->rc != 0 && job->rc != ERR_CONFLICT && job->rc != ERR_NOTFOUND)
		log_err(LOG_WARN, "event of a run failed", &job->err, LOG_STR("run", act->run_id),
		    LOG_STR("task", act->task_id));
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
rs_act_submit(struct rs_act *act)
{
	act->job.apply = act_apply;
	act->job.done = act_done;
	rs_batch_submit(act->job.rs, &act->job);
}

/* --- back on the loop --- */

static void
apply_effect(struct rs *rs, const struct rs_run *run, const struct rs_effect *e)
{
	if (e->task == RS_NO_TASK)
		return;
	const struct rs_task *t = &run->tasks[e->task];
	/* Of an attempt that the same batch ended, only the end is news. */
	if ((e->fx & RS_FX_OFFER) && e->fence == t->fence)
		rs_executors_offered(rs->executors, run, t);
	if ((e->fx & RS_FX_LEASE) && e->fence == t->fence)
		rs_executors_held(rs->executors, run, t);
	if (e->fx & RS_FX_TELL_STOP)
		rs_executors_tell_stop(rs->executors, t->id, e->fence);
	if (e->fx & RS_FX_CLOSE)
		rs_executors_closed(rs->executors, t->id, e->fence);
	if (e->fx & RS_FX_RESET)
		rs_logs_reset(rs->logs, t);
	if (e->fx & RS_FX_RETRY)
		rs_logs_retried(rs->logs, t);
}

void
rs_apply_outcome(struct rs *rs, const struct rs_kept *k)
{
	const struct rs_kept_run *kept;
	for (size_t i = 0; (kept = rs_kept_touched(k, &i)) != NULL;) {
		const struct rs_run *run = &kept->run;
		if (!kept->changed)
			continue;
		unsigned fx = 0;
		for (size_t j = 0; j < run->neffects; j++) {
			apply_effect(rs, run, &run->effects[j]);
			fx |= run->effects[j].fx;
		}
		if (fx & RS_FX_EVENT)
			log_info("run", LOG_STR("run", run->id),
			    LOG_STR("phase", rs_phase_name(run->phase)),
			    LOG_STR("result", rs_result_name(run->result)));
		rs_logs_run_changed(rs->logs, run);
		rs_dispatch_run_changed(rs->dispatch, run);
	}
	rs_dispatch_kick(rs->dispatch);
}
