#include "executor/toolbox_link.h"

#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "executor/engine_stream.h"

#include <string.h>

#define BACKOFF_MIN_MS 20
#define BACKOFF_MAX_MS 2000
#define ATTACH_TIMEOUT_MS 10000
#define COMPLAINT_MAX 512

struct ex_link {
	struct ex_link_options o;
	char *container;
	struct httpc_stream *stream;
	struct ex_call *inspect;
	struct loop_timer *again;   /* next attach */
	struct loop_timer *welcome; /* WELCOME is late */
	struct ex_stream_demux demux;
	struct frame_parser parser;
	uint32_t epoch; /* of the newest attach */
	int64_t backoff_ms;
	bool started, up;
	bool spoiled; /* something was written on an earlier attach, perhaps half a frame */
	bool *dead;   /* set while a callback runs that may free us */
};

static void attach(struct ex_link *l);

static void
close_stream(struct ex_link *l)
{
	if (l->stream != NULL)
		httpc_stream_free(l->stream);
	l->stream = NULL;
	loop_timer_stop(l->welcome);
	frame_parser_fini(&l->parser);
	frame_parser_init(&l->parser);
	l->demux = (struct ex_stream_demux){ 0 };
}

/* Whether the container still runs decides between attaching again and giving up. */
static void
on_inspect(json_t *answer, struct err **err, void *arg)
{
	struct ex_link *l = arg;
	json_t *state = answer != NULL ? json_member(answer, "State") : NULL;

	l->inspect = NULL;
	if (*err != NULL && (*err)->code != ERR_NOTFOUND) {
		loop_timer_start(l->again, l->backoff_ms);
		return;
	}
	if (*err == NULL && json_flag(state, "Running", false)) {
		attach(l);
		return;
	}
	if (*err == NULL)
		err_set(err, ERR_NOTFOUND,
		    "the container ended by itself (exit status %lld%s); its process 1 was killed "
		    "or ran out of memory",
		    (long long)json_int(state, "ExitCode", -1),
		    json_flag(state, "OOMKilled", false) ? ", out of memory" : "");
	else
		err_wrap(err, "the container is gone");
	l->o.on_gone(err, l->o.arg);
}

static void
inspect(void *arg)
{
	struct ex_link *l = arg;
	auto_free char *path = xasprintf("/containers/%s/json", l->container);
	const struct ex_call_options opt = {
		.method = "GET", .path = path, .done = on_inspect, .arg = l
	};

	l->backoff_ms = l->backoff_ms * 2 < BACKOFF_MAX_MS ? l->backoff_ms * 2 : BACKOFF_MAX_MS;
	l->inspect = ex_engine_call(l->o.engine, &opt);
}

/* Returns with the link possibly freed by on_down. */
static void
broken(struct ex_link *l)
{
	bool was_up = l->up;

	close_stream(l);
	l->up = false;
	loop_timer_start(l->again, l->backoff_ms);
	if (was_up)
		l->o.on_down(l->o.arg);
}

void
ex_link_reset(struct ex_link *l, const char *why)
{
	log_warn("the stream to a toolbox is opened again", LOG_STR("container", l->container),
	    LOG_STR("why", why));
	broken(l);
}

static void
on_open(struct err **err, void *arg)
{
	struct ex_link *l = arg;
	struct msg_hello hello = {
		.version_min = FRAME_VERSION, .version_max = FRAME_VERSION, .log_step = -2
	};
	auto_free uint8_t *payload = NULL;
	auto_free uint8_t *frame = NULL;
	size_t n;

	if (*err != NULL) {
		log_debug("attach failed", LOG_STR("container", l->container),
		    LOG_STR("error", err_msg(*err)));
		broken(l);
		return;
	}
	l->o.position(&hello, l->o.arg);
	payload = msg_hello_encode(&hello, &n);
	MUST(payload != NULL);
	frame = xmalloc(FRAME_HEADER_LEN + n);
	frame_encode(frame, FRAME_HELLO, l->epoch, payload, n);
	if (l->spoiled) {
		auto_free void *zeros = xcalloc(1, FRAME_RESYNC_LEN);

		httpc_stream_write(l->stream, zeros, FRAME_RESYNC_LEN);
	}
	l->spoiled = true;
	httpc_stream_write(l->stream, frame, FRAME_HEADER_LEN + n);
}

static void
on_welcome(struct ex_link *l, const struct frame *f)
{
	struct msg_welcome w;

	if (f->epoch != l->epoch)
		return;
	if (!msg_welcome_decode(&w, f->payload, f->len) || w.version != FRAME_VERSION) {
		ex_link_reset(l, "the toolbox speaks another version");
		return;
	}
	loop_timer_stop(l->welcome);
	l->up = true;
	l->backoff_ms = BACKOFF_MIN_MS;
	l->o.on_up(&w, l->o.arg);
}

