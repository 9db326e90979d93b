#include "gateway/variable_json.h"

#include "common/mem.h"

json_t *
gw_secret_json(const Millrace__Secret *s, const struct gw_scopes *scopes)
{
	return json_pack("{s:s, s:s, s:s}", "id", s->id, "name", s->name, "parent_path",
	    gw_scopes_path(scopes, s->scope));
}

static void
set_conditions(json_t *clause, const char *key, Millrace__Condition *const *list, size_t n)
{
	json_t *out;

	if (n == 0)
		return;
	out = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		    out, json_pack("{s:s, s:s}", "type", list[i]->type, "match", list[i]->match));
	json_object_set_new(clause, key, out);
}

static void
set_clause(json_t *when, const char *key, const Millrace__Conditions *c)
{
	json_t *clause;

	if (!c)
		return;
	clause = json_object();
	set_conditions(clause, "include", c->include, c->n_include);
	set_conditions(clause, "exclude", c->exclude, c->n_exclude);
	json_object_set_new(when, key, clause);
}

static json_t *
when_json(const Millrace__When *w)
{
	json_t *out;

	if (!w)
		return json_null();
	out = json_object();
	set_clause(out, "branch", w->branch);
	set_clause(out, "tag", w->tag);
	set_clause(out, "ref", w->ref);
	return out;
}

json_t *
gw_variable_json(const Millrace__Variable *v, const struct gw_scopes *scopes)
{
	json_t *values = json_array();

	for (size_t i = 0; i < v->n_values; i++) {
		const Millrace__VariableValue *value = v->values[i];

		json_array_append_new(
		    values, json_pack("{s:s, s:s, s:s, s:o}", "secret_name", value->secret_name,
		                "secret_var", value->secret_var, "matching_secret_parent_path",
		                gw_scopes_path(scopes, value->secret_scope), "when",
		                when_json(value->when)));
	}
	return json_pack("{s:s, s:s, s:o, s:s}", "id", v->id, "name", v->name, "values", values,
	    "parent_path", gw_scopes_path(scopes, v->scope));
}

/* --- taken --- */

/* NOLINTBEGIN(bugprone-macro-parentheses): a type and a list in braces */
#define NEW(type, init)                                                                            \
	({                                                                                         \
		type *new_ = xmalloc(sizeof(*new_));                                               \
		*new_ = (type)init;                                                                \
		new_;                                                                              \
	})
/* NOLINTEND(bugprone-macro-parentheses) */

static int
invalid(struct err **err, const char *what)
{
	return err_set_slug(err, ERR_INVALID, "invalidVariableValues", "values: %s", what);
}

static int
read_conditions(
    Millrace__Condition ***list, size_t *n, const json_t *from, const char *key, struct err **err)
{
	const json_t *array = json_member(from, key);

	if (!array)
		return 0;
	if (!json_is_array(array))
		return invalid(err, "include and exclude of a when are lists of conditions");
	*list = xcalloc(json_array_size(array) + 1, sizeof(**list));
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *c = json_array_get(array, i);
		const char *type = json_text(c, "type"), *match = json_text(c, "match");

		if (!type || !match)
			return invalid(err, "a condition has a type and a match, both texts");
		(*list)[*n] = NEW(Millrace__Condition, MILLRACE__CONDITION__INIT);
		(*list)[*n]->type = xstrdup(type);
		(*list)[(*n)++]->match = xstrdup(match);
	}
	return 0;
}

static int
read_clause(Millrace__Conditions **out, const json_t *when, const char *key, struct err **err)
{
	const json_t *clause = json_member(when, key);
	Millrace__Conditions *c;
	int rc;

	if (!clause)
		return 0;
	if (!json_is_object(clause))
		return invalid(err, "branch, tag and ref of a when have include and exclude");
	c = *out = NEW(Millrace__Conditions, MILLRACE__CONDITIONS__INIT);
	rc = read_conditions(&c->include, &c->n_include, clause, "include", err);
	return rc < 0 ? rc : read_conditions(&c->exclude, &c->n_exclude, clause, "exclude", err);
}

static int
read_when(Millrace__VariableValue *v, const json_t *value, struct err **err)
{
	const json_t *when = json_member(value, "when");
	int rc;

	if (!when)
		return 0;
	if (!json_is_object(when))
		return invalid(err, "when: must be an object with branch, tag or ref");
	v->when = NEW(Millrace__When, MILLRACE__WHEN__INIT);
	rc = read_clause(&v->when->branch, when, "branch", err);
	if (rc == 0)
		rc = read_clause(&v->when->tag, when, "tag", err);
	return rc < 0 ? rc : read_clause(&v->when->ref, when, "ref", err);
}

int
gw_variable_values(Millrace__VariablePutRequest *q, const json_t *values, struct err **err)
{
	size_t n = json_array_size(values);

	q->values = xcalloc(n + 1, sizeof(*q->values));
	if (n == 0)
		return invalid(err, "must have at least one");
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_array_get(values, i);
		const char *name = json_text(value, "secret_name");
		const char *key = json_text(value, "secret_var");
		Millrace__VariableValue *v;

		if (!name || !*name || !key || !*key)
			return invalid(err, "each has a secret_name and a secret_var");
		v = NEW(Millrace__VariableValue, MILLRACE__VARIABLE_VALUE__INIT);
		q->values[q->n_values++] = v;
		v->secret_name = xstrdup(name);
		v->secret_var = xstrdup(key);
		if (read_when(v, value, err) < 0)
			return ERR_INVALID;
	}
	return 0;
}

void
gw_variable_values_fini(Millrace__VariablePutRequest *q)
{
	for (size_t i = 0; i < q->n_values; i++)
		protobuf_c_message_free_unpacked(&q->values[i]->base, NULL);
	free(q->values);
	q->values = NULL;
	q->n_values = 0;
}
