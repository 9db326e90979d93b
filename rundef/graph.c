/*
 * The graph of one run: what can only be judged once everything is read. Linear in tasks and
 * dependencies, but for the sets of ancestors, which are bit sets: n * n / 8 bytes, one "or" of
 * n / 64 words for each dependency.
 */
#include "rundef_int.h"

#include "common/mem.h"

#include <string.h>

#define NONE SIZE_MAX

struct graph {
	struct rd *r;
	const struct src_top *top;
	struct src_task *tasks;
	size_t index; /* of the run */
	size_t n, words;
	size_t **parents; /* by task and depend: index of a task or NONE */
	size_t *first;    /* by task: where its children begin in children; n + 1 of them */
	size_t *children;
	uint64_t *ancestors; /* n rows of words, filled when there is no cycle */
	size_t *order;       /* parents before children; norder < n when there is a cycle */
	size_t norder;
};

static uint64_t *
row(const struct graph *g, size_t task)
{
	return g->ancestors + task * g->words;
}

static bool
bit(const uint64_t *set, size_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}

static void
at_depend(const struct graph *g, size_t task, size_t depend)
{
	rundef_enter_task(g->r, g->top, g->index, task);
	if (depend != NONE)
		buf_printf(&g->r->path, ".depends[%zu]", g->tasks[task].depends.list[depend].index);
}

/* Of short names like t1 and t2 one is not a misspelling of the other. */
static const char *
nearest_name(const char *given, const char *const *names)
{
	const char *near = rundef_nearest(given, names);
	size_t n = strlen(given);

	return near && n <= 3 && strlen(near) == n ? NULL : near;
}

/* Resolves names; says which do not exist. */
static void
graph_link(struct graph *g)
{
	struct rundef_names names;

	rundef_names_init(&names, g->n);
	for (size_t i = 0; i < g->n; i++)
		rundef_names_add(&names, g->tasks[i].name, i);
	rundef_names_sort(&names);
	const char **words = xcalloc(names.n + 1, sizeof(*words));
	for (size_t i = 0; i < names.n; i++)
		words[i] = names.list[i].text;
	for (size_t t = 0; t < g->n; t++) {
		struct src_depends *d = &g->tasks[t].depends;

		g->parents[t] = xcalloc(d->n + 1, sizeof(**g->parents));
		for (size_t i = 0; i < d->n; i++) {
			const char *name = d->list[i].d.task;
			size_t place = name ? rundef_names_find(&names, name) : names.n;

			g->parents[t][i] = place < names.n ? names.list[place].index : NONE;
			if (place < names.n)
				d->list[i].d.index = names.list[place].index;
			if (!name || place < names.n)
				continue;
			at_depend(g, t, i);
			rundef_report(g->r, RUNDEF_ERROR, d->list[i].pos,
			    names.n <= 1000 ? nearest_name(name, words) : NULL,
			    "task \"%.100s\" needed by task \"%.100s\" doesn't exist in this run",
			    name, g->tasks[t].name ? g->tasks[t].name : "");
		}
	}
	free(words);
	rundef_names_fini(&names);
}

/* Children of each task: the same edges the other way round. */
static void
graph_turn(struct graph *g)
{
	g->first = xcalloc(g->n + 2, sizeof(*g->first));
	for (size_t t = 0; t < g->n; t++)
		for (size_t i = 0; i < g->tasks[t].depends.n; i++)
			if (g->parents[t][i] != NONE)
				g->first[g->parents[t][i] + 1]++;
	for (size_t t = 0; t < g->n; t++)
		g->first[t + 1] += g->first[t];
	g->children = xcalloc(g->first[g->n] + 1, sizeof(*g->children));
	auto_free size_t *fill = xmemdup(g->first, (g->n + 1) * sizeof(*fill));
	for (size_t t = 0; t < g->n; t++)
		for (size_t i = 0; i < g->tasks[t].depends.n; i++)
			if (g->parents[t][i] != NONE)
				g->children[fill[g->parents[t][i]]++] = t;
}

