/*
 * json_out.h - writes JSON, indented by two spaces, that YAML 1.1 reads as the same: control, line
 * separating and other characters that YAML refuses or folds are escaped, everything else is UTF-8.
 *
 * Pure. Texts are valid UTF-8. The caller keeps brackets in balance.
 */
#ifndef RUNDEF_JSON_OUT_H
#define RUNDEF_JSON_OUT_H

#include "common/buf.h"

#include <stdbool.h>

struct rundef_out {
	struct buf *b;
	unsigned depth;
	bool first; /* nothing was written yet at this depth; true at the beginning */
};

/* The place of the next member or element: a value follows. key NULL in a list and at the top. */
void rundef_out_next(struct rundef_out *o, const char *key);
void rundef_out_open(struct rundef_out *o, const char *key, char bracket);
void rundef_out_close(struct rundef_out *o, char bracket);
/* A text in quotes. */
void rundef_out_text(struct buf *b, const char *s);

#endif
