#include "executor/task_int.h"

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/objstore.h"

#include <string.h>

#define PARTS_MAX 16384
#define GET_TIMEOUT_MS 120000
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define RETRY_FOR_MS 600000 /* then the step fails */
#define DAMAGED_MAX 3       /* a part that comes spoilt so often is spoilt where it is stored */
#define FRAME_BYTES (FRAME_DATA_MAX - 64)

struct part {
	uint8_t sha256[CRYPTO_SHA256_LEN];
	uint32_t size;
	uint64_t start; /* in the archive */
};

/* One archive on its way into the container: one part being sent, the next being fetched. */
struct ex_restore {
	struct ex_task *task;
	const Millrace__ArchiveRef *ref;
	struct part *parts;     /* known so far */
	uint32_t nparts, total; /* total is known once nparts > 0 or listed */
	bool listed;
	char **urls; /* of parts urls_first.. */
	uint32_t urls_first, nurls;
	struct buf cur, next; /* verified parts */
	uint32_t cur_index, next_index;
	bool have_cur, have_next;
	uint32_t fetching; /* index of the part being fetched */
	uint64_t pos, want;
	bool end_sent;
	struct ex_rs_call *call;
	struct httpc_req *get;
	struct loop_timer *again;
	int64_t backoff_ms, failing_since_ms;
	unsigned damaged; /* answers in a row that were complete and wrong */
};

static void pump(struct ex_restore *r);

static void
urls_free(struct ex_restore *r)
{
	uint32_t i;

	for (i = 0; i < r->nurls; i++)
		free(r->urls[i]);
	free(r->urls);
	r->urls = NULL;
	r->nurls = 0;
}

void
ex_restore_free(struct ex_task *t)
{
	struct ex_restore *r = steal(&t->step.restore);

	if (r == NULL)
		return;
	ex_rs_cancel(r->call);
	if (r->get != NULL)
		httpc_cancel(r->get);
	loop_timer_free(r->again);
	buf_free(&r->cur);
	buf_free(&r->next);
	urls_free(r);
	free(r->parts);
	free(r);
}

static void
fail(struct ex_restore *r, const char *why)
{
	if (ex_cache_ref(r->task) != NULL)
		ex_step_fail(r->task, "the cache cannot be read: %s", why);
	else
		ex_step_fail(r->task, "the archive of task %s, step %u cannot be read: %s",
		    r->ref->task_name, r->ref->step, why);
}

static void
try_again(struct ex_restore *r, const char *why)
{
	int64_t now = clock_mono_ms();

	if (r->failing_since_ms == 0)
		r->failing_since_ms = now;
	if (now - r->failing_since_ms > RETRY_FOR_MS) {
		fail(r, why);
		return;
	}
	log_warn("a part of an archive cannot be read, trying again", EX_LOG_IDS(r->task),
	    LOG_STR("why", why));
	urls_free(r); /* they may have expired */
	loop_timer_start(r->again, r->backoff_ms);
	r->backoff_ms = r->backoff_ms * 2 < RETRY_MAX_MS ? r->backoff_ms * 2 : RETRY_MAX_MS;
}

static void
again(void *arg)
{
	pump(arg);
}

/* --- the list of parts --- */

static const char *
take_list(struct ex_restore *r, uint32_t first, const Millrace__ArchiveGetReply *m)
{
	uint32_t i;

	if (m->total_parts > PARTS_MAX || (m->n_parts == 0 && first < m->total_parts) ||
	    first + m->n_parts > m->total_parts)
		return "its list of parts is malformed";
	r->total = m->total_parts;
	r->listed = true;
	urls_free(r);
	r->urls = xcalloc(m->n_parts + 1, sizeof(*r->urls));
	r->urls_first = first;
	for (i = 0; i < m->n_parts; i++) {
		const Millrace__ArchivePart *p = m->parts[i];
		uint32_t k = first + i;

		if (p->sha256.len != CRYPTO_SHA256_LEN || p->size > OBJSTORE_PART_MAX ||
		    p->url == NULL)
			return "a part of it is malformed";
		r->urls[r->nurls++] = xstrdup(p->url);
		if (k < r->nparts)
			continue;
		r->parts = xreallocarray(r->parts, r->nparts + 1, sizeof(*r->parts));
		r->parts[k].size = p->size;
		r->parts[k].start = k > 0 ? r->parts[k - 1].start + r->parts[k - 1].size : 0;
		memcpy(r->parts[k].sha256, p->sha256.data, CRYPTO_SHA256_LEN);
		r->nparts++;
	}
	return NULL;
}

