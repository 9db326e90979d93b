/*
 * The runservice's SQL against a real server (MILLRACE_TEST_DB): every statement prepared, then
 * each store's round trips, in a schema of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "common/buf.h"
#include "common/mem.h"
#include "runservice/store.h"
#include "runservice/store_write.h"

#include <stdio.h>
#include <string.h>

#define SCHEMA "test_rs_store"

struct fixture {
	struct db *db;
	struct rs_writes *w;
	int64_t epoch;
};

static const char *
conninfo(void)
{
	const char *s = getenv("MILLRACE_TEST_DB"); /* NOLINT(concurrency-mt-unsafe): one thread */
	if (!s)
		fail_msg("MILLRACE_TEST_DB is not set; use tests/lib/pg.sh run");
	return s;
}

static void
ok(int rc, struct err **err)
{
	if (rc != 0)
		fail_msg("%s", err_msg(*err));
}

#define OK(call_)                                                                                  \
	do {                                                                                       \
		auto_err err = NULL;                                                               \
		ok(call_, &err);                                                                   \
	} while (0)
#define FAILS(code_, call_)                                                                        \
	do {                                                                                       \
		auto_err err = NULL;                                                               \
		assert_int_equal(call_, code_);                                                    \
	} while (0)

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct db *raw = db_new(&(struct db_options){ .conninfo = conninfo() });
	crypto_init();
	OK(db_exec_sql(NULL, raw, "drop schema if exists " SCHEMA " cascade", &err));
	db_free(raw);
	OK(rs_store_migrate(conninfo(), SCHEMA, &err));
	f->db = rs_store_open(conninfo(), SCHEMA);
	f->w = rs_writes_new();
	OK(rs_store_leader_take(&f->epoch, f->db, "replica-a", 5000, &err));
	assert_true(f->epoch > 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	rs_writes_free(f->w);
	db_free(f->db);
	free(f);
	return 0;
}

static void
statements_are_valid(void **state)
{
	struct fixture *f = *state;
	/* Connecting prepared all of them; a second migration changes nothing. */
	OK(rs_store_assert_epoch(f->db, f->epoch, &err));
	OK(rs_store_migrate(conninfo(), SCHEMA, &err));
}

static void
only_one_leads(void **state)
{
	struct fixture *f = *state;
	int64_t other = -1, again = -1;
	OK(rs_store_leader_take(&other, f->db, "replica-b", 5000, &err));
	assert_int_equal(other, 0);
	/* The leader was challenged, and answers. */
	OK(rs_store_leader_confirm(f->db, f->epoch, &err));
	OK(rs_store_leader_take(&other, f->db, "replica-b", 0, &err));
	assert_int_equal(other, 0);
	/* Our own successor does not wait. */
	OK(rs_store_leader_take(&again, f->db, "replica-a", 5000, &err));
	assert_int_equal(again, f->epoch + 1);
	FAILS(ERR_UNAVAILABLE, rs_store_assert_epoch(f->db, f->epoch, &err));
	FAILS(ERR_CONFLICT, rs_store_leader_confirm(f->db, f->epoch, &err));
	OK(rs_store_leader_release(f->db, again, &err));
	OK(rs_store_leader_take(&other, f->db, "replica-b", 5000, &err));
	assert_int_equal(other, again + 1);
	/* A challenge that nobody answers. */
	OK(rs_store_leader_take(&again, f->db, "replica-a", 5000, &err));
	assert_int_equal(again, 0);
	OK(rs_store_leader_take(&again, f->db, "replica-a", 3600000, &err));
	assert_int_equal(again, 0);
	OK(rs_store_leader_take(&again, f->db, "replica-a", -1, &err));
	assert_int_equal(again, other + 1);
}

static void
make_run(struct rs_run *run, const char *owner)
{
	struct id id = id_new(), a = id_new(), b = id_new();
	rs_run_init(run);
	memcpy(run->id, id.s, sizeof(run->id));
	run->owner = xstrdup(owner);
	run->name = xstrdup("a run");
	run->group = xasprintf("%s/branch/main", owner);
	run->enqueue_ms = 1000;
	rs_run_add_task(run, a.s, "first", 2, false);
	struct rs_task *t = rs_run_add_task(run, b.s, "second", 1, false);
	t->needs_approval = true;
	t->level = 1;
	free(t->arch);
	t->arch = xstrdup("arm64");
	free(t->labels);
	t->labels = xstrdup("a=b\nc=\\\"d, {e}\"");
	t->privileged = true;
	rs_run_add_dep(run, 1, 0, RS_ON_SUCCESS | RS_ON_SKIPPED);
}

