/*
 * http_server.h - HTTP/1.1 server on the loop; the only door to evhttp.
 *
 * One handler gets every request with its still-encoded path; routing is the daemon's. Request
 * bodies are whole in memory, at most body_max (above: 413, or 417 on the REST API, by option). A
 * handler answers now or later, once: http_reply(), or http_stream_start/.._write/.._end. A client
 * that leaves is noticed while a handler is pending (on_close), the request object stays valid
 * until answered. Loop thread only.
 */
#ifndef COMMON_HTTP_SERVER_H
#define COMMON_HTTP_SERVER_H

#include "common/err.h"
#include "common/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;
struct http_req;

enum http_method {
	HTTP_GET = 1,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_OTHER
};

struct http_server_options {
	const char *listen;    /* "host:port" or "unix:/path" */
	const char *cert_file; /* both set: HTTPS */
	const char *key_file;
	size_t body_max;      /* default limit */
	size_t header_max;    /* 0: 32 KiB */
	int too_large_status; /* 0: 413 */
	/* Of all bodies in memory together, 0: 1 GiB. A body that says it would not fit is answered
	 * with 503; the connection of one that grows beyond it is hung up on. */
	size_t bodies_max;
	size_t connections_max;  /* 0: 4096; further ones wait in the listener's backlog */
	int64_t idle_timeout_ms; /* between two reads or writes, 0: 60 s */
	/* Of a whole header (from the connection or its first byte on), 0: 30 s; of a whole body,
	 * 0: 15 min. A client that takes longer is hung up on. */
	int64_t head_timeout_ms, body_timeout_ms;
	/* Optional: the limit of this request, asked when its header has been read and before any
	 * of its body is kept; never above body_max. path as http_req_path(). */
	size_t (*body_limit)(enum http_method method, const char *path, void *arg);
	void (*handler)(struct http_req *req, void *arg);
	void *arg; /* of both */
};

int http_server_new(struct http_server **out, struct loop *loop,
    const struct http_server_options *opt, struct err **err) MUSTCHECK;
/* Closes the listener; running requests may finish until http_server_free(). */
void http_server_close(struct http_server *s);
void http_server_free(struct http_server *s);
/* How full it is, for metrics and dumps. */
struct http_server_load {
	size_t connections, requests; /* requests: not answered yet */
	size_t body_bytes;            /* of all bodies in memory */
};
struct http_server_load http_server_load(const struct http_server *s);
int http_server_port(const struct http_server *s); /* bound port, for port 0 in tests */

enum http_method http_req_method(const struct http_req *req);
const char *http_req_method_name(const struct http_req *req);
const char *http_req_path(const struct http_req *req); /* encoded, without query; starts with '/' */
const char *http_req_query(const struct http_req *req); /* encoded, "" when none */
const char *http_req_header(const struct http_req *req, const char *name); /* NULL when absent */
const char *http_req_peer(const struct http_req *req);
const void *http_req_body(const struct http_req *req, size_t *len);
/* Calls fn when the client leaves before the answer was finished. */
void http_req_on_close(struct http_req *req, void (*fn)(void *arg), void *arg);
bool http_req_gone(const struct http_req *req);

void http_reply_header(struct http_req *req, const char *name, const char *value);
/* Ends the request. body is copied. */
void http_reply(
    struct http_req *req, int status, const char *content_type, const void *body, size_t len);
/* Chunked streaming. */
void http_stream_start(struct http_req *req, int status, const char *content_type);
void http_stream_write(struct http_req *req, const void *p, size_t n);
/* Bytes handed over but not yet taken by the kernel: stop producing above a bound. */
size_t http_stream_pending(const struct http_req *req);
/* fn once, when the pending bytes have gone out. */
void http_stream_on_drain(struct http_req *req, void (*fn)(void *arg), void *arg);
void http_stream_end(struct http_req *req);
/* Breaks the connection without the final chunk, so the client sees an incomplete answer. Frees
 * req. */
void http_stream_abort(struct http_req *req);

/* Helpers, pure. Decodes %XX (not '+'); malloc'ed; NULL when an escape is malformed or yields NUL.
 */
char *http_decode(const char *s, size_t n);
char *http_encode(const char *s); /* everything but unreserved characters */
/* Value of a query parameter decoded ('+' is a space), malloc'ed, or NULL. nth counts from 0 among
 * equals. */
char *http_query_get(const char *query, const char *name, unsigned nth);
bool http_query_has(const char *query, const char *name);

#endif
