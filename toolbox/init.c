#include "toolbox/init.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toolbox/init_int.h"
#include "toolbox/proc.h"

/* --- frames --- */

static bool
accept_hello(struct tb_stream *s, const struct frame *f, struct msg_hello *h)
{
	if (f->epoch < s->epoch || !msg_hello_decode(h, f->payload, f->len))
		return false;
	s->epoch = f->epoch;
	s->attached = true;
	tb_stream_forget_control(s);
	if (h->version_min <= FRAME_VERSION && h->version_max >= FRAME_VERSION)
		return true;
	struct tb_err e;
	struct msg_result r = { .step = TB_NO_STEP, .exit_status = -1, .error = e.text };
	tb_fail(&e, "this toolbox speaks version %d, the executor %u to %u", FRAME_VERSION,
	    h->version_min, h->version_max);
	size_t n;
	uint8_t *p = msg_result_encode(&r, &n);
	if (p != NULL)
		tb_stream_control(s, FRAME_REFUSED, p, n);
	return false;
}

static void
refuse_frame(struct tb_init *in, const char *what)
{
	struct tb_err e;
	struct msg_result r = { .step = TB_NO_STEP, .exit_status = -1, .error = e.text };

	tb_fail(&e, "a %s frame could not be understood", what);
	tb_send_result(in, FRAME_REFUSED, &r);
}

static void
on_hello(struct tb_init *in, const struct frame *f)
{
	struct msg_hello h;

	if (!accept_hello(&in->s, f, &h))
		return;
	tb_task_attached(in, &h);
	if (in->spawn_ended)
		tb_send_result(in, FRAME_CHILD_EXIT, &in->spawn_result);
}

static void
on_start(struct tb_init *in, const struct frame *f)
{
	struct msg_start m;

	if (!msg_start_decode(&m, f->payload, f->len)) {
		refuse_frame(in, "START");
		return;
	}
	tb_task_start(in, &m);
	msg_start_fini(&m);
}

static void
spawn_ended(struct tb_init *in)
{
	in->spawn_ended = true;
	in->spawn_result.step = -1;
	in->spawn_result.error = in->spawn_error.text;
	tb_child_close(&in->spawn);
	tb_send_result(in, FRAME_CHILD_EXIT, &in->spawn_result);
}

static void
on_spawn(struct tb_init *in, const struct frame *f)
{
	struct msg_start m;

	if (in->spawn_ended) {
		tb_send_result(in, FRAME_CHILD_EXIT, &in->spawn_result);
		return;
	}
	if (in->spawned) {
		tb_send_welcome(in);
		return;
	}
	if (!msg_start_decode(&m, f->payload, f->len)) {
		refuse_frame(in, "SPAWN");
		return;
	}
	m.step = -1;
	m.kind = MSG_RUN;
	m.tty = false;
	in->spawned = true;
	if (tb_child_start(&in->spawn, in->o, &m, &in->spawn_error) != 0) {
		in->spawn_result.exit_status = -1;
		spawn_ended(in);
	}
	msg_start_fini(&m);
}

static void
on_ack(struct tb_init *in, const struct frame *f)
{
	struct msg_position p;

	if (msg_position_decode(&p, f->payload, f->len) && p.step == in->t.step)
		tb_logwin_ack(&in->t.log, p.offset);
}

static void
on_credit(struct tb_init *in, const struct frame *f)
{
	struct msg_credit c;
	struct tb_task *t = &in->t;

	if (msg_credit_decode(&c, f->payload, f->len) && c.step == t->step &&
	    c.attempt == t->attempt && c.total > t->archive_credit)
		t->archive_credit = c.total;
}

static void
on_lease(struct tb_init *in, const struct frame *f)
{
	struct msg_lease l;

	if (msg_lease_decode(&l, f->payload, f->len))
		tb_lease_set(&in->lease, tb_now_ms(), l.ms);
}

static void
on_kill(struct tb_init *in, const struct frame *f)
{
	struct msg_kill k;

	if (msg_kill_decode(&k, f->payload, f->len))
		tb_task_kill(in, &k);
}

static void
on_data(struct tb_init *in, const struct frame *f)
{
	struct msg_data d;

	if (msg_data_decode(&d, f->payload, f->len))
		tb_task_data(in, &d);
}

static void
on_data_end(struct tb_init *in, const struct frame *f)
{
	struct msg_position p;

	if (msg_position_decode(&p, f->payload, f->len))
		tb_task_data_end(in, &p);
}

static void
leave(struct tb_init *in, int status)
{
	if (!in->leave)
		in->exit_status = status;
	in->leave = true;
}

static void
on_exit_frame(struct tb_init *in, const struct frame *f)
{
	(void)f;
	leave(in, TB_EXIT_DONE);
}

