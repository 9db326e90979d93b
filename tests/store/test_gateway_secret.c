/* Secrets and variables of project groups and projects over HTTP: gateway and runservice, both
 * real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/mem.h"
#include "tests/lib/gw_peer.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY "a00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ROOT "/projectgroups/user%2Fbob"
#define GROUP "/projectgroups/user%2Fbob%2Fg"
#define PROJECT "/projects/user%2Fbob%2Fg%2Fp"
#define S(name, value)                                                                             \
	"{\"name\":\"" name "\",\"type\":\"internal\",\"data\":{\"k\":\"" value "\"}}"
#define V(name, secret)                                                                            \
	"{\"name\":\"" name "\",\"values\":[{\"secret_name\":\"" secret "\",\"secret_var\":\"k\"}" \
	"]}"

static pid_t runservice;

static const char *
database(void)
{
	const char *s = getenv("MILLRACE_TEST_DB"); /* NOLINT(concurrency-mt-unsafe): one thread */
	assert_non_null(s);
	return s;
}

static void
sql(const char *text)
{
	struct db *db = db_new(&(struct db_options){ .conninfo = database() });
	auto_err err = NULL;

	if (db_exec_sql(NULL, db, text, &err) != 0)
		fail_msg("%s", err_msg(err));
	db_free(db);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* The runservice as a process, in the gateway's directory. */
static void
start_runservice(struct gwp *f)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	auto_free char *config = xasprintf("%s/runservice.yml", f->dir);
	auto_free char *master = xasprintf("%s/master", f->dir);
	auto_free char *text = xasprintf(
	    "rpc_listen: ipc://%s/real\nhttp_listen: unix:%s/objects\nobject_url: http://x\n"
	    "database: \"%s\"\ndata_dir: %s/rsdata\nmaster_key_file: %s\ngateway_key_file: %s\n"
	    "executor_keys_dir: %s\n",
	    f->dir, f->dir, database(), f->dir, master, f->cfg.rpc_key_file, f->dir);

	assert_true(n > 0);
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	auto_free char *binary = xasprintf("%s/../bin/millrace-runservice", self);
	char option[] = "--config", *argv[] = { binary, option, config, NULL };

	write_file(master, KEY "\n");
	write_file(config, text);
	assert_int_equal(posix_spawn(&runservice, binary, NULL, NULL, argv, environ), 0);
}

static void
until_ready(struct gwp *f)
{
	int64_t end = clock_mono_ms() + GWP_WAIT_MS;
	int status;

	do {
		struct gwp_answer a = gwp_call(f, "GET", ROOT "/secrets", f->token, NULL);

		status = a.status;
		gwp_answer_fini(&a);
		assert_true(clock_mono_ms() < end);
	} while (status != 200);
}

static int
setup(void **state)
{
	struct gwp *f;

	sql("drop schema if exists runservice cascade");
	assert_int_equal(gwp_setup(state), 0);
	f = *state;
	start_runservice(f);
	free(f->cfg.runservice);
	f->cfg.runservice = xasprintf("ipc://%s/real", f->dir);
	gwp_restart(f);
	gwp_make_bob(f);
	until_ready(f);
	gwp_expect(f, "POST", "/projectgroups", f->token,
	    "{\"name\":\"g\",\"parent_ref\":\"user/bob\",\"visibility\":\"public\"}", 201, NULL);
	sql("insert into gateway.projects select gen_random_uuid(), 'p', id, 'public', null, null, "
	    "'1', 'x/y', 'c', 'h', 'main', null, '', false, false, false, now() "
	    "from gateway.project_groups where name = 'g'");
	return 0;
}

static void
stop_runservice(void)
{
	int status;

	kill(runservice, SIGTERM);
	assert_int_equal(waitpid(runservice, &status, 0), runservice);
	assert_int_equal(status, 0);
}

static int
teardown(void **state)
{
	stop_runservice();
	return gwp_teardown(state);
}

/* "name@parent_path ..." of a list; with the matching path of the first value for variables. */
static void
list_is(struct gwp *f, const char *path, const char *want)
{
	auto_json *list = gwp_json(f, "GET", path, f->token, NULL, 200);
	auto_buf b = BUF_INIT;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		const json_t *value = json_array_get(json_member(o, "values"), 0);

		buf_printf(
		    &b, "%s%s@%s", i ? " " : "", json_text(o, "name"), json_text(o, "parent_path"));
		if (value)
			buf_printf(&b, ":%s", json_text(value, "matching_secret_parent_path"));
		assert_int_equal(strlen(json_text(o, "id")), 36);
		assert_null(json_member(o, "data"));
	}
	assert_string_equal(buf_str(&b), want);
}

