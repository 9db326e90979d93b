/*
 * The program millrace follows runs of the whole gateway through a proxy that breaks connections at
 * random bytes: no byte of a log is lost or comes twice. And how it tells why a run waits. Needs
 * MILLRACE_TEST_DB (tests/lib/pg.sh) and the program, built.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "tests/lib/cli_peer.h"

#include <stdlib.h>
#include <string.h>

#define auto_clp __attribute__((cleanup(clp_fini))) struct clp

/* A log that grows while it is followed, and the proxy before it. */
struct scene {
	struct gwp *f;
	struct clp_proxy proxy;
	unsigned seed;
	char *log; /* ends early: what is not there yet is kept in hidden */
	size_t shown, len;
	char hidden;
};

/* All bytes but NUL, which the canned answers cannot hold; lines of all lengths, the last one
 * ended. */
static void
make_log(struct scene *s, size_t len)
{
	s->log = xmalloc(len + 1);
	s->len = len;
	for (size_t i = 0; i < len; i++)
		s->log[i] = (char)(1 + rand_r(&s->seed) % 255);
	/* Longer than what is held back for a line's end. */
	for (size_t i = len / 4; i < len / 4 + 3 * (size_t)CLP_WAIT_MS / 2 && i < len / 2; i++)
		if (s->log[i] == '\n')
			s->log[i] = 'x';
	s->log[len - 1] = '\n';
	s->log[len] = '\0';
}

static void
show(struct scene *s, size_t upto)
{
	s->log[s->shown] = s->hidden;
	s->shown = upto < s->len ? upto : s->len;
	s->hidden = s->log[s->shown];
	s->log[s->shown] = '\0';
	if (s->shown < s->len)
		return;
	s->f->rs.log_ended = true;
	s->f->rs.phase = "finished";
	s->f->rs.result = "success";
}

static void
answer_held(struct gwp_fake *rs)
{
	struct rpc_call *held = rs->held;

	rs->held = NULL;
	if (held)
		gwp_answer_log(rs, held);
}

static void
turn(void *arg)
{
	struct scene *s = arg;

	clp_proxy_turn(&s->proxy, s->f->port);
	if (s->shown == s->len)
		return;
	show(s, s->shown + (size_t)rand_r(&s->seed) % 4000);
	if (s->f->rs.held)
		answer_held(&s->f->rs);
}

static void
scene_begin(struct scene *s, struct gwp *f, unsigned seed, size_t len, size_t shown)
{
	*s = (struct scene){ .f = f, .seed = seed };
	make_log(s, len);
	s->hidden = s->log[0];
	show(s, shown);
	f->rs.setup_text = "pulling the image\n";
	f->rs.log_text = s->log;
	f->rs.nruns = 1;
	clp_proxy_start(&s->proxy, seed, 0, 30000);
}

static void
scene_end(struct scene *s)
{
	clp_proxy_stop(&s->proxy);
	free(s->log);
}

static void
same_bytes(const struct clp *x, const char *setup, const struct scene *s)
{
	size_t n = strlen(setup), at = 0;

	if (x->status != 0)
		fail_msg("status %d: %s", x->status, buf_str(&x->err));
	assert_memory_equal(x->out.data, setup, n);
	while (at < s->len && n + at < x->out.len && x->out.data[n + at] == s->log[at])
		at++;
	if (at < s->len || x->out.len != n + s->len)
		fail_msg("seed %u: %zu of %zu bytes, the first wrong one is %zu (%u cuts)",
		    s->proxy.seed, x->out.len - n, s->len, at, s->proxy.cuts);
}

/* A whole log, and one that grows. */
static void
follows(void **state)
{
	struct gwp *f = *state;

	gwp_make_bob(f);
	for (unsigned seed = 1; seed <= 3; seed++) {
		struct scene s;
		auto_clp x = { .gw = f, .token = f->token, .turn = turn, .arg = &s };

		f->rs.log_ended = false;
		f->rs.phase = f->rs.result = NULL;
		f->rs.log_step = 1 + seed * 1000;
		scene_begin(&s, f, seed, 200000, seed % 2 ? 0 : 200000);
		x.port = s.proxy.port;
		CLP(&x, "run", "follow", "1");
		same_bytes(&x, f->rs.setup_text, &s);
		clp_expect(&x, 0, NULL, "build: the connection was lost");
		clp_expect(&x, 0, NULL, "run 1: success");
		assert_true(s.proxy.cuts >= 7);
		scene_end(&s);
	}
}

