/*
 * A snapshot of the work tree as a commit without parents.
 *
 * It is made through a copy of the index, so neither the index nor a branch changes. The local
 * repository keeps the commit under refs/gitsave/, as other clients of this protocol do, and its
 * identity in the configuration key agola.repouuid, which they share.
 */
#include "cli.h"

#include "common/id.h"
#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 32
#define GIT_OUTPUT_MAX (1u << 20) /* of a command whose output we read; the rest is dropped */

struct git {
	const char *dir;   /* -C, NULL = here */
	const char *index; /* GIT_INDEX_FILE or NULL */
	bool identity;     /* bring an author, the user has none */
};

static void
git_child(const struct git *g, const char *const *args, int out, int errors)
{
	const char *argv[ARGS_MAX];
	size_t n = 0;

	argv[n++] = "git";
	if (g->dir) {
		argv[n++] = "-C";
		argv[n++] = g->dir;
	}
	if (g->identity) {
		argv[n++] = "-c";
		argv[n++] = "user.name=millrace";
		argv[n++] = "-c";
		argv[n++] = "user.email=millrace@localhost";
	}
	for (; *args && n < ARGS_MAX - 1; args++)
		argv[n++] = *args;
	argv[n] = NULL;
	int null = open("/dev/null", O_RDONLY);
	dup2(null, 0);
	dup2(out, 1);
	dup2(errors, 2);
	signal(SIGPIPE, SIG_DFL);
	setenv("GIT_TERMINAL_PROMPT", "0", 1);
	setenv("LC_ALL", "C", 1);
	if (g->index)
		setenv("GIT_INDEX_FILE", g->index, 1);
	execvp("git", (char *const *)(uintptr_t)argv);
	dprintf(2, "git cannot be started: %s; is it installed?", strerror(errno));
	_exit(127);
}

static void
drain(int fds[2], struct buf *bufs[2])
{
	struct pollfd p[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		for (int i = 0; i < 2; i++) {
			char part[4096];

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			ssize_t n = read(p[i].fd, part, sizeof(part));
			if (n > 0 && bufs[i]->len < GIT_OUTPUT_MAX)
				buf_append(bufs[i], part, (size_t)n);
			else if (n == 0 || (n < 0 && errno != EINTR))
				p[i].fd = -1;
		}
	}
}

/* Output without its last newline in *out (may be NULL). Exit status 1 is *no (may be NULL), any
 * other failure an error with git's own words. */
static int
git(const struct git *g, char **out, bool *no, struct err **err, const char *const *args)
{
	int o[2], e[2];
	auto_buf output = BUF_INIT;
	auto_buf errors = BUF_INIT;

	if (pipe2(o, O_CLOEXEC) < 0 || pipe2(e, O_CLOEXEC) < 0)
		return err_set_errno(err, errno, "pipe");
	pid_t pid = fork();
	if (pid < 0)
		return err_set_errno(err, errno, "fork");
	if (pid == 0)
		git_child(g, args, o[1], e[1]);
	close(o[1]);
	close(e[1]);
	drain((int[2]){ o[0], e[0] }, (struct buf *[2]){ &output, &errors });
	close(o[0]);
	close(e[0]);
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (no)
		*no = WIFEXITED(status) && WEXITSTATUS(status) == 1;
	if (status != 0 && !(no && *no)) {
		while (errors.len && errors.data[errors.len - 1] == '\n')
			errors.data[--errors.len] = '\0';
		auto_free char *said = cli_clean(buf_str(&errors));
		return err_set(err, ERR_INVALID, "git %s failed: %s", args[0],
		    *said ? said : "it gave no reason");
	}
	while (output.len && output.data[output.len - 1] == '\n')
		output.data[--output.len] = '\0';
	if (out)
		*out = xstrdup(buf_str(&output));
	return 0;
}
#define GIT(g, out, no, err, ...) git(g, out, no, err, (const char *const[]){ __VA_ARGS__, NULL })

static int
file_copy(const char *to, const char *from, struct err **err)
{
	auto_close int in = open(from, O_RDONLY | O_CLOEXEC);
	auto_close int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char part[65536];
	ssize_t n;

	if (out < 0)
		return err_set_errno(err, errno, "create %s", to);
	if (in < 0)
		return errno == ENOENT ? unlink(to) : err_set_errno(err, errno, "open %s", from);
	while ((n = read(in, part, sizeof(part))) > 0)
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(out, part + done, (size_t)(n - done));
			if (w < 0)
				return err_set_errno(err, errno, "write %s", to);
			done += w;
		}
	return n < 0 ? err_set_errno(err, errno, "read %s", from) : 0;
}

