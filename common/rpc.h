/*
 * rpc.h - request and reply between our processes: protobuf envelopes over NNG.
 *
 * The only door to NNG (common/rpc_server.c, common/rpc_client.c, common/rpc_envelope.c). Bodies
 * are packed protobuf messages of proto/; the envelope adds version, method, request id, the
 * caller's id and an HMAC-SHA256 over all of it by that caller's own key, since NNG tells nobody
 * the peer's name. Replies carry an HMAC by the same key over the request's nonce, so a caller
 * knows who answered.
 *
 * Every request is idempotent by its request id or its content: callers may always retry. NNG's own
 * resend is off. A reply to a vanished caller succeeds silently: what must not get lost needs a
 * further request from the peer (offer, then accept).
 *
 * URLs: tcp://host:port, ipc:///path, tls+tcp://host:port (with struct rpc_tls). Messages above
 * RPC_MESSAGE_MAX are refused by the receiver, which drops that connection.
 *
 * Thread: everything here is called on, and calls back on, the loop thread.
 */
#ifndef COMMON_RPC_H
#define COMMON_RPC_H

#include "common/crypto.h"
#include "common/err.h"
#include "common/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_VERSION 1
#define RPC_MESSAGE_MAX (4u << 20)
#define RPC_CONTEXTS_MAX 8192 /* requests a server holds at once; more wait in NNG's socket */
#define RPC_PEER_MAX 64

struct rpc_tls {
	const char *ca_file;
	const char *cert_file; /* server: required; client: optional */
	const char *key_file;
	const char *server_name; /* client: the name to verify */
};

/* --- server --- */
struct rpc_server;
struct rpc_call; /* one request being answered */

typedef void (*rpc_handler_fn)(struct rpc_call *call, const uint8_t *body, size_t len, void *arg);

struct rpc_method {
	const char *name; /* "executor.poll" */
	rpc_handler_fn fn;
	size_t body_max; /* larger bodies are refused with ERR_INVALID; 0 = RPC_MESSAGE_MAX */
};

struct rpc_server_options {
	const char *url;
	const struct rpc_tls *tls; /* NULL for plain transports */
	const struct rpc_method *methods;
	size_t nmethods;
	/* Fills key for a peer id; ERR_DENIED for an unknown one. Loop thread, must not block. */
	int (*peer_key)(uint8_t key[CRYPTO_KEY_LEN], const char *peer, void *arg, struct err **err);
	void *arg; /* also handed to the handlers */
};

int rpc_server_new(struct rpc_server **out, struct loop *loop, const struct rpc_server_options *opt,
    struct err **err) MUSTCHECK;
/* Calls still held are dropped: their rpc_call becomes invalid after rpc_server_free() returned. */
void rpc_server_free(struct rpc_server *s);

/* Requests that are held: not answered yet. */
size_t rpc_server_held(const struct rpc_server *s);

/* Who called: the verified peer id; borrowed. */
const char *rpc_call_peer(const struct rpc_call *call);
/* Milliseconds the caller is still prepared to wait, at least 0. */
int64_t rpc_call_remaining_ms(const struct rpc_call *call);
/* Exactly one of these ends a call; they may be called at any later time on the loop. */
void rpc_reply(struct rpc_call *call, const void *body, size_t len);
void rpc_fail(
    struct rpc_call *call, struct err **err); /* clears *err; NULL *err = internal error */

/* --- client --- */
struct rpc_client;

struct rpc_client_options {
	const char *url;
	const struct rpc_tls *tls;
	const char *peer;   /* our own id */
	const uint8_t *key; /* CRYPTO_KEY_LEN */
	/* Connection came up or went down; optional. */
	void (*on_connected)(bool up, void *arg);
	void *arg;
};

/* Dials in the background for ever, with back-off from 10 ms up to 1 s. */
int rpc_client_new(struct rpc_client **out, struct loop *loop, const struct rpc_client_options *opt,
    struct err **err) MUSTCHECK;
/* Pending calls are dropped without a callback. */
void rpc_client_free(struct rpc_client *c);
bool rpc_client_connected(const struct rpc_client *c);
/* Calls that are not answered yet. */
size_t rpc_client_pending(const struct rpc_client *c);

/* err NULL: body holds the reply (borrowed for the callback). Otherwise the error: the server's
 * own, or ERR_UNAVAILABLE after timeout_ms or a lost connection. The callback may clear *err, else
 * we do. */
typedef void (*rpc_done_fn)(const uint8_t *body, size_t len, struct err **err, void *arg);
/* Returns a non-zero call id. done is never called from inside rpc_send(). */
uint64_t rpc_send(struct rpc_client *c, const char *method, const void *body, size_t len,
    int64_t timeout_ms, rpc_done_fn done, void *arg);
/* Forgets a call: its callback will not come. */
void rpc_cancel(struct rpc_client *c, uint64_t id);

/* --- for tests and fuzzing: the envelope itself, pure --- */
struct rpc_request {
	char peer[RPC_PEER_MAX + 1];
	char method[64];
	uint8_t nonce[16];
	int64_t timeout_ms;
	const uint8_t *body; /* points into the parsed bytes' copy */
	size_t body_len;
	void *owner; /* internal; freed by rpc_request_fini */
};
int rpc_request_parse(struct rpc_request *out, const uint8_t *p, size_t n,
    int (*peer_key)(uint8_t *, const char *, void *, struct err **), void *arg,
    struct err **err) MUSTCHECK;
void rpc_request_fini(struct rpc_request *r);

#endif
