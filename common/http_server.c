#include "common/http_server.h"

#include "common/buf.h"
#include "common/http_head.h"
#include "common/http_listen.h"
#include "common/log.h"
#include "common/mem.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <search.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_MAX_DEFAULT (32u << 10)
#define IDLE_DEFAULT_MS 60000
#define HEAD_DEFAULT_MS 30000
#define BODY_DEFAULT_MS 900000
#define CONNECTIONS_DEFAULT 4096u
#define BODIES_DEFAULT ((size_t)1 << 30)
/* Read ahead of a client that sends its next request while one is answered; one that sends more is
 * hung up on. */
#define AHEAD_MAX (64u << 10)
#define BULK_FROM (16u << 10) /* bytes of a body after which it is read in larger pieces */
#define BULK_PIECE (64u << 10)
#define BULK_MAX (256u << 10) /* in one turn of the loop */
/* So much of a body that is too large is swallowed, so that the client gets to read the refusal. */
#define SWALLOW_MAX (64u << 20)

/*
 * evhttp has one limit for all bodies, and tells nobody of a request before it is whole. So the
 * bytes of a connection are held back in `held` until a header is complete; then the limit of that
 * request is set, or a body that says itself that it is too large is swallowed and evhttp sees a
 * request without one instead.
 */
enum conn_state { CONN_HEAD = 1, CONN_SWALLOW, CONN_BODY, CONN_ANSWER };

struct conn {
	struct http_server *server;
	struct conn *prev, *next;
	struct bufferevent *bev;
	struct evhttp_connection *ev; /* NULL until adopted */
	struct evbuffer *held;
	enum conn_state state;
	uint64_t swallow; /* bytes still to come */
	int refused;      /* status; the request that evhttp sees stands for the one refused */
	bool touching;    /* we change the input ourselves */
	size_t taken;     /* of the body that is being read */
	struct loop_timer *deadline; /* armed while a request is being read */
	struct http_req *req;
};

struct http_req {
	struct http_server *server; /* NULL when it is gone */
	struct http_req *prev, *next;
	struct conn *conn;         /* NULL when the client has left */
	struct evhttp_request *ev; /* NULL when the server is gone */
	char *path, *query, *peer;
	enum http_method method;
	char *content_type;
	size_t taken; /* of its body */
	bool started; /* streaming */
	void (*on_close)(void *);
	void *close_arg;
	void (*on_drain)(void *);
	void *drain_arg;
};

struct http_server {
	struct loop *loop;
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	SSL_CTX *tls;
	struct http_server_options o;
	struct http_req *reqs;
	struct conn *conns;
	void *by_bev; /* the same as a search tree */
	struct loop_timer *adoption;
	size_t unadopted, nconns;
	size_t taken; /* bytes of all bodies in memory */
	char *unix_path;
	int port;
	bool freeing;
};

/* --- connections --- */

static int
compare(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct conn *)a)->bev;
	uintptr_t y = (uintptr_t)((const struct conn *)b)->bev;

	return x < y ? -1 : x > y;
}

static void
accept_again(struct http_server *s)
{
	if (s->bound != NULL && s->nconns < s->o.connections_max)
		evconnlistener_enable(evhttp_bound_socket_get_listener(s->bound));
}

static void
conn_free(struct conn *c)
{
	c->server->taken -= c->taken;
	if (c->server->nconns-- == c->server->o.connections_max)
		accept_again(c->server);
	loop_timer_free(c->deadline);
	tdelete(c, &c->server->by_bev, compare);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		c->server->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	evbuffer_free(c->held);
	free(c);
}

static struct conn *
conn_find(struct http_server *s, struct bufferevent *bev)
{
	const struct conn key = { .bev = bev };
	void *found = tfind(&key, &s->by_bev, compare);

	return found != NULL ? *(struct conn **)found : NULL;
}

/* evhttp gives every byte of the input to the request it is reading. */
static void
give_back(struct conn *c)
{
	c->touching = true;
	evbuffer_prepend_buffer(bufferevent_get_input(c->bev), c->held);
	c->touching = false;
}

static void
refuse(struct conn *c)
{
	static const char request[] =
	    "POST / HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

	c->state = CONN_BODY;
	evbuffer_drain(c->held, evbuffer_get_length(c->held));
	evbuffer_add(c->held, request, sizeof(request) - 1);
	give_back(c);
}

