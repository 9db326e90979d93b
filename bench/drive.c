/*
 * drive - plays a gateway and executors against a running runservice, over the real protocol.
 *
 *   drive tasks URL KEYS GATEWAY_KEY EXECUTORS RUNS INFLIGHT
 *       RUNS runs of one task each, INFLIGHT at a time, from create to the final report; prints
 * tasks per second, and the p50 and p99 in ms from the create's sending to the offer's arrival.
 *   drive fleet URL KEYS EXECUTORS
 *       that many idle executors with their polls and controls held; prints "all MS" whenever all
 * are registered (again), counted from when the first was not. Until SIGTERM.
 *
 * KEYS is a directory with bench-<n>.key of each executor.
 */
#include "common/clock.h"
#include "common/crypto.h"
#include "common/id.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rpc.h"
#include "executor.pb-c.h"
#include "gateway.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS 20000
#define HELD_MS 40000
#define AGAIN_MS 50
#define OWNERS 16

struct drive;

struct executor {
	struct drive *d;
	struct rpc_client *client;
	struct id session;
	struct loop_timer *again;
	bool registered;
	unsigned slots, used;
	unsigned polls; /* under way; a newer one replaces those before it */
	bool starved;   /* the newest one said that nothing is free */
	bool control;
};

/* One of the runs under way; when it is over the next begins in its place. */
struct lane {
	struct drive *d;
	unsigned index;
	struct executor *ex;
	char run_id[ID_LEN + 1], task_id[ID_LEN + 1];
	uint64_t fence;
	int64_t sent_us;
};

struct drive {
	struct loop *loop;
	const char *url, *keys;
	struct executor *executors;
	unsigned nexecutors, nregistered;
	int64_t lost_ms; /* since when not all are there */
	struct rpc_client *gateway;
	struct lane *lanes;
	unsigned nlanes, wanted, begun, over;
	double *latency_ms; /* one for each offer that came */
	unsigned nlatency;
	int64_t started_us;
};

static void
die(const char *what, struct err **err)
{
	fprintf(stderr, "drive: %s: %s\n", what, err && *err ? err_msg(*err) : "failed");
	exit(1); /* NOLINT(concurrency-mt-unsafe): nothing is to be cleaned up */
}

static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void
send_pb(struct rpc_client *c, const char *method, const void *msg, int64_t ms, rpc_done_fn done,
    void *arg)
{
	size_t n = protobuf_c_message_get_packed_size(msg);
	auto_free uint8_t *bytes = xmalloc(n + 1);

	protobuf_c_message_pack(msg, bytes);
	rpc_send(c, method, bytes, n, ms, done, arg);
}

static struct rpc_client *
client_new(
    struct drive *d, const char *peer, const char *key_file, void (*up)(bool, void *), void *arg)
{
	uint8_t key[CRYPTO_KEY_LEN];
	struct rpc_client *c = NULL;
	struct err *err = NULL;

	if (crypto_read_key_file(key, key_file, &err) != 0 ||
	    rpc_client_new(&c, d->loop,
	        &(struct rpc_client_options){
	            .url = d->url, .peer = peer, .key = key, .on_connected = up, .arg = arg },
	        &err) != 0)
		die(key_file, &err);
	return c;
}

/* --- executors --- */

static void offered(struct executor *ex, const Millrace__Offer *o);
static void poll_again(struct executor *ex);
static void lanes_start(struct drive *d);

static void
lost(struct executor *ex)
{
	if (ex->registered) {
		if (ex->d->nregistered-- == ex->d->nexecutors)
			ex->d->lost_ms = clock_mono_ms();
		ex->registered = false;
	}
	if (rpc_client_connected(ex->client))
		loop_timer_start(ex->again, AGAIN_MS);
}

static void
on_poll(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	struct executor *ex = arg;
	Millrace__PollReply *m;

	ex->polls--;
	if (*err != NULL) {
		if (ex->polls == 0)
			lost(ex);
		return;
	}
	m = millrace__poll_reply__unpack(NULL, len, body);
	for (size_t i = 0; m != NULL && i < m->n_offers; i++)
		offered(ex, m->offers[i]);
	if (m != NULL)
		millrace__poll_reply__free_unpacked(m, NULL);
	if (ex->polls == 0)
		poll_again(ex);
}

static void
on_control(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	struct executor *ex = arg;
	Millrace__ControlRequest req = MILLRACE__CONTROL_REQUEST__INIT;

	(void)body;
	(void)len;
	ex->control = false;
	if (*err != NULL)
		return;
	req.session = ex->session.s;
	ex->control = true;
	send_pb(ex->client, "executor.control", &req, HELD_MS, on_control, ex);
}

