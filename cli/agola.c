/* Runs as agola lists them, with tasks and steps. */
#include "cli/cli.h"

#include "common/mem.h"

static void
print_step(size_t i, const json_t *step)
{
	auto_free char *name = cli_clean(json_text(step, "name"));
	auto_free char *type = cli_clean(json_text(step, "type"));
	auto_free char *phase = cli_clean(json_text(step, "phase"));
	int64_t status = json_int(step, "exit_status", INT64_MIN);

	printf("\t\tStep: %zu, Name: %s, Type: %s, Phase: %s", i, name, type, phase);
	if (status != INT64_MIN)
		printf(", ExitStatus: %lld", (long long)status);
	putchar('\n');
}

static int
print_task(struct cli *c, const char *run_path, const struct cli_row *row, struct err **err)
{
	auto_free char *id = cli_api_escape(row->id);
	auto_free char *path = xasprintf("%s/tasks/%s", run_path, id);
	auto_free char *name = cli_clean(row->name);
	auto_free char *status = cli_clean(json_text(row->summary, "status"));
	auto_json *task = NULL;
	size_t i;
	json_t *step;

	int rc = cli_api_call(c, "GET", path, NULL, &task, err);
	if (rc)
		return rc;
	printf("\tTaskName: %s, TaskID: %s, Status: %s\n", name, row->id, status);
	json_array_foreach(json_member(task, "steps"), i, step) print_step(i, step);
	return 0;
}

static int
print_run(struct cli *c, const char *path, struct err **err)
{
	auto_json *run = NULL;
	size_t n = 0;

	int rc = cli_api_call(c, "GET", path, NULL, &run, err);
	if (rc)
		return rc;
	auto_free char *phase = cli_clean(json_text(run, "phase"));
	auto_free char *result = cli_clean(json_text(run, "result"));
	printf(
	    "%lld: Phase: %s, Result: %s\n", (long long)json_int(run, "number", 0), phase, result);
	struct cli_row *rows = cli_task_rows(run, &n);
	for (size_t i = 0; i < n && !rc; i++)
		rc = print_task(c, path, &rows[i], err);
	free(rows);
	return rc;
}

int
cli_agola_runs(struct cli *c, const char *runs_path, const json_t *list)
{
	struct err *err = NULL;
	size_t i;
	json_t *run;

	json_array_foreach((json_t *)(uintptr_t)list, i, run)
	{
		auto_free char *path =
		    xasprintf("%s/%lld", runs_path, (long long)json_int(run, "number", 0));

		if (print_run(c, path, &err))
			return cli_fail(err);
	}
	return 0;
}
