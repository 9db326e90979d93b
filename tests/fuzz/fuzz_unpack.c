/*
 * restore_workspace: any archive into an empty directory. What is beside that directory stays as it
 * was; a link, a ".." or a name of any kind leads nowhere else.
 * covers: toolbox/unpack.c toolbox/zstream.c
 */
#include "fuzz.h"

#include "toolbox/unpack.h"
#include "toolbox/zstream.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 200
#define SIZE_MAX_UNPACKED (1u << 20)

static char base[PATH_MAX];
static int home = -1; /* the directory we were started in */

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	return ftw->level > 0 ? remove(path) : 0;
}

static void
empty(const char *dir)
{
	FUZZ_MUST(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static void
remove_base(void)
{
	empty(base);
	rmdir(base);
}

/* base/witness and base/in: the archive goes into the latter. */
static void
prepare(void)
{
	char path[PATH_MAX + 16];
	int fd;

	if (home < 0) {
		const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

		snprintf(base, sizeof(base), "%s/millrace-fuzz.XXXXXX", where);
		FUZZ_MUST(mkdtemp(base) != NULL);
		home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		FUZZ_MUST(home >= 0);
		atexit(remove_base);
	}
	empty(base);
	snprintf(path, sizeof(path), "%s/witness", base);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FUZZ_MUST(fd >= 0 && write(fd, "as it was", 9) == 9);
	close(fd);
	snprintf(path, sizeof(path), "%s/in", base);
	FUZZ_MUST(mkdir(path, 0700) == 0 && chdir(path) == 0);
}

static void
check(void)
{
	char path[PATH_MAX + 16], text[16];
	struct stat st;
	int fd, beside = 0;
	ssize_t k;

	snprintf(path, sizeof(path), "%s/witness", base);
	FUZZ_MUST(lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1);
	FUZZ_MUST((st.st_mode & 07777) == 0600);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	k = read(fd, text, sizeof(text));
	close(fd);
	FUZZ_MUST(k == 9 && memcmp(text, "as it was", 9) == 0);
	FUZZ_MUST(stat(base, &st) == 0);
	beside = (int)st.st_nlink;
	/* ".", its entry above, and "in": no further directory was made. */
	FUZZ_MUST(beside <= 3);
	FUZZ_MUST(fchdir(home) == 0);
}

static int
compressed(const uint8_t *p, size_t n, bool raw)
{
	struct tb_err e;
	int fd = memfd_create("archive", MFD_CLOEXEC);
	struct tb_zwriter *z;

	FUZZ_MUST(fd >= 0);
	if (raw) {
		FUZZ_MUST(write(fd, p, n) == (ssize_t)n);
	} else {
		z = tb_zwriter_new(fd, &e);
		FUZZ_MUST(z != NULL && tb_zwriter_put(z, p, n, &e) == 0);
		FUZZ_MUST(tb_zwriter_finish(z, &e) == 0);
		tb_zwriter_free(z);
	}
	FUZZ_MUST(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static char none[] = "", sub[] = "a/b";
	char *const dests[] = { none, sub };
	struct msg_start m = {
		.kind = MSG_RESTORE, .size_max = SIZE_MAX_UNPACKED, .entries_max = ENTRIES_MAX
	};
	struct tb_err e;
	int in, log;

	if (n == 0)
		return 0;
	m.dest_dir = dests[p[0] % 2];
	prepare();
	in = compressed(p + 1, n - 1, p[0] >= 128);
	log = open("/dev/null", O_WRONLY | O_CLOEXEC);
	(void)tb_unpack(&m, "/nonexistent", in, log, &e);
	close(in);
	close(log);
	check();
	return 0;
}
