/*
 * Tasks that are tried again, over the whole runservice: attempts, what each leaves behind, and
 * what an executor that comes too late may still say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/mem.h"
#include "tests/lib/rs_archive.h"

#include <stdio.h>
#include <string.h>

#define SHORT_LEASE_MS 1500
#define TEXT(s_) (s_), (sizeof(s_) - 1)

static void *
unconst(const void *s)
{
	return (void *)(uintptr_t)s;
}

static const struct rs_peer_task twice[] = { { .name = "task", .nsteps = 1, .retries = 2 } };
static const struct rs_peer_task with_child[] = {
	{ .name = "task", .nsteps = 2, .save = true, .retries = 2 },
	{ .name = "child", .nsteps = 1, .after = "task" },
};

static uint64_t
make(struct rs_peer *p, const struct rs_peer_task *tasks, size_t n)
{
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(rs_ex_register(&p->ex[i], NULL, 0), 0);
	return rs_peer_run(p, "main", tasks, n, NULL);
}

static struct rs_offer
hold(struct rs_executor *ex)
{
	struct rs_offer o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	return o;
}

static void
say(struct rs_executor *ex, const struct rs_offer *o, int step, const char *text)
{
	assert_int_equal(rs_ex_log(ex, o, step, 0, text, strlen(text), true, NULL, NULL), 0);
}

/* An attempt that says text in its first step and fails there. */
static struct rs_offer
fail_saying(struct rs_executor *ex, const char *text, unsigned nsteps)
{
	struct rs_offer o = hold(ex);
	assert_int_equal(rs_ex_report(ex, &o, 1, "running", nsteps > 1 ? "srn" : "sr"), 0);
	say(ex, &o, -1, "setup ");
	say(ex, &o, 0, text);
	assert_int_equal(rs_ex_report(ex, &o, 2, "failed", nsteps > 1 ? "sfn" : "sf"), 0);
	return o;
}

static void
assert_log(struct rs_peer *p, uint64_t number, const char *task, unsigned attempt, const char *want)
{
	int code = 0;
	auto_free char *log = rs_peer_log_of(p, number, task, 0, attempt, &code);
	if (want == NULL) {
		assert_null(log);
		assert_int_equal(code, ERR_NOTFOUND);
	} else if (!log || strcmp(log, want) != 0) {
		fail_msg(
		    "attempt %u: \"%s\" (%d), not \"%s\"", attempt, log ? log : "", code, want);
	}
}

static void
assert_sql(struct rs_peer *p, const char *sql, const char *want)
{
	auto_free char *got = rs_peer_sql(p, sql);
	if (strcmp(got, want) != 0)
		fail_msg("%s: %s, not %s", sql, got, want);
}

static void
assert_attempt(struct rs_peer *p, uint64_t number, unsigned attempt, const char *status)
{
	Millrace__RunState *run = rs_peer_get(p, number);
	const Millrace__TaskState *t = rs_peer_task(run, "task");
	assert_int_equal(t->attempt, attempt);
	assert_int_equal(t->attempts_max, 3);
	assert_string_equal(t->status, status);
	assert_int_equal(t->n_attempts, 0); /* only of a task that is asked for */
	millrace__run_state__free_unpacked(run, NULL);
}

