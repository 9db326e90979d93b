/*
 * The s3 back end against servers that answer oddly: a server of the test's own, on its own thread.
 * How it does on a real one: tests/store/test_objects_s3.c.
 */
#include "common/objstore.h"

#include "common/clock.h"
#include "common/http_server.h"
#include "common/mem.h"
#include "common/s3_answer.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct server;
typedef void (*answer_fn)(struct server *s, struct http_req *req);

struct server {
	struct loop *loop;
	struct http_server *http;
	pthread_t thread;
	answer_fn answer;
	atomic_int requests, puts, heads, conditions;
	struct http_req *held;
	atomic_bool holding;
};

struct fixture {
	struct server server;
	struct objstore *store;
};

static void
reply(struct http_req *req, int status, const char *text)
{
	http_reply(req, status, "application/xml", text, strlen(text));
}

static void
on_request(struct http_req *req, void *arg)
{
	struct server *s = arg;
	enum http_method method = http_req_method(req);

	atomic_fetch_add(&s->requests, 1);
	atomic_fetch_add(&s->puts, method == HTTP_PUT);
	atomic_fetch_add(&s->heads, method == HTTP_HEAD);
	atomic_fetch_add(&s->conditions, http_req_header(req, "if-none-match") != NULL);
	s->answer(s, req);
}

static void *
serve(void *arg)
{
	loop_run(((struct server *)arg)->loop);
	return NULL;
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct server *s = &f->server;
	auto_err err = NULL;
	auto_free char *url = NULL;
	struct http_server_options opt = { .handler = on_request, .body_max = 1u << 20, .arg = s };

	s->loop = loop_new();
	opt.listen = "127.0.0.1:0";
	assert_int_equal(http_server_new(&s->http, s->loop, &opt, &err), 0);
	url = xasprintf("http://127.0.0.1:%d", http_server_port(s->http));
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	const struct objstore_s3_options o = { .endpoint = url,
		.url_endpoint = "https://objects.example.org:443/",
		.bucket = "b",
		.region = "us-east-1",
		.access_key = "A",
		.secret_key = "S" };
	assert_int_equal(objstore_s3_new(&f->store, &o, &err), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	struct server *s = &f->server;

	f->store->ops->free(f->store);
	loop_quit(s->loop);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	if (s->held != NULL)
		reply(s->held, 200, "");
	http_server_close(s->http);
	loop_run_once(s->loop, 0);
	http_server_free(s->http);
	loop_free(s->loop);
	free(f);
	return 0;
}

static int
put(const struct fixture *f, const char *key)
{
	return f->store->ops->put(f->store, key, "x", 1, NULL);
}

/* --- a server without conditions --- */

static atomic_bool there;

static void
without_conditions(struct server *s, struct http_req *req)
{
	(void)s;
	if (http_req_header(req, "if-none-match") != NULL)
		reply(req, 501, "<Error><Code>NotImplemented</Code></Error>");
	else if (http_req_method(req) == HTTP_HEAD)
		reply(req, atomic_load(&there) ? 200 : 404, "");
	else
		reply(req, 200, "");
}

static void
test_asks_where_conditions_are_not_known(void **state)
{
	struct fixture *f = *state;

	f->server.answer = without_conditions;
	atomic_store(&there, false);
	assert_int_equal(put(f, "k"), 0);
	assert_int_equal(atomic_load(&f->server.puts), 2);
	assert_int_equal(atomic_load(&f->server.heads), 1);
	/* The next one knows. */
	assert_int_equal(put(f, "l"), 0);
	assert_int_equal(atomic_load(&f->server.conditions), 1);
	assert_int_equal(atomic_load(&f->server.puts), 3);
	atomic_store(&there, true);
	assert_int_equal(put(f, "k"), ERR_CONFLICT);
	assert_int_equal(atomic_load(&f->server.puts), 3);
}

/* --- broken answers --- */

struct odd {
	int status;
	const char *range, *body;
	int code; /* of get at 2, at most 3 bytes */
};
static _Atomic(const struct odd *) odd_now;

static void
oddly(struct server *s, struct http_req *req)
{
	const struct odd *o = atomic_load(&odd_now);

	(void)s;
	if (o->range != NULL)
		http_reply_header(req, "Content-Range", o->range);
	reply(req, o->status, o->body);
}

static void
test_odd_answers(void **state)
{
	static const struct odd cases[] = {
		{ 206, "bytes 2-4/9", "abc", 0 },
		{ 206, "bytes 2-3/4", "ab", 0 },
		{ 200, NULL, "..abc....", 0 },         /* the range was ignored */
		{ 200, NULL, ".", 0 },                 /* ... and there is less */
		{ 206, NULL, "abc", ERR_UNAVAILABLE }, /* which part of it? */
		{ 206, "bytes 0-2/9", "abc", ERR_UNAVAILABLE },
		{ 206, "bytes 2-4/9", "ab", ERR_UNAVAILABLE },
		{ 206, "bytes 2-5/9", "abcd", ERR_UNAVAILABLE },
		{ 206, "bytes nonsense", "abc", ERR_UNAVAILABLE },
		{ 204, NULL, "", ERR_UNAVAILABLE },
		{ 301, NULL, "", ERR_UNAVAILABLE },
		{ 404, NULL, "<Error><Code>NoSuchKey</Code></Error>", ERR_NOTFOUND },
		{ 404, NULL, "<Error><Code>NoSuchBucket</Code></Error>", ERR_UNAVAILABLE },
		{ 403, NULL, "not xml", ERR_UNAVAILABLE },
		{ 500, NULL, "<Code></Code><Message>", ERR_UNAVAILABLE },
	};
	struct fixture *f = *state;

	f->server.answer = oddly;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free uint8_t *data = NULL;
		auto_err err = NULL;
		uint64_t total = 0;
		size_t n = 0;
		int rc;

		atomic_store(&odd_now, &cases[i]);
		rc = f->store->ops->get(&data, &n, &total, f->store, "k", 2, 3, &err);
		if (rc != cases[i].code)
			fail_msg("case %zu: %d, %s", i, rc, err_msg(err));
		assert_true((rc == 0) == (data != NULL));
		if (rc == 0)
			assert_memory_equal(data, "abc", n);
		assert_true(n <= 3 && (rc != 0 || total <= 9));
	}
}

