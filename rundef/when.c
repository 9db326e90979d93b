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

/* What the entries of a clause are. */
enum clause_kind { REFS, EVENTS, PATHS };

const char *const rundef_event_words[] = { "push", "tag", "pull_request", "manual", "direct",
	NULL };

/* A glob as an expression for the whole path: "**" also for nothing between slashes. */
static void
glob_expression(struct buf *out, const char *glob)
{
	unsigned braces = 0;

	buf_puts(out, "^");
	for (const char *p = glob; *p; p++) {
		const char *end = *p == '[' && p[1] ? strchr(p + 2, ']') : NULL;

		if (p[0] == '*' && p[1] == '*') {
			bool whole = (p == glob || p[-1] == '/') && p[2] == '/';
			buf_puts(out, whole ? "(?:.*/)?" : ".*");
			p += whole ? 2 : 1;
		} else if (*p == '*') {
			buf_puts(out, "[^/]*");
		} else if (*p == '?') {
			buf_puts(out, "[^/]");
		} else if (end) {
			buf_printf(out, "[%s", p[1] == '!' || p[1] == '^' ? "^/" : "");
			for (p += p[1] == '!' || p[1] == '^' ? 2 : 1; p < end; p++)
				buf_printf(out, "%s%c", strchr("\\[&~", *p) ? "\\" : "", *p);
			buf_putc(out, ']');
		} else if (*p == '{') {
			braces++;
			buf_puts(out, "(?:");
		} else if (*p == '}' && braces) {
			braces--;
			buf_putc(out, ')');
		} else if (*p == ',' && braces) {
			buf_putc(out, '|');
		} else {
			if (*p == '\\' && p[1])
				p++;
			buf_printf(out, "%s%c", strchr("\\.+*?()|[]{}^$", *p) ? "\\" : "", *p);
		}
	}
	buf_puts(out, "$");
}

static bool
compile(struct rd *r, struct yaml_pos pos, struct rundef_cond *c, const char *expression)
{
	auto_free char *message = NULL;
	size_t bytes = 0;

	c->compiled = re_new(expression, strlen(expression), &message, &bytes);
	if (!c->compiled)
		rundef_error(r, pos, "wrong %s %.100s: %s",
		    c->kind == RUNDEF_COND_GLOB ? "pattern" : "regular expression", c->text,
		    message);
	return c->compiled && rundef_charge(r, pos, bytes);
}

static bool
cond_parse(struct rd *r, struct yaml_pos pos, enum clause_kind kind, struct rundef_cond *c)
{
	size_t n = strlen(c->text);

	if (kind == EVENTS) {
		for (const char *const *w = rundef_event_words; *w; w++)
			if (strcmp(*w, c->text) == 0)
				return true;
		rundef_report(r, RUNDEF_ERROR, pos, rundef_nearest(c->text, rundef_event_words),
		    "unknown event \"%.60s\": use push, tag, pull_request, manual or direct",
		    c->text);
		return false;
	}
	if (is_regex(c->text, n)) {
		auto_free char *expression = xstrndup(c->text + 1, n - 2);
		c->kind = RUNDEF_COND_REGEX;
		if (!compile(r, pos, c, expression))
			return false;
		free(c->text);
		c->text = steal(&expression);
	} else if (kind == PATHS) {
		auto_buf expression = BUF_INIT;
		c->kind = RUNDEF_COND_GLOB;
		glob_expression(&expression, c->text);
		return compile(r, pos, c, buf_str(&expression));
	}
	return true;
}

static void
cond_fini(struct rundef_cond *c)
{
	free(c->text);
	re_free(c->compiled);
	*c = (struct rundef_cond){ 0 };
}

static bool
cond_read(struct rd *r, const struct yaml_node *n, enum clause_kind kind, struct rundef_cond *c)
{
	if (n->type != YAML_STRING) {
		rundef_error(r, n->pos, "wrong when format: expected text, found %s",
		    yaml_type_name(n->type));
		return false;
	}
	c->text = rundef_dup(r, n);
	if (c->text && cond_parse(r, n->pos, kind, c))
		return true;
	cond_fini(c);
	return false;
}

/* Text or a list of texts. */
/* An entry that is wrong is reported and left out. */
static void
conds_read(struct rd *r, const struct yaml_node *n, enum clause_kind kind,
    struct rundef_cond **list, size_t *count)
{
	bool one = n->type == YAML_STRING;

	*list = rundef_array(r, n->pos, one ? 1 : n->n, sizeof(**list));
	if (!*list)
		return;
	for (size_t i = 0; i < (one ? 1 : n->n); i++) {
		size_t mark = one ? r->path.len : rundef_enter_index(r, i);
		if (cond_read(r, one ? n : n->items[i], kind, &(*list)[*count]))
			(*count)++;
		rundef_leave(r, mark);
	}
}

static void
clause_read(struct rd *r, const struct yaml_node *n, enum clause_kind kind, struct rundef_conds *c)
{
	c->present = true;
	if (n->type == YAML_STRING || n->type == YAML_LIST) {
		conds_read(r, n, kind, &c->include, &c->ninclude);
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
			conds_read(r, value, kind, include ? &c->include : &c->exclude,
			    include ? &c->ninclude : &c->nexclude);
		} else if (value->type != YAML_NULL) {
			rundef_warn(r, value->pos,
			    "expected text or a list of texts, found %s: it matches nothing",
			    yaml_type_name(value->type));
		}
		rundef_leave(r, mark);
	}
}

