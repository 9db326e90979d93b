/*
 * The HTTP server as clients meet it: raw bytes over a socket on a thread, the server on the loop.
 */
#include "common/clock.h"
#include "common/http_head.h"
#include "common/http_server.h"
#include "common/mem.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 20000
#define BODY_MAX 100000
#define SMALL_MAX 1000
#define BIG (8u << 20)

struct fixture {
	struct loop *loop;
	struct http_server_options o;
	struct http_server *server;
	/* what the handler saw */
	int requests, left, drained;
	enum http_method method;
	char path[200], query[200], header[200];
	size_t body;
	struct http_req *held;
	size_t to_write;
	/* the client's conversation */
	const char *say;
	size_t pad; /* further bytes of 'x' after it */
	bool hang_up, half;
	char *answer;
	size_t answer_len;
	atomic_bool over;
	int fd; /* of a client on this thread */
};

/* --- the handler: what is asked for by path is what it does --- */

static void
on_left(void *arg)
{
	((struct fixture *)arg)->left++;
}

static void
feed(struct fixture *f)
{
	static const char block[65536] = { 'z' };

	while (f->to_write > 0 && http_stream_pending(f->held) < 262144) {
		size_t n = f->to_write < sizeof(block) ? f->to_write : sizeof(block);

		http_stream_write(f->held, block, n);
		f->to_write -= n;
	}
}

static void
on_drain(void *arg)
{
	struct fixture *f = arg;

	f->drained++;
	feed(f);
	if (f->to_write > 0)
		http_stream_on_drain(f->held, on_drain, f);
	else
		http_stream_end(steal(&f->held));
}

static void
handler(struct http_req *r, void *arg)
{
	struct fixture *f = arg;
	const char *header = http_req_header(r, "X-Test");
	const char *path = http_req_path(r);

	f->requests++;
	f->method = http_req_method(r);
	snprintf(f->path, sizeof(f->path), "%s", path);
	snprintf(f->query, sizeof(f->query), "%s", http_req_query(r));
	snprintf(f->header, sizeof(f->header), "%s", header != NULL ? header : "none");
	(void)http_req_body(r, &f->body);
	if (strcmp(path, "/hold") == 0) {
		f->held = r;
		http_req_on_close(r, on_left, f);
	} else if (strcmp(path, "/stream") == 0) {
		f->held = r;
		http_stream_start(r, 200, "text/plain");
		http_stream_on_drain(r, on_drain, f);
		feed(f);
	} else if (strcmp(path, "/abort") == 0) {
		http_stream_start(r, 200, "text/plain");
		http_stream_write(r, "half", 4);
		http_stream_abort(r);
	} else {
		http_reply_header(r, "X-Good", "yes");
		http_reply_header(r, "X-Evil", "a\r\nSet-Cookie: b");
		http_reply(r, 201, "text/plain", "hello", 5);
	}
}

static size_t
body_limit(enum http_method method, const char *path, void *arg)
{
	(void)method;
	(void)arg;
	return strcmp(path, "/small") == 0 ? SMALL_MAX : BODY_MAX;
}

/* Anew, with what f->o says. */
static void
serve(struct fixture *f)
{
	auto_err err = NULL;

	http_server_free(f->server);
	assert_int_equal(http_server_new(&f->server, f->loop, &f->o, &err), 0);
	assert_true(http_server_port(f->server) > 0);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->loop = loop_new();
	f->o = (struct http_server_options){
		.listen = "127.0.0.1:0",
		.body_max = BODY_MAX,
		.header_max = 4096,
		.too_large_status = 417,
		.idle_timeout_ms = 60000,
		.body_limit = body_limit,
		.handler = handler,
		.arg = f,
	};
	serve(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	http_server_free(f->server);
	/* A handler may still answer: nobody hears it. */
	if (f->held != NULL && !f->to_write)
		http_reply(f->held, 200, NULL, "", 0);
	loop_free(f->loop);
	free(f->answer);
	free(f);
	return 0;
}

/* --- the client --- */

static int
dial(const struct fixture *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)http_server_port(f->server)),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		abort();
	return fd;
}

