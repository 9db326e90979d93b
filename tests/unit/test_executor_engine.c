/*
 * Calls of the engine that are made again: while it is away, and while it is still at an earlier
 * call. What answers here is a script of statuses on a unix socket; the engine itself is in the
 * integration tests.
 */
#include "common/clock.h"
#include "common/http_server.h"
#include "common/mem.h"
#include "executor/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 10000

struct fixture {
	char dir[64], url[96];
	struct loop *loop;
	struct httpc *http;
	struct http_server *server;
	struct ex_engine *engine;
	const int *script; /* statuses, the last one from then on */
	int nscript, asked;
	bool done;
	int code; /* of the call that is done; 0: it succeeded */
};

static void
serve(struct http_req *req, void *arg)
{
	struct fixture *f = arg;
	int at = f->asked < f->nscript ? f->asked : f->nscript - 1;

	f->asked++;
	http_reply(req, f->script[at], "application/json", "{}", 2);
}

static void
server_up(struct fixture *f)
{
	struct err *err = NULL;
	auto_free char *listen = xasprintf("unix:%s", f->url + strlen("unix://"));
	const struct http_server_options opt = {
		.listen = listen, .body_max = 1024, .handler = serve, .arg = f
	};

	assert_int_equal(http_server_new(&f->server, f->loop, &opt, &err), 0);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/millrace-engine-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	snprintf(f->url, sizeof(f->url), "unix://%s/engine", f->dir);
	f->loop = loop_new();
	f->http = httpc_new(f->loop);
	f->engine = ex_engine_new(f->loop, f->http, f->url);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ex_engine_free(f->engine);
	if (f->server != NULL)
		http_server_free(f->server);
	httpc_free(f->http);
	loop_free(f->loop);
	unlink(f->url + strlen("unix://"));
	rmdir(f->dir);
	free(f);
	return 0;
}

static void
on_call(json_t *answer, struct err **err, void *arg)
{
	struct fixture *f = arg;

	(void)answer;
	f->done = true;
	f->code = *err != NULL ? (int)(*err)->code : 0;
}

static struct ex_call *
removal(struct fixture *f, bool conflict_passes, int64_t timeout_ms)
{
	const struct ex_call_options opt = { .method = "DELETE",
		.path = "/containers/x",
		.timeout_ms = timeout_ms,
		.conflict_passes = conflict_passes,
		.done = on_call,
		.arg = f };

	return ex_engine_call(f->engine, &opt);
}

static void
turn_until(struct fixture *f, bool (*ready)(const struct fixture *))
{
	int64_t end = clock_mono_ms() + WAIT_MS;

	while (!ready(f) && clock_mono_ms() < end)
		loop_run_once(f->loop, 50);
	assert_true(ready(f));
}

static bool
is_done(const struct fixture *f)
{
	return f->done;
}

static bool
met_outage(const struct fixture *f)
{
	return ex_engine_outages(f->engine) > 0;
}

static void
a_removal_under_way_is_waited_for(void **state)
{
	static const int script[] = { 409, 409, 404 };
	struct fixture *f = *state;

	f->script = script;
	f->nscript = ARRAY_LEN(script);
	server_up(f);
	removal(f, true, WAIT_MS);
	turn_until(f, is_done);
	assert_int_equal(f->code, ERR_NOTFOUND);
	assert_int_equal(f->asked, 3);
	assert_int_equal(ex_engine_outages(f->engine), 0);
}

static void
a_removal_that_never_ends_is_a_conflict(void **state)
{
	static const int script[] = { 409 };
	struct fixture *f = *state;

	f->script = script;
	f->nscript = ARRAY_LEN(script);
	server_up(f);
	removal(f, true, 400);
	turn_until(f, is_done);
	assert_int_equal(f->code, ERR_CONFLICT);
	assert_in_range(f->asked, 2, 4);
}

static void
elsewhere_a_conflict_is_an_answer(void **state)
{
	static const int script[] = { 409 };
	struct fixture *f = *state;

	f->script = script;
	f->nscript = ARRAY_LEN(script);
	server_up(f);
	removal(f, false, WAIT_MS);
	turn_until(f, is_done);
	assert_int_equal(f->code, ERR_CONFLICT);
	assert_int_equal(f->asked, 1);
}

static void
an_engine_that_comes_back_is_asked_again(void **state)
{
	static const int script[] = { 204 };
	struct fixture *f = *state;

	f->script = script;
	f->nscript = ARRAY_LEN(script);
	removal(f, false, WAIT_MS);
	turn_until(f, met_outage);
	assert_false(f->done);
	server_up(f);
	turn_until(f, is_done);
	assert_int_equal(f->code, 0);
	assert_int_equal(f->asked, 1);
}

static void
an_engine_that_stays_away_is_unavailable(void **state)
{
	struct fixture *f = *state;

	removal(f, true, 300);
	turn_until(f, is_done);
	assert_int_equal(f->code, ERR_UNAVAILABLE);
	assert_true(ex_engine_outages(f->engine) >= 2);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_removal_under_way_is_waited_for),
		T(a_removal_that_never_ends_is_a_conflict),
		T(elsewhere_a_conflict_is_an_answer),
		T(an_engine_that_comes_back_is_asked_again),
		T(an_engine_that_stays_away_is_unavailable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
