#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/toolbox_peer.h"
#include "toolbox/util.h"

static void
up(struct peer *p)
{
	peer_start(p);
	peer_hello(p, -2, 0);
}

static void
wait_gone(pid_t pid)
{
	for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++)
		poll(NULL, 0, 10);
	assert_int_not_equal(kill(pid, 0), 0);
}

static bool
alive(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static void
test_silent_before_hello(void **state)
{
	(void)state;
	struct peer p;

	peer_start(&p);
	p.epoch = 1;
	peer_run(&p, 0, "echo early", false); /* nobody said HELLO: must not run */
	assert_false(peer_pump(&p, 100));
	p.epoch = 0;
	peer_hello(&p, -2, 0);
	assert_int_equal(p.welcome.step, -2);
	assert_false(p.welcome.running);
	peer_stop(&p);
}

static void
test_plain_step(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(&p, 0, "echo out; echo err >&2; exit 7", false);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 7);
	assert_string_equal(p.log, "out\nerr\n");
	assert_int_equal(p.result.log_end, 8);
	assert_string_equal(p.error, "");
	assert_true(p.result.max_rss_kb > 0);
	peer_run(&p, 1, "false\necho never", false);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 1);
	assert_int_equal(p.result.step, 1);
	assert_int_equal(p.log_len, 0);
	peer_run(&p, 2, "kill -9 $$", false);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 137);
	peer_stop(&p);
}

static void
test_stdin_is_at_its_end(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(&p, 0, "cat; echo done", false);
	peer_until_result(&p);
	assert_string_equal(p.log, "done\n");
	peer_run(&p, 1, "cat; echo done", true);
	peer_until_result(&p);
	assert_string_equal(p.log, "done\r\n");
	peer_stop(&p);
}

static void
test_tty_step(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(
	    &p, 0, "test -t 1 && test -t 2 && stty size </dev/tty; echo x >/dev/tty; exit 3", true);
	peer_until_result(&p);
	assert_string_equal(p.log, "24 80\r\nx\r\n");
	assert_int_equal(p.result.exit_status, 3);
	peer_stop(&p);
}

/* Everything a tty step wrote last must be in its log, however fast it ends. */
static void
test_tty_last_bytes_never_lost(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	for (int i = 0; i < 30; i++) {
		peer_run(
		    &p, i, "i=0; while [ $i -lt 300 ]; do echo 0123456789; i=$((i+1)); done", true);
		peer_until_result(&p);
		assert_int_equal(p.log_len, 300 * 12);
	}
	peer_stop(&p);
}

static void
test_script_is_private_and_unlinked(void **state)
{
	(void)state;
	struct peer p;
	char path[128];
	struct stat st;

	up(&p);
	peer_run(&p, 4, "stat -c %a:%u $0", false);
	peer_until_result(&p);
	assert_string_equal(p.log, "400:0\n");
	snprintf(path, sizeof(path), "%s/step-4-1", p.run_dir);
	assert_int_equal(stat(path, &st), 0);
	/* Not peer_stop: the directory must be looked at after the toolbox left. */
	peer_send(&p, FRAME_EXIT, NULL, 0);
	assert_int_equal(peer_wait_exit(&p), 0);
	assert_int_not_equal(stat(path, &st), 0);
	peer_stop(&p);
}

static void
test_script_without_run_dir(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	assert_int_equal(rmdir(p.run_dir), 0);
	peer_run(&p, 0, "echo $0", false);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 0);
	assert_int_equal(strncmp(p.log, "/proc/self/fd/", 14), 0);
	peer_stop(&p);
}

struct run {
	const char *argv0, *script, *dir, *user, *env;
};

static void
run_with(struct peer *p, int32_t step, struct run r)
{
	char *argv0 = strdup(r.argv0), *script = strdup(r.script), *dir = strdup(r.dir);
	char *user = strdup(r.user), *env0 = strdup(r.env), path[] = "PATH=/usr/bin:/bin";
	char *argv[] = { argv0 }, *env[] = { path, env0 };
	struct msg_start m = { .step = step,
		.attempt = 1,
		.kind = MSG_RUN,
		.argv = argv,
		.nargv = 1,
		.script = script,
		.env = env,
		.nenv = 2,
		.working_dir = dir,
		.user = user };

	peer_drop_log(p);
	p->results = 0;
	peer_send_start(p, &m);
	peer_until_result(p);
	free(argv0);
	free(script);
	free(dir);
	free(user);
	free(env0);
}

