/* Values, environments and registry credentials: mappings whose keys are the user's. */
#include "rundef_int.h"

#include "common/mem.h"

#include <string.h>

void
rundef_read_value(struct rd *r, const struct yaml_node *n, void *at)
{
	struct rundef_value *v = at;

	if (n->type == YAML_STRING) {
		v->literal = rundef_dup(r, n);
		return;
	}
	if (n->type == YAML_MAP) {
		const struct yaml_pair *pair = yaml_get_pair(n, "from_variable");

		if (!pair) {
			rundef_report(r, RUNDEF_WARNING, n->pos, NULL,
			    "a value without from_variable reads as the empty text");
			v->literal = rundef_dup_text(r, n->pos, "");
		} else if (pair->value->type == YAML_STRING) {
			v->variable = rundef_dup(r, pair->value);
		} else {
			size_t mark = rundef_enter_key(r, pair->key->text);
			rundef_error(r, pair->value->pos,
			    "unknown value format: from_variable must be the name of a variable, "
			    "found %s",
			    yaml_type_name(pair->value->type));
			rundef_leave(r, mark);
		}
		for (size_t i = 0; pair && i < n->n; i++)
			if (&n->pairs[i] != pair)
				rundef_warn_unknown(r, n->pairs[i].key, "beside from_variable");
		return;
	}
	if (n->type == YAML_INT || n->type == YAML_FLOAT || n->type == YAML_BOOL)
		rundef_error(r, n->pos,
		    "unknown value format: a value is text or from_variable; write it in quotes, "
		    "\"%.60s\"",
		    n->text);
	else if (n->type == YAML_NULL)
		rundef_error(r, n->pos,
		    "unknown value format: a value is text or from_variable; write \"\" for an "
		    "empty one");
	else
		rundef_error(r, n->pos,
		    "unknown value format: a value is text or from_variable, found %s",
		    yaml_type_name(n->type));
}

static bool
expect_map(struct rd *r, const struct yaml_node *n, const char *what)
{
	if (n->type != YAML_MAP) {
		rundef_error(
		    r, n->pos, "%s must be a mapping, found %s", what, yaml_type_name(n->type));
		return false;
	}
	rundef_warn_keys(r, n);
	return true;
}

static void
value_fini(struct rundef_value *v)
{
	free(v->literal);
	free(v->variable);
}

static void
env_fini(struct rundef_env *e)
{
	free(e->name);
	value_fini(&e->value);
}

static void
auth_fini(struct rundef_auth *a)
{
	free(a->registry);
	free(a->type);
	value_fini(&a->username);
	value_fini(&a->password);
	value_fini(&a->auth);
}

/* --- keys that read alike --- */

struct named {
	const char *name;
	size_t index;
};

static int
named_cmp(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : x->index < y->index ? -1 : x->index > y->index;
}

/* Keys that were no text (true and yes) may read alike: the last one counts, as with equal keys.
 * Flags those to drop among n entries that begin with their name; NULL when there are none. */
static bool *
alike(const struct yaml_node *map, const char *list, size_t n, size_t size)
{
	bool all_text = true, any = false;

	for (size_t i = 0; i < map->n; i++)
		all_text &= map->pairs[i].key->type == YAML_STRING;
	if (all_text)
		return NULL;
	auto_free struct named *names = xcalloc(n + 1, sizeof(*names));
	bool *drop = xcalloc(n + 1, sizeof(*drop));
	for (size_t i = 0; i < n; i++) {
		const char *name = *(char *const *)(const void *)(list + i * size);
		names[i] = (struct named){ name ? name : "", i };
	}
	if (n)
		qsort(names, n, sizeof(*names), named_cmp);
	for (size_t i = 1; i < n; i++)
		if (strcmp(names[i].name, names[i - 1].name) == 0)
			any = drop[names[i - 1].index] = true;
	if (!any)
		free(steal(&drop));
	return drop;
}

static bool
is_env_name(const char *s)
{
	return *s && !strchr(s, '=');
}

