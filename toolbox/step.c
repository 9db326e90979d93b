#include "toolbox/step.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "toolbox/pack.h"
#include "toolbox/template.h"
#include "toolbox/unpack.h"
#include "toolbox/user.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ARCHIVE_PIPE (256 << 10)

/* --- in the child --- */

static const char *
env_get(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env != NULL; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

/* The step's environment with what every program expects to find. */
static char **
make_env(const struct msg_start *m, const char *home)
{
	char **env = tb_malloc((m->nenv + 4) * sizeof(char *));
	size_t n = 0;

	for (uint32_t i = 0; i < m->nenv; i++)
		env[n++] = m->env[i];
	env[n] = NULL;
	if (env_get(env, "HOME") == NULL)
		env[n++] = tb_format("HOME=%s", home);
	env[n] = NULL;
	if (env_get(env, "PATH") == NULL)
		env[n++] = tb_strdup("PATH=" DEFAULT_PATH);
	env[n] = NULL;
	if (m->tty && env_get(env, "TERM") == NULL)
		env[n++] = tb_strdup("TERM=xterm");
	env[n] = NULL;
	return env;
}

static void
reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
}

/* The script as a file that only its user reads; in memory when no directory of ours is there. */
static char *
write_script(
    const struct tb_opts *o, const struct msg_start *m, const struct tb_user *u, struct tb_err *e)
{
	char *path = tb_format("%s/step-%d-%u", o->run_dir, m->step, (unsigned)m->attempt);
	size_t n = strlen(m->script);

	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	bool in_memory = fd < 0;
	if (in_memory) {
		fd = memfd_create("step", 0); /* inherited by the shell */
		free(path);
		path = tb_format("/proc/self/fd/%d", fd);
	}
	if (fd < 0 || tb_write_all(fd, m->script, n) != 0 ||
	    (n > 0 && m->script[n - 1] != '\n' && tb_write_all(fd, "\n", 1) != 0) ||
	    fchmod(fd, 0400) != 0 || fchown(fd, u->uid, u->gid) != 0) {
		tb_fail(e, "cannot write the step's script to %s: %s", path, strerror(errno));
		return NULL;
	}
	if (!in_memory)
		close(fd);
	return path;
}

static int
exec_error(const char *name, int err, struct tb_err *e)
{
	if (err == ENOENT || err == ENOTDIR) {
		tb_fail(e, "cannot start %s: no such file", name);
		return TB_EXIT_NOT_FOUND;
	}
	tb_fail(e, "cannot start %s: %s", name, strerror(err));
	return TB_EXIT_CANNOT_EXEC;
}

