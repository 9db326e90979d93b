#include "executor/task_int.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "executor/env.h"
#include "executor/meter.h"
#include "executor/warm.h"

#include <inttypes.h>
#include <string.h>

/* A service that neither refuses nor becomes its command in this time is taken as started. */
#define SPAWN_PATIENCE_MS 10000

/* An engine that died while it started a container cannot start that one any more, only another in
 * its place. How often that may happen to one task says how long an engine may go on dying, and how
 * often a container that kills its engine may do so. */
#define STARTS_CUT_MAX 20
#define STARTS_REFUSED_MAX 3 /* by an engine that was there all the time */

struct ex_setup {
	unsigned at;                  /* container */
	unsigned cut, refused_starts; /* starts that failed: the engine died, the engine refused */
	uint64_t outages;             /* of the engine, when the start was asked for */
	int64_t phase_ms; /* when the phase under way began, for metrics; 0: none is measured */
	bool main_up, mkdir_sent;
	struct ex_pulling *pull;
	struct ex_host_wait *host;
	struct ex_call *call;
	struct ex_removal *removal;
	struct ex_link *service;
	bool spawned;
	char *refused; /* why the service's command did not start */
	struct loop_timer *patience;
	struct loop_timer *later; /* leaves a link's callback before the link is freed */
};

static void next_image(struct ex_task *t);
static void next_container(struct ex_task *t);
static void service_done(void *arg);
static void service_late(void *arg);

static unsigned
ncontainers(const struct ex_task *t)
{
	return (unsigned)t->plan->spec->n_containers;
}

static const Millrace__Container *
def_of(const struct ex_task *t, unsigned i)
{
	return t->plan->spec->containers[i];
}

static void
fail(struct ex_task *t, struct err **err)
{
	ex_task_setup_failed(t, err);
}

/* The next phase begins; the one before it took so long. The engine made nothing for a task that
 * takes a container started ahead, so that one has no such phase. */
static void
phase_over(struct ex_setup *s, enum ex_meter_phase phase)
{
	int64_t now = clock_mono_ms();

	if (s->phase_ms != 0)
		ex_meter_phase(phase, now - s->phase_ms);
	s->phase_ms = now;
}

static struct ex_setup *
make(struct ex_task *t)
{
	struct ex_setup *s = xcalloc(1, sizeof(*s));

	s->patience = loop_timer_new(t->ex->loop, "service patience", service_late, t);
	s->later = loop_timer_new(t->ex->loop, "service started", service_done, t);
	t->setup = s;
	return s;
}

void
ex_setup_free(struct ex_task *t)
{
	struct ex_setup *s = steal(&t->setup);

	if (s == NULL)
		return;
	ex_pulling_cancel(s->pull);
	ex_host_cancel(s->host);
	ex_call_cancel(s->call);
	ex_removal_cancel(s->removal);
	ex_link_free(s->service);
	loop_timer_free(s->patience);
	loop_timer_free(s->later);
	free(s->refused);
	free(s);
}

const char *
ex_setup_waits(const struct ex_task *t)
{
	const struct ex_setup *s = t->setup;

	if (s == NULL)
		return NULL;
	if (s->pull != NULL)
		return "an image";
	if (s->host != NULL)
		return "the engine's network and the toolbox's volume";
	if (s->removal != NULL)
		return "the removal of what an earlier life left";
	if (s->service != NULL)
		return "a service container's command";
	return s->call != NULL ? "the engine" : "the toolbox of the main container";
}

struct ex_call *
ex_setup_take_call(struct ex_task *t)
{
	return t->setup != NULL ? steal(&t->setup->call) : NULL;
}

/* --- images --- */

static void
say_lines(const char *lines, size_t n, void *arg)
{
	ex_task_say_raw(arg, lines, n);
}

static void
on_host(struct err **err, void *arg)
{
	struct ex_task *t = arg;

	t->setup->host = NULL;
	if (*err != NULL) {
		fail(t, err);
		return;
	}
	t->setup->at = 0;
	next_container(t);
}

static void
on_image(struct ex_image_info *info, struct err **err, void *arg)
{
	struct ex_task *t = arg;
	struct ex_setup *s = t->setup;

	s->pull = NULL;
	if (*err != NULL) {
		fail(t, err);
		return;
	}
	t->images[s->at++] = *info;
	next_image(t);
}

