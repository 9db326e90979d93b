#include "common/sigv4.h"

#include "common/buf.h"
#include "common/crypto.h"
#include "common/http_server.h"
#include "common/mem.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define PAIRS_MAX 32 /* of one kind, ours among them; more is a caller's bug */

struct pairs {
	struct sigv4_pair at[PAIRS_MAX];
	size_t n;
};

static void
add(struct pairs *l, const char *name, const char *value)
{
	MUST(l->n < PAIRS_MAX);
	l->at[l->n++] = (struct sigv4_pair){ name, value };
}

static int
by_name(const void *a, const void *b)
{
	const struct sigv4_pair *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : strcmp(x->value, y->value);
}

static void
sort(struct pairs *l)
{
	qsort(l->at, l->n, sizeof(l->at[0]), by_name);
}

static void
encode(struct buf *out, const char *text)
{
	auto_free char *encoded = http_encode(text);

	buf_puts(out, encoded);
}

static void
encode_path(struct buf *out, const char *path)
{
	for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		auto_free char *element = xstrndup(path, (size_t)(slash - path));

		encode(out, element);
		buf_putc(out, '/');
	}
	encode(out, path);
}

static void
put_query(struct buf *out, const struct pairs *query)
{
	for (size_t i = 0; i < query->n; i++) {
		if (i > 0)
			buf_putc(out, '&');
		encode(out, query->at[i].name);
		buf_putc(out, '=');
		encode(out, query->at[i].value);
	}
}

static char *
signed_names(const struct pairs *headers)
{
	auto_buf out = BUF_INIT;

	for (size_t i = 0; i < headers->n; i++)
		buf_printf(&out, "%s%s", i > 0 ? ";" : "", headers->at[i].name);
	return buf_take(&out);
}

static void
format_date(char out[SIGV4_DATE_LEN], int64_t time_s)
{
	time_t t = (time_t)time_s;
	struct tm tm;

	MUST(gmtime_r(&t, &tm) != NULL);
	MUST(strftime(out, SIGV4_DATE_LEN, "%Y%m%dT%H%M%SZ", &tm) == SIGV4_DATE_LEN - 1);
}

/* The day's key: a chain of MACs over day, region, service and purpose. */
static void
signing_key(uint8_t key[CRYPTO_SHA256_LEN], const struct sigv4_request *r, const char *day)
{
	const char *const parts[] = { r->region, "s3", "aws4_request" };
	char *first = xasprintf("AWS4%s", r->secret_key);

	crypto_hmac_sha256(key, first, strlen(first), day, strlen(day));
	xfree_secret(first, strlen(first));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		uint8_t next[CRYPTO_SHA256_LEN];

		crypto_hmac_sha256(next, key, CRYPTO_SHA256_LEN, parts[i], strlen(parts[i]));
		memcpy(key, next, sizeof(next));
		explicit_bzero(next, sizeof(next));
	}
}

static void
signature(char hex[CRYPTO_SHA256_HEX_LEN + 1], const struct sigv4_request *r,
    const struct pairs *headers, const char *names, const char *path, const char *query,
    const char *date, const char *scope)
{
	char hashed[CRYPTO_SHA256_HEX_LEN + 1];
	uint8_t key[CRYPTO_SHA256_LEN], mac[CRYPTO_SHA256_LEN];
	auto_free char *day = xstrndup(date, 8);
	auto_free char *text = NULL;
	auto_buf canonical = BUF_INIT;

	buf_printf(&canonical, "%s\n%s\n%s\n", r->method, path, query);
	for (size_t i = 0; i < headers->n; i++)
		buf_printf(&canonical, "%s:%s\n", headers->at[i].name, headers->at[i].value);
	buf_printf(&canonical, "\n%s\n%s", names, r->payload);
	crypto_sha256_hex(hashed, canonical.data, canonical.len);
	text = xasprintf(ALGORITHM "\n%s\n%s\n%s", date, scope, hashed);
	signing_key(key, r, day);
	crypto_hmac_sha256(mac, key, sizeof(key), text, strlen(text));
	explicit_bzero(key, sizeof(key));
	crypto_hex(hex, mac, sizeof(mac));
}

void
sigv4_sign(struct sigv4 *out, const struct sigv4_request *r)
{
	char hex[CRYPTO_SHA256_HEX_LEN + 1];
	struct pairs query = { .n = 0 }, headers = { .n = 0 };
	auto_buf path = BUF_INIT, query_text = BUF_INIT;
	auto_free char *names = NULL, *scope = NULL, *credential = NULL;
	char expires[24];

	MUST(r->path[0] == '/' && r->expires_s >= 0 && r->expires_s <= SIGV4_EXPIRES_MAX);
	*out = (struct sigv4){ .target = NULL };
	format_date(out->date, r->time_s);
	snprintf(expires, sizeof(expires), "%lld", (long long)r->expires_s);
	scope = xasprintf("%.8s/%s/s3/aws4_request", out->date, r->region);
	credential = xasprintf("%s/%s", r->access_key, scope);
	add(&headers, "host", r->host);
	for (size_t i = 0; i < r->nheaders; i++)
		add(&headers, r->headers[i].name, r->headers[i].value);
	if (r->expires_s == 0) {
		add(&headers, "x-amz-content-sha256", r->payload);
		add(&headers, "x-amz-date", out->date);
	}
	sort(&headers);
	names = signed_names(&headers);
	for (size_t i = 0; i < r->nquery; i++)
		add(&query, r->query[i].name, r->query[i].value);
	if (r->expires_s != 0) {
		add(&query, "X-Amz-Algorithm", ALGORITHM);
		add(&query, "X-Amz-Credential", credential);
		add(&query, "X-Amz-Date", out->date);
		add(&query, "X-Amz-Expires", expires);
		add(&query, "X-Amz-SignedHeaders", names);
	}
	sort(&query);
	encode_path(&path, r->path);
	put_query(&query_text, &query);
	signature(hex, r, &headers, names, buf_str(&path), buf_str(&query_text), out->date, scope);
	if (r->expires_s != 0) {
		out->target = xasprintf(
		    "%s?%s&X-Amz-Signature=%s", buf_str(&path), buf_str(&query_text), hex);
		return;
	}
	out->target = query.n > 0 ? xasprintf("%s?%s", buf_str(&path), buf_str(&query_text))
	                          : buf_take(&path);
	out->authorization = xasprintf(
	    ALGORITHM " Credential=%s,SignedHeaders=%s,Signature=%s", credential, names, hex);
}

void
sigv4_fini(struct sigv4 *s)
{
	free(s->target);
	free(s->authorization);
	*s = (struct sigv4){ .target = NULL };
}
