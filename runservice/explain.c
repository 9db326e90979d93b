#include "runservice/explain.h"

#include "common/buf.h"
#include "common/mem.h"

#include <string.h>

bool
rs_explain_wants_executor(const struct rs_run *run, size_t task)
{
	const struct rs_task *t = &run->tasks[task];
	bool match;

	return run->phase == RS_RUN_RUNNING && t->status == RS_NOTSTARTED && t->place == RS_FREE &&
	       rs_run_parents_final(run, task, &match) && (!t->needs_approval || t->approved);
}

char *
rs_explain_executor(const struct rs_candidate *c, const struct rs_needs *need)
{
	switch (rs_scheduler_lack(c, need)) {
	case RS_LACKS_ARCH:
		return xasprintf("has the architecture %s, not %s", c->arch, need->arch);
	case RS_LACKS_LABELS: {
		auto_free char *missing = rs_labels_missing(c->labels, need->labels);
		auto_free char *said = rs_labels_say(missing);
		return xasprintf("does not have the labels %s", said);
	}
	case RS_LACKS_PRIVILEGE:
		return xstrdup("does not allow privileged containers");
	case RS_LACKS_SLOT:
		return xasprintf("has no free slot (of %u)", c->slots);
	case RS_LACKS_POLL:
		return xstrdup("has a free slot, but does not ask for work at this moment");
	case RS_LACKS_NOTHING:
		break;
	}
	return xstrdup("is being asked to take it");
}

static void
add_executors(struct buf *out, const struct rs_task *t, const struct rs_candidate *list, size_t n)
{
	const struct rs_needs need = rs_scheduler_needs(t);
	for (size_t i = 0; i < n && i < RS_EXPLAIN_NAMED; i++) {
		auto_free char *why = rs_explain_executor(&list[i], &need);

		buf_printf(out, "%s%s %s", i ? "; " : ": ", list[i].id, why);
	}
	if (n > RS_EXPLAIN_NAMED)
		buf_printf(out, "; and %zu more", n - RS_EXPLAIN_NAMED);
}

/* What the scheduler cannot know: which run holds the group. */
static char *
queued(const struct rs_explain_group *g)
{
	struct buf out = BUF_INIT;

	buf_printf(&out, "its run waits for run %llu of the same group to finish",
	    (unsigned long long)g->holder);
	if (g->ahead)
		buf_printf(&out, ", and then for %llu more of the group before it",
		    (unsigned long long)g->ahead);
	return buf_take(&out);
}

char *
rs_explain_task(const struct rs_run *run, size_t task, const struct rs_candidate *list, size_t n,
    const struct rs_explain_group *group)
{
	struct buf out = BUF_INIT;
	auto_free char *reason = rs_scheduler_wait_reason(run, task, list, n);

	if (!reason)
		return NULL;
	if (run->phase == RS_QUEUED && group->holder)
		return queued(group);
	buf_puts(&out, reason);
	if (rs_explain_wants_executor(run, task))
		add_executors(&out, &run->tasks[task], list, n);
	return buf_take(&out);
}
