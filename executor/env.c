#include "executor/env.h"

#include "common/mem.h"

#include <string.h>

static void
add(struct ex_env *e, char *item)
{
	if (e->n == e->cap) {
		e->cap = e->cap ? e->cap * 2 : 32;
		e->items = xreallocarray(e->items, e->cap, sizeof(*e->items));
	}
	e->items[e->n++] = item;
}

static void
add_pair(struct ex_env *e, const char *name, const char *value)
{
	if (*name != '\0')
		add(e, xasprintf("%s=%s", name, value != NULL ? value : ""));
}

static void
add_vars(struct ex_env *e, Millrace__EnvVar *const *vars, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		add_pair(e, vars[i]->name, vars[i]->value->literal);
}

static void
add_image(struct ex_env *e, const struct ex_image_info *image)
{
	size_t i;

	for (i = 0; i < image->nenv; i++)
		if (strchr(image->env[i], '=') != NULL)
			add(e, xstrdup(image->env[i]));
}

struct entry {
	char *item;
	size_t at, name_len;
};

static int
by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
	int c = memcmp(x->item, y->item, n);

	if (c == 0 && x->name_len != y->name_len)
		c = x->name_len < y->name_len ? -1 : 1;
	if (c == 0)
		c = x->at < y->at ? -1 : x->at > y->at;
	return c;
}

static void
wipe(char *item)
{
	xfree_secret(item, strlen(item));
}

/* Of equal names the last stays. */
static void
settle(struct ex_env *e)
{
	auto_free struct entry *all = xcalloc(e->n + 1, sizeof(*all));
	size_t i, n = 0;

	for (i = 0; i < e->n; i++)
		all[i] = (struct entry){ e->items[i], i, strcspn(e->items[i], "=") };
	qsort(all, e->n, sizeof(*all), by_name);
	for (i = 0; i < e->n; i++) {
		bool again = i + 1 < e->n && all[i].name_len == all[i + 1].name_len &&
		             memcmp(all[i].item, all[i + 1].item, all[i].name_len) == 0;

		if (again)
			wipe(all[i].item);
		else
			e->items[n++] = all[i].item;
	}
	e->n = n;
}

void
ex_env_step(struct ex_env *out, const struct ex_image_info *image,
    const Millrace__AcceptReply *plan, const Millrace__Step *step)
{
	const Millrace__Container *def = plan->spec->containers[0];
	size_t i;

	*out = (struct ex_env){ NULL, 0, 0 };
	add_image(out, image);
	add_vars(out, def->environment, def->n_environment);
	add_vars(out, plan->spec->environment, plan->spec->n_environment);
	for (i = 0; i < plan->n_static_environment; i++)
		add_pair(
		    out, plan->static_environment[i]->name, plan->static_environment[i]->value);
	if (step != NULL)
		add_vars(out, step->environment, step->n_environment);
	settle(out);
}

void
ex_env_container(
    struct ex_env *out, const struct ex_image_info *image, const Millrace__Container *def)
{
	*out = (struct ex_env){ NULL, 0, 0 };
	add_image(out, image);
	add_vars(out, def->environment, def->n_environment);
	settle(out);
}

void
ex_env_fini(struct ex_env *env)
{
	size_t i;

	for (i = 0; i < env->n; i++)
		wipe(env->items[i]);
	free(env->items);
	*env = (struct ex_env){ NULL, 0, 0 };
}

char **
ex_words(const char *text, size_t *n)
{
	char **out = xcalloc(strlen(text) / 2 + 2, sizeof(*out));

	*n = 0;
	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (len > 0)
			out[(*n)++] = xstrndup(text, len);
		text += len + (text[len] == ' ');
	}
	return out;
}

void
ex_words_free(char **words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(words[i]);
	free(words);
}
