/* Saving and restoring through the real frames, and hostile archives one by one. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

#include "tests/lib/toolbox_peer.h"
#include "toolbox/tar.h"
#include "toolbox/util.h"

#define CREDIT (1ull << 40)

/* --- helpers --- */

static void
sh(struct peer *p, const char *script)
{
	static int32_t step;
	char *line = tb_format("cd '%s' && { %s; }", p->work, script);

	(void)step;
	if (system(line) != 0)
		fail_msg("%s", line);
	free(line);
}

/* The tree below dir as text: kind, mode, name, content or target. */
static char *
tree(struct peer *p, const char *dir)
{
	char *cmd =
	    tb_format("cd '%s/%s' && find . -mindepth 1 -printf '%%y %%m %%P %%l\\n' | sort && "
	              "find . -type f -print0 | sort -z | xargs -0 -r cat",
	        p->work, dir);
	FILE *f = popen(cmd, "r");
	char *out = calloc(1, 8 << 20);

	assert_non_null(f);
	out[fread(out, 1, (8 << 20) - 1, f)] = '\0';
	pclose(f);
	free(cmd);
	return out;
}

struct save {
	const char *source, *dest, *path, *path2;
	const char *source2, *dest2; /* second content with the same paths */
	uint64_t size_max, entries_max;
};

static void
send_save(struct peer *p, int32_t step, uint32_t attempt, struct save s)
{
	char *paths[2] = { strdup(s.path), s.path2 != NULL ? strdup(s.path2) : NULL };
	struct msg_content c[2] = {
		{ strdup(s.source), strdup(s.dest), paths, s.path2 != NULL ? 2 : 1 },
	};
	char *none = strdup("");
	struct msg_start m = { .step = step,
		.attempt = attempt,
		.kind = MSG_SAVE,
		.working_dir = none,
		.user = none,
		.contents = c,
		.ncontents = s.source2 != NULL ? 2 : 1,
		.size_max = s.size_max,
		.entries_max = s.entries_max };

	if (s.source2 != NULL)
		c[1] = (struct msg_content){ strdup(s.source2), strdup(s.dest2), paths, 1 };
	peer_drop_log(p);
	p->results = 0;
	p->archive_len = 0;
	peer_send_start(p, &m);
	free(none);
	free(paths[0]);
	free(paths[1]);
	for (uint32_t i = 0; i < m.ncontents; i++) {
		free(c[i].source_dir);
		free(c[i].dest_dir);
	}
}

static void
save(struct peer *p, int32_t step, struct save s)
{
	send_save(p, step, 1, s);
	peer_credit(p, step, 1, CREDIT);
	peer_until_result(p);
	assert_true(p->result.archive_end == p->archive_len);
}

static void
send_restore(
    struct peer *p, int32_t step, const char *dest, uint64_t size_max, uint64_t entries_max)
{
	char *none = strdup(""), *d = strdup(dest);
	struct msg_start m = { .step = step,
		.attempt = 1,
		.kind = MSG_RESTORE,
		.working_dir = none,
		.user = none,
		.dest_dir = d,
		.size_max = size_max,
		.entries_max = entries_max };

	peer_drop_log(p);
	p->results = 0;
	p->wanted = 0;
	peer_send_start(p, &m);
	free(none);
	free(d);
}

static void
restore(struct peer *p, int32_t step, const char *dest, const uint8_t *b, size_t n)
{
	send_restore(p, step, dest, 0, 0);
	peer_data(p, step, 1, b, n);
	peer_data_end(p, step, n);
	peer_until_result(p);
}

static void
up(struct peer *p)
{
	peer_start(p);
	peer_hello(p, -2, 0);
}

/* --- saving: the lines of the table --- */

static void
expect_saved(struct peer *p, int32_t step, struct save s, const char *names)
{
	save(p, step, s);
	assert_int_equal(p->result.exit_status, 0);
	assert_string_equal(p->log != NULL && p->log_len > 0 ? p->log : "", names);
}

