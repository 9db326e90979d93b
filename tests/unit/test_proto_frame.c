#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/frame.h"
#include "proto/toolbox_msg.h"

static void
test_crc_known_value(void **state)
{
	(void)state;
	assert_int_equal(frame_crc32("123456789", 9), 0xcbf43926u);
	assert_int_equal(frame_crc32("", 0), 0);
}

static void
test_round_trip_byte_by_byte(void **state)
{
	(void)state;
	uint8_t b[FRAME_HEADER_LEN + 5];
	struct frame_parser p;
	struct frame f;
	int got = 0;

	frame_encode(b, FRAME_LOG, 7, "hello", 5);
	frame_parser_init(&p);
	for (size_t i = 0; i < sizeof(b); i++) {
		assert_true(frame_parser_feed(&p, b + i, 1));
		while (frame_parser_next(&p, &f)) {
			got++;
			assert_int_equal(i, sizeof(b) - 1);
			assert_int_equal(f.type, FRAME_LOG);
			assert_int_equal(f.epoch, 7);
			assert_int_equal(f.len, 5);
			assert_memory_equal(f.payload, "hello", 5);
		}
	}
	assert_int_equal(got, 1);
	assert_int_equal(p.skipped, 0);
	frame_parser_fini(&p);
}

static void
test_rubbish_between_frames(void **state)
{
	(void)state;
	uint8_t b[3 + FRAME_HEADER_LEN + 2 + 5 + FRAME_HEADER_LEN];
	struct frame_parser p;
	struct frame f;

	memcpy(b, "MrM", 3);
	frame_encode(b + 3, FRAME_ACK, 1, "ab", 2);
	memcpy(b + 3 + FRAME_HEADER_LEN + 2, "xMrF1", 5);
	frame_encode(b + 3 + FRAME_HEADER_LEN + 2 + 5, FRAME_EXIT, 1, NULL, 0);
	frame_parser_init(&p);
	assert_true(frame_parser_feed(&p, b, sizeof(b)));
	assert_true(frame_parser_next(&p, &f));
	assert_int_equal(f.type, FRAME_ACK);
	assert_true(frame_parser_next(&p, &f));
	assert_int_equal(f.type, FRAME_EXIT);
	assert_false(frame_parser_next(&p, &f));
	assert_int_equal(p.skipped, 8);
	frame_parser_fini(&p);
}

/* A frame inside a spoilt payload is a step's doing: it must never come out. */
static void
test_frame_inside_bad_payload_is_dropped(void **state)
{
	(void)state;
	uint8_t inner[FRAME_HEADER_LEN], b[2 * FRAME_HEADER_LEN];
	struct frame_parser p;
	struct frame f;

	frame_encode(inner, FRAME_EXIT, 9, NULL, 0);
	frame_encode(b, FRAME_DATA, 1, inner, sizeof(inner));
	b[16] ^= 1; /* wrong payload CRC ... */
	uint32_t c = frame_crc32(b, 20);
	for (int i = 0; i < 4; i++)
		b[20 + i] = (uint8_t)(c >> (8 * i)); /* ... in a good header */
	frame_parser_init(&p);
	assert_true(frame_parser_feed(&p, b, sizeof(b)));
	assert_false(frame_parser_next(&p, &f));
	assert_int_equal(p.skipped, sizeof(b));
	frame_parser_fini(&p);
}

/* Every cut of a frame, then the resynchronising zeros, then HELLO. */
static void
test_half_frame_then_resync(void **state)
{
	(void)state;
	uint8_t b[FRAME_HEADER_LEN + 100], hello[FRAME_HEADER_LEN + 1];
	uint8_t *zeros = calloc(1, FRAME_RESYNC_LEN);
	uint8_t body[100];

	frame_encode(hello, FRAME_HELLO, 2, "h", 1);
	memcpy(body, hello, sizeof(hello));
	memset(body + sizeof(hello), 'x', sizeof(body) - sizeof(hello));
	frame_encode(b, FRAME_DATA, 1, body, sizeof(body));
	for (size_t cut = 1; cut < sizeof(b); cut++) {
		struct frame_parser p;
		struct frame f;
		frame_parser_init(&p);
		assert_true(frame_parser_feed(&p, b, cut));
		assert_false(frame_parser_next(&p, &f));
		assert_true(frame_parser_feed(&p, zeros, FRAME_RESYNC_LEN));
		/* The last bytes of the body are 'x', so zeros never complete it well. */
		assert_false(frame_parser_next(&p, &f));
		assert_true(frame_parser_feed(&p, hello, sizeof(hello)));
		assert_true(frame_parser_next(&p, &f));
		assert_int_equal(f.epoch, 2);
		assert_false(frame_parser_next(&p, &f));
		frame_parser_fini(&p);
	}
	free(zeros);
}

