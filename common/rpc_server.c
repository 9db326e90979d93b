/*
 * One NNG rep socket with many contexts. A slot (struct rpc_call) is one context and one aio, and
 * is always in exactly one phase:
 *
 *   RECV --request--> HELD --rpc_reply/rpc_fail--> SEND --sent--> RECV
 *
 * NNG's threads do nothing but loop_post() the slot when its aio is done; everything else happens
 * on the loop. The aio belongs to NNG in RECV and SEND until that post arrived, to us otherwise.
 * There are always SLOTS_SPARE slots in RECV as long as fewer than RPC_CONTEXTS_MAX exist.
 *
 * A post may still be under way when the server is freed: the server's memory is counted, one
 * reference per post, and the last one frees it.
 */
#include "common/rpc_int.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#include <stdatomic.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/tls/tls.h>

#define SLOTS_SPARE 16
#define SLOTS_SPARE_MAX 256
/* A reply that a peer does not take within this time ends that peer's connection. */
#define SEND_TIMEOUT_MS 15000
#define REFUSED_LOG_EVERY_MS 1000
#define IPC_MODE 0660

enum phase { PHASE_RECV = 1, PHASE_HELD, PHASE_SEND };

struct rpc_call {
	struct rpc_server *server;
	enum phase phase;
	nng_ctx ctx;
	nng_aio *aio;
	nng_pipe pipe; /* where the request came from */
	struct rpc_request req;
	int64_t deadline_ms;
	size_t index; /* in server->calls */
};

struct rpc_server {
	atomic_size_t refs;
	struct loop *loop;
	bool dead;
	nng_socket sock;
	char *url;
	struct rpc_method *methods;
	size_t nmethods;
	int (*peer_key)(uint8_t key[CRYPTO_KEY_LEN], const char *peer, void *arg, struct err **err);
	void *arg;
	struct rpc_call **calls;
	size_t ncalls;
	size_t nrecv; /* of them in PHASE_RECV */
	int64_t refused_logged_ms;
	int64_t refused_unlogged;
};

