/*
 * report.h - from what libjsonnet says about an error to what the user reads. Pure.
 *
 * A source that gets std.libsonnet is evaluated with a prefix on its first line. So that nobody
 * sees it, the source is named DIRECTORY/<mark>NAME<mark>LENGTH<mark> to libjsonnet; where an error
 * names it so, mark and length go, and columns of the first line are reduced by the prefix's
 * length. The mark is random: no text of the user's own is taken for a name.
 */
#ifndef EVALUATE_REPORT_H
#define EVALUATE_REPORT_H

#include "common/buf.h"

#include <stddef.h>

#define EVAL_MARK '\002' /* a mark's first character; hexadecimal digits follow */
#define EVAL_STD "<std>" /* what std.libsonnet is called in a trace */

/* The source as it is evaluated, and its name. path: of the file in the repository. */
void eval_prefix(struct buf *source, struct buf *name, const char *mark, const char *path,
    const char *text, size_t len);
/* What is imported under this name is std.libsonnet. malloc'ed. */
char *eval_std_path(const char *mark);
/* Takes names and columns back to the user's own. */
void eval_unmark(struct buf *out, const char *raw, const char *mark);
/* "FILE:LINE:COL: Jsonnet: message", then the trace, a line each. file: where nothing else is
 * known. At most EVAL_REPORT_MAX bytes, cut off between characters. */
void eval_report(struct buf *out, const char *raw, const char *mark, const char *file);

#endif
