#include "gateway/dropped.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/work.h"
#include "gateway/gateway.h"
#include "gateway/rs_client.h"
#include "gateway/store_dropped.h"

#define BATCH 64 /* of one call */

struct gw_dropped {
	struct gateway *gw;
	struct loop_timer *timer; /* armed while something failed */
	bool working, again;      /* a job or call is under way; look once more after it */
	bool on_worker;
	/* of the batch under way: told = the runservice knows */
	struct id ids[BATCH];
	size_t n;
	bool told;
	struct err *err;
};

static void look(struct gw_dropped *d);

static void
on_timer(void *arg)
{
	gw_dropped_look(arg);
}

/* What failed is tried again later. */
static void
end(struct gw_dropped *d, struct err **err)
{
	d->working = false;
	if (*err) {
		log_err(LOG_WARN, "secrets of what was deleted are not dropped yet", err);
		if (!d->gw->stopping)
			loop_timer_start(d->timer, GW_DROPPED_RETRY_MS);
	} else if (d->again && !d->gw->stopping) {
		look(d);
	}
}

static void
on_told(const void *reply, struct err **err, void *arg)
{
	struct gw_dropped *d = arg;

	(void)reply;
	if (*err) {
		end(d, err);
		return;
	}
	d->told = d->again = true;
	d->working = false;
	look(d);
}

static void
tell(struct gw_dropped *d)
{
	Millrace__ScopeDropRequest q = MILLRACE__SCOPE_DROP_REQUEST__INIT;
	char *scopes[BATCH];

	for (size_t i = 0; i < d->n; i++)
		scopes[i] = d->ids[i].s;
	q.scopes = scopes;
	q.n_scopes = d->n;
	gw_rs_scope_delete(d->gw->rs, &q, on_told, d);
}

/* Forgets the batch that was told, then reads the next one. */
static void
run(void *thread_state, void *arg)
{
	struct gw_dropped *d = arg;
	int rc = d->told ? gw_store_dropped_forget(thread_state, d->ids, d->n, &d->err) : 0;

	d->told = false;
	if (rc == 0)
		(void)!gw_store_dropped_list(d->ids, &d->n, BATCH, thread_state, &d->err);
}

static void
done(void *arg)
{
	struct gw_dropped *d = arg;

	d->on_worker = false;
	if (d->err || d->n == 0 || d->gw->stopping)
		end(d, &d->err);
	else
		tell(d);
}

static void
look(struct gw_dropped *d)
{
	d->again = false;
	d->working = d->on_worker = true;
	if (work_submit(d->gw->db_pool, "dropped", 0, run, done, d))
		return;
	d->on_worker = false;
	err_set(&d->err, ERR_UNAVAILABLE, "too many requests wait for a worker");
	end(d, &d->err);
}

void
gw_dropped_look(struct gw_dropped *d)
{
	if (d->gw->stopping)
		return;
	loop_timer_stop(d->timer);
	d->again = true;
	if (!d->working)
		look(d);
}

struct gw_dropped *
gw_dropped_new(struct gateway *gw)
{
	struct gw_dropped *d = xcalloc(1, sizeof(*d));

	d->gw = gw;
	d->timer = loop_timer_new(gw->loop, "dropped", on_timer, d);
	gw_dropped_look(d);
	return d;
}

bool
gw_dropped_busy(const struct gw_dropped *d)
{
	return d && d->on_worker;
}

void
gw_dropped_free(struct gw_dropped *d)
{
	if (!d)
		return;
	loop_timer_free(d->timer);
	err_clear(&d->err);
	free(d);
}
