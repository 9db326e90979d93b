#include "gateway/path.h"

#include "common/mem.h"
#include "gateway/name.h"

#include <string.h>

void
gw_path_fini(struct gw_path *p)
{
	free(p->owner);
	free(p->groups);
	free(p->name);
	*p = (struct gw_path){ 0 };
}

static int
bad(struct err **err, bool project)
{
	return err_set_slug(err, ERR_INVALID, "invalidPath",
	    project ? "a project is named by its id or as user/<name>/[<group>/…]<project> or "
	              "org/<name>/[<group>/…]<project>"
	            : "a project group is named by its id or as user/<name>[/<group>…] or "
	              "org/<name>[/<group>…]");
}

static bool
has_empty_element(const char *s)
{
	size_t n = strlen(s);

	return n == 0 || s[0] == '/' || s[n - 1] == '/' || strstr(s, "//");
}

int
gw_path_parse(struct gw_path *out, const char *ref, bool project, struct err **err)
{
	const char *rest, *slash;

	*out = (struct gw_path){ 0 };
	if (gw_name_uuid(&out->id, ref)) {
		out->is_id = true;
		return 0;
	}
	if (strlen(ref) > GW_PATH_MAX || has_empty_element(ref))
		return bad(err, project);
	out->org = strncmp(ref, "org/", 4) == 0;
	if (!out->org && strncmp(ref, "user/", 5) != 0)
		return bad(err, project);
	rest = ref + (out->org ? 4 : 5);
	slash = strchr(rest, '/');
	if (!slash) {
		if (project)
			return bad(err, project);
		out->owner = xstrdup(rest);
		out->groups = xstrdup("");
		return 0;
	}
	out->owner = xstrndup(rest, (size_t)(slash - rest));
	rest = slash + 1;
	if (!project) {
		out->groups = xstrdup(rest);
		return 0;
	}
	slash = strrchr(rest, '/');
	out->groups = slash ? xstrndup(rest, (size_t)(slash - rest)) : xstrdup("");
	out->name = xstrdup(slash ? slash + 1 : rest);
	return 0;
}

unsigned
gw_path_depth(const char *groups)
{
	unsigned n = *groups ? 1 : 0;

	for (const char *p = groups; *p; p++)
		n += *p == '/';
	return n;
}
