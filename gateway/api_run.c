#include "gateway/handlers.h"

#include "common/clock.h"
#include "common/mem.h"
#include "gateway/intake.h"
#include "gateway/page.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/gateway.h"
#include "gateway/rs_client.h"
#include "gateway/run_json.h"

#include <errno.h>
#include <string.h>

#define LIST_FILTERS_MAX 32 /* phase and result values of one query */
#define LIST_ALL_MAX 10000  /* runs returned for limit=0 */
#define LIST_FETCH 100      /* runs per call for limit=0 */

/* Number of a run in the path. */
static int
run_number(uint64_t *out, const char *text, struct err **err)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno)
		return err_set_slug(err, ERR_INVALID, "invalidRunNumber",
		    "a run's number is a whole number from 1");
	return 0;
}

/* Owner and number of a single run's route; false when the request was answered. */
static bool
run_of(struct gw_req *rq, const char **owner, uint64_t *number)
{
	struct err *err = NULL;

	*owner = gw_req_run_owner(rq);
	if (run_number(number, gw_req_param(rq, "n"), &err) == 0)
		return true;
	gw_reply_err(rq, &err);
	return false;
}

/* The REST API has no code for an unknown task or step. */
static void
reply_task_err(struct gw_req *rq, struct err **err)
{
	if ((*err)->slug && strncmp((*err)->slug, "runTask", 7) == 0 &&
	    (*err)->code == ERR_NOTFOUND) {
		free((*err)->slug);
		(*err)->slug = NULL;
	}
	gw_reply_err(rq, err);
}

/* The API's code for an error that came without one. */
static void
default_slug(struct err *err, enum err_code code, const char *slug)
{
	if (err->code == code && !err->slug)
		err->slug = xstrdup(slug);
}

/* --- list --- */

struct run_list {
	struct gw_req *rq;
	Millrace__RunListRequest q;
	char *phases[LIST_FILTERS_MAX], *results[LIST_FILTERS_MAX];
	unsigned limit; /* 0 = all */
	const char *subgroup;
	json_t *items; /* limit 0: collected so far */
};

static json_t *
texts_json(char *const *list, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(out, json_string(list[i]));
	return out;
}

static int
query_texts(char **list, size_t *n, struct gw_req *rq, const char *name, struct err **err)
{
	for (*n = 0;; (*n)++) {
		const char *v = gw_req_query(rq, name, (unsigned)*n);

		if (!v)
			return 0;
		if (*n == LIST_FILTERS_MAX)
			return err_set(
			    err, ERR_INVALID, "%s: at most %d of them", name, LIST_FILTERS_MAX);
		list[*n] = gw_req_strdup(rq, v);
	}
}

static int
cursor_texts(char **list, size_t *n, struct gw_req *rq, const json_t *fields, const char *name,
    struct err **err)
{
	json_t *array = json_member(fields, name);

	*n = json_array_size(array);
	if (*n > LIST_FILTERS_MAX)
		return err_set(err, ERR_INVALID, "cursor: not one of ours");
	for (size_t i = 0; i < *n; i++) {
		const char *v = json_string_value(json_array_get(array, i));

		if (!v)
			return err_set(err, ERR_INVALID, "cursor: not one of ours");
		list[i] = gw_req_strdup(rq, v);
	}
	return 0;
}

static int
list_from_cursor(struct run_list *l, const char *cursor, struct err **err)
{
	static const char *const exclusive[] = { "sortdirection", "start", "subgroup", "phase",
		"result" };
	struct gw_req *rq = l->rq;
	auto_json *fields = NULL;
	const char *subgroup;
	int64_t start;
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(exclusive); i++) {
		if (gw_req_query_has(rq, exclusive[i]))
			return err_set(
			    err, ERR_INVALID, "cursor and %s: give one of them", exclusive[i]);
	}
	rc = gw_cursor_decode(&fields, cursor, err);
	if (rc < 0)
		return rc;
	start = json_int(fields, "start", -1);
	if (start < 0)
		return err_set(err, ERR_INVALID, "cursor: not one of ours");
	l->q.has_start = true;
	l->q.start = (uint64_t)start;
	l->q.ascending = json_flag(fields, "asc", false);
	subgroup = json_text(fields, "subgroup");
	l->subgroup = gw_req_strdup(rq, subgroup ? subgroup : "");
	rc = cursor_texts(l->phases, &l->q.n_phases, rq, fields, "phases", err);
	if (rc == 0)
		rc = cursor_texts(l->results, &l->q.n_results, rq, fields, "results", err);
	return rc;
}

