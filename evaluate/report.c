#include "evaluate/report.h"

#include "common/json.h"
#include "common/mem.h"
#include "evaluate/message.h"

#include <stdio.h>
#include <string.h>

#define TRACE_MAX 12 /* lines */

void
eval_prefix(struct buf *source, struct buf *name, const char *mark, const char *path,
    const char *text, size_t len)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	auto_json *this_file = json_string(path);
	auto_free char *quoted =
	    this_file ? json_dumps(this_file, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
	auto_free char *std = eval_std_path(mark);
	size_t before = source->len;

	/* The mark is told by escapes: a control character may not stand in a text. */
	buf_puts(source, "local std=(import '");
	for (const char *p = std; *p; p++) {
		if ((unsigned char)*p < ' ')
			buf_printf(source, "\\u%04x", (unsigned char)*p);
		else
			buf_putc(source, *p);
	}
	buf_printf(source, "'){thisFile::%s};", quoted ? quoted : "''");
	buf_append(name, path, (size_t)(base - path));
	buf_printf(name, "%s%s%s%zu%s", mark, base, mark, source->len - before, mark);
	buf_append(source, text, len);
}

char *
eval_std_path(const char *mark)
{
	return xasprintf("%sstd", mark);
}

/* A number of at most 9 digits; its length, or 0. */
static size_t
number(const char *s, unsigned *out)
{
	size_t n = 0;

	*out = 0;
	while (s[n] >= '0' && s[n] <= '9' && n < 9)
		*out = *out * 10 + (unsigned)(s[n++] - '0');
	return s[n] >= '0' && s[n] <= '9' ? 0 : n;
}

/* "LINE:COL"; its length, or 0. */
static size_t
pair(const char *s, unsigned *line, unsigned *col)
{
	size_t n = number(s, line), m;

	if (n == 0 || s[n] != ':')
		return 0;
	m = number(s + n + 1, col);
	return m ? n + 1 + m : 0;
}

struct range {
	unsigned line, col, to_line, to_col; /* to_line 0: a place; equal to line: one line */
};

/* ":LINE:COL", ":LINE:COL-COL" or ":(LINE:COL)-(LINE:COL)"; its length, or 0. */
static size_t
range(const char *s, struct range *r)
{
	size_t n, m;

	*r = (struct range){ 0 };
	if (*s != ':')
		return 0;
	if (s[1] != '(') {
		n = pair(s + 1, &r->line, &r->col);
		if (n == 0)
			return 0;
		m = s[1 + n] == '-' ? number(s + 2 + n, &r->to_col) : 0;
		r->to_line = m ? r->line : 0;
		return 1 + n + (m ? 1 + m : 0);
	}
	n = pair(s + 2, &r->line, &r->col);
	if (n == 0 || strncmp(s + 2 + n, ")-(", 3) != 0)
		return 0;
	m = pair(s + 5 + n, &r->to_line, &r->to_col);
	return m && s[5 + n + m] == ')' ? 6 + n + m : 0;
}

static void
reduce(unsigned line, unsigned *col, unsigned by)
{
	if (line == 1)
		*col = *col > by ? *col - by : 1;
}

static void
put_range(struct buf *out, struct range r, unsigned by)
{
	reduce(r.line, &r.col, by);
	reduce(r.to_line, &r.to_col, by);
	if (r.to_line == 0)
		buf_printf(out, ":%u:%u", r.line, r.col);
	else if (r.to_line == r.line)
		buf_printf(out, ":%u:%u-%u", r.line, r.col, r.to_col);
	else
		buf_printf(out, ":(%u:%u)-(%u:%u)", r.line, r.col, r.to_line, r.to_col);
}

