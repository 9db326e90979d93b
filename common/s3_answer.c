#include "common/s3_answer.h"

#include <string.h>

/* The text of the first element of this name, as far as it fits. */
static void
element(char *out, size_t room, const char *name, const char *p, size_t n)
{
	size_t len = strlen(name), used = 0;
	const char *end = p + n, *at = p;

	out[0] = '\0';
	while ((at = memmem(at, (size_t)(end - at), name, len)) != NULL) {
		if (at > p && at[-1] == '<' && at + len < end && at[len] == '>')
			break;
		at += len;
	}
	if (at == NULL)
		return;
	for (at += len + 1; at < end && *at != '<' && used + 1 < room; at++)
		out[used++] = (char)(*at >= ' ' && *at <= '~' ? *at : ' ');
	out[used] = '\0';
}

void
s3_refusal_parse(struct s3_refusal *out, const void *p, size_t n)
{
	element(out->code, sizeof(out->code), "Code", p, n);
	element(out->message, sizeof(out->message), "Message", p, n);
}

/* Decimal digits, below 2^63; moves *p behind them. */
static bool
number(uint64_t *out, const char **p)
{
	const char *from = *p;

	*out = 0;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		if (*out > (INT64_MAX - 9) / 10)
			return false;
		*out = *out * 10 + (uint64_t)(**p - '0');
	}
	return *p > from;
}

static bool
skip(const char **p, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(*p, text, n) != 0)
		return false;
	*p += n;
	return true;
}

bool
s3_range_parse(struct s3_range *out, const char *text)
{
	uint64_t last = 0;

	*out = (struct s3_range){ 0 };
	if (text == NULL || !skip(&text, "bytes "))
		return false;
	if (skip(&text, "*/")) {
		if (!number(&out->total, &text) || *text != '\0')
			return false;
		out->first = out->total;
		return true;
	}
	if (!number(&out->first, &text) || !skip(&text, "-") || !number(&last, &text) ||
	    !skip(&text, "/") || !number(&out->total, &text) || *text != '\0' ||
	    last < out->first || last >= out->total)
		return false;
	out->n = last - out->first + 1;
	return true;
}

bool
s3_length_parse(uint64_t *out, const char *text)
{
	*out = 0;
	return text != NULL && number(out, &text) && *text == '\0';
}