/* 0, or the errno that execve would give. */
static int
executable(const char *file)
{
	struct stat st;

	if (stat(file, &st) != 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EACCES;
	return access(file, X_OK) == 0 ? 0 : errno;
}

/* The file that name means to a shell with this environment, or NULL and *err. */
static char *
find_command(const char *name, char **env, int *err)
{
	*err = ENOENT;
	if (strchr(name, '/') != NULL)
		return (*err = executable(name)) == 0 ? tb_strdup(name) : NULL;
	for (const char *p = env_get(env, "PATH"); *name != '\0';) {
		size_t n = strcspn(p, ":");
		char *file = n > 0 ? tb_format("%.*s/%s", (int)n, p, name) : tb_strdup(name);
		int why = executable(file);
		if (why == 0)
			return file;
		if (why != ENOENT && why != ENOTDIR)
			*err = why;
		free(file);
		if (p[n] == '\0')
			break;
		p += n + 1;
	}
	return NULL;
}

/* User, then working directory: a directory only root may enter is not the step's. */
static int
settle(const struct tb_opts *o, const struct msg_start *m, const struct tb_user *u, char **env,
    struct tb_err *e)
{
	if (tb_user_become(u, e) != 0)
		return -1;
	char *dir = tb_user_expand(m->working_dir, env_get(env, "HOME"), o->cwd, e);
	if (dir == NULL)
		return -1;
	int r = chdir(dir);
	if (r != 0)
		tb_fail(e, "cannot enter working directory %s: %s", dir, strerror(errno));
	free(dir);
	return r;
}

int
tb_exec(const struct tb_opts *o, const struct msg_start *m, void (*ready)(void *arg), void *arg,
    struct tb_err *e)
{
	struct tb_user u;
	int err = 0;
	char **argv = tb_malloc((m->nargv + 2) * sizeof(char *));

	if (m->nargv == 0) {
		tb_fail(e, "there is no command to start");
		return TB_EXIT_NOT_FOUND;
	}
	if (tb_user_find(&u, m->user, o->passwd_file, o->group_file, e) != 0)
		return TB_EXIT_SETUP;
	char **env = make_env(m, u.home);
	memcpy(argv, m->argv, m->nargv * sizeof(char *));
	argv[m->nargv] = argv[m->nargv + 1] = NULL;
	if (m->script != NULL) {
		argv[m->nargv] = write_script(o, m, &u, e);
		if (argv[m->nargv] == NULL)
			return TB_EXIT_SETUP;
	}
	if (settle(o, m, &u, env, e) != 0)
		return TB_EXIT_SETUP;
	char *file = find_command(argv[0], env, &err);
	if (file == NULL)
		return exec_error(argv[0], err, e);
	if (ready != NULL)
		ready(arg);
	reset_signals();
	execve(file, argv, env);
	return exec_error(argv[0], errno, e);
}

/* Directories made on the way belong to the user, those that were there stay as they are. */
static int
make_dirs(char *path, const struct tb_user *u, struct tb_err *e)
{
	struct stat st;

	for (char *p = path + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char c = *p;
		*p = '\0';
		if (mkdir(path, 0755) == 0) {
			if (lchown(path, u->uid, u->gid) != 0)
				return tb_fail(e, "cannot give directory %s to user %u: %s", path,
				    (unsigned)u->uid, strerror(errno));
		} else if (errno != EEXIST || stat(path, &st) != 0) {
			return tb_fail(e, "cannot make directory %s: %s", path, strerror(errno));
		} else if (!S_ISDIR(st.st_mode)) {
			return tb_fail(e, "cannot make directory %s: a file is in its place", path);
		}
		if (c == '\0')
			return 0;
		*p = c;
	}
}

static int
do_mkdir(const struct tb_opts *o, const struct msg_start *m, const struct tb_user *u, char **env,
    struct tb_err *e)
{
	char *dir = tb_user_expand(m->working_dir, env_get(env, "HOME"), o->cwd, e);

	if (dir == NULL)
		return -1;
	umask(022);
	return make_dirs(dir, u, e);
}

/* What the executor wants to stand in the log first. */
static int
say_line(const struct msg_start *m, struct tb_err *e)
{
	if (m->script == NULL || m->script[0] == '\0')
		return 0;
	if (tb_write_all(STDOUT_FILENO, m->script, strlen(m->script)) != 0 ||
	    tb_write_all(STDOUT_FILENO, "\n", 1) != 0)
		return tb_fail(e, "cannot write the log: %s", strerror(errno));
	return 0;
}

static int
do_archive(const struct tb_opts *o, const struct msg_start *m, const struct tb_user *u, char **env,
    int data, struct tb_err *e)
{
	const char *home = env_get(env, "HOME");

	if (settle(o, m, u, env, e) != 0 || say_line(m, e) != 0)
		return -1;
	return m->kind == MSG_SAVE ? tb_pack(m, home, data, STDOUT_FILENO, e)
	                           : tb_unpack(m, home, data, STDOUT_FILENO, e);
}

/* Local time is that of the step, not ours. */
static void
fill_world(struct tb_template_world *w, char **env)
{
	const char *tz = env_get(env, "TZ");

	if (tz != NULL)
		setenv("TZ", tz, 1);
	else
		unsetenv("TZ");
	tzset();
	w->env = env;
	w->digest = tb_digest_file;
	clock_gettime(CLOCK_REALTIME, &w->now);
	localtime_r(&w->now.tv_sec, &w->local);
}

static int
do_render(const struct tb_opts *o, const struct msg_start *m, const struct tb_user *u, char **env,
    int data, struct tb_err *e)
{
	static char key[TB_TEMPLATE_MAX + 1];
	struct tb_template_world w;

	if (settle(o, m, u, env, e) != 0 || say_line(m, e) != 0)
		return -1;
	fill_world(&w, env);
	for (uint32_t i = 0; i < m->nargv; i++) {
		if (tb_template_render(key, m->argv[i], &w, e) != 0)
			return -1;
		if (tb_write_all(data, key, strlen(key) + 1) != 0)
			return tb_fail(e, "cannot hand over a key: %s", strerror(errno));
	}
	return 0;
}

/* The child's life after its descriptors are in place: 0 in, 1 and 2 out, err, data. */
static void __attribute__((noreturn))
child_main(const struct tb_opts *o, const struct msg_start *m, int err, int data)
{
	struct tb_err e = { "" };
	struct tb_user u;
	int status = TB_EXIT_SETUP;

	if (m->kind == MSG_RUN) {
		status = tb_exec(o, m, NULL, NULL, &e);
	} else if (tb_user_find(&u, m->user, o->passwd_file, o->group_file, &e) == 0) {
		char **env = make_env(m, u.home);
		int keep[] = { err, data };
		tb_close_but(keep, 2);
		reset_signals();
		signal(SIGPIPE, SIG_IGN);
		int r = m->kind == MSG_MKDIR    ? do_mkdir(o, m, &u, env, &e)
		        : m->kind == MSG_RENDER ? do_render(o, m, &u, env, data, &e)
		                                : do_archive(o, m, &u, env, data, &e);
		if (r == 0)
			_exit(0);
	}
	tb_write_all(err, e.text, strlen(e.text));
	close(err);
	strncat(e.text, "\n", sizeof(e.text) - strlen(e.text) - 1);
	tb_write_all(STDERR_FILENO, e.text, strlen(e.text));
	_exit(status);
}

/* Session leader of a tty step: holds the terminal until the task ends, so that neither the
 * shell's end nor ours hangs up on what it left in the background. */
static void __attribute__((noreturn)) keeper_main(int slave)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	tb_close_but(&slave, 1);
	for (int i = 0; i < 3; i++)
		dup2(slave, i);
	for (;;)
		pause();
}

