#include "tests/lib/gw_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/db.h"
#include "common/http_server.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/rpc.h"
#include "gateway.pb-c.h"
#include "gateway/gateway.h"
#include "gateway/store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* --- the fake runservice --- */

static struct gwp_fake *
fake_of(void *arg)
{
	return arg;
}

/* True when the test wants an error. */
static bool
refuses(struct gwp_fake *f, struct rpc_call *call, const char *method)
{
	struct err *err = NULL;

	f->calls++;
	snprintf(f->method, sizeof(f->method), "%s", method);
	if (!f->code)
		return false;
	if (f->slug)
		err_set_slug(&err, f->code, f->slug, "as the test wants");
	else
		err_set(&err, f->code, "as the test wants");
	rpc_fail(call, &err);
	return true;
}

static void
reply_with(struct rpc_call *call, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	auto_free uint8_t *bytes = xmalloc(n + 1);

	protobuf_c_message_pack(m, bytes);
	rpc_reply(call, bytes, n);
}

static void
on_create(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct gwp_fake *f = fake_of(arg);
	Millrace__RunCreateReply r = MILLRACE__RUN_CREATE_REPLY__INIT;
	uint64_t numbers[10];
	char *ids[10], id[] = "x";

	if (f->create)
		millrace__run_create_request__free_unpacked(f->create, NULL);
	f->create = millrace__run_create_request__unpack(NULL, len, body);
	assert_non_null(f->create);
	if (refuses(f, call, "run.create"))
		return;
	r.n_numbers = r.n_ids = f->create->n_runs;
	for (size_t i = 0; i < f->create->n_runs; i++) {
		numbers[i] = ++f->nruns;
		ids[i] = id;
	}
	r.numbers = numbers;
	r.ids = ids;
	reply_with(call, &r.base);
}

static void
fill_run(const struct gwp_fake *f, Millrace__RunState *run, uint64_t number)
{
	static char name[] = "one", group[] = "/g", phase[] = "running", result[] = "unknown";

	*run = (Millrace__RunState)MILLRACE__RUN_STATE__INIT;
	run->id = name;
	run->number = number;
	run->name = name;
	run->group = group;
	run->phase = f->phase ? (char *)(uintptr_t)f->phase : phase;
	run->result = f->result ? (char *)(uintptr_t)f->result : result;
}

static void
on_list(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct gwp_fake *f = fake_of(arg);
	Millrace__RunListReply r = MILLRACE__RUN_LIST_REPLY__INIT;
	Millrace__RunState runs[200], *list[200];
	uint64_t next;

	if (f->list)
		millrace__run_list_request__free_unpacked(f->list, NULL);
	f->list = millrace__run_list_request__unpack(NULL, len, body);
	assert_non_null(f->list);
	if (refuses(f, call, "run.list"))
		return;
	assert_in_range(f->list->limit, 1, 200);
	next = f->list->start ? f->list->start : f->list->ascending ? 0 : f->nruns + 1;
	while (r.n_runs < f->list->limit) {
		next = f->list->ascending ? next + 1 : next - 1;
		if (next < 1 || next > f->nruns)
			break;
		fill_run(f, &runs[r.n_runs], next);
		list[r.n_runs] = &runs[r.n_runs];
		r.n_runs++;
	}
	r.runs = list;
	r.more = f->list->ascending ? next < f->nruns : next > 1;
	reply_with(call, &r.base);
}

