/*
 * YAML as a tree: every node has its place, its kind and what belongs to it; nothing is deeper or
 * more than allowed.
 * covers: common/yaml_doc.c
 */
#include "fuzz.h"

#include "common/buf.h"
#include "common/mem.h"
#include "common/yaml_doc.h"

static size_t budget;

static void
look_at(const struct yaml_node *n, unsigned depth)
{
	/* A bound of our own on shared nodes: the tree may have two million. */
	if (budget == 0)
		return;
	budget--;
	FUZZ_MUST(depth <= YAML_DEPTH_MAX && n->pos.line > 0 && n->pos.col > 0);
	FUZZ_MUST(n->type >= YAML_NULL && n->type <= YAML_MAP);
	if (n->type == YAML_LIST) {
		for (size_t i = 0; i < n->n; i++)
			look_at(n->items[i], depth);
		return;
	}
	if (n->type != YAML_MAP) {
		FUZZ_MUST(n->text != NULL && strlen(n->text) == n->text_len);
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		FUZZ_MUST(n->pairs[i].key->type < YAML_LIST);
		FUZZ_MUST(yaml_get(n, n->pairs[i].key->text) == n->pairs[i].value);
		look_at(n->pairs[i].key, depth);
		look_at(n->pairs[i].value, depth);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	auto_yaml *doc = NULL;
	struct yaml_pos pos = { 0, 0 };
	auto_err err = NULL;
	int rc = yaml_doc_parse(&doc, (const char *)p, n, &pos, &err);

	FUZZ_MUST((rc == 0) == (doc != NULL));
	if (rc != 0) {
		FUZZ_MUST(pos.line > 0 && pos.col > 0 && err != NULL);
		return 0;
	}
	budget = 2000;
	look_at(yaml_doc_root(doc), 1);
	return 0;
}