static void
test_save_patterns_and_order(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	sh(&p, "mkdir -p s/a/b s/z; echo 1 >s/a/b/f.txt; echo 2 >s/t.txt; echo 3 >s/.dot; "
	       "ln -s t.txt s/l; echo 4 >s/a.x");
	expect_saved(&p, 0, (struct save){ .source = "s", .dest = "", .path = "*" },
	    ".dot\na\na.x\nl\nt.txt\nz\n");
	expect_saved(&p, 1, (struct save){ .source = "s", .dest = "", .path = "**" },
	    ".dot\na\na/b\na/b/f.txt\na.x\nl\nt.txt\nz\n");
	expect_saved(
	    &p, 2, (struct save){ .source = "s", .dest = "", .path = "a/**" }, "a/b\na/b/f.txt\n");
	expect_saved(&p, 3, (struct save){ .source = "s", .dest = "", .path = "a" }, "a\n");
	expect_saved(&p, 4,
	    (struct save){ .source = "s", .dest = "/out//x/../y/", .path = "**/*.txt" },
	    "out/y/a/b/f.txt\nout/y/t.txt\n");
	expect_saved(&p, 5, (struct save){ .source = "s", .dest = "", .path = "nothing" }, "");
	expect_saved(
	    &p, 6, (struct save){ .source = "s", .dest = "", .path = "l", .path2 = "z" }, "l\nz\n");
	peer_stop(&p);
}

static void
test_save_symlinked_source(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	sh(&p, "mkdir s; echo 1 >s/f; ln -s s l");
	expect_saved(&p, 0, (struct save){ .source = "l", .dest = "", .path = "**" }, "");
	expect_saved(&p, 1, (struct save){ .source = "l/", .dest = "", .path = "**" }, "f\n");
	peer_stop(&p);
}

static void
test_save_failures(void **state)
{
	(void)state;
	struct peer p;
	static const struct {
		struct save s;
		const char *error;
	} cases[] = {
		{ { .source = "missing", .dest = "", .path = "**" },
		    "source_dir missing: No such file" },
		{ { .source = "s/f", .dest = "", .path = "**" },
		    "source_dir s/f is not a directory" },
		{ { .source = "", .dest = "", .path = "**" }, "no source_dir" },
		{ { .source = "~joe", .dest = "", .path = "**" }, "only ~ and ~/path" },
		{ { .source = "s", .dest = "", .path = "[a" }, "syntax error in pattern" },
		{ { .source = "s", .dest = "../up", .path = "**" }, "leaves the archive" },
		{ { .source = "s", .dest = "", .path = "**", .source2 = "t", .dest2 = "" },
		    "f is in the archive already" },
		{ { .source = "s", .dest = "", .path = "**", .size_max = 1 }, "more than 1 bytes" },
		{ { .source = "s", .dest = "", .path = "**", .entries_max = 1 },
		    "more than 1 entries" },
	};

	up(&p);
	sh(&p, "mkdir s t; echo 1 >s/f; echo 2 >s/g; echo 3 >t/f");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		save(&p, (int32_t)i, cases[i].s);
		assert_int_equal(p.result.exit_status, 1);
		if (strstr(p.error, cases[i].error) == NULL)
			fail_msg("case %zu: %s", i, p.error);
		assert_non_null(strstr(p.log, cases[i].error));
	}
	/* The same trees under two names are fine. */
	save(&p, 50,
	    (struct save){
	        .source = "s", .dest = "x", .path = "**", .source2 = "t", .dest2 = "y" });
	assert_int_equal(p.result.exit_status, 0);
	assert_string_equal(p.log, "x/f\nx/g\ny/f\n");
	peer_stop(&p);
}

static void
test_save_unreadable_fails_as_user(void **state)
{
	(void)state;
	struct peer p;

	if (geteuid() != 0)
		skip();
	up(&p);
	sh(&p, "mkdir s; echo 1 >s/secret; chmod 600 s/secret");
	char *src = strdup("s"), *none = strdup(""), *all = strdup("**"), *user = strdup("ann");
	struct msg_content c = { src, none, &all, 1 };
	struct msg_start m = { .step = 0,
		.attempt = 1,
		.kind = MSG_SAVE,
		.working_dir = none,
		.user = user,
		.contents = &c,
		.ncontents = 1 };
	peer_send_start(&p, &m);
	peer_credit(&p, 0, 1, CREDIT);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 1);
	assert_string_equal(p.error, "cannot read s/secret: Permission denied");
	free(src);
	free(none);
	free(all);
	free(user);
	peer_stop(&p);
}

