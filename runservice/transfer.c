#include "runservice/transfer.h"

#include "common/buf.h"
#include "common/db_dump.h"
#include "common/id.h"
#include "common/mem.h"
#include "gateway.pb-c.h"
#include "runservice/rpc_gateway.h"
#include "runservice/store_dump.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file between a gateway and the database. While a job uses it, it is neither closed nor
 * replaced. */
struct file {
	char id[ID_LEN + 1]; /* "" = there is none */
	int fd;
	uint64_t size;
	bool busy, loaded;
	struct loop_timer *forget;
};

struct rs_transfer {
	struct rs *rs;
	struct file out, in;
};

struct transfer_job {
	struct rs_job job;
	struct rs_transfer *t;
	struct file *file;
	int fd;
	uint64_t size, offset;
	struct buf data; /* read, or to be written */
};

static void
drop(struct file *f)
{
	if (f->busy)
		return;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->id[0] = '\0';
	f->size = 0;
	f->loaded = false;
	loop_timer_stop(f->forget);
}

static void
forget(void *arg)
{
	drop(arg);
}

struct rs_transfer *
rs_transfer_new(struct rs *rs)
{
	struct rs_transfer *t = xcalloc(1, sizeof(*t));
	t->rs = rs;
	t->out.fd = t->in.fd = -1;
	t->out.forget = loop_timer_new(rs->loop, "forget export", forget, &t->out);
	t->in.forget = loop_timer_new(rs->loop, "forget import", forget, &t->in);
	return t;
}

void
rs_transfer_free(struct rs_transfer *t)
{
	if (!t)
		return;
	drop(&t->out);
	drop(&t->in);
	loop_timer_free(t->out.forget);
	loop_timer_free(t->in.forget);
	free(t);
}

/* Also keeps the file until the job is back. */
static struct transfer_job *
job_new(struct rs_transfer *t, struct file *f, struct rpc_call *call,
    int (*work)(struct db *, struct rs_job *, struct err **), void (*done)(struct rs_job *))
{
	struct transfer_job *j = xcalloc(1, sizeof(*j));
	j->job.work = work;
	j->job.done = done;
	j->job.call = call;
	j->t = t;
	j->file = f;
	j->fd = f->fd;
	j->size = f->size;
	f->busy = true;
	return j;
}

/* The file is free again. */
static void
job_back(struct transfer_job *j)
{
	j->file->busy = false;
	loop_timer_start(j->file->forget, RS_TRANSFER_MS);
}

static void
job_free(struct transfer_job *j)
{
	buf_free(&j->data);
	free(j);
}

static bool
refuse_busy(const struct file *f, struct rpc_call *call)
{
	if (f->busy)
		rs_fail(call, ERR_UNAVAILABLE, "another export or import is being worked on");
	return f->busy;
}

/* --- export --- */

static int
read_piece(struct transfer_job *j, struct err **err)
{
	uint64_t left = j->offset < j->size ? j->size - j->offset : 0;
	size_t n = left < RS_TRANSFER_PIECE ? (size_t)left : RS_TRANSFER_PIECE;
	ssize_t got = pread(j->fd, buf_reserve(&j->data, n + 1), n, (off_t)j->offset);
	if (got != (ssize_t)n)
		return err_set_errno(err, got < 0 ? errno : EIO, "read the export");
	j->data.len = n;
	return 0;
}

static int
dump_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct transfer_job *j = (struct transfer_job *)job;
	int rc = rs_store_dump(&j->fd, &j->size, db, job->rs->cfg->data_dir, err);
	return rc == 0 ? read_piece(j, err) : rc;
}

static int
read_work(struct db *db, struct rs_job *job, struct err **err)
{
	(void)db;
	return read_piece((struct transfer_job *)job, err);
}

static void
read_done(struct rs_job *job)
{
	struct transfer_job *j = (struct transfer_job *)job;
	Millrace__DumpReadReply reply = MILLRACE__DUMP_READ_REPLY__INIT;
	struct file *f = j->file;
	job_back(j);
	if (f->fd != j->fd) { /* a new one, at least in part */
		f->fd = j->fd;
		f->size = j->size;
	}
	if (rs_job_failed(job)) {
		drop(f);
	} else {
		reply.id = f->id;
		reply.data.data = (uint8_t *)(uintptr_t)buf_str(&j->data);
		reply.data.len = j->data.len;
		reply.end = j->offset + j->data.len >= f->size;
		rs_reply_pb(job->call, &reply);
		if (reply.end)
			drop(f);
	}
	job_free(j);
}

static void
begin_read(struct rs_transfer *t, struct rpc_call *call, const Millrace__DumpReadRequest *q)
{
	struct file *f = &t->out;
	struct transfer_job *j;
	if (refuse_busy(f, call))
		return;
	if (!q->id) {
		drop(f);
		memcpy(f->id, id_new().s, sizeof(f->id));
		j = job_new(t, f, call, dump_work, read_done);
		rs_db_submit(t->rs, "export", 0, &j->job);
	} else if (strcmp(q->id, f->id) != 0 || !*f->id) {
		rs_fail(call, ERR_NOTFOUND, "there is no such export; begin anew");
	} else {
		j = job_new(t, f, call, read_work, read_done);
		j->offset = q->offset;
		rs_io_submit(t->rs, "export", 0, &j->job);
	}
}

