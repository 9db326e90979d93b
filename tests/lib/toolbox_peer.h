/*
 * toolbox_peer.h - the executor's end of a toolbox that runs in a forked child of the test.
 *
 * Every wait is for a frame or a condition and fails the test after peer_patience seconds.
 */
#ifndef TESTS_LIB_TOOLBOX_PEER_H
#define TESTS_LIB_TOOLBOX_PEER_H

#include <sys/types.h>

#include "proto/frame.h"
#include "proto/toolbox_msg.h"
#include "toolbox/init.h"

struct peer {
	pid_t pid;
	int to, from; /* to the toolbox, from it */
	uint32_t epoch;
	struct frame_parser parser;
	char dir[64]; /* temporary, holds run/, passwd, group, work/ */
	char run_dir[80], passwd[80], group[80], work[80];

	/* what came in so far */
	char *log;
	uint64_t log_base, log_len; /* log holds [log_base, log_base + log_len) of the step */
	uint8_t *archive;
	size_t archive_len;
	int results, welcomes, refusals, child_exits;
	uint64_t wanted;
	struct msg_result result;
	struct msg_welcome welcome;
	char error[2048];
	bool keep_quiet;  /* do not acknowledge log bytes */
	uint32_t attempt; /* of peer_run(); 0 = the first */
};

void peer_start(struct peer *p);
void peer_start_service(struct peer *p); /* the life of a service container */
void peer_stop(struct peer *p);          /* EXIT, waits for the process, removes the directory */
int peer_wait_exit(struct peer *p);
/* A second client: new epoch; with what is still on the way thrown away if lossy. */
void peer_hello(struct peer *p, int32_t log_step, uint64_t log_offset);
void peer_send(struct peer *p, enum frame_type type, uint8_t *payload, size_t n);
void peer_send_raw(struct peer *p, const void *bytes, size_t n);
void peer_send_start(struct peer *p, const struct msg_start *m);
void peer_run(struct peer *p, int32_t step, const char *script, bool tty);
void peer_ack(struct peer *p, int32_t step, uint64_t offset);
void peer_lease(struct peer *p, uint64_t ms);
void peer_kill(struct peer *p, int32_t step, int sig, uint32_t grace_ms);
void peer_credit(struct peer *p, int32_t step, uint32_t attempt, uint64_t total);
void peer_data(struct peer *p, int32_t step, uint32_t attempt, const uint8_t *b, size_t n);
void peer_data_end(struct peer *p, int32_t step, uint64_t total);
/* Handles one frame; false when none came within ms. */
bool peer_pump(struct peer *p, int ms);
void peer_until_result(struct peer *p);
void peer_until_log(struct peer *p, const char *text);
void peer_drop_log(struct peer *p);

#endif