/* One log alone, which does not end with a line. */
static void
copies(void **state)
{
	struct gwp *f = *state;
	struct scene s;
	auto_clp x = { .gw = f, .turn = turn, .arg = &s };

	gwp_make_bob(f);
	x.token = f->token;
	scene_begin(&s, f, 77, 200000, 0);
	s.log[s.len - 1] = 'x';
	x.port = s.proxy.port;
	CLP(&x, "log", "get", "--username", "bob", "--runnumber", "1", "--taskid", GWP_TASK,
	    "--step", "0", "--follow");
	same_bytes(&x, "", &s);
	assert_true(s.proxy.cuts >= 7);
	scene_end(&s);
}

/* What ends the following without the run having ended is no failure of the run. */
static void
deny_later(void *arg)
{
	struct gwp *f = arg;

	if (f->rs.calls > 3)
		f->rs.code = ERR_DENIED;
}

static void
loses(void **state)
{
	struct gwp *f = *state;
	auto_clp x = { .gw = f, .turn = deny_later, .arg = f };

	gwp_make_bob(f);
	x.token = f->token;
	f->rs.nruns = 1;
	f->rs.setup_text = "";
	CLP(&x, "run", "follow", "1");
	clp_expect(&x, 3, NULL, "refused with status 403");
	f->rs.code = 0;
	f->rs.calls = 0;
	x.turn = NULL;
	f->rs.log_ended = true;
	f->rs.phase = "finished";
	f->rs.result = "failed";
	CLP(&x, "run", "follow", "1");
	clp_expect(&x, 1, NULL, "run 1: failed");
}

static void
explains(void **state)
{
	struct gwp *f = *state;
	auto_clp x = { .gw = f };

	gwp_make_bob(f);
	x.token = f->token;
	f->rs.nruns = 2;
	CLP(&x, "run", "explain", "1");
	clp_expect(&x, 0, "build: no executor is connected\ndeploy: waits for run 3\n", "");
	assert_string_equal(f->rs.method, "run.explain");
	CLP(&x, "run", "explain", "1", "--json");
	auto_json *j = NULL;
	assert_int_equal(json_parse(&j, buf_str(&x.out), x.out.len, NULL), 0);
	const json_t *first = json_array_get(json_member(j, "tasks"), 0);
	const json_t *executor = json_array_get(json_member(first, "executors"), 0);
	assert_string_equal(json_text(executor, "reason"), "has no free slot (of 2)");
	assert_int_equal(
	    json_int(json_array_get(json_member(j, "tasks"), 1), "waits_for_run", 0), 3);
	CLP(&x, "run", "explain", "2");
	clp_expect(&x, 0, "", "no task of run 2 waits");
	CLP(&x, "run", "explain", "x");
	clp_expect(&x, 1, "", "the run's number must be a number");
	f->rs.code = ERR_NOTFOUND;
	CLP(&x, "run", "explain", "1");
	clp_expect(&x, 1, "", "run 1: it does not exist (runDoesNotExist)");
	f->rs.code = 0;
	CLP(&x, "run", "tasks", "1");
	clp_expect(&x, 0, "TASK   STATUS   AFTER  STARTED  ENDED\nbuild  success\n", "");
	CLP(&x, "run", "tasks", "1", "--json");
	clp_expect(&x, 0, "\"name\": \"build\"", "");
	/* Another user's run is not explained. */
	auto_free char *token = NULL;
	gwp_make_user(f, "eve", NULL, &token);
	gwp_expect(f, "GET", "/users/bob/runs/1/explain", token, NULL, 403, "[]");
	gwp_expect(f, "GET", "/users/bob/runs/1/explain", NULL, NULL, 401, "[]");
	gwp_expect(f, "GET", "/users/bob/runs/x/explain", f->token, NULL, 400,
	    GWP_ERR("invalidRunNumber"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(follows, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(copies, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(loses, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(explains, gwp_setup, gwp_teardown),
	};

	return cmocka_run_group_tests_name("cli_follow", tests, NULL, NULL);
}
