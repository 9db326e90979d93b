#include "gateway/scope.h"

#include "common/mem.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/store_group.h"

#include <string.h>

int
gw_scopes_find(struct gw_req *rq, struct db *db, struct err **err)
{
	bool project = gw_route_has_param(rq->route, "p");
	const struct gw_group *group = project ? &rq->project.parent : &rq->group;
	struct gw_scopes *s = gw_req_alloc(rq, sizeof(*s));
	struct id *ids = NULL;
	size_t n = 0;
	const char *path = group->path;
	int rc = gw_store_group_chain(&ids, &n, db, group->id, err);

	if (rc < 0)
		return rc;
	s->ids = gw_req_alloc(rq, (n + 1) * sizeof(*s->ids));
	s->paths = gw_req_alloc(rq, (n + 1) * sizeof(*s->paths));
	if (project) {
		s->ids[s->n] = gw_req_strdup(rq, rq->project.id);
		s->paths[s->n++] = gw_req_printf(rq, "%s/%s", path, rq->project.name);
	}
	for (size_t i = 0; i < n; i++) {
		const char *slash = strrchr(path, '/');

		s->ids[s->n] = gw_req_strdup(rq, ids[i].s);
		s->paths[s->n++] = gw_req_strdup(rq, path);
		path = gw_req_printf(rq, "%.*s", slash ? (int)(slash - path) : 0, path);
	}
	free(ids);
	rq->op = s;
	return 0;
}

struct gw_scopes *
gw_scopes_of(const struct gw_req *rq)
{
	MUST(rq->op);
	return rq->op;
}

const char *
gw_scopes_path(const struct gw_scopes *s, const char *id)
{
	for (size_t i = 0; id && i < s->n; i++) {
		if (strcmp(s->ids[i], id) == 0)
			return s->paths[i];
	}
	return "";
}

Millrace__ScopeListRequest
gw_scopes_list(const struct gw_req *rq)
{
	const struct gw_scopes *s = gw_scopes_of(rq);
	Millrace__ScopeListRequest q = MILLRACE__SCOPE_LIST_REQUEST__INIT;

	q.scopes = s->ids;
	q.n_scopes = s->n;
	q.has_tree = q.has_remove_overridden = true;
	q.tree = gw_req_query_has(rq, "tree");
	q.remove_overridden = gw_req_query_has(rq, "removeoverridden");
	return q;
}

char *
gw_scopes_text(const char *borrowed)
{
	return (char *)(uintptr_t)borrowed;
}

char *
gw_scopes_old_name(const struct gw_req *rq)
{
	return rq->route->method == HTTP_PUT ? gw_scopes_text(gw_req_param(rq, "name")) : NULL;
}

int
gw_scopes_put_status(const struct gw_req *rq)
{
	return rq->route->method == HTTP_POST ? 201 : 200;
}

Millrace__ScopeDeleteRequest
gw_scopes_delete(struct gw_req *rq)
{
	Millrace__ScopeDeleteRequest q = MILLRACE__SCOPE_DELETE_REQUEST__INIT;

	q.request_id = gw_req_strdup(rq, id_new().s);
	q.scope = gw_scopes_of(rq)->ids[0];
	q.name = gw_scopes_text(gw_req_param(rq, "name"));
	return q;
}

void
gw_scopes_deleted(const void *reply, struct err **err, void *rq)
{
	if (reply)
		gw_reply_json(rq, 204, NULL);
	else
		gw_reply_err(rq, err);
}
