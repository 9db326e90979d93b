/*
 * The whole gateway in this process, against a real PostgreSQL (MILLRACE_TEST_DB) and the real git,
 * with a runservice whose answers the test decides.
 */
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
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADMIN "admintoken"
#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define TASK "22222222-3333-4444-8555-666666666666"
#define WAIT_MS 20000
#define QUIET_MS 200 /* so long without a call: it waits for the reader */

/* What the runservice does: err_code and slug instead of an answer, or canned data. */
struct fake {
	struct rpc_server *server;
	enum err_code code;
	const char *slug;
	unsigned calls;
	char method[64];
	Millrace__RunCreateRequest *create;
	Millrace__RunListRequest *list;
	Millrace__LogReadRequest *log;
	char *action, *task, *user;
	struct rpc_call *held; /* a log.read that waits */
	const char *log_text;  /* whole log */
	bool log_ended;
	size_t log_step; /* bytes given at a time */
	unsigned nruns;  /* runs that exist, numbered from 1 */
};

struct fixture {
	struct loop *loop;
	struct gw_config cfg;
	void *gw;
	struct fake rs;
	char dir[64];
	int port;
	char *user_id, *token;
};

struct answer {
	int status;
	struct buf head, body;
};

static struct fake *fake_of(void *arg);

/* --- the fake runservice --- */

static struct fake *
fake_of(void *arg)
{
	return arg;
}

/* True when the test wants an error. */
static bool
refuses(struct fake *f, struct rpc_call *call, const char *method)
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
	struct fake *f = fake_of(arg);
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
fill_run(Millrace__RunState *run, uint64_t number)
{
	static char name[] = "one", group[] = "/g", phase[] = "running", result[] = "unknown";

	*run = (Millrace__RunState)MILLRACE__RUN_STATE__INIT;
	run->id = name;
	run->number = number;
	run->name = name;
	run->group = group;
	run->phase = phase;
	run->result = result;
}

static void
on_list(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct fake *f = fake_of(arg);
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
		fill_run(&runs[r.n_runs], next);
		list[r.n_runs] = &runs[r.n_runs];
		r.n_runs++;
	}
	r.runs = list;
	r.more = f->list->ascending ? next < f->nruns : next > 1;
	reply_with(call, &r.base);
}

/* Run with one task of one step. */
static void
reply_run(struct rpc_call *call, uint64_t number)
{
	static char id[] = TASK, name[] = "build", status[] = "success", shell[] = "/bin/sh",
	            command[] = "make";
	Millrace__RunState run;
	Millrace__TaskState task = MILLRACE__TASK_STATE__INIT, *tasks[] = { &task };
	Millrace__StepState step = MILLRACE__STEP_STATE__INIT, *steps[] = { &step };
	Millrace__Step spec = MILLRACE__STEP__INIT, *specs[] = { &spec };

	fill_run(&run, number);
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
	run.n_tasks = 1;
	run.tasks = tasks;
	reply_with(call, &run.base);
}

static void
on_get(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	Millrace__RunGetRequest *q = millrace__run_get_request__unpack(NULL, len, body);

	assert_non_null(q);
	if (!refuses(fake_of(arg), call, "run.get"))
		reply_run(call, q->number);
	millrace__run_get_request__free_unpacked(q, NULL);
}

static void
on_action(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct fake *f = fake_of(arg);
	Millrace__RunActionRequest *q = millrace__run_action_request__unpack(NULL, len, body);

	assert_non_null(q);
	free(f->action);
	f->action = xstrdup(q->action);
	if (!refuses(f, call, "run.action"))
		reply_run(call, q->number);
	millrace__run_action_request__free_unpacked(q, NULL);
}

static void
on_approve(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct fake *f = fake_of(arg);
	Millrace__TaskApproveRequest *q = millrace__task_approve_request__unpack(NULL, len, body);

	assert_non_null(q);
	free(f->user);
	f->user = xstrdup(q->user_id);
	if (!refuses(f, call, "task.approve"))
		rpc_reply(call, NULL, 0);
	millrace__task_approve_request__free_unpacked(q, NULL);
}

/* Answers a log read from log_text as far as it is there; holds it otherwise. */
static void
answer_log(struct fake *f, struct rpc_call *call)
{
	Millrace__LogReadReply r = MILLRACE__LOG_READ_REPLY__INIT;
	size_t total = strlen(f->log_text);
	size_t left = f->log->offset < total ? total - f->log->offset : 0;
	size_t n = left > f->log_step ? f->log_step : left;

	if (n == 0 && !f->log_ended && f->log->wait_ms) {
		f->held = call;
		return;
	}
	r.data.data = (uint8_t *)(uintptr_t)f->log_text + f->log->offset;
	r.data.len = n;
	r.end = f->log_ended && n == left;
	reply_with(call, &r.base);
}

static void
on_log_read(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	struct fake *f = fake_of(arg);

	if (f->log)
		millrace__log_read_request__free_unpacked(f->log, NULL);
	f->log = millrace__log_read_request__unpack(NULL, len, body);
	assert_non_null(f->log);
	if (!refuses(f, call, "log.read"))
		answer_log(f, call);
}

static void
on_log_delete(struct rpc_call *call, const uint8_t *body, size_t len, void *arg)
{
	(void)body;
	(void)len;
	if (!refuses(fake_of(arg), call, "log.delete"))
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
	{ "run.action", on_action, 0 },
	{ "task.approve", on_approve, 0 },
	{ "log.read", on_log_read, 0 },
	{ "log.delete", on_log_delete, 0 },
};

static void
fake_start(struct fixture *f)
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

