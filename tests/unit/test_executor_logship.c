/*
 * A step's log on its way from the spool, over a real socket: all of it arrives once and in order,
 * whatever the other side forgot, and its end only after all that was said.
 */
#include "common/mem.h"
#include "executor.pb-c.h"
#include "executor/logship.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#define TASK "22222222-3333-4444-8555-666666666666"
#define STEP 0
#define WAIT_MS 20000

static const uint8_t key[CRYPTO_KEY_LEN] = { 4, 2 };

struct fixture {
	char *dir, *url;
	struct loop *loop;
	struct work_pool *pool;
	struct rpc_server *server;
	struct ex_rs *rs;
	struct ex_spool *spool;
	struct ex_logship *ship;
	sem_t go; /* the pool's only thread waits for it */
	/* the other side */
	struct buf log;
	uint64_t stored;
	bool ended, refuse;
	size_t forget_at; /* once it has so much it has only half of it again; 0 = never */
	/* ours */
	enum err_code refused;
};

static void
take(struct fixture *f, const Millrace__LogAppendRequest *q)
{
	char piece[EX_LOG_PIECE_MAX];
	size_t n = q->data.len;

	if (q->zstd) {
		n = ZSTD_decompress(piece, sizeof(piece), q->data.data, n);
		assert_false(ZSTD_isError(n));
	} else if (n > 0) {
		assert_in_range(n, 1, sizeof(piece));
		memcpy(piece, q->data.data, n);
	}
	if (q->offset != f->log.len)
		return; /* it asks what we have by that */
	assert_false(f->ended && n > 0);
	buf_append(&f->log, piece, n);
	if (f->forget_at > 0 && f->log.len >= f->forget_at) {
		f->log.len /= 2;
		f->forget_at = 0;
		return;
	}
	if (q->flush)
		f->stored = f->log.len;
	f->ended |= q->end;
}

static void
on_append(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct fixture *f = arg;
	Millrace__LogAppendRequest *q = millrace__log_append_request__unpack(NULL, len, body);
	Millrace__LogAppendReply reply = MILLRACE__LOG_APPEND_REPLY__INIT;
	uint8_t packed[64];
	struct err *err = NULL;

	assert_non_null(q);
	assert_string_equal(q->attempt->task_id, TASK);
	assert_int_equal(q->step, STEP);
	if (f->refuse) {
		(void)!err_set(&err, ERR_CONFLICT, "not yours any more");
		rpc_fail(call, &err);
	} else {
		take(f, q);
		reply.received = f->log.len;
		reply.stored = f->stored;
		rpc_reply(call, packed, millrace__log_append_reply__pack(&reply, packed));
	}
	millrace__log_append_request__free_unpacked(q, NULL);
}

static int
peer_key(uint8_t out[CRYPTO_KEY_LEN], const char *peer, void *arg, struct err **err)
{
	(void)peer;
	(void)arg;
	(void)err;
	memcpy(out, key, CRYPTO_KEY_LEN);
	return 0;
}

static void
on_durable(void *arg)
{
	struct fixture *f = arg;

	if (f->ship != NULL)
		ex_logship_kick(f->ship);
}

static void
on_progress(struct err **err, void *arg)
{
	if (*err != NULL)
		((struct fixture *)arg)->refused = (*err)->code;
}