static void
server_unref(struct rpc_server *s)
{
	if (atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	for (size_t i = 0; i < s->ncalls; i++)
		free(s->calls[i]);
	for (size_t i = 0; i < s->nmethods; i++)
		free((void *)(uintptr_t)s->methods[i].name);
	free(s->methods);
	free(s->calls);
	free(s->url);
	free(s);
}

/* --- slots --- */

static void on_aio_done(void *arg);

static void
slot_recv(struct rpc_call *c)
{
	c->phase = PHASE_RECV;
	c->server->nrecv++;
	nng_aio_set_timeout(c->aio, NNG_DURATION_INFINITE);
	nng_ctx_recv(c->ctx, c->aio);
}

/* NNG's side of a slot; its memory stays with the server. The aio must be idle or be stopped. */
static void
slot_close(struct rpc_call *c)
{
	nng_aio_stop(c->aio);
	nng_msg *msg = nng_aio_get_msg(c->aio);
	if (msg != NULL)
		nng_msg_free(msg);
	nng_aio_free(c->aio);
	nng_ctx_close(c->ctx);
	rpc_request_fini(&c->req);
}

static bool
slot_new(struct rpc_server *s)
{
	struct rpc_call *c = xcalloc(1, sizeof(*c));
	c->server = s;
	int rv = nng_ctx_open(&c->ctx, s->sock);
	if (rv == 0 && (rv = nng_aio_alloc(&c->aio, on_aio_done, c)) != 0)
		nng_ctx_close(c->ctx);
	if (rv != 0) {
		log_error("rpc: no further request can be held", LOG_STR("url", s->url),
		    LOG_STR("reason", nng_strerror(rv)));
		free(c);
		return false;
	}
	s->calls = xreallocarray(s->calls, s->ncalls + 1, sizeof(*s->calls));
	c->index = s->ncalls;
	s->calls[s->ncalls++] = c;
	slot_recv(c);
	return true;
}

static void
slot_drop(struct rpc_call *c)
{
	struct rpc_server *s = c->server;
	struct rpc_call *last = s->calls[--s->ncalls];
	s->calls[c->index] = last;
	last->index = c->index;
	slot_close(c);
	free(c);
}

static void
slot_recycle(struct rpc_call *c)
{
	if (c->server->nrecv >= SLOTS_SPARE_MAX)
		slot_drop(c);
	else
		slot_recv(c);
}

static void
keep_spare(struct rpc_server *s)
{
	while (s->nrecv < SLOTS_SPARE && s->ncalls < RPC_CONTEXTS_MAX && slot_new(s))
		continue;
}

/* --- replies --- */

static void
slot_send(struct rpc_call *c, const struct buf *b)
{
	MUST(c->phase == PHASE_HELD);
	rpc_request_fini(&c->req);
	c->phase = PHASE_SEND;
	nng_msg *msg = NULL;
	MUST(nng_msg_alloc(&msg, 0) == 0 && nng_msg_append(msg, b->data, b->len) == 0);
	nng_aio_set_msg(c->aio, msg);
	nng_aio_set_timeout(c->aio, SEND_TIMEOUT_MS);
	nng_ctx_send(c->ctx, c->aio);
}

void
rpc_reply(struct rpc_call *call, const void *body, size_t len)
{
	MUST(call->phase == PHASE_HELD && call->req.owner != NULL);
	if (len > RPC_MESSAGE_MAX - RPC_OVERHEAD_MAX) {
		struct err *e = NULL;
		int ignored = err_set(&e, ERR_INTERNAL, "reply of %zu bytes to %s is too large",
		    len, call->req.method);
		(void)ignored;
		rpc_fail(call, &e);
		return;
	}
	auto_buf b = BUF_INIT;
	rpc_reply_pack(&b, NULL, body, len, call->req.nonce, rpc_request_key(&call->req));
	slot_send(call, &b);
}

void
rpc_fail(struct rpc_call *call, struct err **err)
{
	MUST(call->phase == PHASE_HELD && call->req.owner != NULL);
	struct err *none = NULL;
	if (err == NULL || *err == NULL) {
		err = &none;
		int ignored = err_set(err, ERR_INTERNAL, "internal error");
		(void)ignored;
	}
	auto_buf b = BUF_INIT;
	rpc_reply_pack(&b, *err, NULL, 0, call->req.nonce, rpc_request_key(&call->req));
	err_clear(err);
	slot_send(call, &b);
}

/* Not by a known key, so there is none to sign the answer with. */
static void
refuse(struct rpc_call *c, struct err **err)
{
	struct rpc_server *s = c->server;
	int64_t now = clock_mono_ms();
	if (now - s->refused_logged_ms >= REFUSED_LOG_EVERY_MS) {
		log_warn("rpc: request refused", LOG_STR("url", s->url),
		    LOG_STR("reason", err_msg(*err)), LOG_I64("also", s->refused_unlogged));
		s->refused_logged_ms = now;
		s->refused_unlogged = 0;
	} else {
		s->refused_unlogged++;
	}
	auto_buf b = BUF_INIT;
	rpc_reply_pack(&b, *err, NULL, 0, NULL, NULL);
	err_clear(err);
	slot_send(c, &b);
}

/* --- requests --- */

static const struct rpc_method *
find_method(const struct rpc_server *s, const char *name)
{
	for (size_t i = 0; i < s->nmethods; i++)
		if (strcmp(s->methods[i].name, name) == 0)
			return &s->methods[i];
	return NULL;
}

static void
dispatch(struct rpc_call *c)
{
	struct rpc_server *s = c->server;
	const struct rpc_method *m = find_method(s, c->req.method);
	struct err *e = NULL;
	int rc = 0;
	if (m == NULL)
		rc = err_set(&e, ERR_INVALID, "unknown method %s", c->req.method);
	else if (m->body_max != 0 && c->req.body_len > m->body_max)
		rc = err_set(&e, ERR_INVALID, "%s: body of %zu bytes, at most %zu are allowed",
		    c->req.method, c->req.body_len, m->body_max);
	if (rc != 0)
		rpc_fail(c, &e);
	else
		m->fn(c, c->req.body, c->req.body_len, s->arg);
}

static void
request_arrived(struct rpc_call *c)
{
	nng_msg *msg = nng_aio_get_msg(c->aio);
	nng_aio_set_msg(c->aio, NULL);
	c->phase = PHASE_HELD;
	c->pipe = nng_msg_get_pipe(msg);
	keep_spare(c->server);
	struct err *e = NULL;
	int rc = rpc_request_parse(
	    &c->req, nng_msg_body(msg), nng_msg_len(msg), c->server->peer_key, c->server->arg, &e);
	nng_msg_free(msg);
	if (rc != 0) {
		refuse(c, &e);
		return;
	}
	int64_t wait = c->req.timeout_ms < INT32_MAX ? c->req.timeout_ms : INT32_MAX;
	c->deadline_ms = clock_mono_ms() + wait;
	dispatch(c);
}

static void
reply_sent(struct rpc_call *c, int rv)
{
	if (rv != 0) {
		nng_msg_free(nng_aio_get_msg(c->aio));
		nng_aio_set_msg(c->aio, NULL);
		if (rv == NNG_ETIMEDOUT) {
			log_warn("rpc: a peer does not read its replies, disconnected",
			    LOG_STR("url", c->server->url));
			nng_pipe_close(c->pipe);
		}
	}
	slot_recycle(c);
}

static void
slot_done(struct rpc_call *c)
{
	int rv = nng_aio_result(c->aio);
	if (c->phase == PHASE_SEND) {
		reply_sent(c, rv);
		return;
	}
	MUST(c->phase == PHASE_RECV);
	c->server->nrecv--;
	if (rv == 0)
		request_arrived(c);
	else if (rv == NNG_ECLOSED)
		slot_drop(c);
	else
		slot_recv(c);
}

static void
on_loop(void *arg)
{
	struct rpc_call *c = arg;
	struct rpc_server *s = c->server;
	if (!s->dead)
		slot_done(c);
	server_unref(s);
}

/* NNG thread. */
static void
on_aio_done(void *arg)
{
	struct rpc_call *c = arg;
	struct rpc_server *s = c->server;
	atomic_fetch_add(&s->refs, 1);
	if (!loop_post(s->loop, "rpc server", on_loop, c))
		server_unref(s);
}

/* --- life --- */

static int
listen_options(nng_listener l, const struct rpc_server_options *opt, struct err **err)
{
	int rv = nng_listener_set_size(l, NNG_OPT_RECVMAXSZ, RPC_MESSAGE_MAX);
	if (rv == 0 && rpc_url_is_ipc(opt->url)) {
		rv = nng_listener_set_int(l, NNG_OPT_IPC_PERMISSIONS, IPC_MODE);
	} else if (rv == 0) {
		if ((rv = nng_listener_set_bool(l, NNG_OPT_TCP_NODELAY, true)) == 0)
			rv = nng_listener_set_bool(l, NNG_OPT_TCP_KEEPALIVE, true);
	}
	if (rv != 0)
		return err_set(err, ERR_INVALID, "options: %s", nng_strerror(rv));
	if (!rpc_url_is_tls(opt->url))
		return 0;
	if (opt->tls == NULL)
		return err_set(err, ERR_INVALID, "a tls+tcp url needs tls settings");
	nng_tls_config *cfg = NULL;
	int rc = rpc_tls_config(&cfg, opt->tls, true, err);
	if (rc != 0)
		return rc;
	rv = nng_listener_set_ptr(l, NNG_OPT_TLS_CONFIG, cfg);
	nng_tls_config_free(cfg);
	return rv == 0 ? 0 : err_set(err, ERR_INVALID, "tls: %s", nng_strerror(rv));
}

static int
start_listening(struct rpc_server *s, const struct rpc_server_options *opt, struct err **err)
{
	nng_listener l;
	int rv = nng_listener_create(&l, s->sock, opt->url);
	if (rv != 0)
		return err_set(err, ERR_INVALID, "%s; expected tcp://, ipc:// or tls+tcp://",
		    nng_strerror(rv));
	int rc = listen_options(l, opt, err);
	if (rc != 0)
		return rc;
	if ((rv = nng_listener_start(l, 0)) != 0)
		return err_set(err, ERR_UNAVAILABLE, "%s", nng_strerror(rv));
	return 0;
}

static void
copy_methods(struct rpc_server *s, const struct rpc_server_options *opt)
{
	s->methods = xcalloc(opt->nmethods, sizeof(*s->methods));
	s->nmethods = opt->nmethods;
	for (size_t i = 0; i < opt->nmethods; i++) {
		s->methods[i] = opt->methods[i];
		s->methods[i].name = xstrdup(opt->methods[i].name);
	}
}

int
rpc_server_new(struct rpc_server **out, struct loop *loop, const struct rpc_server_options *opt,
    struct err **err)
{
	struct rpc_server *s = xcalloc(1, sizeof(*s));
	atomic_init(&s->refs, 1);
	s->loop = loop;
	s->url = xstrdup(opt->url);
	s->peer_key = opt->peer_key;
	s->arg = opt->arg;
	copy_methods(s, opt);
	int rv = nng_rep0_open(&s->sock);
	if (rv != 0) {
		server_unref(s);
		return err_set(err, ERR_INTERNAL, "rpc: open socket: %s", nng_strerror(rv));
	}
	keep_spare(s);
	int rc = start_listening(s, opt, err);
	if (rc != 0) {
		rpc_server_free(s);
		return err_wrap(err, "rpc: listen on %s", opt->url), rc;
	}
	*out = s;
	return 0;
}

size_t
rpc_server_held(const struct rpc_server *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->ncalls; i++)
		n += s->calls[i]->phase == PHASE_HELD;
	return n;
}

void
rpc_server_free(struct rpc_server *s)
{
	if (s == NULL)
		return;
	s->dead = true;
	for (size_t i = 0; i < s->ncalls; i++)
		slot_close(s->calls[i]);
	nng_close(s->sock);
	server_unref(s);
}

const char *
rpc_call_peer(const struct rpc_call *call)
{
	return call->req.peer;
}

int64_t
rpc_call_remaining_ms(const struct rpc_call *call)
{
	int64_t left = call->deadline_ms - clock_mono_ms();
	return left > 0 ? left : 0;
}
