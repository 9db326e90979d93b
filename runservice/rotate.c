#include "runservice/rotate.h"

#include "common/mem.h"
#include "runservice/config.h"
#include "runservice/secrets.h"
#include "runservice/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEX_LEN ((ssize_t)2 * CRYPTO_KEY_LEN)

struct rotation {
	const struct rs_config *cfg;
	struct db *db;
	char *next; /* path of the key while the rotation is under way */
	struct rs_key_id old_id, new_id;
	uint8_t old_key[CRYPTO_KEY_LEN], new_key[CRYPTO_KEY_LEN];
	struct rs_key_id *known; /* of the database, oldest first */
	size_t nknown;
	size_t batch, done; /* versions wrapped anew: by the last transaction, in all */
};

/* --- files --- */

static int
sync_dir_of(const char *path, struct err **err)
{
	const char *slash = strrchr(path, '/');
	auto_free char *dir =
	    slash ? xstrndup(path, slash > path ? (size_t)(slash - path) : 1) : xstrdup(".");
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return err_set_errno(err, errno, "sync %s", dir);
	return 0;
}

/* The whole file appears at once, with the owner and mode of like (NULL: ours, 0600). */
static int
write_key(const char *path, const uint8_t key[CRYPTO_KEY_LEN], const char *like, struct err **err)
{
	struct stat st = { .st_mode = 0600, .st_uid = geteuid(), .st_gid = getegid() };
	auto_free char *tmp = xasprintf("%s.tmp", path);
	char line[HEX_LEN + 2];
	if (like && stat(like, &st) != 0)
		return err_set_errno(err, errno, "look at %s", like);
	if (unlink(tmp) != 0 && errno != ENOENT)
		return err_set_errno(err, errno, "remove %s", tmp);
	auto_close int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set_errno(err, errno, "create %s", tmp);
	crypto_hex(line, key, CRYPTO_KEY_LEN);
	line[HEX_LEN] = '\n';
	ssize_t n = write(fd, line, HEX_LEN + 1);
	explicit_bzero(line, sizeof(line));
	bool ours = st.st_uid == geteuid() && st.st_gid == getegid();
	if (n != HEX_LEN + 1 || (!ours && fchown(fd, st.st_uid, st.st_gid) != 0) ||
	    fchmod(fd, st.st_mode & 0777) != 0 || fsync(fd) != 0 || rename(tmp, path) != 0) {
		int failed = n >= 0 && n != HEX_LEN + 1 ? ENOSPC : errno;
		unlink(tmp);
		return err_set_errno(err, failed, "write %s", path);
	}
	return sync_dir_of(path, err);
}

/* Only one rotation at a time works with these files; released with the process. */
static int
lock_files(int *fd, const struct rs_config *cfg, struct err **err)
{
	auto_free char *path = xasprintf("%s/rotation.lock", cfg->data_dir);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		return err_set_errno(err, errno, "open %s", path);
	if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
		return err_set(err, ERR_CONFLICT, "another rotation is under way");
	return 0;
}

static int
read_keys(struct rotation *r, const char *new_file, struct err **err)
{
	int rc = crypto_read_key_file(r->new_key, new_file, err);
	if (rc == 0)
		rc = crypto_read_key_file(r->old_key, r->cfg->master_key_file, err);
	r->new_id = rs_key_id_of(r->new_key);
	r->old_id = rs_key_id_of(r->old_key);
	return rc;
}

/* --- where things stand --- */

static bool
same(const struct rs_key_id *a, const struct rs_key_id *b)
{
	return strcmp(a->s, b->s) == 0;
}

/* Every key that the database needs is at hand, and the current one is the old one (to begin) or
 * the new one (to go on). */
static int
check_known(const struct rotation *r, struct err **err)
{
	const struct rs_key_id *current = &r->known[r->nknown - 1];
	for (size_t i = 0; i < r->nknown; i++) {
		const struct rs_key_id *id = &r->known[i];
		if (same(id, &r->old_id) || same(id, &r->new_id))
			continue;
		return err_set(err, ERR_INVALID,
		    "secrets are sealed under key %.8s; %s holds %.8s and the new key is %.8s: "
		    "nothing was changed%s",
		    id->s, r->cfg->master_key_file, r->old_id.s, r->new_id.s,
		    r->nknown > 1 || access(r->next, F_OK) == 0
		        ? "; finish the rotation that is under way first, with its own keys"
		        : "");
	}
	if (r->nknown > 1 && same(current, &r->old_id) && !same(&r->old_id, &r->new_id))
		return err_set(err, ERR_INVALID,
		    "a rotation from key %.8s to %.8s is under way: finish it first", r->new_id.s,
		    r->old_id.s);
	return 0;
}

static int
look(struct rotation *r, struct err **err)
{
	free(steal(&r->known));
	int rc = rs_store_master_list(&r->known, &r->nknown, r->db, err);
	if (rc == 0 && r->nknown == 0)
		rc = err_set(err, ERR_INVALID,
		    "this database has no secrets yet: start the runservice with the key you want");
	return rc == 0 ? check_known(r, err) : rc;
}

/* --- the steps --- */

/* Keys of our own are made anew by the next start, for the old ones may be known to who knows the
 * old master key. */
