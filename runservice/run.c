#include "runservice/run.h"

#include "common/mem.h"

#include <string.h>

#define PH(from_, ev_, to_, fx_)                                                                   \
	{                                                                                          \
		RS_SCOPE_RUN, from_, 0, ev_, to_, 0, fx_                                           \
	}
#define RE(from_, ev_, to_, fx_)                                                                   \
	{                                                                                          \
		RS_SCOPE_RESULT, from_, 0, ev_, to_, 0, fx_                                        \
	}
#define TA(from_, at_, ev_, to_, to_at_, fx_)                                                      \
	{                                                                                          \
		RS_SCOPE_TASK, from_, at_, ev_, to_, to_at_, fx_                                   \
	}

/* The table. What is not here is refused. */
const struct rs_rule rs_run_rules[] = {
	PH(RS_QUEUED, RS_EV_START, RS_RUN_RUNNING, RS_FX_START | RS_FX_EVENT),
	PH(RS_QUEUED, RS_EV_CANCEL, RS_RUN_CANCELLED, RS_FX_END | RS_FX_EVENT),
	PH(RS_RUN_RUNNING, RS_EV_STOP, RS_RUN_RUNNING, RS_FX_STOPPING),
	PH(RS_RUN_RUNNING, RS_EV_SETTLED, RS_FINISHED, RS_FX_END | RS_FX_EVENT | RS_FX_NEXT),

	RE(RS_RESULT_UNKNOWN, RS_EV_TASK_FAILED, RS_RESULT_FAILED, RS_FX_EVENT),
	RE(RS_RESULT_UNKNOWN, RS_EV_ALL_FINAL, RS_RESULT_SUCCESS, RS_FX_EVENT),
	RE(RS_RESULT_UNKNOWN, RS_EV_STOP_SEEN, RS_RESULT_STOPPED, RS_FX_EVENT),

	/* waiting */
	TA(RS_NOTSTARTED, RS_FREE, RS_EV_WAIT, RS_NOTSTARTED, RS_FREE, RS_FX_WAIT),
	TA(RS_NOTSTARTED, RS_FREE, RS_EV_APPROVE, RS_NOTSTARTED, RS_FREE, RS_FX_APPROVE),
	TA(RS_NOTSTARTED, RS_FREE, RS_EV_SKIP, RS_SKIPPED, RS_FREE, 0),
	TA(RS_NOTSTARTED, RS_FREE, RS_EV_DROP, RS_CANCELLED, RS_FREE, 0),
	TA(RS_NOTSTARTED, RS_FREE, RS_EV_GIVE_UP, RS_STOPPED, RS_FREE, RS_FX_END),
	TA(RS_NOTSTARTED, RS_FREE, RS_EV_ASSIGN, RS_NOTSTARTED, RS_OFFERED,
	    RS_FX_FENCE | RS_FX_OFFER),

	/* offered */
	TA(RS_NOTSTARTED, RS_OFFERED, RS_EV_SKIP, RS_SKIPPED, RS_FREE, RS_FX_CLOSE | RS_FX_FENCE),
	TA(RS_NOTSTARTED, RS_OFFERED, RS_EV_DROP, RS_CANCELLED, RS_FREE, RS_FX_CLOSE | RS_FX_FENCE),
	TA(RS_NOTSTARTED, RS_OFFERED, RS_EV_GIVE_UP, RS_STOPPED, RS_FREE,
	    RS_FX_END | RS_FX_CLOSE | RS_FX_FENCE),
	TA(RS_NOTSTARTED, RS_OFFERED, RS_EV_EXPIRE, RS_NOTSTARTED, RS_FREE,
	    RS_FX_CLOSE | RS_FX_FENCE),
	TA(RS_NOTSTARTED, RS_OFFERED, RS_EV_ACCEPT, RS_NOTSTARTED, RS_HELD, RS_FX_LEASE),

	/* held, not begun */
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_ACCEPT, RS_NOTSTARTED, RS_HELD, RS_FX_LEASE),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_TELL_STOP, RS_NOTSTARTED, RS_HELD, RS_FX_TELL_STOP),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_REPORT_RUNNING, RS_RUNNING, RS_HELD, RS_FX_START),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_REPORT_CANCELLED, RS_CANCELLED, RS_FREE,
	    RS_FX_END | RS_FX_CLOSE),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_REPORT_STOPPED, RS_STOPPED, RS_FREE,
	    RS_FX_END | RS_FX_CLOSE),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_REPORT_SUCCESS, RS_SUCCESS, RS_FREE,
	    RS_FX_START | RS_FX_END | RS_FX_CLOSE),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_REPORT_FAILED, RS_FAILED, RS_FREE,
	    RS_FX_START | RS_FX_END | RS_FX_CLOSE),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_LOST, RS_FAILED, RS_FREE,
	    RS_FX_END | RS_FX_CLOSE | RS_FX_FENCE | RS_FX_LOSE),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_AGAIN, RS_NOTSTARTED, RS_FREE,
	    RS_FX_START | RS_FX_END | RS_FX_CLOSE | RS_FX_FENCE | RS_FX_RETRY),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_AGAIN_LOST, RS_NOTSTARTED, RS_FREE,
	    RS_FX_END | RS_FX_CLOSE | RS_FX_FENCE | RS_FX_LOSE | RS_FX_RETRY),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_UNFIT, RS_FAILED, RS_FREE,
	    RS_FX_END | RS_FX_CLOSE | RS_FX_FENCE | RS_FX_LOSE),
	TA(RS_NOTSTARTED, RS_HELD, RS_EV_LAPSE, RS_NOTSTARTED, RS_FREE,
	    RS_FX_CLOSE | RS_FX_FENCE | RS_FX_RESET),

	/* running */
	TA(RS_RUNNING, RS_HELD, RS_EV_ACCEPT, RS_RUNNING, RS_HELD, RS_FX_LEASE),
	TA(RS_RUNNING, RS_HELD, RS_EV_TELL_STOP, RS_RUNNING, RS_HELD, RS_FX_TELL_STOP),
	TA(RS_RUNNING, RS_HELD, RS_EV_REPORT_RUNNING, RS_RUNNING, RS_HELD, 0),
	TA(RS_RUNNING, RS_HELD, RS_EV_REPORT_STOPPED, RS_STOPPED, RS_FREE, RS_FX_END | RS_FX_CLOSE),
	TA(RS_RUNNING, RS_HELD, RS_EV_REPORT_SUCCESS, RS_SUCCESS, RS_FREE, RS_FX_END | RS_FX_CLOSE),
	TA(RS_RUNNING, RS_HELD, RS_EV_REPORT_FAILED, RS_FAILED, RS_FREE, RS_FX_END | RS_FX_CLOSE),
	TA(RS_RUNNING, RS_HELD, RS_EV_LOST, RS_FAILED, RS_FREE,
	    RS_FX_END | RS_FX_CLOSE | RS_FX_FENCE | RS_FX_LOSE),
	TA(RS_RUNNING, RS_HELD, RS_EV_AGAIN, RS_NOTSTARTED, RS_FREE,
	    RS_FX_END | RS_FX_CLOSE | RS_FX_FENCE | RS_FX_RETRY),
	TA(RS_RUNNING, RS_HELD, RS_EV_AGAIN_LOST, RS_NOTSTARTED, RS_FREE,
	    RS_FX_END | RS_FX_CLOSE | RS_FX_FENCE | RS_FX_LOSE | RS_FX_RETRY),
	TA(RS_RUNNING, RS_HELD, RS_EV_UNFIT, RS_FAILED, RS_FREE,
	    RS_FX_END | RS_FX_CLOSE | RS_FX_FENCE | RS_FX_LOSE),
	/* Its setup was under way: nothing of the user's has run. */
	TA(RS_RUNNING, RS_HELD, RS_EV_LAPSE, RS_NOTSTARTED, RS_FREE,
	    RS_FX_CLOSE | RS_FX_FENCE | RS_FX_RESET),

	/* final reports said again */
	TA(RS_CANCELLED, RS_FREE, RS_EV_REPORT_CANCELLED, RS_CANCELLED, RS_FREE, 0),
	TA(RS_STOPPED, RS_FREE, RS_EV_REPORT_STOPPED, RS_STOPPED, RS_FREE, 0),
	TA(RS_SUCCESS, RS_FREE, RS_EV_REPORT_SUCCESS, RS_SUCCESS, RS_FREE, 0),
	TA(RS_FAILED, RS_FREE, RS_EV_REPORT_FAILED, RS_FAILED, RS_FREE, 0),
};
const size_t rs_run_nrules = ARRAY_LEN(rs_run_rules);

