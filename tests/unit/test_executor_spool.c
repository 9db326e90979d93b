/* What a task keeps on disk: crashes, damage and a full disk lose nothing that was durable. */
#include "common/mem.h"
#include "executor/spool.h"
#include "executor/spool_state.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *dir;

static int
setup(void **state)
{
	(void)state;
	dir = xstrdup("/tmp/test_spool.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	ex_spool_file_remove(dir);
	free(dir);
	return 0;
}

static int
open_file(void)
{
	auto_free char *path = ex_spool_file_log_path(dir, 0);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void
append(int fd, struct ex_spool_pos *pos, uint64_t raw_end, const char *text)
{
	assert_int_equal(ex_spool_file_append(fd, pos, raw_end, text, strlen(text), NULL), 0);
}

static void
assert_recovers(int fd, uint64_t raw, uint64_t masked, uint64_t file)
{
	struct ex_spool_pos pos;
	struct stat st;

	assert_int_equal(ex_spool_file_recover(fd, &pos, NULL), 0);
	assert_int_equal(pos.raw, raw);
	assert_int_equal(pos.masked, masked);
	assert_int_equal(pos.file, file);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, file);
}

static void
assert_content(int fd, uint64_t from, const char *want)
{
	struct ex_spool_pos at = { 0, 0, 0 };
	auto_buf out = BUF_INIT;

	assert_int_equal(ex_spool_file_read(fd, &at, from, 1 << 20, &out, NULL), 0);
	assert_string_equal(buf_str(&out), want);
}

static void
test_append_and_read(void **state)
{
	auto_close int fd = open_file();
	struct ex_spool_pos pos = { 0, 0, 0 }, at = { 0, 0, 0 };
	auto_buf out = BUF_INIT;

	(void)state;
	append(fd, &pos, 10, "hello ");
	append(fd, &pos, 15, ""); /* masked away for now */
	append(fd, &pos, 20, "***");
	assert_int_equal(pos.raw, 20);
	assert_int_equal(pos.masked, 9);
	assert_int_equal(pos.file, 3 * SPOOL_RECORD_HEADER + 9);
	assert_content(fd, 0, "hello ***");
	assert_content(fd, 4, "o ***");
	assert_content(fd, 9, "");
	assert_content(fd, 1000, "");
	/* In small pieces, forward with the same cursor and back again. */
	for (uint64_t i = 0; i < 9; i += 2)
		assert_int_equal(ex_spool_file_read(fd, &at, i, 2, &out, NULL), 0);
	assert_string_equal(buf_str(&out), "hello ***");
	assert_int_equal(ex_spool_file_read(fd, &at, 1, 3, &out, NULL), 0);
	assert_string_equal(buf_str(&out), "hello ***ell");
	assert_recovers(fd, 20, 9, pos.file);
}

/* Cut at every single byte: what is left is what was whole. */
static void
test_torn_tail(void **state)
{
	auto_close int fd = open_file();
	struct ex_spool_pos pos = { 0, 0, 0 }, one;
	auto_buf image = BUF_INIT;

	(void)state;
	append(fd, &pos, 5, "first");
	one = pos;
	append(fd, &pos, 11, "second");
	char *p = buf_reserve(&image, pos.file);
	assert_int_equal(pread(fd, p, pos.file, 0), pos.file);
	for (uint64_t cut = 0; cut <= pos.file; cut++) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, p, cut, 0), cut);
		if (cut < one.file)
			assert_recovers(fd, 0, 0, 0);
		else if (cut < pos.file)
			assert_recovers(fd, 5, 5, one.file);
		else
			assert_recovers(fd, 11, 11, pos.file);
	}
	/* And on from there. */
	assert_int_equal(ftruncate(fd, (off_t)pos.file - 1), 0);
	assert_int_equal(ex_spool_file_recover(fd, &pos, NULL), 0);
	append(fd, &pos, 9, "new");
	assert_content(fd, 0, "firstnew");
}

