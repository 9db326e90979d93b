#include "runservice/executors.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "runservice/actor.h"
#include "runservice/dispatch.h"
#include "runservice/dump.h"
#include "runservice/map.h"
#include "runservice/sweep.h"

#include <stdio.h>
#include <string.h>

/* How long before the caller gives up an empty answer is sent. */
#define ANSWER_MARGIN_MS 500
#define OFFER_RETRY_MS 500 /* when withdrawing an offer failed */

struct known {
	char task_id[ID_LEN + 1];
	uint64_t fence;
};

struct session {
	struct rs_executors *ex;
	char id[65], session[65], arch[16];
	const char *labels; /* one of label_sets */
	bool privileged;
	unsigned slots;
	unsigned told;     /* free slots of its last poll, less what was offered since */
	int reserved;      /* promised to dispatch jobs under way */
	unsigned attempts; /* offered or held */
	struct rpc_call *poll, *control;
	struct loop_timer *poll_timer, *control_timer;
	struct known *known; /* attempts whose stop the parked control request knows */
	size_t nknown;
};

struct rs_executors {
	struct rs *rs;
	struct rs_map sessions; /* executor id -> session */
	struct rs_map attempts; /* task id -> rs_attempt */
	/* Labels as a text -> the same text, which stays: snapshots on workers point to it. */
	struct rs_map label_sets;
	struct loop_timer *deadline;
	int64_t armed_ms; /* what deadline is armed for */
	struct metric *connected, *queue, *dispatch;
};

static void on_deadline(void *arg);
static void end_offer(struct rs_executors *ex, struct rs_attempt *a);

struct rs_executors *
rs_executors_new(struct rs *rs)
{
	struct rs_executors *ex = xcalloc(1, sizeof(*ex));
	ex->rs = rs;
	ex->deadline = loop_timer_new(rs->loop, "attempt-deadline", on_deadline, ex);
	ex->connected = metrics_gauge("millrace_executors", "", "Executors that are registered.");
	ex->queue = metrics_phase("phase=\"queue\"");
	ex->dispatch = metrics_phase("phase=\"dispatch\"");
	return ex;
}

static void
forget_known(struct session *s)
{
	free(s->known);
	s->known = NULL;
	s->nknown = 0;
}

static void
drop_calls(struct session *s)
{
	if (s->poll)
		rs_fail(steal(&s->poll), ERR_UNAVAILABLE, "not the leader");
	if (s->control)
		rs_fail(steal(&s->control), ERR_UNAVAILABLE, "not the leader");
}

static void
free_session(struct session *s)
{
	drop_calls(s);
	forget_known(s);
	loop_timer_free(s->poll_timer);
	loop_timer_free(s->control_timer);
	free(s);
}

static void
free_attempt(struct rs_attempt *a)
{
	free(a->owner);
	free(a);
}

void
rs_executors_clear(struct rs_executors *ex)
{
	void *v;
	for (size_t i = 0; (v = rs_map_next(&ex->sessions, &i)) != NULL;)
		free_session(v);
	for (size_t i = 0; (v = rs_map_next(&ex->attempts, &i)) != NULL;)
		free_attempt(v);
	rs_map_fini(&ex->sessions);
	rs_map_fini(&ex->attempts);
	loop_timer_stop(ex->deadline);
	metrics_set(ex->connected, 0);
}

void
rs_executors_free(struct rs_executors *ex)
{
	void *v;
	if (!ex)
		return;
	rs_executors_clear(ex);
	for (size_t i = 0; (v = rs_map_next(&ex->label_sets, &i)) != NULL;)
		free(v);
	rs_map_fini(&ex->label_sets);
	loop_timer_free(ex->deadline);
	free(ex);
}

size_t
rs_executors_count(const struct rs_executors *ex)
{
	return ex->sessions.n;
}

/* --- attempts --- */

static void
arm(struct rs_executors *ex)
{
	int64_t next = INT64_MAX, now = clock_mono_ms();
	const struct rs_attempt *a;
	for (size_t i = 0; (a = rs_map_next(&ex->attempts, &i)) != NULL;) {
		if (!a->closing && a->deadline_ms < next)
			next = a->deadline_ms;
	}
	ex->armed_ms = next;
	if (next == INT64_MAX)
		loop_timer_stop(ex->deadline);
	else
		loop_timer_start(ex->deadline, next > now ? next - now : 0);
}

