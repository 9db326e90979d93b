/* directrun start: the local work tree as a run. */
#include "cli.h"
#include "yaml_file.h"

#include "common/mem.h"

#include <string.h>

#define MESSAGE "agola direct run"

static const char *const default_regexes[] = { "refs/pull/(\\d+)/head",
	"refs/merge-requests/(\\d+)/head" };

/* --- variables --- */

static int
vars_read(struct cli *c, json_t *vars, struct err **err)
{
	size_t n;
	const char *const *list = cli_list(c, "var-file", &n);

	for (size_t i = 0; i < n; i++) {
		int rc = cli_yaml_texts(vars, list[i], err);
		if (rc)
			return rc;
	}
	list = cli_list(c, "var", &n);
	for (size_t i = 0; i < n; i++) {
		const char *equals = strchr(list[i], '=');

		/* The value may be a secret: it is not repeated. */
		if (!equals || equals == list[i] || !equals[1])
			return err_set(err, ERR_INVALID,
			    "--var number %zu must be NAME=VALUE, neither of them empty", i + 1);
		auto_free char *name = xstrndup(list[i], (size_t)(equals - list[i]));
		json_t *value = json_string(equals + 1);
		if (!value || json_object_set_new(vars, name, value))
			return err_set(
			    err, ERR_INVALID, "--var %s: the value is not valid UTF-8", name);
	}
	return 0;
}

/* --- the reference --- */

/* Exactly one of the three is set. */
struct target {
	const char *branch, *tag, *ref;
	char *full;
};

static int
target_read(struct cli *c, struct target *t, struct err **err)
{
	if (cli_given(c, "branch") + cli_given(c, "tag") + cli_given(c, "ref") > 1)
		return err_set(err, ERR_INVALID, "give only one of --branch, --tag and --ref");
	t->tag = cli_get(c, "tag");
	t->ref = cli_get(c, "ref");
	t->branch = t->tag || t->ref ? NULL : cli_get(c, "branch");
	const char *given = t->tag ? t->tag : t->ref ? t->ref : t->branch;
	if (!given || !*given)
		return err_set(
		    err, ERR_INVALID, "the reference is empty: give --branch, --tag or --ref");
	t->full = t->tag   ? xasprintf("refs/tags/%s", t->tag)
	          : t->ref ? xstrdup(t->ref)
	                   : xasprintf("refs/heads/%s", t->branch);
	return 0;
}

static json_t *
request_body(struct cli *c, const struct target *t, const struct cli_snapshot *s,
    const char *user_id, json_t *vars)
{
	size_t n;
	const char *const *regexes = cli_list(c, "pull-request-ref-regexes", &n);
	auto_free char *path = xasprintf("%s/%s", user_id, s->repo_uuid);
	json_t *list = json_array();

	if (n == 0) {
		regexes = default_regexes;
		n = ARRAY_LEN(default_regexes);
	}
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(regexes[i]));
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:O}", "repo_uuid", s->repo_uuid,
	    "repo_path", path, "branch", t->branch ? t->branch : "", "tag", t->tag ? t->tag : "",
	    "ref", t->ref ? t->ref : "", "commit_sha", s->commit, "message", MESSAGE,
	    "pull_request_ref_regexes", list, "variables", vars);
}

/* --- which runs came of it --- */

struct numbers {
	uint64_t *list;
	size_t n;
};

static void
number_add(struct numbers *x, json_int_t number)
{
	x->list = xreallocarray(x->list, x->n + 1, sizeof(*x->list));
	x->list[x->n++] = (uint64_t)number;
}

static int
newest_run(struct cli *c, const char *runs, int64_t *number, struct err **err)
{
	auto_json *list = NULL;
	auto_free char *path = xasprintf("%s?sortdirection=desc", runs);
	int rc = cli_api_list(c, path, 1, &list, err);

	*number = rc ? 0 : json_int(json_array_get(list, 0), "number", 0);
	return rc;
}

/* Gateways that answer without a body: the new runs of our commit. */
static int
runs_search(struct cli *c, const char *runs, int64_t after, const char *commit, struct numbers *x,
    struct err **err)
{
	auto_json *list = NULL;
	auto_free char *path = xasprintf("%s?sortdirection=asc&start=%lld", runs, (long long)after);
	size_t i;
	json_t *run;

	int rc = cli_api_list(c, path, 0, &list, err);
	if (rc)
		return rc;
	json_array_foreach(list, i, run)
	{
		const char *sha = json_text(json_member(run, "annotations"), "commit_sha");
		if (sha && strcmp(sha, commit) == 0)
			number_add(x, json_int(run, "number", 0));
	}
	return 0;
}

