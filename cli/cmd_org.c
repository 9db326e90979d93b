/* org: organizations, their members and invitations. */
#include "cli/rest.h"

#include "common/mem.h"

#define ORG                                                                                        \
	{                                                                                          \
		"orgname", 'n', CLI_TEXT, true, NULL, "the organization"                           \
	}
#define USER                                                                                       \
	{                                                                                          \
		"username", 0, CLI_TEXT, true, NULL, "the user"                                    \
	}
#define ROLE                                                                                       \
	{                                                                                          \
		"role", 'r', CLI_TEXT, false, "member", "owner or member"                          \
	}

static const struct cli_opt name_opts[] = {
	{ "name", 'n', CLI_TEXT, true, NULL, "the organization's name" },
	{ 0 },
};
static const struct cli_opt create_opts[] = {
	{ "name", 'n', CLI_TEXT, true, NULL, "the organization's name" },
	{ "visibility", 0, CLI_TEXT, false, "public", "public or private" },
	{ 0 },
};
static const struct cli_opt update_opts[] = {
	{ "name", 'n', CLI_TEXT, true, NULL, "the organization's name" },
	{ "visibility", 0, CLI_TEXT, true, NULL, "public or private" },
	{ 0 },
};
static const struct cli_opt list_opts[] = {
	{ "mine", 0, CLI_FLAG, false, "false", "those that you are a member of, private ones too" },
	{ 0 },
};
static const struct cli_opt org_opts[] = { ORG, { 0 } };
static const struct cli_opt member_opts[] = { ORG, USER, { 0 } };
static const struct cli_opt role_opts[] = { ORG, USER, ROLE, { 0 } };

static const struct cli_rest all = { .method = "GET",
	.path = "/orgs",
	.pages = true,
	.columns = "NAME=name VISIBILITY=visibility ID=id",
	.agola = "{.id}: Name: {.name}" };
static const struct cli_rest mine = { .method = "GET",
	.path = "/user/orgs",
	.pages = true,
	.columns = "NAME=Organization.name ROLE=Role VISIBILITY=Organization.visibility "
	           "ID=Organization.id",
	.agola = "{.Organization.id}: Name: {.Organization.name}" };

static int
org_list(struct cli *c)
{
	const struct cli_rest *r = cli_flag(c, "mine") ? &mine : &all;
	struct err *err = NULL;
	auto_json *list = NULL;

	if (cli_api_list(c, r->path, 0, &list, &err))
		return cli_fail(err);
	return cli_rest_show(c, r, list);
}

/* The answer holds the members one level down, on every page. */
static int
member_list(struct cli *c)
{
	static const struct cli_rest r = { .columns = "USER=user.username ROLE=role ID=user.id",
		.agola = "{}" };
	auto_free char *path = cli_rest_path(c, "/orgs/{orgname}/members");
	struct err *err = NULL;
	auto_json *list = NULL;

	if (cli_api_list_of(c, path, "members", 0, &list, &err))
		return cli_fail(err);
	return cli_rest_show(c, &r, list);
}

const struct cli_command cli_org_commands[] = {
	{ .words = { "org", "create" },
	    .opts = create_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "POST",
	        .path = "/orgs",
	        .body = "name visibility",
	        .said = "organization \"{name}\" created, id {.id}" },
	    .summary = "create an organization; you become its owner",
	    .example = "millrace org create --name acme --visibility private" },
	{ .words = { "org", "update" },
	    .opts = update_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "PUT",
	        .path = "/orgs/{name}",
	        .body = "visibility",
	        .said = "organization \"{name}\" is {visibility}" },
	    .summary = "change an organization's visibility",
	    .example = "millrace org update --name acme --visibility public" },
	{ .words = { "org", "delete" },
	    .opts = name_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "DELETE",
	        .path = "/orgs/{name}",
	        .said = "organization \"{name}\" deleted" },
	    .summary = "delete an organization with all its groups and projects",
	    .example = "millrace org delete --name acme" },
	{ .words = { "org", "list" },
	    .opts = list_opts,
	    .run = org_list,
	    .summary = "list the public organizations (administrators: all), or yours",
	    .example = "millrace org list --mine" },
	{ .words = { "org", "show" },
	    .opts = name_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/orgs/{name}",
	        .columns = "NAME=name VISIBILITY=visibility ID=id" },
	    .summary = "show an organization",
	    .example = "millrace org show --name acme" },
	{ .words = { "org", "member", "add" },
	    .opts = role_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "PUT",
	        .path = "/orgs/{orgname}/members/{username}",
	        .body = "role",
	        .said = "\"{username}\" is {role} of \"{orgname}\"" },
	    .summary = "add a member, or change the role of one",
	    .example = "millrace org member add --orgname acme --username alice --role owner" },
	{ .words = { "org", "member", "list" },
	    .opts = org_opts,
	    .run = member_list,
	    .summary = "list the members of an organization",
	    .example = "millrace org member list --orgname acme" },
	{ .words = { "org", "member", "remove" },
	    .opts = member_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "DELETE",
	        .path = "/orgs/{orgname}/members/{username}",
	        .said = "\"{username}\" removed from \"{orgname}\"" },
	    .summary = "remove a member",
	    .example = "millrace org member remove --orgname acme --username alice" },
	{ .words = { "org", "invitation", "create" },
	    .opts = role_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "POST",
	        .path = "/orgs/{orgname}/invitations",
	        .body = "user_ref=username role",
	        .said = "\"{username}\" invited to \"{orgname}\"" },
	    .summary = "invite a user, where members are added by invitation",
	    .example = "millrace org invitation create --orgname acme --username alice" },
	{ .words = { "org", "invitation", "list" },
	    .opts = org_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/orgs/{orgname}/invitations?limit=40",
	        .columns = "USER-ID=user_id ROLE=role ID=id" },
	    .summary = "list an organization's pending invitations",
	    .example = "millrace org invitation list --orgname acme" },
	{ .words = { "org", "invitation", "delete" },
	    .opts = member_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "DELETE",
	        .path = "/orgs/{orgname}/invitations/{username}",
	        .said = "invitation of \"{username}\" to \"{orgname}\" withdrawn" },
	    .summary = "withdraw an invitation",
	    .example = "millrace org invitation delete --orgname acme --username alice" },
	{ .words = { NULL } },
};
