/*
 * Secrets and variables of projects and groups, over RPC: managed by a gateway, given to runs by
 * scope, trust and condition, sealed in the database, and sealed anew when the master key changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "common/db.h"
#include "common/mem.h"
#include "runservice/keyring.h"
#include "runservice/rotate.h"
#include "runservice/runservice.h"
#include "runservice/scopes.h"
#include "runservice/secrets.h"
#include "runservice/store.h"
#include "tests/lib/rs_peer.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROJECT "11111111-1111-4111-8111-111111111111"
#define GROUP "22222222-2222-4222-8222-222222222222"
#define ROOT "33333333-3333-4333-8333-333333333333"
#define STRANGE "44444444-4444-4444-8444-444444444444"
#define NEW_KEY "d00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define NEWER_KEY "e00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static char *
unconst(const char *s)
{
	return (char *)(uintptr_t)s;
}

static char *chain[] = { (char[]){ PROJECT }, (char[]){ GROUP }, (char[]){ ROOT } };

static const struct rs_peer_task one_task[] = {
	{ .name = "task", .nsteps = 1, .variable = "password" }
};

/* --- what a gateway asks --- */

/* name is what is to be changed, or NULL for a new one. data: key, value, ..., NULL. */
static int
put_secret_as(struct rs_peer *p, const char *request, const char *scope, const char *old,
    const char *name, const char *const *data)
{
	Millrace__SecretPutRequest q = MILLRACE__SECRET_PUT_REQUEST__INIT;
	Millrace__Pair pairs[4], *list[4];
	Millrace__Secret *reply = NULL;
	struct id id = id_new();
	q.request_id = request ? unconst(request) : id.s;
	q.scope = unconst(scope);
	q.old_name = unconst(old);
	q.name = unconst(name);
	q.type = unconst("internal");
	q.data = list;
	for (; data[2 * q.n_data]; q.n_data++) {
		Millrace__Pair *pair = list[q.n_data] = &pairs[q.n_data];
		millrace__pair__init(pair);
		pair->name = unconst(data[2 * q.n_data]);
		pair->value = unconst(data[2 * q.n_data + 1]);
	}
	int rc = rs_call(p, p->gateway, "secret.put", &q, &millrace__secret__descriptor, &reply);
	if (rc != 0)
		return rc;
	assert_string_equal(reply->scope, scope);
	assert_string_equal(reply->name, name);
	assert_string_equal(reply->type, "internal");
	millrace__secret__free_unpacked(reply, NULL);
	return 0;
}

static int
put_secret(struct rs_peer *p, const char *scope, const char *old, const char *name, const char *key,
    const char *value)
{
	const char *data[] = { key, value, NULL };
	return put_secret_as(p, NULL, scope, old, name, data);
}

/* One value; branch NULL: always, else a regular expression. scopes: from this one of chain. */
static int
put_variable(struct rs_peer *p, size_t depth, const char *old, const char *name, const char *secret,
    const char *key, const char *branch, Millrace__Variable **reply)
{
	Millrace__VariablePutRequest q = MILLRACE__VARIABLE_PUT_REQUEST__INIT;
	Millrace__VariableValue value = MILLRACE__VARIABLE_VALUE__INIT, *values[] = { &value };
	Millrace__When when = MILLRACE__WHEN__INIT;
	Millrace__Conditions conditions = MILLRACE__CONDITIONS__INIT;
	Millrace__Condition c = MILLRACE__CONDITION__INIT, *list[] = { &c };
	Millrace__Variable *got = NULL;
	struct id id = id_new();
	q.request_id = id.s;
	q.scopes = chain + depth;
	q.n_scopes = ARRAY_LEN(chain) - depth;
	q.old_name = unconst(old);
	q.name = unconst(name);
	q.values = values;
	q.n_values = 1;
	value.secret_name = unconst(secret);
	value.secret_var = unconst(key);
	if (branch) {
		c.type = unconst("regexp");
		c.match = unconst(branch);
		conditions.include = list;
		conditions.n_include = 1;
		when.branch = &conditions;
		value.when = &when;
	}
	int rc = rs_call(p, p->gateway, "variable.put", &q, &millrace__variable__descriptor, &got);
	if (rc == 0 && reply)
		*reply = got;
	else if (rc == 0)
		millrace__variable__free_unpacked(got, NULL);
	return rc;
}

static int
delete_as(struct rs_peer *p, const char *method, const char *scope, const char *name)
{
	Millrace__ScopeDeleteRequest q = MILLRACE__SCOPE_DELETE_REQUEST__INIT;
	struct id id = id_new();
	q.request_id = id.s;
	q.scope = unconst(scope);
	q.name = unconst(name);
	return rs_call(p, p->gateway, method, &q, NULL, NULL);
}

