/*
 * One NNG req socket, one context and one aio per outstanding call, pooled. A slot is in one phase:
 *
 *   FREE --rpc_send--> QUEUED --connected--> SEND --> RECV --reply or error--> FREE
 *                                             \--timeout, rpc_cancel--> DRAIN --> FREE
 *
 * QUEUED: there is no connection; NNG has not seen the call, so the timeout it carries to the
 * server is the one it really has left when the connection comes. DRAIN: the caller has had its
 * answer, NNG still owns the aio. NNG's threads only loop_post().
 *
 * NNG 1.5.2 would send a request again on another connection unless the resend time is not
 * positive; then a context whose connection goes down fails with NNG_ECONNRESET at once, which is
 * what we want: the caller decides about retrying.
 *
 * TCP keepalive takes hours to find a dead peer. So when a call timed out and nothing at all came
 * in on the connection while it waited, that connection is closed and dialled anew.
 */
#include "common/rpc_int.h"

#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"

#include <stdatomic.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>

#define CALLS_MAX 8192 /* outstanding per client; more end with ERR_UNAVAILABLE */
#define RECONNECT_MIN_MS 10
#define RECONNECT_MAX_MS 1000
/* The server is told a little less than the caller waits, so that an answer given in the last
 * moment still arrives. */
#define MARGIN_MAX_MS 500
/* Calls at least this long may judge a silent connection. */
#define SILENT_MIN_MS 3000
#define REFUSAL_INDEX UINT32_MAX /* no slot has it */
#define TIMEOUT_MAX_MS INT64_C(86400000)

enum phase { PHASE_FREE = 1, PHASE_QUEUED, PHASE_SEND, PHASE_RECV, PHASE_DRAIN };

struct slot {
	struct rpc_client *client;
	enum phase phase;
	uint32_t index;
	uint32_t generation; /* so that the id of an earlier call does not fit */
	nng_ctx ctx;
	nng_aio *aio;
	struct loop_timer *timer;
	struct slot *next; /* of the free or the queued list */
	uint8_t nonce[RPC_NONCE_LEN];
	int64_t sent_ms;
	int64_t deadline_ms;
	int64_t timeout_ms;
	char *method;
	void *body; /* in PHASE_QUEUED */
	size_t body_len;
	rpc_done_fn done;
	void *arg;
};

struct rpc_client {
	atomic_size_t refs;
	struct loop *loop;
	bool dead;
	nng_socket sock;
	char *url;
	char *peer;
	uint8_t key[CRYPTO_KEY_LEN];
	void (*on_connected)(bool up, void *arg);
	void *arg;
	int pipes;     /* connections up, 0 or 1 but for moments */
	uint32_t pipe; /* id of the last one that came up */
	bool was_up;
	int64_t heard_ms;
	struct slot **slots;
	size_t nslots;
	struct slot *free_list;
	struct slot *queue;
	struct slot **queue_end;
	struct refusal *refusals;
	uint32_t last_refusal;
};

struct pipe_event {
	struct rpc_client *client;
	uint32_t id;
	bool up;
};

static void on_aio_done(void *arg);
static void on_timeout(void *arg);

static void
client_unref(struct rpc_client *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	for (size_t i = 0; i < c->nslots; i++)
		free(c->slots[i]);
	free(c->slots);
	free(c->url);
	free(c->peer);
	xfree_secret(c, sizeof(*c));
}

/* --- slots --- */

static uint64_t
slot_id(const struct slot *s)
{
	return (uint64_t)s->generation << 32 | s->index;
}

static struct slot *
slot_find(struct rpc_client *c, uint64_t id)
{
	uint32_t index = (uint32_t)id;
	if (index >= c->nslots || slot_id(c->slots[index]) != id)
		return NULL;
	return c->slots[index];
}

static void
slot_clear(struct slot *s)
{
	free(s->method);
	s->method = NULL;
	free(s->body);
	s->body = NULL;
	s->done = NULL;
}

static void
slot_release(struct slot *s)
{
	slot_clear(s);
	s->phase = PHASE_FREE;
	s->generation++;
	if (s->generation == 0)
		s->generation = 1;
	s->next = s->client->free_list;
	s->client->free_list = s;
}