static void
secrets(void **state)
{
	struct gwp *f = *state;
	const char *t = f->token;
	auto_json *made = gwp_json(f, "POST", PROJECT "/secrets", t, S("b", "planted"), 201);

	assert_string_equal(json_text(made, "name"), "b");
	assert_string_equal(json_text(made, "parent_path"), "user/bob/g/p");
	assert_int_equal(json_object_size(made), 3);
	gwp_expect(
	    f, "POST", PROJECT "/secrets", t, S("b", "x"), 400, GWP_ERR("secretAlreadyExists"));
	gwp_expect(f, "POST", PROJECT "/secrets", t, S("a", "x"), 201, NULL);
	gwp_expect(f, "POST", GROUP "/secrets", t, S("a", "x"), 201, NULL);
	gwp_expect(f, "POST", ROOT "/secrets", t, S("c", "x"), 201, NULL);
	list_is(f, PROJECT "/secrets", "a@user/bob/g/p b@user/bob/g/p");
	list_is(f, GROUP "/secrets?tree", "a@user/bob/g c@user/bob");
	list_is(
	    f, PROJECT "/secrets?tree=", "a@user/bob/g/p b@user/bob/g/p a@user/bob/g c@user/bob");
	list_is(f, PROJECT "/secrets?tree&removeoverridden",
	    "a@user/bob/g/p b@user/bob/g/p c@user/bob");
	gwp_expect(f, "PUT", PROJECT "/secrets/b", t, S("d", "y"), 200, NULL);
	gwp_expect(
	    f, "PUT", PROJECT "/secrets/b", t, S("d", "y"), 404, GWP_ERR("secretDoesNotExist"));
	gwp_expect(
	    f, "PUT", PROJECT "/secrets/d", t, S("a", "y"), 400, GWP_ERR("secretAlreadyExists"));
	gwp_expect(f, "DELETE", PROJECT "/secrets/b", t, NULL, 404, GWP_ERR("secretDoesNotExist"));
	gwp_expect(f, "DELETE", PROJECT "/secrets/a", t, NULL, 204, "");
	list_is(f, PROJECT "/secrets", "d@user/bob/g/p");
}

static void
bad_secrets(void **state)
{
	static const struct {
		const char *body, *code;
	} cases[] = {
		{ S("a_b", "x"), GWP_ERR("invalidSecretName") },
		{ S("", "x"), GWP_ERR("invalidSecretName") },
		{ S("11111111-1111-4111-8111-111111111111", "x"), GWP_ERR("invalidSecretName") },
		{ "{\"type\":\"internal\",\"data\":{\"k\":\"v\"}}", GWP_ERR("invalidSecretName") },
		{ "{\"name\":\"a\",\"data\":{\"k\":\"v\"}}", GWP_ERR("invalidSecretType") },
		{ "{\"name\":\"a\",\"type\":\"external\",\"data\":{\"k\":\"v\"}}",
		    GWP_ERR("invalidSecretType") },
		{ "{\"name\":\"a\",\"type\":\"internal\",\"data\":{}}",
		    GWP_ERR("invalidSecretData") },
		{ "{\"name\":\"a\",\"type\":\"internal\"}", GWP_ERR("invalidSecretData") },
		{ "{\"name\":\"a\",\"type\":\"internal\",\"data\":{\"\":\"v\"}}",
		    GWP_ERR("invalidSecretData") },
		{ "{\"name\":\"a\",\"type\":\"internal\",\"data\":{\"k\":1}}", "[]" },
	};
	struct gwp *f = *state;

	gwp_expect(f, "POST", GROUP "/secrets", f->token, S("a", "x"), 201, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		gwp_expect(
		    f, "POST", PROJECT "/secrets", f->token, cases[i].body, 400, cases[i].code);
		gwp_expect(
		    f, "PUT", GROUP "/secrets/a", f->token, cases[i].body, 400, cases[i].code);
	}
	list_is(f, PROJECT "/secrets?tree", "a@user/bob/g");
}

