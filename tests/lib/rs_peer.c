#include "tests/lib/rs_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/db.h"
#include "common/mem.h"
#include "runservice/runservice.h"

#include <stdio.h>
#include <string.h>

#define KEY_GATEWAY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_MASTER "a00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_EX1 "b00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_EX2 "c00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define CALL_MS 20000
#define RS_PEER_OBJECTS "http://objects"

/* --- life --- */

static const char *
env(const char *name)
{
	const char *s = getenv(name); /* NOLINT(concurrency-mt-unsafe): no other thread sets it */
	if (!s)
		fail_msg("%s is not set; use tests/lib/pg.sh run", name);
	return s;
}

static void
write_key(const char *dir, const char *name, const char *hex)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fprintf(f, "%s\n", hex) > 0);
	assert_int_equal(fclose(f), 0);
}

static void
shell(const char *cmd)
{
	assert_int_equal(system(cmd), 0); /* NOLINT(cert-env33-c): a test's own command */
}

void
rs_peer_turn(struct rs_peer *p, int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;
	do {
		loop_run_once(p->loop, 5);
	} while (clock_mono_ms() < end);
}

void
rs_peer_until(struct rs_peer *p, const bool *flag, const char *what)
{
	int64_t end = clock_mono_ms() + RS_PEER_WAIT_MS;
	while (!*flag) {
		if (clock_mono_ms() > end)
			fail_msg("waited too long for %s", what);
		loop_run_once(p->loop, 20);
	}
}

char *
rs_peer_sql(const struct rs_peer *p, const char *sql)
{
	const struct db_options opt = { .conninfo = p->cfg.database, .schema = "runservice" };
	struct db *db = db_new(&opt);
	auto_result *r = NULL;
	auto_err err = NULL;
	auto_free char *as_text = xasprintf("select (%s)::text as v", sql);
	if (db_exec_sql(&r, db, as_text, &err) != 0)
		fail_msg("%s", err_msg(err));
	const char *v = db_text(r, 0, "v");
	char *out = xstrdup(v ? v : "");
	db_free(db);
	return out;
}

void
rs_peer_exec(const struct rs_peer *p, const char *sql)
{
	const struct db_options opt = { .conninfo = p->cfg.database, .schema = "runservice" };
	struct db *db = db_new(&opt);
	auto_err err = NULL;
	if (db_exec_sql(NULL, db, sql, &err) != 0)
		fail_msg("%s", err_msg(err));
	db_free(db);
}

void
rs_peer_restart_pg(void)
{
	shell(env("MILLRACE_TEST_PG"));
}

void
rs_peer_start(struct rs_peer *p)
{
	auto_err err = NULL;
	if (rs_start(&p->rs, p->loop, &p->cfg, &err) != 0)
		fail_msg("%s", err_msg(err));
	rs_peer_until(p, &((struct rs *)p->rs)->serving, "the runservice to serve");
}

void
rs_peer_stop(struct rs_peer *p)
{
	rs_stop(p->rs);
	p->rs = NULL;
}

struct rpc_client *
rs_peer_client(struct rs_peer *p, const char *name, const char *hex_key)
{
	struct rpc_client *c = NULL;
	uint8_t key[CRYPTO_KEY_LEN];
	auto_err err = NULL;
	const struct rpc_client_options opt = {
		.url = p->cfg.rpc_listen, .peer = name, .key = key
	};
	assert_int_equal(crypto_unhex(key, sizeof(key), hex_key, &err), 0);
	if (rpc_client_new(&c, p->loop, &opt, &err) != 0)
		fail_msg("%s", err_msg(err));
	return c;
}

static void
new_executor(struct rs_peer *p, size_t i, const char *name, const char *key)
{
	struct id session = id_new();
	p->ex[i].peer = p;
	snprintf(p->ex[i].name, sizeof(p->ex[i].name), "%s", name);
	memcpy(p->ex[i].session, session.s, sizeof(p->ex[i].session));
	p->ex[i].client = rs_peer_client(p, name, key);
}

