#include "common/loop.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loop_item {
	struct loop_item *next;
	const char *name;
	loop_fn fn;
	void *arg;
};

struct loop_list {
	struct loop_item *head, **tail;
};

struct loop_sig {
	struct loop_sig *next;
	struct event *ev;
	loop_signal_fn fn;
	void *arg;
};

struct loop {
	struct event_base *base;
	struct event *wake_ev;
	struct event *defer_ev;
	int wake_fd;
	pthread_mutex_t lock; /* guards posted and closed only */
	struct loop_list posted;
	bool closed;
	struct loop_list deferred; /* loop thread only */
	struct loop_sig *signals;
	atomic_bool quit;
};

struct loop_timer {
	struct event *ev;
	const char *name;
	loop_fn fn;
	void *arg;
};

struct loop_io {
	struct loop *loop;
	struct event *ev;
	int fd;
	loop_io_fn fn;
	void *arg;
};

static void
list_init(struct loop_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void
list_push(struct loop_list *l, struct loop_item *it)
{
	it->next = NULL;
	*l->tail = it;
	l->tail = &it->next;
}

static struct loop_item *
list_pop(struct loop_list *l)
{
	struct loop_item *it = l->head;
	if (it == NULL)
		return NULL;
	l->head = it->next;
	if (l->head == NULL)
		l->tail = &l->head;
	return it;
}

static void
call_timed(const char *name, loop_fn fn, void *arg)
{
	int64_t start = clock_mono_ms();
	fn(arg);
	int64_t took = clock_mono_ms() - start;
	if (took > LOOP_SLOW_MS)
		log_warn("slow callback", LOG_STR("name", name), LOG_I64("ms", took));
}

static struct loop_item *
take_posted(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	struct loop_item *it = list_pop(&loop->posted);
	pthread_mutex_unlock(&loop->lock);
	return it;
}

static void
wake(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t ignored = write(loop->wake_fd, &one, sizeof(one));
	(void)ignored; /* full means that a wake-up is pending already */
}

static void
run_posted(struct loop *loop)
{
	struct loop_item *it = NULL;
	for (int i = 0; i < LOOP_POSTS_PER_TURN && (it = take_posted(loop)) != NULL; i++) {
		call_timed(it->name, it->fn, it->arg);
		free(it);
	}
	if (it != NULL)
		wake(loop);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	uint64_t n;
	ssize_t ignored = read(fd, &n, sizeof(n));
	(void)ignored;
	run_posted(arg);
}

static void
on_defer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct loop *loop = arg;
	struct loop_list now = loop->deferred;
	if (now.head == NULL)
		return;
	list_init(&loop->deferred);
	for (struct loop_item *it = now.head, *next; it != NULL; it = next) {
		next = it->next;
		call_timed("deferred", it->fn, it->arg);
		free(it);
	}
}

struct loop *
loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));
	list_init(&loop->posted);
	list_init(&loop->deferred);
	MUST(pthread_mutex_init(&loop->lock, NULL) == 0);
	atomic_init(&loop->quit, false);
	loop->base = event_base_new();
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	MUST(loop->base != NULL && loop->wake_fd >= 0);
	loop->wake_ev = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
	loop->defer_ev = event_new(loop->base, -1, 0, on_defer, loop);
	MUST(loop->wake_ev != NULL && loop->defer_ev != NULL);
	event_add(loop->wake_ev, NULL);
	return loop;
}

