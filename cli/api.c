/* The one door to the gateway, and to curl. */
#include "cli.h"

#include "common/mem.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#define CONNECT_TIMEOUT_MS 10000L
#define CALL_TIMEOUT_MS 60000L
#define CURSOR_MAX 4096

struct cli_api {
	CURL *call; /* reused, so that connections are */
	struct curl_slist *headers;
};

static struct cli_api *
api_get(struct cli *c)
{
	if (c->api)
		return c->api;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	struct cli_api *a = c->api = xcalloc(1, sizeof(*a));
	a->call = curl_easy_init();
	MUST(a->call);
	if (*c->token) {
		auto_free char *auth = xasprintf("Authorization: token %s", c->token);
		a->headers = curl_slist_append(a->headers, auth);
	}
	a->headers = curl_slist_append(a->headers, "Content-Type: application/json");
	a->headers = curl_slist_append(a->headers, "Expect:");
	MUST(a->headers);
	return a;
}

void
cli_api_free(struct cli_api *a)
{
	if (!a)
		return;
	curl_easy_cleanup(a->call);
	curl_slist_free_all(a->headers);
	free(a);
	curl_global_cleanup();
}

static char *
url_of(const struct cli *c, const char *path)
{
	size_t n = strlen(c->url);

	if (n && c->url[n - 1] == '/')
		n--;
	return xasprintf("%.*s/api/v1alpha%s", (int)n, c->url, path);
}

char *
cli_api_escape(const char *segment)
{
	char *escaped = curl_easy_escape(NULL, segment, 0);

	MUST(escaped);
	char *copy = xstrdup(escaped);
	curl_free(escaped);
	return copy;
}

static void
common_setup(CURL *h, const struct cli_api *a, const char *url)
{
	curl_easy_reset(h);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, a->headers);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPIDLE, 15L);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPINTVL, 5L);
	curl_easy_setopt(h, CURLOPT_USERAGENT, "millrace");
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct buf *body = arg;

	if (body->len + size * n > CLI_REPLY_MAX)
		return 0;
	buf_append(body, p, size * n);
	return size * n;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	static const char name[] = "X-Agola-Cursor:";
	size_t len = size * n, skip = sizeof(name) - 1;
	char **cursor = arg;

	if (len <= skip || len > CURSOR_MAX || strncasecmp(p, name, skip) != 0)
		return len;
	while (skip < len && p[skip] == ' ')
		skip++;
	while (len > skip && (p[len - 1] == '\r' || p[len - 1] == '\n' || p[len - 1] == ' '))
		len--;
	free(*cursor);
	*cursor = xstrndup(p + skip, len - skip);
	return size * n;
}

static const struct {
	long status;
	enum err_code code;
	const char *what;
} answers[] = {
	{ 400, ERR_INVALID, "the gateway refused the request" },
	{ 401, ERR_DENIED, "not logged in: give a valid token with --token or in MILLRACE_TOKEN" },
	{ 403, ERR_DENIED,
	    "not allowed with this token: some commands need the administrator's, direct runs need "
	    "a "
	    "user's" },
	{ 404, ERR_NOTFOUND, "it does not exist" },
	{ 409, ERR_CONFLICT, "it was changed by somebody else: look and try again" },
	{ 503, ERR_UNAVAILABLE, "the gateway is not ready: try again in a moment" },
};

/* [{"code":..,"details":..}] as text, "" when there is none. */
static void
codes_of(const struct buf *body, struct buf *out)
{
	auto_json *j = NULL;
	size_t i;
	json_t *e;

	if (json_parse(&j, buf_str(body), body->len, NULL) || !json_is_array(j))
		return;
	json_array_foreach(j, i, e)
	{
		const char *code = json_text(e, "code");
		json_t *details = json_member(e, "details");

		if (code && *code && out->len < 500) {
			auto_free char *clean = cli_clean(code);
			buf_printf(out, "%s%.100s", out->len ? ", " : " (", clean);
		}
		if (json_is_string(details) && out->len < 500) {
			auto_free char *clean = cli_clean(json_string_value(details));
			buf_printf(out, "%s%.300s", out->len ? ": " : " (", clean);
		}
	}
	if (out->len)
		buf_putc(out, ')');
}

static int
status_error(const struct cli *c, long status, const struct buf *body, struct err **err)
{
	auto_buf codes = BUF_INIT;

	codes_of(body, &codes);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		if (answers[i].status == status)
			return err_set(
			    err, answers[i].code, "%s%s", answers[i].what, buf_str(&codes));
	return err_set(err, status >= 500 ? ERR_UNAVAILABLE : ERR_INTERNAL,
	    "%s answered with status %ld%s: %s", c->url, status, buf_str(&codes),
	    status >= 500 ? "see the gateway's log" : "is this a Millrace gateway?");
}

