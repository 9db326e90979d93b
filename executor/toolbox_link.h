/*
 * toolbox_link.h - the framed stream to one container's toolbox, re-attached whenever it breaks.
 *
 * Every attach uses a higher epoch and begins with HELLO; on_up follows when the toolbox answered
 * WELCOME. A broken stream is opened again with back-off for as long as the container runs; when
 * it does not, on_gone is called and the link is dead. Frames of the toolbox arrive in order; what
 * the engine lost shows as a gap in their offsets, which is the owner's to notice
 * (ex_link_reset). Loop thread only; callbacks may free the link.
 */
#ifndef EXECUTOR_TOOLBOX_LINK_H
#define EXECUTOR_TOOLBOX_LINK_H

#include "common/err.h"
#include "executor/engine.h"
#include "proto/frame.h"
#include "proto/toolbox_msg.h"

#include <stdbool.h>

#define EX_LINK_WELCOME_MS 15000
/* Every attach raises the epoch by 1 to this much, so that a step cannot guess it. */
#define EX_LINK_EPOCHS 1024
/* Frames that can wait are not sent while more than this is unsent. */
#define EX_LINK_PENDING_MAX (512u << 10)

struct ex_link;

struct ex_link_options {
	struct loop *loop;
	struct ex_engine *engine;
	const char *container;
	uint32_t epoch; /* of the first attach; the following ones are at most EX_LINK_EPOCHS higher
	                   each */
	bool resumed;   /* an earlier process may have died in the middle of a frame */
	/* Fills the position of HELLO. */
	void (*position)(struct msg_hello *m, void *arg);
	void (*on_up)(const struct msg_welcome *w, void *arg);
	void (*on_frame)(const struct frame *f, void *arg); /* all but WELCOME */
	void (*on_down)(void *arg);                         /* broken; will be tried again */
	void (*on_drain)(void *arg); /* what was sent is with the kernel; optional */
	void (*on_gone)(struct err **err, void *arg);
	void *arg;
};
struct ex_link *ex_link_new(const struct ex_link_options *opt);
void ex_link_free(struct ex_link *l); /* NULL allowed */
/* Another owner: the callbacks and arg of opt from now on; its other members are ignored. */
void ex_link_hand_over(struct ex_link *l, const struct ex_link_options *opt);
bool ex_link_up(const struct ex_link *l);
/* Epoch of the newest attach. */
uint32_t ex_link_epoch(const struct ex_link *l);
/* False (nothing sent) while the link is down. */
bool ex_link_send(struct ex_link *l, enum frame_type type, const void *payload, size_t n);
/* Whether a frame that can wait may be sent. */
bool ex_link_roomy(const struct ex_link *l);
/* Drops the stream and attaches again. */
void ex_link_reset(struct ex_link *l, const char *why);

#endif
