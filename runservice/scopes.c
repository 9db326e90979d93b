#include "runservice/scopes.h"

#include "common/mem.h"
#include "gateway.pb-c.h"
#include "runservice/actor.h"
#include "runservice/rpc_gateway.h"
#include "runservice/secrets.h"
#include "runservice/store.h"
#include "runservice/store_write.h"
#include "runservice/variables.h"

#include <string.h>

/* An answer has to fit into one message. */
#define ANSWER_MAX (RPC_MESSAGE_MAX - 65536u)

struct method;
/* One request of any of the methods below. */
struct scopes_job {
	struct rs_job job;
	const struct method *method;
	ProtobufCMessage *req;
	const char *request_id; /* of req; NULL for those that only read */
	void *answer;
	size_t answer_len;
};

struct method {
	const char *job; /* what its jobs are called */
	const ProtobufCMessageDescriptor *type;
	/* Pure; ERR_INVALID. */
	int (*check)(struct scopes_job *j, struct err **err);
	/* In a transaction; fills j->answer. */
	int (*work)(struct scopes_job *j, struct db *db, struct err **err);
};

/* Replaces what an attempt of the transaction before this one answered. */
static int
answer(struct scopes_job *j, const void *msg, struct err **err)
{
	free(j->answer);
	j->answer = rs_pack(&j->answer_len, msg);
	if (j->answer_len > ANSWER_MAX)
		return err_set(err, ERR_INVALID, "too many to be listed at once");
	return 0;
}

static int
answer_empty(struct scopes_job *j, struct err **err)
{
	const Millrace__Empty empty = MILLRACE__EMPTY__INIT;
	return answer(j, &empty, err);
}

/* --- checks --- */

/* Gives an error the REST API's code. */
static int
coded(int rc, const char *slug, struct err **err)
{
	if (rc != 0 && err && *err && !(*err)->slug)
		(*err)->slug = xstrdup(slug);
	return rc;
}

static int
check_id(struct scopes_job *j, const char *request_id, struct err **err)
{
	j->request_id = request_id;
	if (!id_is_valid(request_id))
		return err_set(err, ERR_INVALID, "request_id is not a UUID");
	return 0;
}

static int
check_text(const char *what, const char *s, struct err **err)
{
	size_t n = strlen(s);
	if (n == 0 || n > RS_SCOPED_NAME_MAX)
		return err_set(
		    err, ERR_INVALID, "%s must have 1 to %d bytes", what, RS_SCOPED_NAME_MAX);
	return 0;
}

static int
check_chain(char *const *scopes, size_t n, struct err **err)
{
	if (n == 0)
		return err_set(err, ERR_INVALID, "no scope is given");
	return rs_scopes_check(scopes, n, err);
}

static int
check_list(struct scopes_job *j, struct err **err)
{
	const Millrace__ScopeListRequest *q = (const void *)j->req;
	return check_chain(q->scopes, q->n_scopes, err);
}

static int
check_drop(struct scopes_job *j, struct err **err)
{
	const Millrace__ScopeDropRequest *q = (const void *)j->req;
	return check_chain(q->scopes, q->n_scopes, err);
}

static int
check_delete(struct scopes_job *j, struct err **err)
{
	Millrace__ScopeDeleteRequest *q = (void *)j->req;
	int rc = check_id(j, q->request_id, err);
	return rc == 0 ? check_chain(&q->scope, 1, err) : rc;
}

static int
by_name(const void *a, const void *b)
{
	const Millrace__Pair *const *x = a, *const *y = b;
	return strcmp((*x)->name, (*y)->name);
}

static int
check_data(Millrace__Pair **data, size_t n, struct err **err)
{
	int rc = 0;
	if (n == 0 || n > RS_SECRET_KEYS_MAX)
		return err_set(
		    err, ERR_INVALID, "a secret's data must have 1 to %d keys", RS_SECRET_KEYS_MAX);
	qsort(data, n, sizeof(*data), by_name);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = check_text("a key of a secret's data", data[i]->name, err);
		if (rc == 0 && strlen(data[i]->value) > RS_SECRET_VALUE_MAX)
			rc = err_set(err, ERR_INVALID,
			    "the value of key %.100s has more than %u bytes", data[i]->name,
			    RS_SECRET_VALUE_MAX);
		if (rc == 0 && i > 0 && strcmp(data[i - 1]->name, data[i]->name) == 0)
			rc = err_set(err, ERR_INVALID, "key %.100s is given twice", data[i]->name);
	}
	return rc;
}

