#include "runservice/dispatch.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "runservice/actor.h"
#include "runservice/dump.h"
#include "runservice/executors.h"
#include "runservice/map.h"

#include <string.h>

#define RETRY_MS 250 /* after the database failed us */

struct ready {
	char task_id[ID_LEN + 1];
	char *arch;
	bool privileged;
};

struct entry {
	char run_id[ID_LEN + 1];
	uint64_t sequence;
	struct ready *ready;
	size_t nready;
	bool busy; /* a job of it is under way */
};

struct rs_dispatch {
	struct rs *rs;
	struct rs_map runs;
	struct loop_timer *retry;
	struct metric *waiting;
};

static void
on_retry(void *arg)
{
	rs_dispatch_kick(arg);
}

struct rs_dispatch *
rs_dispatch_new(struct rs *rs)
{
	struct rs_dispatch *d = xcalloc(1, sizeof(*d));
	d->rs = rs;
	d->retry = loop_timer_new(rs->loop, "dispatch-retry", on_retry, d);
	d->waiting =
	    metrics_gauge("millrace_tasks_waiting", "", "Ready tasks without an executor.");
	return d;
}

static void
clear_ready(struct entry *e)
{
	for (size_t i = 0; i < e->nready; i++)
		free(e->ready[i].arch);
	free(e->ready);
	e->ready = NULL;
	e->nready = 0;
}

static void
remove_entry(struct rs_dispatch *d, struct entry *e)
{
	rs_map_remove(&d->runs, e->run_id);
	clear_ready(e);
	free(e);
}

void
rs_dispatch_clear(struct rs_dispatch *d)
{
	struct entry *e;
	for (size_t i = 0; (e = rs_map_next(&d->runs, &i)) != NULL;) {
		clear_ready(e);
		free(e);
	}
	rs_map_fini(&d->runs);
	loop_timer_stop(d->retry);
}

void
rs_dispatch_free(struct rs_dispatch *d)
{
	if (!d)
		return;
	rs_dispatch_clear(d);
	loop_timer_free(d->retry);
	free(d);
}

size_t
rs_dispatch_waiting(const struct rs_dispatch *d)
{
	size_t n = 0;
	const struct entry *e;
	for (size_t i = 0; (e = rs_map_next(&d->runs, &i)) != NULL;)
		n += e->nready;
	return n;
}

void
rs_dispatch_run_changed(struct rs_dispatch *d, const struct rs_run *run)
{
	struct entry *e = rs_map_get(&d->runs, run->id);
	if (run->phase == RS_FINISHED || run->phase == RS_RUN_CANCELLED) {
		if (e)
			remove_entry(d, e);
		return;
	}
	if (!e) {
		e = xcalloc(1, sizeof(*e));
		memcpy(e->run_id, run->id, sizeof(e->run_id));
		e->sequence = run->sequence;
		rs_map_put(&d->runs, e->run_id, e);
	}
	clear_ready(e);
	e->ready = xcalloc(run->ntasks + 1, sizeof(*e->ready));
	for (size_t i = 0; i < run->ntasks; i++) {
		if (!rs_run_task_ready(run, i))
			continue;
		struct ready *r = &e->ready[e->nready++];
		memcpy(r->task_id, run->tasks[i].id, sizeof(r->task_id));
		r->arch = xstrdup(run->tasks[i].arch);
		r->privileged = run->tasks[i].privileged;
	}
}

/* What of list this run would take, as promises; NULL when nothing fits. */
static struct rs_candidate *
promise(struct rs_candidate *list, size_t n, const struct entry *e, size_t *npromised)
{
	struct rs_candidate *mine = xmemdup(list, (n + 1) * sizeof(*list));
	for (size_t i = 0; i < n; i++)
		mine[i].free = 0;
	*npromised = 0;
	for (size_t i = 0; i < e->nready; i++) {
		size_t c = rs_scheduler_choose(list, n, e->ready[i].arch, e->ready[i].privileged);
		if (c == RS_NO_CANDIDATE)
			continue;
		list[c].free--;
		mine[c].free++;
		(*npromised)++;
	}
	if (*npromised > 0)
		return mine;
	free(mine);
	return NULL;
}

