/* YAML as positioned trees: types, aliases, merges, duplicates, places, bounds. */
#include "common/buf.h"
#include "common/mem.h"
#include "common/yaml_doc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct yaml_doc *
parse_n(const char *text, size_t n)
{
	struct yaml_doc *doc = NULL;
	struct yaml_pos pos;
	auto_err err = NULL;

	if (yaml_doc_parse(&doc, text, n, &pos, &err) != 0)
		fail_msg("%u:%u: %s in %.80s", pos.line, pos.col, err_msg(err), text);
	return doc;
}

static struct yaml_doc *
parse(const char *text)
{
	return parse_n(text, strlen(text));
}

/* line 0: anywhere */
static void
check_refused(const char *text, size_t n, unsigned line, unsigned col, const char *part)
{
	struct yaml_doc *doc = NULL;
	struct yaml_pos pos = { 0, 0 };
	auto_err err = NULL;

	if (yaml_doc_parse(&doc, text, n, &pos, &err) != ERR_INVALID)
		fail_msg("accepted: %.80s", text);
	assert_null(doc);
	if (!strstr(err_msg(err), part) || (line && (pos.line != line || pos.col != col)))
		fail_msg("%u:%u: %s for %.80s", pos.line, pos.col, err_msg(err), text);
	assert_true(pos.line >= 1 && pos.col >= 1);
}
#define REFUSED(text, line, col, part) check_refused(text, strlen(text), line, col, part)

