/*
 * The HTTP client against a scripted server on a thread: what is asked for by path is what it does.
 */
#include "common/clock.h"
#include "common/httpc.h"
#include "common/mem.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 10000
#define BIG (3u << 20)

struct server {
	int fd;
	pthread_t thread;
	char dir[64], path[96];
};

struct fixture {
	struct server server;
	struct loop *loop;
	struct httpc *http;
	struct httpc_req *req, *other;
	int done, other_done;
	long status;
	struct buf body;
	char error[1024];
	int code;
	/* streams */
	struct httpc_stream *stream;
	int opened, closed, drained;
	bool free_on_data;
};

/* --- the server --- */

static void
say(int fd, const char *text)
{
	size_t n = strlen(text);

	while (n > 0) {
		ssize_t k = send(fd, text, n, MSG_NOSIGNAL);
		if (k <= 0)
			return;
		text += k;
		n -= (size_t)k;
	}
}

static void
say_many(int fd, size_t n)
{
	char line[4097];

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (; n > 0; n -= n < 4096 ? n : 4096)
		say(fd, n < 4096 ? line + 4096 - n : line);
}

/* Reads up to the end of the header; what came after it is returned in rest. */
static bool
read_head(int fd, char *head, size_t size, size_t *rest)
{
	size_t n = 0;

	while (n < size - 1) {
		ssize_t k = recv(fd, head + n, size - 1 - n, 0);
		char *end;

		if (k <= 0)
			return false;
		n += (size_t)k;
		head[n] = '\0';
		end = strstr(head, "\r\n\r\n");
		if (end != NULL) {
			*rest = n - (size_t)(end + 4 - head);
			return true;
		}
	}
	return false;
}

static void
echo(int fd)
{
	char b[65536];
	ssize_t k;

	while ((k = recv(fd, b, sizeof(b), 0)) > 0)
		for (ssize_t at = 0, w; at < k; at += w)
			if ((w = send(fd, b + at, (size_t)(k - at), MSG_NOSIGNAL)) <= 0)
				return;
}

/* Reads the whole body and says how long it was and of what type. */
static void
measure(int fd, const char *head, size_t have)
{
	const char *length = strstr(head, "Content-Length: ");
	size_t want = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
	char b[65536], text[64], answer[256];
	int n;

	while (have < want) {
		ssize_t k = recv(fd, b, sizeof(b), 0);
		if (k <= 0)
			return;
		have += (size_t)k;
	}
	n = snprintf(text, sizeof(text), "%.4s %zu %s", head, have,
	    strstr(head, "Content-Type: ") != NULL ? "typed" : "untyped");
	snprintf(
	    answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, text);
	say(fd, answer);
}

static void
serve(int fd)
{
	char head[16384];
	size_t rest = 0;

	if (!read_head(fd, head, sizeof(head), &rest))
		return;
	if (strstr(head, " /hello ")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	} else if (strstr(head, " /measure ")) {
		measure(fd, head, rest);
	} else if (strstr(head, " /big ")) {
		say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
		say_many(fd, BIG);
	} else if (strstr(head, " /missing ")) {
		say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such");
	} else if (strstr(head, " /half ")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
	} else if (strstr(head, " /silent") != NULL) {
		(void)!recv(fd, head, 1, 0); /* until the client leaves */
	} else if (strstr(head, " /echo ")) {
		say(fd,
		    "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst");
		echo(fd);
	} else if (strstr(head, " /bye ")) {
		say(fd, "HTTP/1.1 101 UPGRADED\r\n\r\nbye");
	} else if (strstr(head, " /endless-head ")) {
		say(fd, "HTTP/1.1 101 UPGRADED\r\nX: ");
		say_many(fd, BIG);
	} else {
		say(fd, "what is this\r\n\r\n");
	}
}

