/*
 * mem.h - allocation that cannot fail, and scope-bound cleanup.
 *
 * x* functions abort when memory is out: callers never check. Sizes are overflow-checked.
 * auto_free frees at scope end; ownership leaves a scope through steal().
 */
#ifndef COMMON_MEM_H
#define COMMON_MEM_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
/* Grows or shrinks an array of n elements. */
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *p, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);
char *xvasprintf(const char *fmt, va_list ap) PRINTF(1, 0);
/* Wipes n bytes before freeing; p may be NULL. */
void xfree_secret(void *p, size_t n);

static inline void
mem_auto_free(void *pp)
{
	free(*(void **)pp);
}
void mem_auto_close(int *fd);

#define auto_free __attribute__((cleanup(mem_auto_free)))
#define auto_close __attribute__((cleanup(mem_auto_close)))
#define steal(pp)                                                                                  \
	({                                                                                         \
		__typeof__(*(pp)) stolen_ = *(pp);                                                 \
		*(pp) = NULL;                                                                      \
		stolen_;                                                                           \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
