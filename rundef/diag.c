#include "rundef_int.h"

#include "common/mem.h"

#include <stdio.h>
#include <string.h>

/* Bytes of the character at p, 0 when it is not whole: names are cut for messages at some byte. */
static size_t
utf8_len(const char *p)
{
	unsigned char c = (unsigned char)*p;
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Foreign text goes into messages: keep them one line, printable, valid UTF-8 and short. */
static char *
one_line(const char *s)
{
	struct buf out = BUF_INIT;

	for (const char *p = s; *p; p++) {
		unsigned char c = (unsigned char)*p;
		size_t n = utf8_len(p);

		if (out.len >= RUNDEF_MESSAGE_MAX) {
			buf_puts(&out, "...");
			break;
		}
		if (c == '\n')
			buf_puts(&out, "\\n");
		else if (c < 0x20 || c == 0x7f)
			buf_printf(&out, "\\x%02x", c);
		else
			buf_append(&out, p, n);
		p += n > 1 ? n - 1 : 0;
	}
	if (!out.data)
		buf_puts(&out, "");
	char *line = out.data ? buf_take(&out) : xstrdup("");
	return line;
}

static void
diag_fini(struct rundef_diag *d)
{
	free(d->path);
	free(d->message);
	free(d->hint);
}

void
rundef_diags_fini(struct rundef_diags *d)
{
	for (size_t i = 0; i < d->n; i++)
		diag_fini(&d->list[i]);
	free(d->list);
	*d = (struct rundef_diags){ 0 };
}

bool
rundef_diags_full(const struct rundef_diags *d)
{
	return d->n == RUNDEF_DIAGS_MAX;
}

/* Where the next one goes; errors push out warnings when the list is full. */
static struct rundef_diag *
diag_slot(struct rundef_diags *d, enum rundef_severity severity)
{
	if (!rundef_diags_full(d)) {
		if (!d->list)
			d->list = xcalloc(RUNDEF_DIAGS_MAX, sizeof(*d->list));
		return &d->list[d->n++];
	}
	d->dropped++;
	if (severity != RUNDEF_ERROR)
		return NULL;
	for (size_t i = d->n; i-- > 0;) {
		if (d->list[i].severity == RUNDEF_WARNING) {
			diag_fini(&d->list[i]);
			return &d->list[i];
		}
	}
	return NULL;
}

static bool
said(const struct rundef_diags *d, const struct rundef_diag *x)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct rundef_diag *y = &d->list[i];

		if (y->pos.line == x->pos.line && y->pos.col == x->pos.col &&
		    y->severity == x->severity && strcmp(y->message, x->message) == 0)
			return true;
	}
	return false;
}

static void reportv(struct rd *r, enum rundef_severity severity, struct yaml_pos pos,
    const char *hint, const char *fmt, va_list ap) PRINTF(5, 0);

static void
reportv(struct rd *r, enum rundef_severity severity, struct yaml_pos pos, const char *hint,
    const char *fmt, va_list ap)
{
	auto_buf text = BUF_INIT;

	r->refused += severity == RUNDEF_ERROR;
	if (r->exhausted) /* what is read now is not what is written */
		return;
	if (severity == RUNDEF_WARNING && !r->repeat && rundef_diags_full(r->diags)) {
		r->diags->dropped++;
		return;
	}
	if (r->task)
		buf_printf(&text, "task \"%s\": ", r->task);
	else if (r->run)
		buf_printf(&text, "run \"%s\": ", r->run);
	auto_free char *what = xvasprintf(fmt, ap);
	buf_puts(&text, what);
	struct rundef_diag x = {
		.severity = severity,
		.pos = { pos.line ? pos.line : 1, pos.col ? pos.col : 1 },
		.path = one_line(buf_str(&r->path)),
		.message = one_line(buf_str(&text)),
		.hint = hint ? one_line(hint) : NULL,
	};
	if (r->repeat && said(r->diags, &x)) {
		diag_fini(&x);
		return;
	}
	r->diags->errors += severity == RUNDEF_ERROR;
	struct rundef_diag *d = diag_slot(r->diags, severity);
	if (d)
		*d = x;
	else
		diag_fini(&x);
}

