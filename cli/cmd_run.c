/* run list, show, follow, stop, cancel, restart, approve. */
#include "cli.h"

#include "common/mem.h"

#include <string.h>

int
cli_runs_path(struct cli *c, char **out, struct err **err)
{
	const char *project = cli_get(c, "project"), *user = cli_get(c, "username");
	auto_json *self = NULL;

	if (project && user)
		return err_set(err, ERR_INVALID, "give only one of --project and --username");
	if (!project && !user) {
		int rc = cli_api_call(c, "GET", "/user", NULL, &self, err);
		if (rc)
			return err_wrap(err, "whose runs? give --username or --project");
		user = json_text(self, "id");
		if (!user)
			return err_set(
			    err, ERR_INTERNAL, "the gateway's answer to GET /user has no id");
	}
	auto_free char *owner = cli_api_escape(project ? project : user);
	*out = xasprintf("/%s/%s/runs", project ? "projects" : "users", owner);
	return 0;
}

int
cli_run_path(struct cli *c, char **out, struct err **err)
{
	auto_free char *runs = NULL;
	uint64_t number = 0;

	int rc = cli_number(&number, c->args[0], 1, "the run's number", err);
	if (!rc)
		rc = cli_runs_path(c, &runs, err);
	if (!rc)
		*out = xasprintf("%s/%llu", runs, (unsigned long long)number);
	return rc;
}

/* A run's path becomes that of the list it is in. */
static void
cut_last(char *path)
{
	char *slash = strrchr(path, '/');

	MUST(slash);
	*slash = '\0';
}

int
cli_run_get(struct cli *c, char **path, json_t **run, struct err **err)
{
	int rc = cli_run_path(c, path, err);

	if (!rc)
		rc = cli_api_call(c, "GET", *path, NULL, run, err);
	if (!rc && !json_is_object(*run))
		rc = err_set(err, ERR_INTERNAL, "the gateway's answer is no run");
	return rc == ERR_NOTFOUND ? err_wrap(err, "run %s", c->args[0]) : rc;
}

int
cli_task_find(const json_t *run, const char *name, const char **id, struct err **err)
{
	json_t *tasks = json_member(run, "tasks"), *t;
	const char *key;
	auto_buf all = BUF_INIT;

	json_object_foreach(tasks, key, t)
	{
		const char *given = json_text(t, "name");
		if (strcmp(key, name) == 0 || (given && strcmp(given, name) == 0)) {
			*id = key;
			return 0;
		}
		if (given && all.len < 1000)
			buf_printf(&all, "%s\"%s\"", all.len ? ", " : "", given);
	}
	auto_free char *clean = cli_clean(buf_str(&all));
	return err_set(err, ERR_NOTFOUND, "there is no task \"%s\" in this run, only %s", name,
	    *clean ? clean : "none");
}

const json_t *
cli_task_attempt(const json_t *task, int64_t attempt)
{
	json_t *past;
	size_t i;

	if (attempt == json_int(task, "attempt", 1))
		return task;
	json_array_foreach(json_member(task, "attempts"), i, past)
	{
		if (json_int(past, "attempt", 0) == attempt)
			return past;
	}
	return NULL;
}

/* "attempt 2 of 3" behind before, or "" for a task that is not tried again. malloc'ed. */
static char *
attempt_shown(const json_t *task, int64_t attempt, const char *before)
{
	int64_t max = json_int(task, "attempts_max", 1);

	return max > 1
	           ? xasprintf("%sattempt %lld of %lld", before, (long long)attempt, (long long)max)
	           : xstrdup("");
}

/* --- list --- */

static const char *
annotation(const json_t *run, const char *name)
{
	const char *text = json_text(json_member(run, "annotations"), name);

	return text ? text : "";
}

static const char *
ref_shown(const json_t *run)
{
	const char *ref = annotation(run, "ref");

	return strncmp(ref, "refs/heads/", 11) == 0  ? ref + 11
	       : strncmp(ref, "refs/tags/", 10) == 0 ? ref + 10
	                                             : ref;
}

