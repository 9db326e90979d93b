/*
 * The rules of runs against a second account of them: random graphs, random events, and after each
 * event the state, the fences and the effects must be what a plain reading of the rules gives. What
 * has ended is restarted, and that run played too. Then every row of the transition table is taken
 * out in turn, and the same has to fail.
 *
 * prop_run [SEED]; the seed is printed with a failure.
 */
#include "common/mem.h"
#include "runservice/run.h"

#include <stdio.h>
#include <string.h>

#define TASKS_MAX 6
#define EVENTS 60
#define RUNS 3000     /* with the whole table */
#define RUNS_CUT 3000 /* with a row missing: at most, until it is noticed */

/* --- randomness --- */

static uint64_t rng;

static unsigned
any(unsigned below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng >> 33) % below;
}

/* --- the second account: states as plain words, no table --- */

struct mtask {
	enum rs_status status;
	enum rs_place place;
	uint64_t fence;
	bool ignore, needs, approved, waiting, told;
	unsigned retries, tries;
	size_t ndeps;
	struct rs_dep deps[TASKS_MAX];
};

struct model {
	enum rs_phase phase;
	enum rs_result result;
	bool stop;
	size_t n;
	struct mtask t[TASKS_MAX];
};

static bool
final(const struct mtask *t)
{
	return t->status != RS_NOTSTARTED && t->status != RS_RUNNING;
}

/* -1: some parent is not over; 0: a condition is not met; 1: all are. */
static int
parents(const struct model *m, const struct mtask *t)
{
	int met = 1;

	for (size_t i = 0; i < t->ndeps; i++) {
		const struct mtask *p = &m->t[t->deps[i].parent];
		unsigned c = t->deps[i].conditions;

		if (!final(p))
			return -1;
		if (!((p->status == RS_SUCCESS && c & RS_ON_SUCCESS) ||
		        (p->status == RS_FAILED && c & RS_ON_FAILURE) ||
		        (p->status == RS_SKIPPED && c & RS_ON_SKIPPED)))
			met = 0;
	}
	return met;
}

static bool
waits(const struct mtask *t)
{
	return t->status == RS_NOTSTARTED && t->place == RS_FREE;
}

/* A task that nobody works on leaves the game; an offer is withdrawn. */
static void
leave(struct mtask *t, enum rs_status status)
{
	if (t->place == RS_OFFERED)
		t->fence++;
	t->status = status;
	t->place = RS_FREE;
	t->waiting = false;
}

static void
decide_result(struct model *m)
{
	bool all = true, failed = false;

	for (size_t i = 0; i < m->n; i++) {
		all &= final(&m->t[i]);
		failed |= m->t[i].status == RS_FAILED && !m->t[i].ignore;
	}
	if (m->result != RS_RESULT_UNKNOWN)
		return;
	if (failed)
		m->result = RS_RESULT_FAILED;
	else if (all)
		m->result = RS_RESULT_SUCCESS;
	else if (m->stop)
		m->result = RS_RESULT_STOPPED;
}

static void
follow_once(struct model *m)
{
	bool all = true;

	decide_result(m);
	for (size_t i = 0; i < m->n; i++) {
		struct mtask *t = &m->t[i];

		if (m->stop && t->place == RS_HELD)
			t->told = true;
		else if (m->stop && t->status == RS_NOTSTARTED)
			leave(t, t->tries > 0 ? RS_STOPPED : RS_SKIPPED);
	}
	for (size_t i = 0; i < m->n; i++) {
		struct mtask *t = &m->t[i];

		if (m->result != RS_RESULT_UNKNOWN && t->ndeps == 0 && t->status == RS_NOTSTARTED &&
		    t->place != RS_HELD && t->tries == 0)
			leave(t, RS_CANCELLED);
	}
	for (size_t i = 0; i < m->n; i++) {
		struct mtask *t = &m->t[i];

		if (waits(t) && parents(m, t) == 0)
			leave(t, RS_SKIPPED);
		else if (waits(t) && parents(m, t) == 1 && t->needs && !t->approved)
			t->waiting = true;
	}
	for (size_t i = 0; i < m->n; i++)
		all &= final(&m->t[i]);
	if (all && m->result != RS_RESULT_UNKNOWN)
		m->phase = RS_FINISHED;
}

