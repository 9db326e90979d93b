/*
 * loop.h - the daemon's single event thread, and the only door into it.
 *
 * All in-memory state (executor sessions, running tasks, HTTP requests, log followers) belongs to
 * the thread that called loop_run(). It is never locked because nobody else touches it: workers and
 * NNG's threads hand results over with loop_post() and do nothing more.
 *
 * Guarantees: posted functions run in post order, on the loop thread, never inside loop_post().
 * loop_defer() runs after the current callback returned, which is where objects that may still be
 * on the call stack die. A callback that holds the loop longer than LOOP_SLOW_MS is logged by name.
 * After loop_free() began, posts are refused (loop_post returns false and the caller still owns
 * arg).
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define LOOP_SLOW_MS 50
#define LOOP_POSTS_PER_TURN 256 /* then I/O gets its turn; the rest follows */

struct loop;
struct loop_timer;
struct loop_io;
struct event_base;

typedef void (*loop_fn)(void *arg);
typedef void (*loop_io_fn)(int fd, unsigned what, void *arg);

#define LOOP_READ 1u
#define LOOP_WRITE 2u

struct loop *loop_new(void);
/* Runs what was still posted or deferred once, then frees. */
void loop_free(struct loop *loop);
/* Until loop_quit(). */
void loop_run(struct loop *loop);
/* One turn; waits at most max_ms (-1: until something happens). For tests. */
void loop_run_once(struct loop *loop, int max_ms);
/* Any thread. */
void loop_quit(struct loop *loop);
/* Any thread. name is borrowed for ever (string literal). */
bool loop_post(struct loop *loop, const char *name, loop_fn fn, void *arg);
/* Loop thread only, as all below. */
void loop_defer(struct loop *loop, loop_fn fn, void *arg);

/* One-shot timer; created unarmed. Re-arming replaces. ms >= 0. The callback may free the timer. */
struct loop_timer *loop_timer_new(struct loop *loop, const char *name, loop_fn fn, void *arg);
void loop_timer_start(struct loop_timer *t, int64_t ms);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_armed(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL allowed */

/* Level-triggered fd watcher; does not own fd. what = LOOP_READ | LOOP_WRITE, 0 pauses. */
struct loop_io *loop_io_new(struct loop *loop, int fd, loop_io_fn fn, void *arg);
void loop_io_set(struct loop_io *io, unsigned what);
void loop_io_free(struct loop_io *io); /* NULL allowed; allowed inside the callback */

/* Calls fn(signum as intptr_t) on the loop for SIGTERM, SIGINT, SIGHUP, SIGUSR1 ... */
typedef void (*loop_signal_fn)(int signum, void *arg);
void loop_on_signal(struct loop *loop, int signum, loop_signal_fn fn, void *arg);

/* For http_server.c and httpc.c only. */
struct event_base *loop_base(struct loop *loop);

#endif
