/* depends: three ways to write one edge. */
#include "rundef_int.h"

#include "common/mem.h"

#include <string.h>

const char *const rundef_condition_words[] = { "on_success", "on_failure", "on_skipped", NULL };

static void
conditions_read(struct rd *r, const struct yaml_node *n, struct rundef_depend *d)
{
	if (n->type == YAML_NULL)
		return;
	if (!rundef_read_texts(r, n, true, "conditions", &d->conditions, &d->nconditions))
		return;
	for (size_t i = 0; i < d->nconditions; i++) {
		bool known = false;
		size_t mark = rundef_enter_index(r, i);
		for (const char *const *w = rundef_condition_words; *w; w++)
			known |= strcmp(*w, d->conditions[i]) == 0;
		if (!known)
			rundef_report(r, RUNDEF_WARNING, i < n->n ? n->items[i]->pos : n->pos,
			    rundef_nearest(d->conditions[i], rundef_condition_words),
			    "unknown condition \"%.60s\" never holds, so the task will be skipped: "
			    "use on_success, on_failure or on_skipped",
			    d->conditions[i]);
		rundef_leave(r, mark);
	}
}

/* "{NAME: on_success}" means "{NAME: [on_success]}"; malloc'ed, or NULL. */
static char *
meant(const struct yaml_node *n)
{
	if (n->n != 1)
		return NULL;
	const char *key = n->pairs[0].key->text, *value = n->pairs[0].value->text;
	for (const char *const *w = rundef_condition_words; value && *w; w++)
		if (strcmp(*w, value) == 0)
			return xasprintf("{%.60s: [%s]}", key, value);
	static const char *const words[] = { "task", "conditions", NULL };
	const char *nearest = rundef_nearest(key, words);
	return nearest ? xstrdup(nearest) : NULL;
}

static void
full_read(struct rd *r, const struct yaml_node *n, struct rundef_depend *d)
{
	const struct yaml_node *task = yaml_get(n, "task"), *conditions = yaml_get(n, "conditions");

	if (!task || task->type == YAML_NULL) {
		auto_free char *hint = meant(n);
		rundef_report(r, RUNDEF_ERROR, n->pos, hint,
		    "unsupported depend entry: it names no task; write a task's name, or a mapping "
		    "with task and conditions");
		return;
	}
	size_t mark = rundef_enter_key(r, "task");
	d->task = rundef_read_text(r, task, true);
	rundef_leave(r, mark);
	if (conditions) {
		mark = rundef_enter_key(r, "conditions");
		conditions_read(r, conditions, d);
		rundef_leave(r, mark);
	}
	for (size_t i = 0; i < n->n; i++)
		if (n->pairs[i].value != task && n->pairs[i].value != conditions)
			rundef_warn_unknown(r, n->pairs[i].key, "in a depend entry");
}

static void
entry_read(struct rd *r, const struct yaml_node *n, size_t index, struct rundef_depend *d)
{
	if (n->type == YAML_STRING) {
		d->task = rundef_dup(r, n);
	} else if (n->type != YAML_MAP) {
		rundef_error(r, n->pos,
		    "unsupported depend entry at index %zu: expected a task's name, "
		    "found %s",
		    index, yaml_type_name(n->type));
	} else if (n->n == 1 && n->pairs[0].value->type == YAML_LIST) {
		d->task = rundef_key_text(r, n->pairs[0].key);
		size_t mark = rundef_enter_key(r, n->pairs[0].key->text);
		conditions_read(r, n->pairs[0].value, d);
		rundef_leave(r, mark);
	} else if (n->n == 1 && n->pairs[0].value->type != YAML_STRING) {
		rundef_error(r, n->pos,
		    "unsupported depend entry at index %zu: the conditions of \"%.60s\" must be a "
		    "list",
		    index, n->pairs[0].key->text);
	} else {
		full_read(r, n, d);
	}
}

void
rundef_read_depends(struct rd *r, const struct yaml_node *n, void *at)
{
	struct src_depends *d = at;

	if (n->type != YAML_LIST) {
		rundef_error(r, n->pos, "depends must be a list, found %s%s",
		    yaml_type_name(n->type),
		    n->type == YAML_STRING ? ": begin each entry with \"- \"" : "");
		return;
	}
	d->list = rundef_array(r, n->pos, n->n, sizeof(*d->list));
	if (!d->list)
		return;
	d->n = n->n;
	for (size_t i = 0; i < n->n; i++) {
		size_t mark = rundef_enter_index(r, i);

		d->list[i].pos = n->items[i]->pos;
		d->list[i].index = i;
		entry_read(r, n->items[i], i, &d->list[i].d);
		rundef_leave(r, mark);
	}
}

void
rundef_depend_fini(struct rundef_depend *d)
{
	free(d->task);
	rundef_texts_free(d->conditions, d->nconditions);
}
