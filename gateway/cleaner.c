#include "gateway/cleaner.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/work.h"
#include "gateway/git_clean.h"

struct gw_cleaner {
	struct loop *loop;
	const struct gw_config *cfg;
	struct work_pool *pool;
	struct loop_timer *timer;
	atomic_bool stop;
	bool busy;
	/* of the job */
	struct gw_clean what;
	struct gw_cleaned did;
};

static void
clean_run(void *thread_state, void *arg)
{
	struct gw_cleaner *c = arg;

	(void)thread_state;
	c->did = gw_repo_clean(c->cfg->repository_dir, &c->what);
}

static void
clean_done(void *arg)
{
	struct gw_cleaner *c = arg;

	c->busy = false;
	if (c->did.refs || c->did.repos)
		log_info("repositories cleaned up", LOG_I64("refs", (int64_t)c->did.refs),
		    LOG_I64("repositories", (int64_t)c->did.repos));
	if (!atomic_load(&c->stop))
		loop_timer_start(c->timer, c->cfg->repository_cleanup_ms);
}

static void
begin(void *arg)
{
	struct gw_cleaner *c = arg;

	c->what = (struct gw_clean){ .now_ms = clock_wall_ms(),
		.expire_ms = c->cfg->repository_expire_ms,
		.stop = &c->stop };
	c->busy = work_submit(c->pool, "clean up", 0, clean_run, clean_done, c);
}

struct gw_cleaner *
gw_cleaner_new(struct loop *loop, const struct gw_config *cfg)
{
	struct gw_cleaner *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->cfg = cfg;
	c->pool = work_new(
	    loop, &(struct work_options){ .name = "cleaner", .threads = 1, .queue_max = 1 });
	c->timer = loop_timer_new(loop, "clean up", begin, c);
	if (cfg->repository_cleanup_ms > 0)
		begin(c);
	return c;
}

void
gw_cleaner_free(struct gw_cleaner *c)
{
	if (!c)
		return;
	atomic_store(&c->stop, true);
	work_stop(c->pool);
	while (c->busy)
		loop_run_once(c->loop, 10);
	work_free(c->pool);
	loop_timer_free(c->timer);
	free(c);
}
