/*
 * rs_archive.h - archives and caches as an executor saves and reads them (rs_peer.h).
 */
#ifndef TESTS_LIB_RS_ARCHIVE_H
#define TESTS_LIB_RS_ARCHIVE_H

#include "tests/lib/rs_peer.h"

struct rs_part {
	const char *text;
	uint32_t size; /* as said; that of the text when it is true */
};
/* key NULL: of a workspace. Returns the archive's id (malloc'ed), NULL and *code when it was
 * refused; "" when the cache exists. code may be NULL: then it is not refused. */
char *rs_ex_archive_begin(
    struct rs_executor *ex, const struct rs_offer *o, uint32_t step, const char *key, int *code);
/* Fails unless the answer's code is want. */
Millrace__ArchiveUrlsReply *rs_ex_archive_urls(
    struct rs_executor *ex, const struct rs_offer *o, const char *id, uint32_t n, int want);
int rs_ex_archive_complete(struct rs_executor *ex, const struct rs_offer *o, const char *id,
    uint32_t step, const struct rs_part *parts, size_t n, bool *lost);
int rs_ex_archive_get(struct rs_executor *ex, const struct rs_offer *o, const char *id,
    Millrace__ArchiveGetReply **reply);
/* cache.find with keys separated by '|'; the reply is to be freed. */
int rs_ex_cache_find(struct rs_executor *ex, const struct rs_offer *o, uint32_t step,
    const char *keys, Millrace__CacheFindReply **reply);

#endif
