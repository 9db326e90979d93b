/*
 * session.h - cookies of browsers: the pair that is a session, and the one against CSRF. Pure.
 *
 * A session is its two cookies; nothing is stored. The primary one holds who, until when, and the
 * token that the secondary one, which scripts may delete to log out, repeats.
 */
#ifndef GATEWAY_SESSION_H
#define GATEWAY_SESSION_H

#include "common/crypto.h"
#include "common/id.h"

#include <stdbool.h>
#include <stdint.h>

#define GW_SESSION_TOKEN_LEN 32 /* hex digits */
#define GW_COOKIE_SECONDARY "secondarysession"
#define GW_COOKIE_MAX 8192 /* bytes of a Cookie header that are looked at */

struct gw_session {
	char user_id[ID_LEN + 1];
	int64_t epoch;     /* of the user's sessions; a new password begins another */
	int64_t expires_s; /* Unix time */
	char token[GW_SESSION_TOKEN_LEN + 1];
};
void gw_session_init(struct gw_session *s, const char *user_id, int64_t epoch, int64_t expires_s);
/* Cookie values, malloc'ed. */
char *gw_session_primary(const struct gw_session *s, const uint8_t key[CRYPTO_KEY_LEN]);
char *gw_session_secondary(const struct gw_session *s, const uint8_t key[CRYPTO_KEY_LEN]);
/* False unless both are ours, belong together and have not expired. NULL allowed. */
bool gw_session_open(struct gw_session *out, const char *primary, const char *secondary,
    const uint8_t key[CRYPTO_KEY_LEN], int64_t now_s);

/* Value of a cookie in a Cookie header (NULL allowed), malloc'ed, or NULL. */
char *gw_cookie_get(const char *header, const char *name);
/* Names of the primary and the CSRF cookie. */
const char *gw_cookie_primary_name(bool unsecure);
const char *gw_cookie_csrf_name(bool unsecure);
/* A Set-Cookie value, malloc'ed. max_age_s 0: until the browser ends. */
struct gw_cookie {
	const char *name, *value;
	bool secure, http_only, lax; /* lax: SameSite=Lax, else Strict */
	int64_t max_age_s;
};
char *gw_cookie_format(const struct gw_cookie *c);

/* --- CSRF: a random value in a cookie; its masked form must come back in a header --- */

#define GW_CSRF_LEN 32
/* The cookie's value, malloc'ed, of a fresh value. */
char *gw_csrf_cookie_new(uint8_t value[GW_CSRF_LEN], const uint8_t key[CRYPTO_KEY_LEN]);
bool gw_csrf_cookie_open(
    uint8_t value[GW_CSRF_LEN], const char *cookie, const uint8_t key[CRYPTO_KEY_LEN]);
/* Another text each time, malloc'ed. */
char *gw_csrf_token(const uint8_t value[GW_CSRF_LEN]);
bool gw_csrf_token_ok(const uint8_t value[GW_CSRF_LEN], const char *token);

#endif
