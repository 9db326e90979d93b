#include "evaluate/evaluate.h"

#include "common/child.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"
#include "evaluate/message.h"
#include "evaluate/path.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STOP_MS 250 /* so often is looked whether it has to stop */

struct evaluation {
	const struct eval_source *s;
	struct child child;
	struct buf to, from;
	unsigned cpu_s, wall_ms;
	size_t memory;
	unsigned imports;
	size_t import_bytes;
	struct buf *out;
	char **problem;
	bool done; /* out or *problem is set */
};

static void PRINTF(2, 3) say_problem(struct evaluation *e, const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	free(*e->problem);
	*e->problem = xasprintf("%s:1:1: Jsonnet: %s", e->s->file, text);
	e->done = true;
}

/* The context as JSON, malloc'ed; NULL when a text is not UTF-8. */
static char *
context_json(const struct eval_context *c)
{
	auto_json *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "ref_type", c->ref_type, "ref",
	    c->ref, "branch", c->branch, "tag", c->tag, "pull_request_id", c->pull_request_id,
	    "commit_sha", c->commit_sha);

	return j ? json_dumps(j, JSON_COMPACT) : NULL;
}

/* False: it cannot be evaluated at all, *problem says why. */
static bool
start_message(struct evaluation *e)
{
	auto_free char *ctx = context_json(&e->s->ctx);
	char memory[24], cpu[16];
	const char *texts[EVAL_TEXTS_MAX] = { memory, cpu, e->s->file, ctx };
	char limit[24];

	if (!ctx || strlen(ctx) >= EVAL_CONTEXT_MAX)
		say_problem(e, "the name of the branch or tag is not UTF-8, or too long");
	else if (strlen(e->s->file) > EVAL_PATH_MAX)
		say_problem(e, "the name of the file is too long");
	else if (e->s->len > EVAL_CONTENT_MAX)
		say_problem(e, "the definition is too large: %zu bytes, at most %u are allowed",
		    e->s->len, EVAL_CONTENT_MAX);
	else if (memchr(e->s->text, '\0', e->s->len))
		say_problem(e, "the file contains a NUL character");
	if (e->done)
		return false;
	snprintf(memory, sizeof(memory), "%zu", e->memory);
	snprintf(cpu, sizeof(cpu), "%u", e->cpu_s);
	snprintf(limit, sizeof(limit), "%u", EVAL_CONTENT_MAX);
	texts[4] = limit;
	eval_message_put(&e->to, EVAL_START, texts, e->s->text, e->s->len);
	return true;
}

static void
refuse(struct evaluation *e, const char *path, const char *why)
{
	auto_free char *text = xasprintf("%s: %s", path, why);

	eval_message_put(&e->to, EVAL_REFUSED, NULL, text, strlen(text));
}

/* An error: the evaluation cannot go on. */
static int
on_import(struct evaluation *e, const struct eval_message *m, struct err **err)
{
	auto_free char *path = NULL;
	auto_buf content = BUF_INIT;
	auto_err why = NULL;
	int rc = eval_path(&path, m->texts[0], m->texts[1], &why);

	if (rc == 0 && ++e->imports > EVAL_IMPORTS_MAX)
		rc =
		    err_set(&why, ERR_INVALID, "more than %d files are imported", EVAL_IMPORTS_MAX);
	if (rc == 0)
		rc = e->s->read(&content, e->s->arg, path, EVAL_CONTENT_MAX, &why);
	e->import_bytes += content.len;
	if (rc == 0 && e->import_bytes > EVAL_IMPORT_BYTES_MAX)
		rc = err_set(
		    &why, ERR_INVALID, "more than %u bytes are imported", EVAL_IMPORT_BYTES_MAX);
	if (rc == 0 && content.len && memchr(content.data, '\0', content.len))
		rc = err_set(&why, ERR_INVALID, "the file contains a NUL character");
	if (rc == ERR_UNAVAILABLE || rc == ERR_INTERNAL)
		return err_set(err, (enum err_code)rc, "import %s: %s", path, err_msg(why));
	if (rc < 0)
		refuse(e, m->texts[1], err_msg(why));
	else
		eval_message_put(
		    &e->to, EVAL_FILE, (const char *[]){ path }, buf_str(&content), content.len);
	return 0;
}

static int
on_message(struct evaluation *e, const struct eval_message *m, struct err **err)
{
	switch (m->kind) {
	case EVAL_IMPORT:
		return on_import(e, m, err);
	case EVAL_RESULT:
		buf_append(e->out, m->content, m->len);
		e->done = true;
		return 0;
	case EVAL_FAILED:
		free(*e->problem);
		*e->problem = xstrndup(m->content, m->len);
		e->done = true;
		return 0;
	case EVAL_START:
	case EVAL_FILE:
	case EVAL_REFUSED:
		break;
	}
	return err_set(err, ERR_INVALID, "a message of kind %d", (int)m->kind);
}