static int
check_secret(struct scopes_job *j, struct err **err)
{
	Millrace__SecretPutRequest *q = (void *)j->req;
	int rc = check_id(j, q->request_id, err);
	if (rc == 0)
		rc = check_chain(&q->scope, 1, err);
	if (rc == 0)
		rc = coded(
		    check_text("the name of a secret", q->name, err), "invalidSecretName", err);
	if (rc == 0 && strcmp(q->type, "internal") != 0)
		rc = err_set_slug(err, ERR_INVALID, "invalidSecretType",
		    "unknown type of secret; known is internal");
	return rc == 0 ? coded(check_data(q->data, q->n_data, err), "invalidSecretData", err) : rc;
}

static int
check_value(const Millrace__VariableValue *v, struct err **err)
{
	int rc = check_text("secret_name", v->secret_name, err);
	if (rc == 0)
		rc = check_text("secret_var", v->secret_var, err);
	return rc == 0 && v->when ? rs_when_check(v->when, err) : rc;
}

static int
check_values(const Millrace__VariablePutRequest *q, struct err **err)
{
	int rc = 0;
	if (q->n_values == 0 || q->n_values > RS_VARIABLE_VALUES_MAX)
		return err_set(err, ERR_INVALID, "a variable must have 1 to %d values",
		    RS_VARIABLE_VALUES_MAX);
	if (protobuf_c_message_get_packed_size(&q->base) > RS_VARIABLE_BYTES_MAX)
		return err_set(
		    err, ERR_INVALID, "a variable is larger than %u bytes", RS_VARIABLE_BYTES_MAX);
	for (size_t i = 0; rc == 0 && i < q->n_values; i++) {
		rc = check_value(q->values[i], err);
		if (rc != 0)
			err_wrap(err, "value %zu", i + 1);
	}
	return rc;
}

static int
check_variable(struct scopes_job *j, struct err **err)
{
	const Millrace__VariablePutRequest *q = (const void *)j->req;
	int rc = check_id(j, q->request_id, err);
	if (rc == 0)
		rc = check_chain(q->scopes, q->n_scopes, err);
	if (rc == 0)
		rc = coded(
		    check_text("the name of a variable", q->name, err), "invalidVariableName", err);
	return rc == 0 ? coded(check_values(q, err), "invalidVariableValues", err) : rc;
}

/* --- lists --- */

static size_t
listed(const Millrace__ScopeListRequest *q)
{
	return q->tree ? q->n_scopes : 1;
}

/* Where the chain's secrets are, for the values of its variables. */
static void
fill_secret_scopes(const struct rs_definitions *d, char *const *scopes)
{
	for (size_t i = 0; i < d->nvariables; i++) {
		const struct rs_scoped_variable *v = &d->variables[i];
		for (size_t k = 0; k < v->spec->n_values; k++) {
			Millrace__VariableValue *value = v->spec->values[k];
			size_t at;
			free(value->secret_scope);
			value->secret_scope = NULL;
			if (rs_resolve_secret(&at, d, value->secret_name, v->depth))
				value->secret_scope = xstrdup(scopes[at]);
		}
	}
}

static int
nearest_first(const void *a, const void *b)
{
	const struct rs_scoped_variable *const *x = a, *const *y = b;
	if ((*x)->depth != (*y)->depth)
		return (*x)->depth < (*y)->depth ? -1 : 1;
	return strcmp((*x)->spec->name, (*y)->spec->name);
}

static int
list_variables(struct scopes_job *j, struct db *db, struct err **err)
{
	const Millrace__ScopeListRequest *q = (const void *)j->req;
	Millrace__VariableListReply m = MILLRACE__VARIABLE_LIST_REPLY__INIT;
	struct rs_definitions d;
	size_t n = 0;
	int rc =
	    rs_store_definitions(&d, db, (const char *const *)q->scopes, q->n_scopes, NULL, 0, err);
	if (rc != 0)
		return rc;
	fill_secret_scopes(&d, q->scopes);
	auto_free const struct rs_scoped_variable **list = xcalloc(d.nvariables + 1, sizeof(*list));
	for (size_t i = 0; i < d.nvariables; i++) {
		const struct rs_scoped_variable *v = &d.variables[i];
		bool nearest = i == 0 || strcmp(v[-1].spec->name, v->spec->name) != 0;
		if (v->depth < listed(q) && (nearest || !q->remove_overridden))
			list[n++] = v;
	}
	qsort(list, n, sizeof(*list), nearest_first);
	m.variables = xcalloc(n + 1, sizeof(*m.variables));
	for (; m.n_variables < n; m.n_variables++)
		m.variables[m.n_variables] = list[m.n_variables]->spec;
	rc = answer(j, &m, err);
	free(m.variables);
	rs_definitions_fini(&d);
	return rc;
}

