/* The table walker: one mapping of the document into one struct of the source model. */
#include "rundef_int.h"

#include "common/mem.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void
rundef_rd_init(struct rd *r, struct rundef_diags *diags)
{
	*r = (struct rd){ .diags = diags, .budget = RUNDEF_MODEL_MAX };
}

void
rundef_rd_fini(struct rd *r)
{
	buf_free(&r->path);
	free(r->run);
	free(r->task);
}

static bool
is_plain_key(const char *key)
{
	size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return n > 0 && n <= 100 && key[n] == '\0';
}

size_t
rundef_enter_key(struct rd *r, const char *key)
{
	size_t mark = r->path.len;

	if (is_plain_key(key))
		buf_printf(&r->path, "%s%s", mark ? "." : "", key);
	else
		buf_printf(&r->path, "[\"%.100s\"]", key);
	return mark;
}

size_t
rundef_enter_index(struct rd *r, size_t index)
{
	size_t mark = r->path.len;

	buf_printf(&r->path, "[%zu]", index);
	return mark;
}

void
rundef_leave(struct rd *r, size_t mark)
{
	if (r->path.data) {
		r->path.len = mark;
		r->path.data[mark] = '\0';
	}
}

bool
rundef_charge(struct rd *r, struct yaml_pos pos, size_t bytes)
{
	if (bytes <= r->budget) {
		r->budget -= bytes;
		return true;
	}
	r->budget = 0;
	if (!r->exhausted)
		rundef_error(r, pos,
		    "the definition is too large: with aliases and inherited values filled in it "
		    "needs more than %u MiB",
		    RUNDEF_MODEL_MAX >> 20);
	r->exhausted = true;
	return false;
}

void *
rundef_array(struct rd *r, struct yaml_pos pos, size_t n, size_t size)
{
	if (n == 0 || n > RUNDEF_MODEL_MAX || !rundef_charge(r, pos, n * size))
		return NULL;
	return xcalloc(n, size);
}

char *
rundef_dup_text(struct rd *r, struct yaml_pos pos, const char *s)
{
	return rundef_charge(r, pos, strlen(s) + 16) ? xstrdup(s) : NULL;
}

char *
rundef_dup(struct rd *r, const struct yaml_node *n)
{
	if (r->combo) {
		auto_free char *text = rundef_fill_in(r, n->pos, n->text);
		return text ? rundef_dup_text(r, n->pos, text) : NULL;
	}
	return rundef_dup_text(r, n->pos, n->text);
}

/* A number that stands where text is expected keeps the precision of a 32-bit float: existing
 * definitions rely on 1.10 becoming "1.1". */
static char *
float_text(double number)
{
	float f = (float)number;
	char text[64];
	int digits = 1;

	if (isnan(f))
		return xstrdup("NaN");
	if (isinf(f))
		return xstrdup(f > 0 ? "+Inf" : "-Inf");
	for (; digits < 9; digits++) {
		snprintf(text, sizeof(text), "%.*e", digits - 1, (double)f);
		if (strtof(text, NULL) == f)
			break;
	}
	snprintf(text, sizeof(text), "%.*e", digits - 1, (double)f);
	const char *e = strchr(text, 'e');
	int exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
	if (exponent < -4 || exponent >= 6)
		return xstrdup(text);
	int decimals = digits - 1 - exponent;
	return xasprintf("%.*f", decimals > 0 ? decimals : 0, (double)f);
}

char *
rundef_number_text(const struct yaml_node *n)
{
	if (n->type == YAML_INT && (double)n->integer == n->number)
		return xasprintf("%lld", (long long)n->integer);
	/* What fits into 64 bits without a sign is a whole number too. */
	errno = 0;
	char *end;
	unsigned long long large = strtoull(n->text, &end, 10);
	if (errno == 0 && *end == '\0' && n->text[0] >= '1' && n->text[0] <= '9')
		return xasprintf("%llu", large);
	return float_text(n->number);
}

static char *
coerce(struct rd *r, const struct yaml_node *n)
{
	if (n->type == YAML_BOOL)
		return rundef_dup_text(r, n->pos, n->boolean ? "true" : "false");
	auto_free char *number = rundef_number_text(n);
	return rundef_dup_text(r, n->pos, number);
}

static bool
is_coercible(const struct yaml_node *n)
{
	return n->type == YAML_BOOL || n->type == YAML_INT || n->type == YAML_FLOAT;
}

