/*
 * Batches of events on a real PostgreSQL: what shares a transaction, what a failing event does to
 * the others, and that a full queue refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "runservice/batch.h"
#include "tests/lib/rs_peer.h"

#include <stdio.h>
#include <string.h>

struct probe {
	struct rs_job job;
	int fail;   /* code of its error, or 0 */
	bool spoil; /* after it changed something */
	struct id request;
	/* results */
	char xid[32]; /* of its transaction */
	int rc, applied;
	size_t *done;
};

static int
probe_apply(struct rs_tx *tx, struct rs_job *job, struct err **err)
{
	struct probe *x = (struct probe *)job;
	auto_result *r = NULL;
	x->applied++;
	int rc = db_exec_sql(&r, tx->db, "select pg_current_xact_id()::text as xid", err);
	if (rc != 0)
		return rc;
	snprintf(x->xid, sizeof(x->xid), "%s", db_text(r, 0, "xid"));
	if (x->fail == 0 || x->spoil)
		rs_write_request(tx->writes, x->request.s, "", 0);
	tx->spoiled = x->spoil;
	return x->fail ? err_set(err, (enum err_code)x->fail, "as it was told") : 0;
}

static void
probe_done(struct rs_job *job)
{
	struct probe *x = (struct probe *)job;
	x->rc = job->rc;
	err_clear(&job->err);
	(*x->done)++;
}

static void
submit(struct rs_peer *p, struct probe *x, size_t *done)
{
	x->request = id_new();
	x->done = done;
	x->job.apply = probe_apply;
	x->job.done = probe_done;
	rs_batch_submit(p->rs, &x->job);
}

static void
run_all(struct rs_peer *p, struct probe *list, size_t n)
{
	size_t done = 0;
	for (size_t i = 0; i < n; i++)
		submit(p, &list[i], &done);
	while (done < n)
		rs_peer_turn(p, 5);
}

static bool
is_stored(struct rs_peer *p, const struct probe *x)
{
	auto_free char *sql =
	    xasprintf("select count(*) from requests where id = '%s'", x->request.s);
	auto_free char *n = rs_peer_sql(p, sql);
	return strcmp(n, "1") == 0;
}

/* The first is on its way when the others come. */
static void
what_gathers_is_one_transaction(void **state)
{
	struct rs_peer *p = *state;
	struct probe list[100] = { 0 };
	run_all(p, list, ARRAY_LEN(list));
	assert_string_not_equal(list[0].xid, list[1].xid);
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		assert_int_equal(list[i].rc, 0);
		assert_true(i == 0 || strcmp(list[i].xid, list[1].xid) == 0);
		assert_true(is_stored(p, &list[i]));
	}
}

static void
a_batch_is_bounded(void **state)
{
	struct rs_peer *p = *state;
	struct probe *list = xcalloc(RS_BATCH_MAX + 3, sizeof(*list));
	run_all(p, list, RS_BATCH_MAX + 3);
	assert_string_equal(list[1].xid, list[RS_BATCH_MAX].xid);
	assert_string_not_equal(list[1].xid, list[RS_BATCH_MAX + 1].xid);
	assert_string_equal(list[RS_BATCH_MAX + 1].xid, list[RS_BATCH_MAX + 2].xid);
	free(list);
}

static void
a_refusal_disturbs_nobody(void **state)
{
	struct rs_peer *p = *state;
	struct probe list[10] = { [5] = { .fail = ERR_CONFLICT } };
	run_all(p, list, ARRAY_LEN(list));
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		assert_int_equal(list[i].rc, i == 5 ? ERR_CONFLICT : 0);
		assert_int_equal(list[i].applied, 1);
		assert_true(is_stored(p, &list[i]) == (i != 5));
	}
	assert_string_equal(list[1].xid, list[9].xid);
}

