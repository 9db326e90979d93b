#include "toolbox/glob.h"

#include <stdlib.h>
#include <string.h>

#define NEST_MAX 64 /* groups in one pattern: bounds the recursion */

struct tb_glob {
	char **alts; /* without braces */
	size_t n;
};

/* --- characters --- */

/* One UTF-8 character, or one byte that is none; *len is set. Not at the end of text. */
static uint32_t
take_char(const char *s, size_t *len)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t n = p[0] < 0x80             ? 1
	           : (p[0] & 0xe0) == 0xc0 ? 2
	           : (p[0] & 0xf0) == 0xe0 ? 3
	           : (p[0] & 0xf8) == 0xf0 ? 4
	                                   : 1;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) { /* also stops at the end of the text */
			*len = 1;
			return 0xfffd;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	*len = n;
	return c;
}

/* A class's character, possibly escaped; NULL when the pattern is malformed there. */
static const char *
class_char(const char *p, uint32_t *c)
{
	size_t n;

	if (*p == '\0' || *p == '-' || *p == ']' || *p == '/')
		return NULL;
	if (*p == '\\' && *++p == '\0')
		return NULL;
	*c = take_char(p, &n);
	p += n;
	return *p != '\0' ? p : NULL;
}

/* p is behind '['. The end of the class, NULL when malformed; *hit tells whether c is in it. */
static const char *
class_match(const char *p, uint32_t c, bool *hit)
{
	bool negated = *p == '^', in = false;
	uint32_t lo, hi;

	if (negated)
		p++;
	for (bool first = true; first || *p != ']'; first = false) {
		p = class_char(p, &lo);
		hi = lo;
		if (p != NULL && *p == '-')
			p = class_char(p + 1, &hi);
		if (p == NULL)
			return NULL;
		in = in || (lo <= c && c <= hi);
	}
	*hit = in != negated;
	return p + 1;
}

/* --- one path element --- */

/* Matches one pattern character at p against the text at s; NULL for no match. */
static const char *
one(const char *p, const char *s, const char *end, size_t *used)
{
	size_t n;
	bool hit;

	if (s == end)
		return NULL;
	uint32_t c = take_char(s, used);
	if (*p == '?')
		return p + 1;
	if (*p == '[') {
		p = class_match(p + 1, c, &hit);
		return p != NULL && hit ? p : NULL;
	}
	if (*p == '\\')
		p++;
	uint32_t want = take_char(p, &n);
	if (n != *used || want != c || memcmp(p, s, n) != 0)
		return NULL;
	return p + n;
}

/* The last star takes one character more whenever the rest does not fit: never exponential. */
static bool
element_match(const char *p, const char *pend, const char *s, const char *end)
{
	const char *star = NULL, *retry = NULL;
	size_t used;

	for (;;) {
		if (p < pend && *p == '*') {
			star = ++p;
			retry = s;
			continue;
		}
		if (p == pend && s == end)
			return true;
		const char *next = p < pend ? one(p, s, end, &used) : NULL;
		if (next != NULL) {
			p = next;
			s += used;
			continue;
		}
		if (star == NULL || retry == end)
			return false;
		take_char(retry, &used);
		retry += used;
		p = star;
		s = retry;
	}
}

static const char *
element_end(const char *s)
{
	return s + strcspn(s, "/");
}

static bool
is_doublestar(const char *p, const char *pend)
{
	return pend - p == 2 && p[0] == '*' && p[1] == '*';
}

/* --- whole paths: the same method, with elements for characters and ** for the star --- */

static bool
path_match(const char *p, const char *s)
{
	const char *star = NULL, *retry = NULL;

	for (;;) {
		const char *pe = p != NULL ? element_end(p) : NULL;
		if (p != NULL && is_doublestar(p, pe)) {
			if (*pe == '\0')
				return s != NULL; /* at the end: one element or more */
			star = p = pe + 1;
			retry = s;
			continue;
		}
		if (p == NULL && s == NULL)
			return true;
		if (p != NULL && s != NULL && element_match(p, pe, s, element_end(s))) {
			const char *se = element_end(s);
			p = *pe != '\0' ? pe + 1 : NULL;
			s = *se != '\0' ? se + 1 : NULL;
			continue;
		}
		if (star == NULL || retry == NULL)
			return false;
		const char *re = element_end(retry);
		retry = *re != '\0' ? re + 1 : NULL;
		p = star;
		s = retry;
	}
}

