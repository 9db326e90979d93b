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
			rundef_error(r, pair->value->pos,
			    "unknown value format: from_variable must be the name of a variable, "
			    "found %s",
			    yaml_type_name(pair->value->type));
		}
		for (size_t i = 0; pair && i < n->n; i++)
			if (&n->pairs[i] != pair)
				rundef_warn(r, n->pairs[i].key->pos,
				    "unknown key \"%.60s\" beside from_variable is ignored",
				    n->pairs[i].key->text);
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
	if (n->duplicate)
		rundef_warn(r, n->duplicate->pos,
		    "the key \"%.60s\" is given twice: the last one counts", n->duplicate->text);
	return true;
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
}

static void
value_fini(struct rundef_value *v)
{
	free(v->literal);
	free(v->variable);
}

void
rundef_envs_fini(struct rundef_envs *e)
{
	for (size_t i = 0; i < e->n; i++) {
		free(e->list[i].name);
		value_fini(&e->list[i].value);
	}
	free(e->list);
}

void
rundef_auths_fini(struct rundef_auths *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->list[i].registry);
		free(a->list[i].type);
		value_fini(&a->list[i].username);
		value_fini(&a->list[i].password);
		value_fini(&a->list[i].auth);
	}
	free(a->list);
}
