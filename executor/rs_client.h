/*
 * rs_client.h - calls to the runservice that are repeated until they are answered.
 *
 * All requests are idempotent, so one whose answer got lost is sent again, with back-off up to 2 s,
 * for as long as the runservice is away. Any other error is handed to the caller. Loop thread only.
 */
#ifndef EXECUTOR_RS_CLIENT_H
#define EXECUTOR_RS_CLIENT_H

#include "common/rpc.h"

#include <protobuf-c/protobuf-c.h>

#define EX_RS_TIMEOUT_MS 20000
#define EX_RS_HELD_MS 40000 /* for polls, which the runservice holds for 30 s */

struct ex_rs;
struct ex_rs_call;

/* Takes over the connection. */
struct ex_rs *ex_rs_new(struct loop *loop, struct rpc_client *client);
void ex_rs_free(struct ex_rs *rs); /* calls under way must have been cancelled */

/* reply is borrowed and of the type asked for, NULL with an error or when no type was given. */
typedef void (*ex_rs_fn)(ProtobufCMessage *reply, struct err **err, void *arg);

struct ex_rs_options {
	const char *method;
	const ProtobufCMessage *request; /* packed at once */
	const ProtobufCMessageDescriptor *reply;
	int64_t timeout_ms; /* of one try; 0: EX_RS_TIMEOUT_MS */
	bool once;          /* not repeated: ERR_UNAVAILABLE is handed to the caller */
	ex_rs_fn done;      /* never called from inside ex_rs_call */
	void *arg;
};
struct ex_rs_call *ex_rs_call(struct ex_rs *rs, const struct ex_rs_options *opt);
/* With a request that is packed already; it is copied. */
struct ex_rs_call *ex_rs_call_packed(
    struct ex_rs *rs, const struct ex_rs_options *opt, const void *body, size_t len);
void ex_rs_cancel(struct ex_rs_call *call); /* NULL allowed; done is not called */

#endif
