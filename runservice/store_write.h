/*
 * store_write.h - what a batch of events writes, as few statements of many rows.
 *
 * Functions collect rows, in any order and on the thread of the transaction; rs_writes_flush()
 * sends one statement for each kind of row that there is, always in the same order. Each run, task,
 * step and attempt is told at most once between two flushes, as it is in the end.
 */
#ifndef RUNSERVICE_STORE_WRITE_H
#define RUNSERVICE_STORE_WRITE_H

#include "common/db.h"
#include "runservice/run.h"

struct rs_writes;

struct rs_writes *rs_writes_new(void);
void rs_writes_free(struct rs_writes *w); /* NULL allowed */
/* Forgets what was collected. */
void rs_writes_clear(struct rs_writes *w);
/* What was collected, in bytes; an estimate. */
size_t rs_writes_bytes(const struct rs_writes *w);
int rs_writes_flush(struct rs_writes *w, struct db *db, struct err **err) MUSTCHECK;

/* A new run with its tasks and what of its steps has begun; clears the marks of change. */
void rs_write_run_new(struct rs_writes *w, struct rs_run *run);
/* What is marked changed; clears the marks. */
void rs_write_run(struct rs_writes *w, struct rs_run *run);
/* Moves a run to history. */
void rs_write_run_over(
    struct rs_writes *w, const struct rs_run *run, const void *state, size_t len);
void rs_write_definition(struct rs_writes *w, const char *run_id, const void *spec, size_t len);
void rs_write_counter(struct rs_writes *w, const char *owner, int64_t last);
/* Refused with ERR_CONFLICT, the whole flush, when the request is known. */
void rs_write_request(struct rs_writes *w, const char *id, const void *answer, size_t len);
/* The outbox. */
/* The run's phase or result became these. */
void rs_write_event(
    struct rs_writes *w, const struct rs_run *run, enum rs_phase phase, enum rs_result result);

/* The newest attempt of t is offered. */
void rs_write_attempt_offer(struct rs_writes *w, const char *run_id, const struct rs_task *t);
/* Its lease starts or starts anew. */
void rs_write_attempt_hold(struct rs_writes *w, const char *task_id, uint64_t fence,
    const char *session, int64_t lease_ms);
/* Whether it began, and the newest revision it reported; clears the mark. */
void rs_write_attempt_mark(struct rs_writes *w, struct rs_task *t);
/* The attempt of t with that fence is over; what a mark would say is said too. */
void rs_write_attempt_close(
    struct rs_writes *w, struct rs_task *t, uint64_t fence, const char *outcome);

#endif
