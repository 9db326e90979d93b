/*
 * The whole runservice over real NNG, HTTP and PostgreSQL; the test plays gateway and executors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/mem.h"
#include "runservice/batch.h"
#include "runservice/executors.h"
#include "runservice/runservice.h"
#include "tests/lib/rs_archive.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#define SHORT_LEASE_MS 1500
#define TEXT(s_) (s_), (sizeof(s_) - 1)

static void *
unconst(const void *s)
{
	return (void *)(uintptr_t)s;
}

static const struct rs_peer_task one_task[] = { { .name = "task", .nsteps = 1 } };

/* --- a task's whole way --- */

static void
follow_live(struct rs_peer *p, struct rs_executor *ex, const struct rs_offer *o, uint64_t number)
{
	Millrace__LogReadRequest req = MILLRACE__LOG_READ_REQUEST__INIT;
	struct rs_call follower = { 0 };
	uint64_t received = 0, stored = 9;
	req.owner = unconst(RS_PEER_OWNER);
	req.number = number;
	req.task_id = unconst(o->task_id);
	req.step = 0;
	req.has_wait_ms = true;
	req.wait_ms = 15000;
	rs_call_start(&follower, p, p->gateway, "log.read", &req);
	rs_peer_turn(p, 50);
	assert_false(follower.done);
	assert_int_equal(rs_ex_log(ex, o, 0, 0, TEXT("hello "), false, &received, &stored), 0);
	assert_int_equal(received, 6);
	assert_int_equal(rs_call_wait(&follower), 0);
	Millrace__LogReadReply *m =
	    millrace__log_read_reply__unpack(NULL, follower.len, follower.body);
	assert_non_null(m);
	assert_int_equal(m->data.len, 6);
	assert_memory_equal(m->data.data, "hello ", 6);
	assert_false(m->end);
	millrace__log_read_reply__free_unpacked(m, NULL);
	rs_call_clear(&follower);
}

static void
append_log(struct rs_peer *p, struct rs_executor *ex, const struct rs_offer *o, uint64_t number)
{
	uint64_t received = 0, stored = 9;
	uint8_t packed[256];
	int code;
	follow_live(p, ex, o, number);
	/* A gap is not taken, what is said again is not doubled. */
	assert_int_equal(rs_ex_log(ex, o, 0, 100, TEXT("lost"), false, &received, &stored), 0);
	assert_int_equal(received, 6);
	assert_int_equal(rs_ex_log(ex, o, 0, 0, TEXT("hello world"), false, &received, NULL), 0);
	assert_int_equal(received, 11);
	assert_int_equal(rs_ex_log(ex, o, 0, 0, TEXT("hello"), false, &received, NULL), 0);
	assert_int_equal(received, 11);
	assert_int_equal(rs_ex_log(ex, o, 0, 11, "", 0, true, &received, &stored), 0);
	assert_int_equal(received, 11);
	assert_int_equal(stored, 11);
	/* Compressed, over the stored part. */
	Millrace__LogAppendRequest req = MILLRACE__LOG_APPEND_REQUEST__INIT;
	Millrace__Attempt a = MILLRACE__ATTEMPT__INIT;
	a.task_id = unconst(o->task_id);
	a.fence = o->fence;
	req.attempt = &a;
	req.offset = 11;
	req.has_zstd = req.zstd = req.has_end = req.end = true;
	req.data.data = packed;
	req.data.len = ZSTD_compress(packed, sizeof(packed), "\nbye\n", 5, 1);
	assert_int_equal(rs_call(p, ex->client, "log.append", &req, NULL, NULL), 0);
	auto_free char *log = rs_peer_log(p, number, o->task_id, 0, &code);
	assert_string_equal(log, "hello world\nbye\n");
	req.data.len = 3; /* no whole frame */
	assert_int_equal(rs_call(p, ex->client, "log.append", &req, NULL, NULL), ERR_INVALID);
}

static const struct rs_part parts[] = { { "the first part", 14 }, { "and the second", 14 } };

static void
check_urls(struct rs_peer *p, const char *url)
{
	auto_free char *bad = xstrdup(url);
	const char *expires = strcasestr(url, "expires=");
	assert_non_null(expires);
	assert_int_equal(rs_peer_http(p, "GET", url, NULL, 0, NULL), 403);
	assert_int_equal(rs_peer_http(p, "POST", url, "x", 1, NULL), rs_peer_s3(p) ? 403 : 405);
	bad[strlen(bad) - 1] ^= 1;
	assert_int_equal(rs_peer_http(p, "PUT", bad, "x", 1, NULL), 403);
	bad[strlen(bad) - 1] ^= 1;
	bad[expires - url + 8] = '9'; /* later than was signed */
	assert_int_equal(rs_peer_http(p, "PUT", bad, "x", 1, NULL), 403);
}

static void
save_archive(struct rs_peer *p, struct rs_executor *ex, const struct rs_offer *o)
{
	struct rs_part shorter[] = { parts[0], { parts[1].text, 13 } };
	auto_free char *id = rs_ex_archive_begin(ex, o, 1, NULL, NULL);
	Millrace__ArchiveUrlsReply *urls = rs_ex_archive_urls(ex, o, id, 2, 0);
	assert_int_equal(urls->n_urls, 2);
	assert_non_null(strstr(urls->urls[0], o->task_id));
	check_urls(p, urls->urls[0]);
	assert_int_equal(rs_ex_archive_complete(ex, o, id, 1, parts, 2, NULL), ERR_INVALID);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(rs_peer_http(p, "PUT", urls->urls[i], parts[i].text,
		                     strlen(parts[i].text), NULL),
		    200);
	/* Said again it is well. Something else is refused; S3 cannot, so readers have a checksum.
	 */
	assert_int_equal(
	    rs_peer_http(p, "PUT", urls->urls[0], parts[0].text, strlen(parts[0].text), NULL), 200);
	if (!rs_peer_s3(p))
		assert_int_equal(rs_peer_http(p, "PUT", urls->urls[0], TEXT("other"), NULL), 409);
	assert_int_equal(rs_ex_archive_complete(ex, o, id, 1, shorter, 2, NULL), ERR_INVALID);
	assert_int_equal(rs_ex_archive_complete(ex, o, id, 0, parts, 2, NULL), ERR_INVALID);
	assert_int_equal(rs_ex_archive_complete(ex, o, id, 1, parts, 2, NULL), 0);
	assert_int_equal(rs_ex_archive_complete(ex, o, id, 1, parts, 2, NULL), 0);
	rs_ex_archive_urls(ex, o, id, 1, ERR_CONFLICT);
	millrace__archive_urls_reply__free_unpacked(urls, NULL);
}

