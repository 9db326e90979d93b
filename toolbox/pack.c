#include "toolbox/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolbox/glob.h"
#include "toolbox/nameset.h"
#include "toolbox/tar.h"
#include "toolbox/user.h"
#include "toolbox/zstream.h"

#define DEPTH_MAX 1000 /* directories inside each other: one descriptor each */
#define CHUNK (128u << 10)

struct packer {
	const struct msg_start *m;
	struct tb_err *e;
	struct tb_zwriter *z;
	FILE *log;
	struct tb_nameset *taken; /* stored names; NULL with a single content: no doubles there */
	struct tb_glob **globs;   /* of the current content */
	uint32_t nglobs;
	const char *prefix; /* its dest_dir, clean, "" or without a slash at its ends */
	const char *shown;  /* its source directory, for messages */
	uint64_t bytes, entries;
	int depth;
	uint8_t buf[CHUNK];
};

static int walk(struct packer *k, int fd, const char *rel);

/* --- names --- */

static void
log_name(FILE *log, const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < ' ' || *s == 127 || *s == '\\')
			fprintf(log, "\\x%02x", (unsigned char)*s);
		else
			putc(*s, log);
	}
	putc('\n', log);
}

static bool
matches(const struct packer *k, const char *rel)
{
	for (uint32_t i = 0; i < k->nglobs; i++)
		if (tb_glob_match(k->globs[i], rel))
			return true;
	return false;
}

/* dest_dir without leading slashes, ".", ".." and doubled slashes; NULL when it goes upwards. */
static char *
clean_prefix(const char *dir)
{
	char *out = tb_malloc(strlen(dir) + 1);
	size_t n = 0;

	while (*dir != '\0') {
		size_t len = strcspn(dir, "/");
		if (len == 2 && memcmp(dir, "..", 2) == 0) {
			if (n == 0) {
				free(out);
				return NULL;
			}
			while (n > 0 && out[n - 1] != '/')
				n--;
			if (n > 0)
				n--;
		} else if (len > 0 && !(len == 1 && dir[0] == '.')) {
			if (n > 0)
				out[n++] = '/';
			memcpy(out + n, dir, len);
			n += len;
		}
		dir += len;
		dir += strspn(dir, "/");
	}
	out[n] = '\0';
	return out;
}

/* --- one entry --- */

static int
put(struct packer *k, const void *p, size_t n)
{
	return tb_zwriter_put(k->z, p, n, k->e);
}

static int
put_zeros(struct packer *k, size_t n)
{
	static const uint8_t zero[TB_TAR_END_LEN];

	return n > 0 ? put(k, zero, n) : 0;
}

static int
put_content(struct packer *k, int fd, uint64_t size, const char *rel)
{
	for (uint64_t left = size; left > 0;) {
		size_t max = left < sizeof(k->buf) ? (size_t)left : sizeof(k->buf);
		ssize_t n = read(fd, k->buf, max);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return tb_fail(
			    k->e, "cannot read %s/%s: %s", k->shown, rel, strerror(errno));
		if (n == 0)
			return tb_fail(
			    k->e, "%s/%s became shorter while it was saved", k->shown, rel);
		if (put(k, k->buf, (size_t)n) != 0)
			return -1;
		left -= (uint64_t)n;
	}
	return put_zeros(k, tb_tar_padding(size));
}

static int
count(struct packer *k, uint64_t size)
{
	k->entries++;
	k->bytes += size;
	if (k->m->entries_max > 0 && k->entries > k->m->entries_max)
		return tb_fail(k->e, "more than %llu entries are to be saved",
		    (unsigned long long)k->m->entries_max);
	if (k->m->size_max > 0 && k->bytes > k->m->size_max)
		return tb_fail(k->e, "more than %llu bytes are to be saved",
		    (unsigned long long)k->m->size_max);
	return 0;
}

