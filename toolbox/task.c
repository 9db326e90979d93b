#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toolbox/init_int.h"
#include "toolbox/proc.h"

#define READ_MAX (64u << 10)
/* A pty cannot say how much it holds; its buffers never hold more. */
#define PTY_DRAIN_MAX (128 << 10)
#define FRAME_BYTES (FRAME_DATA_MAX - 64) /* of log or archive in one frame */
#define WANT_STEP (TOOLBOX_ARCHIVE_WINDOW / 4)

static uint8_t io[READ_MAX]; /* process 1 has one thread and never nests reads */

void
tb_task_init(struct tb_task *t)
{
	memset(t, 0, sizeof(*t));
	t->step = TB_NO_STEP;
	t->child = (struct tb_child){ .log = -1, .err = -1, .data = -1 };
	tb_logwin_init(&t->log, TOOLBOX_LOG_WINDOW);
	tb_logwin_init(&t->data, TOOLBOX_ARCHIVE_WINDOW);
}

void
tb_task_fini(struct tb_task *t)
{
	tb_child_close(&t->child);
	tb_logwin_reset(&t->log);
	tb_logwin_reset(&t->data);
}

void
tb_fill_exit(struct msg_result *r, int status, const struct rusage *ru)
{
	r->exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	r->user_us = (uint64_t)ru->ru_utime.tv_sec * 1000000 + (uint64_t)ru->ru_utime.tv_usec;
	r->system_us = (uint64_t)ru->ru_stime.tv_sec * 1000000 + (uint64_t)ru->ru_stime.tv_usec;
	r->max_rss_kb = (uint64_t)ru->ru_maxrss;
}

void
tb_send_result(struct tb_init *in, enum frame_type type, const struct msg_result *r)
{
	size_t n;
	uint8_t *p = msg_result_encode(r, &n);

	if (p != NULL)
		tb_stream_control(&in->s, type, p, n);
}

void
tb_send_welcome(struct tb_init *in)
{
	const struct tb_task *t = &in->t;
	struct msg_welcome w = { .version = FRAME_VERSION,
		.step = t->step,
		.attempt = t->attempt,
		.running = t->running,
		.log_end = t->log.end,
		.log_start = t->log.start,
		.data_offset = t->data.end };
	size_t n;
	uint8_t *p = msg_welcome_encode(&w, &n);

	if (p != NULL)
		tb_stream_control(&in->s, FRAME_WELCOME, p, n);
}

/* --- the end of a step --- */

static void
finish(struct tb_init *in)
{
	struct tb_task *t = &in->t;

	t->running = false;
	t->have_result = true;
	t->result.step = t->step;
	t->result.attempt = t->attempt;
	t->result.log_end = t->log.end;
	t->result.archive_end = t->archive_sent;
	t->result.error = t->error.text;
	tb_logwin_reset(&t->data);
	tb_send_result(in, FRAME_RESULT, &t->result);
}

/* What the step left behind goes on writing; nobody reads that, but nobody may block on it. */
static void
keep_output(struct tb_init *in)
{
	struct tb_child *c = &in->t.child;

	if (c->log >= 0 && c->keeper > 0 && tb_proc_session_others(c->keeper) == 0) {
		kill(c->keeper, SIGKILL);
	} else if (c->log >= 0 && in->nbackground < TB_BACKGROUND_MAX) {
		in->background[in->nbackground++] = c->log;
		c->log = -1;
	}
	tb_child_close(c);
}

/* Its child gives bytes that go out as an archive. */
static bool
gives_data(const struct tb_task *t)
{
	return t->kind == MSG_SAVE || t->kind == MSG_RENDER;
}

void
tb_task_check(struct tb_init *in)
{
	struct tb_task *t = &in->t;
	bool save_open = gives_data(t) && t->child.data >= 0;

	if (!t->running || !t->exited)
		return;
	if (save_open && t->result.exit_status != 0) {
		close(t->child.data);
		t->child.data = -1;
		save_open = false;
	}
	if (save_open || (t->child.log >= 0 && t->drain > 0))
		return;
	keep_output(in);
	finish(in);
}

