/*
 * Users and tokens against a real server (MILLRACE_TEST_DB, see tests/lib/pg.sh).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "common/db.h"
#include "common/mem.h"
#include "gateway/store.h"
#include "gateway/store_user.h"

#include <stdio.h>
#include <string.h>

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

static int
setup(void **state)
{
	struct db_options opt = { .conninfo = conninfo() };
	struct db *raw = db_new(&opt);
	auto_err err = NULL;

	ok(db_exec_sql(NULL, raw, "drop schema if exists " GW_SCHEMA " cascade", &err), &err);
	db_free(raw);
	ok(gw_store_migrate(conninfo(), &err), &err);
	*state = gw_store_open(conninfo());
	return 0;
}

static int
teardown(void **state)
{
	gw_store_close(*state);
	return 0;
}

static struct gw_user
make_user(struct db *db, const char *name)
{
	struct gw_user u;
	auto_err err = NULL;

	ok(gw_store_user_create(&u, db, name, &err), &err);
	return u;
}

static void
hash_of(uint8_t hash[GW_TOKEN_HASH_LEN], const char *token)
{
	crypto_sha256(hash, token, strlen(token));
}

/* Connecting prepares every statement of every table; a second migration changes nothing. */
static void
statements_prepare(void **state)
{
	auto_err err = NULL;

	ok(gw_store_ping(*state, &err), &err);
	ok(gw_store_migrate(conninfo(), &err), &err);
}