static struct slot *
slot_get(struct rpc_client *c)
{
	struct slot *s = c->free_list;
	if (s != NULL) {
		c->free_list = s->next;
		return s;
	}
	if (c->nslots >= CALLS_MAX)
		return NULL;
	s = xcalloc(1, sizeof(*s));
	int rv = nng_ctx_open(&s->ctx, c->sock);
	if (rv == 0 && (rv = nng_aio_alloc(&s->aio, on_aio_done, s)) != 0)
		nng_ctx_close(s->ctx);
	if (rv != 0) {
		free(s);
		return NULL;
	}
	s->client = c;
	s->generation = 1;
	s->timer = loop_timer_new(c->loop, "rpc timeout", on_timeout, s);
	c->slots = xreallocarray(c->slots, c->nslots + 1, sizeof(struct slot *));
	s->index = (uint32_t)c->nslots;
	c->slots[c->nslots++] = s;
	return s;
}

static void
queue_append(struct slot *s)
{
	struct rpc_client *c = s->client;
	s->next = NULL;
	*c->queue_end = s;
	c->queue_end = &s->next;
}

static void
queue_remove(struct slot *s)
{
	struct rpc_client *c = s->client;
	struct slot **p = &c->queue;
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	if (c->queue_end == &s->next)
		c->queue_end = p;
}

/* --- ends of a call --- */

/* The caller's part of a slot ends; what NNG still holds of it is left to drain. */
static void
slot_abandon(struct slot *s)
{
	loop_timer_stop(s->timer);
	if (s->phase == PHASE_QUEUED) {
		queue_remove(s);
		slot_release(s);
		return;
	}
	MUST(s->phase == PHASE_SEND || s->phase == PHASE_RECV);
	s->phase = PHASE_DRAIN;
	/* A new generation now: the caller's id is void from here on. */
	s->generation = s->generation + 1 ? s->generation + 1 : 1;
	slot_clear(s);
	nng_aio_cancel(s->aio);
}

static void
call_done(rpc_done_fn done, void *arg, const uint8_t *body, size_t len, struct err **err)
{
	done(body, len, err, arg);
	err_clear(err);
}

static void
check_silence(struct rpc_client *c, const struct slot *s)
{
	if (s->phase != PHASE_RECV || s->timeout_ms < SILENT_MIN_MS || c->heard_ms >= s->sent_ms ||
	    c->pipes <= 0)
		return;
	log_warn("rpc: connection is silent, dialling anew", LOG_STR("url", c->url));
	nng_pipe pipe = { .id = c->pipe };
	nng_pipe_close(pipe);
}

static void
on_timeout(void *arg)
{
	struct slot *s = arg;
	struct rpc_client *c = s->client;
	rpc_done_fn done = s->done;
	void *done_arg = s->arg;
	struct err *e = NULL;
	int ignored = s->phase == PHASE_QUEUED
	                  ? err_set(&e, ERR_UNAVAILABLE, "%s: not connected to %s for %lld ms",
	                        s->method, c->url, (long long)s->timeout_ms)
	                  : err_set(&e, ERR_UNAVAILABLE, "%s: no answer from %s within %lld ms",
	                        s->method, c->url, (long long)s->timeout_ms);
	(void)ignored;
	check_silence(c, s);
	slot_abandon(s);
	call_done(done, done_arg, NULL, 0, &e);
}

static void
finish(struct slot *s, const uint8_t *body, size_t len, struct err **err)
{
	rpc_done_fn done = s->done;
	void *arg = s->arg;
	loop_timer_stop(s->timer);
	slot_release(s);
	call_done(done, arg, body, len, err);
}

static void
finish_nng(struct slot *s, int rv)
{
	struct err *e = NULL;
	int ignored = rv == NNG_ECONNRESET
	                  ? err_set(&e, ERR_UNAVAILABLE, "%s: connection to %s was lost", s->method,
	                        s->client->url)
	                  : err_set(&e, ERR_UNAVAILABLE, "%s: %s: %s", s->method, s->client->url,
	                        nng_strerror(rv));
	(void)ignored;
	finish(s, NULL, 0, &e);
}