static void
start_gateway(struct fixture *f)
{
	auto_err err = NULL;

	if (gw_start(&f->gw, f->loop, &f->cfg, &err) < 0)
		fail_msg("%s", err_msg(err));
	f->port = http_server_port(((struct gateway *)f->gw)->http);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
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
	f->rs.log_text = "";
	f->rs.log_step = 1 << 18;
	fake_start(f);
	f->cfg = (struct gw_config){ .listen = xstrdup("127.0.0.1:0"),
		.public_url = xstrdup("http://ci.example.org:8000"),
		.database = xstrdup(conninfo()),
		.runservice = xasprintf("ipc://%s/rs", f->dir),
		.rpc_key_file = xasprintf("%s/key", f->dir),
		.admin_token = xstrdup(ADMIN),
		.data_dir = xasprintf("%s/data", f->dir),
		.db_threads = 2,
		.session_ms = 3600000 };
	start_gateway(f);
	*state = f;
	return 0;
}

static void
fake_fini(struct fake *rs)
{
	rpc_server_free(rs->server);
	if (rs->create)
		millrace__run_create_request__free_unpacked(rs->create, NULL);
	if (rs->list)
		millrace__run_list_request__free_unpacked(rs->list, NULL);
	if (rs->log)
		millrace__log_read_request__free_unpacked(rs->log, NULL);
	free(rs->action);
	free(rs->user);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
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
	free(f->user_id);
	free(f->token);
	assert_int_equal(system(cmd), 0); /* NOLINT(cert-env33-c): a test */
	free(f);
	return 0;
}

/* --- an HTTP client that turns the loop while it waits --- */

static int
dial(const struct fixture *f)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)f->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static int
open_request(struct fixture *f, const char *method, const char *path, const char *token,
    const char *body, const char *extra)
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
static bool
read_until(struct fixture *f, int fd, struct buf *raw, const char *want)
{
	int64_t deadline = clock_mono_ms() + WAIT_MS;
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
	fail_msg("no answer within %d s, so far: %s", WAIT_MS / 1000, buf_str(raw));
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
static struct answer
parse_answer(const struct buf *raw, bool *whole)
{
	struct answer a = { 0 };
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

static void
answer_fini(struct answer *a)
{
	buf_free(&a->head);
	buf_free(&a->body);
}

static struct answer
call_with(struct fixture *f, const char *method, const char *path, const char *token,
    const char *body, const char *extra)
{
	auto_free char *full =
	    path[0] == '!' ? xstrdup(path + 1) : xasprintf("/api/v1alpha%s", path);
	int fd = open_request(f, method, full, token, body, extra);
	auto_buf raw = BUF_INIT;
	struct answer a;
	bool whole;

	read_until(f, fd, &raw, NULL);
	close(fd);
	a = parse_answer(&raw, &whole);
	assert_true(whole);
	return a;
}

static struct answer
call(struct fixture *f, const char *method, const char *path, const char *token, const char *body)
{
	return call_with(f, method, path, token, body, NULL);
}

/* Expects a status and (unless NULL) exactly this body. */
static void
expect(struct fixture *f, const char *method, const char *path, const char *token, const char *body,
    int status, const char *want)
{
	struct answer a = call(f, method, path, token, body);

	if (a.status != status || (want && strcmp(buf_str(&a.body), want) != 0))
		fail_msg("%s %s: %d %s", method, path, a.status, buf_str(&a.body));
	answer_fini(&a);
}

#define ERR(code) "[{\"code\":\"" code "\",\"details\":null}]"

static json_t *
call_json(struct fixture *f, const char *method, const char *path, const char *token,
    const char *body, int status)
{
	struct answer a = call(f, method, path, token, body);
	json_t *j = NULL;
	auto_err err = NULL;

	if (a.status != status)
		fail_msg("%s %s: %d %s", method, path, a.status, buf_str(&a.body));
	assert_non_null(strcasestr(buf_str(&a.head), "Content-Type: application/json"));
	if (json_parse(&j, buf_str(&a.body), a.body.len, &err) < 0)
		fail_msg("%s: %s", err_msg(err), buf_str(&a.body));
	answer_fini(&a);
	return j;
}

/* Value of a header, malloc'ed, NULL when absent. */
static char *
header(const struct answer *a, const char *name)
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

/* The user bob with a token, in f. */
static void
make_bob(struct fixture *f)
{
	auto_json *user = call_json(f, "POST", "/users", ADMIN, "{\"username\":\"bob\"}", 201);
	auto_json *token =
	    call_json(f, "POST", "/users/bob/tokens", ADMIN, "{\"token_name\":\"t\"}", 201);

	f->user_id = xstrdup(json_text(user, "id"));
	f->token = xstrdup(json_text(token, "token"));
	assert_int_equal(strlen(f->token), 40);
}

/* --- tests --- */

static void
users_and_tokens(void **state)
{
	struct fixture *f = *state;
	auto_free char *want = NULL;

	make_bob(f);
	want = xasprintf("{\"id\":\"%s\",\"username\":\"bob\"}", f->user_id);
	expect(f, "GET", "/users/bob", f->token, NULL, 200, want);
	expect(f, "GET", "/users/bob", ADMIN, NULL, 200, want);
	free(want);
	want = xasprintf("{\"id\":\"%s\",\"username\":\"bob\",\"tokens\":[\"t\"],"
	                 "\"linked_accounts\":[]}",
	    f->user_id);
	expect(f, "GET", "/user", f->token, NULL, 200, want);
	expect(f, "POST", "/users", ADMIN, "{\"username\":\"bob\"}", 400, ERR("userAlreadyExists"));
	expect(f, "POST", "/users", ADMIN, "{\"username\":\"b b\"}", 400, ERR("invalidUserName"));
	expect(f, "POST", "/users", ADMIN, "{\"UserName\":\"carol\"} trailing", 201, NULL);
	expect(f, "GET", "/users/nobody", ADMIN, NULL, 404, ERR("userDoesNotExist"));
	expect(f, "POST", "/users/bob/tokens", f->token, "{\"token_name\":\"t\"}", 400,
	    ERR("userTokenAlreadyExists"));
	expect(f, "POST", "/users/bob/tokens", f->token, "{\"token_name\":\"\"}", 400, "[]");
	expect(
	    f, "DELETE", "/users/bob/tokens/no", f->token, NULL, 404, ERR("userTokenDoesNotExist"));
	expect(f, "DELETE", "/users/bob/tokens/%ff", f->token, NULL, 404,
	    ERR("userTokenDoesNotExist"));
	expect(f, "DELETE", "/users/bob/tokens/t", f->token, NULL, 204, "");
	expect(f, "GET", "/user", f->token, NULL, 401, "[]");
	expect(f, "DELETE", "/users/bob", ADMIN, NULL, 204, "");
	expect(f, "GET", "/users/bob", ADMIN, NULL, 404, ERR("userDoesNotExist"));
}

static void
who_may_what(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *method, *path, *body;
		int none, wrong, admin, self, other;
	} cases[] = {
		{ "GET", "/user", NULL, 401, 401, 403, 200, 200 },
		{ "GET", "/users/bob", NULL, 401, 401, 200, 200, 200 },
		{ "GET", "/users", NULL, 401, 401, 200, 401, 401 },
		{ "POST", "/users", "{", 401, 401, 400, 403, 403 },
		{ "DELETE", "/users/nobody", NULL, 401, 401, 404, 403, 403 },
		{ "POST", "/users/bob/tokens", "{}", 401, 401, 400, 400, 400 },
		{ "DELETE", "/users/bob/tokens/x", NULL, 401, 401, 404, 404, 400 },
		{ "POST", "/user/createrun", "{}", 401, 401, 403, 400, 400 },
		{ "GET", "/users/bob/runs", NULL, 401, 401, 200, 200, 403 },
		{ "GET", "/users/bob/runs/1", NULL, 403, 401, 200, 200, 403 },
		{ "PUT", "/users/bob/runs/1/actions", "{\"action_type\":\"stop\"}", 401, 401, 200,
		    200, 403 },
		{ "GET", "/users/bob/runs/1/tasks/" TASK, NULL, 403, 401, 200, 200, 403 },
		{ "PUT", "/users/bob/runs/1/tasks/" TASK "/actions",
		    "{\"action_type\":\"approve\"}", 401, 401, 403, 200, 403 },
		{ "GET", "/users/bob/runs/1/tasks/" TASK "/logs?step=0", NULL, 403, 401, 200, 200,
		    403 },
		{ "DELETE", "/users/bob/runs/1/tasks/" TASK "/logs?step=0", NULL, 401, 401, 204,
		    204, 403 },
		{ "GET", "/version", NULL, 200, 200, 200, 200, 200 },
	};
	auto_json *token = NULL;
	const char *other;

	make_bob(f);
	f->rs.log_ended = true;
	json_decref(call_json(f, "POST", "/users", ADMIN, "{\"username\":\"eve\"}", 201));
	token = call_json(f, "POST", "/users/eve/tokens", ADMIN, "{\"token_name\":\"t\"}", 201);
	other = json_text(token, "token");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *m = cases[i].method, *p = cases[i].path, *b = cases[i].body;

		expect(f, m, p, NULL, b, cases[i].none, NULL);
		expect(f, m, p, "", b, cases[i].none, NULL); /* an empty token is none */
		expect(
		    f, m, p, "0123456789012345678901234567890123456789", b, cases[i].wrong, NULL);
		expect(f, m, p, ADMIN, b, cases[i].admin, NULL);
		expect(f, m, p, f->token, b, cases[i].self, NULL);
		expect(f, m, p, other, b, cases[i].other, NULL);
	}
}

