/*
 * Objects of an S3 bucket. Parts and log segments are whole objects of at most OBJSTORE_PART_MAX
 * bytes, so S3's own multipart uploads are not needed. Requests of ours are signed with the body's
 * checksum, URLs for others without.
 */
#include "common/objstore.h"

#include "common/clock.h"
#include "common/httpc_sync.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/s3_answer.h"
#include "common/sigv4.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000
#define TIMEOUT_MS 60000
#define ANSWER_MAX (64u << 10)

struct endpoint {
	char *url;        /* scheme and host: what a target follows */
	const char *host; /* within url */
};

struct objstore_s3 {
	struct objstore base;
	struct httpc_sync *http;
	struct endpoint own, given; /* given: in URLs for others */
	char *bucket, *region, *access_key, *secret_key, *ca_file;
	atomic_bool no_condition; /* the server does not implement If-None-Match */
};

struct ask { /* one request */
	const char *method;
	const char *key;
	const char *header, *value; /* one more header to sign, lower case; NULL: none */
	const char *want_header;
	const void *body;
	size_t body_len;
	size_t max_body;
};

static struct objstore_s3 *
self(struct objstore *s)
{
	return (struct objstore_s3 *)s;
}

static char *
path_of(const struct objstore_s3 *s, const char *key)
{
	return xasprintf("/%s/%s", s->bucket, key);
}

/* --- requests --- */

static int
ask(struct httpc_response *resp, struct objstore_s3 *s, const struct ask *a, struct err **err)
{
	char sha256[CRYPTO_SHA256_HEX_LEN + 1];
	const struct sigv4_pair pair = { a->header, a->value };
	auto_free char *path = path_of(s, a->key);
	auto_sigv4 sig;

	crypto_sha256_hex(sha256, a->body_len > 0 ? a->body : "", a->body_len);
	sigv4_sign(&sig, &(struct sigv4_request){ .region = s->region,
	                     .access_key = s->access_key,
	                     .secret_key = s->secret_key,
	                     .method = a->method,
	                     .host = s->own.host,
	                     .path = path,
	                     .headers = &pair,
	                     .nheaders = a->header != NULL,
	                     .payload = sha256,
	                     .time_s = clock_wall_ms() / 1000 });
	auto_free char *url = xasprintf("%s%s", s->own.url, sig.target);
	auto_free char *authorization = xasprintf("Authorization: %s", sig.authorization);
	auto_free char *date = xasprintf("x-amz-date: %s", sig.date);
	auto_free char *payload = xasprintf("x-amz-content-sha256: %s", sha256);
	auto_free char *more = a->header != NULL ? xasprintf("%s: %s", a->header, a->value) : NULL;
	const char *const headers[] = { authorization, date, payload, more, NULL };

	return httpc_sync_do(resp, s->http,
	    &(struct httpc_options){ .method = a->method,
	        .url = url,
	        .headers = headers,
	        .body = a->body,
	        .body_len = a->body_len,
	        .max_body = a->max_body > ANSWER_MAX ? a->max_body : ANSWER_MAX,
	        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
	        .timeout_ms = TIMEOUT_MS,
	        .ca_file = s->ca_file,
	        .want_header = a->want_header },
	    err);
}

/* What the server said instead of doing it. A missing object has its own code; all else may be
 * healed by whoever runs the store, so it is worth another try. */
static int
refused(const struct ask *a, const struct httpc_response *resp, struct err **err)
{
	struct s3_refusal why;

	s3_refusal_parse(&why, resp->body.len > 0 ? resp->body.data : "", resp->body.len);
	if (resp->status == 404 && (why.code[0] == '\0' || strcmp(why.code, "NoSuchKey") == 0))
		return err_set(err, ERR_NOTFOUND, "object %s does not exist", a->key);
	return err_set(err, ERR_UNAVAILABLE, "object store: %s %s was answered %ld%s%s%s%s",
	    a->method, a->key, resp->status, why.code[0] != '\0' ? " " : "", why.code,
	    why.message[0] != '\0' ? ": " : "", why.message);
}

/* The size of an object; ERR_NOTFOUND when there is none. */
static int
size_of(uint64_t *out, struct objstore_s3 *s, const char *key, struct err **err)
{
	const struct ask a = { .method = "HEAD", .key = key, .want_header = "content-length" };
	auto_response resp;
	int rc = ask(&resp, s, &a, err);

	if (rc != 0)
		return rc;
	if (resp.status != 200)
		return refused(&a, &resp, err);
	if (!s3_length_parse(out, resp.header))
		return err_set(err, ERR_UNAVAILABLE,
		    "object store: HEAD %s was answered without a length", key);
	return 0;
}

/* --- put --- */

static int
conflict(const char *key, struct err **err)
{
	return err_set(err, ERR_CONFLICT, "object %s exists already", key);
}

