/* A task's state: out to text and back, what a spoilt file is, what is reported when. */
#include "common/buf.h"
#include "common/mem.h"
#include "executor/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct ex_state *
example(void)
{
	struct ex_state *s = ex_state_new("run1", "task1", 1234567890123456789u, 3);

	s->revision = 42;
	s->timedout = s->begun = s->setup_done = true;
	s->start_ms = 1700000000000;
	s->end_ms = 1700000000001;
	s->steps_start_ms = 5;
	s->epochs = UINT32_MAX;
	s->attempt = 2;
	s->archives = 7;
	memcpy(s->archive, "0123abcd-0123-4567-89ab-0123456789ab", sizeof(s->archive));
	s->setup.phase = EX_SUCCESS;
	s->setup.log_stored = true;
	s->setup.start_ms = 1699999999999;
	s->setup.end_ms = INT64_MAX;
	s->setup.error = xstrdup("");
	s->steps[0].phase = EX_FAILED;
	s->steps[0].has_exit = true;
	s->steps[0].exit_status = -1;
	s->steps[0].error = xstrdup("said \"no\"\n");
	s->steps[1].phase = EX_SUCCESS;
	s->steps[1].has_exit = true;
	s->steps[1].log_stored = true;
	s->steps[1].start_ms = 10;
	s->steps[1].end_ms = 20;
	s->containers[s->ncontainers++] = xstrdup("c1");
	s->containers[s->ncontainers++] = xstrdup("c2");
	return s;
}

static void
same_text(const char *a, const char *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (a != NULL)
		assert_string_equal(a, b);
}

static void
same_step(const struct ex_step_state *a, const struct ex_step_state *b)
{
	assert_int_equal(a->phase, b->phase);
	assert_true(a->start_ms == b->start_ms && a->end_ms == b->end_ms);
	assert_int_equal(a->has_exit, b->has_exit);
	assert_int_equal(a->exit_status, b->exit_status);
	assert_int_equal(a->log_stored, b->log_stored);
	same_text(a->error, b->error);
}

/* Every field of state.h. */
static void
same_state(const struct ex_state *a, const struct ex_state *b)
{
	assert_string_equal(a->run_id, b->run_id);
	assert_string_equal(a->task_id, b->task_id);
	assert_true(a->fence == b->fence && a->revision == b->revision);
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->timedout, b->timedout);
	assert_int_equal(a->begun, b->begun);
	assert_int_equal(a->setup_done, b->setup_done);
	assert_true(a->start_ms == b->start_ms && a->end_ms == b->end_ms);
	assert_true(a->steps_start_ms == b->steps_start_ms);
	assert_true(a->epochs == b->epochs && a->attempt == b->attempt);
	assert_int_equal(a->archives, b->archives);
	assert_string_equal(a->archive, b->archive);
	assert_int_equal(a->ncontainers, b->ncontainers);
	for (unsigned i = 0; i < a->ncontainers; i++)
		assert_string_equal(a->containers[i], b->containers[i]);
	same_step(&a->setup, &b->setup);
	assert_int_equal(a->nsteps, b->nsteps);
	for (unsigned i = 0; i < a->nsteps; i++)
		same_step(&a->steps[i], &b->steps[i]);
}

static void
check_same(const struct ex_state *a)
{
	struct ex_state *b = NULL;
	auto_free char *text = ex_state_print(a);

	assert_int_equal(ex_state_parse(&b, text, strlen(text), NULL), 0);
	same_state(a, b);
	ex_state_free(b);
}