static char *
list_query(struct cli *c, const char *runs)
{
	struct buf b = BUF_INIT;
	size_t n;
	const char *const *phases = cli_list(c, "phase", &n);

	buf_printf(&b, "%s?sortdirection=desc", runs);
	for (size_t i = 0; i < n; i++) {
		auto_free char *words = xstrdup(phases[i]);
		for (char *p = words, *word; (word = strsep(&p, ","));) {
			auto_free char *phase = cli_api_escape(word);
			buf_printf(&b, "&phase=%s", phase);
		}
	}
	if (cli_get(c, "start"))
		buf_printf(&b, "&start=%s", cli_get(c, "start"));
	return buf_take(&b);
}

static int
run_list(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *runs = NULL, *path = NULL;
	auto_json *list = NULL;
	uint64_t limit = 0, start = 0;
	size_t i;
	json_t *run;

	if (cli_number(&limit, cli_get(c, "limit"), 1, "--limit", &err) ||
	    (cli_get(c, "start") && cli_number(&start, cli_get(c, "start"), 0, "--start", &err)) ||
	    cli_runs_path(c, &runs, &err))
		return cli_fail(err);
	path = list_query(c, runs);
	if (cli_api_list(c, path, limit, &list, &err))
		return cli_fail(err);
	if (c->json)
		return cli_print_json(list);
	if (c->agola)
		return cli_agola_runs(c, runs, list);
	struct cli_table t = { .columns = 7 };
	cli_table_add(&t,
	    (const char *const[]){ "RUN", "NAME", "PHASE", "RESULT", "REF", "QUEUED", "MESSAGE" });
	json_array_foreach(list, i, run)
	{
		auto_free char *number = xasprintf("%lld", (long long)json_int(run, "number", 0));
		const char *queued = json_text(run, "enqueue_time");
		auto_free char *time = xstrndup(queued ? queued : "", 19);
		auto_free char *message = xstrdup(annotation(run, "message"));
		message[strcspn(message, "\n")] = '\0';
		cli_table_add(&t,
		    (const char *const[]){ number, json_text(run, "name"), json_text(run, "phase"),
		        json_text(run, "result"), ref_shown(run), time, message });
	}
	auto_buf out = BUF_INIT;
	cli_table_print(&t, &out);
	cli_table_fini(&t);
	fputs(buf_str(&out), stdout);
	return 0;
}

/* --- show --- */

static int
row_cmp(const void *a, const void *b)
{
	const struct cli_row *x = a, *y = b;

	return x->level != y->level ? (x->level < y->level ? -1 : 1) : strcmp(x->name, y->name);
}

struct cli_row *
cli_task_rows(const json_t *run, size_t *n)
{
	json_t *tasks = json_member(run, "tasks"), *t;
	struct cli_row *rows = xcalloc(json_object_size(tasks) + 1, sizeof(*rows));
	const char *id;

	*n = 0;
	json_object_foreach(tasks, id, t)
	{
		const char *name = json_text(t, "name");
		rows[(*n)++] = (struct cli_row){ json_int(t, "level", 0), name ? name : id, id, t };
	}
	qsort(rows, *n, sizeof(*rows), row_cmp);
	return rows;
}

