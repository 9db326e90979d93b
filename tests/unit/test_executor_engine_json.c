/* What we tell the engine, and what we take from the answers of one that lies. */
#include "common/buf.h"
#include "common/mem.h"
#include "executor/engine_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *
parse(const char *text)
{
	json_t *j = NULL;
	auto_err err = NULL;

	if (json_parse(&j, text, strlen(text), &err) != 0)
		fail_msg("%s in %.60s", err_msg(err), text);
	return j;
}

/* The value at a path of keys and indexes, or NULL. */
static const json_t *
at(const json_t *j, const char *path)
{
	auto_free char *copy = xstrdup(path);
	char *save = NULL;

	for (char *k = strtok_r(copy, "/", &save); k && j; k = strtok_r(NULL, "/", &save))
		j = json_is_array(j) ? json_array_get(j, strtoul(k, NULL, 10))
		                     : json_object_get(j, k);
	return j;
}

static const char *
text_at(const json_t *j, const char *path)
{
	const char *s = json_string_value(at(j, path));

	return s ? s : "(none)";
}

static void
test_image(void **state)
{
	auto_json *j =
	    parse("{\"Id\":\"sha256:12\",\"RepoDigests\":[\"r@sha256:1\",\"s\"],"
	          "\"Config\":{\"User\":\"1000\",\"WorkingDir\":\"/w\",\"Env\":[\"A=1\"],"
	          "\"Entrypoint\":[\"/e\",\"x\"],\"Cmd\":null,"
	          "\"Volumes\":{\"/v\":{},\"/\":{},\"rel\":{},\"\":{},\"/w\":null}}}");
	struct ex_image_info info;

	(void)state;
	assert_int_equal(ex_json_image(&info, j, NULL, NULL), 0);
	assert_string_equal(info.id, "sha256:12");
	assert_string_equal(info.digest, "r@sha256:1");
	assert_string_equal(info.user, "1000");
	assert_string_equal(info.working_dir, "/w");
	assert_int_equal(info.nenv, 1);
	assert_int_equal(info.nentrypoint, 2);
	assert_string_equal(info.entrypoint[1], "x");
	assert_int_equal(info.ncmd, 0);
	assert_int_equal(info.nvolumes, 2); /* only absolute ones below the root */
	ex_image_info_fini(&info);
}

static void
test_digest_of_the_repository(void **state)
{
	auto_json *j =
	    parse("{\"Id\":\"x\",\"RepoDigests\":[\"a:1/r@sha256:1\",\"b:2/r-s@sha256:2\","
	          "\"b:2/r@sha256:3\"]}");
	static const struct {
		const char *repo, *digest;
	} cases[] = { { "b:2/r", "b:2/r@sha256:3" }, { "a:1/r", "a:1/r@sha256:1" },
		{ "c:3/r", "a:1/r@sha256:1" }, { "", "a:1/r@sha256:1" },
		{ NULL, "a:1/r@sha256:1" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ex_image_info info;

		assert_int_equal(ex_json_image(&info, j, cases[i].repo, NULL), 0);
		assert_string_equal(info.digest, cases[i].digest);
		ex_image_info_fini(&info);
	}
}

static void
test_image_with_little(void **state)
{
	static const char *const texts[] = { "{\"Id\":\"x\"}", "{\"Id\":\"x\",\"Config\":null}",
		"{\"Id\":\"x\",\"Config\":{},\"RepoDigests\":[]}",
		"{\"Id\":\"x\",\"Config\":[],\"RepoDigests\":{}}",
		"{\"Id\":\"x\",\"Config\":5,\"RepoDigests\":[5]}",
		"{\"Id\":\"x\",\"Config\":{\"User\":5,\"WorkingDir\":[]}}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		auto_json *j = parse(texts[i]);
		struct ex_image_info info;
		assert_int_equal(ex_json_image(&info, j, NULL, NULL), 0);
		assert_string_equal(info.id, "x");
		assert_null(info.digest);
		assert_string_equal(info.user, "");
		assert_string_equal(info.working_dir, "");
		assert_int_equal(info.nenv + info.nentrypoint + info.ncmd + info.nvolumes, 0);
		ex_image_info_fini(&info);
	}
}

static void
check_image_refused(const char *text)
{
	auto_json *j = parse(text);
	struct ex_image_info info = { 0 };
	auto_err err = NULL;

	if (ex_json_image(&info, j, NULL, &err) != ERR_INVALID)
		fail_msg("accepted: %.100s", text);
	assert_non_null(strstr(err_msg(err), "image"));
	assert_null(info.id); /* nothing is half done */
}

/* {"Id":"x","Config":{"KEY":OPEN item,item,... CLOSE}} */
static char *
config_of(const char *key, const char *open, const char *item, size_t n, const char *close)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "{\"Id\":\"x\",\"Config\":{\"%s\":%s", key, open);
	for (size_t i = 0; i < n; i++) {
		buf_puts(&b, i ? "," : "");
		if (*open == '{')
			buf_printf(&b, "\"/v%zu\":", i);
		buf_puts(&b, item);
	}
	buf_printf(&b, "%s}}", close);
	return buf_take(&b);
}

