/*
 * Following runs: their tasks' logs as they grow, and state changes.
 *
 * Every task has a cursor: its setup (-1), then its steps. The log at the cursor is read as one
 * stream; when that ends in order the cursor moves on, when it breaks it is opened again at the
 * offset reached. When an attempt failed and the task is tried again, the cursor goes through the
 * next attempt from its setup on. Which steps have started is asked of the gateway, about twice a
 * second and whenever a stream ended.
 */
#include "cli.h"

#include "common/mem.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REFRESH_MS 500     /* between looks at a run */
#define WAITING_MS 100     /* the same while a task is between two steps */
#define RETRY_SOON_MS 20   /* after a connection that brought something was lost */
#define RETRY_FIRST_MS 250 /* after one that brought nothing, doubling */
#define SILENT_TRIES 4     /* without any answer, when there never was one */
#define RETRY_MAX_MS 5000
#define GIVE_UP_MS 300000 /* without any answer */

struct ftask {
	struct follow *f;
	size_t run;
	char *id, *name, *status;
	int cursor; /* -1 = setup */
	int64_t attempt, latest,
	    max; /* read now, the newest known, how many there may be; from 1 */
	size_t nsteps;
	bool open, done, announced;
	uint64_t offset, opened; /* where the log is read, where its stream began */
	unsigned failures;
	int64_t retry_ms;
	struct cli_lines lines;
};
struct frun {
	uint64_t number;
	char *phase, *result;
	char *reason; /* why nothing of it runs, as it was last seen */
	bool told;    /* that reason */
	bool final;
};
struct follow {
	struct cli *c;
	const char *runs_path;
	struct frun *runs;
	size_t nruns;
	struct ftask **tasks; /* each allocated: streams hold on to them */
	size_t ntasks;
	size_t nopen;
	struct cli_streams *streams;
	bool terminal;                /* standard output is one */
	const struct ftask *mid_line; /* whose unfinished line the cursor is on */
	bool stale;                   /* look again at once */
	bool waiting;                 /* some task is between two steps */
	int64_t answered_ms;
	struct err *fatal;
};

static bool interrupted;

/* A second one ends the process at once. */
static void
on_signal(int signum, void *arg)
{
	(void)arg;
	interrupted = true;
	signal(signum, SIG_DFL);
}

int64_t
cli_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- output --- */

/* Ends a line that another task left unfinished. What goes into a file or a pipe stays as the log
 * is: our own words go elsewhere then and need no line of their own. */
static void
own_line(struct follow *f, const struct ftask *t)
{
	if (f->mid_line == t || (!t && !f->terminal))
		return;
	if (f->mid_line)
		putchar('\n');
	f->mid_line = NULL;
}

static void say(struct follow *f, const struct ftask *t, const char *fmt, ...) PRINTF(3, 4);
static void
say(struct follow *f, const struct ftask *t, const char *fmt, ...)
{
	va_list ap;

	own_line(f, NULL);
	fflush(stdout);
	if (t && f->nruns > 1)
		fprintf(stderr, "run %llu: ", (unsigned long long)f->runs[t->run].number);
	if (t) {
		auto_free char *name = cli_clean(t->name);
		fprintf(stderr, "%s: ", name);
	}
	va_start(ap, fmt);
	auto_free char *text = xvasprintf(fmt, ap);
	va_end(ap);
	auto_free char *clean = cli_clean(text);
	fprintf(stderr, "%s\n", clean);
}

static void
on_line(void *arg, const char *p, size_t n, bool begins, bool ends)
{
	struct ftask *t = arg;
	struct follow *f = t->f;

	bool continues = f->mid_line == t;
	own_line(f, t);
	if (f->nopen > 1 && (begins || !continues)) {
		auto_free char *name = cli_clean(t->name);
		printf("[%s] ", name);
	}
	fwrite(p, 1, n, stdout);
	if (ends)
		putchar('\n');
	f->mid_line = ends ? NULL : t;
}

/* --- streams --- */

static void
on_data(void *arg, const char *p, size_t n)
{
	struct ftask *t = arg;

	t->offset += n;
	t->failures = 0;
	t->f->answered_ms = cli_now_ms();
	cli_lines_feed(&t->lines, p, n);
	/* Alone, so progress is shown at once; side by side only whole lines are. */
	if (t->f->nopen <= 1)
		cli_lines_flush(&t->lines);
	fflush(stdout);
}

