/* Whose value a variable has: the order of config-and-runs.md 3.3, and what a service sees of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/mem.h"
#include "executor/env.h"

#include <string.h>

#define UNCONST(s) ((char *)(uintptr_t)(s))
#define VARS_MAX 8

/* "A=a B=b" as a message's variables. */
struct vars {
	Millrace__EnvVar vars[VARS_MAX], *list[VARS_MAX];
	Millrace__Value values[VARS_MAX];
	char text[200];
	size_t n;
};

static void
vars(struct vars *v, const char *text)
{
	char *rest = v->text;

	*v = (struct vars){ .n = 0 };
	assert_true(strlen(text) < sizeof(v->text));
	memcpy(v->text, text, strlen(text) + 1);
	for (char *word; (word = strsep(&rest, " ")) != NULL && *word; v->n++) {
		assert_true(v->n < VARS_MAX);
		millrace__env_var__init(&v->vars[v->n]);
		millrace__value__init(&v->values[v->n]);
		v->values[v->n].literal = strchr(word, '=') + 1;
		v->values[v->n].literal[-1] = '\0';
		v->vars[v->n].name = word;
		v->vars[v->n].value = &v->values[v->n];
		v->list[v->n] = &v->vars[v->n];
	}
}

static char *
joined(struct ex_env *e)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < e->n; i++)
		buf_printf(&b, "%s%s", i > 0 ? " " : "", e->items[i]);
	ex_env_fini(e);
	return b.len > 0 ? buf_take(&b) : xstrdup("");
}

static void
check(const char *image_text, const char *container, const char *task, const char *fixed,
    const char *step, const char *want)
{
	struct vars c, t, f, s;
	Millrace__Container def = MILLRACE__CONTAINER__INIT, *defs[] = { &def };
	Millrace__TaskSpec spec = MILLRACE__TASK_SPEC__INIT;
	Millrace__Step of_step = MILLRACE__STEP__INIT;
	Millrace__AcceptReply plan = MILLRACE__ACCEPT_REPLY__INIT;
	Millrace__Pair pairs[VARS_MAX], *list[VARS_MAX];
	char *words[] = { UNCONST(image_text) };
	struct ex_image_info image = { .env = words, .nenv = 1 };
	struct ex_env out;

	vars(&c, container);
	vars(&t, task);
	vars(&f, fixed);
	vars(&s, step ? step : "");
	def.environment = c.list;
	def.n_environment = c.n;
	spec.containers = defs;
	spec.n_containers = 1;
	spec.environment = t.list;
	spec.n_environment = t.n;
	of_step.environment = s.list;
	of_step.n_environment = s.n;
	for (size_t i = 0; i < f.n; i++) {
		millrace__pair__init(&pairs[i]);
		pairs[i].name = f.vars[i].name;
		pairs[i].value = f.values[i].literal;
		list[i] = &pairs[i];
	}
	plan.spec = &spec;
	plan.static_environment = list;
	plan.n_static_environment = f.n;
	ex_env_step(&out, &image, &plan, step ? &of_step : NULL);
	auto_free char *got = joined(&out);
	assert_string_equal(got, want);
}

static void
later_wins(void **state)
{
	(void)state;
	/* image, container, task, static, step */
	check("A=image", "A=container", "A=task", "A=static", "A=step", "A=step");
	check("A=image", "A=container", "A=task", "A=static", "", "A=static");
	check("A=image", "A=container", "A=task", "", "", "A=task");
	check("A=image", "A=container", "", "", "", "A=container");
	check("A=image", "", "", "", "", "A=image");
	/* A task cannot say what the run is, a step can. */
	check("P=p", "", "CI=no AGOLA_GIT_TAG=x", "CI=true AGOLA_GIT_TAG= AGOLA_RUN_COUNTER=7", "",
	    "AGOLA_GIT_TAG= AGOLA_RUN_COUNTER=7 CI=true P=p");
	check("P=p", "", "", "CI=true AGOLA_RUN_COUNTER=7", "AGOLA_RUN_COUNTER=8",
	    "AGOLA_RUN_COUNTER=8 CI=true P=p");
	/* Archives, caches, setup: the task's, without a step's. */
	check("A=image", "", "A=task", "CI=true", NULL, "A=task CI=true");
	/* Names that begin alike; of one list the last; empty ones are there. */
	check("AB=1", "A=2 ABC=3", "A=4 A=5", "", "B=", "A=5 AB=1 ABC=3 B=");
	check("no assignment", "", "", "", "", "");
}

static void
a_service_has_its_own(void **state)
{
	struct vars c;
	Millrace__Container def = MILLRACE__CONTAINER__INIT;
	char image_text[] = "A=image", path[] = "PATH=/bin", *words[] = { image_text, path };
	const struct ex_image_info image = { .env = words, .nenv = 2 };
	struct ex_env out;

	(void)state;
	vars(&c, "A=own B=b");
	def.environment = c.list;
	def.n_environment = c.n;
	ex_env_container(&out, &image, &def);
	auto_free char *got = joined(&out);
	assert_string_equal(got, "A=own B=b PATH=/bin");
}

/* Shells and entrypoints. */
static void
words_are_cut_at_spaces(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "/bin/sh -e", "/bin/sh|-e|" },
		{ "sh", "sh|" },
		{ "", "" },
		{ " a  b ", "a|b|" },
		{ "sh -c 'a b'", "sh|-c|'a|b'|" },
		{ "a\tb", "a\tb|" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n;
		char **words = ex_words(cases[i].text, &n);
		auto_buf got = BUF_INIT;

		for (size_t k = 0; k < n; k++)
			buf_printf(&got, "%s|", words[k]);
		assert_null(words[n]);
		assert_string_equal(buf_str(&got), cases[i].want);
		ex_words_free(words, n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later_wins),
		cmocka_unit_test(a_service_has_its_own),
		cmocka_unit_test(words_are_cut_at_spaces),
	};
	return cmocka_run_group_tests_name("executor_env", tests, NULL, NULL);
}
