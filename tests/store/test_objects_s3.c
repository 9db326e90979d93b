/*
 * The s3 back end against a real server (tests/lib/s3.sh): what every back end has to do, presigned
 * URLs, a server that is away or refuses us, runservices that share a bucket.
 */
#include "common/objstore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/httpc_sync.h"
#include "common/mem.h"
#include "runservice/runservice.h"
#include "tests/lib/objstore_suite.h"
#include "tests/lib/rs_peer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *
env(const char *name)
{
	const char *s = getenv(name); /* NOLINT(concurrency-mt-unsafe): no other thread sets it */

	if (s == NULL)
		fail_msg("%s is not set; use tests/lib/s3.sh run", name);
	return s;
}

static struct objstore_s3_options
options(void)
{
	return (struct objstore_s3_options){ .endpoint = env("MILLRACE_TEST_S3"),
		.bucket = env("MILLRACE_TEST_S3_BUCKET"),
		.region = env("MILLRACE_TEST_S3_REGION"),
		.access_key = env("MILLRACE_TEST_S3_ACCESS_KEY"),
		.secret_key = env("MILLRACE_TEST_S3_SECRET_KEY") };
}

static struct objstore *
open_store(const struct objstore_s3_options *o)
{
	struct objstore *store = NULL;
	auto_err err = NULL;

	if (objstore_s3_new(&store, o, &err) != 0)
		fail_msg("%s", err_msg(err));
	return store;
}

struct fixture {
	struct objstore_suite suite; /* first: cases of the suite see only this */
	struct httpc_sync *http;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	const struct objstore_s3_options o = options();

	objstore_suite_init(&f->suite, open_store(&o));
	f->http = httpc_sync_new("test");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	f->suite.store->ops->free(f->suite.store);
	httpc_sync_free(f->http);
	free(f);
	return 0;
}

/* --- URLs --- */

static long
fetch(const struct fixture *f, const char *method, const char *url, const char *body,
    struct buf *answer)
{
	auto_response resp;
	auto_err err = NULL;
	const struct httpc_options opt = { .method = method,
		.url = url,
		.body = body,
		.body_len = body != NULL ? strlen(body) : 0,
		.max_body = 1u << 20,
		.timeout_ms = 20000 };

	if (httpc_sync_do(&resp, f->http, &opt, &err) != 0)
		fail_msg("%s", err_msg(err));
	if (answer != NULL)
		buf_append(answer, resp.body.len > 0 ? resp.body.data : "", resp.body.len);
	return resp.status;
}

static char *
sign(const struct fixture *f, struct objstore *store, const char *method, const char *key,
    int64_t seconds)
{
	auto_free char *full = objstore_suite_key(&f->suite, key);

	return store->ops->sign(store, method, full, clock_wall_ms() / 1000 + seconds);
}

static char *
replaced(const char *text, const char *what, const char *by)
{
	const char *at = strstr(text, what);

	assert_non_null(at);
	return xasprintf("%.*s%s%s", (int)(at - text), text, by, at + strlen(what));
}

static void
urls_do_what_they_were_made_for(void **state)
{
	const struct fixture *f = *state;
	auto_free char *put = sign(f, f->suite.store, "PUT", "u/part", 60);
	auto_free char *get = sign(f, f->suite.store, "GET", "u/part", 60);
	auto_buf body = BUF_INIT;

	assert_int_equal(fetch(f, "PUT", put, "a part", NULL), 200);
	assert_int_equal(fetch(f, "PUT", put, "a part", NULL), 200); /* said again */
	assert_int_equal(fetch(f, "GET", get, NULL, &body), 200);
	assert_string_equal(buf_str(&body), "a part");
	objstore_suite_expect(&f->suite, "u/part", 0, 100, "a part", 6);
}

