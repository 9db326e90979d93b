/*
 * badge.h - the state of a run as a small picture. Pure.
 */
#ifndef GATEWAY_BADGE_H
#define GATEWAY_BADGE_H

struct gw_badge {
	const char *text, *colour;
};
/* phase NULL: there is no run. */
const struct gw_badge *gw_badge_of(const char *phase, const char *result);
/* malloc'ed SVG. */
char *gw_badge_svg(const struct gw_badge *b);

#endif
