#include "runservice/variables.h"

#include "common/mem.h"
#include "runservice/secrets.h"
#include "runservice/spec.h"
#include "runservice/store.h"

#include <string.h>

#define VARIABLES_MAX 1200 /* of one run: a user's, and two of the gateway's for each run */

/* --- the request --- */

static bool
one_of(const char *const *words, const char *s)
{
	for (; *words; words++) {
		if (strcmp(*words, s) == 0)
			return true;
	}
	return false;
}

int
rs_scopes_check(char *const *scopes, size_t n, struct err **err)
{
	if (n > RS_SCOPES_MAX)
		return err_set(err, ERR_INVALID, "more than %d scopes", RS_SCOPES_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!id_is_valid(scopes[i]))
			return err_set(err, ERR_INVALID, "a scope is not a UUID");
		for (size_t j = 0; j < i; j++) {
			if (strcmp(scopes[i], scopes[j]) == 0)
				return err_set(
				    err, ERR_INVALID, "scope %s is given twice", scopes[i]);
		}
	}
	return 0;
}

static int
check_source(const Millrace__RunSource *s, struct err **err)
{
	static const char *const types[] = { "branch", "tag", "pull_request", NULL };
	if (!one_of(types, s->ref_type))
		return err_set(
		    err, ERR_INVALID, "unknown ref_type; known are branch, tag and pull_request");
	return rs_scopes_check(s->scopes, s->n_scopes, err);
}

int
rs_variables_check(const Millrace__RunCreateRequest *req, struct err **err)
{
	int rc = req->source ? check_source(req->source, err) : 0;
	if (rc != 0)
		return rc;
	if (req->n_variables > VARIABLES_MAX)
		return err_set(err, ERR_INVALID, "more than %d variables", VARIABLES_MAX);
	if (req->n_variables > 0 && req->source && req->source->n_scopes > 0)
		return err_set(err, ERR_INVALID,
		    "a run gets the variables that are given, or those of its project, not both");
	for (size_t i = 0; i < req->n_variables; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(req->variables[i]->name, req->variables[j]->name) == 0)
				return err_set(err, ERR_INVALID, "variable %.100s is given twice",
				    req->variables[i]->name);
		}
	}
	return 0;
}

/* --- what a direct run brings: sealed once for each run, whose own the versions are --- */

static int
seal_given(struct db *db, struct rs_keyring *keys, const Millrace__RunCreateRequest *req,
    const char *run_id, struct err **err)
{
	struct rs_sealer s;
	int rc = rs_sealer_init(&s, db, keys, err);
	for (size_t i = 0; rc == 0 && i < req->n_variables; i++) {
		char version[ID_LEN + 1];
		const Millrace__Pair *v = req->variables[i];
		rc = rs_secret_seal(version, &s, run_id, v->value, err);
		if (rc == 0)
			rc = rs_store_variable_put(db, run_id, v->name, version, err);
	}
	rs_sealer_fini(&s);
	return rc;
}

/* --- what the project defines --- */

struct names {
	const char **list; /* borrowed from the spec; sorted, each once */
	size_t n, cap;
};

static int
note_name(Millrace__Value *v, void *arg, struct err **err)
{
	struct names *names = arg;
	(void)err;
	if (!v->variable)
		return 0;
	if (names->n == names->cap) {
		names->cap = names->cap ? names->cap * 2 : 64;
		names->list = xreallocarray(names->list, names->cap, sizeof(*names->list));
	}
	names->list[names->n++] = v->variable;
	return 0;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
names_of(struct names *names, const Millrace__RunSpec *spec, struct err **err)
{
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < spec->n_tasks; i++)
		rc = rs_spec_each_value(spec->tasks[i], note_name, names, err);
	if (rc != 0 || names->n == 0)
		return rc;
	qsort(names->list, names->n, sizeof(*names->list), by_text);
	for (size_t i = 0; i < names->n; i++) {
		if (i == 0 || strcmp(names->list[n - 1], names->list[i]) != 0)
			names->list[n++] = names->list[i];
	}
	names->n = n;
	if (n > VARIABLES_MAX)
		return err_set(err, ERR_INVALID, "run \"%.100s\" uses more than %d variables",
		    spec->name, VARIABLES_MAX);
	return 0;
}

static int
give(struct db *db, const Millrace__RunSource *s, const char *run_id, const struct names *names,
    struct err **err)
{
	const struct when_ref ref = { .ref_type = s->ref_type,
		.branch = s->branch ? s->branch : "",
		.tag = s->tag ? s->tag : "",
		.ref = s->ref ? s->ref : "" };
	auto_free const char **found = xcalloc(names->n + 1, sizeof(*found));
	auto_free const char **versions = xcalloc(names->n + 1, sizeof(*versions));
	struct rs_definitions d;
	size_t n = 0;
	/* A version that is found stays until this transaction refers to it. */
	int rc = rs_store_scopes_lock(db, false, err);
	if (rc == 0)
		rc = rs_store_definitions(&d, db, (const char *const *)s->scopes, s->n_scopes,
		    names->list, names->n, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < names->n; i++) {
		const char *version = rs_resolve(&d, names->list[i], &ref);
		if (!version)
			continue;
		found[n] = names->list[i];
		versions[n++] = version;
	}
	if (n > 0)
		rc = rs_store_run_variables_put(db, run_id, found, versions, n, err);
	rs_definitions_fini(&d);
	return rc;
}

/* Who does not say how far a run is trusted is not trusted. */
static bool
may_have(const Millrace__RunSource *s, const Millrace__RunSpec *spec)
{
	return s && s->n_scopes > 0 &&
	       (spec->trust > MILLRACE__TRUST__TRUST_FORK || s->vars_to_fork);
}

int
rs_variables_give(struct db *db, struct rs_keyring *keys, const Millrace__RunCreateRequest *req,
    const Millrace__RunSpec *spec, const char *run_id, struct err **err)
{
	struct names names = { NULL, 0, 0 };
	if (req->n_variables > 0)
		return seal_given(db, keys, req, run_id, err);
	if (!may_have(req->source, spec))
		return 0;
	int rc = names_of(&names, spec, err);
	if (rc == 0 && names.n > 0)
		rc = give(db, req->source, run_id, &names, err);
	free(names.list);
	return rc;
}
