/*
 * The schema for editors against the tables it is made from, and against what the parser says of
 * the examples in the documentation. Run from the top of the tree.
 */
#include "common/config.h"
#include "common/json.h"
#include "common/mem.h"
#include "rundef/rundef_int.h"
#include "rundef/schema.h"
#include "tests/lib/definition.h"

#include <math.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *schema;

static int
setup(void **state)
{
	auto_buf text = BUF_INIT;

	(void)state;
	rundef_schema_print(&text);
	return json_parse(&schema, text.data, text.len, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	json_decref(schema);
	return 0;
}

/* --- every row of the tables --- */

static json_t *
definition(const char *name)
{
	return json_object_get(json_object_get(schema, "definitions"), name);
}

static void
check_object(const struct rd_object *type, const json_t *in, const char *word)
{
	const json_t *properties = json_object_get(in, "properties");
	size_t n = word != NULL;

	if (!properties)
		fail_msg("no definition of %s", type->noun);
	for (const struct rd_field *f = type->fields; f->name; f++, n++) {
		const json_t *field = json_object_get(properties, f->name);

		if (!field || json_object_size(field) < 2)
			fail_msg("%s.%s says nothing", type->noun, f->name);
		if (f->shape && !definition(f->shape))
			fail_msg("%s.%s: no shape %s", type->noun, f->name, f->shape);
		if (f->kind == RD_OBJECT || f->kind == RD_OBJECTS)
			check_object(f->object, definition(f->object->noun), NULL);
	}
	assert_int_equal(json_object_size(properties), n);
	assert_true(json_is_false(json_object_get(in, "additionalProperties")));
}

static void
test_tables(void **state)
{
	const struct rd_object *type;
	const char *word;
	size_t nsteps = 0;

	(void)state;
	check_object(&rundef_top_object, schema, NULL);
	check_object(&rundef_task_object, definition("task"), NULL);
	check_object(&rundef_auth_object, definition("docker registry auth"), NULL);
	check_object(rundef_content_object(), definition("content"), NULL);
	const json_t *both = json_object_get(definition("step"), "anyOf");
	for (; (type = rundef_step_object(nsteps, &word)); nsteps++) {
		check_object(type, definition(type->noun), NULL);
		check_object(type, json_array_get(both, nsteps * 2 + 1), word);
		assert_non_null(json_object_get(
		    json_object_get(json_array_get(both, nsteps * 2), "properties"), word));
	}
	assert_int_equal(nsteps, 6);
	assert_int_equal(json_array_size(both), 12);
}

/* --- as much of a validator as the schema needs; a keyword it does not know is an error --- */

static bool valid(const json_t *s, const json_t *v);

static bool
is_type(const char *name, const json_t *v)
{
	if (strcmp(name, "integer") == 0)
		return json_is_integer(v) ||
		       (json_is_real(v) && json_real_value(v) == floor(json_real_value(v)));
	return (strcmp(name, "string") == 0 && json_is_string(v)) ||
	       (strcmp(name, "number") == 0 && json_is_number(v)) ||
	       (strcmp(name, "boolean") == 0 && json_is_boolean(v)) ||
	       (strcmp(name, "null") == 0 && json_is_null(v)) ||
	       (strcmp(name, "array") == 0 && json_is_array(v)) ||
	       (strcmp(name, "object") == 0 && json_is_object(v));
}

static bool
check_type(const json_t *types, const json_t *v)
{
	bool ok = json_is_string(types) && is_type(json_string_value(types), v);

	for (size_t i = 0; i < json_array_size(types); i++)
		ok |= is_type(json_string_value(json_array_get(types, i)), v);
	return ok;
}

static bool
check_pattern(const char *pattern, const char *text)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	bool ok = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	return ok;
}

static bool
check_members(const json_t *s, const json_t *v)
{
	const json_t *properties = json_object_get(s, "properties");
	const json_t *other = json_object_get(s, "additionalProperties");
	const char *key, *pattern;
	json_t *value, *one;

	json_object_foreach((json_t *)(uintptr_t)v, key, value)
	{
		const json_t *own = json_object_get(properties, key);
		bool by_pattern = false;

		json_object_foreach(json_object_get(s, "patternProperties"), pattern, one)
		    by_pattern |= check_pattern(pattern, key) && valid(one, value);
		if (by_pattern)
			continue;
		if (own ? !valid(own, value)
		        : json_is_false(other) || (other && !valid(other, value)))
			return false;
	}
	return true;
}

static bool
any_of(const json_t *list, const json_t *v)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (valid(json_array_get(list, i), v))
			return true;
	return false;
}

