#include "common/objstore.h"

#include "common/mem.h"

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

static int
put(struct objstore *s, const char *k, const char *text, struct err **err)
{
	return s->ops->put(s, k, text, strlen(text), err);
}

static void
expect(struct objstore *s, const char *k, uint64_t offset, size_t max, const char *want)
{
	uint8_t *data = NULL;
	size_t n = 0;
	uint64_t total = 0;
	struct err *e = NULL;
	assert_int_equal(s->ops->get(&data, &n, &total, s, k, offset, max, &e), 0);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(data, want, n);
	free(data);
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

static void
test_put_get_delete(void **state)
{
	struct fixture *f = *state;
	struct objstore *s = f->store;
	struct err *e = NULL;
	assert_int_equal(put(s, "logs/run1/0", "hello world", &e), 0);
	expect(s, "logs/run1/0", 0, 100, "hello world");
	expect(s, "logs/run1/0", 6, 3, "wor");
	expect(s, "logs/run1/0", 11, 3, "");
	expect(s, "logs/run1/0", 99, 3, "");
	assert_int_equal(put(s, "empty", "", &e), 0);
	expect(s, "empty", 0, 10, "");
	assert_int_equal(s->ops->del(s, "logs/run1/0", &e), 0);
	assert_int_equal(s->ops->del(s, "logs/run1/0", &e), 0);
	assert_int_equal(s->ops->del(s, "never/was", &e), 0);
	uint8_t *data = NULL;
	size_t n = 0;
	uint64_t total = 0;
	assert_int_equal(s->ops->get(&data, &n, &total, s, "logs/run1/0", 0, 10, &e), ERR_NOTFOUND);
	err_clear(&e);
	assert_int_equal(s->ops->get(&data, &n, &total, s, "logs", 0, 10, &e), ERR_NOTFOUND);
	err_clear(&e);
}

static void
test_never_overwritten(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	assert_int_equal(put(f->store, "a/b", "first", &e), 0);
	assert_int_equal(put(f->store, "a/b", "first", &e), ERR_CONFLICT);
	err_clear(&e);
	assert_int_equal(put(f->store, "a/b", "second", &e), ERR_CONFLICT);
	err_clear(&e);
	assert_int_equal(put(f->store, "a", "x", &e), ERR_CONFLICT);
	err_clear(&e);
	assert_int_equal(put(f->store, "a/b/c", "x", &e), ERR_CONFLICT);
	err_clear(&e);
	expect(f->store, "a/b", 0, 10, "first");
	/* Nothing half-written stays behind. */
	auto_free char *tmp = xasprintf("%s/tmp", f->dir);
	assert_int_equal(rmdir(tmp), 0);
}

static void
test_hostile_keys_and_links(void **state)
{
	struct fixture *f = *state;
	struct err *e = NULL;
	assert_int_equal(put(f->store, "../escape", "x", &e), ERR_INVALID);
	err_clear(&e);
	auto_free char *link_path = xasprintf("%s/objects/out", f->dir);
	assert_int_equal(symlink("/tmp", link_path), 0);
	assert_int_not_equal(put(f->store, "out/millrace-escape", "x", &e), 0);
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
		T(test_put_get_delete),
		T(test_never_overwritten),
		T(test_hostile_keys_and_links),
		T(test_signed_urls),
	};
	return cmocka_run_group_tests_name("objstore", tests, NULL, NULL);
}
