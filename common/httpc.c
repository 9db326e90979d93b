#include "common/httpc.h"

#include "common/httpc_int.h"
#include "common/log.h"
#include "common/mem.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 10000
#define HEADER_MAX 4096

struct httpc_req {
	struct httpc *h;
	struct httpc_req *prev, *next; /* all requests of h */
	CURL *easy;
	struct curl_slist *headers;
	char *what; /* "GET http://host/path", without the query, which may hold a signature */
	char curl_error[CURL_ERROR_SIZE];
	struct httpc_response resp;
	size_t max_body;
	char *want_header;
	bool waiting;   /* not with curl yet: it was started from inside a callback of curl */
	bool cancelled; /* from inside a callback of curl */
	bool too_large, aborted;
	int (*on_data)(const void *, size_t, void *);
	void (*done)(struct httpc_response *, struct err **, void *);
	void (*connected)(int, struct err **, void *);
	void *arg;
};

struct httpc {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	struct httpc_req *reqs;
	bool inside; /* curl is on the call stack: its functions must not be called */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void
curl_start(void)
{
	MUST(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static void
unlink_req(struct httpc_req *r)
{
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		r->h->reqs = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
}

static void
free_req(struct httpc_req *r)
{
	unlink_req(r);
	if (!r->waiting)
		curl_multi_remove_handle(r->h->multi, r->easy);
	curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	buf_free(&r->resp.body);
	free(r->resp.header);
	free(r->want_header);
	free(r->what);
	free(r);
}

/* --- results --- */

static enum err_code
code_of(CURLcode rc)
{
	switch ((int)rc) {
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return ERR_INVALID;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		return ERR_DENIED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SSL_CONNECT_ERROR:
		return ERR_UNAVAILABLE;
	default:
		return ERR_INTERNAL;
	}
}

static void
result_error(const struct httpc_req *r, CURLcode rc, struct err **err)
{
	if (r->too_large)
		err_set(err, ERR_INVALID, "%s: the answer is larger than %zu bytes", r->what,
		    r->max_body);
	else if (r->aborted)
		err_set(err, ERR_CANCELED, "%s: given up", r->what);
	else
		err_set(err, code_of(rc), "%s: %s", r->what,
		    r->curl_error[0] != '\0' ? r->curl_error : curl_easy_strerror(rc));
}

/* The connection goes on as ours: curl closes its own descriptor with the handle. */
static int
take_socket(const struct httpc_req *r, struct err **err)
{
	curl_socket_t s = CURL_SOCKET_BAD;
	int fd;

	if (curl_easy_getinfo(r->easy, CURLINFO_ACTIVESOCKET, &s) != CURLE_OK ||
	    s == CURL_SOCKET_BAD) {
		err_set(err, ERR_UNAVAILABLE, "%s: the connection was closed", r->what);
		return -1;
	}
	fd = fcntl(s, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		err_set_errno(err, errno, "%s", r->what);
	return fd;
}

static void
finish_connect(struct httpc_req *r, CURLcode rc)
{
	void (*connected)(int, struct err **, void *) = r->connected;
	void *arg = r->arg;
	auto_err err = NULL;
	int fd = -1;

	if (rc != CURLE_OK)
		result_error(r, rc, &err);
	else
		fd = take_socket(r, &err);
	free_req(r);
	connected(fd, &err, arg);
}

static void
finish(struct httpc_req *r, CURLcode rc)
{
	void (*done)(struct httpc_response *, struct err **, void *) = r->done;
	struct httpc_response resp = r->resp;
	void *arg = r->arg;
	auto_err err = NULL;

	if (r->connected != NULL) {
		finish_connect(r, rc);
		return;
	}
	r->resp = (struct httpc_response){ 0 };
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &resp.status);
	if (rc != CURLE_OK)
		result_error(r, rc, &err);
	free_req(r);
	done(&resp, &err, arg);
	buf_free(&resp.body);
	free(resp.header);
}

/* What callbacks of curl could not do themselves. */
static void
settle(struct httpc *h)
{
	for (struct httpc_req *r = h->reqs, *next; r != NULL; r = next) {
		next = r->next;
		if (r->cancelled) {
			free_req(r);
		} else if (r->waiting) {
			MUST(curl_multi_add_handle(h->multi, r->easy) == CURLM_OK);
			r->waiting = false;
		}
	}
}

static void
act(struct httpc *h, curl_socket_t s, int what)
{
	struct CURLMsg *m;
	int running, left;

	h->inside = true;
	curl_multi_socket_action(h->multi, s, what, &running);
	h->inside = false;
	settle(h);
	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct httpc_req *r = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r);
		finish(r, m->data.result);
	}
}

/* --- curl's sockets and timer on the loop --- */

static void
on_io(int fd, unsigned what, void *arg)
{
	int mask =
	    (what & LOOP_READ ? CURL_CSELECT_IN : 0) | (what & LOOP_WRITE ? CURL_CSELECT_OUT : 0);

	act(arg, fd, mask);
}

static int
on_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *of_socket)
{
	struct httpc *h = arg;
	struct loop_io *io = of_socket;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		loop_io_free(io);
		curl_multi_assign(h->multi, s, NULL);
		return 0;
	}
	if (io == NULL) {
		io = loop_io_new(h->loop, s, on_io, h);
		curl_multi_assign(h->multi, s, io);
	}
	loop_io_set(
	    io, (what & CURL_POLL_IN ? LOOP_READ : 0) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0));
	return 0;
}

