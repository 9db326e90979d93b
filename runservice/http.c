#include "runservice/http.h"

#include "common/clock.h"
#include "common/http_monitor.h"
#include "common/log.h"
#include "common/mem.h"
#include "runservice/dump.h"

#include <string.h>

/* Requests for objects under way, each with at most a part in memory. */
#define OBJECTS_BUSY_MAX 32

struct object_job {
	struct rs_job job;
	struct http_req *req;
	char *key;
	uint8_t *data;
	size_t len;
};

static void
answer_text(struct http_req *req, int status, const char *text)
{
	http_reply(req, status, "text/plain; charset=utf-8", text, strlen(text));
}

static int
status_of(int rc)
{
	static const struct {
		int code, status;
	} table[] = { { ERR_INVALID, 400 }, { ERR_DENIED, 403 }, { ERR_NOTFOUND, 404 },
		{ ERR_CONFLICT, 409 }, { ERR_UNAVAILABLE, 503 } };
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].code == rc)
			return table[i].status;
	}
	return 500;
}

static void
free_job(struct object_job *j)
{
	err_clear(&j->job.err);
	free(j->key);
	free(j->data);
	free(j);
}

/* An object that is already there with the same bytes is a repeated request. */
static int
same_object(struct object_job *j, struct err **err)
{
	struct objstore *o = j->job.rs->objects;
	auto_free uint8_t *old = NULL;
	size_t n = 0;
	uint64_t total = 0;
	int rc = o->ops->get(&old, &n, &total, o, j->key, 0, OBJSTORE_PART_MAX, err);
	if (rc == 0 && (n != j->len || total != n || memcmp(old, j->data, n) != 0))
		return err_set(err, ERR_CONFLICT, "object exists with other content");
	return rc;
}

static int
put_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct object_job *j = (struct object_job *)job;
	struct objstore *o = job->rs->objects;
	(void)db;
	int rc = o->ops->put(o, j->key, j->data, j->len, err);
	if (rc != ERR_CONFLICT)
		return rc;
	err_clear(err);
	return same_object(j, err);
}

static int
get_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct object_job *j = (struct object_job *)job;
	struct objstore *o = job->rs->objects;
	uint64_t total = 0;
	(void)db;
	return o->ops->get(&j->data, &j->len, &total, o, j->key, 0, OBJSTORE_PART_MAX, err);
}

static void
object_done(struct rs_job *job)
{
	struct object_job *j = (struct object_job *)job;
	job->rs->objects_busy--;
	if (job->rc != 0)
		answer_text(j->req, status_of(job->rc), err_msg(job->err));
	else if (job->work == get_work)
		http_reply(j->req, 200, "application/octet-stream", j->data, j->len);
	else
		http_reply(j->req, 200, NULL, NULL, 0);
	free_job(j);
}

static void
handle_object(struct rs *rs, struct http_req *req)
{
	auto_err e = NULL;
	char *key = NULL;
	enum http_method method = http_req_method(req);
	if (rs->stopping || rs->objects_busy >= OBJECTS_BUSY_MAX) {
		answer_text(req, 503, "busy; try again");
		return;
	}
	if (method != HTTP_PUT && method != HTTP_GET) {
		answer_text(req, 405, "only GET and PUT");
		return;
	}
	int rc = objstore_url_check(&key, rs->object_key, http_req_method_name(req),
	    http_req_path(req), http_req_query(req), clock_wall_ms() / 1000, &e);
	if (rc != 0) {
		answer_text(req, status_of(rc), err_msg(e));
		return;
	}
	struct object_job *j = xcalloc(1, sizeof(*j));
	j->job.rs = rs;
	j->job.done = object_done;
	j->req = req;
	j->key = key;
	if (method == HTTP_PUT) {
		const void *body = http_req_body(req, &j->len);
		j->data = j->len ? xmemdup(body, j->len) : xcalloc(1, 1);
		j->job.work = put_work;
	} else {
		j->job.work = get_work;
	}
	rs->objects_busy++;
	rs_io_submit(rs, "object", 0, &j->job);
}

void
rs_http_handle(struct http_req *req, void *arg)
{
	struct rs *rs = arg;
	const struct http_monitor monitor = { .not_ready = rs->serving ? NULL : "not the leader",
		.sample = rs_sample,
		.dump = rs_dump,
		.arg = rs };
	if (http_monitor_handle(req, &monitor))
		return;
	if (strncmp(http_req_path(req), "/objects/", 9) == 0 && !rs_config_s3(rs->cfg))
		handle_object(rs, req);
	else
		answer_text(req, 404, "no such page\n");
}