/* Kahn's order, and the level of every task that is on or below no cycle. */
static void
graph_order(struct graph *g)
{
	auto_free size_t *missing = xcalloc(g->n + 1, sizeof(*missing));

	for (size_t t = 0; t < g->n; t++)
		for (size_t i = 0; i < g->tasks[t].depends.n; i++)
			missing[t] += g->parents[t][i] != NONE;
	for (size_t t = 0; t < g->n; t++)
		if (!missing[t])
			g->order[g->norder++] = t;
	for (size_t k = 0; k < g->norder; k++) {
		size_t parent = g->order[k];
		unsigned level = g->tasks[parent].level + 1;

		for (size_t i = g->first[parent]; i < g->first[parent + 1]; i++) {
			struct src_task *child = &g->tasks[g->children[i]];

			child->level = level > child->level ? level : child->level;
			if (--missing[g->children[i]] == 0)
				g->order[g->norder++] = g->children[i];
		}
	}
}

static void
graph_ancestors(struct graph *g)
{
	g->ancestors = xcalloc(g->n * g->words + 1, sizeof(*g->ancestors));
	for (size_t k = 0; k < g->norder; k++) {
		size_t t = g->order[k];
		uint64_t *own = row(g, t);

		for (size_t i = 0; i < g->tasks[t].depends.n; i++) {
			size_t p = g->parents[t][i];

			if (p == NONE)
				continue;
			for (size_t w = 0; w < g->words; w++)
				own[w] |= row(g, p)[w];
			own[p / 64] |= (uint64_t)1 << (p % 64);
		}
	}
}

/* --- cycles: the strongly connected components (Tarjan, without recursion) --- */

struct walk {
	size_t *number, *low, *component; /* number 0: not seen; component 0: not closed */
	size_t *stack, nstack;            /* seen and not closed */
	size_t *path, *next, npath;       /* the way down, and the next child of each */
	size_t count, ncomponents;
};

static void
walk_close(struct walk *w, size_t t)
{
	size_t member;

	w->ncomponents++;
	do {
		member = w->stack[--w->nstack];
		w->component[member] = w->ncomponents;
	} while (member != t);
}

static void
walk_enter(struct walk *w, const struct graph *g, size_t t)
{
	w->number[t] = w->low[t] = ++w->count;
	w->stack[w->nstack++] = t;
	w->next[w->npath] = g->first[t];
	w->path[w->npath++] = t;
}

static void
walk_from(struct walk *w, const struct graph *g, size_t start)
{
	walk_enter(w, g, start);
	while (w->npath > 0) {
		size_t t = w->path[w->npath - 1];

		if (w->next[w->npath - 1] < g->first[t + 1]) {
			size_t child = g->children[w->next[w->npath - 1]++];

			if (!w->number[child])
				walk_enter(w, g, child);
			else if (!w->component[child] && w->number[child] < w->low[t])
				w->low[t] = w->number[child];
			continue;
		}
		w->npath--;
		if (w->npath > 0 && w->low[t] < w->low[w->path[w->npath - 1]])
			w->low[w->path[w->npath - 1]] = w->low[t];
		if (w->low[t] == w->number[t])
			walk_close(w, t);
	}
}

/* Component of each task, from 1; malloc'ed. */
static size_t *
components(const struct graph *g)
{
	size_t n = g->n + 1;
	struct walk w = { xcalloc(n, sizeof(size_t)), xcalloc(n, sizeof(size_t)),
		xcalloc(n, sizeof(size_t)), xcalloc(n, sizeof(size_t)), 0,
		xcalloc(n, sizeof(size_t)), xcalloc(n, sizeof(size_t)), 0, 0, 0 };

	for (size_t t = 0; t < g->n; t++)
		if (!w.number[t])
			walk_from(&w, g, t);
	free(w.number);
	free(w.low);
	free(w.stack);
	free(w.path);
	free(w.next);
	return w.component;
}

