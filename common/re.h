/*
 * re.h - regular expressions that come from outside: RE2, so a search takes linear time. Pure.
 */
#ifndef COMMON_RE_H
#define COMMON_RE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Compiled, with about what it occupies in *bytes; NULL with *message (malloc'ed) when it is wrong
 * or its program would be too large. */
void *re_new(const char *pattern, size_t len, char **message, size_t *bytes);
bool re_search(const void *re, const char *text, size_t len); /* unanchored */
void re_free(void *re);                                       /* NULL allowed */

#ifdef __cplusplus
}
#endif

#endif
