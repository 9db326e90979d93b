/*
 * Containers started ahead under random uses, retagged images, containers that are taken, die and
 * grow old: the plan keeps its bounds, wants nothing that was not used, keeps the images with the
 * most weight, comes to rest, and comes to nothing when nobody uses anything.
 *
 * prop_warm [SEED]; the seed is printed with a failure.
 */
#include "common/mem.h"
#include "executor/warm_policy.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define RUNS 200
#define EVENTS 200
#define NAMES 12
#define AGE_MS 600000

static uint64_t rng;

static unsigned
any(unsigned below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng >> 33) % below;
}

/* What the test knows by itself. */
struct world {
	struct ex_warm_uses uses;
	struct ex_warm_have have[EX_WARM_MAX];
	char ids[EX_WARM_MAX][24]; /* what have[].id points to */
	size_t n, max;
	int64_t now;
	unsigned tag[NAMES];      /* version of each image */
	int64_t last_use[NAMES];  /* -1: never */
	double weight[NAMES];     /* at that use */
	unsigned last_tag[NAMES]; /* version at that use */
	const char *wrong;
};

static void
check(struct world *w, bool good, const char *what)
{
	if (!good && w->wrong == NULL)
		w->wrong = what;
}

static void
id_of(char out[24], unsigned name, unsigned tag)
{
	snprintf(out, 24, "sha256:%u.%u", name, tag);
}

/* Used within an age, and not by another id since. */
static bool
current(const struct world *w, const char *id)
{
	char text[24];

	for (unsigned i = 0; i < NAMES; i++) {
		id_of(text, i, w->last_tag[i]);
		if (w->last_use[i] >= 0 && w->now - w->last_use[i] < AGE_MS &&
		    strcmp(text, id) == 0)
			return true;
	}
	return false;
}

static void
drop_at(struct world *w, size_t i)
{
	for (; i + 1 < w->n; i++) {
		memcpy(w->ids[i], w->ids[i + 1], sizeof(w->ids[i]));
		w->have[i].born_ms = w->have[i + 1].born_ms;
	}
	w->n--;
}

/* Asks until nothing changes, doing what is said. */
static void
settle(struct world *w)
{
	for (unsigned rounds = 0;; rounds++) {
		const char *make;
		size_t dropped = 0, i;

		for (i = 0; i < w->n; i++)
			w->have[i].id = w->ids[i];
		make = ex_warm_plan(&w->uses, w->have, w->n, w->max, w->now);
		for (i = w->n; i-- > 0;) {
			bool stale =
			    !current(w, w->ids[i]) || w->now - w->have[i].born_ms >= AGE_MS;

			check(w, !stale || w->have[i].drop, "an old container is kept");
			if (w->have[i].drop) {
				drop_at(w, i);
				dropped++;
			}
		}
		if (make != NULL) {
			check(w, current(w, make), "an image is wanted that is not in use");
			check(w, w->n < w->max, "more containers than allowed");
			if (w->wrong != NULL)
				return;
			snprintf(w->ids[w->n], sizeof(w->ids[0]), "%s", make);
			w->have[w->n++].born_ms = w->now;
		}
		if (make == NULL && dropped == 0)
			return;
		check(w, rounds <= 2 * EX_WARM_MAX, "the plan does not come to rest");
		check(w, rounds == 0 || dropped == 0, "what was just wanted is dropped");
		if (w->wrong != NULL)
			return;
	}
}

static double
weight_of(const struct world *w, unsigned name)
{
	int64_t gone = w->now - w->last_use[name];

	if (w->last_use[name] < 0 || gone >= AGE_MS)
		return 0;
	return w->weight[name] * pow(0.5, (double)gone / AGE_MS);
}

static size_t
count_of(const struct world *w, unsigned name)
{
	char id[24];
	size_t n = 0;

	id_of(id, name, w->last_tag[name]);
	for (size_t i = 0; i < w->n; i++)
		n += strcmp(w->ids[i], id) == 0;
	return n;
}

/* Nobody goes without while another has more than its weight is worth; what is there may have half
 * as much again. And no place is empty that a used image could have. */
static void
check_shares(struct world *w)
{
	for (unsigned i = 0; i < NAMES; i++) {
		double mine = weight_of(w, i);

		if (mine <= 0 || w->max == 0 || count_of(w, i) > 0)
			continue;
		check(
		    w, w->n == w->max, "an image in use has no container though there is a place");
		for (unsigned k = 0; k < NAMES; k++)
			check(w,
			    count_of(w, k) == 0 ||
			        weight_of(w, k) * 1.501 / (double)count_of(w, k) >= mine,
			    "an image has containers that another one deserves more");
	}
}

static void
use(struct world *w, unsigned name)
{
	char id[24], text[16];

	id_of(id, name, w->tag[name]);
	snprintf(text, sizeof(text), "n%u", name);
	ex_warm_used(&w->uses, text, id, w->now);
	w->weight[name] = weight_of(w, name) + 1;
	w->last_use[name] = w->now;
	w->last_tag[name] = w->tag[name];
	/* It takes one that waits. */
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->ids[i], id) == 0) {
			drop_at(w, i);
			break;
		}
}

static void
event(struct world *w)
{
	unsigned name = any(NAMES) % (1 + any(NAMES)); /* some more than others */

	switch (any(8)) {
	case 0:
		w->tag[name]++;
		break;
	case 1:
		w->now += any(AGE_MS / 2);
		break;
	case 2:
		if (w->n > 0)
			drop_at(w, any((unsigned)w->n)); /* it died */
		break;
	default:
		w->now += any(2000);
		use(w, name);
	}
}

static const char *
run(void)
{
	struct world w = { .uses = { .age_ms = AGE_MS }, .max = any(EX_WARM_MAX + 1) };

	for (unsigned i = 0; i < NAMES; i++)
		w.last_use[i] = -1;
	for (unsigned i = 0; i < EVENTS && w.wrong == NULL; i++) {
		event(&w);
		settle(&w);
		check_shares(&w);
	}
	/* Two ages without a use: first they are renewed, then nothing is left, and nothing wakes.
	 */
	for (unsigned i = 0; i < 2 * EX_WARM_MAX + 2 && w.wrong == NULL; i++) {
		for (size_t k = 0; k < w.n; k++)
			w.have[k].id = w.ids[k];
		int64_t next = ex_warm_next_ms(&w.uses, w.have, w.n);

		if (next < 0)
			break;
		check(&w, next > w.now, "the age of a container that is left is over");
		w.now = next;
		settle(&w);
	}
	check(&w, w.n == 0, "containers are left though nothing is used");
	ex_warm_uses_fini(&w.uses);
	return w.wrong;
}

int
main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;

	for (unsigned i = 0; i < RUNS; i++) {
		const char *wrong;

		rng = (seed + i) * 0x9e3779b97f4a7c15u + 1;
		wrong = run();
		if (wrong != NULL) {
			printf("seed %" PRIu64 ": %s\n", seed + i, wrong);
			return 1;
		}
	}
	printf("%d runs of %d events\n", RUNS, EVENTS);
	return 0;
}
