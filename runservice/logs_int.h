/*
 * logs_int.h - shared by logs.c (tails, appending) and logs_read.c (followers) only.
 */
#ifndef RUNSERVICE_LOGS_INT_H
#define RUNSERVICE_LOGS_INT_H

#include "common/buf.h"
#include "runservice/logs.h"
#include "runservice/map.h"
#include "runservice/store.h"

#define RS_LOG_KEY_MAX (ID_LEN + 32)

struct rs_reader;

struct rs_append { /* waits for the tail to be loaded, or for its bytes to be stored */
	struct rpc_call *call;
	uint64_t offset, upto;
	bool flush;
	uint8_t *data;
	size_t len;
	struct rs_append *next;
};

struct rs_tail {
	struct rs_logs *l;
	char key[RS_LOG_KEY_MAX];
	struct rs_log_id id;
	char *owner; /* of its run; NULL until an executor appended */
	uint64_t number, fence;
	bool loading, loaded;
	bool storing;    /* a segment is on its way */
	bool step_final; /* nothing will be appended */
	bool task_final;
	uint64_t gen;  /* changes with everything a follower waits for */
	uint64_t life; /* changes when the log begins anew: jobs of before mean nothing */
	uint64_t received, stored;
	struct buf mem;   /* bytes stored..received */
	unsigned lookups; /* readers under way in the database */
	struct rs_append *pending, *flushing;
	struct rs_reader *readers;
	struct loop_timer *timer;
};

struct rs_logs {
	struct rs *rs;
	struct rs_map tails;
	struct rs_map mem_of_task; /* task id -> size_t * */
	size_t mem;
	uint64_t lives; /* the newest tail's life */
	struct metric *bytes, *held;
};

struct rs_tail *rs_logs_tail(struct rs_logs *l, const struct rs_log_id *id, bool create);
/* Frees the tail when nobody needs it. */
void rs_logs_release(struct rs_tail *t);
/* Serves every reader of the tail anew (logs_read.c). */
void rs_logs_wake(struct rs_tail *t);
void rs_logs_drop_readers(struct rs_tail *t);

#endif