static void
restore_archive(struct rs_peer *p, struct rs_executor *ex, const struct rs_offer *o,
    const Millrace__AcceptReply *plan)
{
	Millrace__ArchiveGetReply *got = NULL;
	assert_int_equal(plan->n_workspace, 1);
	assert_string_equal(plan->workspace[0]->task_name, "first");
	assert_int_equal(plan->workspace[0]->step, 1);
	assert_int_equal(rs_ex_archive_get(ex, o, plan->workspace[0]->archive_id, &got), 0);
	assert_int_equal(got->total_parts, 2);
	for (size_t i = 0; i < 2; i++) {
		auto_buf body = BUF_INIT;
		uint8_t sha[CRYPTO_SHA256_LEN];
		assert_int_equal(rs_peer_http(p, "GET", got->parts[i]->url, NULL, 0, &body), 200);
		assert_string_equal(buf_str(&body), parts[i].text);
		assert_int_equal(rs_peer_http(p, "PUT", got->parts[i]->url, "x", 1, NULL), 403);
		crypto_sha256(sha, body.data, body.len);
		assert_memory_equal(sha, got->parts[i]->sha256.data, sizeof(sha));
	}
	millrace__archive_get_reply__free_unpacked(got, NULL);
	assert_int_equal(
	    rs_ex_archive_get(ex, o, "00000000-0000-0000-0000-000000000000", NULL), ERR_NOTFOUND);
}

static void
check_plan(const Millrace__AcceptReply *plan, const struct rs_offer *o)
{
	assert_string_equal(plan->run_id, o->run_id);
	assert_string_equal(plan->spec->id, o->task_id);
	assert_string_equal(plan->spec->environment[0]->value->literal, "correct horse");
	assert_null(plan->spec->environment[0]->value->variable);
	assert_int_equal(plan->n_secrets, 1);
	assert_memory_equal(plan->secrets[0].data, "correct horse", 13);
	assert_int_equal(plan->n_workspace, 0);
	const Millrace__Pair *last = plan->static_environment[plan->n_static_environment - 1];
	assert_string_equal(last->name, "AGOLA_RUN_COUNTER");
	assert_string_equal(last->value, "1");
}

static void
delete_log(struct rs_peer *p, uint64_t number, const char *task_id)
{
	Millrace__LogDeleteRequest req = MILLRACE__LOG_DELETE_REQUEST__INIT;
	int code = 0;
	req.owner = unconst(RS_PEER_OWNER);
	req.number = number;
	req.task_id = unconst(task_id);
	req.step = 0;
	assert_int_equal(rs_call(p, p->gateway, "log.delete", &req, NULL, NULL), 0);
	assert_int_equal(rs_call(p, p->gateway, "log.delete", &req, NULL, NULL), 0);
	assert_null(rs_peer_log(p, number, task_id, 0, &code));
	assert_int_equal(code, ERR_NOTFOUND);
}

static void
a_run_goes_all_the_way(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "first", .nsteps = 2, .save = true, .variable = "password" },
		{ .name = "second", .nsteps = 1, .after = "first" },
	};
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	struct rs_offer o[2], b;
	Millrace__AcceptReply *plan = NULL, *again = NULL;
	int code;
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	rs_ex_poll(ex, 2);
	rs_peer_turn(p, 50);
	uint64_t number = rs_peer_run(p, "main", tasks, 2, NULL);
	assert_int_equal(rs_ex_polled(ex, o, 2), 1);
	rs_ex_poll(ex, 1); /* the next one is parked all the time */
	assert_int_equal(rs_ex_accept(ex, &o[0], &plan), 0);
	check_plan(plan, &o[0]);
	assert_int_equal(rs_ex_accept(ex, &o[0], &again), 0);
	assert_int_equal(millrace__accept_reply__get_packed_size(plan),
	    millrace__accept_reply__get_packed_size(again));
	assert_int_equal(rs_ex_report(ex, &o[0], 1, "running", "rnn"), 0);
	assert_int_equal(rs_ex_begin(ex, &o[0]), 0);
	assert_int_equal(rs_ex_begin(ex, &o[0]), 0);
	assert_int_equal(rs_ex_report(ex, &o[0], 2, "running", "srn"), 0);
	assert_int_equal(rs_ex_report(ex, &o[0], 1, "running", "rnn"), 0); /* from the past */
	Millrace__RunState *run = rs_peer_get(p, number);
	assert_string_equal(rs_peer_task(run, "first")->status, "running");
	assert_string_equal(rs_peer_task(run, "first")->steps[0]->phase, "running");
	millrace__run_state__free_unpacked(run, NULL);
	append_log(p, ex, &o[0], number);
	save_archive(p, ex, &o[0]);
	assert_int_equal(rs_ex_report(ex, &o[0], 3, "success", "sss"), 0);
	assert_int_equal(rs_ex_report(ex, &o[0], 3, "success", "sss"), 0);
	assert_int_equal(rs_ex_report(ex, &o[0], 4, "failed", "ssf"), ERR_CONFLICT);
	assert_int_equal(rs_ex_polled(ex, &b, 1), 1);
	millrace__accept_reply__free_unpacked(again, NULL);
	assert_int_equal(rs_ex_accept(ex, &b, &again), 0);
	restore_archive(p, ex, &b, again);
	assert_int_equal(rs_ex_begin(ex, &b), 0);
	assert_int_equal(rs_ex_report(ex, &b, 1, "success", "ss"), 0);
	assert_int_equal(rs_ex_report(ex, &b, 1, "success", "ss"), 0); /* its run is over */
	assert_string_equal(rs_peer_state(p, number), "finished success");
	auto_free char *log = rs_peer_log(p, number, o[0].task_id, 0, &code);
	assert_string_equal(log, "hello world\nbye\n");
	delete_log(p, number, o[0].task_id);
	auto_free char *plain = rs_peer_sql(p,
	    "select count(*) from definitions where position('correct horse'::bytea in spec) > 0");
	assert_string_equal(plain, "0");
	millrace__accept_reply__free_unpacked(plan, NULL);
	millrace__accept_reply__free_unpacked(again, NULL);
}