bool
tb_task_reaped(struct tb_init *in, pid_t pid, int status, const struct rusage *ru)
{
	struct tb_task *t = &in->t;
	int left = 0;

	if (!t->running || t->exited || pid != t->child.pid)
		return false;
	t->exited = true;
	tb_fill_exit(&t->result, status, ru);
	if (t->error.text[0] == '\0')
		tb_child_error(&t->child, &t->error);
	else if (t->result.exit_status == 0 || t->result.exit_status > 128)
		t->result.exit_status = TB_EXIT_SETUP;
	if (t->child.tty)
		t->drain = PTY_DRAIN_MAX;
	else if (t->child.log >= 0 && ioctl(t->child.log, FIONREAD, &left) == 0)
		t->drain = left;
	tb_task_read_log(in);
	return true;
}

void
tb_task_read_log(struct tb_init *in)
{
	struct tb_task *t = &in->t;

	while (t->child.log >= 0) {
		size_t max = tb_logwin_space(&t->log);
		if (max > sizeof(io))
			max = sizeof(io);
		if (t->exited && (int64_t)max > t->drain)
			max = (size_t)t->drain;
		if (max == 0)
			return;
		ssize_t n = read(t->child.log, io, max);
		if (n > 0) {
			tb_logwin_put(&t->log, io, (size_t)n);
			if (!t->exited)
				return; /* other work first */
			t->drain -= n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		t->drain = 0;
		if (n < 0 && errno == EAGAIN)
			return;
		close(t->child.log); /* end of the pipe; EIO of a pty nobody holds */
		t->child.log = -1;
	}
}

/* --- the start of a step --- */

static void
start_failed(struct tb_init *in)
{
	struct tb_task *t = &in->t;
	size_t n = strlen(t->error.text);

	t->exited = true;
	t->result.exit_status = -1;
	if (tb_logwin_space(&t->log) > n) {
		tb_logwin_put(&t->log, t->error.text, n);
		tb_logwin_put(&t->log, "\n", 1);
	}
	finish(in);
}

static void
abandon(struct tb_init *in)
{
	struct tb_child *c = &in->t.child;

	kill(c->pid, SIGKILL); /* reaped like any orphan */
	tb_child_close(c);
	in->t.running = false;
}

/* NULL when m may start now, else why not. */
static const char *
why_not(const struct tb_task *t, const struct msg_start *m)
{
	if (m->step < 0 && m->kind != MSG_MKDIR)
		return "only directories are made before the first step";
	if (m->step < t->step || (m->step == t->step && m->attempt < t->attempt))
		return "a later step or attempt was started already";
	if (m->step == t->step && (t->kind == MSG_RUN) != (m->kind == MSG_RUN))
		return "a command is no archive";
	if (m->step == t->step && t->kind == MSG_RUN && t->running)
		return "an attempt of the command is still running";
	if (t->running && (m->step != t->step || t->kind == MSG_MKDIR))
		return "another step is still running";
	return NULL;
}

static void
refuse(struct tb_init *in, const struct msg_start *m, const char *why)
{
	struct tb_err e;
	struct msg_result r = {
		.step = m->step, .attempt = m->attempt, .exit_status = -1, .error = e.text
	};

	tb_fail(&e, "step %d, attempt %u was not started: %s", m->step, (unsigned)m->attempt, why);
	tb_send_result(in, FRAME_REFUSED, &r);
}

void
tb_task_start(struct tb_init *in, const struct msg_start *m)
{
	struct tb_task *t = &in->t;

	if (m->step == t->step && m->attempt == t->attempt) {
		if (t->running)
			tb_send_welcome(in);
		else
			tb_send_result(in, FRAME_RESULT, &t->result);
		return;
	}
	const char *why = m->kind < MSG_RUN || m->kind > MSG_RENDER
	                      ? "its kind is unknown, the executor is newer than the toolbox"
	                      : why_not(t, m);
	if (why != NULL) {
		refuse(in, m, why);
		return;
	}
	if (t->running)
		abandon(in);
	if (m->step != t->step) /* a later attempt goes on in the same log */
		tb_logwin_reset(&t->log);
	tb_logwin_reset(&t->data);
	t->step = m->step;
	t->attempt = m->attempt;
	t->kind = m->kind;
	t->running = true;
	t->exited = t->have_result = t->archive_cut = t->data_ended = false;
	t->drain = 0;
	t->archive_sent = t->archive_credit = t->data_total = t->data_want = 0;
	memset(&t->result, 0, sizeof(t->result));
	t->error.text[0] = '\0';
	if (tb_child_start(&t->child, in->o, m, &t->error) != 0)
		start_failed(in);
	else if (t->kind == MSG_RESTORE)
		tb_task_want(in);
}

/* --- archive bytes in --- */

void
tb_task_want(struct tb_init *in)
{
	struct tb_task *t = &in->t;
	struct msg_credit c = { .step = t->step,
		.attempt = t->attempt,
		.total = t->data.start + TOOLBOX_ARCHIVE_WINDOW };
	size_t n;
	uint8_t *p = msg_credit_encode(&c, &n);

	t->data_want = c.total;
	if (p != NULL)
		tb_stream_control(&in->s, FRAME_WANT, p, n);
}

/* The step fails with the first such sentence; the child is taken down. */
static void
spoil(struct tb_init *in, const char *why)
{
	struct tb_task *t = &in->t;

	if (t->error.text[0] == '\0')
		tb_fail(&t->error, "%s", why);
	kill(t->child.pid, SIGKILL);
}

static void
end_of_data(struct tb_init *in)
{
	struct tb_task *t = &in->t;

	if (!t->data_ended || t->child.data < 0 || t->data.start != t->data.end)
		return;
	close(t->child.data);
	t->child.data = -1;
}

static bool
restoring(const struct tb_task *t, int32_t step)
{
	return t->running && !t->exited && t->kind == MSG_RESTORE && t->step == step;
}

void
tb_task_data(struct tb_init *in, const struct msg_data *d)
{
	struct tb_task *t = &in->t;

	/* Without the child's pipe it gave up; its word comes with its end. */
	if (!restoring(t, d->step) || d->attempt != t->attempt || t->child.data < 0 ||
	    t->data_ended)
		return;
	if (d->offset > t->data.end) {
		spoil(in, "the executor left out a part of the archive");
		return;
	}
	uint64_t again = t->data.end - d->offset; /* already here: sent twice after an attach */
	if (again >= d->len)
		return;
	size_t n = d->len - (size_t)again;
	if (n > tb_logwin_space(&t->data)) {
		spoil(in, "the executor sent more of the archive than was asked for");
		return;
	}
	tb_logwin_put(&t->data, d->bytes + again, n);
	tb_task_feed(in);
}

void
tb_task_data_end(struct tb_init *in, const struct msg_position *p)
{
	struct tb_task *t = &in->t;

	if (!restoring(t, p->step))
		return;
	if (p->offset != t->data.end && t->child.data >= 0) {
		spoil(in, "the archive ended before all of it had arrived");
		return;
	}
	t->data_ended = true;
	end_of_data(in);
}

void
tb_task_feed(struct tb_init *in)
{
	struct tb_task *t = &in->t;
	const uint8_t *p;
	size_t n;

	if (!restoring(t, t->step) || t->child.data < 0)
		return;
	while ((n = tb_logwin_peek(&t->data, &p, READ_MAX)) > 0) {
		ssize_t w = write(t->child.data, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && errno != EAGAIN) { /* the child closed it: its end says why */
			close(t->child.data);
			t->child.data = -1;
			return;
		}
		if (w < 0)
			break;
		tb_logwin_sent(&t->data, (size_t)w);
		tb_logwin_ack(&t->data, t->data.sent);
	}
	end_of_data(in);
	if (!t->data_ended && t->data.start + TOOLBOX_ARCHIVE_WINDOW >= t->data_want + WANT_STEP)
		tb_task_want(in);
}

/* --- bytes out --- */

static void
put_data(struct tb_init *in, enum frame_type type, uint64_t offset, const uint8_t *p, size_t n)
{
	struct msg_data d = {
		.step = in->t.step, .attempt = in->t.attempt, .offset = offset, .bytes = p, .len = n
	};
	size_t len;
	uint8_t *b = msg_data_encode(&d, &len);

	if (b == NULL)
		abort();
	tb_stream_put(&in->s, type, b, len);
}

static bool
put_log(struct tb_init *in)
{
	struct tb_logwin *w = &in->t.log;
	const uint8_t *p;
	size_t n = tb_logwin_peek(w, &p, FRAME_BYTES);

	if (n == 0)
		return false;
	put_data(in, FRAME_LOG, w->sent, p, n);
	tb_logwin_sent(w, n);
	return true;
}

static bool
put_archive(struct tb_init *in)
{
	struct tb_task *t = &in->t;
	size_t max = FRAME_BYTES;

	if (!t->running || !gives_data(t) || t->archive_cut || t->child.data < 0 ||
	    t->archive_credit <= t->archive_sent)
		return false;
	if (max > t->archive_credit - t->archive_sent)
		max = (size_t)(t->archive_credit - t->archive_sent);
	ssize_t n = read(t->child.data, io, max);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(t->child.data);
		t->child.data = -1;
	}
	if (n <= 0)
		return false;
	put_data(in, FRAME_ARCHIVE, t->archive_sent, io, (size_t)n);
	t->archive_sent += (uint64_t)n;
	return true;
}

