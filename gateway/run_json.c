#include "gateway/run_json.h"

#include "common/clock.h"
#include "common/mem.h"

#include <stdint.h>

#define NS_PER_MS 1000000

static json_t *
time_json(protobuf_c_boolean has, int64_t ms)
{
	char text[CLOCK_RFC3339_LEN];

	if (!has || ms == 0)
		return json_null();
	clock_rfc3339(ms, text);
	return json_string(text);
}

static json_t *
text_json(const char *s)
{
	json_t *j = json_string(s ? s : "");

	return j ? j : json_string(""); /* foreign bytes that are no UTF-8 */
}

static json_t *
pairs_json(Millrace__Pair *const *list, size_t n)
{
	json_t *out = json_object();

	for (size_t i = 0; i < n; i++)
		json_object_set_new(out, list[i]->name, text_json(list[i]->value));
	return out;
}

static json_t *
texts_json(char *const *list, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(out, text_json(list[i]));
	return out;
}

static json_t *
waiting_json(const Millrace__RunState *run)
{
	json_t *out = json_array();

	for (size_t i = 0; i < run->n_tasks; i++) {
		if (run->tasks[i]->waiting_approval)
			json_array_append_new(out, text_json(run->tasks[i]->id));
	}
	return out;
}

json_t *
gw_run_item_json(const Millrace__RunState *run)
{
	json_t *out = json_object();

	json_object_set_new(out, "number", json_integer((json_int_t)run->number));
	json_object_set_new(out, "name", text_json(run->name));
	json_object_set_new(out, "annotations", pairs_json(run->annotations, run->n_annotations));
	json_object_set_new(out, "phase", text_json(run->phase));
	json_object_set_new(out, "result", text_json(run->result));
	json_object_set_new(out, "tasks_waiting_approval", waiting_json(run));
	json_object_set_new(out, "enqueue_time", time_json(run->has_enqueue_ms, run->enqueue_ms));
	json_object_set_new(out, "start_time", time_json(run->has_start_ms, run->start_ms));
	json_object_set_new(out, "end_time", time_json(run->has_end_ms, run->end_ms));
	return out;
}

static json_t *
depends_json(const Millrace__TaskState *t)
{
	json_t *out = json_object();

	for (size_t i = 0; i < t->n_depends; i++) {
		const Millrace__Depend *d = t->depends[i];

		json_object_set_new(out, d->task_id,
		    json_pack("{s:o, s:o}", "task_id", text_json(d->task_id), "conditions",
		        texts_json(d->conditions, d->n_conditions)));
	}
	return out;
}

/* What summary and task have in common, in the order of the API. */
static void
task_common(json_t *out, const Millrace__TaskState *t)
{
	json_object_set_new(out, "waiting_approval", json_boolean(t->waiting_approval));
	json_object_set_new(out, "approved", json_boolean(t->approved));
	json_object_set_new(out, "approval_annotations",
	    t->n_annotations ? pairs_json(t->annotations, t->n_annotations) : json_null());
}

static void
task_times(json_t *out, const Millrace__TaskState *t)
{
	json_object_set_new(out, "start_time", time_json(t->has_start_ms, t->start_ms));
	json_object_set_new(out, "end_time", time_json(t->has_end_ms, t->end_ms));
	json_object_set_new(
	    out, "task_timeout_interval", json_integer((json_int_t)t->timeout_ms * NS_PER_MS));
	/* Ours: which attempt this is, and why it does not run yet. */
	json_object_set_new(out, "attempt", json_integer(t->attempt));
	json_object_set_new(out, "attempts_max", json_integer(t->attempts_max));
	if (t->wait_reason && *t->wait_reason)
		json_object_set_new(out, "wait_reason", text_json(t->wait_reason));
}