static Millrace__ScopeListRequest
list_request(size_t depth, bool tree, bool overridden)
{
	Millrace__ScopeListRequest q = MILLRACE__SCOPE_LIST_REQUEST__INIT;
	q.scopes = chain + depth;
	q.n_scopes = ARRAY_LEN(chain) - depth;
	q.has_tree = q.tree = tree;
	q.has_remove_overridden = q.remove_overridden = overridden;
	return q;
}

/* "name@scope name@scope ...": the first digit of the scope. */
static void
secrets_are(struct rs_peer *p, size_t depth, bool tree, bool overridden, const char *want)
{
	Millrace__ScopeListRequest q = list_request(depth, tree, overridden);
	Millrace__SecretListReply *m = NULL;
	auto_buf b = BUF_INIT;
	assert_int_equal(
	    rs_call(p, p->gateway, "secret.list", &q, &millrace__secret_list_reply__descriptor, &m),
	    0);
	for (size_t i = 0; i < m->n_secrets; i++)
		buf_printf(
		    &b, "%s%s@%c", i ? " " : "", m->secrets[i]->name, m->secrets[i]->scope[0]);
	assert_string_equal(buf_str(&b), want);
	millrace__secret_list_reply__free_unpacked(m, NULL);
}

/* The same with the scope of the first value's secret, "-" for none. */
static void
variables_are(struct rs_peer *p, size_t depth, bool tree, bool overridden, const char *want)
{
	Millrace__ScopeListRequest q = list_request(depth, tree, overridden);
	Millrace__VariableListReply *m = NULL;
	auto_buf b = BUF_INIT;
	assert_int_equal(rs_call(p, p->gateway, "variable.list", &q,
	                     &millrace__variable_list_reply__descriptor, &m),
	    0);
	for (size_t i = 0; i < m->n_variables; i++) {
		const char *where = m->variables[i]->values[0]->secret_scope;
		buf_printf(&b, "%s%s@%c:%c", i ? " " : "", m->variables[i]->name,
		    m->variables[i]->scope[0], where ? where[0] : '-');
	}
	assert_string_equal(buf_str(&b), want);
	millrace__variable_list_reply__free_unpacked(m, NULL);
}

static void
sql_is(struct rs_peer *p, const char *sql, const char *want)
{
	auto_free char *got = rs_peer_sql(p, sql);
	assert_string_equal(got, want);
}

/* --- runs --- */

static Millrace__RunSource
source_of(const char *ref_type, const char *branch)
{
	Millrace__RunSource s = MILLRACE__RUN_SOURCE__INIT;
	s.scopes = chain;
	s.n_scopes = ARRAY_LEN(chain);
	s.ref_type = unconst(ref_type);
	s.branch = unconst(branch);
	s.ref = unconst("refs/x");
	return s;
}

static struct rs_offer
start_task(struct rs_peer *p, uint64_t *number)
{
	*number = rs_peer_run(p, id_new().s, one_task, 1, NULL);
	return rs_ex_offer(&p->ex[0]);
}

/* Accepts, and the task's variable has this value. */
static void
opens_as(struct rs_peer *p, const struct rs_offer *o, const char *value)
{
	Millrace__AcceptReply *plan = NULL;
	assert_int_equal(rs_ex_accept(&p->ex[0], o, &plan), 0);
	const Millrace__Value *v = plan->spec->environment[0]->value;
	assert_null(v->variable);
	assert_string_equal(v->literal ? v->literal : "", value);
	assert_int_equal(plan->n_secrets, *value ? 1 : 0);
	if (*value)
		assert_memory_equal(plan->secrets[0].data, value, strlen(value));
	millrace__accept_reply__free_unpacked(plan, NULL);
}

static void
finish(struct rs_peer *p, const struct rs_offer *o)
{
	assert_int_equal(rs_ex_begin(&p->ex[0], o), 0);
	assert_int_equal(rs_ex_report(&p->ex[0], o, 1, "success", "ss"), 0);
}

/* A run of this source, from its creation to its end, sees this value. */
static void
run_sees(struct rs_peer *p, Millrace__RunSource source, const char *value)
{
	uint64_t number;
	p->source = &source;
	struct rs_offer o = start_task(p, &number);
	p->source = NULL;
	opens_as(p, &o, value);
	finish(p, &o);
	assert_string_equal(rs_peer_state(p, number), "finished success");
}

/* --- managing --- */

