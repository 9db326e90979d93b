/* Which secret a variable stands for: precedence of scopes, conditions, what is refused on write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "runservice/resolve.h"

#include <string.h>

static char *
unconst(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* --- conditions --- */

#define LIST_MAX 3
/* "=text" is simple, "~text" a regular expression. */
struct clause {
	const char *include[LIST_MAX], *exclude[LIST_MAX];
};
struct built {
	Millrace__Condition conds[6 * LIST_MAX];
	Millrace__Condition *lists[6][LIST_MAX];
	Millrace__Conditions clauses[3];
	Millrace__When when;
	size_t n;
};

static size_t
build_list(struct built *b, size_t list, const char *const *texts)
{
	size_t n = 0;
	for (; n < LIST_MAX && texts[n]; n++) {
		Millrace__Condition *c = &b->conds[b->n++];
		millrace__condition__init(c);
		c->type = unconst(texts[n][0] == '=' ? "simple" : "regexp");
		c->match = unconst(texts[n] + 1);
		b->lists[list][n] = c;
	}
	return n;
}

static const Millrace__When *
build(struct built *b, const struct clause *branch, const struct clause *tag,
    const struct clause *ref)
{
	const struct clause *given[] = { branch, tag, ref };
	Millrace__Conditions **slots[] = { &b->when.branch, &b->when.tag, &b->when.ref };
	b->n = 0;
	millrace__when__init(&b->when);
	for (size_t i = 0; i < 3; i++) {
		Millrace__Conditions *c = &b->clauses[i];
		if (!given[i])
			continue;
		millrace__conditions__init(c);
		c->include = b->lists[2 * i];
		c->n_include = build_list(b, 2 * i, given[i]->include);
		c->exclude = b->lists[2 * i + 1];
		c->n_exclude = build_list(b, 2 * i + 1, given[i]->exclude);
		*slots[i] = c;
	}
	return &b->when;
}

static bool
on(const Millrace__When *w, const char *type, const char *branch, const char *tag, const char *ref)
{
	const struct when_ref r = { .ref_type = type, .branch = branch, .tag = tag, .ref = ref };
	return rs_when_matches(w, &r);
}

static void
test_when(void **state)
{
	static const struct {
		struct clause branch;
		const char *name;
		bool match;
	} cases[] = {
		{ { { "=" }, { NULL } }, "master", false },
		{ { { "~" }, { NULL } }, "master", true }, { { { "=" }, { NULL } }, "", false },
		{ { { "~" }, { NULL } }, "", false },
		{ { { "=master" }, { NULL } }, "master", true },
		{ { { "=master" }, { NULL } }, "branch01", false },
		{ { { "~master" }, { NULL } }, "my-master-2", true },
		{ { { "~m.*" }, { NULL } }, "master", true },
		{ { { "~^m.*$" }, { NULL } }, "branch01", false },
		{ { { "~m.*" }, { "=maste" } }, "master", true },
		{ { { "~m.*" }, { "=master" } }, "master", false },
		{ { { "~m.*" }, { "~mb.*" } }, "master", true },
		{ { { "~m.*" }, { "~ma.*" } }, "master", false },
		{ { { "~m.*", "~b.*" }, { "~b.*", "~c.*" } }, "master", true },
		{ { { "~m.*", "~b.*" }, { "~b.*", "~ma.*" } }, "master", false },
		{ { { NULL }, { "=other" } }, "master", false }, /* excludes alone */
	};
	static const struct clause master = { { "=master" }, { NULL } };
	static const struct clause veto = { { NULL }, { "~^refs/heads/" } };
	static const struct clause pull = { { "~^refs/pull/" }, { NULL } };
	struct built b;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const Millrace__When *w = build(&b, &cases[i].branch, NULL, NULL);
		if (on(w, "branch", cases[i].name, "", "refs/heads/x") != cases[i].match)
			fail_msg("case %zu", i);
	}
	assert_true(on(NULL, "branch", "x", "", ""));
	assert_false(on(build(&b, NULL, NULL, NULL), "branch", "x", "", ""));
	assert_false(on(build(&b, &master, NULL, NULL), "tag", "master", "master", ""));
	assert_false(on(build(&b, NULL, &master, NULL), "branch", "master", "master", ""));
	assert_true(on(build(&b, NULL, &master, NULL), "tag", "", "master", ""));
	assert_false(on(build(&b, NULL, &master, &master), "branch", "branch01", "", ""));
	/* A later clause turns an earlier one; a pull request only matches by its ref. */
	assert_false(
	    on(build(&b, &master, NULL, &veto), "branch", "master", "", "refs/heads/master"));
	assert_true(
	    on(build(&b, &master, NULL, &pull), "pull_request", "", "", "refs/pull/1/head"));
	assert_false(
	    on(build(&b, &master, NULL, NULL), "pull_request", "", "", "refs/pull/1/head"));
}