/* --- words --- */

static const char *const phase_names[] = { "", "setuperror", "queued", "cancelled", "running",
	"finished" };
static const char *const result_names[] = { "", "unknown", "stopped", "success", "failed" };
static const char *const status_names[] = { "", "notstarted", "skipped", "cancelled", "running",
	"stopped", "success", "failed" };
static const char *const place_names[] = { "", "free", "offered", "held" };

static int
word(const char *const *list, size_t n, const char *s)
{
	for (size_t i = 1; s && i < n; i++) {
		if (strcmp(list[i], s) == 0)
			return (int)i;
	}
	return 0;
}

const char *
rs_phase_name(enum rs_phase p)
{
	return phase_names[p];
}

const char *
rs_result_name(enum rs_result r)
{
	return result_names[r];
}

const char *
rs_status_name(enum rs_status s)
{
	return status_names[s];
}

const char *
rs_place_name(enum rs_place p)
{
	return place_names[p];
}

enum rs_phase
rs_phase_parse(const char *s)
{
	return (enum rs_phase)word(phase_names, ARRAY_LEN(phase_names), s);
}

enum rs_result
rs_result_parse(const char *s)
{
	return (enum rs_result)word(result_names, ARRAY_LEN(result_names), s);
}

enum rs_status
rs_status_parse(const char *s)
{
	return (enum rs_status)word(status_names, ARRAY_LEN(status_names), s);
}

