#include "tests/lib/objstore_suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/id.h"
#include "common/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define THREADS 8
#define PER_THREAD 10

void
objstore_suite_init(struct objstore_suite *s, struct objstore *store)
{
	s->store = store;
	snprintf(s->prefix, sizeof(s->prefix), "suite-%s/", id_new().s);
}

char *
objstore_suite_key(const struct objstore_suite *s, const char *key)
{
	return xasprintf("%s%s", s->prefix, key);
}

static int
put_bytes(const struct objstore_suite *s, const char *key, const void *p, size_t n)
{
	auto_free char *full = objstore_suite_key(s, key);
	auto_err err = NULL;
	int rc = s->store->ops->put(s->store, full, p, n, &err);

	assert_true((rc == 0) == (err == NULL));
	if (rc != 0 && rc != ERR_CONFLICT && rc != ERR_INVALID)
		print_message("%s\n", err_msg(err));
	return rc;
}

int
objstore_suite_put(const struct objstore_suite *s, const char *key, const char *text)
{
	return put_bytes(s, key, text, strlen(text));
}

void
objstore_suite_expect(const struct objstore_suite *s, const char *key, uint64_t offset, size_t max,
    const char *want, uint64_t total)
{
	auto_free char *full = objstore_suite_key(s, key);
	auto_free uint8_t *data = NULL;
	auto_err err = NULL;
	uint64_t size = 0;
	size_t n = 0;

	if (s->store->ops->get(&data, &n, &size, s->store, full, offset, max, &err) != 0)
		fail_msg("%s", err_msg(err));
	assert_int_equal(n, strlen(want));
	assert_memory_equal(data, want, n);
	assert_int_equal(size, total);
}

static int
get_code(const struct objstore_suite *s, const char *key)
{
	auto_free char *full = objstore_suite_key(s, key);
	auto_free uint8_t *data = NULL;
	auto_err err = NULL;
	uint64_t size = 0;
	size_t n = 0;

	return s->store->ops->get(&data, &n, &size, s->store, full, 0, 10, &err);
}

static int
remove_one(const struct objstore_suite *s, const char *key)
{
	auto_free char *full = objstore_suite_key(s, key);
	auto_err err = NULL;

	return s->store->ops->del(s->store, full, &err);
}

void
objstore_case_put_get_delete(void **state)
{
	const struct objstore_suite *s = *state;

	assert_int_equal(objstore_suite_put(s, "logs/run1/0", "hello world"), 0);
	objstore_suite_expect(s, "logs/run1/0", 0, 100, "hello world", 11);
	objstore_suite_expect(s, "logs/run1/0", 6, 3, "wor", 11);
	objstore_suite_expect(s, "logs/run1/0", 10, 1, "d", 11);
	objstore_suite_expect(s, "logs/run1/0", 11, 3, "", 11);
	objstore_suite_expect(s, "logs/run1/0", 99, 3, "", 11);
	assert_int_equal(objstore_suite_put(s, "empty", ""), 0);
	objstore_suite_expect(s, "empty", 0, 10, "", 0);
	objstore_suite_expect(s, "empty", 7, 10, "", 0);
	assert_int_equal(remove_one(s, "logs/run1/0"), 0);
	assert_int_equal(get_code(s, "logs/run1/0"), ERR_NOTFOUND);
	assert_int_equal(remove_one(s, "logs/run1/0"), 0);
	assert_int_equal(remove_one(s, "never/was"), 0);
	assert_int_equal(get_code(s, "never/was"), ERR_NOTFOUND);
	assert_int_equal(get_code(s, "logs"), ERR_NOTFOUND);
	assert_int_equal(remove_one(s, "empty"), 0);
}

void
objstore_case_never_overwritten(void **state)
{
	const struct objstore_suite *s = *state;

	assert_int_equal(objstore_suite_put(s, "a/b", "first"), 0);
	assert_int_equal(objstore_suite_put(s, "a/b", "first"), ERR_CONFLICT);
	assert_int_equal(objstore_suite_put(s, "a/b", "second"), ERR_CONFLICT);
	objstore_suite_expect(s, "a/b", 0, 10, "first", 5);
	/* What is gone may come anew. */
	assert_int_equal(remove_one(s, "a/b"), 0);
	assert_int_equal(objstore_suite_put(s, "a/b", "third"), 0);
	objstore_suite_expect(s, "a/b", 0, 10, "third", 5);
	assert_int_equal(remove_one(s, "a/b"), 0);
}