char *
rundef_read_text(struct rd *r, const struct yaml_node *n, bool strict)
{
	if (n->type == YAML_STRING)
		return rundef_dup(r, n);
	if (is_coercible(n) && !strict)
		return coerce(r, n);
	if (is_coercible(n))
		rundef_error(r, n->pos, "expected text, found %s: write it in quotes, \"%.60s\"",
		    n->type == YAML_BOOL ? "a boolean" : "a number", n->text);
	else
		rundef_error(r, n->pos, "expected text, found %s", yaml_type_name(n->type));
	return NULL;
}

char *
rundef_key_text(struct rd *r, const struct yaml_node *key)
{
	if (key->type == YAML_STRING)
		return rundef_dup(r, key);
	if (key->type == YAML_NULL)
		return rundef_dup_text(r, key->pos, key->text ? key->text : "");
	if (key->type == YAML_BOOL)
		rundef_warn(r, key->pos,
		    "the key %.20s is a boolean in YAML 1.1 and reads as \"%s\": write it in "
		    "quotes",
		    key->text, key->boolean ? "true" : "false");
	return coerce(r, key);
}

bool
rundef_read_texts(struct rd *r, const struct yaml_node *n, bool strict, const char *noun,
    char ***list, size_t *count)
{
	if (n->type != YAML_LIST) {
		rundef_error(
		    r, n->pos, "expected a list of %s, found %s", noun, yaml_type_name(n->type));
		return false;
	}
	char **texts = rundef_array(r, n->pos, n->n, sizeof(*texts));
	*list = texts;
	if (!texts)
		return n->n == 0;
	for (size_t i = 0; i < n->n; i++) {
		size_t mark = rundef_enter_index(r, i);
		const struct yaml_node *item = n->items[i];
		char *text = item->type == YAML_NULL ? rundef_dup_text(r, item->pos, "")
		                                     : rundef_read_text(r, item, strict);

		rundef_leave(r, mark);
		if (text)
			texts[(*count)++] = text;
	}
	return true;
}

/* Words of a table's row that name the field in messages. */
static const char *
what(const struct rd_field *f)
{
	return f->words_what ? f->words_what : f->name;
}

static void
read_words(struct rd *r, const struct rd_field *f, const struct yaml_node *n, const char *text)
{
	for (const char *const *w = f->words; *w; w++)
		if (strcmp(*w, text) == 0)
			return;
	auto_buf all = BUF_INIT;
	for (const char *const *w = f->words; *w; w++)
		buf_printf(&all, "%s%s", w == f->words ? "" : ", ", *w);
	rundef_report(r, f->words_warn ? RUNDEF_WARNING : RUNDEF_ERROR, n->pos,
	    rundef_nearest(text, f->words), "%s \"%.60s\": use one of %s", what(f), text,
	    buf_str(&all));
}

static void
read_bool(struct rd *r, const struct yaml_node *n, bool *at)
{
	if (n->type == YAML_BOOL)
		*at = n->boolean;
	else if (n->type == YAML_STRING)
		rundef_error(r, n->pos,
		    "expected true or false, found the text \"%.60s\": write it without quotes",
		    n->text);
	else
		rundef_error(
		    r, n->pos, "expected true or false, found %s", yaml_type_name(n->type));
}

static void
out_of_range(struct rd *r, const struct rd_field *f, struct yaml_pos pos, int64_t found)
{
	if (f->max == INT64_MAX)
		rundef_error(r, pos, "%s must be at least %lld, found %lld", what(f),
		    (long long)f->min, (long long)found);
	else
		rundef_error(r, pos, "%s must be between %lld and %lld, found %lld", what(f),
		    (long long)f->min, (long long)f->max, (long long)found);
}

static void
read_integer(struct rd *r, const struct rd_field *f, const struct yaml_node *n, int64_t *at)
{
	if (n->type == YAML_INT && (double)n->integer == n->number) {
		*at = n->integer;
		if (f->max && (*at < f->min || *at > f->max))
			out_of_range(r, f, n->pos, *at);
	} else if (n->type == YAML_STRING)
		rundef_error(r, n->pos,
		    "expected a whole number, found the text \"%.60s\": write it without quotes",
		    n->text);
	else if (n->type == YAML_INT || n->type == YAML_FLOAT)
		rundef_error(r, n->pos, "expected a whole number, found %.60s", n->text);
	else
		rundef_error(
		    r, n->pos, "expected a whole number, found %s", yaml_type_name(n->type));
}

