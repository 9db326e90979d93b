/* A run definition of the local tree: found, read, evaluated for a context and parsed. */
#include "definition.h"

#include "common/mem.h"
#include "evaluate/evaluate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_COMMIT "0000000000000000000000000000000000000000"

/* --- context --- */

struct ref_kind {
	const char *type, *key, *before, *after; /* the ref's text around the name */
};
static const struct ref_kind kinds[] = {
	{ "branch", "branch", "refs/heads/", "" },
	{ "tag", "tag", "refs/tags/", "" },
	{ "pull_request", "pull_request_id", "refs/pull/", "/head" },
	{ "pull_request", "pull_request_id", "refs/merge-requests/", "/head" },
};

/* The name inside a ref of this kind, malloc'ed, or NULL. */
static char *
name_in_ref(const struct ref_kind *k, const char *ref)
{
	size_t n = strlen(ref), before = strlen(k->before), after = strlen(k->after);

	if (n <= before + after || strncmp(ref, k->before, before) != 0 ||
	    strcmp(ref + n - after, k->after) != 0)
		return NULL;
	return xstrndup(ref + before, n - before - after);
}

static char **
context_slot(struct cli_context *x, const char *key, size_t n)
{
	const struct {
		const char *key;
		char **slot;
	} slots[] = {
		{ "branch", &x->branch },
		{ "tag", &x->tag },
		{ "pull_request_id", &x->pull_request_id },
		{ "ref", &x->ref },
		{ "commit_sha", &x->commit_sha },
	};

	for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
		if (strlen(slots[i].key) == n && strncmp(slots[i].key, key, n) == 0)
			return slots[i].slot;
	}
	return NULL;
}

static int
context_word(struct cli_context *x, const char *word, struct err **err)
{
	size_t n = strcspn(word, "=");
	char **slot = context_slot(x, word, n);

	if (!slot || !word[n] || !word[n + 1])
		return err_set(err, ERR_INVALID,
		    "--context %s: write branch=NAME, tag=NAME, pull_request_id=ID, ref=REF or "
		    "commit_sha=HASH",
		    word);
	if (*slot)
		return err_set(err, ERR_INVALID, "--context %.*s is given twice", (int)n, word);
	*slot = xstrdup(word + n + 1);
	return 0;
}

/* What the ref says, when neither branch nor tag nor pull request is given. */
static int
context_from_ref(struct cli_context *x, struct err **err)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		char *name = name_in_ref(&kinds[i], x->ref);

		if (!name)
			continue;
		*context_slot(x, kinds[i].key, strlen(kinds[i].key)) = name;
		x->ref_type = kinds[i].type;
		return 0;
	}
	return err_set(err, ERR_INVALID,
	    "--context ref=%s: it is neither refs/heads/NAME, refs/tags/NAME nor refs/pull/ID/head",
	    x->ref);
}

static int
context_complete(struct cli_context *x, struct err **err)
{
	unsigned given = 0;

	if (!x->branch && !x->tag && !x->pull_request_id && !x->ref)
		x->branch = xstrdup("master");
	for (size_t i = 0; i < 3; i++) {
		const char *name = *context_slot(x, kinds[i].key, strlen(kinds[i].key));

		if (!name)
			continue;
		given++;
		x->ref_type = kinds[i].type;
		if (!x->ref)
			x->ref = xasprintf("%s%s%s", kinds[i].before, name, kinds[i].after);
	}
	if (given > 1)
		return err_set(
		    err, ERR_INVALID, "--context: give one of branch, tag and pull_request_id");
	return given ? 0 : context_from_ref(x, err);
}

static void
context_fill(char **slot, const char *with)
{
	if (!*slot)
		*slot = xstrdup(with);
}

