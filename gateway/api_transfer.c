/* Export and import of a service: our own schema through a file, the runservice's in pieces. */
#include "gateway/handlers.h"

#include "common/buf.h"
#include "common/http_server.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/rs_client.h"
#include "gateway/store_audit.h"
#include "gateway/store_dump.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PIECE (256u << 10)
#define WRITE_PIECE (1u << 20) /* of what the runservice is sent */
#define PENDING_MAX (1u << 20) /* bytes a slow reader may owe us */

/* An export on its way. At any time one of these is pending: a job of the request, call, or the
 * drain callback. */
struct transfer {
	struct gw_req *rq;
	bool runs; /* the runservice's, else our own */
	bool started, gone;
	uint64_t offset;
	/* our own */
	int fd;
	uint64_t size;
	struct buf piece;
	struct err *err; /* of the job */
	/* the runservice's */
	char id[ID_LEN + 1];
	struct gw_rs_call *call;
	/* import: the body */
	const char *text;
	size_t len;
};

static void next_piece(struct transfer *t);

static void
transfer_free(struct transfer *t)
{
	if (t->call)
		gw_rs_cancel(t->call);
	if (t->fd >= 0)
		close(t->fd);
	buf_free(&t->piece);
	err_clear(&t->err);
	free(t);
}

static void
end(struct transfer *t, bool whole)
{
	struct gw_req *rq = t->rq;

	transfer_free(t);
	if (whole)
		http_stream_end(rq->http);
	else
		http_stream_abort(rq->http);
	gw_req_free(rq);
}

/* The client left, or we stop. A job that still uses the file ends it. */
static void
gone(void *arg)
{
	struct transfer *t = arg;
	struct gw_req *rq = t->rq;

	if (rq->busy) {
		t->gone = true;
	} else if (t->started) {
		end(t, false);
	} else {
		transfer_free(t);
		gw_reply_denied(rq, 503);
	}
}

static void
abandon(struct gw_req *rq)
{
	gone(rq->op);
}

static void
fail(struct transfer *t, struct err **err)
{
	struct gw_req *rq = t->rq;

	if (t->started) {
		log_err(LOG_WARN, "export broken off", err);
		end(t, false);
		return;
	}
	transfer_free(t);
	gw_reply_err(rq, err);
}

/* Takes err over. */
static void
fail_with(struct transfer *t, struct err *err)
{
	fail(t, &err);
}

/* NULL: the request was answered. */
static struct transfer *
transfer_new(struct gw_req *rq)
{
	unsigned service = gw_service_by_name(gw_req_param(rq, "svc"));
	struct err *err = NULL;
	struct transfer *t;

	if (!service) {
		err_set(
		    &err, ERR_INVALID, "there is no such service; it is configstore or runservice");
		gw_reply_err(rq, &err);
		return NULL;
	}
	t = xcalloc(1, sizeof(*t));
	t->rq = rq;
	t->runs = service == GW_SERVICE_RUNS;
	t->fd = -1;
	rq->op = t;
	rq->abandon = abandon;
	return t;
}

/* --- export --- */

static void
drained(void *arg)
{
	next_piece(arg);
}

static void
have_piece(struct transfer *t, const void *p, size_t n, bool last)
{
	struct http_req *http = t->rq->http;

	if (!t->started) {
		t->started = true;
		http_reply_header(http, "Cache-Control", "no-store");
		gw_reply_headers(t->rq, 200);
		http_stream_start(http, 200, "application/json");
	}
	http_stream_write(http, p, n);
	t->offset += n;
	if (last)
		end(t, true);
	else if (http_stream_pending(http) > PENDING_MAX)
		http_stream_on_drain(http, drained, t);
	else
		next_piece(t);
}

static void
read_run(void *thread_state, void *arg)
{
	struct transfer *t = arg;
	ssize_t n = pread(t->fd, buf_reserve(&t->piece, PIECE), PIECE, (off_t)t->offset);

	(void)thread_state;
	if (n < 0)
		(void)!err_set_errno(&t->err, errno, "read the export");
	else
		t->piece.len = (size_t)n;
}

static void
read_done(void *arg)
{
	struct transfer *t = arg;
	struct buf piece = t->piece;

	t->piece = (struct buf)BUF_INIT;
	gw_req_back(t->rq);
	if (t->gone || t->rq->gw->stopping)
		gone(t);
	else if (t->err)
		fail_with(t, steal(&t->err));
	else
		have_piece(t, buf_str(&piece), piece.len, t->offset + piece.len >= t->size);
	buf_free(&piece);
}

