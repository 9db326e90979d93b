#include "gateway/body.h"

#include "common/mem.h"

#include <string.h>

#define VISIBILITY                                                                                 \
	{                                                                                          \
		"visibility", GW_TEXT, "public or private"                                         \
	}
#define ROLE                                                                                       \
	{                                                                                          \
		"role", GW_TEXT, "owner or member"                                                 \
	}

const struct gw_body gw_body_user_create = { "CreateUser",
	{ { "username", GW_TEXT, "Name of the user" },
	    { "admin", GW_BOOL, "Make the user an administrator" } } };

const struct gw_body gw_body_token_create = { "CreateUserToken",
	{ { "token_name", GW_TEXT, "Name of the token" },
	    { "scope", GW_TEXT, "full (default), or read: no changes" },
	    { "expires_in", GW_TEXT, "Life such as 720h; absent: it does not expire" } } };

const struct gw_body gw_body_account_create = { "CreateUserLA",
	{ { "remote_source_name", GW_TEXT, "Git host" },
	    { "remote_source_login_name", GW_TEXT, "Name there, for password sources" },
	    { "remote_source_login_password", GW_TEXT, "Password there; it is not kept" } } };

const struct gw_body gw_body_login = { "LoginUser",
	{ { "remote_source_name", GW_TEXT, "Git host; absent: a user of this server" },
	    { "login_name", GW_TEXT, "Name there" }, { "username", GW_TEXT, "Same" },
	    { "password", GW_TEXT, "Password there" },
	    { "token_name", GW_TEXT, "Answer with an API token of this name, not with cookies" },
	    { "expires_in", GW_TEXT, "Life of that token, such as 720h" } } };

const struct gw_body gw_body_register = { "RegisterUser",
	{ { "username", GW_TEXT, "Name of the new user" },
	    { "remote_source_name", GW_TEXT, "Git host" },
	    { "remote_source_login_name", GW_TEXT, "Name there" },
	    { "remote_source_login_password", GW_TEXT, "Password there; it is not kept" } } };

const struct gw_body gw_body_password_link = { "SetPassword",
	{ { "token", GW_TEXT, "What the one-time link holds" },
	    { "password", GW_TEXT, "New password" } } };

const struct gw_body gw_body_password_change = { "ChangePassword",
	{ { "current_password", GW_TEXT, "The one that holds now" },
	    { "password", GW_TEXT, "New password" } } };

const struct gw_body gw_body_org_create = { "CreateOrg",
	{ { "name", GW_TEXT, "Name of the organization" }, VISIBILITY } };

const struct gw_body gw_body_org_update = { "UpdateOrg", { VISIBILITY } };

const struct gw_body gw_body_member_put = { "AddOrgMember", { ROLE } };

const struct gw_body gw_body_invitation_create = { "CreateOrgInvitation",
	{ { "user_ref", GW_TEXT, "Name or id of the user" }, ROLE } };

const struct gw_body gw_body_action = { "Action",
	{ { "action_type", GW_TEXT, "accept or reject an invitation, approve a task" } } };

const struct gw_body gw_body_run_action = { "RunActions",
	{ { "action_type", GW_TEXT, "restart, cancel or stop" },
	    { "from_start", GW_BOOL, "Restart all tasks, not only failed ones" } } };

const struct gw_body gw_body_group_create = { "CreateProjectGroup",
	{ { "name", GW_TEXT, "Name of the group" },
	    { "parent_ref", GW_TEXT, "Id or path of the parent; absent: the caller's root" },
	    VISIBILITY } };

const struct gw_body gw_body_group_update = { "UpdateProjectGroup",
	{ { "name", GW_TEXT, "New name" }, { "parent_ref", GW_TEXT, "New parent" }, VISIBILITY } };

#define PROJECT_FLAGS                                                                              \
	{ "pass_vars_to_forked_pr", GW_BOOL, "Variables for pull requests of forks" },             \
	{                                                                                          \
		"members_can_perform_run_actions", GW_BOOL,                                        \
		    "Members of the organization may act on runs"                                  \
	}

const struct gw_body gw_body_project_create = { "CreateProject",
	{ { "name", GW_TEXT, "Name of the project" },
	    { "parent_ref", GW_TEXT, "Id or path of the parent; absent: the caller's root" },
	    VISIBILITY, { "repo_path", GW_TEXT, "owner/repository at the git host" },
	    { "remote_source_name", GW_TEXT, "Git host" },
	    { "skip_ssh_host_key_check", GW_BOOL, "Do not check the git host's SSH key" },
	    PROJECT_FLAGS } };

const struct gw_body gw_body_project_update = { "UpdateProject",
	{ { "name", GW_TEXT, "New name" }, { "parent_ref", GW_TEXT, "New parent" }, VISIBILITY,
	    PROJECT_FLAGS } };

const struct gw_body gw_body_project_run = { "ProjectCreateRun",
	{ { "branch", GW_TEXT, "Exactly one of branch, tag and ref" }, { "tag", GW_TEXT, "Tag" },
	    { "ref", GW_TEXT, "Full ref" },
	    { "commit_sha", GW_TEXT, "Commit; absent: the one the ref points to" } } };