static const struct {
	enum frame_type type;
	void (*run)(struct tb_init *in, const struct frame *f);
} handlers[] = {
	{ FRAME_START, on_start },
	{ FRAME_ACK, on_ack },
	{ FRAME_CREDIT, on_credit },
	{ FRAME_LEASE, on_lease },
	{ FRAME_KILL, on_kill },
	{ FRAME_DATA, on_data },
	{ FRAME_DATA_END, on_data_end },
	{ FRAME_EXIT, on_exit_frame },
	{ FRAME_SPAWN, on_spawn },
};

static void
dispatch(struct tb_init *in, const struct frame *f)
{
	if (f->type == FRAME_HELLO) {
		on_hello(in, f);
		return;
	}
	/* Only who holds the stream now is heard. */
	if (!in->s.attached || f->epoch != in->s.epoch)
		return;
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].type == f->type)
			handlers[i].run(in, f);
}

static void
on_input(struct tb_init *in)
{
	struct frame f;

	if (!tb_stream_read(&in->s))
		leave(in, TB_EXIT_MEMORY);
	while (!in->leave && tb_stream_next(&in->s, &f))
		dispatch(in, &f);
	if (in->s.in < 0 && !in->lease.armed)
		leave(in, TB_EXIT_DETACHED);
}

/* --- processes --- */

static void
reap(struct tb_init *in)
{
	struct rusage ru;
	int status;
	pid_t p;

	while ((p = wait4(-1, &status, WNOHANG, &ru)) > 0) {
		if (tb_task_reaped(in, p, status, &ru) || !in->spawned || in->spawn_ended ||
		    p != in->spawn.pid)
			continue;
		tb_fill_exit(&in->spawn_result, status, &ru);
		tb_child_error(&in->spawn, &in->spawn_error);
		spawn_ended(in);
	}
}

