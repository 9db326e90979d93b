#include "runservice/state.h"
#include "runservice/store_int.h"

#include "common/mem.h"

#include <string.h>

/* clang-format off */
const struct db_stmt rs_stmts_run[] = {
	{ "group_runs",
	  "select id, phase = 'running' as running from runs where grp = $1 order by sequence", 1 },
	{ "run_get",
	  "select id, sequence, owner, number, name, grp, phase, result, stopping, revision, "
	  "enqueue_ms, start_ms, end_ms from runs where id = $1", 1 },
	{ "run_tasks",
	  "select t.id, t.name, t.level, t.status, t.place, t.fence, t.executor, t.skip, "
	  "t.ignore_failure, t.needs_approval, t.approved, t.waiting, t.timedout, t.stop_told, "
	  "t.approvers, t.arch, t.labels, t.privileged, t.nsteps, t.timeout_ms, t.start_ms, t.end_ms, "
	  "t.retries, t.tries, "
	  "coalesce(a.begun, false) as begun, coalesce(a.revision, 0) as reported from tasks t "
	  "left join attempts a on a.task_id = t.id and a.fence = t.fence "
	  "where t.run_id = $1 order by t.ord", 1 },
	{ "run_deps",
	  "select task_id, parent_id, conditions from deps where run_id = $1", 1 },
	{ "run_steps",
	  "select task_id, step, phase, exit_status, start_ms, end_ms, log_stored, error "
	  "from steps where run_id = $1", 1 },
	{ "run_tries", "select task_id, state from tries where run_id = $1 order by task_id, try", 1 },
	{ "counter_get", "select last from counters where owner = $1", 1 },
	{ "sequences",
	  "select nextval('run_sequence') as sequence from generate_series(1, $1::integer)", 1 },
	{ "definition_get", "select spec from definitions where run_id = $1", 1 },
	{ "run_find",
	  "select id, null::bytea as state from runs where owner = $1 and number = $2 "
	  "union all select id, state from history where owner = $1 and number = $2", 2 },
	{ "run_list_down",
	  "with a as (select id, number, null::bytea as state from runs where owner = $1 "
	  " and (grp = $2 or starts_with(grp, $2 || '/')) and number < $3::bigint "
	  " and ($4::text[] = '{}' or phase = any ($4)) and ($5::text[] = '{}' or result = any ($5)) "
	  " order by number desc limit $6), "
	  "h as (select id, number, state from history where owner = $1 "
	  " and (grp = $2 or starts_with(grp, $2 || '/')) and number < $3::bigint "
	  " and ($4::text[] = '{}' or phase = any ($4)) and ($5::text[] = '{}' or result = any ($5)) "
	  " order by number desc limit $6) "
	  "select id, state from (select * from a union all select * from h) u "
	  "order by number desc limit $6", 6 },
	{ "run_list_up",
	  "with a as (select id, number, null::bytea as state from runs where owner = $1 "
	  " and (grp = $2 or starts_with(grp, $2 || '/')) and number > $3::bigint "
	  " and ($4::text[] = '{}' or phase = any ($4)) and ($5::text[] = '{}' or result = any ($5)) "
	  " order by number limit $6), "
	  "h as (select id, number, state from history where owner = $1 "
	  " and (grp = $2 or starts_with(grp, $2 || '/')) and number > $3::bigint "
	  " and ($4::text[] = '{}' or phase = any ($4)) and ($5::text[] = '{}' or result = any ($5)) "
	  " order by number limit $6) "
	  "select id, state from (select * from a union all select * from h) u "
	  "order by number limit $6", 6 },
	{ "run_active", "select id from runs where phase = 'running' order by sequence", 0 },
	{ "run_stuck",
	  "select distinct on (r.grp) r.id from runs r where r.phase = 'queued' and not exists "
	  "(select from runs x where x.grp = r.grp and x.phase = 'running') "
	  "order by r.grp, r.sequence", 0 },
};
/* clang-format on */
const size_t rs_stmts_run_len = ARRAY_LEN(rs_stmts_run);

int
rs_store_group_runs(
    struct rs_group_row **rows, size_t *n, struct db *db, const char *group, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "group_runs", DB_TEXT(group));
	if (rc != 0)
		return rc;
	*n = db_rows(r);
	*rows = xcalloc(*n + 1, sizeof(**rows));
	for (size_t i = 0; i < *n; i++) {
		rs_store_copy_id((*rows)[i].id, r, i, "id");
		(*rows)[i].running = db_bool(r, i, "running");
	}
	return 0;
}

int
rs_store_counter_get(int64_t *last, struct db *db, const char *owner, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "counter_get", DB_TEXT(owner));
	if (rc == 0)
		*last = db_rows(r) > 0 ? db_i64(r, 0, "last") : 0;
	return rc;
}