/* --- in process 1 --- */

struct ends {
	int log_w; /* pipe's write end or the pty's slave */
	int err_w, data_c, pid_w;
};

static int
make_pipe(int *r, int *w, struct tb_err *e)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) != 0)
		return tb_fail(e, "cannot make a pipe: %s", strerror(errno));
	*r = fd[0];
	*w = fd[1];
	return 0;
}

static int
open_pty(struct tb_child *c, struct ends *x, struct tb_err *e)
{
	struct winsize ws = { .ws_row = 24, .ws_col = 80 };
	int unlock = 0;

	c->log = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->log < 0)
		c->log = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->log < 0 || ioctl(c->log, TIOCSPTLCK, &unlock) != 0)
		return tb_fail(e, "cannot open a terminal: %s", strerror(errno));
	x->log_w = ioctl(c->log, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (x->log_w < 0)
		return tb_fail(e, "cannot open a terminal: %s", strerror(errno));
	ioctl(c->log, TIOCSWINSZ, &ws);
	return 0;
}

static int
open_ends(struct tb_child *c, struct ends *x, const struct tb_opts *o, const struct msg_start *m,
    struct tb_err *e)
{
	int r = 0;

	if (m->step < 0 && m->kind == MSG_RUN) {
		x->log_w = fcntl(o->null_fd, F_DUPFD_CLOEXEC, 3);
	} else if (c->tty) {
		r = open_pty(c, x, e);
	} else {
		r = make_pipe(&c->log, &x->log_w, e);
	}
	if (r != 0 || make_pipe(&c->err, &x->err_w, e) != 0)
		return -1;
	if ((m->kind == MSG_SAVE || m->kind == MSG_RENDER) &&
	    make_pipe(&c->data, &x->data_c, e) != 0)
		return -1;
	if (m->kind == MSG_RESTORE && make_pipe(&x->data_c, &c->data, e) != 0)
		return -1;
	if (c->log >= 0)
		tb_set_nonblock(c->log);
	tb_set_nonblock(c->err);
	if (c->data >= 0) {
		tb_set_nonblock(c->data);
		fcntl(c->data, F_SETPIPE_SZ, ARCHIVE_PIPE);
	}
	return 0;
}

static void
put_in_place(const struct tb_opts *o, const struct ends *x)
{
	dup2(o->null_fd, STDIN_FILENO);
	dup2(x->log_w, STDOUT_FILENO);
	dup2(x->log_w, STDERR_FILENO);
}

