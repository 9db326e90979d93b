/*
 * executor.h - the daemon's object graph: one connection to the runservice, one engine, the tasks.
 *
 * Everything lives on the loop thread. A stop (SIGTERM) leaves containers running: their toolboxes
 * hold on until the lease ends, and the next start takes them up again.
 */
#ifndef EXECUTOR_EXECUTOR_H
#define EXECUTOR_EXECUTOR_H

#include "common/http_server.h"
#include "common/httpc.h"
#include "common/work.h"
#include "executor/config.h"
#include "executor/engine.h"
#include "executor/rs_client.h"

#include <stdbool.h>
#include <stdint.h>

struct ex_task;
struct ex_session;
struct ex_host;
struct ex_gc;
struct ex_warm;

struct ex {
	struct loop *loop;
	const struct ex_config *cfg;
	struct work_pool *pool;
	struct httpc *http;
	struct ex_engine *engine;
	struct ex_rs *rs;
	struct ex_session *session;
	struct ex_host *host; /* network and toolbox volume */
	struct loop_timer *trim;
	struct ex_gc *gc;
	struct ex_warm *warm;
	struct http_server *web;
	struct ex_task **tasks;
	size_t ntasks;
	int lock_fd; /* the spool directory is ours alone */
	bool stopping;
};

/* For daemon_main. */
int ex_start(void **state, struct loop *loop, void *cfg, struct err **err) MUSTCHECK;
void ex_stop(void *state);

void ex_task_add(struct ex *ex, struct ex_task *t);
/* The task is over and about to be freed. */
void ex_task_remove(struct ex *ex, struct ex_task *t);
/* NULL when this attempt is not held. */
struct ex_task *ex_task_find(const struct ex *ex, const char *task_id, uint64_t fence);
/* Tasks that could be taken now. */
unsigned ex_free_slots(const struct ex *ex);

/* http.c */
void ex_http_handle(struct http_req *req, void *arg);

#endif
