/*
 * The database layer against a real server. MILLRACE_TEST_DB is its conninfo, MILLRACE_TEST_PG a
 * command that restarts it at once (tests/lib/pg.sh run sets both).
 */
#include "common/db.h"

#include "common/clock.h"
#include "common/loop.h"
#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct db_stmt stmts_a[] = {
	{ "put", "insert into item (id, name, data, flag) values ($1, $2, $3, $4)", 4 },
	{ "get", "select id, name, data, flag from item where id = $1::bigint", 1 },
	{ "count", "select count(*) as n from item", 0 },
	{ "clear", "delete from item", 0 },
	{ "add", "update item set id = id + $2::bigint where name = $1::text", 2 },
};
static const struct db_stmt stmts_b[] = {
	{ "child", "insert into child (item) values ($1)", 1 },
	{ "pid", "select pg_backend_pid() as pid", 0 },
	{ "slow", "select pg_sleep(30)", 0 },
	{ "kill", "select pg_terminate_backend($1::int, 5000)", 1 },
	{ "fail", "select 1 / $1::int as x", 1 },
	{ "notify", "select pg_notify($1::text, $2::text)", 2 },
	{ "serial", "set transaction isolation level serializable", 0 },
	{ "setting", "select current_setting($1) as v", 1 },
};
static const struct db_stmt *const tables[] = { stmts_a, stmts_b, NULL };
static const size_t table_len[] = { ARRAY_LEN(stmts_a), ARRAY_LEN(stmts_b) };

static const struct db_migration migrations[] = {
	{ 1, "0001_item",
	    "create table item (id bigint primary key, name text, data bytea, flag boolean);"
	    "create table child (item bigint not null references item (id));" },
	{ 2, "0002_more", "alter table item add column more text;" },
};

static int next_schema;

struct fixture {
	char schema[32];
	struct db_options opt;
	struct db *db;
};

static const char *
conninfo(void)
{
	const char *s = getenv("MILLRACE_TEST_DB"); /* NOLINT(concurrency-mt-unsafe): one thread */
	if (s == NULL)
		fail_msg("MILLRACE_TEST_DB is not set; run tests/lib/pg.sh run %s", "<this test>");
	return s;
}

static void
ok(int rc, struct err **err)
{
	if (rc != 0)
		fail_msg("%s", err_msg(*err));
	assert_null(*err);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err *e = NULL;
	snprintf(f->schema, sizeof(f->schema), "t%d", next_schema++);
	f->opt = (struct db_options){ .conninfo = conninfo(),
		.schema = f->schema,
		.tables = tables,
		.table_len = table_len };
	f->db = db_new(&f->opt);
	ok(db_migrate(f->db, f->schema, migrations, ARRAY_LEN(migrations), &e), &e);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	db_free(f->db);
	free(f);
	return 0;
}

static int64_t
count(struct db *db)
{
	struct err *e = NULL;
	auto_result *r = NULL;
	ok(db_query(&r, db, &e, "count"), &e);
	return db_i64(r, 0, "n");
}

static void
put(struct db *db, int64_t id)
{
	struct err *e = NULL;
	ok(db_query(NULL, db, &e, "put", DB_I64(id), DB_TEXT("n"), DB_NULL, DB_NULL), &e);
}

static void
test_values(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	static const uint8_t raw[] = { 0, 1, 255, '\\', '\'', 0 };
	auto_result *w = NULL;
	ok(db_query(&w, f->db, &e, "put", DB_I64(INT64_MIN), DB_TEXT("o'x\n"),
	       DB_BYTES(raw, sizeof(raw)), DB_BOOL(true)),
	    &e);
	assert_int_equal(db_affected(w), 1);
	ok(db_query(NULL, f->db, &e, "put", DB_I64(2), DB_NULL, DB_BYTES(NULL, 0), DB_NULL), &e);
	auto_result *r = NULL;
	ok(db_query(&r, f->db, &e, "get", DB_I64(INT64_MIN)), &e);
	assert_int_equal(db_rows(r), 1);
	assert_true(db_i64(r, 0, "id") == INT64_MIN);
	assert_string_equal(db_text(r, 0, "name"), "o'x\n");
	assert_true(db_bool(r, 0, "flag"));
	size_t n = 0;
	auto_free uint8_t *got = db_bytes(&n, r, 0, "data");
	assert_int_equal(n, sizeof(raw));
	assert_memory_equal(got, raw, n);
	auto_result *r2 = NULL;
	ok(db_query(&r2, f->db, &e, "get", DB_I64(2)), &e);
	assert_null(db_text(r2, 0, "name"));
	assert_true(db_is_null(r2, 0, "flag"));
	auto_free void *empty = db_bytes(&n, r2, 0, "data");
	assert_non_null(empty);
	assert_int_equal(n, 0);
}

