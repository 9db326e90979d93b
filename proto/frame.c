#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t magic[4] = { 'M', 'r', 'F', '1' };

/* Slices of eight bytes; filled before main() so that no thread ever sees them half done. */
static uint32_t crc_table[8][256];

__attribute__((constructor)) static void
crc_fill(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
		crc_table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++) {
			uint32_t c = crc_table[k - 1][i];
			crc_table[k][i] = crc_table[0][c & 0xff] ^ (c >> 8);
		}
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void
put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

uint32_t
frame_crc32(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint32_t c = 0xffffffffu;

	for (; n >= 8; n -= 8, p += 8) {
		uint32_t a = c ^ get32(p), b = get32(p + 4);
		c = crc_table[7][a & 0xff] ^ crc_table[6][(a >> 8) & 0xff] ^
		    crc_table[5][(a >> 16) & 0xff] ^ crc_table[4][a >> 24] ^
		    crc_table[3][b & 0xff] ^ crc_table[2][(b >> 8) & 0xff] ^
		    crc_table[1][(b >> 16) & 0xff] ^ crc_table[0][b >> 24];
	}
	for (; n > 0; n--, p++)
		c = crc_table[0][(c ^ *p) & 0xff] ^ (c >> 8);
	return c ^ 0xffffffffu;
}

void
frame_encode(uint8_t *out, enum frame_type type, uint32_t epoch, const void *payload, size_t n)
{
	memcpy(out, magic, sizeof(magic));
	out[4] = (uint8_t)type;
	out[5] = out[6] = out[7] = 0;
	put32(out + 8, epoch);
	put32(out + 12, (uint32_t)n);
	put32(out + 16, frame_crc32(payload, n));
	put32(out + 20, frame_crc32(out, 20));
	if (n > 0)
		memcpy(out + FRAME_HEADER_LEN, payload, n);
}

void
frame_parser_init(struct frame_parser *p)
{
	memset(p, 0, sizeof(*p));
}

void
frame_parser_fini(struct frame_parser *p)
{
	free(p->buf);
	memset(p, 0, sizeof(*p));
}

static void
drop(struct frame_parser *p, size_t n)
{
	p->len -= n;
	if (p->len > 0)
		memmove(p->buf, p->buf + n, p->len);
}

/* A big frame (or a resynchronising run) must not keep a megabyte dirty for the task's life. */
#define KEEP_CAP (128u << 10)

static void
shrink(struct frame_parser *p)
{
	if (p->len > 0 || p->cap <= KEEP_CAP)
		return;
	free(p->buf);
	p->buf = NULL;
	p->cap = 0;
}

bool
frame_parser_feed(struct frame_parser *p, const void *bytes, size_t n)
{
	if (p->taken > 0) {
		drop(p, p->taken);
		p->taken = 0;
	}
	shrink(p);
	if (n == 0)
		return true;
	if (n > SIZE_MAX / 4 - p->len)
		return false;
	if (p->len + n > p->cap) {
		size_t cap = p->cap > 0 ? p->cap : 4096;
		while (cap < p->len + n)
			cap *= 2;
		uint8_t *b = realloc(p->buf, cap);
		if (b == NULL)
			return false;
		p->buf = b;
		p->cap = cap;
	}
	memcpy(p->buf + p->len, bytes, n);
	p->len += n;
	return true;
}

static bool
header_ok(const uint8_t *h)
{
	return memcmp(h, magic, sizeof(magic)) == 0 && h[5] == 0 && h[6] == 0 && h[7] == 0 &&
	       get32(h + 12) <= FRAME_PAYLOAD_MAX && get32(h + 20) == frame_crc32(h, 20);
}

/* Bytes at the front that cannot start a frame; what is left over may still become a header. */
static size_t
rubbish(const uint8_t *b, size_t n)
{
	size_t i = 0;

	while (i < n) {
		const uint8_t *m = memchr(b + i, magic[0], n - i);
		if (m == NULL)
			return n;
		i = (size_t)(m - b);
		size_t have = n - i < sizeof(magic) ? n - i : sizeof(magic);
		if (memcmp(m, magic, have) == 0 && (n - i < FRAME_HEADER_LEN || header_ok(m)))
			return i;
		i++;
	}
	return n;
}

bool
frame_parser_next(struct frame_parser *p, struct frame *out)
{
	size_t at = p->taken;

	if (p->buf == NULL)
		return false;
	for (;;) {
		size_t skip = rubbish(p->buf + at, p->len - at);
		p->skipped += skip;
		at += skip;
		if (p->len - at < FRAME_HEADER_LEN)
			break;
		const uint8_t *h = p->buf + at;
		size_t n = get32(h + 12);
		if (p->len - at < FRAME_HEADER_LEN + n)
			break;
		if (frame_crc32(h + FRAME_HEADER_LEN, n) != get32(h + 16)) {
			/* The payload may hold a step's own bytes: never look for frames in it. */
			p->skipped += FRAME_HEADER_LEN + n;
			at += FRAME_HEADER_LEN + n;
			continue;
		}
		out->type = (enum frame_type)h[4];
		out->epoch = get32(h + 8);
		out->payload = h + FRAME_HEADER_LEN;
		out->len = n;
		p->taken = at + FRAME_HEADER_LEN + n;
		return true;
	}
	p->taken = 0;
	if (at > 0)
		drop(p, at);
	shrink(p);
	return false;
}
