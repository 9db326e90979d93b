#include "gateway/openapi.h"

#include "common/mem.h"
#include "gateway/route.h"

#include <string.h>

static const struct {
	enum http_method method;
	const char *name;
} methods[] = {
	{ HTTP_GET, "get" },
	{ HTTP_POST, "post" },
	{ HTTP_PUT, "put" },
	{ HTTP_DELETE, "delete" },
};

/* What a caller must be, for readers. */
static const struct {
	enum gw_role role;
	const char *text;
} roles[] = {
	{ GW_ROLE_ANY, "anybody" },
	{ GW_ROLE_USER, "a user" },
	{ GW_ROLE_ADMIN, "an administrator" },
	{ GW_ROLE_SELF, "the user, or an administrator" },
	{ GW_ROLE_SELF_USER, "the user, or an administrator who is a user" },
	{ GW_ROLE_HIMSELF, "the user" },
	{ GW_ROLE_SEE, "anybody for what is public, else members, the owner, administrators" },
	{ GW_ROLE_OWNER, "the owner, or an administrator" },
	{ GW_ROLE_OWNER_USER, "an owner or administrator who is a user" },
	{ GW_ROLE_RUN, "the owner, an administrator, members where the project lets them" },
};

static json_t *
parameter(const char *name, size_t len, const char *in)
{
	return json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", name, len, "in", in, "required",
	    (int)(strcmp(in, "path") == 0), "schema", "type", "string");
}

static json_t *
parameters(const struct gw_route *r)
{
	json_t *out = json_array();

	for (const char *p = strchr(r->pattern, '{'); p; p = strchr(p + 1, '{'))
		json_array_append_new(out, parameter(p + 1, strcspn(p + 1, "*}"), "path"));
	for (const char *p = r->query; p && *p;) {
		size_t n = strcspn(p, " ");

		json_array_append_new(out, parameter(p, n, "query"));
		p += n + strspn(p + n, " ");
	}
	return out;
}

static json_t *
security(const struct gw_route *r)
{
	json_t *out = json_array();

	if (r->auth != GW_AUTH_FORCED)
		json_array_append_new(out, json_object());
	if (r->auth != GW_AUTH_NONE) {
		json_array_append_new(out, json_pack("{s:[]}", "token"));
		json_array_append_new(out, json_pack("{s:[]}", "session"));
	}
	return out;
}

static json_t *
operation(const struct gw_route *r)
{
	const char *area = r->pattern + strlen(GW_API "/");
	json_t *out = json_object();

	json_object_set_new(out, "summary", json_string(r->help));
	json_object_set_new(out, "tags", json_pack("[s%]", area, strcspn(area, "/")));
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		if (roles[i].role == r->role)
			json_object_set_new(out, "x-role", json_string(roles[i].text));
	}
	json_object_set_new(out, "parameters", parameters(r));
	json_object_set_new(out, "security", security(r));
	if (r->body) {
		auto_free char *ref = xasprintf("#/components/schemas/%s", r->body->name);

		json_object_set_new(out, "requestBody",
		    json_pack("{s:b, s:{s:{s:{s:s}}}}", "required", 1, "content",
		        "application/json", "schema", "$ref", ref));
	}
	json_object_set_new(out, "responses",
	    json_pack("{s:{s:s}, s:{s:s}, s:{s:s, s:{s:{s:{s:s}}}}}", "2XX", "description", "Done.",
	        "503", "description", "Something this needs is away; try again.", "default",
	        "description", "Refused; the codes say why.", "content", "application/json",
	        "schema", "$ref", "#/components/schemas/Errors"));
	return out;
}

static void
add_route(json_t *paths, json_t *schemas, const struct gw_route *r)
{
	json_t *path = json_object_get(paths, r->pattern);

	if (!path) {
		path = json_object();
		json_object_set_new(paths, r->pattern, path);
	}
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (methods[i].method == r->method)
			json_object_set_new(path, methods[i].name, operation(r));
	}
	if (r->body)
		json_object_set_new(schemas, r->body->name, gw_body_schema(r->body));
}

json_t *
gw_openapi(const char *url, const char *version)
{
	json_t *paths = json_object(), *schemas = json_object();

	json_object_set_new(schemas, "Errors",
	    json_pack("{s:s, s:{s:s, s:{s:{s:s}, s:{s:b}}}}", "type", "array", "items", "type",
	        "object", "properties", "code", "type", "string", "details", "nullable", 1));
	for (size_t i = 0; i < gw_nroutes; i++) {
		if (gw_route_is_api(&gw_routes[i]))
			add_route(paths, schemas, &gw_routes[i]);
	}
	return json_pack("{s:s, s:{s:s, s:s}, s:[{s:s}], s:o, s:{s:o, s:{s:{s:s, s:s, s:s, s:s}, "
	                 "s:{s:s, s:s, s:s}}}}",
	    "openapi", "3.0.3", "info", "title", "Millrace", "version", version, "servers", "url",
	    url, "paths", paths, "components", "schemas", schemas, "securitySchemes", "token",
	    "type", "apiKey", "in", "header", "name", "Authorization", "description", "token VALUE",
	    "session", "type", "apiKey", "in", "cookie", "name", "__Host-session");
}
