#include "executor/mask.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/*
 * An Aho-Corasick automaton. Nodes keep their children in a sibling list, since nearly all of them
 * have one child; only the root has a table, because that is where ordinary text stays.
 */
struct node {
	uint32_t child, sibling; /* 0 = none: node 0 is the root and nobody's child */
	uint32_t fail;
	uint32_t depth;
	uint32_t match; /* length of the longest pattern that ends here, 0 = none */
	uint8_t byte;
};

struct ex_mask_set {
	struct node *nodes;
	size_t n, cap;
	uint32_t root[256];
	bool full; /* a pattern did not fit */
};

/* Input bytes that are known to be secret. */
struct span {
	uint64_t start, end;
};

struct ex_mask_stream {
	const struct ex_mask_set *set;
	uint32_t state;
	struct buf held; /* input from position base on that was not given out yet */
	uint64_t base;
	uint64_t pos; /* input bytes taken */
	/* Not given out yet, in order, disjoint. One that touches another stays apart from it: a
	 * longer occurrence that is still coming may begin inside either. */
	struct span *spans;
	size_t nspans, cap;
};

static uint32_t
node_new(struct ex_mask_set *set, uint8_t byte, uint32_t depth)
{
	if (set->n == set->cap) {
		size_t cap = set->cap ? set->cap * 2 : 64;
		struct node *grown = xmalloc(cap * sizeof(*grown));

		if (set->n > 0)
			memcpy(grown, set->nodes, set->n * sizeof(*grown));
		xfree_secret(set->nodes, set->cap * sizeof(*grown));
		set->nodes = grown;
		set->cap = cap;
	}
	set->nodes[set->n] = (struct node){ .byte = byte, .depth = depth };
	return (uint32_t)set->n++;
}

static uint32_t
child_of(const struct ex_mask_set *set, uint32_t node, uint8_t byte)
{
	uint32_t c;

	if (node == 0)
		return set->root[byte];
	for (c = set->nodes[node].child; c != 0; c = set->nodes[c].sibling)
		if (set->nodes[c].byte == byte)
			return c;
	return 0;
}

static void
add_pattern(struct ex_mask_set *set, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint32_t at = 0;
	size_t i;

	if (n < MASK_SECRET_MIN)
		return;
	if (set->n + n > MASK_NODES_MAX) {
		set->full = true;
		return;
	}
	for (i = 0; i < n; i++) {
		uint32_t next = child_of(set, at, p[i]);

		if (next == 0) {
			next = node_new(set, p[i], (uint32_t)i + 1);
			if (at == 0) {
				set->root[p[i]] = next;
			} else {
				set->nodes[next].sibling = set->nodes[at].child;
				set->nodes[at].child = next;
			}
		}
		at = next;
	}
	set->nodes[at].match = (uint32_t)n;
}

static void
add_base64_text(struct ex_mask_set *set, const char *text, size_t n)
{
	char *url = xmemdup(text, n);

	add_pattern(set, text, n);
	for (size_t i = 0; i < n; i++) {
		if (url[i] == '+')
			url[i] = '-';
		else if (url[i] == '/')
			url[i] = '_';
	}
	add_pattern(set, url, n);
	xfree_secret(url, n);
}

/* The characters of base64 that depend on the secret alone when k bytes of something precede it;
 * then those of a text that ends with the secret, with and without padding. */
static void
add_base64(struct ex_mask_set *set, const uint8_t *p, size_t n, unsigned k)
{
	static const char std[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t sure = (k + n) * 8 / 6, all = ((k + n) * 8 + 5) / 6, padded = (all + 3) / 4 * 4;
	size_t first = k == 0 ? 0 : k + 1, i;
	char *text;

	if (sure < first + MASK_SECRET_MIN)
		return;
	text = xmalloc(padded - first);
	memset(text, '=', padded - first);
	for (i = first; i < all; i++) {
		size_t bit = i * 6;
		unsigned v = 0, b;

		for (b = 0; b < 6; b++) {
			size_t at = (bit + b) / 8;
			unsigned byte = at < k + n ? p[at - k] : 0;

			v = v << 1 | (byte >> (7 - (bit + b) % 8) & 1u);
		}
		text[i - first] = std[v];
	}
	add_base64_text(set, text, sure - first);
	if (all > sure) {
		add_base64_text(set, text, all - first);
		add_base64_text(set, text, padded - first);
	}
	xfree_secret(text, padded - first);
}

static bool
unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != 0 && strchr("-_.~", c) != NULL);
}

