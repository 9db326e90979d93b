#include "executor/task_int.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "executor/meter.h"
#include "executor/session.h"
#include "executor/warm.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RETRY_MS 2000
/* Steps may follow each other faster than anybody reads of them. */
#define REPORT_PACE_MS 20
#define LINE_MAX_BYTES 8192 /* of ours in a setup log */
/* After a restart revisions go on well past those that may have been sent. */
#define REVISION_GAP (1u << 20)

static void accept_now(struct ex_task *t);
static void report(struct ex_task *t);
static void maybe_over(struct ex_task *t);

const char *
ex_task_id(const struct ex_task *t)
{
	return t->task_id;
}

uint64_t
ex_task_fence(const struct ex_task *t)
{
	return t->fence;
}

bool
ex_task_held(const struct ex_task *t)
{
	/* An offer is ours once the accept was answered. */
	return t->at != EX_AT_DROP && t->st != NULL && !t->final_acked;
}

bool
ex_task_busy(const struct ex_task *t)
{
	return !t->cleaned;
}

bool
ex_task_stopping(const struct ex_task *t)
{
	return t->stop;
}

bool
ex_task_setting_up(const struct ex_task *t)
{
	return t->at == EX_AT_ACCEPT || t->at == EX_AT_SETUP || t->at == EX_AT_BEGIN;
}

const char *
ex_task_adopted(const struct ex_task *t)
{
	const char *first = t->st != NULL && t->st->ncontainers > 0 ? t->st->containers[0] : NULL;

	return first != NULL && strncmp(first, "millrace-", 9) != 0 ? first : NULL;
}

struct ex_owner
ex_task_owner(const struct ex_task *t, const char *role)
{
	return (struct ex_owner){ .executor = t->ex->cfg->id,
		.run = t->run_id,
		.task = t->task_id,
		.role = role,
		.fence = t->fence };
}

char *
ex_task_container_name(const struct ex_task *t, unsigned index)
{
	return xasprintf("millrace-%s-%" PRIu64 "-%u", t->task_id, t->fence, index);
}

bool
ex_task_send(struct ex_task *t, enum frame_type type, uint8_t *payload, size_t n)
{
	bool sent;

	MUST(payload != NULL);
	sent = ex_link_send(t->link, type, payload, n);
	xfree_secret(payload, n);
	return sent;
}

/* --- lease --- */

static int64_t
margin(int64_t lease_ms)
{
	return lease_ms / 6;
}

int64_t
ex_task_lease_left(const struct ex_task *t)
{
	int64_t left = t->lease_end_ms - clock_mono_ms();

	return left > 0 ? left : 0;
}

void
ex_task_send_lease(struct ex_task *t)
{
	struct msg_lease m = { .ms = (uint64_t)ex_task_lease_left(t) };
	uint8_t *p;
	size_t n;

	if (t->lease_end_ms == 0 || !ex_link_up(t->link))
		return;
	p = msg_lease_encode(&m, &n);
	ex_task_send(t, FRAME_LEASE, p, n);
}

static void
set_lease(struct ex_task *t, int64_t sent_ms, int64_t lease_ms)
{
	t->lease_end_ms = sent_ms + lease_ms - margin(lease_ms);
	loop_timer_start(t->lease, ex_task_lease_left(t));
	ex_task_send_lease(t);
}

static void
on_lease_end(void *arg)
{
	struct ex_task *t = arg;

	/* What only waits to be told may wait on: it has no effects any more. */
	if (t->at != EX_AT_END)
		ex_task_drop(t, "its lease ended before the runservice could be reached");
}

void
ex_task_renewing(struct ex_task *t)
{
	t->renewing = ex_task_held(t);
}

void
ex_task_renewed(struct ex_task *t, int64_t sent_ms, int64_t lease_ms)
{
	if (t->renewing && ex_task_held(t))
		set_lease(t, sent_ms, lease_ms);
	t->renewing = false;
}

/* --- logs --- */

static void
on_ship(struct err **err, void *arg)
{
	struct ex_task *t = arg;
	unsigned i;
	bool news = false;

	if (*err != NULL && (*err)->code == ERR_CONFLICT) {
		ex_task_drop(t, err_msg(*err));
		return;
	}
	if (*err != NULL) {
		log_err(LOG_WARN, "a log is refused, trying again", err, EX_LOG_IDS(t));
		loop_timer_start(t->again, RETRY_MS);
		return;
	}
	for (i = 0; i <= t->st->nsteps; i++) {
		struct ex_step_state *s = ex_state_step(t->st, (int)i - 1);

		if (t->ships[i] == NULL || !ex_logship_finished(t->ships[i]))
			continue;
		ex_logship_free(steal(&t->ships[i]));
		s->log_stored = news = true;
		t->nunstored--;
	}
	if (!news)
		return;
	ex_task_save(t);
	if (t->at == EX_AT_STEPS)
		ex_steps_go(t);
}

