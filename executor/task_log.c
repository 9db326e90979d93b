/* A task's logs: opened and found again on disk, our own lines in them, on their way to the store.
 */
#include "common/log.h"
#include "common/mem.h"
#include "executor/task_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 8192 /* of ours in a setup log */

static void
on_ship(struct err **err, void *arg)
{
	struct ex_task *t = arg;
	unsigned i;
	bool news = false;

	if (*err != NULL && (*err)->code == ERR_CONFLICT) {
		ex_task_drop(t, err_msg(*err));
		return;
	}
	if (*err != NULL) {
		log_err(LOG_WARN, "a log is refused, trying again", err, EX_LOG_IDS(t));
		loop_timer_start(t->again, EX_TASK_RETRY_MS);
		return;
	}
	for (i = 0; i <= t->st->nsteps; i++) {
		struct ex_step_state *s = ex_state_step(t->st, (int)i - 1);

		if (t->ships[i] == NULL || !ex_logship_finished(t->ships[i]))
			continue;
		ex_logship_free(steal(&t->ships[i]));
		s->log_stored = news = true;
		t->nunstored--;
	}
	if (!news)
		return;
	ex_task_save(t);
	if (t->at == EX_AT_STEPS)
		ex_steps_go(t);
}

struct ex_logship *
ex_task_ship(struct ex_task *t, int step)
{
	struct ex_logship **at = &t->ships[step + 1];
	const struct ex_logship_options opt = { .loop = t->ex->loop,
		.pool = t->ex->pool,
		.rs = t->ex->rs,
		.spool = t->spool,
		.task_id = t->task_id,
		.fence = t->fence,
		.step = step,
		.on_progress = on_ship,
		.arg = t };

	if (*at == NULL) {
		*at = ex_logship_new(&opt);
		t->nunstored++;
	}
	return *at;
}

void
ex_task_logs_again(struct ex_task *t)
{
	unsigned i;

	for (i = 0; t->ships != NULL && i <= t->st->nsteps; i++) {
		const struct ex_step_state *s = ex_state_step(t->st, (int)i - 1);

		if (s->phase == EX_NOTSTARTED || s->log_stored)
			continue;
		if (t->ships[i] != NULL) {
			ex_logship_free(steal(&t->ships[i]));
			t->nunstored--;
		}
		ex_task_ship(t, (int)i - 1);
		if (ex_phase_final(s->phase))
			ex_logship_end(t->ships[i]);
		else
			ex_logship_kick(t->ships[i]);
	}
}

void
ex_task_say_raw(struct ex_task *t, const char *text, size_t n)
{
	auto_free char *copy = xstrndup(text, n);
	auto_free char *masked = ex_mask_text(t->mask, copy);

	t->setup_raw += n;
	ex_spool_append(t->spool, -1, t->setup_raw, masked, strlen(masked));
}

void
ex_task_say(struct ex_task *t, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	n = strlen(line);
	line[n] = '\n';
	ex_task_say_raw(t, line, n + 1);
	explicit_bzero(line, sizeof(line));
}

static void
on_durable(void *arg)
{
	struct ex_task *t = arg;
	unsigned i;

	for (i = 0; i <= t->st->nsteps; i++)
		if (t->ships[i] != NULL)
			ex_logship_kick(t->ships[i]);
	ex_step_durable(t);
}

bool
ex_task_logs_stored(const struct ex_task *t)
{
	unsigned i;

	for (i = 0; i <= t->st->nsteps; i++) {
		const struct ex_step_state *s = ex_state_step(t->st, (int)i - 1);

		if (s->phase != EX_NOTSTARTED && !s->log_stored)
			return false;
	}
	return true;
}

int
ex_task_logs_open(struct ex_task *t, struct err **err)
{
	auto_free char *dir =
	    xasprintf("%s/%s-%" PRIu64, t->ex->cfg->spool_dir, t->task_id, t->fence);
	int rc = ex_spool_open(
	    &t->spool, t->ex->loop, t->ex->pool, dir, t->st->nsteps, on_durable, t, err);

	if (rc != 0)
		return rc;
	t->ships = xcalloc(t->st->nsteps + 1, sizeof(struct ex_logship *));
	t->setup_raw = ex_spool_durable(t->spool, -1).raw;
	return 0;
}

void
ex_task_logs_drop(struct ex_task *t)
{
	unsigned i;

	for (i = 0; t->ships != NULL && i <= t->st->nsteps; i++)
		ex_logship_free(steal(&t->ships[i]));
}
