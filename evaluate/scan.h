/*
 * scan.h - what a Jsonnet source mentions, without parsing it: its words, without those in comments
 * and texts. Pure; any bytes are taken.
 */
#ifndef EVALUATE_SCAN_H
#define EVALUATE_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* The functions of std.libsonnet: those of newer standard libraries that libjsonnet lacks. */
extern const char *const eval_std_names[];
extern const size_t eval_std_nnames;
extern const char eval_std_libsonnet[]; /* generated from std.libsonnet */

/* Does the source mention std and one of these names? */
bool eval_scan_std(const char *text, size_t len);
/* Calls fn with each path that the source includes as text (importstr). */
void eval_scan_importstr(
    const char *text, size_t len, void (*fn)(void *arg, const char *path, size_t len), void *arg);

#endif
