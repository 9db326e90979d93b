#include "runservice/graph.h"

#include "common/mem.h"

#include <string.h>

int
rs_graph_levels(unsigned *levels, const struct rs_graph *g, struct err **err)
{
	auto_free bool *known = xcalloc(g->n + 1, sizeof(*known));
	size_t done = 0;
	for (bool moved = true; moved && done < g->n;) {
		moved = false;
		for (size_t i = 0; i < g->n; i++) {
			if (known[i])
				continue;
			unsigned level = 0;
			size_t j = 0;
			for (; j < g->nodes[i].nparents; j++) {
				size_t p = g->nodes[i].parents[j];
				if (!known[p])
					break;
				if (levels[p] + 1 > level)
					level = levels[p] + 1;
			}
			if (j < g->nodes[i].nparents)
				continue;
			levels[i] = level;
			known[i] = true;
			done++;
			moved = true;
		}
	}
	if (done < g->n)
		return err_set(err, ERR_INVALID, "circular dependency detected");
	return 0;
}

void
rs_graph_ancestors(bool *out, const struct rs_graph *g, size_t node)
{
	auto_free size_t *todo = xcalloc(g->n + 1, sizeof(*todo));
	size_t ntodo = 0;
	memset(out, 0, g->n * sizeof(*out));
	todo[ntodo++] = node;
	bool first = true;
	while (ntodo > 0) {
		const struct rs_node *at = &g->nodes[todo[--ntodo]];
		for (size_t j = 0; j < at->nparents; j++) {
			size_t p = at->parents[j];
			if (out[p])
				continue;
			out[p] = true;
			/* The start itself is entered at most once, through a cycle. */
			if (p != node || first)
				todo[ntodo++] = p;
		}
		first = false;
	}
}

static void add(struct buf *found, const char *fmt, ...) PRINTF(2, 3);

static void
add(struct buf *found, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	auto_free char *text = xvasprintf(fmt, ap);
	va_end(ap);
	if (found->len > 0)
		buf_puts(found, ", ");
	buf_puts(found, text);
}

static void
find_cycles(struct buf *found, const struct rs_graph *g, const bool *anc)
{
	for (size_t i = 0; i < g->n; i++) {
		if (!anc[i * g->n + i])
			continue;
		for (size_t p = 0; p < g->n; p++) {
			if (!anc[i * g->n + p])
				continue;
			for (size_t j = 0; j < g->nodes[p].nparents; j++) {
				if (g->nodes[p].parents[j] != i)
					continue;
				add(found,
				    "circular dependency between task \"%s\" and task \"%s\"",
				    g->nodes[i].name, g->nodes[p].name);
				break;
			}
		}
	}
}

static void
find_redundant(struct buf *found, const struct rs_graph *g, const bool *anc)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct rs_node *t = &g->nodes[i];
		for (size_t a = 0; a < t->nparents; a++) {
			for (size_t b = 0; b < t->nparents; b++) {
				if (a == b)
					continue;
				if (t->parents[a] == t->parents[b]) {
					if (a < b)
						add(found, "duplicate task dependency: task \"%s\"",
						    t->name);
				} else if (anc[t->parents[a] * g->n + t->parents[b]]) {
					add(found,
					    "task \"%s\" and its parent \"%s\" have both a "
					    "dependency on "
					    "task \"%s\"",
					    t->name, g->nodes[t->parents[a]].name,
					    g->nodes[t->parents[b]].name);
				}
			}
		}
	}
}

int
rs_graph_check(const struct rs_graph *g, struct err **err)
{
	auto_free bool *anc = xcalloc(g->n * g->n + 1, sizeof(*anc));
	auto_buf found = BUF_INIT;
	for (size_t i = 0; i < g->n; i++)
		rs_graph_ancestors(anc + i * g->n, g, i);
	find_cycles(&found, g, anc);
	if (found.len == 0)
		find_redundant(&found, g, anc);
	if (found.len > 0)
		return err_set(err, ERR_INVALID, "%s", buf_str(&found));
	return 0;
}
