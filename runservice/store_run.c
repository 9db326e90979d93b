#include "runservice/store_int.h"

#include "common/buf.h"
#include "common/mem.h"

#include <string.h>

/* clang-format off */
const struct db_stmt rs_stmts_run[] = {
	{ "run_lock",
	  "select 1 as ok from groups where name = (select grp from runs where id = $1) for update", 1 },
	{ "group_add", "insert into groups (name) values ($1) on conflict do nothing", 1 },
	{ "group_lock", "select running is not null as busy from groups where name = $1 for update", 1 },
	{ "group_running", "update groups set running = $2 where name = $1", 2 },
	{ "group_next",
	  "select id from runs where grp = $1 and phase = 'queued' order by sequence limit 1", 1 },
	{ "run_get",
	  "select id, sequence, owner, number, name, grp, phase, result, stopping, revision, "
	  "enqueue_ms, start_ms, end_ms from runs where id = $1", 1 },
	{ "run_tasks",
	  "select id, name, level, status, place, fence, executor, skip, ignore_failure, "
	  "needs_approval, approved, waiting, timedout, stop_told, approvers, arch, privileged, "
	  "nsteps, timeout_ms, start_ms, end_ms from tasks where run_id = $1 order by ord", 1 },
	{ "run_deps",
	  "select task_id, parent_id, conditions from deps where run_id = $1", 1 },
	{ "run_steps",
	  "select task_id, step, phase, exit_status, start_ms, end_ms, log_stored, error "
	  "from steps where run_id = $1", 1 },
	{ "counter_next",
	  "insert into counters (owner, last) values ($1, 1) "
	  "on conflict (owner) do update set last = counters.last + 1 "
	  "returning last as number, nextval('run_sequence') as sequence", 1 },
	{ "run_insert",
	  "insert into runs (id, sequence, owner, number, name, grp, phase, result, enqueue_ms, "
	  "start_ms) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", 10 },
	{ "task_insert",
	  "insert into tasks (run_id, id, ord, name, level, status, place, skip, ignore_failure, "
	  "needs_approval, approved, arch, privileged, nsteps, timeout_ms, start_ms, end_ms) "
	  "values ($1, $2, $3, $4, $5, $6, 'free', $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)", 16 },
	{ "dep_insert",
	  "insert into deps (run_id, task_id, parent_id, conditions) values ($1, $2, $3, $4)", 4 },
	{ "run_update",
	  "update runs set phase = $2, result = $3, stopping = $4, revision = $5, start_ms = $6, "
	  "end_ms = $7 where id = $1", 7 },
	{ "task_update",
	  "update tasks set status = $3, place = $4, fence = $5, executor = $6, approved = $7, "
	  "waiting = $8, timedout = $9, stop_told = $10, approvers = $11, start_ms = $12, "
	  "end_ms = $13 where run_id = $1 and id = $2", 13 },
	{ "step_put",
	  "insert into steps (run_id, task_id, step, phase, exit_status, start_ms, end_ms, "
	  "log_stored, error) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
	  "on conflict (run_id, task_id, step) do update set phase = $4, exit_status = $5, "
	  "start_ms = $6, end_ms = $7, log_stored = $8, error = $9", 9 },
	{ "run_delete", "delete from runs where id = $1", 1 },
	{ "history_put",
	  "insert into history (id, sequence, owner, number, grp, phase, result, state) "
	  "values ($1, $2, $3, $4, $5, $6, $7, $8)", 8 },
	{ "definition_put", "insert into definitions (run_id, spec) values ($1, $2)", 2 },
	{ "definition_get", "select spec from definitions where run_id = $1", 1 },
	{ "run_find",
	  "select id, null::bytea as state from runs where owner = $1 and number = $2 "
	  "union all select id, state from history where owner = $1 and number = $2", 2 },
	{ "run_list_down",
	  "with a as (select id, number, null::bytea as state from runs where owner = $1 "
	  " and (grp = $2 or starts_with(grp, $2 || '/')) and ($3::bigint = 0 or number < $3) "
	  " and ($4::text[] = '{}' or phase = any ($4)) and ($5::text[] = '{}' or result = any ($5)) "
	  " order by number desc limit $6), "
	  "h as (select id, number, state from history where owner = $1 "
	  " and (grp = $2 or starts_with(grp, $2 || '/')) and ($3::bigint = 0 or number < $3) "
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
	  "select distinct on (r.grp) r.id from runs r join groups g on g.name = r.grp "
	  "where r.phase = 'queued' and (g.running is null or not exists "
	  "(select from runs x where x.id = g.running)) order by r.grp, r.sequence", 0 },
};
/* clang-format on */
const size_t rs_stmts_run_len = ARRAY_LEN(rs_stmts_run);

