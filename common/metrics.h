/*
 * metrics.h - counters, gauges and histograms, printed in Prometheus' text format.
 *
 * Metrics are registered once at start by name and optional fixed label text, and updated from any
 * thread (atomics). Names are documented in docs/operations.md.
 */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include "common/buf.h"

#include <stdint.h>

struct metric;
/* All strings are borrowed for ever. labels e.g. "phase=\"pull\"" or "". Same name+labels gives the
 * same metric. */
struct metric *metrics_counter(const char *name, const char *labels, const char *help);
struct metric *metrics_gauge(const char *name, const char *labels, const char *help);
/* Seconds; buckets from 1 ms to 300 s. */
struct metric *metrics_histogram(const char *name, const char *labels, const char *help);
/* One phase of a run, label e.g. "phase=\"pull\"": the same histogram in every daemon. */
struct metric *metrics_phase(const char *label);
void metrics_add(struct metric *m, int64_t n);
void metrics_set(struct metric *m, int64_t v);
void metrics_observe_ms(struct metric *m, int64_t ms);
void metrics_print(struct buf *out);

#endif
