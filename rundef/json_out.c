#include "rundef/json_out.h"

/* Code point of the UTF-8 character at p, its length in *n; the model holds valid UTF-8 only. */
static unsigned
code_point(const char *p, size_t *n)
{
	const unsigned char *s = (const unsigned char *)p;
	unsigned c = s[0];

	*n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (*n == 1)
		return c;
	c &= 0x7fu >> *n;
	for (size_t i = 1; i < *n && s[i]; i++)
		c = c << 6 | (s[i] & 0x3f);
	return c;
}

/* Raw in a quoted scalar these would be refused, folded or dropped. */
static bool
must_escape(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

void
rundef_out_text(struct buf *b, const char *s)
{
	size_t n;

	buf_putc(b, '"');
	for (; *s; s += n) {
		unsigned c = code_point(s, &n);

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", (char)c);
		else if (c == '\n')
			buf_puts(b, "\\n");
		else if (c == '\t')
			buf_puts(b, "\\t");
		else if (must_escape(c))
			buf_printf(b, "\\u%04x", c);
		else
			buf_append(b, s, n);
	}
	buf_putc(b, '"');
}

void
rundef_out_next(struct rundef_out *o, const char *key)
{
	if (!o->first)
		buf_putc(o->b, ',');
	if (o->depth > 0) {
		buf_putc(o->b, '\n');
		for (unsigned i = 0; i < o->depth; i++)
			buf_puts(o->b, "  ");
	}
	o->first = false;
	if (!key)
		return;
	rundef_out_text(o->b, key);
	buf_puts(o->b, ": ");
}

void
rundef_out_open(struct rundef_out *o, const char *key, char bracket)
{
	rundef_out_next(o, key);
	buf_putc(o->b, bracket);
	o->depth++;
	o->first = true;
}

void
rundef_out_close(struct rundef_out *o, char bracket)
{
	o->depth--;
	if (!o->first) {
		buf_putc(o->b, '\n');
		for (unsigned i = 0; i < o->depth; i++)
			buf_puts(o->b, "  ");
	}
	o->first = false;
	buf_putc(o->b, bracket);
}
