#include "gateway/route.h"

#include "common/mem.h"
#include "gateway/git_server.h"
#include "gateway/handlers.h"

#include <string.h>

/* One row per route of the REST API that this version has. The order matters only between a
 * literal and a parameter in the same place: the first match wins. */
const struct gw_route gw_routes[] = {
	/* users */
	{ HTTP_GET, GW_API "/user", GW_AUTH_FORCED, GW_ROLE_USER, 403, GW_API_BODY_MAX, false,
	    gw_api_user_self, NULL, "The caller's own user." },
	{ HTTP_POST, GW_API "/user/createrun", GW_AUTH_FORCED, GW_ROLE_USER, 403, GW_API_BODY_MAX,
	    true, NULL, gw_api_createrun, "Starts a direct run of a pushed commit." },
	{ HTTP_GET, GW_API "/users", GW_AUTH_FORCED, GW_ROLE_ADMIN, 401, GW_API_BODY_MAX, false,
	    gw_api_user_list, NULL, "All users, by name, in pages." },
	{ HTTP_POST, GW_API "/users", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403, GW_API_BODY_MAX, true,
	    gw_api_user_create, NULL, "Creates a user." },
	{ HTTP_GET, GW_API "/users/{u}", GW_AUTH_FORCED, GW_ROLE_ANY, 403, GW_API_BODY_MAX, false,
	    gw_api_user_get, NULL, "One user by name or id." },
	{ HTTP_DELETE, GW_API "/users/{u}", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403, GW_API_BODY_MAX,
	    false, gw_api_user_delete, NULL, "Deletes a user and the user's tokens." },
	{ HTTP_POST, GW_API "/users/{u}/tokens", GW_AUTH_FORCED, GW_ROLE_SELF, 400, GW_API_BODY_MAX,
	    true, gw_api_token_create, NULL, "Creates an API token; its value is shown once." },
	{ HTTP_DELETE, GW_API "/users/{u}/tokens/{name}", GW_AUTH_FORCED, GW_ROLE_SELF, 400,
	    GW_API_BODY_MAX, false, gw_api_token_delete, NULL, "Deletes an API token." },

	/* a user's runs: the direct runs */
	{ HTTP_GET, GW_API "/users/{u}/runs", GW_AUTH_FORCED, GW_ROLE_SELF, 403, GW_API_BODY_MAX,
	    false, NULL, gw_api_run_list, "A user's runs, newest first, in pages." },
	{ HTTP_GET, GW_API "/users/{u}/runs/{n}", GW_AUTH_OPT, GW_ROLE_SELF, 403, GW_API_BODY_MAX,
	    false, NULL, gw_api_run_get, "One run with its tasks." },
	{ HTTP_PUT, GW_API "/users/{u}/runs/{n}/actions", GW_AUTH_FORCED, GW_ROLE_SELF, 403,
	    GW_API_BODY_MAX, true, NULL, gw_api_run_action, "Restarts, cancels or stops a run." },
	{ HTTP_GET, GW_API "/users/{u}/runs/{n}/tasks/{t}", GW_AUTH_OPT, GW_ROLE_SELF, 403,
	    GW_API_BODY_MAX, false, NULL, gw_api_task_get, "One task with its steps." },
	{ HTTP_PUT, GW_API "/users/{u}/runs/{n}/tasks/{t}/actions", GW_AUTH_FORCED,
	    GW_ROLE_SELF_USER, 403, GW_API_BODY_MAX, true, NULL, gw_api_task_action,
	    "Approves a task that waits for it." },
	{ HTTP_GET, GW_API "/users/{u}/runs/{n}/tasks/{t}/logs", GW_AUTH_OPT, GW_ROLE_SELF, 403,
	    GW_API_BODY_MAX, false, NULL, gw_api_log_get,
	    "The log of a step or of the setup, optionally followed." },
	{ HTTP_DELETE, GW_API "/users/{u}/runs/{n}/tasks/{t}/logs", GW_AUTH_FORCED, GW_ROLE_SELF,
	    403, GW_API_BODY_MAX, false, NULL, gw_api_log_delete, "Deletes a stored log." },

	/* misc */
	{ HTTP_GET, GW_API "/version", GW_AUTH_NONE, GW_ROLE_ANY, 403, GW_API_BODY_MAX, false, NULL,
	    gw_api_version, "Name and version of the service." },
	{ HTTP_GET, "/healthz", GW_AUTH_NONE, GW_ROLE_ANY, 403, GW_API_BODY_MAX, false, NULL,
	    gw_api_healthz, "The process answers." },
	{ HTTP_GET, "/readyz", GW_AUTH_NONE, GW_ROLE_ANY, 403, GW_API_BODY_MAX, false,
	    gw_api_readyz, NULL, "PostgreSQL and the runservice answer too." },
	{ HTTP_GET, "/metrics", GW_AUTH_NONE, GW_ROLE_ANY, 403, GW_API_BODY_MAX, false, NULL,
	    gw_api_metrics, "Metrics in Prometheus' text format." },
	{ HTTP_GET, "/debug/state", GW_AUTH_FORCED, GW_ROLE_ADMIN, 403, GW_API_BODY_MAX, false,
	    NULL, gw_api_state, "Who waits for what in this gateway, for administrators." },

	/* git over HTTP, for direct runs; without credentials, as its clients send none */
	{ HTTP_GET, "/repos/{u}/{repo}/info/refs", GW_AUTH_NONE, GW_ROLE_ANY, 403, GW_API_BODY_MAX,
	    false, NULL, gw_git_info_refs, "Advertises a repository's refs." },
	{ HTTP_POST, "/repos/{u}/{repo}/git-upload-pack", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    GW_GIT_FETCH_BODY_MAX, false, NULL, gw_git_rpc, "git fetch." },
	{ HTTP_POST, "/repos/{u}/{repo}/git-receive-pack", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    GW_GIT_PUSH_BODY_MAX, false, NULL, gw_git_rpc, "git push." },
	{ HTTP_GET, "/repos/{u}/{repo}/raw/{ref}/{path*}", GW_AUTH_NONE, GW_ROLE_ANY, 403,
	    GW_API_BODY_MAX, false, NULL, gw_git_raw, "One file of a commit." },
};
const size_t gw_nroutes = ARRAY_LEN(gw_routes);

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
