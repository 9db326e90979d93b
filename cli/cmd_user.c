#include "cli.h"

#include "common/mem.h"

static const struct cli_opt name_opts[] = {
	{ "username", 'n', CLI_TEXT, true, NULL, "the user's name" },
	{ 0 },
};
static const struct cli_opt create_opts[] = {
	{ "username", 'n', CLI_TEXT, true, NULL, "the user's name" },
	{ "admin", 0, CLI_FLAG, false, "false", "make the user an administrator" },
	{ "link", 0, CLI_FLAG, false, "false",
	    "print a one-time link with which the user sets a password" },
	{ 0 },
};
static const struct cli_opt token_opts[] = {
	{ "username", 'n', CLI_TEXT, true, NULL, "the user's name" },
	{ "tokenname", 't', CLI_TEXT, true, NULL, "a name for the token" },
	{ 0 },
};

/* The URL alone on stdout. */
static int
print_link(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *name = cli_api_escape(cli_get(c, "username"));
	auto_free char *path = xasprintf("/users/%s/passwordlink", name);
	auto_json *link = NULL;

	if (cli_api_call(c, "POST", path, NULL, &link, &err))
		return cli_fail(err);
	if (c->json)
		return cli_print_json(link);
	auto_free char *url = cli_clean(json_text(link, "url"));
	auto_free char *until = cli_clean(json_text(link, "expires_at"));
	fprintf(stderr, "works once, until %s:\n", until);
	puts(url);
	return 0;
}

static int
user_create(struct cli *c)
{
	struct err *err = NULL;
	auto_json *body = json_pack("{s:s}", "username", cli_get(c, "username"));
	auto_json *user = NULL;

	if (cli_flag(c, "admin"))
		json_object_set_new(body, "admin", json_true());
	if (cli_api_call(c, "POST", "/users", body, &user, &err))
		return cli_fail(err);
	const char *id = json_text(user, "id");
	if (!c->json || cli_flag(c, "link"))
		fprintf(stderr, "user \"%s\" created, id %s\n", cli_get(c, "username"),
		    id ? id : "unknown");
	if (cli_flag(c, "link"))
		return print_link(c);
	return c->json ? cli_print_json(user) : 0;
}

static int
user_delete(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *name = cli_api_escape(cli_get(c, "username"));
	auto_free char *path = xasprintf("/users/%s", name);

	if (cli_api_call(c, "DELETE", path, NULL, NULL, &err))
		return cli_fail(err);
	fprintf(stderr, "user \"%s\" deleted\n", cli_get(c, "username"));
	return 0;
}

static int
user_list(struct cli *c)
{
	struct err *err = NULL;
	auto_json *users = NULL;
	size_t i;
	json_t *u;

	if (cli_api_list(c, "/users", 0, &users, &err))
		return cli_fail(err);
	if (c->json)
		return cli_print_json(users);
	json_array_foreach(users, i, u)
	{
		auto_free char *id = cli_clean(json_text(u, "id"));
		auto_free char *name = cli_clean(json_text(u, "username"));
		printf("%s: Name: %s\n", id, name);
	}
	return 0;
}

static int
token_create(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *name = cli_api_escape(cli_get(c, "username"));
	auto_free char *path = xasprintf("/users/%s/tokens", name);
	auto_json *body = json_pack("{s:s}", "token_name", cli_get(c, "tokenname"));
	auto_json *reply = NULL;

	if (cli_api_call(c, "POST", path, body, &reply, &err))
		return cli_fail(err);
	const char *token = json_text(reply, "token");
	if (!token) {
		err_set(&err, ERR_INTERNAL, "the gateway's answer has no token");
		return cli_fail(err);
	}
	if (c->json)
		return cli_print_json(reply);
	puts(token);
	return 0;
}

static int
token_delete(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *name = cli_api_escape(cli_get(c, "username"));
	auto_free char *token = cli_api_escape(cli_get(c, "tokenname"));
	auto_free char *path = xasprintf("/users/%s/tokens/%s", name, token);

	if (cli_api_call(c, "DELETE", path, NULL, NULL, &err))
		return cli_fail(err);
	fprintf(stderr, "token \"%s\" deleted\n", cli_get(c, "tokenname"));
	return 0;
}

const struct cli_command cli_user_create = {
	.words = { "user", "create" },
	.opts = create_opts,
	.run = user_create,
	.summary = "create a user (administrator)",
	.example = "millrace user create --username alice --token $MILLRACE_ADMIN_TOKEN",
};
const struct cli_command cli_user_passwordlink = {
	.words = { "user", "passwordlink" },
	.opts = name_opts,
	.run = print_link,
	.summary = "print a one-time link that sets a user's password (administrator)",
	.example = "millrace user passwordlink --username alice",
};
const struct cli_command cli_user_delete = {
	.words = { "user", "delete" },
	.opts = name_opts,
	.run = user_delete,
	.summary = "delete a user with all tokens (administrator)",
	.example = "millrace user delete --username alice",
};
const struct cli_command cli_user_list = {
	.words = { "user", "list" },
	.run = user_list,
	.summary = "list the users (administrator)",
	.example = "millrace user list --json",
};
const struct cli_command cli_user_token_create = {
	.words = { "user", "token", "create" },
	.opts = token_opts,
	.run = token_create,
	.summary = "create a token and print it; it is shown only once",
	.example = "export MILLRACE_TOKEN=$(millrace user token create -n alice -t laptop)",
};
const struct cli_command cli_user_token_delete = {
	.words = { "user", "token", "delete" },
	.opts = token_opts,
	.run = token_delete,
	.summary = "delete a token",
	.example = "millrace user token delete -n alice -t laptop",
};