static void
users_are_found(void **state)
{
	struct gw_user bob = make_user(*state, "bob");
	struct gw_user u;
	char upper[ID_LEN + 3];
	auto_err err = NULL;

	ok(gw_store_user_by_ref(&u, *state, "bob", &err), &err);
	assert_string_equal(u.id, bob.id);
	assert_false(u.admin);
	ok(gw_store_user_by_ref(&u, *state, bob.id, &err), &err);
	assert_string_equal(u.name, "bob");
	snprintf(upper, sizeof(upper), "{%s}", bob.id);
	for (char *p = upper; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
	ok(gw_store_user_by_ref(&u, *state, upper, &err), &err);
	assert_string_equal(u.id, bob.id);
	for (const char *const *p = (const char *const[]){ "Bob", "nobody", "", "a'; drop", "b\xff",
	         "00000000-0000-4000-8000-000000000000", NULL };
	     *p; p++) {
		assert_int_equal(gw_store_user_by_ref(&u, *state, *p, &err), ERR_NOTFOUND);
		assert_string_equal(err->slug, "userDoesNotExist");
		err_clear(&err);
	}
}

static void
names_are_unique(void **state)
{
	struct gw_user u;
	auto_err err = NULL;

	make_user(*state, "bob");
	make_user(*state, "Bob"); /* case sensitive */
	assert_int_equal(gw_store_user_create(&u, *state, "bob", &err), ERR_INVALID);
	assert_string_equal(err->slug, "userAlreadyExists");
}

static void
tokens_lead_to_their_user(void **state)
{
	struct gw_user bob = make_user(*state, "bob");
	struct gw_user u;
	uint8_t hash[GW_TOKEN_HASH_LEN], other[GW_TOKEN_HASH_LEN];
	auto_free char *names = NULL;
	auto_err err = NULL;

	hash_of(hash, "secret");
	hash_of(other, "another");
	assert_int_equal(gw_store_user_by_token(&u, *state, hash, &err), ERR_NOTFOUND);
	err_clear(&err);
	ok(gw_store_token_create(*state, bob.id, "b", hash, &err), &err);
	ok(gw_store_token_create(*state, bob.id, "a\"x", other, &err), &err);
	ok(gw_store_user_by_token(&u, *state, hash, &err), &err);
	assert_string_equal(u.id, bob.id);
	assert_int_equal(gw_store_token_create(*state, bob.id, "b", other, &err), ERR_INVALID);
	assert_string_equal(err->slug, "userTokenAlreadyExists");
	err_clear(&err);
	ok(gw_store_token_names(&names, *state, bob.id, &err), &err);
	assert_string_equal(names, "[\"a\\\"x\", \"b\"]");

	ok(gw_store_token_delete(*state, bob.id, "b", &err), &err);
	assert_int_equal(gw_store_user_by_token(&u, *state, hash, &err), ERR_NOTFOUND);
	err_clear(&err);
	assert_int_equal(gw_store_token_delete(*state, bob.id, "b", &err), ERR_NOTFOUND);
	assert_string_equal(err->slug, "userTokenDoesNotExist");
}

/* The token's text is nowhere in the database. */
static void
tokens_are_stored_hashed(void **state)
{
	struct gw_user bob = make_user(*state, "bob");
	struct db_options opt = { .conninfo = conninfo() };
	struct db *raw = db_new(&opt);
	uint8_t hash[GW_TOKEN_HASH_LEN];
	struct db_result *r = NULL;
	auto_err err = NULL;

	hash_of(hash, "topsecretvalue");
	ok(gw_store_token_create(*state, bob.id, "t", hash, &err), &err);
	ok(db_exec_sql(&r, raw,
	       "select count(*) as n from " GW_SCHEMA ".user_tokens t "
	       "where t::text like '%topsecretvalue%'",
	       &err),
	    &err);
	assert_int_equal(db_i64(r, 0, "n"), 0);
	db_result_free(r);
	db_free(raw);
}

static void
deleting_a_user_deletes_the_tokens(void **state)
{
	struct gw_user bob = make_user(*state, "bob");
	struct gw_user u;
	uint8_t hash[GW_TOKEN_HASH_LEN];
	auto_err err = NULL;

	hash_of(hash, "secret");
	ok(gw_store_token_create(*state, bob.id, "t", hash, &err), &err);
	ok(gw_store_user_delete(*state, bob.id, &err), &err);
	assert_int_equal(gw_store_user_by_token(&u, *state, hash, &err), ERR_NOTFOUND);
	err_clear(&err);
	assert_int_equal(gw_store_user_delete(*state, bob.id, &err), ERR_NOTFOUND);
}

/* Pages joined give every user once, in both directions, also while users come and go. */
static void
pages_join(void **state)
{
	static const char *const names[] = { "Zoe", "a", "ab", "b1", "b-2", "c" };
	/* In byte order, as the cursor compares: */
	static const char *const sorted[] = { "Zoe", "a", "ab", "b-2", "b1", "c" };
	size_t n = ARRAY_LEN(names);
	auto_err err = NULL;

	for (size_t i = 0; i < n; i++)
		make_user(*state, names[i]);
	for (int asc = 0; asc < 2; asc++) {
		char after[GW_NAME_MAX + 1] = "";
		size_t seen = 0;
		bool more = true;

		while (more) {
			struct gw_user_list l;

			ok(gw_store_user_list(&l, *state, after, asc, 2, &err), &err);
			assert_in_range(l.n, 1, 2);
			for (size_t i = 0; i < l.n; i++, seen++)
				assert_string_equal(
				    l.rows[i].user.name, sorted[asc ? seen : n - 1 - seen]);
			snprintf(after, sizeof(after), "%s", l.rows[l.n - 1].user.name);
			more = l.more;
			gw_user_list_fini(&l);
		}
		assert_int_equal(seen, n);
	}
}

static void
limit_zero_is_all(void **state)
{
	struct gw_user_list l;
	auto_err err = NULL;

	for (int i = 0; i < 35; i++) {
		char name[16];

		snprintf(name, sizeof(name), "user%02d", i);
		make_user(*state, name);
	}
	ok(gw_store_user_list(&l, *state, "", true, 0, &err), &err);
	assert_int_equal(l.n, 35);
	assert_false(l.more);
	assert_string_equal(l.rows[0].tokens, "[]");
	gw_user_list_fini(&l);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(statements_prepare),
		T(users_are_found),
		T(names_are_unique),
		T(tokens_lead_to_their_user),
		T(tokens_are_stored_hashed),
		T(deleting_a_user_deletes_the_tokens),
		T(pages_join),
		T(limit_zero_is_all),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