#define AT(member) offsetof(struct rundef_when, member)
static const struct clause {
	const char *name;
	enum clause_kind kind;
	size_t at;
	bool v1; /* and nothing acts on it yet */
} clauses[] = {
	{ "branch", REFS, AT(branch), false },
	{ "tag", REFS, AT(tag), false },
	{ "ref", REFS, AT(ref), false },
	{ "event", EVENTS, AT(event), true },
	{ "paths", PATHS, AT(paths), true },
};
#undef AT

const char *
rundef_when_clause(size_t i, bool *v1)
{
	if (i >= ARRAY_LEN(clauses))
		return NULL;
	*v1 = clauses[i].v1;
	return clauses[i].name;
}

/* The clause that this pair gives, NULL when none or when another spelling of it counts. */
static const struct clause *
clause_find(struct rd *r, const struct yaml_node *map, const struct yaml_pair *pair)
{
	const struct clause *late = NULL;

	for (size_t i = 0; i < ARRAY_LEN(clauses); i++) {
		if (strcasecmp(pair->key->text, clauses[i].name) != 0)
			continue;
		if (!clauses[i].v1 || r->v1)
			return yaml_get_pair(map, clauses[i].name) == pair ? &clauses[i] : NULL;
		late = &clauses[i];
	}
	const char *words[ARRAY_LEN(clauses) + 1] = { NULL };
	for (size_t i = 0, n = 0; i < ARRAY_LEN(clauses); i++)
		if (!clauses[i].v1 || r->v1)
			words[n++] = clauses[i].name;
	size_t mark = rundef_enter_key(r, pair->key->text);
	rundef_report(r, RUNDEF_WARNING, pair->key->pos,
	    late ? NULL : rundef_nearest(pair->key->text, words),
	    "unknown key \"%.60s\" in when is ignored%s", pair->key->text,
	    late ? ": it needs \"version: v1\" at the top of the file" : "");
	rundef_leave(r, mark);
	return NULL;
}

static bool
never_matches(const struct rundef_when *w)
{
	bool refs = w->branch.present || w->tag.present || w->ref.present;

	return refs ? !w->branch.ninclude && !w->tag.ninclude && !w->ref.ninclude
	            : !w->event.present && !w->paths.present;
}

void
rundef_read_when(struct rd *r, const struct yaml_node *n, void *at)
{
	struct rundef_when *w = at;
	size_t refused = r->refused;

	if (n->type != YAML_MAP) {
		rundef_error(r, n->pos, "when must be a mapping with branch, tag or ref, found %s",
		    yaml_type_name(n->type));
		return;
	}
	rundef_warn_keys(r, n);
	w->present = true;
	for (size_t i = 0; i < n->n; i++) {
		const struct yaml_pair *pair = &n->pairs[i];
		const struct clause *c = clause_find(r, n, pair);

		if (!c || pair->value->type == YAML_NULL)
			continue;
		size_t mark = rundef_enter_key(r, pair->key->text);
		clause_read(
		    r, pair->value, c->kind, (struct rundef_conds *)(void *)((char *)at + c->at));
		if (c->v1)
			rundef_warn_inert(r, pair->key->pos, c->name);
		rundef_leave(r, mark);
	}
	if (r->refused == refused && never_matches(w))
		rundef_warn(r, n->pos, "this when includes nothing, so it never matches");
}

static bool
cond_matches(const void *cond, const char *s)
{
	const struct rundef_cond *c = cond;

	return (c->kind == RUNDEF_COND_LITERAL || c->compiled) &&
	       when_text_matches(c->text, c->compiled, s);
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

/* event and paths: without an include everything is included. */
static bool
filter_matches(const struct rundef_conds *c, const char *s)
{
	struct when_clause clause = clause_of(c);

	return when_clause_matches(&clause, s, c->ninclude == 0);
}

static bool
paths_match(const struct rundef_conds *c, const struct rundef_ref *ref)
{
	for (size_t i = 0; i < ref->npaths; i++)
		if (filter_matches(c, ref->paths[i]))
			return true;
	return false;
}

static bool
refs_match(const struct rundef_when *when, const struct rundef_ref *ref)
{
	struct when_clause branch = clause_of(&when->branch), tag = clause_of(&when->tag),
	                   any = clause_of(&when->ref);
	const struct when_ref of = {
		.ref_type = ref->ref_type, .branch = ref->branch, .tag = ref->tag, .ref = ref->ref
	};

	return when_matches(&branch, &tag, &any, &of);
}

bool
rundef_when_matches(const struct rundef_when *when, const struct rundef_ref *ref)
{
	bool refs = when->branch.present || when->tag.present || when->ref.present;
	bool filters = when->event.present || when->paths.present;

	if (!when->present)
		return true;
	if (when->event.present && ref->event && !filter_matches(&when->event, ref->event))
		return false;
	if (when->paths.present && ref->paths && !paths_match(&when->paths, ref))
		return false;
	return (filters && !refs) || refs_match(when, ref);
}

static void
conds_fini(struct rundef_conds *c)
{
	for (size_t i = 0; i < c->ninclude; i++)
		cond_fini(&c->include[i]);
	for (size_t i = 0; i < c->nexclude; i++)
		cond_fini(&c->exclude[i]);
	free(c->include);
	free(c->exclude);
}

void
rundef_when_fini(struct rundef_when *w)
{
	for (size_t i = 0; i < ARRAY_LEN(clauses); i++)
		conds_fini((struct rundef_conds *)(void *)((char *)w + clauses[i].at));
}
