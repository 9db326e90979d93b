/*
 * keyring.h - the master keys this process can use, by what they are known by.
 *
 * One is in master_key_file. While a rotation is under way, or when it could not replace that file,
 * the next one is in data_dir/RS_KEYRING_NEXT. The files are read again when a key is asked for
 * that is not known, so a running process needs no restart. Any thread.
 */
#ifndef RUNSERVICE_KEYRING_H
#define RUNSERVICE_KEYRING_H

#include "common/crypto.h"
#include "common/err.h"

#include <stdbool.h>

#define RS_KEY_ID_LEN 32
#define RS_KEYRING_NEXT "master-key.next"

struct rs_key_id {
	char s[RS_KEY_ID_LEN + 1]; /* hex; proves a key and does not tell it */
};

struct rs_keyring;

struct rs_key_id rs_key_id_of(const uint8_t key[CRYPTO_KEY_LEN]);
/* ERR_INVALID and the like when file is no key file; next (may be NULL) may be absent. */
int rs_keyring_new(
    struct rs_keyring **out, const char *file, const char *next, struct err **err) MUSTCHECK;
void rs_keyring_free(struct rs_keyring *k); /* NULL allowed */
/* ERR_UNAVAILABLE when neither file has it: it is to be brought. */
int rs_keyring_get(
    uint8_t key[CRYPTO_KEY_LEN], struct rs_keyring *k, const char *id, struct err **err) MUSTCHECK;
/* What master_key_file held when it was last read. */
struct rs_key_id rs_keyring_main(struct rs_keyring *k);

#endif
