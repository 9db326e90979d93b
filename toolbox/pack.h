/* pack.h - save_to_workspace, save_cache: the matched entries of directories as one zstd'ed tar. */
#ifndef TOOLBOX_PACK_H
#define TOOLBOX_PACK_H

#include "proto/toolbox_msg.h"
#include "toolbox/util.h"

/*
 * Runs in the step's child, as its user and in its working directory. The archive goes to out, the
 * list of taken entries to log (both blocking). Relative source directories start at the current
 * directory.
 */
int tb_pack(const struct msg_start *m, const char *home, int out, int log, struct tb_err *e);

#endif
