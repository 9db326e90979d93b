/*
 * origin.h - where a browser's request comes from: scheme, host and port. Pure.
 */
#ifndef GATEWAY_ORIGIN_H
#define GATEWAY_ORIGIN_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

#define GW_ORIGIN_MAX 300 /* bytes */
#define GW_ORIGINS_MAX 50

/* Normalised: lower case, the port always written out. */
struct gw_origin_list {
	char *list[GW_ORIGINS_MAX]; /* malloc'ed */
	size_t n;
};
void gw_origin_list_fini(struct gw_origin_list *l);
/* ERR_INVALID says what an origin looks like. */
int gw_origin_list_add(struct gw_origin_list *l, const char *text, struct err **err) MUSTCHECK;

/* "https://Host" -> "https://host:443"; a path behind it (as in Referer) is cut off. False when it
 * is no origin: another scheme, no host, user names in it. out holds GW_ORIGIN_MAX bytes. */
bool gw_origin_normal(char out[GW_ORIGIN_MAX], const char *text);
bool gw_origin_listed(const struct gw_origin_list *l, const char *origin);
/* May an unsafe request of a browser come from there? origin and referer as sent (NULL = absent),
 * host: the Host header. Same host over https, or over http where http_ok, or a listed one. */
bool gw_origin_ok(const char *origin, const char *referer, const char *host, bool http_ok,
    const struct gw_origin_list *l);

#endif
