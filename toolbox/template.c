#include "toolbox/template.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 16

/* A text or a number; its bytes are in one malloc'ed block of a value's largest size. */
struct value {
	char *s;
	size_t n;
	bool number;
};

struct parser {
	const char *text, *p;
	const struct tb_template_world *w;
	struct tb_err *e;
	int depth;
};

struct function {
	const char *name;
	int min, max;
	int (*call)(struct parser *ps, struct value *out, const struct value *args, int n);
};

static int pipeline(struct parser *ps, struct value *out);

static int __attribute__((format(printf, 2, 3))) fail(struct parser *ps, const char *fmt, ...)
{
	char why[TB_ERR_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return tb_fail(ps->e, "key template, byte %zu: %s", (size_t)(ps->p - ps->text) + 1, why);
}

/* --- values --- */

static int
value_put(struct parser *ps, struct value *v, const char *s, size_t n)
{
	if (n > TB_TEMPLATE_MAX - v->n)
		return fail(ps, "the result is longer than %d bytes", TB_TEMPLATE_MAX);
	if (v->s == NULL)
		v->s = tb_malloc(TB_TEMPLATE_MAX + 1);
	memcpy(v->s + v->n, s, n);
	v->n += n;
	v->s[v->n] = '\0';
	return 0;
}

static int
value_set(struct parser *ps, struct value *v, const char *s)
{
	return value_put(ps, v, s, strlen(s));
}

static const char *
str(const struct value *v)
{
	return v->s != NULL ? v->s : "";
}

static void
value_free(struct value *v)
{
	free(v->s);
	*v = (struct value){ 0 };
}

static int
value_number(struct parser *ps, struct value *out, long long number, int width)
{
	char b[32];

	snprintf(b, sizeof(b), "%0*lld", width, number);
	return value_set(ps, out, b);
}

/* --- functions --- */

static int
digest(struct parser *ps, struct value *out, const struct value *arg, enum tb_digest kind)
{
	char hex[TB_DIGEST_HEX_MAX];
	struct tb_err e = { "" };

	if (arg->number || arg->n == 0)
		return fail(ps, "a checksum needs the name of a file");
	if (ps->w->digest(hex, kind, arg->s, &e) != 0)
		return fail(ps, "%s", e.text);
	return value_set(ps, out, hex);
}

static int
f_md5sum(struct parser *ps, struct value *out, const struct value *args, int n)
{
	(void)n;
	return digest(ps, out, &args[0], TB_MD5);
}

static int
f_sha256sum(struct parser *ps, struct value *out, const struct value *args, int n)
{
	(void)n;
	return digest(ps, out, &args[0], TB_SHA256);
}

static int
f_env(struct parser *ps, struct value *out, const struct value *args, int n)
{
	(void)n;
	if (args[0].number)
		return fail(ps, "env needs the name of a variable");
	for (char *const *v = ps->w->env; *v != NULL; v++)
		if (strncmp(*v, str(&args[0]), args[0].n) == 0 && (*v)[args[0].n] == '=')
			return value_set(ps, out, *v + args[0].n + 1);
	return 0;
}

static int
f_os(struct parser *ps, struct value *out, const struct value *args, int n)
{
	(void)args;
	(void)n;
	return value_set(ps, out, "linux");
}

static int
f_arch(struct parser *ps, struct value *out, const struct value *args, int n)
{
	(void)args;
	(void)n;
#if defined(__x86_64__)
	return value_set(ps, out, "amd64");
#elif defined(__aarch64__)
	return value_set(ps, out, "arm64");
#elif defined(__i386__)
	return value_set(ps, out, "386");
#else
	return value_set(ps, out, "arm");
#endif
}

static int
f_year(struct parser *ps, struct value *out, const struct value *args, int n)
{
	(void)args;
	(void)n;
	return value_number(ps, out, 1900 + ps->w->local.tm_year, 4);
}

static int
f_month(struct parser *ps, struct value *out, const struct value *args, int n)
{
	(void)args;
	(void)n;
	return value_number(ps, out, ps->w->local.tm_mon + 1, 2);
}

static int
f_day(struct parser *ps, struct value *out, const struct value *args, int n)
{
	(void)args;
	(void)n;
	return value_number(ps, out, ps->w->local.tm_mday, 2);
}

static int
f_unixtime(struct parser *ps, struct value *out, const struct value *args, int n)
{
	(void)args;
	(void)n;
	out->number = true;
	return value_number(
	    ps, out, (long long)ps->w->now.tv_sec * 1000000000 + ps->w->now.tv_nsec, 1);
}

/* As Go has it: a space between two operands when neither is a text. */
static int
f_print(struct parser *ps, struct value *out, const struct value *args, int n)
{
	for (int i = 0; i < n; i++) {
		if (i > 0 && args[i].number && args[i - 1].number && value_set(ps, out, " ") != 0)
			return -1;
		if (value_put(ps, out, str(&args[i]), args[i].n) != 0)
			return -1;
	}
	return 0;
}

static int
f_printf(struct parser *ps, struct value *out, const struct value *args, int n)
{
	const char *f = str(&args[0]), *end = f + args[0].n;
	int next = 1;

	for (; f < end; f++) {
		if (*f != '%' || (f + 1 < end && f[1] == '%')) {
			if (value_put(ps, out, f, 1) != 0)
				return -1;
			f += *f == '%';
			continue;
		}
		f++;
		if (f == end || strchr("svd", *f) == NULL || *f == '\0')
			return fail(ps, "printf knows %%s, %%v, %%d and %%%% only");
		if (next == n)
			return fail(ps, "printf has too few values for its format");
		const struct value *v = &args[next++];
		if ((*f == 'd') != v->number && *f != 'v')
			return fail(
			    ps, "printf: %%%c is not for a %s", *f, v->number ? "number" : "text");
		if (value_put(ps, out, str(v), v->n) != 0)
			return -1;
	}
	return next == n ? 0 : fail(ps, "printf has more values than its format takes");
}

#define NAMES "md5sum, sha256sum, env, os, arch, year, month, day, unixtime, print and printf"

static const struct function functions[] = {
	{ "md5sum", 1, 1, f_md5sum },
	{ "sha256sum", 1, 1, f_sha256sum },
	{ "env", 1, 1, f_env },
	{ "os", 0, 0, f_os },
	{ "arch", 0, 0, f_arch },
	{ "year", 0, 0, f_year },
	{ "month", 0, 0, f_month },
	{ "day", 0, 0, f_day },
	{ "unixtime", 0, 0, f_unixtime },
	{ "print", 0, ARGS_MAX, f_print },
	{ "printf", 1, ARGS_MAX, f_printf },
};

/* --- words --- */

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
skip_blanks(struct parser *ps)
{
	while (blank(*ps->p))
		ps->p++;
}

/* Length of the end of an action at p, 0 when there is none; a trimming one has a blank before. */
static size_t
at_close(const struct parser *ps, const char *p)
{
	if (strncmp(p, "}}", 2) == 0)
		return 2;
	return p > ps->text && blank(p[-1]) && strncmp(p, "-}}", 3) == 0 ? 3 : 0;
}

static int
put_rune(struct parser *ps, struct value *out, unsigned long c)
{
	char b[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return fail(ps, "a text names a character that does not exist");
	for (size_t i = n; i-- > 1; c >>= 6)
		b[i] = (char)(0x80 | (c & 0x3f));
	b[0] = (char)(n == 1 ? c : (0xf00u >> n & 0xf0u) | c);
	return value_put(ps, out, b, n);
}

/* digits digits of a base, after the letter that announced them. */
static int
escape_number(struct parser *ps, unsigned long *c, int digits, int base)
{
	*c = 0;
	for (int i = 0; i < digits; i++, ps->p++) {
		const char *at = "0123456789abcdef";
		const char *d = *ps->p != '\0' ? strchr(at, tolower((unsigned char)*ps->p)) : NULL;
		if (d == NULL || d - at >= base)
			return fail(ps, "a text has a malformed escape");
		*c = *c * (unsigned long)base + (unsigned long)(d - at);
	}
	return 0;
}

static int
escape(struct parser *ps, struct value *out)
{
	static const char letters[] = "abfnrtv\\\"", meaning[] = "\a\b\f\n\r\t\v\\\"";
	const char *at = *ps->p != '\0' ? strchr(letters, *ps->p) : NULL;
	unsigned long c;
	char byte;
	int kind = (unsigned char)*ps->p;

	if (at != NULL) {
		ps->p++;
		return value_put(ps, out, &meaning[at - letters], 1);
	}
	if (kind == 'u' || kind == 'U') {
		ps->p++;
		if (escape_number(ps, &c, kind == 'u' ? 4 : 8, 16) != 0)
			return -1;
		return put_rune(ps, out, c);
	}
	ps->p += kind == 'x';
	if (escape_number(ps, &c, kind == 'x' ? 2 : 3, kind == 'x' ? 16 : 8) != 0)
		return -1;
	if (c > 255)
		return fail(ps, "a text has a malformed escape");
	byte = (char)c;
	return value_put(ps, out, &byte, 1);
}

static int
quoted(struct parser *ps, struct value *out)
{
	int r = value_put(ps, out, "", 0);

	for (ps->p++; r == 0 && *ps->p != '"';) {
		if (*ps->p == '\0' || *ps->p == '\n')
			return fail(ps, "a text has no closing quote");
		if (*ps->p == '\\') {
			ps->p++;
			r = escape(ps, out);
		} else {
			r = value_put(ps, out, ps->p++, 1);
		}
	}
	ps->p += r == 0;
	return r;
}

static int
raw(struct parser *ps, struct value *out)
{
	const char *end = strchr(ps->p + 1, '`');

	if (end == NULL)
		return fail(ps, "a text has no closing `");
	if (value_put(ps, out, ps->p + 1, (size_t)(end - ps->p) - 1) != 0)
		return -1;
	ps->p = end + 1;
	return 0;
}

static int
number(struct parser *ps, struct value *out)
{
	const char *from = ps->p;

	if (*ps->p == '-' || *ps->p == '+')
		ps->p++;
	while (isdigit((unsigned char)*ps->p))
		ps->p++;
	out->number = true;
	if (isalnum((unsigned char)*ps->p) || *ps->p == '.' || ps->p - from > 18)
		return fail(ps, "only whole numbers of at most 18 digits are known");
	from += *from == '+';
	return value_put(ps, out, from, (size_t)(ps->p - from));
}

static bool
word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* NULL and a sentence when the word names no function. */
static const struct function *
function(struct parser *ps)
{
	size_t n = 0;

	while (word_char(ps->p[n]))
		n++;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (strlen(functions[i].name) != n || memcmp(functions[i].name, ps->p, n) != 0)
			continue;
		ps->p += n;
		return &functions[i];
	}
	if (ps->p[n] == '.' || ps->p[n] == '/' || ps->p[n] == '-')
		fail(ps, "a text must stand in quotes, as in {{ md5sum \"go.sum\" }}");
	else
		fail(ps, "there is no function %.*s; known are " NAMES, (int)(n < 64 ? n : 64),
		    ps->p);
	return NULL;
}

/* --- pipelines --- */

static int
call(
    struct parser *ps, const struct function *f, struct value *out, const struct value *args, int n)
{
	if (f->max == 0 && n > 0)
		return fail(ps, "%s takes no value", f->name);
	if (n < f->min || n > f->max)
		return fail(ps, "%s needs %s", f->name,
		    f->max == 1 ? "one value" : "a format and its values");
	return f->call(ps, out, args, n);
}

static int
parenthesis(struct parser *ps, struct value *out)
{
	if (ps->depth == TB_TEMPLATE_DEPTH)
		return fail(ps, "more than %d parentheses inside each other", TB_TEMPLATE_DEPTH);
	ps->p++;
	ps->depth++;
	if (pipeline(ps, out) != 0)
		return -1;
	ps->depth--;
	if (*ps->p != ')')
		return fail(ps, "a ) is missing");
	ps->p++;
	return 0;
}

/* One operand; a function named as one is called without arguments. */
static int
operand(struct parser *ps, struct value *out)
{
	char c = *ps->p;

	if (c == '"')
		return quoted(ps, out);
	if (c == '`')
		return raw(ps, out);
	if (c == '(')
		return parenthesis(ps, out);
	if (isdigit((unsigned char)c) ||
	    ((c == '-' || c == '+') && isdigit((unsigned char)ps->p[1])))
		return number(ps, out);
	if (!word_char(c))
		return fail(ps, c == '\0' ? "an action has no }}" : "a value was expected here");
	const struct function *f = function(ps);
	return f != NULL ? call(ps, f, out, NULL, 0) : -1;
}

static bool
at_end(const struct parser *ps)
{
	return *ps->p == '|' || *ps->p == ')' || at_close(ps, ps->p) > 0;
}

static int
arguments(struct parser *ps, struct value *args, int *n)
{
	for (skip_blanks(ps); !at_end(ps); skip_blanks(ps)) {
		if (*n == ARGS_MAX)
			return fail(ps, "a function has more than %d values", ARGS_MAX);
		const char *from = ps->p;
		if (operand(ps, &args[(*n)++]) != 0)
			return -1;
		if (!blank(*ps->p) && !at_end(ps)) {
			ps->p = from;
			return fail(ps, "a blank is missing after this value");
		}
	}
	return 0;
}

/* piped: the value of the command before, moved; NULL for the first one. */
static int
command(struct parser *ps, struct value *piped, struct value *out)
{
	struct value args[ARGS_MAX + 1] = { { 0 } };
	int n = 0, r;

	skip_blanks(ps);
	if (word_char(*ps->p) && !isdigit((unsigned char)*ps->p)) {
		const struct function *f = function(ps);
		r = f != NULL ? arguments(ps, args, &n) : -1;
		if (r == 0 && piped != NULL) {
			args[n++] = *piped;
			*piped = (struct value){ 0 };
		}
		if (r == 0)
			r = call(ps, f, out, args, n);
	} else {
		r = operand(ps, out);
		skip_blanks(ps);
		if (r == 0 && (piped != NULL || !at_end(ps)))
			r = fail(ps, "only a function takes values");
	}
	for (int i = 0; i < n; i++)
		value_free(&args[i]);
	return r;
}

static int
pipeline(struct parser *ps, struct value *out)
{
	struct value v = { 0 }, next = { 0 };
	int r = command(ps, NULL, &v);

	while (r == 0 && *ps->p == '|') {
		ps->p++;
		r = command(ps, &v, &next);
		value_free(&v);
		v = next;
		next = (struct value){ 0 };
	}
	*out = v;
	return r;
}

/* --- the whole --- */

/* Behind "{{" and its trim mark: the rest up to and with the end, which *trim tells of. */
static int
action(struct parser *ps, struct value *out, bool *trim)
{
	struct value v = { 0 };
	int r = 0;

	skip_blanks(ps);
	if (strncmp(ps->p, "/*", 2) == 0) {
		const char *end = strstr(ps->p + 2, "*/");
		if (end == NULL)
			return fail(ps, "a comment has no end");
		ps->p = end + 2;
		skip_blanks(ps);
	} else {
		r = pipeline(ps, &v);
	}
	size_t n = r == 0 ? at_close(ps, ps->p) : 0;
	if (r == 0 && n == 0)
		r = fail(ps, *ps->p == '\0' ? "an action has no }}" : "a } or | was expected here");
	if (r == 0)
		r = value_put(ps, out, str(&v), v.n);
	value_free(&v);
	ps->p += n;
	*trim = n == 3;
	return r;
}

static int
render(struct parser *ps, struct value *out)
{
	bool trim = false;

	for (;;) {
		const char *open = strstr(ps->p, "{{");
		const char *end = open != NULL ? open : ps->p + strlen(ps->p);
		if (trim)
			while (ps->p < end && blank(*ps->p))
				ps->p++;
		bool before = open != NULL && open[2] == '-' && blank(open[3]);
		const char *stop = end;
		while (before && stop > ps->p && blank(stop[-1]))
			stop--;
		if (value_put(ps, out, ps->p, (size_t)(stop - ps->p)) != 0)
			return -1;
		if (open == NULL)
			return 0;
		ps->p = open + (before ? 3 : 2);
		if (action(ps, out, &trim) != 0)
			return -1;
	}
}

int
tb_template_render(char out[TB_TEMPLATE_MAX + 1], const char *text,
    const struct tb_template_world *world, struct tb_err *e)
{
	struct parser ps = { .text = text, .p = text, .w = world, .e = e };
	struct value v = { 0 };
	int r;

	if (strlen(text) > TB_TEMPLATE_TEXT_MAX)
		return tb_fail(e, "the key template is longer than %u bytes", TB_TEMPLATE_TEXT_MAX);
	r = render(&ps, &v);
	if (r == 0 && v.n > 0 && memchr(v.s, '\0', v.n) != NULL)
		r = tb_fail(e, "the key has a NUL character");
	if (r == 0)
		memcpy(out, str(&v), v.n + 1);
	value_free(&v);
	return r;
}