/* Earlier only: a later deadline is found when the timer fires. */
static void
arm_for(struct rs_executors *ex, int64_t deadline_ms)
{
	if (!loop_timer_armed(ex->deadline) || deadline_ms < ex->armed_ms)
		arm(ex);
}

static struct session *
session_of(const struct rs_executors *ex, const char *id)
{
	return rs_map_get(&ex->sessions, id);
}

static void
count(struct rs_executors *ex, const char *id, int delta)
{
	struct session *s = session_of(ex, id);
	if (s)
		s->attempts = (unsigned)((int)s->attempts + delta);
}

static void
remove_attempt(struct rs_executors *ex, struct rs_attempt *a)
{
	count(ex, a->executor, -1);
	rs_map_remove(&ex->attempts, a->task_id);
	free_attempt(a);
}

static struct rs_attempt *
add_attempt(struct rs_executors *ex, const char *task_id, const char *run_id, uint64_t fence,
    const char *executor)
{
	struct rs_attempt *old = rs_map_get(&ex->attempts, task_id);
	if (old)
		remove_attempt(ex, old);
	struct rs_attempt *a = xcalloc(1, sizeof(*a));
	snprintf(a->task_id, sizeof(a->task_id), "%s", task_id);
	snprintf(a->run_id, sizeof(a->run_id), "%s", run_id);
	snprintf(a->executor, sizeof(a->executor), "%s", executor);
	a->fence = fence;
	rs_map_put(&ex->attempts, task_id, a);
	count(ex, executor, 1);
	return a;
}

void
rs_executors_load(struct rs_executors *ex, const struct rs_attempt_row *rows, size_t n)
{
	int64_t now = clock_mono_ms();
	for (size_t i = 0; i < n; i++) {
		const struct rs_attempt_row *r = &rows[i];
		struct rs_attempt *a =
		    add_attempt(ex, r->task_id, r->run_id, r->fence, r->executor);
		a->owner = xstrdup(r->owner);
		a->number = r->number;
		a->nsteps = r->nsteps;
		a->tries = r->tries;
		a->place = r->place;
		a->stop = r->stopping;
		/* An offer of a former life: nobody knows whether it went out. */
		a->delivered = true;
		a->deadline_ms =
		    now + (r->place == RS_HELD ? r->left_ms : ex->rs->cfg->offer_timeout_ms);
	}
	arm(ex);
}

static struct rs_attempt *
attempt_of_run(
    struct rs_executors *ex, const struct rs_run *run, const struct rs_task *t, uint64_t fence)
{
	struct rs_attempt *a = rs_map_get(&ex->attempts, t->id);
	if (a && a->fence > fence)
		return NULL; /* news from the past */
	if (!a || a->fence != fence)
		a = add_attempt(ex, t->id, run->id, fence, t->executor);
	if (!a->owner)
		a->owner = xstrdup(run->owner);
	a->number = run->number;
	a->nsteps = t->nsteps;
	a->tries = t->tries;
	return a;
}

/* When the task could have been given away, by the clock of whoever wrote the rows. */
static int64_t
ready_since(const struct rs_run *run, const struct rs_task *t)
{
	int64_t since = t->tries > 0 ? t->past[t->tries - 1].end_ms : run->start_ms;
	for (size_t i = 0; i < t->ndeps; i++) {
		int64_t end = run->tasks[t->deps[i].parent].end_ms;
		since = end > since ? end : since;
	}
	return since;
}

void
rs_executors_offered(struct rs_executors *ex, const struct rs_run *run, const struct rs_task *t)
{
	struct rs_attempt *a = attempt_of_run(ex, run, t, t->fence);
	const struct session *s = session_of(ex, t->executor);
	if (!a)
		return;
	if (a->place != RS_OFFERED) {
		int64_t waited = clock_wall_ms() - ready_since(run, t);
		metrics_observe_ms(ex->queue, waited > 0 ? waited : 0);
		a->offered_ms = clock_mono_ms();
	}
	a->place = RS_OFFERED;
	a->deadline_ms = clock_mono_ms() + ex->rs->cfg->offer_timeout_ms;
	/* Two transactions promised the same slot: take it back at once. */
	if (!s || s->attempts > s->slots)
		end_offer(ex, a);
	arm_for(ex, a->deadline_ms);
}