static void
test_save_skips_sockets(void **state)
{
	(void)state;
	struct peer p;
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	up(&p);
	sh(&p, "mkdir s; mkfifo s/fifo; echo 1 >s/f");
	snprintf(a.sun_path, sizeof(a.sun_path), "%.80s/s/sock", p.work);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	expect_saved(&p, 0, (struct save){ .source = "s", .dest = "", .path = "**" }, "f\nfifo\n");
	close(fd);
	peer_stop(&p);
}

/* --- there and back --- */

static void
test_round_trip(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	sh(&p,
	    "mkdir -p s/a/b/c s/empty; for i in $(seq 300); do head -c $((i*37)) /dev/urandom | "
	    "base64 >s/a/f$i; done; ln -s /etc/passwd s/abs; ln -s ../x s/rel; chmod 4755 s/a/f1; "
	    "chmod 400 s/a/f2; chmod 555 s/a/b; : >s/none; "
	    "n=$(printf '%0200d' 7); echo long >s/a/$n; mkdir -p s/$n/$n; echo deep >s/$n/$n/$n; "
	    "ln -s $n$n$n s/longlink; echo nl >\"s/new\nline\"");
	save(&p, 0, (struct save){ .source = "s", .dest = "", .path = "**" });
	assert_int_equal(p.result.exit_status, 0);
	assert_non_null(strstr(p.log, "new\\x0aline\n"));
	restore(&p, 1, "r/deep", p.archive, p.archive_len);
	assert_string_equal(p.error, "");
	assert_int_equal(p.result.exit_status, 0);
	sh(&p, "chmod 755 s/a/f1"); /* what must differ: no set-id bit comes back */
	char *a = tree(&p, "s"), *b = tree(&p, "r/deep");
	assert_string_equal(a, b);
	free(a);
	free(b);
	/* Everything is there already: the second time fails and changes nothing. */
	restore(&p, 2, "r/deep", p.archive, p.archive_len);
	assert_int_equal(p.result.exit_status, 1);
	assert_int_equal(strncmp(p.error, "file already exists: ", 21), 0);
	peer_stop(&p);
}

static void
test_restore_merges_directories(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	sh(&p, "mkdir -p s/bin r/bin; echo 1 >s/bin/new; echo 2 >r/bin/old; chmod 700 r/bin");
	save(&p, 0, (struct save){ .source = "s", .dest = "", .path = "**" });
	restore(&p, 1, "r", p.archive, p.archive_len);
	assert_int_equal(p.result.exit_status, 0);
	char *t = tree(&p, "r");
	assert_string_equal(t, "d 700 bin \nf 644 bin/new \nf 644 bin/old \n1\n2\n");
	free(t);
	peer_stop(&p);
}

static void
test_restore_destination_must_be_real(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	sh(&p, "mkdir s d; echo 1 >s/f; ln -s d l; echo x >file");
	save(&p, 0, (struct save){ .source = "s", .dest = "", .path = "**" });
	restore(&p, 1, "l", p.archive, p.archive_len);
	assert_string_equal(p.error, "the destination ./l exists and is not a real directory");
	restore(&p, 2, "l/", p.archive, p.archive_len);
	assert_int_equal(p.result.exit_status, 1);
	restore(&p, 3, "file", p.archive, p.archive_len);
	assert_int_equal(p.result.exit_status, 1);
	restore(&p, 4, "", p.archive, p.archive_len); /* the working directory */
	assert_int_equal(p.result.exit_status, 0);
	sh(&p, "test -f f && test ! -e d/f");
	peer_stop(&p);
}