static void
poll_again(struct executor *ex)
{
	Millrace__PollRequest req = MILLRACE__POLL_REQUEST__INIT;

	if (!ex->registered)
		return;
	req.session = ex->session.s;
	req.free_slots = ex->slots - ex->used;
	ex->starved = req.free_slots == 0;
	ex->polls++;
	send_pb(ex->client, "executor.poll", &req, HELD_MS, on_poll, ex);
}

static void
on_registered(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	struct executor *ex = arg;
	struct drive *d = ex->d;
	struct err *none = NULL;

	(void)body;
	(void)len;
	if (*err != NULL) {
		loop_timer_start(ex->again, AGAIN_MS);
		return;
	}
	if (ex->registered)
		return;
	ex->registered = true;
	if (ex->polls == 0)
		poll_again(ex);
	if (!ex->control)
		on_control(NULL, 0, &none, ex);
	if (++d->nregistered < d->nexecutors)
		return;
	if (d->lanes == NULL) {
		printf("all %lld\n", (long long)(clock_mono_ms() - d->lost_ms));
		fflush(stdout);
	} else if (d->begun == 0) {
		lanes_start(d);
	}
}

static void
on_again(void *arg)
{
	struct executor *ex = arg;
	Millrace__RegisterRequest req = MILLRACE__REGISTER_REQUEST__INIT;

	req.version = text("bench");
	req.session = ex->session.s;
	req.arch = text("amd64");
	req.slots = ex->slots;
	send_pb(ex->client, "executor.register", &req, CALL_MS, on_registered, ex);
}

static void
on_connected(bool up, void *arg)
{
	struct executor *ex = arg;

	if (up)
		loop_timer_start(ex->again, 0);
	else
		lost(ex);
}

static void
executors_new(struct drive *d, unsigned n, unsigned slots)
{
	d->nexecutors = n;
	d->executors = xcalloc(n, sizeof(*d->executors));
	d->lost_ms = clock_mono_ms();
	for (unsigned i = 0; i < n; i++) {
		struct executor *ex = &d->executors[i];
		auto_free char *name = xasprintf("bench-%u", i + 1);
		auto_free char *key = xasprintf("%s/%s.key", d->keys, name);

		ex->d = d;
		ex->session = id_new();
		ex->slots = slots;
		ex->again = loop_timer_new(d->loop, "register", on_again, ex);
		ex->client = client_new(d, name, key, on_connected, ex);
	}
}

/* --- runs --- */

static void lane_begin(struct lane *l);

static void
lane_over(struct lane *l)
{
	struct drive *d = l->d;

	l->task_id[0] = '\0';
	l->ex->used--;
	if (l->ex->starved)
		poll_again(l->ex);
	if (++d->over == d->wanted)
		loop_quit(d->loop);
	else
		lane_begin(l);
}

static void
on_final(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	(void)body;
	(void)len;
	if (*err != NULL)
		die("task.report", err);
	lane_over(arg);
}

static void
on_begun(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	struct lane *l = arg;
	Millrace__ReportRequest req = MILLRACE__REPORT_REQUEST__INIT;
	Millrace__StepState done = MILLRACE__STEP_STATE__INIT, *steps[] = { &done };
	Millrace__Attempt a = MILLRACE__ATTEMPT__INIT;

	(void)body;
	(void)len;
	if (*err != NULL)
		die("task.begin", err);
	a.task_id = l->task_id;
	a.fence = l->fence;
	done.phase = text("success");
	req.attempt = &a;
	req.revision = 1;
	req.status = text("success");
	req.setup = &done;
	req.steps = steps;
	req.n_steps = 1;
	send_pb(l->ex->client, "task.report", &req, CALL_MS, on_final, l);
}

static void
on_accepted(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	struct lane *l = arg;
	Millrace__BeginRequest req = MILLRACE__BEGIN_REQUEST__INIT;
	Millrace__Attempt a = MILLRACE__ATTEMPT__INIT;

	(void)body;
	(void)len;
	if (*err != NULL)
		die("task.accept", err);
	a.task_id = l->task_id;
	a.fence = l->fence;
	req.attempt = &a;
	send_pb(l->ex->client, "task.begin", &req, CALL_MS, on_begun, l);
}

