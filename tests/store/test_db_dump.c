/*
 * All rows of a schema as lines, and back: nothing is lost, nothing half taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/db_dump.h"
#include "common/mem.h"

#include <stdio.h>
#include <string.h>

/* Names against the order in which they must be filled; every type that our schemas have. */
static const struct db_migration migrations[] = {
	{ 1, "0001_all",
	    "create table zebra (id uuid primary key, name text not null unique,"
	    " up uuid references zebra (id), loud text generated always as (upper(name)) stored);"
	    "create table apple (n bigint generated always as identity primary key,"
	    " of uuid not null references zebra (id), data bytea, at timestamptz, flag boolean,"
	    " j jsonb, list text[]);"
	    "create sequence counted;"
	    "create table kept (x integer);"
	    "create function no() returns trigger language plpgsql as"
	    " $$ begin raise exception 'no'; end $$;"
	    "create trigger no before insert on apple for each row when (new.flag) execute function"
	    " no();" },
};
static const char *const skip[] = { "kept", NULL };
static const struct db_dump_spec spec = { .schema = "dumped", .service = "store", .skip = skip };

struct fixture {
	struct db_options opt;
	struct db *db;
	struct buf text;
};

static void
ok(int rc, struct err **err)
{
	if (rc != 0)
		fail_msg("%s", err_msg(*err));
	assert_null(*err);
}

static void
sql(struct fixture *f, const char *text)
{
	struct err *err = NULL;

	ok(db_exec_sql(NULL, f->db, text, &err), &err);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err *err = NULL;

	f->opt = (struct db_options){ .conninfo = getenv(
		                          "MILLRACE_TEST_DB"), /* NOLINT(concurrency-mt-unsafe) */
		.schema = spec.schema };
	assert_non_null(f->opt.conninfo);
	f->db = db_new(&f->opt);
	sql(f, "drop schema if exists dumped cascade");
	ok(db_migrate(f->db, spec.schema, migrations, ARRAY_LEN(migrations), &err), &err);
	sql(f, "insert into zebra (id, name, up) values"
	       " ('11111111-2222-4333-8444-555555555555', E'it''s \\\\ \"x\"\\n\\tü', null),"
	       " ('00000000-2222-4333-8444-555555555555', 'child',"
	       "  '11111111-2222-4333-8444-555555555555');"
	       "alter table apple disable trigger user;"
	       "insert into apple (of, data, at, flag, j, list) values"
	       " ('00000000-2222-4333-8444-555555555555', '\\x00ff275c', '2026-01-02 "
	       "03:04:05.678901+01',"
	       "  true, '{\"big\": 9223372036854775807}', '{a,\"b c\",null}'),"
	       " ('11111111-2222-4333-8444-555555555555', null, 'infinity', false, null, '{}');"
	       "alter table apple enable trigger user;"
	       "select setval('counted', 9223372036854775800); insert into kept values (7)");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	sql(f, "drop schema dumped cascade");
	db_free(f->db);
	buf_free(&f->text);
	free(f);
	return 0;
}

static int
add_line(const char *line, size_t len, void *arg, struct err **err)
{
	struct fixture *f = arg;

	(void)err;
	assert_null(memchr(line, '\n', len));
	buf_append(&f->text, line, len);
	buf_putc(&f->text, '\n');
	return 0;
}

static char *
dump(struct fixture *f)
{
	struct err *err = NULL;

	buf_free(&f->text);
	ok(db_dump(f->db, &spec, add_line, f, &err), &err);
	return buf_take(&f->text);
}

struct text {
	const char *p;
	size_t n;
};

static int
load_tx(struct db *db, void *arg, struct err **err)
{
	const struct text *t = arg;

	return db_load(db, &spec, t->p, t->n, err);
}

static int
load(struct fixture *f, const char *text, struct err **err)
{
	struct text t = { text, strlen(text) };

	return db_tx_run(f->db, load_tx, &t, err);
}

static char *
value(struct fixture *f, const char *text)
{
	auto_result *r = NULL;
	struct err *err = NULL;

	ok(db_exec_sql(&r, f->db, text, &err), &err);
	assert_int_equal(db_rows(r), 1);
	return xstrdup(db_text(r, 0, "v"));
}

static void
expect(struct fixture *f, const char *text, const char *want)
{
	auto_free char *got = value(f, text);

	assert_string_equal(got, want);
}

