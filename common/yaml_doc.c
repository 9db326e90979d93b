/*
 * Loads with libyaml's composer (which checks syntax and resolves anchors), then copies what is
 * reachable into our own nodes: each libyaml node once, so aliases share. The count of nodes after
 * alias expansion is added up bottom-up and bounded, which refuses exponential documents in linear
 * time.
 */
#include "common/yaml_doc.h"

#include "common/mem.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

struct built {
	struct yaml_node *node;
	uint64_t weight; /* nodes below and with it, aliases expanded */
	bool open;       /* being built: reaching it again is a cycle */
};

struct yaml_doc {
	yaml_document_t lib;
	bool have_lib;
	struct yaml_node null;
	struct built *built; /* by libyaml's node index - 1 */
	size_t nbuilt;
	const struct yaml_node *root;
};

struct builder {
	struct yaml_doc *doc;
	struct yaml_pos *pos;
	struct err **err;
};

static int build(struct yaml_node **out, struct builder *b, int index, int depth);

static int
fail_at(struct builder *b, const yaml_node_t *n, const char *what)
{
	*b->pos = (struct yaml_pos){ (unsigned)n->start_mark.line + 1,
		(unsigned)n->start_mark.column + 1 };
	return err_set(b->err, ERR_INVALID, "%s", what);
}

static bool
one_of(const char *s, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(s, list[i]) == 0)
			return true;
	}
	return false;
}

static bool
parse_int(int64_t *out, const char *digits)
{
	bool negative = *digits == '-';
	const char *s = digits + (*digits == '-' || *digits == '+');
	int base = 10;
	if (strncmp(s, "0x", 2) == 0)
		base = 16;
	else if (strncmp(s, "0b", 2) == 0)
		base = 2;
	else if (strncmp(s, "0o", 2) == 0)
		base = 8;
	if (base != 10)
		s += 2;
	else if (s[0] == '0' && s[1] != '\0')
		base = 8;
	if (*s == '\0' || strspn(s, "0123456789abcdefABCDEF") != strlen(s))
		return false;
	char *end;
	errno = 0;
	unsigned long long v = strtoull(s, &end, base);
	if (*end != '\0' || errno != 0 || v > (unsigned long long)INT64_MAX)
		return false;
	*out = negative ? -(int64_t)v : (int64_t)v;
	return true;
}

static bool
parse_float(double *out, const char *s)
{
	const char *p = s + (*s == '-' || *s == '+');
	if (strcasecmp(p, ".inf") == 0) {
		*out = *s == '-' ? -INFINITY : INFINITY;
		return true;
	}
	if (strcasecmp(s, ".nan") == 0) {
		*out = NAN;
		return true;
	}
	if (strspn(p, "0123456789.eE+-") != strlen(p) || strpbrk(p, "0123456789") == NULL)
		return false;
	char *end;
	*out = strtod(s, &end);
	return *end == '\0';
}

static void
resolve_number(struct yaml_node *n)
{
	char plain[128];
	size_t len = 0;
	if (n->text_len >= sizeof(plain) || strchr("0123456789+-.", n->text[0]) == NULL)
		return;
	for (const char *p = n->text; *p; p++) {
		if (*p != '_')
			plain[len++] = *p;
	}
	plain[len] = '\0';
	if (parse_int(&n->integer, plain)) {
		n->type = YAML_INT;
		n->number = (double)n->integer;
	} else if (parse_float(&n->number, plain)) {
		n->type = YAML_FLOAT;
	}
}

/* YAML 1.1 as go-yaml v2 resolves plain scalars (config-and-runs 1.6). */
static void
resolve(struct yaml_node *n)
{
	static const char *const yes[] = { "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE",
		"on", "On", "ON" };
	static const char *const no[] = { "n", "N", "no", "No", "NO", "false", "False", "FALSE",
		"off", "Off", "OFF" };
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
	n->type = YAML_STRING;
	if (n->quoted)
		return;
	if (one_of(n->text, nulls, ARRAY_LEN(nulls))) {
		n->type = YAML_NULL;
	} else if (one_of(n->text, yes, ARRAY_LEN(yes)) || one_of(n->text, no, ARRAY_LEN(no))) {
		n->type = YAML_BOOL;
		n->boolean = one_of(n->text, yes, ARRAY_LEN(yes));
	} else {
		resolve_number(n);
	}
}