/* keep: further characters left as they are, as different encoders do. */
static void
add_percent(
    struct ex_mask_set *set, const uint8_t *p, size_t n, bool upper, bool plus, const char *keep)
{
	struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < n; i++) {
		if (unreserved(p[i]) || (p[i] != 0 && strchr(keep, p[i]) != NULL))
			buf_putc(&b, (char)p[i]);
		else if (plus && p[i] == ' ')
			buf_putc(&b, '+');
		else
			buf_printf(&b, upper ? "%%%02X" : "%%%02x", p[i]);
	}
	add_pattern(set, b.data, b.len);
	explicit_bzero(b.data, b.len);
	buf_free(&b);
}

/* Not one character is left as it is. */
static void
add_percent_all(struct ex_mask_set *set, const uint8_t *p, size_t n, const char *digits)
{
	char *text = xmalloc(3 * n);
	size_t i;

	for (i = 0; i < n; i++) {
		text[3 * i] = '%';
		text[3 * i + 1] = digits[p[i] >> 4];
		text[3 * i + 2] = digits[p[i] & 15];
	}
	add_pattern(set, text, 3 * n);
	xfree_secret(text, 3 * n);
}

static void
json_escape(struct buf *b, uint8_t c, bool slash, bool upper)
{
	static const char plain[] = "\b\f\n\r\t", letter[] = "bfnrt";
	const char *at = c != 0 ? strchr(plain, c) : NULL;

	if (c == '"' || c == '\\' || (slash && c == '/')) {
		buf_putc(b, '\\');
		buf_putc(b, (char)c);
	} else if (at != NULL) {
		buf_putc(b, '\\');
		buf_putc(b, letter[at - plain]);
	} else if (c < 0x20) {
		buf_printf(b, upper ? "\\u%04X" : "\\u%04x", c);
	} else {
		buf_putc(b, (char)c);
	}
}

static void
add_json(struct ex_mask_set *set, const uint8_t *p, size_t n, bool slash, bool upper)
{
	struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < n; i++)
		json_escape(&b, p[i], slash, upper);
	add_pattern(set, b.data, b.len);
	explicit_bzero(b.data, b.len);
	buf_free(&b);
}

static void
add_hex(struct ex_mask_set *set, const uint8_t *p, size_t n, const char *digits)
{
	char *text = xmalloc(2 * n);
	size_t i;

	for (i = 0; i < n; i++) {
		text[2 * i] = digits[p[i] >> 4];
		text[2 * i + 1] = digits[p[i] & 15];
	}
	add_pattern(set, text, 2 * n);
	xfree_secret(text, 2 * n);
}

static void
add_forms(struct ex_mask_set *set, const uint8_t *p, size_t n)
{
	unsigned k;

	if (n < MASK_SECRET_MIN)
		return;
	add_pattern(set, p, n);
	for (k = 0; k < 3; k++)
		add_base64(set, p, n, k);
	add_percent_all(set, p, n, "0123456789ABCDEF");
	add_percent_all(set, p, n, "0123456789abcdef");
	add_percent(set, p, n, true, false, "");
	add_percent(set, p, n, false, false, "");
	add_percent(set, p, n, true, true, "");
	add_percent(set, p, n, true, false, "!*'()");
	add_percent(set, p, n, true, false, "/");
	add_json(set, p, n, false, false);
	add_json(set, p, n, true, false);
	add_json(set, p, n, false, true);
	add_hex(set, p, n, "0123456789abcdef");
	add_hex(set, p, n, "0123456789ABCDEF");
}

