#include "gateway/rs_client.h"

#include "common/clock.h"
#include "common/crypto.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/rpc.h"

#include <string.h>

#define PEER "gateway"
#define CALL_MS 10000
#define WHOLE_MS 600000      /* a call about all that the runservice holds */
#define DISCONNECTED_MS 3000 /* a call while there is no connection */
#define RETRY_PAUSE_MS 250

struct gw_rs {
	struct loop *loop;
	struct rpc_client *rpc;
	struct gw_rs_call *calls; /* all pending ones */
};

struct gw_rs_call {
	struct gw_rs *rs;
	const char *method;
	uint8_t *body; /* kept while it may be sent again */
	size_t len;
	const ProtobufCMessageDescriptor *reply;
	gw_rs_fn fn;
	void *arg;
	uint64_t rpc_id;          /* 0 while waiting for the next try */
	int64_t retry_until;      /* 0 = one try */
	struct loop_timer *pause; /* with retry_until */
	struct gw_rs_call *next, **link;
};

static void
call_free(struct gw_rs_call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	loop_timer_free(call->pause);
	xfree_secret(call->body, call->len);
	free(call);
}

static void
on_connected(bool up, void *arg)
{
	(void)arg;
	log_info(up ? "runservice connected" : "runservice lost");
}

int
gw_rs_new(struct gw_rs **out, struct loop *loop, const struct gw_config *cfg, struct err **err)
{
	const struct rpc_tls tls = { .ca_file = cfg->tls_ca, .server_name = cfg->tls_server_name };
	uint8_t key[CRYPTO_KEY_LEN];
	struct gw_rs *rs;
	int rc = crypto_read_key_file(key, cfg->rpc_key_file, err);

	if (rc < 0)
		return err_wrap(err, "rpc_key_file");
	rs = xcalloc(1, sizeof(*rs));
	rs->loop = loop;
	rc = rpc_client_new(&rs->rpc, loop,
	    &(struct rpc_client_options){ .url = cfg->runservice,
	        .tls = &tls,
	        .peer = PEER,
	        .key = key,
	        .on_connected = on_connected,
	        .arg = rs },
	    err);
	explicit_bzero(key, sizeof(key));
	if (rc < 0) {
		free(rs);
		return err_wrap(err, "runservice %s", cfg->runservice);
	}
	*out = rs;
	return 0;
}

void
gw_rs_free(struct gw_rs *rs)
{
	if (!rs)
		return;
	rpc_client_free(rs->rpc);
	while (rs->calls)
		call_free(rs->calls); /* NOLINT(clang-analyzer-unix.Malloc): it unlinks itself */
	free(rs);
}

size_t
gw_rs_pending(const struct gw_rs *rs)
{
	return rpc_client_pending(rs->rpc);
}

bool
gw_rs_connected(const struct gw_rs *rs)
{
	return rpc_client_connected(rs->rpc);
}

void
gw_rs_cancel(struct gw_rs_call *call)
{
	if (call->rpc_id)
		rpc_cancel(call->rs->rpc, call->rpc_id);
	call_free(call);
}

static void
call_done(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	struct gw_rs_call *call = arg;
	ProtobufCMessage *reply = NULL;
	auto_err bad = NULL;

	call->rpc_id = 0;
	if (*err && (*err)->code == ERR_UNAVAILABLE && call->retry_until > clock_mono_ms()) {
		err_clear(err);
		loop_timer_start(call->pause, RETRY_PAUSE_MS);
		return;
	}
	if (*err) {
		err_wrap(err, "runservice");
	} else {
		reply = protobuf_c_message_unpack(call->reply, NULL, len, body);
		if (!reply)
			err_set(&bad, ERR_INTERNAL, "runservice: %s: the answer is malformed",
			    call->method);
	}
	call->fn(reply, reply ? &bad : *err ? err : &bad, call->arg);
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
	call_free(call);
}

static void
call_send(struct gw_rs_call *call, int64_t timeout_ms)
{
	if (!rpc_client_connected(call->rs->rpc) && timeout_ms > DISCONNECTED_MS)
		timeout_ms = DISCONNECTED_MS;
	call->rpc_id = rpc_send(
	    call->rs->rpc, call->method, call->body, call->len, timeout_ms, call_done, call);
}

static void
pause_over(void *arg)
{
	call_send(arg, CALL_MS);
}

static struct gw_rs_call *
call_new(struct gw_rs *rs, const char *method, void *body, size_t len,
    const ProtobufCMessageDescriptor *reply, gw_rs_fn fn, void *arg)
{
	struct gw_rs_call *call = xcalloc(1, sizeof(*call));

	call->rs = rs;
	call->method = method;
	call->body = body;
	call->len = len;
	call->reply = reply;
	call->fn = fn;
	call->arg = arg;
	call->next = rs->calls;
	call->link = &rs->calls;
	if (call->next)
		call->next->link = &call->next;
	rs->calls = call;
	return call;
}

static struct gw_rs_call *
send_message(struct gw_rs *rs, const char *method, const ProtobufCMessage *m,
    const ProtobufCMessageDescriptor *reply, int64_t timeout_ms, gw_rs_fn fn, void *arg)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *body = xmalloc(len + 1);
	struct gw_rs_call *call;

	protobuf_c_message_pack(m, body);
	call = call_new(rs, method, body, len, reply, fn, arg);
	call_send(call, timeout_ms);
	return call;
}

struct gw_rs_call *
gw_rs_run_create(struct gw_rs *rs, const void *packed, size_t len, gw_rs_fn fn, void *arg)
{
	struct gw_rs_call *call = call_new(rs, "run.create", xmemdup(packed, len), len,
	    &millrace__run_create_reply__descriptor, fn, arg);

	call->retry_until = clock_mono_ms() + GW_RS_CREATE_MS;
	call->pause = loop_timer_new(rs->loop, "run.create again", pause_over, call);
	call_send(call, CALL_MS);
	return call;
}