static int
by_name_and_place(const void *a, const void *b)
{
	struct rs_secret_row *const *x = a, *const *y = b;
	int c = strcmp((*x)->name, (*y)->name);
	return c ? c : *x < *y ? -1 : *x > *y;
}

/* Of equal names all but the first lose their id. Rows come nearest first. */
static void
drop_overridden(struct rs_secret_row *rows, size_t n)
{
	auto_free struct rs_secret_row **sorted = xcalloc(n + 1, sizeof(*sorted));
	for (size_t i = 0; i < n; i++)
		sorted[i] = &rows[i];
	qsort(sorted, n, sizeof(*sorted), by_name_and_place);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			sorted[i]->id[0] = '\0';
	}
}

static Millrace__Secret *
secret_of(Millrace__Secret *m, struct rs_secret_row *row)
{
	millrace__secret__init(m);
	m->id = row->id;
	m->scope = row->scope;
	m->name = row->name;
	m->type = row->type;
	return m;
}

static int
list_secrets(struct scopes_job *j, struct db *db, struct err **err)
{
	const Millrace__ScopeListRequest *q = (const void *)j->req;
	Millrace__SecretListReply m = MILLRACE__SECRET_LIST_REPLY__INIT;
	struct rs_secret_row *rows = NULL;
	size_t n = 0;
	int rc =
	    rs_store_secret_list(&rows, &n, db, (const char *const *)q->scopes, listed(q), err);
	if (rc != 0)
		return rc;
	auto_free Millrace__Secret *list = xcalloc(n + 1, sizeof(*list));
	m.secrets = xcalloc(n + 1, sizeof(*m.secrets));
	if (q->remove_overridden)
		drop_overridden(rows, n);
	for (size_t i = 0; i < n; i++) {
		if (*rows[i].id)
			m.secrets[m.n_secrets++] = secret_of(&list[i], &rows[i]);
	}
	rc = answer(j, &m, err);
	free(m.secrets);
	rs_secret_rows_free(rows, n);
	return rc;
}

/* --- writing --- */

static const struct {
	const char *what, *absent, *taken;
} kinds[] = {
	[RS_SCOPED_SECRET] = { "secret", "secretDoesNotExist", "secretAlreadyExists" },
	[RS_SCOPED_VARIABLE] = { "variable", "variableDoesNotExist", "variableAlreadyExists" },
};

static int
absent(enum rs_scoped kind, const char *name, struct err **err)
{
	return err_set_slug(err, ERR_NOTFOUND, kinds[kind].absent, "%s %.100s doesn't exist",
	    kinds[kind].what, name);
}

/* The id to write under: that of old_name, or a new one; *exists tells which. The new name is free
 * then. */
static int
place(char id[ID_LEN + 1], bool *exists, struct db *db, enum rs_scoped kind, const char *scope,
    const char *old_name, const char *name, struct err **err)
{
	char other[ID_LEN + 1];
	size_t n = 0;
	*exists = old_name != NULL;
	int rc = rs_store_scoped_id(id, db, kind, scope, old_name ? old_name : name, err);
	if (rc == 0 && old_name && *id == '\0')
		return absent(kind, old_name, err);
	if (rc == 0)
		rc = rs_store_scoped_id(other, db, kind, scope, name, err);
	if (rc == 0 && *other && (!old_name || strcmp(other, id) != 0))
		return err_set_slug(err, ERR_CONFLICT, kinds[kind].taken,
		    "a %s %.100s exists already", kinds[kind].what, name);
	if (rc == 0 && !old_name)
		rc = rs_store_scoped_count(&n, db, kind, scope, err);
	if (rc == 0 && n >= RS_SCOPED_MAX)
		return err_set(err, ERR_INVALID,
		    "there are %d of them in this scope already: delete some", RS_SCOPED_MAX);
	if (rc == 0 && !old_name)
		memcpy(id, id_new().s, ID_LEN + 1);
	return rc;
}