static void
unknown_paths(void **state)
{
	struct fixture *f = *state;
	struct answer a = call(f, "GET", "/nothing", ADMIN, NULL);

	assert_int_equal(a.status, 404);
	assert_string_equal(buf_str(&a.body), "");
	assert_non_null(strcasestr(buf_str(&a.head), "Content-Type: text/plain"));
	answer_fini(&a);
	expect(f, "PUT", "/user", ADMIN, "{}", 404, "");
	expect(f, "GET", "/projects", ADMIN, NULL, 404, "");
	expect(f, "GET", "!/healthz", NULL, NULL, 200, "ok\n");
	expect(f, "GET", "!/metrics", NULL, NULL, 200, NULL);
}

static void
bad_bodies(void **state)
{
	struct fixture *f = *state;
	auto_free char *large = xmalloc((1 << 20) + 2);

	for (const char *const *p = (const char *const[]){ "", "{", "[]", "3", "null", "\xff",
	         "{\"username\":3}", "{\"username\":null}", "{\"username\":\"a\\u0000b\"}", NULL };
	     *p; p++)
		expect(f, "POST", "/users", ADMIN, *p, 400, NULL);
	memset(large, ' ', (1 << 20) + 1);
	large[(1 << 20) + 1] = '\0';
	expect(f, "POST", "/users", ADMIN, large, 417, NULL);
	memcpy(large, "{\"username\":\"bob\"}", 18);
	large[1 << 20] = '\0'; /* exactly the limit */
	expect(f, "POST", "/users", ADMIN, large, 201, NULL);
}

/* Walks all pages; returns their number, checks the count of items. */
static unsigned
walk(struct fixture *f, const char *path, const char *token, size_t items)
{
	auto_free char *cursor = xstrdup("");
	unsigned pages = 0;
	size_t seen = 0;

	do {
		auto_free char *full = *cursor ? xasprintf("%s?cursor=%s&limit=4", path, cursor)
		                               : xasprintf("%s%climit=4&sortdirection=asc", path,
		                                     strchr(path, '?') ? '&' : '?');
		struct answer a = call(f, "GET", full, token, NULL);
		auto_json *j = NULL;

		assert_int_equal(a.status, 200);
		assert_int_equal(json_parse(&j, buf_str(&a.body), a.body.len, NULL), 0);
		free(cursor);
		cursor = header(&a, "X-Agola-Cursor");
		assert_non_null(cursor);
		seen += json_array_size(j);
		pages++;
		answer_fini(&a);
	} while (*cursor);
	assert_int_equal(seen, items);
	return pages;
}

