#include "executor/spool_file.h"

#include "common/mem.h"
#include "proto/frame.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x3152704du /* "MpR1" */

struct record {
	uint32_t len;
	uint64_t raw_start, raw_end, masked_start;
	uint32_t data_crc;
};

void
ex_spool_put(uint8_t *out, uint64_t v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

uint64_t
ex_spool_get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static void
header_encode(uint8_t h[SPOOL_RECORD_HEADER], const struct record *r)
{
	memset(h, 0, SPOOL_RECORD_HEADER);
	ex_spool_put(h, MAGIC, 4);
	ex_spool_put(h + 4, r->len, 4);
	ex_spool_put(h + 8, r->raw_start, 8);
	ex_spool_put(h + 16, r->raw_end, 8);
	ex_spool_put(h + 24, r->masked_start, 8);
	ex_spool_put(h + 32, r->data_crc, 4);
	ex_spool_put(h + 44, frame_crc32(h, 44), 4);
}

static bool
header_decode(struct record *r, const uint8_t h[SPOOL_RECORD_HEADER])
{
	r->len = (uint32_t)ex_spool_get(h + 4, 4);
	r->raw_start = ex_spool_get(h + 8, 8);
	r->raw_end = ex_spool_get(h + 16, 8);
	r->masked_start = ex_spool_get(h + 24, 8);
	r->data_crc = (uint32_t)ex_spool_get(h + 32, 4);
	return ex_spool_get(h, 4) == MAGIC && ex_spool_get(h + 44, 4) == frame_crc32(h, 44) &&
	       r->len <= SPOOL_RECORD_MAX && r->raw_end >= r->raw_start;
}

int
ex_spool_write_all(int fd, const void *p, size_t n, uint64_t at, struct err **err)
{
	const uint8_t *s = p;

	while (n > 0) {
		ssize_t done = pwrite(fd, s, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_set_errno(err, errno, "write the spool");
		s += done;
		at += (uint64_t)done;
		n -= (size_t)done;
	}
	return 0;
}

/* Bytes read, fewer only at the end of the file; -1 with errno. */
static ssize_t
read_all(int fd, void *p, size_t n, uint64_t at)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = pread(fd, (uint8_t *)p + have, n - have, (off_t)(at + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

int
ex_spool_file_append(
    int fd, struct ex_spool_pos *pos, uint64_t raw_end, const void *p, size_t n, struct err **err)
{
	const uint8_t *s = p;

	/* A record may be empty of masked bytes, never of raw ones. */
	while (pos->raw < raw_end) {
		size_t piece = n < SPOOL_RECORD_MAX ? n : SPOOL_RECORD_MAX;
		/* Only the last piece may claim the raw range: an earlier one covers no raw byte,
		 * so a crash between them makes the whole range come again. */
		bool last = piece == n;
		struct record r = { .len = (uint32_t)piece,
			.raw_start = pos->raw,
			.raw_end = last ? raw_end : pos->raw,
			.masked_start = pos->masked,
			.data_crc = frame_crc32(s, piece) };
		uint8_t h[SPOOL_RECORD_HEADER];
		int rc;

		header_encode(h, &r);
		rc = ex_spool_write_all(fd, h, sizeof(h), pos->file, err);
		if (rc == 0)
			rc = ex_spool_write_all(fd, s, piece, pos->file + sizeof(h), err);
		if (rc != 0)
			return rc;
		pos->file += sizeof(h) + piece;
		pos->masked += piece;
		pos->raw = r.raw_end;
		s += piece;
		n -= piece;
		if (last)
			break;
	}
	return 0;
}

static bool
record_whole(int fd, const struct record *r, uint64_t at, struct buf *scratch)
{
	buf_clear(scratch);
	if (read_all(fd, buf_reserve(scratch, r->len + 1), r->len, at) != (ssize_t)r->len)
		return false;
	return frame_crc32(scratch->data, r->len) == r->data_crc;
}

int
ex_spool_file_recover(int fd, struct ex_spool_pos *pos, struct err **err)
{
	struct ex_spool_pos at = { 0, 0, 0 };
	auto_buf scratch = BUF_INIT;
	struct stat st;

	*pos = at;
	for (;;) {
		uint8_t h[SPOOL_RECORD_HEADER];
		struct record r;
		ssize_t got = read_all(fd, h, sizeof(h), at.file);

		if (got < 0)
			return err_set_errno(err, errno, "read the spool");
		if (got < (ssize_t)sizeof(h) || !header_decode(&r, h) || r.raw_start != at.raw ||
		    r.masked_start != at.masked ||
		    !record_whole(fd, &r, at.file + sizeof(h), &scratch))
			break;
		at.file += sizeof(h) + r.len;
		at.masked += r.len;
		if (r.raw_end > at.raw) {
			at.raw = r.raw_end;
			*pos = at;
		}
	}
	/* A new file, and one that is whole, stay as they are. */
	if (fstat(fd, &st) != 0 ||
	    ((uint64_t)st.st_size != pos->file &&
	        (ftruncate(fd, (off_t)pos->file) != 0 || fdatasync(fd) != 0)))
		return err_set_errno(err, errno, "cut the spool after its last whole record");
	return 0;
}

int
ex_spool_file_read(
    int fd, struct ex_spool_pos *at, uint64_t masked, size_t max, struct buf *out, struct err **err)
{
	if (masked < at->masked)
		*at = (struct ex_spool_pos){ 0, 0, 0 };
	while (max > 0) {
		uint8_t h[SPOOL_RECORD_HEADER];
		struct record r;
		uint64_t skip;
		size_t take;
		ssize_t got = read_all(fd, h, sizeof(h), at->file);

		if (got == 0)
			return 0;
		if (got != (ssize_t)sizeof(h) || !header_decode(&r, h) ||
		    r.masked_start != at->masked)
			return err_set(err, ERR_INTERNAL, "the spool is damaged at byte %llu",
			    (unsigned long long)at->file);
		skip = masked - at->masked;
		if (skip < r.len) {
			take = r.len - skip < max ? (size_t)(r.len - skip) : max;
			if (read_all(fd, buf_reserve(out, take), take,
			        at->file + sizeof(h) + skip) != (ssize_t)take)
				return err_set(err, ERR_INTERNAL, "the spool ends early");
			out->len += take;
			out->data[out->len] = '\0';
			masked += take;
			max -= take;
			if (skip + take < r.len)
				return 0;
		}
		at->file += sizeof(h) + r.len;
		at->masked += r.len;
		at->raw = r.raw_end;
	}
	return 0;
}

char *
ex_spool_file_log_path(const char *dir, int step)
{
	if (step < 0)
		return xasprintf("%s/setup.log", dir);
	return xasprintf("%s/%d.log", dir, step);
}

void
ex_spool_file_remove(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	if (d == NULL)
		return;
	/* The state goes first: without it the rest is rubbish that the next start removes. */
	(void)unlinkat(dirfd(d), "state", 0);
	while ((entry = readdir(d)) != NULL) /* NOLINT(concurrency-mt-unsafe): d is ours */
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	(void)rmdir(dir);
}