/* The repository's identity, made when there is none yet. */
static int
repo_uuid(const struct git *g, char **out, struct err **err)
{
	bool no = false;
	int rc = GIT(g, out, &no, err, "config", "--local", "--get", "agola.repouuid");

	if (rc || (!no && **out))
		return rc;
	free(*out);
	struct id id = id_new();
	*out = xstrdup(id.s);
	return GIT(g, NULL, NULL, err, "config", "--local", "agola.repouuid", id.s);
}

static int
add_all(const struct git *g, bool untracked, bool ignored, struct err **err)
{
	int rc = GIT(g, NULL, NULL, err, "add", "-u", ".");

	if (!rc && untracked)
		rc = GIT(g, NULL, NULL, err, "add", ".");
	if (!rc && ignored)
		rc = GIT(g, NULL, NULL, err, "add", "--force", ".");
	return rc;
}

static int
commit_tree(struct git *g, struct cli_snapshot *out, const char *message, struct err **err)
{
	auto_free char *tree = NULL;
	auto_err none = NULL;

	int rc = GIT(g, &tree, NULL, err, "write-tree");
	if (rc)
		return rc;
	g->identity = GIT(g, NULL, NULL, &none, "var", "GIT_COMMITTER_IDENT") != 0;
	rc = GIT(g, &out->commit, NULL, err, "commit-tree", tree, "-m", message);
	if (rc)
		return rc;
	struct id id = id_new();
	out->ref = xasprintf("refs/gitsave/gitsavebranch-%s", id.s);
	return GIT(g, NULL, NULL, err, "update-ref", out->ref, out->commit);
}

static int
save_with(struct git *g, struct cli_snapshot *out, bool untracked, bool ignored,
    const char *message, struct err **err)
{
	auto_free char *index = NULL;
	auto_err unborn = NULL;

	int rc = GIT(&(struct git){ .dir = out->top }, &index, NULL, err, "rev-parse",
	    "--path-format=absolute", "--git-path", "index");
	if (!rc)
		rc = file_copy(g->index, index, err);
	if (rc)
		return rc;
	/* A branch without commits has no tree to begin with. */
	if (GIT(g, NULL, NULL, &unborn, "rev-parse", "--verify", "--quiet", "HEAD"))
		rc = GIT(g, NULL, NULL, err, "read-tree", "--empty");
	else
		rc = GIT(g, NULL, NULL, err, "read-tree", "--reset", "HEAD");
	if (!rc)
		rc = add_all(g, untracked, ignored, err);
	return rc ? rc : commit_tree(g, out, message, err);
}

int
cli_gitsave(
    struct cli_snapshot *out, bool untracked, bool ignored, const char *message, struct err **err)
{
	struct git here = { 0 };
	auto_free char *dir = NULL;
	bool detached = false;

	*out = (struct cli_snapshot){ 0 };
	if (GIT(&here, &out->top, NULL, err, "rev-parse", "--show-toplevel"))
		return err_wrap(err, "a direct run starts in the work tree of a git repository");
	here.dir = out->top;
	int rc = GIT(&here, &dir, NULL, err, "rev-parse", "--absolute-git-dir");
	if (!rc)
		rc = GIT(&here, NULL, &detached, err, "symbolic-ref", "-q", "HEAD");
	if (!rc && detached)
		rc = err_set(err, ERR_INVALID,
		    "HEAD is detached: check out a branch first (git switch -c NAME)");
	if (!rc)
		rc = repo_uuid(&here, &out->repo_uuid, err);
	if (rc)
		return rc;
	struct id id = id_new();
	auto_free char *index = xasprintf("%s/gitsave-index-%s", dir, id.s);
	auto_free char *lock = xasprintf("%s.lock", index);
	struct git g = { .dir = out->top, .index = index };
	rc = save_with(&g, out, untracked, ignored, message, err);
	unlink(index);
	unlink(lock);
	return rc;
}

int
cli_gitsave_push(const struct cli_snapshot *s, const char *url, const char *ref, struct err **err)
{
	auto_free char *spec = xasprintf("%s:%s", s->ref, ref);

	return GIT(&(struct git){ .dir = s->top }, NULL, NULL, err, "-c",
	    "credential.helper=", "push", "--force", "--quiet", "--no-verify", url, spec);
}

void
cli_snapshot_fini(struct cli_snapshot *s)
{
	free(s->repo_uuid);
	free(s->commit);
	free(s->ref);
	free(s->top);
}
