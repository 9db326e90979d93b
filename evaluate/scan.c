#include "evaluate/scan.h"

#include "common/mem.h"

#include <string.h>

const char *const eval_std_names[] = {
	"all",
	"any",
	"atan2",
	"avg",
	"contains",
	"deg2rad",
	"equalsIgnoreCase",
	"escapeStringXML",
	"flattenDeepArray",
	"hypot",
	"isDecimal",
	"isEmpty",
	"isEven",
	"isInteger",
	"isNull",
	"isOdd",
	"log10",
	"log2",
	"maxArray",
	"minArray",
	"objectKeysValues",
	"objectKeysValuesAll",
	"objectRemoveKey",
	"pi",
	"rad2deg",
	"remove",
	"removeAt",
	"round",
	"sha1",
	"sha256",
	"sha3",
	"sha512",
	"splitLimitR",
	"sum",
	"trim",
	"xnor",
	"xor",
};
const size_t eval_std_nnames = ARRAY_LEN(eval_std_names);

enum kind { END, WORD, TEXT, OTHER };
struct token {
	enum kind kind;
	const char *at; /* of a text: after its quote */
	size_t len;
};
struct scan {
	const char *at, *end;
};

static bool
in_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool
starts(const struct scan *s, const char *with)
{
	size_t n = strlen(with);

	return (size_t)(s->end - s->at) >= n && memcmp(s->at, with, n) == 0;
}

/* Behind the next "mark", or the end. */
static void
skip_behind(struct scan *s, const char *mark)
{
	size_t n = strlen(mark);
	const char *p = memmem(s->at, (size_t)(s->end - s->at), mark, n);

	s->at = p ? p + n : s->end;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* White space and comments. */
static void
skip_blank(struct scan *s)
{
	while (s->at < s->end) {
		if (starts(s, "//") || *s->at == '#') {
			skip_behind(s, "\n");
		} else if (starts(s, "/*")) {
			s->at += 2;
			skip_behind(s, "*/");
		} else if (is_blank(*s->at)) {
			s->at++;
		} else {
			return;
		}
	}
}

/* s->at is behind the quote. */
static struct token
quoted(struct scan *s, char quote, bool verbatim)
{
	struct token t = { .kind = TEXT, .at = s->at };

	while (s->at < s->end) {
		bool pair = verbatim ? *s->at == quote : *s->at == '\\';

		if (pair && s->at + 1 < s->end && (!verbatim || s->at[1] == quote))
			s->at += 2;
		else if (*s->at == quote)
			break;
		else
			s->at++;
	}
	t.len = (size_t)(s->at - t.at);
	if (s->at < s->end)
		s->at++;
	return t;
}

/* Behind a text block: its lines are indented as the first one is, or empty. */
static void
skip_block(struct scan *s)
{
	const char *first;
	size_t indent = 0;

	skip_behind(s, "\n");
	while (s->at < s->end && *s->at == '\n')
		s->at++;
	first = s->at;
	while (first + indent < s->end && (first[indent] == ' ' || first[indent] == '\t'))
		indent++;
	while (s->at < s->end && indent > 0) {
		size_t left = (size_t)(s->end - s->at);

		if (*s->at != '\n' && (left < indent || memcmp(s->at, first, indent) != 0))
			break;
		skip_behind(s, "\n");
	}
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\t'))
		s->at++;
	if (starts(s, "|||"))
		s->at += 3;
}

static struct token
next(struct scan *s)
{
	struct token t = { .kind = OTHER };

	skip_blank(s);
	t.at = s->at;
	if (s->at >= s->end) {
		t.kind = END;
	} else if (in_word(*s->at)) {
		t.kind = WORD;
		while (s->at < s->end && in_word(*s->at))
			s->at++;
		t.len = (size_t)(s->at - t.at);
	} else if (starts(s, "|||")) {
		skip_block(s);
	} else if (starts(s, "@\"") || starts(s, "@'")) {
		s->at += 2;
		return quoted(s, s->at[-1], true);
	} else if (*s->at == '"' || *s->at == '\'') {
		s->at++;
		return quoted(s, s->at[-1], false);
	} else {
		s->at++;
	}
	return t;
}

static bool
is_word(const struct token *t, const char *word)
{
	return t->kind == WORD && t->len == strlen(word) && memcmp(t->at, word, t->len) == 0;
}

bool
eval_scan_std(const char *text, size_t len)
{
	struct scan s = { text, text + len };
	bool std = false, name = false;

	for (struct token t = next(&s); t.kind != END && !(std && name); t = next(&s)) {
		std = std || is_word(&t, "std");
		for (size_t i = 0; i < eval_std_nnames && !name; i++)
			name = is_word(&t, eval_std_names[i]);
	}
	return std && name;
}

void
eval_scan_importstr(
    const char *text, size_t len, void (*fn)(void *arg, const char *path, size_t len), void *arg)
{
	struct scan s = { text, text + len };
	bool after = false;

	for (struct token t = next(&s); t.kind != END; t = next(&s)) {
		if (after && t.kind == TEXT)
			fn(arg, t.at, t.len);
		after = is_word(&t, "importstr");
	}
}
