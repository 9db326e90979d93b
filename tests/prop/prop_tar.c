/*
 * Any entries through our writer, fed to our reader in any pieces, come back the same; any damage
 * is answered without a crash, and never with more data than a header promised. The same archive
 * means the same to GNU tar.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolbox/tar.h"

#define ROUNDS 2000
#define ENTRIES 12

static uint64_t seed;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return below ? (uint32_t)(seed >> 33) % below : 0;
}

struct want {
	int type;
	uint32_t mode;
	char name[4100], link[4100];
	uint8_t body[3000];
	size_t size;
};

static struct want want[ENTRIES];
static size_t nwant, at_entry, at_byte;
static uint64_t promised;
static bool strict, wrong;

static int
on_entry(void *arg, const struct tb_tar_entry *t, struct tb_err *e)
{
	(void)arg;
	(void)e;
	promised = t->size;
	at_byte = 0;
	if (!strict)
		return 0;
	const struct want *w = &want[at_entry];
	wrong = wrong || at_entry >= nwant || (int)t->type != w->type || t->mode != w->mode ||
	        t->size != w->size || strcmp(t->name, w->name) != 0 ||
	        strcmp(t->link, w->link) != 0;
	return 0;
}

static int
on_data(void *arg, const uint8_t *p, size_t n, struct tb_err *e)
{
	(void)arg;
	(void)e;
	if (strict)
		wrong = wrong || at_byte + n > want[at_entry].size ||
		        memcmp(want[at_entry].body + at_byte, p, n) != 0;
	at_byte += n;
	wrong = wrong || at_byte > promised;
	return 0;
}

static int
on_end(void *arg, struct tb_err *e)
{
	(void)arg;
	(void)e;
	wrong = wrong || at_byte != promised;
	at_entry++;
	return 0;
}

static void
name(char *out, bool slashes)
{
	size_t n = 1 + (rnd(4) == 0 ? rnd(4094) : rnd(120));

	for (size_t i = 0; i < n; i++) {
		out[i] = (char)(1 + rnd(255));
		if (out[i] == '/' && (!slashes || i == 0 || i == n - 1))
			out[i] = '_';
	}
	out[n] = '\0';
}

static size_t
write_archive(uint8_t *out)
{
	static const int types[] = { TB_TAR_FILE, TB_TAR_DIR, TB_TAR_SYMLINK, TB_TAR_HARDLINK,
		TB_TAR_FIFO };
	size_t n = 0;

	nwant = rnd(ENTRIES);
	for (size_t i = 0; i < nwant; i++) {
		struct want *w = &want[i];
		memset(w, 0, sizeof(*w));
		w->type = types[rnd(5)];
		w->mode = rnd(010000);
		name(w->name, true);
		if (w->type == TB_TAR_SYMLINK || w->type == TB_TAR_HARDLINK)
			name(w->link, true);
		if (w->type == TB_TAR_FILE)
			w->size = rnd(3000);
		for (size_t k = 0; k < w->size; k++)
			w->body[k] = (uint8_t)rnd(256);
		struct tb_tar_entry t = { (enum tb_tar_type)w->type, w->mode, w->size, w->name,
			w->link };
		n += tb_tar_header(out + n, &t);
		memcpy(out + n, w->body, w->size);
		n += w->size;
		memset(out + n, 0, tb_tar_padding(w->size));
		n += tb_tar_padding(w->size);
	}
	memset(out + n, 0, TB_TAR_END_LEN);
	return n + TB_TAR_END_LEN;
}

static int
read_archive(const uint8_t *b, size_t n)
{
	struct tb_tar_sink sink = { on_entry, on_data, on_end, NULL };
	struct tb_tar_reader *r = tb_tar_reader_new(&sink);
	struct tb_err e = { "" };
	int rc = 0;

	at_entry = 0;
	for (size_t at = 0; rc == 0 && at < n;) {
		size_t k = 1 + rnd(rnd(3) == 0 ? 20 : 4000);
		if (k > n - at)
			k = n - at;
		rc = tb_tar_reader_feed(r, b + at, k, &e);
		at += k;
	}
	if (rc == 0)
		rc = tb_tar_reader_end(r, &e);
	if (rc != 0 && e.text[0] == '\0')
		wrong = true; /* a failure without a reason */
	tb_tar_reader_free(r);
	return rc;
}

static void
fail(uint64_t first, const char *what)
{
	fprintf(stderr, "seed %llu: %s\n", (unsigned long long)first, what);
	exit(1);
}

static void
gnu_tar_agrees(void)
{
	static uint8_t b[TB_TAR_HEADER_MAX * 2 + TB_TAR_END_LEN];
	char longname[301], cmd[1000];
	memset(longname, 'n', 300);
	longname[150] = '/';
	longname[300] = '\0';
	struct tb_tar_entry t = { TB_TAR_DIR, 0755, 0, longname, "" };
	size_t n = tb_tar_header(b, &t);
	struct tb_tar_entry l = { TB_TAR_SYMLINK, 0777, 0, "l", longname };
	n += tb_tar_header(b + n, &l);
	n += TB_TAR_END_LEN;
	snprintf(cmd, sizeof(cmd),
	    "tar -tvf - | awk '{ if (NR == 1) exit !($6 == \"%s/\"); else if ($6 != \"l\" || "
	    "$8 != \"%s\") exit 1 }'",
	    longname, longname);
	FILE *f = popen(cmd, "w");
	if (f == NULL || fwrite(b, 1, n, f) != n || pclose(f) != 0)
		fail(0, "GNU tar reads something else");
}

int
main(void)
{
	static uint8_t b[ENTRIES * (TB_TAR_HEADER_MAX + 3600) + TB_TAR_END_LEN];
	const char *one = getenv("PROP_SEED");

	for (uint64_t i = 0; i < ROUNDS; i++) {
		uint64_t first =
		    one != NULL ? strtoull(one, NULL, 10) : i * 0x9e3779b97f4a7c15ull + 1;
		seed = first;
		wrong = false;
		size_t n = write_archive(b);
		strict = true;
		if (read_archive(b, n) != 0 || wrong || at_entry != nwant)
			fail(first, "an archive does not come back as it was written");
		strict = false;
		if (read_archive(b, n - 1 - rnd(600)) == 0 && n > 2000)
			fail(first, "an archive without its end was taken");
		for (uint32_t k = 1 + rnd(20); k > 0; k--)
			b[rnd((uint32_t)n)] = (uint8_t)rnd(256);
		read_archive(b, n);
		if (wrong)
			fail(first, "a damaged archive gave more than it promised, or no reason");
	}
	gnu_tar_agrees();
	return 0;
}