enum rs_place
rs_place_parse(const char *s)
{
	return (enum rs_place)word(place_names, ARRAY_LEN(place_names), s);
}

bool
rs_status_final(enum rs_status s)
{
	return s != RS_NOTSTARTED && s != RS_RUNNING;
}

unsigned
rs_condition_parse(const char *s)
{
	if (strcmp(s, "on_success") == 0)
		return RS_ON_SUCCESS;
	if (strcmp(s, "on_failure") == 0)
		return RS_ON_FAILURE;
	if (strcmp(s, "on_skipped") == 0)
		return RS_ON_SKIPPED;
	return 0;
}

/* --- the model --- */

void
rs_run_init(struct rs_run *run)
{
	memset(run, 0, sizeof(*run));
	run->phase = RS_QUEUED;
	run->result = RS_RESULT_UNKNOWN;
	run->rules = rs_run_rules;
	run->nrules = rs_run_nrules;
}

static void
free_steps(struct rs_step *setup, struct rs_step *steps, size_t n)
{
	for (size_t j = 0; j < n; j++)
		free(steps[j].error);
	free(setup->error);
	free(steps);
}

void
rs_run_fini(struct rs_run *run)
{
	for (size_t i = 0; i < run->ntasks; i++) {
		struct rs_task *t = &run->tasks[i];
		for (size_t j = 0; j < t->napprovers; j++)
			free(t->approvers[j]);
		free_steps(&t->setup, t->steps, t->nsteps);
		for (size_t j = 0; j < t->tries; j++) {
			free_steps(&t->past[j].setup, t->past[j].steps, t->nsteps);
			free(t->past[j].executor);
		}
		free(t->past);
		free(t->approvers);
		free(t->deps);
		free(t->name);
		free(t->arch);
		free(t->labels);
		free(t->executor);
	}
	free(run->tasks);
	free(run->effects);
	free(run->owner);
	free(run->name);
	free(run->group);
	memset(run, 0, sizeof(*run));
}

