/*
 * run_token.h - what a direct run's tasks clone with: a text that opens one commit of one
 * repository for reading, and tells nobody the repository's id. Pure.
 *
 * It is sealed, so that any gateway with the same secret_key_file opens it. It is worth something
 * as long as the repository keeps the run's namespace (git_clean.h).
 */
#ifndef GATEWAY_RUN_TOKEN_H
#define GATEWAY_RUN_TOKEN_H

#include "common/crypto.h"
#include "common/id.h"
#include "gateway/git_repo.h"

#include <stdbool.h>

/* Of a repository of owner's, for the namespace space; malloc'ed, hex digits. */
char *gw_run_token_make(
    const uint8_t key[CRYPTO_KEY_LEN], const char *owner, const char *repo, const char *space);
/* False unless it is one of ours, for that owner. */
bool gw_run_token_open(char repo[ID_LEN + 1], char space[GW_REPO_SPACE_LEN + 1], const char *token,
    const char *owner, const uint8_t key[CRYPTO_KEY_LEN]);

#endif
