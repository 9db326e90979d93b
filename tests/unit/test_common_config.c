/* A daemon's configuration: what counts, what is refused and where, secrets in files. */
#include "common/buf.h"
#include "common/config.h"
#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
	char *a;
};
struct cfg {
	char *name, *path, *password;
	int64_t count, any, wait_ms;
	bool on, off;
	struct pair pair;
};

static int
pair_parse(void *at, const struct yaml_node *node, struct err **err)
{
	const struct yaml_node *a = yaml_get(node, "a");

	if (!a)
		return err_set(err, ERR_INVALID, "needs a");
	((struct pair *)at)->a = xstrdup(a->text);
	return 0;
}

static void
pair_free(void *at)
{
	free(steal(&((struct pair *)at)->a));
}

#define KEY(name_, type_, member_)                                                                 \
	.name = (name_), .type = (type_), .offset = offsetof(struct cfg, member_)
static const struct config_key keys[] = {
	{ KEY("name", CONFIG_TEXT, name), .required = true },
	{ KEY("path", CONFIG_TEXT, path), .text_default = "/default" },
	{ KEY("password_file", CONFIG_SECRET_FILE, password) },
	{ KEY("count", CONFIG_INT, count), .text_default = "7", .min = 1, .max = 10 },
	{ KEY("any", CONFIG_INT, any) },
	{ KEY("wait", CONFIG_DURATION, wait_ms), .text_default = "30s", .min = 1000,
	    .max = 3600000 },
	{ KEY("on", CONFIG_BOOL, on), .text_default = "true" },
	{ KEY("off", CONFIG_BOOL, off) },
	{ KEY("pair", CONFIG_CUSTOM, pair), .parse = pair_parse, .free = pair_free },
};
#define NKEYS ARRAY_LEN(keys)

static char dir[] = "/tmp/test_config.XXXXXX";
static char *file, *secret;

static int
setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	file = xasprintf("%s/c.yml", dir);
	secret = xasprintf("%s/secret", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(file);
	unlink(secret);
	rmdir(dir);
	free(file);
	free(secret);
	return 0;
}

