#include "rundef/print.h"

#include "common/mem.h"
#include "rundef/json_out.h"

#include <string.h>

/* --- members; what is empty is left out --- */

static void
text(struct rundef_out *o, const char *key, const char *s)
{
	if (!s || !*s)
		return;
	rundef_out_next(o, key);
	rundef_out_text(o->b, s);
}

static void
number(struct rundef_out *o, const char *key, int64_t n)
{
	if (!n)
		return;
	rundef_out_next(o, key);
	buf_printf(o->b, "%lld", (long long)n);
}

static void
flag(struct rundef_out *o, const char *key, bool value, bool preset)
{
	if (value == preset)
		return;
	rundef_out_next(o, key);
	buf_puts(o->b, value ? "true" : "false");
}

static void
texts(struct rundef_out *o, const char *key, char *const *list, size_t n)
{
	if (n == 0)
		return;
	rundef_out_open(o, key, '[');
	for (size_t i = 0; i < n; i++) {
		rundef_out_next(o, NULL);
		rundef_out_text(o->b, list[i]);
	}
	rundef_out_close(o, ']');
}

static void
duration(struct rundef_out *o, const char *key, int64_t ns)
{
	auto_free char *s = ns ? rundef_duration_text(ns) : NULL;

	text(o, key, s);
}

char *
rundef_duration_text(int64_t ns)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = { { "h", 3600000000000 }, { "m", 60000000000 }, { "s", 1000000000 },
		{ "ms", 1000000 }, { "us", 1000 }, { "ns", 1 } };

	for (size_t i = 0; ns && i < ARRAY_LEN(units); i++)
		if (ns % units[i].ns == 0)
			return xasprintf("%lld%s", (long long)(ns / units[i].ns), units[i].name);
	return xstrdup("0");
}

/* --- the model --- */

static void
value(struct rundef_out *o, const char *key, const struct rundef_value *v)
{
	if (v->variable) {
		rundef_out_open(o, key, '{');
		rundef_out_next(o, "from_variable");
		rundef_out_text(o->b, v->variable);
		rundef_out_close(o, '}');
	} else if (v->literal) {
		rundef_out_next(o, key);
		rundef_out_text(o->b, v->literal);
	}
}

static void
environment(struct rundef_out *o, const struct rundef_envs *e)
{
	if (e->n == 0)
		return;
	rundef_out_open(o, "environment", '{');
	for (size_t i = 0; i < e->n; i++)
		value(o, e->list[i].name, &e->list[i].value);
	rundef_out_close(o, '}');
}

static void
pairs(struct rundef_out *o, const char *key, const struct rundef_pairs *p)
{
	if (p->n == 0)
		return;
	rundef_out_open(o, key, '{');
	for (size_t i = 0; i < p->n; i++) {
		rundef_out_next(o, p->list[i].name);
		rundef_out_text(o->b, p->list[i].value);
	}
	rundef_out_close(o, '}');
}

static void
conditions(struct rundef_out *o, const char *key, const struct rundef_cond *list, size_t n)
{
	if (n == 0)
		return;
	rundef_out_open(o, key, '[');
	for (size_t i = 0; i < n; i++) {
		auto_free char *expression =
		    list[i].kind == RUNDEF_COND_REGEX ? xasprintf("/%s/", list[i].text) : NULL;
		rundef_out_next(o, NULL);
		rundef_out_text(o->b, expression ? expression : list[i].text);
	}
	rundef_out_close(o, ']');
}

static void
clause(struct rundef_out *o, const char *key, const struct rundef_conds *c)
{
	if (!c->present)
		return;
	rundef_out_open(o, key, '{');
	conditions(o, "include", c->include, c->ninclude);
	conditions(o, "exclude", c->exclude, c->nexclude);
	rundef_out_close(o, '}');
}

static void
when(struct rundef_out *o, const struct rundef_when *w)
{
	if (!w->present)
		return;
	rundef_out_open(o, "when", '{');
	clause(o, "branch", &w->branch);
	clause(o, "tag", &w->tag);
	clause(o, "ref", &w->ref);
	clause(o, "event", &w->event);
	clause(o, "paths", &w->paths);
	rundef_out_close(o, '}');
}

