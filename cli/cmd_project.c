/* project and projectgroup, but for their secrets and variables. */
#include "cli/rest.h"

#define REF(what)                                                                                  \
	{                                                                                          \
		"ref", 0, CLI_TEXT, true, NULL, "path or id of the " what                          \
	}
#define FORKED "pass-vars-to-forked-pr", 0, CLI_FLAG, false
#define MEMBERS "members-can-perform-run-actions", 0, CLI_FLAG, false
#define FORKED_HELP "give variables to pull requests of forks, too"
#define MEMBERS_HELP "members of the organization may stop, cancel and restart runs"

static const struct cli_opt create_opts[] = {
	{ "name", 'n', CLI_TEXT, true, NULL, "the project's name" },
	{ "parent", 0, CLI_TEXT, true, NULL, "path or id of the group: user/alice, org/acme/web" },
	{ "repo-path", 0, CLI_TEXT, true, NULL, "owner/repository at the git host" },
	{ "remote-source", 0, CLI_TEXT, true, NULL, "the git host" },
	{ "skip-ssh-host-key-check", 's', CLI_FLAG, false, "false",
	    "do not check the git host's SSH key" },
	{ "visibility", 0, CLI_TEXT, false, "public", "public or private" },
	{ FORKED, "false", FORKED_HELP },
	{ MEMBERS, "false", MEMBERS_HELP },
	{ 0 },
};
static const struct cli_opt update_opts[] = {
	REF("project"),
	{ "name", 'n', CLI_TEXT, false, NULL, "the new name" },
	{ "parent", 0, CLI_TEXT, false, NULL, "path or id of the group it moves to" },
	{ "visibility", 0, CLI_TEXT, false, NULL, "public or private" },
	{ FORKED, NULL, FORKED_HELP },
	{ MEMBERS, NULL, MEMBERS_HELP },
	{ 0 },
};
static const struct cli_opt ref_opts[] = { REF("project"), { 0 } };
static const struct cli_opt parent_opts[] = {
	{ "parent", 0, CLI_TEXT, true, NULL, "path or id of the group" },
	{ 0 },
};
static const struct cli_opt reconfig_opts[] = {
	{ "name", 'n', CLI_TEXT, true, NULL, "path or id of the project" },
	{ 0 },
};
#define PROJECT_LINES                                                                              \
	"PATH=path ID=id VISIBILITY=visibility EFFECTIVE=global_visibility "                       \
	"BRANCH=default_branch FORKED-PR-VARIABLES=pass_vars_to_forked_pr "                        \
	"MEMBERS-RUN=members_can_perform_run_actions"

const struct cli_command cli_project_commands[] = {
	{ .words = { "project", "create" },
	    .opts = create_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "POST",
	        .path = "/projects",
	        .body = "name parent_ref=parent visibility repo_path=repo-path "
	                "remote_source_name=remote-source "
	                "skip_ssh_host_key_check=skip-ssh-host-key-check "
	                "pass_vars_to_forked_pr=pass-vars-to-forked-pr "
	                "members_can_perform_run_actions=members-can-perform-run-actions",
	        .said = "project \"{.path}\" created, id {.id}" },
	    .summary = "create a project from a repository at a git host",
	    .example = "millrace project create --name web --parent org/acme --repo-path acme/web "
	               "--remote-source gitea" },
	{ .words = { "project", "update" },
	    .opts = update_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "PUT",
	        .path = "/projects/{ref}",
	        .body = "name parent_ref=parent visibility "
	                "pass_vars_to_forked_pr=pass-vars-to-forked-pr "
	                "members_can_perform_run_actions=members-can-perform-run-actions",
	        .said = "project \"{.path}\" updated" },
	    .summary = "rename or move a project, change its settings",
	    .example = "millrace project update --ref org/acme/web --visibility private" },
	{ .words = { "project", "delete" },
	    .opts = ref_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "DELETE",
	        .path = "/projects/{ref}",
	        .said = "project \"{ref}\" deleted" },
	    .summary = "delete a project with its runs",
	    .example = "millrace project delete --ref org/acme/web" },
	{ .words = { "project", "list" },
	    .opts = parent_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/projectgroups/{parent}/projects",
	        .columns = "NAME=name PATH=path VISIBILITY=global_visibility "
	                   "BRANCH=default_branch ID=id",
	        .agola = "{.id}: Name: {.name}" },
	    .summary = "list the projects of a group",
	    .example = "millrace project list --parent org/acme" },
	{ .words = { "project", "show" },
	    .opts = ref_opts,
	    .run = cli_rest_run,
	    .rest =
	        &(const struct cli_rest){
	            .method = "GET", .path = "/projects/{ref}", .columns = PROJECT_LINES },
	    .summary = "show a project",
	    .example = "millrace project show --ref org/acme/web" },
	{ .words = { "project", "reconfig" },
	    .opts = reconfig_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "PUT",
	        .path = "/projects/{name}/reconfig",
	        .said = "project \"{name}\": deploy key and webhook installed again" },
	    .summary = "install deploy key and webhook at the git host again",
	    .example = "millrace project reconfig --name org/acme/web" },
	{ .words = { "project", "relink" },
	    .opts = ref_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "PUT",
	        .path = "/projects/{ref}/updaterepolinkedaccount",
	        .said = "project \"{.path}\" uses your account at the git host" },
	    .summary = "use your account at the git host for a project from now on",
	    .example = "millrace project relink --ref org/acme/web" },
	{ .words = { "project", "refresh" },
	    .opts = ref_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "POST",
	        .path = "/projects/{ref}/refreshremoterepo",
	        .said = "project \"{.path}\": default branch {.default_branch}" },
	    .summary = "read a repository's data from the git host again",
	    .example = "millrace project refresh --ref org/acme/web" },
	{ .words = { NULL } },
};

