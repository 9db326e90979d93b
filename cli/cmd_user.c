/* user: users, their tokens and invitations. */
#include "cli/rest.h"

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
static const struct cli_opt show_opts[] = {
	{ "username", 'n', CLI_TEXT, false, NULL, "the user's name" },
	{ 0 },
};
static const struct cli_opt invited_opts[] = {
	{ "orgname", 'n', CLI_TEXT, true, NULL, "the organization" },
	{ 0 },
};
static const struct cli_opt token_create_opts[] = {
	{ "username", 'n', CLI_TEXT, true, NULL, "the user's name" },
	{ "tokenname", 't', CLI_TEXT, true, NULL, "a name for the token" },
	{ "scope", 0, CLI_TEXT, false, NULL, "full (default), or read: it changes nothing" },
	{ "expires-in", 0, CLI_TEXT, false, NULL, "how long it is good for: 720h" },
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
user_show(struct cli *c)
{
	static const struct cli_rest own = { .columns = "NAME=username ID=id TOKENS=tokens" },
	                             other = { .columns = "NAME=username ID=id" };
	struct err *err = NULL;
	bool named = cli_get(c, "username") != NULL;
	auto_free char *path = cli_rest_path(c, named ? "/users/{username}" : "/user");
	auto_json *user = NULL;

	if (cli_api_call(c, "GET", path, NULL, &user, &err))
		return cli_fail(err);
	return cli_rest_show(c, named ? &other : &own, user);
}

static int
action_accept(struct cli *c, json_t *body, struct err **err)
{
	(void)c;
	(void)err;
	return json_object_set_new(body, "action_type", json_string("accept"));
}

static int
action_reject(struct cli *c, json_t *body, struct err **err)
{
	(void)c;
	(void)err;
	return json_object_set_new(body, "action_type", json_string("reject"));
}

const struct cli_command cli_user_commands[] = {
	{ .words = { "user", "create" },
	    .opts = create_opts,
	    .run = user_create,
	    .summary = "create a user (administrator)",
	    .example = "millrace user create --username alice --token $MILLRACE_ADMIN_TOKEN" },
	{ .words = { "user", "passwordlink" },
	    .opts = name_opts,
	    .run = print_link,
	    .summary = "print a one-time link that sets a user's password (administrator)",
	    .example = "millrace user passwordlink --username alice" },
	{ .words = { "user", "delete" },
	    .opts = name_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "DELETE",
	        .path = "/users/{username}",
	        .said = "user \"{username}\" deleted" },
	    .summary = "delete a user with all tokens, groups and projects (administrator)",
	    .example = "millrace user delete --username alice" },
	{ .words = { "user", "list" },
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/users",
	        .pages = true,
	        .columns = "NAME=username ID=id TOKENS=tokens",
	        .agola = "{.id}: Name: {.username}" },
	    .summary = "list the users (administrator)",
	    .example = "millrace user list --json" },
	{ .words = { "user", "show" },
	    .opts = show_opts,
	    .run = user_show,
	    .summary = "show a user; without --username yourself",
	    .example = "millrace user show" },
	{ .words = { "user", "invitations" },
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/user/org_invitations?limit=40",
	        .columns = "ORGANIZATION=organization_name ID=id" },
	    .summary = "list the organizations that invite you",
	    .example = "millrace user invitations" },
	{ .words = { "user", "accept" },
	    .opts = invited_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "PUT",
	        .path = "/user/org_invitations/{orgname}/actions",
	        .fill = action_accept,
	        .said = "you are a member of \"{orgname}\"" },
	    .summary = "accept an invitation",
	    .example = "millrace user accept --orgname acme" },
	{ .words = { "user", "reject" },
	    .opts = invited_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "PUT",
	        .path = "/user/org_invitations/{orgname}/actions",
	        .fill = action_reject,
	        .said = "invitation to \"{orgname}\" rejected" },
	    .summary = "reject an invitation",
	    .example = "millrace user reject --orgname acme" },
	{ .words = { "user", "token", "create" },
	    .opts = token_create_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "POST",
	        .path = "/users/{username}/tokens",
	        .body = "token_name=tokenname scope expires_in=expires-in",
	        .print = "token" },
	    .summary = "create a token and print it; it is shown only once",
	    .example = "export MILLRACE_TOKEN=$(millrace user token create -n alice -t laptop)" },
	{ .words = { "user", "token", "delete" },
	    .opts = token_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "DELETE",
	        .path = "/users/{username}/tokens/{tokenname}",
	        .said = "token \"{tokenname}\" deleted" },
	    .summary = "delete a token",
	    .example = "millrace user token delete -n alice -t laptop" },
	{ .words = { "user", "token", "list" },
	    .opts = name_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/users/{username}/tokens",
	        .columns = "NAME=name SCOPE=scope EXPIRES=expires_at" },
	    .summary = "list a user's tokens, without their values",
	    .example = "millrace user token list -n alice" },
	{ .words = { NULL } },
};
