/*
 * json.h - the little we add to jansson: reading foreign objects safely.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void
json_auto_free(json_t **j)
{
	json_decref(*j);
}
#define auto_json __attribute__((cleanup(json_auto_free))) json_t

/* First JSON value of p; what follows it is ignored. ERR_INVALID with line and column. Depth and
 * size are bounded by jansson's parser depth and the caller's n. */
int json_parse(json_t **out, const void *p, size_t n, struct err **err) MUSTCHECK;
/* Member by exact, else ASCII case-insensitive name; borrowed, NULL when absent or null. */
json_t *json_member(const json_t *obj, const char *name);
/* Text member; NULL when absent, null or not text. Borrowed. */
const char *json_text(const json_t *obj, const char *name);
int64_t json_int(const json_t *obj, const char *name, int64_t if_absent);
bool json_flag(const json_t *obj, const char *name, bool if_absent);
/* Appends item unless the array has max already; takes the reference over in any case. */
void json_append_max(json_t *array, size_t max, json_t *item);
/* Compact, malloc'ed. */
char *json_print(const json_t *j);

#endif