static void
credentials(struct rundef_out *o, const struct rundef_auths *a)
{
	if (a->n == 0)
		return;
	rundef_out_open(o, "docker_registries_auth", '{');
	for (size_t i = 0; i < a->n; i++) {
		rundef_out_open(o, a->list[i].registry, '{');
		rundef_out_next(o, "type");
		rundef_out_text(o->b, a->list[i].type);
		value(o, "username", &a->list[i].username);
		value(o, "password", &a->list[i].password);
		value(o, "auth", &a->list[i].auth);
		rundef_out_close(o, '}');
	}
	rundef_out_close(o, '}');
}

static void
volumes(struct rundef_out *o, const struct rundef_container *c)
{
	if (c->nvolumes == 0)
		return;
	rundef_out_open(o, "volumes", '[');
	for (size_t i = 0; i < c->nvolumes; i++) {
		rundef_out_open(o, NULL, '{');
		text(o, "path", c->volumes[i].path);
		rundef_out_open(o, "tmpfs", '{');
		number(o, "size", (int64_t)c->volumes[i].tmpfs_size);
		rundef_out_close(o, '}');
		rundef_out_close(o, '}');
	}
	rundef_out_close(o, ']');
}

static void
entrypoint(struct rundef_out *o, const struct rundef_container *c)
{
	auto_buf words = BUF_INIT;

	for (size_t i = 0; i < c->nentrypoint; i++)
		buf_printf(&words, "%s%s", i ? " " : "", c->entrypoint[i]);
	text(o, "entrypoint", buf_str(&words));
}

static void
container(struct rundef_out *o, const struct rundef_container *c)
{
	rundef_out_open(o, NULL, '{');
	text(o, "image", c->image);
	environment(o, &c->environment);
	text(o, "user", c->user);
	flag(o, "privileged", c->privileged, false);
	entrypoint(o, c);
	volumes(o, c);
	if (c->cpu_milli || c->memory) {
		auto_free char *cpu = xasprintf("%llum", (unsigned long long)c->cpu_milli);

		rundef_out_open(o, "resources", '{');
		text(o, "cpu", c->cpu_milli ? cpu : "");
		number(o, "memory", (int64_t)c->memory);
		rundef_out_close(o, '}');
	}
	rundef_out_close(o, '}');
}

static void
runtime(struct rundef_out *o, const struct rundef_task *t)
{
	rundef_out_open(o, "runtime", '{');
	text(o, "type", "pod");
	text(o, "arch", t->arch);
	pairs(o, "labels", &t->labels);
	rundef_out_open(o, "containers", '[');
	for (size_t i = 0; i < t->ncontainers; i++)
		container(o, &t->containers[i]);
	rundef_out_close(o, ']');
	rundef_out_close(o, '}');
}

static const char *const step_words[] = {
	[RUNDEF_CLONE] = "clone",
	[RUNDEF_RUN] = "run",
	[RUNDEF_SAVE_TO_WORKSPACE] = "save_to_workspace",
	[RUNDEF_RESTORE_WORKSPACE] = "restore_workspace",
	[RUNDEF_SAVE_CACHE] = "save_cache",
	[RUNDEF_RESTORE_CACHE] = "restore_cache",
};
static const char *const if_words[] = {
	[RUNDEF_IF_SUCCESS] = "on_success",
	[RUNDEF_IF_FAILURE] = "on_failure",
	[RUNDEF_IF_ALWAYS] = "always",
};

static void
contents(struct rundef_out *o, const struct rundef_step *s)
{
	if (s->ncontents == 0)
		return;
	rundef_out_open(o, "contents", '[');
	for (size_t i = 0; i < s->ncontents; i++) {
		rundef_out_open(o, NULL, '{');
		text(o, "source_dir", s->contents[i].source_dir);
		text(o, "dest_dir", s->contents[i].dest_dir);
		texts(o, "paths", s->contents[i].paths, s->contents[i].npaths);
		rundef_out_close(o, '}');
	}
	rundef_out_close(o, ']');
}

