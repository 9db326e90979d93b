#include "common/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void
close_at(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The child's ends. */
struct ends {
	int in, out, err;
};

/* A pipe whose end `ours` (0 reads, 1 writes) is kept, or /dev/null when it is not wanted. */
static int
make_end(int *kept, int *given, int ours, bool want, struct err **err)
{
	int p[2];

	if (!want) {
		*given = open("/dev/null", O_RDWR | O_CLOEXEC);
		return *given < 0 ? err_set_errno(err, errno, "open /dev/null") : 0;
	}
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_set_errno(err, errno, "pipe");
	*kept = p[ours];
	*given = p[1 - ours];
	return 0;
}

static int
make_pipes(struct child *c, struct ends *ends, const struct child_options *opt, struct err **err)
{
	int rc = make_end(&c->in, &ends->in, 1, opt->in, err);

	if (rc == 0)
		rc = make_end(&c->out, &ends->out, 0, true, err);
	if (rc == 0)
		rc = make_end(&c->err, &ends->err, 0, opt->err, err);
	return rc;
}

static void
set_nonblocking(int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int
spawn(pid_t *pid, const struct ends *ends, const struct child_options *opt)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends->in, 0);
	posix_spawn_file_actions_adddup2(&actions, ends->out, 1);
	posix_spawn_file_actions_adddup2(&actions, ends->err, 2);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(
	    &attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	/* posix_spawn() does not write to the strings, its type is older than const. */
	rc = posix_spawnp(
	    pid, opt->program, &actions, &attr, (char *const *)(uintptr_t)opt->argv, opt->envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

int
child_spawn(struct child *out, const struct child_options *opt, struct err **err)
{
	struct child c = { .pid = -1, .pidfd = -1, .in = -1, .out = -1, .err = -1 };
	struct ends ends = { -1, -1, -1 };
	int rc = make_pipes(&c, &ends, opt, err);

	if (rc == 0) {
		rc = spawn(&c.pid, &ends, opt);
		if (rc != 0)
			rc = err_set_errno(err, rc, "start %s (is it installed?)", opt->program);
	}
	if (rc == 0) {
		c.pidfd = pidfd_open(c.pid, 0);
		if (c.pidfd < 0) {
			rc = err_set_errno(err, errno, "pidfd_open");
			child_kill(&c);
			(void)waitpid(c.pid, NULL, 0);
		}
	}
	close_at(&ends.in);
	close_at(&ends.out);
	close_at(&ends.err);
	if (rc < 0) {
		child_close(&c);
		return rc;
	}
	set_nonblocking(c.in);
	set_nonblocking(c.out);
	set_nonblocking(c.err);
	*out = c;
	return 0;
}

void
child_kill(const struct child *c)
{
	if (c->pid > 0)
		(void)kill(-c->pid, SIGKILL);
}

void
child_close(struct child *c)
{
	close_at(&c->in);
	close_at(&c->out);
	close_at(&c->err);
}

int
child_reap(struct child *c)
{
	int status = 0;

	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	c->pid = -1;
	close_at(&c->pidfd);
	child_close(c);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
