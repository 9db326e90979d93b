#include "executor/spool_state.h"

#include "common/config.h"
#include "common/mem.h"
#include "executor/spool_file.h"
#include "proto/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * A slot: magic u32, length u32, sequence u64, CRC-32 of the text u32, CRC-32 of the 20 bytes
 * before u32, text, room to spare. Both slots of a file have the same size.
 */
#define MAGIC 0x3153704du /* "MpS1" */
#define HEADER 24u
#define ROOM_STEP 4096u

static size_t
slot_size(uint32_t room)
{
	return HEADER + (size_t)room;
}

static int
write_slot(struct ex_spool_state *f, const void *p, size_t n, struct err **err)
{
	uint64_t seq = f->seq + 1;
	auto_free uint8_t *slot = xmalloc(HEADER + n);
	int rc;

	ex_spool_put(slot, MAGIC, 4);
	ex_spool_put(slot + 4, n, 4);
	ex_spool_put(slot + 8, seq, 8);
	ex_spool_put(slot + 16, frame_crc32(p, n), 4);
	ex_spool_put(slot + 20, frame_crc32(slot, 20), 4);
	memcpy(slot + HEADER, p, n);
	rc = ex_spool_write_all(f->fd, slot, HEADER + n, seq % 2 * slot_size(f->room), err);
	if (rc != 0)
		return rc;
	if (fdatasync(f->fd) != 0)
		return err_set_errno(err, errno, "sync the state");
	f->seq = seq;
	return 0;
}

int
ex_spool_sync_dir(const char *dir, struct err **err)
{
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) != 0)
		return err_set_errno(err, errno, "sync %s", dir);
	return 0;
}

/* The old file, if any, is good until the rename. */
static int
replace(struct ex_spool_state *f, const char *dir, const void *p, size_t n, struct err **err)
{
	auto_free char *tmp = xasprintf("%s/state.new", dir);
	auto_free char *path = xasprintf("%s/state", dir);
	struct ex_spool_state fresh = {
		.room = ((uint32_t)n * 2 / ROOM_STEP + 1) * ROOM_STEP - HEADER, .seq = f->seq
	};
	auto_free void *zeros = xcalloc(2, slot_size(fresh.room));
	int rc;

	fresh.fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fresh.fd < 0)
		return err_set_errno(err, errno, "create %s", tmp);
	rc = ex_spool_write_all(fresh.fd, zeros, 2 * slot_size(fresh.room), 0, err);
	if (rc == 0)
		rc = write_slot(&fresh, p, n, err);
	if (rc == 0 && rename(tmp, path) != 0)
		rc = err_set_errno(err, errno, "rename %s", tmp);
	if (rc == 0)
		rc = ex_spool_sync_dir(dir, err);
	if (rc != 0) {
		close(fresh.fd);
		return err_wrap(err, "%s", tmp);
	}
	ex_spool_state_close(f);
	*f = fresh;
	return 0;
}

int
ex_spool_state_write(
    struct ex_spool_state *f, const char *dir, const void *p, size_t n, struct err **err)
{
	if (n > SPOOL_STATE_MAX)
		return err_set(err, ERR_INVALID, "the state of a task has %zu bytes", n);
	if (f->fd < 0 || n > f->room)
		return replace(f, dir, p, n, err);
	return write_slot(f, p, n, err);
}

void
ex_spool_state_close(struct ex_spool_state *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* Length of the text at slot, and its sequence; false when the slot is not whole. */
static bool
slot_read(const uint8_t *slot, size_t size, size_t *n, uint64_t *seq)
{
	*n = (size_t)ex_spool_get(slot + 4, 4);
	*seq = ex_spool_get(slot + 8, 8);
	return ex_spool_get(slot, 4) == MAGIC &&
	       ex_spool_get(slot + 20, 4) == frame_crc32(slot, 20) && *n <= size - HEADER &&
	       ex_spool_get(slot + 16, 4) == frame_crc32(slot + HEADER, *n);
}

int
ex_spool_state_read(char **out, size_t *n, const char *dir, struct err **err)
{
	auto_free char *path = xasprintf("%s/state", dir);
	auto_free char *file = NULL;
	const uint8_t *best = NULL;
	uint64_t best_seq = 0;
	size_t len, size, i;
	int rc = config_read_file(&file, &len, path, 5 * (size_t)SPOOL_STATE_MAX, err);

	if (rc != 0)
		return rc;
	if (len > 0 && file[0] == '{') {
		*n = len;
		*out = steal(&file);
		return 0;
	}
	size = len / 2;
	for (i = 0; i < 2 && size >= HEADER; i++) {
		const uint8_t *slot = (const uint8_t *)file + i * size;
		uint64_t seq;
		size_t got;

		if (slot_read(slot, size, &got, &seq) && (best == NULL || seq > best_seq)) {
			best = slot;
			best_seq = seq;
			*n = got;
		}
	}
	if (best == NULL)
		return err_set(err, ERR_INVALID, "%s holds no whole state", path);
	*out = xstrndup((const char *)best + HEADER, *n);
	return 0;
}
