/*
 * httpc_sync.h - HTTP requests that block a worker thread: a client on a loop thread of its own.
 *
 * As many requests are under way as threads wait for one; connections are kept and shared.
 */
#ifndef COMMON_HTTPC_SYNC_H
#define COMMON_HTTPC_SYNC_H

#include "common/httpc.h"

struct httpc_sync;

/* name: of the thread, at most 15 bytes. */
struct httpc_sync *httpc_sync_new(const char *name);
/* Any thread but its own. opt's on_data, done and arg are not used; the body is collected. The
 * caller frees resp with httpc_response_fini(), also after an error. opt must bound the time. */
int httpc_sync_do(struct httpc_response *resp, struct httpc_sync *s,
    const struct httpc_options *opt, struct err **err) MUSTCHECK;
/* What is under way, and what comes later, ends with ERR_CANCELED. Any thread. */
void httpc_sync_stop(struct httpc_sync *s);
/* No request may be under way. */
void httpc_sync_free(struct httpc_sync *s);
void httpc_response_fini(struct httpc_response *resp);
#define auto_response __attribute__((cleanup(httpc_response_fini))) struct httpc_response

#endif
