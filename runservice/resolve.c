#include "runservice/resolve.h"

#include "common/mem.h"
#include "common/re.h"

#include <stdlib.h>
#include <string.h>

/* --- conditions --- */

static int
check_condition(const Millrace__Condition *c, struct err **err)
{
	auto_free char *message = NULL;
	size_t bytes;
	if (strlen(c->match) > RS_CONDITION_MAX)
		return err_set(
		    err, ERR_INVALID, "a condition has more than %d bytes", RS_CONDITION_MAX);
	if (strcmp(c->type, "simple") == 0)
		return 0;
	if (strcmp(c->type, "regexp") != 0)
		return err_set(err, ERR_INVALID,
		    "condition of type \"%.40s\"; known are simple and regexp", c->type);
	void *re = re_new(c->match, strlen(c->match), &message, &bytes);
	if (!re)
		return err_set(
		    err, ERR_INVALID, "wrong regular expression %.100s: %s", c->match, message);
	re_free(re);
	return 0;
}

static int
check_list(Millrace__Condition *const *list, size_t n, size_t *total, struct err **err)
{
	int rc = 0;
	*total += n;
	if (*total > RS_CONDITIONS_MAX)
		return err_set(
		    err, ERR_INVALID, "a when has more than %d conditions", RS_CONDITIONS_MAX);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = check_condition(list[i], err);
	return rc;
}

int
rs_when_check(const Millrace__When *when, struct err **err)
{
	const Millrace__Conditions *clauses[] = { when->branch, when->tag, when->ref };
	size_t total = 0;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(clauses); i++) {
		if (!clauses[i])
			continue;
		rc = check_list(clauses[i]->include, clauses[i]->n_include, &total, err);
		if (rc == 0)
			rc = check_list(clauses[i]->exclude, clauses[i]->n_exclude, &total, err);
	}
	return rc;
}

/* cond: an element of a list of conditions that were checked. */
static bool
condition_matches(const void *cond, const char *text)
{
	const Millrace__Condition *c = *(Millrace__Condition *const *)cond;
	if (strcmp(c->type, "simple") == 0)
		return when_text_matches(c->match, NULL, text);
	auto_free char *message = NULL;
	size_t bytes;
	void *re = re_new(c->match, strlen(c->match), &message, &bytes);
	bool matches = re && when_text_matches(c->match, re, text);
	re_free(re);
	return matches;
}

static struct when_clause
clause_of(const Millrace__Conditions *c)
{
	struct when_clause clause = { .size = sizeof(c->include[0]), .matches = condition_matches };
	if (c) {
		clause.include = c->include;
		clause.ninclude = c->n_include;
		clause.exclude = c->exclude;
		clause.nexclude = c->n_exclude;
	}
	return clause;
}

bool
rs_when_matches(const Millrace__When *when, const struct when_ref *ref)
{
	if (!when)
		return true;
	/* Whatever got lost on the way here: no secret by mistake. */
	if (rs_when_check(when, NULL) != 0)
		return false;
	struct when_clause branch = clause_of(when->branch), tag = clause_of(when->tag),
	                   any = clause_of(when->ref);
	return when_matches(&branch, &tag, &any, ref);
}

/* --- variables --- */

static int
by_depth(size_t a, size_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_variables(const void *a, const void *b)
{
	const struct rs_scoped_variable *x = a, *y = b;
	int c = strcmp(x->spec->name, y->spec->name);
	return c ? c : by_depth(x->depth, y->depth);
}

static int
compare_secrets(const void *a, const void *b)
{
	const struct rs_scoped_secret *x = a, *y = b;
	int c = strcmp(x->name, y->name);
	if (c == 0)
		c = by_depth(x->depth, y->depth);
	return c ? c : strcmp(x->key, y->key);
}

void
rs_definitions_sort(struct rs_definitions *d)
{
	if (d->nvariables > 0)
		qsort(d->variables, d->nvariables, sizeof(*d->variables), compare_variables);
	if (d->nsecrets > 0)
		qsort(d->secrets, d->nsecrets, sizeof(*d->secrets), compare_secrets);
}

/* The nearest of that name. */
static const struct rs_scoped_variable *
find_variable(const struct rs_definitions *d, const char *name)
{
	size_t low = 0, high = d->nvariables;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(d->variables[mid].spec->name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < d->nvariables && strcmp(d->variables[low].spec->name, name) == 0)
		return &d->variables[low];
	return NULL;
}

/* The first row of the nearest secret of that name from depth up; NULL when there is none. */
static const struct rs_scoped_secret *
find_secret(const struct rs_definitions *d, const char *name, size_t depth)
{
	size_t low = 0, high = d->nsecrets;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct rs_scoped_secret *s = &d->secrets[mid];
		int c = strcmp(s->name, name);
		if (c < 0 || (c == 0 && s->depth < depth))
			low = mid + 1;
		else
			high = mid;
	}
	if (low < d->nsecrets && strcmp(d->secrets[low].name, name) == 0)
		return &d->secrets[low];
	return NULL;
}

bool
rs_resolve_secret(size_t *found, const struct rs_definitions *d, const char *name, size_t depth)
{
	const struct rs_scoped_secret *s = find_secret(d, name, depth);
	if (s)
		*found = s->depth;
	return s != NULL;
}

static const Millrace__VariableValue *
first_match(const Millrace__Variable *v, const struct when_ref *ref)
{
	for (size_t i = 0; i < v->n_values; i++) {
		if (rs_when_matches(v->values[i]->when, ref))
			return v->values[i];
	}
	return NULL;
}

const char *
rs_resolve(const struct rs_definitions *d, const char *name, const struct when_ref *ref)
{
	const struct rs_scoped_variable *v = find_variable(d, name);
	const Millrace__VariableValue *value = v ? first_match(v->spec, ref) : NULL;
	const struct rs_scoped_secret *s =
	    value ? find_secret(d, value->secret_name, v->depth) : NULL;
	const struct rs_scoped_secret *end = d->secrets + d->nsecrets;
	for (size_t depth = s ? s->depth : 0; s && s < end; s++) {
		if (s->depth != depth || strcmp(s->name, value->secret_name) != 0)
			break;
		if (strcmp(s->key, value->secret_var) == 0)
			return s->version;
	}
	return NULL;
}