static int
on_curl_timer(CURLM *multi, long ms, void *arg)
{
	struct httpc *h = arg;

	(void)multi;
	if (ms < 0)
		loop_timer_stop(h->timer);
	else
		loop_timer_start(h->timer, ms);
	return 0;
}

static void
on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

struct httpc *
httpc_new(struct loop *loop)
{
	struct httpc *h = xcalloc(1, sizeof(*h));

	pthread_once(&curl_once, curl_start);
	h->loop = loop;
	h->timer = loop_timer_new(loop, "http client", on_timer, h);
	h->multi = curl_multi_init();
	MUST(h->multi != NULL);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	return h;
}

void
httpc_free(struct httpc *h)
{
	if (h == NULL)
		return;
	MUST(!h->inside);
	for (struct httpc_req *r = h->reqs, *next; r != NULL; r = next) {
		next = r->next;
		free_req(r);
	}
	curl_multi_cleanup(h->multi);
	loop_timer_free(h->timer);
	free(h);
}

struct loop *
httpc_loop(struct httpc *h)
{
	return h->loop;
}

/* --- requests --- */

/* A refusal's text is for the caller's error message, not for the stream. */
static size_t
keep(struct httpc_req *r, const char *p, size_t n, size_t max)
{
	if (n > max - r->resp.body.len) {
		r->too_large = true;
		return 0;
	}
	buf_append(&r->resp.body, p, n);
	return n;
}

static size_t
on_body(char *p, size_t size, size_t count, void *arg)
{
	struct httpc_req *r = arg;
	size_t n = size * count;
	long status = 0;

	if (r->cancelled)
		return 0;
	if (r->on_data == NULL)
		return keep(r, p, n, r->max_body);
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 400) {
		size_t room = HTTPC_REFUSAL_MAX - r->resp.body.len;
		buf_append(&r->resp.body, p, n < room ? n : room);
		return n;
	}
	if (r->on_data(p, n, r->arg) != 0)
		r->aborted = true;
	return r->aborted || r->cancelled ? 0 : n;
}

static size_t
on_header(char *p, size_t size, size_t count, void *arg)
{
	struct httpc_req *r = arg;
	size_t n = size * count, at = strlen(r->want_header);

	if (n <= at || n > HEADER_MAX || p[at] != ':' || strncasecmp(p, r->want_header, at) != 0)
		return n;
	at++;
	while (at < n && (p[at] == ' ' || p[at] == '\t'))
		at++;
	while (n > at && strchr("\r\n \t", p[n - 1]) != NULL)
		n--;
	free(r->resp.header);
	r->resp.header = xstrndup(p + at, n - at);
	return size * count;
}

static char *
describe(const char *method, const char *url)
{
	return xasprintf("%s %.*s", method, (int)strcspn(url, "?"), url);
}