static void
next_step(struct ftask *t)
{
	cli_lines_end(&t->lines);
	fflush(stdout);
	t->cursor++;
	t->offset = 0;
	t->announced = false;
	t->f->stale = true;
}

static bool
is_final(const char *status)
{
	static const char *const words[] = { "skipped", "cancelled", "stopped", "success",
		"failed" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(status, words[i]) == 0)
			return true;
	return false;
}

static void
retry_later(struct ftask *t, int64_t least_ms)
{
	int64_t wait = RETRY_FIRST_MS << (t->failures < 5 ? t->failures : 5);

	wait = wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
	t->retry_ms = cli_now_ms() + (least_ms < wait && t->failures == 0 ? least_ms : wait);
}

static void
on_end(void *arg, long status, const char *error)
{
	struct ftask *t = arg;
	struct follow *f = t->f;

	t->open = false;
	f->nopen--;
	bool over = is_final(t->status) || t->attempt < t->latest;
	bool nothing = status == 404 && over; /* never started, or deleted */
	if (nothing || (status == 200 && !error)) {
		next_step(t);
	} else if (status == 404) {
		retry_later(t, WAITING_MS);
	} else if (status == 200 || status == 0 || status >= 500) {
		if (t->failures++ == 0)
			say(f, t, "the connection was lost (%s): going on at byte %llu",
			    error ? error : "gateway error", (unsigned long long)t->offset);
		if (t->offset > t->opened)
			t->retry_ms = cli_now_ms() + RETRY_SOON_MS;
		else
			retry_later(t, RETRY_FIRST_MS);
		f->waiting = true;
	} else if (!f->fatal) {
		err_set(&f->fatal, ERR_DENIED, "the log of task \"%s\" is refused with status %ld",
		    t->name, status);
	}
}

static void
stream_open(struct ftask *t)
{
	static const struct cli_stream_ops ops = { on_data, on_end };
	struct follow *f = t->f;
	auto_free char *id = cli_api_escape(t->id);
	auto_free char *what = t->cursor < 0 ? xstrdup("setup") : xasprintf("step=%d", t->cursor);
	auto_free char *path = xasprintf("%s/%llu/tasks/%s/logs?%s&attempt=%lld&follow&offset=%llu",
	    f->runs_path, (unsigned long long)f->runs[t->run].number, id, what,
	    (long long)t->attempt, (unsigned long long)t->offset);

	t->open = true;
	t->opened = t->offset;
	f->nopen++;
	cli_stream_open(f->streams, path, &ops, t);
}

/* --- looking at runs and tasks --- */

/* 0; errors that may pass are swallowed (and *out is NULL), others are fatal. */
static int
look(struct follow *f, const char *path, json_t **out)
{
	auto_err err = NULL;

	*out = NULL;
	int rc = cli_api_call(f->c, "GET", path, NULL, out, &err);
	if (rc == 0) {
		f->answered_ms = cli_now_ms();
		return 0;
	}
	if (rc == ERR_UNAVAILABLE && cli_now_ms() - f->answered_ms < GIVE_UP_MS)
		return 0;
	if (!f->fatal)
		f->fatal = steal(&err);
	return rc;
}

static void
text_set(char **to, const char *text)
{
	free(*to);
	*to = xstrdup(text ? text : "");
}

static struct ftask *
task_get(struct follow *f, size_t run, const char *id, const json_t *summary)
{
	for (size_t i = 0; i < f->ntasks; i++)
		if (f->tasks[i]->run == run && strcmp(f->tasks[i]->id, id) == 0)
			return f->tasks[i];
	struct ftask *t = xcalloc(1, sizeof(*t));
	const char *name = json_text(summary, "name");
	*t = (struct ftask){
		.f = f,
		.run = run,
		.id = xstrdup(id),
		.name = xstrdup(name ? name : id),
		.status = xstrdup("notstarted"),
		.cursor = -1,
		.attempt = 1,
		.latest = 1,
		.max = json_int(summary, "attempts_max", 1),
		.lines = { .on_line = on_line, .arg = t },
	};
	f->tasks = xreallocarray(f->tasks, f->ntasks + 1, sizeof(struct ftask *));
	f->tasks[f->ntasks++] = t;
	return t;
}

