/*
 * What is too old of the repositories goes, by a clock of the test's; what is not, or is in use,
 * stays. With the real git.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/mem.h"
#include "gateway/git_clean.h"
#include "gateway/git_repo.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OWNER "11111111-2222-4333-8444-555555555555"
#define REPO "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define SPACE "00000000000000000000000000000001"
#define DAY INT64_C(86400000)
#define EXPIRE (30 * DAY)

struct fixture {
	char dir[64];
	char *path; /* of the bare repository */
};

static void
ok(int rc, struct err **err)
{
	if (rc != 0)
		fail_msg("%s", err_msg(*err));
}

/* Its first line of output; malloc'ed. */
static char *
script(struct fixture *f, const char *text)
{
	auto_free char *cmd = xasprintf(
	    "cd %s && exec 2>>log && export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 R=%s "
	    "GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e && %s",
	    f->dir, f->path, text);
	FILE *p = popen(cmd, "r"); /* NOLINT(cert-env33-c): a test */
	char line[200] = "";

	assert_non_null(p);
	if (!fgets(line, sizeof(line), p))
		line[0] = '\0';
	if (pclose(p) != 0)
		fail_msg("script failed: %s", text);
	line[strcspn(line, "\n")] = '\0';
	return xstrdup(line);
}

static void
must(struct fixture *f, const char *text)
{
	free(script(f, text));
}

/* Does the repository have the object? */
static bool
has(struct fixture *f, const char *sha)
{
	auto_free char *cmd = xasprintf("git -C $R cat-file -e %s && echo yes || echo no", sha);
	auto_free char *out = script(f, cmd);

	return strcmp(out, "yes") == 0;
}

static struct gw_cleaned
clean(struct fixture *f, int64_t days)
{
	const struct gw_clean c = { .now_ms = clock_wall_ms() + days * DAY, .expire_ms = EXPIRE };

	return gw_repo_clean(f->dir, &c);
}

/* A pushed commit on a branch of its own; its hash. */
static char *
push(struct fixture *f, const char *branch)
{
	auto_free char *cmd =
	    xasprintf("cd w && echo %s >x && git add x && git commit -qm %s && "
	              "git push -q $R HEAD:refs/heads/%s && git rev-parse HEAD && "
	              "git reset -q --hard base",
	        branch, branch, branch);

	return script(f, cmd);
}