static void
variables(void **state)
{
	static const char with_when[] =
	    "{\"name\":\"w\",\"values\":[{\"secret_name\":\"s\",\"secret_var\":\"k\",\"when\":"
	    "{\"branch\":{\"include\":[{\"type\":\"simple\",\"match\":\"main\"}],\"exclude\":"
	    "[{\"type\":\"regexp\",\"match\":\"^x\"}]},\"tag\":null,\"ref\":{\"include\":[]}}},"
	    "{\"secret_name\":\"t\",\"secret_var\":\"l\"}]}";
	struct gwp *f = *state;
	const char *t = f->token;
	auto_json *made = NULL, *when = NULL;

	gwp_expect(f, "POST", GROUP "/secrets", t, S("s", "x"), 201, NULL);
	gwp_expect(f, "POST", PROJECT "/secrets", t, S("own", "x"), 201, NULL);
	made = gwp_json(f, "POST", PROJECT "/variables", t, with_when, 201);
	assert_string_equal(json_text(made, "parent_path"), "user/bob/g/p");
	const json_t *values = json_member(made, "values"), *first = json_array_get(values, 0);
	assert_string_equal(json_text(first, "matching_secret_parent_path"), "user/bob/g");
	assert_string_equal(
	    json_text(json_array_get(values, 1), "matching_secret_parent_path"), "");
	assert_true(json_is_null(json_object_get(json_array_get(values, 1), "when")));
	when = json_loads("{\"branch\":{\"include\":[{\"type\":\"simple\",\"match\":\"main\"}],"
	                  "\"exclude\":[{\"type\":\"regexp\",\"match\":\"^x\"}]},\"ref\":{}}",
	    0, NULL);
	assert_true(json_equal(json_member(first, "when"), when));
	gwp_expect(f, "POST", GROUP "/variables", t, V("w", "own"), 201, NULL);
	gwp_expect(
	    f, "POST", GROUP "/variables", t, V("w", "own"), 400, GWP_ERR("variableAlreadyExists"));
	gwp_expect(f, "POST", ROOT "/variables", t, V("r", "s"), 201, NULL);
	list_is(f, PROJECT "/variables", "w@user/bob/g/p:user/bob/g");
	list_is(
	    f, PROJECT "/variables?tree", "w@user/bob/g/p:user/bob/g w@user/bob/g: r@user/bob:");
	list_is(
	    f, PROJECT "/variables?tree&removeoverridden", "w@user/bob/g/p:user/bob/g r@user/bob:");
	gwp_expect(f, "PUT", PROJECT "/variables/w", t, V("v", "own"), 200, NULL);
	gwp_expect(f, "PUT", PROJECT "/variables/w", t, V("v", "own"), 404,
	    GWP_ERR("variableDoesNotExist"));
	list_is(f, PROJECT "/variables", "v@user/bob/g/p:user/bob/g/p");
	gwp_expect(
	    f, "DELETE", PROJECT "/variables/w", t, NULL, 404, GWP_ERR("variableDoesNotExist"));
	gwp_expect(f, "DELETE", PROJECT "/variables/v", t, NULL, 204, "");
	list_is(f, PROJECT "/variables", "");
}

#define VALUES(text) "{\"name\":\"a\",\"values\":" text "}"
#define WHEN(text) VALUES("[{\"secret_name\":\"s\",\"secret_var\":\"k\",\"when\":" text "}]")

static void
bad_variables(void **state)
{
	static const struct {
		const char *body, *code;
	} cases[] = {
		{ V("a.b", "s"), GWP_ERR("invalidVariableName") },
		{ "{\"values\":[]}", GWP_ERR("invalidVariableName") },
		{ "{\"name\":\"a\"}", GWP_ERR("invalidVariableValues") },
		{ VALUES("[]"), GWP_ERR("invalidVariableValues") },
		{ VALUES("[{}]"), GWP_ERR("invalidVariableValues") },
		{ VALUES("[{\"secret_name\":\"s\"}]"), GWP_ERR("invalidVariableValues") },
		{ VALUES("[{\"secret_name\":\"s\",\"secret_var\":\"\"}]"),
		    GWP_ERR("invalidVariableValues") },
		{ WHEN("[]"), GWP_ERR("invalidVariableValues") },
		{ WHEN("{\"branch\":\"main\"}"), GWP_ERR("invalidVariableValues") },
		{ WHEN("{\"tag\":{\"include\":\"x\"}}"), GWP_ERR("invalidVariableValues") },
		{ WHEN("{\"ref\":{\"exclude\":[\"x\"]}}"), GWP_ERR("invalidVariableValues") },
		{ WHEN("{\"ref\":{\"exclude\":[{\"type\":\"simple\"}]}}"),
		    GWP_ERR("invalidVariableValues") },
		{ WHEN("{\"ref\":{\"exclude\":[{\"type\":\"glob\",\"match\":\"x\"}]}}"),
		    GWP_ERR("invalidVariableValues") },
		{ WHEN("{\"ref\":{\"include\":[{\"type\":\"regexp\",\"match\":\"(\"}]}}"),
		    GWP_ERR("invalidVariableValues") },
		{ VALUES("[1]"), "[]" },
	};
	struct gwp *f = *state;

	gwp_expect(f, "POST", GROUP "/variables", f->token, V("a", "s"), 201, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		gwp_expect(
		    f, "POST", PROJECT "/variables", f->token, cases[i].body, 400, cases[i].code);
		gwp_expect(
		    f, "PUT", GROUP "/variables/a", f->token, cases[i].body, 400, cases[i].code);
	}
	list_is(f, PROJECT "/variables?tree", "a@user/bob/g:");
}

