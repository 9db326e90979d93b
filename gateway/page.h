/*
 * page.h - limits, directions and cursors of paginated lists. Pure.
 *
 * A cursor carries the last key, the direction and the filters of a list as opaque text. It is
 * input like any other: everything in it is checked again.
 */
#ifndef GATEWAY_PAGE_H
#define GATEWAY_PAGE_H

#include "common/err.h"
#include "common/json.h"

#include <stdbool.h>

#define GW_PAGE_MAX 30
#define GW_CURSOR_MAX 8192 /* bytes of the encoded text */

/* "" and unset (NULL) give GW_PAGE_MAX, larger values too; an explicit 0 means no limit.
 * ERR_INVALID invalidLimit. */
int gw_page_limit(unsigned *limit, const char *text, struct err **err) MUSTCHECK;
/* NULL gives if_absent. ERR_INVALID invalidSortDirection. */
int gw_page_direction(
    bool *ascending, const char *text, bool if_absent, struct err **err) MUSTCHECK;
/* A page of a list that is ordered by a text key. */
#define GW_PAGE_KEY_MAX 40 /* bytes of a key; a name fits */
struct gw_page {
	char after[GW_PAGE_KEY_MAX + 1]; /* the last key seen, "" = from the end */
	bool ascending;
	unsigned limit; /* 0 = all */
};
/* From a query's values, each NULL when absent. key_ok says what may be in a cursor. */
int gw_page_parse(struct gw_page *out, const char *limit, const char *direction, const char *cursor,
    bool ascending_if_absent, bool (*key_ok)(const char *key), struct err **err) MUSTCHECK;
/* Cursor of the page after this one, malloc'ed. last: key of this page's last row. */
char *gw_page_cursor(const struct gw_page *page, const char *last);

/* malloc'ed. */
char *gw_cursor_encode(const json_t *fields);
int gw_cursor_decode(json_t **fields, const char *text, struct err **err) MUSTCHECK;

#endif
