/*
 * Runs beside and after each other, over the whole runservice: groups and their order, numbers,
 * restarts that keep what succeeded; and random days, after each event of which the rows agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "tests/lib/rs_archive.h"

#include <stdio.h>
#include <string.h>

static const struct rs_peer_task gated[] = {
	{ .name = "gate", .nsteps = 1, .needs_approval = true }
};

static void
start(struct rs_peer *p)
{
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
}

static struct rs_offer
take(struct rs_executor *ex)
{
	struct rs_offer o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	return o;
}

static void
assert_states(struct rs_peer *p, uint64_t first, const char *const *want, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_string_equal(rs_peer_state(p, first + i), want[i]);
}

/* The first task's explanation, or NULL when no task waits. */
static Millrace__RunExplainReply *
explained(struct rs_peer *p, uint64_t number)
{
	static char owner[] = RS_PEER_OWNER;
	Millrace__RunExplainRequest q = MILLRACE__RUN_EXPLAIN_REQUEST__INIT;
	Millrace__RunExplainReply *reply = NULL;

	q.owner = owner;
	q.number = number;
	assert_int_equal(rs_call(p, p->gateway, "run.explain", &q,
	                     &millrace__run_explain_reply__descriptor, &reply),
	    0);
	return reply;
}

static void
explains(struct rs_peer *p, uint64_t number, const char *want, uint64_t holder, size_t executors)
{
	Millrace__RunExplainReply *reply = explained(p, number);

	if (reply->n_tasks != (want ? 1 : 0))
		fail_msg("%s, not %s", reply->n_tasks ? reply->tasks[0]->reason : "nothing",
		    want ? want : "nothing");
	if (want) {
		assert_string_equal(reply->tasks[0]->reason, want);
		assert_int_equal(reply->tasks[0]->has_holder, holder != 0);
		assert_int_equal(reply->tasks[0]->holder, holder);
		assert_int_equal(reply->tasks[0]->n_executors, executors);
	}
	millrace__run_explain_reply__free_unpacked(reply, NULL);
}

/* Which run holds the group; which executors were considered. */
static void
waiting_is_explained(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t first = rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);

	explains(p, first, "no executor is connected", 0, 0);
	start(p);
	struct rs_offer o = take(ex);
	explains(p, first, "executor ex1 is preparing it", 0, 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "running", "sr"), 0);
	explains(p, first, NULL, 0, 0);
	uint64_t second = rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	uint64_t third = rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	uint64_t other = rs_peer_run(p, "other", rs_peer_one_task, 1, NULL);
	auto_free char *line = xasprintf(
	    "its run waits for run %llu of the same group to finish", (unsigned long long)first);
	auto_free char *behind = xasprintf("%s, and then for 1 more of the group before it", line);
	explains(p, second, line, first, 0);
	explains(p, third, behind, first, 0);
	Millrace__RunExplainReply *reply = explained(p, other);
	assert_int_equal(reply->n_tasks, 1);
	assert_int_equal(reply->tasks[0]->n_executors, 1);
	assert_string_equal(reply->tasks[0]->executors[0]->executor, "ex1");
	assert_non_null(strstr(reply->tasks[0]->reason, ": ex1 "));
	millrace__run_explain_reply__free_unpacked(reply, NULL);
	assert_int_equal(rs_ex_report(ex, &o, 2, "failed", "sf"), 0);
	explains(p, first, NULL, 0, 0); /* over */
}

