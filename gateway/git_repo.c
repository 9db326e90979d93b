#include "gateway/git_repo.h"

#include "common/crypto.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/git_child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define READ_TIMEOUT_MS 20000
#define CHECK_LINE_MAX 4096

int
gw_repo_path(char **out, const char *dir, const char *owner, const char *repo, struct err **err)
{
	if (!id_is_valid(owner) || !id_is_valid(repo))
		return err_set(
		    err, ERR_NOTFOUND, "repositories are named <user id>/<uuid>, in lower case");
	*out = xasprintf("%s/%s/%s.git", dir, owner, repo);
	return 0;
}

bool
gw_repo_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int
write_file(const char *dir, const char *name, const char *text, struct err **err)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t n = strlen(text);

	if (fd < 0)
		return err_set_errno(err, errno, "create %s", name);
	if (write(fd, text, n) != (ssize_t)n)
		return err_set_errno(err, errno, "write %s", name);
	return 0;
}

static int
make_dir(const char *dir, const char *name, struct err **err)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "mkdir %s", name);
	return 0;
}

/* What git init --bare makes, without its templates: no hooks directory above all. */
static int
fill_repo(const char *dir, struct err **err)
{
	static const char *const dirs[] = { "objects", "objects/info", "objects/pack", "refs",
		"refs/heads", "refs/tags" };
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		rc = make_dir(dir, dirs[i], err);
		if (rc < 0)
			return rc;
	}
	rc = write_file(dir, "HEAD", "ref: refs/heads/master\n", err);
	if (rc < 0)
		return rc;
	return write_file(dir, "config",
	    "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n", err);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
remove_tree(const char *path)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): it is safe without FTW_CHDIR */
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
		log_warn("a repository could not be removed whole");
}

static int
check_count(const char *dir, struct err **err)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	if (!d)
		return err_set_errno(err, errno, "open %s", dir);
	while (readdir(d)) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		n++;
	closedir(d);
	if (n > GW_REPOS_PER_USER_MAX + 2)
		return err_set(
		    err, ERR_DENIED, "the user has %d repositories already", GW_REPOS_PER_USER_MAX);
	return 0;
}

/* Makes the directory of all and the owner's directory below it. */
static int
make_parents(const char *owner_dir, struct err **err)
{
	auto_free char *repos = xstrdup(owner_dir);

	*strrchr(repos, '/') = '\0';
	if (mkdir(repos, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "mkdir %s", repos);
	if (mkdir(owner_dir, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "mkdir %s", owner_dir);
	return 0;
}

int
gw_repo_ensure(const char *path, struct err **err)
{
	auto_free char *owner_dir = xstrdup(path);
	auto_free char *fresh = NULL;
	struct id id = id_new();
	int rc;

	if (gw_repo_exists(path))
		return 0;
	*strrchr(owner_dir, '/') = '\0';
	rc = make_parents(owner_dir, err);
	if (rc == 0)
		rc = check_count(owner_dir, err);
	if (rc < 0)
		return rc;
	/* Complete under another name first: nobody ever sees half a repository. */
	fresh = xasprintf("%s/new-%s", owner_dir, id.s);
	if (mkdir(fresh, 0700) < 0)
		return err_set_errno(err, errno, "mkdir %s", fresh);
	rc = fill_repo(fresh, err);
	if (rc == 0 && rename(fresh, path) < 0) {
		if (errno != EEXIST && errno != ENOTEMPTY)
			rc = err_set_errno(err, errno, "rename %s", fresh);
		else
			remove_tree(fresh);
	}
	if (rc < 0)
		remove_tree(fresh);
	return rc;
}

int
gw_repo_check_space(const char *dir, struct err **err)
{
	struct statvfs v;

	if (statvfs(dir, &v) < 0)
		return err_set_errno(err, errno, "repository_dir %s", dir);
	if ((uint64_t)v.f_bavail * v.f_frsize < GW_REPO_DISK_MIN ||
	    (v.f_files && v.f_favail < 1000))
		return err_set(err, ERR_UNAVAILABLE,
		    "the gateway's disk is nearly full; its operator must make room");
	return 0;
}

void
gw_repo_remove_owner(const char *dir, const char *owner)
{
	auto_free char *path = NULL;

	MUST(id_is_valid(owner));
	path = xasprintf("%s/%s", dir, owner);
	remove_tree(path);
}

/* Under another name first: nobody ever sees half a repository. */
void
gw_repo_remove(const char *path)
{
	auto_free char *gone = xasprintf("%s.gone", path);

	if (rename(path, gone) == 0)
		remove_tree(gone);
}

static int
take_lock(int lock, const char *name, bool exclusive, struct err **err)
{
	struct stat have, there;

	if (flock(lock, exclusive ? LOCK_EX | LOCK_NB : LOCK_SH) < 0)
		return err_set(err, ERR_CONFLICT, "the repository is in use");
	/* It may have been removed while we waited. */
	if (fstat(lock, &have) < 0 || stat(name, &there) < 0 || have.st_ino != there.st_ino)
		return err_set(err, ERR_NOTFOUND, "there is no such repository");
	if (!exclusive) /* when it was last used: for the cleaner */
		(void)futimens(lock, NULL);
	return 0;
}

int
gw_repo_lock(int *fd, const char *path, bool exclusive, struct err **err)
{
	auto_free char *name = xasprintf("%s/lock", path);
	int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int rc;

	if (lock < 0)
		return err_set(err, ERR_NOTFOUND, "there is no such repository");
	rc = take_lock(lock, name, exclusive, err);
	if (rc < 0)
		close(lock);
	else
		*fd = lock;
	return rc;
}

/* --- quota --- */

static _Thread_local uint64_t tree_bytes;

static int
add_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)type;
	(void)ftw;
	tree_bytes += (uint64_t)st->st_blocks * 512;
	return 0;
}