static void
show_task(struct cli *c, const char *path, const struct cli_row *row)
{
	auto_free char *id = cli_api_escape(row->id);
	auto_free char *task_path = xasprintf("%s/tasks/%s", path, id);
	auto_json *task = NULL;
	auto_err err = NULL;
	size_t i;
	json_t *step;

	auto_free char *name = cli_clean(row->name);
	const char *status = json_text(row->summary, "status");
	auto_free char *attempt =
	    attempt_shown(row->summary, json_int(row->summary, "attempt", 1), ", ");
	printf("\ntask %s: %s%s%s%s\n", name, status ? status : "unknown", attempt,
	    json_flag(row->summary, "timedout", false) ? ", timed out" : "",
	    json_flag(row->summary, "waiting_approval", false) ? ", waiting for approval" : "");
	const char *reason = json_text(row->summary, "wait_reason");
	if (reason && !json_flag(row->summary, "waiting_approval", false)) {
		auto_free char *clean = cli_clean(reason);
		printf("  %s\n", clean);
	}
	if (cli_api_call(c, "GET", task_path, NULL, &task, &err)) {
		printf("  %s\n", err_msg(err));
		return;
	}
	struct cli_table t = { .columns = 4 };
	const char *setup = json_text(json_member(task, "setup_step"), "phase");
	cli_table_add(&t, (const char *const[]){ "  setup", setup, "", "" });
	json_array_foreach(json_member(task, "steps"), i, step)
	{
		auto_free char *index = xasprintf("  step %zu", i);
		int64_t code = json_int(step, "exit_status", INT64_MIN);
		auto_free char *exit =
		    code == INT64_MIN ? xstrdup("") : xasprintf("exit %lld", (long long)code);
		const char *label = json_text(step, "name");
		auto_free char *first =
		    xstrndup(label ? label : "", strcspn(label ? label : "", "\n"));
		cli_table_add(
		    &t, (const char *const[]){ index, json_text(step, "phase"), exit, first });
	}
	auto_buf out = BUF_INIT;
	cli_table_print(&t, &out);
	cli_table_fini(&t);
	fputs(buf_str(&out), stdout);
}

static void
show_line(const char *label, const char *text)
{
	auto_free char *clean = cli_clean(text);

	if (*clean)
		printf("%-9s %s\n", label, clean);
}

static int
run_show(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *path = NULL;
	auto_json *run = NULL;
	size_t i, n = 0;
	json_t *line;

	if (cli_run_get(c, &path, &run, &err))
		return cli_fail(err);
	if (c->json)
		return cli_print_json(run);
	printf("%-9s %lld\n", "run", (long long)json_int(run, "number", 0));
	show_line("name", json_text(run, "name"));
	show_line("phase", json_text(run, "phase"));
	show_line("result", json_text(run, "result"));
	show_line("ref", ref_shown(run));
	show_line("commit", annotation(run, "commit_sha"));
	show_line("message", annotation(run, "message"));
	show_line("queued", json_text(run, "enqueue_time"));
	show_line("started", json_text(run, "start_time"));
	show_line("ended", json_text(run, "end_time"));
	json_array_foreach(json_member(run, "setup_errors"), i, line)
	    show_line("error", json_string_value(line));
	json_array_foreach(json_member(run, "warnings"), i, line)
	    show_line("warning", json_string_value(line));
	struct cli_row *rows = cli_task_rows(run, &n);
	for (i = 0; i < n; i++)
		show_task(c, path, &rows[i]);
	free(rows);
	return 0;
}

/* --- log --- */

static int
log_one(struct cli *c, const char *path, const char *id, const char *what, struct err **err)
{
	auto_free char *escaped = cli_api_escape(id);
	auto_free char *full = xasprintf("%s/tasks/%s/logs?%s", path, escaped, what);

	return cli_log_copy(c, full, stdout, err);
}

/* Everything of one attempt (0 = the newest) of one task; logs that do not exist are left out. */
static int
log_task(
    struct cli *c, const char *path, const struct cli_row *row, uint64_t attempt, struct err **err)
{
	auto_free char *id = cli_api_escape(row->id);
	auto_free char *task_path = xasprintf("%s/tasks/%s", path, id);
	auto_free char *name = cli_clean(row->name);
	auto_json *task = NULL;

	int rc = cli_api_call(c, "GET", task_path, NULL, &task, err);
	if (rc)
		return rc;
	int64_t latest = json_int(task, "attempt", 1);
	int64_t at = attempt > 0 && attempt <= INT64_MAX ? (int64_t)attempt : latest;
	const json_t *of = cli_task_attempt(task, at);
	if (!of)
		return err_set(err, ERR_NOTFOUND, "task \"%s\" has had no attempt %lld, only %lld",
		    name, (long long)at, (long long)latest);
	auto_free char *shown = attempt_shown(task, at, ", ");
	size_t nsteps = json_array_size(json_member(of, "steps"));
	for (size_t i = 0; !rc && i <= nsteps; i++) {
		struct err *none = NULL;
		auto_free char *log = i ? xasprintf("step=%zu", i - 1) : xstrdup("setup");
		auto_free char *what = xasprintf("%s&attempt=%lld", log, (long long)at);
		const json_t *step = i ? json_array_get(json_member(of, "steps"), i - 1)
		                       : json_member(of, "setup_step");
		const char *phase = json_text(step, "phase");

		if (!phase || strcmp(phase, "notstarted") == 0)
			continue;
		auto_free char *label = cli_clean(i ? json_text(step, "name") : "setup");
		fflush(stdout);
		fprintf(stderr, "--- %s%s: %s\n", name, shown, label);
		rc = log_one(c, path, row->id, what, &none);
		if (rc == ERR_NOTFOUND) {
			err_clear(&none);
			rc = 0;
		} else if (rc) {
			*err = none;
		}
	}
	return rc;
}

