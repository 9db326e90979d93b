#include "runservice/scheduler.h"

#include "common/mem.h"

#include <string.h>

bool
rs_scheduler_fits(const struct rs_candidate *c, const char *arch, bool privileged)
{
	if (privileged && !c->privileged)
		return false;
	return *arch == '\0' || strcmp(arch, c->arch) == 0;
}

/* More free share of its slots first; compared without division. */
static bool
better(const struct rs_candidate *a, const struct rs_candidate *b)
{
	return (uint64_t)a->free * (b->slots ? b->slots : 1) >
	       (uint64_t)b->free * (a->slots ? a->slots : 1);
}

size_t
rs_scheduler_choose(const struct rs_candidate *list, size_t n, const char *arch, bool privileged)
{
	size_t best = RS_NO_CANDIDATE;
	for (size_t i = 0; i < n; i++) {
		if (!list[i].waiting || list[i].free == 0 ||
		    !rs_scheduler_fits(&list[i], arch, privileged))
			continue;
		if (best == RS_NO_CANDIDATE || better(&list[i], &list[best]))
			best = i;
	}
	return best;
}

char *
rs_scheduler_no_executor(
    const char *arch, bool privileged, const struct rs_candidate *list, size_t n)
{
	bool has_arch = false, allows = false, fits = false, slot = false;
	for (size_t i = 0; i < n; i++) {
		has_arch |= *arch == '\0' || strcmp(arch, list[i].arch) == 0;
		allows |= list[i].privileged;
		fits |= rs_scheduler_fits(&list[i], arch, privileged);
		slot |= rs_scheduler_fits(&list[i], arch, privileged) && list[i].free > 0;
	}
	if (n == 0)
		return xstrdup("no executor is connected");
	if (!has_arch)
		return xasprintf("no connected executor has the architecture %s", arch);
	if (privileged && !allows)
		return xstrdup("no connected executor allows privileged containers");
	if (!fits)
		return xasprintf("no connected executor of architecture %s allows privileged "
		                 "containers",
		    arch);
	if (!slot)
		return xstrdup("all slots of the executors that could run it are taken");
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
	return rs_scheduler_no_executor(t->arch, t->privileged, list, n);
}