static int
put_once(bool *unknown, struct objstore_s3 *s, const char *key, const void *p, size_t n,
    struct err **err)
{
	bool ask_first = atomic_load(&s->no_condition);
	struct ask a = { .method = "PUT", .key = key, .body = p, .body_len = n };
	auto_response resp = { 0 };
	auto_err e = NULL;
	uint64_t size;
	int rc = 0;

	if (ask_first) {
		rc = size_of(&size, s, key, &e);
		if (rc == 0)
			return conflict(key, err);
		if (rc != ERR_NOTFOUND)
			return err_set(err, e->code, "%s", e->msg);
	} else {
		a.header = "if-none-match";
		a.value = "*";
	}
	rc = ask(&resp, s, &a, err);
	if (rc != 0)
		return rc;
	if (resp.status == 412)
		return conflict(key, err);
	*unknown = resp.status == 501 && !ask_first;
	return resp.status / 100 == 2 ? 0 : refused(&a, &resp, err);
}

static int
s3_put(struct objstore *base, const char *key, const void *p, size_t n, struct err **err)
{
	struct objstore_s3 *s = self(base);
	bool unknown = false;
	int rc = objstore_key_check(key, err);

	if (rc != 0)
		return rc;
	rc = put_once(&unknown, s, key, p, n, err);
	if (rc == 0 || !unknown)
		return rc;
	err_clear(err);
	if (!atomic_exchange(&s->no_condition, true))
		log_warn(
		    "the object store does not implement If-None-Match; asking before each put",
		    LOG_STR("endpoint", s->own.url));
	return put_once(&unknown, s, key, p, n, err);
}

/* --- get, del --- */

/* Hands over what came; *total with it. A server may ignore the range and send everything. */
static int
take_answer(uint8_t **out, size_t *n, uint64_t *total, struct httpc_response *resp, const char *key,
    uint64_t offset, size_t max, struct err **err)
{
	struct s3_range range = { .first = 0, .n = resp->body.len, .total = resp->body.len };

	if (resp->status == 206 &&
	    (!s3_range_parse(&range, resp->header) || range.first != offset ||
	        range.n != resp->body.len || range.n > max))
		return err_set(err, ERR_UNAVAILABLE,
		    "object store: GET %s was answered with another range than was asked for", key);
	uint64_t skip = offset - range.first;
	if (skip > resp->body.len)
		skip = resp->body.len;
	buf_consume(&resp->body, (size_t)skip);
	*n = resp->body.len < max ? resp->body.len : max;
	*total = range.total;
	*out = (uint8_t *)buf_take(&resp->body);
	return 0;
}

static int
s3_get(uint8_t **out, size_t *n, uint64_t *total, struct objstore *base, const char *key,
    uint64_t offset, size_t max, struct err **err)
{
	struct objstore_s3 *s = self(base);
	char range[64];
	const struct ask a = { .method = "GET",
		.key = key,
		.header = "range",
		.value = range,
		.want_header = "content-range",
		.max_body = max };
	auto_response resp = { 0 };
	uint64_t size = 0;
	int rc = objstore_key_check(key, err);

	MUST(max > 0 && offset <= INT64_MAX);
	snprintf(range, sizeof(range), "bytes=%llu-%llu", (unsigned long long)offset,
	    (unsigned long long)(offset + max - 1));
	if (rc == 0)
		rc = ask(&resp, s, &a, err);
	if (rc != 0)
		return rc;
	if (resp.status == 416) { /* nothing is there from offset on */
		rc = size_of(&size, s, key, err);
		if (rc == 0) {
			*out = xcalloc(1, 1);
			*n = 0;
		}
	} else if (resp.status == 200 || resp.status == 206) {
		rc = take_answer(out, n, &size, &resp, key, offset, max, err);
	} else {
		rc = refused(&a, &resp, err);
	}
	if (rc == 0 && total != NULL)
		*total = size;
	return rc;
}

static int
s3_del(struct objstore *base, const char *key, struct err **err)
{
	const struct ask a = { .method = "DELETE", .key = key };
	auto_response resp = { 0 };
	auto_err e = NULL;
	int rc = objstore_key_check(key, err);

	if (rc == 0)
		rc = ask(&resp, self(base), &a, err);
	if (rc != 0 || resp.status / 100 == 2)
		return rc;
	rc = refused(&a, &resp, &e);
	return rc == ERR_NOTFOUND ? 0 : err_set(err, rc, "%s", e->msg);
}

/* --- URLs --- */

