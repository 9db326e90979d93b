#include "gateway/githost.h"

#include "common/http_server.h"
#include "common/mem.h"
#include "gateway/gateway.h"

#include <string.h>

static int
unsupported(struct err **err, const struct gw_githost *host)
{
	return err_set(err, ERR_INVALID,
	    "this version of the gateway cannot talk to git hosts of type %s yet", host->type);
}

void
gw_githost_login_password(struct gateway *gw, const struct gw_githost *host, const char *name,
    const char *password, gw_githost_identity_fn fn, void *arg)
{
	auto_err err = NULL;

	if (gw->githost && gw->githost->login_password) {
		gw->githost->login_password(host, name, password, fn, arg);
		return;
	}
	unsupported(&err, host);
	fn(NULL, &err, arg);
}

void
gw_githost_login_code(struct gateway *gw, const struct gw_githost *host, const char *code,
    const char *redirect_uri, gw_githost_identity_fn fn, void *arg)
{
	auto_err err = NULL;

	if (gw->githost && gw->githost->login_code) {
		gw->githost->login_code(host, code, redirect_uri, fn, arg);
		return;
	}
	unsupported(&err, host);
	fn(NULL, &err, arg);
}

void
gw_githost_repo_get(struct gateway *gw, const struct gw_githost *host, const char *path,
    gw_githost_repos_fn fn, void *arg)
{
	auto_err err = NULL;

	if (gw->githost && gw->githost->repo_get) {
		gw->githost->repo_get(host, path, fn, arg);
		return;
	}
	unsupported(&err, host);
	fn(NULL, 0, &err, arg);
}

void
gw_githost_repo_list(
    struct gateway *gw, const struct gw_githost *host, gw_githost_repos_fn fn, void *arg)
{
	auto_err err = NULL;

	if (gw->githost && gw->githost->repo_list) {
		gw->githost->repo_list(host, fn, arg);
		return;
	}
	unsupported(&err, host);
	fn(NULL, 0, &err, arg);
}

/* --- where to log in --- */

static const struct {
	const char *type, *path, *scope;
} authorize[] = {
	{ "gitea", "/login/oauth/authorize", NULL },
	{ "github", "/login/oauth/authorize", "repo" },
	{ "gitlab", "/oauth/authorize", "api" },
};

char *
gw_githost_authorize_url(const struct gw_githost *host, const char *redirect_uri, const char *state)
{
	auto_free char *id = http_encode(host->client_id);
	auto_free char *redirect = http_encode(redirect_uri);
	auto_free char *text = http_encode(state);
	const char *base = host->apiurl;
	size_t i = 0, n = strlen(base);

	while (i + 1 < ARRAY_LEN(authorize) && strcmp(authorize[i].type, host->type) != 0)
		i++;
	while (n > 0 && base[n - 1] == '/')
		n--;
	/* GitHub's API has another name than its pages. */
	if (strcmp(host->type, "github") == 0 && n == 22 &&
	    memcmp(base, "https://api.github.com", n) == 0) {
		base = "https://github.com";
		n = strlen(base);
	}
	return xasprintf("%.*s%s?client_id=%s&redirect_uri=%s&response_type=code&state=%s%s%s",
	    (int)n, base, authorize[i].path, id, redirect, text,
	    authorize[i].scope ? "&scope=" : "", authorize[i].scope ? authorize[i].scope : "");
}
