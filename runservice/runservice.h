/*
 * runservice.h - the wiring of the daemon: who knows whom, and how work reaches a worker thread.
 *
 * struct rs belongs to the loop thread. Worker jobs may read what is constant after the start
 * (cfg, keys, objects) and nothing else.
 */
#ifndef RUNSERVICE_RUNSERVICE_H
#define RUNSERVICE_RUNSERVICE_H

#include "common/crypto.h"
#include "common/err.h"
#include "common/loop.h"
#include "common/objstore.h"
#include "common/rpc.h"
#include "common/work.h"
#include "runservice/config.h"
#include "runservice/map.h"

#include <stdbool.h>
#include <stdint.h>

struct db;
struct http_server;
struct rs_keyring;
struct rs_leader;
struct rs_batches;
struct rs_executors;
struct rs_dispatch;
struct rs_logs;
struct rs_sweep;
struct rs_retention;
struct rs_transfer;

#define RS_QUEUE_MAX 20000 /* jobs of one pool; more are answered ERR_UNAVAILABLE */

struct rs {
	struct loop *loop;
	const struct rs_config *cfg;
	int lock_fd;
	char holder[40];         /* identity of this replica */
	struct rs_keyring *keys; /* master keys; any thread */
	uint8_t gateway_key[CRYPTO_KEY_LEN], object_key[CRYPTO_KEY_LEN];
	struct rs_map executor_keys; /* as their files had them */
	struct objstore *objects;
	struct work_pool *db_pool, *io_pool;
	struct rpc_server *rpc;
	struct rpc_method *methods; /* all tables of methods, for the server */
	struct http_server *http;
	struct rs_leader *leader;
	struct rs_batches *batches;
	struct rs_executors *executors;
	struct rs_dispatch *dispatch;
	struct rs_logs *logs;
	struct rs_sweep *sweep;
	struct rs_retention *retention;
	struct rs_transfer *transfer;
	int64_t epoch; /* of our leadership; 0 while we do not lead */
	bool serving;  /* we lead and the state in memory is that of the database */
	bool stopping;
	size_t jobs; /* submitted, done() still to come */
	size_t objects_busy;
};

/* main.c's three hooks. */
int rs_start(void **state, struct loop *loop, void *cfg, struct err **err) MUSTCHECK;
void rs_stop(void *state);

/*
 * A job on a worker. Embedded as first member of what a module needs. work() runs on a worker
 * thread (db is NULL on the io pool); done() on the loop, always, also when the queue was full
 * (then rc is ERR_UNAVAILABLE and work() never ran). done() frees the job.
 */
struct rs_tx;
struct rs_job {
	struct rs *rs;
	int64_t epoch; /* at submit */
	int rc;
	bool asked_db; /* it ran on the db pool */
	bool doubt;    /* a commit of it may or may not have taken effect */
	bool quiet;    /* not a sign of life: no sweep has to come after it */
	struct err *err;
	int (*work)(struct db *db, struct rs_job *job, struct err **err);
	/* Instead of work(): its part of a batch (batch.h), may be called again. What it answers an
	 * error to has changed nothing, or it says that the batch is spoiled. */
	int (*apply)(struct rs_tx *tx, struct rs_job *job, struct err **err);
	struct rs_job *next; /* in its batch */
	void (*done)(struct rs_job *job);
	struct rpc_call *call; /* whom to answer, or NULL */
};
/* key 0: no order. name is borrowed for ever. */
void rs_db_submit(struct rs *rs, const char *name, uint64_t key, struct rs_job *job);
void rs_io_submit(struct rs *rs, const char *name, uint64_t key, struct rs_job *job);
/* Answers job->call with its error. True when there was one. */
bool rs_job_failed(struct rs_job *job);

/* Leadership changed hands (leader.c). */
void rs_on_lead(struct rs *rs, int64_t epoch);
void rs_on_lost(struct rs *rs);
/* A commit's outcome is unknown, so what is in memory may no longer be what the rows say: a new
 * term begins, which voids what is under way and reads everything again. */
void rs_on_doubt(struct rs *rs);
/* An import put other rows in the place of all there were; likewise. */
void rs_on_replaced(struct rs *rs);
/* NULL err when requests may be served; else answers and returns false. */
bool rs_serving(struct rs *rs, struct rpc_call *call);
void rs_fail(struct rpc_call *call, enum err_code code, const char *msg);

/* Packs and sends a protobuf message (void * so that callers need no casts). */
void rs_reply_pb(struct rpc_call *call, const void *msg);
/* malloc'ed. */
void *rs_pack(size_t *len, const void *msg);

#endif
