/*
 * logship.h - sends one step's log from the spool to the runservice until all of it is stored.
 *
 * Only what is on our disk is sent. The runservice answers how much it has received and how much
 * is stored: we go back to `received` when it has less than what was sent (it was restarted), and
 * the log is finished when all of its bytes are stored. Reading and compressing run on a worker.
 * Loop thread only.
 */
#ifndef EXECUTOR_LOGSHIP_H
#define EXECUTOR_LOGSHIP_H

#include "common/work.h"
#include "executor/rs_client.h"
#include "executor/spool.h"

#include <stdbool.h>

#define EX_LOG_PIECE_MAX (256u << 10)
/* After so many bytes that are not stored we ask the runservice to store. */
#define EX_LOG_FLUSH_BYTES (8u << 20)

struct ex_logship;

struct ex_logship_options {
	struct loop *loop;
	struct work_pool *pool;
	struct ex_rs *rs;
	struct ex_spool *spool; /* must outlive it */
	const char *task_id;
	uint64_t fence;
	int step;
	/* After every answer. err is set when the runservice refused: then nothing more is sent. */
	void (*on_progress)(struct err **err, void *arg);
	void *arg;
};
struct ex_logship *ex_logship_new(const struct ex_logship_options *opt);
void ex_logship_free(struct ex_logship *l); /* NULL allowed; no callback follows */
/* There may be more on disk. */
void ex_logship_kick(struct ex_logship *l);
/* The log ends with what was appended to the spool until now, once all of that is on disk. */
void ex_logship_end(struct ex_logship *l);
uint64_t ex_logship_stored(const struct ex_logship *l);
/* Everything is stored and the runservice knows the end. */
bool ex_logship_finished(const struct ex_logship *l);

#endif
