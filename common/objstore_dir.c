/*
 * Objects as files: DIR/objects/<key>, written as DIR/tmp/<random>, fsynced, then link()ed into
 * place, which fails if the name exists: an object is whole or absent, and never changes. After a
 * crash tmp/ may hold leftovers; those older than TMP_KEEP_S are
 * removed when a store is opened.
 *
 * A path element of a key may be a directory of one object and a file of another ("a" and "a/b"):
 * the later put fails with ERR_CONFLICT.
 */
#include "common/objstore.h"

#include "common/clock.h"
#include "common/id.h"
#include "common/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TMP_KEEP_S 3600 /* another process may be writing its temporary file right now */

struct objstore_dir {
	struct objstore base;
	int objects_fd;
	int tmp_fd;
	char *base_url;
	uint8_t key[CRYPTO_KEY_LEN];
};

static struct objstore_dir *
self(struct objstore *s)
{
	return (struct objstore_dir *)s;
}

/* --- put --- */

static int
write_all(int fd, const void *p, size_t n)
{
	const char *at = p;
	while (n > 0) {
		ssize_t done = write(fd, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno;
		at += done;
		n -= (size_t)done;
	}
	return fsync(fd) == 0 ? 0 : errno;
}

/*
 * Opens the directory of key, making what is missing, and syncing each directory something was made
 * in: otherwise a crash could lose the way to a synced file. *name = last element.
 */
static int
open_parent(int *out, const char **name, const struct objstore_dir *d, const char *key, bool make,
    struct err **err)
{
	int fd = fcntl(d->objects_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_set_errno(err, errno, "object %s", key);
	const char *slash;
	while ((slash = strchr(key, '/')) != NULL) {
		auto_free char *part = xstrndup(key, (size_t)(slash - key));
		if (make && mkdirat(fd, part, 0700) == 0 && fsync(fd) != 0) {
			int rc = err_set_errno(err, errno, "sync directory of object");
			close(fd);
			return rc;
		}
		int next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int error = errno;
		close(fd);
		if (next < 0)
			return error == ENOTDIR
			           ? err_set(err, make ? ERR_CONFLICT : ERR_NOTFOUND,
			                 "object %s: its parent %s is an object", key, part)
			           : err_set_errno(err, error, "object directory %s", part);
		fd = next;
		key = slash + 1;
	}
	*out = fd;
	*name = key;
	return 0;
}

static int
link_into_place(struct objstore_dir *d, const char *tmp, const char *key, struct err **err)
{
	auto_close int parent = -1;
	const char *name = NULL;
	int rc = open_parent(&parent, &name, d, key, true, err);
	if (rc != 0)
		return rc;
	if (linkat(d->tmp_fd, tmp, parent, name, 0) != 0) {
		if (errno == EEXIST)
			return err_set(err, ERR_CONFLICT, "object %s exists already", key);
		return err_set_errno(err, errno, "object %s", key);
	}
	if (fsync(parent) != 0)
		return err_set_errno(err, errno, "sync directory of object %s", key);
	return 0;
}

static int
dir_put(struct objstore *s, const char *key, const void *p, size_t n, struct err **err)
{
	struct objstore_dir *d = self(s);
	int rc = objstore_key_check(key, err);
	if (rc != 0)
		return rc;
	char tmp[33];
	id_random_hex(tmp, 16);
	auto_close int fd =
	    openat(d->tmp_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set_errno(err, errno, "create temporary file for object %s", key);
	int error = write_all(fd, p, n);
	if (error != 0)
		rc = err_set_errno(err, error, "write object %s", key);
	else
		rc = link_into_place(d, tmp, key, err);
	unlinkat(d->tmp_fd, tmp, 0);
	return rc;
}

/* --- get, del --- */

static int
read_range(uint8_t **out, size_t *n, int fd, uint64_t offset, size_t max, struct err **err)
{
	auto_free uint8_t *data = xmalloc(max);
	size_t have = 0;
	while (have < max) {
		ssize_t got = pread(fd, data + have, max - have, (off_t)(offset + have));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set_errno(err, errno, "read object");
		if (got == 0)
			break;
		have += (size_t)got;
	}
	*out = steal(&data);
	*n = have;
	return 0;
}

static int
dir_get(uint8_t **out, size_t *n, uint64_t *total, struct objstore *s, const char *key,
    uint64_t offset, size_t max, struct err **err)
{
	auto_close int parent = -1;
	auto_close int fd = -1;
	const char *name = NULL;
	struct stat st;
	int rc = objstore_key_check(key, err);
	if (rc != 0 || (rc = open_parent(&parent, &name, self(s), key, false, err)) != 0)
		return rc;
	fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_set_errno(err, errno, "object %s", key);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_NOTFOUND, "object %s does not exist", key);
	uint64_t size = (uint64_t)st.st_size;
	uint64_t left = offset < size ? size - offset : 0;
	if ((rc = read_range(out, n, fd, offset, left < max ? (size_t)left : max, err)) != 0)
		return err_wrap(err, "object %s", key), rc;
	if (total != NULL)
		*total = size;
	return 0;
}

static int
dir_del(struct objstore *s, const char *key, struct err **err)
{
	auto_close int parent = -1;
	const char *name = NULL;
	auto_err e = NULL;
	int rc = objstore_key_check(key, err);
	if (rc != 0)
		return rc;
	if ((rc = open_parent(&parent, &name, self(s), key, false, &e)) == ERR_NOTFOUND)
		return 0;
	if (rc != 0)
		return err_set(err, e->code, "%s", e->msg);
	if (unlinkat(parent, name, 0) != 0 && errno != ENOENT)
		return err_set_errno(err, errno, "delete object %s", key);
	if (fsync(parent) != 0)
		return err_set_errno(err, errno, "sync directory of object %s", key);
	return 0;
}

static char *
dir_sign(struct objstore *s, const char *method, const char *key, int64_t expires)
{
	struct objstore_dir *d = self(s);
	return objstore_url_sign(d->base_url, d->key, method, key, expires);
}

/* --- life --- */

static void
dir_free(struct objstore *s)
{
	struct objstore_dir *d = self(s);
	if (d->objects_fd >= 0)
		close(d->objects_fd);
	if (d->tmp_fd >= 0)
		close(d->tmp_fd);
	free(d->base_url);
	xfree_secret(d, sizeof(*d));
}

static int
open_sub(int *out, int parent, const char *dir, const char *name, struct err **err)
{
	if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST)
		return err_set_errno(err, errno, "create %s/%s", dir, name);
	*out = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*out < 0)
		return err_set_errno(err, errno, "open %s/%s", dir, name);
	return 0;
}

