/*
 * Cookies, signed texts, tokens against CSRF, origins, and the bounded table of logins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "gateway/keys.h"
#include "gateway/limit.h"
#include "gateway/origin.h"
#include "gateway/session.h"
#include "gateway/signed.h"

#include <stdio.h>
#include <string.h>

#define USER "11111111-2222-4333-8444-555555555555"
static const uint8_t key[CRYPTO_KEY_LEN] = { 1, 2, 3 }, other_key[CRYPTO_KEY_LEN] = { 3, 2, 1 };

static void
signed_texts(void **state)
{
	auto_free char *text = gw_signed("pay.load", key);
	auto_free char *back = gw_signed_open(text, key);
	size_t n = strlen(text);

	(void)state;
	assert_string_equal(back, "pay.load");
	assert_null(gw_signed_open(text, other_key));
	assert_null(gw_signed_open("", key));
	assert_null(gw_signed_open("pay.load", key));
	/* No byte of it can be changed, nor left out. */
	for (size_t i = 0; i < n; i++) {
		char was = text[i];

		text[i] = (char)(was == '0' ? '1' : '0');
		assert_null(gw_signed_open(text, key));
		text[i] = was;
	}
	text[n - 1] = '\0';
	assert_null(gw_signed_open(text, key));
}

static void
sessions_need_both_cookies(void **state)
{
	struct gw_session a, b, got;
	auto_free char *first = NULL, *second = NULL, *foreign = NULL, *old = NULL;

	(void)state;
	gw_session_init(&a, USER, 7, 1000);
	gw_session_init(&b, USER, 7, 1000);
	assert_string_not_equal(a.token, b.token);
	first = gw_session_primary(&a, key);
	second = gw_session_secondary(&a, key);
	foreign = gw_session_secondary(&b, key);
	old = gw_session_primary(&a, other_key);
	assert_true(gw_session_open(&got, first, second, key, 999));
	assert_string_equal(got.user_id, USER);
	assert_int_equal(got.epoch, 7);
	assert_int_equal(got.expires_s, 1000);
	assert_string_equal(got.token, a.token);
	assert_false(gw_session_open(&got, first, second, key, 1000)); /* over */
	assert_false(gw_session_open(&got, first, NULL, key, 999));
	assert_false(gw_session_open(&got, NULL, second, key, 999));
	assert_false(gw_session_open(&got, first, foreign, key, 999));
	assert_false(gw_session_open(&got, first, first, key, 999));
	assert_false(gw_session_open(&got, second, second, key, 999));
	assert_false(gw_session_open(&got, old, second, key, 999));
}

/* Signed by us, but not a session. */
static void
signed_garbage_is_no_session(void **state)
{
	static const char *const payloads[] = { "1.", "1.x", "1." USER, "1." USER ".",
		"1." USER ".1", "1." USER ".1.2", "1." USER ".1.2.", "1." USER ".1.2.short",
		"1." USER ".x.2.t", "1." USER ".1.99999999999999999999.t", "2." USER ".1.2.t",
		"1.11111111-2222-4333-8444-55555555555G.1.2.t" };
	struct gw_session s, got;
	auto_free char *second = NULL;

	(void)state;
	gw_session_init(&s, USER, 1, 1000);
	second = gw_session_secondary(&s, key);
	for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
		auto_free char *first = gw_signed(payloads[i], key);

		if (gw_session_open(&got, first, second, key, 0))
			fail_msg("%s is a session", payloads[i]);
	}
}

static void
cookie(const char *header, const char *want)
{
	auto_free char *got = gw_cookie_get(header, "a");

	if (want ? !got || strcmp(got, want) != 0 : got != NULL)
		fail_msg("%s: %s", header, got ? got : "none");
}

static void
cookie_headers(void **state)
{
	auto_free char *large = xmalloc(GW_COOKIE_MAX + 10);

	(void)state;
	cookie("a=1", "1");
	cookie("b=2; a=1", "1");
	cookie("b=2;a=1 ; c=3", "1");
	cookie("a=\"q\"", "q");
	cookie("a=", "");
	cookie("a=x=y", "x=y");
	cookie("a=1; a=2", "1");
	cookie("A=1", NULL);
	cookie("aa=1; ba=2", NULL);
	cookie("a", NULL);
	cookie("", NULL);
	cookie(";;;", NULL);
	cookie(NULL, NULL);
	memset(large, ' ', GW_COOKIE_MAX + 9);
	memcpy(large, "a=1;", 4);
	large[GW_COOKIE_MAX + 9] = '\0';
	cookie(large, NULL);
}

