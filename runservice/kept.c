#include "runservice/kept.h"

#include "common/mem.h"
#include "runservice/map.h"
#include "runservice/store.h"

#include <string.h>

#define SEQUENCES 64 /* taken at once */

struct counter {
	char *owner;
	int64_t last, written;
	bool touched;
};

struct list {
	void **p;
	size_t n, cap;
};

struct rs_kept {
	int64_t epoch;
	struct rs_map runs, groups, counters;
	struct list touched, touched_groups, touched_counters;
	size_t spec_bytes;
	int64_t sequences[SEQUENCES];
	size_t nsequences; /* the last ones of them are unused */
};

struct rs_kept *
rs_kept_new(void)
{
	return xcalloc(1, sizeof(struct rs_kept));
}

static void
list_add(struct list *l, void *p)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->p = xreallocarray(l->p, l->cap, sizeof(*l->p));
	}
	l->p[l->n++] = p;
}

static void
free_run(struct rs_kept *k, struct rs_kept_run *r)
{
	k->spec_bytes -= r->spec ? r->spec_len : 0;
	rs_run_fini(&r->run);
	free(r->spec);
	free(r->state);
	free(r);
}

static void
forget_run(struct rs_kept *k, struct rs_kept_run *r)
{
	rs_map_remove(&k->runs, r->run.id);
	free_run(k, r);
}

static void
free_group(struct rs_kept_group *g)
{
	free(g->name);
	free(g->queued);
	free(g);
}

static void
free_counter(struct counter *c)
{
	free(c->owner);
	free(c);
}

static void
forget_runs(struct rs_kept *k)
{
	struct rs_kept_run *r;
	for (size_t i = 0; (r = rs_map_next(&k->runs, &i)) != NULL;)
		free_run(k, r);
	rs_map_fini(&k->runs);
	k->touched.n = 0;
}

static void
forget_groups(struct rs_kept *k)
{
	struct rs_kept_group *g;
	for (size_t i = 0; (g = rs_map_next(&k->groups, &i)) != NULL;)
		free_group(g);
	rs_map_fini(&k->groups);
	k->touched_groups.n = 0;
}

static void
forget_counters(struct rs_kept *k)
{
	struct counter *c;
	for (size_t i = 0; (c = rs_map_next(&k->counters, &i)) != NULL;)
		free_counter(c);
	rs_map_fini(&k->counters);
	k->touched_counters.n = 0;
}

static void
forget_all(struct rs_kept *k)
{
	forget_runs(k);
	forget_groups(k);
	forget_counters(k);
	k->nsequences = 0;
}

static void
forget_touched(struct rs_kept *k)
{
	for (size_t i = 0; i < k->touched.n; i++)
		forget_run(k, k->touched.p[i]);
	for (size_t i = 0; i < k->touched_groups.n; i++) {
		struct rs_kept_group *g = k->touched_groups.p[i];
		rs_map_remove(&k->groups, g->name);
		free_group(g);
	}
	for (size_t i = 0; i < k->touched_counters.n; i++) {
		struct counter *c = k->touched_counters.p[i];
		rs_map_remove(&k->counters, c->owner);
		free_counter(c);
	}
	k->touched.n = k->touched_groups.n = k->touched_counters.n = 0;
}

void
rs_kept_free(struct rs_kept *k)
{
	if (!k)
		return;
	forget_all(k);
	free(k->touched.p);
	free(k->touched_groups.p);
	free(k->touched_counters.p);
	free(k);
}

void
rs_kept_begin(struct rs_kept *k, int64_t epoch)
{
	if (k->epoch != epoch)
		forget_all(k);
	k->epoch = epoch;
	forget_touched(k);
}

static void
touch(struct rs_kept *k, struct rs_kept_run *r)
{
	if (!r->touched)
		list_add(&k->touched, r);
	r->touched = true;
}

static void
touch_group(struct rs_kept *k, struct rs_kept_group *g)
{
	if (!g->touched)
		list_add(&k->touched_groups, g);
	g->touched = true;
}

static struct rs_kept_run *
keep(struct rs_kept *k, struct rs_run *run)
{
	struct rs_kept_run *r = xcalloc(1, sizeof(*r));
	r->run = *run;
	memset(run, 0, sizeof(*run));
	rs_map_put(&k->runs, r->run.id, r);
	touch(k, r);
	return r;
}

int
rs_kept_run(struct rs_kept_run **out, struct rs_kept *k, struct db *db, const char *run_id,
    struct err **err)
{
	struct rs_kept_run *r = rs_map_get(&k->runs, run_id);
	struct rs_run run;
	if (r && r->over)
		return err_set(err, ERR_NOTFOUND, "no active run %s", run_id);
	if (!r) {
		int rc = rs_store_run_load(&run, db, run_id, err);
		if (rc != 0)
			return rc;
		r = keep(k, &run);
	}
	touch(k, r);
	*out = r;
	return 0;
}