static void
write_keys(struct rs_peer *p)
{
	auto_free char *keys = xasprintf("%s/keys", p->dir);
	auto_free char *cmd = xasprintf("mkdir %s", keys);
	shell(cmd);
	write_key(p->dir, "master", KEY_MASTER);
	write_key(p->dir, "gateway", KEY_GATEWAY);
	write_key(keys, "ex1.key", KEY_EX1);
	write_key(keys, "ex2.key", KEY_EX2);
}

bool
rs_peer_s3(const struct rs_peer *p)
{
	return p->cfg.object_store != NULL;
}

static void
use_s3(struct rs_config *cfg)
{
	if (!getenv("MILLRACE_TEST_S3")) /* NOLINT(concurrency-mt-unsafe): as above */
		return;
	cfg->object_store = xstrdup("s3");
	cfg->s3_endpoint = xstrdup(env("MILLRACE_TEST_S3"));
	cfg->s3_bucket = xstrdup(env("MILLRACE_TEST_S3_BUCKET"));
	cfg->s3_region = xstrdup(env("MILLRACE_TEST_S3_REGION"));
	cfg->s3_access_key = xstrdup(env("MILLRACE_TEST_S3_ACCESS_KEY"));
	cfg->s3_secret_key = xstrdup(env("MILLRACE_TEST_S3_SECRET_KEY"));
}

/* "host=DIR user=...", as tests/lib/pg.sh makes it. */
static char *
socket_dir(void)
{
	const char *s = env("MILLRACE_TEST_DB");
	assert_int_equal(strncmp(s, "host=/", 6), 0);
	return xstrndup(s + 5, strcspn(s + 5, " "));
}

