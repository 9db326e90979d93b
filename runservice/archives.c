#include "runservice/archives.h"

#include "common/clock.h"
#include "common/mem.h"
#include "runservice/caches.h"
#include "runservice/store.h"

#include <stdio.h>
#include <string.h>

struct archive_job {
	struct rs_job job;
	char run_id[ID_LEN + 1], task_id[ID_LEN + 1], archive_id[ID_LEN + 1];
	uint64_t fence;
	unsigned tries;
	uint32_t step, first, count;
	struct rs_part_row *parts; /* given (complete) or found (get) */
	size_t nparts;
	uint32_t total;
	char *cache_key; /* begin: or NULL */
	bool exists, lost;
	struct rs_archive_row row;
};

static struct archive_job *
new_job(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const char *archive_id, int (*work)(struct db *, struct rs_job *, struct err **),
    void (*done)(struct rs_job *))
{
	struct archive_job *j = xcalloc(1, sizeof(*j));
	j->job.rs = rs;
	j->job.call = call;
	j->job.work = work;
	j->job.done = done;
	memcpy(j->run_id, attempt->run_id, sizeof(j->run_id));
	memcpy(j->task_id, attempt->task_id, sizeof(j->task_id));
	memcpy(j->archive_id, archive_id, sizeof(j->archive_id));
	j->fence = attempt->fence;
	j->tries = attempt->tries;
	return j;
}

static void
free_job(struct archive_job *j)
{
	free(j->cache_key);
	free(j->parts);
	free(j);
}

char *
rs_archives_part_key(const struct rs_archive_row *row, const char *archive_id, uint32_t part)
{
	return xasprintf("archives/%s/%s/%llu/%s/%06u", row->run_id, row->task_id,
	    (unsigned long long)row->fence, archive_id, part);
}

/* Inside a transaction: the attempt is still held. */
static int
assert_held(const struct archive_job *j, struct db *db, struct err **err)
{
	struct rs_attempt_row a;
	int rc = rs_store_assert_epoch(db, j->job.epoch, err);
	if (rc == 0)
		rc = rs_store_attempt_get(&a, db, j->task_id, j->fence, err);
	if (rc == 0 && a.place != RS_HELD)
		return err_set(err, ERR_CONFLICT, "the attempt is over");
	return rc;
}

/* The archive is this attempt's own. */
static int
check_own(struct archive_job *j, struct db *db, struct err **err)
{
	int rc = rs_store_archive_get(&j->row, db, j->archive_id, err);
	if (rc == 0 && (strcmp(j->row.task_id, j->task_id) != 0 || j->row.fence != j->fence))
		return err_set(err, ERR_DENIED, "archive %s is another attempt's", j->archive_id);
	return rc;
}

/* --- begin --- */

static int
begin_tx(struct db *db, void *arg, struct err **err)
{
	struct archive_job *j = arg;
	int rc = assert_held(j, db, err);
	if (rc != 0)
		return rc;
	struct rs_archive_row row = { .fence = j->fence, .tries = j->tries, .step = j->step };
	memcpy(row.run_id, j->run_id, sizeof(row.run_id));
	memcpy(row.task_id, j->task_id, sizeof(row.task_id));
	rc = rs_store_archive_begin(db, j->archive_id, &row, err);
	j->exists = false;
	if (rc == 0 && j->cache_key)
		rc = rs_cache_enter(&j->exists, db, j->run_id, j->task_id, j->step, j->archive_id,
		    j->cache_key, err);
	return rc == 0 && j->exists ? rs_store_archive_delete(db, j->archive_id, err) : rc;
}

static int
begin_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_tx_run(db, begin_tx, job, err);
}

static void
begin_done(struct rs_job *job)
{
	char none[] = "";
	struct archive_job *j = (struct archive_job *)job;
	Millrace__ArchiveBeginReply m = MILLRACE__ARCHIVE_BEGIN_REPLY__INIT;
	m.has_exists = m.exists = j->exists;
	m.archive_id = j->exists ? none : j->archive_id;
	if (!rs_job_failed(job))
		rs_reply_pb(job->call, &m);
	free_job(j);
}

void
rs_archives_begin(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__ArchiveBeginRequest *req)
{
	if (req->step >= attempt->nsteps) {
		rs_fail(call, ERR_INVALID, "task has no such step");
		return;
	}
	struct archive_job *j = new_job(rs, call, attempt, id_new().s, begin_work, begin_done);
	j->step = req->step;
	j->cache_key = req->cache_key ? xstrdup(req->cache_key) : NULL;
	rs_db_submit(rs, "archive-begin", work_key(j->task_id), &j->job);
}

/* --- urls --- */