static void
nothing_is_lost(void **state)
{
	struct fixture *f = *state;
	auto_free char *before = dump(f);
	struct err *err = NULL;

	assert_non_null(strstr(before, "\"kind\":\"schema\""));
	assert_non_null(strstr(before, "9223372036854775800"));
	assert_null(strstr(before, "kept"));
	sql(f, "update zebra set name = name || '!'; delete from apple; insert into zebra values "
	       "('22222222-2222-4333-8444-555555555555', 'new', null); update kept set x = 8;"
	       "select setval('counted', 9223372036854775801)");
	ok(load(f, before, &err), &err);
	/* All but the sequence, which never goes back. */
	expect(f, "select last_value::text as v from counted", "9223372036854775801");
	expect(f, "select string_agg(loud, '|' order by id) as v from zebra",
	    "CHILD|IT'S \\ \"X\"\n\tÜ");
	expect(f,
	    "select encode(data, 'hex') || ' ' || (j->>'big') || ' ' || list::text || ' ' || "
	    "(at = '2026-01-02 03:04:05.678901+01')::text as v from apple where flag",
	    "00ff275c 9223372036854775807 {a,\"b c\",NULL} true");
	expect(f, "select at::text as v from apple where not flag", "infinity");
	/* What was left alone, what counts on, and triggers that are on again. */
	expect(f, "select x::text as v from kept", "8");
	sql(f, "insert into apple (of) values ('00000000-2222-4333-8444-555555555555')");
	expect(f, "select max(n)::text as v from apple", "3");
	assert_int_equal(db_exec_sql(NULL, f->db,
	                     "insert into apple (of, flag) values "
	                     "('00000000-2222-4333-8444-555555555555', true)",
	                     &err),
	    ERR_INTERNAL);
	err_clear(&err);
}

static void
rows_of_many_batches(void **state)
{
	struct fixture *f = *state;
	auto_free char *before = NULL, *sum = NULL;
	struct err *err = NULL;

	sql(f, "insert into zebra select gen_random_uuid(), g || repeat('x', 2000) from "
	       "generate_series(1, 1000) g");
	sum = value(f, "select md5(string_agg(id || name, ',' order by id)) as v from zebra");
	before = dump(f);
	sql(f, "delete from zebra where name like '%xx'");
	ok(load(f, before, &err), &err);
	expect(f, "select md5(string_agg(id || name, ',' order by id)) as v from zebra", sum);
}

#define HEAD "{\"exportMeta\":{\"kind\":\"schema\"},\"service\":\"store\",\"version\":1}\n"
#define ROW(kind, rest) "{\"exportMeta\":{\"kind\":\"" kind "\"}" rest "}\n"

/* Nothing of a bad file is taken, and its line is named. */
static void
bad_files(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "empty" },
		{ "x", "line 1: " },
		{ "{}", "line 1: has no exportMeta" },
		{ ROW("zebra", ""), "line 1: this is no export" },
		{ "{\"exportMeta\":{\"kind\":\"schema\"},\"service\":\"other\",\"version\":1}",
		    "line 1: this is no export of the store" },
		{ "{\"exportMeta\":{\"kind\":\"schema\"},\"service\":\"store\",\"version\":2}",
		    "another version" },
		{ HEAD "\n[1]", "line 3: has no exportMeta" },
		{ HEAD ROW("kept", ",\"x\":1"), "line 2: kind kept is not known" },
		{ HEAD ROW("zebra; drop table kept", ""), "line 2: kind " },
		{ HEAD ROW("sequence", ",\"name\":\"other\",\"value\":1"), "line 2: no sequence" },
		{ HEAD ROW("sequence", ",\"name\":\"counted\",\"value\":\"1\""),
		    "line 2: no sequence" },
		{ HEAD ROW("zebra", ",\"id\":\"x\",\"name\":\"n\""), "zebra: " },
		{ HEAD ROW("zebra", ",\"name\":\"n\""), "zebra: " },
		{ HEAD ROW("zebra", ",\"id\":\"00000000-2222-4333-8444-555555555555\"")
		        ROW("zebra", ",\"id\":\"00000000-2222-4333-8444-555555555555\""),
		    "zebra: " },
		{ HEAD ROW("apple", ",\"n\":1,\"of\":\"00000000-2222-4333-8444-555555555555\""),
		    "apple: " },
		{ HEAD "{\"exportMeta\":{\"kind\":\"zebra\"}} trailing\n", "json" },
	};
	struct fixture *f = *state;
	auto_free char *before = dump(f);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *after = NULL;
		struct err *err = NULL;

		if (load(f, cases[i].text, &err) != ERR_INVALID ||
		    !strstr(err_msg(err), cases[i].says))
			fail_msg("%s: %s", cases[i].text, err_msg(err));
		err_clear(&err);
		after = dump(f);
		assert_string_equal(after, before);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(nothing_is_lost), T(rows_of_many_batches),
		T(bad_files) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