static void
on_signal(struct tb_init *in)
{
	struct signalfd_siginfo si;

	while (read(in->sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (si.ssi_signo != SIGCHLD)
			leave(in, TB_EXIT_DONE);
	reap(in);
}

static void
read_background(struct tb_init *in, size_t i)
{
	static uint8_t b[16 << 10];
	ssize_t n = read(in->background[i], b, sizeof(b));

	if (n > 0 || (n < 0 && poll(&(struct pollfd){ in->background[i], POLLIN, 0 }, 1, 0) == 0))
		return;
	close(in->background[i]);
	in->background[i] = in->background[--in->nbackground];
}

/* --- the loop --- */

enum { P_IN, P_OUT, P_SIG, P_LOG, P_DATA, P_FIXED };

static short
data_events(const struct tb_init *in)
{
	const struct tb_task *t = &in->t;

	if (!t->running || t->child.data < 0)
		return 0;
	if (t->kind == MSG_RESTORE)
		return t->data.start != t->data.end ? POLLOUT : 0;
	if (t->archive_cut || !in->s.attached || t->archive_credit <= t->archive_sent)
		return 0;
	return in->s.cur == NULL ? POLLIN : 0;
}

static size_t
fill_poll(const struct tb_init *in, struct pollfd *p, bool blocked)
{
	const struct tb_task *t = &in->t;
	bool log = t->running && t->child.log >= 0 && tb_logwin_space(&t->log) > 0;
	short data = data_events(in);

	p[P_IN] = (struct pollfd){ in->s.in, POLLIN, 0 };
	p[P_OUT] = (struct pollfd){ blocked ? in->s.out : -1, POLLOUT, 0 };
	p[P_SIG] = (struct pollfd){ in->sigfd, POLLIN, 0 };
	p[P_LOG] = (struct pollfd){ log ? t->child.log : -1, POLLIN, 0 };
	p[P_DATA] = (struct pollfd){ data != 0 ? t->child.data : -1, data, 0 };
	for (size_t i = 0; i < in->nbackground; i++)
		p[P_FIXED + i] = (struct pollfd){ in->background[i], POLLIN, 0 };
	return P_FIXED + in->nbackground;
}

static int
wait_ms(const struct tb_init *in, int64_t now)
{
	int w = tb_lease_wait(&in->lease, now);

	if (in->t.kill_armed) {
		int64_t k = in->t.kill_at > now ? in->t.kill_at - now : 0;
		if (k > INT_MAX)
			k = INT_MAX;
		if (w < 0 || k < w)
			w = (int)k;
	}
	return w;
}

static void
turn(struct tb_init *in, bool blocked)
{
	static struct pollfd p[P_FIXED + TB_BACKGROUND_MAX];
	size_t n = fill_poll(in, p, blocked);

	if (poll(p, n, wait_ms(in, tb_now_ms())) < 0)
		return;
	for (size_t i = n; i-- > P_FIXED;) /* backwards: a closed one swaps with the last */
		if (p[i].revents != 0)
			read_background(in, i - P_FIXED);
	if (p[P_LOG].revents != 0)
		tb_task_read_log(in);
	if (p[P_SIG].revents != 0)
		on_signal(in);
	if (p[P_DATA].revents != 0 && in->t.kind == MSG_RESTORE)
		tb_task_feed(in);
	if (p[P_IN].revents != 0)
		on_input(in);
	int64_t now = tb_now_ms();
	tb_task_timer(in, now);
	if (tb_lease_over(&in->lease, now))
		leave(in, TB_EXIT_LEASE);
}

static int
open_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int
tb_init_run(const struct tb_opts *o)
{
	struct tb_init *in = tb_malloc(sizeof(*in));

	memset(in, 0, sizeof(*in));
	in->o = o;
	in->spawn = (struct tb_child){ .log = -1, .err = -1, .data = -1 };
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	tb_stream_init(&in->s, o->in, o->out);
	tb_task_init(&in->t);
	in->sigfd = open_signals();
	while (!in->leave) {
		/* A step that ended is drained as far as the window allows, then has its result. */
		if (in->t.exited)
			tb_task_read_log(in);
		tb_task_send(in);
		tb_task_check(in);
		tb_task_send(in);
		turn(in, in->s.cur != NULL);
	}
	tb_proc_kill_all();
	tb_step_cleanup(o);
	tb_task_send(in);
	int status = in->exit_status;
	tb_task_fini(&in->t);
	tb_child_close(&in->spawn);
	for (size_t i = 0; i < in->nbackground; i++)
		close(in->background[i]);
	tb_stream_fini(&in->s);
	close(in->sigfd);
	free(in);
	return status;
}

/* --- service containers --- */

static void
service_say(struct tb_stream *s, enum frame_type type, const char *error)
{
	char *text = tb_strdup(error);
	struct msg_result r = {
		.step = -1, .exit_status = type == FRAME_RESULT ? 0 : -1, .error = text
	};
	struct msg_welcome w = { .version = FRAME_VERSION, .step = TB_NO_STEP };
	size_t n = 0;
	uint8_t *p = type == FRAME_WELCOME ? msg_welcome_encode(&w, &n) : msg_result_encode(&r, &n);

	free(text);
	tb_stream_control(s, type, p, n);
}

static void
service_ready(void *stream)
{
	service_say(stream, FRAME_RESULT, "");
	tb_stream_flush(stream);
}

/* Comes back only when the command could not be started. */
static int
become(const struct tb_opts *o, struct tb_stream *s, const struct frame *f)
{
	struct msg_start m;
	struct tb_err e = { "" };

	if (!msg_start_decode(&m, f->payload, f->len)) {
		service_say(s, FRAME_REFUSED, "a SPAWN frame could not be understood");
		return -1;
	}
	m.step = -1;
	m.kind = MSG_RUN;
	/* The stream stays open (close on exec) to say why it failed. */
	dup2(o->null_fd, STDIN_FILENO);
	dup2(o->null_fd, STDOUT_FILENO);
	dup2(o->null_fd, STDERR_FILENO);
	int status = tb_exec(o, &m, service_ready, s, &e);
	msg_start_fini(&m);
	service_say(s, FRAME_REFUSED, e.text);
	return status;
}

static int
service_frame(const struct tb_opts *o, struct tb_stream *s, const struct frame *f)
{
	struct msg_hello h;

	if (f->type == FRAME_HELLO && accept_hello(s, f, &h))
		service_say(s, FRAME_WELCOME, "");
	if (f->type == FRAME_HELLO || !s->attached || f->epoch != s->epoch)
		return -1;
	if (f->type == FRAME_EXIT)
		return TB_EXIT_DONE;
	if (f->type == FRAME_SPAWN) {
		tb_stream_flush(s);
		return become(o, s, f);
	}
	return -1;
}

int
tb_service_run(const struct tb_opts *o)
{
	struct tb_stream s;
	struct frame f;
	int status = -1;
	struct tb_lease none = { 0 };

	signal(SIGPIPE, SIG_IGN);
	tb_stream_init(&s, o->in, o->out);
	while (status < 0 && s.in >= 0) {
		struct pollfd p[] = { { s.in, POLLIN, 0 },
			{ tb_stream_flush(&s) ? s.out : -1, POLLOUT, 0 } };
		if (poll(p, 2, tb_lease_wait(&none, 0)) < 0)
			continue;
		if (p[0].revents != 0 && !tb_stream_read(&s))
			status = TB_EXIT_MEMORY;
		while (status < 0 && tb_stream_next(&s, &f))
			status = service_frame(o, &s, &f);
	}
	tb_stream_flush(&s);
	tb_stream_fini(&s);
	return status < 0 ? TB_EXIT_DETACHED : status;
}
