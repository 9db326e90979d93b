#include "tests/lib/gw_repo.h"

#include "common/clock.h"
#include "common/config.h"
#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int
gwp_script(struct gwp *f, const char *text)
{
	auto_free char *full = xasprintf("cd %s && exec >>log 2>&1 && export HOME=$PWD "
	                                 "GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 "
	                                 "GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e "
	                                 "GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e "
	                                 "URL=http://127.0.0.1:%d/repos/%s && %s",
	    f->dir, f->port, f->user_id, text);
	char sh[] = "sh", c[] = "-c";
	char *argv[] = { sh, c, full, NULL };
	int64_t deadline = clock_mono_ms() + 3 * GWP_WAIT_MS;
	int status = -1;
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_mono_ms() > deadline) {
			kill(pid, SIGKILL);
			fail_msg("script hangs: %s", text);
		}
		loop_run_once(f->loop, 5);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

char *
gwp_read_whole(const struct gwp *f, const char *name)
{
	auto_free char *path = xasprintf("%s/%s", f->dir, name);
	auto_err err = NULL;
	char *out = NULL;
	size_t n;

	if (config_read_file(&out, &n, path, 1 << 20, &err) < 0)
		fail_msg("%s", err_msg(err));
	return out;
}

void
gwp_must(struct gwp *f, const char *text)
{
	if (gwp_script(f, text) != 0) {
		auto_free char *log = gwp_read_whole(f, "log");

		fail_msg("script failed: %s\n%s", text, log);
	}
}

void
gwp_commit_definition(struct gwp *f, const char *file, const char *text)
{
	auto_free char *s =
	    xasprintf("rm -rf w && git init -q -b master w && cd w && mkdir .agola && "
	              "printf '%s' >%s && echo x >x && git add -A && "
	              "git commit -qm m && git rev-parse HEAD | tr -d '\\n' >../sha",
	        text, file);

	gwp_must(f, s);
}

char *
gwp_createrun_body(struct gwp *f, const char *field, const char *value, const char *message)
{
	auto_free char *sha = gwp_read_whole(f, "sha");
	auto_free char *path = xasprintf("%s/%s", f->user_id, GWP_REPO);
	auto_json *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:[s], s:{s:s}}", "repo_uuid", GWP_REPO,
	    "repo_path", path, "commit_sha", sha, "message", message, field, value,
	    "pull_request_ref_regexes", "refs/pull/(\\d+)/head", "variables", "dockerauth",
	    "c2VjcmV0");

	return json_print(j);
}
