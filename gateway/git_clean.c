#include "gateway/git_clean.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/git_child.h"
#include "gateway/git_repo.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPACK_MS 600000
#define DEPTH_MAX 64 /* directories below refs */

/* One repository being cleaned. */
struct clean {
	const struct gw_clean *c;
	const char *path;
	size_t left, gone; /* refs */
};

/* Every entry of a directory but . and ..; fn gets its path. */
static void
each_entry(const char *dir, void (*fn)(const char *path, const char *name, void *arg), void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		auto_free char *path = xasprintf("%s/%s", dir, e->d_name);

		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fn(path, e->d_name, arg);
	}
	if (d)
		closedir(d);
}

static int64_t
age_ms(const struct stat *st, int64_t now_ms)
{
	return now_ms - (int64_t)st->st_mtim.tv_sec * 1000;
}

/* --- refs --- */

struct refs {
	struct clean *clean;
	unsigned depth;
};

/* Refs are loose: nothing here packs them. */
static void
clean_ref(const char *path, const char *name, void *arg)
{
	struct refs *r = arg;
	struct clean *c = r->clean;
	struct refs below = { .clean = c, .depth = r->depth + 1 };
	struct stat st;

	(void)name;
	if (lstat(path, &st) != 0)
		return;
	if (S_ISDIR(st.st_mode)) {
		if (r->depth < DEPTH_MAX)
			each_entry(path, clean_ref, &below);
		if (r->depth > 0) /* refs/heads and refs/tags stay */
			(void)rmdir(path);
	} else if (c->c->expire_ms > 0 && age_ms(&st, c->c->now_ms) > c->c->expire_ms &&
	           unlink(path) == 0) {
		c->gone++;
	} else {
		c->left++;
	}
}

/* --- objects --- */

static void
count_pack(const char *path, const char *name, void *arg)
{
	size_t n = strlen(name);

	(void)path;
	*(size_t *)arg += n > 5 && strcmp(name + n - 5, ".pack") == 0;
}

static int
git(const char *const *argv, struct err **err)
{
	auto_buf out = BUF_INIT;
	int status = 0;
	int rc = gw_git_run(&out, &status, argv, NULL, GW_GIT_STDERR_MAX, REPACK_MS, err);

	if (rc == 0 && status != 0)
		rc = err_set(err, ERR_INTERNAL, "git %s: exit status %d", argv[3], status);
	return rc;
}

/* One pack of what refs reach, one of what they do not and that is not too old yet. */
static int
repack(const struct clean *c, struct err **err)
{
	char limit[CLOCK_RFC3339_LEN] = "never";
	auto_free char *packed = NULL, *loose = NULL;
	int rc;

	if (c->c->expire_ms > 0)
		clock_rfc3339(c->c->now_ms - c->c->expire_ms, limit);
	packed = xasprintf("--cruft-expiration=%s", limit);
	loose = xasprintf("--expire=%s", limit);
	rc = git((const char *[]){ "git", "-C", c->path, "repack", "-d", "-l", "-q", "--cruft",
	             packed, NULL },
	    err);
	if (rc == 0)
		rc = git((const char *[]){ "git", "-C", c->path, "prune", loose, NULL }, err);
	return rc;
}

static void
remove_stale(const char *path, const char *name, void *arg)
{
	(void)arg;
	/* Of a push that was killed; one under way has the repository locked. */
	if (strncmp(name, "tmp_objdir-", 11) == 0)
		gw_repo_remove(path);
}

/* --- one repository --- */

static bool
too_long_unclaimed(const struct clean *c)
{
	static const char *const times[] = { "config", "lock" }; /* made, and last used */

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		auto_free char *file = xasprintf("%s/%s", c->path, times[i]);
		struct stat st;

		if (stat(file, &st) == 0 && age_ms(&st, c->c->now_ms) <= GW_REPO_UNCLAIMED_MS)
			return false;
	}
	return !gw_repo_is_claimed(c->path);
}

/* It is locked. True when it is to go whole. */
static bool
clean_locked(struct clean *c)
{
	auto_free char *refs = xasprintf("%s/refs", c->path);
	auto_free char *packs = xasprintf("%s/objects/pack", c->path);
	auto_free char *objects = xasprintf("%s/objects", c->path);
	struct refs top = { .clean = c };
	size_t npacks = 0;
	auto_err err = NULL;

	if (too_long_unclaimed(c))
		return true;
	each_entry(refs, clean_ref, &top);
	if (c->gone && c->left == 0)
		return true;
	each_entry(objects, remove_stale, NULL);
	each_entry(packs, count_pack, &npacks);
	if ((c->gone || npacks > GW_REPO_PACKS_MAX) && repack(c, &err) < 0)
		log_err(LOG_WARN, "a repository could not be cleaned up", &err);
	return false;
}

struct walk {
	const struct gw_clean *c;
	struct gw_cleaned sum;
};

static bool
stopped(const struct walk *w)
{
	return w->c->stop && atomic_load(w->c->stop);
}

static bool
is_leftover(const char *name)
{
	size_t n = strlen(name);

	return strncmp(name, "new-", 4) == 0 || (n > 5 && strcmp(name + n - 5, ".gone") == 0);
}

static void
clean_repo(const char *path, const char *name, void *arg)
{
	struct walk *w = arg;
	struct clean c = { .c = w->c, .path = path };
	auto_close int lock = -1;
	auto_err err = NULL;
	struct stat st;

	if (stopped(w) || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return;
	if (is_leftover(name)) { /* of a gateway that was killed */
		if (age_ms(&st, w->c->now_ms) > GW_REPO_UNCLAIMED_MS)
			gw_repo_remove(path);
		return;
	}
	if (gw_repo_lock(&lock, path, true, &err) < 0)
		return;
	if (clean_locked(&c)) {
		gw_repo_remove(path);
		w->sum.repos++;
	}
	w->sum.refs += c.gone;
}

static void
clean_owner(const char *path, const char *name, void *arg)
{
	if (!id_is_valid(name))
		return;
	each_entry(path, clean_repo, arg);
	(void)rmdir(path);
}

struct gw_cleaned
gw_repo_clean(const char *dir, const struct gw_clean *c)
{
	struct walk w = { .c = c };

	each_entry(dir, clean_owner, &w);
	return w.sum;
}
