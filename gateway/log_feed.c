#include "gateway/log_feed.h"

#include "common/id.h"
#include "common/mem.h"
#include "common/metrics.h"

#include <string.h>

struct gw_feed_wait {
	struct read *read;
	gw_rs_fn fn;
	void *arg;
	struct gw_feed_wait *next, **link;
};

/* A call under way, and everybody who waits for it. Without any it is canceled. */
struct read {
	struct gw_feed *feed;
	char *owner;
	char task_id[ID_LEN + 1];
	uint64_t number, offset;
	int32_t step;
	uint32_t attempt; /* 0 = the newest */
	uint32_t wait_ms;
	bool share;
	struct gw_rs_call *call; /* NULL: answered, being handed out */
	struct gw_feed_wait *first, **last;
	struct read *next, **link;
};

struct gw_feed {
	struct gw_rs *rs;
	struct read *reads;
};

static struct metric *reads_total, *shared_total;

void
gw_feed_meter_init(void)
{
	reads_total = metrics_counter(
	    "millrace_gateway_log_reads_total", "", "Reads of logs asked of the runservice.");
	shared_total = metrics_counter("millrace_gateway_log_reads_shared_total", "",
	    "Reads of logs that another follower's read served too.");
}

struct gw_feed *
gw_feed_new(struct gw_rs *rs)
{
	struct gw_feed *f = xcalloc(1, sizeof(*f));

	f->rs = rs;
	return f;
}

static void
unlink_read(struct read *r)
{
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
}

static void
unlink_wait(struct gw_feed_wait *w)
{
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	else
		w->read->last = w->link;
}

/* The first wait, NULL when there is none; free() it. */
static struct gw_feed_wait *
pop_wait(struct read *r)
{
	struct gw_feed_wait *w = r->first;

	if (!w)
		return NULL;
	r->first = w->next;
	if (w->next)
		w->next->link = &r->first;
	else
		r->last = &r->first;
	return w;
}

static void
free_read(struct read *r)
{
	free(r->owner);
	free(r);
}

void
gw_feed_free(struct gw_feed *f)
{
	struct read *next;
	struct gw_feed_wait *w;

	for (struct read *r = f ? f->reads : NULL; r; r = next) {
		next = r->next;
		while ((w = pop_wait(r)))
			free(w);
		gw_rs_cancel(r->call);
		free_read(r);
	}
	free(f);
}

static struct err *
copy_err(const struct err *err)
{
	struct err *out = NULL;

	if (err && err->slug)
		err_set_slug(&out, err->code, err->slug, "%s", err->msg);
	else if (err)
		err_set(&out, err->code, "%s", err->msg);
	return out;
}

static void
answered(const void *reply, struct err **err, void *arg)
{
	struct read *r = arg;
	struct gw_feed_wait *w;

	r->call = NULL;
	unlink_read(r); /* who reads on begins another */
	while ((w = pop_wait(r))) {
		struct err *copy = copy_err(*err);
		gw_rs_fn fn = w->fn;
		void *to = w->arg;

		free(w);
		fn(reply, &copy, to);
		err_clear(&copy);
	}
	free_read(r);
}

static uint32_t
attempt_of(const Millrace__LogReadRequest *q)
{
	return q->has_attempt ? q->attempt : 0;
}

static struct read *
find(const struct gw_feed *f, const Millrace__LogReadRequest *q)
{
	for (struct read *r = f->reads; r; r = r->next) {
		if (r->share && r->offset == q->offset && r->number == q->number &&
		    r->step == q->step && r->attempt == attempt_of(q) && r->wait_ms == q->wait_ms &&
		    strcmp(r->task_id, q->task_id) == 0 && strcmp(r->owner, q->owner) == 0)
			return r;
	}
	return NULL;
}

static struct read *
begin(struct gw_feed *f, const Millrace__LogReadRequest *q, bool share)
{
	struct read *r = xcalloc(1, sizeof(*r));

	MUST(strlen(q->task_id) == ID_LEN);
	r->feed = f;
	r->owner = xstrdup(q->owner);
	memcpy(r->task_id, q->task_id, sizeof(r->task_id));
	r->number = q->number;
	r->offset = q->offset;
	r->step = q->step;
	r->attempt = attempt_of(q);
	r->wait_ms = q->wait_ms;
	r->share = share;
	r->last = &r->first;
	r->next = f->reads;
	r->link = &f->reads;
	if (r->next)
		r->next->link = &r->next;
	f->reads = r;
	r->call = gw_rs_log_read(f->rs, q, answered, r);
	metrics_add(reads_total, 1);
	return r;
}

struct gw_feed_wait *
gw_feed_read(
    struct gw_feed *f, const Millrace__LogReadRequest *q, bool share, gw_rs_fn fn, void *arg)
{
	struct read *r = share ? find(f, q) : NULL;
	struct gw_feed_wait *w = xcalloc(1, sizeof(*w));

	if (r)
		metrics_add(shared_total, 1);
	else
		r = begin(f, q, share);
	w->read = r;
	w->fn = fn;
	w->arg = arg;
	w->link = r->last;
	*r->last = w;
	r->last = &w->next;
	return w;
}

void
gw_feed_cancel(struct gw_feed_wait *w)
{
	struct read *r = w->read;

	unlink_wait(w);
	free(w);
	if (r->first || !r->call)
		return;
	gw_rs_cancel(r->call);
	unlink_read(r);
	free_read(r);
}