static void
next_image(struct ex_task *t)
{
	struct ex_setup *s = t->setup;
	const Millrace__TaskSpec *spec = t->plan->spec;
	struct ex_pulling_options opt = { .ex = t->ex,
		.auth = spec->registry_auth,
		.nauth = spec->n_registry_auth,
		.say = say_lines,
		.done = on_image,
		.arg = t };

	if (s->at < ncontainers(t)) {
		opt.image = def_of(t, s->at)->image;
		s->pull = ex_pulling_start(&opt);
	} else {
		phase_over(s, EX_METER_PULL);
		s->host = ex_host_need(t->ex->host, t->images[0].id, on_host, t);
	}
}

static int
check_container(const struct ex_config *cfg, const Millrace__Container *def, struct err **err)
{
	if (def->has_privileged && def->privileged && !cfg->allow_privileged)
		return err_set(err, ERR_DENIED,
		    "asks to be privileged and this executor does not allow it (allow_privileged)");
	if (cfg->cpu_max > 0 && def->cpu_milli > (uint64_t)cfg->cpu_max)
		return err_set(err, ERR_DENIED,
		    "asks for %.6g processors and this executor gives at most %.6g (cpu_max)",
		    (double)def->cpu_milli / 1000, (double)cfg->cpu_max / 1000);
	if (cfg->memory_max > 0 && def->memory > (uint64_t)cfg->memory_max)
		return err_set(err, ERR_DENIED,
		    "asks for %" PRIu64 " bytes of memory and this executor gives at most %" PRId64
		    " (memory_max)",
		    def->memory, cfg->memory_max);
	return 0;
}

static int
check_containers(const struct ex_task *t, struct err **err)
{
	auto_err e = NULL;

	for (unsigned i = 0; i < ncontainers(t); i++)
		if (check_container(t->ex->cfg, def_of(t, i), &e) != 0)
			return err_set(err, ERR_DENIED, "container %u %s", i, err_msg(e));
	return 0;
}

static void
begin_images(struct ex_task *t)
{
	auto_err e = NULL;

	t->setup->phase_ms = clock_mono_ms();
	if (check_containers(t, &e) != 0)
		fail(t, &e);
	else
		next_image(t);
}

/* A former life died in the middle of a setup: what it made goes, nothing of the task ran in it. */
static void
on_leftovers_gone(void *arg)
{
	struct ex_task *t = arg;

	t->setup->removal = NULL;
	begin_images(t);
}

static void
say_who(struct ex_task *t)
{
	const Millrace__TaskState *s = t->plan->state;

	if (s != NULL && s->attempts_max > 1)
		ex_task_say(t, "Executor %s, attempt %u of %u", t->ex->cfg->id, s->attempt,
		    s->attempts_max);
	else
		ex_task_say(t, "Executor %s", t->ex->cfg->id);
}

void
ex_setup_start(struct ex_task *t)
{
	const struct ex_removal_options opt = { .ex = t->ex,
		.executor = t->ex->cfg->id,
		.task = t->task_id,
		.fence = t->fence,
		.container = ex_task_adopted(t),
		.done = on_leftovers_gone,
		.arg = t };

	make(t);
	if (t->resumed)
		t->setup->removal = ex_removal_start(&opt);
	while (t->st->ncontainers > 0)
		free(t->st->containers[--t->st->ncontainers]);
	t->st->setup.phase = EX_RUNNING;
	t->st->setup.start_ms = clock_wall_ms();
	ex_task_ship(t, -1);
	say_who(t);
	ex_task_save(t);
	if (!t->resumed)
		begin_images(t);
}

/* --- after a restart --- */

static void
reattach_failed(struct ex_task *t, struct err **err)
{
	t->gone = xstrdup(err_msg(*err));
	ex_task_setup_done(t);
}

static void
on_old_image(json_t *answer, struct err **err, void *arg)
{
	struct ex_task *t = arg;

	t->setup->call = NULL;
	if (*err != NULL || ex_json_image(&t->images[0], answer, NULL, err) != 0) {
		err_wrap(err, "the image of the main container");
		reattach_failed(t, err);
		return;
	}
	ex_task_setup_done(t);
}

