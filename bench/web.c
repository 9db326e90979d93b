/*
 * web - clients of a web server, and the barest server to compare it with.
 *
 *   web serve PORT BYTES
 *       evhttp with a handler that answers everything with BYTES bytes; until SIGTERM.
 *   web get URL TOKEN CONNECTIONS SECONDS
 *       GETs over connections that are kept, one after another on each; prints answers per second
 * and the bytes of an answer's body.
 *   web follow URL TOKEN CONNECTIONS
 *       that many readers of one chunked answer; "ready" when all have its header, and at the end
 * of all: chunks per second, bytes per chunk, from the first chunk to the last end.
 *
 * URL is http://127.0.0.1:PORT/PATH; TOKEN "-" = none.
 */
#include "common/clock.h"
#include "common/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX 4096
#define READ_MAX 65536

static void
die(const char *what)
{
	fprintf(stderr, "web: %s: %s\n", what, strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
	exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

/* --- the barest server --- */

static char *body;
static size_t body_len;

static void
answer(struct evhttp_request *req, void *arg)
{
	struct evbuffer *b = evbuffer_new();

	(void)arg;
	evbuffer_add(b, body, body_len);
	evhttp_send_reply(req, 200, "OK", b);
	evbuffer_free(b);
}

static int
serve(uint16_t port, size_t len)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound;
	int one = 1;

	signal(SIGPIPE, SIG_IGN);
	body = xmalloc(len + 1);
	memset(body, 'x', len);
	body_len = len;
	evhttp_set_gencb(http, answer, NULL);
	bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", port);
	if (!bound)
		die("bind");
	/* Connections inherit it; else small answers wait for the client's delayed ACK. */
	(void)setsockopt(
	    evhttp_bound_socket_get_fd(bound), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	event_base_dispatch(base);
	return 0;
}

/* --- clients --- */

struct client {
	int fd;
	char head[HEAD_MAX];
	size_t have; /* of the head, and of a chunk's size line */
	bool in_body, chunked, ended;
	size_t left; /* of the body, or of the chunk with its newline */
};

static struct {
	char *request;
	struct sockaddr_in to;
	struct client *clients;
	struct pollfd *polls;
	size_t n, headers, ended;
	uint64_t answers, bytes, chunks;
	int64_t first_us;
	bool again; /* an answer that ended is followed by a request */
} w;

static void
ask(struct client *c)
{
	size_t len = strlen(w.request);

	c->in_body = c->chunked = false;
	c->have = 0;
	if (write(c->fd, w.request, len) != (ssize_t)len)
		die("write");
}

static void
open_client(struct client *c)
{
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&w.to, sizeof(w.to)) != 0)
		die("connect");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	ask(c);
}

static void
end_answer(struct client *c)
{
	w.answers++;
	if (w.again) {
		ask(c);
	} else if (!c->ended) {
		c->ended = true;
		w.ended++;
	}
}

/* The header is whole. */
static void
begin_body(struct client *c)
{
	const char *length = strcasestr(c->head, "\r\nContent-Length:");

	if (strncmp(c->head, "HTTP/1.1 200", 12) != 0) {
		fprintf(stderr, "web: %.200s\n", c->head);
		exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
	}
	w.headers++;
	c->chunked = strcasestr(c->head, "\r\nTransfer-Encoding: chunked") != NULL;
	c->left = length ? strtoul(length + 17, NULL, 10) : 0;
	c->in_body = true;
	c->have = 0;
	if (!c->chunked && c->left == 0)
		end_answer(c);
}

/* One byte of a chunk's size line. */
static void
size_line(struct client *c, char byte)
{
	if (c->have < 20)
		c->head[c->have++] = byte;
	if (byte != '\n')
		return;
	c->head[c->have] = '\0';
	c->have = 0;
	c->left = strtoul(c->head, NULL, 16);
	if (c->left == 0) {
		end_answer(c);
		return;
	}
	if (w.chunks++ == 0)
		w.first_us = clock_mono_us();
	w.bytes += c->left;
	c->left += 2; /* its newline */
}