void
rs_executors_held(struct rs_executors *ex, const struct rs_run *run, const struct rs_task *t)
{
	struct rs_attempt *a = attempt_of_run(ex, run, t, t->fence);
	if (!a)
		return;
	if (a->place == RS_OFFERED && a->offered_ms > 0)
		metrics_observe_ms(ex->dispatch, clock_mono_ms() - a->offered_ms);
	a->place = RS_HELD;
	a->delivered = true;
	a->closing = false;
	a->stop |= t->stop_told;
	a->deadline_ms = clock_mono_ms() + ex->rs->cfg->lease_ms;
	arm_for(ex, a->deadline_ms);
}

void
rs_executors_renewed(struct rs_executors *ex, const char *task_id, uint64_t fence, int64_t sent_ms)
{
	struct rs_attempt *a = rs_map_get(&ex->attempts, task_id);
	if (a && a->fence == fence)
		a->deadline_ms = sent_ms + ex->rs->cfg->lease_ms;
}

void
rs_executors_closed(struct rs_executors *ex, const char *task_id, uint64_t fence)
{
	struct rs_attempt *a = rs_map_get(&ex->attempts, task_id);
	if (a && a->fence == fence)
		remove_attempt(ex, a);
}

const struct rs_attempt *
rs_executors_attempt(const struct rs_executors *ex, const char *task_id)
{
	return rs_map_get(&ex->attempts, task_id);
}

const struct rs_attempt *
rs_executors_check(const struct rs_executors *ex, const char *peer,
    const Millrace__Attempt *attempt, struct err **err)
{
	const struct rs_attempt *a = rs_map_get(&ex->attempts, attempt->task_id);
	if (a && a->fence == attempt->fence && a->place == RS_HELD &&
	    strcmp(a->executor, peer) == 0)
		return a;
	err_set(err, ERR_CONFLICT, "attempt %llu of task %.40s is not this executor's",
	    (unsigned long long)attempt->fence, attempt->task_id);
	return NULL;
}

/* A refusal means that the offer was taken or is gone already; what that did was told then. */
static void
offer_ended(struct rs_act *act)
{
	struct rs_executors *ex = act->job.rs->executors;
	struct rs_attempt *a = rs_map_get(&ex->attempts, act->task_id);
	if (act->job.rc == 0 || act->job.rc == ERR_CONFLICT || act->job.rc == ERR_NOTFOUND)
		return;
	log_err(LOG_WARN, "an offer could not be withdrawn, trying again", &act->job.err,
	    LOG_STR("run", act->run_id), LOG_STR("task", act->task_id));
	if (!a || a->fence != act->fence || a->place != RS_OFFERED)
		return;
	a->closing = false;
	a->deadline_ms = clock_mono_ms() + OFFER_RETRY_MS;
	arm(ex);
}

static void
end_offer(struct rs_executors *ex, struct rs_attempt *a)
{
	struct rs_act *act = rs_act_new(ex->rs, a->run_id, a->task_id);
	a->closing = true;
	act->event = RS_EV_EXPIRE;
	act->check = true;
	act->fence = a->fence;
	snprintf(act->executor, sizeof(act->executor), "%s", a->executor);
	act->done = offer_ended;
	rs_act_submit(act);
}

static void
on_deadline(void *arg)
{
	struct rs_executors *ex = arg;
	int64_t now = clock_mono_ms();
	struct rs_attempt *a;
	bool lease = false;
	for (size_t i = 0; (a = rs_map_next(&ex->attempts, &i)) != NULL;) {
		if (a->closing || a->deadline_ms > now)
			continue;
		if (a->place == RS_OFFERED) {
			end_offer(ex, a);
			continue;
		}
		/* PostgreSQL's clock decides; ask it now, and again soon if it disagrees. */
		lease = true;
		a->deadline_ms = now + 500;
	}
	if (lease)
		rs_sweep_leases(ex->rs->sweep);
	arm(ex);
}

/* --- sessions --- */

