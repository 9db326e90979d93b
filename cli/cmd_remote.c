/* remotesource: git hosts. user linkedaccount: accounts there. */
#include "cli/rest.h"

#include "common/mem.h"

#include <string.h>

#define GITHUB_API "https://api.github.com"
/* As GitHub publishes it. */
#define GITHUB_KEY                                                                                 \
	"github.com ssh-ed25519 "                                                                  \
	"AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

#define SETTINGS(enabled)                                                                          \
	{ "api-url", 0, CLI_TEXT, false, NULL, "address of its API: https://gitea.example.org" },  \
	    { "skip-verify", 0, CLI_FLAG, false, NULL, "do not check its TLS certificate" },       \
	    { "clientid", 0, CLI_TEXT, false, NULL, "OAuth2 client id" },                          \
	    { "secret", 0, CLI_TEXT, false, NULL, "OAuth2 client secret" },                        \
	    { "ssh-host-key", 0, CLI_TEXT, false, NULL, "its SSH key, as in known_hosts" },        \
	    { "skip-ssh-host-key-check", 's', CLI_FLAG, false, NULL, "do not check its SSH key" }, \
	    { "registration-enabled", 0, CLI_FLAG, false, enabled,                                 \
		    "people may register with it" },                                               \
	{                                                                                          \
		"login-enabled", 0, CLI_FLAG, false, enabled, "people may log in with it"          \
	}
#define SETTINGS_BODY                                                                              \
	"apiurl=api-url skip_verify=skip-verify oauth_2_client_id=clientid "                       \
	"oauth_2_client_secret=secret ssh_host_key=ssh-host-key "                                  \
	"skip_ssh_host_key_check=skip-ssh-host-key-check "                                         \
	"registration_enabled=registration-enabled login_enabled=login-enabled"

static const struct cli_opt create_opts[] = {
	{ "name", 'n', CLI_TEXT, true, NULL, "a name for it" },
	{ "type", 0, CLI_TEXT, true, NULL, "gitea, github or gitlab" },
	{ "auth-type", 0, CLI_TEXT, true, NULL, "oauth2, or password (gitea)" },
	SETTINGS("true"),
	{ 0 },
};
static const struct cli_opt update_opts[] = {
	{ "ref", 0, CLI_TEXT, true, NULL, "name or id of the git host" },
	{ "new-name", 0, CLI_TEXT, false, NULL, "the new name" },
	SETTINGS(NULL),
	{ 0 },
};
static const struct cli_opt ref_opts[] = {
	{ "ref", 0, CLI_TEXT, true, NULL, "name or id of the git host" },
	{ 0 },
};

/* GitHub is the same for everybody. */
static int
github_presets(struct cli *c, json_t *body, struct err **err)
{
	bool github = strcmp(cli_get(c, "type"), "github") == 0;
	const char *url = cli_get(c, "api-url");

	if (!github && !url)
		return err_set(err, ERR_INVALID, "--api-url is missing: see --help");
	if (github && !url)
		json_object_set_new(body, "apiurl", json_string(GITHUB_API));
	if (github && (!url || strcmp(url, GITHUB_API) == 0) && !cli_get(c, "ssh-host-key"))
		json_object_set_new(body, "ssh_host_key", json_string(GITHUB_KEY));
	return 0;
}

