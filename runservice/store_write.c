#include "runservice/store_write.h"

#include "runservice/state.h"
#include "runservice/store_int.h"

#include "common/buf.h"
#include "common/mem.h"

#include <inttypes.h>
#include <string.h>

/* In the order in which they are sent: what is made comes before what changes it. */
enum kind {
	W_RUN_NEW,
	W_TASK_NEW,
	W_DEP_NEW,
	W_DEFINITION,
	W_COUNTER,
	W_REQUEST,
	W_OFFER,
	W_HOLD,
	W_MARK,
	W_CLOSE,
	W_RUN,
	W_TASK,
	W_STEP,
	W_TRY,
	W_STEPS_OVER,
	W_DEPS_OVER,
	W_TRIES_OVER,
	W_TASKS_OVER,
	W_RUN_OVER,
	W_HISTORY,
	W_EVENT,
	W_KINDS,
};

/* clang-format off */
const struct db_stmt rs_stmts_write[] = {
	[W_RUN_NEW] = { "write_run_new",
	  "insert into runs (id, sequence, owner, number, name, grp, phase, result, stopping, enqueue_ms, "
	  "start_ms) select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], "
	  "$6::text[], $7::text[], $8::text[], $9::boolean[], $10::bigint[], $11::bigint[])", 11 },
	[W_TASK_NEW] = { "write_task_new",
	  "insert into tasks (run_id, id, ord, name, level, status, place, fence, executor, skip, "
	  "ignore_failure, needs_approval, approved, waiting, arch, privileged, nsteps, timeout_ms, "
	  "start_ms, end_ms, labels, retries, tries) "
	  "select * from unnest($1::uuid[], $2::uuid[], $3::integer[], "
	  "$4::text[], $5::integer[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::boolean[], "
	  "$11::boolean[], $12::boolean[], $13::boolean[], $14::boolean[], $15::text[], "
	  "$16::boolean[], $17::integer[], $18::bigint[], $19::bigint[], $20::bigint[], "
	  "$21::text[], $22::integer[], $23::integer[])", 23 },
	[W_DEP_NEW] = { "write_dep_new",
	  "insert into deps (run_id, task_id, parent_id, conditions) "
	  "select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[])", 4 },
	[W_DEFINITION] = { "write_definition",
	  "insert into definitions (run_id, spec) select * from unnest($1::uuid[], $2::bytea[])", 2 },
	[W_COUNTER] = { "write_counter",
	  "insert into counters (owner, last) select * from unnest($1::text[], $2::bigint[]) "
	  "on conflict (owner) do update set last = excluded.last", 2 },
	[W_REQUEST] = { "write_request",
	  "insert into requests (id, answer) select * from unnest($1::uuid[], $2::bytea[])", 2 },
	[W_OFFER] = { "write_offer",
	  "insert into attempts (task_id, fence, run_id, executor, try, state) "
	  "select *, 'offered' from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], "
	  "$5::integer[])", 5 },
	[W_HOLD] = { "write_hold",
	  "update attempts a set state = 'held', session = w.session, lease_expires = "
	  "clock_timestamp() + w.lease_ms * interval '1 millisecond' "
	  "from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[]) "
	  "as w (task_id, fence, session, lease_ms) "
	  "where a.task_id = w.task_id and a.fence = w.fence and a.state <> 'closed'", 4 },
	[W_MARK] = { "write_mark",
	  "update attempts a set begun = w.begun, revision = w.revision "
	  "from unnest($1::uuid[], $2::bigint[], $3::boolean[], $4::bigint[]) "
	  "as w (task_id, fence, begun, revision) "
	  "where a.task_id = w.task_id and a.fence = w.fence", 4 },
	[W_CLOSE] = { "write_close",
	  "update attempts a set state = 'closed', outcome = w.outcome, begun = w.begun, "
	  "revision = w.revision, closed_at = now() "
	  "from unnest($1::uuid[], $2::bigint[], $3::text[], $4::boolean[], $5::bigint[]) "
	  "as w (task_id, fence, outcome, begun, revision) "
	  "where a.task_id = w.task_id and a.fence = w.fence", 5 },
	[W_RUN] = { "write_run",
	  "update runs r set phase = w.phase, result = w.result, stopping = w.stopping, "
	  "revision = w.revision, start_ms = w.start_ms, end_ms = w.end_ms "
	  "from unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::bigint[], $6::bigint[], "
	  "$7::bigint[]) as w (id, phase, result, stopping, revision, start_ms, end_ms) "
	  "where r.id = w.id", 7 },
	[W_TASK] = { "write_task",
	  "update tasks t set status = w.status, place = w.place, fence = w.fence, "
	  "executor = w.executor, approved = w.approved, waiting = w.waiting, timedout = w.timedout, "
	  "stop_told = w.stop_told, approvers = w.approvers, start_ms = w.start_ms, end_ms = w.end_ms, "
	  "tries = w.tries "
	  "from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[], "
	  "$7::boolean[], $8::boolean[], $9::boolean[], $10::boolean[], $11::text[], $12::bigint[], "
	  "$13::bigint[], $14::integer[]) as w (run_id, id, status, place, fence, executor, approved, "
	  "waiting, timedout, stop_told, approvers, start_ms, end_ms, tries) "
	  "where t.run_id = w.run_id and t.id = w.id", 14 },
	[W_STEP] = { "write_step",
	  "insert into steps (run_id, task_id, step, phase, exit_status, start_ms, end_ms, log_stored, "
	  "error) select * from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], "
	  "$5::integer[], $6::bigint[], $7::bigint[], $8::boolean[], $9::text[]) "
	  "on conflict (run_id, task_id, step) do update set phase = excluded.phase, "
	  "exit_status = excluded.exit_status, start_ms = excluded.start_ms, "
	  "end_ms = excluded.end_ms, log_stored = excluded.log_stored, error = excluded.error", 9 },
	[W_TRY] = { "write_try",
	  "insert into tries (run_id, task_id, try, state) "
	  "select * from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::bytea[])", 4 },
	[W_STEPS_OVER] = { "write_steps_over", "delete from steps where run_id = any ($1::uuid[])", 1 },
	[W_DEPS_OVER] = { "write_deps_over", "delete from deps where run_id = any ($1::uuid[])", 1 },
	[W_TRIES_OVER] = { "write_tries_over", "delete from tries where run_id = any ($1::uuid[])", 1 },
	[W_TASKS_OVER] = { "write_tasks_over", "delete from tasks where run_id = any ($1::uuid[])", 1 },
	[W_RUN_OVER] = { "write_run_over", "delete from runs where id = any ($1::uuid[])", 1 },
	[W_HISTORY] = { "write_history",
	  "insert into history (id, sequence, owner, number, grp, phase, result, state) "
	  "select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], "
	  "$6::text[], $7::text[], $8::bytea[])", 8 },
	[W_EVENT] = { "write_event",
	  "insert into events (run_id, owner, number, phase, result) "
	  "select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[])", 5 },
};
/* clang-format on */
const size_t rs_stmts_write_len = ARRAY_LEN(rs_stmts_write);

