/* config show: the runs that a definition gives for a branch, tag or pull request. */
#include "definition.h"

#include "common/mem.h"
#include "rundef/print.h"

#include <string.h>

struct show {
	const struct cli_context *x;
	const struct cli_definition *d;
	struct rundef_ref ref;
	struct buf out;
};

static const char *
image_of(const struct rundef_task *t)
{
	return t->ncontainers && t->containers[0].image ? t->containers[0].image : "";
}

static bool
is_plain(const struct rundef_depend *dep)
{
	return dep->nconditions == 1 && strcmp(dep->conditions[0], "on_success") == 0;
}

/* Control characters, which a name may hold, are not for the terminal. */
static void
put_clean(struct buf *out, const char *text)
{
	auto_free char *clean = cli_clean(text);

	buf_puts(out, clean);
}

/* --- as a tree --- */

static void
tree_depends(struct buf *out, const struct rundef_task *t)
{
	for (size_t i = 0; i < t->ndepends; i++) {
		const struct rundef_depend *dep = &t->depends[i];

		buf_puts(out, i ? ", " : "  after ");
		put_clean(out, dep->task);
		for (size_t k = 0; !is_plain(dep) && k < dep->nconditions; k++) {
			buf_puts(out, k ? ", " : " (");
			put_clean(out, dep->conditions[k]);
		}
		if (!is_plain(dep))
			buf_putc(out, ')');
	}
}

static void
tree_task(struct show *s, const struct rundef_task *t)
{
	struct buf *out = &s->out;

	buf_puts(out, "  ");
	for (unsigned i = 0; i < t->level; i++)
		buf_puts(out, "  ");
	put_clean(out, t->name);
	if (!rundef_when_matches(&t->when, &s->ref))
		buf_puts(out, "  [skipped: its when does not match]");
	if (t->approval)
		buf_puts(out, "  [waits for approval]");
	if (t->ignore_failure)
		buf_puts(out, "  [may fail]");
	buf_puts(out, "  ");
	put_clean(out, image_of(t));
	buf_printf(out, "  %zu step%s", t->nsteps, t->nsteps == 1 ? "" : "s");
	tree_depends(out, t);
	buf_putc(out, '\n');
}

static void
tree_run(struct show *s, const struct rundef_run *run)
{
	unsigned deepest = 0;

	buf_puts(&s->out, "run ");
	put_clean(&s->out, run->name);
	if (!rundef_when_matches(&run->when, &s->ref))
		buf_puts(&s->out, "  [not created: its when does not match]");
	buf_putc(&s->out, '\n');
	for (size_t i = 0; i < run->ntasks; i++) {
		if (run->tasks[i].level > deepest)
			deepest = run->tasks[i].level;
	}
	for (unsigned level = 0; level <= deepest; level++) {
		for (size_t i = 0; i < run->ntasks; i++) {
			if (run->tasks[i].level == level)
				tree_task(s, &run->tasks[i]);
		}
	}
}

static void
show_tree(struct show *s)
{
	put_clean(&s->out, s->d->name);
	buf_puts(&s->out, " for ");
	put_clean(&s->out, s->x->ref);
	buf_putc(&s->out, '\n');
	for (size_t i = 0; i < s->d->def->nruns; i++)
		tree_run(s, &s->d->def->runs[i]);
}

/* --- for Graphviz --- */

static void
dot_text(struct buf *out, const char *text)
{
	auto_free char *clean = cli_clean(text);

	buf_putc(out, '"');
	for (const char *p = clean; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *p);
	}
	buf_putc(out, '"');
}

static void
dot_edges(struct buf *out, size_t run, size_t task, const struct rundef_run *r)
{
	const struct rundef_task *t = &r->tasks[task];

	for (size_t i = 0; i < t->ndepends; i++) {
		const struct rundef_depend *dep = &t->depends[i];
		auto_buf label = BUF_INIT;
		size_t from = 0;

		while (from < r->ntasks && strcmp(r->tasks[from].name, dep->task) != 0)
			from++;
		buf_printf(out, "    r%zut%zu -> r%zut%zu", run, from, run, task);
		for (size_t k = 0; !is_plain(dep) && k < dep->nconditions; k++)
			buf_printf(&label, "%s%s", k ? ", " : "", dep->conditions[k]);
		if (label.len) {
			buf_puts(out, " [label=");
			dot_text(out, buf_str(&label));
			buf_putc(out, ']');
		}
		buf_puts(out, ";\n");
	}
}

