#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "gateway/definition.h"
#include "gateway/run_json.h"

#include <string.h>

/* The two definitions of the document the system starts from, in one file. */
static const char kaniko[] = "version: v0\n"
                             "\n"
                             "runs:\n"
                             "  - name: build image\n"
                             "    tasks:\n"
                             "      - name: build\n"
                             "        runtime:\n"
                             "          containers:\n"
                             "            - image: golang:1.12-stretch\n"
                             "        steps:\n"
                             "          - clone:\n"
                             "          - run:\n"
                             "              name: build the program\n"
                             "              command: go build .\n"
                             "          - save_to_workspace:\n"
                             "              contents:\n"
                             "                - source_dir: .\n"
                             "                  dest_dir: /bin/\n"
                             "                  paths:\n"
                             "                    - agola-example-kaniko\n"
                             "                - source_dir: .\n"
                             "                  dest_dir: /\n"
                             "                  paths:\n"
                             "                    - Dockerfile\n"
                             "                    - .dockerignore\n"
                             "      - name: build docker image\n"
                             "        runtime:\n"
                             "          containers:\n"
                             "            - image: gcr.io/kaniko-project/executor:debug\n"
                             "        environment:\n"
                             "          DOCKERREGISTRY_URL: \"https://index.docker.io/v1/\"\n"
                             "          DOCKERAUTH:\n"
                             "            from_variable: dockerauth\n"
                             "        shell: /busybox/sh\n"
                             "        working_dir: /workspace\n"
                             "        steps:\n"
                             "          - restore_workspace:\n"
                             "              dest_dir: .\n"
                             "          - run:\n"
                             "              name: generate docker config\n"
                             "              command: |\n"
                             "                cat << EOF > /kaniko/.docker/config.json\n"
                             "                {}\n"
                             "                EOF\n"
                             "          - run: /kaniko/executor --destination your/image:tag\n"
                             "        depends:\n"
                             "          - build\n";

struct fixture {
	struct gw_origin origin;
	struct gw_ref ref;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->origin.group = xstrdup("/user/u/branch/master");
	f->origin.cache_group = xstrdup("u-r");
	gw_pairs_add(&f->origin.annotations, "run_type", "user");
	gw_pairs_add(&f->origin.environment, "CI", "true");
	f->ref = (struct gw_ref){ .type = "branch",
		.ref = xstrdup("refs/heads/master"),
		.branch = xstrdup("master"),
		.tag = xstrdup(""),
		.pull_request_id = xstrdup("") };
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	gw_origin_fini(&f->origin);
	gw_ref_fini(&f->ref);
	free(f);
	return 0;
}

/* Expands text as the file named; the message is an ordinary one. */
static struct gw_expansion
expand(const struct fixture *f, const char *file, const char *text, const char *message)
{
	struct gw_definition d = { .file = file };
	struct gw_expansion x;

	if (text)
		buf_puts(&d.text, text);
	gw_definition_expand(&x, &d, &f->origin, &f->ref, message);
	gw_definition_fini(&d);
	return x;
}

/* Through the wire and back, as the runservice sees it. */
static Millrace__RunSpec *
wire(const Millrace__RunSpec *spec)
{
	size_t n = millrace__run_spec__get_packed_size(spec);
	auto_free uint8_t *bytes = xmalloc(n + 1);

	assert_int_equal(millrace__run_spec__pack(spec, bytes), n);
	return millrace__run_spec__unpack(NULL, n, bytes);
}

static void
check_build_task(const Millrace__TaskSpec *t)
{
	assert_string_equal(t->name, "build");
	assert_int_equal(t->level, 0);
	assert_int_equal(t->n_depends, 0);
	assert_int_equal(t->n_containers, 1);
	assert_string_equal(t->containers[0]->image, "golang:1.12-stretch");
	assert_false(t->containers[0]->privileged);
	assert_false(t->skip);
	assert_int_equal(t->n_steps, 3);
	assert_int_equal(t->steps[0]->type, MILLRACE__STEP_TYPE__STEP_RUN);
	assert_string_equal(t->steps[0]->name, "Clone repository and checkout code");
	assert_non_null(strstr(t->steps[0]->command, "git clone"));
	assert_string_equal(t->steps[1]->name, "build the program");
	assert_string_equal(t->steps[1]->command, "go build .");
	assert_int_equal(t->steps[2]->type, MILLRACE__STEP_TYPE__STEP_SAVE_TO_WORKSPACE);
	assert_int_equal(t->steps[2]->n_contents, 2);
	assert_string_equal(t->steps[2]->contents[0]->dest_dir, "/bin/");
	assert_int_equal(t->steps[2]->contents[1]->n_paths, 2);
	assert_string_equal(t->steps[2]->contents[1]->paths[1], ".dockerignore");
}

