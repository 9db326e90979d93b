/*
 * RPC: the envelope against every flip and cut, and server and client over a real socket, with
 * callers that are unknown, garbage at the port, and a server that goes away and comes back.
 */
#include "common/clock.h"
#include "common/id.h"
#include "common/mem.h"
#include "common/rpc_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 20000
#define MANY 500

static const uint8_t key_a[CRYPTO_KEY_LEN] = { 1, 2, 3 };
static const uint8_t key_b[CRYPTO_KEY_LEN] = { 9 };
static const uint8_t nonce[RPC_NONCE_LEN] = { 7, 7, 7 };

static int
peer_key(uint8_t key[CRYPTO_KEY_LEN], const char *peer, void *arg, struct err **err)
{
	(void)arg;
	if (strcmp(peer, "a") != 0)
		return err_set(err, ERR_DENIED, "no such peer");
	memcpy(key, key_a, CRYPTO_KEY_LEN);
	return 0;
}

/* --- the envelope --- */

static int
parse(const void *p, size_t n, char **said)
{
	struct rpc_request r;
	auto_err err = NULL;
	int rc = rpc_request_parse(&r, p, n, peer_key, NULL, &err);

	if (said != NULL)
		*said = xstrdup(err != NULL ? err_msg(err) : "");
	if (rc == 0)
		rpc_request_fini(&r);
	else
		assert_non_null(err);
	return rc;
}

static void
test_request(void **state)
{
	auto_buf b = BUF_INIT, other = BUF_INIT, stranger = BUF_INIT;
	struct rpc_request r;
	auto_err err = NULL;

	(void)state;
	rpc_request_pack(&b, "a", "task.begin", nonce, 1234, "body\0x", 6, key_a);
	assert_int_equal(rpc_request_parse(&r, (uint8_t *)b.data, b.len, peer_key, NULL, &err), 0);
	assert_string_equal(r.peer, "a");
	assert_string_equal(r.method, "task.begin");
	assert_memory_equal(r.nonce, nonce, RPC_NONCE_LEN);
	assert_int_equal(r.timeout_ms, 1234);
	assert_int_equal(r.body_len, 6);
	assert_memory_equal(r.body, "body\0x", 6);
	assert_memory_equal(rpc_request_key(&r), key_a, CRYPTO_KEY_LEN);
	rpc_request_fini(&r);

	for (size_t n = 0; n < b.len; n++)
		assert_true(parse(b.data, n, NULL) < 0);
	for (size_t i = 0; i < b.len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			b.data[i] = (char)(b.data[i] ^ (1 << bit));
			assert_true(parse(b.data, b.len, NULL) < 0);
			b.data[i] = (char)(b.data[i] ^ (1 << bit));
		}
	rpc_request_pack(&other, "a", "task.begin", nonce, 1234, "", 0, key_b);
	assert_int_equal(parse(other.data, other.len, NULL), ERR_DENIED);
	rpc_request_pack(&stranger, "b", "task.begin", nonce, 1234, "", 0, key_a);
	assert_int_equal(parse(stranger.data, stranger.len, NULL), ERR_DENIED);
}

static void
test_garbage(void **state)
{
	uint8_t b[300];

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		size_t n = (size_t)(i % sizeof(b));

		id_random_bytes(b, sizeof(b));
		assert_true(parse(b, n, NULL) < 0);
	}
	auto_free char *large = xcalloc(1, RPC_MESSAGE_MAX + 1);
	auto_free char *said = NULL;
	assert_int_equal(parse(large, RPC_MESSAGE_MAX + 1, &said), ERR_INVALID);
	assert_non_null(strstr(said, "at most"));
}

static int
reply(const struct buf *b, const uint8_t *n, const uint8_t *key, char **body, struct err **err)
{
	uint8_t *p = NULL;
	size_t len = 0;
	int rc = rpc_reply_parse(&p, &len, (uint8_t *)b->data, b->len, n, key, err);

	if (rc == 0 && body != NULL)
		*body = xstrndup((char *)p, len);
	free(p);
	return rc;
}

