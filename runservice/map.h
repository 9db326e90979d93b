/*
 * map.h - text key to pointer, by hash. Owns copies of the keys, never the values. One thread.
 */
#ifndef RUNSERVICE_MAP_H
#define RUNSERVICE_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct rs_map_entry {
	char *key; /* NULL = empty slot */
	void *value;
};

struct rs_map { /* zero-initialised = empty */
	struct rs_map_entry *slots;
	size_t cap, n;
};

void *rs_map_get(const struct rs_map *m, const char *key); /* NULL when absent */
/* value is not NULL. Returns the value it replaced, or NULL. */
void *rs_map_put(struct rs_map *m, const char *key, void *value);
void *rs_map_remove(struct rs_map *m, const char *key); /* the value it had, or NULL */
void rs_map_fini(struct rs_map *m);

/* for (size_t i = 0; (v = rs_map_next(&m, &i)) != NULL;): no change of the map inside. */
void *rs_map_next(const struct rs_map *m, size_t *at);

#endif
