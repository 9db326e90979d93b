#include "tests/lib/definition.h"

#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct parsed
def_parse(const char *text, size_t n)
{
	struct parsed p;
	int rc = rundef_parse(&p.def, &p.diags, text, n);

	assert_true(rc == 0 || rc == ERR_INVALID);
	assert_true((rc == 0) == (p.def != NULL));
	assert_true((rc == 0) == (p.diags.errors == 0));
	return p;
}

void
def_drop(struct parsed *p)
{
	rundef_free(p->def);
	rundef_diags_fini(&p->diags);
}

static void
show(const struct parsed *p)
{
	auto_buf out = BUF_INIT;

	rundef_diags_print(&out, &p->diags, "test");
	print_message("%s", buf_str(&out));
}

struct parsed
def_accepted(const char *text)
{
	struct parsed p = def_parse(text, strlen(text));

	if (!p.def) {
		print_message("not accepted:\n%s\n", text);
		show(&p);
		fail();
	}
	return p;
}

void
def_check_accepted(const char *text, bool warns)
{
	struct parsed p = def_accepted(text);

	if ((p.diags.n > 0) != warns) {
		print_message("%s:\n%s\n", warns ? "no warning" : "warning", text);
		show(&p);
		fail();
	}
	def_drop(&p);
}

/* Some diagnostic of this severity has this text, at this place unless line is 0. */
void
def_check_diag(
    const char *text, enum rundef_severity severity, unsigned line, unsigned col, const char *part)
{
	struct parsed p = def_parse(text, strlen(text));
	bool found = false;

	for (size_t i = 0; i < p.diags.n; i++) {
		const struct rundef_diag *d = &p.diags.list[i];
		found |= d->severity == severity && strstr(d->message, part) &&
		         (!line || (d->pos.line == line && d->pos.col == col));
	}
	if (!found || (severity == RUNDEF_ERROR) != (p.def == NULL)) {
		print_message("expected %u:%u %s in:\n%s\n", line, col, part, text);
		show(&p);
		fail();
	}
	def_drop(&p);
}
const struct rundef_task *
def_first_task(const struct parsed *p)
{
	assert_true(p->def->nruns > 0 && p->def->runs[0].ntasks > 0);
	return &p->def->runs[0].tasks[0];
}