static void
user_pages(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 8; i++) {
		auto_free char *body = xasprintf("{\"username\":\"user%d\"}", i);

		expect(f, "POST", "/users", ADMIN, body, 201, NULL);
	}
	assert_int_equal(walk(f, "/users", ADMIN, 8), 2);
	expect(f, "GET", "/users?limit=-1", ADMIN, NULL, 400, ERR("invalidLimit"));
	expect(f, "GET", "/users?sortdirection=up", ADMIN, NULL, 400, ERR("invalidSortDirection"));
	expect(f, "GET", "/users?cursor=zz", ADMIN, NULL, 400, "[]");
	expect(f, "GET", "/users?cursor=7b7d&sortdirection=asc", ADMIN, NULL, 400, "[]");
	expect(f, "GET", "/users?query_type=x", ADMIN, NULL, 400, "[]");
}

static void
run_pages(void **state)
{
	struct fixture *f = *state;
	struct answer a;
	auto_free char *cursor = NULL;
	auto_free char *path = NULL;
	auto_free char *group = NULL;

	make_bob(f);
	f->rs.nruns = 9;
	assert_int_equal(walk(f, "/users/bob/runs", f->token, 9), 3);
	a = call(f, "GET",
	    "/users/bob/runs?limit=2&phase=running&phase=queued&result=unknown&"
	    "subgroup=branch/a%252Fb",
	    f->token, NULL);
	group = xasprintf("/user/%s/branch/a%%2Fb", f->user_id);
	assert_string_equal(f->rs.list->group, group);
	assert_false(f->rs.list->ascending);
	cursor = header(&a, "X-Agola-Cursor");
	answer_fini(&a);
	/* The cursor keeps filters and direction. */
	path = xasprintf("/users/bob/runs?limit=3&cursor=%s", cursor);
	expect(f, "GET", path, f->token, NULL, 200, NULL);
	assert_string_equal(f->rs.list->group, group);
	assert_int_equal(f->rs.list->n_phases, 2);
	assert_string_equal(f->rs.list->results[0], "unknown");
	assert_int_equal(f->rs.list->start, 8);
	assert_int_equal(f->rs.list->limit, 3);
	for (const char *const *p = (const char *const[]){ "start=1", "subgroup=x", "phase=x",
	         "result=x", "sortdirection=asc", NULL };
	     *p; p++) {
		auto_free char *both = xasprintf("%s&%s", path, *p);

		expect(f, "GET", both, f->token, NULL, 400, "[]");
	}
	expect(f, "GET", "/users/bob/runs?start=x", f->token, NULL, 400, ERR("invalidRunNumber"));
	expect(
	    f, "GET", "/users/bob/runs?subgroup=..", f->token, NULL, 400, ERR("invalidRunGroup"));
	/* No limit: everything, no cursor. */
	f->rs.nruns = 250;
	a = call(f, "GET", "/users/bob/runs?limit=0", f->token, NULL);
	free(cursor);
	cursor = header(&a, "X-Agola-Cursor");
	assert_string_equal(cursor, "");
	assert_non_null(strstr(buf_str(&a.body), "\"number\":1,"));
	answer_fini(&a);
}

static void
runs_and_tasks(void **state)
{
	struct fixture *f = *state;
	auto_json *task = NULL;
	const json_t *step;

	make_bob(f);
	expect(f, "GET", "/users/bob/runs/x", f->token, NULL, 400, ERR("invalidRunNumber"));
	expect(
	    f, "PUT", "/users/bob/runs/1/actions", f->token, "{\"action_type\":\"x\"}", 400, "[]");
	expect(f, "PUT", "/users/bob/runs/1/actions", f->token,
	    "{\"action_type\":\"restart\",\"from_start\":false}", 200, NULL);
	assert_string_equal(f->rs.action, "restart_failed");
	expect(f, "PUT", "/users/bob/runs/1/actions", f->token,
	    "{\"action_type\":\"restart\",\"from_start\":true}", 200, NULL);
	assert_string_equal(f->rs.action, "restart");
	task = call_json(f, "GET", "/users/bob/runs/1/tasks/" TASK, f->token, NULL, 200);
	step = json_array_get(json_object_get(task, "steps"), 0);
	assert_string_equal(json_text(step, "type"), "run");
	assert_string_equal(json_text(step, "command"), "make");
	assert_string_equal(json_text(step, "shell"), "/bin/sh");
	assert_int_equal(json_int(step, "exit_status", -1), 0);
	expect(f, "GET", "/users/bob/runs/1/tasks/" TASK "0", f->token, NULL, 404, "[]");
	expect(f, "GET", "/users/bob/runs/1/tasks/22222222-3333-4444-8555-000000000000", f->token,
	    NULL, 404, "[]");
	expect(f, "PUT", "/users/bob/runs/1/tasks/" TASK "/actions", f->token,
	    "{\"action_type\":\"approve\"}", 200, "");
	assert_string_equal(f->rs.user, f->user_id);
	f->rs.code = ERR_NOTFOUND;
	f->rs.slug = "runDoesNotExist";
	expect(f, "GET", "/users/bob/runs/1", f->token, NULL, 404, ERR("runDoesNotExist"));
	f->rs.slug = "runTaskDoesNotExist";
	expect(f, "GET", "/users/bob/runs/1/tasks/" TASK, f->token, NULL, 404, "[]");
	f->rs.code = ERR_CONFLICT;
	f->rs.slug = "runTaskAlreadyApproved";
	expect(f, "PUT", "/users/bob/runs/1/tasks/" TASK "/actions", f->token,
	    "{\"action_type\":\"approve\"}", 400, ERR("runTaskAlreadyApproved"));
	f->rs.slug = "runCannotBeRestarted";
	expect(f, "PUT", "/users/bob/runs/1/actions", f->token, "{\"action_type\":\"restart\"}",
	    400, ERR("runCannotBeRestarted"));
	f->rs.code = ERR_INTERNAL;
	f->rs.slug = NULL;
	expect(f, "GET", "/users/bob/runs/1", f->token, NULL, 500, "[]");
}

