/*
 * dump.h - what the runservice is doing, for people: gauges and a dump of who waits for what. Loop
 * thread. docs/operations.md, "Who waits for what", describes the fields.
 */
#ifndef RUNSERVICE_DUMP_H
#define RUNSERVICE_DUMP_H

/* Lists hold at most so many items; their total is always told. */
#define RS_DUMP_MAX 200

struct rs;

void rs_meter_init(void);
/* arg is struct rs: for http_monitor and daemon_spec. Neither waits for anything. */
void rs_sample(void *arg);
char *rs_dump(void *arg);

#endif
