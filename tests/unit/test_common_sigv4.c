#include "common/sigv4.h"

#include "common/crypto.h"
#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What AWS publishes: "Signature Calculations for the Authorization Header" and "Authenticating
 * Requests: Using Query Parameters" of the S3 API reference. */
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define AT 1369353600 /* 2013-05-24 00:00:00 UTC */
#define CREDENTIAL "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"

static struct sigv4_request
example(const char *method, const char *path)
{
	return (struct sigv4_request){ .region = "us-east-1",
		.access_key = "AKIAIOSFODNN7EXAMPLE",
		.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		.method = method,
		.host = "examplebucket.s3.amazonaws.com",
		.path = path,
		.payload = EMPTY,
		.time_s = AT };
}

static void
expect_header(const struct sigv4_request *r, const char *target, const char *names, const char *hex)
{
	auto_sigv4 s;
	auto_free char *want =
	    xasprintf("AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=%s,Signature=%s", names, hex);

	sigv4_sign(&s, r);
	assert_string_equal(s.target, target);
	assert_string_equal(s.date, "20130524T000000Z");
	assert_string_equal(s.authorization, want);
}

static void
test_get_object(void **state)
{
	const struct sigv4_pair range = { "range", "bytes=0-9" };
	struct sigv4_request r = example("GET", "/test.txt");

	(void)state;
	r.headers = &range;
	r.nheaders = 1;
	expect_header(&r, "/test.txt", "host;range;x-amz-content-sha256;x-amz-date",
	    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void
test_put_object(void **state)
{
	/* In another order than they are signed in. */
	const struct sigv4_pair headers[] = { { "x-amz-storage-class", "REDUCED_REDUNDANCY" },
		{ "date", "Fri, 24 May 2013 00:00:00 GMT" } };
	char hex[CRYPTO_SHA256_HEX_LEN + 1];
	struct sigv4_request r = example("PUT", "/test$file.text");

	(void)state;
	crypto_sha256_hex(hex, "Welcome to Amazon S3.", 21);
	r.payload = hex;
	r.headers = headers;
	r.nheaders = ARRAY_LEN(headers);
	expect_header(&r, "/test%24file.text",
	    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void
test_queries(void **state)
{
	const struct sigv4_pair lifecycle = { "lifecycle", "" };
	const struct sigv4_pair list[] = { { "prefix", "J" }, { "max-keys", "2" } };
	struct sigv4_request r = example("GET", "/");

	(void)state;
	r.query = &lifecycle;
	r.nquery = 1;
	expect_header(&r, "/?lifecycle=", "host;x-amz-content-sha256;x-amz-date",
	    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	r.query = list;
	r.nquery = ARRAY_LEN(list);
	expect_header(&r, "/?max-keys=2&prefix=J", "host;x-amz-content-sha256;x-amz-date",
	    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void
test_presigned(void **state)
{
	struct sigv4_request r = example("GET", "/test.txt");
	auto_sigv4 s;

	(void)state;
	r.payload = SIGV4_UNSIGNED;
	r.expires_s = 86400;
	sigv4_sign(&s, &r);
	assert_null(s.authorization);
	assert_string_equal(s.target,
	    "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F"
	    "20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires="
	    "86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
	    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static char *
target_of(const struct sigv4_request *r)
{
	struct sigv4 s;
	char *target;

	sigv4_sign(&s, r);
	target = steal(&s.target);
	sigv4_fini(&s);
	return target;
}

/* Whatever is changed changes the signature; nothing is hidden in the process. */
static void
test_everything_is_signed(void **state)
{
	struct sigv4_request r = example("GET", "/k");
	const struct sigv4_pair pair = { "partNumber", "1" };
	auto_free char *first = NULL, *again = NULL;
	const char *signature;
	struct sigv4_request others[8];

	(void)state;
	r.payload = SIGV4_UNSIGNED;
	r.expires_s = 60;
	first = target_of(&r);
	again = target_of(&r);
	assert_string_equal(first, again);
	signature = strstr(first, "&X-Amz-Signature=");
	assert_non_null(signature);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		others[i] = r;
	others[0].method = "PUT";
	others[1].path = "/l";
	others[2].secret_key = "x";
	others[3].access_key = "x";
	others[4].region = "x";
	others[5].host = "x";
	others[6].expires_s = 61;
	others[7].query = &pair;
	others[7].nquery = 1;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		auto_free char *other = target_of(&others[i]);

		assert_null(strstr(other, signature));
	}
	assert_null(strstr(first, r.secret_key));
}

static void
test_encoding(void **state)
{
	const struct sigv4_pair query[] = { { "b/ +", "=&\xc3\xa4" }, { "a", "~-._9" } };
	struct sigv4_request r = example("GET", "/a b/\xc3\xa4+");
	auto_sigv4 s;

	(void)state;
	r.query = query;
	r.nquery = ARRAY_LEN(query);
	sigv4_sign(&s, &r);
	assert_string_equal(s.target, "/a%20b/%C3%A4%2B?a=~-._9&b%2F%20%2B=%3D%26%C3%A4");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_object),
		cmocka_unit_test(test_put_object),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_presigned),
		cmocka_unit_test(test_everything_is_signed),
		cmocka_unit_test(test_encoding),
	};

	crypto_init();
	return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
