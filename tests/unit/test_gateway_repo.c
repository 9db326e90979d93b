/*
 * Repositories on disk and git as a child, with the real git and hostile content.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/mem.h"
#include "gateway/git_child.h"
#include "gateway/git_repo.h"
#include "gateway/inflate.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define OWNER "11111111-2222-4333-8444-555555555555"
#define REPO "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

struct fixture {
	char dir[64];
	char *path;   /* of the bare repository */
	char sha[41]; /* of the commit in it */
};

static void
ok(int rc, struct err **err)
{
	if (rc != 0)
		fail_msg("%s", err_msg(*err));
}

/* Runs a shell script in the fixture's directory; its first 40 bytes of output into sha. */
static void
script(struct fixture *f, const char *text)
{
	auto_free char *cmd = xasprintf("cd %s && exec 2>>log && export HOME=$PWD "
	                                "GIT_CONFIG_NOSYSTEM=1 && %s",
	    f->dir, text);
	FILE *p = popen(cmd, "r"); /* NOLINT(cert-env33-c): a test */

	assert_non_null(p);
	if (fread(f->sha, 1, 40, p) != 40)
		f->sha[0] = '\0';
	if (pclose(p) != 0)
		fail_msg("script failed: %s", text);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	auto_err err = NULL;
	auto_free char *push = NULL;

	strcpy(f->dir, "/tmp/millrace-test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	ok(gw_repo_path(&f->path, f->dir, OWNER, REPO, &err), &err);
	ok(gw_repo_ensure(f->path, &err), &err);
	push = xasprintf("git init -q -b master w && cd w && mkdir -p .agola 'dir with' && "
	                 "echo 'runs: []' >.agola/config.yml && echo hi >'dir with/space' && "
	                 "git add -A && git -c user.name=n -c user.email=e commit -qm m && "
	                 "git push -q %s master && git rev-parse HEAD",
	    f->path);
	script(f, push);
	assert_int_equal(strlen(f->sha), 40);
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
only_uuids_become_paths(void **state)
{
	static const char *const bad[] = { "", ".", "..", "../x", "a/b", "master",
		"AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE", REPO "/..", REPO "x", "{" REPO "}" };
	auto_err err = NULL;
	char *path = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(gw_repo_path(&path, "/d", OWNER, bad[i], &err), ERR_NOTFOUND);
		err_clear(&err);
		assert_int_equal(gw_repo_path(&path, "/d", bad[i], REPO, &err), ERR_NOTFOUND);
		err_clear(&err);
		assert_null(path);
	}
	ok(gw_repo_path(&path, "/d", OWNER, REPO, &err), &err);
	assert_string_equal(path, "/d/" OWNER "/" REPO ".git");
	free(path);
}

static void
ensure_is_idempotent(void **state)
{
	struct fixture *f = *state;
	auto_err err = NULL;
	auto_free char *hooks = xasprintf("%s/hooks", f->path);
	struct stat st;

	ok(gw_repo_ensure(f->path, &err), &err);
	ok(gw_repo_check_commit(f->path, f->sha, &err), &err);
	assert_int_equal(stat(hooks, &st), -1);
}

static void
commits_are_checked(void **state)
{
	struct fixture *f = *state;
	auto_err err = NULL;

	ok(gw_repo_check_commit(f->path, f->sha, &err), &err);
	assert_int_equal(
	    gw_repo_check_commit(f->path, "0123456789012345678901234567890123456789", &err),
	    ERR_NOTFOUND);
}

static void
files_are_read_at_a_commit(void **state)
{
	struct fixture *f = *state;
	const char *const names[] = { ".agola/config.star", ".agola", ".agola/config.yml",
		"dir with/space" };
	auto_buf out = BUF_INIT;
	auto_err err = NULL;
	size_t index = 99;

	/* Missing and directory are passed over. */
	ok(gw_repo_read_first(&out, &index, f->path, f->sha, names, 4, 100, &err), &err);
	assert_int_equal(index, 2);
	assert_string_equal(buf_str(&out), "runs: []\n");
	buf_clear(&out);
	ok(gw_repo_read_first(&out, &index, f->path, "master", names + 3, 1, 100, &err), &err);
	assert_string_equal(buf_str(&out), "hi\n");
	buf_clear(&out);
	assert_int_equal(
	    gw_repo_read_first(&out, &index, f->path, f->sha, names, 2, 100, &err), ERR_NOTFOUND);
	err_clear(&err);
	/* One byte too many is refused, exactly the maximum is not. */
	ok(gw_repo_read_first(&out, &index, f->path, f->sha, names, 4, 9, &err), &err);
	assert_int_equal(
	    gw_repo_read_first(&out, &index, f->path, f->sha, names, 4, 8, &err), ERR_INVALID);
	assert_int_equal(index, 2);
}

/* The next call with the commit of script, "a b" for two names, "?" for not known. */
static void
changed(struct fixture *f, const char *text, const char *ref, const char *expected)
{
	char **names = NULL;
	size_t n = 0;
	auto_err err = NULL;
	auto_buf got = BUF_INIT;

	script(f, text);
	ok(gw_repo_changes(&names, &n, f->path, ref, f->sha, &err), &err);
	for (size_t i = 0; i < n; i++) {
		buf_printf(&got, "%s%s", i ? " " : "", names[i]);
		free(names[i]);
	}
	assert_string_equal(names ? buf_str(&got) : "?", expected);
	free(names);
}
#define NEXT(change)                                                                               \
	"cd w && " change " && git add -A && git -c user.name=n -c user.email=e commit -q "        \
	"--allow-empty -m x && git push -q -f ../" OWNER "/" REPO                                  \
	".git HEAD:refs/heads/changes && git rev-parse HEAD"

static void
changes_since_the_last_time(void **state)
{
	struct fixture *f = *state;
	static const char ref[] = "refs/heads/changes";

	changed(f, NEXT("mkdir -p d && echo 1 >d/one && echo 2 >two"), ref, "?");
	changed(f, NEXT("echo 3 >d/one"), ref, "d/one");
	changed(f, NEXT("true"), ref, "?"); /* another commit, the same files */
	changed(f, "cd w && git rev-parse HEAD", ref, "?");
	changed(f, NEXT("git mv two 'zw ei' && echo 4 >d/'ü'"), ref, "d/ü two zw ei");
	changed(f, "cd w && git rev-parse HEAD", "refs/heads/other", "?");
	changed(f, "cd w && git rev-parse HEAD~1", "refs/heads/other", "d/ü two zw ei");
	changed(f, NEXT("rm -r d"), ref, "d/one d/ü");
}

static void
names_cannot_forge_questions(void **state)
{
	struct fixture *f = *state;
	const char *name = "x\nHEAD:.agola/config.yml";
	auto_buf out = BUF_INIT;
	auto_err err = NULL;
	size_t index;

	assert_int_equal(
	    gw_repo_read_first(&out, &index, f->path, f->sha, &name, 1, 100, &err), ERR_NOTFOUND);
	assert_true(gw_repo_rev_is_valid("master"));
	assert_true(gw_repo_rev_is_valid("v1.2"));
	for (const char *const *p = (const char *const[]){ "", "-x", "a b", "a:b", "a..b", "@{1}",
	         "a\nb", ".x", "a/b", "a^", NULL };
	     *p; p++)
		assert_false(gw_repo_rev_is_valid(*p));
}

/* A repository's own hooks and configuration do nothing when our git works in it. */
static void
hooks_do_not_run(void **state)
{
	struct fixture *f = *state;
	auto_free char *mark = xasprintf("%s/mark", f->dir);
	auto_free char *branches =
	    xasprintf("(git -C %s rev-parse -q --verify master || true)", f->path);
	auto_free char *text = xasprintf("mkdir %s/hooks && for h in post-upload pre-receive "
	                                 "fsmonitor; do printf '#!/bin/sh\\ntouch %s\\n' "
	                                 ">%s/hooks/$h; chmod +x %s/hooks/$h; done; "
	                                 "git -C %s config core.fsmonitor %s/hooks/fsmonitor",
	    f->path, mark, f->path, f->path, f->path, f->path);
	const char *argv[] = { "git", "receive-pack", "--stateless-rpc", f->path, NULL };
	/* Deleting needs no pack: the request is whole as text. */
	auto_free char *command = xasprintf("%s %040d refs/heads/master", f->sha, 0);
	auto_free char *request = xasprintf("%04zx%s0000", strlen(command) + 4, command);
	auto_buf out = BUF_INIT;
	auto_err err = NULL;
	struct stat st;
	int status;

	script(f, text);
	ok(gw_git_run(&out, &status, argv, request, 65536, 10000, &err), &err);
	assert_int_equal(status, 0);
	/* The push was taken in, and nothing of the repository's ran. */
	script(f, branches);
	assert_string_equal(f->sha, "");
	assert_int_equal(stat(mark, &st), -1);
}

static void
too_much_output_is_refused(void **state)
{
	struct fixture *f = *state;
	const char *argv[] = { "git", "-C", f->path, "cat-file", "commit", f->sha, NULL };
	auto_buf out = BUF_INIT;
	auto_err err = NULL;
	int status;

	assert_int_equal(gw_git_run(&out, &status, argv, NULL, 10, 10000, &err), ERR_INVALID);
	assert_int_equal(out.len, 10);
}

static void
a_hanging_child_is_killed(void **state)
{
	struct fixture *f = *state;
	/* Waits for more input for ever: the writing end stays open as long as there is input. */
	const char *argv[] = { "git", "-C", f->path, "-c", "alias.hang=!sleep 60", "hang", NULL };
	auto_buf out = BUF_INIT;
	auto_err err = NULL;
	int64_t begun = clock_mono_ms();
	int status;

	assert_int_equal(gw_git_run(&out, &status, argv, NULL, 10, 200, &err), ERR_UNAVAILABLE);
	assert_in_range(clock_mono_ms() - begun, 200, 10000);
	assert_int_equal(status, 128 + 9);
}

static size_t
gzip(uint8_t *out, size_t size, const void *p, size_t n)
{
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)p;
	z.avail_in = (uInt)n;
	z.next_out = out;
	z.avail_out = (uInt)size;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return size - z.avail_out;
}

