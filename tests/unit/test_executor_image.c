/* Names of images, rules of mirrors, credentials. */
#include "common/crypto.h"
#include "common/json.h"
#include "common/mem.h"
#include "executor/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
check(const char *name, const char *full, const char *host, const char *repo, const char *tag)
{
	struct ex_image_ref r;
	auto_err err = NULL;

	if (ex_image_parse(&r, name, &err) != 0)
		fail_msg("%s: %s", name, err_msg(err));
	assert_string_equal(r.full, full);
	assert_string_equal(r.host, host);
	assert_string_equal(r.repo, repo);
	assert_string_equal(r.tag, tag);
	ex_image_fini(&r);
}

static void
test_normal_form(void **state)
{
	(void)state;
	check("busybox", "docker.io/library/busybox:latest", "docker.io",
	    "docker.io/library/busybox", "latest");
	check("golang:1.12-stretch", "docker.io/library/golang:1.12-stretch", "docker.io",
	    "docker.io/library/golang", "1.12-stretch");
	check("a/b:T_1", "docker.io/a/b:T_1", "docker.io", "docker.io/a/b", "T_1");
	check("docker.io/busybox", "docker.io/library/busybox:latest", "docker.io",
	    "docker.io/library/busybox", "latest");
	check(
	    "index.docker.io/a/b", "docker.io/a/b:latest", "docker.io", "docker.io/a/b", "latest");
	check("gcr.io/kaniko-project/executor:debug", "gcr.io/kaniko-project/executor:debug",
	    "gcr.io", "gcr.io/kaniko-project/executor", "debug");
	check("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000", "localhost:5000/x",
	    "latest");
	/* Without '.' or ':' the first part is no host. */
	check("localhost/x", "docker.io/localhost/x:latest", "docker.io", "docker.io/localhost/x",
	    "latest");
	check("r.example:5000/a/b/c:1", "r.example:5000/a/b/c:1", "r.example:5000",
	    "r.example:5000/a/b/c", "1");
	check("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000", "[::1]:5000/x", "latest");
	check("My-Host.example:443/x", "My-Host.example:443/x:latest", "My-Host.example:443",
	    "My-Host.example:443/x", "latest");
	check("busybox@sha256:" HEX64, "docker.io/library/busybox@sha256:" HEX64, "docker.io",
	    "docker.io/library/busybox", "sha256:" HEX64);
	/* A digest says more than a tag. */
	check("r.io/a:1@sha256:" HEX64, "r.io/a@sha256:" HEX64, "r.io", "r.io/a", "sha256:" HEX64);
}

static void
test_refused(void **state)
{
	static const char *const bad[] = { "", " ", "a b", "A", "a/B", "a:", "a:b:c", ":a", "a@",
		"a@sha256:12", ("a@md5:" HEX64), ("a@sha256:" HEX64 "0"), ("a@sha256:" HEX64 "/x"),
		"/a", "a/", "a//b", "../a", "a/../b", "a/.b", "-a", "a-", "r.io/", "a:-b", "a:.b",
		"a:b/c", "a\n", "a?x=1", "a&tag=b", "a%2fb", "r.io/a#b", "r.io@x/a",
		"user:pw@r.io/a", "h\xc3\xa9/a.b", "a\x01", "https://r.io/a", "./a", ".../a",
		".a/b", "a./b", "a..b/c", "[/a.b", "[]:1/a", "[::1/a", ":5000/a", "a:/b", "a:x/b",
		"a:123456/b", "[::1]x:1/a", "-.a/b" };
	auto_free char *tag = xasprintf("a:%0129d", 1);
	auto_free char *longest = xasprintf("r.io/%0507d", 1), *longer = xasprintf("%s0", longest);
	struct ex_image_ref r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_err err = NULL;
		if (ex_image_parse(&r, bad[i], &err) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
		assert_non_null(strstr(err_msg(err), "image name"));
	}
	assert_int_equal(ex_image_parse(&r, tag, NULL), ERR_INVALID);
	assert_int_equal(ex_image_parse(&r, longer, NULL), ERR_INVALID);
	assert_int_equal(ex_image_parse(&r, longest, NULL), 0);
	ex_image_fini(&r);
}

#define RULE(from_, to_)                                                                           \
	{                                                                                          \
		.from = (char *)(uintptr_t)(from_), .to = (char *)(uintptr_t)(to_)                 \
	}

static void
check_rewrite(const struct ex_image_rules *rules, const char *full, const char *want)
{
	const struct ex_image_rule *r = ex_image_rule_find(rules, full);

	if (!want) {
		assert_null(r);
		return;
	}
	assert_non_null(r);
	auto_free char *got = ex_image_rewrite(r, full);
	assert_string_equal(got, want);
}

static void
test_rules(void **state)
{
	struct ex_image_rule items[] = { RULE("gcr.io", "127.0.0.1:5000/gcr"),
		RULE("gcr.io/kaniko-project/executor", "127.0.0.1:5000/kaniko"),
		RULE("docker.io/library/", "mirror.example/lib/"),
		RULE("quay.io/a:1", "quay.io/a:2") };
	const struct ex_image_rules rules = { items, ARRAY_LEN(items) };
	const struct ex_image_rules none = { NULL, 0 };

	(void)state;
	assert_int_equal(ex_image_rules_check(&rules, NULL), 0);
	check_rewrite(&rules, "gcr.io/x/y:1", "127.0.0.1:5000/gcr/x/y:1");
	check_rewrite(
	    &rules, "gcr.io/kaniko-project/executor:debug", "127.0.0.1:5000/kaniko:debug");
	check_rewrite(&rules, "gcr.io/kaniko-project/executor@sha256:" HEX64,
	    "127.0.0.1:5000/kaniko@sha256:" HEX64);
	/* Only at the end of a part. */
	check_rewrite(&rules, "gcr.io/kaniko-project/executor2:1",
	    "127.0.0.1:5000/gcr/kaniko-project/executor2:1");
	check_rewrite(&rules, "gcr.iox/y:1", NULL);
	check_rewrite(&rules, "docker.io/library/busybox:1", "mirror.example/lib/busybox:1");
	check_rewrite(&rules, "docker.io/other/busybox:1", NULL);
	check_rewrite(&rules, "quay.io/a:1", "quay.io/a:2");
	check_rewrite(&rules, "quay.io/a:11", NULL);
	check_rewrite(&none, "gcr.io/x:1", NULL);
}

