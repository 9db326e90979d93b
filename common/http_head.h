/*
 * http_head.h - just enough of a request's header to know, before evhttp takes in its body, how
 * large that body may be. Pure.
 */
#ifndef COMMON_HTTP_HEAD_H
#define COMMON_HTTP_HEAD_H

#include "common/http_server.h"

struct http_head {
	enum http_method method;
	char *path;      /* encoded, without query and host; malloc'ed; "" when there is none */
	uint64_t length; /* Content-Length; the largest when there are several; 0 = none */
	bool expects;    /* the client waits for "100 Continue" */
};

/* Bytes of the header with its empty line, 0 while that has not come. */
size_t http_head_end(const char *p, size_t n);
/* p: at least the bytes of http_head_end(). What is malformed is left to evhttp to refuse. */
void http_head_read(struct http_head *h, const char *p, size_t n);
enum http_method http_head_method(const char *name, size_t n);
/* Path and query in a request's target, with or without host: the first '/' of the path, or NULL.
 */
const char *http_head_target(const char *uri);

#endif