void
rundef_read_envs(struct rd *r, const struct yaml_node *n, void *at)
{
	struct rundef_envs *e = at;

	if (!expect_map(r, n, "environment"))
		return;
	e->list = rundef_array(r, n->pos, n->n, sizeof(*e->list));
	if (!e->list)
		return;
	for (size_t i = 0; i < n->n; i++) {
		struct rundef_env *env = &e->list[e->n++];

		env->name = rundef_key_text(r, n->pairs[i].key);
		size_t mark = rundef_enter_key(r, n->pairs[i].key->text);
		if (env->name && !is_env_name(env->name))
			rundef_warn(r, n->pairs[i].key->pos,
			    "\"%.60s\" is no usable name of an environment variable", env->name);
		rundef_read_value(r, n->pairs[i].value, &env->value);
		rundef_leave(r, mark);
	}
	auto_free bool *drop = alike(n, (const char *)e->list, e->n, sizeof(*e->list));
	size_t kept = 0;
	for (size_t i = 0; drop && i < e->n; i++) {
		if (drop[i])
			env_fini(&e->list[i]);
		else
			e->list[kept++] = e->list[i];
	}
	e->n = drop ? kept : e->n;
}

void
rundef_read_auths(struct rd *r, const struct yaml_node *n, void *at)
{
	struct rundef_auths *a = at;

	if (!expect_map(r, n, "docker_registries_auth"))
		return;
	a->list = rundef_array(r, n->pos, n->n, sizeof(*a->list));
	if (!a->list)
		return;
	for (size_t i = 0; i < n->n; i++) {
		struct rundef_auth *auth = &a->list[a->n++];
		const struct yaml_node *value = n->pairs[i].value;
		size_t mark = rundef_enter_key(r, n->pairs[i].key->text);

		auth->registry = rundef_key_text(r, n->pairs[i].key);
		if (value->type == YAML_NULL)
			rundef_error(r, n->pairs[i].key->pos,
			    "docker registries auth \"%.100s\" is empty", n->pairs[i].key->text);
		else
			rundef_read_object(r, &rundef_auth_object, value, auth, NULL);
		rundef_leave(r, mark);
	}
	auto_free bool *drop = alike(n, (const char *)a->list, a->n, sizeof(*a->list));
	size_t kept = 0;
	for (size_t i = 0; drop && i < a->n; i++) {
		if (drop[i])
			auth_fini(&a->list[i]);
		else
			a->list[kept++] = a->list[i];
	}
	a->n = drop ? kept : a->n;
}

static bool
is_one_line(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

/* What an executor must carry: names and texts. */
void
rundef_read_labels(struct rd *r, const struct yaml_node *n, void *at)
{
	struct rundef_pairs *p = at;

	if (!expect_map(r, n, "labels"))
		return;
	size_t bytes = 0;

	p->list = rundef_array(r, n->pos, n->n, sizeof(*p->list));
	for (size_t i = 0; p->list && i < n->n; i++) {
		const struct yaml_node *key = n->pairs[i].key;
		size_t mark = rundef_enter_key(r, key->text);
		struct rundef_pair pair = { rundef_dup_text(r, key->pos, key->text),
			rundef_read_text(r, n->pairs[i].value, true) };

		if (pair.name && !*pair.name)
			rundef_error(r, key->pos, "a label needs a name");
		if ((pair.name && (strchr(pair.name, '=') || !is_one_line(pair.name))) ||
		    (pair.value && !is_one_line(pair.value)))
			rundef_error(r, key->pos,
			    "a label is a name without \"=\" and a text, both of one line");
		bytes += pair.name ? strlen(pair.name) + 1 : 0;
		bytes += pair.value ? strlen(pair.value) + 1 : 0;
		p->list[p->n++] = pair;
		rundef_leave(r, mark);
	}
	if (bytes > RUNDEF_LABELS_MAX)
		rundef_error(r, n->pos, "labels of %zu bytes, at most %d are possible", bytes,
		    RUNDEF_LABELS_MAX);
}

void
rundef_envs_fini(struct rundef_envs *e)
{
	for (size_t i = 0; i < e->n; i++)
		env_fini(&e->list[i]);
	free(e->list);
}

void
rundef_auths_fini(struct rundef_auths *a)
{
	for (size_t i = 0; i < a->n; i++)
		auth_fini(&a->list[i]);
	free(a->list);
}

void
rundef_pairs_fini(struct rundef_pairs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->list[i].name);
		free(p->list[i].value);
	}
	free(p->list);
}