/* --- who may do what --- */

static struct rs_offer
start_task(struct rs_peer *p, uint64_t *number)
{
	struct rs_executor *ex = &p->ex[0];
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	*number = rs_peer_run(p, "main", one_task, 1, NULL);
	struct rs_offer o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	return o;
}

static void
refused_everywhere(struct rs_executor *ex, const struct rs_offer *o)
{
	assert_int_equal(rs_ex_accept(ex, o, NULL), ERR_CONFLICT);
	assert_int_equal(rs_ex_begin(ex, o), ERR_CONFLICT);
	assert_int_equal(rs_ex_report(ex, o, 99, "success", "ss"), ERR_CONFLICT);
	assert_int_equal(rs_ex_log(ex, o, 0, 0, TEXT("forged"), true, NULL, NULL), ERR_CONFLICT);
	assert_int_equal(
	    rs_ex_archive_get(ex, o, "00000000-0000-0000-0000-000000000000", NULL), ERR_CONFLICT);
	assert_int_equal(rs_ex_renew(ex, o, 1), 1);
}

static void
only_its_executor_may(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number;
	struct rs_offer o = start_task(p, &number), wrong = o;
	assert_int_equal(rs_ex_register(&p->ex[1], NULL, 0), 0);
	refused_everywhere(&p->ex[1], &o);
	wrong.fence++;
	refused_everywhere(ex, &wrong);
	wrong.fence = UINT64_MAX;
	assert_int_equal(rs_ex_report(ex, &wrong, 1, "failed", "f"), ERR_CONFLICT);
	assert_int_equal(rs_ex_renew(ex, &wrong, 1), ERR_INVALID);
	strcpy(wrong.task_id, "'; drop table runs; --");
	assert_int_equal(rs_ex_begin(ex, &wrong), ERR_CONFLICT);
	assert_int_equal(rs_ex_report(ex, &wrong, 1, "failed", "f"), ERR_CONFLICT);
	/* A register that names what another holds takes nothing. */
	assert_int_equal(rs_ex_register(&p->ex[1], &o, 1), 1);
	/* Its own archive, but another attempt's id. */
	auto_free char *id = rs_ex_archive_begin(ex, &o, 0, NULL, NULL);
	rs_peer_exec(p, "update archives set fence = 77");
	rs_ex_archive_urls(ex, &o, id, 1, ERR_DENIED);
	assert_int_equal(rs_ex_archive_complete(ex, &o, id, 0, NULL, 0, NULL), ERR_DENIED);
	rs_ex_archive_urls(ex, &o, "11111111-2222-4333-8444-555555555555", 1, ERR_NOTFOUND);
	rs_ex_do(ex, &o, 1);
	assert_string_equal(rs_peer_state(p, number), "finished success");
}

static void
send_all(int fd, const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* A peer that speaks NNG's wire format, and then nonsense. Returns the length of the answer. */
static size_t
speak_raw(struct rs_peer *p, const void *bytes, size_t n, uint64_t claimed)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	uint8_t head[8] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 }, len[9] = { 1 }, in[4096];
	size_t got = 0, want = 17;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/rpc", p->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	for (int i = 0; i < 8; i++)
		len[1 + i] = (uint8_t)(claimed >> (56 - 8 * i));
	send_all(fd, head, sizeof(head));
	send_all(fd, len, sizeof(len));
	if (n > 0)
		send_all(fd, bytes, n);
	for (int64_t end = clock_mono_ms() + 1000; got < want && clock_mono_ms() < end;) {
		loop_run_once(p->loop, 5);
		ssize_t r = recv(fd, in + got, sizeof(in) - got, MSG_DONTWAIT);
		if (r == 0 || (r < 0 && errno != EAGAIN))
			break;
		got += r > 0 ? (size_t)r : 0;
	}
	close(fd);
	return got > 8 ? got - 8 : 0;
}

static void
nonsense_is_refused(void **state)
{
	static const char *const methods[] = { "executor.register", "executor.poll",
		"executor.control", "executor.renew", "task.accept", "task.begin", "task.report",
		"log.append", "archive.begin", "archive.urls", "archive.complete", "archive.get" };
	static const char *const gateways[] = { "run.create", "run.list", "run.get", "run.action",
		"task.approve", "log.read", "log.delete" };
	static const uint8_t junk[] = { 0x80, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0a, 0x7f, 0, 1 };
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	struct rs_call c = { 0 };
	uint64_t number;
	struct rs_offer o = start_task(p, &number);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		rs_call_raw(&c, p, ex->client, methods[i], TEXT("\xff\xff\xff nonsense"));
		assert_int_equal(rs_call_wait(&c), ERR_INVALID);
		rs_call_raw(&c, p, ex->client, methods[i], "", 0);
		assert_int_equal(rs_call_wait(&c), ERR_INVALID);
		rs_call_raw(&c, p, p->gateway, methods[i], "", 0);
		assert_int_equal(rs_call_wait(&c), ERR_DENIED);
	}
	for (size_t i = 0; i < ARRAY_LEN(gateways); i++) {
		rs_call_raw(&c, p, p->gateway, gateways[i], TEXT("\xff\xff\xff nonsense"));
		assert_int_equal(rs_call_wait(&c), ERR_INVALID);
		rs_call_raw(&c, p, ex->client, gateways[i], "", 0);
		assert_int_equal(rs_call_wait(&c), ERR_DENIED);
	}
	rs_call_raw(&c, p, ex->client, "no.such", "", 0);
	assert_int_equal(rs_call_wait(&c), ERR_INVALID);
	auto_free char *large = xcalloc(1, 600u << 10);
	rs_call_raw(&c, p, ex->client, "task.begin", large, 5000);
	assert_int_equal(rs_call_wait(&c), ERR_INVALID);
	rs_call_raw(&c, p, ex->client, "log.append", large, 600u << 10);
	assert_int_equal(rs_call_wait(&c), ERR_INVALID);
	rs_call_clear(&c);
	assert_int_equal(
	    rs_ex_log(ex, &o, 0, 0, large, (256u << 10) + 1, false, NULL, NULL), ERR_INVALID);
	assert_int_equal(rs_ex_log(ex, &o, 1, 0, TEXT("x"), false, NULL, NULL), ERR_INVALID);
	assert_int_equal(rs_ex_log(ex, &o, -2, 0, TEXT("x"), false, NULL, NULL), ERR_INVALID);
	assert_int_equal(
	    rs_ex_log(ex, &o, 0, UINT64_MAX, TEXT("x"), false, NULL, NULL), ERR_INVALID);
	assert_int_equal(rs_ex_report(ex, &o, 1, "splendid", "s"), ERR_INVALID);
	assert_int_equal(rs_ex_report(ex, &o, 1, "running", "rnnnn"), ERR_INVALID);
	assert_true(speak_raw(p, junk, sizeof(junk), sizeof(junk)) > 9);
	assert_int_equal(speak_raw(p, junk, sizeof(junk), 1ull << 40), 0);
	speak_raw(p, junk, 3, 3);
	speak_raw(p, junk, 2, sizeof(junk)); /* half a message, then gone */
	rs_ex_do(ex, &o, 1);
	assert_string_equal(rs_peer_state(p, number), "finished success");
}