static void
test_cannot_start(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	run_with(&p, 0, (struct run){ "/bin/foo", "", "", "", "A=1" });
	assert_int_equal(p.result.exit_status, 127);
	assert_string_equal(p.error, "cannot start /bin/foo: no such file");
	assert_string_equal(p.log, "cannot start /bin/foo: no such file\n");
	run_with(&p, 1, (struct run){ "no-such-thing", "", "", "", "A=1" });
	assert_int_equal(p.result.exit_status, 127);
	run_with(&p, 2, (struct run){ "/etc/passwd", "", "", "", "A=1" });
	assert_int_equal(p.result.exit_status, 126);
	run_with(&p, 3, (struct run){ "sh", "echo ok", "", "", "A=1" }); /* by PATH */
	assert_string_equal(p.log, "ok\n");
	run_with(&p, 4, (struct run){ "sh", "echo ok", "/no/such", "", "A=1" });
	assert_int_equal(p.result.exit_status, 1);
	assert_string_equal(
	    p.error, "cannot enter working directory /no/such: No such file or directory");
	run_with(&p, 5, (struct run){ "sh", "echo ok", "~joe/x", "", "A=1" });
	assert_int_equal(p.result.exit_status, 1);
	assert_non_null(strstr(p.error, "only ~ and ~/path"));
	run_with(&p, 6, (struct run){ "sh", "echo ok", "", "nobody-here", "A=1" });
	assert_int_equal(p.result.exit_status, 1);
	assert_string_equal(p.error, "no user nobody-here in the image's /etc/passwd");
	peer_stop(&p);
}

static void
test_user_and_home(void **state)
{
	(void)state;
	struct peer p;

	if (geteuid() != 0)
		skip();
	up(&p);
	run_with(&p, 0, (struct run){ "sh", "id -u; id -g; id -G; echo $HOME", "", "ann", "A=1" });
	assert_string_equal(p.log, "1234\n1235\n1235 1300\n/home/ann\n");
	run_with(
	    &p, 1, (struct run){ "sh", "id -u; id -g; id -G; echo $HOME", "", "77:88", "A=1" });
	assert_string_equal(p.log, "77\n88\n88\n/\n");
	run_with(&p, 2, (struct run){ "sh", "id -u; id -g", "", "1234:extra", "A=1" });
	assert_string_equal(p.log, "1234\n1300\n");
	run_with(&p, 3, (struct run){ "sh", "pwd", "~", "", "HOME=/usr" });
	assert_string_equal(p.log, "/usr\n");
	run_with(&p, 4, (struct run){ "sh", "pwd", "~/lib", "", "HOME=/usr" });
	assert_string_equal(p.log, "/usr/lib\n");
	run_with(&p, 5, (struct run){ "sh", "umask; stat -c %a:%u $0", "", "ann", "A=1" });
	assert_string_equal(p.log, "0022\n400:1234\n");
	peer_stop(&p);
}

static void
test_start_twice_runs_once(void **state)
{
	(void)state;
	struct peer p;
	char script[256];

	up(&p);
	snprintf(script, sizeof(script), "echo x >>%s/count; wc -l <%s/count", p.work, p.work);
	peer_run(&p, 0, script, false);
	peer_until_result(&p);
	assert_string_equal(p.log, "1\n");
	peer_run(&p, 0, script, false);
	while (p.results == 0) /* the same answer, and no new log */
		assert_true(peer_pump(&p, 5000));
	assert_int_equal(p.log_len, 0);
	assert_int_equal(p.result.exit_status, 0);
	assert_int_equal(p.result.log_end, 2);
	peer_stop(&p);
}

