#include "evaluate/message.h"

#include "common/mem.h"

#include <stdbool.h>
#include <string.h>

#define HEAD 5

static const struct {
	unsigned ntexts;
	size_t max; /* bytes after the head */
	bool cut;   /* content may be cut off */
} kinds[] = {
	[EVAL_START] = { 5, EVAL_CONTENT_MAX + EVAL_CONTEXT_MAX + EVAL_PATH_MAX + 256, false },
	[EVAL_FILE] = { 1, EVAL_CONTENT_MAX + EVAL_PATH_MAX + 1, false },
	[EVAL_REFUSED] = { 0, EVAL_REPORT_MAX, true },
	[EVAL_IMPORT] = { 2, (size_t)8 * EVAL_PATH_MAX, false },
	[EVAL_RESULT] = { 0, EVAL_CONTENT_MAX, false },
	[EVAL_FAILED] = { 0, EVAL_REPORT_MAX, true },
};

void
eval_message_put(
    struct buf *out, enum eval_kind kind, const char *const *texts, const char *content, size_t len)
{
	size_t n = 0;

	if (kinds[kind].cut && len > kinds[kind].max)
		len = kinds[kind].max;
	for (unsigned i = 0; i < kinds[kind].ntexts; i++)
		n += strlen(texts[i]) + 1;
	n += len;
	MUST(n <= kinds[kind].max);
	buf_putc(out, (char)kind);
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_putc(out, (char)(n >> shift));
	for (unsigned i = 0; i < kinds[kind].ntexts; i++)
		buf_append(out, texts[i], strlen(texts[i]) + 1);
	buf_append(out, content, len);
}

int
eval_message_get(struct eval_message *out, const struct buf *in, struct err **err)
{
	const unsigned char *head = (const unsigned char *)in->data;
	size_t n;

	if (in->len == 0)
		return 0;
	if (head[0] >= ARRAY_LEN(kinds) || kinds[head[0]].max == 0)
		return err_set(err, ERR_INVALID, "a message of unknown kind %u", head[0]);
	if (in->len < HEAD)
		return 0;
	n = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
	if (n > kinds[head[0]].max)
		return err_set(err, ERR_INVALID, "a message of kind %u has %zu bytes", head[0], n);
	if (in->len < HEAD + n)
		return 0;
	*out = (struct eval_message){ .kind = (enum eval_kind)head[0],
		.content = in->data + HEAD,
		.len = n,
		.size = HEAD + n };
	for (unsigned i = 0; i < kinds[out->kind].ntexts; i++) {
		const char *end = memchr(out->content, '\0', out->len);

		if (!end)
			return err_set(
			    err, ERR_INVALID, "a message of kind %u lacks a text", head[0]);
		out->texts[i] = out->content;
		out->len -= (size_t)(end - out->content) + 1;
		out->content = end + 1;
	}
	return 1;
}
