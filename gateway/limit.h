/*
 * limit.h - how often somebody may try to log in. Pure but for its own table; loop thread.
 *
 * A token bucket per key in a table of fixed size. When the table is full, the entry whose bucket
 * is full soonest makes room: who fills the table gains one bucket for every
 * try of another key that he spends on it.
 */
#ifndef GATEWAY_LIMIT_H
#define GATEWAY_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#define GW_LIMIT_ENTRIES 1024

struct gw_limit;
/* burst tries at once, then one more every refill_ms. */
struct gw_limit *gw_limit_new(unsigned burst, int64_t refill_ms);
void gw_limit_free(struct gw_limit *l);
/* Takes one try: 0, or the milliseconds until there is one again (and takes none). now_ms:
 * monotonic. */
int64_t gw_limit_take(struct gw_limit *l, const char *key, int64_t now_ms);
/* Gives a try back: it was no failure. */
void gw_limit_give(struct gw_limit *l, const char *key, int64_t now_ms);
size_t gw_limit_used(const struct gw_limit *l); /* entries; for tests */

#endif