/* A further attempt goes on in the same log, once the one before is over. */
static void
test_attempts(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(&p, 0, "echo one; exit 3", false);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 3);
	assert_int_equal(p.result.log_end, 4);
	p.attempt = 2;
	peer_run(&p, 0, "echo two; read x </dev/zero; sleep 60", false);
	peer_until_log(&p, "two");
	p.attempt = 3;
	peer_run(&p, 0, "echo never", false);
	while (p.refusals == 0)
		assert_true(peer_pump(&p, 5000));
	assert_non_null(strstr(p.error, "still running"));
	peer_kill(&p, 0, SIGKILL, 0);
	while (p.results == 0)
		assert_true(peer_pump(&p, 5000));
	assert_int_equal(p.result.attempt, 2);
	assert_int_equal(p.result.exit_status, 137);
	peer_run(&p, 0, "echo three", false);
	peer_until_result(&p);
	assert_int_equal(p.result.attempt, 3);
	assert_int_equal(p.result.exit_status, 0);
	assert_int_equal(p.result.log_end, 14);
	p.attempt = 2; /* what is past is past */
	peer_run(&p, 0, "echo old", false);
	while (p.refusals == 1)
		assert_true(peer_pump(&p, 5000));
	peer_stop(&p);
}

static void
test_start_refusals(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(&p, 3, "read x </dev/zero; sleep 60", false);
	peer_run(&p, 4, "echo no", false);
	while (p.refusals == 0)
		assert_true(peer_pump(&p, 5000));
	assert_non_null(strstr(p.error, "another step is still running"));
	peer_run(&p, 2, "echo no", false);
	while (p.refusals == 1)
		assert_true(peer_pump(&p, 5000));
	peer_send(&p, FRAME_START, NULL, 0);
	while (p.refusals == 2)
		assert_true(peer_pump(&p, 5000));
	assert_non_null(strstr(p.error, "could not be understood"));
	peer_stop(&p);
}

static void
test_result_repeated_after_hello(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(&p, 0, "exit 5", false);
	peer_until_result(&p);
	p.results = 0;
	peer_hello(&p, 0, 0);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 5);
	peer_stop(&p);
}

static void
test_lower_epoch_is_ignored(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_hello(&p, -2, 0); /* epoch 2 */
	p.epoch = 1;
	peer_run(&p, 0, "echo old", false);
	peer_send(&p, FRAME_EXIT, NULL, 0);
	p.epoch = 2;
	peer_run(&p, 1, "echo new", false);
	peer_until_result(&p);
	assert_int_equal(p.result.step, 1);
	assert_string_equal(p.log, "new\n");
	peer_stop(&p);
}

static void
test_resend_from_acknowledged_offset(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	p.keep_quiet = true;
	peer_run(&p, 0, "printf 0123456789", false);
	while (p.results == 0 || p.log_len < 10)
		assert_true(peer_pump(&p, 5000));
	peer_drop_log(&p);
	p.results = 0;
	peer_hello(&p, 0, 4); /* 0..3 are durable */
	assert_int_equal(p.welcome.log_end, 10);
	while (p.results == 0 || p.log_len < 6)
		assert_true(peer_pump(&p, 5000));
	assert_int_equal(p.log_base, 4);
	assert_string_equal(p.log, "456789");
	peer_stop(&p);
}

static void
test_window_holds_the_step_back(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	p.keep_quiet = true;
	peer_run(&p, 0, "head -c 3000000 /dev/zero | tr '\\0' a; echo end", false);
	while (p.log_len < TOOLBOX_LOG_WINDOW)
		assert_true(peer_pump(&p, 5000));
	assert_false(peer_pump(&p, 200));
	assert_int_equal(p.log_len, TOOLBOX_LOG_WINDOW);
	assert_int_equal(p.results, 0);
	/* The reader dies; the next one has nothing of it. */
	peer_drop_log(&p);
	peer_hello(&p, 0, 0);
	assert_int_equal(p.welcome.log_start, 0);
	assert_true(p.welcome.running);
	while (p.log_len < TOOLBOX_LOG_WINDOW)
		assert_true(peer_pump(&p, 5000));
	p.keep_quiet = false;
	peer_ack(&p, 0, p.log_len);
	peer_until_result(&p);
	assert_int_equal(p.result.log_end, 3000004);
	assert_int_equal(p.log_len, 3000004);
	assert_string_equal(p.log + 3000000, "end\n");
	peer_stop(&p);
}

