#include "executor/order.h"

#include "common/mem.h"

#include <string.h>

/* What the steps before one came to. */
struct before {
	bool failed, stopped;
};

/* By the word of a step's `if`. */
static const struct rule {
	const char *word;
	bool clean, failed,
	    stopped; /* runs when all before went well; one failed; a stop was asked for */
} rules[] = {
	{ "on_success", .clean = true },
	{ "on_failure", .failed = true },
	{ "always", .clean = true, .failed = true, .stopped = true },
};

static const struct rule *
rule_of(const Millrace__Step *step)
{
	for (size_t i = 0; step->run_if != NULL && i < ARRAY_LEN(rules); i++)
		if (strcmp(rules[i].word, step->run_if) == 0)
			return &rules[i];
	return &rules[0];
}

static bool
cut(const struct ex_state *st)
{
	return st->stop || st->timedout;
}

static bool
starts(const struct ex_state *st, const Millrace__Step *step, int i, const struct before *b)
{
	const struct rule *r = rule_of(step);

	if (cut(st) && (!step->post || i < st->cut))
		return false;
	if (b->stopped || st->stop)
		return r->stopped;
	return b->failed || st->timedout ? r->failed : r->clean;
}

int
ex_order_next(const struct ex_state *st, const Millrace__TaskSpec *spec)
{
	struct before b = { 0 };

	for (int i = 0; i < (int)st->nsteps; i++) {
		enum ex_phase phase = st->steps[i].phase;

		if (phase == EX_RUNNING)
			return i;
		if (phase == EX_NOTSTARTED && starts(st, spec->steps[i], i, &b))
			return i;
		b.failed |= phase == EX_FAILED;
		b.stopped |= phase == EX_STOPPED;
	}
	return EX_ORDER_END;
}

enum ex_phase
ex_order_status(const struct ex_state *st)
{
	bool failed = st->timedout;

	for (unsigned i = 0; i < st->nsteps; i++)
		failed |= st->steps[i].phase == EX_FAILED;
	if (st->stop)
		return EX_STOPPED;
	return failed ? EX_FAILED : EX_SUCCESS;
}

void
ex_order_cut(struct ex_state *st)
{
	/* What was passed over before it stays so. */
	for (int i = (int)st->nsteps; i > 0; i--)
		if (st->steps[i - 1].phase != EX_NOTSTARTED) {
			st->cut = i;
			return;
		}
	st->cut = 0;
}

bool
ex_order_is_cut(const struct ex_state *st, int step)
{
	return cut(st) && step < st->cut;
}

bool
ex_order_again(const struct ex_state *st, const Millrace__TaskSpec *spec, int step)
{
	return !ex_order_is_cut(st, step) && st->tries < spec->steps[step]->retries;
}