static int
call(struct cli *c, const char *method, const char *path, const json_t *body, json_t **out,
    char **cursor, struct err **err)
{
	struct cli_api *a = api_get(c);
	auto_free char *url = url_of(c, path);
	auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	auto_buf reply = BUF_INIT;
	long status = 0;

	common_setup(a->call, a, url);
	curl_easy_setopt(a->call, CURLOPT_TIMEOUT_MS, CALL_TIMEOUT_MS);
	if (text || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0)
		curl_easy_setopt(a->call, CURLOPT_POSTFIELDS, text ? text : "");
	curl_easy_setopt(a->call, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(a->call, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(a->call, CURLOPT_WRITEDATA, &reply);
	if (cursor) {
		curl_easy_setopt(a->call, CURLOPT_HEADERFUNCTION, on_header);
		curl_easy_setopt(a->call, CURLOPT_HEADERDATA, cursor);
	}
	CURLcode rc = curl_easy_perform(a->call);
	if (rc == CURLE_WRITE_ERROR)
		return err_set(err, ERR_INTERNAL, "the answer of %s is too large", url);
	if (rc)
		return err_set(err, ERR_UNAVAILABLE,
		    "cannot reach the gateway at %s: %s; is it running, and is its address right "
		    "(--gateway-url or MILLRACE_URL)?",
		    c->url, curl_easy_strerror(rc));
	curl_easy_getinfo(a->call, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299)
		return status_error(c, status, &reply, err);
	if (!out)
		return 0;
	*out = NULL;
	if (reply.len == 0)
		return 0;
	int r = json_parse(out, buf_str(&reply), reply.len, err);
	return r ? err_wrap(err, "the answer of %s is no JSON", url) : 0;
}

int
cli_api_call(struct cli *c, const char *method, const char *path, const json_t *body, json_t **out,
    struct err **err)
{
	return call(c, method, path, body, out, NULL, err);
}

int
cli_api_list(struct cli *c, const char *path, size_t limit, json_t **out, struct err **err)
{
	auto_json *all = json_array();
	auto_free char *cursor = NULL;

	do {
		auto_json *page = NULL;
		auto_free char *escaped = cursor ? cli_api_escape(cursor) : NULL;
		size_t left = limit ? limit - json_array_size(all) : 30;
		/* A page that comes by cursor carries its filters inside the cursor. */
		int base = cursor ? (int)strcspn(path, "?") : (int)strlen(path);
		auto_free char *full = xasprintf("%.*s%slimit=%zu%s%s", base, path,
		    !cursor && strchr(path, '?') ? "&" : "?", left < 30 ? left : 30,
		    cursor ? "&cursor=" : "", escaped ? escaped : "");

		free(steal(&cursor));
		int rc = call(c, "GET", full, NULL, &page, &cursor, err);
		if (rc)
			return rc;
		if (!json_is_array(page))
			return err_set(err, ERR_INTERNAL, "the gateway's answer is no list");
		if (json_array_size(page) == 0)
			break;
		json_array_extend(all, page);
	} while (cursor && *cursor && (!limit || json_array_size(all) < limit));
	*out = steal(&all);
	return 0;
}

/* --- streams --- */

struct cli_stream {
	struct cli_streams *set;
	CURL *h;
	const struct cli_stream_ops *ops;
	void *arg;
	struct cli_stream *next;
};
struct cli_streams {
	struct cli *c;
	CURLM *multi;
	struct cli_stream *list;
	bool got; /* data came in this round */
};

struct cli_streams *
cli_streams_new(struct cli *c)
{
	struct cli_streams *s = xcalloc(1, sizeof(*s));

	api_get(c);
	s->c = c;
	s->multi = curl_multi_init();
	MUST(s->multi);
	return s;
}

static void
stream_free(struct cli_stream *st)
{
	for (struct cli_stream **p = &st->set->list; *p; p = &(*p)->next)
		if (*p == st) {
			*p = st->next;
			break;
		}
	curl_multi_remove_handle(st->set->multi, st->h);
	curl_easy_cleanup(st->h);
	free(st);
}

void
cli_streams_free(struct cli_streams *s)
{
	while (s->list)
		stream_free(s->list);
	curl_multi_cleanup(s->multi);
	free(s);
}

static size_t
on_stream(char *p, size_t size, size_t n, void *arg)
{
	struct cli_stream *st = arg;
	long status = 0;

	curl_easy_getinfo(st->h, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		st->ops->on_data(st->arg, p, size * n);
	st->set->got = true;
	return size * n;
}

struct cli_stream *
cli_stream_open(
    struct cli_streams *s, const char *path, const struct cli_stream_ops *ops, void *arg)
{
	struct cli_stream *st = xcalloc(1, sizeof(*st));
	auto_free char *url = url_of(s->c, path);

	st->set = s;
	st->ops = ops;
	st->arg = arg;
	st->h = curl_easy_init();
	MUST(st->h);
	common_setup(st->h, s->c->api, url);
	curl_easy_setopt(st->h, CURLOPT_WRITEFUNCTION, on_stream);
	curl_easy_setopt(st->h, CURLOPT_WRITEDATA, st);
	curl_easy_setopt(st->h, CURLOPT_PRIVATE, st);
	st->next = s->list;
	s->list = st;
	curl_multi_add_handle(s->multi, st->h);
	return st;
}

/* True when a stream ended. */
static bool
streams_reap(struct cli_streams *s)
{
	CURLMsg *m;
	int left;
	bool ended = false;

	while ((m = curl_multi_info_read(s->multi, &left))) {
		struct cli_stream *st = NULL;
		long status = 0;

		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode rc = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &st);
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		const struct cli_stream_ops *ops = st->ops;
		void *arg = st->arg;
		stream_free(st);
		ops->on_end(arg, status, rc ? curl_easy_strerror(rc) : NULL);
		ended = true;
	}
	return ended;
}

void
cli_streams_wait(struct cli_streams *s, int timeout_ms)
{
	int running = 0;

	s->got = false;
	curl_multi_perform(s->multi, &running);
	if (streams_reap(s) || s->got)
		return;
	/* Without streams this is the plain wait. A signal ends it early. */
	curl_multi_poll(s->multi, NULL, 0, timeout_ms, NULL);
	curl_multi_perform(s->multi, &running);
	streams_reap(s);
}