/* The reader stops reading altogether: process 1 still hears, reaps and obeys. */
static void
test_stalled_reader_does_not_block(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(&p, 0, "head -c 900000 /dev/zero", false);
	peer_lease(&p, 300); /* the pipe is full long before; the lease must still end it */
	int status;
	for (int i = 0; i < 500 && waitpid(p.pid, &status, WNOHANG) == 0; i++)
		poll(NULL, 0, 20);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), TB_EXIT_LEASE);
	p.pid = 0;
	peer_stop(&p);
}

static void
test_reattach_after_half_frame(void **state)
{
	(void)state;
	struct peer p;
	uint8_t half[FRAME_HEADER_LEN + 1000];
	uint8_t *zeros = calloc(1, FRAME_RESYNC_LEN);

	up(&p);
	peer_run(&p, 0, "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two", false);
	peer_until_log(&p, "one\n");
	memset(half, 'y', sizeof(half));
	frame_encode(half, FRAME_START, p.epoch, half + FRAME_HEADER_LEN, 1000);
	peer_send_raw(&p, half, 300); /* the executor dies here */
	peer_send_raw(&p, zeros, FRAME_RESYNC_LEN);
	peer_hello(&p, 0, 4);
	assert_true(p.welcome.running);
	char go[128];
	snprintf(go, sizeof(go), "%s/go", p.work);
	close(open(go, O_CREAT | O_WRONLY, 0644));
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 0);
	assert_string_equal(p.log, "one\ntwo\n");
	free(zeros);
	peer_stop(&p);
}

static void
background(bool tty)
{
	struct peer p;
	char pidfile[128], b[32] = "";

	up(&p);
	/* It ignores nothing, writes before and after the step's end, and must live on. */
	peer_run(&p, 0,
	    "(while :; do echo noise; sleep 0.01; done) & echo $! >pid; echo started; exit 0", tty);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 0);
	assert_non_null(strstr(p.log, "started"));
	snprintf(pidfile, sizeof(pidfile), "%s/pid", p.work);
	int fd = open(pidfile, O_RDONLY);
	assert_true(read(fd, b, sizeof(b) - 1) > 0);
	close(fd);
	pid_t bg = (pid_t)atoi(b);
	uint64_t end = p.result.log_end;
	peer_run(&p, 1, "sleep 0.3; echo second", tty);
	peer_until_result(&p);
	assert_true(alive(bg));
	assert_int_equal(p.result.log_end, tty ? 8 : 7); /* no noise in the next step's log */
	assert_true(end > 0);
	peer_stop(&p);
	wait_gone(bg);
}

static void
test_background_lives_until_the_end(void **state)
{
	(void)state;
	background(false);
}

static void
test_background_of_tty_lives_until_the_end(void **state)
{
	(void)state;
	background(true);
}

/* A background process that fills its output must not block, even with nobody attached. */
static void
test_background_output_is_read_away(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(&p, 0, "(sleep 0.1; head -c 2000000 /dev/zero; echo x >done) & exit 0", false);
	peer_until_result(&p);
	peer_run(&p, 1, "while [ ! -e done ]; do sleep 0.02; done; echo yes", false);
	peer_until_result(&p);
	assert_string_equal(p.log, "yes\n");
	peer_stop(&p);
}

static void
test_kill_with_grace(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(
	    &p, 0, "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done", false);
	peer_until_log(&p, "up\n");
	peer_kill(&p, 0, SIGTERM, 10000);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 9);
	assert_non_null(strstr(p.log, "bye\n"));
	peer_stop(&p);
}

static void
test_kill_after_grace(void **state)
{
	(void)state;
	struct peer p;

	for (int tty = 0; tty < 2; tty++) {
		up(&p);
		peer_run(&p, 0,
		    "trap '' TERM; (trap '' TERM; sleep 60) & echo $! ; echo up; "
		    "while :; do sleep 1; done",
		    tty == 1);
		peer_until_log(&p, "up");
		pid_t inner = (pid_t)atoi(p.log);
		peer_kill(&p, 0, SIGTERM, 100);
		peer_until_result(&p);
		assert_int_equal(p.result.exit_status, 137);
		wait_gone(inner); /* the whole session, not only the shell */
		peer_stop(&p);
	}
}

/* The shell obeys at once, what it started does not, and the next step begins before the grace
 * is over. */
