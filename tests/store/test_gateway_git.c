/*
 * Direct runs: what is pushed, what becomes of it, and who may not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/http_server.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/rpc.h"
#include "evaluate/evaluate.h"
#include "gateway.pb-c.h"
#include "gateway/gateway.h"
#include "tests/lib/gw_repo.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
direct_run(void **state)
{
	struct gwp *f = *state;
	auto_free char *body = NULL;
	auto_json *j = NULL;
	const Millrace__RunSpec *spec;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	body = gwp_createrun_body(f, "branch", "master", "agola direct run");
	j = gwp_json(f, "POST", "/user/createrun", f->token, body, 201);
	assert_int_equal(json_array_size(json_object_get(j, "runs")), 1);
	assert_int_equal(json_int(json_array_get(json_object_get(j, "runs"), 0), "number", 0), 1);
	assert_string_equal(
	    json_text(json_array_get(json_object_get(j, "runs"), 0), "name"), "one");
	assert_int_equal(json_array_size(json_object_get(j, "warnings")), 1); /* two */
	assert_int_equal(f->rs.create->n_runs, 1);
	spec = f->rs.create->runs[0];
	assert_int_equal(spec->n_setup_errors, 0);
	assert_int_equal(spec->tasks[0]->n_steps, 2);
	assert_int_equal(f->rs.create->n_variables, 3); /* and the run's URL and token */
	assert_string_equal(f->rs.create->variables[0]->value, "c2VjcmV0");
	/* The tree can be cloned and fetched again by hash, as the clone step does. */
	gwp_must(f,
	    "git clone -q $URL/" GWP_REPO ".git c && cd c && git fetch -q origin refs/heads/master "
	    "&& git checkout -q $(cat ../sha) && cmp x ../w/x");
	gwp_must(f,
	    "git -c protocol.version=0 clone -q --depth 1 $URL/" GWP_REPO ".git d && cmp d/x w/x");
}

static void
direct_run_kinds(void **state)
{
	struct gwp *f = *state;
	static const struct {
		const char *field, *value, *ref, *group;
		int nruns;
	} cases[] = {
		{ "tag", "v1", "refs/tags/v1", "tag/v1", 2 },
		{ "ref", "refs/pull/1/head", "refs/pull/1/head", "pr/1", 1 },
		{ "branch", "feature/x", "refs/heads/feature/x", "branch/feature%2Fx", 1 },
	};

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yaml", GWP_DEFINITION);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *push =
		    xasprintf("cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:%s", cases[i].ref);
		auto_free char *body =
		    gwp_createrun_body(f, cases[i].field, cases[i].value, "message");
		auto_free char *group = xasprintf("/user/%s/%s", f->user_id, cases[i].group);

		gwp_must(f, push);
		gwp_expect(f, "POST", "/user/createrun", f->token, body, 201, NULL);
		assert_int_equal(f->rs.create->n_runs, cases[i].nruns);
		assert_string_equal(f->rs.create->runs[0]->group, group);
	}
}

static void
broken_definitions(void **state)
{
	struct gwp *f = *state;
	static const struct {
		const char *file, *text, *error;
	} cases[] = {
		{ ".agola/config.yml", "runs:\\n- nam: x\\n", ".agola/config.yml:2:" },
		{ ".agola/config.jsonnet", "{}", ".agola/config.jsonnet (output):1:1: " },
		{ ".agola/config.jsonnet", "{\\n  runs: error \"no\" }",
		    ".agola/config.jsonnet:2:9: Jsonnet: no" },
		{ ".agola/config.jsonnet", "import \"/etc/passwd\"",
		    ".agola/config.jsonnet:1:1: Jsonnet: couldn" },
		{ ".agola/config.star", "def main(ctx): pass", "Starlark is not supported" },
		{ ".agola/other.yml", "runs: []", "config.yml" },
	};

	gwp_make_bob(f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *body = NULL;

		gwp_commit_definition(f, cases[i].file, cases[i].text);
		gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
		body = gwp_createrun_body(f, "branch", "master", "m");
		gwp_expect(f, "POST", "/user/createrun", f->token, body, 201, NULL);
		assert_int_equal(f->rs.create->n_runs, 1);
		assert_string_equal(f->rs.create->runs[0]->name, "Setup Error");
		assert_true(f->rs.create->runs[0]->n_setup_errors >= 1);
		assert_non_null(strstr(f->rs.create->runs[0]->setup_errors[0], cases[i].error));
	}
}