struct ex_logship *
ex_task_ship(struct ex_task *t, int step)
{
	struct ex_logship **at = &t->ships[step + 1];
	const struct ex_logship_options opt = { .loop = t->ex->loop,
		.pool = t->ex->pool,
		.rs = t->ex->rs,
		.spool = t->spool,
		.task_id = t->task_id,
		.fence = t->fence,
		.step = step,
		.on_progress = on_ship,
		.arg = t };

	if (*at == NULL) {
		*at = ex_logship_new(&opt);
		t->nunstored++;
	}
	return *at;
}

/* Ships that gave up because of an error are made anew. */
static void
ships_again(struct ex_task *t)
{
	unsigned i;

	for (i = 0; t->ships != NULL && i <= t->st->nsteps; i++) {
		const struct ex_step_state *s = ex_state_step(t->st, (int)i - 1);

		if (s->phase == EX_NOTSTARTED || s->log_stored)
			continue;
		if (t->ships[i] != NULL) {
			ex_logship_free(steal(&t->ships[i]));
			t->nunstored--;
		}
		ex_task_ship(t, (int)i - 1);
		if (ex_phase_final(s->phase))
			ex_logship_end(t->ships[i]);
		else
			ex_logship_kick(t->ships[i]);
	}
}

void
ex_task_say_raw(struct ex_task *t, const char *text, size_t n)
{
	auto_free char *copy = xstrndup(text, n);
	auto_free char *masked = ex_mask_text(t->mask, copy);

	t->setup_raw += n;
	ex_spool_append(t->spool, -1, t->setup_raw, masked, strlen(masked));
}

void
ex_task_say(struct ex_task *t, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	n = strlen(line);
	line[n] = '\n';
	ex_task_say_raw(t, line, n + 1);
	explicit_bzero(line, sizeof(line));
}

static void
on_durable(void *arg)
{
	struct ex_task *t = arg;
	unsigned i;

	for (i = 0; i <= t->st->nsteps; i++)
		if (t->ships[i] != NULL)
			ex_logship_kick(t->ships[i]);
	ex_step_durable(t);
}

/* --- state and report --- */

uint64_t
ex_task_save(struct ex_task *t)
{
	auto_free char *text = NULL;
	uint64_t no;

	t->st->revision++;
	text = ex_state_print(t->st);
	no = ex_spool_put_state(t->spool, text);
	report(t);
	return no;
}

static bool
all_stored(const struct ex_task *t)
{
	unsigned i;

	for (i = 0; i <= t->st->nsteps; i++) {
		const struct ex_step_state *s = ex_state_step(t->st, (int)i - 1);

		if (s->phase != EX_NOTSTARTED && !s->log_stored)
			return false;
	}
	return true;
}

static void
on_reported(ProtobufCMessage *reply, struct err **err, void *arg)
{
	struct ex_task *t = arg;

	(void)reply;
	t->report = NULL;
	if (*err != NULL && (*err)->code == ERR_CONFLICT) {
		ex_task_drop(t, err_msg(*err));
		return;
	}
	if (*err != NULL) {
		log_err(LOG_WARN, "a report is refused, trying again", err, EX_LOG_IDS(t));
		t->reported = 0;
		loop_timer_start(t->again, RETRY_MS);
		return;
	}
	if (t->report_final) {
		t->final_acked = true;
		maybe_over(t);
		return;
	}
	report(t);
}

/* The newest state, one report at a time, and those of progress not closer than REPORT_PACE_MS. */
static void
report(struct ex_task *t)
{
	enum ex_phase status = t->st->status;
	const struct ex_rs_options opt = { .method = "task.report", .done = on_reported, .arg = t };
	auto_free void *body = NULL;
	int64_t now = clock_mono_ms();
	size_t n;

	if (t->report != NULL || t->reported == t->st->revision || t->final_acked ||
	    t->at == EX_AT_DROP)
		return;
	/* The end is told when there is nothing left to send. */
	t->report_final = ex_phase_final(status) && all_stored(t);
	if (!t->report_final && now - t->report_sent_ms < REPORT_PACE_MS) {
		if (!loop_timer_armed(t->pace))
			loop_timer_start(t->pace, t->report_sent_ms + REPORT_PACE_MS - now);
		return;
	}
	t->report_sent_ms = now;
	if (!t->report_final)
		t->st->status = EX_RUNNING;
	body = ex_state_report(t->st, &n);
	t->st->status = status;
	t->reported = t->st->revision;
	t->report = ex_rs_call_packed(t->ex->rs, &opt, body, n);
}