/* --- logs --- */

#define LOGS "/users/bob/runs/1/tasks/" TASK "/logs"

static void
stored_logs(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	make_bob(f);
	f->rs.log_text = "one\r\n\x1b[31mtwo\x1b[0m\n";
	f->rs.log_ended = true;
	f->rs.log_step = 5;
	a = call(f, "GET", LOGS "?step=0", f->token, NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(buf_str(&a.body), f->rs.log_text);
	assert_non_null(strcasestr(buf_str(&a.head), "Content-Type: text/plain;charset=UTF-8"));
	assert_non_null(strcasestr(buf_str(&a.head), "Cache-Control: no-cache"));
	answer_fini(&a);
	expect(f, "GET", LOGS "?setup&offset=5", f->token, NULL, 200, f->rs.log_text + 5);
	assert_int_equal(f->rs.log->step, -1);
	f->rs.log_ended = false; /* so far, then the end */
	expect(f, "GET", LOGS "?step=2", f->token, NULL, 200, f->rs.log_text);
	for (const char *const *p = (const char *const[]){ LOGS, LOGS "?setup&step=1",
	         LOGS "?step=0&offset=x", LOGS "?step=0&offset=-1", NULL };
	     *p; p++)
		expect(f, "GET", *p, f->token, NULL, 400, "[]");
	for (const char *const *p = (const char *const[]){ LOGS "?step=x", LOGS "?step=-1",
	         LOGS "?step=", LOGS "?step=99999999999", NULL };
	     *p; p++)
		expect(f, "GET", *p, f->token, NULL, 400, ERR("invalidRunTaskStepNumber"));
	expect(f, "DELETE", LOGS "?step=1", f->token, NULL, 204, "");
	f->rs.code = ERR_NOTFOUND;
	f->rs.slug = "runTaskStepDoesNotExist";
	expect(f, "GET", LOGS "?step=9", f->token, NULL, 404, "[]");
	expect(f, "DELETE", LOGS "?step=9", f->token, NULL, 404, "[]");
	f->rs.slug = "runDoesNotExist";
	expect(f, "GET", LOGS "?setup", f->token, NULL, 404, ERR("runDoesNotExist"));
	f->rs.code = ERR_INVALID;
	f->rs.slug = NULL;
	expect(f, "DELETE", LOGS "?step=1", f->token, NULL, 400, "[]");
}

static void
wait_held(struct fixture *f)
{
	int64_t deadline = clock_mono_ms() + WAIT_MS;

	while (!f->rs.held && clock_mono_ms() < deadline)
		loop_run_once(f->loop, 5);
	assert_non_null(f->rs.held);
}

/* More of the log, or its end, becomes known. */
static void
grow_log(struct fixture *f, const char *text, bool ended)
{
	struct rpc_call *held = f->rs.held;

	f->rs.log_text = text;
	f->rs.log_ended = ended;
	f->rs.held = NULL;
	answer_log(&f->rs, held);
}

static void
followed_logs(void **state)
{
	struct fixture *f = *state;
	auto_buf raw = BUF_INIT;
	struct answer a;
	unsigned calls;
	bool whole;
	int fd;

	make_bob(f);
	f->rs.log_text = "";
	fd = open_request(f, "GET", "/api/v1alpha" LOGS "?step=0&follow", f->token, NULL, NULL);
	/* The header is there before any byte of the log. */
	assert_true(read_until(f, fd, &raw, "\r\n\r\n"));
	wait_held(f);
	calls = f->rs.calls;
	grow_log(f, "first\n", false);
	assert_true(read_until(f, fd, &raw, "first\n"));
	wait_held(f);
	/* One held call per piece: nobody asks again and again. */
	assert_int_equal(f->rs.calls, calls + 1);
	assert_int_equal(f->rs.log->offset, 6);
	grow_log(f, "first\nlast\n", true);
	assert_true(read_until(f, fd, &raw, NULL));
	close(fd);
	a = parse_answer(&raw, &whole);
	assert_true(whole);
	assert_string_equal(buf_str(&a.body), "first\nlast\n");
	answer_fini(&a);
}

static void
a_failed_log_is_broken_off(void **state)
{
	struct fixture *f = *state;
	auto_buf raw = BUF_INIT;
	struct answer a;
	struct err *err = NULL;
	bool whole;
	int fd;

	make_bob(f);
	f->rs.log_text = "some";
	fd = open_request(f, "GET", "/api/v1alpha" LOGS "?step=0&follow", f->token, NULL, NULL);
	assert_true(read_until(f, fd, &raw, "some"));
	wait_held(f);
	err_set(&err, ERR_INTERNAL, "object damaged");
	rpc_fail(f->rs.held, &err);
	f->rs.held = NULL;
	read_until(f, fd, &raw, NULL);
	close(fd);
	a = parse_answer(&raw, &whole);
	assert_int_equal(a.status, 200);
	assert_false(whole);
	answer_fini(&a);
}

static void
turn_until_no_requests(struct fixture *f)
{
	struct gateway *gw = f->gw;
	int64_t deadline = clock_mono_ms() + WAIT_MS;

	while (gw->requests && clock_mono_ms() < deadline)
		loop_run_once(f->loop, 5);
	assert_null(gw->requests);
}

static void
a_follower_that_leaves_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct gateway *gw = f->gw;
	auto_buf raw = BUF_INIT;
	int fd;

	make_bob(f);
	fd = open_request(f, "GET", "/api/v1alpha" LOGS "?step=0&follow", f->token, NULL, NULL);
	assert_true(read_until(f, fd, &raw, "\r\n\r\n"));
	wait_held(f);
	assert_int_equal(gw->followers, 1);
	close(fd);
	turn_until_no_requests(f);
	assert_int_equal(gw->followers, 0);
	/* The held call's late answer hurts nobody. */
	grow_log(f, "late", true);
	expect(f, "GET", "/version", NULL, NULL, 200, NULL);
}

