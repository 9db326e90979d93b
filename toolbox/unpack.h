/* unpack.h - restore_workspace, restore_cache: a hostile zstd'ed tar into a directory. */
#ifndef TOOLBOX_UNPACK_H
#define TOOLBOX_UNPACK_H

#include "proto/toolbox_msg.h"
#include "toolbox/util.h"

/*
 * Runs in the step's child, as its user and in its working directory. Reads the archive from in to
 * its end. Nothing outside dest_dir is ever touched, whatever the archive says; existing files are
 * never overwritten, existing directories are merged into.
 */
int tb_unpack(const struct msg_start *m, const char *home, int in, int log, struct tb_err *e);

#endif
