/*
 * matrix: one task of the document, read once for each combination of its axes.
 *
 * While a combination is read, r->combo says what ${{ matrix.NAME }} stands for in every text of
 * the task; what is wrong in the task is said once, although it is met with every combination.
 */
#include "rundef_int.h"

#include "common/mem.h"

#include <stdio.h>
#include <string.h>

struct combos {
	struct rundef_combo *list;
	size_t n;
	size_t naxes; /* of the pairs of a combination the first ones, except in made ones */
};

static const char *
pair_get(const struct rundef_pairs *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->list[i].name, name) == 0)
			return p->list[i].value;
	return NULL;
}

static void
pair_set(struct rundef_pairs *p, const char *name, const char *value)
{
	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->list[i].name, name) != 0)
			continue;
		free(p->list[i].value);
		p->list[i].value = xstrdup(value);
		return;
	}
	p->list = xreallocarray(p->list, p->n + 1, sizeof(*p->list));
	p->list[p->n++] = (struct rundef_pair){ xstrdup(name), xstrdup(value) };
}

/* --- filling in --- */

#define PLACE "${{"
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

/* The place of a matrix value that begins at p: its length, its name in *name and *len; 0 when it
 * is something else, which is left alone. */
static size_t
place_parse(const char *p, const char **name, size_t *len)
{
	static const char word[] = "matrix.";
	const char *s = p + sizeof(PLACE) - 1;

	s += strspn(s, " \t");
	if (strncmp(s, word, sizeof(word) - 1) != 0)
		return 0;
	s += sizeof(word) - 1;
	*name = s;
	*len = strspn(s, NAME_CHARS);
	s += *len;
	s += strspn(s, " \t");
	return *len && s[0] == '}' && s[1] == '}' ? (size_t)(s + 2 - p) : 0;
}

static void
unknown_name(struct rd *r, struct yaml_pos pos, const char *name)
{
	const struct rundef_pairs *p = &r->combo->pairs;
	const char **words = xcalloc(p->n + 1, sizeof(*words));

	for (size_t i = 0; i < p->n; i++)
		words[i] = p->list[i].name;
	rundef_report(r, RUNDEF_ERROR, pos, rundef_nearest(name, words),
	    "the matrix has no \"%.60s\" in the combination (%.100s)", name, r->combo->label);
	free(words);
}

char *
rundef_fill_in(struct rd *r, struct yaml_pos pos, const char *text)
{
	struct buf out = BUF_INIT;
	bool ok = true;

	for (const char *at; (at = strstr(text, PLACE)) != NULL;) {
		const char *name;
		size_t len, n = place_parse(at, &name, &len);

		buf_append(&out, text, (size_t)(at - text));
		text = at + (n ? n : 1);
		if (n == 0) {
			buf_putc(&out, *at);
			continue;
		}
		auto_free char *key = xstrndup(name, len);
		const char *value = pair_get(&r->combo->pairs, key);
		if (!value) {
			unknown_name(r, pos, key);
			ok = false;
			continue;
		}
		buf_puts(&out, value);
		if (out.len > r->budget) { /* many places, long values */
			ok = rundef_charge(r, pos, out.len);
			break;
		}
	}
	buf_puts(&out, text);
	if (!ok)
		buf_free(&out);
	return ok ? buf_take(&out) : NULL;
}

/* --- axes --- */

static bool
is_list_of_axes(const char *key)
{
	return strcmp(key, "include") == 0 || strcmp(key, "exclude") == 0;
}

/* A value is the text as it is written: 1.20 stays 1.20. NULL after an error. */
static const char *
value_text(struct rd *r, const struct yaml_node *n)
{
	if (n->type == YAML_STRING || n->type == YAML_INT || n->type == YAML_FLOAT ||
	    n->type == YAML_BOOL)
		return n->text;
	rundef_error(
	    r, n->pos, "a value of a matrix must be text, found %s", yaml_type_name(n->type));
	return NULL;
}

static bool
axis_name_ok(struct rd *r, const struct yaml_node *key)
{
	if (key->text[strspn(key->text, NAME_CHARS)] == '\0' && *key->text &&
	    !(*key->text >= '0' && *key->text <= '9'))
		return true;
	rundef_error(r, key->pos,
	    "\"%.60s\" cannot be a name in a matrix: it is an environment variable, of letters, "
	    "digits and _",
	    key->text);
	return false;
}

