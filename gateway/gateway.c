#include "gateway/gateway.h"

#include "common/crypto.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/dropped.h"
#include "gateway/dump.h"
#include "gateway/cleaner.h"
#include "gateway/git_server.h"
#include "gateway/limit.h"
#include "gateway/log_feed.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/rs_client.h"
#include "gateway/store.h"

#include <errno.h>
#include <sys/stat.h>

static void *
db_thread_init(void *arg)
{
	const struct gateway *gw = arg;

	return gw_store_open(gw->cfg->database);
}

static void
db_thread_fini(void *state, void *arg)
{
	(void)arg;
	gw_store_close(state);
}

static int
make_dir(const char *dir, const char *key, struct err **err)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "%s: mkdir %s", key, dir);
	return 0;
}

static void
make_pools(struct gateway *gw)
{
	gw->db_pool = work_new(gw->loop, &(struct work_options){ .name = "db",
	                                     .threads = (unsigned)gw->cfg->db_threads,
	                                     .queue_max = GW_DB_QUEUE_MAX,
	                                     .thread_init = db_thread_init,
	                                     .thread_fini = db_thread_fini,
	                                     .arg = gw });
	gw->login_pool = work_new(gw->loop, &(struct work_options){ .name = "login",
	                                        .threads = 1,
	                                        .queue_max = GW_LOGIN_QUEUE_MAX,
	                                        .thread_init = db_thread_init,
	                                        .thread_fini = db_thread_fini,
	                                        .arg = gw });
	gw->login_names = gw_limit_new(GW_LOGIN_NAME_BURST, GW_LOGIN_NAME_REFILL_MS);
	gw->login_peers = gw_limit_new(GW_LOGIN_PEER_BURST, GW_LOGIN_PEER_REFILL_MS);
	gw->repo_peers = gw_limit_new(GW_REPO_NEW_BURST, GW_REPO_NEW_REFILL_MS);
	gw->git_pool = work_new(gw->loop,
	    &(struct work_options){
	        .name = "git", .threads = GW_GIT_THREADS, .queue_max = GW_GIT_QUEUE_MAX });
	gw->eval_pool = work_new(gw->loop,
	    &(struct work_options){
	        .name = "evaluate", .threads = GW_EVAL_THREADS, .queue_max = GW_EVAL_QUEUE_MAX });
}

static int
listen_http(struct gateway *gw, struct err **err)
{
	const struct gw_config *cfg = gw->cfg;
	struct http_server_options opt = {
		.listen = cfg->listen,
		.cert_file = cfg->cert_file && *cfg->cert_file ? cfg->cert_file : NULL,
		.key_file = cfg->key_file && *cfg->key_file ? cfg->key_file : NULL,
		.body_max = GW_GIT_PUSH_BODY_MAX,
		.body_limit = gw_req_body_limit,
		.too_large_status = 417,
		.handler = gw_req_start,
		.arg = gw,
	};

	return http_server_new(&gw->http, gw->loop, &opt, err);
}

int
gw_start(void **state, struct loop *loop, void *cfg, struct err **err)
{
	struct gateway *gw = xcalloc(1, sizeof(*gw));
	int rc;

	*state = gw;
	gw->cfg = cfg;
	gw->loop = loop;
	crypto_init();
	gw_meter_init();
	rc = make_dir(gw->cfg->data_dir, "data_dir", err);
	if (rc == 0)
		rc = make_dir(gw->cfg->repository_dir, "repository_dir", err);
	if (rc == 0)
		rc = gw_keys_load(&gw->keys, gw->cfg, err);
	if (rc == 0 && gw_store_migrate(gw->cfg->database, err) < 0)
		rc = err_wrap(err, "database");
	if (rc < 0)
		return rc;
	make_pools(gw);
	gw->git = gw_git_server_new(loop);
	gw->cleaner = gw_cleaner_new(loop, gw->cfg);
	rc = gw_rs_new(&gw->rs, loop, gw->cfg, err);
	if (rc < 0)
		return rc;
	gw->feed = gw_feed_new(gw->rs);
	rc = listen_http(gw, err);
	if (rc < 0)
		return rc;
	gw->dropped = gw_dropped_new(gw);
	log_info("listening", LOG_STR("address", gw->cfg->listen),
	    LOG_STR("public_url", gw->cfg->public_url));
	return 0;
}

static bool
any_busy(const struct gateway *gw)
{
	for (const struct gw_req *rq = gw->requests; rq; rq = rq->next) {
		if (rq->busy)
			return true;
	}
	return false;
}

/* Ends every request that is still open. */
static void
end_requests(struct gateway *gw)
{
	while (gw->requests) {
		struct gw_req *rq = gw->requests;

		if (rq->abandon)
			rq->abandon(rq);
		else
			gw_reply_denied(rq, 503);
	}
}

void
gw_stop(void *state)
{
	struct gateway *gw = state;

	if (!gw)
		return;
	gw->stopping = true;
	atomic_store(&gw->eval_stop, true);
	if (gw->http)
		http_server_close(gw->http);
	gw_cleaner_free(gw->cleaner);
	if (gw->db_pool)
		work_stop(gw->db_pool);
	if (gw->git_pool)
		work_stop(gw->git_pool);
	if (gw->eval_pool)
		work_stop(gw->eval_pool);
	if (gw->login_pool)
		work_stop(gw->login_pool);
	/* The results of the last jobs are posted: let them answer. */
	while (any_busy(gw) || gw_dropped_busy(gw->dropped))
		loop_run_once(gw->loop, 10);
	end_requests(gw);
	gw_feed_free(gw->feed);
	gw_rs_free(gw->rs);
	gw_dropped_free(gw->dropped);
	gw_git_server_free(gw->git);
	http_server_free(gw->http);
	if (gw->db_pool)
		work_free(gw->db_pool);
	if (gw->git_pool)
		work_free(gw->git_pool);
	if (gw->eval_pool)
		work_free(gw->eval_pool);
	if (gw->login_pool)
		work_free(gw->login_pool);
	gw_limit_free(gw->login_names);
	gw_limit_free(gw->login_peers);
	gw_limit_free(gw->repo_peers);
	gw_keys_wipe(&gw->keys);
	free(gw);
}
