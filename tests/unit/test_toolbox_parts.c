/* Users, the log window, the lease, the set of names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "toolbox/lease.h"
#include "toolbox/logwin.h"
#include "toolbox/nameset.h"
#include "toolbox/user.h"

static char *
temp_file(const char *text)
{
	char *path = strdup("/tmp/toolbox-parts-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(tb_write_all(fd, text, strlen(text)), 0);
	close(fd);
	return path;
}

static void
test_users(void **state)
{
	(void)state;
	char *pw =
	    temp_file("# comment\n\nbroken\nroot:x:0:0::/root:\nann:x:10:20::/home/ann:/bin/sh\n"
	              "bad:x:-1:4294967295::/x:\nnohome:x:11:21\n10:x:99:99::/ten:\n");
	char *gr =
	    temp_file("root:x:0:\ndev:x:30:ann,bob\nann:x:20:ann\nops:x:31:bob\nlast:x:32:ann");
	struct tb_user u;
	struct tb_err e;

	assert_int_equal(tb_user_find(&u, "ann", pw, gr, &e), 0);
	assert_int_equal(u.uid, 10);
	assert_int_equal(u.gid, 20);
	assert_int_equal(u.ngroups, 2);
	assert_int_equal(u.groups[0], 30);
	assert_int_equal(u.groups[1], 32);
	assert_string_equal(u.home, "/home/ann");
	assert_int_equal(tb_user_find(&u, "10", pw, gr, &e), 0);
	assert_string_equal(u.home, "/home/ann");
	assert_int_equal(tb_user_find(&u, "ann:dev", pw, gr, &e), 0);
	assert_int_equal(u.gid, 30);
	assert_int_equal(u.ngroups, 0);
	assert_int_equal(tb_user_find(&u, "5000", pw, gr, &e), 0);
	assert_int_equal(u.uid, 5000);
	assert_int_equal(u.gid, 0);
	assert_string_equal(u.home, "/");
	assert_int_equal(tb_user_find(&u, "nohome", pw, gr, &e), 0);
	assert_string_equal(u.home, "/");
	assert_int_equal(tb_user_find(&u, "", pw, gr, &e), 0);
	assert_int_equal(u.uid, 0);
	assert_string_equal(u.home, "/root");
	assert_int_equal(tb_user_find(&u, "bad", pw, gr, &e), -1);
	assert_int_equal(tb_user_find(&u, "-1", pw, gr, &e), -1);
	assert_int_equal(tb_user_find(&u, "4294967295", pw, gr, &e), -1);
	assert_int_equal(tb_user_find(&u, "ann:none", pw, gr, &e), -1);
	assert_string_equal(e.text, "no group none in the image's /etc/group");
	/* An image without these files. */
	assert_int_equal(tb_user_find(&u, "root", "/no/pw", "/no/gr", &e), 0);
	assert_string_equal(u.home, "/root");
	assert_int_equal(tb_user_find(&u, "7:8", "/no/pw", "/no/gr", &e), 0);
	assert_int_equal(u.uid, 7);
	assert_int_equal(u.gid, 8);
	assert_int_equal(tb_user_find(&u, "ann", "/no/pw", "/no/gr", &e), -1);
	unlink(pw);
	/* A fifo in its place must not hang us. */
	assert_int_equal(mkfifo(pw, 0666), 0);
	assert_int_equal(tb_user_find(&u, "ann", pw, gr, &e), -1);
	unlink(pw);
	unlink(gr);
	free(pw);
	free(gr);
}

static void
test_expand(void **state)
{
	(void)state;
	static const struct {
		const char *dir, *want;
	} cases[] = { { "~", "/h" }, { "~/x", "/h/x" }, { "/a", "/a" }, { "b", "/base/b" },
		{ "", "/base" } };
	struct tb_err e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *s = tb_user_expand(cases[i].dir, "/h", "/base", &e);
		assert_string_equal(s, cases[i].want);
		free(s);
	}
	assert_null(tb_user_expand("~joe", "/h", "/base", &e));
}

static void
test_log_window(void **state)
{
	(void)state;
	struct tb_logwin w;
	const uint8_t *p;
	uint8_t in[3000];
	uint64_t put = 0, taken = 0;

	tb_logwin_init(&w, 16384);
	for (int turn = 0; turn < 200; turn++) {
		size_t n = (size_t)(turn * 37 % 3000), k;
		if (n > tb_logwin_space(&w))
			n = tb_logwin_space(&w);
		for (size_t i = 0; i < n; i++)
			in[i] = (uint8_t)((put + i) * 7);
		tb_logwin_put(&w, in, n);
		put += n;
		assert_true(w.end - w.start <= 16384);
		for (int pass = 0; pass < 2; pass++) { /* everything is sent twice */
			uint64_t at = w.sent;
			while ((k = tb_logwin_peek(&w, &p, 1000)) > 0) {
				for (size_t i = 0; i < k; i++)
					assert_int_equal(p[i], (uint8_t)((at + i) * 7));
				tb_logwin_sent(&w, k);
				at += k;
			}
			assert_true(at == put);
			if (pass == 0)
				tb_logwin_rewind(&w, taken);
		}
		taken += (put - taken) * 2 / 3;
		tb_logwin_ack(&w, taken);
		tb_logwin_ack(&w, put + 1); /* beyond the end: ignored */
		tb_logwin_ack(&w, 1);       /* long gone: ignored */
		assert_true(w.start == taken);
		assert_true(w.sent == put);
	}
	tb_logwin_rewind(&w, 0);
	assert_true(w.sent == w.start);
	tb_logwin_ack(&w, put);
	assert_int_equal(tb_logwin_space(&w), 16384);
	tb_logwin_reset(&w);
}

static void
test_lease(void **state)
{
	(void)state;
	struct tb_lease l = { 0 };

	assert_false(tb_lease_over(&l, 1LL << 60));
	assert_int_equal(tb_lease_wait(&l, 0), -1);
	tb_lease_set(&l, 1000, 500);
	assert_false(tb_lease_over(&l, 1499));
	assert_true(tb_lease_over(&l, 1500));
	assert_int_equal(tb_lease_wait(&l, 1400), 100);
	assert_int_equal(tb_lease_wait(&l, 9999), 0);
	tb_lease_set(&l, 2000, UINT64_MAX);
	assert_false(tb_lease_over(&l, 2000));
	assert_true(tb_lease_wait(&l, 2000) > 0);
}

static void
test_nameset(void **state)
{
	(void)state;
	struct tb_nameset *s = tb_nameset_new();
	char b[32];

	for (int i = 0; i < 20000; i++) {
		snprintf(b, sizeof(b), "d%d/f%d", i % 7, i);
		assert_true(tb_nameset_add(s, b));
	}
	for (int i = 0; i < 20000; i++) {
		snprintf(b, sizeof(b), "d%d/f%d", i % 7, i);
		assert_false(tb_nameset_add(s, b));
	}
	tb_nameset_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_log_window),
		cmocka_unit_test(test_lease),
		cmocka_unit_test(test_nameset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