static void
test_kill_reaches_what_is_left(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(&p, 0, "(trap '' TERM; while :; do sleep 0.05; done) & echo $!; wait", false);
	peer_until_log(&p, "\n");
	pid_t inner = (pid_t)atoi(p.log);
	peer_kill(&p, 0, SIGTERM, 300);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 143);
	peer_run(&p, 1, "while [ ! -e go ]; do sleep 0.02; done; exit 2", false);
	wait_gone(inner);
	char go[128];
	snprintf(go, sizeof(go), "%s/go", p.work);
	close(open(go, O_CREAT | O_WRONLY, 0644));
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 2);
	peer_stop(&p);
}

static void
test_lease_expiry_kills_everything(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	peer_run(&p, 0, "setsid sleep 60 & echo $!; sleep 60", false);
	peer_until_log(&p, "\n");
	pid_t inner = (pid_t)atoi(p.log);
	peer_lease(&p, 60000);
	peer_lease(&p, 50);
	assert_int_equal(peer_wait_exit(&p), TB_EXIT_LEASE);
	wait_gone(inner);
	peer_stop(&p);
}

static void
test_mkdir(void **state)
{
	(void)state;
	struct peer p;
	char *dir = strdup("a/b/c"), *user = strdup(geteuid() == 0 ? "ann" : ""), path[128];
	struct stat st;
	struct msg_start m = {
		.step = -1, .attempt = 1, .kind = MSG_MKDIR, .working_dir = dir, .user = user
	};

	up(&p);
	peer_send_start(&p, &m);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 0);
	snprintf(path, sizeof(path), "%s/a/b/c", p.work);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	if (geteuid() == 0)
		assert_int_equal(st.st_uid, 1234);
	peer_run(&p, 0, "echo after", false);
	peer_until_result(&p);
	assert_string_equal(p.log, "after\n");
	free(dir);
	free(user);
	peer_stop(&p);
}

static void
test_spawned_entrypoint(void **state)
{
	(void)state;
	struct peer p;
	char sh[] = "sh", c[] = "-c", text[] = "echo $A >spawned; exec sleep 60", a[] = "A=hello";
	char dot[] = ".", none[] = "";
	char *argv[] = { sh, c, text }, *env[] = { a };
	struct msg_start m = { .step = -1,
		.kind = MSG_RUN,
		.argv = argv,
		.nargv = 3,
		.env = env,
		.nenv = 1,
		.working_dir = dot,
		.user = none };
	size_t n;

	up(&p);
	uint8_t *b = msg_start_encode(&m, &n);
	peer_send(&p, FRAME_SPAWN, b, n);
	peer_run(&p, 0, "until grep -q hello spawned; do sleep 0.02; done 2>&-; echo seen", false);
	peer_until_result(&p);
	assert_string_equal(p.log, "seen\n");
	assert_int_equal(p.child_exits, 0);
	peer_stop(&p);

	/* One that ends at once is told, also to the next reader. */
	up(&p);
	strcpy(text, "exit 3");
	b = msg_start_encode(&m, &n);
	peer_send(&p, FRAME_SPAWN, b, n);
	while (p.child_exits == 0)
		assert_true(peer_pump(&p, 5000));
	assert_int_equal(p.result.exit_status, 3);
	peer_hello(&p, -2, 0);
	while (p.child_exits == 1)
		assert_true(peer_pump(&p, 5000));
	peer_stop(&p);
}

static void
spawn(struct peer *p, const char *script, const char *secret)
{
	char shell[] = "sh", c[] = "-c", dot[] = ".", none[] = "";
	char *text = strdup(script), *value = strdup(secret);
	char *argv[] = { shell, c, text }, *env[] = { value };
	struct msg_start m = { .step = -1,
		.kind = MSG_RUN,
		.argv = argv,
		.nargv = 3,
		.env = env,
		.nenv = 1,
		.working_dir = dot,
		.user = none };
	size_t n;
	uint8_t *b = msg_start_encode(&m, &n);

	peer_send(p, FRAME_SPAWN, b, n);
	free(text);
	free(value);
}

