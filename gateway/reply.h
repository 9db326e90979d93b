/*
 * reply.h - the one place where an outcome becomes status, headers and body.
 *
 * Errors are a JSON array of {"code", "details"}, empty without a machine code. The message goes to
 * the log, and in the header X-Millrace-Error when it is the caller's to know (4xx, 503). All
 * functions end and free the request.
 */
#ifndef GATEWAY_REPLY_H
#define GATEWAY_REPLY_H

#include "common/err.h"
#include "common/json.h"

#include <stddef.h>

struct gateway;
struct gw_req;
struct http_req;

/* Before anything else here. */
void gw_reply_meter_init(void);
/* Status of an err_code. The REST API has no 409: a conflict is the caller's to resolve, 400. */
int gw_reply_status(int err_code);
/* Clears *err. */
void gw_reply_err(struct gw_req *rq, struct err **err);
/* Refusal without a message: body []. */
void gw_reply_denied(struct gw_req *rq, int status);
/* body may be NULL: empty answer. Takes over the reference. */
void gw_reply_json(struct gw_req *rq, int status, json_t *body);
void gw_reply_text(struct gw_req *rq, int status, const char *text);
void gw_reply_bytes(
    struct gw_req *rq, int status, const char *content_type, const void *p, size_t n);
/* Headers that every answer of the request carries (cursor, CORS, CSRF, cookies of a session); for
 * streams, the functions above add them. */
void gw_reply_headers(struct gw_req *rq, int status);
/* Answers a CORS pre-flight. */
void gw_reply_preflight(struct gateway *gw, struct http_req *http);
/* What a path without a route gets: 404, text/plain, empty. */
void gw_reply_no_route(struct http_req *http);
/* The body that gw_reply_err() sends, malloc'ed; for tests. */
char *gw_reply_error_body(const char *slug);

#endif