static uint64_t
size_of_tree(const char *path)
{
	tree_bytes = 0;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): it is safe without FTW_CHDIR */
	(void)nftw(path, add_entry, 16, FTW_PHYS);
	return tree_bytes;
}

bool
gw_repo_is_claimed(const char *path)
{
	auto_free char *mark = xasprintf("%s/claimed", path);

	return access(mark, F_OK) == 0;
}

int
gw_repo_check_quota(uint64_t *left, const char *path, uint64_t quota, struct err **err)
{
	auto_free char *owner_dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	bool claimed = gw_repo_is_claimed(path);
	uint64_t used = 0;
	DIR *d = opendir(owner_dir);
	struct dirent *e;

	if (!d)
		return err_set_errno(err, errno, "open the user's repositories");
	while ((e = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		auto_free char *repo = xasprintf("%s/%s", owner_dir, e->d_name);

		if (e->d_name[0] != '.' && gw_repo_is_claimed(repo) == claimed)
			used += size_of_tree(repo);
	}
	closedir(d);
	if (used >= quota)
		return err_set(err, ERR_DENIED,
		    "the user's repositories take %llu MiB, as many as repository_quota allows",
		    (unsigned long long)(used >> 20));
	*left = quota - used;
	return 0;
}

/* --- what runs are made of --- */

static int
claim(const char *path, struct err **err)
{
	auto_free char *mark = xasprintf("%s/claimed", path);
	auto_close int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? err_set_errno(err, errno, "claim the repository") : 0;
}

int
gw_repo_keep(const char *path, const char *sha, const char *ref, const char *const *spaces,
    size_t n, struct err **err)
{
	const char *argv[] = { "git", "-C", path, "update-ref", "--stdin", NULL };
	auto_buf input = BUF_INIT, out = BUF_INIT;
	int status, rc = claim(path, err);

	/* HEAD too, so that a clone checks out what it came for. */
	for (size_t i = 0; i < n; i++) {
		MUST(strlen(spaces[i]) == GW_REPO_SPACE_LEN);
		buf_printf(&input, "update refs/namespaces/%s/HEAD %s\n", spaces[i], sha);
		buf_printf(&input, "update refs/namespaces/%s/%s %s\n", spaces[i], ref, sha);
	}
	if (rc == 0 && n > 0)
		rc = gw_git_run(
		    &out, &status, argv, buf_str(&input), CHECK_LINE_MAX, READ_TIMEOUT_MS, err);
	if (rc == 0 && n > 0 && status != 0)
		return err_set(err, ERR_INTERNAL, "git update-ref: exit status %d", status);
	return rc;
}

/* --- reading --- */

bool
gw_repo_sha_is_valid(const char *sha)
{
	size_t n = strlen(sha);

	return (n == 40 || n == 64) && strspn(sha, "0123456789abcdef") == n;
}

bool
gw_repo_rev_is_valid(const char *rev)
{
	size_t n = strlen(rev);

	if (n == 0 || n > 200 || rev[0] == '-' || rev[0] == '.')
		return false;
	return strspn(rev, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-") ==
	           n &&
	       !strstr(rev, "..");
}

/* One answer of cat-file --batch-check. */
struct object {
	char oid[65];
	char type[16];
	unsigned long long size;
};

/* Asks for n object names, one answer line each; a missing object has an empty type. */
static int
batch_check(
    struct object *list, size_t n, const char *path, const char *questions, struct err **err)
{
	const char *argv[] = { "git", "-C", path, "cat-file", "--batch-check", NULL };
	auto_buf out = BUF_INIT;
	const char *line;
	int status;
	int rc =
	    gw_git_run(&out, &status, argv, questions, n * CHECK_LINE_MAX, READ_TIMEOUT_MS, err);

	if (rc < 0)
		return rc;
	if (status != 0)
		return err_set(err, ERR_INTERNAL, "git cat-file: exit status %d", status);
	line = buf_str(&out);
	for (size_t i = 0; i < n; i++) {
		const char *end = strchr(line, '\n');

		list[i] = (struct object){ 0 };
		if (!end)
			return err_set(err, ERR_INTERNAL, "git cat-file: a line is missing");
		/* NOLINTNEXTLINE(cert-err34-c): git writes sizes that fit */
		if (sscanf(line, "%64[0-9a-f] %15[a-z] %llu", list[i].oid, list[i].type,
		        &list[i].size) != 3)
			list[i].type[0] = '\0';
		line = end + 1;
	}
	return 0;
}

int
gw_repo_check_commit(const char *path, const char *sha, struct err **err)
{
	auto_free char *question = xasprintf("%s^{commit}\n", sha);
	struct object object;
	int rc = batch_check(&object, 1, path, question, err);

	if (rc < 0)
		return rc;
	if (strcmp(object.type, "commit") != 0)
		return err_set(
		    err, ERR_NOTFOUND, "commit %s is not in the repository; push it first", sha);
	return 0;
}

static int
read_object(struct buf *out, const char *path, const char *oid, size_t max, struct err **err)
{
	const char *argv[] = { "git", "-C", path, "cat-file", "blob", oid, NULL };
	int status;
	int rc = gw_git_run(out, &status, argv, NULL, max, READ_TIMEOUT_MS, err);

	if (rc == 0 && status != 0)
		rc = err_set(err, ERR_INTERNAL, "git cat-file: exit status %d", status);
	return rc;
}

int
gw_repo_read_first(struct buf *out, size_t *index, const char *path, const char *rev,
    const char *const *names, size_t n, size_t max, struct err **err)
{
	auto_free struct object *objects = xcalloc(n, sizeof(*objects));
	auto_buf questions = BUF_INIT;
	int rc;

	for (size_t i = 0; i < n; i++) {
		if (strlen(names[i]) > CHECK_LINE_MAX / 2 || strpbrk(names[i], "\n\r"))
			return err_set(err, ERR_NOTFOUND, "no such file");
		buf_printf(&questions, "%s:%s\n", rev, names[i]);
	}
	rc = batch_check(objects, n, path, buf_str(&questions), err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (strcmp(objects[i].type, "blob") != 0)
			continue;
		*index = i;
		if (objects[i].size > max)
			return err_set(err, ERR_INVALID,
			    "%s has %llu bytes, at most %zu are allowed", names[i], objects[i].size,
			    max);
		return read_object(out, path, objects[i].oid, max, err);
	}
	return rc < 0 ? rc : err_set(err, ERR_NOTFOUND, "no such file");
}

/* One line of ls-tree -l: "MODE TYPE OID SIZE\tNAME". */
struct entry {
	char mode[8], type[16], oid[65];
	unsigned long long size;
};

/* The entry of a tree; its mode is empty when there is none. */
static int
list_entry(struct entry *e, const char *path, const char *sha, const char *name, struct err **err)
{
	const char *argv[] = { "git", "-C", path, "--literal-pathspecs", "ls-tree", "-l", "-z", sha,
		"--", name, NULL };
	auto_buf out = BUF_INIT;
	char size[24];
	int status;
	int rc = gw_git_run(&out, &status, argv, NULL, CHECK_LINE_MAX, READ_TIMEOUT_MS, err);

	*e = (struct entry){ 0 };
	if (rc < 0)
		return rc;
	if (status != 0)
		return err_set(err, ERR_INTERNAL, "git ls-tree: exit status %d", status);
	/* NOLINTNEXTLINE(cert-err34-c): the size is "-" or a number that fits */
	if (sscanf(buf_str(&out), "%7[0-7] %15[a-z] %64[0-9a-f] %23s", e->mode, e->type, e->oid,
	        size) != 4)
		e->mode[0] = '\0';
	else
		e->size = strtoull(size, NULL, 10);
	return 0;
}

/* Why there is no such file: one of the directories may be a link. */
static int
not_found(const char *path, const char *sha, const char *name, struct err **err)
{
	for (const char *p = strchr(name, '/'); p; p = strchr(p + 1, '/')) {
		auto_free char *part = xstrndup(name, (size_t)(p - name));
		struct entry e;
		int rc = list_entry(&e, path, sha, part, err);

		if (rc < 0)
			return rc;
		if (strcmp(e.mode, "120000") == 0)
			return err_set(
			    err, ERR_INVALID, "%s is a symbolic link, which is not followed", part);
		if (strcmp(e.type, "tree") != 0)
			break;
	}
	return err_set(err, ERR_NOTFOUND, "the commit has no such file");
}

int
gw_repo_read_file(struct buf *out, const char *path, const char *sha, const char *name, size_t max,
    struct err **err)
{
	struct entry e;
	int rc;

	if (strlen(name) > CHECK_LINE_MAX / 2)
		return err_set(err, ERR_NOTFOUND, "the commit has no such file");
	rc = list_entry(&e, path, sha, name, err);
	if (rc < 0)
		return rc;
	if (!e.mode[0])
		return not_found(path, sha, name, err);
	if (strcmp(e.mode, "120000") == 0)
		return err_set(err, ERR_INVALID, "it is a symbolic link, which is not followed");
	if (strcmp(e.type, "blob") != 0)
		return err_set(err, ERR_INVALID, "it is no file");
	if (e.size > max)
		return err_set(
		    err, ERR_INVALID, "it has %llu bytes, at most %zu are allowed", e.size, max);
	return read_object(out, path, e.oid, max, err);
}

/* --- what changed --- */

static void
split_names(char ***names, size_t *n, const struct buf *out)
{
	const char *p = out->data, *end = p + out->len;

	for (; p < end; p += strlen(p) + 1) {
		*names = xreallocarray(*names, *n + 1, sizeof(**names));
		(*names)[(*n)++] = xstrdup(p);
	}
}

static int
list_changes(
    char ***names, size_t *n, const char *path, const char *base, const char *sha, struct err **err)
{
	const char *argv[] = { "git", "-C", path, "diff-tree", "-r", "-z", "--name-only",
		"--no-renames", base, sha, "--", NULL };
	auto_buf out = BUF_INIT;
	auto_err why = NULL;
	int status;
	int rc = gw_git_run(&out, &status, argv, NULL, GW_REPO_CHANGES_MAX, READ_TIMEOUT_MS, &why);

	if (rc == ERR_INVALID)
		return 0; /* too many */
	if (rc < 0)
		return err_set(err, why->code, "git diff-tree: %s", err_msg(why));
	if (status != 0)
		return err_set(err, ERR_INTERNAL, "git diff-tree: exit status %d", status);
	split_names(names, n, &out);
	return 0;
}

int
gw_repo_changes(
    char ***names, size_t *n, const char *path, const char *ref, const char *sha, struct err **err)
{
	char hash[CRYPTO_SHA256_HEX_LEN + 1];
	struct object base;
	int status, rc;

	*names = NULL;
	*n = 0;
	crypto_sha256_hex(hash, ref, strlen(ref)); /* any ref, and none in the way of another */
	auto_free char *last = xasprintf("refs/millrace/last/%s", hash);
	auto_free char *question = xasprintf("%s^{commit}\n", last);
	rc = batch_check(&base, 1, path, question, err);
	if (rc == 0 && strcmp(base.type, "commit") == 0 && strcmp(base.oid, sha) != 0)
		rc = list_changes(names, n, path, base.oid, sha, err);
	if (rc < 0 || strcmp(base.oid, sha) == 0)
		return rc;
	const char *argv[] = { "git", "-C", path, "update-ref", last, sha, NULL };
	auto_buf out = BUF_INIT;
	rc = gw_git_run(&out, &status, argv, NULL, CHECK_LINE_MAX, READ_TIMEOUT_MS, err);
	return rc == 0 && status != 0
	           ? err_set(err, ERR_INTERNAL, "git update-ref: exit status %d", status)
	           : rc;
}