/* A file mode that its owner could not write to still gets its content. */
static void
test_archive_waits_for_credit(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	sh(&p, "mkdir s; head -c 3000000 /dev/urandom >s/f");
	send_save(&p, 0, 1, (struct save){ .source = "s", .dest = "", .path = "**" });
	assert_false(peer_pump(&p, 150));
	assert_int_equal(p.archive_len, 0);
	peer_credit(&p, 0, 1, 100000);
	while (p.archive_len < 100000)
		assert_true(peer_pump(&p, 5000));
	assert_false(peer_pump(&p, 100));
	assert_int_equal(p.archive_len, 100000);
	/* Another executor takes over: the attempt is dead, the next one starts at 0. */
	peer_hello(&p, 0, 0);
	assert_true(p.welcome.running);
	send_save(&p, 0, 2, (struct save){ .source = "s", .dest = "", .path = "**" });
	peer_credit(&p, 0, 2, CREDIT);
	while (p.results == 0)
		assert_true(peer_pump(&p, 5000));
	assert_int_equal(p.result.attempt, 2);
	assert_int_equal(p.result.exit_status, 0);
	assert_true(p.archive_len > 3000000);
	restore(&p, 1, "r", p.archive, p.archive_len);
	assert_int_equal(p.result.exit_status, 0);
	sh(&p, "cmp s/f r/f");
	peer_stop(&p);
}

static void
test_restore_goes_on_after_attach(void **state)
{
	(void)state;
	struct peer p;

	up(&p);
	sh(&p, "mkdir s; head -c 2500000 /dev/urandom >s/f");
	save(&p, 0, (struct save){ .source = "s", .dest = "", .path = "**" });
	uint8_t *a = malloc(p.archive_len);
	size_t n = p.archive_len;
	memcpy(a, p.archive, n);
	send_restore(&p, 1, "r", 0, 0);
	peer_data(&p, 1, 1, a, 700000);
	peer_hello(&p, 1, 0);
	while (!p.welcome.running || p.welcome.data_offset < 700000)
		peer_hello(&p, 1, 0); /* until all of it has been taken in */
	assert_int_equal(p.welcome.data_offset, 700000);
	peer_data(&p, 1, 1, a, n); /* from 0 again: what is there is passed over */
	peer_data_end(&p, 1, n);
	peer_until_result(&p);
	assert_string_equal(p.error, "");
	sh(&p, "cmp s/f r/f");
	free(a);
	peer_stop(&p);
}

/* --- hostile archives --- */

struct arch {
	uint8_t *b;
	size_t n;
};

static void
add(struct arch *a, const void *p, size_t n)
{
	a->b = realloc(a->b, a->n + n);
	memcpy(a->b + a->n, p, n);
	a->n += n;
}

static void
entry(struct arch *a, int type, const char *name, const char *link, const char *content)
{
	uint8_t head[TB_TAR_HEADER_MAX], pad[512] = { 0 };
	struct tb_tar_entry t = { (enum tb_tar_type)type, 0644, strlen(content), name, link };

	if (type == TB_TAR_DIR)
		t.mode = 0755;
	add(a, head, tb_tar_header(head, &t));
	add(a, content, strlen(content));
	add(a, pad, tb_tar_padding(strlen(content)));
}

static void
end(struct arch *a)
{
	uint8_t zero[TB_TAR_END_LEN] = { 0 };

	add(a, zero, sizeof(zero));
}

static void
compress(struct arch *a)
{
	size_t cap = ZSTD_compressBound(a->n);
	uint8_t *z = malloc(cap);
	size_t n = ZSTD_compress(z, cap, a->b, a->n, 1);

	free(a->b);
	a->b = z;
	a->n = n;
}

static void
fix_sum(uint8_t *h)
{
	uint32_t sum = 0;

	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
}

/* Must fail with that text, and leave the neighbour of the destination as it was. */
static void
refused_with(struct arch *a, uint64_t size_max, uint64_t entries_max, const char *error)
{
	struct peer p;

	up(&p);
	sh(&p, "mkdir r outside; echo safe >outside/f");
	send_restore(&p, 0, "r", size_max, entries_max);
	peer_data(&p, 0, 1, a->b, a->n);
	if (p.results == 0)
		peer_data_end(&p, 0, a->n);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 1);
	if (strstr(p.error, error) == NULL)
		fail_msg("got: %s", p.error);
	char *t = tree(&p, "outside");
	assert_string_equal(t, "f 644 f \nsafe\n");
	free(t);
	sh(&p, "test \"$(ls -A)\" = \"$(printf 'outside\\nr')\"");
	peer_stop(&p);
	free(a->b);
}

