#include "common/mem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *
check(void *p, size_t size)
{
	if (p == NULL && size != 0) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void *
xmalloc(size_t size)
{
	return check(malloc(size ? size : 1), 1);
}

void *
xcalloc(size_t n, size_t size)
{
	return check(calloc(n ? n : 1, size ? size : 1), 1);
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	return check(reallocarray(p, n ? n : 1, size ? size : 1), 1);
}

char *
xstrdup(const char *s)
{
	return check(strdup(s), 1);
}

char *
xstrndup(const char *s, size_t n)
{
	return check(strndup(s, n), 1);
}

void *
xmemdup(const void *p, size_t n)
{
	void *q = xmalloc(n);
	if (n)
		memcpy(q, p, n);
	return q;
}

char *
xvasprintf(const char *fmt, va_list ap)
{
	char *s = NULL;
	if (vasprintf(&s, fmt, ap) < 0)
		check(NULL, 1);
	return s;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

void
xfree_secret(void *p, size_t n)
{
	if (p == NULL)
		return;
	explicit_bzero(p, n);
	free(p);
}

void
mem_auto_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