static void
one_run_of_a_group_at_a_time(void **state)
{
	static const char *const before[] = { "running unknown", "queued unknown", "queued unknown",
		"running unknown" };
	static const char *const after[] = { "finished failed", "cancelled unknown",
		"running unknown", "running unknown" };
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	start(p);
	uint64_t first = rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	struct rs_offer o = take(ex);
	rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	uint64_t other = rs_peer_run(p, "other", rs_peer_one_task, 1, NULL);
	assert_int_equal(other, first + 3); /* numbers go over all groups of an owner */
	assert_states(p, first, before, ARRAY_LEN(before));
	Millrace__RunState *run = rs_peer_get(p, first + 1);
	assert_non_null(strstr(run->tasks[0]->wait_reason, "earlier run of the same group"));
	millrace__run_state__free_unpacked(run, NULL);
	assert_int_equal(rs_peer_action(p, first + 1, "cancel", NULL), (int)first + 1);
	assert_int_equal(rs_ex_report(ex, &o, 1, "failed", "sf"), 0);
	assert_states(p, first, after, ARRAY_LEN(after));
	/* A restart stands in line as well, under a number of its own. */
	assert_int_equal(rs_peer_action(p, first, "restart", NULL), (int)first + 4);
	assert_string_equal(rs_peer_state(p, first + 4), "queued unknown");
	for (unsigned i = 0; i < 3; i++) {
		o = take(ex);
		assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
	}
	assert_string_equal(rs_peer_state(p, first + 4), "finished success");
}

/* 3.8: who waits for an approval still runs, and keeps its group waiting. */
static void
an_approval_keeps_its_group_waiting(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	start(p);
	uint64_t first = rs_peer_run(p, "main", gated, 1, NULL),
	         second = rs_peer_run(p, "main", gated, 1, NULL);
	assert_string_equal(rs_peer_state(p, first), "running unknown");
	assert_string_equal(rs_peer_state(p, second), "queued unknown");
	/* Approved before its turn. */
	assert_int_equal(rs_peer_approve(p, second, "gate", "u1"), 0);
	assert_int_equal(rs_peer_approve(p, second, "gate", "u1"), ERR_CONFLICT);
	Millrace__RunState *run = rs_peer_get(p, second);
	assert_true(run->tasks[0]->approved);
	assert_false(run->tasks[0]->waiting_approval);
	assert_string_equal(run->tasks[0]->annotations[0]->value, "[\"u1\"]");
	millrace__run_state__free_unpacked(run, NULL);
	assert_int_equal(rs_peer_action(p, first, "stop", NULL), (int)first);
	assert_string_equal(rs_peer_state(p, first), "finished stopped");
	struct rs_offer o = take(ex);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, second), "finished success");
	/* An approval is not carried into a restart. */
	assert_int_equal(rs_peer_action(p, second, "restart", NULL), (int)second + 1);
	run = rs_peer_get(p, second + 1);
	assert_true(run->tasks[0]->waiting_approval);
	assert_int_equal(run->tasks[0]->n_annotations, 0);
	millrace__run_state__free_unpacked(run, NULL);
}

/* What waits is cancelled, what runs is stopped; of other names and groups nothing. */
static void
a_newer_run_ends_older_ones(void **state)
{
	static const char *const after[] = { "running stopped", "cancelled unknown",
		"queued unknown", "queued unknown", "running unknown" };
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	start(p);
	p->cancel_previous = true;
	uint64_t first = rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	struct rs_offer o = take(ex);
	p->cancel_previous = false;
	rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	p->run_name = "another";
	uint64_t another = rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	p->run_name = NULL;
	p->cancel_previous = true;
	struct id request = id_new();
	uint64_t newest = rs_peer_run(p, "main", rs_peer_one_task, 1, request.s);
	assert_int_equal(rs_peer_run(p, "main", rs_peer_one_task, 1, request.s), newest);
	rs_peer_run(p, "other", rs_peer_one_task, 1, NULL);
	assert_states(p, first, after, ARRAY_LEN(after));
	Millrace__RunState *run = rs_peer_get(p, first);
	assert_true(run->stopping);
	millrace__run_state__free_unpacked(run, NULL);
	/* One that is stopping already is left alone. */
	uint64_t last = rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	assert_string_equal(rs_peer_state(p, newest), "cancelled unknown");
	assert_int_equal(rs_ex_report(ex, &o, 1, "stopped", "sx"), 0);
	assert_string_equal(rs_peer_state(p, first), "finished stopped");
	assert_string_equal(rs_peer_state(p, another), "running unknown");
	assert_string_equal(rs_peer_state(p, last), "queued unknown");
	/* A restart is no newer run. */
	assert_int_equal(rs_peer_action(p, first, "restart", NULL), (int)last + 1);
	assert_string_equal(rs_peer_state(p, last), "queued unknown");
}