static void
put(const char *path, const char *text, size_t n, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static struct cfg
load(const char *text)
{
	struct cfg cfg = { 0 };
	auto_err err = NULL;

	put(file, text, strlen(text), 0600);
	if (config_load(&cfg, keys, NKEYS, file, &err) != 0)
		fail_msg("%s", err_msg(err));
	return cfg;
}

static void
drop(struct cfg *cfg)
{
	config_free(cfg, keys, NKEYS);
	assert_null(cfg->name);
	assert_null(cfg->password);
	assert_null(cfg->pair.a);
}

/* Each part must be in the message, with the file's name before ":line:col: ". */
static void
refused(const char *text, const char *const *parts, size_t n)
{
	struct cfg cfg = { 0 };
	auto_err err = NULL;

	put(file, text, strlen(text), 0600);
	if (config_load(&cfg, keys, NKEYS, file, &err) != ERR_INVALID)
		fail_msg("accepted: %s", text);
	for (size_t i = 0; i < n; i++) {
		auto_free char *want = xasprintf("%s:%s", file, parts[i]);
		if (!strstr(err_msg(err), want))
			fail_msg("%s\nwithout %s", err_msg(err), want);
	}
	size_t lines = 1;
	for (const char *p = err_msg(err); *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, n);
	drop(&cfg);
}
#define REFUSED(text, ...)                                                                         \
	do {                                                                                       \
		static const char *const parts_[] = { __VA_ARGS__ };                               \
		refused(text, parts_, ARRAY_LEN(parts_));                                          \
	} while (0)

static void
test_defaults_and_values(void **state)
{
	struct cfg cfg = load("name: x\n");

	(void)state;
	assert_string_equal(cfg.name, "x");
	assert_string_equal(cfg.path, "/default");
	assert_null(cfg.password);
	assert_int_equal(cfg.count, 7);
	assert_int_equal(cfg.any, 0);
	assert_int_equal(cfg.wait_ms, 30000);
	assert_true(cfg.on);
	assert_false(cfg.off);
	drop(&cfg);
	/* What is written goes before the default, also when it is empty or false. */
	cfg = load("name: 5\npath: ''\ncount: 10\nany: -3\nwait: 1m30s\non: no\noff: On\n"
	           "pair: {a: b}\n");
	assert_string_equal(cfg.name, "5");
	assert_string_equal(cfg.path, "");
	assert_int_equal(cfg.count, 10);
	assert_int_equal(cfg.any, -3);
	assert_int_equal(cfg.wait_ms, 90000);
	assert_false(cfg.on);
	assert_true(cfg.off);
	assert_string_equal(cfg.pair.a, "b");
	drop(&cfg);
	/* null: as if it were not there */
	cfg = load("name: x\npath:\ncount: ~\npair: null\n");
	assert_string_equal(cfg.path, "/default");
	assert_int_equal(cfg.count, 7);
	assert_null(cfg.pair.a);
	drop(&cfg);
	/* JSON is YAML. */
	cfg = load("{\"name\": \"j\", \"count\": 2}");
	assert_int_equal(cfg.count, 2);
	drop(&cfg);
}

static void
test_refused(void **state)
{
	(void)state;
	REFUSED("", "1:1: name: required");
	REFUSED("name:\n", "1:1: name: required");
	REFUSED("- name\n", "1:1: must be a mapping", "1:1: name: required");
	REFUSED("name: x\nnam: y\n", "2:1: nam: unknown key");
	REFUSED("name: x\nCount: 3\n", "2:1: Count: unknown key"); /* spelled as it is */
	REFUSED("name: x\n1: y\n", "2:1: 1: unknown key");
	REFUSED("name: x\nname: y\n", "2:1: name: given twice");
	REFUSED("name: [x]\n", "1:7: name: must be a single value, not a list");
	REFUSED("name: x\ncount: {a: 1}\n", "2:8: count: must be a single value, not a mapping");
	REFUSED("name: x\npair: {b: 1}\n", "2:7: pair: needs a");
	REFUSED("name: x\npair: text\n", "2:7: pair: needs a");
	REFUSED("name: x\nbad: [\n", "3:1: "); /* no YAML: where it breaks, and nothing else */
	/* All at once, each at its place. */
	REFUSED("count: 11\nzzz: 1\nwait: soon\non: 2\n", "1:8: count: must be 1 to 10",
	    "2:1: zzz: unknown key", "3:7: wait: \"soon\" is not a duration",
	    "4:5: on: must be true or false", "1:1: name: required");
}

static void
test_ranges(void **state)
{
	(void)state;
	REFUSED("name: x\ncount: 0\n", "2:8: count: must be 1 to 10");
	REFUSED("name: x\ncount: -1\n", "2:8: count: must be 1 to 10");
	REFUSED("name: x\ncount: 1.5\n", "2:8: count: must be a whole number");
	REFUSED("name: x\ncount: 1e0\n", "2:8: count: must be a whole number");
	REFUSED("name: x\ncount: many\n", "2:8: count: must be a whole number");
	REFUSED("name: x\ncount: ''\n", "2:8: count: must be a whole number");
	REFUSED("name: x\ncount: 99999999999999999999\n", "2:8: count: must be a whole number");
	REFUSED("name: x\nwait: 999ms\n", "2:7: wait: must be 1000 to 3600000 (milliseconds)");
	REFUSED("name: x\nwait: 61m\n", "2:7: wait: must be 1000 to 3600000 (milliseconds)");
	REFUSED("name: x\nwait: -5s\n", "2:7: wait: must be 1000 to 3600000 (milliseconds)");
	REFUSED("name: x\nwait: 30\n", "2:7: wait: \"30\" is not a duration");
	REFUSED("name: x\non: ''\n", "2:5: on: must be true or false");
	struct cfg cfg = load("name: x\ncount: 1\nwait: 1h\nany: 9223372036854775807\n");
	assert_int_equal(cfg.count, 1);
	assert_int_equal(cfg.wait_ms, 3600000);
	assert_true(cfg.any == INT64_MAX);
	drop(&cfg);
}

static void
test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = { { "0", 0 }, { "-0", 0 }, { "1ns", 1 }, { "1us", 1000 }, { "1\xc2\xb5s", 1000 },
		{ "1\xce\xbcs", 1000 }, { "250ms", 250000000 }, { "1.5s", 1500000000 },
		{ ".5s", 500000000 }, { "1.s", 1000000000 }, { "1h30m", 5400000000000 },
		{ "2m1h", 3720000000000 }, { "-5s", -5000000000 }, { "+5s", 5000000000 },
		{ "0s", 0 }, { "2555555h", 9199998000000000000 } };
	static const char *const bad[] = { "", "-", "5", "5 s", " 5s", "5s ", "s", "5x", "5S", "1d",
		"1h-30m", "1..5s", "1.5.5s", ".s", "1e3s", "0x1s", "infs", "nans", "1h30", "--5s",
		"00", "2562048h", "99999999999999999999999h", "5s\n" };
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		auto_err err = NULL;
		if (config_parse_duration_ns(&ns, good[i].text, &err) != 0)
			fail_msg("%s", err_msg(err));
		if (ns != good[i].ns)
			fail_msg("%s is %lld", good[i].text, (long long)ns);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (config_parse_duration_ns(&ns, bad[i], NULL) != ERR_INVALID)
			fail_msg("accepted: \"%s\"", bad[i]);
}