static bool
axis_ok(struct rd *r, const struct yaml_pair *axis)
{
	const struct yaml_node *list = axis->value;
	bool ok = axis_name_ok(r, axis->key);

	if (list->type != YAML_LIST || list->n == 0) {
		rundef_error(r, list->pos, "expected a list of values, found %s",
		    list->type == YAML_LIST ? "an empty one" : yaml_type_name(list->type));
		return false;
	}
	if (list->n > RUNDEF_MATRIX_MAX)
		return ok; /* the product is refused */
	for (size_t i = 0; i < list->n; i++) {
		size_t mark = rundef_enter_index(r, i);
		const char *text = value_text(r, list->items[i]);

		ok &= text != NULL;
		for (size_t k = 0; text && k < i; k++) {
			if (!list->items[k]->text || strcmp(list->items[k]->text, text) != 0)
				continue;
			rundef_error(
			    r, list->items[i]->pos, "the value \"%.60s\" is given twice", text);
			ok = false;
			break;
		}
		rundef_leave(r, mark);
	}
	return ok;
}

static void
combo_fini(struct rundef_combo *c)
{
	rundef_pairs_fini(&c->pairs);
	free(c->label);
}

static void
combos_fini(struct combos *c)
{
	for (size_t i = 0; i < c->n; i++)
		combo_fini(&c->list[i]);
	free(c->list);
}

static struct rundef_combo *
combo_add(struct combos *c)
{
	c->list = xreallocarray(c->list, c->n + 1, sizeof(*c->list));
	c->list[c->n] = (struct rundef_combo){ 0 };
	return &c->list[c->n++];
}

/* The product, the last axis turning fastest. */
static bool
product(struct rd *r, const struct yaml_node *matrix, struct combos *c)
{
	const struct yaml_pair *axes[RUNDEF_MATRIX_AXES_MAX];
	size_t total = 1;
	bool ok = true;

	for (size_t i = 0; i < matrix->n; i++) {
		if (is_list_of_axes(matrix->pairs[i].key->text))
			continue;
		if (c->naxes == RUNDEF_MATRIX_AXES_MAX) {
			rundef_error(r, matrix->pairs[i].key->pos,
			    "a matrix can have %d axes at most", RUNDEF_MATRIX_AXES_MAX);
			return false;
		}
		size_t mark = rundef_enter_key(r, matrix->pairs[i].key->text);
		ok &= axis_ok(r, &matrix->pairs[i]);
		rundef_leave(r, mark);
		axes[c->naxes++] = &matrix->pairs[i];
		total = total > RUNDEF_MATRIX_MAX ? total : total * matrix->pairs[i].value->n;
	}
	if (total > RUNDEF_MATRIX_MAX) {
		rundef_error(
		    r, matrix->pos, "the matrix has more than %d combinations", RUNDEF_MATRIX_MAX);
		return false;
	}
	for (size_t i = 0; ok && c->naxes && i < total; i++) {
		struct rundef_combo *combo = combo_add(c);
		size_t step = total;

		for (size_t k = 0; k < c->naxes; k++) {
			const struct yaml_node *values = axes[k]->value;

			step /= values->n;
			pair_set(&combo->pairs, axes[k]->key->text,
			    values->items[i / step % values->n]->text);
		}
	}
	return ok;
}

/* --- include and exclude --- */

static bool
is_axis(const struct yaml_node *matrix, const char *name)
{
	const struct yaml_pair *p = yaml_get_pair(matrix, name);

	return p && strcmp(p->key->text, name) == 0 && !is_list_of_axes(name);
}

/* All of the entry's values that are of an axis are those of the combination. */
static bool
combo_fits(
    const struct yaml_node *matrix, const struct yaml_node *entry, const struct rundef_combo *c)
{
	for (size_t i = 0; i < entry->n; i++) {
		const char *name = entry->pairs[i].key->text;
		const char *value = pair_get(&c->pairs, name);

		if (is_axis(matrix, name) &&
		    (!value || strcmp(value, entry->pairs[i].value->text) != 0))
			return false;
	}
	return true;
}

static bool
entry_ok(struct rd *r, const struct yaml_node *matrix, const struct yaml_node *entry, bool exclude)
{
	bool ok = true;

	if (entry->type != YAML_MAP || entry->n == 0) {
		rundef_error(r, entry->pos,
		    "expected a mapping of names of the matrix to values, found %s",
		    entry->type == YAML_MAP ? "an empty one" : yaml_type_name(entry->type));
		return false;
	}
	for (size_t i = 0; i < entry->n; i++) {
		const struct yaml_pair *p = &entry->pairs[i];
		size_t mark = rundef_enter_key(r, p->key->text);

		ok &= axis_name_ok(r, p->key) && value_text(r, p->value);
		if (exclude && !is_axis(matrix, p->key->text)) {
			rundef_error(
			    r, p->key->pos, "the matrix has no axis \"%.60s\"", p->key->text);
			ok = false;
		}
		rundef_leave(r, mark);
	}
	return ok;
}

