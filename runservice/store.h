/*
 * store.h - all SQL of the runservice but that which writes runs (store_write.h). One file per
 * subject; each lists its statements in a table.
 *
 * Every function runs on a worker thread with that thread's db. Functions that write are called
 * inside db_tx_run() after rs_store_assert_epoch(). Times are Unix milliseconds unless a column is
 * a timestamptz: those are PostgreSQL's clock and decide about leases.
 */
#ifndef RUNSERVICE_STORE_H
#define RUNSERVICE_STORE_H

#include "common/db.h"
#include "common/err.h"
#include "common/id.h"
#include "runservice/cache_key.h"
#include "runservice/keyring.h"
#include "runservice/resolve.h"
#include "runservice/run.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A db with all our statement tables; schema NULL = "runservice". */
struct db *rs_store_open(const char *conninfo, const char *schema);
/* Brings the schema up to date over a connection of its own. */
int rs_store_migrate(const char *conninfo, const char *schema, struct err **err) MUSTCHECK;

/* --- store_leader.c --- */
/* ERR_UNAVAILABLE "not the leader" unless epoch is the current one; then it stays so until the
 * transaction ends. Inside one it is only sent: the transaction fails by it. */
int rs_store_assert_epoch(struct db *db, int64_t epoch, struct err **err) MUSTCHECK;
/* Takes over (*epoch > 0) when the holder is us, is nobody, or has left a challenge unanswered for
 * patience_ms. Otherwise *epoch is 0 and the leader is challenged: channel runservice_leader tells
 * it. */
int rs_store_leader_take(int64_t *epoch, struct db *db, const char *holder, int64_t patience_ms,
    struct err **err) MUSTCHECK;
/* Answers a challenge. ERR_CONFLICT when the epoch is no longer ours. */
int rs_store_leader_confirm(struct db *db, int64_t epoch, struct err **err) MUSTCHECK;
int rs_store_leader_release(struct db *db, int64_t epoch, struct err **err) MUSTCHECK;

/* --- store_run.c --- */
struct rs_group_row {
	char id[ID_LEN + 1];
	bool running; /* else queued */
};
/* The active runs of a group in their order (malloc'ed). */
int rs_store_group_runs(struct rs_group_row **rows, size_t *n, struct db *db, const char *group,
    struct err **err) MUSTCHECK;
/* The last run number of an owner, 0 when there is none. */
int rs_store_counter_get(
    int64_t *last, struct db *db, const char *owner, struct err **err) MUSTCHECK;
/* n new sequence numbers, ascending. */
int rs_store_sequences(int64_t *list, size_t n, struct db *db, struct err **err) MUSTCHECK;
/* Fills an uninitialised *run, as it was at one moment; on error nothing is to be freed. */
int rs_store_run_load(
    struct rs_run *run, struct db *db, const char *run_id, struct err **err) MUSTCHECK;
/* malloc'ed; ERR_NOTFOUND. */
int rs_store_definition_get(
    void **spec, size_t *len, struct db *db, const char *run_id, struct err **err) MUSTCHECK;
/* By owner and number. *state is NULL for an active run, else the packed RunState (malloc'ed). */
int rs_store_run_find(char id[ID_LEN + 1], void **state, size_t *len, struct db *db,
    const char *owner, uint64_t number, struct err **err) MUSTCHECK;
struct rs_list_query {
	const char *owner, *group;
	uint64_t start;
	bool ascending;
	uint32_t limit;
	const char *phases, *results; /* array literals "{a,b}"; "{}" = any */
};
struct rs_list_row {
	char id[ID_LEN + 1];
	void *state; /* NULL: active, to be loaded */
	size_t len;
};
/* At most limit + 1 rows. */
int rs_store_run_list(struct rs_list_row **rows, size_t *n, struct db *db,
    const struct rs_list_query *q, struct err **err) MUSTCHECK;
/* Ids of all active runs in phase running, malloc'ed array. */
int rs_store_run_active(struct id **ids, size_t *n, struct db *db, struct err **err) MUSTCHECK;
/* Groups whose oldest queued run could start but was not: for the safety sweep. */
int rs_store_run_stuck(struct id **ids, size_t *n, struct db *db, struct err **err) MUSTCHECK;

/* --- store_explain.c --- */
/* Number of the group's running run (0 = none) and how many queued ones stand before sequence. */
int rs_store_explain_group(uint64_t *holder, uint64_t *ahead, struct db *db, const char *group,
    uint64_t sequence, struct err **err) MUSTCHECK;

