/* zstream.h - zstd over descriptors, with bounded memory both ways. Blocking. */
#ifndef TOOLBOX_ZSTREAM_H
#define TOOLBOX_ZSTREAM_H

#include "toolbox/util.h"

#define TB_Z_LEVEL 1
/* Largest window that is unpacked (8 MiB): more is a memory bomb, we never write it. */
#define TB_Z_WINDOW_LOG_MAX 23

struct tb_zwriter;
struct tb_zwriter *tb_zwriter_new(int fd, struct tb_err *e);
int tb_zwriter_put(struct tb_zwriter *z, const void *p, size_t n, struct tb_err *e);
int tb_zwriter_finish(struct tb_zwriter *z, struct tb_err *e);
void tb_zwriter_free(struct tb_zwriter *z);

/* Reads fd to its end as exactly one zstd frame and hands the content to sink. */
int tb_zread(int fd, int (*sink)(void *arg, const uint8_t *p, size_t n, struct tb_err *e),
    void *arg, struct tb_err *e);

#endif
