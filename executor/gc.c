#include "executor/gc.h"

#include "common/mem.h"
#include "executor/host.h"
#include "executor/removal.h"
#include "executor/task.h"
#include "executor/warm.h"

#include <string.h>

struct ex_gc {
	struct ex *ex;
	struct ex_removal *run;
	bool again; /* something may have become nobody's since the round began */
};

struct ex_gc *
ex_gc_new(struct ex *ex)
{
	struct ex_gc *gc = xcalloc(1, sizeof(*gc));

	gc->ex = ex;
	return gc;
}

void
ex_gc_free(struct ex_gc *gc)
{
	if (gc == NULL)
		return;
	ex_removal_cancel(gc->run);
	free(gc);
}

/* A container that was started ahead bears no task in its labels. */
static bool
held_by_task(const struct ex *ex, const char *container)
{
	for (size_t i = 0; i < ex->ntasks; i++) {
		const char *id = ex_task_adopted(ex->tasks[i]);

		if (id != NULL && strcmp(id, container) == 0)
			return true;
	}
	return false;
}

/* Only what is certainly nobody's goes: an attempt we hold in whatever state cleans up itself. */
static bool
keep(const json_t *labels, const char *name, void *arg)
{
	struct ex_gc *gc = arg;
	const char *task, *role = json_text(labels, "millrace.role"),
	                  *warm = json_text(labels, EX_LABEL_WARM);
	uint64_t fence;

	if (ex_json_owner(labels, &task, &fence))
		return ex_task_find(gc->ex, task, fence) != NULL;
	if (role != NULL && strcmp(role, "helper") == 0)
		return ex_host_busy(gc->ex->host);
	if (warm != NULL)
		return ex_warm_keeps(gc->ex->warm, warm) || held_by_task(gc->ex, name);
	return name != NULL && ex_host_uses(gc->ex->host, name);
}

static void
done(void *arg)
{
	struct ex_gc *gc = arg;

	gc->run = NULL;
	if (gc->again)
		ex_gc_start(gc);
}

void
ex_gc_start(struct ex_gc *gc)
{
	const struct ex_removal_options opt = {
		.ex = gc->ex, .executor = gc->ex->cfg->id, .keep = keep, .done = done, .arg = gc
	};

	gc->again = gc->run != NULL;
	if (gc->run == NULL)
		gc->run = ex_removal_start(&opt);
}