static void
keep(struct fixture *f, const char *sha)
{
	const char *const spaces[] = { SPACE };
	auto_err err = NULL;

	ok(gw_repo_keep(f->path, sha, "refs/heads/run", spaces, 1, &err), &err);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	auto_err err = NULL;

	strcpy(f->dir, "/tmp/millrace-test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	ok(gw_repo_path(&f->path, f->dir, OWNER, REPO, &err), &err);
	ok(gw_repo_ensure(f->path, &err), &err);
	must(f, "git init -q -b master w && cd w && git commit -q --allow-empty -m m && "
	        "git tag base");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	auto_free char *cmd = xasprintf("rm -rf %s", f->dir);

	assert_int_equal(system(cmd), 0); /* NOLINT(cert-env33-c): a test */
	free(f->path);
	free(f);
	return 0;
}

static void
old_refs_go(void **state)
{
	struct fixture *f = *state;
	auto_free char *old = push(f, "old/one"), *fresh = push(f, "fresh"), *run = push(f, "run");
	auto_free char *refs = NULL;
	struct gw_cleaned did;

	keep(f, run);
	must(f, "touch -d '31 days ago' $R/refs/heads/old/one $R/refs/heads/run && "
	        "touch -d '29 days ago' $R/refs/heads/fresh");
	/* Commits may say that they are from any time: it is not asked. */
	must(f, "find $R/objects -type f -exec touch -d '31 days ago' {} +");
	did = clean(f, 0);
	assert_int_equal(did.refs, 2);
	assert_int_equal(did.repos, 0);
	assert_false(has(f, old));
	assert_true(has(f, fresh));
	assert_true(has(f, run)); /* a run was made from it */
	refs = script(f, "git -C $R for-each-ref --format='%(refname)' | tr '\\n' ' '");
	assert_string_equal(refs, "refs/heads/fresh refs/namespaces/" SPACE
	                          "/HEAD refs/namespaces/" SPACE "/refs/heads/run ");
	must(f, "test ! -e $R/refs/heads/old && test -d $R/refs/heads && git -C $R fsck");
	/* Nothing is left to do, and pushing goes on. */
	did = clean(f, 0);
	assert_int_equal(did.refs, 0);
	free(push(f, "more"));
}

/* What was overwritten is kept as long as a ref would be: a run may wait for its approval. */
static void
overwritten_commits_stay_a_while(void **state)
{
	struct fixture *f = *state;
	auto_free char *first = push(f, "a"), *second = NULL;

	must(f, "git -C $R update-ref -d refs/heads/a && touch $R/claimed");
	second = push(f, "b");
	must(f, "git -C w push -q $R base:refs/heads/c && touch -d '31 days ago' $R/refs/heads/c");
	assert_int_equal(clean(f, 0).refs, 1); /* packed anew */
	assert_true(has(f, first));
	keep(f, second);
	must(f,
	    "touch -d 'now 31 days' $R/refs/namespaces/*/HEAD $R/refs/namespaces/*/refs/heads/run");
	assert_int_equal(clean(f, 31).refs, 1);
	assert_false(has(f, first));
	assert_true(has(f, second));
}

static void
repositories_without_refs_go(void **state)
{
	struct fixture *f = *state;
	auto_free char *sha = push(f, "a");

	keep(f, sha);
	assert_int_equal(clean(f, 29).repos, 0);
	assert_true(gw_repo_exists(f->path));
	assert_int_equal(clean(f, 31).repos, 1);
	assert_false(gw_repo_exists(f->path));
	must(f, "test ! -e " OWNER); /* nor does the owner's directory stay */
}

static void
unclaimed_ones_go_soon(void **state)
{
	struct fixture *f = *state;
	auto_err err = NULL;
	int lock = -1;
	const struct gw_clean soon = { .now_ms = clock_wall_ms() + GW_REPO_UNCLAIMED_MS - 60000,
		.expire_ms = EXPIRE },
	                      late = { .now_ms = clock_wall_ms() + GW_REPO_UNCLAIMED_MS + 60000,
		                      .expire_ms = EXPIRE };

	free(push(f, "a"));
	assert_int_equal(gw_repo_clean(f->dir, &soon).repos, 0);
	assert_true(gw_repo_exists(f->path));
	/* Pushed to a moment ago: its run may be about to be made. */
	must(f, "touch -d '2 hours ago' $R/config $R/lock");
	assert_int_equal(clean(f, 0).repos, 1);
	ok(gw_repo_ensure(f->path, &err), &err);
	free(push(f, "a"));
	ok(gw_repo_lock(&lock, f->path, false, &err), &err);
	close(lock);
	must(f, "touch -d '2 hours ago' $R/config");
	assert_int_equal(clean(f, 0).repos, 0);
	assert_int_equal(gw_repo_clean(f->dir, &late).repos, 1);
	assert_false(gw_repo_exists(f->path));
}

static void
what_is_in_use_stays(void **state)
{
	struct fixture *f = *state;
	auto_err err = NULL;
	int lock = -1;

	free(push(f, "a"));
	ok(gw_repo_lock(&lock, f->path, false, &err), &err);
	assert_int_equal(clean(f, 100).repos, 0);
	assert_true(gw_repo_exists(f->path));
	close(lock);
	assert_int_equal(clean(f, 100).repos, 1);
	assert_int_equal(gw_repo_lock(&lock, f->path, false, &err), ERR_NOTFOUND);
}

static void
nothing_expires_without_a_limit(void **state)
{
	struct fixture *f = *state;
	const struct gw_clean c = { .now_ms = clock_wall_ms() + 10000 * DAY };
	auto_free char *sha = push(f, "a");

	keep(f, sha);
	assert_int_equal(gw_repo_clean(f->dir, &c).refs, 0);
	assert_true(has(f, sha));
}

static void
many_packs_become_one(void **state)
{
	struct fixture *f = *state;
	auto_free char *before = NULL, *after = NULL, *sha = NULL;

	must(f, "touch $R/claimed && git -C $R config transfer.unpackLimit 1");
	for (int i = 0; i < GW_REPO_PACKS_MAX + 1; i++) {
		char name[16];

		snprintf(name, sizeof(name), "b%d", i);
		free(sha);
		sha = push(f, name);
	}
	before = script(f, "ls $R/objects/pack/*.pack | wc -l");
	assert_true(atoi(before) > GW_REPO_PACKS_MAX);
	clean(f, 0);
	after = script(f, "ls $R/objects/pack/*.pack | wc -l");
	assert_string_equal(after, "1");
	assert_true(has(f, sha));
}

static void
leftovers_go(void **state)
{
	struct fixture *f = *state;

	free(push(f, "a"));
	must(f, "mkdir " OWNER "/new-x " OWNER "/y.git.gone " OWNER "/new-z $R/objects/tmp_objdir-"
	        "incoming-x && "
	        "touch -d '2 hours ago' " OWNER "/new-x " OWNER "/y.git.gone && touch $R/claimed");
	clean(f, 0);
	must(f, "test ! -e " OWNER "/new-x && test ! -e " OWNER "/y.git.gone && test -e " OWNER
	        "/new-z && test ! -e $R/objects/tmp_objdir-incoming-x");
}

static void
a_stop_is_heard(void **state)
{
	struct fixture *f = *state;
	atomic_bool stop = true;
	const struct gw_clean c = {
		.now_ms = clock_wall_ms() + 100 * DAY, .expire_ms = EXPIRE, .stop = &stop
	};

	free(push(f, "a"));
	assert_int_equal(gw_repo_clean(f->dir, &c).repos, 0);
	assert_int_equal(gw_repo_clean("/nonexistent/directory", &c).repos, 0);
}

static void
quota(void **state)
{
	struct fixture *f = *state;
	auto_free char *other = NULL;
	auto_err err = NULL;
	uint64_t left = 0, less = 0;

	ok(gw_repo_check_quota(&left, f->path, 10 << 20, &err), &err);
	must(f,
	    "head -c 2000000 /dev/urandom >w/big && cd w && git add big && git commit -qm big && "
	    "git push -q $R HEAD:refs/heads/big");
	ok(gw_repo_check_quota(&less, f->path, 10 << 20, &err), &err);
	assert_in_range(left - less, 2000000, 2200000);
	assert_int_equal(gw_repo_check_quota(&left, f->path, 1 << 20, &err), ERR_DENIED);
	assert_null(strstr(err_msg(err), REPO));
	err_clear(&err);
	/* What no run was made from takes nothing from the others. */
	ok(gw_repo_path(&other, f->dir, OWNER, "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee", &err), &err);
	ok(gw_repo_ensure(other, &err), &err);
	assert_int_equal(gw_repo_check_quota(&left, other, 1 << 20, &err), ERR_DENIED);
	err_clear(&err);
	must(f, "touch $R/claimed");
	ok(gw_repo_check_quota(&left, other, 1 << 20, &err), &err);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(old_refs_go),
		T(overwritten_commits_stay_a_while),
		T(repositories_without_refs_go),
		T(unclaimed_ones_go_soon),
		T(what_is_in_use_stays),
		T(nothing_expires_without_a_limit),
		T(many_packs_become_one),
		T(leftovers_go),
		T(a_stop_is_heard),
		T(quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
