/*
 * yaml_doc.h - YAML text as a tree of positioned nodes, on libyaml.
 *
 * Only the first document is used. Anchors and aliases are resolved (an alias points to the same
 * node: the tree is a DAG, never a cycle), merge keys "<<" are applied, duplicate keys: the last
 * wins (and is recorded, see yaml_node.duplicate), an anchor may be defined again. Scalars keep
 * their source text; explicit tags are heeded (!!binary is refused). Limits: input size by the
 * caller, YAML_DEPTH_MAX nesting, YAML_NODES_MAX nodes counted after alias expansion (so that
 * "billion laughs" is refused while parsing): beyond them ERR_INVALID.
 *
 * Pure: no I/O. One thread at a time per document. Nodes live as long as the document.
 */
#ifndef COMMON_YAML_DOC_H
#define COMMON_YAML_DOC_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define YAML_DEPTH_MAX 100
#define YAML_NODES_MAX 2000000

struct yaml_pos {
	unsigned line, col; /* from 1 */
};

enum yaml_type { YAML_NULL = 1, YAML_BOOL, YAML_INT, YAML_FLOAT, YAML_STRING, YAML_LIST, YAML_MAP };

struct yaml_node;
struct yaml_pair {
	struct yaml_node *key; /* always a scalar */
	struct yaml_node *value;
	const struct yaml_node *merged_by; /* the "<<" that it came through, or NULL */
};

struct yaml_node {
	enum yaml_type
	    type; /* of a scalar: as YAML 1.1 (go-yaml v2) resolves it; quoted = STRING */
	struct yaml_pos pos;
	const char *text; /* scalar: source text after unquoting, NUL-terminated */
	size_t text_len;
	bool quoted;              /* any quoted or block style */
	bool boolean;             /* YAML_BOOL */
	int64_t integer;          /* YAML_INT that fits */
	double number;            /* YAML_INT and YAML_FLOAT */
	struct yaml_node **items; /* YAML_LIST */
	struct yaml_pair *pairs;  /* YAML_MAP, in source order, duplicates already dropped */
	size_t n;                 /* of items or pairs */
	/* YAML_MAP, or NULL: first key that was given twice; first key before a "<<" that brings it
	 * too, and whose value counts, as with go-yaml. YAML itself says that the own one does. */
	const struct yaml_node *duplicate, *before_merge;
};

struct yaml_doc;

/* On a syntax error: ERR_INVALID, message without position, *pos filled. text need not be
 * terminated. An empty text gives a document whose root is a YAML_NULL node. */
int yaml_doc_parse(struct yaml_doc **out, const char *text, size_t len, struct yaml_pos *pos,
    struct err **err) MUSTCHECK;
void yaml_doc_free(struct yaml_doc *doc);
const struct yaml_node *yaml_doc_root(const struct yaml_doc *doc);
/* Value of a key: exact match first, then ASCII case-insensitive (of several spellings the last in
 * the order of bytes, as Go's JSON decoder ends up with); NULL when absent. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* The pair rather than the value. */
const struct yaml_pair *yaml_get_pair(const struct yaml_node *map, const char *key);
const char *yaml_type_name(
    enum yaml_type t); /* "null", "boolean", "integer", "number", "text", "list", "mapping" */

#define auto_yaml __attribute__((cleanup(yaml_doc_auto_free))) struct yaml_doc
static inline void
yaml_doc_auto_free(struct yaml_doc **doc)
{
	yaml_doc_free(*doc);
}

#endif