static void
a_run_comes_back_as_it_went(void **state)
{
	struct fixture *f = *state;
	struct rs_run run, got;
	struct rs_group_row *group = NULL;
	size_t n = 0;
	make_run(&run, "/project/p1");
	run.number = 1;
	OK(rs_store_group_runs(&group, &n, f->db, run.group, &err));
	assert_int_equal(n, 0);
	free(group);
	rs_write_run_new(f->w, &run);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(rs_store_group_runs(&group, &n, f->db, run.group, &err));
	assert_int_equal(n, 1);
	assert_string_equal(group[0].id, run.id);
	assert_false(group[0].running);
	free(group);
	OK(rs_run_apply(&run, RS_EV_START, RS_NO_TASK, 2000, NULL, &err));
	OK(rs_run_apply(&run, RS_EV_ASSIGN, 0, 2000, NULL, &err));
	run.tasks[0].executor = xstrdup("ex1");
	OK(rs_run_apply(&run, RS_EV_ACCEPT, 0, 2000, NULL, &err));
	run.tasks[0].steps[1].phase = RS_FAILED;
	run.tasks[0].steps[1].has_exit = true;
	run.tasks[0].steps[1].exit_status = 3;
	run.tasks[0].steps[1].error = xstrdup("it's \"bad\"");
	run.tasks[0].steps[1].changed = true;
	rs_write_attempt_offer(f->w, run.id, &run.tasks[0]);
	run.tasks[0].begun = true;
	run.tasks[0].reported = 7;
	rs_write_attempt_mark(f->w, &run.tasks[0]);
	rs_write_run(f->w, &run);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(rs_store_group_runs(&group, &n, f->db, run.group, &err));
	assert_true(n == 1 && group[0].running);
	free(group);
	OK(rs_store_run_load(&got, f->db, run.id, &err));
	assert_int_equal(got.phase, RS_RUN_RUNNING);
	assert_int_equal(got.start_ms, 2000);
	assert_int_equal(got.ntasks, 2);
	assert_int_equal(got.tasks[0].place, RS_HELD);
	assert_int_equal(got.tasks[0].fence, 1);
	assert_string_equal(got.tasks[0].executor, "ex1");
	assert_true(got.tasks[0].begun);
	assert_int_equal(got.tasks[0].reported, 7);
	assert_false(got.tasks[1].begun);
	assert_int_equal(got.tasks[0].steps[0].phase, RS_NOTSTARTED);
	assert_int_equal(got.tasks[0].steps[1].exit_status, 3);
	assert_string_equal(got.tasks[0].steps[1].error, "it's \"bad\"");
	assert_string_equal(got.tasks[1].arch, "arm64");
	assert_string_equal(got.tasks[1].labels, run.tasks[1].labels);
	assert_true(got.tasks[1].privileged && got.tasks[1].needs_approval);
	assert_int_equal(got.tasks[1].ndeps, 1);
	assert_int_equal(got.tasks[1].deps[0].conditions, RS_ON_SUCCESS | RS_ON_SKIPPED);
	rs_run_fini(&got);
	rs_run_fini(&run);
}

