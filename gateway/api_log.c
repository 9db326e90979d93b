#include "gateway/handlers.h"

#include "common/clock.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/log_feed.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/rs_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_PENDING_MAX (1u << 20) /* bytes a slow reader may owe us; then no more is asked for */
#define LOG_STREAMS_MAX 2000       /* further ones are answered with 503 */
#define LOG_RETRY_MS 500           /* pause before asking a runservice that went away again */
#define LOG_RETRY_TOTAL_MS 60000   /* then the stream is broken off */

/*
 * One log being sent. Owns the request's answer from the first byte on.
 *
 *   read (held by the runservice while there is nothing) -> write -> read again at the new offset
 *
 * Exactly one of wait, retry timer and drain callback is pending at any time.
 */
struct log_stream {
	struct gw_req *rq;
	const char *owner;
	Millrace__LogReadRequest q;
	bool follow, started, draining;
	struct gw_feed_wait *wait;
	struct loop_timer *retry;
	int64_t retry_since_ms; /* 0: the last read was answered */
};

static void read_more(struct log_stream *s);

static void
gauge(struct gateway *gw, int change)
{
	gw->followers = (unsigned)((int)gw->followers + change);
}

/* Forgets everything that is pending; the answer itself is the caller's. */
static void
stream_free(struct log_stream *s)
{
	gauge(s->rq->gw, -1);
	if (s->wait)
		gw_feed_cancel(s->wait);
	loop_timer_free(s->retry);
	free(s);
}

static void
stream_end(struct log_stream *s)
{
	struct gw_req *rq = s->rq;

	http_stream_end(rq->http);
	stream_free(s);
	gw_req_free(rq);
}

static void
stream_abort(struct log_stream *s)
{
	struct gw_req *rq = s->rq;

	http_stream_abort(rq->http);
	stream_free(s);
	gw_req_free(rq);
}

/* The client left. */
static void
gone(void *arg)
{
	stream_abort(arg);
}

static void
abandon(struct gw_req *rq)
{
	stream_abort(rq->op);
}

static void
fail(struct log_stream *s, struct err **err)
{
	struct gw_req *rq = s->rq;

	if (s->started) {
		log_warn("log stream broken off", LOG_STR("task", s->q.task_id),
		    LOG_STR("error", err_msg(*err)));
		stream_abort(s);
		return;
	}
	stream_free(s);
	/* An unknown task or step has no code in the REST API. */
	if ((*err)->code == ERR_NOTFOUND && (*err)->slug &&
	    strncmp((*err)->slug, "runTask", 7) == 0) {
		free((*err)->slug);
		(*err)->slug = NULL;
	}
	gw_reply_err(rq, err);
}

static void
start(struct log_stream *s)
{
	struct http_req *http = s->rq->http;
	char attempt[16];

	s->started = true;
	snprintf(attempt, sizeof(attempt), "%u", s->q.attempt);
	http_reply_header(http, "X-Millrace-Attempt", attempt);
	http_reply_header(http, "Cache-Control", "no-cache");
	http_reply_header(http, "X-Content-Type-Options", "nosniff");
	gw_reply_headers(s->rq, 200);
	http_stream_start(http, 200, "text/plain;charset=UTF-8");
}

static void
drained(void *arg)
{
	struct log_stream *s = arg;

	s->draining = false;
	read_more(s);
}

static void
retry_over(void *arg)
{
	read_more(arg);
}

/* True when the read is to be tried again: a follower survives a runservice that restarts. */
static bool
retry(struct log_stream *s, const struct err *err)
{
	int64_t now = clock_mono_ms();

	if (!s->started || !s->follow || err->code != ERR_UNAVAILABLE)
		return false;
	if (!s->retry_since_ms)
		s->retry_since_ms = now;
	if (now - s->retry_since_ms > LOG_RETRY_TOTAL_MS)
		return false;
	loop_timer_start(s->retry, LOG_RETRY_MS);
	return true;
}

static void
have_read(const void *reply, struct err **err, void *arg)
{
	const Millrace__LogReadReply *r = reply;
	struct log_stream *s = arg;

	s->wait = NULL;
	if (!r) {
		if (!retry(s, *err))
			fail(s, err);
		return;
	}
	s->retry_since_ms = 0;
	/* The answer is of one attempt, also when the task is tried again meanwhile. */
	s->q.has_attempt = true;
	s->q.attempt = r->has_attempt ? r->attempt : 1;
	if (!s->started)
		start(s);
	if (r->data.len) {
		http_stream_write(s->rq->http, r->data.data, r->data.len);
		s->q.offset += r->data.len;
	}
	if (r->end || (!s->follow && r->data.len == 0)) {
		stream_end(s);
	} else if (http_stream_pending(s->rq->http) > LOG_PENDING_MAX) {
		s->draining = true;
		http_stream_on_drain(s->rq->http, drained, s);
	} else {
		read_more(s);
	}
}