/* Nothing holds the older one back: the newer starts at once. */
static void
a_newer_run_takes_the_place_of_one_that_waits(void **state)
{
	struct rs_peer *p = *state;
	start(p);
	p->cancel_previous = true;
	uint64_t first = rs_peer_run(p, "main", gated, 1, NULL),
	         second = rs_peer_run(p, "main", gated, 1, NULL);
	assert_string_equal(rs_peer_state(p, first), "finished stopped");
	assert_string_equal(rs_peer_state(p, second), "running unknown");
}

/* A task goes only where its labels are, over a restart of the runservice, too. */
static void
labels_choose_executors(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "anywhere", .nsteps = 1 },
		{ .name = "marked", .nsteps = 1, .label = "gpu" },
	};
	struct rs_peer *p = *state;
	start(p);
	uint64_t number = rs_peer_run(p, "main", tasks, ARRAY_LEN(tasks), NULL);
	struct rs_offer o = take(&p->ex[0]), marked;
	assert_int_equal(rs_ex_report(&p->ex[0], &o, 1, "success", "ss"), 0);
	rs_peer_stop(p);
	rs_peer_start(p);
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	Millrace__RunState *run = rs_peer_get(p, number);
	assert_string_equal(rs_peer_task(run, "anywhere")->status, "success");
	assert_string_equal(rs_peer_task(run, "marked")->wait_reason,
	    "no connected executor has the labels gpu=yes");
	millrace__run_state__free_unpacked(run, NULL);
	explains(p, number,
	    "no connected executor has the labels gpu=yes: ex1 does not have the labels gpu=yes", 0,
	    1);
	p->ex[1].label = "gpu";
	assert_int_equal(rs_ex_register(&p->ex[1], NULL, 0), 0);
	marked = take(&p->ex[1]);
	assert_int_equal(rs_ex_report(&p->ex[1], &marked, 1, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished success");
}

/* The definition was accepted with a warning: the task is skipped, over a restart of the
 * runservice, too. */
static void
an_unknown_condition_never_holds(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "first", .nsteps = 1 },
		{ .name = "typo", .nsteps = 1, .after = "first", .when = "on_succes" },
	};
	struct rs_peer *p = *state;
	start(p);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t number = rs_peer_run(p, "main", tasks, ARRAY_LEN(tasks), NULL);
		if (i == 1) {
			rs_peer_stop(p);
			rs_peer_start(p);
			start(p);
		}
		struct rs_offer o = take(&p->ex[0]);
		assert_int_equal(rs_ex_report(&p->ex[0], &o, 1, "success", "ss"), 0);
		Millrace__RunState *run = rs_peer_get(p, number);
		assert_string_equal(rs_peer_task(run, "typo")->status, "skipped");
		assert_string_equal(run->result, "success");
		millrace__run_state__free_unpacked(run, NULL);
	}
}

/* --- restart from failed tasks --- */

static const struct rs_peer_task chain[] = {
	{ .name = "make", .nsteps = 1, .save = true },
	{ .name = "use", .nsteps = 1, .after = "make" },
	{ .name = "last", .nsteps = 1, .after = "use" },
};

static void
make_it(struct rs_peer *p)
{
	static const struct rs_part part = { "saved", 5 };
	struct rs_executor *ex = &p->ex[0];
	struct rs_offer o = take(ex);
	assert_int_equal(rs_ex_log(ex, &o, -1, 0, "setup\n", 6, true, NULL, NULL), 0);
	assert_int_equal(rs_ex_log(ex, &o, 0, 0, "made\n", 5, true, NULL, NULL), 0);
	auto_free char *id = rs_ex_archive_begin(ex, &o, 0, NULL, NULL);
	Millrace__ArchiveUrlsReply *urls = rs_ex_archive_urls(ex, &o, id, 1, 0);
	assert_int_equal(rs_peer_http(p, "PUT", urls->urls[0], "saved", 5, NULL), 200);
	millrace__archive_urls_reply__free_unpacked(urls, NULL);
	assert_int_equal(rs_ex_archive_complete(ex, &o, id, 0, &part, 1, NULL), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
}

static void
use_it(struct rs_peer *p, const char *status, const char *phases)
{
	struct rs_executor *ex = &p->ex[0];
	Millrace__AcceptReply *plan = NULL;
	Millrace__ArchiveGetReply *got = NULL;
	struct rs_offer o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, &plan), 0);
	assert_string_equal(plan->spec->name, "use");
	assert_int_equal(plan->n_workspace, 1);
	assert_int_equal(rs_ex_archive_get(ex, &o, plan->workspace[0]->archive_id, &got), 0);
	assert_int_equal(rs_peer_http(p, "GET", got->parts[0]->url, NULL, 0, NULL), 200);
	millrace__archive_get_reply__free_unpacked(got, NULL);
	millrace__accept_reply__free_unpacked(plan, NULL);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, status, phases), 0);
}

