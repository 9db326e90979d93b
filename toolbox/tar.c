#include "toolbox/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Offsets and widths of the fields we use in a ustar header. */
enum {
	AT_NAME = 0,
	LEN_NAME = 100,
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_SUM = 148,
	AT_TYPE = 156,
	AT_LINK = 157,
	LEN_LINK = 100,
	AT_MAGIC = 257,
	AT_PREFIX = 345,
	LEN_PREFIX = 155,
};
#define OCTAL_SIZE_MAX 077777777777ull

static uint32_t
checksum(const uint8_t *h)
{
	uint32_t sum = 0;

	for (int i = 0; i < TB_TAR_BLOCK; i++)
		sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : h[i];
	return sum;
}

/* --- writing --- */

static void
put_octal(uint8_t *p, int digits, uint64_t v)
{
	p[digits] = '\0';
	while (digits-- > 0) {
		p[digits] = (uint8_t)('0' + (v & 7));
		v >>= 3;
	}
}

static void
put_block(uint8_t *h, char type, uint32_t mode, uint64_t size, const char *name, const char *link)
{
	memset(h, 0, TB_TAR_BLOCK);
	memcpy(h + AT_NAME, name, strnlen(name, LEN_NAME));
	memcpy(h + AT_LINK, link, strnlen(link, LEN_LINK));
	put_octal(h + AT_MODE, 7, mode & 07777);
	put_octal(h + AT_UID, 7, 0);
	put_octal(h + AT_GID, 7, 0);
	put_octal(h + AT_SIZE, 11, size <= OCTAL_SIZE_MAX ? size : 0);
	put_octal(h + AT_MTIME, 11, 0); /* times are not restored: equal trees, equal archives */
	h[AT_TYPE] = (uint8_t)type;
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a field, not a text */
	memcpy(h + AT_MAGIC, "ustar\00000", 8);
	put_octal(h + AT_SUM, 6, checksum(h));
	h[AT_SUM + 7] = ' ';
}

/* "LEN key=value\n" where LEN counts itself. */
static size_t
put_pax(char *out, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1;

	for (size_t digits = 1, limit = 10; len >= limit; limit *= 10)
		len = rest + ++digits;
	return (size_t)sprintf(out, "%zu %s=%s\n", len, key, value);
}

size_t
tb_tar_padding(uint64_t size)
{
	return (size_t)(-size & (TB_TAR_BLOCK - 1));
}

size_t
tb_tar_header(uint8_t *out, const struct tb_tar_entry *t)
{
	char name[TB_TAR_NAME_MAX + 2], size[24];
	size_t nlen = strlen(t->name), llen = strlen(t->link), n = 0;

	_Static_assert(
	    TB_TAR_HEADER_MAX >= 2 * TB_TAR_BLOCK + 2 * (TB_TAR_NAME_MAX + 64) + TB_TAR_BLOCK,
	    "room for a name and a link");
	if (nlen == 0 || nlen > TB_TAR_NAME_MAX || llen > TB_TAR_NAME_MAX)
		return 0;
	snprintf(name, sizeof(name), "%s%s", t->name, t->type == TB_TAR_DIR ? "/" : "");
	char *pax = (char *)out + TB_TAR_BLOCK;
	if (strlen(name) > LEN_NAME)
		n += put_pax(pax + n, "path", name);
	if (llen > LEN_LINK)
		n += put_pax(pax + n, "linkpath", t->link);
	if (t->size > OCTAL_SIZE_MAX) {
		snprintf(size, sizeof(size), "%llu", (unsigned long long)t->size);
		n += put_pax(pax + n, "size", size);
	}
	if (n > 0) {
		put_block(out, 'x', 0644, n, "pax", "");
		memset(pax + n, 0, tb_tar_padding(n));
		n += TB_TAR_BLOCK + tb_tar_padding(n);
	}
	put_block(out + n, (char)t->type, t->mode, t->size, name, t->link);
	return n + TB_TAR_BLOCK;
}

/* --- reading --- */

enum state { HEADER, PAX, SKIP_PAX, DATA, PADDING, ZEROS };

struct tb_tar_reader {
	struct tb_tar_sink sink;
	enum state state;
	uint8_t block[TB_TAR_BLOCK];
	size_t have;    /* of block */
	uint64_t left;  /* of data or records */
	size_t padding; /* after them */
	bool entry_open;
	int zero_blocks;
	uint64_t headers;
	char *pax;
	size_t pax_len;
	bool has_size;
	uint64_t size;
	char name[TB_TAR_NAME_MAX + 2], link[TB_TAR_NAME_MAX + 2]; /* from pax; "" = not given */
};

struct tb_tar_reader *
tb_tar_reader_new(const struct tb_tar_sink *sink)
{
	struct tb_tar_reader *r = tb_malloc(sizeof(*r));

	memset(r, 0, sizeof(*r));
	r->sink = *sink;
	return r;
}