static void
on_bytes(int stream, const uint8_t *p, size_t n, void *arg)
{
	struct ex_link *l = arg;
	char text[COMPLAINT_MAX + 1];

	if (stream == EX_STREAM_ERR) {
		size_t cut = n < COMPLAINT_MAX ? n : COMPLAINT_MAX;

		memcpy(text, p, cut);
		text[cut] = '\0';
		log_debug("a container's process 1 wrote to stderr",
		    LOG_STR("container", l->container), LOG_STR("text", text));
		return;
	}
	MUST(frame_parser_feed(&l->parser, p, n));
}

/* A frame's handler may free or reset the link: each is taken with that in mind. */
static void
take_frames(struct ex_link *l)
{
	bool dead = false;
	struct httpc_stream *stream = l->stream;
	struct frame f;

	l->dead = &dead;
	while (!dead && l->stream == stream && frame_parser_next(&l->parser, &f)) {
		if (f.type == FRAME_WELCOME)
			on_welcome(l, &f);
		else if (l->up && f.epoch == l->epoch)
			l->o.on_frame(&f, l->o.arg);
	}
	if (!dead)
		l->dead = NULL;
}

static void
on_data(const uint8_t *p, size_t n, void *arg)
{
	struct ex_link *l = arg;
	auto_err err = NULL;

	if (ex_stream_feed(&l->demux, p, n, on_bytes, l, &err) != 0) {
		ex_link_reset(l, err_msg(err));
		return;
	}
	take_frames(l);
}

static void
on_close(struct err **err, void *arg)
{
	struct ex_link *l = arg;

	log_debug("the stream to a toolbox broke", LOG_STR("container", l->container),
	    LOG_STR("error", *err != NULL ? err_msg(*err) : "closed"));
	broken(l);
}

static void
on_drain(void *arg)
{
	struct ex_link *l = arg;

	if (l->up && l->o.on_drain != NULL)
		l->o.on_drain(l->o.arg);
}

static void
attach(struct ex_link *l)
{
	auto_free char *path =
	    xasprintf("/containers/%s/attach?stream=1&stdin=1&stdout=1&stderr=1", l->container);
	auto_free char *url = ex_engine_url(path);
	const struct httpc_stream_options opt = { .method = "POST",
		.url = url,
		.unix_socket = ex_engine_socket(l->o.engine),
		.upgrade = "tcp",
		.timeout_ms = ATTACH_TIMEOUT_MS,
		.on_open = on_open,
		.on_data = on_data,
		.on_close = on_close,
		.on_drain = on_drain,
		.arg = l };

	if (l->started) {
		uint16_t r;

		id_random_bytes(&r, sizeof(r));
		l->epoch += 1u + r % EX_LINK_EPOCHS;
	}
	l->started = true;
	loop_timer_start(l->welcome, EX_LINK_WELCOME_MS);
	l->stream = httpc_stream_open(ex_engine_http(l->o.engine), &opt);
}

static void
late(void *arg)
{
	ex_link_reset(arg, "the toolbox did not answer HELLO in time");
}

struct ex_link *
ex_link_new(const struct ex_link_options *opt)
{
	struct ex_link *l = xcalloc(1, sizeof(*l));

	l->o = *opt;
	l->container = xstrdup(opt->container);
	l->epoch = opt->epoch;
	l->spoiled = opt->resumed;
	l->backoff_ms = BACKOFF_MIN_MS;
	l->again = loop_timer_new(opt->loop, "toolbox attach", inspect, l);
	l->welcome = loop_timer_new(opt->loop, "toolbox welcome", late, l);
	frame_parser_init(&l->parser);
	attach(l);
	return l;
}

void
ex_link_hand_over(struct ex_link *l, const struct ex_link_options *opt)
{
	struct ex_link_options o = *opt;

	o.loop = l->o.loop;
	o.engine = l->o.engine;
	o.container = NULL;
	l->o = o;
}

void
ex_link_free(struct ex_link *l)
{
	if (l == NULL)
		return;
	if (l->dead != NULL)
		*l->dead = true;
	if (l->stream != NULL)
		httpc_stream_free(l->stream);
	ex_call_cancel(l->inspect);
	loop_timer_free(l->again);
	loop_timer_free(l->welcome);
	frame_parser_fini(&l->parser);
	free(l->container);
	free(l);
}

bool
ex_link_up(const struct ex_link *l)
{
	return l != NULL && l->up;
}

uint32_t
ex_link_epoch(const struct ex_link *l)
{
	return l->epoch;
}

bool
ex_link_send(struct ex_link *l, enum frame_type type, const void *payload, size_t n)
{
	auto_free uint8_t *frame = NULL;

	if (!ex_link_up(l))
		return false;
	frame = xmalloc(FRAME_HEADER_LEN + n);
	frame_encode(frame, type, l->epoch, payload, n);
	httpc_stream_write(l->stream, frame, FRAME_HEADER_LEN + n);
	explicit_bzero(frame, FRAME_HEADER_LEN + n);
	return true;
}

bool
ex_link_roomy(const struct ex_link *l)
{
	return ex_link_up(l) && httpc_stream_pending(l->stream) < EX_LINK_PENDING_MAX;
}
