/*
 * Export and import of the runservice, in pieces over the real protocol.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/mem.h"
#include "tests/lib/rs_peer.h"

#include <string.h>

static const struct rs_peer_task one[] = { { .name = "one", .nsteps = 1 } };

/* The whole export, read in pieces; the number of them may be NULL. */
static char *export(struct rs_peer *p, unsigned *pieces)
{
	struct buf out = BUF_INIT;
	bool end = false;
	auto_free char *id = NULL;

	while (!end) {
		Millrace__DumpReadRequest q = MILLRACE__DUMP_READ_REQUEST__INIT;
		Millrace__DumpReadReply *r = NULL;

		q.id = id;
		q.offset = out.len;
		assert_int_equal(rs_call_again(p, p->gateway, "dump.read", &q,
		                     &millrace__dump_read_reply__descriptor, &r),
		    0);
		if (!id)
			id = xstrdup(r->id);
		buf_append(&out, r->data.data, r->data.len);
		end = r->end;
		millrace__dump_read_reply__free_unpacked(r, NULL);
		if (pieces)
			(*pieces)++;
	}
	return buf_take(&out);
}

static int
load_write(struct rs_peer *p, const char *id, uint64_t offset, const char *text, size_t n)
{
	Millrace__LoadWriteRequest q = MILLRACE__LOAD_WRITE_REQUEST__INIT;

	q.id = (char *)(uintptr_t)id;
	q.offset = offset;
	q.data.data = (uint8_t *)(uintptr_t)text;
	q.data.len = n;
	return rs_call(p, p->gateway, "load.write", &q, NULL, NULL);
}

static int
load_commit(struct rs_peer *p, const char *id)
{
	Millrace__LoadCommitRequest q = MILLRACE__LOAD_COMMIT_REQUEST__INIT;

	q.id = (char *)(uintptr_t)id;
	return rs_call(p, p->gateway, "load.commit", &q, NULL, NULL);
}

#define ID "33333333-2222-4333-8444-555555555555"

static int
import(struct rs_peer *p, const char *text)
{
	size_t n = strlen(text);

	for (size_t at = 0; at < n; at += 100000)
		assert_int_equal(
		    load_write(p, ID, at, text + at, n - at < 100000 ? n - at : 100000), 0);
	return load_commit(p, ID);
}

/* State of a run, "none" for one that does not exist. */
static void
expect_state(struct rs_peer *p, uint64_t number, const char *want)
{
	Millrace__RunGetRequest q = MILLRACE__RUN_GET_REQUEST__INIT;
	Millrace__RunState *r = NULL;
	auto_free char *owner = xstrdup(RS_PEER_OWNER);
	auto_free char *got = NULL;
	int code;

	q.owner = owner;
	q.number = number;
	code = rs_call_again(p, p->gateway, "run.get", &q, &millrace__run_state__descriptor, &r);
	if (code == 0) {
		got = xasprintf("%s %s", r->phase, r->result);
		millrace__run_state__free_unpacked(r, NULL);
	} else {
		assert_int_equal(code, ERR_NOTFOUND);
		got = xstrdup("none");
	}
	assert_string_equal(got, want);
}

static void
round_trip(void **state)
{
	struct rs_peer *p = *state;
	auto_free char *text = NULL;
	struct rs_offer held;
	struct rs_executor *ex = &p->ex[0];
	unsigned pieces = 0;

	rs_ex_register(ex, NULL, 0);
	rs_peer_run(p, "a", one, 1, NULL);
	rs_ex_poll(ex, 1);
	held = rs_ex_offer(ex);
	rs_ex_do(ex, &held, 1);
	rs_peer_run(p, "b", one, 1, NULL);
	/* More than one piece. */
	rs_peer_exec(p, "insert into runservice.garbage select g || repeat('x', 1000) from "
	                "generate_series(1, 1000) g");
	text = export(p, &pieces);
	assert_in_range(pieces, 4, 100);
	/* What comes after it will be gone. */
	rs_peer_run(p, "c", one, 1, NULL);
	rs_ex_poll(ex, 1);
	held = rs_ex_offer(ex);
	rs_peer_exec(p, "delete from runservice.garbage");
	assert_int_equal(import(p, text), 0);
	expect_state(p, 1, "finished success");
	expect_state(p, 2, "running unknown");
	expect_state(p, 3, "none");
	{
		auto_free char *n = rs_peer_sql(p, "select count(*) from runservice.garbage");

		assert_string_equal(n, "1000");
	}
	/* The second run goes on from where the export saw it; the next one gets the next number.
	 */
	rs_ex_register(ex, NULL, 0);
	rs_ex_poll(ex, 1);
	held = rs_ex_offer(ex);
	rs_ex_do(ex, &held, 1);
	expect_state(p, 2, "finished success");
	assert_int_equal(rs_peer_run(p, "d", one, 1, NULL), 3);
}

static void
refused(void **state)
{
	struct rs_peer *p = *state;
	auto_free char *text = NULL;
	struct rpc_client *ex = p->ex[0].client;
	Millrace__DumpReadRequest q = MILLRACE__DUMP_READ_REQUEST__INIT;
	char id[] = ID;

	rs_peer_run(p, "a", one, 1, NULL);
	text = export(p, NULL);
	/* An export that is over is forgotten. */
	q.id = id;
	assert_int_equal(rs_call(p, p->gateway, "dump.read", &q, NULL, NULL), ERR_NOTFOUND);
	/* Executors ask in vain. */
	assert_int_equal(rs_call(p, ex, "dump.read", &q, NULL, NULL), ERR_DENIED);
	/* Pieces in order, under one id. */
	assert_int_equal(load_write(p, "x", 0, text, 10), ERR_INVALID);
	assert_int_equal(load_commit(p, ID), ERR_NOTFOUND);
	assert_int_equal(load_write(p, ID, 0, text, 10), 0);
	assert_int_equal(load_write(p, ID, 11, text, 10), ERR_NOTFOUND);
	assert_int_equal(load_commit(p, ID), ERR_INVALID);
	expect_state(p, 1, "running unknown");
	/* The same again, whole; and asked twice. */
	assert_int_equal(import(p, text), 0);
	expect_state(p, 1, "running unknown");
	assert_int_equal(load_commit(p, ID), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rs_peer_setup, rs_peer_teardown)
	const struct CMUnitTest tests[] = { T(round_trip), T(refused) };

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
