#include "runservice/keyring.h"

#include "common/mem.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

struct held {
	bool there;
	struct rs_key_id id;
	uint8_t key[CRYPTO_KEY_LEN];
};

struct rs_keyring {
	pthread_mutex_t lock;
	char *file, *next;
	struct held main, other;
};

struct rs_key_id
rs_key_id_of(const uint8_t key[CRYPTO_KEY_LEN])
{
	static const char purpose[] = "millrace master key id";
	uint8_t mac[CRYPTO_SHA256_LEN];
	struct rs_key_id id = { "" };
	crypto_hmac_sha256(mac, key, CRYPTO_KEY_LEN, purpose, sizeof(purpose) - 1);
	crypto_hex(id.s, mac, RS_KEY_ID_LEN / 2);
	return id;
}

static int
read_held(struct held *h, const char *path, struct err **err)
{
	struct held got = { .there = true };
	int rc = crypto_read_key_file(got.key, path, err);
	if (rc != 0)
		return rc;
	got.id = rs_key_id_of(got.key);
	*h = got;
	explicit_bzero(&got, sizeof(got));
	return 0;
}

static int
read_files(struct rs_keyring *k, struct err **err)
{
	int rc = read_held(&k->main, k->file, err);
	if (rc != 0)
		return rc;
	explicit_bzero(&k->other, sizeof(k->other));
	if (!k->next || access(k->next, F_OK) != 0)
		return 0;
	return read_held(&k->other, k->next, err);
}

int
rs_keyring_new(struct rs_keyring **out, const char *file, const char *next, struct err **err)
{
	struct rs_keyring *k = xcalloc(1, sizeof(*k));
	MUST(pthread_mutex_init(&k->lock, NULL) == 0);
	k->file = xstrdup(file);
	k->next = next ? xstrdup(next) : NULL;
	int rc = read_files(k, err);
	if (rc != 0)
		rs_keyring_free(k);
	else
		*out = k;
	return rc;
}

void
rs_keyring_free(struct rs_keyring *k)
{
	if (!k)
		return;
	pthread_mutex_destroy(&k->lock);
	free(k->file);
	free(k->next);
	xfree_secret(k, sizeof(*k));
}

static bool
find(uint8_t key[CRYPTO_KEY_LEN], const struct rs_keyring *k, const char *id)
{
	const struct held *all[] = { &k->main, &k->other };
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i]->there && strcmp(all[i]->id.s, id) == 0) {
			memcpy(key, all[i]->key, CRYPTO_KEY_LEN);
			return true;
		}
	}
	return false;
}

int
rs_keyring_get(uint8_t key[CRYPTO_KEY_LEN], struct rs_keyring *k, const char *id, struct err **err)
{
	auto_err why = NULL;
	pthread_mutex_lock(&k->lock);
	bool found = find(key, k, id);
	if (!found && read_files(k, &why) == 0)
		found = find(key, k, id);
	struct rs_key_id have = k->main.id;
	pthread_mutex_unlock(&k->lock);
	if (found)
		return 0;
	if (why)
		return err_set(
		    err, ERR_UNAVAILABLE, "master key %.8s is needed: %s", id, err_msg(why));
	return err_set(err, ERR_UNAVAILABLE,
	    "master key %.8s is needed, and %s holds key %.8s: put the needed one there", id,
	    k->file, have.s);
}

struct rs_key_id
rs_keyring_main(struct rs_keyring *k)
{
	pthread_mutex_lock(&k->lock);
	struct rs_key_id id = k->main.id;
	pthread_mutex_unlock(&k->lock);
	return id;
}
