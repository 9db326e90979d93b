#include "gateway/git_server.h"

#include "common/clock.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/work.h"
#include "gateway/gateway.h"
#include "gateway/git_child.h"
#include "gateway/git_repo.h"
#include "gateway/handlers.h"
#include "gateway/inflate.h"
#include "gateway/limit.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/run_token.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define CHUNK 65536

/*
 * One request being served by a git child.
 *
 *   WAITING (for a slot) -> RUNNING -> answered when both ends: output at its end, child reaped
 *
 * The answer starts with the first byte of output, so that a child that fails before it gets a
 * clean 500.
 */
struct session {
	struct gw_req *rq; /* NULL: answered or gone, the child is only reaped */
	struct gw_git_server *server;
	const char *service; /* upload-pack | receive-pack */
	char *path;
	const char *protocol;
	char space[GW_REPO_SPACE_LEN + 1]; /* a run's token opened it; "" = its id */
	uint64_t input_max;
	int lock; /* held while something is pushed; -1 = none */
	bool advertise, running, started, out_done, child_done;
	struct child child;
	struct loop_io *in_io, *out_io, *err_io, *pid_io;
	struct loop_timer *idle;
	int64_t begun_ms;
	/* what the child reads: the body, or its inflated form piece by piece */
	const uint8_t *input;
	size_t input_left;
	struct gw_inflate *inflate;
	uint8_t *piece; /* CHUNK bytes, with inflate */
	size_t piece_pos, piece_len;
	struct buf said; /* standard error */
	int exit_status;
	struct session *next, **link;
};

struct gw_git_server {
	struct loop *loop;
	struct session *sessions; /* running ones */
	struct session *first_waiting, **last_waiting;
	unsigned nrunning, nwaiting;
	struct metric *gauge;
};

static void begin(struct session *s);

struct gw_git_server *
gw_git_server_new(struct loop *loop)
{
	struct gw_git_server *g = xcalloc(1, sizeof(*g));

	g->loop = loop;
	g->last_waiting = &g->first_waiting;
	g->gauge =
	    metrics_gauge("millrace_gateway_git_children", "", "git processes that serve clients.");
	return g;
}

const char *
gw_git_service(const char *name)
{
	if (strcmp(name, "git-upload-pack") == 0 || strcmp(name, "git-receive-pack") == 0)
		return name + 4;
	return NULL;
}

const char *
gw_git_protocol(const char *header)
{
	if (header && (strcmp(header, "version=2") == 0 || strcmp(header, "version=1") == 0))
		return header;
	return NULL;
}

void
gw_git_service_packet(char out[64], const char *service)
{
	char line[48];
	int n = snprintf(line, sizeof(line), "# service=git-%s\n", service);

	snprintf(out, 64, "%04x%s0000", (unsigned)n + 4, line);
}

/* --- lists --- */

static void
link_running(struct session *s)
{
	struct gw_git_server *g = s->server;

	s->next = g->sessions;
	s->link = &g->sessions;
	if (s->next)
		s->next->link = &s->next;
	g->sessions = s;
	s->running = true;
	g->nrunning++;
	metrics_set(g->gauge, g->nrunning);
}

static void
link_waiting(struct session *s)
{
	struct gw_git_server *g = s->server;

	s->next = NULL;
	s->link = g->last_waiting;
	*g->last_waiting = s;
	g->last_waiting = &s->next;
	g->nwaiting++;
}

static void
unlink_session(struct session *s)
{
	struct gw_git_server *g = s->server;

	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	else if (!s->running)
		g->last_waiting = s->link;
	if (s->running)
		metrics_set(g->gauge, --g->nrunning);
	else
		g->nwaiting--;
}

