/*
 * mask.h - replaces secrets in a stream of bytes by MASK_TEXT, whatever the splits of the stream.
 *
 * Every secret is looked for as it is and as base64 (all three alignments, standard and URL-safe
 * alphabet), percent-encoded (what has to be, or every byte), JSON-escaped and hexadecimal; a
 * secret of several lines also line by line and with CRLF line ends. Overlapping occurrences become
 * one MASK_TEXT. Not masked: secrets and lines shorter than MASK_SECRET_MIN bytes (they would blank
 * out ordinary text), and forms this list does not name. A secret longer than MASK_CHUNK bytes is
 * looked for in pieces of that size.
 *
 * What may be the beginning of a secret is held back, so the input position up to which output was
 * given (ex_mask_done) never cuts an occurrence: a new ex_mask_stream that starts there gives the
 * same further output. Held back are at most MASK_HOLD_MAX bytes.
 *
 * Pure: no I/O. A set is immutable after ex_mask_set_new and may be shared by streams of a thread.
 */
#ifndef EXECUTOR_MASK_H
#define EXECUTOR_MASK_H

#include "common/buf.h"

#include <stddef.h>
#include <stdint.h>

#define MASK_TEXT "***"
#define MASK_SECRET_MIN 3
#define MASK_CHUNK (64u << 10)
/* An unbroken chain of overlapping occurrences longer than this is cut after its last whole one. */
#define MASK_CHAIN_MAX (64u << 10)
#define MASK_HOLD_MAX (MASK_CHUNK * 6 + MASK_CHAIN_MAX)
#define MASK_NODES_MAX (16u << 20) /* about 400 MB; beyond, ex_mask_set_new fails */

struct ex_mask_set;

struct ex_mask_secret {
	const void *p;
	size_t n;
};

/* Copies what it needs. ERR_INVALID when the secrets are too many to look for. */
int ex_mask_set_new(struct ex_mask_set **out, const struct ex_mask_secret *secrets, size_t n,
    struct err **err) MUSTCHECK;
void ex_mask_set_free(struct ex_mask_set *set); /* NULL allowed; wipes */

struct ex_mask_stream;
struct ex_mask_stream *ex_mask_stream_new(const struct ex_mask_set *set);
void ex_mask_stream_free(struct ex_mask_stream *s); /* NULL allowed; wipes */
/* Appends to out what is certain after these n more bytes. */
void ex_mask_feed(struct ex_mask_stream *s, const void *bytes, size_t n, struct buf *out);
/* The input ends here: appends all that was held back. The stream then starts anew at the same
 * count. */
void ex_mask_flush(struct ex_mask_stream *s, struct buf *out);
/* Input bytes whose output was given, counted from the start of the stream. */
uint64_t ex_mask_done(const struct ex_mask_stream *s);

/* A short text at once; malloc'ed. set NULL: a copy. */
char *ex_mask_text(const struct ex_mask_set *set, const char *text);

#endif
