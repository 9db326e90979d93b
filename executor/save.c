#include "executor/task_int.h"

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/objstore.h"
#include "executor/meter.h"

#include <string.h>

#define PARTS_MAX 16384
#define URLS_AT_ONCE 16
#define CREDIT_STEP (256u << 10)
#define PUT_TIMEOUT_MS 120000
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define RETRY_FOR_MS 600000 /* then the step fails */
#define ATTEMPTS_MAX 50
/* Parts at once: while one is being synced by the store the next is sent. */
#define UPLOADS_MAX 2

struct part {
	uint8_t sha256[CRYPTO_SHA256_LEN];
	uint32_t size;
};

/* A part that is on its way, kept until it has arrived. */
struct upload {
	struct ex_save *save;
	struct buf buf;
	uint32_t part;
	bool busy; /* buf is a part; put is NULL while it waits for a URL or the next try */
	struct httpc_req *put;
};

/* One attempt at one archive: at most one part in the making and UPLOADS_MAX on their way. */
struct ex_save {
	struct ex_task *task;
	char *archive_id;
	struct part *parts; /* cut so far; the last ones may be on their way */
	uint32_t nparts;
	struct buf cur; /* in the making */
	struct crypto_hash *hash;
	struct upload ups[UPLOADS_MAX];
	bool ended, done;
	uint64_t received, cut, credit;
	char **urls; /* of parts urls_first.. */
	uint32_t urls_first, nurls;
	struct ex_rs_call *call;
	struct loop_timer *again;
	int64_t backoff_ms, failing_since_ms, begun_ms;
};

static void upload_all(struct ex_save *v);
static void advance(struct ex_save *v);

static void
urls_free(struct ex_save *v)
{
	uint32_t i;

	for (i = 0; i < v->nurls; i++)
		free(v->urls[i]);
	free(v->urls);
	v->urls = NULL;
	v->nurls = 0;
}

void
ex_save_free(struct ex_task *t)
{
	struct ex_save *v = steal(&t->step.save);

	if (v == NULL)
		return;
	ex_rs_cancel(v->call);
	for (size_t i = 0; i < UPLOADS_MAX; i++) {
		if (v->ups[i].put != NULL)
			httpc_cancel(v->ups[i].put);
		buf_free(&v->ups[i].buf);
	}
	loop_timer_free(v->again);
	crypto_hash_free(v->hash);
	buf_free(&v->cur);
	urls_free(v);
	free(v->parts);
	free(v->archive_id);
	free(v);
}

static void
attempt_of(Millrace__Attempt *a, const struct ex_task *t)
{
	millrace__attempt__init(a);
	a->task_id = (char *)(uintptr_t)t->task_id;
	a->fence = t->fence;
}

/* Errors of the runservice that no repetition heals. */
static void
refused(struct ex_save *v, struct err **err)
{
	struct ex_task *t = v->task;

	if ((*err)->code == ERR_CONFLICT)
		ex_task_drop(t, err_msg(*err));
	else
		ex_step_fail(t, "the archive cannot be stored: %s", err_msg(*err));
}

static void
call(struct ex_save *v, const char *method, const ProtobufCMessage *req,
    const ProtobufCMessageDescriptor *reply, ex_rs_fn done)
{
	const struct ex_rs_options opt = {
		.method = method, .request = req, .reply = reply, .done = done, .arg = v
	};

	v->call = ex_rs_call(v->task->ex->rs, &opt);
}

/* --- credit --- */

static void
send_credit(struct ex_save *v)
{
	struct ex_task *t = v->task;
	uint64_t total = v->received + TOOLBOX_ARCHIVE_WINDOW, room = v->cut + OBJSTORE_PART_MAX;
	struct msg_credit m = { .step = t->step.index, .attempt = t->st->attempt };
	uint8_t *p;
	size_t n;

	if (total > room)
		total = room;
	if (total <= v->credit || !ex_link_up(t->link) ||
	    (total < v->credit + CREDIT_STEP && v->credit > v->received && total < room))
		return;
	v->credit = total;
	m.total = total;
	p = msg_credit_encode(&m, &n);
	ex_task_send(t, FRAME_CREDIT, p, n);
}

/* --- upload --- */

static void
again(void *arg)
{
	upload_all(arg);
}

static void
try_again(struct ex_save *v, const char *why)
{
	int64_t now = clock_mono_ms();

	if (v->failing_since_ms == 0)
		v->failing_since_ms = now;
	if (now - v->failing_since_ms > RETRY_FOR_MS) {
		ex_step_fail(v->task, "the archive cannot be stored: %s", why);
		return;
	}
	log_warn("a part of an archive cannot be stored, trying again", EX_LOG_IDS(v->task),
	    LOG_STR("why", why));
	urls_free(v);
	if (loop_timer_armed(v->again))
		return;
	loop_timer_start(v->again, v->backoff_ms);
	v->backoff_ms = v->backoff_ms * 2 < RETRY_MAX_MS ? v->backoff_ms * 2 : RETRY_MAX_MS;
}