static void
session_free(struct session *s)
{
	struct gw_git_server *g = s->server;
	struct session *next;

	unlink_session(s);
	loop_io_free(s->in_io);
	loop_io_free(s->out_io);
	loop_io_free(s->err_io);
	loop_io_free(s->pid_io);
	loop_timer_free(s->idle);
	if (s->child.pid > 0) {
		child_kill(&s->child);
		child_reap(&s->child);
	}
	child_close(&s->child);
	gw_inflate_free(s->inflate);
	if (s->lock >= 0)
		close(s->lock);
	free(s->piece);
	free(s->path);
	buf_free(&s->said);
	free(s);
	next = g->first_waiting;
	if (next && g->nrunning < GW_GIT_CHILDREN_MAX) {
		unlink_session(next);
		begin(next);
	}
}

void
gw_git_server_free(struct gw_git_server *g)
{
	if (!g)
		return;
	MUST(!g->first_waiting);
	while (g->sessions)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it unlinks itself */
		session_free(g->sessions);
	free(g);
}

/* --- ends --- */

static void
fail(struct session *s, struct err **err)
{
	struct gw_req *rq = s->rq;

	s->rq = NULL;
	if (s->started) {
		log_warn("git stream broken off", LOG_STR("error", err_msg(*err)));
		err_clear(err);
		http_stream_abort(rq->http);
		gw_req_free(rq);
	} else {
		gw_reply_err(rq, err);
	}
	session_free(s);
}

/* The client left, or we stop: nobody wants the child's work any more. A push that git has
 * received whole but not yet taken in is lost, its client was told nothing. */
static void
client_gone(void *arg)
{
	struct session *s = arg;
	struct gw_req *rq = s->rq;

	s->rq = NULL;
	if (s->started)
		http_stream_abort(rq->http);
	else
		http_reply(rq->http, 503, "text/plain", "", 0);
	gw_req_free(rq);
	session_free(s);
}

static void
abandon(struct gw_req *rq)
{
	client_gone(rq->op);
}

static void
start_answer(struct session *s)
{
	struct http_req *http = s->rq->http;
	char type[64], packet[64];

	s->started = true;
	snprintf(type, sizeof(type), "application/x-git-%s-%s", s->service,
	    s->advertise ? "advertisement" : "result");
	http_reply_header(http, "Cache-Control", "no-cache, max-age=0, must-revalidate");
	http_stream_start(http, 200, type);
	/* Protocol 2 begins with its own capability line. */
	if (s->advertise && !(s->protocol && strcmp(s->protocol, "version=2") == 0)) {
		gw_git_service_packet(packet, s->service);
		http_stream_write(http, packet, strlen(packet));
	}
}

static void
hide_path(struct buf *said, const char *path)
{
	const char *id = strrchr(path, '/') + 1;
	char *at = said->data;

	while (at) {
		at = strstr(at, id);
		if (at)
			memset(at, '*', strlen(id));
	}
}

static void
maybe_finish(struct session *s)
{
	struct gw_req *rq = s->rq;
	struct err *err = NULL;

	if (!s->out_done || !s->child_done)
		return;
	/* It may name the repository, whose id is nobody's to read. */
	hide_path(&s->said, s->path);
	if (s->exit_status != 0)
		log_info("git ended with an error", LOG_STR("service", s->service),
		    LOG_I64("status", s->exit_status), LOG_STR("said", buf_str(&s->said)));
	if (s->exit_status != 0 && !s->started) {
		err_set(&err, ERR_INTERNAL, "git %s: exit status %d", s->service, s->exit_status);
		fail(s, &err);
		return;
	}
	if (!s->started)
		start_answer(s);
	s->rq = NULL;
	/* What git reports about a refused push is part of its output. After a failure without
	 * such a report the client must see that the answer is not whole. */
	if (s->exit_status > 128)
		http_stream_abort(rq->http);
	else
		http_stream_end(rq->http);
	gw_req_free(rq);
	session_free(s);
}

/* --- the child's three streams --- */

static void
touch(struct session *s)
{
	loop_timer_start(s->idle, GW_GIT_IDLE_MS);
}