static struct rs_step *
new_steps(size_t n)
{
	struct rs_step *steps = xcalloc(n + 1, sizeof(*steps));
	for (size_t i = 0; i < n; i++)
		steps[i].phase = RS_NOTSTARTED;
	return steps;
}

struct rs_task *
rs_run_add_task(struct rs_run *run, const char *id, const char *name, size_t nsteps, bool skip)
{
	run->tasks = xreallocarray(run->tasks, run->ntasks + 1, sizeof(*run->tasks));
	struct rs_task *t = &run->tasks[run->ntasks++];
	memset(t, 0, sizeof(*t));
	MUST(strlen(id) < sizeof(t->id));
	memcpy(t->id, id, strlen(id) + 1);
	t->name = xstrdup(name);
	t->arch = xstrdup("");
	t->labels = xstrdup("");
	t->skip = skip;
	t->status = skip ? RS_SKIPPED : RS_NOTSTARTED;
	t->place = RS_FREE;
	t->setup.phase = RS_NOTSTARTED;
	t->nsteps = nsteps;
	t->steps = new_steps(nsteps);
	return t;
}

struct rs_try *
rs_run_add_try(struct rs_task *t)
{
	t->past = xreallocarray(t->past, t->tries + 1u, sizeof(*t->past));
	struct rs_try *y = &t->past[t->tries++];
	*y = (struct rs_try){ .setup = { .phase = RS_NOTSTARTED }, .steps = new_steps(t->nsteps) };
	return y;
}

void
rs_run_add_dep(struct rs_run *run, size_t task, size_t parent, unsigned conditions)
{
	struct rs_task *t = &run->tasks[task];
	t->deps = xreallocarray(t->deps, t->ndeps + 1, sizeof(*t->deps));
	t->deps[t->ndeps++] = (struct rs_dep){ .parent = parent, .conditions = conditions };
}

size_t
rs_run_find_task(const struct rs_run *run, const char *id)
{
	for (size_t i = 0; i < run->ntasks; i++) {
		if (strcmp(run->tasks[i].id, id) == 0)
			return i;
	}
	return RS_NO_TASK;
}

/* --- applying rules --- */

static const struct rs_rule *
find_rule(const struct rs_run *run, enum rs_scope scope, int from, enum rs_place place,
    enum rs_event event)
{
	for (size_t i = 0; i < run->nrules; i++) {
		const struct rs_rule *r = &run->rules[i];
		if (r->scope == scope && r->from == from && r->event == event &&
		    (scope != RS_SCOPE_TASK || r->place == place))
			return r;
	}
	return NULL;
}

static void
effect(struct rs_run *run, unsigned fx, size_t task, uint64_t fence, enum rs_status outcome)
{
	if (fx == 0)
		return;
	run->effects = xreallocarray(run->effects, run->neffects + 1, sizeof(*run->effects));
	run->effects[run->neffects++] =
	    (struct rs_effect){ .fx = fx, .task = task, .fence = fence, .outcome = outcome };
}

static void
lose_step(struct rs_step *s, int64_t now_ms, const char *reason)
{
	s->phase = RS_FAILED;
	s->end_ms = now_ms;
	free(s->error);
	s->error = xstrdup(reason ? reason : "lost");
	s->changed = true;
}

/* The attempt is gone: whatever ran has failed. Some step always says why. */
static void
lose(struct rs_task *t, int64_t now_ms, const char *reason)
{
	bool told = false;
	if (t->setup.phase == RS_RUNNING || t->setup.phase == RS_NOTSTARTED) {
		lose_step(&t->setup, now_ms, reason);
		told = true;
	}
	for (size_t i = 0; i < t->nsteps; i++) {
		if (t->steps[i].phase == RS_RUNNING) {
			lose_step(&t->steps[i], now_ms, reason);
			told = true;
		}
	}
	for (size_t i = 0; i < t->nsteps && !told; i++) {
		if (t->steps[i].phase == RS_NOTSTARTED) {
			lose_step(&t->steps[i], now_ms, reason);
			told = true;
		}
	}
}

