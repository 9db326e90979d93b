/*
 * signed.h - texts that only this installation can make: <payload>.<HMAC>. Pure.
 *
 * For cookies and login states. Each use has its own key (keys.h), so that one never passes for
 * another.
 */
#ifndef GATEWAY_SIGNED_H
#define GATEWAY_SIGNED_H

#include "common/crypto.h"

#include <stdint.h>

#define GW_SIGNED_MAX 4096 /* bytes; longer ones are refused unread */

/* malloc'ed. */
char *gw_signed(const char *payload, const uint8_t key[CRYPTO_KEY_LEN]);
/* The payload, malloc'ed; NULL when it was not signed with this key. */
char *gw_signed_open(const char *text, const uint8_t key[CRYPTO_KEY_LEN]);

#endif
