/* Names: sorted for looking up, and unique. */
#include "rundef_int.h"

#include "common/mem.h"

#include <string.h>

static int
name_cmp(const void *a, const void *b)
{
	const struct rundef_name *x = a, *y = b;
	int c = strcmp(x->text, y->text);

	return c ? c : x->index < y->index ? -1 : x->index > y->index;
}

void
rundef_names_init(struct rundef_names *s, size_t most)
{
	s->list = xcalloc(most + 1, sizeof(*s->list));
	s->n = 0;
}

void
rundef_names_fini(struct rundef_names *s)
{
	free(s->list);
}

void
rundef_names_add(struct rundef_names *s, const char *text, size_t index)
{
	if (text && *text)
		s->list[s->n++] = (struct rundef_name){ text, index };
}

void
rundef_names_sort(struct rundef_names *s)
{
	if (s->n)
		qsort(s->list, s->n, sizeof(*s->list), name_cmp);
}

size_t
rundef_names_find(const struct rundef_names *s, const char *text)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(s->list[mid].text, text) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->n && strcmp(s->list[low].text, text) == 0 ? low : s->n;
}

void
rundef_enter_task(struct rd *r, const struct src_top *top, size_t irun, size_t itask)
{
	const struct src_run *run = &top->runs[irun];
	const struct src_task *task = &run->tasks.list[itask];

	rundef_leave(r, 0);
	buf_printf(&r->path, "runs[%zu].tasks[%zu]", irun, task->index);
	free(r->run);
	r->run = run->name && *run->name ? xstrndup(run->name, 60) : NULL;
	free(r->task);
	r->task = task->name && *task->name ? xstrndup(task->name, 60) : NULL;
}

void
rundef_leave_task(struct rd *r)
{
	rundef_leave(r, 0);
	free(steal(&r->run));
	free(steal(&r->task));
}

static struct yaml_pos
name_pos(struct yaml_pos entry, struct yaml_pos name)
{
	return name.line ? name : entry;
}

static void
runs_check(struct rd *r, const struct src_top *top)
{
	struct rundef_names s;

	rundef_names_init(&s, top->nruns);
	for (size_t i = 0; i < top->nruns; i++)
		rundef_names_add(&s, top->runs[i].name, i);
	rundef_names_sort(&s);
	for (size_t i = 1; i < s.n; i++) {
		if (strcmp(s.list[i].text, s.list[i - 1].text) != 0)
			continue;
		const struct src_run *run = &top->runs[s.list[i].index];
		buf_printf(&r->path, "runs[%zu].name", s.list[i].index);
		rundef_error(r, name_pos(run->pos, run->name_pos), "duplicate run name \"%.100s\"",
		    s.list[i].text);
		rundef_leave(r, 0);
	}
	rundef_names_fini(&s);
}

/* The name of a matrix as a whole must be one of its own too. */
static bool
leads_matrix(const struct src_tasks *tasks, size_t i)
{
	const struct src_task *t = &tasks->list[i];

	return t->matrix_name && t->name && strcmp(t->matrix_name, t->name) != 0 &&
	       (i == 0 || tasks->list[i - 1].index != t->index);
}

static void
tasks_check(struct rd *r, const struct src_top *top, size_t irun)
{
	const struct src_tasks *tasks = &top->runs[irun].tasks;
	struct rundef_names s;

	rundef_names_init(&s, 2 * tasks->n);
	for (size_t i = 0; i < tasks->n; i++) {
		rundef_names_add(&s, tasks->list[i].name, i);
		if (leads_matrix(tasks, i))
			rundef_names_add(&s, tasks->list[i].matrix_name, i);
	}
	rundef_names_sort(&s);
	for (size_t i = 1; i < s.n; i++) {
		if (strcmp(s.list[i].text, s.list[i - 1].text) != 0)
			continue;
		const struct src_task *t = &tasks->list[s.list[i].index];
		rundef_enter_task(r, top, irun, s.list[i].index);
		free(steal(&r->task));
		buf_puts(&r->path, ".name");
		rundef_error(r, name_pos(t->pos, t->name_pos), "duplicate task name \"%.100s\"",
		    s.list[i].text);
		rundef_leave_task(r);
	}
	rundef_names_fini(&s);
}

void
rundef_names_check(struct rd *r, const struct src_top *top)
{
	runs_check(r, top);
	for (size_t i = 0; i < top->nruns; i++)
		tasks_check(r, top, i);
}
