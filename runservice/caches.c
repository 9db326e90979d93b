#include "runservice/caches.h"

#include "common/http_server.h"
#include "common/mem.h"
#include "runservice/cache_key.h"
#include "runservice/spec.h"
#include "runservice/store.h"

#include <string.h>

struct find_job {
	struct rs_job job;
	char run_id[ID_LEN + 1], task_id[ID_LEN + 1], found[ID_LEN + 1];
	uint32_t step;
	char **keys;
	size_t nkeys, which;
	char *key; /* of the found one */
};

static int
load_spec(Millrace__RunSpec **spec, struct db *db, const char *run_id, struct err **err)
{
	void *packed = NULL;
	size_t len = 0;
	int rc = rs_store_definition_get(&packed, &len, db, run_id, err);
	if (rc != 0)
		return rc;
	*spec = millrace__run_spec__unpack(NULL, len, packed);
	free(packed);
	if (!*spec)
		return err_set(err, ERR_INTERNAL, "stored definition of run %s is damaged", run_id);
	return 0;
}

/* type 0: of no step. */
static int
place_of(struct rs_cache_place *p, struct db *db, const char *run_id, const char *task_id,
    uint32_t step, Millrace__StepType type, struct err **err)
{
	Millrace__RunSpec *spec = NULL;
	int rc = load_spec(&spec, db, run_id, err);
	if (rc != 0)
		return rc;
	const Millrace__TaskSpec *t = task_id ? rs_spec_task(spec, task_id) : NULL;
	if (task_id && (!t || step >= t->n_steps || t->steps[step]->type != type))
		rc = err_set(err, ERR_INVALID, "step %u has no cache of this kind", step);
	if (rc == 0)
		rc = rs_cache_place_of(p, spec, err);
	millrace__run_spec__free_unpacked(spec, NULL);
	return rc;
}

int
rs_cache_enter(bool *exists, struct db *db, const char *run_id, const char *task_id, uint32_t step,
    const char *archive_id, const char *key, struct err **err)
{
	struct rs_cache_place p;
	auto_free char *escaped = NULL;
	int rc = place_of(&p, db, run_id, task_id, step, MILLRACE__STEP_TYPE__STEP_SAVE_CACHE, err);
	if (rc != 0)
		return rc;
	rc = rs_cache_key(&escaped, &p, key, err);
	if (rc == 0)
		rc = rs_store_cache_has(exists, db, &p, escaped, err);
	if (rc == 0 && !*exists)
		rc = rs_store_cache_upload(db, archive_id, &p, escaped, err);
	rs_cache_place_fini(&p);
	return rc;
}

int
rs_cache_check_reader(struct db *db, const char *run_id, const char *archive_id, struct err **err)
{
	struct rs_cache_place p;
	bool readable = false;
	int rc = place_of(&p, db, run_id, NULL, 0, 0, err);
	if (rc != 0)
		return rc;
	rc = rs_store_cache_readable(&readable, db, &p, archive_id, err);
	rs_cache_place_fini(&p);
	if (rc == 0 && !readable)
		return err_set(err, ERR_DENIED,
		    "archive %s is no cache of this run, and not of a task that this one depends "
		    "on",
		    archive_id);
	return rc;
}

/* --- cache.find --- */

static int
find_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct find_job *j = (struct find_job *)job;
	struct rs_cache_place p;
	int rc = place_of(
	    &p, db, j->run_id, j->task_id, j->step, MILLRACE__STEP_TYPE__STEP_RESTORE_CACHE, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < j->nkeys && !j->key; i++) {
		auto_free char *escaped = NULL;
		rc = rs_cache_key(&escaped, &p, j->keys[i], err);
		if (rc == 0)
			rc = rs_store_cache_find(j->found, &j->key, db, &p, escaped, err);
		j->which = i;
	}
	rs_cache_place_fini(&p);
	return rc;
}

static void
find_done(struct rs_job *job)
{
	struct find_job *j = (struct find_job *)job;
	Millrace__CacheFindReply m = MILLRACE__CACHE_FIND_REPLY__INIT;
	auto_free char *plain = j->key ? http_decode(j->key, strlen(j->key)) : NULL;
	if (!rs_job_failed(job)) {
		if (j->key) {
			m.archive_id = j->found;
			m.key = plain;
			m.has_which = true;
			m.which = (uint32_t)j->which;
		}
		rs_reply_pb(job->call, &m);
	}
	for (size_t i = 0; i < j->nkeys; i++)
		free(j->keys[i]);
	free(j->keys);
	free(j->key);
	free(j);
}

void
rs_caches_find(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__CacheFindRequest *req)
{
	if (req->n_keys == 0 || req->n_keys > RS_CACHE_KEYS_MAX) {
		rs_fail(call, ERR_INVALID, "a cache is asked for by 1 to 100 keys");
		return;
	}
	struct find_job *j = xcalloc(1, sizeof(*j));
	j->job.rs = rs;
	j->job.call = call;
	j->job.work = find_work;
	j->job.done = find_done;
	memcpy(j->run_id, attempt->run_id, sizeof(j->run_id));
	memcpy(j->task_id, attempt->task_id, sizeof(j->task_id));
	j->step = req->step;
	j->nkeys = req->n_keys;
	j->keys = xcalloc(j->nkeys, sizeof(*j->keys));
	for (size_t i = 0; i < j->nkeys; i++)
		j->keys[i] = xstrdup(req->keys[i]);
	rs_db_submit(rs, "cache-find", 0, &j->job);
}
