/*
 * util.h - the toolbox's few helpers. It links under musl with nothing else of the project.
 *
 * Functions that can fail return 0 or -1 and fill a struct tb_err with one sentence for people.
 */
#ifndef TOOLBOX_UTIL_H
#define TOOLBOX_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TB_ERR_MAX 1024

struct tb_err {
	char text[TB_ERR_MAX]; /* longer ones are cut */
};

/* Fills e, returns -1. */
int tb_fail(struct tb_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Milliseconds of a clock that counts suspended time too. */
int64_t tb_now_ms(void);
/* Blocking write of everything; -1 when the reader is gone. */
int tb_write_all(int fd, const void *bytes, size_t n);
/* Malloc'ed content of a regular file of at most max bytes, NUL-terminated; NULL with errno set.
 * Never blocks on a fifo or device put in its place. */
char *tb_read_file(const char *path, size_t max);
int tb_set_nonblock(int fd);
/* Closes every descriptor from 3 up but those in keep (at most 8). */
void tb_close_but(const int *keep, size_t n);
/* Abort when memory is out: process 1 dying ends the task cleanly, a half state would not. */
void *tb_malloc(size_t n);
char *tb_strdup(const char *s);
char *tb_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
