#include "rundef/schema.h"

#include "common/mem.h"
#include "rundef/json_out.h"
#include "rundef_int.h"

#include <string.h>

/* What has no table: the shapes of values that are read by code of their own. A text may also be
 * filled in from a matrix. */
#define FROM_MATRIX "{\"type\": \"string\", \"pattern\": \"[$][{][{][ \\t]*matrix[.]\"}"
#define DECIMAL "([0-9]+[.]?[0-9]*|[.][0-9]+)"
static const struct shape {
	const char *name, *json;
} shapes[] = {
	{ "text", "{\"type\": [\"string\", \"number\", \"boolean\"]}" },
	{ "version", "{\"enum\": [\"v0\", \"v1\"]}" },
	{ "duration",
	    "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": 0}, {\"type\": \"string\", "
	    "\"pattern\": "
	    "\"^[+]?(0|(" DECIMAL "(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$\"}, " FROM_MATRIX "]}" },
	{ "quantity",
	    "{\"anyOf\": [{\"type\": \"number\", \"minimum\": 0}, {\"type\": \"string\", "
	    "\"pattern\": "
	    "\"^[+]?" DECIMAL "([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$\"}, " FROM_MATRIX "]}" },
	{ "value",
	    "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"object\", \"properties\": "
	    "{\"from_variable\": {\"type\": \"string\"}}, \"required\": [\"from_variable\"], "
	    "\"additionalProperties\": false}]}" },
	{ "environment", "{\"type\": \"object\", \"additionalProperties\": {\"$ref\": "
	                 "\"#/definitions/value\"}}" },
	{ "labels", "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"string\"}}" },
	{ "credentials",
	    "{\"type\": \"object\", \"additionalProperties\": {\"$ref\": \"#/definitions/docker "
	    "registry auth\"}}" },
	{ "clause", "{\"anyOf\": [{\"$ref\": \"#/definitions/texts\"}, {\"type\": \"object\", "
	            "\"properties\": "
	            "{\"include\": {\"$ref\": \"#/definitions/texts\"}, \"exclude\": {\"$ref\": "
	            "\"#/definitions/texts\"}}, \"additionalProperties\": false}]}" },
	{ "texts",
	    "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", \"items\": {\"type\": "
	    "\"string\"}}]}" },
	{ "depends",
	    "{\"type\": \"array\", \"items\": {\"anyOf\": [{\"type\": \"string\"}, {\"type\": "
	    "\"object\", \"properties\": {\"task\": {\"type\": \"string\"}, \"conditions\": "
	    "{\"$ref\": "
	    "\"#/definitions/conditions\"}}, \"required\": [\"task\"], \"additionalProperties\": "
	    "false}, {\"type\": \"object\", \"maxProperties\": 1, \"minProperties\": 1, "
	    "\"additionalProperties\": {\"$ref\": \"#/definitions/conditions\"}}]}}" },
	{ "tasks", "{\"type\": \"array\", \"items\": {\"$ref\": \"#/definitions/task\"}}" },
	{ "steps", "{\"type\": \"array\", \"items\": {\"$ref\": \"#/definitions/step\"}}" },
	{ "combination",
	    "{\"type\": \"object\", \"minProperties\": 1, \"additionalProperties\": {\"$ref\": "
	    "\"#/definitions/text\"}}" },
	{ "matrix",
	    "{\"type\": \"object\", \"properties\": {\"include\": {\"type\": \"array\", \"items\": "
	    "{\"$ref\": \"#/definitions/combination\"}}, \"exclude\": {\"type\": \"array\", "
	    "\"items\": "
	    "{\"$ref\": \"#/definitions/combination\"}}}, \"additionalProperties\": {\"type\": "
	    "\"array\", \"minItems\": 1, \"items\": {\"$ref\": \"#/definitions/text\"}}}" },
};

static void
text(struct rundef_out *o, const char *key, const char *s)
{
	rundef_out_next(o, key);
	rundef_out_text(o->b, s);
}

static void
number(struct rundef_out *o, const char *key, int64_t n)
{
	rundef_out_next(o, key);
	buf_printf(o->b, "%lld", (long long)n);
}