static void
test_hostile_images(void **state)
{
	static const char *const bad[] = { "null", "[]", "5", "\"Id\"", "{}", "{\"Id\":5}",
		"{\"Id\":null}", "{\"Id\":[\"x\"]}",
		"{\"Id\":\"x\",\"Config\":{\"Env\":{\"A\":\"b\"}}}",
		"{\"Id\":\"x\",\"Config\":{\"Env\":\"A=b\"}}",
		"{\"Id\":\"x\",\"Config\":{\"Env\":[\"A=b\",5]}}",
		"{\"Id\":\"x\",\"Config\":{\"Env\":[null]}}",
		"{\"Id\":\"x\",\"Config\":{\"Env\":[[\"A=b\"]]}}",
		"{\"Id\":\"x\",\"Config\":{\"Entrypoint\":true}}",
		"{\"Id\":\"x\",\"Config\":{\"Entrypoint\":[{}]}}",
		"{\"Id\":\"x\",\"Config\":{\"Cmd\":-1}}",
		"{\"Id\":\"x\",\"Config\":{\"Volumes\":[\"/v\"]}}",
		"{\"Id\":\"x\",\"Config\":{\"Volumes\":\"/v\"}}" };
	auto_free char *id = xasprintf("{\"Id\":\"%0129d\"}", 1);
	auto_free char *env = config_of("Env", "[", "\"A=b\"", EX_IMAGE_LIST_MAX + 1, "]");
	auto_free char *most = config_of("Env", "[", "\"A=b\"", EX_IMAGE_LIST_MAX, "]");
	auto_free char *volumes = config_of("Volumes", "{", "{}", EX_COVERED_MAX + 1, "}");
	struct ex_image_info info;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_image_refused(bad[i]);
	check_image_refused(id);
	check_image_refused(env);
	check_image_refused(volumes);
	auto_json *j = parse(most);
	assert_int_equal(ex_json_image(&info, j, NULL, NULL), 0);
	assert_int_equal(info.nenv, EX_IMAGE_LIST_MAX);
	ex_image_info_fini(&info);
}

static void
test_labels(void **state)
{
	const struct ex_owner full = { "e1", "r1", "t1", "main", UINT64_MAX, NULL };
	const struct ex_owner part = { .executor = "e1" };
	auto_json *j = ex_json_labels(&full), *k = ex_json_labels(&part);
	const char *task;
	uint64_t fence;

	(void)state;
	assert_true(ex_json_owner(j, &task, &fence));
	assert_string_equal(task, "t1");
	assert_true(fence == UINT64_MAX);
	assert_string_equal(text_at(j, "millrace.role"), "main");
	assert_int_equal(json_object_size(k), 2);
	assert_false(ex_json_owner(k, &task, &fence));
}

static void
test_hostile_labels(void **state)
{
	static const char *const bad[] = { "null", "[]", "5", "{}", "{\"millrace.task\":\"t\"}",
		"{\"millrace.fence\":\"1\"}", "{\"millrace.task\":5,\"millrace.fence\":\"1\"}",
		"{\"millrace.task\":\"t\",\"millrace.fence\":1}",
		"{\"millrace.task\":\"t\",\"millrace.fence\":\"\"}",
		"{\"millrace.task\":\"t\",\"millrace.fence\":\"-1\"}",
		"{\"millrace.task\":\"t\",\"millrace.fence\":\" 1\"}",
		"{\"millrace.task\":\"t\",\"millrace.fence\":\"1x\"}",
		"{\"millrace.task\":\"t\",\"millrace.fence\":\"18446744073709551616\"}",
		"{\"millrace.task\":\"t\",\"millrace.fence\":\"99999999999999999999999\"}" };
	const char *task;
	uint64_t fence;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_json *j = parse(bad[i]);
		if (ex_json_owner(j, &task, &fence))
			fail_msg("accepted: %s", bad[i]);
	}
	assert_false(ex_json_owner(NULL, &task, &fence));
}