static json_t *
summary_json(const Millrace__TaskState *t)
{
	json_t *out = json_object();

	json_object_set_new(out, "id", text_json(t->id));
	json_object_set_new(out, "name", text_json(t->name));
	json_object_set_new(out, "status", text_json(t->status));
	json_object_set_new(out, "timedout", json_boolean(t->timedout));
	json_object_set_new(out, "level", json_integer((json_int_t)t->level));
	json_object_set_new(out, "depends", depends_json(t));
	task_common(out, t);
	task_times(out, t);
	return out;
}

json_t *
gw_run_json(const Millrace__RunState *run)
{
	json_t *out = json_object();
	json_t *tasks = json_object();

	for (size_t i = 0; i < run->n_tasks; i++)
		json_object_set_new(tasks, run->tasks[i]->id, summary_json(run->tasks[i]));
	json_object_set_new(out, "number", json_integer((json_int_t)run->number));
	json_object_set_new(out, "name", text_json(run->name));
	json_object_set_new(out, "annotations", pairs_json(run->annotations, run->n_annotations));
	json_object_set_new(out, "phase", text_json(run->phase));
	json_object_set_new(out, "result", text_json(run->result));
	json_object_set_new(out, "setup_errors",
	    run->n_setup_errors ? texts_json(run->setup_errors, run->n_setup_errors) : json_null());
	json_object_set_new(out, "stopping", json_boolean(run->stopping));
	json_object_set_new(out, "tasks", tasks);
	json_object_set_new(out, "tasks_waiting_approval", waiting_json(run));
	json_object_set_new(out, "enqueue_time", time_json(run->has_enqueue_ms, run->enqueue_ms));
	json_object_set_new(out, "start_time", time_json(run->has_start_ms, run->start_ms));
	json_object_set_new(out, "end_time", time_json(run->has_end_ms, run->end_ms));
	json_object_set_new(
	    out, "can_restart_from_scratch", json_boolean(run->can_restart_from_scratch));
	json_object_set_new(
	    out, "can_restart_from_failed_tasks", json_boolean(run->can_restart_from_failed_tasks));
	/* Ours. */
	json_object_set_new(out, "warnings", texts_json(run->warnings, run->n_warnings));
	return out;
}

json_t *
gw_explain_json(const Millrace__RunExplainReply *m)
{
	json_t *tasks = json_array();

	for (size_t i = 0; i < m->n_tasks; i++) {
		const Millrace__TaskExplain *t = m->tasks[i];
		json_t *executors = json_array();

		for (size_t k = 0; k < t->n_executors; k++)
			json_array_append_new(
			    executors, json_pack("{s:o, s:o}", "executor",
			                   text_json(t->executors[k]->executor), "reason",
			                   text_json(t->executors[k]->reason)));
		json_array_append_new(
		    tasks, json_pack("{s:o, s:o, s:o, s:o, s:o}", "task_id", text_json(t->task_id),
		               "name", text_json(t->name), "reason", text_json(t->reason),
		               "executors", executors, "waits_for_run",
		               t->has_holder ? json_integer((json_int_t)t->holder) : json_null()));
	}
	return json_pack("{s:o}", "tasks", tasks);
}

/* The API's word for a step's type, and its fixed name if it has one. */
struct step_kind {
	const char *type, *name;
};

static struct step_kind
step_kind(const Millrace__Step *spec)
{
	switch (spec->type) {
	case MILLRACE__STEP_TYPE__STEP_RUN:
		return (struct step_kind){ "run", spec->name };
	case MILLRACE__STEP_TYPE__STEP_SAVE_TO_WORKSPACE:
		return (struct step_kind){ "save_to_workspace", "save to workspace" };
	case MILLRACE__STEP_TYPE__STEP_RESTORE_WORKSPACE:
		return (struct step_kind){ "restore_workspace", "restore workspace" };
	case MILLRACE__STEP_TYPE__STEP_SAVE_CACHE:
		return (struct step_kind){ "save_cache", "save cache" };
	case MILLRACE__STEP_TYPE__STEP_RESTORE_CACHE:
		return (struct step_kind){ "restore_cache", "restore cache" };
	case _MILLRACE__STEP_TYPE_IS_INT_SIZE:
		break;
	}
	return (struct step_kind){ "", spec->name };
}

