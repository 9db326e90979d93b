#include "common/objstore.h"

#include "common/mem.h"

#include <string.h>

#define PATH_PREFIX "/objects/"

/* Keys hold none of the separators, so the signed text is unambiguous. */
static void
signature(char hex[CRYPTO_SHA256_HEX_LEN + 1], const uint8_t key[CRYPTO_KEY_LEN],
    const char *method, const char *object, int64_t expires)
{
	uint8_t mac[CRYPTO_SHA256_LEN];
	auto_free char *text =
	    xasprintf("millrace object url\n%s\n%s\n%lld", method, object, (long long)expires);
	crypto_hmac_sha256(mac, key, CRYPTO_KEY_LEN, text, strlen(text));
	crypto_hex(hex, mac, sizeof(mac));
}

char *
objstore_url_sign(const char *base_url, const uint8_t key[CRYPTO_KEY_LEN], const char *method,
    const char *object, int64_t expires)
{
	char hex[CRYPTO_SHA256_HEX_LEN + 1];
	MUST(objstore_key_ok(object));
	signature(hex, key, method, object, expires);
	return xasprintf("%s" PATH_PREFIX "%s?expires=%lld&signature=%s", base_url, object,
	    (long long)expires, hex);
}

/* "expires=<digits>&signature=<64 hex>" and nothing else. */
static bool
parse_query(int64_t *expires, const char **hex, const char *query)
{
	static const char first[] = "expires=";
	static const char second[] = "&signature=";
	if (query == NULL || strncmp(query, first, strlen(first)) != 0)
		return false;
	const char *p = query + strlen(first);
	int64_t v = 0;
	int digits = 0;
	for (; *p >= '0' && *p <= '9' && digits < 15; p++, digits++)
		v = v * 10 + (*p - '0');
	if (digits == 0 || strncmp(p, second, strlen(second)) != 0)
		return false;
	p += strlen(second);
	*expires = v;
	*hex = p;
	return strnlen(p, CRYPTO_SHA256_HEX_LEN + 1) == CRYPTO_SHA256_HEX_LEN;
}

int
objstore_url_check(char **object, const uint8_t key[CRYPTO_KEY_LEN], const char *method,
    const char *path, const char *query, int64_t now, struct err **err)
{
	int64_t expires = 0;
	const char *hex = NULL;
	char want[CRYPTO_SHA256_HEX_LEN + 1];
	size_t prefix = strlen(PATH_PREFIX);
	if (strncmp(path, PATH_PREFIX, prefix) != 0 || !objstore_key_ok(path + prefix))
		return err_set(err, ERR_INVALID, "not the path of an object");
	if (!parse_query(&expires, &hex, query))
		return err_set(err, ERR_DENIED, "the url of the object is not signed");
	signature(want, key, method, path + prefix, expires);
	if (!crypto_equal(want, hex, CRYPTO_SHA256_HEX_LEN))
		return err_set(err, ERR_DENIED,
		    "the signature of the object's url is wrong, or is for another method");
	if (now >= expires)
		return err_set(err, ERR_DENIED,
		    "the object's url has expired; compare the clocks of the hosts if it is new");
	*object = xstrdup(path + prefix);
	return 0;
}