const struct cli_command cli_remotesource_commands[] = {
	{ .words = { "remotesource", "create" },
	    .opts = create_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "POST",
	        .path = "/remotesources",
	        .body = "name type auth_type=auth-type " SETTINGS_BODY,
	        .fill = github_presets,
	        .said = "remote source \"{name}\" created, id {.id}" },
	    .summary = "add a git host (administrator)",
	    .example =
	        "millrace remotesource create --name gitea --type gitea --auth-type password "
	        "--api-url https://gitea.example.org" },
	{ .words = { "remotesource", "update" },
	    .opts = update_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "PUT",
	        .path = "/remotesources/{ref}",
	        .body = "name=new-name " SETTINGS_BODY,
	        .said = "remote source \"{.name}\" updated" },
	    .summary = "change a git host's settings (administrator)",
	    .example = "millrace remotesource update --ref gitea --registration-enabled=false" },
	{ .words = { "remotesource", "delete" },
	    .opts = ref_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "DELETE",
	        .path = "/remotesources/{ref}",
	        .said = "remote source \"{ref}\" deleted" },
	    .summary = "remove a git host with all accounts linked to it (administrator)",
	    .example = "millrace remotesource delete --ref gitea" },
	{ .words = { "remotesource", "list" },
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/remotesources",
	        .pages = true,
	        .columns = "NAME=name AUTH=auth_type REGISTRATION=registration_enabled "
	                   "LOGIN=login_enabled ID=id",
	        .agola = "{.id}: Name: {.name}" },
	    .summary = "list the git hosts",
	    .example = "millrace remotesource list" },
	{ .words = { "remotesource", "show" },
	    .opts = ref_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/remotesources/{ref}",
	        .columns = "NAME=name ID=id AUTH=auth_type REGISTRATION=registration_enabled "
	                   "LOGIN=login_enabled" },
	    .summary = "show a git host",
	    .example = "millrace remotesource show --ref gitea" },
	{ .words = { NULL } },
};

/* --- accounts --- */

static const struct cli_opt link_opts[] = {
	{ "username", 'n', CLI_TEXT, true, NULL, "the user: yourself" },
	{ "remote-source", 'r', CLI_TEXT, true, NULL, "the git host" },
	{ "remote-name", 0, CLI_TEXT, false, NULL, "login name there" },
	{ "remote-password", 0, CLI_TEXT, false, NULL,
	    "password there; - asks for it, or reads a line of standard input" },
	{ 0 },
};
static const struct cli_opt unlink_opts[] = {
	{ "username", 'n', CLI_TEXT, true, NULL, "the user" },
	{ "laid", 0, CLI_TEXT, true, NULL, "id of the linked account" },
	{ 0 },
};

static int
link_create(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *path = cli_rest_path(c, "/users/{username}/linkedaccounts");
	const char *name = cli_get(c, "remote-name"), *given = cli_get(c, "remote-password");
	auto_free char *asked = NULL;
	auto_json *reply = NULL;

	if (given && strcmp(given, "-") == 0) {
		if (cli_password_read(&asked, "Password there: ", &err))
			return cli_fail(err);
		given = asked;
	}
	auto_json *body = json_pack("{s:s,s:s,s:s}", "remote_source_name",
	    cli_get(c, "remote-source"), "remote_source_login_name", name ? name : "",
	    "remote_source_login_password", given ? given : "");
	int rc = body ? cli_api_call(c, "POST", path, body, &reply, &err)
	              : err_set(&err, ERR_INVALID, "an option's text is not valid UTF-8");
	if (asked)
		explicit_bzero(asked, strlen(asked));
	if (rc)
		return cli_fail(err);
	if (c->json)
		return cli_print_json(reply);
	const char *url = json_text(reply, "oauth2_redirect");
	auto_free char *id = cli_rest_text(reply, "linked_account.id");
	auto_free char *clean = cli_clean(url && *url ? url : id);
	if (url && *url)
		fprintf(stderr, "visit %s to continue\n", clean);
	else
		fprintf(stderr, "linked account created, id %s\n", clean);
	return 0;
}

const struct cli_command cli_linkedaccount_commands[] = {
	{ .words = { "user", "linkedaccount", "create" },
	    .opts = link_opts,
	    .run = link_create,
	    .summary = "link your account at a git host",
	    .example = "millrace user linkedaccount create -n alice -r gitea --remote-name alice "
	               "--remote-password -" },
	{ .words = { "user", "linkedaccount", "delete" },
	    .opts = unlink_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "DELETE",
	        .path = "/users/{username}/linkedaccounts/{laid}",
	        .said = "linked account {laid} deleted" },
	    .summary = "unlink an account at a git host",
	    .example = "millrace user linkedaccount delete -n alice --laid $ID" },
	{ .words = { NULL } },
};