static void
on_put(struct httpc_response *resp, struct err **err, void *arg)
{
	struct upload *u = arg;
	struct ex_save *v = u->save;
	auto_free char *why = NULL;

	u->put = NULL;
	if (*err != NULL || resp->status >= 300) {
		why = *err != NULL ? xstrdup(err_msg(*err))
		                   : xasprintf("the object store answered %ld", resp->status);
		try_again(v, why);
		return;
	}
	v->failing_since_ms = 0;
	v->backoff_ms = RETRY_MIN_MS;
	u->busy = false;
	buf_clear(&u->buf);
	advance(v);
}

static void
on_urls(ProtobufCMessage *msg, struct err **err, void *arg)
{
	struct ex_save *v = arg;
	const Millrace__ArchiveUrlsReply *reply = (const Millrace__ArchiveUrlsReply *)msg;
	uint32_t i;

	v->call = NULL;
	if (*err != NULL) {
		refused(v, err);
		return;
	}
	urls_free(v);
	v->urls = xcalloc(reply->n_urls + 1, sizeof(*v->urls));
	for (i = 0; i < reply->n_urls; i++)
		v->urls[i] = xstrdup(reply->urls[i]);
	v->nurls = (uint32_t)reply->n_urls;
	if (v->nurls == 0)
		ex_step_fail(v->task, "the archive cannot be stored: no URL was given for it");
	else
		upload_all(v);
	advance(v);
}

static void
ask_urls(struct ex_save *v, uint32_t first)
{
	Millrace__ArchiveUrlsRequest req = MILLRACE__ARCHIVE_URLS_REQUEST__INIT;
	Millrace__Attempt attempt;

	attempt_of(&attempt, v->task);
	req.attempt = &attempt;
	req.archive_id = v->archive_id;
	req.first = first;
	req.count = URLS_AT_ONCE < PARTS_MAX - first ? URLS_AT_ONCE : PARTS_MAX - first;
	v->urls_first = first;
	call(v, "archive.urls", &req.base, &millrace__archive_urls_reply__descriptor, on_urls);
}

/* False when its URL has to be asked for. */
static bool
upload(struct upload *u)
{
	struct ex_save *v = u->save;
	struct httpc_options opt = { .method = "PUT",
		.body = u->buf.data,
		.body_len = u->buf.len,
		.body_stays = true,
		.max_body = 64u << 10,
		.timeout_ms = PUT_TIMEOUT_MS,
		.ca_file = v->task->ex->cfg->objects_ca,
		.done = on_put,
		.arg = u };

	if (u->part < v->urls_first || u->part >= v->urls_first + v->nurls)
		return false;
	opt.url = v->urls[u->part - v->urls_first];
	u->put = httpc_start(v->task->ex->http, &opt);
	return true;
}

/* Sends what waits to be sent; the URLs that are asked for begin with the lowest part that has
 * none. */
static void
upload_all(struct ex_save *v)
{
	uint32_t first = UINT32_MAX;

	if (v->call != NULL || loop_timer_armed(v->again))
		return;
	for (size_t i = 0; i < UPLOADS_MAX; i++) {
		struct upload *u = &v->ups[i];

		if (u->busy && u->put == NULL && !upload(u) && u->part < first)
			first = u->part;
	}
	if (first != UINT32_MAX)
		ask_urls(v, first);
}

static struct upload *
idle_upload(struct ex_save *v)
{
	for (size_t i = 0; i < UPLOADS_MAX; i++)
		if (!v->ups[i].busy)
			return &v->ups[i];
	return NULL;
}

static bool
uploading(const struct ex_save *v)
{
	for (size_t i = 0; i < UPLOADS_MAX; i++)
		if (v->ups[i].busy)
			return true;
	return false;
}

/* The buffers change places: their memory is used again. */
static void
cut_part(struct ex_save *v, struct upload *u)
{
	struct buf full = v->cur;
	struct part *p;

	if (v->nparts == PARTS_MAX) {
		ex_step_fail(v->task, "the archive is larger than %u parts of %u bytes", PARTS_MAX,
		    OBJSTORE_PART_MAX);
		return;
	}
	v->parts = xreallocarray(v->parts, v->nparts + 1, sizeof(*v->parts));
	u->part = v->nparts;
	p = &v->parts[v->nparts++];
	p->size = (uint32_t)v->cur.len;
	crypto_hash_final(steal(&v->hash), p->sha256);
	v->hash = crypto_hash_new();
	v->cur = u->buf;
	u->buf = full;
	u->busy = true;
	v->cut += full.len;
	upload_all(v);
}

/* --- the end --- */

static void
on_complete(ProtobufCMessage *reply, struct err **err, void *arg)
{
	struct ex_save *v = arg;

	v->call = NULL;
	if (*err != NULL) {
		refused(v, err);
		return;
	}
	if (((const Millrace__ArchiveCompleteReply *)reply)->lost) {
		ex_cache_say(v->task, "Another task saved this cache meanwhile; that one is kept.");
		return;
	}
	v->done = true;
	ex_meter_phase(EX_METER_UPLOAD, clock_mono_ms() - v->begun_ms);
	ex_step_check(v->task);
}

