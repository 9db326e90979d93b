#include "runservice/query.h"

#include "common/buf.h"
#include "common/mem.h"
#include "runservice/executors.h"
#include "runservice/explain.h"
#include "runservice/spec.h"
#include "runservice/state.h"
#include "runservice/store.h"

#include <stdio.h>
#include <string.h>

struct query {
	struct rs_job job;
	char *owner, *group;
	uint64_t number;
	char *task_id;
	struct rs_candidate *seen;
	size_t nseen;
	/* list */
	struct rs_list_query list;
	bool one_statement, met_active; /* of a list: how it is read, and that this does not do */
	char *phases, *results;
	/* found */
	Millrace__RunState **states;
	size_t nstates;
	Millrace__RunExplainReply *explained; /* NULL: the run is over */
	char run_id[ID_LEN + 1], request_id[ID_LEN + 1];
	void (*fn)(struct rs *rs, struct rpc_call *call, const char *run_id, void *arg);
	void *arg;
};

static struct query *
new_query(struct rs *rs, struct rpc_call *call, const char *owner, uint64_t number,
    int (*work)(struct db *, struct rs_job *, struct err **), void (*done)(struct rs_job *))
{
	struct query *q = xcalloc(1, sizeof(*q));
	q->job.rs = rs;
	q->job.call = call;
	q->job.work = work;
	q->job.done = done;
	q->owner = xstrdup(owner);
	q->number = number;
	q->seen = rs_executors_candidates(&q->nseen, rs->executors);
	return q;
}

static void
free_states(struct query *q)
{
	for (size_t i = 0; i < q->nstates; i++)
		millrace__run_state__free_unpacked(q->states[i], NULL);
	free(q->states);
	q->states = NULL;
	q->nstates = 0;
}

static void
free_query(struct query *q)
{
	free_states(q);
	millrace__run_explain_reply__free_unpacked(q->explained, NULL);
	free(q->owner);
	free(q->group);
	free(q->task_id);
	free(q->seen);
	free(q->phases);
	free(q->results);
	free(q);
}

static Millrace__RunSpec *
load_spec(struct db *db, const char *run_id, struct err **err)
{
	void *packed = NULL;
	size_t len = 0;
	if (rs_store_definition_get(&packed, &len, db, run_id, err) != 0)
		return NULL;
	Millrace__RunSpec *spec = millrace__run_spec__unpack(NULL, len, packed);
	free(packed);
	if (!spec)
		err_set(err, ERR_INTERNAL, "stored definition of run %s is damaged", run_id);
	return spec;
}

/* An active run's state. */
static int
active_state(Millrace__RunState **state, struct query *q, struct db *db, const char *run_id,
    struct err **err)
{
	struct rs_run run;
	int rc = rs_store_run_load(&run, db, run_id, err);
	if (rc != 0)
		return rc;
	Millrace__RunSpec *spec = load_spec(db, run_id, err);
	if (spec) {
		*state = rs_state_of_run(&run, spec, q->seen, q->nseen);
		millrace__run_spec__free_unpacked(spec, NULL);
	}
	rs_run_fini(&run);
	return spec ? 0 : ERR_INTERNAL;
}

static int
stored_state(
    Millrace__RunState **state, void *packed, size_t len, const char *run_id, struct err **err)
{
	*state = millrace__run_state__unpack(NULL, len, packed);
	free(packed);
	if (!*state)
		return err_set(err, ERR_INTERNAL, "stored state of run %s is damaged", run_id);
	return 0;
}

static void
add_state(struct query *q, Millrace__RunState *state)
{
	q->states = xreallocarray(q->states, q->nstates + 1, sizeof(*q->states));
	q->states[q->nstates++] = state;
}

static int
find_state(Millrace__RunState **state, struct query *q, struct db *db, struct err **err)
{
	void *packed = NULL;
	size_t len = 0;
	int rc = rs_store_run_find(q->run_id, &packed, &len, db, q->owner, q->number, err);
	if (rc != 0)
		return rc;
	if (packed)
		return stored_state(state, packed, len, q->run_id, err);
	return active_state(state, q, db, q->run_id, err);
}

/* Only who asks for one task is told of its earlier attempts. */
static void
drop_attempts(Millrace__RunState *state, const char *but)
{
	for (size_t i = 0; i < state->n_tasks; i++) {
		if (!but || strcmp(state->tasks[i]->id, but) != 0)
			rs_state_drop_attempts(state->tasks[i]);
	}
}

static int
add_task_spec(Millrace__RunState *state, struct query *q, struct db *db, struct err **err)
{
	for (size_t i = 0; i < state->n_tasks; i++) {
		if (strcmp(state->tasks[i]->id, q->task_id) != 0)
			continue;
		Millrace__RunSpec *spec = load_spec(db, q->run_id, err);
		if (!spec)
			return ERR_INTERNAL;
		const Millrace__TaskSpec *t = rs_spec_task(spec, q->task_id);
		if (t)
			rs_state_add_spec(state->tasks[i], t);
		millrace__run_spec__free_unpacked(spec, NULL);
		return 0;
	}
	return err_set(err, ERR_NOTFOUND, "task %s doesn't exist", q->task_id);
}

