#include "runservice/state.h"

#include "common/buf.h"
#include "common/mem.h"
#include "runservice/runservice.h"

#include <string.h>

static Millrace__StepState *
step_state(const struct rs_step *s)
{
	Millrace__StepState *m = xmalloc(sizeof(*m));
	millrace__step_state__init(m);
	m->phase = xstrdup(rs_status_name(s->phase));
	m->has_exit_status = s->has_exit;
	m->exit_status = s->exit_status;
	m->has_start_ms = s->start_ms != 0;
	m->start_ms = s->start_ms;
	m->has_end_ms = s->end_ms != 0;
	m->end_ms = s->end_ms;
	m->has_log_stored = true;
	m->log_stored = s->log_stored;
	m->error = s->error ? xstrdup(s->error) : NULL;
	return m;
}

static Millrace__Pair *
pair(const char *name, const char *value)
{
	Millrace__Pair *p = xmalloc(sizeof(*p));
	millrace__pair__init(p);
	p->name = xstrdup(name);
	p->value = xstrdup(value);
	return p;
}

static Millrace__Depend *
depend(const struct rs_run *run, const struct rs_dep *d)
{
	static const char *const words[] = { "on_success", "on_failure", "on_skipped" };
	Millrace__Depend *m = xmalloc(sizeof(*m));
	millrace__depend__init(m);
	m->task_id = xstrdup(run->tasks[d->parent].id);
	m->conditions = xcalloc(ARRAY_LEN(words), sizeof(*m->conditions));
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (d->conditions & (1u << i))
			m->conditions[m->n_conditions++] = xstrdup(words[i]);
	}
	return m;
}

/* Ids are checked when they come in: no character of them needs escaping. */
static void
add_approvers(Millrace__TaskState *m, const struct rs_task *t)
{
	auto_buf json = BUF_INIT;
	if (t->napprovers == 0)
		return;
	for (size_t i = 0; i < t->napprovers; i++)
		buf_printf(&json, "%s\"%s\"", i ? "," : "[", t->approvers[i]);
	buf_putc(&json, ']');
	m->annotations = xcalloc(1, sizeof(*m->annotations));
	m->annotations[m->n_annotations++] = pair("approvers", buf_str(&json));
}

static Millrace__AttemptState *
attempt_state(const struct rs_task *t, unsigned n)
{
	const struct rs_try *y = &t->past[n];
	Millrace__AttemptState *m = xmalloc(sizeof(*m));
	millrace__attempt_state__init(m);
	m->attempt = n + 1;
	m->has_timedout = true;
	m->timedout = y->timedout;
	m->has_start_ms = y->start_ms != 0;
	m->start_ms = y->start_ms;
	m->has_end_ms = y->end_ms != 0;
	m->end_ms = y->end_ms;
	m->executor = y->executor ? xstrdup(y->executor) : NULL;
	m->setup = step_state(&y->setup);
	m->steps = xcalloc(t->nsteps + 1, sizeof(*m->steps));
	for (size_t i = 0; i < t->nsteps; i++)
		m->steps[m->n_steps++] = step_state(&y->steps[i]);
	return m;
}

void *
rs_state_pack_try(size_t *len, const struct rs_task *t, unsigned n)
{
	Millrace__AttemptState *m = attempt_state(t, n);
	void *packed = rs_pack(len, m);
	millrace__attempt_state__free_unpacked(m, NULL);
	return packed;
}

void
rs_state_drop_attempts(Millrace__TaskState *m)
{
	for (size_t i = 0; i < m->n_attempts; i++)
		millrace__attempt_state__free_unpacked(m->attempts[i], NULL);
	free(m->attempts);
	m->attempts = NULL;
	m->n_attempts = 0;
}

