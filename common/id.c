#include "common/id.h"

#include "common/err.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

void
id_random_bytes(void *out, size_t n)
{
	uint8_t *p = out;
	while (n > 0) {
		ssize_t got = getrandom(p, n < 256 ? n : 256, 0);
		if (got < 0)
			continue; /* only EINTR is possible for a valid buffer */
		p += got;
		n -= (size_t)got;
	}
}

void
id_random_hex(char *out, size_t nbytes)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t raw[64];
	MUST(nbytes <= sizeof(raw));
	id_random_bytes(raw, nbytes);
	for (size_t i = 0; i < nbytes; i++) {
		out[2 * i] = digits[raw[i] >> 4];
		out[2 * i + 1] = digits[raw[i] & 15];
	}
	out[2 * nbytes] = '\0';
}

struct id
id_new(void)
{
	uint8_t r[16];
	struct id id;
	id_random_bytes(r, sizeof(r));
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	snprintf(id.s, sizeof(id.s),
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
	    r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14],
	    r[15]);
	return id;
}

bool
id_is_valid(const char *s)
{
	if (strlen(s) != ID_LEN)
		return false;
	for (size_t i = 0; i < ID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool hex = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f');
		if (dash ? s[i] != '-' : !hex)
			return false;
	}
	return true;
}
