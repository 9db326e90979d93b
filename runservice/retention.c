#include "runservice/retention.h"

#include "common/log.h"
#include "common/mem.h"
#include "runservice/archives.h"
#include "runservice/store.h"
#include "runservice/sweep.h"

#include <string.h>

#define MORE_MS 100    /* between two portions */
#define RETRY_MS 10000 /* after a failure */

_Static_assert(
    RS_RETENTION_GRACE_MS > RS_ARCHIVE_URL_SECONDS * INT64_C(1000), "URLs end before objects go");

struct rs_retention {
	struct rs *rs;
	struct loop_timer *timer;
	bool busy;
};

struct round {
	struct rs_job job;
	uint64_t caches, archives, logs; /* retired, removed */
	bool more;
};

static int
remove_archive(struct db *db, const struct rs_dead_archive *a, struct err **err)
{
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < a->urls; i++) {
		auto_free char *key = rs_archives_part_key(&a->row, a->id, i);
		rc = rs_store_garbage_add(db, key, err);
	}
	return rc == 0 ? rs_store_archive_delete(db, a->id, err) : rc;
}

static int
remove_dead(
    struct round *j, struct db *db, enum rs_dead_kind kind, int64_t older_ms, struct err **err)
{
	auto_free struct rs_dead_archive *list = NULL;
	size_t n = 0;
	int rc = rs_store_archives_dead(&list, &n, db, kind, older_ms, RS_RETENTION_PORTION, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = remove_archive(db, &list[i], err);
	j->archives += n;
	j->more |= n == RS_RETENTION_PORTION;
	return rc;
}

static int
round_tx(struct db *db, void *arg, struct err **err)
{
	struct round *j = arg;
	const struct rs_config *cfg = j->job.rs->cfg;
	j->caches = j->archives = j->logs = 0;
	j->more = false;
	int rc = rs_store_retention_begin(db, j->job.epoch, err);
	if (rc == 0 && cfg->cache_retention_ms > 0)
		rc = rs_store_caches_retire(&j->caches, db, cfg->cache_retention_ms, err);
	if (rc == 0)
		rc = remove_dead(j, db, RS_DEAD_RETIRED, RS_RETENTION_GRACE_MS, err);
	if (rc == 0)
		rc = remove_dead(j, db, RS_DEAD_UNNAMED, RS_RETENTION_GRACE_MS, err);
	if (rc == 0 && cfg->workspace_retention_ms > 0)
		rc = remove_dead(j, db, RS_DEAD_OLD, cfg->workspace_retention_ms, err);
	if (rc == 0 && cfg->log_retention_ms > 0)
		rc = rs_store_logs_old(
		    &j->logs, db, cfg->log_retention_ms, RS_RETENTION_PORTION, err);
	j->more |= j->logs == RS_RETENTION_PORTION;
	return rc;
}

static int
round_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_tx_run(db, round_tx, job, err);
}

static void
round_done(struct rs_job *job)
{
	struct round *j = (struct round *)job;
	struct rs_retention *r = job->rs->retention;
	if (job->rc != 0) {
		log_err(LOG_WARN, "removing what is too old failed", &job->err);
	} else if (j->caches > 0 || j->archives > 0 || j->logs > 0) {
		log_info("removed what is too old", LOG_I64("caches", (int64_t)j->caches),
		    LOG_I64("archives", (int64_t)j->archives), LOG_I64("logs", (int64_t)j->logs));
		if (job->rs->sweep)
			rs_sweep_wake(job->rs->sweep);
	}
	if (r) {
		int64_t wait = job->rc != 0 ? RETRY_MS
		               : j->more    ? MORE_MS
		                            : job->rs->cfg->cleaner_ms;
		r->busy = false;
		if (job->rs->epoch != 0)
			loop_timer_start(r->timer, wait);
	}
	err_clear(&job->err);
	free(j);
}

static void
on_timer(void *arg)
{
	struct rs_retention *r = arg;
	if (r->busy || r->rs->epoch == 0)
		return;
	struct round *j = xcalloc(1, sizeof(*j));
	j->job.rs = r->rs;
	j->job.work = round_work;
	j->job.done = round_done;
	j->job.quiet = true;
	r->busy = true;
	rs_db_submit(r->rs, "retention", 0, &j->job);
}

void
rs_retention_wake(struct rs_retention *r)
{
	if (r->rs->cfg->cleaner_ms > 0)
		loop_timer_start(r->timer, 0);
}

struct rs_retention *
rs_retention_new(struct rs *rs)
{
	struct rs_retention *r = xcalloc(1, sizeof(*r));
	r->rs = rs;
	r->timer = loop_timer_new(rs->loop, "retention", on_timer, r);
	return r;
}

void
rs_retention_free(struct rs_retention *r)
{
	if (!r)
		return;
	loop_timer_free(r->timer);
	free(r);
}