/* --- store_attempt.c --- */
struct rs_attempt_row {
	char run_id[ID_LEN + 1], task_id[ID_LEN + 1];
	uint64_t fence, revision;
	unsigned tries; /* of the task before this one */
	char executor[65], session[65];
	enum rs_place place; /* RS_FREE = closed */
	bool begun, expired;
	int64_t left_ms;  /* of the lease; may be negative */
	char outcome[16]; /* status it was closed with, or "" */
	char *owner;      /* only from rs_store_attempts_open */
	uint64_t number;
	bool stopping;
	uint32_t nsteps;
};
void rs_attempt_rows_free(struct rs_attempt_row *rows, size_t n);
/* ERR_NOTFOUND. */
int rs_store_attempt_get(struct rs_attempt_row *out, struct db *db, const char *task_id,
    uint64_t fence, struct err **err) MUSTCHECK;
/* The same, and nobody else changes the row until the transaction ends. */
int rs_store_attempt_lock(struct rs_attempt_row *out, struct db *db, const char *task_id,
    uint64_t fence, struct err **err) MUSTCHECK;
/* How many attempts of a task's try were ever held (those of the last day). */
int rs_store_attempts_tried(
    uint64_t *n, struct db *db, const char *task_id, unsigned tries, struct err **err) MUSTCHECK;
struct rs_renewed {
	char task_id[ID_LEN + 1];
	uint64_t fence;
};
/* Renews the held ones of an executor; tasks and fences are array literals of equal length.
 * Returns (malloc'ed) what was renewed. */
int rs_store_attempts_renew(struct rs_renewed **renewed, size_t *n, struct db *db,
    const char *executor, const char *tasks, const char *fences, int64_t lease_ms,
    struct err **err) MUSTCHECK;
/* Gives the held ones of an executor to its new session. */
int rs_store_attempts_adopt(struct db *db, const char *executor, const char *session,
    const char *tasks, const char *fences, struct err **err) MUSTCHECK;
/* All offered or held ones (executor NULL), or one executor's. */
int rs_store_attempts_open(struct rs_attempt_row **rows, size_t *n, struct db *db,
    const char *executor, struct err **err) MUSTCHECK;
int rs_store_attempts_expired(
    struct rs_attempt_row **rows, size_t *n, struct db *db, struct err **err) MUSTCHECK;

/* --- store_secret.c --- */
#define RS_WRAPPED_LEN (CRYPTO_KEY_LEN + CRYPTO_SEAL_OVERHEAD)
struct rs_sealed {
	char version[ID_LEN + 1];       /* "" = no row */
	char master[RS_KEY_ID_LEN + 1]; /* what the data key is wrapped by */
	void *wrapped, *sealed;         /* data key, value */
	size_t wrapped_len, sealed_len;
};
void rs_sealed_fini(struct rs_sealed *row);
/* run_id NULL: of no single run. */
int rs_store_secret_put(struct db *db, const char *id, const char *run_id, const char *master,
    const struct rs_sealed *row, struct err **err) MUSTCHECK;
int rs_store_variable_put(struct db *db, const char *run_id, const char *name, const char *version,
    struct err **err) MUSTCHECK;
int rs_store_variables_copy(
    struct db *db, const char *from_run, const char *to_run, struct err **err) MUSTCHECK;
/* ERR_NOTFOUND when the run has no such variable. */
int rs_store_secret_get(struct rs_sealed *row, struct db *db, const char *run_id, const char *name,
    struct err **err) MUSTCHECK;
/* One that was stored before keys were noted. */
int rs_store_secret_unkeyed(struct rs_sealed *row, struct db *db, struct err **err) MUSTCHECK;
int rs_store_own_key_get(
    struct rs_sealed *row, struct db *db, const char *name, struct err **err) MUSTCHECK;
int rs_store_own_key_put(
    struct db *db, const char *name, const char *version, struct err **err) MUSTCHECK;
int rs_store_own_keys_drop(struct db *db, struct err **err) MUSTCHECK;
/* The youngest; it is not dropped before the transaction ends. */
int rs_store_master_current(struct rs_key_id *id, struct db *db, struct err **err) MUSTCHECK;
/* Oldest first, malloc'ed. */
int rs_store_master_list(
    struct rs_key_id **ids, size_t *n, struct db *db, struct err **err) MUSTCHECK;
/* From now on the current one. What is without a key is noted as sealed under it. */
int rs_store_master_add(struct db *db, const char *id, struct err **err) MUSTCHECK;
/* ERR_INVALID while something is sealed under it. */
int rs_store_master_drop(struct db *db, const char *id, struct err **err) MUSTCHECK;
/* At most max versions under a key, locked. */
int rs_store_secrets_under(struct rs_sealed **rows, size_t *n, struct db *db, const char *master,
    size_t max, struct err **err) MUSTCHECK;
