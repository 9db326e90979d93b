/*
 * leader.h - who leads: a row with an epoch that expires by PostgreSQL's clock.
 *
 * The same replica (identity proven by its locked directory) takes over at once, another waits for
 * the row to expire. Renewed by a timer; when no renewal succeeded for as long as one holds, or the
 * row names another epoch, rs_on_lost() is called and taking over is tried again. A replica that
 * stops lets the row go and notifies the others. Loop thread.
 */
#ifndef RUNSERVICE_LEADER_H
#define RUNSERVICE_LEADER_H

#include "runservice/runservice.h"

#define RS_LEADER_LEASE_MS 5000
#define RS_LEADER_RENEW_MS 1500
#define RS_LEADER_RETRY_MS 500

struct rs_leader *rs_leader_new(struct rs *rs);
/* Takes the leadership anew, at once. */
void rs_leader_again(struct rs_leader *l);
/* No more renewals. */
void rs_leader_free(struct rs_leader *l);
/* Gives the leadership back on a worker; call before work_stop(). */
void rs_leader_release(struct rs_leader *l);

#endif