static void
timed_out(void *arg)
{
	struct session *s = arg;
	struct err *err = NULL;

	err_set(&err, ERR_UNAVAILABLE, "git %s: nothing moved for %d s", s->service,
	    GW_GIT_IDLE_MS / 1000);
	fail(s, &err);
}

static void
close_input(struct session *s)
{
	loop_io_free(s->in_io);
	s->in_io = NULL;
	if (s->child.in >= 0)
		close(s->child.in);
	s->child.in = -1;
}

/* Next bytes for the child; false at the end or (with *err) when the body cannot be inflated. */
static bool
next_input(struct session *s, const uint8_t **p, size_t *n, struct err **err)
{
	if (!s->inflate) {
		*p = s->input;
		*n = s->input_left;
		return *n > 0;
	}
	if (s->piece_pos == s->piece_len) {
		s->piece_pos = 0;
		if (gw_inflate_read(s->inflate, s->piece, CHUNK, &s->piece_len, err) < 0)
			return false;
	}
	*p = s->piece + s->piece_pos;
	*n = s->piece_len - s->piece_pos;
	return *n > 0;
}

static void
took_input(struct session *s, size_t n)
{
	if (s->inflate) {
		s->piece_pos += n;
	} else {
		s->input += n;
		s->input_left -= n;
	}
}

static void
write_input(int fd, unsigned what, void *arg)
{
	struct session *s = arg;
	struct err *err = NULL;
	const uint8_t *p;
	size_t n;
	ssize_t done;

	(void)what;
	if (!next_input(s, &p, &n, &err)) {
		if (err)
			fail(s, &err);
		else
			close_input(s);
		return;
	}
	done = write(fd, p, n);
	if (done > 0) {
		took_input(s, (size_t)done);
		touch(s);
	} else if (done < 0 && errno != EAGAIN && errno != EINTR) {
		close_input(s); /* git reads no more; its answer says why */
	}
}

static void
drained(void *arg)
{
	struct session *s = arg;

	if (s->out_io)
		loop_io_set(s->out_io, LOOP_READ);
}

static void
read_output(int fd, unsigned what, void *arg)
{
	struct session *s = arg;
	char chunk[CHUNK];
	ssize_t n = read(fd, chunk, sizeof(chunk));

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	touch(s);
	if (n <= 0) {
		s->out_done = true;
		loop_io_free(s->out_io);
		s->out_io = NULL;
		maybe_finish(s);
		return;
	}
	if (clock_mono_ms() - s->begun_ms > GW_GIT_TOTAL_MS) {
		struct err *err = NULL;

		err_set(&err, ERR_UNAVAILABLE, "git %s: took too long", s->service);
		fail(s, &err);
		return;
	}
	if (!s->started)
		start_answer(s);
	http_stream_write(s->rq->http, chunk, (size_t)n);
	if (http_stream_pending(s->rq->http) > GW_GIT_PENDING_MAX) {
		loop_io_set(s->out_io, 0);
		http_stream_on_drain(s->rq->http, drained, s);
	}
}

static void
read_stderr(int fd, unsigned what, void *arg)
{
	struct session *s = arg;
	char chunk[4096];
	ssize_t n = read(fd, chunk, sizeof(chunk));

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		loop_io_free(s->err_io);
		s->err_io = NULL;
		return;
	}
	if ((size_t)n > GW_GIT_STDERR_MAX - s->said.len)
		n = (ssize_t)(GW_GIT_STDERR_MAX - s->said.len);
	buf_append(&s->said, chunk, (size_t)n);
}

static void
child_ended(int fd, unsigned what, void *arg)
{
	struct session *s = arg;
	int out = s->child.out, err = s->child.err;

	(void)fd;
	(void)what;
	loop_io_free(s->pid_io);
	s->pid_io = NULL;
	close_input(s);
	/* What it wrote last is still in the pipes. */
	s->child.out = s->child.err = -1;
	s->exit_status = child_reap(&s->child);
	s->child.out = out;
	s->child.err = err;
	s->child_done = true;
	maybe_finish(s);
}

