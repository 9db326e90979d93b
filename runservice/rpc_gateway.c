#include "runservice/rpc_gateway.h"

#include "common/mem.h"
#include "gateway.pb-c.h"
#include "runservice/actor.h"
#include "runservice/create.h"
#include "runservice/logs.h"
#include "runservice/query.h"

#include <stdio.h>
#include <string.h>

void *
rs_gateway_decode(struct rpc_call *call, const ProtobufCMessageDescriptor *type,
    const uint8_t *body, size_t len, struct rs *rs)
{
	if (strcmp(rpc_call_peer(call), RS_PEER_GATEWAY) != 0) {
		rs_fail(call, ERR_DENIED, "only a gateway may ask this");
		return NULL;
	}
	if (!rs_serving(rs, call))
		return NULL;
	ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, len, body);
	if (!m)
		rs_fail(call, ERR_INVALID, "malformed request");
	return m;
}

static void
on_create(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	Millrace__RunCreateRequest *m =
	    rs_gateway_decode(call, &millrace__run_create_request__descriptor, body, len, rs);
	if (m)
		rs_create(rs, call, m);
}

static void
on_list(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	Millrace__RunListRequest *m =
	    rs_gateway_decode(call, &millrace__run_list_request__descriptor, body, len, rs);
	if (!m)
		return;
	rs_query_list(rs, call, m);
	millrace__run_list_request__free_unpacked(m, NULL);
}

static void
on_get(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	Millrace__RunGetRequest *m =
	    rs_gateway_decode(call, &millrace__run_get_request__descriptor, body, len, rs);
	if (!m)
		return;
	rs_query_get(rs, call, m->owner, m->number, m->task_id);
	millrace__run_get_request__free_unpacked(m, NULL);
}

/* --- actions: find the run, apply the event, answer --- */

struct action {
	char *owner;
	uint64_t number;
	enum rs_event event;
	char task_id[ID_LEN + 1], user[65], request_id[ID_LEN + 1];
	struct rpc_call *call;
};

static void
action_done(struct rs_act *act)
{
	struct action *a = act->arg;
	Millrace__Empty empty = MILLRACE__EMPTY__INIT;
	struct rpc_call *call = a->call;
	if (act->job.rc == ERR_NOTFOUND && *a->task_id == '\0') {
		/* It ended between finding and locking it. */
		err_clear(&act->job.err);
		rs_fail(call, ERR_CONFLICT, "not possible: the run is over");
	} else if (act->job.rc != 0) {
		rpc_fail(call, &act->job.err);
	} else if (a->event == RS_EV_APPROVE) {
		rs_reply_pb(call, &empty);
	} else {
		rs_query_get(act->job.rs, call, a->owner, a->number, NULL);
	}
	free(a->owner);
	free(a);
}

static void
action_found(struct rs *rs, struct rpc_call *call, const char *run_id, void *arg)
{
	struct action *a = arg;
	if (!run_id) {
		free(a->owner);
		free(a);
		return;
	}
	if (*run_id == '\0') {
		rs_query_get(rs, call, a->owner, a->number, NULL);
		free(a->owner);
		free(a);
		return;
	}
	struct rs_act *act = rs_act_new(rs, run_id, a->task_id);
	a->call = call;
	act->event = a->event;
	memcpy(act->user, a->user, sizeof(act->user));
	memcpy(act->request_id, a->request_id, sizeof(act->request_id));
	act->arg = a;
	act->done = action_done;
	rs_act_submit(act);
}

static struct action *
new_action(const char *owner, uint64_t number, enum rs_event event)
{
	struct action *a = xcalloc(1, sizeof(*a));
	a->owner = xstrdup(owner);
	a->number = number;
	a->event = event;
	return a;
}

static void
act_on(struct rs *rs, struct rpc_call *call, const Millrace__RunActionRequest *m)
{
	if (!id_is_valid(m->request_id)) {
		rs_fail(call, ERR_INVALID, "request_id is not a UUID");
	} else if (strcmp(m->action, "restart") == 0) {
		rs_restart(rs, call, m, false);
	} else if (strcmp(m->action, "restart_failed") == 0) {
		rs_restart(rs, call, m, true);
	} else if (strcmp(m->action, "stop") == 0 || strcmp(m->action, "cancel") == 0) {
		struct action *a =
		    new_action(m->owner, m->number, *m->action == 's' ? RS_EV_STOP : RS_EV_CANCEL);
		memcpy(a->request_id, m->request_id, ID_LEN + 1);
		rs_query_active(rs, call, m->owner, m->number, a->request_id, action_found, a);
	} else {
		rs_fail(call, ERR_INVALID,
		    "unknown action; known are stop, cancel, restart and "
		    "restart_failed");
	}
}

static void
on_action(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	Millrace__RunActionRequest *m =
	    rs_gateway_decode(call, &millrace__run_action_request__descriptor, body, len, rs);
	if (!m)
		return;
	act_on(rs, call, m);
	millrace__run_action_request__free_unpacked(m, NULL);
}

/* Approvers are shown as JSON and stored one per line. */
static bool
user_ok(const char *s)
{
	size_t n = strlen(s);
	for (size_t i = 0; i < n; i++) {
		if (s[i] <= ' ' || s[i] == '"' || s[i] == '\\' || s[i] == 0x7f)
			return false;
	}
	return n > 0 && n <= 64;
}

static void
on_approve(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	Millrace__TaskApproveRequest *m =
	    rs_gateway_decode(call, &millrace__task_approve_request__descriptor, body, len, rs);
	if (!m)
		return;
	if (!id_is_valid(m->task_id)) {
		rs_fail(call, ERR_NOTFOUND, "no such task");
	} else if (!user_ok(m->user_id)) {
		rs_fail(call, ERR_INVALID, "malformed user id");
	} else {
		struct action *a = new_action(m->owner, m->number, RS_EV_APPROVE);
		memcpy(a->task_id, m->task_id, ID_LEN + 1);
		snprintf(a->user, sizeof(a->user), "%s", m->user_id);
		rs_query_active(rs, call, m->owner, m->number, "", action_found, a);
	}
	millrace__task_approve_request__free_unpacked(m, NULL);
}

/* --- logs --- */

static void
on_log_read(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	Millrace__LogReadRequest *m =
	    rs_gateway_decode(call, &millrace__log_read_request__descriptor, body, len, rs);
	if (!m)
		return;
	rs_logs_read(rs->logs, call, m);
	millrace__log_read_request__free_unpacked(m, NULL);
}

static void
on_log_delete(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	Millrace__LogDeleteRequest *m =
	    rs_gateway_decode(call, &millrace__log_delete_request__descriptor, body, len, rs);
	if (!m)
		return;
	rs_logs_delete(rs->logs, call, m);
	millrace__log_delete_request__free_unpacked(m, NULL);
}

const struct rpc_method rs_rpc_gateway[] = {
	{ "run.create", on_create, 0 },
	{ "run.list", on_list, 64 << 10 },
	{ "run.get", on_get, 8 << 10 },
	{ "run.action", on_action, 8 << 10 },
	{ "task.approve", on_approve, 8 << 10 },
	{ "log.read", on_log_read, 8 << 10 },
	{ "log.delete", on_log_delete, 8 << 10 },
};
const size_t rs_rpc_gateway_len = ARRAY_LEN(rs_rpc_gateway);
