#include "gateway/page.h"

#include "common/crypto.h"
#include "common/mem.h"

#include <stdio.h>
#include <string.h>

int
gw_page_limit(unsigned *limit, const char *text, struct err **err)
{
	unsigned long v = 0;

	*limit = GW_PAGE_MAX;
	if (!text || !*text)
		return 0;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return err_set_slug(err, ERR_INVALID, "invalidLimit",
			    "limit: must be a number from 0 to %d", GW_PAGE_MAX);
		if (v <= GW_PAGE_MAX)
			v = v * 10 + (unsigned long)(*p - '0');
	}
	*limit = v > GW_PAGE_MAX ? GW_PAGE_MAX : (unsigned)v;
	return 0;
}

int
gw_page_direction(bool *ascending, const char *text, bool if_absent, struct err **err)
{
	if (!text || !*text) {
		*ascending = if_absent;
	} else if (strcmp(text, "asc") == 0) {
		*ascending = true;
	} else if (strcmp(text, "desc") == 0) {
		*ascending = false;
	} else {
		return err_set_slug(
		    err, ERR_INVALID, "invalidSortDirection", "sortdirection: must be asc or desc");
	}
	return 0;
}

char *
gw_cursor_encode(const json_t *fields)
{
	auto_free char *text = json_print(fields);
	size_t n = strlen(text);
	char *hex = xmalloc(2 * n + 1);

	crypto_hex(hex, text, n);
	return hex;
}

int
gw_cursor_decode(json_t **fields, const char *text, struct err **err)
{
	size_t n = strlen(text);
	auto_free uint8_t *raw = NULL;

	if (n == 0 || n % 2 != 0 || n > GW_CURSOR_MAX)
		return err_set(err, ERR_INVALID, "cursor: not one of ours");
	raw = xmalloc(n / 2);
	if (crypto_unhex(raw, n / 2, text, err) < 0 || json_parse(fields, raw, n / 2, err) < 0)
		return err_wrap(err, "cursor: not one of ours");
	if (!json_is_object(*fields)) {
		json_decref(*fields);
		*fields = NULL;
		return err_set(err, ERR_INVALID, "cursor: not one of ours");
	}
	return 0;
}

int
gw_page_parse(struct gw_page *out, const char *limit, const char *direction, const char *cursor,
    bool ascending_if_absent, bool (*key_ok)(const char *key), struct err **err)
{
	auto_json *fields = NULL;
	const char *after;
	int rc;

	*out = (struct gw_page){ 0 };
	rc = gw_page_limit(&out->limit, limit, err);
	if (rc < 0)
		return rc;
	if (!cursor || !*cursor)
		return gw_page_direction(&out->ascending, direction, ascending_if_absent, err);
	if (direction)
		return err_set(err, ERR_INVALID, "cursor and sortdirection: give one of them");
	rc = gw_cursor_decode(&fields, cursor, err);
	if (rc < 0)
		return rc;
	after = json_text(fields, "after");
	if (!after || strlen(after) > GW_PAGE_KEY_MAX || !key_ok(after))
		return err_set(err, ERR_INVALID, "cursor: not one of ours");
	snprintf(out->after, sizeof(out->after), "%s", after);
	out->ascending = json_flag(fields, "asc", ascending_if_absent);
	return 0;
}

char *
gw_page_cursor(const struct gw_page *page, const char *last)
{
	auto_json *fields = json_pack("{s:s, s:b}", "after", last, "asc", (int)page->ascending);

	return gw_cursor_encode(fields);
}
