/*
 * gateway.h - the daemon's object graph: wiring, not a bag of globals. Loop thread only, except
 * what is constant after start (cfg, repo).
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "common/loop.h"
#include "common/work.h"
#include "gateway/config.h"

#include <stdatomic.h>

struct http_server;
struct gw_rs;
struct gw_git_server;
struct gw_log_followers;
struct gw_req;

#define GW_DB_QUEUE_MAX 1000 /* jobs waiting for PostgreSQL; more are answered with 503 */
#define GW_GIT_QUEUE_MAX 200 /* jobs waiting for a git reader; likewise */
#define GW_GIT_THREADS 2
#define GW_EVAL_QUEUE_MAX 50 /* run definitions waiting to be evaluated; likewise */
#define GW_EVAL_THREADS 2    /* so many at a time */

struct gateway {
	const struct gw_config *cfg; /* borrowed from daemon_main() */
	struct loop *loop;
	struct http_server *http;
	struct work_pool *db_pool;   /* thread state: struct db */
	struct work_pool *git_pool;  /* short blocking git children and files */
	struct work_pool *eval_pool; /* run definitions that are programs, each for seconds */
	struct gw_rs *rs;
	struct gw_git_server *git;
	struct gw_req *requests; /* all that are not answered yet */
	unsigned followers;      /* log streams among them */
	bool stopping;
	atomic_bool eval_stop; /* also read by the threads of eval_pool */
};

/* struct daemon_spec's start and stop. */
int gw_start(void **state, struct loop *loop, void *cfg, struct err **err);
void gw_stop(void *state);

#endif
