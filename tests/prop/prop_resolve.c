/*
 * Random chains of scopes with random variables and secrets: what the resolver finds is what a
 * plain reading of the rules over unsorted lists finds.
 *
 * prop_resolve [SEED]; the seed is printed with a failure.
 */
#include "common/mem.h"
#include "runservice/resolve.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORLDS 30000u
#define DEPTHS 4
#define NAMES 3
#define SECRETS_MAX 10
#define VALUES_MAX 3

static uint64_t rng;

static unsigned
any(unsigned below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng >> 33) % below;
}

static char *
name(unsigned i)
{
	static char names[NAMES][2] = { "a", "b", "c" };
	return names[i];
}

/* --- a world, as the rules see it --- */

struct mvalue {
	unsigned secret, key;
	int branch; /* matches this branch only; -1: always */
};
struct mvariable {
	bool there;
	unsigned n;
	struct mvalue values[VALUES_MAX];
};
struct msecret {
	unsigned depth, name, key;
};
struct world {
	struct mvariable variables[DEPTHS][NAMES];
	struct msecret secrets[SECRETS_MAX];
	size_t nsecrets;
};

static void
make(struct world *w)
{
	memset(w, 0, sizeof(*w));
	for (unsigned d = 0; d < DEPTHS; d++) {
		for (unsigned i = 0; i < NAMES; i++) {
			struct mvariable *v = &w->variables[d][i];
			v->there = any(3) == 0;
			v->n = 1 + any(VALUES_MAX);
			for (unsigned k = 0; k < v->n; k++)
				v->values[k] =
				    (struct mvalue){ any(NAMES), any(NAMES), (int)any(4) - 1 };
		}
	}
	for (size_t tries = any(SECRETS_MAX + 1); tries > 0; tries--) {
		struct msecret s = { any(DEPTHS), any(NAMES), any(NAMES) };
		bool taken = false;
		for (size_t i = 0; i < w->nsecrets; i++)
			taken |= memcmp(&w->secrets[i], &s, sizeof(s)) == 0;
		if (!taken)
			w->secrets[w->nsecrets++] = s;
	}
}

static bool
secret_at(const struct world *w, unsigned depth, unsigned secret)
{
	for (size_t i = 0; i < w->nsecrets; i++) {
		if (w->secrets[i].depth == depth && w->secrets[i].name == secret)
			return true;
	}
	return false;
}

/* Index of the secret's row, -1: undefined. */
static int
expect(const struct world *w, unsigned variable, int branch)
{
	unsigned depth = 0, k = 0;
	while (depth < DEPTHS && !w->variables[depth][variable].there)
		depth++;
	if (depth == DEPTHS)
		return -1;
	const struct mvariable *v = &w->variables[depth][variable];
	while (k < v->n && v->values[k].branch != -1 && v->values[k].branch != branch)
		k++;
	if (k == v->n)
		return -1;
	while (depth < DEPTHS && !secret_at(w, depth, v->values[k].secret))
		depth++;
	for (size_t i = 0; i < w->nsecrets; i++) {
		const struct msecret *s = &w->secrets[i];
		if (s->depth == depth && s->name == v->values[k].secret &&
		    s->key == v->values[k].key)
			return (int)i;
	}
	return -1;
}

/* --- the same for the resolver --- */

static Millrace__When *
when_branch(unsigned branch)
{
	Millrace__When *w = xmalloc(sizeof(*w));
	Millrace__Condition *c = xmalloc(sizeof(*c));
	millrace__when__init(w);
	millrace__condition__init(c);
	w->branch = xmalloc(sizeof(*w->branch));
	millrace__conditions__init(w->branch);
	c->type = xstrdup(any(2) ? "simple" : "regexp");
	c->match = xasprintf(*c->type == 's' ? "%s" : "^%s$", name(branch));
	w->branch->include = xcalloc(1, sizeof(*w->branch->include));
	w->branch->include[w->branch->n_include++] = c;
	return w;
}

static Millrace__Variable *
spec_of(const struct mvariable *v, unsigned variable)
{
	Millrace__Variable *m = xmalloc(sizeof(*m));
	millrace__variable__init(m);
	m->id = xstrdup("");
	m->scope = xstrdup("");
	m->name = xstrdup(name(variable));
	m->values = xcalloc(v->n, sizeof(*m->values));
	for (unsigned k = 0; k < v->n; k++) {
		Millrace__VariableValue *value = xmalloc(sizeof(*value));
		millrace__variable_value__init(value);
		value->secret_name = xstrdup(name(v->values[k].secret));
		value->secret_var = xstrdup(name(v->values[k].key));
		if (v->values[k].branch >= 0)
			value->when = when_branch((unsigned)v->values[k].branch);
		m->values[m->n_values++] = value;
	}
	return m;
}

static void
build(struct rs_definitions *d, const struct world *w)
{
	d->variables = xcalloc((size_t)DEPTHS * NAMES, sizeof(*d->variables));
	d->secrets = xcalloc(SECRETS_MAX, sizeof(*d->secrets));
	d->nvariables = d->nsecrets = 0;
	for (unsigned depth = 0; depth < DEPTHS; depth++) {
		for (unsigned i = 0; i < NAMES; i++) {
			const struct mvariable *v = &w->variables[depth][i];
			if (v->there)
				d->variables[d->nvariables++] =
				    (struct rs_scoped_variable){ depth, spec_of(v, i) };
		}
	}
	for (size_t i = 0; i < w->nsecrets; i++)
		d->secrets[d->nsecrets++] = (struct rs_scoped_secret){ .depth = w->secrets[i].depth,
			.name = name(w->secrets[i].name),
			.key = name(w->secrets[i].key),
			.version = xasprintf("%zu", i) };
	rs_definitions_sort(d);
}

static void
destroy(struct rs_definitions *d)
{
	for (size_t i = 0; i < d->nvariables; i++)
		millrace__variable__free_unpacked(d->variables[i].spec, NULL);
	for (size_t i = 0; i < d->nsecrets; i++)
		free(d->secrets[i].version);
	free(d->variables);
	free(d->secrets);
}

static bool
agree(const struct world *w, const struct rs_definitions *d)
{
	for (unsigned variable = 0; variable < NAMES; variable++) {
		for (int branch = 0; branch < NAMES; branch++) {
			const struct when_ref ref = { "branch", name((unsigned)branch), "", "" };
			const char *got = rs_resolve(d, name(variable), &ref);
			int index = got ? got[0] - '0' : -1, want = expect(w, variable, branch);
			if (index != want) {
				printf("variable %s of branch %s: row %d, not %d\n", name(variable),
				    name((unsigned)branch), index, want);
				return false;
			}
		}
	}
	return true;
}

int
main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 20260101;
	size_t defined = 0;
	for (unsigned i = 0; i < WORLDS; i++) {
		struct world w;
		struct rs_definitions d;
		rng = (seed + i) * 0x9e3779b97f4a7c15u | 1;
		make(&w);
		build(&d, &w);
		bool right = agree(&w, &d);
		defined += expect(&w, 0, 0) >= 0;
		destroy(&d);
		if (!right) {
			printf("seed %" PRIu64 "\n", seed + i);
			return 1;
		}
	}
	/* The worlds are not so poor that everything is undefined. */
	if (defined < WORLDS / 20 || defined > WORLDS - WORLDS / 20) {
		printf("only %zu of %u worlds define the first variable\n", defined, WORLDS);
		return 1;
	}
	return 0;
}
