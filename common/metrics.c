#include "common/metrics.h"

#include "common/mem.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static const int64_t bounds_ms[] = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000,
	30000, 60000, 300000 };

enum metric_kind { METRIC_COUNTER = 1, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
	struct metric *next;
	enum metric_kind kind;
	const char *name, *labels, *help;
	atomic_int_least64_t value; /* histogram: sum in ms */
	atomic_int_least64_t buckets[ARRAY_LEN(bounds_ms) + 1];
};

static pthread_mutex_t metrics_lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *metrics_first;

/* Kept in order of registration, same names together, as the text format wants it. */
static struct metric *
metrics_get(enum metric_kind kind, const char *name, const char *labels, const char *help)
{
	pthread_mutex_lock(&metrics_lock);
	struct metric **at = &metrics_first, **after_name = NULL;
	for (; *at != NULL; at = &(*at)->next) {
		if (strcmp((*at)->name, name) != 0)
			continue;
		if (strcmp((*at)->labels, labels) == 0)
			break;
		after_name = &(*at)->next;
	}
	struct metric *m = *at;
	if (m == NULL) {
		struct metric **place = after_name ? after_name : at;
		m = xcalloc(1, sizeof(*m));
		m->kind = kind;
		m->name = name;
		m->labels = labels;
		m->help = help;
		m->next = *place;
		*place = m;
	}
	pthread_mutex_unlock(&metrics_lock);
	MUST(m->kind == kind);
	return m;
}

struct metric *
metrics_counter(const char *name, const char *labels, const char *help)
{
	return metrics_get(METRIC_COUNTER, name, labels, help);
}

struct metric *
metrics_gauge(const char *name, const char *labels, const char *help)
{
	return metrics_get(METRIC_GAUGE, name, labels, help);
}

struct metric *
metrics_histogram(const char *name, const char *labels, const char *help)
{
	return metrics_get(METRIC_HISTOGRAM, name, labels, help);
}

struct metric *
metrics_phase(const char *label)
{
	return metrics_histogram(
	    "millrace_phase_seconds", label, "How long each phase of a run took.");
}

void
metrics_add(struct metric *m, int64_t n)
{
	atomic_fetch_add(&m->value, n);
}

void
metrics_set(struct metric *m, int64_t v)
{
	atomic_store(&m->value, v);
}

void
metrics_observe_ms(struct metric *m, int64_t ms)
{
	size_t i = 0;
	while (i < ARRAY_LEN(bounds_ms) && ms > bounds_ms[i])
		i++;
	atomic_fetch_add(&m->buckets[i], 1);
	atomic_fetch_add(&m->value, ms);
}

static void
print_histogram(struct buf *out, struct metric *m)
{
	const char *comma = *m->labels ? "," : "";
	int64_t total = 0;
	for (size_t i = 0; i <= ARRAY_LEN(bounds_ms); i++) {
		total += atomic_load(&m->buckets[i]);
		if (i < ARRAY_LEN(bounds_ms))
			buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRId64 "\n", m->name,
			    m->labels, comma, (double)bounds_ms[i] / 1000, total);
		else
			buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRId64 "\n", m->name,
			    m->labels, comma, total);
	}
	const char *open = *m->labels ? "{" : "", *close = *m->labels ? "}" : "";
	buf_printf(out, "%s_sum%s%s%s %.15g\n", m->name, open, m->labels, close,
	    (double)atomic_load(&m->value) / 1000);
	buf_printf(out, "%s_count%s%s%s %" PRId64 "\n", m->name, open, m->labels, close, total);
}

void
metrics_print(struct buf *out)
{
	static const char *const kinds[] = { "", "counter", "gauge", "histogram" };
	pthread_mutex_lock(&metrics_lock);
	const char *last = "";
	for (struct metric *m = metrics_first; m != NULL; m = m->next) {
		if (strcmp(last, m->name) != 0)
			buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
			    kinds[m->kind]);
		last = m->name;
		if (m->kind == METRIC_HISTOGRAM)
			print_histogram(out, m);
		else
			buf_printf(out, "%s%s%s%s %" PRId64 "\n", m->name, *m->labels ? "{" : "",
			    m->labels, *m->labels ? "}" : "", (int64_t)atomic_load(&m->value));
	}
	pthread_mutex_unlock(&metrics_lock);
}