/* Run with one task of one step. */
static void
reply_run(const struct gwp_fake *f, struct rpc_call *call, uint64_t number)
{
	static char id[] = GWP_TASK, name[] = "build", status[] = "success", shell[] = "/bin/sh",
	            command[] = "make";
	Millrace__RunState run;
	Millrace__TaskState task = MILLRACE__TASK_STATE__INIT, *tasks[] = { &task };
	Millrace__StepState step = MILLRACE__STEP_STATE__INIT, *steps[] = { &step };
	Millrace__StepState setup = MILLRACE__STEP_STATE__INIT;
	Millrace__Step spec = MILLRACE__STEP__INIT, *specs[] = { &spec };

	fill_run(f, &run, number);
	setup.phase = status;
	task.setup = f->setup_text ? &setup : NULL;
	step.phase = status;
	step.has_exit_status = true;
	spec.type = MILLRACE__STEP_TYPE__STEP_RUN;
	spec.name = name;
	spec.command = command;
	task.id = id;
	task.name = name;
	task.status = status;
	task.shell = shell;
	task.n_steps = task.n_step_specs = 1;
	task.steps = steps;
	task.step_specs = specs;
	Millrace__AttemptState past[10], *pasts[10];
	task.has_attempt = task.has_attempts_max = f->attempts > 0;
	task.attempt = task.attempts_max = f->attempts;
	for (unsigned i = 1; i < f->attempts; i++) {
		past[i] = (Millrace__AttemptState)MILLRACE__ATTEMPT_STATE__INIT;
		past[i].attempt = i;
		past[i].executor = name;
		past[i].setup = &step;
		past[i].n_steps = 1;
		past[i].steps = steps;
		past[i].has_end_ms = true;
		past[i].end_ms = i * INT64_C(1000);
		pasts[task.n_attempts++] = &past[i];
	}
	task.attempts = pasts;
	run.n_tasks = 1;
	run.tasks = tasks;
	reply_with(call, &run.base);
}

static void
keep_owner(struct gwp_fake *f, const char *owner)
{
	snprintf(f->owner, sizeof(f->owner), "%s", owner);
}

static void
on_get(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	Millrace__RunGetRequest *q = millrace__run_get_request__unpack(NULL, len, body);

	assert_non_null(q);
	keep_owner(arg, q->owner);
	if (!refuses(fake_of(arg), call, "run.get"))
		reply_run(arg, call, q->number);
	millrace__run_get_request__free_unpacked(q, NULL);
}

/* As long as an executor's name can be. */
#define EXECUTOR "0123456789012345678901234567890123456789012345678901234567890123"

static void
on_explain(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	static char id[] = GWP_TASK, name[] = "build", deploy[] = "deploy",
	            reason[] = "no executor is connected", held[] = "waits for run 3",
	            executor[] = EXECUTOR, refused[] = "has no free slot (of 2)";
	Millrace__RunExplainRequest *q = millrace__run_explain_request__unpack(NULL, len, body);
	Millrace__ExecutorExplain x = MILLRACE__EXECUTOR_EXPLAIN__INIT, *executors[] = { &x };
	Millrace__TaskExplain one = MILLRACE__TASK_EXPLAIN__INIT, two = one,
	                      *tasks[] = { &one, &two };
	Millrace__RunExplainReply r = MILLRACE__RUN_EXPLAIN_REPLY__INIT;

	assert_non_null(q);
	keep_owner(arg, q->owner);
	x.executor = executor;
	x.reason = refused;
	one.task_id = two.task_id = id;
	one.name = name;
	one.reason = reason;
	one.executors = executors;
	one.n_executors = 1;
	two.name = deploy;
	two.reason = held;
	two.has_holder = true;
	two.holder = 3;
	r.tasks = tasks;
	r.n_tasks = q->number == 1 ? 2 : 0;
	millrace__run_explain_request__free_unpacked(q, NULL);
	if (!refuses(arg, call, "run.explain"))
		reply_with(call, &r.base);
}

static void
on_action(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct gwp_fake *f = fake_of(arg);
	Millrace__RunActionRequest *q = millrace__run_action_request__unpack(NULL, len, body);

	assert_non_null(q);
	keep_owner(f, q->owner);
	free(f->action);
	f->action = xstrdup(q->action);
	if (!refuses(f, call, "run.action"))
		reply_run(arg, call, q->number);
	millrace__run_action_request__free_unpacked(q, NULL);
}

