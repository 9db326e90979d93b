/*
 * log.h - structured log lines on stderr: time level daemon message key=value...
 *
 * One logfmt line per call, written with one write(2); lines longer than LOG_LINE_MAX are cut and
 * end in "...". Values are quoted and escaped when they hold anything but printable ASCII without
 * spaces, so foreign bytes cannot forge a line. Never pass a secret. Any thread.
 *
 *   log_info("task started", LOG_STR("run", run_id), LOG_I64("attempt", n));
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_MAX 8192

enum log_level { LOG_DEBUG = 1, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
	const char *key;
	const char *str; /* NULL: num is the value */
	int64_t num;
};
static inline const char *
log_text_(const char *s)
{
	return s ? s : "";
}
#define LOG_STR(k, v) ((struct log_field){ (k), log_text_(v), 0 })
#define LOG_I64(k, v) ((struct log_field){ (k), NULL, (v) })

/* Before threads start. daemon is borrowed for ever. */
void log_init(const char *daemon, enum log_level min);
void log_write(enum log_level level, const char *msg, const struct log_field *fields, size_t n);
/* As log_write, with the text and code of *err, which is cleared. */
void log_err_write(enum log_level level, const char *msg, struct err **err,
    const struct log_field *fields, size_t n);

#define log_fields_(level, msg, ...)                                                               \
	log_write(level, msg, (const struct log_field[]){ { 0 }, ##__VA_ARGS__ } + 1,              \
	    sizeof((const struct log_field[]){ { 0 }, ##__VA_ARGS__ }) /                           \
	            sizeof(struct log_field) -                                                     \
	        1)
/* log_err(LOG_WARN, "what failed", &err, LOG_STR("run", run_id)) */
#define log_err(level, msg, err, ...)                                                              \
	log_err_write(level, msg, err, (const struct log_field[]){ { 0 }, ##__VA_ARGS__ } + 1,     \
	    sizeof((const struct log_field[]){ { 0 }, ##__VA_ARGS__ }) /                           \
	            sizeof(struct log_field) -                                                     \
	        1)
#define log_debug(msg, ...) log_fields_(LOG_DEBUG, msg, ##__VA_ARGS__)
#define log_info(msg, ...) log_fields_(LOG_INFO, msg, ##__VA_ARGS__)
#define log_warn(msg, ...) log_fields_(LOG_WARN, msg, ##__VA_ARGS__)
#define log_error(msg, ...) log_fields_(LOG_ERROR, msg, ##__VA_ARGS__)

#endif