static void
check_image_task(const Millrace__TaskSpec *t, const char *build_id)
{
	const Millrace__Value *literal = NULL, *variable = NULL;

	assert_string_equal(t->name, "build docker image");
	assert_int_equal(t->level, 1);
	assert_int_equal(t->n_depends, 1);
	assert_string_equal(t->depends[0]->task_id, build_id);
	assert_int_equal(t->depends[0]->n_conditions, 1);
	assert_string_equal(t->depends[0]->conditions[0], "on_success");
	assert_string_equal(t->shell, "/busybox/sh");
	assert_string_equal(t->working_dir, "/workspace");
	assert_int_equal(t->n_environment, 2);
	for (size_t i = 0; i < 2; i++) {
		if (strcmp(t->environment[i]->name, "DOCKERAUTH") == 0)
			variable = t->environment[i]->value;
		if (strcmp(t->environment[i]->name, "DOCKERREGISTRY_URL") == 0)
			literal = t->environment[i]->value;
	}
	assert_non_null(variable);
	assert_string_equal(variable->variable, "dockerauth");
	assert_null(variable->literal);
	assert_non_null(literal);
	assert_string_equal(literal->literal, "https://index.docker.io/v1/");
	assert_null(literal->variable);
	assert_int_equal(t->n_steps, 3);
	assert_int_equal(t->steps[0]->type, MILLRACE__STEP_TYPE__STEP_RESTORE_WORKSPACE);
	assert_string_equal(t->steps[0]->dest_dir, ".");
	assert_string_equal(t->steps[2]->command, "/kaniko/executor --destination your/image:tag");
}

static void
kaniko_definition(void **state)
{
	struct gw_expansion x = expand(*state, ".agola/config.yml", kaniko, "hello");
	Millrace__RunSpec *spec;

	assert_int_equal(x.nruns, 1);
	assert_int_equal(x.nwarnings, 0);
	spec = wire(x.runs[0]);
	assert_non_null(spec);
	assert_string_equal(spec->name, "build image");
	assert_string_equal(spec->group, "/user/u/branch/master");
	assert_string_equal(spec->cache_group, "u-r");
	assert_int_equal(spec->n_setup_errors, 0);
	assert_int_equal(spec->n_annotations, 1);
	assert_string_equal(spec->static_environment[0]->name, "CI");
	assert_int_equal(spec->n_tasks, 2);
	assert_string_not_equal(spec->tasks[0]->id, spec->tasks[1]->id);
	check_build_task(spec->tasks[0]);
	check_image_task(spec->tasks[1], spec->tasks[0]->id);
	millrace__run_spec__free_unpacked(spec, NULL);
	gw_expansion_fini(&x);
}

static const char task[] = "    tasks:\n"
                           "      - name: t\n"
                           "        runtime: {containers: [{image: busybox}]}\n"
                           "        steps: [{run: 'true'}]\n";

static void
runs_that_do_not_match(void **state)
{
	auto_free char *text = xasprintf("runs:\n  - name: one\n    when: {branch: other}\n%s"
	                                 "  - name: two\n%s        when: {tag: v1}\n",
	    task, task);
	struct gw_expansion x = expand(*state, ".agola/config.yml", text, "hello");

	assert_int_equal(x.nruns, 1);
	assert_string_equal(x.runs[0]->name, "two");
	assert_true(x.runs[0]->tasks[0]->skip); /* the task's own when */
	assert_int_equal(x.nwarnings, 1);
	assert_non_null(strstr(x.warnings[0], "\"one\""));
	gw_expansion_fini(&x);
}

static void
asked_for_no_run(void **state)
{
	auto_free char *text = xasprintf("runs:\n  - name: one\n%s", task);
	struct gw_expansion x = expand(*state, ".agola/config.yml", text, "x\n\n[skip ci]");

	assert_int_equal(x.nruns, 0);
	assert_int_equal(x.nwarnings, 1);
	gw_expansion_fini(&x);
	/* A broken definition shows all the same. */
	x = expand(*state, ".agola/config.yml", "runs: 3\n", "x [ci skip]");
	assert_int_equal(x.nruns, 1);
	assert_string_equal(x.runs[0]->name, "Setup Error");
	gw_expansion_fini(&x);
}

static void
setup_error_with(const struct fixture *f, const char *file, const char *text, const char *part)
{
	struct gw_expansion x = expand(f, file, text, "hello");

	assert_int_equal(x.nruns, 1);
	assert_string_equal(x.runs[0]->name, "Setup Error");
	assert_string_equal(x.runs[0]->group, "/user/u/branch/master");
	assert_int_equal(x.runs[0]->n_annotations, 1);
	assert_int_equal(x.runs[0]->n_tasks, 0);
	assert_true(x.runs[0]->n_setup_errors >= 1);
	if (!strstr(x.runs[0]->setup_errors[0], part))
		fail_msg("no \"%s\" in: %s", part, x.runs[0]->setup_errors[0]);
	gw_expansion_fini(&x);
}

