/*
 * print.h - a definition as text again: canonical JSON, one spelling for each construct.
 *
 * Everything that was filled in is written out: defaults, inherited credentials and timeouts, tasks
 * of a matrix one by one, full forms of steps and dependencies. Anything absent, empty or false is
 * left out. The text is a valid definition (JSON is read by the same parser), of the same meaning,
 * and printing what it parses to gives the same text. One exception: a key of more than 1024 bytes
 * cannot be read back.
 *
 * Pure. Variables are printed by name; a definition holds no values of secrets.
 */
#ifndef RUNDEF_PRINT_H
#define RUNDEF_PRINT_H

#include "rundef/rundef.h"

/* Appends the text, indented by two spaces, with a newline at its end. */
void rundef_print_json(struct buf *out, const struct rundef *d);
/* One run alone: what stands in "runs". */
void rundef_print_run_json(struct buf *out, const struct rundef_run *run);
/* A duration in the shortest exact form: 90m, 1500ms, 0. malloc'ed. */
char *rundef_duration_text(int64_t ns);

#endif