static void
what_fails_is_tried_alone(void **state)
{
	struct rs_peer *p = *state;
	struct probe list[10] = { [5] = { .fail = ERR_INVALID, .spoil = true } }, more[3] = { 0 };
	run_all(p, list, ARRAY_LEN(list));
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		assert_int_equal(list[i].rc, i == 5 ? ERR_INVALID : 0);
		assert_true(is_stored(p, &list[i]) == (i != 5));
		assert_true(i == 1 || strcmp(list[i].xid, list[1].xid) != 0);
		assert_int_equal(list[i].applied, i == 0 ? 1 : i <= 5 ? 2 : 1);
	}
	/* And then they share again. */
	run_all(p, more, ARRAY_LEN(more));
	assert_string_equal(more[1].xid, more[2].xid);
}

static void
a_full_queue_refuses(void **state)
{
	struct rs_peer *p = *state;
	enum { OVER = 5, TOTAL = 1 + RS_BATCH_QUEUE_MAX + OVER };
	struct probe *list = xcalloc(TOTAL, sizeof(*list));
	size_t done = 0, refused = 0;
	for (size_t i = 0; i < TOTAL; i++) {
		list[i].fail = ERR_CONFLICT;
		submit(p, &list[i], &done);
	}
	while (done < TOTAL)
		rs_peer_turn(p, 5);
	for (size_t i = 0; i < TOTAL; i++)
		refused += list[i].rc == ERR_UNAVAILABLE;
	assert_int_equal(refused, OVER);
	assert_int_equal(list[TOTAL - 1].rc, ERR_UNAVAILABLE);
	assert_int_equal(list[TOTAL - 1].applied, 0);
	free(list);
}

static void
create(struct rs_call *c, struct rs_peer *p, const char *group, const char *request_id)
{
	Millrace__RunSpec spec = MILLRACE__RUN_SPEC__INIT, *list = &spec;
	Millrace__RunCreateRequest m = MILLRACE__RUN_CREATE_REQUEST__INIT;
	auto_free char *name = xstrdup("run"), *where = xstrdup(group), *id = xstrdup(request_id);
	spec.name = name;
	spec.group = where;
	m.request_id = id;
	m.runs = &list;
	m.n_runs = 1;
	rs_call_start(c, p, p->gateway, "run.create", &m);
}

/* Of an answer to one run. */
static uint64_t
number_of(const struct rs_call *c)
{
	Millrace__RunCreateReply *m = millrace__run_create_reply__unpack(NULL, c->len, c->body);
	assert_non_null(m);
	assert_int_equal(m->n_numbers, 1);
	uint64_t number = m->numbers[0];
	millrace__run_create_reply__free_unpacked(m, NULL);
	return number;
}

/* Many at once, one of them nonsense, two of them the same. */
static void
runs_are_numbered_without_gaps(void **state)
{
	enum { N = 60, BROKEN = 31, SAME = 40, AGAIN = 41 };
	struct rs_peer *p = *state;
	struct rs_call calls[N] = { 0 };
	bool given[N] = { false };
	struct id same = id_new();
	for (int i = 0; i < N; i++)
		create(&calls[i], p, i == BROKEN ? "nowhere" : RS_PEER_OWNER "/branch/main",
		    i == SAME || i == AGAIN ? same.s : id_new().s);
	for (int i = 0; i < N; i++)
		assert_int_equal(rs_call_wait(&calls[i]), i == BROKEN ? ERR_INVALID : 0);
	assert_true(number_of(&calls[SAME]) == number_of(&calls[AGAIN]));
	for (int i = 0; i < N; i++) {
		if (i == BROKEN || i == AGAIN)
			continue;
		uint64_t number = number_of(&calls[i]);
		assert_in_range(number, 1, N - 2);
		assert_false(given[number]);
		given[number] = true;
	}
	for (int i = 0; i < N; i++)
		rs_call_clear(&calls[i]);
	auto_free char *last = rs_peer_sql(p, "select last from counters");
	assert_string_equal(last, "58");
}

int
main(void)
{
#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, rs_peer_setup, rs_peer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_gathers_is_one_transaction),
		TEST(a_batch_is_bounded),
		TEST(a_refusal_disturbs_nobody),
		TEST(what_fails_is_tried_alone),
		TEST(a_full_queue_refuses),
		TEST(runs_are_numbered_without_gaps),
	};
	return cmocka_run_group_tests_name("runservice_batch", tests, NULL, NULL);
}