static void
refused(const struct clause *branch, const char *part)
{
	struct built b;
	auto_err err = NULL;
	const Millrace__When *w = build(&b, branch, NULL, NULL);
	assert_int_equal(rs_when_check(w, &err), ERR_INVALID);
	if (!strstr(err_msg(err), part))
		fail_msg("\"%s\" does not say \"%s\"", err_msg(err), part);
	/* Nor does it open anything should it be there all the same. */
	assert_false(on(w, "branch", "x", "", ""));
}

static void
test_when_is_checked(void **state)
{
	static const struct clause bad_include = { { "~x", "~(" }, { NULL } };
	static const struct clause bad_exclude = { { "~x" }, { "~a**" } };
	static const struct clause lookaround = { { "~(?=x)" }, { NULL } };
	static const struct clause huge = { { "~((x{100}){100}){10}", "~x" }, { NULL } };
	static const struct clause fine = { { "~x", "=(" }, { "=*" } };
	char text[RS_CONDITION_MAX + 3] = "=";
	struct clause longest = { { text }, { NULL } };
	struct built b;
	(void)state;
	refused(&bad_include, "wrong regular expression (");
	refused(&bad_exclude, "wrong regular expression a**");
	refused(&lookaround, "wrong regular expression");
	refused(&huge, "wrong regular expression");
	memset(text + 1, 'x', RS_CONDITION_MAX);
	assert_int_equal(rs_when_check(build(&b, &longest, NULL, NULL), NULL), 0);
	text[RS_CONDITION_MAX + 1] = 'x';
	refused(&longest, "more than 1000 bytes");
	assert_int_equal(rs_when_check(build(&b, &fine, NULL, NULL), NULL), 0);
	b.conds[0].type = unconst("glob");
	assert_int_equal(rs_when_check(&b.when, NULL), ERR_INVALID);
	Millrace__Condition *many[RS_CONDITIONS_MAX + 1];
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = &b.conds[1];
	b.clauses[0].include = many;
	b.clauses[0].n_include = RS_CONDITIONS_MAX - 1; /* and one exclude */
	assert_int_equal(rs_when_check(&b.when, NULL), 0);
	b.clauses[0].n_include++;
	assert_int_equal(rs_when_check(&b.when, NULL), ERR_INVALID);
}

/* --- scopes --- */

#define DEFS_MAX 8
/* A chain of three: 0 the project, 1 its group, 2 the root. */
struct world {
	Millrace__Variable specs[DEFS_MAX];
	Millrace__VariableValue values[DEFS_MAX][2], *lists[DEFS_MAX][2];
	struct rs_scoped_variable variables[DEFS_MAX];
	struct rs_scoped_secret secrets[DEFS_MAX];
	struct rs_definitions d;
};

static void
world_init(struct world *w)
{
	w->d = (struct rs_definitions){ .variables = w->variables, .secrets = w->secrets };
}

static void
add_value(struct world *w, Millrace__Variable *v, const char *secret, const char *key,
    const Millrace__When *when)
{
	size_t at = (size_t)(v - w->specs);
	Millrace__VariableValue *value = &w->values[at][v->n_values];
	millrace__variable_value__init(value);
	value->secret_name = unconst(secret);
	value->secret_var = unconst(key);
	value->when = (Millrace__When *)(uintptr_t)when;
	w->lists[at][v->n_values++] = value;
}

static Millrace__Variable *
variable(struct world *w, size_t depth, const char *name, const char *secret, const char *key)
{
	size_t at = w->d.nvariables++;
	Millrace__Variable *v = &w->specs[at];
	millrace__variable__init(v);
	v->name = unconst(name);
	v->values = w->lists[at];
	w->variables[at] = (struct rs_scoped_variable){ .depth = depth, .spec = v };
	add_value(w, v, secret, key, NULL);
	return v;
}