static bool
exclude_one(
    struct rd *r, const struct yaml_node *matrix, const struct yaml_node *entry, struct combos *c)
{
	size_t kept = 0, n = c->n;

	if (!entry_ok(r, matrix, entry, true))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (combo_fits(matrix, entry, &c->list[i]))
			combo_fini(&c->list[i]);
		else
			c->list[kept++] = c->list[i];
	}
	c->n = kept;
	if (kept == n)
		rundef_warn(r, entry->pos, "no combination is excluded by this");
	return true;
}

/* Extends what it fits among the combinations of the axes, or else makes one of its own. */
static bool
include_one(struct rd *r, const struct yaml_node *matrix, const struct yaml_node *entry,
    struct combos *c, size_t of_axes)
{
	bool fits = false;

	if (!entry_ok(r, matrix, entry, false))
		return false;
	for (size_t i = 0; i <= of_axes; i++) {
		bool own = i == of_axes;

		if (own ? fits : !combo_fits(matrix, entry, &c->list[i]))
			continue;
		if (own && c->n == RUNDEF_MATRIX_MAX) {
			rundef_error(r, entry->pos, "the matrix has more than %d combinations",
			    RUNDEF_MATRIX_MAX);
			return false;
		}
		struct rundef_combo *combo = own ? combo_add(c) : &c->list[i];
		fits = true;
		for (size_t k = 0; k < entry->n; k++)
			pair_set(
			    &combo->pairs, entry->pairs[k].key->text, entry->pairs[k].value->text);
	}
	return true;
}

static bool
adjust(struct rd *r, const struct yaml_node *matrix, struct combos *c, const char *key)
{
	const struct yaml_pair *p = yaml_get_pair(matrix, key);
	bool ok = true;

	if (!p || strcmp(p->key->text, key) != 0 || p->value->type == YAML_NULL)
		return true;
	size_t mark = rundef_enter_key(r, key), of_axes = c->n;
	if (p->value->type != YAML_LIST) {
		rundef_error(r, p->value->pos, "expected a list of combinations, found %s",
		    yaml_type_name(p->value->type));
		ok = false;
	}
	for (size_t i = 0; ok && i < p->value->n && i < RUNDEF_MATRIX_MAX; i++) {
		const struct yaml_node *entry = p->value->items[i];

		size_t inner = rundef_enter_index(r, i);
		ok = strcmp(key, "exclude") == 0 ? exclude_one(r, matrix, entry, c)
		                                 : include_one(r, matrix, entry, c, of_axes);
		rundef_leave(r, inner);
	}
	rundef_leave(r, mark);
	return ok;
}

/* Of the axes' values, or of all in a combination that include made. */
static void
label(const struct yaml_node *matrix, struct rundef_combo *c)
{
	struct buf b = BUF_INIT;
	bool axes = false;

	for (size_t i = 0; i < c->pairs.n; i++)
		axes |= is_axis(matrix, c->pairs.list[i].name);
	for (size_t i = 0; i < c->pairs.n; i++)
		if (!axes || is_axis(matrix, c->pairs.list[i].name))
			buf_printf(&b, "%s%s", b.len ? ", " : "", c->pairs.list[i].value);
	buf_puts(&b, "");
	c->label = xstrdup(buf_str(&b));
	buf_free(&b);
}

/* False when there is no matrix, or a wrong one. */
static bool
combos_read(struct rd *r, const struct yaml_node *task, struct combos *c)
{
	const struct yaml_pair *p = r->v1 ? yaml_get_pair(task, "matrix") : NULL;
	size_t refused = r->refused;

	if (!p || p->value->type == YAML_NULL)
		return false;
	const struct yaml_node *m = p->value;
	size_t mark = rundef_enter_key(r, p->key->text);
	if (m->type != YAML_MAP) {
		rundef_error(r, m->pos,
		    "matrix must be a mapping of names to lists of values, found %s",
		    yaml_type_name(m->type));
	} else {
		rundef_warn_keys(r, m);
		if (product(r, m, c) && adjust(r, m, c, "exclude") && adjust(r, m, c, "include") &&
		    c->n == 0)
			rundef_error(r, m->pos, "the matrix has no combination");
	}
	rundef_leave(r, mark);
	for (size_t i = 0; i < c->n; i++)
		label(m, &c->list[i]);
	return r->refused == refused;
}