/* --- import --- */

static int
write_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct transfer_job *j = (struct transfer_job *)job;
	int rc = j->fd < 0 ? db_dump_file_new(&j->fd, job->rs->cfg->data_dir, err) : 0;
	ssize_t n;
	(void)db;
	if (rc != 0)
		return rc;
	n = pwrite(j->fd, buf_str(&j->data), j->data.len, (off_t)j->offset);
	if (n != (ssize_t)j->data.len)
		return err_set_errno(err, n < 0 ? errno : ENOSPC, "write the import");
	return 0;
}

static void
write_done(struct rs_job *job)
{
	struct transfer_job *j = (struct transfer_job *)job;
	Millrace__Empty empty = MILLRACE__EMPTY__INIT;
	job_back(j);
	j->file->fd = j->fd;
	if (rs_job_failed(job)) {
		drop(j->file);
	} else {
		if (j->offset + j->data.len > j->file->size)
			j->file->size = j->offset + j->data.len;
		rs_reply_pb(job->call, &empty);
	}
	job_free(j);
}

static void
begin_write(struct rs_transfer *t, struct rpc_call *call, const Millrace__LoadWriteRequest *q)
{
	struct file *f = &t->in;
	struct transfer_job *j;
	if (refuse_busy(f, call))
		return;
	if (!id_is_valid(q->id) || q->data.len > RS_TRANSFER_WRITE_MAX ||
	    q->offset > RS_TRANSFER_LOAD_MAX) {
		rs_fail(call, ERR_INVALID, "import: too large, or not under a UUID");
		return;
	}
	if (q->offset == 0 && strcmp(q->id, f->id) != 0) {
		drop(f);
		memcpy(f->id, q->id, sizeof(f->id));
	}
	if (strcmp(q->id, f->id) != 0 || q->offset > f->size) {
		rs_fail(call, ERR_NOTFOUND, "there is no such import; begin anew");
		return;
	}
	j = job_new(t, f, call, write_work, write_done);
	j->offset = q->offset;
	buf_append(&j->data, q->data.data, q->data.len);
	rs_io_submit(t->rs, "import", 0, &j->job);
}

static int
commit_work(struct db *db, struct rs_job *job, struct err **err)
{
	struct transfer_job *j = (struct transfer_job *)job;
	void *map = j->size ? mmap(NULL, j->size, PROT_READ, MAP_PRIVATE, j->fd, 0) : NULL;
	int rc;
	if (map == MAP_FAILED)
		return err_set_errno(err, errno, "read the import");
	rc = rs_store_load(db, job->epoch, map ? map : "", j->size, err);
	if (map)
		munmap(map, j->size);
	return rc;
}

static void
commit_done(struct rs_job *job)
{
	struct transfer_job *j = (struct transfer_job *)job;
	Millrace__Empty empty = MILLRACE__EMPTY__INIT;
	struct rs *rs = job->rs;
	job_back(j);
	if (!rs_job_failed(job)) {
		j->file->loaded = true;
		rs_reply_pb(job->call, &empty);
		if (rs->epoch != 0)
			rs_on_replaced(rs);
	}
	job_free(j);
}

static void
begin_commit(struct rs_transfer *t, struct rpc_call *call, const Millrace__LoadCommitRequest *q)
{
	struct file *f = &t->in;
	Millrace__Empty empty = MILLRACE__EMPTY__INIT;
	if (refuse_busy(f, call))
		return;
	if (!*f->id || strcmp(q->id, f->id) != 0) {
		rs_fail(call, ERR_NOTFOUND, "there is no such import; begin anew");
	} else if (f->loaded) { /* asked again */
		rs_reply_pb(call, &empty);
	} else {
		struct transfer_job *j = job_new(t, f, call, commit_work, commit_done);
		rs_db_submit(t->rs, "import", 0, &j->job);
	}
}

/* --- methods --- */

static void
on_read(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	Millrace__DumpReadRequest *m =
	    rs_gateway_decode(call, &millrace__dump_read_request__descriptor, body, len, rs);
	if (!m)
		return;
	begin_read(rs->transfer, call, m);
	millrace__dump_read_request__free_unpacked(m, NULL);
}

static void
on_write(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	Millrace__LoadWriteRequest *m =
	    rs_gateway_decode(call, &millrace__load_write_request__descriptor, body, len, rs);
	if (!m)
		return;
	begin_write(rs->transfer, call, m);
	millrace__load_write_request__free_unpacked(m, NULL);
}

static void
on_commit(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct rs *rs = arg;
	Millrace__LoadCommitRequest *m =
	    rs_gateway_decode(call, &millrace__load_commit_request__descriptor, body, len, rs);
	if (!m)
		return;
	begin_commit(rs->transfer, call, m);
	millrace__load_commit_request__free_unpacked(m, NULL);
}

const struct rpc_method rs_rpc_transfer[] = {
	{ "dump.read", on_read, 8 << 10 },
	{ "load.write", on_write, RS_TRANSFER_WRITE_MAX + (8 << 10) },
	{ "load.commit", on_commit, 8 << 10 },
};
const size_t rs_rpc_transfer_len = ARRAY_LEN(rs_rpc_transfer);