static int
run_log(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *path = NULL;
	auto_json *run = NULL;
	const char *task = c->nargs > 1 ? c->args[1] : cli_get(c, "task"), *id = NULL;
	const char *step = cli_get(c, "step");
	const char *nth = cli_get(c, "attempt");
	bool setup = cli_flag(c, "setup"), follow = cli_flag(c, "follow");
	uint64_t index = 0, attempt = 0;
	size_t n = 0;

	if (step && setup)
		err_set(&err, ERR_INVALID, "give only one of --step and --setup");
	else if ((step || setup || nth) && !task)
		err_set(&err, ERR_INVALID, "of which task? millrace run log %s TASK", c->args[0]);
	else if (follow && task && !step && !setup)
		err_set(&err, ERR_INVALID,
		    "--follow takes the whole run, or one log with TASK and --step or --setup");
	if (err || (step && cli_number(&index, step, 0, "--step", &err)) ||
	    (nth && cli_number(&attempt, nth, 1, "--attempt", &err)) ||
	    cli_run_get(c, &path, &run, &err) || (task && cli_task_find(run, task, &id, &err)))
		return cli_fail(err);
	if (step || setup) {
		auto_free char *what = setup ? xstrdup("setup") : xasprintf("step=%d", (int)index);
		auto_free char *which = nth ? xasprintf("&attempt=%s", nth) : xstrdup("");
		auto_free char *full = xasprintf("%s%s%s", what, which, follow ? "&follow" : "");
		return log_one(c, path, id, full, &err) ? cli_fail(err) : 0;
	}
	if (follow) {
		uint64_t number = (uint64_t)json_int(run, "number", 0);
		cut_last(path);
		return cli_follow(c, path, &number, 1);
	}
	struct cli_row *rows = cli_task_rows(run, &n);
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++)
		if (!id || strcmp(rows[i].id, id) == 0)
			rc = log_task(c, path, &rows[i], attempt, &err);
	free(rows);
	return rc ? cli_fail(err) : 0;
}

static int
run_follow(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *path = NULL;
	auto_json *run = NULL;

	if (cli_run_get(c, &path, &run, &err))
		return cli_fail(err);
	uint64_t number = (uint64_t)json_int(run, "number", 0);
	cut_last(path);
	return cli_follow(c, path, &number, 1);
}

/* --- actions --- */

static int
act(struct cli *c, json_t *body, const char *said)
{
	struct err *err = NULL;
	auto_free char *path = NULL, *actions = NULL;
	auto_json *run = NULL, *take = body;

	int rc = cli_run_path(c, &path, &err);
	if (!rc) {
		actions = xasprintf("%s/actions", path);
		rc = cli_api_call(c, "PUT", actions, take, &run, &err);
	}
	if (rc)
		return cli_fail(err);
	if (c->json)
		return cli_print_json(run);
	if (said)
		fprintf(stderr, "run %s: %s\n", c->args[0], said);
	else
		printf("%lld\n", (long long)json_int(run, "number", 0));
	return 0;
}

static int
run_stop(struct cli *c)
{
	return act(c, json_pack("{s:s}", "action_type", "stop"), "stopping");
}

static int
run_cancel(struct cli *c)
{
	return act(c, json_pack("{s:s}", "action_type", "cancel"), "cancelled");
}

