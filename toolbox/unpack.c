#include "toolbox/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolbox/tar.h"
#include "toolbox/user.h"
#include "toolbox/zstream.h"

/* Directories without write access for their owner get their mode last; so many at most. */
#define LATE_MAX 65536

struct late {
	char *name;
	uint32_t mode;
};

struct unpacker {
	const struct msg_start *m;
	int root;      /* the destination */
	int file;      /* being written, or -1 */
	uint32_t mode; /* of it */
	char *name;    /* of it */
	char *parent;  /* name of the directory last used ... */
	int parent_fd; /* ... and the directory, or -1 */
	struct late *late;
	size_t nlate;
	uint64_t bytes, entries;
};

/* --- names --- */

/* The entry's name without "." and doubled slashes; malloc'ed, "" for the root itself. */
static char *
clean_name(const char *name, const char *what, struct tb_err *e)
{
	char *out = tb_malloc(strlen(name) + 1);
	size_t n = 0;

	if (name[0] == '/') {
		tb_fail(e, "the archive's %s %s is absolute", what, name);
		goto refuse;
	}
	while (*name != '\0') {
		size_t len = strcspn(name, "/");
		if (len == 2 && memcmp(name, "..", 2) == 0) {
			tb_fail(e, "the archive's %s leaves its directory by \"..\"", what);
			goto refuse;
		}
		if (len > 0 && !(len == 1 && name[0] == '.')) {
			if (n > 0)
				out[n++] = '/';
			memcpy(out + n, name, len);
			n += len;
		}
		name += len;
		name += strspn(name, "/");
	}
	out[n] = '\0';
	return out;
refuse:
	free(out);
	return NULL;
}

/* Opens name below root, element by element, never through a symlink. make: creates what is
 * missing. */
static int
open_dir(int root, const char *name, bool make, struct tb_err *e)
{
	char part[256];
	int fd = fcntl(root, F_DUPFD_CLOEXEC, 3);

	for (const char *p = name; fd >= 0 && *p != '\0';) {
		size_t n = strcspn(p, "/");
		if (n >= sizeof(part)) {
			close(fd);
			return tb_fail(e, "%s: a name in it is too long", name);
		}
		memcpy(part, p, n);
		part[n] = '\0';
		int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
		int next = openat(fd, part, flags);
		if (next < 0 && errno == EACCES)
			next = openat(fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && errno == ENOENT && make &&
		    (mkdirat(fd, part, 0755) == 0 || errno == EEXIST))
			next = openat(fd, part, flags);
		int err = errno;
		close(fd);
		errno = err;
		fd = next;
		p += n;
		p += strspn(p, "/");
	}
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return tb_fail(e, "%s: something on the way is not a directory", name);
	if (fd < 0)
		return tb_fail(e, "cannot enter %s: %s", name, strerror(errno));
	return fd;
}

/* The directory of name, borrowed; *base is the last element. */
static int
parent_of(struct unpacker *u, char *name, const char **base, struct tb_err *e)
{
	char *slash = strrchr(name, '/');

	*base = slash != NULL ? slash + 1 : name;
	if (slash == NULL)
		return u->root;
	size_t n = (size_t)(slash - name);
	if (u->parent_fd >= 0 && strlen(u->parent) == n && memcmp(u->parent, name, n) == 0)
		return u->parent_fd;
	if (u->parent_fd >= 0)
		close(u->parent_fd);
	free(u->parent);
	u->parent = tb_format("%.*s", (int)n, name);
	u->parent_fd = open_dir(u->root, u->parent, true, e);
	return u->parent_fd;
}

static int
exists(const char *name, struct tb_err *e)
{
	return tb_fail(e, "file already exists: %s", name);
}

static int
cannot(const char *name, struct tb_err *e)
{
	if (errno == EEXIST)
		return exists(name, e);
	return tb_fail(e, "cannot create %s: %s", name, strerror(errno));
}

/* --- one function for each kind --- */

