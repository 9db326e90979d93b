#include "runservice/plan.h"

#include "common/mem.h"
#include "executor.pb-c.h"
#include "runservice/secrets.h"
#include "runservice/spec.h"
#include "runservice/state.h"
#include "runservice/store.h"

#include <stdio.h>
#include <string.h>

/* Stands for an archive that should exist and does not: asking for it is answered with
 * ERR_NOTFOUND, so the restoring step fails and says so. */
#define MISSING_ARCHIVE "00000000-0000-0000-0000-000000000000"

struct opener {
	struct db *db;
	const char *run_id;
	struct rs_keyring *keys;
	char **names, **values; /* opened so far */
	size_t n;
};

static void
opener_fini(struct opener *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->names[i]);
		xfree_secret(o->values[i], strlen(o->values[i]));
	}
	free(o->names);
	free(o->values);
}

static int
open_variable(const char **value, struct opener *o, const char *name, struct err **err)
{
	char *v = NULL;
	for (size_t i = 0; i < o->n; i++) {
		if (strcmp(o->names[i], name) == 0) {
			*value = o->values[i];
			return 0;
		}
	}
	int rc = rs_secret_open(&v, o->db, o->run_id, name, o->keys, err);
	if (rc != 0)
		return rc;
	o->names = xreallocarray(o->names, o->n + 1, sizeof(*o->names));
	o->values = xreallocarray(o->values, o->n + 1, sizeof(*o->values));
	o->names[o->n] = xstrdup(name);
	o->values[o->n++] = v;
	*value = v;
	return 0;
}

static int
resolve(Millrace__Value *v, void *arg, struct err **err)
{
	const char *value;
	if (!v->variable)
		return 0;
	int rc = open_variable(&value, arg, v->variable, err);
	if (rc != 0)
		return rc;
	free(v->literal);
	v->literal = xstrdup(value);
	free(v->variable);
	v->variable = NULL;
	return 0;
}

/* --- workspace --- */

static int
by_level_and_name(const void *a, const void *b)
{
	const struct rs_task *const *x = a, *const *y = b;
	if ((*x)->level != (*y)->level)
		return (*x)->level < (*y)->level ? -1 : 1;
	return strcmp((*x)->name, (*y)->name);
}

static void
add_archive(Millrace__AcceptReply *m, const char *id, const char *task_name, size_t step)
{
	Millrace__ArchiveRef *ref = xmalloc(sizeof(*ref));
	millrace__archive_ref__init(ref);
	ref->archive_id = xstrdup(id);
	ref->task_name = xstrdup(task_name);
	ref->step = (uint32_t)step;
	m->workspace = xreallocarray(m->workspace, m->n_workspace + 1, sizeof(*m->workspace));
	m->workspace[m->n_workspace++] = ref;
}

static int
add_archives_of(struct db *db, Millrace__AcceptReply *m, const struct rs_task *t,
    const Millrace__TaskSpec *spec, struct err **err)
{
	for (size_t i = 0; spec && i < spec->n_steps; i++) {
		char id[ID_LEN + 1];
		if (spec->steps[i]->type != MILLRACE__STEP_TYPE__STEP_SAVE_TO_WORKSPACE)
			continue;
		int rc = rs_store_archive_of_step(id, db, t->id, t->tries, (uint32_t)i, err);
		if (rc != 0)
			return rc;
		if (*id == '\0' && t->status != RS_SUCCESS)
			continue;
		add_archive(m, *id ? id : MISSING_ARCHIVE, t->name, i);
	}
	return 0;
}

static int
add_workspace(struct db *db, Millrace__AcceptReply *m, const struct rs_run *run, size_t task,
    const Millrace__RunSpec *spec, struct err **err)
{
	auto_free bool *ancestor = xcalloc(run->ntasks + 1, sizeof(*ancestor));
	auto_free const struct rs_task **sorted = xcalloc(run->ntasks + 1, sizeof(*sorted));
	size_t n = 0;
	int rc = 0;
	rs_run_ancestors(ancestor, run, task);
	for (size_t i = 0; i < run->ntasks; i++) {
		if (ancestor[i])
			sorted[n++] = &run->tasks[i];
	}
	qsort(sorted, n, sizeof(*sorted), by_level_and_name);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_archives_of(db, m, sorted[i], rs_spec_task(spec, sorted[i]->id), err);
	return rc;
}

