/*
 * graph.h - the shape of a run: levels, cycles, ancestors, redundant edges. Pure.
 *
 * A graph is n nodes, each with the indexes of its parents (what it depends on). Indexes are
 * always below n: callers resolve names first.
 */
#ifndef RUNSERVICE_GRAPH_H
#define RUNSERVICE_GRAPH_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

struct rs_node {
	const char *name; /* for messages; borrowed */
	const size_t *parents;
	size_t nparents;
};

struct rs_graph {
	const struct rs_node *nodes;
	size_t n;
};

/* levels[i]: 0 without parents, else one more than the highest parent. ERR_INVALID on a cycle. */
int rs_graph_levels(unsigned *levels, const struct rs_graph *g, struct err **err) MUSTCHECK;
/* out[i] says whether i is an ancestor of node (on a cycle a node is its own). out holds g->n. */
void rs_graph_ancestors(bool *out, const struct rs_graph *g, size_t node);
/* Cycles, redundant and duplicate edges: one message per finding, joined with ", ".
 * ERR_INVALID when there is any. */
int rs_graph_check(const struct rs_graph *g, struct err **err) MUSTCHECK;

#endif
