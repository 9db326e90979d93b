/*
 * evaluate.h - run definitions that are programs (Jsonnet), evaluated in a child process.
 *
 * The child is this program again (/proc/self/exe): before it sees any foreign byte it gives up
 * opening files, making processes, the network and privileges; its memory, processor time and
 * output are limited, and the parent kills it when its time is over. What it imports it asks for
 * over a pipe; the caller's read() says what is in the repository.
 *
 *   caller --eval_run()--> child: START       child --IMPORT--> eval_path() --> read()
 *                                             child --RESULT | FAILED--> output | problem
 */
#ifndef EVALUATE_EVALUATE_H
#define EVALUATE_EVALUATE_H

#include "common/buf.h"
#include "common/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define EVAL_CPU_S 5                 /* of processor time */
#define EVAL_WALL_MS 20000           /* until it is killed, imports included */
#define EVAL_MEMORY_MAX (512u << 20) /* bytes beyond the program's own; an import takes 4 MiB */
#define EVAL_IMPORTS_MAX 100         /* files imported, one that is imported again counts once */
#define EVAL_IMPORT_BYTES_MAX (8u << 20) /* of all of them together */
#define EVAL_CHILD "__evaluate"          /* the hidden argument */
/* Sanitizers reserve more address space than any limit: their builds have no limit of memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EVAL_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define EVAL_SANITIZED 1
#endif
#endif
#ifndef EVAL_SANITIZED
#define EVAL_SANITIZED 0
#endif

/* What the definition is for; no text is NULL, "" when it does not apply. */
struct eval_context {
	const char *ref_type; /* branch | tag | pull_request */
	const char *ref, *branch, *tag, *pull_request_id, *commit_sha;
};

struct eval_source {
	const char *file; /* path in the repository; imports are relative to its directory */
	const char *text;
	size_t len;
	struct eval_context ctx;
	/* A file of the repository; path is as eval_path() gives it. Its error is shown to the
	 * user; ERR_UNAVAILABLE and ERR_INTERNAL end the evaluation. At most max bytes. */
	int (*read)(struct buf *out, void *arg, const char *path, size_t max, struct err **err);
	void *arg;
	/* NULL, or set by any thread to end it soon: ERR_CANCELED. */
	const atomic_bool *stop;
	/* 0: as above. For tests. */
	unsigned cpu_s, wall_ms;
	size_t memory;
};

/* Blocking, for as long as EVAL_WALL_MS: worker threads and the command line. 0: *out is JSON, at
 * most 1 MiB, and *problem NULL; or *problem, malloc'ed, is what is wrong with the definition, one
 * "FILE:LINE:COL: ..." with trace lines behind it. An error: it could not be found out. */
int eval_run(
    struct buf *out, char **problem, const struct eval_source *s, struct err **err) MUSTCHECK;
/* Where a definition is looked for, in this order; the first that is there is the one. */
extern const char *const eval_files[];
extern const size_t eval_nfiles;
/* Is the file one that has to be evaluated first? */
bool eval_is_program(const char *file);
/* Why a file of this name cannot be a definition, one sentence, or NULL. */
const char *eval_unsupported(const char *file);

/* Every program that calls eval_run() begins its main() with
 *	if (eval_is_child(argc, argv))
 *		return eval_child(); */
bool eval_is_child(int argc, char **argv);
int eval_child(void);

#endif