static void
on_pace(void *arg)
{
	report(arg);
}

/* --- the end --- */

static void
forget(void *arg)
{
	struct ex_task *t = arg;

	ex_spool_free(steal(&t->spool), true);
	ex_task_free(t);
}

static void
maybe_over(struct ex_task *t)
{
	if (!t->cleaned || (t->at == EX_AT_END && !t->final_acked))
		return;
	log_info("task over", EX_LOG_IDS(t), LOG_I64("attempt", (int64_t)t->fence));
	ex_task_remove(t->ex, t);
	loop_defer(t->ex->loop, forget, t);
}

static void
on_cleaned(void *arg)
{
	struct ex_task *t = arg;

	t->removal = NULL;
	t->cleaned = true;
	ex_session_changed(t->ex->session);
	maybe_over(t);
}

static void
clean(struct ex_task *t)
{
	struct ex_removal_options opt = { .ex = t->ex,
		.executor = t->ex->cfg->id,
		.task = t->task_id,
		.fence = t->fence,
		.container = ex_task_adopted(t),
		.done = on_cleaned,
		.arg = t };

	if (t->removal == NULL && !t->cleaned)
		opt.after = ex_setup_take_call(t);
	ex_setup_free(t);
	ex_step_clear(t);
	ex_link_free(steal(&t->link));
	loop_timer_stop(t->timeout);
	loop_timer_stop(t->kill);
	ex_rs_cancel(steal(&t->call));
	if (t->removal == NULL && !t->cleaned)
		t->removal = ex_removal_start(&opt);
}

void
ex_task_end(struct ex_task *t, enum ex_phase status)
{
	unsigned i;

	log_info("task ended", EX_LOG_IDS(t), LOG_STR("status", ex_phase_word(status)));
	t->at = EX_AT_END;
	if (!ex_phase_final(t->st->status)) {
		t->st->status = status;
		t->st->end_ms = clock_wall_ms();
		ex_meter_task(status);
		t->st->timedout = t->timedout;
	}
	loop_timer_stop(t->lease);
	clean(t);
	for (i = 0; i <= t->st->nsteps; i++) {
		const struct ex_step_state *s = ex_state_step(t->st, (int)i - 1);

		if (s->phase != EX_NOTSTARTED && !s->log_stored)
			ex_logship_end(ex_task_ship(t, (int)i - 1));
	}
	ex_task_save(t);
}

static void
ships_free(struct ex_task *t)
{
	unsigned i;

	for (i = 0; t->ships != NULL && i <= t->st->nsteps; i++)
		ex_logship_free(steal(&t->ships[i]));
}

void
ex_task_drop(struct ex_task *t, const char *why)
{
	if (t->at == EX_AT_DROP)
		return;
	log_warn("task dropped", EX_LOG_IDS(t), LOG_I64("attempt", (int64_t)t->fence),
	    LOG_STR("why", why));
	t->at = EX_AT_DROP;
	loop_timer_stop(t->again);
	loop_timer_stop(t->lease);
	loop_timer_stop(t->pace);
	ex_rs_cancel(steal(&t->report));
	ships_free(t);
	clean(t);
	if (t->cleaned)
		maybe_over(t);
}

/* --- stop and timeout --- */

void
ex_task_stop(struct ex_task *t)
{
	if (t->stop || t->at >= EX_AT_END)
		return;
	log_info("task is stopped", EX_LOG_IDS(t));
	t->stop = true;
	switch (t->at) {
	case EX_AT_SETUP:
		if (!t->st->setup_done) /* else it is taken up again first */
			ex_task_setup_failed(t, NULL);
		break;
	case EX_AT_BEGIN:
		ex_task_end(t, EX_STOPPED);
		break;
	case EX_AT_STEPS:
		ex_step_kill(t);
		break;
	case EX_AT_ACCEPT: /* seen when the accept is answered */
	case EX_AT_END:
	case EX_AT_DROP:
		break;
	}
}

