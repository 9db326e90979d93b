#include "gateway/handlers.h"

#include "common/id.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/rs_client.h"
#include "gateway/scope.h"
#include "gateway/variable_json.h"

#include <string.h>

/* Each handler: the scopes from the database, then the runservice, which keeps the secrets. */

static void
listed(const void *reply, struct err **err, void *arg)
{
	const Millrace__SecretListReply *m = reply;
	struct gw_req *rq = arg;
	json_t *out;

	if (!m) {
		gw_reply_err(rq, err);
		return;
	}
	out = json_array();
	for (size_t i = 0; i < m->n_secrets; i++)
		json_array_append_new(out, gw_secret_json(m->secrets[i], gw_scopes_of(rq)));
	gw_reply_json(rq, 200, out);
}

static void
ask_list(struct gw_req *rq)
{
	const Millrace__ScopeListRequest q = gw_scopes_list(rq);

	gw_rs_secret_list(rq->gw->rs, &q, listed, rq);
}

void
gw_api_secret_list(struct gw_req *rq)
{
	gw_req_step(rq, rq->gw->db_pool, gw_scopes_find, ask_list);
}

/* --- create, update --- */

static int
check_secret(const json_t *body, struct err **err)
{
	const char *type = json_text(body, "type");

	if (gw_name_check(json_text(body, "name"), "name", "invalidSecretName", err) < 0)
		return ERR_INVALID;
	if (!type || strcmp(type, "internal") != 0)
		return err_set_slug(
		    err, ERR_INVALID, "invalidSecretType", "type: must be internal");
	if (json_object_size(json_member(body, "data")) == 0)
		return err_set_slug(
		    err, ERR_INVALID, "invalidSecretData", "data: must have at least one key");
	return 0;
}

static void
put(const void *reply, struct err **err, void *arg)
{
	struct gw_req *rq = arg;

	if (reply)
		gw_reply_json(
		    rq, gw_scopes_put_status(rq), gw_secret_json(reply, gw_scopes_of(rq)));
	else
		gw_reply_err(rq, err);
}

static void
ask_put(struct gw_req *rq)
{
	/* json_object_foreach() takes no const; nothing is changed. */
	json_t *data = json_member(rq->body, "data"), *value;
	size_t n = json_object_size(data), i = 0;
	auto_free Millrace__Pair *pairs = xcalloc(n, sizeof(*pairs));
	auto_free Millrace__Pair **list = xcalloc(n, sizeof(*list));
	Millrace__SecretPutRequest q = MILLRACE__SECRET_PUT_REQUEST__INIT;
	struct id id = id_new();
	const char *key;

	json_object_foreach(data, key, value)
	{
		pairs[i] = (Millrace__Pair)MILLRACE__PAIR__INIT;
		pairs[i].name = gw_scopes_text(key);
		pairs[i].value = gw_scopes_text(json_string_value(value));
		list[i] = &pairs[i];
		i++;
	}
	q.request_id = id.s;
	q.scope = gw_scopes_of(rq)->ids[0];
	q.old_name = gw_scopes_old_name(rq);
	q.name = gw_scopes_text(json_text(rq->body, "name"));
	q.type = gw_scopes_text(json_text(rq->body, "type"));
	q.data = list;
	q.n_data = n;
	gw_rs_secret_put(rq->gw->rs, &q, put, rq);
}

void
gw_api_secret_put(struct gw_req *rq)
{
	struct err *err = NULL;

	if (check_secret(rq->body, &err) < 0)
		gw_reply_err(rq, &err);
	else
		gw_req_step(rq, rq->gw->db_pool, gw_scopes_find, ask_put);
}

/* --- delete --- */

static void
ask_delete(struct gw_req *rq)
{
	const Millrace__ScopeDeleteRequest q = gw_scopes_delete(rq);

	gw_rs_secret_delete(rq->gw->rs, &q, gw_scopes_deleted, rq);
}

void
gw_api_secret_delete(struct gw_req *rq)
{
	gw_req_step(rq, rq->gw->db_pool, gw_scopes_find, ask_delete);
}
