#include "executor/meter.h"

#include "common/mem.h"
#include "common/metrics.h"
#include "executor/executor.h"
#include "executor/session.h"

static const struct {
	enum ex_phase phase;
	const char *label;
} results[] = {
	{ EX_SUCCESS, "result=\"success\"" },
	{ EX_FAILED, "result=\"failed\"" },
	{ EX_STOPPED, "result=\"stopped\"" },
};

static const char *const phase_labels[] = {
	[EX_METER_PULL] = "phase=\"pull\"",
	[EX_METER_CREATE] = "phase=\"create\"",
	[EX_METER_START] = "phase=\"start\"",
	[EX_METER_STEP] = "phase=\"step\"",
	[EX_METER_UPLOAD] = "phase=\"upload\"",
};

static struct metric *held, *slots, *registered, *disk_queue, *setup_seconds;
static struct metric *warm, *warm_found[2];
static struct metric *phases[ARRAY_LEN(phase_labels)];
static struct metric *steps[ARRAY_LEN(results)], *tasks[ARRAY_LEN(results)];

void
ex_meter_init(void)
{
	held = metrics_gauge("millrace_executor_tasks", "", "Tasks that are held.");
	setup_seconds = metrics_histogram("millrace_executor_setup_seconds", "",
	    "From the accepted offer to running containers, images included.");
	warm = metrics_gauge(
	    "millrace_executor_warm_containers", "", "Containers started ahead that wait.");
	for (size_t i = 0; i < 2; i++)
		warm_found[i] = metrics_counter("millrace_executor_warm_total",
		    i ? "found=\"yes\"" : "found=\"no\"",
		    "Tasks that a container started ahead could serve, and whether one waited.");
	slots = metrics_gauge("millrace_executor_slots", "", "Tasks that may run at once.");
	registered = metrics_gauge(
	    "millrace_executor_registered", "", "1: the runservice knows this executor.");
	disk_queue = metrics_gauge(
	    "millrace_executor_disk_queue", "", "Jobs for the disk that wait or run.");
	for (size_t i = 0; i < ARRAY_LEN(phase_labels); i++)
		phases[i] = metrics_phase(phase_labels[i]);
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		tasks[i] = metrics_counter(
		    "millrace_executor_tasks_total", results[i].label, "Tasks that ended here.");
		steps[i] = metrics_counter(
		    "millrace_executor_steps_total", results[i].label, "Steps that ended here.");
	}
}

static void
count(struct metric *const *counters, enum ex_phase result)
{
	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		if (results[i].phase == result)
			metrics_add(counters[i], 1);
}

void
ex_meter_held(size_t tasks_held)
{
	metrics_set(held, (int64_t)tasks_held);
}

void
ex_meter_warm(size_t n)
{
	metrics_set(warm, (int64_t)n);
}

void
ex_meter_warm_used(bool found)
{
	metrics_add(warm_found[found], 1);
}

void
ex_meter_setup(const struct ex_step_state *setup)
{
	if (setup->phase == EX_SUCCESS)
		metrics_observe_ms(setup_seconds, setup->end_ms - setup->start_ms);
}

void
ex_meter_step(const struct ex_step_state *step)
{
	count(steps, step->phase);
	ex_meter_phase(EX_METER_STEP, step->end_ms - step->start_ms);
}

void
ex_meter_task(enum ex_phase result)
{
	count(tasks, result);
}

void
ex_meter_phase(enum ex_meter_phase phase, int64_t ms)
{
	metrics_observe_ms(phases[phase], ms);
}

void
ex_meter_sample(void *arg)
{
	const struct ex *ex = arg;

	metrics_set(slots, ex->cfg->tasks);
	metrics_set(registered, ex_session_registered(ex->session));
	metrics_set(disk_queue, (int64_t)work_pending(ex->pool));
}