/* The service is the same process, has the environment, nothing to read, and none of the stream. */
static void
test_service_becomes_its_command(void **state)
{
	(void)state;
	struct peer p;
	char path[128], b[4096] = "";

	peer_start_service(&p);
	int to = p.to, from = p.from;
	peer_hello(&p, -2, 0);
	spawn(&p, "cat; ls -l /proc/$$/fd >out; echo \"$A\" >>out; exit 6", "A=secret");
	assert_int_equal(peer_wait_exit(&p), 6);
	snprintf(path, sizeof(path), "%s/out", p.work);
	int fd = open(path, O_RDONLY);
	assert_true(read(fd, b, sizeof(b) - 1) > 0);
	close(fd);
	assert_non_null(strstr(b, "secret\n"));
	for (int i = 0; i < 2; i++) {
		char name[64], target[64] = "";
		snprintf(name, sizeof(name), "/proc/self/fd/%d", i == 0 ? to : from);
		assert_true(readlink(name, target, sizeof(target) - 1) > 0);
		assert_int_equal(strncmp(target, "pipe:", 5), 0);
		assert_null(strstr(b, target));
	}
	peer_stop(&p);
}

static void
test_service_that_cannot_start(void **state)
{
	(void)state;
	struct peer p;
	char nothing[] = "/no/such", none[] = "";
	char *argv[] = { nothing };
	struct msg_start m = {
		.step = -1, .argv = argv, .nargv = 1, .working_dir = none, .user = none
	};
	size_t n;

	peer_start_service(&p);
	p.epoch = 4;
	spawn(&p, "echo early >out", "A=1"); /* before HELLO: not heard */
	peer_hello(&p, -2, 0);
	uint8_t *b = msg_start_encode(&m, &n);
	peer_send(&p, FRAME_SPAWN, b, n);
	while (p.refusals == 0)
		assert_true(peer_pump(&p, 5000));
	assert_int_equal(p.results, 0); /* it never seemed to be well */
	assert_string_equal(p.error, "cannot start /no/such: no such file");
	assert_int_equal(peer_wait_exit(&p), 127);
	peer_stop(&p);
}

static void
test_version_mismatch(void **state)
{
	(void)state;
	struct peer p;
	struct msg_hello h = { 7, 9, -2, 0 };
	size_t n;

	peer_start(&p);
	p.epoch = 1;
	uint8_t *b = msg_hello_encode(&h, &n);
	peer_send(&p, FRAME_HELLO, b, n);
	while (p.refusals == 0)
		assert_true(peer_pump(&p, 5000));
	assert_non_null(strstr(p.error, "speaks version 1"));
	peer_stop(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent_before_hello),
		cmocka_unit_test(test_plain_step),
		cmocka_unit_test(test_stdin_is_at_its_end),
		cmocka_unit_test(test_tty_step),
		cmocka_unit_test(test_tty_last_bytes_never_lost),
		cmocka_unit_test(test_script_is_private_and_unlinked),
		cmocka_unit_test(test_script_without_run_dir),
		cmocka_unit_test(test_cannot_start),
		cmocka_unit_test(test_user_and_home),
		cmocka_unit_test(test_start_twice_runs_once),
		cmocka_unit_test(test_attempts),
		cmocka_unit_test(test_start_refusals),
		cmocka_unit_test(test_result_repeated_after_hello),
		cmocka_unit_test(test_lower_epoch_is_ignored),
		cmocka_unit_test(test_resend_from_acknowledged_offset),
		cmocka_unit_test(test_window_holds_the_step_back),
		cmocka_unit_test(test_stalled_reader_does_not_block),
		cmocka_unit_test(test_reattach_after_half_frame),
		cmocka_unit_test(test_background_lives_until_the_end),
		cmocka_unit_test(test_background_of_tty_lives_until_the_end),
		cmocka_unit_test(test_background_output_is_read_away),
		cmocka_unit_test(test_kill_with_grace),
		cmocka_unit_test(test_kill_after_grace),
		cmocka_unit_test(test_kill_reaches_what_is_left),
		cmocka_unit_test(test_lease_expiry_kills_everything),
		cmocka_unit_test(test_mkdir),
		cmocka_unit_test(test_spawned_entrypoint),
		cmocka_unit_test(test_service_becomes_its_command),
		cmocka_unit_test(test_service_that_cannot_start),
		cmocka_unit_test(test_version_mismatch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
