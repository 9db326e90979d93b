/* RE2 behind three C functions. Nothing may throw across them. */
#include "common/re.h"

#include <re2/re2.h>

#include <cstdlib>
#include <cstring>
#include <new>

/* Program and automaton of one expression together; a wild one is refused, not compiled. */
static const int64_t re_memory_max = 512 << 10;

void *
re_new(const char *pattern, size_t len, char **message, size_t *bytes)
{
	RE2::Options options;

	options.set_log_errors(false);
	options.set_max_mem(re_memory_max);
	RE2 *re = new (std::nothrow) RE2(re2::StringPiece(pattern, len), options);
	if (!re)
		abort();
	if (re->ok()) {
		*bytes = sizeof(*re) + 16 * static_cast<size_t>(re->ProgramSize()) + 4 * len;
		return re;
	}
	*message = strdup(re->error().c_str());
	if (!*message)
		abort();
	delete re;
	return nullptr;
}

bool
re_search(const void *re, const char *text, size_t len)
{
	return RE2::PartialMatch(re2::StringPiece(text, len), *static_cast<const RE2 *>(re));
}

void
re_free(void *re)
{
	delete static_cast<RE2 *>(re);
}