static void *
client(void *arg)
{
	struct fixture *f = arg;
	auto_free char *pad = xmalloc(f->pad + 1);
	int fd = dial(f);
	size_t cap = BIG + 65536;
	ssize_t k = send(fd, f->say, strlen(f->say), MSG_NOSIGNAL);

	memset(pad, 'x', f->pad);
	for (size_t at = 0; k > 0 && at < f->pad; at += (size_t)k)
		if ((k = send(fd, pad + at, f->pad - at, MSG_NOSIGNAL)) <= 0)
			break;
	if (f->half)
		shutdown(fd, SHUT_WR);
	f->answer = xcalloc(1, cap);
	while (!f->hang_up && f->answer_len < cap - 1 &&
	       (k = recv(fd, f->answer + f->answer_len, cap - 1 - f->answer_len, 0)) > 0)
		f->answer_len += (size_t)k;
	close(fd);
	f->over = true;
	return NULL;
}

static void
until(struct fixture *f, bool (*done)(struct fixture *f))
{
	int64_t deadline = clock_mono_ms() + WAIT_MS;

	while (!done(f) && clock_mono_ms() < deadline)
		loop_run_once(f->loop, 10);
	assert_true(done(f));
}

static bool
is_over(struct fixture *f)
{
	return f->over;
}

static bool
has_left(struct fixture *f)
{
	return f->over && f->left > 0;
}

static void
converse_until(struct fixture *f, const char *say, size_t pad, bool (*done)(struct fixture *f))
{
	pthread_t t;

	free(f->answer);
	f->answer = NULL;
	f->answer_len = 0;
	f->say = say;
	f->pad = pad;
	f->over = false;
	assert_int_equal(pthread_create(&t, NULL, client, f), 0);
	until(f, done);
	pthread_join(t, NULL);
}

static void
converse(struct fixture *f, const char *say, size_t pad)
{
	converse_until(f, say, pad, is_over);
}

#define CLOSE "Connection: close\r\n\r\n"

static void
answered(const struct fixture *f, const char *part)
{
	if (strstr(f->answer, part) == NULL)
		print_message("no \"%s\" in: %.500s\n", part, f->answer);
	assert_non_null(strstr(f->answer, part));
}

static unsigned
answers(const struct fixture *f)
{
	unsigned n = 0;

	for (const char *p = f->answer; (p = strstr(p, "HTTP/1.1 ")) != NULL; p++)
		n++;
	return n;
}

/* --- cases --- */

static void
test_request_and_answer(void **state)
{
	struct fixture *f = *state;

	converse(f,
	    "PUT /a%20b/c?x=1&y=%2F HTTP/1.1\r\nHost: h\r\nX-Test: v\r\nContent-Length: 3\r\n" CLOSE
	    "abc",
	    0);
	assert_int_equal(f->method, HTTP_PUT);
	assert_string_equal(f->path, "/a%20b/c");
	assert_string_equal(f->query, "x=1&y=%2F");
	assert_string_equal(f->header, "v");
	assert_int_equal(f->body, 3);
	answered(f, "HTTP/1.1 201 ");
	answered(f, "X-Good: yes\r\n");
	answered(f, "Content-Length: 5\r\n");
	answered(f, "\r\n\r\nhello");
	/* A header cannot be split into two. */
	assert_null(strstr(f->answer, "Set-Cookie"));
}

static void
test_methods(void **state)
{
	struct fixture *f = *state;

	converse(f, "HEAD /x HTTP/1.1\r\n" CLOSE, 0);
	assert_int_equal(f->method, HTTP_HEAD);
	answered(f, "Content-Length: 5\r\n");
	assert_null(strstr(f->answer, "hello"));
	converse(f, "OPTIONS /x HTTP/1.1\r\n" CLOSE, 0);
	assert_int_equal(f->method, HTTP_OPTIONS);
	converse(f, "PATCH /x HTTP/1.1\r\n" CLOSE, 0);
	assert_int_equal(f->method, HTTP_OTHER);
	converse(f, "GET http://elsewhere/path?q HTTP/1.1\r\n" CLOSE, 0);
	assert_string_equal(f->path, "/path");
	assert_string_equal(f->query, "q");
}