static void
read_more(struct log_stream *s)
{
	/* The first read does not wait: its answer decides between 404 and a stream. */
	s->q.has_wait_ms = true;
	s->q.wait_ms = s->follow && s->started ? GW_RS_LOG_WAIT_MS : 0;
	s->wait = gw_feed_read(s->rq->gw->feed, &s->q, s->follow, have_read, s);
}

static int
parse_offset(uint64_t *out, const char *text, struct err **err)
{
	char *end;

	*out = 0;
	if (!text)
		return 0;
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || *out > INT64_MAX)
		return err_set(err, ERR_INVALID, "offset: must be a number of bytes");
	return 0;
}

static int
parse_step(int32_t *out, struct gw_req *rq, struct err **err)
{
	const char *step = gw_req_query(rq, "step", 0);
	char *end;
	long v;

	if (gw_req_query_has(rq, "setup") == gw_req_query_has(rq, "step"))
		return err_set(err, ERR_INVALID, "give exactly one of setup and step=<number>");
	*out = -1;
	if (!step)
		return 0;
	errno = 0;
	v = strtol(step, &end, 10);
	if (!*step || *end || errno || v < 0 || v > INT32_MAX)
		return err_set_slug(err, ERR_INVALID, "invalidRunTaskStepNumber",
		    "step: must be a whole number from 0");
	*out = (int32_t)v;
	return 0;
}

/* 0: not given. */
static int
parse_attempt(uint32_t *out, struct gw_req *rq, struct err **err)
{
	const char *text = gw_req_query(rq, "attempt", 0);
	char *end;
	unsigned long v;

	*out = 0;
	if (!gw_req_query_has(rq, "attempt"))
		return 0;
	errno = 0;
	v = text ? strtoul(text, &end, 10) : 0;
	if (!text || text[0] < '0' || text[0] > '9' || *end || errno || v < 1 || v > UINT32_MAX)
		return err_set(err, ERR_INVALID, "attempt: must be a whole number from 1");
	*out = (uint32_t)v;
	return 0;
}

/* What reading and deleting have in common. */
static int
parse_place(uint64_t *number, int32_t *step, uint32_t *attempt, struct gw_req *rq, struct err **err)
{
	const char *text = gw_req_param(rq, "n");
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno)
		return err_set_slug(err, ERR_INVALID, "invalidRunNumber",
		    "a run's number is a whole number from 1");
	if (parse_step(step, rq, err) < 0 || parse_attempt(attempt, rq, err) < 0)
		return ERR_INVALID;
	if (!id_is_valid(gw_req_param(rq, "t")))
		return err_set(err, ERR_NOTFOUND, "there is no such task");
	return 0;
}

/* Generated structs have char * members that are only read. */
static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

void
gw_api_log_get(struct gw_req *rq)
{
	Millrace__LogReadRequest q = MILLRACE__LOG_READ_REQUEST__INIT;
	struct log_stream *s;
	struct err *err = NULL;

	if (parse_place(&q.number, &q.step, &q.attempt, rq, &err) == 0 &&
	    parse_offset(&q.offset, gw_req_query(rq, "offset", 0), &err) == 0 &&
	    rq->gw->followers >= LOG_STREAMS_MAX)
		err_set(&err, ERR_UNAVAILABLE, "too many logs are being followed; try again");
	if (err) {
		gw_reply_err(rq, &err);
		return;
	}
	q.owner = gw_req_run_owner(rq);
	q.has_attempt = q.attempt > 0;
	q.task_id = text(gw_req_param(rq, "t"));
	s = xcalloc(1, sizeof(*s));
	s->rq = rq;
	s->q = q;
	s->follow = gw_req_query_has(rq, "follow");
	s->retry = loop_timer_new(rq->gw->loop, "log read again", retry_over, s);
	rq->op = s;
	rq->abandon = abandon;
	gauge(rq->gw, 1);
	http_req_on_close(rq->http, gone, s);
	if (http_req_gone(rq->http)) /* while its token was looked up */
		gone(s);
	else
		read_more(s);
}

static void
deleted(const void *reply, struct err **err, void *arg)
{
	struct gw_req *rq = arg;

	if (reply) {
		gw_reply_json(rq, 204, NULL);
		return;
	}
	if ((*err)->code == ERR_NOTFOUND && (*err)->slug &&
	    strncmp((*err)->slug, "runTask", 7) == 0) {
		free((*err)->slug);
		(*err)->slug = NULL;
	}
	gw_reply_err(rq, err);
}

void
gw_api_log_delete(struct gw_req *rq)
{
	Millrace__LogDeleteRequest q = MILLRACE__LOG_DELETE_REQUEST__INIT;
	struct err *err = NULL;

	if (parse_place(&q.number, &q.step, &q.attempt, rq, &err) < 0) {
		gw_reply_err(rq, &err);
		return;
	}
	q.owner = gw_req_run_owner(rq);
	q.has_attempt = q.attempt > 0;
	q.task_id = text(gw_req_param(rq, "t"));
	gw_rs_log_delete(rq->gw->rs, &q, deleted, rq);
}