static int
get(struct db *db, void *arg, struct err **err)
{
	struct query *q = arg;
	Millrace__RunState *state = NULL;
	free_states(q); /* of a try before */
	int rc = find_state(&state, q, db, err);
	if (rc != 0)
		return rc;
	drop_attempts(state, q->task_id);
	add_state(q, state);
	return q->task_id ? add_task_spec(state, q, db, err) : 0;
}

/* A run may finish meanwhile: one snapshot has it either among the active ones or in history. */
static int
get_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_snapshot_run(db, get, job, err);
}

static void
get_done(struct rs_job *job)
{
	struct query *q = (struct query *)job;
	if (!rs_job_failed(job))
		rs_reply_pb(job->call, q->states[0]);
	free_query(q);
}

void
rs_query_get(
    struct rs *rs, struct rpc_call *call, const char *owner, uint64_t number, const char *task_id)
{
	struct query *q = new_query(rs, call, owner, number, get_work, get_done);
	q->task_id = task_id && *task_id ? xstrdup(task_id) : NULL;
	rs_db_submit(rs, "run-get", 0, &q->job);
}

/* --- why it waits --- */

static Millrace__TaskExplain *
explain_task(const struct rs_run *run, size_t task, const struct query *q,
    const struct rs_explain_group *group)
{
	char *reason = rs_explain_task(run, task, q->seen, q->nseen, group);
	const struct rs_task *t = &run->tasks[task];
	if (!reason)
		return NULL;
	Millrace__TaskExplain *m = xmalloc(sizeof(*m));
	millrace__task_explain__init(m);
	m->task_id = xstrdup(t->id);
	m->name = xstrdup(t->name);
	m->reason = reason;
	m->has_holder = run->phase == RS_QUEUED && group->holder;
	m->holder = group->holder;
	if (!rs_explain_wants_executor(run, task))
		return m;
	const struct rs_needs need = rs_scheduler_needs(t);
	m->executors = xcalloc(RS_LIST_MAX, sizeof(*m->executors));
	for (size_t i = 0; i < q->nseen && i < RS_LIST_MAX; i++) {
		Millrace__ExecutorExplain *x = xmalloc(sizeof(*x));
		millrace__executor_explain__init(x);
		x->executor = xstrdup(q->seen[i].id);
		x->reason = rs_explain_executor(&q->seen[i], &need);
		m->executors[m->n_executors++] = x;
	}
	return m;
}

static Millrace__RunExplainReply *
explain_run(const struct rs_run *run, const struct query *q, const struct rs_explain_group *group)
{
	Millrace__RunExplainReply *m = xmalloc(sizeof(*m));
	millrace__run_explain_reply__init(m);
	m->tasks = xcalloc(run->ntasks + 1, sizeof(*m->tasks));
	for (size_t i = 0; i < run->ntasks; i++) {
		Millrace__TaskExplain *t = explain_task(run, i, q, group);
		if (t)
			m->tasks[m->n_tasks++] = t;
	}
	return m;
}

static int
explain(struct db *db, void *arg, struct err **err)
{
	struct query *q = arg;
	void *packed = NULL;
	size_t len = 0;
	int rc = rs_store_run_find(q->run_id, &packed, &len, db, q->owner, q->number, err);
	bool over = packed != NULL;
	free(packed);
	if (rc != 0 || over)
		return rc;
	struct rs_run run;
	struct rs_explain_group group = { 0 };
	rc = rs_store_run_load(&run, db, q->run_id, err);
	if (rc != 0)
		return rc;
	rc = rs_store_explain_group(&group.holder, &group.ahead, db, run.group, run.sequence, err);
	if (rc == 0) {
		/* Of a try before. */
		millrace__run_explain_reply__free_unpacked(q->explained, NULL);
		q->explained = explain_run(&run, q, &group);
	}
	rs_run_fini(&run);
	return rc;
}

static int
explain_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_snapshot_run(db, explain, job, err);
}

static void
explain_done(struct rs_job *job)
{
	struct query *q = (struct query *)job;
	Millrace__RunExplainReply none = MILLRACE__RUN_EXPLAIN_REPLY__INIT;
	if (!rs_job_failed(job))
		rs_reply_pb(job->call, q->explained ? q->explained : &none);
	free_query(q);
}

void
rs_query_explain(struct rs *rs, struct rpc_call *call, const char *owner, uint64_t number)
{
	struct query *q = new_query(rs, call, owner, number, explain_work, explain_done);
	rs_db_submit(rs, "run-explain", 0, &q->job);
}