static void
on_list(ProtobufCMessage *msg, struct err **err, void *arg)
{
	struct ex_restore *r = arg;
	const char *why;

	r->call = NULL;
	if (*err != NULL && (*err)->code == ERR_CONFLICT) {
		ex_task_drop(r->task, err_msg(*err));
		return;
	}
	why = *err != NULL ? err_msg(*err)
	                   : take_list(r, r->fetching, (const Millrace__ArchiveGetReply *)msg);
	if (why != NULL)
		fail(r, why);
	else
		pump(r);
}

static void
ask_list(struct ex_restore *r, uint32_t first)
{
	Millrace__ArchiveGetRequest req = MILLRACE__ARCHIVE_GET_REQUEST__INIT;
	Millrace__Attempt attempt = MILLRACE__ATTEMPT__INIT;
	const struct ex_rs_options opt = { .method = "archive.get",
		.request = &req.base,
		.reply = &millrace__archive_get_reply__descriptor,
		.done = on_list,
		.arg = r };

	attempt.task_id = r->task->task_id;
	attempt.fence = r->task->fence;
	req.attempt = &attempt;
	req.archive_id = r->ref->archive_id;
	req.first = first;
	r->fetching = first;
	r->call = ex_rs_call(r->task->ex->rs, &opt);
}

/* --- one part --- */

static const char *
check_part(const struct ex_restore *r, const struct httpc_response *resp)
{
	const struct part *p = &r->parts[r->fetching];
	uint8_t sha256[CRYPTO_SHA256_LEN];

	if (resp->body.len != p->size)
		return "a part has another length than its record says";
	crypto_sha256(sha256, resp->body.data != NULL ? resp->body.data : "", resp->body.len);
	return memcmp(sha256, p->sha256, sizeof(sha256)) == 0
	           ? NULL
	           : "a part has another checksum than its record says";
}

static void
on_get(struct httpc_response *resp, struct err **err, void *arg)
{
	struct ex_restore *r = arg;
	const char *why;
	char text[64];

	r->get = NULL;
	snprintf(text, sizeof(text), "the object store answered %ld", resp->status);
	if (*err != NULL)
		why = err_msg(*err);
	else if (resp->status != 200)
		why = text;
	else
		why = check_part(r, resp);
	if (why != NULL) {
		r->damaged = *err == NULL && resp->status == 200 ? r->damaged + 1 : 0;
		if (r->damaged < DAMAGED_MAX)
			try_again(r, why);
		else
			fail(r, why);
		return;
	}
	r->damaged = 0;
	r->failing_since_ms = 0;
	r->backoff_ms = RETRY_MIN_MS;
	buf_free(&r->next);
	r->next = resp->body;
	resp->body = (struct buf)BUF_INIT;
	r->next_index = r->fetching;
	r->have_next = true;
	pump(r);
}

static void
fetch(struct ex_restore *r, uint32_t i)
{
	struct httpc_options opt = { .method = "GET",
		.max_body = OBJSTORE_PART_MAX,
		.timeout_ms = GET_TIMEOUT_MS,
		.ca_file = r->task->ex->cfg->objects_ca,
		.done = on_get,
		.arg = r };

	if (r->get != NULL || r->call != NULL || loop_timer_armed(r->again) ||
	    (r->have_next && r->next_index == i))
		return;
	if (r->nurls == 0 || i < r->urls_first || i >= r->urls_first + r->nurls) {
		ask_list(r, i);
		return;
	}
	opt.url = r->urls[i - r->urls_first];
	r->fetching = i;
	r->get = httpc_start(r->task->ex->http, &opt);
}

/* --- sending --- */

static void
send_bytes(struct ex_restore *r)
{
	struct ex_task *t = r->task;
	const struct part *p = &r->parts[r->cur_index];

	while (r->pos < r->want && r->pos < p->start + p->size && ex_link_roomy(t->link)) {
		size_t off = (size_t)(r->pos - p->start), n = p->size - off, len;
		struct msg_data m = { .step = t->step.index,
			.attempt = t->st->attempt,
			.offset = r->pos,
			.bytes = (const uint8_t *)r->cur.data + off };
		uint8_t *b;

		if (n > FRAME_BYTES)
			n = FRAME_BYTES;
		if (n > r->want - r->pos)
			n = (size_t)(r->want - r->pos);
		m.len = n;
		b = msg_data_encode(&m, &len);
		ex_task_send(t, FRAME_DATA, b, len);
		r->pos += n;
	}
}