static void
offered(struct executor *ex, const Millrace__Offer *o)
{
	struct drive *d = ex->d;
	Millrace__AcceptRequest req = MILLRACE__ACCEPT_REQUEST__INIT;

	for (unsigned i = 0; i < d->nlanes; i++) {
		struct lane *l = &d->lanes[i];

		if (strcmp(l->task_id, o->attempt->task_id) != 0)
			continue;
		if (d->nlatency < d->wanted)
			d->latency_ms[d->nlatency++] =
			    (double)(clock_mono_us() - l->sent_us) / 1000;
		l->ex = ex;
		l->fence = o->attempt->fence;
		ex->used++;
		req.attempt = o->attempt;
		req.session = ex->session.s;
		send_pb(ex->client, "task.accept", &req, CALL_MS, on_accepted, l);
		return;
	}
}

static void
on_created(const uint8_t *body, size_t len, struct err **err, void *arg)
{
	(void)body;
	(void)len;
	(void)arg;
	if (*err != NULL)
		die("run.create", err);
}

static void
lane_begin(struct lane *l)
{
	struct drive *d = l->d;
	Millrace__Container container = MILLRACE__CONTAINER__INIT, *containers[] = { &container };
	Millrace__Step step = MILLRACE__STEP__INIT, *steps[] = { &step };
	Millrace__TaskSpec task = MILLRACE__TASK_SPEC__INIT, *tasks[] = { &task };
	Millrace__RunSpec run = MILLRACE__RUN_SPEC__INIT, *runs[] = { &run };
	Millrace__RunCreateRequest req = MILLRACE__RUN_CREATE_REQUEST__INIT;
	struct id request = id_new(), id = id_new();
	auto_free char *group = xasprintf("/project/bench%u/branch/%s-%u", l->index % OWNERS,
	    d->executors[0].session.s, l->index);

	if (d->begun == d->wanted)
		return;
	d->begun++;
	memcpy(l->task_id, id.s, sizeof(l->task_id));
	container.image = text("busybox");
	step.type = MILLRACE__STEP_TYPE__STEP_RUN;
	step.name = text("step");
	step.command = text("true");
	task.id = l->task_id;
	task.name = text("task");
	task.containers = containers;
	task.n_containers = 1;
	task.working_dir = text("/w");
	task.shell = text("/bin/sh");
	task.steps = steps;
	task.n_steps = 1;
	run.name = text("bench");
	run.group = group;
	run.tasks = tasks;
	run.n_tasks = 1;
	req.request_id = request.s;
	req.runs = runs;
	req.n_runs = 1;
	l->sent_us = clock_mono_us();
	send_pb(d->gateway, "run.create", &req, CALL_MS, on_created, l);
}

static void
lanes_start(struct drive *d)
{
	d->started_us = clock_mono_us();
	for (unsigned i = 0; i < d->nlanes; i++)
		lane_begin(&d->lanes[i]);
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
on_signal(int signum, void *arg)
{
	(void)signum;
	loop_quit(arg);
}

static unsigned
number(const char *s)
{
	return (unsigned)strtoul(s, NULL, 10);
}

static void
tasks(struct drive *d, char **argv)
{
	unsigned n = number(argv[1]);

	d->wanted = number(argv[2]);
	d->nlanes = number(argv[3]);
	d->lanes = xcalloc(d->nlanes, sizeof(*d->lanes));
	d->latency_ms = xcalloc(d->wanted, sizeof(*d->latency_ms));
	for (unsigned i = 0; i < d->nlanes; i++)
		d->lanes[i] = (struct lane){ .d = d, .index = i };
	d->gateway = client_new(d, "gateway", argv[0], NULL, NULL);
	executors_new(d, n, (d->nlanes + n - 1) / n + 1);
	loop_run(d->loop);
	if (d->over < d->wanted)
		return;
	double seconds = (double)(clock_mono_us() - d->started_us) / 1e6;
	qsort(d->latency_ms, d->nlatency, sizeof(double), by_size);
	printf("%.1f %.3f %.3f\n", d->wanted / seconds, d->latency_ms[d->nlatency / 2],
	    d->latency_ms[d->nlatency * 99 / 100]);
}

int
main(int argc, char **argv)
{
	struct drive d = { 0 };

	log_init("drive", LOG_WARN);
	crypto_init();
	d.loop = loop_new();
	loop_on_signal(d.loop, SIGTERM, on_signal, d.loop);
	d.url = argc > 3 ? argv[2] : "";
	d.keys = argc > 3 ? argv[3] : "";
	if (argc == 8 && strcmp(argv[1], "tasks") == 0) {
		tasks(&d, argv + 4);
	} else if (argc == 5 && strcmp(argv[1], "fleet") == 0) {
		executors_new(&d, number(argv[4]), 1);
		loop_run(d.loop);
	} else {
		fprintf(stderr, "usage: see the first lines of bench/drive.c\n");
		return 2;
	}
	fflush(stdout);
	/* The process ends here with all it holds. */
	_Exit(0);
}
