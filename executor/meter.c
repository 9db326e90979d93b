#include "executor/meter.h"

#include "common/mem.h"
#include "common/metrics.h"

static const struct {
	enum ex_phase phase;
	const char *label;
} results[] = {
	{ EX_SUCCESS, "result=\"success\"" },
	{ EX_FAILED, "result=\"failed\"" },
	{ EX_STOPPED, "result=\"stopped\"" },
};

static struct metric *held, *setup_seconds, *step_seconds, *warm, *warm_found[2];
static struct metric *steps[ARRAY_LEN(results)], *tasks[ARRAY_LEN(results)];

void
ex_meter_init(void)
{
	held = metrics_gauge("millrace_executor_tasks", "", "Tasks that are held.");
	setup_seconds = metrics_histogram("millrace_executor_setup_seconds", "",
	    "From the accepted offer to running containers, images included.");
	step_seconds = metrics_histogram("millrace_executor_step_seconds", "", "Length of a step.");
	warm = metrics_gauge(
	    "millrace_executor_warm_containers", "", "Containers started ahead that wait.");
	for (size_t i = 0; i < 2; i++)
		warm_found[i] = metrics_counter("millrace_executor_warm_total",
		    i ? "found=\"yes\"" : "found=\"no\"",
		    "Tasks that a container started ahead could serve, and whether one waited.");
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
	metrics_observe_ms(step_seconds, step->end_ms - step->start_ms);
}

void
ex_meter_task(enum ex_phase result)
{
	count(tasks, result);
}
