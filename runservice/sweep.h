/*
 * sweep.h - expired leases at once when told, and a slow safety net over everything else.
 *
 * The net is not what keeps runs moving: it looks for what a lost wake-up would have left behind,
 * removes objects that no row names, and prunes old rows. It is drawn sweep_interval after the
 * first work since it was drawn last: an idle runservice sends no statement. Loop thread.
 */
#ifndef RUNSERVICE_SWEEP_H
#define RUNSERVICE_SWEEP_H

#include "runservice/runservice.h"

struct rs_sweep *rs_sweep_new(struct rs *rs);
void rs_sweep_free(struct rs_sweep *s);
/* There is work: a sweep is due. */
void rs_sweep_wake(struct rs_sweep *s);
/* Fails the tasks whose leases are over by PostgreSQL's clock. */
void rs_sweep_leases(struct rs_sweep *s);
/* Reads everything active once; at the start of our leadership. Then serving begins. */
void rs_sweep_load(struct rs_sweep *s);

#endif