static int
put_data(struct scopes_job *j, struct db *db, const char *id, struct err **err)
{
	const Millrace__SecretPutRequest *q = (const void *)j->req;
	struct rs_sealer s;
	int rc = rs_sealer_init(&s, db, j->job.rs->keys, err);
	for (size_t i = 0; rc == 0 && i < q->n_data; i++) {
		char version[ID_LEN + 1];
		rc = rs_secret_seal(version, &s, NULL, q->data[i]->value, err);
		if (rc == 0)
			rc = rs_store_secret_data_add(db, id, q->data[i]->name, version, err);
	}
	rs_sealer_fini(&s);
	return rc;
}

static int
put_secret(struct scopes_job *j, struct db *db, struct err **err)
{
	const Millrace__SecretPutRequest *q = (const void *)j->req;
	struct rs_secret_row row = { .name = q->name, .type = q->type };
	Millrace__Secret m;
	bool exists;
	int rc = place(row.id, &exists, db, RS_SCOPED_SECRET, q->scope, q->old_name, q->name, err);
	if (rc != 0)
		return rc;
	memcpy(row.scope, q->scope, ID_LEN + 1);
	if (exists)
		rc = rs_store_secret_data_drop(db, row.id, err);
	if (rc == 0)
		rc = rs_store_secret_add(db, &row, exists, err);
	if (rc == 0)
		rc = put_data(j, db, row.id, err);
	return rc == 0 ? answer(j, secret_of(&m, &row), err) : rc;
}

/* The stored variable, as the lists show it. */
static int
answer_variable(struct scopes_job *j, struct db *db, const char *name, struct err **err)
{
	const Millrace__VariablePutRequest *q = (const void *)j->req;
	struct rs_definitions d;
	int rc = rs_store_definitions(
	    &d, db, (const char *const *)q->scopes, q->n_scopes, &name, 1, err);
	if (rc != 0)
		return rc;
	fill_secret_scopes(&d, q->scopes);
	rc = ERR_INTERNAL;
	for (size_t i = 0; i < d.nvariables; i++) {
		if (d.variables[i].depth == 0)
			rc = answer(j, d.variables[i].spec, err);
	}
	rs_definitions_fini(&d);
	return rc;
}

static int
put_variable(struct scopes_job *j, struct db *db, struct err **err)
{
	const Millrace__VariablePutRequest *q = (const void *)j->req;
	Millrace__Variable v = MILLRACE__VARIABLE__INIT;
	char id[ID_LEN + 1];
	bool exists;
	size_t len;
	int rc =
	    place(id, &exists, db, RS_SCOPED_VARIABLE, q->scopes[0], q->old_name, q->name, err);
	if (rc != 0)
		return rc;
	v.id = id;
	v.scope = q->scopes[0];
	v.name = q->name;
	v.n_values = q->n_values;
	v.values = q->values;
	auto_free void *packed = rs_pack(&len, &v);
	rc = rs_store_variable_add(db, id, v.scope, v.name, packed, len, exists, err);
	return rc == 0 ? answer_variable(j, db, v.name, err) : rc;
}

static int
delete_one(struct scopes_job *j, struct db *db, enum rs_scoped kind, struct err **err)
{
	const Millrace__ScopeDeleteRequest *q = (const void *)j->req;
	char id[ID_LEN + 1];
	int rc = rs_store_scoped_id(id, db, kind, q->scope, q->name, err);
	if (rc == 0 && *id == '\0')
		return absent(kind, q->name, err);
	if (rc == 0)
		rc = rs_store_scoped_remove(db, kind, id, err);
	return rc == 0 ? answer_empty(j, err) : rc;
}

static int
delete_secret(struct scopes_job *j, struct db *db, struct err **err)
{
	return delete_one(j, db, RS_SCOPED_SECRET, err);
}

static int
delete_variable(struct scopes_job *j, struct db *db, struct err **err)
{
	return delete_one(j, db, RS_SCOPED_VARIABLE, err);
}

static int
drop_scopes(struct scopes_job *j, struct db *db, struct err **err)
{
	const Millrace__ScopeDropRequest *q = (const void *)j->req;
	int rc = rs_store_scopes_drop(db, (const char *const *)q->scopes, q->n_scopes, err);
	return rc == 0 ? answer_empty(j, err) : rc;
}

/* --- requests --- */

static bool
reads(const struct scopes_job *j)
{
	return j->method->check == check_list;
}

static int
note_request(const struct scopes_job *j, struct db *db, struct err **err)
{
	struct rs_writes *w = rs_writes_new();
	rs_write_request(w, j->request_id, j->answer, j->answer_len);
	int rc = rs_writes_flush(w, db, err);
	rs_writes_free(w);
	return rc;
}