static void
refused_by_the_runservice(void **state)
{
	struct gwp *f = *state;
	auto_free char *body = NULL;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	body = gwp_createrun_body(f, "branch", "master", "m");
	f->rs.code = ERR_INVALID;
	gwp_expect(f, "POST", "/user/createrun", f->token, body, 400, "[]");
	/* The second try was a visible run with the reason. */
	assert_int_equal(f->rs.calls, 2);
	assert_string_equal(f->rs.create->runs[0]->name, "Setup Error");
	assert_non_null(strstr(f->rs.create->runs[0]->setup_errors[0], "as the test wants"));
}

static void
bad_createruns(void **state)
{
	struct gwp *f = *state;
	auto_json *j = NULL;
	auto_free char *body = NULL;
	auto_free char *other = NULL;
	auto_free char *missing = NULL;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	body = gwp_createrun_body(f, "branch", "master", "m");
	/* Nothing was pushed. */
	gwp_expect(f, "POST", "/user/createrun", f->token, body, 400, "[]");
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	assert_int_equal(json_parse(&j, body, strlen(body), NULL), 0);
	json_object_set_new(
	    j, "commit_sha", json_string("0123456789012345678901234567890123456789"));
	missing = json_print(j);
	gwp_expect(f, "POST", "/user/createrun", f->token, missing, 400, "[]");
	json_object_set_new(
	    j, "repo_path", json_string("11111111-2222-4333-8444-555555555555/" GWP_REPO));
	other = json_print(j);
	gwp_expect(f, "POST", "/user/createrun", f->token, other, 401, "[]");
	assert_int_equal(f->rs.calls, 0);
}

static void
git_doors(void **state)
{
	struct gwp *f = *state;
	auto_free char *base = NULL;
	auto_free char *path = NULL;

	gwp_make_bob(f);
	base = xasprintf("!/repos/%s/" GWP_REPO ".git", f->user_id);
	path = xasprintf("%s/info/refs?service=git-shell", base);
	gwp_expect(f, "GET", path, NULL, NULL, 400, NULL);
	for (const char *const *p =
	         (const char *const[]){ "!/repos/bob/" GWP_REPO
	                                ".git/info/refs?service=git-receive-pack",
	             "!/repos/" GWP_REPO "/" GWP_REPO ".git/info/refs?service=git-receive-pack",
	             "!/repos/%2e%2e/" GWP_REPO ".git/info/refs?service=git-receive-pack", NULL };
	     *p; p++)
		gwp_expect(f, "GET", *p, NULL, NULL, 404, NULL);
	for (const char *const *p =
	         (const char *const[]){ "x.git", "..%2fx.git", GWP_REPO, "%2e%2e.git", NULL };
	     *p; p++) {
		auto_free char *bad =
		    xasprintf("!/repos/%s/%s/info/refs?service=git-receive-pack", f->user_id, *p);
		struct gwp_answer a = gwp_call(f, "GET", bad, NULL, NULL);

		assert_in_range(a.status, 400, 404);
		gwp_answer_fini(&a);
	}
	free(path);
	path = xasprintf("%s/git-upload-pack", base);
	gwp_expect(f, "POST", path, NULL, "0000", 404, NULL); /* does not exist yet */
	free(path);
	path = xasprintf("%s/info/refs", base);
	gwp_expect(f, "GET", path, NULL, NULL, 400, NULL);
	free(path);
	/* Nothing of all that made a directory outside data/repos/<user>. */
	assert_int_equal(gwp_script(f, "test ! -e data/repos || test -z \"$(ls data/repos)\""), 0);
	path = xasprintf("%s/info/refs?service=git-receive-pack", base);
	gwp_expect(f, "GET", path, NULL, NULL, 200, NULL);
	free(path);
	path = xasprintf("%s/raw/master/nothing", base);
	gwp_expect(f, "GET", path, NULL, NULL, 404, NULL);
	free(path);
	path = xasprintf("%s/git-receive-pack", base);
	gwp_expect(f, "POST", path, NULL, "00zzgarbage", 500, NULL);
}

