/*
 * rpc_int.h - the envelope as rpc_server.c and rpc_client.c share it. Pure functions.
 *
 * A mac covers each field as an 8-byte big-endian length and its bytes, in the order of
 * envelope.proto. A request's mac starts with the 4-byte version, a reply's with the 16-byte nonce,
 * so one can never pass for the other.
 */
#ifndef COMMON_RPC_INT_H
#define COMMON_RPC_INT_H

#include "common/buf.h"
#include "common/rpc.h"

#define RPC_NONCE_LEN 16
#define RPC_METHOD_MAX 63
#define RPC_ERROR_MAX 1024 /* bytes of an error's text on the wire; the rest is cut */
#define RPC_SLUG_MAX 64
/* Room for everything of an envelope but its body. */
#define RPC_OVERHEAD_MAX 4096

/* Our own id, a method: 1 to max bytes of [A-Za-z0-9._:-]. */
bool rpc_name_ok(const char *s, size_t max);

void rpc_request_pack(struct buf *out, const char *peer, const char *method,
    const uint8_t nonce[RPC_NONCE_LEN], int64_t timeout_ms, const void *body, size_t len,
    const uint8_t key[CRYPTO_KEY_LEN]);
/* The key that verified a parsed request. */
const uint8_t *rpc_request_key(const struct rpc_request *r);

/* A reply; e NULL = success with body. key and nonce NULL: without mac, for errors only. */
void rpc_reply_pack(struct buf *out, const struct err *e, const void *body, size_t len,
    const uint8_t *nonce, const uint8_t *key);

/* Verifies; 0: *body (malloc'ed) is the server's answer. Otherwise the server's own error, or ours:
 * ERR_INVALID for another protocol version, ERR_DENIED for a reply that is not by this key. */
int rpc_reply_parse(uint8_t **body, size_t *len, const uint8_t *p, size_t n,
    const uint8_t nonce[RPC_NONCE_LEN], const uint8_t key[CRYPTO_KEY_LEN],
    struct err **err) MUSTCHECK;

struct nng_tls_config;
/* For a dialer (server false) or a listener. *out is released with nng_tls_config_free(). */
int rpc_tls_config(struct nng_tls_config **out, const struct rpc_tls *tls, bool server,
    struct err **err) MUSTCHECK;
bool rpc_url_is_tls(const char *url);
bool rpc_url_is_ipc(const char *url);

#endif