static void
send_end(struct ex_restore *r)
{
	struct ex_task *t = r->task;
	struct msg_position m = { .step = t->step.index, .offset = r->pos };
	size_t n;
	uint8_t *p;

	if (r->end_sent || !ex_link_up(t->link))
		return;
	r->end_sent = true;
	p = msg_position_encode(&m, &n);
	ex_task_send(t, FRAME_DATA_END, p, n);
}

/* The part that holds the next byte; nparts when that is not listed yet, total at the end. */
static uint32_t
part_at(const struct ex_restore *r)
{
	uint32_t i = r->have_cur && r->parts[r->cur_index].start <= r->pos ? r->cur_index : 0;

	while (i < r->nparts && r->parts[i].start + r->parts[i].size <= r->pos)
		i++;
	return i;
}

static bool
make_current(struct ex_restore *r, uint32_t i)
{
	if (r->have_cur && r->cur_index == i)
		return true;
	if (!r->have_next || r->next_index != i)
		return false;
	buf_free(&r->cur);
	r->cur = r->next;
	r->next = (struct buf)BUF_INIT;
	r->have_next = false;
	r->have_cur = true;
	r->cur_index = i;
	return true;
}

static void
pump(struct ex_restore *r)
{
	struct ex_task *t = r->task;
	uint32_t i;

	if (!t->step.active || t->step.own_error || t->killing || t->step.have_result)
		return;
	if (!r->listed) {
		if (r->call == NULL && !loop_timer_armed(r->again))
			ask_list(r, 0);
		return;
	}
	for (;;) {
		i = part_at(r);
		if (i >= r->total) {
			send_end(r);
			return;
		}
		if (i >= r->nparts) {
			if (r->call == NULL && r->get == NULL && !loop_timer_armed(r->again))
				ask_list(r, i);
			return;
		}
		if (!make_current(r, i)) {
			fetch(r, i);
			return;
		}
		if (i + 1 < r->total)
			fetch(r, i + 1);
		send_bytes(r);
		if (r->pos < r->parts[i].start + r->parts[i].size)
			return;
	}
}

void
ex_restore_want(struct ex_task *t, uint64_t total)
{
	struct ex_restore *r = t->step.restore;

	if (r == NULL)
		return;
	if (total > r->want)
		r->want = total;
	pump(r);
}

void
ex_restore_drain(struct ex_task *t)
{
	if (t->step.restore != NULL)
		pump(t->step.restore);
}

/* --- attempts --- */

static void
from(struct ex_restore *r, uint64_t pos)
{
	r->pos = pos;
	r->want = 0; /* said again */
	r->end_sent = false;
}

void
ex_restore_up(struct ex_task *t, const struct msg_welcome *w)
{
	struct ex_restore *r = t->step.restore;

	if (r == NULL)
		return;
	if (w->step == t->step.index && w->attempt == t->st->attempt) {
		if (w->running) {
			from(r, w->data_offset);
			pump(r);
		}
		return;
	}
	from(r, 0);
	if (t->step.ready && ex_step_send_start(t))
		pump(r);
}

bool
ex_restore_result(struct ex_task *t)
{
	if (++t->st->archives >= t->plan->n_workspace || ex_cache_ref(t) != NULL)
		return false;
	ex_restore_free(t);
	ex_step_next_attempt(t);
	return true;
}

static void
begin(struct ex_task *t, const Millrace__ArchiveRef *ref)
{
	struct ex_restore *r = xcalloc(1, sizeof(*r));

	r->task = t;
	r->ref = ref;
	r->backoff_ms = RETRY_MIN_MS;
	r->again = loop_timer_new(t->ex->loop, "archive part again", again, r);
	t->step.restore = r;
	t->step.ready = true;
	if (ex_step_send_start(t))
		pump(r);
}

void
ex_restore_begin(struct ex_task *t)
{
	if (ex_cache_ref(t) != NULL) {
		begin(t, ex_cache_ref(t));
		return;
	}
	if (t->plan->n_workspace == 0) {
		ex_step_own(t, 0, "No task before this one saved anything to the workspace.");
		return;
	}
	if (t->st->archives >= t->plan->n_workspace) {
		ex_step_own(t, -1, "The workspace's archives are not those of before.");
		return;
	}
	begin(t, t->plan->workspace[t->st->archives]);
}