static void
check_kept(struct rs_peer *p, uint64_t number, const char *make_id)
{
	int code = 0;
	Millrace__RunState *run = rs_peer_get(p, number);
	assert_string_equal(rs_peer_task(run, "make")->id, make_id);
	assert_string_equal(rs_peer_task(run, "make")->status, "success");
	assert_string_equal(rs_peer_task(run, "make")->steps[0]->phase, "success");
	assert_true(rs_peer_task(run, "make")->steps[0]->log_stored);
	assert_true(rs_peer_task(run, "make")->end_ms > 0);
	assert_string_equal(rs_peer_task(run, "last")->status, "notstarted");
	millrace__run_state__free_unpacked(run, NULL);
	auto_free char *log = rs_peer_log(p, number, make_id, 0, &code);
	assert_string_equal(log, "made\n");
	auto_free char *setup = rs_peer_log(p, number, make_id, -1, &code);
	assert_string_equal(setup, "setup\n");
}

static void
a_restart_keeps_what_succeeded(void **state)
{
	struct rs_peer *p = *state;
	start(p);
	uint64_t number = rs_peer_run(p, "main", chain, ARRAY_LEN(chain), NULL);
	make_it(p);
	use_it(p, "failed", "sf");
	assert_string_equal(rs_peer_state(p, number), "finished failed");
	Millrace__RunState *run = rs_peer_get(p, number);
	auto_free char *make_id = xstrdup(rs_peer_task(run, "make")->id);
	auto_free char *use_id = xstrdup(rs_peer_task(run, "use")->id);
	assert_string_equal(rs_peer_task(run, "last")->status, "skipped");
	millrace__run_state__free_unpacked(run, NULL);
	/* Twice: what was kept once is kept again. */
	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(
		    rs_peer_action(p, number + i - 1, "restart_failed", NULL), (int)(number + i));
		check_kept(p, number + i, make_id);
		use_it(p, i == 1 ? "failed" : "success", i == 1 ? "sf" : "ss");
	}
	run = rs_peer_get(p, number + 2);
	assert_string_not_equal(rs_peer_task(run, "use")->id, use_id);
	millrace__run_state__free_unpacked(run, NULL);
	struct rs_offer o = take(&p->ex[0]);
	assert_int_equal(rs_ex_report(&p->ex[0], &o, 1, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number + 2), "finished success");
	/* The old run is as it was. */
	assert_string_equal(rs_peer_state(p, number), "finished failed");
	/* Its archive is gone with age: then only a restart from scratch helps, and the plan says
	 * so. */
	rs_peer_exec(p, "delete from archives");
	assert_int_equal(rs_peer_action(p, number, "restart_failed", NULL), (int)number + 3);
	Millrace__AcceptReply *plan = NULL;
	o = rs_ex_offer(&p->ex[0]);
	assert_int_equal(rs_ex_accept(&p->ex[0], &o, &plan), 0);
	assert_int_equal(plan->n_workspace, 1);
	assert_int_equal(
	    rs_ex_archive_get(&p->ex[0], &o, plan->workspace[0]->archive_id, NULL), ERR_NOTFOUND);
	millrace__accept_reply__free_unpacked(plan, NULL);
}

/* 4.12: of all ancestors, those of lower level first; one that failed before it saved is left out.
 */
