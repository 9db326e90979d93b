#include "runservice/scheduler.h"

#include "common/mem.h"

#include <string.h>

struct rs_needs
rs_scheduler_needs(const struct rs_task *t)
{
	return (
	    struct rs_needs){ .arch = t->arch, .labels = t->labels, .privileged = t->privileged };
}

enum rs_lack
rs_scheduler_lack(const struct rs_candidate *c, const struct rs_needs *need)
{
	if (*need->arch && strcmp(need->arch, c->arch) != 0)
		return RS_LACKS_ARCH;
	if (!rs_labels_fit(c->labels, need->labels))
		return RS_LACKS_LABELS;
	if (need->privileged && !c->privileged)
		return RS_LACKS_PRIVILEGE;
	if (c->free == 0)
		return RS_LACKS_SLOT;
	return c->waiting ? RS_LACKS_NOTHING : RS_LACKS_POLL;
}

/* More free share of its slots first; compared without division. */
static bool
better(const struct rs_candidate *a, const struct rs_candidate *b)
{
	return (uint64_t)a->free * (b->slots ? b->slots : 1) >
	       (uint64_t)b->free * (a->slots ? a->slots : 1);
}

size_t
rs_scheduler_choose(const struct rs_candidate *list, size_t n, const struct rs_needs *need)
{
	size_t best = RS_NO_CANDIDATE;
	for (size_t i = 0; i < n; i++) {
		if (rs_scheduler_lack(&list[i], need) != RS_LACKS_NOTHING)
			continue;
		if (best == RS_NO_CANDIDATE || better(&list[i], &list[best]))
			best = i;
	}
	return best;
}

char *
rs_scheduler_no_executor(const struct rs_needs *need, const struct rs_candidate *list, size_t n)
{
	auto_free char *labels = rs_labels_say(need->labels);
	auto_free char *of =
	    *need->arch ? xasprintf(" of architecture %s", need->arch) : xstrdup("");
	auto_free char *with = *labels ? xasprintf(" with the labels %s", labels) : xstrdup("");
	enum rs_lack least = RS_LACKS_ARCH; /* of the one that comes nearest */
	if (n == 0)
		return xstrdup("no executor is connected");
	for (size_t i = 0; i < n; i++) {
		enum rs_lack lack = rs_scheduler_lack(&list[i], need);
		least = lack > least ? lack : least;
	}
	switch (least) {
	case RS_LACKS_ARCH:
		return xasprintf("no connected executor has the architecture %s", need->arch);
	case RS_LACKS_LABELS:
		return xasprintf("no connected executor%s has the labels %s", of, labels);
	case RS_LACKS_PRIVILEGE:
		return xasprintf(
		    "no connected executor%s%s allows privileged containers", of, with);
	case RS_LACKS_SLOT:
		return xstrdup("all slots of the executors that could run it are taken");
	case RS_LACKS_POLL:
	case RS_LACKS_NOTHING:
		break;
	}
	return xstrdup("an executor is being asked to take it");
}

char *
rs_scheduler_wait_reason(
    const struct rs_run *run, size_t task, const struct rs_candidate *list, size_t n)
{
	const struct rs_task *t = &run->tasks[task];
	bool match;
	if (t->status != RS_NOTSTARTED)
		return NULL;
	if (run->phase == RS_QUEUED)
		return xstrdup("its run waits for an earlier run of the same group to finish");
	if (run->phase != RS_RUN_RUNNING)
		return NULL;
	if (t->place == RS_HELD)
		return xasprintf("executor %s is preparing it", t->executor ? t->executor : "");
	if (t->place == RS_OFFERED)
		return xasprintf("it was offered to executor %s", t->executor ? t->executor : "");
	for (size_t j = 0; j < t->ndeps; j++) {
		const struct rs_task *p = &run->tasks[t->deps[j].parent];
		if (!rs_status_final(p->status))
			return xasprintf("it waits for task \"%s\" to finish", p->name);
	}
	if (rs_run_parents_final(run, task, &match) && t->needs_approval && !t->approved)
		return xstrdup("it waits for an approval");
	const struct rs_needs need = rs_scheduler_needs(t);
	return rs_scheduler_no_executor(&need, list, n);
}