static void
test_oversized_header_is_rubbish(void **state)
{
	(void)state;
	uint8_t b[FRAME_HEADER_LEN];
	struct frame_parser p;
	struct frame f;

	frame_encode(b, FRAME_DATA, 1, NULL, 0);
	b[14] = 0xff;
	uint32_t c = frame_crc32(b, 20);
	for (int i = 0; i < 4; i++)
		b[20 + i] = (uint8_t)(c >> (8 * i));
	frame_parser_init(&p);
	assert_true(frame_parser_feed(&p, b, sizeof(b)));
	assert_false(frame_parser_next(&p, &f));
	assert_int_equal(p.skipped, sizeof(b));
	frame_parser_fini(&p);
}

static char *
text(const char *s)
{
	return strdup(s);
}

static void
test_start_round_trip(void **state)
{
	(void)state;
	char *argv[] = { text("/bin/sh"), text("-e") }, *env[] = { text("A=1"), text("B=") };
	char *paths[] = { text("**"), text("") };
	char *dir = text("src"), *empty = text(""), *script = text("echo hi\n");
	struct msg_content c[] = { { dir, empty, paths, 2 }, { empty, dir, NULL, 0 } };
	struct msg_start in = { .step = 3,
		.attempt = 2,
		.kind = MSG_SAVE,
		.tty = true,
		.argv = argv,
		.nargv = 2,
		.script = script,
		.env = env,
		.nenv = 2,
		.working_dir = dir,
		.user = empty,
		.contents = c,
		.ncontents = 2,
		.dest_dir = dir,
		.size_max = 1ull << 40,
		.entries_max = 5,
		.resume_at = 6 };
	struct msg_start out;
	size_t n;
	uint8_t *b = msg_start_encode(&in, &n);

	assert_non_null(b);
	assert_true(msg_start_decode(&out, b, n));
	assert_int_equal(out.step, 3);
	assert_int_equal(out.attempt, 2);
	assert_int_equal(out.kind, MSG_SAVE);
	assert_true(out.tty);
	assert_int_equal(out.nargv, 2);
	assert_string_equal(out.argv[1], "-e");
	assert_null(out.argv[2]);
	assert_string_equal(out.script, "echo hi\n");
	assert_string_equal(out.env[1], "B=");
	assert_null(out.env[2]);
	assert_string_equal(out.working_dir, "src");
	assert_string_equal(out.user, "");
	assert_int_equal(out.ncontents, 2);
	assert_string_equal(out.contents[0].source_dir, "src");
	assert_int_equal(out.contents[0].npaths, 2);
	assert_string_equal(out.contents[0].paths[0], "**");
	assert_int_equal(out.contents[1].npaths, 0);
	assert_string_equal(out.dest_dir, "src");
	assert_true(out.size_max == 1ull << 40);
	msg_start_fini(&out);
	for (size_t i = 0; i < n; i++)
		assert_false(msg_start_decode(&out, b, i));
	uint8_t *longer = calloc(1, n + 1);
	memcpy(longer, b, n);
	assert_false(msg_start_decode(&out, longer, n + 1));
	free(longer);
	free(b);
	for (int i = 0; i < 2; i++) {
		free(argv[i]);
		free(env[i]);
		free(paths[i]);
	}
	free(dir);
	free(empty);
	free(script);
}

