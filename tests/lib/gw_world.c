#include "tests/lib/gw_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/db.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/store.h"

#include <string.h>

/* --- a git host whose repositories the test decides --- */

const char *gww_default_branch = "main";

static void
host_login(const struct gw_githost *host, const char *name, const char *password,
    gw_githost_identity_fn fn, void *arg)
{
	const struct gw_githost_identity who = { .id = name,
		.login = name,
		.email = "e@x",
		.avatar_url = "http://a",
		.access_token = "tokenofhost" };
	auto_err err = NULL;

	assert_string_equal(host->type, "gitea");
	if (strcmp(password, "right") == 0) {
		fn(&who, &err, arg);
		return;
	}
	err_set(&err, ERR_DENIED, "wrong password");
	fn(NULL, &err, arg);
}

static void
host_code(const struct gw_githost *host, const char *code, const char *redirect_uri,
    gw_githost_identity_fn fn, void *arg)
{
	const struct gw_githost_identity who = { .id = code,
		.login = code,
		.email = "e@x",
		.oauth2_access_token = "tokenofhost",
		.oauth2_refresh_token = "r" };
	auto_err err = NULL;

	assert_string_equal(host->client_secret, "clientsecret");
	assert_string_equal(redirect_uri, "http://ci.example.org:8000/oauth2/callback");
	if (strcmp(code, "bad") == 0)
		err_set(&err, ERR_DENIED, "the code is wrong");
	fn(err ? NULL : &who, &err, arg);
}

static void
host_repo(const struct gw_githost *host, const char *path, gw_githost_repos_fn fn, void *arg)
{
	const struct gw_githost_repo repo = { .id = "7",
		.path = path,
		.ssh_url = "git@host:x.git",
		.html_url = "http://host/x",
		.default_branch = gww_default_branch };
	auto_err err = NULL;

	assert_string_equal(host->token, "tokenofhost");
	if (strcmp(path, "o/missing") == 0)
		err_set(&err, ERR_NOTFOUND, "no such repository");
	fn(err ? NULL : &repo, err ? 0 : 1, &err, arg);
}

static void
host_repos(const struct gw_githost *host, gw_githost_repos_fn fn, void *arg)
{
	const struct gw_githost_repo repos[] = { { .id = "7", .path = "o/x" },
		{ .id = "8", .path = "o/y" } };
	auto_err err = NULL;

	(void)host;
	fn(repos, 2, &err, arg);
}

const struct gw_githost_ops gww_host = { .login_password = host_login,
	.login_code = host_code,
	.repo_get = host_repo,
	.repo_list = host_repos };

/* --- objects --- */

void
gww_link(struct gwp *f, const char *name, const char *token)
{
	auto_free char *path = xasprintf("/users/%s/linkedaccounts", name);
	auto_free char *body = xasprintf(GWW_LINK, name);

	gwp_expect(f, "POST", path, token, body, 201, NULL);
}

void
gww_use_host(struct gwp *f)
{
	((struct gateway *)f->gw)->githost = &gww_host;
	gwp_expect(f, "POST", "/remotesources", GWP_ADMIN, GWW_HOST, 201, NULL);
}

char *
gww_project_body(const char *name, const char *parent, const char *visibility)
{
	return xasprintf("{\"name\":\"%s\",\"parent_ref\":\"%s\",\"visibility\":\"%s\","
	                 "\"repo_path\":\"o/%s\",\"remote_source_name\":\"host\"}",
	    name, parent, visibility, name);
}

void
gww_project(
    struct gwp *f, const char *token, const char *name, const char *parent, const char *visibility)
{
	auto_free char *body = gww_project_body(name, parent, visibility);

	gwp_expect(f, "POST", "/projects", token, body, 201, NULL);
}

void
gww_group(
    struct gwp *f, const char *token, const char *name, const char *parent, const char *visibility)
{
	auto_free char *body =
	    xasprintf("{\"name\":\"%s\",\"parent_ref\":\"%s\",\"visibility\":\"%s\"}", name, parent,
	        visibility);

	gwp_expect(f, "POST", "/projectgroups", token, body, 201, NULL);
}

void
gww_org(struct gwp *f, const char *token, const char *name, const char *visibility)
{
	auto_free char *body =
	    xasprintf("{\"name\":\"%s\",\"visibility\":\"%s\"}", name, visibility);

	gwp_expect(f, "POST", "/orgs", token, body, 201, NULL);
}

void
gww_sql(const char *text)
{
	struct db_options opt = { .conninfo = getenv(
		                      "MILLRACE_TEST_DB"), /* NOLINT(concurrency-mt-unsafe) */
		.schema = GW_SCHEMA };
	struct db *db = db_new(&opt);
	auto_err err = NULL;

	if (db_exec_sql(NULL, db, text, &err) < 0)
		fail_msg("%s", err_msg(err));
	db_free(db);
}
