#include "executor/executor.h"

#include "common/crypto.h"
#include "common/log.h"
#include "common/mem.h"
#include "executor/gc.h"
#include "executor/host.h"
#include "executor/identity.h"
#include "executor/meter.h"
#include "executor/session.h"
#include "executor/task.h"
#include "executor/warm.h"

#include <dirent.h>
#include <malloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK_THREADS 4
#define DISK_QUEUE_MAX 65536
#define HTTP_BODY_MAX 4096
#define TRIM_MS 1000

/* --- tasks --- */

void
ex_task_add(struct ex *ex, struct ex_task *t)
{
	ex->tasks = xreallocarray(ex->tasks, ex->ntasks + 1, sizeof(struct ex_task *));
	ex->tasks[ex->ntasks++] = t;
	ex_meter_held(ex->ntasks);
}

void
ex_task_remove(struct ex *ex, struct ex_task *t)
{
	size_t i;

	for (i = 0; i < ex->ntasks && ex->tasks[i] != t; i++)
		;
	MUST(i < ex->ntasks);
	ex->tasks[i] = ex->tasks[--ex->ntasks];
	ex_meter_held(ex->ntasks);
	if (!ex->stopping) {
		ex_session_changed(ex->session);
		ex_warm_settled(ex->warm);
	}
	/* Buffers of logs and archives: an idle executor gives the memory back. */
	if (ex->ntasks == 0)
		loop_timer_start(ex->trim, TRIM_MS);
}

static void
on_trim(void *arg)
{
	const struct ex *ex = arg;

	if (ex->ntasks == 0)
		malloc_trim(0);
}

struct ex_task *
ex_task_find(const struct ex *ex, const char *task_id, uint64_t fence)
{
	size_t i;

	for (i = 0; i < ex->ntasks; i++)
		if (ex_task_fence(ex->tasks[i]) == fence &&
		    strcmp(ex_task_id(ex->tasks[i]), task_id) == 0)
			return ex->tasks[i];
	return NULL;
}

unsigned
ex_free_slots(const struct ex *ex)
{
	unsigned busy = 0;
	size_t i;

	for (i = 0; i < ex->ntasks; i++)
		busy += ex_task_busy(ex->tasks[i]);
	return busy < (unsigned)ex->cfg->tasks ? (unsigned)ex->cfg->tasks - busy : 0;
}

/* --- start --- */

static void
recover(struct ex *ex)
{
	DIR *d = opendir(ex->cfg->spool_dir);
	struct dirent *entry;

	while (d != NULL &&
	       (entry = readdir(d)) != NULL) { /* NOLINT(concurrency-mt-unsafe): d is ours */
		auto_free char *path = xasprintf("%s/%s", ex->cfg->spool_dir, entry->d_name);
		struct stat st;

		if (entry->d_name[0] == '.' || lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
			continue;
		ex_task_recover(ex, path);
	}
	if (d != NULL)
		closedir(d);
}

static void
on_connected(bool up, void *arg)
{
	struct ex *ex = arg;

	log_info(up ? "connected to the runservice" : "the runservice is away",
	    LOG_STR("url", ex->cfg->runservice));
	ex_session_connected(ex->session, up);
}

static int
connect_runservice(struct ex *ex, struct err **err)
{
	uint8_t key[CRYPTO_KEY_LEN];
	const struct ex_config *cfg = ex->cfg;
	const struct rpc_tls tls = { .ca_file = cfg->tls_ca, .server_name = cfg->tls_server_name };
	const struct rpc_client_options opt = { .url = cfg->runservice,
		.tls = strncmp(cfg->runservice, "tls+", 4) == 0 ? &tls : NULL,
		.peer = cfg->id,
		.key = key,
		.on_connected = on_connected,
		.arg = ex };
	struct rpc_client *client;
	int rc = crypto_read_key_file(key, cfg->key_file, err);

	if (rc == 0)
		rc = rpc_client_new(&client, ex->loop, &opt, err);
	explicit_bzero(key, sizeof(key));
	if (rc == 0)
		ex->rs = ex_rs_new(ex->loop, client);
	return rc;
}

static int
listen_http(struct ex *ex, struct err **err)
{
	const struct http_server_options opt = { .listen = ex->cfg->http_listen,
		.body_max = HTTP_BODY_MAX,
		.handler = ex_http_handle,
		.arg = ex };

	if (ex->cfg->http_listen == NULL || *ex->cfg->http_listen == '\0')
		return 0;
	return http_server_new(&ex->web, ex->loop, &opt, err);
}

int
ex_start(void **state, struct loop *loop, void *cfg, struct err **err)
{
	struct ex *ex = xcalloc(1, sizeof(*ex));
	int rc;

	ex_meter_init();
	*state = ex;
	ex->loop = loop;
	ex->cfg = cfg;
	ex->lock_fd = -1;
	crypto_init();
	rc = ex_identity_claim(&ex->lock_fd, cfg, err);
	if (rc != 0)
		return rc;
	ex->pool = work_new(
	    loop, &(struct work_options){
	              .name = "disk", .threads = DISK_THREADS, .queue_max = DISK_QUEUE_MAX });
	ex->http = httpc_new(loop);
	ex->engine = ex_engine_new(loop, ex->http, ex->cfg->engine);
	ex->session = ex_session_new(ex);
	ex->gc = ex_gc_new(ex);
	ex->warm = ex_warm_new(ex);
	ex->trim = loop_timer_new(loop, "memory is given back", on_trim, ex);
	rc = ex_host_new(&ex->host, ex, err);
	if (rc == 0)
		rc = connect_runservice(ex, err);
	if (rc != 0)
		return rc;
	recover(ex);
	rc = listen_http(ex, err);
	if (rc == 0)
		log_info("executor started", LOG_STR("id", ex->cfg->id),
		    LOG_STR("engine", ex->cfg->engine), LOG_I64("tasks", ex->cfg->tasks));
	return rc;
}

/* --- stop --- */

void
ex_stop(void *state)
{
	struct ex *ex = state;

	if (ex == NULL)
		return;
	ex->stopping = true;
	if (ex->web != NULL)
		http_server_close(ex->web);
	ex_session_free(ex->session);
	while (ex->ntasks > 0)
		ex_task_free(ex->tasks[--ex->ntasks]);
	ex_warm_free(ex->warm);
	ex_gc_free(ex->gc);
	loop_timer_free(ex->trim);
	ex_host_free(ex->host);
	if (ex->pool != NULL) {
		work_stop(ex->pool);
		loop_run_once(ex->loop, 0);
		work_free(ex->pool);
	}
	ex_rs_free(ex->rs);
	ex_engine_free(ex->engine);
	if (ex->http != NULL)
		httpc_free(ex->http);
	http_server_free(ex->web);
	if (ex->lock_fd >= 0)
		close(ex->lock_fd);
	free(ex->tasks);
	free(ex);
}
