#include "executor/warm.h"

#include "common/clock.h"
#include "common/config.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "executor/gc.h"
#include "executor/host.h"
#include "executor/meter.h"
#include "executor/task.h"
#include "executor/warm_policy.h"

#include <string.h>

/* The first step of the task that has just begun goes first. */
#define SETTLE_MS 200
/* The toolbox outlives its age by so much, so that it is removed by us as a rule. */
#define LEASE_SLACK_MS 60000
/* After a failure nothing is started for so long. */
#define FAILED_MS 30000

struct one {
	struct ex_warm *warm;
	char *name;      /* of the container */
	char *image;     /* id */
	char *container; /* id; NULL until it is created */
	struct ex_link *link;
	int64_t born_ms;
	bool ready; /* its toolbox has answered */
	bool failed;
};

struct ex_warm {
	struct ex *ex;
	struct ex_warm_uses uses;
	struct one *items[EX_WARM_MAX];
	size_t n;
	struct one *making; /* one of items */
	struct ex_host_wait *host;
	struct ex_call *call;
	struct loop_timer *settle, *age, *failed;
	struct err *why; /* of the failure that is seen after the link's callback */
	int64_t not_before_ms;
};

static void plan(void *arg);
static void on_failed(void *arg);

/* --- life --- */

struct ex_warm *
ex_warm_new(struct ex *ex)
{
	struct ex_warm *w = xcalloc(1, sizeof(*w));

	w->ex = ex;
	w->uses.age_ms = ex->cfg->warm_age_ms;
	w->settle = loop_timer_new(ex->loop, "containers ahead", plan, w);
	w->age = loop_timer_new(ex->loop, "age of containers ahead", plan, w);
	w->failed = loop_timer_new(ex->loop, "container ahead failed", on_failed, w);
	return w;
}

static void
one_free(struct one *o)
{
	ex_link_free(o->link);
	free(o->container);
	free(o->name);
	free(o->image);
	free(o);
}

/* Takes it out of the list. */
static void
take_out(struct ex_warm *w, struct one *o)
{
	size_t i;

	for (i = 0; w->items[i] != o; i++)
		MUST(i + 1 < w->n);
	memmove(&w->items[i], &w->items[i + 1], (--w->n - i) * sizeof(struct one *));
	if (w->making == o) {
		w->making = NULL;
		ex_host_cancel(steal(&w->host));
		ex_call_cancel(steal(&w->call));
	}
}

static void
count(const struct ex_warm *w)
{
	size_t ready = 0;

	for (size_t i = 0; i < w->n; i++)
		ready += w->items[i]->ready;
	ex_meter_warm(ready);
}

void
ex_warm_free(struct ex_warm *w)
{
	if (w == NULL)
		return;
	while (w->n > 0) {
		struct one *o = w->items[w->n - 1];

		take_out(w, o);
		if (o->link != NULL)
			(void)ex_link_send(o->link, FRAME_EXIT, "", 0);
		one_free(o);
	}
	loop_timer_free(w->settle);
	loop_timer_free(w->age);
	loop_timer_free(w->failed);
	err_clear(&w->why);
	ex_warm_uses_fini(&w->uses);
	free(w);
}

bool
ex_warm_keeps(const struct ex_warm *w, const char *name)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->items[i]->name, name) == 0)
			return true;
	return false;
}

/* --- failures: the container goes, and there is a pause --- */

static void
give_up(struct ex_warm *w, struct one *o, struct err **err)
{
	log_err(LOG_WARN, "no container can be started ahead", err);
	take_out(w, o);
	one_free(o);
	w->not_before_ms = clock_mono_ms() + FAILED_MS;
	count(w);
	ex_gc_start(w->ex->gc);
	loop_timer_start(w->settle, 0); /* for the ages of the others */
}

static void
on_failed(void *arg)
{
	struct ex_warm *w = arg;
	auto_err e = steal(&w->why);

	for (size_t i = w->n; i-- > 0;)
		if (w->items[i]->failed)
			give_up(w, w->items[i], &e);
}

/* The link may not be freed from inside its own callback. */
static void
fail_later(struct one *o, struct err **err)
{
	struct ex_warm *w = o->warm;

	if (w->making == o)
		w->making = NULL;
	o->ready = false;
	o->failed = true;
	err_clear(&w->why);
	w->why = steal(err);
	loop_timer_start(w->failed, 0);
}

