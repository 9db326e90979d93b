/* The loop's order and ownership promises, and workers' bounds and keyed order. */
#include "common/loop.h"
#include "common/work.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define POSTS 2000

struct counter {
	struct loop *loop;
	int next;
	bool in_order;
};
struct numbered {
	struct counter *c;
	int n;
};

static void
on_number(void *arg)
{
	struct numbered *m = arg;
	m->c->in_order = m->c->in_order && m->n == m->c->next;
	if (++m->c->next == POSTS)
		loop_quit(m->c->loop);
	free(m);
}

static void *
poster(void *arg)
{
	struct counter *c = arg;
	for (int i = 0; i < POSTS; i++) {
		struct numbered *m = malloc(sizeof(*m));
		*m = (struct numbered){ c, i };
		if (!loop_post(c->loop, "number", on_number, m))
			abort();
	}
	return NULL;
}

static void
posts_of_another_thread_keep_their_order(void **state)
{
	(void)state;
	struct counter c = { .loop = loop_new(), .in_order = true };
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, poster, &c), 0);
	loop_run(c.loop);
	pthread_join(t, NULL);
	assert_int_equal(c.next, POSTS);
	assert_true(c.in_order);
	loop_free(c.loop);
}

static struct loop_timer *self_timer;
static struct loop *self_loop;
static bool deferred_ran;

static void
on_deferred(void *arg)
{
	deferred_ran = true;
	loop_quit(arg);
}

static void
free_own_timer(void *arg)
{
	loop_timer_free(self_timer);
	loop_defer(self_loop, on_deferred, arg);
	assert_false(deferred_ran);
}

static void
timer_may_free_itself_and_deferred_runs_later(void **state)
{
	(void)state;
	self_loop = loop_new();
	deferred_ran = false;
	self_timer = loop_timer_new(self_loop, "self", free_own_timer, self_loop);
	assert_false(loop_timer_armed(self_timer));
	loop_timer_start(self_timer, 1);
	assert_true(loop_timer_armed(self_timer));
	loop_run(self_loop);
	assert_true(deferred_ran);
	loop_free(self_loop);
}

static void
on_readable(int fd, unsigned what, void *arg)
{
	char c;
	assert_int_equal(what, LOOP_READ);
	assert_int_equal(read(fd, &c, 1), 1);
	loop_quit(arg);
}

static void
io_watches_and_pauses(void **state)
{
	(void)state;
	int p[2];
	assert_int_equal(pipe(p), 0);
	struct loop *loop = loop_new();
	struct loop_io *io = loop_io_new(loop, p[0], on_readable, loop);
	assert_int_equal(write(p[1], "x", 1), 1);
	loop_run_once(loop, 0); /* not set yet: must not fire */
	loop_io_set(io, LOOP_READ);
	loop_run(loop);
	loop_io_free(io);
	loop_free(loop);
	close(p[0]);
	close(p[1]);
}

static void
set_flag(void *arg)
{
	*(bool *)arg = true;
}

static void
free_runs_what_was_posted(void **state)
{
	(void)state;
	bool ran = false;
	struct loop *loop = loop_new();
	assert_true(loop_post(loop, "late", set_flag, &ran));
	loop_free(loop);
	assert_true(ran);
}

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool open, entered;
	int order[8], n, done;
};

static void
wait_at_gate(void *thread_state, void *arg)
{
	(void)thread_state;
	struct gate *g = arg;
	pthread_mutex_lock(&g->lock);
	g->entered = true;
	pthread_cond_broadcast(&g->moved);
	while (!g->open)
		pthread_cond_wait(&g->moved, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void
gate_open(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->moved);
	pthread_mutex_unlock(&g->lock);
}

static void
gate_wait_entered(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	while (!g->entered)
		pthread_cond_wait(&g->moved, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void
full_queue_refuses(void **state)
{
	(void)state;
	struct gate g = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };
	struct loop *loop = loop_new();
	struct work_pool *pool =
	    work_new(loop, &(struct work_options){ .name = "test", .threads = 1, .queue_max = 1 });
	assert_true(work_submit(pool, "gate", 0, wait_at_gate, NULL, &g));
	gate_wait_entered(&g);
	assert_true(work_submit(pool, "queued", 0, wait_at_gate, NULL, &g));
	assert_false(work_submit(pool, "too many", 0, wait_at_gate, NULL, &g));
	assert_int_equal(work_pending(pool), 2);
	gate_open(&g);
	work_stop(pool);
	assert_int_equal(work_pending(pool), 0);
	assert_false(work_submit(pool, "stopped", 0, wait_at_gate, NULL, &g));
	work_free(pool);
	loop_free(loop);
}

struct keyed {
	struct gate *g;
	int n;
	bool first;
};

static void
note_order(void *thread_state, void *arg)
{
	struct keyed *k = arg;
	if (k->first)
		wait_at_gate(thread_state, k->g);
	pthread_mutex_lock(&k->g->lock);
	k->g->order[k->g->n++] = k->n;
	pthread_mutex_unlock(&k->g->lock);
}

static void
note_done(void *arg)
{
	((struct keyed *)arg)->g->done++;
}

static void
keyed_round(void)
{
	struct gate g = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };
	struct loop *loop = loop_new();
	struct work_pool *pool =
	    work_new(loop, &(struct work_options){ .name = "test", .threads = 3, .queue_max = 10 });
	struct keyed k[4];
	for (int i = 0; i < 4; i++) {
		k[i] = (struct keyed){ &g, i, i == 0 };
		assert_true(
		    work_submit(pool, "keyed", work_key("run"), note_order, note_done, &k[i]));
	}
	gate_wait_entered(&g);
	gate_open(&g);
	work_stop(pool);
	for (int i = 0; i < 4; i++)
		assert_int_equal(g.order[i], i);
	loop_run_once(loop, 0);
	assert_int_equal(g.done, 4);
	work_free(pool);
	loop_free(loop);
}

/* In rounds, since stopping meets the idle threads awake or asleep as it happens: it has to end
 * either way. */
static void
equal_keys_run_one_after_another(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++)
		keyed_round();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posts_of_another_thread_keep_their_order),
		cmocka_unit_test(timer_may_free_itself_and_deferred_runs_later),
		cmocka_unit_test(io_watches_and_pauses),
		cmocka_unit_test(free_runs_what_was_posted),
		cmocka_unit_test(full_queue_refuses),
		cmocka_unit_test(equal_keys_run_one_after_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