Millrace__TaskState *
rs_state_of_task(const struct rs_run *run, size_t task, const struct rs_candidate *list, size_t n)
{
	const struct rs_task *t = &run->tasks[task];
	Millrace__TaskState *m = xmalloc(sizeof(*m));
	millrace__task_state__init(m);
	m->id = xstrdup(t->id);
	m->name = xstrdup(t->name);
	m->status = xstrdup(rs_status_name(t->status));
	m->level = t->level;
	m->depends = xcalloc(t->ndeps + 1, sizeof(*m->depends));
	for (size_t j = 0; j < t->ndeps; j++)
		m->depends[m->n_depends++] = depend(run, &t->deps[j]);
	m->has_timedout = m->has_waiting_approval = m->has_approved = m->has_timeout_ms = true;
	m->timedout = t->timedout;
	m->waiting_approval = t->waiting_approval;
	m->approved = t->approved;
	m->timeout_ms = t->timeout_ms;
	add_approvers(m, t);
	m->has_start_ms = t->start_ms != 0;
	m->start_ms = t->start_ms;
	m->has_end_ms = t->end_ms != 0;
	m->end_ms = t->end_ms;
	m->setup = step_state(&t->setup);
	m->steps = xcalloc(t->nsteps + 1, sizeof(*m->steps));
	for (size_t i = 0; i < t->nsteps; i++)
		m->steps[m->n_steps++] = step_state(&t->steps[i]);
	m->wait_reason = rs_scheduler_wait_reason(run, task, list, n);
	m->has_attempt = m->has_attempts_max = true;
	m->attempt = t->tries + 1;
	m->attempts_max = t->retries + 1;
	m->attempts = xcalloc(t->tries + 1u, sizeof(*m->attempts));
	for (unsigned i = 0; i < t->tries; i++)
		m->attempts[m->n_attempts++] = attempt_state(t, i);
	return m;
}

static char **
copy_texts(char *const *list, size_t n)
{
	char **out = xcalloc(n + 1, sizeof(*out));
	for (size_t i = 0; i < n; i++)
		out[i] = xstrdup(list[i]);
	return out;
}

Millrace__RunState *
rs_state_of_run(const struct rs_run *run, const Millrace__RunSpec *spec,
    const struct rs_candidate *list, size_t n)
{
	Millrace__RunState *m = xmalloc(sizeof(*m));
	millrace__run_state__init(m);
	m->id = xstrdup(run->id);
	m->number = run->number;
	m->name = xstrdup(run->name);
	m->group = xstrdup(run->group);
	m->annotations = xcalloc(spec->n_annotations + 1, sizeof(*m->annotations));
	for (size_t i = 0; i < spec->n_annotations; i++)
		m->annotations[m->n_annotations++] =
		    pair(spec->annotations[i]->name, spec->annotations[i]->value);
	m->phase = xstrdup(rs_phase_name(run->phase));
	m->result = xstrdup(rs_result_name(run->result));
	m->setup_errors = copy_texts(spec->setup_errors, spec->n_setup_errors);
	m->n_setup_errors = spec->n_setup_errors;
	m->warnings = copy_texts(spec->warnings, spec->n_warnings);
	m->n_warnings = spec->n_warnings;
	m->has_stopping = true;
	m->stopping = run->stop;
	m->tasks = xcalloc(run->ntasks + 1, sizeof(*m->tasks));
	for (size_t i = 0; i < run->ntasks; i++)
		m->tasks[m->n_tasks++] = rs_state_of_task(run, i, list, n);
	m->has_enqueue_ms = run->enqueue_ms != 0;
	m->enqueue_ms = run->enqueue_ms;
	m->has_start_ms = run->start_ms != 0;
	m->start_ms = run->start_ms;
	m->has_end_ms = run->end_ms != 0;
	m->end_ms = run->end_ms;
	m->has_can_restart_from_scratch = m->has_can_restart_from_failed_tasks = true;
	m->can_restart_from_scratch = rs_run_can_restart(run, false);
	m->can_restart_from_failed_tasks = rs_run_can_restart(run, true);
	return m;
}

/* A copy through the wire format; values are taken out. */
static Millrace__Step *
step_without_values(const Millrace__Step *s)
{
	size_t len = millrace__step__get_packed_size(s);
	auto_free uint8_t *bytes = xmalloc(len + 1);
	millrace__step__pack(s, bytes);
	Millrace__Step *m = millrace__step__unpack(NULL, len, bytes);
	MUST(m != NULL);
	for (size_t i = 0; i < m->n_environment; i++) {
		free(m->environment[i]->value->literal);
		m->environment[i]->value->literal = NULL;
	}
	return m;
}

void
rs_state_add_spec(Millrace__TaskState *m, const Millrace__TaskSpec *spec)
{
	m->step_specs = xcalloc(spec->n_steps + 1, sizeof(*m->step_specs));
	for (size_t i = 0; i < spec->n_steps; i++)
		m->step_specs[m->n_step_specs++] = step_without_values(spec->steps[i]);
	m->images = xcalloc(spec->n_containers + 1, sizeof(*m->images));
	for (size_t i = 0; i < spec->n_containers; i++)
		m->images[m->n_images++] = xstrdup(spec->containers[i]->image);
	m->shell = xstrdup(spec->shell);
}