static void
reply_arrived(struct slot *s)
{
	struct rpc_client *c = s->client;
	c->heard_ms = clock_mono_ms();
	nng_msg *msg = nng_aio_get_msg(s->aio);
	nng_aio_set_msg(s->aio, NULL);
	struct err *e = NULL;
	uint8_t *body = NULL;
	size_t len = 0;
	int rc =
	    rpc_reply_parse(&body, &len, nng_msg_body(msg), nng_msg_len(msg), s->nonce, c->key, &e);
	(void)rc;
	nng_msg_free(msg);
	finish(s, body, len, &e);
	free(body);
}

static void
drop_msg(struct slot *s)
{
	nng_msg *msg = nng_aio_get_msg(s->aio);
	if (msg != NULL)
		nng_msg_free(msg);
	nng_aio_set_msg(s->aio, NULL);
}

static void
slot_done(struct slot *s)
{
	int rv = nng_aio_result(s->aio);
	if (s->phase == PHASE_DRAIN) {
		drop_msg(s);
		slot_release(s);
		return;
	}
	if (rv != 0) {
		drop_msg(s);
		finish_nng(s, rv);
	} else if (s->phase == PHASE_SEND) {
		s->phase = PHASE_RECV;
		nng_ctx_recv(s->ctx, s->aio);
	} else {
		reply_arrived(s);
	}
}

static void
slot_on_loop(void *arg)
{
	struct slot *s = arg;
	struct rpc_client *c = s->client;
	if (!c->dead)
		slot_done(s);
	client_unref(c);
}

/* NNG thread. */
static void
on_aio_done(void *arg)
{
	struct slot *s = arg;
	struct rpc_client *c = s->client;
	atomic_fetch_add(&c->refs, 1);
	if (!loop_post(c->loop, "rpc client", slot_on_loop, s))
		client_unref(c);
}

/* --- sending --- */

static void
slot_transmit(struct slot *s)
{
	struct rpc_client *c = s->client;
	int64_t now = clock_mono_ms();
	int64_t left = s->deadline_ms > now ? s->deadline_ms - now : 0;
	int64_t margin = left / 10 < MARGIN_MAX_MS ? left / 10 : MARGIN_MAX_MS;
	id_random_bytes(s->nonce, sizeof(s->nonce));
	auto_buf b = BUF_INIT;
	rpc_request_pack(
	    &b, c->peer, s->method, s->nonce, left - margin, s->body, s->body_len, c->key);
	free(s->body);
	s->body = NULL;
	nng_msg *msg = NULL;
	MUST(nng_msg_alloc(&msg, 0) == 0 && nng_msg_append(msg, b.data, b.len) == 0);
	s->phase = PHASE_SEND;
	s->sent_ms = now;
	nng_aio_set_timeout(s->aio, NNG_DURATION_INFINITE);
	nng_aio_set_msg(s->aio, msg);
	nng_ctx_send(s->ctx, s->aio);
}

/* A call that never got a slot; delivered in this turn of the loop. */
struct refusal {
	struct rpc_client *client;
	struct refusal *next;
	uint64_t id;
	rpc_done_fn done; /* NULL: cancelled */
	void *arg;
	struct err *err;
};

static void
deliver_refusal(void *arg)
{
	struct refusal *r = arg;
	struct rpc_client *c = r->client;
	struct refusal **p = &c->refusals;
	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	if (!c->dead && r->done != NULL)
		call_done(r->done, r->arg, NULL, 0, &r->err);
	err_clear(&r->err);
	client_unref(c);
	free(r);
}

static uint64_t
refuse(struct rpc_client *c, rpc_done_fn done, void *arg, struct err *e)
{
	struct refusal *r = xcalloc(1, sizeof(*r));
	r->client = c;
	r->next = c->refusals;
	r->id = (uint64_t)++c->last_refusal << 32 | REFUSAL_INDEX;
	r->done = done;
	r->arg = arg;
	r->err = e;
	c->refusals = r;
	atomic_fetch_add(&c->refs, 1);
	loop_defer(c->loop, deliver_refusal, r);
	return r->id;
}