static void
fails_twice_then_passes(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *a = &p->ex[0], *b = &p->ex[1];
	uint64_t number = make(p, with_child, 2);
	struct rs_offer o = fail_saying(a, "one", 2);
	assert_string_equal(rs_peer_state(p, number), "running unknown");
	assert_attempt(p, number, 2, "notstarted");
	/* The newest has no log yet. */
	assert_log(p, number, o.task_id, 0, NULL);
	assert_log(p, number, o.task_id, 1, "one");
	assert_log(p, number, o.task_id, 3, NULL);
	/* What is between two attempts survives us. */
	rs_peer_stop(p);
	rs_peer_start(p);
	assert_int_equal(rs_ex_register(a, NULL, 0), 0);
	assert_int_equal(rs_ex_register(b, NULL, 0), 0);
	assert_attempt(p, number, 2, "notstarted");
	struct rs_offer second = fail_saying(b, "two, elsewhere", 2);
	assert_string_equal(second.task_id, o.task_id);
	assert_true(second.fence > o.fence);
	struct rs_offer third = rs_ex_offer(a);
	Millrace__AcceptReply *plan = NULL;
	assert_int_equal(rs_ex_accept(a, &third, &plan), 0);
	assert_int_equal(plan->state->attempt, 3);
	assert_int_equal(plan->state->attempts_max, 3);
	assert_string_equal(plan->state->setup->phase, "notstarted");
	millrace__accept_reply__free_unpacked(plan, NULL);
	assert_attempt(p, number, 3, "notstarted");
	assert_int_equal(rs_ex_begin(a, &third), 0);
	/* So does what is within one. */
	rs_peer_stop(p);
	rs_peer_start(p);
	assert_int_equal(rs_ex_register(a, &third, 1), 0);
	say(a, &third, 0, "three");
	assert_log(p, number, o.task_id, 1, "one");
	assert_log(p, number, o.task_id, 0, "three");
	assert_int_equal(rs_ex_report(a, &third, 1, "success", "sss"), 0);
	/* The child sees a success, once. */
	struct rs_offer child = rs_ex_offer(a);
	assert_string_not_equal(child.task_id, o.task_id);
	rs_ex_do(a, &child, 1);
	assert_string_equal(rs_peer_state(p, number), "finished success");
	assert_log(p, number, o.task_id, 1, "one");
	assert_log(p, number, o.task_id, 2, "two, elsewhere");
	assert_log(p, number, o.task_id, 3, "three");
	assert_log(p, number, o.task_id, 0, "three");
	assert_log(p, number, o.task_id, 4, NULL);
	assert_sql(p, "select count(*) from tries", "0"); /* they are in history */
	/* Objects of a first attempt are where they always were. */
	auto_free char *key =
	    rs_peer_sql(p, "select key from log_segments where try = 0 and step = 0");
	auto_free char *begin = xasprintf("logs/%s/1/0/0-", o.task_id);
	assert_int_equal(strncmp(key, begin, strlen(begin)), 0);
	/* What is told of the attempts before. */
	Millrace__RunState *run = rs_peer_get_task(p, number, o.task_id);
	const Millrace__TaskState *t = rs_peer_task(run, "task");
	assert_int_equal(t->n_attempts, 2);
	assert_int_equal(t->attempts[1]->attempt, 2);
	assert_string_equal(t->attempts[1]->executor, "ex2");
	assert_string_equal(t->attempts[1]->setup->phase, "success");
	assert_string_equal(t->attempts[1]->steps[0]->phase, "failed");
	assert_true(t->attempts[1]->end_ms > 0);
	assert_string_equal(t->steps[0]->phase, "success");
	assert_int_equal(rs_peer_task(run, "child")->attempts_max, 1);
	millrace__run_state__free_unpacked(run, NULL);
}

static void
no_more_than_that(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "task", .nsteps = 1, .retries = 2, .needs_approval = true },
		{ .name = "on success", .nsteps = 1, .after = "task" },
		{ .name = "on failure", .nsteps = 1, .after = "task", .when = "on_failure" },
	};
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number = make(p, tasks, 3);
	assert_int_equal(rs_peer_approve(p, number, "task", "u1"), 0);
	struct rs_offer o = fail_saying(ex, "one", 1);
	fail_saying(ex, "two", 1);
	assert_string_equal(rs_peer_state(p, number), "running unknown");
	fail_saying(ex, "three", 1);
	assert_string_equal(rs_peer_state(p, number), "running failed");
	assert_attempt(p, number, 3, "failed");
	Millrace__RunState *run = rs_peer_get(p, number);
	assert_string_equal(rs_peer_task(run, "on success")->status, "skipped");
	millrace__run_state__free_unpacked(run, NULL);
	struct rs_offer last = rs_ex_offer(ex);
	assert_string_not_equal(last.task_id, o.task_id);
	rs_ex_do(ex, &last, 1);
	assert_string_equal(rs_peer_state(p, number), "finished failed");
	assert_log(p, number, o.task_id, 1, "one");
	assert_log(p, number, o.task_id, 0, "three");
}

