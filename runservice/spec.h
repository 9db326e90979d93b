/*
 * spec.h - a run's definition: checked, made into the model, given new ids for a restart. Pure.
 */
#ifndef RUNSERVICE_SPEC_H
#define RUNSERVICE_SPEC_H

#include "common/err.h"
#include "run.pb-c.h"
#include "runservice/map.h"
#include "runservice/run.h"

/* Those of rundef.h: what "config check" accepts is not refused here. */
#define RS_SPEC_TASKS_MAX 10000
#define RS_SPEC_STEPS_MAX 1000
#define RS_SPEC_GROUP_MAX 1024

/* "/user/<id>" or "/project/<id>" of a group path, malloc'ed. ERR_INVALID. */
int rs_spec_owner(char **owner, const char *group, struct err **err) MUSTCHECK;
/* Initialises *run from the spec (without id, number and times). ERR_INVALID for a malformed spec:
 * then nothing is to be freed. *graph_error (malloc'ed) is set when the graph is wrong: the run is
 * then without tasks, to be born as setuperror. */
int rs_spec_to_run(struct rs_run *run, char **graph_error, const Millrace__RunSpec *spec,
    struct err **err) MUSTCHECK;
const Millrace__TaskSpec *rs_spec_task(const Millrace__RunSpec *spec, const char *id);
/* Every value of a task that may be a variable; stops at the first code that is not 0. */
int rs_spec_each_value(Millrace__TaskSpec *t,
    int (*fn)(Millrace__Value *v, void *arg, struct err **err), void *arg,
    struct err **err) MUSTCHECK;
/* Renames tasks everywhere: ids is from an old id to a new one, a char *. */
void rs_spec_rename(Millrace__RunSpec *spec, const struct rs_map *ids);

#endif