static void
a_workspace_is_of_all_ancestors(void **state)
{
	static const struct rs_peer_task saving[] = {
		{ .name = "z", .nsteps = 1, .save = true },
		{ .name = "y", .nsteps = 1, .after = "z" },
		{ .name = "b", .nsteps = 1, .after = "y", .save = true },
		{ .name = "use", .nsteps = 1, .after = "b" },
	};
	static const struct rs_peer_task failing[] = {
		{ .name = "fails", .nsteps = 2, .save = true },
		{ .name = "use", .nsteps = 1, .after = "fails", .when = "on_failure" },
	};
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	Millrace__AcceptReply *plan = NULL;
	start(p);
	rs_peer_run(p, "main", saving, ARRAY_LEN(saving), NULL);
	make_it(p);
	struct rs_offer o = take(ex);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
	make_it(p);
	o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, &plan), 0);
	assert_int_equal(plan->n_workspace, 2);
	assert_string_equal(plan->workspace[0]->task_name, "z");
	assert_string_equal(plan->workspace[1]->task_name, "b");
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
		    rs_ex_archive_get(ex, &o, plan->workspace[i]->archive_id, NULL), 0);
	millrace__accept_reply__free_unpacked(steal(&plan), NULL);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);

	rs_peer_run(p, "main", failing, ARRAY_LEN(failing), NULL);
	o = take(ex);
	assert_int_equal(rs_ex_report(ex, &o, 1, "failed", "sfn"), 0);
	o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, &plan), 0);
	assert_string_equal(plan->spec->name, "use");
	assert_int_equal(plan->n_workspace, 0);
	millrace__accept_reply__free_unpacked(plan, NULL);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
}

/* 4.1: every change of phase or result is an event. */
static void
changes_are_events(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	start(p);
	rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	struct rs_offer o = take(ex);
	rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	assert_int_equal(rs_peer_action(p, 2, "cancel", NULL), 2);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, 1), "finished success");
	auto_free char *got = rs_peer_sql(p, "select string_agg(number || ' ' || phase || ' ' || "
	                                     "result, ', ' order by number, sequence) from events");
	assert_string_equal(got, "1 queued unknown, 1 running unknown, 1 running success, "
	                         "1 finished success, 2 queued unknown, 2 cancelled unknown");
}

/* What is over and what goes on is read in different ways, and stands in one page. */
static void
active_and_finished_runs_are_listed(void **state)
{
	struct rs_peer *p = *state;
	start(p);
	for (size_t i = 0; i < 2; i++) {
		rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
		struct rs_offer o = take(&p->ex[0]);
		assert_int_equal(rs_ex_report(&p->ex[0], &o, 1, "success", "ss"), 0);
	}
	Millrace__RunListReply *list = rs_peer_list(p, 3);
	assert_int_equal(list->n_runs, 2);
	millrace__run_list_reply__free_unpacked(list, NULL);

	rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	take(&p->ex[0]);
	rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	list = rs_peer_list(p, 3);
	assert_int_equal(list->n_runs, 3);
	assert_true(list->more);
	static const char *const phases[] = { "queued", "running", "finished" };
	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		assert_int_equal(list->runs[i]->number, 4 - i);
		assert_string_equal(list->runs[i]->phase, phases[i]);
		assert_int_equal(list->runs[i]->n_tasks, 1);
	}
	millrace__run_list_reply__free_unpacked(list, NULL);
}

/* As many tasks as a definition may have, in one run; fewer where sanitizers make all of it ten
 * times as slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LARGE 2000
#else
#define LARGE 10000
#endif

static void
a_run_may_be_large(void **state)
{
	enum { N = LARGE };
	struct rs_peer *p = *state;
	auto_free struct rs_peer_task *tasks = xcalloc(N, sizeof(*tasks));
	auto_free char(*names)[8] = xcalloc(N, sizeof(*names));
	start(p);
	for (size_t i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "t%05zu", i);
		tasks[i] = (struct rs_peer_task){ .name = names[i], .nsteps = 1 };
	}
	uint64_t number = rs_peer_run(p, "main", tasks, N, NULL);
	struct rs_offer o = take(&p->ex[0]);
	assert_int_equal(rs_ex_report(&p->ex[0], &o, 1, "success", "ss"), 0);
	assert_int_equal(rs_peer_action(p, number, "stop", NULL), (int)number);
	assert_string_equal(rs_peer_state(p, number), "finished stopped");
	/* The one that succeeded is kept. */
	assert_int_equal(rs_peer_action(p, number, "restart_failed", NULL), (int)number + 1);
	Millrace__RunState *run = rs_peer_get(p, number + 1);
	size_t kept = 0;
	assert_int_equal(run->n_tasks, N);
	for (size_t i = 0; i < N; i++)
		kept += strcmp(run->tasks[i]->id, o.task_id) == 0 &&
		        strcmp(run->tasks[i]->status, "success") == 0;
	assert_int_equal(kept, 1);
	millrace__run_state__free_unpacked(run, NULL);
}