static void
test_dotdot(void **state)
{
	(void)state;
	static const char *const names[] = { "../x", "a/../../x", "..", "a/..", "a/../x" };

	for (size_t i = 0; i < 5; i++) {
		struct arch a = { 0 };
		entry(&a, TB_TAR_FILE, names[i], "", "x");
		end(&a);
		compress(&a);
		refused_with(&a, 0, 0, "\"..\"");
	}
}

static void
test_absolute(void **state)
{
	(void)state;
	struct arch a = { 0 };

	entry(&a, TB_TAR_FILE, "/tmp/millrace-test-absolute", "", "x");
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "is absolute");
	assert_int_not_equal(access("/tmp/millrace-test-absolute", F_OK), 0);
}

static void
test_write_through_symlink(void **state)
{
	(void)state;
	struct arch a = { 0 };

	entry(&a, TB_TAR_SYMLINK, "d", "../outside", "");
	entry(&a, TB_TAR_FILE, "d/evil", "", "x");
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "not a directory");
}

static void
test_overwrite_symlink(void **state)
{
	(void)state;
	struct arch a = { 0 };

	entry(&a, TB_TAR_SYMLINK, "f", "../outside/f", "");
	entry(&a, TB_TAR_FILE, "f", "", "x");
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "file already exists: f");
}

static void
test_directory_over_symlink(void **state)
{
	(void)state;
	struct arch a = { 0 };

	entry(&a, TB_TAR_SYMLINK, "d", "../outside", "");
	entry(&a, TB_TAR_DIR, "d", "", "");
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "file already exists: d");
}

static void
test_hardlink_outside(void **state)
{
	(void)state;
	struct arch a = { 0 };

	entry(&a, TB_TAR_HARDLINK, "h", "../outside/f", "");
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "\"..\"");
	a = (struct arch){ 0 };
	entry(&a, TB_TAR_HARDLINK, "h", "/etc/passwd", "");
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "is absolute");
}

static void
test_hardlink_through_symlink(void **state)
{
	(void)state;
	struct arch a = { 0 };

	entry(&a, TB_TAR_SYMLINK, "d", "../outside", "");
	entry(&a, TB_TAR_HARDLINK, "h", "d/f", "");
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "not a directory");
	a = (struct arch){ 0 };
	entry(&a, TB_TAR_SYMLINK, "l", "../outside/f", "");
	entry(&a, TB_TAR_HARDLINK, "h", "l", "");
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "no file of this directory");
}

static void
test_hardlink_inside_is_fine(void **state)
{
	(void)state;
	struct arch a = { 0 };
	struct peer p;

	entry(&a, TB_TAR_FILE, "d/f", "", "hi");
	entry(&a, TB_TAR_HARDLINK, "h", "d/f", "");
	end(&a);
	compress(&a);
	up(&p);
	restore(&p, 0, "r", a.b, a.n);
	assert_string_equal(p.error, "");
	sh(&p, "test r/h -ef r/d/f");
	free(a.b);
	peer_stop(&p);
}

static void
test_device_nodes(void **state)
{
	(void)state;
	for (int type = TB_TAR_CHAR; type <= TB_TAR_BLOCKDEV; type++) {
		struct arch a = { 0 };
		entry(&a, type, "dev", "", "");
		end(&a);
		compress(&a);
		refused_with(&a, 0, 0, "devices are not restored");
	}
}

static void
test_set_id_bits_are_dropped(void **state)
{
	(void)state;
	struct arch a = { 0 };
	struct peer p;

	entry(&a, TB_TAR_FILE, "f", "", "x");
	memcpy(a.b + 100, "0006755", 7);
	fix_sum(a.b);
	entry(&a, TB_TAR_FIFO, "fifo", "", "");
	end(&a);
	compress(&a);
	up(&p);
	restore(&p, 0, "r", a.b, a.n);
	char *t = tree(&p, "r");
	assert_string_equal(t, "f 644 fifo \nf 755 f \nx");
	free(t);
	free(a.b);
	peer_stop(&p);
}