static void
on_old_container(json_t *answer, struct err **err, void *arg)
{
	struct ex_task *t = arg;
	const char *image = answer != NULL ? json_text(answer, "Image") : NULL;
	auto_free char *path = NULL;
	struct ex_call_options opt = { .method = "GET", .done = on_old_image, .arg = t };

	t->setup->call = NULL;
	if (*err == NULL && image == NULL)
		err_set(err, ERR_INVALID, "the engine's answer names no image");
	if (*err != NULL) {
		err_wrap(err, "the main container");
		reattach_failed(t, err);
		return;
	}
	path = xasprintf("/images/%s/json", image);
	opt.path = path;
	t->setup->call = ex_engine_call(t->ex->engine, &opt);
}

void
ex_setup_reattach(struct ex_task *t)
{
	auto_free char *path = xasprintf("/containers/%s/json", t->container);
	const struct ex_call_options opt = {
		.method = "GET", .path = path, .done = on_old_container, .arg = t
	};

	make(t);
	t->setup->call = ex_engine_call(t->ex->engine, &opt);
}

/* --- containers --- */

static void
make_directory(struct ex_task *t)
{
	struct ex_setup *s = t->setup;

	ex_task_say(t, "Creating working directory %s", t->plan->spec->working_dir);
	s->mkdir_sent = true;
	if (ex_link_up(t->link) && !ex_step_send_mkdir(t))
		return; /* the setup has failed */
	ex_task_begin(t);
}

static void
container_ready(struct ex_task *t)
{
	phase_over(t->setup, EX_METER_START);
	t->setup->at++;
	t->setup->cut = t->setup->refused_starts = 0;
	next_container(t);
}

/* --- a service's toolbox becomes the service --- */

static void
service_done(void *arg)
{
	struct ex_task *t = arg;
	struct ex_setup *s = t->setup;
	auto_err e = NULL;

	loop_timer_stop(s->patience);
	loop_timer_stop(s->later);
	ex_call_cancel(steal(&s->call));
	ex_link_free(steal(&s->service));
	if (s->refused != NULL) {
		err_set(&e, ERR_INVALID,
		    "the command of service container %u cannot be started: %s", s->at, s->refused);
		fail(t, &e);
		return;
	}
	container_ready(t);
}

static void
service_late(void *arg)
{
	service_done(arg);
}

static void
service_position(struct msg_hello *m, void *arg)
{
	(void)m;
	(void)arg;
}

static void
service_up(const struct msg_welcome *w, void *arg)
{
	struct ex_task *t = arg;
	struct ex_setup *s = t->setup;
	auto_err e = NULL;

	(void)w;
	if (ex_step_send_spawn(t, s->service, s->at, &e) != 0) {
		s->refused = xstrdup(err_msg(e));
		loop_timer_start(s->later, 0);
		return;
	}
	s->spawned = true;
	loop_timer_start(s->patience, SPAWN_PATIENCE_MS);
}

static void
on_service_seen(json_t *answer, struct err **err, void *arg)
{
	struct ex_task *t = arg;

	t->setup->call = NULL;
	if (*err == NULL && json_is_false(json_member(json_member(answer, "State"), "Running")) &&
	    t->setup->refused == NULL)
		t->setup->refused = xstrdup("it ended at once");
	service_done(t);
}

/* The toolbox is about to become the command, which it has found. Should the kernel not be able to
 * run that, its word or the engine's, that the container ended, may come too late to fail the
 * setup. */
static void
look_at_service(struct ex_task *t)
{
	auto_free char *name = ex_task_container_name(t, t->setup->at);
	auto_free char *path = xasprintf("/containers/%s/json", name);
	const struct ex_call_options opt = {
		.method = "GET", .path = path, .done = on_service_seen, .arg = t
	};

	t->setup->call = ex_engine_call(t->ex->engine, &opt);
}

