#include "cli.h"

#include "common/mem.h"

#include <string.h>
#include <wchar.h>

char *
cli_clean(const char *s)
{
	char *copy = xstrdup(s ? s : "");

	for (char *p = copy; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return copy;
}

void
cli_table_add(struct cli_table *t, const char *const *cells)
{
	t->cells = xreallocarray(t->cells, t->n + t->columns, sizeof(*t->cells));
	for (size_t i = 0; i < t->columns; i++)
		t->cells[t->n++] = cli_clean(cells[i]);
}

/* Characters, not bytes. */
static size_t
width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void
cli_table_print(const struct cli_table *t, struct buf *out)
{
	size_t *widths = xcalloc(t->columns + 1, sizeof(*widths));

	for (size_t i = 0; i < t->n; i++) {
		size_t w = width(t->cells[i]);
		if (w > widths[i % t->columns])
			widths[i % t->columns] = w;
	}
	for (size_t i = 0; i < t->n; i++) {
		size_t column = i % t->columns;

		buf_puts(out, t->cells[i]);
		if (column + 1 < t->columns) {
			for (size_t k = width(t->cells[i]); k < widths[column] + 2; k++)
				buf_putc(out, ' ');
			continue;
		}
		while (out->len && out->data[out->len - 1] == ' ')
			out->len--;
		buf_putc(out, '\n');
	}
	free(widths);
}

void
cli_table_fini(struct cli_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct cli_table){ 0 };
}

int
cli_print_json(const json_t *j)
{
	char *text = j ? json_dumps(j, JSON_INDENT(2) | JSON_ENCODE_ANY) : xstrdup("null");

	puts(text ? text : "null");
	free(text);
	return 0;
}

int
cli_fail_hint(struct err *err, const char *hint)
{
	fflush(stdout);
	fprintf(stderr, "millrace: %s%s%s\n", err_msg(err), hint ? ": " : "", hint ? hint : "");
	err_free(err);
	return 1;
}

int
cli_fail(struct err *err)
{
	return cli_fail_hint(err, NULL);
}