static void
test_too_large_an_answer(void **state)
{
	static char large[100u << 10];
	static const struct odd answer = { 500, NULL, large, 0 };
	struct fixture *f = *state;

	memset(large, 'x', sizeof(large) - 1);
	f->server.answer = oddly;
	atomic_store(&odd_now, &answer);
	assert_int_not_equal(put(f, "k"), 0);
}

/* --- a server that does not answer --- */

static void
hold(struct server *s, struct http_req *req)
{
	s->held = req;
	atomic_store(&s->holding, true);
}

struct putter {
	const struct fixture *f;
	int rc;
};

static void *
put_on_thread(void *arg)
{
	struct putter *p = arg;

	p->rc = put(p->f, "k");
	return NULL;
}

static void
test_stop(void **state)
{
	struct fixture *f = *state;
	struct putter p = { .f = f };
	pthread_t thread;
	int64_t from = clock_mono_ms();

	f->server.answer = hold;
	assert_int_equal(pthread_create(&thread, NULL, put_on_thread, &p), 0);
	while (!atomic_load(&f->server.holding) && clock_mono_ms() < from + 20000)
		sched_yield();
	f->store->ops->stop(f->store);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(p.rc, ERR_CANCELED);
	assert_int_equal(put(f, "k"), ERR_CANCELED);
	assert_int_equal(atomic_load(&f->server.requests), 1);
}

/* --- URLs, options --- */

static void
test_urls_are_for_others(void **state)
{
	const struct fixture *f = *state;
	auto_free char *url = f->store->ops->sign(f->store, "GET", "a/b", 4102444800);

	/* The default port is not in the Host header, so not in what is signed. */
	assert_int_equal(strncmp(url, "https://objects.example.org/b/a/b?X-Amz-", 40), 0);
	assert_non_null(strstr(url, "&X-Amz-Expires=604800&"));
}

static void
test_options(void **state)
{
	const struct objstore_s3_options good = { .endpoint = "https://s3.example.org:8443/",
		.bucket = "my-bucket.1",
		.region = "eu-west-1",
		.access_key = "A",
		.secret_key = "S" };
	static const char *const bad[] = { "s3.example.org", "ftp://s3", "http://",
		"http://h/bucket", "http://h?x", "http://u@h", "http://h\n" };
	struct objstore_s3_options o = good;
	auto_err err = NULL;

	(void)state;
	assert_int_equal(objstore_s3_check(&o, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		o = good;
		o.endpoint = bad[i];
		assert_int_equal(objstore_s3_check(&o, NULL), ERR_INVALID);
		o = good;
		o.url_endpoint = bad[i];
		assert_int_equal(objstore_s3_check(&o, NULL), ERR_INVALID);
	}
	o = good;
	o.bucket = "a/b";
	assert_int_equal(objstore_s3_check(&o, NULL), ERR_INVALID);
	o = good;
	o.region = "";
	assert_int_equal(objstore_s3_check(&o, NULL), ERR_INVALID);
	o = good;
	o.access_key = NULL;
	assert_int_equal(objstore_s3_check(&o, NULL), ERR_INVALID);
	o = good;
	o.access_key = "a\r\nb";
	assert_int_equal(objstore_s3_check(&o, NULL), ERR_INVALID);
	o = good;
	o.secret_key = "";
	assert_int_equal(objstore_s3_check(&o, NULL), ERR_INVALID);
}

static void
test_answers(void **state)
{
	static const char text[] = "<Error><Code>No\nSuch</Code><Message>why \x7f not</Message>";
	struct s3_refusal r;
	struct s3_range range;
	uint64_t n;

	(void)state;
	s3_refusal_parse(&r, text, strlen(text));
	assert_string_equal(r.code, "No Such");
	assert_string_equal(r.message, "why   not");
	s3_refusal_parse(&r, "<Codes>x", 8);
	assert_string_equal(r.code, "");
	assert_true(s3_range_parse(&range, "bytes 3-9/42"));
	assert_true(range.first == 3 && range.n == 7 && range.total == 42);
	assert_true(s3_range_parse(&range, "bytes */42"));
	assert_true(range.first == 42 && range.n == 0 && range.total == 42);
	assert_false(s3_range_parse(&range, NULL));
	assert_false(s3_range_parse(&range, "bytes 3-9/*"));
	assert_false(s3_range_parse(&range, "bytes 3-42/42"));
	assert_false(s3_range_parse(&range, "bytes 3-9/99999999999999999999"));
	assert_true(s3_length_parse(&n, "42") && n == 42);
	assert_false(s3_length_parse(&n, "42x"));
	assert_false(s3_length_parse(&n, "-1"));
	assert_false(s3_length_parse(&n, ""));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_asks_where_conditions_are_not_known),
		T(test_odd_answers),
		T(test_too_large_an_answer),
		T(test_stop),
		T(test_urls_are_for_others),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_answers),
	};

	crypto_init();
	return cmocka_run_group_tests_name("objstore_s3", tests, NULL, NULL);
}