static void
test_types(void **state)
{
	static const struct {
		const char *text;
		enum yaml_type type;
		double number;
	} cases[] = { { "text", YAML_STRING, 0 }, { "'5'", YAML_STRING, 0 },
		{ "\"true\"", YAML_STRING, 0 }, { "''", YAML_STRING, 0 }, { "~", YAML_NULL, 0 },
		{ "null", YAML_NULL, 0 }, { "NULL", YAML_NULL, 0 }, { "nUll", YAML_STRING, 0 },
		{ "y", YAML_BOOL, 1 }, { "Yes", YAML_BOOL, 1 }, { "ON", YAML_BOOL, 1 },
		{ "true", YAML_BOOL, 1 }, { "n", YAML_BOOL, 0 }, { "No", YAML_BOOL, 0 },
		{ "OFF", YAML_BOOL, 0 }, { "FALSE", YAML_BOOL, 0 }, { "yEs", YAML_STRING, 0 },
		{ "5", YAML_INT, 5 }, { "-5", YAML_INT, -5 }, { "+5", YAML_INT, 5 },
		{ "0", YAML_INT, 0 }, { "0777", YAML_INT, 511 }, { "0o17", YAML_INT, 15 },
		{ "0x10", YAML_INT, 16 }, { "0b101", YAML_INT, 5 }, { "1_000", YAML_INT, 1000 },
		{ "1e3", YAML_FLOAT, 1000 }, { ".5", YAML_FLOAT, 0.5 }, { "1.10", YAML_FLOAT, 1.1 },
		{ "-1.5e-3", YAML_FLOAT, -0.0015 }, { "08", YAML_FLOAT, 8 },
		{ "9223372036854775807", YAML_INT, 9223372036854775807.0 },
		{ "9223372036854775808", YAML_FLOAT, 9223372036854775808.0 },
		{ "-9223372036854775808", YAML_INT, -9223372036854775808.0 },
		{ "0X1F", YAML_INT, 31 }, { "0O17", YAML_INT, 15 }, { "-0B11", YAML_INT, -3 },
		{ "+0x10", YAML_INT, 16 }, { ".INF", YAML_FLOAT, INFINITY },
		{ ".InF", YAML_STRING, 0 }, { "1.", YAML_FLOAT, 1 }, { "1E-2", YAML_FLOAT, 0.01 },
		{ "!!str 5", YAML_STRING, 0 }, { "!!str yes", YAML_STRING, 0 },
		{ "! 5", YAML_STRING, 0 }, { "!!int '5'", YAML_INT, 5 },
		{ "!!float 5", YAML_FLOAT, 5 }, { "!!bool 'on'", YAML_BOOL, 1 },
		{ "!!null ''", YAML_NULL, 0 }, { "!own 5", YAML_STRING, 0 },
		{ "!!timestamp 2001-01-01", YAML_STRING, 0 }, { "!!seq [a]", YAML_LIST, 0 },
		{ "1e400", YAML_STRING, 0 }, { "-.inf", YAML_FLOAT, -INFINITY },
		{ "1:30", YAML_STRING, 0 }, { "2001-01-01", YAML_STRING, 0 },
		{ "1.2.3", YAML_STRING, 0 }, { "-", YAML_LIST, 0 }, { "+", YAML_STRING, 0 },
		{ ".", YAML_STRING, 0 }, { "..", YAML_STRING, 0 }, { "0x", YAML_STRING, 0 },
		{ "0xg", YAML_STRING, 0 }, { "--5", YAML_STRING, 0 }, { "1e", YAML_STRING, 0 },
		{ "5a", YAML_STRING, 0 }, { "inf", YAML_STRING, 0 }, { "nan", YAML_STRING, 0 },
		{ "0b2", YAML_STRING, 0 }, { "[]", YAML_LIST, 0 }, { "{}", YAML_MAP, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_yaml *doc = parse(cases[i].text);
		const struct yaml_node *n = yaml_doc_root(doc);
		if (n->type != cases[i].type)
			fail_msg("%s is %s", cases[i].text, yaml_type_name(n->type));
		if (n->type == YAML_BOOL)
			assert_int_equal(n->boolean, (int)cases[i].number);
		if ((n->type == YAML_INT || n->type == YAML_FLOAT) && n->number != cases[i].number)
			fail_msg("%s reads as %g", cases[i].text, n->number);
	}
	auto_free char *digits = xasprintf("%0127d", 1);
	auto_yaml *doc = parse(digits); /* below the bound a number, from it on text */
	assert_int_equal(yaml_doc_root(doc)->type, YAML_INT);
	auto_free char *more = xasprintf("%0128d", 1);
	auto_yaml *other = parse(more);
	assert_int_equal(yaml_doc_root(other)->type, YAML_STRING);
}

static void
test_empty(void **state)
{
	static const char *const texts[] = { "", "\n\n", "# only this\n", "---\n", "~",
		"\xef\xbb\xbf" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		auto_yaml *doc = parse(texts[i]);
		if (yaml_doc_root(doc)->type != YAML_NULL)
			fail_msg("case %zu", i);
		assert_null(yaml_get(yaml_doc_root(doc), "a"));
	}
	auto_yaml *first = parse("a: 1\n---\na: 2\n---\n[broken");
	assert_int_equal(yaml_get(yaml_doc_root(first), "a")->integer, 1);
	/* Not terminated: len counts. */
	auto_yaml *cut = parse_n("[a, b]c", 6);
	assert_int_equal(yaml_doc_root(cut)->n, 2);
	yaml_doc_free(NULL);
}

static void
check_pos(const struct yaml_node *n, unsigned line, unsigned col)
{
	assert_non_null(n);
	if (n->pos.line != line || n->pos.col != col)
		fail_msg("%s at %u:%u, not %u:%u", n->text ? n->text : yaml_type_name(n->type),
		    n->pos.line, n->pos.col, line, col);
}

static void
test_positions(void **state)
{
	auto_yaml *doc = parse("# comment\n"
	                       "a:   x\n"
	                       "list:\n"
	                       "  - one\n"
	                       "  -   {k: v, l: [1, 2]}\n"
	                       "block: |\n"
	                       "  text\n"
	                       "\xc3\xa9\xe2\x82\xac: z\n"
	                       "'q': \"r\"\n"
	                       "empty:\n");
	const struct yaml_node *root = yaml_doc_root(doc);
	const struct yaml_node *list = yaml_get(root, "list"), *map = list->items[1];

	(void)state;
	check_pos(root, 2, 1);
	check_pos(root->pairs[0].key, 2, 1);
	check_pos(root->pairs[0].value, 2, 6);
	check_pos(list, 4, 3);
	check_pos(list->items[0], 4, 5);
	check_pos(map, 5, 7);
	check_pos(yaml_get_pair(map, "k")->key, 5, 8);
	check_pos(yaml_get(map, "k"), 5, 11);
	check_pos(yaml_get(map, "l"), 5, 17);
	check_pos(yaml_get(map, "l")->items[1], 5, 21);
	check_pos(yaml_get(root, "block"), 6, 8);
	/* Columns are characters, not bytes. */
	check_pos(yaml_get(root, "\xc3\xa9\xe2\x82\xac"), 8, 5);
	check_pos(yaml_get_pair(root, "q")->key, 9, 1);
	check_pos(yaml_get(root, "q"), 9, 6);
	assert_true(yaml_get(root, "q")->quoted && yaml_get(root, "block")->quoted);
	assert_false(yaml_get(root, "a")->quoted);
	assert_string_equal(yaml_get(root, "block")->text, "text\n");
	assert_int_equal(yaml_get(root, "empty")->type, YAML_NULL);
}

static void
test_lookup(void **state)
{
	auto_yaml *doc = parse("KEY: upper\nkey: exact\nOther: o\n5: number\n");
	const struct yaml_node *root = yaml_doc_root(doc);

	(void)state;
	assert_string_equal(yaml_get(root, "key")->text, "exact");
	assert_string_equal(yaml_get(root, "KEY")->text, "upper");
	assert_string_equal(yaml_get(root, "Key")->text, "exact"); /* the last by bytes */
	assert_string_equal(yaml_get(root, "oTHER")->text, "o");
	assert_string_equal(yaml_get(root, "5")->text, "number");
	assert_null(yaml_get(root, "none"));
	assert_null(yaml_get(yaml_get(root, "key"), "key"));
	assert_null(yaml_get(NULL, "key"));
}

static void
test_duplicates(void **state)
{
	auto_yaml *doc = parse("a: 1\nb: 2\na: 3\nb: 4\na: 5\n");
	const struct yaml_node *root = yaml_doc_root(doc);

	(void)state;
	assert_int_equal(root->n, 2);
	assert_int_equal(yaml_get(root, "a")->integer, 5);
	assert_int_equal(yaml_get(root, "b")->integer, 4);
	check_pos(root->duplicate, 3, 1);
	auto_yaml *cases = parse("a: 1\nA: 2\n"); /* of another spelling is another key */
	assert_int_equal(yaml_doc_root(cases)->n, 2);
	assert_null(yaml_doc_root(cases)->duplicate);
	auto_yaml *merged = parse("x: &x {a: 1}\ny: {<<: *x, a: 2}\n");
	assert_null(yaml_get(yaml_doc_root(merged), "y")->duplicate);
}

static void
test_aliases(void **state)
{
	auto_yaml *doc = parse("base: &b {a: 1, l: [x]}\nsame: *b\nlist: [*b, *b]\n");
	const struct yaml_node *root = yaml_doc_root(doc), *base = yaml_get(root, "base");

	(void)state;
	assert_ptr_equal(yaml_get(root, "same"), base);
	assert_ptr_equal(yaml_get(root, "list")->items[1], base);
	check_pos(yaml_get(root, "same"), 1, 7);
	/* A name may be given again; an alias means the last one before it. */
	auto_yaml *again = parse("[&a 1, *a, &a 2, *a]");
	assert_int_equal(yaml_doc_root(again)->items[1]->integer, 1);
	assert_int_equal(yaml_doc_root(again)->items[3]->integer, 2);
	auto_buf many = BUF_INIT;
	for (int i = 0; i < 50000; i++)
		buf_printf(&many, "- &n%d %d\n", i, i);
	buf_puts(&many, "- *n7\n- *n49999\n");
	auto_yaml *wide = parse_n(many.data, many.len);
	assert_int_equal(yaml_doc_root(wide)->items[50000]->integer, 7);
	assert_int_equal(yaml_doc_root(wide)->items[50001]->integer, 49999);
	REFUSED("a: *none\n", 1, 4, "not defined");
	REFUSED("&a [x, *a]", 1, 1, "contains itself");
	REFUSED("x: &a {b: {c: *a}}", 1, 4, "contains itself");
	REFUSED("&a {*a : b}", 0, 0, "contains itself");
}

static void
test_merge(void **state)
{
	auto_yaml *doc = parse("one: &one {a: 1, b: 1}\n"
	                       "two: &two {b: 2, c: 2}\n"
	                       "above: {a: own, <<: *one}\n"
	                       "below: {<<: *one, a: own}\n"
	                       "several: {<<: [*two, *one], d: 3}\n"
	                       "twice: {<<: *two, <<: *one}\n"
	                       "again: {a: own, <<: *one, a: last}\n"
	                       "nested: {<<: {<<: *one, b: own}, <<: [{c: 4}]}\n"
	                       "quoted: {'<<': 1}\n");
	const struct yaml_node *root = yaml_doc_root(doc), *above = yaml_get(root, "above"),
	                       *below = yaml_get(root, "below"),
	                       *several = yaml_get(root, "several"),
	                       *twice = yaml_get(root, "twice"), *again = yaml_get(root, "again"),
	                       *nested = yaml_get(root, "nested");

	(void)state;
	/* As go-yaml: in the order of the text, but the first mapping of a list wins. */
	assert_int_equal(yaml_get(above, "a")->integer, 1);
	check_pos(above->before_merge, 3, 9);
	assert_int_equal(yaml_get(above, "b")->integer, 1);
	check_pos(yaml_get_pair(above, "b")->merged_by, 3, 17);
	assert_int_equal(above->n, 2);
	assert_string_equal(yaml_get(below, "a")->text, "own");
	assert_null(yaml_get_pair(below, "a")->merged_by);
	assert_null(below->before_merge);
	assert_null(below->duplicate);
	assert_int_equal(below->n, 2);
	assert_null(several->before_merge);
	assert_int_equal(yaml_get(several, "b")->integer, 2);
	assert_int_equal(several->n, 4);
	assert_int_equal(yaml_get(twice, "b")->integer, 1);
	assert_int_equal(twice->n, 3);
	assert_null(twice->before_merge);
	assert_string_equal(yaml_get(again, "a")->text, "last");
	assert_string_equal(yaml_get(nested, "b")->text, "own");
	assert_int_equal(yaml_get(nested, "c")->integer, 4);
	assert_int_equal(nested->n, 3);
	assert_int_equal(yaml_get(yaml_get(root, "quoted"), "<<")->integer, 1);
	REFUSED("a: {b: c, <<: 5}", 1, 11, "merge key");
	REFUSED("a: {<<: [5]}", 1, 10, "merge key");
	REFUSED("a: {<<: }", 1, 5, "merge key");
}

/* A large mapping merged very often: refused where it is too much, before anything is made of it.
 */
static void
test_merge_bombs(void **state)
{
	static const struct {
		const char *open, *part, *close;
		unsigned col;
	} cases[] = {
		{ "{", "<<: *a,", "}", 170 },
		{ "[", "{<<: *a},", "]", 217 },
		{ "[[[", "{<<: *a}]],[[", "]]]", 311 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_buf b = BUF_INIT;
		buf_puts(&b, "a: &a {");
		for (int k = 0; k < 40000; k++)
			buf_printf(&b, "k%d: 1,", k);
		buf_printf(&b, "}\nb: %s", cases[i].open);
		for (int k = 0; k < 20000; k++)
			buf_puts(&b, cases[i].part);
		buf_puts(&b, cases[i].close);
		/* 40000 keys and as many values: the 25th time is too often. */
		check_refused(b.data, b.len, 2, cases[i].col, "too many nodes");
	}
}

/* A thousand keys, each found; merges of merges. */
static void
test_many_keys(void **state)
{
	auto_buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 20000; i++)
		buf_printf(&b, "key%d: %d\n", i, i);
	buf_puts(&b, "key7: last\n");
	auto_yaml *doc = parse_n(b.data, b.len);
	const struct yaml_node *root = yaml_doc_root(doc);
	assert_int_equal(root->n, 20000);
	assert_int_equal(yaml_get(root, "key19999")->integer, 19999);
	assert_string_equal(yaml_get(root, "key7")->text, "last");
	check_pos(root->duplicate, 20001, 1);
}

static char *
nested(size_t depth, const char *inside, const char *open, const char *close)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < depth; i++)
		buf_puts(&b, open);
	buf_puts(&b, inside);
	for (size_t i = 0; i < depth; i++)
		buf_puts(&b, close);
	return buf_take(&b);
}

