#include "evaluate/path.h"

#include "common/buf.h"
#include "common/mem.h"
#include "evaluate/message.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool
has_control(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return true;
	}
	return false;
}

/* Removes the last part; false when there is none. */
static bool
up(struct buf *b)
{
	const char *slash;

	if (b->len == 0)
		return false;
	slash = strrchr(b->data, '/');
	b->len = slash ? (size_t)(slash - b->data) : 0;
	b->data[b->len] = '\0';
	return true;
}

/* Appends the parts of path to b. */
static int
walk(struct buf *b, const char *path, struct err **err)
{
	for (size_t n; *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		if (n == 0 || (n == 1 && path[0] == '.'))
			continue;
		if (n == 2 && path[0] == '.' && path[1] == '.') {
			if (!up(b))
				return err_set(err, ERR_INVALID, "it leads out of the repository");
			continue;
		}
		if (n == 4 && strncasecmp(path, ".git", 4) == 0)
			return err_set(err, ERR_INVALID, "it leads into .git");
		if (b->len)
			buf_putc(b, '/');
		buf_append(b, path, n);
	}
	return 0;
}

int
eval_path(char **out, const char *dir, const char *path, struct err **err)
{
	auto_buf b = BUF_INIT;
	size_t n = strlen(path);
	int rc;

	if (path[0] == '/')
		return err_set(
		    err, ERR_INVALID, "it is absolute; write it relative to the importing file");
	if (n > EVAL_PATH_MAX || strlen(dir) > EVAL_PATH_MAX)
		return err_set(err, ERR_INVALID, "it is longer than %u bytes", EVAL_PATH_MAX);
	if (has_control(path) || has_control(dir))
		return err_set(err, ERR_INVALID, "it contains a control character");
	rc = walk(&b, dir, err);
	if (rc == 0)
		rc = walk(&b, path, err);
	if (rc < 0)
		return rc;
	if (n == 0 || b.len == 0 || path[n - 1] == '/')
		return err_set(err, ERR_INVALID, "it is no file");
	if (b.len > EVAL_PATH_MAX)
		return err_set(err, ERR_INVALID, "it is longer than %u bytes", EVAL_PATH_MAX);
	*out = buf_take(&b);
	return 0;
}