/* --- start --- */

static int
prepare_input(struct session *s, struct err **err)
{
	const char *encoding = http_req_header(s->rq->http, "Content-Encoding");

	s->input = http_req_body(s->rq->http, &s->input_left);
	if (!encoding || strcasecmp(encoding, "identity") == 0)
		return 0;
	if (strcasecmp(encoding, "gzip") != 0 && strcasecmp(encoding, "x-gzip") != 0)
		return err_set(err, ERR_INVALID, "content encoding %s is not known", encoding);
	s->inflate = gw_inflate_new(s->input, s->input_left, GW_GIT_INFLATED_MAX);
	s->piece = xmalloc(CHUNK);
	return 0;
}

static int
start_child(struct session *s, struct err **err)
{
	const char *argv[6];
	size_t n = 0;
	const struct gw_git_access access = { .protocol = s->protocol,
		.space = *s->space ? s->space : NULL,
		.input_max = s->input_max };
	int rc;

	argv[n++] = "git";
	argv[n++] = s->service;
	argv[n++] = "--stateless-rpc";
	if (s->advertise)
		argv[n++] = "--advertise-refs";
	argv[n++] = s->path;
	argv[n] = NULL;
	rc = s->advertise ? 0 : prepare_input(s, err);
	if (rc == 0)
		rc = gw_git_spawn(&s->child, argv, !s->advertise, &access, err);
	return rc;
}

/* A slot is free. */
static void
begin(struct session *s)
{
	struct loop *loop = s->server->loop;
	struct err *err = NULL;

	link_running(s);
	s->begun_ms = clock_mono_ms();
	if (start_child(s, &err) < 0) {
		fail(s, &err);
		return;
	}
	s->idle = loop_timer_new(loop, "git idle", timed_out, s);
	s->out_io = loop_io_new(loop, s->child.out, read_output, s);
	s->err_io = loop_io_new(loop, s->child.err, read_stderr, s);
	s->pid_io = loop_io_new(loop, s->child.pidfd, child_ended, s);
	loop_io_set(s->out_io, LOOP_READ);
	loop_io_set(s->err_io, LOOP_READ);
	loop_io_set(s->pid_io, LOOP_READ);
	if (s->child.in >= 0) {
		s->in_io = loop_io_new(loop, s->child.in, write_input, s);
		loop_io_set(s->in_io, LOOP_WRITE);
	}
	touch(s);
}

/* What a request asks of which repository. */
struct door {
	struct gw_req *rq;
	const char *service;
	char *path;
	char space[GW_REPO_SPACE_LEN + 1]; /* "" unless a run's token names it */
	bool advertise;
	uint64_t left; /* bytes that may be pushed */
	int lock;
	struct err *err;
};

static void
door_free(struct door *d)
{
	if (d->lock >= 0)
		close(d->lock);
	free(d->path);
	err_clear(&d->err);
	free(d);
}

/* Takes d over. */
static void
serve(struct door *d)
{
	struct gw_req *rq = d->rq;
	struct gw_git_server *g = rq->gw->git;
	struct session *s;

	if (g->nwaiting >= GW_GIT_WAITING_MAX) {
		door_free(d);
		gw_reply_denied(rq, 503);
		return;
	}
	s = xcalloc(1, sizeof(*s));
	s->rq = rq;
	s->server = g;
	s->service = d->service;
	s->path = steal(&d->path);
	s->advertise = d->advertise;
	s->lock = d->lock;
	d->lock = -1;
	memcpy(s->space, d->space, sizeof(s->space));
	if (d->left && d->left < GW_GIT_PUSH_BODY_MAX)
		s->input_max = d->left;
	door_free(d);
	/* Pushing has no newer protocol than the first; and only in that one a fetch gets nothing
	 * but what it was offered. */
	if (strcmp(s->service, "upload-pack") == 0 && !*s->space)
		s->protocol = gw_git_protocol(http_req_header(rq->http, "Git-Protocol"));
	s->child.pid = s->child.pidfd = s->child.in = s->child.out = s->child.err = -1;
	rq->op = s;
	rq->abandon = abandon;
	http_req_on_close(rq->http, client_gone, s);
	if (http_req_gone(rq->http)) {
		link_waiting(s);
		client_gone(s);
	} else if (g->nrunning < GW_GIT_CHILDREN_MAX) {
		begin(s);
	} else {
		link_waiting(s);
	}
}

