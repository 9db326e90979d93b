/*
 * tar.h - our own tar: ustar with pax records for long names and large sizes, push style both
 * ways. Pure but for the callbacks. The reader takes hostile bytes in any pieces; its memory is
 * bounded by TB_TAR_PAX_MAX.
 */
#ifndef TOOLBOX_TAR_H
#define TOOLBOX_TAR_H

#include "toolbox/util.h"

#define TB_TAR_BLOCK 512
#define TB_TAR_NAME_MAX 4095       /* bytes of a name or link target, as paths in Linux */
#define TB_TAR_PAX_MAX (64u << 10) /* of one entry's records; longer ones are an error */
#define TB_TAR_HEADER_MAX (TB_TAR_BLOCK * 20) /* what tb_tar_header may write */

enum tb_tar_type {
	TB_TAR_FILE = '0',
	TB_TAR_HARDLINK = '1',
	TB_TAR_SYMLINK = '2',
	TB_TAR_CHAR = '3',
	TB_TAR_BLOCKDEV = '4',
	TB_TAR_DIR = '5',
	TB_TAR_FIFO = '6',
};

struct tb_tar_entry {
	enum tb_tar_type type;
	uint32_t mode;    /* permission bits, 07777 */
	uint64_t size;    /* of the content that follows; 0 but for files */
	const char *name; /* for directories without a slash at the end */
	const char *link; /* target of links, else "" */
};

/* --- writing --- */

/* Header blocks of e into out (TB_TAR_HEADER_MAX bytes); the length, or 0 when a name is empty or
 * longer than TB_TAR_NAME_MAX. */
size_t tb_tar_header(uint8_t *out, const struct tb_tar_entry *t);
/* Zero bytes to write after a content of that size. */
size_t tb_tar_padding(uint64_t size);
/* The archive ends with this many zero bytes. */
#define TB_TAR_END_LEN ((size_t)2 * TB_TAR_BLOCK)

/* --- reading --- */

struct tb_tar_sink {
	/* A non-zero answer ends the reading. Between entry and end_entry come exactly size bytes
	 * of data in any pieces. */
	int (*entry)(void *arg, const struct tb_tar_entry *t, struct tb_err *e);
	int (*data)(void *arg, const uint8_t *p, size_t n, struct tb_err *e);
	int (*end_entry)(void *arg, struct tb_err *e);
	void *arg;
};

struct tb_tar_reader;
struct tb_tar_reader *tb_tar_reader_new(const struct tb_tar_sink *sink);
void tb_tar_reader_free(struct tb_tar_reader *r);
int tb_tar_reader_feed(struct tb_tar_reader *r, const uint8_t *p, size_t n, struct tb_err *e);
/* No more bytes: -1 unless the archive ended as it should. */
int tb_tar_reader_end(struct tb_tar_reader *r, struct tb_err *e);

#endif