static void
test_sparse_terabyte(void **state)
{
	(void)state;
	uint8_t head[TB_TAR_HEADER_MAX];
	struct arch a = { 0 };
	struct tb_tar_entry t = { TB_TAR_FILE, 0644, 1ull << 40, "big", "" };

	add(&a, head, tb_tar_header(head, &t));
	compress(&a);
	refused_with(&a, 1 << 20, 0, "more than 1048576 bytes");
	/* Without a limit the missing bytes are what is wrong. */
	a = (struct arch){ 0 };
	add(&a, head, tb_tar_header(head, &t));
	compress(&a);
	refused_with(&a, 0, 0, "cut off");
	a = (struct arch){ 0 };
	entry(&a, 'S', "sparse", "", "");
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "kind is unknown");
}

static void
test_too_many_entries(void **state)
{
	(void)state;
	struct arch a = { 0 };

	for (int i = 0; i < 200; i++) {
		char name[20];
		snprintf(name, sizeof(name), "f%d", i);
		entry(&a, TB_TAR_FILE, name, "", "");
	}
	end(&a);
	compress(&a);
	refused_with(&a, 0, 100, "more than 100 entries");
}

static void
test_zip_bomb(void **state)
{
	(void)state;
	uint8_t head[TB_TAR_HEADER_MAX];
	struct tb_tar_entry t = { TB_TAR_FILE, 0644, 32 << 20, "f", "" };
	struct arch a = { 0 };
	uint8_t *zero = calloc(1, 32 << 20);

	add(&a, head, tb_tar_header(head, &t));
	add(&a, zero, 32 << 20);
	end(&a);
	compress(&a);
	assert_true(a.n < 20000);
	free(zero);
	refused_with(&a, 1 << 20, 0, "unpacks to more than");
}

static void
test_truncated(void **state)
{
	(void)state;
	struct arch a = { 0 };

	entry(&a, TB_TAR_FILE, "f", "", "hello");
	compress(&a); /* no end blocks */
	refused_with(&a, 0, 0, "cut off");
	a = (struct arch){ 0 };
	entry(&a, TB_TAR_FILE, "f", "", "hello");
	end(&a);
	compress(&a);
	a.n -= 3; /* half a zstd frame */
	refused_with(&a, 0, 0, "cut off");
	a = (struct arch){ 0 };
	refused_with(&a, 0, 0, "cut off");
}

static void
test_trailing_garbage(void **state)
{
	(void)state;
	struct arch a = { 0 };

	entry(&a, TB_TAR_FILE, "f", "", "hello");
	end(&a);
	compress(&a);
	add(&a, "garbage", 7);
	refused_with(&a, 0, 0, "behind its end");
	a = (struct arch){ 0 };
	entry(&a, TB_TAR_FILE, "f", "", "hello");
	end(&a);
	add(&a, "x", 1);
	compress(&a);
	refused_with(&a, 0, 0, "behind its end");
}

static void
test_damaged_header(void **state)
{
	(void)state;
	struct arch a = { 0 };

	entry(&a, TB_TAR_FILE, "f", "", "hello");
	a.b[0] = 'g';
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "checksum is wrong");
	a = (struct arch){ 0 };
	add(&a, "not zstd at all", 15);
	refused_with(&a, 0, 0, "cannot be unpacked");
}

/* A pax record block with that text in front of an entry. */
static void
pax(struct arch *a, const char *records, size_t n)
{
	uint8_t pad[512] = { 0 }, head[TB_TAR_HEADER_MAX];
	struct tb_tar_entry t = { TB_TAR_FILE, 0644, n, "p", "" };

	tb_tar_header(head, &t);
	head[156] = 'x';
	fix_sum(head);
	add(a, head, 512);
	add(a, records, n);
	add(a, pad, tb_tar_padding(n));
	entry(a, TB_TAR_FILE, "f", "", "hello");
	end(a);
	compress(a);
}

static void
test_names_with_nul_and_newline(void **state)
{
	(void)state;
	struct arch a = { 0 };
	struct peer p;

	pax(&a, "12 path=a\0b\n", 12);
	refused_with(&a, 0, 0, "NUL byte");
	a = (struct arch){ 0 };
	pax(&a, "12 path=a\nb\n", 12); /* the length says where it ends */
	up(&p);
	restore(&p, 0, "r", a.b, a.n);
	assert_string_equal(p.error, "");
	sh(&p, "test -f \"r/a\nb\"");
	free(a.b);
	peer_stop(&p);
}