static void
test_reply(void **state)
{
	static const uint8_t other[RPC_NONCE_LEN] = { 8 };
	auto_buf b = BUF_INIT, refusal = BUF_INIT, bare = BUF_INIT;
	auto_err err = NULL;
	auto_err e = NULL;
	auto_err no_key = NULL;
	auto_free char *body = NULL;

	(void)state;
	rpc_reply_pack(&b, NULL, "yes", 3, nonce, key_a);
	assert_int_equal(reply(&b, nonce, key_a, &body, NULL), 0);
	assert_string_equal(body, "yes");
	/* Of another question, or by somebody else. */
	assert_int_equal(reply(&b, other, key_a, NULL, NULL), ERR_DENIED);
	assert_int_equal(reply(&b, nonce, key_b, NULL, NULL), ERR_DENIED);
	for (size_t i = 0; i < b.len; i++) {
		struct buf cut = { b.data, i, 0 };

		assert_true(reply(&cut, nonce, key_a, NULL, NULL) < 0);
		b.data[i] = (char)(b.data[i] ^ 1);
		assert_true(reply(&b, nonce, key_a, NULL, NULL) < 0);
		b.data[i] = (char)(b.data[i] ^ 1);
	}
	err_set_slug(&e, ERR_CONFLICT, "taken", "line one\nline two\x1b[31m");
	rpc_reply_pack(&refusal, e, NULL, 0, nonce, key_a);
	assert_int_equal(reply(&refusal, nonce, key_a, NULL, &err), ERR_CONFLICT);
	assert_string_equal(err->slug, "taken");
	/* A server cannot forge a line of our log. */
	assert_null(strpbrk(err_msg(err), "\n\x1b"));
	rpc_reply_pack(&bare, e, NULL, 0, NULL, NULL);
	assert_int_equal(reply(&bare, nonce, key_a, NULL, &no_key), ERR_DENIED);
	assert_non_null(strstr(err_msg(no_key), "key_file"));
}

/* --- over a socket --- */

struct fixture {
	char dir[64], path[80], url[96];
	struct loop *loop;
	struct rpc_server *server;
	struct rpc_client *client;
	int served, done, up;
	int code;
	char said[300], body[64];
	struct rpc_call *held;
	char peer[RPC_PEER_MAX + 1];
};

static void
on_echo(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct fixture *f = arg;

	f->served++;
	snprintf(f->peer, sizeof(f->peer), "%s", rpc_call_peer(call));
	rpc_reply(call, body, len);
}

static void
on_refuse(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct err *err = NULL;

	(void)body;
	(void)len;
	(void)arg;
	err_set(&err, ERR_NOTFOUND, "there is no such thing");
	rpc_fail(call, &err);
}

static void
on_hold(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct fixture *f = arg;

	(void)body;
	(void)len;
	assert_true(rpc_call_remaining_ms(call) > 0);
	f->held = call;
	f->served++;
}

static const struct rpc_method methods[] = {
	{ "echo", on_echo, 0 },
	{ "small", on_echo, 10 },
	{ "refuse", on_refuse, 0 },
	{ "hold", on_hold, 0 },
};

static void
serve(struct fixture *f)
{
	const struct rpc_server_options o = { .url = f->url,
		.methods = methods,
		.nmethods = ARRAY_LEN(methods),
		.peer_key = peer_key,
		.arg = f };
	auto_err err = NULL;

	if (rpc_server_new(&f->server, f->loop, &o, &err) != 0)
		fail_msg("%s", err_msg(err));
}

static void
on_connected(bool up, void *arg)
{
	((struct fixture *)arg)->up = up;
}

static struct rpc_client *
dial(struct fixture *f, const char *peer, const uint8_t *key, bool watched)
{
	const struct rpc_client_options o = { .url = f->url,
		.peer = peer,
		.key = key,
		.on_connected = watched ? on_connected : NULL,
		.arg = f };
	struct rpc_client *c = NULL;
	auto_err err = NULL;

	if (rpc_client_new(&c, f->loop, &o, &err) != 0)
		fail_msg("%s", err_msg(err));
	return c;
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/rpc-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	snprintf(f->url, sizeof(f->url), "ipc://%s", f->path);
	f->loop = loop_new();
	serve(f);
	f->client = dial(f, "a", key_a, true);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	rpc_client_free(f->client);
	if (f->server != NULL)
		rpc_server_free(f->server);
	loop_free(f->loop);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void
until(struct fixture *f, const int *flag, int value)
{
	int64_t deadline = clock_mono_ms() + WAIT_MS;

	while (*flag != value && clock_mono_ms() < deadline)
		loop_run_once(f->loop, 20);
	assert_int_equal(*flag, value);
}

static void
on_done(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	struct fixture *f = arg;

	f->done++;
	f->code = *err != NULL ? (int)(*err)->code : 0;
	snprintf(f->said, sizeof(f->said), "%s", *err != NULL ? err_msg(*err) : "");
	snprintf(
	    f->body, sizeof(f->body), "%.*s", (int)(*err == NULL ? len : 0), (const char *)body);
}

static void
ask(struct fixture *f, struct rpc_client *c, const char *method, const char *body, int64_t ms)
{
	f->done = 0;
	assert_true(rpc_send(c, method, body, strlen(body), ms, on_done, f) != 0);
	assert_int_equal(f->done, 0);
	until(f, &f->done, 1);
}

static void
test_calls(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, "echo", "hello", 5000);
	assert_int_equal(f->code, 0);
	assert_string_equal(f->body, "hello");
	assert_string_equal(f->peer, "a");
	ask(f, f->client, "refuse", "", 5000);
	assert_int_equal(f->code, ERR_NOTFOUND);
	assert_string_equal(f->said, "there is no such thing");
	ask(f, f->client, "nothing", "", 5000);
	assert_true(f->code != 0);
	ask(f, f->client, "small", "0123456789", 5000);
	assert_int_equal(f->code, 0);
	ask(f, f->client, "small", "0123456789a", 5000);
	assert_int_equal(f->code, ERR_INVALID);
}