/* Path of the repository the route names, NULL when the request was answered. Its id must be
 * written as it is, and so its owner's: a user's name in its place is no repository. space gets
 * what a token in the place of the id opens; NULL: no token will do. */
static char *
repo_of(struct gw_req *rq, char *space)
{
	auto_free char *name = xstrdup(gw_req_param(rq, "repo"));
	char id[ID_LEN + 1];
	const char *repo = name;
	size_t n = strlen(name);
	struct err *err = NULL;
	char *path = NULL;

	if (n > 4 && strcmp(name + n - 4, ".git") == 0)
		name[n - 4] = '\0';
	else
		err_set(&err, ERR_INVALID, "the repository's name must end in .git");
	if (!err && strcmp(gw_req_param(rq, "u"), rq->target.id) != 0)
		err_set(&err, ERR_NOTFOUND, "there is no such repository");
	if (!err && space && gw_run_token_open(id, space, name, rq->target.id, rq->gw->keys.run))
		repo = id;
	if (!err)
		(void)!gw_repo_path(&path, rq->gw->cfg->repository_dir, rq->target.id, repo, &err);
	if (err)
		gw_reply_err(rq, &err);
	return path;
}

/* NULL when the request was answered. */
static struct door *
door_of(struct gw_req *rq, const char *service, bool advertise)
{
	struct door *d = xcalloc(1, sizeof(*d));
	bool push = strcmp(service, "receive-pack") == 0;
	struct err *err = NULL;

	d->rq = rq;
	d->service = service;
	d->advertise = advertise;
	d->lock = -1;
	d->path = repo_of(rq, d->space);
	if (!d->path) {
		door_free(d);
		return NULL;
	}
	if (push && *d->space)
		err_set(&err, ERR_DENIED, "a run's token is for reading");
	else if (!(push && advertise) && !gw_repo_exists(d->path))
		err_set(&err, ERR_NOTFOUND, "there is no such repository");
	if (!err)
		return d;
	door_free(d);
	gw_reply_err(rq, &err);
	return NULL;
}

/* --- routes --- */

static void
ready(void *arg)
{
	struct door *d = arg;
	struct gw_req *rq = d->rq;

	gw_req_back(rq);
	if (d->err) {
		struct err *err = steal(&d->err);

		door_free(d);
		gw_reply_err(rq, &err);
	} else if (rq->gw->stopping) {
		door_free(d);
		gw_reply_denied(rq, 503);
	} else {
		serve(d);
	}
}

static void
get_ready(struct door *d, const char *name, void (*run)(void *thread_state, void *arg))
{
	struct gw_req *rq = d->rq;

	if (gw_req_submit(rq, rq->gw->git_pool, name, run, ready, d))
		return;
	door_free(d);
	gw_reply_denied(rq, 503);
}

static void
ensure_run(void *thread_state, void *arg)
{
	struct door *d = arg;

	(void)thread_state;
	if (gw_repo_ensure(d->path, &d->err) == 0)
		(void)!gw_repo_check_quota(
		    &d->left, d->path, (uint64_t)d->rq->gw->cfg->repository_quota, &d->err);
}