static void
task_sync(struct follow *f, size_t run, const char *id, const json_t *summary)
{
	struct ftask *t = task_get(f, run, id, summary);
	const char *status = json_text(summary, "status");
	bool waits = json_flag(summary, "waiting_approval", false);

	t->latest = json_int(summary, "attempt", 1);
	if (waits)
		status = "waiting for approval";
	/* Between two attempts it is as if it had not begun; what is told then is that one failed.
	 */
	if (!status || strcmp(status, t->status) == 0 ||
	    (t->latest > 1 && strcmp(status, "notstarted") == 0))
		return;
	/* The end of a task is told after its last log line, see task_advance(). */
	if (!is_final(status) || strcmp(status, "skipped") == 0 || strcmp(status, "cancelled") == 0)
		say(f, t, "%s%s", status, waits ? ": approve it with millrace run approve" : "");
	text_set(&t->status, status);
	f->stale = true;
}

/* Why nothing goes on, when it is the same as at the last look: most reasons pass at once. */
static void
reason_sync(struct follow *f, size_t index, const json_t *tasks)
{
	struct frun *run = &f->runs[index];
	const char *reason = NULL, *id, *waiting = NULL;
	json_t *summary;

	json_object_foreach((json_t *)(uintptr_t)tasks, id, summary)
	{
		const char *status = json_text(summary, "status");

		if (status && strcmp(status, "running") == 0)
			return;
		if (!reason && !json_flag(summary, "waiting_approval", false)) {
			reason = json_text(summary, "wait_reason");
			waiting = id;
		}
	}
	if (!reason || !run->reason || strcmp(run->reason, reason) != 0) {
		text_set(&run->reason, reason);
		run->told = false;
	} else if (!run->told) {
		say(f, task_get(f, index, waiting, json_object_get(tasks, waiting)), "%s", reason);
		run->told = true;
	}
}

static void
run_sync(struct follow *f, size_t index)
{
	struct frun *run = &f->runs[index];
	auto_free char *path = xasprintf("%s/%llu", f->runs_path, (unsigned long long)run->number);
	auto_json *j = NULL;
	const char *id;
	json_t *summary, *line;
	size_t i;

	if (look(f, path, &j) || !j)
		return;
	json_object_foreach(json_member(j, "tasks"), id, summary) task_sync(f, index, id, summary);
	reason_sync(f, index, json_member(j, "tasks"));
	const char *phase = json_text(j, "phase"), *result = json_text(j, "result");
	text_set(&run->result, result);
	if (!phase || (run->phase && strcmp(run->phase, phase) == 0))
		return;
	text_set(&run->phase, phase);
	run->final = strcmp(phase, "finished") == 0 || strcmp(phase, "cancelled") == 0 ||
	             strcmp(phase, "setuperror") == 0;
	if (!run->final)
		say(f, NULL, "run %llu: %s", (unsigned long long)run->number, phase);
	json_array_foreach(json_member(j, "setup_errors"), i, line)
	{
		if (json_is_string(line))
			say(f, NULL, "run %llu: %s", (unsigned long long)run->number,
			    json_string_value(line));
	}
}

static bool
step_started(const json_t *step)
{
	const char *phase = step ? json_text(step, "phase") : NULL;

	return phase && strcmp(phase, "notstarted") != 0 && strcmp(phase, "cancelled") != 0;
}

/* Over steps that were passed over, because of their `if` or because one before them failed: a
 * later one has started. */
static void
pass_over(struct ftask *t, const json_t *steps)
{
	for (size_t i = t->cursor < 0 ? t->nsteps : (size_t)t->cursor; i < t->nsteps; i++) {
		if (!step_started(json_array_get(steps, i)))
			continue;
		t->cursor = (int)i;
		return;
	}
}

/* There is nothing more to read of an attempt that was followed by another one. */
static void
next_attempt(struct ftask *t)
{
	say(t->f, t, "attempt %lld of %lld failed", (long long)t->attempt, (long long)t->max);
	t->attempt++;
	t->cursor = -1;
	t->offset = 0;
	t->announced = false;
	t->f->stale = true;
}

