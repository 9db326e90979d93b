/* Direct runs whose definition is a program: context, imports from the commit and nowhere else, and
 * programs without an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/mem.h"
#include "evaluate/evaluate.h"
#include "gateway/dump.h"
#include "gateway/gateway.h"
#include "tests/lib/gw_repo.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* The run is named by its context, its tasks come from files that the commit has. */
#define PROGRAM                                                                                    \
	"local tasks = import \"../ci/tasks.libsonnet\";\n"                                        \
	"function(ctx) { runs: [{ name: std.join(\"|\", [k + \"=\" + ctx[k] for k in "             \
	"std.objectFields(ctx) if k != \"commit_sha\"]), tasks: tasks(ctx) }] }\n"
#define TASKS                                                                                      \
	"function(ctx) [{ name: std.trim(\" t \"), runtime: { containers: [{ image: \"b\" }] }, "  \
	"steps: [{ run: importstr \"build.sh\" }, { run: \"echo \" + ctx.commit_sha }] }]\n"

static void
commit_program(struct gwp *f, const char *more)
{
	auto_free char *s = xasprintf(
	    "rm -rf w && git init -q -b master w && cd w && mkdir .agola ci && cat >.agola/"
	    "config.jsonnet <<'EOF'\n" PROGRAM "EOF\ncat >ci/tasks.libsonnet <<'EOF'\n" TASKS
	    "EOF\nprintf 'make std trim' >ci/build.sh && %s && git add -A && git commit -qm m && "
	    "git rev-parse HEAD | tr -d '\\n' >../sha",
	    more);

	gwp_must(f, s);
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
}

static void
jsonnet_context(void **state)
{
	struct gwp *f = *state;
	static const struct {
		const char *field, *value, *name;
	} cases[] = {
		{ "branch", "feature/x",
		    "branch=feature/x|pull_request_id=|ref=refs/heads/feature/"
		    "x|ref_type=branch|tag="
		    "" },
		{ "tag", "v1", "branch=|pull_request_id=|ref=refs/tags/v1|ref_type=tag|tag=v1" },
		{ "ref", "refs/pull/3/head",
		    "branch=|pull_request_id=3|ref=refs/pull/3/head|ref_type=pull_request|tag=" },
	};
	auto_free char *sha = NULL;
	auto_free char *command = NULL;

	gwp_make_bob(f);
	commit_program(f, "true");
	sha = gwp_read_whole(f, "sha");
	command = xasprintf("echo %s", sha);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *body = gwp_createrun_body(f, cases[i].field, cases[i].value, "m");
		const Millrace__RunSpec *run;

		gwp_expect(f, "POST", "/user/createrun", f->token, body, 201, NULL);
		assert_int_equal(f->rs.create->n_runs, 1);
		run = f->rs.create->runs[0];
		if (run->n_setup_errors)
			fail_msg("%s", run->setup_errors[0]);
		assert_string_equal(run->name, cases[i].name);
		assert_string_equal(run->tasks[0]->name, "t");
		assert_string_equal(run->tasks[0]->steps[0]->command, "make std trim");
		assert_string_equal(run->tasks[0]->steps[1]->command, command);
	}
}

/* Links are not followed, wherever they lead; what the commit does not have is not there. */
static void
jsonnet_links(void **state)
{
	struct gwp *f = *state;
	static const struct {
		const char *change, *error;
	} cases[] = {
		{ "rm ci/tasks.libsonnet && ln -s /etc/passwd ci/tasks.libsonnet",
		    "ci/tasks.libsonnet\": ../ci/tasks.libsonnet: it is a symbolic link" },
		{ "mv ci ci2 && ln -s ci2 ci", "ci is a symbolic link" },
		{ "rm ci/tasks.libsonnet && mkdir ci/tasks.libsonnet && echo 1 "
		  ">ci/tasks.libsonnet/x",
		    "it is no file" },
		{ "rm ci/tasks.libsonnet", "the commit has no such file" },
		{ "head -c 1048577 /dev/zero >ci/tasks.libsonnet", "it has 1048577 bytes" },
	};

	gwp_make_bob(f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *body = NULL;
		const char *said;

		commit_program(f, cases[i].change);
		body = gwp_createrun_body(f, "branch", "master", "m");
		gwp_expect(f, "POST", "/user/createrun", f->token, body, 201, NULL);
		assert_string_equal(f->rs.create->runs[0]->name, "Setup Error");
		said = f->rs.create->runs[0]->setup_errors[0];
		if (!strstr(said, cases[i].error) ||
		    strncmp(said, ".agola/config.jsonnet:1:15: ", 28) != 0)
			fail_msg("%s: %s", cases[i].change, said);
	}
}

/* Programs that never end hold nobody else up, and end. */
static void
jsonnet_without_end(void **state)
{
	struct gwp *f = *state;
	auto_free char *body = NULL;
	auto_free char *other = NULL;
	auto_free char *dump = NULL;
	int fds[GW_EVAL_THREADS];
	unsigned calls;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.jsonnet",
	    "local f(n) = if n < 0 then 0 else f(n + 1) tailstrict; f(1)");
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/endless");
	body = gwp_createrun_body(f, "branch", "endless", "m");
	calls = f->rs.calls;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = gwp_open(f, "POST", "/api/v1alpha/user/createrun", f->token, body, NULL);
	/* All evaluators are busy: a push and a run of another definition go on. */
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	other = gwp_createrun_body(f, "branch", "master", "m");
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, NULL);
	gwp_expect(f, "POST", "/user/createrun", f->token, other, 201, NULL);
	assert_int_equal(f->rs.calls, calls + 1);
	assert_string_equal(f->rs.create->runs[0]->name, "one");
	dump = gw_dump(f->gw);
	assert_non_null(strstr(dump, "\"evaluate\":{\"pending\":2,\"max\":50}"));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		auto_buf raw = BUF_INIT;

		gwp_read_until(f, fds[i], &raw, NULL);
		close(fds[i]);
		assert_non_null(strstr(buf_str(&raw), "HTTP/1.1 201 "));
	}
	assert_int_equal(f->rs.calls, calls + 1 + ARRAY_LEN(fds));
	assert_string_equal(f->rs.create->runs[0]->name, "Setup Error");
	assert_non_null(strstr(f->rs.create->runs[0]->setup_errors[0], "does it loop?"));
}

/* A gateway that stops does not wait for them. */
static void
jsonnet_at_the_end(void **state)
{
	struct gwp *f = *state;
	auto_free char *body = NULL;
	int64_t start;
	int fds[2 * GW_EVAL_THREADS + 1];

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.jsonnet",
	    "local f(n) = if n < 0 then 0 else f(n + 1) tailstrict; f(1)");
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/endless");
	body = gwp_createrun_body(f, "branch", "endless", "m");
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = gwp_open(f, "POST", "/api/v1alpha/user/createrun", f->token, body, NULL);
	/* Answered in order: all that came before is under way. */
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, NULL);
	start = clock_mono_ms();
	gw_stop(f->gw);
	f->gw = NULL;
	assert_true(clock_mono_ms() - start < 4000);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

int
main(int argc, char **argv)
{
	if (eval_is_child(argc, argv))
		return eval_child();
#define T(f) cmocka_unit_test_setup_teardown(f, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(jsonnet_context),
		T(jsonnet_links),
		T(jsonnet_without_end),
		T(jsonnet_at_the_end),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
