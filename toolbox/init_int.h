/* init_int.h - state of the main container's process 1, shared by init.c and task.c only. */
#ifndef TOOLBOX_INIT_INT_H
#define TOOLBOX_INIT_INT_H

#include <sys/resource.h>

#include "toolbox/init.h"
#include "toolbox/lease.h"
#include "toolbox/logwin.h"
#include "toolbox/stream.h"

#define TB_NO_STEP (-2)
#define TB_BACKGROUND_MAX 1024 /* outputs of ended steps still read; more are closed */

struct tb_task {
	int32_t step; /* newest started, TB_NO_STEP before */
	uint32_t attempt;
	uint8_t kind;
	bool running; /* no RESULT yet */
	bool exited;  /* its main process was reaped; its last output may still be in the pipe */
	bool have_result;
	int64_t drain; /* bytes of output that were in the pipe at the exit, not yet read */
	struct tb_child child;
	struct msg_result result;
	struct tb_err error;

	struct tb_logwin log;

	/* SAVE, RENDER */
	uint64_t archive_sent, archive_credit;
	bool archive_cut; /* another reader attached: this attempt can only be restarted */
	/* RESTORE */
	struct tb_logwin data;
	uint64_t data_total, data_want;
	bool data_ended;

	/* KILL */
	bool kill_armed;
	int64_t kill_at;
	pid_t kill_session;
};

struct tb_init {
	const struct tb_opts *o;
	struct tb_stream s;
	struct tb_task t;
	struct tb_lease lease;
	bool spawned, spawn_ended;
	struct tb_child spawn;
	struct msg_result spawn_result;
	struct tb_err spawn_error;
	int background[TB_BACKGROUND_MAX];
	size_t nbackground;
	int sigfd;
	bool leave;
	int exit_status;
};

/* task.c: the running step. */
void tb_task_init(struct tb_task *t);
void tb_task_fini(struct tb_task *t);
void tb_task_start(struct tb_init *in, const struct msg_start *m);
/* A reaped process; true when it was the step's. */
bool tb_task_reaped(struct tb_init *in, pid_t pid, int status, const struct rusage *ru);
void tb_task_read_log(struct tb_init *in);
void tb_task_feed(struct tb_init *in);  /* RESTORE: archive bytes to the child */
void tb_task_check(struct tb_init *in); /* sends RESULT once everything is in */
void tb_task_send(struct tb_init *in);  /* log or archive frames while the stream takes them */
void tb_task_kill(struct tb_init *in, const struct msg_kill *k);
void tb_task_timer(struct tb_init *in, int64_t now);
void tb_task_data(struct tb_init *in, const struct msg_data *d);
void tb_task_data_end(struct tb_init *in, const struct msg_position *p);
void tb_task_want(struct tb_init *in); /* tells how much of the archive may be sent */
void tb_task_attached(struct tb_init *in, const struct msg_hello *h);
void tb_send_welcome(struct tb_init *in);
void tb_send_result(struct tb_init *in, enum frame_type type, const struct msg_result *r);
void tb_fill_exit(struct msg_result *r, int status, const struct rusage *ru);

#endif