static void
numbers_and_history_are_per_owner(void **state)
{
	struct fixture *f = *state;
	char id[ID_LEN + 1];
	void *blob = NULL;
	size_t len = 0, n = 0;
	int64_t last = 0;
	struct rs_run a, b, c, gone;
	struct rs_list_row *rows = NULL;
	make_run(&a, "/user/u1");
	make_run(&b, "/user/u1");
	make_run(&c, "/user/u10");
	struct rs_run *all[] = { &a, &b, &c };
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		all[i]->number = i == 1 ? 2 : 1;
		all[i]->sequence = 100 + i;
		rs_write_run_new(f->w, all[i]);
	}
	rs_write_counter(f->w, a.owner, 2);
	rs_write_counter(f->w, c.owner, 1);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(rs_store_counter_get(&last, f->db, a.owner, &err));
	assert_int_equal(last, 2);
	OK(rs_store_counter_get(&last, f->db, "/user/u2", &err));
	assert_int_equal(last, 0);
	rs_write_counter(f->w, a.owner, 3);
	a.phase = RS_RUN_CANCELLED;
	rs_write_run_over(f->w, &a, "state", 5);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(rs_store_counter_get(&last, f->db, a.owner, &err));
	assert_int_equal(last, 3);
	FAILS(ERR_NOTFOUND, rs_store_run_load(&gone, f->db, a.id, &err));
	OK(rs_store_run_find(id, &blob, &len, f->db, "/user/u1", 1, &err));
	assert_string_equal(id, a.id);
	assert_memory_equal(blob, "state", 5);
	free(blob);
	OK(rs_store_run_find(id, &blob, &len, f->db, "/user/u1", 2, &err));
	assert_null(blob);
	FAILS(ERR_NOTFOUND, rs_store_run_find(id, &blob, &len, f->db, "/user/u1", 3, &err));
	const struct rs_list_query q = { .owner = "/user/u1",
		.group = "/user/u1/branch",
		.limit = 10,
		.phases = "{}",
		.results = "{}" };
	OK(rs_store_run_list(&rows, &n, f->db, &q, &err));
	assert_int_equal(n, 2);
	assert_string_equal(rows[0].id, b.id);
	assert_null(rows[0].state);
	assert_non_null(rows[1].state);
	free(rows[1].state);
	free(rows);
	const struct rs_list_query part = { .owner = "/user/u1",
		.group = "/user/u1/bran",
		.limit = 10,
		.phases = "{queued}",
		.results = "{unknown}" };
	OK(rs_store_run_list(&rows, &n, f->db, &part, &err));
	assert_int_equal(n, 0);
	free(rows);
	rs_run_fini(&a);
	rs_run_fini(&b);
	rs_run_fini(&c);
}

static void
attempts_are_fenced(void **state)
{
	struct fixture *f = *state;
	struct rs_attempt_row a, *rows = NULL;
	struct rs_renewed *ids = NULL;
	size_t n = 0;
	struct rs_run run;
	make_run(&run, "/project/p2");
	struct rs_task *t = &run.tasks[0];
	t->executor = xstrdup("ex1");
	t->fence = 1;
	rs_write_run_new(f->w, &run);
	rs_write_attempt_offer(f->w, run.id, t);
	OK(rs_writes_flush(f->w, f->db, &err));
	rs_write_attempt_offer(f->w, run.id, t);
	FAILS(ERR_CONFLICT, rs_writes_flush(f->w, f->db, &err));
	rs_write_attempt_hold(f->w, t->id, 1, "s1", 60000);
	t->begun = true;
	rs_write_attempt_mark(f->w, t);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(rs_store_attempt_get(&a, f->db, t->id, 1, &err));
	assert_int_equal(a.place, RS_HELD);
	assert_true(a.begun && !a.expired && a.left_ms > 50000);
	auto_free char *one = xasprintf("{%s}", t->id);
	OK(rs_store_attempts_renew(&ids, &n, f->db, "ex2", one, "{1}", 60000, &err));
	assert_int_equal(n, 0);
	free(ids);
	OK(rs_store_attempts_renew(&ids, &n, f->db, "ex1", one, "{2}", 60000, &err));
	assert_int_equal(n, 0);
	free(ids);
	OK(rs_store_attempts_renew(&ids, &n, f->db, "ex1", one, "{1}", -1, &err));
	assert_int_equal(n, 1);
	assert_string_equal(ids[0].task_id, t->id);
	assert_int_equal(ids[0].fence, 1);
	free(ids);
	OK(rs_store_attempts_expired(&rows, &n, f->db, &err));
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].executor, "ex1");
	rs_attempt_rows_free(rows, n);
	OK(rs_store_attempts_open(&rows, &n, f->db, "ex1", &err));
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].owner, "/project/p2");
	rs_attempt_rows_free(rows, n);
	rs_write_attempt_close(f->w, t, 1, "failed");
	OK(rs_writes_flush(f->w, f->db, &err));
	rs_write_attempt_hold(f->w, t->id, 1, "s1", 60000);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(rs_store_attempts_open(&rows, &n, f->db, NULL, &err));
	assert_int_equal(n, 0);
	rs_attempt_rows_free(rows, n);
	rs_run_fini(&run);
}

