/*
 * Archives as tar: the same entries whatever the pieces; sizes as announced.
 * covers: toolbox/tar.c
 */
#include "fuzz.h"

#include "toolbox/tar.h"
#include "toolbox/util.h"

struct seen {
	uint64_t h, left;
	bool open;
};

static int
on_copy(void *arg, const struct tb_tar_entry *t, struct tb_err *e)
{
	const struct tb_tar_entry *was = arg;

	(void)e;
	FUZZ_MUST(t->type == was->type && t->size == was->size && t->mode == was->mode);
	FUZZ_MUST(strcmp(t->name, was->name) == 0 && strcmp(t->link, was->link) == 0);
	return 1; /* enough */
}

static int
on_nothing(void *arg, const uint8_t *p, size_t n, struct tb_err *e)
{
	(void)arg;
	(void)p;
	(void)n;
	(void)e;
	return 0;
}

static int
on_no_end(void *arg, struct tb_err *e)
{
	(void)arg;
	(void)e;
	return 0;
}

/* What was read is written and read again. */
static void
write_again(const struct tb_tar_entry *t)
{
	static uint8_t out[TB_TAR_HEADER_MAX];
	struct tb_tar_entry copy = *t;
	const struct tb_tar_sink sink = { on_copy, on_nothing, on_no_end, &copy };
	size_t n = tb_tar_header(out, t);
	struct tb_tar_reader *r;
	struct tb_err e;

	FUZZ_MUST(n <= sizeof(out) && (t->size + tb_tar_padding(t->size)) % 512 == 0);
	if (n == 0)
		return;
	r = tb_tar_reader_new(&sink);
	FUZZ_MUST(tb_tar_reader_feed(r, out, n, &e) != 0);
	tb_tar_reader_free(r);
}

static int
on_entry(void *arg, const struct tb_tar_entry *t, struct tb_err *e)
{
	struct seen *s = arg;

	(void)e;
	FUZZ_MUST(!s->open && t->name[0] != '\0' && t->link != NULL);
	FUZZ_MUST(t->size == 0 || t->type == TB_TAR_FILE);
	s->open = true;
	s->left = t->size;
	write_again(t);
	s->h = fuzz_digest(s->h, t->name, strlen(t->name) + 1);
	s->h = fuzz_digest(s->h, t->link, strlen(t->link) + 1);
	s->h = fuzz_digest(s->h, &t->mode, sizeof(t->mode));
	return 0;
}

static int
on_data(void *arg, const uint8_t *p, size_t n, struct tb_err *e)
{
	struct seen *s = arg;

	(void)e;
	FUZZ_MUST(s->open && n <= s->left);
	s->left -= n;
	s->h = fuzz_digest(s->h, p, n);
	return 0;
}

static int
on_end(void *arg, struct tb_err *e)
{
	struct seen *s = arg;

	(void)e;
	FUZZ_MUST(s->open && s->left == 0);
	s->open = false;
	return 0;
}

static uint64_t
read_all(const uint8_t *p, size_t n, bool in_pieces, int *rc)
{
	struct seen s = { 0 };
	const struct tb_tar_sink sink = { on_entry, on_data, on_end, &s };
	struct tb_tar_reader *r = tb_tar_reader_new(&sink);
	struct tb_err e;

	FUZZ_MUST(r != NULL);
	*rc = 0;
	for (size_t at = 0, k; at < n && *rc == 0; at += k) {
		k = in_pieces ? fuzz_piece(p, n, at) : n;
		*rc = tb_tar_reader_feed(r, p + at, k, &e);
	}
	if (*rc == 0)
		*rc = tb_tar_reader_end(r, &e);
	tb_tar_reader_free(r);
	return s.h;
}

/* Headers have a checksum; with the right one the reader gets further. */
static void
mend(uint8_t *p, size_t n)
{
	for (size_t at = 0; at + 512 <= n; at += 512) {
		unsigned sum = 0;

		if (memcmp(p + at + 257, "ustar", 5) != 0)
			continue;
		memset(p + at + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += p[at + i];
		for (int i = 5; i >= 0; i--, sum >>= 3)
			p[at + 148 + (size_t)i] = (uint8_t)('0' + (sum & 7));
		p[at + 154] = '\0';
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n + 1);
	int whole, pieces;

	FUZZ_MUST(copy != NULL);
	memcpy(copy, p, n);
	mend(copy, n);
	FUZZ_MUST(
	    read_all(copy, n, false, &whole) == read_all(copy, n, true, &pieces) || whole != 0);
	FUZZ_MUST((whole == 0) == (pieces == 0));
	free(copy);
	return 0;
}
