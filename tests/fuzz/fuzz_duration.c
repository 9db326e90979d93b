/*
 * Durations: what is accepted is printed in a way that reads as the same.
 * covers: rundef/duration.c
 */
#include "fuzz.h"

#include "common/mem.h"
#include "rundef/print.h"
#include "rundef/rundef_int.h"

/* As the value of a definition, which must agree. */
static void
in_definition(const char *text, bool ok, int64_t ns)
{
	auto_buf b = BUF_INIT;
	struct rundef_diags diags;
	struct rundef *d = NULL;

	buf_puts(&b, "task_timeout_interval: '");
	for (const char *p = text; *p; p++)
		buf_printf(&b, "%s%c", *p == '\'' ? "'" : "", *p);
	buf_puts(
	    &b, "'\nruns: [{name: r, tasks: [{name: t, runtime: {containers: [{image: i}]}}]}]");
	int rc = rundef_parse(&d, &diags, b.data, b.len);
	if (ok && ns >= 0)
		FUZZ_MUST(rc == 0 && d->runs[0].tasks[0].timeout_ns == ns);
	else
		FUZZ_MUST(rc != 0);
	rundef_free(d);
	rundef_diags_fini(&diags);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	auto_free char *text = xstrndup((const char *)p, n < 200 ? n : 200);
	auto_err err = NULL;
	int64_t ns = 0, again = 0;
	int rc = rundef_duration_parse(&ns, text, &err);

	FUZZ_MUST((rc == 0) == (err == NULL));
	if (rc == 0 && ns >= 0) {
		auto_free char *printed = rundef_duration_text(ns);
		FUZZ_MUST(rundef_duration_parse(&again, printed, &err) == 0 && again == ns);
	}
	/* Control characters are not of YAML. */
	if (text[strcspn(text, "\n\r\t")] == '\0')
		in_definition(text, rc == 0, ns);
	return 0;
}
