#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "toolbox/glob.h"

static bool
m(const char *pattern, const char *path)
{
	struct tb_err e;
	struct tb_glob *g = tb_glob_new(pattern, &e);

	assert_non_null(g);
	bool r = tb_glob_match(g, path);
	tb_glob_free(g);
	return r;
}

static void
refused(const char *pattern, const char *why)
{
	struct tb_err e = { "" };

	assert_null(tb_glob_new(pattern, &e));
	assert_non_null(strstr(e.text, why));
}

static void
test_star_is_one_level_with_dot_files(void **state)
{
	(void)state;
	assert_true(m("*", "a"));
	assert_true(m("*", ".hidden"));
	assert_false(m("*", "a/b"));
	assert_true(m("*.c", "x.c"));
	assert_true(m("*.c", ".c"));
	assert_false(m("*.c", "x.h"));
	assert_true(m("a*b*c", "aXXbYYc"));
	assert_false(m("a*b*c", "aXXbYY"));
	assert_true(m("*a", "aaa"));
}

static void
test_doublestar_is_everything(void **state)
{
	(void)state;
	assert_true(m("**", "a"));
	assert_true(m("**", "a/b/c"));
	assert_true(m("**", ".x/.y"));
}

static void
test_direct_children(void **state)
{
	(void)state;
	assert_true(m("a/*", "a/b"));
	assert_false(m("a/*", "a"));
	assert_false(m("a/*", "a/b/c"));
}

static void
test_everything_under_not_itself(void **state)
{
	(void)state;
	assert_false(m("a/**", "a"));
	assert_true(m("a/**", "a/b"));
	assert_true(m("a/**", "a/b/c"));
	assert_false(m("a/**", "ab/c"));
}

static void
test_plain_name_is_only_the_entry(void **state)
{
	(void)state;
	assert_true(m("a", "a"));
	assert_false(m("a", "a/b"));
	assert_false(m("a", "b/a"));
	assert_true(m("a/b", "a/b"));
}

static void
test_txt_at_any_depth(void **state)
{
	(void)state;
	assert_true(m("**/*.txt", "x.txt"));
	assert_true(m("**/*.txt", "a/x.txt"));
	assert_true(m("**/*.txt", "a/b/c/x.txt"));
	assert_false(m("**/*.txt", "a/x.txt/y"));
	assert_true(m("a/**/b", "a/b"));
	assert_true(m("a/**/b", "a/x/y/b"));
	assert_true(m("a/**/b/**/c", "a/b/b/x/c"));
	assert_false(m("a/**/b", "x/a/b"));
	assert_true(m("**/a/**", "x/a/y"));
	assert_false(m("**/a/**", "x/a"));
	assert_true(m("**/**", "x"));
}

static void
test_alternatives(void **state)
{
	(void)state;
	assert_true(m("{x,y}", "x"));
	assert_true(m("{x,y}", "y"));
	assert_false(m("{x,y}", "z"));
	assert_true(m("a{b,c/d}e", "ac/de"));
	assert_true(m("{a,{b,c}d}", "cd"));
	assert_true(m("{,a}b", "b"));
	assert_true(m("x}", "x}"));
	assert_true(m("{a\\,b,c}", "a,b"));
	assert_true(m("{[,],c}", ","));
}

static void
test_question_mark(void **state)
{
	(void)state;
	assert_true(m("?", "a"));
	assert_true(m("?", "\xc3\xa4"));
	assert_true(m("?", "\xff")); /* not UTF-8: one byte */
	assert_false(m("?", "ab"));
	assert_false(m("a?b", "a/b"));
}

static void
test_classes(void **state)
{
	(void)state;
	assert_true(m("[a-z]", "q"));
	assert_false(m("[a-z]", "Q"));
	assert_true(m("[^a]", "b"));
	assert_false(m("[^a]", "a"));
	assert_true(m("[!a]", "!")); /* no negation */
	assert_true(m("[!a]", "a"));
	assert_false(m("[!a]", "b"));
	assert_true(m("[\\]]", "]"));
	assert_true(m("[a\\-z]", "-"));
	assert_false(m("[a\\-z]", "b"));
	assert_false(m("a[^x]b", "a/b"));
	assert_true(m("[\xc3\xa4-\xc3\xb6]", "\xc3\xa5"));
}

static void
test_escapes(void **state)
{
	(void)state;
	assert_true(m("\\*", "*"));
	assert_false(m("\\*", "a"));
	assert_true(m("\\{a,b\\}", "{a,b}"));
	assert_true(m("a\\?", "a?"));
}

static void
test_star_and_question_mark_stop_at_slash(void **state)
{
	(void)state;
	assert_false(m("a*c", "a/c"));
	assert_false(m("*", "a/"));
}

static void
test_doublestar_inside_an_element_is_a_star(void **state)
{
	(void)state;
	assert_true(m("a**", "abc"));
	assert_false(m("a**", "ab/c"));
	assert_false(m("**a", "b/a"));
	assert_true(m("**.c/x", "y.c/x"));
}

static void
test_patterns_are_not_cleaned(void **state)
{
	(void)state;
	assert_false(m("./f", "f"));
	assert_false(m("f/", "f"));
	assert_false(m("/f", "f"));
	assert_false(m("a//b", "a/b"));
	assert_false(m("", "a"));
}

static void
test_malformed_fails(void **state)
{
	(void)state;
	refused("[a", "syntax error");
	refused("x/[", "syntax error");
	refused("[]", "syntax error");
	refused("[]a]", "syntax error");
	refused("[a-]", "syntax error");
	refused("[-a]", "syntax error");
	refused("[a/b]", "syntax error");
	refused("{a,b", "syntax error");
	refused("a\\", "syntax error");
	refused("{a,[b}", "syntax error");
}

static void
test_bombs_are_refused(void **state)
{
	(void)state;
	refused("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "more than 1024");
	char *many = malloc(4000);
	for (int i = 0; i < 1300; i++)
		memcpy(many + 3 * i, "{a}", 4);
	refused(many, "more than 64");
	free(many);
	char *longest = calloc(1, 5002);
	memset(longest, 'a', 5001);
	refused(longest, "longer than 4096");
	free(longest);
}

/* Exponential in naive matchers. */
static void
test_hard_patterns_end_quickly(void **state)
{
	(void)state;
	char path[4000], pattern[400];

	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	for (int i = 0; i < 100; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	memcpy(pattern + 200, "b", 2);
	assert_false(m(pattern, path));
	for (size_t i = 1; i < sizeof(path) - 1; i += 2)
		path[i] = '/';
	for (int i = 0; i < 60; i++)
		memcpy(pattern + 5 * i, "**/a/", 5);
	memcpy(pattern + 300, "b", 2);
	assert_false(m(pattern, path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_star_is_one_level_with_dot_files),
		cmocka_unit_test(test_doublestar_is_everything),
		cmocka_unit_test(test_direct_children),
		cmocka_unit_test(test_everything_under_not_itself),
		cmocka_unit_test(test_plain_name_is_only_the_entry),
		cmocka_unit_test(test_txt_at_any_depth),
		cmocka_unit_test(test_alternatives),
		cmocka_unit_test(test_question_mark),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_star_and_question_mark_stop_at_slash),
		cmocka_unit_test(test_doublestar_inside_an_element_is_a_star),
		cmocka_unit_test(test_patterns_are_not_cleaned),
		cmocka_unit_test(test_malformed_fails),
		cmocka_unit_test(test_bombs_are_refused),
		cmocka_unit_test(test_hard_patterns_end_quickly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