static void
test_rules_refused(void **state)
{
	static const char *const bad[] = { "UPPER.io/X", "a b", "r.io/a?x", "https://r.io/",
		"r.io//", "/" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct ex_image_rule item = RULE("gcr.io", bad[i]);
		const struct ex_image_rules rules = { &item, 1 };
		if (ex_image_rules_check(&rules, NULL) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
	}
}

static Millrace__RegistryAuth
entry(const char *registry, const char *type)
{
	Millrace__RegistryAuth a = MILLRACE__REGISTRY_AUTH__INIT;

	a.registry = (char *)(uintptr_t)registry;
	a.type = (char *)(uintptr_t)type;
	return a;
}

static void
test_auth_find(void **state)
{
	Millrace__RegistryAuth a = entry("r.io", "basic"), b = entry("https://r.io", "basic"),
	                       c = entry("https://index.docker.io/v1/", "basic"),
	                       d = entry("docker.io", "basic"), e = entry("x.io:5000", "basic");
	Millrace__RegistryAuth *all[] = { &b, &a, &c, &d, &e };

	(void)state;
	assert_ptr_equal(ex_image_auth_find(all, 5, "r.io"), &a);
	assert_ptr_equal(ex_image_auth_find(all, 1, "r.io"), &b);
	assert_ptr_equal(ex_image_auth_find(all, 5, "docker.io"), &c);
	assert_ptr_equal(ex_image_auth_find(all, 5, "x.io:5000"), &e);
	assert_null(ex_image_auth_find(all, 5, "x.io"));
	assert_null(ex_image_auth_find(all, 5, "%s%n"));
	assert_null(ex_image_auth_find(NULL, 0, "r.io"));
}

/* Undoes the URL-safe base64 of a header by comparing it with what it should be made of. */
static void
assert_header(const char *header, const char *user, const char *password, const char *server)
{
	auto_json *j = json_pack(
	    "{s:s, s:s, s:s}", "username", user, "password", password, "serveraddress", server);
	auto_free char *text = json_print(j);
	auto_free char *want = crypto_base64(text, strlen(text));

	for (char *p = want; *p; p++) {
		if (*p == '+')
			*p = '-';
		else if (*p == '/')
			*p = '_';
	}
	assert_string_equal(header, want);
}

static void
check_entry(const char *type, const char *auth, const char *user, const char *password)
{
	Millrace__Value v = MILLRACE__VALUE__INIT;
	Millrace__RegistryAuth a = entry("r.io", type);
	auto_free char *header = NULL;
	auto_err err = NULL;

	v.literal = (char *)(uintptr_t)auth;
	a.auth = &v;
	int rc = ex_image_auth_entry(&header, &a, "r.io", &err);
	if (!user) {
		assert_int_equal(rc, ERR_INVALID);
		assert_non_null(strstr(err_msg(err), "r.io"));
		assert_null(header);
		/* What was wrong is not told: it may be a secret. */
		if (strlen(auth) > 3)
			assert_null(strstr(err_msg(err), auth));
		return;
	}
	assert_int_equal(rc, 0);
	assert_header(header, user, password, "r.io");
}

static void
test_auth_entries(void **state)
{
	auto_free char *huge = xcalloc(1, 100001);

	(void)state;
	check_entry("encodedauth", "dXNlcjpwYXNz", "user", "pass");
	check_entry("encodedauth", "dTpwOnE=", "u", "p:q"); /* only the first colon divides */
	check_entry("encodedauth", "dTo=", "u", "");
	check_entry("encodedauth", "dXNlcg==", NULL, NULL); /* no colon */
	check_entry("encodedauth", "not base64!", NULL, NULL);
	check_entry("encodedauth", "", NULL, NULL);
	check_entry("encodedauth", "====", NULL, NULL);
	memset(huge, 'A', 100000);
	check_entry("encodedauth", huge, NULL, NULL);
	check_entry("oauth", "dXNlcjpwYXNz", NULL, NULL);
	/* basic, with nothing given */
	Millrace__RegistryAuth a = entry("r.io", "basic");
	auto_free char *header = NULL;
	assert_int_equal(ex_image_auth_entry(&header, &a, "docker.io", NULL), 0);
	assert_header(header, "", "", "https://index.docker.io/v1/");
	auto_free char *odd = ex_image_auth_header("u\"\\", "p?>~\n", "r.io");
	assert_header(odd, "u\"\\", "p?>~\n", "r.io");
	assert_null(strpbrk(odd, "+/\n"));
	auto_free char *broken = ex_image_auth_header("u", "\xff\xfe", "r.io");
	assert_string_equal(broken, ""); /* cannot be said in JSON */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normal_form),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_rules_refused),
		cmocka_unit_test(test_auth_find),
		cmocka_unit_test(test_auth_entries),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
