/*
 * step.h - starting what a step is: a command, the packing or unpacking of an archive, the making
 * of a directory. One child per step, in a session of its own, as the step's user.
 */
#ifndef TOOLBOX_STEP_H
#define TOOLBOX_STEP_H

#include <sys/types.h>

#include "proto/toolbox_msg.h"
#include "toolbox/util.h"

/* Where things are; tests point it elsewhere. */
struct tb_opts {
	int in, out;         /* the attached stream */
	const char *run_dir; /* for step scripts */
	const char *passwd_file, *group_file;
	const char *cwd; /* relative working directories start here */
	int null_fd;     /* /dev/null, opened while the image still has one */
};

struct tb_child {
	pid_t pid;    /* main process and leader of its process group */
	pid_t keeper; /* tty: session leader that outlives it, so that nothing is hung up; else 0 */
	bool tty;
	int log;  /* its output: pipe or pty, non-blocking; -1 for SPAWN */
	int err;  /* why it could not start, non-blocking */
	int data; /* SAVE, RENDER: read here; RESTORE: write the archive here; -1 otherwise */
};

/* Exit statuses of a step that ended before its command ran, as shells have them. */
#define TB_EXIT_SETUP 1
#define TB_EXIT_CANNOT_EXEC 126
#define TB_EXIT_NOT_FOUND 127

/* step -1 with kind RUN is the container's own entrypoint (output thrown away). */
int tb_child_start(
    struct tb_child *c, const struct tb_opts *o, const struct msg_start *m, struct tb_err *e);
/* What the child said before it gave up; empty when it did not. */
void tb_child_error(const struct tb_child *c, struct tb_err *e);
/* Session of the child. */
pid_t tb_child_session(const struct tb_child *c);
void tb_child_close(struct tb_child *c); /* descriptors only */

/* In the current process: user, directory, environment, exec. Returns the exit status and *e. ready
 * (may be NULL) is called when all that can be checked is well, right before the exec. */
int tb_exec(const struct tb_opts *o, const struct msg_start *m, void (*ready)(void *arg), void *arg,
    struct tb_err *e);

/* Removes the step scripts; at the end of the task. */
void tb_step_cleanup(const struct tb_opts *o);

#endif
