#include "gateway/signed.h"

#include "common/mem.h"

#include <string.h>

#define MAC_HEX ((size_t)CRYPTO_SHA256_HEX_LEN)

char *
gw_signed(const char *payload, const uint8_t key[CRYPTO_KEY_LEN])
{
	uint8_t mac[CRYPTO_SHA256_LEN];
	char hex[MAC_HEX + 1];

	crypto_hmac_sha256(mac, key, CRYPTO_KEY_LEN, payload, strlen(payload));
	crypto_hex(hex, mac, sizeof(mac));
	return xasprintf("%s.%s", payload, hex);
}

char *
gw_signed_open(const char *text, const uint8_t key[CRYPTO_KEY_LEN])
{
	uint8_t want[CRYPTO_SHA256_LEN], got[CRYPTO_SHA256_LEN];
	size_t n = strlen(text);
	size_t payload;

	if (n <= MAC_HEX + 1 || n > GW_SIGNED_MAX)
		return NULL;
	payload = n - MAC_HEX - 1;
	if (text[payload] != '.' || crypto_unhex(got, sizeof(got), text + payload + 1, NULL) < 0)
		return NULL;
	crypto_hmac_sha256(want, key, CRYPTO_KEY_LEN, text, payload);
	if (!crypto_equal(want, got, sizeof(want)))
		return NULL;
	return xstrndup(text, payload);
}
