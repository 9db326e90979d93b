#include "gateway/limit.h"

#include "common/crypto.h"
#include "common/mem.h"

#include <stdbool.h>
#include <string.h>

/* Keys are kept as hashes: they have one length whatever was typed. */
struct entry {
	uint8_t key[CRYPTO_SHA256_LEN];
	int64_t full_ms; /* when the bucket is full again; an entry beyond that says nothing */
	bool used;
};

struct gw_limit {
	unsigned burst;
	int64_t refill_ms;
	struct entry entries[GW_LIMIT_ENTRIES];
};

struct gw_limit *
gw_limit_new(unsigned burst, int64_t refill_ms)
{
	struct gw_limit *l = xcalloc(1, sizeof(*l));

	MUST(burst > 0 && refill_ms > 0);
	l->burst = burst;
	l->refill_ms = refill_ms;
	return l;
}

void
gw_limit_free(struct gw_limit *l)
{
	free(l);
}

/* The key's entry; a fresh one takes the place of the one that says least. */
static struct entry *
entry_of(struct gw_limit *l, const char *key, int64_t now_ms)
{
	uint8_t hash[CRYPTO_SHA256_LEN];
	struct entry *least = &l->entries[0];

	crypto_sha256(hash, key, strlen(key));
	for (size_t i = 0; i < GW_LIMIT_ENTRIES; i++) {
		struct entry *e = &l->entries[i];

		if (e->used && memcmp(e->key, hash, sizeof(hash)) == 0)
			return e;
		if (least->used && (!e->used || e->full_ms < least->full_ms))
			least = e;
	}
	*least = (struct entry){ .used = true, .full_ms = now_ms };
	memcpy(least->key, hash, sizeof(hash));
	return least;
}

int64_t
gw_limit_take(struct gw_limit *l, const char *key, int64_t now_ms)
{
	struct entry *e = entry_of(l, key, now_ms);
	int64_t window = (int64_t)l->burst * l->refill_ms;

	if (e->full_ms < now_ms)
		e->full_ms = now_ms;
	if (e->full_ms + l->refill_ms > now_ms + window)
		return e->full_ms + l->refill_ms - now_ms - window;
	e->full_ms += l->refill_ms;
	return 0;
}

void
gw_limit_give(struct gw_limit *l, const char *key, int64_t now_ms)
{
	struct entry *e = entry_of(l, key, now_ms);

	if (e->full_ms > now_ms)
		e->full_ms -= l->refill_ms;
}

size_t
gw_limit_used(const struct gw_limit *l)
{
	size_t n = 0;

	for (size_t i = 0; i < GW_LIMIT_ENTRIES; i++)
		n += l->entries[i].used;
	return n;
}