static bool
check_keyword(const json_t *s, const char *key, const json_t *k, const json_t *v)
{
	static const char *const known[] = { "$schema", "title", "description", "definitions",
		"additionalProperties", "patternProperties" };
	double n = json_number_value(k);
	bool ok = true;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(key, known[i]) == 0)
			return true;
	if (strcmp(key, "$ref") == 0)
		return valid(definition(json_string_value(k) + strlen("#/definitions/")), v);
	if (strcmp(key, "type") == 0)
		return check_type(k, v);
	if (strcmp(key, "const") == 0)
		return json_equal(k, v);
	if (strcmp(key, "anyOf") == 0)
		return any_of(k, v);
	if (strcmp(key, "minLength") == 0)
		return !json_is_string(v) || json_string_length(v) >= (size_t)n;
	if (strcmp(key, "minimum") == 0)
		return !json_is_number(v) || json_number_value(v) >= n;
	if (strcmp(key, "maximum") == 0)
		return !json_is_number(v) || json_number_value(v) <= n;
	if (strcmp(key, "minItems") == 0)
		return !json_is_array(v) || json_array_size(v) >= (size_t)n;
	if (strcmp(key, "minProperties") == 0)
		return !json_is_object(v) || json_object_size(v) >= (size_t)n;
	if (strcmp(key, "maxProperties") == 0)
		return !json_is_object(v) || json_object_size(v) <= (size_t)n;
	if (strcmp(key, "pattern") == 0)
		return !json_is_string(v) ||
		       check_pattern(json_string_value(k), json_string_value(v));
	if (strcmp(key, "properties") == 0)
		return check_members(s, v);
	if (strcmp(key, "enum") == 0) {
		for (size_t i = 0; i < json_array_size(k); i++)
			if (json_equal(json_array_get(k, i), v))
				return true;
		return false;
	}
	if (strcmp(key, "allOf") == 0) {
		for (size_t i = 0; i < json_array_size(k); i++)
			ok &= valid(json_array_get(k, i), v);
		return ok;
	}
	if (strcmp(key, "required") == 0) {
		for (size_t i = 0; i < json_array_size(k); i++)
			ok &= json_object_get(v, json_string_value(json_array_get(k, i))) != NULL;
		return ok;
	}
	if (strcmp(key, "items") == 0) {
		for (size_t i = 0; i < json_array_size(v); i++)
			ok &= valid(k, json_array_get(v, i));
		return ok;
	}
	fail_msg("the schema has the keyword %s", key);
	return false;
}

static bool
valid(const json_t *s, const json_t *v)
{
	const char *key;
	json_t *k;

	assert_non_null(s);
	json_object_foreach((json_t *)(uintptr_t)s, key, k)
	{
		if (!check_keyword(s, key, k, v))
			return false;
	}
	/* a mapping of anything has no "properties" */
	return json_object_get(s, "properties") || !json_object_get(s, "additionalProperties") ||
	       check_members(s, v);
}

static json_t *
to_json(const struct yaml_node *n)
{
	json_t *out = NULL;

	switch (n->type) {
	case YAML_NULL:
		return json_null();
	case YAML_BOOL:
		return json_boolean(n->boolean);
	case YAML_INT:
		return json_integer(n->integer);
	case YAML_FLOAT:
		return json_real(n->number);
	case YAML_STRING:
		return json_string(n->text);
	case YAML_LIST:
		out = json_array();
		for (size_t i = 0; i < n->n; i++)
			json_array_append_new(out, to_json(n->items[i]));
		return out;
	case YAML_MAP:
		out = json_object();
		for (size_t i = 0; i < n->n; i++)
			json_object_set_new(out, n->pairs[i].key->text, to_json(n->pairs[i].value));
		return out;
	}
	return out;
}

static bool
fits_schema(const char *text)
{
	auto_yaml *doc = NULL;
	struct yaml_pos pos;
	auto_err err = NULL;

	if (yaml_doc_parse(&doc, text, strlen(text), &pos, &err) != 0)
		fail_msg("%s in\n%s", err_msg(err), text);
	auto_json *j = to_json(yaml_doc_root(doc));
	return valid(schema, j);
}

/* --- the examples --- */

/* Quiet, and valid by the schema. */
static void
check_example(const char *text, unsigned line)
{
	struct parsed p = def_parse(text, strlen(text));

	for (size_t i = 0; i < p.diags.n; i++)
		fail_msg("example at line %u: %s\n%s", line, p.diags.list[i].message, text);
	def_drop(&p);
	if (!fits_schema(text))
		fail_msg("example at line %u does not fit the schema:\n%s", line, text);
}

/* The text of a block, indented, below a head. */
static char *
inside(const char *head, const char *block, unsigned indent)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, head);
	for (const char *line = block; *line;) {
		size_t n = strcspn(line, "\n");

		for (unsigned i = 0; i < indent && n > 0; i++)
			buf_putc(&b, ' ');
		buf_append(&b, line, n);
		buf_putc(&b, '\n');
		line += n + (line[n] == '\n');
	}
	return buf_take(&b);
}

