#include "gateway/origin.h"

#include "common/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 255
#define PORT_MAX 6 /* with its colon */

void
gw_origin_list_fini(struct gw_origin_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->list[i]);
	l->n = 0;
}

/* Characters of a host or of an IPv6 address in brackets, and of a port. */
static bool
host_chars(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr(".-_:[]", s[i]))
			return false;
	}
	return n > 0;
}

bool
gw_origin_normal(char out[GW_ORIGIN_MAX], const char *text)
{
	bool https = strncasecmp(text, "https://", 8) == 0;
	const char *host = text + (https ? 8 : 7);
	size_t n, used;
	const char *colon;

	if (!https && strncasecmp(text, "http://", 7) != 0)
		return false;
	n = strcspn(host, "/?#");
	if (!host_chars(host, n) || host[0] == ':')
		return false;
	colon = memrchr(host, ':', n);
	if (colon && memchr(colon, ']', n - (size_t)(colon - host)))
		colon = NULL;
	if ((colon ? (size_t)(colon - host) : n) > HOST_MAX || n > HOST_MAX + PORT_MAX)
		return false;
	used = (size_t)snprintf(out, GW_ORIGIN_MAX, "%s://%.*s%s", https ? "https" : "http", (int)n,
	    host,
	    colon   ? ""
	    : https ? ":443"
	            : ":80");
	for (size_t i = 0; i < used; i++)
		out[i] = (char)tolower((unsigned char)out[i]);
	return true;
}

int
gw_origin_list_add(struct gw_origin_list *l, const char *text, struct err **err)
{
	char normal[GW_ORIGIN_MAX];
	const char *host = strstr(text, "://");

	if (!gw_origin_normal(normal, text) || (host && strpbrk(host + 3, "/?#")))
		return err_set(err, ERR_INVALID,
		    "%.100s is not an origin such as https://ci.example.org:8443", text);
	if (l->n == GW_ORIGINS_MAX)
		return err_set(err, ERR_INVALID, "more than %d origins", GW_ORIGINS_MAX);
	l->list[l->n++] = xstrdup(normal);
	return 0;
}

bool
gw_origin_listed(const struct gw_origin_list *l, const char *origin)
{
	char normal[GW_ORIGIN_MAX];

	if (!gw_origin_normal(normal, origin))
		return false;
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->list[i], normal) == 0)
			return true;
	}
	return false;
}

static bool
same_host(const char *normal, const char *scheme, const char *host)
{
	char own[GW_ORIGIN_MAX];
	auto_free char *text = xasprintf("%s://%s", scheme, host);

	return gw_origin_normal(own, text) && strcmp(own, normal) == 0;
}

bool
gw_origin_ok(const char *origin, const char *referer, const char *host, bool http_ok,
    const struct gw_origin_list *l)
{
	const char *from = origin ? origin : referer;
	char normal[GW_ORIGIN_MAX];

	if (!from || !gw_origin_normal(normal, from))
		return false;
	if (gw_origin_listed(l, from))
		return true;
	return host &&
	       (same_host(normal, "https", host) || (http_ok && same_host(normal, "http", host)));
}
