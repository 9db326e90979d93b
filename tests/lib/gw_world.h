/*
 * gw_world.h - what tests of the gateway put into it: a git host whose answers they decide,
 * organizations, groups, projects.
 */
#ifndef TESTS_LIB_GW_WORLD_H
#define TESTS_LIB_GW_WORLD_H

#include "gateway/githost.h"
#include "tests/lib/gw_peer.h"

#define GWW_HOST                                                                                   \
	"{\"name\":\"host\",\"apiURL\":\"http://host:3000\",\"type\":\"gitea\","                   \
	"\"auth_type\":\"password\"}"
/* Links the account of this name there; its password is "right". */
#define GWW_LINK                                                                                   \
	"{\"remote_source_name\":\"host\",\"remote_source_login_name\":\"%s\","                    \
	"\"remote_source_login_password\":\"right\"}"

/* A host of type gitea. The password "right" is; the login name, or the code of OAuth2 (but for
 * "bad"), is id and login; repositories
 * are what is asked for but for o/missing; two are listed: o/x and o/y. */
extern const struct gw_githost_ops gww_host;
extern const char *gww_default_branch; /* of all repositories */

/* The host, and a remote source "host" for it. */
void gww_use_host(struct gwp *f);
void gww_link(struct gwp *f, const char *name, const char *token);
char *gww_project_body(
    const char *name, const char *parent, const char *visibility); /* malloc'ed */
void gww_project(
    struct gwp *f, const char *token, const char *name, const char *parent, const char *visibility);
void gww_group(
    struct gwp *f, const char *token, const char *name, const char *parent, const char *visibility);
void gww_org(struct gwp *f, const char *token, const char *name, const char *visibility);
/* In the gateway's schema. */
void gww_sql(const char *text);

#endif