struct rs_kept_run *
rs_kept_add(struct rs_kept *k, struct rs_run *run, const void *spec, size_t spec_len)
{
	struct rs_kept_run *r = keep(k, run);
	r->fresh = true;
	if (k->spec_bytes + spec_len <= RS_KEPT_SPECS_MAX) {
		r->spec = xmemdup(spec, spec_len);
		r->spec_len = spec_len;
		k->spec_bytes += spec_len;
	}
	return r;
}

int
rs_kept_group(struct rs_kept_group **out, struct rs_kept *k, struct db *db, const char *name,
    struct err **err)
{
	struct rs_kept_group *g = rs_map_get(&k->groups, name);
	struct rs_group_row *rows = NULL;
	size_t n = 0;
	*out = g;
	if (g) {
		touch_group(k, g);
		return 0;
	}
	int rc = rs_store_group_runs(&rows, &n, db, name, err);
	if (rc != 0)
		return rc;
	g = xcalloc(1, sizeof(*g));
	g->name = xstrdup(name);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].running)
			memcpy(g->running, rows[i].id, sizeof(g->running));
		else
			rs_kept_group_push(g, rows[i].id);
	}
	free(rows);
	rs_map_put(&k->groups, name, g);
	touch_group(k, g);
	*out = g;
	return 0;
}

void
rs_kept_group_push(struct rs_kept_group *g, const char *run_id)
{
	g->queued = xreallocarray(g->queued, g->nqueued + 1, sizeof(*g->queued));
	memcpy(g->queued[g->nqueued++].s, run_id, ID_LEN + 1);
}

bool
rs_kept_group_remove(struct rs_kept_group *g, const char *run_id)
{
	for (size_t i = 0; i < g->nqueued; i++) {
		if (strcmp(g->queued[i].s, run_id) != 0)
			continue;
		g->nqueued--;
		memmove(&g->queued[i], &g->queued[i + 1], (g->nqueued - i) * sizeof(*g->queued));
		return true;
	}
	return false;
}

static int
next_sequence(int64_t *sequence, struct rs_kept *k, struct db *db, struct err **err)
{
	if (k->nsequences == 0) {
		int rc = rs_store_sequences(k->sequences, SEQUENCES, db, err);
		if (rc != 0)
			return rc;
		k->nsequences = SEQUENCES;
	}
	*sequence = k->sequences[SEQUENCES - k->nsequences--];
	return 0;
}

int
rs_kept_number(struct rs_kept *k, struct db *db, struct rs_run *run, struct err **err)
{
	struct counter *c = rs_map_get(&k->counters, run->owner);
	int64_t sequence = 0, last = 0;
	int rc = next_sequence(&sequence, k, db, err);
	if (rc == 0 && !c)
		rc = rs_store_counter_get(&last, db, run->owner, err);
	if (rc != 0)
		return rc;
	if (!c) {
		c = xcalloc(1, sizeof(*c));
		c->owner = xstrdup(run->owner);
		c->last = c->written = last;
		rs_map_put(&k->counters, run->owner, c);
	}
	if (!c->touched)
		list_add(&k->touched_counters, c);
	c->touched = true;
	run->number = (uint64_t)++c->last;
	run->sequence = (uint64_t)sequence;
	return 0;
}

struct rs_kept_run *
rs_kept_touched(const struct rs_kept *k, size_t *at)
{
	return *at < k->touched.n ? k->touched.p[(*at)++] : NULL;
}

void
rs_kept_counters(
    struct rs_kept *k, void (*fn)(const char *owner, int64_t last, void *arg), void *arg)
{
	for (size_t i = 0; i < k->touched_counters.n; i++) {
		struct counter *c = k->touched_counters.p[i];
		if (c->last != c->written)
			fn(c->owner, c->last, arg);
		c->written = c->last;
	}
}

void
rs_kept_end(struct rs_kept *k)
{
	for (size_t i = 0; i < k->touched.n; i++) {
		struct rs_kept_run *r = k->touched.p[i];
		r->touched = r->changed = false;
		r->neffects = r->run.neffects = 0;
		if (r->over || r->run.phase != RS_RUN_RUNNING)
			forget_run(k, r);
	}
	for (size_t i = 0; i < k->touched_groups.n; i++)
		((struct rs_kept_group *)k->touched_groups.p[i])->touched = false;
	for (size_t i = 0; i < k->touched_counters.n; i++)
		((struct counter *)k->touched_counters.p[i])->touched = false;
	k->touched.n = k->touched_groups.n = k->touched_counters.n = 0;
	if (k->runs.n > RS_KEPT_MAX)
		forget_runs(k);
	if (k->groups.n > RS_KEPT_MAX)
		forget_groups(k);
	if (k->counters.n > RS_KEPT_MAX)
		forget_counters(k);
}