struct rs_candidate *
rs_executors_candidates(size_t *n, const struct rs_executors *ex)
{
	struct rs_candidate *list = xcalloc(ex->sessions.n + 1, sizeof(*list));
	const struct session *s;
	*n = 0;
	for (size_t i = 0; (s = rs_map_next(&ex->sessions, &i)) != NULL;) {
		struct rs_candidate *c = &list[(*n)++];
		int by_count = (int)s->slots - (int)s->attempts;
		int left = (int)s->told < by_count ? (int)s->told : by_count;
		left -= s->reserved;
		memcpy(c->id, s->id, sizeof(c->id));
		memcpy(c->arch, s->arch, sizeof(c->arch));
		c->labels = s->labels;
		c->privileged = s->privileged;
		c->waiting = s->poll != NULL;
		c->slots = s->slots;
		c->free = left > 0 ? (unsigned)left : 0;
	}
	return list;
}

void
rs_executors_reserve(struct rs_executors *ex, const char *id, int delta)
{
	struct session *s = session_of(ex, id);
	if (s)
		s->reserved += delta;
	if (s && s->reserved < 0)
		s->reserved = 0;
}

int
rs_executors_check_session(
    const struct rs_executors *ex, const char *peer, const char *session, struct err **err)
{
	const struct session *s = session_of(ex, peer);
	if (!s)
		return err_set(err, ERR_NOTFOUND, "executor %s is not registered", peer);
	if (strcmp(s->session, session) != 0)
		return err_set(err, ERR_CONFLICT, "a newer session of executor %s exists", peer);
	return 0;
}

static void
answer_empty_poll(void *arg)
{
	struct session *s = arg;
	Millrace__PollReply m = MILLRACE__POLL_REPLY__INIT;
	loop_timer_stop(s->poll_timer);
	if (s->poll)
		rs_reply_pb(steal(&s->poll), &m);
}

static void
answer_empty_control(void *arg)
{
	struct session *s = arg;
	Millrace__ControlReply m = MILLRACE__CONTROL_REPLY__INIT;
	loop_timer_stop(s->control_timer);
	if (s->control)
		rs_reply_pb(steal(&s->control), &m);
}

static struct session *
new_session(struct rs_executors *ex, const char *id)
{
	struct session *s = xcalloc(1, sizeof(*s));
	const struct rs_attempt *a;
	s->ex = ex;
	snprintf(s->id, sizeof(s->id), "%s", id);
	s->poll_timer = loop_timer_new(ex->rs->loop, "poll-hold", answer_empty_poll, s);
	s->control_timer = loop_timer_new(ex->rs->loop, "control-hold", answer_empty_control, s);
	rs_map_put(&ex->sessions, id, s);
	for (size_t i = 0; (a = rs_map_next(&ex->attempts, &i)) != NULL;)
		s->attempts += strcmp(a->executor, id) == 0;
	metrics_set(ex->connected, (int64_t)ex->sessions.n);
	return s;
}

static int
labels_of(const char **out, struct rs_executors *ex, const Millrace__RegisterRequest *req,
    struct err **err)
{
	auto_free char *labels = NULL;
	int rc = rs_labels_text(&labels, req->labels, req->n_labels, err);
	if (rc != 0)
		return rc;
	*out = rs_map_get(&ex->label_sets, labels);
	if (*out)
		return 0;
	if (ex->label_sets.n >= RS_LABEL_SETS_MAX)
		return err_set(err, ERR_UNAVAILABLE, "more than %d different sets of labels",
		    RS_LABEL_SETS_MAX);
	rs_map_put(&ex->label_sets, labels, labels);
	*out = steal(&labels);
	return 0;
}

int
rs_executors_register(
    struct rs_executors *ex, const char *id, const Millrace__RegisterRequest *req, struct err **err)
{
	struct session *s = session_of(ex, id);
	const char *same;
	int rc = labels_of(&same, ex, req, err);
	if (rc != 0)
		return err_wrap(err, "executor %s", id);
	if (!s && ex->sessions.n >= RS_EXECUTORS_MAX)
		return err_set(err, ERR_UNAVAILABLE, "more than %d executors", RS_EXECUTORS_MAX);
	if (!s)
		s = new_session(ex, id);
	if (strcmp(s->session, req->session) != 0) {
		answer_empty_poll(s);
		answer_empty_control(s);
		s->told = 0;
	}
	snprintf(s->session, sizeof(s->session), "%s", req->session);
	snprintf(s->arch, sizeof(s->arch), "%s", req->arch);
	s->labels = same;
	s->privileged = req->allow_privileged;
	s->slots = req->slots > RS_SLOTS_MAX ? RS_SLOTS_MAX : req->slots;
	log_info("executor registered", LOG_STR("executor", id), LOG_STR("arch", s->arch),
	    LOG_I64("slots", s->slots), LOG_STR("version", req->version));
	return 0;
}

