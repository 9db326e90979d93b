/*
 * rs_peer.h - the whole runservice in this process, with a gateway and executors that a test plays.
 *
 * Everything runs on one loop: a call turns it until its answer came, and fails the test after
 * RS_PEER_WAIT_MS. Needs MILLRACE_TEST_DB and MILLRACE_TEST_PG (tests/lib/pg.sh run).
 */
#ifndef TESTS_LIB_RS_PEER_H
#define TESTS_LIB_RS_PEER_H

#include "common/err.h"
#include "common/httpc.h"
#include "common/id.h"
#include "common/loop.h"
#include "common/rpc.h"
#include "executor.pb-c.h"
#include "gateway.pb-c.h"
#include "runservice/config.h"
#include "tests/lib/pg_proxy.h"

#include <stdbool.h>
#include <stdint.h>

#define RS_PEER_WAIT_MS 30000
#define RS_PEER_OWNER "/project/p1"
#define RS_PEER_LEASE_MS 20000 /* p->cfg.lease_ms may be shortened before a task is taken */
#define RS_PEER_OFFER_MS 500

struct rs_peer;

/* A request under way, or answered. */
struct rs_call {
	struct rs_peer *peer;
	struct rpc_client *client;
	uint64_t id;
	bool done;
	int code; /* 0 or an err_code */
	char *message;
	uint8_t *body;
	size_t len;
};

struct rs_executor {
	struct rs_peer *peer;
	char name[16], session[ID_LEN + 1];
	const char *label; /* with the value "yes", when it registers; NULL: none */
	struct rpc_client *client;
	struct rs_call poll, control;
};

struct rs_peer {
	struct loop *loop;
	struct rs_config cfg;
	void *rs; /* NULL while it is stopped */
	struct httpc *http;
	struct rpc_client *gateway;
	struct rs_executor ex[2];        /* "ex1", "ex2" */
	const char *owner, *cache_group; /* of the next runs; NULL: RS_PEER_OWNER, none */
	int trust;                       /* of the next runs; 0: not said */
	const char *run_name;            /* likewise; NULL: "a run" */
	bool cancel_previous;            /* likewise */
	char dir[64], socket[80];
	struct pg_proxy proxy; /* only after rs_peer_setup_proxy() */
	/* Of the runs that are made; NULL: they are direct ones that bring the variable "password".
	 */
	Millrace__RunSource *source;
};

/* cmocka's set-up and tear-down: *state is a struct rs_peer. The schema is dropped first. Objects
 * are in a directory, or on S3 when MILLRACE_TEST_S3 is set (tests/lib/s3.sh). */
int rs_peer_setup(void **state);
/* The runservice's connections go through p->proxy. */
int rs_peer_setup_proxy(void **state);
int rs_peer_teardown(void **state);
void rs_peer_start(struct rs_peer *p); /* and waits until it serves */
void rs_peer_stop(struct rs_peer *p);
/* PostgreSQL is restarted at once. */
void rs_peer_restart_pg(void);
/* Objects are on S3. */
bool rs_peer_s3(const struct rs_peer *p);
/* Turns the loop until *flag, or fails. */
void rs_peer_until(struct rs_peer *p, const bool *flag, const char *what);
void rs_peer_turn(struct rs_peer *p, int64_t ms);
/* One row, one column, as text (malloc'ed); "" for no row. */
char *rs_peer_sql(const struct rs_peer *p, const char *sql);
void rs_peer_exec(const struct rs_peer *p, const char *sql);

/* --- calls --- */
void rs_call_start(struct rs_call *c, struct rs_peer *p, struct rpc_client *client,
    const char *method, const void *msg);
/* The bytes as they are. */
void rs_call_raw(struct rs_call *c, struct rs_peer *p, struct rpc_client *client,
    const char *method, const void *body, size_t len);
int rs_call_wait(struct rs_call *c);
void rs_call_clear(struct rs_call *c);
/* The whole of it; reply (free with protobuf_c_message_free_unpacked) may be NULL. Returns the
 * code. */
int rs_call(struct rs_peer *p, struct rpc_client *client, const char *method, const void *msg,
    const ProtobufCMessageDescriptor *type, void *reply);
/* As a client does: ERR_UNAVAILABLE is asked again. */
int rs_call_again(struct rs_peer *p, struct rpc_client *client, const char *method, const void *msg,
    const ProtobufCMessageDescriptor *type, void *reply);