int
rs_store_sequences(int64_t *list, size_t n, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "sequences", DB_I64((int64_t)n));
	for (size_t i = 0; rc == 0 && i < n; i++)
		list[i] = db_i64(r, i, "sequence");
	return rc;
}

/* --- loading --- */

static int
load_head(struct rs_run *run, struct db *db, const char *run_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "run_get", DB_TEXT(run_id));
	if (rc != 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND, "no active run %s", run_id);
	rs_store_copy_id(run->id, r, 0, "id");
	run->owner = xstrdup(db_text(r, 0, "owner"));
	run->name = xstrdup(db_text(r, 0, "name"));
	run->group = xstrdup(db_text(r, 0, "grp"));
	run->number = (uint64_t)db_i64(r, 0, "number");
	run->sequence = (uint64_t)db_i64(r, 0, "sequence");
	run->revision = (uint64_t)db_i64(r, 0, "revision");
	run->phase = rs_phase_parse(db_text(r, 0, "phase"));
	run->result = rs_result_parse(db_text(r, 0, "result"));
	run->stop = db_bool(r, 0, "stopping");
	run->enqueue_ms = db_i64(r, 0, "enqueue_ms");
	run->start_ms = db_i64(r, 0, "start_ms");
	run->end_ms = db_i64(r, 0, "end_ms");
	MUST(run->phase && run->result);
	return 0;
}

/* Approvers are ids, one per line. */
static void
split_approvers(struct rs_task *t, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, "\n");
		t->approvers =
		    xreallocarray(t->approvers, t->napprovers + 1, sizeof(*t->approvers));
		t->approvers[t->napprovers++] = xstrndup(s, n);
		s += n + (s[n] == '\n');
	}
}

static void
load_task(struct rs_run *run, const struct db_result *r, size_t i)
{
	struct rs_task *t = rs_run_add_task(run, db_text(r, i, "id"), db_text(r, i, "name"),
	    (size_t)db_i64(r, i, "nsteps"), db_bool(r, i, "skip"));
	const char *executor = db_text(r, i, "executor");
	t->level = (unsigned)db_i64(r, i, "level");
	t->status = rs_status_parse(db_text(r, i, "status"));
	t->place = rs_place_parse(db_text(r, i, "place"));
	MUST(t->status && t->place);
	t->fence = (uint64_t)db_i64(r, i, "fence");
	t->executor = executor ? xstrdup(executor) : NULL;
	t->ignore_failure = db_bool(r, i, "ignore_failure");
	t->needs_approval = db_bool(r, i, "needs_approval");
	t->approved = db_bool(r, i, "approved");
	t->waiting_approval = db_bool(r, i, "waiting");
	t->timedout = db_bool(r, i, "timedout");
	t->stop_told = db_bool(r, i, "stop_told");
	split_approvers(t, db_text(r, i, "approvers"));
	free(t->arch);
	t->arch = xstrdup(db_text(r, i, "arch"));
	free(t->labels);
	t->labels = xstrdup(db_text(r, i, "labels"));
	t->privileged = db_bool(r, i, "privileged");
	t->begun = db_bool(r, i, "begun");
	t->reported = (uint64_t)db_i64(r, i, "reported");
	t->timeout_ms = db_i64(r, i, "timeout_ms");
	t->start_ms = db_i64(r, i, "start_ms");
	t->end_ms = db_i64(r, i, "end_ms");
	t->retries = (unsigned)db_i64(r, i, "retries");
	for (int64_t n = db_i64(r, i, "tries"); n > 0; n--)
		rs_run_add_try(t);
}

static int
load_tasks(struct rs_run *run, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "run_tasks", DB_TEXT(run->id));
	for (size_t i = 0; rc == 0 && i < db_rows(r); i++)
		load_task(run, r, i);
	return rc;
}

static int
load_deps(struct rs_run *run, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "run_deps", DB_TEXT(run->id));
	for (size_t i = 0; rc == 0 && i < db_rows(r); i++) {
		size_t task = rs_run_find_task(run, db_text(r, i, "task_id"));
		size_t parent = rs_run_find_task(run, db_text(r, i, "parent_id"));
		MUST(task != RS_NO_TASK && parent != RS_NO_TASK);
		rs_run_add_dep(run, task, parent, (unsigned)db_i64(r, i, "conditions"));
	}
	return rc;
}

