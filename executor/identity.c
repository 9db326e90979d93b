#include "executor/identity.h"

#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int
make_dir(const char *dir, struct err **err)
{
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_set_errno(err, errno, "create spool_dir %s", dir);
	return 0;
}

/* ERR_CONFLICT: somebody else holds it. */
static int
lock_dir(int *lock_fd, const char *dir, struct err **err)
{
	auto_free char *path = xasprintf("%s/lock", dir);
	int fd, rc = make_dir(dir, err);

	if (rc != 0)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set_errno(err, errno, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		return err_set(err, ERR_CONFLICT,
		    "spool_dir %s is in use by another executor; give each its own, or set "
		    "replicas",
		    dir);
	}
	*lock_fd = fd;
	return 0;
}

static void
replace(char **field, char *with)
{
	free(*field);
	*field = with;
}

static void
become(struct ex_config *cfg, char *id, char *dir)
{
	replace(&cfg->key_file, xasprintf("%s/%s.key", cfg->key_file, id));
	replace(&cfg->id, id);
	replace(&cfg->spool_dir, dir);
}

int
ex_identity_claim(int *lock_fd, struct ex_config *cfg, struct err **err)
{
	int rc;

	if (cfg->replicas == 0)
		return lock_dir(lock_fd, cfg->spool_dir, err);
	rc = make_dir(cfg->spool_dir, err);
	if (rc != 0)
		return rc;
	for (int64_t n = 1; n <= cfg->replicas; n++) {
		auto_free char *id = xasprintf("%s-%lld", cfg->id, (long long)n);
		auto_free char *dir = xasprintf("%s/%s", cfg->spool_dir, id);
		auto_err e = NULL;

		rc = lock_dir(lock_fd, dir, &e);
		if (rc == 0) {
			become(cfg, steal(&id), steal(&dir));
			return 0;
		}
		if (rc != ERR_CONFLICT) {
			*err = steal(&e);
			return rc;
		}
	}
	return err_set(err, ERR_CONFLICT,
	    "all %lld replicas of %s run already; set replicas higher and give the runservice a "
	    "key "
	    "for each",
	    (long long)cfg->replicas, cfg->id);
}