static void
reset_step(struct rs_step *s)
{
	free(s->error);
	*s = (struct rs_step){ .phase = RS_NOTSTARTED, .changed = true };
}

static void
reset(struct rs_task *t)
{
	reset_step(&t->setup);
	for (size_t i = 0; i < t->nsteps; i++)
		reset_step(&t->steps[i]);
	t->start_ms = t->end_ms = 0;
	t->timedout = t->stop_told = false;
}

/* The present try becomes one of the past. */
static void
put_away(struct rs_task *t)
{
	struct rs_try *y = rs_run_add_try(t);
	struct rs_step *unused = y->steps;
	*y = (struct rs_try){ .setup = t->setup,
		.steps = t->steps,
		.executor = t->executor ? xstrdup(t->executor) : NULL,
		.timedout = t->timedout,
		.start_ms = t->start_ms,
		.end_ms = t->end_ms,
		.changed = true };
	t->setup.error = NULL;
	t->steps = unused;
	reset(t);
}

static void
apply_task(
    struct rs_run *run, const struct rs_rule *r, size_t task, int64_t now_ms, const char *reason)
{
	struct rs_task *t = &run->tasks[task];
	uint64_t fence = t->fence;
	t->status = (enum rs_status)r->to;
	t->place = r->to_place;
	if (r->fx & RS_FX_FENCE)
		t->fence++;
	if (r->fx & RS_FX_OFFER)
		fence = t->fence;
	if ((r->fx & RS_FX_START) && t->start_ms == 0)
		t->start_ms = now_ms;
	if ((r->fx & RS_FX_END) && t->end_ms == 0)
		t->end_ms = now_ms;
	if (r->fx & RS_FX_WAIT)
		t->waiting_approval = true;
	if (r->fx & RS_FX_APPROVE)
		t->approved = true;
	if ((r->fx & RS_FX_APPROVE) || rs_status_final(t->status))
		t->waiting_approval = false;
	if (r->fx & RS_FX_TELL_STOP)
		t->stop_told = true;
	if (r->fx & RS_FX_LOSE)
		lose(t, now_ms, reason);
	if (r->fx & RS_FX_RESET)
		reset(t);
	if (r->fx & RS_FX_RETRY)
		put_away(t);
	t->changed = true;
	effect(run,
	    r->fx & (RS_FX_OFFER | RS_FX_LEASE | RS_FX_CLOSE | RS_FX_TELL_STOP | RS_FX_RESET |
	                RS_FX_RETRY),
	    task, fence, r->fx & RS_FX_RETRY ? RS_FAILED : t->status);
}

static void
apply_run(struct rs_run *run, const struct rs_rule *r, int64_t now_ms)
{
	if (r->scope == RS_SCOPE_RESULT)
		run->result = (enum rs_result)r->to;
	else
		run->phase = (enum rs_phase)r->to;
	if (r->fx & RS_FX_START)
		run->start_ms = now_ms;
	if (r->fx & RS_FX_END)
		run->end_ms = now_ms;
	if (r->fx & RS_FX_STOPPING)
		run->stop = true;
	run->changed = true;
	size_t n = run->neffects;
	effect(run, r->fx & (RS_FX_EVENT | RS_FX_NEXT), RS_NO_TASK, 0, 0);
	if (run->neffects > n) {
		run->effects[n].phase = run->phase;
		run->effects[n].result = run->result;
	}
}

/* Events that follow from the graph; false when no rule allows them. */
static bool
follow_run(struct rs_run *run, enum rs_scope scope, enum rs_event ev, int64_t now_ms)
{
	int from = scope == RS_SCOPE_RUN ? (int)run->phase : (int)run->result;
	const struct rs_rule *r = find_rule(run, scope, from, 0, ev);
	if (r)
		apply_run(run, r, now_ms);
	return r != NULL;
}

static bool
follow_task(struct rs_run *run, enum rs_event ev, size_t i, int64_t now_ms)
{
	const struct rs_task *t = &run->tasks[i];
	const struct rs_rule *r = find_rule(run, RS_SCOPE_TASK, (int)t->status, t->place, ev);
	if (r)
		apply_task(run, r, i, now_ms, NULL);
	return r != NULL;
}

