#include "executor/engine_stream.h"

static int
header_done(struct ex_stream_demux *d, struct err **err)
{
	const uint8_t *h = d->header;

	if (h[0] > EX_STREAM_ERR || h[1] != 0 || h[2] != 0 || h[3] != 0)
		return err_set(err, ERR_INVALID,
		    "the engine's attach stream holds an unknown header %02x%02x%02x%02x", h[0],
		    h[1], h[2], h[3]);
	d->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	return 0;
}

int
ex_stream_feed(struct ex_stream_demux *d, const uint8_t *p, size_t n, ex_stream_fn fn, void *arg,
    struct err **err)
{
	while (n > 0) {
		size_t take;

		if (d->have < sizeof(d->header)) {
			d->header[d->have++] = *p++;
			n--;
			if (d->have == sizeof(d->header) && header_done(d, err) != 0)
				return ERR_INVALID;
		} else {
			take = n < d->left ? n : d->left;
			fn(d->header[0], p, take, arg);
			p += take;
			n -= take;
			d->left -= (uint32_t)take;
		}
		if (d->have == sizeof(d->header) && d->left == 0)
			d->have = 0;
	}
	return 0;
}
