/*
 * message.h - what the evaluating child and its parent say to each other over two pipes.
 *
 * A message is a byte of kind, a big-endian length of four bytes and that many bytes. Some begin
 * with texts that each end in NUL; the rest is the content.
 *
 *   parent: START(memory, cpu, output, file, context; source)
 *   child:  IMPORT(directory, path)      parent: FILE(path; content) or REFUSED(; why)
 *   child:  RESULT(; output) or FAILED(; report), and ends
 *
 * Pure. The child is not trusted: every message has a kind, a largest size and a number of texts,
 * and any other is ERR_INVALID, after which nothing more is read from it.
 */
#ifndef EVALUATE_MESSAGE_H
#define EVALUATE_MESSAGE_H

#include "common/buf.h"
#include "common/err.h"

#include <stddef.h>

#define EVAL_TEXTS_MAX 5
#define EVAL_PATH_MAX 1024u          /* bytes of a path in the repository */
#define EVAL_REPORT_MAX 8192         /* bytes of an error's report; the rest is cut off */
#define EVAL_CONTENT_MAX (1u << 20)  /* bytes of a source, an imported file, an output */
#define EVAL_CONTEXT_MAX (64u << 10) /* bytes of the context as JSON */

enum eval_kind {
	EVAL_START = 1,
	EVAL_FILE,
	EVAL_REFUSED,
	EVAL_IMPORT,
	EVAL_RESULT,
	EVAL_FAILED,
};

struct eval_message {
	enum eval_kind kind;
	const char *texts[EVAL_TEXTS_MAX]; /* as many as its kind has */
	const char *content;
	size_t len;  /* of content */
	size_t size; /* of the whole message in the buffer */
};

/* Appends a message. texts: as many as its kind has. Content that is too long is cut off only where
 * that is harmless (REFUSED, FAILED); otherwise the caller has checked it. */
void eval_message_put(struct buf *out, enum eval_kind kind, const char *const *texts,
    const char *content, size_t len);
/* 1: the first message of in, which it borrows; drop its size when done. 0: there is none yet. */
int eval_message_get(struct eval_message *out, const struct buf *in, struct err **err) MUSTCHECK;

#endif