static int
set_up(void **state, bool proxy)
{
	struct rs_peer *p = xcalloc(1, sizeof(*p));
	struct db *raw = db_new(&(struct db_options){ .conninfo = env("MILLRACE_TEST_DB") });
	auto_err err = NULL;
	crypto_init();
	if (db_exec_sql(NULL, raw, "drop schema if exists runservice cascade", &err) != 0)
		fail_msg("%s", err_msg(err));
	db_free(raw);
	strcpy(p->dir, "/tmp/millrace-test.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->socket, sizeof(p->socket), "%s/http", p->dir);
	write_keys(p);
	p->cfg = (struct rs_config){ .rpc_listen = xasprintf("ipc://%s/rpc", p->dir),
		.http_listen = xasprintf("unix:%s", p->socket),
		.object_url = xstrdup(RS_PEER_OBJECTS),
		.database = xstrdup(env("MILLRACE_TEST_DB")),
		.data_dir = xasprintf("%s/data", p->dir),
		.master_key_file = xasprintf("%s/master", p->dir),
		.gateway_key_file = xasprintf("%s/gateway", p->dir),
		.executor_keys_dir = xasprintf("%s/keys", p->dir),
		.lease_ms = RS_PEER_LEASE_MS,
		.offer_timeout_ms = RS_PEER_OFFER_MS,
		.sweep_ms = 1000,
		.db_threads = 4 };
	use_s3(&p->cfg);
	if (proxy) {
		auto_free char *server = socket_dir();
		pg_proxy_start(&p->proxy, server);
		free(p->cfg.database);
		p->cfg.database = xasprintf("host=%s user=postgres dbname=postgres", p->proxy.dir);
	}
	p->loop = loop_new();
	p->http = httpc_new(p->loop);
	rs_peer_start(p);
	p->gateway = rs_peer_client(p, "gateway", KEY_GATEWAY);
	new_executor(p, 0, "ex1", KEY_EX1);
	new_executor(p, 1, "ex2", KEY_EX2);
	*state = p;
	return 0;
}

int
rs_peer_setup(void **state)
{
	return set_up(state, false);
}

int
rs_peer_setup_proxy(void **state)
{
	return set_up(state, true);
}

int
rs_peer_teardown(void **state)
{
	struct rs_peer *p = *state;
	auto_free char *cmd = xasprintf("rm -rf %s", p->dir);
	for (size_t i = 0; i < ARRAY_LEN(p->ex); i++) {
		rs_call_clear(&p->ex[i].poll);
		rs_call_clear(&p->ex[i].control);
		rpc_client_free(p->ex[i].client);
	}
	rpc_client_free(p->gateway);
	httpc_free(p->http);
	if (p->rs)
		rs_peer_stop(p);
	loop_free(p->loop);
	pg_proxy_stop(&p->proxy);
	free(p->cfg.rpc_listen);
	free(p->cfg.http_listen);
	free(p->cfg.object_url);
	free(p->cfg.database);
	free(p->cfg.data_dir);
	free(p->cfg.master_key_file);
	free(p->cfg.gateway_key_file);
	free(p->cfg.executor_keys_dir);
	free(p->cfg.object_store);
	free(p->cfg.s3_endpoint);
	free(p->cfg.s3_bucket);
	free(p->cfg.s3_region);
	free(p->cfg.s3_access_key);
	free(p->cfg.s3_secret_key);
	shell(cmd);
	free(p);
	return 0;
}

/* --- calls --- */

static void
on_answer(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	struct rs_call *c = arg;
	c->id = 0;
	c->done = true;
	if (*err) {
		c->code = (*err)->code;
		c->message = xstrdup((*err)->msg);
		return;
	}
	c->body = xmemdup(len ? body : (const uint8_t *)"", len ? len : 1);
	c->len = len;
}

void
rs_call_clear(struct rs_call *c)
{
	if (c->id)
		rpc_cancel(c->client, c->id);
	free(c->message);
	free(c->body);
	memset(c, 0, sizeof(*c));
}

void
rs_call_raw(struct rs_call *c, struct rs_peer *p, struct rpc_client *client, const char *method,
    const void *body, size_t len)
{
	rs_call_clear(c);
	c->peer = p;
	c->client = client;
	c->id = rpc_send(client, method, body, len, CALL_MS, on_answer, c);
}

void
rs_call_start(struct rs_call *c, struct rs_peer *p, struct rpc_client *client, const char *method,
    const void *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	auto_free uint8_t *bytes = xmalloc(len + 1);
	protobuf_c_message_pack(msg, bytes);
	rs_call_raw(c, p, client, method, bytes, len);
}

int
rs_call_wait(struct rs_call *c)
{
	rs_peer_until(c->peer, &c->done, "an answer");
	return c->code;
}

int
rs_call(struct rs_peer *p, struct rpc_client *client, const char *method, const void *msg,
    const ProtobufCMessageDescriptor *type, void *reply)
{
	struct rs_call c = { 0 };
	rs_call_start(&c, p, client, method, msg);
	int code = rs_call_wait(&c);
	if (code == 0 && reply) {
		ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, c.len, c.body);
		assert_non_null(m);
		memcpy(reply, &m, sizeof(m));
	}
	if (code != 0)
		assert_true(strlen(c.message) > 5);
	rs_call_clear(&c);
	return code;
}

int
rs_call_again(struct rs_peer *p, struct rpc_client *client, const char *method, const void *msg,
    const ProtobufCMessageDescriptor *type, void *reply)
{
	int64_t end = clock_mono_ms() + RS_PEER_WAIT_MS;
	int code;
	while ((code = rs_call(p, client, method, msg, type, reply)) == ERR_UNAVAILABLE) {
		if (clock_mono_ms() > end)
			fail_msg("%s stays unavailable", method);
		rs_peer_turn(p, 20);
	}
	return code;
}

/* --- the gateway's side --- */

static void *
unconst(const void *s)
{
	return (void *)(uintptr_t)s;
}