static int
build_scalar(struct yaml_node *n, struct builder *b, const yaml_node_t *from)
{
	n->text = (const char *)from->data.scalar.value;
	n->text_len = from->data.scalar.length;
	if (memchr(n->text, '\0', n->text_len) != NULL)
		return fail_at(b, from, "text with a NUL byte");
	n->quoted = from->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	resolve(n);
	return 0;
}

static int
build_list(
    struct yaml_node *n, struct builder *b, const yaml_node_t *from, int depth, uint64_t *weight)
{
	const yaml_node_item_t *start = from->data.sequence.items.start;
	size_t count = (size_t)(from->data.sequence.items.top - start);
	n->type = YAML_LIST;
	n->items = xcalloc(count, sizeof(*n->items));
	for (; n->n < count; n->n++) {
		int rc = build(&n->items[n->n], b, start[n->n], depth + 1);
		if (rc != 0)
			return rc;
		*weight += b->doc->built[start[n->n] - 1].weight;
	}
	return 0;
}

static size_t
find_pair(const struct yaml_node *map, const char *key)
{
	for (size_t i = 0; i < map->n; i++) {
		if (strcmp(map->pairs[i].key->text, key) == 0)
			return i;
	}
	return map->n;
}

/* A mapping under construction, with its keys hashed: a definition may hold very many. */
struct map_builder {
	struct yaml_node *map;
	uint32_t *slots; /* index of a pair + 1, or 0 */
	size_t cap;      /* a power of two, more than twice the pairs */
};

