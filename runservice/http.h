/*
 * http.h - the runservice's HTTP side: objects by signed URL, health, metrics. Loop thread.
 *
 *   PUT, GET /objects/<key>?...   as signed by objstore.h; a part of at most 8 MiB
 *   GET /healthz /readyz /metrics
 */
#ifndef RUNSERVICE_HTTP_H
#define RUNSERVICE_HTTP_H

#include "common/http_server.h"
#include "runservice/runservice.h"

/* Handler of struct http_server_options; arg is the struct rs. */
void rs_http_handle(struct http_req *req, void *arg);

#endif
