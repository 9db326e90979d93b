#include "runservice/runservice.h"

#include "common/http_server.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "runservice/batch.h"
#include "runservice/dispatch.h"
#include "runservice/dump.h"
#include "runservice/executors.h"
#include "runservice/http.h"
#include "runservice/keyring.h"
#include "runservice/leader.h"
#include "runservice/logs.h"
#include "runservice/retention.h"
#include "runservice/rpc_executor.h"
#include "runservice/rpc_gateway.h"
#include "runservice/scopes.h"
#include "runservice/secrets.h"
#include "runservice/store.h"
#include "runservice/sweep.h"
#include "runservice/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define IO_THREADS 2
#define IO_THREADS_S3 16 /* they wait for the network */

/* --- jobs --- */

static void
job_run(void *state, void *arg)
{
	struct rs_job *job = arg;
	job->rc = job->work(state, job, &job->err);
	job->asked_db = state != NULL;
	job->doubt = state && db_take_doubt(state);
}

static void
job_done(void *arg)
{
	struct rs_job *job = arg;
	struct rs *rs = job->rs;
	rs->jobs--;
	if (job->doubt && rs->epoch != 0 && job->epoch == rs->epoch)
		rs_on_doubt(rs);
	else if (job->rc == ERR_UNAVAILABLE && job->asked_db && job->epoch == rs->epoch &&
	         rs->leader)
		rs_leader_confirm(rs->leader);
	job->done(job);
}

static void
submit(struct rs *rs, struct work_pool *pool, const char *name, uint64_t key, struct rs_job *job)
{
	job->rs = rs;
	job->epoch = rs->epoch;
	job->rc = 0;
	job->doubt = job->asked_db = false;
	rs->jobs++;
	if (!rs->stopping && work_submit(pool, name, key, job_run, job_done, job))
		return;
	job->rc = err_set(&job->err, ERR_UNAVAILABLE,
	    rs->stopping ? "runservice is stopping" : "runservice is overloaded");
	loop_defer(rs->loop, job_done, job);
}

void
rs_db_submit(struct rs *rs, const char *name, uint64_t key, struct rs_job *job)
{
	if (!job->quiet && rs->sweep)
		rs_sweep_wake(rs->sweep);
	submit(rs, rs->db_pool, name, key, job);
}

void
rs_io_submit(struct rs *rs, const char *name, uint64_t key, struct rs_job *job)
{
	submit(rs, rs->io_pool, name, key, job);
}

bool
rs_job_failed(struct rs_job *job)
{
	if (job->rc == 0)
		return false;
	if (job->call)
		rpc_fail(job->call, &job->err);
	else
		err_clear(&job->err);
	return true;
}

/* --- answers --- */

void
rs_fail(struct rpc_call *call, enum err_code code, const char *msg)
{
	struct err *err = NULL;
	err_set(&err, code, "%s", msg);
	rpc_fail(call, &err);
}

void *
rs_pack(size_t *len, const void *msg)
{
	*len = protobuf_c_message_get_packed_size(msg);
	uint8_t *out = xmalloc(*len + 1);
	protobuf_c_message_pack(msg, out);
	return out;
}

void
rs_reply_pb(struct rpc_call *call, const void *msg)
{
	size_t len;
	auto_free void *bytes = rs_pack(&len, msg);
	rpc_reply(call, bytes, len);
}

bool
rs_serving(struct rs *rs, struct rpc_call *call)
{
	if (rs->serving)
		return true;
	rs_fail(call, ERR_UNAVAILABLE, "not the leader");
	return false;
}

/* --- leadership --- */

void
rs_on_lead(struct rs *rs, int64_t epoch)
{
	rs->epoch = epoch;
	rs_sweep_load(rs->sweep);
	rs_retention_wake(rs->retention);
}

void
rs_on_lost(struct rs *rs)
{
	rs->epoch = 0;
	rs->serving = false;
	rs_logs_clear(rs->logs);
	rs_dispatch_clear(rs->dispatch);
	rs_executors_clear(rs->executors);
}

static void
begin_term(struct rs *rs)
{
	rs_on_lost(rs);
	if (rs->leader)
		rs_leader_again(rs->leader);
}

void
rs_on_doubt(struct rs *rs)
{
	log_warn("a commit was not answered; reading everything again");
	begin_term(rs);
}

void
rs_on_replaced(struct rs *rs)
{
	log_info("all rows were replaced; reading everything again");
	begin_term(rs);
}

/* --- start --- */

/* Identity is a file that only one process can lock: who holds it knows that its predecessor of
 * the same name is dead. */
