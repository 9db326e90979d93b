#include "common/clock.h"
#include "common/httpc_int.h"
#include "common/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX (16u << 10)
#define READ_SIZE (64u << 10)
#define READS_PER_TURN 4 /* then others get their turn */

struct httpc_stream {
	struct httpc *h;
	struct httpc_stream_options o;
	char *request;           /* until it is sent */
	struct httpc_req *dial;  /* while connecting */
	struct loop_timer *late; /* until the upgrade */
	struct loop_io *io;
	int fd;
	struct buf head; /* the answer's header, until the upgrade */
	struct buf out;
	size_t out_done; /* bytes of out that are written */
	bool open, paused;
	bool *dead; /* set when the stream is freed in one of its callbacks */
};

static void
set_interest(struct httpc_stream *s)
{
	unsigned want =
	    (s->paused ? 0 : LOOP_READ) | (httpc_stream_pending(s) > 0 ? LOOP_WRITE : 0u);

	if (s->io != NULL)
		loop_io_set(s->io, want);
}

static void
hang_up(struct httpc_stream *s)
{
	if (s->dial != NULL)
		httpc_cancel(steal(&s->dial));
	loop_timer_stop(s->late);
	loop_io_free(steal(&s->io));
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* The last callback. err NULL: the peer closed. */
static void
end(struct httpc_stream *s, struct err *e)
{
	auto_err err = e;
	bool open = s->open;

	hang_up(s);
	s->open = false;
	if (open) {
		s->o.on_close(&err, s->o.arg);
		return;
	}
	if (err == NULL)
		err_set(&err, ERR_UNAVAILABLE, "%s: closed before the upgrade", s->o.url);
	s->o.on_open(&err, s->o.arg);
}

static void
end_errno(struct httpc_stream *s, int errnum)
{
	struct err *err = NULL;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): glibc's is safe */
	err_set(&err, ERR_UNAVAILABLE, "%s: %s", s->o.url, strerror(errnum));
	end(s, err);
}

/* --- writing --- */

static void
wipe_out(struct httpc_stream *s)
{
	if (s->out.data != NULL)
		explicit_bzero(s->out.data, s->out.len);
	s->out.len = 0;
	s->out_done = 0;
}

