/*
 * gw_peer.h - the whole gateway in this process, against a real PostgreSQL (MILLRACE_TEST_DB), with
 * a runservice whose answers the test decides and an HTTP client that turns the loop while it
 * waits.
 *
 * A call that gets no answer within GWP_WAIT_MS fails the test.
 */
#ifndef TESTS_LIB_GW_PEER_H
#define TESTS_LIB_GW_PEER_H

#include "common/buf.h"
#include "common/json.h"
#include "common/loop.h"
#include "common/rpc.h"
#include "gateway.pb-c.h"
#include "gateway/config.h"

#include <stdbool.h>

#define GWP_ADMIN "admintoken"
#define GWP_TASK "22222222-3333-4444-8555-666666666666"
#define GWP_WAIT_MS 20000
#define GWP_ERR(code) "[{\"code\":\"" code "\",\"details\":null}]"

/* What the runservice does: err_code and slug instead of an answer, or canned data. */
struct gwp_fake {
	struct rpc_server *server;
	enum err_code code;
	const char *slug;
	unsigned calls;
	char method[64];
	Millrace__RunCreateRequest *create;
	Millrace__RunListRequest *list;
	Millrace__LogReadRequest *log;
	char *action, *user;
	char owner[64];             /* of the last call about one run */
	const char *phase, *result; /* of all runs; NULL: running, unknown */
	struct rpc_call *held;      /* a log.read that waits */
	const char *log_text;       /* whole log */
	const char *setup_text;     /* whole log of the setup; NULL: the task has none yet */
	bool log_ended;
	size_t log_step;       /* bytes given at a time */
	unsigned nruns;        /* runs that exist, numbered from 1 */
	unsigned attempts;     /* of the task; 0: 1 */
	unsigned deleted;      /* attempt of the last log.delete */
	const char *dump_text; /* what an export gives, in pieces of log_step */
	struct buf loaded;     /* what was written for an import */
	bool committed;
};

struct gwp {
	struct loop *loop;
	struct gw_config cfg;
	void *gw;
	struct gwp_fake rs;
	char dir[64];
	int port;
	char *user_id, *token;
};

struct gwp_answer {
	int status;
	struct buf head, body;
};

/* cmocka's set-up and tear-down: *state is a struct gwp. The schema is dropped first. */
int gwp_setup(void **state);
int gwp_teardown(void **state);
/* The gateway alone; gwp_start() with what f->cfg is by then. */
void gwp_stop(struct gwp *f);
void gwp_start(struct gwp *f);
void gwp_restart(struct gwp *f);
void gwp_fake_start(struct gwp *f);
/* Answers a log read from log_text as far as it is there; holds it otherwise. */
void gwp_answer_log(struct gwp_fake *f, struct rpc_call *call);

/* Sends a request (path as it is) and returns the connection. body, token and extra (header lines)
 * may be NULL. */
int gwp_open(struct gwp *f, const char *method, const char *path, const char *token,
    const char *body, const char *extra);
/* Reads until want is in the raw bytes, or (want NULL) until the connection ends. False at the end
 * without want. */
bool gwp_read_until(struct gwp *f, int fd, struct buf *raw, const char *want);
/* whole: false when a chunked answer was broken off. */
struct gwp_answer gwp_parse(const struct buf *raw, bool *whole);
void gwp_answer_fini(struct gwp_answer *a);
/* path is below /api/v1alpha; '!' before it: as it is. */
struct gwp_answer gwp_call_with(struct gwp *f, const char *method, const char *path,
    const char *token, const char *body, const char *extra);
struct gwp_answer gwp_call(
    struct gwp *f, const char *method, const char *path, const char *token, const char *body);
/* Expects a status and (unless NULL) exactly this body. */
void gwp_expect(struct gwp *f, const char *method, const char *path, const char *token,
    const char *body, int status, const char *want);
/* Expects a status and a JSON body. */
json_t *gwp_json(struct gwp *f, const char *method, const char *path, const char *token,
    const char *body, int status);
/* Expects a list whose members have these names, a space after each. */
void gwp_expect_names(struct gwp *f, const char *path, const char *token, const char *want);
/* Value of a header, malloc'ed, NULL when absent. */
char *gwp_header(const struct gwp_answer *a, const char *name);
/* A user with a token; id and token malloc'ed, each may be NULL. */
void gwp_make_user(struct gwp *f, const char *name, char **id, char **token);
/* The user bob with a token, in f. */
void gwp_make_bob(struct gwp *f);

#endif