/* --- the answer --- */

static void
add_environment(Millrace__AcceptReply *m, const struct rs_run *run, const Millrace__RunSpec *spec)
{
	m->static_environment =
	    xcalloc(spec->n_static_environment + 1, sizeof(*m->static_environment));
	for (size_t i = 0; i <= spec->n_static_environment; i++) {
		Millrace__Pair *p = xmalloc(sizeof(*p));
		millrace__pair__init(p);
		if (i < spec->n_static_environment) {
			p->name = xstrdup(spec->static_environment[i]->name);
			p->value = xstrdup(spec->static_environment[i]->value);
		} else {
			p->name = xstrdup("AGOLA_RUN_COUNTER");
			p->value = xasprintf("%llu", (unsigned long long)run->number);
		}
		m->static_environment[m->n_static_environment++] = p;
	}
}

static void
add_secrets(Millrace__AcceptReply *m, const struct opener *o)
{
	m->secrets = xcalloc(o->n + 1, sizeof(*m->secrets));
	for (size_t i = 0; i < o->n; i++) {
		size_t len = strlen(o->values[i]);
		if (len == 0)
			continue;
		m->secrets[m->n_secrets++] =
		    (ProtobufCBinaryData){ .len = len, .data = xmemdup(o->values[i], len) };
	}
}

static Millrace__TaskSpec *
take_task(Millrace__RunSpec *spec, const char *id)
{
	for (size_t i = 0; i < spec->n_tasks; i++) {
		if (strcmp(spec->tasks[i]->id, id) == 0)
			return spec->tasks[i];
	}
	return NULL;
}

int
rs_plan_make(void **reply, size_t *len, struct db *db, const struct rs_run *run, size_t task,
    const void *definition, size_t definition_len, struct rs_keyring *keys, int64_t lease_ms,
    struct err **err)
{
	void *packed = NULL;
	struct opener o = { .db = db, .run_id = run->id, .keys = keys };
	int rc =
	    definition ? 0 : rs_store_definition_get(&packed, &definition_len, db, run->id, err);
	if (rc != 0)
		return rc;
	Millrace__RunSpec *spec =
	    millrace__run_spec__unpack(NULL, definition_len, definition ? definition : packed);
	free(packed);
	Millrace__TaskSpec *t = spec ? take_task(spec, run->tasks[task].id) : NULL;
	if (!t) {
		if (spec)
			millrace__run_spec__free_unpacked(spec, NULL);
		return err_set(
		    err, ERR_INTERNAL, "stored definition of run %s is damaged", run->id);
	}
	Millrace__AcceptReply *m = xmalloc(sizeof(*m));
	millrace__accept_reply__init(m);
	m->run_id = xstrdup(run->id);
	m->run_number = run->number;
	m->lease_ms = lease_ms;
	rc = rs_spec_each_value(t, resolve, &o, err);
	if (rc == 0)
		rc = add_workspace(db, m, run, task, spec, err);
	if (rc == 0) {
		m->spec = t;
		m->state = rs_state_of_task(run, task, NULL, 0);
		rs_state_drop_attempts(m->state);
		add_environment(m, run, spec);
		add_secrets(m, &o);
		*len = millrace__accept_reply__get_packed_size(m);
		if (*len <= RS_PLAN_MAX) {
			*reply = xmalloc(*len + 1);
			millrace__accept_reply__pack(m, *reply);
		} else {
			rc = err_set(err, ERR_INVALID,
			    "the task with its variables has %zu bytes, at most %u are possible",
			    *len, RS_PLAN_MAX);
		}
		m->spec = NULL; /* belongs to the run's spec */
	}
	millrace__accept_reply__free_unpacked(m, NULL);
	millrace__run_spec__free_unpacked(spec, NULL);
	opener_fini(&o);
	return rc;
}