static void
wrong_keys_are_refused(void **state)
{
	struct rs_peer *p = *state;
	static const char *const names[] = { "ex1", "gateway", "nobody", "..", "ex2.key" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct rpc_client *thief = rs_peer_client(p, names[i],
		    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
		struct rs_call c = { 0 };
		rs_call_raw(&c, p, thief, "executor.poll", "", 0);
		assert_int_equal(rs_call_wait(&c), ERR_DENIED);
		rs_call_clear(&c);
		rpc_client_free(thief);
	}
}

/* What an executor says about an error is text, whatever bytes it sends. */
static void
error_texts_are_cleaned(void **state)
{
	struct rs_peer *p = *state;
	uint64_t number;
	struct rs_offer o = start_task(p, &number);
	Millrace__ReportRequest req = MILLRACE__REPORT_REQUEST__INIT;
	Millrace__StepState setup = MILLRACE__STEP_STATE__INIT;
	Millrace__Attempt a = MILLRACE__ATTEMPT__INIT;
	auto_free char *error = xcalloc(1, 6001);
	memset(error, 'e', 6000);
	memcpy(error, "bad \xff\xc0\x80 \xed\xa0\x80 good \xc3\xa4", 19);
	memcpy(error + 4094, "\xe2\x82\xac", 3); /* would be cut in the middle */
	a.task_id = o.task_id;
	a.fence = o.fence;
	req.attempt = &a;
	req.revision = 1;
	req.status = unconst("failed");
	setup.phase = unconst("failed");
	setup.error = error;
	req.setup = &setup;
	assert_int_equal(rs_call(p, p->ex[0].client, "task.report", &req, NULL, NULL), 0);
	Millrace__RunState *run = rs_peer_get(p, number);
	const char *kept = run->tasks[0]->setup->error;
	assert_int_equal(strncmp(kept, "bad ??? ??? good \xc3\xa4", 19), 0);
	assert_in_range(strlen(kept), 4090, 4096);
	assert_int_equal(kept[strlen(kept) - 1], 'e');
	millrace__run_state__free_unpacked(run, NULL);
	assert_string_equal(rs_peer_state(p, number), "finished failed");
}

/* --- offers and leases --- */

static void
an_offer_not_taken_goes_back(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	uint64_t number = rs_peer_run(p, "main", one_task, 1, NULL);
	struct rs_offer o = rs_ex_offer(ex);
	int64_t start = clock_mono_ms();
	struct rs_offer again = rs_ex_offer(ex);
	assert_in_range(clock_mono_ms() - start, RS_PEER_OFFER_MS - 50, 20 * RS_PEER_OFFER_MS);
	assert_string_equal(o.task_id, again.task_id);
	assert_true(again.fence > o.fence);
	assert_int_equal(rs_ex_accept(ex, &o, NULL), ERR_CONFLICT);
	rs_ex_do(ex, &again, 1);
	assert_string_equal(rs_peer_state(p, number), "finished success");
}

/* Two offers for one slot: the second is withdrawn at once and comes back. */
static void
slots_are_not_promised_twice(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	struct rs_offer o[4];
	uint64_t numbers[6];
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		char branch[] = { 'b', (char)('0' + i), '\0' };
		numbers[i] = rs_peer_run(p, branch, one_task, 1, NULL);
	}
	size_t n = 0;
	while (n < 4) {
		rs_ex_poll(ex, (unsigned)(4 - n));
		n += rs_ex_polled(ex, o + n, 4 - n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(rs_ex_accept(ex, &o[i], NULL), 0);
	}
	rs_ex_poll(ex, 4); /* it lies: all its slots are taken */
	rs_peer_turn(p, 300);
	assert_false(ex->poll.done);
	rs_call_clear(&ex->poll);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rs_ex_report(ex, &o[i], 1, "success", "ss"), 0);
	for (size_t i = 4; i < ARRAY_LEN(numbers); i++) {
		struct rs_offer more = rs_ex_offer(ex);
		rs_ex_do(ex, &more, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		assert_string_equal(rs_peer_state(p, numbers[i]), "finished success");
}

static void
a_lease_is_renewed_or_ends(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number;
	p->cfg.lease_ms = SHORT_LEASE_MS;
	struct rs_offer o = start_task(p, &number);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "running", "sr"), 0);
	for (int i = 0; i < 5; i++) {
		rs_peer_turn(p, SHORT_LEASE_MS / 2);
		assert_int_equal(rs_ex_renew(ex, &o, 1), 0);
	}
	assert_string_equal(rs_peer_state(p, number), "running unknown");
	assert_int_equal(rs_ex_log(ex, &o, 0, 0, TEXT("last words"), false, NULL, NULL), 0);
	rs_peer_turn(p, SHORT_LEASE_MS / 2);
	assert_string_equal(rs_peer_state(p, number), "running unknown");
	int64_t end = clock_mono_ms() + 10 * SHORT_LEASE_MS;
	while (strcmp(rs_peer_state(p, number), "finished failed") != 0) {
		assert_true(clock_mono_ms() < end);
		rs_peer_turn(p, 20);
	}
	Millrace__RunState *run = rs_peer_get(p, number);
	assert_non_null(strstr(run->tasks[0]->steps[0]->error, "lost"));
	millrace__run_state__free_unpacked(run, NULL);
	refused_everywhere(ex, &o);
	int code;
	auto_free char *log = rs_peer_log(p, number, o.task_id, 0, &code);
	assert_string_equal(log, "last words");
}

