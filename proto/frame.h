/*
 * frame.h - frames on the stream between an executor and the toolbox (process 1 of a container).
 *
 * The stream is the container's attached stdin and stdout. The engine may cut it at any byte (a
 * client that dies leaves half a frame behind) and never replays, so frames carry a magic, a
 * checked header, a checked payload and the attach epoch; the parser skips rubbish until the next
 * good header.
 *
 *   offset  size  field (little endian)
 *   0       4     magic "MrF1"
 *   4       1     type (enum frame_type)
 *   5       1     reserved, 0
 *   6       2     reserved, 0
 *   8       4     epoch
 *   12      4     payload length, at most FRAME_PAYLOAD_MAX
 *   16      4     CRC-32 of the payload
 *   20      4     CRC-32 of bytes 0..19
 *   24      ...   payload
 *
 * A payload may hold bytes that a step or an archive chose, so the parser never looks for frames
 * inside one: a checked header claims its whole payload, and a payload with a wrong CRC is dropped
 * whole. A writer that attaches to a stream on which another one may have died in the middle of a
 * frame therefore first writes FRAME_RESYNC_LEN zero bytes (which complete and spoil that frame),
 * then HELLO. A reader that attaches may begin in the middle of a payload and must ignore frames
 * of an epoch other than its own; epochs that a step cannot guess (advance by a random amount)
 * keep it from answering in the toolbox's place.
 *
 * Pure: libc only (the toolbox links it under musl), no I/O. Fuzzed: any bytes, any split, same
 * frames.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_LEN 24
#define FRAME_PAYLOAD_MAX                                                                          \
	(1u << 20) /* START carries whole environments; data frames stay under FRAME_DATA_MAX */
#define FRAME_DATA_MAX (64u << 10)
#define FRAME_VERSION 1
/* Zero bytes before the HELLO of a second and later attach: more than any frame still wants. */
#define FRAME_RESYNC_LEN (FRAME_PAYLOAD_MAX + FRAME_HEADER_LEN)

enum frame_type {
	/* executor -> toolbox */
	FRAME_HELLO = 1, /* struct msg_hello: attach; a higher epoch wins, lower ones are ignored
	                    from then on */
	FRAME_START = 2, /* struct msg_start: run this step; the same (step, attempt) again is
	                    answered, not re-run */
	FRAME_ACK = 3,   /* struct msg_position: log bytes up to here are durable */
	FRAME_CREDIT =
	    4, /* struct msg_credit: the toolbox may send so many archive bytes more in total */
	FRAME_LEASE = 5,    /* struct msg_lease: kill everything unless renewed within ms */
	FRAME_KILL = 6,     /* struct msg_kill: end the running step */
	FRAME_DATA = 7,     /* struct msg_data: archive bytes to unpack */
	FRAME_DATA_END = 8, /* struct msg_position: no more; position = total */
	FRAME_EXIT = 9,     /* no payload: kill all, leave */
	FRAME_SPAWN = 10,   /* struct msg_start with step -1: main container: the image's entrypoint
	                       as a child that must   stay alive; service mode: become it */
	/* toolbox -> executor */
	FRAME_WELCOME = 32, /* struct msg_welcome: answer to HELLO */
	FRAME_LOG = 33,     /* struct msg_data: raw output of a step at its offset */
	FRAME_RESULT = 34,  /* struct msg_result: a step ended; repeated after every HELLO until the
	                       next START */
	FRAME_ARCHIVE = 35, /* struct msg_data: packed archive bytes */
	FRAME_WANT =
	    36, /* struct msg_credit: restore: the executor may send so many bytes in total */
	FRAME_CHILD_EXIT = 37, /* struct msg_result with step -1: the spawned entrypoint ended */
	FRAME_REFUSED = 38,    /* struct msg_result: a START or SPAWN that could not be understood;
	                          error says why */
};

/* Writes header and payload to out (FRAME_HEADER_LEN + n bytes). n <= FRAME_PAYLOAD_MAX. */
void frame_encode(
    uint8_t *out, enum frame_type type, uint32_t epoch, const void *payload, size_t n);

struct frame {
	enum frame_type type;
	uint32_t epoch;
	const uint8_t *payload; /* borrowed until the next parser call */
	size_t len;
};

/* Push parser. Feed bytes as they come, then take frames until none is left. */
struct frame_parser {
	uint8_t *buf; /* grows to one frame of the largest size at most */
	size_t len, cap, taken;
	uint64_t skipped; /* bytes of rubbish passed over so far */
};
void frame_parser_init(struct frame_parser *p);
void frame_parser_fini(struct frame_parser *p);
/* Copies n bytes in. False when memory is out (the toolbox then exits). */
bool frame_parser_feed(struct frame_parser *p, const void *bytes, size_t n);
/* True and *out filled, or false: more bytes are needed. */
bool frame_parser_next(struct frame_parser *p, struct frame *out);

uint32_t frame_crc32(const void *bytes, size_t n);

#endif