struct made_task {
	Millrace__TaskSpec spec;
	Millrace__Container container, *containers[1];
	Millrace__Step step[8], *steps[8];
	Millrace__Depend depend, *depends[1];
	Millrace__EnvVar env, *envs[1];
	Millrace__Value value;
	char *conditions[1];
	struct id id;
	Millrace__Pair label, *labels[1];
};

static void
make_steps(struct made_task *m, const struct rs_peer_task *t)
{
	assert_true(t->nsteps <= ARRAY_LEN(m->step));
	for (unsigned i = 0; i < t->nsteps; i++) {
		millrace__step__init(&m->step[i]);
		m->step[i].type = t->save && i + 1 == t->nsteps
		                      ? MILLRACE__STEP_TYPE__STEP_SAVE_TO_WORKSPACE
		                      : MILLRACE__STEP_TYPE__STEP_RUN;
		if (t->caches && i < 2)
			m->step[i].type = i == 0 ? MILLRACE__STEP_TYPE__STEP_SAVE_CACHE
			                         : MILLRACE__STEP_TYPE__STEP_RESTORE_CACHE;
		m->step[i].name = unconst("step");
		m->step[i].command = unconst("true");
		m->steps[i] = &m->step[i];
	}
	m->spec.steps = m->steps;
	m->spec.n_steps = t->nsteps;
}

static Millrace__Pair **
one_label(Millrace__Pair *pair, Millrace__Pair **list, const char *name)
{
	millrace__pair__init(pair);
	pair->name = unconst(name);
	pair->value = unconst("yes");
	*list = pair;
	return list;
}

static void
make_task(struct made_task *list, size_t i, const struct rs_peer_task *t)
{
	struct made_task *m = &list[i];
	millrace__task_spec__init(&m->spec);
	m->id = id_new();
	m->spec.id = m->id.s;
	m->spec.name = unconst(t->name);
	m->spec.working_dir = m->spec.shell = unconst("/bin/sh");
	m->spec.ignore_failure = m->spec.has_ignore_failure = t->ignore_failure;
	m->spec.needs_approval = m->spec.has_needs_approval = t->needs_approval;
	m->spec.skip = m->spec.has_skip = t->skip;
	millrace__container__init(&m->container);
	m->container.image = unconst("busybox");
	m->containers[0] = &m->container;
	m->spec.containers = m->containers;
	m->spec.n_containers = 1;
	make_steps(m, t);
	if (t->label)
		m->spec.labels = one_label(&m->label, m->labels, t->label);
	m->spec.n_labels = t->label != NULL;
	m->spec.has_retries = t->retries > 0;
	m->spec.retries = t->retries;
	for (size_t j = 0; t->after && j < i; j++) {
		if (strcmp(list[j].spec.name, t->after) != 0)
			continue;
		millrace__depend__init(&m->depend);
		m->depend.task_id = list[j].id.s;
		m->conditions[0] = unconst(t->when);
		m->depend.conditions = m->conditions;
		m->depend.n_conditions = t->when != NULL;
		m->depends[0] = &m->depend;
		m->spec.depends = m->depends;
		m->spec.n_depends = 1;
	}
	if (t->variable) {
		millrace__value__init(&m->value);
		millrace__env_var__init(&m->env);
		m->value.variable = unconst(t->variable);
		m->env.name = unconst("FROM_VARIABLE");
		m->env.value = &m->value;
		m->envs[0] = &m->env;
		m->spec.environment = m->envs;
		m->spec.n_environment = 1;
	}
}

const struct rs_peer_task rs_peer_one_task[1] = { { .name = "task", .nsteps = 1 } };