#define KEEP_MAX 65536 /* bytes of a column's buffer that are kept for the next rows */

struct rs_writes {
	size_t bytes;
	struct {
		struct buf cols[DB_PARAMS_MAX]; /* array literals, still open */
		size_t n;
	} kinds[W_KINDS];
};

struct rs_writes *
rs_writes_new(void)
{
	return xcalloc(1, sizeof(struct rs_writes));
}

void
rs_writes_free(struct rs_writes *w)
{
	if (!w)
		return;
	for (size_t k = 0; k < W_KINDS; k++) {
		for (size_t c = 0; c < DB_PARAMS_MAX; c++)
			buf_free(&w->kinds[k].cols[c]);
	}
	free(w);
}

void
rs_writes_clear(struct rs_writes *w)
{
	w->bytes = 0;
	for (size_t k = 0; k < W_KINDS; k++) {
		w->kinds[k].n = 0;
		for (int c = 0; c < rs_stmts_write[k].nparams; c++) {
			struct buf *b = &w->kinds[k].cols[c];
			if (b->cap > KEEP_MAX)
				buf_free(b);
			else
				buf_clear(b);
		}
	}
}

/* --- array literals --- */

static void
add_hex(struct buf *b, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	buf_puts(b, "\"\\\\x");
	char *out = buf_reserve(b, 2 * n);
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	b->len += 2 * n;
	buf_putc(b, '"');
}

