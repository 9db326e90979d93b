/*
 * http_listen.h - the socket that the HTTP server listens on.
 */
#ifndef COMMON_HTTP_LISTEN_H
#define COMMON_HTTP_LISTEN_H

#include "common/err.h"

/*
 * where: "host:port", "[v6]:port", ":port" or "unix:/path"; a socket file that is in the way goes.
 * *fd is to be closed by the caller, also on an error when it is not negative; *port is the bound
 * one (TCP), *unix_path is malloc'ed (unix). ERR_INVALID: where cannot be understood.
 */
int http_listen(
    int *fd, const char *where, int *port, char **unix_path, struct err **err) MUSTCHECK;

#endif
