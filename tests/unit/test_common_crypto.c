/* Known answers, and that nothing opens that was touched. */
#include "common/crypto.h"
#include "common/mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void
test_sha256(void **state)
{
	char hex[CRYPTO_SHA256_HEX_LEN + 1];
	uint8_t sum[CRYPTO_SHA256_LEN];

	(void)state;
	crypto_sha256_hex(hex, "", 0);
	assert_string_equal(
	    hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	crypto_sha256_hex(hex, "abc", 3);
	assert_string_equal(
	    hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	struct crypto_hash *h = crypto_hash_new();
	char as[1000];
	memset(as, 'a', sizeof(as));
	crypto_hash_add(h, as, 1);
	crypto_hash_add(h, as, 0);
	crypto_hash_add(h, as, 999);
	for (int i = 1; i < 1000; i++)
		crypto_hash_add(h, as, sizeof(as));
	crypto_hash_final(h, sum);
	crypto_hex(hex, sum, sizeof(sum));
	/* a million times "a" */
	assert_string_equal(
	    hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	crypto_hash_free(crypto_hash_new());
	crypto_hash_free(NULL);
}

/* RFC 4231, cases 1, 2 and 6. */
static void
test_hmac(void **state)
{
	uint8_t key[131], sum[CRYPTO_SHA256_LEN];
	char hex[CRYPTO_SHA256_HEX_LEN + 1];

	(void)state;
	memset(key, 0x0b, 20);
	crypto_hmac_sha256(sum, key, 20, "Hi There", 8);
	crypto_hex(hex, sum, sizeof(sum));
	assert_string_equal(
	    hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	crypto_hmac_sha256(sum, "Jefe", 4, "what do ya want for nothing?", 28);
	crypto_hex(hex, sum, sizeof(sum));
	assert_string_equal(
	    hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	crypto_hmac_sha256(
	    sum, key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First", 54);
	crypto_hex(hex, sum, sizeof(sum));
	assert_string_equal(
	    hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void
test_equal(void **state)
{
	(void)state;
	assert_true(crypto_equal("abc", "abc", 3));
	assert_false(crypto_equal("abc", "abd", 3));
	assert_false(crypto_equal("abc", "bbc", 3));
	assert_true(crypto_equal("a", "b", 0));
}

static void
test_hex(void **state)
{
	static const char *const bad[] = { "", "0", "00", "000", "00000", "0g11", "0x11", " 011",
		"00 1", "00:1" };
	uint8_t out[2];
	char hex[5];

	(void)state;
	assert_int_equal(crypto_unhex(out, 2, "0fA9", NULL), 0);
	assert_int_equal(out[0], 0x0f);
	assert_int_equal(out[1], 0xa9);
	crypto_hex(hex, out, 2);
	assert_string_equal(hex, "0fa9");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_err err = NULL;
		if (crypto_unhex(out, 2, bad[i], &err) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
		assert_non_null(strstr(err_msg(err), "4 hex digits"));
	}
}

static void
test_base64(void **state)
{
	static const char *const known[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" }, { "\xfb\xff\xfe", "+//+" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		auto_free char *got = crypto_base64(known[i][0], strlen(known[i][0]));
		assert_string_equal(got, known[i][1]);
	}
}

#define TEXT "a secret value"
#define TEXT_LEN (sizeof(TEXT) - 1)

static void
test_seal(void **state)
{
	uint8_t key[CRYPTO_KEY_LEN] = { 1, 2, 3 }, other[CRYPTO_KEY_LEN] = { 1, 2, 4 };
	uint8_t sealed[TEXT_LEN + CRYPTO_SEAL_OVERHEAD], again[sizeof(sealed)], out[TEXT_LEN];
	size_t n = sizeof(sealed);

	(void)state;
	crypto_seal(sealed, TEXT, TEXT_LEN, "ad", 2, key);
	assert_null(memmem(sealed, n, "secret", 6));
	assert_int_equal(crypto_open(out, sealed, n, "ad", 2, key, NULL), 0);
	assert_memory_equal(out, TEXT, TEXT_LEN);
	/* Never twice the same. */
	crypto_seal(again, TEXT, TEXT_LEN, "ad", 2, key);
	assert_memory_not_equal(again, sealed, n);

	assert_int_equal(crypto_open(out, sealed, n, "ad", 2, other, NULL), ERR_INVALID);
	assert_int_equal(crypto_open(out, sealed, n, "ae", 2, key, NULL), ERR_INVALID);
	assert_int_equal(crypto_open(out, sealed, n, "ad", 1, key, NULL), ERR_INVALID);
	assert_int_equal(crypto_open(out, sealed, n, NULL, 0, key, NULL), ERR_INVALID);
	for (size_t bit = 0; bit < n * 8; bit++) {
		memcpy(again, sealed, n);
		again[bit / 8] = (uint8_t)(again[bit / 8] ^ (1u << bit % 8));
		assert_int_equal(crypto_open(out, again, n, "ad", 2, key, NULL), ERR_INVALID);
	}
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(crypto_open(out, sealed, cut, "ad", 2, key, NULL), ERR_INVALID);
	/* Of nothing. */
	crypto_seal(again, "", 0, NULL, 0, key);
	assert_int_equal(crypto_open(out, again, CRYPTO_SEAL_OVERHEAD, NULL, 0, key, NULL), 0);
	again[5] ^= 1;
	assert_int_equal(
	    crypto_open(out, again, CRYPTO_SEAL_OVERHEAD, NULL, 0, key, NULL), ERR_INVALID);
}

static void
test_key_file(void **state)
{
#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	static const char *const good[] = { KEY, (KEY "\n"), (KEY "\r\n"), (KEY "\nmore lines\n") };
	static const char *const bad[] = { "", "\n", "00", (KEY "0"), (KEY "00"), (KEY " "),
		(" " KEY), "not hex at all" };
	char path[] = "/tmp/test_key.XXXXXX";
	uint8_t key[CRYPTO_KEY_LEN];
	auto_close int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_LEN(good) + ARRAY_LEN(bad); i++) {
		bool ok = i < ARRAY_LEN(good);
		const char *text = ok ? good[i] : bad[i - ARRAY_LEN(good)];
		auto_err err = NULL;
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
		memset(key, 0xff, sizeof(key));
		int rc = crypto_read_key_file(key, path, &err);
		if (rc != (ok ? 0 : ERR_INVALID))
			fail_msg("%d for \"%s\"", rc, text);
		if (ok) {
			assert_int_equal(key[31], 0x1f);
			continue;
		}
		assert_non_null(strstr(err_msg(err), path));
		assert_non_null(strstr(err_msg(err), "64 hex digits"));
		if (strlen(text) > 5) /* what stands there may be nearly a key */
			assert_null(strstr(err_msg(err), text));
	}
	assert_int_equal(ftruncate(fd, 100000), 0);
	assert_int_equal(crypto_read_key_file(key, path, NULL), ERR_INVALID);
	unlink(path);
	assert_int_equal(crypto_read_key_file(key, path, NULL), ERR_NOTFOUND);
}

static void
test_passwords(void **state)
{
	char one[CRYPTO_PASSWORD_LEN], two[CRYPTO_PASSWORD_LEN];

	(void)state;
	assert_true(crypto_password_hash(one, "secret") && crypto_password_hash(two, "secret"));
	assert_true(strncmp(one, "$argon2id$", 10) == 0);
	assert_string_not_equal(one, two); /* salted */
	assert_true(crypto_password_ok(one, "secret") && crypto_password_ok(two, "secret"));
	assert_false(crypto_password_ok(one, "Secret"));
	assert_false(crypto_password_ok("", "secret"));
	assert_false(crypto_password_ok("$argon2id$", "secret"));
}

/* The examples of FIPS 180 and 202. */
static void
digests(void **state)
{
	char text[CRYPTO_DIGEST_TEXT];

	(void)state;
	crypto_digest(text, "SHA1", "abc", 3);
	assert_string_equal(text, "a9993e364706816aba3e25717850c26c9cd0d89d");
	crypto_digest(text, "SHA256", "abc", 3);
	assert_string_equal(
	    text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	crypto_digest(text, "SHA512", "", 0);
	assert_string_equal(text,
	    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
	    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e");
	crypto_digest(text, "SHA3-512", "", 0);
	assert_string_equal(text,
	    "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a6"
	    "15b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(digests),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_seal),
		cmocka_unit_test(test_key_file),
		cmocka_unit_test(test_passwords),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