static void
check_block(const char *info, const char *block, unsigned line)
{
	static const struct {
		const char *info, *head;
		unsigned indent;
	} kinds[] = {
		{ "", "", 0 },
		{ " v1", "", 0 },
		{ " steps", "runs:\n- name: r\n  tasks:\n  - name: t\n    " RT "\n    steps:\n",
		    4 },
		{ " when", "runs:\n- name: r\n  tasks:\n  - name: t\n    " RT "\n    when:\n", 6 },
		{ " when v1",
		    "version: v1\nruns:\n- name: r\n  tasks:\n  - name: t\n    " RT "\n    when:\n",
		    6 },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(info, kinds[i].info) != 0)
			continue;
		auto_free char *text = inside(kinds[i].head, block, kinds[i].indent);
		check_example(text, line);
		return;
	}
	fail_msg("example at line %u: what is \"yaml%s\"?", line, info);
}

#define FENCE "```"

static void
test_documentation(void **state)
{
	char *text = NULL;
	size_t n, examples = 0;
	unsigned line = 0;
	auto_buf block = BUF_INIT;
	auto_free char *info = NULL;

	(void)state;
	if (config_read_file(&text, &n, "docs/run-definition.md", 1 << 20, NULL) != 0)
		fail_msg("run from the top of the tree");
	char *rest = text;
	for (const char *at; (at = strsep(&rest, "\n"));) {
		line++;
		if (info && strcmp(at, FENCE) == 0) {
			check_block(info, buf_str(&block), line);
			examples++;
			free(steal(&info));
			buf_clear(&block);
		} else if (info) {
			buf_printf(&block, "%s\n", at);
		} else if (strncmp(at, FENCE "yaml", 7) == 0) {
			info = xstrdup(at + 7);
		}
	}
	free(text);
	assert_null(info);
	assert_true(examples >= 15);
}

static void
test_examples(void **state)
{
	static const char *const files[] = { "examples/kaniko/.agola/config.yml" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *text = NULL;
		size_t n;
		assert_int_equal(config_read_file(&text, &n, files[i], 1 << 20, NULL), 0);
		check_example(text, 0);
		free(text);
	}
}

/* What the parser refuses or warns of in a single value, the schema refuses. */
static void
test_refused(void **state)
{
	static const char *const cases[] = {
		"runs: []",
		"runs: [{tasks: []}]",
		"runs: [{name: '', tasks: []}]",
		"version: v2\nruns: [{name: r, tasks: []}]",
		TASK("working_dirs: a"),
		TASK("working_dir: [a]"),
		TASK("approval: 'true'"),
		TASK("environment: {A: 1}"),
		TASK("environment: {A: {from_variables: a}}"),
		TASK("environment: {A: }"),
		TASK("task_timeout_interval: 10 minutes"),
		TASK("task_timeout_interval: -1s"),
		TASK("depends: a"),
		TASK("depends: [{a: [never]}]"),
		TASK("depends: [{a: on_success}]"),
		TASK("when: master"),
		TASK("when: {}"),
		TASK("when: {branch: {includes: a}}"),
		TASK("docker_registries_auth: {a: {type: basik}}"),
		TASK("retries: 11"),
		TASK("matrix: {A: []}"),
		STEPS("    - clone"),
		STEPS("    - clone: {depth: 0}"),
		STEPS("    - clone: {depth: '1'}"),
		STEPS("    - run: {command: 12}"),
		STEPS("    - run: ''"),
		STEPS("    - rum: a"),
		STEPS("    - {type: rum, command: a}"),
		STEPS("    - {type: run}"),
		STEPS("    - {}"),
		STEPS("    - save_cache: {contents: []}"),
		STEPS("    - save_cache:"),
		STEPS("    - restore_cache: {keys: a}"),
		STEPS("    - run: {command: a, if: sometimes}"),
		"runs: [{name: r, tasks: [{name: t}]}]",
		"runs: [{name: r, tasks: [{name: t, runtime: {containers: []}}]}]",
		"runs: [{name: r, tasks: [{name: t, runtime: {arch: vax, containers: [{image: "
		"a}]}}]}]",
		"runs: [{name: r, tasks: [{name: t, runtime: {containers: [{image: a, entrypoint: "
		"[b]}]}}]}]",
		"runs: [{name: r, tasks: [{name: t, runtime: {containers: [{image: a, volumes: "
		"[{path: "
		"/a}]}]}}]}]",
		"runs: [{name: r, tasks: [{name: t, runtime: {containers: [{image: a, volumes: "
		"[{path: "
		"/a, tmpfs: {size: 1GB}}]}]}}]}]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct parsed p = def_parse(cases[i], strlen(cases[i]));

		if (p.diags.n == 0 || fits_schema(cases[i]))
			fail_msg("%zu: %zu messages, %s the schema:\n%s", i, p.diags.n,
			    fits_schema(cases[i]) ? "fits" : "does not fit", cases[i]);
		def_drop(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_documentation),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