static void
follow(struct model *m)
{
	/* Nothing moves more often than this. */
	for (unsigned i = 0; i < 2 * TASKS_MAX + 4 && m->phase == RS_RUN_RUNNING; i++)
		follow_once(m);
}

static bool
of_run(struct model *m, enum rs_event e)
{
	bool queued = m->phase == RS_QUEUED;

	if (e == RS_EV_START && queued)
		m->phase = RS_RUN_RUNNING;
	else if (e == RS_EV_CANCEL && queued)
		m->phase = RS_RUN_CANCELLED;
	else if (e == RS_EV_STOP && m->phase == RS_RUN_RUNNING)
		m->stop = true;
	else
		return false;
	return true;
}

/* The end of an attempt, or the same word said again. */
static bool
ends(struct mtask *t, enum rs_status status)
{
	if (t->place != RS_HELD)
		return t->place == RS_FREE && t->status == status;
	if (status == RS_CANCELLED && t->status != RS_NOTSTARTED)
		return false;
	t->status = status;
	t->place = RS_FREE;
	return true;
}

/* A failure of what an executor holds: the end, or there is another try. */
static bool
fails(const struct model *m, struct mtask *t)
{
	if (t->place != RS_HELD || m->stop || t->tries == t->retries)
		return ends(t, RS_FAILED);
	t->tries++;
	t->fence++;
	t->status = RS_NOTSTARTED;
	t->place = RS_FREE;
	return true;
}

static bool
of_task(struct model *m, struct mtask *t, enum rs_event e)
{
	bool open = m->phase == RS_QUEUED || m->phase == RS_RUN_RUNNING;
	bool may =
	    m->phase == RS_RUN_RUNNING && !m->stop && waits(t) && (!t->needs || t->approved) &&
	    (m->result == RS_RESULT_UNKNOWN || t->ndeps > 0 || t->tries > 0) && parents(m, t) == 1;

	switch ((int)e) {
	case RS_EV_APPROVE:
		if (!open || m->stop || !t->needs || t->approved || !waits(t))
			return false;
		t->approved = true;
		t->waiting = false;
		return true;
	case RS_EV_ASSIGN:
		if (!may)
			return false;
		t->place = RS_OFFERED;
		t->fence++;
		return true;
	case RS_EV_EXPIRE:
		if (t->place != RS_OFFERED)
			return false;
		t->place = RS_FREE;
		t->fence++;
		return true;
	case RS_EV_ACCEPT:
		if (t->place == RS_FREE)
			return false;
		t->place = RS_HELD;
		return true;
	case RS_EV_REPORT_RUNNING:
		if (t->place != RS_HELD)
			return false;
		t->status = RS_RUNNING;
		return true;
	case RS_EV_REPORT_STOPPED:
		return ends(t, RS_STOPPED);
	case RS_EV_REPORT_SUCCESS:
		return ends(t, RS_SUCCESS);
	case RS_EV_REPORT_FAILED:
		return fails(m, t);
	case RS_EV_REPORT_CANCELLED:
		return ends(t, RS_CANCELLED);
	case RS_EV_LOST:
		if (t->place != RS_HELD)
			return false;
		if (!m->stop && t->tries < t->retries)
			return fails(m, t);
		t->fence++;
		return ends(t, RS_FAILED);
	case RS_EV_UNFIT:
		if (t->place != RS_HELD)
			return false;
		t->fence++;
		return ends(t, RS_FAILED);
	case RS_EV_LAPSE:
		if (t->place != RS_HELD)
			return false;
		t->fence++;
		t->status = RS_NOTSTARTED;
		t->place = RS_FREE;
		t->told = false;
		return true;
	default: /* what follows by itself cannot be asked for */
		return false;
	}
}

static bool
model_apply(struct model *m, enum rs_event e, size_t task)
{
	bool ok = task == RS_NO_TASK ? of_run(m, e) : of_task(m, &m->t[task], e);

	if (ok)
		follow(m);
	return ok;
}

/* --- comparing --- */

