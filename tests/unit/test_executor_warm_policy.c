/* Which images get containers that are started ahead. prop_warm.c holds the bounds. */
#include "common/buf.h"
#include "common/mem.h"
#include "executor/warm_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AGE 1000

static int
setup(void **state)
{
	struct ex_warm_uses *u = xcalloc(1, sizeof(*u));

	u->age_ms = AGE;
	*state = u;
	return 0;
}

static int
teardown(void **state)
{
	ex_warm_uses_fini(*state);
	free(*state);
	return 0;
}

/* The images of the containers there would be, in the order of their making. */
static char *
wanted(struct ex_warm_uses *u, size_t max, int64_t now)
{
	struct ex_warm_have have[EX_WARM_MAX];
	auto_buf text = BUF_INIT;
	const char *id;
	size_t n = 0;

	while ((id = ex_warm_plan(u, have, n, max, now)) != NULL) {
		have[n++] = (struct ex_warm_have){ .id = id, .born_ms = now };
		buf_append(&text, id, strlen(id));
	}
	return xstrdup(buf_str(&text));
}

static void
is(struct ex_warm_uses *u, size_t max, int64_t now, const char *want)
{
	auto_free char *got = wanted(u, max, now);

	assert_string_equal(got, want);
}

static void
most_used_first(void **state)
{
	struct ex_warm_uses *u = *state;

	is(u, 3, 0, "");
	ex_warm_used(u, "debian", "d", 0);
	is(u, 0, 0, "");
	is(u, 3, 0, "d"); /* one use, one container */
	ex_warm_used(u, "busybox", "b", 1);
	ex_warm_used(u, "busybox", "b", 2);
	is(u, 1, 3, "b");
	is(u, 2, 3, "bd");
	is(u, 8, 3, "bd"); /* less than two uses by now */
	ex_warm_used(u, "busybox", "b", 4);
	is(u, 8, 5, "bbd");
	/* Other names of one image count together. */
	ex_warm_used(u, "debian:latest", "d", 5);
	ex_warm_used(u, "debian:bookworm", "d", 5);
	ex_warm_used(u, "debian:12", "d", 5);
	is(u, 1, 6, "d");
}

static void
old_uses_are_forgotten(void **state)
{
	struct ex_warm_uses *u = *state;

	for (int i = 0; i < 10; i++)
		ex_warm_used(u, "debian", "d", 0);
	ex_warm_used(u, "busybox", "b", AGE - 1);
	is(u, 1, AGE - 1, "d");
	is(u, 9, AGE, "b");
	is(u, 9, 2 * AGE - 2, "b");
	is(u, 9, 2 * AGE - 1, "");
	assert_int_equal(u->n, 0);
}

static void
another_image_by_the_same_name(void **state)
{
	struct ex_warm_uses *u = *state;
	struct ex_warm_have have[] = { { .id = "d1" }, { .id = "b" } };

	ex_warm_used(u, "debian", "d1", 0);
	ex_warm_used(u, "busybox", "b", 0);
	assert_null(ex_warm_plan(u, have, 2, 2, 0));
	assert_false(have[0].drop || have[1].drop);
	ex_warm_used(u, "debian", "d2", 1);
	assert_string_equal(ex_warm_plan(u, have, 2, 2, 1), "d2");
	assert_true(have[0].drop);
	assert_false(have[1].drop);
}

static void
what_is_there_stays(void **state)
{
	struct ex_warm_uses *u = *state;
	struct ex_warm_have have[] = { { .id = "a" } };

	ex_warm_used(u, "a", "a", 0);
	ex_warm_used(u, "b", "b", 1);
	assert_null(ex_warm_plan(u, have, 1, 1, 2)); /* a little more weight is not enough */
	assert_false(have[0].drop);
	ex_warm_used(u, "b", "b", 2);
	assert_string_equal(ex_warm_plan(u, have, 1, 1, 2), "b");
	assert_true(have[0].drop);
}

static void
age(void **state)
{
	struct ex_warm_uses *u = *state;
	struct ex_warm_have have[] = { { .id = "a", .born_ms = 5 }, { .id = "a", .born_ms = 3 } };

	assert_int_equal(ex_warm_next_ms(u, have, 0), -1);
	assert_int_equal(ex_warm_next_ms(u, have, 2), 3 + AGE);
	ex_warm_used(u, "a", "a", 500);
	/* Of two where one is enough the older goes. */
	assert_null(ex_warm_plan(u, have, 2, 2, 600));
	assert_false(have[0].drop);
	assert_true(have[1].drop);
	assert_string_equal(ex_warm_plan(u, have, 1, 2, 5 + AGE), "a");
	assert_true(have[0].drop);
}

static void
many_images(void **state)
{
	struct ex_warm_uses *u = *state;

	for (int i = 0; i < EX_WARM_USES + 50; i++) {
		auto_free char *name = xasprintf("n%d", i);

		ex_warm_used(u, name, name, i);
		ex_warm_used(u, "kept", "kept", i);
	}
	assert_int_equal(u->n, EX_WARM_USES);
	is(u, 1, 200, "kept");
}

static void
what_fits(void **state)
{
	struct ex_image_info image = { 0 }, with_volume = { .nvolumes = 1 };
	char word[] = "sleep", *words[] = { word };
	Millrace__Volume volume = MILLRACE__VOLUME__INIT, *volumes[] = { &volume };
	Millrace__Container def = MILLRACE__CONTAINER__INIT;

	(void)state;
	assert_true(ex_warm_fits(&image, &def));
	assert_false(ex_warm_fits(&with_volume, &def));
	def.user = words[0];
	def.has_privileged = true;
	assert_true(ex_warm_fits(&image, &def));
	def.privileged = true;
	assert_false(ex_warm_fits(&image, &def));
	def.privileged = false;
	def.volumes = volumes;
	def.n_volumes = 1;
	assert_false(ex_warm_fits(&image, &def));
	def.n_volumes = 0;
	def.entrypoint = words;
	def.n_entrypoint = 1;
	assert_false(ex_warm_fits(&image, &def));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(most_used_first),
		CASE(old_uses_are_forgotten),
		CASE(another_image_by_the_same_name),
		CASE(what_is_there_stays),
		CASE(age),
		CASE(many_images),
		CASE(what_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