static bool
fits(struct rd *r, const struct rd_field *f, const struct yaml_node *n)
{
	if (!f->max || n->type != YAML_LIST || n->n <= (size_t)f->max)
		return true;
	rundef_error(r, n->pos, "too many %s: %zu, at most %lld are possible", f->name, n->n,
	    (long long)f->max);
	return false;
}

static void
read_objects(struct rd *r, const struct rd_field *f, const struct yaml_node *n, char *obj)
{
	const struct rd_object *type = f->object;

	if (n->type != YAML_LIST) {
		rundef_error(r, n->pos, "expected a list for %s, found %s%s", f->name,
		    yaml_type_name(n->type),
		    n->type == YAML_MAP ? ": begin each entry with \"- \"" : "");
		return;
	}
	char *list = fits(r, f, n) ? rundef_array(r, n->pos, n->n, type->size) : NULL;
	if (!list)
		return;
	*(void **)(void *)(obj + f->at) = list;
	*(size_t *)(void *)(obj + f->count_at) = n->n;
	for (size_t i = 0; i < n->n; i++) {
		size_t mark = rundef_enter_index(r, i);

		if (n->items[i]->type == YAML_NULL)
			rundef_error(
			    r, n->items[i]->pos, "%s at index %zu is empty", type->noun, i);
		else
			rundef_read_object(r, type, n->items[i], list + i * type->size, NULL);
		rundef_leave(r, mark);
	}
}

static void
read_field(struct rd *r, const struct rd_object *type, const struct rd_field *f,
    const struct yaml_node *n, char *obj)
{
	void *at = obj + f->at;

	switch (f->kind) {
	case RD_TEXT: {
		char *text = rundef_read_text(r, n, type->strict_text);
		if (text && f->words && *text)
			read_words(r, f, n, text);
		*(char **)at = text;
		break;
	}
	case RD_BOOL:
		read_bool(r, n, at);
		break;
	case RD_INTEGER:
		read_integer(r, f, n, at);
		break;
	case RD_DURATION:
		rundef_read_duration(r, n, at);
		break;
	case RD_TEXTS:
		if (fits(r, f, n))
			(void)rundef_read_texts(r, n, type->strict_text, "texts", at,
			    (size_t *)(void *)(obj + f->count_at));
		break;
	case RD_OBJECT:
		rundef_read_object(r, f->object, n, at, NULL);
		break;
	case RD_OBJECTS:
		read_objects(r, f, n, obj);
		break;
	case RD_CUSTOM:
		f->read(r, n, at);
		break;
	case RD_NOTED:
		break;
	}
}

const struct rd_field *
rundef_field_find(const struct rd_object *type, const char *key)
{
	for (const struct rd_field *f = type->fields; f->name; f++)
		if (strcmp(f->name, key) == 0)
			return f;
	for (const struct rd_field *f = type->fields; f->name; f++)
		if (strcasecmp(f->name, key) == 0)
			return f;
	return NULL;
}

/* f: the row of a key that this file's version does not have, or NULL. */
static void
unknown_key(struct rd *r, const struct rd_object *type, const struct rd_field *f,
    const struct yaml_node *key)
{
	const char *names[RD_FIELDS_MAX + 1];
	size_t n = 0;

	/* Keys that begin with "x-" or a dot hold anchors, by custom; editors look for "$schema".
	 */
	if (!f && (strncmp(key->text, "x-", 2) == 0 || key->text[0] == '.' ||
	              strcmp(key->text, "$schema") == 0))
		return;
	size_t mark = rundef_enter_key(r, key->text);
	for (const struct rd_field *k = type->fields; k->name && n < RD_FIELDS_MAX; k++)
		if (!k->v1 || r->v1)
			names[n++] = k->name;
	names[n] = NULL;
	if (f)
		rundef_warn(r, key->pos,
		    "unknown key \"%.60s\" in a %s is ignored: it needs \"version: v1\" at the top "
		    "of the file",
		    key->text, type->noun);
	else
		rundef_report(r, RUNDEF_WARNING, key->pos,
		    rundef_diags_full(r->diags) ? NULL : rundef_nearest(key->text, names),
		    "unknown key \"%.60s\" in a %s is ignored", key->text, type->noun);
	rundef_leave(r, mark);
}

/* A required one counts as missing when it is not there, null or empty. */
static bool
is_missing(const struct rd_field *f, const char *obj)
{
	switch (f->kind) {
	case RD_TEXT: {
		const char *text = *(char *const *)(const void *)(obj + f->at);
		return !text || !*text;
	}
	case RD_TEXTS:
	case RD_OBJECTS:
		return *(const size_t *)(const void *)(obj + f->count_at) == 0;
	case RD_BOOL:
	case RD_INTEGER:
	case RD_DURATION:
	case RD_OBJECT:
	case RD_CUSTOM:
	case RD_NOTED:
		break;
	}
	return true;
}

