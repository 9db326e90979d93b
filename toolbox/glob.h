/*
 * glob.h - path patterns of `paths` in save_to_workspace and save_cache. Pure.
 *
 *   *        any run of characters but '/', dot files included
 *   ?        one character but '/'
 *   [a-z]    one of a class, [^a] one outside it; '!' does not negate
 *   {x,y}    alternatives, nested ones too, which may hold '/'
 *   \c       the character c itself
 *   **       as a whole path element: any number of elements; at the end at least one
 *
 * Patterns are not cleaned: "./f" matches nothing. Matching takes time proportional to pattern
 * times path, whatever either holds.
 */
#ifndef TOOLBOX_GLOB_H
#define TOOLBOX_GLOB_H

#include "toolbox/util.h"

#define TB_GLOB_LEN_MAX 4096          /* bytes of a pattern, also after the braces are expanded */
#define TB_GLOB_ALTERNATIVES_MAX 1024 /* that braces may expand to */

struct tb_glob;

/* NULL and *e for a malformed pattern or one past the limits. */
struct tb_glob *tb_glob_new(const char *pattern, struct tb_err *e);
void tb_glob_free(struct tb_glob *g);
/* path: relative, clean, not empty. */
bool tb_glob_match(const struct tb_glob *g, const char *path);

#endif