/* Opens the log at the cursor, or finds that there is nothing more to read. */
static void
task_advance(struct ftask *t)
{
	struct follow *f = t->f;
	const struct frun *run = &f->runs[t->run];
	auto_free char *id = cli_api_escape(t->id);
	auto_free char *path =
	    xasprintf("%s/%llu/tasks/%s", f->runs_path, (unsigned long long)run->number, id);
	auto_json *j = NULL;

	if (look(f, path, &j) || !j)
		return;
	t->latest = json_int(j, "attempt", 1);
	const json_t *of = cli_task_attempt(j, t->attempt);
	json_t *steps = json_member(of, "steps");
	t->nsteps = json_array_size(steps);
	pass_over(t, steps);
	const json_t *step = t->cursor < 0 ? json_member(of, "setup_step")
	                                   : json_array_get(steps, (size_t)t->cursor);
	bool started = step_started(step);
	const char *status = json_text(j, "status");
	bool over = (status && is_final(status)) || run->final;

	if (started) {
		const char *name = json_text(step, "name");
		if (!t->announced && t->cursor >= 0)
			say(f, t, "step %d of %zu: %s", t->cursor + 1, t->nsteps, name ? name : "");
		t->announced = true;
		stream_open(t);
		return;
	}
	if (t->attempt < t->latest) {
		next_attempt(t);
		return;
	}
	if (over) {
		t->done = true;
		if (status && is_final(status) && strcmp(status, "skipped") != 0 &&
		    strcmp(status, "cancelled") != 0)
			say(f, t, "%s", status);
		return;
	}
	f->waiting = true;
	t->retry_ms = cli_now_ms() + WAITING_MS;
}

static bool
has_started(const struct ftask *t)
{
	if (t->latest > 1)
		return true;
	return strcmp(t->status, "notstarted") != 0 && strcmp(t->status, "skipped") != 0 &&
	       strcmp(t->status, "cancelled") != 0 && strncmp(t->status, "waiting", 7) != 0;
}

/* True when nothing is left to follow. */
static bool
advance_all(struct follow *f)
{
	bool all = true;
	int64_t now = cli_now_ms();

	f->waiting = false;
	for (size_t i = 0; i < f->ntasks && !f->fatal; i++) {
		struct ftask *t = f->tasks[i];

		if (t->done || t->open || !has_started(t)) {
			all &= t->done || (!t->open && f->runs[t->run].final);
			continue;
		}
		all = false;
		if (t->retry_ms <= now)
			task_advance(t);
		else
			f->waiting = true;
	}
	for (size_t i = 0; i < f->nruns; i++)
		all &= f->runs[i].final;
	return all;
}

static void
follow_loop(struct follow *f)
{
	int64_t looked = 0;

	f->stale = true;
	f->answered_ms = cli_now_ms();
	while (!interrupted && !f->fatal) {
		int64_t now = cli_now_ms();
		int64_t every = f->waiting ? WAITING_MS : REFRESH_MS;

		if (f->stale || now - looked >= every) {
			f->stale = false;
			looked = now;
			for (size_t i = 0; i < f->nruns && !f->fatal; i++)
				if (!f->runs[i].final)
					run_sync(f, i);
			if (advance_all(f))
				return;
		}
		if (!f->stale)
			cli_streams_wait(f->streams, (int)every);
	}
}

/* --- result --- */

static int
follow_result(struct follow *f)
{
	int status = 0;

	own_line(f, NULL);
	fflush(stdout);
	if (f->fatal) {
		cli_fail(steal(&f->fatal));
		return CLI_UNKNOWN;
	}
	for (size_t i = 0; i < f->nruns; i++) {
		const struct frun *run = &f->runs[i];
		bool success = run->final && run->result && strcmp(run->result, "success") == 0;

		if (!success)
			status = 1;
		if (run->final)
			say(f, NULL, "run %llu: %s", (unsigned long long)run->number,
			    strcmp(run->phase, "finished") == 0 ? run->result : run->phase);
		else
			say(f, NULL,
			    "no longer following, but run %llu goes on: look with \"millrace run "
			    "show %llu\", stop it with \"millrace run stop %llu\"",
			    (unsigned long long)run->number, (unsigned long long)run->number,
			    (unsigned long long)run->number);
	}
	return interrupted ? CLI_INTERRUPTED : status;
}