static void
expect_code(int rc, struct err **err, int code, const char *text)
{
	assert_int_equal(rc, code);
	assert_non_null(*err);
	assert_int_equal((*err)->code, code);
	if (strstr((*err)->msg, text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, (*err)->msg);
	err_clear(err);
}

static void
test_errors(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	put(f->db, 1);
	expect_code(
	    db_query(NULL, f->db, &e, "put", DB_I64(1), DB_TEXT("secret"), DB_NULL, DB_NULL), &e,
	    ERR_CONFLICT, "item_pkey");
	expect_code(db_query(NULL, f->db, &e, "child", DB_I64(99)), &e, ERR_INVALID, "child_item");
	expect_code(db_query(NULL, f->db, &e, "fail", DB_I64(0)), &e, ERR_INTERNAL, "22012");
	ok(db_exec_sql(NULL, f->db, "set statement_timeout = 50", &e), &e);
	expect_code(db_query(NULL, f->db, &e, "slow"), &e, ERR_UNAVAILABLE, "57014");
	assert_int_equal(count(f->db), 1);
	ok(db_exec_sql(NULL, f->db, "set default_transaction_read_only = on", &e), &e);
	expect_code(db_query(NULL, f->db, &e, "put", DB_I64(2), DB_NULL, DB_NULL, DB_NULL), &e,
	    ERR_UNAVAILABLE, "25006");
}

static void
test_limits_are_set(void **state)
{
	static const char *const want[][2] = { { "statement_timeout", "15s" },
		{ "lock_timeout", "5s" }, { "idle_in_transaction_session_timeout", "30s" } };
	struct fixture *f = *state;
	struct err *e = NULL;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		auto_result *r = NULL;
		ok(db_query(&r, f->db, &e, "setting", DB_TEXT(want[i][0])), &e);
		assert_string_equal(db_text(r, 0, "v"), want[i][1]);
	}
}

static void
test_bad_statement_found_at_connect(void **state)
{
	struct fixture *f = *state;
	static const struct db_stmt bad[] = { { "fine", "select 1", 0 }, { "typo", "selct 1", 0 },
		{ "after", "select 2", 0 } };
	static const struct db_stmt *const bad_tables[] = { bad, NULL };
	static const size_t bad_len[] = { ARRAY_LEN(bad) };
	struct db_options opt = f->opt;
	opt.tables = bad_tables;
	opt.table_len = bad_len;
	struct db *db = db_new(&opt);
	struct err *e = NULL;
	expect_code(db_query(NULL, db, &e, "fine"), &e, ERR_INTERNAL, "prepare typo");
	db_free(db);
}

static void
test_no_password_in_errors(void **state)
{
	struct fixture *f = *state;
	static const char *const infos[] = {
		"host=/nonexistent user=u password=hunter2",
		"host=/nonexistent user=u password=hunter2 hunter2",
		"postgresql://u:hunter2@/x?host=/nonexistent&bogus=hunter2",
		"host=/nonexistent password='hunter2",
	};
	for (size_t i = 0; i < ARRAY_LEN(infos); i++) {
		struct db_options opt = f->opt;
		opt.conninfo = infos[i];
		struct db *db = db_new(&opt);
		struct err *e = NULL;
		int rc = db_query(NULL, db, &e, "pid");
		assert_true(rc == ERR_UNAVAILABLE || rc == ERR_INVALID);
		assert_null(strstr(e->msg, "hunter2"));
		err_clear(&e);
		db_free(db);
	}
}

/* --- transactions --- */

struct tx {
	struct fixture *f;
	struct db *other;
	int calls;
	int fail_until; /* tries that meet trouble */
	int result;     /* what fn returns in the end */
};

