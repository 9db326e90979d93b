#include "gateway/git_child.h"

#include "common/clock.h"
#include "common/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
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
	/* What runs were made of last: what changed since is for us to say. */
	{ "transfer.hideRefs", "refs/millrace" },
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

int
gw_git_spawn(struct child *out, const char *const *argv, bool want_in,
    const struct gw_git_access *access, struct err **err)
{
	struct environment env;
	int rc;

	env_init(&env, access);
	rc = child_spawn(out,
	    &(struct child_options){
	        .program = "git", .argv = argv, .envp = env.list, .in = want_in, .err = true },
	    err);
	env_fini(&env);
	return rc;
}

static void
close_at(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Writes what fits; closes in when all is written or nobody reads any more. */
static void
feed(struct child *c, const char **input, size_t *left)
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
	struct child c;
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
		child_kill(&c);
	*status = child_reap(&c);
	if (late)
		return err_set(err, ERR_UNAVAILABLE, "git %s did not end within %lld s", argv[1],
		    (long long)(timeout_ms / 1000));
	if (over)
		return err_set(err, ERR_INVALID, "git %s: more than %zu bytes", argv[1], max);
	return 0;
}
