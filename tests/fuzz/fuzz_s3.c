/*
 * What an S3 server answers: errors in XML, ranges and lengths in headers.
 * covers: common/s3_answer.c
 */
#include "fuzz.h"

#include "common/mem.h"
#include "common/s3_answer.h"

static void
check_text(const char *text, size_t room)
{
	size_t n = strnlen(text, room);

	FUZZ_MUST(n < room);
	for (size_t i = 0; i < n; i++)
		FUZZ_MUST(text[i] >= ' ' && text[i] <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct s3_refusal refusal;
	struct s3_range range;
	uint64_t length;
	auto_free char *text = xstrndup((const char *)p, n);

	s3_refusal_parse(&refusal, p, n);
	check_text(refusal.code, sizeof(refusal.code));
	check_text(refusal.message, sizeof(refusal.message));
	if (s3_range_parse(&range, text)) {
		FUZZ_MUST(range.first <= range.total && range.n <= range.total - range.first);
		FUZZ_MUST(range.n > 0 || range.first == range.total);
	}
	if (s3_length_parse(&length, text))
		FUZZ_MUST(length <= INT64_MAX && text[0] >= '0' && text[0] <= '9');
	return 0;
}
