#include "runservice/secrets.h"

#include "common/id.h"
#include "common/mem.h"
#include "runservice/store.h"

#include <stdio.h>
#include <string.h>

int
rs_secret_seal(char version[40], struct db *db, const char *run_id, const char *value,
    const uint8_t master[CRYPTO_KEY_LEN], struct err **err)
{
	struct id id = id_new();
	uint8_t key[CRYPTO_KEY_LEN], wrapped[CRYPTO_KEY_LEN + CRYPTO_SEAL_OVERHEAD];
	size_t n = strlen(value);
	auto_free uint8_t *sealed = xmalloc(n + CRYPTO_SEAL_OVERHEAD);
	id_random_bytes(key, sizeof(key));
	/* Bound to its version: swapped rows do not open. */
	crypto_seal(sealed, value, n, id.s, ID_LEN, key);
	crypto_seal(wrapped, key, sizeof(key), id.s, ID_LEN, master);
	explicit_bzero(key, sizeof(key));
	snprintf(version, 40, "%s", id.s);
	return rs_store_secret_put(
	    db, id.s, run_id, wrapped, sizeof(wrapped), sealed, n + CRYPTO_SEAL_OVERHEAD, err);
}

int
rs_secret_open(char **value, struct db *db, const char *run_id, const char *name,
    const uint8_t master[CRYPTO_KEY_LEN], struct err **err)
{
	char version[ID_LEN + 1];
	void *w = NULL, *s = NULL;
	size_t wlen = 0, slen = 0;
	uint8_t key[CRYPTO_KEY_LEN];
	auto_err e = NULL;
	int rc = rs_store_secret_get(version, &w, &wlen, &s, &slen, db, run_id, name, &e);
	if (rc == ERR_NOTFOUND) {
		*value = xstrdup("");
		return 0;
	}
	if (rc != 0) {
		if (err)
			*err = steal(&e);
		return rc;
	}
	auto_free void *wrapped = w;
	auto_free void *sealed = s;
	if (wlen != CRYPTO_KEY_LEN + CRYPTO_SEAL_OVERHEAD || slen < CRYPTO_SEAL_OVERHEAD)
		return err_set(err, ERR_INTERNAL, "stored value of variable %s is damaged", name);
	rc = crypto_open(key, wrapped, wlen, version, ID_LEN, master, err);
	if (rc != 0)
		return err_wrap(err, "variable %s was sealed under another master key", name);
	size_t n = slen - CRYPTO_SEAL_OVERHEAD;
	char *out = xmalloc(n + 1);
	rc = crypto_open((uint8_t *)out, sealed, slen, version, ID_LEN, key, err);
	explicit_bzero(key, sizeof(key));
	if (rc != 0) {
		free(out);
		return err_wrap(err, "open variable %s", name);
	}
	out[n] = '\0';
	*value = out;
	return 0;
}