/* Reads once; 1 goes on, 0 the child says no more. */
static int
take(struct evaluation *e, struct err **err)
{
	char *at = buf_reserve(&e->from, 65536);
	ssize_t n = read(e->child.out, at, 65536);
	struct eval_message m;
	int rc = 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return 0;
	e->from.len += (size_t)n;
	e->from.data[e->from.len] = '\0';
	while (!e->done && (rc = eval_message_get(&m, &e->from, err)) > 0) {
		rc = on_message(e, &m, err);
		if (rc < 0)
			return rc;
		buf_consume(&e->from, m.size);
	}
	return rc < 0 ? rc : !e->done;
}

static void
give(struct evaluation *e)
{
	ssize_t n = write(e->child.in, buf_str(&e->to), e->to.len);

	if (n > 0)
		buf_consume(&e->to, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		buf_clear(&e->to); /* it does not read any more: its end will say why */
}

/* 0: it is done, has ended or its time is over (*late). */
static int
talk(struct evaluation *e, bool *late, struct err **err)
{
	int64_t deadline = clock_mono_ms() + e->wall_ms;
	int rc = 1;

	while (rc > 0) {
		struct pollfd p[2] = { { e->child.out, POLLIN, 0 },
			{ e->to.len ? e->child.in : -1, POLLOUT, 0 } };
		int64_t left = deadline - clock_mono_ms();

		*late = left <= 0;
		if (*late)
			return 0;
		if (e->s->stop && atomic_load(e->s->stop))
			return err_set(err, ERR_CANCELED, "asked to stop");
		if (e->s->stop && left > STOP_MS)
			left = STOP_MS;
		if (poll(p, 2, (int)left) <= 0)
			continue;
		if (p[1].revents)
			give(e);
		if (p[0].revents)
			rc = take(e, err);
	}
	return rc;
}

/* The child has ended without a result. */
static void
ended(struct evaluation *e, int status, bool late)
{
	if (late)
		say_problem(
		    e, "the evaluation did not end within %u s; does it loop?", e->wall_ms / 1000);
	else if (status == 128 + SIGXCPU)
		say_problem(e,
		    "the evaluation needs more than %u s of processor time; does it loop?",
		    e->cpu_s);
	else if (status == 128 + SIGSEGV || status == 128 + SIGBUS)
		say_problem(
		    e, "the evaluation ran out of stack: the definition is nested too deeply");
	else if (status == 128 + SIGABRT)
		say_problem(e, "the evaluation needs more than %zu MiB of memory", e->memory >> 20);
	else
		say_problem(e, "the evaluation ended unexpectedly (status %d)", status);
}

static int
run(struct evaluation *e, struct err **err)
{
	static const char *const argv[] = { "millrace", EVAL_CHILD, NULL };
	static char *const envp[] = { NULL };
	bool late = false;
	int status;
	int rc = child_spawn(&e->child,
	    &(struct child_options){
	        .program = "/proc/self/exe", .argv = argv, .envp = envp, .in = true },
	    err);

	if (rc < 0)
		return rc;
	rc = talk(e, &late, err);
	/* When it has closed its output by itself, how it ended says why. */
	if (rc < 0 || late || e->done)
		child_kill(&e->child);
	status = child_reap(&e->child);
	if (rc < 0)
		return err_wrap(err, "evaluate %s", e->s->file);
	if (!e->done)
		ended(e, status, late);
	return 0;
}

int
eval_run(struct buf *out, char **problem, const struct eval_source *s, struct err **err)
{
	struct evaluation e = { .s = s,
		.cpu_s = s->cpu_s ? s->cpu_s : EVAL_CPU_S,
		.wall_ms = s->wall_ms ? s->wall_ms : EVAL_WALL_MS,
		.memory = s->memory ? s->memory : EVAL_MEMORY_MAX,
		.out = out,
		.problem = problem };
	int rc = 0;

	*problem = NULL;
	if (start_message(&e))
		rc = run(&e, err);
	buf_free(&e.to);
	buf_free(&e.from);
	return rc;
}

const char *const eval_files[] = {
	".agola/config.star",
	".agola/config.jsonnet",
	".agola/config.json",
	".agola/config.yml",
	".agola/config.yaml",
};
const size_t eval_nfiles = ARRAY_LEN(eval_files);

static bool
ends_with(const char *file, const char *with)
{
	const char *dot = strrchr(file, '.');

	return dot && strcmp(dot, with) == 0;
}

bool
eval_is_program(const char *file)
{
	return ends_with(file, ".jsonnet");
}

const char *
eval_unsupported(const char *file)
{
	if (!ends_with(file, ".star"))
		return NULL;
	return "Starlark is not supported; write the definition as .agola/config.jsonnet, "
	       "config.json or config.yml";
}

bool
eval_is_child(int argc, char **argv)
{
	return argc == 2 && strcmp(argv[1], EVAL_CHILD) == 0;
}
