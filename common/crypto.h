/*
 * crypto.h - the few primitives we use, from libsodium and OpenSSL.
 * All functions are thread-safe after crypto_init().
 */
#ifndef COMMON_CRYPTO_H
#define COMMON_CRYPTO_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPTO_KEY_LEN 32
#define CRYPTO_SHA256_LEN 32
#define CRYPTO_SHA256_HEX_LEN 64
/* Bytes that sealing adds: nonce and tag. */
#define CRYPTO_SEAL_OVERHEAD 40

void crypto_init(void); /* aborts when the system has no randomness */
void crypto_sha256(uint8_t out[CRYPTO_SHA256_LEN], const void *p, size_t n);
void crypto_sha256_hex(char out[CRYPTO_SHA256_HEX_LEN + 1], const void *p, size_t n);
void crypto_hmac_sha256(
    uint8_t out[CRYPTO_SHA256_LEN], const void *key, size_t key_len, const void *p, size_t n);
bool crypto_equal(const void *a, const void *b, size_t n); /* constant time */
void crypto_hex(char *out, const void *p, size_t n);       /* out holds 2n + 1 */
int crypto_unhex(
    uint8_t *out, size_t n, const char *hex, struct err **err) MUSTCHECK; /* exactly n bytes */

/* Passwords as argon2id texts. Slow and hungry on purpose (tens of milliseconds, 64 MiB): worker
 * threads only. False when memory is out. */
#define CRYPTO_PASSWORD_LEN 128 /* bytes of such a text, with its end */
bool crypto_password_hash(char out[CRYPTO_PASSWORD_LEN], const char *password);
bool crypto_password_ok(const char *hash, const char *password);

/* The digest of this name (OpenSSL's: "SHA1", "SHA512", "SHA3-512") in hexadecimal; out holds
 * CRYPTO_DIGEST_TEXT. The first call loads it, later ones of the same name open no file. */
#define CRYPTO_DIGEST_TEXT (2 * 64 + 1)
void crypto_digest(char out[CRYPTO_DIGEST_TEXT], const char *name, const void *p, size_t n);

/* Incremental SHA-256. */
struct crypto_hash;
struct crypto_hash *crypto_hash_new(void);
void crypto_hash_add(struct crypto_hash *h, const void *p, size_t n);
void crypto_hash_final(struct crypto_hash *h, uint8_t out[CRYPTO_SHA256_LEN]); /* and frees h */
void crypto_hash_free(struct crypto_hash *h);

/* XChaCha20-Poly1305 with associated data ad (may be NULL). out holds n + CRYPTO_SEAL_OVERHEAD. */
void crypto_seal(uint8_t *out, const void *p, size_t n, const void *ad, size_t ad_len,
    const uint8_t key[CRYPTO_KEY_LEN]);
/* out holds n - CRYPTO_SEAL_OVERHEAD; ERR_INVALID when the bytes were not sealed with this key and
 * ad. */
int crypto_open(uint8_t *out, const void *p, size_t n, const void *ad, size_t ad_len,
    const uint8_t key[CRYPTO_KEY_LEN], struct err **err) MUSTCHECK;

/* URL-safe base64 without padding is not needed yet; standard base64. out is malloc'ed. */
char *crypto_base64(const void *p, size_t n);

/* A key file: 64 hex digits. ERR_INVALID says what it should hold. */
int crypto_read_key_file(uint8_t key[CRYPTO_KEY_LEN], const char *path, struct err **err) MUSTCHECK;

#endif