/* Total length unpacked, or the error code. */
static int
inflated(const void *p, size_t n, size_t max)
{
	struct gw_inflate *z = gw_inflate_new(p, n, max);
	auto_err err = NULL;
	uint8_t piece[1000];
	size_t got;
	int total = 0;
	int rc;

	do {
		rc = gw_inflate_read(z, piece, sizeof(piece), &got, &err);
		total += (int)got;
	} while (rc == 0 && got > 0);
	gw_inflate_free(z);
	return rc < 0 ? rc : total;
}

static void
gzip_bodies(void **state)
{
	uint8_t zeros[20000] = { 0 };
	uint8_t packed[1000];
	size_t n = gzip(packed, sizeof(packed), zeros, sizeof(zeros));

	(void)state;
	assert_int_equal(inflated(packed, n, 20000), 20000);
	assert_int_equal(inflated(packed, n, 19999), ERR_INVALID); /* a bomb */
	assert_int_equal(inflated(packed, n - 1, 20000), ERR_INVALID);
	assert_int_equal(inflated("hello", 5, 20000), ERR_INVALID);
	assert_int_equal(inflated("", 0, 20000), ERR_INVALID);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_uuids_become_paths),
		T(ensure_is_idempotent),
		T(commits_are_checked),
		T(files_are_read_at_a_commit),
		T(changes_since_the_last_time),
		T(names_cannot_forge_questions),
		T(hooks_do_not_run),
		T(too_much_output_is_refused),
		T(a_hanging_child_is_killed),
		cmocka_unit_test(gzip_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
