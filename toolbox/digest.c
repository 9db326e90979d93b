#include "toolbox/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 64

/* Both work on blocks of 64 bytes and end with the length in bits. */
struct hash {
	enum tb_digest kind;
	uint32_t h[8];
	uint64_t len;
	uint8_t block[BLOCK];
};

static uint32_t
left(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static uint32_t
right(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

/* --- MD5 (RFC 1321) --- */

static const uint32_t md5_k[64] = { 0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf,
	0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
	0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51,
	0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6,
	0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942,
	0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8,
	0xc4ac5665, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
	0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82,
	0xbd3af235, 0x2ad7d2bb, 0xeb86d391 };
static const uint8_t md5_turn[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 },
	{ 6, 10, 15, 21 } };

static void
md5_block(uint32_t h[8], const uint8_t *p)
{
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], w[16];

	for (size_t i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 |
		       (uint32_t)p[4 * i + 2] << 16 | (uint32_t)p[4 * i + 3] << 24;
	for (size_t i = 0; i < 64; i++) {
		uint32_t f, t;
		size_t g;

		if (i < 16) {
			f = (b & c) | (~b & d);
			g = i;
		} else if (i < 32) {
			f = (d & b) | (~d & c);
			g = (5 * i + 1) % 16;
		} else if (i < 48) {
			f = b ^ c ^ d;
			g = (3 * i + 5) % 16;
		} else {
			f = c ^ (b | ~d);
			g = 7 * i % 16;
		}
		t = d;
		d = c;
		c = b;
		b += left(a + f + md5_k[i] + w[g], md5_turn[i / 16][i % 4]);
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
}

/* --- SHA-256 (FIPS 180-4) --- */

static const uint32_t sha_k[64] = { 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2 };

static void
sha_block(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64], s[8];

	for (size_t i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | (uint32_t)p[4 * i + 3];
	for (size_t i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (right(a, 7) ^ right(a, 18) ^ a >> 3) + w[i - 7] +
		       (right(b, 17) ^ right(b, 19) ^ b >> 10);
	}
	memcpy(s, h, sizeof(s));
	for (size_t i = 0; i < 64; i++) {
		uint32_t t1 = s[7] + (right(s[4], 6) ^ right(s[4], 11) ^ right(s[4], 25)) +
		              ((s[4] & s[5]) ^ (~s[4] & s[6])) + sha_k[i] + w[i];
		uint32_t t2 = (right(s[0], 2) ^ right(s[0], 13) ^ right(s[0], 22)) +
		              ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

		memmove(s + 1, s, 7 * sizeof(*s));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (size_t i = 0; i < 8; i++)
		h[i] += s[i];
}

/* --- both --- */

static void
start(struct hash *x, enum tb_digest kind)
{
	static const uint32_t md5[8] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	static const uint32_t sha[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
		0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	x->kind = kind;
	x->len = 0;
	memcpy(x->h, kind == TB_MD5 ? md5 : sha, sizeof(x->h));
}

static void
add(struct hash *x, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n > 0) {
		size_t at = (size_t)(x->len % BLOCK), take = BLOCK - at < n ? BLOCK - at : n;

		memcpy(x->block + at, p, take);
		x->len += take;
		p += take;
		n -= take;
		if (x->len % BLOCK == 0)
			(x->kind == TB_MD5 ? md5_block : sha_block)(x->h, x->block);
	}
}

static void
finish(struct hash *x, char hex[TB_DIGEST_HEX_MAX])
{
	static const uint8_t pad[BLOCK] = { 0x80 };
	uint64_t bits = x->len * 8;
	size_t words = x->kind == TB_MD5 ? 4 : 8;
	uint8_t end[8];

	add(x, pad, 1 + (size_t)((BLOCK + 55 - x->len % BLOCK) % BLOCK));
	for (size_t i = 0; i < 8; i++)
		end[i] = (uint8_t)(bits >> 8 * (x->kind == TB_MD5 ? i : 7 - i));
	add(x, end, 8);
	for (size_t i = 0; i < words * 4; i++) {
		size_t shift = 8 * (x->kind == TB_MD5 ? i % 4 : 3 - i % 4);
		uint8_t b = (uint8_t)(x->h[i / 4] >> shift);

		hex[2 * i] = "0123456789abcdef"[b >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[b & 15];
	}
	hex[words * 8] = '\0';
}

void
tb_digest_bytes(char hex[TB_DIGEST_HEX_MAX], enum tb_digest kind, const void *bytes, size_t n)
{
	struct hash x;

	start(&x, kind);
	add(&x, bytes, n);
	finish(&x, hex);
}

int
tb_digest_file(char hex[TB_DIGEST_HEX_MAX], enum tb_digest kind, const char *path, struct tb_err *e)
{
	static uint8_t b[64 << 10];
	struct hash x;
	struct stat st;
	ssize_t n = -1;
	/* Never blocks on a fifo or device in the file's place. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return tb_fail(e, "cannot read file %s: %s", path, strerror(errno));
	start(&x, kind);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		tb_fail(e, "cannot read file %s: it is no regular file", path);
	} else {
		while (x.len <= TB_DIGEST_FILE_MAX && (n = read(fd, b, sizeof(b))) > 0)
			add(&x, b, (size_t)n);
		if (n < 0)
			tb_fail(e, "cannot read file %s: %s", path, strerror(errno));
		else if (x.len > TB_DIGEST_FILE_MAX)
			n = tb_fail(
			    e, "file %s is larger than %u MiB", path, TB_DIGEST_FILE_MAX >> 20);
	}
	close(fd);
	if (n != 0)
		return -1;
	finish(&x, hex);
	return 0;
}
