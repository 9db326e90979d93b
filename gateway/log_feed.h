/*
 * log_feed.h - one read of a log for all who wait for the same bytes of it. Loop thread only.
 *
 * Followers of one log that have its end all wait at the same offset: one call of the runservice,
 * held there until there is more, serves them. One that falls behind reads on its own until it
 * is there again.
 */
#ifndef GATEWAY_LOG_FEED_H
#define GATEWAY_LOG_FEED_H

#include "gateway/rs_client.h"

struct gw_feed;
struct gw_feed_wait;

struct gw_feed *gw_feed_new(struct gw_rs *rs);
/* Waits still pending are dropped without a callback. Before gw_rs_free(). */
void gw_feed_free(struct gw_feed *f);
/* As gw_rs_log_read(). share: one read serves all who ask for the same meanwhile; so what comes
 * may be what was there a moment before this call. */
struct gw_feed_wait *gw_feed_read(
    struct gw_feed *f, const Millrace__LogReadRequest *q, bool share, gw_rs_fn fn, void *arg);
void gw_feed_cancel(struct gw_feed_wait *w); /* fn will not come */
void gw_feed_meter_init(void);

#endif