static void
secrets_are_managed(void **state)
{
	struct rs_peer *p = *state;
	secrets_are(p, 0, true, false, "");
	assert_int_equal(put_secret(p, PROJECT, NULL, "b", "k", "one"), 0);
	assert_int_equal(put_secret(p, PROJECT, NULL, "a", "k", "two"), 0);
	assert_int_equal(put_secret(p, PROJECT, NULL, "a", "k", "x"), ERR_CONFLICT);
	assert_int_equal(put_secret(p, ROOT, NULL, "a", "k", "three"), 0);
	assert_int_equal(put_secret(p, STRANGE, NULL, "c", "k", "four"), 0);
	secrets_are(p, 0, false, false, "a@1 b@1");
	secrets_are(p, 0, true, false, "a@1 b@1 a@3");
	secrets_are(p, 0, true, true, "a@1 b@1");
	secrets_are(p, 1, true, false, "a@3");
	/* Everything is replaced, the name too. */
	assert_int_equal(put_secret(p, PROJECT, "none", "x", "k", "x"), ERR_NOTFOUND);
	assert_int_equal(put_secret(p, PROJECT, "b", "a", "k", "x"), ERR_CONFLICT);
	assert_int_equal(put_secret(p, PROJECT, "b", "z", "other", "five"), 0);
	assert_int_equal(put_secret(p, PROJECT, "z", "z", "other", "six"), 0);
	secrets_are(p, 0, false, false, "a@1 z@1");
	sql_is(p,
	    "select string_agg(name || key, ',' order by name) from secrets "
	    "join secret_data on id = secret_id where scope = '" PROJECT "'",
	    "ak,zother");
	/* A version that nobody refers to is gone at once. */
	sql_is(p,
	    "select count(*) from secret_versions v where not exists "
	    "(select from secret_data d where d.version = v.id) and not exists "
	    "(select from own_keys k where k.version = v.id)",
	    "0");
	assert_int_equal(delete_as(p, "secret.delete", PROJECT, "b"), ERR_NOTFOUND);
	assert_int_equal(delete_as(p, "secret.delete", GROUP, "a"), ERR_NOTFOUND);
	assert_int_equal(delete_as(p, "secret.delete", PROJECT, "a"), 0);
	secrets_are(p, 0, true, false, "z@1 a@3");
	sql_is(p, "select count(*) from secret_versions", "4"); /* z, a, c, and our own */
}

static void
variables_are_listed_with_their_secrets(void **state)
{
	struct rs_peer *p = *state;
	Millrace__Variable *v = NULL;
	assert_int_equal(put_secret(p, GROUP, NULL, "s", "k", "x"), 0);
	assert_int_equal(put_secret(p, PROJECT, NULL, "own", "k", "x"), 0);
	assert_int_equal(put_variable(p, 0, NULL, "v", "s", "k", "^main$", &v), 0);
	assert_string_equal(v->values[0]->secret_scope, GROUP);
	assert_string_equal(v->values[0]->when->branch->include[0]->match, "^main$");
	assert_null(v->values[0]->when->tag);
	millrace__variable__free_unpacked(v, NULL);
	assert_int_equal(put_variable(p, 1, NULL, "v", "own", "k", NULL, NULL), 0);
	assert_int_equal(put_variable(p, 1, NULL, "v", "own", "k", NULL, NULL), ERR_CONFLICT);
	assert_int_equal(put_variable(p, 2, NULL, "r", "s", "k", NULL, NULL), 0);
	assert_int_equal(put_variable(p, 0, NULL, "w", "own", "k", NULL, NULL), 0);
	variables_are(p, 0, false, false, "v@1:2 w@1:1");
	/* A group's variable sees neither a child's nor a deeper secret. */
	variables_are(p, 0, true, false, "v@1:2 w@1:1 v@2:- r@3:-");
	variables_are(p, 0, true, true, "v@1:2 w@1:1 r@3:-");
	variables_are(p, 1, true, true, "v@2:- r@3:-");
	assert_int_equal(put_variable(p, 0, "w", "u", "s", "k", NULL, &v), 0);
	assert_string_equal(v->name, "u");
	millrace__variable__free_unpacked(v, NULL);
	assert_int_equal(put_variable(p, 0, "w", "u", "s", "k", NULL, NULL), ERR_NOTFOUND);
	assert_int_equal(delete_as(p, "variable.delete", PROJECT, "w"), ERR_NOTFOUND);
	assert_int_equal(delete_as(p, "variable.delete", PROJECT, "v"), 0);
	variables_are(p, 0, true, false, "u@1:2 v@2:- r@3:-");
}

static void
a_scope_goes_whole(void **state)
{
	struct rs_peer *p = *state;
	Millrace__ScopeDropRequest q = MILLRACE__SCOPE_DROP_REQUEST__INIT;
	assert_int_equal(put_secret(p, PROJECT, NULL, "s", "k", "x"), 0);
	assert_int_equal(put_secret(p, GROUP, NULL, "s", "k", "x"), 0);
	assert_int_equal(put_secret(p, ROOT, NULL, "s", "k", "x"), 0);
	assert_int_equal(put_variable(p, 0, NULL, "v", "s", "k", NULL, NULL), 0);
	assert_int_equal(put_variable(p, 2, NULL, "v", "s", "k", NULL, NULL), 0);
	q.scopes = chain;
	q.n_scopes = 2;
	assert_int_equal(rs_call(p, p->gateway, "scope.delete", &q, NULL, NULL), 0);
	assert_int_equal(rs_call(p, p->gateway, "scope.delete", &q, NULL, NULL), 0);
	secrets_are(p, 0, true, false, "s@3");
	variables_are(p, 0, true, false, "v@3:3");
	sql_is(p, "select count(*) from secret_versions", "2");
}

