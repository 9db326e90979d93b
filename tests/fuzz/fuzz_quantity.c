/*
 * Sizes and processors: what is accepted is what arithmetic of another kind makes of it, and its
 * number of bytes reads as itself.
 * covers: rundef/quantity.c
 */
#include "fuzz.h"

#include "common/mem.h"
#include "rundef/rundef_int.h"

#include <math.h>
#include <stdio.h>

/* By the C library's numbers; exact only as far as a long double is. */
static long double
estimate(const char *text)
{
	static const struct {
		const char *name;
		long double factor;
	} units[] = { { "Ki", 0x1p10L }, { "Mi", 0x1p20L }, { "Gi", 0x1p30L }, { "Ti", 0x1p40L },
		{ "Pi", 0x1p50L }, { "Ei", 0x1p60L }, { "n", 1e-9L }, { "u", 1e-6L },
		{ "m", 1e-3L }, { "k", 1e3L }, { "M", 1e6L }, { "G", 1e9L }, { "T", 1e12L },
		{ "P", 1e15L }, { "E", 1e18L } };
	char *end;
	long double x = strtold(text, &end);

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strcmp(end, units[i].name) == 0)
			return x * units[i].factor;
	return x;
}

/* As values of a definition, quoted or as whatever YAML makes of them: the parsers must agree. */
static void
in_definition(const char *text, bool size_ok, uint64_t bytes)
{
	for (unsigned quoted = 0; quoted < 2; quoted++) {
		auto_buf b = BUF_INIT;
		struct rundef_diags diags;
		struct rundef *d = NULL;

		buf_printf(&b,
		    "version: v1\nruns:\n- name: r\n  tasks:\n  - name: t\n    runtime:\n"
		    "      containers:\n      - volumes:\n        - path: /v\n          tmpfs:\n"
		    "            size: %s%s%s\n        resources:\n          memory: %s\n"
		    "          cpu: %s\n",
		    quoted ? "'" : "", text, quoted ? "'" : "", text, text);
		if (rundef_parse(&d, &diags, b.data, b.len) == 0 && quoted) {
			FUZZ_MUST(size_ok);
			FUZZ_MUST(d->runs[0].tasks[0].containers[0].volumes[0].tmpfs_size == bytes);
		}
		rundef_free(d);
		rundef_diags_fini(&diags);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	auto_free char *text = xstrndup((const char *)p, n < 100 ? n : 100);
	auto_err err = NULL;
	uint64_t bytes = 0, again = 0, milli = 0;
	char number[32];
	int rc = rundef_quantity_parse(&bytes, text, &err);

	FUZZ_MUST((rc == 0) == (err == NULL));
	if (rc == 0) {
		long double about = estimate(text), got = (long double)bytes;

		FUZZ_MUST(bytes <= INT64_MAX);
		FUZZ_MUST(fabsl(got - about) <= 1 + 1e-9L + about * 1e-15L);
		FUZZ_MUST(got >= about || about - got <= about * 1e-15L); /* rounded up */
		snprintf(number, sizeof(number), "%llu", (unsigned long long)bytes);
		FUZZ_MUST(rundef_quantity_parse(&again, number, &err) == 0 && again == bytes);
	}
	err_clear(&err);
	if (rundef_cpu_parse(&milli, text, &err) == 0) {
		FUZZ_MUST(milli > 0 && milli <= RUNDEF_CPU_MAX);
		FUZZ_MUST(fabsl((long double)milli - estimate(text) * 1000) <= 1 + 1e-9L);
	}
	if (text[strspn(text, "0123456789.+-eEKMGTPinumk")] == '\0')
		in_definition(text, rc == 0, bytes);
	return 0;
}