/* --- the graph step --- */

bool
rs_run_has_held(const struct rs_run *run)
{
	for (size_t i = 0; i < run->ntasks; i++) {
		if (run->tasks[i].place != RS_FREE)
			return true;
	}
	return false;
}

static bool
all_final(const struct rs_run *run)
{
	for (size_t i = 0; i < run->ntasks; i++) {
		if (!rs_status_final(run->tasks[i].status))
			return false;
	}
	return true;
}

static bool
any_failed(const struct rs_run *run)
{
	for (size_t i = 0; i < run->ntasks; i++) {
		if (run->tasks[i].status == RS_FAILED && !run->tasks[i].ignore_failure)
			return true;
	}
	return false;
}

static bool
condition_met(unsigned conditions, enum rs_status status)
{
	return ((conditions & RS_ON_SUCCESS) && status == RS_SUCCESS) ||
	       ((conditions & RS_ON_FAILURE) && status == RS_FAILED) ||
	       ((conditions & RS_ON_SKIPPED) && status == RS_SKIPPED);
}

bool
rs_run_parents_final(const struct rs_run *run, size_t task, bool *match)
{
	const struct rs_task *t = &run->tasks[task];
	*match = true;
	for (size_t j = 0; j < t->ndeps; j++) {
		enum rs_status s = run->tasks[t->deps[j].parent].status;
		if (!rs_status_final(s))
			return false;
		if (!condition_met(t->deps[j].conditions, s))
			*match = false;
	}
	return true;
}

/* After a failure no further root starts; one between two tries has started. */
static bool
is_further_root(const struct rs_run *run, const struct rs_task *t)
{
	return run->result != RS_RESULT_UNKNOWN && t->ndeps == 0 && t->tries == 0;
}

unsigned
rs_run_tries_left(const struct rs_task *t)
{
	return t->tries < t->retries ? t->retries - t->tries : 0;
}

bool
rs_run_may_retry(const struct rs_run *run, size_t task)
{
	const struct rs_task *t = &run->tasks[task];
	return run->phase == RS_RUN_RUNNING && !run->stop && t->place == RS_HELD &&
	       rs_run_tries_left(t) > 0;
}

bool
rs_run_task_ready(const struct rs_run *run, size_t task)
{
	const struct rs_task *t = &run->tasks[task];
	bool match;
	if (run->phase != RS_RUN_RUNNING || run->stop)
		return false;
	if (t->status != RS_NOTSTARTED || t->place != RS_FREE)
		return false;
	if (t->needs_approval && !t->approved)
		return false;
	if (is_further_root(run, t))
		return false;
	return rs_run_parents_final(run, task, &match) && match;
}

static bool
pass_stopping(struct rs_run *run, int64_t now_ms)
{
	bool moved = false;
	for (size_t i = 0; i < run->ntasks; i++) {
		struct rs_task *t = &run->tasks[i];
		if (t->status == RS_NOTSTARTED && t->place != RS_HELD)
			moved |=
			    follow_task(run, t->tries > 0 ? RS_EV_GIVE_UP : RS_EV_SKIP, i, now_ms);
		else if (t->place == RS_HELD && !t->stop_told)
			moved |= follow_task(run, RS_EV_TELL_STOP, i, now_ms);
	}
	return moved;
}

static bool
pass_one(struct rs_run *run, size_t i, int64_t now_ms)
{
	struct rs_task *t = &run->tasks[i];
	bool match;
	if (t->status != RS_NOTSTARTED || t->place != RS_FREE)
		return false;
	if (!rs_run_parents_final(run, i, &match))
		return false;
	if (!match)
		return follow_task(run, RS_EV_SKIP, i, now_ms);
	if (t->needs_approval && !t->approved && !t->waiting_approval)
		return follow_task(run, RS_EV_WAIT, i, now_ms);
	return false;
}