/* No step has started: somebody else may take it, and its log begins anew. */
static void
what_did_not_begin_is_tried_anew(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0], *other = &p->ex[1];
	uint64_t number, received = 9, stored = 9;
	p->cfg.lease_ms = SHORT_LEASE_MS;
	struct rs_offer o = start_task(p, &number);
	int code;
	assert_int_equal(rs_ex_register(other, NULL, 0), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "running", "rn"), 0);
	assert_int_equal(rs_ex_log(ex, &o, -1, 0, TEXT("pulling for ever"), true, NULL, NULL), 0);
	assert_int_equal(rs_ex_log(ex, &o, -1, 16, TEXT(" and ever"), false, NULL, NULL), 0);
	struct rs_offer again = rs_ex_offer(other);
	assert_string_equal(o.task_id, again.task_id);
	assert_true(again.fence > o.fence);
	refused_everywhere(ex, &o);
	Millrace__RunState *run = rs_peer_get(p, number);
	assert_string_equal(run->tasks[0]->status, "notstarted");
	assert_string_equal(run->tasks[0]->setup->phase, "notstarted");
	millrace__run_state__free_unpacked(run, NULL);
	assert_int_equal(rs_ex_accept(other, &again, NULL), 0);
	assert_int_equal(
	    rs_ex_log(other, &again, -1, 0, TEXT("pulled"), true, &received, &stored), 0);
	assert_int_equal(received, 6);
	assert_int_equal(stored, 6);
	auto_free char *log = rs_peer_log(p, number, o.task_id, -1, &code);
	assert_string_equal(log, "pulled");
	assert_int_equal(rs_ex_report(other, &again, 1, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished success");
}

/* A task that kills every executor is not tried for ever. */
static void
tries_are_counted(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number;
	struct rs_offer o = start_task(p, &number);
	for (int i = 1; strcmp(rs_peer_state(p, number), "finished failed") != 0; i++) {
		assert_true(i <= 3);
		struct id session = id_new();
		memcpy(ex->session, session.s, sizeof(ex->session));
		assert_int_equal(rs_ex_register(ex, NULL, 0), 0); /* it has forgotten the task */
		if (i == 3)
			rs_peer_turn(p, 300);
		if (i < 3) {
			o = rs_ex_offer(ex);
			assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
		}
	}
	Millrace__RunState *run = rs_peer_get(p, number);
	assert_non_null(strstr(run->tasks[0]->setup->error, "lost"));
	millrace__run_state__free_unpacked(run, NULL);
}

/* --- what users do --- */

static void
control(struct rs_executor *ex, const struct rs_offer *known, size_t n)
{
	Millrace__ControlRequest req = MILLRACE__CONTROL_REQUEST__INIT;
	Millrace__Attempt a = MILLRACE__ATTEMPT__INIT, *list[] = { &a };
	if (n > 0) {
		a.task_id = unconst(known->task_id);
		a.fence = known->fence;
	}
	req.session = ex->session;
	req.stopping = list;
	req.n_stopping = n;
	rs_call_start(&ex->control, ex->peer, ex->client, "executor.control", &req);
}

static void
stop_and_cancel(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	struct id stop = id_new(), cancel = id_new();
	uint64_t first;
	struct rs_offer o = start_task(p, &first);
	uint64_t second = rs_peer_run(p, "main", one_task, 1, NULL),
	         third = rs_peer_run(p, "main", one_task, 1, NULL);
	assert_string_equal(rs_peer_state(p, second), "queued unknown");
	assert_int_equal(rs_peer_action(p, second, "stop", NULL), ERR_CONFLICT);
	assert_int_equal(rs_peer_action(p, second, "cancel", cancel.s), (int)second);
	assert_int_equal(rs_peer_action(p, second, "cancel", cancel.s), (int)second);
	assert_int_equal(rs_peer_action(p, second, "cancel", NULL), ERR_CONFLICT);
	assert_string_equal(rs_peer_state(p, second), "cancelled unknown");
	assert_int_equal(rs_peer_action(p, first, "cancel", NULL), ERR_CONFLICT);
	assert_int_equal(rs_peer_action(p, first, "explode", NULL), ERR_INVALID);
	control(ex, NULL, 0);
	rs_peer_turn(p, 50);
	assert_false(ex->control.done);
	assert_int_equal(rs_peer_action(p, first, "stop", stop.s), (int)first);
	assert_int_equal(rs_call_wait(&ex->control), 0);
	Millrace__ControlReply *m =
	    millrace__control_reply__unpack(NULL, ex->control.len, ex->control.body);
	assert_non_null(m);
	assert_int_equal(m->n_stop, 1);
	assert_string_equal(m->stop[0]->task_id, o.task_id);
	assert_int_equal(m->stop[0]->fence, o.fence);
	millrace__control_reply__free_unpacked(m, NULL);
	control(ex, &o, 1);
	rs_peer_turn(p, 50);
	assert_false(ex->control.done);
	control(ex, NULL, 0); /* it forgot */
	assert_int_equal(rs_call_wait(&ex->control), 0);
	assert_int_equal(rs_peer_action(p, first, "stop", NULL), (int)first);
	assert_int_equal(rs_ex_report(ex, &o, 1, "stopped", "sx"), 0);
	assert_string_equal(rs_peer_state(p, first), "finished stopped");
	assert_int_equal(rs_peer_action(p, first, "stop", stop.s), (int)first);
	assert_int_equal(rs_peer_action(p, first, "stop", NULL), ERR_CONFLICT);
	assert_string_equal(rs_peer_state(p, third), "running unknown");
	struct rs_offer next = rs_ex_offer(ex);
	rs_ex_do(ex, &next, 1);
	assert_string_equal(rs_peer_state(p, third), "finished success");
}

static void
conditions_approval_and_restart(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "soft", .nsteps = 1, .ignore_failure = true },
		{ .name = "after", .nsteps = 1, .after = "soft", .when = "on_failure" },
		{ .name = "never", .nsteps = 1, .after = "soft", .when = "on_success" },
		{ .name = "gated",
		    .nsteps = 1,
		    .after = "never",
		    .when = "on_skipped",
		    .needs_approval = true },
		{ .name = "skipped", .nsteps = 1, .skip = true },
	};
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	struct id request = id_new();
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	uint64_t number = rs_peer_run(p, "main", tasks, ARRAY_LEN(tasks), NULL);
	assert_int_equal(rs_peer_action(p, number, "restart", NULL), ERR_CONFLICT);
	struct rs_offer o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "failed", "sf"), 0);
	o = rs_ex_offer(ex);
	Millrace__RunState *run = rs_peer_get(p, number);
	assert_string_equal(o.task_id, rs_peer_task(run, "after")->id);
	assert_string_equal(rs_peer_task(run, "never")->status, "skipped");
	assert_true(rs_peer_task(run, "gated")->waiting_approval);
	assert_non_null(strstr(rs_peer_task(run, "gated")->wait_reason, "approval"));
	assert_string_equal(run->result, "unknown");
	millrace__run_state__free_unpacked(run, NULL);
	rs_ex_do(ex, &o, 1);
	assert_int_equal(rs_peer_approve(p, number, "after", "u1"), ERR_CONFLICT);
	assert_int_equal(rs_peer_approve(p, number, "gated", "a\"b"), ERR_INVALID);
	assert_int_equal(rs_peer_approve(p, number, "gated", "u1"), 0);
	assert_int_equal(rs_peer_approve(p, number, "gated", "u1"), ERR_CONFLICT);
	o = rs_ex_offer(ex);
	rs_ex_do(ex, &o, 1);
	assert_string_equal(rs_peer_state(p, number), "finished success");
	assert_int_equal(rs_peer_action(p, number, "restart_failed", NULL), ERR_CONFLICT);
	int again = rs_peer_action(p, number, "restart", request.s);
	assert_int_equal(again, (int)number + 1);
	assert_int_equal(rs_peer_action(p, number, "restart", request.s), again);
	o = rs_ex_offer(ex);
	rs_ex_do(ex, &o, 1);
	run = rs_peer_get(p, (uint64_t)again);
	assert_string_equal(rs_peer_task(run, "soft")->status, "success");
	assert_string_equal(rs_peer_task(run, "after")->status, "skipped");
	millrace__run_state__free_unpacked(run, NULL);
}