/* --- tasks --- */

static struct src_task *
task_add(struct rd *r, const struct yaml_node *n, struct src_tasks *tasks)
{
	if (!rundef_charge(r, n->pos, sizeof(*tasks->list)))
		return NULL;
	if (tasks->n == tasks->cap) {
		tasks->cap = tasks->cap ? tasks->cap * 2 : 16;
		tasks->list = xreallocarray(tasks->list, tasks->cap, sizeof(*tasks->list));
	}
	tasks->list[tasks->n] = (struct src_task){ 0 };
	return &tasks->list[tasks->n++];
}

static void
task_read(struct rd *r, const struct yaml_node *n, size_t index, struct src_tasks *tasks)
{
	struct src_task *t = task_add(r, n, tasks);

	if (!t)
		return;
	t->index = index;
	if (n->type == YAML_NULL)
		rundef_error(r, n->pos, "task at index %zu is empty", index);
	else
		rundef_read_object(r, &rundef_task_object, n, t, NULL);
}

void
rundef_read_tasks(struct rd *r, const struct yaml_node *n, void *at)
{
	struct src_tasks *tasks = at;

	if (n->type != YAML_LIST) {
		rundef_error(r, n->pos, "expected a list for tasks, found %s%s",
		    yaml_type_name(n->type),
		    n->type == YAML_MAP ? ": begin each entry with \"- \"" : "");
		return;
	}
	for (size_t i = 0; i < n->n && tasks->n <= RUNDEF_TASKS_MAX && !r->exhausted; i++) {
		struct combos c = { 0 };
		size_t mark = rundef_enter_index(r, i);

		if (combos_read(r, n->items[i], &c)) {
			for (size_t k = 0; k < c.n && tasks->n <= RUNDEF_TASKS_MAX; k++) {
				r->combo = &c.list[k];
				r->repeat = k > 0;
				task_read(r, n->items[i], i, tasks);
			}
			r->combo = NULL;
			r->repeat = false;
		} else {
			task_read(r, n->items[i], i, tasks);
		}
		combos_fini(&c);
		rundef_leave(r, mark);
	}
}

static bool
has_env(const struct rundef_envs *e, const char *name)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->list[i].name && strcmp(e->list[i].name, name) == 0)
			return true;
	return false;
}

/* The values of the combination come first in the environment. */
static void
combo_environment(struct rd *r, const struct yaml_node *map, struct src_task *t)
{
	const struct rundef_pairs *p = &r->combo->pairs;
	const struct yaml_node *node = yaml_get(map, "environment");
	size_t n = t->environment.n;

	if (!rundef_charge(r, map->pos, (n + p->n) * sizeof(*t->environment.list)))
		return;
	struct rundef_env *list = xcalloc(n + p->n, sizeof(*list));
	for (size_t i = 0; i < p->n; i++) {
		if (has_env(&t->environment, p->list[i].name)) {
			size_t mark = rundef_enter_key(r, "environment");
			rundef_enter_key(r, p->list[i].name);
			rundef_error(r, node ? node->pos : map->pos,
			    "\"%.60s\" is in the environment already, by the matrix",
			    p->list[i].name);
			rundef_leave(r, mark);
		}
		list[i].name = rundef_dup_text(r, map->pos, p->list[i].name);
		list[i].value.literal = rundef_dup_text(r, map->pos, p->list[i].value);
	}
	if (n)
		memcpy(list + p->n, t->environment.list, n * sizeof(*list));
	free(t->environment.list);
	t->environment.list = list;
	t->environment.n = n + p->n;
}

