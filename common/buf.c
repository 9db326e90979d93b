#include "common/buf.h"

#include "common/mem.h"

#include <stdio.h>
#include <string.h>

char *
buf_reserve(struct buf *b, size_t n)
{
	MUST(n < SIZE_MAX / 4 && b->len < SIZE_MAX / 4);
	size_t need = b->len + n + 1;
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < need)
			cap *= 2;
		b->data = xreallocarray(b->data, cap, 1);
		b->cap = cap;
	}
	return b->data + b->len;
}

void
buf_append(struct buf *b, const void *p, size_t n)
{
	char *to = buf_reserve(b, n);
	if (n)
		memcpy(to, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void
buf_putc(struct buf *b, char c)
{
	buf_append(b, &c, 1);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	auto_free char *s = xvasprintf(fmt, ap);
	va_end(ap);
	buf_puts(b, s);
}

void
buf_consume(struct buf *b, size_t n)
{
	MUST(n <= b->len);
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
	b->data[b->len] = '\0';
}

const char *
buf_str(const struct buf *b)
{
	return b->data && b->len ? b->data : "";
}

char *
buf_take(struct buf *b)
{
	char *s = b->data && b->len ? b->data : NULL;
	if (s == NULL) {
		free(b->data);
		s = xstrdup("");
	}
	*b = (struct buf)BUF_INIT;
	return s;
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}