struct gw_rs_call *
gw_rs_run_list(struct gw_rs *rs, const Millrace__RunListRequest *q, gw_rs_fn fn, void *arg)
{
	return send_message(
	    rs, "run.list", &q->base, &millrace__run_list_reply__descriptor, CALL_MS, fn, arg);
}

/* Generated structs have char * members; the library only reads them while packing. */
static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

struct gw_rs_call *
gw_rs_run_get(struct gw_rs *rs, const char *owner, uint64_t number, const char *task_id,
    gw_rs_fn fn, void *arg)
{
	Millrace__RunGetRequest q = MILLRACE__RUN_GET_REQUEST__INIT;

	q.owner = text(owner);
	q.number = number;
	q.task_id = text(task_id);
	return send_message(
	    rs, "run.get", &q.base, &millrace__run_state__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_run_explain(struct gw_rs *rs, const char *owner, uint64_t number, gw_rs_fn fn, void *arg)
{
	Millrace__RunExplainRequest q = MILLRACE__RUN_EXPLAIN_REQUEST__INIT;

	q.owner = text(owner);
	q.number = number;
	return send_message(
	    rs, "run.explain", &q.base, &millrace__run_explain_reply__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_run_action(struct gw_rs *rs, const char *owner, uint64_t number, const char *action,
    gw_rs_fn fn, void *arg)
{
	Millrace__RunActionRequest q = MILLRACE__RUN_ACTION_REQUEST__INIT;
	struct id id = id_new();

	q.owner = text(owner);
	q.number = number;
	q.action = text(action);
	q.request_id = id.s;
	return send_message(
	    rs, "run.action", &q.base, &millrace__run_state__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_task_approve(struct gw_rs *rs, const char *owner, uint64_t number, const char *task_id,
    const char *user_id, gw_rs_fn fn, void *arg)
{
	Millrace__TaskApproveRequest q = MILLRACE__TASK_APPROVE_REQUEST__INIT;

	q.owner = text(owner);
	q.number = number;
	q.task_id = text(task_id);
	q.user_id = text(user_id);
	return send_message(
	    rs, "task.approve", &q.base, &millrace__empty__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_log_read(struct gw_rs *rs, const Millrace__LogReadRequest *q, gw_rs_fn fn, void *arg)
{
	return send_message(rs, "log.read", &q->base, &millrace__log_read_reply__descriptor,
	    (q->has_wait_ms ? q->wait_ms : 0) + CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_log_delete(struct gw_rs *rs, const Millrace__LogDeleteRequest *q, gw_rs_fn fn, void *arg)
{
	return send_message(
	    rs, "log.delete", &q->base, &millrace__empty__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_dump_read(struct gw_rs *rs, const char *id, uint64_t offset, gw_rs_fn fn, void *arg)
{
	Millrace__DumpReadRequest q = MILLRACE__DUMP_READ_REQUEST__INIT;

	q.id = text(id);
	q.offset = offset;
	return send_message(rs, "dump.read", &q.base, &millrace__dump_read_reply__descriptor,
	    id ? CALL_MS : WHOLE_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_load_write(struct gw_rs *rs, const char *id, uint64_t offset, const void *p, size_t n,
    gw_rs_fn fn, void *arg)
{
	Millrace__LoadWriteRequest q = MILLRACE__LOAD_WRITE_REQUEST__INIT;

	q.id = text(id);
	q.offset = offset;
	q.data.data = (uint8_t *)(uintptr_t)p;
	q.data.len = n;
	return send_message(
	    rs, "load.write", &q.base, &millrace__empty__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_load_commit(struct gw_rs *rs, const char *id, gw_rs_fn fn, void *arg)
{
	Millrace__LoadCommitRequest q = MILLRACE__LOAD_COMMIT_REQUEST__INIT;

	q.id = text(id);
	return send_message(
	    rs, "load.commit", &q.base, &millrace__empty__descriptor, WHOLE_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_secret_list(struct gw_rs *rs, const Millrace__ScopeListRequest *q, gw_rs_fn fn, void *arg)
{
	return send_message(rs, "secret.list", &q->base, &millrace__secret_list_reply__descriptor,
	    CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_secret_put(struct gw_rs *rs, const Millrace__SecretPutRequest *q, gw_rs_fn fn, void *arg)
{
	return send_message(
	    rs, "secret.put", &q->base, &millrace__secret__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_secret_delete(struct gw_rs *rs, const Millrace__ScopeDeleteRequest *q, gw_rs_fn fn, void *arg)
{
	return send_message(
	    rs, "secret.delete", &q->base, &millrace__empty__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_variable_list(struct gw_rs *rs, const Millrace__ScopeListRequest *q, gw_rs_fn fn, void *arg)
{
	return send_message(rs, "variable.list", &q->base,
	    &millrace__variable_list_reply__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_variable_put(struct gw_rs *rs, const Millrace__VariablePutRequest *q, gw_rs_fn fn, void *arg)
{
	return send_message(
	    rs, "variable.put", &q->base, &millrace__variable__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_variable_delete(
    struct gw_rs *rs, const Millrace__ScopeDeleteRequest *q, gw_rs_fn fn, void *arg)
{
	return send_message(
	    rs, "variable.delete", &q->base, &millrace__empty__descriptor, CALL_MS, fn, arg);
}

struct gw_rs_call *
gw_rs_scope_delete(struct gw_rs *rs, const Millrace__ScopeDropRequest *q, gw_rs_fn fn, void *arg)
{
	return send_message(
	    rs, "scope.delete", &q->base, &millrace__empty__descriptor, CALL_MS, fn, arg);
}