/* A reader that reads nothing holds at most about a megabyte of ours; then all arrives. */
static void
a_slow_reader_stops_the_reads(void **state)
{
	struct fixture *f = *state;
	size_t size = 32 << 20;
	auto_free char *text = xmalloc(size + 1);
	auto_buf raw = BUF_INIT;
	struct answer a;
	int64_t deadline = clock_mono_ms() + WAIT_MS, last_call_ms = 0;
	unsigned calls;
	bool whole;
	int fd;

	make_bob(f);
	memset(text, 'x', size);
	text[size] = '\0';
	f->rs.log_text = text;
	f->rs.log_ended = true;
	fd = open_request(f, "GET", "/api/v1alpha" LOGS "?step=0", f->token, NULL, NULL);
	/* Until a first call, and then none for QUIET_MS. */
	calls = f->rs.calls;
	while (clock_mono_ms() < (last_call_ms ? last_call_ms + QUIET_MS : deadline)) {
		loop_run_once(f->loop, 5);
		if (f->rs.calls != calls)
			last_call_ms = clock_mono_ms();
		calls = f->rs.calls;
	}
	/* Kernel buffers of both ends, ours, and one call on its way; far from the whole. */
	assert_in_range(f->rs.log->offset, 1, size / 2);
	read_until(f, fd, &raw, NULL);
	close(fd);
	a = parse_answer(&raw, &whole);
	assert_true(whole);
	assert_int_equal(a.body.len, size);
	answer_fini(&a);
	f->rs.log_text = "";
}

/* --- the runservice or the database away --- */

static void
runservice_away(void **state)
{
	struct fixture *f = *state;
	struct answer a;
	auto_free char *after = NULL;

	make_bob(f);
	rpc_server_free(f->rs.server);
	f->rs.server = NULL;
	a = call(f, "GET", "/users/bob/runs/1", f->token, NULL);
	assert_int_equal(a.status, 503);
	assert_string_equal(buf_str(&a.body), "[]");
	after = header(&a, "Retry-After");
	assert_non_null(after);
	answer_fini(&a);
	expect(f, "GET", LOGS "?step=0", f->token, NULL, 503, "[]");
	expect(f, "GET", "/user", f->token, NULL, 200, NULL);
	fake_start(f);
	expect(f, "GET", "/users/bob/runs/1", f->token, NULL, 200, NULL);
	expect(f, "GET", "!/readyz", NULL, NULL, 200, NULL);
}

/* tests/lib/pg.sh with another word than restart. */
static void
database(const char *word)
{
	const char *restart = getenv("MILLRACE_TEST_PG"); /* NOLINT(concurrency-mt-unsafe) */
	const char *mid = restart ? strstr(restart, " restart ") : NULL;
	auto_free char *cmd = NULL;

	if (!mid)
		fail_msg("MILLRACE_TEST_PG is not set; use tests/lib/pg.sh run");
	cmd = xasprintf("%.*s %s %s", (int)(mid - restart), restart, word, mid + 9);
	assert_int_equal(system(cmd), 0); /* NOLINT(cert-env33-c): a test */
}

static void
database_away(void **state)
{
	struct fixture *f = *state;

	make_bob(f);
	database("down");
	expect(f, "GET", "/user", f->token, NULL, 503, "[]");
	expect(f, "POST", "/users", ADMIN, "{\"username\":\"x\"}", 503, "[]");
	expect(f, "GET", "!/readyz", NULL, NULL, 503, NULL);
	expect(f, "GET", "!/healthz", NULL, NULL, 200, "ok\n");
	expect(f, "GET", "/version", NULL, NULL, 200, NULL);
	database("up");
	expect(f, "GET", "/user", f->token, NULL, 200, NULL);
	/* Broken connections are not the caller's trouble. */
	database("restart");
	expect(f, "GET", "/user", f->token, NULL, 200, NULL);
	expect(f, "GET", "/user", f->token, NULL, 200, NULL);
}

/* --- direct runs --- */

/* Runs a shell script while the loop turns; its exit status. */
static int
script(struct fixture *f, const char *text)
{
	auto_free char *full = xasprintf("cd %s && exec >>log 2>&1 && export HOME=$PWD "
	                                 "GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 "
	                                 "GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e "
	                                 "GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e "
	                                 "URL=http://127.0.0.1:%d/repos/%s && %s",
	    f->dir, f->port, f->user_id, text);
	char sh[] = "sh", c[] = "-c";
	char *argv[] = { sh, c, full, NULL };
	int64_t deadline = clock_mono_ms() + 3 * WAIT_MS;
	int status = -1;
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_mono_ms() > deadline) {
			kill(pid, SIGKILL);
			fail_msg("script hangs: %s", text);
		}
		loop_run_once(f->loop, 5);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *
read_whole(const struct fixture *f, const char *name)
{
	auto_free char *path = xasprintf("%s/%s", f->dir, name);
	auto_err err = NULL;
	char *out = NULL;
	size_t n;

	if (config_read_file(&out, &n, path, 1 << 20, &err) < 0)
		fail_msg("%s", err_msg(err));
	return out;
}

static void
must(struct fixture *f, const char *text)
{
	if (script(f, text) != 0) {
		auto_free char *log = read_whole(f, "log");

		fail_msg("script failed: %s\n%s", text, log);
	}
}

#define REPO "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define DEFINITION                                                                                 \
	"runs:\\n- name: one\\n  tasks:\\n  - name: t\\n    runtime: {containers: [{image: "       \
	"b}]}\\n"                                                                                  \
	"    steps: [{clone: }, {run: make}]\\n- name: two\\n  when: {tag: v1}\\n  tasks:\\n"      \
	"  - name: t\\n    runtime: {containers: [{image: b}]}\\n    steps: [{run: make}]\\n"