static int
run_restart(struct cli *c)
{
	return act(c,
	    json_pack(
	        "{s:s,s:b}", "action_type", "restart", "from_start", !cli_flag(c, "from-failed")),
	    NULL);
}

static int
run_approve(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *path = NULL, *actions = NULL, *escaped = NULL;
	auto_json *run = NULL, *body = json_pack("{s:s}", "action_type", "approve");
	const char *id = NULL;

	int rc = cli_run_get(c, &path, &run, &err);
	if (!rc)
		rc = cli_task_find(run, c->args[1], &id, &err);
	if (!rc) {
		escaped = cli_api_escape(id);
		actions = xasprintf("%s/tasks/%s/actions", path, escaped);
		rc = cli_api_call(c, "PUT", actions, body, NULL, &err);
	}
	if (rc)
		return cli_fail(err);
	fprintf(stderr, "run %s: task \"%s\" approved\n", c->args[0], c->args[1]);
	return 0;
}

/* --- table --- */

static const struct cli_opt list_opts[] = {
	CLI_OWNER_OPTS,
	{ "phase", 's', CLI_LIST, false, NULL, "only runs in these phases" },
	{ "limit", 0, CLI_TEXT, false, "10", "how many" },
	{ "start", 0, CLI_TEXT, false, NULL, "only runs before this number" },
	{ 0 },
};
static const struct cli_opt log_opts[] = {
	CLI_OWNER_OPTS,
	{ "task", 0, CLI_TEXT, false, NULL, "only this task" },
	{ "step", 0, CLI_TEXT, false, NULL, "only this step, counted from 0" },
	{ "setup", 0, CLI_FLAG, false, "false", "only the task's setup" },
	{ "attempt", 0, CLI_TEXT, false, NULL,
	    "of this attempt of the task (default: the newest)" },
	{ "follow", 0, CLI_FLAG, false, "false", "go on until it ends" },
	{ 0 },
};
static const struct cli_opt owner_opts[] = {
	CLI_OWNER_OPTS,
	{ 0 },
};
static const struct cli_opt restart_opts[] = {
	CLI_OWNER_OPTS,
	{ "from-failed", 0, CLI_FLAG, false, "false", "keep what succeeded" },
	{ 0 },
};

#define RUN_COMMAND(verb, args_, min, max, opts_, fn, summary_, example_)                          \
	{                                                                                          \
		.words = { "run", verb }, .args = (args_), .min_args = (min), .max_args = (max),   \
		.opts = (opts_), .run = (fn), .summary = (summary_), .example = (example_)         \
	}
const struct cli_command cli_run_list = RUN_COMMAND("list", NULL, 0, 0, list_opts, run_list,
    "list runs, newest first", "millrace run list --phase running --limit 20");
const struct cli_command cli_run_show = RUN_COMMAND("show", "RUN", 1, 1, owner_opts, run_show,
    "show a run with its tasks and steps", "millrace run show 12");
const struct cli_command cli_run_log = RUN_COMMAND("log", "RUN [TASK]", 1, 2, log_opts, run_log,
    "print logs of a run, a task or a step", "millrace run log 12 build --step 1 --follow");
const struct cli_command cli_run_follow = RUN_COMMAND("follow", "RUN", 1, 1, owner_opts, run_follow,
    "stream a run's logs; the exit status is its result", "millrace run follow 12");
const struct cli_command cli_run_stop = RUN_COMMAND(
    "stop", "RUN", 1, 1, owner_opts, run_stop, "stop a running run", "millrace run stop 12");
const struct cli_command cli_run_cancel = RUN_COMMAND(
    "cancel", "RUN", 1, 1, owner_opts, run_cancel, "cancel a queued run", "millrace run cancel 12");
const struct cli_command cli_run_restart =
    RUN_COMMAND("restart", "RUN", 1, 1, restart_opts, run_restart,
        "run it again; prints the new run's number", "millrace run restart 12 --from-failed");
const struct cli_command cli_run_approve = RUN_COMMAND("approve", "RUN TASK", 2, 2, owner_opts,
    run_approve, "approve a task that waits for it", "millrace run approve 12 deploy");
