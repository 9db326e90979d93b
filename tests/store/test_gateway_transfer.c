/*
 * Export and import of both services, and the maintenance that an import wants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "tests/lib/gw_world.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static void
maintenance(struct gwp *f, const char *service, bool on)
{
	auto_free char *path = xasprintf("/maintenance/%s", service);

	gwp_expect(f, on ? "PUT" : "DELETE", path, GWP_ADMIN, NULL, 200, "");
}

static char *export(struct gwp *f, const char *service)
{
	auto_free char *path = xasprintf("/export/%s", service);
	struct gwp_answer a = gwp_call(f, "GET", path, GWP_ADMIN, NULL);
	char *out;

	assert_int_equal(a.status, 200);
	out = buf_take(&a.body);
	gwp_answer_fini(&a);
	return out;
}

/* What users, groups and projects there are, as the API shows them. */
static char *
shown(struct gwp *f)
{
	static const char *const paths[] = { "/users", "/orgs", "/orgs/org1/members",
		"/remotesources", "/projectgroups/org%2Forg1",
		"/projectgroups/org%2Forg1/subgroups", "/projects/org%2Forg1%2Fg%2Fp",
		"/users/bob/tokens" };
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct gwp_answer a = gwp_call(f, "GET", paths[i], GWP_ADMIN, NULL);

		assert_int_equal(a.status, 200);
		buf_printf(&out, "%s\n", buf_str(&a.body));
		gwp_answer_fini(&a);
	}
	return buf_take(&out);
}

static void
configstore(void **state)
{
	struct gwp *f = *state;
	auto_free char *before = NULL, *after = NULL, *text = NULL;

	gwp_make_bob(f);
	gww_use_host(f);
	gww_link(f, "bob", f->token);
	gww_org(f, f->token, "org1", "public");
	gww_group(f, f->token, "g", "org/org1", "private");
	gww_project(f, f->token, "p", "org/org1/g", "public");
	before = shown(f);
	text = export(f, "configstore");
	/* No secret of a user leaves in the clear. */
	assert_null(strstr(text, f->token));
	assert_null(strstr(text, "tokenofhost"));
	gwp_expect(f, "POST", "/users", GWP_ADMIN, "{\"username\":\"later\"}", 201, NULL);
	gwp_expect(f, "DELETE", "/projects/org%2Forg1%2Fg%2Fp", f->token, NULL, 204, NULL);
	gwp_expect(f, "POST", "/import/configstore", GWP_ADMIN, text, 400, "[]");
	maintenance(f, "configstore", true);
	gwp_expect(f, "POST", "/import/configstore", GWP_ADMIN, "{}", 400, "[]");
	gwp_expect(f, "POST", "/import/configstore", GWP_ADMIN, text, 200, "");
	maintenance(f, "configstore", false);
	gwp_restart(f); /* what it read of the flags */
	after = shown(f);
	assert_string_equal(after, before);
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, NULL);
	gwp_expect(f, "GET", "/user/remoterepos/host", f->token, NULL, 400, NULL);
	/* Who exported and imported is written down, before and after. */
	{
		auto_json *log =
		    gwp_json(f, "GET", "/audit?sortdirection=asc", GWP_ADMIN, NULL, 200);
		bool exported = false, imported = false;

		for (size_t i = 0; i < json_array_size(log); i++) {
			const char *path = json_text(json_array_get(log, i), "path");

			exported |= strstr(path, "/export/configstore") != NULL;
			imported |= strstr(path, "/import/configstore") != NULL;
		}
		assert_true(exported && imported);
	}
}

static void
runservice(void **state)
{
	struct gwp *f = *state;
	size_t size = (3u << 20) + 17;
	auto_free char *text = xmalloc(size + 1), *got = NULL;

	memset(text, 'x', size);
	text[size] = '\0';
	f->rs.dump_text = text;
	got = export(f, "runservice");
	assert_string_equal(got, text);
	gwp_expect(f, "POST", "/import/runservice", GWP_ADMIN, text, 400, "[]");
	maintenance(f, "runservice", true);
	/* Above the limit of other bodies. */
	gwp_expect(f, "POST", "/import/runservice", GWP_ADMIN, text, 200, "");
	assert_int_equal(f->rs.loaded.len, size);
	assert_memory_equal(f->rs.loaded.data, text, size);
	assert_true(f->rs.committed);
	/* Exports are possible in maintenance too; its refusals come through. */
	free(got);
	got = export(f, "runservice");
	assert_string_equal(got, text);
	f->rs.code = ERR_INVALID;
	gwp_expect(f, "POST", "/import/runservice", GWP_ADMIN, text, 400, "[]");
	gwp_expect(f, "GET", "/export/runservice", GWP_ADMIN, NULL, 400, "[]");
	f->rs.code = ERR_UNAVAILABLE;
	gwp_expect(f, "GET", "/export/runservice", GWP_ADMIN, NULL, 503, "[]");
	f->rs.dump_text = "";
}

/* A reader that leaves in the middle is forgotten; what comes after finds no trace of it. */
static void
a_reader_that_leaves(void **state)
{
	struct gwp *f = *state;
	size_t size = 24u << 20;
	auto_free char *text = xmalloc(size + 1);
	auto_buf raw = BUF_INIT;
	int fd;

	memset(text, 'x', size);
	text[size] = '\0';
	f->rs.dump_text = text;
	fd = gwp_open(f, "GET", "/api/v1alpha/export/runservice", GWP_ADMIN, NULL, NULL);
	assert_true(gwp_read_until(f, fd, &raw, "xxxx"));
	close(fd);
	gwp_expect(f, "GET", "/version", NULL, NULL, 200, NULL);
	f->rs.dump_text = "short";
	{
		auto_free char *got = export(f, "runservice");

		assert_string_equal(got, "short");
	}
	f->rs.dump_text = "";
}

static void
refused(void **state)
{
	struct gwp *f = *state;

	gwp_make_bob(f);
	for (const char *const *s = (const char *const[]){ "configstore", "runservice", NULL }; *s;
	     s++) {
		auto_free char *out = xasprintf("/export/%s", *s);
		auto_free char *in = xasprintf("/import/%s", *s);

		gwp_expect(f, "GET", out, NULL, NULL, 401, "[]");
		gwp_expect(f, "GET", out, f->token, NULL, 401, "[]");
		gwp_expect(f, "POST", in, NULL, "x", 401, "[]");
		gwp_expect(f, "POST", in, f->token, "x", 401, "[]");
	}
	gwp_expect(f, "GET", "/export/other", GWP_ADMIN, NULL, 400, "[]");
	gwp_expect(f, "POST", "/import/other", GWP_ADMIN, "x", 400, "[]");
	assert_int_equal(f->rs.calls, 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(configstore),
		T(runservice),
		T(a_reader_that_leaves),
		T(refused),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
