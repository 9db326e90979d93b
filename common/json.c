#include "common/json.h"

#include "common/mem.h"

#include <string.h>
#include <strings.h>

int
json_parse(json_t **out, const void *p, size_t n, struct err **err)
{
	json_error_t at;
	json_t *j = json_loadb(p, n, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &at);
	if (j == NULL)
		return err_set(
		    err, ERR_INVALID, "line %d, column %d: %s", at.line, at.column, at.text);
	*out = j;
	return 0;
}

json_t *
json_member(const json_t *obj, const char *name)
{
	json_t *exact = json_object_get(obj, name);
	if (exact != NULL)
		return json_is_null(exact) ? NULL : exact;
	/* jansson's iterators take a non-const object but do not change it. */
	json_t *o = (json_t *)(uintptr_t)obj;
	const char *key;
	json_t *value;
	json_object_foreach(o, key, value)
	{
		if (strcasecmp(key, name) == 0)
			return json_is_null(value) ? NULL : value;
	}
	return NULL;
}

const char *
json_text(const json_t *obj, const char *name)
{
	return json_string_value(json_member(obj, name));
}

int64_t
json_int(const json_t *obj, const char *name, int64_t if_absent)
{
	const json_t *j = json_member(obj, name);
	return json_is_integer(j) ? json_integer_value(j) : if_absent;
}

bool
json_flag(const json_t *obj, const char *name, bool if_absent)
{
	const json_t *j = json_member(obj, name);
	return json_is_boolean(j) ? json_is_true(j) : if_absent;
}

char *
json_print(const json_t *j)
{
	char *s = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
	MUST(s != NULL);
	return s;
}

void
json_append_max(json_t *array, size_t max, json_t *item)
{
	if (json_array_size(array) < max)
		json_array_append_new(array, item);
	else
		json_decref(item);
}