static int
begin_tx(struct db *db, void *arg, struct err **err)
{
	const struct rotation *r = arg;
	int rc = rs_store_scopes_lock(db, true, err);
	if (rc == 0)
		rc = rs_store_master_add(db, r->new_id.s, err);
	return rc == 0 ? rs_store_own_keys_drop(db, err) : rc;
}

static int
rewrap(struct rotation *r, struct db *db, const struct rs_sealed *row, struct err **err)
{
	uint8_t key[CRYPTO_KEY_LEN], wrapped[RS_WRAPPED_LEN];
	if (row->wrapped_len != RS_WRAPPED_LEN)
		return err_set(err, ERR_INTERNAL, "version %s is damaged", row->version);
	int rc =
	    crypto_open(key, row->wrapped, row->wrapped_len, row->version, ID_LEN, r->old_key, err);
	if (rc != 0)
		return err_wrap(err, "version %s is damaged", row->version);
	crypto_seal(wrapped, key, sizeof(key), row->version, ID_LEN, r->new_key);
	explicit_bzero(key, sizeof(key));
	return rs_store_secret_rewrap(db, row, r->new_id.s, wrapped, sizeof(wrapped), err);
}

static int
batch_tx(struct db *db, void *arg, struct err **err)
{
	struct rotation *r = arg;
	struct rs_sealed *rows = NULL;
	size_t n = 0;
	int rc = rs_store_secrets_under(&rows, &n, db, r->old_id.s, RS_ROTATE_BATCH, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = rewrap(r, db, &rows[i], err);
	for (size_t i = 0; i < n; i++)
		rs_sealed_fini(&rows[i]);
	free(rows);
	r->batch = n;
	return rc;
}

static int
rewrap_all(struct rotation *r, struct err **err)
{
	int rc;
	do {
		rc = db_tx_run(r->db, batch_tx, r, err);
		if (rc == 0)
			r->done += r->batch;
	} while (rc == 0 && r->batch > 0);
	return rc;
}

static int
drop_tx(struct db *db, void *arg, struct err **err)
{
	const struct rotation *r = arg;
	return rs_store_master_drop(db, r->old_id.s, err);
}

/* A transaction that began before the new key was the current one may still seal under the old one:
 * then the database refuses to drop it, and there is more to wrap. */
static int
move_all(struct rotation *r, struct err **err)
{
	for (;;) {
		auto_err why = NULL;
		int rc = rewrap_all(r, err);
		if (rc != 0)
			return rc;
		rc = db_tx_run(r->db, drop_tx, r, &why);
		if (rc == 0)
			return 0;
		if (rc != ERR_INVALID) {
			if (err)
				*err = steal(&why);
			return rc;
		}
	}
}

/* The new key takes the place of the old one. */
static void
install(const struct rotation *r)
{
	const char *file = r->cfg->master_key_file;
	auto_free char *kept = xasprintf("%s.%.8s", file, r->old_id.s);
	auto_err why = NULL;
	int rc = write_key(kept, r->old_key, file, &why);
	if (rc == 0)
		rc = write_key(file, r->new_key, file, &why);
	if (rc != 0) {
		printf("%s could not be replaced (%s).\nPut the new key there yourself; until then "
		       "it is "
		       "used from %s, which must stay.\n",
		    file, err_msg(why), r->next);
		return;
	}
	printf("%s holds the new key now. The old one is in %s: keep it with backups made before, "
	       "away from here.\n",
	    file, kept);
	if (unlink(r->next) != 0)
		printf("Remove %s.\n", r->next);
}

static int
rotate(struct rotation *r, struct err **err)
{
	bool begun = same(&r->known[r->nknown - 1], &r->new_id);
	int rc = 0;
	if (same(&r->old_id, &r->new_id)) {
		printf("Key %.8s is in use already.\n", r->new_id.s);
		if (r->nknown == 1 && access(r->next, F_OK) == 0)
			unlink(r->next);
		return 0;
	}
	rc = write_key(r->next, r->new_key, NULL, err);
	if (rc == 0 && !begun)
		rc = db_tx_run(r->db, begin_tx, r, err);
	if (rc == 0 && (!begun || r->nknown > 1))
		rc = move_all(r, err);
	if (rc != 0)
		return err_wrap(err, "the rotation is not finished, say it again");
	printf("%zu keys of secrets are sealed under key %.8s; %.8s opens nothing any more.\n",
	    r->done, r->new_id.s, r->old_id.s);
	install(r);
	return 0;
}

int
rs_rotate(void *cfg, const char *new_file, struct err **err)
{
	struct rotation r = { .cfg = cfg };
	auto_close int lock = -1;
	int rc = lock_files(&lock, cfg, err);
	r.next = xasprintf("%s/" RS_KEYRING_NEXT, r.cfg->data_dir);
	if (rc == 0)
		rc = read_keys(&r, new_file, err);
	if (rc == 0)
		rc = rs_store_migrate(r.cfg->database, NULL, err);
	if (rc == 0) {
		r.db = rs_store_open(r.cfg->database, NULL);
		rc = look(&r, err);
	}
	if (rc == 0)
		rc = rotate(&r, err);
	db_free(r.db);
	free(r.next);
	free(r.known);
	explicit_bzero(&r, sizeof(r));
	return rc;
}
