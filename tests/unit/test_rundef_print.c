/* Printing: canonical text, and the same again after it was parsed. */
#include "common/mem.h"
#include "rundef/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct rundef *
parse(const char *text, size_t n)
{
	struct rundef_diags diags;
	struct rundef *d = NULL;

	if (rundef_parse(&d, &diags, text, n)) {
		auto_buf out = BUF_INIT;
		rundef_diags_print(&out, &diags, "test");
		fail_msg("%s in\n%s", buf_str(&out), text);
	}
	rundef_diags_fini(&diags);
	return d;
}

static void
check(const char *text, const char *expected)
{
	auto_buf first = BUF_INIT;
	auto_buf second = BUF_INIT;
	struct rundef *d = parse(text, strlen(text));

	rundef_print_json(&first, d);
	rundef_free(d);
	if (expected)
		assert_string_equal(buf_str(&first), expected);
	d = parse(buf_str(&first), first.len);
	rundef_print_json(&second, d);
	rundef_free(d);
	assert_string_equal(buf_str(&first), buf_str(&second));
}

static void
test_whole(void **state)
{
	(void)state;
	check("runs:\n"
	      "- name: r\n"
	      "  task_timeout_interval: 90m\n"
	      "  when: {branch: master, ref: {exclude: ['#a/b#', x]}}\n"
	      "  tasks:\n"
	      "  - name: t\n"
	      "    runtime: {arch: amd64, containers: [{image: i, volumes: [{path: /a, tmpfs: {}}, "
	      "{path: /b, tmpfs: {size: 1Ki}}], entrypoint: 'a  b'}]}\n"
	      "    environment: {A: '', B: {from_variable: v}}\n"
	      "    docker_registries_auth: {x: {username: u}}\n"
	      "    steps:\n"
	      "    - clone:\n"
	      "    - run: make\n"
	      "    - save_cache: {key: k, contents: [{source_dir: s}]}\n"
	      "  - {name: u, runtime: {containers: [{image: i}]}, depends: [t]}\n",
	    "{\n"
	    "  \"runs\": [\n"
	    "    {\n"
	    "      \"name\": \"r\",\n"
	    "      \"when\": {\n"
	    "        \"branch\": {\n"
	    "          \"include\": [\n"
	    "            \"master\"\n"
	    "          ]\n"
	    "        },\n"
	    "        \"ref\": {\n"
	    "          \"exclude\": [\n"
	    "            \"/a/b/\",\n"
	    "            \"x\"\n"
	    "          ]\n"
	    "        }\n"
	    "      },\n"
	    "      \"tasks\": [\n"
	    "        {\n"
	    "          \"name\": \"t\",\n"
	    "          \"task_timeout_interval\": \"90m\",\n"
	    "          \"docker_registries_auth\": {\n"
	    "            \"x\": {\n"
	    "              \"type\": \"basic\",\n"
	    "              \"username\": \"u\"\n"
	    "            }\n"
	    "          },\n"
	    "          \"runtime\": {\n"
	    "            \"type\": \"pod\",\n"
	    "            \"arch\": \"amd64\",\n"
	    "            \"containers\": [\n"
	    "              {\n"
	    "                \"image\": \"i\",\n"
	    "                \"entrypoint\": \"a  b\",\n"
	    "                \"volumes\": [\n"
	    "                  {\n"
	    "                    \"path\": \"/a\",\n"
	    "                    \"tmpfs\": {}\n"
	    "                  },\n"
	    "                  {\n"
	    "                    \"path\": \"/b\",\n"
	    "                    \"tmpfs\": {\n"
	    "                      \"size\": 1024\n"
	    "                    }\n"
	    "                  }\n"
	    "                ]\n"
	    "              }\n"
	    "            ]\n"
	    "          },\n"
	    "          \"environment\": {\n"
	    "            \"A\": \"\",\n"
	    "            \"B\": {\n"
	    "              \"from_variable\": \"v\"\n"
	    "            }\n"
	    "          },\n"
	    "          \"working_dir\": \"~/project\",\n"
	    "          \"shell\": \"/bin/sh -e\",\n"
	    "          \"steps\": [\n"
	    "            {\n"
	    "              \"clone\": {\n"
	    "                \"name\": \"Clone repository and checkout code\"\n"
	    "              }\n"
	    "            },\n"
	    "            {\n"
	    "              \"run\": {\n"
	    "                \"name\": \"make\",\n"
	    "                \"command\": \"make\"\n"
	    "              }\n"
	    "            },\n"
	    "            {\n"
	    "              \"save_cache\": {\n"
	    "                \"name\": \"save cache\",\n"
	    "                \"key\": \"k\",\n"
	    "                \"contents\": [\n"
	    "                  {\n"
	    "                    \"source_dir\": \"s\",\n"
	    "                    \"paths\": [\n"
	    "                      \"**\"\n"
	    "                    ]\n"
	    "                  }\n"
	    "                ]\n"
	    "              }\n"
	    "            }\n"
	    "          ]\n"
	    "        },\n"
	    "        {\n"
	    "          \"name\": \"u\",\n"
	    "          \"depends\": [\n"
	    "            {\n"
	    "              \"task\": \"t\",\n"
	    "              \"conditions\": [\n"
	    "                \"on_success\"\n"
	    "              ]\n"
	    "            }\n"
	    "          ],\n"
	    "          \"task_timeout_interval\": \"90m\",\n"
	    "          \"runtime\": {\n"
	    "            \"type\": \"pod\",\n"
	    "            \"containers\": [\n"
	    "              {\n"
	    "                \"image\": \"i\"\n"
	    "              }\n"
	    "            ]\n"
	    "          },\n"
	    "          \"working_dir\": \"~/project\",\n"
	    "          \"shell\": \"/bin/sh -e\"\n"
	    "        }\n"
	    "      ]\n"
	    "    }\n"
	    "  ]\n"
	    "}\n");
}

static void
test_texts(void **state)
{
	/* What YAML treats specially in a text, also where JSON does not. */
	static const char *const names[] = { "yes", "5", "~", "", "a\\nb", "tab\\t", "\\x7f",
		"\\x85", "\\u2028", "\\ufeff", "\\U0001f600", "\\\"\\\\", " x ", "# no", "<<",
		"\xc3\xa9", "\\x1f", "a: b", "'" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		auto_free char *text =
		    xasprintf("runs: [{name: \"n%s\", tasks: [{name: t, runtime: "
		              "{containers: [{image: \"%s\"}]}, environment: "
		              "{\"%s\": \"%s\"}}]}]",
		        names[i], names[i], names[i], names[i]);
		check(text, NULL);
	}
	check("runs: [{name: r}]", "{\n  \"runs\": [\n    {\n      \"name\": \"r\",\n"
	                           "      \"tasks\": []\n    }\n  ]\n}\n");
}

static void
test_durations(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = { { 0, "0" }, { 1, "1ns" }, { 1000, "1us" }, { 1500000, "1500us" },
		{ 1500000000, "1500ms" }, { 90000000000, "90s" }, { 5400000000000, "90m" },
		{ 7200000000000, "2h" }, { INT64_MAX, "9223372036854775807ns" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *text = rundef_duration_text(cases[i].ns);
		assert_string_equal(text, cases[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