/* Of an attempt that is over nothing is taken, be the next one waiting, offered or held. */
static void
refuse_everything(struct rs_peer *p, struct rs_executor *ex, const struct rs_offer *o)
{
	static const char *const words[] = { "running", "success", "stopped", "cancelled" };
	uint64_t stored = 0;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_int_equal(rs_ex_report(ex, o, 50 + i, words[i], "ss"), ERR_CONFLICT);
	/* Only what was heard is heard again, as often as it is said. */
	assert_int_equal(rs_ex_report(ex, o, 2, "failed", "sf"), 0);
	assert_int_equal(rs_ex_report(ex, o, 99, "failed", "ff"), 0);
	assert_int_equal(rs_ex_accept(ex, o, NULL), ERR_CONFLICT);
	assert_int_equal(rs_ex_begin(ex, o), ERR_CONFLICT);
	assert_int_equal(rs_ex_log(ex, o, 0, 3, TEXT(" late"), true, NULL, &stored), ERR_CONFLICT);
	int code = 0;
	auto_free char *none = rs_ex_archive_begin(ex, o, 0, NULL, &code);
	assert_null(none);
	assert_int_equal(code, ERR_CONFLICT);
	assert_int_equal(rs_ex_renew(ex, o, 1), 1);
	assert_int_equal(rs_ex_register(ex, o, 1), 1);
	(void)p;
}

