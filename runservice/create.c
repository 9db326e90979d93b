#include "runservice/create.h"

#include "common/mem.h"
#include "runservice/actor.h"
#include "runservice/query.h"
#include "runservice/spec.h"
#include "runservice/state.h"
#include "runservice/store.h"
#include "runservice/variables.h"

#include <stdio.h>
#include <string.h>

struct create {
	struct rs_job job;
	struct rs_tx *tx;                /* while applied */
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
	if (c->req)
		millrace__run_create_request__free_unpacked(c->req, NULL);
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

static void
born_broken(struct rs_tx *tx, struct rs_run *run, const Millrace__RunSpec *spec)
{
	run->phase = RS_SETUPERROR;
	run->end_ms = tx->now_ms;
	Millrace__RunState *state = rs_state_of_run(run, spec, NULL, 0);
	size_t len, spec_len;
	auto_free void *packed = rs_pack(&len, state);
	auto_free void *packed_spec = rs_pack(&spec_len, spec);
	millrace__run_state__free_unpacked(state, NULL);
	rs_write_definition(tx->writes, run->id, packed_spec, spec_len);
	rs_write_run_over(tx->writes, run, packed, len);
	rs_write_event(tx->writes, run, run->phase, run->result);
}

/* Queued, and running at once when its group is free. Takes *run over. */
static int
enqueue(uint64_t *number, struct rs_tx *tx, struct rs_run *run, const Millrace__RunSpec *spec,
    struct err **err)
{
	struct rs_kept_group *g = NULL;
	size_t len;
	int rc = rs_kept_group(&g, tx->kept, tx->db, run->group, err);
	if (rc == 0)
		rc = rs_kept_number(tx->kept, tx->db, run, err);
	if (rc != 0) {
		rs_run_fini(run);
		return rc;
	}
	*number = run->number;
	auto_free void *packed = rs_pack(&len, spec);
	rs_write_definition(tx->writes, run->id, packed, len);
	rs_write_event(tx->writes, run, run->phase, run->result);
	struct rs_kept_run *kept = rs_kept_add(tx->kept, run, packed, len);
	kept->dirty = kept->changed = true;
	if (*g->running) {
		rs_kept_group_push(g, kept->run.id);
		return 0;
	}
	memcpy(g->running, kept->run.id, sizeof(g->running));
	rc = rs_run_apply(&kept->run, RS_EV_START, RS_NO_TASK, tx->now_ms, NULL, err);
	return rc == 0 ? rs_tx_store(tx, kept, tx->left, tx->nleft, NULL, err) : rc;
}

/* Ends an older run: one that waits is cancelled, one that runs is stopped. */
static int
end_older(struct rs_tx *tx, const char *id, const char *name, struct err **err)
{
	struct rs_kept_run *kept;
	int rc = rs_kept_run(&kept, tx->kept, tx->db, id, err);
	if (rc != 0 || kept->run.stop || strcmp(kept->run.name, name) != 0)
		return rc;
	enum rs_event event = kept->run.phase == RS_QUEUED ? RS_EV_CANCEL : RS_EV_STOP;
	rc = rs_run_apply(&kept->run, event, RS_NO_TASK, tx->now_ms, NULL, err);
	return rc == 0 ? rs_tx_store(tx, kept, tx->left, tx->nleft, NULL, err) : rc;
}

/* cancel_previous. Those that wait first: the end of the one that runs would start one of them. */
static int
end_previous(struct rs_tx *tx, const struct rs_run *run, struct err **err)
{
	struct rs_kept_group *g = NULL;
	int rc = rs_kept_group(&g, tx->kept, tx->db, run->group, err);
	if (rc != 0)
		return rc;
	size_t n = g->nqueued;
	auto_free struct id *queued = xcalloc(n + 1, sizeof(*queued));
	struct id running = { "" };
	memcpy(running.s, g->running, sizeof(running.s));
	for (size_t i = 0; i < n; i++)
		queued[i] = g->queued[i];
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = end_older(tx, queued[i].s, run->name, err);
	return rc == 0 && *running.s ? end_older(tx, running.s, run->name, err) : rc;
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
	run.enqueue_ms = c->tx->now_ms;
	size_t given = spec->n_setup_errors;
	if (graph_error)
		add_setup_error(spec, graph_error);
	if (spec->n_setup_errors > 0) {
		rc = rs_kept_number(c->tx->kept, c->tx->db, &run, err);
		if (rc == 0)
			born_broken(c->tx, &run, spec);
		reply->numbers[reply->n_numbers++] = run.number;
		reply->ids[reply->n_ids++] = xstrdup(run.id);
		rs_run_fini(&run);
	} else {
		rc = rs_variables_give(c->tx->db, c->tx->rs->keys, c->req, spec, run.id, err);
		if (rc == 0 && spec->cancel_previous)
			rc = end_previous(c->tx, &run, err);
		if (rc == 0) {
			uint64_t number = 0;
			rc = enqueue(&number, c->tx, &run, spec, err);
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

/* Asked for when something failed only: a known request makes its insertion fail. */
static int
known_answer(struct create *c, struct err **err)
{
	free(c->answer);
	c->answer = NULL;
	if (!c->tx->careful)
		return 0;
	return rs_store_request_get(&c->answer, &c->answer_len, c->tx->db, c->request_id, err);
}

static int
create_apply(struct rs_tx *tx, struct rs_job *job, struct err **err)
{
	struct create *c = (struct create *)job;
	Millrace__RunCreateReply reply = MILLRACE__RUN_CREATE_REPLY__INIT;
	c->tx = tx;
	int rc = known_answer(c, err);
	if (rc != 0 || c->answer)
		return rc;
	tx->spoiled = true;
	reply.ids = xcalloc(c->req->n_runs + 1, sizeof(*reply.ids));
	reply.numbers = xcalloc(c->req->n_runs + 1, sizeof(*reply.numbers));
	for (size_t i = 0; rc == 0 && i < c->req->n_runs; i++)
		rc = create_one(c, c->req->runs[i], &reply, err);
	if (rc == 0) {
		c->answer = rs_pack(&c->answer_len, &reply);
		rs_write_request(tx->writes, c->request_id, c->answer, c->answer_len);
	}
	free_reply(&reply);
	return rc;
}

static void
create_done(struct rs_job *job)
{
	struct create *c = (struct create *)job;
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
	c->job.apply = create_apply;
	c->job.done = create_done;
	rs_batch_submit(rs, &c->job);
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
keep_try(struct rs_task *to, const struct rs_try *from, size_t nsteps)
{
	struct rs_try *y = rs_run_add_try(to);
	y->timedout = from->timedout;
	y->start_ms = from->start_ms;
	y->end_ms = from->end_ms;
	y->executor = from->executor ? xstrdup(from->executor) : NULL;
	y->changed = true;
	copy_step(&y->setup, &from->setup);
	for (size_t i = 0; i < to->nsteps && i < nsteps; i++)
		copy_step(&y->steps[i], &from->steps[i]);
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
	for (unsigned i = 0; i < from->tries && to->tries < to->retries; i++)
		keep_try(to, &from->past[i], from->nsteps);
}

static int
load_old(struct create *c, struct rs_run *old, Millrace__RunSpec **spec, struct err **err)
{
	char id[ID_LEN + 1];
	void *packed = NULL;
	size_t len = 0;
	int rc = rs_store_run_find(id, &packed, &len, c->tx->db, c->owner, c->number, err);
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
	rc = rs_store_definition_get(&packed, &len, c->tx->db, id, err);
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

/* Every task that is recreated gets a new id. */
static void
rename_tasks(Millrace__RunSpec *spec, const struct rs_run *old, const bool *recreate)
{
	auto_free struct id *fresh = xcalloc(old->ntasks + 1, sizeof(*fresh));
	struct rs_map ids = { 0 };
	for (size_t i = 0; i < old->ntasks; i++) {
		if (!recreate[i])
			continue;
		fresh[i] = id_new();
		rs_map_put(&ids, old->tasks[i].id, fresh[i].s);
	}
	rs_spec_rename(spec, &ids);
	rs_map_fini(&ids);
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
	rename_tasks(spec, old, recreate);
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
	run.enqueue_ms = c->tx->now_ms;
	for (size_t i = 0; i < old->ntasks; i++) {
		size_t at = recreate[i] ? RS_NO_TASK : rs_run_find_task(&run, old->tasks[i].id);
		if (at != RS_NO_TASK)
			keep_task(&run.tasks[at], &old->tasks[i]);
	}
	rc = rs_store_variables_copy(c->tx->db, old->id, run.id, err);
	if (rc != 0) {
		rs_run_fini(&run);
		return rc;
	}
	return enqueue(&c->new_number, c->tx, &run, spec, err);
}

static void
remember_number(struct create *c)
{
	char text[32];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)c->new_number);
	rs_write_request(c->tx->writes, c->request_id, text, strlen(text));
}

static int
restart_apply(struct rs_tx *tx, struct rs_job *job, struct err **err)
{
	struct create *c = (struct create *)job;
	struct rs_run old;
	Millrace__RunSpec *spec = NULL;
	c->tx = tx;
	int rc = known_answer(c, err);
	if (rc != 0)
		return rc;
	if (c->answer) {
		char text[32];
		snprintf(text, sizeof(text), "%.*s", (int)c->answer_len, (const char *)c->answer);
		c->new_number = strtoull(text, NULL, 10);
		return 0;
	}
	rc = rs_tx_flush(tx, err); /* it may have ended just now */
	if (rc == 0)
		rc = load_old(c, &old, &spec, err);
	if (rc != 0)
		return rc;
	tx->spoiled = true;
	rc = make_again(c, &old, spec, err);
	rs_run_fini(&old);
	millrace__run_spec__free_unpacked(spec, NULL);
	if (rc == 0)
		remember_number(c);
	return rc;
}

static void
restart_done(struct rs_job *job)
{
	struct create *c = (struct create *)job;
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
	c->job.apply = restart_apply;
	c->job.done = restart_done;
	rs_batch_submit(rs, &c->job);
}
