/* Secrets and variables of projects and of project groups: the same commands twice. */
#include "cli/rest.h"
#include "cli/yaml_file.h"

#include "common/mem.h"

#include <string.h>

/* --- files --- */

static int
secret_file(struct cli *c, json_t *body, struct err **err)
{
	const char *name = cli_get(c, "file");
	json_t *data = json_object();

	json_object_set_new(body, "type", json_string("internal"));
	json_object_set_new(body, "data", data);
	int rc = cli_yaml_texts(data, name, err);
	if (!rc && json_object_size(data) == 0)
		return err_set(
		    err, ERR_INVALID, "%s: a secret needs at least one name: text", name);
	return rc;
}

/* "/x/" and "#x#" are regular expressions. */
static json_t *
condition(const struct yaml_node *n)
{
	size_t len = n->text_len;
	bool regexp =
	    len > 2 && (n->text[0] == '/' || n->text[0] == '#') && n->text[len - 1] == n->text[0];

	return json_pack("{s:s,s:s%}", "type", regexp ? "regexp" : "simple", "match",
	    regexp ? n->text + 1 : n->text, regexp ? len - 2 : len);
}

/* A text or a list of texts. */
static int
conditions(json_t **out, const char *file, const struct yaml_node *n, struct err **err)
{
	auto_json *list = json_array();
	size_t count = n->type == YAML_LIST ? n->n : 1;

	for (size_t i = 0; i < count; i++) {
		const struct yaml_node *e = n->type == YAML_LIST ? n->items[i] : n;

		if (e->type == YAML_LIST || e->type == YAML_MAP || e->type == YAML_NULL)
			return cli_yaml_wrong(
			    file, e, "a condition must be a text or a list of texts", err);
		json_t *one = condition(e);
		if (!one || json_array_append_new(list, one))
			return cli_yaml_wrong(file, e, "the text is not valid UTF-8", err);
	}
	*out = steal(&list);
	return 0;
}

/* One of branch, tag and ref. */
static int
clause(json_t **out, const char *file, const struct yaml_node *n, struct err **err)
{
	auto_json *o = json_object();
	json_t *list = NULL;
	int rc = 0;

	if (n->type != YAML_MAP) {
		rc = conditions(&list, file, n, err);
		if (!rc)
			json_object_set_new(o, "include", list);
	}
	for (size_t i = 0; n->type == YAML_MAP && i < n->n && !rc; i++) {
		const char *key = n->pairs[i].key->text;

		if (strcmp(key, "include") != 0 && strcmp(key, "exclude") != 0)
			return cli_yaml_wrong(
			    file, n->pairs[i].key, "expected include or exclude", err);
		rc = conditions(&list, file, n->pairs[i].value, err);
		if (!rc)
			json_object_set_new(o, key, list);
	}
	if (!rc)
		*out = steal(&o);
	return rc;
}

static int
when_of(json_t **out, const char *file, const struct yaml_node *n, struct err **err)
{
	auto_json *o = json_object();
	int rc = 0;

	if (n->type != YAML_MAP)
		return cli_yaml_wrong(file, n, "when must be a mapping of branch, tag or ref", err);
	for (size_t i = 0; i < n->n && !rc; i++) {
		const char *key = n->pairs[i].key->text;
		json_t *one = NULL;

		if (strcmp(key, "branch") != 0 && strcmp(key, "tag") != 0 &&
		    strcmp(key, "ref") != 0)
			return cli_yaml_wrong(
			    file, n->pairs[i].key, "when knows branch, tag and ref only", err);
		if (n->pairs[i].value->type == YAML_NULL)
			continue;
		rc = clause(&one, file, n->pairs[i].value, err);
		if (!rc)
			json_object_set_new(o, key, one);
	}
	if (!rc)
		*out = steal(&o);
	return rc;
}

static int
value_of(json_t *values, const char *file, const struct yaml_node *n, struct err **err)
{
	json_t *o = json_object(), *when = NULL;
	int rc = 0;

	json_array_append_new(values, o);
	if (n->type != YAML_MAP)
		return cli_yaml_wrong(
		    file, n, "a value must be a mapping of secret_name, secret_var and when", err);
	for (size_t i = 0; i < n->n && !rc; i++) {
		const char *key = n->pairs[i].key->text;
		const struct yaml_node *v = n->pairs[i].value;

		if (strcmp(key, "secret_name") == 0 || strcmp(key, "secret_var") == 0) {
			rc = cli_yaml_text(o, key, v, file, err);
		} else if (strcmp(key, "when") != 0) {
			rc = cli_yaml_wrong(file, n->pairs[i].key,
			    "unknown key: there are secret_name, secret_var and when", err);
		} else if (v->type != YAML_NULL) {
			rc = when_of(&when, file, v, err);
			if (!rc)
				json_object_set_new(o, "when", when);
		}
	}
	if (!rc && (!json_text(o, "secret_name") || !json_text(o, "secret_var")))
		rc = cli_yaml_wrong(file, n, "secret_name and secret_var are both needed", err);
	return rc;
}