static void
late_words_of_an_attempt_before(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *a = &p->ex[0], *b = &p->ex[1];
	uint64_t number = make(p, twice, 1);
	struct rs_offer first = fail_saying(a, "one", 1);
	refuse_everything(p, a, &first); /* the next one waits */
	assert_attempt(p, number, 2, "notstarted");
	struct rs_offer second = rs_ex_offer(b);
	refuse_everything(p, a, &first); /* is offered */
	assert_int_equal(rs_ex_accept(b, &second, NULL), 0);
	assert_int_equal(rs_ex_begin(b, &second), 0);
	assert_int_equal(rs_ex_report(b, &second, 1, "running", "sr"), 0);
	refuse_everything(p, a, &first); /* and is held */
	/* Nobody says anything of another's attempt. */
	assert_int_equal(rs_ex_report(a, &second, 9, "success", "ss"), ERR_CONFLICT);
	assert_int_equal(rs_ex_report(b, &first, 9, "failed", "ff"), ERR_CONFLICT);
	say(b, &second, 0, "two");
	assert_attempt(p, number, 2, "running");
	assert_int_equal(rs_ex_report(b, &second, 2, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished success");
	assert_int_equal(rs_ex_report(a, &first, 2, "failed", "sf"), 0);
	assert_int_equal(rs_ex_report(a, &first, 3, "success", "ss"), ERR_CONFLICT);
	assert_log(p, number, first.task_id, 1, "one");
	assert_log(p, number, first.task_id, 2, "two");
}

static void
until_attempt(struct rs_peer *p, uint64_t number, unsigned attempt)
{
	for (int64_t end = clock_mono_ms() + RS_PEER_WAIT_MS; clock_mono_ms() < end;) {
		Millrace__RunState *run = rs_peer_get(p, number);
		bool there = run->tasks[0]->attempt == attempt;
		millrace__run_state__free_unpacked(run, NULL);
		if (there)
			return;
		rs_peer_turn(p, 20);
	}
	fail_msg("attempt %u does not begin", attempt);
}

/* What a lost executor had said and was not stored yet is still of its attempt. */
static void
a_lost_executor(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *a = &p->ex[0], *b = &p->ex[1];
	uint64_t received = 0;
	p->cfg.lease_ms = SHORT_LEASE_MS;
	uint64_t number = make(p, twice, 1);
	struct rs_offer first = hold(a);
	assert_int_equal(rs_ex_report(a, &first, 1, "running", "sr"), 0);
	say(a, &first, 0, "said, ");
	rs_peer_turn(p, SHORT_LEASE_MS - 200);
	assert_int_equal(rs_ex_log(a, &first, 0, 6, TEXT("last words"), false, &received, NULL), 0);
	assert_int_equal(received, 16);
	until_attempt(p, number, 2);
	p->cfg.lease_ms = RS_PEER_LEASE_MS;
	struct rs_offer second = hold(b);
	say(b, &second, 0, "two");
	assert_int_equal(rs_ex_report(a, &first, 2, "success", "ss"), ERR_CONFLICT);
	assert_int_equal(rs_ex_log(a, &first, 0, 16, TEXT("!"), true, NULL, NULL), ERR_CONFLICT);
	assert_int_equal(rs_ex_register(a, &first, 1), 1);
	assert_int_equal(rs_ex_report(b, &second, 1, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished success");
	for (int64_t end = clock_mono_ms() + RS_PEER_WAIT_MS; clock_mono_ms() < end;) {
		auto_free char *stored = rs_peer_sql(
		    p, "select sum(end_off - start_off) from log_segments where try = 0");
		if (strcmp(stored, "16") == 0)
			break;
		rs_peer_turn(p, 20);
	}
	assert_log(p, number, first.task_id, 1, "said, last words");
	assert_log(p, number, first.task_id, 2, "two");
	Millrace__RunState *run = rs_peer_get_task(p, number, first.task_id);
	assert_non_null(strstr(run->tasks[0]->attempts[0]->steps[0]->error, "executor lost"));
	millrace__run_state__free_unpacked(run, NULL);
}

/* A setup that failed is a failure; one that was lost before it began is handed out again. */
static void
before_it_began(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *a = &p->ex[0];
	uint64_t number = make(p, twice, 1);
	struct rs_offer o = rs_ex_offer(a);
	assert_int_equal(rs_ex_accept(a, &o, NULL), 0);
	say(a, &o, -1, "no such image");
	assert_int_equal(rs_ex_report(a, &o, 1, "failed", "fn"), 0);
	assert_attempt(p, number, 2, "notstarted");
	/* Three times an executor comes back without it. Its log is written anew each time. */
	for (unsigned i = 0; i < 3; i++) {
		assert_attempt(p, number, 2, "notstarted");
		o = rs_ex_offer(a);
		assert_int_equal(rs_ex_accept(a, &o, NULL), 0);
		say(a, &o, -1, "a long way to go");
		struct id session = id_new();
		memcpy(a->session, session.s, sizeof(a->session));
		rs_call_clear(&a->poll);
		assert_int_equal(rs_ex_register(a, NULL, 0), 0);
		char sql[160];
		snprintf(sql, sizeof(sql),
		    "select count(*) from attempts where state = 'closed' and try = 1 and fence = "
		    "%llu",
		    (unsigned long long)o.fence);
		for (int64_t end = clock_mono_ms() + RS_PEER_WAIT_MS;;) {
			auto_free char *closed = rs_peer_sql(p, sql);
			if (strcmp(closed, "1") == 0)
				break;
			assert_true(clock_mono_ms() < end);
			rs_peer_turn(p, 10);
		}
	}
	assert_attempt(p, number, 3, "notstarted");
	o = hold(a);
	say(a, &o, -1, "three");
	assert_int_equal(rs_ex_report(a, &o, 1, "success", "ss"), 0);
	int code = 0;
	auto_free char *first = rs_peer_log_of(p, number, o.task_id, -1, 1, &code);
	auto_free char *second = rs_peer_log_of(p, number, o.task_id, -1, 2, &code);
	auto_free char *third = rs_peer_log_of(p, number, o.task_id, -1, 3, &code);
	assert_string_equal(first, "no such image");
	assert_string_equal(second, "a long way to go");
	assert_string_equal(third, "three");
}

static void
a_stop_between_attempts(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *a = &p->ex[0];
	uint64_t number = make(p, twice, 1);
	struct rs_offer o = fail_saying(a, "one", 1);
	assert_int_equal(rs_peer_action(p, number, "stop", NULL), (int)number);
	assert_string_equal(rs_peer_state(p, number), "finished stopped");
	assert_attempt(p, number, 2, "stopped");
	assert_log(p, number, o.task_id, 1, "one");
	rs_ex_poll(a, 4);
	rs_peer_turn(p, 300);
	assert_false(a->poll.done);
	rs_call_clear(&a->poll);
	/* A newer run of the branch ends it as well, while it is offered. */
	number = rs_peer_run(p, "main", twice, 1, NULL);
	fail_saying(a, "one", 1);
	o = rs_ex_offer(a);
	p->cancel_previous = true;
	uint64_t newer = rs_peer_run(p, "main", twice, 1, NULL);
	assert_string_equal(rs_peer_state(p, number), "finished stopped");
	assert_int_equal(rs_ex_accept(a, &o, NULL), ERR_CONFLICT);
	o = rs_ex_offer(a);
	rs_ex_do(a, &o, 1);
	assert_string_equal(rs_peer_state(p, newer), "finished success");
}

static void
a_stop_in_an_attempt(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *a = &p->ex[0];
	uint64_t number = make(p, twice, 1);
	fail_saying(a, "one", 1);
	struct rs_offer o = hold(a);
	assert_int_equal(rs_peer_action(p, number, "stop", NULL), (int)number);
	/* It fails before it hears of the stop: that is the end all the same. */
	assert_int_equal(rs_ex_report(a, &o, 1, "failed", "sf"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished stopped");
	assert_attempt(p, number, 2, "failed");
}

static char *
save(struct rs_peer *p, struct rs_executor *ex, const struct rs_offer *o, uint32_t step,
    const char *key, const char *text)
{
	const struct rs_part part = { text, (uint32_t)strlen(text) };
	char *id = rs_ex_archive_begin(ex, o, step, key, NULL);
	Millrace__ArchiveUrlsReply *urls = rs_ex_archive_urls(ex, o, id, 1, 0);
	assert_int_equal(rs_peer_http(p, "PUT", urls->urls[0], text, strlen(text), NULL), 200);
	millrace__archive_urls_reply__free_unpacked(urls, NULL);
	assert_int_equal(rs_ex_archive_complete(ex, o, id, step, &part, 1, NULL), 0);
	return id;
}

/* Turns until the retention has looked once more. */
static void
clean(struct rs_peer *p)
{
	rs_peer_stop(p);
	rs_peer_start(p);
	rs_peer_turn(p, 300);
}

/* A workspace that a failed attempt saved is nobody's: children get the last attempt's, or none. */
static void
workspaces_are_of_the_last_attempt(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "task", .nsteps = 2, .save = true, .retries = 2 },
		{ .name = "child", .nsteps = 1, .after = "task" },
		{ .name = "on failure", .nsteps = 1, .after = "task", .when = "on_failure" },
	};
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	Millrace__AcceptReply *plan = NULL;
	p->cfg.workspace_retention_ms = 0;
	p->cfg.cleaner_ms = 3600000;
	p->cfg.sweep_ms = 0; /* garbage stays, to be counted */
	make(p, tasks, 3);
	struct rs_offer o = hold(ex);
	auto_free char *first = save(p, ex, &o, 1, NULL, "of the first");
	assert_int_equal(rs_ex_report(ex, &o, 1, "failed", "sfs"), 0);
	o = hold(ex);
	auto_free char *second = save(p, ex, &o, 1, NULL, "of the second");
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "sss"), 0);
	struct rs_offer child = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &child, &plan), 0);
	assert_int_equal(plan->n_workspace, 1);
	assert_string_equal(plan->workspace[0]->archive_id, second);
	millrace__accept_reply__free_unpacked(plan, NULL);
	assert_int_equal(rs_ex_archive_get(ex, &child, first, NULL), ERR_NOTFOUND);
	assert_int_equal(rs_ex_begin(ex, &child), 0);
	assert_int_equal(rs_ex_report(ex, &child, 1, "success", "ss"), 0);
	/* The same, and the last attempt fails before it saves. */
	uint64_t number = rs_peer_run(p, "main", tasks, 3, NULL);
	o = hold(ex);
	auto_free char *again = save(p, ex, &o, 1, NULL, "of the first");
	assert_int_equal(rs_ex_report(ex, &o, 1, "failed", "sfs"), 0);
	for (int i = 0; i < 2; i++) {
		o = hold(ex);
		assert_int_equal(rs_ex_report(ex, &o, 1, "failed", "sfn"), 0);
	}
	child = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &child, &plan), 0);
	assert_int_equal(plan->n_workspace, 0);
	millrace__accept_reply__free_unpacked(plan, NULL);
	assert_int_equal(rs_ex_archive_get(ex, &child, again, NULL), ERR_NOTFOUND);
	/* It goes once nobody can still be writing it. */
	assert_int_equal(rs_ex_begin(ex, &child), 0);
	assert_int_equal(rs_ex_report(ex, &child, 1, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished failed");
	clean(p);
	assert_sql(p, "select count(*) from archives", "3");
	rs_peer_exec(p, "update archives set urls_at = now() - interval '3 hours'");
	clean(p);
	assert_sql(p, "select count(*) from archives", "1");
	assert_sql(p, "select count(*) from garbage where key like 'archives/%'", "2");
}

/* A cache is not undone: it is of the project, not of the attempt. */
static void
caches_stay(void **state)
{
	static const struct rs_peer_task caching[] = {
		{ .name = "task", .nsteps = 3, .caches = true, .retries = 2 }
	};
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	Millrace__CacheFindReply *found = NULL;
	make(p, caching, 1);
	struct rs_offer o = hold(ex);
	auto_free char *id = save(p, ex, &o, 0, "key", "cached");
	assert_int_equal(rs_ex_report(ex, &o, 1, "failed", "ssff"), 0);
	o = hold(ex);
	assert_int_equal(rs_ex_cache_find(ex, &o, 1, "key", &found), 0);
	assert_string_equal(found->archive_id, id);
	millrace__cache_find_reply__free_unpacked(found, NULL);
	assert_int_equal(rs_ex_archive_get(ex, &o, id, NULL), 0);
}

/* Who reads a log reads that of one attempt to its end. */
static void
followers_stay_with_their_attempt(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *a = &p->ex[0];
	struct rs_call old = { 0 }, next = { 0 };
	uint64_t number = make(p, twice, 1);
	struct rs_offer o = hold(a);
	assert_int_equal(rs_ex_report(a, &o, 1, "running", "sr"), 0);
	say(a, &o, 0, "one");
	Millrace__LogReadRequest req = MILLRACE__LOG_READ_REQUEST__INIT;
	req.owner = unconst(RS_PEER_OWNER);
	req.number = number;
	req.task_id = o.task_id;
	req.step = 0;
	req.offset = 3;
	req.has_wait_ms = true;
	req.wait_ms = 20000;
	rs_call_start(&old, p, p->gateway, "log.read", &req);
	rs_peer_turn(p, 50);
	assert_false(old.done);
	assert_int_equal(rs_ex_report(a, &o, 2, "failed", "sf"), 0);
	assert_int_equal(rs_call_wait(&old), 0);
	Millrace__LogReadReply *m = millrace__log_read_reply__unpack(NULL, old.len, old.body);
	assert_true(m && m->end && m->data.len == 0 && m->attempt == 1);
	millrace__log_read_reply__free_unpacked(m, NULL);
	/* The next attempt's, asked for before there is anything of it. */
	req.offset = 0;
	rs_call_start(&next, p, p->gateway, "log.read", &req);
	o = hold(a);
	assert_int_equal(rs_ex_report(a, &o, 1, "running", "sr"), 0);
	assert_false(next.done);
	assert_int_equal(rs_ex_log(a, &o, 0, 0, TEXT("two"), false, NULL, NULL), 0);
	assert_int_equal(rs_call_wait(&next), 0);
	m = millrace__log_read_reply__unpack(NULL, next.len, next.body);
	assert_true(m && !m->end && m->attempt == 2);
	assert_int_equal(m->data.len, 3);
	assert_memory_equal(m->data.data, "two", 3);
	millrace__log_read_reply__free_unpacked(m, NULL);
	rs_call_clear(&old);
	rs_call_clear(&next);
	assert_int_equal(rs_ex_report(a, &o, 2, "success", "ss"), 0);
	/* Another owner's run sees nothing of it. */
	req.owner = unconst("/project/p2");
	assert_int_equal(rs_call(p, p->gateway, "log.read", &req, NULL, NULL), ERR_NOTFOUND);
	req.owner = unconst(RS_PEER_OWNER);
	req.has_attempt = true;
	req.attempt = UINT32_MAX;
	assert_int_equal(rs_call(p, p->gateway, "log.read", &req, NULL, NULL), ERR_NOTFOUND);
	req.attempt = 0;
	assert_int_equal(rs_call(p, p->gateway, "log.read", &req, NULL, NULL), ERR_NOTFOUND);
}

static int
delete_log(struct rs_peer *p, uint64_t number, const char *task, unsigned attempt)
{
	Millrace__LogDeleteRequest req = MILLRACE__LOG_DELETE_REQUEST__INIT;
	req.owner = unconst(RS_PEER_OWNER);
	req.number = number;
	req.task_id = unconst(task);
	req.has_attempt = attempt > 0;
	req.attempt = attempt;
	return rs_call(p, p->gateway, "log.delete", &req, NULL, NULL);
}

static void
logs_of_all_attempts_go(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *a = &p->ex[0];
	p->cfg.log_retention_ms = 30 * INT64_C(86400000);
	p->cfg.cleaner_ms = 3600000;
	p->cfg.sweep_ms = 0;
	uint64_t number = make(p, twice, 1);
	struct rs_offer o = fail_saying(a, "one", 1);
	/* What is old is kept while its run goes on. */
	rs_peer_exec(p, "update log_segments set created = now() - interval '31 days'");
	clean(p);
	assert_log(p, number, o.task_id, 1, "one");
	assert_int_equal(rs_ex_register(a, NULL, 0), 0);
	fail_saying(a, "two", 1);
	fail_saying(a, "three", 1);
	assert_string_equal(rs_peer_state(p, number), "finished failed");
	/* One of them. */
	assert_int_equal(delete_log(p, number, o.task_id, 4), ERR_NOTFOUND);
	assert_int_equal(delete_log(p, number, o.task_id, 2), 0);
	assert_log(p, number, o.task_id, 1, "one");
	assert_log(p, number, o.task_id, 2, NULL);
	assert_log(p, number, o.task_id, 3, "three");
	/* All; the setup's are others. */
	assert_int_equal(delete_log(p, number, o.task_id, 0), 0);
	for (unsigned i = 0; i <= 3; i++)
		assert_log(p, number, o.task_id, i, NULL);
	assert_sql(p, "select count(*) from log_segments", "3");
	assert_sql(p, "select count(distinct try) from deleted_logs", "3");
	/* Age. */
	rs_peer_exec(p, "update log_segments set created = now() - interval '31 days'");
	clean(p);
	assert_sql(p, "select count(*) from log_segments", "0");
	assert_sql(p, "select count(*) from deleted_logs", "6");
	assert_sql(p, "select count(*) from garbage where key like 'logs/%'", "6");
}

/* Kept tasks keep the logs of all their attempts; the others count from 1 again. */
static void
restarts_count_anew(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "task", .nsteps = 1, .retries = 2 },
		{ .name = "child", .nsteps = 1, .after = "task", .retries = 1 },
	};
	struct rs_peer *p = *state;
	struct rs_executor *a = &p->ex[0];
	uint64_t number = make(p, tasks, 2);
	struct rs_offer o = fail_saying(a, "one", 1);
	struct rs_offer second = hold(a);
	say(a, &second, 0, "two");
	assert_int_equal(rs_ex_report(a, &second, 1, "success", "ss"), 0);
	fail_saying(a, "child one", 1);
	fail_saying(a, "child two", 1);
	assert_string_equal(rs_peer_state(p, number), "finished failed");
	uint64_t again = (uint64_t)rs_peer_action(p, number, "restart_failed", NULL);
	assert_attempt(p, again, 2, "success");
	assert_log(p, again, o.task_id, 1, "one");
	assert_log(p, again, o.task_id, 0, "two");
	struct rs_offer child = fail_saying(a, "child three", 1);
	rs_peer_stop(p);
	rs_peer_start(p);
	assert_int_equal(rs_ex_register(a, NULL, 0), 0);
	assert_log(p, again, child.task_id, 1, "child three");
	assert_log(p, again, o.task_id, 1, "one");
	child = hold(a);
	assert_int_equal(rs_ex_report(a, &child, 1, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, again), "finished success");
	assert_log(p, again, o.task_id, 1, "one");
}