void
tb_tar_reader_free(struct tb_tar_reader *r)
{
	if (r == NULL)
		return;
	free(r->pax);
	free(r);
}

static int
bad(const struct tb_tar_reader *r, struct tb_err *e, const char *why)
{
	return tb_fail(
	    e, "the archive is damaged near entry %llu: %s", (unsigned long long)r->headers, why);
}

/* Octal with blanks and NULs around it, or base 256 as GNU tar has it for large values. */
static bool
get_number(const uint8_t *p, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	if (p[0] & 0x80) {
		if (p[0] != 0x80)
			return false; /* negative, or beyond any size */
		for (i = 1; i < n; i++) {
			if (v >> 56 != 0)
				return false;
			v = v << 8 | p[i];
		}
		*out = v;
		return true;
	}
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(p[i] - '0'); /* at most 12 digits */
	*out = v;
	return i == n || p[i] == ' ' || p[i] == '\0';
}

/* --- pax records --- */

static int
pax_text(struct tb_tar_reader *r, char *out, const char *value, size_t n, struct tb_err *e)
{
	if (n == 0 || n > TB_TAR_NAME_MAX + 1)
		return bad(r, e, "a name is empty or too long");
	if (memchr(value, 0, n) != NULL)
		return bad(r, e, "a name has a NUL byte in it");
	memcpy(out, value, n);
	out[n] = '\0';
	return 0;
}

static int
pax_size(struct tb_tar_reader *r, const char *value, size_t n, struct tb_err *e)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9' || v > (UINT64_MAX >> 5))
			return bad(r, e, "a size is no number");
		v = v * 10 + (uint64_t)(value[i] - '0');
	}
	r->size = v;
	r->has_size = true;
	return n > 0 ? 0 : bad(r, e, "a size is no number");
}

static int
pax_record(struct tb_tar_reader *r, const char *key, size_t klen, const char *value, size_t n,
    struct tb_err *e)
{
	if (klen == 4 && memcmp(key, "path", 4) == 0)
		return pax_text(r, r->name, value, n, e);
	if (klen == 8 && memcmp(key, "linkpath", 8) == 0)
		return pax_text(r, r->link, value, n, e);
	if (klen == 4 && memcmp(key, "size", 4) == 0)
		return pax_size(r, value, n, e);
	if (klen >= 11 && memcmp(key, "GNU.sparse.", 11) == 0)
		return bad(r, e, "sparse files are not taken");
	return 0; /* times, owners, attributes: not restored */
}

static int
pax_parse(struct tb_tar_reader *r, struct tb_err *e)
{
	const char *p = r->pax, *end = r->pax + r->pax_len;

	while (p < end) {
		size_t len = 0, digits = 0;
		while (p + digits < end && p[digits] >= '0' && p[digits] <= '9' && digits < 7)
			len = len * 10 + (size_t)(p[digits++] - '0');
		if (digits == 0 || p + digits >= end || p[digits] != ' ' || len < digits + 4 ||
		    len > (size_t)(end - p) || p[len - 1] != '\n')
			return bad(r, e, "a pax record is malformed");
		const char *key = p + digits + 1, *last = p + len - 1;
		const char *eq = memchr(key, '=', (size_t)(last - key));
		if (eq == NULL)
			return bad(r, e, "a pax record is malformed");
		if (pax_record(r, key, (size_t)(eq - key), eq + 1, (size_t)(last - eq - 1), e) != 0)
			return -1;
		p += len;
	}
	return 0;
}

/* --- headers --- */

static int
open_pax(struct tb_tar_reader *r, uint64_t size, bool global, struct tb_err *e)
{
	if (size > TB_TAR_PAX_MAX)
		return bad(r, e, "its pax records are too long");
	free(r->pax);
	r->pax = tb_malloc((size_t)size);
	r->pax_len = 0;
	r->left = size;
	r->padding = tb_tar_padding(size);
	r->state = global ? SKIP_PAX : PAX;
	return 0;
}

static void
header_name(const uint8_t *h, char *out)
{
	size_t n = strnlen((const char *)h + AT_NAME, LEN_NAME), at = 0;
	bool ustar = memcmp(h + AT_MAGIC, "ustar\0", 6) == 0;
	size_t prefix = ustar ? strnlen((const char *)h + AT_PREFIX, LEN_PREFIX) : 0;

	if (prefix > 0) {
		memcpy(out, h + AT_PREFIX, prefix);
		out[prefix] = '/';
		at = prefix + 1;
	}
	memcpy(out + at, h + AT_NAME, n);
	out[at + n] = '\0';
}

static bool
known_type(int c)
{
	return c >= TB_TAR_FILE && c <= TB_TAR_FIFO;
}