static void
test_filters(void **state)
{
	const struct ex_owner o = { .executor = "e&1 \"x" };
	auto_free char *text = ex_json_filters(&o);

	(void)state;
	assert_int_equal(
	    strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	                 "%._-~"),
	    strlen(text));
	assert_non_null(strstr(text, "millrace.executor%3De%261%20"));
}

#define STR(s) ((char *)(uintptr_t)(s))

/* One started ahead is the same container, but for whom it belongs to and who removes it. */
static void
test_container_ahead(void **state)
{
	const struct ex_owner task = { .executor = "e1", .task = "t1", .role = "main" };
	const struct ex_owner nobody = { .executor = "e1", .role = "warm", .warm = "w1" };
	const struct ex_image_info image = { .id = STR("sha256:12") };
	Millrace__Container def = MILLRACE__CONTAINER__INIT;
	struct ex_container_plan plan = { .owner = &task,
		.image = &image,
		.def = &def,
		.name = "c",
		.toolbox_volume = "toolbox",
		.network = "net",
		.pids_limit = 99,
		.cover = true };
	auto_json *cold = ex_json_container(&plan), *ahead = NULL;
	const char *label, *who;
	uint64_t fence;

	(void)state;
	plan.owner = &nobody;
	plan.cover = false;
	plan.auto_remove = true;
	ahead = ex_json_container(&plan);
	label = json_text(json_member(ahead, "Labels"), EX_LABEL_WARM);
	assert_string_equal(label, "w1");
	assert_false(ex_json_owner(json_member(ahead, "Labels"), &who, &fence));
	assert_true(json_is_true(json_member(json_member(ahead, "HostConfig"), "AutoRemove")));
	assert_true(json_is_false(json_member(json_member(cold, "HostConfig"), "AutoRemove")));
	for (size_t i = 0; i < 2; i++) {
		json_object_del(i ? cold : ahead, "Labels");
		json_object_del(json_member(i ? cold : ahead, "HostConfig"), "AutoRemove");
	}
	assert_true(json_equal(cold, ahead));
}

static void
test_ids(void **state)
{
	static const char *const bad[] = { "", "x", "../a", "0123/4", "ABC", "12 3", "1?force" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(ex_json_is_id(bad[i]));
	assert_true(ex_json_is_id("0123456789abcdef"));
}

/* What is asked for is a limit; what says nothing has the executor's, if that has one. */
static void
test_resources(void **state)
{
	static const struct {
		uint64_t cpu, memory;
		int64_t cpu_max, memory_max, nano, bytes;
	} cases[] = {
		{ 0, 0, 0, 0, 0, 0 },
		{ 1500, 6 << 20, 0, 0, 1500000000, 6 << 20 },
		{ 1500, 6 << 20, 2000, 7 << 20, 1500000000, 6 << 20 },
		{ 0, 0, 2000, 7 << 20, 2000000000, 7 << 20 },
		{ 1000000, INT64_MAX, 0, 0, 1000000000000, INT64_MAX },
		{ 1, 0, 0, 0, 1000000, 0 },
		{ UINT64_MAX, UINT64_MAX, 0, 0, 0, 0 },
	};
	const struct ex_owner owner = { .executor = "e1", .task = "t1", .role = "main" };
	const struct ex_image_info image = { .id = STR("sha256:12") };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Millrace__Container def = MILLRACE__CONTAINER__INIT;
		const struct ex_container_plan plan = { .owner = &owner,
			.image = &image,
			.def = &def,
			.name = "c",
			.toolbox_volume = "toolbox",
			.network = "net",
			.cpu_max = cases[i].cpu_max,
			.memory_max = cases[i].memory_max };

		def.cpu_milli = cases[i].cpu;
		def.memory = cases[i].memory;
		auto_json *j = ex_json_container(&plan);
		assert_int_equal(json_integer_value(at(j, "HostConfig/NanoCpus")), cases[i].nano);
		assert_int_equal(json_integer_value(at(j, "HostConfig/Memory")), cases[i].bytes);
		assert_int_equal(
		    json_integer_value(at(j, "HostConfig/MemorySwap")), cases[i].bytes);
		assert_int_equal(at(j, "HostConfig/Memory") != NULL, cases[i].bytes != 0);
	}
}