static void
raw_files(void **state)
{
	struct gwp *f = *state;
	auto_free char *path = NULL;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", "runs: []");
	gwp_must(f, "cd w && git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	path = xasprintf("!/repos/%s/" GWP_REPO ".git/raw/master/.agola/config.yml", f->user_id);
	gwp_expect(f, "GET", path, NULL, NULL, 200, "runs: []");
	free(path);
	path = xasprintf("!/repos/%s/" GWP_REPO ".git/raw/--help/x", f->user_id);
	gwp_expect(f, "GET", path, NULL, NULL, 404, NULL);
}

/* Broken objects are refused, and forced pushes, many files and compressed requests work. */
static void
pushes(void **state)
{
	struct gwp *f = *state;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", "runs: []");
	gwp_must(f, "cd w && git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	/* A large push goes in chunks, a fetch with many "have" lines is compressed. */
	gwp_must(f,
	    "cd w && head -c 3000000 /dev/urandom >big && git add big && git commit -qm big && "
	    "git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	gwp_must(f, "git clone -q $URL/" GWP_REPO ".git c && cmp w/big c/big && cd c && "
	            "for i in 1 2 3 4 5 6; do for j in 1 2 3 4 5 6 7 8 9 0; do git commit -q "
	            "--allow-empty -m $i$j || exit 1; done; done; "
	            "cd ../w && echo y >y && git add y && git commit -qm y && "
	            "git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master && cd ../c && "
	            "git fetch -q && git -c protocol.version=0 fetch -q && "
	            "git cat-file -e origin/master:y");
	gwp_must(f, "cd w && git commit -q --amend -m other && "
	            "git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	/* A tree with an entry named .git. */
	gwp_must(f, "cd w && b=$(git hash-object -w x) && "
	            "t=$(printf '100644 blob %s\\t.git\\n' $b | git mktree) && "
	            "c=$(git commit-tree -m evil $t) && "
	            "! git push -q -f $URL/" GWP_REPO ".git $c:refs/heads/evil");
}

/* What the tasks of the n-th run of the last create get as an environment variable, as the
 * runservice will resolve it. */
static const char *
task_variable(struct gwp *f, size_t run, const char *name)
{
	const Millrace__RunCreateRequest *q = f->rs.create;
	const Millrace__TaskSpec *t = q->runs[run]->tasks[0];

	for (size_t i = 0; i < t->n_environment; i++) {
		if (strcmp(t->environment[i]->name, name) != 0)
			continue;
		assert_null(t->environment[i]->value->literal);
		for (size_t k = 0; k < q->n_variables; k++) {
			if (strcmp(q->variables[k]->name, t->environment[i]->value->variable) == 0)
				return q->variables[k]->value;
		}
	}
	fail_msg("no %s", name);
	return NULL;
}

/* The clone URL of a run, at this process's port; malloc'ed. */
static char *
clone_url(struct gwp *f, size_t run)
{
	const char *url = task_variable(f, run, "AGOLA_REPOSITORY_URL");
	static const char public[] = "http://ci.example.org:8000/";

	assert_int_equal(strncmp(url, public, strlen(public)), 0);
	assert_null(strstr(url, GWP_REPO));
	/* The token is masked by itself too. */
	assert_non_null(strstr(url, task_variable(f, run, "MILLRACE_REPOSITORY_TOKEN")));
	return xasprintf("http://127.0.0.1:%d/%s", f->port, url + strlen(public));
}

static void
push_and_run(struct gwp *f, const char *branch)
{
	auto_free char *push =
	    xasprintf("cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/%s", branch);
	auto_free char *body = gwp_createrun_body(f, "branch", branch, "m");

	gwp_must(f, push);
	gwp_expect(f, "POST", "/user/createrun", f->token, body, 201, NULL);
}

/* A run's tasks clone with a token that opens that run's commit and nothing else. */
static void
run_tokens(void **state)
{
	struct gwp *f = *state;
	auto_free char *url = NULL, *cmd = NULL, *first = NULL, *second = NULL;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	push_and_run(f, "master");
	/* The repository's id is nowhere in what the runservice stores in the clear or shows. */
	for (size_t i = 0; i < f->rs.create->runs[0]->n_static_environment; i++)
		assert_null(strstr(f->rs.create->runs[0]->static_environment[i]->value, GWP_REPO));
	for (size_t i = 0; i < f->rs.create->n_variables; i++)
		assert_null(strstr(f->rs.create->variables[i]->value, GWP_REPO));
	url = clone_url(f, 0);
	first = gwp_read_whole(f, "sha");
	/* As the clone step does. */
	cmd = xasprintf("rm -rf c d && T=%s && git clone -q $T c && cd c && "
	                "git fetch -q origin refs/heads/master && git checkout -q %s && "
	                "cmp x ../w/x && cd .. && git clone -q --depth 1 $T d && cmp d/x w/x",
	    url, first);
	gwp_must(f, cmd);
	/* The branch goes elsewhere; the run keeps its commit, and sees nothing of the other. */
	gwp_must(f, "cd w && echo secret >s && git add s && git commit -qm s && "
	            "git rev-parse HEAD | tr -d '\\n' >../sha && git push -q -f $URL/" GWP_REPO
	            ".git HEAD:refs/heads/master HEAD:refs/heads/hidden");
	second = gwp_read_whole(f, "sha");
	free(cmd);
	cmd = xasprintf(
	    "rm -rf c && T=%s && git clone -q $T c && cd c && test $(git rev-parse HEAD) = %s && "
	    "test $(git ls-remote $T | wc -l) = 2 && "
	    "for v in 0 1 2; do for r in %s refs/heads/hidden refs/namespaces/x; do "
	    "if git -c protocol.version=$v fetch -q $T $r; then exit 1; fi; done; done && "
	    "! git cat-file -e %s && ! git push -q $T HEAD:refs/heads/mine && "
	    "! git push -q $T HEAD:refs/heads/master",
	    url, first, second, second);
	gwp_must(f, cmd);
	free(cmd);
	/* Who knows the id does not see what runs were made of, and cannot change it. */
	gwp_must(f, "test -z \"$(git ls-remote $URL/" GWP_REPO ".git | grep namespaces)\"");
	gwp_must(f,
	    "cd w && S=$(ls ../data/repos/*/" GWP_REPO ".git/refs/namespaces | head -n 1) && "
	    "! git push -q -f $URL/" GWP_REPO ".git HEAD:refs/namespaces/$S/refs/heads/master");
	/* Each run has its own. */
	push_and_run(f, "master");
	cmd = clone_url(f, 0);
	assert_string_not_equal(cmd, url);
}

/* What the last run was made of is kept beside the user's refs, where no push reaches it. */
static void
what_changed_is_not_the_pushers_to_say(void **state)
{
	struct gwp *f = *state;
	auto_free char *body = NULL;
	auto_json *j = NULL;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml",
	    "runs:\\n- name: one\\n  when: {paths: src/**}\\n  tasks:\\n  - name: t\\n    runtime: "
	    "{containers: [{image: b}]}\\n    steps: [{run: make}]\\n");
	push_and_run(f, "master");
	gwp_must(f, "cd w && L=$(cd ../data/repos/*/" GWP_REPO
	            ".git && find refs/millrace -type f) && test -n \"$L\" && "
	            "test -z \"$(git ls-remote $URL/" GWP_REPO ".git | grep millrace)\" && "
	            "echo y >y && git add y && git commit -qm y && "
	            "git rev-parse HEAD | tr -d '\\n' >../sha && "
	            "! git push -q -f $URL/" GWP_REPO ".git HEAD:$L && "
	            "! git push -q $URL/" GWP_REPO ".git :$L && "
	            "git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	body = gwp_createrun_body(f, "branch", "master", "m");
	j = gwp_json(f, "POST", "/user/createrun", f->token, body, 201);
	assert_int_equal(json_array_size(json_object_get(j, "runs")), 0);
}

static void
expect_status(struct gwp *f, const char *path, int status)
{
	struct gwp_answer a = gwp_call(f, "GET", path, NULL, NULL);

	if (a.status != status)
		fail_msg("%s: %d, not %d", path, a.status, status);
	assert_null(strstr(buf_str(&a.body), GWP_REPO));
	gwp_answer_fini(&a);
}

/* A token of another owner, a changed one, one for another use: none opens anything. */
static void
bad_tokens(void **state)
{
	struct gwp *f = *state;
	auto_free char *eve = NULL, *token = NULL, *path = NULL;

	gwp_make_bob(f);
	gwp_make_user(f, "eve", &eve, NULL);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	push_and_run(f, "master");
	token = xstrdup(task_variable(f, 0, "MILLRACE_REPOSITORY_TOKEN"));
#define REFS "/info/refs?service=git-upload-pack"
	path = xasprintf("!/repos/%s/%s.git" REFS, f->user_id, token);
	expect_status(f, path, 200);
	free(path);
	path = xasprintf("!/repos/%s/%s.git" REFS, eve, token);
	expect_status(f, path, 404);
	free(path);
	path = xasprintf("!/repos/%s/%s.git/raw/master/x", f->user_id, token);
	expect_status(f, path, 404);
	free(path);
	path = xasprintf("!/repos/%s/%s.git/info/refs?service=git-receive-pack", f->user_id, token);
	expect_status(f, path, 403);
	for (size_t i = 0; i < strlen(token); i += 31) {
		char was = token[i];

		token[i] = was == '0' ? '1' : '0';
		free(path);
		path = xasprintf("!/repos/%s/%s.git" REFS, f->user_id, token);
		expect_status(f, path, 404);
		token[i] = was;
	}
}

/* Who does not know a repository's id reads nothing, and what he makes is his own affair: it takes
 * nothing from others and is bounded. */
static void
strangers(void **state)
{
	struct gwp *f = *state;
	struct gwp_answer a;
	auto_free char *path = NULL;
	auto_free char *after = NULL;
	unsigned made = 0;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	push_and_run(f, "master");
	path = xasprintf("!/repos/%s/bbbbbbbb-bbbb-4ccc-8ddd-000000000000.git" REFS, f->user_id);
	expect_status(f, path, 404);
	assert_int_equal(gwp_script(f, "test $(ls data/repos/* | wc -l) = 1"), 0);
	for (int status = 200; status == 200; made++) {
		free(path);
		path = xasprintf("!/repos/%s/bbbbbbbb-bbbb-4ccc-8ddd-%012u.git/info/refs?service="
		                 "git-receive-pack",
		    f->user_id, made);
		a = gwp_call(f, "GET", path, NULL, NULL);
		status = a.status;
		if (status != 200) {
			assert_int_equal(status, 429);
			after = gwp_header(&a, "Retry-After");
			assert_non_null(after);
		}
		gwp_answer_fini(&a);
	}
	assert_in_range(made, 2, GW_REPO_NEW_BURST + 2);
	/* What is there goes on. */
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/more");
}

static void
quotas(void **state)
{
	struct gwp *f = *state;

	gwp_make_bob(f);
	f->cfg.repository_quota = 3 << 20;
	gwp_restart(f);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	push_and_run(f, "master");
	/* One push that is more than what is left. */
	gwp_must(f,
	    "cd w && head -c 4000000 /dev/urandom >big && git add big && git commit -qm big && "
	    "! git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	gwp_must(f, "cd w && git reset -q --hard HEAD^ && head -c 2000000 /dev/urandom >big && "
	            "git add big && git commit -qm big && "
	            "git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	/* Several together. */
	gwp_must(f,
	    "cd w && git commit -q --amend -m other && head -c 2000000 /dev/urandom >big2 && "
	    "git add big2 && git commit -qm big2 && "
	    "! git push -q $URL/" GWP_REPO ".git HEAD:refs/heads/more");
	/* What no run was made from yet counts by itself. */
	gwp_must(f,
	    "cd w && git push -q $URL/bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee.git HEAD^:refs/heads/x");
	f->cfg.repository_quota = 1 << 20;
	gwp_restart(f);
	gwp_must(f, "cd w && ! git push -q $URL/" GWP_REPO ".git :refs/heads/nothing && "
	            "git ls-remote $URL/" GWP_REPO ".git | grep -q refs/heads/master");
}

/* Two gateways with one repository_dir and the same keys: what one received, the other serves and
 * runs; a token of one opens at the other. */
static void
any_gateway(void **state)
{
	struct gwp *f = *state;
	struct gw_config cfg;
	auto_free char *data = NULL, *url = NULL, *body = NULL, *cmd = NULL;
	auto_err err = NULL;
	void *second = NULL, *first;
	int port;

	gwp_make_bob(f);
	gwp_must(f, "head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \\n' >k && chmod 600 k");
	f->cfg.cookie_key_file = f->cfg.secret_key_file = xasprintf("%s/k", f->dir);
	gwp_restart(f);
	data = xasprintf("%s/data2", f->dir);
	cfg = f->cfg;
	cfg.data_dir = data;
	if (gw_start(&second, f->loop, &cfg, &err) < 0)
		fail_msg("%s", err_msg(err));
	port = f->port;
	first = f->gw;
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	gwp_must(f, "cd w && git push -q -f $URL/" GWP_REPO ".git HEAD:refs/heads/master");
	/* The run is asked of the other, and its tasks clone from the first. */
	f->gw = second;
	f->port = http_server_port(((struct gateway *)second)->http);
	body = gwp_createrun_body(f, "branch", "master", "m");
	gwp_expect(f, "POST", "/user/createrun", f->token, body, 201, NULL);
	gwp_must(f, "git clone -q $URL/" GWP_REPO ".git c2 && cmp c2/x w/x");
	f->gw = first;
	f->port = port;
	url = clone_url(f, 0);
	cmd = xasprintf("git clone -q %s c1 && cmp c1/x w/x", url);
	gwp_must(f, cmd);
	gw_stop(second);
	free(f->cfg.secret_key_file);
	f->cfg.cookie_key_file = f->cfg.secret_key_file = NULL;
}

/* Names of variables that the server gives are nobody else's. */
static void
own_variables(void **state)
{
	struct gwp *f = *state;
	auto_free char *body = NULL, *bad = NULL;
	auto_json *j = NULL;

	gwp_make_bob(f);
	gwp_commit_definition(f, ".agola/config.yml", GWP_DEFINITION);
	push_and_run(f, "master");
	body = gwp_createrun_body(f, "branch", "master", "m");
	assert_int_equal(json_parse(&j, body, strlen(body), NULL), 0);
	json_object_set_new(j, "variables", json_pack("{s:s}", "millrace.repository.0.url", "x"));
	bad = json_print(j);
	gwp_expect(f, "POST", "/user/createrun", f->token, bad, 400, "[]");
}

int
main(int argc, char **argv)
{
	if (eval_is_child(argc, argv))
		return eval_child();
#define T(f) cmocka_unit_test_setup_teardown(f, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(direct_run),
		T(direct_run_kinds),
		T(broken_definitions),
		T(refused_by_the_runservice),
		T(bad_createruns),
		T(git_doors),
		T(raw_files),
		T(pushes),
		T(run_tokens),
		T(what_changed_is_not_the_pushers_to_say),
		T(bad_tokens),
		T(strangers),
		T(quotas),
		T(any_gateway),
		T(own_variables),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