static void
reserve(struct rs_dispatch *d, const struct rs_candidate *list, size_t n, int sign)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].free > 0)
			rs_executors_reserve(
			    d->rs->executors, list[i].id, sign * (int)list[i].free);
	}
}

static void
assign_done(struct rs_act *act)
{
	struct rs_dispatch *d = act->job.rs->dispatch;
	struct entry *e = rs_map_get(&d->runs, act->run_id);
	reserve(d, act->seen, act->nseen, -1);
	if (e)
		e->busy = false;
	if (act->job.rc == ERR_NOTFOUND && e) {
		remove_entry(d, e);
	} else if (act->job.rc != 0) {
		log_err(
		    LOG_WARN, "assigning tasks failed", &act->job.err, LOG_STR("run", act->run_id));
		loop_timer_start(d->retry, RETRY_MS);
		return;
	} else if (!act->stored && e) {
		clear_ready(e);
	}
	rs_dispatch_kick(d);
}

static void
assign(struct rs_dispatch *d, struct entry *e, struct rs_candidate *mine, size_t n)
{
	struct rs_act *act = rs_act_new(d->rs, e->run_id, "");
	e->busy = true;
	act->ready_only = true;
	act->seen = mine;
	act->nseen = n;
	act->done = assign_done;
	reserve(d, mine, n, 1);
	rs_act_submit(act);
}

static int
by_sequence(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;
	return (*x)->sequence < (*y)->sequence ? -1 : (*x)->sequence > (*y)->sequence;
}

static bool
any_waiting(const struct rs_candidate *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].waiting && list[i].free > 0)
			return true;
	}
	return false;
}

void
rs_dispatch_kick(struct rs_dispatch *d)
{
	size_t n, nruns = 0, npromised;
	struct entry *e;
	if (!d->rs->serving)
		return;
	rs_executors_flush(d->rs->executors);
	metrics_set(d->waiting, (int64_t)rs_dispatch_waiting(d));
	auto_free struct rs_candidate *list = rs_executors_candidates(&n, d->rs->executors);
	if (!any_waiting(list, n))
		return;
	auto_free struct entry **runs = xcalloc(d->runs.n + 1, sizeof(*runs));
	for (size_t i = 0; (e = rs_map_next(&d->runs, &i)) != NULL;) {
		if (!e->busy && e->nready > 0)
			runs[nruns++] = e;
	}
	qsort(runs, nruns, sizeof(*runs), by_sequence);
	for (size_t i = 0; i < nruns && any_waiting(list, n); i++) {
		struct rs_candidate *mine = promise(list, n, runs[i], &npromised);
		if (mine)
			assign(d, runs[i], mine, n);
	}
}

static void
dump_entry(json_t *list, const struct entry *e, const struct rs_candidate *free, size_t n)
{
	for (size_t i = 0; i < e->nready && json_array_size(list) < RS_DUMP_MAX; i++) {
		const struct ready *r = &e->ready[i];
		auto_free char *why =
		    e->busy ? xstrdup("it is being assigned")
		            : rs_scheduler_no_executor(r->arch, r->privileged, free, n);
		json_array_append_new(list,
		    json_pack("{s:s, s:s, s:s, s:b, s:s}", "run", e->run_id, "task", r->task_id,
		        "arch", r->arch, "privileged", r->privileged, "reason", why));
	}
}

void
rs_dispatch_dump(json_t *out, const struct rs_dispatch *d)
{
	size_t n;
	const struct entry *e;
	auto_free struct rs_candidate *free_now = rs_executors_candidates(&n, d->rs->executors);
	json_t *list = json_array();
	for (size_t i = 0; (e = rs_map_next(&d->runs, &i)) != NULL;)
		dump_entry(list, e, free_now, n);
	json_object_set_new(out, "waiting",
	    json_pack("{s:I, s:I, s:o}", "runs", (json_int_t)d->runs.n, "tasks",
	        (json_int_t)rs_dispatch_waiting(d), "list", list));
}