/* No privilege but what the definition asks for, everything by label, nothing of the host. */
static void
test_container(void **state)
{
	const struct ex_owner owner = { "e1", "r1", "t1", "main", 3, NULL };
	char *volumes[] = { STR("/data"), STR("/tmpfs"), STR("/mnt/millrace/run"),
		STR("/mnt/millrace") };
	const struct ex_image_info image = {
		.id = STR("sha256:12"), .volumes = volumes, .nvolumes = 4
	};
	Millrace__Volume v = MILLRACE__VOLUME__INIT, *vs[] = { &v };
	Millrace__Container def = MILLRACE__CONTAINER__INIT;
	struct ex_container_plan plan = { .owner = &owner,
		.image = &image,
		.def = &def,
		.name = "mr-t1",
		.toolbox_volume = "toolbox",
		.network = "net",
		.pids_limit = 100,
		.cover = true };

	(void)state;
	v.path = STR("/tmpfs");
	v.tmpfs_size = 4096;
	def.volumes = vs;
	def.n_volumes = 1;
	auto_json *j = ex_json_container(&plan);
	assert_non_null(j);
	assert_string_equal(text_at(j, "Image"), "sha256:12");
	assert_string_equal(text_at(j, "Cmd/0"), "init");
	assert_string_equal(text_at(j, "Labels/millrace.task"), "t1");
	assert_true(json_is_false(at(j, "HostConfig/Privileged")));
	assert_null(at(j, "HostConfig/Binds"));
	assert_null(at(j, "HostConfig/CapAdd"));
	assert_null(at(j, "HostConfig/SecurityOpt"));
	assert_int_equal(json_integer_value(at(j, "HostConfig/PidsLimit")), 100);
	/* toolbox, its tmpfs, the definition's tmpfs, and a named volume for /data only */
	const json_t *mounts = at(j, "HostConfig/Mounts");
	assert_int_equal(json_array_size(mounts), 4);
	assert_string_equal(text_at(mounts, "0/Target"), EX_MOUNT_BIN);
	assert_true(json_is_true(at(mounts, "0/ReadOnly")));
	assert_string_equal(text_at(mounts, "2/Target"), "/tmpfs");
	assert_int_equal(json_integer_value(at(mounts, "2/TmpfsOptions/SizeBytes")), 4096);
	assert_string_equal(text_at(mounts, "3/Target"), "/data");
	assert_string_equal(text_at(mounts, "3/VolumeOptions/Labels/millrace.role"), "volume");
	for (size_t i = 0; i < 4; i++)
		assert_string_not_equal(text_at(json_array_get(mounts, i), "Type"), "bind");

	plan.index = 1;
	plan.cover = false;
	def.has_privileged = def.privileged = true;
	auto_json *k = ex_json_container(&plan);
	assert_string_equal(text_at(k, "Cmd/0"), "service");
	assert_true(json_is_true(at(k, "HostConfig/Privileged")));
	assert_int_equal(json_array_size(at(k, "HostConfig/Mounts")), 3);
}

/* A size that no signed number holds is no limit, not a negative one. */
static void
test_huge_tmpfs(void **state)
{
	const struct ex_owner owner = { "e1", "r1", "t1", "main", 3, NULL };
	const struct ex_image_info image = { .id = STR("x") };
	Millrace__Volume v = MILLRACE__VOLUME__INIT, *vs[] = { &v };
	Millrace__Container def = MILLRACE__CONTAINER__INIT;
	const struct ex_container_plan plan = { .owner = &owner,
		.image = &image,
		.def = &def,
		.name = "n",
		.toolbox_volume = "t",
		.network = "net" };

	(void)state;
	v.path = STR("/t");
	v.tmpfs_size = UINT64_MAX;
	def.volumes = vs;
	def.n_volumes = 1;
	auto_json *j = ex_json_container(&plan);
	assert_string_equal(text_at(j, "HostConfig/Mounts/2/Target"), "/t");
	assert_null(at(j, "HostConfig/Mounts/2/TmpfsOptions"));
}

static void
test_helper_and_network(void **state)
{
	const struct ex_owner owner = { "e1", "r1", "t1", "main", 3, NULL };
	auto_json *h = ex_json_helper(&owner, "sha256:12", "toolbox");
	auto_json *n = ex_json_network(&owner, "net");

	(void)state;
	/* Shared between tasks: they carry the executor's label, no task's. */
	assert_string_equal(text_at(h, "HostConfig/NetworkMode"), "none");
	assert_string_equal(text_at(h, "Labels/millrace.role"), "helper");
	assert_null(at(h, "Labels/millrace.task"));
	assert_string_equal(text_at(n, "Labels/millrace.executor"), "e1");
	assert_null(at(n, "Labels/millrace.task"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_digest_of_the_repository),
		cmocka_unit_test(test_image_with_little),
		cmocka_unit_test(test_hostile_images),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_hostile_labels),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_container_ahead),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_huge_tmpfs),
		cmocka_unit_test(test_helper_and_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