/* Flags and phases one by one, so that none is taken for another. */
static void
test_one_by_one(void **state)
{
	struct ex_state *s = ex_state_new("run1", "task1", 0, 1);
	bool *flags[] = { &s->timedout, &s->begun, &s->setup_done, &s->setup.log_stored,
		&s->steps[0].log_stored, &s->steps[0].has_exit };
	int64_t *times[] = { &s->start_ms, &s->end_ms, &s->steps_start_ms, &s->setup.start_ms,
		&s->setup.end_ms, &s->steps[0].start_ms, &s->steps[0].end_ms };

	(void)state;
	check_same(s);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		*flags[i] = true;
		check_same(s);
		*flags[i] = false;
	}
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		*times[i] = 1700000000000 + (int64_t)i;
		check_same(s);
		*times[i] = 0;
	}
	for (enum ex_phase p = EX_NOTSTARTED; p <= EX_CANCELLED; p++) {
		s->status = s->setup.phase = s->steps[0].phase = p;
		check_same(s);
	}
	ex_state_free(s);
}

/* What is printed by hand reads as what it was, field by field. */
static void
test_round_trip(void **state)
{
	struct ex_state *a = example(), *b = NULL;
	auto_free char *text = ex_state_print(a), *again = NULL;

	(void)state;
	assert_int_equal(ex_state_parse(&b, text, strlen(text), NULL), 0);
	same_state(a, b);
	again = ex_state_print(b);
	assert_string_equal(text, again);
	assert_true(b->fence == 1234567890123456789u && b->epochs == UINT32_MAX);
	assert_int_equal(b->revision, 42);
	assert_int_equal(b->status, EX_RUNNING);
	assert_true(b->timedout && b->begun && b->setup_done);
	assert_int_equal(b->steps_start_ms, 5);
	assert_int_equal(b->archives, 7);
	assert_int_equal(b->nsteps, 3);
	assert_true(b->steps[0].has_exit);
	assert_int_equal(b->steps[0].exit_status, -1);
	assert_string_equal(b->steps[0].error, "said \"no\"\n");
	assert_false(b->steps[2].has_exit);
	assert_int_equal(b->steps[2].phase, EX_NOTSTARTED);
	assert_int_equal(b->ncontainers, 2);
	assert_string_equal(b->containers[1], "c2");
	ex_state_free(a);
	ex_state_free(b);
}

static void
test_words(void **state)
{
	(void)state;
	assert_string_equal(ex_phase_word(EX_NOTSTARTED), "notstarted");
	assert_string_equal(ex_phase_word(EX_CANCELLED), "cancelled");
	assert_false(ex_phase_final(EX_NOTSTARTED));
	assert_false(ex_phase_final(EX_RUNNING));
	assert_true(ex_phase_final(EX_SUCCESS) && ex_phase_final(EX_FAILED));
	assert_true(ex_phase_final(EX_STOPPED) && ex_phase_final(EX_CANCELLED));
}

static void
check_refused(const char *text, size_t n)
{
	struct ex_state *s = NULL;
	auto_err err = NULL;

	if (ex_state_parse(&s, text, n, &err) != ERR_INVALID)
		fail_msg("accepted: %.*s", (int)n, text);
	assert_null(s);
	assert_non_null(strstr(err_msg(err), "state file"));
}

