/*
 * warm_policy.h - which images deserve containers that are started ahead, and how many. Pure.
 *
 * Every start of a task in an image counts as one use; uses lose half of their weight in every
 * age, and an image that was not used for one age is forgotten. Places are given one after another
 * to the image with the most weight for each container it would then have; a second and further
 * container of an image needs as much weight as there would be containers, so a single use keeps
 * one; what is there already is given up only for an image that is used clearly more. An image is
 * known by the name that tasks give it and by its id at the last use: when the name comes with
 * another id, the containers of the old one are dropped.
 */
#ifndef EXECUTOR_WARM_POLICY_H
#define EXECUTOR_WARM_POLICY_H

#include "executor/engine_json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EX_WARM_MAX 64 /* containers */
#define EX_WARM_USES                                                                               \
	128 /* images that are remembered; the one with the least weight makes room                \
	     */

struct ex_warm_use {
	char *name, *id;
	double weight; /* at `at_ms` */
	int64_t at_ms; /* of the last use, monotonic */
};
struct ex_warm_uses {
	struct ex_warm_use items[EX_WARM_USES];
	size_t n;
	int64_t age_ms; /* > 0 */
};
void ex_warm_uses_fini(struct ex_warm_uses *u);
/* A task starts in this image. now_ms never goes back. */
void ex_warm_used(struct ex_warm_uses *u, const char *name, const char *id, int64_t now_ms);

/* A container that is there, or being made. */
struct ex_warm_have {
	const char *id; /* of its image */
	int64_t born_ms;
	bool drop; /* answer: it is not wanted any more */
};
/*
 * Marks what to drop among have (n <= EX_WARM_MAX) and returns the id of the image to start the
 * next container of, NULL when there are enough (borrowed from u until its next change). Forgets
 * old uses. Making what it says and asking again comes to an end after max containers.
 */
const char *ex_warm_plan(
    struct ex_warm_uses *u, struct ex_warm_have *have, size_t n, size_t max, int64_t now_ms);
/* When the oldest container reaches its age; -1 when there is none. */
int64_t ex_warm_next_ms(const struct ex_warm_uses *u, const struct ex_warm_have *have, size_t n);

/*
 * Whether a task's main container is just what one started ahead is: no tmpfs, not privileged, no
 * entrypoint of its own, no volume that the image declares. Its user and environment reach it by
 * the stream.
 */
bool ex_warm_fits(const struct ex_image_info *image, const Millrace__Container *def);

#endif