/* --- the stream --- */

static void
position(struct msg_hello *m, void *arg)
{
	(void)m;
	(void)arg;
}

static void
send_lease(const struct one *o)
{
	int64_t left = o->born_ms + o->warm->uses.age_ms - clock_mono_ms();
	struct msg_lease m = { .ms = (uint64_t)((left > 0 ? left : 0) + LEASE_SLACK_MS) };
	size_t n;
	auto_free uint8_t *p = msg_lease_encode(&m, &n);

	MUST(p != NULL);
	(void)ex_link_send(o->link, FRAME_LEASE, p, n);
}

static void
on_up(const struct msg_welcome *welcome, void *arg)
{
	struct one *o = arg;
	struct ex_warm *w = o->warm;

	(void)welcome;
	send_lease(o);
	o->ready = true;
	if (w->making == o) {
		w->making = NULL;
		log_info("a container was started ahead", LOG_STR("container", o->container),
		    LOG_STR("image", o->image));
		loop_timer_start(w->settle, 0); /* the next one */
	}
	count(w);
}

/* It has nothing to say before it is given a step. */
static void
on_frame(const struct frame *f, void *arg)
{
	struct one *o = arg;
	auto_err e = NULL;

	if (f->type != FRAME_REFUSED && f->type != FRAME_RESULT)
		return;
	err_set(&e, ERR_INTERNAL, "its toolbox speaks without being asked");
	fail_later(o, &e);
}

static void
on_down(void *arg)
{
	struct one *o = arg;

	o->ready = false;
	count(o->warm);
}

static void
on_gone(struct err **err, void *arg)
{
	fail_later(arg, err);
}

static void
attach(struct one *o)
{
	uint16_t r;
	struct ex_link_options opt = { .loop = o->warm->ex->loop,
		.engine = o->warm->ex->engine,
		.container = o->container,
		.position = position,
		.on_up = on_up,
		.on_frame = on_frame,
		.on_down = on_down,
		.on_gone = on_gone,
		.arg = o };

	id_random_bytes(&r, sizeof(r));
	opt.epoch = 1u + r % EX_LINK_EPOCHS;
	o->link = ex_link_new(&opt);
}

/* --- create, start --- */

static void
on_started(json_t *answer, struct err **err, void *arg)
{
	struct ex_warm *w = arg;

	(void)answer;
	w->call = NULL;
	if (*err != NULL) {
		err_wrap(err, "start it");
		give_up(w, w->making, err);
		return;
	}
	attach(w->making);
}

static void
on_created(json_t *answer, struct err **err, void *arg)
{
	struct ex_warm *w = arg;
	const char *id = answer != NULL ? json_text(answer, "Id") : NULL;
	auto_free char *path = NULL;
	struct ex_call_options opt = { .method = "POST", .done = on_started, .arg = w };

	w->call = NULL;
	if (*err == NULL && (id == NULL || !ex_json_is_id(id)))
		err_set(err, ERR_INVALID, "the engine's answer names no container");
	if (*err != NULL) {
		err_wrap(err, "create it");
		give_up(w, w->making, err);
		return;
	}
	w->making->container = xstrdup(id);
	path = xasprintf("/containers/%s/start", id);
	opt.path = path;
	w->call = ex_engine_call(w->ex->engine, &opt);
}

static void
on_host(struct err **err, void *arg)
{
	struct ex_warm *w = arg;
	struct ex *ex = w->ex;
	const char *name = w->making->name;
	const struct ex_owner owner = {
		.executor = ex->cfg->id, .role = EX_WARM_ROLE, .warm = name
	};
	const struct ex_image_info image = { .id = w->making->image };
	Millrace__Container def = MILLRACE__CONTAINER__INIT;
	auto_free char *path = xasprintf("/containers/create?name=%s", name);
	const struct ex_container_plan plan = { .owner = &owner,
		.image = &image,
		.def = &def,
		.name = name,
		.toolbox_volume = ex_host_volume(ex->host),
		.network = ex_host_network(ex->host),
		.pids_limit = ex->cfg->pids_limit,
		.auto_remove = true };
	auto_json *body = ex_json_container(&plan);
	const struct ex_call_options opt = { .method = "POST",
		.path = path,
		.json = body,
		.timeout_ms = EX_ENGINE_CREATE_TIMEOUT_MS,
		.done = on_created,
		.arg = w };

	w->host = NULL;
	if (*err != NULL) {
		give_up(w, w->making, err);
		return;
	}
	MUST(body != NULL);
	w->call = ex_engine_call(ex->engine, &opt);
}

