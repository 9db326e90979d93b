#include "toolbox/zstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zstd.h>

#define CHUNK (128u << 10)

struct tb_zwriter {
	int fd;
	ZSTD_CCtx *c;
	size_t len; /* in buf, not yet written */
	uint8_t buf[CHUNK];
};

struct tb_zwriter *
tb_zwriter_new(int fd, struct tb_err *e)
{
	struct tb_zwriter *z = tb_malloc(sizeof(*z));

	z->fd = fd;
	z->len = 0;
	z->c = ZSTD_createCCtx();
	if (z->c == NULL) {
		free(z);
		tb_fail(e, "out of memory for the archive");
		return NULL;
	}
	ZSTD_CCtx_setParameter(z->c, ZSTD_c_compressionLevel, TB_Z_LEVEL);
	ZSTD_CCtx_setParameter(z->c, ZSTD_c_checksumFlag, 1);
	return z;
}

static int
pump(struct tb_zwriter *z, const void *p, size_t n, ZSTD_EndDirective mode, struct tb_err *e)
{
	ZSTD_inBuffer in = { p, n, 0 };

	for (;;) {
		ZSTD_outBuffer out = { z->buf, sizeof(z->buf), z->len };
		size_t left = ZSTD_compressStream2(z->c, &out, &in, mode);
		if (ZSTD_isError(left))
			return tb_fail(e, "cannot compress: %s", ZSTD_getErrorName(left));
		z->len = out.pos;
		bool over = mode == ZSTD_e_end ? left == 0 : in.pos == in.size;
		if (z->len == sizeof(z->buf) || (over && mode == ZSTD_e_end)) {
			if (tb_write_all(z->fd, z->buf, z->len) != 0)
				return tb_fail(e, "cannot send the archive: %s", strerror(errno));
			z->len = 0;
		}
		if (over)
			return 0;
	}
}

int
tb_zwriter_put(struct tb_zwriter *z, const void *p, size_t n, struct tb_err *e)
{
	return pump(z, p, n, ZSTD_e_continue, e);
}

int
tb_zwriter_finish(struct tb_zwriter *z, struct tb_err *e)
{
	return pump(z, NULL, 0, ZSTD_e_end, e);
}

void
tb_zwriter_free(struct tb_zwriter *z)
{
	if (z == NULL)
		return;
	ZSTD_freeCCtx(z->c);
	free(z);
}

struct zreader {
	ZSTD_DCtx *d;
	bool ended; /* the frame is complete */
	uint8_t in[CHUNK], out[CHUNK];
};

static int
inflate_chunk(struct zreader *z, size_t n,
    int (*sink)(void *arg, const uint8_t *p, size_t n, struct tb_err *e), void *arg,
    struct tb_err *e)
{
	ZSTD_inBuffer in = { z->in, n, 0 };
	bool full = true;

	while (in.pos < in.size || full) {
		if (z->ended)
			return in.pos < in.size ? tb_fail(e, "the archive has bytes behind its end")
			                        : 0;
		ZSTD_outBuffer out = { z->out, sizeof(z->out), 0 };
		size_t r = ZSTD_decompressStream(z->d, &out, &in);
		if (ZSTD_isError(r))
			return tb_fail(
			    e, "the archive cannot be unpacked: %s", ZSTD_getErrorName(r));
		z->ended = r == 0;
		full = out.pos == out.size;
		if (out.pos > 0 && sink(arg, z->out, out.pos, e) != 0)
			return -1;
	}
	return 0;
}

int
tb_zread(int fd, int (*sink)(void *arg, const uint8_t *p, size_t n, struct tb_err *e), void *arg,
    struct tb_err *e)
{
	struct zreader *z = tb_malloc(sizeof(*z));
	ssize_t n = 0;
	int r = 0;

	z->ended = false;
	z->d = ZSTD_createDCtx();
	if (z->d == NULL)
		r = tb_fail(e, "out of memory for the archive");
	else
		ZSTD_DCtx_setParameter(z->d, ZSTD_d_windowLogMax, TB_Z_WINDOW_LOG_MAX);
	while (r == 0 && (n = read(fd, z->in, sizeof(z->in))) != 0) {
		if (n > 0)
			r = inflate_chunk(z, (size_t)n, sink, arg, e);
		else if (errno != EINTR)
			r = tb_fail(e, "cannot read the archive: %s", strerror(errno));
	}
	if (r == 0 && !z->ended)
		r = tb_fail(e, "the archive is cut off");
	ZSTD_freeDCtx(z->d);
	free(z);
	return r;
}