static void
writing_twice_is_writing_once(void **state)
{
	static const char *const data[] = { "k", "x", NULL }, *const more[] = { "k", "y", NULL };
	struct rs_peer *p = *state;
	struct id first = id_new(), second = id_new();
	assert_int_equal(put_secret_as(p, first.s, PROJECT, NULL, "s", data), 0);
	assert_int_equal(put_secret_as(p, first.s, PROJECT, NULL, "s", data), 0);
	assert_int_equal(put_secret_as(p, second.s, PROJECT, "s", "t", more), 0);
	assert_int_equal(put_secret_as(p, second.s, PROJECT, "s", "t", more), 0);
	secrets_are(p, 0, true, false, "t@1");
}

/* --- what is refused --- */

static void
nonsense_is_refused(void **state)
{
	static const char *const none[] = { NULL }, *const twice[] = { "k", "a", "k", "b", NULL },
	                         *const unnamed[] = { "", "a", NULL };
	struct rs_peer *p = *state;
	auto_free char *large = xcalloc(RS_SECRET_VALUE_MAX + 2, 1);
	const char *data[] = { "k", large, NULL };
	Millrace__ScopeListRequest list = list_request(0, true, false);
	char *doubled[] = { chain[0], chain[1], chain[0] };
	struct rpc_client *stranger = p->ex[0].client;
	memset(large, 'x', RS_SECRET_VALUE_MAX);
	assert_int_equal(put_secret_as(p, NULL, PROJECT, NULL, "s", none), ERR_INVALID);
	assert_int_equal(put_secret_as(p, NULL, PROJECT, NULL, "s", twice), ERR_INVALID);
	assert_int_equal(put_secret_as(p, NULL, PROJECT, NULL, "s", unnamed), ERR_INVALID);
	assert_int_equal(put_secret_as(p, NULL, "p1", NULL, "s", data), ERR_INVALID);
	assert_int_equal(put_secret_as(p, "x", PROJECT, NULL, "s", data), ERR_INVALID);
	assert_int_equal(put_secret_as(p, NULL, PROJECT, NULL, "", data), ERR_INVALID);
	assert_int_equal(put_secret_as(p, NULL, PROJECT, NULL, "large", data), 0);
	large[RS_SECRET_VALUE_MAX] = 'x';
	assert_int_equal(put_secret_as(p, NULL, PROJECT, NULL, "larger", data), ERR_INVALID);
	assert_int_equal(put_variable(p, 0, NULL, "v", "s", "k", "(", NULL), ERR_INVALID);
	assert_int_equal(put_variable(p, 0, NULL, "v", "", "k", NULL, NULL), ERR_INVALID);
	assert_int_equal(put_variable(p, 0, NULL, "v", "s", "", NULL, NULL), ERR_INVALID);
	assert_int_equal(put_variable(p, 3, NULL, "v", "s", "k", NULL, NULL), ERR_INVALID);
	list.n_scopes = 0;
	assert_int_equal(rs_call(p, p->gateway, "variable.list", &list, NULL, NULL), ERR_INVALID);
	list.scopes = doubled;
	list.n_scopes = 3;
	assert_int_equal(rs_call(p, p->gateway, "secret.list", &list, NULL, NULL), ERR_INVALID);
	/* An executor may not even ask for names. */
	list.n_scopes = 2;
	assert_int_equal(rs_call(p, stranger, "secret.list", &list, NULL, NULL), ERR_DENIED);
	assert_int_equal(rs_call(p, stranger, "scope.delete", &list, NULL, NULL), ERR_DENIED);
	secrets_are(p, 0, true, false, "large@1");
	variables_are(p, 0, true, false, "");
}

static void
a_scope_is_bounded(void **state)
{
	struct rs_peer *p = *state;
	rs_peer_exec(p, "insert into secrets select gen_random_uuid(), '" PROJECT
	                "', 'n' || i, 'internal' from generate_series(1, 999) i");
	assert_int_equal(put_secret(p, PROJECT, NULL, "s", "k", "x"), 0);
	assert_int_equal(put_secret(p, PROJECT, NULL, "t", "k", "x"), ERR_INVALID);
	assert_int_equal(put_secret(p, PROJECT, "s", "t", "k", "x"), 0);
	assert_int_equal(put_secret(p, GROUP, NULL, "s", "k", "x"), 0);
}