static void
on_approve(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct gwp_fake *f = fake_of(arg);
	Millrace__TaskApproveRequest *q = millrace__task_approve_request__unpack(NULL, len, body);

	assert_non_null(q);
	keep_owner(f, q->owner);
	free(f->user);
	f->user = xstrdup(q->user_id);
	if (!refuses(f, call, "task.approve"))
		rpc_reply(call, NULL, 0);
	millrace__task_approve_request__free_unpacked(q, NULL);
}

/* Answers a log read from log_text as far as it is there; holds it otherwise. */
void
gwp_answer_log(struct gwp_fake *f, struct rpc_call *call)
{
	Millrace__LogReadReply r = MILLRACE__LOG_READ_REPLY__INIT;
	const char *text = f->log->step < 0 && f->setup_text ? f->setup_text : f->log_text;
	size_t total = strlen(text);
	size_t left = f->log->offset < total ? total - f->log->offset : 0;
	size_t n = left > f->log_step ? f->log_step : left;

	if (n == 0 && !f->log_ended && f->log->wait_ms && text != f->setup_text) {
		f->held = call;
		return;
	}
	r.data.data = (uint8_t *)(uintptr_t)text + f->log->offset;
	r.data.len = n;
	r.end = (f->log_ended || text == f->setup_text) && n == left;
	r.has_attempt = true;
	r.attempt = f->log->has_attempt ? f->log->attempt : f->attempts > 0 ? f->attempts : 1;
	reply_with(call, &r.base);
}

static void
on_log_read(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct gwp_fake *f = fake_of(arg);

	if (f->log)
		millrace__log_read_request__free_unpacked(f->log, NULL);
	f->log = millrace__log_read_request__unpack(NULL, len, body);
	assert_non_null(f->log);
	keep_owner(f, f->log->owner);
	if (!refuses(f, call, "log.read"))
		gwp_answer_log(f, call);
}

static void
on_log_delete(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	Millrace__LogDeleteRequest *q = millrace__log_delete_request__unpack(NULL, len, body);

	assert_non_null(q);
	keep_owner(arg, q->owner);
	fake_of(arg)->deleted = q->has_attempt ? q->attempt : 0;
	millrace__log_delete_request__free_unpacked(q, NULL);
	if (!refuses(fake_of(arg), call, "log.delete"))
		rpc_reply(call, NULL, 0);
}

static void
on_dump_read(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct gwp_fake *f = fake_of(arg);
	Millrace__DumpReadRequest *q = millrace__dump_read_request__unpack(NULL, len, body);
	Millrace__DumpReadReply r = MILLRACE__DUMP_READ_REPLY__INIT;
	char id[] = GWP_TASK;
	size_t left;

	assert_non_null(q);
	assert_true(q->offset == 0 || (q->id && strcmp(q->id, id) == 0));
	left = strlen(f->dump_text) - q->offset;
	r.id = id;
	r.data.data = (uint8_t *)(uintptr_t)f->dump_text + q->offset;
	r.data.len = left < f->log_step ? left : f->log_step;
	r.end = r.data.len == left;
	millrace__dump_read_request__free_unpacked(q, NULL);
	if (!refuses(f, call, "dump.read"))
		reply_with(call, &r.base);
}

static void
on_load_write(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct gwp_fake *f = fake_of(arg);
	Millrace__LoadWriteRequest *q = millrace__load_write_request__unpack(NULL, len, body);

	assert_non_null(q);
	if (q->offset == 0)
		buf_clear(&f->loaded);
	assert_int_equal(q->offset, f->loaded.len);
	buf_append(&f->loaded, q->data.data, q->data.len);
	millrace__load_write_request__free_unpacked(q, NULL);
	if (!refuses(f, call, "load.write"))
		rpc_reply(call, NULL, 0);
}

static void
on_load_commit(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct gwp_fake *f = fake_of(arg);

	(void)body;
	(void)len;
	f->committed = true;
	if (!refuses(f, call, "load.commit"))
		rpc_reply(call, NULL, 0);
}