static void
test_hostile_pax(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "999 path=x\n", "malformed" },
		{ "0 path=x\n", "malformed" },
		{ "path=x\n", "malformed" },
		{ "9 path=xy", "malformed" },
		{ "7 pathx\n", "malformed" },
		{ "8 path=\n", "empty or too long" },
		{ "11 size=-1\n", "no number" },
		{ "32 size=99999999999999999999999\n", "no number" },
		{ "13 path=../x\n", "\"..\"" },
		{ "11 path=/x\n", "is absolute" },
		{ "22 GNU.sparse.major=1\n", "sparse" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arch a = { 0 };
		pax(&a, cases[i].text, strlen(cases[i].text));
		refused_with(&a, 0, 0, cases[i].error);
	}
}

static void
test_long_pax(void **state)
{
	(void)state;
	struct arch a = { 0 };
	size_t n = 100000;
	char *text = malloc(n + 1);

	memset(text, 'x', n);
	memcpy(text, "100000 path=", 12);
	text[n - 1] = '\n';
	pax(&a, text, n);
	refused_with(&a, 0, 0, "too long");
	a = (struct arch){ 0 };
	memcpy(text, "060000 path=", 12);
	text[60000 - 1] = '\n';
	pax(&a, text, 60000);
	refused_with(&a, 0, 0, "too long");
	free(text);
}

static void
test_case_collision_is_no_overwrite(void **state)
{
	(void)state;
	struct arch a = { 0 };

	entry(&a, TB_TAR_FILE, "same", "", "1");
	entry(&a, TB_TAR_FILE, "./same", "", "2");
	end(&a);
	compress(&a);
	refused_with(&a, 0, 0, "file already exists: same");
}

static void
test_data_end_too_early(void **state)
{
	(void)state;
	struct peer p;
	struct arch a = { 0 };

	entry(&a, TB_TAR_FILE, "f", "", "hello");
	end(&a);
	compress(&a);
	up(&p);
	send_restore(&p, 0, "r", 0, 0);
	peer_data(&p, 0, 1, a.b, a.n);
	peer_data_end(&p, 0, a.n + 1);
	peer_until_result(&p);
	assert_int_equal(p.result.exit_status, 1);
	assert_non_null(strstr(p.error, "ended before"));
	free(a.b);
	peer_stop(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_save_patterns_and_order),
		cmocka_unit_test(test_save_symlinked_source),
		cmocka_unit_test(test_save_failures),
		cmocka_unit_test(test_save_unreadable_fails_as_user),
		cmocka_unit_test(test_save_skips_sockets),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_restore_merges_directories),
		cmocka_unit_test(test_restore_destination_must_be_real),
		cmocka_unit_test(test_archive_waits_for_credit),
		cmocka_unit_test(test_restore_goes_on_after_attach),
		cmocka_unit_test(test_dotdot),
		cmocka_unit_test(test_absolute),
		cmocka_unit_test(test_write_through_symlink),
		cmocka_unit_test(test_overwrite_symlink),
		cmocka_unit_test(test_directory_over_symlink),
		cmocka_unit_test(test_hardlink_outside),
		cmocka_unit_test(test_hardlink_through_symlink),
		cmocka_unit_test(test_hardlink_inside_is_fine),
		cmocka_unit_test(test_device_nodes),
		cmocka_unit_test(test_set_id_bits_are_dropped),
		cmocka_unit_test(test_sparse_terabyte),
		cmocka_unit_test(test_too_many_entries),
		cmocka_unit_test(test_zip_bomb),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_trailing_garbage),
		cmocka_unit_test(test_damaged_header),
		cmocka_unit_test(test_names_with_nul_and_newline),
		cmocka_unit_test(test_hostile_pax),
		cmocka_unit_test(test_long_pax),
		cmocka_unit_test(test_case_collision_is_no_overwrite),
		cmocka_unit_test(test_data_end_too_early),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