static int
setup(void **state)
{
	static const struct rpc_method methods[] = { { .name = "log.append", .fn = on_append } };
	static const struct work_options one = { .name = "work", .threads = 1, .queue_max = 10 };
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct rpc_client *client;

	*state = f;
	f->dir = xstrdup("/tmp/test_logship.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->url = xasprintf("ipc://%s/rpc", f->dir);
	assert_int_equal(sem_init(&f->go, 0, 0), 0);
	f->loop = loop_new();
	f->pool = work_new(f->loop, &one);
	const struct rpc_server_options so = { .url = f->url,
		.methods = methods,
		.nmethods = ARRAY_LEN(methods),
		.peer_key = peer_key,
		.arg = f };
	assert_int_equal(rpc_server_new(&f->server, f->loop, &so, NULL), 0);
	const struct rpc_client_options co = { .url = f->url, .peer = "executor", .key = key };
	assert_int_equal(rpc_client_new(&client, f->loop, &co, NULL), 0);
	f->rs = ex_rs_new(f->loop, client);
	auto_free char *spool = xasprintf("%s/spool", f->dir);
	assert_int_equal(
	    ex_spool_open(&f->spool, f->loop, f->pool, spool, 1, on_durable, f, NULL), 0);
	const struct ex_logship_options lo = { .loop = f->loop,
		.pool = f->pool,
		.rs = f->rs,
		.spool = f->spool,
		.task_id = TASK,
		.fence = 1,
		.step = STEP,
		.on_progress = on_progress,
		.arg = f };
	f->ship = ex_logship_new(&lo);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ex_logship_free(f->ship);
	ex_spool_free(f->spool, true);
	while (work_pending(f->pool) > 0)
		loop_run_once(f->loop, 100);
	work_stop(f->pool);
	work_free(f->pool);
	ex_rs_free(f->rs);
	rpc_server_free(f->server);
	loop_free(f->loop);
	sem_destroy(&f->go);
	buf_free(&f->log);
	ex_spool_file_remove(f->dir);
	free(f->dir);
	free(f->url);
	free(f);
	return 0;
}

static void
wait_finished(struct fixture *f)
{
	while (!ex_logship_finished(f->ship) && f->refused == 0)
		loop_run_once(f->loop, WAIT_MS);
}

static void
say(struct fixture *f, uint64_t *raw, const char *text, size_t n)
{
	*raw += n;
	ex_spool_append(f->spool, STEP, *raw, text, n);
}

static void
hold(void *state, void *arg)
{
	struct fixture *f = arg;

	(void)state;
	while (sem_wait(&f->go) != 0)
		;
}

static void
the_end_waits_for_what_was_said(void **state)
{
	struct fixture *f = *state;
	uint64_t raw = 0;

	/* The disk is busy when the last line is said and the log ends. */
	assert_true(work_submit(f->pool, "hold", 0, hold, NULL, f));
	say(f, &raw, "last words\n", 11);
	ex_logship_end(f->ship);
	assert_int_equal(ex_spool_durable(f->spool, STEP).raw, 0);
	assert_int_equal(sem_post(&f->go), 0);
	wait_finished(f);
	assert_true(f->ended);
	assert_string_equal(buf_str(&f->log), "last words\n");
	assert_int_equal(ex_logship_stored(f->ship), 11);
}

static void
an_empty_log_ends(void **state)
{
	struct fixture *f = *state;

	ex_logship_end(f->ship);
	wait_finished(f);
	assert_true(f->ended);
	assert_int_equal(f->log.len, 0);
}

/* Several pieces, compressed; the other side loses half of what it received in the middle. */
static void
what_was_forgotten_is_sent_again(void **state)
{
	struct fixture *f = *state;
	auto_buf want = BUF_INIT;
	uint64_t raw = 0;

	f->forget_at = 2 * EX_LOG_PIECE_MAX;
	for (int i = 0; want.len < 5 * EX_LOG_PIECE_MAX; i++) {
		char line[64];
		int n = snprintf(line, sizeof(line), "line %d of %zu\n", i, want.len);

		buf_append(&want, line, (size_t)n);
		say(f, &raw, line, (size_t)n);
	}
	ex_logship_end(f->ship);
	wait_finished(f);
	assert_int_equal(f->forget_at, 0);
	assert_true(f->ended);
	assert_int_equal(f->log.len, want.len);
	assert_memory_equal(f->log.data, want.data, want.len);
	assert_int_equal(ex_logship_stored(f->ship), want.len);
}

static void
a_refusal_is_told_and_ends_it(void **state)
{
	struct fixture *f = *state;
	uint64_t raw = 0;

	f->refuse = true;
	say(f, &raw, "x\n", 2);
	wait_finished(f);
	assert_int_equal(f->refused, ERR_CONFLICT);
	assert_false(ex_logship_finished(f->ship));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_end_waits_for_what_was_said, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_log_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_forgotten_is_sent_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refusal_is_told_and_ends_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