static int
variable_file(struct cli *c, json_t *body, struct err **err)
{
	const char *name = cli_get(c, "file");
	auto_yaml *doc = NULL;
	json_t *values = json_array();

	json_object_set_new(body, "values", values);
	int rc = cli_yaml_read(&doc, name, err);
	if (rc)
		return rc;
	const struct yaml_node *root = yaml_doc_root(doc);
	if (root->type != YAML_LIST || root->n == 0)
		return err_set(err, ERR_INVALID,
		    "%s: expected a list of secret_name, secret_var and when", name);
	for (size_t i = 0; i < root->n && !rc; i++)
		rc = value_of(values, name, root->items[i], err);
	return rc;
}

/* An update replaces everything; the name stays unless a new one is given. */
static int
rename_to(struct cli *c, json_t *body)
{
	const char *name = cli_get(c, "new-name");

	return json_object_set_new(body, "name", json_string(name ? name : cli_get(c, "name")));
}

static int
secret_update(struct cli *c, json_t *body, struct err **err)
{
	if (rename_to(c, body))
		return err_set(err, ERR_INVALID, "the name is not valid UTF-8");
	return secret_file(c, body, err);
}

static int
variable_update(struct cli *c, json_t *body, struct err **err)
{
	if (rename_to(c, body))
		return err_set(err, ERR_INVALID, "the name is not valid UTF-8");
	return variable_file(c, body, err);
}

/* --- lists --- */

static const struct cli_rest secret_table = { .columns = "NAME=name FROM=parent_path ID=id",
	.agola = "{}" };
static const struct cli_rest variable_table = {
	.columns = "NAME=name FROM=parent_path SECRETS=secrets ID=id", .agola = "{}"
};

/* What the values look up, as one text. */
static void
add_sources(json_t *list)
{
	size_t i, k;
	json_t *variable, *value;

	json_array_foreach(list, i, variable)
	{
		json_t *texts = json_array();
		json_array_foreach(json_member(variable, "values"), k, value)
		{
			const char *name = json_text(value, "secret_name");
			const char *key = json_text(value, "secret_var");
			json_array_append_new(texts,
			    json_sprintf("%s.%s%s", name ? name : "", key ? key : "",
			        json_is_object(json_member(value, "when")) ? " (when)" : ""));
		}
		json_object_set_new(variable, "secrets", texts);
	}
}

/* As agola prints it: the own ones, then all that hold. */
static int
list_as_agola(
    struct cli *c, const struct cli_rest *r, const char *path, const char *what, json_t *all)
{
	struct err *err = NULL;
	auto_json *own = NULL;

	if (cli_api_call(c, "GET", path, NULL, &own, &err))
		return cli_fail(err);
	printf("%s:\n", what);
	cli_rest_show(c, r, own);
	printf("All %s (local and inherited):\n", what);
	return cli_rest_show(c, r, all);
}

static int
scope_list(struct cli *c)
{
	const char *scope = c->command->words[0];
	bool secret = strcmp(c->command->words[1], "secret") == 0;
	const struct cli_rest *r = secret ? &secret_table : &variable_table;
	auto_free char *tmpl = xasprintf("/%ss/{%s}/%ss", scope, scope, c->command->words[1]);
	auto_free char *path = cli_rest_path(c, tmpl);
	auto_free char *tree = xasprintf("%s?tree&removeoverridden", path);
	struct err *err = NULL;
	auto_json *list = NULL;

	if (cli_api_call(c, "GET", tree, NULL, &list, &err))
		return cli_fail(err);
	if (c->agola && !c->json)
		return list_as_agola(c, r, path, secret ? "secrets" : "variables", list);
	if (!secret && !c->json)
		add_sources(list);
	return cli_rest_show(c, r, list);
}

/* --- table --- */

#define SCOPE(scope, what)                                                                         \
	{                                                                                          \
		scope, 0, CLI_TEXT, true, NULL, "path or id of the " what                          \
	}
#define FILE_OPT(what)                                                                             \
	{                                                                                          \
		"file", 'f', CLI_TEXT, true, NULL,                                                 \
		    what ", as YAML or JSON; - reads standard input"                               \
	}
#define NAME_OPT                                                                                   \
	{                                                                                          \
		"name", 'n', CLI_TEXT, true, NULL, "its name"                                      \
	}
