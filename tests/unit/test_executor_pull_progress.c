/* The engine's pull stream as lines for people, and what a hostile one can do. */
#include "common/mem.h"
#include "executor/pull_progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct ex_pull_progress *p;
static struct buf out;

static int
setup(void **state)
{
	(void)state;
	p = ex_pull_progress_new();
	out = (struct buf)BUF_INIT;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ex_pull_progress_free(p);
	buf_free(&out);
	return 0;
}

static void
feed(const char *text)
{
	ex_pull_progress_feed(p, text, strlen(text), &out);
}

#define STREAM                                                                                     \
	"{\"status\":\"Pulling from library/x\",\"id\":\"1.0\"}\r\n"                               \
	"{\"status\":\"Waiting\",\"progressDetail\":{},\"id\":\"aaa\"}\r\n"                        \
	"{\"status\":\"Downloading\",\"progressDetail\":{\"current\":1},\"id\":\"aaa\"}\r\n"       \
	"{\"status\":\"Downloading\",\"progressDetail\":{\"current\":2},\"id\":\"aaa\"}\r\n"       \
	"\r\n"                                                                                     \
	"{\"status\":\"Download complete\",\"id\":\"aaa\"}\r\n"                                    \
	"{\"status\":\"Status: Downloaded newer image\"}\r\n"
#define LINES                                                                                      \
	"  1.0: Pulling from library/x\n  aaa: Downloading\n  aaa: Download complete\n"            \
	"  Status: Downloaded newer image\n"

static void
test_lines(void **state)
{
	(void)state;
	feed(STREAM);
	assert_string_equal(buf_str(&out), LINES);
	assert_null(ex_pull_progress_error(p));
}

static void
test_byte_by_byte(void **state)
{
	(void)state;
	for (const char *s = STREAM; *s; s++)
		ex_pull_progress_feed(p, s, 1, &out);
	assert_string_equal(buf_str(&out), LINES);
}

static void
test_errors(void **state)
{
	(void)state;
	feed("{\"errorDetail\":{\"message\":\"no\\u001b[31m such\\nimage\"}}\n");
	assert_string_equal(ex_pull_progress_error(p), "no [31m such image");
	feed("{\"error\":\"another\",\"status\":\"x\"}\n");
	assert_string_equal(ex_pull_progress_error(p), "no [31m such image"); /* the first */
	assert_int_equal(out.len, 0);
}

static void
test_last_line_without_end(void **state)
{
	(void)state;
	feed("{\"error\":\"cut\"}");
	assert_null(ex_pull_progress_error(p)); /* may still go on */
	feed("\n");
	assert_string_equal(ex_pull_progress_error(p), "cut");
}

static void
test_hostile_values(void **state)
{
	static const char *const lines[] = { "null\n", "[]\n", "5\n", "\"status\"\n", "{\n", "}\n",
		"{\"status\":5}\n", "{\"status\":null,\"id\":{}}\n", "{\"status\":[\"a\"]}\n",
		"{\"error\":{},\"errorDetail\":[]}\n", "{\"error\":false}\n",
		"{\"errorDetail\":{\"message\":[1]}}\n", "{\"errorDetail\":\"text\"}\n",
		"\xff\xfe\n", "{\"status\":\"\xff\"}\n", "{\"status\":\"a\\u0000b\"}\n",
		"{\"status\":1e999}\n", "{\"id\":\"only\"}\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		feed(lines[i]);
	ex_pull_progress_feed(p, "\0\0\n", 3, &out);
	assert_int_equal(out.len, 0);
	assert_null(ex_pull_progress_error(p));
	auto_buf deep = BUF_INIT;
	for (int i = 0; i < 30000; i++)
		buf_putc(&deep, '[');
	buf_putc(&deep, '\n');
	feed(buf_str(&deep));
	feed("{\"status\":\"\\u001b[2J\\r\\t\\u007fx\",\"id\":\"a\\nb\"}\n");
	assert_string_equal(buf_str(&out), "  a b:  [2J   x\n"); /* no control characters */
}

static void
test_endless_line(void **state)
{
	auto_free char *block = xmalloc(100000);

	(void)state;
	memset(block, 'x', 100000);
	feed("{\"status\":\"");
	for (int i = 0; i < 50; i++)
		ex_pull_progress_feed(p, block, 100000, &out);
	feed("\"}\n"); /* skipped as a whole, the next is read */
	feed("{\"status\":\"after\"}\n");
	assert_string_equal(buf_str(&out), "  after\n");
	/* Also when what was kept of it would be an object. */
	memset(block, ' ', 100000);
	feed("{\"status\":\"padded\"}");
	ex_pull_progress_feed(p, block, 100000, &out);
	feed("\n");
	assert_string_equal(buf_str(&out), "  after\n");
	/* Exactly the longest one is read. */
	buf_clear(&out);
	auto_buf line = BUF_INIT;
	buf_puts(&line, "{\"status\":\"fits\",\"id\":\"");
	while (line.len < EX_PULL_LINE_MAX - 2)
		buf_putc(&line, 'i');
	buf_puts(&line, "\"}");
	assert_int_equal(line.len, EX_PULL_LINE_MAX);
	buf_puts(&line, "\n");
	feed(buf_str(&line));
	assert_non_null(strstr(buf_str(&out), "iii: fits\n"));
	assert_true(out.len < 200); /* of a bounded length */
}

static void
test_many_layers(void **state)
{
	(void)state;
	for (int i = 0; i < EX_PULL_LAYERS_MAX * 4; i++) {
		auto_free char *line = xasprintf("{\"status\":\"Downloading\",\"id\":\"%d\"}\n", i);
		feed(line);
	}
	size_t n = 0;
	for (const char *s = buf_str(&out); *s; s++)
		n += *s == '\n';
	assert_int_equal(n, EX_PULL_LAYERS_MAX);
	/* An error is kept whatever came before. */
	feed("{\"error\":\"disk full\"}\n");
	assert_string_equal(ex_pull_progress_error(p), "disk full");
}

static void
test_long_error(void **state)
{
	auto_buf line = BUF_INIT;

	(void)state;
	buf_puts(&line, "{\"error\":\"");
	for (int i = 0; i < 5000; i++)
		buf_putc(&line, 'e');
	buf_puts(&line, "\"}\n");
	feed(buf_str(&line));
	assert_non_null(ex_pull_progress_error(p));
	assert_int_equal(strlen(ex_pull_progress_error(p)), 1023);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_lines),
		CASE(test_byte_by_byte),
		CASE(test_errors),
		CASE(test_last_line_without_end),
		CASE(test_hostile_values),
		CASE(test_endless_line),
		CASE(test_many_layers),
		CASE(test_long_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