static int
tx_two_rows(struct db *db, void *arg, struct err **err)
{
	struct tx *t = arg;
	t->calls++;
	int rc = db_query(NULL, db, err, "put", DB_I64(1), DB_NULL, DB_NULL, DB_NULL);
	if (rc == 0)
		rc = db_query(NULL, db, err, "put", DB_I64(2), DB_NULL, DB_NULL, DB_NULL);
	if (rc == 0 && t->result != 0)
		rc = err_set(err, (enum err_code)t->result, "no, after all");
	return rc;
}

static void
test_commit_and_rollback(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	struct tx t = { .f = f, .result = ERR_INVALID };
	expect_code(db_tx_run(f->db, tx_two_rows, &t, &e), &e, ERR_INVALID, "after all");
	assert_int_equal(count(f->db), 0);
	t.result = 0;
	ok(db_tx_run(f->db, tx_two_rows, &t, &e), &e);
	assert_int_equal(count(f->db), 2);
	expect_code(db_tx_run(f->db, tx_two_rows, &t, &e), &e, ERR_CONFLICT, "item_pkey");
	assert_int_equal(t.calls, 3);
	assert_int_equal(db_tx_run(f->db, tx_two_rows, &t, NULL), ERR_CONFLICT);
}

static int
tx_swallows(struct db *db, void *arg, struct err **err)
{
	(void)arg;
	(void)err;
	auto_result *r = NULL;
	assert_int_equal(db_query(&r, db, NULL, "fail", DB_I64(0)), ERR_INTERNAL);
	return 0;
}

static void
test_failed_transaction_is_not_reported_as_committed(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	expect_code(db_tx_run(f->db, tx_swallows, NULL, &e), &e, ERR_INTERNAL, "rolled back");
	assert_int_equal(count(f->db), 0);
}

/* Writes what another transaction has written since our snapshot: a serialization failure. */
static int
tx_serialize(struct db *db, void *arg, struct err **err)
{
	struct tx *t = arg;
	struct err *e = NULL;
	auto_result *r = NULL;
	t->calls++;
	int rc = db_query(NULL, db, err, "serial");
	if (rc == 0)
		rc = db_query(&r, db, err, "count");
	if (rc == 0 && t->calls <= t->fail_until)
		ok(db_query(NULL, t->other, &e, "add", DB_TEXT("n"), DB_I64(1)), &e);
	if (rc == 0)
		rc = db_query(NULL, db, err, "add", DB_TEXT("n"), DB_I64(100));
	return rc;
}

static void
test_serialization_failures_are_retried(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	put(f->db, 0);
	struct tx t = { .f = f, .other = db_new(&f->opt), .fail_until = 2 };
	ok(db_tx_run(f->db, tx_serialize, &t, &e), &e);
	assert_int_equal(t.calls, 3);
	auto_result *r = NULL;
	ok(db_query(&r, f->db, &e, "get", DB_I64(102)), &e);
	assert_int_equal(db_rows(r), 1);
	t.calls = 0;
	t.fail_until = 1000;
	expect_code(db_tx_run(f->db, tx_serialize, &t, &e), &e, ERR_CONFLICT, "40001");
	assert_int_equal(t.calls, DB_TX_TRIES);
	db_free(t.other);
}

/* What another one commits meanwhile is not seen, and nothing can be written. */
static int
tx_looks_twice(struct db *db, void *arg, struct err **err)
{
	struct tx *t = arg;
	auto_err refused = NULL;
	auto_result *r = NULL;
	int64_t before = count(db);
	put(t->other, ++t->calls);
	assert_int_equal(count(db), before);
	if (t->fail_until == 0)
		return 0;
	(void)!db_query(&r, db, &refused, "add", DB_TEXT("n"), DB_I64(1));
	return refused ? err_set(err, ERR_INVALID, "%s", err_msg(refused)) : 0;
}

static void
test_a_snapshot_is_of_one_moment(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	struct tx t = { .f = f, .other = db_new(&f->opt) };
	ok(db_snapshot_run(f->db, tx_looks_twice, &t, &e), &e);
	assert_int_equal(count(f->db), 1);
	t.fail_until = 1;
	expect_code(db_snapshot_run(f->db, tx_looks_twice, &t, &e), &e, ERR_INVALID, "read-only");
	db_free(t.other);
}