void
rundef_error(struct rd *r, struct yaml_pos pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reportv(r, RUNDEF_ERROR, pos, NULL, fmt, ap);
	va_end(ap);
}

void
rundef_warn(struct rd *r, struct yaml_pos pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reportv(r, RUNDEF_WARNING, pos, NULL, fmt, ap);
	va_end(ap);
}

void
rundef_report(struct rd *r, enum rundef_severity severity, struct yaml_pos pos, const char *hint,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reportv(r, severity, pos, hint, fmt, ap);
	va_end(ap);
}

/* Insertion sort: at most RUNDEF_DIAGS_MAX, stable, nearly sorted. */
void
rundef_diags_sort(struct rundef_diags *d)
{
	for (size_t i = 1; i < d->n; i++) {
		struct rundef_diag x = d->list[i];
		size_t j = i;

		for (; j > 0; j--) {
			const struct rundef_diag *y = &d->list[j - 1];
			if (y->pos.line < x.pos.line ||
			    (y->pos.line == x.pos.line && y->pos.col <= x.pos.col))
				break;
			d->list[j] = d->list[j - 1];
		}
		d->list[j] = x;
	}
}

void
rundef_diags_print(struct buf *out, const struct rundef_diags *d, const char *file)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct rundef_diag *x = &d->list[i];

		buf_printf(out, "%s:%u:%u: %s%s", file, x->pos.line, x->pos.col,
		    x->severity == RUNDEF_WARNING ? "warning: " : "", x->message);
		if (x->hint)
			buf_printf(out, " (did you mean %s?)", x->hint);
		if (*x->path)
			buf_printf(out, " [%s]", x->path);
		buf_putc(out, '\n');
	}
	if (d->dropped)
		buf_printf(out, "%s: %zu more messages are not shown\n", file, d->dropped);
}

#define NEAR_LEN_MAX 40

static char
lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c == '-' ? '_' : c);
}

/* Edit distance without regard to case, '-' and '_' being the same; two letters that changed places
 * count once. */
static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][NEAR_LEN_MAX + 1];

	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *own = rows[i % 3];
		const size_t *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];

		own[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			char x = lower(a[i - 1]), y = lower(b[j - 1]);
			size_t best = above[j - 1] + (x != y);

			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = own[j - 1] + 1 < best ? own[j - 1] + 1 : best;
			if (i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y &&
			    two_above[j - 2] + 1 < best)
				best = two_above[j - 2] + 1;
			own[j] = best;
		}
	}
	return rows[na % 3][nb];
}

/* The only word that begins with it or has it in its middle: env for environment. */
static const char *
shortened(const char *given, size_t ngiven, const char *const *words)
{
	const char *only = NULL;

	for (; *words; words++) {
		const char *at = strcasestr(*words, given);

		if (!at || ngiven < (at == *words ? 3 : 5))
			continue;
		if (only)
			return NULL;
		only = *words;
	}
	return only;
}

const char *
rundef_nearest(const char *given, const char *const *words)
{
	size_t ngiven = strnlen(given, NEAR_LEN_MAX + 1);
	const char *best = NULL;
	size_t best_distance = ngiven <= 5 ? 2 : 3; /* must be smaller than this */

	if (ngiven > NEAR_LEN_MAX || ngiven < 2)
		return NULL;
	for (const char *const *w = words; *w; w++) {
		size_t n = strlen(*w);
		if (n > NEAR_LEN_MAX)
			continue;
		size_t d = distance(given, ngiven, *w, n);
		if (d < best_distance) {
			best = *w;
			best_distance = d;
		}
	}
	return best ? best : shortened(given, ngiven, words);
}
