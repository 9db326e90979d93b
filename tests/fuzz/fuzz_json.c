/*
 * JSON that a JSON parser takes is read by the YAML parser as the same, as far as both languages
 * agree: plain ASCII, no key twice, no escape that YAML does not have. (That parser's lines are
 * reached by fuzz_yaml.) And what our own reader of JSON takes, it finds again member by member,
 * and prints so that it reads the same. covers: common/json.c
 */
#include "fuzz.h"

#include "common/json.h"
#include "common/mem.h"
#include "common/yaml_doc.h"

#include <math.h>
#include <string.h>

static bool
agreed(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((p[i] < 0x20 && p[i] != '\n') || p[i] >= 0x7f)
			return false;
	return true;
}

/* JSON alone has pairs of surrogates, and texts with a NUL. */
static bool
writes_surrogates(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 3 < n; i++)
		if (p[i] == '\\' && p[i + 1] == 'u' && (p[i + 2] == 'd' || p[i + 2] == 'D') &&
		    p[i + 3] >= '8')
			return true;
	return false;
}

static size_t
depth_of(const json_t *j)
{
	size_t most = 0;
	const char *key;
	json_t *value;

	for (size_t i = 0; i < json_array_size(j); i++) {
		size_t d = depth_of(json_array_get(j, i));
		most = d > most ? d : most;
	}
	json_object_foreach((json_t *)(uintptr_t)j, key, value)
	{
		size_t d = depth_of(value);
		most = d > most ? d : most;
	}
	return most + (json_is_array(j) || json_is_object(j));
}

static bool
same(const json_t *j, const struct yaml_node *n)
{
	const char *key;
	json_t *value;

	switch (json_typeof(j)) {
	case JSON_NULL:
		return n->type == YAML_NULL;
	case JSON_TRUE:
	case JSON_FALSE:
		return n->type == YAML_BOOL && n->boolean == json_is_true(j);
	case JSON_INTEGER:
		return (n->type == YAML_INT || n->type == YAML_FLOAT) &&
		       n->number == (double)json_integer_value(j);
	case JSON_REAL: /* 1E5 with a sign and the like are read alike; a very long one is text */
		return n->type == YAML_STRING || n->number == json_real_value(j);
	case JSON_STRING:
		return n->type == YAML_STRING && strcmp(n->text, json_string_value(j)) == 0;
	case JSON_ARRAY:
		if (n->type != YAML_LIST || n->n != json_array_size(j))
			return false;
		for (size_t i = 0; i < n->n; i++)
			if (!same(json_array_get(j, i), n->items[i]))
				return false;
		return true;
	case JSON_OBJECT:
		if (n->type != YAML_MAP || n->n != json_object_size(j))
			return false;
		json_object_foreach((json_t *)(uintptr_t)j, key, value)
		{
			const struct yaml_pair *pair = yaml_get_pair(n, key);
			if (!pair || strcmp(pair->key->text, key) != 0 || !same(value, pair->value))
				return false;
		}
		return true;
	}
	return false;
}

static void
members(const json_t *j)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)j, key, value)
	{
		auto_free char *other = xstrdup(key);

		FUZZ_MUST(json_member(j, key) == (json_is_null(value) ? NULL : value));
		FUZZ_MUST(json_text(j, key) == json_string_value(value));
		FUZZ_MUST(json_int(j, key, -7) ==
		          (json_is_integer(value) ? json_integer_value(value) : -7));
		FUZZ_MUST(json_flag(j, key, true) == !json_is_false(value));
		/* Another spelling finds it, or one that reads alike. */
		for (char *c = other; *c; c++)
			*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
		FUZZ_MUST(json_is_null(value) || json_object_size(j) > 1 ||
		          json_member(j, other) == value);
	}
}

static void
own_reader(const uint8_t *p, size_t n)
{
	auto_json *j = NULL;
	auto_json *again = NULL;
	auto_json *list = json_array();
	auto_err err = NULL;

	if (json_parse(&j, p, n, &err) != 0) {
		FUZZ_MUST(j == NULL && err != NULL);
		return;
	}
	auto_free char *text = json_print(j);
	FUZZ_MUST(json_parse(&again, text, strlen(text), NULL) == 0 && json_equal(j, again));
	members(j);
	for (size_t i = 0; i < 3; i++)
		json_append_max(list, 2, json_incref(j));
	FUZZ_MUST(json_array_size(list) == 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	auto_yaml *doc = NULL;
	struct yaml_pos pos = { 0, 0 };
	auto_err err = NULL;

	own_reader(p, n);
	if (n > 500 || !agreed(p, n) || writes_surrogates(p, n))
		return 0;
	json_t *j = json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES, NULL);
	if (j == NULL)
		return 0;
	int rc = yaml_doc_parse(&doc, (const char *)p, n, &pos, &err);
	/* Keys of YAML end on the line on which they begin, colon included. */
	if (rc != 0 || depth_of(j) > YAML_DEPTH_MAX)
		FUZZ_MUST(rc == 0 || depth_of(j) > YAML_DEPTH_MAX || memchr(p, '\n', n) != NULL);
	else
		FUZZ_MUST(same(j, yaml_doc_root(doc)));
	json_decref(j);
	return 0;
}