uint64_t
rs_peer_run(struct rs_peer *p, const char *branch, const struct rs_peer_task *tasks, size_t n,
    const char *request_id)
{
	auto_free struct made_task *made = xcalloc(n + 1, sizeof(*made));
	auto_free Millrace__TaskSpec **specs = xcalloc(n + 1, sizeof(*specs));
	auto_free char *group =
	    xasprintf("%s/branch/%s", p->owner ? p->owner : RS_PEER_OWNER, branch);
	struct id request = id_new();
	Millrace__RunSpec run = MILLRACE__RUN_SPEC__INIT, *runs[] = { &run };
	Millrace__Pair secret = MILLRACE__PAIR__INIT, *variables[] = { &secret };
	Millrace__RunCreateRequest req = MILLRACE__RUN_CREATE_REQUEST__INIT;
	Millrace__RunCreateReply *reply = NULL;
	for (size_t i = 0; i < n; i++) {
		make_task(made, i, &tasks[i]);
		specs[i] = &made[i].spec;
	}
	run.name = unconst(p->run_name ? p->run_name : "a run");
	run.has_cancel_previous = run.cancel_previous = p->cancel_previous;
	run.group = group;
	run.tasks = specs;
	run.n_tasks = n;
	run.cache_group = unconst(p->cache_group);
	run.has_trust = p->trust != 0;
	run.trust = (Millrace__Trust)p->trust;
	secret.name = unconst("password");
	secret.value = unconst("correct horse");
	req.request_id = request_id ? unconst(request_id) : request.s;
	req.runs = runs;
	req.n_runs = 1;
	req.source = p->source;
	req.variables = variables;
	req.n_variables = p->source ? 0 : 1;
	assert_int_equal(rs_call_again(p, p->gateway, "run.create", &req,
	                     &millrace__run_create_reply__descriptor, &reply),
	    0);
	assert_int_equal(reply->n_numbers, 1);
	uint64_t number = reply->numbers[0];
	millrace__run_create_reply__free_unpacked(reply, NULL);
	return number;
}

Millrace__RunState *
rs_peer_get(struct rs_peer *p, uint64_t number)
{
	return rs_peer_get_task(p, number, NULL);
}

Millrace__RunState *
rs_peer_get_task(struct rs_peer *p, uint64_t number, const char *task_id)
{
	Millrace__RunGetRequest req = MILLRACE__RUN_GET_REQUEST__INIT;
	Millrace__RunState *run = NULL;
	req.owner = unconst(RS_PEER_OWNER);
	req.number = number;
	req.task_id = unconst(task_id);
	assert_int_equal(
	    rs_call_again(p, p->gateway, "run.get", &req, &millrace__run_state__descriptor, &run),
	    0);
	return run;
}

Millrace__RunListReply *
rs_peer_list(struct rs_peer *p, uint32_t limit)
{
	Millrace__RunListRequest req = MILLRACE__RUN_LIST_REQUEST__INIT;
	Millrace__RunListReply *list = NULL;
	req.group = unconst(RS_PEER_OWNER);
	req.limit = limit;
	assert_int_equal(rs_call_again(p, p->gateway, "run.list", &req,
	                     &millrace__run_list_reply__descriptor, &list),
	    0);
	return list;
}

const char *
rs_peer_state(struct rs_peer *p, uint64_t number)
{
	static char text[64];
	Millrace__RunState *run = rs_peer_get(p, number);
	snprintf(text, sizeof(text), "%s %s", run->phase, run->result);
	millrace__run_state__free_unpacked(run, NULL);
	return text;
}

const Millrace__TaskState *
rs_peer_task(const Millrace__RunState *run, const char *name)
{
	for (size_t i = 0; i < run->n_tasks; i++) {
		if (strcmp(run->tasks[i]->name, name) == 0)
			return run->tasks[i];
	}
	fail_msg("no task %s", name);
	return NULL;
}

