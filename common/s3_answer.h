/*
 * s3_answer.h - what an S3 server says: errors in XML, sizes in headers. Pure; any bytes are safe.
 */
#ifndef COMMON_S3_ANSWER_H
#define COMMON_S3_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Code and Message of an error document; "" for what is not there. Longer ones are cut, bytes other
 * than printable ASCII become spaces: for logs and error messages. */
struct s3_refusal {
	char code[64];
	char message[256];
};
void s3_refusal_parse(struct s3_refusal *out, const void *p, size_t n);

/* A Content-Range of an answer: "bytes 3-9/42", or a star for the range when it
 * lies behind the end (then first is total). False for anything else (NULL, unknown total). */
struct s3_range {
	uint64_t first, total;
	uint64_t n; /* bytes first.. of the answer */
};
bool s3_range_parse(struct s3_range *out, const char *text);
/* A Content-Length. */
bool s3_length_parse(uint64_t *out, const char *text);

#endif