static void
secret(struct world *w, size_t depth, const char *name, const char *key, const char *version)
{
	w->secrets[w->d.nsecrets++] = (struct rs_scoped_secret){ .depth = depth,
		.name = unconst(name),
		.key = unconst(key),
		.version = unconst(version) };
}

static const struct when_ref main_branch = { "branch", "main", "", "refs/heads/main" };

static void
is(struct world *w, const char *name, const char *version)
{
	rs_definitions_sort(&w->d);
	const char *got = rs_resolve(&w->d, name, &main_branch);
	if (!version && got)
		fail_msg("%s is %s, not undefined", name, got);
	if (version && (!got || strcmp(got, version) != 0))
		fail_msg("%s is %s, not %s", name, got ? got : "undefined", version);
}

static void
test_the_deepest_definition_wins(void **state)
{
	static const struct clause other = { { "=other" }, { NULL } };
	struct world w;
	struct built b;
	(void)state;
	world_init(&w);
	secret(&w, 2, "s", "k", "root");
	variable(&w, 2, "v", "s", "k");
	is(&w, "v", "root");
	is(&w, "w", NULL);
	/* Entirely: none of its values matches, and that is it. */
	Millrace__Variable *near = variable(&w, 0, "v", "s", "k");
	near->values[0]->when = (Millrace__When *)(uintptr_t)build(&b, &other, NULL, NULL);
	is(&w, "v", NULL);
	near->values[0]->when = NULL;
	is(&w, "v", "root");
}

static void
test_the_first_match_counts_alone(void **state)
{
	static const struct clause other = { { "=other" }, { NULL } };
	struct world w;
	struct built b;
	(void)state;
	world_init(&w);
	secret(&w, 0, "s", "one", "1");
	secret(&w, 0, "s", "two", "2");
	Millrace__Variable *v = variable(&w, 0, "v", "s", "one");
	add_value(&w, v, "s", "two", NULL);
	is(&w, "v", "1");
	v->values[0]->when = (Millrace__When *)(uintptr_t)build(&b, &other, NULL, NULL);
	is(&w, "v", "2");
	/* It matches and has no secret, or no such key: no other value is tried. */
	v->values[0]->when = NULL;
	v->values[0]->secret_name = unconst("absent");
	is(&w, "v", NULL);
	v->values[0]->secret_name = unconst("s");
	v->values[0]->secret_var = unconst("three");
	is(&w, "v", NULL);
}

/* variable at the middle of the chain; secrets of its name elsewhere. */
static void
test_a_secret_is_of_the_same_scope_or_above(void **state)
{
	struct world w;
	size_t at = 9;
	(void)state;
	world_init(&w);
	variable(&w, 1, "v", "s", "k");
	is(&w, "v", NULL);
	assert_false(rs_resolve_secret(&at, &w.d, "s", 1));
	secret(&w, 0, "s", "k", "child");
	is(&w, "v", NULL);
	assert_false(rs_resolve_secret(&at, &w.d, "s", 1));
	secret(&w, 2, "s", "k", "parent");
	is(&w, "v", "parent");
	assert_true(rs_resolve_secret(&at, &w.d, "s", 1) && at == 2);
	secret(&w, 1, "s", "k", "same");
	is(&w, "v", "same");
	rs_definitions_sort(&w.d);
	assert_true(rs_resolve_secret(&at, &w.d, "s", 1) && at == 1);
	/* The nearest secret counts alone, also without the key. */
	variable(&w, 1, "x", "t", "k");
	secret(&w, 1, "t", "other", "1");
	secret(&w, 2, "t", "k", "2");
	is(&w, "x", NULL);
	/* The project's own variable uses what is nearest to it. */
	variable(&w, 0, "v", "s", "k");
	is(&w, "v", "child");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when),
		cmocka_unit_test(test_when_is_checked),
		cmocka_unit_test(test_the_deepest_definition_wins),
		cmocka_unit_test(test_the_first_match_counts_alone),
		cmocka_unit_test(test_a_secret_is_of_the_same_scope_or_above),
	};
	return cmocka_run_group_tests_name("runservice_resolve", tests, NULL, NULL);
}