/* Any one bit: the records before it stay, it and what follows are gone. */
static void
test_bit_flips(void **state)
{
	auto_close int fd = open_file();
	struct ex_spool_pos pos = { 0, 0, 0 }, ends[4] = { { 0, 0, 0 } };
	auto_buf image = BUF_INIT;

	(void)state;
	append(fd, &pos, 5, "first");
	ends[1] = pos;
	append(fd, &pos, 11, "second");
	ends[2] = pos;
	append(fd, &pos, 16, "third");
	ends[3] = pos;
	char *p = buf_reserve(&image, pos.file);
	assert_int_equal(pread(fd, p, pos.file, 0), pos.file);
	for (uint64_t bit = 0; bit < pos.file * 8; bit++) {
		char spoilt = (char)(p[bit / 8] ^ (1 << bit % 8));
		unsigned whole = 0;
		while (ends[whole + 1].file <= bit / 8)
			whole++;
		assert_int_equal(pwrite(fd, p, pos.file, 0), pos.file);
		assert_int_equal(pwrite(fd, &spoilt, 1, (off_t)(bit / 8)), 1);
		assert_recovers(fd, ends[whole].raw, ends[whole].masked, ends[whole].file);
	}
}

static void
test_foreign_files(void **state)
{
	auto_close int fd = open_file();
	char rubbish[5000];
	auto_err err = NULL;
	struct ex_spool_pos at = { 0, 0, 0 };
	auto_buf out = BUF_INIT;

	(void)state;
	assert_recovers(fd, 0, 0, 0);
	for (size_t i = 0; i < sizeof(rubbish); i++)
		rubbish[i] = (char)(i * 2654435761u >> 13);
	assert_int_equal(pwrite(fd, rubbish, sizeof(rubbish), 0), sizeof(rubbish));
	assert_int_equal(ex_spool_file_read(fd, &at, 0, 10, &out, &err), ERR_INTERNAL);
	assert_non_null(strstr(err_msg(err), "damaged at byte 0"));
	assert_int_equal(out.len, 0);
	assert_recovers(fd, 0, 0, 0);
	/* A length that reaches beyond the file. */
	struct ex_spool_pos pos = { 0, 0, 0 };
	append(fd, &pos, 5, "first");
	assert_int_equal(ftruncate(fd, SPOOL_RECORD_HEADER + 2), 0);
	at = (struct ex_spool_pos){ 0, 0, 0 };
	assert_int_equal(ex_spool_file_read(fd, &at, 0, 10, &out, NULL), ERR_INTERNAL);
	/* A record of another place is none of ours: the start of a log is missing. */
	assert_int_equal(ftruncate(fd, 0), 0);
	pos = (struct ex_spool_pos){ .raw = 7, .masked = 7, .file = 0 };
	append(fd, &pos, 12, "later");
	assert_recovers(fd, 0, 0, 0);
}

/* More than a record holds: half of it on disk claims nothing. */
static void
test_large_append(void **state)
{
	auto_close int fd = open_file();
	size_t n = SPOOL_RECORD_MAX * 2 + 5;
	auto_free char *text = xmalloc(n);
	struct ex_spool_pos pos = { 0, 0, 0 }, before;
	auto_buf out = BUF_INIT;
	struct ex_spool_pos at = { 0, 0, 0 };

	(void)state;
	for (size_t i = 0; i < n; i++)
		text[i] = (char)(i * 7 + i / 1000);
	append(fd, &pos, 3, "abc");
	before = pos;
	assert_int_equal(ex_spool_file_append(fd, &pos, 100, text, n, NULL), 0);
	assert_int_equal(pos.masked, n + 3);
	assert_int_equal(ex_spool_file_read(fd, &at, 3, n + 100, &out, NULL), 0);
	assert_int_equal(out.len, n);
	assert_memory_equal(out.data, text, n);
	assert_recovers(fd, 100, n + 3, pos.file);
	assert_int_equal(ftruncate(fd, (off_t)pos.file - 1), 0);
	assert_recovers(fd, 3, 3, before.file);
}

static void
test_full_device(void **state)
{
	auto_close int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	struct ex_spool_pos pos = { 3, 2, 50 };
	auto_err err = NULL;

	(void)state;
	assert_true(fd >= 0);
	assert_true(ex_spool_file_append(fd, &pos, 10, "text", 4, &err) < 0);
	assert_non_null(strstr(err_msg(err), strerror(ENOSPC)));
	assert_int_equal(pos.raw, 3);
	assert_int_equal(pos.masked, 2);
	assert_int_equal(pos.file, 50);
}

static void
limit_files(rlim_t bytes)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static char *
state_now(void)
{
	char *text = NULL;
	size_t n = 0;

	assert_int_equal(ex_spool_state_read(&text, &n, dir, NULL), 0);
	assert_int_equal(n, strlen(text));
	return text;
}

static void
state_is(const char *wanted)
{
	auto_free char *text = state_now();

	assert_string_equal(text, wanted);
}

