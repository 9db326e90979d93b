/* The pure helpers of http_server.h. */
#include "common/buf.h"
#include "common/http_server.h"
#include "common/mem.h"

#include <string.h>

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static char *
decode(const char *s, size_t n, bool plus)
{
	char *out = xmalloc(n + 1);
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c == '%') {
			int high = n - i > 2 ? hex_digit(s[i + 1]) : -1;
			int low = n - i > 2 ? hex_digit(s[i + 2]) : -1;

			if (high < 0 || low < 0) {
				free(out);
				return NULL;
			}
			c = (char)(high * 16 + low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (c == '\0') {
			free(out);
			return NULL;
		}
		out[len++] = c;
	}
	out[len] = '\0';
	return out;
}

char *
http_decode(const char *s, size_t n)
{
	return decode(s, n, false);
}

char *
http_encode(const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                            "0123456789-._~";
	struct buf out = BUF_INIT;

	for (; *s != '\0'; s++) {
		if (strchr(plain, *s) != NULL)
			buf_putc(&out, *s);
		else
			buf_printf(&out, "%%%02X", (unsigned)(unsigned char)*s);
	}
	return buf_take(&out);
}

/* The nth piece "name" or "name=value" of that decoded name; its value's place. */
static const char *
find(const char *query, const char *name, unsigned nth, size_t *len)
{
	for (const char *p = query; *p != '\0';) {
		size_t n = strcspn(p, "&");
		const char *eq = memchr(p, '=', n);
		size_t name_len = eq != NULL ? (size_t)(eq - p) : n;
		auto_free char *got = decode(p, name_len, true);

		if (got != NULL && strcmp(got, name) == 0 && nth-- == 0) {
			*len = eq != NULL ? n - name_len - 1 : 0;
			return eq != NULL ? eq + 1 : p + n;
		}
		p += n + (p[n] == '&');
	}
	return NULL;
}

char *
http_query_get(const char *query, const char *name, unsigned nth)
{
	size_t len = 0;
	const char *value = find(query, name, nth, &len);

	return value != NULL ? decode(value, len, true) : NULL;
}

bool
http_query_has(const char *query, const char *name)
{
	size_t len;

	return find(query, name, 0, &len) != NULL;
}