static void
test_held(void **state)
{
	struct fixture *f = *state;

	rpc_send(f->client, "hold", "", 0, 5000, on_done, f);
	until(f, &f->served, 1);
	assert_int_equal(f->done, 0);
	rpc_reply(f->held, "late", 4);
	until(f, &f->done, 1);
	assert_string_equal(f->body, "late");
	/* One that is never answered ends in time; one that is cancelled says nothing. */
	ask(f, f->client, "hold", "", 50);
	assert_int_equal(f->code, ERR_UNAVAILABLE);
	rpc_reply(f->held, "too late", 8);
	f->done = 0;
	rpc_cancel(f->client, rpc_send(f->client, "echo", "x", 1, 5000, on_done, f));
	rpc_send(f->client, "echo", "y", 1, 5000, on_done, f);
	until(f, &f->done, 1);
	assert_string_equal(f->body, "y");
}

static void
test_strangers(void **state)
{
	struct fixture *f = *state;
	struct rpc_client *wrong = dial(f, "a", key_b, false);
	struct rpc_client *unknown = dial(f, "nobody", key_a, false);

	ask(f, wrong, "echo", "x", 5000);
	assert_int_equal(f->code, ERR_DENIED);
	ask(f, unknown, "echo", "x", 5000);
	assert_int_equal(f->code, ERR_DENIED);
	assert_int_equal(f->served, 0);
	rpc_client_free(wrong);
	rpc_client_free(unknown);
	ask(f, f->client, "echo", "still", 5000);
	assert_string_equal(f->body, "still");
}

static void throw(struct fixture * f, const void *p, size_t n)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_true(send(fd, p, n, MSG_NOSIGNAL) > 0);
	for (int i = 0; i < 20; i++)
		loop_run_once(f->loop, 1);
	close(fd);
}

static void
test_garbage_at_the_port(void **state)
{
	/* An SP greeting of a requester; then, as ipc frames it: type, 8-byte length, request id,
	 * bytes. */
	static const uint8_t huge[] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff };
	static const uint8_t junk[] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 11,
		0x80, 0, 0, 1, 'g', 'a', 'r', 'b', 'a', 'g', 'e' };
	static const uint8_t empty[] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4,
		0x80, 0, 0, 2 };
	static const uint8_t no_id[] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1,
		0 };
	struct fixture *f = *state;
	uint8_t noise[5000];

	id_random_bytes(noise, sizeof(noise));
	throw(f, noise, sizeof(noise));
	throw(f, huge, sizeof(huge));
	throw(f, junk, sizeof(junk));
	throw(f, empty, sizeof(empty));
	throw(f, no_id, sizeof(no_id));
	assert_int_equal(f->served, 0);
	ask(f, f->client, "echo", "still", 5000);
	assert_string_equal(f->body, "still");
}

static void
test_server_comes_back(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, "echo", "before", 5000);
	until(f, &f->up, 1);
	rpc_server_free(steal(&f->server));
	until(f, &f->up, 0);
	ask(f, f->client, "echo", "nobody", 100);
	assert_int_equal(f->code, ERR_UNAVAILABLE);
	unlink(f->path);
	serve(f);
	until(f, &f->up, 1);
	ask(f, f->client, "echo", "after", 5000);
	assert_string_equal(f->body, "after");
}

static void
test_many_at_once(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < MANY; i++)
		rpc_send(f->client, "echo", "x", 1, 15000, on_done, f);
	until(f, &f->done, MANY);
	assert_int_equal(f->code, 0);
	assert_int_equal(f->served, MANY);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_reply),
		CASE(test_calls),
		CASE(test_held),
		CASE(test_strangers),
		CASE(test_garbage_at_the_port),
		CASE(test_server_comes_back),
		CASE(test_many_at_once),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