struct rpc_client *rs_peer_client(struct rs_peer *p, const char *name, const char *hex_key);

/* --- what a gateway does --- */
struct rs_peer_task {
	const char *name;
	const char *after, *when; /* one parent and one condition, or NULL */
	unsigned nsteps;          /* the last one saves the workspace when save is set */
	bool save, ignore_failure, needs_approval, skip;
	bool caches;          /* its first step saves a cache, the second restores one */
	const char *variable; /* of its environment, or NULL */
	const char *label;    /* that its executor must have, or NULL */
	unsigned retries;
};
extern const struct rs_peer_task rs_peer_one_task[1]; /* "task", of one step */
/* Creates a run of n tasks in the group RS_PEER_OWNER "/branch/<branch>"; returns its number.
 * request_id NULL: a fresh one. */
uint64_t rs_peer_run(struct rs_peer *p, const char *branch, const struct rs_peer_task *tasks,
    size_t n, const char *request_id);
Millrace__RunState *rs_peer_get(struct rs_peer *p, uint64_t number);
/* The first page of all runs of RS_PEER_OWNER, newest first. */
Millrace__RunListReply *rs_peer_list(struct rs_peer *p, uint32_t limit);
/* "phase result" of the run (static). */
const char *rs_peer_state(struct rs_peer *p, uint64_t number);
/* A task of a state by name. */
const Millrace__TaskState *rs_peer_task(const Millrace__RunState *run, const char *name);
int rs_peer_action(struct rs_peer *p, uint64_t number, const char *action, const char *request_id);
int rs_peer_approve(struct rs_peer *p, uint64_t number, const char *task, const char *user);
/* The log from offset 0 as far as it goes, malloc'ed; NULL and *code for an error. */
char *rs_peer_log(struct rs_peer *p, uint64_t number, const char *task_id, int step, int *code);
/* Of one attempt of the task; 0: of the newest. */
char *rs_peer_log_of(
    struct rs_peer *p, uint64_t number, const char *task_id, int step, unsigned attempt, int *code);
/* The run with the task's earlier attempts. */
Millrace__RunState *rs_peer_get_task(struct rs_peer *p, uint64_t number, const char *task_id);

/* --- what an executor does --- */
struct rs_offer {
	char task_id[ID_LEN + 1], run_id[ID_LEN + 1];
	uint64_t fence;
};
/* named: attempts it still holds. Returns how many the answer tells it to drop, or a code. */
int rs_ex_register(struct rs_executor *ex, const struct rs_offer *named, size_t n);
void rs_ex_poll(struct rs_executor *ex, unsigned slots); /* parks a poll */
/* Waits for an offer to come over polls; fails without one. */
struct rs_offer rs_ex_offer(struct rs_executor *ex);
/* Waits for the parked poll alone: the number of its offers. */
size_t rs_ex_polled(struct rs_executor *ex, struct rs_offer *offers, size_t max);
int rs_ex_accept(struct rs_executor *ex, const struct rs_offer *o, Millrace__AcceptReply **reply);
/* Ex1 registers and takes the task of a new run of rs_peer_one_task. */
struct rs_offer rs_ex_take_one(struct rs_peer *p, uint64_t *number);
int rs_ex_begin(struct rs_executor *ex, const struct rs_offer *o);
/* phases: one letter per step, setup first: n r s f x(stopped); "" = none given. */
int rs_ex_report(struct rs_executor *ex, const struct rs_offer *o, uint64_t revision,
    const char *status, const char *phases);
/* 0 or a code; the answer's figures. */
int rs_ex_log(struct rs_executor *ex, const struct rs_offer *o, int step, uint64_t offset,
    const void *data, size_t len, bool flush, uint64_t *received, uint64_t *stored);
/* Renews these; returns how many are lost, or a code. */
int rs_ex_renew(struct rs_executor *ex, const struct rs_offer *o, size_t n);
/* Accept, begin, success; the run's task is over. */
void rs_ex_do(struct rs_executor *ex, const struct rs_offer *o, unsigned nsteps);
/* One HTTP request by URL; the status, and the body (may be NULL). */
long rs_peer_http(struct rs_peer *p, const char *method, const char *url, const void *body,
    size_t len, struct buf *answer);

#endif
