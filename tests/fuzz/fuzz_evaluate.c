/*
 * What stands around Jsonnet: the messages of its child in any pieces, the paths of imports, the
 * words of a source, and errors on their way back to the user's own places. The first byte chooses.
 * covers: evaluate/message.c evaluate/path.c evaluate/scan.c evaluate/report.c
 */
#include "fuzz.h"

#include "common/buf.h"
#include "common/mem.h"
#include "evaluate/message.h"
#include "evaluate/path.h"
#include "evaluate/report.h"
#include "evaluate/scan.h"

#define MARK "\002feed"

/* Messages up to the first that is refused: what they hold, and whether one was refused. */
static uint64_t
messages(const uint8_t *p, size_t n, bool pieces)
{
	auto_buf in = BUF_INIT;
	struct eval_message m;
	uint64_t h = 1;
	int rc = 0;

	for (size_t at = 0; at < n && rc >= 0;) {
		size_t piece = pieces ? fuzz_piece(p, n, at) : n;

		buf_append(&in, p + at, piece);
		at += piece;
		while ((rc = eval_message_get(&m, &in, NULL)) > 0) {
			FUZZ_MUST(m.size <= in.len && m.len < m.size);
			FUZZ_MUST(m.content + m.len == in.data + m.size);
			h = fuzz_digest(h, in.data, m.size);
			for (size_t i = 0; i < EVAL_TEXTS_MAX && m.texts[i]; i++)
				FUZZ_MUST(m.texts[i] + strlen(m.texts[i]) < m.content);
			auto_buf again = BUF_INIT;
			eval_message_put(&again, m.kind, m.texts, m.content, m.len);
			FUZZ_MUST(again.len == m.size && memcmp(again.data, in.data, m.size) == 0);
			buf_consume(&in, m.size);
		}
	}
	return h * 2 + (rc < 0);
}

/* Directory and path, split at the first newline. What is accepted stays inside. */
static void
path(const uint8_t *p, size_t n)
{
	auto_free char *dir = xstrndup((const char *)p, n);
	auto_free char *out = NULL;
	auto_free char *again = NULL;
	char *rel = strchr(dir, '\n');

	if (!rel)
		return;
	*rel++ = '\0';
	if (eval_path(&out, dir, rel, NULL) < 0)
		return;
	FUZZ_MUST(out[0] != '\0' && out[0] != '/' && strlen(out) <= EVAL_PATH_MAX);
	FUZZ_MUST(strcmp(out, "..") != 0 && strncmp(out, "../", 3) != 0);
	FUZZ_MUST(!strstr(out, "/../") && !strstr(out, "//") && !strstr(out, "/./"));
	FUZZ_MUST(out[strlen(out) - 1] != '/');
	FUZZ_MUST(strcmp(out, ".git") != 0 && strncmp(out, ".git/", 5) != 0);
	FUZZ_MUST(eval_path(&again, "", out, NULL) == 0 && strcmp(again, out) == 0);
}

struct seen {
	const char *text;
	size_t len;
};

static void
on_importstr(void *arg, const char *at, size_t len)
{
	const struct seen *s = arg;

	FUZZ_MUST(at >= s->text && at + len <= s->text + s->len);
}

static void
scan(const uint8_t *p, size_t n)
{
	const char *text = (const char *)p;
	bool std = eval_scan_std(text, n);

	eval_scan_importstr(text, n, on_importstr, &(struct seen){ text, n });
	/* A comment behind it changes nothing, unless it was open. */
	auto_buf more = BUF_INIT;
	buf_append(&more, p, n);
	buf_puts(&more, "\n");
	FUZZ_MUST(!std || eval_scan_std(more.data, more.len));
	/* Mentioned at all, somewhere. */
	FUZZ_MUST(!std || memmem(text, n, "std", 3) != NULL);
}

/* The input as an error's text, in which "%" stands for the mark. */
static void
report(const uint8_t *p, size_t n)
{
	auto_buf raw = BUF_INIT;
	auto_buf plain = BUF_INIT;
	auto_buf out = BUF_INIT;

	for (size_t i = 0; i < n && p[i] != '\0'; i++) {
		if (p[i] == '%')
			buf_puts(&raw, MARK);
		else
			buf_putc(&raw, (char)p[i]);
	}
	eval_unmark(&plain, buf_str(&raw), MARK);
	FUZZ_MUST(plain.len <= raw.len);
	FUZZ_MUST(strstr(buf_str(&raw), MARK) || strcmp(buf_str(&raw), buf_str(&plain)) == 0);
	eval_report(&out, buf_str(&raw), MARK, "file");
	FUZZ_MUST(out.len > 0 && out.len <= EVAL_REPORT_MAX && strstr(out.data, ": Jsonnet: "));
	for (size_t i = 0; i < out.len; i++)
		FUZZ_MUST((unsigned char)out.data[i] >= ' ' || out.data[i] == '\n');
}

/* A place in a source with a prefix comes back as the place without it. */
static void
prefix(const uint8_t *p, size_t n)
{
	auto_buf source = BUF_INIT;
	auto_buf name = BUF_INIT;
	auto_buf out = BUF_INIT;
	auto_buf want = BUF_INIT;

	eval_prefix(&source, &name, MARK, "a/b.jsonnet", (const char *)p, n);
	FUZZ_MUST(source.len > n && memcmp(source.data + source.len - n, p, n) == 0);
	FUZZ_MUST(!memchr(source.data, '\n', source.len - n));
	buf_printf(&name, ":1:%zu-%zu: x", source.len - n + 1, source.len + 1);
	eval_unmark(&out, buf_str(&name), MARK);
	buf_printf(&want, "a/b.jsonnet:1:1-%zu: x", n + 1);
	FUZZ_MUST(strcmp(buf_str(&out), buf_str(&want)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n == 0)
		return 0;
	p++;
	n--;
	switch (p[-1]) {
	case 'm':
		FUZZ_MUST(messages(p, n, false) == messages(p, n, true));
		break;
	case 'p':
		path(p, n);
		break;
	case 's':
		scan(p, n);
		break;
	case 'r':
		report(p, n);
		break;
	default:
		prefix(p, n);
		break;
	}
	return 0;
}