/* A repository with one commit, its hash in $dir/sha. */
static void
commit_definition(struct fixture *f, const char *file, const char *text)
{
	auto_free char *s =
	    xasprintf("rm -rf w && git init -q -b master w && cd w && mkdir .agola && "
	              "printf '%s' >%s && echo x >x && git add -A && "
	              "git commit -qm m && git rev-parse HEAD | tr -d '\\n' >../sha",
	        text, file);

	must(f, s);
}

static char *
createrun_body(struct fixture *f, const char *field, const char *value, const char *message)
{
	auto_free char *sha = read_whole(f, "sha");
	auto_free char *path = xasprintf("%s/%s", f->user_id, REPO);
	auto_json *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:[s], s:{s:s}}", "repo_uuid", REPO,
	    "repo_path", path, "commit_sha", sha, "message", message, field, value,
	    "pull_request_ref_regexes", "refs/pull/(\\d+)/head", "variables", "dockerauth",
	    "c2VjcmV0");

	return json_print(j);
}

static void
direct_run(void **state)
{
	struct fixture *f = *state;
	auto_free char *body = NULL;
	auto_json *j = NULL;
	const Millrace__RunSpec *spec;

	make_bob(f);
	commit_definition(f, ".agola/config.yml", DEFINITION);
	must(f, "cd w && git push -q -f $URL/" REPO ".git HEAD:refs/heads/master");
	body = createrun_body(f, "branch", "master", "agola direct run");
	j = call_json(f, "POST", "/user/createrun", f->token, body, 201);
	assert_int_equal(json_array_size(json_object_get(j, "runs")), 1);
	assert_int_equal(json_int(json_array_get(json_object_get(j, "runs"), 0), "number", 0), 1);
	assert_string_equal(
	    json_text(json_array_get(json_object_get(j, "runs"), 0), "name"), "one");
	assert_int_equal(json_array_size(json_object_get(j, "warnings")), 1); /* two */
	assert_int_equal(f->rs.create->n_runs, 1);
	spec = f->rs.create->runs[0];
	assert_int_equal(spec->n_setup_errors, 0);
	assert_int_equal(spec->tasks[0]->n_steps, 2);
	assert_int_equal(f->rs.create->n_variables, 1);
	assert_string_equal(f->rs.create->variables[0]->value, "c2VjcmV0");
	/* The tree can be cloned and fetched again by hash, as the clone step does. */
	must(f, "git clone -q $URL/" REPO ".git c && cd c && git fetch -q origin refs/heads/master "
	        "&& git checkout -q $(cat ../sha) && cmp x ../w/x");
	must(f, "git -c protocol.version=0 clone -q --depth 1 $URL/" REPO ".git d && cmp d/x w/x");
}

static void
direct_run_kinds(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *field, *value, *ref, *group;
		int nruns;
	} cases[] = {
		{ "tag", "v1", "refs/tags/v1", "tag/v1", 2 },
		{ "ref", "refs/pull/1/head", "refs/pull/1/head", "pr/1", 1 },
		{ "branch", "feature/x", "refs/heads/feature/x", "branch/feature%2Fx", 1 },
	};

	make_bob(f);
	commit_definition(f, ".agola/config.yaml", DEFINITION);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *push =
		    xasprintf("cd w && git push -q -f $URL/" REPO ".git HEAD:%s", cases[i].ref);
		auto_free char *body = createrun_body(f, cases[i].field, cases[i].value, "message");
		auto_free char *group = xasprintf("/user/%s/%s", f->user_id, cases[i].group);

		must(f, push);
		expect(f, "POST", "/user/createrun", f->token, body, 201, NULL);
		assert_int_equal(f->rs.create->n_runs, cases[i].nruns);
		assert_string_equal(f->rs.create->runs[0]->group, group);
	}
}

static void
broken_definitions(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *file, *text, *error;
	} cases[] = {
		{ ".agola/config.yml", "runs:\\n- nam: x\\n", ".agola/config.yml:2:" },
		{ ".agola/config.jsonnet", "{}", ".agola/config.jsonnet:1:1: " },
		{ ".agola/other.yml", "runs: []", "config.yml" },
	};

	make_bob(f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *body = NULL;

		commit_definition(f, cases[i].file, cases[i].text);
		must(f, "cd w && git push -q -f $URL/" REPO ".git HEAD:refs/heads/master");
		body = createrun_body(f, "branch", "master", "m");
		expect(f, "POST", "/user/createrun", f->token, body, 201, NULL);
		assert_int_equal(f->rs.create->n_runs, 1);
		assert_string_equal(f->rs.create->runs[0]->name, "Setup Error");
		assert_true(f->rs.create->runs[0]->n_setup_errors >= 1);
		assert_non_null(strstr(f->rs.create->runs[0]->setup_errors[0], cases[i].error));
	}
}

static void
refused_by_the_runservice(void **state)
{
	struct fixture *f = *state;
	auto_free char *body = NULL;

	make_bob(f);
	commit_definition(f, ".agola/config.yml", DEFINITION);
	must(f, "cd w && git push -q -f $URL/" REPO ".git HEAD:refs/heads/master");
	body = createrun_body(f, "branch", "master", "m");
	f->rs.code = ERR_INVALID;
	expect(f, "POST", "/user/createrun", f->token, body, 400, "[]");
	/* The second try was a visible run with the reason. */
	assert_int_equal(f->rs.calls, 2);
	assert_string_equal(f->rs.create->runs[0]->name, "Setup Error");
	assert_non_null(strstr(f->rs.create->runs[0]->setup_errors[0], "as the test wants"));
}

