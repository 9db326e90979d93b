#include "tests/lib/toolbox_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void __attribute__((noreturn))
child(struct peer *p, int in, int out, int (*life)(const struct tb_opts *o))
{
	struct tb_opts o = { .in = in,
		.out = out,
		.run_dir = p->run_dir,
		.passwd_file = p->passwd,
		.group_file = p->group,
		.cwd = p->work,
		.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC) };

	_exit(life(&o));
}

static void
start(struct peer *p, int (*life)(const struct tb_opts *o))
{
	int to[2], from[2];

	memset(p, 0, sizeof(*p));
	strcpy(p->dir, "/tmp/toolbox-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	chmod(p->dir, 0755);
	snprintf(p->run_dir, sizeof(p->run_dir), "%s/run", p->dir);
	snprintf(p->work, sizeof(p->work), "%s/work", p->dir);
	snprintf(p->passwd, sizeof(p->passwd), "%s/passwd", p->dir);
	snprintf(p->group, sizeof(p->group), "%s/group", p->dir);
	mkdir(p->run_dir, 0755);
	mkdir(p->work, 0777);
	chmod(p->work, 0777);
	write_file(
	    p->passwd, "root:x:0:0:root:/root:/bin/sh\nann:x:1234:1235::/home/ann:/bin/sh\n");
	write_file(p->group, "root:x:0:\nann:x:1235:\nextra:x:1300:bob,ann\nother:x:1400:bob\n");
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	signal(SIGPIPE, SIG_IGN);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		close(to[1]);
		close(from[0]);
		child(p, to[0], from[1], life);
	}
	close(to[0]);
	close(from[1]);
	p->to = to[1];
	p->from = from[0];
	frame_parser_init(&p->parser);
}

void
peer_start(struct peer *p)
{
	start(p, tb_init_run);
}