/* 0, or an errno. */
static int
flush(struct httpc_stream *s)
{
	while (s->out_done < s->out.len) {
		ssize_t n =
		    send(s->fd, s->out.data + s->out_done, s->out.len - s->out_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : errno;
		s->out_done += (size_t)n;
	}
	wipe_out(s);
	return 0;
}

void
httpc_stream_write(struct httpc_stream *s, const void *p, size_t n)
{
	bool idle = httpc_stream_pending(s) == 0;

	if (!s->open)
		return;
	MUST(httpc_stream_pending(s) + n <= HTTPC_STREAM_BUFFER_MAX);
	if (s->out_done > s->out.len / 2) {
		buf_consume(&s->out, s->out_done);
		s->out_done = 0;
	}
	buf_append(&s->out, p, n);
	/* An error shows again when the loop finds the socket writable. */
	if (idle && flush(s) == 0 && httpc_stream_pending(s) == 0)
		return;
	if (idle)
		set_interest(s);
}

size_t
httpc_stream_pending(const struct httpc_stream *s)
{
	return s->out.len - s->out_done;
}

/* False when the stream ended or is gone. */
static bool
on_writable(struct httpc_stream *s)
{
	bool dead = false;
	int errnum;

	if (httpc_stream_pending(s) == 0)
		return true;
	errnum = flush(s);
	if (errnum != 0) {
		end_errno(s, errnum);
		return false;
	}
	if (httpc_stream_pending(s) > 0)
		return true;
	set_interest(s);
	if (!s->open || s->o.on_drain == NULL)
		return true;
	s->dead = &dead;
	s->o.on_drain(s->o.arg);
	if (!dead)
		s->dead = NULL;
	return !dead && s->fd >= 0;
}

/* --- the upgrade --- */

static void
refuse(struct httpc_stream *s, int status)
{
	struct err *err = NULL;
	const char *body = strstr(buf_str(&s->head), "\r\n\r\n");
	char text[512];

	snprintf(text, sizeof(text), "%s", body != NULL ? body + 4 : "");
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = ' ';
	err_set(&err,
	    status == 404   ? ERR_NOTFOUND
	    : status == 409 ? ERR_CONFLICT
	                    : ERR_UNAVAILABLE,
	    "%s: answered %d instead of upgrading: %s", s->o.url, status, text);
	end(s, err);
}

/* What follows the header belongs to the stream. False when the stream ended or is gone. */
static bool
upgraded(struct httpc_stream *s, size_t head_len)
{
	bool dead = false;
	auto_err err = NULL;
	auto_buf rest = BUF_INIT;

	buf_append(&rest, s->head.data + head_len, s->head.len - head_len);
	buf_free(&s->head);
	loop_timer_stop(s->late);
	s->open = true;
	s->dead = &dead;
	s->o.on_open(&err, s->o.arg);
	if (!dead && s->fd >= 0 && rest.len > 0)
		s->o.on_data((const uint8_t *)rest.data, rest.len, s->o.arg);
	if (!dead)
		s->dead = NULL;
	return !dead && s->fd >= 0;
}

static bool
take_head(struct httpc_stream *s, const uint8_t *p, size_t n)
{
	const char *end_of_head;
	int status = 0;

	buf_append(&s->head, p, n);
	end_of_head = memmem(s->head.data, s->head.len, "\r\n\r\n", 4);
	if (end_of_head == NULL && s->head.len <= HEAD_MAX)
		return true;
	/* NOLINTNEXTLINE(cert-err34-c): three digits fit */
	if (end_of_head == NULL || sscanf(s->head.data, "HTTP/1.%*1d %3d", &status) != 1 ||
	    status != 101) {
		refuse(s, status);
		return false;
	}
	return upgraded(s, (size_t)(end_of_head - s->head.data) + 4);
}

static bool
take_data(struct httpc_stream *s, const uint8_t *p, size_t n)
{
	bool dead = false;

	if (!s->open)
		return take_head(s, p, n);
	s->dead = &dead;
	s->o.on_data(p, n, s->o.arg);
	if (!dead)
		s->dead = NULL;
	return !dead && s->fd >= 0;
}

static void
on_readable(struct httpc_stream *s)
{
	uint8_t bytes[READ_SIZE];

	for (int i = 0; i < READS_PER_TURN && !s->paused; i++) {
		ssize_t n = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		if (n < 0) {
			end_errno(s, errno);
			return;
		}
		if (n == 0) {
			end(s, NULL);
			return;
		}
		if (!take_data(s, bytes, (size_t)n) || (size_t)n < sizeof(bytes))
			return;
	}
}

static void
on_io(int fd, unsigned what, void *arg)
{
	(void)fd;
	if ((what & LOOP_WRITE) && !on_writable(arg))
		return;
	if (what & LOOP_READ)
		on_readable(arg);
}

static void
on_connected(int fd, struct err **err, void *arg)
{
	struct httpc_stream *s = arg;

	s->dial = NULL;
	if (fd < 0) {
		end(s, steal(err));
		return;
	}
	s->fd = fd;
	s->io = loop_io_new(httpc_loop(s->h), fd, on_io, s);
	buf_puts(&s->out, s->request);
	set_interest(s);
}

static void
on_late(void *arg)
{
	struct httpc_stream *s = arg;
	struct err *err = NULL;

	err_set(&err, ERR_UNAVAILABLE, "%s: no upgrade within %lld ms", s->o.url,
	    (long long)s->o.timeout_ms);
	end(s, err);
}

static char *
request_text(const struct httpc_stream_options *o)
{
	const char *host = strstr(o->url, "://");
	const char *path;

	MUST(host != NULL);
	host += 3;
	path = host + strcspn(host, "/");
	return xasprintf("%s %s HTTP/1.1\r\nHost: %.*s\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"
	                 "Content-Length: 0\r\n\r\n",
	    o->method, *path != '\0' ? path : "/", (int)(path - host), host, o->upgrade);
}

struct httpc_stream *
httpc_stream_open(struct httpc *h, const struct httpc_stream_options *opt)
{
	struct httpc_stream *s = xcalloc(1, sizeof(*s));

	s->h = h;
	s->o = *opt;
	s->o.url = xstrdup(opt->url);
	s->o.method = s->o.unix_socket = s->o.upgrade = NULL;
	s->fd = -1;
	s->request = request_text(opt);
	s->late = loop_timer_new(httpc_loop(h), "http upgrade", on_late, s);
	if (opt->timeout_ms > 0)
		loop_timer_start(s->late, opt->timeout_ms);
	s->dial = httpc_connect(h, opt->url, opt->unix_socket, opt->timeout_ms, on_connected, s);
	return s;
}

void
httpc_stream_pause(struct httpc_stream *s, bool pause)
{
	if (s->paused == pause)
		return;
	s->paused = pause;
	set_interest(s);
}

void
httpc_stream_free(struct httpc_stream *s)
{
	if (s->dead != NULL)
		*s->dead = true;
	hang_up(s);
	loop_timer_free(s->late);
	wipe_out(s);
	buf_free(&s->out);
	buf_free(&s->head);
	free(s->request);
	free((char *)(uintptr_t)s->o.url);
	free(s);
}
