#include "rundef/capture.h"

#include <re2/re2.h>

#include <cstdlib>
#include <cstring>
#include <string>

static const int64_t memory_max = 512 << 10;

static char *
copy(const char *s, size_t n)
{
	char *out = static_cast<char *>(malloc(n + 1));

	if (!out)
		abort();
	memcpy(out, s, n);
	out[n] = '\0';
	return out;
}

int
rundef_capture(char **out, char **message, const char *pattern, const char *text)
{
	static const char no_group[] = "it has no group in parentheses";
	RE2::Options options;
	re2::StringPiece group;

	options.set_log_errors(false);
	options.set_max_mem(memory_max);
	RE2 re(pattern, options);
	if (!re.ok()) {
		*message = copy(re.error().data(), re.error().size());
		return -1;
	}
	if (re.NumberOfCapturingGroups() < 1) {
		*message = copy(no_group, sizeof(no_group) - 1);
		return -1;
	}
	if (!RE2::PartialMatch(text, re, &group))
		return 0;
	*out = copy(group.data(), group.size());
	return 1;
}