/* Fields of other types are empty, so all may be written. */
static void
step(struct rundef_out *o, const struct rundef_step *s)
{
	rundef_out_open(o, NULL, '{');
	rundef_out_open(o, step_words[s->type], '{');
	text(o, "name", s->name);
	if (s->run_if != (s->post ? RUNDEF_IF_ALWAYS : RUNDEF_IF_SUCCESS))
		text(o, "if", if_words[s->run_if]);
	number(o, "retries", s->retries);
	duration(o, "timeout", s->timeout_ns);
	number(o, "depth", s->depth);
	flag(o, "recurse_submodules", s->recurse_submodules, false);
	text(o, "command", s->command);
	environment(o, &s->environment);
	text(o, "working_dir", s->working_dir);
	text(o, "shell", s->shell);
	text(o, "user", s->user);
	if (s->type == RUNDEF_RUN)
		flag(o, "tty", s->tty, true);
	text(o, "key", s->key);
	texts(o, "keys", s->keys, s->nkeys);
	contents(o, s);
	text(o, "dest_dir", s->dest_dir);
	rundef_out_close(o, '}');
	rundef_out_close(o, '}');
}

static void
steps(struct rundef_out *o, const char *key, const struct rundef_task *t, bool post)
{
	size_t n = 0;

	for (size_t i = 0; i < t->nsteps; i++)
		n += t->steps[i].post == post;
	if (n == 0)
		return;
	rundef_out_open(o, key, '[');
	for (size_t i = 0; i < t->nsteps; i++)
		if (t->steps[i].post == post)
			step(o, &t->steps[i]);
	rundef_out_close(o, ']');
}

static void
depends(struct rundef_out *o, const struct rundef_task *t)
{
	if (t->ndepends == 0)
		return;
	rundef_out_open(o, "depends", '[');
	for (size_t i = 0; i < t->ndepends; i++) {
		rundef_out_open(o, NULL, '{');
		text(o, "task", t->depends[i].task);
		texts(o, "conditions", t->depends[i].conditions, t->depends[i].nconditions);
		rundef_out_close(o, '}');
	}
	rundef_out_close(o, ']');
}

static void
task(struct rundef_out *o, const struct rundef_task *t)
{
	rundef_out_open(o, NULL, '{');
	text(o, "name", t->name);
	depends(o, t);
	when(o, &t->when);
	flag(o, "approval", t->approval, false);
	flag(o, "ignore_failure", t->ignore_failure, false);
	duration(o, "task_timeout_interval", t->timeout_ns);
	number(o, "retries", t->retries);
	credentials(o, &t->auths);
	runtime(o, t);
	environment(o, &t->environment);
	text(o, "working_dir", t->working_dir);
	text(o, "shell", t->shell);
	text(o, "user", t->user);
	steps(o, "steps", t, false);
	steps(o, "post", t, true);
	rundef_out_close(o, '}');
}

static void
run_at(struct rundef_out *o, const struct rundef_run *run)
{
	rundef_out_open(o, NULL, '{');
	text(o, "name", run->name);
	when(o, &run->when);
	flag(o, "cancel_previous", run->cancel_previous, false);
	rundef_out_open(o, "tasks", '[');
	for (size_t i = 0; i < run->ntasks; i++)
		task(o, &run->tasks[i]);
	rundef_out_close(o, ']');
	rundef_out_close(o, '}');
}

void
rundef_print_run_json(struct buf *out, const struct rundef_run *run)
{
	struct rundef_out o = { .b = out, .first = true };

	run_at(&o, run);
	buf_putc(out, '\n');
}

void
rundef_print_json(struct buf *out, const struct rundef *d)
{
	struct rundef_out o = { .b = out, .first = true };

	rundef_out_open(&o, NULL, '{');
	text(&o, "version", d->v1 ? "v1" : "");
	rundef_out_open(&o, "runs", '[');
	for (size_t i = 0; i < d->nruns; i++)
		run_at(&o, &d->runs[i]);
	rundef_out_close(&o, ']');
	rundef_out_close(&o, '}');
	buf_putc(out, '\n');
}
