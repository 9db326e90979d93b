/*
 * Frames and rubbish in any order, in any pieces: the frames that went in whole come out, in their
 * order, and nothing else does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/toolbox_msg.h"

#define ROUNDS 3000

static uint64_t seed;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "seed %llu: failed: %s\n", (unsigned long long)first, #x); \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static void
stream_round(uint64_t first)
{
	static uint8_t s[200000], want[64][1 + 4 + 4 + 3000];
	size_t n = 0, nwant = 0, got = 0;
	uint8_t body[3000];
	int items = 1 + (int)rnd(20);

	seed = first;
	for (int i = 0; i < items; i++) {
		size_t len = rnd(8) == 0 ? rnd(3000) : rnd(40);
		for (size_t k = 0; k < len; k++)
			body[k] = rnd(4) == 0 ? (uint8_t) "MrF1"[rnd(4)] : (uint8_t)rnd(256);
		if (rnd(3) == 0) { /* rubbish without a whole magic in it */
			for (size_t k = 0; k < len; k++)
				s[n++] = body[k] == '1' ? 'x' : body[k];
			continue;
		}
		uint8_t type = (uint8_t)(1 + rnd(38));
		uint32_t epoch = rnd(1000);
		/* A frame inside a frame must stay there. */
		if (len >= FRAME_HEADER_LEN && rnd(2) == 0)
			frame_encode(body, FRAME_EXIT, 1, NULL, 0);
		frame_encode(s + n, (enum frame_type)type, epoch, body, len);
		uint32_t len32 = (uint32_t)len;
		want[nwant][0] = type;
		memcpy(want[nwant] + 1, &epoch, 4);
		memcpy(want[nwant] + 5, &len32, 4);
		memcpy(want[nwant] + 9, body, len);
		if (rnd(10) == 0 && len > 0)
			s[n + FRAME_HEADER_LEN + rnd((uint32_t)len)] ^= 0x40; /* spoilt payload */
		else
			nwant++;
		n += FRAME_HEADER_LEN + len;
	}
	struct frame_parser p;
	struct frame f;
	frame_parser_init(&p);
	for (size_t at = 0; at < n;) {
		size_t k = 1 + rnd(rnd(2) == 0 ? 10 : 5000);
		if (k > n - at)
			k = n - at;
		CHECK(frame_parser_feed(&p, s + at, k));
		at += k;
		while (frame_parser_next(&p, &f)) {
			uint32_t len32 = (uint32_t)f.len;
			CHECK(got < nwant);
			CHECK(want[got][0] == (uint8_t)f.type);
			CHECK(memcmp(want[got] + 1, &f.epoch, 4) == 0);
			CHECK(memcmp(want[got] + 5, &len32, 4) == 0);
			CHECK(f.len == 0 || memcmp(want[got] + 9, f.payload, f.len) == 0);
			got++;
		}
	}
	CHECK(got == nwant);
	frame_parser_fini(&p);
}

/* Any bytes: decoders answer, and what they take encodes to the same bytes again. */
static void
decode_round(uint64_t first)
{
	uint8_t b[300];
	char text[] = "x", list0[] = "A=1";
	char *list[] = { list0, text };
	struct msg_content c = { text, text, list, 2 };
	struct msg_start in = { .kind = 2,
		.argv = list,
		.nargv = 2,
		.script = text,
		.env = list,
		.nenv = 2,
		.working_dir = text,
		.user = text,
		.contents = &c,
		.ncontents = 1,
		.dest_dir = text };
	struct msg_start out;
	struct msg_result r;
	size_t n, again;

	seed = first;
	uint8_t *e = msg_start_encode(&in, &n);
	CHECK(e != NULL);
	for (uint32_t i = rnd(6); i > 0; i--)
		e[rnd((uint32_t)n)] = (uint8_t)(rnd(2) == 0 ? rnd(4) : rnd(256));
	size_t take = rnd(4) == 0 ? rnd((uint32_t)n) : n;
	if (msg_start_decode(&out, e, take)) {
		uint8_t *back = msg_start_encode(&out, &again);
		/* A text of an absent script is the one thing that is not kept. */
		CHECK(back != NULL && (out.script == NULL || again == take));
		CHECK(out.script == NULL || memcmp(back, e, take) == 0);
		free(back);
		msg_start_fini(&out);
	}
	free(e);
	n = rnd(sizeof(b));
	for (size_t i = 0; i < n; i++)
		b[i] = rnd(3) == 0 ? (uint8_t)rnd(256) : 0;
	if (msg_result_decode(&r, b, n))
		msg_result_fini(&r);
	if (msg_start_decode(&out, b, n))
		msg_start_fini(&out);
	struct msg_data d;
	if (msg_data_decode(&d, b, n))
		CHECK(d.len <= n);
}

int
main(void)
{
	const char *one = getenv("PROP_SEED");

	for (uint64_t i = 0; i < ROUNDS; i++) {
		uint64_t first =
		    one != NULL ? strtoull(one, NULL, 10) : i * 0x9e3779b97f4a7c15ull + 1;
		stream_round(first);
		decode_round(first);
	}
	return 0;
}
