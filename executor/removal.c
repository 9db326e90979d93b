#include "executor/removal.h"

#include "common/log.h"
#include "common/mem.h"

#include <inttypes.h>
#include <string.h>

#define RETRY_MS 1000
#define RETRY_MAX_MS 30000

enum what { CONTAINERS = 1, VOLUMES, NETWORKS };

struct ex_removal {
	struct ex_removal_options o;
	char *executor, *task, *container;
	enum what what;
	char **names;
	size_t n, at;
	struct ex_call *call;
	struct loop_timer *again;
	int64_t wait_ms;
	bool failed;
};

static void list(struct ex_removal *r);

static void
names_free(struct ex_removal *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		free(r->names[i]);
	free(r->names);
	r->names = NULL;
	r->n = r->at = 0;
}

void
ex_removal_cancel(struct ex_removal *r)
{
	if (r == NULL)
		return;
	ex_call_cancel(r->call);
	loop_timer_free(r->again);
	names_free(r);
	free(r->executor);
	free(r->task);
	free(r->container);
	free(r);
}

static void
over(struct ex_removal *r)
{
	void (*done)(void *) = r->o.done;
	void *arg = r->o.arg;

	ex_removal_cancel(r);
	done(arg);
}

/* Everything is listed and removed once more, until there was no failure. */
static void
next_kind(struct ex_removal *r)
{
	enum what last = r->task != NULL ? VOLUMES : NETWORKS;

	names_free(r);
	if (r->what < last) {
		r->what++;
		list(r);
	} else if (r->failed) {
		r->failed = false;
		r->what = CONTAINERS;
		loop_timer_start(r->again, r->wait_ms);
		r->wait_ms = r->wait_ms * 2 < RETRY_MAX_MS ? r->wait_ms * 2 : RETRY_MAX_MS;
	} else {
		over(r);
	}
}

static void remove_next(struct ex_removal *r);

static void
on_removed(json_t *answer, struct err **err, void *arg)
{
	struct ex_removal *r = arg;

	(void)answer;
	r->call = NULL;
	if (*err != NULL && (*err)->code != ERR_NOTFOUND) {
		/* 409: its removal is under way, or somebody still uses it: look again. */
		if ((*err)->code != ERR_CONFLICT)
			log_err(LOG_WARN, "a leftover cannot be removed, trying again", err,
			    LOG_STR("task", r->task));
		if (r->what == CONTAINERS || r->task != NULL)
			r->failed = true;
	}
	remove_next(r);
}

static void
remove_next(struct ex_removal *r)
{
	static const char *const paths[] = { [CONTAINERS] = "/containers/%s?v=1&force=1",
		[VOLUMES] = "/volumes/%s?force=1",
		[NETWORKS] = "/networks/%s" };
	auto_free char *path = NULL;
	struct ex_call_options opt = { .method = "DELETE", .done = on_removed, .arg = r };
	const char *mark;

	if (r->at == r->n) {
		next_kind(r);
		return;
	}
	mark = strstr(paths[r->what], "%s");
	path = xasprintf(
	    "%.*s%s%s", (int)(mark - paths[r->what]), paths[r->what], r->names[r->at++], mark + 2);
	opt.path = path;
	r->call = ex_engine_call(r->o.ex->engine, &opt);
}

static bool
kept(const struct ex_removal *r, const json_t *labels, const char *name)
{
	return r->task == NULL && r->o.keep(labels, name, r->o.arg);
}

static void
on_listed(json_t *answer, struct err **err, void *arg)
{
	struct ex_removal *r = arg;
	const char *key = r->what == VOLUMES ? "Name" : "Id";
	json_t *items = r->what == VOLUMES ? json_member(answer, "Volumes") : answer, *item;
	size_t i;

	r->call = NULL;
	if (*err != NULL) {
		log_err(LOG_WARN, "leftovers cannot be listed, trying again", err,
		    LOG_STR("task", r->task));
		r->failed = true;
		next_kind(r);
		return;
	}
	r->names = xcalloc(json_array_size(items) + 2, sizeof(*r->names));
	if (r->what == CONTAINERS && r->container != NULL)
		r->names[r->n++] = http_encode(r->container);
	json_array_foreach(items, i, item)
	{
		const char *name = json_text(item, key);
		const char *shown = json_text(item, r->what == CONTAINERS ? "Id" : "Name");

		if (name == NULL || kept(r, json_member(item, "Labels"), shown))
			continue;
		r->names[r->n++] = http_encode(name);
	}
	remove_next(r);
}

static void
list(struct ex_removal *r)
{
	static const char *const paths[] = { [CONTAINERS] = "/containers/json?all=1&filters=",
		[VOLUMES] = "/volumes?filters=",
		[NETWORKS] = "/networks?filters=" };
	const struct ex_owner owner = {
		.executor = r->executor, .task = r->task, .fence = r->o.fence
	};
	auto_free char *filters = ex_json_filters(&owner);
	auto_free char *path = xasprintf("%s%s", paths[r->what], filters);
	const struct ex_call_options opt = {
		.method = "GET", .path = path, .done = on_listed, .arg = r
	};

	r->call = ex_engine_call(r->o.ex->engine, &opt);
}

static void
again(void *arg)
{
	list(arg);
}

static void
on_last_made(json_t *answer, struct err **err, void *arg)
{
	struct ex_removal *r = arg;

	(void)answer;
	(void)err;
	r->call = NULL;
	list(r);
}

struct ex_removal *
ex_removal_start(const struct ex_removal_options *opt)
{
	struct ex_removal *r = xcalloc(1, sizeof(*r));

	r->o = *opt;
	r->executor = xstrdup(opt->executor);
	r->task = opt->task != NULL ? xstrdup(opt->task) : NULL;
	r->container = opt->container != NULL ? xstrdup(opt->container) : NULL;
	r->what = CONTAINERS;
	r->wait_ms = RETRY_MS;
	r->again = loop_timer_new(opt->ex->loop, "removal again", again, r);
	r->call = opt->after;
	if (r->call != NULL)
		ex_call_hand_over(r->call, on_last_made, r);
	else
		list(r);
	return r;
}
