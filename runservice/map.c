#include "runservice/map.h"

#include "common/mem.h"

#include <string.h>

static size_t
hash(const char *s)
{
	uint64_t h = 1469598103934665603u;
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return (size_t)(h ^ (h >> 29));
}

static size_t
slot_of(const struct rs_map *m, const char *key)
{
	size_t i = hash(key) & (m->cap - 1);
	while (m->slots[i].key && strcmp(m->slots[i].key, key) != 0)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void *
rs_map_get(const struct rs_map *m, const char *key)
{
	return m->cap == 0 ? NULL : m->slots[slot_of(m, key)].value;
}

static void
grow(struct rs_map *m)
{
	struct rs_map old = *m;
	m->cap = old.cap ? old.cap * 2 : 16;
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
	for (size_t i = 0; i < old.cap; i++) {
		if (old.slots[i].key)
			m->slots[slot_of(m, old.slots[i].key)] = old.slots[i];
	}
	free(old.slots);
}

void *
rs_map_put(struct rs_map *m, const char *key, void *value)
{
	if (2 * (m->n + 1) > m->cap)
		grow(m);
	struct rs_map_entry *e = &m->slots[slot_of(m, key)];
	void *old = e->value;
	if (!e->key) {
		e->key = xstrdup(key);
		m->n++;
	}
	e->value = value;
	return old;
}

void *
rs_map_remove(struct rs_map *m, const char *key)
{
	if (m->cap == 0)
		return NULL;
	size_t i = slot_of(m, key);
	void *old = m->slots[i].value;
	if (!m->slots[i].key)
		return NULL;
	free(m->slots[i].key);
	m->slots[i] = (struct rs_map_entry){ 0 };
	m->n--;
	/* Close the gap, so that probing never meets a hole before its key. */
	for (size_t j = (i + 1) & (m->cap - 1); m->slots[j].key; j = (j + 1) & (m->cap - 1)) {
		struct rs_map_entry e = m->slots[j];
		m->slots[j] = (struct rs_map_entry){ 0 };
		m->slots[slot_of(m, e.key)] = e;
	}
	return old;
}

void
rs_map_fini(struct rs_map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		free(m->slots[i].key);
	free(m->slots);
	*m = (struct rs_map){ 0 };
}

void *
rs_map_next(const struct rs_map *m, size_t *at)
{
	while (*at < m->cap) {
		void *v = m->slots[(*at)++].value;
		if (v)
			return v;
	}
	return NULL;
}
