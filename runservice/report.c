#include "runservice/report.h"

#include "common/buf.h"
#include "common/mem.h"

#include <string.h>

static const struct {
	const char *status;
	enum rs_event event;
} events[] = {
	{ "running", RS_EV_REPORT_RUNNING },
	{ "stopped", RS_EV_REPORT_STOPPED },
	{ "success", RS_EV_REPORT_SUCCESS },
	{ "failed", RS_EV_REPORT_FAILED },
	{ "cancelled", RS_EV_REPORT_CANCELLED },
};

/* Bytes of the UTF-8 character at p, 0 when it is none. */
static size_t
utf8_len(const unsigned char *p)
{
	unsigned need = *p < 0x80                 ? 0
	                : *p >= 0xc2 && *p < 0xe0 ? 1
	                : *p >= 0xe0 && *p < 0xf0 ? 2
	                                          : 3;
	if (*p >= 0x80 && (*p < 0xc2 || *p > 0xf4))
		return 0;
	for (unsigned i = 1; i <= need; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	bool overlong = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xf0 && p[1] < 0x90);
	bool outside = (*p == 0xed && p[1] > 0x9f) || (*p == 0xf4 && p[1] > 0x8f);
	return overlong || outside ? 0 : need + 1u;
}

/* PostgreSQL stores text only, and a report that cannot be stored would come again for ever. */
static char *
clean_error(const char *s)
{
	auto_buf b = BUF_INIT;
	while (*s && b.len < RS_REPORT_ERROR_MAX) {
		size_t n = utf8_len((const unsigned char *)s);
		if (b.len + n > RS_REPORT_ERROR_MAX)
			break;
		if (n > 0)
			buf_append(&b, s, n);
		else
			buf_putc(&b, '?');
		s += n > 0 ? n : 1;
	}
	return xstrdup(buf_str(&b));
}

static int
merge_step(struct rs_step *s, const Millrace__StepState *m, struct err **err)
{
	enum rs_status phase = rs_status_parse(m->phase);
	if (phase == 0 || phase == RS_SKIPPED)
		return err_set(err, ERR_INVALID, "unknown step phase \"%.20s\"", m->phase);
	auto_free char *error = m->error && *m->error ? clean_error(m->error) : NULL;
	bool same_error = error ? s->error && strcmp(s->error, error) == 0 : !s->error;
	if (s->phase == phase && s->has_exit == (bool)m->has_exit_status &&
	    s->exit_status == m->exit_status && s->start_ms == m->start_ms &&
	    s->end_ms == m->end_ms && same_error)
		return 0;
	s->phase = phase;
	s->has_exit = m->has_exit_status;
	s->exit_status = m->exit_status;
	s->start_ms = m->start_ms;
	s->end_ms = m->end_ms;
	if (!same_error) {
		free(s->error);
		s->error = steal(&error);
	}
	s->changed = true;
	return 0;
}

static void
mark_stored(struct rs_step *s)
{
	if (s->phase != RS_NOTSTARTED && !s->log_stored)
		s->log_stored = s->changed = true;
}

int
rs_report_merge(struct rs_run *run, size_t task, const Millrace__ReportRequest *report,
    int64_t now_ms, struct err **err)
{
	struct rs_task *t = &run->tasks[task];
	enum rs_event event = 0;
	int rc = 0;
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (strcmp(events[i].status, report->status) == 0)
			event = events[i].event;
	}
	if (event == 0)
		return err_set(err, ERR_INVALID, "unknown task status \"%.20s\"", report->status);
	if (report->n_steps > t->nsteps)
		return err_set(err, ERR_INVALID, "report of %zu steps for a task of %zu",
		    report->n_steps, t->nsteps);
	if (rs_status_final(t->status))
		return rs_run_apply(run, event, task, now_ms, NULL, err);
	if (report->setup)
		rc = merge_step(&t->setup, report->setup, err);
	for (size_t i = 0; rc == 0 && i < report->n_steps; i++)
		rc = merge_step(&t->steps[i], report->steps[i], err);
	if (rc != 0)
		return rc;
	if (report->timedout)
		t->timedout = true;
	if (t->start_ms == 0 && report->start_ms > 0)
		t->start_ms = report->start_ms;
	if (report->end_ms > 0 && event != RS_EV_REPORT_RUNNING)
		t->end_ms = report->end_ms;
	/* An executor reports the end only when every log byte is stored. */
	if (event != RS_EV_REPORT_RUNNING) {
		mark_stored(&t->setup);
		for (size_t i = 0; i < t->nsteps; i++)
			mark_stored(&t->steps[i]);
	}
	return rs_run_apply(run, event, task, now_ms, NULL, err);
}

static bool
shows_effects(const Millrace__ReportRequest *report)
{
	for (size_t i = 0; i < report->n_steps; i++) {
		if (rs_status_parse(report->steps[i]->phase) != RS_NOTSTARTED)
			return true;
	}
	return strcmp(report->status, "running") != 0;
}

int
rs_report_apply(struct rs_run *run, size_t task, const Millrace__ReportRequest *report,
    int64_t now_ms, struct err **err)
{
	struct rs_task *t = &run->tasks[task];
	if (report->revision <= t->reported && t->place != RS_OFFERED)
		return 0;
	int rc = rs_report_merge(run, task, report, now_ms, err);
	if (rc != 0)
		return rc;
	t->reported = report->revision;
	t->begun |= shows_effects(report);
	t->marked = true;
	return 0;
}