/* --- faults --- */

static void
postgres_restarts_in_a_task(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number, received = 0, stored = 0;
	struct rs_offer o = start_task(p, &number);
	int code;
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "running", "sr"), 0);
	for (int i = 0; i < 3; i++) {
		uint64_t at = received;
		do {
			code =
			    rs_ex_log(ex, &o, 0, at, TEXT("0123456789"), true, &received, &stored);
			/* A new term: the log is what was stored. */
			if (code == 0 && received < at)
				at = received;
			if (code == 0 && stored == at + 10)
				break;
			assert_true(code == 0 || code == ERR_UNAVAILABLE || code == ERR_CONFLICT);
			rs_peer_turn(p, 20);
			assert_true(rs_ex_register(ex, &o, 1) == 0);
		} while (1);
		rs_peer_restart_pg();
	}
	assert_true(rs_ex_register(ex, &o, 1) == 0);
	assert_int_equal(rs_ex_report(ex, &o, 2, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished success");
	auto_free char *log = rs_peer_log(p, number, o.task_id, 0, &code);
	assert_string_equal(log, "012345678901234567890123456789");
}

/* Runs are made while PostgreSQL dies again and again: each request makes one run, each run is
 * offered and ends. */
static void
postgres_dies_in_transactions(void **state)
{
	enum { RUNS = 60 };
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	bool seen[RUNS + 1] = { false };
	char sh[] = "sh", c[] = "-c",
	     script[] = "for i in 1 2 3 4 5; do $MILLRACE_TEST_PG || exit; done";
	char *const argv[] = { sh, c, script, NULL };
	pid_t child;
	assert_int_equal(posix_spawnp(&child, sh, NULL, NULL, argv, environ), 0);
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	for (int i = 1; i <= RUNS; i++) {
		char branch[16];
		snprintf(branch, sizeof(branch), "b%d", i);
		uint64_t number = rs_peer_run(p, branch, one_task, 1, NULL);
		assert_in_range(number, 1, RUNS);
		assert_false(seen[number]);
		seen[number] = true;
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(rs_ex_register(ex, NULL, 0) >= 0);
	for (int i = 1; i <= RUNS; i++) {
		struct rs_offer o = rs_ex_offer(ex);
		rs_ex_do(ex, &o, 1);
	}
	for (int i = 1; i <= RUNS; i++)
		assert_string_equal(rs_peer_state(p, (uint64_t)i), "finished success");
	auto_free char *open =
	    rs_peer_sql(p, "select count(*) from attempts where state <> 'closed'");
	assert_string_equal(open, "0");
}

/* As an executor does that is told to wait. */
static int
until_answered(struct rs_executor *ex, const struct rs_offer *o, int what)
{
	for (int64_t end = clock_mono_ms() + RS_PEER_WAIT_MS; clock_mono_ms() < end;) {
		int code = what == 0   ? rs_ex_accept(ex, o, NULL)
		           : what == 1 ? rs_ex_begin(ex, o)
		                       : rs_ex_report(ex, o, 1, "success", "ss");
		/* In a new term nobody knows the attempt before everything is read again. */
		if (code != ERR_UNAVAILABLE)
			return code;
		assert_true(rs_ex_register(ex, o, what > 0) >= 0);
	}
	return ERR_UNAVAILABLE;
}

/* Commits take effect and are never answered: what is in memory still becomes what the rows say. */
static void
commits_without_an_answer(void **state)
{
	enum { RUNS = 40 };
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	*p->proxy.every = 5;
	for (int i = 1; i <= RUNS; i++) {
		char branch[16];
		snprintf(branch, sizeof(branch), "b%d", i % 4);
		assert_int_equal(rs_peer_run(p, branch, one_task, 1, NULL), i);
		struct rs_offer o = rs_ex_offer(ex);
		while (until_answered(ex, &o, 0) == ERR_CONFLICT)
			o = rs_ex_offer(ex); /* its offer had run out */
		assert_int_equal(until_answered(ex, &o, 1), 0);
		assert_int_equal(until_answered(ex, &o, 2), 0);
		assert_string_equal(rs_peer_state(p, (uint64_t)i), "finished success");
	}
	assert_true(*p->proxy.lost >= RUNS / 2);
	*p->proxy.every = 0;
	auto_free char *bad =
	    rs_peer_sql(p, "select count(*) from attempts where state <> 'closed'");
	assert_string_equal(bad, "0");
}

static void
the_runservice_restarts_in_a_task(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number, received = 0, stored = 0;
	struct rs_offer o = start_task(p, &number);
	Millrace__AcceptReply *plan = NULL;
	int code;
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "running", "sr"), 0);
	assert_int_equal(rs_ex_log(ex, &o, 0, 0, TEXT("stored "), true, &received, &stored), 0);
	assert_int_equal(stored, 7);
	assert_int_equal(rs_ex_log(ex, &o, 0, 7, TEXT("maybe"), false, &received, &stored), 0);
	assert_int_equal(received, 12);
	rs_peer_stop(p);
	rs_peer_start(p);
	/* Before it registered again it is told to wait, never that the task is another's. */
	code = rs_ex_accept(ex, &o, NULL);
	assert_int_equal(code, ERR_UNAVAILABLE);
	assert_int_equal(rs_ex_register(ex, &o, 1), 0);
	assert_int_equal(rs_ex_accept(ex, &o, &plan), 0);
	assert_string_equal(plan->state->status, "running");
	assert_string_equal(plan->state->steps[0]->phase, "running");
	millrace__accept_reply__free_unpacked(plan, NULL);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_log(ex, &o, 0, 12, TEXT("!"), false, &received, &stored), 0);
	assert_in_range(received, 7, 12);
	assert_int_equal(rs_ex_log(ex, &o, 0, 7, TEXT("maybe!"), true, &received, &stored), 0);
	assert_int_equal(stored, 13);
	assert_int_equal(rs_ex_report(ex, &o, 2, "success", "ss"), 0);
	rs_peer_stop(p);
	rs_peer_start(p);
	assert_int_equal(rs_ex_report(ex, &o, 2, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished success");
	auto_free char *log = rs_peer_log(p, number, o.task_id, 0, &code);
	assert_string_equal(log, "stored maybe!");
}

/* An executor that lost its disk: what began has failed. */
static void
an_executor_that_forgets_fails_its_task(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number;
	struct rs_offer o = start_task(p, &number);
	struct id session = id_new();
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	char old[ID_LEN + 1];
	memcpy(old, ex->session, sizeof(old));
	memcpy(ex->session, session.s, sizeof(ex->session));
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	int64_t end = clock_mono_ms() + RS_PEER_LEASE_MS / 2; /* at once, not by the lease */
	while (strcmp(rs_peer_state(p, number), "finished failed") != 0) {
		assert_true(clock_mono_ms() < end);
		rs_peer_turn(p, 10);
	}
	/* The old process is void. */
	memcpy(ex->session, old, sizeof(old));
	assert_int_equal(rs_ex_renew(ex, &o, 1), ERR_CONFLICT);
}

/* Somebody else leads: nothing of ours is written any more. */
static void
another_epoch_voids_writes(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	uint64_t number;
	struct rs_offer o = start_task(p, &number);
	struct rs_call c = { 0 };
	Millrace__BeginRequest begin = MILLRACE__BEGIN_REQUEST__INIT;
	Millrace__Attempt a = MILLRACE__ATTEMPT__INIT;
	const struct rs *rs = p->rs;
	int64_t epoch = rs->epoch;
	/* As a second replica would that does not answer. */
	auto_free char *sql = rs_peer_sql(p, "select epoch from leader");
	assert_int_equal(strtoll(sql, NULL, 10), epoch);
	rs_peer_exec(p, "update leader set epoch = epoch + 1, holder = 'other'");
	a.task_id = o.task_id;
	a.fence = o.fence;
	begin.attempt = &a;
	rs_call_start(&c, p, ex->client, "task.begin", &begin);
	assert_int_equal(rs_call_wait(&c), ERR_UNAVAILABLE);
	rs_call_clear(&c);
	auto_free char *begun = rs_peer_sql(p, "select count(*) from attempts where begun");
	assert_string_equal(begun, "0");
	assert_true(rs->epoch == epoch || rs->epoch == 0);
	int64_t end = clock_mono_ms() + 15000;
	while (rs->epoch <= epoch) {
		assert_true(clock_mono_ms() < end);
		rs_peer_turn(p, 50);
	}
	rs_peer_until(p, &rs->serving, "serving again");
	assert_int_equal(rs_ex_register(ex, &o, 1), 0);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
	assert_string_equal(rs_peer_state(p, number), "finished success");
}

/* Stopped with hundreds of requests under way: each is answered or dropped, nothing is touched
 * after it is gone. */
static void
stops_while_busy(void **state)
{
	enum { CALLS = 600, BUSY = 16 };
	struct rs_peer *p = *state;
	static struct rs_call calls[CALLS];
	uint64_t number;
	struct rs_offer o = start_task(p, &number);
	Millrace__RunGetRequest get = MILLRACE__RUN_GET_REQUEST__INIT;
	get.owner = unconst(RS_PEER_OWNER);
	get.number = number;
	for (size_t i = 0; i < CALLS; i++)
		rs_call_start(&calls[i], p, p->gateway, "run.get", &get);
	/* In the middle of them, unless all were answered within one turn. */
	while (((struct rs *)p->rs)->jobs < BUSY && !calls[CALLS - 1].done)
		loop_run_once(p->loop, 20);
	rs_peer_stop(p);
	for (size_t i = 0; i < CALLS; i++)
		rs_call_clear(&calls[i]);
	rs_peer_start(p);
	assert_true(rs_ex_register(&p->ex[0], &o, 1) == 0);
	rs_ex_do(&p->ex[0], &o, 1);
	assert_string_equal(rs_peer_state(p, number), "finished success");
}

/* A stored value that does not open: the task fails and says why, at once. */
static void
a_plan_that_cannot_be_made_fails(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "task", .nsteps = 1, .variable = "password" }
	};
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	uint64_t number = rs_peer_run(p, "main", tasks, 1, NULL);
	struct rs_offer o = rs_ex_offer(ex);
	rs_peer_exec(p,
	    "update secret_versions set sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1) "
	    "where run_id is not null");
	assert_int_equal(rs_ex_accept(ex, &o, NULL), ERR_CONFLICT);
	assert_string_equal(rs_peer_state(p, number), "finished failed");
	Millrace__RunState *run = rs_peer_get(p, number);
	assert_non_null(
	    strstr(run->tasks[0]->setup->error, "open variable password: it is damaged"));
	millrace__run_state__free_unpacked(run, NULL);
}