static void
cookies_as_sent(void **state)
{
	auto_free char *primary = gw_cookie_format(&(struct gw_cookie){ .name = "__Host-session",
	    .value = "v",
	    .secure = true,
	    .http_only = true,
	    .max_age_s = 60 });
	auto_free char *csrf = gw_cookie_format(
	    &(struct gw_cookie){ .name = "csrf", .value = "v", .http_only = true, .lax = true });

	(void)state;
	assert_string_equal(
	    primary, "__Host-session=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Strict");
	assert_string_equal(csrf, "csrf=v; Path=/; HttpOnly; SameSite=Lax");
	assert_string_equal(gw_cookie_primary_name(false), "__Host-session");
	assert_string_equal(gw_cookie_primary_name(true), "session");
	assert_string_equal(gw_cookie_csrf_name(false), "__Host-csrf");
	assert_string_equal(gw_cookie_csrf_name(true), "csrf");
}

static void
csrf_tokens(void **state)
{
	uint8_t value[GW_CSRF_LEN], back[GW_CSRF_LEN], other[GW_CSRF_LEN];
	auto_free char *c = gw_csrf_cookie_new(value, key);
	auto_free char *c2 = gw_csrf_cookie_new(other, key);
	auto_free char *one = gw_csrf_token(value);
	auto_free char *two = gw_csrf_token(value);

	(void)state;
	assert_true(gw_csrf_cookie_open(back, c, key));
	assert_memory_equal(back, value, sizeof(value));
	assert_false(gw_csrf_cookie_open(back, c, other_key));
	assert_false(gw_csrf_cookie_open(back, NULL, key));
	assert_string_not_equal(c, c2);
	assert_string_not_equal(one, two); /* masked anew */
	assert_true(gw_csrf_token_ok(value, one) && gw_csrf_token_ok(value, two));
	assert_false(gw_csrf_token_ok(other, one));
	assert_false(gw_csrf_token_ok(value, ""));
	one[5] = (char)(one[5] == 'a' ? 'b' : 'a');
	assert_false(gw_csrf_token_ok(value, one));
}

static void
origins(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "https://Example.ORG", "https://example.org:443" },
		{ "http://example.org/path?x", "http://example.org:80" },
		{ "https://h:8443", "https://h:8443" },
		{ "http://[::1]", "http://[::1]:80" },
		{ "http://[::1]:8000/", "http://[::1]:8000" },
		{ "null", NULL },
		{ "", NULL },
		{ "ftp://h", NULL },
		{ "https://", NULL },
		{ "https:///x", NULL },
		{ "https://:443", NULL },
		{ "https://user@h", NULL },
		{ "https://h h", NULL },
	};
	char got[GW_ORIGIN_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool good = gw_origin_normal(got, cases[i].text);

		if (good != (cases[i].want != NULL) || (good && strcmp(got, cases[i].want) != 0))
			fail_msg("%s: %s", cases[i].text, good ? got : "none");
	}
}

static void
where_unsafe_requests_come_from(void **state)
{
	struct gw_origin_list l = { .n = 0 }, none = { .n = 0 };
	auto_err err = NULL;

	(void)state;
	assert_int_equal(gw_origin_list_add(&l, "https://localhost:8080", NULL), 0);
	assert_int_equal(gw_origin_list_add(&l, "https://ci.example.org", NULL), 0);
	assert_int_equal(gw_origin_list_add(&l, "https://h/path", &err), ERR_INVALID);
	assert_int_equal(gw_origin_list_add(&l, "*", NULL), ERR_INVALID);
	/* A listed one, with the port written out or not, as Origin or Referer. */
	assert_true(gw_origin_ok("https://ci.example.org:443", NULL, "x", false, &l));
	assert_true(gw_origin_ok(NULL, "https://localhost:8080", "x", false, &l));
	assert_true(gw_origin_ok(NULL, "https://localhost:8080/a/b", "x", false, &l));
	assert_false(gw_origin_ok("http://localhost:8080", NULL, "x", false, &l));
	assert_false(gw_origin_ok("https://localhost", NULL, "x", false, &l));
	/* The same host. */
	assert_true(gw_origin_ok("https://h:1", NULL, "h:1", false, &none));
	assert_true(gw_origin_ok("https://h", NULL, "h:443", false, &none));
	assert_false(gw_origin_ok("http://h:1", NULL, "h:1", false, &none));
	assert_true(gw_origin_ok("http://h:1", NULL, "h:1", true, &none));
	assert_false(gw_origin_ok("http://h:2", NULL, "h:1", true, &none));
	assert_false(gw_origin_ok("https://h.evil.org", NULL, "h", true, &none));
	/* Origin wins over Referer; none of them is no. */
	assert_false(gw_origin_ok("https://evil", "https://h", "h", true, &none));
	assert_false(gw_origin_ok("null", "https://h", "h", true, &none));
	assert_false(gw_origin_ok(NULL, NULL, "h", true, &none));
	assert_false(gw_origin_ok("https://h", NULL, NULL, true, &none));
	gw_origin_list_fini(&l);
}