static void
log_segments_are_found_by_offset(void **state)
{
	struct fixture *f = *state;
	struct rs_log_id log = { .step = -1 }, other;
	struct rs_segment seg, one = { 0, 100, NULL }, two = { 100, 150, NULL },
	                       three = { 0, 50, NULL };
	uint64_t end = 9;
	bool deleted = true;
	char **keys = NULL;
	size_t n = 0;
	memcpy(log.task_id, id_new().s, sizeof(log.task_id));
	other = log;
	other.tries = 1;
	one.key = xstrdup("logs/a");
	two.key = xstrdup("logs/b");
	three.key = xstrdup("logs/c");
	OK(rs_store_log_end(&end, f->db, &log, &err));
	assert_int_equal(end, 0);
	OK(rs_store_log_add(f->db, &log, 1, &one, &err));
	OK(rs_store_log_add(f->db, &log, 1, &two, &err));
	FAILS(ERR_CONFLICT, rs_store_log_add(f->db, &log, 1, &two, &err));
	OK(rs_store_log_find(&seg, &end, &deleted, f->db, &log, 99, &err));
	assert_string_equal(seg.key, "logs/a");
	assert_int_equal(end, 150);
	assert_false(deleted);
	free(seg.key);
	OK(rs_store_log_find(&seg, &end, &deleted, f->db, &log, 150, &err));
	assert_null(seg.key);
	/* Another try of the task has a log of its own, from 0. */
	OK(rs_store_log_end(&end, f->db, &other, &err));
	assert_int_equal(end, 0);
	OK(rs_store_log_add(f->db, &other, 2, &three, &err));
	OK(rs_store_log_find(&seg, &end, &deleted, f->db, &other, 0, &err));
	assert_string_equal(seg.key, "logs/c");
	free(seg.key);
	OK(rs_store_log_delete(f->db, &log, &err));
	OK(rs_store_log_find(&seg, &end, &deleted, f->db, &other, 0, &err));
	assert_false(deleted);
	assert_string_equal(seg.key, "logs/c");
	free(seg.key);
	OK(rs_store_log_reset(f->db, log.task_id, 0, &err));
	OK(rs_store_log_end(&end, f->db, &other, &err));
	assert_int_equal(end, 50);
	OK(rs_store_log_reset(f->db, log.task_id, 1, &err));
	OK(rs_store_log_end(&end, f->db, &other, &err));
	assert_int_equal(end, 0);
	OK(rs_store_log_find(&seg, &end, &deleted, f->db, &log, 0, &err));
	assert_true(deleted);
	assert_null(seg.key);
	OK(rs_store_garbage_list(&keys, &n, f->db, &err));
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		OK(rs_store_garbage_forget(f->db, keys[i], &err));
		free(keys[i]);
	}
	free(keys);
	free(one.key);
	free(two.key);
	free(three.key);
}

