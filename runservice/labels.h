/*
 * labels.h - what executors are marked with and tasks ask for, as one text. Pure.
 *
 * "name=value" lines, each once; "" = none. As a text they fit into a row and into a comparison.
 */
#ifndef RUNSERVICE_LABELS_H
#define RUNSERVICE_LABELS_H

#include "common/err.h"

#include "run.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

#define RS_LABELS_MAX 1023 /* bytes of the text */

/* malloc'ed. ERR_INVALID: an empty name, "=" in a name, a control character, too long. */
int rs_labels_text(char **out, Millrace__Pair *const *pairs, size_t n, struct err **err) MUSTCHECK;
/* Every label of want is one of have. */
bool rs_labels_fit(const char *have, const char *want);
/* Those of want that are not among have, as a text like them; malloc'ed. */
char *rs_labels_missing(const char *have, const char *want);
/* For a sentence: "a=b, c=d"; malloc'ed. */
char *rs_labels_say(const char *labels);

#endif