/* --- for people --- */

static json_t *
state_now(struct rs_peer *p)
{
	auto_buf body = BUF_INIT;
	auto_err err = NULL;
	json_t *state = NULL;
	assert_int_equal(rs_peer_http(p, "GET", "http://objects/debug/state", NULL, 0, &body), 200);
	if (json_parse(&state, body.data, body.len, &err) != 0)
		fail_msg("%s", err_msg(err));
	return state;
}

static json_t *
first_of(const json_t *state, const char *what)
{
	return json_array_get(json_member(json_member(state, what), "list"), 0);
}

static void
who_waits_for_what_is_told(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	auto_json *before = NULL;
	auto_json *offered = NULL;
	auto_json *held = NULL;
	rs_peer_run(p, "main", one_task, 1, NULL);
	before = state_now(p);
	assert_true(json_flag(before, "serving", false));
	assert_int_equal(json_int(json_member(before, "waiting"), "tasks", 0), 1);
	const json_t *events = json_member(json_member(before, "queues"), "events");
	assert_int_equal(json_int(events, "pending", 9), 0);
	assert_int_equal(json_int(events, "max", 0), RS_BATCH_QUEUE_MAX);
	assert_string_equal(
	    json_text(first_of(before, "waiting"), "reason"), "no executor is connected");
	assert_int_equal(rs_ex_register(ex, NULL, 0), 0);
	struct rs_offer o = rs_ex_offer(ex);
	assert_string_equal(json_text(first_of(before, "waiting"), "task"), o.task_id);
	offered = state_now(p);
	assert_int_equal(json_int(json_member(offered, "waiting"), "tasks", 9), 0);
	assert_int_equal(json_int(json_member(offered, "attempts"), "offers", 0), 1);
	assert_string_equal(json_text(first_of(offered, "attempts"), "place"), "offered");
	assert_true(json_flag(first_of(offered, "attempts"), "delivered", false));
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	rs_ex_poll(ex, 1);
	rs_peer_turn(p, 50);
	held = state_now(p);
	assert_int_equal(json_int(json_member(held, "attempts"), "leases", 0), 1);
	assert_string_equal(json_text(first_of(held, "attempts"), "run"), o.run_id);
	assert_string_equal(json_text(first_of(held, "attempts"), "executor"), "ex1");
	assert_true(json_int(first_of(held, "attempts"), "ends_in_ms", 0) > 0);
	assert_true(json_flag(first_of(held, "executors"), "poll_held", false));
	assert_int_equal(json_int(json_member(held, "rpc"), "held", 0), 1);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
}

