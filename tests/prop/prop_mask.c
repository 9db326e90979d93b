/*
 * Random secrets in random texts in random pieces: what comes out is what a naive search over the
 * whole text gives, however the text is split and wherever the stream is started anew.
 *
 * The forms of a secret are made here a second time, from the list in mask.h. No secret holds a
 * '*', so that MASK_TEXT itself cannot complete an occurrence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "executor/mask.h"

#define ROUNDS 5000
#define SECRETS_MAX 4
#define SECRET_LEN_MAX 24
#define FORMS_MAX 4000

static uint64_t seed, first;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "seed %llu: failed: %s (line %d)\n",                       \
			    (unsigned long long)first, #x, __LINE__);                              \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* --- the forms, made the slow way --- */

static struct buf forms[FORMS_MAX];
static size_t nforms;

static void
form(const char *p, size_t n)
{
	CHECK(nforms < FORMS_MAX);
	if (n >= MASK_SECRET_MIN)
		buf_append(&forms[nforms++], p, n);
}

static void
form_both_alphabets(const char *p, size_t n)
{
	auto_free char *url = xstrndup(p, n);

	form(p, n);
	for (char *c = url; *c; c++) {
		if (*c == '+')
			*c = '-';
		else if (*c == '/')
			*c = '_';
	}
	form(url, n);
}

static char *
encoded(unsigned before, int fill, const uint8_t *p, size_t n, unsigned after)
{
	auto_buf b = BUF_INIT;

	for (unsigned i = 0; i < before; i++)
		buf_putc(&b, (char)fill);
	buf_append(&b, p, n);
	for (unsigned i = 0; i < after; i++)
		buf_putc(&b, (char)fill);
	return crypto_base64(b.data, b.len);
}

/* What stays the same whatever stands around the secret; then with the text ending there. */
static void
forms_base64(const uint8_t *p, size_t n)
{
	for (unsigned k = 0; k < 3; k++) {
		auto_free char *zeros = encoded(k, 0, p, n, 3);
		auto_free char *ones = encoded(k, 0xff, p, n, 3);
		auto_free char *last = encoded(k, 0, p, n, 0);
		size_t from = k ? k + 1 : 0, to = (k + n) * 8 / 6, len = strlen(last);

		CHECK(memcmp(zeros + from, ones + from, to - from) == 0);
		form_both_alphabets(zeros + from, to - from);
		if ((k + n) * 8 % 6 == 0)
			continue;
		form_both_alphabets(last + from, len - from);
		form_both_alphabets(last + from, strcspn(last, "=") - from);
	}
}

static void
forms_percent(const uint8_t *p, size_t n)
{
	static const struct {
		bool lower, plus, all;
		const char *keep;
	} kinds[] = { { false, false, true, "" }, { true, false, true, "" },
		{ false, false, false, "" }, { true, false, false, "" }, { false, true, false, "" },
		{ false, false, false, "!*'()" }, { false, false, false, "/" } };

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		auto_buf b = BUF_INIT;
		for (size_t i = 0; i < n; i++) {
			bool plain = (p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'z') ||
			             (p[i] >= 'A' && p[i] <= 'Z') ||
			             (p[i] && strchr("-_.~", p[i])) ||
			             (p[i] && strchr(kinds[k].keep, p[i]));
			char hex[8];
			snprintf(hex, sizeof(hex), kinds[k].lower ? "%%%02x" : "%%%02X", p[i]);
			if (plain && !kinds[k].all)
				buf_putc(&b, (char)p[i]);
			else
				buf_puts(&b, kinds[k].plus && p[i] == ' ' ? "+" : hex);
		}
		form(b.data, b.len);
	}
}

static void
forms_json(const uint8_t *p, size_t n)
{
	for (int kind = 0; kind < 3; kind++) {
		auto_buf b = BUF_INIT;
		for (size_t i = 0; i < n; i++) {
			uint8_t c = p[i];
			if (c == '\n')
				buf_puts(&b, "\\n");
			else if (c == '\r')
				buf_puts(&b, "\\r");
			else if (c == '\t')
				buf_puts(&b, "\\t");
			else if (c == '\b')
				buf_puts(&b, "\\b");
			else if (c == '\f')
				buf_puts(&b, "\\f");
			else if (c == '"' || c == '\\' || (c == '/' && kind == 1))
				buf_printf(&b, "\\%c", c);
			else if (c < 0x20)
				buf_printf(&b, kind == 2 ? "\\u%04X" : "\\u%04x", c);
			else
				buf_putc(&b, (char)c);
		}
		form(b.data, b.len);
	}
}