/* given: the value's node by row of the table, NULL when absent or null. */
static void
complete(struct rd *r, const struct rd_object *type, const struct yaml_node *map,
    const struct yaml_node *const *given, size_t refused_before, char *obj)
{
	for (size_t i = 0; type->fields[i].name; i++) {
		const struct rd_field *f = &type->fields[i];
		bool by_content =
		    f->kind == RD_TEXT || f->kind == RD_TEXTS || f->kind == RD_OBJECTS;

		if (f->preset && f->kind == RD_TEXT && !*(char **)(void *)(obj + f->at) &&
		    !given[i])
			*(char **)(void *)(obj + f->at) = rundef_dup_text(r, map->pos, f->preset);
		if (!f->required || (given[i] && (!by_content || !is_missing(f, obj))))
			continue;
		/* A value that was refused has its message already. */
		if (given[i] && r->refused != refused_before &&
		    !(given[i]->type == YAML_STRING && given[i]->text_len == 0) &&
		    !(given[i]->type == YAML_LIST && given[i]->n == 0))
			continue;
		struct yaml_pos pos = given[i] ? given[i]->pos : map->pos;
		size_t mark = rundef_enter_key(r, f->name);
		if (f->missing)
			rundef_error(r, pos, "%s", f->missing);
		else
			rundef_error(r, pos, "a %s needs %s", type->noun, f->name);
		rundef_leave(r, mark);
	}
}

static void
read_pairs(struct rd *r, const struct rd_object *type, const struct yaml_node *n, char *obj,
    const char *skip)
{
	const struct yaml_node *given[RD_FIELDS_MAX] = { NULL };
	size_t refused_before = r->refused;

	for (size_t i = 0; i < n->n; i++) {
		const struct yaml_pair *pair = &n->pairs[i];
		const struct rd_field *f = rundef_field_find(type, pair->key->text);

		if (skip && strcmp(pair->key->text, skip) == 0)
			continue;
		if (!f || (f->v1 && !r->v1)) {
			unknown_key(r, type, f, pair->key);
			continue;
		}
		size_t row = (size_t)(f - type->fields);
		MUST(row < RD_FIELDS_MAX);
		/* Of several spellings one counts. Null is as absent, but for a value. */
		if (yaml_get(n, f->name) != pair->value || given[row] ||
		    (pair->value->type == YAML_NULL && f->read != rundef_read_value))
			continue;
		given[row] = pair->value;
		size_t mark = rundef_enter_key(r, pair->key->text);
		read_field(r, type, f, pair->value, obj);
		rundef_leave(r, mark);
	}
	complete(r, type, n, given, refused_before, obj);
}

void
rundef_warn_unknown(struct rd *r, const struct yaml_node *key, const char *where)
{
	size_t mark = rundef_enter_key(r, key->text);

	rundef_warn(r, key->pos, "unknown key \"%.60s\" %s is ignored", key->text, where);
	rundef_leave(r, mark);
}

void
rundef_warn_keys(struct rd *r, const struct yaml_node *map)
{
	if (map->duplicate) {
		size_t mark = rundef_enter_key(r, map->duplicate->text);
		rundef_warn(r, map->duplicate->pos,
		    "the key \"%.60s\" is given twice: the last one counts", map->duplicate->text);
		rundef_leave(r, mark);
	}
	if (map->before_merge) {
		size_t mark = rundef_enter_key(r, map->before_merge->text);
		rundef_warn(r, map->before_merge->pos,
		    "the value of the key \"%.60s\" is replaced by that of the \"<<\" below it: "
		    "put \"<<\" first",
		    map->before_merge->text);
		rundef_leave(r, mark);
	}
}

void
rundef_read_object(struct rd *r, const struct rd_object *type, const struct yaml_node *n, void *obj,
    const char *skip)
{
	if (n->type != YAML_MAP) {
		rundef_error(r, n->pos, "a %s must be a mapping, found %s", type->noun,
		    yaml_type_name(n->type));
		return;
	}
	if (type->enter)
		type->enter(r, n, obj);
	rundef_warn_keys(r, n);
	read_pairs(r, type, n, obj, skip);
	if (type->check)
		type->check(r, n, obj);
	if (type->leave)
		type->leave(r);
}
