/*
 * logwin.h - a window of a byte stream: bytes are put at its end, sent from the middle, and
 * released at its start once the peer has them safely.
 *
 * Memory grows with what is held, up to limit, and goes back when the window is empty.
 */
#ifndef TOOLBOX_LOGWIN_H
#define TOOLBOX_LOGWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tb_logwin {
	uint8_t *buf; /* ring of cap bytes, cap a power of two; byte at offset o is buf[o % cap] */
	size_t cap, limit;
	uint64_t start, sent, end; /* offsets in the stream, start <= sent <= end */
};

void tb_logwin_init(struct tb_logwin *w, size_t limit); /* limit: a power of two */
void tb_logwin_reset(struct tb_logwin *w);              /* empty, all offsets 0 */
size_t tb_logwin_space(const struct tb_logwin *w);
/* n <= space. */
void tb_logwin_put(struct tb_logwin *w, const void *bytes, size_t n);
/* Unsent bytes in one piece, at most max; 0 when there are none. */
size_t tb_logwin_peek(const struct tb_logwin *w, const uint8_t **p, size_t max);
void tb_logwin_sent(struct tb_logwin *w, size_t n);
/* Everything before offset may go; offsets outside [start, end] are ignored. */
void tb_logwin_ack(struct tb_logwin *w, uint64_t offset);
/* Send again from offset, clamped to what is held. */
void tb_logwin_rewind(struct tb_logwin *w, uint64_t offset);

#endif