void
rundef_combo_apply(struct rd *r, const struct yaml_node *map, struct src_task *t)
{
	const struct yaml_node *name = yaml_get(map, "name");
	const struct rundef_pairs *p = &r->combo->pairs;

	combo_environment(r, map, t);
	t->matrix.list = rundef_array(r, map->pos, p->n, sizeof(*t->matrix.list));
	for (size_t i = 0; t->matrix.list && i < p->n; i++)
		t->matrix.list[t->matrix.n++] =
		    (struct rundef_pair){ rundef_dup_text(r, map->pos, p->list[i].name),
			    rundef_dup_text(r, map->pos, p->list[i].value) };
	if (!t->name || !*t->name || !name)
		return;
	t->matrix_name = rundef_dup_text(r, map->pos, name->text);
	/* A name that holds no value of the matrix gets them all. */
	if (strcmp(t->name, name->text) == 0) {
		auto_free char *own = steal(&t->name);
		t->name = xasprintf("%s (%s)", own, r->combo->label);
	}
	size_t len = strlen(t->name), mark = rundef_enter_key(r, "name");
	if (len > RUNDEF_NAME_MAX && strlen(name->text) <= RUNDEF_NAME_MAX)
		rundef_error(r, name->pos,
		    "task name is too long with the values of the matrix: %zu bytes, at most %d "
		    "are allowed",
		    len, RUNDEF_NAME_MAX);
	rundef_leave(r, mark);
}

/* --- dependencies on a whole matrix --- */

/* Those of one run, sorted. */
struct groups {
	struct rundef_names tasks, matrices;
};

static bool
groups_read(struct groups *g, const struct src_run *run)
{
	rundef_names_init(&g->tasks, run->tasks.n);
	rundef_names_init(&g->matrices, run->tasks.n);
	for (size_t i = 0; i < run->tasks.n; i++) {
		rundef_names_add(&g->tasks, run->tasks.list[i].name, i);
		rundef_names_add(&g->matrices, run->tasks.list[i].matrix_name, i);
	}
	rundef_names_sort(&g->tasks);
	rundef_names_sort(&g->matrices);
	return g->matrices.n > 0;
}

/* The tasks of the matrix that this dependency means: *n of them from the result on in
 * g->matrices; none when a task has the very name. */
static size_t
group_find(const struct groups *g, const struct src_depend *d, size_t *n)
{
	size_t first = g->matrices.n;

	*n = 0;
	if (!d->d.task || rundef_names_find(&g->tasks, d->d.task) < g->tasks.n)
		return first;
	first = rundef_names_find(&g->matrices, d->d.task);
	while (
	    first + *n < g->matrices.n && strcmp(g->matrices.list[first + *n].text, d->d.task) == 0)
		(*n)++;
	return first;
}

static char **
conditions_copy(struct rd *r, const struct src_depend *d, size_t *n)
{
	char **copy = rundef_array(r, d->pos, d->d.nconditions, sizeof(*copy));

	for (*n = 0; copy && *n < d->d.nconditions; (*n)++)
		if (!(copy[*n] = rundef_dup_text(r, d->pos, d->d.conditions[*n])))
			break;
	return copy;
}

static void
depends_widen(struct rd *r, const struct groups *g, const struct src_run *run, struct src_task *t,
    size_t more)
{
	struct src_depends wide = { 0 };

	if (!rundef_charge(r, t->pos, (t->depends.n + more) * sizeof(*wide.list)))
		return;
	wide.list = xcalloc(t->depends.n + more, sizeof(*wide.list));
	for (size_t i = 0; i < t->depends.n; i++) {
		struct src_depend *d = &t->depends.list[i];
		size_t n, first = group_find(g, d, &n);

		if (n == 0) {
			wide.list[wide.n++] = *d;
			continue;
		}
		for (size_t k = 0; k < n && !r->exhausted; k++) {
			const struct src_task *to =
			    &run->tasks.list[g->matrices.list[first + k].index];
			struct src_depend *one = &wide.list[wide.n++];

			*one = (struct src_depend){ .pos = d->pos, .index = d->index };
			one->d.task = rundef_dup_text(r, d->pos, to->name ? to->name : "");
			one->d.conditions = conditions_copy(r, d, &one->d.nconditions);
		}
		rundef_depend_fini(&d->d);
	}
	free(t->depends.list);
	t->depends = wide;
}

void
rundef_matrix_depends(struct rd *r, struct src_top *top)
{
	for (size_t i = 0; i < top->nruns; i++) {
		struct src_run *run = &top->runs[i];
		struct groups g;

		if (groups_read(&g, run))
			for (size_t k = 0; k < run->tasks.n && !r->exhausted; k++) {
				struct src_task *t = &run->tasks.list[k];
				size_t more = 0;

				for (size_t d = 0; d < t->depends.n; d++) {
					size_t n;
					group_find(&g, &t->depends.list[d], &n);
					more += n;
				}
				if (more)
					depends_widen(r, &g, run, t, more);
			}
		rundef_names_fini(&g.tasks);
		rundef_names_fini(&g.matrices);
	}
}