static int
put_entry(struct packer *k, int fd, const struct tb_tar_entry *t, const char *rel)
{
	uint8_t head[TB_TAR_HEADER_MAX];
	size_t n = tb_tar_header(head, t);

	if (n == 0)
		return tb_fail(k->e, "the name of %s/%.200s... is too long", k->shown, rel);
	if (k->taken != NULL && !tb_nameset_add(k->taken, t->name))
		return tb_fail(k->e, "%s is in the archive already, by another content", t->name);
	if (count(k, t->size) != 0 || put(k, head, n) != 0)
		return -1;
	log_name(k->log, t->name);
	if (ferror(k->log))
		return tb_fail(k->e, "cannot write the log: %s", strerror(errno));
	return t->type == TB_TAR_FILE ? put_content(k, fd, t->size, rel) : 0;
}

static int
put_file(struct packer *k, int dir, const char *base, struct tb_tar_entry *t, const char *rel)
{
	struct stat st;
	int r;
	int fd = openat(dir, base, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return tb_fail(k->e, "cannot read %s/%s: %s", k->shown, rel, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		r = tb_fail(k->e, "%s/%s was replaced while it was saved", k->shown, rel);
	} else {
		t->size = (uint64_t)st.st_size;
		t->mode = st.st_mode & 07777;
		r = put_entry(k, fd, t, rel);
	}
	close(fd);
	return r;
}

static int
take(struct packer *k, int dir, const char *base, const struct stat *st, const char *rel)
{
	static const struct {
		mode_t fmt;
		enum tb_tar_type type;
	} types[] = { { S_IFREG, TB_TAR_FILE }, { S_IFDIR, TB_TAR_DIR },
		{ S_IFLNK, TB_TAR_SYMLINK }, { S_IFIFO, TB_TAR_FIFO }, { S_IFCHR, TB_TAR_CHAR },
		{ S_IFBLK, TB_TAR_BLOCKDEV } };
	char link[TB_TAR_NAME_MAX + 2] = "";
	struct tb_tar_entry t = { .mode = st->st_mode & 07777, .link = link };
	int r;

	if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlinkat(dir, base, link, sizeof(link) - 1);
		if (n < 0)
			return tb_fail(
			    k->e, "cannot read %s/%s: %s", k->shown, rel, strerror(errno));
		link[n] = '\0';
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if ((st->st_mode & S_IFMT) == types[i].fmt)
			t.type = types[i].type;
	if ((int)t.type == 0) /* a socket */
		return 0;
	char *name = tb_format("%s%s%s", k->prefix, k->prefix[0] != '\0' ? "/" : "", rel);
	t.name = name;
	r = t.type == TB_TAR_FILE ? put_file(k, dir, base, &t, rel) : put_entry(k, -1, &t, rel);
	free(name);
	return r;
}

/* --- the walk --- */

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted names of the directory; closes fd only when it fails. */
static int
list(struct packer *k, int fd, const char *rel, char ***names, size_t *n)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *de = NULL;

	*names = NULL;
	*n = 0;
	while (d != NULL && (errno = 0, de = readdir(d)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if ((*n & (*n - 1)) == 0) {
			char **more = realloc(*names, (*n > 0 ? *n * 2 : 1) * sizeof(char *));
			if (more == NULL)
				abort();
			*names = more;
		}
		(*names)[(*n)++] = tb_strdup(de->d_name);
	}
	int err = errno;
	if (d != NULL)
		closedir(d);
	else if (copy >= 0)
		close(copy);
	if (d == NULL || err != 0)
		return tb_fail(k->e, "cannot read directory %s%s%s: %s", k->shown,
		    rel[0] != '\0' ? "/" : "", rel, strerror(err));
	if (*n > 0)
		qsort(*names, *n, sizeof(char *), by_bytes);
	return 0;
}

static int
descend(struct packer *k, int dir, const char *base, const char *rel)
{
	int fd = openat(dir, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return tb_fail(
		    k->e, "cannot read directory %s/%s: %s", k->shown, rel, strerror(errno));
	if (k->depth == DEPTH_MAX) {
		close(fd);
		return tb_fail(k->e, "%s holds more than %d directories inside each other",
		    k->shown, DEPTH_MAX);
	}
	k->depth++;
	int r = walk(k, fd, rel);
	k->depth--;
	close(fd);
	return r;
}

static int
visit(struct packer *k, int dir, const char *base, const char *parent)
{
	struct stat st;
	int r = 0;
	char *rel = tb_format("%s%s%s", parent, parent[0] != '\0' ? "/" : "", base);

	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) != 0)
		r = tb_fail(k->e, "cannot read %s/%s: %s", k->shown, rel, strerror(errno));
	if (r == 0 && matches(k, rel))
		r = take(k, dir, base, &st, rel);
	if (r == 0 && S_ISDIR(st.st_mode))
		r = descend(k, dir, base, rel);
	free(rel);
	return r;
}