static void *
server_main(void *arg)
{
	struct server *s = arg;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		serve(fd);
		close(fd);
	}
	return NULL;
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(f->server.dir, sizeof(f->server.dir), "/tmp/httpc-XXXXXX");
	assert_non_null(mkdtemp(f->server.dir));
	snprintf(f->server.path, sizeof(f->server.path), "%s/s", f->server.dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", f->server.path);
	f->server.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->server.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(f->server.fd, 128), 0);
	assert_int_equal(pthread_create(&f->server.thread, NULL, server_main, &f->server), 0);
	f->loop = loop_new();
	f->http = httpc_new(f->loop);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	if (f->stream != NULL)
		httpc_stream_free(f->stream);
	httpc_free(f->http);
	loop_free(f->loop);
	shutdown(f->server.fd, SHUT_RDWR);
	pthread_join(f->server.thread, NULL);
	close(f->server.fd);
	unlink(f->server.path);
	rmdir(f->server.dir);
	buf_free(&f->body);
	free(f);
	return 0;
}

/* --- requests --- */

static void
on_done(struct httpc_response *resp, struct err **err, void *arg)
{
	struct fixture *f = arg;

	f->done++;
	f->req = NULL;
	f->status = resp->status;
	f->code = *err != NULL ? (int)(*err)->code : 0;
	snprintf(f->error, sizeof(f->error), "%s", *err != NULL ? err_msg(*err) : "");
	if (resp->body.len > 0)
		buf_append(&f->body, resp->body.data, resp->body.len);
}

static struct httpc_options
options(struct fixture *f, const char *method, const char *url)
{
	return (struct httpc_options){
		.method = method,
		.url = url,
		.unix_socket = f->server.path,
		.max_body = 4096,
		.done = on_done,
		.arg = f,
	};
}

static void
until(struct fixture *f, const int *flag)
{
	int64_t deadline = clock_mono_ms() + WAIT_MS;

	while (*flag == 0 && clock_mono_ms() < deadline)
		loop_run_once(f->loop, 100);
	assert_true(*flag > 0);
}

static void
ask(struct fixture *f, const struct httpc_options *opt)
{
	f->done = 0;
	buf_clear(&f->body);
	f->req = httpc_start(f->http, opt);
	assert_int_equal(f->done, 0);
	until(f, &f->done);
}

static void
test_answers(void **state)
{
	struct fixture *f = *state;
	struct httpc_options opt = options(f, "GET", "http://engine/hello");

	ask(f, &opt);
	assert_int_equal(f->code, 0);
	assert_int_equal(f->status, 200);
	assert_string_equal(buf_str(&f->body), "hello");

	opt = options(f, "HEAD", "http://engine/hello");
	ask(f, &opt);
	assert_int_equal(f->status, 200);
	assert_int_equal(f->body.len, 0);

	opt = options(f, "GET", "http://engine/missing");
	ask(f, &opt);
	assert_int_equal(f->code, 0);
	assert_int_equal(f->status, 404);
	assert_string_equal(buf_str(&f->body), "no such");
}

static void
test_bodies_sent(void **state)
{
	struct fixture *f = *state;
	struct httpc_options opt = options(f, "PUT", "http://engine/measure");
	const char *headers[] = { "Content-Type: application/json", NULL };
	char *body = xcalloc(1, BIG);

	opt.body = body;
	opt.body_len = BIG;
	ask(f, &opt);
	assert_string_equal(buf_str(&f->body), "PUT  3145728 untyped");
	free(body);

	opt = options(f, "POST", "http://engine/measure");
	opt.body = "{}";
	opt.body_len = 2;
	opt.headers = headers;
	ask(f, &opt);
	assert_string_equal(buf_str(&f->body), "POST 2 typed");

	opt = options(f, "POST", "http://engine/measure");
	ask(f, &opt);
	assert_string_equal(buf_str(&f->body), "POST 0 untyped");
}

static void
test_failures(void **state)
{
	struct fixture *f = *state;
	struct httpc_options opt = options(f, "GET", "http://engine/big");

	ask(f, &opt);
	assert_int_equal(f->code, ERR_INVALID);
	assert_string_equal(
	    f->error, "GET http://engine/big: the answer is larger than 4096 bytes");

	opt = options(f, "GET", "http://engine/half");
	ask(f, &opt);
	assert_int_equal(f->code, ERR_UNAVAILABLE);

	opt = options(f, "GET", "http://engine/nonsense");
	ask(f, &opt);
	assert_true(f->code != 0);

	opt = options(f, "GET", "gopher://engine/hello");
	ask(f, &opt);
	assert_int_equal(f->code, ERR_INVALID);

	opt = options(f, "GET", "http://engine/hello");
	opt.unix_socket = "/nonexistent/socket";
	ask(f, &opt);
	assert_int_equal(f->code, ERR_UNAVAILABLE);
}