int
cli_context_parse(struct cli_context *out, const struct cli *c, struct err **err)
{
	size_t n;
	const char *const *words = cli_list(c, "context", &n);
	int rc = 0;

	*out = (struct cli_context){ 0 };
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = context_word(out, words[i], err);
	if (rc == 0)
		rc = context_complete(out, err);
	if (rc < 0) {
		cli_context_fini(out);
		return rc;
	}
	context_fill(&out->branch, "");
	context_fill(&out->tag, "");
	context_fill(&out->pull_request_id, "");
	context_fill(&out->commit_sha, NO_COMMIT);
	return 0;
}

void
cli_context_fini(struct cli_context *x)
{
	free(x->branch);
	free(x->tag);
	free(x->pull_request_id);
	free(x->ref);
	free(x->commit_sha);
	*x = (struct cli_context){ 0 };
}

struct rundef_ref
cli_context_ref(const struct cli_context *x)
{
	return (struct rundef_ref){
		.ref_type = x->ref_type, .branch = x->branch, .tag = x->tag, .ref = x->ref
	};
}

/* --- files --- */

/* At most one byte more than the language allows, so that it can say so itself. */
static int
stream_read(struct buf *out, FILE *f, const char *name, struct err **err)
{
	while (out->len <= RUNDEF_SIZE_MAX) {
		char *at = buf_reserve(out, 65536);
		size_t n = fread(at, 1, 65536, f);

		out->len += n;
		out->data[out->len] = '\0';
		if (n == 0)
			break;
	}
	return ferror(f) ? err_set_errno(err, errno, "read %s", name) : 0;
}

static int
file_read(struct buf *out, const char *name, struct err **err)
{
	bool is_stdin = strcmp(name, "-") == 0;
	FILE *f = is_stdin ? stdin : fopen(name, "re");
	int rc;

	if (!f)
		return err_set_errno(err, errno, "open %s", name);
	rc = stream_read(out, f, name, err);
	if (!is_stdin)
		fclose(f);
	return rc;
}

static const char *
default_file(void)
{
	for (size_t i = 0; i < eval_nfiles; i++) {
		FILE *f = fopen(eval_files[i], "re");
		if (!f)
			continue;
		fclose(f);
		return eval_files[i];
	}
	return NULL;
}

/* --- imports --- */

static int
open_part(int dir, const char *part, bool last, struct err **err)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (last ? O_NONBLOCK : O_DIRECTORY);
	int fd = openat(dir, part, flags);
	struct stat st;

	if (fd >= 0)
		return fd;
	if ((errno == ELOOP || errno == ENOTDIR) &&
	    fstatat(dir, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		return err_set(
		    err, ERR_INVALID, "%s is a symbolic link, which is not followed", part);
	if (errno == ENOENT || errno == ENOTDIR)
		return err_set(err, ERR_NOTFOUND, "there is no such file");
	/* A file that may not be read is the user's to put right, as a missing one is. */
	(void)err_set_errno(err, errno, "open %s", part);
	(*err)->code = ERR_INVALID;
	return ERR_INVALID;
}

/* Part by part, so that no link is followed. */
static int
open_below(const char *root, const char *path, struct err **err)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(err, errno, "open %s", root);
	for (;;) {
		size_t n = strcspn(path, "/");
		auto_free char *part = xstrndup(path, n);
		int next = open_part(fd, part, path[n] == '\0', err);

		close(fd);
		if (next < 0 || path[n] == '\0')
			return next;
		fd = next;
		path += n + 1;
	}
}

static int
read_import(struct buf *out, void *arg, const char *path, size_t max, struct err **err)
{
	int fd = open_below(arg, path, err);
	struct stat st;
	FILE *f;
	int rc;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, ERR_INVALID, "it is no file");
	}
	f = fdopen(fd, "r");
	MUST(f);
	rc = stream_read(out, f, path, err);
	fclose(f);
	if (rc == 0 && out->len > max)
		rc = err_set(err, ERR_INVALID, "it has more than %zu bytes", max);
	return rc;
}

/* The directory that holds .agola, and the file's path in it; both malloc'ed. A file elsewhere has
 * its own directory as root; standard input is taken for a file of .agola in this directory. */