static void
bad_createruns(void **state)
{
	struct fixture *f = *state;
	auto_json *j = NULL;
	auto_free char *body = NULL;
	auto_free char *other = NULL;
	auto_free char *missing = NULL;

	make_bob(f);
	commit_definition(f, ".agola/config.yml", DEFINITION);
	body = createrun_body(f, "branch", "master", "m");
	/* Nothing was pushed. */
	expect(f, "POST", "/user/createrun", f->token, body, 400, "[]");
	must(f, "cd w && git push -q -f $URL/" REPO ".git HEAD:refs/heads/master");
	assert_int_equal(json_parse(&j, body, strlen(body), NULL), 0);
	json_object_set_new(
	    j, "commit_sha", json_string("0123456789012345678901234567890123456789"));
	missing = json_print(j);
	expect(f, "POST", "/user/createrun", f->token, missing, 400, "[]");
	json_object_set_new(
	    j, "repo_path", json_string("11111111-2222-4333-8444-555555555555/" REPO));
	other = json_print(j);
	expect(f, "POST", "/user/createrun", f->token, other, 401, "[]");
	assert_int_equal(f->rs.calls, 0);
}

static void
git_doors(void **state)
{
	struct fixture *f = *state;
	auto_free char *base = NULL;
	auto_free char *path = NULL;

	make_bob(f);
	base = xasprintf("!/repos/%s/" REPO ".git", f->user_id);
	path = xasprintf("%s/info/refs?service=git-shell", base);
	expect(f, "GET", path, NULL, NULL, 400, NULL);
	for (const char *const *p =
	         (const char *const[]){ "!/repos/bob/" REPO
	                                ".git/info/refs?service=git-receive-pack",
	             "!/repos/" REPO "/" REPO ".git/info/refs?service=git-receive-pack",
	             "!/repos/%2e%2e/" REPO ".git/info/refs?service=git-receive-pack", NULL };
	     *p; p++)
		expect(f, "GET", *p, NULL, NULL, 404, NULL);
	for (const char *const *p =
	         (const char *const[]){ "x.git", "..%2fx.git", REPO, "%2e%2e.git", NULL };
	     *p; p++) {
		auto_free char *bad =
		    xasprintf("!/repos/%s/%s/info/refs?service=git-receive-pack", f->user_id, *p);
		struct answer a = call(f, "GET", bad, NULL, NULL);

		assert_in_range(a.status, 400, 404);
		answer_fini(&a);
	}
	free(path);
	path = xasprintf("%s/git-upload-pack", base);
	expect(f, "POST", path, NULL, "0000", 404, NULL); /* does not exist yet */
	free(path);
	path = xasprintf("%s/info/refs", base);
	expect(f, "GET", path, NULL, NULL, 400, NULL);
	free(path);
	/* Nothing of all that made a directory outside data/repos/<user>. */
	assert_int_equal(script(f, "test ! -e data/repos || test -z \"$(ls data/repos)\""), 0);
	path = xasprintf("%s/info/refs?service=git-receive-pack", base);
	expect(f, "GET", path, NULL, NULL, 200, NULL);
	free(path);
	path = xasprintf("%s/raw/master/nothing", base);
	expect(f, "GET", path, NULL, NULL, 404, NULL);
	free(path);
	path = xasprintf("%s/git-receive-pack", base);
	expect(f, "POST", path, NULL, "00zzgarbage", 500, NULL);
}

static void
raw_files(void **state)
{
	struct fixture *f = *state;
	auto_free char *path = NULL;

	make_bob(f);
	commit_definition(f, ".agola/config.yml", "runs: []");
	must(f, "cd w && git push -q $URL/" REPO ".git HEAD:refs/heads/master");
	path = xasprintf("!/repos/%s/" REPO ".git/raw/master/.agola/config.yml", f->user_id);
	expect(f, "GET", path, NULL, NULL, 200, "runs: []");
	free(path);
	path = xasprintf("!/repos/%s/" REPO ".git/raw/--help/x", f->user_id);
	expect(f, "GET", path, NULL, NULL, 404, NULL);
}

/* Broken objects are refused, and forced pushes, many files and compressed requests work. */
static void
pushes(void **state)
{
	struct fixture *f = *state;

	make_bob(f);
	commit_definition(f, ".agola/config.yml", "runs: []");
	must(f, "cd w && git push -q $URL/" REPO ".git HEAD:refs/heads/master");
	/* A large push goes in chunks, a fetch with many "have" lines is compressed. */
	must(f, "cd w && head -c 3000000 /dev/urandom >big && git add big && git commit -qm big && "
	        "git push -q $URL/" REPO ".git HEAD:refs/heads/master");
	must(f, "git clone -q $URL/" REPO ".git c && cmp w/big c/big && cd c && "
	        "for i in 1 2 3 4 5 6; do for j in 1 2 3 4 5 6 7 8 9 0; do git commit -q "
	        "--allow-empty -m $i$j || exit 1; done; done; "
	        "cd ../w && echo y >y && git add y && git commit -qm y && "
	        "git push -q $URL/" REPO ".git HEAD:refs/heads/master && cd ../c && "
	        "git fetch -q && git -c protocol.version=0 fetch -q && "
	        "git cat-file -e origin/master:y");
	must(f, "cd w && git commit -q --amend -m other && "
	        "git push -q -f $URL/" REPO ".git HEAD:refs/heads/master");
	/* A tree with an entry named .git. */
	must(f, "cd w && b=$(git hash-object -w x) && "
	        "t=$(printf '100644 blob %s\\t.git\\n' $b | git mktree) && "
	        "c=$(git commit-tree -m evil $t) && "
	        "! git push -q -f $URL/" REPO ".git $c:refs/heads/evil");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(users_and_tokens),
		T(who_may_what),
		T(unknown_paths),
		T(bad_bodies),
		T(user_pages),
		T(run_pages),
		T(runs_and_tasks),
		T(stored_logs),
		T(followed_logs),
		T(a_failed_log_is_broken_off),
		T(a_follower_that_leaves_is_forgotten),
		T(a_slow_reader_stops_the_reads),
		T(runservice_away),
		T(database_away),
		T(direct_run),
		T(direct_run_kinds),
		T(broken_definitions),
		T(refused_by_the_runservice),
		T(bad_createruns),
		T(git_doors),
		T(raw_files),
		T(pushes),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
