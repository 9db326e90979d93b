#include "runservice/create.h"

#include "common/log.h"
#include "common/mem.h"
#include "runservice/actor.h"
#include "runservice/executors.h"
#include "runservice/query.h"
#include "runservice/spec.h"
#include "runservice/state.h"
#include "runservice/store.h"
#include "runservice/variables.h"

#include <stdio.h>
#include <string.h>

struct create {
	struct rs_job job;
	struct rs_tx tx;
	struct rs_candidate *seen;
	Millrace__RunCreateRequest *req; /* create */
	char *owner;                     /* restart */
	uint64_t number;
	bool from_failed;
	char request_id[ID_LEN + 1];
	void *answer;
	size_t answer_len;
	uint64_t new_number;
};

static void
free_create(struct create *c)
{
	rs_tx_fini(&c->tx);
	if (c->req)
		millrace__run_create_request__free_unpacked(c->req, NULL);
	free(c->seen);
	free(c->owner);
	free(c->answer);
	free(c);
}

static void
add_setup_error(Millrace__RunSpec *spec, char *text)
{
	spec->setup_errors = xreallocarray(
	    spec->setup_errors, spec->n_setup_errors + 1, sizeof(*spec->setup_errors));
	spec->setup_errors[spec->n_setup_errors++] = text;
}

static int
put_definition(
    struct db *db, const struct rs_run *run, const Millrace__RunSpec *spec, struct err **err)
{
	size_t len;
	auto_free void *packed = rs_pack(&len, spec);
	return rs_store_definition_put(db, run->id, packed, len, err);
}

static int
born_broken(struct rs_tx *tx, struct rs_run *run, const Millrace__RunSpec *spec, struct err **err)
{
	run->phase = RS_SETUPERROR;
	run->end_ms = tx->now_ms;
	int rc = rs_store_run_number(tx->db, run, err);
	if (rc == 0)
		rc = put_definition(tx->db, run, spec, err);
	if (rc != 0)
		return rc;
	Millrace__RunState *state = rs_state_of_run(run, spec, NULL, 0);
	size_t len;
	auto_free void *packed = rs_pack(&len, state);
	millrace__run_state__free_unpacked(state, NULL);
	rc = rs_store_run_finish(tx->db, run, packed, len, err);
	return rc == 0 ? rs_store_event_put(tx->db, run, err) : rc;
}

/* Queued, and running at once when its group is free. Takes *run over. */
static int
enqueue(uint64_t *number, struct rs_tx *tx, struct rs_run *run, const Millrace__RunSpec *spec,
    struct err **err)
{
	bool busy = true;
	int rc = rs_store_group_lock(&busy, tx->db, run->group, err);
	if (rc == 0)
		rc = rs_store_run_insert(tx->db, run, err);
	*number = run->number;
	if (rc == 0)
		rc = put_definition(tx->db, run, spec, err);
	if (rc == 0)
		rc = rs_store_event_put(tx->db, run, err);
	if (rc == 0 && !busy) {
		rc = rs_store_group_running(tx->db, run->group, run->id, err);
		if (rc == 0)
			rc = rs_run_apply(run, RS_EV_START, RS_NO_TASK, tx->now_ms, NULL, err);
		if (rc == 0)
			return rs_tx_store(tx, run, err);
	}
	rs_run_fini(run);
	return rc;
}

static int
create_one(
    struct create *c, Millrace__RunSpec *spec, Millrace__RunCreateReply *reply, struct err **err)
{
	struct rs_run run;
	char *graph_error = NULL;
	int rc = rs_spec_to_run(&run, &graph_error, spec, err);
	if (rc != 0)
		return rc;
	struct id id = id_new();
	memcpy(run.id, id.s, sizeof(run.id));
	run.enqueue_ms = c->tx.now_ms;
	size_t given = spec->n_setup_errors;
	if (graph_error)
		add_setup_error(spec, graph_error);
	if (spec->n_setup_errors > 0) {
		rc = born_broken(&c->tx, &run, spec, err);
		reply->numbers[reply->n_numbers++] = run.number;
		reply->ids[reply->n_ids++] = xstrdup(run.id);
		rs_run_fini(&run);
	} else {
		rc = rs_variables_give(c->tx.db, c->tx.rs->keys, c->req, spec, run.id, err);
		if (rc == 0) {
			uint64_t number;
			rc = enqueue(&number, &c->tx, &run, spec, err);
			reply->numbers[reply->n_numbers++] = number;
			reply->ids[reply->n_ids++] = xstrdup(id.s);
		} else {
			rs_run_fini(&run);
		}
	}
	/* A retried transaction starts from what the caller gave. */
	while (spec->n_setup_errors > given)
		free(spec->setup_errors[--spec->n_setup_errors]);
	return rc;
}

