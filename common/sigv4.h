/*
 * sigv4.h - AWS Signature Version 4 for S3: headers and presigned URLs from one pure function.
 *
 * No I/O, no clock. Texts are given as they are meant; what needs percent-encoding gets it here, so
 * the request line must be made of what is returned.
 */
#ifndef COMMON_SIGV4_H
#define COMMON_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#define SIGV4_EXPIRES_MAX 604800 /* a presigned URL's longest life in seconds */
#define SIGV4_DATE_LEN 17        /* "20130524T000000Z" and NUL */
#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"

struct sigv4_pair {
	const char *name, *value;
};

struct sigv4_request {
	const char *region, *access_key, *secret_key;
	const char *method;
	const char *host; /* as the Host header says it: with the port when it is not the default */
	const char *path; /* begins with '/', not encoded */
	const struct sigv4_pair *query; /* not encoded, in any order */
	size_t nquery;
	/* Further headers to sign: names in lower case, values without spaces at their ends; not
	 * host, x-amz-date or x-amz-content-sha256, which are always signed. */
	const struct sigv4_pair *headers;
	size_t nheaders;
	const char *payload; /* SHA-256 of the body in hex, or SIGV4_UNSIGNED */
	int64_t time_s;      /* Unix time of signing */
	int64_t
	    expires_s; /* 0: sign headers; else presign for so long, at most SIGV4_EXPIRES_MAX */
};

struct sigv4 {
	char *target;              /* path and query, encoded: what follows the host in the URL */
	char *authorization;       /* value of that header; NULL when presigned */
	char date[SIGV4_DATE_LEN]; /* value of x-amz-date, to be sent unless presigned */
};

void sigv4_sign(struct sigv4 *out, const struct sigv4_request *r);
void sigv4_fini(struct sigv4 *s);
#define auto_sigv4 __attribute__((cleanup(sigv4_fini))) struct sigv4

#endif
