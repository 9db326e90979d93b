/*
 * httpc.h - HTTP client on the loop (curl multi), over TCP, TLS or a unix socket.
 *
 * The only door to libcurl. Bodies sent are in memory; bodies received are collected up to
 * max_body or streamed to on_data. HTTP errors (status >= 400) are not errors here: look at status.
 * No redirects are followed. Loop thread only.
 */
#ifndef COMMON_HTTPC_H
#define COMMON_HTTPC_H

#include "common/buf.h"
#include "common/err.h"
#include "common/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct httpc;
struct httpc_req;

struct httpc_response {
	long status;     /* 0: no answer came; with err set it may be of a broken answer */
	struct buf body; /* empty when streamed */
	char *header;    /* value of want_header, NULL when the answer has none */
};

#define HTTPC_REFUSAL_MAX (64u << 10)

struct httpc_options {
	const char *method;         /* "GET", "POST", "PUT", "DELETE", "HEAD" */
	const char *url;            /* for a unix socket: http://engine/v1.41/... */
	const char *unix_socket;    /* NULL: TCP */
	const char *const *headers; /* "Name: value", NULL-terminated; NULL allowed */
	const void *body;           /* copied; NULL = none */
	size_t body_len;
	bool body_stays; /* not copied: the caller keeps it as it is until done or the cancel */
	size_t max_body; /* of the response; beyond it the request fails with ERR_INVALID */
	int64_t connect_timeout_ms; /* 0: 10 s */
	int64_t timeout_ms;         /* whole request; 0: none (streams) */
	int64_t idle_timeout_ms;    /* no byte for so long; 0: none */
	const char *ca_file;        /* NULL: system */
	const char *want_header; /* name of a header of the answer to keep; at most 4 KiB of it */
	/* Streaming: return non-zero to abort (ends with ERR_CANCELED). The body of an answer with
	 * status >= 400 is collected instead, cut at HTTPC_REFUSAL_MAX. */
	int (*on_data)(const void *p, size_t n, void *arg);
	/* Always called exactly once, unless cancelled. err NULL on a complete response. */
	void (*done)(struct httpc_response *resp, struct err **err, void *arg);
	void *arg;
};

struct httpc *httpc_new(struct loop *loop);
void httpc_free(struct httpc *h); /* cancels what runs */
/* Never calls back from inside. Never fails: failures arrive in done. Returns a handle valid until
 * done. */
struct httpc_req *httpc_start(struct httpc *h, const struct httpc_options *opt);
void httpc_cancel(struct httpc_req *req); /* done is not called */

/* A connection upgraded to a raw byte stream (Engine API attach: 101 UPGRADED). */
struct httpc_stream;
struct httpc_stream_options {
	const char *method; /* "POST" */
	const char *url;
	const char *unix_socket;
	const char *upgrade; /* protocol name, "tcp" */
	int64_t timeout_ms;  /* until the 101 came */
	/* Called once: err NULL when the stream is up; then on_data/on_close follow. */
	void (*on_open)(struct err **err, void *arg);
	void (*on_data)(const uint8_t *p, size_t n, void *arg);
	void (*on_close)(
	    struct err **err, void *arg); /* peer closed (err NULL) or failed; at most once */
	/* What httpc_stream_write() could not hand to the kernel at once has gone there now;
	 * optional. */
	void (*on_drain)(void *arg);
	void *arg;
};
#define HTTPC_STREAM_BUFFER_MAX (4u << 20) /* unsent bytes; more is a caller's bug: aborts */
struct httpc_stream *httpc_stream_open(struct httpc *h, const struct httpc_stream_options *opt);
void httpc_stream_write(struct httpc_stream *s, const void *p, size_t n);
size_t httpc_stream_pending(const struct httpc_stream *s);   /* bytes not yet written */
void httpc_stream_pause(struct httpc_stream *s, bool pause); /* stops reading: back-pressure */
void httpc_stream_free(
    struct httpc_stream *s); /* closes; no callback follows; allowed in callbacks */

#endif
