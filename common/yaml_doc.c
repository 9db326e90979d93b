/*
 * A composer of our own over libyaml's events: it bounds the depth before libyaml's time in the
 * square of it is spent, knows explicit tags, lets an anchor be defined again, and reads the text
 * once. An alias is the same node again. Each node's weight is the number of nodes below it with
 * aliases expanded. Their sum is bounded as they come, before mappings are merged, which refuses
 * exponential documents in linear time.
 */
#include "common/yaml_doc.h"

#include "common/mem.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

/* A node with what only the composer knows; the text of a scalar follows it. */
struct own {
	struct yaml_node node;
	struct own *next;
	uint64_t weight; /* nodes below and with it, aliases expanded */
	bool open;       /* being read: an alias to it is a cycle */
	bool merge;      /* an unquoted "<<" */
};

struct yaml_doc {
	struct own *all;
	const struct yaml_node *root;
};

struct anchor {
	char *name;
	struct own *own;
};

/* A collection that is being read. */
struct frame {
	struct own *own;
	struct own **items; /* of a mapping: keys and values in turn */
	size_t n, cap;
};

struct builder {
	struct yaml_doc *doc;
	struct yaml_pos *pos;
	struct err **err;
	struct frame frames[YAML_DEPTH_MAX + 1];
	size_t depth;
	uint64_t weight;        /* of all that was read, aliases expanded */
	struct anchor *anchors; /* hashed by name */
	size_t nanchors, cap;
};

static int
fail_at(struct builder *b, struct yaml_pos pos, const char *what)
{
	*b->pos = pos;
	return err_set(b->err, ERR_INVALID, "%s", what);
}

/* Nodes that were read, before anything is made of them. */
static int
count(struct builder *b, struct yaml_pos pos, uint64_t nodes)
{
	b->weight += nodes;
	return b->weight > YAML_NODES_MAX
	           ? fail_at(b, pos, "too many nodes once aliases are expanded")
	           : 0;
}

static struct yaml_pos
pos_of(const yaml_mark_t *mark)
{
	return (struct yaml_pos){ (unsigned)mark->line + 1, (unsigned)mark->column + 1 };
}