static struct httpc_req *
new_req(struct httpc *h, const char *method, const char *url, const char *unix_socket)
{
	struct httpc_req *r = xcalloc(1, sizeof(*r));

	r->h = h;
	r->what = describe(method, url);
	r->easy = curl_easy_init();
	MUST(r->easy != NULL);
	curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
	curl_easy_setopt(r->easy, CURLOPT_URL, url);
	curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->curl_error);
	curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(r->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(r->easy, CURLOPT_TCP_KEEPIDLE, 15L);
	curl_easy_setopt(r->easy, CURLOPT_TCP_KEEPINTVL, 5L);
	curl_easy_setopt(r->easy, CURLOPT_USERAGENT, "millrace");
	if (unix_socket != NULL)
		curl_easy_setopt(r->easy, CURLOPT_UNIX_SOCKET_PATH, unix_socket);
	r->next = h->reqs;
	if (r->next != NULL)
		r->next->prev = r;
	h->reqs = r;
	return r;
}

static void
start_req(struct httpc_req *r)
{
	r->waiting = r->h->inside;
	if (!r->waiting)
		MUST(curl_multi_add_handle(r->h->multi, r->easy) == CURLM_OK);
}

static void
set_headers(struct httpc_req *r, const struct httpc_options *opt)
{
	bool typed = false;

	r->headers = curl_slist_append(NULL, "Expect:");
	for (size_t i = 0; opt->headers != NULL && opt->headers[i] != NULL; i++) {
		typed |= strncasecmp(opt->headers[i], "content-type:", 13) == 0;
		r->headers = curl_slist_append(r->headers, opt->headers[i]);
	}
	if (!typed) /* curl would call it a form */
		r->headers = curl_slist_append(r->headers, "Content-Type:");
	MUST(r->headers != NULL);
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
}

static void
set_method(struct httpc_req *r, const struct httpc_options *opt)
{
	if (strcmp(opt->method, "HEAD") == 0) {
		curl_easy_setopt(r->easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (opt->body != NULL || strcmp(opt->method, "POST") == 0 ||
	    strcmp(opt->method, "PUT") == 0) {
		curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)opt->body_len);
		if (opt->body_stays && opt->body != NULL)
			curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, opt->body);
		else
			curl_easy_setopt(
			    r->easy, CURLOPT_COPYPOSTFIELDS, opt->body != NULL ? opt->body : "");
	}
	curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, opt->method);
}

static void
set_times(struct httpc_req *r, const struct httpc_options *opt)
{
	long connect =
	    opt->connect_timeout_ms > 0 ? (long)opt->connect_timeout_ms : CONNECT_TIMEOUT_MS;

	curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, connect);
	if (opt->timeout_ms > 0)
		curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)opt->timeout_ms);
	if (opt->idle_timeout_ms > 0) {
		curl_easy_setopt(r->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(
		    r->easy, CURLOPT_LOW_SPEED_TIME, (long)(opt->idle_timeout_ms + 999) / 1000);
	}
}

struct httpc_req *
httpc_start(struct httpc *h, const struct httpc_options *opt)
{
	struct httpc_req *r = new_req(h, opt->method, opt->url, opt->unix_socket);

	r->max_body = opt->max_body;
	r->on_data = opt->on_data;
	r->done = opt->done;
	r->arg = opt->arg;
	set_headers(r, opt);
	set_method(r, opt);
	set_times(r, opt);
	curl_easy_setopt(r->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
	if (opt->want_header != NULL) {
		r->want_header = xstrdup(opt->want_header);
		curl_easy_setopt(r->easy, CURLOPT_HEADERFUNCTION, on_header);
		curl_easy_setopt(r->easy, CURLOPT_HEADERDATA, r);
	}
	if (opt->ca_file != NULL)
		curl_easy_setopt(r->easy, CURLOPT_CAINFO, opt->ca_file);
	start_req(r);
	return r;
}

struct httpc_req *
httpc_connect(struct httpc *h, const char *url, const char *unix_socket, int64_t timeout_ms,
    void (*done)(int fd, struct err **err, void *arg), void *arg)
{
	struct httpc_req *r = new_req(h, "connect to", url, unix_socket);

	r->connected = done;
	r->arg = arg;
	curl_easy_setopt(r->easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(r->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS,
	    timeout_ms > 0 ? (long)timeout_ms : (long)CONNECT_TIMEOUT_MS);
	start_req(r);
	return r;
}

void
httpc_cancel(struct httpc_req *r)
{
	if (r->h->inside)
		r->cancelled = true;
	else
		free_req(r);
}
