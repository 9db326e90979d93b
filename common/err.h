/*
 * err.h - the one way a function reports failure.
 *
 * A function that can fail returns int: 0, or the negative code it also stored in *err. *err is
 * untouched on success. The caller owns the error: pass it up, err_wrap()ed with what *you* were
 * doing, or consume it with log_err()/err_clear(). It is reported exactly once, at the level that
 * decides what happens next. Codes say what a caller may do; the message says what happened.
 * A NULL err argument is allowed: the code is returned, the message dropped.
 * Out of memory is not an error: xmalloc() aborts.
 *
 * Thread: an error belongs to one thread at a time; hand it over inside a result message.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdarg.h>

#define PRINTF(fmt_, args_) __attribute__((format(printf, fmt_, args_)))
#define MUSTCHECK __attribute__((warn_unused_result))

enum err_code {
	ERR_INVALID = -1,     /* caller's input is wrong; do not retry -> 400 */
	ERR_DENIED = -2,      /* known caller, not allowed             -> 403 */
	ERR_NOTFOUND = -3,    /* no such object                        -> 404 */
	ERR_CONFLICT = -4,    /* lost a race, stale revision or fence  -> 409 */
	ERR_UNAVAILABLE = -5, /* peer down, timeout, queue full; retry -> 503 */
	ERR_CANCELED = -6,    /* we were asked to stop                        */
	ERR_INTERNAL = -7,    /* bug or broken invariant               -> 500 */
};

struct err {
	enum err_code code;
	char *msg;  /* never NULL; lower case, no newline, context outermost */
	char *slug; /* optional machine code of the REST API (e.g. "userAlreadyExists"), or NULL */
};

int err_set(struct err **err, enum err_code code, const char *fmt, ...) PRINTF(3, 4);
int err_setv(struct err **err, enum err_code code, const char *fmt, va_list ap) PRINTF(3, 0);
/* Code chosen from errnum: ENOENT NOTFOUND, EACCES/EPERM DENIED, EAGAIN/ETIMEDOUT/ECONN*
 * UNAVAILABLE, ECANCELED CANCELED, otherwise INTERNAL. Appends ": " and the error's text. */
int err_set_errno(struct err **err, int errnum, const char *fmt, ...) PRINTF(3, 4);
/* As err_set, with the REST API's machine code. */
int err_set_slug(struct err **err, enum err_code code, const char *slug, const char *fmt, ...)
    PRINTF(4, 5);
/* Puts context before the message of a set error; returns its code. */
int err_wrap(struct err **err, const char *fmt, ...) PRINTF(2, 3);
/* Message of *err, or a fixed text when it is NULL; borrowed. */
const char *err_msg(const struct err *err);
void err_clear(struct err **err);
void err_free(struct err *err);
/* Short stable name of a code: "invalid", "denied", ... */
const char *err_code_name(int code);

#ifdef __clang_analyzer__
/* The analyzer sees one file at a time. This tells it that failures never return 0. */
static inline int
err_negative(int rc)
{
	if (rc >= 0)
		__builtin_unreachable();
	return rc;
}
#ifndef ERR_DEFINED_HERE
#define err_set(...) err_negative(err_set(__VA_ARGS__))
#define err_set_errno(...) err_negative(err_set_errno(__VA_ARGS__))
#define err_set_slug(...) err_negative(err_set_slug(__VA_ARGS__))
#define err_wrap(...) err_negative(err_wrap(__VA_ARGS__))
#endif
#endif

static inline void
err_auto_free(struct err **err)
{
	err_clear(err);
}
#define auto_err __attribute__((cleanup(err_auto_free))) struct err *

/* For programmer errors only, never for input; stays on in production. */
void err_must_failed(const char *cond, const char *file, int line) __attribute__((noreturn));
#define MUST(cond) ((cond) ? (void)0 : err_must_failed(#cond, __FILE__, __LINE__))

#endif
