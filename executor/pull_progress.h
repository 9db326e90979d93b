/*
 * pull_progress.h - the engine's pull stream as lines for people.
 *
 * The stream is JSON objects, one per line, several a second and layer. One line comes out per
 * change of a layer's state; an error in the stream (the engine answers 200 before it knows) is
 * kept. Push parser, pure. Lines above EX_PULL_LINE_MAX are skipped, layers above
 * EX_PULL_LAYERS_MAX are not shown.
 */
#ifndef EXECUTOR_PULL_PROGRESS_H
#define EXECUTOR_PULL_PROGRESS_H

#include "common/buf.h"

#include <stddef.h>

#define EX_PULL_LINE_MAX (64u << 10)
#define EX_PULL_LAYERS_MAX 256

struct ex_pull_progress;

struct ex_pull_progress *ex_pull_progress_new(void);
void ex_pull_progress_free(struct ex_pull_progress *p); /* NULL allowed */
/* Appends lines to out. */
void ex_pull_progress_feed(
    struct ex_pull_progress *p, const void *bytes, size_t n, struct buf *out);
/* The first error of the stream, or NULL. Borrowed. */
const char *ex_pull_progress_error(const struct ex_pull_progress *p);

#endif
