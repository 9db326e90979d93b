#include "gateway/inflate.h"

#include "common/mem.h"

#include <limits.h>
#include <stdbool.h>
#include <zlib.h>

#define WINDOW_BITS_GZIP (15 + 16)

struct gw_inflate {
	z_stream z;
	size_t in_left; /* beyond what z.avail_in can say */
	size_t out_left;
	bool ended;
};

struct gw_inflate *
gw_inflate_new(const void *p, size_t n, size_t max)
{
	struct gw_inflate *z = xcalloc(1, sizeof(*z));

	MUST(inflateInit2(&z->z, WINDOW_BITS_GZIP) == Z_OK);
	z->z.next_in = (Bytef *)(uintptr_t)p; /* zlib only reads it */
	z->in_left = n;
	z->out_left = max;
	return z;
}

void
gw_inflate_free(struct gw_inflate *z)
{
	if (!z)
		return;
	(void)inflateEnd(&z->z);
	free(z);
}

static void
refill(struct gw_inflate *z)
{
	if (z->z.avail_in == 0 && z->in_left) {
		size_t take = z->in_left > UINT_MAX / 2 ? UINT_MAX / 2 : z->in_left;

		z->z.avail_in = (uInt)take;
		z->in_left -= take;
	}
}

int
gw_inflate_read(struct gw_inflate *z, void *out, size_t size, size_t *n, struct err **err)
{
	*n = 0;
	while (!z->ended && *n == 0) {
		int rc;

		refill(z);
		z->z.next_out = out;
		z->z.avail_out = (uInt)size;
		rc = inflate(&z->z, Z_NO_FLUSH);
		*n = size - z->z.avail_out;
		if (rc == Z_STREAM_END)
			z->ended = true;
		else if (rc != Z_OK)
			return err_set(err, ERR_INVALID, "request body: broken or cut gzip data");
	}
	if (*n > z->out_left)
		return err_set(err, ERR_INVALID, "request body: too large when unpacked");
	z->out_left -= *n;
	return 0;
}