bool
rs_run_pass_tasks(struct rs_run *run, int64_t now_ms)
{
	bool moved = false;
	if (run->phase != RS_RUN_RUNNING)
		return false;
	if (run->stop)
		moved |= pass_stopping(run, now_ms);
	for (size_t i = 0; i < run->ntasks && run->result != RS_RESULT_UNKNOWN; i++) {
		const struct rs_task *t = &run->tasks[i];
		if (is_further_root(run, t) && t->status == RS_NOTSTARTED && t->place != RS_HELD)
			moved |= follow_task(run, RS_EV_DROP, i, now_ms);
	}
	for (size_t i = 0; i < run->ntasks; i++)
		moved |= pass_one(run, i, now_ms);
	return moved;
}

bool
rs_run_pass(struct rs_run *run, int64_t now_ms)
{
	bool moved = false;
	if (run->phase != RS_RUN_RUNNING)
		return false;
	if (run->result == RS_RESULT_UNKNOWN) {
		if (any_failed(run))
			moved = follow_run(run, RS_SCOPE_RESULT, RS_EV_TASK_FAILED, now_ms);
		else if (all_final(run))
			moved = follow_run(run, RS_SCOPE_RESULT, RS_EV_ALL_FINAL, now_ms);
		else if (run->stop)
			moved = follow_run(run, RS_SCOPE_RESULT, RS_EV_STOP_SEEN, now_ms);
	}
	if (run->result != RS_RESULT_UNKNOWN && all_final(run) && !rs_run_has_held(run))
		return follow_run(run, RS_SCOPE_RUN, RS_EV_SETTLED, now_ms) || moved;
	return rs_run_pass_tasks(run, now_ms) || moved;
}

static int
refuse(struct rs_run *run, enum rs_event event, size_t task, struct err **err)
{
	(void)event;
	if (task == RS_NO_TASK)
		return err_set(err, ERR_CONFLICT, "not possible: the run is %s%s",
		    rs_phase_name(run->phase), run->stop ? " and stopping" : "");
	const struct rs_task *t = &run->tasks[task];
	return err_set(err, ERR_CONFLICT, "not possible: task \"%s\" is %s (%s), its run is %s",
	    t->name, rs_status_name(t->status), rs_place_name(t->place), rs_phase_name(run->phase));
}

/* What the table alone cannot say. */
static bool
allowed(const struct rs_run *run, enum rs_event event, size_t task)
{
	if (event >= RS_EV_TASK_FAILED)
		return false;
	if (task == RS_NO_TASK)
		return event == RS_EV_START || event == RS_EV_CANCEL || event == RS_EV_STOP;
	if (event < RS_EV_APPROVE || task >= run->ntasks)
		return false;
	const struct rs_task *t = &run->tasks[task];
	if (event == RS_EV_APPROVE)
		return t->needs_approval && !t->approved && !run->stop &&
		       (run->phase == RS_QUEUED || run->phase == RS_RUN_RUNNING);
	if (event == RS_EV_ASSIGN)
		return rs_run_task_ready(run, task);
	return true;
}

/* A failure is the end of a task or of one of its tries. */
static enum rs_event
of_failure(const struct rs_run *run, enum rs_event event, size_t task)
{
	if (event == RS_EV_REPORT_FAILED && rs_run_may_retry(run, task))
		return RS_EV_AGAIN;
	if (event == RS_EV_LOST && rs_run_may_retry(run, task))
		return RS_EV_AGAIN_LOST;
	return event;
}

int
rs_run_apply(struct rs_run *run, enum rs_event event, size_t task, int64_t now_ms,
    const char *reason, struct err **err)
{
	if (!allowed(run, event, task))
		return refuse(run, event, task, err);
	event = of_failure(run, event, task);
	const struct rs_rule *r;
	if (task == RS_NO_TASK) {
		r = find_rule(run, RS_SCOPE_RUN, (int)run->phase, 0, event);
		if (!r)
			return refuse(run, event, task, err);
		apply_run(run, r, now_ms);
	} else {
		const struct rs_task *t = &run->tasks[task];
		r = find_rule(run, RS_SCOPE_TASK, (int)t->status, t->place, event);
		if (!r)
			return refuse(run, event, task, err);
		apply_task(run, r, task, now_ms, reason);
	}
	while (rs_run_pass(run, now_ms))
		;
	return 0;
}

