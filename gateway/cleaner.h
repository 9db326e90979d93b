/*
 * cleaner.h - cleans repository_dir up at the start and every repository_cleanup_interval, on a
 * thread of its own. Loop thread.
 */
#ifndef GATEWAY_CLEANER_H
#define GATEWAY_CLEANER_H

#include "common/loop.h"
#include "gateway/config.h"

struct gw_cleaner;
struct gw_cleaner *gw_cleaner_new(struct loop *loop, const struct gw_config *cfg);
/* Waits for the repository that is being cleaned. NULL allowed. */
void gw_cleaner_free(struct gw_cleaner *c);

#endif
