/*
 * fuzz.h - what fuzz targets share.
 *
 * A target is one function over any bytes; besides not crashing (with sanitizers) it states what
 * must hold of its parser with FUZZ_MUST. `make fuzz T=name SECS=n` runs it under libFuzzer, `make
 * check` replays tests/fuzz/corpus/<name>/ through replay.c. A line "covers: FILE..." in a target's
 * first comment names the parsers whose line coverage `make check` prints.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_MUST(x)                                                                               \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A piece of what is left, its size chosen by the input itself: for feeding in pieces. */
static inline size_t
fuzz_piece(const uint8_t *p, size_t n, size_t at)
{
	size_t want = n > 0 ? (size_t)p[at % n] % 97 + 1 : 1;

	return want < n - at ? want : n - at;
}

/* Order-dependent digest of what a push parser gave out, to compare two ways of feeding it. */
static inline uint64_t
fuzz_digest(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 1099511628211u;
	return h;
}

#endif