/* --- restart --- */

bool
rs_run_can_restart(const struct rs_run *run, bool from_failed)
{
	if (run->phase != RS_FINISHED && run->phase != RS_RUN_CANCELLED)
		return false;
	return !from_failed || run->result != RS_RESULT_SUCCESS;
}

void
rs_run_restart_plan(bool *recreate, const struct rs_run *run, bool from_failed)
{
	for (size_t i = 0; i < run->ntasks; i++)
		recreate[i] = !from_failed || run->tasks[i].status != RS_SUCCESS;
	for (bool moved = true; moved;) {
		moved = false;
		for (size_t i = 0; i < run->ntasks; i++) {
			for (size_t j = 0; j < run->tasks[i].ndeps; j++) {
				if (!recreate[i] && recreate[run->tasks[i].deps[j].parent])
					recreate[i] = moved = true;
			}
		}
	}
}

void
rs_run_ancestors(bool *out, const struct rs_run *run, size_t task)
{
	auto_free struct rs_node *nodes = xcalloc(run->ntasks + 1, sizeof(*nodes));
	size_t total = 0, at = 0;
	for (size_t i = 0; i < run->ntasks; i++)
		total += run->tasks[i].ndeps;
	auto_free size_t *parents = xcalloc(total + 1, sizeof(*parents));
	for (size_t i = 0; i < run->ntasks; i++) {
		nodes[i] = (struct rs_node){ .name = run->tasks[i].name,
			.parents = parents + at,
			.nparents = run->tasks[i].ndeps };
		for (size_t j = 0; j < run->tasks[i].ndeps; j++)
			parents[at++] = run->tasks[i].deps[j].parent;
	}
	const struct rs_graph g = { .nodes = nodes, .n = run->ntasks };
	rs_graph_ancestors(out, &g, task);
}

const char *
rs_run_check(const struct rs_run *run)
{
	bool done = run->phase == RS_FINISHED;
	for (size_t i = 0; i < run->ntasks; i++) {
		const struct rs_task *t = &run->tasks[i];
		bool match, parents = rs_run_parents_final(run, i, &match);
		if (t->place != RS_FREE && (!parents || !match))
			return "a task is placed although its dependencies do not allow it";
		if (t->place != RS_FREE && t->needs_approval && !t->approved)
			return "a task is placed without its approval";
		if (t->place != RS_FREE && rs_status_final(t->status))
			return "a final task still has an attempt";
		if (t->status == RS_RUNNING && t->place != RS_HELD)
			return "a task runs that nobody holds";
		if (t->waiting_approval && (t->status != RS_NOTSTARTED || t->approved))
			return "a task waits for an approval that it does not need";
		if (done && !rs_status_final(t->status))
			return "a finished run has an unfinished task";
		if (t->place == RS_HELD && run->stop && !t->stop_told)
			return "a held task of a stopping run was not told to stop";
		if (run->stop && t->place == RS_OFFERED)
			return "a task of a stopping run is still offered";
		if (t->tries > t->retries)
			return "a task was tried more often than it may be";
		if (run->stop && t->tries > 0 && t->status == RS_NOTSTARTED && t->place == RS_FREE)
			return "a task of a stopping run waits for another try";
		if (t->place == RS_FREE && run->phase == RS_QUEUED && t->status != RS_NOTSTARTED &&
		    t->status != RS_SKIPPED && t->status != RS_SUCCESS)
			return "a task of a queued run has moved";
	}
	if (run->phase == RS_RUN_RUNNING && all_final(run) && !rs_run_has_held(run))
		return "a run with nothing left to do is not finished";
	if (done && run->result == RS_RESULT_UNKNOWN)
		return "a finished run has no result";
	if (run->phase == RS_QUEUED && run->result != RS_RESULT_UNKNOWN)
		return "a queued run has a result";
	return NULL;
}
