#include "executor/warm_policy.h"

#include "common/mem.h"

#include <math.h>
#include <string.h>

/* A container that is there is replaced by one of another image only when that one is used so much
 * more: two images that take turns would throw out each other's otherwise. */
#define INCUMBENT 1.5

static void
forget(struct ex_warm_uses *u, size_t i)
{
	free(u->items[i].name);
	free(u->items[i].id);
	u->items[i] = u->items[--u->n];
}

void
ex_warm_uses_fini(struct ex_warm_uses *u)
{
	while (u->n > 0)
		forget(u, u->n - 1);
}

static double
weight_at(const struct ex_warm_uses *u, const struct ex_warm_use *use, int64_t now_ms)
{
	return use->weight * exp2(-(double)(now_ms - use->at_ms) / (double)u->age_ms);
}

static void
forget_old(struct ex_warm_uses *u, int64_t now_ms)
{
	size_t i = 0;

	while (i < u->n) {
		if (now_ms - u->items[i].at_ms >= u->age_ms)
			forget(u, i);
		else
			i++;
	}
}

static void
forget_least(struct ex_warm_uses *u, int64_t now_ms)
{
	size_t least = 0;

	for (size_t i = 1; i < u->n; i++)
		if (weight_at(u, &u->items[i], now_ms) < weight_at(u, &u->items[least], now_ms))
			least = i;
	forget(u, least);
}

void
ex_warm_used(struct ex_warm_uses *u, const char *name, const char *id, int64_t now_ms)
{
	struct ex_warm_use *use;
	size_t i;

	forget_old(u, now_ms);
	for (i = 0; i < u->n && strcmp(u->items[i].name, name) != 0; i++)
		;
	if (i == u->n) {
		if (u->n == EX_WARM_USES)
			forget_least(u, now_ms);
		i = u->n++;
		u->items[i] = (struct ex_warm_use){ .name = xstrdup(name), .at_ms = now_ms };
	}
	use = &u->items[i];
	use->weight = weight_at(u, use, now_ms) + 1;
	use->at_ms = now_ms;
	if (use->id == NULL || strcmp(use->id, id) != 0) {
		free(use->id);
		use->id = xstrdup(id);
	}
}

/* --- the plan --- */

/* Names may share an image. */
struct share {
	const char *id;
	double weight;
	size_t there, places;
};

static size_t
shares_of(struct share *out, const struct ex_warm_uses *u, const struct ex_warm_have *have,
    size_t nhave, int64_t now_ms)
{
	size_t n = 0, k;

	for (size_t i = 0; i < u->n; i++) {
		const struct ex_warm_use *use = &u->items[i];

		for (k = 0; k < n && strcmp(out[k].id, use->id) != 0; k++)
			;
		if (k == n)
			out[n++] = (struct share){ .id = use->id };
		out[k].weight += weight_at(u, use, now_ms);
	}
	for (size_t i = 0; i < nhave; i++)
		for (k = 0; k < n; k++)
			out[k].there += strcmp(out[k].id, have[i].id) == 0;
	return n;
}

static double
claim(const struct share *s)
{
	double places = (double)(s->places + 1);
	double weight = s->there > s->places ? s->weight * INCUMBENT : s->weight;

	return s->places > 0 && weight < places ? 0 : weight / places;
}

static void
give_places(struct share *s, size_t n, size_t max)
{
	while (max-- > 0) {
		struct share *best = NULL;

		for (size_t i = 0; i < n; i++)
			if (claim(&s[i]) > (best != NULL ? claim(best) : 0))
				best = &s[i];
		if (best == NULL)
			return;
		best->places++;
	}
}

/* Of two that were born at once the first counts as the younger. */
static bool
is_younger(const struct ex_warm_have *a, const struct ex_warm_have *b)
{
	return a->born_ms > b->born_ms || (a->born_ms == b->born_ms && a < b);
}

/* Older ones go first: of two of an image the younger stays longer. */
static bool
one_too_many(const struct ex_warm_have *have, size_t n, size_t i, const struct share *s)
{
	size_t younger = 0;

	for (size_t k = 0; k < n; k++)
		younger += strcmp(have[k].id, have[i].id) == 0 && is_younger(&have[k], &have[i]);
	return younger >= s->places;
}

static size_t
kept(const struct ex_warm_have *have, size_t n, const char *id)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += !have[i].drop && strcmp(have[i].id, id) == 0;
	return count;
}

const char *
ex_warm_plan(
    struct ex_warm_uses *u, struct ex_warm_have *have, size_t n, size_t max, int64_t now_ms)
{
	struct share shares[EX_WARM_USES];
	const struct share *best = NULL;
	size_t nshares, i, k;

	forget_old(u, now_ms);
	nshares = shares_of(shares, u, have, n, now_ms);
	give_places(shares, nshares, max);
	for (i = 0; i < n; i++) {
		for (k = 0; k < nshares && strcmp(shares[k].id, have[i].id) != 0; k++)
			;
		have[i].drop = k == nshares || now_ms - have[i].born_ms >= u->age_ms ||
		               one_too_many(have, n, i, &shares[k]);
	}
	for (k = 0; k < nshares; k++)
		if (kept(have, n, shares[k].id) < shares[k].places &&
		    (best == NULL || shares[k].weight > best->weight))
			best = &shares[k];
	return best != NULL ? best->id : NULL;
}

int64_t
ex_warm_next_ms(const struct ex_warm_uses *u, const struct ex_warm_have *have, size_t n)
{
	int64_t next = -1;

	for (size_t i = 0; i < n; i++)
		if (next < 0 || have[i].born_ms + u->age_ms < next)
			next = have[i].born_ms + u->age_ms;
	return next;
}

bool
ex_warm_fits(const struct ex_image_info *image, const Millrace__Container *def)
{
	return def->n_volumes == 0 && def->n_entrypoint == 0 && image->nvolumes == 0 &&
	       !(def->has_privileged && def->privileged);
}