/* What cannot be handed out now cannot be handed out later. */
static void
an_unfit_task_is_not_tried_again(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "task", .nsteps = 1, .variable = "password", .retries = 2 }
	};
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number = make(p, tasks, 1);
	struct rs_offer o = rs_ex_offer(ex);
	rs_peer_exec(p,
	    "update secret_versions set sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1) "
	    "where run_id is not null");
	assert_int_equal(rs_ex_accept(ex, &o, NULL), ERR_CONFLICT);
	assert_string_equal(rs_peer_state(p, number), "finished failed");
	assert_attempt(p, number, 1, "failed");
}

int
main(void)
{
#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, rs_peer_setup, rs_peer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(fails_twice_then_passes),
		TEST(no_more_than_that),
		TEST(late_words_of_an_attempt_before),
		TEST(a_lost_executor),
		TEST(before_it_began),
		TEST(a_stop_between_attempts),
		TEST(a_stop_in_an_attempt),
		TEST(workspaces_are_of_the_last_attempt),
		TEST(caches_stay),
		TEST(followers_stay_with_their_attempt),
		TEST(logs_of_all_attempts_go),
		TEST(restarts_count_anew),
		TEST(an_unfit_task_is_not_tried_again),
	};
	return cmocka_run_group_tests_name("retries", tests, NULL, NULL);
}
