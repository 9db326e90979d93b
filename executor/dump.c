#include "executor/dump.h"

#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"
#include "executor/session.h"
#include "executor/task_int.h"

static const char *const places[] = {
	[EX_AT_ACCEPT] = "accept",
	[EX_AT_SETUP] = "setup",
	[EX_AT_BEGIN] = "begin",
	[EX_AT_STEPS] = "steps",
	[EX_AT_END] = "end",
	[EX_AT_DROP] = "drop",
};

static const char *
step_waits(const struct ex_task *t)
{
	if (!ex_link_up(t->link))
		return "the stream to the container";
	if (!t->step.active)
		return t->nunstored >= EX_UNSTORED_MAX ? "logs to be stored" : "the spool";
	if (t->step.have_result)
		return t->step.save != NULL && !ex_save_done(t) ? "the archive to be stored"
		                                                : "its log to be stored";
	return t->step.sent ? "the step" : "the state to be on disk";
}

/* Whose turn it is. */
static const char *
waits_for(const struct ex_task *t)
{
	const char *setup = ex_setup_waits(t);

	switch (t->at) {
	case EX_AT_ACCEPT:
		return "the runservice's answer to accept";
	case EX_AT_SETUP:
		return setup != NULL ? setup : "the engine";
	case EX_AT_BEGIN:
		return "the runservice's answer to begin";
	case EX_AT_STEPS:
		return t->killing ? "the end of a step that is killed" : step_waits(t);
	case EX_AT_END:
		if (t->nunstored > 0)
			return "logs to be stored";
		if (!t->final_acked)
			return "the runservice's answer to the last report";
		break;
	case EX_AT_DROP:
		break;
	}
	return "the removal of its containers";
}

static json_t *
dump_task(const struct ex_task *t)
{
	json_t *out = json_pack("{s:s, s:s, s:I, s:s, s:s, s:b, s:i}", "run", t->run_id, "task",
	    t->task_id, "attempt", (json_int_t)t->fence, "at", places[t->at], "waits_for",
	    waits_for(t), "stopping", t->stop, "logs_not_stored", (int)t->nunstored);

	if (t->lease_end_ms != 0)
		json_object_set_new(
		    out, "lease_ends_in_ms", json_integer(t->lease_end_ms - clock_mono_ms()));
	if (t->spool != NULL)
		json_object_set_new(out, "spool_bytes_not_on_disk",
		    json_integer((json_int_t)ex_spool_pending(t->spool)));
	if (t->at == EX_AT_STEPS && t->step.active)
		json_object_set_new(out, "step",
		    json_pack("{s:i, s:I, s:I}", "index", t->step.index, "log_bytes",
		        (json_int_t)t->step.received, "log_acknowledged",
		        (json_int_t)t->step.acked));
	return out;
}

char *
ex_dump(void *arg)
{
	const struct ex *ex = arg;
	char now[CLOCK_RFC3339_LEN];
	json_t *tasks = json_array();
	auto_json *out = NULL;

	clock_rfc3339(clock_wall_ms(), now);
	for (size_t i = 0; i < ex->ntasks; i++)
		json_array_append_new(tasks, dump_task(ex->tasks[i]));
	out = json_pack("{s:s, s:s, s:s, s:I, s:i, s:{s:I}}", "daemon", "millrace-executor", "time",
	    now, "id", ex->cfg->id, "slots", (json_int_t)ex->cfg->tasks, "free",
	    (int)ex_free_slots(ex), "queues", "disk", (json_int_t)work_pending(ex->pool));
	ex_session_dump(out, ex->session);
	json_object_set_new(out, "tasks", tasks);
	return json_print(out);
}