static void
forms_of(const uint8_t *p, size_t n)
{
	if (n < MASK_SECRET_MIN)
		return;
	form((const char *)p, n);
	forms_base64(p, n);
	forms_percent(p, n);
	forms_json(p, n);
	for (int upper = 0; upper < 2; upper++) {
		auto_buf b = BUF_INIT;
		for (size_t i = 0; i < n; i++)
			buf_printf(&b, upper ? "%02X" : "%02x", p[i]);
		form(b.data, b.len);
	}
}

static void
forms_all(const uint8_t *p, size_t n)
{
	auto_buf crlf = BUF_INIT;
	size_t trimmed = n, start = 0;

	forms_of(p, n);
	while (trimmed && (p[trimmed - 1] == '\n' || p[trimmed - 1] == '\r'))
		trimmed--;
	if (trimmed < n)
		forms_of(p, trimmed);
	if (!memchr(p, '\n', n))
		return;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && p[i] == '\n' && (i == 0 || p[i - 1] != '\r'))
			buf_putc(&crlf, '\r');
		if (i < n)
			buf_putc(&crlf, (char)p[i]);
		if (i < n && p[i] != '\n')
			continue;
		size_t end = i > start && p[i - 1] == '\r' ? i - 1 : i;
		forms_of(p + start, end - start);
		start = i + 1;
	}
	form(crlf.data, crlf.len);
}

/* Every occurrence of every form; what overlaps becomes one MASK_TEXT. */
static void
naive(struct buf *out, const char *text, size_t n)
{
	auto_free bool *secret = xcalloc(n + 1, 1), *joined = xcalloc(n + 1, 1);

	for (size_t f = 0; f < nforms; f++)
		for (size_t at = 0; at + forms[f].len <= n; at++) {
			if (text[at] != forms[f].data[0] ||
			    memcmp(text + at, forms[f].data, forms[f].len) != 0)
				continue;
			for (size_t i = at; i < at + forms[f].len; i++) {
				secret[i] = true;
				joined[i] |= i > at; /* the same one as the byte before */
			}
		}
	for (size_t i = 0; i < n; i++) {
		if (!secret[i])
			buf_putc(out, text[i]);
		else if (!joined[i])
			buf_puts(out, MASK_TEXT);
	}
}

/* --- texts --- */

static struct ex_mask_secret secrets[SECRETS_MAX];
static uint8_t bytes[SECRETS_MAX][SECRET_LEN_MAX];

static uint8_t
random_byte(unsigned kind)
{
	static const char some[] = "ab\n\r /+%\"\\\t'(~\x01\xff=";

	if (kind == 0)
		return (uint8_t) "ab"[rnd(2)];
	if (kind == 1)
		return (uint8_t)some[rnd(sizeof(some) - 1)];
	if (kind == 2)
		return (uint8_t)('a' + rnd(26));
	uint8_t c = (uint8_t)rnd(256);
	return c == '*' ? 'x' : c;
}

static size_t
random_secrets(void)
{
	size_t count = 1 + rnd(SECRETS_MAX);

	for (size_t i = 0; i < nforms; i++)
		buf_free(&forms[i]);
	nforms = 0;
	for (size_t i = 0; i < count; i++) {
		unsigned kind = rnd(4);
		size_t n = rnd(4) == 0 ? rnd(SECRET_LEN_MAX) : 3 + rnd(6);
		for (size_t k = 0; k < n; k++)
			bytes[i][k] = random_byte(kind);
		secrets[i] = (struct ex_mask_secret){ bytes[i], n };
		forms_all(bytes[i], n);
	}
	return count;
}

/* Whole forms, beginnings and ends of them, and other bytes, side by side. */
static void
random_text(struct buf *b)
{
	size_t parts = rnd(24);
	unsigned kind = rnd(4);

	while (parts--) {
		unsigned what = rnd(6);
		if (what < 4 && nforms > 0) {
			const struct buf *f = &forms[rnd((uint32_t)nforms)];
			size_t from = what == 2 ? rnd((uint32_t)f->len) : 0;
			size_t to = what == 3 ? rnd((uint32_t)f->len) : f->len;
			buf_append(b, f->data + from, to - from);
		} else {
			for (size_t n = rnd(10); n > 0; n--)
				buf_putc(b, (char)random_byte(kind));
		}
	}
}

/* Feeds text from `from` in pieces. With restart: a new stream begins wherever the first has come
 * to at some moment, and what that one gave is all that remains of it. */