static struct cfg
load_secret(void)
{
	auto_free char *text = xasprintf("name: x\npassword_file: %s\n", secret);

	return load(text);
}

static void
secret_refused(const char *part)
{
	auto_free char *text = xasprintf("name: x\npassword_file: %s\n", secret);
	auto_free char *want = xasprintf("2:16: password_file: %s", part);
	const char *const parts[] = { want };

	refused(text, parts, 1);
}

static void
test_secret_files(void **state)
{
	auto_free char *big = xcalloc(1, 70000);
	struct cfg cfg;

	(void)state;
	unlink(secret);
	secret_refused("open ");
	put(secret, "s3cret\n", 7, 0600);
	cfg = load_secret();
	assert_string_equal(cfg.password, "s3cret");
	drop(&cfg);
	put(secret, " a\nb \r\n\n", 8, 0400); /* only the end is cut */
	cfg = load_secret();
	assert_string_equal(cfg.password, " a\nb ");
	drop(&cfg);
	static const mode_t open_modes[] = { 0640, 0604, 0644, 0620, 0601, 0666 };
	for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
		auto_free char *want = xasprintf("%s can be read by others", secret);
		put(secret, "s3cret\n", 7, open_modes[i]);
		secret_refused(want);
	}
	auto_free char *empty = xasprintf("%s is empty", secret);
	put(secret, "", 0, 0600);
	secret_refused(empty);
	put(secret, "\n\r\n", 3, 0600);
	secret_refused(empty);
	auto_free char *large = xasprintf("%s is larger than", secret);
	memset(big, 's', 70000);
	put(secret, big, 70000, 0600);
	secret_refused(large);
}

static void
test_read_file(void **state)
{
	char *text = NULL;
	size_t n = 0;
	auto_err err = NULL;

	(void)state;
	put(file, "12345", 5, 0600);
	assert_int_equal(config_read_file(&text, &n, file, 5, NULL), 0);
	assert_string_equal(text, "12345");
	assert_int_equal(n, 5);
	free(steal(&text));
	assert_int_equal(config_read_file(&text, &n, file, 4, &err), ERR_INVALID);
	assert_non_null(strstr(err_msg(err), "larger than 4 bytes"));
	assert_null(text);
	put(file, "a\0b", 3, 0600);
	assert_int_equal(config_read_file(&text, &n, file, 5, NULL), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(text, "a\0b", 4);
	free(steal(&text));
	put(file, "", 0, 0600);
	assert_int_equal(config_read_file(&text, &n, file, 5, NULL), 0);
	assert_string_equal(text, "");
	free(steal(&text));
	assert_true(config_read_file(&text, &n, dir, 5, NULL) < 0);
	unlink(file);
	assert_int_equal(config_read_file(&text, &n, file, 5, NULL), ERR_NOTFOUND);
}

static void
test_missing_and_large_file(void **state)
{
	auto_free char *text = xcalloc(1, (1u << 20) + 2);
	struct cfg cfg = { 0 };
	auto_err err = NULL;
	auto_err other = NULL;

	(void)state;
	unlink(file);
	assert_int_equal(config_load(&cfg, keys, NKEYS, file, &err), ERR_NOTFOUND);
	assert_non_null(strstr(err_msg(err), file));
	memset(text, '#', (1u << 20) + 1);
	put(file, text, (1u << 20) + 1, 0600);
	assert_int_equal(config_load(&cfg, keys, NKEYS, file, &other), ERR_INVALID);
	assert_non_null(strstr(err_msg(other), "larger than"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_and_values),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_secret_files),
		cmocka_unit_test(test_read_file),
		cmocka_unit_test(test_missing_and_large_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