int
rs_store_run_lock(struct db *db, const char *run_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "run_lock", DB_TEXT(run_id));
	if (rc == 0 && db_rows(r) == 0)
		return err_set(err, ERR_NOTFOUND, "no active run %s", run_id);
	return rc;
}

int
rs_store_group_lock(bool *busy, struct db *db, const char *group, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(NULL, db, err, "group_add", DB_TEXT(group));
	if (rc == 0)
		rc = db_query(&r, db, err, "group_lock", DB_TEXT(group));
	if (rc != 0)
		return rc;
	MUST(db_rows(r) == 1);
	*busy = db_bool(r, 0, "busy");
	return 0;
}

int
rs_store_group_running(struct db *db, const char *group, const char *run_id, struct err **err)
{
	return db_query(NULL, db, err, "group_running", DB_TEXT(group), DB_TEXT(run_id));
}

int
rs_store_group_next(char id[ID_LEN + 1], struct db *db, const char *group, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "group_next", DB_TEXT(group));
	if (rc != 0)
		return rc;
	id[0] = '\0';
	if (db_rows(r) > 0)
		rs_store_copy_id(id, r, 0, "id");
	return 0;
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
	t->privileged = db_bool(r, i, "privileged");
	t->timeout_ms = db_i64(r, i, "timeout_ms");
	t->start_ms = db_i64(r, i, "start_ms");
	t->end_ms = db_i64(r, i, "end_ms");
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

/* --- storing --- */

static int
save_step(struct db *db, const struct rs_run *run, const struct rs_task *t, int n,
    struct rs_step *s, struct err **err)
{
	if (!s->changed)
		return 0;
	s->changed = false;
	return db_query(NULL, db, err, "step_put", DB_TEXT(run->id), DB_TEXT(t->id), DB_I64(n),
	    DB_TEXT(rs_status_name(s->phase)), s->has_exit ? DB_I64(s->exit_status) : DB_NULL,
	    DB_I64(s->start_ms), DB_I64(s->end_ms), DB_BOOL(s->log_stored), DB_TEXT(s->error));
}

static int
save_steps(struct db *db, const struct rs_run *run, struct rs_task *t, struct err **err)
{
	int rc = save_step(db, run, t, -1, &t->setup, err);
	for (size_t i = 0; rc == 0 && i < t->nsteps; i++)
		rc = save_step(db, run, t, (int)i, &t->steps[i], err);
	return rc;
}

static int
save_task(struct db *db, const struct rs_run *run, struct rs_task *t, struct err **err)
{
	auto_buf who = BUF_INIT;
	if (t->changed) {
		for (size_t i = 0; i < t->napprovers; i++)
			buf_printf(&who, "%s%s", i ? "\n" : "", t->approvers[i]);
		int rc = db_query(NULL, db, err, "task_update", DB_TEXT(run->id), DB_TEXT(t->id),
		    DB_TEXT(rs_status_name(t->status)), DB_TEXT(rs_place_name(t->place)),
		    DB_I64((int64_t)t->fence), DB_TEXT(t->executor), DB_BOOL(t->approved),
		    DB_BOOL(t->waiting_approval), DB_BOOL(t->timedout), DB_BOOL(t->stop_told),
		    DB_TEXT(buf_str(&who)), DB_I64(t->start_ms), DB_I64(t->end_ms));
		if (rc != 0)
			return rc;
		t->changed = false;
	}
	return save_steps(db, run, t, err);
}