static void
a_cancelled_run_restarts(void **state)
{
	struct rs_peer *p = *state;
	start(p);
	rs_peer_run(p, "main", gated, 1, NULL);
	uint64_t second = rs_peer_run(p, "main", chain, ARRAY_LEN(chain), NULL);
	assert_int_equal(rs_peer_action(p, second, "restart", NULL), ERR_CONFLICT);
	assert_int_equal(rs_peer_action(p, second, "cancel", NULL), (int)second);
	assert_int_equal(rs_peer_action(p, second, "restart_failed", NULL), (int)second + 1);
	assert_string_equal(rs_peer_state(p, second + 1), "queued unknown");
}

/* --- random days --- */

#define EVENTS 150
#define HELD_MAX 4

struct day {
	struct rs_peer *p;
	uint64_t rng, last; /* number of the newest run */
	struct rs_offer held[HELD_MAX];
	size_t nheld;
};

static unsigned
any(struct day *d, unsigned below)
{
	d->rng ^= d->rng << 13;
	d->rng ^= d->rng >> 7;
	d->rng ^= d->rng << 17;
	return (unsigned)(d->rng >> 33) % below;
}

static void
rows_agree(struct day *d)
{
	static const char sql[] =
	    "select coalesce(string_agg(what, '; '), '') from ("
	    "select 'two of group ' || grp || ' run' from runs where phase = 'running' group by "
	    "grp "
	    "having count(*) > 1 union all "
	    "select 'group ' || grp || ' waits for nobody' from runs q where phase = 'queued' and "
	    "not exists (select from runs r where r.grp = q.grp and r.phase = 'running') union all "
	    "select 'out of turn' from runs q join runs r on r.grp = q.grp and r.phase = 'running' "
	    "where q.phase = 'queued' and q.sequence < r.sequence union all "
	    "select 'an attempt of nothing' from attempts a where state <> 'closed' and not exists "
	    "(select from tasks t where t.id = a.task_id and t.fence = a.fence and t.place = "
	    "a.state) "
	    "union all "
	    "select 'a place without attempt' from tasks t where place <> 'free' and not exists "
	    "(select from attempts a where a.task_id = t.id and a.fence = t.fence and "
	    "a.state = t.place) union all "
	    "select 'work in a run that does not run' from tasks t join runs r on r.id = t.run_id "
	    "where t.place <> 'free' and r.phase <> 'running' union all "
	    "select 'a number is missing' from counters c where last <> "
	    "(select count(*) from runs r where r.owner = c.owner) + "
	    "(select count(*) from history h where h.owner = c.owner)) v (what)";
	auto_free char *wrong = rs_peer_sql(d->p, sql);
	if (*wrong != '\0')
		fail_msg("%s", wrong);
}

static void
take_offers(struct day *d)
{
	struct rs_executor *ex = &d->p->ex[0];
	struct rs_offer list[HELD_MAX];
	rs_peer_turn(d->p, 5);
	if (!ex->poll.done && ex->poll.id != 0)
		return;
	size_t n = ex->poll.done ? rs_ex_polled(ex, list, HELD_MAX) : 0;
	rs_call_clear(&ex->poll);
	for (size_t i = 0; i < n; i++) {
		/* It may have been stopped since. */
		if (rs_ex_accept(ex, &list[i], NULL) == 0)
			d->held[d->nheld++] = list[i];
	}
	if (d->nheld < HELD_MAX)
		rs_ex_poll(ex, (unsigned)(HELD_MAX - d->nheld));
}