static void
service_frame(const struct frame *f, void *arg)
{
	struct ex_task *t = arg;
	struct ex_setup *s = t->setup;
	struct msg_result r;

	if (s->refused != NULL || !s->spawned)
		return;
	if (f->type == FRAME_RESULT && s->call == NULL) {
		look_at_service(t);
	} else if (f->type == FRAME_REFUSED && msg_result_decode(&r, f->payload, f->len)) {
		s->refused = xstrdup(r.error);
		msg_result_fini(&r);
		loop_timer_start(s->later, 0);
	}
}

/* Its end of the stream is closed by the exec. */
static void
service_down(void *arg)
{
	struct ex_task *t = arg;

	if (t->setup->spawned)
		loop_timer_start(t->setup->later, 0);
}

static void
service_gone(struct err **err, void *arg)
{
	struct ex_task *t = arg;
	struct ex_setup *s = t->setup;

	if (!s->spawned && s->refused == NULL)
		s->refused = xstrdup(err_msg(*err));
	loop_timer_start(s->later, 0);
}

static void
attach_service(struct ex_task *t)
{
	struct ex_setup *s = t->setup;
	auto_free char *name = ex_task_container_name(t, s->at);
	const struct ex_link_options opt = { .loop = t->ex->loop,
		.engine = t->ex->engine,
		.container = name,
		.epoch = 1,
		.position = service_position,
		.on_up = service_up,
		.on_frame = service_frame,
		.on_down = service_down,
		.on_gone = service_gone,
		.arg = t };

	s->spawned = false;
	s->service = ex_link_new(&opt);
}

/* --- the main container's toolbox --- */

void
ex_setup_main_up(struct ex_task *t, const struct msg_welcome *w)
{
	struct ex_setup *s = t->setup;
	auto_err e = NULL;

	if (s->main_up) {
		if (s->mkdir_sent && w->step != -1)
			(void)!ex_step_send_mkdir(t);
		return;
	}
	s->main_up = true;
	if (def_of(t, 0)->n_entrypoint > 0 && ex_step_send_spawn(t, t->link, 0, &e) != 0) {
		fail(t, &e);
		return;
	}
	container_ready(t);
}

void
ex_setup_result(struct ex_task *t, const struct msg_result *r)
{
	auto_err e = NULL;

	if (r->exit_status == 0 && *r->error == '\0') {
		ex_task_say(t, "Setup done");
		ex_task_setup_done(t);
		return;
	}
	err_set(&e, ERR_INVALID, "%s",
	    *r->error != '\0' ? r->error : "the working directory cannot be made");
	fail(t, &e);
}

void
ex_setup_main_gone(struct ex_task *t, struct err **err)
{
	err_wrap(err, "main container");
	fail(t, err);
}

/* --- create, start --- */

static void
on_replaceable(json_t *answer, struct err **err, void *arg)
{
	struct ex_task *t = arg;

	(void)answer;
	t->setup->call = NULL;
	if (*err != NULL && (*err)->code != ERR_NOTFOUND) {
		err_wrap(err, "remove container %u, which did not start", t->setup->at);
		fail(t, err);
		return;
	}
	next_container(t);
}

static void
replace_container(struct ex_task *t, const struct err *why)
{
	auto_free char *name = ex_task_container_name(t, t->setup->at);
	auto_free char *path = xasprintf("/containers/%s?force=1&v=1", name);
	const struct ex_call_options opt = { .method = "DELETE",
		.path = path,
		.conflict_passes = true,
		.done = on_replaceable,
		.arg = t };

	ex_task_say(t, "Container %u did not start: %s", t->setup->at, err_msg(why));
	if (t->st->ncontainers > 0)
		free(t->st->containers[--t->st->ncontainers]);
	t->setup->call = ex_engine_call(t->ex->engine, &opt);
}

/* A start failed: may another container be tried in its place? */
static bool
start_again(struct ex_task *t, const struct err *why)
{
	struct ex_setup *s = t->setup;

	if (why->code != ERR_INTERNAL)
		return false;
	if (ex_engine_outages(t->ex->engine) != s->outages)
		return ++s->cut < STARTS_CUT_MAX;
	return ++s->refused_starts < STARTS_REFUSED_MAX;
}