/* A terminal turns line feeds into CR LF, and tools print keys line by line. */
static void
add_lines(struct ex_mask_set *set, const uint8_t *p, size_t n)
{
	struct buf crlf = BUF_INIT;
	size_t i, start = 0;

	for (i = 0; i <= n; i++) {
		size_t end = i;

		if (i < n && p[i] != '\n') {
			buf_putc(&crlf, (char)p[i]);
			continue;
		}
		if (i < n)
			buf_puts(&crlf, i > 0 && p[i - 1] == '\r' ? "\n" : "\r\n");
		if (end > start && p[end - 1] == '\r')
			end--;
		add_forms(set, p + start, end - start);
		start = i + 1;
	}
	add_pattern(set, crlf.data, crlf.len);
	if (crlf.data != NULL)
		explicit_bzero(crlf.data, crlf.len);
	buf_free(&crlf);
}

static void
add_chunk(struct ex_mask_set *set, const uint8_t *p, size_t n)
{
	size_t trimmed = n;

	add_forms(set, p, n);
	if (memchr(p, '\n', n) != NULL)
		add_lines(set, p, n);
	/* Files end in a line feed that `$(cat file)` and people drop. */
	while (trimmed > 0 && (p[trimmed - 1] == '\n' || p[trimmed - 1] == '\r'))
		trimmed--;
	if (trimmed < n)
		add_forms(set, p, trimmed);
}

/* Breadth first, so that a node's failure link is complete before its children need it. */
static void
link_nodes(struct ex_mask_set *set)
{
	uint32_t *queue = xcalloc(set->n, sizeof(*queue));
	size_t head = 0, tail = 0;
	unsigned b;

	for (b = 0; b < 256; b++)
		if (set->root[b] != 0)
			queue[tail++] = set->root[b];
	while (head < tail) {
		uint32_t at = queue[head++], c;

		for (c = set->nodes[at].child; c != 0; c = set->nodes[c].sibling) {
			uint32_t f = set->nodes[at].fail, to;

			while ((to = child_of(set, f, set->nodes[c].byte)) == 0 && f != 0)
				f = set->nodes[f].fail;
			set->nodes[c].fail = to;
			if (set->nodes[c].match == 0)
				set->nodes[c].match = set->nodes[to].match;
			queue[tail++] = c;
		}
	}
	free(queue);
}

int
ex_mask_set_new(
    struct ex_mask_set **out, const struct ex_mask_secret *secrets, size_t n, struct err **err)
{
	struct ex_mask_set *set = xcalloc(1, sizeof(*set));
	size_t i, at;

	node_new(set, 0, 0);
	for (i = 0; i < n; i++)
		for (at = 0; at < secrets[i].n; at += MASK_CHUNK) {
			size_t left = secrets[i].n - at;

			add_chunk(set, (const uint8_t *)secrets[i].p + at,
			    left < MASK_CHUNK ? left : MASK_CHUNK);
		}
	if (set->full) {
		ex_mask_set_free(set);
		return err_set(err, ERR_INVALID,
		    "the task's secrets are too large to be masked in its log; "
		    "use fewer or shorter ones");
	}
	link_nodes(set);
	*out = set;
	return 0;
}

void
ex_mask_set_free(struct ex_mask_set *set)
{
	if (set == NULL)
		return;
	xfree_secret(set->nodes, set->cap * sizeof(*set->nodes));
	free(set);
}

struct ex_mask_stream *
ex_mask_stream_new(const struct ex_mask_set *set)
{
	struct ex_mask_stream *s = xcalloc(1, sizeof(*s));

	s->set = set;
	return s;
}

void
ex_mask_stream_free(struct ex_mask_stream *s)
{
	if (s == NULL)
		return;
	if (s->held.data != NULL)
		explicit_bzero(s->held.data, s->held.cap);
	buf_free(&s->held);
	free(s->spans);
	free(s);
}

/* Gives out [base, upto), each span in it as one MASK_TEXT. No span reaches beyond upto. */
static void
give(struct ex_mask_stream *s, uint64_t upto, struct buf *out)
{
	uint64_t at = s->base;
	size_t i;

	for (i = 0; i < s->nspans && s->spans[i].end <= upto; i++) {
		buf_append(out, s->held.data + (at - s->base), (size_t)(s->spans[i].start - at));
		buf_puts(out, MASK_TEXT);
		at = s->spans[i].end;
	}
	if (i > 0) {
		s->nspans -= i;
		memmove(s->spans, s->spans + i, s->nspans * sizeof(*s->spans));
	}
	if (upto > at)
		buf_append(out, s->held.data + (at - s->base), (size_t)(upto - at));
	if (upto > s->base)
		buf_consume(&s->held, (size_t)(upto - s->base));
	s->base = upto;
}

