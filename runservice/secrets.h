/*
 * secrets.h - values at rest: each under its own data key, that key wrapped by the master key.
 * Versions are immutable; a run refers to them by variable name. Worker threads.
 */
#ifndef RUNSERVICE_SECRETS_H
#define RUNSERVICE_SECRETS_H

#include "common/crypto.h"
#include "common/db.h"

/* Stores value as a new version scoped to the run; version receives its id. */
int rs_secret_seal(char version[40], struct db *db, const char *run_id, const char *value,
    const uint8_t master[CRYPTO_KEY_LEN], struct err **err) MUSTCHECK;
/* The value of a run's variable, malloc'ed (free with xfree_secret); "" when it is not defined. */
int rs_secret_open(char **value, struct db *db, const char *run_id, const char *name,
    const uint8_t master[CRYPTO_KEY_LEN], struct err **err) MUSTCHECK;

#endif
