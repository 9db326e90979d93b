#include "toolbox/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int
tb_fail(struct tb_err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}

int64_t
tb_now_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_BOOTTIME, &t) != 0)
		clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int
tb_write_all(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

char *
tb_read_file(const char *path, size_t max)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *b = NULL;
	size_t len = 0;
	ssize_t r = -1;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		errno = EINVAL;
		goto out;
	}
	size_t cap = (uint64_t)st.st_size < max ? (size_t)st.st_size : max;
	b = tb_malloc(cap + 1);
	while (len < cap && (r = read(fd, b + len, cap - len)) > 0)
		len += (size_t)r;
	b[len] = '\0';
out:
	close(fd);
	return b;
}

int
tb_set_nonblock(int fd)
{
	int f = fcntl(fd, F_GETFL);

	return f < 0 ? -1 : fcntl(fd, F_SETFL, f | O_NONBLOCK);
}

static void
close_span(unsigned int from, unsigned int to)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, from, to, 0) == 0)
		return;
#endif
	long max = sysconf(_SC_OPEN_MAX);
	if (max < 0 || max > 65536)
		max = 65536;
	for (unsigned int i = from; i <= to && i < (unsigned int)max; i++)
		close((int)i);
}

void
tb_close_but(const int *keep, size_t n)
{
	unsigned int from = 3;

	/* The lowest kept descriptor not yet passed, again and again: n is tiny. */
	for (;;) {
		unsigned int next = ~0u;
		for (size_t i = 0; i < n; i++)
			if (keep[i] >= (int)from && (unsigned int)keep[i] < next)
				next = (unsigned int)keep[i];
		if (next == ~0u)
			break;
		if (next > from)
			close_span(from, next - 1);
		from = next + 1;
	}
	close_span(from, ~0u);
}

void *
tb_malloc(size_t n)
{
	void *p = malloc(n > 0 ? n : 1);

	if (p == NULL)
		abort();
	return p;
}

char *
tb_strdup(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(tb_malloc(n), s, n);
}

char *
tb_format(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	va_end(ap);
	return s;
}