void
eval_unmark(struct buf *out, const char *raw, const char *mark)
{
	size_t n = strlen(mark);

	for (const char *at; (at = strstr(raw, mark)) != NULL;) {
		const char *end = strstr(at + n, mark);
		struct range r;
		unsigned by;
		size_t digits, len;

		buf_append(out, raw, (size_t)(at - raw));
		raw = at + n;
		digits = end ? number(end + n, &by) : 0;
		if (digits == 0 || strncmp(end + n + digits, mark, n) != 0)
			continue;
		buf_append(out, raw, (size_t)(end - raw));
		raw = end + n + digits + n;
		len = range(raw, &r);
		if (len)
			put_range(out, r, by);
		raw += len;
	}
	buf_puts(out, raw);
}

/* The place that begins s, "FILE:" and a range: length of the file's name, or 0. */
static size_t
place(const char *s, struct range *r, size_t *len)
{
	size_t line = strcspn(s, "\t\n");

	for (size_t i = 1; i < line; i++) {
		size_t n = s[i] == ':' ? range(s + i, r) : 0;

		if (n && i + n <= line) {
			*len = i + n;
			return i;
		}
	}
	return 0;
}

static bool
is_library(const char *name, size_t n)
{
	static const char *const names[] = { "std.jsonnet", EVAL_STD };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
			return true;
	}
	return false;
}

/* Ends the text at max bytes, not inside a character. */
static void
cut(struct buf *b, size_t max)
{
	if (b->len <= max)
		return;
	while (max > 0 && ((unsigned char)b->data[max] & 0xc0) == 0x80)
		max--;
	b->len = max;
	b->data[max] = '\0';
}

/* The lines of a message in one, without control characters. */
static void
put_message(struct buf *out, const char *s, size_t n)
{
	while (n > 0 && (unsigned char)s[n - 1] <= ' ')
		n--;
	for (size_t i = 0; i < n; i++) {
		bool control = (unsigned char)s[i] < ' ' || s[i] == 0x7f;

		buf_append(out, control ? " " : &s[i], 1);
	}
}

/* Place of the first line of the trace that is in the repository. */
static void
put_place(struct buf *out, const char *trace, const char *file)
{
	struct range r = { .line = 1, .col = 1 };
	size_t name = 0, len;

	while (*trace == '\t') {
		name = place(++trace, &r, &len);
		if (name && !is_library(trace, name))
			break;
		name = 0;
		trace += strcspn(trace, "\n");
		trace += *trace == '\n';
	}
	if (name)
		put_message(out, trace, name);
	else
		buf_puts(out, file);
	buf_printf(out, ":%u:%u", name ? r.line : 1, name ? r.col : 1);
}

static void
put_trace(struct buf *out, const char *trace)
{
	for (unsigned i = 0; *trace && i < TRACE_MAX; i++) {
		size_t n = strcspn(trace, "\n");

		if (n > 1) {
			buf_puts(out, "\n    at ");
			put_message(out, trace + 1, n - 1);
		}
		trace += n + (trace[n] == '\n');
	}
}

void
eval_report(struct buf *out, const char *raw, const char *mark, const char *file)
{
	static const char fixed[] = "STATIC ERROR: ", running[] = "RUNTIME ERROR: ";
	auto_buf clean = BUF_INIT;
	struct range r;
	const char *text, *trace;
	size_t name, len = 0;

	eval_unmark(&clean, raw, mark);
	text = buf_str(&clean);
	if (strncmp(text, fixed, sizeof(fixed) - 1) == 0) {
		text += sizeof(fixed) - 1;
		name = place(text, &r, &len);
		if (name)
			put_message(out, text, name);
		else
			buf_puts(out, file);
		buf_printf(out, ":%u:%u", name ? r.line : 1, name ? r.col : 1);
		text += len + (text[len] == ':');
		trace = text + strlen(text);
	} else {
		if (strncmp(text, running, sizeof(running) - 1) == 0)
			text += sizeof(running) - 1;
		trace = strstr(text, "\n\t");
		trace = trace ? trace + 1 : text + strlen(text);
		put_place(out, trace, file);
	}
	buf_puts(out, ": Jsonnet: ");
	text += strspn(text, " ");
	put_message(out, text, (size_t)(trace - text));
	put_trace(out, trace);
	cut(out, EVAL_REPORT_MAX);
}