static void
on_timeout(void *arg)
{
	struct ex_task *t = arg;

	if ((t->at != EX_AT_STEPS && t->at != EX_AT_BEGIN) || t->stop)
		return;
	t->timedout = true;
	if (t->at == EX_AT_STEPS)
		ex_step_kill(t);
}

/* --- setup, begin --- */

void
ex_task_setup_failed(struct ex_task *t, struct err **why)
{
	struct ex_step_state *s = &t->st->setup;

	if (why != NULL) {
		free(s->error);
		s->error = ex_mask_text(t->mask, err_msg(*why));
		ex_task_say(t, "Setup failed: %s", err_msg(*why));
	} else {
		ex_task_say(t, "Stopped");
	}
	s->phase = why != NULL ? EX_FAILED : EX_STOPPED;
	s->end_ms = clock_wall_ms();
	ex_task_end(t, s->phase);
}

static void
on_begun(ProtobufCMessage *reply, struct err **err, void *arg)
{
	struct ex_task *t = arg;

	(void)reply;
	t->call = NULL;
	if (*err != NULL && (*err)->code == ERR_CONFLICT) {
		ex_task_drop(t, err_msg(*err));
		return;
	}
	if (*err != NULL) {
		log_err(LOG_WARN, "task.begin is refused, trying again", err, EX_LOG_IDS(t));
		if (t->at == EX_AT_BEGIN)
			loop_timer_start(t->again, RETRY_MS);
		return;
	}
	t->st->begun = true;
	if (t->at != EX_AT_BEGIN)
		return; /* the working directory is still being made */
	t->at = EX_AT_STEPS;
	ex_steps_go(t);
}

void
ex_task_begin(struct ex_task *t)
{
	Millrace__BeginRequest req = MILLRACE__BEGIN_REQUEST__INIT;
	Millrace__Attempt attempt = MILLRACE__ATTEMPT__INIT;
	const struct ex_rs_options opt = {
		.method = "task.begin", .request = &req.base, .done = on_begun, .arg = t
	};

	if (t->st->begun || t->call != NULL)
		return;
	attempt.task_id = t->task_id;
	attempt.fence = t->fence;
	req.attempt = &attempt;
	t->call = ex_rs_call(t->ex->rs, &opt);
}

static void
start_timeout(struct ex_task *t)
{
	int64_t ms = t->plan->spec->timeout_ms, gone;

	if (t->st->steps_start_ms == 0)
		t->st->steps_start_ms = clock_wall_ms();
	if (!t->plan->spec->has_timeout_ms || ms <= 0)
		return;
	gone = clock_wall_ms() - t->st->steps_start_ms;
	if (gone < 0)
		gone = 0;
	loop_timer_start(t->timeout, gone < ms ? ms - gone : 0);
}

void
ex_task_setup_done(struct ex_task *t)
{
	struct ex_step_state *s = &t->st->setup;

	ex_setup_free(t);
	if (!t->st->setup_done) {
		t->st->setup_done = true;
		s->phase = EX_SUCCESS;
		s->end_ms = clock_wall_ms();
		ex_meter_setup(s);
		ex_logship_end(ex_task_ship(t, -1));
	}
	start_timeout(t);
	ex_warm_settled(t->ex->warm);
	if (t->st->begun) {
		t->at = EX_AT_STEPS;
		ex_steps_go(t);
	} else {
		t->at = EX_AT_BEGIN;
		ex_task_begin(t);
	}
	if (!t->step.active) /* a step that starts has saved all this */
		ex_task_save(t);
}

/* --- accept --- */

/* The reply belongs to its caller, so it is copied through the wire format. */
static Millrace__AcceptReply *
copy_plan(const Millrace__AcceptReply *reply)
{
	size_t n = millrace__accept_reply__get_packed_size(reply);
	uint8_t *bytes = xmalloc(n ? n : 1);
	Millrace__AcceptReply *m;

	millrace__accept_reply__pack(reply, bytes);
	m = millrace__accept_reply__unpack(NULL, n, bytes);
	xfree_secret(bytes, n);
	return m;
}

