/*
 * stream.h - the two ends of the attached stream: frames in, frames out, never blocking.
 *
 * Nothing is queued but small control frames (at most TB_CTL_MAX; more are dropped, the executor
 * asks again): log and archive bytes are framed only when the previous frame has left, so control
 * always overtakes them.
 */
#ifndef TOOLBOX_STREAM_H
#define TOOLBOX_STREAM_H

#include "proto/frame.h"
#include "toolbox/util.h"

#define TB_CTL_MAX 256

struct tb_ctl;
struct tb_stream {
	int in, out;   /* in is -1 after its end */
	bool attached; /* a HELLO was taken and the reader has not vanished */
	uint32_t epoch;
	struct frame_parser parser;
	uint8_t *cur; /* frame on its way out */
	size_t cur_len, cur_off;
	struct tb_ctl *first, **last;
	size_t nctl;
};

void tb_stream_init(struct tb_stream *s, int in, int out); /* makes both non-blocking */
void tb_stream_fini(struct tb_stream *s);
/* Reads once; false when memory is out. At the end of the stream in becomes -1. */
bool tb_stream_read(struct tb_stream *s);
bool tb_stream_next(struct tb_stream *s, struct frame *f);
/* Queues a control frame; frees payload (may be NULL). */
void tb_stream_control(struct tb_stream *s, enum frame_type type, uint8_t *payload, size_t n);
void tb_stream_forget_control(struct tb_stream *s);
/* True when the next frame may be put with tb_stream_put. */
bool tb_stream_ready(const struct tb_stream *s);
/* Frees payload. */
void tb_stream_put(struct tb_stream *s, enum frame_type type, uint8_t *payload, size_t n);
/* Moves control frames and the current frame out; true while something waits for the reader. */
bool tb_stream_flush(struct tb_stream *s);

#endif
