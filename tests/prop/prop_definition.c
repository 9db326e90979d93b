/*
 * Run definitions made at random: valid ones are accepted without an error, say what they were made
 * to say, and print to a text that parses to the same; spoilt ones are refused with a place inside
 * of the text, or accepted and then print as stably. And what is accepted here is taken by the
 * runservice as well.
 *
 * prop_definition [SEED]; the seed is printed with a failure.
 */
#include "common/json.h"
#include "common/mem.h"
#include "gateway/run_spec.h"
#include "rundef/print.h"
#include "runservice/spec.h"

#include <stdio.h>
#include <string.h>

#define DEFINITIONS 250
#define SPOILT 12 /* of each */

static uint64_t rng, seed;

static unsigned
any(unsigned below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng >> 33) % below;
}
#define CHANCE(n) (any(n) == 0)

static const char *
pick(const char *const *words, size_t n)
{
	return words[any((unsigned)n)];
}
#define PICK(...)                                                                                  \
	pick((const char *const[]){ __VA_ARGS__ },                                                 \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

static void
die(const char *what, const char *text, const struct rundef_diags *d)
{
	auto_buf out = BUF_INIT;

	if (d)
		rundef_diags_print(&out, d, "text");
	printf("seed %llu: %s\n%s\n%s", (unsigned long long)seed, what, text, buf_str(&out));
	exit(1);
}

/* --- valid definitions, in flow style: every value can be written in several ways --- */

static bool v1;
static bool anchors; /* *box and *steps can be used */

/* Any text, quoted in one of two ways. */
static void
text(struct buf *b, const char *s)
{
	buf_printf(b, CHANCE(2) ? "\"%s\"" : "'%s'", s);
}

static void
value(struct buf *b)
{
	if (CHANCE(3))
		buf_printf(b, "{from_variable: var%u}", any(5));
	else
		text(b, PICK("", "1", "yes", "a: b", "# no", "\xc3\xa9\xe2\x82\xac", "~", "*x"));
}

static void
environment(struct buf *b)
{
	unsigned n = any(4);

	buf_puts(b, ", environment: {");
	for (unsigned i = 0; i < n; i++) {
		buf_printf(b, "%sVAR%u: ", i ? ", " : "", i);
		value(b);
	}
	buf_puts(b, "}");
}

static void
clause(struct buf *b, const char *name)
{
	const char *word = PICK("master", "'/^v[0-9]+/'", "\"#a|b#\"", "'release/1'", "\"\"");

	buf_printf(b, "%s: ", name);
	switch (any(3)) {
	case 0:
		buf_puts(b, word);
		break;
	case 1:
		buf_printf(b, "[%s, x, %s]", word, word);
		break;
	default:
		buf_printf(b, "{include: [%s], exclude: y}", word);
		break;
	}
}

static void
when(struct buf *b)
{
	buf_puts(b, ", when: {");
	clause(b, PICK("branch", "tag", "ref"));
	if (v1 && CHANCE(2))
		buf_printf(b, ", event: %s", PICK("push", "[tag, manual]", "{exclude: direct}"));
	if (v1 && CHANCE(2))
		buf_printf(
		    b, ", paths: %s", PICK("'src/**'", "['*.c', /x/]", "{exclude: docs/**}"));
	buf_puts(b, "}");
}

static void
credentials(struct buf *b)
{
	buf_puts(b, ", docker_registries_auth: {");
	buf_printf(b, "%s: {username: ", PICK("index.docker.io", "'https://r'", "r.example.com"));
	value(b);
	buf_puts(b, CHANCE(2) ? ", password: '1'}}" : "}}");
}

static const char *
duration(void)
{
	return PICK("1h30m", "90s", "1.5h", "'0'", "1ns", "100ms", "2562047h");
}

static void
contents(struct buf *b, bool paths)
{
	buf_puts(b, "contents: [{source_dir: .");
	if (CHANCE(2))
		buf_puts(b, ", dest_dir: /x");
	buf_puts(b, paths || CHANCE(2) ? ", paths: ['**', \"*.{c,h}\"]}]" : "}]");
}

/* The fields of a step of this type. */
static void
step_fields(struct buf *b, unsigned type)
{
	switch (type) {
	case 0:
		buf_printf(b, "recurse_submodules: %s", PICK("yes", "false", "off"));
		if (CHANCE(2))
			buf_printf(b, ", depth: %u", 1 + any(100));
		break;
	case 1:
		buf_printf(
		    b, "command: %s", PICK("make", "\"a\\nb\"", "'x y'", "\"\xe2\x82\xac\""));
		buf_puts(b, ", name: nn, tty: ");
		buf_puts(
		    b, PICK("true", "no", "no, user: root", "true, shell: sh, working_dir: /w"));
		environment(b);
		break;
	case 2:
		contents(b, true);
		break;
	case 3:
		buf_puts(b, "dest_dir: d");
		break;
	case 4:
		buf_puts(b, "key: 'k-{{ arch }}', ");
		contents(b, false);
		break;
	default:
		buf_puts(b, "keys: [k, 'l-{{ os }}']");
		break;
	}
	if (v1 && CHANCE(3))
		buf_printf(b, ", if: %s, retries: %u, timeout: 5m",
		    PICK("always", "on_failure", "on_success"), any(11));
}

static void
steps(struct buf *b, const char *key)
{
	static const char *const types[] = { "clone", "run", "save_to_workspace",
		"restore_workspace", "save_cache", "restore_cache" };
	unsigned n = any(5);

	if (anchors && CHANCE(4)) {
		buf_printf(b, ", %s: *steps", key);
		return;
	}
	buf_printf(b, ", %s: [", key);
	for (unsigned i = 0; i < n; i++) {
		unsigned type = any(6);

		buf_puts(b, i ? ", " : "");
		if (CHANCE(4)) {
			buf_puts(b, PICK("{clone: }", "{run: make}", "{restore_workspace: }"));
		} else if (CHANCE(2)) {
			buf_printf(b, "{%s: {", types[type]);
			step_fields(b, type);
			buf_puts(b, "}}");
		} else {
			buf_printf(b, "{type: %s, ", types[type]);
			step_fields(b, type);
			buf_puts(b, "}");
		}
	}
	buf_puts(b, "]");
}

static void
container(struct buf *b)
{
	if (anchors && CHANCE(4)) {
		buf_puts(b, PICK("*box", "{<<: *box, user: own}", "{user: replaced, <<: *box}",
		                "{<<: [*box, {image: x, entrypoint: sh}], <<: {user: last}}"));
		return;
	}
	buf_printf(b, "{image: %s", PICK("busybox", "'a:1'", "1.5", "r.example.com/x@sha256:0"));
	if (CHANCE(3))
		buf_puts(b, ", privileged: yes, user: 1000");
	if (CHANCE(3))
		buf_puts(b, ", entrypoint: sh -c  x");
	if (CHANCE(3))
		buf_printf(b, ", volumes: [{path: /a, tmpfs: {%s}}]",
		    PICK("", "size: 1Gi", "size: 1.5k", "size: 0"));
	if (CHANCE(2))
		environment(b);
	if (v1 && CHANCE(3))
		buf_printf(b, ", resources: {cpu: %s, memory: 64Mi}", PICK("1", "1.5", "250m"));
	buf_puts(b, "}");
}

struct shape {
	unsigned ntasks; /* after expansion of matrices */
};

/* A tree: each task depends on one before it, which never is redundant. */
static void
task(struct buf *b, unsigned index, struct shape *shape)
{
	unsigned own = 1;

	buf_printf(b, "  - {name: task%u", index);
	if (index > 0 && CHANCE(2)) {
		unsigned on = any(index);
		switch (any(3)) {
		case 0:
			buf_printf(b, ", depends: [task%u]", on);
			break;
		case 1:
			buf_printf(b, ", depends: [{task%u: [%s]}]", on,
			    PICK("on_failure, on_skipped", "on_failed", "", "on_success, never"));
			break;
		default:
			buf_printf(b, ", depends: [{task: task%u, conditions: []}]", on);
			break;
		}
	}
	buf_printf(b, ", runtime: {arch: %s, containers: [", PICK("386", "amd64", "~", "''"));
	container(b);
	if (CHANCE(3)) {
		buf_puts(b, ", ");
		container(b);
	}
	buf_puts(b, v1 && CHANCE(4) ? "], labels: {a: b}}" : "]}");
	environment(b);
	steps(b, "steps");
	if (CHANCE(3))
		when(b);
	if (CHANCE(4))
		credentials(b);
	if (CHANCE(4))
		buf_printf(b, ", task_timeout_interval: %s", duration());
	if (CHANCE(4))
		buf_printf(b, ", approval: %s, ignore_failure: %s", PICK("yes", "no"),
		    PICK("on", "False"));
	if (CHANCE(4))
		buf_printf(b, ", shell: %s, working_dir: %s, user: %s", PICK("/bin/bash", "''"),
		    PICK("/src", "~"), PICK("root", "0"));
	if (v1 && CHANCE(4))
		buf_printf(b, ", retries: %u", any(11));
	if (v1 && CHANCE(4))
		steps(b, "post");
	if (v1 && CHANCE(4)) {
		unsigned x = 1 + any(3), y = 1 + any(2);
		buf_printf(b, ", matrix: {X: [%.*s], Y: [%.*s]}", (int)(x * 3), "1, 2, 3, ",
		    (int)(y * 3), "a, b, ");
		own = x * y;
	}
	buf_puts(b, "}\n");
	shape->ntasks += own;
}

static void
definition(struct buf *b, struct shape *shape)
{
	unsigned nruns = 1 + any(3);

	v1 = CHANCE(2);
	buf_puts(b, v1 ? "version: v1\n" : CHANCE(2) ? "version: v0\n" : "");
	if (CHANCE(4))
		buf_printf(b, "task_timeout_interval: %s\n", duration());
	buf_puts(b, PICK("", "x-anchor: &a {b: c}\n", "# comment\n"));
	anchors = CHANCE(2);
	if (anchors)
		buf_puts(b, "x-box: &box {image: busybox, user: u, environment: {V: v}}\n"
		            "x-steps: &steps [{run: make}, {clone: {depth: 1}}]\n");
	buf_puts(b, "runs:\n");
	for (unsigned i = 0; i < nruns; i++) {
		unsigned ntasks = any(6);

		buf_printf(b, "- name: run%u\n", i);
		if (v1 && CHANCE(3))
			buf_puts(b, "  cancel_previous: yes\n");
		buf_puts(b, "  tasks:\n");
		for (unsigned k = 0; k < ntasks; k++)
			task(b, k, shape);
	}
}

/* --- what must hold --- */

/* Every field of the model but places and what only a matrix has, one after another. */
static void
flat_texts(struct buf *b, char *const *list, size_t n)
{
	buf_printf(b, "%zu:", n);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s|", list[i]);
}

static void
flat_value(struct buf *b, const struct rundef_value *v)
{
	buf_printf(b, "%s %s|", v->literal ? v->literal : "-", v->variable ? v->variable : "-");
}

static void
flat_envs(struct buf *b, const struct rundef_envs *e)
{
	buf_printf(b, "%zu:", e->n);
	for (size_t i = 0; i < e->n; i++) {
		buf_printf(b, "%s=", e->list[i].name);
		flat_value(b, &e->list[i].value);
	}
}

static void
flat_conds(struct buf *b, const struct rundef_conds *c)
{
	buf_printf(b, "%d %zu %zu:", c->present, c->ninclude, c->nexclude);
	for (size_t i = 0; i < c->ninclude; i++)
		buf_printf(b, "%u %s|", c->include[i].kind, c->include[i].text);
	for (size_t i = 0; i < c->nexclude; i++)
		buf_printf(b, "%u %s|", c->exclude[i].kind, c->exclude[i].text);
}

static void
flat_when(struct buf *b, const struct rundef_when *w)
{
	buf_printf(b, "when %d ", w->present);
	flat_conds(b, &w->branch);
	flat_conds(b, &w->tag);
	flat_conds(b, &w->ref);
	flat_conds(b, &w->event);
	flat_conds(b, &w->paths);
}

static void
flat_step(struct buf *b, const struct rundef_step *s)
{
	buf_printf(b, "step %u %u %d %lld %lld %s %lld %d %s %s %s %s %d %s %s ", s->type,
	    s->run_if, s->post, (long long)s->retries, (long long)s->timeout_ns, s->name,
	    (long long)s->depth, s->recurse_submodules, s->command, s->working_dir, s->shell,
	    s->user, s->tty, s->dest_dir, s->key);
	flat_envs(b, &s->environment);
	flat_texts(b, s->keys, s->nkeys);
	for (size_t i = 0; i < s->ncontents; i++) {
		buf_printf(b, "%s %s ", s->contents[i].source_dir, s->contents[i].dest_dir);
		flat_texts(b, s->contents[i].paths, s->contents[i].npaths);
	}
}

static void
flat_container(struct buf *b, const struct rundef_container *c)
{
	buf_printf(b, "container %s %s %d %llu %llu ", c->image, c->user, c->privileged,
	    (unsigned long long)c->cpu_milli, (unsigned long long)c->memory);
	flat_envs(b, &c->environment);
	flat_texts(b, c->entrypoint, c->nentrypoint);
	for (size_t i = 0; i < c->nvolumes; i++)
		buf_printf(b, "%s %llu ", c->volumes[i].path,
		    (unsigned long long)c->volumes[i].tmpfs_size);
}

static void
flat_task(struct buf *b, const struct rundef_task *t)
{
	buf_printf(b, "\ntask %s %u %s %s %s %s %d %d %lld %lld ", t->name, t->level, t->arch,
	    t->working_dir, t->shell, t->user, t->ignore_failure, t->approval,
	    (long long)t->timeout_ns, (long long)t->retries);
	flat_envs(b, &t->environment);
	flat_when(b, &t->when);
	for (size_t i = 0; i < t->ncontainers; i++)
		flat_container(b, &t->containers[i]);
	for (size_t i = 0; i < t->nsteps; i++)
		flat_step(b, &t->steps[i]);
	for (size_t i = 0; i < t->ndepends; i++) {
		buf_printf(b, "depend %s %zu ", t->depends[i].task, t->depends[i].index);
		flat_texts(b, t->depends[i].conditions, t->depends[i].nconditions);
	}
	for (size_t i = 0; i < t->auths.n; i++) {
		const struct rundef_auth *a = &t->auths.list[i];
		buf_printf(b, "auth %s %s ", a->registry, a->type);
		flat_value(b, &a->username);
		flat_value(b, &a->password);
		flat_value(b, &a->auth);
	}
	for (size_t i = 0; i < t->labels.n; i++)
		buf_printf(b, "label %s %s ", t->labels.list[i].name, t->labels.list[i].value);
}

static void
flat(struct buf *b, const struct rundef *d)
{
	buf_printf(b, "%d ", d->v1);
	for (size_t i = 0; i < d->nruns; i++) {
		buf_printf(b, "\nrun %s %d ", d->runs[i].name, d->runs[i].cancel_previous);
		flat_when(b, &d->runs[i].when);
		for (size_t k = 0; k < d->runs[i].ntasks; k++)
			flat_task(b, &d->runs[i].tasks[k]);
	}
}

/* The runservice makes a run of it, with the same levels. */
static void
check_taken(const struct rundef_run *run, const char *from)
{
	static char group[] = "/user/u/branch/master", none[] = "";
	const struct rundef_ref ref = {
		.ref_type = "branch", .branch = "master", .tag = "", .ref = "refs/heads/master"
	};
	const struct gw_origin origin = { .group = group, .cache_group = none };
	Millrace__RunSpec *spec = gw_run_spec_new(run, &origin, &ref, "");
	char *graph_error = NULL;
	struct rs_run made;
	auto_err err = NULL;

	if (rs_spec_to_run(&made, &graph_error, spec, &err) != 0)
		die(err_msg(err), from, NULL);
	if (graph_error)
		die(graph_error, from, NULL);
	if (made.ntasks != run->ntasks)
		die("the runservice has another number of tasks", from, NULL);
	for (size_t i = 0; i < made.ntasks; i++)
		if (made.tasks[i].level != run->tasks[i].level ||
		    made.tasks[i].nsteps != run->tasks[i].nsteps ||
		    made.tasks[i].ndeps != run->tasks[i].ndepends)
			die("the runservice has another graph", from, NULL);
	rs_run_fini(&made);
	millrace__run_spec__free_unpacked(spec, NULL);
}

static void
check_stable(const struct rundef *d, const char *from)
{
	auto_buf first = BUF_INIT;
	auto_buf second = BUF_INIT;
	auto_buf reread = BUF_INIT;
	struct rundef_diags diags;
	struct rundef *again = NULL;
	auto_json *json = NULL;

	rundef_print_json(&first, d);
	if (json_parse(&json, first.data, first.len, NULL) != 0)
		die("what is printed is no JSON", buf_str(&first), NULL);
	if (rundef_parse(&again, &diags, first.data, first.len) != 0)
		die("what is printed is refused", buf_str(&first), &diags);
	rundef_print_json(&second, again);
	if (strcmp(buf_str(&first), buf_str(&second)) != 0)
		die("printed twice it differs", from, NULL);
	buf_clear(&second);
	flat(&second, d);
	flat(&reread, again);
	if (strcmp(buf_str(&second), buf_str(&reread)) != 0)
		die("what is printed means something else", from, NULL);
	rundef_diags_fini(&diags);
	rundef_free(again);
	for (size_t i = 0; i < d->nruns; i++)
		check_taken(&d->runs[i], from);
}

static void
check_valid(const struct buf *b, const struct shape *shape)
{
	struct rundef_diags diags;
	struct rundef *d = NULL;
	size_t ntasks = 0;

	if (rundef_parse(&d, &diags, b->data, b->len) != 0)
		die("refused", buf_str(b), &diags);
	for (size_t i = 0; i < d->nruns; i++)
		ntasks += d->runs[i].ntasks;
	if (ntasks != shape->ntasks)
		die("another number of tasks", buf_str(b), &diags);
	check_stable(d, buf_str(b));
	rundef_free(d);
	rundef_diags_fini(&diags);
}

static void
check_places(const struct rundef_diags *d, const struct buf *b)
{
	unsigned lines = 1, last = 0;

	for (size_t i = 0; i < b->len; i++)
		lines += b->data[i] == '\n';
	for (size_t i = 0; i < d->n; i++) {
		const struct rundef_diag *x = &d->list[i];

		if (x->pos.line < 1 || x->pos.line > lines || x->pos.col < 1 || !x->message[0] ||
		    x->pos.line < last || strchr(x->message, '\n') || strchr(x->path, '\n'))
			die("a message without a place", buf_str(b), d);
		last = x->pos.line;
	}
}

/* Cuts, doubles, swaps or replaces something. */
static void
spoil(struct buf *b)
{
	static const char *const pieces[] = { "{", "}", "[", "]", ":", ", ", "\n", "  ", "- ", "'",
		"\"", "*a", "&a ", "<<: *a, ", "~", "yes", "12", "-1", "!!str ", "\t", "\\", "#",
		"\xff", "runs", "task0", "steps: ", "name: ", "${{ matrix.X }}", "{}", "/(/" };
	size_t at = any((unsigned)b->len), n = any(12) % (unsigned)(b->len - at);
	const char *piece = pieces[any(ARRAY_LEN(pieces))];
	struct buf out = BUF_INIT;

	buf_append(&out, b->data, at);
	switch (any(4)) {
	case 0: /* cut */
		break;
	case 1: /* insert */
		buf_puts(&out, piece);
		n = 0;
		break;
	case 2: /* replace */
		buf_puts(&out, piece);
		break;
	default: /* double */
		buf_append(&out, b->data + at, n);
		n = 0;
		break;
	}
	buf_append(&out, b->data + at + n, b->len - at - n);
	buf_free(b);
	*b = out;
}

static void
check_spoilt(const struct buf *good)
{
	auto_buf b = BUF_INIT;
	struct rundef_diags diags;
	struct rundef *d = NULL;

	buf_append(&b, good->data, good->len);
	for (unsigned i = 0; i <= any(3); i++)
		spoil(&b);
	int rc = rundef_parse(&d, &diags, b.data, b.len);
	if ((rc != 0) != (diags.errors > 0) || (rc == 0) != (d != NULL))
		die("neither accepted nor refused", buf_str(&b), &diags);
	check_places(&diags, &b);
	if (d)
		check_stable(d, buf_str(&b));
	rundef_free(d);
	rundef_diags_fini(&diags);
}

int
main(int argc, char **argv)
{
	unsigned long long first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	unsigned count = argc > 1 ? 1 : DEFINITIONS;

	for (unsigned i = 0; i < count; i++) {
		auto_buf b = BUF_INIT;
		struct shape shape = { 0 };

		seed = first + i;
		rng = seed * 0x9e3779b97f4a7c15u;
		definition(&b, &shape);
		check_valid(&b, &shape);
		for (unsigned k = 0; k < SPOILT; k++)
			check_spoilt(&b);
	}
	return 0;
}