static void
test_one_after_the_other(void **state)
{
	struct fixture *f = *state;

	/* Three at once, the second with a body; and the bytes of the third come before the
	 * first is answered. */
	converse(f,
	    "GET /1 HTTP/1.1\r\n\r\n"
	    "POST /2 HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
	    "GET /3 HTTP/1.1\r\n" CLOSE,
	    0);
	assert_int_equal(f->requests, 3);
	assert_int_equal(answers(f), 3);
	assert_string_equal(f->path, "/3");
}

static void
test_limits(void **state)
{
	struct fixture *f = *state;
	int before;

	converse(f, "POST /small HTTP/1.1\r\nContent-Length: 1000\r\n" CLOSE, 1000);
	assert_int_equal(f->body, 1000);
	answered(f, " 201 ");
	before = f->requests;
	converse(f, "POST /small HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 1001);
	answered(f, "HTTP/1.1 417 ");
	converse(f, "POST /small HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n", 3000000);
	answered(f, "HTTP/1.1 417 ");
	converse(f,
	    "POST /small HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n", 0);
	answered(f, "HTTP/1.1 417 ");
	converse(f, "POST /small HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 10);
	answered(f, "HTTP/1.1 417 ");
	/* A chunked body does not say how long it is. */
	converse(f, "POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n", 2000);
	assert_null(strstr(f->answer, " 201 "));
	assert_int_equal(f->requests, before);
	/* Elsewhere more is allowed. */
	converse(f, "POST /x HTTP/1.1\r\nContent-Length: 50000\r\n" CLOSE, 50000);
	assert_int_equal(f->body, 50000);
	/* The limit of one request is not that of the next. */
	converse(f,
	    "POST /small HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
	    "POST /x HTTP/1.1\r\nContent-Length: 20000\r\n" CLOSE,
	    20000);
	assert_int_equal(f->body, 20000);
}

/* A client of its own that stays while others come. */
static int
visit(struct fixture *f, const char *say, size_t pad)
{
	auto_free char *body = xmalloc(pad + 1);
	int fd = dial(f);

	memset(body, 'x', pad);
	assert_int_equal(send(fd, say, strlen(say), MSG_NOSIGNAL), strlen(say));
	assert_int_equal(send(fd, body, pad, MSG_NOSIGNAL), pad);
	return fd;
}

static bool
has_answer(struct fixture *f)
{
	char one;

	return recv(f->fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* The body waits for the 100, as curl's does. */
static void
test_continue(void **state)
{
	struct fixture *f = *state;
	char text[200] = "";

	f->fd =
	    visit(f, "POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 6\r\n" CLOSE, 0);
	until(f, has_answer);
	assert_true(recv(f->fd, text, sizeof(text) - 1, 0) > 0);
	assert_memory_equal(text, "HTTP/1.1 100 ", 13);
	assert_int_equal(f->requests, 0);
	assert_int_equal(send(f->fd, "abcdef", 6, MSG_NOSIGNAL), 6);
	until(f, has_answer);
	assert_true(recv(f->fd, text, sizeof(text) - 1, 0) > 0);
	assert_memory_equal(text, "HTTP/1.1 201 ", 13);
	assert_int_equal(f->body, 6);
	close(f->fd);
}

static void
test_slow_clients(void **state)
{
	static const char *const texts[] = {
		"",
		"GET /x HT",
		"GET /x HTTP/1.1\r\nX-Test: ",
		"POST /x HTTP/1.1\r\nContent-Length: 10\r\n\r\n123",
		"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123",
		"POST /small HTTP/1.1\r\nContent-Length: 2000\r\n\r\n123",
	};
	struct fixture *f = *state;

	f->o.head_timeout_ms = f->o.body_timeout_ms = 50;
	serve(f);
	/* The client waits for the end, and never sends the rest. */
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		converse(f, texts[i], 0);
	assert_int_equal(f->requests, 0);
	/* Of two requests on one connection, the second is late; the first may take its time. */
	f->to_write = BIG;
	converse(f, "GET /stream HTTP/1.1\r\n\r\nGET /x", 0);
	assert_int_equal(f->requests, 1);
	assert_true(f->answer_len > BIG);
}

static bool
is_held(struct fixture *f)
{
	return f->held != NULL;
}

static void
test_bodies_together(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->o.bodies_max = 150000;
	serve(f);
	fd = visit(f, "POST /hold HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", 100000);
	until(f, is_held);
	converse(f, "POST /x HTTP/1.1\r\nContent-Length: 60000\r\n" CLOSE, 60000);
	answered(f, "HTTP/1.1 503 ");
	converse(f, "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nea60\r\n", 60000);
	assert_int_equal(f->answer_len, 0);
	converse(f, "POST /x HTTP/1.1\r\nContent-Length: 50000\r\n" CLOSE, 50000);
	answered(f, "HTTP/1.1 201 ");
	/* Room again: of the one that was answered, and of those that were cut off. */
	http_reply(steal(&f->held), 200, NULL, "", 0);
	for (int i = 0; i < 3; i++) {
		converse(f, "POST /x HTTP/1.1\r\nContent-Length: 100000\r\n" CLOSE, 100000);
		answered(f, "HTTP/1.1 201 ");
	}
	close(fd);
}

static void
test_connections_together(void **state)
{
	struct fixture *f = *state;
	pthread_t t;
	int fds[2];

	f->o.connections_max = 2;
	serve(f);
	fds[0] = visit(f, "GET /hold HTTP/1.1\r\n\r\n", 0);
	until(f, is_held);
	fds[1] = visit(f, "", 0);
	f->say = "GET /x HTTP/1.1\r\n" CLOSE;
	assert_int_equal(pthread_create(&t, NULL, client, f), 0);
	/* As long as the two are there the third is not let in. */
	for (int i = 0; i < 20; i++)
		loop_run_once(f->loop, 5);
	assert_int_equal(f->requests, 1);
	close(fds[1]);
	until(f, is_over);
	pthread_join(t, NULL);
	answered(f, "HTTP/1.1 201 ");
	close(fds[0]);
	until(f, has_left);
	http_reply(steal(&f->held), 200, NULL, "", 0);
}

static void
test_malformed(void **state)
{
	static const char *const texts[] = {
		"GET\r\n\r\n",
		"\r\n\r\n",
		"GET /x HTTP/9.9.9\r\n\r\n",
		"BREW /pot HTTP/1.1\r\n\r\n",
		"GET /x HTTP/1.1\r\nno colon\r\n\r\n",
		"POST /x HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
		"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"CONNECT host:1 HTTP/1.1\r\n\r\n",
		"GET * HTTP/1.1\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01",
	};
	struct fixture *f = *state;

	f->half = true;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		converse(f, texts[i], 0);
		assert_null(strstr(f->answer, " 201 "));
	}
	converse(f, "GET /x HTTP/1.1\r\nX: ", 100000);
	assert_null(strstr(f->answer, " 201 "));
	assert_int_equal(f->requests, 0);
	f->half = false;
	converse(f, "GET /x HTTP/1.1\r\n" CLOSE, 0);
	answered(f, " 201 ");
}

static void
test_client_leaves(void **state)
{
	struct fixture *f = *state;

	f->hang_up = true;
	converse_until(f, "GET /hold HTTP/1.1\r\n\r\n", 0, has_left);
	assert_true(http_req_gone(f->held));
	http_reply(steal(&f->held), 200, NULL, "late", 4);
	/* One that sends on while its request is held is not an error. */
	f->left = 0;
	converse_until(f, "GET /hold HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n", 100000, has_left);
	http_reply(steal(&f->held), 200, NULL, "late", 4);
	/* Nor one that leaves before it has said anything. */
	f->hang_up = true;
	converse(f, "", 0);
	f->hang_up = false;
	converse(f, "GET /x HTTP/1.1\r\n" CLOSE, 0);
	answered(f, " 201 ");
}

static void
test_streams(void **state)
{
	struct fixture *f = *state;
	size_t z = 0;

	f->to_write = BIG;
	converse(f, "GET /stream HTTP/1.1\r\n" CLOSE, 0);
	assert_true(f->drained > 0);
	assert_true(f->answer_len > BIG);
	for (size_t i = 0; i < f->answer_len; i++)
		z += f->answer[i] == 'z';
	assert_int_equal(z, BIG / 65536);
	assert_memory_equal(f->answer + f->answer_len - 5, "0\r\n\r\n", 5);

	converse(f, "GET /abort HTTP/1.1\r\n\r\n", 0);
	assert_null(strstr(f->answer, "0\r\n\r\n"));
}

static void
test_freed_while_held(void **state)
{
	struct fixture *f = *state;

	f->hang_up = true;
	converse(f, "GET /hold HTTP/1.1\r\n\r\n", 0);
	/* teardown frees the server, then answers. */
}

static void
test_addresses(void **state)
{
	struct fixture *f = *state;
	struct http_server *s = NULL;
	struct http_server_options o = { .body_max = 1, .handler = handler, .arg = f };
	static const char *const bad[] = { "", "8000", "127.0.0.1:", "no.such.host.invalid:1",
		"127.0.0.1:99999999", "unix:/nonexistent/dir/socket" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_err err = NULL;

		o.listen = bad[i];
		assert_true(http_server_new(&s, f->loop, &o, &err) < 0);
		assert_non_null(err);
	}
	auto_err err = NULL;
	o.listen = "[::1]:0";
	if (http_server_new(&s, f->loop, &o, &err) == 0) {
		assert_true(http_server_port(s) > 0);
		http_server_free(s);
	}
}

static void
test_texts(void **state)
{
	static const struct {
		const char *in, *out;
	} decoded[] = {
		{ "", "" },
		{ "a%20b", "a b" },
		{ "%41%5a%7A", "AZz" },
		{ "a+b", "a+b" },
		{ "%", NULL },
		{ "%4", NULL },
		{ "%4g", NULL },
		{ "a%00", NULL },
		{ "%2", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(decoded); i++) {
		auto_free char *got = http_decode(decoded[i].in, strlen(decoded[i].in));

		if (decoded[i].out == NULL)
			assert_null(got);
		else
			assert_string_equal(got, decoded[i].out);
	}
	auto_free char *encoded = http_encode("a b/\xc3\xa9~");
	assert_string_equal(encoded, "a%20b%2F%C3%A9~");
	auto_free char *empty = http_encode("");
	assert_string_equal(empty, "");
	auto_free char *second = http_query_get("a=1&b&a=2+3&%61=4", "a", 1);
	assert_string_equal(second, "2 3");
	auto_free char *third = http_query_get("a=1&b&a=2+3&%61=4", "a", 2);
	assert_string_equal(third, "4");
	assert_null(http_query_get("a=1", "a", 1));
	assert_true(http_query_has("a=1&b&c=", "b"));
	assert_true(http_query_has("a=1&b&c=", "c"));
	assert_false(http_query_has("ab=1", "a"));
	auto_free char *none = http_query_get("a=1&b", "b", 0);
	assert_string_equal(none, "");
}

static void
test_heads(void **state)
{
	struct http_head h;
	static const char text[] =
	    "POST /p?q HTTP/1.1\r\ncontent-length:  12\r\nExpect: x\r\n\r\nbody";

	(void)state;
	assert_int_equal(http_head_end(text, sizeof(text) - 1), sizeof(text) - 1 - 4);
	assert_int_equal(http_head_end("a\n\nb", 4), 3);
	assert_int_equal(http_head_end("a\r\n", 3), 0);
	assert_int_equal(http_head_end("\n", 1), 0);
	http_head_read(&h, text, sizeof(text) - 1 - 4);
	assert_int_equal(h.method, HTTP_POST);
	assert_string_equal(h.path, "/p");
	assert_int_equal(h.length, 12);
	assert_true(h.expects);
	free(h.path);
	/* Of two lengths the larger counts. */
	http_head_read(&h, "GET\nContent-Length: 5\nContent-Length: 7\n\n", 41);
	assert_int_equal(h.length, 7);
	assert_string_equal(h.path, "");
	free(h.path);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_request_and_answer),
		CASE(test_methods),
		CASE(test_one_after_the_other),
		CASE(test_limits),
		CASE(test_continue),
		CASE(test_slow_clients),
		CASE(test_bodies_together),
		CASE(test_connections_together),
		CASE(test_malformed),
		CASE(test_client_leaves),
		CASE(test_streams),
		CASE(test_freed_while_held),
		CASE(test_addresses),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