int
rs_peer_action(struct rs_peer *p, uint64_t number, const char *action, const char *request_id)
{
	Millrace__RunActionRequest req = MILLRACE__RUN_ACTION_REQUEST__INIT;
	Millrace__RunState *run = NULL;
	struct id request = id_new();
	req.owner = unconst(RS_PEER_OWNER);
	req.number = number;
	req.action = unconst(action);
	req.request_id = request_id ? unconst(request_id) : request.s;
	int code = rs_call_again(
	    p, p->gateway, "run.action", &req, &millrace__run_state__descriptor, &run);
	if (code != 0)
		return code;
	code = (int)run->number;
	millrace__run_state__free_unpacked(run, NULL);
	return code;
}

int
rs_peer_approve(struct rs_peer *p, uint64_t number, const char *task, const char *user)
{
	Millrace__RunState *run = rs_peer_get(p, number);
	Millrace__TaskApproveRequest req = MILLRACE__TASK_APPROVE_REQUEST__INIT;
	req.owner = unconst(RS_PEER_OWNER);
	req.number = number;
	req.task_id = rs_peer_task(run, task)->id;
	req.user_id = unconst(user);
	int code = rs_call(p, p->gateway, "task.approve", &req, NULL, NULL);
	millrace__run_state__free_unpacked(run, NULL);
	return code;
}

char *
rs_peer_log(struct rs_peer *p, uint64_t number, const char *task_id, int step, int *code)
{
	return rs_peer_log_of(p, number, task_id, step, 0, code);
}

char *
rs_peer_log_of(
    struct rs_peer *p, uint64_t number, const char *task_id, int step, unsigned attempt, int *code)
{
	Millrace__LogReadRequest req = MILLRACE__LOG_READ_REQUEST__INIT;
	auto_buf all = BUF_INIT;
	req.owner = unconst(RS_PEER_OWNER);
	req.number = number;
	req.task_id = unconst(task_id);
	req.step = step;
	req.has_attempt = attempt > 0;
	req.attempt = attempt;
	for (;;) {
		Millrace__LogReadReply *reply = NULL;
		req.offset = all.len;
		*code = rs_call_again(
		    p, p->gateway, "log.read", &req, &millrace__log_read_reply__descriptor, &reply);
		if (*code != 0)
			return NULL;
		bool over = reply->end || reply->data.len == 0;
		buf_append(&all, reply->data.data, reply->data.len);
		millrace__log_read_reply__free_unpacked(reply, NULL);
		if (over)
			return xstrdup(buf_str(&all));
	}
}

/* --- the executor's side --- */

static void
fill(Millrace__Attempt *a, const struct rs_offer *o)
{
	millrace__attempt__init(a);
	a->task_id = unconst(o->task_id);
	a->fence = o->fence;
}

static Millrace__Attempt **
fill_list(Millrace__Attempt *items, const struct rs_offer *o, size_t n)
{
	Millrace__Attempt **list = xcalloc(n + 1, sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		fill(&items[i], &o[i]);
		list[i] = &items[i];
	}
	return list;
}

int
rs_ex_register(struct rs_executor *ex, const struct rs_offer *named, size_t n)
{
	Millrace__RegisterRequest req = MILLRACE__REGISTER_REQUEST__INIT;
	Millrace__RegisterReply *reply = NULL;
	auto_free Millrace__Attempt *items = xcalloc(n + 1, sizeof(*items));
	auto_free Millrace__Attempt **list = fill_list(items, named, n);
	Millrace__Pair label, *labels[1];
	req.version = unconst("test");
	req.session = ex->session;
	req.arch = unconst("amd64");
	req.slots = 4;
	if (ex->label)
		req.labels = one_label(&label, labels, ex->label);
	req.n_labels = ex->label != NULL;
	req.attempts = list;
	req.n_attempts = n;
	int code = rs_call_again(ex->peer, ex->client, "executor.register", &req,
	    &millrace__register_reply__descriptor, &reply);
	if (code != 0)
		return code;
	assert_int_equal(reply->lease_ms, ex->peer->cfg.lease_ms);
	code = (int)reply->n_drop;
	millrace__register_reply__free_unpacked(reply, NULL);
	return code;
}