static char *
s3_sign(struct objstore *base, const char *method, const char *key, int64_t expires)
{
	struct objstore_s3 *s = self(base);
	int64_t now = clock_wall_ms() / 1000, from = now < expires ? now : expires - 1;
	auto_free char *path = path_of(s, key);
	auto_sigv4 sig;

	MUST(objstore_key_ok(key));
	if (from < expires - SIGV4_EXPIRES_MAX)
		expires = from + SIGV4_EXPIRES_MAX;
	sigv4_sign(&sig, &(struct sigv4_request){ .region = s->region,
	                     .access_key = s->access_key,
	                     .secret_key = s->secret_key,
	                     .method = method,
	                     .host = s->given.host,
	                     .path = path,
	                     .payload = SIGV4_UNSIGNED,
	                     .time_s = from,
	                     .expires_s = expires - from });
	return xasprintf("%s%s", s->given.url, sig.target);
}

/* --- life --- */

static void
s3_stop(struct objstore *base)
{
	httpc_sync_stop(self(base)->http);
}

static void
s3_free(struct objstore *base)
{
	struct objstore_s3 *s = self(base);

	httpc_sync_free(s->http);
	free(s->own.url);
	free(s->given.url);
	free(s->bucket);
	free(s->region);
	free(s->access_key);
	xfree_secret(s->secret_key, strlen(s->secret_key));
	free(s->ca_file);
	free(s);
}

static const struct objstore_ops s3_ops = {
	.put = s3_put,
	.get = s3_get,
	.del = s3_del,
	.sign = s3_sign,
	.stop = s3_stop,
	.free = s3_free,
};

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* http(s)://host[:port], a slash at its end allowed. A default port is left out, as curl leaves it
 * out of the Host header that is signed. */
static int
parse_endpoint(struct endpoint *out, const char *url, struct err **err)
{
	bool tls = strncmp(url, "https://", 8) == 0;
	const char *host = url + (tls ? 8 : 7);
	size_t n;

	if (!tls && strncmp(url, "http://", 7) != 0)
		return err_set(
		    err, ERR_INVALID, "\"%s\" is not of the form http(s)://host[:port]", url);
	n = strspn(host, LOWER UPPER DIGITS "-._:[]");
	if (n == 0 || (host[n] != '\0' && strcmp(host + n, "/") != 0))
		return err_set(err, ERR_INVALID,
		    "\"%s\" is not of the form http(s)://host[:port]; the bucket does not belong "
		    "in it",
		    url);
	const char *port = tls ? ":443" : ":80";
	size_t len = strlen(port);
	if (n > len && strncmp(host + n - len, port, len) == 0)
		n -= len;
	if (out != NULL) {
		out->url = xstrndup(url, (size_t)(host - url) + n);
		out->host = out->url + (host - url);
	}
	return 0;
}

static int
check_text(const char *name, const char *text, const char *of, size_t max, struct err **err)
{
	if (text == NULL || *text == '\0')
		return err_set(err, ERR_INVALID, "%s is missing", name);
	if (strlen(text) > max || text[strspn(text, of)] != '\0')
		return err_set(err, ERR_INVALID,
		    "%s: \"%s\" is longer than %zu bytes or holds other characters than %s", name,
		    text, max, of);
	return 0;
}

int
objstore_s3_check(const struct objstore_s3_options *o, struct err **err)
{
	int rc;

	if (o->endpoint == NULL)
		return err_set(err, ERR_INVALID, "the endpoint is missing");
	rc = parse_endpoint(NULL, o->endpoint, err);
	if (rc == 0 && o->url_endpoint != NULL)
		rc = parse_endpoint(NULL, o->url_endpoint, err);
	if (rc == 0)
		rc = check_text("bucket", o->bucket, LOWER UPPER DIGITS "-._", 63, err);
	if (rc == 0)
		rc = check_text("region", o->region, LOWER DIGITS "-", 63, err);
	if (rc == 0)
		rc =
		    check_text("access key", o->access_key, LOWER UPPER DIGITS "-._:+/=", 128, err);
	if (rc == 0 && (o->secret_key == NULL || *o->secret_key == '\0'))
		rc = err_set(err, ERR_INVALID, "the secret key is missing");
	return rc;
}

int
objstore_s3_new(struct objstore **out, const struct objstore_s3_options *o, struct err **err)
{
	struct objstore_s3 *s;
	int rc = objstore_s3_check(o, err);

	if (rc != 0)
		return rc;
	s = xcalloc(1, sizeof(*s));
	s->base.ops = &s3_ops;
	rc = parse_endpoint(&s->own, o->endpoint, err);
	MUST(rc == 0);
	rc =
	    parse_endpoint(&s->given, o->url_endpoint != NULL ? o->url_endpoint : o->endpoint, err);
	MUST(rc == 0);
	s->bucket = xstrdup(o->bucket);
	s->region = xstrdup(o->region);
	s->access_key = xstrdup(o->access_key);
	s->secret_key = xstrdup(o->secret_key);
	s->ca_file = o->ca_file != NULL ? xstrdup(o->ca_file) : NULL;
	s->http = httpc_sync_new("object store");
	*out = &s->base;
	return 0;
}