static const struct cli_opt group_create_opts[] = {
	{ "name", 'n', CLI_TEXT, true, NULL, "the group's name" },
	{ "parent", 0, CLI_TEXT, true, NULL,
	    "path or id of the group above: user/alice, org/acme" },
	{ "visibility", 0, CLI_TEXT, false, "public", "public or private" },
	{ 0 },
};
static const struct cli_opt group_update_opts[] = {
	REF("group"),
	{ "name", 'n', CLI_TEXT, false, NULL, "the new name" },
	{ "parent", 0, CLI_TEXT, false, NULL, "path or id of the group it moves to" },
	{ "visibility", 0, CLI_TEXT, false, NULL, "public or private" },
	{ 0 },
};
static const struct cli_opt group_ref_opts[] = { REF("group"), { 0 } };

const struct cli_command cli_projectgroup_commands[] = {
	{ .words = { "projectgroup", "create" },
	    .opts = group_create_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "POST",
	        .path = "/projectgroups",
	        .body = "name parent_ref=parent visibility",
	        .said = "project group \"{.path}\" created, id {.id}" },
	    .summary = "create a project group",
	    .example = "millrace projectgroup create --name web --parent org/acme" },
	{ .words = { "projectgroup", "update" },
	    .opts = group_update_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "PUT",
	        .path = "/projectgroups/{ref}",
	        .body = "name parent_ref=parent visibility",
	        .said = "project group \"{.path}\" updated" },
	    .summary = "rename or move a project group, change its visibility",
	    .example = "millrace projectgroup update --ref org/acme/web --name site" },
	{ .words = { "projectgroup", "delete" },
	    .opts = group_ref_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "DELETE",
	        .path = "/projectgroups/{ref}",
	        .said = "project group \"{ref}\" deleted" },
	    .summary = "delete a project group with everything in it",
	    .example = "millrace projectgroup delete --ref org/acme/web" },
	{ .words = { "projectgroup", "list" },
	    .opts = parent_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/projectgroups/{parent}/subgroups",
	        .columns = "NAME=name PATH=path VISIBILITY=global_visibility ID=id",
	        .agola = "{.id}: Name: {.name}" },
	    .summary = "list the project groups of a group",
	    .example = "millrace projectgroup list --parent org/acme" },
	{ .words = { "projectgroup", "show" },
	    .opts = group_ref_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/projectgroups/{ref}",
	        .columns = "PATH=path ID=id VISIBILITY=visibility EFFECTIVE=global_visibility" },
	    .summary = "show a project group",
	    .example = "millrace projectgroup show --ref org/acme/web" },
	{ .words = { NULL } },
};