static void
kill_backend(struct db *victim, struct db *by)
{
	struct err *e = NULL;
	auto_result *r = NULL;
	ok(db_query(&r, victim, &e, "pid"), &e);
	ok(db_query(NULL, by, &e, "kill", DB_I64(db_i64(r, 0, "pid"))), &e);
}

static int
tx_killed(struct db *db, void *arg, struct err **err)
{
	struct tx *t = arg;
	auto_result *first = NULL, *second = NULL;
	t->calls++;
	int rc = db_query(&first, db, err, "put", DB_I64(t->calls), DB_NULL, DB_NULL, DB_NULL);
	if (rc == 0 && t->calls <= t->fail_until)
		kill_backend(db, t->other);
	if (rc == 0)
		rc = db_query(&second, db, err, "put", DB_I64(100), DB_NULL, DB_NULL, DB_NULL);
	return rc;
}

/* The third of many fails; more than fit into one pipeline. */
static int
tx_sends_many(struct db *db, void *arg, struct err **err)
{
	struct tx *t = arg;
	int rc = 0;
	for (int i = 0; rc == 0 && i < 300; i++) {
		int64_t id = t->result != 0 && i == 2 ? 0 : i;
		rc = db_query(NULL, db, err, "put", DB_I64(id), DB_NULL, DB_NULL, DB_NULL);
		t->calls++;
	}
	return rc;
}

static void
test_sent_statements_are_answered_later(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	struct tx t = { .f = f };
	ok(db_tx_run(f->db, tx_sends_many, &t, &e), &e);
	assert_int_equal(t.calls, 300);
	assert_int_equal(count(f->db), 300);
	ok(db_query(NULL, f->db, &e, "clear"), &e);
	t.calls = 0;
	t.result = 1;
	expect_code(db_tx_run(f->db, tx_sends_many, &t, &e), &e, ERR_CONFLICT, "item_pkey");
	/* Nobody waited for the answer of the one that failed, nor went on long after it. */
	assert_in_range(t.calls, 4, 299);
	assert_int_equal(count(f->db), 0);
}

static void
test_connection_lost_in_transaction_is_retried(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	struct tx t = { .f = f, .other = db_new(&f->opt), .fail_until = 2 };
	ok(db_tx_run(f->db, tx_killed, &t, &e), &e);
	assert_int_equal(t.calls, 3);
	assert_int_equal(count(f->db), 2);
	t.calls = 0;
	t.fail_until = 1000;
	assert_int_equal(db_tx_run(f->db, tx_killed, &t, &e), ERR_CONFLICT);
	err_clear(&e);
	db_free(t.other);
}

static int
tx_killed_before_commit(struct db *db, void *arg, struct err **err)
{
	struct tx *t = arg;
	t->calls++;
	int rc = db_query(NULL, db, err, "put", DB_I64(1), DB_NULL, DB_NULL, DB_NULL);
	if (rc == 0)
		kill_backend(db, t->other);
	return rc;
}

static void
test_connection_lost_at_commit_is_not_retried(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	struct tx t = { .f = f, .other = db_new(&f->opt) };
	assert_int_equal(db_tx_run(f->db, tx_killed_before_commit, &t, &e), ERR_UNAVAILABLE);
	err_clear(&e);
	assert_int_equal(t.calls, 1);
	assert_int_equal(count(f->db), 0);
	db_free(t.other);
}

/* --- reconnecting --- */

static void
test_reconnects_after_terminate(void **state)
{
	struct fixture *f = *state;
	struct db *other = db_new(&f->opt);
	put(f->db, 1);
	for (int i = 0; i < 3; i++) {
		kill_backend(f->db, other);
		assert_int_equal(count(f->db), 1);
	}
	db_free(other);
}

static void
restart_server(void)
{
	const char *cmd = getenv("MILLRACE_TEST_PG"); /* NOLINT(concurrency-mt-unsafe) */
	assert_non_null(cmd);
	assert_int_equal(system(cmd), 0); /* NOLINT: our own test's command */
}

static void
test_reconnects_after_restart(void **state)
{
	struct fixture *f = *state;
	put(f->db, 1);
	restart_server();
	assert_int_equal(count(f->db), 1);
}

