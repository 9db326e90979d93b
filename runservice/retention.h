/*
 * retention.h - what is too old goes: caches, workspaces, logs; and archives that never became
 * readable.
 *
 * Counted from when a thing was stored, not from when it was last used. Caches are retired first
 * (no longer found) and removed RS_RETENTION_GRACE_MS later, when no URL to them is valid any more
 * and no restore still reads them. Workspaces and logs of tasks that active runs have stay. Works
 * when we begin to lead and then every cleaner_interval, in portions; objects go by way of the
 * garbage (sweep.h). Loop thread.
 */
#ifndef RUNSERVICE_RETENTION_H
#define RUNSERVICE_RETENTION_H

#include "runservice/runservice.h"

#define RS_RETENTION_GRACE_MS INT64_C(7200000) /* longer than any signed URL is valid */
#define RS_RETENTION_PORTION 200

struct rs_retention *rs_retention_new(struct rs *rs);
void rs_retention_free(struct rs_retention *r);
/* We lead now: a round is due. */
void rs_retention_wake(struct rs_retention *r);

#endif