/* --- list --- */

static int
list(struct db *db, void *arg, struct err **err)
{
	struct query *q = arg;
	struct rs_list_row *rows = NULL;
	size_t n = 0;
	free_states(q); /* of a try before */
	int rc = rs_store_run_list(&rows, &n, db, &q->list, err);
	for (size_t i = 0; i < n; i++) {
		Millrace__RunState *state = NULL;
		if (rc != 0) {
			free(rows[i].state);
			continue;
		}
		if (rows[i].state)
			rc = stored_state(&state, rows[i].state, rows[i].len, rows[i].id, err);
		else if (q->one_statement)
			q->met_active = true;
		else
			rc = active_state(&state, q, db, rows[i].id, err);
		if (state) {
			rs_state_trim(state);
			add_state(q, state);
		}
	}
	free(rows);
	return rc;
}

/* Runs that are over are whole in the list's one statement. The tasks of an active one are read by
 * further statements, and then all of them have to see the same. */
static int
list_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct query *q = (struct query *)job;
	q->one_statement = true;
	q->met_active = false;
	int rc = list(db, q, err);
	if (rc != 0 || !q->met_active)
		return rc;
	q->one_statement = false;
	return db_snapshot_run(db, list, q, err);
}

static void
list_done(struct rs_job *job)
{
	struct query *q = (struct query *)job;
	Millrace__RunListReply m = MILLRACE__RUN_LIST_REPLY__INIT;
	if (!rs_job_failed(job)) {
		m.more = q->nstates > q->list.limit;
		m.n_runs = m.more ? q->list.limit : q->nstates;
		m.runs = q->states;
		rs_reply_pb(job->call, &m);
	}
	free_query(q);
}

static char *
words_literal(char *const *list, size_t n, bool phases)
{
	auto_buf b = BUF_INIT;
	buf_putc(&b, '{');
	for (size_t i = 0; i < n; i++) {
		/* Only known words: nothing in them needs quoting. */
		if (phases ? rs_phase_parse(list[i]) != 0 : rs_result_parse(list[i]) != 0)
			buf_printf(&b, "%s%s", b.len > 1 ? "," : "", list[i]);
	}
	/* Nothing is of a phase that does not exist. */
	if (n > 0 && b.len == 1)
		buf_puts(&b, "-");
	buf_putc(&b, '}');
	return buf_take(&b);
}

void
rs_query_list(struct rs *rs, struct rpc_call *call, const Millrace__RunListRequest *req)
{
	auto_free char *owner = NULL;
	struct err *err = NULL;
	if (rs_spec_owner(&owner, req->group, &err) != 0) {
		rpc_fail(call, &err);
		return;
	}
	struct query *q = new_query(rs, call, owner, 0, list_work, list_done);
	size_t n = strlen(req->group);
	while (n > 1 && req->group[n - 1] == '/')
		n--;
	q->group = xstrndup(req->group, n);
	q->phases = words_literal(req->phases, req->n_phases, true);
	q->results = words_literal(req->results, req->n_results, false);
	q->list = (struct rs_list_query){ .owner = q->owner,
		.group = q->group,
		.start = req->start > INT64_MAX ? INT64_MAX : req->start,
		.ascending = req->ascending,
		.limit = req->limit == 0 || req->limit > RS_LIST_MAX ? RS_LIST_MAX : req->limit,
		.phases = q->phases,
		.results = q->results };
	rs_db_submit(rs, "run-list", 0, &q->job);
}

/* --- an active run by number --- */

static int
active_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct query *q = (struct query *)job;
	void *packed = NULL;
	size_t len = 0;
	int rc = rs_store_run_find(q->run_id, &packed, &len, db, q->owner, q->number, err);
	if (rc != 0 || !packed)
		return rc;
	free(packed);
	packed = NULL;
	q->run_id[0] = '\0';
	if (*q->request_id)
		rc = rs_store_request_get(&packed, &len, db, q->request_id, err);
	if (rc != 0)
		return rc;
	bool before = packed != NULL;
	free(packed);
	return before ? 0 : err_set(err, ERR_CONFLICT, "not possible: the run is over");
}

static void
active_done(struct rs_job *job)
{
	struct query *q = (struct query *)job;
	q->fn(job->rs, job->call, rs_job_failed(job) ? NULL : q->run_id, q->arg);
	free_query(q);
}

void
rs_query_active(struct rs *rs, struct rpc_call *call, const char *owner, uint64_t number,
    const char *request_id,
    void (*fn)(struct rs *rs, struct rpc_call *call, const char *run_id, void *arg), void *arg)
{
	struct query *q = new_query(rs, call, owner, number, active_work, active_done);
	q->fn = fn;
	q->arg = arg;
	snprintf(q->request_id, sizeof(q->request_id), "%s", request_id);
	rs_db_submit(rs, "run-find", 0, &q->job);
}