static void
limits(void **state)
{
	struct gw_limit *l = gw_limit_new(3, 1000);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(gw_limit_take(l, "bob", 5000), 0);
	assert_int_equal(gw_limit_take(l, "bob", 5000), 1000);
	assert_int_equal(gw_limit_take(l, "eve", 5000), 0);
	assert_int_equal(gw_limit_take(l, "bob", 5999), 1);
	assert_int_equal(gw_limit_take(l, "bob", 6000), 0);
	assert_int_equal(gw_limit_take(l, "bob", 6000), 1000);
	gw_limit_give(l, "bob", 6000);
	assert_int_equal(gw_limit_take(l, "bob", 6000), 0);
	/* After a long time there are three again, not more. */
	gw_limit_give(l, "bob", 100000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(gw_limit_take(l, "bob", 100000), 0);
	assert_true(gw_limit_take(l, "bob", 100000) > 0);
	gw_limit_free(l);
}

/* Any number of keys takes the same room, and those in trouble are forgotten last. */
static void
limits_are_bounded(void **state)
{
	struct gw_limit *l = gw_limit_new(3, 1000);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(gw_limit_take(l, "bob", 5000), 0);
	for (int i = 0; i < 3 * GW_LIMIT_ENTRIES; i++) {
		char name[24];

		snprintf(name, sizeof(name), "name%d", i);
		assert_int_equal(gw_limit_take(l, name, 5000), 0);
	}
	assert_int_equal(gw_limit_used(l), GW_LIMIT_ENTRIES);
	assert_true(gw_limit_take(l, "bob", 5000) > 0);
	gw_limit_free(l);
}

static void
sealed_values(void **state)
{
	struct gw_keys keys = { .seal = { 9 } }, wrong = { .seal = { 8 } };
	struct gw_sealed s = gw_seal(&keys, "secret", "a place"), none;
	auto_free char *text = NULL;
	auto_err err = NULL;

	(void)state;
	assert_null(memmem(s.p, s.n, "secret", 6));
	assert_int_equal(gw_unseal(&text, &keys, &s, "a place", &err), 0);
	assert_string_equal(text, "secret");
	free(steal(&text));
	assert_int_equal(gw_unseal(&text, &keys, &s, "another", &err), ERR_INTERNAL);
	err_clear(&err);
	assert_int_equal(gw_unseal(&text, &wrong, &s, "a place", &err), ERR_INTERNAL);
	err_clear(&err);
	s.n = 3;
	assert_int_equal(gw_unseal(&text, &keys, &s, "a place", &err), ERR_INTERNAL);
	gw_sealed_fini(&s);
	none = gw_seal(&keys, "", "p");
	assert_null(none.p);
	assert_int_equal(gw_unseal(&text, &keys, &none, "p", NULL), 0);
	assert_string_equal(text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signed_texts),
		cmocka_unit_test(sessions_need_both_cookies),
		cmocka_unit_test(signed_garbage_is_no_session),
		cmocka_unit_test(cookie_headers),
		cmocka_unit_test(cookies_as_sent),
		cmocka_unit_test(csrf_tokens),
		cmocka_unit_test(origins),
		cmocka_unit_test(where_unsafe_requests_come_from),
		cmocka_unit_test(limits),
		cmocka_unit_test(limits_are_bounded),
		cmocka_unit_test(sealed_values),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
