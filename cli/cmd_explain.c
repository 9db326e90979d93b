/* run create, tasks, explain. */
#include "cli/rest.h"

#include "common/mem.h"

#include <string.h>

/* --- create --- */

static int
one_reference(struct cli *c, json_t *body, struct err **err)
{
	(void)body;
	if (cli_given(c, "branch") + cli_given(c, "tag") + cli_given(c, "ref") != 1)
		return err_set(err, ERR_INVALID, "give exactly one of --branch, --tag and --ref");
	return 0;
}

/* --- tasks --- */

/* Names of the tasks it comes after. */
static char *
after(const json_t *tasks, const json_t *task)
{
	struct buf b = BUF_INIT;
	const char *id;
	json_t *depend;

	json_object_foreach(json_member(task, "depends"), id, depend)
	{
		const char *name = json_text(json_object_get(tasks, id), "name");
		buf_printf(&b, "%s%s", b.len ? ", " : "", name ? name : id);
	}
	return buf_take(&b);
}

static const char *
status_of(const json_t *task)
{
	const char *status = json_text(task, "status");

	if (json_flag(task, "waiting_approval", false))
		return "waiting for approval";
	return json_flag(task, "timedout", false) ? "timed out" : status ? status : "unknown";
}

static int
run_tasks(struct cli *c)
{
	struct cli_table t = { .columns = 5 };
	struct err *err = NULL;
	auto_free char *path = NULL;
	auto_json *run = NULL;
	auto_buf out = BUF_INIT;
	size_t n = 0;

	if (cli_run_get(c, &path, &run, &err))
		return cli_fail(err);
	const json_t *tasks = json_member(run, "tasks");
	struct cli_row *rows = cli_task_rows(run, &n);
	auto_json *list = json_array();
	cli_table_add(&t, (const char *const[]){ "TASK", "STATUS", "AFTER", "STARTED", "ENDED" });
	for (size_t i = 0; i < n; i++) {
		const json_t *task = rows[i].summary;
		auto_free char *before = after(tasks, task);
		const char *start = json_text(task, "start_time");
		const char *end = json_text(task, "end_time");
		auto_free char *started = xstrndup(start ? start : "", 19);
		auto_free char *ended = xstrndup(end ? end : "", 19);

		json_array_append(list, (json_t *)(uintptr_t)task);
		cli_table_add(&t,
		    (const char *const[]){ rows[i].name, status_of(task), before, started, ended });
	}
	free(rows);
	if (!c->json) {
		cli_table_print(&t, &out);
		fputs(buf_str(&out), stdout);
	}
	cli_table_fini(&t);
	return c->json ? cli_print_json(list) : 0;
}

/* --- explain --- */

static int
run_explain(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *path = NULL;
	auto_json *reply = NULL;
	size_t i;
	json_t *task;

	if (cli_run_path(c, &path, &err))
		return cli_fail(err);
	auto_free char *full = xasprintf("%s/explain", path);
	int rc = cli_api_call(c, "GET", full, NULL, &reply, &err);
	if (rc) {
		if (rc == ERR_NOTFOUND)
			err_wrap(&err, "run %s", c->args[0]);
		return cli_fail(err);
	}
	if (c->json)
		return cli_print_json(reply);
	const json_t *tasks = json_member(reply, "tasks");
	if (json_array_size(tasks) == 0)
		fprintf(stderr, "no task of run %s waits\n", c->args[0]);
	json_array_foreach((json_t *)(uintptr_t)tasks, i, task)
	{
		auto_free char *name = cli_clean(json_text(task, "name"));
		auto_free char *reason = cli_clean(json_text(task, "reason"));
		printf("%s: %s\n", name, reason);
	}
	return 0;
}

static const struct cli_opt create_opts[] = {
	{ "project", 0, CLI_TEXT, true, NULL, "path or id of the project" },
	{ "branch", 0, CLI_TEXT, false, NULL, "run this branch" },
	{ "tag", 0, CLI_TEXT, false, NULL, "run this tag" },
	{ "ref", 0, CLI_TEXT, false, NULL, "run this full reference" },
	{ "commit-sha", 0, CLI_TEXT, false, NULL,
	    "run this commit; without it the one the reference points to" },
	{ 0 },
};
static const struct cli_opt owner_opts[] = {
	CLI_OWNER_OPTS,
	{ 0 },
};
const struct cli_command cli_run_more_commands[] = {
	{ .words = { "run", "create" },
	    .opts = create_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "POST",
	        .path = "/projects/{project}/createrun",
	        .body = "branch tag ref commit_sha=commit-sha",
	        .fill = one_reference,
	        .said = "runs of \"{project}\" asked for" },
	    .summary = "start the runs of a branch, tag or reference of a project",
	    .example = "millrace run create --project org/acme/web --branch master" },
	{ .words = { "run", "tasks" },
	    .args = "RUN",
	    .min_args = 1,
	    .max_args = 1,
	    .opts = owner_opts,
	    .run = run_tasks,
	    .summary = "list the tasks of a run in their order",
	    .example = "millrace run tasks 12" },
	{ .words = { "run", "explain" },
	    .args = "RUN",
	    .min_args = 1,
	    .max_args = 1,
	    .opts = owner_opts,
	    .run = run_explain,
	    .summary = "say why each waiting task waits: executors considered, or the run before",
	    .example = "millrace run explain 12" },
	{ .words = { NULL } },
};
