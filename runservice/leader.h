/*
 * leader.h - who leads: a row with an epoch that every writing transaction asserts.
 *
 * The same replica (identity proven by its locked directory) takes over at once. Another one that
 * stands by challenges the leader (NOTIFY) every RS_LEADER_RETRY_MS and takes over when no answer
 * came for RS_LEADER_PATIENCE_MS; both by PostgreSQL's clock. So a leader that is alone sends
 * nothing. It confirms itself when it is challenged, when its listening connection was away, and
 * when a write failed for a reason that may be another leader; while that cannot be done it tries
 * again, and after RS_LEADER_PATIENCE_MS, or when the row names another epoch, rs_on_lost() is
 * called and taking over begins anew. A replica that stops lets the row go and notifies the others.
 * Loop thread.
 */
#ifndef RUNSERVICE_LEADER_H
#define RUNSERVICE_LEADER_H

#include "runservice/runservice.h"

#define RS_LEADER_PATIENCE_MS 5000
#define RS_LEADER_RETRY_MS 500

struct rs_leader *rs_leader_new(struct rs *rs);
/* Takes the leadership anew, at once. */
void rs_leader_again(struct rs_leader *l);
/* A write was refused or got no answer: are we still leading? */
void rs_leader_confirm(struct rs_leader *l);
void rs_leader_free(struct rs_leader *l);
/* Gives the leadership back on a worker; call before work_stop(). */
void rs_leader_release(struct rs_leader *l);

#endif
