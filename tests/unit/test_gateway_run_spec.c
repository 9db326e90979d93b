/* What a definition says is what the runservice receives, field by field, through the wire. */
#include "common/mem.h"
#include "gateway/run_spec.h"
#include "runservice/spec.h"
#include "tests/lib/definition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static Millrace__RunSpec *
spec_of(const char *text)
{
	struct parsed p = def_accepted(text);
	const struct rundef_ref ref = {
		.ref_type = "branch", .branch = "master", .tag = "", .ref = "refs/heads/master"
	};
	struct gw_origin origin = { 0 };

	origin.group = xstrdup("/user/u/branch/master");
	origin.cache_group = xstrdup("");
	Millrace__RunSpec *spec = gw_run_spec_new(&p.def->runs[0], &origin, &ref, "one\ntwo\n");
	size_t n = millrace__run_spec__get_packed_size(spec);
	auto_free uint8_t *bytes = xmalloc(n + 1);
	assert_int_equal(millrace__run_spec__pack(spec, bytes), n);
	millrace__run_spec__free_unpacked(spec, NULL);
	gw_origin_fini(&origin);
	def_drop(&p);
	spec = millrace__run_spec__unpack(NULL, n, bytes);
	assert_non_null(spec);
	return spec;
}

static void
test_v1(void **state)
{
	Millrace__RunSpec *spec = spec_of(
	    "version: v1\nruns:\n- name: r\n  cancel_previous: true\n  tasks:\n"
	    "  - name: t\n    matrix: {A: [1, 2]}\n    retries: 2\n    timeout: 1500us\n"
	    "    runtime: {labels: {zone: eu}, containers: [{image: i, resources: {cpu: 1.5, "
	    "memory: 1Gi}}, {image: j}]}\n"
	    "    steps: [{run: {command: a, if: on_failure, retries: 3, timeout: 10s}}, {run: b}]\n"
	    "    post: [{run: c}]\n"
	    "  - {name: all, " RT ", depends: [{t: [on_failure]}]}\n");
	const Millrace__TaskSpec *t = spec->tasks[1], *all = spec->tasks[2];

	(void)state;
	assert_true(spec->cancel_previous);
	assert_int_equal(spec->n_warnings, 2);
	assert_int_equal(spec->n_tasks, 3);
	assert_string_equal(t->name, "t (2)");
	assert_string_equal(t->matrix_name, "t");
	assert_int_equal(t->n_matrix, 1);
	assert_string_equal(t->matrix[0]->name, "A");
	assert_string_equal(t->matrix[0]->value, "2");
	assert_string_equal(t->environment[0]->value->literal, "2");
	assert_int_equal(t->retries, 2);
	assert_int_equal(t->timeout_ms, 2); /* rounded up */
	assert_int_equal(t->n_labels, 1);
	assert_string_equal(t->labels[0]->value, "eu");
	assert_int_equal(t->containers[0]->cpu_milli, 1500);
	assert_int_equal(t->containers[0]->memory, 1073741824);
	assert_false(t->containers[1]->has_cpu_milli || t->containers[1]->has_memory);
	assert_int_equal(t->n_steps, 3);
	assert_string_equal(t->steps[0]->run_if, "on_failure");
	assert_int_equal(t->steps[0]->retries, 3);
	assert_int_equal(t->steps[0]->timeout_ms, 10000);
	assert_false(t->steps[0]->post);
	assert_null(t->steps[1]->run_if);
	assert_false(t->steps[1]->has_retries || t->steps[1]->has_timeout_ms);
	assert_true(t->steps[2]->post);
	assert_string_equal(t->steps[2]->run_if, "always");
	assert_int_equal(all->n_depends, 2);
	assert_string_equal(all->depends[0]->task_id, spec->tasks[0]->id);
	assert_string_equal(all->depends[1]->task_id, t->id);
	assert_string_equal(all->depends[1]->conditions[0], "on_failure");
	assert_int_equal(all->level, 1);
	millrace__run_spec__free_unpacked(spec, NULL);
}