uint64_t
rpc_send(struct rpc_client *c, const char *method, const void *body, size_t len, int64_t timeout_ms,
    rpc_done_fn done, void *arg)
{
	MUST(rpc_name_ok(method, RPC_METHOD_MAX) && done != NULL);
	struct err *e = NULL;
	int rc = 0;
	if (len > RPC_MESSAGE_MAX - RPC_OVERHEAD_MAX) {
		rc = err_set(&e, ERR_INVALID, "%s: body of %zu bytes is too large", method, len);
		(void)rc;
		return refuse(c, done, arg, e);
	}
	struct slot *s = slot_get(c);
	if (s == NULL) {
		rc = err_set(&e, ERR_UNAVAILABLE, "%s: %d calls to %s are outstanding already",
		    method, CALLS_MAX, c->url);
		(void)rc;
		return refuse(c, done, arg, e);
	}
	s->timeout_ms = timeout_ms < 1 ? 1 : timeout_ms;
	if (s->timeout_ms > TIMEOUT_MAX_MS)
		s->timeout_ms = TIMEOUT_MAX_MS;
	s->deadline_ms = clock_mono_ms() + s->timeout_ms;
	s->method = xstrdup(method);
	s->body = xmemdup(body, len);
	s->body_len = len;
	s->done = done;
	s->arg = arg;
	loop_timer_start(s->timer, s->timeout_ms);
	if (c->pipes > 0) {
		slot_transmit(s);
	} else {
		s->phase = PHASE_QUEUED;
		queue_append(s);
	}
	return slot_id(s);
}

void
rpc_cancel(struct rpc_client *c, uint64_t id)
{
	struct slot *s = slot_find(c, id);
	if (s != NULL &&
	    (s->phase == PHASE_QUEUED || s->phase == PHASE_SEND || s->phase == PHASE_RECV))
		slot_abandon(s);
	for (struct refusal *r = c->refusals; r != NULL; r = r->next)
		if (r->id == id)
			r->done = NULL;
}

/* --- the connection --- */

static void
transmit_queue(struct rpc_client *c)
{
	while (c->queue != NULL) {
		struct slot *s = c->queue;
		queue_remove(s);
		slot_transmit(s);
	}
}

static void
pipe_on_loop(void *arg)
{
	struct pipe_event *e = arg;
	struct rpc_client *c = e->client;
	if (!c->dead) {
		/* The two events of a short-lived connection may come in either order. */
		c->pipes += e->up ? 1 : -1;
		if (e->up)
			c->pipe = e->id;
		bool up = c->pipes > 0;
		if (up)
			transmit_queue(c);
		if (up != c->was_up) {
			c->was_up = up;
			if (c->on_connected != NULL)
				c->on_connected(up, c->arg);
		}
	}
	client_unref(c);
	free(e);
}

/* NNG thread. */
static void
on_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
	struct rpc_client *c = arg;
	struct pipe_event *e = xmalloc(sizeof(*e));
	*e = (struct pipe_event){ .client = c, .id = pipe.id, .up = ev == NNG_PIPE_EV_ADD_POST };
	atomic_fetch_add(&c->refs, 1);
	if (!loop_post(c->loop, "rpc connection", pipe_on_loop, e)) {
		free(e);
		client_unref(c);
	}
}

static int
socket_options(struct rpc_client *c, struct err **err)
{
	int rv;
	if ((rv = nng_socket_set_ms(c->sock, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE)) != 0 ||
	    (rv = nng_pipe_notify(c->sock, NNG_PIPE_EV_ADD_POST, on_pipe, c)) != 0 ||
	    (rv = nng_pipe_notify(c->sock, NNG_PIPE_EV_REM_POST, on_pipe, c)) != 0)
		return err_set(err, ERR_INTERNAL, "options: %s", nng_strerror(rv));
	return 0;
}