/* Public ones are listed for all who are known; changing is the owner's. */
static void
who_may(void **state)
{
	static const char *const parents[] = { GROUP, PROJECT }, *const kinds[] = { "secrets",
		"variables" };
	struct gwp *f = *state;
	char *alice = NULL;

	gwp_make_user(f, "alice", NULL, &alice);
	for (size_t i = 0; i < 4; i++) {
		auto_free char *list = xasprintf("%s/%s", parents[i / 2], kinds[i % 2]);
		auto_free char *one = xasprintf("%s/a", list);
		const char *body = i % 2 ? V("a", "s") : S("a", "x");

		gwp_expect(f, "POST", list, f->token, body, 201, NULL);
		gwp_expect(f, "GET", list, NULL, NULL, 401, NULL);
		gwp_expect(f, "GET", list, alice, NULL, 200, NULL);
		gwp_expect(f, "POST", list, alice, body, 403, "[]");
		gwp_expect(f, "PUT", one, alice, body, 403, "[]");
		gwp_expect(f, "DELETE", one, alice, NULL, 403, "[]");
		gwp_expect(f, "PUT", one, GWP_ADMIN, body, 200, NULL);
	}
	gwp_expect(f, "PUT", GROUP, f->token, "{\"visibility\":\"private\"}", 201, NULL);
	gwp_expect(f, "GET", GROUP "/secrets", alice, NULL, 403, "[]");
	gwp_expect(f, "GET", PROJECT "/variables?tree", alice, NULL, 403, "[]");
	gwp_expect(f, "GET", "/projects/user%2Fbob%2Fg%2Fnone/secrets", f->token, NULL, 404,
	    GWP_ERR("projectDoesNotExist"));
	list_is(f, PROJECT "/secrets", "a@user/bob/g/p");
	free(alice);
}

static char *
sql_text(const char *query)
{
	struct db *db = db_new(&(struct db_options){ .conninfo = database() });
	auto_result *r = NULL;
	auto_err err = NULL;
	auto_free char *as_text = xasprintf("select (%s)::text as v", query);

	if (db_exec_sql(&r, db, as_text, &err) != 0)
		fail_msg("%s", err_msg(err));
	char *out = xstrdup(db_text(r, 0, "v"));
	db_free(db);
	return out;
}

static void
until_sql(struct gwp *f, const char *query, const char *want)
{
	int64_t end = clock_mono_ms() + GWP_WAIT_MS;

	for (;;) {
		auto_free char *got = sql_text(query);

		if (strcmp(got, want) == 0)
			return;
		if (clock_mono_ms() > end)
			fail_msg("%s stays %s", query, got);
		loop_run_once(f->loop, 20);
	}
}

#define ALL                                                                                        \
	"select string_agg(name, ' ' order by name) from (select name from runservice.secrets "    \
	"union all select name from runservice.variables) x"
#define DROPPED "select count(*) from gateway.dropped_scopes"

/* Also when the runservice is away at that moment, and below a group that is deleted. */
static void
what_is_deleted_is_dropped(void **state)
{
	struct gwp *f = *state;
	const char *t = f->token;

	gwp_expect(f, "POST", PROJECT "/secrets", t, S("project", "x"), 201, NULL);
	gwp_expect(f, "POST", GROUP "/variables", t, V("group", "s"), 201, NULL);
	gwp_expect(f, "POST", ROOT "/secrets", t, S("root", "x"), 201, NULL);
	gwp_expect(f, "DELETE", PROJECT, t, NULL, 204, NULL);
	until_sql(f, ALL, "group root");
	until_sql(f, DROPPED, "0"); /* the gateway has the answer, too */
	stop_runservice();
	gwp_expect(f, "DELETE", GROUP, t, NULL, 204, NULL);
	until_sql(f, DROPPED, "1");
	start_runservice(f);
	until_sql(f, ALL, "root");
	until_sql(f, DROPPED, "0");
	/* Of a gateway that ended before it could say so. */
	gwp_stop(f);
	sql("delete from gateway.users where name = 'bob'");
	until_sql(f, DROPPED, "1");
	gwp_start(f);
	until_sql(f, "select count(*) from runservice.secrets", "0");
	until_sql(f, DROPPED, "0");
}

int
main(void)
{
#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(secrets),
		TEST(bad_secrets),
		TEST(variables),
		TEST(bad_variables),
		TEST(who_may),
		TEST(what_is_deleted_is_dropped),
	};
	return cmocka_run_group_tests_name("gateway_secret", tests, NULL, NULL);
}
