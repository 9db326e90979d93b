/*
 * gateway.h - the daemon's object graph: wiring, not a bag of globals. Loop thread only, except
 * what is constant after start (cfg, repo).
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "common/loop.h"
#include "common/work.h"
#include "gateway/config.h"
#include "gateway/keys.h"

#include <stdatomic.h>

struct http_server;
struct gw_rs;
struct gw_git_server;
struct gw_feed;
struct gw_dropped;
struct gw_limit;
struct gw_cleaner;
struct gw_githost_ops;
struct gw_req;

#define GW_DB_QUEUE_MAX 1000 /* jobs waiting for PostgreSQL; more are answered with 503 */
#define GW_GIT_QUEUE_MAX 200 /* jobs waiting for a git reader; likewise */
#define GW_GIT_THREADS 2
#define GW_EVAL_QUEUE_MAX 50 /* run definitions waiting to be evaluated; likewise */
#define GW_EVAL_THREADS 2    /* so many at a time */
/* Passwords are hashed one after another, away from the other database threads: 64 MiB and tens of
 * milliseconds each. */
#define GW_LOGIN_QUEUE_MAX 20
#define GW_LOGIN_NAME_BURST 10 /* failed logins of one name at once */
#define GW_LOGIN_NAME_REFILL_MS 30000
#define GW_LOGIN_PEER_BURST 60 /* failed logins from one address at once */
#define GW_LOGIN_PEER_REFILL_MS 5000
#define GW_REPO_NEW_BURST 60 /* repositories made from one address at once */
#define GW_REPO_NEW_REFILL_MS 10000
#define GW_MAINTENANCE_MS 500 /* how long what was read of the flags holds */

struct gateway {
	const struct gw_config *cfg; /* borrowed from daemon_main() */
	struct loop *loop;
	struct http_server *http;
	struct work_pool *db_pool;    /* thread state: struct db */
	struct work_pool *git_pool;   /* short blocking git children and files */
	struct work_pool *eval_pool;  /* run definitions that are programs, each for seconds */
	struct work_pool *login_pool; /* as db_pool, for passwords */
	struct gw_limit *login_names, *login_peers, *repo_peers;
	struct gw_cleaner *cleaner;
	struct gw_keys keys;
	const struct gw_githost_ops *githost; /* NULL: no git host can be asked */
	unsigned maintenance;                 /* GW_SERVICE_*: not served */
	int64_t maintenance_read_ms;          /* 0 = never */
	struct gw_rs *rs;
	struct gw_feed *feed; /* of logs */
	struct gw_dropped *dropped;
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