static int
dial_options(nng_dialer d, const struct rpc_client_options *opt, struct err **err)
{
	int rv;
	if ((rv = nng_dialer_set_size(d, NNG_OPT_RECVMAXSZ, RPC_MESSAGE_MAX)) == 0 &&
	    (rv = nng_dialer_set_ms(d, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS)) == 0)
		rv = nng_dialer_set_ms(d, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
	if (rv == 0 && !rpc_url_is_ipc(opt->url)) {
		if ((rv = nng_dialer_set_bool(d, NNG_OPT_TCP_NODELAY, true)) == 0)
			rv = nng_dialer_set_bool(d, NNG_OPT_TCP_KEEPALIVE, true);
	}
	if (rv != 0)
		return err_set(err, ERR_INVALID, "options: %s", nng_strerror(rv));
	if (!rpc_url_is_tls(opt->url))
		return 0;
	if (opt->tls == NULL)
		return err_set(err, ERR_INVALID, "a tls+tcp url needs tls settings");
	nng_tls_config *cfg = NULL;
	int rc = rpc_tls_config(&cfg, opt->tls, false, err);
	if (rc != 0)
		return rc;
	rv = nng_dialer_set_ptr(d, NNG_OPT_TLS_CONFIG, cfg);
	nng_tls_config_free(cfg);
	return rv == 0 ? 0 : err_set(err, ERR_INVALID, "tls: %s", nng_strerror(rv));
}

static int
start_dialling(struct rpc_client *c, const struct rpc_client_options *opt, struct err **err)
{
	nng_dialer d;
	int rc = socket_options(c, err);
	if (rc != 0)
		return rc;
	int rv = nng_dialer_create(&d, c->sock, opt->url);
	if (rv != 0)
		return err_set(err, ERR_INVALID, "%s; expected tcp://, ipc:// or tls+tcp://",
		    nng_strerror(rv));
	if ((rc = dial_options(d, opt, err)) != 0)
		return rc;
	if ((rv = nng_dialer_start(d, NNG_FLAG_NONBLOCK)) != 0)
		return err_set(err, ERR_UNAVAILABLE, "%s", nng_strerror(rv));
	return 0;
}

int
rpc_client_new(struct rpc_client **out, struct loop *loop, const struct rpc_client_options *opt,
    struct err **err)
{
	if (!rpc_name_ok(opt->peer, RPC_PEER_MAX))
		return err_set(err, ERR_INVALID,
		    "rpc: our id \"%s\" is not 1 to %d letters, digits or any of . _ : -",
		    opt->peer, RPC_PEER_MAX);
	struct rpc_client *c = xcalloc(1, sizeof(*c));
	atomic_init(&c->refs, 1);
	c->loop = loop;
	c->url = xstrdup(opt->url);
	c->peer = xstrdup(opt->peer);
	memcpy(c->key, opt->key, sizeof(c->key));
	c->on_connected = opt->on_connected;
	c->arg = opt->arg;
	c->queue_end = &c->queue;
	int rv = nng_req0_open(&c->sock);
	if (rv != 0) {
		client_unref(c);
		return err_set(err, ERR_INTERNAL, "rpc: open socket: %s", nng_strerror(rv));
	}
	int rc = start_dialling(c, opt, err);
	if (rc != 0) {
		rpc_client_free(c);
		return err_wrap(err, "rpc: connect to %s", opt->url), rc;
	}
	*out = c;
	return 0;
}

void
rpc_client_free(struct rpc_client *c)
{
	if (c == NULL)
		return;
	c->dead = true;
	for (size_t i = 0; i < c->nslots; i++) {
		struct slot *s = c->slots[i];
		nng_aio_stop(s->aio);
		drop_msg(s);
		nng_aio_free(s->aio);
		nng_ctx_close(s->ctx);
		loop_timer_free(s->timer);
		slot_clear(s);
	}
	nng_close(c->sock);
	client_unref(c);
}

size_t
rpc_client_pending(const struct rpc_client *c)
{
	size_t n = 0;
	for (size_t i = 0; i < c->nslots; i++) {
		const struct slot *s = c->slots[i];
		n += s->phase == PHASE_QUEUED || s->phase == PHASE_SEND || s->phase == PHASE_RECV;
	}
	return n;
}

bool
rpc_client_connected(const struct rpc_client *c)
{
	return c->pipes > 0;
}