static int
find_root(char **root, char **inside, const char *file, struct err **err)
{
	const char *slash = strrchr(file, '/');
	bool is_stdin = strcmp(file, "-") == 0;
	auto_free char *given = slash ? xstrndup(file, (size_t)(slash - file) + 1) : xstrdup(".");
	const char *name = slash ? slash + 1 : file;
	char *last;

	*root = realpath(given, NULL);
	if (!*root)
		return err_set_errno(err, errno, "%s", given);
	last = strrchr(*root, '/');
	if (is_stdin) {
		*inside = xstrdup(".agola/<stdin>");
	} else if (strcmp(last, "/.agola") == 0) {
		*inside = xasprintf(".agola/%s", name);
		last[last == *root] = '\0';
	} else {
		*inside = xstrdup(name);
	}
	return 0;
}

static int
evaluate(struct cli_definition *d, const char *file, const struct cli_context *x, struct err **err)
{
	auto_free char *root = NULL;
	auto_free char *inside = NULL;
	auto_buf text = d->text;
	struct eval_source s = { .text = buf_str(&text),
		.len = text.len,
		.ctx = { x->ref_type, x->ref, x->branch, x->tag, x->pull_request_id,
		    x->commit_sha },
		.read = read_import };
	int rc = find_root(&root, &inside, file, err);

	d->text = (struct buf)BUF_INIT;
	if (rc < 0)
		return rc;
	s.file = inside;
	s.arg = root;
	return eval_run(&d->text, &d->problem, &s, err);
}

/* --- all of it --- */

static bool
is_program(const struct cli *c, const char *file)
{
	const char *format = cli_get(c, "format");

	return format ? strcmp(format, "jsonnet") == 0 : eval_is_program(file);
}

static int
choose(const char **file, const struct cli *c, const char *given, struct err **err)
{
	const char *format = cli_get(c, "format");

	*file = given ? given : default_file();
	if (!*file)
		return err_set(err, ERR_NOTFOUND,
		    "there is no .agola/config.jsonnet, .json, .yml or .yaml here: name a file");
	if (format && strcmp(format, "jsonnet") != 0 && strcmp(format, "yaml") != 0)
		return err_set(
		    err, ERR_INVALID, "--format takes yaml or jsonnet, not \"%s\"", format);
	if (!format && eval_unsupported(*file))
		return err_set(err, ERR_INVALID, "%s: %s", *file, eval_unsupported(*file));
	return 0;
}

int
cli_definition_load(struct cli_definition *d, const struct cli *c, const char *given,
    const struct cli_context *x, struct err **err)
{
	const char *file, *shown;
	int rc = choose(&file, c, given, err);

	*d = (struct cli_definition){ 0 };
	if (rc == 0)
		rc = file_read(&d->text, file, err);
	if (rc < 0)
		return rc;
	shown = strcmp(file, "-") == 0 ? "<stdin>" : file;
	d->file = xasprintf("%s%s", shown, is_program(c, file) ? " (output)" : "");
	if (is_program(c, file))
		rc = evaluate(d, file, x, err);
	if (rc < 0)
		return rc;
	d->name = xstrdup(shown);
	if (!d->problem)
		d->valid = rundef_parse(&d->def, &d->diags, buf_str(&d->text), d->text.len) == 0;
	return 0;
}

void
cli_definition_complain(const struct cli_definition *d)
{
	auto_buf out = BUF_INIT;

	if (d->problem)
		buf_printf(&out, "%s\n", d->problem);
	rundef_diags_print(&out, &d->diags, d->file);
	fputs(buf_str(&out), stderr);
}

void
cli_definition_fini(struct cli_definition *d)
{
	free(d->file);
	free(d->name);
	free(d->problem);
	buf_free(&d->text);
	rundef_free(d->def);
	rundef_diags_fini(&d->diags);
	*d = (struct cli_definition){ 0 };
}