static void
add_text(struct buf *b, const char *s)
{
	buf_putc(b, '"');
	while (*s) {
		size_t n = strcspn(s, "\"\\");
		buf_append(b, s, n);
		s += n;
		if (*s) {
			buf_putc(b, '\\');
			buf_putc(b, *s++);
		}
	}
	buf_putc(b, '"');
}

static void
add_value(struct buf *b, const struct db_param *p)
{
	buf_putc(b, b->len == 0 ? '{' : ',');
	if (p->is_bytes)
		add_hex(b, p->bytes, p->len);
	else if (p->is_int)
		buf_printf(b, "%" PRId64, p->num);
	else if (p->text)
		add_text(b, p->text);
	else
		buf_puts(b, "NULL");
}

static void
add(struct rs_writes *w, enum kind kind, const struct db_param *params, size_t n)
{
	MUST((size_t)rs_stmts_write[kind].nparams == n);
	w->kinds[kind].n++;
	for (size_t c = 0; c < n; c++) {
		struct buf *b = &w->kinds[kind].cols[c];
		w->bytes -= b->len;
		add_value(b, &params[c]);
		w->bytes += b->len;
	}
}
#define ADD(w_, kind_, ...)                                                                        \
	add(w_, kind_, (const struct db_param[]){ __VA_ARGS__ },                                   \
	    sizeof((const struct db_param[]){ __VA_ARGS__ }) / sizeof(struct db_param))

size_t
rs_writes_bytes(const struct rs_writes *w)
{
	return w->bytes;
}

int
rs_writes_flush(struct rs_writes *w, struct db *db, struct err **err)
{
	struct db_param params[DB_PARAMS_MAX];
	int rc = 0;
	for (size_t k = 0; rc == 0 && k < W_KINDS; k++) {
		const struct db_stmt *s = &rs_stmts_write[k];
		if (w->kinds[k].n == 0)
			continue;
		for (int c = 0; c < s->nparams; c++) {
			buf_putc(&w->kinds[k].cols[c], '}');
			params[c] = DB_TEXT(buf_str(&w->kinds[k].cols[c]));
		}
		rc = db_exec(NULL, db, s->name, params, (size_t)s->nparams, err);
	}
	rs_writes_clear(w);
	return rc;
}

/* --- runs --- */

static void
write_step(struct rs_writes *w, const struct rs_run *run, const struct rs_task *t, int n,
    struct rs_step *s)
{
	if (!s->changed)
		return;
	s->changed = false;
	ADD(w, W_STEP, DB_TEXT(run->id), DB_TEXT(t->id), DB_I64(n),
	    DB_TEXT(rs_status_name(s->phase)), s->has_exit ? DB_I64(s->exit_status) : DB_NULL,
	    DB_I64(s->start_ms), DB_I64(s->end_ms), DB_BOOL(s->log_stored), DB_TEXT(s->error));
}

static void
write_steps(struct rs_writes *w, const struct rs_run *run, struct rs_task *t)
{
	write_step(w, run, t, -1, &t->setup);
	for (size_t i = 0; i < t->nsteps; i++)
		write_step(w, run, t, (int)i, &t->steps[i]);
}

