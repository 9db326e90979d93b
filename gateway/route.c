#include "gateway/route.h"

#include "common/mem.h"
#include "gateway/git_server.h"
#include "gateway/handlers.h"

#include <string.h>

/* One row per route of the REST API that this version has. The order matters only between a
 * literal and a parameter in the same place: the first match wins. */
const struct gw_route gw_routes[] = {
	/* users */
	{ HTTP_GET, GW_API "/user", GW_AUTH_FORCED, GW_ROLE_USER, 403, .work = gw_api_user_self,
	    .help = "The caller's own user." },
	{ HTTP_PUT, GW_API "/user/password", GW_AUTH_FORCED, GW_ROLE_USER, 403,
	    .body = &gw_body_password_change, .handle = gw_api_password_change,
	    .help = "Changes the caller's password; its other sessions end." },
	{ HTTP_POST, GW_API "/user/createrun", GW_AUTH_FORCED, GW_ROLE_USER, 403,
	    .body = &gw_body_user_run, .runs = true, .handle = gw_api_createrun,
	    .help = "Starts a direct run of a pushed commit." },
	{ HTTP_GET, GW_API "/user/orgs", GW_AUTH_FORCED, GW_ROLE_USER, 403,
	    .work = gw_api_org_of_user, .query = "limit cursor sortdirection",
	    .help = "Organizations of the caller with the role there, by name, in pages." },
	{ HTTP_GET, GW_API "/user/org_invitations", GW_AUTH_FORCED, GW_ROLE_USER, 403,
	    .work = gw_api_invitation_of_user, .query = "limit",
	    .help = "Invitations of the caller." },
	{ HTTP_PUT, GW_API "/user/org_invitations/{o}/actions", GW_AUTH_FORCED, GW_ROLE_USER, 400,
	    .body = &gw_body_action, .work = gw_api_invitation_action,
	    .help = "Accepts or rejects an invitation." },
	{ HTTP_GET, GW_API "/user/remoterepos/{rs}", GW_AUTH_FORCED, GW_ROLE_USER, 403,
	    .handle = gw_api_remote_repos,
	    .help = "Repositories that the caller administers at a git host." },
	{ HTTP_GET, GW_API "/users", GW_AUTH_FORCED, GW_ROLE_ADMIN, 401, .work = gw_api_user_list,
	    .query = "limit cursor sortdirection query_type remoteuserid remotesourceref",
	    .help = "All users, by name, in pages." },
	{ HTTP_POST, GW_API "/users", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403,
	    .body = &gw_body_user_create, .work = gw_api_user_create, .help = "Creates a user." },
	{ HTTP_GET, GW_API "/users/{u}", GW_AUTH_FORCED, GW_ROLE_ANY, 403, .work = gw_api_user_get,
	    .help = "One user by name or id." },
	{ HTTP_DELETE, GW_API "/users/{u}", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403, .drops = true,
	    .work = gw_api_user_delete,
	    .help = "Deletes a user with tokens, linked accounts, project groups and projects." },
	{ HTTP_POST, GW_API "/users/{u}/passwordlink", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403,
	    .work = gw_api_password_link,
	    .help = "Makes a one-time link with which the user sets a password." },
	{ HTTP_GET, GW_API "/users/{u}/tokens", GW_AUTH_FORCED, GW_ROLE_SELF, 403,
	    .work = gw_api_token_list, .help = "API tokens of a user, without their values." },
	{ HTTP_POST, GW_API "/users/{u}/tokens", GW_AUTH_FORCED, GW_ROLE_SELF, 400,
	    .body = &gw_body_token_create, .work = gw_api_token_create,
	    .help = "Creates an API token; its value is shown once." },
	{ HTTP_DELETE, GW_API "/users/{u}/tokens/{name}", GW_AUTH_FORCED, GW_ROLE_SELF, 400,
	    .work = gw_api_token_delete, .help = "Deletes an API token." },
	{ HTTP_POST, GW_API "/users/{u}/linkedaccounts", GW_AUTH_FORCED, GW_ROLE_HIMSELF, 400,
	    .nouser = 403, .body = &gw_body_account_create, .handle = gw_api_account_create,
	    .help = "Links an account at a git host to the caller." },
	{ HTTP_DELETE, GW_API "/users/{u}/linkedaccounts/{laid}", GW_AUTH_FORCED, GW_ROLE_SELF, 400,
	    .work = gw_api_account_delete, .help = "Unlinks an account at a git host." },
	/* organizations */
	{ HTTP_GET, GW_API "/orgs", GW_AUTH_FORCED, GW_ROLE_ANY, 403, .work = gw_api_org_list,
	    .query = "limit cursor sortdirection",
	    .help = "Public organizations, for administrators all, by name, in pages." },
	{ HTTP_POST, GW_API "/orgs", GW_AUTH_FORCED, GW_ROLE_ANY, 403, .body = &gw_body_org_create,
	    .work = gw_api_org_create,
	    .help = "Creates an organization; the caller becomes its owner." },
	{ HTTP_GET, GW_API "/orgs/{o}", GW_AUTH_FORCED, GW_ROLE_SEE, 403, .work = gw_api_org_get,
	    .help = "One organization by name or id." },
	{ HTTP_PUT, GW_API "/orgs/{o}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_org_update, .work = gw_api_org_update,
	    .help = "Changes an organization's visibility." },
	{ HTTP_DELETE, GW_API "/orgs/{o}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403, .drops = true,
	    .work = gw_api_org_delete,
	    .help = "Deletes an organization with all its project groups and projects." },
	{ HTTP_GET, GW_API "/orgs/{o}/members", GW_AUTH_FORCED, GW_ROLE_SEE, 403,
	    .work = gw_api_member_list, .query = "limit cursor sortdirection",
	    .help = "Members, by user name, in pages." },
	{ HTTP_PUT, GW_API "/orgs/{o}/members/{u}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_member_put, .work = gw_api_member_put,
	    .help = "Adds a member or changes the role." },
	{ HTTP_DELETE, GW_API "/orgs/{o}/members/{u}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .work = gw_api_member_delete, .help = "Removes a member." },
	{ HTTP_GET, GW_API "/orgs/{o}/invitations", GW_AUTH_FORCED, GW_ROLE_OWNER_USER, 403,
	    .work = gw_api_invitation_list, .query = "limit", .help = "Pending invitations." },
	{ HTTP_POST, GW_API "/orgs/{o}/invitations", GW_AUTH_FORCED, GW_ROLE_OWNER_USER, 403,
	    .body = &gw_body_invitation_create, .work = gw_api_invitation_create,
	    .help = "Invites a user." },
	{ HTTP_GET, GW_API "/orgs/{o}/invitations/{u}", GW_AUTH_FORCED, GW_ROLE_ANY, 403,
	    .work = gw_api_invitation_get, .help = "A user's invitation." },
	{ HTTP_DELETE, GW_API "/orgs/{o}/invitations/{u}", GW_AUTH_FORCED, GW_ROLE_OWNER_USER, 403,
	    .work = gw_api_invitation_delete, .help = "Withdraws an invitation." },
	/* project groups */
	{ HTTP_POST, GW_API "/projectgroups", GW_AUTH_FORCED, GW_ROLE_USER, 403,
	    .body = &gw_body_group_create, .work = gw_api_group_create,
	    .help = "Creates a project group." },
	{ HTTP_GET, GW_API "/projectgroups/{pg}", GW_AUTH_FORCED, GW_ROLE_SEE, 403,
	    .work = gw_api_group_get, .help = "One project group by id or path." },
	{ HTTP_PUT, GW_API "/projectgroups/{pg}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_group_update, .work = gw_api_group_update,
	    .help = "Renames or moves a project group, changes its visibility." },
	{ HTTP_DELETE, GW_API "/projectgroups/{pg}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .drops = true, .work = gw_api_group_delete,
	    .help = "Deletes a project group with everything in it." },
	{ HTTP_GET, GW_API "/projectgroups/{pg}/subgroups", GW_AUTH_FORCED, GW_ROLE_SEE, 403,
	    .work = gw_api_group_subgroups, .help = "Project groups directly in it, by name." },
	{ HTTP_GET, GW_API "/projectgroups/{pg}/projects", GW_AUTH_FORCED, GW_ROLE_SEE, 403,
	    .work = gw_api_group_projects, .help = "Projects directly in it, by name." },
	/* projects */
	{ HTTP_POST, GW_API "/projects", GW_AUTH_FORCED, GW_ROLE_USER, 400,
	    .body = &gw_body_project_create, .handle = gw_api_project_create,
	    .help = "Creates a project from a repository of a git host." },
	{ HTTP_GET, GW_API "/projects/{p}", GW_AUTH_OPT, GW_ROLE_SEE, 403,
	    .work = gw_api_project_get, .help = "One project by id or path." },
	{ HTTP_PUT, GW_API "/projects/{p}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_project_update, .work = gw_api_project_update,
	    .help = "Renames or moves a project, changes its settings." },
	{ HTTP_DELETE, GW_API "/projects/{p}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403, .drops = true,
	    .work = gw_api_project_delete, .help = "Deletes a project." },
	{ HTTP_PUT, GW_API "/projects/{p}/reconfig", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .handle = gw_api_project_reconfig,
	    .help = "Installs deploy key and webhook at the git host again." },
	{ HTTP_PUT, GW_API "/projects/{p}/updaterepolinkedaccount", GW_AUTH_FORCED,
	    GW_ROLE_OWNER_USER, 403, .nouser = 400, .work = gw_api_project_relink,
	    .help = "Uses the caller's account at the git host from now on." },
	{ HTTP_POST, GW_API "/projects/{p}/refreshremoterepo", GW_AUTH_FORCED, GW_ROLE_OWNER_USER,
	    403, .handle = gw_api_project_refresh,
	    .help = "Reads the repository's data from the git host again." },
	{ HTTP_POST, GW_API "/projects/{p}/createrun", GW_AUTH_FORCED, GW_ROLE_OWNER_USER, 403,
	    .body = &gw_body_project_run, .runs = true, .handle = gw_api_project_createrun,
	    .help = "Starts runs of a branch, tag or ref." },
	/* secrets and variables of project groups and projects */
	{ HTTP_GET, GW_API "/projectgroups/{pg}/secrets", GW_AUTH_FORCED, GW_ROLE_SEE, 403,
	    .handle = gw_api_secret_list, .query = "tree removeoverridden",
	    .help = "Secrets of a project group, without their values; tree: of the groups above, "
	            "too." },
	{ HTTP_POST, GW_API "/projectgroups/{pg}/secrets", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_secret, .handle = gw_api_secret_put,
	    .help = "Creates a secret of a project group." },
	{ HTTP_PUT, GW_API "/projectgroups/{pg}/secrets/{name}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_secret, .handle = gw_api_secret_put,
	    .help = "Replaces a secret of a project group." },
	{ HTTP_DELETE, GW_API "/projectgroups/{pg}/secrets/{name}", GW_AUTH_FORCED, GW_ROLE_OWNER,
	    403, .handle = gw_api_secret_delete, .help = "Deletes a secret of a project group." },
	{ HTTP_GET, GW_API "/projects/{p}/secrets", GW_AUTH_FORCED, GW_ROLE_SEE, 403,
	    .handle = gw_api_secret_list, .query = "tree removeoverridden",
	    .help = "Secrets of a project, without their values; tree: of the groups above, too." },
	{ HTTP_POST, GW_API "/projects/{p}/secrets", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_secret, .handle = gw_api_secret_put,
	    .help = "Creates a secret of a project." },
	{ HTTP_PUT, GW_API "/projects/{p}/secrets/{name}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_secret, .handle = gw_api_secret_put,
	    .help = "Replaces a secret of a project." },
	{ HTTP_DELETE, GW_API "/projects/{p}/secrets/{name}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .handle = gw_api_secret_delete, .help = "Deletes a secret of a project." },
	{ HTTP_GET, GW_API "/projectgroups/{pg}/variables", GW_AUTH_FORCED, GW_ROLE_SEE, 403,
	    .handle = gw_api_variable_list, .query = "tree removeoverridden",
	    .help = "Variables of a project group; tree: of the groups above, too." },
	{ HTTP_POST, GW_API "/projectgroups/{pg}/variables", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_variable, .handle = gw_api_variable_put,
	    .help = "Creates a variable of a project group." },
	{ HTTP_PUT, GW_API "/projectgroups/{pg}/variables/{name}", GW_AUTH_FORCED, GW_ROLE_OWNER,
	    403, .body = &gw_body_variable, .handle = gw_api_variable_put,
	    .help = "Replaces a variable of a project group." },
	{ HTTP_DELETE, GW_API "/projectgroups/{pg}/variables/{name}", GW_AUTH_FORCED, GW_ROLE_OWNER,
	    403, .handle = gw_api_variable_delete,
	    .help = "Deletes a variable of a project group." },
	{ HTTP_GET, GW_API "/projects/{p}/variables", GW_AUTH_FORCED, GW_ROLE_SEE, 403,
	    .handle = gw_api_variable_list, .query = "tree removeoverridden",
	    .help = "Variables of a project; tree: of the groups above, too." },
	{ HTTP_POST, GW_API "/projects/{p}/variables", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_variable, .handle = gw_api_variable_put,
	    .help = "Creates a variable of a project." },
	{ HTTP_PUT, GW_API "/projects/{p}/variables/{name}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .body = &gw_body_variable, .handle = gw_api_variable_put,
	    .help = "Replaces a variable of a project." },
	{ HTTP_DELETE, GW_API "/projects/{p}/variables/{name}", GW_AUTH_FORCED, GW_ROLE_OWNER, 403,
	    .handle = gw_api_variable_delete, .help = "Deletes a variable of a project." },
	/* runs: of a project, and direct ones of a user */
	{ HTTP_GET, GW_API "/projects/{p}/runs", GW_AUTH_FORCED, GW_ROLE_SEE, 403, .runs = true,
	    .handle = gw_api_run_list,
	    .query = "limit cursor sortdirection start subgroup phase result",
	    .help = "A project's runs, newest first, in pages." },
	{ HTTP_GET, GW_API "/projects/{p}/runs/{n}", GW_AUTH_OPT, GW_ROLE_SEE, 403, .runs = true,
	    .handle = gw_api_run_get, .help = "One run with its tasks." },
	{ HTTP_GET, GW_API "/projects/{p}/runs/{n}/explain", GW_AUTH_FORCED, GW_ROLE_SEE, 403,
	    .runs = true, .handle = gw_api_run_explain,
	    .help = "Why the tasks of a run wait: what was considered for each." },
	{ HTTP_PUT, GW_API "/projects/{p}/runs/{n}/actions", GW_AUTH_FORCED, GW_ROLE_RUN, 403,
	    .body = &gw_body_run_action, .runs = true, .handle = gw_api_run_action,
	    .help = "Restarts, cancels or stops a run." },
	{ HTTP_GET, GW_API "/projects/{p}/runs/{n}/tasks/{t}", GW_AUTH_OPT, GW_ROLE_SEE, 403,
	    .runs = true, .handle = gw_api_task_get, .help = "One task with its steps." },
	{ HTTP_PUT, GW_API "/projects/{p}/runs/{n}/tasks/{t}/actions", GW_AUTH_FORCED,
	    GW_ROLE_OWNER_USER, 403, .body = &gw_body_action, .runs = true,
	    .handle = gw_api_task_action, .help = "Approves a task that waits for it." },
	{ HTTP_GET, GW_API "/projects/{p}/runs/{n}/tasks/{t}/logs", GW_AUTH_OPT, GW_ROLE_SEE, 403,
	    .runs = true, .handle = gw_api_log_get, .query = "setup step attempt follow offset",
	    .help = "The log of a step or of the setup, optionally followed; of the newest "
	            "attempt of the task, or of the one asked for." },
	{ HTTP_DELETE, GW_API "/projects/{p}/runs/{n}/tasks/{t}/logs", GW_AUTH_FORCED,
	    GW_ROLE_OWNER, 403, .runs = true, .handle = gw_api_log_delete,
	    .query = "setup step attempt",
	    .help = "Deletes the stored logs of a step or of the setup, of one attempt of the "
	            "task or of all." },
	{ HTTP_GET, GW_API "/users/{u}/runs", GW_AUTH_FORCED, GW_ROLE_SELF, 403, .runs = true,
	    .handle = gw_api_run_list,
	    .query = "limit cursor sortdirection start subgroup phase result",
	    .help = "A user's runs, newest first, in pages." },
	{ HTTP_GET, GW_API "/users/{u}/runs/{n}", GW_AUTH_OPT, GW_ROLE_SELF, 403, .runs = true,
	    .handle = gw_api_run_get, .help = "One run with its tasks." },
	{ HTTP_GET, GW_API "/users/{u}/runs/{n}/explain", GW_AUTH_FORCED, GW_ROLE_SELF, 403,
	    .runs = true, .handle = gw_api_run_explain,
	    .help = "Why the tasks of a run wait: what was considered for each." },
	{ HTTP_PUT, GW_API "/users/{u}/runs/{n}/actions", GW_AUTH_FORCED, GW_ROLE_SELF, 403,
	    .body = &gw_body_run_action, .runs = true, .handle = gw_api_run_action,
	    .help = "Restarts, cancels or stops a run." },
	{ HTTP_GET, GW_API "/users/{u}/runs/{n}/tasks/{t}", GW_AUTH_OPT, GW_ROLE_SELF, 403,
	    .runs = true, .handle = gw_api_task_get, .help = "One task with its steps." },
	{ HTTP_PUT, GW_API "/users/{u}/runs/{n}/tasks/{t}/actions", GW_AUTH_FORCED,
	    GW_ROLE_SELF_USER, 403, .body = &gw_body_action, .runs = true,
	    .handle = gw_api_task_action, .help = "Approves a task that waits for it." },
	{ HTTP_GET, GW_API "/users/{u}/runs/{n}/tasks/{t}/logs", GW_AUTH_OPT, GW_ROLE_SELF, 403,
	    .runs = true, .handle = gw_api_log_get, .query = "setup step attempt follow offset",
	    .help = "The log of a step or of the setup, optionally followed; of the newest "
	            "attempt of the task, or of the one asked for." },
	{ HTTP_DELETE, GW_API "/users/{u}/runs/{n}/tasks/{t}/logs", GW_AUTH_FORCED, GW_ROLE_SELF,
	    403, .runs = true, .handle = gw_api_log_delete, .query = "setup step attempt",
	    .help = "Deletes the stored logs of a step or of the setup, of one attempt of the "
	            "task or of all." },
	/* git hosts */
	{ HTTP_GET, GW_API "/remotesources", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    .work = gw_api_remote_list, .query = "limit cursor sortdirection",
	    .help = "Git hosts, by name, in pages." },
	{ HTTP_POST, GW_API "/remotesources", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403,
	    .body = &gw_body_remote_create, .work = gw_api_remote_create,
	    .help = "Adds a git host." },
	{ HTTP_GET, GW_API "/remotesources/{rs}", GW_AUTH_FORCED, GW_ROLE_ANY, 403,
	    .work = gw_api_remote_get, .help = "One git host by name or id." },
	{ HTTP_PUT, GW_API "/remotesources/{rs}", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403,
	    .body = &gw_body_remote_update, .work = gw_api_remote_update,
	    .help = "Changes a git host's settings." },
	{ HTTP_DELETE, GW_API "/remotesources/{rs}", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403,
	    .work = gw_api_remote_delete,
	    .help = "Removes a git host with all accounts linked to it." },
	/* logging in; nobody is anybody yet */
	{ HTTP_POST, GW_API "/auth/login", GW_AUTH_NONE, GW_ROLE_ANY, 403, .body = &gw_body_login,
	    .handle = gw_api_login, .help = "Logs in with a password, or says where to log in." },
	{ HTTP_POST, GW_API "/auth/authorize", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    .body = &gw_body_login, .handle = gw_api_authorize,
	    .help = "Who somebody is at a git host." },
	{ HTTP_POST, GW_API "/auth/register", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    .body = &gw_body_register, .handle = gw_api_register,
	    .help = "Creates a user from an account at a git host." },
	{ HTTP_GET, GW_API "/auth/oauth2/callback", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    .handle = gw_api_oauth2_callback, .query = "code state",
	    .help = "Ends what a git host's login page began." },
	{ HTTP_POST, GW_API "/auth/password", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    .body = &gw_body_password_link, .handle = gw_api_password_set,
	    .help = "Sets a password with a one-time link." },
	/* administration */
	{ HTTP_GET, GW_API "/audit", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403, .work = gw_api_audit_list,
	    .query = "limit cursor sortdirection username",
	    .help = "Who did what when from where, newest first, in pages." },
	{ HTTP_GET, GW_API "/maintenance/{svc}", GW_AUTH_FORCED, GW_ROLE_ADMIN, 401,
	    .outside = true, .work = gw_api_maintenance_get,
	    .help = "Is a service in maintenance?" },
	{ HTTP_PUT, GW_API "/maintenance/{svc}", GW_AUTH_FORCED, GW_ROLE_ADMIN, 401,
	    .outside = true, .work = gw_api_maintenance_on,
	    .help = "Puts a service into maintenance." },
	{ HTTP_DELETE, GW_API "/maintenance/{svc}", GW_AUTH_FORCED, GW_ROLE_ADMIN, 401,
	    .outside = true, .work = gw_api_maintenance_off,
	    .help = "Ends a service's maintenance." },
	{ HTTP_GET, GW_API "/export/{svc}", GW_AUTH_FORCED, GW_ROLE_ADMIN, 401, .outside = true,
	    .audited = true, .handle = gw_api_export,
	    .help = "All that a service holds, one JSON object per line." },
	{ HTTP_POST, GW_API "/import/{svc}", GW_AUTH_FORCED, GW_ROLE_ADMIN, 401,
	    .body_max = GW_IMPORT_BODY_MAX, .outside = true, .handle = gw_api_import,
	    .help = "Replaces all that a service in maintenance holds by an export." },
	/* misc */
	{ HTTP_GET, GW_API "/version", GW_AUTH_NONE, GW_ROLE_ANY, 403, .outside = true,
	    .handle = gw_api_version, .help = "Name and version of the service." },
	{ HTTP_GET, GW_API "/openapi.json", GW_AUTH_NONE, GW_ROLE_ANY, 403, .outside = true,
	    .handle = gw_api_openapi, .help = "This API as an OpenAPI document." },
	{ HTTP_GET, GW_API "/badges/{p}", GW_AUTH_NONE, GW_ROLE_ANY, 403, .runs = true,
	    .handle = gw_api_badge, .query = "branch",
	    .help = "State of the last run of a project as an SVG." },
	{ HTTP_GET, "/config.js", GW_AUTH_NONE, GW_ROLE_ANY, 403, .outside = true,
	    .handle = gw_api_config_js, .help = "Where the API is, for web pages." },
	{ HTTP_GET, "/healthz", GW_AUTH_NONE, GW_ROLE_ANY, 403, .outside = true,
	    .handle = gw_api_healthz, .help = "The process answers." },
	{ HTTP_GET, "/readyz", GW_AUTH_NONE, GW_ROLE_ANY, 403, .outside = true,
	    .work = gw_api_readyz, .help = "PostgreSQL and the runservice answer too." },
	{ HTTP_GET, "/metrics", GW_AUTH_NONE, GW_ROLE_ANY, 403, .outside = true,
	    .handle = gw_api_metrics, .help = "Metrics in Prometheus' text format." },
	{ HTTP_GET, "/debug/state", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403, .outside = true,
	    .handle = gw_api_state,
	    .help = "Who waits for what in this gateway, for administrators." },

	/* git over HTTP, for direct runs; without credentials, as its clients send none */
	{ HTTP_GET, "/repos/{u}/{repo}/info/refs", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    .handle = gw_git_info_refs, .help = "Advertises a repository's refs." },
	{ HTTP_POST, "/repos/{u}/{repo}/git-upload-pack", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    .body_max = GW_GIT_FETCH_BODY_MAX, .handle = gw_git_rpc, .help = "git fetch." },
	{ HTTP_POST, "/repos/{u}/{repo}/git-receive-pack", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    .body_max = GW_GIT_PUSH_BODY_MAX, .handle = gw_git_rpc, .help = "git push." },
	{ HTTP_GET, "/repos/{u}/{repo}/raw/{ref}/{path*}", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    .handle = gw_git_raw, .help = "One file of a commit." },
};
const size_t gw_nroutes = ARRAY_LEN(gw_routes);

size_t
gw_route_body_max(const struct gw_route *r)
{
	return r->body_max ? r->body_max : GW_API_BODY_MAX;
}

bool
gw_route_is_unsafe(const struct gw_route *r)
{
	return r->method != HTTP_GET && r->method != HTTP_HEAD && r->method != HTTP_OPTIONS;
}

bool
gw_route_is_api(const struct gw_route *r)
{
	return strncmp(r->pattern, GW_API "/", strlen(GW_API "/")) == 0;
}

void
gw_params_fini(struct gw_params *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->list[i].value);
	p->n = 0;
}

const char *
gw_params_get(const struct gw_params *p, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < p->n; i++) {
		if (p->list[i].name_len == len && memcmp(p->list[i].name, name, len) == 0)
			return p->list[i].value;
	}
	MUST(!"parameter of the route");
	return NULL;
}

