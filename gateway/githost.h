/*
 * githost.h - what is asked of a git host: the seam behind which providers live.
 *
 * gateway.githost is a table of functions; NULL (or a NULL entry) means that this gateway cannot
 * talk to the host, which callers are told as ERR_INVALID. Loop thread only. Every call ends in
 * exactly one callback, which may come from inside the call; results are valid during it. What is
 * passed must live until then: callers keep it in their request's arena. Requests are ended before
 * the table's owner at shutdown: a callback must not come for a request that was abandoned.
 */
#ifndef GATEWAY_GITHOST_H
#define GATEWAY_GITHOST_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gateway;

/* A remote source, opened for a call. */
struct gw_githost {
	const char *type; /* gitea | github | gitlab */
	const char *apiurl;
	bool skip_verify;
	const char *client_id, *client_secret; /* of oauth2 sources, else "" */
	const char *token;                     /* of the account that asks; NULL at login */
};

/* Who somebody is there, and what lets us act for him. */
struct gw_githost_identity {
	const char *id, *login, *email, *avatar_url;
	const char *access_token; /* of password sources, else NULL */
	const char *oauth2_access_token, *oauth2_refresh_token;
	int64_t oauth2_expires_ms; /* Unix time, 0 = unknown */
};
struct gw_githost_repo {
	const char *id, *path, *ssh_url, *html_url, *default_branch;
};
typedef void (*gw_githost_identity_fn)(
    const struct gw_githost_identity *who, struct err **err, void *arg);
typedef void (*gw_githost_repos_fn)(
    const struct gw_githost_repo *list, size_t n, struct err **err, void *arg);

struct gw_githost_ops {
	void (*login_password)(const struct gw_githost *host, const char *name,
	    const char *password, gw_githost_identity_fn fn, void *arg);
	void (*login_code)(const struct gw_githost *host, const char *code,
	    const char *redirect_uri, gw_githost_identity_fn fn, void *arg);
	/* One repository by owner/name: n is 1. */
	void (*repo_get)(
	    const struct gw_githost *host, const char *path, gw_githost_repos_fn fn, void *arg);
	/* Those that the account administers. */
	void (*repo_list)(const struct gw_githost *host, gw_githost_repos_fn fn, void *arg);
};

void gw_githost_login_password(struct gateway *gw, const struct gw_githost *host, const char *name,
    const char *password, gw_githost_identity_fn fn, void *arg);
void gw_githost_login_code(struct gateway *gw, const struct gw_githost *host, const char *code,
    const char *redirect_uri, gw_githost_identity_fn fn, void *arg);
void gw_githost_repo_get(struct gateway *gw, const struct gw_githost *host, const char *path,
    gw_githost_repos_fn fn, void *arg);
void gw_githost_repo_list(
    struct gateway *gw, const struct gw_githost *host, gw_githost_repos_fn fn, void *arg);

/* Where the browser goes to log in at an oauth2 source; malloc'ed. Pure. */
char *gw_githost_authorize_url(
    const struct gw_githost *host, const char *redirect_uri, const char *state);

#endif