static void
archives_exist_when_complete(void **state)
{
	struct fixture *f = *state;
	struct id run = id_new(), task = id_new(), archive = id_new(), cache = id_new();
	struct rs_archive_row made = { .fence = 3, .tries = 1, .step = 2 };
	uint8_t sha[32] = { 7 };
	char id[ID_LEN + 1];
	struct rs_archive_row row;
	struct rs_part_row *parts = NULL;
	size_t n = 0;
	uint32_t total = 0;
	memcpy(made.run_id, run.s, sizeof(made.run_id));
	memcpy(made.task_id, task.s, sizeof(made.task_id));
	OK(rs_store_archive_begin(f->db, archive.s, &made, &err));
	OK(rs_store_archive_of_step(id, f->db, task.s, 1, 2, &err));
	assert_string_equal(id, "");
	OK(rs_store_archive_part(f->db, archive.s, 0, 10, sha, &err));
	OK(rs_store_archive_part(f->db, archive.s, 1, 20, sha, &err));
	OK(rs_store_archive_done(f->db, archive.s, &err));
	OK(rs_store_archive_of_step(id, f->db, task.s, 1, 2, &err));
	assert_string_equal(id, archive.s);
	/* Of the other tries of the task there is none. */
	OK(rs_store_archive_of_step(id, f->db, task.s, 0, 2, &err));
	assert_string_equal(id, "");
	OK(rs_store_archive_of_step(id, f->db, task.s, 2, 2, &err));
	assert_string_equal(id, "");
	OK(rs_store_archive_get(&row, f->db, archive.s, &err));
	assert_true(row.done && row.fence == 3 && row.tries == 1);
	OK(rs_store_archive_parts(&parts, &n, &total, f->db, archive.s, 1, 64, &err));
	assert_int_equal(total, 2);
	assert_int_equal(n, 1);
	assert_int_equal(parts[0].size, 20);
	assert_memory_equal(parts[0].sha256, sha, 32);
	free(parts);
	/* A failed try's workspace is undone, its cache stays. */
	OK(rs_store_archive_begin(f->db, cache.s, &made, &err));
	OK(rs_store_archive_done(f->db, cache.s, &err));
	auto_free char *sql = xasprintf("insert into caches (archive_id, scope, trust, zone, key) "
	                                "values ('%s', 's', 3, '', 'k')",
	    cache.s);
	OK(db_exec_sql(NULL, f->db, sql, &err));
	OK(rs_store_archives_undo(f->db, task.s, 1, &err));
	OK(rs_store_archive_get(&row, f->db, archive.s, &err));
	assert_true(row.done);
	OK(rs_store_archives_undo(f->db, task.s, 2, &err));
	OK(rs_store_archive_get(&row, f->db, archive.s, &err));
	assert_false(row.done);
	OK(rs_store_archive_get(&row, f->db, cache.s, &err));
	assert_true(row.done);
}

static void
fail_once(struct rs_run *run, int64_t now)
{
	struct rs_task *t = &run->tasks[0];
	OK(rs_run_apply(run, RS_EV_ASSIGN, 0, now, NULL, &err));
	free(t->executor);
	t->executor = xasprintf("ex%d", (int)now);
	OK(rs_run_apply(run, RS_EV_ACCEPT, 0, now, NULL, &err));
	OK(rs_run_apply(run, RS_EV_REPORT_RUNNING, 0, now, NULL, &err));
	t->timedout = now == 1;
	t->steps[1].phase = RS_FAILED;
	t->steps[1].has_exit = true;
	t->steps[1].exit_status = (int32_t)now;
	t->steps[1].error = xasprintf("error %d", (int)now);
	OK(rs_run_apply(run, RS_EV_REPORT_FAILED, 0, now + 1, NULL, &err));
}

static void
assert_try(const struct rs_try *y, int64_t now)
{
	auto_free char *executor = xasprintf("ex%d", (int)now);
	auto_free char *error = xasprintf("error %d", (int)now);
	assert_string_equal(y->executor, executor);
	assert_true(y->timedout == (now == 1));
	assert_int_equal(y->start_ms, now);
	assert_int_equal(y->end_ms, now + 1);
	assert_int_equal(y->steps[0].phase, RS_NOTSTARTED);
	assert_int_equal(y->steps[1].phase, RS_FAILED);
	assert_true(y->steps[1].has_exit && y->steps[1].exit_status == now);
	assert_string_equal(y->steps[1].error, error);
}