static void
broken_definitions_are_visible(void **state)
{
	struct gw_expansion x;

	setup_error_with(*state, NULL, NULL, "config.yml");
	setup_error_with(*state, ".agola/config.star", "x", ".agola/config.star:1:1: ");
	setup_error_with(*state, ".agola/config.star", "x", "Starlark is not supported");
	setup_error_with(*state, ".agola/config.json", "{", ".agola/config.json:");
	setup_error_with(
	    *state, ".agola/config.yml", "runs:\n  - nam: x\n", ".agola/config.yml:2:");
	/* Every problem, each with its place. */
	x = expand(*state, ".agola/config.yml",
	    "runs:\n  - name: a\n    tasks:\n      - name: t\n"
	    "        runtime: {containers: [{image: b}]}\n        steps: [{fly: x}, {swim: y}]\n",
	    "hello");
	assert_int_equal(x.nruns, 1);
	assert_true(x.runs[0]->n_setup_errors >= 2);
	for (size_t i = 0; i < x.runs[0]->n_setup_errors; i++)
		assert_int_equal(strncmp(x.runs[0]->setup_errors[i], ".agola/config.yml:", 18), 0);
	gw_expansion_fini(&x);
}

static void
too_large_a_file(void **state)
{
	const struct fixture *f = *state;
	struct gw_definition d = { .file = ".agola/config.yml",
		.problem = xstrdup("it has 2 bytes, at most 1 are allowed") };
	struct gw_expansion x;

	gw_definition_expand(&x, &d, &f->origin, &f->ref, "hello");
	assert_int_equal(x.nruns, 1);
	assert_string_equal(x.runs[0]->setup_errors[0],
	    ".agola/config.yml:1:1: it has 2 bytes, at most 1 are allowed");
	gw_expansion_fini(&x);
	gw_definition_fini(&d);
}

/* What a program gave is checked like a file; its places are those of the output. */
static void
evaluated_programs(void **state)
{
	const struct fixture *f = *state;
	struct gw_definition d = { .file = ".agola/config.jsonnet", .evaluated = true };
	struct gw_expansion x;

	buf_puts(&d.text, "{\n\"runs\": 5}");
	gw_definition_expand(&x, &d, &f->origin, &f->ref, "hello");
	assert_int_equal(x.nruns, 1);
	assert_non_null(x.runs[0]->setup_errors);
	assert_int_equal(
	    strncmp(x.runs[0]->setup_errors[0], ".agola/config.jsonnet (output):2:9: ", 36), 0);
	gw_expansion_fini(&x);
	buf_clear(&d.text);
	buf_printf(&d.text, "{\"runs\": [{\"name\": \"one\"}]}");
	gw_definition_expand(&x, &d, &f->origin, &f->ref, "hello");
	assert_int_equal(x.nruns, 1);
	assert_string_equal(x.runs[0]->name, "one");
	gw_expansion_fini(&x);
	d.eval_problem = xstrdup(".agola/config.jsonnet:3:4: Jsonnet: no\n    at x");
	gw_definition_expand(&x, &d, &f->origin, &f->ref, "hello");
	assert_int_equal(x.runs[0]->n_setup_errors, 2);
	assert_string_equal(x.runs[0]->setup_errors[0], ".agola/config.jsonnet:3:4: Jsonnet: no");
	assert_string_equal(x.runs[0]->setup_errors[1], "    at x");
	gw_expansion_fini(&x);
	gw_definition_fini(&d);
}

static void
json_of_a_run(void **state)
{
	Millrace__Pair pair = MILLRACE__PAIR__INIT;
	Millrace__Pair *pairs[] = { &pair };
	Millrace__TaskState t = MILLRACE__TASK_STATE__INIT;
	Millrace__TaskState *tasks[] = { &t };
	Millrace__RunState run = MILLRACE__RUN_STATE__INIT;
	char id[] = "i", name[] = "n", word[] = "queued", value[] = "<v>";
	json_t *j;

	(void)state;
	pair.name = name;
	pair.value = value;
	t.id = id;
	t.name = name;
	t.status = word;
	t.waiting_approval = true;
	t.timeout_ms = 1500;
	run.number = 7;
	run.name = name;
	run.phase = word;
	run.result = word;
	run.n_annotations = 1;
	run.annotations = pairs;
	run.n_tasks = 1;
	run.tasks = tasks;
	run.has_enqueue_ms = true;
	run.enqueue_ms = 1767225600000;
	j = gw_run_json(&run);
	assert_int_equal(json_int(j, "number", 0), 7);
	assert_string_equal(json_text(json_object_get(j, "annotations"), "n"), "<v>");
	assert_true(json_is_null(json_object_get(j, "setup_errors")));
	assert_true(json_is_null(json_object_get(j, "start_time")));
	assert_string_equal(json_text(j, "enqueue_time"), "2026-01-01T00:00:00.000Z");
	assert_int_equal(json_array_size(json_object_get(j, "tasks_waiting_approval")), 1);
	assert_int_equal(
	    json_int(json_object_get(json_object_get(j, "tasks"), "i"), "task_timeout_interval", 0),
	    1500000000);
	json_decref(j);
	t.waiting_approval = false;
	j = gw_run_item_json(&run);
	assert_true(json_is_array(json_object_get(j, "tasks_waiting_approval")));
	assert_int_equal(json_array_size(json_object_get(j, "tasks_waiting_approval")), 0);
	json_decref(j);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(kaniko_definition),
		T(runs_that_do_not_match),
		T(asked_for_no_run),
		T(broken_definitions_are_visible),
		T(too_large_a_file),
		T(evaluated_programs),
		T(json_of_a_run),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
