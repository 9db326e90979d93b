/*
 * secrets.h - values at rest: each under its own data key, that key wrapped by a master key.
 * Versions are immutable but for the wrapping; a run refers to them by variable name. Worker
 * threads, inside a transaction.
 */
#ifndef RUNSERVICE_SECRETS_H
#define RUNSERVICE_SECRETS_H

#include "common/crypto.h"
#include "common/db.h"
#include "common/id.h"
#include "runservice/keyring.h"

/* The master key under which this transaction seals. It stays usable until the transaction ends,
 * whatever a rotation does meanwhile. */
struct rs_sealer {
	struct db *db;
	struct rs_key_id id;
	uint8_t key[CRYPTO_KEY_LEN];
};
int rs_sealer_init(
    struct rs_sealer *s, struct db *db, struct rs_keyring *keys, struct err **err) MUSTCHECK;
void rs_sealer_fini(struct rs_sealer *s);

/* Stores value as a new version, scoped to a run or (run_id NULL) not; version receives its id. */
int rs_secret_seal(char version[ID_LEN + 1], const struct rs_sealer *s, const char *run_id,
    const char *value, struct err **err) MUSTCHECK;
/* The value of a run's variable, malloc'ed (free with xfree_secret); "" when it is not defined.
 * ERR_UNAVAILABLE while the master key it needs is not there. */
int rs_secret_open(char **value, struct db *db, const char *run_id, const char *name,
    struct rs_keyring *keys, struct err **err) MUSTCHECK;

/* At the start: refuses (ERR_INVALID) a keyring without the keys that this database's secrets are
 * sealed under; a new database gets that of master_key_file. Opens a key of our own, for signing
 * object URLs; makes it when there is none. */
int rs_secrets_start(uint8_t own_key[CRYPTO_KEY_LEN], struct db *db, struct rs_keyring *keys,
    struct err **err) MUSTCHECK;

#endif