/* What a crash left half-written; nothing names it. */
static void
clean_tmp(int tmp_fd)
{
	int fd = openat(tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	struct dirent *e;
	struct stat st;
	int64_t old = clock_wall_ms() / 1000 - TMP_KEEP_S;
	while ((e = readdir(dir)) != NULL) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		if (e->d_name[0] != '.' && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtime < old)
			unlinkat(tmp_fd, e->d_name, 0);
	closedir(dir);
}

static const struct objstore_ops dir_ops = {
	.put = dir_put,
	.get = dir_get,
	.del = dir_del,
	.sign = dir_sign,
	.free = dir_free,
};

static int
open_dirs(struct objstore_dir *d, const char *dir, struct err **err)
{
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_set_errno(err, errno, "create object directory %s", dir);
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, errno, "open object directory %s", dir);
	int rc = open_sub(&d->objects_fd, fd, dir, "objects", err);
	if (rc == 0)
		rc = open_sub(&d->tmp_fd, fd, dir, "tmp", err);
	if (rc == 0 && fsync(fd) != 0)
		rc = err_set_errno(err, errno, "sync object directory %s", dir);
	return rc;
}

int
objstore_dir_new(struct objstore **out, const char *dir, const char *base_url,
    const uint8_t key[CRYPTO_KEY_LEN], struct err **err)
{
	struct objstore_dir *d = xcalloc(1, sizeof(*d));
	d->base.ops = &dir_ops;
	d->objects_fd = -1;
	d->tmp_fd = -1;
	memcpy(d->key, key, sizeof(d->key));
	size_t len = strlen(base_url);
	while (len > 0 && base_url[len - 1] == '/')
		len--;
	d->base_url = xstrndup(base_url, len);
	int rc = open_dirs(d, dir, err);
	if (rc != 0) {
		dir_free(&d->base);
		return rc;
	}
	clean_tmp(d->tmp_fd);
	*out = &d->base;
	return 0;
}