static int64_t
hold_ms(const struct rpc_call *call)
{
	int64_t left = rpc_call_remaining_ms(call) - ANSWER_MARGIN_MS;
	if (left > RS_POLL_MS)
		left = RS_POLL_MS;
	return left > 0 ? left : 0;
}

/* Sends the offers that were not sent yet; false when there are none. */
static bool
deliver(struct rs_executors *ex, struct session *s)
{
	Millrace__PollReply m = MILLRACE__POLL_REPLY__INIT;
	auto_free Millrace__Offer *offers = xcalloc(s->attempts + 1u, sizeof(*offers));
	auto_free Millrace__Attempt *attempts = xcalloc(s->attempts + 1u, sizeof(*attempts));
	auto_free Millrace__Offer **list = xcalloc(s->attempts + 1u, sizeof(*list));
	struct rs_attempt *a;
	for (size_t i = 0; (a = rs_map_next(&ex->attempts, &i)) != NULL;) {
		if (a->place != RS_OFFERED || a->delivered || a->closing ||
		    strcmp(a->executor, s->id) != 0 || m.n_offers >= s->attempts)
			continue;
		size_t k = m.n_offers++;
		millrace__attempt__init(&attempts[k]);
		attempts[k].task_id = a->task_id;
		attempts[k].fence = a->fence;
		millrace__offer__init(&offers[k]);
		offers[k].attempt = &attempts[k];
		offers[k].run_id = a->run_id;
		offers[k].answer_ms = ex->rs->cfg->offer_timeout_ms;
		list[k] = &offers[k];
		a->delivered = true;
		a->deadline_ms = clock_mono_ms() + ex->rs->cfg->offer_timeout_ms;
		if (s->told > 0)
			s->told--;
	}
	if (m.n_offers == 0)
		return false;
	m.offers = list;
	loop_timer_stop(s->poll_timer);
	rs_reply_pb(steal(&s->poll), &m);
	return true;
}

void
rs_executors_flush(struct rs_executors *ex)
{
	const struct rs_attempt *a;
	for (size_t i = 0; (a = rs_map_next(&ex->attempts, &i)) != NULL;) {
		if (a->place != RS_OFFERED || a->delivered || a->closing)
			continue;
		struct session *s = session_of(ex, a->executor);
		if (s && s->poll)
			deliver(ex, s);
	}
}

void
rs_executors_poll(struct rs_executors *ex, struct rpc_call *call, const Millrace__PollRequest *req)
{
	struct err *err = NULL;
	if (rs_executors_check_session(ex, rpc_call_peer(call), req->session, &err) != 0) {
		rpc_fail(call, &err);
		return;
	}
	struct session *s = session_of(ex, rpc_call_peer(call));
	answer_empty_poll(s);
	s->poll = call;
	s->told = req->free_slots > s->slots ? s->slots : req->free_slots;
	if (deliver(ex, s))
		return;
	loop_timer_start(s->poll_timer, hold_ms(call));
	rs_dispatch_kick(ex->rs->dispatch);
}

/* --- control --- */

static bool
knows(const struct session *s, const struct rs_attempt *a)
{
	for (size_t i = 0; i < s->nknown; i++) {
		if (s->known[i].fence == a->fence && strcmp(s->known[i].task_id, a->task_id) == 0)
			return true;
	}
	return false;
}

static bool
say_stops(struct rs_executors *ex, struct session *s)
{
	Millrace__ControlReply m = MILLRACE__CONTROL_REPLY__INIT;
	auto_free Millrace__Attempt *attempts = xcalloc(s->attempts + 1u, sizeof(*attempts));
	auto_free Millrace__Attempt **list = xcalloc(s->attempts + 1u, sizeof(*list));
	struct rs_attempt *a;
	for (size_t i = 0; (a = rs_map_next(&ex->attempts, &i)) != NULL;) {
		if (!a->stop || a->place != RS_HELD || strcmp(a->executor, s->id) != 0 ||
		    knows(s, a) || m.n_stop >= s->attempts)
			continue;
		size_t k = m.n_stop++;
		millrace__attempt__init(&attempts[k]);
		attempts[k].task_id = a->task_id;
		attempts[k].fence = a->fence;
		list[k] = &attempts[k];
	}
	if (m.n_stop == 0)
		return false;
	m.stop = list;
	loop_timer_stop(s->control_timer);
	rs_reply_pb(steal(&s->control), &m);
	return true;
}

