/* The script of a clone step, run by a shell on repositories in a directory of the test. */
#include "common/mem.h"
#include "rundef/rundef.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/test_clone.XXXXXX";

/* In the directory, with a home and a git of the test's own. Its output goes to a file there. */
static int
shell_to(const char *output, const char *script)
{
	auto_free char *path = xasprintf("%s/script", dir);
	auto_free char *command =
	    xasprintf("cd %s && HOME=%s/home GIT_CONFIG_NOSYSTEM=1 sh -e %s >%s 2>&1", dir, dir,
	        path, output);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(script, f) >= 0 && fclose(f) == 0);
	int status = system(command); /* NOLINT(cert-env33-c): the shell is what is tested */
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define shell(script) shell_to("out", script)
#define MUST_SHELL(script) assert_int_equal(shell(script), 0)

static int
setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	/* Three commits on master; the last is also a pull request's head, and not on master. */
	return shell(
	    "mkdir home\n"
	    "git config --global user.name n; git config --global user.email e@example.org\n"
	    "git config --global init.defaultBranch master\n"
	    "git config --global protocol.file.allow always\n"
	    "git init -q sub; cd sub; echo s >s; git add s; git commit -qm s; cd ..\n"
	    "git init -q repo; cd repo\n"
	    "echo 1 >f; git add f; git commit -qm 1; git rev-parse HEAD >../one\n"
	    "git submodule -q add ../sub sub; git commit -qm 2\n"
	    "git checkout -q --detach; echo 3 >f; git commit -qam 3\n"
	    "git rev-parse HEAD >../three; git update-ref refs/pull/7/head HEAD\n"
	    "git checkout -q master; cd ..\n");
}

static int
teardown(void **state)
{
	(void)state;
	return shell("rm -rf home repo sub w said out one three script") == 0 ? rmdir(dir) : -1;
}

static int
clone_with(const struct rundef_step *step, const char *environment)
{
	auto_free char *script = rundef_clone_script(step);
	auto_free char *whole = xasprintf("rm -rf w; mkdir w; cd w\n"
	                                  "export AGOLA_REPOSITORY_URL=file://%s/repo %s\n%s",
	    dir, environment, script);

	return shell_to("said", whole);
}

static void
the_commit_is_checked_out(void **state)
{
	const struct rundef_step whole = { .type = RUNDEF_CLONE };

	(void)state;
	/* Of a pull request: its commit is on no branch. */
	assert_int_equal(clone_with(&whole, "AGOLA_GIT_REF=refs/pull/7/head "
	                                    "AGOLA_GIT_COMMITSHA=$(cat ../three)"),
	    0);
	MUST_SHELL("test $(cat w/f) = 3; cd w; ! git symbolic-ref -q HEAD");
	MUST_SHELL("test ! -e home/.ssh; test ! -e w/sub/s"); /* neither was asked for */
	/* An older one of the branch. */
	assert_int_equal(clone_with(&whole, "AGOLA_GIT_REF=refs/heads/master "
	                                    "AGOLA_GIT_COMMITSHA=$(cat ../one)"),
	    0);
	MUST_SHELL("test $(cat w/f) = 1");
	/* Without a commit what the ref is. */
	assert_int_equal(clone_with(&whole, "AGOLA_GIT_REF=refs/pull/7/head"), 0);
	MUST_SHELL("test $(cat w/f) = 3");
	/* What is not there fails. */
	assert_int_not_equal(clone_with(&whole, "AGOLA_GIT_REF=refs/heads/none"), 0);
}

static void
depth_and_submodules(void **state)
{
	const struct rundef_step step = {
		.type = RUNDEF_CLONE, .depth = 1, .recurse_submodules = true
	};

	(void)state;
	assert_int_equal(clone_with(&step, "AGOLA_GIT_REF=refs/pull/7/head "
	                                   "AGOLA_GIT_COMMITSHA=$(cat ../three)"),
	    0);
	MUST_SHELL("test $(cat w/f) = 3; test $(cat w/sub/s) = s\n"
	           "cd w; test $(git rev-list HEAD | wc -l) = 1; test -e .git/shallow");
}

/* With a key the ssh client is set up, twice without harm, and the key is never printed. */
static void
a_key_is_set_up(void **state)
{
	const struct rundef_step whole = { .type = RUNDEF_CLONE };
	static const char with_key[] =
	    "AGOLA_GIT_REF=refs/heads/master AGOLA_GIT_HOST=git.example.org "
	    "AGOLA_GIT_PORT=2222 AGOLA_SSHPRIVKEY='the private key' "
	    "AGOLA_SSHHOSTKEY='git.example.org ssh-rsa AAAA'";
	auto_free char *unchecked = xasprintf("%s AGOLA_SKIPSSHHOSTKEYCHECK=1", with_key);

	(void)state;
	assert_int_equal(clone_with(&whole, with_key), 0);
	MUST_SHELL("grep -q 'git clone' said; if grep -q private said; then exit 1; fi\n"
	           "cd home/.ssh; test \"$(cat id_rsa)\" = 'the private key'\n"
	           "test $(stat -c %a .) = 700; test $(stat -c %a id_rsa) = 600\n"
	           "test $(stat -c %a known_hosts) = 600\n"
	           "grep -q 'ssh-rsa AAAA' known_hosts; grep -q '^Host git.example.org$' config\n"
	           "grep -q 'Port 2222' config; grep -q 'StrictHostKeyChecking yes' config\n"
	           "grep -q 'PasswordAuthentication no' config; grep -q '+ssh-rsa' config\n"
	           "ssh -F config -G git.example.org >../parsed 2>&1 || ! command -v ssh\n");
	/* The directory is there already; others may read what is cloned. */
	assert_int_equal(clone_with(&whole, unchecked), 0);
	MUST_SHELL("grep -q 'StrictHostKeyChecking no' home/.ssh/config\n"
	           "test $(stat -c %a w/f) = 644; rm -r home/.ssh");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_commit_is_checked_out),
		cmocka_unit_test(depth_and_submodules),
		cmocka_unit_test(a_key_is_set_up),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