/* The decoded form of many empty contents is the one that needs most room per encoded byte. */
static void
test_start_many_empty_contents(void **state)
{
	(void)state;
	enum { N = 5000 };
	struct msg_content *c = calloc(N, sizeof(*c));
	struct msg_start in = { .kind = MSG_SAVE, .contents = c, .ncontents = N }, out;
	size_t n;
	uint8_t *b = msg_start_encode(&in, &n);

	assert_non_null(b);
	assert_true(msg_start_decode(&out, b, n));
	assert_int_equal(out.ncontents, N);
	assert_string_equal(out.contents[N - 1].dest_dir, "");
	assert_null(out.script);
	msg_start_fini(&out);
	free(b);
	free(c);
}

static void
test_start_refuses_nul_in_text(void **state)
{
	(void)state;
	char *env[] = { text("AB=1") };
	struct msg_start in = { .kind = MSG_RUN, .env = env, .nenv = 1 }, out;
	size_t n;
	uint8_t *b = msg_start_encode(&in, &n);
	uint8_t *at = memmem(b, n, "AB=1", 4);

	assert_non_null(at);
	at[1] = 0;
	assert_false(msg_start_decode(&out, b, n));
	free(b);
	free(env[0]);
}

static void
test_start_refuses_huge_count(void **state)
{
	(void)state;
	struct msg_start in = { .kind = MSG_RUN }, out;
	size_t n;
	uint8_t *b = msg_start_encode(&in, &n);

	memset(b + 10, 0xff, 4); /* count of argv */
	assert_false(msg_start_decode(&out, b, n));
	free(b);
}

static void
test_small_messages(void **state)
{
	(void)state;
	size_t n;
	struct msg_hello h = { 1, 3, -2, 99 }, h2;
	uint8_t *b = msg_hello_encode(&h, &n);
	assert_true(msg_hello_decode(&h2, b, n));
	assert_int_equal(h2.version_max, 3);
	assert_int_equal(h2.log_step, -2);
	assert_int_equal(h2.log_offset, 99);
	assert_false(msg_hello_decode(&h2, b, n - 1));
	free(b);

	struct msg_welcome w = { 1, 4, 2, true, 10, 5, 7 }, w2;
	b = msg_welcome_encode(&w, &n);
	assert_true(msg_welcome_decode(&w2, b, n));
	assert_true(w2.running);
	assert_int_equal(w2.data_offset, 7);
	free(b);

	struct msg_data d = { 1, 2, 3, (const uint8_t *)"xyz", 3 }, d2;
	b = msg_data_encode(&d, &n);
	assert_true(msg_data_decode(&d2, b, n));
	assert_int_equal(d2.len, 3);
	assert_memory_equal(d2.bytes, "xyz", 3);
	free(b);
	d.offset = UINT64_MAX - 1;
	b = msg_data_encode(&d, &n);
	assert_false(msg_data_decode(&d2, b, n));
	free(b);

	struct msg_kill k = { 1, 15, 2000 }, k2;
	b = msg_kill_encode(&k, &n);
	assert_true(msg_kill_decode(&k2, b, n));
	assert_int_equal(k2.grace_ms, 2000);
	free(b);

	struct msg_credit c = { 1, 2, 1ull << 33 }, c2;
	b = msg_credit_encode(&c, &n);
	assert_true(msg_credit_decode(&c2, b, n));
	assert_true(c2.total == 1ull << 33);
	free(b);

	char *why = text("why");
	struct msg_result r = { 1, 2, -1, 3, 4, 5, 6, 7, why }, r2;
	b = msg_result_encode(&r, &n);
	assert_true(msg_result_decode(&r2, b, n));
	assert_string_equal(r2.error, "why");
	assert_int_equal(r2.exit_status, -1);
	msg_result_fini(&r2);
	assert_false(msg_result_decode(&r2, b, n - 1));
	free(b);
	free(why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc_known_value),
		cmocka_unit_test(test_round_trip_byte_by_byte),
		cmocka_unit_test(test_rubbish_between_frames),
		cmocka_unit_test(test_frame_inside_bad_payload_is_dropped),
		cmocka_unit_test(test_half_frame_then_resync),
		cmocka_unit_test(test_oversized_header_is_rubbish),
		cmocka_unit_test(test_start_round_trip),
		cmocka_unit_test(test_start_many_empty_contents),
		cmocka_unit_test(test_start_refuses_nul_in_text),
		cmocka_unit_test(test_start_refuses_huge_count),
		cmocka_unit_test(test_small_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
