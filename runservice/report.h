/*
 * report.h - an executor's account of its attempt, merged into the run. Pure.
 */
#ifndef RUNSERVICE_REPORT_H
#define RUNSERVICE_REPORT_H

#include "executor.pb-c.h"
#include "runservice/run.h"

#define RS_REPORT_ERROR_MAX 4096 /* bytes of a step's error kept */

/* The attempt is checked to be the task's current one. An older revision changes nothing. A report
 * that is refused may have changed the run. */
int rs_report_apply(struct rs_run *run, size_t task, const Millrace__ReportRequest *report,
    int64_t now_ms, struct err **err) MUSTCHECK;

/* The pure part: step states, times and the event. */
int rs_report_merge(struct rs_run *run, size_t task, const Millrace__ReportRequest *report,
    int64_t now_ms, struct err **err) MUSTCHECK;

#endif
