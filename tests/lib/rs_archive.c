#include "tests/lib/rs_archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "common/mem.h"

#include <string.h>

#define PARTS_MAX 4
#define KEYS_MAX 128

static void *
unconst(const void *s)
{
	return (void *)(uintptr_t)s;
}

static void
fill(Millrace__Attempt *a, const struct rs_offer *o)
{
	millrace__attempt__init(a);
	a->task_id = unconst(o->task_id);
	a->fence = o->fence;
}

char *
rs_ex_archive_begin(
    struct rs_executor *ex, const struct rs_offer *o, uint32_t step, const char *key, int *code)
{
	Millrace__ArchiveBeginRequest req = MILLRACE__ARCHIVE_BEGIN_REQUEST__INIT;
	Millrace__ArchiveBeginReply *reply = NULL;
	Millrace__Attempt a;
	fill(&a, o);
	req.attempt = &a;
	req.step = step;
	req.cache_key = unconst(key);
	int rc = rs_call(ex->peer, ex->client, "archive.begin", &req,
	    &millrace__archive_begin_reply__descriptor, &reply);
	if (code)
		*code = rc;
	else
		assert_int_equal(rc, 0);
	if (rc != 0)
		return NULL;
	char *id = xstrdup(reply->archive_id);
	assert_int_equal(*id == '\0', reply->exists);
	millrace__archive_begin_reply__free_unpacked(reply, NULL);
	return id;
}

Millrace__ArchiveUrlsReply *
rs_ex_archive_urls(
    struct rs_executor *ex, const struct rs_offer *o, const char *id, uint32_t n, int want)
{
	Millrace__ArchiveUrlsRequest req = MILLRACE__ARCHIVE_URLS_REQUEST__INIT;
	Millrace__ArchiveUrlsReply *reply = NULL;
	Millrace__Attempt a;
	fill(&a, o);
	req.attempt = &a;
	req.archive_id = unconst(id);
	req.count = n;
	assert_int_equal(rs_call(ex->peer, ex->client, "archive.urls", &req,
	                     &millrace__archive_urls_reply__descriptor, &reply),
	    want);
	return reply;
}

int
rs_ex_archive_complete(struct rs_executor *ex, const struct rs_offer *o, const char *id,
    uint32_t step, const struct rs_part *parts, size_t n, bool *lost)
{
	Millrace__ArchiveCompleteRequest req = MILLRACE__ARCHIVE_COMPLETE_REQUEST__INIT;
	Millrace__ArchiveCompleteReply *reply = NULL;
	Millrace__Attempt a;
	Millrace__ArchivePart items[PARTS_MAX], *list[PARTS_MAX];
	uint8_t sha[PARTS_MAX][CRYPTO_SHA256_LEN];
	assert_true(n <= PARTS_MAX);
	fill(&a, o);
	req.attempt = &a;
	req.archive_id = unconst(id);
	req.step = step;
	for (size_t i = 0; i < n; i++) {
		millrace__archive_part__init(&items[i]);
		crypto_sha256(sha[i], parts[i].text, strlen(parts[i].text));
		items[i].sha256 = (ProtobufCBinaryData){ .len = sizeof(sha[i]), .data = sha[i] };
		items[i].size = parts[i].size;
		list[i] = &items[i];
	}
	req.parts = list;
	req.n_parts = n;
	int code = rs_call(ex->peer, ex->client, "archive.complete", &req,
	    &millrace__archive_complete_reply__descriptor, &reply);
	if (code != 0)
		return code;
	if (lost)
		*lost = reply->lost;
	else
		assert_false(reply->lost);
	millrace__archive_complete_reply__free_unpacked(reply, NULL);
	return 0;
}

int
rs_ex_archive_get(struct rs_executor *ex, const struct rs_offer *o, const char *id,
    Millrace__ArchiveGetReply **reply)
{
	Millrace__ArchiveGetRequest req = MILLRACE__ARCHIVE_GET_REQUEST__INIT;
	Millrace__Attempt a;
	fill(&a, o);
	req.attempt = &a;
	req.archive_id = unconst(id);
	return rs_call(ex->peer, ex->client, "archive.get", &req,
	    &millrace__archive_get_reply__descriptor, reply);
}

int
rs_ex_cache_find(struct rs_executor *ex, const struct rs_offer *o, uint32_t step, const char *keys,
    Millrace__CacheFindReply **reply)
{
	Millrace__CacheFindRequest req = MILLRACE__CACHE_FIND_REQUEST__INIT;
	Millrace__Attempt a;
	char *list[KEYS_MAX];
	auto_free char *copy = xstrdup(keys);
	size_t n = 0;
	char *rest = copy;
	for (char *k; n < KEYS_MAX && (k = strsep(&rest, "|"));)
		list[n++] = k;
	fill(&a, o);
	req.attempt = &a;
	req.step = step;
	req.keys = list;
	req.n_keys = n;
	return rs_call(ex->peer, ex->client, "cache.find", &req,
	    &millrace__cache_find_reply__descriptor, reply);
}
