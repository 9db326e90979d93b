#include "cli/rest.h"

#include "common/mem.h"

#include <string.h>

/* --- values --- */

char *
cli_rest_text(const json_t *o, const char *path)
{
	const char *dot = strchr(path, '.');
	auto_free char *name = xstrndup(path, dot ? (size_t)(dot - path) : strlen(path));
	const json_t *v = json_object_get(o, name);
	size_t i;
	json_t *e;

	if (dot)
		return cli_rest_text(v, dot + 1);
	if (json_is_string(v))
		return xstrdup(json_string_value(v));
	if (json_is_boolean(v))
		return xstrdup(json_is_true(v) ? "yes" : "no");
	if (json_is_integer(v))
		return xasprintf("%lld", (long long)json_integer_value(v));
	if (!json_is_array(v))
		return xstrdup("");
	struct buf b = BUF_INIT;
	json_array_foreach((json_t *)(uintptr_t)v, i, e)
	{
		if (json_is_string(e))
			buf_printf(&b, "%s%s", b.len ? ", " : "", json_string_value(e));
	}
	return buf_take(&b);
}

/* What stands between braces, in a form that may be shown. */
static char *
value_of(const struct cli *c, const char *name, const json_t *answer)
{
	if (name[0] == '.')
		return cli_rest_text(answer, name + 1);
	if (name[0] == '\0') {
		return json_dumps(answer, JSON_INDENT(4));
	}
	if (name[0] >= '0' && name[0] <= '9') {
		size_t i = (size_t)(name[0] - '0');
		return xstrdup(i < c->nargs ? c->args[i] : "");
	}
	const char *v = cli_get(c, name);
	return xstrdup(v ? v : "");
}

static char *
expand(const struct cli *c, const char *tmpl, bool path, const json_t *answer)
{
	struct buf out = BUF_INIT;

	for (const char *p = tmpl; *p; p++) {
		const char *end = *p == '{' ? strchr(p, '}') : NULL;

		if (!end) {
			buf_putc(&out, *p);
			continue;
		}
		auto_free char *name = xstrndup(p + 1, (size_t)(end - p - 1));
		auto_free char *value = value_of(c, name, answer);
		auto_free char *safe = path    ? cli_api_escape(value)
		                       : *name ? cli_clean(value)
		                               : xstrdup(value);
		buf_puts(&out, safe);
		p = end;
	}
	return buf_take(&out);
}

char *
cli_rest_path(struct cli *c, const char *tmpl)
{
	return expand(c, tmpl, true, NULL);
}

/* --- the body --- */

static int
body_add(json_t *body, const struct cli *c, const char *key, const char *name, struct err **err)
{
	const char *value = cli_get(c, name);
	size_t n;
	const char *const *list = cli_list(c, name, &n);
	json_t *j = NULL;

	switch (cli_opt_kind_of(c, name)) {
	case CLI_FLAG:
		if (!value)
			return 0;
		j = json_boolean(strcmp(value, "true") == 0);
		break;
	case CLI_LIST:
		j = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(j, json_string(list[i]));
		break;
	case CLI_TEXT:
		if (!value)
			return 0;
		j = json_string(value);
		break;
	}
	if (!j || json_object_set_new(body, key, j))
		return err_set(err, ERR_INVALID, "--%s: the text is not valid UTF-8", name);
	return 0;
}

static int
body_make(json_t **out, struct cli *c, const struct cli_rest *r, struct err **err)
{
	auto_json *body = json_object();
	auto_free char *words = xstrdup(r->body ? r->body : "");

	for (char *p = words, *word; (word = strsep(&p, " "));) {
		char *equals = strchr(word, '=');

		if (*word == '\0')
			continue;
		if (equals)
			*equals = '\0';
		int rc = body_add(body, c, word, equals ? equals + 1 : word, err);
		if (rc)
			return rc;
	}
	int rc = r->fill ? r->fill(c, body, err) : 0;
	if (!rc)
		*out = steal(&body);
	return rc;
}

