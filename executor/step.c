#include "executor/task_int.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "executor/meter.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OWN_TEXT_MAX 2048

static void finish(struct ex_task *t);

static const Millrace__Step *
spec_of(const struct ex_task *t)
{
	return t->plan->spec->steps[t->step.index];
}

static bool
is(const struct ex_task *t, Millrace__StepType type)
{
	return spec_of(t)->type == type;
}
#define IS_CACHE(t)                                                                                \
	(is(t, MILLRACE__STEP_TYPE__STEP_SAVE_CACHE) ||                                            \
	    is(t, MILLRACE__STEP_TYPE__STEP_RESTORE_CACHE))
#define IS_SAVE(t)                                                                                 \
	(is(t, MILLRACE__STEP_TYPE__STEP_SAVE_TO_WORKSPACE) ||                                     \
	    is(t, MILLRACE__STEP_TYPE__STEP_SAVE_CACHE))
#define IS_RESTORE(t)                                                                              \
	(is(t, MILLRACE__STEP_TYPE__STEP_RESTORE_WORKSPACE) ||                                     \
	    is(t, MILLRACE__STEP_TYPE__STEP_RESTORE_CACHE))
#define IS_RUN(t) is(t, MILLRACE__STEP_TYPE__STEP_RUN)

void
ex_step_clear(struct ex_task *t)
{
	struct ex_step *s = &t->step;

	ex_save_free(t);
	ex_restore_free(t);
	ex_cache_free(t);
	ex_mask_stream_free(s->mask);
	free(s->error);
	*s = (struct ex_step){ .index = -1 };
	t->killing = false;
	if (t->kill != NULL)
		loop_timer_stop(t->kill);
}

/* --- log bytes --- */

static void
put(struct ex_task *t, uint64_t raw_end, const void *p, size_t n)
{
	ex_spool_append(t->spool, t->step.index, raw_end, p, n);
}

static void
too_much(struct ex_task *t)
{
	struct ex_step *s = &t->step;
	auto_free char *line = xasprintf(
	    "\n[this log is larger than %lld bytes: the step is ended, the rest is left out]\n",
	    (long long)t->ex->cfg->log_size_max);

	s->overflow = true;
	put(t, s->received, line, strlen(line));
	ex_step_fail(t, "its log is larger than %lld bytes (log_size_max)",
	    (long long)t->ex->cfg->log_size_max);
}

static void
take_bytes(struct ex_task *t, const uint8_t *p, size_t n)
{
	struct ex_step *s = &t->step;
	auto_buf out = BUF_INIT;

	s->received += n;
	if (s->overflow) {
		put(t, s->received, "", 0);
		return;
	}
	ex_mask_feed(s->mask, p, n, &out);
	put(t, s->mask_base + ex_mask_done(s->mask), out.data, out.len);
	if (s->received > (uint64_t)t->ex->cfg->log_size_max)
		too_much(t);
}

static void
send_ack(struct ex_task *t, int step, uint64_t offset)
{
	struct msg_position m = { .step = step, .offset = offset };
	size_t n;
	uint8_t *p = msg_position_encode(&m, &n);

	ex_task_send(t, FRAME_ACK, p, n);
}

static void
on_log(struct ex_task *t, const struct frame *f)
{
	struct ex_step *s = &t->step;
	struct msg_data d;
	uint64_t skip;

	if (!msg_data_decode(&d, f->payload, f->len))
		return;
	if (d.step == -1) {
		/* What the making of a directory says comes with its result. */
		send_ack(t, -1, d.offset + d.len);
		return;
	}
	if (!s->active || d.step != s->index || s->flushed)
		return;
	if (d.offset > s->received) {
		ex_link_reset(t->link, "log bytes are missing");
		return;
	}
	skip = s->received - d.offset;
	if (skip >= d.len)
		return;
	take_bytes(t, d.bytes + skip, d.len - (size_t)skip);
	ex_step_check(t);
}

/* --- the end of a step --- */

static void
set_error(struct ex_step *s, const char *text)
{
	free(s->error);
	s->error = xstrdup(text);
}

static void
ended(struct ex_task *t, int exit_status)
{
	struct ex_step *s = &t->step;

	s->have_result = true;
	s->exit_status = exit_status;
	s->log_end = s->received;
	ex_step_check(t);
}

void
ex_step_fail(struct ex_task *t, const char *fmt, ...)
{
	struct ex_step *s = &t->step;
	auto_free char *text = NULL;
	va_list ap;

	if (!s->active || s->own_error)
		return;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	s->own_error = true;
	set_error(s, text);
	if (!s->have_result)
		ex_step_kill(t);
}

