/*
 * path.h - where an import leads inside the repository. Pure.
 */
#ifndef EVALUATE_PATH_H
#define EVALUATE_PATH_H

#include "common/err.h"

/* dir: of the importing file, "" or with a slash at its end; path: as it is written there. *out,
 * malloc'ed, is relative to the repository's root and has neither "." nor "..", nor an empty part.
 * ERR_INVALID: it is absolute, leads out of the repository or into .git, or is no path. */
int eval_path(char **out, const char *dir, const char *path, struct err **err) MUSTCHECK;

#endif
