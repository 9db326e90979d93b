/* Conditions on the git reference: reading and matching. */
#include "rundef_int.h"

#include "common/mem.h"
#include "common/re.h"
#include "common/when.h"

#include <string.h>
#include <strings.h>

/* "/x/" and "#x#" with something inside are regular expressions, anything else is literal text. */
static bool
is_regex(const char *s, size_t n)
{
	return n > 2 && (s[0] == '/' || s[0] == '#') && s[n - 1] == s[0];
}

static bool
cond_read(struct rd *r, const struct yaml_node *n, struct rundef_cond *c)
{
	if (n->type != YAML_STRING) {
		rundef_error(r, n->pos, "wrong when format: expected text, found %s",
		    yaml_type_name(n->type));
		return false;
	}
	if (!is_regex(n->text, n->text_len)) {
		c->text = rundef_dup(r, n);
		return c->text != NULL;
	}
	auto_free char *message = NULL;
	size_t bytes = 0;
	c->compiled = re_new(n->text + 1, n->text_len - 2, &message, &bytes);
	if (!c->compiled) {
		rundef_error(r, n->pos, "wrong regular expression %.100s: %s", n->text, message);
		return false;
	}
	c->text = rundef_dup(r, n);
	if (!c->text || !rundef_charge(r, n->pos, bytes)) {
		re_free(steal(&c->compiled));
		free(steal(&c->text));
		return false;
	}
	c->regex = true;
	memmove(c->text, c->text + 1, n->text_len - 2);
	c->text[n->text_len - 2] = '\0';
	return true;
}

/* Text or a list of texts. */
static void
conds_read(struct rd *r, const struct yaml_node *n, struct rundef_cond **list, size_t *count)
{
	bool one = n->type == YAML_STRING;

	*list = rundef_array(r, n->pos, one ? 1 : n->n, sizeof(**list));
	if (!*list)
		return;
	for (size_t i = 0; i < (one ? 1 : n->n); i++) {
		size_t mark = one ? r->path.len : rundef_enter_index(r, i);
		if (cond_read(r, one ? n : n->items[i], &(*list)[*count]))
			(*count)++;
		rundef_leave(r, mark);
	}
}

static void
clause_read(struct rd *r, const struct yaml_node *n, struct rundef_conds *c)
{
	c->present = true;
	if (n->type == YAML_STRING || n->type == YAML_LIST) {
		conds_read(r, n, &c->include, &c->ninclude);
		return;
	}
	if (n->type != YAML_MAP) {
		rundef_error(r, n->pos,
		    "wrong when format: expected text, a list of texts, or include and exclude; "
		    "found %s",
		    yaml_type_name(n->type));
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		const struct yaml_node *key = n->pairs[i].key, *value = n->pairs[i].value;
		bool include = strcmp(key->text, "include") == 0;
		size_t mark = rundef_enter_key(r, key->text);

		if (!include && strcmp(key->text, "exclude") != 0) {
			static const char *const words[] = { "include", "exclude", NULL };
			rundef_report(r, RUNDEF_ERROR, key->pos, rundef_nearest(key->text, words),
			    "wrong when format: expected include or exclude, found the key "
			    "\"%.60s\"",
			    key->text);
		} else if (value->type == YAML_STRING || value->type == YAML_LIST) {
			conds_read(r, value, include ? &c->include : &c->exclude,
			    include ? &c->ninclude : &c->nexclude);
		} else if (value->type != YAML_NULL) {
			rundef_warn(r, value->pos,
			    "expected text or a list of texts, found %s: it matches nothing",
			    yaml_type_name(value->type));
		}
		rundef_leave(r, mark);
	}
}

void
rundef_read_when(struct rd *r, const struct yaml_node *n, void *at)
{
	static const char *const words[] = { "branch", "tag", "ref", NULL };
	struct rundef_when *w = at;
	size_t errors = r->diags->errors;

	if (n->type != YAML_MAP) {
		rundef_error(r, n->pos, "when must be a mapping with branch, tag or ref, found %s",
		    yaml_type_name(n->type));
		return;
	}
	w->present = true;
	for (size_t i = 0; i < n->n; i++) {
		const struct yaml_node *key = n->pairs[i].key, *value = n->pairs[i].value;
		struct rundef_conds *clauses[] = { &w->branch, &w->tag, &w->ref };
		struct rundef_conds *clause = NULL;

		for (size_t k = 0; k < ARRAY_LEN(clauses); k++)
			if (yaml_get(n, words[k]) == value && strcasecmp(key->text, words[k]) == 0)
				clause = clauses[k];
		if (!clause) {
			rundef_report(r, RUNDEF_WARNING, key->pos, rundef_nearest(key->text, words),
			    "unknown key \"%.60s\" in when is ignored", key->text);
			continue;
		}
		size_t mark = rundef_enter_key(r, key->text);
		if (value->type != YAML_NULL && !clause->present)
			clause_read(r, value, clause);
		rundef_leave(r, mark);
	}
	if (r->diags->errors == errors && !w->branch.ninclude && !w->tag.ninclude &&
	    !w->ref.ninclude)
		rundef_warn(r, n->pos, "this when includes nothing, so it never matches");
}

static bool
cond_matches(const void *cond, const char *s)
{
	const struct rundef_cond *c = cond;

	return (!c->regex || c->compiled) &&
	       when_text_matches(c->text, c->regex ? c->compiled : NULL, s);
}

static struct when_clause
clause_of(const struct rundef_conds *c)
{
	return (struct when_clause){ .include = c->include,
		.ninclude = c->ninclude,
		.exclude = c->exclude,
		.nexclude = c->nexclude,
		.size = sizeof(*c->include),
		.matches = cond_matches };
}

bool
rundef_when_matches(const struct rundef_when *when, const struct rundef_ref *ref)
{
	struct when_clause branch = clause_of(&when->branch), tag = clause_of(&when->tag),
	                   any = clause_of(&when->ref);
	const struct when_ref of = {
		.ref_type = ref->ref_type, .branch = ref->branch, .tag = ref->tag, .ref = ref->ref
	};

	return !when->present || when_matches(&branch, &tag, &any, &of);
}

static void
conds_fini(struct rundef_conds *c)
{
	for (size_t i = 0; i < c->ninclude; i++) {
		free(c->include[i].text);
		re_free(c->include[i].compiled);
	}
	for (size_t i = 0; i < c->nexclude; i++) {
		free(c->exclude[i].text);
		re_free(c->exclude[i].compiled);
	}
	free(c->include);
	free(c->exclude);
}

void
rundef_when_fini(struct rundef_when *w)
{
	conds_fini(&w->branch);
	conds_fini(&w->tag);
	conds_fini(&w->ref);
}
