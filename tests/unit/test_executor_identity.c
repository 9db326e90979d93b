/* Which name an executor takes, alone and as one of several that share a directory. */
#include "common/mem.h"
#include "executor/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define REPLICAS 3

struct claim {
	struct ex_config cfg;
	int fd, rc;
};

static struct claim
claim(const char *dir, int64_t replicas)
{
	struct claim c = { .cfg = { .id = xstrdup("build"),
		               .key_file = xstrdup("/keys"),
		               .spool_dir = xstrdup(dir),
		               .replicas = replicas },
		.fd = -1 };
	auto_err err = NULL;

	c.rc = ex_identity_claim(&c.fd, &c.cfg, &err);
	assert_int_equal(c.rc == 0, err == NULL);
	return c;
}

static void
let_go(struct claim *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->cfg.id);
	free(c->cfg.key_file);
	free(c->cfg.spool_dir);
}

static int
setup(void **state)
{
	char dir[] = "/tmp/millrace-test.XXXXXX";

	assert_non_null(mkdtemp(dir));
	*state = xstrdup(dir);
	return 0;
}

static int
teardown(void **state)
{
	auto_free char *dir = *state;
	auto_free char *command = xasprintf("rm -rf '%s'", dir);

	return system(command); /* NOLINT(cert-env33-c,concurrency-mt-unsafe): a path of our own */
}

static void
alone(void **state)
{
	struct claim a = claim(*state, 0), b = claim(*state, 0);

	assert_int_equal(a.rc, 0);
	assert_string_equal(a.cfg.id, "build");
	assert_string_equal(a.cfg.key_file, "/keys");
	assert_string_equal(a.cfg.spool_dir, *state);
	assert_int_equal(b.rc, ERR_CONFLICT);
	let_go(&a);
	let_go(&b);
}

static void
replicas_take_free_names(void **state)
{
	struct claim c[REPLICAS + 1];
	auto_free char *second = xasprintf("%s/build-2", (char *)*state);

	for (int i = 0; i <= REPLICAS; i++)
		c[i] = claim(*state, REPLICAS);
	for (int i = 0; i < REPLICAS; i++) {
		auto_free char *id = xasprintf("build-%d", i + 1);

		assert_int_equal(c[i].rc, 0);
		assert_string_equal(c[i].cfg.id, id);
	}
	assert_int_equal(c[REPLICAS].rc, ERR_CONFLICT);
	assert_string_equal(c[1].cfg.key_file, "/keys/build-2.key");
	assert_string_equal(c[1].cfg.spool_dir, second);
	/* What a dead one held is free again. */
	let_go(&c[1]);
	c[1] = claim(*state, REPLICAS);
	assert_int_equal(c[1].rc, 0);
	assert_string_equal(c[1].cfg.id, "build-2");
	for (int i = 0; i <= REPLICAS; i++)
		let_go(&c[i]);
}

static void
a_directory_that_cannot_be(void **state)
{
	struct claim a = claim("/proc/none/here", 0), b = claim("/proc/none/here", 2);

	(void)state;
	assert_true(a.rc != 0 && a.rc != ERR_CONFLICT);
	assert_true(b.rc != 0 && b.rc != ERR_CONFLICT);
	let_go(&a);
	let_go(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(alone, setup, teardown),
		cmocka_unit_test_setup_teardown(replicas_take_free_names, setup, teardown),
		cmocka_unit_test(a_directory_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
