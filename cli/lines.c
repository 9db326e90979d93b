#include "cli.h"

#include <string.h>

static void
piece(struct cli_lines *l, bool ends)
{
	l->on_line(l->arg, buf_str(&l->rest), l->rest.len, !l->open, ends);
	l->open = !ends;
	buf_clear(&l->rest);
}

void
cli_lines_feed(struct cli_lines *l, const char *p, size_t n)
{
	while (n > 0) {
		const char *newline = memchr(p, '\n', n);
		size_t part = newline ? (size_t)(newline - p) : n;
		size_t room = CLI_LINE_MAX - l->rest.len;

		if (part > room) {
			buf_append(&l->rest, p, room);
			piece(l, false);
			p += room;
			n -= room;
			continue;
		}
		buf_append(&l->rest, p, part);
		p += part;
		n -= part;
		if (newline) {
			piece(l, true);
			p++;
			n--;
		}
	}
}

void
cli_lines_flush(struct cli_lines *l)
{
	if (l->rest.len)
		piece(l, false);
}

void
cli_lines_end(struct cli_lines *l)
{
	if (l->rest.len || l->open)
		piece(l, true);
}

void
cli_lines_fini(struct cli_lines *l)
{
	buf_free(&l->rest);
}