static int
check_plan(const struct ex_task *t, const Millrace__AcceptReply *m, struct err **err)
{
	const Millrace__TaskSpec *spec = m->spec;

	if (strcmp(m->run_id, t->run_id) != 0 || strcmp(spec->id, t->task_id) != 0)
		return err_set(err, ERR_INVALID, "the accepted task is not the one offered");
	if (spec->n_containers == 0 || spec->n_containers > EX_CONTAINERS_MAX ||
	    spec->n_steps > EX_STEPS_MAX)
		return err_set(err, ERR_INVALID, "the task has %zu containers and %zu steps",
		    spec->n_containers, spec->n_steps);
	if (t->st != NULL && t->st->nsteps != spec->n_steps)
		return err_set(err, ERR_INVALID, "the task has %zu steps and had %u before",
		    spec->n_steps, t->st->nsteps);
	return 0;
}

static int
make_mask(struct ex_task *t, struct err **err)
{
	auto_free struct ex_mask_secret *list = xcalloc(t->plan->n_secrets + 1, sizeof(*list));
	size_t i;

	for (i = 0; i < t->plan->n_secrets; i++)
		list[i] =
		    (struct ex_mask_secret){ t->plan->secrets[i].data, t->plan->secrets[i].len };
	return ex_mask_set_new(&t->mask, list, t->plan->n_secrets, err);
}

static void
open_ships(struct ex_task *t)
{
	t->ships = xcalloc(t->st->nsteps + 1, sizeof(struct ex_logship *));
	t->setup_raw = ex_spool_durable(t->spool, -1).raw;
}

static int
open_spool(struct ex_task *t, struct err **err)
{
	auto_free char *dir =
	    xasprintf("%s/%s-%" PRIu64, t->ex->cfg->spool_dir, t->task_id, t->fence);
	int rc = ex_spool_open(
	    &t->spool, t->ex->loop, t->ex->pool, dir, t->st->nsteps, on_durable, t, err);

	if (rc == 0)
		open_ships(t);
	return rc;
}

static void
go(struct ex_task *t)
{
	auto_err e = NULL;

	if (make_mask(t, &e) != 0) {
		t->st->setup.phase = EX_RUNNING;
		ex_task_setup_failed(t, &e);
		return;
	}
	if (t->st->start_ms == 0)
		t->st->start_ms = clock_wall_ms();
	if (t->stop && !t->st->setup_done) {
		ex_task_end(t, EX_STOPPED);
		return;
	}
	t->images = xcalloc(t->plan->spec->n_containers, sizeof(*t->images));
	t->container = t->st->setup_done && ex_task_adopted(t) != NULL
	                   ? xstrdup(ex_task_adopted(t))
	                   : ex_task_container_name(t, 0);
	t->at = EX_AT_SETUP;
	if (t->st->setup_done)
		ex_setup_reattach(t);
	else
		ex_setup_start(t);
}

static void
on_accepted(ProtobufCMessage *msg, struct err **err, void *arg)
{
	struct ex_task *t = arg;
	const Millrace__AcceptReply *reply = (const Millrace__AcceptReply *)msg;
	auto_err e = NULL;

	t->call = NULL;
	if (*err != NULL && t->resumed && (*err)->code != ERR_CONFLICT) {
		log_err(LOG_WARN, "task.accept is refused, trying again", err, EX_LOG_IDS(t));
		loop_timer_start(t->again, RETRY_MS);
		return;
	}
	if (*err != NULL) {
		ex_task_drop(t, err_msg(*err));
		return;
	}
	if (check_plan(t, reply, &e) != 0) {
		ex_task_drop(t, err_msg(e));
		return;
	}
	t->plan = copy_plan(reply);
	if (t->plan == NULL) {
		ex_task_drop(t, "its definition cannot be copied");
		return;
	}
	if (t->st == NULL) {
		t->st =
		    ex_state_new(t->run_id, t->task_id, t->fence, (unsigned)t->plan->spec->n_steps);
		if (open_spool(t, &e) != 0) {
			ex_task_drop(t, err_msg(e));
			return;
		}
	}
	set_lease(t, t->accept_sent_ms, reply->lease_ms);
	log_info("task accepted", EX_LOG_IDS(t), LOG_I64("attempt", (int64_t)t->fence));
	go(t);
}

static void
accept_now(struct ex_task *t)
{
	Millrace__AcceptRequest req = MILLRACE__ACCEPT_REQUEST__INIT;
	Millrace__Attempt attempt = MILLRACE__ATTEMPT__INIT;
	const struct ex_rs_options opt = { .method = "task.accept",
		.request = &req.base,
		.reply = &millrace__accept_reply__descriptor,
		.done = on_accepted,
		.arg = t };

	attempt.task_id = t->task_id;
	attempt.fence = t->fence;
	req.attempt = &attempt;
	req.session = (char *)(uintptr_t)ex_session_id(t->ex->session);
	t->accept_sent_ms = clock_mono_ms();
	t->call = ex_rs_call(t->ex->rs, &opt);
}