static void
test_a_signature_stays_out_of_errors(void **state)
{
	struct fixture *f = *state;
	struct httpc_options opt = options(f, "GET", "http://engine/silent?signature=s3cret");

	opt.timeout_ms = 50;
	ask(f, &opt);
	assert_int_equal(f->code, ERR_UNAVAILABLE);
	assert_non_null(strstr(f->error, "http://engine/silent: "));
	assert_null(strstr(f->error, "s3cret"));
}

static int
collect(const void *p, size_t n, void *arg)
{
	struct fixture *f = arg;

	buf_append(&f->body, p, n);
	return 0;
}

static int
give_up(const void *p, size_t n, void *arg)
{
	(void)p;
	(void)n;
	(void)arg;
	return 1;
}

static void
on_other_done(struct httpc_response *resp, struct err **err, void *arg)
{
	struct fixture *f = arg;

	f->other_done++;
	assert_null(*err);
	assert_string_equal(buf_str(&resp->body), "hello");
}

/* From inside curl: stops itself and another one, and starts a third. */
static int
rearrange(const void *p, size_t n, void *arg)
{
	struct fixture *f = arg;
	struct httpc_options opt = options(f, "GET", "http://engine/hello");

	(void)p;
	(void)n;
	opt.done = on_other_done;
	httpc_start(f->http, &opt);
	httpc_cancel(f->req);
	httpc_cancel(f->other);
	return 0;
}

static void
test_streaming(void **state)
{
	struct fixture *f = *state;
	struct httpc_options opt = options(f, "GET", "http://engine/big");

	opt.on_data = collect;
	ask(f, &opt);
	assert_int_equal(f->code, 0);
	assert_int_equal(f->body.len, BIG);

	opt.on_data = give_up;
	ask(f, &opt);
	assert_int_equal(f->code, ERR_CANCELED);

	/* A refusal does not go down the stream. */
	opt = options(f, "GET", "http://engine/missing");
	opt.on_data = give_up;
	ask(f, &opt);
	assert_int_equal(f->code, 0);
	assert_int_equal(f->status, 404);
	assert_string_equal(buf_str(&f->body), "no such");
}

static void
test_rearranged_from_inside(void **state)
{
	struct fixture *f = *state;
	struct httpc_options opt = options(f, "GET", "http://engine/big");
	struct httpc_options never = options(f, "GET", "http://engine/silent");

	opt.on_data = rearrange;
	f->req = httpc_start(f->http, &opt);
	f->other = httpc_start(f->http, &never);
	until(f, &f->other_done);
	assert_int_equal(f->done, 0);
}

static void
test_cancel(void **state)
{
	struct fixture *f = *state;
	struct httpc_options opt = options(f, "GET", "http://engine/silent");
	struct httpc_options hello = options(f, "GET", "http://engine/hello");

	httpc_cancel(httpc_start(f->http, &opt));
	ask(f, &hello);
	assert_int_equal(f->done, 1);
	/* One that is never answered ends with the client, without a callback. */
	httpc_start(f->http, &opt);
	loop_run_once(f->loop, 0);
	assert_int_equal(f->done, 1);
}

/* --- streams --- */

static void
s_open(struct err **err, void *arg)
{
	struct fixture *f = arg;

	f->opened++;
	f->code = *err != NULL ? (int)(*err)->code : 0;
	snprintf(f->error, sizeof(f->error), "%s", *err != NULL ? err_msg(*err) : "");
}

static void
s_data(const uint8_t *p, size_t n, void *arg)
{
	struct fixture *f = arg;

	buf_append(&f->body, p, n);
	if (f->free_on_data) {
		httpc_stream_free(steal(&f->stream));
		f->closed++;
	}
}

static void
s_close(struct err **err, void *arg)
{
	struct fixture *f = arg;

	f->closed++;
	f->code = *err != NULL ? (int)(*err)->code : 0;
}

static void
s_drain(void *arg)
{
	((struct fixture *)arg)->drained++;
}