static void
test_spoilt(void **state)
{
#define HEAD "{\"version\":1,\"run\":\"r\",\"task\":\"t\",\"status\":\"running\","
#define OK_STEP "{\"phase\":\"running\"}"
	static const char *const bad[] = { "", "{", "null", "[]", "5", "{}", "{\"version\":1}",
		"{\"version\":2,\"run\":\"r\",\"task\":\"t\",\"status\":\"running\","
		"\"setup\":" OK_STEP "}",
		"{\"version\":1,\"run\":5,\"task\":\"t\"}", HEAD "\"steps\":[]}",
		HEAD "\"setup\":{\"phase\":\"none\"}}", HEAD "\"setup\":[]}", HEAD "\"setup\":5}",
		HEAD "\"setup\":" OK_STEP ",\"steps\":[5]}",
		HEAD "\"setup\":" OK_STEP ",\"steps\":[" OK_STEP ",{}]}",
		HEAD "\"setup\":" OK_STEP ",\"containers\":[5]}",
		"{\"version\":1,\"run\":\"r\",\"task\":\"t\",\"status\":\"x\",\"setup\":" OK_STEP
		"}" };
	struct ex_state *s = example(), *back = NULL;
	auto_free char *text = ex_state_print(s);

	(void)state;
	ex_state_free(s);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_refused(bad[i], strlen(bad[i]));
	/* Cut anywhere. */
	for (size_t n = 0; n < strlen(text); n++)
		check_refused(text, n);
	/* Any bit of it: refused or read, never worse. */
	for (size_t bit = 0; bit < strlen(text) * 8; bit++) {
		auto_free char *spoilt = xstrdup(text);
		spoilt[bit / 8] = (char)(spoilt[bit / 8] ^ (1 << bit % 8));
		if (ex_state_parse(&back, spoilt, strlen(text), NULL) == 0)
			ex_state_free(back);
	}
	/* The least that is one. */
	static const char least[] = HEAD "\"setup\":" OK_STEP "}";
	assert_int_equal(ex_state_parse(&back, least, sizeof(least) - 1, NULL), 0);
	assert_int_equal(back->nsteps, 0);
	ex_state_free(back);
}

static void
many_steps(struct buf *b, size_t n)
{
	buf_puts(b, HEAD "\"setup\":" OK_STEP ",\"steps\":[");
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s" OK_STEP, i ? "," : "");
	buf_puts(b, "],\"containers\":[");
	for (size_t i = 0; i < 1000; i++)
		buf_printf(b, "%s\"c\"", i ? "," : "");
	buf_puts(b, "]}");
}

static void
test_bounds(void **state)
{
	auto_buf most = BUF_INIT, more = BUF_INIT;
	struct ex_state *s = NULL;

	(void)state;
	many_steps(&most, EX_STEPS_MAX);
	assert_int_equal(ex_state_parse(&s, most.data, most.len, NULL), 0);
	assert_int_equal(s->nsteps, EX_STEPS_MAX);
	assert_int_equal(s->ncontainers, EX_CONTAINERS_MAX);
	ex_state_free(s);
	many_steps(&more, EX_STEPS_MAX + 1);
	check_refused(more.data, more.len);
}

/* A step counts as ended for others once its log is stored: not before. */
static void
test_report(void **state)
{
	struct ex_state *s = example();
	size_t n;
	void *packed = ex_state_report(s, &n);
	Millrace__ReportRequest *r = millrace__report_request__unpack(NULL, n, packed);

	(void)state;
	assert_non_null(r);
	assert_string_equal(r->attempt->task_id, "task1");
	assert_true(r->attempt->fence == 1234567890123456789u);
	assert_int_equal(r->revision, 42);
	assert_int_equal(r->n_steps, 3);
	assert_string_equal(r->setup->phase, "success");
	assert_string_equal(r->steps[0]->phase, "running"); /* failed, its log is not stored */
	assert_false(r->steps[0]->has_exit_status);
	assert_false(r->steps[0]->has_end_ms);
	assert_null(r->steps[0]->error);
	assert_string_equal(r->steps[1]->phase, "success");
	assert_true(r->steps[1]->has_exit_status);
	assert_int_equal(r->steps[1]->end_ms, 20);
	assert_string_equal(r->steps[2]->phase, "notstarted");
	millrace__report_request__free_unpacked(r, NULL);
	free(packed);

	s->steps[0].log_stored = true;
	packed = ex_state_report(s, &n);
	r = millrace__report_request__unpack(NULL, n, packed);
	assert_string_equal(r->steps[0]->phase, "failed");
	assert_int_equal(r->steps[0]->exit_status, -1);
	assert_string_equal(r->steps[0]->error, "said \"no\"\n");
	millrace__report_request__free_unpacked(r, NULL);
	free(packed);
	assert_ptr_equal(ex_state_step(s, -1), &s->setup);
	assert_ptr_equal(ex_state_step(s, 2), &s->steps[2]);
	ex_state_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_spoilt),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