static uint32_t *
slot_of(const struct map_builder *m, const char *key)
{
	uint32_t hash = 2166136261u;
	for (const char *p = key; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	size_t i = hash & (m->cap - 1);
	while (m->slots[i] != 0 && strcmp(m->map->pairs[m->slots[i] - 1].key->text, key) != 0)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

/* Makes room for further pairs. */
static void
map_reserve(struct map_builder *m, size_t more)
{
	size_t want = m->map->n + more;
	m->map->pairs = xreallocarray(m->map->pairs, want + 1, sizeof(*m->map->pairs));
	if (want * 2 < m->cap)
		return;
	while (m->cap <= want * 2)
		m->cap = m->cap > 0 ? m->cap * 2 : 16;
	free(m->slots);
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
	for (size_t i = 0; i < m->map->n; i++)
		*slot_of(m, m->map->pairs[i].key->text) = (uint32_t)i + 1;
}

static void
merge_from(struct map_builder *m, const struct yaml_node *other)
{
	map_reserve(m, other->n);
	for (size_t i = 0; i < other->n; i++) {
		uint32_t *slot = slot_of(m, other->pairs[i].key->text);
		if (*slot != 0)
			continue;
		m->map->pairs[m->map->n] = other->pairs[i];
		m->map->pairs[m->map->n++].merged = true;
		*slot = (uint32_t)m->map->n;
	}
}

static int
merge(struct map_builder *m, struct builder *b, const yaml_node_t *from,
    const struct yaml_node *value)
{
	if (value->type == YAML_MAP) {
		merge_from(m, value);
		return 0;
	}
	if (value->type != YAML_LIST)
		return fail_at(b, from, "a merge key \"<<\" needs a mapping or a list of mappings");
	for (size_t i = 0; i < value->n; i++) {
		if (value->items[i]->type != YAML_MAP)
			return fail_at(b, from, "a merge key \"<<\" needs mappings in its list");
		merge_from(m, value->items[i]);
	}
	return 0;
}

static void
put_pair(struct map_builder *m, struct yaml_node *key, struct yaml_node *value)
{
	uint32_t *slot = slot_of(m, key->text);
	if (*slot == 0)
		*slot = (uint32_t)++m->map->n;
	else if (m->map->duplicate == NULL)
		m->map->duplicate = key;
	m->map->pairs[*slot - 1] = (struct yaml_pair){ .key = key, .value = value };
}

static int
build_pairs(
    struct map_builder *m, struct builder *b, const yaml_node_t *from, int depth, uint64_t *weight)
{
	const yaml_node_pair_t *start = from->data.mapping.pairs.start;
	size_t count = (size_t)(from->data.mapping.pairs.top - start);
	auto_free struct yaml_node **merges = xcalloc(count, sizeof(*merges));
	size_t nmerges = 0;
	map_reserve(m, count);
	for (size_t i = 0; i < count; i++) {
		struct yaml_node *key = NULL, *value = NULL;
		int rc = build(&key, b, start[i].key, depth + 1);
		if (rc == 0)
			rc = build(&value, b, start[i].value, depth + 1);
		if (rc != 0)
			return rc;
		MUST(key != NULL && value != NULL);
		*weight += b->doc->built[start[i].key - 1].weight +
		           b->doc->built[start[i].value - 1].weight;
		if (key->type == YAML_LIST || key->type == YAML_MAP)
			return fail_at(b, from, "a mapping's key must be text");
		if (!key->quoted && strcmp(key->text, "<<") == 0)
			merges[nmerges++] = value;
		else
			put_pair(m, key, value);
	}
	for (size_t i = 0; i < nmerges; i++) {
		int rc = merge(m, b, from, merges[i]);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
build_map(
    struct yaml_node *n, struct builder *b, const yaml_node_t *from, int depth, uint64_t *weight)
{
	struct map_builder m = { .map = n };
	n->type = YAML_MAP;
	int rc = build_pairs(&m, b, from, depth, weight);
	free(m.slots);
	return rc;
}

static int
build(struct yaml_node **out, struct builder *b, int index, int depth)
{
	yaml_node_t *from = yaml_document_get_node(&b->doc->lib, index);
	MUST(from != NULL);
	struct built *slot = &b->doc->built[index - 1];
	if (slot->open)
		return fail_at(b, from, "an anchor contains itself");
	if (depth > YAML_DEPTH_MAX)
		return fail_at(b, from, "nested too deeply");
	if (slot->node == NULL) {
		struct yaml_node *n = slot->node = xcalloc(1, sizeof(*n));
		uint64_t weight = 1;
		n->pos = (struct yaml_pos){ (unsigned)from->start_mark.line + 1,
			(unsigned)from->start_mark.column + 1 };
		slot->open = true;
		int rc;
		if (from->type == YAML_SCALAR_NODE)
			rc = build_scalar(n, b, from);
		else if (from->type == YAML_SEQUENCE_NODE)
			rc = build_list(n, b, from, depth, &weight);
		else
			rc = build_map(n, b, from, depth, &weight);
		slot->open = false;
		slot->weight = weight;
		if (rc != 0)
			return rc;
	}
	if (slot->weight > YAML_NODES_MAX)
		return fail_at(b, from, "too many nodes once aliases are expanded");
	*out = slot->node;
	return 0;
}

static void
start(yaml_parser_t *parser, const char *text, size_t len)
{
	MUST(yaml_parser_initialize(parser) == 1);
	yaml_parser_set_input_string(parser, (const unsigned char *)text, len);
	yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
}

static int
syntax_error(const yaml_parser_t *parser, struct yaml_pos *pos, struct err **err)
{
	*pos = (struct yaml_pos){ (unsigned)parser->problem_mark.line + 1,
		(unsigned)parser->problem_mark.column + 1 };
	return err_set(
	    err, ERR_INVALID, "%s", parser->problem ? parser->problem : "not valid YAML");
}

/* libyaml takes time in the square of the depth, and its tree builder knows no limit: events are
 * looked at first. */
static int
check_depth(const char *text, size_t len, struct yaml_pos *pos, struct err **err)
{
	yaml_parser_t parser;
	int depth = 0, rc = 0;
	bool end = false;
	start(&parser, text, len);
	while (rc == 0 && !end) {
		yaml_event_t e;
		if (!yaml_parser_parse(&parser, &e)) {
			rc = syntax_error(&parser, pos, err);
			break;
		}
		depth +=
		    (e.type == YAML_SEQUENCE_START_EVENT) + (e.type == YAML_MAPPING_START_EVENT);
		depth -= (e.type == YAML_SEQUENCE_END_EVENT) + (e.type == YAML_MAPPING_END_EVENT);
		end = e.type == YAML_DOCUMENT_END_EVENT || e.type == YAML_STREAM_END_EVENT;
		if (depth > YAML_DEPTH_MAX) {
			*pos = (struct yaml_pos){ (unsigned)e.start_mark.line + 1,
				(unsigned)e.start_mark.column + 1 };
			rc = err_set(err, ERR_INVALID, "nested too deeply");
		}
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&parser);
	return rc;
}

static int
load(struct yaml_doc *doc, const char *text, size_t len, struct yaml_pos *pos, struct err **err)
{
	yaml_parser_t parser;
	int rc = check_depth(text, len, pos, err);
	if (rc != 0)
		return rc;
	start(&parser, text, len);
	if (yaml_parser_load(&parser, &doc->lib))
		doc->have_lib = true;
	else
		rc = syntax_error(&parser, pos, err);
	yaml_parser_delete(&parser);
	return rc;
}

int
yaml_doc_parse(
    struct yaml_doc **out, const char *text, size_t len, struct yaml_pos *pos, struct err **err)
{
	struct yaml_doc *doc = xcalloc(1, sizeof(*doc));
	struct builder b = { doc, pos, err };
	*pos = (struct yaml_pos){ 1, 1 };
	doc->null = (struct yaml_node){ .type = YAML_NULL, .pos = { 1, 1 }, .text = "" };
	doc->root = &doc->null;
	int rc = load(doc, text, len, pos, err);
	if (rc == 0 && yaml_document_get_root_node(&doc->lib) != NULL) {
		struct yaml_node *root = NULL;
		doc->nbuilt = (size_t)(doc->lib.nodes.top - doc->lib.nodes.start);
		doc->built = xcalloc(doc->nbuilt, sizeof(*doc->built));
		rc = build(&root, &b, 1, 1);
		doc->root = root;
	}
	if (rc != 0) {
		yaml_doc_free(doc);
		return rc;
	}
	*out = doc;
	return 0;
}

void
yaml_doc_free(struct yaml_doc *doc)
{
	if (doc == NULL)
		return;
	for (size_t i = 0; i < doc->nbuilt; i++) {
		if (doc->built[i].node == NULL)
			continue;
		free(doc->built[i].node->items);
		free(doc->built[i].node->pairs);
		free(doc->built[i].node);
	}
	free(doc->built);
	if (doc->have_lib)
		yaml_document_delete(&doc->lib);
	free(doc);
}

const struct yaml_node *
yaml_doc_root(const struct yaml_doc *doc)
{
	return doc->root;
}

const struct yaml_pair *
yaml_get_pair(const struct yaml_node *map, const char *key)
{
	if (map == NULL || map->type != YAML_MAP)
		return NULL;
	size_t i = find_pair(map, key);
	if (i < map->n)
		return &map->pairs[i];
	for (i = 0; i < map->n; i++) {
		if (strcasecmp(map->pairs[i].key->text, key) == 0)
			return &map->pairs[i];
	}
	return NULL;
}

const struct yaml_node *
yaml_get(const struct yaml_node *map, const char *key)
{
	const struct yaml_pair *p = yaml_get_pair(map, key);
	return p ? p->value : NULL;
}

const char *
yaml_type_name(enum yaml_type t)
{
	static const char *const names[] = { "", "null", "boolean", "integer", "number", "text",
		"list", "mapping" };
	return names[t];
}