static void
test_plain(void **state)
{
	Millrace__RunSpec *spec = spec_of(
	    "task_timeout_interval: 15s\n"
	    "docker_registries_auth: {A: {type: encodedauth, auth: {from_variable: v}}}\n"
	    "runs:\n- name: r\n  tasks:\n"
	    "  - {name: t, when: {tag: v1}, approval: true, ignore_failure: true, runtime: {arch: "
	    "arm64, containers: [{image: i, privileged: true, entrypoint: a b, volumes: [{path: "
	    "/v, "
	    "tmpfs: {size: 1Ki}}]}]}, steps: [{clone: {depth: 3}}, {run: {command: c, tty: false, "
	    "user: own, "
	    "environment: {X: {from_variable: yv}}}}, {save_cache: {key: k, contents: "
	    "[{source_dir: "
	    "s}]}}, {restore_cache: {keys: [a, b], dest_dir: d}}]}\n"
	    "  - {name: u, " RT ", depends: [t]}\n");
	const Millrace__TaskSpec *t = spec->tasks[0];

	(void)state;
	assert_false(spec->has_cancel_previous);
	assert_true(t->skip && t->needs_approval && t->ignore_failure);
	assert_string_equal(t->arch, "arm64");
	assert_int_equal(t->timeout_ms, 15000);
	assert_string_equal(t->shell, "/bin/sh -e");
	assert_string_equal(t->working_dir, "~/project");
	assert_null(t->matrix_name);
	assert_true(t->containers[0]->privileged);
	assert_int_equal(t->containers[0]->n_entrypoint, 2);
	assert_int_equal(t->containers[0]->volumes[0]->tmpfs_size, 1024);
	assert_string_equal(t->registry_auth[0]->type, "encodedauth");
	assert_string_equal(t->registry_auth[0]->auth->variable, "v");
	assert_null(t->registry_auth[0]->username);
	assert_int_equal(t->n_steps, 4);
	assert_non_null(strstr(t->steps[0]->command, "--depth 3"));
	assert_true(t->steps[0]->tty);
	assert_false(t->steps[1]->tty);
	assert_string_equal(t->steps[1]->user, "own");
	assert_null(t->steps[0]->user);
	assert_string_equal(t->steps[1]->environment[0]->value->variable, "yv");
	assert_string_equal(t->steps[2]->cache_key, "k");
	assert_string_equal(t->steps[2]->contents[0]->paths[0], "**");
	assert_int_equal(t->steps[3]->n_cache_keys, 2);
	assert_string_equal(t->steps[3]->dest_dir, "d");
	assert_false(spec->tasks[1]->skip);
	assert_string_equal(spec->tasks[1]->depends[0]->task_id, t->id);
	assert_int_equal(spec->tasks[1]->level, 1);
	millrace__run_spec__free_unpacked(spec, NULL);
}

static int
note(Millrace__Value *v, void *arg, struct err **err)
{
	(void)err;
	buf_printf(arg, "%s ", v->variable ? v->variable : v->literal);
	return 0;
}

/* Wherever a value may be one of a variable the runservice finds it. */
static void
test_variables(void **state)
{
	Millrace__RunSpec *spec = spec_of(
	    "version: v1\ndocker_registries_auth: {A: {username: {from_variable: user}, password: "
	    "{from_variable: password}}}\n"
	    "runs:\n- name: r\n  docker_registries_auth: {B: {type: encodedauth, auth: "
	    "{from_variable: auth}}}\n  tasks:\n"
	    "  - name: t\n    environment: {X: {from_variable: task}, Y: literal}\n"
	    "    runtime: {containers: [{image: i, environment: {X: {from_variable: main}}}, "
	    "{image: "
	    "j, environment: {X: {from_variable: service}}}]}\n"
	    "    steps: [{clone: }, {run: {command: c, environment: {X: {from_variable: step}}}}]\n"
	    "    post: [{run: {command: c, environment: {X: {from_variable: post}}}}]\n");
	auto_buf names = BUF_INIT;

	(void)state;
	assert_int_equal(rs_spec_each_value(spec->tasks[0], note, &names, NULL), 0);
	assert_string_equal(
	    buf_str(&names), "task literal main service step post auth user password ");
	millrace__run_spec__free_unpacked(spec, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_variables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
