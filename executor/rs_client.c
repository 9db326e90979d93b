#include "executor/rs_client.h"

#include "common/mem.h"

#include <string.h>

#define BACKOFF_MIN_MS 20
#define BACKOFF_MAX_MS 2000

struct ex_rs {
	struct loop *loop;
	struct rpc_client *client;
};

struct ex_rs_call {
	struct ex_rs *rs;
	struct loop_timer *again;
	uint64_t id; /* of the try under way, 0 = none */
	const char *method;
	uint8_t *body; /* may hold secrets of nobody: requests carry none */
	size_t len;
	const ProtobufCMessageDescriptor *reply;
	int64_t timeout_ms, backoff_ms;
	bool once;
	ex_rs_fn done;
	void *arg;
};

struct ex_rs *
ex_rs_new(struct loop *loop, struct rpc_client *client)
{
	struct ex_rs *rs = xcalloc(1, sizeof(*rs));

	rs->loop = loop;
	rs->client = client;
	return rs;
}

void
ex_rs_free(struct ex_rs *rs)
{
	if (rs == NULL)
		return;
	rpc_client_free(rs->client);
	free(rs);
}

static void
call_free(struct ex_rs_call *c)
{
	loop_timer_free(c->again);
	free(c->body);
	free(c);
}

void
ex_rs_cancel(struct ex_rs_call *c)
{
	if (c == NULL)
		return;
	if (c->id != 0)
		rpc_cancel(c->rs->client, c->id);
	call_free(c);
}

static void
on_reply(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	struct ex_rs_call *c = arg;
	ProtobufCMessage *reply = NULL;
	ex_rs_fn done = c->done;
	void *done_arg = c->arg;
	auto_err e = NULL;

	c->id = 0;
	if (*err != NULL && (*err)->code == ERR_UNAVAILABLE && !c->once) {
		loop_timer_start(c->again, c->backoff_ms);
		c->backoff_ms =
		    c->backoff_ms * 2 < BACKOFF_MAX_MS ? c->backoff_ms * 2 : BACKOFF_MAX_MS;
		return;
	}
	if (*err != NULL) {
		e = steal(err);
		err_wrap(&e, "%s", c->method);
	} else if (c->reply != NULL) {
		reply = protobuf_c_message_unpack(c->reply, NULL, len, body);
		if (reply == NULL)
			err_set(&e, ERR_INTERNAL, "%s: the runservice's answer is malformed",
			    c->method);
	}
	call_free(c);
	done(reply, &e, done_arg);
	if (reply != NULL)
		protobuf_c_message_free_unpacked(reply, NULL);
}

static void
attempt(void *arg)
{
	struct ex_rs_call *c = arg;

	c->id = rpc_send(c->rs->client, c->method, c->body, c->len, c->timeout_ms, on_reply, c);
}

struct ex_rs_call *
ex_rs_call_packed(struct ex_rs *rs, const struct ex_rs_options *opt, const void *body, size_t len)
{
	struct ex_rs_call *c = xcalloc(1, sizeof(*c));

	c->rs = rs;
	c->method = opt->method;
	c->body = xmemdup(len ? body : "", len ? len : 1);
	c->len = len;
	c->reply = opt->reply;
	c->timeout_ms = opt->timeout_ms > 0 ? opt->timeout_ms : EX_RS_TIMEOUT_MS;
	c->backoff_ms = BACKOFF_MIN_MS;
	c->once = opt->once;
	c->done = opt->done;
	c->arg = opt->arg;
	c->again = loop_timer_new(rs->loop, "runservice call again", attempt, c);
	attempt(c);
	return c;
}

struct ex_rs_call *
ex_rs_call(struct ex_rs *rs, const struct ex_rs_options *opt)
{
	size_t len = protobuf_c_message_get_packed_size(opt->request);
	auto_free uint8_t *body = xmalloc(len ? len : 1);

	protobuf_c_message_pack(opt->request, body);
	return ex_rs_call_packed(rs, opt, body, len);
}