static void
on_started(json_t *answer, struct err **err, void *arg)
{
	struct ex_task *t = arg;
	struct ex_setup *s = t->setup;

	(void)answer;
	s->call = NULL;
	if (*err != NULL && start_again(t, *err)) {
		replace_container(t, *err);
	} else if (*err != NULL) {
		err_wrap(err, "start container %u (%s)", s->at, def_of(t, s->at)->image);
		fail(t, err);
	} else if (s->at == 0) {
		ex_steps_attach(t);
	} else {
		attach_service(t);
	}
}

static void
on_created(json_t *answer, struct err **err, void *arg)
{
	struct ex_task *t = arg;
	struct ex_setup *s = t->setup;
	auto_free char *name = ex_task_container_name(t, s->at);
	auto_free char *path = xasprintf("/containers/%s/start", name);
	const struct ex_call_options opt = { .method = "POST",
		.path = path,
		.timeout_ms = EX_ENGINE_CREATE_TIMEOUT_MS,
		.done = on_started,
		.arg = t };

	(void)answer;
	s->call = NULL;
	/* A conflict is our own create whose answer got lost: nobody else makes such names. */
	if (*err != NULL && (*err)->code != ERR_CONFLICT) {
		/* The network or the image may have been removed by hand. */
		if ((*err)->code == ERR_NOTFOUND)
			ex_host_doubt(t->ex->host);
		err_wrap(err, "create container %u (%s)", s->at, def_of(t, s->at)->image);
		fail(t, err);
		return;
	}
	phase_over(s, EX_METER_CREATE);
	if (t->st->ncontainers < EX_CONTAINERS_MAX)
		t->st->containers[t->st->ncontainers++] = xstrdup(name);
	s->outages = ex_engine_outages(t->ex->engine);
	s->call = ex_engine_call(t->ex->engine, &opt);
}

/* The main container may be there already. */
static bool
adopt(struct ex_task *t)
{
	struct ex_link *link;
	char *id;

	if (!ex_warm_take(
	        t->ex->warm, def_of(t, 0)->image, &t->images[0], def_of(t, 0), &id, &link))
		return false;
	ex_task_say(t, "Container 0 (%s) was started ahead", def_of(t, 0)->image);
	log_info("task takes a container that was started ahead", EX_LOG_IDS(t),
	    LOG_STR("container", id));
	free(t->container);
	t->container = id;
	t->st->containers[t->st->ncontainers++] = xstrdup(id);
	ex_steps_adopt(t, link);
	return true;
}

static void
next_container(struct ex_task *t)
{
	struct ex_setup *s = t->setup;
	const struct ex_owner owner = ex_task_owner(t, s->at == 0 ? "main" : "service");
	auto_free char *name = ex_task_container_name(t, s->at);
	auto_free char *path = xasprintf("/containers/create?name=%s", name);
	auto_free char *shared = xasprintf("container:%s", t->container);
	struct ex_container_plan plan = { .owner = &owner,
		.index = s->at,
		.name = name,
		.toolbox_volume = ex_host_volume(t->ex->host),
		.network = s->at == 0 ? ex_host_network(t->ex->host) : shared,
		.pids_limit = t->ex->cfg->pids_limit,
		.cpu_max = t->ex->cfg->cpu_max,
		.memory_max = t->ex->cfg->memory_max,
		.cover = t->ex->cfg->volume_cover };
	auto_json *body = NULL;
	struct ex_call_options opt = { .method = "POST",
		.path = path,
		.timeout_ms = EX_ENGINE_CREATE_TIMEOUT_MS,
		.done = on_created,
		.arg = t };

	if (s->at == ncontainers(t)) {
		make_directory(t);
		return;
	}
	s->phase_ms = 0;
	if (s->at == 0 && s->cut + s->refused_starts == 0 && adopt(t))
		return;
	s->phase_ms = clock_mono_ms();
	ex_task_say(t, "Starting container %u (%s)", s->at, def_of(t, s->at)->image);
	plan.image = &t->images[s->at];
	plan.def = def_of(t, s->at);
	body = ex_json_container(&plan);
	if (body == NULL) {
		auto_err e = NULL;

		err_set(&e, ERR_INVALID, "container %u: a volume's path or size is not valid text",
		    s->at);
		fail(t, &e);
		return;
	}
	opt.json = body;
	s->call = ex_engine_call(t->ex->engine, &opt);
}
