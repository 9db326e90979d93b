/*
 * httpc_int.h - what httpc.c lends to httpc_stream.c.
 */
#ifndef COMMON_HTTPC_INT_H
#define COMMON_HTTPC_INT_H

#include "common/httpc.h"

struct loop *httpc_loop(struct httpc *h);
/* Connects and hands over the socket, which then belongs to done; -1 with err set. The handle is
 * valid until done, and may be given to httpc_cancel(). */
struct httpc_req *httpc_connect(struct httpc *h, const char *url, const char *unix_socket,
    int64_t timeout_ms, void (*done)(int fd, struct err **err, void *arg), void *arg);

#endif