void
peer_start_service(struct peer *p)
{
	start(p, tb_service_run);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

int
peer_wait_exit(struct peer *p)
{
	int status;
	pid_t got;

	while ((got = waitpid(p->pid, &status, WNOHANG)) == 0)
		if (!peer_pump(p, 50))
			continue;
	assert_int_equal(got, p->pid);
	p->pid = 0;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void
peer_stop(struct peer *p)
{
	if (p->pid > 0) {
		if (p->epoch == 0)
			peer_hello(p, -2, 0);
		peer_send(p, FRAME_EXIT, NULL, 0);
		assert_int_equal(peer_wait_exit(p), 0);
	}
	close(p->to);
	close(p->from);
	frame_parser_fini(&p->parser);
	free(p->log);
	free(p->archive);
	nftw(p->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void
peer_send_raw(struct peer *p, const void *bytes, size_t n)
{
	const char *b = bytes;

	while (n > 0) {
		ssize_t w = write(p->to, b, n);
		assert_true(w > 0);
		b += w;
		n -= (size_t)w;
	}
}

void
peer_send(struct peer *p, enum frame_type type, uint8_t *payload, size_t n)
{
	uint8_t *b = malloc(FRAME_HEADER_LEN + n);

	frame_encode(b, type, p->epoch, payload, n);
	peer_send_raw(p, b, FRAME_HEADER_LEN + n);
	free(b);
	free(payload);
}

void
peer_hello(struct peer *p, int32_t log_step, uint64_t log_offset)
{
	struct msg_hello h = { FRAME_VERSION, FRAME_VERSION, log_step, log_offset };
	size_t n;

	p->epoch++;
	uint8_t *b = msg_hello_encode(&h, &n);
	int before = p->welcomes;
	peer_send(p, FRAME_HELLO, b, n);
	while (p->welcomes == before)
		assert_true(peer_pump(p, PATIENCE_MS));
}

void
peer_send_start(struct peer *p, const struct msg_start *m)
{
	size_t n;
	uint8_t *b = msg_start_encode(m, &n);

	assert_non_null(b);
	peer_send(p, FRAME_START, b, n);
}

void
peer_run(struct peer *p, int32_t step, const char *script, bool tty)
{
	char sh[] = "/bin/sh", flag[] = "-e", path[] = "PATH=/usr/bin:/bin";
	char *argv[] = { sh, flag }, *env[] = { path };
	char *text = strdup(script), *none = strdup("");
	struct msg_start m = { .step = step,
		.attempt = p->attempt ? p->attempt : 1,
		.kind = MSG_RUN,
		.tty = tty,
		.argv = argv,
		.nargv = 2,
		.script = text,
		.env = env,
		.nenv = 1,
		.working_dir = none,
		.user = none };

	peer_drop_log(p);
	p->results = 0;
	peer_send_start(p, &m);
	free(text);
	free(none);
}

void
peer_drop_log(struct peer *p)
{
	p->log_base = p->log_len = 0;
}

void
peer_ack(struct peer *p, int32_t step, uint64_t offset)
{
	struct msg_position m = { step, offset };
	size_t n;
	uint8_t *b = msg_position_encode(&m, &n);

	peer_send(p, FRAME_ACK, b, n);
}

void
peer_lease(struct peer *p, uint64_t ms)
{
	struct msg_lease m = { ms };
	size_t n;
	uint8_t *b = msg_lease_encode(&m, &n);

	peer_send(p, FRAME_LEASE, b, n);
}

void
peer_kill(struct peer *p, int32_t step, int sig, uint32_t grace_ms)
{
	struct msg_kill m = { step, sig, grace_ms };
	size_t n;
	uint8_t *b = msg_kill_encode(&m, &n);

	peer_send(p, FRAME_KILL, b, n);
}

void
peer_credit(struct peer *p, int32_t step, uint32_t attempt, uint64_t total)
{
	struct msg_credit m = { step, attempt, total };
	size_t n;
	uint8_t *b = msg_credit_encode(&m, &n);

	peer_send(p, FRAME_CREDIT, b, n);
}

void
peer_data(struct peer *p, int32_t step, uint32_t attempt, const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at < n && p->results == 0;) {
		if (at >= p->wanted) {
			assert_true(peer_pump(p, PATIENCE_MS));
			continue;
		}
		size_t k = n - at < 30000 ? n - at : 30000;
		if (k > p->wanted - at)
			k = (size_t)(p->wanted - at);
		struct msg_data m = { step, attempt, at, bytes + at, k };
		size_t len;
		uint8_t *b = msg_data_encode(&m, &len);
		peer_send(p, FRAME_DATA, b, len);
		at += k;
	}
}

void
peer_data_end(struct peer *p, int32_t step, uint64_t total)
{
	struct msg_position m = { step, total };
	size_t n;
	uint8_t *b = msg_position_encode(&m, &n);

	peer_send(p, FRAME_DATA_END, b, n);
}

static void
take_log(struct peer *p, const struct frame *f)
{
	struct msg_data d;

	assert_true(msg_data_decode(&d, f->payload, f->len));
	if (p->log_len == 0)
		p->log_base = d.offset;
	assert_true(d.offset == p->log_base + p->log_len); /* no gap, nothing doubled */
	p->log = realloc(p->log, p->log_len + d.len + 1);
	memcpy(p->log + p->log_len, d.bytes, d.len);
	p->log_len += d.len;
	p->log[p->log_len] = '\0';
	if (!p->keep_quiet)
		peer_ack(p, d.step, p->log_base + p->log_len);
}

static void
take_result(struct peer *p, const struct frame *f)
{
	struct msg_result r;

	assert_true(msg_result_decode(&r, f->payload, f->len));
	snprintf(p->error, sizeof(p->error), "%s", r.error);
	msg_result_fini(&r);
	p->result = r;
	if (f->type == FRAME_RESULT)
		p->results++;
	else if (f->type == FRAME_REFUSED)
		p->refusals++;
	else
		p->child_exits++;
}

static void
take(struct peer *p, const struct frame *f)
{
	struct msg_data d;
	struct msg_credit c;

	if (f->epoch != p->epoch)
		return;
	if (f->type == FRAME_LOG) {
		take_log(p, f);
	} else if (f->type == FRAME_WELCOME) {
		assert_true(msg_welcome_decode(&p->welcome, f->payload, f->len));
		p->welcomes++;
	} else if (f->type == FRAME_ARCHIVE) {
		assert_true(msg_data_decode(&d, f->payload, f->len));
		if (d.offset == 0)
			p->archive_len = 0;
		assert_true(d.offset == p->archive_len);
		p->archive = realloc(p->archive, p->archive_len + d.len + 1);
		memcpy(p->archive + p->archive_len, d.bytes, d.len);
		p->archive_len += d.len;
	} else if (f->type == FRAME_WANT) {
		assert_true(msg_credit_decode(&c, f->payload, f->len));
		p->wanted = c.total;
	} else {
		take_result(p, f);
	}
}

bool
peer_pump(struct peer *p, int ms)
{
	static uint8_t b[65536];
	struct pollfd pf = { p->from, POLLIN, 0 };
	struct frame f;

	for (;;) {
		if (frame_parser_next(&p->parser, &f)) {
			take(p, &f);
			return true;
		}
		if (poll(&pf, 1, ms) <= 0)
			return false;
		ssize_t n = read(p->from, b, sizeof(b));
		if (n <= 0) {
			poll(NULL, 0, ms < 10 ? ms : 10);
			return false;
		}
		assert_true(frame_parser_feed(&p->parser, b, (size_t)n));
	}
}

void
peer_until_result(struct peer *p)
{
	while (p->results == 0 || (!p->keep_quiet && p->result.log_end > p->log_base + p->log_len))
		assert_true(peer_pump(p, PATIENCE_MS));
}

void
peer_until_log(struct peer *p, const char *text)
{
	while (p->log == NULL || p->log_len == 0 || strstr(p->log, text) == NULL)
		assert_true(peer_pump(p, PATIENCE_MS));
}