static int
claim_identity(struct rs *rs, struct err **err)
{
	auto_free char *path = xasprintf("%s/replica", rs->cfg->data_dir);
	if (mkdir(rs->cfg->data_dir, 0700) != 0 && errno != EEXIST)
		return err_set_errno(err, errno, "create data_dir %s", rs->cfg->data_dir);
	rs->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (rs->lock_fd < 0)
		return err_set_errno(err, errno, "open %s", path);
	if (flock(rs->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return err_set(err, ERR_CONFLICT,
		    "data_dir %s is in use by another runservice; give each its own",
		    rs->cfg->data_dir);
	ssize_t n = pread(rs->lock_fd, rs->holder, ID_LEN, 0);
	rs->holder[n > 0 ? n : 0] = '\0';
	if (id_is_valid(rs->holder))
		return 0;
	struct id id = id_new();
	memcpy(rs->holder, id.s, sizeof(id.s));
	if (ftruncate(rs->lock_fd, 0) != 0 || pwrite(rs->lock_fd, id.s, ID_LEN, 0) != ID_LEN ||
	    fsync(rs->lock_fd) != 0)
		return err_set_errno(err, errno, "write %s", path);
	return 0;
}

static int
read_keys(struct rs *rs, struct err **err)
{
	auto_free char *next = xasprintf("%s/" RS_KEYRING_NEXT, rs->cfg->data_dir);
	int rc = rs_keyring_new(&rs->keys, rs->cfg->master_key_file, next, err);
	return rc == 0 ? crypto_read_key_file(rs->gateway_key, rs->cfg->gateway_key_file, err) : rc;
}

static int
open_database(struct rs *rs, struct err **err)
{
	int rc = rs_store_migrate(rs->cfg->database, NULL, err);
	if (rc != 0)
		return rc;
	struct db *db = rs_store_open(rs->cfg->database, NULL);
	rc = rs_secrets_start(rs->object_key, db, rs->keys, err);
	db_free(db);
	return rc;
}

static bool
name_ok(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
	return n > 0 && n <= 64 && s[n] == '\0';
}

/* Read anew only when its file is another than before. */
struct peer_key {
	struct timespec changed;
	ino_t file;
	uint8_t key[CRYPTO_KEY_LEN];
};

static void
forget_key(struct rs *rs, const char *peer)
{
	struct peer_key *k = rs_map_remove(&rs->executor_keys, peer);
	if (k)
		xfree_secret(k, sizeof(*k));
}

static void
forget_keys(struct rs *rs)
{
	struct peer_key *k;
	for (size_t i = 0; (k = rs_map_next(&rs->executor_keys, &i)) != NULL;)
		xfree_secret(k, sizeof(*k));
	rs_map_fini(&rs->executor_keys);
}

/* A key file is small and local: looking at it does not hold the loop. */
static int
executor_key(struct rs *rs, uint8_t key[CRYPTO_KEY_LEN], const char *peer)
{
	struct stat st;
	auto_err e = NULL;
	auto_free char *path = xasprintf("%s/%s.key", rs->cfg->executor_keys_dir, peer);
	struct peer_key *k = rs_map_get(&rs->executor_keys, peer);
	if (stat(path, &st) != 0) {
		forget_key(rs, peer);
		return ERR_DENIED;
	}
	if (!k || k->file != st.st_ino || k->changed.tv_sec != st.st_mtim.tv_sec ||
	    k->changed.tv_nsec != st.st_mtim.tv_nsec) {
		forget_key(rs, peer);
		if (crypto_read_key_file(key, path, &e) != 0)
			return ERR_DENIED;
		k = xcalloc(1, sizeof(*k));
		k->changed = st.st_mtim;
		k->file = st.st_ino;
		memcpy(k->key, key, CRYPTO_KEY_LEN);
		rs_map_put(&rs->executor_keys, peer, k);
	}
	memcpy(key, k->key, CRYPTO_KEY_LEN);
	return 0;
}

static int
peer_key(uint8_t key[CRYPTO_KEY_LEN], const char *peer, void *arg, struct err **err)
{
	struct rs *rs = arg;
	if (strcmp(peer, RS_PEER_GATEWAY) == 0) {
		memcpy(key, rs->gateway_key, CRYPTO_KEY_LEN);
		return 0;
	}
	if (!name_ok(peer))
		return err_set(err, ERR_DENIED, "unknown peer");
	if (executor_key(rs, key, peer) != 0)
		return err_set(err, ERR_DENIED, "unknown executor %s: no key file for it", peer);
	return 0;
}

static void *
thread_init(void *arg)
{
	const struct rs *rs = arg;
	return rs_store_open(rs->cfg->database, NULL);
}

static void
thread_fini(void *state, void *arg)
{
	(void)arg;
	db_free(state);
}

static void
make_parts(struct rs *rs)
{
	rs->db_pool = work_new(rs->loop, &(struct work_options){ .name = "db",
	                                     .threads = (unsigned)rs->cfg->db_threads,
	                                     .queue_max = RS_QUEUE_MAX,
	                                     .thread_init = thread_init,
	                                     .thread_fini = thread_fini,
	                                     .arg = rs });
	rs->io_pool =
	    work_new(rs->loop, &(struct work_options){ .name = "io",
	                           .threads = rs_config_s3(rs->cfg) ? IO_THREADS_S3 : IO_THREADS,
	                           .queue_max = RS_QUEUE_MAX });
	rs->batches = rs_batches_new(rs);
	rs->executors = rs_executors_new(rs);
	rs->dispatch = rs_dispatch_new(rs);
	rs->logs = rs_logs_new(rs);
	rs->sweep = rs_sweep_new(rs);
	rs->retention = rs_retention_new(rs);
	rs->transfer = rs_transfer_new(rs);
}

static int
listen_rpc(struct rs *rs, struct err **err)
{
	const struct {
		const struct rpc_method *list;
		size_t n;
	} tables[] = { { rs_rpc_gateway, rs_rpc_gateway_len }, { rs_rpc_scopes, rs_rpc_scopes_len },
		{ rs_rpc_transfer, rs_rpc_transfer_len },
		{ rs_rpc_executor, rs_rpc_executor_len } };
	struct rpc_method *methods = NULL;
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		methods = xreallocarray(methods, n + tables[i].n, sizeof(*methods));
		memcpy(methods + n, tables[i].list, tables[i].n * sizeof(*methods));
		n += tables[i].n;
	}
	rs->methods = methods;
	const struct rpc_tls tls = { .cert_file = rs->cfg->cert_file,
		.key_file = rs->cfg->key_file };
	const struct rpc_server_options opt = { .url = rs->cfg->rpc_listen,
		.tls = &tls,
		.methods = methods,
		.nmethods = n,
		.peer_key = peer_key,
		.arg = rs };
	return rpc_server_new(&rs->rpc, rs->loop, &opt, err);
}

static int
listen_http(struct rs *rs, struct err **err)
{
	const char *url = rs->cfg->object_url;
	bool https = url && strncmp(url, "https:", 6) == 0;
	const struct http_server_options opt = { .listen = rs->cfg->http_listen,
		.cert_file = https ? rs->cfg->cert_file : NULL,
		.key_file = https ? rs->cfg->key_file : NULL,
		.body_max = OBJSTORE_PART_MAX,
		.handler = rs_http_handle,
		.arg = rs };
	return http_server_new(&rs->http, rs->loop, &opt, err);
}

static int
open_objects(struct rs *rs, struct err **err)
{
	const struct objstore_s3_options s3 = rs_config_s3_options(rs->cfg);
	auto_free char *dir = xasprintf("%s/objects", rs->cfg->data_dir);
	if (rs_config_s3(rs->cfg))
		return objstore_s3_new(&rs->objects, &s3, err);
	return objstore_dir_new(&rs->objects, dir, rs->cfg->object_url, rs->object_key, err);
}

int
rs_start(void **state, struct loop *loop, void *cfg, struct err **err)
{
	struct rs *rs = xcalloc(1, sizeof(*rs));
	*state = rs;
	rs->loop = loop;
	rs->cfg = cfg;
	rs->lock_fd = -1;
	crypto_init();
	rs_meter_init();
	int rc = read_keys(rs, err);
	if (rc == 0)
		rc = claim_identity(rs, err);
	if (rc == 0)
		rc = open_database(rs, err);
	if (rc == 0)
		rc = open_objects(rs, err);
	if (rc != 0)
		return rc;
	make_parts(rs);
	rc = listen_http(rs, err);
	if (rc == 0)
		rc = listen_rpc(rs, err);
	if (rc != 0)
		return rc;
	rs->leader = rs_leader_new(rs);
	log_info("runservice started", LOG_STR("rpc", rs->cfg->rpc_listen),
	    LOG_STR("http", rs->cfg->http_listen), LOG_STR("replica", rs->holder));
	return 0;
}

/* --- stop --- */

void
rs_stop(void *state)
{
	struct rs *rs = state;
	if (!rs)
		return;
	if (rs->http)
		http_server_close(rs->http);
	if (rs->leader)
		rs_leader_release(rs->leader);
	rs->stopping = true;
	/* A store that is away must not hold the stop up; what is not stored yet, executors keep.
	 */
	if (rs->objects && rs->objects->ops->stop)
		rs->objects->ops->stop(rs->objects);
	if (rs->db_pool) {
		rs_leader_free(steal(&rs->leader));
		rs_on_lost(rs);
		work_stop(rs->io_pool);
		work_stop(rs->db_pool);
		while (rs->jobs > 0)
			loop_run_once(rs->loop, 100);
		work_free(rs->io_pool);
		work_free(rs->db_pool);
	}
	rpc_server_free(rs->rpc);
	http_server_free(rs->http);
	rs_transfer_free(rs->transfer);
	rs_retention_free(rs->retention);
	rs_sweep_free(rs->sweep);
	rs_logs_free(rs->logs);
	rs_dispatch_free(rs->dispatch);
	rs_executors_free(rs->executors);
	rs_batches_free(rs->batches);
	if (rs->objects)
		rs->objects->ops->free(rs->objects);
	if (rs->lock_fd >= 0)
		close(rs->lock_fd);
	free(rs->methods);
	forget_keys(rs);
	rs_keyring_free(rs->keys);
	explicit_bzero(rs, sizeof(*rs));
	free(rs);
}
