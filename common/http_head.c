#include "common/http_head.h"

#include "common/mem.h"

#include <string.h>
#include <strings.h>

size_t
http_head_end(const char *p, size_t n)
{
	for (const char *at = p, *end = p + n; (at = memchr(at, '\n', (size_t)(end - at))) != NULL;
	     at++) {
		if (end - at > 1 && at[1] == '\n')
			return (size_t)(at + 2 - p);
		if (end - at > 2 && at[1] == '\r' && at[2] == '\n')
			return (size_t)(at + 3 - p);
	}
	return 0;
}

enum http_method
http_head_method(const char *name, size_t n)
{
	static const struct {
		const char *name;
		enum http_method method;
	} known[] = {
		{ "GET", HTTP_GET },
		{ "HEAD", HTTP_HEAD },
		{ "POST", HTTP_POST },
		{ "PUT", HTTP_PUT },
		{ "DELETE", HTTP_DELETE },
		{ "OPTIONS", HTTP_OPTIONS },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strlen(known[i].name) == n && memcmp(known[i].name, name, n) == 0)
			return known[i].method;
	return HTTP_OTHER;
}

const char *
http_head_target(const char *uri)
{
	const char *host;

	if (*uri == '/')
		return uri;
	host = strstr(uri, "://");
	return host != NULL ? strchr(host + 3, '/') : NULL;
}

static void
read_target(struct http_head *h, const char *p, size_t n)
{
	auto_free char *uri = xstrndup(p, n);
	const char *path = http_head_target(uri);

	h->path = path != NULL ? xstrndup(path, strcspn(path, "?")) : xstrdup("");
}

static void
read_request_line(struct http_head *h, const char *p, size_t n)
{
	const char *space = memchr(p, ' ', n);
	size_t method_len = space != NULL ? (size_t)(space - p) : n;
	const char *target = space != NULL ? space + 1 : p + n;
	const char *end = memchr(target, ' ', (size_t)(p + n - target));

	h->method = http_head_method(p, method_len);
	read_target(h, target, (size_t)((end != NULL ? end : p + n) - target));
}

/* Digits as far as they go; what is above any limit stays above it. */
static uint64_t
read_number(const char *p, size_t n)
{
	uint64_t v = 0;

	while (n > 0 && (*p == ' ' || *p == '\t'))
		p++, n--;
	for (; n > 0 && *p >= '0' && *p <= '9'; p++, n--)
		v = v < UINT64_MAX / 16 ? v * 10 + (uint64_t)(*p - '0') : UINT64_MAX / 16;
	return v;
}

static bool
is_field(const char *line, size_t n, const char *name, const char **value, size_t *len)
{
	size_t k = strlen(name);

	if (n <= k || line[k] != ':' || strncasecmp(line, name, k) != 0)
		return false;
	*value = line + k + 1;
	*len = n - k - 1;
	return true;
}

void
http_head_read(struct http_head *h, const char *p, size_t n)
{
	const char *end = p + n;

	*h = (struct http_head){ 0 };
	for (const char *line = p, *next; line < end; line = next) {
		const char *nl = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((nl != NULL ? nl : end) - line);
		const char *value;
		size_t value_len;

		next = nl != NULL ? nl + 1 : end;
		len -= len > 0 && line[len - 1] == '\r';
		if (line == p) {
			read_request_line(h, line, len);
		} else if (is_field(line, len, "Content-Length", &value, &value_len)) {
			uint64_t v = read_number(value, value_len);
			h->length = v > h->length ? v : h->length;
		} else if (is_field(line, len, "Expect", &value, &value_len)) {
			h->expects = true;
		}
	}
}