void
objstore_case_bad_keys(void **state)
{
	const struct objstore_suite *s = *state;
	static const char *const bad[] = { "../escape", "a//b", "a b", "a?x=1", "a%2e", "a\nb",
		"" };
	static const char *const odd[] = { "A-z_0.9/..x/x..", "...", "-/_" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(objstore_suite_put(s, bad[i], "x"), ERR_INVALID);
		assert_int_equal(get_code(s, bad[i]), ERR_INVALID);
		assert_int_equal(remove_one(s, bad[i]), ERR_INVALID);
	}
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		assert_int_equal(objstore_suite_put(s, odd[i], odd[i]), 0);
		objstore_suite_expect(s, odd[i], 0, 100, odd[i], strlen(odd[i]));
		assert_int_equal(remove_one(s, odd[i]), 0);
	}
}

void
objstore_case_large(void **state)
{
	const struct objstore_suite *s = *state;
	auto_free char *full = objstore_suite_key(s, "large");
	auto_free uint8_t *data = xmalloc(OBJSTORE_PART_MAX);
	uint32_t seed = 1;
	size_t piece = 3u << 20;

	for (size_t i = 0; i < OBJSTORE_PART_MAX; i++) {
		seed = seed * 1664525u + 1013904223u;
		data[i] = (uint8_t)(seed >> 24);
	}
	assert_int_equal(put_bytes(s, "large", data, OBJSTORE_PART_MAX), 0);
	for (size_t at = 0; at < OBJSTORE_PART_MAX; at += piece) {
		auto_free uint8_t *got = NULL;
		auto_err err = NULL;
		uint64_t size = 0;
		size_t n = 0, left = OBJSTORE_PART_MAX - at;

		if (s->store->ops->get(&got, &n, &size, s->store, full, at, piece, &err) != 0)
			fail_msg("%s", err_msg(err));
		assert_int_equal(n, left < piece ? left : piece);
		assert_memory_equal(got, data + at, n);
		assert_int_equal(size, OBJSTORE_PART_MAX);
	}
	assert_int_equal(remove_one(s, "large"), 0);
}

struct writer {
	const struct objstore_suite *s;
	int number;
	int won, bad; /* of the key that all write; of anything */
};

static void *
write_some(void *arg)
{
	struct writer *w = arg;
	struct objstore *store = w->s->store;

	for (int i = 0; i < PER_THREAD; i++) {
		auto_free char *own = xasprintf("%st/%d/%d", w->s->prefix, w->number, i);
		auto_free char *shared = xasprintf("%sshared/%d", w->s->prefix, i);
		auto_free uint8_t *got = NULL;
		uint64_t size = 0;
		size_t n = 0;
		int rc;

		w->bad += store->ops->put(store, own, own, strlen(own), NULL) != 0;
		rc = store->ops->put(store, shared, own, strlen(own), NULL);
		w->won += rc == 0;
		w->bad += rc != 0 && rc != ERR_CONFLICT;
		w->bad += store->ops->get(&got, &n, &size, store, own, 0, 200, NULL) != 0 ||
		          n != strlen(own) || memcmp(got, own, n) != 0;
		w->bad += store->ops->del(store, own, NULL) != 0;
	}
	return NULL;
}

void
objstore_case_threads(void **state)
{
	const struct objstore_suite *s = *state;
	struct writer w[THREADS];
	pthread_t threads[THREADS];
	int won = 0;

	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct writer){ .s = s, .number = i };
		assert_int_equal(pthread_create(&threads[i], NULL, write_some, &w[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(w[i].bad, 0);
		won += w[i].won;
	}
	assert_int_equal(won, PER_THREAD);
	for (int i = 0; i < PER_THREAD; i++) {
		auto_free char *shared = xasprintf("shared/%d", i);

		assert_int_equal(remove_one(s, shared), 0);
	}
}
