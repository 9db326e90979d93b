/*
 * planted FILE PATH...: looks for planted values in files, and in all files below directories.
 *
 * FILE has one value a line (so that no value is an argument, which anybody may see). Each is
 * looked for as it is, in base64 (all alignments, standard and URL-safe), hexadecimal,
 * percent-encoded and JSON-escaped; also inside what is compressed (zstd, gzip, at any offset) or
 * written as the hexadecimal of a PostgreSQL dump (\x...), and inside that again.
 *
 * Prints "PATH: line N of FILE, form, in ..." for each find. Exit status: 0 something was found, 1
 * nothing was, 2 it could not look.
 */
#include "common/buf.h"
#include "common/crypto.h"
#include "common/mem.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#define DEPTH_MAX 5          /* of what is packed in what is packed */
#define OUT_MAX (256u << 20) /* bytes of one unpacked piece */
#define FORMS_MAX 1000
#define HEX_MIN 16 /* digits after \x that are worth decoding */

struct form {
	char *text;
	size_t len;
	unsigned line;
	const char *name;
};

static struct form forms[FORMS_MAX];
static size_t nforms;
static bool found;

/* --- what is looked for --- */

static void
add(unsigned line, const char *name, const char *text, size_t len)
{
	for (size_t i = 0; i < nforms; i++) {
		if (forms[i].len == len && memcmp(forms[i].text, text, len) == 0)
			return;
	}
	MUST(nforms < FORMS_MAX && len > 0);
	forms[nforms++] = (struct form){ xmemdup(text, len), len, line, name };
}

/* The characters that do not depend on what stands before or after the value. */
static void
add_base64(unsigned line, const char *value, size_t n)
{
	for (size_t before = 0; before < 3; before++) {
		auto_free char *padded = xcalloc(before + n + 1, 1);
		size_t first = (before * 4 + 2) / 3, last = (before + n) * 8 / 6;
		memcpy(padded + before, value, n);
		auto_free char *text = crypto_base64(padded, before + n);
		if (last <= first)
			continue;
		add(line, "base64", text + first, last - first);
		for (char *s = text; *s; s++)
			*s = (char)(*s == '+' ? '-' : *s == '/' ? '_' : *s);
		add(line, "base64 for URLs", text + first, last - first);
	}
}

static void
add_escaped(unsigned line, const char *value, size_t n)
{
	for (int lower = 0; lower < 2; lower++) {
		auto_buf all = BUF_INIT, few = BUF_INIT;
		for (size_t i = 0; i < n; i++) {
			unsigned char c = (unsigned char)value[i];
			char escape[8];
			snprintf(escape, sizeof(escape), lower ? "%%%02x" : "%%%02X", c);
			buf_puts(&all, escape);
			if (isalnum(c) || strchr("-._~", c))
				buf_putc(&few, (char)c);
			else
				buf_puts(&few, escape);
		}
		add(line, "percent-encoded", all.data, all.len);
		add(line, "percent-encoded", few.data, few.len);
	}
	auto_buf json = BUF_INIT;
	for (size_t i = 0; i < n; i++) {
		if (value[i] == '"' || value[i] == '\\')
			buf_putc(&json, '\\');
		buf_putc(&json, value[i]);
	}
	add(line, "JSON-escaped", json.data, json.len);
}

static void
add_value(unsigned line, const char *value, size_t n)
{
	auto_free char *hex = xmalloc(2 * n + 1);
	crypto_hex(hex, value, n);
	add(line, "raw", value, n);
	add(line, "hexadecimal", hex, 2 * n);
	for (char *s = hex; *s; s++)
		*s = (char)toupper((unsigned char)*s);
	add(line, "hexadecimal", hex, 2 * n);
	add_base64(line, value, n);
	add_escaped(line, value, n);
}

static bool
read_file(struct buf *b, const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n;
	if (!f)
		return false;
	do {
		n = fread(buf_reserve(b, 65536), 1, 65536, f);
		b->len += n;
	} while (n > 0);
	bool ok = !ferror(f);
	fclose(f);
	return ok;
}

static bool
read_values(const char *path)
{
	auto_buf b = BUF_INIT;
	unsigned line = 0;
	if (!read_file(&b, path))
		return false;
	for (size_t at = 0; at < b.len;) {
		const char *end = memchr(b.data + at, '\n', b.len - at);
		size_t n = end ? (size_t)(end - b.data) - at : b.len - at;
		line++;
		if (n > 0)
			add_value(line, b.data + at, n);
		at += n + 1;
	}
	return nforms > 0;
}

/* --- looking --- */

static void look(const char *p, size_t n, const char *where, unsigned depth);

