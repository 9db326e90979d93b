/* Names and dependencies: what can only be judged once everything is read. */
#include "rundef_int.h"

#include "common/mem.h"

#include <string.h>

/* --- names --- */

struct name {
	const char *text;
	size_t index;
};

static int
name_cmp(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int c = strcmp(x->text, y->text);

	return c ? c : x->index < y->index ? -1 : x->index > y->index;
}

/* Sorted by text, then by place; nameless entries are left out. */
struct names {
	struct name *list;
	size_t n;
};

static void
names_add(struct names *s, const char *text, size_t index)
{
	if (text && *text)
		s->list[s->n++] = (struct name){ text, index };
}

static void
names_sort(struct names *s)
{
	if (s->n)
		qsort(s->list, s->n, sizeof(*s->list), name_cmp);
}

/* Index of the first entry with this name, SIZE_MAX when there is none. */
static size_t
names_find(const struct names *s, const char *text)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(s->list[mid].text, text) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->n && strcmp(s->list[low].text, text) == 0 ? s->list[low].index : SIZE_MAX;
}

static struct names
task_names(const struct src_run *run)
{
	struct names s = { xcalloc(run->ntasks + 1, sizeof(*s.list)), 0 };

	for (size_t i = 0; i < run->ntasks; i++)
		names_add(&s, run->tasks[i].name, i);
	names_sort(&s);
	return s;
}

static void
enter_task(struct rd *r, const struct src_run *run, size_t irun, size_t itask)
{
	rundef_leave(r, 0);
	buf_printf(&r->path, "runs[%zu].tasks[%zu]", irun, itask);
	free(r->run);
	r->run = run->name && *run->name ? xstrndup(run->name, 60) : NULL;
	free(r->task);
	const char *task = run->tasks[itask].name;
	r->task = task && *task ? xstrndup(task, 60) : NULL;
}

static void
leave_all(struct rd *r)
{
	rundef_leave(r, 0);
	free(steal(&r->run));
	free(steal(&r->task));
}

void
rundef_names_check(struct rd *r, const struct src_top *top)
{
	struct names s = { xcalloc(top->nruns + 1, sizeof(*s.list)), 0 };

	for (size_t i = 0; i < top->nruns; i++)
		names_add(&s, top->runs[i].name, i);
	names_sort(&s);
	for (size_t i = 1; i < s.n; i++) {
		if (strcmp(s.list[i].text, s.list[i - 1].text) != 0)
			continue;
		buf_printf(&r->path, "runs[%zu].name", s.list[i].index);
		rundef_error(r, top->runs[s.list[i].index].pos, "duplicate run name \"%.100s\"",
		    s.list[i].text);
		leave_all(r);
	}
	free(s.list);
	for (size_t k = 0; k < top->nruns; k++) {
		const struct src_run *run = &top->runs[k];

		s = task_names(run);
		for (size_t i = 1; i < s.n; i++) {
			if (strcmp(s.list[i].text, s.list[i - 1].text) != 0)
				continue;
			size_t itask = s.list[i].index;
			enter_task(r, run, k, itask);
			free(steal(&r->task));
			buf_puts(&r->path, ".name");
			rundef_error(r, run->tasks[itask].pos, "duplicate task name \"%.100s\"",
			    s.list[i].text);
			leave_all(r);
		}
		free(s.list);
	}
}

/* --- the graph of one run --- */

#define NONE SIZE_MAX

struct graph {
	struct rd *r;
	struct src_run *run;
	size_t index; /* of the run */
	size_t n, words;
	size_t **parents;    /* by task and depend: index of a task or NONE */
	uint64_t *ancestors; /* n rows of words */
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
	enter_task(g->r, g->run, g->index, task);
	if (depend != NONE)
		buf_printf(&g->r->path, ".depends[%zu]", depend);
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
	struct names names = task_names(g->run);
	const char **words = xcalloc(names.n + 1, sizeof(*words));

	for (size_t i = 0; i < names.n; i++)
		words[i] = names.list[i].text;
	for (size_t t = 0; t < g->n; t++) {
		const struct src_depends *d = &g->run->tasks[t].depends;

		g->parents[t] = xcalloc(d->n + 1, sizeof(**g->parents));
		for (size_t i = 0; i < d->n; i++) {
			const char *name = d->list[i].d.task;

			g->parents[t][i] = name ? names_find(&names, name) : NONE;
			if (!name || g->parents[t][i] != NONE)
				continue;
			at_depend(g, t, i);
			rundef_report(g->r, RUNDEF_ERROR, d->list[i].pos,
			    names.n <= 1000 ? nearest_name(name, words) : NULL,
			    "task \"%.100s\" needed by task \"%.100s\" doesn't exist in this run",
			    name, g->run->tasks[t].name ? g->run->tasks[t].name : "");
		}
	}
	free(words);
	free(names.list);
}