static void
take(struct client *c, const char *p, size_t n)
{
	while (n > 0 && !c->ended) {
		size_t k = 1;

		if (!c->in_body) {
			if (c->have == HEAD_MAX - 1)
				die("header");
			c->head[c->have++] = *p;
			c->head[c->have] = '\0';
			if (c->have >= 4 && memcmp(c->head + c->have - 4, "\r\n\r\n", 4) == 0)
				begin_body(c);
		} else if (c->chunked && c->left == 0) {
			size_line(c, *p);
		} else {
			k = n < c->left ? n : c->left;
			c->left -= k;
			if (!c->chunked) {
				w.bytes += k;
				if (c->left == 0)
					end_answer(c);
			}
		}
		p += k;
		n -= k;
	}
}

/* Reads what has come. */
static void
turn(void)
{
	static char chunk[READ_MAX];

	if (poll(w.polls, w.n, 1000) < 0 && errno != EINTR)
		die("poll");
	for (size_t i = 0; i < w.n; i++) {
		ssize_t n;

		if (w.clients[i].ended) {
			w.polls[i].fd = -1;
			continue;
		}
		if (!w.polls[i].revents)
			continue;
		n = read(w.clients[i].fd, chunk, sizeof(chunk));
		if (n <= 0) {
			fprintf(stderr, "web: a connection ended early\n");
			exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
		}
		take(&w.clients[i], chunk, (size_t)n);
	}
}

static void
clients_new(const char *url, const char *token, size_t n)
{
	unsigned port = 0;
	int at = 0;

	/* NOLINTNEXTLINE(cert-err34-c): a bench's own argument */
	if (sscanf(url, "http://127.0.0.1:%u%n", &port, &at) != 1 || url[at] != '/')
		die(url);
	w.to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	w.to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	w.request = strcmp(token, "-") == 0
	                ? xasprintf("GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", url + at)
	                : xasprintf("GET %s HTTP/1.1\r\nHost: bench\r\nAuthorization: token "
	                            "%s\r\n\r\n",
	                      url + at, token);
	w.n = n;
	w.clients = xcalloc(n, sizeof(*w.clients));
	w.polls = xcalloc(n, sizeof(*w.polls));
	for (size_t i = 0; i < n; i++) {
		open_client(&w.clients[i]);
		w.polls[i] = (struct pollfd){ .fd = w.clients[i].fd, .events = POLLIN };
	}
}

static int
get(const char *url, const char *token, size_t n, int64_t seconds)
{
	int64_t begun, us;

	w.again = true;
	clients_new(url, token, n);
	while (w.answers < 2 * n) /* everything is warm */
		turn();
	w.answers = w.bytes = 0;
	begun = clock_mono_us();
	do {
		turn();
		us = clock_mono_us() - begun;
	} while (us < seconds * 1000000);
	printf("%.1f %.0f\n", (double)w.answers * 1e6 / (double)us,
	    (double)w.bytes / (double)(w.answers ? w.answers : 1));
	return 0;
}

static int
follow(const char *url, const char *token, size_t n)
{
	double us;

	clients_new(url, token, n);
	while (w.headers < n)
		turn();
	printf("ready\n");
	fflush(stdout);
	while (w.ended < n)
		turn();
	us = (double)(clock_mono_us() - w.first_us);
	printf("%.1f %.0f\n", (double)w.chunks * 1e6 / us, (double)w.bytes / (double)w.chunks);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		return serve((uint16_t)strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	if (argc == 6 && strcmp(argv[1], "get") == 0)
		return get(argv[2], argv[3], strtoul(argv[4], NULL, 10), strtol(argv[5], NULL, 10));
	if (argc == 5 && strcmp(argv[1], "follow") == 0)
		return follow(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	fprintf(stderr, "usage: web serve PORT BYTES | get URL TOKEN CONNECTIONS SECONDS | "
	                "follow URL TOKEN CONNECTIONS\n");
	return 2;
}