static void
write_tries(struct rs_writes *w, const struct rs_run *run, struct rs_task *t)
{
	for (unsigned i = 0; i < t->tries; i++) {
		size_t len;
		if (!t->past[i].changed)
			continue;
		t->past[i].changed = false;
		auto_free void *state = rs_state_pack_try(&len, t, i);
		ADD(w, W_TRY, DB_TEXT(run->id), DB_TEXT(t->id), DB_I64(i), DB_BYTES(state, len));
	}
}

static void
write_task(struct rs_writes *w, const struct rs_run *run, struct rs_task *t)
{
	auto_buf who = BUF_INIT;
	if (!t->changed)
		return;
	t->changed = false;
	for (size_t i = 0; i < t->napprovers; i++)
		buf_printf(&who, "%s%s", i ? "\n" : "", t->approvers[i]);
	ADD(w, W_TASK, DB_TEXT(run->id), DB_TEXT(t->id), DB_TEXT(rs_status_name(t->status)),
	    DB_TEXT(rs_place_name(t->place)), DB_I64((int64_t)t->fence), DB_TEXT(t->executor),
	    DB_BOOL(t->approved), DB_BOOL(t->waiting_approval), DB_BOOL(t->timedout),
	    DB_BOOL(t->stop_told), DB_TEXT(buf_str(&who)), DB_I64(t->start_ms), DB_I64(t->end_ms),
	    DB_I64(t->tries));
}

void
rs_write_run(struct rs_writes *w, struct rs_run *run)
{
	for (size_t i = 0; i < run->ntasks; i++) {
		write_task(w, run, &run->tasks[i]);
		write_steps(w, run, &run->tasks[i]);
		write_tries(w, run, &run->tasks[i]);
	}
	if (!run->changed)
		return;
	run->changed = false;
	run->revision++;
	ADD(w, W_RUN, DB_TEXT(run->id), DB_TEXT(rs_phase_name(run->phase)),
	    DB_TEXT(rs_result_name(run->result)), DB_BOOL(run->stop),
	    DB_I64((int64_t)run->revision), DB_I64(run->start_ms), DB_I64(run->end_ms));
}

static void
write_task_new(struct rs_writes *w, const struct rs_run *run, struct rs_task *t, size_t ord)
{
	t->changed = false;
	ADD(w, W_TASK_NEW, DB_TEXT(run->id), DB_TEXT(t->id), DB_I64((int64_t)ord), DB_TEXT(t->name),
	    DB_I64(t->level), DB_TEXT(rs_status_name(t->status)), DB_TEXT(rs_place_name(t->place)),
	    DB_I64((int64_t)t->fence), DB_TEXT(t->executor), DB_BOOL(t->skip),
	    DB_BOOL(t->ignore_failure), DB_BOOL(t->needs_approval), DB_BOOL(t->approved),
	    DB_BOOL(t->waiting_approval), DB_TEXT(t->arch), DB_BOOL(t->privileged),
	    DB_I64((int64_t)t->nsteps), DB_I64(t->timeout_ms), DB_I64(t->start_ms),
	    DB_I64(t->end_ms), DB_TEXT(t->labels), DB_I64(t->retries), DB_I64(t->tries));
	write_steps(w, run, t);
	write_tries(w, run, t);
	for (size_t j = 0; j < t->ndeps; j++)
		ADD(w, W_DEP_NEW, DB_TEXT(run->id), DB_TEXT(t->id),
		    DB_TEXT(run->tasks[t->deps[j].parent].id), DB_I64(t->deps[j].conditions));
}