static void
have_reply(const void *reply, struct err **err, void *arg)
{
	const Millrace__DumpReadReply *r = reply;
	struct transfer *t = arg;

	t->call = NULL;
	if (!r || strlen(r->id) != ID_LEN) {
		fail(t, err);
		return;
	}
	memcpy(t->id, r->id, sizeof(t->id));
	have_piece(t, r->data.data, r->data.len, r->end);
}

static void
next_piece(struct transfer *t)
{
	struct gateway *gw = t->rq->gw;
	struct err *err = NULL;

	if (t->runs) {
		t->call = gw_rs_dump_read(gw->rs, *t->id ? t->id : NULL, t->offset, have_reply, t);
	} else if (!gw_req_submit(t->rq, gw->git_pool, "export", read_run, read_done, t)) {
		err_set(&err, ERR_UNAVAILABLE, "too much is being read; try again");
		fail(t, &err);
	}
}

static void
begin(struct transfer *t)
{
	struct gw_req *rq = t->rq;

	if (rq->err) {
		fail_with(t, steal(&rq->err));
	} else if (rq->gw->stopping || http_req_gone(rq->http)) {
		gone(t);
	} else {
		http_req_on_close(rq->http, gone, t);
		next_piece(t);
	}
}

static void
dump_run(void *db, void *arg)
{
	struct transfer *t = arg;

	(void)!gw_store_dump(&t->fd, &t->size, db, t->rq->gw->cfg->data_dir, &t->rq->err);
}

static void
dump_done(void *arg)
{
	struct transfer *t = arg;

	gw_req_back(t->rq);
	begin(t);
}

void
gw_api_export(struct gw_req *rq)
{
	struct transfer *t = transfer_new(rq);
	struct err *err = NULL;

	if (!t)
		return;
	if (t->runs) {
		begin(t);
	} else if (!gw_req_submit(rq, rq->gw->db_pool, "export", dump_run, dump_done, t)) {
		err_set(&err, ERR_UNAVAILABLE, "too many requests wait; try again");
		fail(t, &err);
	}
}

/* --- import --- */

static void
imported(struct transfer *t)
{
	struct gw_req *rq = t->rq;

	log_info("import done", LOG_STR("service", gw_req_param(rq, "svc")),
	    LOG_I64("bytes", (int64_t)t->len));
	transfer_free(t);
	gw_reply_json(rq, 200, NULL);
}

static void
committed(const void *reply, struct err **err, void *arg)
{
	struct transfer *t = arg;

	t->call = NULL;
	if (reply)
		imported(t);
	else
		fail(t, err);
}

static void send_piece(struct transfer *t);

static void
sent(const void *reply, struct err **err, void *arg)
{
	struct transfer *t = arg;

	t->call = NULL;
	if (!reply)
		fail(t, err);
	else if (t->offset < t->len)
		send_piece(t);
	else
		t->call = gw_rs_load_commit(t->rq->gw->rs, t->id, committed, t);
}

static void
send_piece(struct transfer *t)
{
	size_t left = t->len - (size_t)t->offset;
	size_t n = left < WRITE_PIECE ? left : WRITE_PIECE;
	uint64_t at = t->offset;

	t->offset += n;
	t->call = gw_rs_load_write(t->rq->gw->rs, t->id, at, t->text + at, n, sent, t);
}

/* In maintenance? Then our own is loaded at once. */
static void
import_run(void *db, void *arg)
{
	struct transfer *t = arg;
	struct gw_req *rq = t->rq;
	unsigned requested;

	if (gw_store_maintenance_get(&requested, db, &rq->err) < 0)
		return;
	if (!(requested & (t->runs ? GW_SERVICE_RUNS : GW_SERVICE_CONFIG)))
		err_set(&rq->err, ERR_INVALID,
		    "put the %s into maintenance first: all it holds will be replaced",
		    gw_req_param(rq, "svc"));
	else if (!t->runs)
		(void)!gw_store_load(db, t->text, t->len, &rq->err);
}

static void
import_done(void *arg)
{
	struct transfer *t = arg;
	struct gw_req *rq = t->rq;

	gw_req_back(rq);
	if (rq->err)
		fail_with(t, steal(&rq->err));
	else if (!t->runs)
		imported(t);
	else if (rq->gw->stopping)
		gone(t);
	else
		send_piece(t);
}

void
gw_api_import(struct gw_req *rq)
{
	struct transfer *t = transfer_new(rq);
	struct err *err = NULL;

	if (!t)
		return;
	t->text = http_req_body(rq->http, &t->len);
	memcpy(t->id, id_new().s, sizeof(t->id));
	if (!gw_req_submit(rq, rq->gw->db_pool, "import", import_run, import_done, t)) {
		err_set(&err, ERR_UNAVAILABLE, "too many requests wait; try again");
		fail(t, &err);
	}
}