static void
swallow(struct conn *c)
{
	size_t n = evbuffer_get_length(c->held);

	n = n < c->swallow ? n : (size_t)c->swallow;
	evbuffer_drain(c->held, n);
	c->swallow -= n;
	if (c->swallow == 0)
		refuse(c);
}

/* What a body of this length is answered with at once; 0: it may come. */
static int
too_much(const struct conn *c, const struct http_head *h, size_t limit)
{
	const struct http_server *s = c->server;

	if (h->length > limit)
		return s->o.too_large_status;
	return h->length > 0 && h->length > s->o.bodies_max - s->taken ? 503 : 0;
}

static void
take_head(struct conn *c)
{
	struct http_server *s = c->server;
	size_t have = evbuffer_get_length(c->held);
	const char *p = (const char *)evbuffer_pullup(c->held, -1);
	size_t n = have > 0 ? http_head_end(p, have) : 0;
	struct http_head h;
	size_t limit = s->o.body_max;

	if (n == 0 && have <= s->o.header_max)
		return;
	if (n == 0) { /* evhttp refuses it */
		c->state = CONN_BODY;
		give_back(c);
		return;
	}
	http_head_read(&h, p, n);
	if (s->o.body_limit != NULL && h.path[0] == '/')
		limit = s->o.body_limit(h.method, h.path, s->o.arg);
	loop_timer_start(c->deadline, s->o.body_timeout_ms);
	c->refused = too_much(c, &h, limit);
	if (c->refused != 0) {
		evbuffer_drain(c->held, n);
		c->state = CONN_SWALLOW;
		c->swallow = h.expects || h.length > SWALLOW_MAX ? 0 : h.length;
		swallow(c);
	} else {
		/* A chunked body does not say how long it is: evhttp counts. */
		if (c->ev != NULL)
			evhttp_connection_set_max_body_size(c->ev, (ev_ssize_t)limit);
		c->state = CONN_BODY;
		c->taken = have - n;
		s->taken += c->taken;
		give_back(c);
	}
	free(h.path);
}

static void
look(struct conn *c)
{
	if (c->state == CONN_HEAD && !loop_timer_armed(c->deadline))
		loop_timer_start(c->deadline, c->server->o.head_timeout_ms);
	c->touching = true;
	evbuffer_remove_buffer(bufferevent_get_input(c->bev), c->held, SIZE_MAX);
	c->touching = false;
	if (c->state == CONN_SWALLOW)
		swallow(c);
	else
		take_head(c);
}

static void
req_gone(struct http_req *r)
{
	void (*fn)(void *) = r->on_close;

	r->conn = NULL;
	r->on_close = NULL;
	if (fn != NULL)
		fn(r->close_arg);
}

static void
on_closed(struct evhttp_connection *ev, void *arg)
{
	struct conn *c = arg;
	struct http_req *r = c->req;
	bool freeing = c->server->freeing;

	(void)ev;
	conn_free(c);
	if (r == NULL)
		return;
	if (freeing)
		r->ev = NULL; /* goes with its connection */
	req_gone(r);
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg);

/* evhttp has taken the new connection, and made itself the owner of its callbacks. false: it has
 * ended already and is gone. */
static bool
adopt(struct conn *c)
{
	struct evbuffer *input = bufferevent_get_input(c->bev);
	void *owner = NULL;

	c->server->unadopted--;
	bufferevent_getcb(c->bev, NULL, NULL, NULL, &owner);
	if (owner == NULL) {
		evbuffer_remove_cb(input, on_input, c);
		bufferevent_decref(c->bev);
		conn_free(c);
		return false;
	}
	bufferevent_decref(c->bev);
	c->ev = owner;
	evhttp_connection_set_closecb(c->ev, on_closed, c);
	return true;
}

/* The client's end comes next, and is noticed. */
static void
stop_reading(struct conn *c)
{
	struct evbuffer *input = bufferevent_get_input(c->bev);

	c->touching = true;
	evbuffer_drain(input, evbuffer_get_length(input));
	c->touching = false;
	shutdown(bufferevent_getfd(c->bev), SHUT_RD);
}

static void
hang_up(void *arg)
{
	struct conn *c = arg;

	if (c->ev != NULL || adopt(c))
		evhttp_connection_free(c->ev);
}