static int
put_dir(struct unpacker *u, char *name, uint32_t mode, struct tb_err *e)
{
	const char *base;
	struct stat st;
	int dir = parent_of(u, name, &base, e);

	if (dir < 0)
		return -1;
	if (mkdirat(dir, base, mode | 0700) != 0) {
		if (errno != EEXIST || fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISDIR(st.st_mode))
			return cannot(name, e);
		return 0; /* it was there: merged into, and left as it is */
	}
	if ((mode & 0700) == 0700)
		return 0;
	if (u->nlate == LATE_MAX)
		return tb_fail(e,
		    "the archive has more than %d directories that their owner may not use",
		    LATE_MAX);
	if ((u->nlate & (u->nlate - 1)) == 0) {
		struct late *more =
		    realloc(u->late, (u->nlate > 0 ? u->nlate * 2 : 1) * sizeof(*more));
		if (more == NULL)
			abort();
		u->late = more;
	}
	u->late[u->nlate++] = (struct late){ tb_strdup(name), mode };
	return 0;
}

static int
put_file(struct unpacker *u, char *name, uint32_t mode, struct tb_err *e)
{
	const char *base;
	int dir = parent_of(u, name, &base, e);

	if (dir < 0)
		return -1;
	/* The mode comes last: a file without write access is written through this descriptor. */
	u->file = openat(dir, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (u->file < 0)
		return cannot(name, e);
	u->mode = mode;
	return 0;
}

static int
put_symlink(struct unpacker *u, char *name, const char *target, struct tb_err *e)
{
	const char *base;
	int dir = parent_of(u, name, &base, e);

	if (dir < 0)
		return -1;
	/* It may point anywhere (a venv points to /usr/bin): nothing of ours ever follows it. */
	return symlinkat(target, dir, base) == 0 ? 0 : cannot(name, e);
}

static int
put_hardlink(struct unpacker *u, char *name, const char *target, struct tb_err *e)
{
	const char *base, *tbase;
	struct stat st;
	int r = -1, tdir = -1;
	char *t = clean_name(target, "hard link target", e);

	if (t == NULL)
		return -1;
	int dir = parent_of(u, name, &base, e);
	char *slash = strrchr(t, '/');
	tbase = slash != NULL ? slash + 1 : t;
	if (slash != NULL)
		*slash = '\0';
	if (dir >= 0)
		tdir = open_dir(u->root, slash != NULL ? t : "", false, e);
	if (tdir < 0)
		goto out;
	if (fstatat(tdir, tbase, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		tb_fail(
		    e, "%s is a hard link to %s, which is no file of this directory", name, target);
	else if (linkat(tdir, tbase, dir, base, 0) == 0)
		r = 0;
	else
		cannot(name, e);
	close(tdir);
out:
	free(t);
	return r;
}

/* --- callbacks of the reader --- */

static int
bound(struct unpacker *u, uint64_t size, struct tb_err *e)
{
	u->entries++;
	if (u->m->entries_max > 0 && u->entries > u->m->entries_max)
		return tb_fail(e, "the archive has more than %llu entries",
		    (unsigned long long)u->m->entries_max);
	if (u->m->size_max > 0 && size > u->m->size_max - u->bytes)
		return tb_fail(e, "the archive unpacks to more than %llu bytes",
		    (unsigned long long)u->m->size_max);
	u->bytes += size;
	return 0;
}

static int
put_kind(struct unpacker *u, const struct tb_tar_entry *t, char *name, struct tb_err *e)
{
	uint32_t mode = t->mode & 0777; /* no set-id bits, no sticky bit */

	switch (t->type) {
	case TB_TAR_DIR:
		return put_dir(u, name, mode, e);
	case TB_TAR_FILE:
	case TB_TAR_FIFO: /* saved as a header only: comes back as an empty file */
		return put_file(u, name, mode, e);
	case TB_TAR_SYMLINK:
		return put_symlink(u, name, t->link, e);
	case TB_TAR_HARDLINK:
		return put_hardlink(u, name, t->link, e);
	case TB_TAR_CHAR:
	case TB_TAR_BLOCKDEV:
		return tb_fail(e, "%s is a device: devices are not restored", name);
	}
	return tb_fail(e, "%s is of an unknown kind", name);
}

static int
on_entry(void *arg, const struct tb_tar_entry *t, struct tb_err *e)
{
	struct unpacker *u = arg;

	if (bound(u, t->size, e) != 0)
		return -1;
	char *name = clean_name(t->name, "entry", e);
	if (name == NULL)
		return -1;
	size_t n = strlen(t->name);
	if (name[0] == '\0' && t->type == TB_TAR_DIR) {
		free(name); /* "./": the destination itself */
		return 0;
	}
	if (name[0] == '\0' || (t->type != TB_TAR_DIR && t->name[n - 1] == '/')) {
		free(name);
		return tb_fail(e, "the archive has a file with the name of a directory");
	}
	free(u->name);
	u->name = name;
	return put_kind(u, t, name, e);
}

static int
on_data(void *arg, const uint8_t *p, size_t n, struct tb_err *e)
{
	struct unpacker *u = arg;

	if (u->file < 0 || tb_write_all(u->file, p, n) != 0)
		return tb_fail(e, "cannot write %s: %s", u->name, strerror(errno));
	return 0;
}

static int
on_end_entry(void *arg, struct tb_err *e)
{
	struct unpacker *u = arg;
	int fd = u->file, r = 0;

	if (fd < 0)
		return 0;
	u->file = -1;
	if (fchmod(fd, u->mode) != 0)
		r = tb_fail(e, "cannot set the mode of %s: %s", u->name, strerror(errno));
	if (close(fd) != 0 && r == 0)
		r = tb_fail(e, "cannot write %s: %s", u->name, strerror(errno));
	return r;
}

static int
feed(void *arg, const uint8_t *p, size_t n, struct tb_err *e)
{
	return tb_tar_reader_feed(arg, p, n, e);
}

/* --- the destination --- */

/* Parents may be symlinks (the working directory's are not ours), the last element may not. */
static int
make_parents(char *path)
{
	for (char *p = path + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		int r = mkdir(path, 0755) != 0 && errno != EEXIST ? -1 : 0;
		*p = '/';
		if (r != 0)
			return r;
	}
	return mkdir(path, 0755) != 0 && errno != EEXIST ? -1 : 0;
}

static int
open_root(const struct msg_start *m, const char *home, struct tb_err *e)
{
	struct stat st;
	char *dir = tb_user_expand(m->dest_dir, home, ".", e);
	int fd = -1;

	if (dir == NULL)
		return -1;
	for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/'; n--)
		dir[n - 1] = '\0';
	if (lstat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
		tb_fail(e, "the destination %s exists and is not a real directory", dir);
	else if (make_parents(dir) != 0)
		tb_fail(e, "cannot make the destination %s: %s", dir, strerror(errno));
	else if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		tb_fail(e, "cannot enter the destination %s: %s", dir, strerror(errno));
	free(dir);
	return fd;
}

static int
set_late_modes(struct unpacker *u, struct tb_err *e)
{
	/* Inner directories come after outer ones in the list: from its end. */
	for (size_t i = u->nlate; i-- > 0;) {
		const char *base;
		int dir = parent_of(u, u->late[i].name, &base, e);
		if (dir < 0)
			return -1;
		int fd = openat(dir, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int r = fd >= 0 ? fchmod(fd, u->late[i].mode) : -1;
		int err = errno;
		if (fd >= 0)
			close(fd);
		if (r != 0)
			return tb_fail(
			    e, "cannot set the mode of %s: %s", u->late[i].name, strerror(err));
	}
	return 0;
}

static void
close_all(struct unpacker *u)
{
	for (size_t i = 0; i < u->nlate; i++)
		free(u->late[i].name);
	free(u->late);
	free(u->name);
	free(u->parent);
	if (u->parent_fd >= 0)
		close(u->parent_fd);
	if (u->file >= 0)
		close(u->file);
	close(u->root);
}

int
tb_unpack(const struct msg_start *m, const char *home, int in, int log, struct tb_err *e)
{
	struct unpacker u = { .m = m, .file = -1, .parent_fd = -1 };
	struct tb_tar_sink sink = { on_entry, on_data, on_end_entry, &u };
	mode_t mask = umask(022);

	u.root = open_root(m, home, e);
	if (u.root < 0) {
		umask(mask);
		return -1;
	}
	umask(0);
	struct tb_tar_reader *t = tb_tar_reader_new(&sink);
	int r = tb_zread(in, feed, t, e);
	if (r == 0)
		r = tb_tar_reader_end(t, e);
	if (r == 0)
		r = set_late_modes(&u, e);
	tb_tar_reader_free(t);
	if (r == 0) {
		char *text = tb_format("restored %llu entries, %llu bytes\n",
		    (unsigned long long)u.entries, (unsigned long long)u.bytes);
		tb_write_all(log, text, strlen(text));
		free(text);
	}
	close_all(&u);
	umask(mask);
	return r;
}
