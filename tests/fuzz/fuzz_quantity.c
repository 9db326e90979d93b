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
	return 0;
}