void
rs_write_run_new(struct rs_writes *w, struct rs_run *run)
{
	run->revision = 1;
	run->changed = false;
	ADD(w, W_RUN_NEW, DB_TEXT(run->id), DB_I64((int64_t)run->sequence), DB_TEXT(run->owner),
	    DB_I64((int64_t)run->number), DB_TEXT(run->name), DB_TEXT(run->group),
	    DB_TEXT(rs_phase_name(run->phase)), DB_TEXT(rs_result_name(run->result)),
	    DB_BOOL(run->stop), DB_I64(run->enqueue_ms), DB_I64(run->start_ms));
	for (size_t i = 0; i < run->ntasks; i++)
		write_task_new(w, run, &run->tasks[i], i);
}

static bool
was_retried(const struct rs_run *run)
{
	for (size_t i = 0; i < run->ntasks; i++) {
		if (run->tasks[i].tries > 0)
			return true;
	}
	return false;
}

void
rs_write_run_over(struct rs_writes *w, const struct rs_run *run, const void *state, size_t len)
{
	ADD(w, W_STEPS_OVER, DB_TEXT(run->id));
	if (run->ntasks > 1)
		ADD(w, W_DEPS_OVER, DB_TEXT(run->id));
	if (was_retried(run))
		ADD(w, W_TRIES_OVER, DB_TEXT(run->id));
	ADD(w, W_TASKS_OVER, DB_TEXT(run->id));
	ADD(w, W_RUN_OVER, DB_TEXT(run->id));
	ADD(w, W_HISTORY, DB_TEXT(run->id), DB_I64((int64_t)run->sequence), DB_TEXT(run->owner),
	    DB_I64((int64_t)run->number), DB_TEXT(run->group), DB_TEXT(rs_phase_name(run->phase)),
	    DB_TEXT(rs_result_name(run->result)), DB_BYTES(state, len));
}

void
rs_write_definition(struct rs_writes *w, const char *run_id, const void *spec, size_t len)
{
	ADD(w, W_DEFINITION, DB_TEXT(run_id), DB_BYTES(spec, len));
}

void
rs_write_counter(struct rs_writes *w, const char *owner, int64_t last)
{
	ADD(w, W_COUNTER, DB_TEXT(owner), DB_I64(last));
}

void
rs_write_request(struct rs_writes *w, const char *id, const void *answer, size_t len)
{
	ADD(w, W_REQUEST, DB_TEXT(id), DB_BYTES(answer, len));
}

void
rs_write_event(
    struct rs_writes *w, const struct rs_run *run, enum rs_phase phase, enum rs_result result)
{
	ADD(w, W_EVENT, DB_TEXT(run->id), DB_TEXT(run->owner), DB_I64((int64_t)run->number),
	    DB_TEXT(rs_phase_name(phase)), DB_TEXT(rs_result_name(result)));
}

/* --- attempts --- */

void
rs_write_attempt_offer(struct rs_writes *w, const char *run_id, const struct rs_task *t)
{
	ADD(w, W_OFFER, DB_TEXT(t->id), DB_I64((int64_t)t->fence), DB_TEXT(run_id),
	    DB_TEXT(t->executor), DB_I64(t->tries));
}

void
rs_write_attempt_hold(
    struct rs_writes *w, const char *task_id, uint64_t fence, const char *session, int64_t lease_ms)
{
	ADD(w, W_HOLD, DB_TEXT(task_id), DB_I64((int64_t)fence), DB_TEXT(session),
	    DB_I64(lease_ms));
}

void
rs_write_attempt_mark(struct rs_writes *w, struct rs_task *t)
{
	t->marked = false;
	ADD(w, W_MARK, DB_TEXT(t->id), DB_I64((int64_t)t->fence), DB_BOOL(t->begun),
	    DB_I64((int64_t)t->reported));
}

void
rs_write_attempt_close(struct rs_writes *w, struct rs_task *t, uint64_t fence, const char *outcome)
{
	t->marked = false;
	ADD(w, W_CLOSE, DB_TEXT(t->id), DB_I64((int64_t)fence), DB_TEXT(outcome), DB_BOOL(t->begun),
	    DB_I64((int64_t)t->reported));
}