/* Every try that was followed by another one has an end, and its steps are its own. */
static bool
is_put_away(const struct rs_task *t)
{
	for (unsigned i = 0; i < t->tries; i++) {
		const struct rs_try *y = &t->past[i];

		if (y->end_ms == 0 || y->steps == t->steps || !y->changed)
			return false;
	}
	return true;
}

static const char *
compare(const struct rs_run *r, const struct model *m)
{
	if (r->phase != m->phase)
		return "phase";
	if (r->result != m->result)
		return "result";
	if (r->stop != m->stop)
		return "stop flag";
	for (size_t i = 0; i < m->n; i++) {
		const struct rs_task *a = &r->tasks[i];
		const struct mtask *b = &m->t[i];

		if (a->status != b->status)
			return "status";
		if (a->place != b->place)
			return "place";
		if (a->fence != b->fence)
			return "fence";
		if (a->approved != b->approved || a->waiting_approval != b->waiting)
			return "approval";
		if (a->stop_told != b->told)
			return "told to stop";
		if (a->tries != b->tries)
			return "tries";
		if (b->tries > 0 && !is_put_away(a))
			return "what is kept of a try";
	}
	return NULL;
}

/* Each says something new, the last one what is. */
static bool
run_events(const struct rs_run *r, const struct model *was, const struct model *is)
{
	enum rs_phase phase = was->phase;
	enum rs_result result = was->result;

	for (size_t i = 0; i < r->neffects; i++) {
		const struct rs_effect *e = &r->effects[i];

		if (!(e->fx & RS_FX_EVENT))
			continue;
		if (e->task != RS_NO_TASK || (e->phase == phase && e->result == result))
			return false;
		phase = e->phase;
		result = e->result;
	}
	return phase == is->phase && result == is->result;
}

static unsigned
count(const struct rs_run *r, unsigned fx, size_t task, uint64_t fence)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->neffects; i++)
		n += (r->effects[i].fx & fx) && r->effects[i].task == task &&
		     (task == RS_NO_TASK || r->effects[i].fence == fence);
	return n;
}

static enum rs_status
outcome(const struct rs_run *r, size_t task)
{
	for (size_t i = 0; i < r->neffects; i++)
		if ((r->effects[i].fx & RS_FX_CLOSE) && r->effects[i].task == task)
			return r->effects[i].outcome;
	return 0;
}

/* Every attempt that ended is closed under its own fence, and so on. */
static const char *
effects(const struct rs_run *r, const struct model *was, const struct model *is, enum rs_event e,
    size_t task)
{
	for (size_t i = 0; i < is->n; i++) {
		const struct mtask *a = &was->t[i], *b = &is->t[i];
		bool closed = a->place != RS_FREE && b->place == RS_FREE;
		bool offered = e == RS_EV_ASSIGN && task == i;

		if (count(r, RS_FX_CLOSE, i, a->fence) != closed)
			return "attempts closed";
		if (count(r, RS_FX_OFFER, i, b->fence) != offered)
			return "offers";
		if (count(r, RS_FX_LEASE, i, b->fence) != (e == RS_EV_ACCEPT && task == i))
			return "leases";
		if (count(r, RS_FX_RESET, i, a->fence) != (e == RS_EV_LAPSE && task == i))
			return "tasks that start anew";
		if (count(r, RS_FX_RETRY, i, a->fence) != b->tries - a->tries)
			return "tries that follow";
		bool back = task == i && (e == RS_EV_EXPIRE || e == RS_EV_LAPSE);
		enum rs_status end = b->tries > a->tries ? RS_FAILED
		                     : back              ? RS_NOTSTARTED
		                                         : b->status;

		if (closed && outcome(r, i) != end)
			return "the outcome of an attempt";
		if (count(r, RS_FX_TELL_STOP, i, b->fence) != (!a->told && b->told))
			return "executors told to stop";
	}
	if (!run_events(r, was, is))
		return "run events";
	if (count(r, RS_FX_NEXT, RS_NO_TASK, 0) !=
	    (was->phase != RS_FINISHED && is->phase == RS_FINISHED))
		return "the next run's turn";
	return NULL;
}

/* --- a random run --- */