static void
free_reply(Millrace__RunCreateReply *reply)
{
	for (size_t i = 0; i < reply->n_ids; i++)
		free(reply->ids[i]);
	free(reply->ids);
	free(reply->numbers);
}

static int
create_tx(struct db *db, void *arg, struct err **err)
{
	struct create *c = arg;
	Millrace__RunCreateReply reply = MILLRACE__RUN_CREATE_REPLY__INIT;
	free(c->answer);
	c->answer = NULL;
	int rc = rs_tx_begin(&c->tx, err);
	if (rc == 0)
		rc = rs_store_request_get(&c->answer, &c->answer_len, db, c->request_id, err);
	if (rc != 0 || c->answer)
		return rc;
	reply.ids = xcalloc(c->req->n_runs + 1, sizeof(*reply.ids));
	reply.numbers = xcalloc(c->req->n_runs + 1, sizeof(*reply.numbers));
	for (size_t i = 0; rc == 0 && i < c->req->n_runs; i++)
		rc = create_one(c, c->req->runs[i], &reply, err);
	if (rc == 0) {
		c->answer = rs_pack(&c->answer_len, &reply);
		rc = rs_store_request_put(db, c->request_id, c->answer, c->answer_len, err);
	}
	free_reply(&reply);
	return rc;
}

static int
create_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct create *c = (struct create *)job;
	c->tx.db = db;
	return db_tx_run(db, create_tx, c, err);
}

static void
create_done(struct rs_job *job)
{
	struct create *c = (struct create *)job;
	if (job->rc == 0 && job->epoch == job->rs->epoch)
		rs_apply_outcome(job->rs, &c->tx.out);
	if (!rs_job_failed(job))
		rpc_reply(job->call, c->answer, c->answer_len);
	free_create(c);
}

static struct create *
new_create(struct rs *rs, struct rpc_call *call, const char *request_id)
{
	struct create *c = xcalloc(1, sizeof(*c));
	c->job.rs = rs;
	c->job.call = call;
	memcpy(c->request_id, request_id, ID_LEN + 1);
	c->seen = rs_executors_candidates(&c->tx.nseen, rs->executors);
	c->tx.seen = c->seen;
	c->tx.rs = rs;
	c->tx.epoch = rs->epoch;
	return c;
}

static int
check_request(const Millrace__RunCreateRequest *req, struct err **err)
{
	if (!id_is_valid(req->request_id))
		return err_set(err, ERR_INVALID, "request_id is not a UUID");
	if (req->n_runs > RS_CREATE_RUNS_MAX)
		return err_set(err, ERR_INVALID, "more than %d runs at once", RS_CREATE_RUNS_MAX);
	return rs_variables_check(req, err);
}

void
rs_create(struct rs *rs, struct rpc_call *call, Millrace__RunCreateRequest *req)
{
	struct err *err = NULL;
	if (check_request(req, &err) != 0) {
		rpc_fail(call, &err);
		millrace__run_create_request__free_unpacked(req, NULL);
		return;
	}
	struct create *c = new_create(rs, call, req->request_id);
	c->req = req;
	c->job.work = create_work;
	c->job.done = create_done;
	rs_db_submit(rs, "run-create", work_key(c->request_id), &c->job);
}

/* --- restart --- */

static void
copy_step(struct rs_step *to, const struct rs_step *from)
{
	*to = *from;
	to->error = from->error ? xstrdup(from->error) : NULL;
	to->changed = from->phase != RS_NOTSTARTED;
}

static void
keep_task(struct rs_task *to, const struct rs_task *from)
{
	to->status = from->status;
	to->approved = from->approved;
	to->timedout = from->timedout;
	to->start_ms = from->start_ms;
	to->end_ms = from->end_ms;
	copy_step(&to->setup, &from->setup);
	for (size_t i = 0; i < to->nsteps && i < from->nsteps; i++)
		copy_step(&to->steps[i], &from->steps[i]);
}