static int
create_from(struct rs_peer *p, Millrace__RunSource source, bool variables)
{
	Millrace__RunCreateRequest q = MILLRACE__RUN_CREATE_REQUEST__INIT;
	Millrace__Pair pair = MILLRACE__PAIR__INIT, *pairs[] = { &pair };
	struct id id = id_new();
	q.request_id = id.s;
	q.source = &source;
	pair.name = unconst("v");
	pair.value = unconst("x");
	q.variables = pairs;
	q.n_variables = variables;
	return rs_call(p, p->gateway, "run.create", &q, NULL, NULL);
}

static void
a_source_is_checked(void **state)
{
	struct rs_peer *p = *state;
	Millrace__RunSource s = source_of("branch", "main");
	assert_int_equal(create_from(p, s, false), 0);
	assert_int_equal(create_from(p, s, true), ERR_INVALID);
	s.n_scopes = 0;
	assert_int_equal(create_from(p, s, true), 0);
	s.ref_type = unconst("commit");
	assert_int_equal(create_from(p, s, false), ERR_INVALID);
	char *bad[] = { unconst("../x") };
	s = source_of("branch", "main");
	s.scopes = bad;
	s.n_scopes = 1;
	assert_int_equal(create_from(p, s, false), ERR_INVALID);
}

/* --- what runs get --- */

static void
runs_get_what_their_scopes_define(void **state)
{
	struct rs_peer *p = *state;
	Millrace__RunSource allowed = source_of("pull_request", NULL),
	                    without = source_of("branch", "main");
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	run_sees(p, source_of("branch", "main"), "");
	assert_int_equal(put_secret(p, ROOT, NULL, "s", "k", "of the root"), 0);
	assert_int_equal(put_variable(p, 1, NULL, "password", "s", "k", NULL, NULL), 0);
	assert_int_equal(put_variable(p, 1, NULL, "unused", "s", "k", NULL, NULL), 0);
	run_sees(p, source_of("branch", "main"), "of the root");
	/* Only what the definition names is referred to. */
	sql_is(p, "select string_agg(name, ',') from run_variables", "password");
	assert_int_equal(put_secret(p, PROJECT, NULL, "s", "k", "of the project"), 0);
	run_sees(p, source_of("branch", "main"), "of the root");
	assert_int_equal(put_variable(p, 0, NULL, "password", "s", "k", "^ma", NULL), 0);
	run_sees(p, source_of("branch", "main"), "of the project");
	run_sees(p, source_of("branch", "other"), "");
	/* A pull request has no branch to match; a fork gets nothing unless the project says so. */
	p->trust = MILLRACE__TRUST__TRUST_PULL_REQUEST;
	run_sees(p, source_of("pull_request", NULL), "");
	assert_int_equal(put_variable(p, 0, "password", "password", "s", "k", NULL, NULL), 0);
	run_sees(p, source_of("pull_request", NULL), "of the project");
	p->trust = MILLRACE__TRUST__TRUST_FORK;
	run_sees(p, source_of("pull_request", NULL), "");
	/* Nor does one of which is not said how far it is trusted, whatever it calls itself. */
	p->trust = 0;
	run_sees(p, source_of("branch", "main"), "");
	allowed.has_vars_to_fork = allowed.vars_to_fork = true;
	run_sees(p, allowed, "of the project");
	p->trust = MILLRACE__TRUST__TRUST_BRANCH;
	without.n_scopes = 0;
	run_sees(p, without, "");
}

static void
runs_keep_their_versions(void **state)
{
	struct rs_peer *p = *state;
	Millrace__RunSource source = source_of("branch", "main");
	uint64_t number;
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	assert_int_equal(put_secret(p, PROJECT, NULL, "s", "k", "first"), 0);
	assert_int_equal(put_variable(p, 0, NULL, "password", "s", "k", NULL, NULL), 0);
	p->source = &source;
	struct rs_offer o = start_task(p, &number);
	p->source = NULL;
	assert_int_equal(put_secret(p, PROJECT, "s", "s", "k", "second"), 0);
	opens_as(p, &o, "first");
	finish(p, &o);
	run_sees(p, source, "second");
	assert_int_equal(delete_as(p, "secret.delete", PROJECT, "s"), 0);
	assert_true(rs_peer_action(p, number, "restart", id_new().s) > 0);
	o = rs_ex_offer(&p->ex[0]);
	opens_as(p, &o, "first");
	finish(p, &o);
	run_sees(p, source, "");
	/* Of each run its own version, one of our own; nothing else. */
	sql_is(p, "select count(*) from secret_versions", "3");
}