static uint32_t
step_state(const struct ex_mask_set *set, uint32_t state, uint8_t byte)
{
	uint32_t to;

	while ((to = child_of(set, state, byte)) == 0 && state != 0)
		state = set->nodes[state].fail;
	return to;
}

/* An occurrence of length n ends at pos: it takes in the spans that it overlaps. */
static void
matched(struct ex_mask_stream *s, uint64_t n)
{
	uint64_t start = s->pos - n;

	while (s->nspans > 0 && s->spans[s->nspans - 1].end > start) {
		if (s->spans[s->nspans - 1].start < start)
			start = s->spans[s->nspans - 1].start;
		s->nspans--;
	}
	if (s->nspans == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 8;
		s->spans = xreallocarray(s->spans, s->cap, sizeof(*s->spans));
	}
	s->spans[s->nspans++] = (struct span){ start, s->pos };
}

static bool
chain_too_long(const struct ex_mask_stream *s)
{
	const struct span *last;

	if (s->nspans == 0)
		return false;
	last = &s->spans[s->nspans - 1];
	return s->pos - last->start >= MASK_CHAIN_MAX &&
	       last->end > last->start + MASK_CHAIN_MAX / 2;
}

/* Takes the held bytes from pos on, one by one: the result depends on the bytes alone. */
static void
scan(struct ex_mask_stream *s, struct buf *out)
{
	const struct ex_mask_set *set = s->set;

	while (s->pos < s->base + s->held.len) {
		uint8_t byte = (uint8_t)s->held.data[s->pos - s->base];

		s->state = step_state(set, s->state, byte);
		s->pos++;
		if (set->nodes[s->state].match != 0)
			matched(s, set->nodes[s->state].match);
		if (chain_too_long(s)) { /* and on after it, as a new stream would */
			give(s, s->spans[s->nspans - 1].end, out);
			s->pos = s->base;
			s->state = 0;
		}
	}
}

/* Length of input at the end that may still become part of an occurrence. */
static uint64_t
safe_until(const struct ex_mask_stream *s)
{
	uint64_t safe = s->pos - s->set->nodes[s->state].depth;
	size_t i = s->nspans;

	while (i > 0 && s->spans[i - 1].end > safe) {
		i--;
		if (s->spans[i].start < safe)
			safe = s->spans[i].start;
	}
	return safe;
}

/* Most bytes of a log start no secret: they are passed on without being held. */
static size_t
pass_plain(struct ex_mask_stream *s, const uint8_t *p, size_t n, struct buf *out)
{
	size_t i = 0;

	if (s->held.len != 0 || s->state != 0)
		return 0;
	while (i < n && s->set->root[p[i]] == 0)
		i++;
	buf_append(out, p, i);
	s->base += i;
	s->pos += i;
	return i;
}

void
ex_mask_feed(struct ex_mask_stream *s, const void *bytes, size_t n, struct buf *out)
{
	const uint8_t *p = bytes;

	while (n > 0) {
		size_t took = pass_plain(s, p, n, out), piece;

		p += took;
		n -= took;
		piece = n < 4096 ? n : 4096;
		if (piece == 0)
			break;
		buf_append(&s->held, p, piece);
		p += piece;
		n -= piece;
		scan(s, out);
		give(s, safe_until(s), out);
	}
}

void
ex_mask_flush(struct ex_mask_stream *s, struct buf *out)
{
	give(s, s->pos, out);
	s->state = 0;
}

uint64_t
ex_mask_done(const struct ex_mask_stream *s)
{
	return s->base;
}

char *
ex_mask_text(const struct ex_mask_set *set, const char *text)
{
	struct ex_mask_stream *s;
	struct buf out = BUF_INIT;

	if (set == NULL)
		return xstrdup(text);
	s = ex_mask_stream_new(set);
	ex_mask_feed(s, text, strlen(text), &out);
	ex_mask_flush(s, &out);
	ex_mask_stream_free(s);
	if (out.data == NULL)
		return xstrdup("");
	return buf_take(&out);
}
