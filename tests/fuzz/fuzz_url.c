/*
 * Signed URLs of the object store: nothing but what was signed gets through, and what gets through
 * is a key that stays in the store.
 * covers: common/objstore.c common/objstore_url.c
 */
#include "fuzz.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/objstore.h"

#define NOW 1000000

static const uint8_t secret[CRYPTO_KEY_LEN] = { 4, 5, 6 };

static void
any(const uint8_t *p, size_t n)
{
	const uint8_t *cut = memchr(p, '?', n);
	size_t at = cut != NULL ? (size_t)(cut - p) : n;
	auto_free char *path = xstrndup((const char *)p, at);
	auto_free char *query =
	    at < n ? xstrndup((const char *)p + at + 1, n - at - 1) : xstrdup("");
	auto_free char *key = NULL;
	auto_err err = NULL;

	/* Without the key nobody makes a signature. */
	FUZZ_MUST(objstore_url_check(&key, secret, "GET", path, query, NOW, &err) != 0);
}

static void
signed_one(const uint8_t *p, size_t n)
{
	auto_free char *key = xstrndup((const char *)p + 3, n - 3);
	auto_free char *url = NULL, *out = NULL;
	auto_err err = NULL;
	size_t at;
	char was;

	if (!objstore_key_ok(key))
		return;
	FUZZ_MUST(strstr(key, "/../") == NULL && key[0] != '/' && strlen(key) <= OBJSTORE_KEY_MAX);
	url = objstore_url_sign("http://h", secret, "PUT", key, NOW + 10);
	char *path = url + strlen("http://h"), *query = strchr(url, '?');
	FUZZ_MUST(query != NULL);
	*query++ = '\0';
	FUZZ_MUST(objstore_url_check(&out, secret, "PUT", path, query, NOW, &err) == 0);
	FUZZ_MUST(strcmp(out, key) == 0);
	free(steal(&out));
	FUZZ_MUST(objstore_url_check(&out, secret, "GET", path, query, NOW, &err) != 0);
	err_clear(&err);
	FUZZ_MUST(objstore_url_check(&out, secret, "PUT", path, query, NOW + 11, &err) != 0);
	err_clear(&err);
	/* One byte of the query or the path changed. */
	char *text = p[2] % 2 == 0 ? query : path;
	at = (p[0] | (size_t)p[1] << 8) % strlen(text);
	was = text[at];
	text[at] = (char)(p[2] | 1);
	if (text[at] != was)
		FUZZ_MUST(objstore_url_check(&out, secret, "PUT", path, query, NOW, &err) != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n < 4)
		return 0;
	if (p[3] % 2 == 0)
		any(p + 4, n - 4);
	else if (n > 7)
		signed_one(p + 4, n - 4);
	return 0;
}