static void
tries_come_back_as_they_went(void **state)
{
	struct fixture *f = *state;
	struct rs_run run, got;
	make_run(&run, "/project/p1");
	run.tasks[0].retries = 2;
	rs_write_run_new(f->w, &run);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(rs_run_apply(&run, RS_EV_START, RS_NO_TASK, 1, NULL, &err));
	fail_once(&run, 1);
	rs_write_run(f->w, &run);
	OK(rs_writes_flush(f->w, f->db, &err));
	fail_once(&run, 5);
	rs_write_run(f->w, &run);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(rs_store_run_load(&got, f->db, run.id, &err));
	assert_int_equal(got.tasks[0].retries, 2);
	assert_int_equal(got.tasks[0].tries, 2);
	assert_int_equal(got.tasks[1].tries, 0);
	assert_try(&got.tasks[0].past[0], 1);
	assert_try(&got.tasks[0].past[1], 5);
	assert_int_equal(got.tasks[0].status, RS_NOTSTARTED);
	assert_int_equal(got.tasks[0].steps[1].phase, RS_NOTSTARTED);
	assert_null(got.tasks[0].steps[1].error);
	rs_write_run_over(f->w, &got, "state", 5);
	OK(rs_writes_flush(f->w, f->db, &err));
	auto_result *r = NULL;
	OK(db_exec_sql(&r, f->db, "select count(*) as n from tries", &err));
	assert_int_equal(db_i64(r, 0, "n"), 0);
	rs_run_fini(&got);
	rs_run_fini(&run);
}

/* What no row may say, whoever writes it. */
static void
the_database_counts_tries(void **state)
{
	static const char *const wrong[] = {
		"update tasks set tries = 3",
		"update tasks set tries = -1",
		"update tasks set retries = 11, tries = 11",
		"insert into tries select run_id, id, 10, '' from tasks limit 1",
		"insert into tries select run_id, id, 0, '' from tasks limit 1",
		"insert into log_segments select id, 0, 1, 0, 1, 'k', now(), 11 from tasks limit 1",
		"insert into deleted_logs (task_id, step, try) select id, 0, -1 from tasks limit 1",
	};
	struct fixture *f = *state;
	struct rs_run run;
	make_run(&run, "/project/p1");
	run.tasks[0].retries = run.tasks[1].retries = 2;
	rs_write_run_new(f->w, &run);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(rs_run_apply(&run, RS_EV_START, RS_NO_TASK, 1, NULL, &err));
	fail_once(&run, 1);
	rs_write_run(f->w, &run);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(db_exec_sql(NULL, f->db, "update tasks set tries = retries", &err));
	OK(db_exec_sql(
	    NULL, f->db, "update tries set task_id = (select id from tasks limit 1)", &err));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		auto_err err = NULL;
		if (db_exec_sql(NULL, f->db, wrong[i], &err) == 0)
			fail_msg("allowed: %s", wrong[i]);
		if (!strstr(err_msg(err), "violates") && !strstr(err_msg(err), "duplicate"))
			fail_msg("%s: %s", wrong[i], err_msg(err));
	}
	rs_run_fini(&run);
}

static void
requests_are_answered_once(void **state)
{
	struct fixture *f = *state;
	struct id id = id_new();
	void *answer = NULL;
	size_t len = 0;
	OK(rs_store_request_get(&answer, &len, f->db, id.s, &err));
	assert_null(answer);
	rs_write_request(f->w, id.s, "", 0);
	OK(rs_writes_flush(f->w, f->db, &err));
	OK(rs_store_request_get(&answer, &len, f->db, id.s, &err));
	assert_non_null(answer);
	assert_int_equal(len, 0);
	free(answer);
	rs_write_request(f->w, id.s, "x", 1);
	FAILS(ERR_CONFLICT, rs_writes_flush(f->w, f->db, &err));
	OK(rs_store_prune(f->db, &err));
}

/* However many logs there are, only those that are too old are looked at. */
static int
explain(struct db *db, void *arg, struct err **err)
{
	struct fixture *f = arg;
	auto_buf plan = BUF_INIT;
	auto_result *r = NULL;
	uint64_t n = 9;
	int rc = rs_store_retention_begin(db, f->epoch, err);
	if (rc == 0)
		rc = rs_store_logs_old(&n, db, INT64_C(3600000), 100, err);
	if (rc == 0)
		rc = db_exec_sql(&r, db, "explain execute logs_old(3600000, 100)", err);
	if (rc != 0)
		return rc;
	assert_int_equal(n, 0);
	for (size_t i = 0; i < db_rows(r); i++)
		buf_printf(&plan, "%s\n", db_text(r, i, "\"QUERY PLAN\""));
	if (!strstr(buf_str(&plan), "log_segments_created"))
		fail_msg("%s", buf_str(&plan));
	return 0;
}

