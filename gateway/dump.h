/*
 * dump.h - what the gateway is doing, for people: gauges, and a dump of who waits for what.
 * docs/operations.md, "Who waits for what", describes the fields. Loop thread.
 */
#ifndef GATEWAY_DUMP_H
#define GATEWAY_DUMP_H

#include <stdint.h>

struct gateway;

void gw_meter_init(void);
/* Gauges that are looked up when metrics are asked for. */
void gw_sample(const struct gateway *gw);
/* Runs were asked for and are stored with the runservice; the time it took. */
void gw_meter_intake(int64_t ms);
/* arg is struct gateway: for daemon_spec. One line of JSON, malloc'ed. */
char *gw_dump(void *arg);

#endif
