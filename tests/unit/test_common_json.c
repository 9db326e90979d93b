/* Reading foreign JSON: wrong types and odd texts are absent values, never worse. */
#include "common/json.h"
#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *
parse(const char *text)
{
	json_t *j = NULL;

	assert_int_equal(json_parse(&j, text, strlen(text), NULL), 0);
	return j;
}

static void
test_values(void **state)
{
	auto_json *j =
	    parse("{\"t\":\"x\",\"e\":\"\",\"i\":-5,\"big\":9223372036854775807,\"r\":1.0,"
	          "\"b\":true,\"f\":false,\"n\":null,\"l\":[],\"o\":{}}");

	(void)state;
	assert_string_equal(json_text(j, "t"), "x");
	assert_string_equal(json_text(j, "e"), "");
	assert_null(json_text(j, "i"));
	assert_null(json_text(j, "n"));
	assert_null(json_text(j, "l"));
	assert_null(json_text(j, "absent"));
	assert_int_equal(json_int(j, "i", 9), -5);
	assert_true(json_int(j, "big", 9) == INT64_MAX);
	assert_int_equal(json_int(j, "r", 9), 9); /* 1.0 is no whole number here */
	assert_int_equal(json_int(j, "t", 9), 9);
	assert_int_equal(json_int(j, "b", 9), 9);
	assert_int_equal(json_int(j, "absent", 9), 9);
	assert_true(json_flag(j, "b", false));
	assert_false(json_flag(j, "f", true));
	assert_true(json_flag(j, "i", true));
	assert_true(json_flag(j, "n", true));
	assert_false(json_flag(j, "absent", false));
}

static void
test_names(void **state)
{
	auto_json *j = parse("{\"NAME\":\"upper\",\"name\":\"exact\",\"Other\":\"o\",\"nil\":null,"
	                     "\"NIL\":\"x\"}");

	(void)state;
	assert_string_equal(json_text(j, "name"), "exact");
	assert_string_equal(json_text(j, "NAME"), "upper");
	assert_string_equal(json_text(j, "oTHER"), "o");
	assert_null(json_member(j, "nil")); /* given as null: not another spelling's value */
	assert_null(json_member(j, "othe"));
	assert_null(json_member(j, ""));
}

static void
test_no_object(void **state)
{
	static const char *const texts[] = { "[]", "[{\"a\":1}]", "5", "\"a\"", "null", "true" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		auto_json *j = parse(texts[i]);
		assert_null(json_member(j, "a"));
		assert_null(json_text(j, "a"));
		assert_int_equal(json_int(j, "a", 3), 3);
		assert_true(json_flag(j, "a", true));
	}
	assert_null(json_member(NULL, "a"));
	assert_int_equal(json_int(NULL, "a", 3), 3);
}

static void
check_refused(const char *text, size_t n)
{
	json_t *j = NULL;
	auto_err err = NULL;

	if (json_parse(&j, text, n, &err) != ERR_INVALID)
		fail_msg("accepted: %.60s", text);
	assert_null(j);
	assert_int_equal(strncmp(err_msg(err), "line ", 5), 0);
}

static void
test_refused(void **state)
{
	static const char *const bad[] = { "", " ", "{", "[1,", "{\"a\"}", "{a:1}", "'a'", "nul",
		"+1", "01", "1e999", "\"\xff\"", "\"a\\u0000b\"", "{\"a\\u0000\":1}", "\"\\ud800\"",
		"\"\n\"", "9223372036854775808" };
	auto_err err = NULL;
	json_t *j = NULL;
	auto_free char *deep = xcalloc(1, 1000001);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_refused(bad[i], strlen(bad[i]));
	assert_int_equal(json_parse(&j, "{\n  \"a\": x}", 11, &err), ERR_INVALID);
	assert_int_equal(strncmp(err_msg(err), "line 2, column 8", 16), 0);
	memset(deep, '[', 1000000);
	check_refused(deep, 1000000);
	/* Not terminated: n counts. */
	check_refused("[1]", 2);
	assert_int_equal(json_parse(&j, "[1]x", 3, NULL), 0);
	json_decref(j);
}

static void
test_first_value(void **state)
{
	auto_json *j = parse("{\"a\":1} {\"a\":2} rubbish");

	(void)state;
	assert_int_equal(json_int(j, "a", 0), 1);
}

static void
test_print(void **state)
{
	static const char text[] = "{\"b\":[1,2.5,\"\\n\\\"\\u001b\xc3\xa9\"],\"a\":null}";
	auto_json *j = parse(text), *s = parse("\"x\"");
	auto_free char *out = json_print(j);
	auto_free char *scalar = json_print(s);

	(void)state;
	auto_json *back = parse(out);
	assert_true(json_equal(j, back));
	assert_null(strpbrk(out, " \n\033"));
	assert_string_equal(scalar, "\"x\"");
}

static void
test_append_max(void **state)
{
	auto_json *list = json_array();

	(void)state;
	for (int i = 0; i < 5; i++)
		json_append_max(list, 3, json_integer(i));
	assert_int_equal(json_array_size(list), 3);
	assert_int_equal(json_integer_value(json_array_get(list, 2)), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_object),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_first_value),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_append_max),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