static void
end_one(struct day *d, size_t i, bool well)
{
	struct rs_executor *ex = &d->p->ex[0];
	assert_int_equal(
	    rs_ex_report(ex, &d->held[i], 1, well ? "success" : "failed", well ? "ss" : "sf"), 0);
	d->held[i] = d->held[--d->nheld];
}

static void
create(struct day *d)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "a", .nsteps = 1 },
		{ .name = "b", .nsteps = 1, .after = "a" },
		{ .name = "c", .nsteps = 1, .after = "b", .when = "on_failure" },
		{ .name = "d", .nsteps = 1, .needs_approval = true },
	};
	static const char *const branches[] = { "main", "dev", "x%2Fy" };
	d->p->cancel_previous = any(d, 6) == 0;
	d->last = rs_peer_run(d->p, branches[any(d, 3)], tasks, 1 + any(d, 4), NULL);
}

static void
one_event(struct day *d)
{
	static const char *const actions[] = { "stop", "cancel", "restart", "restart_failed" };
	uint64_t number = d->last > 0 ? 1 + any(d, (unsigned)d->last) : 0;
	unsigned what = any(d, 10);
	if (d->last == 0 || what < 3) {
		create(d);
	} else if (what < 6) {
		int rc = rs_peer_action(d->p, number, actions[any(d, 4)], NULL);
		assert_true(rc > 0 || rc == ERR_CONFLICT);
		if (rc > (int)d->last)
			d->last = (uint64_t)rc;
	} else if (what == 6) {
		Millrace__RunState *run = rs_peer_get(d->p, number);
		auto_free char *name = xstrdup(run->tasks[any(d, (unsigned)run->n_tasks)]->name);
		millrace__run_state__free_unpacked(run, NULL);
		int rc = rs_peer_approve(d->p, number, name, "u1");
		assert_true(rc == 0 || rc == ERR_CONFLICT);
	} else if (d->nheld > 0) {
		end_one(d, any(d, (unsigned)d->nheld), any(d, 3) > 0);
	}
	take_offers(d);
}

static bool
work_left(struct day *d)
{
	auto_free char *active = rs_peer_sql(d->p, "select count(*) from runs");
	return strcmp(active, "0") != 0;
}

static void
random_days(void **state)
{
	struct day d = { .p = *state, .rng = 20261107 };
	start(d.p);
	for (unsigned i = 0; i < EVENTS; i++) {
		one_event(&d);
		rows_agree(&d);
	}
	/* With an executor that works and a user who approves all of it ends. */
	for (unsigned i = 0; i < 1000 && work_left(&d); i++) {
		for (uint64_t n = 1; i % 10 == 0 && n <= d.last; n++) {
			Millrace__RunState *run = rs_peer_get(d.p, n);
			bool waits = false;
			for (size_t t = 0; t < run->n_tasks; t++)
				waits |= run->tasks[t]->waiting_approval;
			millrace__run_state__free_unpacked(run, NULL);
			if (waits)
				assert_int_equal(rs_peer_approve(d.p, n, "d", "u2"), 0);
		}
		while (d.nheld > 0)
			end_one(&d, 0, true);
		take_offers(&d);
		rows_agree(&d);
	}
	assert_true(d.last > 40);
	assert_false(work_left(&d));
	rs_call_clear(&d.p->ex[0].poll);
}

int
main(void)
{
#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, rs_peer_setup, rs_peer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_run_of_a_group_at_a_time),
		TEST(waiting_is_explained),
		TEST(an_approval_keeps_its_group_waiting),
		TEST(a_newer_run_ends_older_ones),
		TEST(a_newer_run_takes_the_place_of_one_that_waits),
		TEST(labels_choose_executors),
		TEST(an_unknown_condition_never_holds),
		TEST(a_restart_keeps_what_succeeded),
		TEST(a_workspace_is_of_all_ancestors),
		TEST(changes_are_events),
		TEST(active_and_finished_runs_are_listed),
		TEST(a_run_may_be_large),
		TEST(a_cancelled_run_restarts),
		TEST(random_days),
	};
	return cmocka_run_group_tests_name("runservice_runs", tests, NULL, NULL);
}