int rs_store_secret_rewrap(struct db *db, const struct rs_sealed *row, const char *master,
    const void *wrapped, size_t len, struct err **err) MUSTCHECK;

/* --- store_scope.c: secrets and variables of projects and project groups --- */
/* Who writes scopes is alone; who reads a consistent picture of them shares. Until the transaction
 * ends. */
int rs_store_scopes_lock(struct db *db, bool alone, struct err **err) MUSTCHECK;
/* What a chain of scopes defines: the variables of these names (NULL: all) and the secrets that
 * they name. Sorted. */
int rs_store_definitions(struct rs_definitions *d, struct db *db, const char *const *scopes,
    size_t nscopes, const char *const *names, size_t nnames, struct err **err) MUSTCHECK;
void rs_definitions_fini(struct rs_definitions *d);
int rs_store_run_variables_put(struct db *db, const char *run_id, const char *const *names,
    const char *const *versions, size_t n, struct err **err) MUSTCHECK;
struct rs_secret_row {
	char id[ID_LEN + 1], scope[ID_LEN + 1];
	char *name, *type;
};
void rs_secret_rows_free(struct rs_secret_row *rows, size_t n);
/* Nearest first, then by name. */
int rs_store_secret_list(struct rs_secret_row **rows, size_t *n, struct db *db,
    const char *const *scopes, size_t nscopes, struct err **err) MUSTCHECK;
enum rs_scoped { RS_SCOPED_SECRET, RS_SCOPED_VARIABLE };
/* id is "" when there is none of that name. */
int rs_store_scoped_id(char id[ID_LEN + 1], struct db *db, enum rs_scoped kind, const char *scope,
    const char *name, struct err **err) MUSTCHECK;
int rs_store_scoped_count(
    size_t *n, struct db *db, enum rs_scoped kind, const char *scope, struct err **err) MUSTCHECK;
int rs_store_scoped_remove(
    struct db *db, enum rs_scoped kind, const char *id, struct err **err) MUSTCHECK;
/* ERR_CONFLICT when the name is taken. exists: renamed; its data is dropped and added apart. */
int rs_store_secret_add(
    struct db *db, const struct rs_secret_row *s, bool exists, struct err **err) MUSTCHECK;
int rs_store_secret_data_add(struct db *db, const char *id, const char *key, const char *version,
    struct err **err) MUSTCHECK;
/* With its versions, but for those that runs refer to. */
int rs_store_secret_data_drop(struct db *db, const char *id, struct err **err) MUSTCHECK;
int rs_store_variable_add(struct db *db, const char *id, const char *scope, const char *name,
    const void *spec, size_t len, bool exists, struct err **err) MUSTCHECK;
int rs_store_scopes_drop(
    struct db *db, const char *const *scopes, size_t n, struct err **err) MUSTCHECK;

/* --- store_log.c --- */
/* One log. Those of a task's tries are different ones. */
struct rs_log_id {
	char task_id[ID_LEN + 1];
	unsigned tries; /* of the task before the one it is of */
	int step;       /* -1: the setup */
};
struct rs_segment {
	uint64_t start, end;
	char *key; /* NULL = none */
};
int rs_store_log_end(
    uint64_t *end, struct db *db, const struct rs_log_id *id, struct err **err) MUSTCHECK;
/* The segment that holds offset (key NULL when none does), the log's stored end, and whether it was
 * deleted. */
int rs_store_log_find(struct rs_segment *seg, uint64_t *end, bool *deleted, struct db *db,
    const struct rs_log_id *id, uint64_t offset, struct err **err) MUSTCHECK;
int rs_store_log_add(struct db *db, const struct rs_log_id *id, uint64_t fence,
    const struct rs_segment *seg, struct err **err) MUSTCHECK;
/* Moves the segments to the garbage and remembers that the log was deleted. */
int rs_store_log_delete(struct db *db, const struct rs_log_id *id, struct err **err) MUSTCHECK;
/* Moves all segments of a task's try to the garbage: it is handed out again and writes its logs
 * anew. */
int rs_store_log_reset(
    struct db *db, const char *task_id, unsigned tries, struct err **err) MUSTCHECK;
int rs_store_garbage_add(struct db *db, const char *key, struct err **err) MUSTCHECK;
int rs_store_garbage_list(char ***keys, size_t *n, struct db *db, struct err **err) MUSTCHECK;
int rs_store_garbage_forget(struct db *db, const char *key, struct err **err) MUSTCHECK;