/* However much there is, the answer is bounded, and says how much there is. */
static void
dumps_are_bounded(void **state)
{
	struct rs_peer *p = *state;
	auto_json *all = NULL;
	size_t n = 210;
	auto_free struct rs_peer_task *tasks = xcalloc(n, sizeof(*tasks));
	char names[210][8];
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "t%zu", i);
		tasks[i] = (struct rs_peer_task){ .name = names[i], .nsteps = 1 };
	}
	rs_peer_run(p, "main", tasks, n, NULL);
	all = state_now(p);
	assert_int_equal(json_int(json_member(all, "waiting"), "tasks", 0), n);
	assert_int_equal(json_array_size(json_member(json_member(all, "waiting"), "list")), 200);
}

int
main(void)
{
#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, rs_peer_setup, rs_peer_teardown)
	/* These on S3, too: see rs_peer.h. */
	const struct CMUnitTest with_objects[] = {
		TEST(a_run_goes_all_the_way),
		TEST(the_runservice_restarts_in_a_task),
		TEST(stops_while_busy),
	};
	const struct CMUnitTest tests[] = {
		TEST(only_its_executor_may),
		TEST(nonsense_is_refused),
		TEST(wrong_keys_are_refused),
		TEST(error_texts_are_cleaned),
		TEST(an_offer_not_taken_goes_back),
		TEST(slots_are_not_promised_twice),
		TEST(a_lease_is_renewed_or_ends),
		TEST(what_did_not_begin_is_tried_anew),
		TEST(tries_are_counted),
		TEST(stop_and_cancel),
		TEST(conditions_approval_and_restart),
		TEST(postgres_restarts_in_a_task),
		TEST(postgres_dies_in_transactions),
		cmocka_unit_test_setup_teardown(
		    commits_without_an_answer, rs_peer_setup_proxy, rs_peer_teardown),
		TEST(an_executor_that_forgets_fails_its_task),
		TEST(another_epoch_voids_writes),
		TEST(a_plan_that_cannot_be_made_fails),
		TEST(who_waits_for_what_is_told),
		TEST(dumps_are_bounded),
	};
	int failed = cmocka_run_group_tests_name("runservice_objects", with_objects, NULL, NULL);
	if (getenv("MILLRACE_TEST_S3")) /* NOLINT(concurrency-mt-unsafe): before any thread */
		return failed;
	return failed + cmocka_run_group_tests_name("runservice_rpc", tests, NULL, NULL);
}
