/*
 * spool.h - a task's directory on disk, written by workers. Loop thread only.
 *
 * Appended log bytes and the newest state are collected while a write is under way and go to disk
 * together (one sync per file and round, that is the batching). When a round is durable on_durable
 * is called. A failing disk is retried every second for ever: callers see no progress, which is
 * the back-pressure.
 */
#ifndef EXECUTOR_SPOOL_H
#define EXECUTOR_SPOOL_H

#include "common/work.h"
#include "executor/spool_file.h"

#include <stdbool.h>

struct ex_spool;

/* steps logs and the setup log. Opens or creates dir; positions come from what is on disk. */
int ex_spool_open(struct ex_spool **out, struct loop *loop, struct work_pool *pool, const char *dir,
    unsigned steps, void (*on_durable)(void *arg), void *arg, struct err **err) MUSTCHECK;
/* No callback follows. remove: the directory is deleted after the running write. */
void ex_spool_free(struct ex_spool *s, bool remove);

const char *ex_spool_dir(const struct ex_spool *s);
/* step -1 = setup. raw_end: raw bytes that are covered once these masked bytes are on disk. */
void ex_spool_append(struct ex_spool *s, int step, uint64_t raw_end, const void *p, size_t n);
/* What is on disk. */
struct ex_spool_pos ex_spool_durable(const struct ex_spool *s, int step);
/* All that was appended to this log is on disk. */
bool ex_spool_settled(const struct ex_spool *s, int step);
/* Bytes appended and not on disk. */
size_t ex_spool_pending(const struct ex_spool *s);
/* Replaces the state to be written; returns its number. */
uint64_t ex_spool_put_state(struct ex_spool *s, const char *text);
/* Number of the newest state on disk. */
uint64_t ex_spool_state_durable(const struct ex_spool *s);

#endif