static void
look_inside(struct buf *b, const char *where, const char *how, size_t at, unsigned depth)
{
	auto_free char *inner = xasprintf("%s, %s at %zu", where, how, at);
	look(b->data, b->len, inner, depth + 1);
}

static void
unzstd(const char *p, size_t n, const char *where, size_t at, unsigned depth)
{
	auto_buf out = BUF_INIT;
	ZSTD_DCtx *d = ZSTD_createDCtx();
	ZSTD_inBuffer in = { p, n, 0 };
	size_t rc = 1;
	/* What comes before damage or a cut is looked at, too. */
	while (rc != 0 && !ZSTD_isError(rc) && out.len < OUT_MAX) {
		size_t used = in.pos;
		ZSTD_outBuffer o = { buf_reserve(&out, 1 << 17), 1 << 17, 0 };
		rc = ZSTD_decompressStream(d, &o, &in);
		out.len += o.pos;
		if (o.pos == 0 && in.pos == used)
			break;
	}
	ZSTD_freeDCtx(d);
	if (out.len > 0)
		look_inside(&out, where, "zstd", at, depth);
}

static void
ungzip(const char *p, size_t n, const char *where, size_t at, unsigned depth)
{
	auto_buf out = BUF_INIT;
	z_stream z = { .next_in = (Bytef *)(uintptr_t)p, .avail_in = (uInt)n };
	int rc = Z_OK;
	if (n > UINT32_MAX || inflateInit2(&z, 15 + 16) != Z_OK)
		return;
	while (rc == Z_OK && out.len < OUT_MAX) {
		z.next_out = (Bytef *)buf_reserve(&out, 1 << 17);
		z.avail_out = 1 << 17;
		rc = inflate(&z, Z_NO_FLUSH);
		out.len += (1u << 17) - z.avail_out;
	}
	inflateEnd(&z);
	if (out.len > 0)
		look_inside(&out, where, "gzip", at, depth);
}

static size_t
unhex(const char *p, size_t n, const char *where, size_t at, unsigned depth)
{
	auto_buf out = BUF_INIT;
	size_t digits = 0;
	while (digits < n && isxdigit((unsigned char)p[digits]))
		digits++;
	digits &= ~(size_t)1;
	for (size_t i = 0; digits >= HEX_MIN && i < digits; i += 2) {
		char two[3] = { p[i], p[i + 1], '\0' };
		buf_putc(&out, (char)strtoul(two, NULL, 16));
	}
	if (out.len > 0)
		look_inside(&out, where, "hexadecimal", at, depth);
	return digits;
}

static void
look(const char *p, size_t n, const char *where, unsigned depth)
{
	for (size_t i = 0; i < nforms; i++) {
		if (!memmem(p, n, forms[i].text, forms[i].len))
			continue;
		printf("%s: value %u, %s\n", where, forms[i].line, forms[i].name);
		found = true;
	}
	if (depth == DEPTH_MAX)
		return;
	for (size_t i = 0; i + 4 < n; i++) {
		if (memcmp(p + i, "\x28\xb5\x2f\xfd", 4) == 0)
			unzstd(p + i, n - i, where, i, depth);
		else if (memcmp(p + i, "\x1f\x8b\x08", 3) == 0)
			ungzip(p + i, n - i, where, i, depth);
		else if (memcmp(p + i, "\\x", 2) == 0)
			i += unhex(p + i + 2, n - i - 2, where, i, depth);
	}
}

/* True when it could be looked at. Files that vanish meanwhile are none. */
static bool
walk(const char *path)
{
	struct stat st;
	auto_buf b = BUF_INIT;
	if (stat(path, &st) != 0)
		return false;
	if (!S_ISDIR(st.st_mode)) {
		if (!S_ISREG(st.st_mode) || !read_file(&b, path))
			return !S_ISREG(st.st_mode) || errno == ENOENT;
		look(b.data, b.len, path, 0);
		return true;
	}
	DIR *d = opendir(path);
	bool ok = d != NULL;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	for (const struct dirent *e; d && (e = readdir(d));) {
		auto_free char *inner = xasprintf("%s/%s", path, e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !walk(inner))
			ok = stat(inner, &st) != 0 && ok;
	}
	if (d)
		closedir(d);
	return ok;
}

int
main(int argc, char **argv)
{
	if (argc < 3 || !read_values(argv[1])) {
		fprintf(stderr, "usage: planted FILE PATH...; FILE has a value a line\n");
		return 2;
	}
	for (int i = 2; i < argc; i++) {
		if (!walk(argv[i])) {
			fprintf(stderr, "planted: cannot look at %s\n", argv[i]);
			return 2;
		}
	}
	for (size_t i = 0; i < nforms; i++)
		free(forms[i].text);
	return found ? 0 : 1;
}
