#include "runservice/leader.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "runservice/store.h"

#include <string.h>

struct rs_leader {
	struct rs *rs;
	struct loop_timer
	    *timer; /* the next attempt to take or confirm; unarmed while we lead calmly */
	struct db_listen *listen;
	bool busy;         /* a job is under way */
	bool asked;        /* to confirm, while that job was under way */
	bool told;         /* that somebody else leads was logged */
	int64_t unsure_ms; /* monotonic: since when we could not confirm; 0 = we are sure */
};

struct leader_job {
	struct rs_job job;
	int64_t epoch; /* in: to confirm or release; out: taken */
};

static int
take_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct leader_job *j = (struct leader_job *)job;
	return rs_store_leader_take(&j->epoch, db, job->rs->holder, RS_LEADER_PATIENCE_MS, err);
}

static int
confirm_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct leader_job *j = (struct leader_job *)job;
	return rs_store_leader_confirm(db, j->epoch, err);
}

static int
release_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct leader_job *j = (struct leader_job *)job;
	return rs_store_leader_release(db, j->epoch, err);
}

static void
lost(struct rs_leader *l, const char *why)
{
	log_warn("leadership lost", LOG_STR("reason", why), LOG_I64("epoch", l->rs->epoch));
	rs_on_lost(l->rs);
	l->told = false;
}

static void
take_done(struct rs_job *job)
{
	struct leader_job *j = (struct leader_job *)job;
	struct rs_leader *l = job->rs->leader;
	if (l) {
		l->busy = false;
		if (job->rc != 0) {
			log_err(LOG_WARN, "cannot reach the database to lead", &job->err);
		} else if (j->epoch > 0) {
			l->unsure_ms = 0;
			log_info("leading", LOG_I64("epoch", j->epoch));
			rs_on_lead(job->rs, j->epoch);
		} else if (!l->told) {
			l->told = true;
			log_info("another runservice leads; standing by");
		}
		if (l->rs->epoch == 0 || l->asked)
			loop_timer_start(l->timer, RS_LEADER_RETRY_MS);
		else
			loop_timer_stop(l->timer);
	}
	err_clear(&job->err);
	free(j);
}

static void
confirm_done(struct rs_job *job)
{
	struct leader_job *j = (struct leader_job *)job;
	struct rs_leader *l = job->rs->leader;
	if (l) {
		l->busy = false;
		if (job->rc == 0 && job->rs->epoch == j->epoch)
			l->unsure_ms = 0;
		else if (job->rc == ERR_CONFLICT && job->rs->epoch == j->epoch)
			lost(l, err_msg(job->err));
		/* Lost or given up meanwhile: to be taken again. */
		if (job->rs->epoch == 0)
			loop_timer_start(l->timer, 0);
		else if (job->rc != 0 || l->asked)
			loop_timer_start(l->timer, RS_LEADER_RETRY_MS);
		else
			loop_timer_stop(l->timer);
	}
	err_clear(&job->err);
	free(j);
}

static void
done_free(struct rs_job *job)
{
	err_clear(&job->err);
	free(job);
}

static struct leader_job *
new_job(struct rs_leader *l, int (*work)(struct db *, struct rs_job *, struct err **),
    void (*done)(struct rs_job *))
{
	struct leader_job *j = xcalloc(1, sizeof(*j));
	j->job.rs = l->rs;
	j->job.work = work;
	j->job.done = done;
	j->job.quiet = true;
	j->epoch = l->rs->epoch;
	return j;
}

static void
on_timer(void *arg)
{
	struct rs_leader *l = arg;
	int64_t now = clock_mono_ms();
	if (l->rs->epoch != 0 && l->unsure_ms != 0 && now - l->unsure_ms >= RS_LEADER_PATIENCE_MS)
		lost(l, "the database does not confirm it");
	/* A stuck database must not keep us from noticing that our time is up. */
	loop_timer_start(l->timer, l->rs->epoch != 0 ? RS_LEADER_PATIENCE_MS : RS_LEADER_RETRY_MS);
	if (l->busy)
		return;
	l->busy = true;
	l->asked = false;
	if (l->rs->epoch != 0 && l->unsure_ms == 0)
		l->unsure_ms = now;
	struct leader_job *j = l->rs->epoch != 0 ? new_job(l, confirm_work, confirm_done)
	                                         : new_job(l, take_work, take_done);
	rs_db_submit(l->rs, "leader", 0, &j->job);
}

void
rs_leader_confirm(struct rs_leader *l)
{
	if (l->rs->epoch == 0)
		return;
	l->asked = true;
	if (!l->busy && l->unsure_ms == 0)
		loop_timer_start(l->timer, 0);
}

/* payload NULL: we did not listen for a while. */
static void
on_notify(const char *channel, const char *payload, void *arg)
{
	struct rs_leader *l = arg;
	(void)channel;
	if (l->rs->epoch != 0)
		rs_leader_confirm(l);
	else if (!l->busy && payload && strcmp(payload, "challenge") != 0)
		loop_timer_start(l->timer, 0);
}

struct rs_leader *
rs_leader_new(struct rs *rs)
{
	static const char *const channels[] = { "runservice_leader" };
	struct rs_leader *l = xcalloc(1, sizeof(*l));
	l->rs = rs;
	l->timer = loop_timer_new(rs->loop, "leader", on_timer, l);
	l->listen =
	    db_listen_new(rs->loop, rs->cfg->database, channels, ARRAY_LEN(channels), on_notify, l);
	loop_timer_start(l->timer, 0);
	return l;
}

void
rs_leader_again(struct rs_leader *l)
{
	/* A job under way starts the timer when it is done. */
	if (!l->busy)
		loop_timer_start(l->timer, 0);
}

void
rs_leader_free(struct rs_leader *l)
{
	if (!l)
		return;
	db_listen_free(l->listen);
	loop_timer_free(l->timer);
	free(l);
}

void
rs_leader_release(struct rs_leader *l)
{
	if (l->rs->epoch == 0)
		return;
	struct leader_job *j = new_job(l, release_work, done_free);
	rs_db_submit(l->rs, "leader-release", 0, &j->job);
}
