/* log get, log delete: one log, by the flags that scripts know. */
#include "cli.h"

#include "common/mem.h"

#include <errno.h>

/* Path of the log with its query. */
static int
log_path(struct cli *c, char **out, struct err **err)
{
	auto_free char *runs = NULL, *run_path = NULL, *escaped = NULL;
	auto_json *run = NULL;
	const char *name = cli_get(c, "taskname"), *id = cli_get(c, "taskid");
	const char *step = cli_get(c, "step");
	const char *attempt = cli_get(c, "attempt");
	uint64_t number = 0, index = 0, nth = 0;

	if (!name == !id)
		return err_set(err, ERR_INVALID, "give one of --taskname and --taskid");
	if (!step == !cli_flag(c, "setup"))
		return err_set(err, ERR_INVALID, "give one of --step and --setup");
	int rc = cli_number(&number, cli_get(c, "runnumber"), 1, "--runnumber", err);
	if (!rc && step)
		rc = cli_number(&index, step, 0, "--step", err);
	if (!rc && attempt)
		rc = cli_number(&nth, attempt, 1, "--attempt", err);
	if (!rc)
		rc = cli_runs_path(c, &runs, err);
	if (rc)
		return rc;
	run_path = xasprintf("%s/%llu", runs, (unsigned long long)number);
	if (name) {
		rc = cli_api_call(c, "GET", run_path, NULL, &run, err);
		if (!rc)
			rc = cli_task_find(run, name, &id, err);
		if (rc)
			return rc;
	}
	escaped = cli_api_escape(id);
	auto_free char *what =
	    step ? xasprintf("step=%llu", (unsigned long long)index) : xstrdup("setup");
	auto_free char *which =
	    attempt ? xasprintf("&attempt=%llu", (unsigned long long)nth) : xstrdup("");
	*out = xasprintf("%s/tasks/%s/logs?%s%s", run_path, escaped, what, which);
	return 0;
}

static int
log_get(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *path = NULL;
	const char *name = cli_get(c, "output");
	bool follow = cli_flag(c, "follow");
	FILE *out = stdout;

	if (name && follow) {
		err_set(&err, ERR_INVALID, "--output does not go with --follow");
		return cli_fail(err);
	}
	if (log_path(c, &path, &err))
		return cli_fail(err);
	auto_free char *full = xasprintf("%s%s", path, follow ? "&follow" : "");
	if (name && !(out = fopen(name, "we"))) {
		err_set_errno(&err, errno, "create %s", name);
		return cli_fail(err);
	}
	int rc = cli_log_copy(c, full, out, &err);
	if (name && fclose(out) != 0 && !rc)
		rc = err_set_errno(&err, errno, "write %s", name);
	return rc ? cli_fail(err) : 0;
}

static int
log_delete(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *path = NULL;

	if (log_path(c, &path, &err) || cli_api_call(c, "DELETE", path, NULL, NULL, &err))
		return cli_fail(err);
	return 0;
}

#define LOG_OPTS                                                                                   \
	{ "username", 0, CLI_TEXT, false, NULL, "direct runs of this user (default: yourself)" },  \
	    { "project", 0, CLI_TEXT, false, NULL, "runs of this project" },                       \
	    { "runnumber", 0, CLI_TEXT, true, NULL, "the run" },                                   \
	    { "taskname", 0, CLI_TEXT, false, NULL, "the task by its name" },                      \
	    { "taskid", 0, CLI_TEXT, false, NULL, "the task by its id" },                          \
	    { "step", 0, CLI_TEXT, false, NULL, "the step, counted from 0" },                      \
	{                                                                                          \
		"setup", 0, CLI_FLAG, false, "false", "the task's setup"                           \
	}
static const struct cli_opt get_opts[] = {
	LOG_OPTS,
	{ "attempt", 0, CLI_TEXT, false, NULL,
	    "of this attempt of the task (default: the newest)" },
	{ "follow", 0, CLI_FLAG, false, "false", "go on until the step ends" },
	{ "output", 0, CLI_TEXT, false, NULL, "write to this file" },
	{ 0 },
};
static const struct cli_opt delete_opts[] = {
	LOG_OPTS,
	{ "attempt", 0, CLI_TEXT, false, NULL, "of this attempt of the task (default: all)" },
	{ 0 },
};
const struct cli_command cli_log_get = {
	.words = { "log", "get" },
	.opts = get_opts,
	.run = log_get,
	.summary = "print one log",
	.example = "millrace log get --runnumber 12 --taskname build --step 0",
};
const struct cli_command cli_log_delete = {
	.words = { "log", "delete" },
	.opts = delete_opts,
	.run = log_delete,
	.summary = "delete one stored log",
	.example = "millrace log delete --runnumber 12 --taskname build --step 0",
};