/* --- store_archive.c --- */
struct rs_archive_row {
	char run_id[ID_LEN + 1], task_id[ID_LEN + 1];
	uint64_t fence;
	unsigned tries; /* of the task before the one that makes it */
	uint32_t step;
	bool done;
};
int rs_store_archive_begin(
    struct db *db, const char *id, const struct rs_archive_row *row, struct err **err) MUSTCHECK;
/* URLs of parts below upto are given out: remembered, so that their objects can be removed. */
int rs_store_archive_urls(struct db *db, const char *id, uint32_t upto, struct err **err) MUSTCHECK;
int rs_store_archive_get(
    struct rs_archive_row *out, struct db *db, const char *id, struct err **err) MUSTCHECK;
int rs_store_archive_part(struct db *db, const char *id, uint32_t part, uint64_t size,
    const void *sha256, struct err **err) MUSTCHECK;
int rs_store_archive_done(struct db *db, const char *id, struct err **err) MUSTCHECK;
/* The newest completed archive of a step of a task's try: id "" when there is none. */
int rs_store_archive_of_step(char id[ID_LEN + 1], struct db *db, const char *task_id,
    unsigned tries, uint32_t step, struct err **err) MUSTCHECK;
/* Workspaces of a task's tries before this one: as if they had never been completed. */
int rs_store_archives_undo(
    struct db *db, const char *task_id, unsigned tries, struct err **err) MUSTCHECK;
struct rs_part_row {
	uint64_t size;
	uint8_t sha256[32];
};
int rs_store_archive_parts(struct rs_part_row **parts, size_t *n, uint32_t *total, struct db *db,
    const char *id, uint32_t first, uint32_t max, struct err **err) MUSTCHECK;

/* --- store_cache.c --- keys are escaped ones */
/* Is there a cache of that very key that p may see? */
int rs_store_cache_has(bool *has, struct db *db, const struct rs_cache_place *p, const char *key,
    struct err **err) MUSTCHECK;
/* The archive is to be that cache when it is complete. */
int rs_store_cache_upload(struct db *db, const char *archive_id, const struct rs_cache_place *p,
    const char *key, struct err **err) MUSTCHECK;
/* Of a complete archive: it becomes the cache, unless it is *lost (another one is there), or none
 * at all (then nothing happens). */
int rs_store_cache_commit(
    bool *lost, struct db *db, const char *archive_id, struct err **err) MUSTCHECK;
/* The cache that p may see: of that very key, or the newest whose key begins with it. id "" and
 * *key NULL when there is none; *key is malloc'ed. */
int rs_store_cache_find(char id[ID_LEN + 1], char **key, struct db *db,
    const struct rs_cache_place *p, const char *asked_for, struct err **err) MUSTCHECK;
int rs_store_cache_readable(bool *readable, struct db *db, const struct rs_cache_place *p,
    const char *archive_id, struct err **err) MUSTCHECK;

/* --- store_retention.c --- */
/* First in the transaction of all that follows. Unlike all others, these statements look at many
 * rows: until it ends they are planned for that. */
int rs_store_retention_begin(struct db *db, int64_t epoch, struct err **err) MUSTCHECK;
int rs_store_caches_retire(
    uint64_t *n, struct db *db, int64_t older_ms, struct err **err) MUSTCHECK;
/* Archives to be removed: never completed and of no open attempt; retired caches; workspaces of
 * tasks that no active run has. */
enum rs_dead_kind { RS_DEAD_UNNAMED, RS_DEAD_RETIRED, RS_DEAD_OLD };
struct rs_dead_archive {
	char id[ID_LEN + 1];
	struct rs_archive_row row; /* run, task, fence */
	uint32_t urls;
};
int rs_store_archives_dead(struct rs_dead_archive **list, size_t *n, struct db *db,
    enum rs_dead_kind kind, int64_t older_ms, uint32_t max, struct err **err) MUSTCHECK;
int rs_store_archive_delete(struct db *db, const char *id, struct err **err) MUSTCHECK;
/* Segments of logs of tasks that no active run has: to the garbage; the logs read as deleted. */
int rs_store_logs_old(
    uint64_t *n, struct db *db, int64_t older_ms, uint32_t max, struct err **err) MUSTCHECK;

/* --- store_outbox.c --- */
/* malloc'ed answer, NULL when the request is new. */
int rs_store_request_get(
    void **answer, size_t *len, struct db *db, const char *id, struct err **err) MUSTCHECK;
/* Deletes what nobody asks for any more (old requests, events, closed attempts). */
int rs_store_prune(struct db *db, struct err **err) MUSTCHECK;

#endif
