#define ERR_DEFINED_HERE
#include "common/err.h"

#include "common/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
err_store(struct err **err, enum err_code code, const char *slug, char *msg)
{
	if (err == NULL) {
		free(msg);
		return code;
	}
	MUST(*err == NULL);
	struct err *e = xcalloc(1, sizeof(*e));
	e->code = code;
	e->msg = msg;
	e->slug = slug ? xstrdup(slug) : NULL;
	*err = e;
	return code;
}

int
err_setv(struct err **err, enum err_code code, const char *fmt, va_list ap)
{
	return err_store(err, code, NULL, xvasprintf(fmt, ap));
}

int
err_set(struct err **err, enum err_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *msg = xvasprintf(fmt, ap);
	va_end(ap);
	return err_store(err, code, NULL, msg);
}

int
err_set_slug(struct err **err, enum err_code code, const char *slug, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *msg = xvasprintf(fmt, ap);
	va_end(ap);
	return err_store(err, code, slug, msg);
}

static enum err_code
code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
		return ERR_NOTFOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_DENIED;
	case EEXIST:
		return ERR_CONFLICT;
	case EINVAL:
	case ENAMETOOLONG:
		return ERR_INVALID;
	case EAGAIN:
	case EINTR:
	case ETIMEDOUT:
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
	case ENOSPC:
	case EDQUOT:
		return ERR_UNAVAILABLE;
	case ECANCELED:
		return ERR_CANCELED;
	default:
		return ERR_INTERNAL;
	}
}

int
err_set_errno(struct err **err, int errnum, const char *fmt, ...)
{
	char text[128];
	const char *reason = strerror_r(errnum, text, sizeof(text));
	va_list ap;
	va_start(ap, fmt);
	char *what = xvasprintf(fmt, ap);
	va_end(ap);
	char *msg = xasprintf("%s: %s", what, reason);
	free(what);
	return err_store(err, code_of_errno(errnum), NULL, msg);
}

int
err_wrap(struct err **err, const char *fmt, ...)
{
	if (err == NULL || *err == NULL)
		return ERR_INTERNAL;
	va_list ap;
	va_start(ap, fmt);
	char *what = xvasprintf(fmt, ap);
	va_end(ap);
	char *msg = xasprintf("%s: %s", what, (*err)->msg);
	free(what);
	free((*err)->msg);
	(*err)->msg = msg;
	return (*err)->code;
}

const char *
err_msg(const struct err *err)
{
	return err ? err->msg : "no error text";
}

void
err_free(struct err *err)
{
	if (err == NULL)
		return;
	free(err->msg);
	free(err->slug);
	free(err);
}

void
err_clear(struct err **err)
{
	if (err == NULL)
		return;
	err_free(*err);
	*err = NULL;
}

const char *
err_code_name(int code)
{
	static const char *const names[] = { "ok", "invalid", "denied", "notfound", "conflict",
		"unavailable", "canceled", "internal" };
	if (code > 0 || code < ERR_INTERNAL)
		return "internal";
	return names[-code];
}

void
err_must_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "broken invariant at %s:%d: %s\n", file, line, cond);
	abort();
}