static void
on_again(void *arg)
{
	struct ex_task *t = arg;

	if (t->at == EX_AT_ACCEPT && t->call == NULL)
		accept_now(t);
	else if (t->at == EX_AT_BEGIN && t->call == NULL)
		ex_task_begin(t);
	if (t->st != NULL && t->at != EX_AT_DROP && t->at != EX_AT_ACCEPT) {
		ships_again(t);
		report(t);
	}
}

/* --- life --- */

static struct ex_task *
task_new(struct ex *ex, const char *task_id, uint64_t fence, const char *run_id)
{
	struct ex_task *t = xcalloc(1, sizeof(*t));

	t->ex = ex;
	snprintf(t->task_id, sizeof(t->task_id), "%s", task_id);
	snprintf(t->run_id, sizeof(t->run_id), "%s", run_id);
	t->fence = fence;
	t->at = EX_AT_ACCEPT;
	t->again = loop_timer_new(ex->loop, "task again", on_again, t);
	t->lease = loop_timer_new(ex->loop, "task lease", on_lease_end, t);
	t->timeout = loop_timer_new(ex->loop, "task timeout", on_timeout, t);
	t->kill = loop_timer_new(ex->loop, "step kill", ex_step_give_up, t);
	t->pace = loop_timer_new(ex->loop, "report pace", on_pace, t);
	ex_task_add(ex, t);
	return t;
}

void
ex_task_offered(struct ex *ex, const char *task_id, uint64_t fence, const char *run_id)
{
	accept_now(task_new(ex, task_id, fence, run_id));
}

void
ex_task_recover(struct ex *ex, const char *dir)
{
	auto_free char *text = NULL;
	struct ex_state *st = NULL;
	auto_err e = NULL;
	struct ex_task *t;
	size_t n;

	if (ex_spool_state_read(&text, &n, dir, &e) != 0 || ex_state_parse(&st, text, n, &e) != 0) {
		log_err(LOG_WARN, "a task's directory is of no use and is removed", &e,
		    LOG_STR("dir", dir));
		ex_spool_file_remove(dir);
		return;
	}
	if (!id_is_valid(st->task_id) || !id_is_valid(st->run_id)) {
		log_warn("a task's directory names no task and is removed", LOG_STR("dir", dir));
		ex_state_free(st);
		ex_spool_file_remove(dir);
		return;
	}
	t = task_new(ex, st->task_id, st->fence, st->run_id);
	t->resumed = true;
	t->st = st;
	st->revision += REVISION_GAP;
	t->timedout = st->timedout;
	if (open_spool(t, &e) != 0) {
		log_err(
		    LOG_ERROR, "a task's spool cannot be read, it is given up", &e, EX_LOG_IDS(t));
		ex_task_drop(t, "its spool cannot be read");
		return;
	}
	log_info("task found on disk", EX_LOG_IDS(t));
}

void
ex_task_registered(struct ex_task *t)
{
	if (t->at != EX_AT_ACCEPT || !t->resumed || t->call != NULL)
		return;
	loop_timer_stop(t->again);
	if (ex_phase_final(t->st->status))
		ex_task_end(t, t->st->status);
	else
		accept_now(t);
}

void
ex_task_free(struct ex_task *t)
{
	size_t i, n = t->images != NULL ? t->plan->spec->n_containers : 0;

	ex_setup_free(t);
	ex_step_clear(t);
	ex_link_free(t->link);
	ex_removal_cancel(t->removal);
	ex_rs_cancel(t->call);
	ex_rs_cancel(t->report);
	ships_free(t);
	free(t->ships);
	ex_spool_free(t->spool, false);
	ex_state_free(t->st);
	ex_mask_set_free(t->mask);
	for (i = 0; i < n; i++)
		ex_image_info_fini(&t->images[i]);
	free(t->images);
	free(t->container);
	free(t->gone);
	if (t->plan != NULL)
		millrace__accept_reply__free_unpacked(t->plan, NULL);
	loop_timer_free(t->again);
	loop_timer_free(t->lease);
	loop_timer_free(t->timeout);
	loop_timer_free(t->kill);
	loop_timer_free(t->pace);
	free(t);
}