static void
raw(struct rundef_out *o, const char *key, const char *json)
{
	rundef_out_next(o, key);
	buf_puts(o->b, json);
}

static void
ref(struct rundef_out *o, const char *name)
{
	auto_free char *to = xasprintf("#/definitions/%s", name);

	text(o, "$ref", to);
}

static void
words(struct rundef_out *o, const char *key, const char *const *list)
{
	rundef_out_open(o, key, '[');
	for (; *list; list++)
		text(o, NULL, *list);
	rundef_out_close(o, ']');
}

/* One of the words, a number where a word is one, or something from the matrix. */
static void
field_words(struct rundef_out *o, const struct rd_field *f)
{
	rundef_out_open(o, "anyOf", '[');
	rundef_out_open(o, NULL, '{');
	rundef_out_open(o, "enum", '[');
	for (const char *const *w = f->words; *w; w++) {
		text(o, NULL, *w);
		if ((*w)[strspn(*w, "0123456789")] == '\0')
			raw(o, NULL, *w);
	}
	rundef_out_close(o, ']');
	rundef_out_close(o, '}');
	raw(o, NULL, FROM_MATRIX);
	rundef_out_close(o, ']');
}

static void
field_text(struct rundef_out *o, const struct rd_object *type, const struct rd_field *f)
{
	if (f->words)
		field_words(o, f);
	else if (type->strict_text)
		text(o, "type", "string");
	else
		raw(o, "type", "[\"string\", \"number\", \"boolean\"]");
	if (f->required)
		number(o, "minLength", 1);
}

static void
field_list(struct rundef_out *o, const struct rd_field *f)
{
	text(o, "type", "array");
	if (f->required)
		number(o, "minItems", 1);
	rundef_out_open(o, "items", '{');
	if (f->kind == RD_OBJECTS)
		ref(o, f->object->noun);
	else
		text(o, "type", "string");
	rundef_out_close(o, '}');
}

static void
field_integer(struct rundef_out *o, const struct rd_field *f)
{
	text(o, "type", "integer");
	if (!f->max)
		return;
	number(o, "minimum", f->min);
	if (f->max != INT64_MAX)
		number(o, "maximum", f->max);
}

static void
field(struct rundef_out *o, const struct rd_object *type, const struct rd_field *f)
{
	auto_free char *doc =
	    xasprintf("%s%s", f->doc ? f->doc : "", f->v1 ? " (version: v1)" : "");
	bool by_ref = f->shape || f->kind == RD_OBJECT || f->kind == RD_DURATION;

	rundef_out_open(o, f->name, '{');
	text(o, "description", doc);
	if (by_ref) { /* draft 7 ignores what stands beside a $ref */
		rundef_out_open(o, "allOf", '[');
		rundef_out_open(o, NULL, '{');
		ref(o, f->shape ? f->shape : f->kind == RD_OBJECT ? f->object->noun : "duration");
		rundef_out_close(o, '}');
		rundef_out_close(o, ']');
	} else if (f->kind == RD_TEXT) {
		field_text(o, type, f);
	} else if (f->kind == RD_BOOL) {
		text(o, "type", "boolean");
	} else if (f->kind == RD_INTEGER) {
		field_integer(o, f);
	} else if (f->kind == RD_TEXTS || f->kind == RD_OBJECTS) {
		field_list(o, f);
	} else if (f->words) {
		field_words(o, f);
	}
	rundef_out_close(o, '}');
}

/* Members of a mapping; type_word: of a step in its long spelling, or NULL. */
static void
members(struct rundef_out *o, const struct rd_object *type, const char *type_word)
{
	text(o, "type", "object");
	rundef_out_open(o, "properties", '{');
	if (type_word) {
		rundef_out_open(o, "type", '{');
		text(o, "const", type_word);
		rundef_out_close(o, '}');
	}
	for (const struct rd_field *f = type->fields; f->name; f++)
		field(o, type, f);
	rundef_out_close(o, '}');
	if (type == &rundef_top_object) /* these hold anchors */
		raw(o, "patternProperties", "{\"^(x-|[.]|[$]schema$)\": {}}");
	rundef_out_open(o, "required", '[');
	if (type_word)
		text(o, NULL, "type");
	for (const struct rd_field *f = type->fields; f->name; f++)
		if (f->required)
			text(o, NULL, f->name);
	rundef_out_close(o, ']');
	raw(o, "additionalProperties", "false");
}