static void
complete(struct ex_save *v)
{
	Millrace__ArchiveCompleteRequest req = MILLRACE__ARCHIVE_COMPLETE_REQUEST__INIT;
	Millrace__Attempt attempt;
	auto_free Millrace__ArchivePart *items = xcalloc(v->nparts + 1, sizeof(*items));
	auto_free Millrace__ArchivePart **list = xcalloc(v->nparts + 1, sizeof(*list));
	uint32_t i;

	for (i = 0; i < v->nparts; i++) {
		millrace__archive_part__init(&items[i]);
		items[i].sha256 = (ProtobufCBinaryData){ CRYPTO_SHA256_LEN, v->parts[i].sha256 };
		items[i].size = v->parts[i].size;
		list[i] = &items[i];
	}
	attempt_of(&attempt, v->task);
	req.attempt = &attempt;
	req.archive_id = v->archive_id;
	req.step = (uint32_t)v->task->step.index;
	req.parts = list;
	req.n_parts = v->nparts;
	call(v, "archive.complete", &req.base, &millrace__archive_complete_reply__descriptor,
	    on_complete);
}

/* Whatever can be done now. */
static void
advance(struct ex_save *v)
{
	struct upload *u = idle_upload(v);

	if (v->done || v->task->step.own_error)
		return;
	if (u != NULL && (v->cur.len == OBJSTORE_PART_MAX || (v->ended && v->cur.len > 0)))
		cut_part(v, u);
	else if (v->ended && v->cur.len == 0 && !uploading(v) && v->call == NULL)
		complete(v);
	if (!v->ended)
		send_credit(v);
}

bool
ex_save_done(const struct ex_task *t)
{
	return t->step.save != NULL && t->step.save->done;
}

/* --- what the toolbox sends --- */

static void
restart(struct ex_task *t)
{
	ex_save_free(t);
	t->step.have_result = false;
	if (t->st->attempt >= ATTEMPTS_MAX)
		ex_step_fail(t, "the stream to the container broke %d times", ATTEMPTS_MAX);
	else
		ex_step_next_attempt(t);
}

void
ex_save_data(struct ex_task *t, const struct msg_data *d)
{
	struct ex_save *v = t->step.save;

	if (v == NULL || d->step != t->step.index || d->attempt != t->st->attempt || v->ended ||
	    d->offset < v->received)
		return;
	if (d->offset > v->received) {
		ex_link_reset(t->link, "archive bytes are missing");
		return;
	}
	if (d->len > OBJSTORE_PART_MAX - v->cur.len) {
		ex_step_fail(t, "the toolbox sent more of the archive than was asked for");
		return;
	}
	buf_append(&v->cur, d->bytes, d->len);
	crypto_hash_add(v->hash, d->bytes, d->len);
	v->received += d->len;
	advance(v);
}

void
ex_save_result(struct ex_task *t)
{
	struct ex_save *v = t->step.save;

	if (t->step.exit_status != 0 || t->step.own_error || t->killing)
		return;
	if (v == NULL || v->received < t->step.archive_end) {
		restart(t);
		return;
	}
	v->ended = true;
	advance(v);
}

/* A new attach ends the archive of the attempt that ran. */
void
ex_save_up(struct ex_task *t, const struct msg_welcome *w)
{
	if (w->step == t->step.index && w->attempt == t->st->attempt) {
		if (w->running)
			restart(t);
	} else if (t->step.ready && ex_step_send_start(t)) {
		t->step.save->credit = 0;
		send_credit(t->step.save);
	}
}

static void
on_begun(ProtobufCMessage *msg, struct err **err, void *arg)
{
	struct ex_save *v = arg;
	struct ex_task *t = v->task;

	v->call = NULL;
	if (*err != NULL) {
		refused(v, err);
		return;
	}
	if (((const Millrace__ArchiveBeginReply *)msg)->exists && ex_cache_key(t) != NULL) {
		ex_cache_say(t, "There is a cache with this key: nothing is saved.");
		return;
	}
	v->archive_id = xstrdup(((const Millrace__ArchiveBeginReply *)msg)->archive_id);
	t->step.ready = true;
	if (ex_step_send_start(t))
		send_credit(v);
}

void
ex_save_begin(struct ex_task *t)
{
	struct ex_save *v = xcalloc(1, sizeof(*v));
	Millrace__ArchiveBeginRequest req = MILLRACE__ARCHIVE_BEGIN_REQUEST__INIT;
	Millrace__Attempt attempt;

	v->task = t;
	v->hash = crypto_hash_new();
	for (size_t i = 0; i < UPLOADS_MAX; i++)
		v->ups[i].save = v;
	v->backoff_ms = RETRY_MIN_MS;
	v->begun_ms = clock_mono_ms();
	v->again = loop_timer_new(t->ex->loop, "archive part again", again, v);
	t->step.save = v;
	attempt_of(&attempt, t);
	req.attempt = &attempt;
	req.step = (uint32_t)t->step.index;
	req.cache_key = (char *)(uintptr_t)ex_cache_key(t);
	call(v, "archive.begin", &req.base, &millrace__archive_begin_reply__descriptor, on_begun);
}
