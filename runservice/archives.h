/*
 * archives.h - archives of workspaces and caches: parts in the object store, rows that make them
 * exist.
 *
 * Keys hold run, task, fence, archive and part, so nothing is ever overwritten. An archive exists
 * for others once archive.complete committed its row; a task may read those of its ancestors and
 * the caches that its run may see (caches.h).
 * Loop thread; the work is done on workers.
 */
#ifndef RUNSERVICE_ARCHIVES_H
#define RUNSERVICE_ARCHIVES_H

#include "executor.pb-c.h"
#include "runservice/executors.h"
#include "runservice/runservice.h"

#define RS_ARCHIVE_PARTS_MAX 16384 /* of 8 MiB: 128 GiB */
#define RS_ARCHIVE_URLS_MAX 64
#define RS_ARCHIVE_URL_SECONDS 3600

struct rs_archive_row;
/* Key of a part's object, malloc'ed. */
char *rs_archives_part_key(const struct rs_archive_row *row, const char *archive_id, uint32_t part);

void rs_archives_begin(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__ArchiveBeginRequest *req);
void rs_archives_urls(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__ArchiveUrlsRequest *req);
void rs_archives_complete(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__ArchiveCompleteRequest *req);
void rs_archives_get(struct rs *rs, struct rpc_call *call, const struct rs_attempt *attempt,
    const Millrace__ArchiveGetRequest *req);

#endif
