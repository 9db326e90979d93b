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

	ok(gw_store_user_create(&u, db, name, false, &err), &err);
	return u;
}

static void
hash_of(uint8_t hash[GW_TOKEN_HASH_LEN], const char *token)
{
	crypto_sha256(hash, token, strlen(token));
}

static int
by_token(
    struct gw_user *out, struct db *db, const uint8_t hash[GW_TOKEN_HASH_LEN], struct err **err)
{
	bool read_only = true;
	int rc = gw_store_user_by_token(out, &read_only, db, hash, err);

	assert_true(rc != 0 || !read_only);
	return rc;
}

static int
make_token(struct db *db, const char *user_id, const char *name,
    const uint8_t hash[GW_TOKEN_HASH_LEN], struct err **err)
{
	struct gw_token_new t = { .user_id = user_id, .name = name };

	memcpy(t.hash, hash, sizeof(t.hash));
	return gw_store_token_create(db, &t, err);
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
	assert_int_equal(gw_store_user_create(&u, *state, "bob", false, &err), ERR_INVALID);
	assert_string_equal(err->slug, "userAlreadyExists");
}

static void
tokens_lead_to_their_user(void **state)
{
	struct gw_user bob = make_user(*state, "bob");
	struct gw_user u;
	uint8_t hash[GW_TOKEN_HASH_LEN], other[GW_TOKEN_HASH_LEN];
	struct gw_user_more more;
	auto_err err = NULL;

	hash_of(hash, "secret");
	hash_of(other, "another");
	assert_int_equal(by_token(&u, *state, hash, &err), ERR_NOTFOUND);
	err_clear(&err);
	ok(make_token(*state, bob.id, "b", hash, &err), &err);
	ok(make_token(*state, bob.id, "a\"x", other, &err), &err);
	ok(by_token(&u, *state, hash, &err), &err);
	assert_string_equal(u.id, bob.id);
	assert_int_equal(make_token(*state, bob.id, "b", other, &err), ERR_INVALID);
	assert_string_equal(err->slug, "userTokenAlreadyExists");
	err_clear(&err);
	ok(gw_store_user_more(&more, *state, bob.id, &err), &err);
	assert_string_equal(more.tokens, "[\"a\\\"x\", \"b\"]");
	assert_string_equal(more.accounts, "[]");
	gw_user_more_fini(&more);

	ok(gw_store_token_delete(*state, bob.id, "b", &err), &err);
	assert_int_equal(by_token(&u, *state, hash, &err), ERR_NOTFOUND);
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
	ok(make_token(*state, bob.id, "t", hash, &err), &err);
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
	ok(make_token(*state, bob.id, "t", hash, &err), &err);
	ok(gw_store_user_delete(*state, bob.id, &err), &err);
	assert_int_equal(by_token(&u, *state, hash, &err), ERR_NOTFOUND);
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
		struct gw_page page = { .ascending = asc, .limit = 2 };
		size_t seen = 0;
		bool more = true;

		while (more) {
			struct gw_user_list l;

			ok(gw_store_user_list(&l, *state, &page, &err), &err);
			assert_in_range(l.n, 1, 2);
			for (size_t i = 0; i < l.n; i++, seen++)
				assert_string_equal(
				    l.rows[i].user.name, sorted[asc ? seen : n - 1 - seen]);
			snprintf(page.after, sizeof(page.after), "%s", l.rows[l.n - 1].user.name);
			more = l.more;
			gw_user_list_fini(&l);
		}
		assert_int_equal(seen, n);
	}
}

static void
limit_zero_is_all(void **state)
{
	const struct gw_page page = { .ascending = true };
	struct gw_user_list l;
	auto_err err = NULL;

	for (int i = 0; i < 35; i++) {
		char name[16];

		snprintf(name, sizeof(name), "user%02d", i);
		make_user(*state, name);
	}
	ok(gw_store_user_list(&l, *state, &page, &err), &err);
	assert_int_equal(l.n, 35);
	assert_false(l.more);
	assert_string_equal(l.rows[0].more.tokens, "[]");
	gw_user_list_fini(&l);
}

/* Waits in the database until the moment is over. */
static void
pass_ms(struct db *db, int ms)
{
	auto_free char *sql = xasprintf("select pg_sleep(%d / 1000.0)", ms);
	auto_err err = NULL;

	ok(db_exec_sql(NULL, db, sql, &err), &err);
}

static void
scopes_and_ends_of_tokens(void **state)
{
	struct gw_user bob = make_user(*state, "bob");
	struct gw_token_new t = {
		.user_id = bob.id, .name = "r", .read_only = true, .expires_ms = 3600000
	};
	auto_free char *list = NULL;
	struct gw_user u;
	bool read_only = false;
	auto_err err = NULL;

	hash_of(t.hash, "reads");
	ok(gw_store_token_create(*state, &t, &err), &err);
	ok(gw_store_user_by_token(&u, &read_only, *state, t.hash, &err), &err);
	assert_true(read_only);
	t.name = "short";
	t.expires_ms = 1;
	hash_of(t.hash, "short");
	ok(gw_store_token_create(*state, &t, &err), &err);
	pass_ms(*state, 5);
	assert_int_equal(
	    gw_store_user_by_token(&u, &read_only, *state, t.hash, &err), ERR_NOTFOUND);
	err_clear(&err);
	ok(gw_store_token_list(&list, *state, bob.id, &err), &err);
	assert_non_null(
	    strstr(list, "{\"name\" : \"r\", \"scope\" : \"read\", \"expires_at\" : \"2"));
}

static void
passwords_and_links(void **state)
{
	struct gw_user bob = make_user(*state, "bob"), u;
	uint8_t hash[GW_TOKEN_HASH_LEN], second[GW_TOKEN_HASH_LEN];
	char *password = NULL;
	auto_err err = NULL;

	ok(gw_store_password_get(&password, &u, *state, "bob", &err), &err);
	assert_null(password);
	assert_int_equal(gw_store_password_get(&password, &u, *state, "eve", &err), ERR_NOTFOUND);
	err_clear(&err);
	hash_of(hash, "first link");
	hash_of(second, "second link");
	ok(gw_store_password_link(*state, bob.id, hash, 60000, &err), &err);
	ok(gw_store_password_link(*state, bob.id, second, 60000, &err), &err);
	/* A new link takes the place of the old one, and works once. */
	assert_int_equal(gw_store_password_by_link(&u, *state, hash, "x", &err), ERR_NOTFOUND);
	err_clear(&err);
	ok(gw_store_password_by_link(&u, *state, second, "argon", &err), &err);
	assert_string_equal(u.id, bob.id);
	assert_int_equal(gw_store_password_by_link(&u, *state, second, "y", &err), ERR_NOTFOUND);
	err_clear(&err);
	ok(gw_store_password_get(&password, &u, *state, "bob", &err), &err);
	assert_string_equal(password, "argon");
	free(password);
	/* Sessions of the time before are over. */
	assert_int_equal(u.epoch, bob.epoch + 1);
	assert_int_equal(
	    gw_store_user_by_session(&u, *state, bob.id, bob.epoch, &err), ERR_NOTFOUND);
	err_clear(&err);
	ok(gw_store_user_by_session(&u, *state, bob.id, bob.epoch + 1, &err), &err);
	/* One that has expired. */
	ok(gw_store_password_link(*state, bob.id, hash, 1, &err), &err);
	pass_ms(*state, 5);
	assert_int_equal(gw_store_password_by_link(&u, *state, hash, "x", &err), ERR_NOTFOUND);
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
		T(scopes_and_ends_of_tokens),
		T(passwords_and_links),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
