/*
 * Frames between executor and toolbox: the same frames whatever the pieces they come in; every
 * message that decodes encodes to something that decodes again.
 * covers: proto/frame.c proto/toolbox_msg.c
 */
#include "fuzz.h"

#include "proto/frame.h"
#include "proto/toolbox_msg.h"

#define AGAIN(kind, p, n)                                                                          \
	do {                                                                                       \
		struct msg_##kind m, k;                                                            \
		if (msg_##kind##_decode(&m, p, n)) {                                               \
			size_t len = 0;                                                            \
			uint8_t *bytes = msg_##kind##_encode(&m, &len);                            \
			FUZZ_MUST(bytes != NULL && msg_##kind##_decode(&k, bytes, len));           \
			free(bytes);                                                               \
		}                                                                                  \
	} while (0)

static void
start_again(const uint8_t *p, size_t n)
{
	struct msg_start m, k;
	size_t len = 0;
	uint8_t *bytes;

	if (!msg_start_decode(&m, p, n))
		return;
	bytes = msg_start_encode(&m, &len);
	FUZZ_MUST(bytes != NULL && msg_start_decode(&k, bytes, len));
	FUZZ_MUST(k.nargv == m.nargv && k.nenv == m.nenv && k.ncontents == m.ncontents);
	msg_start_fini(&k);
	msg_start_fini(&m);
	free(bytes);
}

static void
result_again(const uint8_t *p, size_t n)
{
	struct msg_result m, k;
	size_t len = 0;
	uint8_t *bytes;

	if (!msg_result_decode(&m, p, n))
		return;
	bytes = msg_result_encode(&m, &len);
	FUZZ_MUST(bytes != NULL && msg_result_decode(&k, bytes, len));
	FUZZ_MUST(strcmp(k.error, m.error) == 0 && k.exit_status == m.exit_status);
	msg_result_fini(&k);
	msg_result_fini(&m);
	free(bytes);
}

static void
message(unsigned kind, const uint8_t *p, size_t n)
{
	switch (kind % 9) {
	case 0:
		AGAIN(hello, p, n);
		break;
	case 1:
		start_again(p, n);
		break;
	case 2:
		AGAIN(position, p, n);
		break;
	case 3:
		AGAIN(credit, p, n);
		break;
	case 4:
		AGAIN(lease, p, n);
		break;
	case 5:
		AGAIN(kill, p, n);
		break;
	case 6:
		AGAIN(data, p, n);
		break;
	case 7:
		AGAIN(welcome, p, n);
		break;
	default:
		result_again(p, n);
		break;
	}
}

static uint64_t
frames(const uint8_t *p, size_t n, bool in_pieces)
{
	struct frame_parser parser;
	struct frame f;
	uint64_t h = 0;

	frame_parser_init(&parser);
	for (size_t at = 0, k; at < n; at += k) {
		k = in_pieces ? fuzz_piece(p, n, at) : n;
		FUZZ_MUST(frame_parser_feed(&parser, p + at, k));
		while (frame_parser_next(&parser, &f)) {
			FUZZ_MUST(f.len <= FRAME_PAYLOAD_MAX);
			h = fuzz_digest(h, &f.type, sizeof(f.type));
			h = fuzz_digest(h, &f.epoch, sizeof(f.epoch));
			h = fuzz_digest(h, f.payload, f.len);
		}
	}
	frame_parser_fini(&parser);
	return h;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *framed;

	if (n == 0)
		return 0;
	if (p[0] < 128) {
		message(p[0], p + 1, n - 1);
		return 0;
	}
	FUZZ_MUST(frames(p, n, false) == frames(p, n, true));
	/* The input as a payload, after rubbish and before it. */
	if (n > FRAME_PAYLOAD_MAX)
		return 0;
	framed = malloc(2 * (FRAME_HEADER_LEN + n) + 1);
	FUZZ_MUST(framed != NULL);
	framed[0] = 'M';
	frame_encode(framed + 1, FRAME_LOG, 7, p, n);
	frame_encode(framed + 1 + FRAME_HEADER_LEN + n, FRAME_LOG, 7, p, n);
	FUZZ_MUST(frames(framed, 2 * (FRAME_HEADER_LEN + n) + 1, false) ==
	          frames(framed, 2 * (FRAME_HEADER_LEN + n) + 1, true));
	free(framed);
	return 0;
}
