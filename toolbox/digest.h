/* digest.h - MD5 and SHA-256 of a file, for cache keys. Neither keeps a secret here. */
#ifndef TOOLBOX_DIGEST_H
#define TOOLBOX_DIGEST_H

#include "toolbox/util.h"

#define TB_DIGEST_FILE_MAX (64u << 20) /* bytes of a file; a larger one is an error */
#define TB_DIGEST_HEX_MAX 65

enum tb_digest { TB_MD5 = 1, TB_SHA256 };

/* Lower-case hex of the bytes. */
void tb_digest_bytes(char hex[TB_DIGEST_HEX_MAX], enum tb_digest kind, const void *bytes, size_t n);
/* Of a regular file of at most TB_DIGEST_FILE_MAX bytes; symlinks are followed. */
int tb_digest_file(
    char hex[TB_DIGEST_HEX_MAX], enum tb_digest kind, const char *path, struct tb_err *e);

#endif