static void
push_run(void *thread_state, void *arg)
{
	struct door *d = arg;
	const struct gw_config *cfg = d->rq->gw->cfg;

	(void)thread_state;
	if (gw_repo_check_space(cfg->repository_dir, &d->err) == 0 &&
	    gw_repo_lock(&d->lock, d->path, false, &d->err) == 0)
		(void)!gw_repo_check_quota(
		    &d->left, d->path, (uint64_t)cfg->repository_quota, &d->err);
}

/* Who knows a user's id could make repositories of his without end. False when the request was
 * answered. */
static bool
may_make(struct door *d)
{
	struct gw_req *rq = d->rq;
	int64_t wait;
	char seconds[32];

	if (gw_repo_exists(d->path))
		return true;
	wait = gw_limit_take(rq->gw->repo_peers, rq->peer, clock_mono_ms());
	if (wait == 0)
		return true;
	door_free(d);
	log_warn("too many new repositories", LOG_STR("address", rq->peer));
	snprintf(seconds, sizeof(seconds), "%" PRId64, wait / 1000 + 1);
	http_reply_header(rq->http, "Retry-After", seconds);
	gw_reply_denied(rq, 429);
	return false;
}

void
gw_git_info_refs(struct gw_req *rq)
{
	const char *name = gw_req_query(rq, "service", 0);
	const char *service = name ? gw_git_service(name) : NULL;
	struct door *d;

	if (!service) {
		gw_reply_text(rq, 400, "service must be git-upload-pack or git-receive-pack\n");
		return;
	}
	d = door_of(rq, service, true);
	if (d && strcmp(service, "upload-pack") == 0)
		serve(d);
	else if (d && may_make(d))
		get_ready(d, "create repository", ensure_run);
}

void
gw_git_rpc(struct gw_req *rq)
{
	const char *service = gw_git_service(strrchr(http_req_path(rq->http), '/') + 1);
	struct door *d;

	MUST(service); /* the route says so */
	d = door_of(rq, service, false);
	if (d && strcmp(service, "upload-pack") == 0)
		serve(d);
	else if (d)
		get_ready(d, "push", push_run);
}

struct raw {
	struct gw_req *rq;
	char *path;
	const char *rev, *name;
	struct buf data;
	struct err *err;
};

static void
raw_run(void *thread_state, void *arg)
{
	struct raw *r = arg;
	size_t index;

	(void)thread_state;
	(void)!gw_repo_read_first(
	    &r->data, &index, r->path, r->rev, &r->name, 1, GW_REPO_RAW_MAX, &r->err);
}

static void
raw_done(void *arg)
{
	struct raw *r = arg;

	gw_req_back(r->rq);
	if (r->err)
		gw_reply_err(r->rq, &r->err);
	else
		gw_reply_bytes(
		    r->rq, 200, "application/octet-stream", buf_str(&r->data), r->data.len);
	buf_free(&r->data);
	free(r->path);
	free(r);
}

void
gw_git_raw(struct gw_req *rq)
{
	char *path = repo_of(rq, NULL);
	struct raw *r;

	if (!path)
		return;
	if (!gw_repo_exists(path) || !gw_repo_rev_is_valid(gw_req_param(rq, "ref"))) {
		free(path);
		gw_reply_denied(rq, 404);
		return;
	}
	r = xcalloc(1, sizeof(*r));
	r->rq = rq;
	r->path = path;
	r->rev = gw_req_param(rq, "ref");
	r->name = gw_req_param(rq, "path");
	if (!gw_req_submit(rq, rq->gw->git_pool, "raw file", raw_run, raw_done, r)) {
		free(path);
		free(r);
		gw_reply_denied(rq, 503);
	}
}

void
gw_git_dump(json_t *out, const struct gw_git_server *g)
{
	json_object_set_new(out, "git",
	    json_pack("{s:i, s:i}", "running", (int)g->nrunning, "waiting", (int)g->nwaiting));
}