static void
urls_do_nothing_else(void **state)
{
	const struct fixture *f = *state;
	struct objstore *store = f->suite.store;
	auto_free char *put = sign(f, store, "PUT", "u/only", 60);
	auto_free char *get = sign(f, store, "GET", "u/only", 60);
	auto_free char *late_put = sign(f, store, "PUT", "u/only", -1);
	auto_free char *late_get = sign(f, store, "GET", "u/only", -1);
	auto_free char *other_key = replaced(put, "u/only?", "u/other?");
	auto_free char *longer = replaced(put, "X-Amz-Expires=60", "X-Amz-Expires=600");
	auto_free char *no_signature = xstrndup(put, (size_t)(strstr(put, "?") - put));
	struct objstore_s3_options o = options();
	o.secret_key = "another";
	struct objstore *stranger = open_store(&o);
	auto_free char *forged_put = sign(f, stranger, "PUT", "u/only", 60);
	auto_free char *forged_get = sign(f, stranger, "GET", "u/only", 60);

	stranger->ops->free(stranger);
	const char *const refused_puts[] = { get, late_put, other_key, longer, no_signature,
		forged_put };
	for (size_t i = 0; i < ARRAY_LEN(refused_puts); i++)
		assert_int_equal(fetch(f, "PUT", refused_puts[i], "x", NULL), 403);
	assert_int_equal(objstore_suite_put(&f->suite, "u/only", "kept"), 0);
	const char *const refused_gets[] = { put, late_get, forged_get, no_signature };
	for (size_t i = 0; i < ARRAY_LEN(refused_gets); i++) {
		auto_buf body = BUF_INIT;

		assert_int_equal(fetch(f, "GET", refused_gets[i], NULL, &body), 403);
		assert_null(strstr(buf_str(&body), "kept"));
	}
	assert_int_equal(fetch(f, "DELETE", get, NULL, NULL), 403);
	assert_int_equal(fetch(f, "DELETE", put, NULL, NULL), 403);
	objstore_suite_expect(&f->suite, "u/only", 0, 100, "kept", 4);
}

/* --- refusals and outages --- */

static void
expect_unavailable(struct objstore *store, const char *says)
{
	auto_free uint8_t *data = NULL;
	uint64_t total = 0;
	size_t n = 0;
	auto_err put = NULL;
	auto_err get = NULL;
	auto_err del = NULL;

	assert_int_equal(store->ops->put(store, "k", "x", 1, &put), ERR_UNAVAILABLE);
	assert_int_equal(
	    store->ops->get(&data, &n, &total, store, "k", 0, 1, &get), ERR_UNAVAILABLE);
	assert_int_equal(store->ops->del(store, "k", &del), ERR_UNAVAILABLE);
	if (strstr(err_msg(put), says) == NULL || strstr(err_msg(get), says) == NULL ||
	    strstr(err_msg(del), says) == NULL)
		fail_msg("%s; %s; %s", err_msg(put), err_msg(get), err_msg(del));
}

/* What whoever runs the store can heal is worth another try, and the message says what it is. */
static void
refusals_are_told_apart(void **state)
{
	const struct {
		struct objstore_s3_options o;
		const char *says;
	} cases[] = {
		{ options(), "SignatureDoesNotMatch" },
		{ options(), "InvalidAccessKeyId" },
		{ options(), "NoSuchBucket" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct objstore_s3_options o = cases[i].o;
		if (i == 0)
			o.secret_key = "wrong";
		else if (i == 1)
			o.access_key = "NOBODY";
		else
			o.bucket = "not-there";
		struct objstore *store = open_store(&o);

		expect_unavailable(store, cases[i].says);
		store->ops->free(store);
	}
}

static void
script(const char *command)
{
	auto_free char *cmd = xasprintf(
	    "%s %s %s", env("MILLRACE_TEST_S3_SCRIPT"), command, env("MILLRACE_TEST_S3_DIR"));

	assert_int_equal(system(cmd), 0); /* NOLINT(cert-env33-c): a test's own command */
}

static void
a_server_that_comes_back(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(objstore_suite_put(&f->suite, "before", "1"), 0);
	script("pause");
	expect_unavailable(f->suite.store, "onnect");
	script("resume");
	assert_int_equal(objstore_suite_put(&f->suite, "after", "2"), 0);
	objstore_suite_expect(&f->suite, "before", 0, 10, "1", 1);
}

/* --- runservices --- */

static void
one_task(struct rs_peer *p, uint64_t *number, char task_id[ID_LEN + 1])
{
	static const struct rs_peer_task tasks[] = { { .name = "task", .nsteps = 1 } };
	struct rs_executor *ex = &p->ex[0];
	uint64_t stored = 0;

	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	*number = rs_peer_run(p, "main", tasks, 1, NULL);
	struct rs_offer o = rs_ex_offer(ex);
	memcpy(task_id, o.task_id, sizeof(o.task_id));
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_log(ex, &o, 0, 0, "kept by S3\n", 11, true, NULL, &stored), 0);
	assert_int_equal(stored, 11);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
}