static void
runs_of_reply(const json_t *reply, struct numbers *x)
{
	size_t i;
	json_t *run;

	json_array_foreach(json_member(reply, "runs"), i, run)
	{
		if (json_int(run, "number", 0) > 0)
			number_add(x, json_int(run, "number", 0));
	}
}

/* --- the command --- */

static int
start(struct cli *c, char **runs_path, struct numbers *x, struct err **err)
{
	auto_json *user = NULL, *vars = json_object(), *body = NULL, *reply = NULL;
	struct target t = { 0 };
	struct cli_snapshot s = { 0 };
	auto_free char *url = NULL;
	int64_t newest = 0;

	int rc = vars_read(c, vars, err);
	if (!rc)
		rc = target_read(c, &t, err);
	if (!rc)
		rc = cli_api_call(c, "GET", "/user", NULL, &user, err);
	if (rc)
		goto out;
	const char *id = json_text(user, "id");
	if (!id) {
		rc = err_set(err, ERR_INTERNAL, "the gateway's answer to GET /user has no id");
		goto out;
	}
	*runs_path = xasprintf("/users/%s/runs", id);
	rc = cli_gitsave(&s, cli_flag(c, "untracked"), cli_flag(c, "ignored"), MESSAGE, err);
	if (rc)
		goto out;
	size_t n = strlen(c->url);
	url = xasprintf("%.*s/repos/%s/%s.git", (int)(n && c->url[n - 1] == '/' ? n - 1 : n),
	    c->url, id, s.repo_uuid);
	rc = cli_gitsave_push(&s, url, t.full, err);
	if (!rc)
		rc = newest_run(c, *runs_path, &newest, err);
	if (rc)
		goto out;
	body = request_body(c, &t, &s, id, vars);
	rc = body ? cli_api_call(c, "POST", "/user/createrun", body, &reply, err)
	          : err_set(err, ERR_INVALID, "an option's text is not valid UTF-8");
	if (rc)
		goto out;
	if (json_is_array(json_member(reply, "runs")))
		runs_of_reply(reply, x);
	else
		rc = runs_search(c, *runs_path, newest, s.commit, x, err);
out:
	free(t.full);
	cli_snapshot_fini(&s);
	return rc;
}

static int
directrun_start(struct cli *c)
{
	struct err *err = NULL;
	auto_free char *runs = NULL;
	struct numbers x = { 0 };
	int status = 0;

	if (start(c, &runs, &x, &err))
		return cli_fail_hint(err, NULL);
	if (x.n == 0)
		fprintf(stderr,
		    "no run was created: no \"when\" of the definition matches this reference; try "
		    "--branch, --tag or --ref\n");
	for (size_t i = 0; i < x.n; i++)
		fprintf(stderr, "run %llu created\n", (unsigned long long)x.list[i]);
	if (c->json) {
		auto_json *list = json_array();
		for (size_t i = 0; i < x.n; i++)
			json_array_append_new(
			    list, json_pack("{s:I}", "number", (json_int_t)x.list[i]));
		auto_json *j = json_pack("{s:O}", "runs", list);
		cli_print_json(j);
	}
	if (cli_flag(c, "follow"))
		status = x.n ? cli_follow(c, runs, x.list, x.n) : 1;
	free(x.list);
	return status;
}

static const struct cli_opt start_opts[] = {
	{ "follow", 0, CLI_FLAG, false, "false",
	    "stream the logs; the exit status is the run's result" },
	{ "var", 0, CLI_LIST, false, NULL, "a variable: NAME=VALUE" },
	{ "var-file", 0, CLI_LIST, false, NULL, "YAML or JSON mapping of variables" },
	{ "branch", 0, CLI_TEXT, false, "master", "run as this branch" },
	{ "tag", 0, CLI_TEXT, false, NULL, "run as this tag" },
	{ "ref", 0, CLI_TEXT, false, NULL, "run as this full reference" },
	{ "untracked", 0, CLI_FLAG, false, "true", "take untracked files along" },
	{ "ignored", 0, CLI_FLAG, false, "false", "take ignored files along" },
	{ "pull-request-ref-regexes", 0, CLI_LIST, false, NULL,
	    "what a pull request's reference looks like" },
	{ 0 },
};
const struct cli_command cli_directrun_start = {
	.words = { "directrun", "start" },
	.opts = start_opts,
	.run = directrun_start,
	.summary = "run the work tree of the current directory",
	.example = "millrace directrun start --follow --var GREETING=hello",
};