/* --- braces --- */

/* Next character outside classes and escapes that is in set, or the end. NULL when malformed. */
static const char *
scan_to(const char *p, const char *set)
{
	bool hit;

	while (*p != '\0' && strchr(set, *p) == NULL) {
		if (*p == '[') {
			p = class_match(p + 1, 0, &hit);
			if (p == NULL)
				return NULL;
		} else if (*p == '\\' && *++p == '\0') {
			return NULL;
		} else {
			p++;
		}
	}
	return p;
}

/* End of the group that opens at p ('{'), or NULL. */
static const char *
group_end(const char *p)
{
	int depth = 0;

	for (;; p++) {
		p = scan_to(p, "{}");
		if (p == NULL || *p == '\0')
			return NULL;
		depth += *p == '{' ? 1 : -1;
		if (depth == 0)
			return p;
	}
}

/* End of the alternative that starts at p: a comma or the group's end, inner groups skipped. */
static const char *
alternative_end(const char *p, const char *end)
{
	while (p < end) {
		p = scan_to(p, "{,}");
		if (*p == ',' || p >= end)
			break;
		p = *p == '{' ? group_end(p) + 1 : p + 1;
	}
	return p < end ? p : end;
}

static int
add(struct tb_glob *g, const char *text, struct tb_err *e)
{
	if (g->n == TB_GLOB_ALTERNATIVES_MAX)
		return tb_fail(
		    e, "its braces stand for more than %d patterns", TB_GLOB_ALTERNATIVES_MAX);
	if ((g->n & (g->n - 1)) == 0) { /* full at every power of two */
		char **more = realloc(g->alts, (g->n > 0 ? g->n * 2 : 1) * sizeof(char *));
		if (more == NULL)
			return tb_fail(e, "out of memory");
		g->alts = more;
	}
	g->alts[g->n++] = tb_strdup(text);
	return 0;
}

static int
expand(struct tb_glob *g, const char *pattern, int depth, struct tb_err *e)
{
	const char *open = scan_to(pattern, "{");

	if (open == NULL)
		return tb_fail(e, "syntax error in pattern");
	if (*open == '\0')
		return add(g, pattern, e);
	const char *close = group_end(open);
	if (close == NULL)
		return tb_fail(e, "syntax error in pattern");
	if (depth == NEST_MAX || strlen(pattern) > TB_GLOB_LEN_MAX)
		return tb_fail(e, "it has more than %d brace groups", NEST_MAX);
	for (const char *p = open + 1;;) {
		const char *end = alternative_end(p, close);
		char *alt = tb_format(
		    "%.*s%.*s%s", (int)(open - pattern), pattern, (int)(end - p), p, close + 1);
		int r = expand(g, alt, depth + 1, e);
		free(alt);
		if (r != 0 || end == close)
			return r;
		p = end + 1;
	}
}

struct tb_glob *
tb_glob_new(const char *pattern, struct tb_err *e)
{
	struct tb_err why;
	struct tb_glob *g = tb_malloc(sizeof(*g));

	g->n = 0;
	g->alts = NULL;
	if (strlen(pattern) > TB_GLOB_LEN_MAX)
		tb_fail(&why, "it is longer than %d bytes", TB_GLOB_LEN_MAX);
	else if (expand(g, pattern, 0, &why) == 0)
		return g;
	tb_fail(e, "pattern \"%.200s\" in paths: %s", pattern, why.text);
	tb_glob_free(g);
	return NULL;
}

void
tb_glob_free(struct tb_glob *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->n; i++)
		free(g->alts[i]);
	free(g->alts);
	free(g);
}

bool
tb_glob_match(const struct tb_glob *g, const char *path)
{
	for (size_t i = 0; i < g->n; i++)
		if (path_match(g->alts[i], path))
			return true;
	return false;
}
