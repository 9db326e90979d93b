#include "executor/session.h"

#include "common/clock.h"
#include "common/daemon.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "executor.pb-c.h"
#include "executor/gc.h"
#include "executor/task.h"

#include <string.h>

#define POLLS_MAX 4
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 2000
#define REFUSED_RETRY_MS 5000
#define LEASE_DEFAULT_MS 60000

struct poll {
	struct ex_session *session;
	struct ex_rs_call *call;
	struct poll *next;
};

struct ex_session {
	struct ex *ex;
	struct id id;
	bool connected, registered, drain, offered_to;
	int64_t lease_ms, renew_sent_ms, backoff_ms;
	struct ex_rs_call *reg, *control, *renewal;
	struct poll *polls;
	unsigned npolls, told; /* free slots of the newest poll */
	struct loop_timer *reg_timer, *poll_timer, *control_timer, *renew_timer;
};

static void poll_now(struct ex_session *s);
static void control_now(void *arg);

static const char *
arch(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#elif defined(__arm__)
	return "arm";
#else
	return "386";
#endif
}

/* All held attempts as messages in one block. */
struct attempts {
	Millrace__Attempt *items;
	Millrace__Attempt **list;
	size_t n;
};

static struct attempts
held(const struct ex *ex, bool stopping_only)
{
	struct attempts a = { xcalloc(ex->ntasks + 1, sizeof(*a.items)),
		xcalloc(ex->ntasks + 1, sizeof(*a.list)), 0 };
	size_t i;

	for (i = 0; i < ex->ntasks; i++) {
		struct ex_task *t = ex->tasks[i];

		if (!ex_task_held(t) || (stopping_only && !ex_task_stopping(t)))
			continue;
		millrace__attempt__init(&a.items[a.n]);
		a.items[a.n].task_id = (char *)(uintptr_t)ex_task_id(t);
		a.items[a.n].fence = ex_task_fence(t);
		a.list[a.n] = &a.items[a.n];
		a.n++;
	}
	return a;
}

static void
attempts_free(struct attempts *a)
{
	free(a->items);
	free(a->list);
}

static void
drop_all(struct ex *ex, Millrace__Attempt *const *list, size_t n, const char *why)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct ex_task *t = ex_task_find(ex, list[i]->task_id, list[i]->fence);

		if (t != NULL)
			ex_task_drop(t, why);
	}
}

/* --- register --- */

/* Our session is unknown: the runservice was restarted, or another process took our id. */
static void
lost_session(struct ex_session *s, int64_t wait_ms)
{
	s->registered = false;
	if (s->reg == NULL)
		loop_timer_start(s->reg_timer, wait_ms);
}

static void
on_registered(ProtobufCMessage *msg, struct err **err, void *arg)
{
	struct ex_session *s = arg;
	const Millrace__RegisterReply *reply = (const Millrace__RegisterReply *)msg;
	size_t i;

	s->reg = NULL;
	if (*err != NULL) {
		log_err(LOG_WARN, "the runservice refused this executor", err);
		loop_timer_start(s->reg_timer, REFUSED_RETRY_MS);
		return;
	}
	s->registered = true;
	s->backoff_ms = RETRY_MIN_MS;
	s->lease_ms = reply->lease_ms >= 1000 ? reply->lease_ms : LEASE_DEFAULT_MS;
	log_info("registered", LOG_STR("executor", s->ex->cfg->id), LOG_STR("session", s->id.s));
	drop_all(s->ex, reply->drop, reply->n_drop, "the runservice gave it to somebody else");
	for (i = 0; i < s->ex->ntasks; i++)
		ex_task_registered(s->ex->tasks[i]);
	ex_gc_start(s->ex->gc);
	loop_timer_start(s->renew_timer, 0);
	control_now(s);
	poll_now(s);
}

static void
register_now(void *arg)
{
	struct ex_session *s = arg;
	Millrace__RegisterRequest req = MILLRACE__REGISTER_REQUEST__INIT;
	const struct ex_rs_options opt = { .method = "executor.register",
		.request = &req.base,
		.reply = &millrace__register_reply__descriptor,
		.done = on_registered,
		.arg = s };
	struct attempts a = held(s->ex, false);
	const struct ex_labels *labels = &s->ex->cfg->labels;
	auto_free Millrace__Pair *items = xcalloc(labels->n + 1, sizeof(*items));
	auto_free Millrace__Pair **list = xcalloc(labels->n + 1, sizeof(*list));

	for (size_t i = 0; i < labels->n; i++) {
		millrace__pair__init(&items[i]);
		items[i].name = labels->items[i].name;
		items[i].value = labels->items[i].value;
		list[i] = &items[i];
	}
	loop_timer_stop(s->reg_timer);
	if (s->reg == NULL) {
		req.version = (char *)(uintptr_t)daemon_version();
		req.session = s->id.s;
		req.arch = (char *)(uintptr_t)arch();
		req.slots = (uint32_t)s->ex->cfg->tasks;
		req.allow_privileged = s->ex->cfg->allow_privileged;
		req.labels = list;
		req.n_labels = labels->n;
		req.attempts = a.list;
		req.n_attempts = a.n;
		s->reg = ex_rs_call(s->ex->rs, &opt);
	}
	attempts_free(&a);
}