static json_t *
step_json(const Millrace__TaskState *t, const Millrace__StepState *s, size_t i)
{
	static const Millrace__Step unknown = MILLRACE__STEP__INIT;
	const Millrace__Step *spec = i < t->n_step_specs ? t->step_specs[i] : &unknown;
	struct step_kind kind = step_kind(spec);
	bool run = spec->type == MILLRACE__STEP_TYPE__STEP_RUN;
	const char *shell = spec->shell && *spec->shell ? spec->shell : t->shell;
	json_t *out = json_object();

	json_object_set_new(out, "phase", text_json(s->phase));
	json_object_set_new(out, "type", text_json(kind.type));
	json_object_set_new(out, "name", text_json(kind.name));
	json_object_set_new(out, "command", text_json(run ? spec->command : ""));
	json_object_set_new(out, "shell", text_json(run ? shell : ""));
	json_object_set_new(
	    out, "exit_status", s->has_exit_status ? json_integer(s->exit_status) : json_null());
	json_object_set_new(out, "start_time", time_json(s->has_start_ms, s->start_ms));
	json_object_set_new(out, "end_time", time_json(s->has_end_ms, s->end_ms));
	json_object_set_new(out, "log_archived", json_boolean(s->log_stored));
	/* Ours: why it failed when it was not the command. */
	if (s->error && *s->error)
		json_object_set_new(out, "error", text_json(s->error));
	return out;
}

static json_t *
setup_json(const Millrace__StepState *s)
{
	json_t *out = json_object();

	json_object_set_new(out, "phase", text_json(s ? s->phase : "notstarted"));
	json_object_set_new(out, "name", json_string("Task setup"));
	json_object_set_new(
	    out, "start_time", s ? time_json(s->has_start_ms, s->start_ms) : json_null());
	json_object_set_new(out, "end_time", s ? time_json(s->has_end_ms, s->end_ms) : json_null());
	if (s && s->error && *s->error)
		json_object_set_new(out, "error", text_json(s->error));
	return out;
}

static json_t *
steps_json(const Millrace__TaskState *t, Millrace__StepState *const *list, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(out, step_json(t, list[i], i));
	return out;
}

/* Ours: the attempts before the one that the task shows. */
static json_t *
attempts_json(const Millrace__TaskState *t)
{
	json_t *out = json_array();

	for (size_t i = 0; i < t->n_attempts; i++) {
		const Millrace__AttemptState *a = t->attempts[i];
		json_t *j = json_object();

		json_object_set_new(j, "attempt", json_integer(a->attempt));
		json_object_set_new(j, "executor", text_json(a->executor));
		json_object_set_new(j, "timedout", json_boolean(a->timedout));
		json_object_set_new(j, "setup_step", setup_json(a->setup));
		json_object_set_new(j, "steps", steps_json(t, a->steps, a->n_steps));
		json_object_set_new(j, "start_time", time_json(a->has_start_ms, a->start_ms));
		json_object_set_new(j, "end_time", time_json(a->has_end_ms, a->end_ms));
		json_array_append_new(out, j);
	}
	return out;
}

json_t *
gw_task_json(const Millrace__TaskState *t)
{
	json_t *out = json_object();
	json_t *containers = json_array();

	for (size_t i = 0; i < t->n_images; i++)
		json_array_append_new(
		    containers, json_pack("{s:o}", "image", text_json(t->images[i])));
	json_object_set_new(out, "id", text_json(t->id));
	json_object_set_new(out, "name", text_json(t->name));
	json_object_set_new(out, "status", text_json(t->status));
	json_object_set_new(out, "timedout", json_boolean(t->timedout));
	json_object_set_new(out, "containers", containers);
	task_common(out, t);
	json_object_set_new(out, "setup_step", setup_json(t->setup));
	json_object_set_new(out, "steps", steps_json(t, t->steps, t->n_steps));
	task_times(out, t);
	json_object_set_new(out, "attempts", attempts_json(t));
	return out;
}
