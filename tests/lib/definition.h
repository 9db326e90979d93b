/*
 * definition.h - texts of run definitions in tests: parsed, and what became of them. A failed
 * expectation shows the text with its diagnostics and ends the test.
 */
#ifndef TESTS_LIB_DEFINITION_H
#define TESTS_LIB_DEFINITION_H

#include "rundef/rundef.h"

#define RT "runtime: {containers: [{image: i}]}"
/* One run with one task that has these further fields, at line 5 column 5. */
#define TASK(fields) "runs:\n- name: r\n  tasks:\n  - name: t\n    " fields "\n    " RT "\n"
#define STEPS(steps) TASK("steps:\n" steps)
/* One run with these tasks in flow style. */
#define TASKS(tasks) "runs:\n- name: r\n  tasks:\n" tasks

struct parsed {
	struct rundef *def; /* NULL: refused */
	struct rundef_diags diags;
};
struct parsed def_parse(const char *text, size_t n);
void def_drop(struct parsed *p);
/* Must be accepted, with whatever warnings. */
struct parsed def_accepted(const char *text);
/* Must be accepted, with or without warnings. */
void def_check_accepted(const char *text, bool warns);
/* Some diagnostic of this severity has this text, at this place unless line is 0; an error refuses,
 * a warning does not. */
void def_check_diag(
    const char *text, enum rundef_severity severity, unsigned line, unsigned col, const char *part);
#define REFUSED(text, line, col, part) def_check_diag(text, RUNDEF_ERROR, line, col, part)
#define WARNED(text, line, col, part) def_check_diag(text, RUNDEF_WARNING, line, col, part)
const struct rundef_task *def_first_task(const struct parsed *p);

#endif
