#include "gateway/git_child.h"

#include "common/clock.h"
#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Configuration that outranks the repository's own. */
static const char *const config[][2] = {
	{ "safe.directory", "*" },
	{ "core.hooksPath", "/dev/null" },
	{ "core.fsmonitor", "false" },
	{ "core.packedGitLimit", "256m" },
	{ "core.bigFileThreshold", "16m" },
	{ "gc.auto", "0" },
	{ "pack.threads", "1" },
	{ "pack.windowMemory", "64m" },
	{ "pack.deltaCacheSize", "32m" },
	{ "protocol.allow", "never" },
	{ "transfer.fsckObjects", "true" },
	{ "receive.fsckObjects", "true" },
	{ "receive.maxInputSize", GW_GIT_PUSH_MAX_TEXT },
	/* A push stays one file: what it takes is counted quickly. */
	{ "receive.unpackLimit", "1" },
	/* What runs were made of: for their own tokens, which see nothing else. */
	{ "transfer.hideRefs", "refs/namespaces" },
	{ "receive.autogc", "false" },
	{ "receive.denyDeletes", "false" },
	{ "receive.denyNonFastForwards", "false" },
	{ "receive.denyCurrentBranch", "ignore" },
	{ "receive.denyDeleteCurrent", "ignore" },
	{ "receive.advertisePushOptions", "false" },
	{ "uploadpack.allowAnySHA1InWant", "true" },
};
#define NCONFIG ARRAY_LEN(config)
#define NEXTRA 2 /* of one client's access */
#define NFIXED 10

struct environment {
	char *list[NFIXED + 2 * (NCONFIG + NEXTRA) + 2];
	size_t n, nconfig;
};

static void
env_add(struct environment *e, const char *name, const char *value)
{
	MUST(e->n + 1 < ARRAY_LEN(e->list));
	e->list[e->n++] = xasprintf("%s=%s", name, value);
}

/* Later ones win. */
static void
env_add_config(struct environment *e, const char *key, const char *value)
{
	char name[40];

	snprintf(name, sizeof(name), "GIT_CONFIG_KEY_%zu", e->nconfig);
	env_add(e, name, key);
	snprintf(name, sizeof(name), "GIT_CONFIG_VALUE_%zu", e->nconfig++);
	env_add(e, name, value);
}

static void
env_init(struct environment *e, const struct gw_git_access *access)
{
	char number[24];

	*e = (struct environment){ 0 };
	env_add(e, "PATH", "/usr/local/bin:/usr/bin:/bin");
	env_add(e, "HOME", "/nonexistent");
	env_add(e, "LC_ALL", "C");
	env_add(e, "GIT_CONFIG_NOSYSTEM", "1");
	env_add(e, "GIT_CONFIG_GLOBAL", "/dev/null");
	env_add(e, "GIT_TERMINAL_PROMPT", "0");
	env_add(e, "GIT_NO_REPLACE_OBJECTS", "1");
	for (size_t i = 0; i < NCONFIG; i++)
		env_add_config(e, config[i][0], config[i][1]);
	if (access && access->protocol)
		env_add(e, "GIT_PROTOCOL", access->protocol);
	if (access && access->space) {
		env_add(e, "GIT_NAMESPACE", access->space);
		env_add_config(e, "uploadpack.allowAnySHA1InWant", "false");
	}
	if (access && access->input_max) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)access->input_max);
		env_add_config(e, "receive.maxInputSize", number);
	}
	snprintf(number, sizeof(number), "%zu", e->nconfig);
	env_add(e, "GIT_CONFIG_COUNT", number);
}

static void
env_fini(struct environment *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->list[i]);
}

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

static int
make_pipes(struct gw_git_child *c, struct ends *child, bool want_in, struct err **err)
{
	int p[2];

	if (want_in) {
		if (pipe2(p, O_CLOEXEC) < 0)
			return err_set_errno(err, errno, "pipe");
		child->in = p[0];
		c->in = p[1];
	} else {
		child->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (child->in < 0)
			return err_set_errno(err, errno, "open /dev/null");
	}
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_set_errno(err, errno, "pipe");
	c->out = p[0];
	child->out = p[1];
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_set_errno(err, errno, "pipe");
	c->err = p[0];
	child->err = p[1];
	return 0;
}

