/*
 * buf.h - a growable byte buffer, always NUL-terminated after its content.
 *
 * Grows without limit: callers that collect foreign bytes check len against their own maximum
 * before they append.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NULL while nothing was ever appended; use buf_str() for a C string */
	size_t len;
	size_t cap;
};
#define BUF_INIT                                                                                   \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}

void buf_append(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Makes room for n more bytes and returns where they go; commit with b->len += written. */
char *buf_reserve(struct buf *b, size_t n);
/* Drops the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
/* Content as C string, never NULL; borrowed until the next change. */
const char *buf_str(const struct buf *b);
/* Takes the content as a malloc'ed C string and leaves the buffer empty. */
char *buf_take(struct buf *b);
void buf_clear(struct buf *b);
void buf_free(struct buf *b);

#define auto_buf __attribute__((cleanup(buf_free))) struct buf

#endif