static int
load_old(struct create *c, struct rs_run *old, Millrace__RunSpec **spec, struct err **err)
{
	char id[ID_LEN + 1];
	void *packed = NULL;
	size_t len = 0;
	int rc = rs_store_run_find(id, &packed, &len, c->tx.db, c->owner, c->number, err);
	if (rc != 0)
		return rc;
	if (!packed)
		return err_set(err, ERR_CONFLICT, "not possible: the run is not over");
	Millrace__RunState *state = millrace__run_state__unpack(NULL, len, packed);
	free(packed);
	if (!state)
		return err_set(err, ERR_INTERNAL, "stored state of run %s is damaged", id);
	rs_state_to_run(old, state);
	millrace__run_state__free_unpacked(state, NULL);
	rc = rs_store_definition_get(&packed, &len, c->tx.db, id, err);
	if (rc == 0) {
		*spec = millrace__run_spec__unpack(NULL, len, packed);
		free(packed);
		if (!*spec)
			rc = err_set(err, ERR_INTERNAL, "definition of run %s is damaged", id);
	}
	if (rc != 0)
		rs_run_fini(old);
	return rc;
}

static int
make_again(struct create *c, const struct rs_run *old, Millrace__RunSpec *spec, struct err **err)
{
	struct rs_run run;
	char *graph_error = NULL;
	auto_free bool *recreate = xcalloc(old->ntasks + 1, sizeof(*recreate));
	if (!rs_run_can_restart(old, c->from_failed))
		return err_set(err, ERR_CONFLICT, "not possible: the run is %s, its result %s",
		    rs_phase_name(old->phase), rs_result_name(old->result));
	rs_run_restart_plan(recreate, old, c->from_failed);
	for (size_t i = 0; i < old->ntasks; i++) {
		if (recreate[i])
			rs_spec_rename(spec, old->tasks[i].id, id_new().s);
	}
	int rc = rs_spec_to_run(&run, &graph_error, spec, err);
	if (rc == 0 && graph_error) {
		err_set(err, ERR_INTERNAL, "stored definition is broken: %s", graph_error);
		free(graph_error);
		rs_run_fini(&run);
		return ERR_INTERNAL;
	}
	if (rc != 0)
		return rc;
	struct id id = id_new();
	memcpy(run.id, id.s, sizeof(run.id));
	run.enqueue_ms = c->tx.now_ms;
	for (size_t i = 0; i < old->ntasks; i++) {
		size_t at = rs_run_find_task(&run, old->tasks[i].id);
		if (!recreate[i] && at != RS_NO_TASK)
			keep_task(&run.tasks[at], &old->tasks[i]);
	}
	rc = rs_store_variables_copy(c->tx.db, old->id, run.id, err);
	if (rc != 0) {
		rs_run_fini(&run);
		return rc;
	}
	return enqueue(&c->new_number, &c->tx, &run, spec, err);
}

static int
remember_number(struct create *c, struct err **err)
{
	char text[32];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)c->new_number);
	return rs_store_request_put(c->tx.db, c->request_id, text, strlen(text), err);
}

static int
restart_tx(struct db *db, void *arg, struct err **err)
{
	struct create *c = arg;
	struct rs_run old;
	Millrace__RunSpec *spec = NULL;
	free(c->answer);
	c->answer = NULL;
	int rc = rs_tx_begin(&c->tx, err);
	if (rc == 0)
		rc = rs_store_request_get(&c->answer, &c->answer_len, db, c->request_id, err);
	if (rc != 0)
		return rc;
	if (c->answer) {
		char text[32];
		snprintf(text, sizeof(text), "%.*s", (int)c->answer_len, (const char *)c->answer);
		c->new_number = strtoull(text, NULL, 10);
		return 0;
	}
	rc = load_old(c, &old, &spec, err);
	if (rc != 0)
		return rc;
	rc = make_again(c, &old, spec, err);
	rs_run_fini(&old);
	millrace__run_spec__free_unpacked(spec, NULL);
	return rc == 0 ? remember_number(c, err) : rc;
}

static int
restart_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct create *c = (struct create *)job;
	c->tx.db = db;
	return db_tx_run(db, restart_tx, c, err);
}

static void
restart_done(struct rs_job *job)
{
	struct create *c = (struct create *)job;
	if (job->rc == 0 && job->epoch == job->rs->epoch)
		rs_apply_outcome(job->rs, &c->tx.out);
	if (!rs_job_failed(job))
		rs_query_get(job->rs, job->call, c->owner, c->new_number, NULL);
	free_create(c);
}

void
rs_restart(
    struct rs *rs, struct rpc_call *call, const Millrace__RunActionRequest *req, bool from_failed)
{
	struct create *c = new_create(rs, call, req->request_id);
	c->owner = xstrdup(req->owner);
	c->number = req->number;
	c->from_failed = from_failed;
	c->job.work = restart_work;
	c->job.done = restart_done;
	rs_db_submit(rs, "run-restart", work_key(c->request_id), &c->job);
}