#define NEW_NAME                                                                                   \
	{                                                                                          \
		"new-name", 0, CLI_TEXT, false, NULL, "the new name"                               \
	}
#define SECRET_FILE FILE_OPT("mapping of names to texts")
#define VARIABLE_FILE FILE_OPT("list of secret_name, secret_var and when")
#define OPTS(prefix, scope, what)                                                                  \
	static const struct cli_opt prefix##_list_opts[] = { SCOPE(scope, what), { 0 } };          \
	static const struct cli_opt prefix##_name_opts[] = { SCOPE(scope, what), NAME_OPT,         \
		{ 0 } };                                                                           \
	static const struct cli_opt prefix##_secret_opts[] = { SCOPE(scope, what), NAME_OPT,       \
		SECRET_FILE, { 0 } };                                                              \
	static const struct cli_opt prefix##_secret_new_opts[] = { SCOPE(scope, what), NAME_OPT,   \
		NEW_NAME, SECRET_FILE, { 0 } };                                                    \
	static const struct cli_opt prefix##_variable_opts[] = { SCOPE(scope, what), NAME_OPT,     \
		VARIABLE_FILE, { 0 } };                                                            \
	static const struct cli_opt prefix##_variable_new_opts[] = { SCOPE(scope, what), NAME_OPT, \
		NEW_NAME, VARIABLE_FILE, { 0 } }
OPTS(project, "project", "project");
OPTS(group, "projectgroup", "project group");

#define VERB(scope, kind, verb, opts_, method_, item, body_, fill_, said_, summary_, example_)     \
	{                                                                                          \
		.words = { scope, kind, verb }, .opts = (opts_), .run = cli_rest_run,              \
		.rest = &(const struct cli_rest){ .method = (method_),                             \
			.path = "/" scope "s/{" scope "}/" kind "s" item,                          \
			.body = (body_),                                                           \
			.fill = (fill_),                                                           \
			.said = kind " \"{name}\" " said_ },                                       \
		.summary = (summary_),                                                             \
		.example = "millrace " scope " " kind " " verb " --" scope " " example_            \
	}
#define COMMANDS(                                                                                  \
    scope, path, what, list_opts, name_opts, secret_opts, secret_new, variable_opts, variable_new) \
	VERB(scope, "secret", "create", secret_opts, "POST", "", "name", secret_file, "created",   \
	    "create a secret of a " what,                                                          \
	    path " --name registry --file - <<<'{\"password\": \"...\"}'"),                        \
	    VERB(scope, "secret", "update", secret_new, "PUT", "/{name}", NULL, secret_update,     \
	        "updated", "replace a secret of a " what " as a whole",                            \
	        path " --name registry --file registry.yml"),                                      \
	    VERB(scope, "secret", "delete", name_opts, "DELETE", "/{name}", NULL, NULL, "deleted", \
	        "delete a secret of a " what, path " --name registry"),                            \
	    { .words = { scope, "secret", "list" },                                                \
		    .opts = (list_opts),                                                           \
		    .run = scope_list,                                                             \
		    .summary = "list the secrets that hold in a " what ", without values",         \
		    .example = "millrace " scope " secret list --" scope " " path },               \
	    VERB(scope, "variable", "create", variable_opts, "POST", "", "name", variable_file,    \
	        "created", "create a variable of a " what,                                         \
	        path " --name PASSWORD --file variable.yml"),                                      \
	    VERB(scope, "variable", "update", variable_new, "PUT", "/{name}", NULL,                \
	        variable_update, "updated", "replace a variable of a " what " as a whole",         \
	        path " --name PASSWORD --file variable.yml"),                                      \
	    VERB(scope, "variable", "delete", name_opts, "DELETE", "/{name}", NULL, NULL,          \
	        "deleted", "delete a variable of a " what, path " --name PASSWORD"),               \
	{                                                                                          \
		.words = { scope, "variable", "list" }, .opts = (list_opts), .run = scope_list,    \
		.summary = "list the variables that hold in a " what,                              \
		.example = "millrace " scope " variable list --" scope " " path                    \
	}

const struct cli_command cli_project_scope_commands[] = {
	COMMANDS("project", "org/acme/web", "project", project_list_opts, project_name_opts,
	    project_secret_opts, project_secret_new_opts, project_variable_opts,
	    project_variable_new_opts),
	{ .words = { NULL } },
};
const struct cli_command cli_projectgroup_scope_commands[] = {
	COMMANDS("projectgroup", "org/acme", "project group", group_list_opts, group_name_opts,
	    group_secret_opts, group_secret_new_opts, group_variable_opts, group_variable_new_opts),
	{ .words = { NULL } },
};
