#include "rundef/print.h"

#include "common/mem.h"

#include <string.h>

/* --- JSON, restricted to what YAML 1.1 reads as the same text --- */

struct out {
	struct buf *b;
	unsigned depth;
	bool first; /* nothing was written yet at this depth */
};

/* Code point of the UTF-8 character at p, its length in *n; the model holds valid UTF-8 only. */
static unsigned
code_point(const char *p, size_t *n)
{
	const unsigned char *s = (const unsigned char *)p;
	unsigned c = s[0];

	*n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (*n == 1)
		return c;
	c &= 0x7fu >> *n;
	for (size_t i = 1; i < *n && s[i]; i++)
		c = c << 6 | (s[i] & 0x3f);
	return c;
}

/* Raw in a quoted scalar these would be refused, folded or dropped. */
static bool
must_escape(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

static void
put_text(struct buf *b, const char *s)
{
	size_t n;

	buf_putc(b, '"');
	for (; *s; s += n) {
		unsigned c = code_point(s, &n);

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", (char)c);
		else if (c == '\n')
			buf_puts(b, "\\n");
		else if (c == '\t')
			buf_puts(b, "\\t");
		else if (must_escape(c))
			buf_printf(b, "\\u%04x", c);
		else
			buf_append(b, s, n);
	}
	buf_putc(b, '"');
}

/* The place of the next member or element; key NULL in a list. */
static void
next(struct out *o, const char *key)
{
	if (!o->first)
		buf_putc(o->b, ',');
	if (o->depth > 0) {
		buf_putc(o->b, '\n');
		for (unsigned i = 0; i < o->depth; i++)
			buf_puts(o->b, "  ");
	}
	o->first = false;
	if (!key)
		return;
	put_text(o->b, key);
	buf_puts(o->b, ": ");
}

static void
open_at(struct out *o, const char *key, char bracket)
{
	next(o, key);
	buf_putc(o->b, bracket);
	o->depth++;
	o->first = true;
}

static void
close_at(struct out *o, char bracket)
{
	o->depth--;
	if (!o->first) {
		buf_putc(o->b, '\n');
		for (unsigned i = 0; i < o->depth; i++)
			buf_puts(o->b, "  ");
	}
	o->first = false;
	buf_putc(o->b, bracket);
}

/* --- members; what is empty is left out --- */

static void
text(struct out *o, const char *key, const char *s)
{
	if (!s || !*s)
		return;
	next(o, key);
	put_text(o->b, s);
}

static void
number(struct out *o, const char *key, int64_t n)
{
	if (!n)
		return;
	next(o, key);
	buf_printf(o->b, "%lld", (long long)n);
}

static void
flag(struct out *o, const char *key, bool value, bool preset)
{
	if (value == preset)
		return;
	next(o, key);
	buf_puts(o->b, value ? "true" : "false");
}

static void
texts(struct out *o, const char *key, char *const *list, size_t n)
{
	if (n == 0)
		return;
	open_at(o, key, '[');
	for (size_t i = 0; i < n; i++) {
		next(o, NULL);
		put_text(o->b, list[i]);
	}
	close_at(o, ']');
}

static void
duration(struct out *o, const char *key, int64_t ns)
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
value(struct out *o, const char *key, const struct rundef_value *v)
{
	if (v->variable) {
		open_at(o, key, '{');
		next(o, "from_variable");
		put_text(o->b, v->variable);
		close_at(o, '}');
	} else if (v->literal) {
		next(o, key);
		put_text(o->b, v->literal);
	}
}

static void
environment(struct out *o, const struct rundef_envs *e)
{
	if (e->n == 0)
		return;
	open_at(o, "environment", '{');
	for (size_t i = 0; i < e->n; i++)
		value(o, e->list[i].name, &e->list[i].value);
	close_at(o, '}');
}

static void
pairs(struct out *o, const char *key, const struct rundef_pairs *p)
{
	if (p->n == 0)
		return;
	open_at(o, key, '{');
	for (size_t i = 0; i < p->n; i++) {
		next(o, p->list[i].name);
		put_text(o->b, p->list[i].value);
	}
	close_at(o, '}');
}

static void
conditions(struct out *o, const char *key, const struct rundef_cond *list, size_t n)
{
	if (n == 0)
		return;
	open_at(o, key, '[');
	for (size_t i = 0; i < n; i++) {
		auto_free char *expression =
		    list[i].kind == RUNDEF_COND_REGEX ? xasprintf("/%s/", list[i].text) : NULL;
		next(o, NULL);
		put_text(o->b, expression ? expression : list[i].text);
	}
	close_at(o, ']');
}

static void
clause(struct out *o, const char *key, const struct rundef_conds *c)
{
	if (!c->present)
		return;
	open_at(o, key, '{');
	conditions(o, "include", c->include, c->ninclude);
	conditions(o, "exclude", c->exclude, c->nexclude);
	close_at(o, '}');
}

static void
when(struct out *o, const struct rundef_when *w)
{
	if (!w->present)
		return;
	open_at(o, "when", '{');
	clause(o, "branch", &w->branch);
	clause(o, "tag", &w->tag);
	clause(o, "ref", &w->ref);
	clause(o, "event", &w->event);
	clause(o, "paths", &w->paths);
	close_at(o, '}');
}

static void
credentials(struct out *o, const struct rundef_auths *a)
{
	if (a->n == 0)
		return;
	open_at(o, "docker_registries_auth", '{');
	for (size_t i = 0; i < a->n; i++) {
		open_at(o, a->list[i].registry, '{');
		next(o, "type");
		put_text(o->b, a->list[i].type);
		value(o, "username", &a->list[i].username);
		value(o, "password", &a->list[i].password);
		value(o, "auth", &a->list[i].auth);
		close_at(o, '}');
	}
	close_at(o, '}');
}

static void
volumes(struct out *o, const struct rundef_container *c)
{
	if (c->nvolumes == 0)
		return;
	open_at(o, "volumes", '[');
	for (size_t i = 0; i < c->nvolumes; i++) {
		open_at(o, NULL, '{');
		text(o, "path", c->volumes[i].path);
		open_at(o, "tmpfs", '{');
		number(o, "size", (int64_t)c->volumes[i].tmpfs_size);
		close_at(o, '}');
		close_at(o, '}');
	}
	close_at(o, ']');
}

static void
entrypoint(struct out *o, const struct rundef_container *c)
{
	auto_buf words = BUF_INIT;

	for (size_t i = 0; i < c->nentrypoint; i++)
		buf_printf(&words, "%s%s", i ? " " : "", c->entrypoint[i]);
	text(o, "entrypoint", buf_str(&words));
}

static void
container(struct out *o, const struct rundef_container *c)
{
	open_at(o, NULL, '{');
	text(o, "image", c->image);
	environment(o, &c->environment);
	text(o, "user", c->user);
	flag(o, "privileged", c->privileged, false);
	entrypoint(o, c);
	volumes(o, c);
	if (c->cpu_milli || c->memory) {
		auto_free char *cpu = xasprintf("%llum", (unsigned long long)c->cpu_milli);

		open_at(o, "resources", '{');
		text(o, "cpu", c->cpu_milli ? cpu : "");
		number(o, "memory", (int64_t)c->memory);
		close_at(o, '}');
	}
	close_at(o, '}');
}

static void
runtime(struct out *o, const struct rundef_task *t)
{
	open_at(o, "runtime", '{');
	text(o, "type", "pod");
	text(o, "arch", t->arch);
	pairs(o, "labels", &t->labels);
	open_at(o, "containers", '[');
	for (size_t i = 0; i < t->ncontainers; i++)
		container(o, &t->containers[i]);
	close_at(o, ']');
	close_at(o, '}');
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
contents(struct out *o, const struct rundef_step *s)
{
	if (s->ncontents == 0)
		return;
	open_at(o, "contents", '[');
	for (size_t i = 0; i < s->ncontents; i++) {
		open_at(o, NULL, '{');
		text(o, "source_dir", s->contents[i].source_dir);
		text(o, "dest_dir", s->contents[i].dest_dir);
		texts(o, "paths", s->contents[i].paths, s->contents[i].npaths);
		close_at(o, '}');
	}
	close_at(o, ']');
}

/* Fields of other types are empty, so all may be written. */
static void
step(struct out *o, const struct rundef_step *s)
{
	open_at(o, NULL, '{');
	open_at(o, step_words[s->type], '{');
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
	if (s->type == RUNDEF_RUN)
		flag(o, "tty", s->tty, true);
	text(o, "key", s->key);
	texts(o, "keys", s->keys, s->nkeys);
	contents(o, s);
	text(o, "dest_dir", s->dest_dir);
	close_at(o, '}');
	close_at(o, '}');
}

static void
steps(struct out *o, const char *key, const struct rundef_task *t, bool post)
{
	size_t n = 0;

	for (size_t i = 0; i < t->nsteps; i++)
		n += t->steps[i].post == post;
	if (n == 0)
		return;
	open_at(o, key, '[');
	for (size_t i = 0; i < t->nsteps; i++)
		if (t->steps[i].post == post)
			step(o, &t->steps[i]);
	close_at(o, ']');
}

static void
depends(struct out *o, const struct rundef_task *t)
{
	if (t->ndepends == 0)
		return;
	open_at(o, "depends", '[');
	for (size_t i = 0; i < t->ndepends; i++) {
		open_at(o, NULL, '{');
		text(o, "task", t->depends[i].task);
		texts(o, "conditions", t->depends[i].conditions, t->depends[i].nconditions);
		close_at(o, '}');
	}
	close_at(o, ']');
}

static void
task(struct out *o, const struct rundef_task *t)
{
	open_at(o, NULL, '{');
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
	close_at(o, '}');
}

static void
run_at(struct out *o, const struct rundef_run *run)
{
	open_at(o, NULL, '{');
	text(o, "name", run->name);
	when(o, &run->when);
	flag(o, "cancel_previous", run->cancel_previous, false);
	open_at(o, "tasks", '[');
	for (size_t i = 0; i < run->ntasks; i++)
		task(o, &run->tasks[i]);
	close_at(o, ']');
	close_at(o, '}');
}

void
rundef_print_run_json(struct buf *out, const struct rundef_run *run)
{
	struct out o = { .b = out, .first = true };

	run_at(&o, run);
	buf_putc(out, '\n');
}

void
rundef_print_json(struct buf *out, const struct rundef *d)
{
	struct out o = { .b = out, .first = true };

	open_at(&o, NULL, '{');
	text(&o, "version", d->v1 ? "v1" : "");
	open_at(&o, "runs", '[');
	for (size_t i = 0; i < d->nruns; i++)
		run_at(&o, &d->runs[i]);
	close_at(&o, ']');
	close_at(&o, '}');
	buf_putc(out, '\n');
}