static void
make(struct rs_run *r, struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->n = any(TASKS_MAX + 1);
	m->phase = RS_QUEUED;
	m->result = RS_RESULT_UNKNOWN;
	rs_run_init(r);
	for (size_t i = 0; i < m->n; i++) {
		struct mtask *t = &m->t[i];
		char name[] = { 't', (char)('0' + i), '\0' };
		bool skip = any(8) == 0;
		struct rs_task *x = rs_run_add_task(r, name, name, 1, skip);

		t->status = skip ? RS_SKIPPED : RS_NOTSTARTED;
		t->place = RS_FREE;
		x->ignore_failure = t->ignore = any(3) == 0;
		x->needs_approval = t->needs = any(5) == 0;
		x->retries = t->retries = any(2) == 0 ? any(4) : 0;
		for (size_t p = 0; p < i; p++) {
			if (any(3) != 0)
				continue;
			t->deps[t->ndeps] = (struct rs_dep){ p, 1 + any(7) };
			rs_run_add_dep(r, i, p, t->deps[t->ndeps].conditions);
			t->ndeps++;
		}
	}
}

/* Mostly something that the second account allows, or hardly anything would ever happen. */
static void
choose(const struct model *m, enum rs_event *e, size_t *task)
{
	for (unsigned tries = 0; tries < 40; tries++) {
		struct model copy = *m;

		*e = RS_EV_START + any(RS_EV_AGAIN_LOST - RS_EV_START + 1);
		*task = *e <= RS_EV_STOP || m->n == 0 ? RS_NO_TASK : any((unsigned)m->n);
		if (*e == RS_EV_STOP && any(4) != 0)
			continue;
		if (*e == RS_EV_CANCEL && any(4) != 0)
			continue;
		if (tries == 0 && any(5) == 0)
			return;
		if (model_apply(&copy, *e, *task))
			return;
	}
}

static const char *
step(struct rs_run *r, struct model *m, enum rs_event e, size_t task)
{
	struct model was = *m;
	const char *wrong;
	auto_err err = NULL;
	bool want = model_apply(m, e, task);

	r->neffects = 0;
	bool got = rs_run_apply(r, e, task, 1000, "lost", &err) == 0;
	if (got != want)
		return want ? "refused" : "allowed";
	if (!got && (err == NULL || r->neffects != 0))
		return "refused with effects or without a word";
	wrong = compare(r, m);
	if (wrong == NULL && got)
		wrong = effects(r, &was, m, e, task);
	return wrong != NULL ? wrong : rs_run_check(r);
}

/* With an executor that succeeds and a user who approves, everything comes to its end. */
static const char *
bring_to_end(struct rs_run *r, struct model *m)
{
	static const enum rs_event order[] = { RS_EV_APPROVE, RS_EV_ASSIGN, RS_EV_ACCEPT,
		RS_EV_REPORT_SUCCESS };

	if (m->phase == RS_QUEUED) {
		const char *wrong = step(r, m, RS_EV_START, RS_NO_TASK);
		if (wrong != NULL)
			return wrong;
	}
	for (unsigned round = 0; round < TASKS_MAX && m->phase == RS_RUN_RUNNING; round++)
		for (size_t i = 0; i < m->n * ARRAY_LEN(order); i++) {
			struct model copy = *m;
			enum rs_event e = order[i % ARRAY_LEN(order)];
			const char *wrong = NULL;

			if (model_apply(&copy, e, i / ARRAY_LEN(order)))
				wrong = step(r, m, e, i / ARRAY_LEN(order));
			if (wrong != NULL)
				return wrong;
		}
	return r->phase == RS_FINISHED || r->phase == RS_RUN_CANCELLED ? NULL : "it does not end";
}

static const char *
play(struct rs_run *r, struct model *m, unsigned events)
{
	const char *wrong = NULL;

	for (unsigned i = 0; i < events && wrong == NULL; i++) {
		enum rs_event e = RS_EV_START;
		size_t task = RS_NO_TASK;

		choose(m, &e, &task);
		wrong = step(r, m, e, task);
	}
	return wrong != NULL ? wrong : bring_to_end(r, m);
}

/* What succeeded, and had no ancestor that is made anew, stays. */
static bool
stays(const struct model *m, size_t i)
{
	if (m->t[i].status != RS_SUCCESS)
		return false;
	for (size_t j = 0; j < m->t[i].ndeps; j++)
		if (!stays(m, m->t[i].deps[j].parent))
			return false;
	return true;
}