void
rs_ex_poll(struct rs_executor *ex, unsigned slots)
{
	Millrace__PollRequest req = MILLRACE__POLL_REQUEST__INIT;
	req.session = ex->session;
	req.free_slots = slots;
	rs_call_start(&ex->poll, ex->peer, ex->client, "executor.poll", &req);
}

size_t
rs_ex_polled(struct rs_executor *ex, struct rs_offer *offers, size_t max)
{
	assert_int_equal(rs_call_wait(&ex->poll), 0);
	Millrace__PollReply *m = millrace__poll_reply__unpack(NULL, ex->poll.len, ex->poll.body);
	assert_non_null(m);
	size_t n = m->n_offers;
	assert_true(n <= max);
	for (size_t i = 0; i < n; i++) {
		snprintf(offers[i].task_id, sizeof(offers[i].task_id), "%s",
		    m->offers[i]->attempt->task_id);
		snprintf(offers[i].run_id, sizeof(offers[i].run_id), "%s", m->offers[i]->run_id);
		offers[i].fence = m->offers[i]->attempt->fence;
	}
	millrace__poll_reply__free_unpacked(m, NULL);
	return n;
}

struct rs_offer
rs_ex_offer(struct rs_executor *ex)
{
	struct rs_offer o = { .fence = 0 };
	int64_t end = clock_mono_ms() + RS_PEER_WAIT_MS;
	while (clock_mono_ms() < end) {
		if (ex->poll.id == 0 && !ex->poll.done)
			rs_ex_poll(ex, 1);
		int code = rs_call_wait(&ex->poll);
		if (code == 0 && rs_ex_polled(ex, &o, 1) == 1) {
			rs_call_clear(&ex->poll);
			return o;
		}
		rs_call_clear(&ex->poll);
		if (code == ERR_NOTFOUND)
			assert_true(rs_ex_register(ex, NULL, 0) >= 0);
		else if (code != 0)
			assert_int_equal(code, ERR_UNAVAILABLE);
		if (code != 0)
			rs_peer_turn(ex->peer, 20);
	}
	fail_msg("no offer came");
	return o;
}

int
rs_ex_accept(struct rs_executor *ex, const struct rs_offer *o, Millrace__AcceptReply **reply)
{
	Millrace__AcceptRequest req = MILLRACE__ACCEPT_REQUEST__INIT;
	Millrace__Attempt a;
	fill(&a, o);
	req.attempt = &a;
	req.session = ex->session;
	return rs_call(
	    ex->peer, ex->client, "task.accept", &req, &millrace__accept_reply__descriptor, reply);
}

struct rs_offer
rs_ex_take_one(struct rs_peer *p, uint64_t *number)
{
	struct rs_executor *ex = &p->ex[0];

	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	*number = rs_peer_run(p, "main", rs_peer_one_task, 1, NULL);
	struct rs_offer o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	return o;
}

int
rs_ex_begin(struct rs_executor *ex, const struct rs_offer *o)
{
	Millrace__BeginRequest req = MILLRACE__BEGIN_REQUEST__INIT;
	Millrace__Attempt a;
	fill(&a, o);
	req.attempt = &a;
	return rs_call(ex->peer, ex->client, "task.begin", &req, NULL, NULL);
}

static const char *
phase_word(char c)
{
	switch (c) {
	case 'n':
		return "notstarted";
	case 'r':
		return "running";
	case 's':
		return "success";
	case 'f':
		return "failed";
	default:
		return "stopped";
	}
}

