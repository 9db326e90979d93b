/*
 * dump.h - what the executor is doing, for people. docs/operations.md, "Who waits for what",
 * describes the fields. Loop thread.
 */
#ifndef EXECUTOR_DUMP_H
#define EXECUTOR_DUMP_H

/* arg is struct ex: for http_monitor and daemon_spec. One line of JSON, malloc'ed. */
char *ex_dump(void *arg);

#endif
