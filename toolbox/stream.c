#include "toolbox/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_MAX (64u << 10)
#define PIPE_BYTES (512 << 10)

struct tb_ctl {
	struct tb_ctl *next;
	enum frame_type type;
	uint8_t *payload;
	size_t n;
};

void
tb_stream_init(struct tb_stream *s, int in, int out)
{
	memset(s, 0, sizeof(*s));
	s->in = in;
	s->out = out;
	s->last = &s->first;
	frame_parser_init(&s->parser);
	tb_set_nonblock(in);
	tb_set_nonblock(out);
	/* A frame goes in whole and the engine reads large pieces; where that may not be, the pipes
	 * stay small. */
	fcntl(in, F_SETPIPE_SZ, PIPE_BYTES);
	fcntl(out, F_SETPIPE_SZ, PIPE_BYTES);
}

void
tb_stream_forget_control(struct tb_stream *s)
{
	while (s->first != NULL) {
		struct tb_ctl *c = s->first;
		s->first = c->next;
		free(c->payload);
		free(c);
	}
	s->last = &s->first;
	s->nctl = 0;
}

void
tb_stream_fini(struct tb_stream *s)
{
	tb_stream_forget_control(s);
	free(s->cur);
	s->cur = NULL;
	frame_parser_fini(&s->parser);
}

bool
tb_stream_read(struct tb_stream *s)
{
	static uint8_t b[READ_MAX];
	ssize_t n = read(s->in, b, sizeof(b));

	if (n > 0) {
		bool ok = frame_parser_feed(&s->parser, b, (size_t)n);
		explicit_bzero(b, (size_t)n); /* it may have held secrets */
		return ok;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		s->in = -1;
	return true;
}

bool
tb_stream_next(struct tb_stream *s, struct frame *f)
{
	return frame_parser_next(&s->parser, f);
}

void
tb_stream_control(struct tb_stream *s, enum frame_type type, uint8_t *payload, size_t n)
{
	if (!s->attached || s->nctl >= TB_CTL_MAX) {
		free(payload);
		return;
	}
	struct tb_ctl *c = tb_malloc(sizeof(*c));
	*c = (struct tb_ctl){ NULL, type, payload, n };
	*s->last = c;
	s->last = &c->next;
	s->nctl++;
}

bool
tb_stream_ready(const struct tb_stream *s)
{
	return s->attached && s->cur == NULL;
}

void
tb_stream_put(struct tb_stream *s, enum frame_type type, uint8_t *payload, size_t n)
{
	s->cur = tb_malloc(FRAME_HEADER_LEN + n);
	frame_encode(s->cur, type, s->epoch, payload, n);
	s->cur_len = FRAME_HEADER_LEN + n;
	s->cur_off = 0;
	free(payload);
}

static void
take_control(struct tb_stream *s)
{
	struct tb_ctl *c = s->first;

	s->first = c->next;
	if (s->first == NULL)
		s->last = &s->first;
	s->nctl--;
	tb_stream_put(s, c->type, c->payload, c->n);
	free(c);
}

static void
drop_current(struct tb_stream *s)
{
	free(s->cur);
	s->cur = NULL;
}

bool
tb_stream_flush(struct tb_stream *s)
{
	for (;;) {
		if (s->cur == NULL && s->first == NULL)
			return false;
		if (s->cur == NULL)
			take_control(s);
		ssize_t n = write(s->out, s->cur + s->cur_off, s->cur_len - s->cur_off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) { /* nobody will read this any more: wait for the next HELLO */
			drop_current(s);
			tb_stream_forget_control(s);
			s->attached = false;
			return false;
		}
		s->cur_off += (size_t)n;
		if (s->cur_off == s->cur_len)
			drop_current(s);
	}
}
