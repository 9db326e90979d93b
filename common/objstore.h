/*
 * objstore.h - immutable objects by key, behind one interface (design.md section 4).
 *
 * Back ends: dir (a local directory served by the runservice with signed, expiring URLs) and s3
 * (any S3 API; executors are given presigned URLs). One test suite runs on both. Keys are "a/b/c"
 * of [A-Za-z0-9._-] elements, no "." or "..", at most OBJSTORE_KEY_MAX bytes. An object is written
 * once: a second put of the same key is ERR_CONFLICT (never an overwrite).
 *
 * put, get and del block: call them on a worker thread, any number at once. sign does not.
 *
 * What a URL for PUT does to an object that is there differs: dir refuses other bytes; S3 replaces
 * them as long as the URL lives. So nobody else may ever be given a URL of the same key (ours hold
 * the fence and a random id), and readers verify the checksum that a committed row holds.
 */
#ifndef COMMON_OBJSTORE_H
#define COMMON_OBJSTORE_H

#include "common/crypto.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBJSTORE_KEY_MAX 255
#define OBJSTORE_PART_MAX (8u << 20)

struct objstore;

struct objstore_ops {
	int (*put)(struct objstore *s, const char *key, const void *p, size_t n, struct err **err);
	/* Reads at most max bytes from offset; out is malloc'ed. *total = size of the object. */
	int (*get)(uint8_t **out, size_t *n, uint64_t *total, struct objstore *s, const char *key,
	    uint64_t offset, size_t max, struct err **err);
	int (*del)(struct objstore *s, const char *key, struct err **err); /* absent is no error */
	/* URL for one method ("GET", "PUT"), valid until expires (Unix seconds); malloc'ed. */
	char *(*sign)(struct objstore *s, const char *method, const char *key, int64_t expires);
	/* Optional: what is under way or comes later ends with ERR_CANCELED. Any thread. */
	void (*stop)(struct objstore *s);
	void (*free)(struct objstore *s);
};
struct objstore {
	const struct objstore_ops *ops;
};

bool objstore_key_ok(const char *key);
/* The same as an error: ERR_INVALID. */
int objstore_key_check(const char *key, struct err **err) MUSTCHECK;

/* dir back end. Objects are written to tmp/, fsynced, linked into place, the directory fsynced.
 * base_url is what executors reach, e.g. http://127.0.0.1:8004. */
int objstore_dir_new(struct objstore **out, const char *dir, const char *base_url,
    const uint8_t key[CRYPTO_KEY_LEN], struct err **err) MUSTCHECK;

/*
 * s3 back end: objects BUCKET/<key> by path-style URLs. Nothing is asked of the server at the
 * start: one that is away, or refuses us, shows as ERR_UNAVAILABLE with what it said (whoever
 * writes tries again, so a wrong key or a missing bucket loses nothing). put sends If-None-Match:
 * *, and the server's 412 is ERR_CONFLICT; to a server that does not implement this (501) put asks
 * first whether the object is there, which two writers at once could pass both.
 */
struct objstore_s3_options {
	const char *endpoint;     /* http(s)://host[:port] */
	const char *url_endpoint; /* the same for URLs given to others; NULL: endpoint */
	const char *bucket, *region, *access_key, *secret_key;
	const char *ca_file; /* NULL: the system's */
};
/* ERR_INVALID names the option that is not usable. */
int objstore_s3_new(
    struct objstore **out, const struct objstore_s3_options *opt, struct err **err) MUSTCHECK;
/* Only the checks of it. */
int objstore_s3_check(const struct objstore_s3_options *opt, struct err **err) MUSTCHECK;

/* --- signed URLs (objstore_url.c), pure --- */

/* <base_url>/objects/<object>?expires=...&signature=..., malloc'ed. */
char *objstore_url_sign(const char *base_url, const uint8_t key[CRYPTO_KEY_LEN], const char *method,
    const char *object, int64_t expires);
/* Checks a request made with such a URL: path "/objects/<object>", query as signed. Returns the
 * object's key (malloc'ed). ERR_INVALID for a path that names none, ERR_DENIED for a wrong
 * signature, another method or an expired URL. */
int objstore_url_check(char **object, const uint8_t key[CRYPTO_KEY_LEN], const char *method,
    const char *path, const char *query, int64_t now, struct err **err) MUSTCHECK;

#endif