static void
old_logs_are_found_by_their_age(void **state)
{
	struct fixture *f = *state;
	OK(db_exec_sql(NULL, f->db,
	    "insert into log_segments (task_id, step, fence, start_off, end_off, key) "
	    "select gen_random_uuid(), 0, 1, 0, 1, g from generate_series(1, 20000) g",
	    &err));
	OK(db_exec_sql(NULL, f->db,
	    "insert into tasks (run_id, id, ord, name, level, status, place, skip, ignore_failure, "
	    "needs_approval, arch, privileged, nsteps, timeout_ms) select gen_random_uuid(), "
	    "gen_random_uuid(), 0, '', 0, 'running', 'held', false, false, false, '', false, 1, 0 "
	    "from generate_series(1, 5000)",
	    &err));
	OK(db_exec_sql(NULL, f->db, "analyze log_segments, tasks", &err));
	OK(db_tx_run(f->db, explain, f, &err));
}

#define UPGRADED "test_rs_upgraded"
#define BEFORE_TRIES 6 /* steps of the schema before tasks had tries */

extern const struct db_migration runservice_schema[];

/* A database that has been in use is brought up to date with what is in it. */
static void
rows_of_an_older_schema_are_kept(void **state)
{
	(void)state;
	static const struct db_stmt *const none[] = { NULL };
	static const size_t zero[] = { 0 };
	struct rs_log_id id = { .task_id = "00000000-0000-4000-8000-000000000001", .step = 2 };
	char archive[ID_LEN + 1];
	struct rs_segment seg;
	uint64_t end;
	bool deleted;
	struct db *old = db_new(&(struct db_options){
	    .conninfo = conninfo(), .schema = UPGRADED, .tables = none, .table_len = zero });

	OK(db_exec_sql(NULL, old, "drop schema if exists " UPGRADED " cascade", &err));
	OK(db_migrate(old, UPGRADED, runservice_schema, BEFORE_TRIES, &err));
	OK(db_exec_sql(NULL, old,
	    "insert into log_segments (task_id, step, fence, start_off, end_off, key) values "
	    "('00000000-0000-4000-8000-000000000001', 2, 7, 0, 10, 'a'), "
	    "('00000000-0000-4000-8000-000000000001', 2, 7, 10, 30, 'b')",
	    &err));
	OK(db_exec_sql(NULL, old,
	    "insert into deleted_logs (task_id, step) values "
	    "('00000000-0000-4000-8000-000000000001', 3)",
	    &err));
	OK(db_exec_sql(NULL, old,
	    "insert into archives (id, run_id, task_id, fence, step, done) values "
	    "('00000000-0000-4000-8000-00000000000a', gen_random_uuid(), "
	    "'00000000-0000-4000-8000-000000000001', 7, 1, true)",
	    &err));
	db_free(old);
	OK(rs_store_migrate(conninfo(), UPGRADED, &err));

	struct db *db = rs_store_open(conninfo(), UPGRADED);
	OK(rs_store_log_find(&seg, &end, &deleted, db, &id, 10, &err));
	assert_int_equal(end, 30);
	assert_string_equal(seg.key, "b");
	free(seg.key);
	id.step = 3;
	OK(rs_store_log_find(&seg, &end, &deleted, db, &id, 0, &err));
	assert_true(deleted);
	OK(rs_store_archive_of_step(archive, db, id.task_id, 0, 1, &err));
	assert_string_equal(archive, "00000000-0000-4000-8000-00000000000a");
	db_free(db);
}

int
main(void)
{
#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(statements_are_valid),
		TEST(only_one_leads),
		TEST(a_run_comes_back_as_it_went),
		TEST(numbers_and_history_are_per_owner),
		TEST(attempts_are_fenced),
		TEST(log_segments_are_found_by_offset),
		TEST(archives_exist_when_complete),
		TEST(tries_come_back_as_they_went),
		TEST(the_database_counts_tries),
		TEST(requests_are_answered_once),
		TEST(old_logs_are_found_by_their_age),
		TEST(rows_of_an_older_schema_are_kept),
	};
	return cmocka_run_group_tests_name("runservice_store", tests, NULL, NULL);
}
