/* The child's side: gives up what it does not need, evaluates, answers. */
#include "common/id.h"
#include "common/mem.h"
#include "evaluate/confine.h"
#include "evaluate/evaluate.h"
#include "evaluate/message.h"
#include "evaluate/native.h"
#include "evaluate/report.h"
#include "evaluate/scan.h"
#include "evaluate/vm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct worker {
	struct buf in;
	char mark[24];
	char *std_path;
	char *file;
	size_t output_max;
	/* directory and path of what is included as text: it gets no prefix */
	struct raw {
		char *dir, *path;
	} * raw;
	size_t nraw;
};

/* --- pipes --- */

static void
say(enum eval_kind kind, const char *const *texts, const char *content, size_t len)
{
	auto_buf b = BUF_INIT;

	eval_message_put(&b, kind, texts, content, len);
	for (size_t at = 0; at < b.len;) {
		ssize_t n = write(STDOUT_FILENO, b.data + at, b.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1); /* the parent is gone */
		at += (size_t)n;
	}
}

/* The next message; it lives until the buffer is consumed. */
static void
hear(struct worker *w, struct eval_message *m)
{
	int rc;

	while ((rc = eval_message_get(m, &w->in, NULL)) == 0) {
		char *at = buf_reserve(&w->in, 65536);
		ssize_t n = read(STDIN_FILENO, at, 65536);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		w->in.len += (size_t)n;
		w->in.data[w->in.len] = '\0';
	}
	if (rc < 0)
		_exit(1);
}

/* --- imports --- */

struct note {
	struct worker *w;
	const char *name; /* of the file that includes */
};

static void
note_raw(void *arg, const char *path, size_t len)
{
	const struct note *note = arg;
	struct worker *w = note->w;
	const char *slash = strrchr(note->name, '/');

	w->raw = xreallocarray(w->raw, w->nraw + 1, sizeof(*w->raw));
	w->raw[w->nraw].dir = xstrndup(note->name, slash ? (size_t)(slash - note->name) + 1 : 0);
	w->raw[w->nraw++].path = xstrndup(path, len);
}

static bool
is_raw(const struct worker *w, const char *dir, const char *path)
{
	for (size_t i = 0; i < w->nraw; i++) {
		if (strcmp(w->raw[i].dir, dir) == 0 && strcmp(w->raw[i].path, path) == 0)
			return true;
	}
	return false;
}

/* The source as libjsonnet gets it. */
static void
prepare(
    struct worker *w, char **name, char **source, const char *path, const char *text, size_t len)
{
	auto_buf as = BUF_INIT;
	auto_buf code = BUF_INIT;

	eval_scan_importstr(text, len, note_raw, &(struct note){ w, path });
	if (eval_scan_std(text, len)) {
		eval_prefix(&code, &as, w->mark, path, text, len);
	} else {
		buf_puts(&as, path);
		buf_append(&code, text, len);
	}
	*name = buf_take(&as);
	*source = buf_take(&code);
}

static int
on_import(void *arg, const char *dir, const char *path, char **name, char **content)
{
	struct worker *w = arg;
	struct eval_message m;

	if (strcmp(path, w->std_path) == 0) {
		*name = xstrdup(EVAL_STD);
		*content = xstrdup(eval_std_libsonnet);
		return 0;
	}
	*name = NULL;
	if (strlen(dir) + strlen(path) > EVAL_PATH_MAX) {
		*content = xstrdup("the path is too long");
		return -1;
	}
	say(EVAL_IMPORT, (const char *[]){ dir, path }, "", 0);
	hear(w, &m);
	if (m.kind != EVAL_FILE) {
		*content = xstrndup(m.content, m.len);
	} else if (is_raw(w, dir, path)) {
		*name = xstrdup(m.texts[0]);
		*content = xstrndup(m.content, m.len);
	} else {
		prepare(w, name, content, m.texts[0], m.content, m.len);
	}
	buf_consume(&w->in, m.size);
	return *name ? 0 : -1;
}

/* --- the work --- */

static void
fail_text(const struct worker *w, const char *text)
{
	auto_free char *report = xasprintf("%s:1:1: Jsonnet: %s", w->file, text);

	say(EVAL_FAILED, NULL, report, strlen(report));
}

static void
answer(const struct worker *w, enum eval_vm_end end, const char *out, size_t memory)
{
	auto_buf report = BUF_INIT;
	auto_free char *text = NULL;

	switch (end) {
	case EVAL_VM_MEMORY:
		text = xasprintf("the evaluation needs more than %zu MiB of memory", memory >> 20);
		fail_text(w, text);
		return;
	case EVAL_VM_ERROR:
		eval_report(&report, out, w->mark, w->file);
		say(EVAL_FAILED, NULL, buf_str(&report), report.len);
		return;
	case EVAL_VM_OK:
		break;
	}
	if (strlen(out) > w->output_max) {
		text = xasprintf("the output is too large: %zu bytes, at most %zu are allowed",
		    strlen(out), w->output_max);
		fail_text(w, text);
		return;
	}
	say(EVAL_RESULT, NULL, out, strlen(out));
}

int
eval_child(void)
{
	struct worker w = { 0 };
	struct eval_message m;
	auto_free char *ctx = NULL;
	char *name, *source, *out;
	enum eval_vm_end end;
	size_t memory;

	w.mark[0] = EVAL_MARK;
	id_random_hex(w.mark + 1, 8);
	w.std_path = eval_std_path(w.mark);
	hear(&w, &m);
	if (m.kind != EVAL_START)
		return 1;
	memory = strtoull(m.texts[0], NULL, 10);
	w.output_max = strtoull(m.texts[4], NULL, 10);
	w.file = xstrdup(m.texts[2]);
	ctx = xstrdup(m.texts[3]);
	eval_native_load();
	eval_confine(memory, strtoull(m.texts[1], NULL, 10));
	prepare(&w, &name, &source, w.file, m.content, m.len);
	buf_consume(&w.in, m.size);
	end = eval_vm_run(&out, name, source, ctx, on_import, &w);
	answer(&w, end, out, memory);
	/* Without destructors and what else libraries leave for the end. */
	_exit(0);
}
