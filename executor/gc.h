/*
 * gc.h - removes what this executor's former lives left in the engine: containers and volumes of
 * attempts that are not held, containers started ahead for nobody, helpers, volumes of other
 * toolbox versions, networks of other names.
 */
#ifndef EXECUTOR_GC_H
#define EXECUTOR_GC_H

#include "executor/executor.h"

struct ex_gc *ex_gc_new(struct ex *ex);
void ex_gc_free(struct ex_gc *gc); /* NULL allowed */
/* Begins a round, or another one after the one under way. */
void ex_gc_start(struct ex_gc *gc);

#endif