/* Chunked bodies do not announce themselves, so together they can outgrow the bound. */
static void
body_grew(struct conn *c, size_t n)
{
	struct http_server *s = c->server;

	c->taken += n;
	s->taken += n;
	if (s->taken > s->o.bodies_max)
		loop_timer_start(c->deadline, 0);
}

/* libevent reads 4 KiB for each turn of the loop. Of a body that is long already, what has come is
 * taken in large pieces; its end and its errors are left to libevent. */
static void
take_more(struct conn *c, struct evbuffer *input)
{
	size_t total = 0;

	if (c->server->tls != NULL || c->taken < BULK_FROM)
		return;
	c->touching = true;
	while (total < BULK_MAX) {
		struct evbuffer_iovec v;
		ssize_t n;

		if (evbuffer_reserve_space(input, BULK_PIECE, &v, 1) != 1)
			break;
		n = recv(bufferevent_getfd(c->bev), v.iov_base,
		    v.iov_len < BULK_PIECE ? v.iov_len : BULK_PIECE, MSG_DONTWAIT);
		if (n <= 0)
			break;
		v.iov_len = (size_t)n;
		if (evbuffer_commit_space(input, &v, 1) != 0)
			break;
		total += (size_t)n;
	}
	c->touching = false;
	if (total > 0)
		body_grew(c, total);
}

static void
on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	if (info->n_added == 0 || c->touching)
		return;
	if (c->state == CONN_ANSWER) {
		if (evbuffer_get_length(input) > AHEAD_MAX)
			stop_reading(c);
		return;
	}
	if (c->ev == NULL && !adopt(c))
		return;
	if (c->state == CONN_BODY) {
		body_grew(c, info->n_added);
		take_more(c, input);
	} else {
		look(c);
	}
}

static void
adopt_new(void *arg)
{
	struct http_server *s = arg;

	for (struct conn *c = s->conns, *next; s->unadopted > 0; c = next) {
		next = c->next;
		if (c->ev == NULL)
			(void)adopt(c);
	}
}

