/*
 * dropped.h - tells the runservice which projects and project groups are gone, so that it drops
 * their secrets and variables.
 *
 * The database notes what is deleted, however it came to that (dropped_scopes). It is looked at
 * when the gateway starts and when a request has deleted something; while the runservice or the
 * database is away, every GW_DROPPED_RETRY_MS. Saying it twice does no harm. Loop thread.
 */
#ifndef GATEWAY_DROPPED_H
#define GATEWAY_DROPPED_H

#include <stdbool.h>

#define GW_DROPPED_RETRY_MS 1000

struct gateway;
struct gw_dropped;

struct gw_dropped *gw_dropped_new(struct gateway *gw); /* and looks */
void gw_dropped_look(struct gw_dropped *d);
bool gw_dropped_busy(const struct gw_dropped *d); /* a worker has it */
void gw_dropped_free(struct gw_dropped *d);       /* NULL allowed; not while it is busy */

#endif
