#include "runservice/secrets.h"

#include "common/mem.h"
#include "runservice/store.h"

#include <stdio.h>
#include <string.h>

#define OWN_KEY "object urls"

int
rs_sealer_init(struct rs_sealer *s, struct db *db, struct rs_keyring *keys, struct err **err)
{
	int rc = rs_store_master_current(&s->id, db, err);
	s->db = db;
	return rc == 0 ? rs_keyring_get(s->key, keys, s->id.s, err) : rc;
}

void
rs_sealer_fini(struct rs_sealer *s)
{
	explicit_bzero(s, sizeof(*s));
}

int
rs_secret_seal(char version[ID_LEN + 1], const struct rs_sealer *s, const char *run_id,
    const char *value, struct err **err)
{
	struct id id = id_new();
	uint8_t key[CRYPTO_KEY_LEN], wrapped[RS_WRAPPED_LEN];
	size_t n = strlen(value);
	auto_free uint8_t *sealed = xmalloc(n + CRYPTO_SEAL_OVERHEAD);
	id_random_bytes(key, sizeof(key));
	/* Bound to its version: swapped rows do not open. */
	crypto_seal(sealed, value, n, id.s, ID_LEN, key);
	crypto_seal(wrapped, key, sizeof(key), id.s, ID_LEN, s->key);
	explicit_bzero(key, sizeof(key));
	memcpy(version, id.s, sizeof(id.s));
	const struct rs_sealed row = { .wrapped = wrapped,
		.wrapped_len = sizeof(wrapped),
		.sealed = sealed,
		.sealed_len = n + CRYPTO_SEAL_OVERHEAD };
	return rs_store_secret_put(s->db, id.s, run_id, s->id.s, &row, err);
}

/* The value of a stored version, malloc'ed; *n without the NUL after it. */
static int
open_version(
    char **value, size_t *n, const struct rs_sealed *row, struct rs_keyring *keys, struct err **err)
{
	uint8_t master[CRYPTO_KEY_LEN], key[CRYPTO_KEY_LEN];
	if (row->wrapped_len != RS_WRAPPED_LEN || row->sealed_len < CRYPTO_SEAL_OVERHEAD)
		return err_set(err, ERR_INTERNAL, "its stored form is damaged");
	int rc = rs_keyring_get(master, keys, row->master, err);
	if (rc != 0)
		return rc;
	rc = crypto_open(key, row->wrapped, row->wrapped_len, row->version, ID_LEN, master, err);
	explicit_bzero(master, sizeof(master));
	if (rc != 0)
		return err_wrap(err, "its key is damaged");
	*n = row->sealed_len - CRYPTO_SEAL_OVERHEAD;
	char *out = xmalloc(*n + 1);
	rc = crypto_open(
	    (uint8_t *)out, row->sealed, row->sealed_len, row->version, ID_LEN, key, err);
	explicit_bzero(key, sizeof(key));
	if (rc != 0) {
		free(out);
		return err_wrap(err, "it is damaged");
	}
	out[*n] = '\0';
	*value = out;
	return 0;
}

int
rs_secret_open(char **value, struct db *db, const char *run_id, const char *name,
    struct rs_keyring *keys, struct err **err)
{
	struct rs_sealed row;
	size_t n;
	auto_err e = NULL;
	int rc = rs_store_secret_get(&row, db, run_id, name, &e);
	if (rc == ERR_NOTFOUND) {
		*value = xstrdup("");
		return 0;
	}
	if (rc == 0) {
		rc = open_version(value, &n, &row, keys, &e);
		rs_sealed_fini(&row);
	}
	if (rc == 0)
		return 0;
	err_wrap(&e, "open variable %s", name);
	if (err)
		*err = steal(&e);
	return rc;
}

/* --- start --- */

struct start {
	struct rs_keyring *keys;
	uint8_t *own_key;
};

/* A database without a key gets the one of master_key_file. Secrets of a release that did not note
 * their key were sealed under that one, or it is the wrong one. */
static int
adopt(struct db *db, struct rs_keyring *keys, struct err **err)
{
	struct rs_key_id id = rs_keyring_main(keys);
	struct rs_sealed row;
	char *value;
	size_t n;
	auto_err why = NULL;
	int rc = rs_store_secret_unkeyed(&row, db, err);
	if (rc != 0)
		return rc;
	if (*row.version) {
		memcpy(row.master, id.s, sizeof(id.s));
		rc = open_version(&value, &n, &row, keys, &why);
		rs_sealed_fini(&row);
		if (rc != 0)
			return err_set(err, ERR_INVALID,
			    "master_key_file is not the key under which the stored secrets were "
			    "sealed: put that one back");
		xfree_secret(value, n);
	}
	return rs_store_master_add(db, id.s, err);
}

static int
check_keys(struct db *db, struct rs_keyring *keys, struct err **err)
{
	struct rs_key_id *list = NULL;
	size_t n = 0;
	int rc = rs_store_master_list(&list, &n, db, err);
	if (rc == 0 && n == 0)
		rc = adopt(db, keys, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		uint8_t key[CRYPTO_KEY_LEN];
		auto_err why = NULL;
		if (rs_keyring_get(key, keys, list[i].s, &why) != 0)
			rc = err_set(err, ERR_INVALID,
			    "master_key_file: the stored secrets are sealed under another key: "
			    "%s%s",
			    err_msg(why),
			    n > 1 ? "; a rotation was not finished and needs both keys" : "");
		explicit_bzero(key, sizeof(key));
	}
	free(list);
	return rc;
}

static int
make_own_key(struct db *db, struct rs_keyring *keys, struct err **err)
{
	struct rs_sealer s;
	char version[ID_LEN + 1], hex[2 * CRYPTO_KEY_LEN + 1];
	int rc = rs_sealer_init(&s, db, keys, err);
	if (rc != 0)
		return rc;
	id_random_hex(hex, CRYPTO_KEY_LEN);
	rc = rs_secret_seal(version, &s, NULL, hex, err);
	rs_sealer_fini(&s);
	explicit_bzero(hex, sizeof(hex));
	return rc == 0 ? rs_store_own_key_put(db, OWN_KEY, version, err) : rc;
}

static int
own_key(uint8_t out[CRYPTO_KEY_LEN], struct db *db, struct rs_keyring *keys, struct err **err)
{
	struct rs_sealed row;
	char *hex = NULL;
	size_t n = 0;
	int rc = rs_store_own_key_get(&row, db, OWN_KEY, err);
	if (rc == 0 && *row.version == '\0') {
		rc = make_own_key(db, keys, err);
		if (rc == 0)
			rc = rs_store_own_key_get(&row, db, OWN_KEY, err);
	}
	if (rc != 0)
		return rc;
	rc = open_version(&hex, &n, &row, keys, err);
	rs_sealed_fini(&row);
	if (rc != 0)
		return err_wrap(err, "open the key of object URLs");
	rc = crypto_unhex(out, CRYPTO_KEY_LEN, hex, err);
	xfree_secret(hex, n);
	return rc;
}

static int
start_tx(struct db *db, void *arg, struct err **err)
{
	const struct start *s = arg;
	int rc = rs_store_scopes_lock(db, true, err);
	if (rc == 0)
		rc = check_keys(db, s->keys, err);
	return rc == 0 ? own_key(s->own_key, db, s->keys, err) : rc;
}

int
rs_secrets_start(
    uint8_t own_key[CRYPTO_KEY_LEN], struct db *db, struct rs_keyring *keys, struct err **err)
{
	struct start s = { .keys = keys, .own_key = own_key };
	return db_tx_run(db, start_tx, &s, err);
}