static void
values_are_nowhere_in_the_database(void **state)
{
	struct rs_peer *p = *state;
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	assert_int_equal(put_secret(p, PROJECT, NULL, "s", "k", "planted-value"), 0);
	assert_int_equal(put_variable(p, 0, NULL, "password", "s", "k", NULL, NULL), 0);
	run_sees(p, source_of("branch", "main"), "planted-value");
	/* The search sees: the names are found by it. */
	static const char query[] =
	    "select count(*) from (select t::text as r from secret_versions t union all "
	    "select encode(sealed, 'escape') from secret_versions union all "
	    "select encode(spec, 'escape') from definitions union all "
	    "select encode(spec, 'escape') from variables union all "
	    "select encode(state, 'escape') from history union all "
	    "select encode(answer, 'escape') from requests union all "
	    "select t::text from run_variables t) x where position('%s' in r) > 0";
	auto_free char *planted = xasprintf(query, "planted-value");
	auto_free char *control = xasprintf(query, "password");
	sql_is(p, planted, "0");
	auto_free char *found = rs_peer_sql(p, control);
	assert_true(atoi(found) >= 3);
}

/* --- another master key --- */

static char *
key_file(const struct rs_peer *p, const char *name, const char *hex)
{
	char *path = xasprintf("%s/%s", p->dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fprintf(f, "%s\n", hex) > 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

static void
file_holds(const char *path, const char *hex)
{
	uint8_t key[CRYPTO_KEY_LEN], want[CRYPTO_KEY_LEN];
	auto_err err = NULL;
	if (crypto_read_key_file(key, path, &err) != 0)
		fail_msg("%s", err_msg(err));
	assert_int_equal(crypto_unhex(want, sizeof(want), hex, NULL), 0);
	assert_memory_equal(key, want, sizeof(key));
}

static void
rotate(struct rs_peer *p, const char *file)
{
	auto_err err = NULL;
	if (rs_rotate(&p->cfg, file, &err) != 0)
		fail_msg("%s", err_msg(err));
}

static void
rotation_refused(struct rs_peer *p, const char *file, const char *part)
{
	auto_err err = NULL;
	assert_true(rs_rotate(&p->cfg, file, &err) < 0);
	if (!strstr(err_msg(err), part))
		fail_msg("\"%s\" does not say \"%s\"", err_msg(err), part);
}

static void
start_refused(struct rs_peer *p, const char *part)
{
	auto_err err = NULL;
	assert_int_equal(rs_start(&p->rs, p->loop, &p->cfg, &err), ERR_INVALID);
	if (!strstr(err_msg(err), part))
		fail_msg("\"%s\" does not say \"%s\"", err_msg(err), part);
	rs_peer_stop(p);
}

/* Tasks wait, run and come while the key changes, twice; the daemon is not told. */
static void
keys_change_under_running_tasks(void **state)
{
	struct rs_peer *p = *state;
	auto_free char *new_key = key_file(p, "new", NEW_KEY);
	auto_free char *newer_key = key_file(p, "newer", NEWER_KEY);
	auto_free char *next = xasprintf("%s/" RS_KEYRING_NEXT, p->cfg.data_dir);
	Millrace__RunSource source = source_of("branch", "main");
	uint64_t number[2];
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	assert_int_equal(put_secret(p, PROJECT, NULL, "s", "k", "of the project"), 0);
	assert_int_equal(put_variable(p, 0, NULL, "password", "s", "k", NULL, NULL), 0);
	struct rs_offer running = start_task(p, &number[0]);
	opens_as(p, &running, "correct horse");
	p->source = &source;
	struct rs_offer waiting = start_task(p, &number[1]);
	p->source = NULL;
	rotate(p, new_key);
	file_holds(p->cfg.master_key_file, NEW_KEY);
	assert_int_equal(access(next, F_OK), -1);
	sql_is(p, "select count(*) from master_keys", "1");
	/* Asked again, as after a restart of the executor; then the one that waited; then new ones.
	 */
	opens_as(p, &running, "correct horse");
	opens_as(p, &waiting, "of the project");
	finish(p, &running);
	finish(p, &waiting);
	assert_int_equal(put_secret(p, PROJECT, "s", "s", "k", "newer"), 0);
	run_sees(p, source, "newer");
	rotate(p, new_key); /* nothing to do */
	rotate(p, newer_key);
	run_sees(p, source, "newer");
	file_holds(p->cfg.master_key_file, NEWER_KEY);
	rs_peer_stop(p);
	rs_peer_start(p);
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	run_sees(p, source, "newer");
	/* The keys that were in use stay for old backups. */
	uint8_t key[CRYPTO_KEY_LEN];
	assert_int_equal(crypto_unhex(key, sizeof(key), NEW_KEY, NULL), 0);
	auto_free char *kept = xasprintf("%s.%.8s", p->cfg.master_key_file, rs_key_id_of(key).s);
	file_holds(kept, NEW_KEY);
}

/* The command itself, in a process of its own. */
static pid_t
spawn_rotation(struct rs_peer *p, const char *new_key)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(n > 0);
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	auto_free char *binary = xasprintf("%s/../bin/millrace-runservice", self);
	auto_free char *config = xasprintf("%s/runservice.yml", p->dir);
	FILE *f = fopen(config, "w");
	assert_non_null(f);
	fprintf(f,
	    "rpc_listen: \"%s\"\nhttp_listen: \"%s\"\nobject_url: %s\ndatabase: \"%s\"\n"
	    "data_dir: %s\nmaster_key_file: %s\ngateway_key_file: %s\nexecutor_keys_dir: %s\n",
	    p->cfg.rpc_listen, p->cfg.http_listen, p->cfg.object_url, p->cfg.database,
	    p->cfg.data_dir, p->cfg.master_key_file, p->cfg.gateway_key_file,
	    p->cfg.executor_keys_dir);
	assert_int_equal(fclose(f), 0);
	char *argv[] = { binary, unconst("--config"), config, unconst("--rotate-master-key"),
		unconst(new_key), NULL };
	pid_t child;
	assert_int_equal(posix_spawn(&child, binary, NULL, NULL, argv, environ), 0);
	return child;
}

/* It waits for a row that somebody else holds. */
static void
until_it_waits(struct rs_peer *p, pid_t child)
{
	for (;;) {
		int status;
		auto_free char *waiting = rs_peer_sql(p,
		    "select count(*) from pg_locks where not granted and locktype in "
		    "('transactionid', 'tuple')");
		if (strcmp(waiting, "0") != 0)
			return;
		assert_int_equal(waitpid(child, &status, WNOHANG), 0);
		rs_peer_turn(p, 10);
	}
}

/* A transaction that began before the rotation seals under the old key, which therefore stays until
 * that is wrapped anew, too. */
static void
what_is_sealed_meanwhile_is_not_lost(void **state)
{
	struct rs_peer *p = *state;
	struct rs *rs = p->rs;
	auto_free char *new_key = key_file(p, "new", NEW_KEY);
	struct db *late = rs_store_open(p->cfg.database, NULL);
	struct rs_sealer sealer;
	char version[ID_LEN + 1], *value = NULL;
	struct id run = id_new();
	auto_err err = NULL;
	int status = 1;
	assert_int_equal(db_exec_sql(NULL, late, "begin", &err), 0);
	assert_int_equal(rs_sealer_init(&sealer, late, rs->keys, &err), 0);
	pid_t child = spawn_rotation(p, new_key);
	until_it_waits(p, child);
	sql_is(p, "select count(*) from master_keys", "2");
	assert_int_equal(rs_secret_seal(version, &sealer, run.s, "late", &err), 0);
	assert_int_equal(rs_store_variable_put(late, run.s, "v", version, &err), 0);
	assert_int_equal(db_exec_sql(NULL, late, "commit", &err), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	sql_is(p, "select count(*) from master_keys", "1");
	assert_int_equal(rs_secret_open(&value, late, run.s, "v", rs->keys, &err), 0);
	assert_string_equal(value, "late");
	free(value);
	db_free(late);
}

/* Killed when it waits for the last of three batches. */
static void
kill_in_the_middle(struct rs_peer *p, const char *new_key)
{
	const struct db_options opt = { .conninfo = p->cfg.database, .schema = "runservice" };
	struct db *holder = db_new(&opt);
	int status;
	auto_err err = NULL;
	assert_int_equal(
	    db_exec_sql(NULL, holder,
	        "begin; select from secret_versions order by id desc limit 1 for update", &err),
	    0);
	pid_t child = spawn_rotation(p, new_key);
	until_it_waits(p, child);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(db_exec_sql(NULL, holder, "rollback", &err), 0);
	db_free(holder);
}

static void
a_broken_off_rotation_goes_on(void **state)
{
	struct rs_peer *p = *state;
	auto_free char *new_key = key_file(p, "new", NEW_KEY);
	auto_free char *newer_key = key_file(p, "newer", NEWER_KEY);
	Millrace__RunSource source = source_of("branch", "main");
	static const char mixed[] =
	    "select (count(*) filter (where serial = (select max(serial) from master_keys)) / 100) "
	    "|| ' ' || (count(*) > 200) from secret_versions join master_keys m on m.id = "
	    "master_key";
	uint64_t number;
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	assert_int_equal(put_variable(p, 0, NULL, "password", "s0", "k0", NULL, NULL), 0);
	for (int i = 0; i < 80; i++) {
		char name[16];
		snprintf(name, sizeof(name), "s%d", i);
		const char *data[] = { "k0", "planted", "k1", "b", "k2", "c", NULL };
		assert_int_equal(put_secret_as(p, NULL, PROJECT, NULL, name, data), 0);
	}
	struct rs_offer running = start_task(p, &number);
	kill_in_the_middle(p, new_key);
	sql_is(p, mixed, "2 true");
	/* Half under each: what is there opens, what is new is sealed; another key is refused. */
	opens_as(p, &running, "correct horse");
	finish(p, &running);
	run_sees(p, source, "planted");
	run_sees(p, source_of("branch", "x"), "planted");
	rotation_refused(p, newer_key, "finish the rotation that is under way first");
	/* Also for a daemon that starts then; but not when the key to come is lost. */
	rs_peer_stop(p);
	rs_peer_start(p);
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	run_sees(p, source, "planted");
	rs_peer_stop(p);
	auto_free char *next = xasprintf("%s/" RS_KEYRING_NEXT, p->cfg.data_dir);
	assert_int_equal(unlink(next), 0);
	start_refused(p, "a rotation was not finished and needs both keys");
	rotate(p, new_key);
	file_holds(p->cfg.master_key_file, NEW_KEY);
	sql_is(p, "select count(*) from master_keys", "1");
	rs_peer_start(p);
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	run_sees(p, source, "planted");
}

static void
a_wrong_key_is_refused_at_the_start(void **state)
{
	struct rs_peer *p = *state;
	auto_free char *wrong = key_file(p, "wrong", NEWER_KEY);
	auto_free char *new_key = key_file(p, "new", NEW_KEY);
	auto_free char *right = p->cfg.master_key_file;
	assert_int_equal(put_secret(p, PROJECT, NULL, "s", "k", "x"), 0);
	rs_peer_stop(p);
	p->cfg.master_key_file = wrong;
	start_refused(p, "the stored secrets are sealed under another key: master key ");
	rotation_refused(p, new_key, "nothing was changed");
	/* A database of a release that did not note keys. */
	rs_peer_exec(p, "update secret_versions set master_key = null; delete from master_keys");
	start_refused(p, "is not the key under which the stored secrets were sealed");
	p->cfg.master_key_file = right;
	rs_peer_start(p);
	rs_peer_stop(p);
	p->cfg.master_key_file = wrong;
	start_refused(p, "sealed under another key");
	p->cfg.master_key_file = steal(&right);
	rs_peer_start(p);
}

/* The key file may be mounted read-only, as a directory that lets nothing be replaced. */
static void
a_key_file_that_cannot_be_replaced(void **state)
{
	struct rs_peer *p = *state;
	auto_free char *new_key = key_file(p, "new", NEW_KEY);
	auto_free char *in_the_way = xasprintf("%s.tmp", p->cfg.master_key_file);
	auto_free char *deeper = xasprintf("%s/x", in_the_way);
	uint8_t key[CRYPTO_KEY_LEN];
	Millrace__RunSource source = source_of("branch", "main");
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	assert_int_equal(put_secret(p, PROJECT, NULL, "s", "k", "x y z"), 0);
	assert_int_equal(put_variable(p, 0, NULL, "password", "s", "k", NULL, NULL), 0);
	assert_int_equal(crypto_read_key_file(key, p->cfg.master_key_file, NULL), 0);
	auto_free char *mkdirs = xasprintf("mkdir -p %s", deeper);
	assert_int_equal(system(mkdirs), 0); /* NOLINT(cert-env33-c): a test's own command */
	rotate(p, new_key);
	run_sees(p, source, "x y z");
	rs_peer_stop(p);
	rs_peer_start(p);
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
	run_sees(p, source, "x y z");
	auto_free char *put =
	    xasprintf("rm -r %s && cp %s %s", in_the_way, new_key, p->cfg.master_key_file);
	assert_int_equal(system(put), 0); /* NOLINT(cert-env33-c): a test's own command */
	rotate(p, new_key);               /* removes what is not needed any more */
	auto_free char *next = xasprintf("%s/" RS_KEYRING_NEXT, p->cfg.data_dir);
	assert_int_equal(access(next, F_OK), -1);
	run_sees(p, source, "x y z");
}

static int
setup(void **state)
{
	int rc = rs_peer_setup(state);
	struct rs_peer *p = *state;
	if (rc != 0)
		return rc;
	p->trust = MILLRACE__TRUST__TRUST_BRANCH;
	p->cfg.offer_timeout_ms = 60000; /* tasks wait while the key changes */
	return 0;
}

int
main(void)
{
#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, setup, rs_peer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(secrets_are_managed),
		TEST(variables_are_listed_with_their_secrets),
		TEST(a_scope_goes_whole),
		TEST(writing_twice_is_writing_once),
		TEST(nonsense_is_refused),
		TEST(a_scope_is_bounded),
		TEST(a_source_is_checked),
		TEST(runs_get_what_their_scopes_define),
		TEST(runs_keep_their_versions),
		TEST(values_are_nowhere_in_the_database),
		TEST(keys_change_under_running_tasks),
		TEST(what_is_sealed_meanwhile_is_not_lost),
		TEST(a_broken_off_rotation_goes_on),
		TEST(a_wrong_key_is_refused_at_the_start),
		TEST(a_key_file_that_cannot_be_replaced),
	};
	return cmocka_run_group_tests_name("runservice_secrets", tests, NULL, NULL);
}