/* The run that follows an ended one, as create.c makes it. */
static void
make_again(struct rs_run *r, struct model *m, const struct model *was, const bool *anew,
    const struct rs_run *old)
{
	*m = (struct model){ .phase = RS_QUEUED, .result = RS_RESULT_UNKNOWN, .n = was->n };
	rs_run_init(r);
	r->rules = old->rules;
	r->nrules = old->nrules;
	for (size_t i = 0; i < was->n; i++) {
		const struct mtask *a = &was->t[i];
		struct mtask *t = &m->t[i];
		bool skip = anew[i] && old->tasks[i].skip;
		struct rs_task *x =
		    rs_run_add_task(r, old->tasks[i].id, old->tasks[i].name, 1, skip);

		x->skip = old->tasks[i].skip;
		t->status = x->status = skip ? RS_SKIPPED : anew[i] ? RS_NOTSTARTED : RS_SUCCESS;
		t->place = RS_FREE;
		x->ignore_failure = t->ignore = a->ignore;
		x->needs_approval = t->needs = a->needs;
		x->retries = t->retries = a->retries;
		x->approved = t->approved = !anew[i] && a->approved;
		t->ndeps = a->ndeps;
		for (size_t j = 0; j < a->ndeps; j++) {
			t->deps[j] = a->deps[j];
			rs_run_add_dep(r, i, a->deps[j].parent, a->deps[j].conditions);
		}
	}
}

static const char *
restart(const struct rs_run *old, const struct model *was)
{
	bool from_failed = any(2) == 0, anew[TASKS_MAX + 1] = { false };
	bool may =
	    was->phase == RS_RUN_CANCELLED ||
	    (was->phase == RS_FINISHED && (!from_failed || was->result != RS_RESULT_SUCCESS));
	struct rs_run r;
	struct model m;
	const char *wrong;

	if (rs_run_can_restart(old, from_failed) != may)
		return "whether it may be restarted";
	if (!may)
		return NULL;
	rs_run_restart_plan(anew, old, from_failed);
	for (size_t i = 0; i < was->n; i++)
		if (anew[i] == (from_failed && stays(was, i)))
			return "what a restart makes anew";
	make_again(&r, &m, was, anew, old);
	wrong = rs_run_check(&r);
	if (wrong == NULL)
		wrong = play(&r, &m, EVENTS / 4);
	for (size_t i = 0; i < m.n && wrong == NULL; i++)
		if (!anew[i] && r.tasks[i].status != RS_SUCCESS)
			wrong = "what was kept has changed";
	rs_run_fini(&r);
	return wrong;
}

static const char *
one_run(const struct rs_rule *rules, size_t nrules)
{
	struct rs_run r;
	struct model m;
	const char *wrong;

	make(&r, &m);
	r.rules = rules;
	r.nrules = nrules;
	wrong = play(&r, &m, EVENTS);
	if (wrong == NULL)
		wrong = restart(&r, &m);
	rs_run_fini(&r);
	return wrong;
}

static bool
noticed_without(size_t row)
{
	auto_free struct rs_rule *rules = xcalloc(rs_run_nrules, sizeof(*rules));
	size_t n = 0;

	for (size_t i = 0; i < rs_run_nrules; i++)
		if (i != row)
			rules[n++] = rs_run_rules[i];
	for (unsigned i = 0; i < RUNS_CUT; i++)
		if (one_run(rules, n) != NULL)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20260711;
	int status = 0;

	rng = seed | 1;
	for (unsigned i = 0; i < RUNS; i++) {
		const char *wrong = one_run(rs_run_rules, rs_run_nrules);

		if (wrong != NULL) {
			printf("seed %llu, run %u: %s\n", (unsigned long long)seed, i, wrong);
			return 1;
		}
	}
	for (size_t i = 0; i < rs_run_nrules; i++)
		if (!noticed_without(i)) {
			const struct rs_rule *r = &rs_run_rules[i];

			printf("seed %llu: nothing notices that row %zu is missing (from %d, event "
			       "%d)\n",
			    (unsigned long long)seed, i, r->from, (int)r->event);
			status = 1;
		}
	return status;
}