const struct gw_body gw_body_user_run = { "UserCreateRun",
	{ { "repo_uuid", GW_TEXT, "Repository of the direct run" },
	    { "repo_path", GW_TEXT, "<user id>/<repo_uuid>" },
	    { "branch", GW_TEXT, "Exactly one of branch, tag and ref" }, { "tag", GW_TEXT, "Tag" },
	    { "ref", GW_TEXT, "Full ref" }, { "commit_sha", GW_TEXT, "Pushed commit" },
	    { "message", GW_TEXT, "Its message" },
	    { "pull_request_ref_regexes", GW_TEXTS, "Refs of pull requests, RE2" },
	    { "variables", GW_TEXT_MAP, "Values of variables" } } };

#define REMOTE_FIELDS                                                                              \
	{ "name", GW_TEXT, "Name of the git host" },                                               \
	    { "apiurl", GW_TEXT, "Base URL, e.g. https://gitea.example.org" },                     \
	    { "skip_verify", GW_BOOL, "Do not check its TLS certificate" },                        \
	    { "oauth_2_client_id", GW_TEXT, "Id of our OAuth2 application there" },                \
	    { "oauth_2_client_secret", GW_TEXT, "Its secret; sealed, never shown" },               \
	    { "ssh_host_key", GW_TEXT, "Lines of known_hosts" },                                   \
	    { "skip_ssh_host_key_check", GW_BOOL, "Do not check the SSH key" },                    \
	    { "registration_enabled", GW_BOOL, "Its users may register here" },                    \
	{                                                                                          \
		"login_enabled", GW_BOOL, "Its users may log in here"                              \
	}

const struct gw_body gw_body_remote_create = { "CreateRemoteSource",
	{ REMOTE_FIELDS, { "type", GW_TEXT, "gitea, github or gitlab" },
	    { "auth_type", GW_TEXT, "oauth2, or password (gitea)" } } };

const struct gw_body gw_body_remote_update = { "UpdateRemoteSource", { REMOTE_FIELDS } };

const struct gw_body gw_body_secret = { "CreateSecret",
	{ { "name", GW_TEXT, "Name of the secret" }, { "type", GW_TEXT, "internal" },
	    { "data", GW_TEXT_MAP, "Values by key" } } };

const struct gw_body gw_body_variable = { "CreateVariable",
	{ { "name", GW_TEXT, "Name of the variable" },
	    { "values", GW_OBJECTS, "secret_name, secret_var and when" } } };

static const struct {
	enum gw_field_type type;
	const char *name;
} types[] = {
	{ GW_TEXT, "text" },
	{ GW_BOOL, "true or false" },
	{ GW_TEXTS, "a list of texts" },
	{ GW_TEXT_MAP, "an object of texts" },
	{ GW_OBJECTS, "a list of objects" },
};

static bool
all_of(const json_t *list, bool (*ok)(const json_t *value))
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!ok(json_array_get(list, i)))
			return false;
	}
	return json_is_array(list);
}

static bool
is_text(const json_t *value)
{
	return json_is_string(value);
}

static bool
is_object(const json_t *value)
{
	return json_is_object(value);
}

static bool
is_text_map(const json_t *value)
{
	/* The iterators take no const object; nothing is changed. */
	json_t *map = (json_t *)(uintptr_t)value;
	const char *key;
	json_t *v;

	json_object_foreach(map, key, v)
	{
		if (!json_is_string(v))
			return false;
	}
	return json_is_object(value);
}

static bool
has_type(const json_t *value, enum gw_field_type type)
{
	switch (type) {
	case GW_TEXT:
		return json_is_string(value);
	case GW_BOOL:
		return json_is_boolean(value);
	case GW_TEXTS:
		return all_of(value, is_text);
	case GW_TEXT_MAP:
		return is_text_map(value);
	case GW_OBJECTS:
		return all_of(value, is_object);
	}
	return false;
}

int
gw_body_check(const struct gw_body *b, const json_t *body, struct err **err)
{
	if (!json_is_object(body))
		return err_set(err, ERR_INVALID, "request body: must be a JSON object");
	for (const struct gw_field *f = b->fields; f->name; f++) {
		const json_t *value = json_member(body, f->name);

		if (value && !has_type(value, f->type))
			return err_set(err, ERR_INVALID, "request body: %s: must be %s", f->name,
			    types[f->type - 1].name);
	}
	return 0;
}

static json_t *
field_schema(const struct gw_field *f)
{
	static const char *const names[] = { "string", "boolean", "array", "object", "array" };
	json_t *out = json_pack("{s:s, s:s}", "type", names[f->type - 1], "description", f->help);

	if (f->type == GW_TEXTS)
		json_object_set_new(out, "items", json_pack("{s:s}", "type", "string"));
	else if (f->type == GW_OBJECTS)
		json_object_set_new(out, "items", json_pack("{s:s}", "type", "object"));
	else if (f->type == GW_TEXT_MAP)
		json_object_set_new(
		    out, "additionalProperties", json_pack("{s:s}", "type", "string"));
	return out;
}

json_t *
gw_body_schema(const struct gw_body *b)
{
	json_t *properties = json_object();

	for (const struct gw_field *f = b->fields; f->name; f++)
		json_object_set_new(properties, f->name, field_schema(f));
	return json_pack("{s:s, s:o}", "type", "object", "properties", properties);
}