/* --- the answer --- */

struct columns {
	char *text;
	const char *titles[CLI_COLUMNS_MAX], *paths[CLI_COLUMNS_MAX];
	size_t n;
};

static void
columns_of(struct columns *k, const char *spec)
{
	*k = (struct columns){ .text = xstrdup(spec) };
	for (char *p = k->text, *word; (word = strsep(&p, " "));) {
		char *equals = strchr(word, '=');

		MUST(equals && k->n < CLI_COLUMNS_MAX);
		*equals = '\0';
		k->titles[k->n] = word;
		k->paths[k->n++] = equals + 1;
	}
}

static void
show_list(const struct columns *k, const json_t *list)
{
	struct cli_table t = { .columns = k->n };
	auto_buf out = BUF_INIT;
	size_t i;
	json_t *o;

	cli_table_add(&t, k->titles);
	json_array_foreach((json_t *)(uintptr_t)list, i, o)
	{
		const char *cells[CLI_COLUMNS_MAX];
		char *owned[CLI_COLUMNS_MAX];

		for (size_t j = 0; j < k->n; j++)
			cells[j] = owned[j] = cli_rest_text(o, k->paths[j]);
		cli_table_add(&t, cells);
		for (size_t j = 0; j < k->n; j++)
			free(owned[j]);
	}
	cli_table_print(&t, &out);
	cli_table_fini(&t);
	fputs(buf_str(&out), stdout);
}

static void
show_object(const struct columns *k, const json_t *o)
{
	struct cli_table t = { .columns = 2 };
	auto_buf out = BUF_INIT;

	for (size_t j = 0; j < k->n; j++) {
		auto_free char *value = cli_rest_text(o, k->paths[j]);
		auto_free char *title = xstrdup(k->titles[j]);

		for (char *p = title; *p; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		cli_table_add(&t, (const char *const[]){ title, value });
	}
	cli_table_print(&t, &out);
	cli_table_fini(&t);
	fputs(buf_str(&out), stdout);
}

int
cli_rest_show(struct cli *c, const struct cli_rest *r, const json_t *answer)
{
	struct columns k;
	size_t i;
	json_t *o;

	if (c->json)
		return cli_print_json(answer);
	if (c->agola && r->agola && json_is_array(answer)) {
		json_array_foreach((json_t *)(uintptr_t)answer, i, o)
		{
			auto_free char *line = expand(c, r->agola, false, o);
			puts(line);
		}
		return 0;
	}
	columns_of(&k, r->columns);
	if (json_is_array(answer))
		show_list(&k, answer);
	else
		show_object(&k, answer);
	free(k.text);
	return 0;
}

static int
print_member(const struct cli_rest *r, const json_t *answer)
{
	struct err *err = NULL;
	const char *text = json_text(answer, r->print);

	if (!text) {
		err_set(&err, ERR_INTERNAL, "the gateway's answer has no %s", r->print);
		return cli_fail(err);
	}
	puts(text);
	return 0;
}

int
cli_rest_run(struct cli *c)
{
	const struct cli_rest *r = c->command->rest;
	auto_free char *path = cli_rest_path(c, r->path);
	auto_json *body = NULL, *answer = NULL;
	struct err *err = NULL;

	int rc = r->body || r->fill ? body_make(&body, c, r, &err) : 0;
	if (!rc)
		rc = r->pages ? cli_api_list(c, path, 0, &answer, &err)
		              : cli_api_call(c, r->method, path, body, &answer, &err);
	if (rc)
		return cli_fail(err);
	if (r->said && !c->json) {
		auto_free char *text = expand(c, r->said, false, answer);
		fprintf(stderr, "%s\n", text);
	}
	if (r->columns)
		return cli_rest_show(c, r, answer);
	if (c->json)
		return answer ? cli_print_json(answer) : 0;
	return r->print ? print_member(r, answer) : 0;
}
