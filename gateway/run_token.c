#include "gateway/run_token.h"

#include "common/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PLAIN_LEN (ID_LEN + GW_REPO_SPACE_LEN)
#define SEALED_LEN (PLAIN_LEN + CRYPTO_SEAL_OVERHEAD)

char *
gw_run_token_make(
    const uint8_t key[CRYPTO_KEY_LEN], const char *owner, const char *repo, const char *space)
{
	char plain[PLAIN_LEN + 1];
	uint8_t sealed[SEALED_LEN];
	char *out = xmalloc(2 * SEALED_LEN + 1);

	MUST(strlen(repo) == ID_LEN && strlen(space) == GW_REPO_SPACE_LEN);
	snprintf(plain, sizeof(plain), "%s%s", repo, space);
	crypto_seal(sealed, plain, PLAIN_LEN, owner, strlen(owner), key);
	crypto_hex(out, sealed, SEALED_LEN);
	return out;
}

bool
gw_run_token_open(char repo[ID_LEN + 1], char space[GW_REPO_SPACE_LEN + 1], const char *token,
    const char *owner, const uint8_t key[CRYPTO_KEY_LEN])
{
	uint8_t sealed[SEALED_LEN];
	char plain[PLAIN_LEN + 1] = "";

	if (strlen(token) != 2 * (size_t)SEALED_LEN ||
	    crypto_unhex(sealed, SEALED_LEN, token, NULL) < 0 ||
	    crypto_open((uint8_t *)plain, sealed, SEALED_LEN, owner, strlen(owner), key, NULL) < 0)
		return false;
	snprintf(repo, ID_LEN + 1, "%.*s", ID_LEN, plain);
	snprintf(space, GW_REPO_SPACE_LEN + 1, "%s", plain + ID_LEN);
	return true;
}
