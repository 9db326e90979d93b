#include "executor/pull_progress.h"

#include "common/json.h"
#include "common/mem.h"

#include <string.h>

#define WORD_MAX 80

struct layer {
	char id[WORD_MAX];
	char status[WORD_MAX];
};

struct ex_pull_progress {
	struct buf line;
	bool skipping;
	struct layer layers[EX_PULL_LAYERS_MAX];
	size_t nlayers;
	char *error;
};

struct ex_pull_progress *
ex_pull_progress_new(void)
{
	return xcalloc(1, sizeof(struct ex_pull_progress));
}

void
ex_pull_progress_free(struct ex_pull_progress *p)
{
	if (p == NULL)
		return;
	buf_free(&p->line);
	free(p->error);
	free(p);
}

const char *
ex_pull_progress_error(const struct ex_pull_progress *p)
{
	return p->error;
}

/* Foreign text: no control characters, bounded. */
static void
clean(char *out, size_t size, const char *text)
{
	size_t i;

	snprintf(out, size, "%s", text);
	for (i = 0; out[i] != '\0'; i++)
		if ((unsigned char)out[i] < ' ' || out[i] == 127)
			out[i] = ' ';
}

/* True when the layer was not in this state already. */
static bool
changed(struct ex_pull_progress *p, const char *id, const char *status)
{
	size_t i;

	for (i = 0; i < p->nlayers; i++) {
		if (strcmp(p->layers[i].id, id) != 0)
			continue;
		if (strcmp(p->layers[i].status, status) == 0)
			return false;
		snprintf(p->layers[i].status, WORD_MAX, "%s", status);
		return true;
	}
	if (p->nlayers == EX_PULL_LAYERS_MAX)
		return false;
	snprintf(p->layers[i].id, WORD_MAX, "%s", id);
	snprintf(p->layers[i].status, WORD_MAX, "%s", status);
	p->nlayers++;
	return true;
}

static void
one_line(struct ex_pull_progress *p, struct buf *out)
{
	auto_json *j = NULL;
	char id[WORD_MAX], status[WORD_MAX];
	const char *error, *text;

	if (json_parse(&j, p->line.data, p->line.len, NULL) != 0 || !json_is_object(j))
		return;
	error = json_text(j, "error");
	if (error == NULL)
		error = json_text(json_member(j, "errorDetail"), "message");
	if (error != NULL && p->error == NULL) {
		p->error = xmalloc(1024);
		clean(p->error, 1024, error);
	}
	text = json_text(j, "status");
	if (error != NULL || text == NULL)
		return;
	clean(status, sizeof(status), text);
	clean(id, sizeof(id), json_text(j, "id") != NULL ? json_text(j, "id") : "");
	if (!changed(p, id, status) || strcmp(status, "Waiting") == 0)
		return;
	buf_printf(out, "  %s%s%s\n", id, *id != '\0' ? ": " : "", status);
}

void
ex_pull_progress_feed(struct ex_pull_progress *p, const void *bytes, size_t n, struct buf *out)
{
	const char *s = bytes;
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i] == '\n') {
			if (!p->skipping && p->line.len > 0)
				one_line(p, out);
			p->skipping = false;
			buf_clear(&p->line);
		} else if (p->line.len == EX_PULL_LINE_MAX) {
			p->skipping = true;
		} else {
			buf_putc(&p->line, s[i]);
		}
	}
}