static int
urls_tx(struct db *db, void *arg, struct err **err)
{
	struct archive_job *j = arg;
	int rc = assert_held(j, db, err);
	if (rc == 0)
		rc = check_own(j, db, err);
	if (rc == 0 && j->row.done)
		return err_set(err, ERR_CONFLICT, "archive %s is complete", j->archive_id);
	return rc == 0 ? rs_store_archive_urls(db, j->archive_id, j->first + j->count, err) : rc;
}

static int
urls_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_tx_run(db, urls_tx, job, err);
}

static void
urls_done(struct rs_job *job)
{
	struct archive_job *j = (struct archive_job *)job;
	Millrace__ArchiveUrlsReply m = MILLRACE__ARCHIVE_URLS_REPLY__INIT;
	struct objstore *objects = job->rs->objects;
	if (!rs_job_failed(job)) {
		int64_t expires = clock_wall_ms() / 1000 + RS_ARCHIVE_URL_SECONDS;
		m.urls = xcalloc(j->count + 1u, sizeof(*m.urls));
		for (uint32_t i = 0; i < j->count; i++) {
			auto_free char *key =
			    rs_archives_part_key(&j->row, j->archive_id, j->first + i);
			m.urls[m.n_urls++] = objects->ops->sign(objects, "PUT", key, expires);
		}
		rs_reply_pb(job->call, &m);
		for (size_t i = 0; i < m.n_urls; i++)
			free(m.urls[i]);
		free(m.urls);
	}
	free_job(j);
}

void
rs_archives_urls(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__ArchiveUrlsRequest *req)
{
	if (!id_is_valid(req->archive_id) || req->count == 0 || req->count > RS_ARCHIVE_URLS_MAX ||
	    req->first >= RS_ARCHIVE_PARTS_MAX || req->first + req->count > RS_ARCHIVE_PARTS_MAX) {
		rs_fail(call, ERR_INVALID, "at most 64 URLs at once, parts below 16384");
		return;
	}
	struct archive_job *j = new_job(rs, call, attempt, req->archive_id, urls_work, urls_done);
	j->first = req->first;
	j->count = req->count;
	rs_db_submit(rs, "archive-urls", 0, &j->job);
}

/* --- complete --- */

/* The objects are there, each as long as was said. On the io pool: a store may be slow. */
static int
objects_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct archive_job *j = (struct archive_job *)job;
	struct objstore *objects = job->rs->objects;
	(void)db;
	for (size_t i = 0; i < j->nparts; i++) {
		uint8_t *none = NULL;
		size_t n = 0;
		uint64_t total = 0;
		auto_free char *key = rs_archives_part_key(&j->row, j->archive_id, (uint32_t)i);
		int rc = objects->ops->get(&none, &n, &total, objects, key, 0, 1, err);
		free(none);
		if (rc == ERR_NOTFOUND) {
			err_clear(err);
			return err_set(err, ERR_INVALID, "part %zu was not stored", i);
		}
		if (rc != 0)
			return rc;
		if (total != j->parts[i].size)
			return err_set(err, ERR_INVALID, "part %zu has %llu bytes, not %llu", i,
			    (unsigned long long)total, (unsigned long long)j->parts[i].size);
	}
	return 0;
}

static int
complete_tx(struct db *db, void *arg, struct err **err)
{
	struct archive_job *j = arg;
	int rc = assert_held(j, db, err);
	if (rc == 0)
		rc = check_own(j, db, err);
	if (rc != 0 || j->row.done)
		return rc;
	if (j->row.step != j->step)
		return err_set(err, ERR_INVALID, "archive %s is of another step", j->archive_id);
	rc = rs_store_cache_commit(&j->lost, db, j->archive_id, err);
	if (rc != 0 || j->lost)
		return rc;
	for (size_t i = 0; rc == 0 && i < j->nparts; i++)
		rc = rs_store_archive_part(
		    db, j->archive_id, (uint32_t)i, j->parts[i].size, j->parts[i].sha256, err);
	return rc == 0 ? rs_store_archive_done(db, j->archive_id, err) : rc;
}

static int
complete_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_tx_run(db, complete_tx, job, err);
}

static void
complete_done(struct rs_job *job)
{
	struct archive_job *j = (struct archive_job *)job;
	Millrace__ArchiveCompleteReply m = MILLRACE__ARCHIVE_COMPLETE_REPLY__INIT;
	m.has_lost = m.lost = j->lost;
	if (!rs_job_failed(job))
		rs_reply_pb(job->call, &m);
	free_job(j);
}

static void
objects_done(struct rs_job *job)
{
	struct archive_job *j = (struct archive_job *)job;
	if (rs_job_failed(job)) {
		free_job(j);
		return;
	}
	job->work = complete_work;
	job->done = complete_done;
	rs_db_submit(job->rs, "archive-complete", work_key(j->task_id), job);
}