static void
stream(struct buf *out, const struct ex_mask_set *set, const char *p, size_t n, bool restart)
{
	struct ex_mask_stream *s = ex_mask_stream_new(set);
	uint32_t most = 1 + rnd(rnd(2) ? 4 : 300);
	uint64_t base = 0;

	for (size_t at = 0; at < n;) {
		size_t k = 1 + rnd(most);
		if (k > n - at)
			k = n - at;
		ex_mask_feed(s, p + at, k, out);
		at += k;
		CHECK(base + ex_mask_done(s) <= at);
		CHECK(at - base - ex_mask_done(s) <= MASK_HOLD_MAX);
		if (restart && rnd(3) == 0) {
			base += ex_mask_done(s);
			at = base;
			ex_mask_stream_free(s);
			s = ex_mask_stream_new(set);
			most += 3; /* so that it comes to an end */
		}
	}
	ex_mask_flush(s, out);
	CHECK(base + ex_mask_done(s) == n);
	ex_mask_stream_free(s);
}

static bool
same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void
no_form_in(const struct buf *out)
{
	for (size_t f = 0; f < nforms; f++)
		CHECK(out->len < forms[f].len ||
		      memmem(out->data, out->len, forms[f].data, forms[f].len) == NULL);
}

static bool
masks_anything(const struct buf *want)
{
	return want->len > 0 && memmem(want->data, want->len, MASK_TEXT, 3) != NULL;
}

static unsigned masked_rounds, plain_rounds;

static void
one_round(void)
{
	struct ex_mask_set *set = NULL;
	size_t count = random_secrets();

	CHECK(ex_mask_set_new(&set, secrets, count, NULL) == 0);
	for (int i = 0; i < 4; i++) {
		auto_buf text = BUF_INIT, want = BUF_INIT, got = BUF_INIT, again = BUF_INIT;
		random_text(&text);
		naive(&want, buf_str(&text), text.len);
		stream(&got, set, buf_str(&text), text.len, false);
		no_form_in(&got);
		CHECK(same(&got, &want));
		stream(&again, set, buf_str(&text), text.len, true);
		CHECK(same(&again, &want));
		if (masks_anything(&want)) {
			masked_rounds++;
		} else {
			plain_rounds++;
			CHECK(same(&got, &text));
		}
	}
	ex_mask_set_free(set);
}

/* A chain without end is cut; nothing is held beyond the bound and nothing gets out. */
static void
endless_chain(void)
{
	static const struct ex_mask_secret s[] = { { "aaa", 3 }, { "aab", 3 } };
	size_t n = 400000;
	auto_free char *text = xmalloc(n);
	auto_buf one = BUF_INIT, two = BUF_INIT, three = BUF_INIT;
	struct ex_mask_set *set = NULL;
	struct ex_mask_stream *at_once;

	memset(text, 'a', n);
	CHECK(ex_mask_set_new(&set, s, 2, NULL) == 0);
	at_once = ex_mask_stream_new(set);
	ex_mask_feed(at_once, text, n, &one);
	ex_mask_flush(at_once, &one);
	ex_mask_stream_free(at_once);
	CHECK(one.len < 100 && memmem(one.data, one.len, "aaa", 3) == NULL);
	stream(&two, set, text, n, false);
	stream(&three, set, text, n, true);
	CHECK(same(&one, &two) && same(&one, &three));
	ex_mask_set_free(set);
}

/* One secret ends where the next begins, and a third spans both ends: whoever starts anew between
 * them must still find the third. */
static void
spanning(void)
{
	static const struct ex_mask_secret s[] = { { "abcde", 5 }, { "fgh", 3 },
		{ "defghijkl", 9 } };
	static const char text[] = "abcdefghijkl.";
	struct ex_mask_set *set = NULL;

	CHECK(ex_mask_set_new(&set, s, 3, NULL) == 0);
	for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
		auto_buf out = BUF_INIT;
		struct ex_mask_stream *a = ex_mask_stream_new(set), *b = ex_mask_stream_new(set);
		ex_mask_feed(a, text, cut, &out);
		size_t done = (size_t)ex_mask_done(a);
		ex_mask_feed(b, text + done, sizeof(text) - 1 - done, &out);
		ex_mask_flush(b, &out);
		ex_mask_stream_free(a);
		ex_mask_stream_free(b);
		CHECK(strcmp(buf_str(&out), MASK_TEXT ".") == 0);
	}
	ex_mask_set_free(set);
}

int
main(int argc, char **argv)
{
	uint64_t start = argc > 1 ? strtoull(argv[1], NULL, 10) : 20240611;

	crypto_init();
	printf("prop_mask: seed %llu\n", (unsigned long long)start);
	spanning();
	for (uint64_t i = 0; i < ROUNDS; i++) {
		seed = first = start + i;
		rnd(2);
		one_round();
	}
	first = 0;
	endless_chain();
	random_secrets();
	for (size_t i = 0; i < nforms; i++)
		buf_free(&forms[i]);
	CHECK(masked_rounds > ROUNDS && plain_rounds > ROUNDS / 10);
	printf("prop_mask: %d rounds, %u texts masked, %u unchanged\n", ROUNDS, masked_rounds,
	    plain_rounds);
	return 0;
}
