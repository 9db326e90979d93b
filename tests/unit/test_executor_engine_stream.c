/* The engine's multiplexed attach stream in any pieces, whole and broken. */
#include "common/buf.h"
#include "common/mem.h"
#include "executor/engine_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct got {
	struct buf stream[3];
	size_t calls, largest;
};

static void
on_bytes(int stream, const uint8_t *p, size_t n, void *arg)
{
	struct got *g = arg;

	assert_in_range(stream, 0, 2);
	assert_true(n > 0);
	g->calls++;
	g->largest = n > g->largest ? n : g->largest;
	if (g->stream[stream].len < 100000)
		buf_append(&g->stream[stream], p, n);
}

static void
drop(struct got *g)
{
	for (int i = 0; i < 3; i++)
		buf_free(&g->stream[i]);
}

static void
chunk(struct buf *b, int stream, const char *text)
{
	size_t n = strlen(text);
	uint8_t h[8] = { (uint8_t)stream, 0, 0, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16),
		(uint8_t)(n >> 8), (uint8_t)n };

	buf_append(b, h, sizeof(h));
	buf_puts(b, text);
}

static void
test_any_pieces(void **state)
{
	auto_buf b = BUF_INIT;
	char longer[700];

	(void)state;
	memset(longer, 'l', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	chunk(&b, EX_STREAM_OUT, "out1 ");
	chunk(&b, EX_STREAM_ERR, "err1 ");
	chunk(&b, EX_STREAM_OUT, ""); /* empty ones say nothing */
	chunk(&b, EX_STREAM_ERR, "");
	chunk(&b, EX_STREAM_OUT, longer);
	chunk(&b, EX_STREAM_ERR, "err2");
	for (size_t piece = 1; piece <= b.len; piece++) {
		struct ex_stream_demux d = { 0 };
		struct got g = { 0 };
		for (size_t at = 0; at < b.len; at += piece)
			assert_int_equal(
			    ex_stream_feed(&d, (uint8_t *)b.data + at,
			        b.len - at < piece ? b.len - at : piece, on_bytes, &g, NULL),
			    0);
		assert_int_equal(g.stream[1].len, 5 + sizeof(longer) - 1);
		assert_memory_equal(buf_str(&g.stream[1]), "out1 lll", 8);
		assert_string_equal(buf_str(&g.stream[2]), "err1 err2");
		drop(&g);
	}
}

static void
test_nothing(void **state)
{
	struct ex_stream_demux d = { 0 };
	struct got g = { 0 };

	(void)state;
	assert_int_equal(ex_stream_feed(&d, NULL, 0, on_bytes, &g, NULL), 0);
	assert_int_equal(g.calls, 0);
}

static void
check_refused(const uint8_t h[8])
{
	for (size_t piece = 1; piece <= 8; piece += 7) {
		struct ex_stream_demux d = { 0 };
		struct got g = { 0 };
		auto_err err = NULL;
		int rc = 0;
		for (size_t at = 0; at < 8 && rc == 0; at += piece)
			rc = ex_stream_feed(&d, h + at, piece, on_bytes, &g, &err);
		assert_int_equal(rc, ERR_INVALID);
		assert_non_null(strstr(err_msg(err), "unknown header"));
		assert_int_equal(g.calls, 0);
	}
}

static void
test_unknown_headers(void **state)
{
	static const uint8_t bad[][8] = { { 3, 0, 0, 0, 0, 0, 0, 1 }, { 255, 0, 0, 0, 0, 0, 0, 1 },
		{ 1, 1, 0, 0, 0, 0, 0, 1 }, { 1, 0, 1, 0, 0, 0, 0, 1 }, { 1, 0, 0, 1, 0, 0, 0, 0 },
		{ 'H', 'T', 'T', 'P', '/', '1', '.', '1' } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_refused(bad[i]);
}

/* A length of 4 GiB (or below zero, for who reads it signed) allocates nothing: what comes is
 * passed on as it comes. */
static void
test_huge_length(void **state)
{
	static const uint8_t h[8] = { 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };
	struct ex_stream_demux d = { 0 };
	struct got g = { 0 };
	uint8_t bytes[1000];

	(void)state;
	memset(bytes, 1, sizeof(bytes)); /* would be headers elsewhere */
	assert_int_equal(ex_stream_feed(&d, h, 8, on_bytes, &g, NULL), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(ex_stream_feed(&d, bytes, sizeof(bytes), on_bytes, &g, NULL), 0);
	assert_int_equal(g.calls, 1000);
	assert_int_equal(g.largest, 1000);
	assert_int_equal(d.left, 0xffffffffu - 1000000u);
	drop(&g);
}

/* A broken header after good ones: what was whole before it has been given out. */
static void
test_broken_later(void **state)
{
	auto_buf b = BUF_INIT;
	struct ex_stream_demux d = { 0 };
	struct got g = { 0 };

	(void)state;
	chunk(&b, EX_STREAM_OUT, "good");
	chunk(&b, 9, "bad");
	assert_int_equal(
	    ex_stream_feed(&d, (uint8_t *)b.data, b.len, on_bytes, &g, NULL), ERR_INVALID);
	assert_string_equal(buf_str(&g.stream[1]), "good");
	drop(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_pieces),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_unknown_headers),
		cmocka_unit_test(test_huge_length),
		cmocka_unit_test(test_broken_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