static int
named_work(struct db *db, struct rs_job *job, struct err **err)
{
	return check_own((struct archive_job *)job, db, err);
}

static void
named_done(struct rs_job *job)
{
	struct archive_job *j = (struct archive_job *)job;
	if (job->rc != 0 || j->row.done) {
		complete_done(job);
		return;
	}
	job->work = objects_work;
	job->done = objects_done;
	rs_io_submit(job->rs, "archive-objects", 0, job);
}

void
rs_archives_complete(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__ArchiveCompleteRequest *req)
{
	bool ok = id_is_valid(req->archive_id) && req->n_parts <= RS_ARCHIVE_PARTS_MAX;
	for (size_t i = 0; ok && i < req->n_parts; i++)
		ok = req->parts[i]->sha256.len == 32 && req->parts[i]->size <= OBJSTORE_PART_MAX;
	if (!ok) {
		rs_fail(call, ERR_INVALID, "malformed list of parts");
		return;
	}
	struct archive_job *j = new_job(rs, call, attempt, req->archive_id, named_work, named_done);
	j->step = req->step;
	j->nparts = req->n_parts;
	j->parts = xcalloc(j->nparts + 1, sizeof(*j->parts));
	for (size_t i = 0; i < j->nparts; i++) {
		j->parts[i].size = req->parts[i]->size;
		memcpy(j->parts[i].sha256, req->parts[i]->sha256.data, 32);
	}
	rs_db_submit(rs, "archive-named", work_key(j->task_id), &j->job);
}

/* --- get --- */

static int
check_ancestor(struct archive_job *j, struct db *db, struct err **err)
{
	struct rs_run run;
	int rc = rs_store_run_load(&run, db, j->run_id, err);
	if (rc != 0)
		return rc;
	auto_free bool *ancestor = xcalloc(run.ntasks + 1, sizeof(*ancestor));
	size_t reader = rs_run_find_task(&run, j->task_id);
	size_t owner = rs_run_find_task(&run, j->row.task_id);
	bool ok = reader != RS_NO_TASK && owner != RS_NO_TASK;
	if (ok) {
		rs_run_ancestors(ancestor, &run, reader);
		ok = ancestor[owner];
	}
	rs_run_fini(&run);
	if (!ok)
		return err_set(err, ERR_DENIED,
		    "archive %s is of a task that this one does not depend on", j->archive_id);
	return 0;
}

static int
get_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct archive_job *j = (struct archive_job *)job;
	int rc = rs_store_archive_get(&j->row, db, j->archive_id, err);
	if (rc == 0 && !j->row.done)
		return err_set(err, ERR_NOTFOUND, "archive %s is not complete", j->archive_id);
	if (rc == 0)
		rc = check_ancestor(j, db, err);
	if (rc == ERR_DENIED) {
		err_clear(err);
		rc = rs_cache_check_reader(db, j->run_id, j->archive_id, err);
	}
	if (rc != 0)
		return rc;
	return rs_store_archive_parts(&j->parts, &j->nparts, &j->total, db, j->archive_id, j->first,
	    RS_ARCHIVE_URLS_MAX, err);
}

static void
get_done(struct rs_job *job)
{
	struct archive_job *j = (struct archive_job *)job;
	struct objstore *objects = job->rs->objects;
	Millrace__ArchiveGetReply *m;
	if (rs_job_failed(job)) {
		free_job(j);
		return;
	}
	int64_t expires = clock_wall_ms() / 1000 + RS_ARCHIVE_URL_SECONDS;
	m = xmalloc(sizeof(*m));
	millrace__archive_get_reply__init(m);
	m->total_parts = j->total;
	m->parts = xcalloc(j->nparts + 1, sizeof(*m->parts));
	for (size_t i = 0; i < j->nparts; i++) {
		auto_free char *key =
		    rs_archives_part_key(&j->row, j->archive_id, j->first + (uint32_t)i);
		Millrace__ArchivePart *p = xmalloc(sizeof(*p));
		millrace__archive_part__init(p);
		p->sha256.data = xmemdup(j->parts[i].sha256, 32);
		p->sha256.len = 32;
		p->size = (uint32_t)j->parts[i].size;
		p->url = objects->ops->sign(objects, "GET", key, expires);
		m->parts[m->n_parts++] = p;
	}
	rs_reply_pb(job->call, m);
	millrace__archive_get_reply__free_unpacked(m, NULL);
	free_job(j);
}

void
rs_archives_get(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__ArchiveGetRequest *req)
{
	if (!id_is_valid(req->archive_id)) {
		rs_fail(call, ERR_NOTFOUND, "no such archive");
		return;
	}
	struct archive_job *j = new_job(rs, call, attempt, req->archive_id, get_work, get_done);
	j->first = req->first;
	rs_db_submit(rs, "archive-get", 0, &j->job);
}