static int
open_entry(struct tb_tar_reader *r, const uint8_t *h, uint64_t size, struct tb_err *e)
{
	uint64_t mode;
	int type = h[AT_TYPE] == '\0' || h[AT_TYPE] == '7' ? TB_TAR_FILE : h[AT_TYPE];

	if (!known_type(type))
		return bad(r, e, "its kind is unknown");
	if (!get_number(h + AT_MODE, 8, &mode))
		return bad(r, e, "its mode is no number");
	if (r->has_size)
		size = r->size;
	if (type != TB_TAR_FILE && size != 0)
		return bad(r, e, "something that is no file has content");
	if (r->name[0] == '\0')
		header_name(h, r->name);
	if (r->link[0] == '\0')
		memcpy(r->link, h + AT_LINK, strnlen((const char *)h + AT_LINK, LEN_LINK));
	size_t n = strlen(r->name);
	while (type == TB_TAR_DIR && n > 1 && r->name[n - 1] == '/')
		r->name[--n] = '\0';
	if (n == 0)
		return bad(r, e, "its name is empty");
	struct tb_tar_entry t = { (enum tb_tar_type)type, (uint32_t)mode & 07777, size, r->name,
		r->link };
	if (r->sink.entry(r->sink.arg, &t, e) != 0)
		return -1;
	r->entry_open = true;
	r->left = size;
	r->padding = tb_tar_padding(size);
	r->state = DATA;
	return 0;
}

static int
on_header(struct tb_tar_reader *r, struct tb_err *e)
{
	static const uint8_t zero[TB_TAR_BLOCK];
	const uint8_t *h = r->block;
	uint64_t sum, size;

	if (memcmp(h, zero, TB_TAR_BLOCK) == 0) {
		if (++r->zero_blocks == 2)
			r->state = ZEROS;
		return 0;
	}
	if (r->zero_blocks > 0)
		return bad(r, e, "there is something behind its end");
	r->headers++;
	if (!get_number(h + AT_SUM, 8, &sum) || sum != checksum(h))
		return bad(r, e, "a header's checksum is wrong");
	if (!get_number(h + AT_SIZE, 12, &size))
		return bad(r, e, "a size is no number");
	if (h[AT_TYPE] == 'x' || h[AT_TYPE] == 'g')
		return open_pax(r, size, h[AT_TYPE] == 'g', e);
	return open_entry(r, h, size, e);
}

/* Everything of the current piece was taken. */
static int
on_piece_end(struct tb_tar_reader *r, struct tb_err *e)
{
	if (r->state == PAX && pax_parse(r, e) != 0)
		return -1;
	if (r->entry_open) {
		r->entry_open = false;
		r->has_size = false;
		memset(r->name, 0, sizeof(r->name));
		memset(r->link, 0, sizeof(r->link));
		if (r->sink.end_entry(r->sink.arg, e) != 0)
			return -1;
	}
	r->left = r->padding;
	r->state = PADDING;
	return 0;
}

static int
take_piece(struct tb_tar_reader *r, const uint8_t *p, size_t n, struct tb_err *e)
{
	if (r->state == PAX) {
		memcpy(r->pax + r->pax_len, p, n);
		r->pax_len += n;
	} else if (r->state == DATA && n > 0 && r->sink.data(r->sink.arg, p, n, e) != 0) {
		return -1;
	}
	r->left -= n;
	return 0;
}

static int
take_block(struct tb_tar_reader *r, const uint8_t *p, size_t n, size_t *used, struct tb_err *e)
{
	*used = TB_TAR_BLOCK - r->have < n ? TB_TAR_BLOCK - r->have : n;
	memcpy(r->block + r->have, p, *used);
	r->have += *used;
	if (r->have < TB_TAR_BLOCK)
		return 0;
	r->have = 0;
	return on_header(r, e);
}

int
tb_tar_reader_feed(struct tb_tar_reader *r, const uint8_t *p, size_t n, struct tb_err *e)
{
	for (;;) {
		size_t used = 0;
		/* Pieces of no length end without a byte more. */
		if (r->state != HEADER && r->state != ZEROS && r->left == 0) {
			if (r->state == PADDING)
				r->state = HEADER;
			else if (on_piece_end(r, e) != 0)
				return -1;
			continue;
		}
		if (n == 0)
			return 0;
		if (r->state == HEADER) {
			if (take_block(r, p, n, &used, e) != 0)
				return -1;
		} else if (r->state == ZEROS) {
			for (used = 0; used < n; used++)
				if (p[used] != 0)
					return bad(r, e, "there is something behind its end");
		} else {
			used = r->left < n ? (size_t)r->left : n;
			if (take_piece(r, p, used, e) != 0)
				return -1;
		}
		p += used;
		n -= used;
	}
}

int
tb_tar_reader_end(struct tb_tar_reader *r, struct tb_err *e)
{
	if (r->state != ZEROS)
		return bad(r, e, "it is cut off");
	return 0;
}
