#include "gateway/session.h"

#include "common/mem.h"
#include "gateway/signed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
gw_session_init(struct gw_session *s, const char *user_id, int64_t epoch, int64_t expires_s)
{
	*s = (struct gw_session){ .epoch = epoch, .expires_s = expires_s };
	snprintf(s->user_id, sizeof(s->user_id), "%s", user_id);
	id_random_hex(s->token, GW_SESSION_TOKEN_LEN / 2);
}

char *
gw_session_primary(const struct gw_session *s, const uint8_t key[CRYPTO_KEY_LEN])
{
	auto_free char *payload = xasprintf(
	    "1.%s.%" PRId64 ".%" PRId64 ".%s", s->user_id, s->epoch, s->expires_s, s->token);

	return gw_signed(payload, key);
}

char *
gw_session_secondary(const struct gw_session *s, const uint8_t key[CRYPTO_KEY_LEN])
{
	auto_free char *payload = xasprintf("2.%s", s->token);

	return gw_signed(payload, key);
}

/* A number and the dot behind it. */
static bool
number(int64_t *out, char **at)
{
	char *end;

	errno = 0;
	*out = strtoll(*at, &end, 10);
	if (errno || end == *at || *end != '.')
		return false;
	*at = end + 1;
	return true;
}

static bool
parse(struct gw_session *out, char *payload)
{
	char *at = payload + 2;

	if (strncmp(payload, "1.", 2) != 0 || strlen(at) < ID_LEN + 1 || at[ID_LEN] != '.')
		return false;
	at[ID_LEN] = '\0';
	if (!id_is_valid(at))
		return false;
	memcpy(out->user_id, at, ID_LEN + 1);
	at += ID_LEN + 1;
	if (!number(&out->epoch, &at) || !number(&out->expires_s, &at) ||
	    strlen(at) != GW_SESSION_TOKEN_LEN)
		return false;
	memcpy(out->token, at, GW_SESSION_TOKEN_LEN + 1);
	return true;
}

bool
gw_session_open(struct gw_session *out, const char *primary, const char *secondary,
    const uint8_t key[CRYPTO_KEY_LEN], int64_t now_s)
{
	auto_free char *first = primary ? gw_signed_open(primary, key) : NULL;
	auto_free char *second = secondary ? gw_signed_open(secondary, key) : NULL;

	*out = (struct gw_session){ 0 };
	if (!first || !second || !parse(out, first) || strncmp(second, "2.", 2) != 0)
		return false;
	return strlen(second + 2) == GW_SESSION_TOKEN_LEN &&
	       crypto_equal(second + 2, out->token, GW_SESSION_TOKEN_LEN) && out->expires_s > now_s;
}

static const char *
skip_spaces(const char *p)
{
	return p + strspn(p, " \t");
}

char *
gw_cookie_get(const char *header, const char *name)
{
	size_t len = strlen(name);
	const char *p = header;

	if (!p || strnlen(p, GW_COOKIE_MAX + 1) > GW_COOKIE_MAX)
		return NULL;
	for (;;) {
		size_t n;

		p = skip_spaces(p);
		n = strcspn(p, ";");
		if (n > len && p[len] == '=' && memcmp(p, name, len) == 0) {
			const char *value = p + len + 1;
			size_t k = n - len - 1;

			while (k > 0 && (value[k - 1] == ' ' || value[k - 1] == '\t'))
				k--;
			if (k >= 2 && value[0] == '"' && value[k - 1] == '"')
				return xstrndup(value + 1, k - 2);
			return xstrndup(value, k);
		}
		if (p[n] == '\0')
			return NULL;
		p += n + 1;
	}
}

const char *
gw_cookie_primary_name(bool unsecure)
{
	return unsecure ? "session" : "__Host-session";
}

const char *
gw_cookie_csrf_name(bool unsecure)
{
	return unsecure ? "csrf" : "__Host-csrf";
}

char *
gw_cookie_format(const struct gw_cookie *c)
{
	char age[40] = "";

	if (c->max_age_s)
		snprintf(age, sizeof(age), "; Max-Age=%" PRId64, c->max_age_s);
	return xasprintf("%s=%s; Path=/%s%s%s; SameSite=%s", c->name, c->value, age,
	    c->http_only ? "; HttpOnly" : "", c->secure ? "; Secure" : "",
	    c->lax ? "Lax" : "Strict");
}

char *
gw_csrf_cookie_new(uint8_t value[GW_CSRF_LEN], const uint8_t key[CRYPTO_KEY_LEN])
{
	char hex[2 * GW_CSRF_LEN + 1];

	id_random_bytes(value, GW_CSRF_LEN);
	crypto_hex(hex, value, GW_CSRF_LEN);
	return gw_signed(hex, key);
}

bool
gw_csrf_cookie_open(
    uint8_t value[GW_CSRF_LEN], const char *cookie, const uint8_t key[CRYPTO_KEY_LEN])
{
	auto_free char *hex = cookie ? gw_signed_open(cookie, key) : NULL;

	return hex && crypto_unhex(value, GW_CSRF_LEN, hex, NULL) == 0;
}

char *
gw_csrf_token(const uint8_t value[GW_CSRF_LEN])
{
	uint8_t both[2 * GW_CSRF_LEN];
	char hex[2 * sizeof(both) + 1];

	id_random_bytes(both, GW_CSRF_LEN);
	for (size_t i = 0; i < GW_CSRF_LEN; i++)
		both[GW_CSRF_LEN + i] = both[i] ^ value[i];
	crypto_hex(hex, both, sizeof(both));
	return xstrdup(hex);
}

bool
gw_csrf_token_ok(const uint8_t value[GW_CSRF_LEN], const char *token)
{
	uint8_t both[2 * GW_CSRF_LEN];

	if (crypto_unhex(both, sizeof(both), token, NULL) < 0)
		return false;
	for (size_t i = 0; i < GW_CSRF_LEN; i++)
		both[GW_CSRF_LEN + i] ^= both[i];
	return crypto_equal(both + GW_CSRF_LEN, value, GW_CSRF_LEN);
}
