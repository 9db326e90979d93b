/*
 * toolbox_msg.h - payloads of the frames in frame.h.
 *
 * Encoding: little-endian integers; texts and byte strings as u32 length + bytes; lists as u32
 * count. Decoders check every length against what is left and every count against MSG_LIST_MAX,
 * refuse trailing bytes and embedded NULs in texts. Decoded texts are copies in one malloc'ed
 * block, freed by msg_*_fini. Pure: libc only. Encoders return malloc'ed bytes (*len set) or NULL
 * when memory is out or the message would exceed FRAME_PAYLOAD_MAX.
 */
#ifndef PROTO_TOOLBOX_MSG_H
#define PROTO_TOOLBOX_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MSG_LIST_MAX 65536

/* Log bytes the toolbox may have sent and not acknowledged; past it it stops reading the step.
 * Below what the engine buffers for a stalled client, so a write of the toolbox never blocks for
 * long. */
#define TOOLBOX_LOG_WINDOW (1u << 20)
#define TOOLBOX_ARCHIVE_WINDOW (1u << 20)

struct msg_hello {
	uint16_t version_min, version_max;
	int32_t log_step;    /* step whose log the executor follows, -2 = none yet */
	uint64_t log_offset; /* raw bytes of it that are durable: resend from here */
};

/*
 * Rules that the toolbox keeps and an executor may count on:
 * - A START of another step says that the log of the step before is durable: it is let go.
 * - A later attempt of a step goes on in the same log; an archive starts at 0 again. A command has
 * one only when the attempt before is over: no attempt is run twice, and no two at once.
 * - A HELLO ends the archive of a running SAVE or RENDER: start its next attempt. A running RESTORE
 * goes on from msg_welcome.data_offset; its WANT is repeated.
 * - Steps only go up. Attempts of one archive step may be of different kinds (RENDER, then SAVE).
 * Any other START is REFUSED with the reason.
 * - A command that could not be started ends with 127, 126 (as shells have it) or 1 (user, working
 *   directory, script) and an error; -1 only when no process could be made.
 * - A service container answers SPAWN with RESULT and is the command from then on; or with REFUSED,
 *   and it ends. REFUSED after RESULT is rare: a file that is there, but that the kernel cannot
 * run.
 */
/* RENDER: the key templates in argv are rendered; what they give, each with a NUL behind it, comes
 * like the archive of a SAVE (and ends with an attach like it). */
enum msg_kind { MSG_RUN = 1, MSG_SAVE = 2, MSG_RESTORE = 3, MSG_MKDIR = 4, MSG_RENDER = 5 };

struct msg_content {
	char *source_dir, *dest_dir;
	char **paths;
	uint32_t npaths;
};

struct msg_start {
	int32_t step;     /* index; -1 for FRAME_SPAWN and for setup work (MSG_MKDIR) */
	uint32_t attempt; /* of this step, only going up; a higher one aborts an archive step */
	uint8_t kind;     /* enum msg_kind */
	bool tty;
	char **argv; /* RUN: the shell and its flags; the script's path is appended. SPAWN: the
	                command. RENDER: templates */
	uint32_t nargv;
	char *script; /* RUN: text of the command, without added newline; NULL for SPAWN. SAVE,
	                 RESTORE, RENDER: a line for the log, or "" */
	char **env;   /* "NAME=value", complete environment */
	uint32_t nenv;
	char *working_dir; /* may start with "~" or "~/"; MKDIR: created with parents, 0755, as the
	                      user */
	char *user;        /* name, uid, name:group, uid:gid; "" = the image's default given by the
	                      executor, or root */
	struct msg_content *contents; /* SAVE */
	uint32_t ncontents;
	char *dest_dir;    /* RESTORE; "" = working dir */
	uint64_t size_max; /* SAVE, RESTORE: unpacked bytes allowed; 0 = no limit */
	uint64_t entries_max;
	uint64_t resume_at; /* RESTORE: ignored by the toolbox, see msg_welcome.data_offset */
};

struct msg_position {
	int32_t step;
	uint64_t offset;
};
struct msg_credit {
	int32_t step;
	uint32_t attempt;
	uint64_t total; /* absolute, so that repeating it is harmless */
};
struct msg_lease {
	uint64_t ms; /* from receipt */
};
struct msg_kill {
	int32_t step;
	int32_t signal; /* first signal to the step's process group; SIGKILL to everything of it
	                   after grace_ms */
	uint32_t grace_ms;
};
struct msg_data {
	int32_t step;
	uint32_t attempt;
	uint64_t offset;
	const uint8_t *bytes; /* borrowed from the frame when decoded */
	size_t len;
};

struct msg_welcome {
	uint16_t version;
	int32_t step; /* newest step started, -2 = none */
	uint32_t attempt;
	bool running;
	uint64_t log_end;     /* raw bytes produced so far */
	uint64_t log_start;   /* oldest raw byte still held */
	uint64_t data_offset; /* running RESTORE: bytes of the archive already consumed */
};

struct msg_result {
	int32_t step;
	uint32_t attempt;
	int32_t
	    exit_status; /* 0..255; 128+n when killed by signal n; -1: could not start, see error */
	uint64_t
	    log_end; /* raw length of the step's log: all of it precedes or follows by LOG frames */
	uint64_t archive_end; /* SAVE: length of the packed archive */
	uint64_t user_us, system_us, max_rss_kb;
	char *error; /* one sentence, or "" */
};

uint8_t *msg_hello_encode(const struct msg_hello *m, size_t *len);
bool msg_hello_decode(struct msg_hello *m, const uint8_t *p, size_t n);
uint8_t *msg_start_encode(const struct msg_start *m, size_t *len);
bool msg_start_decode(struct msg_start *m, const uint8_t *p, size_t n);
void msg_start_fini(struct msg_start *m); /* of a decoded one; wipes it, it may hold secrets */
uint8_t *msg_position_encode(const struct msg_position *m, size_t *len);
bool msg_position_decode(struct msg_position *m, const uint8_t *p, size_t n);
uint8_t *msg_credit_encode(const struct msg_credit *m, size_t *len);
bool msg_credit_decode(struct msg_credit *m, const uint8_t *p, size_t n);
uint8_t *msg_lease_encode(const struct msg_lease *m, size_t *len);
bool msg_lease_decode(struct msg_lease *m, const uint8_t *p, size_t n);
uint8_t *msg_kill_encode(const struct msg_kill *m, size_t *len);
bool msg_kill_decode(struct msg_kill *m, const uint8_t *p, size_t n);
uint8_t *msg_data_encode(const struct msg_data *m, size_t *len);
bool msg_data_decode(struct msg_data *m, const uint8_t *p, size_t n);
uint8_t *msg_welcome_encode(const struct msg_welcome *m, size_t *len);
bool msg_welcome_decode(struct msg_welcome *m, const uint8_t *p, size_t n);
uint8_t *msg_result_encode(const struct msg_result *m, size_t *len);
bool msg_result_decode(struct msg_result *m, const uint8_t *p, size_t n);
void msg_result_fini(struct msg_result *m);

#endif