static void
test_depth(void **state)
{
	auto_free char *most = nested(YAML_DEPTH_MAX, "", "[", "]");
	auto_free char *more = nested(YAML_DEPTH_MAX + 1, "", "[", "]");
	auto_free char *maps = nested(YAML_DEPTH_MAX + 1, "x", "{a: ", "}");
	auto_free char *open = nested(500000, "", "[", "");
	auto_free char *dashes = nested(300000, "x", "- ", "");

	(void)state;
	auto_yaml *doc = parse(most);
	assert_int_equal(yaml_doc_root(doc)->type, YAML_LIST);
	REFUSED(more, 1, YAML_DEPTH_MAX + 1, "too deeply");
	REFUSED(maps, 0, 0, "too deeply");
	REFUSED(open, 1, YAML_DEPTH_MAX + 1, "too deeply");
	REFUSED(dashes, 0, 0, "too deeply");
	/* By aliases: each level holds the one before. */
	auto_buf b = BUF_INIT;
	buf_puts(&b, "- &a0 x\n");
	for (int i = 1; i <= YAML_DEPTH_MAX; i++)
		buf_printf(&b, "- &a%d [*a%d]\n", i, i - 1);
	struct yaml_doc *laid = NULL;
	struct yaml_pos pos;
	int rc = yaml_doc_parse(&laid, b.data, b.len, &pos, NULL);
	assert_true(rc == 0 || rc == ERR_INVALID); /* nodes are shared: depth of the text counts */
	yaml_doc_free(laid);
}