void
ex_step_own(struct ex_task *t, int exit_status, const char *fmt, ...)
{
	struct ex_step *s = &t->step;
	auto_free char *text = NULL;
	char line[OWN_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	text = ex_mask_text(t->mask, line);
	if (exit_status != 0) {
		s->own_error = true;
		set_error(s, line);
	}
	/* The toolbox gives nothing to this log: its offsets are ours. */
	s->received += strlen(line) + 1;
	put(t, s->received - 1, text, strlen(text));
	put(t, s->received, "\n", 1);
	s->flushed = true;
	ended(t, exit_status);
}

static void
signal_step(struct ex_task *t)
{
	struct msg_kill m = {
		.step = t->step.index, .signal = SIGTERM, .grace_ms = EX_KILL_GRACE_MS
	};
	size_t n;
	uint8_t *p = msg_kill_encode(&m, &n);

	ex_task_send(t, FRAME_KILL, p, n);
}

void
ex_step_give_up(void *task)
{
	struct ex_task *t = task;

	if (t->step.active && !t->step.have_result)
		ended(t, -1);
}

void
ex_step_kill(struct ex_task *t)
{
	struct ex_step *s = &t->step;

	if (!s->active) {
		ex_steps_go(t);
		return;
	}
	if (t->killing)
		return;
	t->killing = true;
	if (!s->sent && (!t->resumed || ex_link_up(t->link))) {
		/* Not from inside the caller, which may still use the step. */
		loop_timer_start(t->kill, 0);
		return;
	}
	if (ex_link_up(t->link))
		signal_step(t);
	loop_timer_start(t->kill, EX_KILL_PATIENCE_MS);
}

static enum ex_phase
outcome(const struct ex_task *t)
{
	const struct ex_step *s = &t->step;

	if (t->stop)
		return EX_STOPPED;
	if (t->timedout || s->own_error || s->exit_status != 0)
		return EX_FAILED;
	return EX_SUCCESS;
}

static void
finish(struct ex_task *t)
{
	struct ex_step *s = &t->step;
	struct ex_step_state *st = ex_state_step(t->st, s->index);
	enum ex_phase phase = outcome(t);

	st->phase = phase;
	st->end_ms = clock_wall_ms();
	st->has_exit = s->exit_status >= 0;
	st->exit_status = s->exit_status;
	if (t->timedout && phase == EX_FAILED) {
		auto_free char *why = xasprintf("the task's timeout of %lld s was over",
		    (long long)(t->plan->spec->timeout_ms / 1000));

		set_error(s, why);
	}
	if (s->error != NULL && *s->error != '\0' && phase != EX_STOPPED)
		st->error = ex_mask_text(t->mask, s->error);
	ex_meter_step(st);
	ex_logship_end(ex_task_ship(t, s->index));
	ex_step_clear(t);
	ex_steps_go(t);
	if (t->at == EX_AT_STEPS && !t->step.active)
		ex_task_save(t);
}

void
ex_step_check(struct ex_task *t)
{
	struct ex_step *s = &t->step;

	if (!s->active || !s->have_result || s->received < s->log_end)
		return;
	if (!s->flushed) {
		auto_buf out = BUF_INIT;

		if (!s->overflow)
			ex_mask_flush(s->mask, &out);
		s->flushed = true;
		put(t, s->received, out.data, out.len);
	}
	if (ex_spool_durable(t->spool, s->index).raw < s->received)
		return;
	if (IS_SAVE(t) && !s->own_error && s->exit_status == 0 && !t->killing && !ex_save_done(t) &&
	    !ex_cache_over(t))
		return;
	finish(t);
}

/* --- frames --- */

static void
on_result(struct ex_task *t, const struct frame *f)
{
	struct ex_step *s = &t->step;
	struct msg_result r;

	if (!msg_result_decode(&r, f->payload, f->len))
		return;
	if (r.step == -1 && t->at == EX_AT_SETUP && t->setup != NULL) {
		ex_setup_result(t, &r);
	} else if (s->active && r.step == s->index && r.attempt == t->st->attempt &&
	           !s->have_result) {
		s->have_result = true;
		s->exit_status = r.exit_status;
		s->log_end = r.log_end;
		s->archive_end = r.archive_end;
		if (!s->own_error)
			set_error(s, r.error);
		if (ex_cache_rendering(t))
			ex_cache_result(t);
		else if (IS_SAVE(t))
			ex_save_result(t);
		else if (IS_RESTORE(t) && r.exit_status == 0 && !s->own_error && !t->killing &&
		         ex_restore_result(t))
			s->have_result = false;
		ex_step_check(t);
	}
	msg_result_fini(&r);
}

/* Whatever the task needs is no longer there. */
static void
broken(struct ex_task *t, struct err **err)
{
	if (t->at == EX_AT_SETUP) {
		ex_setup_main_gone(t, err);
	} else if (t->at == EX_AT_STEPS && t->step.active) {
		if (!t->step.own_error) {
			t->step.own_error = true;
			set_error(&t->step, err_msg(*err));
		}
		if (!t->step.have_result || t->step.received < t->step.log_end)
			ended(t, -1);
		else
			ex_step_check(t);
	} else if (t->at == EX_AT_BEGIN || t->at == EX_AT_STEPS) {
		free(t->gone);
		t->gone = xstrdup(err_msg(*err));
	}
}

static void
on_refused(struct ex_task *t, const struct frame *f)
{
	struct msg_result r;
	auto_err e = NULL;

	if (!msg_result_decode(&r, f->payload, f->len))
		return;
	err_set(&e, ERR_INTERNAL, "the toolbox refused: %s", r.error);
	msg_result_fini(&r);
	broken(t, &e);
}

static void
on_child_exit(struct ex_task *t, const struct frame *f)
{
	struct msg_result r;
	auto_err e = NULL;

	if (!msg_result_decode(&r, f->payload, f->len))
		return;
	if (*r.error != '\0')
		err_set(
		    &e, ERR_INVALID, "the container's entrypoint cannot be started: %s", r.error);
	else
		err_set(&e, ERR_INVALID,
		    "the container's entrypoint ended with exit status %d; it must keep running",
		    r.exit_status);
	msg_result_fini(&r);
	broken(t, &e);
}

static void
on_frame(const struct frame *f, void *arg)
{
	struct ex_task *t = arg;
	struct msg_data d;
	struct msg_credit c;
	bool steps = t->at == EX_AT_STEPS && t->step.active;

	if (f->type == FRAME_LOG) {
		on_log(t, f);
	} else if (f->type == FRAME_RESULT) {
		on_result(t, f);
	} else if (f->type == FRAME_REFUSED) {
		on_refused(t, f);
	} else if (f->type == FRAME_CHILD_EXIT) {
		on_child_exit(t, f);
	} else if (f->type == FRAME_ARCHIVE && steps && (IS_SAVE(t) || ex_cache_rendering(t))) {
		if (!msg_data_decode(&d, f->payload, f->len))
			return;
		if (ex_cache_rendering(t))
			ex_cache_data(t, &d);
		else
			ex_save_data(t, &d);
	} else if (f->type == FRAME_WANT && steps && IS_RESTORE(t)) {
		if (msg_credit_decode(&c, f->payload, f->len) && c.step == t->step.index &&
		    c.attempt == t->st->attempt)
			ex_restore_want(t, c.total);
	}
}

/* --- the link --- */

static void
position(struct msg_hello *m, void *arg)
{
	struct ex_task *t = arg;

	if (!t->step.active)
		return;
	m->log_step = t->step.index;
	m->log_offset = ex_spool_durable(t->spool, t->step.index).raw;
}

static void
step_up(struct ex_task *t, const struct msg_welcome *w)
{
	struct ex_step *s = &t->step;
	bool there = w->step == s->index && w->attempt == t->st->attempt;

	s->sent = s->sent || w->step == s->index;
	if (s->have_result)
		return;
	if (t->killing) {
		if (w->step == s->index)
			signal_step(t);
		else
			loop_timer_start(t->kill, 0);
	} else if (ex_cache_rendering(t)) {
		ex_cache_up(t, w);
	} else if (IS_SAVE(t)) {
		ex_save_up(t, w);
	} else if (IS_RESTORE(t)) {
		ex_restore_up(t, w);
	} else if (s->ready && !there) {
		ex_step_send_start(t);
	}
}

static void
on_up(const struct msg_welcome *w, void *arg)
{
	struct ex_task *t = arg;

	ex_task_send_lease(t);
	if (t->at == EX_AT_SETUP && t->setup != NULL)
		ex_setup_main_up(t, w);
	else if (t->at == EX_AT_STEPS && t->step.active)
		step_up(t, w);
}

static void
on_down(void *arg)
{
	(void)arg;
}

static void
on_drain(void *arg)
{
	struct ex_task *t = arg;

	if (t->at == EX_AT_STEPS && t->step.active && IS_RESTORE(t))
		ex_restore_drain(t);
}

static void
on_gone(struct err **err, void *arg)
{
	struct ex_task *t = arg;

	ex_link_free(steal(&t->link));
	broken(t, err);
}

/* The next attaches take their epochs from a range that is on disk. */
static uint32_t
reserve_epochs(struct ex_task *t)
{
	uint16_t r;
	uint32_t first;

	id_random_bytes(&r, sizeof(r));
	first = t->st->epochs + 1u + r % EX_LINK_EPOCHS;
	t->st->epochs = first + EX_EPOCH_RESERVE;
	return first;
}

static struct ex_link_options
link_options(struct ex_task *t)
{
	return (struct ex_link_options){ .loop = t->ex->loop,
		.engine = t->ex->engine,
		.container = t->container,
		.resumed = t->resumed,
		.position = position,
		.on_up = on_up,
		.on_frame = on_frame,
		.on_down = on_down,
		.on_drain = on_drain,
		.on_gone = on_gone,
		.arg = t };
}

void
ex_steps_attach(struct ex_task *t)
{
	struct ex_link_options opt = link_options(t);

	opt.epoch = t->first_epoch != 0 ? t->first_epoch : reserve_epochs(t);
	t->link = ex_link_new(&opt);
}

void
ex_steps_adopt(struct ex_task *t, struct ex_link *link)
{
	const struct ex_link_options opt = link_options(t);
	const struct msg_welcome fresh = { .step = -2 };

	t->link = link;
	t->st->epochs = ex_link_epoch(link) + EX_EPOCH_RESERVE;
	ex_link_hand_over(link, &opt);
	on_up(&fresh, t);
}

/* --- one after another --- */

static void
launch(struct ex_task *t)
{
	struct ex_step *s = &t->step;

	if (t->link == NULL && t->gone == NULL)
		ex_steps_attach(t);
	if (t->gone != NULL) {
		ex_step_own(t, -1, "%s", t->gone);
	} else if (t->stop || t->timedout) {
		ex_step_kill(t);
	} else if (t->killing) {
		return;
	} else if (IS_RUN(t)) {
		s->ready = true;
		ex_step_send_start(t);
	} else if (IS_CACHE(t)) {
		ex_cache_begin(t);
	} else if (IS_SAVE(t)) {
		ex_save_begin(t);
	} else {
		ex_restore_begin(t);
	}
}

void
ex_step_next_attempt(struct ex_task *t)
{
	t->st->attempt++;
	t->step.ready = false;
	t->step.state_no = ex_task_save(t);
}

static void
start_step(struct ex_task *t, int index)
{
	struct ex_step *s = &t->step;
	struct ex_step_state *st = ex_state_step(t->st, index);

	ex_step_clear(t);
	s->index = index;
	s->active = true;
	s->mask = ex_mask_stream_new(t->mask);
	s->mask_base = s->received = s->acked = ex_spool_durable(t->spool, index).raw;
	if (st->phase == EX_NOTSTARTED) {
		st->phase = EX_RUNNING;
		st->start_ms = clock_wall_ms();
		t->st->attempt = 1;
		t->st->archives = 0;
		t->st->archive[0] = '\0';
	}
	if (t->link == NULL && t->first_epoch == 0)
		t->first_epoch = reserve_epochs(t);
	ex_task_ship(t, index);
	s->state_no = ex_task_save(t);
}

void
ex_steps_go(struct ex_task *t)
{
	unsigned i;

	if (t->at != EX_AT_STEPS || t->step.active)
		return;
	for (i = 0; i < t->st->nsteps && t->st->steps[i].phase == EX_SUCCESS; i++)
		;
	if (i == t->st->nsteps)
		ex_task_end(t, EX_SUCCESS);
	else if (ex_phase_final(t->st->steps[i].phase))
		ex_task_end(t, t->st->steps[i].phase);
	else if (t->stop && t->st->steps[i].phase == EX_NOTSTARTED)
		ex_task_end(t, EX_STOPPED);
	else if (t->timedout && t->st->steps[i].phase == EX_NOTSTARTED)
		ex_task_end(t, EX_FAILED);
	else if (t->nunstored < EX_UNSTORED_MAX)
		start_step(t, (int)i);
}

void
ex_step_durable(struct ex_task *t)
{
	struct ex_step *s = &t->step;
	uint64_t raw;

	if (t->at != EX_AT_STEPS || !s->active)
		return;
	if (s->state_no != 0 && ex_spool_state_durable(t->spool) >= s->state_no) {
		s->state_no = 0;
		launch(t);
		if (!s->active)
			return;
	}
	raw = ex_spool_durable(t->spool, s->index).raw;
	if (raw > s->acked) {
		s->acked = raw;
		if (ex_link_up(t->link))
			send_ack(t, s->index, raw);
	}
	ex_step_check(t);
}
