#include "runservice/config.h"

#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static struct rs_config
good_s3(void)
{
	return (struct rs_config){ .rpc_listen = text("tcp://127.0.0.1:1"),
		.object_store = text("s3"),
		.s3_endpoint = text("https://s3.example.org"),
		.s3_bucket = text("b"),
		.s3_region = text("us-east-1"),
		.s3_access_key = text("A"),
		.s3_secret_key = text("S"),
		.master_key_file = text("/nonexistent/master"),
		.gateway_key_file = text("/nonexistent/gateway") };
}

static void
expect(const struct rs_config *cfg, const char *says)
{
	struct rs_config copy = *cfg;
	auto_err err = NULL;

	assert_int_not_equal(rs_config_check(&copy, &err), 0);
	if (strstr(err_msg(err), says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err_msg(err), says);
}

/* A configuration without a mistake gets as far as the files with the keys. */
static void
test_s3(void **state)
{
	struct rs_config c = good_s3();

	(void)state;
	expect(&c, "master_key_file");
	c.object_url = text("https://objects");
	expect(&c, "https needs cert_file");
	c = good_s3();
	c.s3_bucket = NULL;
	expect(&c, "object_store: s3: bucket is missing");
	c = good_s3();
	c.s3_secret_key = NULL;
	expect(&c, "secret key is missing");
	c = good_s3();
	c.s3_endpoint = text("s3.example.org");
	expect(&c, "is not of the form http(s)://");
	c = good_s3();
	c.s3_url = text("https://s3/bucket");
	expect(&c, "the bucket does not belong in it");
}

static void
test_dir(void **state)
{
	struct rs_config c = { .rpc_listen = text("tcp://127.0.0.1:1"),
		.object_store = text("dir"),
		.object_url = text("http://127.0.0.1:2"),
		.s3_region = text("us-east-1"),
		.master_key_file = text("/nonexistent/master") };

	(void)state;
	expect(&c, "master_key_file");
	c.s3_bucket = text("b");
	expect(&c, "s3_ keys need object_store: s3");
	c.s3_bucket = NULL;
	c.object_url = NULL;
	expect(&c, "object_url: required");
	c.object_store = text("s4");
	expect(&c, "\"s4\" is neither dir nor s3");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_s3),
		cmocka_unit_test(test_dir),
	};

	return cmocka_run_group_tests_name("runservice_config", tests, NULL, NULL);
}
