#include "toolbox/nameset.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toolbox/util.h"

struct print {
	uint64_t a, b; /* both 0: free */
};

struct tb_nameset {
	struct print *slot;
	size_t cap, n; /* cap a power of two, at least a third free */
};

static uint64_t
mix(uint64_t h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 33;
}

static struct print
print_of(const char *s)
{
	struct print p = { 0xcbf29ce484222325ull, 0x9e3779b97f4a7c15ull };

	for (; *s != '\0'; s++) {
		p.a = (p.a ^ (uint8_t)*s) * 0x100000001b3ull;
		p.b = mix(p.b ^ (uint8_t)*s);
	}
	p.a = mix(p.a) | 1;
	return p;
}

struct tb_nameset *
tb_nameset_new(void)
{
	struct tb_nameset *s = tb_malloc(sizeof(*s));

	s->cap = 1024;
	s->n = 0;
	s->slot = tb_malloc(s->cap * sizeof(struct print));
	memset(s->slot, 0, s->cap * sizeof(struct print));
	return s;
}

void
tb_nameset_free(struct tb_nameset *s)
{
	if (s == NULL)
		return;
	free(s->slot);
	free(s);
}

static bool
insert(struct print *slot, size_t cap, struct print p)
{
	size_t i = (size_t)p.b & (cap - 1);

	for (; slot[i].a != 0; i = (i + 1) & (cap - 1))
		if (slot[i].a == p.a && slot[i].b == p.b)
			return false;
	slot[i] = p;
	return true;
}

static void
grow(struct tb_nameset *s)
{
	size_t cap = s->cap * 2;
	struct print *slot = tb_malloc(cap * sizeof(struct print));

	memset(slot, 0, cap * sizeof(struct print));
	for (size_t i = 0; i < s->cap; i++)
		if (s->slot[i].a != 0)
			insert(slot, cap, s->slot[i]);
	free(s->slot);
	s->slot = slot;
	s->cap = cap;
}

bool
tb_nameset_add(struct tb_nameset *s, const char *name)
{
	if (s->n * 3 >= s->cap * 2)
		grow(s);
	if (!insert(s->slot, s->cap, print_of(name)))
		return false;
	s->n++;
	return true;
}
