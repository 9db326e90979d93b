/* The text format, and that no count is lost between threads. */
#include "common/mem.h"
#include "common/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 4
#define ADDS 50000

static void
assert_printed(const char *part)
{
	auto_buf out = BUF_INIT;

	metrics_print(&out);
	if (!strstr(buf_str(&out), part))
		fail_msg("not in:\n%s\nmissing: %s", buf_str(&out), part);
}

static size_t
times(const char *part)
{
	auto_buf out = BUF_INIT;
	size_t n = 0;

	metrics_print(&out);
	for (const char *s = buf_str(&out); (s = strstr(s, part)); s++)
		n++;
	return n;
}

static void
test_counter_and_gauge(void **state)
{
	struct metric *c = metrics_counter("t_runs_total", "", "runs made");
	struct metric *g = metrics_gauge("t_depth", "", "queue depth");

	(void)state;
	assert_printed(
	    "# HELP t_runs_total runs made\n# TYPE t_runs_total counter\nt_runs_total 0\n");
	metrics_add(c, 3);
	metrics_add(c, 4);
	metrics_set(g, 10);
	metrics_set(g, -2);
	assert_printed("\nt_runs_total 7\n");
	assert_printed("# TYPE t_depth gauge\nt_depth -2\n");
}

static void
test_same_name(void **state)
{
	struct metric *a = metrics_counter("t_lab_total", "kind=\"a\"", "by kind");
	struct metric *between = metrics_counter("t_between_total", "", "another");
	struct metric *b = metrics_counter("t_lab_total", "kind=\"b\"", "by kind");

	(void)state;
	assert_ptr_not_equal(a, b);
	assert_ptr_not_equal(a, between);
	assert_ptr_equal(a, metrics_counter("t_lab_total", "kind=\"a\"", "by kind"));
	assert_ptr_equal(b, metrics_counter("t_lab_total", "kind=\"b\"", "by kind"));
	metrics_add(a, 1);
	metrics_add(b, 2);
	/* Together, below one head, whatever the order of registration. */
	assert_printed("# TYPE t_lab_total counter\nt_lab_total{kind=\"a\"} 1\n"
	               "t_lab_total{kind=\"b\"} 2\n");
	assert_int_equal(times("# TYPE t_lab_total "), 1);
	assert_int_equal(times("# TYPE t_between_total "), 1);
}

static void
test_histogram(void **state)
{
	struct metric *h = metrics_histogram("t_time_seconds", "phase=\"pull\"", "time");
	struct metric *plain = metrics_histogram("t_plain_seconds", "", "time");

	(void)state;
	metrics_observe_ms(h, 0);
	metrics_observe_ms(h, 1); /* bounds belong to their bucket */
	metrics_observe_ms(h, 2);
	metrics_observe_ms(h, 300000);
	metrics_observe_ms(h, 300001);
	assert_printed("# TYPE t_time_seconds histogram\n"
	               "t_time_seconds_bucket{phase=\"pull\",le=\"0.001\"} 2\n"
	               "t_time_seconds_bucket{phase=\"pull\",le=\"0.002\"} 3\n");
	assert_printed("t_time_seconds_bucket{phase=\"pull\",le=\"300\"} 4\n"
	               "t_time_seconds_bucket{phase=\"pull\",le=\"+Inf\"} 5\n"
	               "t_time_seconds_sum{phase=\"pull\"} 600.004\n"
	               "t_time_seconds_count{phase=\"pull\"} 5\n");
	metrics_observe_ms(plain, 500);
	assert_printed(
	    "t_plain_seconds_bucket{le=\"0.2\"} 0\nt_plain_seconds_bucket{le=\"0.5\"} 1\n");
	assert_printed("t_plain_seconds_sum 0.5\nt_plain_seconds_count 1\n");
}

/* A large sum is printed with all of its digits: rates are differences of it. */
static void
test_large_sum(void **state)
{
	struct metric *h = metrics_histogram("t_large_seconds", "", "time");

	(void)state;
	metrics_observe_ms(h, 123456789012);
	assert_printed("t_large_seconds_sum 123456789.012\n");
}

static void *
adder(void *arg)
{
	struct metric *c = metrics_counter("t_threads_total", "", "all threads");
	struct metric *h = arg;

	for (int i = 0; i < ADDS; i++) {
		metrics_add(c, 1);
		metrics_observe_ms(h, 1);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct metric *h = metrics_histogram("t_threads_seconds", "", "all threads");
	pthread_t t[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, adder, h), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	auto_free char *want = xasprintf("\nt_threads_total %d\n", THREADS * ADDS);
	auto_free char *count = xasprintf("\nt_threads_seconds_count %d\n", THREADS * ADDS);
	assert_printed(want);
	assert_printed(count);
	assert_int_equal(times("# TYPE t_threads_total"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counter_and_gauge),
		cmocka_unit_test(test_same_name),
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_large_sum),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
