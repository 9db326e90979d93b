#include "common/objstore.h"

#include "common/mem.h"
#include "tests/lib/objstore_suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t key[CRYPTO_KEY_LEN] = { 1, 2, 3 };
static const uint8_t other_key[CRYPTO_KEY_LEN] = { 1, 2, 4 };

struct fixture {
	struct objstore_suite suite; /* first: cases of the suite see only this */
	char dir[64];
	struct objstore *store;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err *e = NULL;
	snprintf(f->dir, sizeof(f->dir), "/tmp/millrace-objstore.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(objstore_dir_new(&f->store, f->dir, "http://127.0.0.1:8004/", key, &e), 0);
	objstore_suite_init(&f->suite, f->store);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	f->store->ops->free(f->store);
	auto_free char *rm = xasprintf("rm -rf %s", f->dir);
	assert_int_equal(system(rm), 0); /* NOLINT: our own directory */
	free(f);
	return 0;
}

static void
test_keys(void **state)
{
	(void)state;
	char longest[OBJSTORE_KEY_MAX + 2];
	memset(longest, 'k', sizeof(longest));
	longest[OBJSTORE_KEY_MAX + 1] = '\0';
	static const char *const good[] = { "a", "a/b/c", "A-z_0.9/..x/x..", "...", ".a" };
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a",
		"a/./b", "a b", "a\nb", "a\\b", "a:b", "a%2e", "\xc3\xa4" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(objstore_key_ok(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(objstore_key_ok(bad[i]));
	assert_false(objstore_key_ok(longest));
	longest[OBJSTORE_KEY_MAX] = '\0';
	assert_true(objstore_key_ok(longest));
}

/* A name is a directory of one object or the file of another. */
static void
test_object_as_directory(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(objstore_suite_put(&f->suite, "a/b", "first"), 0);
	assert_int_equal(objstore_suite_put(&f->suite, "a", "x"), ERR_CONFLICT);
	assert_int_equal(objstore_suite_put(&f->suite, "a/b/c", "x"), ERR_CONFLICT);
	/* Nothing half-written stays behind. */
	auto_free char *tmp = xasprintf("%s/tmp", f->dir);
	assert_int_equal(rmdir(tmp), 0);
}

static void
test_links(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	auto_free char *link_path = xasprintf("%s/objects/out", f->dir);
	assert_int_equal(symlink("/tmp", link_path), 0);
	assert_int_not_equal(f->store->ops->put(f->store, "out/millrace-escape", "x", 1, &e), 0);
	err_clear(&e);
	assert_int_equal(access("/tmp/millrace-escape", F_OK), -1);
}

/* Splits a URL of ours into path and query. */
static void
split(char *url, const char **path, const char **query)
{
	char *p = strstr(url, "/objects/");
	assert_non_null(p);
	char *q = strchr(p, '?');
	assert_non_null(q);
	*q = '\0';
	*path = p;
	*query = q + 1;
}

static int
check(const char *method, const char *path, const char *query, int64_t now, const uint8_t *k)
{
	struct err *e = NULL;
	char *got = NULL;
	int rc = objstore_url_check(&got, k, method, path, query, now, &e);
	assert_true((rc == 0) == (got != NULL) && (rc == 0) == (e == NULL));
	if (rc == 0)
		assert_string_equal(got, path + strlen("/objects/"));
	free(got);
	err_clear(&e);
	return rc;
}

static void
test_signed_urls(void **state)
{
	struct fixture *f = *state;
	auto_free char *url = f->store->ops->sign(f->store, "PUT", "w/1/part.0", 1000);
	assert_int_equal(strncmp(url, "http://127.0.0.1:8004/objects/w/1/part.0?", 41), 0);
	const char *path;
	const char *query;
	split(url, &path, &query);
	assert_int_equal(check("PUT", path, query, 999, key), 0);
	assert_int_equal(check("PUT", path, query, 1000, key), ERR_DENIED);
	assert_int_equal(check("GET", path, query, 999, key), ERR_DENIED);
	assert_int_equal(check("PUT", "/objects/w/1/part.1", query, 999, key), ERR_DENIED);
	assert_int_equal(check("PUT", path, query, 999, other_key), ERR_DENIED);
	assert_int_equal(check("PUT", "/objects/../x", query, 999, key), ERR_INVALID);
	assert_int_equal(check("PUT", "/other/x", query, 999, key), ERR_INVALID);
	assert_int_equal(check("PUT", path, NULL, 999, key), ERR_DENIED);
	assert_int_equal(check("PUT", path, "", 999, key), ERR_DENIED);
	/* Every single changed character of the query is noticed. */
	auto_free char *copy = xstrdup(query);
	for (size_t i = 0; copy[i]; i++) {
		char was = copy[i];
		copy[i] = was == '7' ? '8' : '7';
		assert_int_equal(check("PUT", path, copy, 0, key), ERR_DENIED);
		copy[i] = was;
	}
	auto_free char *longer = xasprintf("%s0", query);
	assert_int_equal(check("PUT", path, longer, 999, key), ERR_DENIED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	crypto_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		OBJSTORE_CASES(setup, teardown),
		T(test_object_as_directory),
		T(test_links),
		T(test_signed_urls),
	};
	return cmocka_run_group_tests_name("objstore", tests, NULL, NULL);
}