void
rs_state_trim(Millrace__RunState *state)
{
	for (size_t i = 0; i < state->n_tasks; i++) {
		Millrace__TaskState *old = state->tasks[i];
		Millrace__TaskState *m = xmalloc(sizeof(*m));
		millrace__task_state__init(m);
		m->id = steal(&old->id);
		m->name = steal(&old->name);
		m->status = steal(&old->status);
		m->level = old->level;
		m->has_waiting_approval = true;
		m->waiting_approval = old->waiting_approval;
		millrace__task_state__free_unpacked(old, NULL);
		state->tasks[i] = m;
	}
}

static void
read_step(struct rs_step *s, const Millrace__StepState *m)
{
	s->phase = rs_status_parse(m->phase);
	MUST(s->phase);
	s->has_exit = m->has_exit_status;
	s->exit_status = m->exit_status;
	s->start_ms = m->start_ms;
	s->end_ms = m->end_ms;
	s->log_stored = m->log_stored;
	s->error = m->error ? xstrdup(m->error) : NULL;
	s->changed = true;
}

static void
read_try(struct rs_try *y, const Millrace__AttemptState *m, size_t nsteps)
{
	y->timedout = m->timedout;
	y->start_ms = m->start_ms;
	y->end_ms = m->end_ms;
	y->executor = m->executor ? xstrdup(m->executor) : NULL;
	read_step(&y->setup, m->setup);
	for (size_t i = 0; i < m->n_steps && i < nsteps; i++)
		read_step(&y->steps[i], m->steps[i]);
}

int
rs_state_unpack_try(struct rs_task *t, const void *state, size_t len, struct err **err)
{
	Millrace__AttemptState *m = millrace__attempt_state__unpack(NULL, len, state);
	bool ok = m && m->attempt > 0 && m->attempt <= t->tries;
	if (ok)
		read_try(&t->past[m->attempt - 1], m, t->nsteps);
	if (m)
		millrace__attempt_state__free_unpacked(m, NULL);
	return ok ? 0 : err_set(err, ERR_INTERNAL, "stored attempt of task %s is damaged", t->id);
}

static void
read_task(struct rs_run *run, const Millrace__TaskState *m)
{
	struct rs_task *t = rs_run_add_task(run, m->id, m->name, m->n_steps, false);
	t->level = m->level;
	t->status = rs_status_parse(m->status);
	MUST(t->status);
	t->timedout = m->timedout;
	t->approved = m->approved;
	t->start_ms = m->start_ms;
	t->end_ms = m->end_ms;
	t->timeout_ms = m->timeout_ms;
	if (m->setup)
		read_step(&t->setup, m->setup);
	for (size_t i = 0; i < m->n_steps; i++)
		read_step(&t->steps[i], m->steps[i]);
	t->retries = m->attempts_max > 0 ? m->attempts_max - 1 : 0;
	for (size_t i = 0; i < m->n_attempts; i++)
		read_try(rs_run_add_try(t), m->attempts[i], t->nsteps);
}

void
rs_state_to_run(struct rs_run *run, const Millrace__RunState *m)
{
	rs_run_init(run);
	memcpy(run->id, m->id, strlen(m->id) < sizeof(run->id) ? strlen(m->id) + 1 : 0);
	run->name = xstrdup(m->name);
	run->group = xstrdup(m->group);
	run->number = m->number;
	run->phase = rs_phase_parse(m->phase);
	run->result = rs_result_parse(m->result);
	for (size_t i = 0; i < m->n_tasks; i++)
		read_task(run, m->tasks[i]);
	for (size_t i = 0; i < m->n_tasks; i++) {
		for (size_t j = 0; j < m->tasks[i]->n_depends; j++) {
			const Millrace__Depend *d = m->tasks[i]->depends[j];
			unsigned conditions = 0;
			for (size_t k = 0; k < d->n_conditions; k++)
				conditions |= rs_condition_parse(d->conditions[k]);
			size_t parent = rs_run_find_task(run, d->task_id);
			MUST(parent != RS_NO_TASK);
			rs_run_add_dep(run, i, parent, conditions);
		}
	}
}
