/*
 * engine_stream.h - splits the engine's attach stream into stdout and stderr.
 *
 * Without a terminal the engine sends 8-byte headers {stream, 0, 0, 0, big-endian length}, each
 * followed by that many bytes. Push parser: feed any split, get pieces as they come. Pure.
 */
#ifndef EXECUTOR_ENGINE_STREAM_H
#define EXECUTOR_ENGINE_STREAM_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

#define EX_STREAM_OUT 1
#define EX_STREAM_ERR 2

struct ex_stream_demux {
	uint8_t header[8];
	size_t have;   /* header bytes so far */
	uint32_t left; /* payload bytes still to come */
};

typedef void (*ex_stream_fn)(int stream, const uint8_t *p, size_t n, void *arg);
/* Zero a demux to start. ERR_INVALID (no such header) is final: drop the connection. fn must not
 * free the demux. */
int ex_stream_feed(struct ex_stream_demux *d, const uint8_t *p, size_t n, ex_stream_fn fn,
    void *arg, struct err **err) MUSTCHECK;

#endif