static void
drain(struct loop *loop)
{
	for (;;) {
		struct loop_item *it = take_posted(loop);
		if (it == NULL && loop->deferred.head == NULL)
			return;
		if (it != NULL) {
			it->fn(it->arg);
			free(it);
		}
		on_defer(-1, 0, loop);
	}
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	pthread_mutex_lock(&loop->lock);
	loop->closed = true;
	pthread_mutex_unlock(&loop->lock);
	drain(loop);
	for (struct loop_sig *s = loop->signals, *next; s != NULL; s = next) {
		next = s->next;
		event_free(s->ev);
		free(s);
	}
	event_free(loop->wake_ev);
	event_free(loop->defer_ev);
	event_base_free(loop->base);
	close(loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

void
loop_run(struct loop *loop)
{
	while (!atomic_load(&loop->quit))
		event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
	atomic_store(&loop->quit, false);
}

static void
on_once(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void
loop_run_once(struct loop *loop, int max_ms)
{
	struct event *ev = NULL;
	if (max_ms >= 0) {
		struct timeval tv = { max_ms / 1000, (max_ms % 1000) * 1000L };
		ev = event_new(loop->base, -1, 0, on_once, NULL);
		MUST(ev != NULL);
		event_add(ev, &tv);
	}
	event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
	if (ev != NULL)
		event_free(ev);
}

void
loop_quit(struct loop *loop)
{
	atomic_store(&loop->quit, true);
	wake(loop);
}

bool
loop_post(struct loop *loop, const char *name, loop_fn fn, void *arg)
{
	struct loop_item *it = xmalloc(sizeof(*it));
	*it = (struct loop_item){ .name = name, .fn = fn, .arg = arg };
	pthread_mutex_lock(&loop->lock);
	bool closed = loop->closed;
	bool first = loop->posted.head == NULL;
	if (!closed)
		list_push(&loop->posted, it);
	pthread_mutex_unlock(&loop->lock);
	if (closed)
		free(it);
	else if (first)
		wake(loop);
	return !closed;
}

void
loop_defer(struct loop *loop, loop_fn fn, void *arg)
{
	struct loop_item *it = xmalloc(sizeof(*it));
	*it = (struct loop_item){ .name = "deferred", .fn = fn, .arg = arg };
	list_push(&loop->deferred, it);
	event_active(loop->defer_ev, EV_TIMEOUT, 0);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct loop_timer *t = arg;
	call_timed(t->name, t->fn, t->arg); /* may free t */
}

struct loop_timer *
loop_timer_new(struct loop *loop, const char *name, loop_fn fn, void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));
	*t = (struct loop_timer){ .name = name, .fn = fn, .arg = arg };
	t->ev = event_new(loop->base, -1, 0, on_timer, t);
	MUST(t->ev != NULL);
	return t;
}

void
loop_timer_start(struct loop_timer *t, int64_t ms)
{
	MUST(ms >= 0);
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };
	event_add(t->ev, &tv);
}

void
loop_timer_stop(struct loop_timer *t)
{
	event_del(t->ev);
}

bool
loop_timer_armed(const struct loop_timer *t)
{
	return event_pending(t->ev, EV_TIMEOUT, NULL) != 0;
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	event_free(t->ev);
	free(t);
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;
	unsigned ready = (what & EV_READ ? LOOP_READ : 0u) | (what & EV_WRITE ? LOOP_WRITE : 0u);
	io->fn(fd, ready, io->arg); /* may free io */
}

struct loop_io *
loop_io_new(struct loop *loop, int fd, loop_io_fn fn, void *arg)
{
	struct loop_io *io = xcalloc(1, sizeof(*io));
	*io = (struct loop_io){ .loop = loop, .fd = fd, .fn = fn, .arg = arg };
	return io;
}

void
loop_io_set(struct loop_io *io, unsigned what)
{
	if (io->ev != NULL)
		event_free(io->ev);
	io->ev = NULL;
	if (what == 0)
		return;
	short want = (short)((what & LOOP_READ ? EV_READ : 0) | (what & LOOP_WRITE ? EV_WRITE : 0));
	io->ev = event_new(io->loop->base, io->fd, (short)(want | EV_PERSIST), on_io, io);
	MUST(io->ev != NULL);
	event_add(io->ev, NULL);
}

void
loop_io_free(struct loop_io *io)
{
	if (io == NULL)
		return;
	if (io->ev != NULL)
		event_free(io->ev);
	free(io);
}

static void
on_signal(evutil_socket_t signum, short what, void *arg)
{
	(void)what;
	struct loop_sig *s = arg;
	s->fn((int)signum, s->arg);
}

void
loop_on_signal(struct loop *loop, int signum, loop_signal_fn fn, void *arg)
{
	struct loop_sig *s = xcalloc(1, sizeof(*s));
	*s = (struct loop_sig){ .next = loop->signals, .fn = fn, .arg = arg };
	s->ev = evsignal_new(loop->base, signum, on_signal, s);
	MUST(s->ev != NULL);
	event_add(s->ev, NULL);
	loop->signals = s;
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}