static int
list_from_query(struct run_list *l, struct err **err)
{
	struct gw_req *rq = l->rq;
	const char *start = gw_req_query(rq, "start", 0);
	bool ascending;
	int rc = gw_page_direction(&ascending, gw_req_query(rq, "sortdirection", 0), false, err);

	if (rc < 0)
		return rc;
	l->q.ascending = ascending;
	if (start && *start) {
		rc = run_number(&l->q.start, start, err);
		if (rc < 0)
			return rc;
		l->q.has_start = true;
	}
	l->subgroup = gw_req_query(rq, "subgroup", 0);
	rc = query_texts(l->phases, &l->q.n_phases, rq, "phase", err);
	if (rc == 0)
		rc = query_texts(l->results, &l->q.n_results, rq, "result", err);
	return rc;
}

static int
list_parse(struct run_list *l, struct err **err)
{
	struct gw_req *rq = l->rq;
	const char *cursor = gw_req_query(rq, "cursor", 0);
	char *group = NULL;
	int rc = gw_page_limit(&l->limit, gw_req_query(rq, "limit", 0), err);

	l->q = (Millrace__RunListRequest)MILLRACE__RUN_LIST_REQUEST__INIT;
	if (rc == 0)
		rc = cursor && *cursor ? list_from_cursor(l, cursor, err) : list_from_query(l, err);
	if (rc == 0)
		rc = gw_group_below(&group, gw_req_run_owner(rq), l->subgroup, err);
	if (rc < 0)
		return rc;
	l->q.group = gw_req_own(rq, group);
	l->q.has_ascending = true;
	l->q.limit = l->limit ? l->limit : LIST_FETCH;
	l->q.phases = l->phases;
	l->q.results = l->results;
	return 0;
}

static char *
next_cursor(const struct run_list *l, uint64_t last)
{
	auto_json *fields = json_pack("{s:I, s:b, s:s, s:o, s:o}", "start", (json_int_t)last, "asc",
	    (int)l->q.ascending, "subgroup", l->subgroup ? l->subgroup : "", "phases",
	    texts_json(l->phases, l->q.n_phases), "results",
	    texts_json(l->results, l->q.n_results));

	return gw_cursor_encode(fields);
}

static void
listed(const void *reply, struct err **err, void *arg)
{
	const Millrace__RunListReply *r = reply;
	struct run_list *l = arg;
	struct gw_req *rq = l->rq;

	if (!r) {
		gw_reply_err(rq, err);
		return;
	}
	for (size_t i = 0; i < r->n_runs; i++)
		json_array_append_new(rq->reply, gw_run_item_json(r->runs[i]));
	rq->cursor = gw_req_strdup(rq, "");
	if (r->more && r->n_runs) {
		uint64_t last = r->runs[r->n_runs - 1]->number;

		if (l->limit == 0 && json_array_size(rq->reply) < LIST_ALL_MAX) {
			l->q.has_start = true;
			l->q.start = last;
			gw_rs_run_list(rq->gw->rs, &l->q, listed, l);
			return;
		}
		if (l->limit)
			rq->cursor = gw_req_own(rq, next_cursor(l, last));
	}
	gw_reply_json(rq, 200, steal(&rq->reply));
}

void
gw_api_run_list(struct gw_req *rq)
{
	struct run_list *l = gw_req_alloc(rq, sizeof(*l));
	struct err *err = NULL;

	l->rq = rq;
	if (list_parse(l, &err) < 0) {
		gw_reply_err(rq, &err);
		return;
	}
	rq->reply = json_array();
	gw_rs_run_list(rq->gw->rs, &l->q, listed, l);
}

/* --- one run --- */

static void
run_got(const void *reply, struct err **err, void *arg)
{
	struct gw_req *rq = arg;

	if (reply) {
		gw_reply_json(rq, 200, gw_run_json(reply));
		return;
	}
	default_slug(*err, ERR_NOTFOUND, "runDoesNotExist");
	gw_reply_err(rq, err);
}

static void
run_restarted(const void *reply, struct err **err, void *arg)
{
	if (!reply)
		default_slug(*err, ERR_CONFLICT, "runCannotBeRestarted");
	run_got(reply, err, arg);
}

void
gw_api_run_get(struct gw_req *rq)
{
	const char *owner;
	uint64_t number;

	if (run_of(rq, &owner, &number))
		gw_rs_run_get(rq->gw->rs, owner, number, NULL, run_got, rq);
}

static void
explained(const void *reply, struct err **err, void *arg)
{
	struct gw_req *rq = arg;

	if (reply) {
		gw_reply_json(rq, 200, gw_explain_json(reply));
		return;
	}
	default_slug(*err, ERR_NOTFOUND, "runDoesNotExist");
	gw_reply_err(rq, err);
}