static int
job_tx(struct db *db, void *arg, struct err **err)
{
	struct scopes_job *j = arg;
	free(steal(&j->answer));
	int rc = reads(j) ? 0 : rs_store_assert_epoch(db, j->job.epoch, err);
	if (rc == 0)
		rc = rs_store_scopes_lock(db, !reads(j), err);
	if (rc == 0 && j->request_id)
		rc = rs_store_request_get(&j->answer, &j->answer_len, db, j->request_id, err);
	if (rc != 0 || j->answer)
		return rc;
	rc = j->method->work(j, db, err);
	if (rc == 0 && j->request_id)
		rc = note_request(j, db, err);
	return rc;
}

static int
job_work(struct db *db, struct rs_job *job, struct err **err)
{
	return db_tx_run(db, job_tx, job, err);
}

/* The values of a secret that came in. */
static void
wipe(ProtobufCMessage *m)
{
	if (m->descriptor != &millrace__secret_put_request__descriptor)
		return;
	const Millrace__SecretPutRequest *q = (const void *)m;
	for (size_t i = 0; i < q->n_data; i++)
		explicit_bzero(q->data[i]->value, strlen(q->data[i]->value));
}

static void
free_job(struct scopes_job *j)
{
	wipe(j->req);
	protobuf_c_message_free_unpacked(j->req, NULL);
	free(j->answer);
	free(j);
}

static void
job_done(struct rs_job *job)
{
	struct scopes_job *j = (struct scopes_job *)job;
	if (!rs_job_failed(job))
		rpc_reply(job->call, j->answer, j->answer_len);
	free_job(j);
}

static void
start(const struct method *m, struct rpc_call *call, const uint8_t *body, size_t len, struct rs *rs)
{
	struct err *err = NULL;
	ProtobufCMessage *req = rs_gateway_decode(call, m->type, body, len, rs);
	if (!req)
		return;
	struct scopes_job *j = xcalloc(1, sizeof(*j));
	j->method = m;
	j->req = req;
	if (m->check(j, &err) != 0) {
		rpc_fail(call, &err);
		free_job(j);
		return;
	}
	j->job.call = call;
	j->job.work = job_work;
	j->job.done = job_done;
	rs_db_submit(rs, m->job, 0, &j->job);
}

/* A handler is not told its method's name: each method has one of its own. */

static void
on_secret_list(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	static const struct method m = { "secret-list", &millrace__scope_list_request__descriptor,
		check_list, list_secrets };
	start(&m, call, body, len, rs);
}

static void
on_secret_put(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	static const struct method m = { "secret-put", &millrace__secret_put_request__descriptor,
		check_secret, put_secret };
	start(&m, call, body, len, rs);
}

static void
on_secret_delete(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	static const struct method m = { "secret-delete",
		&millrace__scope_delete_request__descriptor, check_delete, delete_secret };
	start(&m, call, body, len, rs);
}

static void
on_variable_list(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	static const struct method m = { "variable-list", &millrace__scope_list_request__descriptor,
		check_list, list_variables };
	start(&m, call, body, len, rs);
}

static void
on_variable_put(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	static const struct method m = { "variable-put",
		&millrace__variable_put_request__descriptor, check_variable, put_variable };
	start(&m, call, body, len, rs);
}

static void
on_variable_delete(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	static const struct method m = { "variable-delete",
		&millrace__scope_delete_request__descriptor, check_delete, delete_variable };
	start(&m, call, body, len, rs);
}

static void
on_scope_delete(struct rpc_call *call, const uint8_t *body, size_t len, void *rs)
{
	static const struct method m = { "scope-delete", &millrace__scope_drop_request__descriptor,
		check_drop, drop_scopes };
	start(&m, call, body, len, rs);
}

const struct rpc_method rs_rpc_scopes[] = {
	{ "secret.list", on_secret_list, 64 << 10 },
	{ "secret.put", on_secret_put, 0 },
	{ "secret.delete", on_secret_delete, 8 << 10 },
	{ "variable.list", on_variable_list, 64 << 10 },
	{ "variable.put", on_variable_put, RS_VARIABLE_BYTES_MAX + 8192 },
	{ "variable.delete", on_variable_delete, 8 << 10 },
	{ "scope.delete", on_scope_delete, 64 << 10 },
};
const size_t rs_rpc_scopes_len = ARRAY_LEN(rs_rpc_scopes);
