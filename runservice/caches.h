/*
 * caches.h - caches: archives under a key (cache_key.h), saved and read as those of workspaces are
 * (archives.h).
 *
 * A cache exists once archive.complete committed its row. It is never changed: of two saves of one
 * key the first to complete stays, the other is thrown away. An expired one is no longer found, but
 * can be read to its end by who found it before (retention.h).
 */
#ifndef RUNSERVICE_CACHES_H
#define RUNSERVICE_CACHES_H

#include "executor.pb-c.h"
#include "runservice/executors.h"
#include "runservice/runservice.h"

#define RS_CACHE_KEYS_MAX 100 /* of one restore_cache */

/* Inside the transaction of archive.begin: a key that is taken gives *exists, and nothing is
 * written; else the archive, which has its row, becomes that key's when it is complete. */
int rs_cache_enter(bool *exists, struct db *db, const char *run_id, const char *task_id,
    uint32_t step, const char *archive_id, const char *key, struct err **err) MUSTCHECK;
/* ERR_DENIED unless the archive is a cache that the run may see. */
int rs_cache_check_reader(
    struct db *db, const char *run_id, const char *archive_id, struct err **err) MUSTCHECK;
/* cache.find; loop thread. */
void rs_caches_find(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__CacheFindRequest *req);

#endif