/* Of secrets and variables there are none, and all that is asked for is done. */
static void
on_scope(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	(void)body;
	(void)len;
	if (!refuses(fake_of(arg), call, "scope"))
		rpc_reply(call, NULL, 0);
}

static int
peer_key(uint8_t key[CRYPTO_KEY_LEN], const char *peer, void *arg, struct err **err)
{
	(void)arg;
	assert_string_equal(peer, "gateway");
	return crypto_unhex(key, CRYPTO_KEY_LEN, KEY, err);
}

static const struct rpc_method methods[] = {
	{ "run.create", on_create, 0 },
	{ "run.list", on_list, 0 },
	{ "run.get", on_get, 0 },
	{ "run.explain", on_explain, 0 },
	{ "run.action", on_action, 0 },
	{ "task.approve", on_approve, 0 },
	{ "log.read", on_log_read, 0 },
	{ "log.delete", on_log_delete, 0 },
	{ "dump.read", on_dump_read, 0 },
	{ "load.write", on_load_write, 0 },
	{ "load.commit", on_load_commit, 0 },
	{ "secret.list", on_scope, 0 },
	{ "secret.delete", on_scope, 0 },
	{ "variable.list", on_scope, 0 },
	{ "variable.delete", on_scope, 0 },
};

void
gwp_fake_start(struct gwp *f)
{
	auto_free char *url = xasprintf("ipc://%s/rs", f->dir);
	auto_err err = NULL;
	struct rpc_server_options opt = { .url = url,
		.methods = methods,
		.nmethods = ARRAY_LEN(methods),
		.peer_key = peer_key,
		.arg = &f->rs };

	if (rpc_server_new(&f->rs.server, f->loop, &opt, &err) < 0)
		fail_msg("%s", err_msg(err));
}

/* --- fixture --- */

static const char *
conninfo(void)
{
	const char *s = getenv("MILLRACE_TEST_DB"); /* NOLINT(concurrency-mt-unsafe): one thread */

	if (!s)
		fail_msg("MILLRACE_TEST_DB is not set; use tests/lib/pg.sh run");
	return s;
}

static void
write_file(const char *dir, const char *name, const char *text)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

void
gwp_start(struct gwp *f)
{
	auto_err err = NULL;

	if (gw_start(&f->gw, f->loop, &f->cfg, &err) < 0)
		fail_msg("%s", err_msg(err));
	f->port = http_server_port(((struct gateway *)f->gw)->http);
}

void
gwp_stop(struct gwp *f)
{
	gw_stop(f->gw);
	f->gw = NULL;
}

void
gwp_restart(struct gwp *f)
{
	gwp_stop(f);
	gwp_start(f);
}

int
gwp_setup(void **state)
{
	struct gwp *f = xcalloc(1, sizeof(*f));
	struct db_options opt = { .conninfo = conninfo() };
	struct db *raw = db_new(&opt);
	auto_err err = NULL;

	if (db_exec_sql(NULL, raw, "drop schema if exists " GW_SCHEMA " cascade", &err) < 0)
		fail_msg("%s", err_msg(err));
	db_free(raw);
	strcpy(f->dir, "/tmp/millrace-test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	write_file(f->dir, "key", KEY "\n");
	f->loop = loop_new();
	f->rs.log_text = f->rs.dump_text = "";
	f->rs.log_step = 1 << 18;
	gwp_fake_start(f);
	f->cfg = (struct gw_config){ .listen = xstrdup("127.0.0.1:0"),
		.public_url = xstrdup("http://ci.example.org:8000"),
		.database = xstrdup(conninfo()),
		.runservice = xasprintf("ipc://%s/rs", f->dir),
		.rpc_key_file = xasprintf("%s/key", f->dir),
		.admin_token = xstrdup(GWP_ADMIN),
		.data_dir = xasprintf("%s/data", f->dir),
		.repository_dir = xasprintf("%s/data/repos", f->dir),
		.repository_quota = 1 << 30,
		.db_threads = 2,
		.session_ms = 3600000 };
	gwp_start(f);
	*state = f;
	return 0;
}

static void
fake_fini(struct gwp_fake *rs)
{
	rpc_server_free(rs->server);
	if (rs->create)
		millrace__run_create_request__free_unpacked(rs->create, NULL);
	if (rs->list)
		millrace__run_list_request__free_unpacked(rs->list, NULL);
	if (rs->log)
		millrace__log_read_request__free_unpacked(rs->log, NULL);
	buf_free(&rs->loaded);
	free(rs->action);
	free(rs->user);
}

int
gwp_teardown(void **state)
{
	struct gwp *f = *state;
	auto_free char *cmd = xasprintf("rm -rf %s", f->dir);

	gw_stop(f->gw);
	fake_fini(&f->rs);
	loop_free(f->loop);
	free(f->cfg.listen);
	free(f->cfg.public_url);
	free(f->cfg.database);
	free(f->cfg.runservice);
	free(f->cfg.rpc_key_file);
	free(f->cfg.admin_token);
	free(f->cfg.data_dir);
	free(f->cfg.repository_dir);
	free(f->user_id);
	free(f->token);
	assert_int_equal(system(cmd), 0); /* NOLINT(cert-env33-c): a test */
	free(f);
	return 0;
}

/* --- an HTTP client that turns the loop while it waits --- */

static int
dial(const struct gwp *f)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)f->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

