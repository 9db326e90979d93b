#include "common/httpc_sync.h"

#include "common/mem.h"

#include <pthread.h>

/* On the stack of the thread that waits. */
struct call {
	struct httpc_sync *s;
	const struct httpc_options *opt;
	struct httpc_response *resp;
	struct err *err;
	struct httpc_req *req;
	struct call *next;
	bool done; /* under the lock */
};

struct httpc_sync {
	struct loop *loop;
	pthread_t thread;
	struct httpc *http; /* this and the next two: the loop thread's */
	struct call *calls;
	bool stopped;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

/* --- on the loop thread --- */

static void
finish(struct call *c)
{
	struct httpc_sync *s = c->s;

	pthread_mutex_lock(&s->lock);
	c->done = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void
on_done(struct httpc_response *resp, struct err **err, void *arg)
{
	struct call *c = arg, **at = &c->s->calls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	*c->resp = *resp;
	*resp = (struct httpc_response){ 0 };
	c->err = steal(err);
	finish(c);
}

static void
cancel(struct call *c)
{
	err_set(&c->err, ERR_CANCELED, "%s: given up", c->opt->method);
	finish(c);
}

static void
start(void *arg)
{
	struct call *c = arg;
	struct httpc_sync *s = c->s;
	struct httpc_options opt = *c->opt;

	if (s->stopped) {
		cancel(c);
		return;
	}
	opt.on_data = NULL;
	opt.done = on_done;
	opt.arg = c;
	c->next = s->calls;
	s->calls = c;
	c->req = httpc_start(s->http, &opt);
}

static void
stop(void *arg)
{
	struct httpc_sync *s = arg;

	s->stopped = true;
	while (s->calls != NULL) {
		struct call *c = s->calls;

		s->calls = c->next;
		httpc_cancel(c->req);
		cancel(c);
	}
}

static void *
run(void *arg)
{
	struct httpc_sync *s = arg;

	loop_run(s->loop);
	return NULL;
}

/* --- on other threads --- */

struct httpc_sync *
httpc_sync_new(const char *name)
{
	struct httpc_sync *s = xcalloc(1, sizeof(*s));

	s->loop = loop_new();
	s->http = httpc_new(s->loop);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	MUST(pthread_create(&s->thread, NULL, run, s) == 0);
	pthread_setname_np(s->thread, name);
	return s;
}

int
httpc_sync_do(struct httpc_response *resp, struct httpc_sync *s, const struct httpc_options *opt,
    struct err **err)
{
	struct call c = { .s = s, .opt = opt, .resp = resp };
	int rc = 0;

	*resp = (struct httpc_response){ 0 };
	MUST(opt->timeout_ms > 0);
	MUST(loop_post(s->loop, "http request", start, &c));
	pthread_mutex_lock(&s->lock);
	while (!c.done)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (c.err != NULL) {
		rc = err_set(err, c.err->code, "%s", c.err->msg);
		err_clear(&c.err);
	}
	return rc;
}

void
httpc_sync_stop(struct httpc_sync *s)
{
	MUST(loop_post(s->loop, "http stop", stop, s));
}

void
httpc_sync_free(struct httpc_sync *s)
{
	if (s == NULL)
		return;
	loop_quit(s->loop);
	MUST(pthread_join(s->thread, NULL) == 0);
	httpc_free(s->http);
	loop_free(s->loop);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	free(s);
}

void
httpc_response_fini(struct httpc_response *resp)
{
	buf_free(&resp->body);
	free(resp->header);
	*resp = (struct httpc_response){ 0 };
}