/* Ten to the power of many, in a few lines. */
static void
test_alias_bombs(void **state)
{
	auto_buf lists = BUF_INIT, maps = BUF_INIT, fits = BUF_INIT;

	(void)state;
	buf_puts(&lists, "- &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	buf_puts(&maps, "a0: &a0 {k: x}\n");
	for (int i = 1; i < 30; i++) {
		buf_printf(&lists, "- &a%d [*a%d,*a%d,*a%d,*a%d]\n", i, i - 1, i - 1, i - 1, i - 1);
		buf_printf(
		    &maps, "a%d: &a%d {k: *a%d, l: *a%d, m: *a%d}\n", i, i, i - 1, i - 1, i - 1);
	}
	check_refused(lists.data, lists.len, 0, 0, "too many nodes");
	check_refused(maps.data, maps.len, 0, 0, "too many nodes");
	buf_puts(&fits, "- &a [");
	for (int i = 0; i < 1000; i++)
		buf_puts(&fits, "x,");
	buf_puts(&fits, "]\n");
	for (int i = 0; i < 1500; i++)
		buf_puts(&fits, "- *a\n");
	auto_yaml *doc = parse_n(fits.data, fits.len); /* 1.5 million of 2 */
	assert_int_equal(yaml_doc_root(doc)->n, 1501);
	for (int i = 0; i < 600; i++)
		buf_puts(&fits, "- *a\n");
	check_refused(fits.data, fits.len, 0, 0, "too many nodes");
}

static void
test_refused(void **state)
{
	(void)state;
	REFUSED("a: [1, 2", 0, 0, "");
	REFUSED("a: b: c", 1, 5, "");
	REFUSED("a: 1\n b: 2\n", 2, 3, "");
	REFUSED("a: 'open", 0, 0, "");
	REFUSED("a:\n\t- b", 2, 1, "");
	REFUSED("? [a]\n: b", 1, 3, "key must be text");
	REFUSED("{c: d, [a]: b}", 1, 8, "key must be text");
	REFUSED("\"a\\0b\"", 1, 1, "NUL");
	REFUSED("a: !!int x", 1, 4, "does not fit its tag");
	REFUSED("a: !!bool 1", 1, 4, "does not fit its tag");
	REFUSED("a: !!binary aGk=", 1, 4, "!!binary is not supported");
	REFUSED("a: \xff\xfe", 0, 0, "");
	REFUSED("a: \"\\ud800\"", 0, 0, "");
	REFUSED("%YAML 9.9\n---\na", 0, 0, "");
	check_refused("a: \0b", 5, 0, 0, "");
	check_refused("\x01", 1, 0, 0, "");
}

/* Every beginning, and every single byte changed: a tree or a message, never worse. */
static void
test_spoilt(void **state)
{
	static const char text[] = "a: &x {b: [1, 'two', \"th\\nree\"], <<: {c: d}}\n"
	                           "e: *x\nf: |\n  block\n? g\n: !!str h\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++)
		for (int byte = -1; byte < 256; byte += byte < 0 ? 1 : 5) {
			char copy[sizeof(text)];
			struct yaml_doc *doc = NULL;
			struct yaml_pos pos;
			memcpy(copy, text, sizeof(text));
			if (byte >= 0)
				copy[n] = (char)byte;
			size_t len = byte < 0 ? n : sizeof(text) - 1;
			int rc = yaml_doc_parse(&doc, copy, len, &pos, NULL);
			assert_true((rc == 0) == (doc != NULL));
			yaml_doc_free(doc);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_bombs),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_alias_bombs),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_spoilt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