void
tb_task_send(struct tb_init *in)
{
	do {
		if (tb_stream_flush(&in->s))
			return;
	} while (tb_stream_ready(&in->s) && (put_log(in) || put_archive(in)));
}

/* --- kill, attach --- */

void
tb_task_kill(struct tb_init *in, const struct msg_kill *k)
{
	struct tb_task *t = &in->t;
	int sig = k->signal > 0 && k->signal < NSIG ? k->signal : SIGTERM;

	if (!t->running || t->exited || k->step != t->step)
		return;
	if (t->kill_armed && t->kill_session != tb_child_session(&t->child))
		tb_proc_kill_session(t->kill_session); /* an earlier step's grace ends here */
	t->kill_armed = true;
	t->kill_at = tb_now_ms() + k->grace_ms;
	t->kill_session = tb_child_session(&t->child);
	/* Its group exists a moment after the fork; until then there is only the process. */
	if (kill(-t->child.pid, sig) != 0)
		kill(t->child.pid, sig);
}

void
tb_task_timer(struct tb_init *in, int64_t now)
{
	struct tb_task *t = &in->t;

	if (!t->kill_armed || now < t->kill_at)
		return;
	t->kill_armed = false;
	/* The step may have ended, and another one begun, since: only that session is meant. */
	if (t->running && !t->exited && tb_child_session(&t->child) == t->kill_session)
		kill(t->child.pid, SIGKILL);
	tb_proc_kill_session(t->kill_session);
}

void
tb_task_attached(struct tb_init *in, const struct msg_hello *h)
{
	struct tb_task *t = &in->t;

	if (h->log_step == t->step) {
		tb_logwin_ack(&t->log, h->log_offset);
		tb_logwin_rewind(&t->log, h->log_offset);
	} else {
		tb_logwin_rewind(&t->log, t->log.start);
	}
	tb_send_welcome(in);
	if (t->have_result)
		tb_send_result(in, FRAME_RESULT, &t->result);
	if (t->running && gives_data(t))
		t->archive_cut = t->archive_sent > 0;
	if (restoring(t, t->step) && !t->data_ended)
		tb_task_want(in);
}