void
ex_session_connected(struct ex_session *s, bool up)
{
	s->connected = up;
	if (up)
		register_now(s);
	else
		s->registered = false;
}

/* True when the error was about the session and registering again is under way. */
static bool
session_error(struct ex_session *s, struct err **err)
{
	if ((*err)->code == ERR_NOTFOUND) {
		lost_session(s, 0);
		return true;
	}
	if ((*err)->code == ERR_CONFLICT) {
		log_err(LOG_ERROR, "another process uses this executor's id", err);
		lost_session(s, REFUSED_RETRY_MS);
		return true;
	}
	return false;
}

static int64_t
backoff(struct ex_session *s)
{
	int64_t ms = s->backoff_ms;

	s->backoff_ms = ms * 2 < RETRY_MAX_MS ? ms * 2 : RETRY_MAX_MS;
	return ms;
}

/* --- poll --- */

static void
take_offers(struct ex_session *s, const Millrace__PollReply *reply)
{
	size_t i;

	for (i = 0; i < reply->n_offers; i++) {
		const Millrace__Offer *o = reply->offers[i];

		if (ex_task_find(s->ex, o->attempt->task_id, o->attempt->fence) != NULL)
			continue;
		/* What does not fit is offered elsewhere after a moment. */
		if (ex_free_slots(s->ex) == 0 || !id_is_valid(o->attempt->task_id) ||
		    !id_is_valid(o->run_id))
			continue;
		ex_task_offered(s->ex, o->attempt->task_id, o->attempt->fence, o->run_id);
	}
}

