#include "common/crypto.h"

#include "common/config.h"
#include "common/mem.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <string.h>

_Static_assert(
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES ==
        CRYPTO_SEAL_OVERHEAD,
    "seal overhead");

struct crypto_hash {
	EVP_MD_CTX *ctx;
};

void
crypto_init(void)
{
	MUST(sodium_init() >= 0);
}

void
crypto_sha256(uint8_t out[CRYPTO_SHA256_LEN], const void *p, size_t n)
{
	unsigned len = 0;
	MUST(EVP_Digest(p, n, out, &len, EVP_sha256(), NULL) == 1 && len == CRYPTO_SHA256_LEN);
}

void
crypto_sha256_hex(char out[CRYPTO_SHA256_HEX_LEN + 1], const void *p, size_t n)
{
	uint8_t sum[CRYPTO_SHA256_LEN];
	crypto_sha256(sum, p, n);
	crypto_hex(out, sum, sizeof(sum));
}

void
crypto_hmac_sha256(
    uint8_t out[CRYPTO_SHA256_LEN], const void *key, size_t key_len, const void *p, size_t n)
{
	unsigned len = 0;
	MUST(key_len <= 1024);
	MUST(HMAC(EVP_sha256(), key, (int)key_len, p, n, out, &len) != NULL);
}

void
crypto_digest(char out[CRYPTO_DIGEST_TEXT], const char *name, const void *p, size_t n)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	const EVP_MD *digest = EVP_get_digestbyname(name);
	unsigned len = 0;

	_Static_assert(CRYPTO_DIGEST_TEXT > 2 * EVP_MAX_MD_SIZE, "room for every digest");
	MUST(digest && EVP_Digest(p, n, sum, &len, digest, NULL) == 1);
	crypto_hex(out, sum, len);
}

bool
crypto_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

void
crypto_hex(char *out, const void *p, size_t n)
{
	sodium_bin2hex(out, 2 * n + 1, p, n);
}

int
crypto_unhex(uint8_t *out, size_t n, const char *hex, struct err **err)
{
	size_t got = 0;
	const char *end = NULL;
	if (strlen(hex) != 2 * n || sodium_hex2bin(out, n, hex, 2 * n, NULL, &got, &end) != 0 ||
	    got != n || *end != '\0')
		return err_set(err, ERR_INVALID, "expected %zu hex digits", 2 * n);
	return 0;
}

_Static_assert(crypto_pwhash_STRBYTES == CRYPTO_PASSWORD_LEN, "password text");

bool
crypto_password_hash(char out[CRYPTO_PASSWORD_LEN], const char *password)
{
	return crypto_pwhash_str_alg(out, password, strlen(password),
	           crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE,
	           crypto_pwhash_ALG_ARGON2ID13) == 0;
}

bool
crypto_password_ok(const char *hash, const char *password)
{
	return crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
}

struct crypto_hash *
crypto_hash_new(void)
{
	struct crypto_hash *h = xcalloc(1, sizeof(*h));
	h->ctx = EVP_MD_CTX_new();
	MUST(h->ctx != NULL && EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) == 1);
	return h;
}

void
crypto_hash_add(struct crypto_hash *h, const void *p, size_t n)
{
	MUST(EVP_DigestUpdate(h->ctx, p, n) == 1);
}

void
crypto_hash_final(struct crypto_hash *h, uint8_t out[CRYPTO_SHA256_LEN])
{
	MUST(EVP_DigestFinal_ex(h->ctx, out, NULL) == 1);
	crypto_hash_free(h);
}

void
crypto_hash_free(struct crypto_hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void
crypto_seal(uint8_t *out, const void *p, size_t n, const void *ad, size_t ad_len,
    const uint8_t key[CRYPTO_KEY_LEN])
{
	const size_t nonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
	randombytes_buf(out, nonce);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
	    out + nonce, NULL, p, n, ad, ad_len, NULL, out, key);
}

int
crypto_open(uint8_t *out, const void *p, size_t n, const void *ad, size_t ad_len,
    const uint8_t key[CRYPTO_KEY_LEN], struct err **err)
{
	const size_t nonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
	const uint8_t *in = p;
	if (n < CRYPTO_SEAL_OVERHEAD)
		return err_set(err, ERR_INVALID, "sealed value is too short");
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(
	        out, NULL, NULL, in + nonce, n - nonce, ad, ad_len, in, key) != 0)
		return err_set(err, ERR_INVALID,
		    "sealed value does not open with this key; check the key file");
	return 0;
}

char *
crypto_base64(const void *p, size_t n)
{
	size_t cap = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
	char *out = xmalloc(cap);
	return sodium_bin2base64(out, cap, p, n, sodium_base64_VARIANT_ORIGINAL);
}

int
crypto_read_key_file(uint8_t key[CRYPTO_KEY_LEN], const char *path, struct err **err)
{
	char *text = NULL;
	size_t len = 0;
	int rc = config_read_file(&text, &len, path, 4096, err);
	if (rc != 0)
		return rc;
	size_t used = strcspn(text, "\r\n");
	text[used] = '\0';
	rc = crypto_unhex(key, CRYPTO_KEY_LEN, text, err);
	xfree_secret(text, len);
	return rc ? err_wrap(err, "key file %s", path) : 0;
}
