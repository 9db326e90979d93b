/*
 * order.h - which step of a task is next, what becomes of its failures, and how the task ends.
 * Pure.
 *
 * Steps go in order. What a step's `if` asks for is decided by the steps before it alone, so a
 * decision is never taken back. A stop or the task's timeout cuts the order: the step under way is
 * ended, no ordinary step starts any more, those of `post` still do. state.h keeps the cut: a step
 * below it is over or has to end.
 */
#ifndef EXECUTOR_ORDER_H
#define EXECUTOR_ORDER_H

#include "executor/state.h"

#include <stdbool.h>

#define EX_ORDER_END (-1)

/* The step that runs or is to start, or EX_ORDER_END. spec has st->nsteps steps. */
int ex_order_next(const struct ex_state *st, const Millrace__TaskSpec *spec);
/* How a task ends that has no next step. */
enum ex_phase ex_order_status(const struct ex_state *st);
/* A stop or the timeout now: everything up to the step under way is over. */
void ex_order_cut(struct ex_state *st);
/* The step has to end because of a cut. */
bool ex_order_is_cut(const struct ex_state *st, int step);
/* Whether a failed attempt of the step under way is followed by another one. */
bool ex_order_again(const struct ex_state *st, const Millrace__TaskSpec *spec, int step);

#endif
