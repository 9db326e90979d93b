/*
 * meter.h - the executor's metrics, all known from the start (docs/operations.md lists them).
 */
#ifndef EXECUTOR_METER_H
#define EXECUTOR_METER_H

#include "executor/state.h"

#include <stddef.h>
#include <stdint.h>

/* Before anything else here. */
void ex_meter_init(void);
void ex_meter_held(size_t tasks_held);
/* Containers that wait, started ahead; whether a task found one. */
void ex_meter_warm(size_t n);
void ex_meter_warm_used(bool found);
/* A setup, a step or a task ended so. */
void ex_meter_setup(const struct ex_step_state *setup);
void ex_meter_step(const struct ex_step_state *step);
void ex_meter_task(enum ex_phase result);

/* Phases of a task that take their time here. */
enum ex_meter_phase {
	EX_METER_PULL,
	EX_METER_CREATE,
	EX_METER_START,
	EX_METER_STEP,
	EX_METER_UPLOAD
};
void ex_meter_phase(enum ex_meter_phase phase, int64_t ms);
/* Gauges that are looked up when metrics are asked for. */
void ex_meter_sample(void *arg); /* struct ex */

#endif