/* The mapping and those inside of it. */
static void
objects(struct rundef_out *o, const struct rd_object *type)
{
	if (type != &rundef_top_object) {
		rundef_out_open(o, type->noun, '{');
		members(o, type, NULL);
		rundef_out_close(o, '}');
	}
	for (const struct rd_field *f = type->fields; f->name; f++)
		if (f->kind == RD_OBJECT || f->kind == RD_OBJECTS)
			objects(o, f->object);
}

static void
step_short(struct rundef_out *o, const char *word, const struct rd_object *type)
{
	rundef_out_open(o, NULL, '{');
	text(o, "type", "object");
	rundef_out_open(o, "properties", '{');
	rundef_out_open(o, word, '{');
	rundef_out_open(o, "anyOf", '[');
	rundef_out_open(o, NULL, '{');
	ref(o, type->noun);
	rundef_out_close(o, '}');
	if (strcmp(word, "run") == 0)
		raw(o, NULL, "{\"type\": \"string\", \"minLength\": 1}");
	else if (strcmp(word, "save_cache") != 0 && strcmp(word, "restore_cache") != 0)
		raw(o, NULL, "{\"type\": \"null\"}");
	rundef_out_close(o, ']');
	rundef_out_close(o, '}');
	rundef_out_close(o, '}');
	words(o, "required", (const char *const[]){ word, NULL });
	raw(o, "additionalProperties", "false");
	rundef_out_close(o, '}');
}

static void
steps(struct rundef_out *o)
{
	const struct rd_object *type;
	const char *word;

	rundef_out_open(o, "step", '{');
	rundef_out_open(o, "anyOf", '[');
	for (size_t i = 0; (type = rundef_step_object(i, &word)); i++) {
		step_short(o, word, type);
		rundef_out_open(o, NULL, '{');
		members(o, type, word);
		rundef_out_close(o, '}');
	}
	rundef_out_close(o, ']');
	rundef_out_close(o, '}');
	for (size_t i = 0; (type = rundef_step_object(i, &word)); i++) {
		rundef_out_open(o, type->noun, '{');
		members(o, type, NULL);
		rundef_out_close(o, '}');
	}
	rundef_out_open(o, "content", '{');
	members(o, rundef_content_object(), NULL);
	rundef_out_close(o, '}');
}

static void
when(struct rundef_out *o)
{
	const char *name;
	bool v1;

	rundef_out_open(o, "when", '{');
	text(o, "type", "object");
	number(o, "minProperties", 1);
	rundef_out_open(o, "properties", '{');
	for (size_t i = 0; (name = rundef_when_clause(i, &v1)); i++) {
		rundef_out_open(o, name, '{');
		ref(o, "clause");
		rundef_out_close(o, '}');
	}
	rundef_out_close(o, '}');
	raw(o, "additionalProperties", "false");
	rundef_out_close(o, '}');
}

static void
conditions(struct rundef_out *o)
{
	rundef_out_open(o, "conditions", '{');
	text(o, "type", "array");
	rundef_out_open(o, "items", '{');
	words(o, "enum", rundef_condition_words);
	rundef_out_close(o, '}');
	rundef_out_close(o, '}');
}

void
rundef_schema_print(struct buf *out)
{
	struct rundef_out o = { .b = out, .first = true };

	rundef_out_open(&o, NULL, '{');
	text(&o, "$schema", "http://json-schema.org/draft-07/schema#");
	text(&o, "title", "Run definition of Millrace");
	members(&o, &rundef_top_object, NULL);
	rundef_out_open(&o, "definitions", '{');
	objects(&o, &rundef_top_object);
	objects(&o, &rundef_task_object);
	objects(&o, &rundef_auth_object);
	steps(&o);
	when(&o);
	conditions(&o);
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		raw(&o, shapes[i].name, shapes[i].json);
	rundef_out_close(&o, '}');
	rundef_out_close(&o, '}');
	buf_putc(out, '\n');
}