/* --- migrations --- */

static void
test_migrations(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	const struct db_migration broken[] = { migrations[0], migrations[1],
		{ 3, "0003_broken", "create table third (id int); create table item (id int);" } };
	/* Again: nothing to do. */
	ok(db_migrate(f->db, f->schema, migrations, 2, &e), &e);
	expect_code(db_migrate(f->db, f->schema, broken, 3, &e), &e, ERR_INTERNAL, "0003_broken");
	auto_result *r = NULL;
	ok(db_exec_sql(&r, f->db, "select to_regclass('third') is null as gone", &e), &e);
	assert_true(db_bool(r, 0, "gone"));
	expect_code(
	    db_migrate(f->db, f->schema, migrations, 1, &e), &e, ERR_INVALID, "newer than this");
	const struct db_migration other[] = { { 1, "0001_else", "" }, migrations[1] };
	expect_code(db_migrate(f->db, f->schema, other, 2, &e), &e, ERR_INVALID, "0001_else");
}

/* --- LISTEN --- */

struct heard {
	int resync;
	int notes;
	char last[64];
};

static void
on_notify(const char *channel, const char *payload, void *arg)
{
	struct heard *h = arg;
	assert_string_equal(channel, "t_wake");
	if (payload == NULL) {
		h->resync++;
		return;
	}
	h->notes++;
	snprintf(h->last, sizeof(h->last), "%s", payload);
}

static void
run_until(struct loop *loop, const int *counter, int want)
{
	int64_t give_up = clock_mono_ms() + 15000;
	while (*counter < want && clock_mono_ms() < give_up)
		loop_run_once(loop, 100);
	assert_int_equal(*counter, want);
}

static void
test_listen(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	static const char *const channels[] = { "t_wake" };
	struct heard h = { 0 };
	struct loop *loop = loop_new();
	struct db_listen *l = db_listen_new(loop, conninfo(), channels, 1, on_notify, &h);
	run_until(loop, &h.resync, 1);
	ok(db_query(NULL, f->db, &e, "notify", DB_TEXT("t_wake"), DB_TEXT("one")), &e);
	run_until(loop, &h.notes, 1);
	assert_string_equal(h.last, "one");
	restart_server();
	run_until(loop, &h.resync, 2);
	ok(db_query(NULL, f->db, &e, "notify", DB_TEXT("t_wake"), DB_TEXT("two")), &e);
	run_until(loop, &h.notes, 2);
	assert_string_equal(h.last, "two");
	db_listen_free(l);
	loop_free(loop);
}

static void
free_listener(const char *channel, const char *payload, void *arg)
{
	(void)channel;
	(void)payload;
	struct db_listen **l = arg;
	db_listen_free(*l);
	*l = NULL;
}

static void
test_listen_freed_in_callback_and_before_connect(void **state)
{
	(void)state;
	static const char *const channels[] = { "t_a", "t_b" };
	struct loop *loop = loop_new();
	struct db_listen *l = NULL;
	l = db_listen_new(loop, conninfo(), channels, 2, free_listener, &l);
	int64_t give_up = clock_mono_ms() + 15000;
	while (l != NULL && clock_mono_ms() < give_up)
		loop_run_once(loop, 100);
	assert_null(l);
	l = db_listen_new(loop, "host=/nonexistent", channels, 2, free_listener, &l);
	for (int i = 0; i < 5; i++)
		loop_run_once(loop, 50);
	db_listen_free(l);
	loop_free(loop);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_values),
		T(test_errors),
		T(test_limits_are_set),
		T(test_bad_statement_found_at_connect),
		T(test_no_password_in_errors),
		T(test_commit_and_rollback),
		T(test_failed_transaction_is_not_reported_as_committed),
		T(test_serialization_failures_are_retried),
		T(test_sent_statements_are_answered_later),
		T(test_a_snapshot_is_of_one_moment),
		T(test_connection_lost_in_transaction_is_retried),
		T(test_connection_lost_at_commit_is_not_retried),
		T(test_reconnects_after_terminate),
		T(test_reconnects_after_restart),
		T(test_migrations),
		T(test_listen),
		T(test_listen_freed_in_callback_and_before_connect),
	};
	return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