void
gw_api_run_explain(struct gw_req *rq)
{
	const char *owner;
	uint64_t number;

	if (run_of(rq, &owner, &number))
		gw_rs_run_explain(rq->gw->rs, owner, number, explained, rq);
}

/* NULL for an action that does not exist. */
static const char *
action_of(const json_t *body)
{
	const char *type = json_text(body, "action_type");

	if (!type)
		return NULL;
	if (strcmp(type, "restart") == 0)
		return json_flag(body, "from_start", false) ? "restart" : "restart_failed";
	if (strcmp(type, "cancel") == 0)
		return "cancel";
	return strcmp(type, "stop") == 0 ? "stop" : NULL;
}

void
gw_api_run_action(struct gw_req *rq)
{
	const char *action = action_of(rq->body);
	const char *owner;
	uint64_t number;
	struct err *err = NULL;

	if (!action) {
		err_set(&err, ERR_INVALID, "action_type: must be restart, cancel or stop");
		gw_reply_err(rq, &err);
		return;
	}
	if (run_of(rq, &owner, &number))
		gw_rs_run_action(rq->gw->rs, owner, number, action,
		    strncmp(action, "restart", 7) == 0 ? run_restarted : run_got, rq);
}

/* --- one task --- */

static void
task_got(const void *reply, struct err **err, void *arg)
{
	const Millrace__RunState *run = reply;
	struct gw_req *rq = arg;
	const char *id = gw_req_param(rq, "t");

	if (!run) {
		reply_task_err(rq, err);
		return;
	}
	for (size_t i = 0; i < run->n_tasks; i++) {
		if (strcmp(run->tasks[i]->id, id) == 0) {
			gw_reply_json(rq, 200, gw_task_json(run->tasks[i]));
			return;
		}
	}
	gw_reply_denied(rq, 404);
}

void
gw_api_task_get(struct gw_req *rq)
{
	const char *owner;
	uint64_t number;

	if (!id_is_valid(gw_req_param(rq, "t")))
		gw_reply_denied(rq, 404);
	else if (run_of(rq, &owner, &number))
		gw_rs_run_get(rq->gw->rs, owner, number, gw_req_param(rq, "t"), task_got, rq);
}

/* Why an approval was refused: the task's state tells. */
static void
approval_refused(const void *reply, struct err **err, void *arg)
{
	const Millrace__RunState *run = reply;
	struct gw_req *rq = arg;
	struct err *why = NULL;
	bool done = false;

	for (size_t i = 0; run && i < run->n_tasks; i++)
		done |= strcmp(run->tasks[i]->id, gw_req_param(rq, "t")) == 0 &&
		        run->tasks[i]->approved;
	if (!run)
		gw_reply_err(rq, err);
	else if (done)
		err_set_slug(&why, ERR_CONFLICT, "runTaskAlreadyApproved",
		    "the task has been approved already");
	else
		err_set_slug(&why, ERR_CONFLICT, "runTaskNotWaitingApproval",
		    "the task does not wait for an approval");
	if (why)
		gw_reply_err(rq, &why);
}

static void
approved(const void *reply, struct err **err, void *arg)
{
	struct gw_req *rq = arg;

	if (reply) {
		gw_reply_json(rq, 200, NULL);
		return;
	}
	if ((*err)->code == ERR_CONFLICT && !(*err)->slug) {
		uint64_t number = strtoull(gw_req_param(rq, "n"), NULL, 10); /* checked before */

		gw_rs_run_get(rq->gw->rs, gw_req_run_owner(rq), number, NULL, approval_refused, rq);
		return;
	}
	/* An unknown task is the caller's mistake here: 400. */
	if ((*err)->code == ERR_NOTFOUND &&
	    !((*err)->slug && strcmp((*err)->slug, "runDoesNotExist") == 0))
		(*err)->code = ERR_INVALID;
	gw_reply_err(rq, err);
}

void
gw_api_task_action(struct gw_req *rq)
{
	const char *type = json_text(rq->body, "action_type");
	const char *task = gw_req_param(rq, "t");
	const char *owner;
	uint64_t number;
	struct err *err = NULL;

	if (!type || strcmp(type, "approve") != 0)
		err_set(&err, ERR_INVALID, "action_type: must be approve");
	else if (!id_is_valid(task))
		err_set_slug(&err, ERR_INVALID, "runTaskDoesNotExist", "there is no such task");
	if (err)
		gw_reply_err(rq, &err);
	else if (run_of(rq, &owner, &number))
		gw_rs_task_approve(rq->gw->rs, owner, number, task, rq->who.user.id, approved, rq);
}