/* The terminal belongs to the step's user, as after a login; x->log_w is its slave. */
static void
own_tty(const struct tb_opts *o, const struct msg_start *m, int slave)
{
	struct tb_user u;
	struct tb_err e;

	if (tb_user_find(&u, m->user, o->passwd_file, o->group_file, &e) == 0 &&
	    fchown(slave, u.uid, (gid_t)-1) == 0)
		fchmod(slave, 0620);
}

/* Runs in the forked keeper: becomes session leader, starts the step as its sibling. */
static void __attribute__((noreturn))
tty_main(const struct tb_opts *o, const struct msg_start *m, const struct ends *x)
{
	setsid();
	ioctl(x->log_w, TIOCSCTTY, 0);
	/* CLONE_PARENT: process 1 reaps the step itself, with its rusage. */
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL); /* tcsetpgrp from the background */
		setpgid(0, 0);
		tcsetpgrp(x->log_w, getpid());
		own_tty(o, m, x->log_w);
		put_in_place(o, x);
		child_main(o, m, x->err_w, x->data_c);
	}
	tb_write_all(x->pid_w, &pid, sizeof(pid));
	if (pid < 0)
		_exit(1);
	keeper_main(x->log_w);
}

static int
fork_tty(struct tb_child *c, struct ends *x, const struct tb_opts *o, const struct msg_start *m,
    struct tb_err *e)
{
	int pid_r = -1;

	if (make_pipe(&pid_r, &x->pid_w, e) != 0)
		return -1;
	pid_t keeper = fork();
	if (keeper == 0)
		tty_main(o, m, x);
	close(x->pid_w);
	x->pid_w = -1;
	/* Blocks for a fork at most: the keeper does nothing else before it answers. */
	if (keeper < 0 || read(pid_r, &c->pid, sizeof(c->pid)) != sizeof(c->pid) || c->pid <= 0) {
		close(pid_r);
		return tb_fail(e, "cannot start a process: %s", strerror(errno));
	}
	close(pid_r);
	c->keeper = keeper;
	return 0;
}

static int
fork_plain(struct tb_child *c, struct ends *x, const struct tb_opts *o, const struct msg_start *m,
    struct tb_err *e)
{
	c->pid = fork();
	if (c->pid == 0) {
		setsid();
		put_in_place(o, x);
		child_main(o, m, x->err_w, x->data_c);
	}
	if (c->pid < 0)
		return tb_fail(e, "cannot start a process: %s", strerror(errno));
	return 0;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int
tb_child_start(
    struct tb_child *c, const struct tb_opts *o, const struct msg_start *m, struct tb_err *e)
{
	struct ends x = { -1, -1, -1, -1 };
	int r;

	*c = (struct tb_child){ .log = -1, .err = -1, .data = -1 };
	c->tty = m->tty && m->kind == MSG_RUN && m->step >= 0;
	r = open_ends(c, &x, o, m, e);
	if (r == 0)
		r = c->tty ? fork_tty(c, &x, o, m, e) : fork_plain(c, &x, o, m, e);
	close_fd(&x.log_w);
	close_fd(&x.err_w);
	close_fd(&x.data_c);
	close_fd(&x.pid_w);
	if (r != 0)
		tb_child_close(c);
	return r;
}

void
tb_child_close(struct tb_child *c)
{
	close_fd(&c->log);
	close_fd(&c->err);
	close_fd(&c->data);
}

void
tb_child_error(const struct tb_child *c, struct tb_err *e)
{
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(e->text) - 1 &&
	       (n = read(c->err, e->text + len, sizeof(e->text) - 1 - len)) > 0)
		len += (size_t)n;
	e->text[len] = '\0';
	/* The step's process wrote it: no NUL, no line end may reach the frame. */
	e->text[strcspn(e->text, "\n")] = '\0';
}

pid_t
tb_child_session(const struct tb_child *c)
{
	return c->keeper > 0 ? c->keeper : c->pid;
}

void
tb_step_cleanup(const struct tb_opts *o)
{
	DIR *d = opendir(o->run_dir);
	struct dirent *de;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL)
		if (strncmp(de->d_name, "step-", 5) == 0)
			unlinkat(dirfd(d), de->d_name, 0);
	closedir(d);
}