static int
load_steps(struct rs_run *run, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "run_steps", DB_TEXT(run->id));
	for (size_t i = 0; rc == 0 && i < db_rows(r); i++) {
		size_t task = rs_run_find_task(run, db_text(r, i, "task_id"));
		int64_t n = db_i64(r, i, "step");
		MUST(task != RS_NO_TASK && n < (int64_t)run->tasks[task].nsteps);
		struct rs_step *s = n < 0 ? &run->tasks[task].setup : &run->tasks[task].steps[n];
		const char *error = db_text(r, i, "error");
		s->phase = rs_status_parse(db_text(r, i, "phase"));
		MUST(s->phase);
		s->has_exit = !db_is_null(r, i, "exit_status");
		s->exit_status = (int32_t)db_i64_or(r, i, "exit_status", 0);
		s->start_ms = db_i64(r, i, "start_ms");
		s->end_ms = db_i64(r, i, "end_ms");
		s->log_stored = db_bool(r, i, "log_stored");
		s->error = error ? xstrdup(error) : NULL;
	}
	return rc;
}

/* They come task by task, as many as each has. */
static int
load_tries(struct rs_run *run, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = 0;
	bool any = false;
	for (size_t i = 0; i < run->ntasks; i++)
		any |= run->tasks[i].tries > 0;
	if (any)
		rc = db_query(&r, db, err, "run_tries", DB_TEXT(run->id));
	for (size_t i = 0; any && rc == 0 && i < db_rows(r); i++) {
		size_t len, task = rs_run_find_task(run, db_text(r, i, "task_id"));
		auto_free void *state = db_bytes(&len, r, i, "state");
		MUST(task != RS_NO_TASK && state);
		rc = rs_state_unpack_try(&run->tasks[task], state, len, err);
	}
	return rc;
}

struct load {
	struct rs_run *run;
	const char *run_id;
};

static int
load_all(struct db *db, void *arg, struct err **err)
{
	struct rs_run *run = ((struct load *)arg)->run;
	rs_run_fini(run); /* of a try before */
	rs_run_init(run);
	int rc = load_head(run, db, ((struct load *)arg)->run_id, err);
	if (rc == 0)
		rc = load_tasks(run, db, err);
	if (rc == 0)
		rc = load_deps(run, db, err);
	if (rc == 0)
		rc = load_steps(run, db, err);
	if (rc == 0)
		rc = load_tries(run, db, err);
	return rc;
}

int
rs_store_run_load(struct rs_run *run, struct db *db, const char *run_id, struct err **err)
{
	struct load load = { run, run_id };
	rs_run_init(run);
	int rc = db_snapshot_run(db, load_all, &load, err);
	if (rc != 0)
		rs_run_fini(run);
	return rc;
}

int
rs_store_definition_get(
    void **spec, size_t *len, struct db *db, const char *run_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "definition_get", DB_TEXT(run_id));
	if (rc != 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND, "no definition of run %s", run_id);
	*spec = db_bytes(len, r, 0, "spec");
	return 0;
}

int
rs_store_run_find(char id[ID_LEN + 1], void **state, size_t *len, struct db *db, const char *owner,
    uint64_t number, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "run_find", DB_TEXT(owner), DB_I64((int64_t)number));
	if (rc != 0)
		return rc;
	if (db_rows(r) == 0)
		return err_set_slug(err, ERR_NOTFOUND, "runDoesNotExist",
		    "run %llu of %s doesn't exist", (unsigned long long)number, owner);
	rs_store_copy_id(id, r, 0, "id");
	*state = db_bytes(len, r, 0, "state");
	return 0;
}

int
rs_store_run_list(struct rs_list_row **rows, size_t *n, struct db *db,
    const struct rs_list_query *q, struct err **err)
{
	auto_result *r = NULL;
	/* A bound in any case, so that the index is entered there. */
	int64_t start = q->start == 0 && !q->ascending ? INT64_MAX : (int64_t)q->start;
	int rc = db_query(&r, db, err, q->ascending ? "run_list_up" : "run_list_down",
	    DB_TEXT(q->owner), DB_TEXT(q->group), DB_I64(start), DB_TEXT(q->phases),
	    DB_TEXT(q->results), DB_I64((int64_t)q->limit + 1));
	if (rc != 0)
		return rc;
	*n = db_rows(r);
	*rows = xcalloc(*n + 1, sizeof(**rows));
	for (size_t i = 0; i < *n; i++) {
		rs_store_copy_id((*rows)[i].id, r, i, "id");
		(*rows)[i].state = db_bytes(&(*rows)[i].len, r, i, "state");
	}
	return 0;
}

int
rs_store_run_active(struct id **ids, size_t *n, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "run_active");
	if (rc == 0)
		*ids = rs_store_ids(n, r, "id");
	return rc;
}

int
rs_store_run_stuck(struct id **ids, size_t *n, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "run_stuck");
	if (rc == 0)
		*ids = rs_store_ids(n, r, "id");
	return rc;
}
