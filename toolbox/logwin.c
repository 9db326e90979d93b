#include "toolbox/logwin.h"

#include <stdlib.h>
#include <string.h>

#include "toolbox/util.h"

#define FIRST_CAP 4096

void
tb_logwin_init(struct tb_logwin *w, size_t limit)
{
	memset(w, 0, sizeof(*w));
	w->limit = limit;
}

static void
release(struct tb_logwin *w)
{
	free(w->buf);
	w->buf = NULL;
	w->cap = 0;
}

void
tb_logwin_reset(struct tb_logwin *w)
{
	release(w);
	w->start = w->sent = w->end = 0;
}

size_t
tb_logwin_space(const struct tb_logwin *w)
{
	return w->limit - (size_t)(w->end - w->start);
}

/* Copies [from, from + n) of the stream between a ring and flat memory. */
static void
ring_copy(uint8_t *ring, size_t cap, uint64_t from, const uint8_t *bytes, size_t n)
{
	size_t at = (size_t)(from & (cap - 1));
	size_t first = n < cap - at ? n : cap - at;

	memcpy(ring + at, bytes, first);
	if (n > first)
		memcpy(ring, bytes + first, n - first);
}

static void
grow(struct tb_logwin *w, size_t need)
{
	size_t cap = w->cap > 0 ? w->cap : FIRST_CAP;

	while (cap < need)
		cap *= 2;
	if (cap == w->cap)
		return;
	uint8_t *b = tb_malloc(cap);
	for (uint64_t o = w->start; o < w->end;) {
		size_t at = (size_t)(o & (w->cap - 1));
		size_t n = w->cap - at;
		if (n > w->end - o)
			n = (size_t)(w->end - o);
		ring_copy(b, cap, o, w->buf + at, n);
		o += n;
	}
	free(w->buf);
	w->buf = b;
	w->cap = cap;
}

void
tb_logwin_put(struct tb_logwin *w, const void *bytes, size_t n)
{
	if (n == 0)
		return;
	grow(w, (size_t)(w->end - w->start) + n);
	ring_copy(w->buf, w->cap, w->end, bytes, n);
	w->end += n;
}

size_t
tb_logwin_peek(const struct tb_logwin *w, const uint8_t **p, size_t max)
{
	size_t n = (size_t)(w->end - w->sent);

	if (n == 0)
		return 0;
	size_t at = (size_t)(w->sent & (w->cap - 1));
	if (n > w->cap - at)
		n = w->cap - at;
	*p = w->buf + at;
	return n < max ? n : max;
}

void
tb_logwin_sent(struct tb_logwin *w, size_t n)
{
	w->sent += n;
}

void
tb_logwin_ack(struct tb_logwin *w, uint64_t offset)
{
	if (offset <= w->start || offset > w->end)
		return;
	w->start = offset;
	if (w->sent < offset)
		w->sent = offset;
	if (w->start == w->end && w->cap > FIRST_CAP)
		release(w);
}

void
tb_logwin_rewind(struct tb_logwin *w, uint64_t offset)
{
	if (offset < w->start)
		offset = w->start;
	if (offset > w->end)
		offset = w->end;
	w->sent = offset;
}