int
gwp_open(struct gwp *f, const char *method, const char *path, const char *token, const char *body,
    const char *extra)
{
	auto_buf out = BUF_INIT;
	int fd = dial(f);

	buf_printf(&out, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", method, path);
	if (token)
		buf_printf(&out, "Authorization: token %s\r\n", token);
	if (extra)
		buf_puts(&out, extra);
	if (body)
		buf_printf(&out, "Content-Length: %zu\r\n", strlen(body));
	buf_puts(&out, "\r\n");
	if (body)
		buf_puts(&out, body);
	for (size_t done = 0; done < out.len;) {
		ssize_t n = send(fd, out.data + done, out.len - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			loop_run_once(f->loop, 5);
		else
			break; /* the server refused early; its answer is read below */
	}
	return fd;
}

/* Reads until want is in the raw bytes, or (want NULL) until the connection ends. False at the end
 * without want. */
bool
gwp_read_until(struct gwp *f, int fd, struct buf *raw, const char *want)
{
	int64_t deadline = clock_mono_ms() + GWP_WAIT_MS;
	char chunk[65536];

	while (clock_mono_ms() < deadline) {
		ssize_t n;

		if (want && strstr(buf_str(raw), want))
			return true;
		n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n > 0)
			buf_append(raw, chunk, (size_t)n);
		else if (n == 0 || errno != EAGAIN)
			return !want;
		else
			loop_run_once(f->loop, 5);
	}
	fail_msg("no answer within %d s, so far: %s", GWP_WAIT_MS / 1000, buf_str(raw));
	return false;
}

/* Chunked body without its frame; false when the last chunk is missing. */
static bool
dechunk(struct buf *out, const char *p, const char *stop)
{
	for (;;) {
		char *end;
		size_t n = strtoul(p, &end, 16);

		if (end == p || strncmp(end, "\r\n", 2) != 0)
			return false;
		if (n == 0)
			return true;
		if ((size_t)(stop - end - 2) < n)
			return false;
		buf_append(out, end + 2, n);
		p = end + 2 + n + 2;
	}
}

/* whole: false when a chunked answer was broken off. */
struct gwp_answer
gwp_parse(const struct buf *raw, bool *whole)
{
	struct gwp_answer a = { 0 };
	const char *head = buf_str(raw);
	const char *end = strstr(head, "\r\n\r\n");

	*whole = true;
	if (!end)
		fail_msg("no HTTP answer: %s", head);
	buf_append(&a.head, head, (size_t)(end - head));
	assert_int_equal(sscanf(head, "HTTP/1.1 %d", &a.status), 1);
	if (strcasestr(buf_str(&a.head), "transfer-encoding: chunked"))
		*whole = dechunk(&a.body, end + 4, head + raw->len);
	else
		buf_puts(&a.body, end + 4);
	return a;
}

void
gwp_answer_fini(struct gwp_answer *a)
{
	buf_free(&a->head);
	buf_free(&a->body);
}

struct gwp_answer
gwp_call_with(struct gwp *f, const char *method, const char *path, const char *token,
    const char *body, const char *extra)
{
	auto_free char *full =
	    path[0] == '!' ? xstrdup(path + 1) : xasprintf("/api/v1alpha%s", path);
	int fd = gwp_open(f, method, full, token, body, extra);
	auto_buf raw = BUF_INIT;
	struct gwp_answer a;
	bool whole;

	gwp_read_until(f, fd, &raw, NULL);
	close(fd);
	a = gwp_parse(&raw, &whole);
	assert_true(whole);
	return a;
}

struct gwp_answer
gwp_call(struct gwp *f, const char *method, const char *path, const char *token, const char *body)
{
	return gwp_call_with(f, method, path, token, body, NULL);
}

/* Expects a status and (unless NULL) exactly this body. */
void
gwp_expect(struct gwp *f, const char *method, const char *path, const char *token, const char *body,
    int status, const char *want)
{
	struct gwp_answer a = gwp_call(f, method, path, token, body);

	if (a.status != status || (want && strcmp(buf_str(&a.body), want) != 0))
		fail_msg("%s %s: %d %s", method, path, a.status, buf_str(&a.body));
	gwp_answer_fini(&a);
}

json_t *
gwp_json(struct gwp *f, const char *method, const char *path, const char *token, const char *body,
    int status)
{
	struct gwp_answer a = gwp_call(f, method, path, token, body);
	json_t *j = NULL;
	auto_err err = NULL;

	if (a.status != status)
		fail_msg("%s %s: %d %s", method, path, a.status, buf_str(&a.body));
	assert_non_null(strcasestr(buf_str(&a.head), "Content-Type: application/json"));
	if (json_parse(&j, buf_str(&a.body), a.body.len, &err) < 0)
		fail_msg("%s: %s", err_msg(err), buf_str(&a.body));
	gwp_answer_fini(&a);
	return j;
}

void
gwp_expect_names(struct gwp *f, const char *path, const char *token, const char *want)
{
	auto_json *list = gwp_json(f, "GET", path, token, NULL, 200);
	auto_buf got = BUF_INIT;

	for (size_t i = 0; i < json_array_size(list); i++)
		buf_printf(&got, "%s ", json_text(json_array_get(list, i), "name"));
	if (strcmp(buf_str(&got), want) != 0)
		fail_msg("%s: %s", path, buf_str(&got));
}

/* Value of a header, malloc'ed, NULL when absent. */
char *
gwp_header(const struct gwp_answer *a, const char *name)
{
	auto_free char *key = xasprintf("\r\n%s:", name);
	const char *p = strcasestr(buf_str(&a->head), key);

	if (!p)
		return NULL;
	p += strlen(key);
	while (*p == ' ')
		p++;
	return xstrndup(p, strcspn(p, "\r\n"));
}

void
gwp_make_user(struct gwp *f, const char *name, char **id, char **token)
{
	auto_free char *create = xasprintf("{\"username\":\"%s\"}", name);
	auto_free char *path = xasprintf("/users/%s/tokens", name);
	auto_json *user = gwp_json(f, "POST", "/users", GWP_ADMIN, create, 201);
	auto_json *made = gwp_json(f, "POST", path, GWP_ADMIN, "{\"token_name\":\"t\"}", 201);

	if (id)
		*id = xstrdup(json_text(user, "id"));
	if (token)
		*token = xstrdup(json_text(made, "token"));
	assert_int_equal(strlen(json_text(made, "token")), 40);
}

void
gwp_make_bob(struct gwp *f)
{
	gwp_make_user(f, "bob", &f->user_id, &f->token);
}
