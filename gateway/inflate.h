/*
 * inflate.h - a gzip body from memory, piece by piece, with a bound on what comes out. Pure.
 */
#ifndef GATEWAY_INFLATE_H
#define GATEWAY_INFLATE_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

struct gw_inflate;

/* p is borrowed. More than max bytes of output are an error. */
struct gw_inflate *gw_inflate_new(const void *p, size_t n, size_t max);
void gw_inflate_free(struct gw_inflate *z); /* NULL allowed */
/* Up to size bytes; *n 0 at the end. ERR_INVALID when the data is no gzip or too much. */
int gw_inflate_read(
    struct gw_inflate *z, void *out, size_t size, size_t *n, struct err **err) MUSTCHECK;

#endif
