/*
 * keys.h - the gateway's own keys: what signs cookies and login states, what seals values at rest.
 *
 * Two files of 64 hex digits. Without cookie_key_file and secret_key_file they are made in data_dir
 * at the first start; several gateways of one database must be given the same ones. Constant after
 * gw_keys_load(): any thread.
 */
#ifndef GATEWAY_KEYS_H
#define GATEWAY_KEYS_H

#include "common/crypto.h"
#include "common/err.h"
#include "gateway/config.h"

#include <stddef.h>
#include <stdint.h>

struct gw_keys {
	uint8_t session[CRYPTO_KEY_LEN]; /* session cookies */
	uint8_t csrf[CRYPTO_KEY_LEN];    /* CSRF cookies */
	uint8_t state[CRYPTO_KEY_LEN];   /* states of OAuth2 */
	uint8_t seal[CRYPTO_KEY_LEN];    /* values in the database */
	uint8_t run[CRYPTO_KEY_LEN];     /* tokens of runs (run_token.h) */
};
int gw_keys_load(struct gw_keys *out, const struct gw_config *cfg, struct err **err) MUSTCHECK;
void gw_keys_wipe(struct gw_keys *keys);

/* A value as the database holds it. */
struct gw_sealed {
	uint8_t *p; /* malloc'ed, NULL = none */
	size_t n;
};
void gw_sealed_fini(struct gw_sealed *s);
/* place says whose value it is ("remote source <id> client_secret"): sealed bytes of another place
 * do not open. text NULL or "" gives none. */
struct gw_sealed gw_seal(const struct gw_keys *keys, const char *text, const char *place);
/* malloc'ed text; "" for none. ERR_INTERNAL when the bytes were sealed by another key. */
int gw_unseal(char **out, const struct gw_keys *keys, const struct gw_sealed *s, const char *place,
    struct err **err) MUSTCHECK;

#endif