static int
walk(struct packer *k, int fd, const char *rel)
{
	char **names;
	size_t n;
	int r = list(k, fd, rel, &names, &n);

	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = visit(k, fd, names[i], rel);
		free(names[i]);
	}
	free(names);
	return r;
}

/* --- contents --- */

static int
walk_source(struct packer *k, const char *dir)
{
	struct stat st;
	size_t n = strlen(dir);

	k->shown = dir;
	if (stat(dir, &st) != 0)
		return tb_fail(k->e, "source_dir %s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return tb_fail(k->e, "source_dir %s is not a directory", dir);
	/* A symlink to a directory is not entered unless a slash says so. */
	if (dir[n - 1] != '/' && lstat(dir, &st) == 0 && S_ISLNK(st.st_mode))
		return 0;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return tb_fail(k->e, "cannot read source_dir %s: %s", dir, strerror(errno));
	int r = walk(k, fd, "");
	close(fd);
	return r;
}

static int
pack_content(struct packer *k, const struct msg_content *c, const char *home)
{
	char *dir = NULL, *prefix = clean_prefix(c->dest_dir);
	int r = -1;

	k->globs = tb_malloc((c->npaths + 1) * sizeof(*k->globs));
	for (k->nglobs = 0; k->nglobs < c->npaths; k->nglobs++)
		if ((k->globs[k->nglobs] = tb_glob_new(c->paths[k->nglobs], k->e)) == NULL)
			goto out;
	if (c->source_dir[0] == '\0') {
		tb_fail(k->e, "a content has no source_dir");
		goto out;
	}
	if (prefix == NULL) {
		tb_fail(k->e, "dest_dir %s leaves the archive", c->dest_dir);
		goto out;
	}
	dir = tb_user_expand(c->source_dir, home, ".", k->e);
	if (dir == NULL)
		goto out;
	k->prefix = prefix;
	r = walk_source(k, strncmp(dir, "./", 2) == 0 && dir[2] != '\0' ? dir + 2 : dir);
out:
	while (k->nglobs > 0)
		tb_glob_free(k->globs[--k->nglobs]);
	free(k->globs);
	free(prefix);
	free(dir);
	return r;
}

int
tb_pack(const struct msg_start *m, const char *home, int out, int log, struct tb_err *e)
{
	struct packer *k = tb_malloc(sizeof(*k));
	struct rlimit files;
	int r = 0;

	memset(k, 0, sizeof(*k));
	k->m = m;
	k->e = e;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < DEPTH_MAX + 64) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	k->z = tb_zwriter_new(out, e);
	k->log = fdopen(dup(log), "w");
	if (m->ncontents > 1)
		k->taken = tb_nameset_new();
	if (k->z == NULL || k->log == NULL)
		r = tb_fail(e, "cannot start the archive: out of memory");
	for (uint32_t i = 0; r == 0 && i < m->ncontents; i++)
		r = pack_content(k, &m->contents[i], home);
	if (r == 0)
		r = put_zeros(k, TB_TAR_END_LEN);
	if (r == 0)
		r = tb_zwriter_finish(k->z, e);
	if (k->log != NULL && fclose(k->log) != 0 && r == 0)
		r = tb_fail(e, "cannot write the log: %s", strerror(errno));
	tb_zwriter_free(k->z);
	tb_nameset_free(k->taken);
	free(k);
	return r;
}