int
rs_store_run_save(struct db *db, struct rs_run *run, struct err **err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < run->ntasks; i++)
		rc = save_task(db, run, &run->tasks[i], err);
	if (rc != 0)
		return rc;
	/* Always: the revision orders what the loop hears of this run. */
	run->revision++;
	run->changed = false;
	return db_query(NULL, db, err, "run_update", DB_TEXT(run->id),
	    DB_TEXT(rs_phase_name(run->phase)), DB_TEXT(rs_result_name(run->result)),
	    DB_BOOL(run->stop), DB_I64((int64_t)run->revision), DB_I64(run->start_ms),
	    DB_I64(run->end_ms));
}

int
rs_store_run_number(struct db *db, struct rs_run *run, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "counter_next", DB_TEXT(run->owner));
	if (rc != 0)
		return rc;
	run->number = (uint64_t)db_i64(r, 0, "number");
	run->sequence = (uint64_t)db_i64(r, 0, "sequence");
	return 0;
}

static int
insert_task(
    struct db *db, const struct rs_run *run, struct rs_task *t, size_t ord, struct err **err)
{
	int rc = db_query(NULL, db, err, "task_insert", DB_TEXT(run->id), DB_TEXT(t->id),
	    DB_I64((int64_t)ord), DB_TEXT(t->name), DB_I64(t->level),
	    DB_TEXT(rs_status_name(t->status)), DB_BOOL(t->skip), DB_BOOL(t->ignore_failure),
	    DB_BOOL(t->needs_approval), DB_BOOL(t->approved), DB_TEXT(t->arch),
	    DB_BOOL(t->privileged), DB_I64((int64_t)t->nsteps), DB_I64(t->timeout_ms),
	    DB_I64(t->start_ms), DB_I64(t->end_ms));
	return rc == 0 ? save_steps(db, run, t, err) : rc;
}

int
rs_store_run_insert(struct db *db, struct rs_run *run, struct err **err)
{
	int rc = rs_store_run_number(db, run, err);
	run->revision = 1;
	if (rc == 0)
		rc = db_query(NULL, db, err, "run_insert", DB_TEXT(run->id),
		    DB_I64((int64_t)run->sequence), DB_TEXT(run->owner),
		    DB_I64((int64_t)run->number), DB_TEXT(run->name), DB_TEXT(run->group),
		    DB_TEXT(rs_phase_name(run->phase)), DB_TEXT(rs_result_name(run->result)),
		    DB_I64(run->enqueue_ms), DB_I64(run->start_ms));
	for (size_t i = 0; rc == 0 && i < run->ntasks; i++)
		rc = insert_task(db, run, &run->tasks[i], i, err);
	for (size_t i = 0; rc == 0 && i < run->ntasks; i++) {
		const struct rs_task *t = &run->tasks[i];
		for (size_t j = 0; rc == 0 && j < t->ndeps; j++)
			rc = db_query(NULL, db, err, "dep_insert", DB_TEXT(run->id), DB_TEXT(t->id),
			    DB_TEXT(run->tasks[t->deps[j].parent].id),
			    DB_I64(t->deps[j].conditions));
	}
	return rc;
}

int
rs_store_run_finish(
    struct db *db, const struct rs_run *run, const void *state, size_t len, struct err **err)
{
	int rc = db_query(NULL, db, err, "run_delete", DB_TEXT(run->id));
	if (rc != 0)
		return rc;
	return db_query(NULL, db, err, "history_put", DB_TEXT(run->id),
	    DB_I64((int64_t)run->sequence), DB_TEXT(run->owner), DB_I64((int64_t)run->number),
	    DB_TEXT(run->group), DB_TEXT(rs_phase_name(run->phase)),
	    DB_TEXT(rs_result_name(run->result)), DB_BYTES(state, len));
}

int
rs_store_definition_put(
    struct db *db, const char *run_id, const void *spec, size_t len, struct err **err)
{
	return db_query(NULL, db, err, "definition_put", DB_TEXT(run_id), DB_BYTES(spec, len));
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
	int rc = db_query(&r, db, err, q->ascending ? "run_list_up" : "run_list_down",
	    DB_TEXT(q->owner), DB_TEXT(q->group), DB_I64((int64_t)q->start), DB_TEXT(q->phases),
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