int
cli_follow(struct cli *c, const char *runs_path, const uint64_t *numbers, size_t n)
{
	struct follow f = { .c = c, .runs_path = runs_path, .nruns = n };

	cli_on_signal(c, SIGINT, on_signal, NULL);
	cli_on_signal(c, SIGTERM, on_signal, NULL);
	f.runs = xcalloc(n + 1, sizeof(*f.runs));
	for (size_t i = 0; i < n; i++)
		f.runs[i].number = numbers[i];
	f.terminal = isatty(STDOUT_FILENO);
	f.streams = cli_streams_new(c);
	follow_loop(&f);
	cli_streams_free(f.streams);
	for (size_t i = 0; i < f.ntasks; i++)
		cli_lines_end(&f.tasks[i]->lines);
	int status = follow_result(&f);
	for (size_t i = 0; i < f.ntasks; i++) {
		struct ftask *t = f.tasks[i];
		cli_lines_fini(&t->lines);
		free(t->id);
		free(t->name);
		free(t->status);
		free(t);
	}
	free(f.tasks);
	for (size_t i = 0; i < n; i++) {
		free(f.runs[i].phase);
		free(f.runs[i].result);
		free(f.runs[i].reason);
	}
	free(f.runs);
	err_clear(&f.fatal);
	return status;
}

/* --- one log --- */

struct copy {
	FILE *out;
	uint64_t offset;
	bool ended, failed;
	long status;
	char *error;
};

static void
copy_data(void *arg, const char *p, size_t n)
{
	struct copy *k = arg;

	k->offset += n;
	k->failed |= fwrite(p, 1, n, k->out) != n || fflush(k->out) != 0;
}

static void
copy_end(void *arg, long status, const char *error)
{
	struct copy *k = arg;

	k->ended = true;
	k->status = status;
	free(k->error);
	k->error = error ? xstrdup(error) : NULL;
}

static void
pause_until(struct cli_streams *s, int64_t until)
{
	for (int64_t now; (now = cli_now_ms()) < until && !interrupted;)
		cli_streams_wait(s, (int)(until - now));
}

int
cli_log_copy(struct cli *c, const char *path, FILE *out, struct err **err)
{
	static const struct cli_stream_ops ops = { copy_data, copy_end };
	struct copy k = { .out = out };
	struct cli_streams *s = cli_streams_new(c);
	int64_t broken_ms = 0, wait_ms = RETRY_FIRST_MS;
	unsigned silent = 0;
	int rc = 0;

	for (;;) {
		uint64_t before = k.offset;
		auto_free char *full =
		    xasprintf("%s&offset=%llu", path, (unsigned long long)k.offset);

		k.ended = false;
		cli_stream_open(s, full, &ops, &k);
		while (!k.ended && !k.failed)
			cli_streams_wait(s, 1000);
		if (k.failed) {
			rc = err_set_errno(err, errno, "write the log");
			break;
		}
		if (k.status == 200 && !k.error)
			break;
		if (k.status == 404) {
			rc = err_set(err, ERR_NOTFOUND,
			    "there is no such log: the step has not started, or its log was "
			    "deleted");
			break;
		}
		int64_t now = cli_now_ms();
		if (k.offset != before || !broken_ms) {
			broken_ms = now;
			wait_ms = k.offset != before ? RETRY_SOON_MS : RETRY_FIRST_MS;
		}
		bool passing = k.status == 200 || k.status >= 500 ||
		               (k.status == 0 && (k.offset || ++silent < SILENT_TRIES));
		if (!passing || now - broken_ms > GIVE_UP_MS) {
			rc = k.status ? err_set(err, ERR_DENIED,
			                    "the gateway refused the log with status %ld", k.status)
			              : err_set(err, ERR_UNAVAILABLE,
			                    "cannot reach the gateway at %s: %s", c->url,
			                    k.error ? k.error : "no answer");
			break;
		}
		pause_until(s, now + wait_ms);
		wait_ms = wait_ms < RETRY_FIRST_MS     ? RETRY_FIRST_MS
		          : wait_ms * 2 < RETRY_MAX_MS ? wait_ms * 2
		                                       : RETRY_MAX_MS;
	}
	cli_streams_free(s);
	free(k.error);
	return rc;
}