/* Kahn's order, and the level of every task that is on or below no cycle. */
static void
graph_order(struct graph *g)
{
	size_t *missing = xcalloc(g->n + 1, sizeof(*missing));
	size_t *first = xcalloc(g->n + 2, sizeof(*first)), nedges = 0;

	for (size_t t = 0; t < g->n; t++)
		for (size_t i = 0; i < g->run->tasks[t].depends.n; i++)
			if (g->parents[t][i] != NONE) {
				missing[t]++;
				first[g->parents[t][i] + 1]++;
				nedges++;
			}
	for (size_t t = 0; t < g->n; t++)
		first[t + 1] += first[t];
	size_t *children = xcalloc(nedges + 1, sizeof(*children));
	size_t *fill = xmemdup(first, (g->n + 1) * sizeof(*fill));
	for (size_t t = 0; t < g->n; t++)
		for (size_t i = 0; i < g->run->tasks[t].depends.n; i++)
			if (g->parents[t][i] != NONE)
				children[fill[g->parents[t][i]]++] = t;
	for (size_t t = 0; t < g->n; t++)
		if (!missing[t])
			g->order[g->norder++] = t;
	for (size_t k = 0; k < g->norder; k++) {
		size_t parent = g->order[k];
		unsigned level = g->run->tasks[parent].level + 1;

		for (size_t i = first[parent]; i < first[parent + 1]; i++) {
			struct src_task *child = &g->run->tasks[children[i]];

			child->level = level > child->level ? level : child->level;
			if (--missing[children[i]] == 0)
				g->order[g->norder++] = children[i];
		}
	}
	free(missing);
	free(first);
	free(children);
	free(fill);
}

static bool
ancestors_add(struct graph *g, size_t task)
{
	uint64_t *own = row(g, task);
	uint64_t grown = 0;

	for (size_t i = 0; i < g->run->tasks[task].depends.n; i++) {
		size_t parent = g->parents[task][i];

		if (parent == NONE)
			continue;
		for (size_t w = 0; w < g->words; w++) {
			uint64_t more = row(g, parent)[w] |
			                (w == parent / 64 ? (uint64_t)1 << (parent % 64) : 0);
			grown |= more & ~own[w];
			own[w] |= more;
		}
	}
	return grown != 0;
}

/* One pass in order; where there are cycles, until nothing grows. */
static void
graph_ancestors(struct graph *g)
{
	for (size_t k = 0; k < g->norder; k++)
		ancestors_add(g, g->order[k]);
	if (g->norder == g->n)
		return;
	/* At most as many passes as a path is long; a file that wants thousands gets fewer: a cycle
	 * is reported all the same, see graph_cycles(). */
	for (size_t pass = 0; pass < 64; pass++) {
		bool grown = false;

		for (size_t t = 0; t < g->n; t++)
			grown |= ancestors_add(g, t);
		if (!grown)
			return;
	}
}

static bool
graph_cycles(struct graph *g)
{
	size_t reported = 0;

	if (g->norder == g->n)
		return false;
	for (size_t t = 0; t < g->n; t++) {
		auto_buf through = BUF_INIT;
		const struct src_depends *d = &g->run->tasks[t].depends;

		if (!bit(row(g, t), t))
			continue;
		/* The ancestors that depend on it directly. */
		for (size_t p = 0; p < g->n && through.len < RUNDEF_MESSAGE_MAX; p++) {
			if (!bit(row(g, t), p))
				continue;
			for (size_t i = 0; i < g->run->tasks[p].depends.n; i++)
				if (g->parents[p][i] == t) {
					buf_printf(&through, "%s\"%.100s\"",
					    through.len ? ", " : "", g->run->tasks[p].name);
					break;
				}
		}
		size_t on_cycle = 0;
		while (on_cycle < d->n && (g->parents[t][on_cycle] == NONE ||
		                              (g->parents[t][on_cycle] != t &&
		                                  !bit(row(g, g->parents[t][on_cycle]), t))))
			on_cycle++;
		at_depend(g, t, on_cycle < d->n ? on_cycle : NONE);
		rundef_error(g->r, on_cycle < d->n ? d->list[on_cycle].pos : g->run->tasks[t].pos,
		    "circular dependency between task \"%.100s\" and %s", g->run->tasks[t].name,
		    buf_str(&through));
		reported++;
	}
	if (!reported) {
		at_depend(g, 0, NONE);
		free(steal(&g->r->task));
		rundef_error(g->r, g->run->pos, "circular dependency between tasks of this run");
	}
	return true;
}

/* An edge to X beside an edge to P that already implies it. */
static void
task_redundant(struct graph *g, size_t t, const uint64_t *parents)
{
	const struct src_depends *d = &g->run->tasks[t].depends;

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
				    g->run->tasks[t].name, g->run->tasks[p].name,
				    g->run->tasks[x].name, g->run->tasks[x].name);
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
		const struct src_depends *d = &g->run->tasks[t].depends;

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
				    g->run->tasks[t].name, g->run->tasks[p].name);
			}
			parents[p / 64] |= (uint64_t)1 << (p % 64);
		}
		if (!cyclic && g->r->diags->errors <= RUNDEF_DIAGS_MAX)
			task_redundant(g, t, parents);
	}
	free(parents);
}

static void
run_check(struct rd *r, struct src_run *run, size_t index)
{
	struct graph g = { .r = r, .run = run, .index = index, .n = run->ntasks };

	g.words = (g.n + 63) / 64;
	g.parents = xcalloc(g.n + 1, sizeof(*g.parents));
	g.order = xcalloc(g.n + 1, sizeof(*g.order));
	g.ancestors = xcalloc(g.n * g.words + 1, sizeof(*g.ancestors));
	graph_link(&g);
	graph_order(&g);
	graph_ancestors(&g);
	bool cyclic = graph_cycles(&g);
	graph_edges(&g, cyclic);
	for (size_t t = 0; t < g.n; t++)
		free(g.parents[t]);
	free(g.parents);
	free(g.order);
	free(g.ancestors);
	leave_all(r);
}

void
rundef_graph_check(struct rd *r, struct src_top *top)
{
	for (size_t i = 0; i < top->nruns; i++)
		if (top->runs[i].ntasks > 0 && top->runs[i].ntasks <= RUNDEF_TASKS_MAX)
			run_check(r, &top->runs[i], i);
}