int
rs_ex_report(struct rs_executor *ex, const struct rs_offer *o, uint64_t revision,
    const char *status, const char *phases)
{
	Millrace__ReportRequest req = MILLRACE__REPORT_REQUEST__INIT;
	Millrace__StepState states[10], *list[10];
	Millrace__Attempt a;
	size_t n = strlen(phases);
	assert_true(n <= ARRAY_LEN(states));
	for (size_t i = 0; i < n; i++) {
		millrace__step_state__init(&states[i]);
		states[i].phase = unconst(phase_word(phases[i]));
		list[i] = &states[i];
	}
	fill(&a, o);
	req.attempt = &a;
	req.revision = revision;
	req.status = unconst(status);
	req.setup = n > 0 ? &states[0] : NULL;
	req.steps = n > 0 ? list + 1 : NULL;
	req.n_steps = n > 0 ? n - 1 : 0;
	return rs_call(ex->peer, ex->client, "task.report", &req, NULL, NULL);
}

int
rs_ex_log(struct rs_executor *ex, const struct rs_offer *o, int step, uint64_t offset,
    const void *data, size_t len, bool flush, uint64_t *received, uint64_t *stored)
{
	Millrace__LogAppendRequest req = MILLRACE__LOG_APPEND_REQUEST__INIT;
	Millrace__LogAppendReply *reply = NULL;
	Millrace__Attempt a;
	fill(&a, o);
	req.attempt = &a;
	req.step = step;
	req.offset = offset;
	req.data = (ProtobufCBinaryData){ .len = len, .data = unconst(data) };
	req.has_flush = req.flush = flush;
	int code = rs_call(ex->peer, ex->client, "log.append", &req,
	    &millrace__log_append_reply__descriptor, &reply);
	if (code != 0)
		return code;
	if (received)
		*received = reply->received;
	if (stored)
		*stored = reply->stored;
	millrace__log_append_reply__free_unpacked(reply, NULL);
	return 0;
}

int
rs_ex_renew(struct rs_executor *ex, const struct rs_offer *o, size_t n)
{
	Millrace__RenewRequest req = MILLRACE__RENEW_REQUEST__INIT;
	Millrace__RenewReply *reply = NULL;
	auto_free Millrace__Attempt *items = xcalloc(n + 1, sizeof(*items));
	auto_free Millrace__Attempt **list = fill_list(items, o, n);
	req.session = ex->session;
	req.attempts = list;
	req.n_attempts = n;
	int code = rs_call(ex->peer, ex->client, "executor.renew", &req,
	    &millrace__renew_reply__descriptor, &reply);
	if (code != 0)
		return code;
	code = (int)reply->n_lost;
	millrace__renew_reply__free_unpacked(reply, NULL);
	return code;
}

void
rs_ex_do(struct rs_executor *ex, const struct rs_offer *o, unsigned nsteps)
{
	char phases[12] = "";
	assert_true(nsteps + 1 < sizeof(phases));
	memset(phases, 's', nsteps + 1);
	assert_int_equal(rs_ex_accept(ex, o, NULL), 0);
	assert_int_equal(rs_ex_begin(ex, o), 0);
	assert_int_equal(rs_ex_report(ex, o, 1, "success", phases), 0);
}

/* --- HTTP --- */

struct fetched {
	bool done;
	long status;
	struct buf *answer;
};

static void
on_http(struct httpc_response *resp, struct err **err, void *arg)
{
	struct fetched *f = arg;
	f->done = true;
	f->status = *err ? (*err)->code : resp->status;
	if (f->answer)
		buf_append(f->answer, resp->body.data, resp->body.len);
}

long
rs_peer_http(struct rs_peer *p, const char *method, const char *url, const void *body, size_t len,
    struct buf *answer)
{
	struct fetched f = { .answer = answer };
	const struct httpc_options opt = { .method = method,
		.url = url,
		.unix_socket =
		    strncmp(url, RS_PEER_OBJECTS, strlen(RS_PEER_OBJECTS)) == 0 ? p->socket : NULL,
		.body = body,
		.body_len = len,
		.max_body = 16u << 20,
		.timeout_ms = CALL_MS,
		.done = on_http,
		.arg = &f };
	httpc_start(p->http, &opt);
	rs_peer_until(p, &f.done, "an object");
	return f.status;
}