/* Another runservice, on another host as it were, serves what the first one stored. */
static void
runservices_share_a_bucket(void **state)
{
	struct rs_peer *p = *state;
	char task_id[ID_LEN + 1];
	uint64_t number = 0;
	int code = 0;

	assert_true(rs_peer_s3(p));
	one_task(p, &number, task_id);
	char *data_dir = p->cfg.data_dir;
	struct rs_config second_cfg = p->cfg;
	void *second = NULL;
	auto_err err = NULL;
	auto_free char *rpc = xasprintf("ipc://%s/rpc2", p->dir);
	auto_free char *http = xasprintf("unix:%s/http2", p->dir);
	auto_free char *other_dir = xasprintf("%s/data2", p->dir);
	second_cfg.rpc_listen = rpc;
	second_cfg.http_listen = http;
	second_cfg.data_dir = other_dir;
	if (rs_start(&second, p->loop, &second_cfg, &err) != 0)
		fail_msg("%s", err_msg(err));
	assert_false(((struct rs *)second)->serving);
	assert_true(((struct rs *)p->rs)->serving);
	rs_peer_stop(p);
	rs_peer_until(p, &((struct rs *)second)->serving, "the second runservice to lead");
	rs_stop(second);
	/* The same once more with its directory, so that the clients find it. */
	p->cfg.data_dir = other_dir;
	rs_peer_start(p);
	auto_free char *log = rs_peer_log(p, number, task_id, 0, &code);
	assert_string_equal(log, "kept by S3\n");
	rs_peer_stop(p);
	p->cfg.data_dir = data_dir;
	auto_free char *objects = xasprintf("%s/objects", data_dir);
	assert_int_equal(access(objects, F_OK), -1);
}

/* The runservice itself serves no objects then. */
static void
objects_are_not_served_here(void **state)
{
	struct rs_peer *p = *state;

	assert_int_equal(rs_peer_http(p, "GET", "http://objects/objects/a/b", NULL, 0, NULL), 404);
	assert_int_equal(rs_peer_http(p, "PUT", "http://objects/objects/a/b", "x", 1, NULL), 404);
	assert_int_equal(rs_peer_http(p, "GET", "http://objects/healthz", NULL, 0, NULL), 200);
}

/* While the store is away logs are not called stored; then they are, and nothing was lost. */
static void
logs_wait_for_the_store(void **state)
{
	static const struct rs_peer_task tasks[] = { { .name = "task", .nsteps = 1 } };
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t received = 0, stored = 9;
	int code = 0;

	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	uint64_t number = rs_peer_run(p, "main", tasks, 1, NULL);
	struct rs_offer o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	script("pause");
	assert_int_equal(
	    rs_ex_log(ex, &o, 0, 0, "patience", 8, true, &received, &stored), ERR_UNAVAILABLE);
	script("resume");
	do
		code = rs_ex_log(ex, &o, 0, 8, "", 0, true, &received, &stored);
	while (code == ERR_UNAVAILABLE);
	assert_int_equal(code, 0);
	assert_int_equal(stored, 8);
	auto_free char *log = rs_peer_log(p, number, o.task_id, 0, &code);
	assert_string_equal(log, "patience");
}

#define T(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)
#define RS(name_) cmocka_unit_test_setup_teardown(name_, rs_peer_setup, rs_peer_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		OBJSTORE_CASES(setup, teardown),
		T(urls_do_what_they_were_made_for),
		T(urls_do_nothing_else),
		cmocka_unit_test(refusals_are_told_apart),
		T(a_server_that_comes_back),
		RS(objects_are_not_served_here),
		RS(runservices_share_a_bucket),
		RS(logs_wait_for_the_store),
	};

	crypto_init();
	return cmocka_run_group_tests_name("objects_s3", tests, NULL, NULL);
}