static void
set_nonblocking(int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int
spawn(pid_t *pid, const struct ends *child, const char *const *argv, char *const *envp)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, child->in, 0);
	posix_spawn_file_actions_adddup2(&actions, child->out, 1);
	posix_spawn_file_actions_adddup2(&actions, child->err, 2);
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
	rc = posix_spawnp(pid, "git", &actions, &attr, (char *const *)(uintptr_t)argv, envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

int
gw_git_spawn(struct gw_git_child *out, const char *const *argv, bool want_in,
    const struct gw_git_access *access, struct err **err)
{
	struct gw_git_child c = { .pid = -1, .pidfd = -1, .in = -1, .out = -1, .err = -1 };
	struct ends child = { -1, -1, -1 };
	struct environment env;
	int rc = make_pipes(&c, &child, want_in, err);

	if (rc == 0) {
		env_init(&env, access);
		rc = spawn(&c.pid, &child, argv, env.list);
		env_fini(&env);
		if (rc != 0)
			rc = err_set_errno(err, rc, "start git (is it installed?)");
	}
	if (rc == 0) {
		c.pidfd = pidfd_open(c.pid, 0);
		if (c.pidfd < 0) {
			rc = err_set_errno(err, errno, "pidfd_open");
			gw_git_kill(&c);
			(void)waitpid(c.pid, NULL, 0);
		}
	}
	close_at(&child.in);
	close_at(&child.out);
	close_at(&child.err);
	if (rc < 0) {
		gw_git_close(&c);
		return rc;
	}
	set_nonblocking(c.in);
	set_nonblocking(c.out);
	set_nonblocking(c.err);
	*out = c;
	return 0;
}

void
gw_git_kill(const struct gw_git_child *c)
{
	if (c->pid > 0)
		(void)kill(-c->pid, SIGKILL);
}

void
gw_git_close(struct gw_git_child *c)
{
	close_at(&c->in);
	close_at(&c->out);
	close_at(&c->err);
}

int
gw_git_reap(struct gw_git_child *c)
{
	int status = 0;

	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	c->pid = -1;
	close_at(&c->pidfd);
	gw_git_close(c);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Writes what fits; closes in when all is written or nobody reads any more. */
static void
feed(struct gw_git_child *c, const char **input, size_t *left)
{
	ssize_t n = *left ? write(c->in, *input, *left) : 0;

	if (n > 0) {
		*input += n;
		*left -= (size_t)n;
	}
	if (*left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_at(&c->in);
}

/* Reads what is there; false at the end. Keeps at most max bytes, drops the rest. */
static bool
drain(int fd, struct buf *out, size_t max, bool *over)
{
	char chunk[16384];
	ssize_t n = read(fd, chunk, sizeof(chunk));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return false;
	if (n > 0) {
		size_t take = (size_t)n;

		if (take > max - out->len) {
			take = max - out->len;
			*over = true;
		}
		buf_append(out, chunk, take);
	}
	return true;
}

int
gw_git_run(struct buf *out, int *status, const char *const *argv, const char *input, size_t max,
    int64_t timeout_ms, struct err **err)
{
	auto_buf said = BUF_INIT;
	struct gw_git_child c;
	size_t left = input ? strlen(input) : 0;
	int64_t deadline = clock_mono_ms() + timeout_ms;
	bool over = false, ignored = false, late = false;
	int rc = gw_git_spawn(&c, argv, input != NULL, NULL, err);

	if (rc < 0)
		return rc;
	while (c.out >= 0 && !over && !late) {
		struct pollfd p[3] = { { c.out, POLLIN, 0 }, { c.err, POLLIN, 0 },
			{ c.in, POLLOUT, 0 } };
		int64_t left_ms = deadline - clock_mono_ms();

		late = left_ms <= 0;
		if (late || poll(p, 3, (int)left_ms) <= 0)
			continue;
		if (p[0].revents && !drain(c.out, out, max, &over))
			close_at(&c.out);
		if (p[1].revents && !drain(c.err, &said, GW_GIT_STDERR_MAX, &ignored))
			close_at(&c.err);
		if (p[2].revents)
			feed(&c, &input, &left);
	}
	if (over || late)
		gw_git_kill(&c);
	*status = gw_git_reap(&c);
	if (late)
		return err_set(err, ERR_UNAVAILABLE, "git %s did not end within %lld s", argv[1],
		    (long long)(timeout_ms / 1000));
	if (over)
		return err_set(err, ERR_INVALID, "git %s: more than %zu bytes", argv[1], max);
	return 0;
}