/* Length of the segment that begins at s. */
static size_t
segment(const char *s)
{
	return strcspn(s, "/");
}

/* False when the segment does not decode: an escape is malformed or yields NUL. */
static bool
add_param(struct gw_params *params, const char *name, size_t name_len, const char *s, size_t n)
{
	struct gw_param *p;

	MUST(params->n < GW_ROUTE_PARAMS_MAX);
	p = &params->list[params->n];
	p->value = http_decode(s, n);
	if (!p->value)
		return false;
	p->name = name;
	p->name_len = name_len;
	params->n++;
	return true;
}

/* Both begin with '/'. Fills params; on a mismatch they are emptied again. */
static bool
match(struct gw_params *params, const char *pattern, const char *path)
{
	for (;;) {
		size_t pn, sn;

		if (*pattern == '\0' && *path == '\0')
			return true;
		if (*pattern != '/' || *path != '/')
			break;
		pattern++;
		path++;
		pn = segment(pattern);
		sn = segment(path);
		if (pn > 3 && pattern[0] == '{' && pattern[pn - 2] == '*') {
			if (*path && add_param(params, pattern + 1, pn - 3, path, strlen(path)))
				return true;
			break;
		}
		if (pattern[0] == '{') {
			if (sn == 0 || !add_param(params, pattern + 1, pn - 2, path, sn))
				break;
		} else if (pn != sn || memcmp(pattern, path, pn) != 0) {
			break;
		}
		pattern += pn;
		path += sn;
	}
	gw_params_fini(params);
	return false;
}

const struct gw_route *
gw_route_find_in(const struct gw_route *table, size_t n, struct gw_params *params,
    enum http_method method, const char *path)
{
	params->n = 0;
	for (size_t i = 0; i < n; i++) {
		if (table[i].method == method && match(params, table[i].pattern, path))
			return &table[i];
	}
	return NULL;
}

const struct gw_route *
gw_route_find(struct gw_params *params, enum http_method method, const char *path)
{
	return gw_route_find_in(gw_routes, gw_nroutes, params, method, path);
}

bool
gw_route_has_param(const struct gw_route *route, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = strchr(route->pattern, '{'); p; p = strchr(p + 1, '{')) {
		if (strncmp(p + 1, name, len) == 0 && (p[1 + len] == '}' || p[1 + len] == '*'))
			return true;
	}
	return false;
}
