#include "common/when.h"

#include "common/re.h"

#include <string.h>

bool
when_text_matches(const char *text, const void *re, const char *subject)
{
	return re ? re_search(re, subject, strlen(subject)) : strcmp(text, subject) == 0;
}

static bool
any(const void *list, size_t n, const struct when_clause *c, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		if (c->matches((const char *)list + i * c->size, text))
			return true;
	}
	return false;
}

bool
when_clause_matches(const struct when_clause *c, const char *text, bool before)
{
	bool match = before || any(c->include, c->ninclude, c, text);

	return match && !any(c->exclude, c->nexclude, c, text);
}

bool
when_matches(const struct when_clause *branch, const struct when_clause *tag,
    const struct when_clause *ref, const struct when_ref *of)
{
	bool match = false;

	if (strcmp(of->ref_type, "branch") == 0 && *of->branch)
		match = when_clause_matches(branch, of->branch, match);
	if (strcmp(of->ref_type, "tag") == 0 && *of->tag)
		match = when_clause_matches(tag, of->tag, match);
	return when_clause_matches(ref, of->ref, match);
}