/* One message for each task on a cycle, with those of the cycle that depend on it directly. */
static void
graph_cycles(struct graph *g)
{
	auto_free size_t *component = components(g);

	for (size_t t = 0; t < g->n && g->r->diags->errors <= RUNDEF_DIAGS_MAX; t++) {
		auto_buf through = BUF_INIT;
		const struct src_depends *d = &g->tasks[t].depends;

		for (size_t i = g->first[t]; i < g->first[t + 1]; i++) {
			size_t child = g->children[i];
			if (component[child] == component[t] && through.len < RUNDEF_MESSAGE_MAX &&
			    (i == g->first[t] || g->children[i - 1] != child))
				buf_printf(&through, "%s\"%.100s\"", through.len ? ", " : "",
				    g->tasks[child].name ? g->tasks[child].name : "");
		}
		if (!through.len)
			continue;
		size_t on_cycle = 0;
		while (on_cycle < d->n && (g->parents[t][on_cycle] == NONE ||
		                              component[g->parents[t][on_cycle]] != component[t]))
			on_cycle++;
		at_depend(g, t, on_cycle < d->n ? on_cycle : NONE);
		rundef_error(g->r, on_cycle < d->n ? d->list[on_cycle].pos : g->tasks[t].pos,
		    "circular dependency between task \"%.100s\" and %s",
		    g->tasks[t].name ? g->tasks[t].name : "", buf_str(&through));
	}
}

/* --- edges that say nothing new --- */

/* An edge to X beside an edge to P that already implies it. */
static void
task_redundant(struct graph *g, size_t t, const uint64_t *parents)
{
	const struct src_depends *d = &g->tasks[t].depends;

	for (size_t i = 0; i < d->n; i++) {
		size_t p = g->parents[t][i];

		if (p == NONE)
			continue;
		for (size_t w = 0; w < g->words; w++) {
			if (!(row(g, p)[w] & parents[w]))
				continue;
			for (size_t k = 0; k < d->n; k++) {
				size_t x = g->parents[t][k];

				if (x == NONE || x / 64 != w || !bit(row(g, p), x))
					continue;
				at_depend(g, t, k);
				rundef_error(g->r, d->list[k].pos,
				    "task \"%.100s\" and its dependency \"%.100s\" both depend on "
				    "\"%.100s\": remove the redundant dependency on \"%.100s\"",
				    g->tasks[t].name, g->tasks[p].name, g->tasks[x].name,
				    g->tasks[x].name);
				if (g->r->diags->errors > RUNDEF_DIAGS_MAX)
					return;
			}
		}
	}
}

static void
graph_edges(struct graph *g, bool cyclic)
{
	uint64_t *parents = xcalloc(g->words + 1, sizeof(*parents));

	for (size_t t = 0; t < g->n; t++) {
		const struct src_depends *d = &g->tasks[t].depends;

		memset(parents, 0, g->words * sizeof(*parents));
		for (size_t i = 0; i < d->n; i++) {
			size_t p = g->parents[t][i];

			if (p == NONE)
				continue;
			if (bit(parents, p)) {
				at_depend(g, t, i);
				rundef_error(g->r, d->list[i].pos,
				    "duplicate task dependency: task \"%.100s\" depends on "
				    "\"%.100s\" "
				    "more than once",
				    g->tasks[t].name, g->tasks[p].name);
			}
			parents[p / 64] |= (uint64_t)1 << (p % 64);
		}
		if (!cyclic && g->r->diags->errors <= RUNDEF_DIAGS_MAX)
			task_redundant(g, t, parents);
	}
	free(parents);
}

static void
run_check(struct rd *r, struct src_top *top, size_t index)
{
	struct src_tasks *tasks = &top->runs[index].tasks;
	struct graph g = {
		.r = r, .top = top, .tasks = tasks->list, .index = index, .n = tasks->n
	};

	g.words = (g.n + 63) / 64;
	g.parents = xcalloc(g.n + 1, sizeof(*g.parents));
	g.order = xcalloc(g.n + 1, sizeof(*g.order));
	graph_link(&g);
	graph_turn(&g);
	graph_order(&g);
	bool cyclic = g.norder < g.n;
	if (cyclic)
		graph_cycles(&g);
	else
		graph_ancestors(&g);
	graph_edges(&g, cyclic);
	for (size_t t = 0; t < g.n; t++)
		free(g.parents[t]);
	free(g.parents);
	free(g.first);
	free(g.children);
	free(g.order);
	free(g.ancestors);
	rundef_leave_task(r);
}

void
rundef_graph_check(struct rd *r, struct src_top *top)
{
	for (size_t i = 0; i < top->nruns; i++)
		if (top->runs[i].tasks.n > 0 && top->runs[i].tasks.n <= RUNDEF_TASKS_MAX)
			run_check(r, top, i);
}