static struct bufferevent *
on_accept(struct event_base *base, void *arg)
{
	struct http_server *s = arg;
	struct bufferevent *bev;
	struct conn *c;

	if (s->tls != NULL)
		bev = bufferevent_openssl_socket_new(
		    base, -1, SSL_new(s->tls), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	else
		bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	MUST(bev != NULL);
	if (s->tls != NULL)
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	c = xcalloc(1, sizeof(*c));
	c->server = s;
	c->bev = bev;
	c->state = CONN_HEAD;
	c->deadline = loop_timer_new(s->loop, "http request is read", hang_up, c);
	loop_timer_start(c->deadline, s->o.head_timeout_ms);
	c->held = evbuffer_new();
	MUST(c->held != NULL);
	c->next = s->conns;
	if (c->next != NULL)
		c->next->prev = c;
	s->conns = c;
	evbuffer_add_cb(bufferevent_get_input(bev), on_input, c);
	bufferevent_incref(bev);
	MUST(tsearch(c, &s->by_bev, compare) != NULL);
	s->unadopted++;
	loop_timer_start(s->adoption, 0);
	if (++s->nconns == s->o.connections_max)
		evconnlistener_disable(evhttp_bound_socket_get_listener(s->bound));
	return bev;
}

/* --- requests --- */

static void
set_timeouts(struct conn *c, bool reading)
{
	const struct http_server_options *o = &c->server->o;
	struct timeval tv = { (time_t)(o->idle_timeout_ms / 1000),
		(suseconds_t)(o->idle_timeout_ms % 1000) * 1000 };

	bufferevent_set_timeouts(c->bev, reading ? &tv : NULL, &tv);
}

/* The answer is with the kernel, the connection stays: its next request may be here already. */
static void
on_complete(struct evhttp_request *ev, void *arg)
{
	struct conn *c = arg;

	(void)ev;
	c->state = CONN_HEAD;
	set_timeouts(c, true);
	if (evbuffer_get_length(bufferevent_get_input(c->bev)) > 0)
		look(c);
}

/* While a handler works we read on to notice that the client leaves; evhttp itself must not see
 * what comes then. */
static void
watch_client(struct conn *c)
{
	bufferevent_data_cb writecb;
	bufferevent_event_cb eventcb;
	void *owner;

	bufferevent_getcb(c->bev, NULL, &writecb, &eventcb, &owner);
	bufferevent_setcb(c->bev, NULL, writecb, eventcb, owner);
	set_timeouts(c, false);
	bufferevent_enable(c->bev, EV_READ);
}

static void
req_link(struct http_req *r, struct http_server *s)
{
	r->server = s;
	r->next = s->reqs;
	if (r->next != NULL)
		r->next->prev = r;
	s->reqs = r;
}

static void
req_unlink(struct http_req *r)
{
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		r->server->reqs = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
}

static void
req_free(struct http_req *r)
{
	struct evbuffer *body = r->ev != NULL ? evhttp_request_get_input_buffer(r->ev) : NULL;

	/* evhttp keeps it until a slow client has taken the answer. */
	if (body != NULL)
		evbuffer_drain(body, evbuffer_get_length(body));
	if (r->server != NULL) {
		r->server->taken -= r->taken;
		req_unlink(r);
	}
	if (r->conn != NULL)
		r->conn->req = NULL;
	free(r->path);
	free(r->query);
	free(r->peer);
	free(r->content_type);
	free(r);
}

static struct http_req *
req_new(struct conn *c, struct evhttp_request *ev, const char *target)
{
	struct http_req *r = xcalloc(1, sizeof(*r));
	const char *method;
	size_t path_len = strcspn(target, "?#");
	char *address = NULL;
	ev_uint16_t port = 0;

	req_link(r, c->server);
	r->conn = c;
	r->ev = ev;
	r->taken = c->taken;
	c->taken = 0;
	r->path = xstrndup(target, path_len);
	r->query = target[path_len] == '?'
	               ? xstrndup(target + path_len + 1, strcspn(target + path_len + 1, "#"))
	               : xstrdup("");
	evhttp_connection_get_peer(c->ev, &address, &port);
	r->peer = xstrdup(address != NULL ? address : "");
	method = http_req_method_name(r);
	r->method = http_head_method(method, strlen(method));
	c->req = r;
	return r;
}

static void
on_request(struct evhttp_request *ev, void *arg)
{
	struct http_server *s = arg;
	struct evhttp_connection *evcon = evhttp_request_get_connection(ev);
	struct conn *c = conn_find(s, evhttp_connection_get_bufferevent(evcon));
	const char *target = http_head_target(evhttp_request_get_uri(ev));

	MUST(c != NULL && c->req == NULL);
	loop_timer_stop(c->deadline);
	c->state = CONN_ANSWER;
	if (c->refused != 0) {
		evhttp_send_error(ev, c->refused, NULL);
		return;
	}
	if (target == NULL || s->freeing) {
		evhttp_send_error(ev, s->freeing ? 503 : 400, NULL);
		return;
	}
	evhttp_request_set_on_complete_cb(ev, on_complete, c);
	watch_client(c);
	s->o.handler(req_new(c, ev, target), s->o.arg);
}

enum http_method
http_req_method(const struct http_req *r)
{
	return r->method;
}

const char *
http_req_method_name(const struct http_req *r)
{
	static const struct {
		enum evhttp_cmd_type cmd;
		const char *name;
	} names[] = {
		{ EVHTTP_REQ_GET, "GET" },
		{ EVHTTP_REQ_POST, "POST" },
		{ EVHTTP_REQ_HEAD, "HEAD" },
		{ EVHTTP_REQ_PUT, "PUT" },
		{ EVHTTP_REQ_DELETE, "DELETE" },
		{ EVHTTP_REQ_OPTIONS, "OPTIONS" },
		{ EVHTTP_REQ_TRACE, "TRACE" },
		{ EVHTTP_REQ_CONNECT, "CONNECT" },
		{ EVHTTP_REQ_PATCH, "PATCH" },
	};

	for (size_t i = 0; r->ev != NULL && i < ARRAY_LEN(names); i++)
		if (names[i].cmd == evhttp_request_get_command(r->ev))
			return names[i].name;
	return "";
}

const char *
http_req_path(const struct http_req *r)
{
	return r->path;
}

const char *
http_req_query(const struct http_req *r)
{
	return r->query;
}

const char *
http_req_header(const struct http_req *r, const char *name)
{
	return r->ev != NULL ? evhttp_find_header(evhttp_request_get_input_headers(r->ev), name)
	                     : NULL;
}

const char *
http_req_peer(const struct http_req *r)
{
	return r->peer;
}

const void *
http_req_body(const struct http_req *r, size_t *len)
{
	struct evbuffer *b = r->ev != NULL ? evhttp_request_get_input_buffer(r->ev) : NULL;

	*len = b != NULL ? evbuffer_get_length(b) : 0;
	return *len > 0 ? (const void *)evbuffer_pullup(b, -1) : "";
}

void
http_req_on_close(struct http_req *r, void (*fn)(void *arg), void *arg)
{
	r->on_close = fn;
	r->close_arg = arg;
}

bool
http_req_gone(const struct http_req *r)
{
	return r->conn == NULL;
}

/* --- answers --- */

/* A value with a line break in it is dropped: evhttp refuses it. */
static void
set_header(struct http_req *r, const char *name, const char *value)
{
	struct evkeyvalq *out;

	if (r->ev == NULL)
		return;
	out = evhttp_request_get_output_headers(r->ev);
	if (strpbrk(value, "\r\n") != NULL || evhttp_add_header(out, name, value) != 0)
		log_warn("an HTTP header was left out", LOG_STR("name", name));
}

void
http_reply_header(struct http_req *r, const char *name, const char *value)
{
	set_header(r, name, value);
}

void
http_reply(struct http_req *r, int status, const char *content_type, const void *body, size_t len)
{
	struct evhttp_request *ev = r->ev;
	struct evbuffer *out;
	char length[32];

	MUST(!r->started);
	if (content_type != NULL)
		set_header(r, "Content-Type", content_type);
	snprintf(length, sizeof(length), "%zu", len);
	if (status >= 200 && status != 204 && status != 304)
		set_header(r, "Content-Length", length);
	out = evbuffer_new();
	MUST(out != NULL);
	if (r->method != HTTP_HEAD)
		evbuffer_add(out, body, len);
	req_free(r);
	if (ev != NULL)
		evhttp_send_reply(ev, status, NULL, out);
	evbuffer_free(out);
}

void
http_stream_start(struct http_req *r, int status, const char *content_type)
{
	MUST(!r->started);
	r->started = true;
	if (content_type != NULL)
		set_header(r, "Content-Type", content_type);
	if (r->ev != NULL && r->conn != NULL)
		evhttp_send_reply_start(r->ev, status, NULL);
}

static void
on_drained(struct evhttp_connection *ev, void *arg)
{
	struct http_req *r = arg;
	void (*fn)(void *) = r->on_drain;

	(void)ev;
	if (fn == NULL || http_stream_pending(r) > 0)
		return;
	r->on_drain = NULL;
	fn(r->drain_arg);
}

void
http_stream_write(struct http_req *r, const void *p, size_t n)
{
	struct evbuffer *out;

	MUST(r->started);
	if (r->conn == NULL || r->ev == NULL || n == 0)
		return;
	out = evbuffer_new();
	MUST(out != NULL);
	evbuffer_add(out, p, n);
	evhttp_send_reply_chunk_with_cb(r->ev, out, on_drained, r);
	evbuffer_free(out);
}

size_t
http_stream_pending(const struct http_req *r)
{
	return r->conn != NULL ? evbuffer_get_length(bufferevent_get_output(r->conn->bev)) : 0;
}

void
http_stream_on_drain(struct http_req *r, void (*fn)(void *arg), void *arg)
{
	r->on_drain = fn;
	r->drain_arg = arg;
}

void
http_stream_end(struct http_req *r)
{
	struct evhttp_request *ev = r->ev;

	MUST(r->started);
	req_free(r);
	if (ev != NULL)
		evhttp_send_reply_end(ev);
}

void
http_stream_abort(struct http_req *r)
{
	struct evhttp_connection *evcon = r->conn != NULL ? r->conn->ev : NULL;
	struct evhttp_request *ev = r->ev;

	req_free(r);
	if (evcon != NULL)
		evhttp_connection_free(evcon); /* and its request */
	else if (ev != NULL)
		evhttp_send_reply_end(ev); /* frees it: nobody is there */
}

/* --- the listener --- */

static int
listen_on(struct http_server *s, const char *where, struct err **err)
{
	auto_close int fd = -1;
	struct evconnlistener *l;
	int rc = http_listen(&fd, where, &s->port, &s->unix_path, err);

	if (rc != 0)
		return rc;
	l = evconnlistener_new(
	    loop_base(s->loop), NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (l == NULL)
		return err_set(err, ERR_INTERNAL, "listen on %s: no listener", where);
	fd = -1;
	s->bound = evhttp_bind_listener(s->http, l);
	MUST(s->bound != NULL);
	return 0;
}

static int
tls_error(struct err **err, const char *file)
{
	char text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	return err_set(err, ERR_INVALID, "%s: %s", file, text);
}

static int
tls_set_up(struct http_server *s, const struct http_server_options *o, struct err **err)
{
	if (o->cert_file == NULL || o->key_file == NULL)
		return 0;
	s->tls = SSL_CTX_new(TLS_server_method());
	MUST(s->tls != NULL);
	SSL_CTX_set_min_proto_version(s->tls, TLS1_2_VERSION);
	if (SSL_CTX_use_certificate_chain_file(s->tls, o->cert_file) != 1)
		return tls_error(err, o->cert_file);
	if (SSL_CTX_use_PrivateKey_file(s->tls, o->key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(s->tls) != 1)
		return tls_error(err, o->key_file);
	return 0;
}

static void
set_up(struct http_server *s)
{
	s->http = evhttp_new(loop_base(s->loop));
	MUST(s->http != NULL);
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
	                                        EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
	                                        EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
	                                        EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	evhttp_set_max_headers_size(s->http, (ev_ssize_t)s->o.header_max);
	evhttp_set_max_body_size(s->http, (ev_ssize_t)s->o.body_max);
	evhttp_set_default_content_type(s->http, NULL);
	evhttp_set_gencb(s->http, on_request, s);
	evhttp_set_bevcb(s->http, on_accept, s);
	struct timeval tv = { (time_t)(s->o.idle_timeout_ms / 1000),
		(suseconds_t)(s->o.idle_timeout_ms % 1000) * 1000 };
	evhttp_set_timeout_tv(s->http, &tv);
}

/* evhttp spins when it is out of descriptors: a quarter is left for everything else. */
static size_t
descriptors(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_NOFILE, &r) == 0 ? (size_t)(r.rlim_cur / 4 * 3) : SIZE_MAX;
}

static void
bounds(struct http_server_options *o)
{
	size_t most = descriptors();

	if (o->header_max == 0)
		o->header_max = HEADER_MAX_DEFAULT;
	if (o->too_large_status == 0)
		o->too_large_status = 413;
	if (o->bodies_max == 0)
		o->bodies_max = o->body_max > BODIES_DEFAULT ? o->body_max : BODIES_DEFAULT;
	if (o->connections_max == 0)
		o->connections_max = CONNECTIONS_DEFAULT;
	if (o->connections_max > most)
		o->connections_max = most;
	if (o->idle_timeout_ms == 0)
		o->idle_timeout_ms = IDLE_DEFAULT_MS;
	if (o->head_timeout_ms == 0)
		o->head_timeout_ms = HEAD_DEFAULT_MS;
	if (o->body_timeout_ms == 0)
		o->body_timeout_ms = BODY_DEFAULT_MS;
}

int
http_server_new(struct http_server **out, struct loop *loop, const struct http_server_options *opt,
    struct err **err)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	int rc;

	s->loop = loop;
	s->o = *opt;
	s->adoption = loop_timer_new(loop, "new http connections", adopt_new, s);
	bounds(&s->o);
	set_up(s);
	rc = tls_set_up(s, opt, err);
	if (rc == 0)
		rc = listen_on(s, opt->listen, err);
	s->o.listen = s->o.cert_file = s->o.key_file = NULL;
	if (rc != 0) {
		http_server_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
http_server_close(struct http_server *s)
{
	if (s->bound != NULL)
		evhttp_del_accept_socket(s->http, s->bound);
	s->bound = NULL;
	if (s->unix_path != NULL)
		unlink(s->unix_path);
}

void
http_server_free(struct http_server *s)
{
	if (s == NULL)
		return;
	http_server_close(s);
	s->freeing = true;
	adopt_new(s);
	evhttp_free(s->http);
	for (struct http_req *r = s->reqs; r != NULL; r = r->next)
		r->server = NULL;
	loop_timer_free(s->adoption);
	MUST(s->conns == NULL);
	SSL_CTX_free(s->tls);
	free(s->unix_path);
	free(s);
}

struct http_server_load
http_server_load(const struct http_server *s)
{
	struct http_server_load load = { .connections = s->nconns, .body_bytes = s->taken };

	for (const struct http_req *r = s->reqs; r != NULL; r = r->next)
		load.requests++;
	return load;
}

int
http_server_port(const struct http_server *s)
{
	return s->port;
}
