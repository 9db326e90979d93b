#include "gateway/handlers.h"

#include "common/id.h"
#include "gateway/gateway.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/rs_client.h"
#include "gateway/scope.h"
#include "gateway/variable_json.h"

/* As of secrets: the scopes from the database, then the runservice. */

static void
listed(const void *reply, struct err **err, void *arg)
{
	const Millrace__VariableListReply *m = reply;
	struct gw_req *rq = arg;
	json_t *out;

	if (!m) {
		gw_reply_err(rq, err);
		return;
	}
	out = json_array();
	for (size_t i = 0; i < m->n_variables; i++)
		json_array_append_new(out, gw_variable_json(m->variables[i], gw_scopes_of(rq)));
	gw_reply_json(rq, 200, out);
}

static void
ask_list(struct gw_req *rq)
{
	const Millrace__ScopeListRequest q = gw_scopes_list(rq);

	gw_rs_variable_list(rq->gw->rs, &q, listed, rq);
}

void
gw_api_variable_list(struct gw_req *rq)
{
	gw_req_step(rq, rq->gw->db_pool, gw_scopes_find, ask_list);
}

static void
put(const void *reply, struct err **err, void *arg)
{
	struct gw_req *rq = arg;

	if (reply)
		gw_reply_json(
		    rq, gw_scopes_put_status(rq), gw_variable_json(reply, gw_scopes_of(rq)));
	else
		gw_reply_err(rq, err);
}

static void
ask_put(struct gw_req *rq)
{
	const struct gw_scopes *s = gw_scopes_of(rq);
	Millrace__VariablePutRequest q = MILLRACE__VARIABLE_PUT_REQUEST__INIT;
	struct id id = id_new();
	struct err *err = NULL;

	q.request_id = id.s;
	q.scopes = s->ids;
	q.n_scopes = s->n;
	q.old_name = gw_scopes_old_name(rq);
	q.name = gw_scopes_text(json_text(rq->body, "name"));
	if (gw_variable_values(&q, json_member(rq->body, "values"), &err) < 0)
		gw_reply_err(rq, &err);
	else
		gw_rs_variable_put(rq->gw->rs, &q, put, rq);
	gw_variable_values_fini(&q);
}

void
gw_api_variable_put(struct gw_req *rq)
{
	struct err *err = NULL;

	if (gw_name_check(json_text(rq->body, "name"), "name", "invalidVariableName", &err) < 0)
		gw_reply_err(rq, &err);
	else
		gw_req_step(rq, rq->gw->db_pool, gw_scopes_find, ask_put);
}

static void
ask_delete(struct gw_req *rq)
{
	const Millrace__ScopeDeleteRequest q = gw_scopes_delete(rq);

	gw_rs_variable_delete(rq->gw->rs, &q, gw_scopes_deleted, rq);
}

void
gw_api_variable_delete(struct gw_req *rq)
{
	gw_req_step(rq, rq->gw->db_pool, gw_scopes_find, ask_delete);
}