static void
on_poll(ProtobufCMessage *msg, struct err **err, void *arg)
{
	struct poll *p = arg, **at;
	struct ex_session *s = p->session;

	for (at = &s->polls; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	free(p);
	s->npolls--;
	if (*err != NULL) {
		if (!session_error(s, err) && !loop_timer_armed(s->poll_timer))
			loop_timer_start(s->poll_timer, backoff(s));
		return;
	}
	s->backoff_ms = RETRY_MIN_MS;
	take_offers(s, (const Millrace__PollReply *)msg);
	poll_now(s);
}

/* A newer poll takes the place of an older one, whose empty answer follows. */
static void
poll_now(struct ex_session *s)
{
	Millrace__PollRequest req = MILLRACE__POLL_REQUEST__INIT;
	struct ex_rs_options opt = { .method = "executor.poll",
		.request = &req.base,
		.reply = &millrace__poll_reply__descriptor,
		.timeout_ms = EX_RS_HELD_MS,
		.once = true,
		.done = on_poll };
	unsigned slots = ex_free_slots(s->ex);
	struct poll *p;

	if (!s->registered || s->drain || slots == 0 || s->npolls >= POLLS_MAX ||
	    loop_timer_armed(s->poll_timer) || (s->npolls > 0 && s->told == slots))
		return;
	p = xcalloc(1, sizeof(*p));
	p->session = s;
	p->next = s->polls;
	s->polls = p;
	s->npolls++;
	s->told = slots;
	req.session = s->id.s;
	req.free_slots = slots;
	opt.arg = p;
	p->call = ex_rs_call(s->ex->rs, &opt);
}

static void
poll_again(void *arg)
{
	poll_now(arg);
}

void
ex_session_changed(struct ex_session *s)
{
	poll_now(s);
}

/* --- control --- */

static void
on_control(ProtobufCMessage *msg, struct err **err, void *arg)
{
	struct ex_session *s = arg;
	const Millrace__ControlReply *reply = (const Millrace__ControlReply *)msg;
	size_t i;

	s->control = NULL;
	if (*err != NULL) {
		if (!session_error(s, err))
			loop_timer_start(s->control_timer, backoff(s));
		return;
	}
	for (i = 0; i < reply->n_stop; i++) {
		struct ex_task *t =
		    ex_task_find(s->ex, reply->stop[i]->task_id, reply->stop[i]->fence);

		if (t != NULL)
			ex_task_stop(t);
	}
	if (reply->has_drain && reply->drain && !s->drain) {
		log_info("draining: no new tasks are taken");
		s->drain = true;
	}
	control_now(s);
}

static void
control_now(void *arg)
{
	struct ex_session *s = arg;
	Millrace__ControlRequest req = MILLRACE__CONTROL_REQUEST__INIT;
	const struct ex_rs_options opt = { .method = "executor.control",
		.request = &req.base,
		.reply = &millrace__control_reply__descriptor,
		.timeout_ms = EX_RS_HELD_MS,
		.once = true,
		.done = on_control,
		.arg = s };
	struct attempts a;

	if (!s->registered || s->control != NULL)
		return;
	a = held(s->ex, true);
	req.session = s->id.s;
	req.stopping = a.list;
	req.n_stopping = a.n;
	s->control = ex_rs_call(s->ex->rs, &opt);
	attempts_free(&a);
}

/* --- renewal --- */

static void
on_renewed(ProtobufCMessage *msg, struct err **err, void *arg)
{
	struct ex_session *s = arg;
	const Millrace__RenewReply *reply = (const Millrace__RenewReply *)msg;
	size_t i;

	s->renewal = NULL;
	if (*err != NULL) {
		if (!session_error(s, err))
			loop_timer_start(s->renew_timer, backoff(s));
		return;
	}
	drop_all(s->ex, reply->lost, reply->n_lost, "the runservice says that it is lost");
	for (i = 0; i < s->ex->ntasks; i++)
		ex_task_renewed(s->ex->tasks[i], s->renew_sent_ms, s->lease_ms);
}

static void
renew_now(void *arg)
{
	struct ex_session *s = arg;
	Millrace__RenewRequest req = MILLRACE__RENEW_REQUEST__INIT;
	const struct ex_rs_options opt = { .method = "executor.renew",
		.request = &req.base,
		.reply = &millrace__renew_reply__descriptor,
		.timeout_ms = s->lease_ms / 3,
		.once = true,
		.done = on_renewed,
		.arg = s };
	struct attempts a;
	size_t i;

	if (!s->registered)
		return; /* registering starts it again */
	loop_timer_start(s->renew_timer, s->lease_ms / 3);
	if (s->renewal != NULL)
		return;
	a = held(s->ex, false);
	if (a.n > 0) {
		for (i = 0; i < s->ex->ntasks; i++)
			ex_task_renewing(s->ex->tasks[i]);
		req.session = s->id.s;
		req.attempts = a.list;
		req.n_attempts = a.n;
		s->renew_sent_ms = clock_mono_ms();
		s->renewal = ex_rs_call(s->ex->rs, &opt);
	}
	attempts_free(&a);
}

/* --- life --- */

struct ex_session *
ex_session_new(struct ex *ex)
{
	struct ex_session *s = xcalloc(1, sizeof(*s));

	s->ex = ex;
	s->id = id_new();
	s->lease_ms = LEASE_DEFAULT_MS;
	s->backoff_ms = RETRY_MIN_MS;
	s->reg_timer = loop_timer_new(ex->loop, "register", register_now, s);
	s->poll_timer = loop_timer_new(ex->loop, "poll again", poll_again, s);
	s->control_timer = loop_timer_new(ex->loop, "control again", control_now, s);
	s->renew_timer = loop_timer_new(ex->loop, "renew", renew_now, s);
	return s;
}

void
ex_session_free(struct ex_session *s)
{
	if (s == NULL)
		return;
	while (s->polls != NULL) {
		struct poll *p = s->polls;

		s->polls = p->next;
		ex_rs_cancel(p->call);
		free(p);
	}
	ex_rs_cancel(s->reg);
	ex_rs_cancel(s->control);
	ex_rs_cancel(s->renewal);
	loop_timer_free(s->reg_timer);
	loop_timer_free(s->poll_timer);
	loop_timer_free(s->control_timer);
	loop_timer_free(s->renew_timer);
	free(s);
}

const char *
ex_session_id(const struct ex_session *s)
{
	return s->id.s;
}

bool
ex_session_registered(const struct ex_session *s)
{
	return s->registered;
}

void
ex_session_dump(json_t *out, const struct ex_session *s)
{
	json_object_set_new(out, "runservice",
	    json_pack("{s:b, s:b, s:b, s:i, s:b, s:b}", "connected", s->connected, "registered",
	        s->registered, "draining", s->drain, "polls", (int)s->npolls, "control_held",
	        s->control != NULL, "renewing", s->renewal != NULL));
}