static void
show_dot(struct show *s)
{
	struct buf *out = &s->out;

	buf_puts(out, "digraph definition {\n  rankdir=LR;\n  node [shape=box];\n");
	for (size_t i = 0; i < s->d->def->nruns; i++) {
		const struct rundef_run *run = &s->d->def->runs[i];
		bool created = rundef_when_matches(&run->when, &s->ref);

		buf_printf(out, "  subgraph cluster_%zu {\n    label=", i);
		dot_text(out, run->name);
		buf_printf(out, ";\n%s", created ? "" : "    style=dashed;\n");
		for (size_t k = 0; k < run->ntasks; k++) {
			bool skipped = !rundef_when_matches(&run->tasks[k].when, &s->ref);

			buf_printf(out, "    r%zut%zu [label=", i, k);
			dot_text(out, run->tasks[k].name);
			buf_printf(out, "%s];\n", created && !skipped ? "" : ", style=dashed");
		}
		for (size_t k = 0; k < run->ntasks; k++)
			dot_edges(out, i, k, run);
		buf_puts(out, "  }\n");
	}
	buf_puts(out, "}\n");
}

/* --- as JSON --- */

/* The language's own printer says what a run is; added to it is what the context makes of it. */
static json_t *
run_json(const struct show *s, const struct rundef_run *run)
{
	auto_buf text = BUF_INIT;
	json_t *j = NULL;

	rundef_print_run_json(&text, run);
	MUST(json_parse(&j, buf_str(&text), text.len, NULL) == 0);
	json_object_set_new(j, "created", json_boolean(rundef_when_matches(&run->when, &s->ref)));
	for (size_t i = 0; i < run->ntasks; i++) {
		const struct rundef_task *t = &run->tasks[i];
		json_t *task = json_array_get(json_member(j, "tasks"), i);

		json_object_set_new(task, "level", json_integer(t->level));
		json_object_set_new(
		    task, "skipped", json_boolean(!rundef_when_matches(&t->when, &s->ref)));
	}
	return j;
}

static void
show_json(const struct show *s)
{
	const struct cli_context *x = s->x;
	json_t *runs = json_array();

	for (size_t i = 0; i < s->d->def->nruns; i++)
		json_array_append_new(runs, run_json(s, &s->d->def->runs[i]));
	auto_json *j = json_pack("{s:s,s:{s:s,s:s,s:s,s:s,s:s,s:s},s:s,s:o}", "file", s->d->name,
	    "context", "ref_type", x->ref_type, "ref", x->ref, "branch", x->branch, "tag", x->tag,
	    "pull_request_id", x->pull_request_id, "commit_sha", x->commit_sha, "version",
	    s->d->def->v1 ? "v1" : "v0", "runs", runs);
	cli_print_json(j);
}

/* --- the command --- */

static int
print(struct cli *c, const struct cli_definition *d, const struct cli_context *x)
{
	struct show s = { .x = x, .d = d, .ref = cli_context_ref(x) };

	if (cli_flag(c, "generated") && !d->problem) {
		fwrite(buf_str(&d->text), 1, d->text.len, stdout);
		return 0;
	}
	cli_definition_complain(d);
	if (!d->valid)
		return 1;
	if (c->json)
		show_json(&s);
	else if (cli_flag(c, "dot"))
		show_dot(&s);
	else
		show_tree(&s);
	fputs(buf_str(&s.out), stdout);
	buf_free(&s.out);
	return 0;
}

static int
config_show(struct cli *c)
{
	struct cli_context x;
	struct cli_definition d = { 0 };
	struct err *err = NULL;
	int rc = cli_context_parse(&x, c, &err);

	if (rc < 0)
		return cli_fail(err);
	rc = cli_definition_load(&d, c, c->nargs ? c->args[0] : NULL, &x, &err);
	rc = rc < 0 ? cli_fail(err) : print(c, &d, &x);
	cli_definition_fini(&d);
	cli_context_fini(&x);
	return rc;
}

static const struct cli_opt show_opts[] = {
	CLI_DEFINITION_OPTS,
	{ "dot", 0, CLI_FLAG, false, "false", "print a graph for Graphviz" },
	{ "generated", 0, CLI_FLAG, false, "false",
	    "print what a Jsonnet definition evaluates to" },
	{ 0 },
};
const struct cli_command cli_config_show = {
	.words = { "config", "show" },
	.args = "[FILE]",
	.max_args = 1,
	.opts = show_opts,
	.run = config_show,
	.summary = "show the runs and tasks that a definition gives, without a server",
	.example = "millrace config show --context tag=v1.0 .agola/config.jsonnet",
};