static void
dial(struct fixture *f, const char *url, int64_t timeout_ms)
{
	struct httpc_stream_options opt = {
		.method = "POST",
		.url = url,
		.unix_socket = f->server.path,
		.upgrade = "tcp",
		.timeout_ms = timeout_ms,
		.on_open = s_open,
		.on_data = s_data,
		.on_close = s_close,
		.on_drain = s_drain,
		.arg = f,
	};

	f->stream = httpc_stream_open(f->http, &opt);
	assert_int_equal(f->opened, 0);
	until(f, &f->opened);
}

static void
body_of(struct fixture *f, size_t n)
{
	int64_t deadline = clock_mono_ms() + WAIT_MS;

	while (f->body.len < n && clock_mono_ms() < deadline)
		loop_run_once(f->loop, 100);
	assert_int_equal(f->body.len, n);
}

static void
test_stream_echo(void **state)
{
	struct fixture *f = *state;
	char *bytes = xmalloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		bytes[i] = (char)(i * 31 + i / 256);
	dial(f, "http://engine/echo", 5000);
	assert_int_equal(f->code, 0);
	/* Bytes that came with the header are the stream's first. */
	body_of(f, 5);
	assert_memory_equal(f->body.data, "first", 5);
	buf_clear(&f->body);
	httpc_stream_write(f->stream, bytes, BIG);
	assert_true(httpc_stream_pending(f->stream) > 0);
	body_of(f, BIG);
	assert_memory_equal(f->body.data, bytes, BIG);
	until(f, &f->drained);
	assert_int_equal(httpc_stream_pending(f->stream), 0);
	free(bytes);
}

static void
test_stream_pause(void **state)
{
	struct fixture *f = *state;

	dial(f, "http://engine/echo", 5000);
	body_of(f, 5);
	httpc_stream_pause(f->stream, true);
	httpc_stream_write(f->stream, "abc", 3);
	for (int i = 0; i < 20; i++)
		loop_run_once(f->loop, 5);
	assert_int_equal(f->body.len, 5);
	httpc_stream_pause(f->stream, false);
	body_of(f, 8);
}

static void
test_stream_ends(void **state)
{
	struct fixture *f = *state;

	dial(f, "http://engine/bye", 5000);
	body_of(f, 3);
	until(f, &f->closed);
	assert_int_equal(f->code, 0);
	httpc_stream_write(f->stream, "late", 4); /* goes nowhere */
	assert_int_equal(httpc_stream_pending(f->stream), 0);
}

static void
test_stream_freed_in_callback(void **state)
{
	struct fixture *f = *state;

	f->free_on_data = true;
	dial(f, "http://engine/bye", 5000);
	until(f, &f->closed);
	assert_string_equal(buf_str(&f->body), "bye");
}

static void
refused_with(struct fixture *f, const char *url, int64_t timeout_ms, int code, const char *text)
{
	f->opened = 0;
	dial(f, url, timeout_ms);
	assert_int_equal(f->code, code);
	assert_non_null(strstr(f->error, text));
	assert_int_equal(f->closed, 0);
	httpc_stream_free(steal(&f->stream));
}

static void
test_stream_refused(void **state)
{
	struct fixture *f = *state;

	refused_with(f, "http://engine/missing", 5000, ERR_NOTFOUND, "no such");
	refused_with(f, "http://engine/hello", 5000, ERR_UNAVAILABLE, "answered 200");
	refused_with(f, "http://engine/nonsense", 5000, ERR_UNAVAILABLE, "instead of upgrading");
	refused_with(f, "http://engine/endless-head", 5000, ERR_UNAVAILABLE, "answered 0");
	refused_with(f, "http://engine/silent", 50, ERR_UNAVAILABLE, "no upgrade within 50 ms");
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_answers),
		CASE(test_bodies_sent),
		CASE(test_failures),
		CASE(test_a_signature_stays_out_of_errors),
		CASE(test_streaming),
		CASE(test_rearranged_from_inside),
		CASE(test_cancel),
		CASE(test_stream_echo),
		CASE(test_stream_pause),
		CASE(test_stream_ends),
		CASE(test_stream_freed_in_callback),
		CASE(test_stream_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