static uint32_t
hash_of(const char *key)
{
	uint32_t hash = 2166136261u;
	for (const char *p = key; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	return hash;
}

/* --- scalars --- */

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
	if (s[0] == '0' && s[1] != '\0') {
		char mark = (char)(s[1] | 0x20);

		base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
		if (mark == 'x' || mark == 'b' || mark == 'o')
			s += 2;
	}
	if (*s == '\0' || strspn(s, "0123456789abcdefABCDEF") != strlen(s))
		return false;
	char *end;
	errno = 0;
	unsigned long long v = strtoull(s, &end, base);
	if (*end != '\0' || errno != 0 || v > (unsigned long long)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static bool
parse_float(double *out, const char *s)
{
	static const char *const inf[] = { ".inf", ".Inf", ".INF" };
	static const char *const nan_words[] = { ".nan", ".NaN", ".NAN" };
	const char *p = s + (*s == '-' || *s == '+');
	if (one_of(p, inf, ARRAY_LEN(inf))) {
		*out = *s == '-' ? -INFINITY : INFINITY;
		return true;
	}
	if (one_of(s, nan_words, ARRAY_LEN(nan_words))) {
		*out = NAN;
		return true;
	}
	if (strspn(p, "0123456789.eE+-") != strlen(p) || strpbrk(p, "0123456789") == NULL)
		return false;
	char *end;
	*out = strtod(s, &end);
	return *end == '\0' && !isinf(*out); /* what is too large stays a text */
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
	if (one_of(n->text, nulls, ARRAY_LEN(nulls))) {
		n->type = YAML_NULL;
	} else if (one_of(n->text, yes, ARRAY_LEN(yes)) || one_of(n->text, no, ARRAY_LEN(no))) {
		n->type = YAML_BOOL;
		n->boolean = one_of(n->text, yes, ARRAY_LEN(yes));
	} else {
		resolve_number(n);
	}
}

/* An explicit tag decides; those that are not of YAML's own make a text. */
static int
resolve_tagged(struct builder *b, struct yaml_node *n, const char *tag)
{
	static const char prefix[] = "tag:yaml.org,2002:";
	static const struct {
		const char *name;
		enum yaml_type type;
	} tags[] = { { "null", YAML_NULL }, { "bool", YAML_BOOL }, { "int", YAML_INT },
		{ "float", YAML_FLOAT } };

	if (strncmp(tag, prefix, sizeof(prefix) - 1) == 0) {
		const char *name = tag + sizeof(prefix) - 1;

		if (strcmp(name, "binary") == 0)
			return fail_at(
			    b, n->pos, "!!binary is not supported: write the text itself");
		for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
			if (strcmp(name, tags[i].name) != 0)
				continue;
			resolve(n);
			if (n->type == YAML_INT && tags[i].type == YAML_FLOAT)
				n->type = YAML_FLOAT;
			if (n->type != tags[i].type)
				return fail_at(b, n->pos, "the text does not fit its tag");
			return 0;
		}
	}
	n->type = YAML_STRING;
	return 0;
}

static struct own *
own_new(struct builder *b, const yaml_mark_t *mark, size_t text_len)
{
	struct own *own = xcalloc(1, sizeof(*own) + text_len + 1);
	own->node.pos = pos_of(mark);
	own->weight = 1;
	own->next = b->doc->all;
	b->doc->all = own;
	return own;
}

static int
scalar(struct own **out, struct builder *b, const yaml_event_t *e)
{
	size_t len = e->data.scalar.length;
	const char *tag = (const char *)e->data.scalar.tag;
	struct own *own = *out = own_new(b, &e->start_mark, len);
	struct yaml_node *n = &own->node;
	char *text = (char *)(own + 1);

	memcpy(text, e->data.scalar.value, len);
	n->text = text;
	n->text_len = len;
	if (memchr(text, '\0', len) != NULL)
		return fail_at(b, n->pos, "text with a NUL byte");
	n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	n->type = YAML_STRING;
	if (tag == NULL && !n->quoted) {
		resolve(n);
		own->merge = strcmp(text, "<<") == 0;
	}
	int rc = tag != NULL ? resolve_tagged(b, n, tag) : 0;
	return rc != 0 ? rc : count(b, n->pos, 1);
}

/* --- anchors --- */

static struct anchor *
anchor_slot(const struct builder *b, const char *name)
{
	size_t i = hash_of(name) & (b->cap - 1);
	while (b->anchors[i].name != NULL && strcmp(b->anchors[i].name, name) != 0)
		i = (i + 1) & (b->cap - 1);
	return &b->anchors[i];
}

static void
anchors_grow(struct builder *b)
{
	struct anchor *old = b->anchors;
	size_t n = b->cap;

	b->cap = n > 0 ? n * 2 : 16;
	b->anchors = xcalloc(b->cap, sizeof(*b->anchors));
	for (size_t i = 0; i < n; i++)
		if (old[i].name != NULL)
			*anchor_slot(b, old[i].name) = old[i];
	free(old);
}

/* A name that is given again means the later node from there on. */
static void
anchor_set(struct builder *b, const unsigned char *name, struct own *own)
{
	if (name == NULL)
		return;
	if (b->nanchors * 2 >= b->cap)
		anchors_grow(b);
	struct anchor *a = anchor_slot(b, (const char *)name);
	if (a->name == NULL) {
		a->name = xstrdup((const char *)name);
		b->nanchors++;
	}
	a->own = own;
}

static int
alias(struct own **out, struct builder *b, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct anchor *a = b->cap > 0 ? anchor_slot(b, name) : NULL;

	if (a == NULL || a->name == NULL)
		return fail_at(
		    b, pos_of(&e->start_mark), "an alias to an anchor that is not defined");
	if (a->own->open)
		return fail_at(b, a->own->node.pos, "an anchor contains itself");
	*out = a->own;
	return count(b, pos_of(&e->start_mark), a->own->weight);
}

/* --- mappings --- */

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
	size_t i = hash_of(key) & (m->cap - 1);
	while (m->slots[i] != 0 && strcmp(m->map->pairs[m->slots[i] - 1].key->text, key) != 0)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

/* Makes room for this many pairs, once. */
static void
map_reserve(struct map_builder *m, size_t n)
{
	m->map->pairs = xcalloc(n + 1, sizeof(*m->map->pairs));
	for (m->cap = 16; m->cap <= n * 2;)
		m->cap *= 2;
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
}

/* Of the mappings of one "<<" the first that has a key counts, over what stands above the "<<": so
 * go-yaml reads it, and so every definition that there is. */
static void
merge_from(struct map_builder *m, const struct yaml_node *key, const struct yaml_node *other)
{
	MUST(m->map->pairs != NULL); /* reserved */
	for (size_t i = 0; i < other->n; i++) {
		uint32_t *slot = slot_of(m, other->pairs[i].key->text);
		const struct yaml_pair *had = *slot != 0 ? &m->map->pairs[*slot - 1] : NULL;
		if (had && had->merged_by == key)
			continue;
		if (had && !had->merged_by && m->map->before_merge == NULL)
			m->map->before_merge = had->key;
		if (!had)
			*slot = (uint32_t)++m->map->n;
		m->map->pairs[*slot - 1] = other->pairs[i];
		m->map->pairs[*slot - 1].merged_by = key;
	}
}

static int
merge(struct map_builder *m, struct builder *b, const struct yaml_node *key,
    const struct yaml_node *value)
{
	if (value->type == YAML_MAP) {
		merge_from(m, key, value);
		return 0;
	}
	if (value->type != YAML_LIST)
		return fail_at(
		    b, key->pos, "a merge key \"<<\" needs a mapping or a list of mappings");
	for (size_t i = 0; i < value->n; i++) {
		if (value->items[i]->type != YAML_MAP)
			return fail_at(b, value->items[i]->pos,
			    "a merge key \"<<\" needs mappings in its list");
		merge_from(m, key, value->items[i]);
	}
	return 0;
}

/* How many pairs it may bring at most. */
static size_t
merge_size(const struct yaml_node *value)
{
	size_t n = value->type == YAML_MAP ? value->n : 0;

	for (size_t i = 0; value->type == YAML_LIST && i < value->n; i++)
		n += value->items[i]->type == YAML_MAP ? value->items[i]->n : 0;
	return n;
}

static void
put_pair(struct map_builder *m, struct yaml_node *key, struct yaml_node *value)
{
	uint32_t *slot = slot_of(m, key->text);
	if (*slot == 0)
		*slot = (uint32_t)++m->map->n;
	else if (m->map->duplicate == NULL && !m->map->pairs[*slot - 1].merged_by)
		m->map->duplicate = key;
	m->map->pairs[*slot - 1] = (struct yaml_pair){ .key = key, .value = value };
}

/* The sizes are bounded: what is merged has been counted as nodes of the document. */
static int
close_pairs(struct map_builder *m, struct builder *b, const struct frame *f)
{
	size_t most = f->n / 2;
	int rc = 0;

	for (size_t i = 0; i < f->n; i += 2)
		if (f->items[i]->merge)
			most += merge_size(&f->items[i + 1]->node);
	map_reserve(m, most);
	for (size_t i = 0; rc == 0 && i < f->n; i += 2) {
		struct yaml_node *key = &f->items[i]->node;

		if (key->type == YAML_LIST || key->type == YAML_MAP)
			rc = fail_at(b, key->pos, "a mapping's key must be text");
		else if (f->items[i]->merge)
			rc = merge(m, b, key, &f->items[i + 1]->node);
		else
			put_pair(m, key, &f->items[i + 1]->node);
	}
	return rc;
}

/* --- the composer --- */

/* The node is complete: a part of what is open, or the root. */
static int
place(struct builder *b, struct own *own)
{
	if (b->depth == 0) {
		b->doc->root = &own->node;
		return 0;
	}
	struct frame *f = &b->frames[b->depth - 1];
	if (f->n == f->cap) {
		f->cap = f->cap > 0 ? f->cap * 2 : 8;
		f->items = xreallocarray(f->items, f->cap, sizeof(*f->items));
	}
	f->items[f->n++] = own;
	f->own->weight += own->weight;
	return 0;
}

static int
open_collection(
    struct builder *b, const yaml_event_t *e, enum yaml_type type, const unsigned char *anchor)
{
	if (b->depth >= YAML_DEPTH_MAX)
		return fail_at(b, pos_of(&e->start_mark), "nested too deeply");
	struct own *own = own_new(b, &e->start_mark, 0);
	own->node.type = type;
	own->open = true;
	anchor_set(b, anchor, own);
	b->frames[b->depth++] = (struct frame){ .own = own };
	return count(b, own->node.pos, 1);
}

static int
close_collection(struct builder *b)
{
	MUST(b->depth > 0);
	struct frame f = b->frames[--b->depth];
	MUST(f.own != NULL);
	struct yaml_node *n = &f.own->node;
	int rc = 0;

	f.own->open = false;
	if (n->type == YAML_LIST) {
		n->items = xcalloc(f.n, sizeof(*n->items));
		for (; n->n < f.n; n->n++)
			n->items[n->n] = &f.items[n->n]->node;
	} else {
		struct map_builder m = { .map = n };
		rc = close_pairs(&m, b, &f);
		free(m.slots);
	}
	free(f.items);
	return rc != 0 ? rc : place(b, f.own);
}

/* 1 at the end of the document. */
static int
take(struct builder *b, const yaml_event_t *e)
{
	struct own *own = NULL;
	int rc;

	switch (e->type) {
	case YAML_SCALAR_EVENT:
		rc = scalar(&own, b, e);
		if (rc == 0)
			anchor_set(b, e->data.scalar.anchor, own);
		return rc != 0 ? rc : place(b, own);
	case YAML_ALIAS_EVENT:
		rc = alias(&own, b, e);
		return rc != 0 ? rc : place(b, own);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(b, e, YAML_LIST, e->data.sequence_start.anchor);
	case YAML_MAPPING_START_EVENT:
		return open_collection(b, e, YAML_MAP, e->data.mapping_start.anchor);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_collection(b);
	case YAML_DOCUMENT_END_EVENT:
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_START_EVENT:
		return 0;
	}
	return 0;
}

static int
compose(struct builder *b, const char *text, size_t len)
{
	yaml_parser_t parser;
	int rc = 0;

	MUST(yaml_parser_initialize(&parser) == 1);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	while (rc == 0) {
		yaml_event_t e;
		if (!yaml_parser_parse(&parser, &e)) {
			rc = fail_at(b, pos_of(&parser.problem_mark),
			    parser.problem ? parser.problem : "not valid YAML");
			break;
		}
		rc = take(b, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&parser);
	return rc > 0 ? 0 : rc;
}

int
yaml_doc_parse(
    struct yaml_doc **out, const char *text, size_t len, struct yaml_pos *pos, struct err **err)
{
	struct yaml_doc *doc = xcalloc(1, sizeof(*doc));
	struct builder b = { .doc = doc, .pos = pos, .err = err };
	struct yaml_mark_s top = { 0 };

	*pos = (struct yaml_pos){ 1, 1 };
	struct own *null = own_new(&b, &top, 0);
	null->node.type = YAML_NULL;
	null->node.text = (char *)(null + 1);
	doc->root = &null->node;
	int rc = compose(&b, text, len);
	for (size_t i = 0; i < b.depth; i++)
		free(b.frames[i].items);
	for (size_t i = 0; i < b.cap; i++)
		free(b.anchors[i].name);
	free(b.anchors);
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
	for (struct own *own = doc->all; own != NULL;) {
		struct own *next = own->next;

		free(own->node.items);
		free(own->node.pairs);
		free(own);
		own = next;
	}
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
	const struct yaml_pair *best = NULL;
	for (i = 0; i < map->n; i++) {
		const struct yaml_pair *p = &map->pairs[i];
		if (strcasecmp(p->key->text, key) == 0 &&
		    (best == NULL || strcmp(p->key->text, best->key->text) > 0))
			best = p;
	}
	return best;
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
