/*
 * run_spec.h - from a checked run definition to what the runservice is sent. Pure but for the
 * random task ids.
 */
#ifndef GATEWAY_RUN_SPEC_H
#define GATEWAY_RUN_SPEC_H

#include "gateway/intake.h"
#include "run.pb-c.h"
#include "rundef/rundef.h"

/* All results are freed by millrace__run_spec__free_unpacked(spec, NULL). warnings: "file:line:col:
 * message" texts, one per line. */
Millrace__RunSpec *gw_run_spec_new(const struct rundef_run *run, const struct gw_origin *origin,
    const struct rundef_ref *ref, const char *warnings);
/* The visible run of a broken or missing definition; errors: one per line. */
Millrace__RunSpec *gw_run_spec_setup_error(const struct gw_origin *origin, const char *errors);
/* All tasks get an environment variable whose value is a run variable. */
void gw_run_spec_add_environment(Millrace__RunSpec *spec, const char *name, const char *variable);

#endif