static void
start_one(struct ex_warm *w, const char *image)
{
	struct one *o = xcalloc(1, sizeof(*o));
	struct id random = id_new();

	o->warm = w;
	o->name = xasprintf("millrace-warm-%s", random.s);
	o->image = xstrdup(image);
	o->born_ms = clock_mono_ms();
	w->items[w->n++] = o;
	w->making = o;
	w->host = ex_host_need(w->ex->host, image, on_host, w);
}

/* --- the plan --- */

static bool
memory_enough(const struct ex_warm *w)
{
	auto_free char *text = NULL;
	auto_err e = NULL;
	const char *at;
	size_t n;

	if (config_read_file(&text, &n, "/proc/meminfo", 1u << 16, &e) != 0)
		return false;
	at = strstr(text, "MemAvailable:");
	return at != NULL && strtoll(at + strlen("MemAvailable:"), NULL, 10) * 1024 >=
	                         w->ex->cfg->warm_free_memory;
}

static bool
setting_up(const struct ex *ex)
{
	for (size_t i = 0; i < ex->ntasks; i++)
		if (ex_task_setting_up(ex->tasks[i]))
			return true;
	return false;
}

/* What is not wanted goes at once. */
static const char *
ask_policy(struct ex_warm *w)
{
	struct ex_warm_have have[EX_WARM_MAX];
	int64_t now = clock_mono_ms(), next;
	const char *image;
	size_t n = w->n, dropped = 0;

	for (size_t i = 0; i < n; i++)
		have[i] = (struct ex_warm_have){ .id = w->items[i]->image,
			.born_ms = w->items[i]->born_ms };
	image = ex_warm_plan(&w->uses, have, n, (size_t)w->ex->cfg->warm_containers, now);
	for (size_t i = n; i-- > 0;) {
		struct one *o = w->items[i];

		if (!have[i].drop || o == w->making)
			continue;
		take_out(w, o);
		one_free(o);
		dropped++;
	}
	for (size_t i = 0; i < w->n; i++)
		have[i] = (struct ex_warm_have){ .id = w->items[i]->image,
			.born_ms = w->items[i]->born_ms };
	next = ex_warm_next_ms(&w->uses, have, w->n);
	loop_timer_stop(w->age);
	if (next >= 0)
		loop_timer_start(w->age, next > now ? next - now : 0);
	if (dropped > 0) {
		count(w);
		ex_gc_start(w->ex->gc);
	}
	return image;
}

static void
plan(void *arg)
{
	struct ex_warm *w = arg;
	const char *image;

	/* Whoever sets something up says when it has settled. */
	if (w->making != NULL || setting_up(w->ex))
		return;
	image = ask_policy(w);
	if (image == NULL || w->n >= EX_WARM_MAX || clock_mono_ms() < w->not_before_ms ||
	    !memory_enough(w))
		return;
	start_one(w, image);
}

void
ex_warm_settled(struct ex_warm *w)
{
	if (w->ex->cfg->warm_containers > 0 && !w->ex->stopping)
		loop_timer_start(w->settle, SETTLE_MS);
}

/* --- a task comes --- */

bool
ex_warm_take(struct ex_warm *w, const char *name, const struct ex_image_info *image,
    const Millrace__Container *def, char **id, struct ex_link **link)
{
	if (w->ex->cfg->warm_containers == 0 || !ex_warm_fits(image, def))
		return false;
	ex_warm_used(&w->uses, name, image->id, clock_mono_ms());
	for (size_t i = 0; i < w->n; i++) {
		struct one *o = w->items[i];

		if (!o->ready || o->failed || !ex_link_up(o->link) ||
		    strcmp(o->image, image->id) != 0)
			continue;
		take_out(w, o);
		*id = steal(&o->container);
		*link = steal(&o->link);
		one_free(o);
		count(w);
		ex_meter_warm_used(true);
		return true;
	}
	ex_meter_warm_used(false);
	return false;
}