static void
test_state_file(void **state)
{
	auto_free char *big = xcalloc(1, 100000);
	struct ex_spool_state f = EX_SPOOL_STATE_INIT;
	char *text = NULL;
	size_t n = 0;

	(void)state;
	memset(big, 'x', 99999);
	assert_int_equal(ex_spool_state_read(&text, &n, dir, NULL), ERR_NOTFOUND);
	assert_int_equal(ex_spool_state_write(&f, dir, "one", 3, NULL), 0);
	assert_int_equal(ex_spool_state_write(&f, dir, "other", 5, NULL), 0);
	state_is("other");
	/* When the new one cannot be written the old one stays whole, and the next can be. */
	limit_files(5000);
	assert_true(ex_spool_state_write(&f, dir, big, 99999, NULL) < 0);
	limit_files(RLIM_INFINITY);
	state_is("other");
	assert_int_equal(ex_spool_state_write(&f, dir, big, 99999, NULL), 0);
	state_is(big);
	/* A further life goes on with a file of its own. */
	ex_spool_state_close(&f);
	assert_int_equal(ex_spool_state_write(&f, dir, "second life", 11, NULL), 0);
	state_is("second life");
	ex_spool_state_close(&f);
}

/* A write that a crash cuts short, anywhere, leaves the state before it or the new one. */
static void
test_state_torn(void **state)
{
	struct ex_spool_state f = EX_SPOOL_STATE_INIT;
	auto_free char *path = xasprintf("%s/state", dir);
	char before[9000], after[9000];
	struct stat st;
	ssize_t size;

	(void)state;
	assert_int_equal(ex_spool_state_write(&f, dir, "first state", 11, NULL), 0);
	assert_int_equal(ex_spool_state_write(&f, dir, "second state", 12, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	size = (ssize_t)st.st_size;
	assert_true(size > 0 && size <= (ssize_t)sizeof(before));
	assert_int_equal(pread(f.fd, before, sizeof(before), 0), size);
	assert_int_equal(ex_spool_state_write(&f, dir, "third", 5, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, size); /* only overwritten */
	assert_int_equal(pread(f.fd, after, sizeof(after), 0), size);
	for (ssize_t cut = 0; cut < size; cut++) {
		auto_free char *text = NULL;

		if (before[cut] == after[cut])
			continue;
		assert_int_equal(pwrite(f.fd, after, (size_t)cut, 0), cut);
		assert_int_equal(pwrite(f.fd, before + cut, (size_t)(size - cut), cut), size - cut);
		text = state_now();
		assert_string_equal(text, "second state");
	}
	assert_int_equal(pwrite(f.fd, after, (size_t)size, 0), size);
	state_is("third");
	ex_spool_state_close(&f);
}

static void
test_state_foreign(void **state)
{
	auto_free char *path = xasprintf("%s/state", dir);
	static const char *const useless[] = { "", "x", "MpS1",
		"MpS1 and then a text that is no state at all, longer than two headers would be" };
	char *text = NULL;
	size_t n = 0;
	FILE *file;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(useless); i++) {
		file = fopen(path, "w");
		assert_non_null(file);
		fputs(useless[i], file);
		fclose(file);
		assert_int_equal(ex_spool_state_read(&text, &n, dir, NULL), ERR_INVALID);
		assert_null(text);
	}
	/* What earlier versions wrote. */
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("{\"version\":1}", file);
	fclose(file);
	state_is("{\"version\":1}");
}

/* --- the spool on the loop --- */

struct fixture {
	struct loop *loop;
	struct work_pool *pool;
	struct ex_spool *spool;
	unsigned durable;
};

static void
on_durable(void *arg)
{
	((struct fixture *)arg)->durable++;
}

static void
start(struct fixture *f, unsigned steps)
{
	static const struct work_options opt = { .name = "spool", .threads = 1, .queue_max = 10 };

	*f = (struct fixture){ .loop = loop_new() };
	f->pool = work_new(f->loop, &opt);
	assert_int_equal(
	    ex_spool_open(&f->spool, f->loop, f->pool, dir, steps, on_durable, f, NULL), 0);
}

static void
stop(struct fixture *f, bool removed)
{
	ex_spool_free(f->spool, removed);
	while (work_pending(f->pool) > 0)
		loop_run_once(f->loop, 100);
	work_stop(f->pool);
	work_free(f->pool);
	loop_free(f->loop);
}

static void
wait_raw(struct fixture *f, int step, uint64_t raw)
{
	while (ex_spool_durable(f->spool, step).raw != raw)
		loop_run_once(f->loop, 2000);
}

static void
test_spool_restart(void **state)
{
	struct fixture f;
	char *text = NULL;
	size_t n;

	(void)state;
	start(&f, 2);
	assert_true(ex_spool_settled(f.spool, -1));
	ex_spool_append(f.spool, -1, 5, "setup", 5);
	assert_false(ex_spool_settled(f.spool, -1));
	assert_true(ex_spool_settled(f.spool, 0));
	for (int i = 0; i < 1000; i++)
		ex_spool_append(f.spool, 1, (uint64_t)i + 1, "x", 1);
	ex_spool_put_state(f.spool, "old");
	uint64_t no = ex_spool_put_state(f.spool, "new");
	assert_true(ex_spool_pending(f.spool) > 0);
	wait_raw(&f, 1, 1000);
	wait_raw(&f, -1, 5);
	assert_true(ex_spool_settled(f.spool, 1) && ex_spool_settled(f.spool, -1));
	while (ex_spool_state_durable(f.spool) != no)
		loop_run_once(f.loop, 2000);
	assert_int_equal(ex_spool_pending(f.spool), 0);
	assert_true(f.durable >= 1 && f.durable < 1000); /* they are batched */
	stop(&f, false);
	assert_int_equal(ex_spool_state_read(&text, &n, dir, NULL), 0);
	assert_string_equal(text, "new");
	free(text);

	/* A crash has torn the last record: the position goes back, new bytes follow there. */
	auto_free char *path = ex_spool_file_log_path(dir, 1);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	start(&f, 2);
	uint64_t raw = ex_spool_durable(f.spool, 1).raw;
	assert_true(raw < 1000);
	assert_int_equal(ex_spool_durable(f.spool, 1).masked, raw);
	assert_int_equal(ex_spool_durable(f.spool, -1).raw, 5);
	assert_true(ex_spool_settled(f.spool, 1)); /* what was torn is not waited for */
	assert_int_equal(ex_spool_durable(f.spool, 0).raw, 0);
	ex_spool_append(f.spool, 1, raw + 3, "end", 3);
	wait_raw(&f, 1, raw + 3);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_content(fd, raw, "end");
	stop(&f, true);
	assert_int_equal(access(dir, F_OK), -1);
}

/* Nothing counts as durable while the disk is full; all comes in order once it is not. */
static void
test_spool_full_disk(void **state)
{
	struct fixture f;
	auto_free char *block = xmalloc(6000);
	auto_free char *path = ex_spool_file_log_path(dir, 0);

	(void)state;
	memset(block, 'b', 6000);
	start(&f, 1);
	ex_spool_append(f.spool, 0, 2, "a\n", 2);
	wait_raw(&f, 0, 2);
	limit_files(4096);
	ex_spool_append(f.spool, 0, 6002, block, 6000);
	uint64_t no = ex_spool_put_state(f.spool, "state");
	while (ex_spool_pending(f.spool) != 6000) /* taken back */
		loop_run_once(f.loop, 2000);
	assert_int_equal(ex_spool_durable(f.spool, 0).raw, 2);
	assert_int_not_equal(ex_spool_state_durable(f.spool), no);
	ex_spool_append(f.spool, 0, 6003, "z", 1);
	limit_files(RLIM_INFINITY);
	wait_raw(&f, 0, 6003);
	while (ex_spool_state_durable(f.spool) != no)
		loop_run_once(f.loop, 2000);
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
	auto_buf out = BUF_INIT;
	struct ex_spool_pos at = { 0, 0, 0 };
	assert_int_equal(ex_spool_file_read(fd, &at, 0, 10000, &out, NULL), 0);
	assert_int_equal(out.len, 6003);
	assert_memory_equal(out.data, "a\nbbb", 5);
	assert_int_equal(out.data[6002], 'z');
	stop(&f, true);
}

/* Freed while a write is under way: the write ends first, no callback follows. */
static void
test_spool_free_while_writing(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 0);
	ex_spool_append(f.spool, -1, 4, "text", 4);
	stop(&f, true);
	assert_int_equal(f.durable, 0);
	assert_int_equal(access(dir, F_OK), -1);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_append_and_read),
		CASE(test_torn_tail),
		CASE(test_bit_flips),
		CASE(test_foreign_files),
		CASE(test_large_append),
		CASE(test_full_device),
		CASE(test_state_file),
		CASE(test_state_torn),
		CASE(test_state_foreign),
		CASE(test_spool_restart),
		CASE(test_spool_full_disk),
		CASE(test_spool_free_while_writing),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