void
rs_executors_control(
    struct rs_executors *ex, struct rpc_call *call, const Millrace__ControlRequest *req)
{
	struct err *err = NULL;
	if (rs_executors_check_session(ex, rpc_call_peer(call), req->session, &err) != 0) {
		rpc_fail(call, &err);
		return;
	}
	struct session *s = session_of(ex, rpc_call_peer(call));
	answer_empty_control(s);
	forget_known(s);
	s->known = xcalloc(req->n_stopping + 1, sizeof(*s->known));
	for (size_t i = 0; i < req->n_stopping; i++) {
		struct known *k = &s->known[s->nknown++];
		snprintf(k->task_id, sizeof(k->task_id), "%s", req->stopping[i]->task_id);
		k->fence = req->stopping[i]->fence;
	}
	s->control = call;
	if (!say_stops(ex, s))
		loop_timer_start(s->control_timer, hold_ms(call));
}

void
rs_executors_tell_stop(struct rs_executors *ex, const char *task_id, uint64_t fence)
{
	struct rs_attempt *a = rs_map_get(&ex->attempts, task_id);
	if (!a || a->fence != fence)
		return;
	a->stop = true;
	struct session *s = session_of(ex, a->executor);
	if (s && s->control)
		say_stops(ex, s);
}

/* --- for people --- */

struct rs_executors_load
rs_executors_load_now(const struct rs_executors *ex)
{
	struct rs_executors_load load = { 0 };
	const struct session *s;
	const struct rs_attempt *a;
	for (size_t i = 0; (s = rs_map_next(&ex->sessions, &i)) != NULL;)
		load.polls += s->poll != NULL;
	for (size_t i = 0; (a = rs_map_next(&ex->attempts, &i)) != NULL;) {
		load.offers += a->place == RS_OFFERED;
		load.leases += a->place == RS_HELD;
	}
	return load;
}

static json_t *
dump_session(const struct session *s)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:i, s:b, s:b}", "id", s->id, "arch",
	    s->arch, "labels", s->labels, "privileged", s->privileged, "slots", (int)s->slots,
	    "free", (int)s->told, "promised", s->reserved, "attempts", (int)s->attempts,
	    "poll_held", s->poll != NULL, "control_held", s->control != NULL);
}

static json_t *
dump_attempt(const struct rs_attempt *a, int64_t now)
{
	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:b, s:b, s:b}", "run", a->run_id, "task",
	    a->task_id, "attempt", (json_int_t)a->fence, "executor", a->executor, "place",
	    rs_place_name(a->place), "ends_in_ms", (json_int_t)(a->deadline_ms - now), "delivered",
	    a->delivered, "stopping", a->stop, "ending", a->closing);
}

void
rs_executors_dump(json_t *out, const struct rs_executors *ex)
{
	const struct rs_executors_load load = rs_executors_load_now(ex);
	json_t *sessions = json_array(), *attempts = json_array();
	const struct session *s;
	const struct rs_attempt *a;
	int64_t now = clock_mono_ms();
	for (size_t i = 0; (s = rs_map_next(&ex->sessions, &i)) != NULL;)
		json_append_max(sessions, RS_DUMP_MAX, dump_session(s));
	for (size_t i = 0; (a = rs_map_next(&ex->attempts, &i)) != NULL;)
		json_append_max(attempts, RS_DUMP_MAX, dump_attempt(a, now));
	json_object_set_new(out, "executors",
	    json_pack("{s:I, s:I, s:o}", "registered", (json_int_t)ex->sessions.n, "polls_held",
	        (json_int_t)load.polls, "list", sessions));
	json_object_set_new(out, "attempts",
	    json_pack("{s:I, s:I, s:o}", "offers", (json_int_t)load.offers, "leases",
	        (json_int_t)load.leases, "list", attempts));
}
